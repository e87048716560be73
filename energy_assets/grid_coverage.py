"""What the doctor says of places and grid intensities together: zones that no source has, days that no source reaches.

What belongs here: comparing what sources were seen to hold. What does not: looking into sources (`Source.observe`), and
where machines stand (`factors.places`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import get_args

from energy_assets.contracts.vocabulary import Feed
from energy_assets.factors.countries import in_a_country, meant, zone_name
from energy_assets.holes import nearest
from energy_assets.site import Site
from energy_assets.sources.base import Finding, SeenNode, SeenZone
from energy_assets.sources.grid_factors.published import Publisher, published_intensities
from energy_assets.sources.grid_factors.source import Factor, GridFactors
from energy_assets.sources.intensity import INTENSITIES, far_apart

SHOWN, NEAR = 8, 3
ASKED = ("electricity_maps",)
"""Kinds that are asked for whatever zones the site has, so that what they hold is not known before."""


def grid(
    site: Site,
    zones: Sequence[str],
    nodes: Mapping[str, Sequence[SeenNode]],
    seen: Mapping[str, Sequence[SeenZone]],
) -> Iterator[Finding]:
    """Zones of places that no source of intensities has, and readings on days outside what is known of their zone.

    Args:
        site: The site file.
        zones: Every grid zone that machines stand in.
        nodes: Hosts seen, by source name.
        seen: Zones of intensities seen, by source name.
    """
    sources = site.feeding(Feed.GRID_INTENSITY)
    if not zones:
        return
    if not sources:
        yield Finding(
            True,
            "no source of grid intensity: emissions will not be measured (kind grid_factors takes the value of a year "
            f"that a publisher states{_shipped(zones)})",
        )
        return
    if any(source.kind in ASKED or not seen.get(source.name) for source in sources):
        return  # one of which nothing was seen may have the zone; what it lacks is told by its own check
    spans = _spans(seen)
    for zone in zones:
        if zone not in spans:
            yield _absent(zone, seen)
        elif not in_a_country(zone):
            yield Finding(True, f"zone {zone}: {no_country(zone)}; no publisher's table will have it")
    for name, days in _days(site, nodes).items():
        zone, first, last = days
        if zone in spans:
            yield from _outside(name, zone, (first, last), spans[zone])


def rivals(site: Site, zones: Sequence[str]) -> Iterator[Finding]:
    """Values of one zone and period that two sources of grid_factors state otherwise.

    Args:
        site: The site file.
        zones: Every grid zone that machines stand in.
    """
    sources = [source for source in site.feeding(Feed.GRID_INTENSITY) if isinstance(source, GridFactors)]
    first: dict[tuple[str, str], tuple[str, Factor]] = {}
    for source in sources:
        for factor in (factor for factor in source.every(zones) if factor.zone in zones):
            name, other = first.setdefault((factor.zone, factor.period), (source.name, factor))
            pairs = [(getattr(other, basis), getattr(factor, basis)) for basis in INTENSITIES]
            known = [(one, two) for one, two in pairs if one is not None and two is not None and one != two]
            if name != source.name and known:
                yield Finding(
                    not any(far_apart(*pair) for pair in known),
                    f"zone {factor.zone} {factor.period}: {name} ({other.values}) counts, {source.name} says "
                    f"{factor.values}",
                    "Take the wrong one out of `factors`; the source that stands first counts.",
                )


def no_country(zone: str) -> str:
    """What is said of a zone that is in no country.

    Args:
        zone: As written.
    """
    near = " or ".join(map(zone_name, meant(zone)))
    hint = f" (did you mean {near}?)" if near else ""
    return f"begins with no country's code, as zones of Electricity Maps do: DE, US-CAL-CISO{hint}"


def _shipped(zones: Sequence[str]) -> str:
    """Whose table that comes with this package has one of some zones."""
    said = ""
    for name in get_args(Publisher):
        having = sorted({row.zone for row in published_intensities(name)} & set(zones))
        said += f"; publishers: [{name}] has one of {_listed(having)}" if having else ""
    return said


def _absent(zone: str, seen: Mapping[str, Sequence[SeenZone]]) -> Finding:
    held = {name: sorted({one.zone for one in found}) for name, found in seen.items() if found}
    known = sorted({one for found in held.values() for one in found})
    said = "; ".join(f"{name} has {_listed(found)}" for name, found in held.items())
    near = list(dict.fromkeys(nearest(zone, known)))[:NEAR]
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return Finding(
        False,
        f"zone {zone}: no source of grid intensity has it, so what is used there has no emissions ({said})",
        f"{hint}Correct the `zone` of the place, or add a source that has {zone}.",
    )


def _outside(name: str, zone: str, days: tuple[date, date], known: tuple[date, date]) -> Iterator[Finding]:
    if days[1] < known[0] or known[1] < days[0]:
        yield Finding(
            False,
            f"{name} has readings from {days[0]} to {days[1]}, and intensities of {zone} are known from {known[0]} to "
            f"{known[1]} alone",
            f"Add the intensities of {zone} for these days to `path` of a source, or a grid_factors value.",
        )
    elif days[0] < known[0] or known[1] < days[1]:
        yield Finding(
            True,
            f"{name} has readings from {days[0]} to {days[1]}; intensities of {zone} reach from {known[0]} to "
            f"{known[1]}, and days outside take the mean of their year where there is one",
        )


def _spans(seen: Mapping[str, Sequence[SeenZone]]) -> dict[str, tuple[date, date]]:
    spans: dict[str, tuple[date, date]] = {}
    for one in (one for found in seen.values() for one in found):
        first, last = spans.get(one.zone, (one.first, one.last))
        spans[one.zone] = min(first, one.first), max(last, one.last)
    return spans


def _days(site: Site, nodes: Mapping[str, Sequence[SeenNode]]) -> dict[str, tuple[str, date, date]]:
    """Of each source in one zone: the zone, and the first and last day of what was seen."""
    found = {}
    for name, place in site.source_places.items():
        days = [day for one in nodes.get(name, ()) for day in (one.first, one.last) if day]
        if place.zone and days:
            found[name] = place.zone, min(days), max(days)
    return found


def _listed(zones: Sequence[str]) -> str:
    return ", ".join(zones[:SHOWN]) + (f" and {len(zones) - SHOWN} more" if len(zones) > SHOWN else "")

"""Why two editions of a report differ: what changed between them, told from what the lake and the editions keep.

What belongs here: comparing two states of everything a report is made of, and which figures a change can reach. What
does not: what is done with it (`restating`, the section of the report). Each version of each table is kept, so that
nothing need be noted down while data change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from energy_assets.contracts.vocabulary import Feed, Word
from energy_assets.counting import counted
from energy_assets.disclosures.editions import Cause, Fact, MadeWith, When
from energy_assets.factors.version import own_files_of
from energy_assets.integrity import DamagedError
from energy_assets.own_kpis import PREFIX
from energy_assets.periods import DayRange, Period, contiguous
from energy_assets.site import Site
from energy_assets.tables import raw_table

Fingerprints = Callable[[str, int | None], Mapping[date, str]]
"""Of the partitions of a table (its name) at a version; none at version None."""


class Kind(Word):
    """Why a figure that was published is another one now."""

    LATE_DATA = "late_data", "Late data"
    REVISED_GRID = "revised_grid", "Revised grid"
    FACTOR_EDITION = "factor_edition", "Factor edition"
    RELEASE = "our_fix", "Release of energy_assets"
    SITE_FILE = "site_file", "Site file"
    PROFILE = "profile", "Profile of the report"
    LOST = "lost", "Lost history"


FACTORS = Path(__file__).resolve().parents[1] / "factors" / "data"
SHOWN = 3
"""Stretches of days named in a sentence; the others are counted."""
_ENERGY = {Feed.ENERGY, Feed.COST, Feed.UTILIZATION}
_GRID = {Feed.GRID_INTENSITY}
_OF_TABLE: dict[str, set[Feed]] = {
    "cost": {Feed.COST},
    "activity": {Feed.ACTIVITY},
    "grid_intensity": _GRID,
    "instruments": {Feed.INSTRUMENTS} | _ENERGY,
    "emissions_market": {Feed.INSTRUMENTS} | _ENERGY | _GRID,
    "usage_estimates": _ENERGY,
    "energy": _ENERGY,
    "emissions": _ENERGY,
}
"""The feeds whose rows a table is made of, but for the columns that the grid is in."""
_WITHOUT_GRID = frozenset(
    {"", "energy_kwh", "facility_kwh", "pue", "coverage", "device_hours", "embodied_g", "water_onsite_l", "usage_hours"}
)
"""Columns of `emissions` that no grid is in."""
_YEARLY = frozenset({"emissions_market", "instruments"})
"""Tables whose months depend on other months of their year."""
_AROUND = frozenset({"reconciliation", "opportunities"})
"""Tables whose months depend on months around them: invoices lie across months, and months are compared."""
_REACH = {"reconciliation": "reconciliation", "opportunities": "opportunities"}
"""Keys of the site file by the one table they can reach."""
_NO_FIGURE = frozenset({"storage", "engine", "targets"})
"""Keys of the site file that no figure is made of."""
_WITHOUT_FACTORS = frozenset({"cost", "activity"})
RECORDED = frozenset({"cloud_regions.csv", "grid_losses.csv", "grid_water.csv", "pue.csv", "water.csv"})
"""Files of factors whose values are on record for each day that used them: the change is told, and not the file."""


def digests(site: Site) -> dict[str, str]:
    """By key of the site file, a hash of what stands there; sources each by name, for an order says nothing.

    Args:
        site: As it was read. Secrets are references in it.
    """
    content = {key: value for key, value in json.loads(site.model_dump_json()).items() if key not in _NO_FIGURE}
    content |= {f"sources: {one['name']}": one for one in content.pop("sources", [])}
    content["organisation.currency"] = content.pop("organisation")["currency"]
    return {key: _digest(value) for key, value in sorted(content.items())}


def factor_files(site: Site) -> dict[str, str]:
    """By name, the sha256 of every file of factors: ours, and those the site file names.

    Args:
        site: Says which of its own files it uses.
    """
    paths = {path.name: path for path in sorted(FACTORS.glob("*.csv"))}
    paths |= {named: site.folder / named for named in own_files_of(site) if named}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items() if path.is_file()}


def raw_tables(site: Site) -> dict[str, tuple[str, Feed]]:
    """By name of its table: each source, and what it delivers.

    Args:
        site: With the sources.
    """
    return {raw_table(one).name: (one.name, Feed(one.feeds)) for one in site.sources}


def causes(
    tables: Mapping[str, tuple[str, Feed]],
    period: Period,
    before: tuple[Mapping[str, int], MadeWith],
    now: tuple[Mapping[str, int], MadeWith],
    fingerprints: Fingerprints,
    factors: Sequence[str] | None = None,
) -> list[Cause]:
    """What is otherwise now than it was, as far as it can reach a period.

    Args:
        tables: From `raw_tables`: sources of now.
        period: What is reported.
        before: Versions of the tables, and what else a report was made with, at the edition before.
        now: The same at this one.
        fingerprints: Reads them from the lake.
        factors: Each factor of the period's days that became another one, as the records of applied factors tell it;
            None where one of both editions has no record.
    """
    found = [Cause(Kind.FACTOR_EDITION, said) for said in factors or ()]
    for table, (source, feed) in tables.items():
        if before[0].get(table) != now[0].get(table):
            try:
                old, new = (fingerprints(table, versions.get(table)) for versions in (before[0], now[0]))
            except DamagedError:
                found.append(Cause(Kind.LOST, f"{source}: its earlier versions cannot be read any more", feed))
                continue
            found += _changed(source, feed, old, new, period)
    feeds = dict(tables.values())
    return [*found, *_made_with(before[1], now[1], feeds, frozenset() if factors is None else RECORDED)]


def relevant(cause: Cause, fact: Fact) -> bool:
    """Whether a change can have reached a figure.

    Args:
        cause: What changed.
        fact: A figure, with the columns it is made of.
    """
    tables = {name.partition(".")[0] for name in fact.reads}
    if cause.kind == Kind.FACTOR_EDITION:
        return not tables <= _WITHOUT_FACTORS
    of = {"period": tables, "year": tables & (_YEARLY | _AROUND), "around": tables & _AROUND}
    if not of[cause.when] and tables:
        return False
    if not fact.metric.startswith(cause.metrics) or (cause.table and cause.table not in tables):
        return False
    return cause.feed is None or Feed(cause.feed) in _feeds(fact.reads)


def _feeds(reads: Sequence[str]) -> set[Feed]:
    found = set[Feed]()
    for name in reads:
        table, _, column = name.partition(".")
        found |= _OF_TABLE.get(table, set(Feed))
        if table == "emissions" and column not in _WITHOUT_GRID:
            found |= _GRID
    return found


def _changed(
    source: str, feed: Feed, old: Mapping[date, str], new: Mapping[date, str], period: Period
) -> Iterator[Cause]:
    """Days of a source that changed, came, or are gone: of the period, of its year, and of the years around it."""
    spans: dict[When, DayRange] = {
        "period": DayRange(period.first, period.last),
        "year": DayRange(date(period.first.year, 1, 1), date(period.last.year, 12, 31)),
        "around": DayRange(date(period.first.year - 1, 1, 1), date(period.last.year + 1, 12, 31)),
    }
    days = {
        "changed": {day for day in set(old) & set(new) if old[day] != new[day]},
        "arrived": set(new) - set(old),
        "no longer there": set(old) - set(new),
    }
    for said, some in days.items():
        revised = feed == Feed.GRID_INTENSITY and said == "changed"
        kind, told = Kind.REVISED_GRID if revised else Kind.LATE_DATA, set[date]()
        for when, span in spans.items():
            mine = {day for day in some if day in span} - told
            told |= mine
            if mine:
                yield Cause(kind, f"{source}: {_spans(mine)} {said}", feed, when)


def _spans(days: Collection[date]) -> str:
    """How many days, and which."""
    if all(day.day == 1 for day in days) and len(days) > 1:
        return f"{counted(len(days), 'month or day', 'months or days')} from {min(days)} to {max(days)}"
    spans = contiguous(sorted(days))
    more = f" and {len(spans) - SHOWN} more stretches" if len(spans) > SHOWN else ""
    return f"{counted(len(days), 'day')} ({', '.join(map(str, spans[:SHOWN]))}{more})"


def _made_with(old: MadeWith, new: MadeWith, feeds: Mapping[str, Feed], recorded: Collection[str]) -> Iterator[Cause]:
    """What editions are made with besides data, without the files of factors whose every use is on record."""
    if old.release != new.release:
        yield Cause(Kind.RELEASE, f"{old.release} then, {new.release} now")
    elif old.lock_sha256 != new.lock_sha256:
        yield Cause(Kind.RELEASE, "other versions of its dependencies (requirements.lock)")
    files = {*old.factors, *new.factors} - {*recorded}
    names = sorted(name for name in files if old.factors.get(name) != new.factors.get(name))
    if names:
        yield Cause(Kind.FACTOR_EDITION, ", ".join(names))
    if old.profile_sha256 != new.profile_sha256:
        yield Cause(Kind.PROFILE, "its file in reports/frameworks")
    for key in sorted(key for key in {*old.site, *new.site} if old.site.get(key) != new.site.get(key)):
        source = key.partition(": ")[2]
        metrics = PREFIX if key == "kpis" else ""
        yield Cause(Kind.SITE_FILE, key, feeds.get(source), table=_REACH.get(key, ""), metrics=metrics)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

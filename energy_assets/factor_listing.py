"""Which factor applies where, since when and who says so; and which rows are missing.

What belongs here: what `energy-assets factors` shows of a site. What does not: the factors themselves.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import ibis

from energy_assets.contracts.regions import region_key
from energy_assets.contracts.vocabulary import DeviceKind, FactorState, Feed
from energy_assets.counting import counted
from energy_assets.estimates.constants import Constants
from energy_assets.estimates.lines import components_table, costs_of_kinds, kinds_of, used
from energy_assets.estimates.own_tables import (
    ACCELERATOR_COLUMNS,
    INSTANCE_COLUMNS,
    own_constants,
    own_hardware,
    own_losses,
)
from energy_assets.factors import hardware
from energy_assets.factors.editions import BEGINNING, END, Edition, superseded
from energy_assets.factors.footprints import Embodied, embodied_device, embodied_server, water_of_grid, water_stress
from energy_assets.factors.hosted_models import BOUNDARIES, hosted_models
from energy_assets.factors.losses import loss_of
from energy_assets.factors.places import MEMBER, Member, Resolved, members_of, resolve, site_zones
from energy_assets.factors.tables import published_pue, published_wue
from energy_assets.lake import Lake
from energy_assets.site import Site
from energy_assets.sources.grid_factors.published import superseded_intensities
from energy_assets.sources.grid_factors.source import GridFactors
from energy_assets.tables import COST, EMISSIONS, ENERGY, GRID_INTENSITY

COLUMNS = ("factor", "of", "value", "unit", "from", "until", "edition", "state", "said_by")
APPLIES, CARRIED = FactorState.APPLIES.value, FactorState.CARRIED.value
SUPERSEDED, LISTED = "superseded", "listed"
"""Further states of a factor: replaced by a newer edition; known, and no figure is made of it yet."""
AQUEDUCT = "water_stress.csv: World Resources Institute 2023, Aqueduct 4.0"
ENOUGH = 8
"""Kinds of use without a method that are named one by one."""


@dataclass(frozen=True)
class Applied:
    """One factor: the columns of the listing."""

    factor: str
    of: str
    value: str
    unit: str
    since: str
    until: str
    edition: str
    said_by: str
    state: str = APPLIES

    @property
    def row(self) -> tuple[str, ...]:
        """In the order of `COLUMNS`."""
        return (
            self.factor, self.of, self.value, self.unit, self.since, self.until, self.edition, self.state, self.said_by,
        )  # fmt: skip


def applied(site: Site) -> list[Applied]:
    """Every factor that applies to what the lake has of a site, the places' first.

    Args:
        site: The site.

    Raises:
        MalformedError: a file of factors of the site cannot be read.
    """
    con, lake = ibis.duckdb.connect(), Lake(site.disk())
    return [
        *_places(site, con, lake), *_grids(con, lake), *_losses(site, con, lake), *_waters(con, lake),
        *_made(site, con, lake), *_machines(site, con, lake), *_coefficients(site), *_published_intensities(site),
        *_hosted_models(),
    ]  # fmt: skip


def _places(site: Site, con: Any, lake: Lake) -> Iterator[Applied]:
    """Zone, PUE, scope and WUE of the places that occur, each for the stretches of days that have rows."""
    rows = lake.read(con, EMISSIONS).select(*MEMBER, "day").distinct()
    days = con.to_pyarrow(rows.aggregate(first=rows.day.min(), last=rows.day.max())).to_pylist()[0]
    found: dict[Applied, None] = {}
    for member in members_of(rows):
        where = " ".join(filter(None, (member.provider, member.region)))
        entries = resolve([member], site.source_places, site.places)
        for number, (name, column, unit) in enumerate(_OF_PLACES):
            for one in _stretches(entries, number, name, column, unit, where):
                if days["first"].isoformat() <= (one.until or "9999") and one.since <= days["last"].isoformat():
                    found[one] = None
        for name, unit, editions in _published(member):
            found.update(dict.fromkeys(_replaced(name, where, unit, editions)))
    yield from sorted(found, key=lambda one: (one.factor, one.of, one.since, one.state))


_OF_PLACES = (
    ("grid zone", "zone", ""), ("PUE", "pue", "kWh/kWh"), ("GHG scope", "ghg_scope", ""), ("WUE", "wue", "l/kWh"),
)  # fmt: skip


def _stretches(
    entries: Sequence[Resolved], number: int, name: str, column: str, unit: str, where: str
) -> Iterator[Applied]:
    """One factor of a place: its longest stretches with the same value, stated by the same."""

    def alike(entry: Resolved) -> tuple[Any, ...]:
        return getattr(entry, column), entry.said_by[number], entry.standing[number]

    for (value, by, stands), group in groupby(entries, alike):
        mine = list(group)
        edition, state = (_edition(stands.edition), CARRIED if stands.carried else APPLIES) if stands else ("", APPLIES)
        said = "unknown" if value is None else f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
        since, until = _bounds(mine[0].valid_from, mine[-1].valid_to)
        yield Applied(name, where, said, unit, since, until, edition, by, state)


def _published(member: Member) -> Iterator[tuple[str, str, Sequence[Edition]]]:
    key = region_key(member.provider, member.region or "")
    yield "PUE", "kWh/kWh", published_pue().get(key, ())
    yield "WUE", "l/kWh", published_wue().get(key, ())


def _replaced(name: str, where: str, unit: str, editions: Sequence[Edition]) -> Iterator[Applied]:
    for one in superseded(editions):
        since, until = _bounds(one.valid_from, one.valid_to)
        yield Applied(name, where, one.value, unit, since, until, _edition(one), one.source, SUPERSEDED)


def _edition(one: Edition) -> str:
    return f"{one.edition} (published {one.published})" if one.edition and one.published else one.edition


def _bounds(first: date, after: date) -> tuple[str, str]:
    """First and last day as printed; empty where there is no bound."""
    since = "" if first == BEGINNING else first.isoformat()
    return since, "" if after == END else (after - timedelta(days=1)).isoformat()


def _grids(con: Any, lake: Lake) -> Iterator[Applied]:
    rows = lake.read(con, GRID_INTENSITY)
    by = rows.group_by("zone", "source", "factor_id", "resolution").aggregate(
        first=rows.hour.min(), last=rows.hour.max(), mean=rows.direct_gco2e_per_kwh.cast("float64").mean(),
        lifecycle=rows.lifecycle_gco2e_per_kwh.cast("float64").mean(),
    )  # fmt: skip
    for row in con.to_pyarrow(by.order_by("zone", "first", "source")).to_pylist():
        for name, value in (("direct", row["mean"]), ("life-cycle", row["lifecycle"])):
            yield Applied(
                f"grid intensity, {name}, mean of its {row['resolution'] or 'hour'}s",
                row["zone"],
                "unknown" if value is None else f"{value:.1f}",
                "gCO2e/kWh",
                f"{row['first']:%Y-%m-%d %H:00}",
                f"{row['last']:%Y-%m-%d %H:59}",
                row["factor_id"] or "",
                row["source"] or "no source",
            )


def _losses(site: Site, con: Any, lake: Lake) -> Iterator[Applied]:
    """What each grid zone loses for a kWh that arrives, year by year."""
    rows, own = lake.read(con, EMISSIONS), own_losses(site)
    mine = rows.filter(rows.zone.notnull()).select("zone", year=rows.hour.year()).distinct().order_by("zone", "year")
    for row in con.to_pyarrow(mine).to_pylist():
        found, days = loss_of(row["zone"], row["year"], own), (f"{row['year']}-01-01", f"{row['year']}-12-31")
        value = f"{found.per_kwh:f}" if found else "unknown"
        edition, by = (str(found.year), f"{found.said_by}: {found.source}") if found else ("", "")
        state = CARRIED if found and found.year != row["year"] else APPLIES
        yield Applied("grid losses", row["zone"], value, "kWh lost per kWh delivered", *days, edition, by, state)


def _waters(con: Any, lake: Lake) -> Iterator[Applied]:
    """Water of the grid zones, and how scarce it is at the regions of clouds, which is a word and no factor."""
    rows = lake.read(con, EMISSIONS)
    zones = rows.filter(rows.zone.notnull()).select("zone").distinct().order_by("zone").to_pyarrow()["zone"]
    for zone in zones.to_pylist():
        found = water_of_grid(zone)
        value = f"{found.l_per_kwh.normalize():f}" if found else "unknown"
        edition, source = (str(found.year), found.source) if found else ("", "")
        yield Applied("water of the grid, consumed", zone, value, "l/kWh", "", "", edition, source)
    places = rows.filter(rows.region.notnull()).select("provider", "region").distinct().order_by("provider", "region")
    for place in con.to_pyarrow(places).to_pylist():
        if stress := water_stress(place["provider"], place["region"]):
            yield Applied(
                "water stress", f"{place['provider']} {place['region']}", stress, "", "", "", "2023", AQUEDUCT
            )


def _made(site: Site, con: Any, lake: Lake) -> Iterator[Applied]:
    """Footprints of hardware: the inventory's lines, and those of the accelerators and machine types that occur."""
    for line in own_hardware(site):
        of = " ".join(filter(None, (line.host, line.device_model)))
        last = (line.after - timedelta(days=1)).isoformat()
        unit = f"kg over {line.lifetime_years.normalize():f} years"
        yield Applied("making of hardware", of, f"{line.kg:f}", unit, line.first.isoformat(), last, "", line.source)
    rows = lake.read(con, ENERGY)
    models = rows.filter(rows.device_kind == DeviceKind.GPU.value, rows.device_model.notnull())
    for model in models.select("device_model").distinct().order_by("device_model").to_pyarrow()[0].to_pylist():
        yield _footprint(model, embodied_device(hardware.accelerator_of_device(model) or ""))
    if site.has(Feed.ESTIMATES):
        cost = lake.read(con, COST)
        types = cost.filter(cost.instance_type.notnull()).select("provider", "instance_type").distinct()
        for row in con.to_pyarrow(types.order_by("provider", "instance_type")).to_pylist():
            yield _footprint(row["instance_type"], embodied_server(row["provider"], row["instance_type"]))


def _footprint(of: str, found: Embodied | None) -> Applied:
    if found is None:
        return Applied("making of hardware", of, "unknown", "", "", "", "", "")
    among = f" of a server of {found.server_vcpus:f} vCPUs" if found.server_vcpus else ""
    unit = f"kg{among} over {found.lifetime_years:f} years"
    return Applied("making of hardware", of, f"{found.kg:f}", unit, "", "", str(found.year), found.source)


def _machines(site: Site, con: Any, lake: Lake) -> Iterator[Applied]:
    """Machine types on the bills, each with its parts and their watts."""
    if not site.has(Feed.ESTIMATES):
        return
    constants = own_constants(site)
    kinds = kinds_of(used(lake.read(con, COST)), constants)
    found: dict[Applied, None] = {}
    for line, decision in kinds.items():
        for part in decision.components:
            if not part.slope_kwh:
                continue
            edition, source = _power_source(line.provider, part.device_kind, part.device_model, constants)
            idle, full = float(part.idle_kwh * 1000), float((part.idle_kwh + part.slope_kwh) * 1000)
            name = f"watts of a {'vCPU' if part.amount_unit == 'vcpu_h' else 'GPU'}, none to full load"
            of, value = part.device_model or f"average of {line.provider}", f"{idle:.4g} to {full:.4g}"
            found[Applied(name, of, value, "W", "", "", edition, source)] = None
    yield from sorted(found, key=lambda one: (one.factor, one.of, one.value))


def _power_source(provider: str, kind: str, model: str | None, constants: Constants) -> tuple[str, str]:
    if kind == "gpu" and model:
        one = constants.own_accelerators.get(model) or hardware.accelerators().get(model)
        return (str(one.year), one.source) if one else ("", "")
    power = hardware.cpu_power(provider, model)
    return (str(power.year), power.source) if power else ("", "")


def _coefficients(site: Site) -> Iterator[Applied]:
    if not site.has(Feed.ESTIMATES):
        return
    for name, one in sorted(hardware.coefficients().items()):
        yield Applied(
            name.replace("_", " "), "estimates", f"{one.value:f}", one.unit, "", "", str(one.year), one.source
        )
    for proxy in site.estimates.spend_proxy:
        unit = f"kWh/{proxy.currency}"
        of = f"{proxy.provider} {proxy.service}"
        yield Applied("energy per money", of, f"{proxy.kwh_per_unit:f}", unit, "", "", "", proxy.source)


def _published_intensities(site: Site) -> Iterator[Applied]:
    """Editions of grid intensities that a later one has replaced, in the tables of publishers that the site takes."""
    zones = set(site_zones(site))
    publishers = [name for one in site.sources if isinstance(one, GridFactors) for name in one.publishers]
    for row in (row for name in dict.fromkeys(publishers) for row in superseded_intensities(name)):
        if row.zone in zones:
            first = date(row.year, row.begins or 1, 1)
            since, until = _bounds(first, date(row.year + 1, row.begins or 1, 1))
            edition, said = f"{row.edition} (published {row.published})", f"{row.source}: {row.of}"
            yield Applied(
                "grid intensity, direct, of a year", row.zone, f"{row.direct_gco2e_per_kwh:f}", "gCO2e/kWh", since,
                until, edition, said, SUPERSEDED,
            )  # fmt: skip


def _hosted_models() -> Iterator[Applied]:
    for one in hosted_models():
        of = f"{one.provider} {one.model}: {one.metric}"
        interval = "" if one.low is None else f" ({one.low:f} to {one.high:f})"
        by = f"hosted_models.csv: {one.source}; {BOUNDARIES[one.boundary]}"
        edition = f"{one.year} (published {one.published})"
        yield Applied("hosted model", of, f"{one.value:f}{interval}", one.unit, "", "", edition, by, LISTED)


def missing(site: Site) -> str:
    """The rows that bills need and no table has, as CSV to fill in and to append to a file of the site's own.

    Args:
        site: The site.

    Raises:
        MalformedError: a file of factors of the site cannot be read.
    """
    con, lake = ibis.duckdb.connect(), Lake(site.disk())
    lines = used(lake.read(con, COST))
    kinds = kinds_of(lines, own_constants(site))
    table = con.create_table("components", components_table(kinds.items()), temp=True)
    costs = costs_of_kinds(lines, table)
    alike = ["provider", "service", "reason", "what", "billing_currency"]
    summed = costs.group_by(alike).aggregate(lines=costs.lines.sum(), billed_cost=costs.billed_cost.sum())
    found = con.to_pyarrow(summed.order_by(ibis.desc("billed_cost"))).to_pylist()
    return _written(found, date.today().year)


def _written(found: Sequence[dict[str, Any]], year: int) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    spent: dict[str, Any] = {}
    for row in found:
        spent[row["billing_currency"]] = spent.get(row["billing_currency"], 0) + row["billed_cost"]
    types = list(dict.fromkeys((r["provider"], r["what"]) for r in found if r["reason"] == "unknown type"))
    powers = list(dict.fromkeys(r["what"] for r in found if r["reason"] == "no power"))
    if types:
        text.write("# For the file that `factors: {instances: …}` in site.yaml names.\n")
        writer.writerow(INSTANCE_COLUMNS)
        for provider, what in types:
            text.write(f"# {_share(found, spent, 'unknown type', what)}\n")
            writer.writerow([provider, what, "", "", "", "", year, ""])
    if powers:
        text.write("# For the file that `factors: {accelerators: …}` in site.yaml names.\n")
        writer.writerow(ACCELERATOR_COLUMNS)
        for what in powers:
            text.write(f"# {_share(found, spent, 'no power', what)}\n")
            writer.writerow([what, "", "", "", year, ""])
    text.writelines(_without_method(found, spent))
    return text.getvalue() or "# Nothing is missing: every line of use is estimated, or has no energy of its own.\n"


def _share(found: Iterable[dict[str, Any]], spent: dict[str, Any], reason: str, what: str) -> str:
    rows = [row for row in found if row["reason"] == reason and row["what"] == what]
    parts = []
    for row in rows:
        of = spent[row["billing_currency"]]
        pct = f" ({100 * row['billed_cost'] / of:.1f} % of the cost of use)" if of else ""
        parts.append(f"{counted(row['lines'], 'line')}, {row['billed_cost']:.2f} {row['billing_currency']}{pct}")
    return "; ".join(parts)


def _without_method(found: Sequence[dict[str, Any]], spent: dict[str, Any]) -> Iterator[str]:
    """Use of which nobody publishes the energy, as comments: nothing a row could mend."""
    for reason, says in (
        ("tokens", "Tokens of hosted models, which no line of a bill makes energy of"),
        ("no method", "Use of which nobody publishes what it draws"),
        ("no quantity", "Use without a quantity, or in a unit we do not know"),
    ):
        rows = [row for row in found if row["reason"] == reason]
        if not rows:
            continue
        yield f"# {says}: {_totals(rows, spent)}\n"
        for row in rows[:ENOUGH]:
            yield f"#   {row['provider']}, {row['service']}: {row['what'][:90]}\n"
        if len(rows) > ENOUGH:
            yield f"#   and {counted(len(rows) - ENOUGH, 'kind')} more\n"


def _totals(rows: Sequence[dict[str, Any]], spent: dict[str, Any]) -> str:
    by: dict[str, Any] = {}
    for row in rows:
        by[row["billing_currency"]] = by.get(row["billing_currency"], 0) + row["billed_cost"]
    lines = counted(sum(row["lines"] for row in rows), "line")
    costs = [
        f"{cost:.2f} {currency}" + (f" ({100 * cost / spent[currency]:.1f} %)" if spent[currency] else "")
        for currency, cost in by.items()
    ]
    return f"{lines}, {', '.join(costs)}"

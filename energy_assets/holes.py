"""What the tables of some days lack although a run of them ended well: rows without zone, factor, owner or energy.

What belongs here: questions to published tables whose answers a person must be told at the end of a run. What does
not: what a source left out while parsing (`sources/notes.py`), and rules that a table must keep (`contracts/`).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.bill_holes import bill_holes
from energy_assets.contracts import types as t
from energy_assets.contracts.vocabulary import ESTIMATED, Feed, GhgScope, WorkloadType
from energy_assets.counting import counted
from energy_assets.factors.grid_intensity import ladder
from energy_assets.footprint_holes import unknown_footprints
from energy_assets.lake import Lake
from energy_assets.periods import contiguous
from energy_assets.proposed_lines import quoted
from energy_assets.remarks import Remark
from energy_assets.site import Site
from energy_assets.sources.exact import exact_mean
from energy_assets.sources.intensity import INTENSITIES, far_apart, too_many, values_said
from energy_assets.tables import ACTIVITY, COST, EMISSIONS, ENERGY, GRID_INTENSITY, Table, raw_table

MINOR_SHARE = Decimal("0.01")
"""Of all energy: what is estimated from bills and has no emissions is told, and no hole, up to this share."""
SHOWN = 5
"""Zones, models or places that a sentence names; the others are counted."""
UNKNOWN = WorkloadType.UNKNOWN.value


def holes(site: Site, days: Collection[date]) -> list[Remark]:
    """What the published tables of some days lack, the gravest first.

    Args:
        site: Whose tables are asked.
        days: The days of a run.
    """
    con = ibis.duckdb.connect()
    con.raw_sql("SET TimeZone = 'UTC'")
    tables = _Tables(con, Lake(site.disk()), sorted(days))
    return [
        *_grams(site, tables),
        *_intensities(site, tables),
        *(unknown_footprints(tables(EMISSIONS)) if site.has(Feed.ENERGY) else []),
        *_requests(site, tables),
        *_owners(site, tables),
        *_unmatched(site, tables),
        *_bills(tables),
        *bill_holes(site, tables, tables.rows),
    ]


def empty_sources(site: Site, empty: dict[str, set[date]], asked: Collection[date]) -> list[Remark]:
    """Sources that published no row on days they were asked for.

    A bill may have a day without a charge, of which its own note tells; only one without any is a hole here. Nothing
    lacks an intensity where no source tells energy, and of hours that lack one other lines tell.

    Args:
        site: Its sources.
        empty: By asset: the partitions that were published without a row.
        asked: The days of the run.
    """
    found = []
    for source in site.sources:
        about = "/".join(raw_table(source).asset)
        none = empty.get(about, set())
        wanted = set(asked) if source.grain == "day" else {day.replace(day=1) for day in asked}
        if not none or (source.feeds == Feed.COST and not wanted <= none):
            continue
        whole = "on all days it was asked for" if wanted <= none else f"on {counted(len(none), 'day')} it was asked for"
        found.append(
            Remark(
                about,
                f"published no row {whole}",
                hole=source.speaks_of_every_day
                and (source.feeds != Feed.GRID_INTENSITY or bool(site.has(Feed.ENERGY))),
                remedy=f"Look at what it has of these days, and at the keys of '{source.name}' in the site file.",
                days=tuple(contiguous(sorted(none))),
            )
        )
    return found


@dataclass(frozen=True)
class _Tables:
    con: Any
    lake: Lake
    days: Sequence[date]

    def __call__(self, table: Table) -> ir.Table:
        return self.lake.read(self.con, table, self.days)

    def rows(self, asked: ir.Table) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.con.to_pyarrow(asked).to_pylist()
        return found


def _grams(site: Site, tables: _Tables) -> Iterator[Remark]:
    """Energy without a zone or a PUE, and zones without a factor or without the part of one that a scope needs."""
    if not site.has(Feed.ENERGY):
        return
    rows = tables(EMISSIONS)
    known = rows.filter(rows.energy_kwh.notnull())
    flawed = known.filter(known.zone.isnull() | known.location_g.isnull() | known.upstream_g.isnull())
    pueless = (
        flawed.factor_id.notnull() & flawed.pue.isnull() & flawed.lifecycle_g.isnull() & flawed.location_g.isnull()
    )
    bare = flawed.factor_id.notnull() & flawed.location_g.isnull() & ~pueless
    by_zone = flawed.group_by("zone", "provider", "region", "ghg_scope").aggregate(
        rows=flawed.count(),
        kwh=flawed.energy_kwh.sum(),
        factorless=flawed.factor_id.isnull().sum(),
        factorless_kwh=flawed.energy_kwh.sum(where=flawed.factor_id.isnull()),
        unbuilt=flawed.pue.isnull().sum(),
        pueless=pueless.sum(),
        pueless_kwh=flawed.energy_kwh.sum(where=pueless),
        bare=bare.sum(),
        bare_kwh=flawed.energy_kwh.sum(where=bare),
        guessed=flawed.method.isin(ESTIMATED).all(),
        upstreamless=(flawed.upstream_g.isnull() & flawed.location_g.notnull()).sum(),
    )
    found = tables.rows(by_zone.order_by("zone", "provider", "region", "ghg_scope"))
    (whole,) = tables.rows(known.aggregate(kwh=known.energy_kwh.sum()))
    minor = _minor(found, whole["kwh"])
    yield from _without_grams_of_bills(minor)
    found = [row for row in found if row not in minor]
    yield from _without_zone([row for row in found if row["zone"] is None])
    zoned = [row for row in found if row["zone"] is not None]
    yield from _without_factor(site, tables, zoned)
    yield from _without_pue([row for row in zoned if row["pueless"]])
    yield from _without_direct(site, [row for row in zoned if row["bare"]])
    if site.factors.scope2_basis == "direct":
        bare = sorted({row["zone"] for row in zoned if row["upstreamless"]})
        if bare:
            yield _without_upstream(site, tables, bare)


def _intensities(site: Site, tables: _Tables) -> Iterator[Remark]:
    """Hours of zones that take a mean for want of a value of their own, and zones of which two sources differ."""
    sources = site.feeding(Feed.GRID_INTENSITY)
    if not (sources and site.has(Feed.ENERGY)):
        return
    rows = tables(GRID_INTENSITY)
    stated = [source.name for source in sources if source.kind == "grid_factors"]
    known = rows.filter(rows.source.notnull())
    mean = known.resolution != "hour"
    hourly = ~known.source.isin(stated) if stated else known.source.notnull()
    per_clock = known.group_by("zone", clock=known.hour.hour()).aggregate(
        hours=known.count(), means=mean.sum(), hourly=hourly.sum()
    )
    whole = (per_clock.means == per_clock.hours).sum()
    by_zone = per_clock.group_by("zone").aggregate(
        hours=per_clock.hours.sum(),
        means=per_clock.means.sum(),
        never=whole.cast("int64"),
        hourly=per_clock.hourly.sum(),
    )
    found = [row for row in tables.rows(by_zone.order_by("zone")) if row["means"] and row["hourly"]]
    many = [row for row in found if too_many(row["means"], row["hours"], row["never"], len(tables.days))]
    for hole, some in ((True, many), (False, [row for row in found if row not in many])):
        if some:
            said = [f"{row['means']:,} of {counted(row['hours'], 'hour')} of {row['zone']}" for row in some]
            yield Remark(
                "/".join(GRID_INTENSITY.asset),
                f"{_named(said)} have no grid intensity of their own and take the mean of their month or year",
                hole=hole,
                remedy="Look whether the export has all hours of the day, and add those that are missing.",
            )
    if len(sources) > 1:
        raw = {source.name: raw_table(source) for source in sources}
        others = ibis.union(*(ladder(tables(table), name, 0, name in stated) for name, table in raw.items()))
        yield from _rivals(tables, rows, others)
        yield from _passed_over(site, tables, rows, others)


def _passed_over(site: Site, tables: _Tables, chosen: ir.Table, others: ir.Table) -> Iterator[Remark]:
    """Sources of a better rung than the one that counts, which lack the basis of Scope 2."""
    pairs = chosen.join(others, ["zone", "hour"], rname="other_{name}")
    better = pairs.filter(pairs.source != pairs.other_source, pairs.other_factor_tier < pairs.factor_tier)
    hours = better.group_by("zone", "source", "other_source").aggregate(hours=better.hour.nunique())
    lines = [
        f"{counted(row['hours'], 'hour')} of {row['zone']} in {row['other_source']} ({row['source']} counts)"
        for row in tables.rows(hours.order_by("zone", "source", "other_source"))
    ]
    if lines:
        wanted, alone = ("direct", "life-cycle") if site.factors.scope2_basis == "direct" else ("life-cycle", "direct")
        yield Remark(
            "/".join(GRID_INTENSITY.asset),
            f"hours with a {alone} intensity alone are not used for Scope 2: {_named(lines)}",
            hole=False,
            remedy=f"Give the {wanted} intensity of these hours too, if it is known.",
        )


def _rivals(tables: _Tables, chosen: ir.Table, others: ir.Table) -> Iterator[Remark]:
    """Sources of the same rung as the one that counts, with other values of the same hours of a zone."""
    pairs = chosen.join(others, ["zone", "hour", "factor_tier", "resolution"], rname="other_{name}")
    pairs = pairs.filter(pairs.source != pairs.other_source)
    both = {}
    for basis in INTENSITIES:
        known = pairs[basis].notnull() & pairs[f"other_{basis}"].notnull()
        both[basis] = exact_mean(known.ifelse(pairs[basis], ibis.null(t.FACTOR)), t.FACTOR)
        both[f"other_{basis}"] = exact_mean(known.ifelse(pairs[f"other_{basis}"], ibis.null(t.FACTOR)), t.FACTOR)
    said: dict[bool, list[str]] = {True: [], False: []}
    for row in tables.rows(pairs.group_by("zone", "source", "other_source").aggregate(**both).order_by("zone")):
        values = [(row[basis], row[f"other_{basis}"]) for basis in INTENSITIES if row[basis] is not None]
        if any(mine != theirs for mine, theirs in values):
            mine, theirs = ([row[f"{prefix}{basis}"] for basis in INTENSITIES] for prefix in ("", "other_"))
            said[any(far_apart(*pair) for pair in values)].append(
                f"{row['zone']}: {row['source']} ({values_said(mine[1], mine[0])}) counts, {row['other_source']} says "
                f"{values_said(theirs[1], theirs[0])}"
            )
    for hole, lines in said.items():
        if lines:
            yield Remark(
                "/".join(GRID_INTENSITY.asset),
                f"two sources state different intensities of the same hours: {_named(lines)}",
                hole=hole,
                remedy="Take the wrong one out; of two sources of one kind the one that stands first counts.",
            )


def _minor(found: Sequence[dict[str, Any]], whole: Decimal | None) -> list[dict[str, Any]]:
    """What is estimated from bills and has no emissions, where it is a small part of all energy.

    Many small services are billed in regions in which nothing else is.

    Args:
        found: By place.
        whole: All energy that is known.
    """
    guessed = [row for row in found if row["guessed"] and (row["zone"] is None or row["factorless"])]
    return guessed if sum(row["kwh"] for row in guessed) <= (whole or 0) * MINOR_SHARE else []


def _without_grams_of_bills(minor: Sequence[dict[str, Any]]) -> Iterator[Remark]:
    if minor:
        where = [" ".join(filter(None, (row["provider"], row["region"]))) for row in minor]
        yield Remark(
            "emissions/hourly",
            f"{_amount(minor, 'rows', 'kwh')} estimated from bills have no grid zone or no grid factor, so no "
            f"emissions: {_named(list(dict.fromkeys(where)))}",
            hole=False,
        )


def _without_zone(found: Sequence[dict[str, Any]]) -> Iterator[Remark]:
    if not found:
        return
    yield _placed("no grid zone", _amount(found, "rows", "kwh"), found)


def _without_pue(found: Sequence[dict[str, Any]]) -> Iterator[Remark]:
    if found:
        yield _placed("no PUE", _amount(found, "pueless", "pueless_kwh"), found)


def _placed(lacks: str, amount: str, found: Sequence[dict[str, Any]]) -> Remark:
    """What places do not say, with a line for each that says all that it lacks."""
    wanted: dict[tuple[str, str | None], set[str]] = {}
    for row in found:
        absent = {name for name, is_absent in (("zone", row["zone"] is None), ("pue", row["unbuilt"])) if is_absent}
        wanted.setdefault((row["provider"], row["region"]), set()).update(absent)
    places = sorted(wanted, key=str)
    text = "\n".join(_place_line(*place, wanted[place]) for place in places[:SHOWN])
    where = _named([" ".join(filter(None, place)) for place in places])
    return Remark(
        "emissions/hourly",
        f"{amount} have {lacks}, so no emissions: {where}",
        remedy=f"Add to site.yaml under `places:`, then run these days again.\n{text}",
    )


def _place_line(provider: str, region: str | None, wanted: Collection[str]) -> str:
    where = f", region: {quoted(region)}" if region else ""
    keys = "".join(f", {name}: …" for name in ("zone", "pue") if name in wanted)
    about = "   # as Electricity Maps names it: DE, US-CAL-CISO" if "zone" in wanted else ""
    return f"- {{provider: {provider}{where}{keys}}}{about}"


def _without_factor(site: Site, tables: _Tables, found: Sequence[dict[str, Any]]) -> Iterator[Remark]:
    lacking = [row for row in found if row["factorless"]]
    if not lacking:
        return
    zones = sorted({row["zone"] for row in lacking})
    served = _served(site, tables)
    near = [one for zone in zones for one in nearest(zone, served)]
    # A few of many: those that are spelled like the wanted ones first.
    shown = list(dict.fromkeys([*near, *served]))
    has = f"intensity is known for {_named(shown)}" if served else "no source has an intensity of these days"
    remedy = (
        "Name a zone that a source has, or add a source that has this one; then run these days again."
        if served
        else "Add a source of grid intensity to site.yaml, or mend the one there is; then run these days again."
    )
    yield Remark(
        "emissions/hourly",
        f"{_amount(lacking, 'factorless', 'factorless_kwh')} have no grid factor: "
        f"{_many(zones, 'zone')} {_named(zones)}; {has}",
        remedy=remedy,
    )


def _without_direct(site: Site, found: Sequence[dict[str, Any]]) -> Iterator[Remark]:
    """Own or leased machines in zones of which only one half of the factor is known."""
    bare = [row for row in found if row["ghg_scope"] != GhgScope.SCOPE31.value or site.factors.scope2_basis != "direct"]
    if not bare:
        return
    zones = sorted({row["zone"] for row in bare})
    wanted = "direct" if site.factors.scope2_basis == "direct" else "life-cycle"
    amount = _amount(bare, "bare", "bare_kwh")
    yield Remark(
        "emissions/hourly",
        f"{amount} have no Scope 2 emissions: no {wanted} intensity is known in {_named(zones)}",
        remedy=f"Give a source that has the {wanted} intensity of the zone; then run these days again.",
    )


def _without_upstream(site: Site, tables: _Tables, zones: Sequence[str]) -> Remark:
    """Zones of which some energy has no life-cycle factor; one of a lower rung is not mixed with a direct one."""
    having: set[str] = set()
    for source in site.feeding(Feed.GRID_INTENSITY):
        rows = tables(raw_table(source))
        found = rows.filter(rows.lifecycle_gco2e_per_kwh.notnull(), rows.zone.isin(list(zones)))
        having |= {f"{source.name} ({row['zone']})" for row in tables.rows(found.select("zone").distinct())}
    says = f"the upstream part (Scope 3.3) is not known in {_named(zones)}: no life-cycle intensity"
    if not having:
        return Remark("emissions/hourly", says, hole=False)
    return Remark(
        "emissions/hourly",
        f"{says} beside the direct one that counts, and those of {_named(sorted(having))} are not mixed with it",
        hole=False,
        remedy="Give the life-cycle intensity in the source that has the direct one.",
    )


def _served(site: Site, tables: _Tables) -> list[str]:
    """Zones of which some source has an intensity on these days."""
    found: set[str] = set()
    for source in site.feeding(Feed.GRID_INTENSITY):
        rows = tables(raw_table(source))
        valued = rows.filter(rows.lifecycle_gco2e_per_kwh.notnull() | rows.direct_gco2e_per_kwh.notnull())
        found |= {row["zone"] for row in tables.rows(valued.select("zone").distinct())}
    return sorted(found)


def nearest(zone: str, served: Sequence[str]) -> list[str]:
    """Zones that the wanted one may mean: spelled alike, or a part or the whole of it.

    Args:
        zone: The wanted one.
        served: Those there are.
    """
    kin = [one for one in served if one.startswith(f"{zone}-") or zone.startswith(f"{one}-")]
    return [*kin, *difflib.get_close_matches(zone, served, SHOWN, 0.5)]


def _requests(site: Site, tables: _Tables) -> Iterator[Remark]:
    """Models that answered requests on days on which no energy is known of them, and models that answered none."""
    if not (site.has(Feed.ENERGY) and site.feeding(Feed.ACTIVITY)):
        return
    energy, activity = tables(ENERGY), tables(ACTIVITY)
    used = energy.filter(energy.energy_kwh > 0).select("day", "model_id").distinct()
    served = activity.filter(activity.requests > 0)
    alone = served.anti_join(used, ["day", "model_id"])
    by_model = alone.group_by("model_id").aggregate(requests=alone.requests.sum())
    found = tables.rows(by_model.order_by(ibis.desc("requests"), "model_id"))
    if found:
        total = sum(row["requests"] for row in found)
        models = _named([row["model_id"] or "(no model named)" for row in found])
        yield Remark(
            "kpi/daily",
            f"{counted(total, 'request')} without energy beside {'it' if total == 1 else 'them'}, so no Wh per "
            f"request: {_many(found, 'model')} {models}",
            remedy="Have the attribution rules give energy the model_id that the requests name; then run these days "
            "again.",
        )
    inference = energy.filter(energy.energy_kwh > 0, energy.workload_type == WorkloadType.INFERENCE.value)
    silent = inference.filter(inference.model_id.notnull()).anti_join(served, "model_id")
    by_model = silent.group_by("model_id").aggregate(kwh=silent.energy_kwh.sum())
    if found := tables.rows(by_model.order_by(ibis.desc("kwh"), "model_id")):
        kwh = _kwh(sum(row["kwh"] for row in found))
        models = _named([row["model_id"] for row in found])
        says = f"{kwh} of inference without a request beside them: {_many(found, 'model')} {models}"
        yield Remark("unified/activity", says, hole=False)


def _owners(site: Site, tables: _Tables) -> Iterator[Remark]:
    if site.attribution.rules and site.has(Feed.ENERGY):
        yield from owners(tables.con, tables(ENERGY))


def _unmatched(site: Site, tables: _Tables) -> Iterator[Remark]:
    """Projects that rules name and no row of these days has."""
    named = {rule.project for rule in site.attribution.rules if rule.project and not rule.project.startswith("{label:")}
    if not named:
        return
    owned = [tables(table).select("project").distinct() for table in (ENERGY, ACTIVITY, COST)]
    found = {row["project"] for row in tables.rows(ibis.union(*owned, distinct=True))}
    if found and (lost := sorted(named - found)):
        rows = "none of these days' rows of energy, activity and cost"
        yield Remark("unified/energy", f"the rules of {_named(lost)} match {rows}", hole=False)


def owners(con: Any, rows: ir.Table) -> Iterator[Remark]:
    """Energy that no rule gives a project; a hole where the rules met nothing of a source.

    Args:
        con: An Ibis DuckDB connection.
        rows: Of the table `energy`.
    """
    # Nobody's time is no project's: it has a name of its own.
    rows = rows.filter(rows.energy_kwh > 0, rows.workload_type != WorkloadType.IDLE.value)
    nobody = rows.project == UNKNOWN
    thing = ibis.ifelse(rows.workload_id.isnull(), rows.node_id, rows.workload_id + " on " + rows.node_id)
    by_source = rows.group_by("source").aggregate(
        kwh=rows.energy_kwh.sum(),
        rows=nobody.sum(),
        unknown_kwh=rows.energy_kwh.sum(where=nobody),
        things=thing.nunique(where=nobody),
        first=thing.min(where=nobody),
        measured=(~rows.method.isin(ESTIMATED)).any(),
    )
    for row in con.to_pyarrow(by_source.order_by("source")).to_pylist():
        if not row["rows"]:
            continue
        whole = row["unknown_kwh"] == row["kwh"]
        hole = whole and row["measured"]
        share = Decimal(100) * row["unknown_kwh"] / row["kwh"]
        of_all = "all of its energy" if whole else f"{_share(share)} of its energy"
        missed = row["first"] + (f" and {row['things'] - 1:,} more" if row["things"] > 1 else "")
        yield Remark(
            f"unified/energy from {row['source']}",
            f"{_kwh(row['unknown_kwh'])} ({of_all}) belong to no project: no attribution rule matches {missed}",
            hole=hole,
            remedy="Add a rule to `attribution:` that matches; then run these days again." if hole else "",
        )


def _bills(tables: _Tables) -> Iterator[Remark]:
    """Lines of bills that name a region in no known grid zone."""
    rows = tables(COST)
    lost = rows.filter(rows.zone.isnull(), rows.region.notnull())
    by_region = lost.group_by("provider", "region").aggregate(lines=lost.count())
    found = tables.rows(by_region.order_by(ibis.desc("lines"), "provider", "region"))
    if found:
        lines = sum(row["lines"] for row in found)
        where = _named([f"{row['provider']} {row['region']}" for row in found])
        yield Remark(
            "unified/cost",
            f"{counted(lines, 'line')} of bills {'has' if lines == 1 else 'have'} no grid zone: {where}",
            hole=False,
            remedy="Add to site.yaml under `places:`\n"
            + "\n".join(_place_line(row["provider"], row["region"], ["zone"]) for row in found[:SHOWN]),
        )


def _amount(rows: Sequence[dict[str, Any]], count: str, kwh: str) -> str:
    total = sum((row[kwh] or Decimal() for row in rows), Decimal())
    number = sum(row[count] for row in rows)
    return f"{counted(number, 'row')} ({_kwh(total)})"


def _many(things: Sequence[Any], word: str) -> str:
    return word if len(things) == 1 else f"{word}s"


def _kwh(value: Decimal) -> str:
    """Energy for a sentence: one decimal, more where it would be 0.0."""
    return f"{value:,.1f} kWh" if value >= Decimal("0.1") else f"{value.normalize():f} kWh"


def _share(percent: Decimal) -> str:
    if percent < Decimal("0.1"):
        return "less than 0.1 %"
    return "more than 99.9 %" if percent > Decimal("99.9") else f"{percent:.1f} %"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")

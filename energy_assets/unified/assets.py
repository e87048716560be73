"""The assets `unified/energy`, `unified/cost` and `unified/activity`: read, transform, publish."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import ibis
import ibis.expr.types as ir

from energy_assets.contracts.bills import CROSS_CHECK
from energy_assets.contracts.conservation import NODE_NAMES, PLACES, READINGS, readings_of
from energy_assets.contracts.nodes import node_names, rename_nodes
from energy_assets.contracts.vocabulary import Feed
from energy_assets.factors.places import MEMBER, filled, one_spelling, resolved_for, respelled, with_place
from energy_assets.factors.tables import uncertainty_pct
from energy_assets.factors.version import ENERGY as FACTORS_OF_ENERGY
from energy_assets.factors.version import PLACES as FACTORS_OF_PLACES
from energy_assets.factors.version import factors_version
from energy_assets.materialize import Reader, table_asset
from energy_assets.site import Site
from energy_assets.tables import ACTIVITY, COST, ENERGY, USAGE_ESTIMATES, Table, raw_table
from energy_assets.unified.activity import activity
from energy_assets.unified.alone import alone, among, crowded
from energy_assets.unified.cost import bills_held, cost, cross_check, deciding_days, outdated, owners
from energy_assets.unified.devices import told_uuids
from energy_assets.unified.energy import energy
from energy_assets.unified.estimated import of_estimates, of_telemetry


def unified_assets(site: Site) -> list[dg.AssetsDefinition]:
    """One asset per unified table that has at least one source."""
    makers = {Feed.ENERGY: _energy_asset, Feed.COST: _cost_asset, Feed.ACTIVITY: _activity_asset}
    return [make(site) for feed, make in makers.items() if site.has(feed)]


def _energy_asset(site: Site) -> dg.AssetsDefinition:
    upstream = [raw_table(source) for source in site.feeding(Feed.ENERGY)]
    upstream += [USAGE_ESTIMATES] if site.has(Feed.ESTIMATES) else []
    about = (
        "Every kWh once, by hour, device, place and owner: IT energy before PUE. Each row says how it was "
        "measured or estimated (`method`), how good that is (`quality_tier`), how much of the hour was observed "
        "(`coverage`) and how uncertain it is. What telemetry tells of a machine goes before what its bill lets one "
        "estimate. What was not observed is NULL, never 0."
    )

    def make(read: Reader, days: Sequence[date]) -> ir.Table:
        return energy_of(site, read, days)

    version, whole_bills = factors_version(site, FACTORS_OF_ENERGY, own_files=False), site.has(Feed.ESTIMATES)
    return table_asset(
        site, ENERGY, upstream, about, make, _energy_summary,
        numbers=_energy_numbers, day_by_day=whole_bills, code_version=version,
    )  # fmt: skip


def energy_of(site: Site, read: Reader, days: Sequence[date]) -> ir.Table:
    """Rows of the contract `Energy`, of all sources together.

    Args:
        site: The site.
        read: Reads raw tables, and shows places and names of nodes to the proofs.
        days: UTC days.
    """
    told = _telemetry(site, read, days)
    if told is not None and not site.has(Feed.ESTIMATES):
        readings = _placing(site, read, told, days)(told)
        names, uuids = _names(site, read, readings), read.keep(told_uuids(readings))
        return energy(readings, site.attribution.rules, uncertainty_pct(), names, uuids)
    # Read anew for each use: what two parts of a query share is held in memory as a whole.
    every = _beside(told, of_estimates(read(USAGE_ESTIMATES, days)))
    place = _placing(site, read, every, days)
    machines = place(every)
    machines = machines.filter(machines.is_machine)
    names, uuids = _names(site, read, machines), read.keep(told_uuids(machines))
    crowd = read.keep(crowded(machines, names, uuids))
    shared, single = (
        among(place(of_estimates(read(USAGE_ESTIMATES, days))), crowd, inside=inside) for inside in (True, False)
    )
    readings = _beside(told if told is None else place(told), shared)
    contested = read.keep(energy(readings, site.attribution.rules, uncertainty_pct(), names, uuids, estimated=True))
    return contested.union(alone(single, names, uncertainty_pct()).select(*contested.columns))


def _beside(telemetry: ir.Table | None, estimates: ir.Table) -> ir.Table:
    return estimates if telemetry is None else telemetry.union(estimates)


def _names(site: Site, read: Reader, machines: ir.Table) -> ir.Table:
    """Names of nodes, which the proofs look at too, with the readings under them."""
    names = read.note(NODE_NAMES, read.keep(node_names(machines, site.nodes)))
    read.note(READINGS, read.view(readings_of(read.used)))
    return names


def _telemetry(site: Site, read: Reader, days: Sequence[date]) -> ir.Table | None:
    """Readings of all sources that measure, as one table; None where there is none."""
    parts = [
        of_telemetry(read(raw_table(source), days).mutate(source=ibis.literal(source.name)))
        for source in site.feeding(Feed.ENERGY)
    ]
    return ibis.union(*parts, distinct=False) if parts else None


def _placing(site: Site, read: Reader, rows: ir.Table, days: Sequence[date]) -> Callable[[ir.Table], ir.Table]:
    """What gives some of `rows` provider, account, region and zone of their place, and the rank of their source."""
    sources = site.feeding(Feed.ENERGY)
    bills = site.feeding(Feed.COST) if site.has(Feed.ESTIMATES) else []
    ranks = {source.name: rank for rank, source in enumerate([*sources, *bills])}
    members = read.keep(rows.select(*MEMBER).distinct())
    known = filled(members, site.source_places, ranks)
    spellings = read.keep(ibis.memtable(one_spelling(known, site.source_places, site.places)))
    places = read.keep(ibis.memtable(resolved_for(site, respelled(known, spellings), days)))
    stands = [(raw_table(source).name, site.source_places.get(source.name)) for source in sources]
    schema = ibis.schema({"table": "string", "provider": "string", "region": "string"})
    stand = ibis.memtable([(n, p and p.provider, p and p.region) for n, p in stands], schema=schema)
    read.note(PLACES, read.keep(stand))

    def place(some: ir.Table) -> ir.Table:
        return with_place(respelled(filled(some, site.source_places, ranks), spellings), places, ("zone",))

    return place


def named_readings(site: Site, read: Reader, days: Sequence[date]) -> ir.Table:
    """Readings and estimates of machines, of every contributor, under one name per host: each as it was told.

    Args:
        site: The site.
        read: Reads raw tables.
        days: UTC days.
    """
    told = _telemetry(site, read, days)
    estimated = of_estimates(read(USAGE_ESTIMATES, days)) if site.has(Feed.ESTIMATES) else None
    rows = told if estimated is None else _beside(told, estimated)
    placed = _placing(site, read, rows, days)(rows)
    machines = placed.filter(placed.is_machine)
    return rename_nodes(machines, read.keep(node_names(machines, site.nodes)))


def _cost_asset(site: Site) -> dg.AssetsDefinition:
    upstream = [raw_table(source) for source in site.feeding(Feed.COST)]
    about = (
        "Every charge of every bill once, amounts as printed, by hour, service and owner; FOCUS names in snake "
        "case. Currencies are never added up."
    )

    def numbers(rows: ir.Table) -> dict[str, Any]:
        currency = site.organisation.currency
        spent = rows.billed_cost.sum(where=rows.billing_currency == currency)
        others = rows.count(where=rows.billing_currency != currency)
        return {f"billed_cost_{currency.lower()}": spent, "charges": rows.count(), "in_other_currencies": others}

    def make(read: Reader, days: Sequence[date]) -> ir.Table:
        return cost_of(site, read, days)

    version = factors_version(site, FACTORS_OF_PLACES, own_files=False)
    return table_asset(
        site, COST, upstream, about, make, _cost_summary, numbers=numbers, day_by_day=True, code_version=version
    )


def cost_of(site: Site, read: Reader, days: Sequence[date]) -> ir.Table:
    """Rows of the contract `Cost`, of all sources together.

    Args:
        site: The site.
        read: Reads raw tables, and shows what is withheld to the proofs.
        days: UTC days.
    """
    tables = {source.name: raw_table(source) for source in site.feeding(Feed.COST)}
    charges = read.lake.read_together(read.con, tables, days)
    owned = _owned(read, days, charges, tables) if len(tables) > 1 else None
    return cost(charges, site.attribution.rules, owned, lambda rows: _zoned(site, read, rows, days))


def _owned(read: Reader, days: Sequence[date], charges: ir.Table, tables: Mapping[str, Table]) -> ir.Table:
    """Which source counts for each bill, decided over its whole period; what is withheld is shown to the proofs."""
    periods = _values(charges.billing_period)
    wider = sorted({*days, *(day for stretch in deciding_days(periods) for day in stretch)})
    owned = _owners(read, read.lake.read_together(read.con, tables, wider), tables)
    read.note(CROSS_CHECK, read.keep(cross_check(charges, owned)))
    read.request(_outdated_days(read, tables, owned, wider))
    return owned


def _owners(read: Reader, charges: ir.Table, tables: Mapping[str, Table]) -> ir.Table:
    return read.keep(owners(read.keep(bills_held(charges, list(tables)))))


def _outdated_days(
    read: Reader, tables: Mapping[str, Table], owned: ir.Table, days: Sequence[date]
) -> Collection[date]:
    """Published days on which another source has a bill now.

    All days are looked at only where those that decide show a change: corrections of a bill lie anywhere.
    """
    changed = _values(outdated(owned, read.lake.read(read.con, COST, days)).billing_period)
    if not changed:
        return ()
    charges = read.lake.read_together(read.con, tables)
    published = read.lake.read(read.con, COST)
    everywhere = _owners(read, charges.filter(charges.billing_period.isin(changed)), tables)
    return _values(outdated(everywhere, published.filter(published.billing_period.isin(changed))).day)


def _values(dates: ir.DateColumn) -> list[date]:
    found: list[date] = dates.as_table().distinct().to_pyarrow()[dates.get_name()].to_pylist()
    return found


def _zoned(site: Site, read: Reader, rows: ir.Table, days: Sequence[date]) -> ir.Table:
    """Charges with the grid zone of their region."""
    return with_place(rows, read.keep(ibis.memtable(resolved_for(site, rows, days))), ("zone",))


def _activity_asset(site: Site) -> dg.AssetsDefinition:
    upstream = [raw_table(source) for source in site.feeding(Feed.ACTIVITY)]
    about = "What workloads delivered: requests and tokens by hour, model and deployment, restarts handled."

    def make(read: Reader, days: Sequence[date]) -> ir.Table:
        return activity_of(site, read, days)

    return table_asset(site, ACTIVITY, upstream, about, make, _activity_summary, numbers=_activity_numbers)


def activity_of(site: Site, read: Reader, days: Sequence[date]) -> ir.Table:
    """Rows of the contract `Activity`, of all sources together.

    Args:
        site: The site.
        read: Reads raw tables, and shows them to the proofs.
        days: UTC days.
    """
    counts = {source.name: read(raw_table(source), days) for source in site.feeding(Feed.ACTIVITY)}
    return activity(counts, site.attribution.rules)


def _energy_numbers(rows: ir.Table) -> dict[str, Any]:
    """What the UI plots by day."""
    return {
        "energy_kwh": rows.energy_kwh.sum(),
        "coverage_pct": 100 * rows.coverage.cast("float64").mean(),
        "device_hours_unknown": rows.count(where=rows.energy_kwh.isnull()),
    }


def _activity_numbers(rows: ir.Table) -> dict[str, Any]:
    """What the UI plots by day."""
    return {"requests": rows.requests.sum(), "generated_tokens": rows.generated_tokens.sum()}


def _energy_summary(rows: ir.Table) -> ir.Table:
    return (
        rows.group_by("source", "device_kind", "method", "quality_tier")
        .aggregate(
            energy_kwh=rows.energy_kwh.sum().round(3),
            coverage=(rows.coverage.sum().cast("float64") / rows.count()).round(4),
            unobserved_hours=rows.energy_kwh.isnull().sum(),
            unattributed_kwh=rows.energy_kwh.sum(where=rows.project == "unknown").round(3),
        )
        .order_by("source", "device_kind")
    )


def _cost_summary(rows: ir.Table) -> ir.Table:
    return (
        rows.group_by("source", "provider", "billing_currency")
        .aggregate(rows=rows.count(), billed_cost=rows.billed_cost.sum())
        .order_by("source", "provider")
    )


def _activity_summary(rows: ir.Table) -> ir.Table:
    return (
        rows.group_by("source", "model_id")
        .aggregate(
            requests=rows.requests.sum(),
            prompt_tokens=rows.prompt_tokens.sum(),
            generated_tokens=rows.generated_tokens.sum(),
            coverage=(rows.coverage.sum().cast("float64") / rows.count()).round(4),
        )
        .order_by("source", "model_id")
    )

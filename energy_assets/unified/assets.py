"""The assets `unified/energy`, `unified/cost` and `unified/activity`: read, transform, publish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import dagster as dg
import ibis
import ibis.expr.types as ir

from energy_assets.contracts.conservation import energy_not_conserved
from energy_assets.factors.tables import uncertainty_pct
from energy_assets.materialize import Proof, Reader, table_asset
from energy_assets.partitions import daily
from energy_assets.site import Site
from energy_assets.sources.base import Feed
from energy_assets.tables import ACTIVITY, COST, ENERGY, Table, raw_table
from energy_assets.unified.activity import activity
from energy_assets.unified.containment import deduplicate_devices, overdrawn, unmatched_meters
from energy_assets.unified.cost import cost
from energy_assets.unified.energy import energy
from energy_assets.unified.nodes import node_names, rename_nodes

Transform = Callable[[Mapping[str, ir.Table]], ir.Table]
"""Raw rows by source name to rows of the table."""


def unified_assets(site: Site) -> list[dg.AssetsDefinition]:
    """One asset per unified table that has at least one source."""
    rules = site.attribution.rules
    made: list[dg.AssetsDefinition] = []
    if site.feeding("energy"):
        about = (
            "Every kWh once, by hour, device, place and owner: IT energy before PUE. Each row says how it was "
            "measured (`method`), how good that is (`quality_tier`), how much of the hour was observed (`coverage`) "
            "and how uncertain it is. What was not observed is NULL, never 0."
        )
        proofs = _energy_proofs(site)
        made.append(_asset(site, ENERGY, "energy", about, lambda raw: _energy(site, raw), _energy_summary, proofs))
    if site.feeding("cost"):
        about = (
            "Every charge of every bill once, amounts as printed, by hour, service and owner; FOCUS names in snake "
            "case. Currencies are never added up."
        )
        made.append(_asset(site, COST, "cost", about, lambda raw: cost(raw, rules), _cost_summary, day_by_day=True))
    if site.feeding("activity"):
        about = "What workloads delivered: requests and tokens by hour, model and deployment, restarts handled."
        made.append(_asset(site, ACTIVITY, "activity", about, lambda raw: activity(raw, rules), _activity_summary))
    return made


def _asset(
    site: Site,
    table: Table,
    feed: Feed,
    about: str,
    transform: Transform,
    summary: Callable[[ir.Table], ir.Table],
    proofs: Sequence[Proof] = (),
    *,
    day_by_day: bool = False,
) -> dg.AssetsDefinition:
    raw = {source.name: raw_table(source) for source in site.feeding(feed)}
    return table_asset(
        site,
        table,
        list(raw.values()),
        daily(site),
        about,
        lambda read, days: transform({name: read(rows, days) for name, rows in raw.items()}),
        summary,
        proofs,
        day_by_day=day_by_day,
    )


def _energy_proofs(site: Site) -> list[Proof]:
    raw = {source.name: raw_table(source) for source in site.feeding("energy")}

    def readings(read: Reader, days: Sequence[date]) -> ir.Table:
        return read.keep(_readings(site, {name: read(table, days) for name, table in raw.items()}))

    def devices(read: Reader, days: Sequence[date]) -> tuple[ir.Table, ir.Table]:
        rows = readings(read, days)
        names = read.keep(node_names(rows, site.nodes))
        return read.keep(deduplicate_devices(rename_nodes(rows, names))), names

    def not_conserved(read: Reader, days: Sequence[date]) -> ir.Table:
        upstream = {table.name: read(table, days) for table in raw.values()}
        places = _places(site)
        upstream["places"] = places.mutate(table=ibis.literal("raw_").concat(places.source.replace("-", "_")))
        upstream["node_names"] = read.keep(node_names(readings(read, days), site.nodes))
        return energy_not_conserved(read(ENERGY, days), upstream)

    return [
        Proof(
            "conservation",
            "For every node and hour, workloads + idle + overhead = the node: nothing is lost or counted twice.",
            not_conserved,
        ),
        Proof(
            "meters_hold_devices",
            "No node's devices report more energy than its own meter; where they do, the meter is not trusted.",
            lambda read, days: overdrawn(devices(read, days)[0]),
            dg.AssetCheckSeverity.WARN,
        ),
        Proof(
            "meters_cover_devices",
            "In a place with node meters, every node with devices has a meter and every meter has devices; where not, "
            "one host may go by two names: say so under `nodes` in site.yaml.",
            lambda read, days: unmatched_meters(*devices(read, days)),
            dg.AssetCheckSeverity.WARN,
        ),
    ]


def _places(site: Site) -> ir.Table:
    columns = ("source", "source_rank", "provider", "account_id", "region", "zone")
    lines = [
        (source.name, rank, place.provider, place.account_id, place.region, place.zone)
        for rank, source in enumerate(site.feeding("energy"))
        if (place := site.places.get(source.name))
    ]
    schema = {name: "int32" if name == "source_rank" else "string" for name in columns}
    return ibis.memtable(lines, schema=ibis.schema(schema))


def _readings(site: Site, raw: Mapping[str, ir.Table]) -> ir.Table:
    named = [rows.mutate(source=ibis.literal(source)) for source, rows in raw.items()]
    rows = ibis.union(*named) if len(named) > 1 else named[0]
    return rows.join(_places(site), "source")


def _energy(site: Site, raw: Mapping[str, ir.Table]) -> ir.Table:
    rows = _readings(site, raw)
    return energy(rows, site.attribution.rules, uncertainty_pct(), node_names(rows, site.nodes))


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

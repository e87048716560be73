"""The assets `unified/energy`, `unified/cost` and `unified/activity`: read, transform, publish."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dagster as dg
import ibis.expr.types as ir

from energy_assets.factors.tables import uncertainty_pct
from energy_assets.materialize import table_asset
from energy_assets.site import Site
from energy_assets.sources.base import Feed
from energy_assets.tables import ACTIVITY, COST, ENERGY, Table, raw_table
from energy_assets.unified.activity import activity
from energy_assets.unified.cost import cost
from energy_assets.unified.energy import energy

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
        made.append(_asset(site, ENERGY, "energy", about, lambda raw: _energy(site, raw), _energy_summary))
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
    *,
    day_by_day: bool = False,
) -> dg.AssetsDefinition:
    raw = {source.name: raw_table(source) for source in site.feeding(feed)}
    return table_asset(
        site,
        table,
        list(raw.values()),
        about,
        lambda read, days: transform({name: read(rows, days) for name, rows in raw.items()}),
        summary,
        day_by_day=day_by_day,
    )


def _energy(site: Site, raw: Mapping[str, ir.Table]) -> ir.Table:
    return energy(raw, site.source_places, site.attribution.rules, uncertainty_pct())


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

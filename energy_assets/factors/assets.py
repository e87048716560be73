"""The asset `factors/grid_intensity`: every zone of the site, every hour, the best value that is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import dagster as dg
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.factors.grid_intensity import grid_intensity
from energy_assets.factors.places import site_zones, zones_in_rows
from energy_assets.materialize import Reader, table_asset
from energy_assets.site import Site
from energy_assets.tables import GRID_INTENSITY, raw_table


def factor_assets(site: Site) -> list[dg.AssetsDefinition]:
    """The grid intensity asset; none for a site without an intensity source."""
    sources = site.feeding("grid_intensity")
    raw = {source.name: raw_table(source) for source in sources}
    stated = [source.name for source in sources if source.kind == "grid_factors"]
    if not raw:
        return []

    def make(read: Reader, days: Sequence[date]) -> ir.Table:
        # Zones that rows alone tell are no input of the intensities, only of what is missing.
        zones = {*site_zones(site), *zones_in_rows(site, lambda table: read.lake.read(read.con, table, days))}
        rows = {name: read(table, days) for name, table in raw.items()}
        return grid_intensity(rows, needed(days, sorted(zones)), stated, site.factors.scope2_basis)

    about = (
        "Carbon intensity by zone and hour: the hour, else the month's mean of the hour of day, else the zone's "
        "year, else NULL, among values of the basis that Scope 2 takes. Which of these it is stands in each row."
    )
    return [table_asset(site, GRID_INTENSITY, list(raw.values()), about, make, _summary)]


def needed(days: Sequence[date], zones: Sequence[str]) -> ir.Table:
    """Every hour of `days` for every zone: what must have a row, known or not.

    Args:
        days: Days in UTC; 24 hours each.
        zones: Grid zones, as rows of intensity spell them.
    """
    hours = [datetime.combine(day, time(hour)) for day in days for hour in range(24)]
    pairs = [(hour.date(), hour, zone) for hour in hours for zone in zones]
    schema = pa.schema([("day", pa.date32()), ("hour", pa.timestamp("us")), ("zone", pa.string())])
    columns: list[Any] = [list(column) for column in zip(*pairs, strict=True)] if pairs else [[], [], []]
    return ibis.memtable(pa.table(columns, schema=schema))


def _summary(rows: ir.Table) -> ir.Table:
    return (
        rows.group_by("zone", "factor_tier", "resolution")
        .aggregate(
            hours=rows.count(),
            lifecycle_mean=rows.lifecycle_gco2e_per_kwh.cast("float64").mean().round(1),
            direct_mean=rows.direct_gco2e_per_kwh.cast("float64").mean().round(1),
        )
        .order_by("zone", "factor_tier")
    )

"""The asset `emissions/hourly`: energy with the factors of its own hour and place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import dagster as dg
import ibis.expr.types as ir

from energy_assets.emissions.location import emissions
from energy_assets.materialize import Reader, table_asset
from energy_assets.partitions import daily
from energy_assets.site import Site
from energy_assets.tables import EMISSIONS, ENERGY, GRID_INTENSITY


def emission_assets(site: Site) -> list[dg.AssetsDefinition]:
    """The emissions asset; none for a site without energy."""
    if not site.feeding("energy"):
        return []

    def make(read: Reader, days: Sequence[date]) -> ir.Table:
        return emissions(read(ENERGY, days), read(GRID_INTENSITY, days), site.places, site.factors.scope2_basis)

    upstream = [ENERGY, *([GRID_INTENSITY] if site.feeding("grid_intensity") else [])]
    about = (
        "Each kWh times the intensity of its own UTC hour and grid zone: `location_g` (Scope 2), `upstream_g` "
        "(Scope 3.3) and `lifecycle_g`. Without a factor they are NULL, and count as not covered."
    )
    return [table_asset(site, EMISSIONS, upstream, daily(site), about, make, _summary)]


def _summary(rows: ir.Table) -> ir.Table:
    return (
        rows.group_by("zone", "workload_type", "factor_tier")
        .aggregate(
            facility_kwh=rows.facility_kwh.sum().cast("float64").round(3),
            location_kg=(rows.location_g.sum().cast("float64") / 1000).round(3),
            lifecycle_kg=(rows.lifecycle_g.sum().cast("float64") / 1000).round(3),
            rows_without_factor=rows.location_g.isnull().sum(),
        )
        .order_by("zone", "workload_type")
    )

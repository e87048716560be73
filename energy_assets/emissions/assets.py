"""The asset `emissions/hourly`: energy with the factors of its own hour and place; beside it the market-based ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.hardware import UNSEEN_HARDWARE
from energy_assets.contracts.vocabulary import Feed, GhgScope
from energy_assets.emissions.appliers import HOURLY
from energy_assets.emissions.embodied import hardware_of
from energy_assets.emissions.inventory import grams_of, unseen_of
from energy_assets.emissions.losses import losses_of
from energy_assets.emissions.market_assets import market_assets
from energy_assets.emissions.pipe import Factors, run_pipe
from energy_assets.estimates.own_tables import own_hardware, own_losses
from energy_assets.factors.footprints import waters_of_grids
from energy_assets.factors.places import resolved_for
from energy_assets.factors.tables import factor_uncertainty_pct
from energy_assets.materialize import Reader, table_asset
from energy_assets.site import Site
from energy_assets.tables import EMISSIONS, ENERGY, FACTORS_APPLIED, GRID_INTENSITY

QUARTER = 93
"""Days whose emissions are made at a time: each is written by itself, and planning a chunk takes half a second."""


def emission_assets(site: Site) -> list[dg.AssetsDefinition]:
    """The emissions assets; none for a site without energy."""
    if not site.has(Feed.ENERGY):
        return []

    def hourly(read: Reader, days: Sequence[date]) -> ir.Table:
        energy = read(ENERGY, days)
        places = read.keep(ibis.memtable(resolved_for(site, energy, days)))
        # Days are written one after the other, which asks for the factors once per day: they are kept, and small.
        intensity, uncertainty = read.keep(read(GRID_INTENSITY, days)), read.keep(factor_uncertainty())
        inventory = own_hardware(site)
        if inventory:
            read.note(UNSEEN_HARDWARE, read.keep(unseen_of(inventory, energy, days)))
        hardware = hardware_of(energy, read.keep, grams_of(inventory, energy, read.keep))
        water = read.keep(water_of_zones())
        losses = read.keep(losses_of(_zones(energy), {day.year for day in days}, own_losses(site)))
        factors = Factors(places, intensity, uncertainty, site.factors.scope2_basis, hardware, water, losses)
        return run_pipe(energy, factors, HOURLY)

    upstream = [ENERGY, FACTORS_APPLIED, *([GRID_INTENSITY] if site.feeding("grid_intensity") else [])]
    about = (
        "Each kWh times the intensity of its own UTC hour and grid zone: `location_g`, `upstream_g` and `lifecycle_g`; "
        "`losses_g` is of what the grid lost on the way. "
        "`ghg_scope` says which category of the GHG Protocol they belong to: Scope 2 and 3.3 for own machines, all of "
        "it Scope 3.1 for bought services, Scope 3.8 for leased ones. Without a factor grams are NULL, and count as "
        "not covered."
    )
    return [
        table_asset(
            site, EMISSIONS, upstream, about, hourly, _summary, numbers=_numbers, day_by_day=True, chunk=QUARTER
        ),
        *market_assets(site),
    ]


def _zones(energy: ir.Table) -> list[str]:
    known = energy.filter(energy.zone.notnull())
    zones: list[str] = known.select("zone").distinct().to_pyarrow()["zone"].to_pylist()
    return zones


def water_of_zones() -> ir.Table:
    """Litres of water that a kWh of each grid zone consumes: zone, consumed_l_per_kwh."""
    found = waters_of_grids()
    schema = pa.schema([("zone", pa.string()), ("consumed_l_per_kwh", pa.decimal128(9, 6))])
    columns = [list(found), [one.l_per_kwh for one in found.values()]]
    return ibis.memtable(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema))


def factor_uncertainty() -> ir.Table:
    """The 95 % interval of an intensity by kind of grid factor: factor_tier, resolution, uncertainty_pct."""
    found = factor_uncertainty_pct()
    schema = pa.schema(
        [("factor_tier", pa.int16()), ("resolution", pa.string()), ("uncertainty_pct", pa.decimal128(6, 3))]
    )
    columns = [[tier for tier, _ in found], [resolution for _, resolution in found], list(found.values())]
    return ibis.memtable(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema))


def _numbers(rows: ir.Table) -> dict[str, Any]:
    """What the UI plots by day, each GHG scope by itself."""
    known, with_factor = rows.facility_kwh, rows.location_g.notnull()
    own, bought, leased = (
        rows.ghg_scope == scope.value for scope in (GhgScope.SCOPE2, GhgScope.SCOPE31, GhgScope.SCOPE38)
    )
    return {
        "facility_kwh": known.sum(),
        "scope2_location_kg": rows.location_g.sum(where=own) / 1000,
        "scope33_upstream_kg": rows.upstream_g.sum(where=own) / 1000,
        "scope33_losses_kg": rows.losses_g.sum(where=own) / 1000,
        "scope31_kg": rows.lifecycle_g.sum(where=bought) / 1000,
        "scope38_location_kg": rows.location_g.sum(where=leased) / 1000,
        "with_factor_pct": 100 * known.sum(where=with_factor).cast("float64") / known.sum().cast("float64").nullif(0.0),
    }


def _summary(rows: ir.Table) -> ir.Table:
    return (
        rows.group_by("ghg_scope", "zone", "workload_type", "factor_tier")
        .aggregate(
            facility_kwh=rows.facility_kwh.sum().cast("float64").round(3),
            location_kg=(rows.location_g.sum().cast("float64") / 1000).round(3),
            lifecycle_kg=(rows.lifecycle_g.sum().cast("float64") / 1000).round(3),
            rows_without_factor=rows.location_g.isnull().sum(),
        )
        .order_by("ghg_scope", "zone", "workload_type")
    )

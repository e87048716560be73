"""The appliers of the emissions pipe: place, grid, location-based grams, interval, water.

Hardware is `embodied`, what the grid lost on the way is `losses`.

`location_g` multiplies with combustion (direct) factors as the GHG Protocol wants it for Scope 2; `upstream_g` is the
rest of the life cycle; `lifecycle_g` is the figure most AI tools print. Which category of the GHG Protocol these
grams belong to is the row's `ghg_scope` and decided by its place. Products are exact decimals at their natural scale:
multiplied once, summed later, never rescaled row by row.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.emissions.embodied import EMBODIED
from energy_assets.emissions.losses import LOSSES
from energy_assets.emissions.pipe import Applier, Factors
from energy_assets.factors.places import with_place

WIDE = "decimal(38, 9)"
LARGEST_PCT = 1000
"""An interval from here on says nothing any more, and is not stated."""


def _place(rows: ir.Table, factors: Factors) -> ir.Table:
    """PUE and GHG scope of the row's own place, and the energy of the facility."""
    placed = with_place(rows, factors.places, ("pue", "ghg_scope", "wue"))
    facility_kwh = (placed.energy_kwh.cast(WIDE) * placed.pue).cast(t.FACILITY_KWH)
    return placed.mutate(facility_kwh=facility_kwh)


def _grid(rows: ir.Table, factors: Factors) -> ir.Table:
    """The intensity of the row's own hour and grid zone, with its rung of the ladder and its interval."""
    interval = factors.uncertainty.select("factor_tier", "resolution", factor_uncertainty_pct="uncertainty_pct")
    joined = factors.intensity.left_join(interval, ["factor_tier", "resolution"])
    intensity = joined.select(
        "hour",
        "zone",
        "lifecycle_gco2e_per_kwh",
        "direct_gco2e_per_kwh",
        "factor_id",
        "factor_tier",
        factor_resolution="resolution",
        factor_uncertainty_pct=joined.factor_uncertainty_pct.cast(t.PERCENT),
    )
    return rows.left_join(intensity, ["hour", "zone"]).drop("hour_right", "zone_right")


def _location(rows: ir.Table, factors: Factors) -> ir.Table:
    """Grams of the electricity: location-based, upstream of it, and both together.

    With the basis `lifecycle` the location-based grams contain the upstream part already, so `upstream_g` stays NULL
    and cannot be added to it a second time.
    """
    direct, lifecycle = rows.direct_gco2e_per_kwh, rows.lifecycle_gco2e_per_kwh
    used = direct if factors.basis == "direct" else lifecycle
    upstream = _grams(rows.facility_kwh, (lifecycle - direct).cast(t.FACTOR))
    return rows.mutate(
        location_g=_grams(rows.facility_kwh, used),
        upstream_g=upstream if factors.basis == "direct" else ibis.null(t.GRAMS),
        lifecycle_g=_grams(rows.facility_kwh, lifecycle),
        factor_basis=ibis.ifelse(used.notnull(), factors.basis, ibis.null(t.TEXT)),
    )


def _interval(rows: ir.Table, factors: Factors) -> ir.Table:
    """The 95 % interval of the grams: a product's relative half-widths add in squares (GUM, first order)."""
    energy, factor = (rows[name].cast("float64") for name in ("uncertainty_pct", "factor_uncertainty_pct"))
    together = (energy * energy + factor * factor).sqrt().round(3)
    known = ibis.ifelse(together < LARGEST_PCT, together, ibis.null("float64"))
    return rows.mutate(grams_uncertainty_pct=known.cast(t.PERCENT))


def _grams(facility_kwh: ir.DecimalValue, gco2e_per_kwh: ir.DecimalValue) -> ir.DecimalValue:
    # The true scale of the product is 12 + 3; Ibis infers another, so it is stated and costs nothing.
    return (facility_kwh * gco2e_per_kwh).cast(t.GRAMS)


def _water(rows: ir.Table, factors: Factors) -> ir.Table:
    """Water consumed: on site per kWh of the machines, off site per kWh of the facility's electricity.

    The Green Grid, white paper 35 (2011): WUE is litres per kWh of the IT equipment. World Resources Institute (2020):
    water of electricity is what its power plants consume.
    """
    on_site = (rows.energy_kwh.cast(WIDE) * rows.wue).cast(t.LITRES)
    if factors.water is None:
        return rows.mutate(water_onsite_l=on_site, water_offsite_l=ibis.null(t.LITRES))
    zones = factors.water.rename(water_zone="zone")
    joined = rows.mutate(water_onsite_l=on_site).left_join(zones, rows.zone == zones.water_zone).drop("water_zone")
    # 12 + 6 digits, of which the lake keeps 15.
    litres = (joined.facility_kwh * joined.consumed_l_per_kwh).cast(t.LITRES)
    return joined.mutate(water_offsite_l=litres)


PLACE = Applier("place", ("pue", "ghg_scope", "facility_kwh"), _place)
GRID = Applier("grid", ("factor_id", "factor_tier", "factor_resolution", "factor_uncertainty_pct"), _grid)
LOCATION = Applier("location", ("location_g", "upstream_g", "lifecycle_g", "factor_basis"), _location)
INTERVAL = Applier("interval", ("grams_uncertainty_pct",), _interval)
WATER = Applier("water", ("water_onsite_l", "water_offsite_l"), _water)
HOURLY = (PLACE, GRID, LOCATION, LOSSES, INTERVAL, EMBODIED, WATER)
"""The pipe of `emissions/hourly`."""

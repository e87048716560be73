"""Location-based emissions: each kWh with the intensity of its own UTC hour and its own grid zone.

location_g is Scope 2 with combustion (direct) factors as the GHG Protocol wants it; upstream_g is Scope 3
category 3, the rest of the life cycle; lifecycle_g is the figure most AI tools print. Products are exact
decimals at their natural scale: multiplied once, summed later, never rescaled row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.sources.base import Place

WIDE = "decimal(38, 9)"


def emissions(
    energy: ir.Table, intensity: ir.Table, places: Mapping[str, Place], basis: Literal["direct", "lifecycle"]
) -> ir.Table:
    """Rows of the contract `Emissions` from rows of `Energy` and `GridIntensity`.

    Args:
        energy: One row per hour, device and user.
        intensity: One row per hour and zone.
        places: Where each source stands; its PUE and GHG scope.
        basis: Intensity behind `location_g`. With `lifecycle` it contains the upstream part already, so
            `upstream_g` stays NULL and cannot be added to it a second time.
    """
    factors = intensity.select(
        "hour", "zone", "lifecycle_gco2e_per_kwh", "direct_gco2e_per_kwh", "factor_id", "factor_tier", "resolution"
    )
    rows = energy.left_join(factors, ["hour", "zone"]).drop("hour_right", "zone_right")
    facility = (rows.energy_kwh.cast(WIDE) * _by_source(rows, {s: p.pue for s, p in places.items()}, t.PUE)).cast(
        t.FACILITY_KWH
    )
    rows = rows.mutate(pue=_by_source(rows, {s: p.pue for s, p in places.items()}, t.PUE), facility_kwh=facility)
    direct, lifecycle = rows.direct_gco2e_per_kwh, rows.lifecycle_gco2e_per_kwh
    return rows.mutate(
        location_g=_grams(rows.facility_kwh, direct if basis == "direct" else lifecycle),
        upstream_g=_grams(rows.facility_kwh, (lifecycle - direct).cast(t.FACTOR))
        if basis == "direct"
        else ibis.null(t.GRAMS),
        lifecycle_g=_grams(rows.facility_kwh, lifecycle),
        market_g=ibis.null(t.GRAMS),
        embodied_g=ibis.null(t.GRAMS),
        water_onsite_l=ibis.null(t.LITRES),
        water_offsite_l=ibis.null(t.LITRES),
        ghg_scope=_by_source(rows, {s: p.scope for s, p in places.items()}, t.TEXT),
        factor_basis=ibis.ifelse((direct if basis == "direct" else lifecycle).notnull(), basis, ibis.null(t.TEXT)),
        factor_resolution=rows.resolution,
    ).drop("lifecycle_gco2e_per_kwh", "direct_gco2e_per_kwh", "resolution", "usage_hours", "device_model")


def _grams(facility_kwh: ir.DecimalValue, gco2e_per_kwh: ir.DecimalValue) -> ir.DecimalValue:
    # The true scale of the product is 12 + 3; Ibis infers another, so it is stated and costs nothing.
    return (facility_kwh * gco2e_per_kwh).cast(t.GRAMS)


def _by_source(rows: ir.Table, values: Mapping[str, object], dtype: object) -> ir.Value:
    cases = [(rows.source == s, ibis.literal(v).cast(dtype)) for s, v in values.items() if v is not None]
    return ibis.cases(*cases, else_=ibis.null(dtype)) if cases else ibis.null(dtype)

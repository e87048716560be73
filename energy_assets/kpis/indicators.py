"""The indicators: one function each, from summed measures to an exact numerator and denominator.

The value is numerator / denominator, divided last; an indicator without denominator is a sum. Every indicator
in grams names its basis in its unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.tables import KPI_DIMENSIONS

Basis = Literal["energy", "activity", "cost"]
Parts = tuple[Any, Any]
EVERYWHERE = ("total", *KPI_DIMENSIONS)
BY_MODEL = ("total", "model_id")


@dataclass(frozen=True)
class Indicator:
    """One KPI.

    Attributes:
        name: Public name, the value of the column `kpi`.
        unit: Unit of the value.
        basis: Which measurements its coverage and interval come from.
        grains: Dimensions it is cut by.
        parts: Measures to (numerator, denominator); the denominator of a sum is None.
        description: First paragraph of the function's docstring.
    """

    name: str
    unit: str
    basis: Basis
    grains: tuple[str, ...]
    parts: Callable[[ir.Table], Parts]
    description: str


INDICATORS: dict[str, Indicator] = {}


def indicator(
    unit: str, *, basis: Basis = "energy", grains: tuple[str, ...] = EVERYWHERE
) -> Callable[[Callable[[ir.Table], Parts]], Callable[[ir.Table], Parts]]:
    """Register the decorated function as the KPI of its name."""

    def register(parts: Callable[[ir.Table], Parts]) -> Callable[[ir.Table], Parts]:
        about = " ".join((parts.__doc__ or "").split("\n\n")[0].split())
        INDICATORS[parts.__name__] = Indicator(parts.__name__, unit, basis, grains, parts, about)
        return parts

    return register


def _thousandth(count: Any, digits: int) -> Any:
    """An exact count divided by a power of ten, as a product with a decimal."""
    scale = ibis.literal(f"0.{'0' * (digits - 1)}1").cast(f"decimal({digits + 1}, {digits})")
    return (count.cast(f"decimal(30, {digits})") * scale).cast(f"decimal(38, {digits})")


def _watt_hours(kwh: Any) -> Any:
    return (kwh * 1000).cast("decimal(38, 12)")


@indicator("kWh")
def energy_kwh(m: ir.Table) -> Parts:
    """IT energy, before the building's overhead."""
    return m.energy_kwh, None


@indicator("kWh")
def facility_kwh(m: ir.Table) -> Parts:
    """IT energy times PUE."""
    return m.facility_kwh, None


@indicator("gCO2e")
def location_g(m: ir.Table) -> Parts:
    """Scope 2, location-based: facility energy times the grid's direct intensity in the same hour and zone."""
    return m.location_g, None


@indicator("gCO2e")
def upstream_g(m: ir.Table) -> Parts:
    """Scope 3 category 3: facility energy times (life-cycle minus direct) intensity."""
    return m.upstream_g, None


@indicator("gCO2e")
def lifecycle_g(m: ir.Table) -> Parts:
    """Facility energy times the grid's life-cycle intensity; contains location-based and upstream."""
    return m.lifecycle_g, None


@indicator("requests", basis="activity", grains=("total", "source", "project", "model_id"))
def requests(m: ir.Table) -> Parts:
    """Inference requests answered."""
    return m.requests, None


@indicator("tokens", basis="activity", grains=("total", "source", "project", "model_id"))
def prompt_tokens(m: ir.Table) -> Parts:
    """Input tokens."""
    return m.prompt_tokens, None


@indicator("tokens", basis="activity", grains=("total", "source", "project", "model_id"))
def generated_tokens(m: ir.Table) -> Parts:
    """Output tokens."""
    return m.generated_tokens, None


@indicator("Wh per 1,000 requests", grains=BY_MODEL)
def wh_per_1k_inferences(m: ir.Table) -> Parts:
    """Facility energy of inference, with its share of idle energy, per thousand requests."""
    return _watt_hours(m.served_kwh), _thousandth(m.requests, 3)


@indicator("Wh per 1,000,000 tokens", grains=BY_MODEL)
def wh_per_1m_tokens(m: ir.Table) -> Parts:
    """Facility energy of inference, with its share of idle energy, per million generated tokens."""
    return _watt_hours(m.served_kwh), _thousandth(m.generated_tokens, 6)


@indicator("gCO2e (location-based) per 1,000 requests", grains=BY_MODEL)
def gco2e_per_1k_inferences(m: ir.Table) -> Parts:
    """Location-based emissions of inference, with its share of idle energy, per thousand requests."""
    return m.served_g, _thousandth(m.requests, 3)


@indicator("share")
def idle_share(m: ir.Table) -> Parts:
    """IT energy of devices nobody used, of all IT energy."""
    return m.idle_kwh.fill_null(0), m.energy_kwh


@indicator("share")
def coverage(m: ir.Table) -> Parts:
    """Device-hours observed, of all device-hours the sources know of."""
    return m.observed_hours, m.device_hours


@indicator("share")
def factor_coverage(m: ir.Table) -> Parts:
    """Facility energy that has a location-based intensity, of all facility energy."""
    return m.with_direct_kwh.fill_null(0), m.facility_kwh


@indicator("share", grains=("total", "source", "zone"))
def attributed_share(m: ir.Table) -> Parts:
    """IT energy whose project a rule names, or that is idle, of all IT energy."""
    return m.attributed_kwh.fill_null(0), m.energy_kwh


@indicator("gCO2e (location-based) per kWh", grains=("total", "source", "zone", "project"))
def carbon_intensity_location(m: ir.Table) -> Parts:
    """Energy-weighted direct intensity of the electricity used."""
    return m.location_g, m.with_direct_kwh


@indicator("gCO2e (life-cycle) per kWh", grains=("total", "source", "zone", "project"))
def carbon_intensity_lifecycle(m: ir.Table) -> Parts:
    """Energy-weighted life-cycle intensity of the electricity used."""
    return m.lifecycle_g, m.with_lifecycle_kwh


def _tier_share(tier: int, prefix: str, whole: str) -> None:
    def parts(m: ir.Table) -> Parts:
        return m[f"{prefix}{tier}_kwh"].fill_null(0), m[whole]

    parts.__name__ = f"{prefix}{tier}_share"
    what = "IT energy of quality tier" if prefix == "tier" else "facility energy with an intensity of factor tier"
    parts.__doc__ = f"Share of {what} {tier}."
    indicator("share", grains=("total", "source", "zone"))(parts)


for _tier in (1, 2, 3, 4):
    _tier_share(_tier, "tier", "energy_kwh")
    _tier_share(_tier, "factor_tier", "facility_kwh")

"""The quantities a report may print: label, kind, formula, and the lake rows that make up each KPI.

What belongs here: names and definitions. What does not: values. The formulas are those of docs/disclosures.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from energy_assets.disclosures.figures import Filter, Selection


@dataclass(frozen=True)
class Ingredient:
    """A numerator or denominator as one sum over lake rows, times a factor; `factor` None: not one sum."""

    rows: Selection
    factor: str | None = "1"


@dataclass(frozen=True)
class Quantity:
    """One KPI.

    Attributes:
        label: For a reader.
        kind: `energy`, `mass`, `share`, `count`, `ratio` or `money`; decides how it is printed.
        method: Id of its method.
        formula: The method in words.
        numerator: Rows of the numerator (of the value, for a sum).
        denominator: Rows of the denominator.
    """

    label: str
    kind: str
    method: str
    formula: str
    numerator: Ingredient | None = None
    denominator: Ingredient | None = None


def _sum(table: str, column: str, *filters: Filter, factor: str | None = "1") -> Ingredient:
    return Ingredient(Selection(table, column, filters), factor)


_IT = _sum("emissions", "energy_kwh")
_FACILITY = _sum("emissions", "facility_kwh")
_OWN = Filter("ghg_scope", "=", "scope2")
_BOUGHT = Filter("ghg_scope", "=", "scope3.1")
_LEASED = Filter("ghg_scope", "=", "scope3.8")
_INFERENCE = Filter("workload_type", "=", "inference")
_WITH_LOCATION = Filter("location_g", "is not null")
_SERVED = _sum("emissions", "facility_kwh", _INFERENCE, factor=None)
_TIER = "sum of IT energy of the tier / sum of IT energy"
_FACTOR_TIER = "sum of facility energy on that rung / sum of facility energy"

TIER_NAMES = {
    "1": "Tier 1 · metered and confirmed",
    "2": "Tier 2 · own meter or counter",
    "3": "Tier 3 · telemetry with a model",
    "4": "Tier 4 · proxy",
}
RUNG_NAMES = {
    "1": "The hour, measured",
    "2": "The hour, estimated by the publisher",
    "3": "Same hour of day, mean of the month",
    "4": "Mean of the year",
}
WORKLOADS = {
    "training": "Training",
    "fine_tuning": "Fine-tuning",
    "inference": "Inference",
    "batch": "Batch",
    "development": "Development",
    "idle": "Idle",
    "overhead": "Overhead",
    "other": "Other",
    "unknown": "Not attributed",
}

QUANTITIES: dict[str, Quantity] = {
    "facility_kwh": Quantity(
        "Electricity, facility", "energy", "M-FACILITY", "sum of (IT energy × PUE of the place)", _FACILITY
    ),
    "energy_kwh": Quantity(
        "Electricity, IT equipment",
        "energy",
        "M-ENERGY",
        "counters: last minus first value of each hour; gauges: time-weighted mean × hours; summed",
        _IT,
    ),
    "scope2_location_g": Quantity(
        "Scope 2 emissions, location-based", "mass", "M-SCOPE2",
        "sum of (facility energy × intensity of the same hour and zone) over own machines",
        _sum("emissions", "location_g", _OWN),
    ),
    "scope33_upstream_g": Quantity(
        "Scope 3.3 emissions, upstream of electricity", "mass", "M-SCOPE33",
        "sum of (facility energy × (life-cycle − direct intensity) of the same hour and zone) over own machines",
        _sum("emissions", "upstream_g", _OWN),
    ),
    "scope32_embodied_g": Quantity(
        "Scope 3.2 emissions, embodied in hardware", "mass", "M-SCOPE32",
        "sum of the embodied emissions of the hours of own machines", _sum("emissions", "embodied_g", _OWN),
    ),
    "scope31_g": Quantity(
        "Scope 3.1 emissions, bought services", "mass", "M-SCOPE31",
        "sum of location-based, upstream and, where known, embodied emissions of bought services",
        _sum("emissions", "location_g", _BOUGHT, factor=None),
    ),
    "scope38_location_g": Quantity(
        "Scope 3.8 emissions, leased machines, location-based", "mass", "M-SCOPE38",
        "sum of (facility energy × intensity of the same hour and zone) over leased machines",
        _sum("emissions", "location_g", _LEASED),
    ),
    "scope38_upstream_g": Quantity(
        "Scope 3.8 emissions, upstream of leased machines", "mass", "M-SCOPE38-UP",
        "sum of (facility energy × (life-cycle − direct intensity) of the same hour and zone) over leased machines",
        _sum("emissions", "upstream_g", _LEASED),
    ),
    "requests": Quantity(
        "Requests answered", "count", "M-ACTIVITY", "serving counters, resets handled; summed",
        _sum("activity", "requests"),
    ),
    "prompt_tokens": Quantity(
        "Prompt tokens", "count", "M-ACTIVITY", "serving counters, resets handled; summed",
        _sum("activity", "prompt_tokens"),
    ),
    "generated_tokens": Quantity(
        "Generated tokens", "count", "M-ACTIVITY", "serving counters, resets handled; summed",
        _sum("activity", "generated_tokens"),
    ),
    "billed_cost": Quantity(
        "Billed cost", "money", "M-COST", "sum of BilledCost as printed on the bill, per currency",
        _sum("cost", "billed_cost"),
    ),
    "wh_per_1k_inferences": Quantity(
        "Energy per 1,000 requests", "ratio", "M-WH-REQUEST",
        "facility energy of inference with its share of idle energy / requests × 1,000",
        _SERVED, _sum("activity", "requests", factor="0.001"),
    ),
    "wh_per_1m_tokens": Quantity(
        "Energy per million generated tokens", "ratio", "M-WH-TOKEN",
        "facility energy of inference with its share of idle energy / generated tokens × 1,000,000",
        _SERVED, _sum("activity", "generated_tokens", factor="0.000001"),
    ),
    "gco2e_per_1k_inferences": Quantity(
        "Emissions per 1,000 requests, location-based", "ratio", "M-G-REQUEST",
        "location-based emissions of inference with its share of idle / requests × 1,000",
        _sum("emissions", "location_g", _INFERENCE, factor=None), _sum("activity", "requests", factor="0.001"),
    ),
    "cost_per_kwh": Quantity(
        "Billed cost per facility kWh", "ratio", "M-COST-KWH", "billed cost / facility energy",
        _sum("cost", "billed_cost"), _FACILITY,
    ),
    "idle_share": Quantity(
        "Idle share of IT energy", "share", "M-IDLE", "IT energy of devices nobody used / IT energy",
        _sum("emissions", "energy_kwh", Filter("workload_type", "=", "idle")), _IT,
    ),
    "coverage": Quantity(
        "Device-hours observed", "share", "M-COVERAGE", "observed device-hours / device-hours the sources know of",
        _sum("emissions", "coverage"), Ingredient(Selection("emissions")),
    ),
    "factor_coverage": Quantity(
        "Energy with a grid factor", "share", "M-FACTOR",
        "facility energy that has a location-based intensity / facility energy",
        _sum("emissions", "facility_kwh", _WITH_LOCATION), _FACILITY,
    ),
    "attributed_share": Quantity(
        "Energy attributed to a project", "share", "M-ATTRIBUTION", "IT energy whose project is known / IT energy",
        _sum("emissions", "energy_kwh", Filter("project", "!=", "unknown")), _IT,
    ),
    "carbon_intensity_location": Quantity(
        "Grid intensity, location-based", "ratio", "M-INTENSITY",
        "location-based emissions / facility energy that has this intensity",
        _sum("emissions", "location_g"), _sum("emissions", "facility_kwh", _WITH_LOCATION),
    ),
    "carbon_intensity_lifecycle": Quantity(
        "Grid intensity, life-cycle", "ratio", "M-INTENSITY-LC",
        "life-cycle emissions / facility energy that has this intensity",
        _sum("emissions", "lifecycle_g"),
        _sum("emissions", "facility_kwh", Filter("lifecycle_g", "is not null")),
    ),
    **{
        f"tier{n}_share": Quantity(
            TIER_NAMES[n], "share", "M-TIER", _TIER,
            _sum("emissions", "energy_kwh", Filter("quality_tier", "=", n)), _IT,
        )
        for n in TIER_NAMES
    },
    **{
        f"factor_tier{n}_share": Quantity(
            RUNG_NAMES[n], "share", "M-FACTOR", _FACTOR_TIER,
            _sum("emissions", "facility_kwh", Filter("factor_tier", "=", n)), _FACILITY,
        )
        for n in RUNG_NAMES
    },
}  # fmt: skip

#: Methods of figures that are computed for the report itself.
REPORT_METHODS = {
    "M-DIFFERENCE": "first figure − second figure",
    "M-CHANGE": "(this month − previous month) / previous month",
    "M-SHARE": "figure / its total",
    "M-MEAN-HOUR": "mean over the days of the month of the zone's intensity in that hour of day (UTC)",
    "M-COUNT": "number of rows that meet the condition",
    "M-SUM": "sum of the rows that meet the condition",
    "M-MAX-POWER": "largest energy of one device in one hour, as a mean power",
    "M-PROGRESS": "(base − now) / (base − target)",
    "M-SITE": "stated in the site file",
    "M-LIMIT": "limit of a plausibility gate",
    "M-CALENDAR": "days of the calendar",
    "M-RECONCILE": "sum of the figures named; a check, no scope",
    "M-REST": "total − the parts shown",
}

UNITS = {
    "gCO2e (location-based) per kWh": "g CO₂e/kWh",
    "gCO2e (life-cycle) per kWh": "g CO₂e/kWh",
    "gCO2e (location-based) per 1,000 requests": "g CO₂e",
    "gCO2e per kWh": "g CO₂e/kWh",
    "Wh per 1,000 requests": "Wh",
    "Wh per 1,000,000 tokens": "Wh",
    "share": "%",
}


def printed_unit(unit: str) -> str:
    """A stored unit as it is printed beside a label that says what it is per."""
    if unit.endswith(" per kWh") and unit not in UNITS:
        return f"{unit.removesuffix(' per kWh')}/kWh"
    return UNITS.get(unit, unit)

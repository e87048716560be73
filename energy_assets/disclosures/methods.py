"""The words of a report: the KPIs' descriptions, and the methods of figures that are computed for the report alone.

What belongs here: names and definitions. What does not: values, and what a KPI is made of (`kpis.indicators`).
"""

from __future__ import annotations

from energy_assets.contracts.vocabulary import WorkloadType
from energy_assets.kpis.indicators import INDICATORS, SCORED, Indicator
from energy_assets.kpis.market import MARKET_INDICATORS

Quantity = Indicator
QUANTITIES = INDICATORS
"""Every KPI by name, with its words and ingredients."""

WORKLOADS = {word.value: word.label for word in WorkloadType}

#: Methods of figures that are computed for the report itself, and of KPIs that have no days.
REPORT_METHODS = {
    **{one.method: one.formula for one in MARKET_INDICATORS.values()},
    "M-DIFFERENCE": "first figure − second figure",
    "M-CHANGE": "(first figure − second figure) / second figure",
    "M-BELOW": "(first figure − second figure) / first figure",
    "M-SHARE": "figure / its total",
    "M-MEAN-HOUR": "mean over the days of the month of the zone's intensity in that hour of day (UTC)",
    "M-COUNT": "number of rows that meet the condition",
    "M-SUM": "sum of the rows that meet the condition",
    "M-ADDED": "sum of the figures named",
    "M-IDLE-COST": "billed cost × facility energy of idle devices / facility energy, of the accounts of a provider "
    "that are billed and measured, from the first to the last day of which energy is known",
    "M-MAX-POWER": "largest energy of one device in one hour, as a mean power",
    "M-PATH": "base + (target − base) × years passed / years in all: a straight line from base to target",
    "M-PROGRESS": "(base − now) / (base − target)",
    "M-SITE": "stated in the site file",
    "M-EDITION": "stated in an earlier edition of this report",
    "M-LIMIT": "limit of a plausibility gate",
    "M-CALENDAR": "days of the calendar",
    "M-RECONCILE": "sum of the figures named; a check, no scope",
    "M-EXPECTED": "measured before × units after / units before",
    "M-REALISED": "expected after − measured after, by the measure of the rule that found the opportunity",
    "M-REST": "total − the parts shown",
}

UNITS = {
    "gCO2e (location-based) per kWh": "g CO₂e/kWh",
    "gCO2e (life-cycle) per kWh": "g CO₂e/kWh",
    "gCO2e (location-based) per 1,000 requests": "g CO₂e",
    "gCO2e per kWh": "g CO₂e/kWh",
    "Wh per 1,000 requests": "Wh",
    "Wh per 1,000,000 tokens": "Wh",
    "gCO2e (embodied) per accelerator-hour": "g CO₂e",
    f"gCO2e ({SCORED}) per 1,000 requests": "g CO₂e",
    f"gCO2e ({SCORED}) per 1,000,000 tokens": "g CO₂e",
    "share": "%",
}


def printed_unit(unit: str) -> str:
    """A stored unit as it is printed beside a label that says what it is per."""
    if unit.endswith(" per kWh") and unit not in UNITS:
        return f"{unit.removesuffix(' per kWh')}/kWh"
    return UNITS.get(unit, unit)

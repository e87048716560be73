"""Figures that a profile names: KPIs by their own name, and the few that are derived for every report.

What belongs here: from a name to a figure. What does not: which names a profile has (reports/frameworks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

from energy_assets.disclosures.figure_factory import FigureFactory
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.methods import QUANTITIES
from energy_assets.disclosures.rounding import Scale
from energy_assets.kpis.ingredients import Filter, Selection

DAYS = Scale("days", 0, 0)
NO_PUE = "part of the IT energy has no PUE, so facility and IT energy are not of the same equipment"


def named(factory: FigureFactory, name: str) -> Figure:
    """The figure of that name, for the whole period.

    Args:
        factory: Makes it, or finds it where it was made before.
        name: A KPI, or one of `DERIVED`.

    Raises:
        ValueError: there is no figure of that name; the message lists those there are.
    """
    if name in DERIVED:
        return DERIVED[name](factory)
    if name in QUANTITIES:
        return factory.kpi(name)
    known = ", ".join(sorted({*DERIVED, *QUANTITIES}))
    raise ValueError(f"the profile '{factory.profile.name}' names the figure '{name}'; there are {known}")


def _overhead(factory: FigureFactory) -> Figure:
    """Facility energy minus IT energy; refused where they are not of the same equipment."""
    parents = (factory.kpi("facility_kwh"), factory.kpi("energy_kwh"))
    refused = NO_PUE if factory.gaps["no_pue_rows"] else None
    label = "Electricity, cooling and power supply"
    return factory.derived("overhead_kwh", label, parents, "difference", refused=refused, dimensions={})


def _unattributed(factory: FigureFactory) -> Figure:
    """IT energy that belongs to no known project, idle devices aside."""
    filters = (
        Filter("day", "between", factory.period),
        Filter("project", "unknown"),
        Filter("workload_type", "!=", "idle"),
    )
    return factory.query(
        "unattributed_kwh", "IT energy that belongs to no known project, idle devices aside",
        factory.gaps["unattributed_kwh"],
        Selection("emissions", "energy_kwh", filters), factory.scale("energy_kwh", "kWh"), "kWh",
        reason="every row belongs to a project, or is of idle devices",
    )  # fmt: skip


def _days_with_data(factory: FigureFactory) -> Figure:
    """Days of the period that have at least one KPI row."""
    rows = Selection("kpis_daily", "day", (Filter("day", "between", factory.period),), "distinct")
    days = factory.days_with_data
    label = f"Days with data{_between(days)}"
    return factory.query(
        "days_with_data", label, Decimal(len(days)), rows, DAYS, "days", method="M-COUNT", operation="count"
    )


def _between(days: Sequence[date]) -> str:
    """When the days are: ` (2026-11-21 to 2026-11-27, with gaps)`; empty where there is none."""
    if not days:
        return ""
    gaps = ", with gaps" if (days[-1] - days[0]).days + 1 > len(days) else ""
    return f" ({' to '.join(dict.fromkeys(day.isoformat() for day in (days[0], days[-1])))}{gaps})"


def _days_in_period(factory: FigureFactory) -> Figure:
    """Days of the calendar."""
    period = factory.inputs.period
    label = f"Days of the {period.grain}"
    return factory.stated("days_in_period", label, Decimal(len(period.days)), "days", DAYS, "M-CALENDAR")


DERIVED: dict[str, Callable[[FigureFactory], Figure]] = {
    "overhead_kwh": _overhead,
    "unattributed_kwh": _unattributed,
    "days_with_data": _days_with_data,
    "days_in_period": _days_in_period,
}

"""Why a figure has no 95 % interval: whose meters, or which grid factors, state none.

What belongs here: the reason in words, and the figure behind it. What does not: how intervals are added (`kpis.daily`).
"""

from __future__ import annotations

from decimal import Decimal

from energy_assets.disclosures import reading
from energy_assets.disclosures.document import Run, number
from energy_assets.disclosures.figure_factory import LABELS, Member
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.methods import QUANTITIES
from energy_assets.disclosures.missing import listed
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.text import visible
from energy_assets.kpis.facts import has_interval
from energy_assets.kpis.indicators import RUNG_NAMES
from energy_assets.kpis.ingredients import Filter, Selection

NOT_KNOWN = "interval not known"
OF_A_DIFFERENCE = f"{NOT_KNOWN}: nobody states one of the difference of two intensities"


def why_none(context: Context, figure: Figure) -> list[Run]:
    """Why a figure of emissions has no interval.

    Args:
        context: Of the report.
        figure: Of one GHG scope, with a value and without an interval.
    """
    quantity = QUANTITIES[figure.metric]
    if not has_interval(quantity):
        return [OF_A_DIFFERENCE if quantity.numerator.rows.column == "upstream_g" else NOT_KNOWN]
    found = reading.without_interval(context.factory.condensed, quantity.scope)
    rungs = sorted({str(row["factor_tier"]) for row in found if not row["factor"] and row["factor_tier"] is not None})
    reasons: list[list[Run]] = []
    if rungs and quantity.scope:
        names = listed([f"{RUNG_NAMES[rung][0].lower()}{RUNG_NAMES[rung][1:]}" for rung in rungs])
        share = _share(context, quantity.scope)
        reasons.append(["the grid factor of ", number(share), f" of its energy has none ({names})"])
    meters = unknown_meters(context, quantity.scope)
    if meters:
        reasons.append([f"that of the readings of {meters} is not known"])
    runs: list[Run] = [NOT_KNOWN]
    for position, reason in enumerate(reasons):
        runs += [" and " if position else ": ", *reason]
    return runs


def unknown_meters(context: Context, scope: str | None = None) -> str:
    """The sources of whose readings no interval is known; empty where each is.

    Args:
        context: Of the report.
        scope: The GHG scope that is spoken of, or None for all.
    """
    found = reading.without_interval(context.factory.condensed, scope)
    return listed(sorted({visible(row["source"]) for row in found if not row["meter"]}))


def _share(context: Context, scope: str) -> Figure:
    """How much of a scope's facility energy was multiplied with grid factors without an interval."""
    factory, rows = context.factory, context.factory.condensed
    mine = rows.filter(rows.ghg_scope == scope, ~rows.factor_uncertainty_pct_known, rows.factor_id.notnull())
    value: Decimal | None = mine.facility_kwh.sum().to_pyarrow().as_py()
    where = (
        Filter("day", "between", factory.period), Filter("ghg_scope", "=", scope),
        Filter("factor_uncertainty_pct", "is null"), Filter("factor_id", "is not null"),
    )  # fmt: skip
    label = f"Facility energy whose grid factor states no interval · {LABELS['ghg_scope'][scope]}"
    part = factory.query(
        "factor_without_interval_kwh", label, value, Selection("emissions", "facility_kwh", where),
        factory.scale("facility_kwh", "kWh"), "kWh", dimensions={"ghg_scope": scope},
        reason="no facility energy of it is known",
    )  # fmt: skip
    return factory.share(part, factory.kpi("facility_kwh", Member("ghg_scope", scope)), f"{label}, share")

"""KPIs of days: every indicator at every grain, long form."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.tables import KPI_DIMENSIONS, KPI_GRAINS
from energy_assets.kpis.facts import MEASURES
from energy_assets.kpis.indicators import INDICATORS, Indicator

COST_GRAINS = ("total", "source", "project", "model_id", "workload_type")
MEMBER = ["day", "grain", "member"]


def by_member(facts: ir.Table) -> ir.Table:
    """Measures by day, grain and member of the grain, with the half-width of the 95 % interval.

    Readings of one source share their meter's error and add linearly; sources are independent of each other
    and add in squares.

    Args:
        facts: From `energy_assets.kpis.facts.facts`; read once per grain, so the caller keeps it.
    """
    per_source = _every_grain(facts, KPI_GRAINS).group_by([*MEMBER, "source"])
    sums = per_source.aggregate(**{name: lambda r, n=name: _sum(r, n) for name in MEASURES})
    interval = sums.interval_kwh.cast("float64")
    return sums.group_by(MEMBER).aggregate(
        **{name: _sum(sums, name) for name in MEASURES}, half_width_kwh=(interval * interval).sum().sqrt()
    )


def indicators(members: ir.Table) -> ir.Table:
    """Every indicator of every member: rows of the contract `KpisDaily`, costs apart.

    Args:
        members: From `by_member`; kept by the caller.
    """
    return _long(members, [_row(members, indicator) for indicator in INDICATORS.values()])


def costs(facts: ir.Table, currency: str) -> ir.Table:
    """`billed_cost` in every currency of the bills, and `cost_per_kwh` in the organisation's.

    Amounts in different currencies are summed apart and never converted.
    """
    rows = _every_grain(facts, COST_GRAINS)
    spent = rows.filter(rows.currency.notnull()).group_by([*MEMBER, "currency"])
    spent = spent.aggregate(billed_cost=lambda r: _sum(r, "billed_cost"))
    used = rows.group_by(MEMBER).aggregate(facility_kwh=lambda r: _sum(r, "facility_kwh"))
    both = spent.left_join(used, MEMBER).drop(*(f"{name}_right" for name in MEMBER))
    kwh = ibis.ifelse(both.currency == currency, both.facility_kwh, ibis.null(MEASURES["facility_kwh"]))
    nothing = (ibis.null(t.SHARE), ibis.null(t.PERCENT))
    billed = _kpi("billed_cost", both.currency, both.billed_cost, None, *nothing)
    per_kwh = _kpi("cost_per_kwh", both.currency + " per kWh", both.billed_cost, kwh, *nothing)
    return _long(both, [billed, per_kwh])


def _every_grain(facts: ir.Table, grains: tuple[str, ...] | list[str]) -> ir.Table:
    """The facts once per grain, each with the member its grain puts it under."""
    tables = []
    for grain in grains:
        member = ibis.literal("all") if grain == "total" else facts[grain].fill_null("unknown")
        kept = ["day", "source", "currency", *MEASURES]
        tables.append(facts.mutate(grain=ibis.literal(grain), member=member).select("grain", "member", *kept))
    return ibis.union(*tables)


def _sum(rows: ir.Table, measure: str) -> Any:
    return rows[measure].sum().cast(MEASURES[measure])


def _row(m: ir.Table, indicator: Indicator) -> ir.StructValue:
    numerator, denominator = indicator.parts(m)
    whole = m.grain.isin(list(indicator.grains))
    observed = {
        "energy": m.observed_hours.cast("float64") / m.device_hours.cast("float64").nullif(0.0),
        "activity": m.served_hours.cast("float64") / m.deployment_hours.cast("float64").nullif(0.0),
    }[indicator.basis]
    known = (m.without_interval_kwh.fill_null(0) == 0) & (indicator.basis == "energy") & (indicator.unit != "share")
    interval = m.half_width_kwh / m.energy_kwh.cast("float64").nullif(0.0) * 100
    return _kpi(
        indicator.name,
        ibis.literal(indicator.unit),
        ibis.ifelse(whole, numerator.cast(t.FIGURE), ibis.null(t.FIGURE)),
        denominator,
        observed.round(6).cast(t.SHARE),
        ibis.ifelse(known, interval.round(3).cast(t.PERCENT), ibis.null(t.PERCENT)),
    )


def _kpi(name: str, unit: Any, numerator: Any, denominator: Any, coverage: Any, interval: Any) -> ir.StructValue:
    exact, value = numerator.cast(t.FIGURE), numerator.cast(t.FIGURE)
    if denominator is not None:
        # Half a ratio is no ratio: summed into a month, a numerator without denominator would pass for a sum.
        exact = ibis.ifelse(denominator.notnull(), exact, ibis.null(t.FIGURE))
        value = (exact.cast("float64") / denominator.cast("float64").nullif(0.0)).cast("decimal(38, 12)").cast(t.FIGURE)
    return ibis.struct(
        {
            "kpi": ibis.literal(name),
            "unit": unit,
            "value": value,
            "numerator": exact,
            "denominator": denominator.cast(t.FIGURE) if denominator is not None else ibis.null(t.FIGURE),
            "coverage": coverage,
            "uncertainty_pct": interval,
        }
    )


def _long(members: ir.Table, rows: list[ir.StructValue]) -> ir.Table:
    """One row per member and KPI that has a numerator, with the member in its grain's column."""
    long = members.select(*MEMBER, row=ibis.array(rows).unnest()).unpack("row")
    long = long.filter(long.numerator.notnull())
    none = ibis.null("string")
    return long.mutate(**{name: ibis.ifelse(long.grain == name, long.member, none) for name in KPI_DIMENSIONS}).drop(
        "member"
    )

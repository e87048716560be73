"""KPIs of days: every indicator at every grain, long form.

What belongs here: grains and members, the interval of a member, and the row of the contract. What does not: the sums
(`facts.py`) and what the indicators are (`indicators.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.tables import KPI_GRAINS, KPI_KEYS, RUN
from energy_assets.kpis.facts import carrier, errors_of, has_interval, measures, name_of, part, type_of
from energy_assets.kpis.indicators import INDICATORS, Indicator, coverage_rows
from energy_assets.kpis.ingredients import Ingredient
from energy_assets.kpis.rests import ERROR_SOURCE

MEMBER = ["day", "grain", "member"]
CURRENCY = "{currency}"


def by_member(facts: ir.Table) -> ir.Table:
    """Measures by day, grain and member of the grain, with the half-width of each indicator's 95 % interval.

    A meter's error is shared by the readings of its source, a grid factor's by the rows of its zone: these add
    linearly. Sources are independent of each other, zones too, and meters of factors: these add in squares (GUM,
    first order). In a ratio the errors of both sides are weighed against each other before they are added, so that
    what is common to both cancels. So do, in the sum over a node, the errors of the devices that its rest was computed
    from (`rests`).

    Args:
        facts: From `energy_assets.kpis.facts.facts`.

    Returns:
        `day`, `grain`, `member`, the columns of `measures()`, and `<indicator>__half_width` in per cent of the unit
        of the side that carries its error.
    """
    names = list(measures())
    cut = _every_grain(facts)
    each = cut.group_by([*MEMBER, ERROR_SOURCE, "zone"]).aggregate(**{name: _sum(cut, name) for name in names})
    spoken = [indicator for indicator in INDICATORS.values() if has_interval(indicator)]
    each = each.mutate(**{f"{i.name}__ratio": _ratio(each, i) for i in spoken if _divides_by_error(i)})
    squares = {indicator.name: _squares(each, indicator) for indicator in spoken}
    each = each.mutate(**{f"{name}__half_width": square for name, square in squares.items()})
    return each.group_by(MEMBER).aggregate(
        **{name: _sum(each, name) for name in names},
        **{f"{name}__half_width": each[f"{name}__half_width"].sum().sqrt() for name in squares},
    )


def indicators(members: ir.Table, currency: str) -> ir.Table:
    """Every indicator of every member: rows of the contract `KpisDaily`, sums of money apart.

    Args:
        members: From `by_member`; kept by the caller.
        currency: The organisation's.
    """
    return long_rows(members, [_row(members, i, currency) for i in INDICATORS.values() if i.unit != CURRENCY])


def costs(facts: ir.Table) -> ir.Table:
    """Sums of money in every currency of the bills, which are summed apart and never converted.

    Args:
        facts: From `energy_assets.kpis.facts.facts`.
    """
    money = [indicator for indicator in INDICATORS.values() if indicator.unit == CURRENCY]
    billed = facts.filter(facts.currency.notnull())
    cut = _every_grain(billed.select("day", *KPI_KEYS, "currency", *(name_of(i.numerator) for i in money)))
    spent = cut.group_by([*MEMBER, "currency"]).aggregate(
        **{name_of(i.numerator): _sum(cut, name_of(i.numerator)) for i in money}
    )
    return long_rows(spent, [_row(spent, indicator, spent.currency) for indicator in money])


def _every_grain(facts: ir.Table) -> ir.Table:
    """The facts once per grain, each with the member its grain puts it under."""
    members = [
        ibis.struct(
            {
                "grain": ibis.literal(grain),
                "member": ibis.literal("all") if grain == "total" else facts[grain].fill_null("unknown"),
            }
        )
        for grain in KPI_GRAINS
    ]
    cut = facts.mutate(cut=ibis.array(members).unnest()).unpack("cut")
    # What is no training run is no member of that grain, and most facts are none.
    return cut.filter((cut.grain != RUN) | cut[RUN].notnull())


def _sum(rows: ir.Table, measure: str) -> Any:
    return rows[measure].sum().cast(rows[measure].type())


def _squares(each: ir.Table, indicator: Indicator) -> Any:
    """What one source and zone adds to the squared half-width of a member.

    The errors of an owner (the source of a meter, the zone of a factor) are summed, then squared, and the square is
    spread evenly over the owner's rows, so that the member can add them up. A square is never negative, however its
    errors cancel: a row's error times the owner's sum would be the same, but for rounding below zero.
    """
    square: Any = ibis.literal(0.0)
    for kind, owner in (("meter", ERROR_SOURCE), ("factor", "zone")):
        if any(kind in errors_of(one) for one in indicator.ingredients()):
            error = _error(each, indicator, kind)
            window = ibis.window(group_by=[*(each[name] for name in MEMBER), each[owner]])
            summed: Any = error.sum().over(window)
            square = square + summed * summed / each.count().over(window)
    return square


def _error(each: ir.Table, indicator: Indicator, kind: str) -> Any:
    """The error of what carries it; of a numerator, less the denominator's times the ratio: what both share cancels."""
    top, below = carrier(indicator), indicator.denominator
    error: Any = _half_width(each, indicator, top, kind) if kind in errors_of(top) else ibis.literal(0.0)
    if below in (None, top) or kind not in errors_of(below):
        return error
    return error - each[f"{indicator.name}__ratio"] * _half_width(each, indicator, below, kind)


def _divides_by_error(indicator: Indicator) -> bool:
    below = indicator.denominator
    return below is not None and bool(errors_of(below)) and carrier(indicator) != below


def _ratio(each: ir.Table, indicator: Indicator) -> Any:
    """The value of a ratio for the whole member."""
    above, below = (_over_member(each, part(indicator, one)) for one in indicator.ingredients())
    return above / below.nullif(0.0)


def _half_width(each: ir.Table, indicator: Indicator, ingredient: Ingredient, kind: str) -> Any:
    return each[f"{part(indicator, ingredient)}__{kind}"].cast("float64").fill_null(0.0)


def _over_member(each: ir.Table, column: str) -> Any:
    window = ibis.window(group_by=[each[name] for name in MEMBER])
    return each[column].cast("float64").fill_null(0.0).sum().over(window)


def _row(m: ir.Table, indicator: Indicator, currency: Any) -> ir.StructValue:
    unit = indicator.unit.removeprefix(CURRENCY)
    numerator = _scaled(m, indicator, indicator.numerator)
    # A share of something that is there, of which nothing meets the condition, is zero and not unknown.
    numerator = numerator.fill_null(0) if indicator.kind == "share" else numerator
    denominator = None if indicator.denominator is None else _scaled(m, indicator, indicator.denominator)
    if indicator.basis == "reported" and denominator is not None:
        # Energy of which nothing is reported leaves the share unknown, and its day in the coverage of the month.
        energy = m[name_of(coverage_rows(indicator)[1])]
        denominator = ibis.ifelse(energy.notnull(), denominator.fill_null(0), denominator)
    there = m.grain.isin(list(indicator.grains))
    return _kpi(
        indicator.name,
        ibis.literal(unit) if unit == indicator.unit else currency + ibis.literal(unit),
        ibis.ifelse(there, numerator.cast(t.FIGURE), ibis.null(t.FIGURE)),
        denominator,
        _coverage(m, indicator),
        _interval(m, indicator),
    )


def _scaled(m: ir.Table, indicator: Indicator, ingredient: Ingredient) -> Any:
    """The ingredient times its factor, exactly: a whole number, or a power of ten below one."""
    column, factor = m[part(indicator, ingredient)], Decimal(ingredient.factor)
    if factor == 1:
        return column
    if factor == factor.to_integral_value():
        return (column * int(factor)).cast(type_of(ingredient.rows))
    digits = -int(factor.as_tuple().exponent)
    scale = ibis.literal(ingredient.factor).cast(f"decimal({digits + 1}, {digits})")
    return (column.cast(f"decimal(30, {digits})") * scale).cast(f"decimal(38, {digits})")


def _coverage(m: ir.Table, indicator: Indicator) -> Any:
    if indicator.basis == "none":
        return ibis.null(t.SHARE)
    sides = [part(indicator, one) for one in indicator.matched_sides()]
    if sides:
        shares = [_share(m, f"{side}__matched", f"{side}__all") for side in sides]
        return ibis.least(*shares).round(6).cast(t.SHARE)
    observed, hours = coverage_rows(indicator)
    share = _share(m, name_of(observed), name_of(hours)).round(6).cast(t.SHARE)
    return share if indicator.basis == "activity" else share.fill_null(0)


def _share(m: ir.Table, some: str, whole: str) -> Any:
    return m[some].cast("float64") / m[whole].cast("float64").nullif(0.0)


def _interval(m: ir.Table, indicator: Indicator) -> Any:
    """± per cent of the value; unknown where the interval of any part of it is."""
    if not has_interval(indicator):
        return ibis.null(t.PERCENT)
    known = ibis.literal(True)
    for one in indicator.ingredients():
        if errors_of(one):
            known = known & (m[f"{part(indicator, one)}__open"].fill_null(0) == 0)
    amount = m[part(indicator, carrier(indicator))].cast("float64").abs().nullif(0.0)
    per_cent = m[f"{indicator.name}__half_width"] / amount
    return ibis.ifelse(known, per_cent.round(3).cast(t.PERCENT), ibis.null(t.PERCENT))


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


def long_rows(members: ir.Table, rows: list[ir.StructValue]) -> ir.Table:
    """One row per member and KPI that has a numerator, with the member in its grain's column.

    Args:
        members: A row for each, with the columns of `MEMBER`.
        rows: What a row of each KPI is.
    """
    long = members.select(*MEMBER, row=ibis.array(rows).unnest()).unpack("row")
    long = long.filter(long.numerator.notnull())
    none = ibis.null("string")
    return long.mutate(**{name: ibis.ifelse(long.grain == name, long.member, none) for name in KPI_KEYS}).drop("member")

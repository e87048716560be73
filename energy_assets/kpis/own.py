"""Indicators of an organisation's own, by day: exact sums of lake rows, divided last.

What belongs here: from lake rows to rows of the contract `KpisDaily`. What does not: reading expressions
(`contracts/expressions.py`), and the same as SQL for evidence (`own_evidence.py`), which must give the same digits.

A term of which no row exists adds nothing to the others of its side; one whose rows exist, none of them known, leaves
the side unknown. A side without any row is unknown, but for the numerator of a share: of a whole that is there, the
part of which nothing meets its conditions is zero. Where a side is unknown, there is no indicator on the day, and where
the denominator is zero it has no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.tables import KPI_DIMENSIONS
from energy_assets.kpis.daily import MEMBER, long_rows
from energy_assets.kpis.facts import PER_CENT_DIGITS, type_of
from energy_assets.kpis.own_terms import Part, Sum, parts, sums
from energy_assets.kpis.rests import ERROR_SOURCE, METERED, apart, completed
from energy_assets.own_kpis import OwnKpi

OWNER = (ERROR_SOURCE, "zone")
KINDS = {"meter": ERROR_SOURCE, "factor": "zone"}
"""Kinds of errors, and what shares one: readings of a source, hours of a zone."""
PRODUCT = "decimal(38, 16)"
WIDEST = 999.9995
"""Per cent; an interval of this width or a wider one says nothing, and has no room in its column."""
Keep = Callable[[ir.Table], ir.Table]


def own_kpis(
    emissions: ir.Table,
    activity: ir.Table,
    cost: ir.Table,
    kpis: Sequence[OwnKpi],
    currency: str,
    keep: Keep = lambda rows: rows,
) -> ir.Table:
    """Rows of the contract `KpisDaily` of indicators of one's own.

    Args:
        emissions: Rows of the contract `Emissions`.
        activity: Rows of the contract `Activity`.
        cost: Rows of the contract `Cost`.
        kpis: At least one.
        currency: The organisation's; money in others counts where an expression asks for it.
        keep: Computes a table once and for all.
    """
    wanted = sums(kpis, currency)
    tables = {"emissions": emissions, "activity": activity, "cost": cost}
    asked = [name for name in tables if any(one.measure.table == name for one in wanted)]
    summed = [_of_emissions(emissions, wanted, keep) if name == "emissions" else _exact(tables[name], wanted, name)
              for name in asked]  # fmt: skip
    facts = keep(ibis.union(*(_complete(rows, wanted) for rows in summed))) if len(summed) > 1 else keep(
        _complete(summed[0], wanted))  # fmt: skip
    members = keep(_members(facts, wanted, kpis, currency))
    return long_rows(members, [_row(members, one, wanted, currency) for one in kpis])


def _name(wanted: Sequence[Sum], one: Sum) -> str:
    return f"s{wanted.index(one)}"


def _where(rows: ir.Table, filters: Sequence[Any], *also: Any) -> Any:
    conditions = [*also, *(one.of(rows) for one in filters)]
    return reduce(lambda a, b: a & b, conditions) if conditions else None


def _sums(rows: ir.Table, wanted: Sequence[Sum], table: str, own: Any = None) -> dict[str, Any]:
    """Amount, number of rows, and both sides of the coverage of every sum over a table."""
    mine = [] if own is None else [own]
    found: dict[str, Any] = {}
    for one in wanted:
        if one.measure.table != table:
            continue
        name, where = _name(wanted, one), _where(rows, one.rows, *mine)
        observed, hours = one.observed, one.hours
        seen, there = (_where(rows, part.filters, *mine) for part in (observed, hours))
        found |= {
            name: rows[one.measure.name].sum(where=where).cast(type_of(one.selection)),
            f"{name}_rows": rows.count(where=where),
            f"{name}_seen": (rows[observed.column].sum(where=seen) if observed.column else rows.count(where=seen)).cast(
                "decimal(38, 6)"
            ),
            f"{name}_there": rows.count(where=there),
        }
    return found


def _dimensions(rows: ir.Table) -> dict[str, Any]:
    return {name: rows[name] if name in rows.columns else ibis.null("string") for name in KPI_DIMENSIONS}


def _exact(rows: ir.Table, wanted: Sequence[Sum], table: str) -> ir.Table:
    """Sums of what is counted or billed."""
    keys = {"day": rows.day, **_dimensions(rows)}
    return rows.group_by(**keys).aggregate(**_sums(rows, wanted, table))


def _of_emissions(emissions: ir.Table, wanted: Sequence[Sum], keep: Keep) -> ir.Table:
    """Sums with the errors of their meters and factors; see `facts.facts` for whose they are."""
    rows = apart(emissions, keep)
    rows = rows.mutate(of_container=rows.device_kind.isin(METERED), has_interval=rows.grams_uncertainty_pct.notnull())
    alike = ["day", *KPI_DIMENSIONS, "uncertainty_pct", "meter_pct", "factor_uncertainty_pct", "has_interval",
             ERROR_SOURCE, "borrowed", "of_container"]  # fmt: skip
    amounts = _sums(rows, wanted, "emissions", ~rows.borrowed)
    # A borrowed row has an error and no amount: what its error is of, the sum over it alone says.
    lent = {
        f"{_name(wanted, one)}_lent": rows[one.measure.name]
        .sum(where=_where(rows, one.rows, rows.borrowed))
        .cast(type_of(one.selection))
        for one in wanted
        if one.errors
    }
    summed = rows.group_by(alike).aggregate(**amounts, **lent)
    summed = completed(summed, summed.of_container)
    errors: dict[str, Any] = {}
    for one in wanted:
        if not one.errors:
            continue
        name = _name(wanted, one)
        known = summed.uncertainty_pct.notnull()
        if "factor" in one.errors:
            known = known & summed.factor_uncertainty_pct.notnull() & summed.has_interval
        of_meter = ibis.coalesce(summed[name], summed[f"{name}_lent"]) * summed.meter_pct
        errors[f"{name}_meter"] = of_meter.cast("float64")
        if "factor" in one.errors:
            errors[f"{name}_factor"] = (summed[name] * summed.factor_uncertainty_pct).cast("float64")
        errors[f"{name}_open"] = ibis.ifelse(known, 0, summed[name].abs().cast("float64"))
    return summed.mutate(**errors)


def _columns(wanted: Sequence[Sum]) -> dict[str, Any]:
    """Every column of the facts and its type."""
    found: dict[str, Any] = {}
    for one in wanted:
        name = _name(wanted, one)
        found |= {name: type_of(one.selection), f"{name}_rows": "int64", f"{name}_seen": "decimal(38, 6)",
                  f"{name}_there": "int64"}  # fmt: skip
        found |= {f"{name}_{kind}": "float64" for kind in (*one.errors, "open")} if one.errors else {}
    return found


def _complete(rows: ir.Table, wanted: Sequence[Sum]) -> ir.Table:
    """The table with every column; NULL where it has none."""
    columns = _columns(wanted)
    absent = {name: ibis.null(dtype) for name, dtype in columns.items() if name not in rows.columns}
    owner = {} if ERROR_SOURCE in rows.columns else {ERROR_SOURCE: rows.source}
    wide = rows.mutate(**absent, **owner)
    return wide.select("day", *KPI_DIMENSIONS, ERROR_SOURCE, **{n: wide[n].cast(d) for n, d in columns.items()})


def _members(facts: ir.Table, wanted: Sequence[Sum], kpis: Sequence[OwnKpi], currency: str) -> ir.Table:
    """Sums by day, grain and member, with the half-width of each indicator's interval in the numerator's unit."""
    grains = ["total", *(name for name in KPI_DIMENSIONS if any(name in one.by for one in kpis))]
    members = [
        ibis.struct({
            "grain": ibis.literal(grain),
            "member": ibis.literal("all") if grain == "total" else facts[grain].fill_null("unknown"),
        })
        for grain in grains
    ]  # fmt: skip
    cut = facts.mutate(cut=ibis.array(members).unnest()).unpack("cut")
    columns = _columns(wanted)
    # The zone of a cut by zone is in the member; here it tells whose factor errs.
    each = cut.group_by([*MEMBER, *OWNER]).aggregate(**{n: cut[n].sum().cast(d) for n, d in columns.items()})
    told = [one for one in kpis if _told(one, currency)]
    each = each.mutate(**{f"{one.name}__ratio": _ratio(each, one, wanted, currency) for one in told})
    squares = {one.name: _squares(each, one, wanted, currency) for one in told}
    each = each.mutate(**{f"{name}__square": square for name, square in squares.items()})
    return each.group_by(MEMBER).aggregate(
        **{name: each[name].sum().cast(dtype) for name, dtype in columns.items()},
        **{f"{name}__half_width": each[f"{name}__square"].sum().sqrt() for name in squares},
    )


def _told(one: OwnKpi, currency: str) -> bool:
    """Whether an interval can be told: something has an error, and nothing an unknown one; of shares none is."""
    if one.is_share:
        return False
    errors = [part.sum.errors for side in parts(one, currency) for part in side]
    return any(errors) and None not in errors


def _squares(each: ir.Table, one: OwnKpi, wanted: Sequence[Sum], currency: str) -> Any:
    """What one source and zone adds to the squared half-width of a member.

    What shares an owner adds linearly, owners in squares. Of a ratio the denominator's errors times the ratio are taken
    off the numerator's before they are squared, so that what is common to both sides cancels.
    """
    above, below = parts(one, currency)
    square: Any = ibis.literal(0.0)
    for kind, owner in KINDS.items():
        if not any(kind in (part.sum.errors or ()) for part in (*above, *below)):
            continue
        error = _error(each, above, wanted, kind)
        if below:
            error = error - each[f"{one.name}__ratio"] * _error(each, below, wanted, kind)
        window = ibis.window(group_by=[*(each[name] for name in MEMBER), each[owner]])
        summed: Any = error.sum().over(window)
        square = square + summed * summed / each.count().over(window)
    return square


def _ratio(each: ir.Table, one: OwnKpi, wanted: Sequence[Sum], currency: str) -> Any:
    """The value of a ratio for the whole member; zero of a sum, which has no denominator to err."""
    above, below = parts(one, currency)
    if not below:
        return ibis.literal(0.0)
    window = ibis.window(group_by=[each[name] for name in MEMBER])
    top, bottom = (_float(each, side, wanted).sum().over(window) for side in (above, below))
    return top / bottom.nullif(0.0)


def _float(each: ir.Table, side: Sequence[Part], wanted: Sequence[Sum]) -> Any:
    return sum((each[_name(wanted, part.sum)].cast("float64").fill_null(0.0) * float(part.factor) for part in side),
               ibis.literal(0.0))  # fmt: skip


def _error(each: ir.Table, side: Sequence[Part], wanted: Sequence[Sum], kind: str) -> Any:
    found: Any = ibis.literal(0.0)
    for part in side:
        if kind in (part.sum.errors or ()):
            found = found + each[f"{_name(wanted, part.sum)}_{kind}"].fill_null(0.0) * float(part.factor)
    return found


def _row(m: ir.Table, one: OwnKpi, wanted: Sequence[Sum], currency: str) -> ir.StructValue:
    above, below = parts(one, currency)
    numerator, denominator = _side(m, above, wanted), _side(m, below, wanted) if below else ibis.null(t.FIGURE)
    if one.is_share:
        numerator = ibis.ifelse(_rows(m, above, wanted) == 0, ibis.literal(0).cast(t.FIGURE), numerator)
    there = m.grain.isin(["total", *one.by])
    exact = ibis.ifelse(there & (denominator.notnull() if below else True), numerator, ibis.null(t.FIGURE))
    ratio = (exact.cast("float64") / denominator.cast("float64").nullif(0.0)).cast("decimal(38, 12)").cast(t.FIGURE)
    return ibis.struct(
        {
            "kpi": ibis.literal(one.name),
            "unit": ibis.literal(one.unit),
            "value": ratio if below else exact,
            "numerator": exact,
            "denominator": denominator,
            "coverage": _coverage(m, (*above, *below), wanted),
            "uncertainty_pct": _interval(m, one, (*above, *below), exact, wanted, currency),
        }
    )


def _rows(m: ir.Table, side: Sequence[Part], wanted: Sequence[Sum]) -> Any:
    counts = [m[f"{_name(wanted, part.sum)}_rows"].fill_null(0) for part in side]
    return reduce(lambda a, b: a + b, counts)


def _side(m: ir.Table, side: Sequence[Part], wanted: Sequence[Sum]) -> Any:
    """The sum of a side, exactly; NULL where it has no row, or a term's rows are all unknown."""
    terms = []
    for part in side:
        name = _name(wanted, part.sum)
        nothing = m[f"{name}_rows"].fill_null(0) == 0
        amount = ibis.ifelse(nothing, ibis.literal(0).cast(m[name].type()), m[name])
        terms.append(times(amount, part.factor))
    added: Any = reduce(lambda a, b: a + b, terms)
    return ibis.ifelse(_rows(m, side, wanted) == 0, ibis.null(t.FIGURE), added.cast(t.FIGURE))


def times(amount: Any, factor: Decimal) -> Any:
    """An amount times a number, to the decimals that KPI rows keep.

    The type of the product is not what Ibis believes, so it takes two casts: one to what it does not believe.

    Args:
        amount: Of any exact type.
        factor: With as many decimals as it has.
    """
    if factor == 1:
        return amount.cast(t.FIGURE)
    number = ibis.literal(f"{factor:f}").cast(f"decimal(18, {digits(factor)})")
    return (amount.cast(t.FIGURE) * number).cast(PRODUCT).cast(t.FIGURE)


def digits(factor: Decimal) -> int:
    """Decimals of a number.

    Args:
        factor: Of a part.
    """
    return max(-int(factor.normalize().as_tuple().exponent), 0)


def _coverage(m: ir.Table, both: Sequence[Part], wanted: Sequence[Sum]) -> Any:
    """The smallest share of hours observed, or of lines in the currency, of any of its terms."""
    shares = []
    for one in dict.fromkeys(part.sum for part in both):
        name = _name(wanted, one)
        seen, there = m[f"{name}_seen"].cast("float64"), m[f"{name}_there"].cast("float64")
        shares.append(seen.fill_null(0.0) / there.nullif(0.0))
    return (ibis.least(*shares) if len(shares) > 1 else shares[0]).round(6).cast(t.SHARE)


def _interval(
    m: ir.Table, one: OwnKpi, both: Sequence[Part], numerator: Any, wanted: Sequence[Sum], currency: str
) -> Any:
    """± per cent of the value; unknown where the interval of any part of it is."""
    if not _told(one, currency):
        return ibis.null(t.PERCENT)
    open_ = [m[f"{_name(wanted, part.sum)}_open"].fill_null(0.0) == 0.0 for part in both if part.sum.errors]
    per_cent = m[f"{one.name}__half_width"] / numerator.cast("float64").abs().nullif(0.0)
    known = reduce(lambda a, b: a & b, open_) & (per_cent < WIDEST)
    return ibis.ifelse(known, per_cent.round(PER_CENT_DIGITS).cast(t.PERCENT), ibis.null(t.PERCENT))

"""What all rules share: months, sums with intervals, and the query that returns a subject's rows.

What belongs here: expressions that several rules use. What does not: a rule, and the rows of the table (`rows.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.vocabulary import WorkloadType

Keep = Callable[[ir.Table], ir.Table]
MOVABLE = (WorkloadType.TRAINING.value, WorkloadType.FINE_TUNING.value, WorkloadType.BATCH.value)
"""Work that nobody waits for: it may run at another hour or elsewhere."""
BASIS_COLUMN = {"direct": "direct_gco2e_per_kwh", "lifecycle": "lifecycle_gco2e_per_kwh"}
"""Column of `grid_intensity` that location-based grams are made with, by the site's `scope2_basis`."""
WIDEST_PCT = 1000
"""An interval from here on says nothing any more, and is not stated."""
DIGITS = 9
"""Decimals to which a quotient is rounded, once."""


def month_of(day: Any) -> Any:
    """The first day of a day's month.

    Args:
        day: A column of dates.
    """
    return ibis.date(day.year(), day.month(), 1)


def sums(rows: ir.Table, where: Any = None) -> dict[str, Any]:
    """Energy, facility energy and location-based grams of the rows that meet a condition, with their intervals.

    A sum of no row at all is zero, because the subject was measured; a sum of rows that are all unknown is unknown.

    Args:
        rows: With the columns of `Emissions`.
        where: A condition on them; None for all.
    """
    mine = rows.day.notnull() if where is None else where
    none = (mine.ifelse(1, 0).sum() == 0).fill_null(True)

    def total(column: str, dtype: Any) -> Any:
        return ibis.ifelse(none, ibis.literal(0).cast(dtype), rows[column].sum(where=mine).cast(dtype))

    return {
        "energy_kwh": total("energy_kwh", t.FACILITY_KWH),
        "facility_kwh": total("facility_kwh", t.FACILITY_KWH),
        "location_g": total("location_g", t.GRAMS),
        "uncertainty_pct": interval(rows.energy_kwh, rows.uncertainty_pct, mine),
        "grams_uncertainty_pct": interval(rows.location_g, rows.grams_uncertainty_pct, mine),
        "row_count": mine.ifelse(1, 0).sum().cast("int64").fill_null(0),
    }


def interval(amount: Any, pct: Any, where: Any) -> Any:
    """95 % interval of a sum of amounts that share their meters and factors: their half-widths add linearly.

    Args:
        amount: What is summed, not below zero.
        pct: Its interval, ± per cent; where one of an amount above zero is unknown, that of the sum is.
        where: The rows that are summed.
    """
    whole = amount.sum(where=where).cast("float64")
    half = (amount.cast("decimal(29, 9)") * pct).cast("decimal(38, 12)").sum(where=where).cast("float64")
    unknown = (amount > 0) & pct.isnull()
    is_open = unknown.fill_null(False).max(where=where).fill_null(True)
    return stated(ibis.ifelse(is_open, None, half / whole.nullif(0.0)))


def stated(pct: Any) -> Any:
    """An interval as the lake keeps it; none where it is too wide to say anything.

    Args:
        pct: Per cent, a float.
    """
    return ibis.ifelse(pct < WIDEST_PCT, pct.round(3), None).cast(t.PERCENT)


def portion(whole: Any, part: Any, every: Any, dtype: Any) -> Any:
    """`whole` divided as `part` is of `every`; unknown where a side is, or nothing is there to divide by.

    Args:
        whole: What is divided.
        part: In the unit of `every`.
        every: Not below zero.
        dtype: Of the answer.
    """
    value = whole.cast("float64") * part.cast("float64") / every.cast("float64").nullif(0.0)
    return value.round(DIGITS).cast(dtype)


def share(part: Any, every: Any) -> Any:
    """A share of at most the whole; unknown where there is no whole.

    Args:
        part: In the unit of `every`.
        every: Not below zero.
    """
    found = part.cast("float64") / every.cast("float64").nullif(0.0)
    return ibis.ifelse(found > 1, 1.0, found).round(6).cast(t.SHARE)


def only(column: Any) -> Any:
    """The one value of a column; unknown where it has several, or a row has none.

    Args:
        column: Text.
    """
    return ibis.ifelse((column.nunique() == 1) & column.notnull().all(), column.max(), None)


def scope_of(rows: ir.Table) -> Any:
    """The GHG scope of some rows; unknown where they belong to several.

    Args:
        rows: With `ghg_scope`.
    """
    return ibis.ifelse(rows.ghg_scope.nunique() == 1, rows.ghg_scope.max(), ibis.null(t.TEXT))


def days_in(rows: ir.Table) -> Any:
    """How many days tell of a subject.

    Args:
        rows: With `day`.
    """
    return rows.day.nunique().cast("int64")


def selected(
    rows: ir.Table,
    table: str,
    columns: Sequence[str],
    *conditions: str,
    alias: Mapping[str, str] | None = None,
    what: str = "*",
) -> Any:
    """SQL of `energy-assets sql` for the rows of a subject in its month; every value in it is quoted.

    Args:
        rows: With `month` and the columns.
        table: Of the lake, with a column `day`.
        columns: That the subject's rows have in common.
        conditions: Further ones, as SQL.
        alias: What a column is called in the lake, where it is not its own name.
        what: What is selected of each row.
    """
    first = rows.month.cast("string")
    month = ibis.literal("day >= '") + first + "' and day < date '" + first + "' + interval 1 month"
    fixed = "".join(f" and {condition}" for condition in conditions)
    return ibis.literal(f"select {what} from {table} where ") + month + fixed + matching(rows, columns, alias)  # noqa: S608


def matching(rows: ir.Table, columns: Sequence[str], alias: Mapping[str, str] | None = None) -> Any:
    """SQL of the conditions that columns have the row's values; unknown equals unknown.

    Args:
        rows: With the columns.
        columns: Text columns.
        alias: What a column is called in the lake, where it is not its own name.
    """
    text = ibis.literal("")
    for column in columns:
        name = (alias or {}).get(column, column)
        value = rows[column].replace("'", "''")
        same = ibis.literal(f" and {name} = '") + value + "'"
        text = text + ibis.ifelse(rows[column].isnull(), f" and {name} is null", same)
    return text

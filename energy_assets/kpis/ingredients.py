"""Ingredients: sums over lake rows that KPIs are made of, and what both engines of a figure compile from them.

What belongs here: how a sum is declared (table, column, conditions, factor), and the same as SQL text and as an Ibis
expression. What does not: which sums a KPI wants (`indicators.py`), and the steps that compute them (`facts.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from typing import Any

import ibis
import ibis.expr.types as ir

UNKNOWN = "unknown"
SUM, FIRST_KNOWN = " + ", " or "


@dataclass(frozen=True)
class Filter:
    """One condition on a row.

    `op` is `=`, `!=`, `<` (of numbers), `between`, `in`, `is null`, `is not null`; `unknown`: NULL or the word itself,
    which is how KPIs name a missing dimension; `among`: one of several values, `unknown` being NULL too; `hour of day`:
    of a timestamp, UTC; `or idle`: of `workload_id`, the source says who used the device, or that nobody did. Several
    columns, joined by ` or `, are the first of them that is known.
    """

    column: str
    op: str = "="
    value: str | tuple[str, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, or those of which the first known one counts."""
        return tuple(self.column.split(FIRST_KNOWN))

    def sql(self) -> str:
        """The condition as SQL; values are quoted, so any text is safe in it."""
        column = first_known_sql(self.columns)
        if self.op == "unknown":
            return f"coalesce({column}, 'unknown') = 'unknown'"
        if self.op == "among":
            some = ", ".join(quoted(value) for value in self.value or ())
            return f"coalesce({column}::varchar, 'unknown') in ({some})"
        if self.op == "hour of day":
            return f"hour({column}) = {self.value}"
        if self.op == "or idle":
            return f"({column} is not null or workload_type = 'idle')"
        if self.value is None:
            return f"{column} {self.op}"
        if isinstance(self.value, str):
            return f"{column} {self.op} {quoted(self.value)}"
        values = [quoted(value) for value in self.value]
        if self.op == "between":
            return f"{column} between {values[0]} and {values[1]}"
        return f"{column} in ({', '.join(values)})"

    def of(self, rows: ir.Table) -> ir.BooleanValue:
        """The condition as an Ibis expression on `rows`.

        Args:
            rows: Have the column.
        """
        column: Any = first_known([rows[name] for name in self.columns])
        if self.op == "or idle":
            known: ir.BooleanValue = column.notnull() | (rows.workload_type == "idle")
            return known
        if self.op == "hour of day":
            return column.hour() == int(str(self.value))
        if self.op == "<":
            below: ir.BooleanValue = column < Decimal(str(self.value))
            return below
        text = column.cast("string")
        if self.op == "among":
            return text.fill_null(UNKNOWN).isin(self.value or ())
        if isinstance(self.value, tuple):
            return text.between(*self.value) if self.op == "between" else text.isin(self.value)
        return {
            "is null": column.isnull(),
            "is not null": column.notnull(),
            "unknown": text.fill_null(UNKNOWN) == UNKNOWN,
            "!=": text != self.value,
            "=": text == self.value,
        }[self.op]


@dataclass(frozen=True)
class Selection:
    """Rows of a lake table: enough to select them again.

    Attributes:
        table: Name of the lake table.
        column: The column that makes the number; None counts rows. Several, joined by ` + `, are added row by row,
            each where it is known; of several joined by ` or `, the first known one counts.
        filters: All must hold.
        aggregate: `sum`, `avg`, `count(distinct …)` as `distinct`, or `busiest`: the largest sum over one device
            in one hour.
    """

    table: str
    column: str | None = None
    filters: tuple[Filter, ...] = ()
    aggregate: str = "sum"

    @property
    def terms(self) -> tuple[tuple[str, ...], ...]:
        """What is added: columns, of which the first known one counts."""
        return tuple(tuple(term.split(FIRST_KNOWN)) for term in self.column.split(SUM)) if self.column else ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that make the number."""
        return tuple(name for term in self.terms for name in term)

    def sql(self) -> str:
        """The query that gives the number, for `energy-assets sql`; every value in it is quoted."""
        where = " and ".join(f.sql() for f in self.filters)
        rows = f"{self.table}" + (f" where {where}" if where else "")
        if self.column is None:
            return f"select count(*) from {rows}"  # noqa: S608
        if self.aggregate == "distinct":
            return f"select count(distinct {self.column}) from {rows}"  # noqa: S608
        if self.aggregate == "busiest":
            each = f"select sum({self.column}) as total from {rows} group by hour, source, node_id, device_id"  # noqa: S608
            return f"select max(total) from ({each})"  # noqa: S608
        return f"select {self.aggregate}({self.amount()}) from {rows}"  # noqa: S608

    def amount(self) -> str:
        """What a row gives to the number, as SQL; of several terms each where it is known."""
        if len(self.terms) == 1:
            return first_known_sql(self.terms[0])
        return SUM.join(f"coalesce({', '.join(term)}, 0)" for term in self.terms)

    def value(self, rows: ir.Table) -> ir.NumericValue:
        """What each row gives to the number: its column, or the sum of those of its terms that are known."""
        return added([first_known([rows[name] for name in term]) for term in self.terms])

    def where(self, *filters: Filter) -> Selection:
        """The same selection with further conditions."""
        return replace(self, filters=(*self.filters, *filters))

    def to_json(self) -> dict[str, Any]:
        """Table, column, conditions and the same as SQL."""
        return {
            "table": self.table,
            "column": self.column,
            "aggregate": self.aggregate if self.column else "count",
            "filters": [
                {"column": f.column, "op": f.op, "value": list(f.value) if isinstance(f.value, tuple) else f.value}
                for f in self.filters
            ],
            "sql": self.sql(),
        }


@dataclass(frozen=True)
class Ingredient:
    """A numerator or denominator: one sum over lake rows, times a factor.

    Attributes:
        rows: The rows and the column that are summed.
        factor: What the sum is multiplied with: "1", a whole number, or a negative power of ten ("0.001").
        with_idle: Whether the energy (or grams) of idle devices of the same source and day is added, in proportion
            to the source's busy energy: nobody uses them, but they are kept ready.
    """

    rows: Selection
    factor: str = "1"
    with_idle: bool = False


def total(table: str, column: str | None, *filters: Filter, factor: str = "1", with_idle: bool = False) -> Ingredient:
    """The sum of a column (or the number) of the rows of a table that meet `filters`, times `factor`.

    Args:
        table: Table of the lake.
        column: What is summed; None counts the rows.
        filters: Conditions that must all hold.
        factor: "1", a whole number, or a negative power of ten ("0.001").
        with_idle: Add the share of idle devices, see `Ingredient`.
    """
    return Ingredient(Selection(table, column, filters), factor, with_idle)


def added(columns: Sequence[ir.NumericValue]) -> ir.NumericValue:
    """The sum of the known ones of some columns; unknown where all are."""
    if len(columns) == 1:
        return columns[0]
    known: ir.BooleanValue = reduce(lambda a, b: a | b, [column.notnull() for column in columns])
    filled: list[Any] = [column.fill_null(0) for column in columns]
    return ibis.ifelse(known, reduce(lambda a, b: a + b, filled), ibis.null(columns[0].type()))


def first_known(columns: Sequence[Any]) -> Any:
    """The first of some columns that is known in a row; unknown where none is.

    Args:
        columns: In the order in which they are asked.
    """
    return columns[0] if len(columns) == 1 else ibis.coalesce(*columns)


def first_known_sql(columns: Sequence[str]) -> str:
    """`first_known` as SQL.

    Args:
        columns: Their names.
    """
    return columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"


def quoted(value: str) -> str:
    """Text as an SQL literal; any text is safe in it.

    Args:
        value: As tags give it.
    """
    return "'" + value.replace("'", "''") + "'"

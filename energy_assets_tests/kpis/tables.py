"""Small tables for tests of one step of the indicators, with the few indicators that a test is about.

What belongs here: rows of Python as the tables that one step hands to the next. What does not: expected numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.tables import KPI_KEYS
from energy_assets.kpis.facts import has_interval, measures
from energy_assets.kpis.indicators import Indicator
from energy_assets.kpis.ingredients import Ingredient
from energy_assets.kpis.rests import ERROR_SOURCE

Row = dict[str, Any]
MONDAY, TUESDAY = date(2024, 5, 6), date(2024, 5, 7)


def indicator(name: str, numerator: Ingredient, denominator: Ingredient | None = None, **more: Any) -> Indicator:
    """An indicator of a test: cut by everything, without coverage, unless `more` says otherwise.

    Args:
        name: Its name.
        numerator: What is summed.
        denominator: What it is divided by.
        more: Other attributes.
    """
    given: Row = {"kind": "ratio" if denominator else "count", "unit": "u", "basis": "none"} | more
    return Indicator(
        name=name, label=name, method="M", formula="f", numerator=numerator, denominator=denominator, **given
    )


def facts_of(rows: Iterable[Mapping[str, Any]]) -> ir.Table:
    """A table of facts; a measure that a row does not name is NULL.

    Args:
        rows: Of Monday unless they say otherwise.
    """
    columns = {"day": "date"} | dict.fromkeys([*KPI_KEYS, "currency", ERROR_SOURCE], "string") | measures()
    return typed(columns, [{"day": MONDAY, **row} for row in rows])


def members_of(indicators: Iterable[Indicator], rows: Iterable[Mapping[str, Any]]) -> ir.Table:
    """Sums by member, as `by_member` makes them.

    Args:
        indicators: Those that are patched in.
        rows: Of the whole of Monday unless they say otherwise.
    """
    widths = {f"{one.name}__half_width": "float64" for one in indicators if has_interval(one)}
    columns = {"day": "date", "grain": "string", "member": "string"} | measures() | widths
    return typed(columns, [{"day": MONDAY, "grain": "total", "member": "all", **row} for row in rows])


def typed(columns: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> ir.Table:
    """Rows as a table; what a row does not name is NULL.

    Args:
        columns: Types by name.
        rows: Values by name.

    Raises:
        ValueError: a row names a column that the table does not have, which is a mistake of the test.
    """
    rows, schema = list(rows), ibis.schema(columns).to_pyarrow()
    if unknown := {name for row in rows for name in row} - set(columns):
        raise ValueError(f"{sorted(unknown)}: not among {sorted(columns)}")
    filled = [{name: _exact(row.get(name)) for name in columns} for row in rows]
    return ibis.memtable(pa.Table.from_pylist(filled, schema=schema))


def _exact(value: Any) -> Any:
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value

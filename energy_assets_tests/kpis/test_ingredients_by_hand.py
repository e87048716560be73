"""Conditions, selections and sums on five rows: as an expression, and as the SQL that `energy-assets sql` prints."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from energy_assets.kpis.ingredients import (
    Filter,
    Ingredient,
    Selection,
    added,
    first_known,
    first_known_sql,
    quoted,
    total,
)
from energy_assets_tests.rows import rows_of

D = Decimal
IN_USE, IDLE = Filter("workload_type", "!=", "idle"), Filter("workload_type", "=", "idle")
ROWS = [
    # n, a, b, amount, other, workload_type, hour of day, device
    (1, "x", None, 1, 10, "training", 7, "g"),
    (2, "y", "o'b", 2, None, "idle", 8, "g"),
    (3, "z", None, None, None, "training", 7, "h"),
    (4, None, "x", None, 40, "idle", 9, "h"),
    (5, None, None, 5, 50, "training", 9, "h"),
    (6, "unknown", None, 6, None, "training", 9, "h"),
]
NAMES = ("n", "a", "b", "amount", "other", "workload_type", "hour", "device_id")


@pytest.fixture(scope="module")
def rows(con: Any) -> Any:
    """The rows as a view of the connection: SQL finds them by name."""
    filled = [
        dict(zip(NAMES, row, strict=True))
        | {"hour": datetime(2024, 5, 6, int(str(row[6]))), "source": "s", "node_id": "n1"}
        for row in ROWS
    ]
    kinds = {"n": "int64", "a": "string", "b": "string", "amount": "decimal(18, 9)", "other": "decimal(18, 9)"}
    typed = ibis.memtable(filled, schema=kinds | {
        "workload_type": "string", "hour": "timestamp", "device_id": "string", "source": "string", "node_id": "string",
    })  # fmt: skip
    return con.create_table("lake_rows", typed, temp=True)


@pytest.mark.parametrize(
    ("condition", "sql", "numbers"),
    [
        (Filter("a", "=", "x"), "a = 'x'", [1]),
        (Filter("a", "!=", "x"), "a != 'x'", [2, 3, 6]),
        (Filter("b", "=", "o'b"), "b = 'o''b'", [2]),
        (Filter("n", "=", "3"), "n = '3'", [3]),
        (Filter("a", "is null"), "a is null", [4, 5]),
        (Filter("a", "is not null"), "a is not null", [1, 2, 3, 6]),
        (Filter("a or b", "is null"), "coalesce(a, b) is null", [5]),
        (Filter("b or a", "=", "x"), "coalesce(b, a) = 'x'", [1, 4]),
        (Filter("a", "in", ("x", "z", "w")), "a in ('x', 'z', 'w')", [1, 3]),
        (Filter("a", "between", ("x", "y")), "a between 'x' and 'y'", [1, 2]),
        (Filter("a", "between", ("y", "z")), "a between 'y' and 'z'", [2, 3]),
        (Filter("a", "unknown"), "coalesce(a, 'unknown') = 'unknown'", [4, 5, 6]),
        (Filter("hour", "hour of day", "7"), "hour(hour) = 7", [1, 3]),
        (Filter("a", "or idle"), "(a is not null or workload_type = 'idle')", [1, 2, 3, 4, 6]),
        (Filter("amount", "<", "5"), "amount < '5'", [1, 2]),
    ],
)
def test_a_condition_selects_the_same_rows_as_text_and_as_expression(
    con: Any, rows: ir.Table, condition: Filter, sql: str, numbers: list[int]
) -> None:
    assert condition.sql() == sql
    assert [n for (n,) in con.raw_sql(f"SELECT n FROM lake_rows WHERE {sql} ORDER BY n").fetchall()] == numbers
    assert sorted(row["n"] for row in rows_of(con, rows.filter(condition.of(rows)))) == numbers


def test_a_condition_is_on_the_first_known_of_its_columns() -> None:
    assert Filter("a or b").columns == ("a", "b")
    assert Filter("a").columns == ("a",)


@pytest.mark.parametrize(
    ("wanted", "sql", "number"),
    [
        (Selection("lake_rows"), "select count(*) from lake_rows", 6),
        (Selection("lake_rows", None, (IDLE,)), "select count(*) from lake_rows where workload_type = 'idle'", 2),
        (Selection("lake_rows", "amount"), "select sum(amount) from lake_rows", 14),
        (Selection("lake_rows", "amount", aggregate="avg"), "select avg(amount) from lake_rows", 3.5),
        (
            Selection("lake_rows", "amount", (IN_USE, Filter("a", "is not null"))),
            "select sum(amount) from lake_rows where workload_type != 'idle' and a is not null",
            7,
        ),
        # 1, 2, nothing, 40, 5 and 6
        (Selection("lake_rows", "amount or other"), "select sum(coalesce(amount, other)) from lake_rows", 54),
        # 11, 2, 0, 40, 55 and 6
        (
            Selection("lake_rows", "amount + other"),
            "select sum(coalesce(amount, 0) + coalesce(other, 0)) from lake_rows",
            114,
        ),
        # 10, 2, 0, 40, 50 and 6; and the amounts
        (
            Selection("lake_rows", "other or amount + amount"),
            "select sum(coalesce(other, amount, 0) + coalesce(amount, 0)) from lake_rows",
            108 + 14,
        ),
        (Selection("lake_rows", "a", aggregate="distinct"), "select count(distinct a) from lake_rows", 4),
        # 1 at 7 and 2 at 8 on g; nothing at 7 and 11 at 9 on h
        (
            Selection("lake_rows", "amount", aggregate="busiest"),
            "select max(total) from (select sum(amount) as total from lake_rows "
            "group by hour, source, node_id, device_id)",
            11,
        ),
    ],
)
def test_a_selection_as_sql(con: Any, rows: ir.Table, wanted: Selection, sql: str, number: float) -> None:
    assert wanted.sql() == sql
    assert con.raw_sql(sql).fetchone() == (number,)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("amount", [1, 2, None, None, 5, 6]),
        ("amount or other", [1, 2, None, 40, 5, 6]),
        ("amount + other", [11, 2, None, 40, 55, 6]),
        ("other or amount + amount", [11, 4, None, 40, 55, 12]),
    ],
)
def test_what_a_row_gives(con: Any, rows: ir.Table, column: str, values: list[int | None]) -> None:
    given = rows.select("n", value=Selection("lake_rows", column).value(rows)).order_by("n")
    assert [row["value"] for row in rows_of(con, given)] == values


def test_the_terms_of_a_selection() -> None:
    assert Selection("t", "a or b + c").terms == (("a", "b"), ("c",))
    assert Selection("t", "a or b + c").columns == ("a", "b", "c")
    assert Selection("t").terms == ()
    assert Selection("t").columns == ()


def test_further_conditions_are_added_behind_those_there_are() -> None:
    assert Selection("t", "c", (IDLE,)).where(IN_USE) == Selection("t", "c", (IDLE, IN_USE))


def test_a_selection_as_json() -> None:
    several = Filter("a", "in", ("x", "y"))
    assert Selection("t", "c", (IDLE, several), "avg").to_json() == {
        "table": "t",
        "column": "c",
        "aggregate": "avg",
        "filters": [
            {"column": "workload_type", "op": "=", "value": "idle"},
            {"column": "a", "op": "in", "value": ["x", "y"]},
        ],
        "sql": "select avg(c) from t where workload_type = 'idle' and a in ('x', 'y')",
    }
    assert Selection("t").to_json() == {
        "table": "t", "column": None, "aggregate": "count", "filters": [], "sql": "select count(*) from t",
    }  # fmt: skip


def test_a_sum_has_no_share_of_idle_and_no_factor_unless_it_is_said() -> None:
    plain = Ingredient(Selection("t", "c", (IDLE, IN_USE)), "1", False)
    assert Ingredient(Selection("t", "c", (IDLE, IN_USE))) == total("t", "c", IDLE, IN_USE) == plain
    assert total("t", None, factor="0.001", with_idle=True) == Ingredient(Selection("t"), "0.001", True)


@pytest.mark.parametrize(("text", "sql"), [("plain", "'plain'"), ("o'b", "'o''b'"), ("'", "''''")])
def test_quoted_text(text: str, sql: str) -> None:
    assert quoted(text) == sql


def test_the_first_known_of_columns_as_sql() -> None:
    assert first_known_sql(["a"]) == "a"
    assert first_known_sql(["a", "b"]) == "coalesce(a, b)"
    assert first_known_sql(["a", "b", "c"]) == "coalesce(a, b, c)"


def test_one_column_is_taken_as_it_is(rows: ir.Table) -> None:
    assert first_known([rows.amount]).equals(rows.amount)
    assert added([rows.amount]).equals(rows.amount)

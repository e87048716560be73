"""Statistics of Parquet files: what they prove is kept, and never more than that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import pytest
from pandera.ibis import DataFrameModel, Field

from energy_assets.contracts import types as t
from energy_assets.contracts.statistics import proven


class Numbers(DataFrameModel):
    """A bound on each side, a list, a pattern and a column that must be there."""

    amount: t.GRAMS = Field(nullable=True, ge=0)
    share: t.SHARE = Field(le=1)
    kind: t.TEXT = Field(nullable=True, isin=["a", "b"])
    code: t.TEXT = Field(nullable=True, str_matches="^a$")


ALL = {
    "amount.greater_than_or_equal_to",
    "share.not_null",
    "share.less_than_or_equal_to",
    "kind.isin",
}


def proven_of(folder: Path, *files: str) -> frozenset[str]:
    """What is proven of files with these rows, each written as (amount, share, kind, code) in SQL."""
    con = ibis.duckdb.connect(threads=1)
    for number, rows in enumerate(files):
        typed = "amount::DECIMAL(38, 15) AS amount, share::DECIMAL(9, 6) AS share, kind, code"
        values = f"SELECT {typed} FROM (VALUES {rows}) t(amount, share, kind, code)"
        con.raw_sql(f"COPY ({values}) TO '{folder}/{number}.parquet'")
    return proven(con, [f"{folder}/{number}.parquet" for number in range(len(files))], Numbers)


@pytest.mark.parametrize(
    ("rows", "unproven"),
    [
        ("(0, 1, 'a', 'a'), (2, 0.5, 'a', 'a')", ""),
        ("(-0.000000000000001, 1, 'a', 'a')", "amount.greater_than_or_equal_to"),
        ("(1, 1.000001, 'a', 'a')", "share.less_than_or_equal_to"),
        ("(1, NULL, 'a', 'a'), (1, 1, 'a', 'a')", "share.not_null"),
        ("(NULL, 1, NULL, 'a'), (3, 1, 'a', 'a')", ""),
        ("(NULL, 1, NULL, 'a')", ""),
        ("(1, 1, 'a', 'a'), (1, 1, 'b', 'a')", "kind.isin"),
        ("(1, 1, 'c', 'a')", "kind.isin"),
    ],
)
def test_a_rule_is_proven_only_where_no_row_can_break_it(tmp_path: Path, rows: str, unproven: str) -> None:
    assert proven_of(tmp_path, rows) == ALL - {unproven}


def test_one_file_that_may_hold_an_offence_is_enough_to_doubt(tmp_path: Path) -> None:
    assert proven_of(tmp_path, "(1, 1, 'a', 'a')", "(-1, 2, 'a', 'a')") == {"share.not_null", "kind.isin"}


def test_nothing_is_proven_of_a_column_that_is_not_there(tmp_path: Path) -> None:
    con: Any = ibis.duckdb.connect(threads=1)
    con.raw_sql(f"COPY (SELECT 'a' AS kind) TO '{tmp_path}/k.parquet'")
    assert proven(con, [f"{tmp_path}/k.parquet"], Numbers) == {"kind.isin"}

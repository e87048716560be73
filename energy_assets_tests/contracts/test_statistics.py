"""Statistics of Parquet files: what they prove of rows is used, and never more than that."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import ibis
import pytest
from pandera.ibis import DataFrameModel, Field

from energy_assets.contracts import types as t
from energy_assets.contracts.audit import audit_partitions
from energy_assets.contracts.statistics import Known, known


class Numbers(DataFrameModel):
    """A bound on each side, a list, a pattern and a column that must be there."""

    amount: t.GRAMS = Field(nullable=True, ge=0)
    share: t.SHARE = Field(le=1)
    kind: t.TEXT = Field(nullable=True, isin=["a", "b"])
    code: t.TEXT = Field(nullable=True, str_matches="^a$")


class Alike(DataFrameModel):
    """Columns in which all rows of the test are alike, one of them part of the key."""

    day: t.DAY = Field()
    amount: t.GRAMS = Field(nullable=True)
    share: t.SHARE = Field(nullable=True)
    name: t.TEXT = Field()
    number: t.COUNT = Field()

    class Config:
        """Two rows of a day share a number."""

        unique: ClassVar = ["name", "number"]
        name = "alike"


ALL = {
    "amount.greater_than_or_equal_to",
    "share.not_null",
    "share.less_than_or_equal_to",
    "kind.isin",
}


def known_of(folder: Path, *files: str) -> Known:
    """What is known of files with these rows, each written as (amount, share, kind, code) in SQL."""
    con = ibis.duckdb.connect(threads=1)
    for number, rows in enumerate(files):
        typed = "amount::DECIMAL(38, 15) AS amount, share::DECIMAL(9, 6) AS share, kind, code"
        values = f"SELECT {typed} FROM (VALUES {rows}) t(amount, share, kind, code)"
        con.raw_sql(f"COPY ({values}) TO '{folder}/{number}.parquet'")
    return known(con, [f"{folder}/{number}.parquet" for number in range(len(files))], Numbers)


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
    assert known_of(tmp_path, rows).kept == ALL - {unproven}


def test_one_file_that_may_hold_an_offence_is_enough_to_doubt(tmp_path: Path) -> None:
    assert known_of(tmp_path, "(1, 1, 'a', 'a')", "(-1, 2, 'a', 'a')").kept == {"share.not_null", "kind.isin"}


def test_nothing_is_proven_of_a_column_that_is_not_there(tmp_path: Path) -> None:
    con: Any = ibis.duckdb.connect(threads=1)
    con.raw_sql(f"COPY (SELECT 'a' AS kind) TO '{tmp_path}/k.parquet'")
    assert known(con, [f"{tmp_path}/k.parquet"], Numbers) == Known(frozenset({"kind.isin"}), {"kind": "a"})


@pytest.mark.parametrize(
    ("files", "single"),
    [
        (["(1.5, 1, 'a', 'a'), (1.5, 1, 'a', 'b')"], {"amount": "1.500000000000000", "share": "1.000000", "kind": "a"}),
        (["(NULL, 1, 'a', NULL)", "(NULL, 0, 'b', NULL)"], {"amount": None, "code": None}),
        (["(NULL, 1, 'a', 'a'), (1, 1, NULL, 'a')"], {"share": "1.000000", "code": "a"}),
        (["(1, 1, 'a', 'a')", "(NULL, 1, 'b', 'a')"], {"share": "1.000000", "code": "a"}),
    ],
)
def test_a_column_is_single_where_all_rows_of_all_files_hold_one_value(
    tmp_path: Path, files: list[str], single: dict[str, Any]
) -> None:
    assert known_of(tmp_path, *files).single == single


def test_texts_too_long_for_statistics_are_not_taken_for_one(tmp_path: Path) -> None:
    long = "x" * 10_000
    assert "kind" not in known_of(tmp_path, f"(1, 1, '{long}1', 'a'), (1, 1, '{long}2', 'a')").single


def test_an_audit_finds_the_same_whether_it_reads_what_is_single_or_not(tmp_path: Path) -> None:
    con = ibis.duckdb.connect(threads=1)
    con.raw_sql(
        f"""COPY (
            SELECT DATE '2024-05-09' + (n // 3)::INTEGER AS day, 2.5::DECIMAL(38, 15) AS amount,
                NULL::DECIMAL(9, 6) AS share, 'one' AS name, n % 2 AS number
            FROM range(6) t(n)
        ) TO '{tmp_path}/rows.parquet'"""
    )
    rows = con.read_parquet(f"{tmp_path}/rows.parquet")
    told = known(con, [f"{tmp_path}/rows.parquet"], Alike)
    assert told.single == {"amount": "2.500000000000000", "share": None, "name": "one"}
    table = SimpleNamespace(name="alike", model=Alike, partition="day")
    looked, trusted = audit_partitions(rows, table), audit_partitions(rows, table, told)
    assert (trusted.rows, trusted.fingerprints) == (looked.rows, looked.fingerprints)
    broken = {day: error.violations for day, error in looked.rejected.items()}
    assert broken == {day: error.violations for day, error in trusted.rejected.items()}
    assert list(broken.values()) == [{"unique(name, number)": 1}] * 2

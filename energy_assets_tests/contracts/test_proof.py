"""Proofs: counted by partition, exactly, from staged and upstream rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from energy_assets.contracts.audit import EXAMPLES
from energy_assets.contracts.proof import Breaches, Proof

DAYS = [date(2024, 5, 9), date(2024, 5, 10)]


def over(rows: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    return rows.cross_join(upstream["bounds"]).filter(lambda both: both.kwh > both.most)


def breaches(con: Any, limit: int) -> Breaches:
    rows = con.sql(f"SELECT DATE '{DAYS[0]}' + (n // 30)::INT AS day, n::BIGINT AS kwh FROM range(60) t(n)")
    bounds = con.sql(f"SELECT {limit}::BIGINT AS most")
    proof = Proof("bounded", "No row is over the bound.", over)
    return proof.bind({"bounds": bounds}).breaches(con, rows, "day")


def test_breaches_are_counted_exactly_and_shown_in_part() -> None:
    found = breaches(ibis.duckdb.connect(threads=1), 4)
    assert found.rows == {DAYS[0]: 25, DAYS[1]: 30}
    assert (found.count, {day: len(rows) for day, rows in found.examples.items()}) == (
        55,
        dict.fromkeys(DAYS, EXAMPLES),
    )
    assert all(row["day"] == day and row["kwh"] > 4 for day, rows in found.examples.items() for row in rows)


def test_a_value_exactly_on_the_limit_is_no_breach_and_nothing_is_left_in_the_engine() -> None:
    con = ibis.duckdb.connect(threads=1)
    before = con.list_tables()
    assert breaches(con, 59) == Breaches({}, {})
    assert breaches(con, 58).rows == {DAYS[1]: 1}
    assert con.list_tables() == before


def test_a_proof_whose_breaches_name_no_partition_is_refused() -> None:
    con = ibis.duckdb.connect(threads=1)
    proof = Proof("nameless", "", lambda rows, _: rows.select("kwh"))
    with pytest.raises(ValueError, match="nameless: its breaches need the column month; they have kwh"):
        proof.bind({}).breaches(con, con.sql("SELECT 1 AS kwh"), "month")

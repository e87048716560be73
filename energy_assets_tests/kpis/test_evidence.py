"""The evidence query of a ratio whose sides are matched gives numerator, denominator and matched share again."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import Activity, Cost, Emissions, KpisMonthly
from energy_assets.kpis.evidence import MatchedRatio
from energy_assets.kpis.indicators import INDICATORS
from energy_assets.kpis.ingredients import Filter
from energy_assets.kpis.periods import over_months
from energy_assets_tests.kpis.test_indicators import JUNE, ONE, SERVED, SPENT, TWO, USED, charge, kpis, served, used
from energy_assets_tests.rows import rows_of, table

D = Decimal
MATCHED = [name for name, indicator in INDICATORS.items() if indicator.match]
HARD = (
    [
        *USED,
        # Accounts in several spellings, a side without account, one that nobody bills, energy nobody owns.
        used(ONE, 6, "aws", "US", "chat", "llama", "inference", "1.5", provider=" AWS", account_id="A1\t"),
        used(ONE, 7, "aws", "US", "chat", None, "training", "2.5", provider="aws", account_id=None),
        used(ONE, 8, "aws", "US", "lab", None, "training", "4", provider="aws", account_id="a3"),
        used(ONE, 9, "aws", "US", "unknown", None, "unknown", "5", provider="aws", account_id="a1"),
        used(ONE, 10, "aws", "US", "lab", None, "training", None, provider="aws", account_id="a4"),
        used(ONE, 15, "aws", "US", "chat", None, "training", "6", provider="aws", account_id="1234567890"),
        # A model whose project differs, one in two projects, names that SQL would read, an unnamed one.
        used(ONE, 11, "aws", "US", "o'neill", "it's", "inference", "0.333333333", provider="aws"),
        used(ONE, 12, "dublin", "IE", "ask", "gemma", "inference", "0.777777777"),
        used(ONE, 13, "dublin", "IE", "other", "llama", "inference", "3"),
        used(ONE, 14, "dublin", "IE", "chat", None, "inference", "0.25"),
        used(JUNE, 1, "dublin", "IE", "chat", "llama", "inference", "7.123456789", embodied_g=D("3.333333333333333")),
        used(JUNE, 2, "dublin", "IE", "idle", None, "idle", "0.987654321"),
        used(JUNE, 3, "dublin", "IE", "idle", None, "idle", None, embodied_g=D("0.777777777777777")),
    ],
    [
        *SERVED,
        served(ONE, 2, "it's", 11, 13, project="o'neill", deployment="d5"),
        served(ONE, 3, "gemma", 17, 19, project="unknown", deployment="d6"),
        served(ONE, 4, None, 23, 29, deployment="d7"),
        served(ONE, 5, None, 31, 37, project="unknown", deployment="d8"),
        served(JUNE, 0, "llama", 41, 43),
    ],
    [
        *SPENT,
        charge(ONE, "chat", "6.123456789012345678", provider="AWS ", account_id="a1"),
        charge(ONE, "chat", "-2", provider="aws", account_id="a2", model_id="m"),
        charge(ONE, "lab", "3", provider="aws", account_id="A4"),
        charge(ONE, "chat", "7", provider="aws", account_id="0012-3456-7890"),
        charge(ONE, "lab", "4", "USD", provider="aws", account_id="a3"),
        charge(ONE, "unknown", "5", provider="aws", account_id="a1"),
        charge(ONE, "o'neill", "0.1", provider="aws"),
        charge(JUNE, "lab", "9.000000000000000501"),
        charge(JUNE, "chat", "1.000000000000000501", model_id="llama"),
        charge(JUNE, "chat", "8", "USD", model_id="llama"),
        charge(JUNE, "nobody's", "1"),
    ],
)


@pytest.fixture(scope="module")
def con() -> Any:
    """The lake's tables."""
    con = ibis.duckdb.connect()
    for name, model, rows in zip(("emissions", "activity", "cost"), (Emissions, Activity, Cost), HARD, strict=True):
        con.create_table(name, table(model, rows).to_pyarrow())
    return con


@pytest.fixture(scope="module")
def made() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of days and months."""
    return kpis(*HARD)


def again(con: Any, row: dict[str, Any], first: date, last: date) -> tuple[Any, ...]:
    grain = row["grain"]
    value = None if grain == "total" else row[grain]
    member = None if value is None else Filter(grain, "unknown") if value == "unknown" else Filter(grain, "=", value)
    ratio = MatchedRatio(row["kpi"], (first.isoformat(), last.isoformat()), member, "EUR")
    assert MatchedRatio.from_json(ratio.to_json()) == ratio
    found: tuple[Any, ...] = con.raw_sql(ratio.sql()).fetchone()
    return found


def stored(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["numerator"], row["denominator"], row["coverage"]


@pytest.mark.parametrize("kpi", MATCHED)
def test_of_days_months_and_longer_for_every_member(con: Any, made: Any, kpi: str) -> None:
    days, months = ([r for r in rows if r["kpi"] == kpi] for rows in made)
    assert {r["day"] for r in days} >= {ONE, JUNE}
    assert len({r["grain"] for r in days}) == 2
    assert {D(0) < r["coverage"] < 1 for r in days} >= {True}
    for row in days:
        assert again(con, row, row["day"], row["day"]) == stored(row), row
    for row in months:
        last = (row["month"] + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        assert again(con, row, row["month"], last) == stored(row), row
    rows = ibis.memtable(pa.Table.from_pylist(months, schema=schema_of(KpisMonthly).to_pyarrow()))
    for row in rows_of(ibis.duckdb.connect(), over_months(rows)):
        assert again(con, row, date(2024, 4, 1), date(2024, 6, 30)) == stored(row), row


def test_of_a_day_without_a_match_is_nothing(con: Any) -> None:
    ratio = MatchedRatio("cost_per_kwh", (TWO.isoformat(), TWO.isoformat()), Filter("project", "=", "chat"), "EUR")
    assert con.raw_sql(ratio.sql()).fetchone() == (None, None, None)


def test_reads_the_tables_under_any_name(con: Any) -> None:
    ratio = MatchedRatio("wh_per_1m_tokens", (ONE.isoformat(), ONE.isoformat()))
    assert ratio.tables == ("activity", "emissions")
    con.raw_sql('create or replace view "e 1" as from emissions; create or replace view "a 1" as from activity')
    found = con.raw_sql(ratio.sql({"emissions": '"e 1"', "activity": '"a 1"'})).fetchone()
    assert found == con.raw_sql(ratio.sql()).fetchone()


def test_is_one_line_that_can_be_copied_from_a_terminal() -> None:
    ratio = MatchedRatio("cost_per_kwh", (ONE.isoformat(), ONE.isoformat()), Filter("project", "=", "chat"), "EUR")
    assert "\n" not in ratio.sql()
    assert "  " not in ratio.sql()

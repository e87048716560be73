"""The sandbox company's bill: deterministic, a valid FOCUS bill, and nothing real in it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from energy_assets.periods import DayRange
from energy_assets.sandbox.bill import write_focus_bill
from energy_assets.sources.base import StepContext
from energy_assets.sources.focus.source import FocusFiles
from energy_assets_tests.conftest import rows_of

WEEK = DayRange(date(2026, 10, 1), date(2026, 10, 7))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_the_same_arguments_write_the_same_bytes(tmp_path: Path, ending: str) -> None:
    one, other = tmp_path / f"one.{ending}", tmp_path / f"other.{ending}"
    assert write_focus_bill(one, WEEK) == write_focus_bill(other, WEEK) > 1_000
    assert one.read_bytes() == other.read_bytes()
    write_focus_bill(other, WEEK, seed=8)
    assert one.read_bytes() != other.read_bytes()


def test_every_container_gives_the_same_charges_and_each_account_says_it_is_synthetic(
    step: StepContext, tmp_path: Path
) -> None:
    found = []
    for ending in ("csv.gz", "parquet"):
        write_focus_bill(tmp_path / f"bill.{ending}", WEEK)
        bills = FocusFiles(name="bills", kind="focus_files", path=f"bill.{ending}")
        table, notes = rows_of(bills, WEEK, step)
        assert notes == {}
        found.append(table.drop_columns(["raw_sha256"]).to_pylist())
    one, other = (sorted(map(repr, rows)) for rows in found)
    assert one == other
    assert {row["provider"] for row in found[0]} == {"aws", "azure", "gcp"}
    assert {row["charge_category"] for row in found[0]} == {"Usage", "Tax", "Credit"}
    assert "Amazon Bedrock" in {row["service_name"] for row in found[0]}
    assert sum(row["billed_cost"] for row in found[0]) > Decimal(10_000)
    bill = duckdb.read_parquet(str(tmp_path / "bill.parquet"))
    names = bill.select("BillingAccountName, SubAccountName").distinct().fetchall()
    assert all(name.startswith("Synthetic ") for pair in names for name in pair)


def test_a_day_has_the_same_lines_in_every_bill_that_covers_it(tmp_path: Path) -> None:
    write_focus_bill(tmp_path / "week.parquet", WEEK)
    write_focus_bill(tmp_path / "day.parquet", DayRange(date(2026, 10, 3), date(2026, 10, 3)))
    day = duckdb.read_parquet(str(tmp_path / "day.parquet"))
    week = duckdb.read_parquet(str(tmp_path / "week.parquet"))
    same_day = week.filter("CAST(ChargePeriodStart AS DATE) = DATE '2026-10-03'")
    assert len(day) > 190
    assert day.fetchall() == same_day.fetchall()


def test_any_number_of_lines_and_one_provider_alone(tmp_path: Path) -> None:
    assert write_focus_bill(tmp_path / "many.parquet", WEEK, rows=5_000) == 5_000
    write_focus_bill(tmp_path / "aws.parquet", WEEK, provider="AWS")
    aws = duckdb.read_parquet(str(tmp_path / "aws.parquet"))
    assert aws.select("ProviderName").distinct().fetchall() == [("AWS",)]
    with pytest.raises(ValueError, match=r"bill\.xlsx: a bill is written as one of \.csv"):
        write_focus_bill(tmp_path / "bill.xlsx", WEEK)

"""Which files of a folder count, for which days, and what is refused rather than counted twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import PermanentError, SourceError, TransientError
from energy_assets.sources.focus.source import FocusFiles
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.focus.bills import line, on, write

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 10, 31))
GUID = "0a1b2c3d-0000-4000-8000-00000000000"


def source(path: str = "bills", **keys: Any) -> FocusFiles:
    return FocusFiles(name="bills", kind="focus_files", path=path, **keys)


def total(step: StepContext, days: DayRange = OCTOBER, **keys: Any) -> tuple[Decimal, dict[str, int]]:
    table, notes = rows_of(source(**keys), days, step)
    notes.pop("days_without_charges", None)
    return sum(table["billed_cost"].to_pylist(), Decimal(0)), notes


def month(first: int = 1, last: int = 28, **changed: str) -> list[dict[str, str]]:
    """One charge of 1.50 USD a day, told apart by their resources."""
    return [on(day, ResourceId=f"i-{day}", **changed) for day in range(first, last + 1)]


def test_each_day_lists_exactly_the_files_that_hold_its_charges(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "a.csv", month(1, 2))
    write(tmp_path / "bills" / "deep" / "b.csv.gz", month(2, 3, SubAccountId="9"))
    collected = collect(source(), DayRange(date(2026, 10, 1), date(2026, 10, 4)), step)
    listed = {d.day: [o.request for o in e.objects] for d, e in collected.editions.items()}
    assert listed == {
        1: [{"path": "bills/a.csv"}],
        2: [{"path": "bills/a.csv"}, {"path": "bills/deep/b.csv.gz"}],
        3: [{"path": "bills/deep/b.csv.gz"}],
        4: [],
    }


def test_a_day_alone_and_as_part_of_a_range_has_the_same_edition_and_rows(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "a.csv", month(1, 3))
    write(tmp_path / "bills" / "b.csv", month(3, 5, SubAccountId="3"))
    day = date(2026, 10, 3)
    alone = collect(source(), DayRange(day, day), step)
    together = collect(source(), OCTOBER, step)
    assert alone.editions[day] == together.editions[day]
    rows = parse(source(), alone.editions, step)[0].rows.to_pyarrow()
    whole = parse(source(), together.editions, step)[0].rows.to_pyarrow().to_pylist()
    assert rows.num_rows == 2
    assert rows.to_pylist() == [row for row in whole if row["day"] == day]


def test_days_without_charges_are_told(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "a.csv", month(1, 28))
    assert rows_of(source(), OCTOBER, step)[1] == {"days_without_charges": 3}


def test_equal_lines_of_one_bill_stay(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "a.csv", [line(), line()])
    assert total(step) == (Decimal(3), {})


def test_the_same_file_delivered_twice_counts_once(step: StepContext, tmp_path: Path) -> None:
    for name in ("a.csv", "copy of a.csv"):
        write(tmp_path / "bills" / name, month())
    assert total(step) == (Decimal(42), {"duplicate_files_dropped": 1})


def test_daily_and_split_part_files_of_one_month_add_up(step: StepContext, tmp_path: Path) -> None:
    for day in range(1, 11):
        write(tmp_path / "bills" / f"{day}.csv", [on(day, hour, SubAccountId="a") for hour in range(24)])
    write(tmp_path / "bills" / "part-1.csv", [on(5, 0, ResourceId=f"i-{n}") for n in range(40)])
    write(tmp_path / "bills" / "part-2.csv", [on(5, 0, ResourceId=f"i-{n}") for n in range(39, 81)])
    assert total(step) == (Decimal("1.5") * (240 + 40 + 42), {})


def test_the_account_of_the_site_file_stands_for_a_number_a_spreadsheet_destroyed(
    step: StepContext, tmp_path: Path
) -> None:
    lines = [line(BillingAccountId="1.23457E+11"), line(BillingAccountId=" 9 "), line(BillingAccountId="")]
    write(tmp_path / "bills" / "a.csv", lines)
    rows, _ = rows_of(source(billing_account="123456789012"), OCTOBER, step)
    assert sorted(rows["billing_account_id"].to_pylist()) == ["123456789012", "123456789012", "9"]


def azure(folder: Path, run: str, parts: Sequence[list[dict[str, str]]], listed: int | None = None) -> Path:
    """An Azure export delivery: parts, and a manifest that lists `listed` of them (None: no manifest)."""
    here = folder / "focus" / "20261001-20261031" / run / f"{GUID}{run[-1]}"
    for number, lines in enumerate(parts):
        write(here / f"part_{number}_0001.csv", lines)
    if listed is not None:
        blobs = [{"blobName": f"exports/focus/x/{here.name}/part_{n}_0001.csv"} for n in range(listed)]
        (here / "manifest.json").write_text(json.dumps({"blobCount": listed, "blobs": blobs}))
    return here


def test_of_azure_export_runs_the_newest_whole_one_counts(step: StepContext, tmp_path: Path) -> None:
    azure(tmp_path / "bills", "202610100501", [month(1, 9)], 1)
    newest = azure(tmp_path / "bills", "202610110502", [month(1, 5), month(6, 10)], 2)
    assert total(step) == (Decimal(15), {})
    objects = collect(source(), OCTOBER, step).editions[date(2026, 10, 3)].objects
    where = f"bills/focus/20261001-20261031/202610110502/{newest.name}"
    assert [dict(o.request) for o in objects] == [
        {"path": f"{where}/part_0_0001.csv", "delivery": "202610110502"},
        {"path": f"{where}/manifest.json", "delivery": "202610110502", "manifest": True},
    ]


@pytest.mark.parametrize(("listed", "said"), [(None, "has no manifest.json"), (3, "lacks part_2_0001.csv")])
def test_a_half_delivered_export_is_passed_over_for_an_older_whole_one(
    step: StepContext, tmp_path: Path, listed: int | None, said: str
) -> None:
    azure(tmp_path / "bills", "202610100501", [month(1, 9)], 1)
    azure(tmp_path / "bills", "202610110502", [month(1, 5), month(6, 10)], listed)
    assert total(step) == (Decimal("13.5"), {"incomplete_deliveries_dropped": 1})
    assert any(said in finding.what for finding in source().check(step))


def test_a_half_delivered_export_without_an_older_one_is_refused(step: StepContext, tmp_path: Path) -> None:
    azure(tmp_path / "bills", "202610110502", [month(1, 5)])
    with pytest.raises(TransientError, match=r"20261001-20261031/202610110502/.* has no manifest\.json"):
        total(step)
    assert total(step, exports="all") == (Decimal("7.5"), {})


def test_two_whole_exports_without_a_run_time_are_refused(step: StepContext, tmp_path: Path) -> None:
    for run in "12":
        here = tmp_path / "bills" / "focus" / "20261001-20261031" / f"{GUID}{run}"
        write(here / "part_0_0001.csv", month(1, 5))
        (here / "manifest.json").write_text(json.dumps({"blobs": [{"blobName": "part_0_0001.csv"}]}))
    with pytest.raises(PermanentError, match="two whole exports of one period"):
        total(step)


def test_a_copied_aws_export_needs_its_metadata_and_counts_only_what_the_manifest_lists(
    step: StepContext, tmp_path: Path
) -> None:
    for number in (1, 2):
        lines = month(1, 5, SubAccountId=str(number))
        write(tmp_path / "bills" / "data" / "BILLING_PERIOD=2026-10" / f"e-{number}.csv.gz", lines)
    with pytest.raises(TransientError, match=r"data/BILLING_PERIOD=2026-10 has no manifest\.json"):
        total(step, path="bills/data/**/*.csv.gz")
    manifest = tmp_path / "bills" / "metadata" / "BILLING_PERIOD=2026-10" / "e-Manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"dataFiles": ["s3://b/x/data/BILLING_PERIOD=2026-10/e-2.csv.gz"]}))
    for path in ("bills/data/**/*.csv.gz", "bills/data", "bills", "bills/data/BILLING_PERIOD=2026-10/e-2.csv.gz"):
        more = {} if path.endswith("e-2.csv.gz") else {"files_outside_manifest_dropped": 1}
        assert total(step, path=path) == (Decimal("7.5"), more)


def test_doctor_says_what_it_found_or_what_to_do(step: StepContext, tmp_path: Path) -> None:
    assert [(f.ok, f.what) for f in source().check(step)] == [
        (False, "bills/**/*: no file matches in " + str(tmp_path))
    ]
    write(tmp_path / "bills" / "a.csv", [line()])
    listed, header = source().check(step)
    assert listed.ok
    assert listed.what.startswith("bills: 1 file, newest bills/a.csv (2")
    assert (header.ok, header.what) == (True, "bills/a.csv: focus layout, 19 columns")
    (tmp_path / "bills" / "b.csv").write_text("x,y\n")
    assert [finding.ok for finding in source("bills/b.csv").check(step)] == [True, False]


def test_doctor_finds_before_a_run_what_the_run_would_refuse(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "a.csv", month(1, 3))
    write(tmp_path / "bills" / "b.csv", month(1, 3, RegionId="EU"))
    assert [f.what for f in source().check(step) if not f.ok] == [
        "bills/a.csv and bills/b.csv hold the same charges: 3 of 3 lines of aws account 111111111111 in the billing "
        "period 2026-10-01 are in both: adding them up would count them twice"
    ]
    write(tmp_path / "only" / "c.csv", month(1, 3, BilledCost="much"))
    assert ["BilledCost" in f.what for f in source("only").check(step) if not f.ok] == [True]


def test_no_bill_leaves_the_error_with_every_day(step: StepContext) -> None:
    failures = collect(source("nowhere/*.csv"), OCTOBER, step).failures
    assert len(failures) == 31
    assert all(isinstance(error, SourceError) for error in failures.values())


def test_a_bill_with_an_unreadable_amount_is_landed_before_it_is_refused(step: StepContext, tmp_path: Path) -> None:
    """Text is rewritten while it is collected; what cannot be rewritten must not stay behind in the folder."""
    write(tmp_path / "bills" / "a.csv", month(1, 3, BilledCost="much"))
    only = source()
    collected = collect(only, OCTOBER, step)
    assert collected.failures == {}
    (landed,) = collected.editions[date(2026, 10, 1)].objects
    assert step.read(landed) == (tmp_path / "bills" / "a.csv").read_bytes()
    _, failures = parse(only, collected.editions, step)
    assert "BilledCost" in str(failures[date(2026, 10, 1)])

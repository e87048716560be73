"""What Dagster shows of partitions and reports: numbers to plot, links, and checks that find what they are to find."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.checks import COMPLETE, FACTORS, PLAUSIBLE, RECOMPUTES, judge
from energy_assets.disclosures.trace import rows_reader, trace
from energy_assets.periods import Period
from energy_assets.running import instance, run_report
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.company import Company
from energy_assets_tests.small_site import SmallRun


def against(made_of: Any, change: str = "", before: str = "") -> dict[str, str]:
    """What is said against a report whose rows are changed before it is built, or after."""
    if before:
        made_of.con.raw_sql(before)
    document = build(made_of)
    if change:
        made_of.con.raw_sql(change)
    read = rows_reader(made_of.tables)
    traced = [trace(document.book[name], document.book, read, lambda sha: []) for name in document.headline]
    return {one.name: one.against for one in judge(document, traced)}


def test_a_whole_month_of_good_rows_passes_every_check() -> None:
    found = against(company.inputs(Company("2026-10-01", 31)))
    assert found == {RECOMPUTES: "", PLAUSIBLE: "", COMPLETE: "", FACTORS: ""}


def test_an_incomplete_month_says_how_many_days_it_has() -> None:
    assert against(company.inputs())[COMPLETE] == "7 of 30 days have data"


def test_a_row_that_changed_since_is_named_by_the_figures_it_is_in() -> None:
    found = against(company.inputs(), change="update cost set billed_cost = billed_cost + 1")
    assert found[RECOMPUTES].startswith("not equal when made again: F-0")


def test_a_power_beyond_any_device_is_outside() -> None:
    assert against(company.inputs(Company(load="3")))[PLAUSIBLE].startswith("outside the limits: GPUs: largest")


def test_energy_without_a_factor_is_counted() -> None:
    statement = "update emissions set location_g = null, upstream_g = null where zone = 'FR'"
    found = against(company.inputs(), before=statement)
    assert "rows with facility energy have no location-based intensity" in found[FACTORS]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """The small company, run and reported."""
    found = SmallRun.of(tmp_path_factory.mktemp("small"))
    outcome = run_report(found.site, Period.parse("2024-05"), lambda step: None)
    assert outcome.success, outcome.failures
    return found


def metadata(found: SmallRun, asset: str, partition: str) -> dict[str, Any]:
    with instance(found.site) as dagster:
        records = dagster.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(asset.split("/")), asset_partitions=[partition]), limit=1
        ).records
    made = records[0].asset_materialization
    assert made is not None
    return {name: value.value for name, value in made.metadata.items()}


@pytest.mark.parametrize(
    ("asset", "partition", "expected"),
    [
        # 0.84 kW in each of 24 hours; on the last day the last reading is at 23:45.
        ("unified/energy", "2024-05-30", {"energy_kwh": 20.16, "coverage_pct": 100.0}),
        ("unified/energy", "2024-06-01", {"energy_kwh": 19.95}),
        (
            "emissions/hourly",
            "2024-05-30",
            {"facility_kwh": 25.2, "scope2_location_kg": 7.245, "scope33_upstream_kg": 1.26},
        ),
        ("unified/cost", "2024-05-31", {"billed_cost_eur": 3.5, "charges": 2.0, "in_other_currencies": 0.0}),
        ("kpi/daily", "2024-05-30", {"facility_kwh": 25.2, "scope2_location_kg": 7.245, "idle_pct": 50.0}),
        ("kpi/monthly", "2024-05-01", {"facility_kwh": 50.4, "billed_cost": 7.0}),
        ("disclosure/ml_sustainability", "2024-05-01", {"facility_kwh": 50.4, "billed_cost": 7.0}),
    ],
)
def test_each_partition_has_its_own_numbers_to_plot(
    reported: SmallRun, asset: str, partition: str, expected: dict[str, float]
) -> None:
    found = metadata(reported, asset, partition)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_what_is_not_known_is_a_gap_and_no_zero(reported: SmallRun) -> None:
    assert "wh_per_1k_requests" not in metadata(reported, "kpi/daily", "2024-05-30")


def test_the_report_is_a_link_of_whichever_ui_shows_it(reported: SmallRun) -> None:
    found = metadata(reported, "disclosure/ml_sustainability", "2024-05-01")
    assert found["report"] == "/reports/ml_sustainability/2024-05/report.xhtml"
    assert "trace.xhtml" in found["files"]


def test_the_checks_are_recorded(reported: SmallRun) -> None:
    with instance(reported.site) as dagster:
        keys = [dg.AssetCheckKey(dg.AssetKey(["disclosure", "ml_sustainability"]), name)
                for name in (RECOMPUTES, PLAUSIBLE, COMPLETE, FACTORS)]  # fmt: skip
        found = dagster.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    events = {key.name: found[key].event.dagster_event.asset_check_evaluation_data for key in keys}  # type: ignore[union-attr]
    assert {name: one.passed for name, one in events.items()} == {
        RECOMPUTES: True, PLAUSIBLE: True, COMPLETE: False, FACTORS: True,
    }  # fmt: skip
    assert events[COMPLETE].description == "2024-05: 2 of 31 days have data"


def test_the_commands_of_a_report_run_as_printed_in_its_folder(reported: SmallRun) -> None:
    folder = reported.path.parent / "var/reports/ml_sustainability/2024-05"
    document = json.loads((folder / "document.json").read_text("utf-8"))
    (section,) = [s for s in document["sections"] if s["id"] == "checking"]
    items = next(block["items"] for block in section["blocks"] if block["type"] == "list")
    commands = [run["code"] for item in items for run in item
                if isinstance(run, dict) and run.get("code", "").startswith("energy-assets ")]  # fmt: skip
    assert len(commands) == 2
    program = Path(sys.executable).with_name("energy-assets")
    for line in [*commands, f"{commands[1]} --full", f"{commands[1]} --json"]:
        text = line.replace("energy-assets", str(program), 1)
        done = subprocess.run(["bash", "-c", text], cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (line, done.stderr)
        assert "50.4" in done.stdout
    bytes_ = json.loads(done.stdout)
    sha256 = next(_objects(bytes_))
    text = f"{program} trace . f-1 --bytes {sha256}"
    done = subprocess.run(["bash", "-c", text], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("time,node,run,power_w")


def _objects(node: dict[str, Any]) -> Any:
    if node["kind"] == "object":
        yield node["title"].removeprefix("Raw object ")
    for child in node["children"]:
        yield from _objects(child)

"""Node power of MLPerf Training v4.0 (Sustainable Metal Cloud, AC side) through power_files.

The energy of every run must equal a trapezoid worked out here, in plain Python, over the same readings.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect
from energy_assets.sources.base import StepContext
from energy_assets.sources.power_files.source import PowerFiles
from energy_assets_tests.conftest import rows_of

pytestmark = pytest.mark.realdata

MAX_GAP_MS = 300_000
ALL_DAYS = DayRange(date(2024, 5, 9), date(2024, 5, 18))
Key = tuple[str, str, str]


@pytest.fixture
def folder(real_data: Path) -> Path:
    return real_data / "gpu" / "mlperf_training_power"


@pytest.fixture
def meters() -> PowerFiles:
    """Node names repeat in every run's log, and two machines are both called node_0: the run is part of the name."""
    block = {
        "name": "meters",
        "kind": "power_files",
        "path": "v40_smc_ac_power_*.parquet",
        "time": "time_ms",
        "time_unit": "ms",
        "node": ["system", "run", "node"],
        "run": "run",
        "windows": {
            "path": "v40_smc_ac_runs.csv",
            "start": "run_start_ms",
            "end": "run_stop_ms",
            "time_unit": "ms",
        },
        "place": {"region": "sg1", "zone": "SG"},
    }
    return PowerFiles.model_validate(block)


def readings_of(folder: Path) -> dict[Key, dict[int, float]]:
    """Good readings by log, the highest where two have one time."""
    logs: dict[Key, dict[int, float]] = defaultdict(dict)
    for path in sorted(folder.glob("v40_smc_ac_power_*.parquet")):
        for row in pq.read_table(path).to_pylist():
            if row["power_w"] > 0:
                log = logs[row["system"], row["run"], row["node"]]
                log[row["time_ms"]] = max(row["power_w"], log.get(row["time_ms"], 0))
    return logs


def trapezoid_kwh(log: dict[int, float], start: int, end: int) -> float:
    """The area below the lines between readings, within [start, end)."""
    joules = 0.0
    for (t0, p0), (t1, p1) in pairwise(sorted(log.items())):
        a, b = max(t0, start), min(t1, end)
        if a < b and t1 - t0 <= MAX_GAP_MS:
            at_a, at_b = (p0 + (p1 - p0) * (edge - t0) / (t1 - t0) for edge in (a, b))
            joules += (at_a + at_b) / 2 * (b - a) / 1000
    return joules / 3_600_000


def test_energy_of_every_run_equals_an_independent_trapezoid(
    step: StepContext, folder: Path, meters: PowerFiles
) -> None:
    table, notes = rows_of(meters, ALL_DAYS, replace(step, site_folder=folder))
    by_run: dict[str, float] = defaultdict(float)
    by_node: dict[str, float] = defaultdict(float)
    for row in table.select(["workload_id", "node_id", "energy_kwh"]).to_pylist():
        by_run[row["workload_id"]] += float(row["energy_kwh"])
        by_node[row["node_id"]] += float(row["energy_kwh"])
    logs = readings_of(folder)
    with (folder / "v40_smc_ac_runs.csv").open() as file:
        runs = [run for run in csv.DictReader(file) if run["run"] in by_run]
    expected = {
        run["run"]: sum(
            trapezoid_kwh(log, int(run["run_start_ms"]), int(run["run_stop_ms"]))
            for key, log in logs.items()
            if key[1] == run["run"]
        )
        for run in runs
    }
    lora = {run["run"] for run in runs if (run["system"][:2], run["benchmark"]) == ("1x", "llama2_70b_lora")}

    assert notes == {
        "negative_readings_dropped": 7,
        "zero_readings_dropped": 1,
        "duplicate_readings_dropped": 26,
        "disagreeing_readings_dropped": 2,
    }
    assert set(by_run) == {*expected, None}
    assert len(expected) == 140
    for name, kwh in expected.items():
        assert by_run[name] == pytest.approx(kwh, rel=1e-3), name
    assert {"/".join(key) for key in logs} == set(by_node)
    for key, log in logs.items():
        assert by_node["/".join(key)] == pytest.approx(trapezoid_kwh(log, 0, 2**62), rel=1e-3), key
    assert len(lora) == 10
    assert all(3.34 <= by_run[name] <= 3.37 for name in lora)


def test_a_day_alone_is_equal_to_the_day_in_a_range(step: StepContext, folder: Path, meters: PowerFiles) -> None:
    """Runs cross midnight between 2024-05-09 and 10 and between 16 and 17; from 11 to 15 there are no readings.

    Files with readings before and after these days are looked into for devices that are known; but each run is a
    machine of its own here, and none has readings again.
    """
    at_folder = replace(step, site_folder=folder)
    table, _ = rows_of(meters, ALL_DAYS, at_folder)
    total = 0
    for day in ALL_DAYS:
        alone = rows_of(meters, DayRange(day, day), at_folder)[0].to_pylist()
        ranged = [row for row in table.to_pylist() if row["day"] == day]
        assert sorted(alone, key=str) == sorted(ranged, key=str)
        files = [o.request["path"] for o in collect(meters, DayRange(day, day), at_folder).editions[day].objects]
        has_readings = day.day in (9, 10, 16, 17)
        assert (len(alone) > 0, len(files)) == (has_readings, 3 if 9 <= day.day <= 17 else 1), day
        total += len(alone)
    assert total == table.num_rows


def test_the_doctor_finds_every_file_and_its_windows(step: StepContext, folder: Path, meters: PowerFiles) -> None:
    found = list(meters.check(replace(step, site_folder=folder)))
    assert [finding.ok for finding in found] == [True] * 3
    assert "140 of runs that the readings name" in found[2].what

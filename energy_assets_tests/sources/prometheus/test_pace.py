"""Scrape intervals by device and hour: two in one job, one that changes, and hours that only lack samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.pace import find_steady, measure, unknown
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.prometheus_server import prometheus, require_prometheus
from energy_assets_tests.sources.prometheus.data_centre import DAY_ONE, HOUR, START, counter, gpu, steady
from energy_assets_tests.sources.prometheus.tables import table
from energy_assets_tests.sources.prometheus.test_energy import source

HOUR_MS = 3_600_000
Counts = Mapping[int, Sequence[int]]
"""By device: the samples of its hours, from the first on; 0 for an hour without any."""


def job(scratch: Scratch, counts: Counts, looked_at: Mapping[tuple[int, int], int] | None = None) -> None:
    """Devices of one job, and the distances in seconds of the samples of some of their hours (from 0 on)."""
    looked_at = looked_at or {}
    rows = [(key, (hour + 1) * HOUR_MS, "x", n, n) for key, of in counts.items() for hour, n in enumerate(of) if n]
    counted = {"key_no": "INTEGER", "t": "BIGINT", "job": "VARCHAR", "samples": "BIGINT", "largest": "BIGINT"}
    table(scratch, "counted", counted, rows)
    device = dict.fromkeys(("meter", "node_id", "device_id"), "VARCHAR")
    keys = {"key_no": "INTEGER", **device, "counter": "BOOLEAN"}
    table(scratch, "keys", keys, [(key, "m", f"n{key}", "gpu", True) for key in counts])
    metric = {"series_no": "INTEGER", "role": "VARCHAR", "metric": "MAP(VARCHAR, VARCHAR)", **device}
    labels = {"match_label": "VARCHAR", "match_value": "VARCHAR"}
    named = [(n, "interval", {"job": "x"}, "m", f"n{key}", "gpu", "host", f"n{key}")
             for n, (key, _) in enumerate(looked_at)]  # fmt: skip
    usage = [(100 + key, "usage", {"job": "x"}, "m", f"n{key}", "gpu", "host", f"n{key}") for key in counts]
    table(scratch, "named", {**metric, **labels}, [*named, *usage])
    points = [
        (n, hour * HOUR_MS + at * 1000)
        for n, ((_, hour), step) in enumerate(looked_at.items())
        for at in range(7, HOUR, step)
    ]
    table(scratch, "points", {"series_no": "INTEGER", "t": "BIGINT"}, points)
    table(scratch, "suspicious", {"key_no": "INTEGER", "t": "BIGINT"}, [])


def found(scratch: Scratch) -> dict[int, list[float | None]]:
    """Interval in seconds by device, of its hours with samples."""
    measure(scratch)
    rows = scratch.rows(f"SELECT key_no, interval_ms FROM {scratch['intervals']} ORDER BY key_no, t")
    return {key: [ms and ms / 1000 for k, ms in rows if k == key] for key, _ in rows}


@pytest.fixture
def scratch(step: StepContext) -> Scratch:
    return Scratch(step.con)


def test_two_devices_of_one_job_have_intervals_of_their_own(scratch: Scratch) -> None:
    job(scratch, {0: [240] * 4, 1: [60] * 4, 2: [239, 240, 241, 240]}, {(0, 0): 15, (1, 2): 60})
    assert found(scratch) == {0: [15] * 4, 1: [60] * 4, 2: [15] * 4}


def test_an_interval_may_change_within_the_day(scratch: Scratch) -> None:
    job(scratch, {0: [240, 240, 240, 60, 60, 60]}, {(0, 0): 15, (0, 3): 60})
    assert found(scratch) == {0: [15, 15, 15, 60, 60, 60]}


@pytest.mark.parametrize(
    ("counts", "intervals"),
    [
        pytest.param([240] * 3 + [150] + [60] * 3, [15] * 3 + [24] + [60] * 3, id="the hour of the change"),
        pytest.param([240] * 3 + [149] + [60] * 3, [15] * 3 + [24.162] + [60] * 3, id="rounded up to all of the hour"),
        pytest.param([240] * 3 + [59] + [60] * 3, [15] * 3 + [60] * 4, id="just changed"),
        pytest.param([240] * 3 + [40] + [60] * 3, [15] * 4 + [60] * 3, id="fewer than either has"),
        pytest.param([240] * 3 + [150] + [240] * 3, [15] * 7, id="an outage of a part of an hour"),
        pytest.param([240] * 3 + [170, 120] + [60] * 3, [15] * 5 + [60] * 3, id="two hours are no change"),
        pytest.param([240] * 3 + [0, 150] + [60] * 3, [15] * 4 + [60] * 3, id="after a gap"),
        pytest.param([30, 60, 60, 60], [60] * 4, id="before the first that is known"),
        pytest.param([240, 225] * 3, [15] * 6, id="some samples missing"),
    ],
)
def test_hours_of_fewer_samples_have_the_interval_before_them(
    scratch: Scratch, counts: list[int], intervals: list[float]
) -> None:
    looked_at = {(0, counts.index(n)): 3600 // n for n in (240, 60) if n in counts}
    job(scratch, {0: counts}, looked_at)
    assert found(scratch) == {0: intervals}


def test_many_hours_of_few_samples_are_measured_and_not_guessed(scratch: Scratch) -> None:
    """A target that answers a quarter of each hour, every 15 s: its samples say so."""
    job(scratch, {0: [60] * 5})
    scratch.drop("points")
    table(scratch, "points", {"series_no": "INTEGER", "t": "BIGINT"}, [(100, at * 1000) for at in range(0, 900, 15)])
    scratch.con.raw_sql(f"UPDATE {scratch['named']} SET role = 'raw'")
    assert found(scratch) == {0: [15] * 5}


@pytest.mark.parametrize(("hours", "intervals"), [(1, [15]), (2, [60] * 2)])
def test_few_hours_take_the_interval_of_their_job(scratch: Scratch, hours: int, intervals: list[int]) -> None:
    job(scratch, {0: [240] * 4, 1: [60] * hours}, {(0, 0): 15, (1, 0): 60})
    assert found(scratch)[1] == intervals


def test_nothing_known_is_none(scratch: Scratch) -> None:
    job(scratch, {0: [240] * 4})
    assert found(scratch) == {0: [None] * 4}


@pytest.mark.parametrize(
    ("counts", "asked"),
    [
        pytest.param({0: [240] * 4, 1: [240] * 4}, [(0, 1)], id="one for all"),
        pytest.param({0: [240] * 4, 1: [60] * 4}, [(1, 1), (0, 1)], id="one for each number of samples"),
        pytest.param({0: [240] * 3 + [150] + [60] * 3}, [(0, 5), (0, 1)], id="for each part of the day"),
        pytest.param({0: [240] * 4, 1: [60]}, [(0, 1)], id="not for one hour"),
        pytest.param({0: [60, 240]}, [(0, 2)], id="the fullest hour where there are few"),
        pytest.param({0: [1, 1, 1]}, [(0, 1)], id="one sample an hour"),
    ],
)
def test_one_hour_of_each_interval_is_looked_at(scratch: Scratch, counts: Counts, asked: list[tuple[int, int]]) -> None:
    job(scratch, counts)
    find_steady(scratch)
    rows = scratch.rows(unknown(scratch))
    assert [(int(value[1:]), t // HOUR_MS) for _, t, _, _, value in rows] == asked
    assert {(name, meter, label) for name, _, meter, label, _ in rows} == {("x", "m", "host")}


def test_what_is_looked_at_anyway_is_not_asked_for_again(scratch: Scratch) -> None:
    job(scratch, {0: [240] * 4, 1: [60] * 4})
    scratch.con.raw_sql(f"INSERT INTO {scratch['suspicious']} VALUES (1, {2 * HOUR_MS})")
    find_steady(scratch)
    assert [value for *_, value in scratch.rows(unknown(scratch))] == ["n0"]


def test_levels_of_a_job_are_few(scratch: Scratch) -> None:
    job(scratch, {key: [2 ** (key + 1)] * 3 for key in range(9)})
    find_steady(scratch)
    assert len(scratch.rows(unknown(scratch))) == 6


@pytest.mark.real_server
def test_energy_and_coverage_are_right_whatever_the_interval(tmp_path: Path, step: StepContext) -> None:
    """Every 15 s and every 60 s in one job; and every 15 s until half past noon, every 60 s after."""
    require_prometheus()
    fast, slow = range(START - HOUR + 7, START + 25 * HOUR, 15), range(START - HOUR + 7, START + 25 * HOUR, 60)
    noon = START + 12 * HOUR + 1800
    changed = [*(t for t in fast if t < noon), *(t for t in slow if t >= noon)]
    series = [counter(gpu(host), steady, at) for host, at in (("fast", fast), ("slow", slow), ("changed", changed))]
    with prometheus(series, tmp_path, block_duration="72h") as url:
        later = StepContext(**{**step.__dict__, "now": datetime(2026, 9, 23, tzinfo=UTC)})
        rows, _ = rows_of(source(url), DayRange(DAY_ONE, DAY_ONE), later)
    told = rows.to_pylist()
    for host in ("fast", "slow", "changed"):
        mine = [row for row in told if row["node_id"] == host]
        assert (len(mine), sum(row["usage_hours"] for row in mine)) == (24, 24), host
        assert {row["coverage"] for row in mine} == {Decimal(1)}, host
        assert sum(row["energy_kwh"] for row in mine) == pytest.approx(Decimal("14.4"), abs=Decimal("0.01")), host

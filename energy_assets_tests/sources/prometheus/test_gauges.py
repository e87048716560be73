"""Gauges on small tables: which samples are integrated, in which unit, and what the integral is called afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.gauges import integrate
from energy_assets.sources.prometheus.meters import Meter
from energy_assets.sources.prometheus.queries import Window
from energy_assets_tests.sources.prometheus.tables import table

HOUR = 3600
START = int(datetime(2026, 11, 18, tzinfo=UTC).timestamp())
WINDOW = Window(datetime(2026, 11, 18, tzinfo=UTC).date(), START, START + HOUR)
TIMES = range(START, START + HOUR + 1, 60)
Series = tuple[str, str | None, str | None, str, str, float]
"""Meter, host, device, role, object, and the value of all samples."""


def gauge(name: str, unit: str = "W") -> Meter:
    return Meter(name, name, False, unit, "gpu", ("host",))


def powered(
    step: StepContext, meters: Sequence[Meter], *series: Series, times: Sequence[int] = TIMES
) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """Rows and counts; the keys are those of the series that name host and device."""
    scratch = Scratch(step.con)
    words = dict.fromkeys(("meter", "node_id", "device_id", "role", "sha256"), "VARCHAR")
    table(scratch, "named", {"series_no": "INTEGER", **words}, [(n, *one[:5]) for n, one in enumerate(series)])
    points = [(n, t * 1000, one[5]) for n, one in enumerate(series) for t in times]
    table(scratch, "points", {"series_no": "INTEGER", "t": "BIGINT", "d": "DOUBLE"}, points)
    known = dict.fromkeys(one[:3] for one in series if None not in one[:3])
    key = {"key_no": "INTEGER", "meter": "VARCHAR", "node_id": "VARCHAR", "device_id": "VARCHAR"}
    table(scratch, "keys", key, [(n, *one) for n, one in enumerate(known)])
    notes, _ = integrate(scratch=scratch, meters=meters, window=WINDOW, max_gap_s=300, gap_policy="none")
    columns = "key_no, t, n, usage_n, ppm, bridged, sha256"
    return scratch.rows(f"SELECT {columns} FROM {scratch['powered']} ORDER BY key_no"), notes


def hour(key: int, n: int, sha256: str, part: int = 1_000_000) -> tuple[Any, ...]:
    return (key, (START + HOUR) * 1000, n, part * 1000, part, False, sha256)


@pytest.mark.parametrize(("unit", "value"), [("uW", 6e8), ("mW", 6e5), ("W", 600), ("kW", 0.6)])
def test_power_is_integrated_in_its_unit(step: StepContext, unit: str, value: float) -> None:
    """600 W for an hour are 0.6 kWh."""
    found = powered(step, [gauge("p", unit)], ("p", "a", "0", "raw", "sha", value))
    assert found == ([hour(0, 600_000_000, "sha")], {})


def test_of_copies_the_highest_counts_under_the_first_object(step: StepContext) -> None:
    copies = [("p", "a", "0", "raw", sha, watts) for sha, watts in (("x", 500), ("b", 600), ("c", 400))]
    assert powered(step, [gauge("p")], *copies) == ([hour(0, 600_000_000, "b")], {})


def test_only_readings_of_the_meter_that_name_host_and_device_count(step: StepContext) -> None:
    """The zeros would be counted as dropped."""
    series: list[Series] = [
        ("p", "a", "0", "raw", "p", 100),
        ("p", "a", "0", "usage", "u", 900),
        ("q", "a", "0", "raw", "q", 7),
        ("p", "b", "0", "raw", "p", 300),
        ("p", None, "0", "raw", "p", 0),
        ("p", "a", None, "raw", "p", 0),
        ("r", "a", "0", "raw", "r", 8),
    ]
    rows, notes = powered(step, [gauge("p"), gauge("none"), gauge("q")], *series)
    assert rows == [hour(0, 100_000_000, "p"), hour(1, 7_000_000, "q"), hour(2, 300_000_000, "p")]
    assert notes == {}


def test_counts_of_all_meters_add_up(step: StepContext) -> None:
    zeros = [(name, "a", "0", "raw", "sha", 0.0) for name in "pq"]
    assert powered(step, [gauge("p"), gauge("q")], *zeros, times=TIMES[:3]) == ([], {"zero_readings_dropped": 6})


def test_what_was_observed_of_an_hour_is_in_millionths(step: StepContext) -> None:
    """37 minutes of 60 W are 37 Wh."""
    found, _ = powered(step, [gauge("p")], ("p", "a", "0", "raw", "sha", 60), times=TIMES[:38])
    assert found == [(0, (START + HOUR) * 1000, 37_000_000, 616_666_667, 616_667, False, "sha")]


def test_without_readings_there_are_no_rows(step: StepContext) -> None:
    assert powered(step, []) == ([], {})
    assert powered(step, [gauge("p")]) == ([], {})

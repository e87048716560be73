"""Counters that may have gone round twice between two readings: where it is said, and how often to read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.wraps import NOTE, told
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.prometheus_server import Series, prometheus, require_prometheus
from energy_assets_tests.sources.prometheus.data_centre import DAY_ONE, HOUR, START
from energy_assets_tests.sources.prometheus.tables import table
from energy_assets_tests.sources.prometheus.test_energy import source

HOUR_MS = 3_600_000
N_PER_JOULE = Decimal(10**12) / 3_600_000


def lines(
    step: StepContext,
    *,
    joules: float = 60_000,
    kind: str = "cpu",
    interval_s: int = 60,
    hours: Sequence[int] = range(6),
    wraps: int = 1,
    restarts: int = 0,
    wrapping: bool = True,
) -> Sequence[str]:
    """What is said of one counter with readings in some of the day's first six hours; hour 0 is the one before it."""
    scratch = Scratch(step.con)
    words = dict.fromkeys(("node_id", "device_id", "meter", "device_kind"), "VARCHAR")
    wrap_n = int(Decimal(joules) * N_PER_JOULE) + 1 if wrapping else None
    key = {"key_no": "INTEGER", **words, "counter": "BOOLEAN", "wrap_n": "HUGEINT"}
    table(scratch, "keys", key, [(0, "a", "package-0", "rapl", kind, True, wrap_n)])
    hour = {"key_no": "INTEGER", "t": "BIGINT"}
    at = [one * HOUR_MS for one in hours]
    table(scratch, "bound", {**hour, "n": "HUGEINT"}, [(0, t, 1) for t in at])
    counts = {**hour, "wraps": "BIGINT", "restarts": "BIGINT"}
    table(scratch, "amounts", counts, [(0, t, wraps, restarts) for t in at])
    table(scratch, "seen", {**hour, "interval_ms": "BIGINT"}, [(0, t, interval_s * 1000) for t in at])
    counted, examples = told(scratch, HOUR_MS, 5 * HOUR_MS)
    assert counted == ({NOTE: 1} if examples else {})
    return examples.get(NOTE, ())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"interval_s": 120}, False),
        ({"interval_s": 121}, True),
        ({"interval_s": 121, "wraps": 0}, False),
        ({"interval_s": 121, "wrapping": False}, False),
        ({"interval_s": 299, "kind": "dram"}, False),
        ({"interval_s": 301, "kind": "dram"}, True),
        ({"interval_s": 3600, "kind": "node"}, False),
        ({"hours": (1, 2, 4, 5)}, True),
        ({"hours": (1, 2, 4, 5), "wraps": 0}, True),
        ({"hours": (1, 2, 4, 5), "restarts": 1}, False),
        ({"hours": (1, 2, 4, 5), "joules": 3_700_000}, False),
        ({"hours": (0, 1, 2, 3, 4)}, False),
        ({"hours": (0, 5, 7)}, True),
        ({"hours": (3, 4, 7)}, False),
    ],
)
def test_a_round_may_be_missed_where_the_range_is_less_than_a_package_draws(
    step: StepContext, more: dict[str, Any], said: bool
) -> None:
    """60 kJ in 120 s are 500 W, and in 300 s the 200 W of memory; two hours take 3,600 kJ at 500 W."""
    assert bool(lines(step, **more)) == said


def test_the_range_the_interval_and_the_most_that_can_be_told_are_named(step: StepContext) -> None:
    assert lines(step, joules=65_532.61, interval_s=300) == [
        "package-0 on a: rapl goes round every 65,533 J and is read every 300 s: more than 218 W cannot be told; read"
        " it every 131 s or more often"
    ]
    assert lines(step, hours=(1, 2, 4, 5)) == [
        "package-0 on a: rapl goes round every 60,000 J and was not read for some 2 h: what it used in them may be more"
    ]


def package(watts: int, step_s: int, joules: float) -> Series:
    labels = {"instance": "epyc:9100", "job": "node", "index": "0", "path": "/sys/intel-rapl:0"}
    value: Callable[[int], str] = lambda t: f"{(t - START + 10 * HOUR) * watts % joules:.6f}"  # noqa: E731
    times = range(START - 2 * HOUR + 7, START + 26 * HOUR, step_s)
    return Series("node_rapl_package_joules_total", labels, [(t, value(t)) for t in times])


@pytest.mark.real_server
@pytest.mark.parametrize(("step_s", "right"), [(300, False), (60, True)])
def test_the_remedy_makes_the_figure_right(tmp_path: Path, step: StepContext, step_s: int, right: bool) -> None:
    """360 W with a range of 65,532 J: 8.64 kWh, of which a reading every five minutes sees less than half."""
    require_prometheus()
    with prometheus([package(360, step_s, 65_532.610987)], tmp_path, block_duration="72h") as url:
        later = StepContext(**{**step.__dict__, "now": datetime(2026, 9, 23, tzinfo=UTC)})
        site = source(url, rapl_wrap_joules="65532.610987")
        rows, notes = rows_of(site, DayRange(DAY_ONE, DAY_ONE), later)
    assert (NOTE in notes) != right
    total = sum(rows["energy_kwh"].to_pylist())
    assert (total == pytest.approx(Decimal("8.64"), abs=Decimal("0.01"))) == right

"""Gauges from files that nobody writes any more: no readings. Every host shows one behaviour, in a real Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.meters import CustomMetric, built_in
from energy_assets.sources.prometheus.queries import MeterQueries, Window
from energy_assets.sources.prometheus.textfiles import METRIC, NOTE, PUSHED, question
from energy_assets_tests.prometheus_server import Series, prometheus, require_prometheus
from energy_assets_tests.sources.prometheus.data_centre import DAY_ONE, HOUR, START
from energy_assets_tests.sources.prometheus.test_energy import source

TIMES = range(START - 2 * HOUR + 7, START + 25 * HOUR, 60)
POWER, SENSOR = "node_ipmi_power_watts", "node_hwmon_power_average_watt"
Instants = Callable[[int], int]


def lively(t: int) -> int:
    """500 W or a little more, and another value every minute."""
    return 500 + t * 7919 // 60 % 37


def until(*hours: float) -> Instants:
    """Time that stands still between the first hour and the second, if there is one."""
    stop, *resume = (START + round(hour * HOUR) for hour in hours)
    return lambda t: min(t, stop) if not resume or t < resume[0] else t


def host(
    name: str, written: dict[str, Instants], read: Instants, metric: str = POWER, job: str = "node"
) -> Iterator[Series]:
    labels = {"instance": f"{name}:9100", "job": "node"}
    yield Series(metric, {**labels, "job": job}, [(t, lively(read(t))) for t in TIMES])
    for file, at in written.items():
        yield Series(METRIC, {**labels, "file": f"/text/{file}.prom"}, [(t, at(t)) for t in TIMES])


def pushed(name: str, last: Instants) -> Iterator[Series]:
    labels = {"instance": name, "job": "power"}
    yield Series(POWER, labels, [(t, lively(last(t)) + 100) for t in TIMES])
    yield Series(PUSHED, labels, [(t, last(t)) for t in TIMES])


NOW: Instants = until(99)
LONG_AGO: Instants = until(-900)
HOSTS: Sequence[Iterator[Series]] = (
    host("well", {"ipmi": NOW, "apt": LONG_AGO}, NOW),
    host("stopped", {"ipmi": until(3)}, until(3)),
    host("stopped-among-others", {"ipmi": until(3), "raid": NOW, "apt": LONG_AGO}, until(3)),
    host("resumed", {"ipmi": until(3, 10)}, until(3, 10)),
    host("all-day", {"ipmi": LONG_AGO}, LONG_AGO),
    host("even", {"ipmi": NOW, "apt": LONG_AGO}, LONG_AGO),
    host("even-since-four", {"ipmi": NOW, "apt": until(6)}, until(4)),
    host("stopped-yesterday", {"ipmi": until(-1), "raid": NOW, "apt": LONG_AGO}, until(-1)),
    host("even-since-yesterday", {"ipmi": NOW, "apt": until(-0.75)}, until(-0.25)),
    host("even-for-long", {"ipmi": NOW, "apt": until(-1)}, LONG_AGO),
    host("sensor", {"apt": LONG_AGO}, LONG_AGO, SENSOR),
    pushed("pushed", NOW),
    pushed("pushed-until-three", until(3)),
    host("other-job", {"apt": LONG_AGO}, LONG_AGO, job="ipmi"),
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require_prometheus()
    series = [one for host in HOSTS for one in host]
    with prometheus(series, tmp_path_factory.mktemp("textfiles"), block_duration="72h") as served:
        yield served


def test_what_a_file_repeats_is_no_reading(url: str, step: StepContext) -> None:
    later = StepContext(**{**step.__dict__, "now": datetime(2026, 9, 23, tzinfo=UTC)})
    lines = [CustomMetric(metric=name, type="gauge", unit="W", device_kind="node") for name in (POWER, SENSOR)]
    site = source(url, metrics=tuple(lines))
    found, failures = parse(site, collect(site, DayRange(DAY_ONE, DAY_ONE), later).editions, later)
    assert found is not None
    assert not failures
    known: dict[str, list[int]] = {}
    for row in found.rows.to_pyarrow().to_pylist():
        if row["energy_kwh"] is not None:
            known.setdefault(row["node_id"], []).append(row["hour"].hour)
    whole, night = list(range(24)), [0, 1, 2, 3]
    assert known == {
        "well": whole,
        "stopped": night,
        "stopped-among-others": night,
        "resumed": [*night, *range(10, 24)],
        "even": whole,
        "even-since-four": whole,
        "even-since-yesterday": whole,
        "even-for-long": whole,
        "pushed": whole,
        "pushed-until-three": night,
        "sensor": whole,
        "other-job": whole,
    }
    assert found.notes[NOTE] == 6
    assert found.notes["gaps_not_bridged"] == 1, "of the one that resumed"
    file, push = "/text/ipmi.prom", "a push of {instance=pushed-until-three, job=power}"
    assert list(found.told[0].examples[NOTE]) == [
        f"{name}: {POWER}, {push if name.startswith('pushed') else file} not written since {since} UTC"
        for name, since in (
            ("all-day", "2026-08-14 12:00"),
            ("pushed-until-three", "2026-09-21 03:00"),
            ("resumed", "2026-09-21 03:00"),
            ("stopped", "2026-09-21 03:00"),
            ("stopped-among-others", "2026-09-21 03:00"),
        )
    ]


def test_files_are_asked_for_of_gauges_without_a_better_counter() -> None:
    window = Window(DAY_ONE, START, START + HOUR)
    named: dict[str, Any] = {one.metric: MeterQueries(one, 'site="a"') for one in built_in(None)}
    dcgm = [named["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"], named["DCGM_FI_DEV_POWER_USAGE"]]
    assert question(dcgm, "", window) == []
    asked, _ = question([*dcgm, named["ipmi_dcmi_power_consumption_watts"]], 'site="a"', window)
    assert asked.promql == (
        'last_over_time(node_textfile_mtime_seconds{site="a"}[3599999ms]) and on (instance, job)'
        ' (count_over_time(ipmi_dcmi_power_consumption_watts{site="a"}[3599999ms]))'
        ' or last_over_time(push_time_seconds{site="a"}[3599999ms]) and on (instance, job)'
        ' (count_over_time(ipmi_dcmi_power_consumption_watts{site="a"}[3599999ms]))'
    )
    asked, even = question(dcgm[1:], "", window)
    assert "DCGM_FI_DEV_POWER_USAGE" in asked.promql
    assert even.promql == (
        '(changes(DCGM_FI_DEV_POWER_USAGE{site="a"}[3599999ms]) == 0) and on (instance, job)'
        " node_textfile_mtime_seconds"
    )

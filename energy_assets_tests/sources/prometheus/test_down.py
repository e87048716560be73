"""Targets that are down to the end of a day: told where they served this source before, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import ParsedDays, collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.down import NOTE, UNREAD, question
from energy_assets.sources.prometheus.queries import Window
from energy_assets_tests.prometheus_server import Series, prometheus, require_prometheus
from energy_assets_tests.sources.prometheus.data_centre import DAY, DAY_ONE, HOUR, START, counter, gpu, steady
from energy_assets_tests.sources.prometheus.test_energy import source

SELECTED = 'site="a"'


def up(instance: str, value: int, job: str = "dcgm", hours: range = range(-2, 26), **more: str) -> Series:
    times = range(START + hours.start * HOUR + 7, START + hours.stop * HOUR, 60)
    return Series("up", {"instance": instance, "job": job, "site": "a", **more}, [(t, value) for t in times])


def device(host: str, first: int, last: int, **more: str) -> Series:
    """A GPU that is read from one hour to another."""
    return counter(gpu(host, site="a", **more), steady, range(START + first * HOUR, START + last * HOUR, 60))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require_prometheus()
    series = [
        device("alive", -2, 26),
        up("alive:9400", 1),
        device("broken", -26, -1),
        up("broken:9400", 0),
        device("long-broken", -80, -70),
        up("long-broken:9400", 0),
        device("gone", -26, -1),
        device("moved", -26, -1, instance="moved:9400"),
        device("moved", -1, 26, instance="moved:9500"),
        up("moved:9400", 0),
        up("no-exporter:9100", 0, "node"),
        up("broken:9400", 0, "another job"),
        device("replicated", -26, -1),
        up("replicated:9400", 0, prometheus="1"),
        up("replicated:9400", 1, prometheus="2"),
        device("returned", -26, -1),
        up("returned:9400", 0, hours=range(-2, 23)),
        up("returned:9400", 1, hours=range(23, 26)),
        device("since-six", -2, 18),
        up("since-six:9400", 1, hours=range(-2, 18)),
        up("since-six:9400", 0, hours=range(18, 26)),
        device("since-seven", -2, 19),
        up("since-seven:9400", 1, hours=range(-2, 19)),
        up("since-seven:9400", 0, hours=range(19, 26)),
        Series("DCGM_FI_DEV_POWER_USAGE", gpu("elsewhere", site="b"), [(t, 1) for t in range(START - DAY, START, 60)]),
        up("elsewhere:9400", 0),
    ]
    with prometheus(series, tmp_path_factory.mktemp("down"), block_duration="192h") as served:
        yield served


@pytest.fixture
def told(url: str, step: StepContext) -> ParsedDays:
    later = StepContext(**{**step.__dict__, "now": datetime(2026, 9, 23, tzinfo=UTC)})
    site = source(url, selector=SELECTED)
    collected = collect(site, DayRange(DAY_ONE, DAY_ONE), later)
    found, failures = parse(site, collected.editions, later)
    assert not collected.failures
    assert not failures
    assert found is not None
    return found


def test_targets_that_fail_to_the_end_and_served_before_are_named(told: ParsedDays) -> None:
    """Not one that was taken out, returned or never served, nor one that another replica or target replaces."""
    assert told.notes[NOTE] == 3
    assert list(told.told[0].examples[NOTE]) == [
        "broken:9400 of job dcgm, 24 h, read last after 2026-09-20 23:00 UTC",
        "long-broken:9400 of job dcgm, 24 h, read last after 2026-09-18 02:00 UTC",
        "since-six:9400 of job dcgm, 6 h, read last after 2026-09-21 18:00 UTC",
    ]


def test_devices_without_a_reading_are_named_with_their_hours(told: ParsedDays) -> None:
    assert told.notes[UNREAD] == 4 * 24 + 6 + 5
    assert list(told.told[0].examples[UNREAD]) == [
        *(f"GPU-{host}-0 on {host}, 24 h" for host in ("broken", "gone", "replicated", "returned")),
        "GPU-since-six-0 on since-six, 6 h",
    ]


def test_a_day_without_a_whole_hour_asks_nothing() -> None:
    assert question("", Window(DAY_ONE, START, START)) == []
    assert [query.promql for query in question("", Window(DAY_ONE, START, START + HOUR))] == [
        "max by (instance, job) (up) == 0"
    ]

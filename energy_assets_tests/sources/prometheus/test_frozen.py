"""Gauges that change all the time and then repeat one value to the end of the day."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.notes import words
from energy_assets.sources.prometheus.frozen import NOTE
from energy_assets_tests.sources.prometheus.data_centre import HOUR, START
from energy_assets_tests.sources.prometheus.test_readings import GAUGE
from energy_assets_tests.sources.prometheus.test_standstill import HOURS, LongDay, running

Watts = Callable[[int], float | None]


@pytest.fixture
def day(step: StepContext) -> LongDay:
    return LongDay(step)


def noisy(t: int, level: int = 500) -> float:
    """Another value every minute."""
    return level + t * 7919 // 60 % 37


def stopped(hour: float, before: Callable[[int], float] = noisy, still: float = 517) -> Watts:
    return lambda t: before(t) if t < START + hour * HOUR else still


def minutes(number: int) -> Callable[[int], float]:
    """The same value for so many minutes, then another."""
    return lambda t: noisy(t // (60 * number) * 60 * number)


@pytest.mark.parametrize(
    ("watts", "found"),
    [
        pytest.param(stopped(4), 1, id="to the end of the day"),
        pytest.param(stopped(5.05), 0, id="not for three hours yet"),
        pytest.param(noisy, 0, id="never"),
        pytest.param(lambda t: 517, 0, id="always even"),
        pytest.param(stopped(4, lambda t: noisy(t, 1000)), 0, id="never at this power before: it fell idle"),
        pytest.param(stopped(4, lambda t: noisy(t, 1000 if t > START else 500)), 1, id="at this power before"),
        pytest.param(stopped(4, minutes(9)), 1, id="held for nine minutes before"),
        pytest.param(stopped(4, minutes(15)), 0, id="held for longer before: an even gauge"),
        pytest.param(lambda t: stopped(2)(t) if t < START + 6 * HOUR else noisy(t), 0, id="it goes on"),
        pytest.param(lambda t: stopped(2)(t) if t < START + 6 * HOUR else None, 0, id="it ends"),
    ],
)
def test_a_gauge_that_changed_all_the_time_and_stops_is_told(day: LongDay, watts: Watts, found: int) -> None:
    day.gauged(watts)
    day.hours()
    assert day.notes.get(NOTE, 0) == found


def test_it_is_named_with_the_time_and_counts_all_the_same(day: LongDay) -> None:
    day.gauged(stopped(4))
    told = day.hours()
    assert day.examples[NOTE] == [f"GPU-1 on a: {GAUGE.name}, since 04:00 UTC"]
    assert len([kwh for kwh, *_ in told.values() if kwh]) == HOURS
    assert not words(NOTE).hole


def test_beside_a_counter_that_counts_it_says_nothing(day: LongDay) -> None:
    day.counted(running)
    day.gauged(stopped(4))
    day.hours()
    assert NOTE not in day.notes

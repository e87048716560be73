"""Counters and gauges of one device that tell energies a factor apart, and the factor in site.yaml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.exporters import asked
from energy_assets.sources.prometheus.meters import CustomMetric, Meter
from energy_assets.sources.prometheus.scales import NOTE
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.prometheus.data_centre import COUNTER as COUNTER_NAME
from energy_assets_tests.sources.prometheus.data_centre import DAY_ONE, HOUR, START
from energy_assets_tests.sources.prometheus.test_energy import source
from energy_assets_tests.sources.prometheus.test_readings import COUNTER, GAUGE, GPU
from energy_assets_tests.sources.prometheus.test_standstill import HOURS, WATTS, LongDay, running

Watts = Callable[[int], float]
"""By the hour of the day."""


@pytest.fixture
def day(step: StepContext) -> LongDay:
    return LongDay(step)


def counter_of(watts: Watts) -> Watts:
    """A counter in mJ of a power that holds for hours."""

    def value(t: int) -> float:
        hours, rest = divmod(t - START, HOUR)
        before = sum(watts(hour) for hour in range(-2, hours))
        return 5e9 + (before * HOUR + watts(hours) * rest) * 1000

    return value


def means(day: LongDay, watts: Watts, hours: int = HOURS, labels: dict[str, str] = GPU) -> None:
    day.answer("mean", GAUGE, [(labels, [(START + (hour + 1) * HOUR, watts(hour)) for hour in range(hours)])])


def told(day: LongDay) -> int:
    day.hours()
    return day.notes.get(NOTE, 0)


@pytest.mark.parametrize(
    ("factor", "found"),
    [(15.259, 1), (1.51, 1), (1.49, 0), (1, 0), (0.5, 0), (0.21, 0), (0.19, 1), (0.001, 1)],
)
def test_a_gauge_that_tells_a_multiple_is_told_and_a_fraction_only_if_no_peak_explains_it(
    day: LongDay, factor: float, found: int
) -> None:
    """A device that draws four times as much for a moment of each minute is seen between the peaks alone."""
    day.counted(running)
    means(day, lambda hour: WATTS * factor)
    assert told(day) == found


def test_both_energies_and_the_factor_are_named_and_the_counter_counts(day: LongDay) -> None:
    day.counted(running)
    means(day, lambda hour: WATTS * 15.259)
    assert {kwh for kwh, *_ in day.hours().values()} == {Decimal("0.25")}
    assert day.examples[NOTE] == [
        f"GPU-1 on a: in 8 h {COUNTER.name} tells 2 kWh and counts, {GAUGE.name} tells 30.5 kWh, 15.259 times as much"
    ]


@pytest.mark.parametrize(
    ("watts", "factors", "found"),
    [
        pytest.param((100, 131), (0.5, 0.5), 1, id="the same factor while the power varies"),
        pytest.param((100, 131), (0.5, 0.56), 0, id="not the same: peaks are seen or missed by chance"),
        pytest.param((100, 129), (0.5, 0.5), 0, id="the power hardly varies"),
        pytest.param((100, 131), (0.7, 0.7), 0, id="near enough"),
    ],
)
def test_a_gauge_that_tells_half_is_told_where_the_factor_holds_at_every_power(
    day: LongDay, watts: tuple[int, int], factors: tuple[float, float], found: int
) -> None:
    day.counted(counter_of(lambda hour: watts[hour % 2]))
    means(day, lambda hour: watts[hour % 2] * factors[hour % 2])
    assert told(day) == found


@pytest.mark.parametrize(("odd", "found"), [(2, 1), (3, 0)])
def test_three_hours_in_four_show_it_by_themselves(day: LongDay, odd: int, found: int) -> None:
    day.counted(running)
    means(day, lambda hour: WATTS * (1 if hour < odd else 4))
    assert told(day) == found


@pytest.mark.parametrize(("hours", "found"), [(5, 0), (6, 1)])
def test_few_hours_say_nothing(day: LongDay, hours: int, found: int) -> None:
    day.counted(running)
    means(day, lambda hour: WATTS * 2, hours)
    assert told(day) == found


@pytest.mark.parametrize(("watts", "found"), [(12, 0), (13, 1)])
def test_little_energy_is_not_told(day: LongDay, watts: int, found: int) -> None:
    """Twice as much in eight hours: 96 Wh or 104 Wh apart."""
    day.counted(counter_of(lambda hour: watts))
    means(day, lambda hour: watts * 2)
    assert told(day) == found


@pytest.mark.parametrize("blank", [float("nan"), 9.2e18, 0])
def test_means_of_what_is_no_power_are_no_evidence(day: LongDay, blank: float) -> None:
    day.counted(running)
    means(day, lambda hour: blank)
    assert told(day) == 0


def test_the_energy_of_a_gap_is_not_that_of_its_hour(day: LongDay) -> None:
    """Every second hour is empty, and the next one holds its energy."""
    ends = range(START - HOUR, START + HOURS * HOUR + 1, 2 * HOUR)
    day.answer("boundary", COUNTER, [(GPU, [(t, running(t - 30)) for t in ends])])
    day.answer("minimum", COUNTER, [(GPU, [(t, running(t - HOUR + 30)) for t in ends])])
    day.answer("usage", COUNTER, [(GPU, [(t, 60) for t in ends])])
    means(day, lambda hour: WATTS / 4)
    assert told(day) == 0


def test_another_device_is_no_evidence(day: LongDay) -> None:
    day.counted(running)
    means(day, lambda hour: WATTS * 20, labels={**GPU, "UUID": "GPU-2"})
    assert told(day) == 0


def test_a_gauge_of_the_site_beside_a_counter_is_compared_by_its_samples(step: StepContext) -> None:
    """In kW where it is W: what is wrong is the line in site.yaml."""
    labels: dict[str, Any] = {"node_labels": ("Hostname",), "device_labels": ("UUID",)}
    line = CustomMetric(metric="power", type="gauge", unit="kW", device_kind="gpu", **labels)
    day = LongDay(step, COUNTER, replace(GAUGE, name="power", metric="power", unit=line.unit))
    day.counted(running)
    times = range(START - 30, START + HOURS * HOUR + 60, 60)
    day.answer("raw", day.meters[1], [(GPU, [(t, WATTS) for t in times])])
    assert told(day) == 1
    assert "power tells 2e+03 kWh" in day.examples[NOTE][0]


def test_a_scale_multiplies_beyond_the_unit() -> None:
    counter = Meter("c", "c", True, "mJ", "gpu", ("host",), scale=Decimal("1.5"))
    gauge = Meter("g", "g", False, "kW", "gpu", ("host",), scale=Decimal("1.5"))
    assert (counter.per_unit, gauge.per_unit, gauge.watts) == (Fraction(15 * 10**8, 3_600_000_000), None, 1500.0)


def test_scales_are_of_the_metric_they_name() -> None:
    scaled = asked(None, (), (), scales={GAUGE.metric: Decimal(2)})
    assert {one.metric for one in scaled if one.scale != 1} == {GAUGE.metric}


@pytest.mark.parametrize("name", ["gpu_energy_consumd", "kepler_node_gpu_joules_total"])
def test_a_scale_of_what_is_not_read_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"scales names {name}, which is no metric that this source reads"):
        source("http://x", scales={name: "15.259"})


@pytest.mark.parametrize("scale", ["0", "-1", "1.234567891"])
def test_a_scale_is_a_positive_number_of_nine_digits(scale: str) -> None:
    with pytest.raises(ValidationError):
        source("http://x", scales={COUNTER_NAME: scale})


@pytest.mark.real_server
def test_the_remedy_makes_the_figure_right(data_centre: str, step: StepContext) -> None:
    """The counter tells 600 W, the gauge 999 W."""
    days, only = DayRange(DAY_ONE, DAY_ONE), 'UUID="GPU-steady-0"'
    _, notes = rows_of(source(data_centre, selector=only), days, step)
    assert notes[NOTE] == 1
    mended = source(data_centre, selector=only, name="mended", scales={COUNTER_NAME: "1.665"})
    table, notes = rows_of(mended, days, step)
    assert NOTE not in notes
    assert set(table["energy_kwh"].to_pylist()) == {Decimal("0.999")}

"""Counters that are scraped and do not count: the gauge speaks, or nobody knows; small standstills stay 0."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Answer, Scratch
from energy_assets.sources.prometheus.meters import CustomMetric, Meter
from energy_assets.sources.prometheus.queries import DAY as DAY_S
from energy_assets.sources.prometheus.queries import MeterQueries, Window
from energy_assets.sources.prometheus.readings import assemble
from energy_assets_tests.sources.prometheus.data_centre import DAY_ONE, HOUR, START, STEP
from energy_assets_tests.sources.prometheus.test_readings import COUNTER, GAUGE, GPU, METERS, Day, Samples

HOURS = 8
WHOLE = Window(DAY_ONE, START, START + HOURS * HOUR)
TIMES = range(START - 2 * HOUR + 30, START + HOURS * HOUR, STEP)
WATTS = 250
Told = dict[int, tuple[Any, str, int, Any]]


class LongDay(Day):
    """Eight hours, with other meters than the built-in ones where a test has some."""

    def __init__(self, step: StepContext, *meters: Meter) -> None:
        super().__init__(step)
        self.meters = meters or (COUNTER, GAUGE)

    def counted(self, value: Callable[[int], float], meter: Meter = COUNTER, since: int = START - HOUR) -> None:
        labels, samples = GPU, [(t, value(t)) for t in TIMES]
        ends = range(since, WHOLE.end + 1, HOUR)
        by_hour = {end: [v for t, v in samples if end - HOUR < t <= end] for end in ends}
        self.answer("boundary", meter, [(labels, [(t, vs[-1]) for t, vs in by_hour.items()])])
        self.answer("minimum", meter, [(labels, [(t, min(vs)) for t, vs in by_hour.items()])])
        self.answer("usage", meter, [(labels, [(t, len(vs)) for t, vs in by_hour.items()])])

    def gauged(self, watts: Callable[[int], float | None] = lambda t: WATTS) -> None:
        labels = GPU
        seen: Samples = [(t, w) for t in TIMES if (w := watts(t)) is not None]
        self.answer("raw", GAUGE, [(labels, seen)])
        ends = range(START - HOUR, WHOLE.end + 1, HOUR)
        counts = [(end, len([t for t, _ in seen if end - HOUR < t <= end])) for end in ends]
        self.answer("usage", GAUGE, [(labels, [(t, n) for t, n in counts if n])])

    def hours(self) -> Told:
        """Energy, method, tier and coverage by hour of the day."""
        scratch = Scratch(self.step.con)
        table, self.notes, self.examples = assemble(scratch, self.answers, WHOLE, self.meters, interval_s=STEP)
        rows = self.step.con.table(table).to_pyarrow().to_pylist()
        assert len({row["hour"] for row in rows}) == len(rows), "a device's hour is one row"
        return {r["hour"].hour: (r["energy_kwh"], r["method"], r["quality_tier"], r["coverage"]) for r in rows}


@pytest.fixture
def day(step: StepContext) -> LongDay:
    return LongDay(step)


def running(t: int) -> float:
    """250 W as the counter tells it, in mJ."""
    return 5e9 + (t - START + DAY_S) * WATTS * 1000


def hung(*hours: int, base: Callable[[int], float] = running) -> Callable[[int], float]:
    """A counter that shows in these hours what it showed half an hour into the first, and then all it missed."""
    first = START + hours[0] * HOUR + HOUR // 2
    last = START + (hours[-1] + 1) * HOUR - HOUR // 2 + HOUR
    return lambda t: base(first) if first <= t < last else base(t)


QUARTER = Decimal("0.25")


def flickering(t: int) -> float:
    """250 W on average, and in no two samples the same."""
    return WATTS + (1 if t // STEP % 2 else -1)


@pytest.mark.parametrize(("value", "watts"), [(0, lambda t: WATTS), (5e9, flickering)])
def test_a_counter_that_never_moves_gives_way_to_the_gauge_all_day(
    day: LongDay, value: float, watts: Callable[[int], float]
) -> None:
    day.counted(lambda t: value)
    day.gauged(watts)
    assert set(list(day.hours().values())[:-1]) == {(QUARTER, "measured_power", 3, Decimal(1))}
    assert day.notes["counter_hours_standing_still_replaced"] == HOURS
    assert day.examples["counter_hours_standing_still_replaced"] == ([f"GPU-1 on a: {COUNTER.name}, {HOURS} h"])


def test_a_counter_that_never_moves_and_no_gauge_is_unknown_not_zero(day: LongDay) -> None:
    day.counted(lambda t: 0)
    assert set(day.hours().values()) == {(None, "measured_counter", 2, Decimal(0))}
    assert day.notes["counter_hours_standing_still"] == HOURS


def test_a_gauge_that_shows_nothing_either_leaves_the_energy_unknown(day: LongDay) -> None:
    day.counted(lambda t: 0)
    day.gauged(lambda t: 0)
    assert {kwh for kwh, *_ in day.hours().values()} == {None}


def test_hours_of_a_hung_counter_are_the_gauges_and_nothing_comes_twice(day: LongDay) -> None:
    """It stops half way through hour 2 and returns, half way through hour 5, with all that it missed."""
    day.counted(hung(2, 3, 4))
    day.gauged()
    told = day.hours()
    assert [told[hour][1] for hour in range(7)] == ["measured_counter"] * 2 + ["measured_power"] * 4 + [
        "measured_counter"
    ]
    assert {told[hour][0] for hour in range(7)} == {QUARTER}
    assert {told[hour][2] for hour in range(2, 6)} == {3}
    assert {told[hour][2] for hour in (0, 1, 6)} == {2}


def test_what_a_hung_counter_missed_comes_with_its_return_where_no_gauge_saw_it(day: LongDay) -> None:
    """Hour 5 has no gauge: the counter's return holds the hours before, which are unknown."""
    day.counted(hung(2, 3, 4))
    day.gauged(lambda t: WATTS if t < START + 5 * HOUR else None)
    told = day.hours()
    assert [told[hour][0] for hour in (3, 4)] == [None, None]
    assert sum(kwh or 0 for hour, (kwh, *_) in told.items() if hour < 7) == pytest.approx(
        7 * QUARTER, abs=Decimal("0.02")
    )


def test_a_hung_counter_without_a_gauge_is_unknown_while_it_hangs(day: LongDay) -> None:
    day.counted(hung(2, 3, 4))
    told = day.hours()
    assert [told[hour][0] for hour in (3, 4)] == [None, None]
    assert [told[hour][3] for hour in (2, 3, 4, 5)] == [1, 0, 0, 1]
    assert sum(kwh or 0 for kwh, *_ in told.values()) == pytest.approx(8 * QUARTER, abs=Decimal("0.005"))


def test_a_counter_that_dies_leaves_the_rest_of_the_day_to_the_gauge(day: LongDay) -> None:
    day.counted(lambda t: running(min(t, START + 3 * HOUR + HOUR // 3)))
    day.gauged()
    told = day.hours()
    assert {told[hour][0] for hour in range(7)} == {QUARTER}
    assert [told[hour][1] for hour in range(7)] == ["measured_counter"] * 3 + ["measured_power"] * 4


def test_a_standstill_that_began_yesterday_leaves_its_return_to_the_gauge(day: LongDay) -> None:
    """The counter returns in the day's first hour with what it missed on the day before."""
    day.counted(lambda t: 5e9 if t < START + HOUR // 2 else running(t))
    day.gauged()
    told = day.hours()
    assert told[0][:3] == (QUARTER, "measured_power", 3)
    assert told[1][:3] == (QUARTER, "measured_counter", 2)


def frozen(*hours: int, base: Callable[[int], float], still: float | None = None) -> Callable[[int], float]:
    """What a hung exporter repeats of a gauge in the hours in which `hung` repeats a counter."""
    first = START + hours[0] * HOUR + HOUR // 2
    last = START + (hours[-1] + 1) * HOUR + HOUR // 2
    return lambda t: (base(first) if still is None else still) if first <= t < last else base(t)


HANGS = "counter_hours_hanging"


def test_an_exporter_that_repeats_counter_and_gauge_measures_nothing_until_it_returns(day: LongDay) -> None:
    """What the counter returns with is what was used: as much as ever here."""
    day.counted(hung(2, 3, 4))
    day.gauged(frozen(2, 3, 4, base=flickering))
    told = day.hours()
    assert [told[hour][0] for hour in (3, 4)] == [None, None]
    assert [told[hour][3] for hour in (2, 3, 4, 5)] == [1, 0, 0, 1]
    assert {method for _, method, *_ in told.values()} == {"measured_counter"}
    assert sum(kwh or 0 for kwh, *_ in told.values()) == pytest.approx(8 * QUARTER, abs=Decimal("0.005"))
    assert day.notes[HANGS] == 2
    assert day.examples[HANGS] == [f"GPU-1 on a: {COUNTER.name}, 2 h"]


def test_an_exporter_that_hangs_to_the_end_of_the_day_leaves_the_rest_unknown(day: LongDay) -> None:
    day.counted(lambda t: running(min(t, START + 3 * HOUR + HOUR // 3)))
    day.gauged(lambda t: flickering(min(t, START + 3 * HOUR + HOUR // 3)))
    told = day.hours()
    assert [told[hour][0] for hour in range(4, 8)] == [None] * 4
    assert day.notes[HANGS] == 4


@pytest.mark.parametrize(("value", "known"), [(5e9, False), (0, True)])
def test_a_day_on_which_nothing_changes_is_no_measurement_unless_the_counter_never_counted(
    day: LongDay, value: float, known: bool
) -> None:
    """A driver that does not support its counter shows 0 beside a gauge that may well be even."""
    day.counted(lambda t: value)
    day.gauged()
    assert all((kwh is not None) == known for kwh, *_ in list(day.hours().values())[:-1])
    assert day.notes.get(HANGS, 0) == (0 if known else HOURS)


def test_an_even_gauge_speaks_for_a_counter_that_stands_still_for_a_while(day: LongDay) -> None:
    """It shows one value all day, also while the counter counts as much: that is what the device draws."""
    day.counted(hung(2, 3, 4))
    day.gauged()
    day.hours()
    assert HANGS not in day.notes
    assert day.notes["counter_hours_standing_still_replaced"] == 4


@pytest.mark.parametrize(("times", "found"), [(1.7, False), (1.72, True)])
def test_a_counter_that_returns_with_far_more_than_the_gauge_told_is_right(
    day: LongDay, times: float, found: bool
) -> None:
    """It returns with 875 Wh; the gauge told 1,000 Wh, divided by `times`, since the hour in which it stopped began."""
    day.counted(hung(2, 3, 4))
    day.gauged(lambda t: flickering(t) / times)
    told = day.hours()
    assert (HANGS in day.notes) == found
    total = sum(kwh or 0 for kwh, *_ in told.values())
    if found:
        assert total == pytest.approx(8 * QUARTER, abs=Decimal("0.005"))


@pytest.mark.parametrize(("few", "hangs"), [(120, 2), (121, 0)])
def test_few_samples_of_one_value_are_chance(
    day: LongDay, monkeypatch: pytest.MonkeyPatch, few: int, hangs: int
) -> None:
    """The counter stands still for two whole hours, in which the gauge has a sample a minute."""
    monkeypatch.setattr("energy_assets.sources.prometheus.hanging.FEW_SAMPLES", few)
    day.counted(hung(2, 3, 4))
    day.gauged(frozen(2, 3, 4, base=flickering))
    day.hours()
    assert day.notes.get(HANGS, 0) == hangs


def test_another_gauge_speaks_where_the_better_one_hangs(step: StepContext) -> None:
    day = LongDay(step, COUNTER, GAUGE, METERS["DCGM_FI_DEV_POWER_USAGE_INSTANT"])
    day.counted(hung(2, 3, 4))
    day.gauged(frozen(2, 3, 4, base=flickering, still=40))
    day.answer("raw", day.meters[2], [(GPU, [(t, flickering(t)) for t in TIMES])])
    told = day.hours()
    assert [told[hour][1] for hour in (3, 4)] == ["measured_power"] * 2
    assert {round(kwh, 3) for kwh, *_ in told.values()} <= {QUARTER, Decimal("0.248")}
    assert HANGS not in day.notes


def kwh_counter(unit: str, kind: str = "gpu") -> Meter:
    return CustomMetric(
        metric="energy_total",
        type="counter",
        unit=unit,
        device_kind=kind,
        node_labels=("Hostname",),
        device_labels=("UUID",),
    ).meter()


@pytest.mark.parametrize(("watts", "method"), [(500.1, "measured_power"), (499.9, "measured_counter")])
def test_a_coarse_counter_may_stand_still_for_less_than_its_unit(step: StepContext, watts: float, method: str) -> None:
    """It stands still for two hours and else moves at 6 kW: 1 kWh by the gauge is its unit, less is not."""
    meter = kwh_counter("kWh")
    day = LongDay(step, meter, GAUGE)
    still = (START + 2 * HOUR - 600, START + 4 * HOUR)
    day.counted(lambda t: 100 + (t - START) // 600 - (min(max(t, still[0]), still[1]) - still[0]) // 600, meter)
    day.gauged(lambda t: watts + t // STEP % 2 / 1000 if still[0] < t <= still[1] + 300 else 6000)
    told = day.hours()
    assert {told[hour][1] for hour in (2, 3)} == {method}
    if method == "measured_counter":
        assert {told[hour][0] for hour in (2, 3)} == {0}


@pytest.mark.parametrize(
    ("unit", "kind", "known"),
    [
        ("mJ", "gpu", False),
        ("Wh", "cpu", False),
        ("kWh", "gpu", True),
        ("mJ", "service", True),
        ("J", "storage", True),
    ],
)
def test_without_a_gauge_a_device_that_must_draw_power_is_unknown(
    step: StepContext, unit: str, kind: str, known: bool
) -> None:
    """1 W for eight hours is 8 Wh: it would have moved a counter in Wh, and none in kWh. A service may rest."""
    meter = kwh_counter(unit, kind)
    day = LongDay(step, meter)
    day.counted(lambda t: 7, meter)
    assert {kwh for kwh, *_ in day.hours().values()} == ({Decimal(0)} if known else {None})


@pytest.mark.parametrize(("watts", "kwh"), [(124, Decimal(0)), (125, None)])
def test_a_unit_of_the_least_a_device_draws_is_the_limit(
    step: StepContext, monkeypatch: pytest.MonkeyPatch, watts: int, kwh: Decimal | None
) -> None:
    """Eight hours at 125 W are 1 kWh, the unit of the counter; at one watt less they are not."""
    monkeypatch.setattr("energy_assets.sources.prometheus.standstill.LEAST_W", watts)
    meter = kwh_counter("kWh")
    day = LongDay(step, meter)
    day.counted(lambda t: 7, meter, since=START + HOUR)
    assert {one for one, *_ in day.hours().values()} == {kwh}


def test_the_gauge_is_asked_for_where_the_counter_does_not_change() -> None:
    promql = MeterQueries(GAUGE).gauge_hours(WHOLE).promql
    assert f"changes({COUNTER.metric}[3599999ms]) > 0" in promql
    assert "unless" in promql


def test_answers_of_the_time_before_the_gauge_was_asked_for_can_still_be_read(day: LongDay) -> None:
    """The counter's answers alone, as they were landed: unknown instead of 0, and no error."""
    day.counted(lambda t: 0)
    assert all(answer.meter == COUNTER.name for answer in day.answers)
    assert {kwh for kwh, *_ in day.hours().values()} == {None}
    assert isinstance(day.answers[0], Answer)


@pytest.mark.parametrize(("counts", "zeros", "told"), [(False, 1, 1), (False, 9, 1), (True, 1, 0), (False, 20, 0)])
def test_a_gauge_that_often_shows_nothing_is_told_where_no_counter_counts(
    day: LongDay, counts: bool, zeros: int, told: int
) -> None:
    """Every sample, every ninth or every twentieth is 0 W."""
    if counts:
        day.counted(running)
    day.gauged(lambda t: 0 if t // STEP % zeros == 0 else WATTS)
    day.hours()
    assert day.notes.get("devices_often_without_power", 0) == told
    if told:
        (said,) = day.examples["devices_often_without_power"]
        assert said.startswith(f"GPU-1 on a: {GAUGE.name}, ")


@pytest.mark.parametrize(
    ("watts", "note"), [(5001, "powers_far_too_high"), (5000, None), (0.99, "powers_far_too_low"), (1, None)]
)
def test_powers_that_no_gpu_draws_are_told(day: LongDay, watts: float, note: str | None) -> None:
    """A GPU at 350 W whose gauge is in milliwatts would be one of 350 kW."""
    day.gauged(lambda t: watts)
    day.hours()
    assert {name for name in day.notes if name.startswith("powers_far")} == ({note} if note else set())
    if note:
        assert day.examples[note] == [f"GPU-1 on a: {GAUGE.name}, {float(f'{watts:.3g}'):,.3g} W"]

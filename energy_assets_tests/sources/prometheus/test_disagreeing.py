"""Copies and different things from answers alone: the values exactly on each limit, and one beyond it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Answer, Scratch, load
from energy_assets.sources.prometheus.devices import name_devices
from energy_assets.sources.prometheus.disagreeing import contested, line
from energy_assets.sources.prometheus.meters import Meter

HALF_HOUR = 1800
COUNTER = Meter("counter", "counter", True, "J", "cpu", ("host",), ("unit",))
WRAPPING = Meter("counter", "counter", True, "J", "cpu", ("host",), ("unit",), wrap_joules=Decimal(10_000))
GAUGE = Meter("gauge", "gauge", False, "W", "node", ("host",))
LABELS = {"host": "h", "unit": "0"}
Samples = Sequence[tuple[float, float]]


def found(step: StepContext, meter: Meter, *answers: tuple[str, Mapping[str, str], Samples]) -> list[str]:
    """Devices that disagree, from answers of (role, labels, samples)."""
    landed = []
    for number, (role, labels, samples) in enumerate(answers):
        values = [[t, str(value)] for t, value in samples]
        path = step.folder / f"{number}.json"
        series = {"metric": dict(labels), "values": values}
        path.write_text(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series]}}))
        landed.append(Answer(f"sha-{number}", role, meter.name, path))
    scratch = Scratch(step.con)
    load(scratch, landed)
    name_devices(scratch, [meter])
    return contested(scratch, [meter])


def counters(
    step: StepContext, apart: Sequence[float], *, later_s: float = 0.0, meter: Meter = COUNTER, watts: float = 100.0
) -> list[str]:
    """Two counters at one power; `apart`: how far the second is ahead at each half hour, in joules."""
    instants = [number * HALF_HOUR for number in range(len(apart))]
    first = [(t, t * watts) for t in instants]
    second = [(t, t * watts + ahead) for t, ahead in zip(instants, apart, strict=True)]
    read = [(t, t - 60) for t in instants]
    return found(
        step,
        meter,
        ("copy", {**LABELS, "mode": "a"}, first),
        ("copy", {**LABELS, "mode": "b"}, second),
        ("copied", {**LABELS, "mode": "a"}, read),
        ("copied", {**LABELS, "mode": "b"}, [(t, at + later_s) for t, at in read]),
    )


@pytest.mark.parametrize(
    ("seconds", "later_s", "differ"),
    [
        pytest.param(5, 0, False, id="of one scrape, on the limit"),
        pytest.param(5.1, 0, True, id="of one scrape, beyond it"),
        pytest.param(450, 30, False, id="of two scrapes, on the limit"),
        pytest.param(450.1, 30, True, id="of two scrapes, beyond it"),
    ],
)
def test_counters_may_differ_by_what_is_used_between_readings(
    step: StepContext, seconds: float, later_s: float, differ: bool
) -> None:
    assert bool(counters(step, [seconds * 100] * 6, later_s=later_s)) is differ


@pytest.mark.parametrize(
    ("bad", "good", "differ"),
    [
        pytest.param(1, 0, False, id="one instant may be a series and its continuation"),
        pytest.param(2, 0, True, id="two are not"),
        pytest.param(2, 6, False, id="a quarter of the instants"),
        pytest.param(2, 5, True, id="more than a quarter"),
    ],
)
def test_series_differ_at_several_instants(step: StepContext, bad: int, good: int, differ: bool) -> None:
    assert bool(counters(step, [0.0] * good + [90_000.0] * bad)) is differ


def test_a_wrap_between_two_scrapes_is_no_difference(step: StepContext) -> None:
    assert not counters(step, [-10_000.0] * 4, meter=WRAPPING)
    assert counters(step, [-10_000.0] * 4)


def test_counters_that_stand_still_must_be_equal(step: StepContext) -> None:
    assert not counters(step, [0.0] * 4, watts=0)
    assert counters(step, [1.0] * 4, watts=0)


def gauges(step: StepContext, one: float, other: float, *, minutes: int = 60, shift_s: int = 0) -> list[str]:
    instants = range(0, minutes * 60, 60)
    return found(
        step,
        GAUGE,
        ("raw", {"host": "h", "psu": "1"}, [(t, one) for t in instants]),
        ("raw", {"host": "h", "psu": "2"}, [(t + shift_s, other) for t in instants]),
    )


@pytest.mark.parametrize(("other", "differ"), [(999.0, False), (998.9, True), (1001.0, False), (1001.1, True)])
def test_gauges_agree_within_a_thousandth_at_one_instant(step: StepContext, other: float, differ: bool) -> None:
    assert bool(gauges(step, 1000.0, other)) is differ


@pytest.mark.parametrize(
    ("other", "minutes", "differ"),
    [(980.0, 60, False), (979.0, 60, True), (800.0, 30, True), (800.0, 25, False)],
)
def test_gauges_of_two_scrapes_agree_on_average(step: StepContext, other: float, minutes: int, differ: bool) -> None:
    assert bool(gauges(step, 1000.0, other, minutes=minutes, shift_s=29)) is differ


@pytest.mark.parametrize(("factor", "differ"), [(1.0, False), (1.05, True)])
def test_servers_of_one_model_under_one_load_differ(step: StepContext, factor: float, differ: bool) -> None:
    """Power that changes by a third: two scrapes of one gauge differ by chance, and by much more in a minute."""
    random = Random(7)  # noqa: S311 - a load, no secret
    watts = [random.uniform(300, 500) for _ in range(6 * 61)]
    answers: list[tuple[str, Mapping[str, str], Samples]] = [
        ("raw", {"host": "h", "psu": "1"}, [(t, watts[t // 60]) for t in range(0, 6 * 3600, 60)]),
        ("raw", {"host": "h", "psu": "2"}, [(t + 29, watts[(t + 29) // 60] * factor) for t in range(0, 6 * 3600, 60)]),
    ]
    assert bool(found(step, GAUGE, *answers)) is differ


@pytest.mark.parametrize(("hours", "differ"), [(1, False), (24, True)])
def test_a_load_that_comes_and_goes_is_seen_by_chance(step: StepContext, hours: int, differ: bool) -> None:
    """Full load every other five minutes, of which one of the scrapes sees much less."""
    instants = range(0, hours * 3600, 60)

    def load(t: int, full: float) -> float:
        return full if t // 300 % 2 else 50.0

    answers: list[tuple[str, Mapping[str, str], Samples]] = [
        ("raw", {"host": "h", "psu": "1"}, [(t, load(t, 700.0)) for t in instants]),
        ("raw", {"host": "h", "psu": "2"}, [(t + 29, load(t, 420.0)) for t in instants]),
    ]
    assert bool(found(step, GAUGE, *answers)) is differ


def test_gauges_that_follow_each_other_are_a_continuation(step: StepContext) -> None:
    assert not found(
        step,
        GAUGE,
        ("raw", {"host": "h", "instance": "1"}, [(t, 1000.0) for t in range(0, 7200, 60)]),
        ("raw", {"host": "h", "instance": "2"}, [(t, 500.0) for t in range(7200, 14400, 60)]),
    )


def test_labels_of_users_and_those_that_repeat_are_not_compared(step: StepContext) -> None:
    shared = Meter("gauge", "gauge", False, "W", "gpu", ("host",), shared=True, repeats=("job",))
    answers: list[tuple[str, Mapping[str, str], Samples]] = [
        ("raw", {"host": "h", "pod": pod, "job": job}, [(t, watts) for t in range(0, 3600, 60)])
        for pod, job, watts in (("a", "x", 100.0), ("b", "y", 300.0))
    ]
    assert not found(step, shared, *answers)
    assert found(step, GAUGE, *answers)


def test_a_line_names_labels_values_and_what_they_may_mean() -> None:
    said = line("m", "h", "0", {"mode": ["a", "b", "c", "d"], "zone": ["z"]})
    assert said == (
        "m of h, 0: its series differ in mode (a, b, c, …) and zone (z);"
        " adds: [mode, zone] if these are parts of it, repeats: [mode, zone] if they say the same"
    )
    assert line("m", "h", "h", {"mode": ["a", "b"]}).startswith("m of h: its series differ in mode (a, b);")

"""Readings from answers alone, without a server: rules of which the real server's data show one side only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Answer, Scratch
from energy_assets.sources.prometheus.devices import scale
from energy_assets.sources.prometheus.meters import Meter, Metric, built_in
from energy_assets.sources.prometheus.queries import MeterQueries, Window
from energy_assets.sources.prometheus.readings import assemble
from energy_assets.sources.prometheus.serving import BUILT_IN, CountedMetrics
from energy_assets_tests.sources.prometheus.data_centre import DAY_ONE, HOUR, START, STEP

METERS = {meter.name: meter for meter in built_in(Decimal(100_000))}
COUNTER = METERS["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"]
GAUGE = METERS["DCGM_FI_DEV_POWER_USAGE"]
PACKAGE = METERS["node_rapl_package_joules_total"]
WINDOW = Window(DAY_ONE, START, START + 2 * HOUR)
TIMES = range(START - 2 * HOUR + 30, START + 2 * HOUR, STEP)
GPU = {"Hostname": "a", "UUID": "GPU-1", "job": "dcgm"}
Samples = list[tuple[int, float]]


class Day:
    """Answers as Prometheus gives them, of series that are known sample by sample."""

    def __init__(self, step: StepContext) -> None:
        self.step = step
        self.answers: list[Answer] = []
        self.notes: dict[str, int] = {}
        self.examples: dict[str, Sequence[str]] = {}

    def answer(self, role: str, meter: Meter, result: Iterable[tuple[dict[str, str], Samples]]) -> None:
        series = [{"metric": labels, "values": [[t, str(value)] for t, value in samples]} for labels, samples in result]
        path = self.step.folder / f"{len(self.answers)}.json"
        path.write_text(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}}))
        self.answers.append(Answer(f"sha-{len(self.answers)}", role, meter.name, path))

    def count(self, meter: Meter, labels: dict[str, str], samples: Samples, users: list[dict[str, str]]) -> None:
        """The plain questions about a counter, and all samples of the hours in which it goes down."""

        def hourly(what: Callable[[list[float]], float]) -> Samples:
            ends = range(START - HOUR, WINDOW.end + 1, HOUR)
            hours = {end: [value for t, value in samples if end - HOUR < t <= end] for end in ends}
            return [(end, what(values)) for end, values in hours.items()]

        down = hourly(lambda values: float(values != sorted(values)))
        self.answer("boundary", meter, [(labels, hourly(lambda values: values[-1]))])
        self.answer("minimum", meter, [(labels, hourly(min))])
        self.answer("usage", meter, [({**labels, **user}, hourly(len)) for user in users])
        self.answer("marked", meter, [(labels, [(t, 1) for t, fell in down if fell])])
        if any(fell for _, fell in down):
            self.answer("raw", meter, [(labels, samples)])

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the second hour, by share."""
        meters = sorted(METERS.values(), key=lambda meter: not meter.counter)
        scratch = Scratch(self.step.con)
        table, self.notes, self.examples = assemble(scratch, self.answers, WINDOW, meters, interval_s=STEP)
        rows = self.step.con.table(table).to_pyarrow().to_pylist()
        return sorted((row for row in rows if row["hour"].hour == 1), key=lambda row: row["share_id"])


@pytest.fixture
def day(step: StepContext) -> Day:
    return Day(step)


def steady(per_hour: int) -> Samples:
    """A counter of even pace, in whole units."""
    return [(t, 10**9 + (t - START) * per_hour // HOUR) for t in TIMES]


def test_of_two_live_meters_of_a_device_the_better_one_is_taken(day: Day) -> None:
    """The counter says 600 W, the gauge 999 W."""
    day.count(COUNTER, GPU, steady(600 * HOUR * 1000), [GPU])
    day.answer("usage", GAUGE, [(GPU, [(t, 60) for t in range(START, WINDOW.end + 1, HOUR)])])
    day.answer("raw", GAUGE, [(GPU, [(t, 999) for t in TIMES])])
    (row,) = day.rows()
    assert (row["method"], row["energy_kwh"]) == ("measured_counter", Decimal("0.6"))


def test_users_of_equal_time_share_what_does_not_divide_and_lose_nothing(day: Day) -> None:
    """0.1 kWh by three leaves a nano-kWh over: the last user's."""
    day.count(COUNTER, GPU, steady(360_000_000), [{"pod": pod, "namespace": "ml"} for pod in "abc"])
    rows = day.rows()
    assert [row["energy_kwh"] for row in rows] == [Decimal(f"0.03333333{last}") for last in "334"]
    assert sum(row["usage_hours"] for row in rows) == 1


def test_slices_share_by_their_size_where_no_activity_is_known(day: Day) -> None:
    sizes = [("1", "4g.40gb", "a"), ("2", "2g.20gb", "b"), ("3", "1g.10gb", "c")]
    users = [{"GPU_I_ID": n, "GPU_I_PROFILE": profile, "pod": pod, "namespace": "ml"} for n, profile, pod in sizes]
    day.count(COUNTER, GPU, steady(2_520_000_000), users)
    assert [row["energy_kwh"] for row in day.rows()] == [Decimal("0.4"), Decimal("0.2"), Decimal("0.1")]


@pytest.mark.parametrize(("before", "note"), [(100_000, "counter_wraps"), (100_001, "counter_restarts")])
def test_a_counter_above_its_maximum_restarts_instead_of_wrapping(day: Day, before: int, note: str) -> None:
    """10 W and a maximum of 100 kJ: 1,800 s, the fall to 500 J, 1,740 s. As a wrap the second would lose a joule."""
    fall = START + HOUR + 1830
    samples: Samples = [(t, before + 10 * (t - fall + STEP) if t < fall else 500 + 10 * (t - fall)) for t in TIMES]
    day.count(PACKAGE, {"instance": "a:9100", "index": "0", "job": "node"}, samples, [{}])
    (row,) = day.rows()
    assert row["energy_kwh"] == Decimal("0.009972222")
    assert {name: day.notes[name] for name in day.notes if name.startswith("counter_")} == {note: 1}


def test_a_counted_metric_is_in_things_and_a_meter_in_nano_kwh() -> None:
    """A request counts as one request: no unit of energy stands between."""
    request: Metric = BUILT_IN[0]
    assert (request.per_unit, request.device_by, request.counter) == (Fraction(1), (), True)
    assert (COUNTER.per_unit, GAUGE.per_unit) == (Fraction(10**9, 3_600_000_000), None)
    assert (scale(request), scale(GAUGE)) == ("1::HUGEINT, 1000000::HUGEINT", "NULL::HUGEINT, NULL::HUGEINT")


def test_counters_of_servers_are_asked_for_in_one_query() -> None:
    together = MeterQueries(CountedMetrics(("a:b", "c")), 'job="x"')
    assert together.select() == '{__name__=~"a:b|c", job="x"}'
    assert MeterQueries(BUILT_IN[1]).select() == "vllm:prompt_tokens_total"

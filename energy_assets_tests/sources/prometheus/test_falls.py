"""Counters that fall and did not start again, on a real Prometheus: old readings, copies, several things in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.counters import OFTEN
from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets.sources.prometheus.inference import PrometheusInference
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.prometheus_server import Series, prometheus

pytestmark = pytest.mark.real_server

DAY = date(2025, 10, 20)
MIDNIGHT = int(datetime(2025, 10, 20, tzinfo=UTC).timestamp())
HOUR = 3600
RESTART = 10 * HOUR + 1800
REQUESTS, TOKENS = "vllm:request_success_total", "vllm:generation_tokens_total"
RAPL = "node_rapl_package_joules_total"
AMD_J = 65_532
POD = {"namespace": "llm", "pod": "chat-0", "instance": "10.1.2.3:8000", "model_name": "m", "job": "pods"}
SERVICE = {"instance": "chat.llm.svc:8000", "model_name": "m", "job": "service"}


def served(second: float) -> int:
    """A request a second, since two months before."""
    return 5_000_000 + int(second)


def restarted(second: float) -> int:
    return served(second) if second < RESTART else int(second) - RESTART


def late(seed: int) -> Callable[[float], float]:
    """Answers that come up to 4 s after their time."""
    random = Random(seed)  # noqa: S311 - a delay, no secret
    return lambda second: second + random.uniform(0, 4)


def one(case: str, metric: str, value: Callable[[float], float], labels: dict[str, str], offset: int = 0) -> Series:
    """A scrape a minute, `offset` seconds after the full ones."""
    times = range(-HOUR + offset, 24 * HOUR + 1, 60)
    return Series(metric, {"case": case, **labels}, [(MIDNIGHT + second, value(second)) for second in times])


def some(series: Series, since: int, until: int) -> Series:
    """The samples of a part of the day."""
    kept = [(t, v) for t, v in series.samples if since <= t - MIDNIGHT < until]
    return Series(series.name, series.labels, kept)


def behind(second: float, times: int, by: int = 62) -> int:
    """A counter that goes back by some requests for a scrape, so many times."""
    minute = int(second) // 60 - 600
    return served(second) - by * (minute % 2 == 0 and 0 <= minute < 2 * times)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    first, second = late(1), late(2)
    by_a, by_b = {**POD, "replica": "a"}, {**POD, "replica": "b"}
    until, since = 23 * HOUR + 600, 23 * HOUR + 660
    series = [
        one("late", REQUESTS, lambda s: restarted(first(s)), POD, 7),
        one("late", REQUESTS, lambda s: restarted(second(s)), {**POD, "job": "services"}, 8),
        one("skew", REQUESTS, restarted, by_a, 7),
        one("skew", REQUESTS, lambda s: restarted(s - 5), by_b, 9),
        some(one("renamed", REQUESTS, served, by_a, 7), -HOUR, until),
        some(one("renamed", REQUESTS, served, by_b, 7), since, 25 * HOUR),
        one("balanced", REQUESTS, served, {**POD, "job": "a"}, 7),
        one("balanced", REQUESTS, lambda s: served(s) + 250, {**POD, "job": "b"}, 38),
        one("offset", REQUESTS, served, {**POD, "job": "a"}, 7),
        one("offset", REQUESTS, lambda s: served(s - 60), {**POD, "job": "b"}, 38),
        one("old", REQUESTS, lambda s: behind(s, 1), POD),
        one("six", REQUESTS, lambda s: behind(s, 6), POD),
        one("seven", REQUESTS, lambda s: behind(s, 7), POD),
        one("far", REQUESTS, lambda s: behind(s, 1, by=2_000_000), POD),
        one("lower", REQUESTS, lambda s: served(s) - 2_000_000 * (s >= RESTART), POD),
        one("several", REQUESTS, lambda s: served(s) + 7 + 500 * (int(s) // 60 % 2), SERVICE),
        one("several", TOKENS, lambda s: 10 * served(s), SERVICE),
        one("several", REQUESTS, served, POD),
        one("amd", RAPL, lambda s: (300 * int(s + HOUR)) % AMD_J, {"instance": "a:9100", "index": "0", "path": "/x"}),
    ]
    with prometheus(series, tmp_path_factory.mktemp("server")) as url:
        yield url


def requests(url: str, case: str, step: StepContext) -> tuple[dict[str, int | None], dict[str, int]]:
    """Requests by deployment, None where no hour has any, and the notes."""
    keys: dict[str, Any] = {"selector": f'case="{case}"'}
    source = PrometheusInference.model_validate({"name": case, "kind": "prometheus_inference", "url": url, **keys})
    table, notes = rows_of(source, DayRange(DAY, DAY), step)
    found: dict[str, int | None] = {}
    for row in table.to_pylist():
        if row["requests"] is not None:
            found[row["deployment"]] = (found.get(row["deployment"]) or 0) + row["requests"]
        found.setdefault(row["deployment"], None)
    return found, notes


@pytest.mark.parametrize(("case", "lost"), [("late", 60), ("skew", 60), ("renamed", 0)])
def test_copies_that_are_read_one_after_another_are_never_mixed(
    server: str, step: StepContext, case: str, lost: int
) -> None:
    """Each fell by a few below what the other one had shown; and a counter goes on where it gets another name."""
    found, notes = requests(server, case, step)
    assert found["chat-0"] == pytest.approx(24 * HOUR - lost / 2, abs=lost / 2 + 5)
    assert notes.get("counter_restarts", 0) == (lost > 0)
    assert notes["counters_scraped_several_times"] == 1


@pytest.mark.parametrize(("case", "times"), [("balanced", 2), ("offset", 1)])
def test_two_servers_of_one_address_and_equal_load_count_each(
    server: str, step: StepContext, case: str, times: int
) -> None:
    """Their counts stay apart by more than what comes between two scrapes; those of copies do not."""
    found, notes = requests(server, case, step)
    assert found["chat-0"] == times * 24 * HOUR
    assert notes.get("counters_of_one_address_that_disagree", 0) == times - 1


@pytest.mark.parametrize(("case", "number"), [("old", 1), ("far", 1), ("six", 6)])
def test_a_fall_to_nearly_the_same_value_or_out_of_which_nothing_counts_is_an_old_reading(
    server: str, step: StepContext, case: str, number: int
) -> None:
    found, notes = requests(server, case, step)
    assert found == {"chat-0": 24 * HOUR}
    assert notes == {"low_readings_dropped": number}


def test_a_fall_to_more_than_the_best_hour_adds_nothing(server: str, step: StepContext) -> None:
    """It stays at two million less for the rest of the day: 60 requests between two scrapes are lost."""
    found, notes = requests(server, "lower", step)
    assert found == {"chat-0": 24 * HOUR - 60}
    assert notes["implausible_decreases_dropped"] == 1
    assert "counter_restarts" not in notes


def test_a_server_whose_counter_falls_often_has_no_counts_and_is_told(server: str, step: StepContext) -> None:
    """Of it no other counter counts either; of its neighbours all do."""
    assert requests(server, "seven", step) == ({"chat-0": None}, {OFTEN: 1})
    found, notes = requests(server, "several", step)
    assert found == {"chat-0": 24 * HOUR, SERVICE["instance"]: None}
    assert notes == {OFTEN: 1}
    table, _ = rows_of(
        PrometheusInference.model_validate(
            {"name": "s", "kind": "prometheus_inference", "url": server, "selector": 'case="several"'}
        ),
        DayRange(DAY, DAY),
        step,
    )
    assert {row["generated_tokens"] for row in table.to_pylist()} == {None}


@pytest.mark.parametrize(("more", "kwh", "number"), [({}, 6.0, 1), ({"rapl_wrap_joules": AMD_J}, 7.2, 0)])
def test_energy_of_a_counter_that_wraps_unknown_is_told(
    server: str, step: StepContext, more: dict[str, Any], kwh: float, number: int
) -> None:
    keys: dict[str, Any] = {"place": {"region": "r1"}, "selector": 'case="amd"', **more}
    source = PrometheusEnergy.model_validate({"name": "amd", "kind": "prometheus_energy", "url": server, **keys})
    table, notes = rows_of(source, DayRange(DAY, DAY), step)
    assert float(sum(row["energy_kwh"] for row in table.to_pylist())) == pytest.approx(kwh, rel=0.05)
    assert notes.get(OFTEN, 0) == number
    assert "counter_restarts" not in notes

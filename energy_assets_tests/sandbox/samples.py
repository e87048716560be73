"""Series that try the edges of PromQL, and how two servers' answers are compared. No expectations here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np

from energy_assets.sandbox.prometheus import number_text
from energy_assets.sandbox.series import NAME, Samples, Series, labels_of
from energy_assets_tests import prometheus_server

START_MS = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1000
SENTINEL = 9223372036854775794.0
_CLIENT = httpx.Client(timeout=60)
"""One for all questions: making a client takes longer than an answer."""


def series(name: str, times: Any, values: Any, **labels: str) -> Series:
    """A series of a test."""
    samples = Samples(np.asarray(times, np.int64), np.asarray(values, np.float64))
    return Series(labels_of({**labels, NAME: name}), samples)


def edge_cases() -> list[Series]:
    """Six hours of counters with a reset, a gap and a sentinel, and gauges with NaN and both infinities."""
    chance = np.random.default_rng(1)
    times = START_MS + np.arange(360) * 60_000
    counter = np.cumsum(chance.integers(0, 1000, 360)).astype(float)
    restarted = counter.copy()
    restarted[200:] -= restarted[200]
    observed = np.r_[0:100, 130:360]
    power = chance.normal(300, 100, 360)
    holes = power.copy()
    holes[50:60], holes[100], holes[150], holes[151] = np.nan, np.inf, -np.inf, np.inf
    blanks = np.where(np.arange(360) % 50 == 0, SENTINEL, counter)
    return [
        series("ctr", times, counter, job="a", inst="1"),
        series("ctr", times + 123, restarted, job="a", inst="2"),
        series("ctr", times[observed] + 30_000, counter[observed], job="b", inst="3", odd='q"\\\né'),
        series("pow", times, power, job="a", inst="1"),
        series("pow", times, holes, job="a", inst="2"),
        series("pow", times[40:80] + 17, power[40:80] * 1e-9, job="b", inst="3"),
        series("pow", times[::7], power[::7] * 1e22, job="b", inst="4"),
        series("sent", times, blanks, job="a", inst="1"),
        series("allnan", times, np.full(360, np.nan), job="z"),
        series("vllm:tok_total", times, counter, model_name="x"),
        series("once", [START_MS + 3_600_000], [5.0]),
    ]


def for_real(these: list[Series]) -> list[prometheus_server.Series]:
    """The same series for a real Prometheus; OpenMetrics has no stale markers, so they are left out."""
    found = []
    for one in these:
        labels = dict(one.labels)
        name = labels.pop(NAME)
        keep = ~one.samples.stale
        pairs = zip(one.samples.times[keep].tolist(), one.samples.values[keep].tolist(), strict=True)
        samples = [(at / 1000, number_text(value)) for at, value in pairs]
        found.append(prometheus_server.Series(name, labels, samples))
    return found


def without_markers(these: list[Series]) -> list[Series]:
    """The same series without stale markers."""
    found = []
    for one in these:
        keep = ~one.samples.stale
        found.append(Series(one.labels, Samples(one.samples.times[keep], one.samples.values[keep])))
    return found


def ask(url: str, path: str, **parameters: object) -> tuple[int, Any]:
    """Status and answer, sorted by labels: the order of a vector means nothing."""
    response = _CLIENT.post(f"{url}{path}", data=parameters)
    answer = response.json()
    data = answer.get("data")
    if isinstance(data, dict) and data.get("resultType") in ("matrix", "vector"):
        data["result"].sort(key=lambda one: sorted(one["metric"].items()))
    return response.status_code, answer

"""One inference server under two sets of labels, and two servers that take turns, on a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import accumulate
from random import Random
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.alike import NOTE
from energy_assets.sources.prometheus.inference import PrometheusInference
from energy_assets.sources.prometheus.same_servers import NOTE as ONCE
from energy_assets_tests.prometheus_server import Series, prometheus

pytestmark = pytest.mark.real_server

DAY = date(2025, 10, 20)
MIDNIGHT = int(datetime(2025, 10, 20, tzinfo=UTC).timestamp())
HOUR = 3600
METRICS = ("request_success_total", "prompt_tokens_total", "generation_tokens_total")
POD = {"job": "pods", "namespace": "llm", "pod": "chat-0", "instance": "10.42.0.9:8000", "node": "gpu-1"}
OTHER_POD = {**POD, "pod": "chat-1", "instance": "10.42.0.10:8000"}
SERVICE = {"job": "services", "namespace": "llm", "service": "chat", "instance": "10.42.0.9:8000", "node": "gpu-1"}
HOST = {"job": "static", "instance": "gpu1:8000"}
RAY = {"job": "ray", "instance": "gpu1:8080", "WorkerId": "w"}
Totals = tuple[list[int], list[int], list[int]]
"""Requests, prompt tokens and generated tokens by the second."""


def traffic(seed: int, per_hour: float, turn: Sequence[int] = (0,), spread: float = 0.9) -> list[Totals]:
    """What servers counted that take turns: how many requests in a row, and by how much tokens differ from the mean."""
    random = Random(seed)  # noqa: S311 - a load, no secret
    load = [per_hour / HOUR * (0.5 + random.random()) for _ in range(26)]
    servers = sorted({*turn})
    steps = {server: [[0] * (25 * HOUR) for _ in METRICS] for server in servers}
    arrived = 0
    for second in range(25 * HOUR):
        whole, part = divmod(load[second // HOUR], 1)
        for _ in range(int(whole) + (random.random() < part)):
            of = steps[turn[arrived % len(turn)]]
            of[0][second] += 1
            of[1][second] += int(800 * random.uniform(1 - spread, 1 + spread))
            of[2][second] += int(200 * random.uniform(1 - spread, 1 + spread))
            arrived += 1
    return [tuple(list(accumulate(kind)) for kind in steps[server]) for server in servers]  # type: ignore[misc]


def server_of(
    case: str,
    totals: Totals,
    labels: dict[str, str],
    late: int = 0,
    prefix: str = "vllm:",
    kinds: Sequence[int] = (0, 1, 2),
    away: Sequence[int] = (),
) -> list[Series]:
    """A scrape a minute, `late` seconds after the full ones, but in hours `away`; it had counted 1,000 before."""
    times = [second for second in range(late, 25 * HOUR, 60) if second // HOUR not in away]
    own = {"case": case, "model_name": "m", "engine": "0", **labels}
    return [
        Series(
            f"{prefix}{METRICS[kind]}",
            {**own, **({"finished_reason": "stop"} if kind == 0 else {})},
            [(MIDNIGHT - HOUR + second, 1000 + totals[kind][second]) for second in times],
        )
        for kind in kinds
    ]


STEADY = 86_340
BUSY = traffic(1, 20_000)[0][0][-1] - traffic(1, 20_000)[0][0][HOUR - 1]
"""Requests of the day, until its last scrape."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    (busy,), (quiet,), (even,) = traffic(1, 20_000), traffic(2, 40), traffic(3, 20_000)
    turns, few, like = (traffic(4, rate, (0, 1), spread) for rate, spread in ((40_000, 0.9), (60, 0.9), (40_000, 0.4)))
    steady: Totals = tuple([second * each for second in range(25 * HOUR)] for each in (1, 200, 50))  # type: ignore[assignment]
    pairs = {
        "service": [(busy, POD, 0, "vllm:"), (busy, SERVICE, 38, "vllm:")],
        "quiet": [(quiet, POD, 0, "vllm:"), (quiet, {**SERVICE, "instance": "chat.llm.svc:8000"}, 20, "vllm:")],
        "replicas": [(busy, {**POD, "prom": "a"}, 0, "vllm:"), (busy, {**POD, "prom": "b"}, 31, "vllm:")],
        "federated": [(busy, POD, 0, "vllm:"), (busy, {**POD, "cluster": "dc1"}, 0, "vllm:")],
        "ray": [(busy, POD, 0, "vllm:"), (busy, {"instance": "10.42.0.9:8080", "WorkerId": "w"}, 15, "ray_vllm:")],
        "three": [(busy, POD, 0, "vllm:"), (busy, SERVICE, 38, "vllm:"), (busy, {**POD, "prom": "b"}, 9, "vllm:")],
        "turns": [(turns[0], POD, 0, "vllm:"), (turns[1], OTHER_POD, 0, "vllm:")],
        "few turns": [(few[0], POD, 0, "vllm:"), (few[1], OTHER_POD, 0, "vllm:")],
        "like turns": [(like[0], POD, 0, "vllm:"), (like[1], OTHER_POD, 0, "vllm:")],
        "equal": [(busy, POD, 0, "vllm:"), (even, OTHER_POD, 0, "vllm:")],
        "steady": [(steady, POD, 0, "vllm:"), (steady, OTHER_POD, 0, "vllm:")],
        "steady one": [(steady, POD, 0, "vllm:"), (steady, SERVICE, 38, "vllm:")],
        "shards": [
            (busy, {"instance": "chat.example:443", "shard": "a"}, 0, "vllm:"),
            (busy, {"instance": "chat.example:443", "shard": "b"}, 11, "vllm:"),
        ],
        "clusters": [
            (busy, {**POD, "cluster": "a"}, 0, "vllm:"),
            (busy, {**POD, "cluster": "b", "instance": "10.42.7.7:8000"}, 11, "vllm:"),
        ],
        "steady clusters": [
            (steady, {**POD, "cluster": "a"}, 0, "vllm:"),
            (steady, {**POD, "cluster": "b", "instance": "10.42.7.7:8000"}, 11, "vllm:"),
        ],
        "mirrored": [(busy, POD, 0, "vllm:"), (busy, OTHER_POD, 11, "vllm:")],
        "steady service": [
            (steady, POD, 0, "vllm:"),
            (steady, {**SERVICE, "instance": "chat.llm.svc:80"}, 38, "vllm:"),
        ],
        "steady alias": [(steady, HOST, 0, "vllm:"), (steady, {**HOST, "instance": "10.0.0.3:8000"}, 38, "vllm:")],
        "steady replicas": [(steady, {**POD, "prom": "a"}, 0, "vllm:"), (steady, {**POD, "prom": "b"}, 31, "vllm:")],
        "steady ray": [(steady, HOST, 0, "vllm:"), (steady, {**RAY, "instance": "gpu1.dc1:8080"}, 30, "ray_vllm:")],
        "steady workers": [(steady, RAY, 0, "ray_vllm:"), (steady, {**RAY, "WorkerId": "v"}, 0, "ray_vllm:")],
        "two in ray": [
            (steady, HOST, 0, "vllm:"),
            (steady, {**HOST, "instance": "gpu1:8001"}, 0, "vllm:"),
            (steady, RAY, 0, "ray_vllm:"),
            (steady, {**RAY, "WorkerId": "v"}, 0, "ray_vllm:"),
        ],
        "one of two in ray": [
            (steady, HOST, 0, "vllm:"),
            (steady, RAY, 0, "ray_vllm:"),
            (steady, {**RAY, "WorkerId": "v"}, 0, "ray_vllm:"),
        ],
        "no port": [(steady, HOST, 0, "vllm:"), (steady, {**HOST, "instance": "gpu1"}, 30, "vllm:")],
        "no port of two": [
            (steady, {**HOST, "instance": "gpu1"}, 0, "vllm:"),
            (steady, HOST, 0, "vllm:"),
            (steady, {**HOST, "instance": "gpu1:8001"}, 0, "vllm:"),
        ],
        "steady hosts": [(steady, HOST, 0, "vllm:"), (steady, {**HOST, "instance": "gpu2:8000"}, 0, "vllm:")],
        "steady ports": [(steady, HOST, 0, "vllm:"), (steady, {**HOST, "instance": "gpu1:8001"}, 0, "vllm:")],
        "steady nodes": [
            (steady, {"instance": "chat", "node": "gpu-1"}, 0, "vllm:"),
            (steady, {"instance": "chat", "node": "gpu-2"}, 24, "vllm:"),
        ],
        "steady jobs": [
            (steady, {"instance": "chat.example:443", "job": "a"}, 0, "vllm:"),
            (steady, {"instance": "chat.example:443", "job": "b"}, 24, "vllm:"),
        ],
        "steady tgi": [
            (steady, {"instance": "chat.example:443", "job": "a", "model_name": ""}, 0, "vllm:"),
            (steady, {"instance": "chat.example:443", "job": "b", "model_name": ""}, 24, "vllm:"),
        ],
        "model": [(busy, POD, 0, "vllm:"), (busy, {**OTHER_POD, "model_name": "n"}, 0, "vllm:")],
    }
    series = [
        one
        for case, several in pairs.items()
        for totals, labels, late, prefix in several
        for one in server_of(case, totals, labels, late, prefix)
    ]
    for name in "ab":
        series += server_of("requests of a name", busy, {"instance": "chat.example:443", "shard": name}, kinds=(0,))
    for case, labels in {"requests": OTHER_POD, "requests of one": SERVICE}.items():
        series += server_of(case, busy, POD, kinds=(0,)) + server_of(case, busy, labels, 11, kinds=(0,))
    for case, labels in {"down": SERVICE, "rollout": {**SERVICE, "instance": "chat.llm.svc:8000"}}.items():
        series += server_of(case, busy, labels, 38)
    series += server_of("down", busy, POD, 7, away=range(9, 17))
    series += server_of("rollout", busy, POD, away=range(13, 25))
    series += server_of("rollout", busy, OTHER_POD, away=range(13))
    with prometheus(series, tmp_path_factory.mktemp("server")) as url:
        yield url


def told(url: str, case: str, step: StepContext, **keys: Any) -> dict[str, Any]:
    """How many servers count alike or count once, which, and how many requests there are in all."""
    selector = f'case="{case}"'
    source = PrometheusInference.model_validate(
        {"name": "serving", "kind": "prometheus_inference", "url": url, "selector": selector, **keys}
    )
    parsed, _ = parse(source, collect(source, DayRange(DAY, DAY), step).editions, step)
    assert parsed
    requests = parsed.rows.requests.sum().to_pyarrow().as_py()
    notes = {note: (parsed.notes[note], parsed.examples[note]) for note in (NOTE, ONCE) if note in parsed.notes}
    return {"requests": requests, **notes}


@pytest.mark.parametrize(
    ("case", "number", "example", "servers"),
    [
        ("service", 1, "chat-0 and 10.42.0.9:8000", 1),
        ("replicas", 1, "chat-0: prom a and b", 1),
        ("federated", 1, "chat-0: cluster dc1 and none", 1),
        ("ray", 1, "chat-0 and 10.42.0.9:8080", 1),
        ("steady one", 1, "chat-0 and 10.42.0.9:8000", 1),
        ("steady ray", 1, "gpu1:8000 and gpu1.dc1:8080", 1),
        ("two in ray", 2, "gpu1:8000 and gpu1:8080", 2),
        ("three", 2, "chat-0: prom b and none", 1),
        ("requests of one", 1, "chat-0 and 10.42.0.9:8000", 1),
        ("down", 1, "chat-0 and 10.42.0.9:8000", 1),
        ("no port", 1, "gpu1:8000 and gpu1", 1),
        ("no port of two", 1, "gpu1:8000 and gpu1", 2),
    ],
)
def test_a_server_of_one_address_counts_once(
    server: str, step: StepContext, case: str, number: int, example: str, servers: int
) -> None:
    found = told(server, case, step)
    count, examples = found[ONCE]
    assert NOTE not in found
    assert count == number
    assert example in examples
    of_each = STEADY if {"steady", "two", "port"} & {*case.split()} else BUSY
    assert abs(found["requests"] - of_each * servers) <= of_each * servers / 720, "two scrapes a day"


@pytest.mark.parametrize(
    ("case", "number", "example"),
    [
        ("quiet", 1, "chat-0 and chat.llm.svc:8000 of m"),
        ("steady service", 1, "chat-0 and chat.llm.svc:80 of m"),
        ("steady alias", 1, "10.0.0.3:8000 and gpu1:8000 of m"),
        ("steady replicas", 1, "chat-0 of m: prom a and b"),
        ("one of two in ray", 1, "gpu1:8080 and gpu1:8000 of m"),
        ("shards", 1, "chat.example:443 of m: shard a and b"),
        ("clusters", 1, "chat-0 of m: cluster a and b, instance 10.42.0.9:8000 and 10.42.7.7:8000"),
        ("rollout", 1, "chat-1 and chat.llm.svc:8000 of m"),
        ("mirrored", 1, "chat-1 and chat-0 of m"),
    ],
)
def test_a_server_that_may_be_another_one_counts_and_is_told(
    server: str, step: StepContext, case: str, number: int, example: str
) -> None:
    found = told(server, case, step)
    count, examples = found[NOTE]
    assert ONCE not in found
    assert count == number
    assert example in examples


@pytest.mark.parametrize(
    "case",
    ["turns", "few turns", "like turns", "equal", "steady", "steady hosts", "steady ports", "steady nodes",
     "steady clusters", "steady workers", "model", "requests", "requests of a name"],
)  # fmt: skip
def test_servers_of_their_own_are_not(server: str, step: StepContext, case: str) -> None:
    """They take turns; have other requests; an even load, or requests alone, which prove nothing; another model."""
    assert {*told(server, case, step)} == {"requests"}


def test_what_the_label_of_the_deployment_tells_apart_is_two(server: str, step: StepContext) -> None:
    """Two jobs behind one address, of an even load: one, unless the site file says that the job names the server."""
    assert abs(told(server, "steady jobs", step)["requests"] - STEADY) <= 60
    assert told(server, "steady jobs", step, deployment_label="job") == {"requests": 2 * STEADY + 60}


@pytest.mark.parametrize(("models", "servers"), [({"a": "m", "b": "n"}, 2), ({"a": "m", "b": "m"}, 1), ({"b": "m"}, 1)])
def test_two_models_of_one_address_are_two_servers(
    server: str, step: StepContext, models: dict[str, str], servers: int
) -> None:
    """A server that no model is named of may be the other one all the same."""
    found = told(server, "steady tgi", step, models=models)
    assert abs(found.pop("requests") - STEADY * servers) <= 60 * servers
    assert found == {}

"""One server under several jobs, replicas and names; two servers under equal load; prefill and decode."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Answer, Scratch
from energy_assets.sources.prometheus.queries import Window
from energy_assets.sources.prometheus.serving import BUILT_IN, assemble
from energy_assets_tests.sources.prometheus.data_centre import DAY_ONE, HOUR, START, STEP

HOURS = 4
WINDOW = Window(DAY_ONE, START, START + HOURS * HOUR)
REQUESTS, PROMPT, TOKENS = (one.name for one in BUILT_IN[:3])
POD = {"namespace": "llm", "pod": "chat-0", "instance": "10.1.2.3:8000", "model_name": "m", "engine": "0"}
HOST = {"namespace": "", "pod": "", "instance": "gpu1:8000"}
"""A server that only an address names."""
Value = Callable[[int], float]


def per_second(rate: float, base: float = 100) -> Value:
    return lambda t: base + (t - START + 2 * HOUR) * rate


class Serving:
    """Answers about inference servers whose counters are known sample by sample."""

    def __init__(self, step: StepContext) -> None:
        self.step = step
        self.answers: list[Answer] = []
        self.notes: dict[str, int] = {}
        self.examples: dict[str, Sequence[str]] = {}

    def counter(self, labels: dict[str, str], value: Value, metric: str = REQUESTS, offset: int = 30) -> None:
        """One series, scraped every minute, `offset` seconds after it."""
        samples = [(t, value(t)) for t in range(START - 2 * HOUR + offset, WINDOW.end, STEP)]
        ends = range(START - HOUR, WINDOW.end + 1, HOUR)
        hours = {end: [v for t, v in samples if end - HOUR < t <= end] for end in ends}
        self._answer("boundary", metric, labels, [(t, vs[-1]) for t, vs in hours.items()])
        self._answer("minimum", metric, labels, [(t, min(vs)) for t, vs in hours.items()])
        self._answer("usage", metric, labels, [(t, len(vs)) for t, vs in hours.items()])

    def _answer(self, role: str, metric: str, labels: dict[str, str], values: list[tuple[int, float]]) -> None:
        series = {"metric": {"__name__": metric, **labels}, "values": [[t, str(v)] for t, v in values]}
        path = self.step.folder / f"{len(self.answers)}.json"
        path.write_text(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series]}}))
        self.answers.append(Answer(f"sha-{len(self.answers)}", role, metric, path))

    def rows(self, **more: Any) -> list[dict[str, Any]]:
        scratch = Scratch(self.step.con)
        labels = more.pop("labels", ("pod", "instance", "job"))
        models = more.pop("models", {})
        table, self.notes, self.examples = assemble(
            scratch, self.answers, WINDOW, BUILT_IN, deployment_labels=labels, models=models, interval_s=STEP, **more
        )
        rows: list[dict[str, Any]] = self.step.con.table(table).to_pyarrow().to_pylist()
        return rows

    def requests(self, **more: Any) -> list[int]:
        """All requests, hour by hour."""
        sums = [0] * HOURS
        for row in self.rows(**more):
            sums[row["hour"].hour] += row["requests"] or 0
        return sums


@pytest.fixture
def serving(step: StepContext) -> Serving:
    return Serving(step)


ONCE, TWICE = [3600] * HOURS, [7200] * HOURS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            {"job": "serviceMonitor/llm/chat", "service": "chat"}, {"job": "podMonitor/llm/chat"}, id="two jobs"
        ),
        pytest.param({"job": "a"}, {"job": "b", "container": "vllm", "endpoint": "http"}, id="labels of a scrape"),
        pytest.param({"prometheus_replica": "p-0"}, {"prometheus_replica": "p-1"}, id="replicas"),
        pytest.param({"job": "a", "pod": ""}, {"job": "b", "pod": ""}, id="no pod"),
        pytest.param({"job": "a", "instance": ""}, {"job": "b", "instance": ""}, id="no instance"),
        pytest.param({**HOST, "job": "a"}, {**HOST, "instance": "GPU1.dc1.example.:8000", "job": "b"}, id="a domain"),
        pytest.param(
            {**HOST, "instance": "chat.llm.svc:80"},
            {**HOST, "instance": "chat.llm.svc.cluster.local:80"},
            id="a Service",
        ),
        pytest.param(HOST, {**HOST, "instance": "otel:8889", "exported_instance": "gpu1:8000"}, id="a collector"),
        pytest.param(
            {**HOST, "node": "gpu-1"}, {**HOST, "node": "gpu-1.dc1.example"}, id="a node with and without its domain"
        ),
        pytest.param({**HOST, "node": "gpu-1"}, {**HOST, "node": "10.0.0.5"}, id="a node by name and by address"),
        pytest.param({"node": "gpu-1"}, {"node": "ip-10-0-0-5"}, id="two names of the node of one pod"),
        pytest.param(
            {"pod": "", "node": "gpu-1"}, {"pod": "", "node": "ip-10-0-0-5"}, id="two names of the node of one address"
        ),
    ],
)
@pytest.mark.parametrize("offset", [30, 31, 59])
def test_a_server_of_one_name_counts_once(
    serving: Serving, one: dict[str, str], other: dict[str, str], offset: int
) -> None:
    """Whenever its jobs scrape it: what they see differs by what came in between."""
    serving.counter({**POD, **one}, per_second(1))
    serving.counter({**POD, **other}, per_second(1), offset=offset)
    (hour, *_) = rows = serving.rows()
    assert len(rows) == HOURS
    assert [abs(row["requests"] - 3600) <= offset - 30 for row in rows] == [True] * HOURS
    assert hour["coverage"] == Decimal(1)
    assert serving.notes["counters_scraped_several_times"] == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"pod": "chat-0"}, {"pod": "chat-1"}, id="pods"),
        pytest.param({"pod": "chat-0", "instance": ""}, {"pod": "chat-1", "instance": ""}, id="pods without instance"),
        pytest.param({"namespace": "a"}, {"namespace": "b"}, id="namespaces"),
        pytest.param({"engine": "0"}, {"engine": "1"}, id="engines"),
        pytest.param({"finished_reason": "stop"}, {"finished_reason": "length"}, id="reasons"),
        pytest.param({"cluster": "a"}, {"cluster": "b"}, id="a label that no scrape is known to add"),
        pytest.param(
            {"pod": "", "instance": "10.0.0.1:8000"}, {"pod": "", "instance": "10.0.0.2:8000"}, id="addresses"
        ),
        pytest.param({"pod": "", "instance": "a:8000"}, {"pod": "", "instance": "a:8001"}, id="ports"),
        pytest.param({"pod": "", "instance": "a:8000"}, {"pod": "", "instance": "b:8000"}, id="hosts"),
        pytest.param({**HOST, "node": "gpu-1"}, {**HOST, "node": "gpu-2"}, id="nodes behind one name"),
        pytest.param({**HOST, "instance": "", "node": "gpu-1"}, {**HOST, "instance": "", "node": "gpu-2"}, id="nodes"),
        pytest.param(
            {**HOST, "instance": "gpu1.dc1.example:8000"},
            {**HOST, "instance": "gpu1.dc2.example:8000"},
            id="two domains",
        ),
        pytest.param(
            {"instance": "otel:8889", "exported_instance": "a:8000"},
            {"instance": "otel:8889", "exported_instance": "b:8000"},
            id="two servers of one collector, whose pod this is",
        ),
    ],
)
def test_two_servers_of_equal_load_count_twice(serving: Serving, one: dict[str, str], other: dict[str, str]) -> None:
    serving.counter({**POD, "job": "x", **one}, per_second(1))
    serving.counter({**POD, "job": "y", **other}, per_second(1))
    assert serving.requests() == TWICE
    assert "counters_scraped_several_times" not in serving.notes


INGRESS = {**HOST, "instance": "llm.example.com:443"}
TGI = "tgi_request_success"


@pytest.mark.parametrize(
    ("more", "sums", "note"),
    [
        pytest.param({}, ONCE, "counters_scraped_several_times", id="nothing said"),
        pytest.param({"labels": ("job", "pod", "instance", "job")}, TWICE, None, id="the job names the deployment"),
        pytest.param({"models": {"a": "m", "b": "n"}}, TWICE, None, id="two models"),
        pytest.param(
            {"models": {"a": "m", "b": "m"}}, ONCE, "counters_of_several_named_jobs", id="one model of two jobs"
        ),
        pytest.param({"models": {"a": "m"}}, ONCE, "counters_scraped_several_times", id="a model of one job"),
        pytest.param(
            {"models": {INGRESS["instance"]: "m", "a": "m", "b": "n"}},
            ONCE,
            "counters_scraped_several_times",
            id="a model of the address",
        ),
    ],
)
def test_jobs_behind_one_address_are_what_the_site_file_says(
    serving: Serving, more: dict[str, Any], sums: list[int], note: str | None
) -> None:
    """Their counters stand too near each other to tell by."""
    own = {**INGRESS, "model_name": "", "engine": ""}
    serving.counter({**own, "job": "a"}, per_second(1), TGI)
    serving.counter({**own, "job": "b"}, per_second(1, base=120), TGI)
    assert serving.requests(**more) == sums
    told = {"counters_scraped_several_times", "counters_of_several_named_jobs"} & set(serving.notes)
    assert told == ({note} if note else set())


@pytest.mark.parametrize("job", ["a", "b"])
def test_a_server_of_two_jobs_has_the_model_that_one_of_them_is_given(serving: Serving, job: str) -> None:
    own = {**INGRESS, "model_name": "", "engine": ""}
    for name in "ab":
        serving.counter({**own, "job": name}, per_second(1), TGI)
    assert {row["model_id"] for row in serving.rows(models={job: "m"})} == {"m"}


def test_a_server_counts_once_under_both_spellings_of_its_metrics(serving: Serving) -> None:
    """Scraped itself and through a collector of OpenTelemetry, which writes no colons; another one through it alone."""
    behind = {"instance": "otel:8889", "exported_job": "vllm", "otel_scope_name": "receiver"}
    own = {**HOST, "model_name": "m", "engine": "0"}
    spelled = REQUESTS.replace(":", "_")
    serving.counter(own, per_second(1))
    serving.counter({**own, **behind, "exported_instance": "gpu1:8000"}, per_second(1), spelled, offset=45)
    serving.counter({**own, **behind, "exported_instance": "gpu2:8000"}, per_second(1), spelled, offset=45)
    assert serving.requests() == TWICE
    assert serving.notes["counters_scraped_several_times"] == 1


def test_two_servers_of_one_address_that_disagree_count_twice_and_are_told(serving: Serving) -> None:
    serving.counter({**POD, "job": "x"}, per_second(1, base=100))
    serving.counter({**POD, "job": "y"}, per_second(1, base=5_000))
    assert serving.requests() == TWICE
    assert serving.notes["counters_of_one_address_that_disagree"] == 1
    assert serving.examples["counters_of_one_address_that_disagree"] == [f"chat-0: {REQUESTS} of x, y"]


@pytest.mark.parametrize(("behind", "times"), [(3600, 1), (3661, 2)])
def test_a_copy_may_be_an_hour_behind_and_no_more(serving: Serving, behind: int, times: int) -> None:
    serving.counter({**POD, "job": "x"}, per_second(1, base=10_000))
    serving.counter({**POD, "job": "y"}, per_second(1, base=10_000 - behind))
    serving.rows()
    assert serving.notes.get("counters_of_one_address_that_disagree", 0) == times - 1


def test_a_restart_that_all_jobs_saw_does_not_part_them(serving: Serving) -> None:
    fell = START + 2 * HOUR

    def value(t: int) -> float:
        return (t - fell) if t >= fell else 50_000 + (t - START)

    for job in "xy":
        serving.counter({**POD, "job": job}, value)
    assert serving.requests()[0] == 3600
    assert serving.notes["counters_scraped_several_times"] == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"instance": "10.1.2.3:8000"}, {"instance": "10.1.2.3:9001"}, id="two ports of one pod"),
        pytest.param(
            {"pod": "", "namespace": "", "instance": "10.1.2.3:8000"},
            {"pod": "", "namespace": "", "instance": "chat.llm:8000"},
            id="by address and by name",
        ),
        pytest.param(
            {"pod": "", "namespace": "", "instance": ""}, {"pod": "", "namespace": "", "instance": ""}, id="no name"
        ),
        pytest.param({}, {"pod": "", "namespace": "", "instance": ""}, id="one of them without a name"),
    ],
)
def test_equal_values_in_every_hour_are_one_server_where_no_name_says_otherwise(
    serving: Serving, one: dict[str, str], other: dict[str, str]
) -> None:
    serving.counter({**POD, **one, "job": "x"}, per_second(1))
    serving.counter({**POD, **other, "job": "y"}, per_second(1))
    assert serving.requests() == ONCE


def test_nearly_equal_values_are_two_where_no_name_unites_them(serving: Serving) -> None:
    nameless = {"pod": "", "namespace": "", "instance": ""}
    serving.counter({**POD, **nameless, "job": "x"}, per_second(1))
    serving.counter({**POD, **nameless, "job": "y"}, lambda t: per_second(1)(t) + (t > START + 3 * HOUR))
    assert sum(serving.requests()) == 2 * 3600 * HOURS + 1


@pytest.mark.parametrize(("moves", "sums"), [(1, 2), (2, 2)])
def test_values_must_change_in_two_hours(serving: Serving, moves: int, sums: int) -> None:
    """Two counters that each saw one request in the same hour are no evidence; in two hours they are."""
    nameless = {"pod": "", "namespace": "", "instance": ""}
    for job in "xy":
        serving.counter(
            {**POD, **nameless, "job": job}, lambda t: 7 + (t > START + HOUR) + (t > START + 2 * HOUR) * (moves - 1)
        )
    assert sum(serving.requests()) == sums


# Prefill and decode ---------------------------------------------------------------------------------------------------


def pair(serving: Serving, prefill: float = 1, decode: float = 1, *, name: str = "prefill-0", **more: Any) -> None:
    """A prefill and a decode pod, with their requests a second."""
    first = {**POD, "pod": name, "instance": "10.3.0.1:8000"}
    second = {**POD, "pod": more.get("other", "decode-0"), "instance": "10.3.0.2:8000"}
    serving.counter({**first, "finished_reason": more.get("reason", "length")}, per_second(prefill))
    serving.counter({**second, "finished_reason": "stop"}, per_second(decode))
    serving.counter(first, per_second(100 * prefill), PROMPT)
    serving.counter(second, per_second(100 * decode), PROMPT)
    if "tokens" in more:
        serving.counter(first, per_second(more["tokens"]), TOKENS)


def test_a_request_of_prefill_and_decode_is_one_and_so_is_its_prompt(serving: Serving) -> None:
    pair(serving, tokens=1)
    rows = serving.rows()
    assert {(row["deployment"], row["requests"], row["prompt_tokens"]) for row in rows} == {("decode-0", 3600, 360_000)}
    assert serving.notes["prefill_requests_left_out"] == 3600 * HOURS
    assert serving.examples["prefill_requests_left_out"] == [f"prefill-0: {3600 * HOURS:,} requests of m"]
    assert "prefill_suspected" not in serving.notes


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"reason": "stop"}, id="it answers requests to their end"),
        pytest.param({"tokens": 1.01}, id="it generates more than a token each"),
        pytest.param({"prefill": 1.0201}, id="it has more requests than decode"),
        pytest.param({"other": "chat-0"}, id="nobody decodes by name"),
    ],
)
def test_what_only_looks_like_prefill_counts_and_is_told(serving: Serving, more: dict[str, Any]) -> None:
    pair(serving, **more)
    assert {row["deployment"] for row in serving.rows()} == {"prefill-0", more.get("other", "decode-0")}
    assert serving.notes["prefill_suspected"] == 1
    assert "prefill_requests_left_out" not in serving.notes


def test_two_per_cent_more_may_be_under_way(serving: Serving) -> None:
    pair(serving, prefill=1.02)
    assert serving.requests() == ONCE


def test_a_server_that_only_begins_is_suspected_whatever_its_name(serving: Serving) -> None:
    pair(serving, name="p-0", other="d-0", tokens=1)
    assert serving.requests() == TWICE
    assert serving.notes["prefill_suspected"] == 1
    assert serving.requests(prefill=("p-*",)) == ONCE
    assert "prefill_suspected" not in serving.notes


def test_the_site_file_has_the_last_word(serving: Serving) -> None:
    pair(serving)
    assert serving.requests(prefill=()) == TWICE
    assert not {"prefill_suspected", "prefill_requests_left_out"} & set(serving.notes)


def test_a_decode_pod_of_another_model_or_namespace_answers_nothing(serving: Serving) -> None:
    serving.counter({**POD, "pod": "prefill-0", "finished_reason": "length"}, per_second(1))
    other = {**POD, "pod": "decode-0", "instance": "b:1", "finished_reason": "stop"}
    serving.counter({**other, "model_name": "n"}, per_second(1))
    serving.counter({**other, "namespace": "other"}, per_second(1))
    assert serving.requests() == [3 * 3600] * HOURS


def sglang(serving: Serving, engine: str, rate: float, **labels: str) -> None:
    """A server of SGLang that says what it does, with a token a request where it prefills."""
    own = {"model_name": "m", "engine_type": engine, "job": "sglang", **labels}
    serving.counter(own, per_second(rate), "sglang:num_requests_total")
    serving.counter(own, per_second(200 * rate), "sglang:prompt_tokens_total")
    serving.counter(own, per_second((1 if engine == "prefill" else 50) * rate), "sglang:generation_tokens_total")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="by instance"),
        pytest.param({"labels": ("job",)}, id="in one deployment"),
    ],
)
def test_a_server_that_says_it_prefills_is_believed(serving: Serving, more: dict[str, Any]) -> None:
    """Whatever its name and its reasons to finish, of which SGLang tells none."""
    sglang(serving, "prefill", 1, instance="10.0.0.1:30000")
    sglang(serving, "prefill", 1, instance="10.0.0.2:30000")
    sglang(serving, "decode", 2, instance="10.0.0.3:30000")
    rows = serving.rows(**more)
    assert {(row["requests"], row["prompt_tokens"], row["generated_tokens"]) for row in rows} == {
        (7200, 1_440_000, 360_000)
    }
    assert serving.notes["prefill_requests_left_out"] == 2 * 3600 * HOURS
    assert "prefill_suspected" not in serving.notes


@pytest.mark.parametrize("other", ["unified", "prefill"])
def test_where_nobody_decodes_prefill_counts_and_is_told(serving: Serving, other: str) -> None:
    sglang(serving, "prefill", 1, instance="10.0.0.1:30000")
    sglang(serving, other, 1, instance="10.0.0.2:30000")
    assert serving.requests() == TWICE
    assert serving.notes["prefill_suspected"] == (1 if other == "unified" else 2)


def test_a_server_that_says_it_decodes_is_no_prefill_whatever_its_name(serving: Serving) -> None:
    sglang(serving, "decode", 1, pod="sglang-prefill-decode-d-0")
    assert serving.requests() == ONCE
    assert "prefill_suspected" not in serving.notes


# Steps of an ensemble -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "number"),
    [
        pytest.param(lambda t: 100 + t - START, lambda t: 100 + t - START, 1, id="equal"),
        pytest.param(lambda t: 900 + t - START, lambda t: 900 + t - START + t // 60 % 50, 1, id="some are under way"),
        pytest.param(lambda t: 900 + t - START, lambda t: 900 + (t - START) * 0.99, 1, id="one per cent less"),
        pytest.param(lambda t: 900 + t - START, lambda t: 900 + (t - START) * 0.98, 0, id="two per cent less"),
        pytest.param(
            lambda t: 90_000 + t - START, lambda t: 90_000 + t - START + 900 * ((t - START) // HOUR % 2), 0, id="turns"
        ),
    ],
)
def test_models_of_triton_with_as_many_requests_are_told(
    serving: Serving, first: Value, second: Value, number: int
) -> None:
    for model, value in (("ensemble", first), ("step", second)):
        labels = {"model": model, "version": "1", "instance": "t:8002", "job": "triton"}
        serving.counter(labels, lambda t, of=value: int(of(t)), "nv_inference_request_success")  # type: ignore[misc]
    serving.rows()
    assert serving.notes.get("models_with_equal_requests", 0) == number

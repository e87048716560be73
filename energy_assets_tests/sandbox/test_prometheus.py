"""The stand-in answers as a real Prometheus loaded with the same series, and fails when told to."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import httpx
import numpy as np
import pyarrow as pa
import pytest

from energy_assets.sandbox.exporters import LocationStore
from energy_assets.sandbox.plant import Plant
from energy_assets.sandbox.prometheus import PrometheusServer, number_text
from energy_assets.sandbox.schedule import LOCATIONS
from energy_assets.sandbox.series import NAME, STALE, Matcher, MemoryStore, Series
from energy_assets_tests.prometheus_server import prometheus, require_prometheus
from energy_assets_tests.sandbox.samples import START_MS, ask, edge_cases, for_real, series, without_markers

START = START_MS / 1000
HOUR, DAY = 3600, 86_400
WEDNESDAY = datetime(2026, 10, 7, tzinfo=UTC)
"""The day of the reboot in Dublin."""
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

SELECTORS = """
ctr; ctr{job="a"}; ctr{job!="a"}; ctr{inst=~"1|2"}; ctr{inst!~"1|2"}; {__name__=~"ctr|pow",job="a"}; ctr{}
{job=~".+",inst="1"}; once; nosuch; vllm:tok_total; ctr{job="a",}; ctr{inst=`1`}; ctr{inst='2'}; ctr offset 1h
ctr{odd="q\\"\\\\\\né"}; ctr[5m]; pow[1h]; ctr[3599999ms]; once[1h]; ctr[10m] offset 7m
"""
WINDOWS = """
last_over_time(ctr[1h]); last_over_time(ctr[3599999ms]); count_over_time(ctr[1h]); count_over_time(ctr[3599999ms])
resets(ctr[1h]); resets(pow[1h]); changes(pow[1h]); sum_over_time(pow[1h]); avg_over_time(pow[1h])
max_over_time(pow[1h]); min_over_time(pow[1h]); present_over_time(pow[5m]); min_over_time(allnan[1h])
sum_over_time(allnan[1h]); last_over_time(ctr[1h] offset 30m); count_over_time(nosuch[1h])
count_over_time({__name__=~"ctr|pow"}[1h]); timestamp(ctr); timestamp((ctr)); timestamp(ctr * 1); timestamp(once)
"""
AGGREGATIONS = """
sum(ctr); sum by (job)(ctr); max by (job)(pow); min without(inst)(pow); count(pow); count by (job,nosuch)(pow)
group by (job)(pow); avg(pow); avg by (job)(pow); max(allnan); sum(nosuch); sum(ctr) by (job); SUM(ctr)
sum by () (ctr); sum without() (ctr); sum by(__name__)({__name__=~"ctr|pow"}); max(timestamp(ctr))
"""
OPERATORS = """
ctr * 2; 2 * ctr; ctr / 1000 + 1; ctr % 7; -ctr; ctr > 50000; 50000 < ctr; ctr > bool 50000; pow == pow; pow != 0
ctr - ctr offset 10m; {__name__=~"ctr|pow"} * 1; (ctr); 0x1F + inf; nan; .5e3; 1 - -1; 7 % -3; 1 / 0; 1 > bool 2
1 + 2 * 3; ctr == 0; ctr or pow; ctr OR pow; ctr and pow; ctr unless pow; ctr and on(inst) pow; ctr or on(job) pow
ctr unless on(job) pow{inst="1"}; ctr * on(inst) pow; ctr * ignoring(odd) pow; ctr / on(job) group_left max by(job)(pow)
max by(job)(pow) < on(job) group_right ctr; ctr * on (inst) group_left(job) pow; pow > ctr; pow > bool ctr
pow > on(inst) ctr
"""
MALFORMED = """
; (1; ctr{; ctr{job; ctr{job=; ctr{job="a"; foo(ctr); resets(ctr); sum_over_time(ctr[5m]; ctr[5m; ctr[5m] + 1; {}
{job=~".*"}; ctr ctr; 1 > 2; sum(1); ctr[0s]; last_over_time(ctr); 1 and ctr; ctr{__name__="x"}; timestamp(1); ctr +
ctr and; ctr + bool 1; sum; $; "abc; resets(); ctr offset; ctr{job=a}; sum by job (ctr)
"""
INSTANTS = (2 * HOUR, 2 * HOUR + 0.123, HOUR + 300, HOUR + 300.001)
RANGES = ((0, 6 * HOUR, "600"), (0.123, 3 * HOUR, "61.5"), (HOUR, 2 * HOUR, "1m30s"))

GPU = "Hostname, hostname, node, instance, UUID, uuid, gpu, modelName"
USER = f"{GPU}, exported_pod, exported_namespace, pod, namespace, container, job"
COUNTERS = ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "node_rapl_package_joules_total", "vllm:prompt_tokens_total")
HOURLY = (
    "max by ({dev}) (last_over_time({m}[3599999ms]) < 1e15)",
    "min by ({dev}) (min_over_time({m}[3599999ms]))",
    "max by ({user}) (count_over_time({m}[3599999ms]))",
    "max by ({dev}) (resets({m}[3599999ms]) > 0)",
    "max by ({dev}) (max_over_time({m}[3599999ms]) >= 1e15 or sum_over_time({m}[3599999ms]) * 0 != 0)",
    "last_over_time({m}[3599999ms]) < 1e15",
    "resets({m}[3599999ms]) > 0",
)
OTHERS = (
    "max by ({user}) (sum_over_time(DCGM_FI_PROF_GR_ENGINE_ACTIVE[3599999ms]) < 1e6)",
    "max by ({dev}) (count_over_time(DCGM_FI_DEV_POWER_USAGE[3599999ms])) unless"
    " max by ({dev}) (min_over_time(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[3599999ms]) < 1e15)",
    'count by (job) (up == 1) or count by (job) (up{{job="dcgm-exporter"}})',
    'sum by (model_name) ({{__name__=~"vllm:.*_tokens_total"}})',
)


class Pair(NamedTuple):
    """The same series twice."""

    real: str
    stand_in: str


def listed(text: str) -> list[str]:
    return [query.strip() for line in text.splitlines() for query in line.split("; ")]


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    require_prometheus()
    these = edge_cases()
    folder = tmp_path_factory.mktemp("edges")
    with prometheus(for_real(these), folder) as real, PrometheusServer(MemoryStore(these)) as ours:
        yield Pair(real, ours.url)


@pytest.fixture(scope="module")
def wednesday(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One day of the whole company, and two hours before it."""
    require_prometheus()
    these: list[Series] = []
    since, until = WEDNESDAY - timedelta(hours=2), WEDNESDAY + timedelta(hours=25)
    everything = [Matcher(NAME, "=~", ".+")]
    for location in LOCATIONS:
        store = LocationStore(Plant(location, 7), lambda: NOW)
        these += store.select(everything, int(since.timestamp() * 1000), int(until.timestamp() * 1000))
    these = without_markers(these)
    folder = tmp_path_factory.mktemp("wednesday")
    with (
        prometheus(for_real(these), folder, block_duration="720h") as real,
        PrometheusServer(MemoryStore(these)) as ours,
    ):
        yield Pair(real, ours.url)


def same(pair: Pair, path: str, **parameters: object) -> None:
    assert ask(pair.stand_in, path, **parameters) == ask(pair.real, path, **parameters), parameters


@pytest.mark.real_server
@pytest.mark.parametrize("queries", [SELECTORS, WINDOWS, AGGREGATIONS, OPERATORS], ids=["sel", "win", "agg", "op"])
def test_every_query_is_answered_as_by_prometheus_to_the_last_digit(edges: Pair, queries: str) -> None:
    asked = 0
    for query in filter(None, listed(queries)):
        for instant in INSTANTS:
            same(edges, "/api/v1/query", query=query, time=START + instant)
        for start, end, step in RANGES:
            same(edges, "/api/v1/query_range", query=query, start=START + start, end=START + end, step=step)
        asked += 1
    assert asked > 15


@pytest.mark.real_server
def test_malformed_queries_are_refused_in_the_words_of_prometheus(edges: Pair) -> None:
    for query in listed(MALFORMED)[1:-1]:
        same(edges, "/api/v1/query", query=query, time=START)
        same(edges, "/api/v1/query_range", query=query, start=START, end=START + 60, step=60)


@pytest.mark.real_server
def test_wrong_parameters_are_refused_in_the_words_of_prometheus(edges: Pair) -> None:
    for parameters in (
        {"start": 0, "end": 11_001, "step": 1},
        {"start": 0, "end": 11_000, "step": 1},
        {"start": 10, "end": 0, "step": 1},
        {"start": 0, "end": 10, "step": 0},
        {"start": 0, "end": 10, "step": "x"},
        {"start": "x", "end": 10, "step": 1},
        {"end": 10, "step": 1},
    ):
        same(edges, "/api/v1/query_range", query="ctr", **parameters)
    for time in ("2026-03-01T01:00:00Z", "2026-03-01T02:00:00.5+01:00", "abc"):
        same(edges, "/api/v1/query", query="ctr", time=time)


@pytest.mark.real_server
@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("series", {"match[]": ["ctr", 'pow{job="a"}'], "start": START, "end": START + 6 * HOUR}),
        ("series", {}),
        ("series", {"match[]": "ctr{"}),
        ("label/__name__/values", {}),
        ("label/__name__/values", {"match[]": "ctr", "start": START, "end": START + 6 * HOUR}),
        ("label/job/values", {"match[]": "ctr", "start": START, "end": START + 6 * HOUR}),
    ],
)
def test_metadata_is_that_of_prometheus(edges: Pair, path: str, parameters: dict[str, object]) -> None:
    real, ours = (httpx.get(f"{url}/api/v1/{path}", params=parameters) for url in edges)  # type: ignore[arg-type]
    assert ours.status_code == real.status_code
    assert sorted(map(str, ours.json().get("data", []))) == sorted(map(str, real.json().get("data", [])))
    assert ours.json().get("error") == real.json().get("error")


@pytest.mark.real_server
def test_the_questions_of_the_sources_about_a_day_of_the_company_get_equal_answers(wednesday: Pair) -> None:
    day = WEDNESDAY.timestamp()
    questions = [text.format(m=metric, dev=GPU, user=USER) for text in HOURLY for metric in COUNTERS]
    questions += [text.format(dev=GPU, user=USER) for text in OTHERS]
    for query in questions:
        same(wednesday, "/api/v1/query_range", query=query, start=day - HOUR, end=day + DAY, step=HOUR)
    for metric in (*COUNTERS, "DCGM_FI_DEV_POWER_USAGE"):
        same(wednesday, "/api/v1/query", query=f"{metric}[3599999ms]", time=day + 4 * HOUR)
        lookback = f"max by ({GPU}) ((last_over_time({metric}[1d]) > 0) < 1e15)"
        same(wednesday, "/api/v1/query", query=lookback, time=day)


@pytest.mark.real_server
def test_stale_markers_end_series_as_in_prometheus(tmp_path_factory: pytest.TempPathFactory) -> None:
    require_prometheus()
    now = int(datetime.now(UTC).timestamp()) * 1000
    times = now - 2_400_000 + np.arange(40) * 60_000
    gone = np.where(np.arange(40) == 20, STALE, np.arange(40.0))
    these = [series("a", times, gone, x="back"), series("a", times[:21], gone[:21], x="gone")]
    folder = tmp_path_factory.mktemp("stale")
    with (
        prometheus([series_for_nothing()], folder, ["--web.enable-remote-write-receiver"]) as real,
        PrometheusServer(MemoryStore(these)) as ours,
    ):
        remote_write(real, these)
        pair, start = Pair(real, ours.url), int(times[0]) / 1000
        assert ask(real, "/api/v1/query", query="a", time=start + 20 * 60)[1]["data"]["result"] == []
        for query in ("a", "count_over_time(a[5m])", "last_over_time(a[30m])", "resets(a[1h])", "timestamp(a)"):
            same(pair, "/api/v1/query_range", query=query, start=start, end=start + 3000, step=30)
        same(pair, "/api/v1/query", query="a[1h]", time=start + 2400)


def series_for_nothing() -> object:
    return for_real([series("unrelated", [START_MS], [1.0])])[0]


def remote_write(url: str, these: list[Series]) -> None:
    """Prometheus' remote write (protobuf, snappy): the way to hand over stale markers."""

    def field(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    def varint(value: int) -> bytes:
        head = b""
        while value > 127:
            head, value = head + bytes([value & 127 | 128]), value >> 7
        return head + bytes([value])

    request = b""
    for one in these:
        body = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in one.labels)
        for at, value in zip(one.samples.times, one.samples.values, strict=True):
            body += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(int(at)))
        request += field(1, body)
    content = pa.compress(request, codec="snappy", asbytes=True)
    headers = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    httpx.post(f"{url}/api/v1/write", content=content, headers=headers).raise_for_status()


@pytest.fixture
def server() -> Iterator[PrometheusServer]:
    with PrometheusServer(MemoryStore(edge_cases())) as running:
        yield running


def test_get_and_post_and_gzip_give_the_same_answer(server: PrometheusServer) -> None:
    asked = {"query": "ctr", "start": START, "end": START + HOUR, "step": 60}
    address = f"{server.url}/api/v1/query_range"
    plain = httpx.get(address, params=asked, headers={"Accept-Encoding": "identity"})
    packed = httpx.post(address, data=asked)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert plain.content == packed.content


def test_it_is_ready_and_says_what_it_is(server: PrometheusServer) -> None:
    assert httpx.get(f"{server.url}/-/ready").text == "Prometheus Server is Ready.\n"
    built = httpx.get(f"{server.url}/api/v1/status/buildinfo").json()["data"]
    assert built["version"] == "2.42.0"
    assert "synthetic" in built["revision"]
    assert httpx.get(f"{server.url}/api/v1/nosuch").status_code == 404


def test_what_the_subset_lacks_is_an_error_and_never_a_wrong_number(server: PrometheusServer) -> None:
    status, answer = ask(server.url, "/api/v1/query", query="rate(ctr[5m])", time=START)
    assert (status, answer["errorType"]) == (422, "execution")
    assert "rate" in answer["error"]


def test_it_fails_as_often_as_told_and_then_works(server: PrometheusServer) -> None:
    address = f"{server.url}/api/v1/query?query=ctr[1h]&time={START + HOUR}"
    server.failures.unavailable = 2
    assert [httpx.get(address).status_code for _ in range(3)] == [503, 503, 200]
    server.failures.truncated = 1
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(address)
    assert httpx.get(address).status_code == 200
    server.failures.delay_s = 0.3
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(address, timeout=0.1)


def test_it_refuses_connections_while_down_and_returns_at_the_same_address(server: PrometheusServer) -> None:
    address = f"{server.url}/-/ready"
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    server.start()
    assert httpx.get(address).status_code == 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (612.431, "612.431"),
        (5842331902211.0, "5842331902211"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (0.0000015, "0.0000015"),
        (1.5e-7, "1.5e-07"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Inf"),
    ],
)
def test_numbers_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert number_text(value) == text

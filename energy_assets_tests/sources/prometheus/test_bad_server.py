"""A Prometheus that is down, overloaded, strict or no Prometheus at all: what is said, and what is tried again."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources import http
from energy_assets.sources.base import Place, SeenNode, StepContext
from energy_assets.sources.errors import MalformedError, PermanentError, TransientError
from energy_assets.sources.prometheus.client import NAMES_PATH, Query
from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets.sources.prometheus.meters import built_in
from energy_assets_tests.prometheus_server import free_port

DAY = DayRange(date(2026, 9, 21), date(2026, 9, 21))
NOTHING = (200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}')
NAMES = json.dumps({"status": "success", "data": [meter.metric for meter in built_in(None)]}).encode()
Reply = tuple[int, bytes]
Answering = Callable[[str, dict[str, str]], Reply]


class Stub:
    """A web server that answers as a test says and remembers what it was asked.

    Unless it fails, it says that it has all metrics (`names`).
    """

    def __init__(self) -> None:
        self.answer: Answering = lambda path, form: NOTHING
        self.names: bytes | None = NAMES
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                form = {key: values[0] for key, values in parse_qs(body).items()}
                stub.asked.append((self.path, form, {name.lower(): value for name, value in self.headers.items()}))
                status, reply = stub.answer(self.path, form)
                if NAMES_PATH in self.path and status == 200 and stub.names is not None:
                    reply = stub.names
                self.send_response(status)
                self.end_headers()
                self.wfile.write(reply)

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setattr(http.client, "__kwdefaults__", {**http.client.__kwdefaults__, "backoff_s": 0.0})
    served = Stub()
    threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield served
    served.server.shutdown()
    served.server.server_close()


def source(url: str, **more: Any) -> PrometheusEnergy:
    return PrometheusEnergy(
        name="dc", kind="prometheus_energy", url=url, place=Place(region="r", zone="DE"), scrape_interval_s=60, **more
    )


def failure(site: PrometheusEnergy, step: StepContext) -> Exception:
    return collect(site, DAY, step).failures[DAY.first]


def test_a_server_that_is_down_is_worth_another_try(step: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.client, "__kwdefaults__", {**http.client.__kwdefaults__, "backoff_s": 0.0})
    error = failure(source(f"http://127.0.0.1:{free_port()}"), step)
    assert isinstance(error, TransientError)
    assert "connection refused" in str(error)
    assert "correct url of this source" in str(error)


def test_one_503_is_repeated(stub: Stub, step: StepContext) -> None:
    stub.answer = lambda path, form: (503, b"loading") if len(stub.asked) == 1 else NOTHING
    assert not collect(source(stub.url), DAY, step).failures
    assert stub.asked[0][0] == stub.asked[1][0]


def test_503_for_good_fails_the_day_as_transient(stub: Stub, step: StepContext) -> None:
    stub.answer = lambda path, form: (503, b"overloaded")
    error = failure(source(stub.url), step)
    assert isinstance(error, TransientError)
    assert "overloaded" in str(error)
    assert len(stub.asked) == 4


def test_a_400_is_permanent_and_tells_the_servers_words(stub: Stub, step: StepContext) -> None:
    words = "exceeded maximum resolution of 11,000 points per timeseries"
    body = json.dumps({"status": "error", "errorType": "bad_data", "error": words}).encode()
    stub.answer = lambda path, form: (400, body)
    error = failure(source(stub.url), step)
    assert isinstance(error, PermanentError)
    assert words in str(error)
    assert "selector" in str(error)
    assert len(stub.asked) == 1


def test_no_query_of_a_day_comes_near_the_limit_of_points(stub: Stub, step: StepContext) -> None:
    collect(source(stub.url), DAY, step)
    ranges = [form for path, form, _ in stub.asked if path.endswith("query_range")]
    assert ranges
    assert {(int(form["end"]) - int(form["start"])) // int(form["step"]) + 1 for form in ranges} <= {24, 25, 26, 49}


def test_a_query_that_is_too_large_is_asked_in_halves(
    stub: Stub, step: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(path: str, form: dict[str, str]) -> Reply:
        large = "step" in form and int(form["end"]) - int(form["start"]) > 13 * 3600
        return (422, b'{"status":"error","error":"too many samples"}') if large else NOTHING

    stub.answer = answer
    with caplog.at_level(logging.WARNING):
        assert not collect(source(stub.url), DAY, step).failures
    assert "asking boundary of DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION in two halves" in caplog.text
    spans = [(int(form["start"]), int(form["end"])) for _, form, _ in stub.asked if "step" in form]
    assert spans[1][1] + 3600 == spans[2][0]
    assert (spans[1][0], spans[2][1]) == spans[0]


def test_an_evaluation_that_stays_too_large_is_permanent(stub: Stub, step: StepContext) -> None:
    stub.answer = lambda path, form: (422 if "query" in form else 200, b"too many samples")
    error = failure(source(stub.url), step)
    assert isinstance(error, PermanentError)
    assert "--query.max-samples" in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>Please log in</html>", "is not JSON"),
        (b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":', "is not JSON"),
        (b'{"status":"error","error":"boom"}', "boom"),
        (b'{"status":"success"}', "holds no result"),
        (b"", "is empty"),
        (b"[1,2]", "does not have the form of an answer"),
    ],
)
def test_an_answer_that_is_no_answer_is_named(stub: Stub, step: StepContext, body: bytes, said: str) -> None:
    stub.answer = lambda path, form: (200, body)
    error = failure(source(stub.url), step)
    assert isinstance(error, MalformedError)
    assert said in str(error)
    assert "boundary of DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" in str(error)


def test_a_prometheus_without_our_metrics_is_asked_for_names_alone(stub: Stub, step: StepContext) -> None:
    stub.names = b'{"status":"success","data":["up"]}'
    site = source(stub.url)
    parsed, failures = parse(site, collect(site, DAY, step).editions, step)
    assert not failures
    assert parsed is not None
    assert parsed.rows.count().execute() == 0
    assert [path.split("?")[0] for path, _, _ in stub.asked] == ["/api/v1/label/__name__/values"] * 2


def test_metrics_without_samples_give_no_rows(stub: Stub, step: StepContext) -> None:
    site = source(stub.url)
    parsed, failures = parse(site, collect(site, DAY, step).editions, step)
    assert not failures
    assert parsed is not None
    assert parsed.rows.count().execute() == 0


def test_an_answer_that_lists_no_metrics_is_malformed(stub: Stub, step: StepContext) -> None:
    stub.names = b'{"status":"success","data":{}}'
    error = failure(source(stub.url), step)
    assert isinstance(error, MalformedError)
    assert "no list of metrics" in str(error)


def test_secrets_travel_in_headers_and_stay_out_of_receipts(
    stub: Stub, step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROM_TOKEN", "s3cret")
    site = source(f"{stub.url}/prefix", token="env:PROM_TOKEN", headers={"X-Scope-OrgID": "team-a"})
    collected = collect(site, DAY, step)
    path, _, headers = stub.asked[1]
    assert path == "/prefix/api/v1/query_range"
    assert (headers["authorization"], headers["x-scope-orgid"]) == ("Bearer s3cret", "team-a")
    receipts = [step.landing.receipts(landed.sha256) for landed in collected.editions[DAY.first].objects]
    assert "s3cret" not in json.dumps(receipts)


def test_user_and_password_are_basic_authentication(
    stub: Stub, step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROM_PASSWORD", "pass")
    collect(source(stub.url, basic_auth={"username": "user", "password": "env:PROM_PASSWORD"}), DAY, step)
    assert stub.asked[0][2]["authorization"] == "Basic dXNlcjpwYXNz"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"headers": {"Authorization": "Bearer x"}}, "use token or basic_auth"),
        ({"token": "env:A", "basic_auth": {"username": "u", "password": "env:B"}}, "exclude each other"),
        ({"metrics": [{"metric": "m", "type": "counter", "unit": "W", "device_kind": "gpu"}]}, "not W"),
        ({"url": "prometheus:9090"}, "pattern"),
    ],
)
def test_wrong_keys_are_refused_when_the_site_file_is_read(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        source(**{"url": "http://x", **more})


def test_doctor_names_the_remedy_when_the_server_is_down(step: StepContext) -> None:
    (finding,) = source(f"http://127.0.0.1:{free_port()}").check(step)
    assert not finding.ok
    assert "url" in finding.remedy


def test_doctor_says_when_no_known_metric_exists(stub: Stub, step: StepContext) -> None:
    def answer(path: str, form: dict[str, str]) -> Reply:
        build = path.endswith("buildinfo")
        return 200, json.dumps({"status": "success", "data": {"version": "3.1.0"} if build else []}).encode()

    stub.answer, stub.names = answer, None
    version, nothing = source(stub.url).check(step)
    assert version.what == "Prometheus 3.1.0 answers"
    assert not nothing.ok
    assert "dcgm-exporter" in nothing.remedy


def test_hosts_are_seen_by_one_instant_query_per_metric_that_is_there(stub: Stub, step: StepContext) -> None:
    """A series without a host or a device is none, as in the rows; a GPU that two hosts have is named of none."""
    gpus = [
        {"Hostname": "a", "UUID": "GPU-2"},
        {"Hostname": "a", "UUID": "GPU-1"},
        {"Hostname": "a", "UUID": "GPU-4"},
        {"Hostname": "c", "UUID": "GPU-4"},
        {"Hostname": "b"},
        {"UUID": "GPU-3"},
    ]
    meters = [{"instance": "10.0.0.7:9290"}]

    def answer(path: str, form: dict[str, str]) -> Reply:
        series = gpus if "DCGM" in form.get("query", "") else meters
        data = {"resultType": "vector", "result": [{"metric": labels, "value": [0, "1"]} for labels in series]}
        return 200, json.dumps({"status": "success", "data": data}).encode()

    names = ["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "ipmi_dcmi_power_consumption_watts"]
    stub.answer, stub.names = answer, json.dumps({"status": "success", "data": names}).encode()
    assert list(source(stub.url).observe(step)) == [
        SeenNode("10.0.0.7:9290", "node"),
        SeenNode("a", "gpu", gpus=("GPU-1", "GPU-2")),
        SeenNode("c", "gpu"),
    ]
    assert [path for path, _, _ in stub.asked[1:]] == ["/api/v1/query"] * 2


def test_a_range_splits_into_the_same_evaluations() -> None:
    query = Query("boundary", "m", "up", 0, 7200, 3600)
    first, second = query.halves() or pytest.fail("no halves")
    assert ((first.start, first.end), (second.start, second.end)) == ((0, 3600), (7200, 7200))
    assert second.halves() is None

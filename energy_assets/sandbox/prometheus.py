"""A stand-in for Prometheus: its HTTP API over series that are made on demand.

What belongs here: the wire (paths, parameters, JSON, error bodies as Prometheus 2.42 writes them) and failures
on demand. What does not: the meaning of queries (`promql_eval.py`) and the series (`exporters.py`).
Its answers are tested equal to those of a real Prometheus loaded with the same series.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from energy_assets.sandbox.promql import (
    Expression,
    QueryError,
    RangeSelector,
    Selector,
    UnsupportedError,
    duration_ms,
    parse,
)
from energy_assets.sandbox.promql_eval import ExecutionError, Frame, evaluate, raw_samples
from energy_assets.sandbox.series import NAME, Labels, Matcher, SeriesStore

MAX_POINTS = 11_000
_GZIP_FROM_BYTES = 1400
_LABEL_VALUES = re.compile(r"/api/v1/label/([A-Za-z_][A-Za-z0-9_]*)/values")
Parameters = dict[str, list[str]]


@dataclass
class Failures:
    """What goes wrong with the next answers; change it while the server runs.

    Attributes:
        unavailable: So many requests are answered 503.
        truncated: So many answers end in the middle of the body.
        delay_s: Every answer waits so long.
    """

    unavailable: int = 0
    truncated: int = 0
    delay_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def spend(self, name: str) -> bool:
        """Use up one failure of a kind, if there is one."""
        with self._lock:
            left = int(getattr(self, name))
            setattr(self, name, max(0, left - 1))
            return left > 0


class _ApiError(Exception):
    """An answer with status "error"."""

    def __init__(self, status: HTTPStatus, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


def _bad(message: str, parameter: str = "") -> _ApiError:
    text = f'invalid parameter "{parameter}": {message}' if parameter else message
    return _ApiError(HTTPStatus.BAD_REQUEST, "bad_data", text)


class Api:
    """Paths and parameters to JSON; knows nothing of sockets.

    Args:
        store: Where series come from.
        clock: The current instant: a query without a time is answered for it.
    """

    def __init__(self, store: SeriesStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def answer(self, path: str, parameters: Parameters) -> tuple[HTTPStatus, bytes]:
        """Status and JSON body of a request.

        Args:
            path: Of the request.
            parameters: Of query string and form.
        """
        try:
            data = self._route(path, parameters)
        except _ApiError as error:
            body = json.dumps({"status": "error", "errorType": error.kind, "error": error.message})
            return error.status, body.encode()
        return HTTPStatus.OK, b'{"status":"success","data":' + data.encode() + b"}"

    def _route(self, path: str, parameters: Parameters) -> str:
        if found := _LABEL_VALUES.fullmatch(path):
            return self._label_values(found.group(1), parameters)
        handlers: dict[str, Callable[[Parameters], str]] = {
            "/api/v1/query": self._query,
            "/api/v1/query_range": self._query_range,
            "/api/v1/series": self._series,
            "/api/v1/status/buildinfo": lambda _: json.dumps(BUILD_INFO),
        }
        if path not in handlers:
            raise _ApiError(HTTPStatus.NOT_FOUND, "not_found", f"the sandbox has no {path}")
        return handlers[path](parameters)

    # -- queries

    def _query(self, parameters: Parameters) -> str:
        at = self._time(parameters, "time", self._now_ms())
        tree = self._parsed(parameters)
        if isinstance(tree, RangeSelector):
            rows = [
                f'{{"metric":{_metric(one.labels)},"values":{_points(one.samples.times, one.samples.values)}}}'
                for one in raw_samples(tree, self._store, at)
            ]
            return _result("matrix", rows)
        result = self._evaluated(tree, np.array([at], np.int64))
        if not isinstance(result, Frame):
            return f'{{"resultType":"scalar","result":{_point(at, float(result.values[0]))}}}'
        rows = [
            f'{{"metric":{_metric(labels)},"value":{_point(at, float(result.values[row, 0]))}}}'
            for row, labels in enumerate(result.labels)
            if result.present[row, 0]
        ]
        return _result("vector", rows)

    def _query_range(self, parameters: Parameters) -> str:
        start, end = self._time(parameters, "start"), self._time(parameters, "end")
        if end < start:
            raise _bad("end timestamp must not be before start time", "end")
        step = _step_ms(parameters)
        if (end - start) / step > MAX_POINTS:
            raise _bad(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        tree = self._parsed(parameters, "")
        if isinstance(tree, RangeSelector):
            raise _bad('invalid expression type "range vector" for range query, must be Scalar or instant Vector')
        steps = np.arange(start, end + 1, step, dtype=np.int64)
        result = self._evaluated(tree, steps)
        if not isinstance(result, Frame):
            return _result("matrix", [f'{{"metric":{{}},"values":{_points(steps, result.values)}}}'])
        order = sorted(range(len(result.labels)), key=result.labels.__getitem__)
        rows = [
            f'{{"metric":{_metric(result.labels[row])},'
            f'"values":{_points(steps[result.present[row]], result.values[row][result.present[row]])}}}'
            for row in order
            if result.present[row].any()
        ]
        return _result("matrix", rows)

    def _parsed(self, parameters: Parameters, blamed: str = "query") -> Expression:
        """The query; Prometheus 2.42 names the parameter in errors of instant queries alone."""
        try:
            return parse(_one(parameters, "query"))
        except QueryError as error:
            raise _bad(str(error), blamed) from error
        except UnsupportedError as error:
            raise _ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "execution", str(error)) from error

    def _evaluated(self, tree: Expression, steps: Any) -> Any:
        try:
            return evaluate(tree, self._store, steps)
        except ExecutionError as error:
            raise _ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "execution", str(error)) from error

    # -- metadata

    def _series(self, parameters: Parameters) -> str:
        selectors = self._selectors(parameters)
        if not selectors:
            raise _bad("no match[] parameter provided")
        found = self._labels_between(selectors, parameters)
        return "[" + ",".join(_metric(labels) for labels in found) + "]"

    def _label_values(self, name: str, parameters: Parameters) -> str:
        selectors = self._selectors(parameters)
        if name == NAME and not selectors:
            end = self._time(parameters, "end", self._now_ms())
            return json.dumps(self._store.names(self._time(parameters, "start", 0), end))
        if not selectors:
            selectors = [(Matcher(NAME, "!=", ""),)]
        found = self._labels_between(selectors, parameters)
        return json.dumps(sorted({dict(labels)[name] for labels in found if name in dict(labels)}))

    def _selectors(self, parameters: Parameters) -> list[tuple[Matcher, ...]]:
        selectors = []
        for text in parameters.get("match[]", []):
            try:
                tree = parse(text)
            except (QueryError, UnsupportedError) as error:
                raise _bad(str(error), "match[]") from error
            if not isinstance(tree, Selector):
                raise _bad("expected a series selector", "match[]")
            selectors.append(tree.matchers)
        return selectors

    def _labels_between(self, selectors: list[tuple[Matcher, ...]], parameters: Parameters) -> list[Labels]:
        """Series with a sample between `start` and `end`; by default the last day, not all time as Prometheus."""
        end = self._time(parameters, "end", self._now_ms())
        start = self._time(parameters, "start", end - 86_400_000)
        found = {one.labels for matchers in selectors for one in self._store.select(matchers, start, end)}
        return sorted(found)

    # -- parameters

    def _now_ms(self) -> int:
        return round(self._clock().timestamp() * 1000)

    def _time(self, parameters: Parameters, name: str, default: int | None = None) -> int:
        text = _one(parameters, name)
        if not text and default is not None:
            return default
        try:
            return math.floor(Decimal(text) * 1000 + Decimal("0.5"))
        except ArithmeticError:
            pass
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            said = f'cannot parse "{text}" to a valid timestamp'
            raise _bad(f"Invalid time value for 'time': {said}" if name == "time" else said, name) from None
        return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)


def _one(parameters: Parameters, name: str) -> str:
    return parameters.get(name, [""])[0]


def _step_ms(parameters: Parameters) -> int:
    text = _one(parameters, "step")
    try:
        step = int(Decimal(text) * 1000)
    except ArithmeticError:
        try:
            step = duration_ms(text)
        except ValueError:
            raise _bad(f'cannot parse "{text}" to a valid duration', "step") from None
    if step <= 0:
        raise _bad("zero or negative query resolution step widths are not accepted. Try a positive integer", "step")
    return step


# -- JSON as Prometheus writes it


def _result(kind: str, rows: list[str]) -> str:
    return f'{{"resultType":"{kind}","result":[{",".join(rows)}]}}'


def _metric(labels: Labels) -> str:
    return json.dumps(dict(labels), ensure_ascii=False, separators=(",", ":"))


def _seconds(at_ms: int) -> str:
    whole, fraction = divmod(at_ms, 1000)
    return f"{whole}.{fraction:03d}" if fraction else str(whole)


def number_text(value: float) -> str:
    """A sample value as Prometheus prints it: shortest digits, exponents only below 1e-6 and from 1e21 on."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" not in text and "n" not in text:
        return text
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(text), "f")
    return text


def _point(at_ms: int, value: float) -> str:
    return f'[{_seconds(at_ms)},"{number_text(value)}"]'


def _points(times: Any, values: Any) -> str:
    pairs = zip(times.tolist(), values.tolist(), strict=True)
    return "[" + ",".join(f'[{_seconds(at)},"{number_text(value)}"]' for at, value in pairs) + "]"


BUILD_INFO = {
    "version": "2.42.0",
    "revision": "energy_assets sandbox (synthetic data, not a Prometheus)",
    "branch": "",
    "buildUser": "",
    "buildDate": "",
    "goVersion": "",
}


class _Handler(BaseHTTPRequestHandler):
    """One connection; every answer leaves in one write, so that small answers are not held back."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Answer a query in the address."""
        self._serve(urlsplit(self.path).query)

    def do_POST(self) -> None:
        """Answer a query in a form body."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self._serve("&".join(part for part in (body, urlsplit(self.path).query) if part))

    def log_message(self, format: str, *args: object) -> None:
        """Keep the console quiet."""

    def _serve(self, query: str) -> None:
        failures = self.server.owner.failures
        if failures.delay_s:
            time.sleep(failures.delay_s)
        path = urlsplit(self.path).path
        if failures.spend("unavailable"):
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"Service Unavailable", "text/plain; charset=utf-8")
        elif path in ("/-/ready", "/-/healthy"):
            word = "Ready" if path == "/-/ready" else "Healthy"
            self._send(HTTPStatus.OK, f"Prometheus Server is {word}.\n".encode(), "text/plain; charset=utf-8")
        else:
            status, body = self.server.owner.api.answer(path, parse_qs(query, keep_blank_values=True))
            self._send(status, body, "application/json", truncated=failures.spend("truncated"))

    def _send(self, status: HTTPStatus, body: bytes, content_type: str, truncated: bool = False) -> None:
        head = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {content_type}"]
        if len(body) > _GZIP_FROM_BYTES and "gzip" in (self.headers.get("Accept-Encoding") or ""):
            body = gzip.compress(body, 1, mtime=0)
            head.append("Content-Encoding: gzip")
        head += [f"Content-Length: {len(body)}", "Vary: Accept-Encoding", "\r\n"]
        if truncated:
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write("\r\n".join(head).encode() + body)


class _Server(ThreadingHTTPServer):
    """Quick to start and to stop; never asks a name server."""

    daemon_threads = True
    allow_reuse_address = True
    owner: PrometheusServer

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


class PrometheusServer:
    """A Prometheus on 127.0.0.1 that answers from a store of series. Use as a context manager.

    Args:
        store: Where series come from.
        port: The port to listen on; a free one where 0.
        clock: The current instant.

    Attributes:
        failures: What shall go wrong; see `Failures`.
    """

    def __init__(
        self,
        store: SeriesStore,
        port: int = 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.api = Api(store, clock)
        self.failures = Failures()
        self._port = port
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """The port it listens on, or listened on last."""
        return self._port

    @property
    def url(self) -> str:
        """Where it answers, without a trailing slash."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; does nothing where it already does.

        Raises:
            OSError: the port is taken.
        """
        if self._server is not None:
            return
        server = _Server(("127.0.0.1", self._port), _Handler)
        server.owner = self
        self._port = server.server_port
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Close the port: connections are refused from now on, until `start`."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> PrometheusServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

"""A refused connection ends soon and says so; a slow or broken line is none."""

from __future__ import annotations

import socket
import threading
import time
from datetime import date
from pathlib import Path

import httpx
import pytest

from energy_assets.periods import DayRange
from energy_assets.running import Step, run_days
from energy_assets.site import load_site
from energy_assets.sources.errors import TransientError, UnreachableError
from energy_assets.sources.http import client, send
from energy_assets.sources.refusal import ATTEMPTS, Refusing
from energy_assets_tests.prometheus_server import free_port


def test_a_refused_connection_ends_within_seconds_and_names_the_address() -> None:
    port, began = free_port(), time.monotonic()
    with client(f"http://127.0.0.1:{port}") as http, pytest.raises(UnreachableError) as caught:
        send(http, "GET", "api/v1/query", {}, params={"token": "secret"})
    assert time.monotonic() - began < 5
    assert caught.value.message == (
        f"GET http://127.0.0.1:{port}/api/v1/query: connection refused, 2 attempts: no server listens there"
    )


def test_a_server_that_comes_back_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()

    def serve() -> None:
        with socket.create_server(("127.0.0.1", port)) as server:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    starter = threading.Timer(0.3, serve)
    starter.start()
    with client(f"http://127.0.0.1:{port}") as http:
        assert send(http, "GET", "/", {}).text == "ok"
    starter.join()


def test_what_is_not_refused_is_left_to_the_retries() -> None:
    asked: list[httpx.Request] = []

    def unknown(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ConnectError("Name or service not known")

    with httpx.Client(transport=Refusing(httpx.MockTransport(unknown))) as http, pytest.raises(httpx.ConnectError):
        http.get("http://nowhere.example/")
    assert len(asked) == 1 < ATTEMPTS


SITE = """
organisation: {{name: Alone}}
start: 2024-05-01
sources:
  - {{name: dublin, kind: prometheus_energy, url: "http://127.0.0.1:{port}", place: {{region: r1, zone: IE, pue: 1.2}}}}
"""


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A site whose Prometheus does not run."""
    path = tmp_path / "site.yaml"
    path.write_text(SITE.format(port=free_port()))
    return path


def test_a_month_of_a_server_that_does_not_run_fails_in_seconds_and_is_tried_twice(alone: Path) -> None:
    steps, began = list[Step](), time.monotonic()
    outcome = run_days(load_site(alone), DayRange(date(2024, 5, 1), date(2024, 6, 9)), steps.append)
    took = time.monotonic() - began
    message = outcome.failures["raw/dublin"]
    assert "40 of 40 days failed" in message
    assert "connection refused" in message
    assert [step.text for step in steps if "refused, attempt" in step.text] == [
        "dublin: refused, attempt 2 of 2 in 2 s"
    ]
    assert took < 30
    assert issubclass(UnreachableError, TransientError), "a later run may find it up"

"""The guard of the UI, asked as browsers ask, in front of Dagster's own web server."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from energy_assets.site import SITE_VARIABLE
from energy_assets_tests.prometheus_server import free_port
from energy_assets_tests.small_site import write_site

QUERY = {"query": "{ version }"}
MUTATION = {"query": "mutation { reloadWorkspace { __typename } }"}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Dagster's web server behind the guard, without daemon and code server."""
    folder, number = tmp_path_factory.mktemp("ui"), free_port()
    guarded = [sys.executable, "-m", "energy_assets.ui_guard"]
    command = [*guarded, "-h", "127.0.0.1", "-p", str(number), "--empty-workspace"]
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(folder),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "ENERGY_ASSETS_UI_HOSTS": "ui.example, other.example",
        "ENERGY_ASSETS_UI_REPORTS": "http://127.0.0.1:9",
        SITE_VARIABLE: str(write_site(folder)),
    }
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            _wait(number, running, folder / "log")
            yield number
        finally:
            running.terminate()
            running.wait(30)


def _wait(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert running.poll() is None, log.read_text()
        try:
            httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=2)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(log.read_text())


def ask(port: int, method: str, path: str, headers: dict[str, str] | None = None, **more: object) -> httpx.Response:
    return httpx.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, timeout=20, **more)  # type: ignore[arg-type]


def own(port: int) -> dict[str, str]:
    return {"origin": f"http://127.0.0.1:{port}", "sec-fetch-site": "same-origin"}


def test_the_ui_and_a_script_are_served(port: int) -> None:
    assert ask(port, "GET", "/overview").status_code == 200
    assert ask(port, "GET", "/asset-groups", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).is_success
    for headers in (own(port), {}, {"sec-fetch-site": "none"}):
        assert ask(port, "POST", "/graphql", headers, json=QUERY).json()["data"]["version"]
        assert ask(port, "POST", "/graphql", headers, json=MUTATION).json()["data"]["reloadWorkspace"]
    assert ask(port, "GET", "/server_info", {"host": f"localhost:{port}"}).is_success
    assert ask(port, "GET", "/server_info", {"host": "other.example"}).is_success


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://127.0.0.1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"host": "evil.example"},
    {"host": "127.0.0.1.evil.example"},
    {"host": "127.0.0.1@evil.example"},
    {"host": ""},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_changes_nothing(port: int, headers: dict[str, str]) -> None:
    for body in ({"json": MUTATION}, {"content": json.dumps(MUTATION), "headers": {"content-type": "text/plain"}}):
        sent = {**headers, **dict(body.get("headers", {}))}  # type: ignore[call-overload]
        found = ask(port, "POST", "/graphql", sent, **{k: v for k, v in body.items() if k != "headers"})
        assert found.status_code == 403
        assert found.text.endswith(".\n")
    assert ask(port, "POST", "/report_asset_materialization/x", headers, json={}).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "cross-site"}])
def test_graphql_by_get_is_refused_whoever_asks(port: int, headers: dict[str, str]) -> None:
    for path in ("/graphql", "/graphql/"):
        assert ask(port, "GET", path, headers, params=MUTATION).status_code == 403


@pytest.mark.parametrize(("origin", "status"), [("own", 101), ("http://evil.example", 403), ("null", 403), (None, 101)])
def test_subscriptions_are_for_the_uis_own_pages(port: int, origin: str | None, status: int) -> None:
    lines = [
        "GET /graphql HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(b'0123456789abcdef').decode()}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: graphql-ws",
    ]
    if origin:
        lines.append(f"Origin: {f'http://127.0.0.1:{port}' if origin == 'own' else origin}")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert int(wire.recv(4096).split()[1]) == status


@pytest.mark.parametrize("path", ["ml/2024-05/report.xhtml", "ml/2024%2D05/%C3%A9%0D%0Ax.pdf", "/evil.example/x"])
def test_a_report_is_found_on_the_port_where_this_ui_serves_it(port: int, path: str) -> None:
    answer = httpx.get(f"http://127.0.0.1:{port}/reports/{path}", follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"].startswith("http://127.0.0.1:9/")
    assert "\r" not in answer.headers["location"]
    assert httpx.get(f"http://127.0.0.1:{port}/reports/x", headers={"host": "evil.example"}).status_code == 403


def test_the_landing_page_is_the_lineage(port: int) -> None:
    for method, leads in (("GET", True), ("HEAD", True), ("POST", False)):
        answer = httpx.request(method, f"http://127.0.0.1:{port}/", follow_redirects=False)
        assert (answer.headers.get("location") == "/asset-groups") is leads

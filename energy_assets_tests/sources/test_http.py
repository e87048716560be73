"""HTTP on the wire: deadlines, sizes, redirects, and secrets that a server repeats."""

from __future__ import annotations

import base64
import gzip
import logging
import resource
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from energy_assets.cli import main
from energy_assets.secrets import MASK
from energy_assets.sources import http
from energy_assets.sources.errors import PermanentError, TransientError
from energy_assets_tests.small_site import GRID_ONLY, write_site

Speak = Callable[[socket.socket, bytes], None]


@contextmanager
def server(speak: Speak) -> Iterator[str]:
    """A server that does with each connection what a test says; gets the request as well."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += connection.recv(65536)
            try:
                speak(connection, asked)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


def whole(status: str, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def drip(data: bytes, pause_s: float = 0.05) -> Speak:
    def speak(connection: socket.socket, asked: bytes) -> None:
        for number in range(10_000):
            connection.sendall(data[number : number + 1] or b"x")
            time.sleep(pause_s)

    return speak


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\nx-long: "],
    ids=["body", "headers"],
)
def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for(start: bytes) -> None:
    def speak(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(start)
        drip(b"")(connection, asked)

    with server(speak) as url, http.client(url, timeout_s=5, backoff_s=0) as session:
        began = time.monotonic()
        with pytest.raises(TransientError, match=r"when its time was over|timed out"):
            http.send(session, "GET", "x", {}, total_s=0.5)
        assert time.monotonic() - began < 3


def test_a_slow_server_is_given_all_of_its_time() -> None:
    with server(drip(whole("200 OK", b"abc"), 0.01)) as url, http.client(url, timeout_s=5) as session:
        assert http.send(session, "GET", "x", {}, total_s=20).content == b"abc"


@pytest.mark.parametrize("size", [1000, 1001])
@pytest.mark.parametrize("packed", [True, False])
def test_an_answer_may_have_as_many_bytes_unpacked_as_the_limit_and_no_more(size: int, packed: bool) -> None:
    body = b"a" * size
    sent = whole("200 OK", gzip.compress(body), "content-encoding: gzip") if packed else whole("200 OK", body)
    with server(lambda connection, asked: connection.sendall(sent)) as url, http.client(url) as session:
        if size == 1000:
            assert http.send(session, "GET", "x", {}, limit=1000).content == body
            return
        with pytest.raises(PermanentError, match="larger than"):
            http.send(session, "GET", "x", {}, limit=1000)


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "422 Unprocessable"])
def test_a_gzip_bomb_takes_no_memory(status: str) -> None:
    bomb = gzip.compress(bytes(1 << 29))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sent = whole(status, bomb, "content-encoding: gzip")
    with (
        server(lambda connection, asked: connection.sendall(sent)) as url,
        http.client(url) as session,
        pytest.raises(PermanentError),
    ):
        http.send(session, "GET", "x", {}, limit=1 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


def test_an_answer_that_is_no_gzip_is_transient() -> None:
    sent = whole("200 OK", b"no gzip at all", "content-encoding: gzip")
    with (
        server(lambda connection, asked: connection.sendall(sent)) as url,
        http.client(url) as session,
        pytest.raises(TransientError, match="no answer"),
    ):
        http.send(session, "GET", "x", {})


def test_a_redirect_is_not_followed_and_its_target_named() -> None:
    asked_there: list[bytes] = []

    def there(connection: socket.socket, asked: bytes) -> None:
        asked_there.append(asked)
        connection.sendall(whole("200 OK", b"x"))

    with server(there) as target:
        location = target.replace("http://", "http://user:pw@") + "/login?next=a&token=abc"
        sent = whole("302 Found", b"", f"location: {location}")
        with (
            server(lambda connection, asked: connection.sendall(sent)) as url,
            http.client(url, headers={"authorization": "Bearer abc"}) as session,
            pytest.raises(PermanentError, match=f"302, the server sends us on to {target}/login\\. Redirects"),
        ):
            http.send(session, "GET", "x", {})
    assert not asked_there


@pytest.mark.parametrize("secret", ["a\0b-token", "a\r\nx-other: b", "tökén-x"])
def test_a_header_that_cannot_be_sent_is_a_sentence_without_its_value(secret: str) -> None:
    with pytest.raises(PermanentError, match="the header authorization cannot be sent") as caught:
        http.client("http://127.0.0.1:1", headers={"authorization": f"Bearer {secret}"})
    assert secret not in str(caught.value)


SECRET = 'top/secret+"value" 7f3a'
SPELLINGS = [
    SECRET,
    quote(SECRET),
    quote(SECRET, safe=""),
    base64.b64encode(SECRET.encode()).decode(),
    base64.b64encode(f"ab:{SECRET}".encode()).decode(),
    base64.b64encode(f"abc:{SECRET}!".encode()).decode(),
    base64.b64encode(f"abcd:{SECRET}".encode()).decode(),
]
PLAIN = ['secret+"value"', 'secret+\\"value', "secret%2B", "7f3a"]


def repeated(kind: str) -> Speak:
    """A server that repeats the credential it was sent, in every spelling."""

    def speak(connection: socket.socket, asked: bytes) -> None:
        sent = asked.decode("latin-1").split("uthorization: ")[1].split("\r\n")[0]
        body = "x" * 200 + " ".join([sent, *SPELLINGS])
        if kind == "redirect":
            connection.sendall(whole("302 Found", b"", f"location: /login/{quote(sent, safe='')}"))
        else:
            connection.sendall(whole(kind, body.encode()))

    return speak


CREDENTIALS = {"token": "token: env:EA_WIRE", "basic": "basic_auth: {username: user, password: env:EA_WIRE}"}


@pytest.mark.parametrize("kind", ["401 Unauthorized", "400 Bad Request", "422 Too Large", "200 OK", "redirect"])
@pytest.mark.parametrize("credential", CREDENTIALS)
def test_a_credential_that_a_server_repeats_is_nowhere(
    kind: str, credential: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EA_WIRE", SECRET)
    monkeypatch.setattr("energy_assets.raw.assets.RETRY_WAIT_S", 0)
    path = write_site(tmp_path)
    with server(repeated(kind)) as url, caplog.at_level(logging.DEBUG):
        path.write_text(
            GRID_ONLY + f"  - {{name: dc, kind: prometheus_energy, url: '{url}', {CREDENTIALS[credential]}, "
            "place: {region: r1, zone: DE}}\n"
        )
        ran = CliRunner().invoke(main, ["run", "--site", str(path), "--from", "2024-05-30"])
        asked = CliRunner().invoke(main, ["doctor", "--site", str(path)])
    assert ran.exit_code == 1
    assert MASK in ran.output or kind == "200 OK"
    said = ran.output + asked.output + caplog.text
    for file in tmp_path.rglob("*"):
        if file.suffix == ".db":
            said += "\n".join(sqlite3.connect(file).iterdump())
        if file.is_file() and "objects" not in file.parts and file != path:
            said += file.read_bytes().decode("latin-1")
    pair = base64.b64encode(f"user:{SECRET}".encode()).decode()
    for spelling in [*SPELLINGS, *PLAIN, pair, quote(pair, safe="")]:
        assert spelling.rstrip("=") not in said, spelling

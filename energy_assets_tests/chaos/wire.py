"""A line that fails on demand: a proxy in front of a server, which breaks connections as it is told.

What belongs here: bytes between a client and a real server. What does not: when the line is to fail (`campaign`).
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

FAULTS = ("429", "500", "503", "401", "redirect", "reset", "truncated", "slow", "garbage", "silent")
CANNED = {
    "429": b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "500": b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops",
    "503": b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "401": b"HTTP/1.1 401 Who\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Go\r\nlocation: /login\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "garbage": b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n<html>hm<",
    "silent": b"",
}
SLOW_S = 0.02


class FaultyLine:
    """The proxy; what is in `planned` befalls the next connections, one each."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.planned: list[str] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}{parts.path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def _connection(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            fault = self.planned.pop(0) if self.planned else ""
            if fault == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            asked = b""
            while b"\r\n\r\n" not in asked:
                if not (more := client.recv(65536)):
                    return
                asked += more
            if fault in CANNED:
                client.sendall(CANNED[fault])
                return
            answer = self._asked(asked.replace(b"Connection: keep-alive", b"Connection: close"))
            if fault == "truncated":
                answer = answer[: len(answer) * 2 // 3]
            if fault == "slow":
                for start in range(0, len(answer), 1 + len(answer) // 20):
                    client.sendall(answer[start : start + 1 + len(answer) // 20])
                    time.sleep(SLOW_S)
                return
            client.sendall(answer)

    def _asked(self, request: bytes) -> bytes:
        with socket.create_connection(self._target, timeout=20) as server:
            server.sendall(request)
            found = b""
            while True:
                head, separator, body = found.partition(b"\r\n\r\n")
                if separator and len(body) >= _length(head):
                    return found
                if not (more := server.recv(65536)):
                    return found
                found += more


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 1 << 62

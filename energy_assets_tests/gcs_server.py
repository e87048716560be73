"""A stand-in for Google Cloud Storage's XML API: put (create-only too), copy, delete, get with ranges, head, list.

No emulator of this API can be installed from a package index, so this one speaks as much of it as a lake needs.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from energy_assets.storage import Storage

MODIFIED = "2026-01-01T00:00:00Z"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        source = self.headers.get("x-goog-copy-source")
        with self.server.lock:
            if source:
                found = self.server.objects.get(unquote(source).lstrip("/"))
                if found is None:
                    return self._answer(404)
                body = found
            if self.headers.get("x-goog-if-generation-match") == "0" and self._key in self.server.objects:
                return self._answer(412)
            self.server.objects[self._key] = body
        return self._answer(200, headers=_of(body))

    def do_DELETE(self) -> None:
        with self.server.lock:
            self._answer(204 if self.server.objects.pop(self._key, None) is not None else 404)

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        if "list-type" in asked:
            return self._list(asked)
        body = self.server.objects.get(self._key)
        if body is None:
            return self._answer(404)
        wanted = self.headers.get("Range")
        if wanted is None:
            return self._answer(200, body, _of(body))
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(body) - int(last)
        end = min(int(last), len(body) - 1) if first and last else len(body) - 1
        told = {"Content-Range": f"bytes {start}-{end}/{len(body)}"}
        return self._answer(206, body[start : end + 1], _of(body) | told)

    do_HEAD = do_GET

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/")

    def _list(self, asked: dict[str, list[str]]) -> None:
        bucket = self._key.rstrip("/") + "/"
        prefix, after = (asked.get(name, [""])[0] for name in ("prefix", "start-after"))
        delimiter = asked.get("delimiter", [""])[0]
        names = sorted(key.removeprefix(bucket) for key in self.server.objects if key.startswith(bucket + prefix))
        keys, folders = [], set()
        for name in names:
            below = name.removeprefix(prefix)
            if name <= after:
                continue
            if delimiter and delimiter in below:
                folders.add(prefix + below.split(delimiter)[0] + delimiter)
            else:
                keys.append(name)
        found = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.server.objects[bucket + name])}</Size>"
            f'<LastModified>{MODIFIED}</LastModified><ETag>"{name}"</ETag></Contents>'
            for name in keys
        ) + "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders))
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        self._answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read no log."""


def _of(body: bytes) -> dict[str, str]:
    return {
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "x-goog-generation": "1",
    }


@contextmanager
def gcs_bucket() -> Iterator[Storage]:
    """A storage root in an empty bucket."""
    server = _Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    nobody = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    try:
        yield Storage("gs://lake/root", {"google_base_url": url, "google_service_account_key": json.dumps(nobody)})
    finally:
        server.shutdown()
        server.server_close()

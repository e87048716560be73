"""The reports of a site on 127.0.0.1, beside the Dagster UI, so that a link there opens them.

What belongs here: serving files of the reports folder, to read alone. What does not: making reports, and the UI.
A request must name this machine as its host, so that no other page's name that was pointed here reads a report.
"""

from __future__ import annotations

import html
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

LOOPBACK = "127.0.0.1"
HOSTS = frozenset({LOOPBACK, "localhost"})
TYPES = {
    ".xhtml": "application/xhtml+xml; charset=utf-8",
    ".pdf": "application/pdf",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".xsd": "application/xml; charset=utf-8",
    ".xml": "application/xml; charset=utf-8",
}
#: A report is one file with its styles, fonts and drawings inside; it asks nobody for anything.
POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
MAIN = "report.xhtml"


def found(root: Path, path: str) -> Path | None:
    """The file of a report that a path asks for; None where there is none, or it is not of a report.

    Args:
        root: The folder of all reports.
        path: Of a request, still quoted.
    """
    parts = [part for part in unquote(path).split("/") if part]
    if not parts or any(part.startswith(".") or "\0" in part or os.sep in part for part in parts):
        return None
    file = root.joinpath(*parts)
    inside = file.resolve().is_relative_to(root.resolve())
    return file if inside and file.suffix in TYPES and file.is_file() else None


def index(root: Path) -> str:
    """A page with a link to each report.

    Args:
        root: The folder of all reports.
    """
    reports = sorted(path.parent for path in root.glob(f"*/*/{MAIN}") if not path.parent.name.startswith("."))
    links = "".join(
        f'<li><a href="{quote(name)}/{MAIN}">{html.escape(name)}</a></li>'
        for name in (path.relative_to(root).as_posix() for path in reports)
    )
    body = f"<ul>{links}</ul>" if links else "<p>No report was made yet.</p>"
    return (
        f'<!DOCTYPE html><html lang="en"><head><title>Reports</title></head><body><h1>Reports</h1>{body}</body></html>'
    )


@contextmanager
def serving(root: Path, port: int) -> Iterator[str]:
    """Serve the reports until the block ends.

    Args:
        root: The folder of all reports; it may not be there yet.
        port: On 127.0.0.1; another one is taken where it is in use, 0 for any.

    Yields:
        The address, without a slash at its end.
    """
    server = _bound(root, port)
    thread = threading.Thread(target=server.serve_forever, name="reports", daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _bound(root: Path, port: int) -> ThreadingHTTPServer:
    handler = type("Reports", (_Handler,), {"root": root})
    try:
        return ThreadingHTTPServer((LOOPBACK, port), handler)
    except OSError:
        return ThreadingHTTPServer((LOOPBACK, 0), handler)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of files; any other method is answered by the base class with 501."""

    root: Path
    timeout = 30

    def do_GET(self) -> None:
        """Answer with a file."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer with what a file is."""
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is the UI's."""

    def _answer(self, *, body: bool) -> None:
        if (urlsplit(f"//{self.headers.get('Host', '')}").hostname or "") not in HOSTS:
            self.send_error(HTTPStatus.FORBIDDEN, "Ask for reports at 127.0.0.1")
            return
        path = urlsplit(self.path).path
        file = found(self.root, path)
        if file is None and path != "/":
            self.send_error(HTTPStatus.NOT_FOUND, "There is no such file of a report")
            return
        content = index(self.root).encode() if file is None else file.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", TYPES[file.suffix] if file else "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if body:
            self.wfile.write(content)

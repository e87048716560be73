"""Reports beside the UI: read alone, on this machine alone, and nothing but files of reports."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from energy_assets.report_server import found, serving


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Reports of a month, with a half-made one and a secret beside them."""
    folder = tmp_path / "store/reports/ml/2026-11"
    folder.mkdir(parents=True)
    (folder / "report.xhtml").write_text("<html/>")
    (folder / "report.pdf").write_bytes(b"%PDF")
    (folder / "notes.txt").write_text("not of a report")
    (folder.parent / ".2026-11-new-1").mkdir()
    (folder.parent / ".2026-11-new-1/report.xhtml").write_text("half")
    (tmp_path / "store/secret.json").write_text("{}")
    os.symlink(tmp_path / "store/secret.json", folder / "link.json")
    return tmp_path / "store/reports"


@pytest.fixture
def address(root: Path) -> Iterator[str]:
    with serving(root, 0) as url:
        yield url


def ask(address: str, path: str, method: str = "GET", host: str | None = None) -> http.client.HTTPResponse:
    """An answer, read; the path is sent as it is, whatever it holds."""
    at = urlsplit(address)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or at.netloc)
    connection.endheaders()
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("name", "media"), [("report.xhtml", "application/xhtml+xml; charset=utf-8"), ("report.pdf", "application/pdf")]
)
def test_a_report_opens(address: str, name: str, media: str) -> None:
    answer = ask(address, f"/ml/2026-11/{name}")
    assert (answer.status, answer.getheader("Content-Type")) == (200, media)
    assert "default-src 'none'" in (answer.getheader("Content-Security-Policy") or "")
    assert ask(address, f"/ml/2026-11/{name}", "HEAD").body == b""  # type: ignore[attr-defined]


def test_the_first_page_links_every_whole_report(address: str) -> None:
    page = ask(address, "/").body.decode()  # type: ignore[attr-defined]
    assert 'href="ml/2026-11/report.xhtml"' in page
    assert "new" not in page


@pytest.mark.parametrize(
    "path",
    [
        "/ml/2026-11/notes.txt", "/ml/2026-11", "/ml/2026-11/", "/ml/.2026-11-new-1/report.xhtml",
        "/../secret.json", "/ml/2026-11/../../../secret.json", "/ml/2026-11/%2e%2e/%2e%2e/%2e%2e/secret.json",
        "/ml/2026-11/..%2f..%2f..%2fsecret.json", "/ml/2026-11/link.json", "/ml/2026-11/report.xhtml%00.txt",
        "//etc/passwd", "/nothing",
    ],
)  # fmt: skip
def test_nothing_else_is_given(address: str, root: Path, path: str) -> None:
    assert ask(address, path).status == 404
    assert found(root, path) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_is_there_to_read_alone(address: str, method: str) -> None:
    assert ask(address, "/ml/2026-11/report.xhtml", method).status == 501


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_name_for_this_machine_is_refused(address: str, host: str) -> None:
    assert ask(address, "/ml/2026-11/report.xhtml", host=host or "x").status == 403


def test_it_listens_on_this_machine_alone_and_takes_another_port_where_its_own_is_in_use(root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with serving(root, taken.getsockname()[1]) as url:
            assert url.startswith("http://127.0.0.1:")
            assert urlsplit(url).port != taken.getsockname()[1]
            assert ask(url, "/ml/2026-11/report.pdf").status == 200


def test_it_is_gone_when_the_block_ends(root: Path) -> None:
    with serving(root, 0) as url:
        pass
    with pytest.raises(OSError, match="refused"):
        ask(url, "/")

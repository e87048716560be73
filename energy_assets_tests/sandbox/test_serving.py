"""The sandbox company behind its site file: started for a command, found running, never moved from under another."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from energy_assets.sandbox.company import PORTS_FILE, Company, last_complete_days
from energy_assets.sandbox.serving import own_servers
from energy_assets.sandbox.site import write_site

DAYS = last_complete_days(1, datetime.now(UTC))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The site file of a company that has ended, at ports of its own."""
    with Company(DAYS) as company:
        ports = company.ports
    (tmp_path / PORTS_FILE).write_text(json.dumps(ports))
    with Company(DAYS, folder=tmp_path) as company:
        return write_site(company, tmp_path)


def ports(site: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((site.parent / PORTS_FILE).read_text())
    return found


def answers(site: Path) -> bool:
    try:
        url = f"http://127.0.0.1:{ports(site)['dublin']}/-/ready"
        return httpx.get(url).status_code < 500
    except httpx.ConnectError:
        return False


def test_the_servers_of_a_site_are_up_while_a_command_needs_them(site: Path) -> None:
    before = (site.read_text(), ports(site))
    assert not answers(site)
    with own_servers(site) as said:
        assert list(said) == []
        assert answers(site)
    assert not answers(site)
    assert (site.read_text(), ports(site)) == before


def test_servers_that_run_already_are_used_and_nothing_is_rewritten(site: Path) -> None:
    with own_servers(site):
        before = (site.read_text(), ports(site))
        with own_servers(site) as said:
            assert [line.split(";")[0] for line in said] == ["The sandbox company's servers run already"]
            assert answers(site)
        assert answers(site), "the second one ends, the first one's servers stay"
        with Company(DAYS, folder=site.parent) as demo:
            assert demo.elsewhere
            assert demo.ports == before[1]
            write_site(demo, site.parent)
        assert (site.read_text(), ports(site)) == before
    assert not answers(site)


def test_a_port_that_another_program_has_is_left_to_it(site: Path) -> None:
    old = ports(site)["dublin"]
    with socket.create_server(("127.0.0.1", old)), own_servers(site) as said:
        new = ports(site)["dublin"]
        assert new != old
        assert list(said) == [f"Port {old} is taken by another program: {site} now names port {new}"]
        assert f"http://127.0.0.1:{new}" in site.read_text()


def test_a_site_that_is_not_the_companys_own_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("x")
    with own_servers(tmp_path / "site.yaml") as said:
        assert list(said) == []
    assert [path.name for path in tmp_path.iterdir()] == ["site.yaml"]

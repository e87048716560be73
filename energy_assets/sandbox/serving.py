"""The sandbox company behind its own site file: its servers, started for a command or found running.

What belongs here: whether a site file is the company's own, and at which ports it names it. What does not: the
company (`company.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from energy_assets.sandbox.company import Company, last_complete_days, remembered_ports
from energy_assets.sandbox.site import readdress


@contextmanager
def own_servers(site: Path) -> Iterator[Sequence[str]]:
    """Have the company's servers up while this lasts, where a site file is its own; yields what a person is told.

    Where its ports are taken the site file names new ones. Where another process serves the same company, its servers
    are used and nothing is written.

    Args:
        site: A site file of a synthetic organisation.
    """
    before = remembered_ports(site.parent)
    if not before:
        yield ()
        return
    with Company(last_complete_days(7, datetime.now(UTC)), folder=site.parent) as company:
        if company.elsewhere:
            yield ("The sandbox company's servers run already; they end with the program that started them.",)
            return
        moved = readdress(site, before, company.ports)
        yield [f"Port {old} is taken by another program: {site} now names port {new}" for old, new in moved.items()]

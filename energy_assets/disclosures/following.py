"""What `energy-assets trace` prints: a figure of a stored report, followed, for a person or a program.

What belongs here: choosing a look and printing it. What does not: the walk, and arguments (`cli`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from energy_assets.commands import command
from energy_assets.disclosures.trace import Node
from energy_assets.disclosures.trace_looks import summary, to_json, to_tree
from energy_assets.disclosures.tracing import TraceError, follow
from energy_assets.site import Site

OBJECT = "Raw object "


def printed(site: Site, report: Path, wanted: str, *, full: bool, as_json: bool, console: Console) -> None:
    """Trace a figure and print it: ten lines, and with `full` every step.

    Args:
        site: Whose lake and landing zone to read.
        report: The report's folder or a file in it.
        wanted: The figure's id.
        full: Print every step below the ten lines.
        as_json: Print every step as JSON, and nothing else.
        console: Where a person reads.

    Raises:
        TraceError: no such report or figure.
    """
    found = follow(site, report, wanted, full=full or as_json)
    if as_json:
        sys.stdout.write(json.dumps(to_json(found.node), indent=1, ensure_ascii=False) + "\n")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for label, text in summary(found.node, found.figure, found.report.book):
        table.add_row(f"[dim]{label}[/]", escape(text))
    console.print(table)
    if full:
        console.print(to_tree(found.node))
        return
    console.print(f"Every step: {command('trace', report, found.figure.id)} --full", soft_wrap=True, markup=False)
    first = next((step for step in found.node.walk() if step.kind == "object"), None)
    if first:
        line = f"{command('trace', report, found.figure.id)} --bytes {_sha256(first)}"
        console.print(f"Bytes of the first object: {line}", soft_wrap=True, markup=False)


def bytes_of(site: Site, sha256: str) -> bytes:
    """A raw object as it came over the wire.

    Args:
        site: Whose landing zone to read.
        sha256: Its name.

    Raises:
        TraceError: there is no such object.
    """
    landing = site.disk().landing()
    name = sha256.strip().lower()
    if len(name) != 64 or not set(name) <= set("0123456789abcdef") or not landing.holds(name):
        raise TraceError(
            f"there is no raw object '{sha256}' in the landing zone; `trace --full` names those of a figure"
        )
    return landing.read(name)


def _sha256(step: Node) -> str:
    return step.title.removeprefix(OBJECT)

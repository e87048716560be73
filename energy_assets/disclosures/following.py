"""What `energy-assets trace` prints: a figure of a stored report, followed, for a person or a program.

What belongs here: choosing a look and printing it. What does not: the walk, and arguments (`cli`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from energy_assets.commands import command
from energy_assets.disclosures.trace import DAMAGED, DIFFERS, Node
from energy_assets.disclosures.trace_looks import OBJECT, objects_csv, summary, to_json, to_tree
from energy_assets.disclosures.tracing import Followed, TraceError, follow
from energy_assets.site import Site

Look = Literal["short", "full", "json", "objects"]
"""Ten lines, every step below them, every step as JSON, or the raw objects as CSV."""


def printed(site: Site, report: Path, wanted: str, look: Look, console: Console) -> list[str]:
    """Trace a figure and print it.

    Args:
        site: Whose lake and landing zone to read.
        report: The report's folder or a file in it.
        wanted: The figure's id.
        look: What of it; JSON and CSV come alone.
        console: Where a person reads.

    Returns:
        What speaks against the figure and what to do, one text each; empty where every step is equal and the files of
        the report are those that were written.

    Raises:
        TraceError: no such report or figure.
    """
    found = follow(site, report, wanted, full=look != "short")
    if look == "objects":
        sys.stdout.write(objects_csv(found.node))
        return _against(site, found)
    if look == "json":
        content = {**to_json(found.node), "changed_files": dict(found.report.changed)}
        sys.stdout.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        return _against(site, found)
    table = Table(box=None, show_header=False, pad_edge=False)
    for label, text in summary(found.node, found.figure, found.report.book):
        table.add_row(f"[dim]{label}[/]", escape(text))
    console.print(table)
    if look == "full":
        console.print(to_tree(found.node))
        return _against(site, found)
    console.print(f"Every step: {command('trace', report, found.figure.id)} --full", soft_wrap=True, markup=False)
    first = next((step for step in found.node.walk() if step.kind == "object"), None)
    if first:
        listed = f"{command('trace', report, found.figure.id)} --csv objects"
        console.print(f"All objects, as CSV: {listed}", soft_wrap=True, markup=False)
        line = f"{command('trace', report, found.figure.id)} --bytes {_sha256(first)}"
        console.print(f"Bytes of the first object: {line}", soft_wrap=True, markup=False)
    return _against(site, found)


def _against(site: Site, found: Followed) -> list[str]:
    """What a person must know who meant to rely on the figure, each with its remedy."""
    again = command("report", site=site.file, options={"period": str(found.report.period)})
    repair = command("repair", site=site.file)
    verdicts = {step.verdict for step in found.node.walk()}
    said = [f"{found.report.folder / name}: {what}. Make the report again:\n  {again}"
            for name, what in found.report.changed.items()]  # fmt: skip
    if DAMAGED in verdicts:
        said.append(f"{found.figure.id} is made of bytes that are damaged. Find them, and what mends them:\n  {repair}")
    if DIFFERS in verdicts:
        said.append(
            f"{found.figure.id} does not follow from what is stored: see DIFFERS above. Look whether stored bytes were "
            f"changed, then make the report again:\n  {repair}\n  {again}"
        )
    return said


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

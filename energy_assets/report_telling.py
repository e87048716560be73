"""Reports, as a person reads of them on the terminal: headline, files, what speaks against them, what they lack.

What belongs here: order and layout of these. What does not: finding them (`report_holes.py`, `running.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from energy_assets.commands import command
from energy_assets.disclosures.asset import headline
from energy_assets.periods import Period
from energy_assets.report_holes import report_remarks
from energy_assets.running import Outcome
from energy_assets.screen import err, out
from energy_assets.site import Site
from energy_assets.telling import tell_outcome, tell_remarks

FILES = ("figures.json", "facts.csv", "trace.xhtml", "report.pdf", "report.xhtml")
"""The files worth naming; the one to open stands last, where the eye is."""


def tell_reports(site: Site, period: Period, folders: Sequence[Path], outcome: Outcome, *, whole: bool) -> int:
    """Print the reports of a period and what came of making them; how many things they lack.

    Args:
        site: Whose they are.
        period: What was reported.
        folders: Of the reports; empty where one could not be made.
        outcome: How the run ended.
        whole: Whether the period was asked for, and not some days of it.
    """
    for folder in folders:
        _show(folder)
    tell_outcome(outcome)
    if not outcome.success:
        return 0
    if outcome.refuted:
        found = f"Find what is damaged, and what mends it:\n  {command('repair', site=site.file)}"
        err.print(f"Do not publish this report. {found}", soft_wrap=True, markup=False)
    return tell_remarks(site, report_remarks(site, period, folders, outcome, whole=whole))


def _show(folder: Path) -> None:
    """The headline and the files of a report."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for figure_id, label, value in headline(folder):
        table.add_row(f"[cyan]{figure_id}[/]", escape(label), f"[bold]{escape(value)}[/]")
    out.print(table)
    for name in FILES:
        if (folder / name).exists():
            out.print(f"  {folder / name}", soft_wrap=True, markup=False)

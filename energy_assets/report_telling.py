"""Reports, as a person reads of them on the terminal: headline, files, what speaks against them, what they lack.

What belongs here: order and layout of these. What does not: finding them (`report_holes.py`, `running.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from energy_assets.commands import command
from energy_assets.counting import counted
from energy_assets.disclosures.asset import headline
from energy_assets.disclosures.remaking import Remade
from energy_assets.disclosures.restating import Restatement, rounded
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


def tell_remade(made: Remade) -> None:
    """Print a report as of an earlier time, and whether it is the edition that was made then.

    Args:
        made: The report, beside those of now.
    """
    _show(made.folder)
    if made.edition is None:
        out.print("No edition of this report had been made by then; these are the figures it would have had.")
    elif not made.differing:
        count = counted(len(made.edition.files), "file")
        out.print(
            f"Equal, byte for byte, to the edition made at {made.edition.at:%Y-%m-%d %H:%M:%S} UTC ({count}).",
            soft_wrap=True,
        )
    else:
        names = ", ".join(made.differing)
        why = "; ".join(made.reasons) or "nothing that is recorded tells why"
        out.print(
            f"[yellow]![/] Not equal to the edition made at {made.edition.at:%Y-%m-%d %H:%M:%S} UTC ({escape(names)}): "
            f"{escape(why)}.",
            soft_wrap=True,
        )


def tell_restatements(found: Sequence[Restatement]) -> None:
    """Print the figures of whole periods that later editions of reports state otherwise, edition by edition.

    Args:
        found: In the order of time.
    """
    if not found:
        out.print("No figure of a report was restated.")
        return
    for (old, new), some in groupby(found, key=lambda one: (one.published, one.restated)):
        mine = list(some)
        out.print(
            f"[bold]{old.period}[/] {old.profile}: published {old.at:%Y-%m-%d %H:%M}, restated {new.at:%Y-%m-%d %H:%M} "
            "UTC",
            soft_wrap=True,
        )
        totals = [one for one in mine if not one.old.dimensions]
        for why in dict.fromkeys(one.why for one in totals):
            out.print(f"  {escape(why)}", soft_wrap=True)
            table = Table(box=None, show_header=False, pad_edge=False)
            for one in (one for one in totals if one.why == why):
                values = (rounded(one.old.number), "→", rounded(one.value), one.old.unit)
                table.add_row("   ", escape(one.old.label), *map(escape, values))
            out.print(table)
        if cuts := len(mine) - len(totals):
            out.print(f"  and {counted(cuts, 'figure')} of projects, zones, days and other cuts, as CSV with `| cat`")


def _show(folder: Path) -> None:
    """The headline and the files of a report."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for figure_id, label, value in headline(folder):
        table.add_row(f"[cyan]{figure_id}[/]", escape(label), f"[bold]{escape(value)}[/]")
    out.print(table)
    for name in FILES:
        if (folder / name).exists():
            out.print(f"  {folder / name}", soft_wrap=True, markup=False)

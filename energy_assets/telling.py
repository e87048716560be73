"""The end of a run, as a person reads it: what failed, what is missing, what was left out, and what to do next.

What belongs here: order and layout of these. What does not: finding them (`holes.py`, `remarks.py`, `running.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby

from rich.markup import escape

from energy_assets.commands import command
from energy_assets.contracts.zones import ZONES_HAVE_INTENSITIES
from energy_assets.holes import empty_sources, holes
from energy_assets.market_changes import market_remarks
from energy_assets.outdated_reports import outdated
from energy_assets.partitions import tables_of
from energy_assets.periods import DayRange, contiguous
from energy_assets.remarks import Remark, of_notes
from energy_assets.running import Outcome
from energy_assets.screen import err, out
from energy_assets.site import Site
from energy_assets.tables import EMISSIONS_MARKET, INSTRUMENTS

EXAMPLES = 3
"""How many examples of a remark are printed."""
MARKET_ASSETS = tuple("/".join(table.asset) for table in (INSTRUMENTS, EMISSIONS_MARKET))
"""Assets whose months are made again with every other one of their year."""


def remarks_of(site: Site, days: DayRange, outcome: Outcome) -> list[Remark]:
    """Everything worth saying of a run that ended: sources first, then what the tables lack.

    Args:
        site: What was run.
        days: What was asked for.
        outcome: How the run ended.
    """
    notes = [one for asset, noted in sorted(outcome.noted.items()) for one in of_notes(asset, noted.values())]
    by_month = {"/".join(table.asset) for table in tables_of(site, "month")}
    made = {day for asset, days in outcome.also.items() if asset not in by_month for day in days}
    lacking = [*holes(site, {*days, *made}), *outcome.restated, *market_remarks(site, list(days))]
    lacking += outdated(site, list(days))
    return [*empty_sources(site, outcome.empty, list(days)), *notes, *_warnings(outcome, lacking), *lacking]


def _warnings(outcome: Outcome, lacking: Sequence[Remark]) -> list[Remark]:
    """What checks found that withhold nothing; not what the tables tell more of."""
    found = []
    for warning in outcome.warnings:
        asset, check, text = warning.split(": ", 2)
        told = check == ZONES_HAVE_INTENSITIES.name and any("no grid factor" in one.says for one in lacking)
        if not told:
            found.append(Remark(asset, f"{check}: {text}"))
    return found


def tell_outcome(outcome: Outcome) -> None:
    """Print what was made again, what failed, and what could not be made because of it.

    Args:
        outcome: How the run ended.
    """
    for asset, made in outcome.also.items():
        if asset in MARKET_ASSETS:
            continue  # months of a year follow each other; what that restates is a remark
        out.print(f"{asset}: made again as well, because what is new changes them too: {spans(made)}", soft_wrap=True)
    for asset, message in outcome.failures.items():
        err.print(f"[red]✗ {asset}[/]\n{escape(message)}", soft_wrap=True)
    for asset, against in outcome.refuted.items():
        # What is said against a failed asset stands in its message.
        for said in against if asset not in outcome.failures else ():
            err.print(f"[red]✗ {asset}[/]: {escape(said)}", soft_wrap=True)
    for bad in dict.fromkeys(outcome.withheld.values()):
        names = ", ".join(name for name, lacks in outcome.withheld.items() if lacks == bad)
        err.print(f"Not made for {spans(bad)}: {names}", soft_wrap=True)


def tell_remarks(site: Site, remarks: Sequence[Remark]) -> int:
    """Print remarks, grouped by what they are about, holes first; how many are holes.

    Args:
        site: Whose they are.
        remarks: In any order.
    """
    for about, some in groupby(sorted(remarks, key=lambda one: one.about), key=lambda one: one.about):
        group = list(some)
        for text in lines_of(about, group):
            out.print(text, soft_wrap=True)
    if any(one.hole and one.more + len(one.examples) > EXAMPLES for one in remarks):
        out.print(
            f"[dim]The rest: `notes` of these assets, in the UI: {command('ui', site=site.file)}[/]", soft_wrap=True
        )
    return sum(one.hole for one in remarks)


def lines_of(about: str, remarks: Iterable[Remark]) -> list[str]:
    """Lines of one subject: a line and its remedy for each hole, and one for everything that is merely told.

    Args:
        about: The subject.
        remarks: Of the subject.
    """
    every = list(remarks)
    lines = []
    for hole in (one for one in every if one.hole):
        days = f" ({', '.join(map(str, hole.days[:EXAMPLES]))})" if hole.days else ""
        lines.append(f"[yellow]![/] {escape(about)}: {escape(hole.says + days)}")
        if hole.examples:
            lines.append(f"    for example {escape(examples_of(hole))}")
        if hole.remedy:
            lines += [f"    → {escape(text)}" if n == 0 else f"      {escape(text)}"
                      for n, text in enumerate(hole.remedy.split("\n"))]  # fmt: skip
    if told := "; ".join(one.says + _where(one) for one in every if not one.hole):
        lines.append(f"[dim]· {escape(about)}: {escape(told)}[/]")
    return lines


def _where(remark: Remark) -> str:
    """Where it is, for what is told in one line with others."""
    return f" ({'; '.join(remark.examples[:EXAMPLES])})" if remark.examples else ""


def examples_of(remark: Remark) -> str:
    """The first few examples, and how many more there are."""
    more = remark.more + len(remark.examples[EXAMPLES:])
    return "; ".join(remark.examples[:EXAMPLES]) + (f" and {more:,} more" if more > 0 else "")


def spans(days: Iterable[date]) -> str:
    """Days as ranges."""
    return ", ".join(map(str, contiguous(sorted(days))))

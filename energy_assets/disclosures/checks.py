"""Checks of a report that Dagster shows beside it: what a reader would look at first.

What belongs here: judging a finished document. What does not: making it, and what its sections say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from energy_assets.disclosures.document import Document
    from energy_assets.disclosures.trace import Node

RECOMPUTES, PLAUSIBLE, COMPLETE, FACTORS = (
    "every_figure_recomputes", "figures_are_plausible", "period_is_complete", "energy_has_factors",
)  # fmt: skip
ABOUT = {
    RECOMPUTES: "Every figure follows again from its parts, and each headline figure from the rows of the lake down to "
    "raw objects, to the last digit. `energy-assets trace` does the same for any figure.",
    PLAUSIBLE: "Grid intensity and the power of single devices are within the limits of the profile; a factor of a "
    "thousand in a unit falls outside.",
    COMPLETE: "Every day of the period has data. Until then totals are those of the days there are.",
    FACTORS: "All energy has a grid zone, a PUE and an intensity. What has none is missing from the emissions.",
}
"""Name of each check, and what holds when it passes. Only the first one is an error; the others warn."""
WITHOUT = ("unplaced_rows", "no_pue_rows", "no_factor_rows")


@dataclass(frozen=True)
class Judged:
    """One check of one report: passed where nothing is said against it."""

    name: str
    against: str = ""


def judge(document: Document, traced: Sequence[Node]) -> list[Judged]:
    """Every check of `ABOUT`.

    Args:
        document: The report.
        traced: Roots of the traces of its headline figures.
    """
    against: Mapping[str, str] = {
        RECOMPUTES: _not_recomputed(document, traced),
        PLAUSIBLE: _outside(document),
        COMPLETE: _incomplete(document),
        FACTORS: _without_factors(document),
    }
    return [Judged(name, against[name]) for name in ABOUT]


def _not_recomputed(document: Document, traced: Sequence[Node]) -> str:
    # Imported when a report is judged: definitions must not wait for what walks through a lake.
    from energy_assets.disclosures.trace import DAMAGED, DIFFERS, EQUAL, recomputed

    wrong = [figure.id for figure in document.book if recomputed(figure, document.book) == DIFFERS]
    wrong += [root.id for root in traced if any(step.verdict not in ("", EQUAL, DAMAGED) for step in root.walk())]
    spoiled = [root.id for root in traced if root.verdict == DAMAGED]
    said = [f"not equal when made again: {', '.join(dict.fromkeys(wrong))}"] if wrong else []
    said += [f"made of damaged bytes: {', '.join(spoiled)}"] if spoiled else []
    return "; ".join(said)


def _outside(document: Document) -> str:
    """The labels of the gates that the section on quality prints as outside."""
    tables = (block for section in document.sections for block in section.blocks if block["type"] == "table")
    rows = [row for table in tables if table["id"] == "plausibility" for row in table["rows"]]
    labels = [str(row[0][0]) for row in rows if ["OUTSIDE"] in row]
    return f"outside the limits: {', '.join(labels)}" if labels else ""


def _incomplete(document: Document) -> str:
    found = {f.metric: f.number for f in document.book if f.metric in {"days_with_data", "days_in_period"}}
    have, whole = found.get("days_with_data"), found.get("days_in_period")
    if have is None or whole is None or have == whole:
        return ""
    return f"{have} of {whole} days have data"


def _without_factors(document: Document) -> str:
    missing = [f"{figure.value} {figure.label.removeprefix('Rows: ')}" for figure in document.book
               if figure.metric in WITHOUT and figure.number]  # fmt: skip
    return "; ".join(missing)

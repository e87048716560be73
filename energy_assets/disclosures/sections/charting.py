"""What charts of several sections need: rows that plot figures, the steps' labels, a chart in words, its data.

What belongs here: from figures to a chart's rows, alternative text and table of data. What does not: which charts
there are (the sections), or how they look (reports/charts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from energy_assets.disclosures.document import Block, Column, Run, Runs, number, runs_of, table
from energy_assets.disclosures.figures import MARK, Figure
from energy_assets.disclosures.methods import QUANTITIES
from energy_assets.disclosures.missing import NO_FACTOR, NOT_MEASURED
from energy_assets.disclosures.rounding import Scale
from energy_assets.disclosures.sections.common import Context, largest, smallest, step_words, steps_words
from energy_assets.periods import MONTH_NAMES, DayRange, Month

#: Steps of a chart up to which every bar is labelled.
LABELLED = 12
SHORT = 3
#: Words of parts that a total holds nothing of although there may be something; and what is added up at all.
UNKNOWN_PARTS = {NOT_MEASURED, NO_FACTOR}
ADDED = {name for name, quantity in QUANTITIES.items() if quantity.kind in {"energy", "mass"}}


def plot(figure: Figure, context: Context) -> dict[str, Any]:
    """A chart's row: geometry from the exact value, text and id from the figure.

    Args:
        figure: What is drawn.
        context: Knows how the figure is printed.
    """
    display = context.factory.book[figure.id].display
    exact = Scale("", display.power, 9).rounded(figure.number or Decimal(0))
    return {
        "value": None if figure.number is None else float(exact),
        "text": display.text if figure.number is not None else "",
        "figure": figure.id,
    }


def step_names(steps: Sequence[DayRange]) -> dict[DayRange, str]:
    """Labels of every step from the first to the last with data; those without data keep their place.

    Args:
        steps: Days, or months of one year, in order.

    Returns:
        `16 Nov` (or `16`, where there are many) by day, `Nov` by month.
    """
    first, last = steps[0].first, steps[-1].first
    if len(steps[0]) > 1:
        months = (Month(first.year, number) for number in range(first.month, last.month + 1))
        return {month.days: MONTH_NAMES[month.month - 1][:SHORT] for month in months}
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    long = len(span) <= 10
    return {
        DayRange(day, day): f"{day.day} {MONTH_NAMES[day.month - 1][:SHORT]}" if long else str(day.day) for day in span
    }


def labelled(context: Context, names: Mapping[DayRange, str], labels: str) -> str:
    """What a caption says of the labels that `totals` makes.

    Args:
        context: Of the report.
        names: Label of each step.
        labels: What they are: totals of stacked bars, or values.
    """
    noun = context.step_noun
    many = len(names) > LABELLED
    return f"the highest and the lowest {noun} are labelled" if many else f"{labels} above the bars"


def totals(context: Context, figures: Mapping[DayRange, Figure], names: Mapping[DayRange, str]) -> list[dict[str, Any]]:
    """Labels above the bars: every step of a short span; where that would crowd, the highest and the lowest.

    Args:
        context: Of the report.
        figures: Total of each step.
        names: Label of each step.
    """
    known = {step: figure for step, figure in figures.items() if figure.number is not None}
    if len(names) > LABELLED:
        ends = {figure.id for figure in (largest([*known.values()]), smallest([*known.values()])) if figure}
        known = {step: figure for step, figure in known.items() if figure.id in ends}
    return [{"layer": "total", "time": names[step]} | plot(figure, context) for step, figure in known.items()]


def steps_alt(context: Context, what: str, figures: Mapping[DayRange, Figure]) -> str:
    """A chart over time in words: its span, and its extremes.

    Args:
        context: Of the report.
        what: What the chart shows, in words.
        figures: Total of each step, in order.
    """
    steps = list(figures)
    text = f"{what}, {steps_words(steps)}."
    high, low = largest(list(figures.values())), smallest(list(figures.values()))
    on = "on" if context.factory.by_day else "in"
    when = {figure.id: step_words(step) for step, figure in figures.items()}
    if high and low:
        text += f" Highest {on} {when[high.id]} with {context.shown(high)}, "
        text += f"lowest {on} {when[low.id]} with {context.shown(low)}."
    elif len(steps) == 1:
        text += f" {context.shown(figures[steps[0]])}."
    return text


@dataclass(frozen=True)
class Footing:
    """What adds up to what in a table, in words, and whether it does as printed."""

    claim: str
    holds: bool


def footed(context: Context, block: Block, footing: Footing) -> Block:
    """A table with a note that says whether it adds up as printed, and which digits were moved for it.

    Args:
        context: Knows how its figures are printed.
        block: The table.
        footing: What adds up.
    """
    shown = [run["figure"] for run in runs_of(block) if isinstance(run, dict) and "figure" in run]
    figures = [context.factory.book[name] for name in shown]
    words = footing.claim
    if not footing.holds:
        words = "Numbers are rounded one by one and may not add up in the last digit"
    elif any(figure.display.moved for figure in figures):
        words += f"; the last digit of those marked {MARK} is moved for it"
    if any(figure.display.text in UNKNOWN_PARTS and figure.metric in ADDED for figure in figures):
        words += "; of what is not measured or has no factor, the totals hold nothing either"
    return block | {"note": [f"{words}."]}


def step_table(
    context: Context, id_: str, caption: str, series: Mapping[str, Mapping[DayRange, Figure]], footing: Footing | None
) -> None:
    """Leave the numbers behind a chart over time for the section `figures`; each cell names its figure.

    Args:
        context: Where they are left.
        id_: Id of the table.
        caption: What stands above it.
        series: Figures by step, by the label of their column.
        footing: What adds up in it; None where nothing does.
    """
    steps = list(next(iter(series.values())))
    rows: list[Sequence[Runs]] = [
        [[_short_step(step)], *([cell(figures[step])] for figures in series.values())] for step in steps
    ]
    columns = [Column(context.step_noun.capitalize(), width=1), *(Column(name, "right", 1) for name in series)]
    made = table(id_, caption, columns, rows, dense=True)
    context.chart_data.append(footed(context, made, footing) if footing else made)


def _short_step(step: DayRange) -> str:
    """`19 Nov`, or the month's name."""
    name = MONTH_NAMES[step.first.month - 1]
    return f"{step.first.day} {name[:SHORT]}" if len(step) == 1 else name


def cell(figure: Figure | None) -> Run:
    """A figure's number, or a dash."""
    return "–" if figure is None else number(figure, unit=False)

"""What charts of several sections need: rows that plot figures, the days' labels, and a chart in words.

What belongs here: from figures to a chart's rows and alternative text. What does not: which charts there are
(the sections), or how they look (reports/charts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.rounding import Scale
from energy_assets.disclosures.sections.common import Context, day_words, largest, smallest, span_words

#: Days of a chart up to which every bar is labelled.
LABELLED = 12


def plot(figure: Figure, context: Context) -> dict[str, Any]:
    """A chart's row: geometry from the exact value, text and id from the figure."""
    display = context.factory.book[figure.id].display
    exact = Scale("", display.power, 9).rounded(figure.number or Decimal(0))
    return {
        "value": None if figure.number is None else float(exact),
        "text": display.text if figure.number is not None else "",
        "figure": figure.id,
    }


def day_names(days: Sequence[date]) -> dict[date, str]:
    """Labels of every day from the first to the last with data; days without data keep their place."""
    span = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
    long = len(span) <= 10
    return {day: f"{day.day} {day_words(day).split(' ')[1][:3]}" if long else str(day.day) for day in span}


def labelled(names: Mapping[date, str]) -> str:
    """What a caption says of the labels that `totals` makes."""
    return "the highest and the lowest day are labelled" if len(names) > LABELLED else "totals above the bars"


def totals(context: Context, figures: Mapping[date, Figure], names: Mapping[date, str]) -> list[dict[str, Any]]:
    """Labels above the bars: every day of a short span; where that would crowd, the highest and the lowest."""
    known = {day: figure for day, figure in figures.items() if figure.number is not None}
    if len(names) > LABELLED:
        ends = {figure.id for figure in (largest([*known.values()]), smallest([*known.values()])) if figure}
        known = {day: figure for day, figure in known.items() if figure.id in ends}
    return [{"layer": "total", "day": names[day]} | plot(figure, context) for day, figure in known.items()]


def by_day_alt(context: Context, what: str, figures: Mapping[date, Figure]) -> str:
    """A chart by day in words: its span, and its extremes."""
    days = list(figures)
    text = f"{what}, {span_words(days[0], days[-1])}."
    high, low = largest(list(figures.values())), smallest(list(figures.values()))
    when = {figure.id: day_words(day) for day, figure in figures.items()}
    if high and low:
        text += f" Highest on {when[high.id]} with {context.shown(high)}, "
        text += f"lowest on {when[low.id]} with {context.shown(low)}."
    elif len(days) == 1:
        text += f" {context.shown(figures[days[0]])}."
    return text

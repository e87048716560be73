"""What several sections need: the headline figures, dates in words, and choices made from figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from energy_assets.disclosures.document import Run, number
from energy_assets.disclosures.figure_factory import FigureFactory
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.framework import Framework

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True)
class Headline:
    """The figures that several sections speak of; made first, so that they have the first numbers."""

    facility: Figure
    it: Figure
    overhead: Figure
    location: Figure
    upstream: Figure
    lifecycle: Figure
    wh_request: Figure
    wh_token: Figure
    g_request: Figure
    intensity: Figure
    idle: Figure
    coverage: Figure
    cost: Figure
    cost_per_kwh: Figure
    requests: Figure
    prompt_tokens: Figure
    generated_tokens: Figure
    attributed: Figure
    factored: Figure
    days_with: Figure
    days_in: Figure

    @property
    def partial(self) -> bool:
        """The month is not covered in full."""
        return self.days_with.number != self.days_in.number


@dataclass(frozen=True)
class Context:
    """What every section is given."""

    factory: FigureFactory
    framework: Framework
    headline: Headline

    @property
    def direct(self) -> bool:
        """Location-based emissions rest on direct factors, so that upstream comes on top."""
        return self.factory.inputs.factor_basis == "direct"

    def shown(self, figure: Figure) -> str:
        """A figure as text with its unit, for alternative texts; read late, after tables were made to foot."""
        display = self.factory.book[figure.id].display
        return f"{display.text} {display.unit}".strip()


def day_words(day: date, *, year: bool = False) -> str:
    """`16 November`."""
    return f"{day.day} {MONTHS[day.month - 1]}" + (f" {day.year}" if year else "")


def span_words(first: date, last: date) -> str:
    """`16 to 22 November 2026`, for days of one month."""
    if first == last:
        return day_words(first, year=True)
    return f"{first.day} to {day_words(last, year=True)}"


def largest(figures: Sequence[Figure]) -> Figure | None:
    """The one figure that is larger than all others; None on a tie, or when there is nothing to compare."""
    return _extreme(figures, -1)


def smallest(figures: Sequence[Figure]) -> Figure | None:
    """The one figure that is smaller than all others."""
    return _extreme(figures, 1)


def _extreme(figures: Sequence[Figure], sign: int) -> Figure | None:
    known = sorted(
        (figure for figure in figures if figure.number is not None),
        key=lambda figure: sign * (figure.number or Decimal(0)),
    )
    if len(known) < 2 or known[0].number == known[1].number:
        return None
    return known[0]


def certainty(figure: Figure) -> list[Run]:
    """The line below a headline figure: its 95 % interval, where it is known."""
    if figure.uncertainty_pct is None:
        return ["interval not known"] if figure.number is not None else []
    return [number(figure, part="uncertainty", ref=False), " at 95 %"]

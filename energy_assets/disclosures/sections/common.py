"""What several sections need: the context of a report, dates in words, and choices made from figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from energy_assets.disclosures.document import Block, Run, number
from energy_assets.disclosures.figure_factory import FigureFactory
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.named import named
from energy_assets.disclosures.profile import Emission, Profile
from energy_assets.disclosures.reading import NOT_FILLED
from energy_assets.kpis.ingredients import Filter
from energy_assets.periods import MONTH_NAMES, DayRange, Period


@dataclass(frozen=True)
class Context:
    """What every section is given.

    Attributes:
        factory: Makes and numbers figures.
        chart_data: Tables of the numbers behind the charts so far; the section `figures` prints them.
        shared: What one section computed and others speak of, by name.
    """

    factory: FigureFactory
    chart_data: list[Block] = field(default_factory=list)
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        """What the report consists of."""
        return self.factory.profile

    @property
    def period(self) -> Period:
        """What the report is about."""
        return self.factory.inputs.period

    @property
    def direct(self) -> bool:
        """Location-based emissions rest on direct factors, so that upstream comes on top."""
        return self.factory.inputs.factor_basis == "direct"

    @property
    def emissions(self) -> tuple[Emission, ...]:
        """The scopes and categories to print; life-cycle factors contain the upstream, which then is none apart."""
        scopes = self.profile.emissions
        return scopes if self.direct else tuple(scope for scope in scopes if not scope.figure.endswith("upstream_g"))

    @property
    def not_covered(self) -> list[str]:
        """Quantities of the profile's `omissions` that no row holds."""
        omissions = self.profile.omissions
        filled = {column for column in NOT_FILLED if self.factory.gaps[f"{column}_rows"]}
        market = self.factory.inputs.tables.get("emissions_market")
        if market is not None and market.market_g.notnull().any().to_pyarrow().as_py():
            filled.add("market_g")
        return [column for column in NOT_FILLED if column in omissions and column not in filled]

    def unexpected(self, expected: Collection[str]) -> list[Emission]:
        """The scopes and categories with emissions that are not among the names of figures given."""
        others = [emission for emission in self.emissions if emission.figure not in expected]
        return [emission for emission in others if self.figure(emission.figure).number]

    def is_printed(self, name: str) -> bool:
        """Whether a figure is stated, or contained in another one."""
        contained = {scope.figure for scope in self.profile.emissions} - {scope.figure for scope in self.emissions}
        return name not in contained

    @property
    def metered(self) -> bool:
        """Whether any source tells of energy, be it observed or not; a site may have bills or requests alone."""
        return bool(self.factory.gaps["rows"])

    @property
    def partial(self) -> bool:
        """The period is not covered in full."""
        return self.figure("days_with_data").number != self.figure("days_in_period").number

    @property
    def step_noun(self) -> str:
        """What the period is divided into: day or month."""
        return "day" if self.factory.by_day else "month"

    def figure(self, name: str) -> Figure:
        """A figure of the whole period by the name of its KPI, or of `named.DERIVED`."""
        return named(self.factory, name)

    def shown(self, figure: Figure) -> str:
        """A figure as text with its unit, for alternative texts; read late, after tables were made to foot."""
        display = self.factory.book[figure.id].display
        return f"{display.text} {display.unit}".strip()


def months_of(period: Period) -> Filter:
    """The rows of a table by month that are of a period.

    Args:
        period: Of the report.
    """
    months = [month.first.isoformat() for month in period.months]
    return Filter("month", "=", months[0]) if len(months) == 1 else Filter("month", "between", (months[0], months[-1]))


def in_period(period: Period) -> str:
    """`in September 2026`, `in the third quarter of 2026`, `in 2026`."""
    return f"in the {period.words}" if period.grain == "quarter" else f"in {period.words}"


def day_words(day: date, *, year: bool = False) -> str:
    """`16 November`.

    Args:
        day: Any day.
        year: Add the year.
    """
    return f"{day.day} {MONTH_NAMES[day.month - 1]}" + (f" {day.year}" if year else "")


def step_words(step: DayRange) -> str:
    """`16 November` for a day, `November` for a month."""
    return day_words(step.first) if len(step) == 1 else MONTH_NAMES[step.first.month - 1]


def span_words(first: date, last: date) -> str:
    """`16 to 22 November 2026`, `30 October to 2 November 2026`, `30 December 2026 to 2 January 2027`.

    Args:
        first: First day.
        last: Last day, included.
    """
    if first == last:
        return day_words(first, year=True)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {day_words(last, year=True)}"
    return f"{day_words(first, year=first.year != last.year)} to {day_words(last, year=True)}"


def data_words(days: Sequence[date]) -> str:
    """When data are of, at the beginning of a sentence: `From 19 to 25 November 2026`; gaps are said.

    Args:
        days: Days with data, in order; at least one.
    """
    span = span_words(days[0], days[-1])
    if len(days) == 1:
        return f"On {span}"
    whole = (days[-1] - days[0]).days + 1 == len(days)
    return f"From {span}" + ("" if whole else ", on the days with data,")


def steps_words(steps: Sequence[DayRange]) -> str:
    """The span of a chart: `16 to 22 November 2026`, `January to November 2026`."""
    first, last = steps[0], steps[-1]
    if len(first) == 1:
        return span_words(first.first, last.last)
    whole = f"{step_words(last)} {last.first.year}"
    return whole if first == last else f"{step_words(first)} to {whole}"


def largest(figures: Sequence[Figure]) -> Figure | None:
    """The one figure that is larger than all others; None where two print alike, or there is nothing to compare."""
    return _extreme(figures, -1)


def smallest(figures: Sequence[Figure]) -> Figure | None:
    """The one figure that is smaller than all others."""
    return _extreme(figures, 1)


def _extreme(figures: Sequence[Figure], sign: int) -> Figure | None:
    known = sorted(
        (figure for figure in figures if figure.number is not None),
        key=lambda figure: sign * (figure.number or Decimal(0)),
    )
    if len(known) < 2 or known[0].display.text == known[1].display.text:
        return None
    return known[0]


def certainty(figure: Figure) -> list[Run]:
    """The line below a headline figure: its 95 % interval, where it is known."""
    if figure.uncertainty_pct is None:
        return ["interval not known"] if figure.number is not None else []
    return [number(figure, part="uncertainty", ref=False), " at 95 %"]

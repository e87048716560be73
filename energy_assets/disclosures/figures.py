"""Figures: facts with an id, from which every printed number is rendered.

What belongs here: what a figure is, its canonical JSON, and the book that numbers figures. What does not: which
figures a report has (`ml_sustainability`), how they look (the templates).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from energy_assets.disclosures.missing import NOT_MEASURED
from energy_assets.disclosures.rounding import EXACT, MINUS, MOVED, Scale, grouped, ungrouped
from energy_assets.kpis.evidence import MatchedRatio
from energy_assets.kpis.ingredients import Selection
from energy_assets.kpis.own_evidence import OwnSums

#: Printed behind a number that was rounded away from its own value, so that its table adds up.
MARK = "\N{DAGGER}"
WHOLE, TENTH = Decimal(100), Decimal("0.1")


@dataclass(frozen=True)
class Input:
    """One ingredient of a figure.

    Attributes:
        role: `value`, `numerator` or `denominator`; `rows`: rows that an indicator of one's own is made of.
        value: The exact value of the ingredient.
        selection: The rows it is read from (a KPI row, or lake rows).
        base: The lake rows that a KPI's ingredient adds up, where that is one sum.
        factor: What the sum of `base` is multiplied with to give `value` (1,000 Wh per kWh …).
    """

    role: str
    value: str | None
    selection: Selection
    base: Selection | None = None
    factor: str = "1"

    def to_json(self) -> dict[str, Any]:
        """Role, value, selection; the base rows and their factor only where they are known."""
        content: dict[str, Any] = {"role": self.role, "value": self.value, "selection": self.selection.to_json()}
        if self.base:
            content |= {"base": self.base.to_json(), "factor": self.factor}
        return content


@dataclass(frozen=True)
class Display:
    """A value as it is printed.

    Attributes:
        text: The number, grouped and rounded; the reason's short form where there is no value.
        unit: The printed unit, without a leading space.
        rule: The rounding rule.
        power: Powers of ten between the stored and the printed unit.
        decimals: Printed decimals.
        uncertainty: `±3.1 %`, or empty.
        interval: `2,801.2 – 2,941.6`, or empty.
        coverage: `98.7 %`, or empty.
    """

    text: str
    unit: str = ""
    rule: str = ""
    power: int = 0
    decimals: int = 0
    uncertainty: str = ""
    interval: str = ""
    coverage: str = ""

    @property
    def moved(self) -> bool:
        """Whether the last digit was moved so that a table adds up."""
        return self.rule.startswith(MOVED)

    @property
    def mark(self) -> str:
        """What is printed behind the number; facts.csv and the tags hold the number alone."""
        return MARK if self.moved else ""


@dataclass(frozen=True)
class Figure:
    """One fact of a report.

    Attributes:
        id: `F-001` …, in the order in which figures enter the report.
        metric: Name of the quantity: a KPI's name, or that of a derived quantity.
        label: What it is, for a reader.
        period: First and last day, ISO, both included.
        dimensions: The cut: `{"project": "assistants"}`; raw text from tags.
        value: The exact value as a decimal string; None where it is not known.
        unit: Unit of `value`.
        display: The printed form.
        method: Id of the method (see the methodology section).
        operation: How `value` follows from inputs or parents: `row`, `sum`, `ratio`, `count`, `share`,
            `difference`, `percent_change`, `mean`, `max`, `progress`, `portion`, `setting`, `constant`.
        inputs: Ingredients read from tables.
        parents: Ids of the figures it is computed from, in the order of the operation.
        factor_ids: Grid factors with their editions.
        tiers: Share of the energy per quality tier, as decimal strings.
        uncertainty_pct: 95 % interval, ± per cent.
        interval: The same as low and high value, in `unit`.
        coverage: Share of the quantity that was observed.
        pins: Per table a hash over the content fingerprints of the days read.
        reason: Why there is no value.
        maps_to: Codes of reporting standards that ask for this quantity.
        evidence: Of a ratio whose sides are matched, and of an indicator of one's own: the query that gives its
            inputs and its coverage again.
    """

    id: str
    metric: str
    label: str
    period: tuple[str, str]
    value: str | None
    unit: str
    display: Display
    method: str
    operation: str
    dimensions: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    parents: tuple[str, ...] = ()
    factor_ids: tuple[str, ...] = ()
    tiers: Mapping[str, str] = field(default_factory=dict)
    uncertainty_pct: str | None = None
    interval: tuple[str, str] | None = None
    coverage: str | None = None
    pins: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None
    maps_to: tuple[str, ...] = ()
    evidence: MatchedRatio | OwnSums | None = None

    @property
    def number(self) -> Decimal | None:
        """The exact value."""
        return None if self.value is None else Decimal(self.value)

    def to_json(self) -> dict[str, Any]:
        """The figure as plain JSON, every field present; `evidence` only where there is one."""
        display = self.display
        evidence = {} if self.evidence is None else {"evidence": self.evidence.to_json()}
        return evidence | {
            "id": self.id,
            "metric": self.metric,
            "label": self.label,
            "period": {"from": self.period[0], "to": self.period[1]},
            "dimensions": dict(self.dimensions),
            "value": self.value,
            "unit": self.unit,
            "display": {
                "text": display.text,
                "unit": display.unit,
                "rounding": display.rule,
                "decimals": display.decimals,
                "power": display.power,
                "uncertainty": display.uncertainty,
                "interval": display.interval,
                "coverage": display.coverage,
                "mark": display.mark,
            },
            "method": self.method,
            "operation": self.operation,
            "inputs": [item.to_json() for item in self.inputs],
            "parents": list(self.parents),
            "factor_ids": list(self.factor_ids),
            "tiers": dict(self.tiers),
            "uncertainty_pct": self.uncertainty_pct,
            "interval": list(self.interval) if self.interval else None,
            "coverage": self.coverage,
            "pins": dict(self.pins),
            "reason": self.reason,
            "maps_to": list(self.maps_to),
        }

    def canonical(self) -> str:
        """Canonical JSON: sorted keys, no spaces, UTF-8 kept."""
        return canonical(self.to_json())

    @property
    def fingerprint(self) -> str:
        """sha256 of the canonical JSON."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


class FigureBook:
    """Numbers figures in the order they come and finds them again; the same fact is never numbered twice."""

    def __init__(self, figures: Sequence[Figure] = ()) -> None:
        self._figures: dict[str, Figure] = {figure.id: figure for figure in figures}
        self._keys: dict[str, str] = {_key(figure): figure.id for figure in figures}

    def __iter__(self) -> Iterator[Figure]:
        return iter(self._figures.values())

    def __len__(self) -> int:
        return len(self._figures)

    def __getitem__(self, id_: str) -> Figure:
        try:
            return self._figures[id_]
        except KeyError:
            last = next(reversed(self._figures), "none")
            raise KeyError(f"there is no figure '{id_}' in this report; the last one is {last}") from None

    def add(self, figure: Figure) -> Figure:
        """Give `figure` the next id, or return the equal fact that has one."""
        known = self._keys.get(_key(figure))
        if known:
            return self._figures[known]
        numbered = replace(figure, id=f"F-{len(self._figures) + 1:03d}")
        self._figures[numbered.id] = numbered
        self._keys[_key(numbered)] = numbered.id
        return numbered

    def redisplay(self, id_: str, rounded: Decimal, scale: Scale, rule: str) -> None:
        """Print a figure with another rounding, so that its table foots.

        Args:
            id_: Of the figure.
            rounded: The new value, in the printed unit.
            scale: Printed unit, power of ten and decimals.
            rule: The rule of rounding, in words.
        """
        figure = self._figures[id_]
        display = replace(figure.display, text=_nonzero(rounded, figure.number, scale), rule=rule)
        self._figures[id_] = replace(figure, display=display)


def canonical(content: Any) -> str:
    """Canonical JSON text of plain content."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def plain(value: Decimal) -> str:
    """An exact decimal without exponent and without trailing zeros."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def display_of(
    value: Decimal | None,
    scale: Scale,
    *,
    uncertainty_pct: Decimal | None = None,
    coverage: Decimal | None = None,
    signed: bool = False,
    missing: str = NOT_MEASURED,
) -> Display:
    """Print `value` on `scale`; a missing value prints as words, never as zero.

    Args:
        value: In the stored unit; None where unknown.
        scale: Printed unit, power of ten and decimals.
        uncertainty_pct: Half the width of the 95 % interval, in % of the value.
        coverage: Share that is covered, 0 to 1.
        signed: Print a plus before gains.
        missing: Words for a missing value.
    """
    if value is None:
        return Display(text=missing, rule="not rounded")
    text = _nonzero(scale.rounded(value), value, scale)
    if scale.unit == "%" and not signed and value < 1 and scale.rounded(value) >= WHOLE:
        # A share that is not the whole must not read like it.
        text = f">{grouped(WHOLE - scale.step)}"
    if signed and value > 0 and not text.startswith("<"):
        text = f"+{text}"
    interval = ""
    if uncertainty_pct is not None:
        low, high = bounds(value, uncertainty_pct)
        interval = f"{grouped(scale.rounded(low))} – {grouped(scale.rounded(high))}"
    return Display(
        text=text,
        unit=scale.unit,
        rule=scale.rule,
        power=scale.power,
        decimals=scale.decimals,
        uncertainty="" if uncertainty_pct is None else f"±{_short_per_cent(uncertainty_pct)} %",
        interval=interval,
        coverage="" if coverage is None else f"{_part_of_hundred(coverage)} %",
    )


def as_printed(figure: Figure) -> Display:
    """The display that the exact value of a figure asks for; where its last digit was moved, what it has if it may.

    Args:
        figure: Of a report.
    """
    shown, value = figure.display, figure.number
    if value is None:
        return shown
    scale = Scale(shown.unit, shown.power, shown.decimals)
    made = display_of(
        value,
        scale,
        uncertainty_pct=None if figure.uncertainty_pct is None else Decimal(figure.uncertainty_pct),
        coverage=None if figure.coverage is None else Decimal(figure.coverage),
        signed=shown.text.startswith("+"),
    )
    if shown.moved and _within_a_step(shown.text, scale.exact(value), scale.step):
        return replace(made, text=shown.text, rule=shown.rule)
    return made


def _within_a_step(text: str, exact: Decimal, step: Decimal) -> bool:
    """Whether a moved number is one of the two neighbours of the exact one."""
    try:
        printed = Decimal(0) if text.startswith(("<", ">")) else ungrouped(text)
    except InvalidOperation:
        return False
    return abs(printed - exact) < step and printed % step == 0


def bounds(value: Decimal, uncertainty_pct: Decimal) -> tuple[Decimal, Decimal]:
    """The 95 % interval in the unit of `value`; a quantity that cannot be negative starts at zero.

    Args:
        value: In any unit.
        uncertainty_pct: Half the width of the interval, in % of the value.
    """
    margin = EXACT.multiply(abs(value), EXACT.divide(uncertainty_pct, Decimal(100)))
    low = value - margin
    return (max(low, Decimal(0)) if value >= 0 else low), value + margin


def _part_of_hundred(share: Decimal) -> str:
    """A share in per cent to one decimal, as shares are printed; one that is not the whole does not read like it."""
    rounded = (share * 100).quantize(TENTH, context=EXACT)
    return f">{WHOLE - TENTH}" if share < 1 and rounded >= WHOLE else _short_per_cent(share * 100)


def _short_per_cent(value: Decimal) -> str:
    """To one decimal; what is not zero does not read like it."""
    rounded = value.quantize(TENTH, context=EXACT)
    return f"<{TENTH}" if value > 0 and not rounded else f"{rounded:f}"


def _nonzero(rounded: Decimal, exact: Decimal | None, scale: Scale) -> str:
    """A value that rounds to zero but is not: `<0.1`."""
    if rounded == 0 and exact:
        return f"<{grouped(scale.step)}" if exact > 0 else f">{MINUS}{grouped(scale.step)}"
    return grouped(abs(rounded) if rounded == 0 else rounded)


def _key(figure: Figure) -> str:
    """Equal for the same fact: metric, cut, period, operation, unit and what it is made from."""
    return canonical(
        [
            figure.metric,
            dict(figure.dimensions),
            list(figure.period),
            figure.operation,
            figure.unit,
            figure.method,
            list(figure.parents),
            [item.to_json() for item in figure.inputs],
        ]
    )

"""Indicators of an organisation's own, as `kpis` in site.yaml describes them.

What belongs here: the block of the file, and the rules by which an indicator may mean something: one unit on each side,
one scope of the GHG Protocol, one currency, nothing counted twice. What does not: how an expression is written
(`contracts/expressions.py`), whether a unit is true (`own_units.py`), and computing it (`kpis/own.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from energy_assets.contracts.expressions import Condition, ExpressionError, Term, parsed
from energy_assets.contracts.measures import CURRENCY_COLUMN, MONEY, Measure, same_thing
from energy_assets.contracts.vocabulary import GhgScope
from energy_assets.own_units import SHARE, unit_says
from energy_assets.sources.base import Strict

PREFIX = "own_"
BOTH_SIDES = "; `where` is of both sides, and what is of one measure alone stands in brackets behind it"
Dimension = Literal["source", "zone", "project", "model_id", "workload_type", "ghg_scope"]
#: Category of the GHG Protocol by scope of the row and basis of the measure; of bought services all is one.
CATEGORIES: dict[tuple[str, str], str] = {
    (GhgScope.SCOPE2, "location-based"): "Scope 2",
    (GhgScope.SCOPE2, "upstream"): "Scope 3.3",
    (GhgScope.SCOPE2, "grid losses"): "Scope 3.3",
    (GhgScope.SCOPE2, "embodied"): "Scope 3.2",
    (GhgScope.SCOPE2, "life-cycle"): "the life cycle of Scope 2",
    (GhgScope.SCOPE38, "location-based"): "Scope 3.8",
    (GhgScope.SCOPE38, "upstream"): "the upstream of Scope 3.8",
    (GhgScope.SCOPE38, "grid losses"): "the losses of Scope 3.8",
    (GhgScope.SCOPE38, "embodied"): "the hardware of Scope 3.8",
    (GhgScope.SCOPE38, "life-cycle"): "the life cycle of Scope 3.8",
}


@dataclass(frozen=True)
class Sides:
    """What an indicator is computed from.

    Attributes:
        numerator: Terms that are added.
        denominator: Terms that it is divided by; None for a sum.
    """

    numerator: tuple[Term, ...]
    denominator: tuple[Term, ...] | None

    @property
    def terms(self) -> tuple[Term, ...]:
        """All of them."""
        return (*self.numerator, *(self.denominator or ()))


class OwnKpi(Strict):
    """An indicator of one's own: sums of measures, one divided by another."""

    name: Annotated[str, StringConstraints(max_length=60)] = Field(
        description="the value of the column `kpi`: own_, then small letters, digits and _"
    )
    label: str = Field(min_length=1, max_length=120, description="for a reader")
    unit: str = Field(
        min_length=1, max_length=80, description="of the value, for example 'kWh per 1,000 requests', or share"
    )
    numerator: str = Field(description="an expression over measures; the value, where there is no denominator")
    denominator: str | None = Field(None, description="an expression over measures that the numerator is divided by")
    where: dict[str, str | list[str]] = Field(
        default_factory=dict, description="column: value, or list of values; conditions on the rows of both sides"
    )
    by: list[Dimension] = Field(default_factory=list, description="dimensions it is cut by, beside the total")

    @field_validator("name")
    @classmethod
    def _of_its_own(cls, name: str) -> str:
        if re.fullmatch(rf"{PREFIX}[a-z][a-z0-9_]*", name):
            return name
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removeprefix(PREFIX) or "indicator"
        raise ValueError(
            f"begin it with '{PREFIX}', so that no KPI of ours, now or later, has the same name; "
            f"for example {PREFIX}{plain}"
        )

    @field_validator("numerator", "denominator")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            parsed(text)
        return text

    @model_validator(mode="after")
    def _means_something(self) -> OwnKpi:
        sides = self.sides
        for key, terms in (("numerator", sides.numerator), ("denominator", sides.denominator)):
            if terms:
                _one_unit(key, terms)
                _counted_once(key, terms)
        category = _one_category(sides.terms)
        _one_money(sides.terms)
        _cut_by(self.by, sides.terms)
        unit_says(self.unit, sides.numerator, sides.denominator, category)
        return self

    @cached_property
    def sides(self) -> Sides:
        """Its terms, narrowed by `where`.

        Raises:
            ExpressionError: a measure has no column of `where`.
        """
        chosen = [
            Condition(column, tuple(sorted({value} if isinstance(value, str) else set(value))))
            for column, value in self.where.items()
        ]
        if empty := [one.column for one in chosen if not one.values]:
            raise ExpressionError(f"where: {empty[0]} has no value")
        try:
            above, below = (
                None if text is None else tuple(term.narrowed(chosen) for term in parsed(text))
                for text in (self.numerator, self.denominator)
            )
        except ExpressionError as error:
            raise ExpressionError(f"where: {error}{BOTH_SIDES}") from None
        return Sides(above or (), below)

    @property
    def currency(self) -> str | None:
        """The currency that its measures of money ask for; None where they ask for none, or there are none."""
        found = {term.values_of(CURRENCY_COLUMN) for term in self.sides.terms if term.measure.unit == MONEY}
        asked = [values[0] for values in found if values]
        return asked[0] if asked else None

    @property
    def is_share(self) -> bool:
        """Whether it is a part of a whole."""
        return self.unit == SHARE

    @property
    def formula(self) -> str:
        """It in words."""
        where = " and ".join(f"{column} is {' or '.join([value] if isinstance(value, str) else value)}"
                             for column, value in self.where.items())  # fmt: skip
        below = "" if self.denominator is None else f" / ( {self.denominator} )"
        return f"( {self.numerator} ){below}, added up and divided last" + (f"; rows whose {where}" if where else "")

    def against(self, currency: str) -> str | None:
        """What is wrong with it in an organisation of a currency; None if nothing.

        Args:
            currency: Of the organisation.
        """
        mine = self.currency or currency
        top, _, below = " ".join(self.unit.split()).partition(" per ")
        said = [
            text.split()
            for text, terms in ((top, self.sides.numerator), (below, self.sides.denominator or ()))
            if any(term.measure.unit == MONEY for term in terms)
        ]
        if not self.is_share and any(mine not in words for words in said):
            return (
                f"its money is in {mine}, which its unit '{self.unit}' does not say; write it in the unit, or choose "
                f"another currency with the condition {CURRENCY_COLUMN} == 'USD'"
            )
        return None


def _one_unit(key: str, terms: Sequence[Term]) -> None:
    units = {term.measure.unit: term.measure.name for term in terms}
    if len(units) > 1:
        (one, name), (other, its) = list(units.items())[:2]
        raise ValueError(f"{key}: {name} is in {one} and {its} in {other}; they cannot be added")


def _counted_once(key: str, terms: Sequence[Term]) -> None:
    for one, other in combinations(terms, 2):
        alike = same_thing(one.measure, other.measure) and (one.factor > 0) == (other.factor > 0)
        if alike and not one.disjoint(other):
            raise ValueError(
                f"{key}: {one} and {other} hold rows of the same thing, which would count twice; give them conditions "
                "that exclude each other, or leave one out"
            )


def _one_category(terms: Sequence[Term]) -> str | None:
    """Grams of one scope and category alone, and which that is; None where there are none."""
    found: dict[str, Measure] = {}
    for term in terms:
        if term.measure.basis is None:
            continue
        scopes = term.values_of("ghg_scope") or ()
        if len(scopes) != 1:
            raise ValueError(
                f"{term.measure.name} is of all scopes of the GHG Protocol, which are never added; choose one: where: "
                f"{{ghg_scope: {GhgScope.SCOPE2.value}}}, or {' or '.join(GhgScope.values()[1:])}"
            )
        bought = scopes[0] == GhgScope.SCOPE31
        category = "Scope 3.1" if bought else CATEGORIES[scopes[0], term.measure.basis]
        found[category] = term.measure
    if len(found) > 1:
        (one, name), (other, its) = list(found.items())[:2]
        raise ValueError(
            f"{name.name} is {one} and {its.name} is {other}; scopes are never mixed, so make an indicator of each"
        )
    return next(iter(found), None)


def _one_money(terms: Sequence[Term]) -> None:
    asked = {term.values_of(CURRENCY_COLUMN) for term in terms if term.measure.unit == MONEY}
    if len(asked) > 1 or any(values and len(values) > 1 for values in asked):
        raise ValueError(f"its money is in several currencies, which are never added; ask all of it for one "
                         f"{CURRENCY_COLUMN}")  # fmt: skip


def _cut_by(by: Sequence[str], terms: Sequence[Term]) -> None:
    tables = {term.measure.table for term in terms}
    for dimension in by:
        for term in terms:
            if dimension not in term.measure.dimensions:
                known = ", ".join(term.measure.dimensions)
                raise ValueError(f"by: rows of {term.measure.name} know no {dimension}; they know {known}")
        if dimension == "source" and len(tables) > 1:
            raise ValueError("by: its sides come from different sources, so by source it would have no value")
    if len(set(by)) < len(by):
        raise ValueError("by: names a dimension twice")


def repeated(kpis: Sequence[OwnKpi]) -> Any:
    """The name that two indicators have; None where every one has its own."""
    names = [one.name for one in kpis]
    return next((name for name in names if names.count(name) > 1), None)

"""What indicators of an organisation's own are made of: distinct sums over lake rows, told apart once.

What belongs here: the sums behind the terms of `own_kpis.OwnKpi`, and which rows they and their coverage are over. What
does not: computing them (`own.py`), and the same as SQL (`own_evidence.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from energy_assets.contracts.expressions import Condition, Term
from energy_assets.contracts.measures import CURRENCY_COLUMN, MONEY, Measure
from energy_assets.contracts.vocabulary import MEASURED
from energy_assets.kpis.facts import ENERGY_COLUMNS
from energy_assets.kpis.ingredients import Filter, Selection
from energy_assets.own_kpis import OwnKpi

GRAMS_OF_ELECTRICITY = ("location_g", "lifecycle_g")


@dataclass(frozen=True)
class Sum:
    """A measure added up over some rows.

    Attributes:
        measure: What is added.
        rows: Conditions on the rows.
        looked: Conditions on the rows that its coverage speaks of: of money the rows in any currency.
    """

    measure: Measure
    rows: tuple[Filter, ...]
    looked: tuple[Filter, ...]

    @property
    def selection(self) -> Selection:
        """The rows that are added up."""
        return Selection(self.measure.table, self.measure.name, self.rows)

    @property
    def observed(self) -> Selection:
        """Of the rows of `hours` what is known: hours observed, or lines of a bill."""
        known = Filter(self.measure.name, "is not null")
        if self.measure.table == "cost":
            return Selection("cost", None, (*self.rows, known))
        return Selection(self.measure.table, "coverage", (*self.hours.filters, known))

    @property
    def hours(self) -> Selection:
        """The rows that could be known: hours of telemetry, hours of servers, lines of a bill."""
        telemetry = (Filter("method", "in", MEASURED),) if self.measure.table == "emissions" else ()
        return Selection(self.measure.table, None, (*telemetry, *self.looked))

    @property
    def errors(self) -> tuple[str, ...] | None:
        """The errors that are known of it: `meter`, `factor`; none of what is counted; None: it has unknown ones."""
        if self.measure.table != "emissions":
            return ()
        if self.measure.name in ENERGY_COLUMNS:
            return ("meter",)
        return ("meter", "factor") if self.measure.name in GRAMS_OF_ELECTRICITY else None


@dataclass(frozen=True)
class Part:
    """A number times a sum."""

    factor: Decimal
    sum: Sum


def parts(terms: Iterable[Term], currency: str) -> tuple[Part, ...]:
    """The parts of one side.

    Args:
        terms: Of the side.
        currency: Of money whose terms choose none.
    """
    return tuple(Part(term.factor, _sum(term, currency)) for term in terms)


def sums(kpis: Sequence[OwnKpi], currency: str) -> list[Sum]:
    """The distinct sums of some indicators, in the order in which they come.

    Args:
        kpis: Of the site file.
        currency: The organisation's.
    """
    every = [part.sum for one in kpis for part in parts(one.sides.terms, currency)]
    return list(dict.fromkeys(every))


def denominator_errs(one: OwnKpi) -> bool:
    """Whether what an indicator is divided by has an error.

    Args:
        one: Of the site file.
    """
    return any(part.sum.errors != () for part in parts(one.sides.denominator or (), ""))


def _sum(term: Term, currency: str) -> Sum:
    looked = tuple(map(_filter, term.conditions))
    unasked = term.measure.unit == MONEY and term.values_of(CURRENCY_COLUMN) is None
    own = (Filter(CURRENCY_COLUMN, "=", currency),) if unasked else ()
    return Sum(term.measure, (*looked, *own), looked)


def _filter(condition: Condition) -> Filter:
    return Filter(condition.column, "among", condition.values)

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


def parts(one: OwnKpi, currency: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The parts of the numerator, and those of the denominator; none of a sum.

    Of a table that both sides are of, rows count in which all that is asked of it is known: grams of some rows divided
    by the energy of all would be too few.

    Args:
        one: Of the site file.
        currency: Of money whose terms choose none.
    """
    above, below = one.sides.numerator, one.sides.denominator or ()
    # The part of a share is some of its whole, and unknown where that part is.
    shared = set() if one.is_share else {term.measure.table for term in above} & {term.measure.table for term in below}
    known = {
        table: tuple(
            Filter(name, "is not null")
            for name in sorted({term.measure.name for term in one.sides.terms if term.measure.table == table})
        )
        for table in shared
    }

    def side(terms: Iterable[Term]) -> tuple[Part, ...]:
        return tuple(Part(term.factor, _sum(term, currency, known.get(term.measure.table, ()))) for term in terms)

    return side(above), side(below)


def sums(kpis: Sequence[OwnKpi], currency: str) -> list[Sum]:
    """The distinct sums of some indicators, in the order in which they come.

    Args:
        kpis: Of the site file.
        currency: The organisation's.
    """
    every = [part.sum for one in kpis for side in parts(one, currency) for part in side]
    return list(dict.fromkeys(every))


def denominator_errs(one: OwnKpi) -> bool:
    """Whether what an indicator is divided by has an error.

    Args:
        one: Of the site file.
    """
    return any(part.sum.errors != () for part in parts(one, "")[1])


def _sum(term: Term, currency: str, known: tuple[Filter, ...]) -> Sum:
    looked = tuple(map(_filter, term.conditions))
    unasked = term.measure.unit == MONEY and term.values_of(CURRENCY_COLUMN) is None
    own = (Filter(CURRENCY_COLUMN, "=", currency),) if unasked else ()
    return Sum(term.measure, (*looked, *own, *known), looked)


def _filter(condition: Condition) -> Filter:
    return Filter(condition.column, "among", condition.values)

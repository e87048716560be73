"""What was saved, measured afterwards: the same rule's measure of the same subject before and after.

What belongs here: the arithmetic of one opportunity over its months. What does not: what was proposed, an estimate and
never what was saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from energy_assets.periods import Month

PLACES = 9
AMOUNTS = ("measured_kwh", "measured_g", "cost")
"""What is compared: facility energy, location-based grams, cost."""


@dataclass(frozen=True)
class Realised:
    """What became of an opportunity that was done.

    Attributes:
        kwh: Facility energy spared since; below zero where more is used. None where it is not known.
        location_g: The same in location-based grams.
        cost: The same in money.
        currency: Of the cost.
        before: The month that is compared with; None where there is none.
        after: Months that are compared.
        how: How it was normalised, or why it is not known.
    """

    kwh: Decimal | None
    location_g: Decimal | None
    cost: Decimal | None
    currency: str | None
    before: date | None
    after: tuple[date, ...]
    how: str


def sides(rows: Sequence[Mapping[str, Any]], on: date) -> tuple[Mapping[str, Any] | None, list[Mapping[str, Any]]]:
    """The last whole month before a day that measured the subject, and all whole months after it that did.

    Args:
        rows: Of one opportunity, of any months.
        on: The day on which it was done; a month that begins on it lies after.
    """
    measured = sorted((row for row in rows if row["units"]), key=lambda row: row["month"])
    before = [row for row in measured if Month.of(row["month"]).days.last < on]
    return (before[-1] if before else None), [row for row in measured if row["month"] >= on]


def realised(rows: Sequence[Mapping[str, Any]], on: date) -> Realised:
    """What an opportunity saved since it was done: measure before x units after / units before, less measure after.

    Args:
        rows: Of one opportunity, of any months: month, units, unit, days, measured_kwh, measured_g, cost, currency.
        on: The day on which it was done.
    """
    before, after = sides(rows, on)
    if before is None or not after:
        lacks = f"no whole month before {on}" if before is None else f"no whole month after {on}"
        months = tuple(row["month"] for row in after)
        how = f"not known: {lacks} measured it"
        return Realised(None, None, None, None, before["month"] if before else None, months, how)
    currencies = {row["currency"] for row in (before, *after)}
    alike = len(currencies) == 1
    kwh, grams, cost = (_saved(before, after, name) for name in AMOUNTS)
    days = sum(row["days"] for row in after)
    how = (
        f"per {before['unit'].removesuffix('s') if before['unit'] == 'days' else before['unit']}: "
        f"{Month.of(before['month'])} ({before['days']} days with data) against "
        f"{', '.join(str(Month.of(row['month'])) for row in after)} ({days} days with data)"
    )
    currency = before["currency"] if alike and cost is not None else None
    months = tuple(row["month"] for row in after)
    return Realised(kwh, grams, cost if alike else None, currency, before["month"], months, how)


def _saved(before: Mapping[str, Any], after: Sequence[Mapping[str, Any]], amount: str) -> Decimal | None:
    values = [before[amount], *(row[amount] for row in after)]
    if any(value is None for value in values):
        return None
    units = sum(Fraction(row["units"]) for row in after)
    expected = Fraction(before[amount]) * units / Fraction(before["units"])
    exact = expected - sum(Fraction(row[amount]) for row in after)
    return Decimal(f"{round(exact * 10**PLACES)}e-{PLACES}")

"""Fractions to the decimals of the lake, so that parts add up to their whole to the last digit.

What belongs here: rounding of what plain Python computes exactly. What does not: quantities of tables, which stay
decimals all along.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

KWH_PLACES, GRAM_PLACES = 12, 15
"""Decimals of the columns of facility energy and of grams."""


def kwh_of(exact: Fraction) -> Decimal:
    """Energy to the decimals of the lake, half to even.

    Args:
        exact: In kWh.
    """
    return _rounded(exact, KWH_PLACES)


def grams_of(exact: Fraction) -> Decimal:
    """Grams to the decimals of the lake, half to even.

    Args:
        exact: In grams.
    """
    return _rounded(exact, GRAM_PLACES)


def shared(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """A total in proportion to weights; the parts add up to it exactly, and no part is below zero.

    Each part is the difference of two rounded sums, so that no part is off by more than one unit of the last decimal.

    Args:
        total: In kWh, of no more decimals than the lake keeps.
        weights: None below zero.
    """
    whole = sum((Fraction(weight) for weight in weights), Fraction())
    if not whole:
        return [Decimal(0)] * len(weights)
    parts, before, reached = [], Decimal(0), Fraction()
    for weight in weights:
        reached += Fraction(weight)
        now = kwh_of(Fraction(total) * reached / whole)
        parts.append(now - before)
        before = now
    return parts


def _rounded(exact: Fraction, places: int) -> Decimal:
    return Decimal(f"{round(exact * 10**places)}e-{places}")  # exact, whatever the context

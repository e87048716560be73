"""Exact means of decimals: whole units of the last digit are summed and divided, in every engine the same.

What belongs here: the division and its rounding. What does not: what is averaged.
"""

from __future__ import annotations

from decimal import Decimal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir


def exact_mean(values: ir.DecimalColumn, kind: dt.Decimal) -> ir.DecimalScalar:
    """The mean of a decimal column, rounded half up to its scale: the same digits in every engine.

    Args:
        values: Not negative, at most 10**7 units of the last digit.
        kind: Its decimal type.
    """
    total = (values.cast(f"decimal(38, {kind.scale})") * 10**kind.scale).cast("int64").sum()
    return exact_quotient(total, values.count(), kind)


def exact_quotient(units: ir.IntegerValue, count: ir.IntegerValue, kind: dt.Decimal) -> ir.DecimalValue:
    """Units of the last digit, divided and rounded half up; NULL where there is nothing to divide by.

    An engine may do the one division in doubles: with a divisor of at most 8,784 (hours of a year, or seconds of two
    hours) and 10**7 units the quotient is never so near to a whole number that its floor changes.

    Args:
        units: The sum of the units, not negative.
        count: What they are divided by.
        kind: Decimal type of the quotient.
    """
    wide = f"decimal(38, {kind.scale})"
    whole = (2 * units + count) // (2 * count).nullif(0)
    return (whole.cast(wide) * ibis.literal(Decimal(1).scaleb(-kind.scale), wide)).cast(kind)

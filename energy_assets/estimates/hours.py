"""Charges to hours: what a line says of a day or a month is spread evenly over its hours, and nothing is lost.

What belongs here: the share of each hour. What does not: what the quantity is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.periods import ONE_DAY

LONGEST_DAYS = 31
"""Days before a day whose charges may still run on it: a charge of a month is the longest that bills have."""
DIGITS = 12
"""Decimals to which shares of a quantity are rounded; the shares add up to it exactly."""


def read_days(days: Sequence[date]) -> list[date]:
    """The days whose charges may run on some days: these, and as many before them as a charge may be long.

    Args:
        days: In order.
    """
    first = days[0] - LONGEST_DAYS * ONE_DAY
    return sorted({*days, *(first + n * ONE_DAY for n in range((days[-1] - first).days + 1))})


def hourly(lines: ir.Table, days: Sequence[date]) -> ir.Table:
    """Lines of bills by the hour, those hours that lie on `days`.

    A line of at most one hour of the clock is left as it is. A longer one is shared by its hours in proportion to
    their seconds in it. Each share is the difference of two rounded running totals, so that they add up to the
    printed quantity, whatever the days they are asked for.

    Args:
        lines: With charge_period_start, charge_period_end, hour (of its start) and quantity.
        days: In order, without gaps or with.

    Returns:
        The same columns; `day` and `hour` are those of the share.
    """
    end = lines.charge_period_end
    rows = lines.mutate(until=ibis.ifelse(end > lines.charge_period_start, end, lines.charge_period_start))
    within = rows.until <= rows.hour + ibis.interval(hours=1)
    short = rows.filter(within).drop("until")
    long = _shares(rows.filter(~within)).select(*short.columns)
    both = short.union(long)
    return both.filter(both.day.isin(list(days)))


def _shares(rows: ir.Table) -> ir.Table:
    spread = rows.mutate(of_hour=ibis.range(rows.hour, rows.until, ibis.interval(hours=1)).unnest())
    total = _seconds(spread.charge_period_start, spread.until)
    opens = ibis.greatest(spread.of_hour, spread.charge_period_start)
    closes = ibis.least(spread.of_hour + ibis.interval(hours=1), spread.until)

    def running(moment: Any) -> Any:
        passed = _seconds(spread.charge_period_start, moment)
        part = (spread.quantity.cast("float64") * passed.cast("float64") / total.cast("float64")).round(DIGITS)
        return ibis.ifelse(passed == total, spread.quantity, part.cast(t.MONEY))

    share = (running(closes) - running(opens)).cast(t.MONEY)
    return spread.mutate(quantity=share, hour=spread.of_hour, day=spread.of_hour.date())


def _seconds(start: Any, end: Any) -> Any:
    return end.epoch_seconds() - start.epoch_seconds()


def long_lines(lines: ir.Table) -> ir.Table:
    """Lines that run on a day after the one they start on.

    Args:
        lines: With day and charge_period_end.
    """
    return lines.filter(lines.charge_period_end > (lines.day + ibis.interval(days=1)).cast("timestamp"))

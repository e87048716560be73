"""Values that hold for some minutes, as values of hours: each counts as long as it holds within the hour.

What belongs here: how long a value holds, and the mean over a stretch of time, pure over Ibis tables. What does not:
wire formats, and what stands for an hour that is covered too little (`energy_assets.sources.intensity`).

A publisher's value of 5, 15 or 30 minutes, or of an hour that begins at the half hour (India, South Australia), is no
value of a UTC hour; the mean of those that touch the hour, weighted by the overlap, is.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.sources.exact import exact_quotient

HOUR_S, DAY_S = 3600, 86400

LEAST_COVERED_S = HOUR_S // 2
"""An hour of which less is covered has no value of its own: the next rung of the ladder speaks. From here on what is
covered is most of the hour, and its mean is nearer to the hour's than that of the month."""


def overlap_s(
    begin: ir.IntegerValue, seconds: ir.IntegerValue, first: ir.IntegerValue | int, last: ir.IntegerValue | int
) -> ir.IntegerValue:
    """How many seconds of a stretch of time lie within another one.

    Args:
        begin: Of the one, in seconds.
        seconds: Its length.
        first: Begin of the other.
        last: Its end.
    """
    return ibis.greatest(ibis.least(begin + seconds, last) - ibis.greatest(begin, first), 0)


def overlap_mean(values: ir.DecimalValue, seconds: ir.IntegerValue, kind: dt.Decimal) -> ir.DecimalScalar:
    """The mean of values, each weighted by how long it holds within the time in question, rounded half up.

    Source: the mean of a step function over an interval, sum of value x overlap over the sum of overlaps. Golden case:
    5-minute values 10, 20, 30, 40 over minutes 4 to 20 overlap 1, 5, 5 and 5 minutes: 460 / 16 = 28.75. Time without a
    value has no weight; nothing is interpolated (GHG Protocol Scope 2 Guidance, 2015: the factors of the time and
    place there are).

    Args:
        values: NULL where nothing is known; at most 10**7 units of the last digit.
        seconds: As `overlap_s` tells them, at most some hours together.
        kind: Decimal type of the mean.
    """
    return exact_quotient(moment(values, seconds, kind), weight(values, seconds), kind)


def moment(values: ir.DecimalValue, seconds: ir.IntegerValue, kind: dt.Decimal) -> ir.IntegerScalar:
    """The sum of value x seconds, in units of the last digit: what `overlap_mean` divides.

    Args:
        values: As in `overlap_mean`.
        seconds: As in `overlap_mean`.
        kind: As in `overlap_mean`.
    """
    units = (values.cast(f"decimal(38, {kind.scale})") * 10**kind.scale).cast("int64")
    return (units * seconds).sum().fill_null(0).cast("int64")


def weight(values: ir.DecimalValue, seconds: ir.IntegerValue) -> ir.IntegerScalar:
    """The seconds with a value: what `overlap_mean` divides by.

    Args:
        values: As in `overlap_mean`.
        seconds: As in `overlap_mean`.
    """
    return seconds.sum(where=values.notnull()).fill_null(0).cast("int64")


def lasting(points: ir.Table, series: Sequence[str]) -> ir.Table:
    """How far apart the values of a series are, `step_s`, and how long each one holds, `seconds`.

    Args:
        points: As `spaced` takes them.
        series: Columns that tell series apart.

    Returns:
        One row for each instant of a series: `series`, `at_s`, `step_s` and `seconds`.
    """
    return held(spaced(points, series), series)


def spaced(points: ir.Table, series: Sequence[str]) -> ir.Table:
    """How far apart the values of a series are: what a publisher really answered, whatever was asked.

    It is the usual spacing of the UTC day where the day is filled with it for the most part (series change from hours
    to quarter hours), else the usual one of all days, else what was stated, else an hour; never more than an hour.

    Args:
        points: `series`, `at_s` (seconds since 1970, UTC) and `stated_s` (the spacing that the publisher states, NULL
            where none), one row or more for each instant of a series.
        series: Columns that tell series apart.

    Returns:
        One row for each instant of a series: `series`, `at_s` and `step_s`.
    """
    keys = list(series)
    instants = points.group_by(*keys, "at_s").aggregate(stated_s=points.stated_s.max())
    instants = instants.mutate(day=instants.at_s // DAY_S)
    gap = instants.at_s.lead().over(ibis.window(group_by=keys, order_by="at_s")) - instants.at_s
    gaps = instants.mutate(step_s=gap.isnull().ifelse(ibis.null("int64"), ibis.least(gap, HOUR_S)))
    gaps = gaps.filter(gaps.step_s.notnull())
    counted = gaps.group_by(*keys, "day", "step_s").aggregate(times=gaps.count())
    usual = _most(counted.group_by(*keys, "step_s").aggregate(times=counted.times.sum()), keys)
    daily = _most(counted, [*keys, "day"])
    daily = daily.filter(daily.all * daily.step_s * 2 >= DAY_S)
    found = instants.left_join(daily, [*keys, "day"]).drop([f"{name}_right" for name in (*keys, "day")])
    found = found.rename(daily_s="step_s").drop("all")
    found = found.left_join(usual, keys).drop([f"{name}_right" for name in keys])
    step = ibis.coalesce(found.daily_s, found.step_s, found.stated_s, HOUR_S).cast("int64")
    return found.select(*keys, "at_s", step_s=step)


def held(instants: ir.Table, series: Sequence[str]) -> ir.Table:
    """How long each value holds, `seconds`: for its spacing, or until the next one, if that comes earlier.

    A value does not hold for a gap that follows it, so that what is missing stays missing.

    Args:
        instants: With `at_s` and `step_s`, one row for each instant of a series.
        series: Columns that tell series apart.
    """
    until = instants.at_s.lead().over(ibis.window(group_by=list(series), order_by="at_s")) - instants.at_s
    return instants.mutate(seconds=ibis.least(instants.step_s, ibis.coalesce(until, instants.step_s)))


def by_hour(slots: ir.Table) -> ir.Table:
    """Each value with each hour that it touches: `hour`, `from_s` to `to_s` of the part within it, and `overlap_s`.

    Args:
        slots: With `at_s` and `seconds`, an hour at most.
    """
    begin = slots.at_s // HOUR_S * HOUR_S
    touched = ibis.union(slots.mutate(hour_s=begin), slots.mutate(hour_s=begin + HOUR_S))
    parts = touched.mutate(
        hour=touched.hour_s.cast("int64").as_timestamp("s").cast(t.HOUR),
        from_s=ibis.greatest(touched.at_s, touched.hour_s),
        to_s=ibis.least(touched.at_s + touched.seconds, touched.hour_s + HOUR_S),
        overlap_s=overlap_s(touched.at_s, touched.seconds, touched.hour_s, touched.hour_s + HOUR_S),
    )
    return parts.filter(parts.overlap_s > 0).drop("hour_s")


def covered(seconds: ir.IntegerValue) -> ir.DecimalValue:
    """The share of an hour that so many seconds are.

    Args:
        seconds: At most an hour.
    """
    return exact_quotient(seconds * 10**t.SHARE.scale, ibis.literal(HOUR_S, "int64"), t.SHARE)


def _most(counted: ir.Table, keys: Sequence[str]) -> ir.Table:
    """The most frequent spacing of each group, the finest of equals, and `all` the gaps that were counted."""
    first = ibis.window(group_by=list(keys), order_by=[counted.times.desc(), counted.step_s])
    whole = ibis.window(group_by=list(keys))
    ranked = counted.mutate(place=ibis.row_number().over(first), all=counted.times.sum().over(whole))
    return ranked.filter(ranked.place == 0).select(*keys, "step_s", "all")

"""Stand-ins for missing hours of grid intensity: the lower rungs of the ladder, made from a zone's own hours.

What belongs here: the arithmetic every intensity source shares, pure over Ibis tables. What does not: wire
formats, and the choice among hour, month and year (that is `energy_assets.factors`).
"""

from __future__ import annotations

import re
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.periods import DayRange
from energy_assets.sources.exact import exact_mean

INTENSITIES = ("lifecycle_gco2e_per_kwh", "direct_gco2e_per_kwh")
MAX_GCO2E_PER_KWH = 3000
"""Above any grid: lignite alone stays below 1,500 g/kWh, life-cycle."""

LEAST_GCO2E_PER_KWH = Decimal(MAX_GCO2E_PER_KWH) / 1000
"""Below any grid over its life cycle: wind, water and atom alone take more. Any grid is below it in kilograms."""
MOST_WITHOUT_FIRE = 300
"""Above the life cycle of what counts as emitting nothing where it stands: biomass takes the most, 230 g/kWh (median of
IPCC 2014)."""

LEAST_OF_A_FIRE = 50
"""Where hours usually have more than this, in grams per kWh, something burns all the time: 0 is hardly true there."""

_MARGINAL = re.compile(r"(?<![a-z])(c?moer|[ls]rmer|lme|marginal)(?![a-z])", re.IGNORECASE)
"""What names of marginal rates say: WattTime's MOER, Cambium's long-run and short-run rates, PJM's locational ones."""

HOURS = ibis.schema(
    {
        "hour": t.HOUR,
        "zone": t.TEXT,
        "lifecycle_gco2e_per_kwh": t.FACTOR,
        "direct_gco2e_per_kwh": t.FACTOR,
        "carbon_free_share": t.SHARE,
        "is_estimated": t.FLAG,
        "hour_covered": t.SHARE,
        "answered_minutes": t.MINUTES,
        "factor_id": t.TEXT,
        "raw_sha256": t.TEXT,
    }
)
"""Published hours, one row per zone and hour; an hour without any intensity has no row."""

OF_HOURS = ("hour", "is_estimated", "hour_covered", "answered_minutes")
"""What no mean of a month or year has."""

ROWS = ibis.schema(
    {
        "day": t.DAY,
        **{name: kind for name, kind in HOURS.items() if name not in ("factor_id", "raw_sha256")},
        "resolution": t.TEXT,
        "factor_id": t.TEXT,
        "raw_sha256": t.TEXT,
    }
)
"""The columns of the contract `IntensityRows`."""

MEANS = ibis.schema({name: kind for name, kind in HOURS.items() if name not in OF_HOURS})
"""A mean of a zone; `raw_sha256` and `factor_id` are those of the last hour that went into it."""

_VALUES = {name: kind for name, kind in MEANS.items() if name not in ("zone", "factor_id", "raw_sha256")}


def marginal_word(name: str) -> str | None:
    """The word by which a name says that its values are marginal rates; None where none does.

    Source: GHG Protocol Scope 2 Guidance (2015), which defines the location-based method by the average emissions
    intensity of the grid. A marginal rate says what one kWh more would cause: it is for scheduling, and no inventory
    may be made of it.

    Args:
        name: Of a column, a file or a publication.
    """
    found = _MARGINAL.search(name)
    return found[1] if found else None


def looks_like_kilograms(direct: Decimal | None, lifecycle: Decimal | None) -> bool:
    """Whether values that should be grams per kWh are so small that they were probably written in kilograms.

    No life-cycle value of a grid is that small, and none is 0. A direct one may be, where a grid burns next to nothing:
    then the life-cycle value beside it is that of such a grid.

    Args:
        direct: Combustion alone; None where it is not known.
        lifecycle: Upstream included; None where it is not known.
    """
    if lifecycle is not None and lifecycle < LEAST_GCO2E_PER_KWH:
        return True
    fits = lifecycle is not None and LEAST_GCO2E_PER_KWH <= lifecycle <= MOST_WITHOUT_FIRE
    return direct is not None and 0 < direct < LEAST_GCO2E_PER_KWH and not fits


def values_said(direct: Decimal | None, lifecycle: Decimal | None) -> str:
    """Both values for a sentence: `363 g/kWh direct, 427 g/kWh life-cycle`.

    Args:
        direct: Combustion alone; None where it is not known.
        lifecycle: Upstream included; None where it is not known.
    """
    values = (("direct", direct), ("life-cycle", lifecycle))
    return ", ".join(f"{grams.normalize():f} g/kWh {basis}" for basis, grams in values if grams is not None)


def far_apart(one: Decimal, other: Decimal) -> bool:
    """Whether two intensities of the same time can hardly both be right: one is more than twice the other.

    Args:
        one: In grams per kWh.
        other: In grams per kWh.
    """
    return max(one, other) > 2 * min(one, other)


def too_many(means: int, hours: int, never: int, days: int) -> bool:
    """Whether so many hours take a mean that a figure may be wrong: one in 20, or an hour of the day on all days.

    Args:
        means: Hours without a value of their own.
        hours: All of them.
        never: Hours of the day that have none on any day.
        days: How many days are looked at.
    """
    return means * 20 > hours or (never > 0 and days > 1)


def rows_with_stand_ins(hours: ir.Table, months: ir.Table, years: ir.Table, days: DayRange) -> ir.Table:
    """The rows of `days` in the contract `IntensityRows`: hours as published, stand-ins where one is missing.

    A missing hour (no row, or one of the two intensities unknown) gets the mean of the same hour of day over
    the zone's calendar month and the zone's mean of the calendar year, as far as these know what the hour
    lacks. Nothing is interpolated.

    Args:
        hours: `HOURS`.
        months: `MEANS` with columns `month` and `clock`, as `month_means` gives them.
        years: `MEANS` with a column `year`, one row per zone and year.
        days: The days wanted.
    """
    wanted = _every_hour(hours, years, days)
    known = wanted.inner_join(hours, ["zone", "hour"]).select(*HOURS.names)
    gaps = _gaps(wanted, known)
    month = _standing_in(
        gaps.mutate(month=gaps.hour.truncate("M"), clock=gaps.hour.hour()),
        months,
        ["month", "clock"],
    )
    year = _standing_in(gaps.mutate(year=gaps.hour.year()), years, ["year"])
    parts = [
        known.mutate(resolution=ibis.literal("hour")),
        month.mutate(resolution=ibis.literal("month")),
        year.mutate(resolution=ibis.literal("year")),
    ]
    rows = ibis.union(*(part.select(*HOURS.names, "resolution") for part in parts))
    return rows.select(
        rows.hour.date().name("day"),
        "hour",
        "zone",
        *_VALUES,
        "is_estimated",
        "hour_covered",
        "answered_minutes",
        "resolution",
        "factor_id",
        "raw_sha256",
    )


def month_means(hours: ir.Table) -> ir.Table:
    """`MEANS` of each zone, calendar month (`month`, its first instant) and hour of day (`clock`)."""
    return _means(_with_month(hours), ["month", "clock"])


def year_means(hours: ir.Table) -> ir.Table:
    """`MEANS` of each zone and calendar year (`year`)."""
    return _means(_with_year(hours), ["year"])


def _with_month(table: ir.Table) -> ir.Table:
    return table.mutate(month=table.hour.truncate("M"), clock=table.hour.hour())


def _with_year(table: ir.Table) -> ir.Table:
    return table.mutate(year=table.hour.year())


def _means(hours: ir.Table, period: list[str]) -> ir.Table:
    values = {name: exact_mean(hours[name], kind) for name, kind in _VALUES.items()}
    return hours.group_by("zone", *period).aggregate(
        **values,
        factor_id=hours.factor_id.argmax(hours.hour),
        raw_sha256=hours.raw_sha256.argmax(hours.hour),
    )


def _every_hour(hours: ir.Table, years: ir.Table, days: DayRange) -> ir.Table:
    """Each zone with each hour of `days`."""
    zones = ibis.union(hours.select("zone"), years.select("zone"), distinct=True)
    first, end = (ibis.timestamp(instant.replace(tzinfo=None)) for instant in (days.start, days.end))
    clock = ibis.range(first, end, ibis.interval(hours=1)).unnest().name("hour")
    return zones.mutate(clock).cast({"hour": t.HOUR})


def _gaps(wanted: ir.Table, known: ir.Table) -> ir.Table:
    """Zone and hour of every gap, and which of the intensities is missing there."""
    joined = wanted.left_join(known, ["zone", "hour"])
    lacking = {f"lacks_{name}": joined[name].isnull() for name in INTENSITIES}
    gaps = joined.select("zone", "hour", **lacking)
    return gaps.filter(gaps[f"lacks_{INTENSITIES[0]}"] | gaps[f"lacks_{INTENSITIES[1]}"])


def _standing_in(gaps: ir.Table, means: ir.Table, period: list[str]) -> ir.Table:
    """`HOURS` for those gaps that the means know more about."""
    found = gaps.inner_join(means, ["zone", *period])
    first, second = (found[f"lacks_{name}"] & found[name].notnull() for name in INTENSITIES)
    filled = found.filter(first | second).mutate(
        is_estimated=True, hour_covered=ibis.null(t.SHARE), answered_minutes=ibis.null(t.MINUTES)
    )
    return filled.select(*HOURS.names)

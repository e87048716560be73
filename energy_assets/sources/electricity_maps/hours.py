"""Points of Electricity Maps to hours: both intensities joined, finer values averaged by overlap.

What belongs here: which of several answers a value is taken from, and what of an hour is known. What does not: the JSON
(`parse`), and stand-ins for missing hours (`energy_assets.sources.intensity`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date
from functools import cache
from typing import Any
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts import types as t
from energy_assets.periods import DayRange
from energy_assets.sources.electricity_maps.client import BASES
from energy_assets.sources.electricity_maps.parse import Point
from energy_assets.sources.exact import exact_quotient
from energy_assets.sources.intensity import HOURS, INTENSITIES, ROWS
from energy_assets.sources.overlap import LEAST_COVERED_S, by_hour, covered, held, moment, spaced, weight

_POINTS = pa.schema(
    [
        ("zone", pa.string()),
        ("basis", pa.string()),
        ("sha256", pa.string()),
        ("at_s", pa.int64()),
        ("grams", t.FACTOR.to_pyarrow()),
        ("is_estimated", pa.bool_()),
        ("updated_at", pa.string()),
        ("version", pa.string()),
        ("stated_s", pa.int64()),
        ("asked_s", pa.int64()),
    ]
)


_NAME = "points_of_electricity_maps"
_TOUCHED = ibis.schema({**dict(HOURS.items()), "thin": "boolean", "coarse": "boolean"})


@cache
def _query() -> str:
    """SQL of `_hours` over the points in a table called `_NAME`."""
    return str(ibis.to_sql(_hours(ibis.table(ibis.Schema.from_pyarrow(_POINTS), name=_NAME)), dialect="duckdb"))


def touched_hours(con: Any, found: Iterable[Point]) -> pa.Table:
    """Every zone and hour that a point touches: `HOURS`, with NULL for what covers less than half of the hour.

    Of answers in several steps (minutes, hours) the one that covers most of the hour counts, of equals the finest. Of
    two answers that know an instant the later update goes before. A point without a usable intensity ends the one
    before it and says nothing itself.

    Args:
        con: An Ibis backend (DuckDB).
        found: Points of all zones and both bases.

    Returns:
        `HOURS`, and `thin` (an intensity was left out because it covers too little) and `coarse` (the values are
        further apart than the finest that was asked of the zone).
    """
    rows = [
        {
            "zone": point.zone,
            "basis": point.basis,
            "sha256": point.sha256,
            "at_s": int(point.time.replace(tzinfo=UTC).timestamp()),
            "grams": None if point.fault else point.gco2e_per_kwh,
            "is_estimated": point.is_estimated,
            "updated_at": point.updated_at,
            "version": point.version,
            "stated_s": point.stated_minutes and 60 * point.stated_minutes,
            "asked_s": 60 * point.asked_minutes,
        }
        for point in found
    ]
    # Asked once for each answer that is collected: working the query out took longer than running it.
    name = f"{_NAME}_{uuid4().hex[:12]}"
    con.con.register(name, pa.Table.from_pylist(rows, schema=_POINTS))
    try:
        table: pa.Table = con.con.execute(_query().replace(_NAME, name)).to_arrow_table()
    finally:
        con.con.unregister(name)
    return table.cast(_TOUCHED.to_pyarrow()).sort_by([("zone", "ascending"), ("hour", "ascending")])


def known_hours(touched: pa.Table) -> pa.Table:
    """`HOURS`: those of the hours that have an intensity.

    Args:
        touched: As `touched_hours` gives them.
    """
    rows = [
        row for row in touched.select(HOURS.names).to_pylist() if any(row[name] is not None for name in INTENSITIES)
    ]
    return pa.Table.from_pylist(rows, schema=HOURS.to_pyarrow())


def short_days(hours: pa.Table, zones: Iterable[str], days: Iterable[date]) -> list[date]:
    """The days on which one of the zones lacks an intensity in one of the 24 hours.

    Args:
        hours: `HOURS` of any zones.
        zones: Those that should be whole; without any, all days are short.
        days: Days in UTC.
    """
    whole: dict[tuple[str, date], int] = {}
    for row in hours.select(["zone", "hour", *INTENSITIES]).to_pylist():
        if all(row[name] is not None for name in INTENSITIES):
            key = row["zone"], row["hour"].date()
            whole[key] = whole.get(key, 0) + 1
    wanted = set(zones)
    return [day for day in days if not wanted or any(whole.get((zone, day), 0) < 24 for zone in wanted)]


def published_rows(hours: pa.Table, days: DayRange) -> pa.Table:
    """The `ROWS` of days that lack nothing.

    Args:
        hours: One row per zone and hour.
        days: The days to keep, in UTC.
    """
    rows = [
        {**row, "day": row["hour"].date(), "resolution": "hour"}
        for row in hours.to_pylist()
        if row["hour"].date() in days
    ]
    return pa.Table.from_pylist(rows, schema=ROWS.to_pyarrow())


def coverage_notes(touched: pa.Table, days: DayRange) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """Hours of `days` that are covered in part, and those that were answered coarser than asked, with their zones.

    Args:
        touched: As `touched_hours` gives them.
        days: The days in question, in UTC.
    """
    here = [row for row in touched.to_pylist() if row["hour"].date() in days]
    known = [row for row in here if any(row[name] is not None for name in INTENSITIES)]
    coarse = [row for row in known if row["coarse"]]
    notes = {
        "hours_covered_in_part": sum(row["hour_covered"] < 1 for row in known),
        "hours_covered_too_little": sum(row["thin"] for row in here),
        "intensities_coarser_than_asked": len(coarse),
    }
    said = sorted({f"{row['zone']}: every {row['answered_minutes']} minutes" for row in coarse})
    examples: dict[str, Sequence[str]] = {"intensities_coarser_than_asked": said} if said else {}
    return {name: count for name, count in notes.items() if count}, examples


def _hours(points: ir.Table) -> ir.Table:
    answer = ["zone", "basis", "sha256"]
    steps = spaced(points, answer)
    known = points.inner_join(steps, [*answer, "at_s"])
    series = ["zone", "basis", "step_s"]
    order = [known.grams.isnull(), known.updated_at.desc(), known.sha256.desc()]
    ranked = known.mutate(place=ibis.row_number().over(group_by=[*series, "at_s"], order_by=order))
    parts = by_hour(held(ranked.filter(ranked.place == 0), series))
    each = parts.group_by("hour", *series).aggregate(
        sum=moment(parts.grams, parts.overlap_s, t.FACTOR),
        seconds=weight(parts.grams, parts.overlap_s),
        is_estimated=parts.is_estimated.any(where=parts.grams.notnull()).fill_null(False),
        sha256=parts.sha256.argmax(parts.at_s, where=parts.grams.notnull()),
        version=parts.version.argmax(parts.at_s, where=parts.grams.notnull()),
    )
    best = ibis.window(group_by=["zone", "basis", "hour"], order_by=[each.seconds.desc(), each.step_s])
    ranked = each.mutate(place=ibis.row_number().over(best))
    one = ranked.filter(ranked.place == 0)
    enough = one.seconds >= LEAST_COVERED_S
    one = one.mutate(
        enough=enough, grams=enough.ifelse(exact_quotient(one["sum"], one.seconds, t.FACTOR), ibis.null(t.FACTOR))
    )
    of = {basis: (one.basis == basis) & one.enough for basis in BASES}
    asked = points.group_by("zone").aggregate(asked_s=points.asked_s.min())
    both = one.group_by("zone", "hour").aggregate(
        **{f"{basis}_gco2e_per_kwh": one.grams.max(where=of[basis]) for basis in BASES},
        **{f"{basis}_sha": one.sha256.max(where=of[basis]) for basis in BASES},
        is_estimated=one.is_estimated.any(where=one.enough).fill_null(False),
        least_s=one.seconds.min(where=one.enough),
        step_s=one.step_s.max(),
        version=ibis.coalesce(*(one.version.max(where=of[basis]) for basis in BASES)),
        thin=((one.seconds > 0) & ~one.enough).any(),
    )
    both = both.inner_join(asked, "zone")
    first, second = BASES
    names = ibis.cases(
        (both[f"{first}_sha"].isnull(), second), (both[f"{second}_sha"].isnull(), first), else_=f"{first}+{second}"
    )
    found = both.mutate(
        carbon_free_share=ibis.null(t.SHARE),
        hour_covered=covered(both.least_s),
        answered_minutes=(both.step_s + 59) // 60,
        factor_id=ibis.literal("electricity_maps/") + both.version + "/" + both.zone + "/" + names,
        raw_sha256=ibis.coalesce(*(both[f"{basis}_sha"] for basis in BASES)),
        coarse=both.step_s > both.asked_s,
    )
    return found.select(*HOURS.names, "thin", "coarse").cast(dict(HOURS.items()))

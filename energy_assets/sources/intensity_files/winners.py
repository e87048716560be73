"""Which file an hour is taken from, where several speak of it.

What belongs here: the choice, and hours that two files share. What does not: what one file knows of an hour (`hours`),
and what stands for an hour that has no value (`energy_assets.sources.intensity`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from energy_assets.periods import DayRange
from energy_assets.sources.exact import exact_quotient
from energy_assets.sources.intensity import HOURS
from energy_assets.sources.intensity_files.hours import VALUES, known_of
from energy_assets.sources.intensity_files.parse import Points
from energy_assets.sources.overlap import HOUR_S, LEAST_COVERED_S, covered

_BASES = ("lifecycle", "direct")


def hours_of(files: Sequence[Points], days: DayRange, zones: Sequence[str] | None = None) -> ir.Table:
    """One row per zone and hour that a value touches, in the calendar years of `days`.

    Points within an hour are averaged by overlap. Of two files that know the same hour the one that knows both
    intensities wins, then the one that measured, then the one that covers all of it, then the lexicographically last
    name: exports carry their date in the name. What another file knows of a part of the hour before or after all that
    the better ones know is added, as where files end at midnight of a zone whose hours begin at the half hour.

    Args:
        files: The points of each file; not empty.
        days: Decide the years.
        zones: Only these; None for all.

    Returns:
        `HOURS`, with NULL for an intensity that covers less than half of the hour; and for the notes `superseded` and
        `repeated` (how many other files and further points spoke of the hour), `unflagged` and `thin` (an intensity
        was left out because it covers too little).
    """
    parts = []
    for file in files:
        per_hour = file.hours.filter(file.hours.zone.isin(list(zones))) if zones else file.hours
        per_hour = per_hour.filter(per_hour.hour.year().between(days.first.year, days.last.year))
        parts.append(
            per_hour.mutate(
                name=ibis.literal(file.name),
                raw_sha256=ibis.literal(file.sha256),
                factor_id=_factor_id(per_hour.zone, file),
            )
        )
    rows = _used(ibis.union(*parts) if len(parts) > 1 else parts[0])
    taken = rows.used
    one = rows.group_by("hour", "zone").aggregate(
        **{f"{name}_sum": rows[f"{name}_sum"].sum(where=taken).cast("int64") for name, _ in VALUES.values()},
        **{f"{name}_s": rows[f"{name}_s"].sum(where=taken).cast("int64") for name, _ in VALUES.values()},
        **{name: rows[name].any(where=taken) for name in ("is_estimated", "unflagged")},
        step_s=rows.step_s.max(where=taken),
        repeated=rows.repeated.sum(where=taken),
        superseded=rows.count() - taken.sum(),
        **{name: rows[name].argmin(rows.place) for name in ("factor_id", "raw_sha256")},
    )
    enough = {name: one[f"{name}_s"] >= LEAST_COVERED_S for name, _ in VALUES.values()}
    values = {
        column: enough[name].ifelse(exact_quotient(one[f"{name}_sum"], one[f"{name}_s"], kind), ibis.null(kind))
        for column, (name, kind) in VALUES.items()
    }
    least = ibis.least(*(enough[name].ifelse(one[f"{name}_s"], HOUR_S) for name in _BASES))
    thin = [(one[f"{name}_s"] > 0) & ~enough[name] for name in _BASES]
    found = one.mutate(
        **values,
        hour_covered=covered(least),
        answered_minutes=(one.step_s + 59) // 60,
        thin=thin[0] | thin[1],
    )
    return found.select(*HOURS.names, "superseded", "repeated", "unflagged", "thin").cast(dict(HOURS.items()))


def _used(rows: ir.Table) -> ir.Table:
    """The rows of an hour with their `place`, the best first, and whether they are `used`."""
    whole = known_of(rows, "lifecycle") & known_of(rows, "direct")
    full = rows.to_s - rows.from_s == HOUR_S
    order = [whole.desc(), rows.is_estimated.asc(), full.desc(), rows.name.desc()]
    first = ibis.window(group_by=["zone", "hour"], order_by=order)
    better = ibis.window(group_by=["zone", "hour"], order_by=order, preceding=(None, 1))
    placed = rows.mutate(
        place=ibis.row_number().over(first),
        better_from_s=rows.from_s.min().over(better),
        better_to_s=rows.to_s.max().over(better),
    )
    apart = (placed.to_s <= placed.better_from_s) | (placed.from_s >= placed.better_to_s)
    return placed.mutate(used=(placed.place == 0) | apart.fill_null(False))


def _factor_id(zone: ir.StringColumn, file: Points) -> ir.StringColumn:
    stem = re.sub(r"\.(csv|csv\.gz|parquet)$", "", file.name.rsplit("/", 1)[-1])
    return ibis.literal(f"{file.publisher}/csv/") + zone + ibis.literal(f"/{stem}")

"""Points of a file to hours: the mean by overlap, and how much of the hour the values cover.

What belongs here: what one file knows of an hour. What does not: cells (`parse`), and which of several files an hour is
taken from (`winners`).
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.sources.exact import exact_mean
from energy_assets.sources.overlap import LEAST_COVERED_S, by_hour, moment, weight

VALUES = {
    "lifecycle_gco2e_per_kwh": ("lifecycle", t.FACTOR),
    "direct_gco2e_per_kwh": ("direct", t.FACTOR),
    "carbon_free_share": ("carbon_free_share", t.SHARE),
}
"""Columns of `HOURS`, each with that of the points and its type."""


def hours_in(points: ir.Table) -> ir.Table:
    """One row per zone and hour that a file's values touch.

    Several lines of one instant count as their mean; of them measured ones go before estimated ones.

    Args:
        points: As `Points.table` has them.

    Returns:
        `hour`, `zone`, for each value its sum by seconds (`…_sum`) and the seconds it covers (`…_s`), `from_s` and
        `to_s` of what is covered, `is_estimated`, `unflagged`, `repeated` (further points of the hour), and `step_s`.
    """
    known = points.filter(~points.bad_line, ~points.outdone, points.lifecycle.notnull() | points.direct.notnull())
    instants = known.group_by("zone", at_s=known["at"] // 1_000_000).aggregate(
        **{column: exact_mean(known[column], kind) for column, kind in VALUES.values()},
        is_estimated=known.is_estimated.any(),
        unflagged=known.unflagged.any(),
        lines=known.count(),
        step_s=known.step_s.max(),
        seconds=known.seconds.max(),
    )
    parts = by_hour(instants)
    begun = parts.lines.sum(where=parts.from_s == parts.at_s).fill_null(0)
    sums = {f"{name}_sum": moment(parts[name], parts.overlap_s, kind) for name, kind in VALUES.values()}
    lengths = {f"{name}_s": weight(parts[name], parts.overlap_s) for name, _ in VALUES.values()}
    return parts.group_by("hour", "zone").aggregate(
        **sums,
        **lengths,
        from_s=parts.from_s.min(),
        to_s=parts.to_s.max(),
        is_estimated=parts.is_estimated.any(),
        unflagged=parts.unflagged.any(),
        repeated=ibis.greatest(begun - 1, 0),
        step_s=parts.step_s.max(),
    )


def known_of(hours: ir.Table, basis: str) -> ir.BooleanColumn:
    """Whether so much of an hour has an intensity that it has one of its own.

    Args:
        hours: As `hours_in` gives them.
        basis: "lifecycle" or "direct".
    """
    known: ir.BooleanColumn = hours[f"{basis}_s"] >= LEAST_COVERED_S
    return known

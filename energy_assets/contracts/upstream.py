"""A statement about emissions upstream of electricity: they are not negative.

What belongs here: zones and hours whose publisher says more is emitted in the burning than over the whole life cycle.
What does not: the emissions themselves, which are kept as the publisher's two intensities give them.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof


def upstream_below_zero(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Days with negative upstream emissions, and in which zones.

    Args:
        staged: Rows of the contract `Emissions`.
        upstream: Not looked at.

    Returns:
        day, zones (each with its hours, as people read it), rows, and their upstream emissions in kg.
    """
    wrong = staged.filter(staged.upstream_g < 0)
    per_zone = wrong.group_by("day", zone=wrong.zone.fill_null("unknown")).aggregate(
        hours=wrong.hour.nunique(), rows=wrong.count(), grams=wrong.upstream_g.sum()
    )
    hours = per_zone.hours.cast("string") + ibis.ifelse(per_zone.hours == 1, " hour", " hours")
    named = per_zone.mutate(said=per_zone.zone + " (" + hours + ")")
    return named.group_by("day").aggregate(
        zones=named.said.group_concat(", ", order_by=named.said),
        rows=named.rows.sum(),
        upstream_kg=(named.grams.sum().cast("float64") / 1000).round(3),
    )


UPSTREAM_IS_NOT_NEGATIVE = Proof(
    "upstream_is_not_negative",
    "In every hour and zone the direct intensity is not above the life-cycle one, which contains it. Where a publisher "
    "says otherwise the rows are kept as it says: their upstream emissions are negative.",
    upstream_below_zero,
    blocking=False,
    remedy="The publisher's direct intensity is above its life-cycle one there. The figures are kept as published, the "
    "upstream emissions of these hours are negative, and the report says so. Ask the publisher, or give these zones "
    "another source",
)

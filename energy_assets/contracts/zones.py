"""A statement about grid zones: each one that machines stand in has an intensity.

What belongs here: zones and days of which nothing is known. What does not: hours that a lower rung of the ladder fills.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof


def without_intensity(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Zones and days without an intensity for any hour: what is used there has no emissions.

    Args:
        staged: Rows of the contract `GridIntensity`.
        upstream: Not looked at.

    Returns:
        day and zone.
    """
    known = staged.group_by("day", "zone").aggregate(hours=staged.factor_tier.count())
    return known.filter(known.hours == 0).select("day", "zone").order_by("day", "zone")


ZONES_HAVE_INTENSITIES = Proof(
    "zones_have_intensities",
    "Every grid zone of the site has an intensity on every day, if only its yearly mean. What is used in a zone "
    "without one has no emissions and counts as not covered.",
    without_intensity,
    blocking=False,
    remedy="No source knows an intensity there, so the emissions of these days are not measured: add a source that has "
    "the zone (or name it in the source's `zones`), and run the days again",
)

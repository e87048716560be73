"""Use that bills tell and nobody can estimate: each kind of it is listed with its share of the cost.

What belongs here: the statement. What does not: which kind is estimated how (`estimates.components`).
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof

USAGE_KINDS = "usage_kinds"
"""Name under which the asset shows the proof each kind of line: day, source, provider, service, meter, instance_type,
unit, billing_currency, reason (NULL where it is estimated), what, lines and billed_cost."""
MENDABLE = ("unknown type", "no power", "no quantity")
"""Reasons that a row of a table, or a better export, would mend; what nobody publishes is told elsewhere."""


def unestimated(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Kinds of use without energy that somebody could give it.

    Args:
        staged: Not looked at.
        upstream: With `USAGE_KINDS`.

    Returns:
        day, provider, what, reason, lines, billed_cost, billing_currency and share_of_cost_pct of all use of the day
        in that currency; the dearest first.
    """
    kinds = upstream[USAGE_KINDS]
    spent = kinds.group_by("day", "billing_currency").aggregate(all_cost=kinds.billed_cost.sum())
    lost = kinds.filter(kinds.reason.isin(MENDABLE))
    by = lost.group_by("day", "provider", "what", "reason", "billing_currency").aggregate(
        lines=lost.lines.sum(), billed_cost=lost.billed_cost.sum()
    )
    both = by.inner_join(spent, ["day", "billing_currency"])
    share = (both.billed_cost.cast("float64") / both.all_cost.cast("float64").nullif(0.0) * 100).round(1)
    found = both.mutate(share_of_cost_pct=share, billed_cost=both.billed_cost.cast("float64").round(2))
    columns = ("day", "provider", "what", "reason", "lines", "billed_cost", "billing_currency", "share_of_cost_pct")
    return found.select(*columns).order_by(found.billed_cost.desc(), "day", "provider", "what")


USAGE_IS_ESTIMATED = Proof(
    "usage_is_estimated",
    "Every line of a bill that says what was used is estimated, or of a kind that has no energy of its own or of which "
    "nobody publishes any; a machine type or an accelerator that is in no table is found here, with its share of the "
    "cost.",
    unestimated,
    blocking=False,
    remedy="Its energy is unknown, not zero. The command `factors --missing` prints the rows to add to a file that "
    "`factors:` in site.yaml names; where the reason is `no quantity`, export the bill with its quantities and units "
    "(`ConsumedQuantity` and `ConsumedUnit`, `lineItem/UsageAmount` and `pricing/unit`).",
)

"""Unified cost: charges of every bill as one table, amounts as printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from energy_assets.unified.attribution import RuleLike, attribute


def cost(charges: Mapping[str, ir.Table], rules: Sequence[RuleLike]) -> ir.Table:
    """Charges of all sources to rows of the contract `Cost`.

    Args:
        charges: Rows of the contract `Charges` by source name.
        rules: Attribution rules; tags are matched as labels.
    """
    named = [rows.mutate(source=ibis.literal(source)) for source, rows in charges.items()]
    rows = ibis.union(*named) if len(named) > 1 else named[0]
    none = ibis.null("string")
    return attribute(rows.mutate(zone=none, workload_id=none), rules).drop("labels", "billing_period")

"""Unified activity: what workloads delivered, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.unified.attribution import RuleLike, attribute


def activity(counts: Mapping[str, ir.Table], rules: Sequence[RuleLike]) -> ir.Table:
    """Counts of all sources to rows of the contract `Activity`.

    An inference server that no rule maps is still inference: its workload type is known from its kind.

    Args:
        counts: Rows of the contract `InferenceCounts` by source name.
        rules: Attribution rules.
    """
    named = [rows.mutate(source=ibis.literal(source)) for source, rows in counts.items()]
    rows = ibis.union(*named) if len(named) > 1 else named[0]
    none = ibis.null(t.COUNT)
    ruled = attribute(rows.mutate(workload_id=ibis.null("string")), rules)
    return ruled.mutate(
        workload_type=ibis.ifelse(ruled.workload_type == "unknown", "inference", ruled.workload_type),
        samples=none,
        training_steps=none,
        flop=ibis.null(t.FIGURE),
    ).drop("labels")

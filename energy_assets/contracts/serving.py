"""Statements about what inference servers count: each deployment is told of by one source.

What belongs here: findings that a person must settle, from staged rows alone. They withhold nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof

SERVER = ["day", "deployment", "model_id"]


def served_twice(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Deployments and days that two sources tell of in the same hours, so that requests may count twice.

    Args:
        staged: Rows of the contract `Activity`.
        upstream: Not looked at.

    Returns:
        day, deployment, model_id, sources and hours.
    """
    counted = staged.filter(ibis.or_(*(staged[name] > 0 for name in ("requests", "prompt_tokens", "generated_tokens"))))
    hours = counted.group_by([*SERVER, "hour"]).aggregate(
        sources=counted.source.nunique(), one=counted.source.min(), other=counted.source.max()
    )
    twice = hours.filter(hours.sources > 1)
    found = twice.group_by([*SERVER, "one", "other"]).aggregate(hours=twice.count())
    return found.order_by([*SERVER, "one", "other"])


SERVERS_COUNT_ONCE = Proof(
    "servers_count_once",
    "No two sources tell of one deployment of a model in the same hours, unless they are two of one name.",
    served_twice,
    blocking=False,
    remedy="If it is one deployment, its requests count twice: remove one source, or keep the deployment out of it "
    "with `selector`. If they are two, name them apart with `deployment_label`",
)

"""Rule: commitments for accelerators were paid for and covered nothing.

What belongs here: what bills call unused, of what is known to be accelerators. What does not: accelerators that run at
no load (`idle`, `reserved`). An unused commitment is no machine, so it has no energy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.factors.hardware import accelerator_of, instance
from energy_assets.opportunities.parts import days_in, month_of, only, selected

IDENTITY = ("provider", "account_id", "region", "resource_id", "currency")
NAMED = ("provider", "instance_type", "sku_meter", "charge_description")
"""What tells of a charge whether it is for accelerators."""
KINDS = pa.schema([(name, pa.string()) for name in NAMED])
ALIAS = {"resource_id": "commitment_discount_id", "currency": "billing_currency"}
WHAT = "Use, exchange or do not renew this commitment."
BASIS = (
    "Effective cost of the part of the commitment that the bill calls unused. No machine ran for it, so it has no "
    "energy and no emissions. Commitments whose machine type the bill does not tell are not looked at."
)


def kinds_with_accelerators(kinds: Iterable[dict[str, Any]]) -> ir.Table:
    """Those kinds of charges that name an accelerator, or a machine type that has one.

    Args:
        kinds: Columns of `NAMED`.
    """
    found = [kind for kind in kinds if _has_accelerator(kind)]
    return ibis.memtable(pa.Table.from_pylist(found, schema=KINDS))


def _has_accelerator(kind: dict[str, Any]) -> bool:
    texts = [kind[name] for name in NAMED[1:] if kind[name]]
    machines = [instance(kind["provider"], text) for text in texts]
    return any(one and one.accelerators for one in machines) or any(accelerator_of(text) for text in texts)


def unused_commitments(cost: ir.Table, kinds: ir.Table) -> ir.Table:
    """Each commitment for accelerators with the cost of its unused part.

    Args:
        cost: Rows of the contract `Cost`.
        kinds: From `kinds_with_accelerators`.
    """
    committed = cost.filter(cost.commitment_discount_id.notnull(), cost.commitment_discount_status.notnull())
    rows = committed.semi_join(kinds, same(committed, kinds, NAMED))
    unused = rows.commitment_discount_status == "Unused"
    lines = rows.mutate(
        month=month_of(rows.day), resource_id=rows.commitment_discount_id, currency=rows.billing_currency
    )
    found = lines.group_by("month", *IDENTITY).aggregate(
        source=only(lines.source),
        zone=only(lines.zone),
        cost=ibis.coalesce(
            ibis.coalesce(lines.effective_cost, lines.billed_cost).sum(where=unused).cast(t.MONEY),
            ibis.literal(0).cast(t.MONEY),
        ),
        row_count=unused.ifelse(1, 0).sum().cast("int64"),
        days=days_in(lines),
    )
    return found.mutate(
        units=found.days.cast(t.FIGURE),
        unit=ibis.literal("days"),
        query=selected(found, "cost", IDENTITY, "commitment_discount_status = 'Unused'", alias=ALIAS),
    )

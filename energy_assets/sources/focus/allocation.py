"""Charges that a provider splits among containers, models or tenants: no cost and no usage may count twice.

FOCUS 1.3 replaces a charge by its shares (lines with AllocatedMethodId), which add up to it: they are charges like
others. Should a file hold the charge beside its shares, the charge is left out. AWS's own reports instead add
lines that repeat, in columns of their own, what the line of the parent instance bills: those lines are left out.
What belongs here: telling such lines. What does not: which column says so (`columns`) and counting (`parse`).
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

ALLOCATED = "allocated"
SPLIT = "split"

SAME = (
    "raw_sha256",
    "provider",
    "billing_account_id",
    "account_id",
    "billing_period",
    "charge_period_start",
    "charge_period_end",
    "charge_category",
    "charge_class",
    "region",
    "resource_id",
    "service_name",
    "sku_id",
    "sku_price_id",
    "consumed_unit",
    "billing_currency",
)
"""What the shares have in common with the charge they come from: every dimension is the same (FOCUS 1.3)."""


def repeats_its_shares(rows: ir.Table) -> ir.BooleanValue:
    """True for a charge that stands beside its own shares: one line whose cost and quantity they add up to.

    Args:
        rows: Charges with `allocation`.
    """
    shares = (rows.allocation == ALLOCATED).fill_null(False)
    group = ibis.window(group_by=list(SAME))

    def whole(column: str, of_shares: bool) -> ir.DecimalValue:
        chosen = shares if of_shares else ~shares
        return ibis.ifelse(chosen, rows[column], ibis.null(rows[column].type())).sum().over(group)

    same = [
        whole(column, True).identical_to(whole(column, False))
        for column in ("billed_cost", "effective_cost", "consumed_quantity")
    ]
    alone = (~shares).cast("int64").sum().over(group) == 1
    return ~shares & alone & (shares.cast("int64").sum().over(group) > 0) & ibis.and_(*same)

"""What machines with a name of their own cost in a month, as their bills tell it.

What belongs here: from charges to a cost per host. What does not: which part of it could be saved (the rules).
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.estimates.resources import machine_names
from energy_assets.opportunities.parts import month_of, only

MACHINE = ("month", "provider", "region", "node_id")
RESOURCE = ("provider", "account_id", "region", "resource_id", "service")


def machine_costs(cost: ir.Table) -> ir.Table:
    """Cost of use per machine and month: effective cost (FOCUS), as billed where a charge states none.

    Args:
        cost: Rows of the contract `Cost`.

    Returns:
        The columns of `MACHINE`, machine_cost and currency; a machine that is billed in two currencies is left out.
    """
    used = cost.filter(cost.charge_category == "Usage", cost.resource_id.notnull())
    lines = used.mutate(month=month_of(used.day), service=used.service_name.fill_null(""))
    names = machine_names(lines.select(*RESOURCE).distinct())
    names = names.filter(names.is_machine).select(*RESOURCE, "node_id")
    both = lines.inner_join(names, same(lines, names, RESOURCE))
    named = both.select(lines.month, lines.provider, lines.region, names.node_id, lines.billing_currency,
                        amount=ibis.coalesce(lines.effective_cost, lines.billed_cost))  # fmt: skip
    summed = named.group_by(MACHINE).aggregate(
        machine_cost=named.amount.sum().cast(t.MONEY), currency=only(named.billing_currency)
    )
    return summed.filter(summed.currency.notnull())

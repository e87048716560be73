"""Utilization that was read and is of no machine of the bill: its names, its region or its account are others.

What belongs here: the statement. What does not: which reading is whose (`estimates.utilization`).
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof
from energy_assets.contracts.vocabulary import DeviceKind, Method

LOADS = "utilization_readings"
"""Name under which the asset shows the proof what was read, in the columns of `UtilizationReadings`."""


def unmatched_loads(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Days on which a provider's machines were billed and read, and no reading was of any of them.

    That some machines are read and not billed, or billed and not read, is usual: exports and bills are of accounts.

    Args:
        staged: In the columns of `UsageEstimates`.
        upstream: With `LOADS` where the site reads utilization.

    Returns:
        day, provider, machines_billed and machines_read, and an example of the name of each.
    """
    ran = staged.filter(staged.is_machine, staged.device_kind.isin([DeviceKind.CPU.value, DeviceKind.GPU.value]))
    billed = ran.group_by("day", "provider").aggregate(
        machines_billed=ran.node_id.nunique(),
        billed=ran.node_id.min(),
        found=(ran.method == Method.ESTIMATED_UTILIZATION.value).any(),
    )
    if LOADS not in upstream:
        return billed.filter(False)
    loads = upstream[LOADS]
    read = loads.group_by("day", "provider").aggregate(
        machines_read=loads.resource_id.nunique(), read=loads.resource_id.min()
    )
    both = billed.filter(~billed.found).inner_join(read, ["day", "provider"])
    columns = ("day", "provider", "machines_billed", "billed", "machines_read", "read")
    return both.select(*columns).order_by("day", "provider")


LOADS_FIND_MACHINES = Proof(
    "loads_find_machines",
    "Where a provider's machines were billed and utilization of some was read on the same day, at least one reading is "
    "of a machine of the bill; else all of them keep the default.",
    unmatched_loads,
    blocking=False,
    remedy="Compare the names (`billed`, `read`), the regions and the hours: export the machines of the accounts that "
    "are billed, named by their instance id or resource path, and leave `region` of the source out unless it is right.",
)

"""Rule: accelerators that nobody used drew power.

What belongs here: the idle energy of each host's accelerators, as its meters tell it. What does not: accelerators that
somebody held and did not use (`reserved`).
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.contracts.vocabulary import DeviceKind, WorkloadType
from energy_assets.opportunities.machine_costs import MACHINE
from energy_assets.opportunities.parts import days_in, month_of, only, portion, scope_of, selected, share, sums

IDENTITY = ("provider", "account_id", "region", "node_id")
WHAT = "Release or switch off these accelerators while nobody uses them, or give them work that is waiting."
BASIS = (
    "Energy of the hours in which the source tells that nobody used the accelerator, as measured; none of it is "
    "needed. Cost: the bill of the same machine, divided as its energy is."
)


def idle_accelerators(emissions: ir.Table, costs: ir.Table) -> ir.Table:
    """Each host whose source tells who used its accelerators, with the energy of those that nobody used.

    Args:
        emissions: Rows of the contract `Emissions`.
        costs: From `machine_costs`.
    """
    rows = emissions.mutate(month=month_of(emissions.day))
    gpus = rows.filter(rows.device_kind == DeviceKind.GPU.value)
    idle = gpus.workload_type == WorkloadType.IDLE.value
    found = gpus.group_by("month", *IDENTITY).aggregate(
        **sums(gpus, idle),
        source=only(gpus.source),
        zone=only(gpus.zone),
        ghg_scope=scope_of(gpus),
        of_kwh=gpus.energy_kwh.sum().cast(t.FACILITY_KWH),
        days=days_in(gpus),
        told=(idle | gpus.workload_id.notnull()).any(),
        known_kwh=gpus.energy_kwh.sum(where=idle & gpus.location_g.notnull()).fill_null(0),
    )
    hosts = rows.group_by("month", *IDENTITY).aggregate(host_kwh=rows.energy_kwh.sum())
    whole = found.filter(found.told).left_join(hosts, same(found, hosts, ("month", *IDENTITY)))
    whole = whole.select(*found.columns, "host_kwh")
    billed = whole.left_join(costs, same(whole, costs, MACHINE)).select(*whole.columns, "machine_cost", "currency")
    return billed.mutate(
        workload_type=ibis.literal(WorkloadType.IDLE.value),
        coverage=ibis.ifelse(billed.energy_kwh == 0, 1, share(billed.known_kwh, billed.energy_kwh)).cast(t.SHARE),
        cost=portion(billed.machine_cost, billed.energy_kwh, billed.host_kwh, t.MONEY),
        units=billed.days.cast(t.FIGURE),
        unit=ibis.literal("days"),
        query=selected(billed, "emissions", IDENTITY, "device_kind = 'gpu'", "workload_type = 'idle'"),
    )

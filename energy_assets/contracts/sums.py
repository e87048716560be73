"""Statements about meters that hold others: a total beside its parts, a rack's meter beside those of its servers.

What belongs here: seeing by their hours that one meter shows the sum of others, which counts them twice. What does not:
a machine's meter beside its devices (`meters`), whose energy counts once.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.conservation import GUESSED, KWH, readings_of
from energy_assets.contracts.proof import Proof

OF_DEVICES = 0.01
"""A total is the sum of what one meter reads: supplies, outlets, phases."""
OF_MACHINES = 0.03
"""A rack's meter holds its distribution and switches too."""
LEAST_HOURS = 6
NEARLY = 0.9
PLACE = ["day", "provider", "region"]


def totals(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Devices that use what the others of their machine and kind use together, and machines with those of their place.

    Args:
        staged: Not looked at.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, provider, region, `meter`, `parts` (how many others it equals), and kwh of its day.
    """
    rows = readings_of(upstream)
    rows = rows.filter(rows.energy_kwh.notnull() & ~rows.method.isin(GUESSED))
    by = rows.group_by([*PLACE, "hour", "node_id", "device_id", "device_kind", "table"]).aggregate(
        kwh=rows.energy_kwh.sum().cast(KWH)
    )
    # What two sources tell of one device is one thing; which of them counts does not matter here.
    by = by.group_by([*PLACE, "hour", "node_id", "device_id", "device_kind"]).aggregate(kwh=by.kwh.max())
    metered = by.filter(by.device_kind == "node")
    machine = metered.group_by([*PLACE, "hour", "node_id"]).aggregate(kwh=metered.kwh.sum())
    device = ibis.ifelse(by.device_id == by.node_id, by.node_id, by.device_id.concat(" on ", by.node_id))
    devices = _equal(by.mutate(meter=device), [*PLACE, "node_id", "device_kind"], OF_DEVICES)
    machines = _equal(machine.mutate(meter=machine.node_id), PLACE, OF_MACHINES)
    return devices.union(machines).distinct().order_by(["day", "provider", "region", "meter"])


def _equal(rows: ir.Table, group: list[str], within: float) -> ir.Table:
    """Meters that show the sum of all others of their group, which are two at least, in nearly every hour."""
    hour = ibis.window(group_by=[*group, "hour"])
    beside = rows.mutate(others=rows.kwh.sum().over(hour) - rows.kwh, number=rows.count().over(hour) - 1)
    near = (beside.kwh - beside.others).abs().cast("float64") <= beside.kwh.cast("float64") * within
    judged = beside.mutate(equal=near & (beside.kwh > 0) & (beside.number > 1))
    days = judged.group_by([*PLACE, *(key for key in group if key not in PLACE), "meter"]).aggregate(
        hours=judged.hour.nunique(),
        equal=judged.equal.sum(),
        parts=judged.number.max(),
        kwh=judged.kwh.sum().cast(KWH),
    )
    wrong = days.filter((days.equal >= LEAST_HOURS) & (days.equal >= days.hours * NEARLY))
    return wrong.select(*PLACE, "meter", "parts", "kwh")


METERS_ARE_NO_TOTALS = Proof(
    "meters_are_no_totals",
    "No device uses, hour by hour, what all others of its kind on its machine use together, and no machine what all "
    "others of its place do: that is a total beside its parts, and both count.",
    totals,
    blocking=False,
    remedy="If it is their sum (a column of totals, a rack's meter), leave it out of the source, or the parts; both "
    "count until then",
)

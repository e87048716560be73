"""Estimates that nothing else speaks of: they pass as they are, and need none of the work overlaps need.

What belongs here: which machines' days several contributors speak of, and the rows of all others. What does not: what
counts where several do (`blending`, `containment`). Most lines of a bill are of machines without telemetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.joining import same
from energy_assets.contracts.nodes import PLACE, rename_nodes
from energy_assets.contracts.vocabulary import DeviceKind
from energy_assets.unified.blending import WHOLE
from energy_assets.unified.devices import with_uuids
from energy_assets.unified.estimated import OWNER
from energy_assets.unified.intervals import with_uncertainty

CROWDED = (*PLACE, "raw_node_id", "is_machine")
"""Columns of `crowded`; `is_machine` is true throughout, and keeps those that are none out of the joins."""


def crowded(readings: ir.Table, names: ir.Table, uuids: ir.Table) -> ir.Table:
    """Days of machines of which more is told than one estimate: a small table of columns `CROWDED`.

    Telemetry or another contributor speaks of the machine too, or it has a container, or a GPU that is known by a UUID
    and may be told of elsewhere.

    Args:
        readings: Of all contributors with `source_rank`, their place and the columns of `estimated.BESIDE`.
        names: From `nodes.node_names`.
        uuids: From `devices.told_uuids`.
    """
    machines = readings.filter(readings.is_machine)
    told = machines.group_by([*PLACE, "node_id", "source_rank"]).aggregate(
        others=(machines.billed_project.isnull() | machines.device_kind.isin(list(WHOLE))).any()
    )
    gpus = machines.filter(machines.device_kind == DeviceKind.GPU.value)
    gpus = with_uuids(gpus.select(*PLACE, "node_id", "device_kind", "device_id").distinct(), uuids)
    known = gpus.filter(gpus.device_uuid.notnull()).select(*PLACE, "node_id").distinct()
    both = told.left_join(known, same(told, known, [*PLACE, "node_id"]))
    told = both.select(*(told[name] for name in told.columns), by_uuid=known.node_id.notnull(), device_id=told.node_id)
    hosts = rename_nodes(told, names)
    every = ibis.window(group_by=[*PLACE, "node_id"])
    counted = hosts.mutate(many=(hosts.others | hosts.by_uuid).any().over(every) | (hosts.count().over(every) > 1))
    return counted.filter(counted.many).select(*PLACE, "raw_node_id").distinct().mutate(is_machine=ibis.literal(True))


def among(estimates: ir.Table, crowd: ir.Table, *, inside: bool) -> ir.Table:
    """Estimates of machines that others speak of too, or all others.

    Args:
        estimates: With their place and the columns of `estimated.BESIDE`.
        crowd: From `crowded`.
        inside: Which of the two.
    """
    here = [estimates[key].identical_to(crowd[key]) for key in (*PLACE, "is_machine")]
    here.append(estimates.node_id == crowd.raw_node_id)
    return estimates.semi_join(crowd, here) if inside else estimates.anti_join(crowd, here)


def alone(estimates: ir.Table, names: ir.Table, uncertainty: Mapping[tuple[str, str], Decimal]) -> ir.Table:
    """Estimates nothing else speaks of, under the one name of their host, with the owner their bill names.

    Args:
        estimates: From `among`.
        names: From `nodes.node_names`.
        uncertainty: As `with_uncertainty` takes it, for machines.
    """
    rows = estimates.mutate(billed_device=estimates.device_id, stated_pct=estimates.uncertainty_pct)
    named = with_uncertainty(rename_nodes(rows, names), uncertainty)
    machine = named.is_machine
    return named.mutate(
        node_id=ibis.ifelse(machine, named.node_id, named.raw_node_id),
        device_id=ibis.ifelse(machine, named.device_id, named.billed_device),
        uncertainty_pct=ibis.ifelse(machine, named.uncertainty_pct, named.stated_pct),
        **{name: named[f"billed_{name}"] for name in OWNER},
    )

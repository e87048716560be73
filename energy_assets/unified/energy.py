"""Unified energy: readings of every contributor as one table, each kWh once, each with place and owner.

What belongs here: the order of the steps. What does not: names of hosts (`nodes`) and devices (`devices`), overlaps
(`containment`), intervals (`intervals`), owners (`attribution`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.nodes import rename_nodes
from energy_assets.unified.attribution import RuleLike, attribute
from energy_assets.unified.blending import blend
from energy_assets.unified.containment import resolve_overlaps
from energy_assets.unified.devices import told_uuids, with_uuids
from energy_assets.unified.estimated import BESIDE, owned_by_bills
from energy_assets.unified.intervals import with_uncertainty


def energy(
    readings: ir.Table,
    rules: Sequence[RuleLike],
    uncertainty: Mapping[tuple[str, str], Decimal],
    names: ir.Table,
    uuids: ir.Table | None = None,
    *,
    estimated: bool = False,
) -> ir.Table:
    """Readings of all contributors to rows of the contract `Energy`.

    Args:
        readings: Rows of the contract `EnergyReadings` with `source`, `source_rank` (int32, the preferred first),
            `provider`, `account_id`, `region` and `zone`; a column `uncertainty_pct` is the source's own interval.
        rules: Attribution rules.
        uncertainty: 95 % interval in per cent by (method, device kind); a kind of '' stands for any.
        names: From `node_names`, for the same days.
        uuids: From `told_uuids`, for the same days; worked out from the readings unless given.
        estimated: Whether some are estimates, and all have the columns of `estimated.BESIDE`.

    Returns:
        The columns of `Energy`; `node_id` is the host's one name.
    """
    machines = readings.filter(readings.is_machine) if estimated else readings
    known = with_uuids(machines, told_uuids(machines) if uuids is None else uuids)
    rows = with_uncertainty(rename_nodes(known, names), uncertainty)
    if estimated:
        others = readings.filter(~readings.is_machine).mutate(raw_node_id=readings.node_id)
        single = resolve_overlaps(blend(rows))
        rows = single.union(others.select(*single.columns))
    else:
        rows = resolve_overlaps(rows)
    ruled = attribute(rows, rules)
    owned = owned_by_bills(ruled) if estimated else ruled
    told = owned.drop(*(name for name in INTERNAL if name in owned.columns))
    absent = {name: ibis.null(dtype) for name, dtype in _HARDWARE.items() if name not in told.columns}
    return told.mutate(**absent) if absent else told


_HARDWARE = {"device_hours": t.FIGURE, "embodied_g": t.GRAMS}
INTERNAL = ("labels", "idle", "source_rank", "raw_node_id", "device_uuid", *BESIDE)
"""Columns that are needed on the way and are none of the table's."""

"""Whose errors a rest of a node carries: its meter's, and against it those of the devices it was computed from.

What belongs here: the split of a rest's interval into its parts, so that sums over a node carry the interval of its
meter. What does not: how a rest and its interval are computed (`unified.containment`), and how errors are added
(`daily`).

A rest is meter − devices, and its error is that of the meter less those of the devices. In a sum over the whole node
the errors of the devices cancel, in a sum over the rest alone they do not, and in one over some devices only theirs
count. So a rest is told with the error of its meter, and beside it stand borrowed rows: no energy of their own, but
the errors of the devices, source by source, with the sign turned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import ESTIMATED, DeviceKind

ERROR_SOURCE = "error_source"
PERCENT = "decimal(18, 6)"
MACHINE = ("provider", "region", "node_id", "hour")
LARGEST_PCT = 999.999
"""A rest of this interval may have a wider one; its parts cannot be told, and nothing cancels."""
OF_TABLES = "tables/estimates"
"""Whose error an estimate carries: the same watts, coefficients and default load stand behind the bills of all
sources, so their errors add linearly, whichever bill a row is from. No source has this name."""
METERED = (DeviceKind.NODE.value, DeviceKind.INSTANCE.value, DeviceKind.REST_OF_NODE.value)
"""What the meter of a container says. It is another instrument than those of devices, though one source reads both."""


def apart(emissions: ir.Table, keep: Callable[[ir.Table], ir.Table] = lambda rows: rows) -> ir.Table:
    """The rows with `error_source`, `meter_pct` and `borrowed`, and beside them the errors that rests borrow.

    Args:
        emissions: Rows of the contract `Emissions`.
        keep: Computes a table once and for all.

    Returns:
        The columns of `emissions` and three more: whose meters the error is of, and the half-width of that error in per
        cent of the row's energy, negative where it is borrowed, both NULL where they are those of the row itself
        (`completed` fills them in); and whether the row is there for its error alone, so that its amounts must not be
        counted.
    """
    rests = emissions.filter(emissions.device_kind == DeviceKind.REST_OF_NODE.value)
    machines = keep(_machines(emissions, rests, keep))
    meters = machines.filter(machines.owner.isnull())
    # Most rows are no rests, and joining them would cost more than everything else here.
    others = emissions.filter(emissions.device_kind != DeviceKind.REST_OF_NODE.value)
    own = others.mutate(**_error(_of_tables(others), ibis.null(PERCENT), borrowed=False))
    known = rests.left_join(meters, _same(rests, meters))
    of_meter = _error(ibis.null("string"), meters.pct, borrowed=False)
    split = known.select(*(rests[name] for name in rests.columns), **of_meter)
    owners = machines.filter(machines.owner.notnull())
    against = rests.inner_join(owners, _same(rests, owners))
    borrowed = against.select(
        *(rests[name] for name in emissions.columns), **_error(owners.owner, owners.pct, borrowed=True)
    )
    return own.union(split).union(borrowed)


def completed(rows: ir.Table, metered: ir.BooleanValue) -> ir.Table:
    """Rows with the error of each: few, because here texts are joined.

    Args:
        rows: Sums over rows of `apart`, with source, uncertainty_pct and the columns that it adds.
        metered: Whether they are of a container (see `METERED`), column or expression over `rows`.
    """
    instrument = ibis.ifelse(metered, rows.source + "/container", rows.source)
    return rows.mutate(
        error_source=ibis.coalesce(rows.error_source, instrument),
        meter_pct=ibis.coalesce(rows.meter_pct, rows.uncertainty_pct.cast(PERCENT)),
    )


def _of_tables(rows: ir.Table, other: Any = None) -> Any:
    """The owner of the error of estimates; of what is measured the other one, or the one that `completed` fills in."""
    return ibis.ifelse(rows.method.isin(ESTIMATED), OF_TABLES, ibis.null("string") if other is None else other)


def _error(source: Any, pct: Any, *, borrowed: bool) -> dict[str, Any]:
    return {ERROR_SOURCE: source, "meter_pct": pct, "borrowed": ibis.literal(borrowed)}


def _same(rows: ir.Table, machines: ir.Table) -> list[Any]:
    return [rows[name].identical_to(machines[f"at_{name}"]) for name in MACHINE]


def _machines(emissions: ir.Table, rests: ir.Table, keep: Callable[[ir.Table], ir.Table]) -> ir.Table:
    """Per machine and hour with a rest: the meter's half-width (no owner) and each device source's, in % of the rest.

    The meter's is recovered from the rest's, of which it is a part in squares. Machines with rests of two containers
    are left out: their rows do not tell which holds which.
    """
    at = {f"at_{name}": rests[name] for name in MACHINE}
    kwh = rests.energy_kwh.cast("float64")
    whole = rests.group_by(at).aggregate(
        rest_kwh=kwh.sum(), least=rests.uncertainty_pct.min(), most=rests.uncertainty_pct.max()
    )
    whole = whole.filter((whole.least == whole.most) & (whole.most.cast("float64") < LARGEST_PCT), whole.rest_kwh > 0)
    whole = keep(whole)
    inside = emissions.filter(emissions.device_kind.notin(METERED), emissions.energy_kwh.notnull())
    parts = inside.semi_join(whole, _same(inside, whole))
    parts = parts.mutate(owner=_of_tables(parts, parts.source))
    width = (parts.energy_kwh.cast("float64") * parts.uncertainty_pct.cast("float64")).sum()
    devices = parts.group_by(
        {f"at_{name}": parts[name] for name in MACHINE}
        | {"owner": parts.owner, "kind": parts.device_kind, "device": parts.device_id}
    ).aggregate(width=width)
    keys = list(at)
    owners = devices.group_by([*keys, "owner"]).aggregate(
        width=devices.width.sum(), squares=(devices.width * devices.width).sum()
    )
    joined = owners.inner_join(whole, [owners[key].identical_to(whole[key]) for key in keys]).select(
        *(owners[name] for name in owners.columns), whole.rest_kwh, pct=whole.most.cast("float64")
    )
    joined = keep(joined)
    turned = joined.select(*keys, owner=joined.owner, pct=(-joined.width / joined.rest_kwh).cast(PERCENT))
    sums = joined.group_by(keys).aggregate(
        rest_kwh=joined.rest_kwh.max(), pct=joined.pct.max(), squares=joined.squares.sum()
    )
    left = (sums.rest_kwh * sums.pct) ** 2 - sums.squares
    meter = ibis.greatest(left, ibis.literal(0.0)).sqrt() / sums.rest_kwh
    meters = sums.select(*keys, owner=ibis.null("string"), pct=meter.cast(PERCENT))
    return meters.union(turned)

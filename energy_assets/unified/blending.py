"""Blending: what telemetry observed of a machine replaces that part of what its bill lets one estimate.

What belongs here: how much of an estimate is left beside telemetry of the same machine and hour. What does not: which
names mean the same machine (`nodes`), and rests of meters (`containment`).

A meter of the whole machine replaces all parts of its estimate by the share of the machine's hours that it observed.
Devices replace the part of their own kind: GPUs by the device-hours observed of those billed, so that two of eight
replace a quarter; processors and memory by the mean share their meters observed. What telemetry did not observe stays
estimated, and nothing is counted twice.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.contracts.vocabulary import ESTIMATED, DeviceKind
from energy_assets.unified.containment import MACHINE
from energy_assets.unified.estimated import HARDWARE

WHOLE = (DeviceKind.NODE.value, DeviceKind.INSTANCE.value)
PARTS = (DeviceKind.GPU.value, DeviceKind.CPU.value, DeviceKind.DRAM.value)
DIGITS = 6
DIGITS_OF_HARDWARE = 12


def blend(rows: ir.Table) -> ir.Table:
    """Rows in which estimates have only what telemetry of the same machine and hour did not observe.

    Args:
        rows: Telemetry and estimates under one name per host, with `device_hours` of estimates of GPUs.

    Returns:
        The same columns; an estimate of which nothing is left is no row.
    """
    guess = rows.method.isin(ESTIMATED)
    estimates = rows.filter(guess & rows.device_kind.isin(PARTS))
    others = rows.filter(~(guess & rows.device_kind.isin(PARTS)))
    seen = _seen(rows.filter(~guess & rows.energy_kwh.notnull() & rows.device_kind.isin([*PARTS, *WHOLE])), estimates)
    both = estimates.left_join(seen, same(estimates, seen, MACHINE))
    left = _left(both.select(*(estimates[name] for name in rows.columns), *(seen[name] for name in _SEEN)))
    return others.union(left.select(*rows.columns))


_SEEN = ("whole_seen", *(f"{kind}_{what}" for kind in PARTS for what in ("seen", "devices")))


def _seen(telemetry: ir.Table, estimates: ir.Table) -> ir.Table:
    """Shares of the hour that were observed of each machine with an estimate, and of how many devices of each kind."""
    mine = telemetry.semi_join(estimates, same(telemetry, estimates, MACHINE))
    devices = mine.group_by([*MACHINE, "device_kind", "device_id"]).aggregate(seen=mine.coverage.max())
    sums = {f"{kind}_seen": devices.seen.sum(where=devices.device_kind == kind) for kind in PARTS}
    counts = {f"{kind}_devices": (devices.device_kind == kind).sum() for kind in PARTS}
    whole = devices.seen.max(where=devices.device_kind.isin(WHOLE))
    return devices.group_by(MACHINE).aggregate(whole_seen=whole, **sums, **counts)


def _left(rows: ir.Table) -> ir.Table:
    ran = rows.usage_hours.cast("float64").fill_null(1.0)
    shares = [_share(rows.whole_seen, ran)]
    for kind in PARTS:
        seen, devices = rows[f"{kind}_seen"].cast("float64"), rows[f"{kind}_devices"].cast("float64")
        mean = _share(seen, devices * ran)
        share = ibis.coalesce(_share(seen, rows.device_hours), mean) if kind == DeviceKind.GPU.value else mean
        shares.append(ibis.ifelse(rows.device_kind == kind, share, None))
    observed = ibis.greatest(*(share.fill_null(0.0) for share in shares)).round(DIGITS)
    left = rows.mutate(unseen=1 - observed)
    part = (left.energy_kwh.cast("float64") * left.unseen).round(9).cast(t.MEASURED)
    hours = (left.usage_hours.cast("float64") * left.unseen).round(9).cast(t.MEASURED)
    whole = left.unseen == 1
    # What telemetry observed has the manufacture of its own device: `emissions.embodied`.
    hardware = {name: ibis.ifelse(whole, left[name], _part(left[name], left.unseen)) for name in HARDWARE}
    rest = left.mutate(
        energy_kwh=ibis.ifelse(whole, left.energy_kwh, part),
        usage_hours=ibis.ifelse(whole, left.usage_hours, hours),
        **hardware,
    )
    return rest.filter(rest.unseen > 0)


def _part(amount: Any, share: Any) -> Any:
    """A part of a decimal as one: a choice between decimals and floats would be a float for the engine."""
    return (amount.cast("float64") * share).round(DIGITS_OF_HARDWARE).cast(amount.type())


def _share(seen: Any, of: Any) -> Any:
    """A share of at most the whole; unknown where nothing was seen or is known to be there."""
    share: Any = seen.cast("float64") / of.cast("float64").nullif(0.0)
    # `least` takes an unknown share for none.
    return ibis.ifelse(share > 1, 1.0, share)

"""Embodied emissions: the share of making the hardware that each hour of a device has.

What belongs here: hours of devices, and grams per hour of what telemetry tells. What does not: what bills tell, which
comes with the estimate (`estimates.components`), and the inventory's file (`inventory.py`).

Own hardware exists whether it is used or not: an hour of a device that telemetry knows of has a whole hour's share,
however much of the hour was observed. Bought hardware is paid for by use: the hours that telemetry observed count, and
the rest of what was billed stays in the estimate beside it. Users of one device share its hour by their time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.contracts.vocabulary import ESTIMATED, DeviceKind, GhgScope
from energy_assets.emissions.pipe import Applier, Factors, Hardware
from energy_assets.estimates.embodied import device_g_per_hour
from energy_assets.factors.hardware import accelerator_of_device

DEVICE_HOUR = ("hour", "source", "provider", "region", "node_id", "device_id")
ALL = "all"
DIGITS = 15
BOUGHT = GhgScope.SCOPE31.value
MODELS = pa.schema([("device_model", pa.string()), ("hourly_g", pa.float64())])
Keep = Callable[[ir.Table], ir.Table]


def hardware_of(energy: ir.Table, keep: Keep, own: ir.Table | None = None) -> Hardware:
    """What the applier needs for some rows; what is of no use for them is left out, and costs no join.

    Args:
        energy: Rows of the contract `Energy`, on a connection.
        keep: Computes a table once and for all.
        own: From `inventory.grams_of`.
    """
    metered = energy.filter(energy.method.notin(ESTIMATED))
    return Hardware(_models(metered, keep), _shares(metered, keep), own)


def _models(metered: ir.Table, keep: Keep) -> ir.Table | None:
    gpus = metered.filter(metered.device_kind == DeviceKind.GPU.value, metered.device_model.notnull())
    seen = gpus.device_model.name("device_model").as_table().distinct().to_pyarrow()["device_model"].to_pylist()
    names = {model: accelerator_of_device(model) for model in sorted(seen)}
    hourly = {model: name and device_g_per_hour(name) for model, name in names.items()}
    known = [{"device_model": model, "hourly_g": float(g)} for model, g in hourly.items() if g]
    return keep(ibis.memtable(pa.Table.from_pylist(known, MODELS))) if known else None


def _shares(metered: ir.Table, keep: Keep) -> ir.Table | None:
    """Device-hours of several rows, which are few: those with a user, and the rows beside it."""
    used = metered.filter(metered.share_id != ALL).select(*DEVICE_HOUR).distinct()
    shared = keep(used)
    if not shared.count().to_pyarrow().as_py():
        return None
    rows = metered.semi_join(shared, same(metered, shared, DEVICE_HOUR))
    sums = rows.group_by(DEVICE_HOUR).aggregate(of_rows=rows.count(), of_hours=rows.usage_hours.sum().cast("float64"))
    return keep(sums)


def _embodied(rows: ir.Table, factors: Factors) -> ir.Table:
    """Grams of the hardware; of rows from bills the estimate has them already."""
    hardware, columns = factors.hardware, rows.columns
    rows = _with_weights(rows, hardware.shares)
    rows = _with_models(rows, hardware.models)
    rows = _with_own(rows, hardware.own)
    billed = rows.method.isin(ESTIMATED)
    gpu = rows.device_kind == DeviceKind.GPU.value
    device = ibis.coalesce(rows.device_g * rows.weight, ibis.ifelse(gpu, rows.hourly_g * rows.hours, None))
    host = rows.host_g * rows.weight
    found = ibis.ifelse(device.isnull(), host, device + host.fill_null(0.0))
    grams = found.round(DIGITS).cast(t.GRAMS)
    hours = ibis.ifelse(gpu, rows.hours.round(DIGITS).cast(t.FIGURE), ibis.null(t.FIGURE))
    made = rows.mutate(
        embodied_g=ibis.ifelse(billed, rows.embodied_g, grams),
        device_hours=ibis.ifelse(billed, rows.device_hours, hours),
    )
    return made.select(*columns)


def _with_weights(rows: ir.Table, shares: ir.Table | None) -> ir.Table:
    """`weight`, the row's part of its device, and `hours`, its hours of it; NULL of bought devices never observed."""
    mine = rows.usage_hours.cast("float64")
    weight: Any = ibis.literal(1.0)
    observed: Any = mine
    if shares is not None:
        named = shares.rename({f"share_{name}": name for name in DEVICE_HOUR})
        there = [rows[name].identical_to(named[f"share_{name}"]) for name in DEVICE_HOUR]
        rows = rows.left_join(named, there).select(*rows.columns, "of_rows", "of_hours")
        mine = rows.usage_hours.cast("float64")
        by_time = mine.fill_null(0.0) / rows.of_hours.nullif(0.0)
        weight = ibis.coalesce(by_time, 1.0 / rows.of_rows, 1.0)
        observed = ibis.ifelse(rows.of_hours > 1, mine / rows.of_hours, mine)
    return rows.mutate(weight=weight, hours=ibis.ifelse(rows.ghg_scope == BOUGHT, observed, weight))


def _with_models(rows: ir.Table, models: ir.Table | None) -> ir.Table:
    if models is None:
        return rows.mutate(hourly_g=ibis.null("float64"))
    named = models.rename(hardware_model="device_model")
    return rows.left_join(named, rows.device_model == named.hardware_model).drop("hardware_model")


def _with_own(rows: ir.Table, own: ir.Table | None) -> ir.Table:
    if own is None:
        return rows.mutate(device_g=ibis.null("float64"), host_g=ibis.null("float64"))
    named = own.rename({f"own_{name}": name for name in ("day", "node_id", "device_kind", "model")})
    here = [
        rows.day == named.own_day,
        rows.node_id == named.own_node_id,
        rows.device_kind == named.own_device_kind,
        rows.device_model.fill_null("") == named.own_model,
    ]
    joined = rows.left_join(named, here).select(*rows.columns, "device_g", "host_g")
    mine = (joined.ghg_scope != BOUGHT) & joined.method.notin(ESTIMATED)
    return joined.mutate(**{name: ibis.ifelse(mine, joined[name], None) for name in ("device_g", "host_g")})


EMBODIED = Applier("embodied", ("device_hours", "embodied_g"), _embodied)

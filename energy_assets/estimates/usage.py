"""Energy of what bills say was used: lines by the hour, times the constants of their kind.

What belongs here: the steps from `cost` to rows of the contract `UsageEstimates`. What does not: kinds and their
constants (`lines`, `components`), shares of hours (`hours`), and what telemetry replaces (`unified.blending`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.joining import same
from energy_assets.contracts.raw import UsageEstimates
from energy_assets.contracts.vocabulary import DeviceKind, Method
from energy_assets.estimates.hours import hourly
from energy_assets.estimates.lines import KIND
from energy_assets.estimates.resources import machine_names
from energy_assets.estimates.utilization import loaded, with_measured

OWNER = ("project", "model_id", "workload_type", "workload_id")
PLACE = ("provider", "account_id", "region")
WIDEST_PCT = 999.999
DIGITS, EXACT = 15, "decimal(38, 15)"
UNKNOWN = ("unknown type", "no power")
"""Reasons by which a machine ran whose energy is unknown: a row without energy."""


def usage_estimates(
    lines: ir.Table, components: ir.Table, days: Sequence[date], readings: ir.Table | None = None
) -> ir.Table:
    """Rows of the contract `UsageEstimates`.

    Args:
        lines: From `lines.used`: of the days and of those before them that `hours.read_days` names.
        components: From `lines.components_table`, of the kinds of these lines.
        days: In order.
        readings: From `utilization.readings_of`; None where nobody measured how busy machines were.
    """
    wanted = components.filter(components.reason.isnull() | components.reason.isin(UNKNOWN))
    kept = lines.semi_join(wanted, same(lines, wanted, KIND))
    kept = kept.filter(kept.quantity.notnull())
    named = machine_names(kept)
    of_hour = hourly(named, days)
    summed = _summed(of_hour)
    both = summed.inner_join(wanted, same(summed, wanted, KIND))
    both = both.select(
        *(summed[name] for name in summed.columns), *(wanted[n] for n in wanted.columns if n not in KIND)
    )
    return _rows(_components(loaded(with_measured(both, readings))))


def _summed(lines: ir.Table) -> ir.Table:
    """Quantities of equal kinds of one resource and owner in one hour, exactly."""
    alike = list(dict.fromkeys(["day", "hour", "source", *PLACE, "node_id", "is_machine", *OWNER, *KIND]))
    return lines.group_by(alike).aggregate(
        quantity=lines.quantity.sum().cast(t.MONEY),
        raw_sha256=lines.raw_sha256.min(),
        resource=lines.resource_id.nullif("").lower().min(),
    )


def _components(rows: ir.Table) -> ir.Table:
    """Amounts and energy of each component of each row, and of equal components of one resource together."""
    size = rows.per_unit * ibis.ifelse(rows.monthly, _hours_of_month(rows.day), 1)
    amount = rows.quantity.cast("float64") * size
    load = rows.idle_kwh + rows.taken * rows.slope_kwh
    kwh = amount * load * rows.replication
    grams = amount * rows.embodied_g * rows.replication
    unknown = rows.reason.notnull()
    kinded = rows.mutate(
        grams=ibis.ifelse(unknown, None, grams),
        device_kind=ibis.ifelse(unknown, DeviceKind.INSTANCE.value, rows.device_kind),
        device_id=ibis.ifelse(unknown, ibis.literal("instance ").concat(rows.what.left(80)), rows.device_id),
        device_model=ibis.ifelse(unknown, rows.what.left(80), rows.device_model),
        amount_unit=ibis.ifelse(unknown, "instance_h", rows.amount_unit),
        amount=ibis.ifelse(unknown, rows.quantity.cast("float64") * rows.instance_hours, amount),
        kwh=ibis.ifelse(unknown, None, kwh),
        width=ibis.ifelse(unknown, None, kwh * rows.pct),
        hours=rows.quantity.cast("float64") * rows.instance_hours,
    )
    alike = [
        "day", "hour", "source", *PLACE, "node_id", "is_machine", *OWNER,
        "device_kind", "device_id", "device_model", "amount_unit", "machine",
    ]  # fmt: skip
    return kinded.group_by(alike).aggregate(
        amount=_exact(kinded.amount).sum(),
        kwh=_exact(kinded.kwh).sum(),
        width=_exact(kinded.width).sum(),
        hours=_exact(kinded.hours).sum(),
        replication=kinded.replication.max(),
        utilization=kinded.taken.max(),
        measured=(kinded.covered > 0).any(),
        grams=_exact(kinded.grams).sum(),
        all_grams_known=kinded.grams.notnull().all(),
        raw_sha256=kinded.raw_sha256.min(),
    )


def _exact(number: Any) -> Any:
    """A product as a decimal, so that sums do not depend on their order."""
    return number.round(DIGITS).cast(EXACT)


def _rows(sums: ir.Table) -> ir.Table:
    """The columns of the contract; use below zero, as corrections alone may leave it, is unknown."""
    below = sums.kwh < 0
    kwh = ibis.ifelse(below, ibis.null(EXACT), sums.kwh)
    pct = sums.width.cast("float64") / sums.kwh.cast("float64").nullif(0.0)
    hours = sums.hours.cast("float64")
    owner = ibis.literal("/").join([sums[name].fill_null("") for name in OWNER])
    made = sums.mutate(
        share_id=owner,
        energy_kwh=kwh,
        # Some of equal parts without a footprint: the sum of the others would look like all of it.
        embodied_g=ibis.ifelse(sums.all_grams_known & (sums.grams >= 0), sums.grams, ibis.null(EXACT)),
        usage_hours=ibis.ifelse((hours > 0) & (hours <= 1), hours.round(9), None).cast(t.MEASURED),
        method=ibis.ifelse(sums.measured, Method.ESTIMATED_UTILIZATION.value, Method.ESTIMATED_CAPACITY.value),
        quality_tier=ibis.ifelse(sums.measured, 3, 4).cast(t.TIER),
        coverage=ibis.literal(0).cast(t.SHARE),
        uncertainty_pct=ibis.ifelse(pct > WIDEST_PCT, WIDEST_PCT, pct).round(3).cast(t.PERCENT),
        is_machine=sums.is_machine & sums.machine,
        utilization=sums.utilization.round(6).cast(t.SHARE),
        replication=sums.replication.round(6).cast(t.SHARE),
    )
    schema = schema_of(UsageEstimates)
    return made.select(**{name: made[name].cast(dtype) for name, dtype in schema.items()})


def _hours_of_month(day: Any) -> Any:
    first = day.truncate("M")
    start, end = (moment.cast("timestamp").epoch_seconds() for moment in (first, first + ibis.interval(months=1)))
    return (end - start) / 3600

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
from energy_assets.contracts.nodes import NodeRuleLike
from energy_assets.contracts.raw import UsageEstimates
from energy_assets.contracts.vocabulary import DeviceKind, Method
from energy_assets.estimates.hours import hourly
from energy_assets.estimates.lines import KIND, OWNER, with_kind
from energy_assets.estimates.resources import machine_names
from energy_assets.estimates.utilization import loaded, with_measured

PLACE = ("provider", "account_id", "region")
WIDEST_PCT = 999.999
EXACT = "decimal(38, 15)"
UNKNOWN = ("unknown type", "no power")
"""Reasons by which a machine ran whose energy is unknown: a row without energy."""


def usage_estimates(
    lines: ir.Table,
    components: ir.Table,
    days: Sequence[date],
    readings: ir.Table | None = None,
    rules: Sequence[NodeRuleLike] = (),
) -> ir.Table:
    """Rows of the contract `UsageEstimates`.

    Args:
        lines: From `lines.used`: of the days and of those before them that `hours.read_days` names.
        components: From `lines.components_table`, of the kinds of these lines.
        days: In order.
        readings: From `utilization.readings_of`; None where nobody measured how busy machines were.
        rules: The lines under `nodes` in site.yaml.
    """
    wanted = components.filter(components.reason.isnull() | components.reason.isin(UNKNOWN))
    summed = _summed(hourly(with_kind(lines, wanted), days))
    both = _named(summed).inner_join(wanted.drop(*KIND), "kind")
    return _rows(_components(loaded(with_measured(both, readings, rules), measured=readings is not None)))


def _named(rows: ir.Table) -> ir.Table:
    """Rows with the names of their resources, which are worked out once for each."""
    resource = ("provider", "account_id", "region", "resource_id", "service")
    names = machine_names(rows.select(*resource).distinct())
    both = rows.inner_join(names, same(rows, names, resource))
    named = both.select(*(rows[name] for name in rows.columns), names.node_id, names.is_machine)
    return named.mutate(resource=named.resource_id.nullif("").lower())


def billed_hours(lines: ir.Table, components: ir.Table, days: Sequence[date]) -> ir.Table:
    """Machines with a name of their own of which more than an hour is billed in an hour, with the meters of the lines.

    Args:
        lines: As `usage_estimates` takes them.
        components: From `lines.components_table`, of the kinds of these lines.
        days: In order.

    Returns:
        `day`, `hour`, `PLACE`, `node_id`, hours (float) and meters.
    """
    machines = components.filter(components.part == 0, components.instance_hours > 0)
    named = machine_names(lines.semi_join(machines, same(lines, machines, KIND)))
    of_hour = hourly(named.filter(named.is_machine, named.quantity.notnull()), days)
    both = of_hour.inner_join(machines, same(of_hour, machines, KIND))
    both = both.select(*(of_hour[name] for name in ("day", "hour", *PLACE, "node_id", "meter", "quantity")),
                       machines.instance_hours)  # fmt: skip
    ran = both.quantity.cast("float64") * both.instance_hours
    hours = both.group_by(["day", "hour", *PLACE, "node_id"]).aggregate(
        hours=ran.sum(), meters=both.meter.collect(distinct=True)
    )
    return hours.filter(hours.hours > 1)


def _summed(lines: ir.Table) -> ir.Table:
    """Quantities of equal kinds of one resource and owner in one hour, exactly."""
    alike = ["day", "hour", "source", *PLACE, "service", "resource_id", *OWNER, "kind"]
    return lines.group_by(alike).aggregate(
        quantity=lines.quantity.sum().cast("float64"), raw_sha256=lines.raw_sha256.min()
    )


def _components(rows: ir.Table) -> ir.Table:
    """Amounts and energy of each component of each row, and of equal components of one resource together.

    Equal components share their errors, so the interval of several is that of the widest.
    """
    size = rows.per_unit * ibis.ifelse(rows.monthly, _hours_of_month(rows.day), 1)
    amount = rows.quantity * size
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
        amount=ibis.ifelse(unknown, rows.quantity * rows.instance_hours, amount),
        kwh=ibis.ifelse(unknown, None, kwh),
        pct=ibis.ifelse(unknown, None, rows.pct),
        hours=rows.quantity * rows.instance_hours,
    )
    alike = [
        "day", "hour", "source", *PLACE, "node_id", "is_machine", *OWNER,
        "device_kind", "device_id", "device_model", "amount_unit", "machine",
    ]  # fmt: skip
    return kinded.group_by(alike).aggregate(
        amount=_exact(kinded.amount).sum(),
        kwh=_exact(kinded.kwh).sum(),
        pct=kinded.pct.max(),
        hours=_exact(kinded.hours).sum(),
        replication=kinded.replication.max(),
        utilization=kinded.taken.max(),
        measured=(kinded.covered > 0).any(),
        by_spend=kinded.currency.notnull().any(),
        grams=_exact(kinded.grams).sum(),
        all_grams_known=kinded.grams.notnull().all(),
        raw_sha256=kinded.raw_sha256.min(),
    )


def _exact(number: Any) -> Any:
    """A product as a decimal, so that sums do not depend on their order."""
    return number.cast(EXACT)


def _rows(sums: ir.Table) -> ir.Table:
    """The columns of the contract; use below zero, as corrections alone may leave it, is unknown."""
    below = sums.kwh < 0
    kwh = ibis.ifelse(below, ibis.null(EXACT), sums.kwh)
    pct = ibis.ifelse(sums.kwh.isnull(), None, sums.pct)
    hours = sums.hours.cast("float64")
    owner = ibis.literal("/").join([sums[name].fill_null("") for name in OWNER])
    made = sums.mutate(
        share_id=owner,
        energy_kwh=kwh,
        # Some of equal parts without a footprint: the sum of the others would look like all of it.
        embodied_g=ibis.ifelse(sums.all_grams_known & (sums.grams >= 0), sums.grams, ibis.null(EXACT)),
        usage_hours=ibis.ifelse((hours > 0) & (hours <= 1), hours.round(9), None).cast(t.MEASURED),
        method=ibis.cases(
            (sums.by_spend, Method.SPEND_PROXY.value),
            (sums.measured, Method.ESTIMATED_UTILIZATION.value),
            else_=Method.ESTIMATED_CAPACITY.value,
        ),
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

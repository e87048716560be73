"""Energy of what bills say was used: lines by the hour, times the constants of their kind.

What belongs here: the steps from `cost` to rows of the contract `UsageEstimates`. What does not: kinds and their
constants (`lines`, `components`), shares of hours (`hours`), and what telemetry replaces (`unified.blending`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time
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
    keep: Callable[[ir.Table], ir.Table] = lambda rows: rows,
) -> ir.Table:
    """Rows of the contract `UsageEstimates`.

    Args:
        lines: From `lines.used`: of the days and of those before them that `hours.read_days` names.
        components: From `lines.components_table`, of the kinds of these lines.
        days: In order.
        readings: From `utilization.readings_of`; None where nobody measured how busy machines were.
        rules: The lines under `nodes` in site.yaml.
        keep: Computes a table once that is read for every day, where days are written one after the other.
    """
    wanted = components.filter(components.reason.isnull() | components.reason.isin(UNKNOWN))
    known = with_kind(lines, wanted)
    known = known.filter(known.day.isin(list(days)) | (known.charge_period_end > datetime.combine(days[0], time())))
    parts, owned = keep(_with_part_kinds(wanted)), keep(_owned(known))
    summed = _summed(hourly(keep(_numbered(known, owned)), days))
    both = summed.inner_join(parts.drop(*KIND), "kind")
    if readings is not None:
        both = _with_names(both, owned)
    sums = _components(loaded(with_measured(both, readings, rules), measured=readings is not None))
    return _rows(_named(sums, owned, parts))


RESOURCE = (*PLACE, "resource_id", "service")
OWNED = ("source", *RESOURCE, *OWNER)
"""What tells a resource and its owner."""
THING = ("source", *PLACE, "node_id", "is_machine", *OWNER)
PART = ("device_kind", "device_id", "device_model", "amount_unit", "machine")


def _owned(lines: ir.Table) -> ir.Table:
    """Every resource of every owner, with a number, the name of its machine, and the number of its `thing`.

    Lines carry the numbers in place of the texts: many lines are of few resources, and adding up by number is fast.
    The numbers differ from run to run; nothing that is published depends on them.
    """
    known = lines.select(*OWNED).distinct()
    named = machine_names(known.mutate(owned=ibis.row_number().over(ibis.window(order_by=OWNED))))
    return named.mutate(
        thing=named.owned.min().over(ibis.window(group_by=THING)), resource=named.resource_id.nullif("").lower()
    )


def _with_part_kinds(components: ir.Table) -> ir.Table:
    """Components with the columns of `PART` as rows of the contract show them, and one number for equal ones."""
    unknown = components.reason.notnull()
    told = {
        "device_kind": ibis.ifelse(unknown, DeviceKind.INSTANCE.value, components.device_kind),
        "device_id": ibis.ifelse(
            unknown, ibis.literal("instance ").concat(components.what.left(80)), components.device_id
        ),
        "device_model": ibis.ifelse(unknown, components.what.left(80), components.device_model),
        "amount_unit": ibis.ifelse(unknown, "instance_h", components.amount_unit),
        "machine": components.machine,
    }
    shown = components.mutate(
        **{f"shown_{name}": value for name, value in told.items()},
        row=ibis.row_number().over(ibis.window(order_by=["kind", "part"])),
    )
    alike = ibis.window(group_by=[f"shown_{name}" for name in PART])
    return shown.mutate(part_kind=shown.row.min().over(alike)).drop("row")


def _numbered(lines: ir.Table, owned: ir.Table) -> ir.Table:
    """Lines with the number of their resource and owner in place of the texts."""
    both = lines.inner_join(owned, same(lines, owned, OWNED))
    return both.select(*(lines[name] for name in lines.columns if name not in OWNED), owned.owned, owned.thing)


def _with_names(rows: ir.Table, owned: ir.Table) -> ir.Table:
    both = rows.inner_join(owned, rows.owned == owned.owned)
    return both.select(
        *(rows[name] for name in rows.columns), *(owned[name] for name in (*PLACE, "node_id", "resource"))
    )


def _named(sums: ir.Table, owned: ir.Table, parts: ir.Table) -> ir.Table:
    """Sums with the texts their numbers stand for."""
    things = owned.filter(owned.owned == owned.thing).select("thing", *THING)
    kinds = parts.select("part_kind", **{name: parts[f"shown_{name}"] for name in PART}).distinct()
    return sums.inner_join(things, "thing").inner_join(kinds, "part_kind")


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
    mine = lines.semi_join(machines, same(lines, machines, KIND))
    names = machine_names(mine.select(*RESOURCE).distinct())
    both = mine.inner_join(names, same(mine, names, RESOURCE))
    named = both.select(*(mine[name] for name in mine.columns), names.node_id, names.is_machine)
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
    alike = ["day", "hour", "owned", "thing", "kind"]
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
        amount=ibis.ifelse(unknown, rows.quantity * rows.instance_hours, amount),
        kwh=ibis.ifelse(unknown, None, kwh),
        pct=ibis.ifelse(unknown, None, rows.pct),
        hours=rows.quantity * rows.instance_hours,
    )
    alike = ["day", "hour", "thing", "part_kind"]
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

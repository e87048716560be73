"""Containment: what holds what, and what is left of a container beside what is metered inside it.

What belongs here: the declared tree instance ⊃ node ⊃ cpu, dram, gpu; each thing's hour once; rests and their
intervals. What does not: which names mean the same host (`contracts.nodes`), owners (`unified.attribution`).

A machine is known by provider, region and name. The account is no part of it: it says who pays, and two sources
may name different cost centres for one host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.contracts.vocabulary import ESTIMATED, DeviceKind

CONTAINS: Mapping[str, tuple[str, ...]] = {
    DeviceKind.NODE.value: (
        DeviceKind.CPU.value,
        DeviceKind.DRAM.value,
        DeviceKind.GPU.value,
        DeviceKind.REST_OF_NODE.value,
    ),
    DeviceKind.INSTANCE.value: (
        DeviceKind.NODE.value,
        DeviceKind.CPU.value,
        DeviceKind.DRAM.value,
        DeviceKind.GPU.value,
        DeviceKind.REST_OF_NODE.value,
    ),
}
"""Each container with everything inside it, the innermost container first."""

SUM_KWH = "decimal(38, 9)"
VARIANCE = "decimal(38, 16)"
LARGEST_PCT = 999.999
MACHINE = ["provider", "region", "node_id", "hour"]
_THING = ["thing_provider", "thing_region", "thing_node", "device_kind", "thing_id"]
_CONTRIBUTOR = ["source_rank", "raw_node_id", "node_id", "at_provider", "at_region"]


def resolve_overlaps(rows: ir.Table) -> ir.Table:
    """Each kWh once: the one function over the tree.

    Args:
        rows: Readings of all contributors under one name per host (`rename_nodes`), with `uncertainty_pct`.

    Returns:
        The same columns; containers that hold something are `rest_of_node`.
    """
    single = drop_replaced_estimates(deduplicate_devices(rows))
    for container, inside in CONTAINS.items():
        single = subtract_contained(single, container, inside)
    return single


def deduplicate_devices(rows: ir.Table) -> ir.Table:
    """Keep each thing's hour from one contributor: a source, under one of the names it gives the host.

    One that observed the hour, then what was measured before what was estimated, then the best quality tier, then the
    first in the site file, then the first name.
    All users of a shared device come from the same contributor. A GPU with a UUID is the same GPU under whatever host
    name and in whatever place, and counts where the chosen contributor says it is; any other device is known by its
    name on its host.

    Args:
        rows: With `source_rank` (int32, 0 is preferred), `raw_node_id` and the columns of `EnergyReadings`;
            `device_uuid` where the id of a GPU is one (`unified.devices.with_uuids`).
    """
    keyed = _with_things(rows)
    by_day = keyed.group_by([*_THING, "day"]).aggregate(
        **{f"first_{name}": keyed[name].min() for name in _CONTRIBUTOR},
        **{f"last_{name}": keyed[name].max() for name in _CONTRIBUTOR},
    )
    contested = by_day.filter(ibis.or_(*(by_day[f"first_{name}"] != by_day[f"last_{name}"] for name in _CONTRIBUTOR)))
    rivals = keyed.semi_join(contested, same(keyed, contested, [*_THING, "day"]))
    guess = rivals.method.isin(ESTIMATED)
    order = [rivals.energy_kwh.isnull(), guess, rivals.quality_tier, *(rivals[name] for name in _CONTRIBUTOR)]
    place = ibis.row_number().over(ibis.window(group_by=[*_THING, "hour"], order_by=order))
    ranked = rivals.mutate(place=place)
    best = ranked.filter(ranked.place == 0)
    best = best.select(*_THING, "hour", **{f"best_{name}": best[name] for name in _CONTRIBUTOR})
    both = keyed.left_join(best, same(keyed, best, [*_THING, "hour"]))
    chosen = ibis.and_(*(keyed[name] == best[f"best_{name}"] for name in _CONTRIBUTOR))
    return both.filter(best.best_source_rank.isnull() | chosen).select(*(keyed[name] for name in rows.columns))


def _with_things(rows: ir.Table) -> ir.Table:
    """Add what the energy is of (`thing_…`), and where the contributor says it is (`at_…`, '' for unknown)."""
    anywhere = rows.device_uuid.notnull()
    return rows.mutate(
        thing_provider=ibis.ifelse(anywhere, "", rows.provider),
        thing_region=ibis.ifelse(anywhere, "", rows.region),
        thing_node=ibis.ifelse(anywhere, "", rows.node_id),
        thing_id=ibis.coalesce(rows.device_uuid, rows.device_id),
        at_provider=rows.provider.fill_null(""),
        at_region=rows.region.fill_null(""),
    )


def drop_replaced_estimates(rows: ir.Table) -> ir.Table:
    """Leave out estimates of a container in hours in which telemetry inside it was observed.

    An estimate does not become a rest: what it says of the whole is a guess, what is inside was measured.

    Args:
        rows: Each thing's hour once.
    """
    guess = rows.method.isin(ESTIMATED)
    replaced = ibis.literal(False)
    telemetry = rows.filter(~guess & rows.energy_kwh.notnull())
    inside = telemetry.group_by(MACHINE).aggregate(
        **{f"in_{container}": telemetry.device_kind.isin(parts).any() for container, parts in CONTAINS.items()}
    )
    guessed = rows.filter(guess & rows.device_kind.isin(list(CONTAINS)))
    others = rows.filter(~(guess & rows.device_kind.isin(list(CONTAINS))))
    both = guessed.left_join(inside, same(guessed, inside, MACHINE))
    for container in CONTAINS:
        replaced = replaced | ((guessed.device_kind == container) & inside[f"in_{container}"].fill_null(False))
    return others.union(both.filter(~replaced).select(*(guessed[name] for name in rows.columns)))


def subtract_contained(rows: ir.Table, container: str, inside: Sequence[str]) -> ir.Table:
    """Turn rows of a container into what is left of it, shared among its users in proportion.

    A rest is never below zero: where the parts report more, they are believed. A container whose
    parts were not observed stays what it is; an unobserved container with observed parts is an unknown rest.

    Args:
        rows: Each thing's hour once, with `uncertainty_pct`.
        container: The device kind of the container.
        inside: The device kinds in it.
    """
    holders = rows.filter(rows.device_kind == container)
    others = rows.filter(rows.device_kind != container)
    parts = rows.filter(rows.device_kind.isin(list(inside)) & rows.energy_kwh.notnull())
    sums = _inside(parts.semi_join(holders, same(parts, holders, MACHINE)))
    both = holders.left_join(sums, same(holders, sums, MACHINE))
    both = both.select(*(holders[name] for name in rows.columns), *(sums[name] for name in _INSIDE))
    alone = both.filter(both.inside_kwh.isnull()).select(*rows.columns)
    rest = _rest(both.filter(both.inside_kwh.notnull())).select(*rows.columns)
    return others.union(alone).union(rest)


_INSIDE = ["inside_kwh", "inside_variance", "inside_unknown"]


def _inside(parts: ir.Table) -> ir.Table:
    """What the parts of each machine's hour sum up to, and the squares of their half-widths.

    Users of one device share its error, so their half-widths add up; errors of different devices are independent.
    """
    devices = parts.group_by([*MACHINE, "device_kind", "device_id"]).aggregate(
        kwh=parts.energy_kwh.sum().cast(SUM_KWH),
        half_width=_half_width(parts).sum().cast("decimal(38, 12)"),
        unknown=(parts.uncertainty_pct.isnull() & (parts.energy_kwh > 0)).any(),
    )
    width = devices.half_width.cast("float64").fill_null(0.0) / 100
    return devices.group_by(MACHINE).aggregate(
        inside_kwh=devices.kwh.sum().cast(SUM_KWH),
        inside_variance=(width * width).cast(VARIANCE).sum().cast(VARIANCE),
        inside_unknown=devices.unknown.any(),
    )


def _half_width(rows: ir.Table) -> Any:
    """KWh times per cent, exact."""
    return (rows.energy_kwh.cast(SUM_KWH) * rows.uncertainty_pct).cast("decimal(38, 12)")


def _rest(holders: ir.Table) -> ir.Table:
    """Each user's share of the rest, rounded so that the shares add up exactly, and the interval of the difference.

    The interval is that of a difference of independent readings: absolute half-widths in squares (JCGM 100:2008,
    5.1.2), so 10 ±1 % − 6 ±5 % is 4 ±7.906 %. It is NULL where the interval of the container or of a part is
    unknown, and where the rest is 0, of which no percentage exists. 999.999 stands for itself or more.
    """
    machine = ibis.window(group_by=MACHINE)
    device = ibis.window(group_by=[*MACHINE, "device_id"])
    until = ibis.cumulative_window(group_by=MACHINE, order_by=["device_id", "share_id", "source_rank"])
    wide = holders.mutate(row_width=_half_width(holders))
    wide = wide.mutate(device_width=wide.row_width.sum().over(device).cast("decimal(38, 12)"))
    square = wide.row_width.cast("float64") * wide.device_width.cast("float64") / 10_000
    wide = wide.mutate(square=square.cast(VARIANCE))
    sums = wide.mutate(
        holder_kwh=wide.energy_kwh.sum().over(machine).cast(SUM_KWH),
        after_kwh=wide.energy_kwh.sum().over(until).cast(SUM_KWH),
        holder_variance=wide.square.sum().over(machine).cast(VARIANCE),
        unknown=(wide.uncertainty_pct.isnull() & (wide.energy_kwh > 0)).any().over(machine),
    )
    rest_kwh = ibis.greatest(sums.holder_kwh - sums.inside_kwh, ibis.literal(0).cast(SUM_KWH))

    def part(kwh: Any) -> Any:
        ratio = kwh.cast("float64") / sums.holder_kwh.cast("float64").nullif(0.0)
        return ibis.ifelse(kwh == sums.holder_kwh, rest_kwh, (rest_kwh.cast("float64") * ratio).round(9).cast(SUM_KWH))

    share = part(sums.after_kwh) - part((sums.after_kwh - sums.energy_kwh).cast(SUM_KWH))
    width = (sums.holder_variance.cast("float64") + sums.inside_variance.cast("float64")).sqrt()
    percent = ibis.least(width / rest_kwh.cast("float64").nullif(0.0) * 100, ibis.literal(LARGEST_PCT))
    known = ~(sums.unknown.fill_null(False) | sums.inside_unknown) & (rest_kwh > 0)
    return sums.mutate(
        energy_kwh=share.cast(t.MEASURED),
        device_kind=ibis.literal(DeviceKind.REST_OF_NODE.value),
        uncertainty_pct=ibis.ifelse(known, percent.round(3).cast(t.PERCENT), ibis.null(t.PERCENT)),
    )

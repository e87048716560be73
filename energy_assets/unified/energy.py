"""Unified energy: readings of every source as one table, each kWh once, each with place and owner.

What belongs here: containment (a node holds its devices), overlap of sources, attribution, uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.sources.base import Place
from energy_assets.unified.attribution import RuleLike, attribute

COMPONENTS = ["gpu", "cpu", "dram"]
SUM_KWH = "decimal(38, 9)"
DEVICE = ["provider", "region", "node_id", "device_id", "hour"]
NODE = ["provider", "region", "node_id", "hour"]


def energy(
    readings: Mapping[str, ir.Table],
    places: Mapping[str, Place],
    rules: Sequence[RuleLike],
    uncertainty: Mapping[tuple[str, str], Decimal],
) -> ir.Table:
    """Readings of all sources to rows of the contract `Energy`.

    Args:
        readings: Rows of the contract `EnergyReadings` by source name, the preferred source first.
        places: Where each source stands.
        rules: Attribution rules.
        uncertainty: 95 % interval in per cent by (method, device kind); a kind of '' stands for any.
    """
    rows = contain(joined(readings, places))
    return (
        attribute(rows, rules)
        .mutate(uncertainty_pct=_uncertainty(rows, uncertainty))
        .drop("labels", "idle", "source_rank")
    )


def once(rows: ir.Table) -> ir.Table:
    """Keep each device's hour from one source only.

    One that observed it, then the best quality tier, then the first in the site file. All users of a shared
    device come from the same source.
    """
    unobserved = rows.energy_kwh.isnull().cast("int32")
    order = unobserved * 100_000 + rows.quality_tier * 10_000 + rows.source_rank
    best = rows.group_by(DEVICE).aggregate(best_rank=order.min() % 10_000)
    joined = rows.inner_join(best, DEVICE)
    return joined.filter(joined.source_rank == joined.best_rank).drop("best_rank")


def contain(rows: ir.Table) -> ir.Table:
    """Where a node is metered as well as its devices, turn the node into what is left of it.

    node ⊃ cpu, dram, gpu: the node's rows become `rest_of_node` = node − devices, shared among the node's users
    in proportion; never below zero (see `overdrawn`).
    """
    devices = rows.filter(rows.device_kind.isin(COMPONENTS) & rows.energy_kwh.notnull())
    inside = devices.group_by(NODE).aggregate(inside_kwh=devices.energy_kwh.sum().cast(SUM_KWH))
    metered = rows.left_join(inside, NODE).drop(*(f"{key}_right" for key in NODE))
    holds_devices = (metered.device_kind == "node") & metered.inside_kwh.notnull()
    others = metered.filter(~holds_devices)
    rest = _rest(metered.filter(holds_devices))
    return others.union(rest.select(others.columns)).drop("inside_kwh")


def _rest(nodes: ir.Table) -> ir.Table:
    """Each user's share of what is left of a node, rounded so that the shares add up to it exactly."""
    window = ibis.window(group_by=NODE)
    until = ibis.cumulative_window(group_by=NODE, order_by=["device_id", "share_id", "source_rank"])
    sums = nodes.mutate(
        node_kwh=nodes.energy_kwh.sum().over(window).cast(SUM_KWH),
        after_kwh=nodes.energy_kwh.sum().over(until).cast(SUM_KWH),
    )
    nothing = ibis.literal(0).cast(SUM_KWH)
    rest_kwh = ibis.greatest(sums.node_kwh - sums.inside_kwh, nothing)

    def part(kwh: Any) -> Any:
        ratio = kwh.cast("float64") / sums.node_kwh.cast("float64").nullif(0.0)
        return ibis.ifelse(kwh == sums.node_kwh, rest_kwh, (rest_kwh.cast("float64") * ratio).round(9).cast(SUM_KWH))

    share = part(sums.after_kwh) - part((sums.after_kwh - sums.energy_kwh).cast(SUM_KWH))
    return sums.mutate(energy_kwh=share.cast(t.MEASURED), device_kind=ibis.literal("rest_of_node"))


def joined(readings: Mapping[str, ir.Table], places: Mapping[str, Place]) -> ir.Table:
    """Readings of all sources in one table, each with its place, each device's hour once."""
    placed = [_placed(rows, source, places[source], rank) for rank, (source, rows) in enumerate(readings.items())]
    return once(ibis.union(*placed)) if len(placed) > 1 else placed[0]


def overdrawn(rows: ir.Table) -> ir.Table:
    """Nodes and hours whose devices report more than the node's meter: the meter is wrong, or a device is.

    Args:
        rows: From `joined`.
    """
    sums = _sums(rows)
    return sums.filter(sums.inside_kwh > sums.node_kwh).order_by("node_id", "hour")


def unbalanced(rows: ir.Table, energy: ir.Table) -> ir.Table:
    """Nodes and hours whose rows of `energy` do not add up to the node: workloads + idle + overhead = node.

    A node is its meter, or the sum of its devices where they report more or it has none.

    Args:
        rows: From `joined`.
        energy: The published table for the same days.
    """
    sums = _sums(rows)
    whole = sums.mutate(
        whole_kwh=ibis.greatest(sums.node_kwh.fill_null(0), sums.inside_kwh.fill_null(0)) + sums.other_kwh
    )
    parts = energy.group_by(NODE).aggregate(parts_kwh=energy.energy_kwh.sum().fill_null(0))
    both = whole.left_join(parts, NODE).drop(*(f"{key}_right" for key in NODE))
    gap = (both.whole_kwh - both.parts_kwh.fill_null(0)).cast(SUM_KWH)
    return both.mutate(gap_kwh=gap).filter(lambda b: b.gap_kwh != 0).order_by("node_id", "hour")


def _sums(rows: ir.Table) -> ir.Table:
    kind = rows.device_kind
    return rows.group_by(NODE).aggregate(
        node_kwh=rows.energy_kwh.sum(where=kind == "node"),
        inside_kwh=rows.energy_kwh.sum(where=kind.isin(COMPONENTS)),
        other_kwh=rows.energy_kwh.sum(where=~kind.isin([*COMPONENTS, "node"])).fill_null(0),
    )


def _placed(rows: ir.Table, source: str, place: Place, rank: int) -> ir.Table:
    return rows.mutate(
        source=ibis.literal(source),
        provider=ibis.literal(place.provider),
        account_id=_text(place.account_id),
        region=_text(place.region),
        zone=_text(place.zone),
        source_rank=ibis.literal(rank, type="int32"),
    )


def _text(value: str | None) -> Any:
    return ibis.literal(value, type="string") if value is not None else ibis.null("string")


def _uncertainty(rows: ir.Table, table: Mapping[tuple[str, str], Decimal]) -> Any:
    exact = [
        ((rows.method == method) & (rows.device_kind == kind), ibis.literal(value).cast(t.PERCENT))
        for (method, kind), value in table.items()
        if kind
    ]
    general = [
        (rows.method == method, ibis.literal(value).cast(t.PERCENT))
        for (method, kind), value in table.items()
        if not kind
    ]
    cases = exact + general
    return ibis.cases(*cases, else_=ibis.null(t.PERCENT)) if cases else ibis.null(t.PERCENT)

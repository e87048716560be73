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
    placed = [_placed(rows, source, places[source], rank) for rank, (source, rows) in enumerate(readings.items())]
    rows = ibis.union(*placed) if len(placed) > 1 else placed[0]
    if len(placed) > 1:
        rows = once(rows)
    rows = contain(rows)
    return attribute(rows, rules).mutate(uncertainty_pct=_uncertainty(rows, uncertainty)).drop("labels", "idle", "rank")


def once(rows: ir.Table) -> ir.Table:
    """Keep each device's hour from one source only: the best quality tier, then the first in the site file."""
    best = rows.group_by(DEVICE).aggregate(best=(rows.quality_tier * 1000 + rows["rank"]).min())
    joined = rows.inner_join(best, DEVICE)
    return joined.filter(joined.quality_tier * 1000 + joined["rank"] == joined.best).drop("best")


def contain(rows: ir.Table) -> ir.Table:
    """Where a node is metered as well as its devices, turn the node into what is left of it.

    node ⊃ cpu, dram, gpu: the node's rows become `rest_of_node` = node − devices, shared among the node's users
    in proportion; never below zero (see `overdrawn`).
    """
    devices = rows.filter(rows.device_kind.isin(COMPONENTS) & rows.energy_kwh.notnull())
    inside = devices.group_by(NODE).aggregate(inside_kwh=devices.energy_kwh.sum().cast("decimal(38, 9)"))
    nodes = rows.filter((rows.device_kind == "node") & rows.energy_kwh.notnull())
    whole = nodes.group_by(NODE).aggregate(node_kwh=nodes.energy_kwh.sum().cast("decimal(38, 9)"))
    metered = rows.left_join(inside, NODE).drop(*(f"{key}_right" for key in NODE))
    metered = metered.left_join(whole, NODE).drop(*(f"{key}_right" for key in NODE))
    rest_kwh = ibis.greatest(metered.node_kwh - metered.inside_kwh, ibis.literal(0).cast("decimal(38, 9)"))
    share = ibis.ifelse(
        metered.energy_kwh == metered.node_kwh,
        rest_kwh,
        (metered.energy_kwh.cast("float64") * rest_kwh.cast("float64") / metered.node_kwh.cast("float64")).round(9),
    )
    is_rest = (metered.device_kind == "node") & metered.inside_kwh.notnull()
    return metered.mutate(
        energy_kwh=ibis.ifelse(is_rest, share.cast(t.MEASURED), metered.energy_kwh),
        device_kind=ibis.ifelse(is_rest, "rest_of_node", metered.device_kind),
    ).drop("inside_kwh", "node_kwh")


def overdrawn(rows: ir.Table) -> ir.Table:
    """Nodes and hours whose devices report more than the node's meter: the meter is wrong, or a device is.

    Args:
        rows: Readings as `energy` joins them, before containment.
    """
    sums = rows.group_by(NODE).aggregate(
        node_kwh=rows.energy_kwh.sum(where=rows.device_kind == "node"),
        inside_kwh=rows.energy_kwh.sum(where=rows.device_kind.isin(COMPONENTS)),
    )
    return sums.filter(sums.inside_kwh > sums.node_kwh)


def _placed(rows: ir.Table, source: str, place: Place, rank: int) -> ir.Table:
    return rows.mutate(
        source=ibis.literal(source),
        provider=ibis.literal(place.provider),
        account_id=_text(place.account_id),
        region=_text(place.region),
        zone=_text(place.zone),
        rank=ibis.literal(rank, type="int32"),
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

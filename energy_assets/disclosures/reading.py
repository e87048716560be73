"""The few queries a report asks of its tables. Each returns a handful of rows; sums are made by the engine.

What belongs here: ibis expressions on the month's tables. What does not: figures, words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.kpis.ingredients import UNKNOWN as UNKNOWN
from energy_assets.kpis.ingredients import Selection

NOT_FILLED = ("market_g", "embodied_g", "water_onsite_l", "water_offsite_l")


def rows(expression: ir.Table) -> list[dict[str, Any]]:
    """An expression's rows as dicts."""
    found: list[dict[str, Any]] = expression.to_pyarrow().to_pylist()
    return found


def restricted(table: ir.Table, selection: Selection) -> ir.Table:
    """The rows of `table` that `selection` means."""
    for item in selection.filters:
        table = table.filter(item.of(table[item.column]))
    return table


@dataclass(frozen=True)
class Basis:
    """What stands behind the energy of one cut: its factors and its quality tiers."""

    factor_ids: tuple[str, ...]
    tiers: Mapping[str, Decimal]


def basis_by(emissions: ir.Table, grain: str | None) -> dict[str, Basis]:
    """Factors and tier shares per value of a column of `emissions` ('' for the total)."""
    value = ibis.literal("") if grain is None else emissions[grain].cast("string").fill_null(UNKNOWN)
    found = rows(
        emissions.group_by(cut=value, factor_id=emissions.factor_id, tier=emissions.quality_tier.cast("string"))
        .aggregate(kwh=emissions.energy_kwh.sum())
        .order_by("cut", "factor_id", "tier")
    )
    result = {}
    for cut in dict.fromkeys(row["cut"] for row in found):
        mine = [row for row in found if row["cut"] == cut]
        energy: dict[str, Decimal] = {}
        for row in mine:
            energy[row["tier"]] = energy.get(row["tier"], Decimal(0)) + (row["kwh"] or 0)
        total = sum(energy.values())
        tiers = {tier: kwh / total for tier, kwh in sorted(energy.items()) if total and kwh}
        factors = sorted({row["factor_id"] for row in mine if row["factor_id"] is not None})
        result[cut] = Basis(tuple(factors), tiers)
    return result


def hours_of_day(grid: ir.Table, column: str) -> list[dict[str, Any]]:
    """Sum and number of the known intensities per zone and hour of day (UTC)."""
    known = grid.filter(grid[column].notnull())
    return rows(
        known.group_by(zone=known.zone, hour_of_day=known.hour.hour())
        .aggregate(total=known[column].sum(), hours=known.count())
        .order_by("zone", "hour_of_day")
    )


def sources(emissions: ir.Table) -> list[dict[str, Any]]:
    """Energy, hours and coverage of each source and method."""
    return rows(
        emissions.group_by("source", "method")
        .aggregate(
            kwh=emissions.energy_kwh.sum(),
            observed=emissions.coverage.sum(),
            hours=emissions.count(),
            devices=(emissions.node_id + ibis.literal(" ") + emissions.device_id).nunique(),
        )
        .order_by("source", "method")
    )


def zones(emissions: ir.Table) -> list[dict[str, Any]]:
    """Facility energy and emissions of each grid zone."""
    return rows(
        emissions.group_by(zone=emissions.zone.fill_null(UNKNOWN))
        .aggregate(
            facility_kwh=emissions.facility_kwh.sum(),
            location_g=emissions.location_g.sum(),
            factored_kwh=emissions.facility_kwh.sum(where=emissions.location_g.notnull()),
        )
        .order_by("zone")
    )


def gaps(emissions: ir.Table) -> dict[str, Any]:
    """Counts of rows that could not be measured, placed or multiplied, and the energy they hold."""
    unplaced = emissions.zone.isnull()
    no_pue = emissions.energy_kwh.notnull() & emissions.pue.isnull()
    no_factor = emissions.facility_kwh.notnull() & emissions.location_g.isnull()
    no_upstream = emissions.location_g.notnull() & emissions.upstream_g.isnull()
    unattributed = (emissions.project == UNKNOWN) & (emissions.workload_type != "idle")
    conditions = {
        "unobserved": emissions.energy_kwh.isnull(),
        "unplaced": unplaced,
        "no_pue": no_pue,
        "no_factor": no_factor,
        "no_upstream": no_upstream,
        "unattributed": unattributed,
    }
    measures = {"rows": emissions.count()}
    for name, condition in conditions.items():
        measures[f"{name}_rows"] = emissions.count(where=condition)
        measures[f"{name}_kwh"] = emissions.energy_kwh.sum(where=condition)
    for column in NOT_FILLED:
        measures[f"{column}_rows"] = emissions.count(where=emissions[column].notnull())
        measures[column] = emissions[column].sum()
    return rows(emissions.aggregate(**measures))[0]


def largest_power(emissions: ir.Table) -> list[dict[str, Any]]:
    """Per kind of device the largest energy of one device in one hour."""
    device_hours = emissions.group_by("hour", "source", "node_id", "device_id", "device_kind").aggregate(
        kwh=emissions.energy_kwh.sum()
    )
    return rows(device_hours.group_by("device_kind").aggregate(kwh=device_hours.kwh.max()).order_by("device_kind"))


def by_kind(emissions: ir.Table) -> list[dict[str, Any]]:
    """IT energy per kind of device."""
    return rows(emissions.group_by("device_kind").aggregate(kwh=emissions.energy_kwh.sum()).order_by("device_kind"))

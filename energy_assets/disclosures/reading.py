"""The few queries a report asks of its tables. Each returns a handful of rows; sums are made by the engine.

What belongs here: ibis expressions on the period's tables. What does not: figures, words. The rows of `emissions`
may be a year's: they are scanned once into `condensed`, and everything but the largest power is asked of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import MEASURED
from energy_assets.disclosures.missing import Found
from energy_assets.disclosures.text import visible
from energy_assets.kpis.ingredients import UNKNOWN as UNKNOWN
from energy_assets.kpis.ingredients import Selection

NOT_FILLED = ("market_g", "losses_g", "embodied_g", "water_onsite_l", "water_offsite_l")
#: What sections tell rows of `emissions` apart by.
ALIKE = (
    "source", "method", "provider", "account_id", "zone", "project", "model_id", "workload_type", "device_kind",
    "quality_tier", "factor_id", "factor_tier", "factor_resolution", "ghg_scope",
)  # fmt: skip
#: A flag of rows whose publisher's direct intensity is above its life-cycle one.
BELOW_ZERO = "upstream_below_zero"
MAY_BE_UNKNOWN = ("energy_kwh", "pue", "facility_kwh", "location_g", "upstream_g")
#: Columns of which it is asked whether an interval is known.
INTERVALS = ("uncertainty_pct", "factor_uncertainty_pct")
SUMMED = ("energy_kwh", "coverage", "facility_kwh", "location_g", "upstream_g")


def rows(expression: ir.Table) -> list[dict[str, Any]]:
    """An expression's rows as dicts."""
    found: list[dict[str, Any]] = expression.to_pyarrow().to_pylist()
    return found


def restricted(table: ir.Table, selection: Selection) -> ir.Table:
    """The rows of `table` that `selection` means.

    Args:
        table: Has a column for each filter.
        selection: Filters that must all hold.
    """
    for item in selection.filters:
        table = table.filter(item.of(table))
    return table


@dataclass(frozen=True)
class Basis:
    """What stands behind the energy of one cut: its factors and its quality tiers."""

    factor_ids: tuple[str, ...]
    tiers: Mapping[str, Decimal]


def days_with_data(daily: ir.Table) -> list[date]:
    """The days that have a KPI row, in order."""
    return [row["day"] for row in rows(daily.select("day").distinct().order_by("day"))]


def condensed(emissions: ir.Table, *, by_month: bool) -> ir.Table:
    """Emissions rows that no section tells apart, as one with their number and sums: the one scan of most queries.

    Args:
        emissions: Rows of the contract `Emissions`.
        by_month: Whether `step` is the first day of the month (long periods) or the day.

    Returns:
        The columns of `ALIKE`, `step`, a flag `<column>_known` for each column of `MAY_BE_UNKNOWN` and `INTERVALS`,
        the flag `BELOW_ZERO`; `rows` counts, `coverage` (device-hours) and the quantities are sums; `<column>_rows`
        counts the known values of columns that later work fills.
    """
    day = emissions.day
    step = ibis.date(day.year(), day.month(), 1) if by_month else day
    flags: dict[str, Any] = {f"{name}_known": emissions[name].notnull() for name in (*MAY_BE_UNKNOWN, *INTERVALS)}
    flags[BELOW_ZERO] = (emissions.upstream_g < 0).fill_null(False)
    flagged = emissions.mutate(step=step, **flags)
    later = [name for name in NOT_FILLED if name in emissions.columns]
    return flagged.group_by(["step", *ALIKE, *flags]).aggregate(
        rows=flagged.count(),
        **{name: flagged[name].sum() for name in (*SUMMED, *later)},
        **{f"{name}_rows": flagged[name].count() for name in later},
    )


def basis_by(emissions: ir.Table, columns: Sequence[str]) -> dict[tuple[str, ...], Basis]:
    """Factors and tier shares per value of some columns; of none of them, for the total.

    Args:
        emissions: From `condensed`.
        columns: What the cuts are told apart by, in the order of the keys.
    """
    cuts = {name: emissions[name].cast("string").fill_null(UNKNOWN) for name in columns}
    found = rows(
        emissions.group_by(**cuts, factor=emissions.factor_id, tier=emissions.quality_tier.cast("string"))
        .aggregate(kwh=emissions.energy_kwh.sum())
        .order_by(*cuts, "factor", "tier")
    )
    by_cut: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in found:
        by_cut.setdefault(tuple(row[name] for name in columns), []).append(row)
    result = {}
    for cut, mine in by_cut.items():
        energy: dict[str, Decimal] = {}
        for row in mine:
            energy[row["tier"]] = energy.get(row["tier"], Decimal(0)) + (row["kwh"] or 0)
        total = sum(energy.values())
        tiers = {tier: kwh / total for tier, kwh in sorted(energy.items()) if total and kwh}
        factors = sorted({row["factor"] for row in mine if row["factor"] is not None})
        result[cut] = Basis(tuple(factors), tiers)
    return result


def found_by(emissions: ir.Table, grain: str | None, *, by_step: bool) -> dict[tuple[str, str], dict[str, Found]]:
    """What is known of the rows of each member and step, by GHG scope.

    Args:
        emissions: From `condensed`.
        grain: The column whose values are the members, or None: then every member is ''.
        by_step: Whether steps are told apart; else every step is ''.

    Returns:
        By member and first day of the step (ISO): the scopes that rows have.
    """
    keys = {
        "member": ibis.literal("") if grain is None else emissions[grain].cast("string").fill_null(UNKNOWN),
        "when": emissions.step.cast("string") if by_step else ibis.literal(""),
    }
    known = [f"{name}_known" for name in MAY_BE_UNKNOWN]
    counted = rows(
        emissions.group_by(**keys, scope=emissions.ghg_scope, zone=emissions.zone, **{k: emissions[k] for k in known})
        .aggregate(n=emissions.rows.sum())
        .order_by("member", "when", "scope", "zone")
    )
    found: dict[tuple[str, str], dict[str, Found]] = {}
    for row in counted:
        n, scopes = int(row["n"]), found.setdefault((row["member"], row["when"]), {})
        unpriced = row["facility_kwh_known"] and not row["location_g_known"] and row["zone"] is not None
        one = Found(
            rows=n,
            energy=n if row["energy_kwh_known"] else 0,
            facility=n if row["facility_kwh_known"] else 0,
            location=n if row["location_g_known"] else 0,
            lifecycle=n if row["upstream_g_known"] else 0,
            unpriced=(visible(row["zone"]),) if unpriced else (),
        )
        scopes[row["scope"]] = scopes.get(row["scope"], Found()) + one
    return found


def hours_of_day(grid: ir.Table, column: str) -> list[dict[str, Any]]:
    """Sum and number of the known intensities per zone and hour of day (UTC).

    Args:
        grid: One row per zone and hour: zone, hour (UTC) and the intensity.
        column: The intensity, g/kWh.
    """
    known = grid.filter(grid[column].notnull())
    return rows(
        known.group_by(zone=known.zone, hour_of_day=known.hour.hour())
        .aggregate(total=known[column].sum(), hours=known.count())
        .order_by("zone", "hour_of_day")
    )


def sources(emissions: ir.Table) -> list[dict[str, Any]]:
    """Energy (kWh), device-hours observed and device-hours of each source and method; from `condensed`."""
    return rows(
        emissions.group_by("source", "method")
        .aggregate(kwh=emissions.energy_kwh.sum(), observed=emissions.coverage.sum(), hours=emissions.rows.sum())
        .order_by("source", "method")
    )


def zones(emissions: ir.Table) -> list[dict[str, Any]]:
    """Facility energy (kWh) of each grid zone; from `condensed`."""
    return rows(
        emissions.group_by(zone=emissions.zone.fill_null(UNKNOWN))
        .aggregate(facility_kwh=emissions.facility_kwh.sum())
        .order_by("zone")
    )


def gaps(emissions: ir.Table) -> dict[str, Any]:
    """Counts of rows that could not be measured, placed or multiplied, and the energy they hold.

    Args:
        emissions: From `condensed`.

    Returns:
        `rows` and `<some>_rows` that gaps are counted among, `<gap>_rows` and `<gap>_kwh` for each gap,
        `<column>` and `<column>_rows` for each of `NOT_FILLED`.
    """
    e = emissions
    conditions = {
        "unobserved": ~e.energy_kwh_known,
        "unplaced": e.zone.isnull(),
        "no_pue": e.energy_kwh_known & ~e.pue_known,
        "no_factor": e.facility_kwh_known & ~e.location_g_known,
        "no_upstream": e.location_g_known & ~e.upstream_g_known,
        "unattributed": (e.project == UNKNOWN) & (e.workload_type != "idle"),
        "below_zero": e[BELOW_ZERO],
    }
    wholes = {
        "rows": None,
        "with_energy_rows": e.energy_kwh_known,
        "with_facility_rows": e.facility_kwh_known,
        "with_location_rows": e.location_g_known,
        "in_use_rows": e.workload_type != "idle",
    }
    measures: dict[str, Any] = {name: e.rows.sum(where=condition) for name, condition in wholes.items()}
    for name, condition in conditions.items():
        measures[f"{name}_rows"] = e.rows.sum(where=condition)
        measures[f"{name}_kwh"] = e.energy_kwh.sum(where=condition)
    later = [name for name in NOT_FILLED if name in e.columns]
    for column in later:
        measures[f"{column}_rows"] = e[f"{column}_rows"].sum()
        measures[column] = e[column].sum()
    (found,) = rows(e.aggregate(**measures))
    counts = {name: int(value or 0) for name, value in found.items() if name.endswith("rows")}
    absent = {f"{column}_rows": 0 for column in NOT_FILLED if column not in later}
    return found | counts | absent


def upstream_below_zero(emissions: ir.Table) -> list[dict[str, Any]]:
    """Per zone the hours and rows with negative upstream emissions, and their sum (g); the largest first.

    Args:
        emissions: Rows of the contract `Emissions`.
    """
    mine = emissions.filter(emissions.upstream_g < 0)
    per_zone = mine.group_by(zone=mine.zone.fill_null(UNKNOWN)).aggregate(
        hours=mine.hour.nunique(), rows=mine.count(), upstream_g=mine.upstream_g.sum()
    )
    return rows(per_zone.order_by("upstream_g", "zone"))


def factors(emissions: ir.Table) -> list[dict[str, Any]]:
    """The grid factors applied: id, zone, rung of the ladder and what period it is of; from `condensed`."""
    used = emissions.filter(emissions.factor_id.notnull(), emissions.facility_kwh_known)
    keys = ["factor_id", "zone", "factor_tier", "factor_resolution"]
    return rows(used.select(*keys).distinct().order_by(*keys))


def without_interval(emissions: ir.Table, scope: str | None = None) -> list[dict[str, Any]]:
    """Energy and emissions of which no interval is known, and why; from `condensed`.

    Args:
        emissions: From `condensed`.
        scope: The GHG scope, or None for all.

    Returns:
        By source and rung of the grid factor: `meter` and `factor`, whether the interval of each is known.
    """
    e = emissions if scope is None else emissions.filter(emissions.ghg_scope == scope)
    e = e.filter(e.energy_kwh_known, ~(e.uncertainty_pct_known & e.factor_uncertainty_pct_known))
    found = e.select("source", "factor_tier", meter=e.uncertainty_pct_known, factor=e.factor_uncertainty_pct_known)
    return rows(found.distinct().order_by("source", "factor_tier", "meter", "factor"))


def kinds_of(emissions: ir.Table, workload: str) -> list[str]:
    """Kinds of devices whose energy a workload type holds; from `condensed`.

    Args:
        emissions: From `condensed`.
        workload: Of `WorkloadType`.
    """
    mine = emissions.filter(emissions.workload_type == workload, emissions.energy_kwh_known)
    return [row["device_kind"] for row in rows(mine.select("device_kind").distinct().order_by("device_kind"))]


def largest_power(emissions: ir.Table) -> list[dict[str, Any]]:
    """Per kind of device the largest energy (kWh) of one measured device in one hour; from the rows themselves."""
    emissions = emissions.filter(emissions.method.isin(MEASURED))
    device_hours = emissions.group_by("hour", "source", "node_id", "device_id", "device_kind").aggregate(
        kwh=emissions.energy_kwh.sum()
    )
    return rows(device_hours.group_by("device_kind").aggregate(kwh=device_hours.kwh.max()).order_by("device_kind"))


def by_kind(emissions: ir.Table) -> list[dict[str, Any]]:
    """IT energy (kWh) per kind of device; from `condensed`."""
    return rows(emissions.group_by("device_kind").aggregate(kwh=emissions.energy_kwh.sum()).order_by("device_kind"))

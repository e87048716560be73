"""The asset `kpi/opportunities`: what could be saved in a month, by rule and subject.

What belongs here: reading what the rules need, and which later months follow. What does not: the rules, and what a
person decided about an opportunity (`states`), which is no part of the lake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import ibis
import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import DeviceKind, OpportunityRule
from energy_assets.estimates.constants import Constants
from energy_assets.estimates.no_load import no_load_kwh
from energy_assets.estimates.own_tables import own_constants
from energy_assets.factors.hardware import accelerator_of_device
from energy_assets.materialize import Reader, table_asset
from energy_assets.opportunities import commitments, hours, idle, oversized, regions, regressed, reserved
from energy_assets.opportunities.machine_costs import machine_costs
from energy_assets.opportunities.rows import Found, opportunities
from energy_assets.periods import ONE_DAY, Month
from energy_assets.site import Site
from energy_assets.tables import (
    COST,
    EMISSIONS,
    ENERGY,
    GRID_INTENSITY,
    KPIS_MONTHLY,
    OPPORTUNITIES,
    USAGE_ESTIMATES,
)

ABOUT = (
    "What could be saved in a month, by rule and subject: idle and reserved accelerators, unused commitments, work "
    "movable to cleaner hours or regions, models whose energy per token rose, oversized machines. Each alone, with its "
    "rows and what was assumed; one kWh may stand in several, so they never add up."
)
UPSTREAM = (EMISSIONS, ENERGY, COST, GRID_INTENSITY, USAGE_ESTIMATES)


def opportunity_assets(site: Site) -> list[dg.AssetsDefinition]:
    """The opportunities of a site.

    Args:
        site: Any site.
    """

    def make(read: Reader, firsts: Sequence[date]) -> ir.Table:
        _request_followers(site, read, firsts)
        return read.keep(opportunities(list(found(site, read, firsts))))

    upstream = [table for table in UPSTREAM if all(map(site.has, table.feeds))]
    return [table_asset(site, OPPORTUNITIES, [*upstream, KPIS_MONTHLY], ABOUT, make, _summary, numbers=_numbers)]


def found(site: Site, read: Reader, firsts: Sequence[date]) -> Iterator[Found]:
    """What each rule finds in some months.

    Args:
        site: Its limits, its basis of grams and its constants.
        read: Reads the lake.
        firsts: First days of the months.
    """
    days = [day for first in firsts for day in Month.of(first).days]
    emissions, energy, cost = (read(table, days) for table in (EMISSIONS, ENERGY, COST))
    grid, estimates = read(GRID_INTENSITY, days), read(USAGE_ESTIMATES, days)
    limits, basis, rule = site.opportunities, site.factors.scope2_basis, OpportunityRule
    costs, constants = read.keep(machine_costs(cost)), own_constants(site)
    yield Found(rule.IDLE_ACCELERATORS, idle.IDENTITY, idle.idle_accelerators(emissions, costs), idle.WHAT, idle.BASIS)
    kinds = commitments.kinds_with_accelerators(_distinct(cost, commitments.NAMED, cost.commitment_discount_id))
    yield Found(
        rule.UNUSED_COMMITMENTS, commitments.IDENTITY, commitments.unused_commitments(cost, kinds),
        commitments.WHAT, commitments.BASIS,
    )  # fmt: skip
    watts = reserved.limits_of(idle_watts(_models(energy), constants, limits.idle_load_at_most))
    yield Found(
        rule.RESERVED_AT_IDLE_LOAD, reserved.IDENTITY, reserved.reserved_at_idle_load(emissions, energy, watts),
        reserved.WHAT, reserved.basis(limits.idle_load_at_most),
    )  # fmt: skip
    yield Found(
        rule.MOVABLE_HOURS, hours.IDENTITY, hours.movable_hours(emissions, grid, basis, read.keep),
        hours.WHAT, hours.BASIS,
    )  # fmt: skip
    yield Found(
        rule.CLEANER_REGIONS, regions.IDENTITY, regions.cleaner_regions(emissions, grid, basis, read.keep),
        regions.WHAT, regions.BASIS,
    )  # fmt: skip
    both = _compared(site, read, firsts)
    yield Found(
        rule.REGRESSED_MODELS, regressed.IDENTITY,
        regressed.regressed_models(both, emissions, limits.regression_pct), regressed.WHAT,
        regressed.basis(limits.regression_pct, limits.compare_months),
    )  # fmt: skip
    machine = estimates.filter(estimates.is_machine, estimates.device_kind.isin(oversized.LOADED))
    no_load = oversized.no_load_table(_no_loads(machine, constants))
    yield Found(
        rule.OVERSIZED_MACHINES, oversized.IDENTITY,
        oversized.oversized_machines(
            estimates, emissions, costs, no_load, limits.oversized_below, limits.observed_at_least
        ),
        oversized.WHAT, oversized.basis(limits.oversized_below, limits.observed_at_least),
    )  # fmt: skip


def idle_watts(models: Sequence[str], constants: Constants, share: Decimal) -> dict[str, Decimal]:
    """Power up to which accelerators do nothing, in watts, by the model they name; those of unknown power are left out.

    Args:
        models: As telemetry tells them.
        constants: The site's own, and ours.
        share: Of the way from idle to full power.
    """
    limits = {}
    for model in models:
        name = accelerator_of_device(model)
        power = constants.accelerator_power(name) if name else None
        if power:
            limit = float(power.idle_w) + float(share) * float(power.max_w - power.idle_w)
            limits[model] = Decimal(f"{limit:.3f}")
    return limits


def _compared(site: Site, read: Reader, firsts: Sequence[date]) -> ir.Table:
    """The models of some months beside the months before, as far as the lake holds them."""
    back = site.opportunities.compare_months
    months = sorted({month for first in firsts for month in (first, *_neighbours(first, -back))})
    # Kept before it is filtered: DuckDB 1.5 fails inside where a list of months is pushed below the join.
    both = read.keep(regressed.compared(read(KPIS_MONTHLY, months), back))
    return both.filter(both.month.isin(list(firsts)))


def _request_followers(site: Site, read: Reader, firsts: Sequence[date]) -> None:
    """Have later months made again whose comparison is no longer the one that is stored."""
    back = site.opportunities.compare_months
    later = sorted({month for first in firsts for month in _neighbours(first, back)} - set(firsts))
    known = set(read.lake.fingerprints(OPPORTUNITIES.name)) & set(later)
    if not known:
        return
    columns = ("month", "model_id", "month_before", "measure", "measure_before")
    now = _compared(site, read, sorted(known))
    now = now.filter(now.month_before.notnull()).select(*columns)
    stored = read.lake.read(read.con, OPPORTUNITIES, sorted(known))
    before = stored.filter(stored.rule == OpportunityRule.REGRESSED_MODELS.value).select(*columns)
    changed = now.difference(before).union(before.difference(now))
    read.request(changed.select("month").distinct().to_pyarrow()["month"].to_pylist())


def _neighbours(first: date, months: int) -> Iterator[date]:
    """First days of the months before (below zero) or after a month."""
    for _ in range(abs(months)):
        first = (Month.of(first).days.last + ONE_DAY) if months > 0 else (first - ONE_DAY).replace(day=1)
        yield first


def _models(energy: ir.Table) -> list[str]:
    gpus = energy.filter(energy.device_kind == DeviceKind.GPU.value, energy.device_model.notnull())
    models: list[str] = gpus.select("device_model").distinct().to_pyarrow()["device_model"].to_pylist()
    return sorted(models)


def _no_loads(machine: ir.Table, constants: Constants) -> Iterator[dict[str, Any]]:
    for kind in _distinct(machine, oversized.COMPONENT):
        kwh = no_load_kwh(
            constants, kind["provider"], kind["device_kind"], kind["device_id"], kind["device_model"]
        )  # fmt: skip
        yield {**kind, "no_load_kwh": None if kwh is None else float(kwh)}


def _distinct(rows: ir.Table, columns: Sequence[str], known: Any = None) -> list[dict[str, Any]]:
    mine = rows if known is None else rows.filter(known.notnull())
    found: list[dict[str, Any]] = mine.select(*columns).distinct().order_by(*columns).to_pyarrow().to_pylist()
    return found


def _numbers(rows: ir.Table) -> dict[str, Any]:
    """What the UI plots by month; never a sum of savings, for one kWh may stand in several."""
    return {"opportunities": rows.count(where=rows.found)}


def _summary(rows: ir.Table) -> ir.Table:
    """What the UI shows: the largest by energy."""
    mine = rows.filter(rows.found)
    return mine.select(
        "opportunity_id", "rule", "subject", "facility_kwh", "location_g", "cost", "currency", "uncertainty_pct"
    ).order_by(ibis.desc("facility_kwh"), ibis.desc("location_g"), "opportunity_id")

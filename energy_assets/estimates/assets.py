"""The asset `estimates/usage`: energy of what bills say was used, by the hour and component."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
import ibis
import ibis.expr.types as ir

from energy_assets.contracts.billed_hours import BILLED_HOURS
from energy_assets.contracts.unestimated import USAGE_KINDS
from energy_assets.contracts.unmatched_loads import LOADS
from energy_assets.contracts.vocabulary import Feed
from energy_assets.estimates.hours import long_lines, read_days
from energy_assets.estimates.lines import components_table, costs_of_kinds, kinds_of, used
from energy_assets.estimates.own_tables import own_constants
from energy_assets.estimates.usage import billed_hours, usage_estimates
from energy_assets.estimates.utilization import readings_of
from energy_assets.factors.version import ESTIMATES, factors_version
from energy_assets.materialize import Reader, table_asset
from energy_assets.periods import ONE_DAY
from energy_assets.site import Site
from energy_assets.tables import COST, USAGE_ESTIMATES, raw_table


def estimate_assets(site: Site) -> list[dg.AssetsDefinition]:
    """The estimates; none for a site without bills, or that wants none."""
    if not site.has(Feed.ESTIMATES):
        return []
    about = (
        "Energy of what bills say was used, by the hour and component: accelerators, vCPUs, memory, storage, network. "
        "From usage, never from money; taxes, fees, credits and unused commitments have none. A machine type that is "
        "in no table is NULL, and listed by the check. What telemetry tells of the same machine and hour goes before "
        "it in `unified/energy`; the estimate stays here."
    )

    def make(read: Reader, days: Sequence[date]) -> ir.Table:
        return estimates_of(site, read, days)

    upstream, version = [COST, *map(raw_table, site.feeding(Feed.UTILIZATION))], factors_version(site, ESTIMATES)
    return [
        table_asset(
            site, USAGE_ESTIMATES, upstream, about, make, _summary,
            numbers=_numbers, day_by_day=True, code_version=version,
        )
    ]  # fmt: skip


def estimates_of(site: Site, read: Reader, days: Sequence[date]) -> ir.Table:
    """Rows of the contract `UsageEstimates`.

    Charges that run on later days have these made again, because they were made before the charge was known.

    Args:
        site: The site.
        read: Reads the bills.
        days: UTC days, in order.
    """
    constants = own_constants(site)
    cost = read(COST, days)
    before = [day for day in read_days(days) if day not in set(days)]
    earlier = long_lines(read.lake.read(read.con, COST, before, read.versions[COST.name]))
    lines = read.keep(used(cost.union(earlier)))
    _request_later_days(read, lines, days)
    components = read.keep(ibis.memtable(components_table(kinds_of(lines, constants).items())))
    read.note(USAGE_KINDS, read.keep(costs_of_kinds(lines.filter(lines.day.isin(list(days))), components)))
    read.note(BILLED_HOURS, read.keep(billed_hours(lines, components, days)))
    measured = [read(raw_table(source), days) for source in site.feeding(Feed.UTILIZATION)]
    readings = read.note(LOADS, read.keep(readings_of(measured, site.nodes))) if measured else None
    return usage_estimates(lines, components, days, readings, site.nodes, read.keep)


def _request_later_days(read: Reader, lines: ir.Table, days: Sequence[date]) -> None:
    own = set(days)
    long = long_lines(lines.filter(lines.day.isin(list(days))))
    spans = long.select("day", "charge_period_end").distinct().to_pyarrow().to_pylist()
    for span in spans:
        last = (span["charge_period_end"]).date()
        later = [span["day"] + n * ONE_DAY for n in range(1, (last - span["day"]).days + 1)]
        read.request(day for day in later if day not in own)


def _numbers(rows: ir.Table) -> dict[str, Any]:
    """What the UI plots by day."""
    return {"energy_kwh": rows.energy_kwh.sum(), "rows_without_energy": rows.count(where=rows.energy_kwh.isnull())}


def _summary(rows: ir.Table) -> ir.Table:
    return (
        rows.group_by("source", "provider", "device_kind", "device_id", "amount_unit")
        .aggregate(
            amount=rows.amount.sum().round(3),
            energy_kwh=rows.energy_kwh.sum().round(6),
            rows_without_energy=rows.energy_kwh.isnull().sum(),
        )
        .order_by(ibis.desc("energy_kwh"))
    )

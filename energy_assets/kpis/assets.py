"""The assets `kpi/daily` and `kpi/monthly`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import dagster as dg
import ibis
import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import Feed
from energy_assets.kpis.daily import by_member, costs, indicators
from energy_assets.kpis.facts import facts
from energy_assets.kpis.market import market_kpis
from energy_assets.kpis.own import own_kpis
from energy_assets.kpis.periods import monthly as monthly_kpis
from energy_assets.kpis.runs import per_training_run
from energy_assets.kpis.targets import target_progress
from energy_assets.materialize import Reader, table_asset
from energy_assets.periods import Month
from energy_assets.site import Site
from energy_assets.tables import ACTIVITY, COST, EMISSIONS, EMISSIONS_MARKET, KPIS_DAILY, KPIS_MONTHLY, Table

HALF_A_YEAR = 186
"""Days whose indicators are made at a time: they are few rows whatever the days, and planning them takes a second."""


def kpi_assets(site: Site) -> list[dg.AssetsDefinition]:
    """Daily and monthly indicators over whatever the site measures."""

    def days_rows(read: Reader, days: Sequence[date]) -> ir.Table:
        currency = site.organisation.currency
        lake = read(EMISSIONS, days), read(ACTIVITY, days), read(COST, days)
        summed = read.keep(facts(*lake, currency, read.keep))
        every = read.keep(indicators(read.keep(by_member(summed)), currency))
        made = every.union(read.keep(costs(summed)).select(every.columns))
        if site.kpis:
            own = read.keep(own_kpis(*lake, site.kpis, currency, read.keep))
            made = made.union(own.select(every.columns))
        progress = target_progress(read.keep(made), site.targets) if site.targets else None
        return made if progress is None else made.union(progress)

    def months_rows(read: Reader, months: Sequence[date]) -> ir.Table:
        every = read(KPIS_DAILY, [day for first in months for day in Month.of(first).days])
        rows = monthly_kpis(every, site.kpis)
        rows = rows.union(per_training_run(rows).select(rows.columns))
        if not bought:
            return rows
        of_market = market_kpis(read(EMISSIONS_MARKET, months), every)
        return rows.select(of_market.columns).union(of_market)

    bought = site.feeding(Feed.INSTRUMENTS) and site.has(Feed.ENERGY)

    upstream = [t for t, feed in ((EMISSIONS, "energy"), (COST, "cost"), (ACTIVITY, "activity")) if site.has(feed)]
    about = (
        "Indicators by day, in total and by source, zone, project, model, workload and GHG scope: energy, "
        "emissions scope by scope, per request and token, cost, idle share, coverage, quality tiers. Each with its "
        "numerator and denominator."
    )
    monthly_about = (
        "Indicators by month: the days' numerators and denominators summed, divided last; and those of the "
        "market-based method, where a source tells of instruments."
    )
    return [
        table_asset(
            site, KPIS_DAILY, upstream, about, days_rows, _totals_of(KPIS_DAILY), numbers=_numbers, chunk=HALF_A_YEAR
        ),
        table_asset(
            site,
            KPIS_MONTHLY,
            [KPIS_DAILY, *([EMISSIONS_MARKET] if bought else [])],
            monthly_about,
            months_rows,
            _totals_of(KPIS_MONTHLY),
            numbers=_numbers,
        ),
    ]


#: KPIs that the UI plots: name of the number, the indicator, and what its value is multiplied with.
PLOTTED = (
    ("facility_kwh", "facility_kwh", 1),
    ("scope2_location_kg", "scope2_location_g", 0.001),
    ("scope31_kg", "scope31_g", 0.001),
    ("wh_per_1k_requests", "wh_per_1k_inferences", 1),
    ("billed_cost", "billed_cost", 1),
    ("idle_pct", "idle_share", 100),
    ("coverage_pct", "coverage", 100),
)


def _numbers(kpis: ir.Table) -> dict[str, Any]:
    """What the UI plots by day and month: totals. Costs of several currencies are not added, so none is plotted."""
    whole = kpis.grain == "total"
    found: dict[str, Any] = {}
    for name, kpi, factor in PLOTTED:
        mine = whole & (kpis.kpi == kpi)
        value = kpis.value.cast("float64").max(where=mine) * factor
        found[name] = ibis.ifelse(kpis.count(where=mine) == 1, value, ibis.null("float64"))
    return found


def _totals_of(table: Table) -> Callable[[ir.Table], ir.Table]:
    """What the UI shows of rows of a table of indicators: the totals of the newest partition."""

    def totals(kpis: ir.Table) -> ir.Table:
        period = table.partition
        newest = kpis.filter((kpis.grain == "total") & (kpis[period] == kpis[period].max()))
        return newest.select(period, "kpi", "value", "unit", "coverage", "uncertainty_pct").order_by("kpi")

    return totals

"""The asset `kpi/reconciliation`: a month of ours beside meters of nodes, electricity invoices and bills.

What belongs here: reading what is compared. What does not: comparing (`hours`, `invoices`). What is held against is one
function more here: from a reader and months to subjects with their comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts import types as t
from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.reconciliation import TOLERANCE
from energy_assets.contracts.vocabulary import ESTIMATED, MEASURED, Against, DeviceKind, Feed
from energy_assets.kpis.reconciling.hours import PARTS, beside_estimates, beside_meters, comparisons
from energy_assets.kpis.reconciling.invoices import compared, lookback, our_days
from energy_assets.kpis.reconciling.row import Comparison, Subject, row
from energy_assets.materialize import Reader, table_asset
from energy_assets.periods import Month
from energy_assets.site import Site
from energy_assets.sources.invoice_files.together import invoices, last_invoiced, touches
from energy_assets.tables import EMISSIONS, ENERGY, RECONCILIATION, USAGE_ESTIMATES, raw_table
from energy_assets.unified.assets import named_readings

ABOUT = (
    "Ours beside what others say of the same month: devices beside their nodes' meters, our electricity beside "
    "invoices, telemetry beside what bills let one estimate. The difference, its ratio, and the parts that make it: "
    "coverage, lag, boundary, energy, PUE, intensity, and what cannot be told apart."
)
Found = tuple[Subject, Comparison]


def reconciliation_assets(site: Site) -> list[dg.AssetsDefinition]:
    """The comparison of every site with energy.

    Args:
        site: Any site.
    """
    if not site.has(Feed.ENERGY):
        return []
    upstream = [ENERGY, *map(raw_table, site.feeding(Feed.ENERGY))]
    upstream += [USAGE_ESTIMATES] if site.has(Feed.ESTIMATES) else []
    bought = site.feeding(Feed.INVOICES)
    upstream += [EMISSIONS, *map(raw_table, bought)] if bought else []

    def make(read: Reader, firsts: Sequence[date]) -> ir.Table:
        limit = pa.table({"tolerance_pct": pa.array([site.reconciliation.tolerance_pct], t.PERCENT.to_pyarrow())})
        read.note(TOLERANCE, ibis.memtable(limit))
        found = [*_hours(site, read, firsts), *_invoices(site, read, firsts)]
        schema = schema_of(RECONCILIATION.model).to_pyarrow()
        return ibis.memtable(pa.Table.from_pylist([row(*one) for one in found], schema=schema))

    return [table_asset(site, RECONCILIATION, upstream, ABOUT, make, _summary)]


def _hours(site: Site, read: Reader, firsts: Sequence[date]) -> Iterator[Found]:
    """Meters of nodes and estimates from bills, where telemetry tells of the same machines."""
    for first in firsts if site.feeding(Feed.ENERGY) else ():
        days = list(Month.of(first).days)
        energy = read(ENERGY, days)
        measured = energy.filter(energy.method.isin(MEASURED)).select("device_kind").distinct()
        kinds = set(measured.to_pyarrow()["device_kind"].to_pylist())
        metered = kinds & set(PARTS) and kinds & {DeviceKind.NODE.value, DeviceKind.REST_OF_NODE.value}
        billed = kinds and site.has(Feed.ESTIMATES)
        if not (metered or billed):
            continue  # what follows names every host of the month
        readings = named_readings(site, read, days)
        meter = (readings.device_kind == DeviceKind.NODE.value) & readings.method.isin(MEASURED)
        guess = readings.device_kind.isin(PARTS) & readings.method.isin(ESTIMATED)
        # Devices are most of a month, and only what they are held against is kept.
        told = read.keep(readings.filter(meter | guess))
        if metered:
            yield from comparisons(beside_meters(told, energy), Against.NODE_METER)
        if billed:
            yield from comparisons(beside_estimates(told, energy), Against.BILL_ESTIMATE)


def _invoices(site: Site, read: Reader, firsts: Sequence[date]) -> Iterator[Found]:
    """Electricity invoices; months that share one with these are made again, for it is spread by the days of both."""
    sources = site.feeding(Feed.INVOICES)
    if not sources:
        return
    told = sorted({month for first in firsts for month in lookback(first)})
    tables = {source.name: read(raw_table(source), told) for source in sources}
    for first in firsts:
        month = Month.of(first).days
        lines = [line for name, rows in tables.items() for line in _lines(rows, name, lookback(first))]
        mine = [line for line in lines if line["month"] == first]
        standing = [one for one in invoices(mine) if touches(one.lines[0], month)]
        wanted = sorted({*month, *(day for one in standing for day in one.days)})
        read.request({Month.of(day).first for day in wanted} - set(firsts))
        if standing:
            days = our_days(read(EMISSIONS, wanted)).to_pyarrow().to_pylist()
            yield from compared(first, standing, days, last_invoiced(lines))


def _lines(rows: ir.Table, name: str, months: Sequence[date]) -> list[Mapping[str, Any]]:
    mine = rows.filter(rows.month.isin(months)).order_by("month", "file", "line", "raw_sha256")
    found: list[Mapping[str, Any]] = [{**line, "source": name} for line in mine.to_pyarrow().to_pylist()]
    return found


def _summary(rows: ir.Table) -> ir.Table:
    shown = rows.select("against", "region", "service", "meter", "quantity", "ours", "theirs", "ratio", "why")
    return shown.order_by("against", "region", "service", "meter", "quantity")

"""The assets `emissions/instruments` and `emissions/market`: a month's electricity and what covers it.

What belongs here: reading what they are made of, year by year. What does not: the rules (`instruments`, `matching`,
`market`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.vocabulary import Feed
from energy_assets.emissions.hourly_matching import hour_of, hourly_matched
from energy_assets.emissions.instruments import Batch, Instrument, batches, judged
from energy_assets.emissions.market import by_month, instrument_rows, market, market_row
from energy_assets.emissions.matching import MATCHED_SCOPES, Matched, Used, matched
from energy_assets.materialize import Reader, table_asset
from energy_assets.periods import Month
from energy_assets.site import Site
from energy_assets.tables import EMISSIONS, EMISSIONS_MARKET, INSTRUMENTS, Table, raw_table

ABOUT_INSTRUMENTS = (
    "Certificates, contracts, supplier rates and residual mixes of each month's year: whether they meet the quality "
    "criteria of the market-based method, each serial once, and what they cover of the month's electricity."
)
ABOUT_MARKET = (
    "Electricity of each month by zone and scope, location-based, and market-based where a source tells of "
    "instruments: matched against the year's electricity, not hour by hour. Own machines (Scope 2) and, apart, leased "
    "ones (3.8); bought services (3.1) have no market-based figure of the buyer's instruments."
)


def market_assets(site: Site) -> list[dg.AssetsDefinition]:
    """Market-based emissions, and the instruments behind them where a source tells of some.

    Args:
        site: A site with energy.
    """
    raw = [raw_table(source) for source in _sources(site)]
    if not raw:

        def plain(read: Reader, firsts: Sequence[date]) -> ir.Table:
            return market(read(EMISSIONS, _days(firsts)))

        return [table_asset(site, EMISSIONS_MARKET, [EMISSIONS], ABOUT_MARKET, plain, _by_zone)]

    def instruments(read: Reader, firsts: Sequence[date]) -> ir.Table:
        months = _months(site, read, firsts)
        rows = [row for month in months for row in instrument_rows(month.first, month.batches, month.found)]
        return _table(INSTRUMENTS, rows)

    def covered(read: Reader, firsts: Sequence[date]) -> ir.Table:
        read(INSTRUMENTS, firsts)  # for the proof that both tables say the same
        rows = [row for month in _months(site, read, firsts) for row in _market_rows(read, month)]
        return _table(EMISSIONS_MARKET, rows)

    return [
        table_asset(site, INSTRUMENTS, [EMISSIONS, *raw], ABOUT_INSTRUMENTS, instruments, _by_verdict),
        table_asset(site, EMISSIONS_MARKET, [EMISSIONS, INSTRUMENTS, *raw], ABOUT_MARKET, covered, _by_zone),
    ]


@dataclass(frozen=True)
class _CoveredMonth:
    """A month with what covers its year.

    Attributes:
        first: Its first day.
        used: Its rows of `market.by_month`.
        every: Instruments of its year, as judged.
        batches: The same, gathered.
        found: What covers its year.
        months: Of the year that have electricity which instruments cover.
    """

    first: date
    used: Sequence[Mapping[str, Any]]
    every: Sequence[Instrument]
    batches: Sequence[Batch]
    found: Matched
    months: int


def _months(site: Site, read: Reader, firsts: Sequence[date]) -> Iterator[_CoveredMonth]:
    """Months with what covers their years; others of these years are made again, for they share the instruments."""
    years = sorted({first.year for first in firsts})
    days = _days([date(year, month, 1) for year in years for month in range(1, 13)])
    rows = by_month(read(EMISSIONS, days)).order_by("month", "zone", "ghg_scope").to_pyarrow().to_pylist()
    by_year: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_year[row["month"].year].append(row)
    read.request({row["month"] for row in rows})
    names = [site.organisation.name, *(name for source in _sources(site) for name in source.beneficiaries)]
    stated, known = _stated(site, read, firsts), dict[int, tuple[Any, ...]]()
    for first in sorted(firsts):
        mine = [row for row in by_year[first.year] if row["ghg_scope"] in MATCHED_SCOPES and row["facility_kwh"]]
        used = [Used(row["month"], row["zone"], row["ghg_scope"], row["facility_kwh"]) for row in mine]
        here = [row for row in by_year[first.year] if row["month"] == first]
        if first.year not in known or known[first.year][0] != stated[first]:
            # Months of a year mostly state the same, which may be a year of quarter hours.
            every = judged(_instruments(stated[first]), {one.zone for one in used if one.zone}, names)
            gathered = batches(every)
            known[first.year] = (stated[first], every, gathered, matched(used, gathered))
        _, every, gathered, found = known[first.year]
        yield _CoveredMonth(first, here, every, gathered, found, len({one.month for one in used}))


def _sources(site: Site) -> list[Any]:
    """The sources of instruments: each has `beneficiaries`, other names of the organisation."""
    return list(site.feeding(Feed.INSTRUMENTS))


def _stated(site: Site, read: Reader, firsts: Sequence[date]) -> dict[date, list[tuple[str, pa.Table]]]:
    """What sources state, by month: each with its rows, in the order of site.yaml."""
    found: dict[date, list[tuple[str, pa.Table]]] = {first: [] for first in firsts}
    for source in _sources(site):
        rows = read(raw_table(source), firsts).order_by("month", "raw_sha256", "line").to_pyarrow()
        for first in firsts:
            mine = rows.filter(pc.equal(rows["month"], pa.scalar(first))).drop_columns(["month"])
            found[first].append((source.name, mine.combine_chunks()))
    return found


def _instruments(stated: Sequence[tuple[str, pa.Table]]) -> list[Instrument]:
    return [Instrument.of(row, name, rank) for rank, (name, rows) in enumerate(stated) for row in rows.to_pylist()]


def _market_rows(read: Reader, month: _CoveredMonth) -> Iterator[dict[str, Any]]:
    """Rows of `emissions_market` of a month."""
    by_name = {batch.name: batch for batch in month.batches}
    hourly = hourly_matched(_hours(read, month.first), month.every) if _any_hours(month) else {}
    for row in month.used:
        where = (row["zone"], row["ghg_scope"])
        mine = [
            one for one in month.found.applied if (one.month, one.zone, one.ghg_scope) == (month.first, *where)
        ]  # fmt: skip
        yield market_row(row, mine, by_name, hourly.get(where, Decimal(0)), month.months)


def _any_hours(month: _CoveredMonth) -> bool:
    return any(one.carbon_free and one.counted_kwh and hour_of(one) for one in month.every)


def _hours(read: Reader, first: date) -> Iterator[tuple[datetime, str, str, Decimal]]:
    """Electricity of the hours of a month, by zone and scope."""
    days = Month.of(first).days
    rows = read.used[EMISSIONS.name]
    mine = rows.filter(rows.day.between(days.first, days.last), rows.zone.notnull(), rows.facility_kwh > 0)
    mine = mine.filter(mine.ghg_scope.isin(list(MATCHED_SCOPES)))
    sums = mine.group_by("hour", "zone", "ghg_scope").aggregate(kwh=mine.facility_kwh.sum())
    for row in sums.order_by("hour", "zone", "ghg_scope").to_pyarrow().to_pylist():
        yield row["hour"], row["zone"], row["ghg_scope"], row["kwh"]


def _days(firsts: Sequence[date]) -> list[date]:
    return [day for first in firsts for day in Month.of(first).days]


def _table(table: Table, rows: Sequence[Mapping[str, Any]]) -> ir.Table:
    """Rows in the columns of a table's contract; what a row does not say is NULL."""
    schema = schema_of(table.model).to_pyarrow()
    filled = [{name: row.get(name) for name in schema.names} for row in rows]
    return ibis.memtable(pa.Table.from_pylist(filled, schema=schema))


def _by_zone(rows: ir.Table) -> ir.Table:
    return rows.order_by("zone")


def _by_verdict(rows: ir.Table) -> ir.Table:
    """What the UI shows: the batches of the newest month and what became of them."""
    wanted = ("source", "instrument", "market", "vintage", "verdict", "quantity_kwh", "counted_kwh", "applied_kwh")
    return rows.select(*wanted, "example").order_by("source", "instrument", "market", "verdict")

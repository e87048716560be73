"""What a run changed in market-based emissions that were published before, and what is worth saying of them.

What belongs here: comparing months before and after a run, and what instruments leave open. What does not: proofs,
which speak of rows (`contracts/instruments.py`), and printing (`telling.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import ibis

from energy_assets.contracts.vocabulary import Feed, GhgScope, InstrumentKind, Verdict
from energy_assets.counting import counted
from energy_assets.lake import Lake
from energy_assets.remarks import Remark
from energy_assets.site import Site
from energy_assets.tables import EMISSIONS_MARKET, INSTRUMENTS

ASSET = "/".join(EMISSIONS_MARKET.asset)
SHOWN = 5
_BOUGHT = (InstrumentKind.CERTIFICATE.value, InstrumentKind.CONTRACT.value)


@dataclass(frozen=True)
class MarketMonth:
    """Scope 2 of a month as it is published.

    Attributes:
        market_g: Market-based; None where it is not known.
        instruments: What is known of instruments: file, verdict, quantity that counts and factor of each batch.
    """

    market_g: Decimal | None
    instruments: frozenset[tuple[Any, ...]]


def market_months(site: Site, years: Collection[int]) -> dict[date, MarketMonth]:
    """The months of some years that are published; none for a site without instruments.

    Args:
        site: Whose lake is asked.
        years: Of the calendar.
    """
    if not (site.feeding(Feed.INSTRUMENTS) and site.has(Feed.ENERGY)):
        return {}
    con, lake = ibis.duckdb.connect(), Lake(site.disk())
    firsts = [date(year, month, 1) for year in sorted(years) for month in range(1, 13)]
    market = lake.read(con, EMISSIONS_MARKET, firsts)
    sums = market.group_by("month").aggregate(market_g=market.market_g.sum(where=market.ghg_scope == "scope2"))
    batches: dict[date, set[tuple[Any, ...]]] = defaultdict(set)
    names = ("source", "raw_sha256", "instrument", "market", "vintage", "verdict", "counted_kwh", "gco2e_per_kwh")
    for row in con.to_pyarrow(lake.read(con, INSTRUMENTS, firsts).select("month", *names)).to_pylist():
        batches[row["month"]].add(tuple(row[name] for name in names))
    return {
        row["month"]: MarketMonth(row["market_g"], frozenset(batches[row["month"]]))
        for row in con.to_pyarrow(sums.order_by("month")).to_pylist()
    }


def restated(
    before: Mapping[date, MarketMonth], after: Mapping[date, MarketMonth], run: Collection[date]
) -> Iterator[Remark]:
    """Months whose market-based figure is another one than before the run, and why.

    Args:
        before: From `market_months`, before the run.
        after: The same after it.
        run: First days of the months that were asked for: their own electricity may be new.
    """
    moved = [month for month in sorted(after) if month in before and before[month].market_g != after[month].market_g]
    late = [month for month in moved if before[month].instruments != after[month].instruments]
    if late:
        said = [f"{month:%Y-%m} {_tonnes(before[month])}, now {_tonnes(after[month])}" for month in late]
        more = f" and {len(late) - SHOWN} more" if len(late) > SHOWN else ""
        yield Remark(
            ASSET,
            "instruments arrived or changed, which restates market-based Scope 2 of "
            f"{counted(len(late), 'month')}: {'; '.join(said[:SHOWN])}{more}",
            hole=False,
        )
    if others := [f"{month:%Y-%m}" for month in moved if month not in late and month not in run]:
        span = others[0] if len(others) == 1 else f"{others[0]} to {others[-1]}"
        yield Remark(ASSET, f"shares of the year's instruments follow its electricity: {span} made again", hole=False)


def market_remarks(site: Site, days: Collection[date]) -> Iterator[Remark]:
    """What instruments leave open in the years of some days: nothing of it is a hole, for each has its rule.

    Args:
        site: Whose lake is asked.
        days: Of a run.
    """
    if not (site.feeding(Feed.INSTRUMENTS) and site.has(Feed.ENERGY)):
        return
    con, lake = ibis.duckdb.connect(), Lake(site.disk())
    for year in sorted({day.year for day in days}):
        firsts = [date(year, month, 1) for month in range(1, 13)]
        market = con.to_pyarrow(lake.read(con, EMISSIONS_MARKET, firsts)).to_pylist()
        batches = con.to_pyarrow(lake.read(con, INSTRUMENTS, firsts)).to_pylist()
        if not market:
            continue
        yield from _fallback(year, market)
        yield from _carried(year, batches)
        last = max(row["month"] for row in market)
        yield from _excess(year, batches, last)
        unused = [row for row in batches if row["month"] == last and row["verdict"] == Verdict.NOT_RETIRED]
        if unused:
            total = sum((row["quantity_kwh"] for row in unused), Decimal())
            yield Remark(ASSET, f"{year}: {_mwh(total)} of certificates are not retired and cover nothing", hole=False)


def _fallback(year: int, market: list[dict[str, Any]]) -> Iterator[Remark]:
    rest: dict[str, Decimal] = defaultdict(Decimal)
    for row in market:
        if row["ghg_scope"] == GhgScope.SCOPE2 and row["location_fallback_kwh"]:
            rest[row["zone"] or "no zone"] += row["location_fallback_kwh"]
    if rest:
        said = [f"{zone} {_mwh(kwh)}" for zone, kwh in sorted(rest.items())]
        yield Remark(
            ASSET,
            f"{year}: no instrument and no residual mix covers {', '.join(said[:SHOWN])}, which have the location "
            "factor in the market-based figure",
            hole=False,
        )


def _carried(year: int, batches: list[dict[str, Any]]) -> Iterator[Remark]:
    old = {
        f"{row['market']} {row['vintage']}"
        for row in batches
        if row["instrument"] not in _BOUGHT and row["vintage"] < year and row["applied_kwh"]
    }
    if old:
        yield Remark(ASSET, f"{year}: rates of earlier years stand in: {', '.join(sorted(old)[:SHOWN])}", hole=False)


def _excess(year: int, batches: list[dict[str, Any]], last: date) -> Iterator[Remark]:
    """Certificates and contracts beyond the electricity of their market."""
    left: dict[str, Decimal] = defaultdict(Decimal)
    counted_once = {
        row["batch"]: row for row in batches if row["month"] == last and row["instrument"] in _BOUGHT
    }  # fmt: skip
    for row in counted_once.values():
        left[row["market"]] += row["counted_kwh"]
    for row in batches:
        if row["instrument"] in _BOUGHT:
            left[row["market"]] -= row["applied_kwh"]
    beyond = [f"{market} {_mwh(kwh)}" for market, kwh in sorted(left.items()) if kwh > Decimal("0.001")]
    if beyond:
        yield Remark(
            ASSET,
            f"{year}: more is certified than was used so far: {', '.join(beyond[:SHOWN])} cover nothing and are not "
            "carried into another year",
            hole=False,
        )


def _tonnes(month: MarketMonth) -> str:
    return "not known" if month.market_g is None else f"{month.market_g / 1_000_000:,.3f} t"


def _mwh(kwh: Decimal) -> str:
    return f"{kwh / 1000:,.3f} MWh"

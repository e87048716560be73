"""Annual matching: which electricity of a year certificates, contracts, supplier rates and the residual mix cover.

What belongs here: the order of the market-based method and the sharing of a year's instruments among its months. What
does not: whether an instrument counts (`instruments`), hours (`hourly_matching`), and tables (`market`).

The order is that of the GHG Protocol Scope 2 Guidance (2015), table 6.3: certificates, contracts, supplier rates,
residual mix; what none of them covers has the location-based factor, and is disclosed (table 7.1, criterion 8).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from energy_assets.contracts.vocabulary import GhgScope, InstrumentKind, Verdict
from energy_assets.emissions.exactly import shared
from energy_assets.emissions.instruments import JOINED, Batch, covers
from energy_assets.periods import ONE_DAY, Month

MATCHED_SCOPES = (GhgScope.SCOPE2.value, GhgScope.SCOPE38.value)
"""Scopes whose electricity has a market-based figure: own machines, and, apart, leased ones. What a provider's machines
use (3.1) is that provider's Scope 2: an instrument of ours conveys nothing about it (Guidance, appendix B)."""
_LIMITED = (InstrumentKind.CERTIFICATE, InstrumentKind.CONTRACT, InstrumentKind.SUPPLIER_RATE)
_A_YEAR = timedelta(days=360)
_Cell = tuple[date, str, str]
"""Month, grid zone and scope."""


@dataclass(frozen=True)
class Used:
    """Electricity of a month, by grid zone and scope.

    Attributes:
        month: Its first day.
        zone: Grid zone; None where the site file names none.
        ghg_scope: One of `MATCHED_SCOPES`.
        kwh: Facility energy.
    """

    month: date
    zone: str | None
    ghg_scope: str
    kwh: Decimal


@dataclass(frozen=True)
class Applied:
    """What a batch covers of the electricity of a month, a zone and a scope."""

    batch: str
    month: date
    zone: str
    ghg_scope: str
    kwh: Decimal


@dataclass(frozen=True)
class Matched:
    """What covers the electricity of a year.

    Attributes:
        applied: What each batch covers; nothing of 0 kWh.
        outdone: Names of rates that were not taken, because another one of the same electricity is higher.
    """

    applied: tuple[Applied, ...]
    outdone: frozenset[str]


def matched(used: Iterable[Used], batches: Sequence[Batch]) -> Matched:
    """Cover the electricity of a year, best instruments first, each kWh once.

    What certificates and contracts cover of a year is shared among its months, zones and scopes in proportion to what
    was used there, so that every month shows the share of the year; while the year has months to come, that share is
    of what was used so far. What is left of them covers nothing else, and is not carried into another year.

    Args:
        used: Of all months of one year that are known.
        batches: Of that year, as judged.
    """
    left = {(one.month, one.zone, one.ghg_scope): one.kwh for one in used if one.zone and one.kwh}
    good = [batch for batch in batches if batch.one.verdict == Verdict.COUNTS]
    applied: list[Applied] = []
    years = {month.year for month, _, _ in left}
    for kind in _LIMITED:
        mine = [batch for batch in good if batch.one.instrument == kind.value and batch.counted_kwh]
        mine = [batch for batch in mine if batch.one.for_year in years]  # no amount of an earlier year stands in
        for pool in _pools(mine, left):
            for one in _share(pool, left):
                left[one.month, one.zone, one.ghg_scope] -= one.kwh
                applied.append(one)
    outdone = set[str]()
    for kind in (InstrumentKind.SUPPLIER_RATE, InstrumentKind.RESIDUAL_MIX):
        rates = [batch for batch in good if batch.one.instrument == kind.value and batch.counted_kwh is None]
        for (month, zone, scope), kwh in left.items():
            chosen, others = _rate(rates, month, zone, scope)
            outdone.update(others)
            if chosen and kwh:
                applied.append(Applied(chosen, month, zone, scope, kwh))
                left[month, zone, scope] = Decimal(0)
    return Matched(tuple(one for one in applied if one.kwh), frozenset(outdone))


def _pools(batches: Iterable[Batch], left: Mapping[_Cell, Decimal]) -> Iterator[list[Batch]]:
    """Batches that may cover the same electricity, those of the narrowest market first."""
    pools: dict[tuple[str, str], list[Batch]] = defaultdict(list)
    for batch in batches:
        pools[batch.one.market, batch.one.ghg_scope or ""].append(batch)
    zones = {zone for _, zone, _ in left}

    def width(pool: tuple[str, str]) -> tuple[int, str, bool, str]:
        market, scope = pool
        return sum(covers(market, zone) for zone in zones), market, not scope, scope

    for pool in sorted(pools, key=width):
        yield pools[pool]


def _share(pool: Sequence[Batch], left: Mapping[_Cell, Decimal]) -> Iterator[Applied]:
    """What a pool covers: as much as is left, in proportion to what is left; of each batch in proportion to it."""
    one = pool[0].one
    cells = [cell for cell in sorted(left, key=str) if left[cell] and _may_cover(one.market, one.ghg_scope, cell)]
    supply = sum((batch.counted_kwh or Decimal() for batch in pool), Decimal())
    total = min(supply, sum((left[cell] for cell in cells), Decimal()))
    for cell, kwh in zip(cells, shared(total, [left[cell] for cell in cells]), strict=True):
        month, zone, scope = cell
        parts = shared(kwh, [batch.counted_kwh or Decimal() for batch in pool])
        for batch, part in zip(pool, parts, strict=True):
            yield Applied(batch.name, month, zone, scope, part)


def _may_cover(market: str, stated: str | None, cell: _Cell, *, rate: bool = False) -> bool:
    """Whether an instrument is of the market of some electricity, and is allocated to its scope.

    Certificates and contracts are bought for own machines unless they say otherwise; a rate is of whoever is delivered.
    """
    _, zone, scope = cell
    mine = scope == (stated or GhgScope.SCOPE2.value) or (rate and stated is None)
    return mine and covers(market, zone)


def _rate(rates: Sequence[Batch], month: date, zone: str, scope: str) -> tuple[str | None, list[str]]:
    """The rate of some electricity, and those it was preferred to; of equal rank the highest, never the flattering one.

    The latest year goes first, then the narrower market, then the shorter period.
    """
    mine = [
        batch
        for batch in rates
        if _may_cover(batch.one.market, batch.one.ghg_scope, (month, zone, scope), rate=True) and _is_of(batch, month)
    ]
    if not mine:
        return None, []

    def rank(batch: Batch) -> tuple[int, int, int, timedelta]:
        one = batch.one
        return -one.for_year, one.market.count(JOINED), -len(one.market), one.generation_end - one.generation_start

    best = min(map(rank, mine))
    equal = sorted((batch for batch in mine if rank(batch) == best), key=lambda batch: -Fraction(_factor(batch)))
    others = [batch.name for batch in equal if _factor(batch) != _factor(equal[0])]
    return equal[0].name, others


def _factor(batch: Batch) -> Decimal:
    return Decimal(batch.one.gco2e_per_kwh or 0)


def _is_of(batch: Batch, month: date) -> bool:
    """Whether a rate is of a month: its period holds it, or it is of a whole year before, which stands in."""
    one = batch.one
    if one.for_year < month.year:
        return one.generation_end - one.generation_start >= _A_YEAR
    begins = datetime.combine(month, datetime.min.time())
    ends = datetime.combine(Month.of(month).days.last + ONE_DAY, datetime.min.time())
    return one.generation_start - ONE_DAY < begins and ends < one.generation_end + ONE_DAY

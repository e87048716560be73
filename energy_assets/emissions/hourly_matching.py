"""Hourly matching, an extra beside the annual one: electricity of an hour that carbon-free certificates of it cover.

What belongs here: matching within hours. What does not: the market-based figure, which annual matching makes
(`matching`). The GHG Protocol's revision of its Scope 2 Guidance proposes hours (public consultation of 2025); until
it is in force this is a labelled extra, and no gram is made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from energy_assets.contracts.vocabulary import GhgScope
from energy_assets.emissions.exactly import shared
from energy_assets.emissions.instruments import RATES, Instrument, covers

HOUR = timedelta(hours=1)
Cell = tuple[str, str]
"""Grid zone and scope."""


def hour_of(one: Instrument) -> datetime | None:
    """The hour in which an instrument's electricity was generated; None where it tells no single hour.

    Args:
        one: Any instrument: one of 15 or 30 minutes is of the hour that holds them.
    """
    hour = one.generation_start.replace(minute=0, second=0, microsecond=0)
    return hour if one.generation_end <= hour + HOUR else None


def hourly_matched(
    used: Iterable[tuple[datetime, str, str, Decimal]], every: Iterable[Instrument]
) -> dict[Cell, Decimal]:
    """Electricity that is covered hour by hour: the sum over hours of the smaller one of use and supply.

    Args:
        used: Hour, zone, scope and facility energy.
        every: Instruments as judged; those count that are carbon-free and of a single hour.
    """
    supply: dict[datetime, dict[tuple[str, str], Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for one in every:
        hour = hour_of(one)
        if hour and one.carbon_free and one.counted_kwh and one.instrument not in RATES:
            supply[hour][one.market, one.ghg_scope or GhgScope.SCOPE2.value] += one.counted_kwh
    demand: dict[datetime, dict[Cell, Decimal]] = defaultdict(dict)
    for hour, zone, scope, kwh in used:
        if hour in supply and kwh:
            demand[hour][zone, scope] = kwh
    found: dict[Cell, Decimal] = defaultdict(Decimal)
    for hour, cells in demand.items():
        for cell, kwh in _in_an_hour(cells, supply[hour]).items():
            found[cell] += kwh
    return dict(found)


def _in_an_hour(cells: Mapping[Cell, Decimal], supply: Mapping[tuple[str, str], Decimal]) -> dict[Cell, Decimal]:
    """What is covered in one hour: markets of few zones first, each in proportion to what is left to cover."""
    left = dict(cells)
    for market, scope in sorted(supply, key=lambda pool: (_width(pool[0], cells), pool)):
        mine = [cell for cell in sorted(left) if cell[1] == scope and covers(market, cell[0])]
        total = min(supply[market, scope], sum((left[cell] for cell in mine), Decimal()))
        for cell, kwh in zip(mine, shared(total, [left[cell] for cell in mine]), strict=True):
            left[cell] -= kwh
    return {cell: cells[cell] - left[cell] for cell in cells}


def _width(market: str, cells: Sequence[Cell] | Mapping[Cell, Decimal]) -> int:
    return sum(covers(market, zone) for zone, _ in cells)

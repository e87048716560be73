"""Which days a file concerns that cannot be read, so that it takes no other days with it.

What belongs here: the one rule for all sources of files. What does not: opening files. In this order:

1. the days its last readable version spoke of, and later ones if that version was still growing;
2. the period in its name, if every readable file with a period in its name keeps to it;
3. all days: any of them may lack what only this file holds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date

from energy_assets.periods import ONE_DAY, DayRange, Month

_PERIOD = re.compile(r"(?<!\d)(20\d\d)(?:[-_.]?(0[1-9]|1[0-2])(?:[-_.]?(0[1-9]|[12]\d|3[01]))?)?(?!\d)")


def days_concerned(
    name: str,
    days: DayRange,
    last: tuple[Collection[date], date] | None,
    readable: Mapping[str, Collection[date]],
) -> frozenset[date]:
    """Those of `days` that a file may concern.

    Args:
        name: The path or url of the file that cannot be read.
        days: The days asked for.
        last: The days its last readable version spoke of, and the UTC day that version was written on; None where
            there was none. A version written by the day after its newest day may have grown since.
        readable: The days that other files of the source speak of, by name.
    """
    if last and last[0]:
        spoken, written = set(last[0]), last[1]
        growing = written <= max(spoken) + ONE_DAY
        return frozenset(day for day in days if day in spoken or (growing and day > max(spoken)))
    named = named_period(name)
    if named and _names_tell(readable):
        return frozenset(day for day in days if _within(day, named))
    return frozenset(days)


def named_period(name: str) -> DayRange | None:
    """The days, months or years in a file's name, from the first to the last; None where there are none.

    Args:
        name: A path or url; only its last part is looked at, as in `2024-05-09.csv`, `DE_2024.csv`,
            `meters_202405.parquet`, `FR_2021-2024.csv`.
    """
    spans = []
    for year, month, day in _PERIOD.findall(name.rsplit("/", 1)[-1]):
        first = Month(int(year), int(month or 1)).days.first
        last = Month(int(year), int(month or 12)).days.last
        if day and int(day) <= last.day:
            first = last = first.replace(day=int(day))
        spans.append(DayRange(first, last))
    return DayRange(min(s.first for s in spans), max(s.last for s in spans)) if spans else None


def _names_tell(readable: Mapping[str, Collection[date]]) -> bool:
    dated = [(named, days) for name, days in readable.items() if days and (named := named_period(name))]
    return bool(dated) and all(_within(day, named) for named, days in dated for day in days)


def _within(day: date, period: DayRange) -> bool:
    """Local time in a file moves its days by one at most."""
    return period.first - ONE_DAY <= day <= period.last + ONE_DAY

"""Beginning: days of which the server has the end alone, because it forgot the hours before or was not there yet.

What belongs here: how far back a server knows anything, whatever it is, and what is said of days that this cuts. What
does not: devices that appear later in a day than others (a new machine): nobody knows that they ran before.

The index tells, no sample is read: the server is asked for the names of all its metrics, in a time. Within a day only a
day whose first hour has nothing of the source gets this question.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date

from energy_assets.counting import counted
from energy_assets.landing import Landed
from energy_assets.periods import ONE_DAY, DayRange, contiguous
from energy_assets.sources.base import Finding, StepContext
from energy_assets.sources.errors import SourceError
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.client import EARLIER, NAMES_PATH, Api, NamesQuery
from energy_assets.sources.prometheus.counters import HOUR_MS
from energy_assets.sources.prometheus.down import UP
from energy_assets.sources.prometheus.queries import DAY, HOUR, Window

NOTE = "days_without_their_beginning"
BACK = 31 * DAY
"""How far back it is looked for anything: what was off for longer than a month begins anew."""
SHOWN = 3


def question(scratch: Scratch, window: Window) -> NamesQuery | None:
    """What to ask of a day whose first hour, and the hour and the day before, have nothing of the source.

    An hour more is left out, for exporters are scraped a little later than the server itself.

    Args:
        scratch: Holds the tables of a day's answers.
        window: The day.
    """
    hours = _hours_before(scratch, window)
    return NamesQuery((), window.start - BACK, window.start + (hours - 1) * HOUR, EARLIER) if hours else None


def is_cut(objects: Sequence[Landed], step: StepContext) -> bool:
    """Whether the server was asked what it knew before, and knew nothing at all.

    Args:
        objects: What was landed for a day.
        step: Whose landing zone is read.
    """
    asked = [landed for landed in objects if landed.request["role"] == EARLIER]
    return any(not json.loads(step.read(landed))["data"] for landed in asked)


def told(scratch: Scratch, window: Window) -> tuple[Mapping[str, int], Mapping[str, Sequence[str]]]:
    """The note of a day of which `is_cut` holds, and from when there are data.

    Args:
        scratch: Holds the tables of a day's answers.
        window: The day.
    """
    hours = _hours_before(scratch, window)
    return ({NOTE: 1}, {NOTE: [f"{window.day} from {hours:02}:00 UTC on"]}) if hours else ({}, {})


def _hours_before(scratch: Scratch, window: Window) -> int:
    """Whole hours of the day before the first sample; 0 where something is known before the day, or nothing at all."""
    own = f"SELECT series_no FROM {scratch['series']} WHERE meter <> '{UP}'"
    ((first,),) = scratch.rows(f"SELECT min(t) FROM {scratch['points']} SEMI JOIN ({own}) USING (series_no)")
    # An evaluation at the end of an hour, and a sample at its last instant, are of that hour.
    return max(0, (first - 1 - window.start * 1000) // HOUR_MS) if first is not None else 0


def foreseen(api: Api, days: Collection[date]) -> Iterator[Finding]:
    """Days that are to be run and of which the server knows nothing, or only the end.

    Args:
        api: The server.
        days: Which are to be run.
    """
    if not days:
        return
    span = DayRange(min(days), max(days))
    try:
        begins = _first_day(api, span)
        if begins is None:
            return
        whole = begins if _knows(api, span, _start(begins) + HOUR) else begins + ONE_DAY
    except SourceError:  # a server that tells no names of such a time; the day's own questions say what is wrong
        return
    lost = sorted(day for day in days if day < whole)
    if not lost:
        return
    spans = ", ".join(map(str, contiguous(lost)[:SHOWN]))
    when = str(begins) if whole == begins else f"some hour of {begins}"
    kept = _retention(api)
    yield Finding(
        False,
        f"the server knows nothing before {when}: of {counted(len(lost), 'day')} that run has not collected yet "
        f"({spans}) energy is missing",
        (f"It keeps data for {kept}: run each day before it is gone. " if kept else "Run days before they are gone. ")
        + f"If nothing was measured before, let `start` in site.yaml be {whole}.",
    )


def _first_day(api: Api, span: DayRange) -> date | None:
    """The first day of a span by whose end the server knows anything; None where it knows nothing of it all."""
    every = list(span)

    def known(day: date) -> bool:
        return _knows(api, span, _start(day) + DAY - 1)

    # Most servers know the first day.
    found = 0 if known(span.first) else bisect_left(every, True, lo=1, key=known)
    return every[found] if found < len(every) else None


def _knows(api: Api, span: DayRange, end: int) -> bool:
    asked = NamesQuery((), _start(span.first) - BACK, end, EARLIER)
    return bool(api.get(NAMES_PATH, asked.parameters))


def _start(day: date) -> int:
    return round(DayRange(day, day).start.timestamp())


def _retention(api: Api) -> str:
    """How long the server keeps its data, in its own words; empty where it does not say."""
    try:
        told = api.get("api/v1/status/runtimeinfo")
    except SourceError:
        return ""
    return str(told.get("storageRetention", "")) if isinstance(told, dict) else ""

"""Collecting a source: run its plan, land what comes, publish the days that are whole, parse them.

What belongs here: the rules that hold for every source, whatever it speaks. A unit that fails takes its own
days down and no others; landed bytes stay in any case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

import ibis

from energy_assets.landing import Edition, Landed
from energy_assets.periods import DayRange, contiguous
from energy_assets.sources.base import Parsed, Source, StepContext
from energy_assets.sources.errors import MalformedError, PermanentError, SourceError

Progress = Callable[[str, int, int], None]


@dataclass
class Collected:
    """What a collection brought.

    Attributes:
        editions: The published objects of every good day.
        failures: The error of every day that could not be collected.
    """

    editions: dict[date, Edition] = field(default_factory=dict)
    failures: dict[date, SourceError] = field(default_factory=dict)


def collect(source: Source, days: DayRange, step: StepContext, progress: Progress | None = None) -> Collected:
    """Fetch and land `days`; publish an edition for each day of which every unit succeeded.

    A permanent error (wrong credentials, say) ends the collection: the days not yet tried fail with it.

    Raises:
        SourceError: the plan itself could not be made.
    """
    units = list(source.plan(days, step))
    landed: dict[date, list[Landed]] = {day: [] for day in days}
    result = Collected()
    for number, unit in enumerate(units):
        if progress:
            progress(unit.label, number, len(units))
        try:
            for fetched in unit.fetch():
                stored = step.landing.put(source.name, fetched, step.now)
                for day in fetched.days:
                    if day in landed:
                        landed[day].append(stored)
        except SourceError as error:
            stopped = isinstance(error, PermanentError)
            hit = {day for later in units[number:] for day in later.days} if stopped else set(unit.days)
            result.failures.update({day: error for day in sorted(hit) if day in landed})
            if stopped:
                break
    for day in days:
        if day not in result.failures:
            result.editions[day] = step.landing.publish(source.name, day, tuple(landed[day]))
    return result


def parse(
    source: Source, editions: Mapping[date, Edition], step: StepContext
) -> tuple[Parsed | None, dict[date, SourceError]]:
    """Parse the editions of several days; days whose bytes are malformed are left out and returned with errors.

    Days that share the same objects are parsed together; the rows of a day depend on its own edition alone. No parsed
    day at all gives None.
    """
    tables: list[ibis.Table] = []
    stored = True
    notes: Counter[str] = Counter()
    failures: dict[date, SourceError] = {}
    for stretch, objects in _stretches(editions):
        try:
            parsed = source.parse(objects, stretch, step)
        except MalformedError as error:
            failures.update(dict.fromkeys(stretch, error))
            continue
        tables.append(parsed.rows.filter(parsed.rows.day.between(stretch.first, stretch.last)))
        notes.update(parsed.notes)
        stored = stored and parsed.stored
    if not tables:
        return None, failures
    return Parsed(ibis.union(*tables) if len(tables) > 1 else tables[0], dict(notes), stored), failures


def _stretches(editions: Mapping[date, Edition]) -> Iterator[tuple[DayRange, tuple[Landed, ...]]]:
    """Runs of consecutive days with the same objects."""
    for _, group in groupby(sorted(editions), key=lambda day: editions[day].objects):
        same = list(group)
        for stretch in contiguous(same):
            yield stretch, editions[same[0]].objects

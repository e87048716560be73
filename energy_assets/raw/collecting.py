"""Collecting a source: run its plan, land what comes, publish the days that are whole, parse them.

What belongs here: the rules that hold for every source, whatever it speaks. A unit that fails takes its own
days down and no others; only refused access and a server that is not there end the collection. Landed bytes stay in
any case.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import Feed
from energy_assets.integrity import DamagedError
from energy_assets.landing import DamagedObjectError, Edition, Landed
from energy_assets.periods import DayRange, Month, contiguous
from energy_assets.secrets import SecretError
from energy_assets.sources.base import Incomplete, Parsed, Source, StepContext, Unit
from energy_assets.sources.errors import DeniedError, SourceError, TransientError, UnreachableError
from energy_assets.sources.revisions import revisions
from energy_assets.tables import Table

Progress = Callable[[str, int, int], None]
EXAMPLES = 20
"""How many things a note keeps; people are shown fewer of them first."""


@dataclass
class Collected:
    """What a collection brought.

    Attributes:
        editions: The published objects of every good day.
        failures: The error of every day that could not be collected.
    """

    editions: dict[date, Edition] = field(default_factory=dict)
    failures: dict[date, SourceError] = field(default_factory=dict)


def collect(
    source: Source, partitions: Iterable[date], step: StepContext, progress: Progress | None = None
) -> Collected:
    """Fetch and land partitions; publish an edition for each of which every unit succeeded.

    Refused access (wrong credentials, say) ends the collection: what was not yet tried fails with it.

    Args:
        source: What to collect.
        partitions: The days wanted, or the first days of the months.
        step: Where to work.
        progress: Called before each unit with its label, its number from 0 and how many there are.

    Returns:
        Each partition is in exactly one of `editions` and `failures`.

    Raises:
        SourceError: the plan itself could not be made.
    """
    landed: dict[date, list[Landed]] = {day: [] for day in sorted(partitions)}
    try:
        planned = source.plan(_span(source, min(landed), max(landed)), step)
        units = [unit for unit in planned if not landed.keys().isdisjoint(unit.days)]
    except SecretError as error:
        raise _denied(source, error) from error
    except DamagedError as error:
        raise _healing(source, error, step) from error
    result = Collected()
    for number, unit in enumerate(units):
        if progress:
            progress(unit.label, number, len(units))
        try:
            result.failures.update(_land(source, unit, landed, step))
        except (SourceError, SecretError, DamagedError) as caught:
            failure = _told(source, caught, step)
            denied = isinstance(failure, DeniedError | UnreachableError)
            hit = {day for later in units[number:] for day in later.days} if denied else set(unit.days)
            result.failures.update({day: failure for day in sorted(hit) if day in landed})
            if denied:
                break
    for day in landed:
        if day not in result.failures:
            result.editions[day] = step.landing.publish(source.name, day, tuple(landed[day]))
    return result


@dataclass(frozen=True)
class Told:
    """What parsing told of a stretch of days that share their objects.

    Attributes:
        days: The stretch.
        notes: Counts, by name of the note.
        examples: The first few things each is about.
    """

    days: DayRange
    notes: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class ParsedDays(Parsed):
    """Rows of several stretches of days.

    Attributes:
        told: What was told of each stretch that told anything.
    """

    told: tuple[Told, ...] = ()


def _land(
    source: Source, unit: Unit, landed: Mapping[date, list[Landed]], step: StepContext
) -> dict[date, SourceError]:
    """Land what a unit brings, day by day into `landed`; returns the days it could not deliver whole."""
    incomplete: dict[date, SourceError] = {}
    for brought in unit.fetch():
        if isinstance(brought, Incomplete):
            incomplete.update({day: brought.error for day in sorted(brought.days) if day in landed})
            continue
        stored = step.landing.put(source.name, brought, step.now)
        for day in brought.days:
            if day in landed:
                landed[day].append(stored)
    return incomplete


def _told(source: Source, error: SourceError | SecretError | DamagedError, step: StepContext) -> SourceError:
    if isinstance(error, SecretError):
        return _denied(source, error)
    return _healing(source, error, step) if isinstance(error, DamagedError) else error


def _healing(source: Source, damage: DamagedError, step: StepContext) -> TransientError:
    """Damage of what was landed, as something the next try heals: what is damaged is set aside and fetched again."""
    if isinstance(damage, DamagedObjectError):
        step.landing.set_aside(damage.sha256)
    return TransientError(f"source '{source.name}': {damage.message}", damage.remedy)


def _denied(source: Source, error: SecretError) -> DeniedError:
    return DeniedError(f"source '{source.name}': {error}", "It is named in this source's block of site.yaml.")


def parse(
    source: Source,
    editions: Mapping[date, Edition],
    step: StepContext,
    before: Callable[[Sequence[date]], ir.Table | None] | None = None,
) -> tuple[ParsedDays | None, dict[date, SourceError]]:
    """Parse the editions of several days; days whose bytes cannot be parsed are left out and returned with errors.

    Days that share the same objects are parsed together; the rows of a day depend on its own edition alone. No parsed
    day at all gives None.

    Args:
        source: Whose objects they are.
        editions: By day, as `collect` published them.
        step: Where to work.
        before: The rows that days had until now, if what became of them is to be told: of intensities alone.
    """
    tables: list[ibis.Table] = []
    stored, told = True, list[Told]()
    notes: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    failures: dict[date, SourceError] = {}
    for stretch, objects in _stretches(editions):
        try:
            parsed = source.parse(objects, _span(source, stretch.first, stretch.last), step)
        except (SourceError, DamagedError) as error:
            failures.update(dict.fromkeys(stretch, _told(source, error, step)))
            continue
        tables.append(parsed.rows.filter(parsed.rows[source.grain].between(stretch.first, stretch.last)))
        former = before(list(stretch)) if before and source.feeds == Feed.GRID_INTENSITY else None
        parsed = parsed if former is None else _with_revisions(parsed, former, tables[-1], step)
        counted = {name: count for name, count in parsed.notes.items() if count}
        if counted:
            shown = {name: tuple(parsed.examples.get(name, ()))[:EXAMPLES] for name in counted}
            told.append(Told(stretch, counted, {name: found for name, found in shown.items() if found}))
        notes.update(parsed.notes)
        for name, found in parsed.examples.items():
            examples[name] += [one for one in found if one not in examples[name]]
        stored = stored and parsed.stored
    if not tables:
        return None, failures
    rows = ibis.union(*tables) if len(tables) > 1 else tables[0]
    first = {name: found[:EXAMPLES] for name, found in examples.items()}
    return ParsedDays(rows, dict(notes), first, stored, tuple(told)), failures


def _with_revisions(parsed: Parsed, before: ir.Table, after: ir.Table, step: StepContext) -> Parsed:
    notes, examples = revisions(step.con, before, after)
    return replace(parsed, notes={**parsed.notes, **notes}, examples={**parsed.examples, **examples})


def complete(rows: ir.Table, table: Table) -> ir.Table:
    """Rows with NULL in the columns that a source cannot tell and the contract lets it leave out.

    Args:
        rows: Of a source.
        table: Its raw table.
    """
    columns = table.model.to_schema().columns
    absent = [name for name, column in columns.items() if column.nullable and name not in rows.columns]
    return rows.mutate(**{name: ibis.null(columns[name].dtype.type) for name in absent})


def _span(source: Source, first: date, last: date) -> DayRange:
    """All days of the partitions from `first` to `last`."""
    return DayRange(first, last if source.grain == "day" else Month.of(last).days.last)


def _stretches(editions: Mapping[date, Edition]) -> Iterator[tuple[DayRange, tuple[Landed, ...]]]:
    """Runs of consecutive days with the same objects."""
    for _, group in groupby(sorted(editions), key=lambda day: editions[day].objects):
        same = list(group)
        for stretch in contiguous(same):
            yield stretch, editions[same[0]].objects

"""The source `intensity_files`: which files a day needs, and their rows.

What belongs here: the site.yaml block and the choice of files. What does not: columns and cells (`columns`, `parse`),
and the stand-ins (`energy_assets.sources.intensity`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from energy_assets.contracts.vocabulary import Feed
from energy_assets.counting import counted
from energy_assets.landing import Fetched, Held, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Finding, GridZone, Incomplete, Parsed, SeenZone, Source, StepContext, Unit
from energy_assets.sources.errors import DeniedError, MalformedError, SourceError
from energy_assets.sources.files import SourceFile, list_files
from energy_assets.sources.intensity import (
    HOURS,
    LEAST_OF_A_FIRE,
    ROWS,
    looks_like_kilograms,
    month_means,
    rows_with_stand_ins,
    too_many,
    values_said,
    year_means,
)
from energy_assets.sources.intensity_files.columns import IntensityUnit, Mapping
from energy_assets.sources.intensity_files.hours import known_of
from energy_assets.sources.intensity_files.parse import Points, other_zone, read_points
from energy_assets.sources.intensity_files.winners import hours_of
from energy_assets.sources.local_time import NEVER, UNRESOLVED, TimeZone
from energy_assets.sources.memory import Known, Memory, sha256_of
from energy_assets.sources.notes import words
from energy_assets.sources.opening import Clock, DateOrder
from energy_assets.sources.overlap import HOUR_S
from energy_assets.sources.unreadable import days_concerned

SHOWN = 5
"""Zones of a file that a sentence names."""
_KILOGRAMS, _DISAGREE = "factors_like_kilograms", "disagreeing_intensities_averaged"
_ZEROS = "zeros_among_higher_intensities"
ALL_HOURS = (1 << 24) - 1
"""A day of which every hour has both intensities, as a bit for each hour."""


class IntensityFiles(Source):
    """Hourly intensities in CSV or Parquet files, in a folder or a bucket: Electricity Maps' exports, or any other."""

    feeds: ClassVar[Feed] = Feed.GRID_INTENSITY
    parser_version: ClassVar[str] = "5"
    title: ClassVar[str] = "Files of grid intensities"
    engine_kind: ClassVar[str] = "csv"

    kind: Literal["intensity_files"]
    path: str = Field(description="glob: a path relative to site.yaml, or s3://, gs://, az://, abfss://")
    zones: list[GridZone] | None = Field(
        None, min_length=1, description="only these grid zones; default every zone found"
    )
    zone: GridZone | None = Field(None, description="the zone of files that have no column for it")
    time: str | None = Field(None, description="column of the hour, of files that are no export of Electricity Maps")
    timezone: TimeZone | None = Field(
        None, description="IANA name, for example Europe/Berlin, of times that state no offset; default UTC"
    )
    date_order: DateOrder | None = Field(
        None, description="day first or month first, where dates such as 3/4/2026 leave it open"
    )
    zone_column: str | None = Field(None, description="column of the grid zone")
    direct: str | None = Field(None, description="column of the combustion (direct) intensity")
    lifecycle: str | None = Field(None, description="column of the life-cycle intensity")
    carbon_free: str | None = Field(None, description="column of the carbon-free percentage")
    estimated: str | None = Field(None, description="column that is true where the publisher estimated")
    unit: IntensityUnit | None = Field(None, description="of the intensities, where their columns do not say it")
    decimal: Literal[".", ","] | None = Field(None, description="the decimal mark, where a file does not prove it")
    publisher: str | None = Field(
        None, pattern="^[^/]+$", description="who says so, for the names of factors; default the source's name"
    )
    endpoint_url: str | None = Field(None, description="another S3 endpoint, for example a test server")
    repull_days: int = Field(45, ge=0, le=800, description="days whose exports may still be added or replaced")

    @property
    def trailing_days(self) -> int:
        """`repull_days`: by default a monthly export that is put there within two weeks after its month."""
        return self.repull_days

    @model_validator(mode="after")
    def _names_enough(self) -> Self:
        if self._mapping.named:
            if not (self.direct or self.lifecycle):
                raise ValueError("names columns, but neither `direct` nor `lifecycle`: name at least one of them")
            if not (self.zone or self.zone_column):
                raise ValueError("names columns, but no zone: name `zone_column`, or `zone` where all rows are of one")
        elif self.unit:
            raise ValueError("`unit` is of the columns `direct` and `lifecycle`: name them")
        return self

    @property
    def _mapping(self) -> Mapping:
        named = any((self.time, self.zone_column, self.direct, self.lifecycle, self.carbon_free, self.estimated))
        return Mapping(
            time=self.time or ("time" if named else None),
            zone=self.zone_column,
            direct=self.direct,
            lifecycle=self.lifecycle,
            carbon_free=self.carbon_free,
            estimated=self.estimated,
            unit=self.unit,
            clock=Clock(None, self.timezone if named else None, self.date_order),
            decimal=self.decimal,
            constant_zone=self.zone,
            publisher=self.publisher or (self.name if named else "electricity_maps"),
        )

    @property
    def _clock_said(self) -> str:
        """How times are taken; the header of Electricity Maps' exports says UTC itself."""
        if self._mapping.named:
            return f"times without an offset are taken as {self.timezone or 'UTC (`timezone` names another zone)'}"
        return "times are UTC, as the header says, and `timezone` is left aside" if self.timezone else ""

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per file.

        A day gets the files that speak of it; where one of its hours is missing, also every file that speaks
        of that zone in that year; and every file that cannot be read and may concern it (`days_concerned`).
        """
        memory = Memory(self, {"mapping": repr(self._mapping)}, step)
        files = {file.name: file for file in self._files(step)}
        known, broken = _looked_into(files.values(), partial(self._held_hours, step), memory)
        memory.forget_gone(files.values(), [self.path])
        memory.save()
        needed = self._needed({name: found.facts for name, found in known.items()}, days)
        for name, found in known.items():
            if needed[name]:
                yield self._unit(files[name], tuple(sorted(needed[name])), partial(memory.body, files[name], found))
        for name, error in broken.items():
            concerned = self._concerned(name, known, days, memory)
            if isinstance(error, MalformedError):  # landed, so that parsing says what is wrong
                yield self._unit(files[name], concerned, partial(files[name].fetch, step.folder))
            else:
                yield Unit(concerned, name, partial(_incomplete, concerned, error))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """Rows of `days`; hours that two files hold, and lines that cannot be read, are counted in the notes."""
        files = [self._read(landed, step) for landed in objects]
        if not files:
            return Parsed(_temporary(ibis.memtable([], schema=ROWS), step))
        all_hours = _temporary(hours_of(files, days, self.zones), step)
        valued = all_hours.lifecycle_gco2e_per_kwh.notnull() | all_hours.direct_gco2e_per_kwh.notnull()
        hours = all_hours.filter(valued).select(*HOURS.names)
        rows = _temporary(rows_with_stand_ins(hours, month_means(hours), year_means(hours), days), step)
        notes, examples = _notes(all_hours, files, days, self.zones)
        return Parsed(rows, notes, examples)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Each file: readable, which zones and days, how many hours without an intensity."""
        try:
            files = self._files(step)
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)
            return
        readable = []
        for file in files:
            try:
                path = file.fetch(step.folder)
                points = read_points(step.con, path, sha256_of(path), file.name, step.folder, self._mapping)
            except SourceError as error:
                yield Finding(False, error.message, error.remedy)
                continue
            readable.append(points)
            yield from _look(points, self._clock_said, self.zones)
        if readable:
            yield from _gaps(readable, self.zones)

    def observe(self, step: StepContext) -> Iterable[SeenZone]:
        """The zones of all files, and their first and last day. Files that cannot be read are for `check` to tell."""
        spans: dict[str, tuple[date, date]] = {}
        for file in self._files(step):
            with suppress(MalformedError):
                path = file.fetch(step.folder)
                points = read_points(step.con, path, sha256_of(path), file.name, step.folder, self._mapping)
                for row in _spans(points, self.zones):
                    first, last = spans.get(row["zone"], (row["first"], row["last"]))
                    spans[row["zone"]] = min(first, row["first"]), max(last, row["last"])
        return [SeenZone(zone, first, last) for zone, (first, last) in sorted(spans.items())]

    def _files(self, step: StepContext) -> list[SourceFile]:
        options = {"endpoint": self.endpoint_url} if self.endpoint_url else None
        return list_files(self.path, step.site_folder, options)

    def _unit(self, file: SourceFile, days: tuple[date, ...], body: Callable[[], Held | Path]) -> Unit:
        request = {"path": file.name, **({"zone": self.zone} if self.zone else {})}
        media_type = "application/gzip" if file.name.endswith(".gz") else "text/csv"
        return Unit(days, file.name, lambda: [Fetched(body(), request, days, media_type=media_type)])

    def _read(self, landed: Landed, step: StepContext) -> Points:
        name = str(landed.request["path"])
        path = step.spool(landed, ".parquet" if name.lower().endswith(".parquet") else "")
        return read_points(step.con, path, landed.sha256, name, step.folder, self._mapping)

    def _held_hours(self, step: StepContext, name: str, path: Path, sha256: str) -> dict[str, Any]:
        return _held_hours(read_points(step.con, path, sha256, name, step.folder, self._mapping))

    def _concerned(self, name: str, known: AnyMapping[str, Known], days: DayRange, memory: Memory) -> tuple[date, ...]:
        """The days an unreadable file may concern, those among them that take the mean of its zone and year."""
        readable = {other: _days_of(found.facts) for other, found in known.items()}
        last = memory.last(name)
        if last is None:
            return tuple(sorted(days_concerned(name, days, None, readable)))
        facts = {other: found.facts for other, found in known.items()}
        spoken = days_concerned(name, days, (_days_of(last[0]), last[1]), readable)
        return tuple(sorted(spoken | self._needed({**facts, name: last[0]}, days)[name]))

    def _needed(self, files: AnyMapping[str, Any], days: DayRange) -> dict[str, set[date]]:
        """The days each file is needed for.

        Args:
            files: What each file holds, as `_held_hours` found it, by name.
            days: The days wanted.
        """
        needed: dict[str, set[date]] = {name: set() for name in files}
        hours: dict[tuple[str, date], int] = defaultdict(int)
        for name, facts in files.items():
            for zone, held in self._zones_in(facts):
                for day in days:
                    mask = held["days"].get(day.isoformat())
                    if mask is not None:
                        needed[name].add(day)
                        hours[zone, day] |= mask
        for name, facts in files.items():
            for zone, held in self._zones_in(facts):
                short = (day for day in days if day.year in held["years"] and hours[zone, day] != ALL_HOURS)
                needed[name].update(short)
        return needed

    def _zones_in(self, facts: AnyMapping[str, Any]) -> Iterator[tuple[str, Any]]:
        return ((zone, held) for zone, held in facts.items() if not self.zones or zone in self.zones)


def _looked_into(
    files: Iterable[SourceFile], look: Callable[..., Any], memory: Memory
) -> tuple[dict[str, Known], dict[str, SourceError]]:
    """What each file holds, or why it cannot be read, by name."""
    known: dict[str, Known] = {}
    broken: dict[str, SourceError] = {}
    for file in files:
        try:
            known[file.name] = memory.know(file, partial(look, file.name))
        except DeniedError:
            raise
        except SourceError as error:
            broken[file.name] = error
    return known, broken


def _incomplete(days: tuple[date, ...], error: SourceError) -> list[Incomplete]:
    return [Incomplete(frozenset(days), error)]


def _held_hours(file: Points) -> dict[str, Any]:
    """Of each zone: `days` with the hours that have both intensities as bits (bit 0 is 00:00), `years` with any value.

    A value that holds over midnight speaks of both days.
    """
    facts: dict[str, Any] = defaultdict(lambda: {"days": {}, "years": set()})
    points = file.table
    good = points.filter(~points.bad_line)
    spoken = good.select("zone", day=good.hour.date()).distinct()
    for row in spoken.order_by("zone", "day").to_pyarrow().to_pylist():
        facts[row["zone"]]["days"][row["day"].isoformat()] = 0
    hours = file.hours
    whole = known_of(hours, "lifecycle") & known_of(hours, "direct")
    bit = ibis.literal(1, "int64") << hours.hour.hour().cast("int64")
    per_day = hours.group_by(hours.zone, day=hours.hour.date()).aggregate(mask=bit.bit_or(where=whole).fill_null(0))
    for row in per_day.order_by("zone", "day").to_pyarrow().to_pylist():
        held = facts[row["zone"]]
        held["days"][row["day"].isoformat()] = row["mask"]
        held["years"].add(row["day"].year)
    return {found: {**held, "years": sorted(held["years"])} for found, held in facts.items()}


def _days_of(facts: AnyMapping[str, Any]) -> set[date]:
    return {date.fromisoformat(day) for held in facts.values() for day in held["days"]}


def _notes(
    hours: ir.Table, files: Sequence[Points], days: DayRange, zones: Sequence[str] | None
) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """What was left out or taken for granted in `days`; lines without a time are counted wherever they are."""
    here = hours.filter(_within(hours, days))
    valued = here.lifecycle_gco2e_per_kwh.notnull() | here.direct_gco2e_per_kwh.notnull()
    notes: Counter[str] = Counter(
        _counted(
            here.aggregate(
                superseded_hours_dropped=here.superseded.sum(),
                repeated_points_averaged=here.repeated.sum(),
                unflagged_hours_taken_as_estimated=here.unflagged.sum(),
                hours_covered_in_part=((here.hour_covered < 1) & valued).sum(),
                hours_covered_too_little=here.thin.sum(),
            )
        )
    )
    examples: dict[str, list[str]] = defaultdict(list)
    for file in files:
        points = file.table
        within = _within(points, days)
        found = _counted(
            points.aggregate(
                lines_without_time_or_zone_dropped=(points.bad_line & (points.clock != NEVER).fill_null(True)).sum(),
                impossible_values_dropped=(points.bad_value & within).sum(),
                estimates_outdone_dropped=(points.outdone & within).sum(),
                local_times_open=((points.clock == UNRESOLVED) & within).sum(),
                local_times_never_shown=(points.clock == NEVER).sum(),
            )
        )
        spans = _spans(file, zones)
        speaks_of = sorted(row["zone"] for row in spans)
        instants = points.filter(points.disagrees & within, points.zone.isin(zones) if zones else True)
        if some := instants.select("zone", "at").distinct().count().to_pyarrow().as_py():
            found[_DISAGREE] = some
            examples[_DISAGREE].append(f"{file.name} ({_apart_said(spans[0]['apart'])})")
        burning = [row["zone"] for row in spans if _burns(row)]
        zeros = points.filter(points.zero & within, ~points.bad_line, points.zone.isin(burning))
        if some := zeros.select("zone", "hour").distinct().count().to_pyarrow().as_py() if burning else 0:
            found[_ZEROS] = some
            examples[_ZEROS].append(f"{file.name}: {', '.join(burning)}")
        for row in filter(_suspect, spans):  # on days without an hour of it, its mean of the year may stand
            found[_KILOGRAMS] = sum(row["first"].year <= day.year <= row["last"].year for day in days)
            examples[_KILOGRAMS].append(f"{file.name}: {_said_of(row)}")
        for row in (row for row in spans[:1] if row["doubt"]):
            found[row["doubt"]] = 1
            examples[row["doubt"]].append(f"{file.name}: column '{row['timed']}'")
        if named := other_zone(file.name, speaks_of):
            found["files_named_after_another_zone"] = 1
            examples["files_named_after_another_zone"].append(f"{file.name}: rows of {', '.join(speaks_of[:5])}")
            examples["files_named_after_another_zone"][-1] += f", none of {named}"
        notes.update(found)
    return {key: value for key, value in notes.items() if value}, dict(examples)


def _counted(counts: ir.Table) -> dict[str, int]:
    return {key: value or 0 for key, value in counts.to_pyarrow().to_pylist()[0].items()}


def _spans(file: Points, zones: Sequence[str] | None) -> list[dict[str, Any]]:
    """Zone by zone: first and last day, hours, hours without any intensity, estimated ones."""
    points = file.table
    good = points.filter(~points.bad_line, points.zone.isin(zones) if zones else True)
    summary = good.group_by("zone").aggregate(
        first=good.hour.min().date(),
        last=good.hour.max().date(),
        begins=good.hour.min(),
        hours=good.hour.nunique(),
        step_s=good.step_s.min(),
        unknown=good.hour.nunique() - good.hour.nunique(where=good.lifecycle.notnull() | good.direct.notnull()),
        disagreeing=good["at"].nunique(where=good.disagrees),
        apart=good.apart.max(),
        timed=good.timed.max(),
        doubt=good.doubt.max(),
        most_direct=good.direct.max(),
        tiny=good.tiny.max(),
        usual_direct=good.direct.median(where=good.direct > 0),
        zeros=good.hour.nunique(where=good.zero),
        most_lifecycle=good.lifecycle.max(),
    )
    return list(summary.order_by("zone").to_pyarrow().to_pylist())


def _look(file: Points, clock_said: str, zones: Sequence[str] | None) -> Iterator[Finding]:
    """What one readable file holds."""
    found = _spans(file, zones)
    name = file.name
    if not found:
        wanted = f" of {', '.join(zones)}" if zones else ""
        yield Finding(False, f"{name}: no hour{wanted}", "Correct `zones` or `path` of this source in site.yaml.")
    for row in found:
        gaps = f", {row['unknown']} without intensity" if row["unknown"] else ""
        basis = "" if row["most_direct"] is not None else ", life-cycle alone"
        basis = basis if row["most_lifecycle"] is not None else ", direct alone"
        clock = f"; {clock_said}, the first hour is {row['begins']:%Y-%m-%d %H:%M} UTC" if clock_said else ""
        finer = f", a value every {(row['step_s'] + 59) // 60} minutes" if row["step_s"] < HOUR_S else ""
        what = f"{name}: {row['zone']}, {row['first']} to {row['last']}, {row['hours']} hours{finer}{gaps}{basis}"
        yield Finding(True, what + clock)
    for row in (row for row in found[:1] if row["doubt"]):
        told = words(row["doubt"])
        yield Finding(False, f"{name}: {told.of(1)} (column '{row['timed']}')", told.remedy, (row["doubt"],))
    if suspect := [_said_of(row) for row in found if _suspect(row)]:
        what = f"{name}: {'; '.join(suspect[:SHOWN])}: less than that of any grid, as if kilograms were taken for grams"
        yield Finding(False, what, words(_KILOGRAMS).remedy, (_KILOGRAMS,))
    for row in (row for row in found if row["zeros"] and _burns(row)):
        what = f"{name}: {row['zone']}: {words(_ZEROS).of(row['zeros'])}"
        yield Finding(False, what, words(_ZEROS).remedy, (_ZEROS,))
    for row in (row for row in found if row["disagreeing"]):
        what = (
            f"{name}: {row['zone']} has several different values at {counted(row['disagreeing'], 'instant')}"
            f", {_apart_said(row['apart'])}"
        )
        yield Finding(False, what, words(_DISAGREE).remedy, (_DISAGREE,))
    if named := other_zone(name, [row["zone"] for row in found]):
        yield Finding(
            False,
            f"{name}: is named after {named} and has rows of {', '.join(row['zone'] for row in found[:5])}; the rows "
            "count",
            f"Take it out of `path` if it should be of {named}; else give it the name of its zone.",
        )


def _apart_said(columns: str) -> str:
    """What tells lines of one instant apart."""
    return f"told apart by {columns}" if columns else "and no other column tells them apart"


def _gaps(files: Sequence[Points], zones: Sequence[str] | None) -> Iterator[Finding]:
    """Hours without an intensity on days that have some, of all files together.

    The hours before the first and after the last are none of them: exports in local time begin in the evening.
    """
    parts = []
    for file in files:
        touched = file.hours.filter(file.hours.zone.isin(list(zones))) if zones else file.hours
        known = known_of(touched, "lifecycle") | known_of(touched, "direct")
        parts.append(touched.filter(known).select("zone", "hour"))
    hours = ibis.union(*parts, distinct=True) if len(parts) > 1 else parts[0].distinct()
    per_zone = hours.group_by("zone").aggregate(
        held=hours.count(),
        days=hours.hour.date().nunique(),
        clocks=hours.hour.hour().nunique(),
        first=hours.hour.min().hour(),
        last=hours.hour.max().hour(),
    )
    for row in per_zone.order_by("zone").to_pyarrow().to_pylist():
        whole = 24 * row["days"] - row["first"] - (23 - row["last"])
        if row["days"] > 2 and row["clocks"] < 24:  # two days may be one of local time
            whole = 24 * row["days"]
        missing = whole - row["held"]
        if missing:
            never = 24 - row["clocks"] if row["days"] > 2 else 0
            throughout = f" ({counted(never, 'hour')} of the day on all of them)" if never else ""
            yield Finding(
                not too_many(missing, whole, never, row["days"]),
                f"{missing:,} of {counted(whole, 'hour')} of {row['zone']} have no intensity of their own on days that "
                f"have some{throughout}, and take the mean of their month or year",
                "Look whether the export has all hours of the day, and add those that are missing.",
            )


def _suspect(span: AnyMapping[str, Any]) -> bool:
    """Whether the intensities of a zone in a file are probably kilograms: its highest ones are less than any grid's."""
    return looks_like_kilograms(_most_direct(span), span["most_lifecycle"])


def _most_direct(span: AnyMapping[str, Any]) -> Decimal | None:
    """The highest direct intensity of a zone in a file, before rounding where nothing of it is left after."""
    most: Decimal | None = span["most_direct"]
    return most if most or span["tiny"] is None else Decimal(repr(span["tiny"]))


def _burns(span: AnyMapping[str, Any]) -> bool:
    """Whether a zone's hours that are not 0 usually have so much that something burns all the time."""
    return (span["usual_direct"] or 0) > LEAST_OF_A_FIRE


def _said_of(span: AnyMapping[str, Any]) -> str:
    """The zone and its highest intensities."""
    return f"{span['zone']} at most {values_said(_most_direct(span), span['most_lifecycle'])}"


def _within(table: ir.Table, days: DayRange) -> ir.BooleanColumn:
    return table.hour.date().between(days.first, days.last)


def _temporary(table: ir.Table, step: StepContext) -> ir.Table:
    """The rows as a temporary table on the step's connection: computed once, however often they are read."""
    temporary: ir.Table = step.con.create_table(ibis.util.gen_name("intensity"), obj=table, temp=True)
    return temporary

"""The source `intensity_files`: which files a day needs, and their rows.

What belongs here: the site.yaml block and the choice of files. What does not: the CSV format (`parse`), and
the stand-ins (`energy_assets.sources.intensity`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Feed, Finding, Parsed, Source, StepContext, Unit
from energy_assets.sources.errors import MalformedError, SourceError
from energy_assets.sources.files import SourceFile, list_files
from energy_assets.sources.intensity import HOURS, ROWS, month_means, rows_with_stand_ins, year_means
from energy_assets.sources.intensity_files.parse import hours_of, read_points


class IntensityFiles(Source):
    """Hourly CSV exports of Electricity Maps, in a folder or a bucket."""

    feeds: ClassVar[Feed] = "grid_intensity"
    parser_version: ClassVar[str] = "1"
    title: ClassVar[str] = "Electricity Maps CSV exports"
    engine_kind: ClassVar[str] = "csv"

    kind: Literal["intensity_files"]
    path: str = Field(description="glob: a path relative to site.yaml, or s3://, gs://, az://, abfss://")
    zones: list[str] | None = Field(None, min_length=1, description="only these grid zones; default every zone found")
    zone: str | None = Field(None, description="the zone of files that have no column 'Zone id'")
    endpoint_url: str | None = Field(None, description="another S3 endpoint, for example a test server")

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per file.

        A day gets the files that speak of it; where one of its hours is missing, also every file that speaks
        of that zone in that year; and every file that cannot be read, because nobody knows what it holds.
        """
        paths = {file.name: file.fetch(step.folder) for file in self._files(step)}
        needed = self._needed(paths, days, step)
        for name, path in paths.items():
            if needed[name]:
                yield self._unit(name, path, tuple(sorted(needed[name])))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """Rows of `days`; hours that two files tell, and lines without sense, are counted in the notes."""
        files = [(self._read(landed, step), str(landed.request["path"]), landed.sha256) for landed in objects]
        if not files:
            return Parsed(_kept(ibis.memtable([], schema=ROWS), step))
        told = _kept(hours_of(files, days, self.zones), step)
        hours = told.select(*HOURS.names)
        rows = _kept(rows_with_stand_ins(hours, month_means(hours), year_means(hours), days), step)
        return Parsed(rows, _notes(told, [points for points, _, _ in files], days))

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Each file: readable, which zones and days, how many hours without an intensity."""
        try:
            files = self._files(step)
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)
            return
        for file in files:
            try:
                path = file.fetch(step.folder)
                points = read_points(step.con, path, _sha256(path), file.name, self.zone)
            except SourceError as error:
                yield Finding(False, error.message, error.remedy)
                continue
            yield from _look(points, file.name, self.zones)

    def _files(self, step: StepContext) -> list[SourceFile]:
        options = {"endpoint": self.endpoint_url} if self.endpoint_url else None
        return list_files(self.path, step.site_folder, options)

    def _unit(self, name: str, path: Path, days: tuple[date, ...]) -> Unit:
        request = {"path": name, **({"zone": self.zone} if self.zone else {})}
        media_type = "application/gzip" if name.endswith(".gz") else "text/csv"
        return Unit(days, name, lambda: [Fetched(path, request, days, media_type=media_type)])

    def _read(self, landed: Landed, step: StepContext) -> ir.Table:
        request = landed.request
        return read_points(step.con, step.spool(landed), landed.sha256, str(request["path"]), request.get("zone"))

    def _needed(self, paths: Mapping[str, Path], days: DayRange, step: StepContext) -> dict[str, set[date]]:
        """The days each file is needed for."""
        needed: dict[str, set[date]] = {name: set() for name in paths}
        parts = []
        for name, path in paths.items():
            try:
                points = read_points(step.con, path, _sha256(path), name, self.zone)
            except MalformedError:
                needed[name].update(days)
                continue
            parts.append(points.mutate(name=ibis.literal(name)))
        if not parts:
            return needed
        points = ibis.union(*parts) if len(parts) > 1 else parts[0]
        points = points.filter(~points.bad_line, points.zone.isin(self.zones) if self.zones else True)
        points = _kept(points.filter(points.hour.year().between(days.first.year, days.last.year)), step)
        for name, day in _distinct(points.filter(_within(points, days)), lambda p: [p.name, p.hour.date()]):
            needed[name].add(day)
        for name, day in _short_days(points, days):
            needed[name].add(day)
        return needed


def _short_days(points: ir.Table, days: DayRange) -> Iterator[tuple[str, date]]:
    """File and day, for every file of the year of a zone that has not all 24 hours of the day."""
    whole = points.filter(points.lifecycle.notnull(), points.direct.notnull(), _within(points, days))
    per_day = whole.group_by(whole.zone, day=whole.hour.date()).aggregate(hours=whole.hour.nunique())
    complete = set(_distinct(per_day.filter(per_day.hours == 24), lambda p: [p.zone, p.day]))
    valued = points.filter(points.lifecycle.notnull() | points.direct.notnull())
    for name, zone, year in _distinct(valued, lambda p: [p.name, p.zone, p.hour.year()]):
        for day in days:
            if day.year == year and (zone, day) not in complete:
                yield name, day


def _notes(told: ir.Table, files: Sequence[ir.Table], days: DayRange) -> dict[str, int]:
    """What was left out or taken for granted in `days`; lines without a time are counted wherever they are."""
    here = told.filter(_within(told, days))
    counts = [
        here.aggregate(
            superseded_hours_dropped=here.superseded.sum(),
            repeated_points_averaged=here.repeated.sum(),
            unflagged_hours_taken_as_estimated=here.unflagged.sum(),
        )
    ]
    for points in files:
        within = _within(points, days)
        counts.append(
            points.aggregate(
                lines_without_time_or_zone_dropped=points.bad_line.sum(),
                impossible_values_dropped=(points.bad_value & within).sum(),
            )
        )
    notes: Counter[str] = Counter()
    for count in counts:
        notes.update({key: value or 0 for key, value in count.to_pyarrow().to_pylist()[0].items()})
    return {key: value for key, value in notes.items() if value}


def _look(points: ir.Table, name: str, zones: Sequence[str] | None) -> Iterator[Finding]:
    """What one readable file holds."""
    good = points.filter(~points.bad_line, points.zone.isin(zones) if zones else True)
    summary = good.group_by("zone").aggregate(
        first=good.hour.min().date(),
        last=good.hour.max().date(),
        hours=good.count(),
        unknown=(good.lifecycle.isnull() & good.direct.isnull()).sum(),
    )
    found = summary.order_by("zone").to_pyarrow().to_pylist()
    if not found:
        wanted = f" of {', '.join(zones)}" if zones else ""
        yield Finding(False, f"{name}: no hour{wanted}", "Correct `zones` or `path` of this source in site.yaml.")
    for row in found:
        gaps = f", {row['unknown']} without intensity" if row["unknown"] else ""
        yield Finding(True, f"{name}: {row['zone']}, {row['first']} to {row['last']}, {row['hours']} hours{gaps}")


def _within(table: ir.Table, days: DayRange) -> ir.BooleanColumn:
    return table.hour.date().between(days.first, days.last)


def _kept(table: ir.Table, step: StepContext) -> ir.Table:
    """The rows as a temporary table on the step's connection: computed once, however often they are read."""
    kept: ir.Table = step.con.create_table(ibis.util.gen_name("intensity"), obj=table, temp=True)
    return kept


def _distinct(table: ir.Table, columns: Callable[[ir.Table], list[ir.Value]]) -> Iterator[tuple[Any, ...]]:
    rows = table.select(*columns(table)).distinct().to_pyarrow()
    return zip(*(column.to_pylist() for column in rows.columns), strict=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

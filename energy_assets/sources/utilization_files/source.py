"""The source `utilization_files`: how busy machines of a cloud were, from exports of its monitoring.

What belongs here: the block, which days a file speaks of, notes, and `check`. What does not: reading files (`points`),
and what an estimate makes of it (`estimates.utilization`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import ibis
from pydantic import Field, model_validator

from energy_assets.contracts.vocabulary import Feed
from energy_assets.counting import counted
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Finding, Incomplete, Parsed, Source, StepContext, Strict, Unit
from energy_assets.sources.errors import DeniedError, MalformedError, SourceError
from energy_assets.sources.files import SourceFile, list_files
from energy_assets.sources.local_time import UNRESOLVED, TimeZone
from energy_assets.sources.memory import Known, Memory, sha256_of
from energy_assets.sources.opening import Clock, DateOrder
from energy_assets.sources.unreadable import days_concerned
from energy_assets.sources.utilization_files.points import HOUR_US, HOURS, Points, hours_of, read_points
from energy_assets.sources.utilization_files.series import Columns, Component, Reading
from energy_assets.sources.utilization_files.series import Unit as OfLoad

_ABOVE, _DISAGREE, _SHARES = "loads_above_full_dropped", "loads_told_differently", "loads_like_shares"
_UNSTATED, _EMPTY, _BELOW = "loads_without_statistic", "loads_without_value", "loads_below_none_dropped"
_REPEATED, _TWICE = "loads_in_several_files", "loads_repeated"
LIKE_SHARES = 0.01
"""Where no value of a file is above one per cent, shares may have been taken for per cent."""


class OwnColumns(Strict):
    """Columns of CSV or Parquet files that are no export of CloudWatch."""

    time: str = Field(description="column of the start of each period")
    resource: str = Field(description="column of the machine, as its bill names it: instance id, name or resource path")
    utilization: str = Field(description="column of the average load")
    device: str | None = Field(None, description="column of the device, where a machine has several with a load each")


class UtilizationFiles(Source):
    """Exports of CloudWatch and Azure Monitor, and CSV files of any other monitoring."""

    feeds: ClassVar[Feed] = Feed.UTILIZATION
    parser_version: ClassVar[str] = "1"
    title: ClassVar[str] = "Files of utilization"
    engine_kind: ClassVar[str] = "csv"
    speaks_of_every_day: ClassVar[bool] = False

    kind: Literal["utilization_files"]
    path: str = Field(description="glob: a path relative to site.yaml, or s3://, gs://, az://, abfss://")
    provider: str | None = Field(
        None, description="aws, gcp, azure …: of files with `columns`; exports say it themselves"
    )
    account_id: str | None = Field(None, description="of the machines, where the export does not say it")
    region: str | None = Field(None, description="of the machines, where the export does not say it")
    component: Component | None = Field(None, description="cpu or gpu, where the export does not name the metric")
    columns: OwnColumns | None = Field(
        None, description="of CSV files that are no export: {time, resource, utilization}"
    )
    unit: OfLoad | None = Field(None, description="of the column utilization: percent (0 to 100) or share (0 to 1)")
    period_s: int | None = Field(
        None, ge=1, le=3600, description="seconds that a value stands for, where the points do not show it"
    )
    timezone: TimeZone | None = Field(
        None, description="IANA name, for example Europe/Berlin, of times that state no offset; default UTC"
    )
    date_order: DateOrder | None = Field(
        None, description="day first or month first, where dates such as 3/4/2026 leave it open"
    )
    decimal: Literal[".", ","] | None = Field(None, description="the decimal mark, where a file does not prove it")
    endpoint_url: str | None = Field(None, description="another S3 endpoint, for example a test server")
    repull_days: int = Field(45, ge=0, le=800, description="days whose exports may still be added or replaced")

    @property
    def trailing_days(self) -> int:
        """`repull_days`: by default a monthly export that is put there within two weeks after its month."""
        return self.repull_days

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        if self.columns is None:
            if self.unit or self.decimal:
                raise ValueError("`unit` and `decimal` are of files with `columns`; exports say per cent themselves")
            return self
        wanted = {"unit": "percent or share", "component": "cpu or gpu", "provider": "aws, gcp, azure …"}
        missing = [f"{key} ({what})" for key, what in wanted.items() if getattr(self, key) is None]
        if missing:
            raise ValueError(f"names `columns`, and leaves open what only site.yaml can say: {', '.join(missing)}")
        return self

    @property
    def _reading(self) -> Reading:
        own = self.columns
        return Reading(
            self.provider,
            self.account_id,
            self.region,
            self.component,
            self.period_s,
            Columns(own.time, own.resource, own.utilization, own.device) if own else None,
            self.unit,
            Clock(None, self.timezone, self.date_order),
            self.decimal,
        )

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per file, for the days it speaks of; one that cannot be read, for those it may concern."""
        memory = Memory(self, {"reading": repr(self._reading)}, step)
        files = {file.name: file for file in self._files(step)}
        known: dict[str, Known] = {}
        broken: dict[str, SourceError] = {}
        for file in files.values():
            try:
                known[file.name] = memory.know(file, partial(self._days_held, step, file.name))
            except DeniedError:
                raise
            except SourceError as error:
                broken[file.name] = error
        memory.forget_gone(files.values(), [self.path])
        memory.save()
        spoken = {name: {date.fromisoformat(day) for day in found.facts} for name, found in known.items()}
        for name, found in known.items():
            if mine := tuple(day for day in days if day in spoken[name]):
                yield self._unit(files[name], mine, partial(memory.body, files[name], found))
        for name, why in broken.items():
            last = memory.last(name)
            before = ({date.fromisoformat(day) for day in last[0]}, last[1]) if last else None
            concerned = tuple(sorted(days_concerned(name, days, before, spoken)))
            if isinstance(why, MalformedError):  # landed, so that parsing says what is wrong
                yield self._unit(files[name], concerned, partial(files[name].fetch, step.folder))
            else:
                yield Unit(concerned, name, partial(_incomplete, concerned, why))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """Hours of `days`; what was left out, or told twice, is counted in the notes."""
        files = [self._read(landed, step) for landed in objects]
        if not files:
            return Parsed(step.con.create_table(ibis.util.gen_name("none"), schema=HOURS, temp=True))
        rows, told = hours_of(step.con, files, days)
        notes: Counter[str] = Counter({_REPEATED: told["repeated"], _DISAGREE: told["disagreeing"]})
        examples: dict[str, list[str]] = defaultdict(list)
        for file in files:
            for name, amount in _counts(step.con, file, days).items():
                if amount:
                    notes[name] += amount
                    examples[name].append(file.name)
        return Parsed(rows, {name: amount for name, amount in notes.items() if amount}, dict(examples), stored=True)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Each file: readable, which machines and days, how much of their hours, and how busy they were."""
        try:
            files = self._files(step)
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)
            return
        for file in files:
            try:
                path = file.fetch(step.folder)
                points = read_points(step.con, path, sha256_of(path), file.name, step.folder, self._reading)
            except SourceError as error:
                yield Finding(False, error.message, error.remedy)
                continue
            yield from _look(step.con, points, self.timezone)

    def _files(self, step: StepContext) -> list[SourceFile]:
        options = {"endpoint": self.endpoint_url} if self.endpoint_url else None
        return list_files(self.path, step.site_folder, options)

    def _unit(self, file: SourceFile, days: tuple[date, ...], body: Any) -> Unit:
        media_type = "application/json" if ".json" in file.name.lower() else "text/csv"
        media_type = "application/gzip" if file.name.endswith(".gz") else media_type
        return Unit(days, file.name, lambda: [Fetched(body(), {"path": file.name}, days, media_type=media_type)])

    def _read(self, landed: Landed, step: StepContext) -> Points:
        name = str(landed.request["path"])
        path = step.spool(landed, ".parquet" if name.lower().endswith(".parquet") else "")
        return read_points(step.con, path, landed.sha256, name, step.folder, self._reading)

    def _days_held(self, step: StepContext, name: str, path: Path, sha256: str) -> list[str]:
        points = read_points(step.con, path, sha256, name, step.folder, self._reading)
        return _days(step.con, points)


def _incomplete(days: tuple[date, ...], error: SourceError) -> list[Incomplete]:
    return [Incomplete(frozenset(days), error)]


def _days(con: Any, file: Points) -> list[str]:
    """The days that a file has values of, those included into which the period of the last one runs."""
    table = file.table.filter(file.table.value.notnull())
    ends = (table.at_us, table.at_us + table.seconds * 1_000_000 - 1)
    days = ibis.union(*((table.select(day=(end // 1_000_000).as_timestamp("s").date())) for end in ends), distinct=True)
    return [day.isoformat() for day in sorted(con.to_pyarrow(days).column("day").to_pylist())]


def _counts(con: Any, file: Points, days: DayRange) -> dict[str, int]:
    """What was left out of a file, or doubted, in `days`."""
    table = file.table
    here = table.filter((table.at_us // HOUR_US * 3600).as_timestamp("s").date().between(days.first, days.last))
    values = here.filter(here.wrong.isnull())
    (found,) = con.to_pyarrow(
        here.aggregate(
            **{_ABOVE: (here.wrong == "above").sum(), _BELOW: (here.wrong == "below").sum()},
            **{_EMPTY: (here.wrong == "empty").sum(), _UNSTATED: (~here.stated & here.wrong.isnull()).sum()},
            local_times_open=(here.clock == UNRESOLVED).sum(),
        )
    ).to_pylist()
    (whole,) = con.to_pyarrow(values.aggregate(most=values.value.max(), values=values.count())).to_pylist()
    like = whole["values"] if whole["most"] is not None and 0 < whole["most"] <= LIKE_SHARES else 0
    return {**{name: amount or 0 for name, amount in found.items()}, _SHARES: like, _TWICE: file.repeated}


def _look(con: Any, file: Points, timezone: str | None) -> Iterator[Finding]:
    """What one readable file holds."""
    table = file.table.filter(file.table.value.notnull())
    by = table.group_by("component").aggregate(
        machines=table.resource_id.nunique(),
        example=table.resource_id.min(),
        first=table.at_us.min(),
        last=table.at_us.max(),
        least=table.seconds.min(),
        most=table.seconds.max(),
        mean=table.value.cast("float64").mean(),
    )
    rows = con.to_pyarrow(by.order_by("component")).to_pylist()
    if not rows:
        yield Finding(False, f"{file.name}: has no value", "Export it again, or take it out of `path` in site.yaml.")
    for row in rows:
        first, last = (
            f"{datetime.fromtimestamp(row[end] / 1_000_000, UTC):%Y-%m-%d %H:%M}" for end in ("first", "last")
        )
        periods = f"{row['least']}" if row["least"] == row["most"] else f"{row['least']} to {row['most']}"
        clock = f"; times without an offset are taken as {timezone}" if timezone else ""
        yield Finding(
            True,
            f"{file.name}: {row['component']} of {counted(row['machines'], 'machine')} (such as {row['example']}), "
            f"{first} to {last} UTC by {periods} s, {row['mean'] * 100:.1f} % busy{clock}",
        )

"""The source `power_files`: its block in site.yaml, which files a day needs, and the rows they make.

What belongs here: configuration and the contract's columns. What does not: file formats (`parse`) and the
integral (`energy_assets.sources.power`). Serves `raw/<source>`.
"""

# ruff: noqa: S608 - table names are made here, column names and values are quoted

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import ibis
from pydantic import Field, field_validator, model_validator

from energy_assets.contracts import vocabulary
from energy_assets.contracts.raw import PLACE_COLUMNS, EnergyReadings
from energy_assets.contracts.vocabulary import Feed, OneOf
from energy_assets.landing import Fetched, Held, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import (
    Finding,
    Incomplete,
    Parsed,
    PlacedSource,
    SeenNode,
    StepContext,
    Strict,
    Unit,
)
from energy_assets.sources.errors import DeniedError, MalformedError, SourceError
from energy_assets.sources.files import SourceFile, list_files
from energy_assets.sources.memory import Known, Memory
from energy_assets.sources.power import GapPolicy, HourlyEnergy, hourly_energy
from energy_assets.sources.power_files.parse import (
    Opened,
    ReadingColumns,
    TimeUnit,
    WindowColumns,
    add_readings,
    create_readings,
    create_windows,
    days_of,
    last_readings,
    nodes_of_runs,
    open_file,
    suffix_of,
)
from energy_assets.sources.unreadable import days_concerned

Columns = str | Annotated[list[str], Field(min_length=1)]
DeviceKind = Annotated[str, OneOf(vocabulary.DeviceKind)]
_MEDIA = {".csv": "text/csv", ".csv.gz": "application/gzip", ".parquet": "application/vnd.apache.parquet"}
LATELY = timedelta(days=1)
"""Machines without readings for longer than this, measured from the newest reading, may be gone."""

_serial = count(1)


class Windows(Strict):
    """The file that says when each run began and ended."""

    path: str = Field(description="a file, relative to site.yaml, or a bucket url; a glob may match several")
    run: Columns = Field("run", description="column of the run's name, or columns joined by '/', as in `run`")
    start: str = Field("start", description="column: the run's first instant, ISO 8601 or epoch")
    end: str = Field("end", description="column: the first instant after the run")
    time_unit: TimeUnit | None = Field(None, description="of epoch times: s, ms, us, ns")
    node: Columns | None = Field(None, description="column of the node a window is for; default see the docs")

    @property
    def columns(self) -> WindowColumns:
        """Which columns hold what."""
        return WindowColumns(self.start, self.end, self.time_unit, _several(self.run), _several(self.node))


class PowerFiles(PlacedSource):
    """CSV or Parquet files of power readings, in a folder or a bucket."""

    feeds: ClassVar[Feed] = Feed.ENERGY
    parser_version: ClassVar[str] = "1"
    title: ClassVar[str] = "Files of power readings"
    engine_kind: ClassVar[str] = "csv"

    kind: Literal["power_files"]
    path: str = Field(description="glob of .csv, .csv.gz, .parquet: relative to site.yaml, or s3://, gs://, az://")
    endpoint_url: str | None = Field(None, description="another S3 endpoint, for example a test server")
    time: str = Field("time", description="column of the instant: ISO 8601 (UTC where it has no offset) or epoch")
    time_unit: TimeUnit | None = Field(None, description="of epoch times: s, ms, us, ns")
    node: Columns = Field(description="column of the machine's name, or columns joined by '/'")
    device: Columns | None = Field(None, description="column of the device on the machine; default the machine")
    power_w: str = Field("power_w", description="column of the power in watts")
    run: Columns | None = Field(None, description="column of the run that used the machine; becomes workload_id")
    windows: Windows | None = Field(None, description="file of runs' begin and end; what lies outside is idle")
    device_kind: DeviceKind = Field("node", description="what is metered")
    device_model: str | None = Field(None, description="as the factory names it")
    confirmed: bool = Field(False, description="true: somebody checked the node meters (quality tier 1)")
    max_gap_s: int = Field(300, ge=1, le=86400, description="longest time between two readings that is integrated")
    gap_policy: GapPolicy = Field("none", description="longer gaps: none, hold the last power, mean of both ends")
    max_bridge_s: int = Field(3600, ge=1, le=86400, description="longest gap that hold and mean bridge")
    repull_days: int = Field(7, ge=0, le=800, description="days whose files may still be added or replaced")

    @property
    def trailing_days(self) -> int:
        """`repull_days`: by default a week, for meters that were cut off and files that are copied late."""
        return self.repull_days

    @field_validator("windows", mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.confirmed and self.device_kind != "node":
            raise ValueError("`confirmed` is for meters of whole nodes; remove it or set device_kind: node")
        return self

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per file; what a file holds decides which days get it.

        A day gets the files that have readings in it or so near that the interval across midnight can be
        integrated, the files of windows, and every file that cannot be read and may concern it
        (`days_concerned`).
        """
        whole = tuple(days)
        memory = Memory(self, self._basis, step)
        windows, files = self._windows_files(step), self._reading_files(step)
        memory.forget_gone([*windows, *files], [self.path, *([self.windows.path] if self.windows else [])])
        for file in windows:
            yield Unit(whole, file.name, partial(self._fetch_windows, file, whole, memory))
        for file in files:
            yield Unit(whole, file.name, partial(self._fetch_readings, file, files, days, memory, step))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """Energy per hour, device and run; readings that were left out are counted in the notes."""
        tables = _Tables(step.con)
        try:
            notes, windows = self._load(objects, days, step, tables)
            energy = hourly_energy(
                step.con.table(tables.readings),
                max_gap_s=self.max_gap_s,
                gap_policy=self.gap_policy,
                max_bridge_s=self.max_bridge_s,
                windows=windows,
                within=(days.start, days.end),
            )
        finally:
            tables.drop()
        return Parsed(self._rows(energy), notes | dict(energy.notes))

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Each file: readable, how many readings of how many nodes, from when to when; do the windows match?"""
        tables = _Tables(step.con)
        try:
            files = self._reading_files(step)
            window_files = self._windows_files(step)
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)
            return
        try:
            seen: list[str] = []
            for file in files:
                try:
                    opened = open_file(step.con, _plain(file, step), file.name, self._columns.keys)
                    yield tables.look(opened, self._columns)
                except SourceError as error:
                    yield Finding(False, error.message, error.remedy)
                    continue
                seen.append(nodes_of_runs(opened, self._columns))
            if self.windows:
                yield from self._check_windows(self.windows.columns, window_files, seen, tables, step)
        finally:
            tables.drop()

    def observe(self, step: StepContext) -> Iterable[SeenNode]:
        """The machines with readings in the last day that has any, from the files written last.

        Looked into are files written within a day of the newest. Files that cannot be read are for `check` to tell.
        """
        files = self._reading_files(step)
        newest = max(file.last_modified for file in files)
        last: dict[str, datetime] = {}
        for file in files:
            if newest - file.last_modified <= LATELY:
                with suppress(MalformedError):
                    opened = open_file(step.con, _plain(file, step), file.name, self._columns.keys)
                    for name, at in last_readings(step.con, opened, self._columns):
                        last[name] = max(at, last.get(name, at))
        until = max(last.values(), default=None)
        return [SeenNode(name, self.device_kind) for name, at in sorted(last.items()) if until and until - at <= LATELY]

    @property
    def _columns(self) -> ReadingColumns:
        return ReadingColumns(
            time=self.time,
            time_unit=self.time_unit,
            node=_several(self.node),
            device=_several(self.device),
            run=_several(self.run),
            power_w=self.power_w,
        )

    @property
    def _reach(self) -> timedelta:
        """How far outside a day a reading can matter for it."""
        longest = self.max_gap_s if self.gap_policy == "none" else max(self.max_gap_s, self.max_bridge_s)
        return timedelta(seconds=longest)

    def _options(self) -> dict[str, str] | None:
        return {"endpoint": self.endpoint_url} if self.endpoint_url else None

    def _reading_files(self, step: StepContext) -> list[SourceFile]:
        return list_files(self.path, step.site_folder, self._options())

    def _windows_files(self, step: StepContext) -> list[SourceFile]:
        return list_files(self.windows.path, step.site_folder, self._options()) if self.windows else []

    @property
    def _basis(self) -> dict[str, Any]:
        """What the facts of a file depend on beside its bytes."""
        return {"columns": self._columns.keys, "unit": self.time_unit, "reach_s": self._reach.total_seconds()}

    def _fetch_windows(self, file: SourceFile, days: tuple[date, ...], memory: Memory) -> list[Fetched]:
        known = memory.know(file, lambda path, sha256: None)
        memory.save()
        return [self._answer(file, "windows", days, memory.body(file, known))]

    def _fetch_readings(
        self, file: SourceFile, files: Sequence[SourceFile], days: DayRange, memory: Memory, step: StepContext
    ) -> Iterator[Fetched | Incomplete]:
        try:
            known = memory.know(file, partial(self._days_held, file, step))
        except DeniedError:
            raise
        except SourceError as error:
            yield self._unreadable(file, files, error, days, memory, step)
        else:
            if needed := tuple(sorted(day for day in _days(known.facts) if day in days)):
                yield self._landable(file, known, needed, memory)
        if file is files[-1]:
            memory.save()

    def _readable(self, files: Sequence[SourceFile], memory: Memory, step: StepContext) -> dict[str, set[date]]:
        """The days of every file that can be read, by name."""
        readable: dict[str, set[date]] = {}
        for file in files:
            with suppress(SourceError):
                readable[file.name] = _days(memory.know(file, partial(self._days_held, file, step)).facts)
        return readable

    def _days_held(self, file: SourceFile, step: StepContext, path: Path, sha256: str) -> list[str]:
        opened = open_file(step.con, _plain(file, step), file.name, self._columns.keys)
        return [day.isoformat() for day in sorted(days_of(step.con, opened, self._columns, self._reach))]

    def _unreadable(
        self,
        file: SourceFile,
        files: Sequence[SourceFile],
        error: SourceError,
        days: DayRange,
        memory: Memory,
        step: StepContext,
    ) -> Fetched | Incomplete:
        """Bytes that arrived are landed for the days they may concern, so that parsing says what is wrong."""
        last = memory.last(file.name)
        spoken = (_days(last[0]), last[1]) if last else None
        concerned = days_concerned(file.name, days, spoken, self._readable(files, memory, step))
        if not isinstance(error, MalformedError):
            return Incomplete(concerned, error)
        return self._answer(file, "readings", tuple(sorted(concerned)), file.fetch(step.folder))

    def _landable(
        self, file: SourceFile, known: Known, needed: tuple[date, ...], memory: Memory
    ) -> Fetched | Incomplete:
        try:
            return self._answer(file, "readings", needed, memory.body(file, known))
        except DeniedError:
            raise
        except SourceError as error:
            return Incomplete(frozenset(needed), error)

    @staticmethod
    def _answer(file: SourceFile, role: str, days: tuple[date, ...], body: Held | Path) -> Fetched:
        media = next((_MEDIA[end] for end in _MEDIA if file.name.lower().endswith(end)), "application/octet-stream")
        return Fetched(body, {"path": file.name, "role": role}, days, media_type=media)

    def _opened(self, role: str, objects: Sequence[Landed], step: StepContext) -> Iterator[tuple[Landed, Opened]]:
        columns = self.windows.columns if self.windows and role == "windows" else self._columns
        for landed in objects:
            if landed.request["role"] == role:
                name = str(landed.request["path"])
                yield landed, open_file(step.con, step.spool(landed, suffix_of(name)), name, columns.keys)

    def _load(
        self, objects: Sequence[Landed], days: DayRange, step: StepContext, tables: _Tables
    ) -> tuple[dict[str, int], ibis.Table | None]:
        """Fill the table of readings; return what was dropped, and the windows of each node."""
        span = (days.start - self._reach, days.end + self._reach)
        create_readings(step.con, tables.readings)
        seen = []
        for landed, file in self._opened("readings", objects, step):
            add_readings(step.con, tables.readings, file, self._columns, landed.sha256, span)
            seen.append(nodes_of_runs(file, self._columns))
        notes = tables.drop_nameless(days)
        if self.windows is None:
            return notes, None
        files = [file for _, file in self._opened("windows", objects, step)]
        notes |= tables.add_windows(files, self.windows.columns, days)
        named = seen if self.run is not None else None
        return notes, tables.windows_by_node(by_node=self.windows.node is not None, seen=named)

    def _rows(self, energy: HourlyEnergy) -> ibis.Table:
        """The columns of the contract."""
        t = energy.rows
        knows_idle = self.run is not None or self.windows is not None
        reserved = t.run.isin(["idle", "all"])
        node, run = ibis.literal("node"), ibis.literal("run")
        tier = 1 if self.confirmed else 2
        rows = t.mutate(
            day=t.hour.date(),
            device_kind=ibis.literal(self.device_kind),
            device_model=ibis.literal(self.device_model, type="string"),
            device_uuid=ibis.null("string"),
            share_id=reserved.ifelse(ibis.literal("run:") + t.run, t.run).fill_null("idle" if knows_idle else "all"),
            method=ibis.literal("metered_node" if self.device_kind == "node" else "measured_power"),
            quality_tier=t.bridged.ifelse(3, tier).cast("int16"),
            workload_id=(t.runs == 1).ifelse(t.run, ibis.null("string")),
            idle=(t.runs == 0) if knows_idle else ibis.literal(False),
            labels=t.run.isnull().ifelse(
                ibis.map(ibis.array([node]), ibis.array([t.node_id])),
                ibis.map(ibis.array([node, run]), ibis.array([t.node_id, t.run])),
            ),
            raw_sha256=t.origin,
        )
        return rows.select(*(name for name in EnergyReadings.to_schema().columns if name not in PLACE_COLUMNS))

    def _check_windows(
        self,
        columns: WindowColumns,
        files: Sequence[SourceFile],
        seen: Sequence[str],
        tables: _Tables,
        step: StepContext,
    ) -> Iterator[Finding]:
        try:
            opened = [open_file(step.con, _plain(file, step), file.name, columns.keys) for file in files]
            tables.add_windows(opened, columns, None)
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)
            return
        number, matched = tables.match_windows(seen if self.run is not None else None)
        names = ", ".join(file.name for file in files)
        yield Finding(
            matched > 0,
            f"{names}: {number} windows" + (f", {matched} of runs that the readings name" if self.run else ""),
            "" if matched else "Give `run` and `windows.run` the same columns, so that the names are equal.",
        )


class _Tables:
    """The temporary tables of one parse or check."""

    def __init__(self, con: Any) -> None:
        number = next(_serial)
        self._con = con
        self.readings = f"power_readings_{number}"
        self._windows = f"power_runs_{number}"
        self._by_node = f"power_runs_by_node_{number}"

    def drop_nameless(self, days: DayRange) -> dict[str, int]:
        """Readings without a node or device belong to nobody."""
        nameless = "node_id IS NULL OR device_id IS NULL"
        where = f"({nameless}) AND time >= {_timestamp(days.start)} AND time < {_timestamp(days.end)}"
        number = self._value(f"SELECT count(*) FROM {self.readings} WHERE {where}")
        self._con.raw_sql(f"DELETE FROM {self.readings} WHERE {nameless}")
        return {"readings_without_node_dropped": number} if number else {}

    def add_windows(self, files: Sequence[Opened], columns: WindowColumns, days: DayRange | None) -> dict[str, int]:
        """Windows that have an end after their start; the others are dropped, and counted if they start in `days`."""
        self._con.raw_sql(
            f'CREATE TEMP TABLE {self._windows} (node_id VARCHAR, run VARCHAR, "start" TIMESTAMP, "end" TIMESTAMP)'
        )
        for file in files:
            create_windows(self._con, f"{self._windows}_new", file, columns)
            self._con.raw_sql(f"INSERT INTO {self._windows} FROM {self._windows}_new")
            self._con.raw_sql(f"DROP TABLE {self._windows}_new")
        broken = '("end" IS NULL OR "end" <= "start")'
        here = f'"start" >= {_timestamp(days.start)} AND "start" < {_timestamp(days.end)}' if days else "TRUE"
        number = self._value(f"SELECT count(*) FROM {self._windows} WHERE {broken} AND {here}")
        self._con.raw_sql(f"DELETE FROM {self._windows} WHERE {broken}")
        return {"windows_without_end_dropped": number} if number else {}

    def windows_by_node(self, *, by_node: bool, seen: Sequence[str] | None) -> ibis.Table:
        """Each window on the nodes it is for: those it names, or those whose readings name its run, or all."""
        if by_node:
            return self._con.table(self._windows)
        if seen:
            nodes = f"SELECT DISTINCT * FROM ({' UNION ALL '.join(seen)})"
            how = "JOIN nodes USING (run)"
        else:
            nodes, how = f"SELECT DISTINCT node_id FROM {self.readings}", "CROSS JOIN nodes"
        self._con.raw_sql(f"""
            CREATE TEMP TABLE {self._by_node} AS WITH nodes AS ({nodes})
            SELECT nodes.node_id, w.run, w."start", w."end" FROM {self._windows} AS w {how}
            WHERE nodes.node_id IS NOT NULL""")
        return self._con.table(self._by_node)

    def match_windows(self, seen: Sequence[str] | None) -> tuple[int, int]:
        """How many windows there are, and of how many the readings know the run."""
        number = self._value(f"SELECT count(*) FROM {self._windows}")
        if not seen:
            return number, number
        known = f"SELECT run FROM ({' UNION ALL '.join(seen)})"
        return number, self._value(f"SELECT count(*) FROM {self._windows} WHERE run IN ({known})")

    def look(self, file: Opened, columns: ReadingColumns) -> Finding:
        """What one readable file holds."""
        create_readings(self._con, self.readings)
        try:
            always = (datetime.fromisoformat("1990-01-01T00:00Z"), datetime.fromisoformat("2110-01-01T00:00Z"))
            add_readings(self._con, self.readings, file, columns, "", always)
            number, nodes, first, last, watts = self._con.raw_sql(
                f"SELECT count(*), count(DISTINCT node_id), min(time), max(time), round(median(power_w)) "
                f"FROM {self.readings}"
            ).fetchone()
        finally:
            self._con.raw_sql(f"DROP TABLE IF EXISTS {self.readings}")
        if not number:
            return Finding(False, f"{file.name}: no readings", "Narrow `path` to files that have some.")
        period = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
        return Finding(True, f"{file.name}: {number} readings of {nodes} nodes, {period}, median {watts:.0f} W")

    def drop(self) -> None:
        """Give the memory back."""
        for table in (self.readings, self._windows, self._by_node):
            self._con.raw_sql(f"DROP TABLE IF EXISTS {table}")

    def _value(self, sql: str) -> int:
        return int(self._con.raw_sql(sql).fetchone()[0])


def _days(facts: Iterable[str]) -> set[date]:
    return {date.fromisoformat(day) for day in facts}


def _several(columns: str | list[str] | None) -> tuple[str, ...]:
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _plain(file: SourceFile, step: StepContext) -> Path:
    """The file under a name without wildcards: DuckDB would take `a[1].csv` for a pattern."""
    path = file.fetch(step.folder)
    if not set("*?[") & set(str(path)):
        return path
    link = step.folder / f"file-{next(_serial)}{suffix_of(file.name)}"
    link.symlink_to(path)
    return link


def _timestamp(at: datetime) -> str:
    return f"TIMESTAMP '{at:%Y-%m-%d %H:%M:%S}'"

"""The source `power_files`: its block in site.yaml, which files a day needs, and the rows they make.

What belongs here: configuration and the contract's columns. What does not: file formats (`opening`, `parse`), what one
parse works with (`tables`), what doctor says (`checking`) and the integral (`energy_assets.sources.power`). Serves
`raw/<source>`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial
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
from energy_assets.sources.local_time import TimeZone
from energy_assets.sources.memory import Known, Memory
from energy_assets.sources.opening import (
    Clock,
    DateOrder,
    Opened,
    TimeUnit,
    open_file,
    plain_path,
    suffix_of,
)
from energy_assets.sources.power import GapPolicy
from energy_assets.sources.power_files.checking import said_of_file, said_of_windows, said_together
from energy_assets.sources.power_files.columns import Format, ReadingColumns, WindowColumns
from energy_assets.sources.power_files.kinds import kind_of
from energy_assets.sources.power_files.names import KindIn, NameIn
from energy_assets.sources.power_files.parse import days_of, seen_devices
from energy_assets.sources.power_files.presence import filled
from energy_assets.sources.power_files.readings import Readings
from energy_assets.sources.power_files.tables import Found, Given, Rules, find_energy
from energy_assets.sources.power_files.watts import PowerUnit
from energy_assets.sources.unreadable import days_concerned

DeviceKind = Annotated[str, OneOf(vocabulary.DeviceKind)]
_MEDIA = {".csv": "text/csv", ".csv.gz": "application/gzip", ".parquet": "application/vnd.apache.parquet"}
LATELY = timedelta(days=1)
"""Machines without readings for longer than this, measured from the newest reading, may be gone."""


class Windows(Strict):
    """The file that says when each run began and ended."""

    path: str = Field(description="a file, relative to site.yaml, or a bucket url; a glob may match several")
    run: NameIn = Field(
        "run", validate_default=True, description="column of the run's name, or columns joined by '/', as in `run`"
    )
    start: str = Field("start", description="column: the run's first instant, ISO 8601 or epoch")
    end: str = Field("end", description="column: the first instant after the run")
    time_unit: TimeUnit | None = Field(None, description="of epoch times: s, ms, us, ns")
    node: NameIn | None = Field(None, description="column of the node a window is for; default see the docs")


class PowerFiles(PlacedSource):
    """CSV or Parquet files of power readings, in a folder or a bucket."""

    feeds: ClassVar[Feed] = Feed.ENERGY
    parser_version: ClassVar[str] = "5"
    title: ClassVar[str] = "Files of power readings"
    engine_kind: ClassVar[str] = "csv"

    kind: Literal["power_files"]
    path: str = Field(description="glob of .csv, .csv.gz, .parquet: relative to site.yaml, or s3://, gs://, az://")
    format: Format | None = Field(
        None, description="nvidia_smi: logs of nvidia-smi --query-gpu, whose columns need no names"
    )
    endpoint_url: str | None = Field(None, description="another S3 endpoint, for example a test server")
    time: str | None = Field(None, description="column of the instant: ISO 8601 or epoch; default time")
    time_unit: TimeUnit | None = Field(None, description="of epoch times: s, ms, us, ns")
    timezone: TimeZone | None = Field(
        None, description="IANA name, for example Europe/Berlin, of times that state no offset; default UTC"
    )
    date_order: DateOrder | None = Field(
        None, description="day first or month first, where dates such as 3/4/2026 leave it open"
    )
    node: NameIn = Field(
        description="column of the machine's name, or columns joined by '/'; a constant or the file's path as well"
    )
    device: NameIn | None = Field(None, description="the device on the machine, as `node`; default the machine")
    power_w: str | None = Field(None, description="column of the power; default power_w")
    power_unit: PowerUnit | None = Field(None, description="mW, W, kW or MW of numbers without a unit; default W")
    decimal: Literal[".", ","] | None = Field(None, description="the decimal mark, where a file does not prove it")
    run: NameIn | None = Field(None, description="the run that used the machine, as `node`; becomes workload_id")
    windows: Windows | None = Field(None, description="file of runs' begin and end; what lies outside is idle")
    device_kind: KindIn | None = Field(
        None,
        description="what is metered: gpu, cpu, node …, {column: …} or {from_path: 'regex'}; default node, where no "
        "`device` is named",
    )
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
        if self.confirmed and (self.stated or "node") != "node":
            raise ValueError("`confirmed` is for meters of whole nodes; remove it or set device_kind: node")
        if self.format == "nvidia_smi" and self.timezone is None and self.time_unit is None:
            raise ValueError(
                "nvidia-smi writes the local time of its machine: name its zone, for example timezone: Europe/Berlin, "
                "or timezone: UTC"
            )
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
        given = [
            Given(landed.sha256, Readings.of(opened, self.columns))
            for landed, opened in self._spooled("readings", objects, step)
        ]
        windows = [opened for _, opened in self._spooled("windows", objects, step)]
        found = find_energy(step.con, given, windows, self.rules, days, step.now)
        return Parsed(self._rows(found), found.notes, found.examples)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Each file as a run would read it: readable, which devices, from when to when; do the windows match?"""
        try:
            files, window_files = self._reading_files(step), self._windows_files(step)
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)
            return
        good: list[Readings] = []
        for file in files:
            try:
                readings = self._readings(file, step)
                yield said_of_file(step.con, readings, self.rules)
                good.append(readings)
            except SourceError as error:
                yield Finding(False, error.message, error.remedy)
        if len(good) > 1:
            yield from said_together(step.con, good, self.rules)
        if self.rules.windows:
            yield from said_of_windows(
                step.con,
                [file.name for file in window_files],
                lambda: [self._opened(file, step) for file in window_files],
                good,
                self.rules,
            )

    def observe(self, step: StepContext) -> Iterable[SeenNode]:
        """The machines with readings in the last day that has any, from the files written last.

        Looked into are files written within a day of the newest. Files that cannot be read are for `check` to tell.
        """
        files = self._reading_files(step)
        newest = max(file.last_modified for file in files)
        spans: dict[tuple[str, str], tuple[datetime, datetime]] = {}
        gpus: dict[str, dict[str, datetime]] = defaultdict(dict)
        for file in files:
            if newest - file.last_modified <= LATELY:
                with suppress(MalformedError):
                    for device, begun, ended in seen_devices(step.con, self._readings(file, step)):
                        what = kind_of(device, self.stated, named=self.rules.named, gpus=self.rules.gpus)
                        first, last = spans.get((device.node_id, what), (begun, ended))
                        spans[device.node_id, what] = min(first, begun), max(last, ended)
                        if what == "gpu":
                            hosts = gpus[device.device_id]
                            hosts[device.node_id] = max(hosts.get(device.node_id, ended), ended)
        until = max((last for _, last in spans.values()), default=None)
        # A GPU that moved is where it was read last.
        held: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for gpu, hosts in sorted(gpus.items()):
            for name in (name for name, last in hosts.items() if last == max(hosts.values())):
                held[name] += (gpu,)
        return [
            SeenNode(name, what, first=first.date(), last=last.date(), gpus=held[name] if what == "gpu" else ())
            for (name, what), (first, last) in sorted(spans.items())
            if until and until - last <= LATELY
        ]

    @property
    def stated(self) -> str | None:
        """What all devices are, as site.yaml says it; None where it does not."""
        return self.device_kind.constant if self.device_kind else None

    @property
    def _clock(self) -> Clock:
        return Clock(self.time_unit, self.timezone, self.date_order)

    @property
    def columns(self) -> ReadingColumns:
        """Which columns hold what."""
        return ReadingColumns(
            time=self.time,
            clock=self._clock,
            node=self.node,
            device=self.device,
            run=self.run,
            power_w=self.power_w,
            power_unit=self.power_unit,
            decimal=self.decimal,
            kind=self.device_kind,
            format=self.format,
            joined_s=self.max_gap_s,
        )

    @property
    def rules(self) -> Rules:
        """How readings become energy."""
        windows = None
        if self.windows:
            clock = Clock(self.windows.time_unit, self.timezone, self.date_order)
            windows = WindowColumns(self.windows.start, self.windows.end, clock, self.windows.run, self.windows.node)
        return Rules(
            max_gap_s=self.max_gap_s,
            gap_policy=self.gap_policy,
            max_bridge_s=self.max_bridge_s,
            windows=windows,
            runs_named=self.run is not None,
            stated=self.stated,
            kinds_told=self.device_kind is not None and self.device_kind.constant is None,
            device=self.device,
            gpus=self.format == "nvidia_smi",
            by_run=self.run is not None and bool(set(self.run.columns) & set(self.node.columns)),
        )

    def _options(self) -> dict[str, str] | None:
        return {"endpoint": self.endpoint_url} if self.endpoint_url else None

    def _reading_files(self, step: StepContext) -> list[SourceFile]:
        return list_files(self.path, step.site_folder, self._options())

    def _windows_files(self, step: StepContext) -> list[SourceFile]:
        return list_files(self.windows.path, step.site_folder, self._options()) if self.windows else []

    @property
    def _basis(self) -> dict[str, Any]:
        """What the facts of a file depend on beside its bytes."""
        keys = ("format", "time", "time_unit", "timezone", "date_order", "node", "device", "power_w", "power_unit",
                "decimal", "run", "device_kind")  # fmt: skip
        return {**self.model_dump(mode="json", include=set(keys)), "reach_s": self.rules.looked.total_seconds()}

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
        held = days_of(step.con, self._readings(file, step), self.rules.looked)
        return [day.isoformat() for day in sorted(filled(held))]

    def _opened(self, file: SourceFile, step: StepContext) -> Opened:
        path = plain_path(file.still(step.folder), file.name, step.folder)
        return open_file(step.con, path, file.name, step.folder)

    def _readings(self, file: SourceFile, step: StepContext) -> Readings:
        path = plain_path(file.still(step.folder), file.name, step.folder)
        opened = open_file(step.con, path, file.name, step.folder, padded=self.format is not None)
        return Readings.of(opened, self.columns)

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
        return self._answer(file, "readings", tuple(sorted(concerned)), file.still(step.folder))

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

    def _spooled(self, role: str, objects: Sequence[Landed], step: StepContext) -> Iterator[tuple[Landed, Opened]]:
        padded = self.format is not None and role == "readings"
        for landed in objects:
            if landed.request["role"] == role:
                name = str(landed.request["path"])
                path = step.spool(landed, suffix_of(name))
                yield landed, open_file(step.con, path, name, step.folder, padded=padded)

    def _rows(self, found: Found) -> ibis.Table:
        """The columns of the contract."""
        t = found.energy.rows.inner_join(found.kinds, ["node_id", "device_id"])
        knows_idle = self.run is not None or self.windows is not None
        reserved = t.run.isin(["idle", "all"])
        node, run = ibis.literal("node"), ibis.literal("run")
        whole = t.device_kind == "node"
        tier = ibis.ifelse(whole, 1, 2) if self.confirmed else ibis.literal(2)
        rows = t.mutate(
            day=t.hour.date(),
            device_model=ibis.literal(self.device_model, type="string") if self.device_model else t.model,
            device_uuid=ibis.null("string"),
            share_id=reserved.ifelse(ibis.literal("run:") + t.run, t.run).fill_null(
                t.energy_kwh.isnull().ifelse("all", "idle" if knows_idle else "all")
            ),
            method=ibis.ifelse(whole, "metered_node", "measured_power"),
            quality_tier=t.bridged.ifelse(3, tier).cast("int16"),
            workload_id=(t.runs == 1).ifelse(t.run, ibis.null("string")),
            idle=((t.runs == 0) & t.energy_kwh.notnull()) if knows_idle else ibis.literal(False),
            labels=t.run.isnull().ifelse(
                ibis.map(ibis.array([node]), ibis.array([t.node_id])),
                ibis.map(ibis.array([node, run]), ibis.array([t.node_id, t.run])),
            ),
            raw_sha256=t.origin,
        )
        return rows.select(*(name for name in EnergyReadings.to_schema().columns if name not in PLACE_COLUMNS))


def _days(facts: Iterable[str]) -> set[date]:
    return {date.fromisoformat(day) for day in facts}

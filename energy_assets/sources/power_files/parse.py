"""Files of power readings and of run windows to typed tables, in DuckDB, never row by row in Python.

What belongs here: columns, times and numbers of readings, and what is wrong with them. What does not: how a file is
opened (`opening`), which files a day needs (`source`), what readings that disagree mean (`telling`), and the integral
(`energy_assets.sources.power`).
"""

# ruff: noqa: S608 - table names are made here, column names and values are quoted

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any, Literal

import duckdb

from energy_assets.counting import counted
from energy_assets.sources import csv_text, local_time
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import (
    END_US,
    FIRST_US,
    REMEDY,
    Clock,
    Opened,
    Table,
    header_unit,
    is_number,
    quoted,
    text_sql,
    unreadable,
)
from energy_assets.sources.power_files import nvidia_smi
from energy_assets.sources.power_files.kinds import Device
from energy_assets.sources.power_files.names import Kind, Name, joined
from energy_assets.sources.power_files.torn import NONE_TORN, Torn, without_torn_lines

PowerUnit = Literal["mW", "W", "kW", "MW"]
Format = Literal["nvidia_smi"]

_WATTS = {"mW": "0.001", "W": "1", "kW": "1000", "MW": "1000000"}
_SPELLED = {"w": "W", "watt": "W", "watts": "W", "kw": "kW"}
_SUFFIXES = {**{unit: unit for unit in _WATTS}, "w": "W", "KW": "kW", "Watt": "W", "Watts": "W", "watts": "W"}
"""How cells spell the unit after the number; `mw` could be either of two and is none."""

_EMPTY = ("", "N/A", "[N/A]", "[NOT SUPPORTED]", "[UNKNOWN ERROR]", "[GPU IS LOST]", "[INSUFFICIENT PERMISSIONS]",
          "[GPU REQUIRES RESET]", "ERR!", "NULL", "-")  # fmt: skip
"""What stands in logs where there is no reading, in capitals."""

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_serial = count(1)


@dataclass(frozen=True)
class ReadingColumns:
    """Which columns hold what, as site.yaml says it; `of` says it for one file.

    Attributes:
        time: Column of the instant; None where the format knows it.
        clock: How its times are written.
        node: The machine.
        device: The device on it; None for the machine itself, or where the format knows it.
        run: Who used it; None for nobody known.
        power_w: Column of the power; None where the format knows it.
        power_unit: Of numbers without a unit; None for watts.
        decimal: The decimal mark, where a file does not prove it.
        kind: What is metered; None where names tell it.
        format: Of files that are known by name.
        joined_s: Readings no further apart belong together, for repeated hours.
    """

    time: str | None
    clock: Clock
    node: Name
    device: Name | None
    run: Name | None
    power_w: str | None
    power_unit: PowerUnit | None = None
    decimal: Literal[".", ","] | None = None
    kind: Kind | None = None
    format: Format | None = None
    joined_s: int = 300

    def of(self, table: Table, path: str) -> FileColumns:
        """Which columns of one file hold what.

        Args:
            table: Its header.
            path: Its path or url.

        Raises:
            MalformedError: a column is not there, or the file is of another kind.
        """
        _refuse_totals(table, path)
        if said := nvidia_smi.unread_output(table.names):
            raise MalformedError(
                f"{path}: {said}", f"Write it with `{nvidia_smi.COMMAND}`, or take it out of `path` in site.yaml."
            )
        if self.format == "nvidia_smi":
            return self._of_log(table, path)
        return FileColumns(
            time=table.column(self.time or "time", "time"),
            power=table.column(self.power_w or "power_w", "power_w"),
            node=_found(self.node, table, "node"),
            device=_found(self.device, table, "device") if self.device else None,
            run=_found(self.run, table, "run") if self.run else None,
            kind=_found_kind(self.kind, table) if self.kind else None,
            model=None,
        )

    def _of_log(self, table: Table, path: str) -> FileColumns:
        header = table.names
        device = nvidia_smi.first_of(nvidia_smi.DEVICES, header)
        if not nvidia_smi.is_log(header) or not (device or self.device):
            raise MalformedError(
                f"{path}: is no log of nvidia-smi with timestamp, power.draw and uuid or index in its header; it has "
                + ", ".join(f"'{name}'" for name in header[:12]),
                f"Write it with `{nvidia_smi.COMMAND}`, or take it out of `path` in site.yaml.",
            )
        return FileColumns(
            time=table.column(self.time or nvidia_smi.TIME, "time"),
            power=table.column(self.power_w or nvidia_smi.power_column(header) or "", "power_w"),
            node=_found(self.node, table, "node"),
            device=_found(self.device or Name(columns=(device or "",)), table, "device"),
            run=_found(self.run, table, "run") if self.run else None,
            kind=_found_kind(self.kind, table) if self.kind else None,
            model=nvidia_smi.first_of(nvidia_smi.MODELS, header),
        )


@dataclass(frozen=True)
class FileColumns:
    """The columns of one file, by the names it has for them."""

    time: str
    power: str
    node: Name
    device: Name | None
    run: Name | None
    kind: Kind | None
    model: str | None

    @property
    def by_path(self) -> bool:
        """Whether the path of the file names what its readings are of."""
        return any(name is not None and name.from_path is not None for name in (self.node, self.device))

    @property
    def naming(self) -> set[str]:
        """Columns that say when a reading is and of what."""
        named = [name.columns for name in (self.node, self.device) if name]
        return {self.time, self.power, *(column for columns in named for column in columns)}


@dataclass(frozen=True)
class WindowColumns:
    """Which columns of a file of windows hold what."""

    start: str
    end: str
    clock: Clock
    run: Name
    node: Name | None

    def of(self, table: Table) -> WindowColumns:
        """The same by the names that one file has for them.

        Args:
            table: Its header.

        Raises:
            MalformedError: a column is not there.
        """
        return replace(
            self,
            start=table.column(self.start, "start"),
            end=table.column(self.end, "end"),
            run=_found(self.run, table, "run"),
            node=_found(self.node, table, "node") if self.node else None,
        )


@dataclass(frozen=True)
class Readings:
    """A readable file of readings.

    Attributes:
        file: As it was opened.
        columns: Which of its columns hold what.
        wanted: The same as site.yaml says it.
        torn: Lines that `file` leaves out.
    """

    file: Opened
    columns: FileColumns
    wanted: ReadingColumns
    torn: Torn = NONE_TORN

    @classmethod
    def of(cls, file: Opened, wanted: ReadingColumns) -> Readings:
        """Find the columns in a file.

        Args:
            file: As it was opened.
            wanted: As site.yaml says it.

        Raises:
            MalformedError: a column is not there, or its numbers are of no certain unit, or most of its
                lines are torn.
        """
        columns = wanted.of(file.table, file.name)
        whole, torn = without_torn_lines(file, columns.time, columns.power, wanted.clock)
        found = cls(whole, columns, wanted, torn)
        found._require_unit()
        return found

    @property
    def zone(self) -> str | None:
        """The time zone of times that state no offset; None for UTC."""
        return self.wanted.clock.timezone

    def _require_unit(self) -> None:
        unit = header_unit(self.columns.power)
        if unit is None or self.wanted.power_unit is not None or _SPELLED.get(unit.lower(), unit) == "W":
            return
        raise MalformedError(
            f"{self.file.name}: column '{self.columns.power}' speaks of {unit}, and watts are read",
            f"Say the unit of its numbers in site.yaml: power_unit: {_SPELLED.get(unit.lower(), unit)} "
            "(or mW, W, kW, MW).",
        )

    def selected(self) -> str:
        """SQL for the readings: `node_id`, `device_id`, `run`, `kind`, `model`, `local_us`, `t`, `power` in watts.

        Raises:
            MalformedError: the name of the file does not say what it should.
        """
        columns, path = self.columns, self.file.name
        node = columns.node.sql("node", path)
        local, fixed = self.file.times(columns.time, self.wanted.clock)
        again = f"strlen({quoted(columns.time)}) < {len(columns.time) + 9} AND trim({quoted(columns.time)}) = "
        again += text_sql(columns.time)
        header = f"coalesce({again}, FALSE)" if self.file.types[columns.time] == "VARCHAR" else "FALSE"
        return f"""
            SELECT
                {node} AS node_id, {columns.device.sql("device", path) if columns.device else node} AS device_id,
                {columns.run.sql("run", path) if columns.run else "NULL"} AS run,
                {columns.kind.sql(path) if columns.kind else "NULL"} AS kind,
                {joined((columns.model,)) if columns.model else "NULL"} AS model,
                {local} AS local_us, {fixed} AS t, {self.power()} AS power
            FROM {self.file.relation} WHERE NOT {header}"""

    def power(self, *, lenient: bool = False) -> str:
        """SQL for the power in watts.

        Args:
            lenient: NULL at what is neither a number nor empty, instead of an error.
        """
        column = quoted(self.columns.power)
        factor = _WATTS[self.wanted.power_unit or "W"]
        if self.file.types[self.columns.power] != "VARCHAR":
            return f"CAST({column} AS DOUBLE) * {factor}"
        text = f"replace({column}, ',', '.')" if self._decimal_comma else column
        return f"""
            coalesce(TRY_CAST({text} AS DOUBLE) * {factor}, CASE
                WHEN {column} IS NULL OR {_is_empty(column)} THEN NULL
                WHEN {_with_unit(text)} IS NOT NULL THEN {_with_unit(text)}
                ELSE {"NULL" if lenient else "error('no number')"}
            END)"""

    @property
    def _decimal_comma(self) -> bool:
        return (self.wanted.decimal or self.file.decimal(self.columns.power)) == ","


def _with_unit(text: str) -> str:
    """SQL for `380.67 W` and its like in watts; NULL where a text is none."""
    number = f"TRY_CAST(regexp_extract({text}, '^\\s*([-+0-9.eE]+)\\s*[a-zA-Z]+\\s*$', 1) AS DOUBLE)"
    unit = f"regexp_extract({text}, '([a-zA-Z]+)\\s*$', 1)"
    factors = " ".join(f"WHEN '{spelled}' THEN {_WATTS[of]}" for spelled, of in _SUFFIXES.items())
    return f"({number} * CASE {unit} {factors} END)"


def _is_empty(column: str) -> str:
    listed = ", ".join(text_sql(word) for word in _EMPTY)
    return f"upper(trim({column})) IN ({listed})"


def _refuse_totals(table: Table, path: str) -> None:
    if {"emissions_rate", "energy_consumed", "duration"} <= set(table.names):
        raise MalformedError(
            f"{path}: is CodeCarbon's emissions.csv: its rows are totals of runs so far, not power at an instant, and "
            "make no energy by the hour",
            f"Take it out of `path` and log the power itself while runs go on, for GPUs with `{nvidia_smi.COMMAND}` "
            "and `format: nvidia_smi`.",
        )


def _found(name: Name, table: Table, key: str) -> Name:
    if not name.columns:
        return name
    return Name(columns=tuple(table.column(column, key) for column in name.columns))


def _found_kind(kind: Kind, table: Table) -> Kind:
    return Kind(column=table.column(kind.column, "device_kind")) if kind.column is not None else kind


def days_of(con: Any, readings: Readings, reach: timedelta) -> set[date]:
    """The days for which a file matters: it has readings in them or within `reach` of them, at most a day.

    Args:
        con: An Ibis connection to DuckDB.
        readings: A readable file.
        reach: How far readings matter beyond their own day.

    Raises:
        MalformedError: a time is missing or cannot be right.
    """
    us = reach // timedelta(microseconds=1)
    with timed_readings(con, readings) as (table, spare_us):
        sql = f"""
            SELECT DISTINCT (t - {us + spare_us}) // {_DAY_US}, (t + {us + spare_us}) // {_DAY_US}
            FROM {table}"""
        rows = con.raw_sql(sql).fetchall()
    return {_EPOCH + timedelta(days=number) for first, last in rows for number in range(first, last + 1)}


def create_readings(con: Any, table: str) -> None:
    """An empty table for `add_readings`.

    Args:
        con: An Ibis connection to DuckDB.
        table: The table's name.
    """
    con.raw_sql(f"""
        CREATE TEMP TABLE {table}
        (node_id VARCHAR, device_id VARCHAR, run VARCHAR, kind VARCHAR, model VARCHAR, time TIMESTAMP, power_w DOUBLE,
        clock VARCHAR, origin VARCHAR)""")


def add_readings(con: Any, table: str, readings: Readings, origin: str, span: tuple[datetime, datetime]) -> None:
    """Append the readings of a file within a half-open stretch of time; `origin` names its bytes.

    Args:
        con: An Ibis connection to DuckDB.
        table: A table of `create_readings`.
        readings: A readable file.
        origin: The sha256 of the bytes.
        span: First instant and the first after, UTC.

    Raises:
        MalformedError: a time is missing or cannot be right, or a power is no number.
    """
    start, end = (round(edge.timestamp()) * 1_000_000 for edge in span)
    with timed_readings(con, readings) as (timed, _):
        con.raw_sql(f"""
            INSERT INTO {table}
            SELECT node_id, device_id, run, kind, model, make_timestamp(t), power, clock, {text_sql(origin)}
            FROM {timed} WHERE t >= {start} AND t < {end}""")


@contextmanager
def timed_readings(con: Any, readings: Readings) -> Iterator[tuple[str, int]]:
    """The readings with their instants `t`, and how far these may still be wrong in microseconds.

    Args:
        con: An Ibis connection to DuckDB.
        readings: A readable file.

    Raises:
        MalformedError: a time is missing or cannot be right, or a power is no number.
    """
    selected = readings.selected()
    placed = f"power_placed_{next(_serial)}"
    try:
        if readings.zone is None:
            yield f"(SELECT * EXCLUDE (local_us), NULL AS clock FROM ({selected}))", 0
        else:
            with local_time.in_order(con):
                con.raw_sql(f"""
                    CREATE TEMP TABLE {placed} AS
                    SELECT row_number() OVER () AS seq, *, NULL::VARCHAR AS clock FROM ({selected})""")
            local_time.placed(con, placed, readings.zone, readings.wanted.joined_s * 1_000_000)
            yield placed, 0
    except duckdb.Error as error:
        raise _diagnosed(con, readings, error) from error
    finally:
        con.raw_sql(f"DROP TABLE IF EXISTS {placed}")


def nodes_of_runs(readings: Readings) -> str:
    """SQL for the runs each node was seen in, over the whole file.

    Args:
        readings: A readable file.
    """
    columns, path = readings.columns, readings.file.name
    run = columns.run.sql("run", path) if columns.run else "NULL"
    return f"SELECT DISTINCT {columns.node.sql('node', path)} AS node_id, {run} AS run FROM {readings.file.relation}"


def seen_devices(con: Any, readings: Readings) -> list[tuple[Device, datetime, datetime]]:
    """Each device of a file with the instants of its first and last reading, UTC without a zone.

    Args:
        con: An Ibis DuckDB connection.
        readings: A readable file.

    Raises:
        MalformedError: a time is missing or cannot be right.
    """
    with timed_readings(con, readings) as (table, _):
        rows = con.raw_sql(f"""
            SELECT node_id, device_id, min(kind), min(model), make_timestamp(min(t)), make_timestamp(max(t))
            FROM {table} GROUP BY ALL HAVING node_id IS NOT NULL AND device_id IS NOT NULL ORDER BY ALL""").fetchall()
    return [(Device(*row[:4]), *row[4:]) for row in rows]


def create_windows(con: Any, table: str, file: Opened, wanted: WindowColumns) -> None:
    """A table of `node_id` (NULL for every node), `run`, `start` and `end` (NULL where the file has none).

    Args:
        con: An Ibis connection to DuckDB.
        table: The table's name.
        file: An open file of windows.
        wanted: Which columns hold what.

    Raises:
        MalformedError: a run or start is missing, a time cannot be right, or a local one is not of one instant.
    """
    columns = wanted.of(file.table)
    start, end = (file.instant(column, wanted.clock) for column in (columns.start, columns.end))
    sql = f"""
        CREATE TEMP TABLE {table} AS
        SELECT
            {columns.node.sql("node", file.name) if columns.node else "NULL::VARCHAR"} AS node_id,
            coalesce({columns.run.sql("run", file.name)}, error('no run')) AS run,
            make_timestamp({start}) AS "start",
            CASE WHEN {quoted(columns.end)} IS NOT NULL THEN make_timestamp({end}) END AS "end"
        FROM {file.relation}"""
    try:
        con.raw_sql(sql)
    except duckdb.Error as error:
        for column in (columns.start, columns.end):
            _require_times(con, file, column, wanted.clock, optional=column == columns.end)
        if "no time" in str(error):
            raise MalformedError(
                f"{file.name}: a window begins or ends at a time that clocks in {wanted.clock.timezone} show twice or "
                "never",
                "Write it with its offset, such as 2025-10-26T02:30:00+01:00.",
            ) from error
        if "no run" in str(error):
            named = ", ".join(columns.run.columns)
            raise MalformedError(f"{file.name}: a window has no run ({named})", REMEDY) from error
        raise unreadable(file.path, file.name, error) from error


def _diagnosed(con: Any, readings: Readings, error: duckdb.Error) -> MalformedError:
    """The reason why a query failed: the first column with something that cannot be read."""
    file = readings.file
    try:
        _require_times(con, file, readings.columns.time, readings.wanted.clock)
        _require_numbers(con, readings)
    except MalformedError as found:
        return found
    except duckdb.Error as other:
        return unreadable(file.path, file.name, other)
    return unreadable(file.path, file.name, error)


def _require_times(con: Any, file: Opened, column: str, clock: Clock, optional: bool = False) -> None:
    raw, unit = f"CAST({quoted(column)} AS VARCHAR)", clock.unit
    time = file.instant(column, clock, lenient=True)
    header = f"coalesce(trim({raw}) = {text_sql(column)}, FALSE)"
    missing = "FALSE" if optional else f"{quoted(column)} IS NULL"
    bad = f"(NOT {header} AND ({missing} OR ({quoted(column)} IS NOT NULL AND {time} IS NULL)))"
    far = f"({time} NOT BETWEEN {FIRST_US} AND {END_US - 1})"
    sql = f"""
        SELECT count(*) FILTER ({bad}), min({raw}) FILTER ({bad}), count(*) FILTER ({far}), min({raw}) FILTER ({far})
        FROM {file.relation}"""
    bad_rows, bad_example, far_rows, far_example = con.raw_sql(sql).fetchone()
    units = "s, ms, us or ns since 1970"
    if far_rows or (bad_rows and bad_example and unit and is_number(bad_example)):
        was = f"is '{unit}'" if unit else "is not set"
        raise MalformedError(
            f"{file.name}: column '{column}' has {counted(far_rows or bad_rows, 'time')} before 2000 or after 2100, "
            f"for example {far_example or bad_example}; `time_unit` {was} and is probably wrong",
            f"Set `time_unit` in site.yaml to what the file holds: {units}.",
        )
    if bad_rows:
        example = f"for example '{bad_example}'" if bad_example else "they are empty"
        said = csv_text.said_of_time(bad_example) if bad_example else ""
        hint = f"set `time_unit` ({units})" if bad_example and is_number(bad_example) else "write ISO 8601 in UTC"
        raise MalformedError(
            f"{file.name}: column '{column}' has {counted(bad_rows, 'time')} that cannot be read, {example}"
            + (f": {said}" if said else ""),
            f"Correct the file, or {hint}.",
        )


def _require_numbers(con: Any, readings: Readings) -> None:
    file, column = readings.file, readings.columns.power
    name = quoted(column)
    if file.types[column] != "VARCHAR":
        bad = f"{name} IS NOT NULL AND TRY_CAST({name} AS DOUBLE) IS NULL"
    else:
        header = f"trim({quoted(readings.columns.time)}) = {text_sql(readings.columns.time)}"
        header = header if file.types[readings.columns.time] == "VARCHAR" else "FALSE"
        bad = (
            f"{name} IS NOT NULL AND NOT coalesce({header}, FALSE) AND NOT {_is_empty(name)} "
            f"AND ({readings.power(lenient=True)}) IS NULL"
        )
    sql = f"SELECT count(*), min(CAST({name} AS VARCHAR)) FROM {file.relation} WHERE {bad}"
    rows, example = con.raw_sql(sql).fetchone()
    if rows:
        said = csv_text.said_of_number(example)
        raise MalformedError(
            f"{file.name}: column '{column}' has {counted(rows, 'value that is', 'values that are')} no number, "
            f"for example '{example}'" + (f": {said}" if said else ""),
            "Write watts as plain numbers with a point, and leave the field empty where there is no reading.",
        )

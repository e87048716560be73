"""Files of power readings and of run windows to typed tables, in DuckDB, never row by row in Python.

What belongs here: formats (CSV, gzipped CSV, Parquet), columns, times and numbers, and what is wrong with them.
What does not: which files a day needs (`source`), and the integral (`energy_assets.sources.power`).
"""

# ruff: noqa: S608 - table names are made here, column names and values are quoted

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb

from energy_assets.sources.errors import MalformedError

TimeUnit = Literal["s", "ms", "us", "ns"]

SUFFIXES = (".csv", ".csv.gz", ".parquet")
JOINT = "/"
"""Between the values of a name that several columns make up."""

_CHUNK = 1 << 20
_DELIMITERS = ",;\t|"
_DAY_US = 86_400_000_000
_FIRST_US = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_END_US = int(datetime(2101, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_EPOCH = date(1970, 1, 1)
_WHOLE_TO_US = {"s": "* 1000000", "ms": "* 1000", "us": "", "ns": "// 1000"}
_BROKEN_TO_US = {"s": "1e6", "ms": "1e3", "us": "1", "ns": "1e-3"}
"""Epoch times with a fraction go through doubles, which hold them to 0.2 microseconds until 2100; DuckDB needs
30 seconds to make decimal(38, 9) of a million texts."""

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_REMEDY = "Correct the file and put it back, or take it out of `path` in site.yaml."


@dataclass(frozen=True)
class ReadingColumns:
    """Which columns hold what; several columns make up one name, joined by `/`."""

    time: str
    time_unit: TimeUnit | None
    node: tuple[str, ...]
    device: tuple[str, ...]
    run: tuple[str, ...]
    power_w: str

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The columns of each key of site.yaml."""
        single = {"time": (self.time,), "power_w": (self.power_w,)}
        return {**single, "node": self.node, "device": self.device, "run": self.run}


@dataclass(frozen=True)
class WindowColumns:
    """The same for the file of run windows."""

    start: str
    end: str
    time_unit: TimeUnit | None
    run: tuple[str, ...]
    node: tuple[str, ...]

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The columns of each key of site.yaml."""
        return {"run": self.run, "start": (self.start,), "end": (self.end,), "node": self.node}


@dataclass(frozen=True)
class Opened:
    """A readable file: how DuckDB reads it, and the type of each column."""

    name: str
    path: Path
    relation: str
    types: Mapping[str, str]

    def time_us(self, column: str, unit: TimeUnit | None, *, lenient: bool = False) -> str:
        """SQL for a time as epoch microseconds; strict SQL raises at what cannot be read, lenient gives NULL.

        Args:
            column: The file's column of times.
            unit: Of times that are numbers; None for text and timestamps.
            lenient: NULL instead of an error.
        """
        kind, name = self.types[column], _quoted(column)
        cast = "TRY_CAST" if lenient else "CAST"
        if kind.startswith(("TIMESTAMP", "DATE")):
            return f"epoch_us({name}::TIMESTAMPTZ)"
        if kind == "VARCHAR" and unit is None:
            return f"epoch_us({cast}({name} AS TIMESTAMPTZ))"
        if unit is None:
            raise MalformedError(
                f"{self.name}: column '{column}' holds numbers, which could be of any unit",
                "Set `time_unit` in site.yaml: s, ms, us or ns since 1970.",
            )
        whole = f"{cast}({cast}({name} AS HUGEINT) {_WHOLE_TO_US[unit]} AS BIGINT)"
        broken = f"{cast}(round({cast}({name} AS DOUBLE) * {_BROKEN_TO_US[unit]}) AS BIGINT)"
        if kind == "VARCHAR":
            return f"CASE WHEN contains({name}, '.') THEN {broken} ELSE {whole} END"
        return whole if kind in _INTEGERS else broken

    def plausible_us(self, column: str, unit: TimeUnit | None) -> str:
        """The same, but times that are missing or outside 2000 to 2100 raise.

        Args:
            column: The file's column of times.
            unit: Of times that are numbers; None for text and timestamps.
        """
        time = self.time_us(column, unit)
        return f"CASE WHEN {time} BETWEEN {_FIRST_US} AND {_END_US - 1} THEN {time} ELSE error('no time') END"


def open_file(con: Any, path: Path, name: str, keys: Mapping[str, Sequence[str]]) -> Opened:
    """Check that a file is whole and has the columns that site.yaml names.

    Args:
        con: An Ibis connection to DuckDB.
        path: The local file.
        name: What messages call it.
        keys: By key of site.yaml: the columns it names.

    Raises:
        MalformedError: an unknown format, a truncated file, a missing column.
    """
    con.raw_sql("SET TimeZone = 'UTC'")  # only then does DuckDB read a time without an offset as UTC
    suffix = suffix_of(name)
    relation = f"read_parquet({_text(path)})" if suffix == ".parquet" else _csv(path, name, suffix == ".csv.gz")
    try:
        described = con.raw_sql(f"DESCRIBE FROM {relation}").fetchall()
    except duckdb.Error as error:
        raise unreadable(path, name, error) from error
    opened = Opened(name, path, relation, {row[0]: row[1] for row in described})
    for key, columns in keys.items():
        for column in columns:
            if column not in opened.types:
                there = ", ".join(f"'{other}'" for other in opened.types)
                raise MalformedError(
                    f"{name}: has no column '{column}'; it has {there}",
                    f"Correct `{key}` of this source in site.yaml, or the header of the file.",
                )
    return opened


def suffix_of(name: str) -> str:
    """The suffix that tells the format.

    Raises:
        MalformedError: none of those that can be read.
    """
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return suffix
    raise MalformedError(
        f"{name}: a format that cannot be read", f"Files must end in {', '.join(SUFFIXES)}; narrow `path` to them."
    )


def days_of(con: Any, file: Opened, columns: ReadingColumns, reach: timedelta) -> set[date]:
    """The days for which a file matters: it has readings in them or within `reach` of them, at most a day.

    Args:
        con: An Ibis connection to DuckDB.
        file: An open file of readings.
        columns: Which columns hold what.
        reach: How far readings matter beyond their own day.

    Raises:
        MalformedError: a time is missing or cannot be right.
    """
    us = reach // timedelta(microseconds=1)
    sql = f"""
        SELECT DISTINCT (t - {us}) // {_DAY_US}, t // {_DAY_US}, (t + {us}) // {_DAY_US}
        FROM (SELECT {file.plausible_us(columns.time, columns.time_unit)} AS t FROM {file.relation})"""
    try:
        rows = con.raw_sql(sql).fetchall()
    except duckdb.Error as error:
        raise _diagnosed(con, file, columns, error) from error
    return {_EPOCH + timedelta(days=number) for row in rows for number in row}


def create_readings(con: Any, table: str) -> None:
    """An empty table for `add_readings`.

    Args:
        con: An Ibis connection to DuckDB.
        table: The table's name.
    """
    con.raw_sql(f"""
        CREATE TEMP TABLE {table}
        (node_id VARCHAR, device_id VARCHAR, run VARCHAR, time TIMESTAMP, power_w DOUBLE, origin VARCHAR)""")


def add_readings(
    con: Any, table: str, file: Opened, columns: ReadingColumns, origin: str, span: tuple[datetime, datetime]
) -> None:
    """Append the readings of a file within a half-open stretch of time; `origin` names its bytes.

    Args:
        con: An Ibis connection to DuckDB.
        table: A table of `create_readings`.
        file: An open file of readings.
        columns: Which columns hold what, and in which unit.
        origin: The sha256 of the bytes.
        span: First instant and the first after, UTC.

    Raises:
        MalformedError: a time is missing or cannot be right, or a power is no number.
    """
    start, end = (round(edge.timestamp()) * 1_000_000 for edge in span)
    node = _joined(columns.node)
    sql = f"""
        INSERT INTO {table}
        SELECT node_id, device_id, run, make_timestamp(t), CAST(power AS DOUBLE), {_text(origin)}
        FROM (
            SELECT
                {node} AS node_id, {_joined(columns.device) if columns.device else node} AS device_id,
                {_joined(columns.run)} AS run, {file.plausible_us(columns.time, columns.time_unit)} AS t,
                {_quoted(columns.power_w)} AS power
            FROM {file.relation}
        )
        WHERE t >= {start} AND t < {end}"""
    try:
        con.raw_sql(sql)
    except duckdb.Error as error:
        raise _diagnosed(con, file, columns, error) from error


def nodes_of_runs(file: Opened, columns: ReadingColumns) -> str:
    """SQL for the runs each node was seen in, over the whole file.

    Args:
        file: An open file of readings.
        columns: Which columns hold what.
    """
    return f"SELECT DISTINCT {_joined(columns.node)} AS node_id, {_joined(columns.run)} AS run FROM {file.relation}"


def last_readings(con: Any, file: Opened, columns: ReadingColumns) -> list[tuple[str, datetime]]:
    """Each machine of a file with the instant of its last reading, UTC without a zone.

    Args:
        con: An Ibis DuckDB connection.
        file: The opened file.
        columns: Which of its columns name time, machine and power.

    Raises:
        MalformedError: a time is missing or cannot be right.
    """
    sql = f"""
        SELECT {_joined(columns.node)} AS node_id,
            make_timestamp(max({file.plausible_us(columns.time, columns.time_unit)}))
        FROM {file.relation} GROUP BY ALL HAVING node_id IS NOT NULL"""
    try:
        found: list[tuple[str, datetime]] = con.raw_sql(sql).fetchall()
    except duckdb.Error as error:
        raise _diagnosed(con, file, columns, error) from error
    return found


def create_windows(con: Any, table: str, file: Opened, columns: WindowColumns) -> None:
    """A table of `node_id` (NULL for every node), `run`, `start` and `end` (NULL where the file has none).

    Args:
        con: An Ibis connection to DuckDB.
        table: The table's name.
        file: An open file of windows.
        columns: Which columns hold what.

    Raises:
        MalformedError: a run or start is missing, or a time cannot be right.
    """
    start = file.plausible_us(columns.start, columns.time_unit)
    end = file.plausible_us(columns.end, columns.time_unit)
    sql = f"""
        CREATE TEMP TABLE {table} AS
        SELECT
            {_joined(columns.node)} AS node_id, coalesce({_joined(columns.run)}, error('no run')) AS run,
            make_timestamp({start}) AS "start",
            CASE WHEN {_quoted(columns.end)} IS NOT NULL THEN make_timestamp({end}) END AS "end"
        FROM {file.relation}"""
    try:
        con.raw_sql(sql)
    except duckdb.Error as error:
        for column in (columns.start, columns.end):
            _require_times(con, file, column, columns.time_unit, optional=column == columns.end)
        if "no run" in str(error):
            missing = MalformedError(f"{file.name}: a window has no run ({', '.join(columns.run)})", _REMEDY)
            raise missing from error
        raise unreadable(file.path, file.name, error) from error


def unreadable(path: Path, name: str, error: Exception) -> MalformedError:
    """What DuckDB says of a file, on one line and without the local path.

    Args:
        path: The local file.
        name: What the message calls it.
        error: As DuckDB raised it.
    """
    said = " ".join(str(error).replace(str(path), name).split())[:300]
    return MalformedError(f"{name}: cannot be read ({said})", _REMEDY)


def _diagnosed(con: Any, file: Opened, columns: ReadingColumns, error: duckdb.Error) -> MalformedError:
    """The reason why a query failed: the first column with something that cannot be read."""
    try:
        _require_times(con, file, columns.time, columns.time_unit)
        _require_numbers(con, file, columns.power_w)
    except MalformedError as found:
        return found
    except duckdb.Error as other:
        return unreadable(file.path, file.name, other)
    return unreadable(file.path, file.name, error)


def _require_times(con: Any, file: Opened, column: str, unit: TimeUnit | None, optional: bool = False) -> None:
    raw = f"CAST({_quoted(column)} AS VARCHAR)"
    time = file.time_us(column, unit, lenient=True)
    missing = "FALSE" if optional else f"{_quoted(column)} IS NULL"
    bad = f"({missing} OR ({_quoted(column)} IS NOT NULL AND {time} IS NULL))"
    far = f"({time} NOT BETWEEN {_FIRST_US} AND {_END_US - 1})"
    sql = f"""
        SELECT count(*) FILTER ({bad}), min({raw}) FILTER ({bad}), count(*) FILTER ({far}), min({raw}) FILTER ({far})
        FROM {file.relation}"""
    bad_rows, bad_example, far_rows, far_example = con.raw_sql(sql).fetchone()
    units = "s, ms, us or ns since 1970"
    if far_rows or (bad_rows and bad_example and unit and _is_number(bad_example)):
        was = f"is '{unit}'" if unit else "is not set"
        raise MalformedError(
            f"{file.name}: column '{column}' has {far_rows or bad_rows} times before 2000 or after 2100, for example "
            f"{far_example or bad_example}; `time_unit` {was} and is probably wrong",
            f"Set `time_unit` in site.yaml to what the file holds: {units}.",
        )
    if bad_rows:
        example = f"for example '{bad_example}'" if bad_example else "they are empty"
        hint = f"set `time_unit` ({units})" if bad_example and _is_number(bad_example) else "write ISO 8601 in UTC"
        raise MalformedError(
            f"{file.name}: column '{column}' has {bad_rows} times that cannot be read, {example}",
            f"Correct the file, or {hint}.",
        )


def _require_numbers(con: Any, file: Opened, column: str) -> None:
    name = _quoted(column)
    bad = f"{name} IS NOT NULL AND TRY_CAST({name} AS DOUBLE) IS NULL"
    sql = f"SELECT count(*), min(CAST({name} AS VARCHAR)) FROM {file.relation} WHERE {bad}"
    rows, example = con.raw_sql(sql).fetchone()
    if rows:
        raise MalformedError(
            f"{file.name}: column '{column}' has {rows} values that are no number, for example '{example}'",
            "Write watts as plain numbers with a point, and leave the field empty where there is no reading.",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _csv(path: Path, name: str, packed: bool) -> str:
    """SQL that reads a CSV file, all columns as text.

    The header alone decides on columns and delimiter: DuckDB's own guess takes 80 ms a file and, where one row is
    too short, sees a different delimiter instead of a broken file.
    """
    header = _unpacked_header(path, name) if packed else _first_line(path)
    delimiter = max(_DELIMITERS, key=lambda mark: header.count(mark.encode()))
    columns = next(csv.reader([header.decode("utf-8-sig", "replace")], delimiter=delimiter), [])
    if not columns:
        raise MalformedError(f"{name}: is empty, it has not even a header", _REMEDY)
    types = ", ".join(f"{_text(column)}: 'VARCHAR'" for column in columns)
    return (
        f"read_csv({_text(path)}, auto_detect = false, header = true, columns = {{{types}}}, "
        f"delim = {_text(delimiter)}, quote = '\"', escape = '\"', compression = '{'gzip' if packed else 'none'}')"
    )


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline(_CHUNK)


def _unpacked_header(path: Path, name: str) -> bytes:
    """The first line of a gzip file, read to its end: DuckDB takes the part before a cut for the whole file."""
    try:
        with gzip.open(path, "rb") as file:
            header = file.readline(_CHUNK)
            while file.read(_CHUNK):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise MalformedError(f"{name}: the gzip file is truncated or damaged ({error})", _REMEDY) from error
    return header


def _joined(columns: Sequence[str]) -> str:
    """SQL for a name made of columns; NULL where one of them is missing or empty."""
    parts = [f"nullif(CAST({_quoted(column)} AS VARCHAR), '')" for column in columns]
    return f" || '{JOINT}' || ".join(parts) or "NULL"


def _quoted(column: str) -> str:
    doubled = column.replace('"', '""')
    return f'"{doubled}"'


def _text(value: object) -> str:
    doubled = str(value).replace("'", "''")
    return f"'{doubled}'"

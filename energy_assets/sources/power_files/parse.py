"""Files of power readings and of run windows to typed tables, in DuckDB, never row by row in Python.

What belongs here: rows with their instants. What does not: what one row says (`readings`), what is wrong with cells
(`cells`), which files a day needs (`source`), what readings that disagree mean (`telling`), and the integral
(`energy_assets.sources.power`).
"""

# ruff: noqa: S608 - table names are made here, column names and values are quoted

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import duckdb

from energy_assets.sources import local_time
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import REMEDY, Opened, quoted, text_sql, unreadable
from energy_assets.sources.power_files.cells import diagnosed, require_times
from energy_assets.sources.power_files.columns import WindowColumns
from energy_assets.sources.power_files.kinds import Device
from energy_assets.sources.power_files.readings import Readings

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_serial = count(1)


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
        raise diagnosed(con, readings, error) from error
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
            require_times(con, file, column, wanted.clock, optional=column == columns.end)
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

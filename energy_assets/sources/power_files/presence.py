"""Hours in which a device was known and nothing was read: rows without energy, so that coverage falls.

What belongs here: from when to when files know a device. What does not: the energy of hours with readings
(`energy_assets.sources.power`). The rule is that of gauges in Prometheus (`prometheus.readings`): a device that was
read is known until the end of that day, and from there on for as long as readings come again within `LONGEST`.
"""

# ruff: noqa: S608 - table names are made here

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from energy_assets.counting import counted
from energy_assets.periods import DayRange
from energy_assets.sources import local_time
from energy_assets.sources.opening import text_sql
from energy_assets.sources.power import SENTINEL_W
from energy_assets.sources.power_files.overlaps import device_said
from energy_assets.sources.power_files.parse import timed_readings
from energy_assets.sources.power_files.readings import Readings

LONGEST = 31
"""Days from one with readings to the next with readings within which a device is known and unread. What is silent for
longer was put away; and clocks that start in another year (2001, say) do not make years of unknown hours."""

BETWEEN, ENDED = "hours_between_readings_unread", "hours_after_the_last_reading"
"""Notes: something is missing between readings; after the last one a machine may be off, or its log not yet copied."""


def filled(days: set[date]) -> set[date]:
    """The days of a file with those between them, as far as its devices are known there.

    Args:
        days: On which it has readings.
    """
    ordered = sorted(days)
    between = {
        one + timedelta(days=number)
        for one, other in pairwise(ordered)
        if (other - one).days <= LONGEST
        for number in range(1, (other - one).days)
    }
    return days | between


def create_presence(con: Any, table: str) -> None:
    """An empty table for `add_presence`.

    Args:
        con: An Ibis connection to DuckDB.
        table: The table's name.
    """
    con.raw_sql(f"""
        CREATE TEMP TABLE {table}
        (node_id VARCHAR, device_id VARCHAR, day DATE, first TIMESTAMP, last TIMESTAMP, kind VARCHAR, model VARCHAR,
        origin VARCHAR)""")


def add_presence(con: Any, table: str, readings: Readings, origin: str) -> None:
    """Append on which days a file has readings of each device, and the first and last instant of them.

    Args:
        con: An Ibis connection to DuckDB.
        table: A table of `create_presence`.
        readings: A readable file.
        origin: The sha256 of the bytes.

    Raises:
        MalformedError: a time is missing or cannot be right, or a power is no number.
    """
    with timed_readings(con, readings) as (timed, _):
        con.raw_sql(f"""
            INSERT INTO {table}
            SELECT node_id, device_id, make_timestamp(t)::DATE AS day, make_timestamp(min(t)), make_timestamp(max(t)),
                min(kind), min(model), {text_sql(origin)}
            FROM {timed}
            WHERE node_id IS NOT NULL AND device_id IS NOT NULL AND power > 0 AND power <= {SENTINEL_W}
                AND clock IS DISTINCT FROM '{local_time.NEVER}'
            GROUP BY node_id, device_id, day""")


def create_known_hours(
    con: Any, table: str, presence: str, days: DayRange | None, until: datetime, *, stays: bool
) -> None:
    """A table of the hours in which devices are known.

    Its columns are `node_id`, `device_id`, `hour`, `ended` (the hour begins after the last reading, or is that of it),
    `origin`, `kind` and `model`.

    Args:
        con: An Ibis connection to DuckDB.
        table: Its name.
        presence: A table of `create_presence`.
        days: Only these; None for all.
        until: No later hour, for the day may not be over.
        stays: Whether devices are still there after their last reading; not where they are named after runs.
    """
    inside = "TRUE"
    if days is not None:
        inside = f"hour >= TIMESTAMP '{days.start:%Y-%m-%d}' AND hour < TIMESTAMP '{days.end:%Y-%m-%d}'"
    con.raw_sql(f"""
        CREATE TEMP TABLE {table} AS
        WITH daily AS (
            SELECT node_id, device_id, day, min(first) AS first, max(last) AS last, min(origin) AS origin,
                min(kind) AS kind, min(model) AS model
            FROM {presence} GROUP BY node_id, device_id, day
        ),
        spans AS (
            SELECT *, date_trunc('hour', first) AS begins,
                CASE WHEN lead(day) OVER device - day <= {LONGEST} THEN date_trunc('hour', lead(first) OVER device)
                ELSE day + INTERVAL 1 DAY END AS ends,
                lead(day) OVER device - day <= {LONGEST} AS again
            FROM daily WINDOW device AS (PARTITION BY node_id, device_id ORDER BY day)
        )
        SELECT node_id, device_id, hour, NOT coalesce(again, FALSE) AND hour >= date_trunc('hour', last) AS ended,
            origin, kind, model
        FROM (SELECT *, unnest(range(begins, ends, INTERVAL 1 HOUR)) AS hour FROM spans)
        WHERE {inside} AND ({str(stays).upper()} OR NOT ended)
            AND hour + INTERVAL 1 HOUR <= TIMESTAMP '{until:%Y-%m-%d %H:%M:%S}'""")


def with_unread_hours(con: Any, table: str, rows: str, known: str) -> tuple[dict[str, int], dict[str, list[str]]]:
    """A table of the rows of `hourly_energy` and one without energy for each known hour that has none.

    Args:
        con: An Ibis connection to DuckDB.
        table: Its name.
        rows: The rows of `hourly_energy`.
        known: A table of `create_known_hours`.

    Returns:
        How many stretches of hours of devices were unread between readings and after the last one, by the name of the
        note; and a line for each of them.
    """
    con.raw_sql(f"""
        CREATE TEMP TABLE {table} AS
        WITH unread AS (FROM {known} ANTI JOIN {rows} USING (node_id, device_id, hour))
        FROM {rows}
        UNION ALL BY NAME
        SELECT node_id, device_id, hour::TIMESTAMP AS hour, NULL::VARCHAR AS run, 0::SMALLINT AS runs,
            NULL::DECIMAL(18, 9) AS energy_kwh, 0::DECIMAL(18, 9) AS usage_hours, 0::DECIMAL(9, 6) AS coverage,
            FALSE AS bridged, origin
        FROM unread
        ORDER BY node_id, device_id, hour, run""")
    found = con.raw_sql(f"""
        SELECT ended, node_id, device_id, min(hour), max(hour) + INTERVAL 1 HOUR, count(*) FROM (
            SELECT node_id, device_id, hour, ended,
                hour - to_hours(row_number() OVER (PARTITION BY ended, node_id, device_id ORDER BY hour)) AS stretch
            FROM {known} ANTI JOIN {rows} USING (node_id, device_id, hour)
        ) GROUP BY ended, node_id, device_id, stretch ORDER BY ALL""").fetchall()
    numbers: dict[str, int] = {}
    said: dict[str, list[str]] = {}
    for ended, node, device, first, last, number in found:
        note = ENDED if ended else BETWEEN
        numbers[note] = numbers.get(note, 0) + 1
        stretch = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC ({counted(number, 'hour')})"
        said.setdefault(note, []).append(f"{device_said(node, device)}: {stretch}")
    return numbers, said

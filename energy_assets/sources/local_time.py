"""Local clock time to UTC, in DuckDB: the repeated hour of autumn by the order of a file, the missing hour of spring.

What belongs here: what a time zone's clock shows when, and which pass of a repeated hour a line of a file belongs to.
What does not: reading a time from a cell (`csv_text`, the parsers). All arithmetic is in microseconds since 1970.
"""

# ruff: noqa: S608 - table names are made here, values are numbers

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator

_SECOND_US = 1_000_000
_HOUR_US = 3600 * _SECOND_US
_FIRST, _END = datetime(1999, 12, 1, tzinfo=UTC), datetime(2101, 2, 1, tzinfo=UTC)

UNRESOLVED = "unresolved"
"""A time within a repeated hour of which the file does not tell which pass it is of; taken as the first."""
NEVER = "never"
"""A time that the zone's clocks never showed."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(available_timezones())
        near = difflib.get_close_matches(name, known, 1, 0.5) or [zone for zone in known if zone.endswith(f"/{name}")]
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{name} is no time zone of the IANA database, such as Europe/Berlin or UTC{hint}") from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]
"""The name of a time zone in the IANA database."""


def this_machine() -> str:
    """The time zone of the machine this runs on; UTC where it does not say.

    What is looked at: `TZ`, then /etc/timezone, then the link /etc/localtime.
    """
    link = Path("/etc/localtime")
    named = Path("/etc/timezone")
    guesses = [
        os.environ.get("TZ", "").lstrip(":"),
        named.read_text().strip() if named.is_file() else "",
        str(link.resolve()).rpartition("zoneinfo/")[2] if link.exists() else "",
    ]
    for name in filter(None, guesses):
        with suppress(ValueError):
            return _known_zone(name).replace("Etc/UTC", "UTC")
    return "UTC"


@dataclass(frozen=True)
class Change:
    """One change of a zone's offset from UTC.

    Attributes:
        start_us: The first clock time that the change repeats or skips.
        end_us: The first clock time after those.
        before_us: Offset until the change, clock minus UTC.
        after_us: Offset from the change on.
    """

    start_us: int
    end_us: int
    before_us: int
    after_us: int

    @property
    def repeats(self) -> bool:
        """Whether clocks go back, so that they show the times in between twice."""
        return self.after_us < self.before_us


@cache
def changes(zone: str) -> tuple[Change, ...]:
    """Every change of a zone's offset from 2000 to 2100, in order.

    Args:
        zone: A name of the IANA database.
    """
    clock, found = ZoneInfo(zone), []
    at, step = _FIRST, timedelta(days=1)
    while at < _END:
        if _offset(at, clock) != _offset(at + step, clock):
            low, high = at, at + step
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if _offset(middle, clock) == _offset(at, clock) else (low, middle)
            instant = _us(high - datetime(1970, 1, 1, tzinfo=UTC))
            before, after = _us(_offset(low, clock)), _us(_offset(high, clock))
            found.append(Change(instant + min(before, after), instant + max(before, after), before, after))
        at += step
    return tuple(found)


def _offset(at: datetime, clock: ZoneInfo) -> timedelta:
    return at.astimezone(clock).utcoffset() or timedelta(0)


def _us(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def placed(con: Any, table: str, zone: str, joined_us: int) -> None:
    """Give every row of a table its instant.

    A time within a repeated hour belongs to the first pass or the second: where the rows of a device, in the order of
    the file (or wholly against it), go back once within the hour, to the first before that and to the second from
    there; where they do not go back, to the side to which they are joined. Else the file does not tell.

    Args:
        con: An Ibis connection to DuckDB.
        table: With `seq` (the order of the file), `node_id`, `device_id`, `local_us` (clock time; NULL where the row
            states its own offset), `t` (the instant in UTC, NULL where `local_us` is known) and `clock` (text).
            `t` is filled, and `clock` says `UNRESOLVED` or `NEVER` where that holds.
        zone: A name of the IANA database.
        joined_us: Rows no further apart than this belong together.
    """
    first, last = con.raw_sql(f"SELECT min(local_us), max(local_us) FROM {table}").fetchone()
    if first is None:
        return
    near = [one for one in changes(zone) if one.end_us > first - _HOUR_US and one.start_us <= last + _HOUR_US]
    before = [one for one in changes(zone) if one.end_us <= first - _HOUR_US]
    start = before[-1].after_us if before else changes(zone)[0].before_us if changes(zone) else steady(zone)
    cases = " ".join(f"WHEN local_us < {one.end_us} THEN {one.before_us}" for one in near)
    offset = f"CASE {cases} ELSE {near[-1].after_us} END" if near else str(start)
    con.raw_sql(f"UPDATE {table} SET t = local_us - {offset} WHERE local_us IS NOT NULL")
    for one in near:
        inside = f"local_us >= {one.start_us} AND local_us < {one.end_us}"
        if one.repeats:
            con.raw_sql(_passes(table, one, joined_us))
        else:
            con.raw_sql(f"UPDATE {table} SET clock = '{NEVER}' WHERE {inside}")


def steady(zone: str) -> int:
    """The offset of a zone that never changes it, in microseconds."""
    return _us(_offset(_FIRST, ZoneInfo(zone)))


def _passes(table: str, change: Change, joined_us: int) -> str:
    """SQL that gives the rows of one repeated hour their pass."""
    inside = f"(local_us >= {change.start_us} AND local_us < {change.end_us})"
    series = "PARTITION BY node_id, device_id"
    return f"""
        WITH near AS (
            SELECT seq, node_id, device_id, local_us, {inside} AS twice,
                CASE WHEN arg_min(local_us, seq) OVER s <= arg_max(local_us, seq) OVER s THEN seq ELSE -seq END AS place
            FROM {table}
            WHERE local_us >= {change.start_us - joined_us} AND local_us < {change.end_us + joined_us}
            WINDOW s AS ({series})
        ),
        stepped AS (
            SELECT *, lag(local_us) OVER w AS prior, coalesce(lag(twice) OVER w, FALSE) AS prior_twice
            FROM near WINDOW w AS ({series} ORDER BY place)
        ),
        judged AS (
            SELECT
                *,
                count(*) FILTER (twice AND prior_twice AND prior >= local_us) OVER w AS backs_until,
                count(*) FILTER (twice AND prior_twice AND prior >= local_us) OVER s AS backs,
                bool_or(twice AND NOT prior_twice AND joined) OVER s AS joined_before,
                bool_or(prior_twice AND NOT twice AND joined) OVER s AS joined_after
            FROM (SELECT *, coalesce(local_us - prior BETWEEN 0 AND {joined_us}, FALSE) AS joined FROM stepped)
            WINDOW s AS ({series}), w AS ({series} ORDER BY place)
        ),
        passes AS (
            SELECT
                seq,
                CASE WHEN backs = 1 THEN backs_until = 1 WHEN backs = 0 AND joined_before <> joined_after
                    THEN joined_after END AS second
            FROM judged WHERE twice
        )
        UPDATE {table} SET
            t = local_us - CASE WHEN second THEN {change.after_us} ELSE {change.before_us} END,
            clock = CASE WHEN second IS NULL THEN '{UNRESOLVED}' END
        FROM passes WHERE passes.seq = {table}.seq"""


@contextmanager
def in_order(con: Any) -> Iterator[None]:
    """Rows come out of files in their order, which a run otherwise gives up for speed.

    Args:
        con: An Ibis connection to DuckDB.
    """
    (before,) = con.raw_sql("SELECT current_setting('preserve_insertion_order')").fetchone()
    con.raw_sql("SET preserve_insertion_order = true")
    try:
        yield
    finally:
        con.raw_sql(f"SET preserve_insertion_order = {str(before).lower()}")

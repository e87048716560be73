"""Copies: the same log under two names, which would make two machines of one.

What belongs here: which files and devices are copies of others. What does not: equal readings under one name, which
count once anyway (`energy_assets.sources.power`). As in Prometheus (`prometheus.copies`), equal names are no proof, and
equal values are one only while they move:

* by bytes: a file is the beginning of another one, or all of it. So is an older copy of a log that grew.
* by readings: on a UTC day, what one file tells of a device another file tells of a device of another name: the same
  values at the same instants, of which `MOVING` at least differ from each other.

The file with more lines counts, of equal ones that of the shorter name, then the first by name.
"""

# ruff: noqa: S608 - table names are made here

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from energy_assets.periods import DayRange
from energy_assets.sources.opening import text_sql
from energy_assets.sources.power import SENTINEL_W
from energy_assets.sources.power_files.overlaps import device_said
from energy_assets.sources.power_files.readings import Readings

MOVING = 10
"""So many different values must be equal: a meter that stands at a rounded number, or goes to and fro between a few as
jobs begin and end on the full minute, shows what another one shows without being its copy."""

STRAY = 100
"""One reading in so many may be missing or differ: the last line of a copy may be cut."""

HEAD = 4096
"""Bytes in which the first two lines are sought: only files that have them in common are read to their ends."""

LINES = 10
"""A file with fewer lines than this proves nothing by being the beginning of another one."""


def copied_files(files: Sequence[Readings]) -> dict[str, str]:
    """Files that are the beginning of another file or the same, by name, with the name of the longest.

    Args:
        files: Text or Parquet, as they were opened.
    """
    by_head: dict[bytes, list[Readings]] = {}
    for one in files:
        with one.file.path.open("rb") as opened:
            by_head.setdefault(b"\n".join(opened.read(HEAD).split(b"\n", 2)[:2]), []).append(one)
    found: dict[str, str] = {}
    for group in by_head.values():
        ordered = sorted(group, key=lambda one: (-one.file.path.stat().st_size, len(one.file.name), one.file.name))
        for number, one in enumerate(ordered):
            for longer in ordered[:number]:
                if longer.file.name not in found and _begins(one.file.path, longer.file.path):
                    found[one.file.name] = longer.file.name
                    break
    return found


def _begins(short: Path, long: Path) -> bool:
    """Whether a file is the beginning of another one."""
    length = short.stat().st_size
    if length < long.stat().st_size and not _has_lines(short):
        return False
    return _digest(short, length) == _digest(long, length)


def _has_lines(path: Path) -> bool:
    with path.open("rb") as file:
        return sum(1 for _, _ in zip(range(LINES), file, strict=False)) == LINES


def _digest(path: Path, length: int) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while length and (piece := file.read(min(length, 1 << 20))):
            digest.update(piece)
            length -= len(piece)
    return digest.digest()


def drop_copied_readings(
    con: Any, readings: str, presence: str, files: Mapping[str, Readings], days: DayRange | None
) -> list[str]:
    """Take out the readings of devices that are copies of others, by UTC day.

    Args:
        con: An Ibis connection to DuckDB.
        readings: A table of `create_readings`; loses the copies.
        presence: A table of `create_presence`; loses the copies.
        files: By origin.
        days: Only copies on these are told; None for all.

    Returns:
        A line for each copy: which device of which file, and which one counts.
    """
    copies = f"{readings}_copies"
    con.raw_sql(f"""
        CREATE TEMP TABLE {copies} AS
        WITH good AS (
            SELECT node_id, device_id, origin, time, time::DATE AS day, power_w FROM {readings}
            WHERE power_w > 0 AND power_w <= {SENTINEL_W}
        ),
        series AS (
            SELECT day, origin, node_id, device_id, count(DISTINCT time) AS n
            FROM good GROUP BY ALL HAVING count(DISTINCT power_w) >= {MOVING}
        ),
        firsts AS (
            SELECT day, origin, node_id, device_id, power_w, min(time) AS time
            FROM good SEMI JOIN series USING (day, origin, node_id, device_id)
            GROUP BY day, origin, node_id, device_id, power_w
            QUALIFY row_number() OVER (PARTITION BY day, origin, node_id, device_id ORDER BY min(time)) <= {MOVING}
        ),
        pairs AS (
            SELECT f.day, f.origin, f.node_id, f.device_id, g.origin AS as_origin, g.node_id AS as_node,
                g.device_id AS as_device
            FROM firsts AS f JOIN good AS g ON g.time = f.time AND g.power_w = f.power_w AND g.origin <> f.origin
                AND (g.node_id, g.device_id) <> (f.node_id, f.device_id)
            GROUP BY ALL HAVING count(*) >= {MOVING} - 1
        )
        SELECT p.*, any_value(s.n) AS n
        FROM pairs AS p
            JOIN series AS s USING (day, origin, node_id, device_id)
            JOIN good AS g ON g.day = p.day AND g.origin = p.origin AND g.node_id = p.node_id
                AND g.device_id = p.device_id
            SEMI JOIN good AS h ON h.time = g.time AND h.power_w = g.power_w AND h.origin = p.as_origin
                AND h.node_id = p.as_node AND h.device_id = p.as_device
        GROUP BY ALL HAVING count(DISTINCT g.time) * {STRAY} >= any_value(s.n) * ({STRAY} - 1)""")
    try:
        rows = con.raw_sql(f"SELECT * EXCLUDE (n) FROM {copies} ORDER BY ALL").fetchall()
        rank = {origin: _rank(files[origin]) for row in rows for origin in (row[1], row[4])}
        dropped: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for day, origin, node, device, *other in rows:
            if rank[other[0]] < rank[origin] and (day, *other) not in dropped:
                dropped.setdefault((day, origin, node, device), tuple(other))
        for day, origin, node, device in dropped:
            same = f"origin = {text_sql(origin)} AND node_id = {text_sql(node)} AND device_id = {text_sql(device)}"
            con.raw_sql(f"DELETE FROM {readings} WHERE time::DATE = DATE '{day}' AND {same}")
            con.raw_sql(f"DELETE FROM {presence} WHERE day = DATE '{day}' AND {same}")
    finally:
        con.raw_sql(f"DROP TABLE IF EXISTS {copies}")
    said = {
        f"{device_said(node, device)} of {files[origin].file.name} is {device_said(*other[1:])} of "
        f"{files[other[0]].file.name}, which counts": None
        for (day, origin, node, device), other in dropped.items()
        if days is None or day in days
    }
    return list(said)


def _rank(readings: Readings) -> tuple[int, int, str]:
    """Of several copies the first by this counts, on all days alike."""
    file = readings.file
    lines = file.con.raw_sql(f"SELECT count(*) FROM {file.relation}").fetchone()[0]
    return -int(lines), len(file.name), file.name

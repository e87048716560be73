"""Boards of one machine under one name, or one under two: what the columns of logs call them.

What belongs here: seeing that a column changes to and fro between the readings of one device, and that two logs of one
machine name its boards by different columns. What does not: readings of one instant (`telling`), for the boards of a
log are read a few milliseconds after each other; and boards that no column names (`doubts`).
"""

# ruff: noqa: S608 - table names are made here, column names are quoted

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energy_assets.sources import local_time
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import quoted, text_sql
from energy_assets.sources.power_files import nvidia_smi
from energy_assets.sources.power_files.overlaps import BY_UUID, device_said
from energy_assets.sources.power_files.readings import Readings

COLUMNS = (
    *nvidia_smi.DEVICES,
    "gpu",
    "gpu_id",
    "gpu_index",
    "gpu_idx",
    "minor_number",
    "serial",
    "device",
    "device_id",
)
"""Columns that name boards, by their names in logs; `name` counts in logs of nvidia-smi alone, as their model."""

UUIDS = ("uuid", "gpu_uuid")

OFTEN = 100
"""A board may be changed for another one, or get another index when its machine starts anew: a change in a log, or a
few in a long one. Boards that are read in turn change with nearly every reading; one in so many is far from both."""

AGAIN = 10
"""A name comes again; a column with a new value in more than one of so many readings counts lines, or measures."""


_SLOT_US = 300_000_000
_SLOTS = 3
"""In so many slots of five minutes both must tell: a log that follows another one may begin before that one ends."""


def require_boards_named(con: Any, readings: Readings) -> None:
    """A column that names boards must not change to and fro between the readings of one device.

    Args:
        con: An Ibis connection to DuckDB.
        readings: A readable file.

    Raises:
        MalformedError: it does: readings of several boards would make one of about their mean.
    """
    columns, path = readings.columns, readings.file.name
    named = columns.device.columns if columns.device else ()
    if {column.strip() for column in named} & set(UUIDS):
        return
    known = [name for name in COLUMNS if name != "name" or readings.wanted.format == "nvidia_smi"]
    others = [
        column
        for wanted in known
        for column in readings.file.types
        if column.strip().lower() == wanted and column not in columns.naming
    ]
    if not others:
        return
    node = columns.node.sql("node", path)
    device = columns.device.sql("device", path) if columns.device else node
    cells = ", ".join(f"nullif(trim(CAST({quoted(name)} AS VARCHAR)), '') AS c{n}" for n, name in enumerate(others))
    before = ", ".join(
        f"lag(c{n}) OVER (PARTITION BY the_node, the_device ORDER BY seq) AS b{n}" for n in range(len(others))
    )
    judged = ", ".join(
        f"count(*) FILTER (c{n} <> b{n}), count(DISTINCT c{n}), string_agg(DISTINCT c{n}, ', ' ORDER BY c{n}) FILTER "
        f"(strlen(c{n}) < 60)"
        for n in range(len(others))
    )
    own = f"trim(CAST({quoted(columns.time)} AS VARCHAR)) <> {text_sql(columns.time.strip())}"
    with local_time.in_order(con):
        rows = con.raw_sql(f"""
            WITH lines AS (
                SELECT row_number() OVER () AS seq, {node} AS the_node, {device} AS the_device, {cells}
                FROM {readings.file.relation} WHERE {own}
            )
            SELECT the_node, the_device, count(*), {judged} FROM (SELECT *, {before} FROM lines)
            WHERE the_device IS NOT NULL AND NOT regexp_matches(the_device, '{BY_UUID}', 'i')
            GROUP BY the_node, the_device ORDER BY the_node, the_device""").fetchall()
    for node_id, device_id, number, *found in rows:
        for n, column in enumerate(others):
            changes, values, shown = found[3 * n : 3 * n + 3]
            if changes > 1 and changes * OFTEN > number and values * AGAIN <= max(number, 2 * AGAIN):
                raise _refuse(readings, column.strip(), device_said(node_id, device_id), shown or "")


def require_one_naming(con: Any, table: str, files: Mapping[str, Readings], where: str) -> None:
    """Logs that tell of one machine at the same time name its boards by the same column.

    Args:
        con: An Ibis connection to DuckDB.
        table: A table of `create_readings`.
        files: By origin.
        where: SQL for the times that are looked at.

    Raises:
        MalformedError: one names them by `uuid`, say, and another one by `index`: each board would count twice.
    """
    ways = {origin: ", ".join(_named(file)) for origin, file in files.items()}
    if len(set(ways.values())) < 2:
        return
    told = ", ".join(f"({text_sql(origin)}, {text_sql(way)})" for origin, way in ways.items())
    row = con.raw_sql(f"""
        WITH ways(origin, way) AS (VALUES {told}),
        slots AS (
            SELECT DISTINCT node_id, way, origin, epoch_us(time) // {_SLOT_US} AS slot
            FROM {table} JOIN ways USING (origin) WHERE {where}
        )
        SELECT a.node_id, a.origin, b.origin, make_timestamp(min(slot) * {_SLOT_US})
        FROM slots AS a JOIN slots AS b USING (node_id, slot) WHERE a.way < b.way
        GROUP BY ALL HAVING count(*) >= {_SLOTS} ORDER BY ALL LIMIT 1""").fetchone()
    if row is None:
        return
    node, one, other, first = row
    both = " and ".join(f"{files[origin].file.name} by '{ways[origin]}'" for origin in (one, other))
    raise MalformedError(
        f"{both}: name the GPUs of {node} by different columns, and tell of them at the same time, from "
        f"{first:%Y-%m-%d %H:%M} UTC on: a board would count once under each name",
        _one_name_remedy(files[one], files[other]),
    )


def _one_name_remedy(one: Readings, other: Readings) -> str:
    twice = "If they are two logs of the same boards, take one of them out of `path`."
    both = [name for name in nvidia_smi.DEVICES if name in one.file.types and name in other.file.types]
    common = next((name for name in both if name not in nvidia_smi.MODELS), None)
    if common:
        return f"{twice} Else name a column that both have, in this source in site.yaml:\n  device: {common}"
    return f"{twice} Else write both with `{nvidia_smi.COMMAND}`."


def _named(readings: Readings) -> tuple[str, ...]:
    """The columns by which a file names its devices; empty where it is a constant or the path."""
    device = readings.columns.device
    return tuple(column.strip() for column in device.columns) if device else ()


def _refuse(readings: Readings, column: str, device: str, values: str) -> MalformedError:
    known = readings.wanted.format == "nvidia_smi" and column in nvidia_smi.DEVICES
    named = readings.columns.device.columns if readings.columns.device else ()
    line = f"  device: [{', '.join([*(name.strip() for name in named), column])}]" if named else f"  device: {column}"
    remedy = [f"Name the boards by that column, in this source in site.yaml:\n{line}"]
    if not named and readings.columns.device is not None and known:
        remedy = [f"Name the boards by that column, in this source in site.yaml (or leave `device` out):\n{line}"]
    if not readings.columns.node.columns and readings.columns.node.from_path is None:
        remedy.append("If each file is of a machine of its own, also:\n  node: {from_path: '([^/]+)[.]csv'}")
    shown = values if len(values) <= 60 else f"{values[:60]} …"
    return MalformedError(
        f"{readings.file.name}: the readings of {device} are of several boards, which the column '{column}' tells "
        f"apart ({shown}); as one device they would make about their mean",
        "\n".join(remedy),
    )

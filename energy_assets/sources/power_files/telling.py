"""Several readings of one device at one instant: copies, or different things under one name.

What belongs here: which column or file tells them apart, and what to say of it. What does not: finding that there are
several (`energy_assets.sources.power`). Copies agree and count once; what disagrees is refused, for adding it up or
keeping one of it is for a person to decide. A stray line or two is kept as the highest, and counted.
"""

# ruff: noqa: S608 - table names are made here, column names are quoted

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from energy_assets.sources import local_time
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import quoted
from energy_assets.sources.power import Disagreement
from energy_assets.sources.power_files.overlaps import device_said, remedy_by_file
from energy_assets.sources.power_files.readings import Readings

STRAY = 100
"""One instant in so many of a device's day may differ without a column that tells why."""

SETS = 10
"""A column names things if its values come in the same sets again: at most one set in so many instants."""

CROWDED = 1.2
"""An hour that came twice has up to twice the readings of others, and this many times as many where the log began or
ended within it."""

_SHOWN = 4
_HALF_HOUR_US = 1_800_000_000
_serial = count(1)


@dataclass(frozen=True)
class Told:
    """A column that tells readings of one instant apart.

    Attributes:
        column: Its name.
        values: Some of its values.
        instants: At how many instants it does.
    """

    column: str
    values: tuple[str, ...]
    instants: int


def telling_column(con: Any, readings: Readings) -> Told | None:
    """The column that tells several readings of a device at one instant apart, throughout a file.

    Args:
        con: An Ibis connection to DuckDB.
        readings: The file.
    """
    others = [name for name in readings.file.types if name not in readings.columns.naming]
    if not others:
        return None
    path, columns = readings.file.name, readings.columns
    node = columns.node.sql("node", path)
    device = columns.device.sql("device", path) if columns.device else node
    cells = ", ".join(f"trim(CAST({quoted(name)} AS VARCHAR)) AS {quoted(name)}" for name in others)
    counts = ", ".join(
        f"count(DISTINCT {quoted(name)}) AS d{number}, "
        f"string_agg(DISTINCT {quoted(name)}, ', ' ORDER BY {quoted(name)}) AS s{number}"
        for number, name in enumerate(others)
    )
    judged = ", ".join(
        f"count(*) FILTER (d{number} = n), count(DISTINCT s{number}), min(s{number})" for number in range(len(others))
    )
    row = con.raw_sql(f"""
        WITH lines AS (
            SELECT DISTINCT {node} AS the_node, {device} AS the_device,
                CAST({quoted(columns.time)} AS VARCHAR) AS the_time, {quoted(columns.power)} AS the_power, {cells}
            FROM {readings.file.relation}
        ),
        instants AS (
            SELECT the_node, the_device, the_time, count(*) AS n, {counts}
            FROM lines GROUP BY the_node, the_device, the_time HAVING n > 1
        )
        SELECT count(*), {judged} FROM instants""").fetchone()
    total = row[0]
    found = []
    for number, name in enumerate(others):
        told, sets, example = row[1 + 3 * number : 4 + 3 * number]
        values = tuple((example or "").split(", "))
        numeric = all(map(_is_number, values))
        if numeric and any("." in value for value in values):
            continue  # a measure, not a name
        if total and told >= 0.99 * total and sets <= max(1, total // SETS) and not (numeric and total == 1):
            found.append((sets, numeric, number, Told(name, values, told)))
    return min(found)[-1] if found else None


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def crowded(con: Any, table: str) -> set[str]:
    """Files with an hour of far more readings of a device than others have: it may have come twice.

    Args:
        con: An Ibis connection to DuckDB.
        table: A table of `create_readings`.

    Returns:
        Their origins. Whether it came twice, only the order of their lines tells (`set_back`).
    """
    rows = con.raw_sql(f"""
        WITH hours AS (
            SELECT origin, node_id, device_id, epoch_us(time) // {2 * _HALF_HOUR_US} AS hour, count(*) AS n
            FROM {table} GROUP BY ALL
        )
        SELECT DISTINCT origin FROM (
            SELECT origin, max(n) AS most, median(n) AS usual FROM hours GROUP BY origin, node_id, device_id
        ) WHERE most >= {CROWDED} * usual""").fetchall()
    return {row[0] for row in rows}


def set_back(con: Any, readings: Readings) -> int:
    """How many devices' times go back by about an hour once, in a file whose clock is taken as never set.

    So does a local clock at the end of summer time, with the same seconds or with others; a copy of the lines before
    goes back to the first of them.

    Args:
        con: An Ibis connection to DuckDB.
        readings: The file.
    """
    kind = readings.file.types[readings.columns.time]
    sets = readings.zone is not None and local_time.changes(readings.zone)
    if sets or kind == "TIMESTAMP WITH TIME ZONE" or readings.wanted.clock.unit:
        return 0
    table = f"power_ordered_{next(_serial)}"
    with local_time.in_order(con):
        con.raw_sql(f"CREATE TEMP TABLE {table} AS SELECT row_number() OVER () AS seq, * FROM ({readings.selected()})")
    try:
        sql = f"""
            SELECT count(*) FROM (
                SELECT
                    count(*) FILTER (back > 0) AS times, max(back) AS most, arg_max(shown, back) > min(shown) AS inside
                FROM (
                    SELECT node_id, device_id, shown,
                        lag(shown) OVER (PARTITION BY node_id, device_id ORDER BY seq) - shown AS back
                    FROM (SELECT *, coalesce(t, local_us) AS shown FROM {table})
                ) GROUP BY node_id, device_id
            ) WHERE times = 1 AND inside AND most BETWEEN {_HALF_HOUR_US} AND {2 * _HALF_HOUR_US}"""
        return int(con.raw_sql(sql).fetchone()[0])
    finally:
        con.raw_sql(f"DROP TABLE {table}")


def refuse(told: Told, readings: Readings, device: list[str], kind_stated: bool) -> MalformedError:
    """The error for readings that a column tells apart.

    Args:
        told: The column.
        readings: The file.
        device: The columns of `device` that site.yaml has already.
        kind_stated: Whether site.yaml says what is metered.
    """
    shown = ", ".join(told.values[:_SHOWN]) + (" …" if len(told.values) > _SHOWN else "")
    line = f"device: [{', '.join([*device, told.column])}]" if device else f"device: {told.column}"
    kind = "" if kind_stated else "   # and device_kind: what they are; node for the supplies of one machine"
    return MalformedError(
        f"{readings.file.name}: at {told.instants} instants there are several readings of one device, and the column "
        f"'{told.column}' tells them apart ({shown}): different things under one name",
        "If they are parts that add up, add to this source in site.yaml:\n"
        f"  {line}{kind}\n"
        "If they are several readings of one thing, leave one of them in the file.",
    )


def require_agreement(found: Sequence[Disagreement], given: Mapping[str, Readings]) -> tuple[int, list[str]]:
    """Readings that differ at one instant although no column tells why.

    Args:
        found: By device and day.
        given: The files by origin.

    Returns:
        How many instants differ, and where: stray ones, of which the highest reading is kept.

    Raises:
        MalformedError: they are no strays.
    """
    for one in found:
        if one.differing * STRAY > one.instants:
            first, second = given[one.origin or ""], given[one.other_origin or ""]
            across = one.across == one.differing and first is not second
            raise _by_file(one, first, second) if across else _untold(one, first.file.name)
    return sum(one.differing for one in found), [_said(one) for one in found]


def _said(one: Disagreement) -> str:
    what = device_said(one.node_id, one.device_id)
    return f"{what} at {one.first:%Y-%m-%d %H:%M:%S} UTC: {one.low_w:g} W and {one.high_w:g} W"


def _by_file(one: Disagreement, first: Readings, second: Readings) -> MalformedError:
    return MalformedError(
        f"{' and '.join(sorted((first.file.name, second.file.name)))}: give different readings of one device at "
        f"{one.differing} of its {one.instants} instants, first {_said(one)}",
        remedy_by_file(first, second),
    )


def _untold(one: Disagreement, name: str) -> MalformedError:
    return MalformedError(
        f"{name}: gives different readings of one device at {one.differing} of its {one.instants} instants, and no "
        f"column tells them apart, first {_said(one)}",
        "If times are by a local clock that was put back, name its zone: `timezone: Europe/Berlin`. If readings come "
        "faster than times are written, write times with fractions of a second. If there are several devices, write "
        "their names into a column and name it as `device`.",
    )

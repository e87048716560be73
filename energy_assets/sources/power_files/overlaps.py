"""Several files that tell of one device at the same time: two logs of one thing, or two things under one name.

What belongs here: comparing what files say in the time they share, and what to say of it. What does not: readings of
one instant (`telling`), and copies of a file (`copies`). Readings of two machines among each other make one series of
about their mean, half of their energy; so files must agree, or say whose they are.
"""

# ruff: noqa: S608 - table names are made here

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from energy_assets.sources.errors import MalformedError
from energy_assets.sources.power import SENTINEL_W
from energy_assets.sources.power_files.readings import Readings

HANDFUL = 10
"""A log that is rotated or started anew may go on for a few lines beside the next one. Fewer readings of a file than
this in the time that two share are not compared, and make no more than some minutes of energy."""

BIAS = 0.01
"""Two logs of one device read at other instants have the same mean but for chance, which is allowed for apart. Boards
of one model in one training differ by some per cent, so what is left for the loggers themselves must be small."""

CHANCE = 4
"""How many standard errors of the mean difference chance may make: one case in some ten thousand."""

HOURLY = 0.1
"""By how much the hours may differ, on average, where the day's means agree: of two machines that work in turn they
differ by half and more; those of one machine, read once a minute under a load that comes and goes, by some per cent."""

SLOT_S = 300
"""Compared is what both files say within five minutes, or `max_gap_s` where that is longer."""

BY_UUID = "^(GPU|MIG)-[0-9a-f]{4,}"
"""Devices that are themselves whatever file tells of them."""


@dataclass(frozen=True)
class Shared:
    """A device of which two files tell at the same time, on one UTC day.

    Attributes:
        node_id: The node.
        device_id: The device.
        first: The first instant of the time they share, UTC without a zone, to the slot.
        last: The end of it.
        files: The origins of both.
        watts: The mean power by each of them, in the time they share.
        agree: Whether both may be of one thing.
    """

    node_id: str
    device_id: str
    first: datetime
    last: datetime
    files: tuple[str, str]
    watts: tuple[float, float]
    agree: bool


def shared_time(con: Any, readings: str, max_gap_s: int, where: str) -> list[Shared]:
    """Devices of which several files tell at the same time, by device, day and pair of files.

    Args:
        con: An Ibis connection to DuckDB.
        readings: A table of `create_readings`.
        max_gap_s: Of the source, in seconds.
        where: SQL for the times that are looked at.
    """
    slot_us = max(SLOT_S, max_gap_s) * 1_000_000
    level = "greatest(avg(a), avg(b))"
    rows = con.raw_sql(f"""
        WITH good AS (
            SELECT node_id, device_id, origin, epoch_us(time) // {slot_us} AS slot, time::DATE AS day, power_w
            FROM {readings}
            WHERE power_w > 0 AND power_w <= {SENTINEL_W} AND {where}
                AND NOT regexp_matches(device_id, '{BY_UUID}', 'i')
        ),
        several AS (SELECT node_id, device_id FROM good GROUP BY ALL HAVING count(DISTINCT origin) > 1),
        slots AS (
            SELECT node_id, device_id, day, slot, origin, avg(power_w) AS w, count(*) AS n
            FROM good SEMI JOIN several USING (node_id, device_id) GROUP BY ALL
        ),
        pairs AS (
            SELECT x.node_id, x.device_id, x.day, x.slot, x.origin AS one, y.origin AS other, x.w AS a, y.w AS b,
                x.n AS one_n, y.n AS other_n
            FROM slots AS x JOIN slots AS y USING (node_id, device_id, day, slot) WHERE x.origin < y.origin
        ),
        hours AS (
            SELECT node_id, device_id, day, one, other, slot * {slot_us} // 3600000000 AS hour,
                abs(avg(a) - avg(b)) AS apart, count(*) AS weight
            FROM pairs GROUP BY ALL
        ),
        hourly AS (
            SELECT node_id, device_id, day, one, other, sum(apart * weight) / sum(weight) AS apart
            FROM hours GROUP BY ALL
        )
        SELECT node_id, device_id, make_timestamp(min(slot) * {slot_us}), make_timestamp((max(slot) + 1) * {slot_us}),
            one, other, avg(a), avg(b),
            abs(avg(a - b)) <= {BIAS} * {level} + {CHANCE} * coalesce(stddev_samp(a - b), 0) / sqrt(count(*))
                AND any_value(h.apart) <= {HOURLY} * {level}
        FROM pairs JOIN hourly AS h USING (node_id, device_id, day, one, other)
        GROUP BY node_id, device_id, day, one, other
        HAVING sum(one_n) >= {HANDFUL} AND sum(other_n) >= {HANDFUL}
        ORDER BY day, node_id, device_id, one, other""").fetchall()
    return [
        Shared(node, device, first, last, (one, other), (watts, others), agree)
        for node, device, first, last, one, other, watts, others, agree in rows
    ]


def require_one_thing(found: Sequence[Shared], files: Mapping[str, Readings]) -> list[str]:
    """Files that tell of one device at the same time must agree.

    Args:
        found: See `shared_time`.
        files: By origin.

    Returns:
        What to say of those that do, one line for each device and pair of files.

    Raises:
        MalformedError: they do not; names the files, the device, both means and the line to add.
    """
    for one in found:
        if not one.agree:
            first, second = (files[origin] for origin in one.files)
            means = " and ".join(
                f"{watts:.1f} W by {file.file.name}" for watts, file in zip(one.watts, (first, second), strict=True)
            )
            raise MalformedError(
                f"{first.file.name} and {second.file.name}: both tell of {device_said(one.node_id, one.device_id)} "
                f"from {one.first:%Y-%m-%d %H:%M} to {one.last:%Y-%m-%d %H:%M} UTC, and do not agree: it draws {means} "
                "on average, so these are different things under one name",
                remedy_by_file(first, second),
            )
    said = {}
    for one in found:
        (file, watts), (other, others) = sorted(
            (files[origin].file.name, watts) for origin, watts in zip(one.files, one.watts, strict=True)
        )
        what = device_said(one.node_id, one.device_id)
        said[what, file, other] = f"{what}: {file} and {other}, {watts:.1f} W and {others:.1f} W"
    return list(said.values())


def device_said(node_id: str, device_id: str) -> str:
    """What messages call a device: `0 on box-1`, or the machine alone where it is one.

    Args:
        node_id: The node.
        device_id: The device.
    """
    return node_id if node_id == device_id else f"{device_id} on {node_id}"


def remedy_by_file(first: Readings, second: Readings) -> str:
    """The lines for two files that differ although the names in them are equal.

    A line must not lead to a wrong number: files that name their boards are told apart as machines, for a device named
    after the file would make one of its boards; and a file of several machines cannot be named after its path.

    Args:
        first: One of the files.
        second: The other one.
    """
    pattern = telling_path(first.file.name, second.file.name)
    columns = first.columns
    twice = "If they are two logs of one device, take one of them out of `path`."
    if columns.device is None or not columns.device.columns:
        line = f"  device: {{from_path: '{pattern}'}}   # the part of the path that names it"
        return f"If each file is of a device of its own, add to this source in site.yaml:\n{line}\n{twice}"
    if columns.node.columns and _nodes(first) + _nodes(second) > 2:
        named = ", ".join(column.strip() for column in columns.node.columns)
        return (
            "If each file is of machines of its own, write a column into the files that tells them apart, and name it "
            f"in site.yaml:\n  node: [that column, {named}]\n{twice}"
        )
    line = f"  node: {{from_path: '{pattern}'}}   # the part of the path that names it"
    return f"If each file is of a machine of its own, write in this source in site.yaml:\n{line}\n{twice}"


def _nodes(readings: Readings) -> int:
    """How many machines the columns of a file name."""
    file = readings.file
    node = readings.columns.node.sql("node", file.name)
    return int(file.con.raw_sql(f"SELECT count(DISTINCT {node}) FROM {file.relation}").fetchone()[0])


def telling_path(first: str, second: str) -> str:
    """A regular expression whose group tells two paths apart: the name of the file or, where that is equal, its folder.

    Args:
        first: A path or url.
        second: Another one.
    """
    ending = re.sub(r"[.]gz$", "", first)[-8:]
    suffix = "[.]" + (ending.rsplit(".", 1)[-1] if "." in ending else "csv")
    for pattern in (f"([^/]+){suffix}", "([^/]+)/[^/]+$"):
        found = [re.search(pattern, name) for name in (first, second)]
        if all(found) and len({match[1] for match in found if match}) == 2:
            return pattern
    return f"(.+){suffix}" if PurePosixPath(first).parent != PurePosixPath(second).parent else "(.+)"

"""Doubles: one host under two names, whose devices count the same twice.

What belongs here: seeing by their values that devices of two hosts are one, and under which name they count. What does
not: GPUs with a UUID (`identity`), series of one name (`disagreeing`), and inference servers (`copies`, `alike`).

A host that two jobs scrape, by its address and by its name, has two instances. Its counters show it: they stand where
the other ones stand, hour after hour, but for what the device uses between two scrapes. Gauges show it only where
their samples are the same, as those of replicas and recording rules are; scraped at other instants they cannot be told
from those of another host.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch

NOTE = "hosts_under_several_names"

HOURS = 6
"""Fewer hours may agree by chance, after two hosts were switched on together."""

TOGETHER = 10
"""Hours in which two are seen that are enough, though one of them was there before, after or in between."""

AMOUNTS = 3
"""Different amounts of an hour: counters that go on evenly say little of whose they are."""

APART_S = 90
"""Two scrapes of one counter show what it counts within a minute, and exporters hold readings back."""

NEARLY = 0.9
"""So large a share of the hours must agree: within one, a counter may start again between two scrapes."""

ADDRESS = "^[0-9.]+$|:"
"""A host by its address."""

THING = "CASE WHEN device_id <> node_id THEN device_id ELSE '' END"
"""A device by its name on its host; a meter of a whole host has none."""


def find(scratch: Scratch) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """Add to `mirrored` the keys of hosts that are told of under a better name.

    Args:
        scratch: Holds `keys`, `bound`, `powered` and `mirrored`.

    Returns:
        How many names of hosts do not count, and which.
    """
    counters = _pairs_of_counters(scratch)
    gauges = _pairs_of_gauges(scratch)
    scratch.make("doubles", f"{counters} UNION {gauges}")
    if not scratch.rows(f"SELECT 1 FROM {scratch['doubles']} LIMIT 1"):
        return {}, {}
    scratch.make(
        "double_names",
        f"""
        SELECT node_id, row_number() OVER (
            ORDER BY regexp_matches(node_id, '{ADDRESS}'), count(*) DESC, len(node_id), node_id
        ) AS place
        FROM {scratch["keys"]} GROUP BY node_id""",
    )
    keys, names = scratch["keys"], scratch["double_names"]
    losers = scratch.make(
        "double_losers",
        f"""
        SELECT
            CASE WHEN x.place < y.place THEN other ELSE one END AS key_no,
            CASE WHEN x.place < y.place THEN y.node_id ELSE x.node_id END AS name,
            CASE WHEN x.place < y.place THEN x.node_id ELSE y.node_id END AS better,
            least(x.place, y.place) AS place, a.meter
        FROM {scratch["doubles"]}
            JOIN {keys} AS a ON a.key_no = one JOIN {names} AS x ON x.node_id = a.node_id
            JOIN {keys} AS b ON b.key_no = other JOIN {names} AS y ON y.node_id = b.node_id""",
    )
    mirrored = scratch["mirrored"]
    new = f"SELECT DISTINCT key_no FROM {losers} ANTI JOIN {mirrored} USING (key_no)"
    scratch.con.raw_sql(f"INSERT INTO {mirrored} {new}")
    told = scratch.rows(f"SELECT name, arg_min(better, place), min(meter) FROM {losers} GROUP BY name ORDER BY name")
    return {NOTE: len(told)}, {NOTE: [f"{name} is {better}, by {meter}" for name, better, meter in told[:5]]}


def _pairs_of_counters(scratch: Scratch) -> str:
    """SQL of `one` and `other`: keys of counters that stand at the same values hour by hour."""
    marks = scratch.make(
        "double_marks",
        f"""
        SELECT key_no, t, n, n - lag(n) OVER (PARTITION BY key_no ORDER BY t) AS up
        FROM {scratch["bound"]} JOIN {scratch["keys"]} USING (key_no) WHERE counter AND device_uuid IS NULL""",
    )
    keys = scratch["keys"]
    things = f"SELECT key_no, meter || ' ' || {THING} AS thing, node_id AS owner, 0 AS grain FROM {keys}"
    return pairs(scratch, marks, things, "false", whole=True)


def pairs(scratch: Scratch, marks: str, things: str, even: str, *, whole: bool) -> str:
    """SQL of `one` and `other`: keys of one thing and two owners that stand at the same values hour by hour.

    Makes `double_levels`: the keys whose values can show it.

    Args:
        scratch: Where.
        marks: Name of a table of key_no, t, n and up, what n rose by since the key's row before.
        things: SQL of key_no, thing, owner, grain, by how much two readings may always differ, and what `even` asks.
        even: SQL of when two things, `a` and `b`, of an even pace may be one.
        whole: Whether both must be seen nearly all the time that one of them is; else `TOGETHER` hours are enough.
    """
    most = f"{NEARLY} * any_value(near.hours)"
    levels = scratch.make(
        "double_levels",
        f"""
        SELECT key_no, count(*) AS hours, max(up) * {APART_S} // 3600 AS apart, max(t) AS last, arg_max(n, t) AS level,
            count(DISTINCT up) FILTER (up > 0) >= {AMOUNTS} AS uneven
        FROM {marks} GROUP BY key_no
        HAVING count(*) >= {HOURS} AND (uneven OR count(*) FILTER (up > 0) >= {HOURS - 1})""",
    )
    return f"""
        SELECT one, other FROM (
            WITH known AS (
                SELECT o.* EXCLUDE (key_no, grain), l.* REPLACE (greatest(l.apart, grain) AS apart),
                    greatest(max(greatest(l.apart, grain)) OVER (PARTITION BY thing), 1) AS width
                FROM {levels} AS l JOIN ({things}) AS o USING (key_no)
            ),
            shown AS (
                SELECT known.*, t, n // width AS step, n AS then FROM known JOIN {marks} USING (key_no)
                SEMI JOIN (SELECT DISTINCT thing, last AS t FROM known) USING (thing, t)
                WHERE t = last OR {not whole}
            ),
            near AS (
                SELECT DISTINCT least(a.key_no, b.key_no) AS one, greatest(a.key_no, b.key_no) AS other,
                    least(a.apart, b.apart) AS apart, greatest(a.hours, b.hours) AS hours
                FROM known AS a
                JOIN (SELECT *, unnest([step - 1, step, step + 1]) AS rung FROM shown)
                    AS b ON b.thing = a.thing AND b.t = a.last AND b.rung = a.level // a.width
                WHERE a.key_no <> b.key_no AND a.owner <> b.owner AND abs(a.level - b.then) <= 2 * a.width
                    AND ((a.uneven AND b.uneven) OR ({even}))
            )
            SELECT one, other FROM near
                JOIN {marks} AS a ON a.key_no = one JOIN {marks} AS b ON b.key_no = other AND b.t = a.t
            GROUP BY one, other
            HAVING count(*) >= {HOURS} AND count(*) >= {most if whole else f"least({most}, {TOGETHER})"}
                AND count(*) FILTER (abs(a.n - b.n) <= near.apart) >= {NEARLY} * count(*)
        )"""


def _pairs_of_gauges(scratch: Scratch) -> str:
    """SQL of `one` and `other`: keys of gauges that make the very same energy in every hour."""
    return f"""
        SELECT one, key_no AS other FROM (
            SELECT key_no, node_id, min(key_no) OVER same AS one, min(node_id) OVER same AS first_node,
                max(node_id) OVER same AS last_node
            FROM (
                SELECT key_no, list(n ORDER BY t) AS shown, list(t ORDER BY t) AS hours
                FROM {scratch["powered"]} WHERE n > 0 GROUP BY key_no
                HAVING count(*) >= {HOURS} AND count(DISTINCT n) >= {AMOUNTS}
            ) JOIN {scratch["keys"]} USING (key_no) WHERE device_uuid IS NULL
            WINDOW same AS (PARTITION BY meter, {THING}, shown, hours)
        ) WHERE first_node < last_node AND key_no <> one"""

"""Same servers: inference servers that are one under two sets of labels, by their names and by what they count.

What belongs here: which of the servers that count alike surely are one, and counting them once. What does not: finding
servers that count alike (`alike`), and copies that differ in the labels of a scrape alone (`copies`).

Two servers that count alike are one where their names lead to one server: the same pod, the same address or host and
port, or the same host where one names no port, or is told of through another program (Ray). No other label may
contradict, for large servers that share a load stay near each other for a while; but at one address, and of a load that
changes, it is a label that tells copies apart.

In every hour the server counts that was seen in most of it, and of the hour before, for after a gap a counter shows
what came in the gap as well, which another one has counted; of those the one that tells of itself, through no
collector, has a pod, and names its port.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from energy_assets.sources.prometheus import server_names
from energy_assets.sources.prometheus.answers import Scratch, quoted

NOTE = "servers_told_of_twice"

THROUGH = ("ray",)
"""Programs that tell of servers which run in them, by the beginning of their metrics' names."""

Twice = tuple[Mapping[str, Any], Mapping[str, Any]]
"""The labels of a server that counts, and of the same one under other labels."""


def unite(scratch: Scratch, may_differ: Sequence[str], may_be_one: str) -> list[Twice]:
    """Leave of servers that surely are one, in each hour, one in `served`; make `same_servers`: the others.

    Args:
        scratch: Holds `alike_told`, `alike_servers`, `alike_keys` and `served`.
        may_differ: Labels in which one server may differ: those of its own counters, and those a scrape adds.
        may_be_one: SQL: whether all that names two servers `a` and `b` allows that they are one.
    """
    servers = scratch["alike_servers"]
    scratch.make("same_pairs", _pairs(scratch, (*server_names.LABELS, *may_differ), may_be_one))
    same = scratch.make(
        "same_servers",
        f"SELECT worse AS server, arg_min(better, place) AS one FROM {scratch['same_pairs']} GROUP BY worse",
    )
    rows: list[Twice] = scratch.rows(f"""
        SELECT a.labels, b.labels FROM {same} AS s
        JOIN {servers} AS a ON a.server = one JOIN {servers} AS b ON b.server = s.server ORDER BY a.server, b.server""")
    if rows:
        scratch.con.raw_sql(f"DELETE FROM {scratch['served']} WHERE (key_no, t) IN ({_silent(scratch)})")
    return rows


def _pairs(scratch: Scratch, may_differ: Sequence[str], may_be_one: str) -> str:
    """SQL of better, worse and place: pairs of servers that surely are one, and how good the better one is."""
    labels = ", ".join(quoted(label) for label in may_differ)
    through = ", ".join(quoted(name) for name in THROUGH)
    return f"""
        WITH ranked AS (
            SELECT *, row_number() OVER (
                ORDER BY family IN ({through}), coalesce(labels['exported_instance'], '') <> '', pod IS NULL,
                    port IS NULL, server
            ) AS rank
            FROM {scratch["alike_servers"]}
        ),
        pairs AS (
            SELECT a.server AS better, b.server AS worse, a.rank AS place, t.model, uneven,
                {server_names.same_pod("a", "b")} AS in_one_pod, coalesce(a.place = b.place, false) AS at_one_place,
                coalesce(a.place = b.place AND a.address IS NOT NULL, false) AS at_one_address,
                {server_names.same_host("a", "b")} AND (a.port IS NULL OR b.port IS NULL
                    OR (a.family IN ({through})) <> (b.family IN ({through}))) AS on_one_host,
                len(list_filter(map_keys(a.labels), lambda k: k NOT IN ({labels}) AND a.labels[k] <> ''
                    AND coalesce(b.labels[k], '') NOT IN ('', a.labels[k]))) > 0 AS contradicted
            FROM {scratch["alike_told"]} AS t
            JOIN ranked AS a ON a.server IN (one, other) JOIN ranked AS b ON b.server IN (one, other)
            WHERE a.rank < b.rank AND {may_be_one}
        ),
        counted AS (
            SELECT *, count(*) FILTER (on_one_host) OVER (PARTITION BY better, model) AS worse_ones,
                count(*) FILTER (on_one_host) OVER (PARTITION BY worse, model) AS better_ones
            FROM pairs
        )
        SELECT better, worse, min(place) AS place FROM counted
        WHERE CASE WHEN contradicted THEN uneven AND at_one_address
            WHEN uneven THEN in_one_pod OR at_one_place OR on_one_host
            ELSE at_one_place OR (on_one_host AND worse_ones <= better_ones) END
        GROUP BY better, worse"""


def _silent(scratch: Scratch) -> str:
    """SQL of key_no and t: the hours of servers in which the same one counts under other labels."""
    return f"""
        WITH members AS (
            SELECT one, one AS server, 0 AS turn FROM {scratch["same_servers"]}
            UNION SELECT one, server, 1 FROM {scratch["same_servers"]}
        ),
        hours AS (
            SELECT one, turn, server, model, kind, t, max(ppm) AS seen,
                max(max(ppm)) OVER (PARTITION BY one, model, kind, t) AS most
            FROM members JOIN {scratch["alike_keys"]} USING (server)
            JOIN {scratch["served"]} AS s ON s.key_no = part_no
            GROUP BY one, turn, server, model, kind, t
        ),
        judged AS (
            SELECT *, seen * 10 >= most * 9 AS good,
                coalesce(lag(good) OVER (PARTITION BY one, server, model, kind ORDER BY t), true) AS was_good
            FROM hours
        )
        SELECT part_no, t FROM (
            SELECT server, model, kind, t, row_number() OVER (
                PARTITION BY one, model, kind, t ORDER BY good AND was_good DESC, good DESC, turn, server) AS turn
            FROM judged
        ) JOIN {scratch["alike_keys"]} USING (server, model, kind) WHERE turn > 1"""

"""Alike: inference servers under other labels or metric names that count, hour by hour, what another one counts.

What belongs here: finding them, and telling of those that may be one. What does not: copies that names or equal values
show (`copies`), and making one of those that surely are (`same_servers`).

A server that is found as a pod and behind its Service, by two replicas under a label that nobody knows, or from itself
and through Ray, counts twice. Its counters show it: requests and tokens stand where those of the other one stand, but
for what comes in between two scrapes. Two servers that take turns have equal requests, but never equal tokens for long:
tokens may differ by as many requests as the requests differ, and a few that are under way.

An even load, which two servers may well have, shows it only where their names do not say that they are two.

What is told still counts: that two servers are one is likely, not certain.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from energy_assets.sources.prometheus import copies, doubles, same_servers, server_names
from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.counters import FINE

NOTE = "servers_that_count_alike"

OWN_LABELS = ("model_name", "model", "version", "engine", "engine_type", "finished_reason", "err", "reason",
    "tp_rank", "pp_rank", "dp_rank", "moe_ep_rank")  # fmt: skip
"""What an inference server writes itself, to tell its counters apart."""

PARTS = ("engine", "dp_rank", "version", "finished_reason")
"""Of these, the ones that tell parts of a server apart: servers that have none in common are not one."""

KINDS = 2
"""So many kinds of counters must agree, but at one address: requests alone are equal where servers take turns."""

LAST = 3
"""So many requests may come between two scrapes of a server that has few."""

TIMES, UNDER_WAY = 4, 20
"""Tokens may differ by so many times as many requests as the requests do, and by so many more."""


def find(scratch: Scratch, label: str) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many servers count what another one counts, and the first of them; what surely is one counts once.

    Args:
        scratch: Holds `keys`, `parts`, `bound`, `server_names` and `served`.
        label: Names the deployment: servers that differ in it are two.
    """
    _make_sums(scratch, label)
    found = doubles.pairs(scratch, scratch["alike_marks"], _things(scratch), _may_be_one("a", "b"), whole=False)
    pairs = scratch.make("alike_pairs", found)
    if not scratch.rows(f"SELECT 1 FROM {pairs} LIMIT 1"):
        return {}, {}
    _make_told(scratch)
    may_differ = ("__name__", *OWN_LABELS, *(name for name in copies.SCRAPE_LABELS if name != label))
    twice = same_servers.unite(scratch, may_differ, _may_be_one("a", "b"))
    servers = scratch["alike_servers"]
    rows = scratch.rows(f"""
        SELECT other, arg_min(a.labels, t.one), any_value(b.labels), min(model)
        FROM {scratch["alike_told"]} AS t ANTI JOIN {scratch["same_servers"]} AS s ON s.server IN (t.one, other)
        JOIN {servers} AS a ON a.server = t.one JOIN {servers} AS b ON b.server = other
        GROUP BY other ORDER BY other""")
    notes = {
        same_servers.NOTE: [words(one, other, "") for one, other in twice],
        NOTE: [words(one, other, model) for _, one, other, model in rows],
    }
    return {note: len(some) for note, some in notes.items()}, {note: some[:5] for note, some in notes.items() if some}


def _may_be_one(one: str, other: str) -> str:
    """SQL: whether two servers may be one, by all that names them."""
    parts = " AND ".join(
        f"(len({one}.{part}) = 0 OR len({other}.{part}) = 0 OR list_has_any({one}.{part}, {other}.{part}))"
        for part in PARTS
    )
    said = server_names.are_said_to_be_two(one, other)
    return f"(NOT {server_names.are_two(one, other)} AND NOT {said} AND {parts})"


def _make_sums(scratch: Scratch, label: str) -> None:
    """Make `alike_servers`, one row each with its names; `alike_sums`: key_no, server, model, kind; `alike_marks`."""
    own = ", ".join(quoted(name) for name in ("__name__", *OWN_LABELS))
    deployed = "NULL" if label in server_names.LABELS else f"nullif(metric[{quoted(label)}], '')"
    scratch.make(
        "alike_keys",
        f"""
        SELECT p.key_no AS part_no, counts AS kind, metric AS labels,
            regexp_extract(p.meter, '^[a-zA-Z0-9]+') AS family,
            family || list_sort(
                list_filter(map_entries(metric), lambda e: e.key NOT IN ({own}) AND e.value <> ''))::VARCHAR AS server,
            coalesce(metric['model_name'], metric['model'], '') AS model, device_id,
            {deployed} AS deployed,
            CASE WHEN model = '' THEN model_id END AS mapped
        FROM {scratch["parts"]} AS p JOIN (SELECT key_no, device_id FROM {scratch["keys"]}) USING (key_no)""",
    )
    names = ", ".join(f"any_value(n.{name}) AS {name}" for name in server_names.COLUMNS)
    parts = ", ".join(
        f"list_filter(list(DISTINCT labels[{quoted(part)}]), lambda p: p <> '') AS {part}" for part in PARTS
    )
    scratch.make(
        "alike_servers",
        f"""
        SELECT server, family, arg_min(labels, part_no) AS labels, any_value(deployed) AS deployed,
            any_value(mapped) AS mapped, {parts}, {names}
        FROM {scratch["alike_keys"]} JOIN {scratch["server_names"]} AS n USING (device_id) GROUP BY server, family""",
    )
    scratch.make(
        "alike_sums",
        f"""
        SELECT row_number() OVER (ORDER BY server, model, kind)::INTEGER AS key_no, * FROM (
            SELECT DISTINCT server, model, kind FROM {scratch["alike_keys"]}
        )""",
    )
    scratch.make(
        "alike_marks",
        f"""
        SELECT *, n - lag(n) OVER (PARTITION BY key_no ORDER BY t) AS up FROM (
            SELECT s.key_no, t, sum(n)::HUGEINT AS n
            FROM {scratch["bound"]} AS b JOIN {scratch["alike_keys"]} AS k ON k.part_no = b.key_no
            JOIN {scratch["alike_sums"]} AS s USING (server, model, kind) GROUP BY s.key_no, t
        )""",
    )


def _things(scratch: Scratch) -> str:
    """What `doubles.pairs` asks for: two readings may differ by the last `LAST` requests and their tokens."""
    return f"""
        WITH risen AS (
            SELECT key_no, server, model, kind, sum(up) FILTER (up > 0) AS up
            FROM {scratch["alike_sums"]} JOIN {scratch["alike_marks"]} USING (key_no) GROUP BY ALL
        )
        SELECT r.key_no, r.kind || ' ' || model AS thing, s.* EXCLUDE (server, labels), s.server AS owner,
            coalesce({LAST * FINE} * r.up // q.up, 0)::HUGEINT AS grain
        FROM risen AS r JOIN {scratch["alike_servers"]} AS s USING (server)
        LEFT JOIN (FROM risen WHERE kind = 'requests' AND up > 0) AS q USING (server, model)"""


def _make_told(scratch: Scratch) -> None:
    """Make `alike_told`: one, other, model, and whether their load is `uneven`, of servers whose counters agree."""
    pairs, sums, servers, levels = (
        scratch[name] for name in ("alike_pairs", "alike_sums", "alike_servers", "double_levels")
    )
    scratch.make(
        "alike_told",
        f"""
        WITH levelled AS (SELECT s.*, uneven FROM {sums} AS s JOIN {levels} USING (key_no)),
        agreeing AS (
            SELECT a.server AS one, b.server AS other, a.model, count(*) AS kinds,
                count(*) FILTER (a.uneven AND b.uneven) AS uneven_kinds
            FROM {pairs} JOIN levelled AS a ON a.key_no = one JOIN levelled AS b ON b.key_no = other GROUP BY ALL
        ),
        common AS (
            SELECT one, other, g.model, any_value(kinds) AS kinds, any_value(uneven_kinds) AS uneven_kinds,
                CASE WHEN any_value(x.place = y.place AND x.address IS NOT NULL) THEN 1 ELSE {KINDS} END AS wanted,
                count(*) FILTER ((a.uneven AND b.uneven) OR ({_may_be_one("x", "y")})) AS of_kinds
            FROM agreeing AS g JOIN levelled AS a ON a.server = one AND a.model = g.model
            JOIN levelled AS b ON b.server = other AND b.model = g.model AND b.kind = a.kind
            JOIN {servers} AS x ON x.server = one JOIN {servers} AS y ON y.server = other
            GROUP BY one, other, g.model
        )
        SELECT one, other, model, uneven_kinds >= least(kinds, {KINDS}) AS uneven
        FROM common ANTI JOIN ({_drifting(scratch)}) USING (one, other, model)
        WHERE kinds >= wanted AND kinds >= of_kinds""",
    )


def _drifting(scratch: Scratch) -> str:
    """SQL of one, other and model: pairs whose tokens differ by more than the requests between them explain."""
    sums, marks = scratch["alike_sums"], scratch["alike_marks"]
    return f"""
        WITH seen AS (SELECT server, model, kind, t, n, up FROM {marks} JOIN {sums} USING (key_no)),
        paired AS (
            SELECT a.server AS one, b.server AS other, a.model, a.kind, a.t, abs(a.n - b.n) AS apart, a.up
            FROM seen AS a JOIN seen AS b USING (model, kind, t)
            SEMI JOIN (
                SELECT x.server AS one, y.server AS other FROM {scratch["alike_pairs"]}
                JOIN {sums} AS x ON x.key_no = one JOIN {sums} AS y ON y.key_no = other
            ) AS p ON p.one = a.server AND p.other = b.server
        ),
        asked AS (SELECT one, other, model, t, apart, up FROM paired WHERE kind = 'requests'),
        sized AS (
            SELECT one, other, model, w.kind, w.apart, r.apart AS requests_apart,
                sum(w.up) FILTER (w.up > 0) OVER day AS tokens, sum(r.up) FILTER (r.up > 0) OVER day AS requests
            FROM paired AS w JOIN asked AS r USING (one, other, model, t) WHERE w.kind LIKE '%tokens'
            WINDOW day AS (PARTITION BY one, other, model, w.kind)
        )
        SELECT one, other, model FROM sized WHERE requests > 0 GROUP BY one, other, model, kind
        HAVING count(*) FILTER (apart * requests <= ({TIMES} * requests_apart + {UNDER_WAY * FINE}) * tokens)
            < {doubles.NEARLY} * count(*)"""


def words(one: Mapping[str, Any], other: Mapping[str, Any], model: str) -> str:
    """Both by their names, or by the labels that tell them apart where they have the same name.

    Args:
        one: Labels of a server.
        other: Of another one.
        model: That both serve.
    """
    first, second = ((some.get("pod") or some.get("instance") or "a server without a name") for some in (one, other))
    of_model = f" of {model}" if model else ""
    if first != second:
        return f"{first} and {second}{of_model}"
    labels = sorted(label for label in {*one, *other} - {"__name__"} if one.get(label) != other.get(label))
    shown = ", ".join(f"{label} {one.get(label) or 'none'} and {other.get(label) or 'none'}" for label in labels[:3])
    return f"{first}{of_model}: {shown or 'under two metric names'}"

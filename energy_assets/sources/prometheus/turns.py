"""Turns: a host that goes by another name for some hours and by its first one again.

What belongs here: seeing that a counter went on under another host's name while its own was not read, and counting that
once. What does not: hosts that are told of under both names in the same hours (`doubles`), and GPUs with a UUID
(`identity`).

What a counter went on by while it was not read counts in the hour in which it comes back. Where a counter of another
name filled that gap, standing all the time between what the first one showed before and after it, and counting most of
what lies between, both are one, and what the second one counted is taken off that hour.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.counters import HOUR_MS, whole
from energy_assets.sources.prometheus.doubles import THING

NOTE = "counters_read_under_two_names_by_turns"
EXAMPLES = 5


def count_once(scratch: Scratch, start: int) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """Take off `amounts` what counters under other names counted in gaps.

    Args:
        scratch: Holds `keys`, `bound`, `lowest`, `earlier`, `suspicious`, `mirrored` and `amounts`.
        start: Of the day, in unix milliseconds.

    Returns:
        How many counters went on under another name, and the first of them.
    """
    scratch.make(
        "turn_hours",
        f"""
        SELECT key_no, t, coalesce(least(l.n, b.n), b.n) AS low, b.n AS high
        FROM {scratch["bound"]} AS b LEFT JOIN {scratch["lowest"]} AS l USING (key_no, t)
        UNION ALL SELECT key_no, 0, n, n FROM {scratch["earlier"]}""",
    )
    scratch.make(
        "turn_gaps",
        f"""
        SELECT key_no, since, t AS until, was, low AS after FROM (
            SELECT *, lag(t) OVER w AS since, lag(high) OVER w AS was
            FROM {scratch["turn_hours"]} WINDOW w AS (PARTITION BY key_no ORDER BY t)
        ) AS h ANTI JOIN {scratch["suspicious"]} USING (key_no, t) ANTI JOIN {scratch["mirrored"]} USING (key_no)
        WHERE t - since > {HOUR_MS} AND low > was""",
    )
    if not scratch.rows(f"SELECT 1 FROM {scratch['turn_gaps']} LIMIT 1"):
        return {}, {}
    scratch.make("turns", _turns(scratch, start))
    scratch.con.raw_sql(f"""
        UPDATE {scratch["amounts"]} AS a SET n = a.n - o.n
        FROM (SELECT one, until, sum(n)::HUGEINT AS n FROM {scratch["turns"]} GROUP BY one, until) AS o
        WHERE a.key_no = o.one AND a.t = o.until""")
    told = scratch.rows(f"""
        SELECT a.node_id || ' was ' || string_agg(DISTINCT b.node_id, ', ' ORDER BY b.node_id) || ', by ' || a.meter
        FROM {scratch["turns"]} JOIN {scratch["keys"]} AS a ON a.key_no = one
        JOIN {scratch["keys"]} AS b ON b.key_no = other
        GROUP BY one, a.node_id, a.meter ORDER BY 1""")
    return {NOTE: len(told)}, {NOTE: [text for (text,) in told[:EXAMPLES]]} if told else {}


def _turns(scratch: Scratch, start: int) -> str:
    """SQL of `one`, `until` (the hour in which its gap ends), `other`, which filled the gap, and `n`, what it counted.

    What the other one counted before the day, the day before has counted: of that, nothing is left in the gap.
    """
    keys, hours = scratch["keys"], scratch["turn_hours"]
    return f"""
        WITH things AS (
            SELECT key_no, meter || ' ' || {THING} AS thing, node_id FROM {keys}
            ANTI JOIN {scratch["mirrored"]} USING (key_no) WHERE counter AND device_uuid IS NULL
        ),
        within AS (
            SELECT g.key_no AS one, b.key_no AS other, since, until, was, after,
                min(h.low) AS first, max(h.high) AS last, min(h.t) AS begins, bool_or(s.key_no IS NOT NULL) AS fell
            FROM {scratch["turn_gaps"]} AS g JOIN things AS a USING (key_no)
            JOIN things AS b ON b.thing = a.thing AND b.node_id <> a.node_id
            JOIN {hours} AS h ON h.key_no = b.key_no AND h.t > 0 AND h.t BETWEEN since AND until
            LEFT JOIN {scratch["suspicious"]} AS s ON s.key_no = h.key_no AND s.t = h.t
            GROUP BY ALL HAVING first >= was AND last <= after AND NOT fell
        ),
        beside AS (
            SELECT DISTINCT one, other FROM (SELECT DISTINCT one, other FROM within)
            JOIN {hours} AS a ON a.key_no = one JOIN {hours} AS b ON b.key_no = other AND b.t = a.t AND b.t > 0
            ANTI JOIN within AS w ON w.one = a.key_no AND w.other = b.key_no AND a.t IN (w.since, w.until)
            ANTI JOIN within AS v ON v.other = a.key_no AND v.one = b.key_no AND a.t IN (v.since, v.until)
        )
        SELECT one, other, until, {whole("last")} - {whole(f"CASE WHEN begins <= {start} THEN was ELSE first END")} AS n
        FROM within ANTI JOIN beside USING (one, other)
        WINDOW gap AS (PARTITION BY one, until)
        QUALIFY sum(last - first) OVER gap * 2 >= after - was AND sum(last - first) OVER gap <= after - was"""

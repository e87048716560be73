"""Counters: energy (or requests, tokens) of an hour from values at its boundaries, exact over restarts.

What belongs here: the arithmetic of counters, in whole units, over tables in DuckDB. What does not: labels, units
and PromQL. Method: the amount of an hour is the last value at or before its end minus the last value at or before
its start, so hours and days telescope. Hours in which a counter may have gone down are *suspicious*; only for
these all samples are read, and a decrease found there is a restart from zero or a wrap at the counter's maximum.

Tables read (times in unix ms; `t` of an hour is its end; `n` a HUGEINT in thousandths of a unit):
    keys       key_no, wrap_n, limit_n (n per ms that nothing exceeds), both NULL where unknown
    observed   key_no, role, t, n, state (ok, nan, sentinel, negative)
    counted    key_no, t, samples: how many samples the hour has
Tables made:
    bound      key_no, t, n: last value of the hour as the server tells it
    lowest     key_no, t, n, negative: lowest value of the hour
    earlier    key_no, n: last value of the day before, of keys that had none in its last hours
    suspicious key_no, t
    amounts    key_no, t, n in whole units, restarts, wraps, blips, jumps

The running total is rounded, not the steps: the units of a day's hours add up to those of the day.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from energy_assets.sources.prometheus.answers import Scratch

HOUR_MS = 3_600_000
FINE = 1000
"""Parts of a unit that are calculated with."""
HOUR_OF = f"((t + {HOUR_MS - 1}) // {HOUR_MS} * {HOUR_MS})"
"""The end of the hour a sample counts for; a sample on the hour ends that hour."""


def find_suspicious(scratch: Scratch) -> None:
    """Make `bound`, `lowest`, `earlier` and `suspicious`.

    An hour is suspicious when a series of the device went down in it, when its lowest value is below the last
    known one (a restart that also changed the labels, or one in a gap), or when it mixes good and bad samples.
    """
    observed = scratch["observed"]
    scratch.make(
        "bound",
        f"SELECT key_no, t, max(n) AS n FROM {observed} WHERE role = 'boundary' AND state = 'ok' GROUP BY key_no, t",
    )
    scratch.make(
        "lowest",
        f"""
        SELECT key_no, t, min(n) FILTER (state = 'ok') AS n, bool_or(state = 'negative') AS negative
        FROM {observed} WHERE role = 'minimum' GROUP BY key_no, t""",
    )
    scratch.make(
        "earlier",
        f"""
        SELECT key_no, max(n) AS n FROM {observed} AS o
        WHERE role = 'lookback' AND state = 'ok'
          AND NOT EXISTS (FROM {scratch["bound"]} AS b WHERE b.key_no = o.key_no AND b.t <= o.t)
        GROUP BY key_no""",
    )
    scratch.make(
        "suspicious",
        f"""
        WITH events AS (
            SELECT key_no, t, b.n AS last_n, l.n AS low_n
            FROM {scratch["bound"]} AS b FULL JOIN {scratch["lowest"]} AS l USING (key_no, t)
            UNION ALL SELECT key_no, 0, n, NULL FROM {scratch["earlier"]}
        ),
        sequence AS (
            SELECT key_no, t, low_n, last_value(last_n IGNORE NULLS) OVER (
                PARTITION BY key_no ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS known_n
            FROM events
        ),
        marked AS (
            SELECT DISTINCT key_no, t FROM {observed} WHERE role IN ('resets', 'irregular')
        )
        SELECT key_no, t FROM sequence WHERE low_n < known_n
        UNION SELECT key_no, t FROM {scratch["lowest"]} WHERE negative
        UNION SELECT m.key_no, m.t FROM marked AS m LEFT JOIN {scratch["lowest"]} AS l USING (key_no, t)
            WHERE l.key_no IS NULL OR l.n IS NOT NULL""",
    )


def first_samples(scratch: Scratch) -> str:
    """Where a key that was never seen before starts: at its first sample, if its first hour has a second one."""
    return f"""
        SELECT key_no, l.t - {HOUR_MS} AS t, l.n
        FROM (
            SELECT key_no, min(t) AS t, arg_min(n, t) AS n FROM {scratch["lowest"]} WHERE n IS NOT NULL
            GROUP BY key_no
        ) AS l
        JOIN {scratch["counted"]} AS c USING (key_no, t)
        ANTI JOIN {scratch["earlier"]} USING (key_no)
        ANTI JOIN {scratch["suspicious"]} USING (key_no, t)
        WHERE c.samples > 1
          AND NOT EXISTS (FROM {scratch["bound"]} AS b WHERE b.key_no = l.key_no AND b.t < l.t)"""


def add_up(scratch: Scratch, starts: str) -> None:
    """Make `amounts`: what each counter counted in each hour.

    Boundary values of plain hours and all samples of suspicious ones form one sequence per key; each step of it
    counts for the hour of its later end.

    Args:
        scratch: Holds the tables read.
        starts: A query of (key_no, t, n): where keys start that were never seen before.
    """
    points = f"""
        SELECT key_no, t, n, true AS derived
        FROM {scratch["bound"]} ANTI JOIN {scratch["suspicious"]} USING (key_no, t)
        UNION ALL SELECT key_no, t, n, false FROM {scratch["observed"]} WHERE role = 'raw' AND state = 'ok'
        UNION ALL SELECT key_no, 0, n, true FROM {scratch["earlier"]}
        UNION ALL SELECT key_no, t, n, true FROM ({starts})"""
    before = "OVER (PARTITION BY key_no ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    after = "OVER (PARTITION BY key_no ORDER BY t ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)"
    scratch.make(
        "amounts",
        f"""
        WITH points AS (
            SELECT key_no, t, max(n) AS n, bool_and(derived) AS derived FROM ({points}) GROUP BY key_no, t
        ),
        around AS (
            SELECT
                *,
                last_value(nullif(n, 0) IGNORE NULLS) {before} AS n_before,
                first_value(nullif(n, 0) IGNORE NULLS) {after} AS n_after,
                first_value(CASE WHEN n <> 0 THEN t END IGNORE NULLS) {after} AS t_after
            FROM points JOIN {scratch["keys"]} USING (key_no)
        ),
        judged AS (
            SELECT *, coalesce(
                wrap_n IS NULL AND n < n_before AND n_after >= n_before
                AND n_after - n > limit_n * (t_after - t), false) AS blip
            FROM around
        ),
        steps AS (
            SELECT *, lag(n) OVER w AS was, t - lag(t) OVER w + CASE WHEN lag(derived) OVER w THEN {HOUR_MS} ELSE 0 END
                AS within_ms
            FROM judged WHERE NOT blip WINDOW w AS (PARTITION BY key_no ORDER BY t)
        ),
        gains AS (
            SELECT
                key_no, t, n AS n_now, was,
                CASE WHEN n >= was THEN n - was
                     WHEN wrap_n IS NOT NULL THEN n - was + wrap_n
                     WHEN n > limit_n * within_ms THEN 0
                     WHEN n < was THEN n END AS n,
                n < was AND wrap_n IS NULL AND coalesce(n <= limit_n * within_ms, true) AS restart,
                n < was AND wrap_n IS NOT NULL AS wrap,
                n < was AND wrap_n IS NULL AND coalesce(n > limit_n * within_ms, false) AS jump
            FROM steps
        ),
        totals AS (
            SELECT *, first_value(n_now) OVER w + coalesce(sum(n) OVER w, 0)::HUGEINT AS total,
                total - coalesce(n, 0) AS total_was
            FROM gains WINDOW w AS (PARTITION BY key_no ORDER BY t ROWS UNBOUNDED PRECEDING)
        ),
        counts AS (
            SELECT key_no, {HOUR_OF} AS t, restart, wrap, jump,
                CASE WHEN n IS NOT NULL THEN {_whole("total")} - {_whole("total_was")} END AS n
            FROM totals
        ),
        blips AS (SELECT key_no, {HOUR_OF} AS t, count(*) AS blips FROM judged WHERE blip GROUP BY ALL)
        SELECT
            key_no, t, c.n, coalesce(c.restarts, 0) AS restarts, coalesce(c.wraps, 0) AS wraps,
            coalesce(b.blips, 0) AS blips, coalesce(c.jumps, 0) AS jumps
        FROM (
            SELECT key_no, t, sum(n)::HUGEINT AS n, count(*) FILTER (restart) AS restarts,
                count(*) FILTER (wrap) AS wraps, count(*) FILTER (jump) AS jumps
            FROM counts GROUP BY key_no, t
        ) AS c FULL JOIN blips AS b USING (key_no, t)""",
    )


def _whole(fine: str) -> str:
    return f"(({fine} + {FINE // 2}) // {FINE})"

"""Pace: how far apart the scrapes of every device are in every hour, so that samples can be counted as time.

What belongs here: finding scrape intervals, and which samples must be looked at for them. What does not: observed time
itself (`sharing`).

Two clusters in one Thanos may scrape one job at intervals of their own, and an interval changes with a deployment. So
hours of a device in which it has about equally many samples are looked at apart (`level`, half an octave wide), if
there are at least `HOURS` of them: of each job and level one device's hour is asked for, and its samples tell the
interval. Other hours (an outage, a restart) have the interval of the hours before them; one between two intervals, if
its samples fit, is one in which the interval changed and nothing is missing.

Tables read: `named`, `keys`, `points`, `counted`.
Tables made:
    steady     key_no, t, job, level
    pace       job, interval_ms
    intervals  key_no, t, interval_ms (NULL where nothing is known)
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.counters import HOUR_MS, HOUR_OF

HOURS = 2
ALIKE_PCT = 95
"""Hours of one interval have so much of the samples of the fullest one at least; scrapes jitter."""
LEVELS = 6
"""Levels of a job that are looked at, those with most hours first."""


def find_steady(scratch: Scratch) -> None:
    """Make `steady`: hours of devices with about as many samples as several others of theirs.

    Args:
        scratch: Holds `counted`.
    """
    scratch.make(
        "steady",
        f"""
        SELECT key_no, t, job, level FROM (
            SELECT key_no, t, job, level FROM (
                SELECT *, round(2 * log2(largest))::INTEGER AS level FROM {scratch["counted"]} WHERE largest > 1
            )
            QUALIFY largest * 100 >= max(largest) OVER (PARTITION BY key_no, job, level) * {ALIKE_PCT} - 100
        ) QUALIFY count(*) OVER (PARTITION BY key_no, job, level) >= {HOURS}""",
    )


def unknown(scratch: Scratch) -> str:
    """SQL of job, t, meter, match_label, match_value: one device's hour of every job and level to be looked at.

    Args:
        scratch: Holds `steady` and, besides the tables read, `suspicious`, whose samples are looked at anyway.
    """
    return f"""
        WITH hours AS (
            SELECT c.job, s.level, c.key_no, c.t, c.largest, c.largest > 10 AND x.key_no IS NOT NULL AS looked_at
            FROM {scratch["counted"]} AS c LEFT JOIN {scratch["steady"]} AS s USING (key_no, t)
            LEFT JOIN {scratch["suspicious"]} AS x USING (key_no, t)
        ),
        levels AS (
            SELECT job, level, count(*) AS hours, bool_or(looked_at) AS looked_at FROM hours GROUP BY job, level
        ),
        wanted AS (
            SELECT job, level, looked_at FROM levels
            QUALIFY row_number() OVER (PARTITION BY job ORDER BY level IS NULL, hours DESC, level) <= {LEVELS}
                AND (level IS NOT NULL OR count(*) OVER (PARTITION BY job) = 1)
        )
        SELECT h.job, h.t, meter, match_label, match_value
        FROM hours AS h
        JOIN wanted AS w ON w.job = h.job AND w.level IS NOT DISTINCT FROM h.level AND NOT w.looked_at
        JOIN {scratch["keys"]} USING (key_no) JOIN {scratch["named"]} USING (meter, node_id, device_id)
        WHERE counter
        QUALIFY row_number() OVER (
            PARTITION BY h.job, h.level ORDER BY h.largest DESC, h.t, h.key_no, match_label, match_value) = 1
        ORDER BY h.job, h.level"""


def measure(scratch: Scratch) -> None:
    """Make `pace` and `intervals` from the samples that were looked at.

    Args:
        scratch: Holds the tables read.
    """
    find_steady(scratch)
    looked_at = scratch.make(
        "looked_at",
        f"""
        SELECT series_no, coalesce(metric['job'], '') AS job, key_no
        FROM {scratch["named"]} LEFT JOIN {scratch["keys"]} USING (meter, node_id, device_id)
        WHERE role IN ('interval', 'raw')""",
    )
    distances = scratch.make(
        "distances",
        f"""
        SELECT series_no, {HOUR_OF} AS hour, apart FROM (
            SELECT series_no, t, t - lag(t) OVER (PARTITION BY series_no ORDER BY t) AS apart
            FROM {scratch["points"]} SEMI JOIN {looked_at} USING (series_no)
        ) WHERE apart > 0""",
    )
    scratch.make(
        "pace",
        f"""
        SELECT job, median(apart)::BIGINT AS interval_ms FROM {distances} JOIN {looked_at} USING (series_no)
        GROUP BY job""",
    )
    whole = f"({HOUR_MS} + largest - 1) // largest"
    scratch.make(
        "intervals",
        f"""
        WITH levels AS (
            SELECT s.job, level, median(apart)::BIGINT AS interval_ms
            FROM {distances} AS d JOIN {looked_at} AS l USING (series_no)
            JOIN {scratch["steady"]} AS s ON s.key_no = l.key_no AND s.t = d.hour AND s.job = l.job
            GROUP BY s.job, level
        ),
        known AS (
            SELECT c.key_no, c.t, c.job, largest, l.interval_ms
            FROM {scratch["counted"]} AS c LEFT JOIN {scratch["steady"]} AS s USING (key_no, t)
            LEFT JOIN levels AS l ON l.job = s.job AND l.level = s.level
        ),
        around AS (
            SELECT *, last_value(interval_ms IGNORE NULLS) OVER (w ROWS UNBOUNDED PRECEDING) AS before,
                first_value(interval_ms IGNORE NULLS) OVER (
                    w ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS after,
                lag(interval_ms) OVER w AS last, lead(interval_ms) OVER w AS next,
                lag(t) OVER w = t - {HOUR_MS} AND lead(t) OVER w = t + {HOUR_MS} AS between
            FROM known WINDOW w AS (PARTITION BY key_no ORDER BY t)
        )
        SELECT key_no, t, CASE
            WHEN a.interval_ms IS NULL AND between AND last <> next AND {whole}
                BETWEEN least(last, next) AND greatest(last, next) THEN {whole}
            ELSE coalesce(a.interval_ms, before, after, p.interval_ms) END AS interval_ms
        FROM around AS a LEFT JOIN {scratch["pace"]} AS p USING (job)""",
    )

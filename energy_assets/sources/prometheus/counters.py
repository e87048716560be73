"""Counters: energy (or requests, tokens) of an hour from values at its boundaries, exact over restarts.

What belongs here: the arithmetic of counters, in whole units, over tables in DuckDB. What does not: labels, units
and PromQL. Method: the amount of an hour is the last value at or before its end minus the last value at or before
its start, so hours and days telescope. Hours in which a counter may have gone down are *suspicious*; only for
these all samples are read, and a decrease found there is a restart from zero or a wrap at the counter's maximum
(`_restarted`).

Tables read (times in unix ms; `t` of an hour is its end; `n` a HUGEINT in thousandths of a unit):
    keys       key_no, node_id, wrap_n, limit_n (n per ms that nothing exceeds), both NULL where unknown
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

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch

OFTEN = "counters_that_fall_often"

HOUR_MS = 3_600_000
FINE = 1000
"""Parts of a unit that are calculated with."""
OLD_PCT = 99
"""A reading of at least this much of a higher one before it is an old one, which another exporter kept: a counter that
starts again shows next to nothing of it. Unless it fell in between and had the time to come so far again."""
FEW_RESTARTS = 6
"""A counter that falls more often on a day is no counter of one thing that starts again."""
MOST_PACE = 60
"""So many times the mean pace of its best hour a counter may have counted since it started again: what comes in bursts
has counted all of an hour in a minute."""
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
            SELECT DISTINCT key_no, t FROM {observed} WHERE role = 'marked'
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


def limit_by_pace(scratch: Scratch) -> None:
    """Set `limit_n` of counters of which nothing else says how fast they are: `MOST_PACE` times their best hour.

    A fall to more than that is no restart from zero. A counter without two whole hours side by side has no limit.

    Args:
        scratch: Holds `keys`, `bound` and `suspicious`.
    """
    scratch.con.raw_sql(f"""
        UPDATE {scratch["keys"]} AS k SET limit_n = best * {MOST_PACE} // {HOUR_MS} + 1
        FROM (
            SELECT key_no, max(up) AS best FROM (
                SELECT key_no, t, n - lag(n) OVER w AS up, t - lag(t) OVER w AS ms
                FROM {scratch["bound"]} WINDOW w AS (PARTITION BY key_no ORDER BY t)
            ) AS h WHERE ms = {HOUR_MS} AND up > 0 AND NOT EXISTS (
                FROM {scratch["suspicious"]} AS s WHERE s.key_no = h.key_no AND s.t IN (h.t, h.t - {HOUR_MS})
            ) GROUP BY key_no
        ) AS paces
        WHERE paces.key_no = k.key_no AND k.limit_n IS NULL""")


def find_often(scratch: Scratch, first: int, last: int, falls: str = "restarts + jumps") -> None:
    """Make `often`: key_no and falls, of the counters that fall more than `FEW_RESTARTS` times.

    Args:
        scratch: Holds `amounts`.
        first: End of the day's first hour, in unix milliseconds.
        last: End of its last hour.
        falls: SQL of what a fall is in `amounts`.
    """
    scratch.make(
        "often",
        f"""
        SELECT key_no, sum({falls})::BIGINT AS falls FROM {scratch["amounts"]} WHERE t BETWEEN {first} AND {last}
        GROUP BY key_no HAVING falls > {FEW_RESTARTS}""",
    )


def told_often(scratch: Scratch, name: str) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many counters fall often, and the first of them.

    Args:
        scratch: Holds `often` and `keys`.
        name: SQL of a counter's name by the columns of `keys`.
    """
    rows = scratch.rows(f"""
        SELECT {name} || ', ' || falls || ' times' FROM {scratch["often"]} JOIN {scratch["keys"]} USING (key_no)
        ORDER BY falls DESC, 1""")
    return {OFTEN: len(rows)}, {OFTEN: [text for (text,) in rows[:5]]} if rows else {}


def add_up(scratch: Scratch, starts: str) -> None:
    """Make `amounts`: what each counter counted in each hour.

    Boundary values of plain hours and all samples of suspicious ones form one sequence per key; each step of it
    counts for the hour of its later end.

    Args:
        scratch: Holds the tables read.
        starts: A query of (key_no, t, n): where keys start that were never seen before.
    """
    scratch.make(
        "plain",
        f"""
        SELECT key_no, t, n FROM {scratch["bound"]} ANTI JOIN {scratch["suspicious"]} USING (key_no, t)
        UNION ALL SELECT key_no, 0, n FROM {scratch["earlier"]}
        UNION ALL SELECT key_no, t, n FROM ({starts})""",
    )
    parts = [
        f"""
        SELECT key_no, t, {whole("n")} - {whole("lag(n) OVER (PARTITION BY key_no ORDER BY t)")} AS n,
            0::BIGINT AS restarts, 0::BIGINT AS wraps, 0::BIGINT AS blips, 0::BIGINT AS jumps
        FROM {scratch["plain"]} ANTI JOIN {scratch["suspicious"]} USING (key_no)"""
    ]
    if scratch.rows(f"SELECT 1 FROM {scratch['suspicious']} LIMIT 1"):
        _find_steps(scratch)
        parts.append(_amounts_of_steps(scratch))
    scratch.make("amounts", " UNION ALL ".join(f"({part})" for part in parts))


def _find_steps(scratch: Scratch) -> None:
    """Make `steps` and `blips` of the keys with suspicious hours: from reading to reading, and what it is."""
    before = "OVER (PARTITION BY key_no ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    after = "OVER (PARTITION BY key_no ORDER BY t ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)"
    scratch.make(
        "judged",
        f"""
        WITH points AS (
            SELECT key_no, t, max(n) AS n, bool_and(derived) AS derived
            FROM (
                SELECT key_no, t, n, true AS derived FROM {scratch["plain"]}
                UNION ALL
                SELECT key_no, t, n, false FROM {scratch["observed"]} WHERE role = 'raw' AND state = 'ok'
            ) SEMI JOIN {scratch["suspicious"]} USING (key_no) GROUP BY key_no, t
        ),
        lives AS (
            SELECT *, count(*) FILTER (fell) OVER (PARTITION BY key_no ORDER BY t) AS life
            FROM (SELECT *, coalesce(n * 100 < lag(n) OVER (PARTITION BY key_no ORDER BY t) * {OLD_PCT}, false) AS fell
                FROM points)
        ),
        around AS (
            SELECT
                * EXCLUDE (fell),
                last_value(nullif(n, 0) IGNORE NULLS) {before} AS n_before,
                first_value(nullif(n, 0) IGNORE NULLS) {after} AS n_after,
                first_value(CASE WHEN n <> 0 THEN t END IGNORE NULLS) {after} AS t_after,
                max(n) {before} AS highest,
                max(n) {before.replace("key_no", "key_no, life")} AS highest_of_life,
                n - first_value(n) OVER of_life AS up_of_life, t - first_value(t) OVER of_life AS ms_of_life
            FROM lives JOIN (SELECT key_no, node_id, wrap_n, limit_n FROM {scratch["keys"]}) USING (key_no)
            WINDOW of_life AS (PARTITION BY key_no, life ORDER BY t)
        )
        SELECT key_no, t, n, derived, node_id, wrap_n, limit_n, coalesce(
            wrap_n IS NULL AND limit_n IS NOT NULL AND (
                (n < n_before AND n_after >= n_before AND n_after - n > limit_n * (t_after - t))
                OR (n < highest_of_life AND n * 100 >= highest_of_life * {OLD_PCT})
                OR (n < highest AND n * 100 >= highest * {OLD_PCT} AND up_of_life > limit_n * ms_of_life)
            ), false) AS blip
        FROM around""",
    )
    scratch.make(
        "steps",
        f"""
        SELECT key_no, node_id, t, n, wrap_n, limit_n, was, within_ms,
            CASE WHEN was IS NULL THEN NULL WHEN n >= was THEN 'gain' WHEN wrap_n IS NOT NULL THEN 'wrap'
                 WHEN n > limit_n * within_ms THEN 'jump' ELSE 'restart' END AS what
        FROM (
            SELECT *, lag(n) OVER w AS was, t - lag(t) OVER w + CASE WHEN lag(derived) OVER w THEN {HOUR_MS} ELSE 0 END
                AS within_ms
            FROM {scratch["judged"]} WHERE NOT blip WINDOW w AS (PARTITION BY key_no ORDER BY t)
        )""",
    )
    if scratch.rows(f"SELECT 1 FROM {scratch['steps']} WHERE what = 'wrap' LIMIT 1"):
        scratch.make("restarted", _restarted(scratch))
        scratch.con.raw_sql(f"""
            UPDATE {scratch["steps"]} AS s SET what = 'restart'
            FROM {scratch["restarted"]} AS r WHERE s.key_no = r.key_no AND s.t = r.t""")


def _restarted(scratch: Scratch) -> str:
    """Decreases of wrapping counters that are no wraps but restarts from zero.

    RAPL counters start again at 0 from `max_energy_range_uj`, several times an hour under load, and at every boot
    (Linux, Documentation/power/powercap: energy_uj, max_energy_range_uj). A decrease is a restart when

    * as a wrap it would be more energy than the counter can have counted in that time: twice the highest power
      that this counter shows on this day in a step without a decrease, or the limit of its kind; or
    * the host restarted in that time: another of its zones did, by the first rule; or all of its counters that
      never wrap (GPUs) started again together.

    Where a wrap just before the maximum is taken for a restart, what is lost is at most the energy of one scrape
    interval; a restart taken for a wrap would add up to the whole range of the counter.
    """
    overlap = "o.node_id = w.node_id AND o.t > w.t - w.within_ms AND o.t - o.within_ms < w.t"
    return f"""
        WITH rates AS (
            SELECT key_no, max((n - was) // within_ms) AS rate
            FROM {scratch["steps"]} WHERE what = 'gain' AND n > was GROUP BY key_no
        ),
        wraps AS (
            SELECT key_no, node_id, t, within_ms,
                was > wrap_n OR n - was + wrap_n > least(limit_n, coalesce(2 * (rate + 1), limit_n)) * within_ms
                    AS implausible
            FROM {scratch["steps"]} LEFT JOIN rates USING (key_no) WHERE what = 'wrap'
        ),
        others AS (
            SELECT node_id, count(DISTINCT key_no) AS counters
            FROM {scratch["bound"]} JOIN {scratch["keys"]} USING (key_no) WHERE wrap_n IS NULL GROUP BY node_id
        )
        SELECT key_no, t FROM wraps WHERE implausible
        UNION SELECT w.key_no, w.t FROM wraps AS w JOIN wraps AS o ON {overlap} AND o.implausible
        UNION SELECT w.key_no, w.t
            FROM wraps AS w JOIN {scratch["steps"]} AS o ON {overlap} AND o.what = 'restart'
            JOIN others ON others.node_id = w.node_id
            GROUP BY w.key_no, w.t, counters HAVING count(DISTINCT o.key_no) = counters"""


def _amounts_of_steps(scratch: Scratch) -> str:
    return f"""
        WITH gains AS (
            SELECT key_no, t, n, what, CASE what WHEN 'gain' THEN n - was WHEN 'wrap' THEN n - was + wrap_n
                WHEN 'restart' THEN n WHEN 'jump' THEN 0 END AS gain
            FROM {scratch["steps"]}
        ),
        totals AS (
            SELECT key_no, t, what, gain, first_value(n) OVER w + coalesce(sum(gain) OVER w, 0)::HUGEINT AS total
            FROM gains WINDOW w AS (PARTITION BY key_no ORDER BY t ROWS UNBOUNDED PRECEDING)
        )
        SELECT
            key_no, {HOUR_OF} AS t, sum({whole("total")} - {whole("total - gain")})::HUGEINT AS n,
            count(*) FILTER (what = 'restart') AS restarts, count(*) FILTER (what = 'wrap') AS wraps,
            count(*) FILTER (what = 'blip') AS blips, count(*) FILTER (what = 'jump') AS jumps
        FROM (
            FROM totals
            UNION ALL SELECT key_no, t, 'blip', NULL, NULL FROM {scratch["judged"]} WHERE blip
        ) GROUP BY ALL"""


def whole(fine: str) -> str:
    """SQL of a running total in whole units.

    Args:
        fine: SQL of it in parts of a unit.
    """
    return f"(({fine} + {FINE // 2}) // {FINE})"

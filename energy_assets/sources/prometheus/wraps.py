"""Wraps: counters that may have gone round more than once between two readings, which no arithmetic can tell.

What belongs here: saying where. What does not: the arithmetic (`counters`), which takes one round where it sees one.

A counter that goes round after a range of joules tells powers up to its range by the time between readings. What
it measures may draw more than that where scrapes are far apart (65,532 J in 300 s are 218 W), and after a gap of hours.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.counters import HOUR_MS

NOTE = "counters_that_may_wrap_twice"
EXAMPLES = 5
MOST_W = {"cpu": 500, "dram": 200}
"""What a package draws at most (the largest stated: AMD EPYC 9965 and Intel Xeon 6980P with 500 W), and its sixteen
modules of memory with some 12 W each."""

_JOULES_PER_N = 3.6e-6


def told(scratch: Scratch, first: int, last: int) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many counters may have gone round twice unseen, and how often each should be read.

    A counter that restarts after a gap has no round in it that could be missed.

    Args:
        scratch: Holds `keys`, `amounts`, `seen` and `bound`.
        first: End of the day's first hour, in unix milliseconds.
        last: End of its last hour.
    """
    most = ", ".join(f"({quoted(kind)}, {watts})" for kind, watts in MOST_W.items())
    rows = scratch.rows(f"""
        WITH ranges AS (
            SELECT key_no, node_id, device_id, meter, wrap_n * {_JOULES_PER_N}::DOUBLE AS joules, watts
            FROM {scratch["keys"]} JOIN (VALUES {most}) AS m(device_kind, watts) USING (device_kind)
            WHERE counter AND wrap_n IS NOT NULL
        ),
        apart AS (
            SELECT key_no, interval_ms AS ms, false AS gap
            FROM {scratch["amounts"]} JOIN {scratch["seen"]} USING (key_no, t)
            WHERE wraps > 0 AND t BETWEEN {first} AND {last}
            UNION ALL
            SELECT key_no, ms, true FROM (
                SELECT key_no, t, t - lag(t) OVER (PARTITION BY key_no ORDER BY t) AS ms FROM {scratch["bound"]}
            ) JOIN {scratch["amounts"]} USING (key_no, t)
            WHERE ms > {HOUR_MS} AND restarts = 0 AND t BETWEEN {first} AND {last}
        )
        SELECT node_id, device_id, meter, joules, watts, max(ms) FILTER (NOT gap) AS interval_ms,
            max(ms) FILTER (gap) AS gap_ms
        FROM ranges JOIN apart USING (key_no) WHERE joules * 1000 < watts * ms
        GROUP BY ALL ORDER BY ALL""")
    lines = [_line(*row) for row in rows]
    return ({NOTE: len(lines)}, {NOTE: lines[:EXAMPLES]}) if lines else ({}, {})


def _line(
    node: str, device: str, meter: str, joules: float, watts: int, interval_ms: int | None, gap_ms: int | None
) -> str:
    """What is said of one counter: its range, the time between readings, and what is lost above which power."""
    which = f"{device} on {node}: {meter} goes round every {joules:,.0f} J"
    if interval_ms is None:
        hours = (gap_ms or 0) / HOUR_MS
        return f"{which} and was not read for some {hours:,.0f} h: what it used in them may be more"
    told_w = joules * 1000 / interval_ms
    return (
        f"{which} and is read every {interval_ms / 1000:,.0f} s: more than {told_w:,.0f} W cannot be told; read it"
        f" every {int(joules // watts)} s or more often"
    )

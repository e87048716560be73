"""Segments: stretches of time with the mean load of a processor or GPU, from what was read at their two ends.

What belongs here: differences of seconds, gauges, gaps, restarts, and values that cannot be. What does not: which
machine is meant (`machines`) and hours (`hours`).

Between two scrapes a machine was busy for the seconds its processors worked, of the seconds that passed for them. A
counter that restarts counts from zero, if the machine really started in between: all modes together say how long it has
been running. Where processors came or went, the sums of both ends speak of different things, and nothing is known. A
value of a gauge speaks of the time since the value before it.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.devices import first_label
from energy_assets.sources.prometheus_utilization.meters import LoadMeter
from energy_assets.sources.prometheus_utilization.queries import MODEL

FULL, ROUNDED = 1.0, 1.01
"""Full load, and what rounding may make of it: it is taken as full."""
MOST_ABOVE = 10
"""Where more than one value in so many of a device is above full load, none of its values is what it is taken for."""
CLOCK_MS = 1000
"""A machine's own clock and the time between scrapes may differ by so much."""
SLOWEST, FASTEST = 0.5, 1.5
"""Seconds of processors per second that passed: scrapes are late, and sums of other processors are further off."""
_BILLION = 1_000_000_000
_BOARD, _SMALL_BOARD = 7, 4
"""Slices of a GPU that may be divided: seven, of an A30 four (NVIDIA MIG user guide)."""


def make(scratch: Scratch, meters: Sequence[LoadMeter], labels: Sequence[str], max_gap_s: int) -> None:
    """Make `named`, `segments` (meter, key, device, a, b, ppb, state, sha256) and `judged`, the values of gauges.

    `a` and `b` are unix milliseconds, `ppb` the load in billionths. `state` is `ok`, `started` for a machine's first
    stretch, or `changed` for one of which nothing is known.

    Args:
        scratch: Holds `series` and `points`.
        meters: The best first.
        labels: Those that may name a machine.
        max_gap_s: Readings further apart than this are a gap, in seconds.
    """
    scratch.make("load_meters", _meters(meters))
    of_machine = ", ".join(quoted(label) for label in labels)
    instance = "TRY_CAST(regexp_extract(metric['GPU_I_PROFILE'], '([0-9]+)g', 1) AS INTEGER)"
    scratch.make(
        "named",
        f"""
        SELECT series_no, sha256, role, m.*, metric,
            list_sort(list_filter(map_entries(metric), lambda e: e.key IN ({of_machine}) AND e.value <> ''))::VARCHAR
                AS key,
            coalesce({first_label("device_labels")}, '') AS device,
            CASE WHEN slices AND coalesce(metric['GPU_I_ID'], '') <> '' THEN coalesce({instance}, 1) END AS slice,
            CASE WHEN contains(metric[{quoted(MODEL)}], 'A30') THEN {_SMALL_BOARD} ELSE {_BOARD} END AS board
        FROM {scratch["series"]} JOIN {scratch["load_meters"]} AS m USING (meter)""",
    )
    _judge(scratch)
    scratch.make("segments", f"{_of_seconds(scratch, max_gap_s)} UNION ALL {_of_gauges(scratch, max_gap_s)}")


def _meters(meters: Sequence[LoadMeter]) -> str:
    rows = [
        f"({quoted(one.name)}, {rank}, {quoted(one.component)},"
        f" {one.per_full if one.unit else 'NULL'}::DOUBLE, [{', '.join(map(quoted, one.device_labels))}]::VARCHAR[],"
        f" {one.slices})"
        for rank, one in enumerate(meters)
    ]
    columns = "meter, rank, component, per_full, device_labels, slices"
    return f"SELECT * FROM (VALUES {', '.join(rows)}) AS m({columns})"


def _judge(scratch: Scratch) -> None:
    """Make `judged`: values of gauges as shares, and what is wrong with some; a device that is mostly wrong is refused.

    The instances of a divided GPU are busy by their slices, whole GPUs by themselves.
    """
    scratch.make(
        "judged",
        f"""
        WITH told AS (
            SELECT meter, key, device, slice, board, t, d / per_full AS share, sha256
            FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no) WHERE role = 'load'
        ),
        seen AS (
            SELECT *, CASE WHEN share IS NULL OR isnan(share) THEN 'empty' WHEN share > {ROUNDED} THEN 'above'
                WHEN share < 0 THEN 'below' END AS wrong
            FROM told
        ),
        refused AS (
            SELECT meter, key, device FROM seen WHERE wrong IS DISTINCT FROM 'empty' GROUP BY ALL
            HAVING count(*) FILTER (wrong = 'above') * {MOST_ABOVE} > count(*)
        )
        SELECT s.* REPLACE (CASE WHEN r.meter IS NOT NULL AND wrong IS DISTINCT FROM 'empty' THEN 'above' ELSE wrong END
            AS wrong)
        FROM seen AS s LEFT JOIN refused AS r USING (meter, key, device)""",
    )


def _of_seconds(scratch: Scratch, max_gap_s: int) -> str:
    roles = ", ".join(
        f"max(d) FILTER (role = {quoted(role)}) AS {name}"
        for role, name in {"busy": "busy", "time": "passed", "processors": "n", "scraped": "at_s"}.items()
    )
    return f"""
        SELECT meter, key, '' AS device,
            CASE WHEN state = 'started' THEN read_ms - up ELSE was_ms END AS a, read_ms AS b,
            round({_BILLION} * least(greatest(
                CASE WHEN state = 'started' THEN busy / passed ELSE (busy - was_busy) / (passed - was_passed) END,
                0), 1))::BIGINT AS ppb, state, sha256
        FROM (
            SELECT *, CASE
                WHEN (was_ms IS NULL OR fell) AND up <= {max_gap_s * 1000} AND (was_ms IS NULL OR up <= ms + {CLOCK_MS})
                    THEN 'started'
                WHEN was_ms IS NULL OR ms > {max_gap_s * 1000} THEN 'gap'
                WHEN fell OR n <> was_n OR passed - was_passed NOT BETWEEN {SLOWEST} * n * ms / 1000
                    AND {FASTEST} * n * ms / 1000
                    OR busy - was_busy > {ROUNDED} * (passed - was_passed) THEN 'changed'
                ELSE 'ok' END AS state
            FROM (
                SELECT *, read_ms - was_ms AS ms, passed < was_passed OR busy < was_busy AS fell,
                    ceil(1000 * passed / n)::BIGINT AS up
                FROM (
                    SELECT *, round(at_s * 1000)::BIGINT AS read_ms, lag(round(at_s * 1000)::BIGINT) OVER w AS was_ms,
                        lag(busy) OVER w AS was_busy, lag(passed) OVER w AS was_passed, lag(n) OVER w AS was_n
                    FROM (
                        SELECT meter, key, t, {roles}, min(sha256) AS sha256
                        FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no)
                        WHERE per_full IS NULL AND d IS NOT NULL AND isfinite(d) GROUP BY meter, key, t
                        HAVING busy >= 0 AND passed > 0 AND n > 0 AND at_s > 0
                        QUALIFY row_number() OVER (PARTITION BY meter, key, at_s ORDER BY t) = 1
                    ) WINDOW w AS (PARTITION BY meter, key ORDER BY at_s)
                )
            )
        ) WHERE state <> 'gap'"""


def _of_gauges(scratch: Scratch, max_gap_s: int) -> str:
    return f"""
        SELECT meter, key, device, before AS a, t AS b, round({_BILLION} * load)::BIGINT AS ppb, 'ok' AS state, sha256
        FROM (
            SELECT *, lag(t) OVER (PARTITION BY meter, key, device ORDER BY t) AS before
            FROM (
                SELECT meter, key, device, t, least({FULL}, coalesce(
                    max(share) FILTER (slice IS NULL), sum(share * slice ORDER BY slice, share) / max(board))) AS load,
                    min(sha256) AS sha256
                FROM {scratch["judged"]} WHERE wrong IS NULL GROUP BY meter, key, device, t
            )
        ) WHERE t - before <= {max_gap_s * 1000}"""

"""Down: targets that Prometheus could not scrape to the end of a day, and that served energy or power before.

What belongs here: finding them, and naming devices without a reading. What does not: what such hours are (`readings`).

A machine that is gone and one whose exporter is broken look alike in the samples: there are none. Prometheus knows
more: `up` of a target that is still in its configuration, and fails, is 0; of one that was taken out there is nothing.
A target counts as one of this source if it served one of its metrics within the month before.

One that returns on the same day brings what its counters missed, and a gauge's gap is told by itself. One whose devices
are read all the same, by another target, is no matter.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.client import Query
from energy_assets.sources.prometheus.matchers import one_of
from energy_assets.sources.prometheus.queries import DAY, HOUR, MeterQueries, Window, any_name

UP = "up"
DOWN, SERVED = "down", "served"
NOTE, UNREAD = "targets_down", "device_hours_without_energy"
EXAMPLES = 5
BACK = 30 * DAY
LEAST_HOURS = 6
TARGETS_PER_QUERY = 100


def question(selector: str, window: Window) -> list[Query]:
    """Which targets are down at the ends of hours; nothing of a day without a whole hour.

    Args:
        selector: Matchers of the site.
        window: The day.
    """
    down = f"max by (instance, job) (up{{{selector}}}) == 0" if selector else "max by (instance, job) (up) == 0"
    return [Query(DOWN, UP, down, window.start + HOUR, window.end, HOUR)] if window.end > window.start else []


def served(scratch: Scratch, everyone: Sequence[MeterQueries], patterns: Sequence[str], window: Window) -> list[Query]:
    """When did targets that are down serve any metric of this source last? Asked at every hour of a month.

    Args:
        scratch: Holds `series` and `points`.
        everyone: The queries of every metric that this source reads.
        patterns: Regular expressions of more metrics.
        window: The day.
    """
    instances = sorted({instance for instance, *_ in scratch.rows(_targets(scratch, window)) if instance})
    every = any_name(everyone, patterns).removesuffix("}")
    return [
        Query(
            SERVED,
            UP,
            f"count by (instance, job) ({every}, {one_of('instance', instances[at : at + TARGETS_PER_QUERY])}}})",
            window.start - BACK,
            window.end,
            HOUR,
        )
        for at in range(0, len(instances), TARGETS_PER_QUERY)
    ]


def _targets(scratch: Scratch, window: Window) -> str:
    """SQL of instance, job and hours of targets that are down at the ends of the day's last hours."""
    return f"""
        SELECT instance, job, count(*) AS hours FROM (
            SELECT *, t + {HOUR * 1000} * row_number() OVER (PARTITION BY instance, job ORDER BY t DESC) AS run FROM (
                SELECT DISTINCT metric['instance'] AS instance, coalesce(metric['job'], '') AS job, t
                FROM {scratch["series"]} JOIN {scratch["points"]} USING (series_no) WHERE role = '{DOWN}'
            )
        ) WHERE run = {(window.end + HOUR) * 1000} GROUP BY instance, job HAVING hours >= {LEAST_HOURS}"""


def told(scratch: Scratch, window: Window) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many targets are down to the day's end; and of devices that have hours without a reading, which.

    Args:
        scratch: Holds `series`, `points`, `named`, `keys` and `hours`.
        window: The day.
    """
    down = scratch.rows(f"""
        WITH read AS (
            SELECT metric['instance'] AS instance
            FROM {scratch["named"]} JOIN {scratch["keys"]} AS k USING (meter, node_id, device_id)
            JOIN {scratch["hours"]} AS h ON h.node_id = k.node_id AND h.device_id = k.whole
            WHERE h.t = {window.end * 1000} GROUP BY ALL HAVING bool_and(h.n IS NOT NULL)
        )
        SELECT instance, job, hours, strftime(make_timestamp(max(t) * 1000), '%Y-%m-%d %H:%M')
        FROM ({_targets(scratch, window)}) JOIN (
            SELECT metric['instance'] AS instance, coalesce(metric['job'], '') AS job, t
            FROM {scratch["series"]} JOIN {scratch["points"]} USING (series_no) WHERE role = '{SERVED}'
        ) USING (instance, job) ANTI JOIN read USING (instance) GROUP BY instance, job, hours ORDER BY ALL""")
    unread = scratch.rows(f"""
        SELECT CASE WHEN device_id = node_id THEN node_id ELSE device_id || ' on ' || node_id END, count(*) AS hours
        FROM {scratch["hours"]} WHERE n IS NULL GROUP BY ALL ORDER BY hours DESC, 1 LIMIT {EXAMPLES}""")
    lines = [
        f"{instance}{f' of job {job}' if job else ''}, {hours} h, read last after {when} UTC"
        for instance, job, hours, when in down
    ]
    found = {NOTE: lines[:EXAMPLES], UNREAD: [f"{which}, {hours} h" for which, hours in unread]}
    return ({NOTE: len(lines)} if lines else {}), {name: some for name, some in found.items() if some}

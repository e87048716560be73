"""Standstill: counters of energy that are scraped and do not count, although what they measure draws power.

What belongs here: which hours of a counter are no measurement, and which gauge speaks in its place. What does not: the
arithmetic of counters and gauges, and choosing among meters that work (`readings`).

A driver that does not support its counter shows 0 all day (or some other number), and a hung exporter shows the last
one for hours: 0 kWh, observed all the time. No processor, board or node that answers draws nothing, so an hour in
which the counter has samples and does not move is no 0:

* A gauge of the same device that shows at least one unit of the counter in the hours of a standstill speaks in them;
  and in the hours before and after, in which the counter stopped and started again (it may return with the energy of
  the standstill), where it saw as much of them as the counter did.
* Without such a gauge the energy is unknown, if `LEAST_W` over the standstill would have moved the counter by a unit.
  So it is, too, in a standstill after which the counter moves and no gauge saw the hour in which it does: what it
  missed may come then.

A gauge that hangs with its counter (`hanging`), or told far less than the counter returns with, is no evidence either:
the hours are unknown, and what the counter returns with counts in the hour of its return.

Smaller standstills are what coarse counters do, and stay 0. A part of a device (`adds`) may well draw nothing for
hours.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus import hanging
from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.counters import HOUR_MS

LEAST_W = 1
"""Less than any of `DRAWING` draws while it answers: a bound of ours from below, no measurement."""

DRAWING = ("gpu", "cpu", "dram", "node", "instance")
"""What always draws power. A service, a storage pool or a switch may count nothing at all for hours."""

_NANO_KWH_PER_WH = 1_000_000
REPLACED, UNKNOWN = "counter_hours_standing_still_replaced", "counter_hours_standing_still"
HUNG = "counter_hours_hanging"

FAR_PCT = 150
"""A counter that returns with so much of what its gauge told since it stopped has seen power that the gauge did not."""


def find_standstills(scratch: Scratch, start: int) -> None:
    """Make `stopped`: key_no, t (counter and hour that measured nothing), gauge_no (who speaks instead, or NULL), hung.

    And `repeating`: hours of gauges that measured nothing either (`hanging`). A standstill that began before the day,
    whose gauge is not known there, is judged by `LEAST_W` alone.

    Args:
        scratch: Holds `keys` (with unit_num, unit_den: nano-kWh per unit), `amounts`, `seen`, `powered`, `bound`,
            `named` and `points`.
        start: Of the day, in unix milliseconds.
    """
    kinds = ", ".join(quoted(kind) for kind in DRAWING)
    scratch.make(
        "standing",
        f"""
        SELECT key_no, t, ppm, t - {HOUR_MS} * row_number() OVER (PARTITION BY key_no ORDER BY t) AS run
        FROM {scratch["amounts"]} JOIN {scratch["seen"]} USING (key_no, t) JOIN {scratch["keys"]} USING (key_no)
        WHERE counter AND device_id = whole AND device_kind IN ({kinds})
            AND ppm > 0 AND n = 0 AND restarts + wraps + blips + jumps = 0""",
    )
    scratch.make(
        "standstills",
        f"""
        SELECT key_no, run, min(t) AS first, max(t) AS last, sum(ppm) AS ppm FROM {scratch["standing"]}
        GROUP BY key_no, run""",
    )
    hanging.find_repeating(scratch)
    scratch.make("stopped", _stopped(scratch, start))


def _stopped(scratch: Scratch, start: int) -> str:
    if not scratch.rows(f"SELECT 1 FROM {scratch['standing']} LIMIT 1"):
        nothing = "NULL::INTEGER AS key_no, NULL::BIGINT AS t, NULL::INTEGER AS gauge_no, NULL::BOOLEAN AS hung"
        return f"SELECT {nothing} LIMIT 0"
    least = LEAST_W * _NANO_KWH_PER_WH
    return f"""
        WITH runs AS (FROM {scratch["standstills"]}),
        gauged AS (
            SELECT key_no, t, min_by(gauge_no, rank) AS gauge_no, min_by(n, rank) AS n, min_by(ppm, rank) AS ppm
            FROM {scratch["gauged"]} ANTI JOIN (
                SELECT key_no, gauge_no, t + {HOUR_MS} * unnest([-1, 0, 1]) AS t FROM {scratch["repeating"]}
            ) USING (key_no, gauge_no, t) GROUP BY key_no, t
        ),
        told AS (
            SELECT key_no, run, coalesce(sum(g.n), 0) AS gauge_n
            FROM runs AS r LEFT JOIN gauged AS g USING (key_no)
            WHERE g.t IS NULL OR g.t BETWEEN first AND last GROUP BY ALL
        ),
        moving AS (
            SELECT key_no, t, ppm FROM {scratch["amounts"]} JOIN {scratch["seen"]} USING (key_no, t)
            ANTI JOIN {scratch["standing"]} USING (key_no, t) WHERE ppm > 0 AND n IS NOT NULL
        ),
        beside AS (
            SELECT m.key_no, m.t, m.ppm, g.gauge_no FROM moving AS m LEFT JOIN gauged AS g
                ON g.key_no = m.key_no AND g.t = m.t AND g.ppm >= m.ppm
        ),
        returned AS (
            SELECT r.key_no, r.run, any_value(a.n)::HUGEINT AS came, sum(g.n)::HUGEINT AS gauge_n
            FROM runs AS r JOIN {scratch["amounts"]} AS a ON a.key_no = r.key_no AND a.t = r.last + {HOUR_MS}
            JOIN gauged AS g ON g.key_no = r.key_no AND g.t BETWEEN r.first - {HOUR_MS} AND r.last + {HOUR_MS}
            WHERE r.first > {start} GROUP BY ALL
        ),
        judged AS (
            SELECT r.key_no, r.run, first, last,
                coalesce(o.gauge_n, 0) * unit_den >= unit_num AS shown,
                r.ppm::HUGEINT * {least} * unit_den >= unit_num * {10**6} AS drawn,
                shown OR drawn AS dead,
                (coalesce(o.gauge_n, 0) = 0 AND q.key_no IS NOT NULL)
                    OR coalesce(came * 100 > c.gauge_n * {FAR_PCT} + 100 * unit_num // unit_den, false) AS hung,
                NOT hung AND (shown OR (first <= {start} AND drawn)) AND (b.key_no IS NULL OR b.gauge_no IS NOT NULL)
                    AS gauged
            FROM runs AS r JOIN {scratch["keys"]} USING (key_no) LEFT JOIN told AS o USING (key_no, run)
            LEFT JOIN returned AS c USING (key_no, run)
            LEFT JOIN (SELECT DISTINCT key_no, run FROM {scratch["repeating"]}) AS q USING (key_no, run)
            LEFT JOIN beside AS b ON b.key_no = r.key_no AND b.t = r.last + {HOUR_MS}
        )
        SELECT s.key_no, s.t, CASE WHEN j.gauged THEN g.gauge_no END AS gauge_no, j.hung
        FROM {scratch["standing"]} AS s JOIN judged AS j USING (key_no, run)
        LEFT JOIN gauged AS g ON g.key_no = s.key_no AND g.t = s.t
        WHERE dead
        UNION
        SELECT b.key_no, b.t, b.gauge_no, false
        FROM beside AS b JOIN judged AS j ON j.key_no = b.key_no AND b.t IN (j.first - {HOUR_MS}, j.last + {HOUR_MS})
        WHERE j.gauged AND b.gauge_no IS NOT NULL"""


def replaced(scratch: Scratch, hours: str, measured: str) -> str:
    """SQL of hours in which gauges stand in for counters that stood still; each with `instead`, true for those.

    Args:
        scratch: Holds `stopped`.
        hours: Name of the rows chosen among meters that work.
        measured: Name of the rows of all meters, with the same columns.
    """
    swapped = f"(SELECT * FROM {scratch['stopped']} WHERE gauge_no IS NOT NULL)"
    return f"""
        SELECT c.*, EXISTS (FROM {swapped} AS s WHERE s.gauge_no = c.key_no AND s.t = c.t) AS instead
        FROM {hours} AS c ANTI JOIN {swapped} AS s ON s.key_no = c.key_no AND s.t = c.t
        UNION ALL BY NAME
        SELECT m.*, true AS instead
        FROM {measured} AS m JOIN {swapped} AS s ON s.gauge_no = m.key_no AND s.t = m.t
        SEMI JOIN {hours} AS c ON c.key_no = s.key_no AND c.t = s.t"""


def told(scratch: Scratch, first: int, last: int) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many hours of counters that stood still were replaced or are unknown, and of which devices.

    Args:
        scratch: Holds `stopped` and `keys`.
        first: End of the day's first hour, in unix milliseconds.
        last: End of its last hour.
    """
    rows = scratch.rows(f"""
        SELECT CASE WHEN gauge_no IS NOT NULL THEN '{REPLACED}' WHEN hung THEN '{HUNG}' ELSE '{UNKNOWN}' END AS name,
            node_id, device_id, meter, count(*)
        FROM {scratch["stopped"]} JOIN {scratch["keys"]} USING (key_no) WHERE t BETWEEN {first} AND {last}
        GROUP BY ALL ORDER BY ALL""")
    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    for name, node, device, meter, hours in rows:
        counts[name] = counts.get(name, 0) + hours
        if len(shown := examples.setdefault(name, [])) < 5:
            shown.append(f"{device} on {node}: {meter}, {hours} h")
    return counts, dict(examples)

"""Scales: counters of energy that tell a multiple, or a fraction, of what the gauge of the same device tells.

What belongs here: finding them. What does not: deciding. The counter stands, for it misses no peak between two scrapes,
and nothing in the samples says which of both is wrong; the factor goes into site.yaml (`scales`).

Both are compared over hours that the counter saw almost whole and that begin where the one before ended: at least
`HOURS` of them, three in four of which must show it by themselves.

* A gauge that tells more than its counter sees power that the counter did not count.
* A gauge that tells less may have missed peaks that come and go between scrapes. So it must be far less, or by the same
  factor in every hour while the power itself varies.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.power import SENTINEL_W
from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.meters import Meter

NOTE = "counters_far_from_their_gauges"
EXAMPLES = 5
HOURS = 6
SEEN_PPM = 900_000
APART = 1.5
"""Two sensors of one board differ by some per cent, a board and its package by a fifth."""
FAR_APART = 5
"""A device that draws so much more for a fifth of each minute, always between scrapes, is the most that is believed."""
STEADY, VARIED = 1.1, 1.3
"""The factor of two hours at most, and by how much the power of hours must differ for it to say something."""
LEAST_WH = 100
"""Less is nothing that a report would show."""


def told(scratch: Scratch, meters: Sequence[Meter]) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many devices have a counter and a gauge that disagree by a factor, and which.

    Args:
        scratch: Holds `hours`, `keys`, `named`, `points` and `powered`.
        meters: All that were asked for.
    """
    units = ", ".join(f"({quoted(one.name)}, {one.watts!r}::DOUBLE)" for one in meters if not one.counter)
    if not units:
        return {}, {}
    hourly = f"""
        SELECT key_no, t, max(d) * factor AS watts
        FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no)
        JOIN {scratch["keys"]} USING (meter, node_id, device_id)
        JOIN (VALUES {units}) AS u(meter, factor) USING (meter)
        WHERE role = 'mean' AND NOT isnan(d) AND d > 0 GROUP BY key_no, t, factor
        UNION ALL
        SELECT key_no, t, n::DOUBLE / ppm FROM {scratch["powered"]} WHERE n > 0 AND ppm >= {SEEN_PPM}"""
    rows = scratch.rows(f"""
        WITH parts AS (
            SELECT first_no, meter, node_id, whole, rank, t, max(watts) AS watts
            FROM ({hourly}) JOIN {scratch["keys"]} USING (key_no)
            WHERE watts < {SENTINEL_W} GROUP BY key_no, first_no, meter, node_id, whole, rank, t
        ),
        gauges AS (
            SELECT meter, node_id, whole, rank, t, sum(watts) AS watts
            FROM parts JOIN (SELECT first_no, count(*) AS number FROM {scratch["keys"]} GROUP BY first_no)
                USING (first_no)
            GROUP BY first_no, meter, node_id, whole, rank, t, number HAVING count(*) = number
            QUALIFY rank = min(rank) OVER (PARTITION BY node_id, whole)
        ),
        counters AS (
            SELECT key_no, meter, node_id, device_id, t, n::DOUBLE / ppm AS watts, counter AND NOT instead
                AND n > 0 AND ppm >= {SEEN_PPM}
                AND NOT lag(n IS NULL, 1, false) OVER (PARTITION BY key_no ORDER BY t) AS plain
            FROM {scratch["hours"]}
        ),
        compared AS (
            SELECT c.node_id, device_id, c.meter, g.meter AS gauge, c.watts AS counted, g.watts AS shown
            FROM counters AS c JOIN gauges AS g ON g.node_id = c.node_id AND g.whole = c.device_id AND g.t = c.t
            WHERE plain
        )
        SELECT node_id, device_id, meter, gauge, count(*) AS hours, sum(counted) / 1000 AS counter_kwh,
            sum(shown) / 1000 AS gauge_kwh, gauge_kwh / counter_kwh AS factor,
            count(*) FILTER (shown > counted * {APART}) * 4 >= 3 * count(*) AND factor > {APART} AS more,
            count(*) FILTER (counted > shown * {APART}) * 4 >= 3 * count(*) AND factor * {APART} < 1 AND (
                factor * {FAR_APART} < 1
                OR (max(shown / counted) <= min(shown / counted) * {STEADY} AND max(counted) >= min(counted) * {VARIED})
            ) AS less
        FROM compared GROUP BY ALL
        HAVING hours >= {HOURS} AND abs(sum(counted) - sum(shown)) >= {LEAST_WH} AND (more OR less) ORDER BY ALL""")
    lines = [_line(*row[:8]) for row in rows]
    return ({NOTE: len(lines)}, {NOTE: lines[:EXAMPLES]}) if lines else ({}, {})


def _line(
    node: str, device: str, meter: str, gauge: str, hours: int, counter_kwh: float, gauge_kwh: float, factor: float
) -> str:
    where = node if device == node else f"{device} on {node}"
    return (
        f"{where}: in {hours} h {meter} tells {counter_kwh:,.3g} kWh and counts, {gauge} tells {gauge_kwh:,.3g} kWh, "
        f"{_digits(factor)} times as much"
    )


def _digits(factor: float) -> str:
    """Five figures, of which a person can make the exact factor."""
    return f"{factor:.5g}"

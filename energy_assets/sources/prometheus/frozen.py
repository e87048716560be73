"""Frozen: gauges that change all the time and then show one value to the end of the day, as a meter that hangs does.

What belongs here: telling them. What does not: withholding them, for it is no proof: a machine that falls idle may show
one whole number of watts for hours. (A file that is not written any more is one: `textfiles`; so is a counter that
stands still beside the gauge: `hanging`.)

So the gauge must have been at this power before, for an hour of samples, and have changed there all the time: its last
value is held twenty times as long as any other one near it.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.counters import HOUR_MS

NOTE = "gauges_that_stop_changing"
EXAMPLES = 5
HELD_MS = 3 * HOUR_MS
NEAR = 0.1
BEFORE = 60
"""Samples at the same power before."""
TIMES = 20


def told(scratch: Scratch, last: int) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many gauges that make energy may hang, and since when.

    Args:
        scratch: Holds `hours`, `keys`, `named` and `points`.
        last: End of the day's last hour, in unix milliseconds.
    """
    readings = f"""
        SELECT k.key_no, p.t, p.d FROM {scratch["named"]} AS n JOIN {scratch["points"]} AS p USING (series_no)
        JOIN {scratch["keys"]} AS k USING (meter, node_id, device_id)
        SEMI JOIN (SELECT key_no AS first_no FROM {scratch["hours"]} WHERE NOT counter) USING (first_no)
        WHERE n.role = 'raw' AND NOT k.counter AND p.d > 0 AND NOT isnan(p.d)"""
    rows = scratch.rows(f"""
        WITH even AS (
            SELECT key_no FROM ({readings}) WHERE t > {last - HELD_MS} GROUP BY key_no HAVING min(d) = max(d)
        ),
        samples AS (SELECT key_no, t, max(d) AS d FROM ({readings}) SEMI JOIN even USING (key_no) GROUP BY key_no, t),
        numbered AS (
            SELECT *, count(*) FILTER (changed) OVER (PARTITION BY key_no ORDER BY t) AS stretch FROM (
                SELECT *, d <> lag(d) OVER (PARTITION BY key_no ORDER BY t) AS changed FROM samples
            )
        ),
        stretches AS (
            SELECT key_no, stretch, any_value(d) AS d, count(*) AS held, min(t) AS since, max(t) AS until
            FROM numbered GROUP BY key_no, stretch
        ),
        final AS (
            FROM stretches WHERE until - since >= {HELD_MS} AND until > {last - HOUR_MS}
            QUALIFY stretch = max(stretch) OVER (PARTITION BY key_no)
        )
        SELECT device_id, node_id, meter, strftime(make_timestamp(f.since * 1000), '%H:%M') AS since
        FROM final AS f JOIN stretches AS s USING (key_no) JOIN {scratch["keys"]} USING (key_no)
        WHERE s.stretch < f.stretch AND abs(s.d - f.d) <= {NEAR} * f.d
        GROUP BY device_id, node_id, meter, f.since, f.held
        HAVING sum(s.held) >= {BEFORE} AND max(s.held) * {TIMES} <= f.held ORDER BY ALL""")
    lines = [
        f"{node if device == node else f'{device} on {node}'}: {meter}, since {since} UTC"
        for device, node, meter, since in rows
    ]
    return ({NOTE: len(lines)}, {NOTE: lines[:EXAMPLES]}) if lines else ({}, {})

"""Hanging: gauges that repeat one value while the counter of their device stands still, as a hung exporter does.

What belongs here: telling such hours. What does not: what happens to them (`standstill`, `readings`).

An even gauge is no proof: an idle device may show one value for hours. It repeats what was read last where every sample
is the same all through a standstill of the counter, and

* the gauge shows other values elsewhere on the day, or
* the counter, which has counted before, does not move at all on the day.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.counters import HOUR_OF

FEW_SAMPLES = 10
"""Fewer equal samples may be chance."""


def find_repeating(scratch: Scratch) -> None:
    """Make `gauged` and `repeating`.

    `gauged`: key_no (a counter that stands still), gauge_no, rank, t, n, ppm: what gauges of its device tell.
    `repeating`: key_no, run (a standstill), gauge_no, t: hours in which a gauge repeats one value in it.

    Args:
        scratch: Holds `keys`, `standing`, `standstills`, `powered`, `bound`, `named` and `points`.
    """
    scratch.make(
        "gauged",
        f"""
        SELECT c.key_no, g.key_no AS gauge_no, g.rank, p.t, p.n, p.ppm
        FROM {scratch["keys"]} AS c JOIN {scratch["keys"]} AS g USING (node_id, device_id)
        JOIN {scratch["powered"]} AS p ON p.key_no = g.key_no
        WHERE c.counter AND NOT g.counter AND p.n > 0 AND c.key_no IN (SELECT key_no FROM {scratch["standing"]})""",
    )
    scratch.make(
        "levels",
        f"""
        SELECT gauge_no, hour AS t, min(d) AS lowest, max(d) AS highest, count(*) AS samples
        FROM (
            SELECT k.key_no AS gauge_no, p.t, {HOUR_OF.replace("(t ", "(p.t ")} AS hour, max(d) AS d
            FROM {scratch["named"]} AS n JOIN {scratch["points"]} AS p USING (series_no)
            JOIN {scratch["keys"]} AS k USING (meter, node_id, device_id)
            SEMI JOIN (SELECT gauge_no AS key_no FROM {scratch["gauged"]}) USING (key_no)
            WHERE n.role = 'raw' AND d > 0 AND NOT isnan(d) GROUP BY k.key_no, p.t
        ) GROUP BY gauge_no, hour""",
    )
    scratch.make(
        "repeating",
        f"""
        WITH varied AS (SELECT gauge_no FROM {scratch["levels"]} GROUP BY gauge_no HAVING min(lowest) < max(highest)),
        stuck AS (
            SELECT key_no FROM {scratch["bound"]} GROUP BY key_no HAVING min(n) > 0 AND min(n) = max(n)
        ),
        still AS (
            SELECT key_no, run, gauge_no, t, lowest, highest, samples
            FROM {scratch["standing"]} JOIN {scratch["gauged"]} USING (key_no, t)
            JOIN {scratch["levels"]} USING (gauge_no, t)
        )
        SELECT key_no, run, gauge_no, t FROM still
        WHERE gauge_no IN (FROM varied) OR key_no IN (FROM stuck)
        WINDOW w AS (PARTITION BY key_no, run, gauge_no)
        QUALIFY min(lowest) OVER w = max(highest) OVER w AND sum(samples) OVER w >= {FEW_SAMPLES}""",
    )

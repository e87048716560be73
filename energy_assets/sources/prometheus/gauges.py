"""Gauges: hourly energy of devices that tell their power but count no energy.

What belongs here: from samples to the shared integral (`energy_assets.sources.power`) and back. What does not: the
integral itself.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from energy_assets.sources.power import GapPolicy, hourly_energy
from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.meters import GAUGE_UNITS, Meter
from energy_assets.sources.prometheus.queries import Window


def integrate(
    scratch: Scratch, meters: Sequence[Meter], window: Window, *, max_gap_s: int, gap_policy: GapPolicy
) -> dict[str, int]:
    """Make `powered`: key_no, t (end of the hour, unix ms), n (nano-kWh), usage_n, ppm, bridged, sha256.

    Copies of a board's power (MIG instances, pods that share it, jobs) are one reading here: the highest.

    Args:
        scratch: Holds `named`, `keys` and `points`.
        meters: Gauges that were read.
        window: The day.
        max_gap_s: Readings further apart than this are a gap, in seconds.
        gap_policy: What power a gap is given.

    Returns:
        What the integral counted, by meter and in all.
    """
    notes: Counter[str] = Counter()
    selects = []
    within = (datetime.fromtimestamp(window.start, UTC), datetime.fromtimestamp(window.end, UTC))
    for number, meter in enumerate(meters):
        readings = scratch.make(f"readings_{number}", _readings(scratch, meter))
        if not scratch.rows(f"SELECT 1 FROM {readings} LIMIT 1"):
            continue
        found = hourly_energy(scratch.con.table(readings), max_gap_s=max_gap_s, gap_policy=gap_policy, within=within)
        notes.update(found.notes)
        rows = scratch.make(f"integrated_{number}", found.rows.compile())
        scratch.con.raw_sql(f"DROP TABLE IF EXISTS {found.rows.get_name()}")
        selects.append(
            f"SELECT key_no, epoch_ms(hour) + 3600000 AS t,"
            f" {_nano('energy_kwh')} AS n, {_nano('usage_hours')} AS usage_n,"
            f" (coverage * 1000000)::BIGINT AS ppm, bridged, origin AS sha256"
            f" FROM {rows} JOIN {scratch['keys']} USING (node_id, device_id) WHERE meter = {quoted(meter.name)}"
        )
    scratch.make(
        "powered",
        " UNION ALL ".join(selects)
        or "SELECT NULL::INTEGER AS key_no, NULL::BIGINT AS t, NULL::HUGEINT AS n, NULL::HUGEINT AS usage_n,"
        " NULL::BIGINT AS ppm, NULL::BOOLEAN AS bridged, NULL::VARCHAR AS sha256 LIMIT 0",
    )
    return dict(notes)


def _readings(scratch: Scratch, meter: Meter) -> str:
    return f"""
        SELECT node_id, device_id, make_timestamp(t * 1000) AS time, max(d) * {GAUGE_UNITS[meter.unit]!r} AS power_w,
            min(sha256) AS origin
        FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no)
        WHERE role = 'raw' AND meter = {quoted(meter.name)} AND node_id IS NOT NULL AND device_id IS NOT NULL
        GROUP BY node_id, device_id, t"""


def _nano(column: str) -> str:
    return f"({column}::DECIMAL(28, 9) * 1000000000::DECIMAL(10, 0))::HUGEINT"

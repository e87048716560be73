"""Gauges: hourly energy of devices that tell their power but count no energy.

What belongs here: from samples to the shared integral (`energy_assets.sources.power`) and back. What does not: the
integral itself.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from energy_assets.sources.power import OFTEN_ZERO, GapPolicy, Zeros, hourly_energy
from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.meters import Meter
from energy_assets.sources.prometheus.queries import Window
from energy_assets.sources.prometheus.standstill import DRAWING


def integrate(
    scratch: Scratch, meters: Sequence[Meter], window: Window, *, max_gap_s: int, gap_policy: GapPolicy
) -> tuple[dict[str, int], dict[str, Sequence[Zeros]]]:
    """Make `powered`: key_no, t (end of the hour, unix ms), n (nano-kWh), usage_n, ppm, bridged, sha256.

    Copies of a board's power (MIG instances, pods that share it, jobs) are one reading here: the highest.

    Args:
        scratch: Holds `named`, `keys` and `points`.
        meters: Gauges that were read.
        window: The day.
        max_gap_s: Readings further apart than this are a gap, in seconds.
        gap_policy: What power a gap is given.

    Returns:
        What the integral counted, of all meters; and devices that often tell 0 W or less, by meter.
    """
    notes: Counter[str] = Counter()
    selects, at_zero = [], dict[str, Sequence[Zeros]]()
    within = (datetime.fromtimestamp(window.start, UTC), datetime.fromtimestamp(window.end, UTC))
    for number, meter in enumerate(meters):
        readings = scratch.make(f"readings_{number}", _readings(scratch, meter))
        if not scratch.rows(f"SELECT 1 FROM {readings} LIMIT 1"):
            continue
        found = hourly_energy(scratch.con.table(readings), max_gap_s=max_gap_s, gap_policy=gap_policy, within=within)
        notes.update(found.notes)
        at_zero[meter.name] = found.zeros
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
    return dict(notes), at_zero


def told(
    scratch: Scratch, at_zero: Mapping[str, Sequence[Zeros]], energy: str
) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many devices that are known by gauges alone often tell 0 W, and which.

    Parts of a device may well draw nothing, and a gauge beside a counter that counts says nothing of its device.

    Args:
        scratch: Holds `keys`.
        at_zero: See `integrate`.
        energy: The table of the day's rows.
    """
    if not any(at_zero.values()):
        return {}, {}
    kinds = ", ".join(quoted(kind) for kind in DRAWING)
    asked = set(
        scratch.rows(f"""
            SELECT meter, node_id, device_id FROM {scratch["keys"]}
            ANTI JOIN (FROM {energy} WHERE method = 'measured_counter' AND energy_kwh > 0) USING (node_id, device_id)
            WHERE device_id = whole AND device_kind IN ({kinds})""")
    )
    shown = [
        f"{one.device_id} on {one.node_id}: {meter}, {one.zeros} of {one.instants} samples"
        for meter, some in at_zero.items()
        for one in some
        if (meter, one.node_id, one.device_id) in asked
    ]
    return ({OFTEN_ZERO: len(shown)}, {OFTEN_ZERO: shown[:5]}) if shown else ({}, {})


def _readings(scratch: Scratch, meter: Meter) -> str:
    return f"""
        SELECT node_id, device_id, make_timestamp(t * 1000) AS time, max(d) * {meter.watts!r} AS power_w,
            min(sha256) AS origin
        FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no)
        WHERE role = 'raw' AND meter = {quoted(meter.name)} AND node_id IS NOT NULL AND device_id IS NOT NULL
        GROUP BY node_id, device_id, t"""


def _nano(column: str) -> str:
    return f"({column}::DECIMAL(28, 9) * 1000000000::DECIMAL(10, 0))::HUGEINT"

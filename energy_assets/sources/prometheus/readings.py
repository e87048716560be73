"""Readings: everything a day's answers say about energy, as rows of the contract `EnergyReadings`.

What belongs here: joining counters, gauges and users into rows; pure in the answers. What does not: collecting.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from energy_assets.sources.power import GapPolicy
from energy_assets.sources.prometheus import (
    beginning,
    counters,
    disagreeing,
    doubles,
    down,
    frozen,
    gauges,
    identity,
    plausible,
    scales,
    sharing,
    stand_ins,
    standstill,
    textfiles,
    turns,
    wraps,
)
from energy_assets.sources.prometheus.answers import Answer, Scratch, load
from energy_assets.sources.prometheus.counters import HOUR_MS
from energy_assets.sources.prometheus.devices import name_devices, observe
from energy_assets.sources.prometheus.meters import Meter
from energy_assets.sources.prometheus.queries import Window

EMPTY = """
    SELECT NULL::DATE AS day, NULL::TIMESTAMP AS hour, NULL::VARCHAR AS node_id, NULL::VARCHAR AS device_id,
        NULL::VARCHAR AS device_kind, NULL::VARCHAR AS device_model, NULL::VARCHAR AS device_uuid,
        NULL::VARCHAR AS share_id,
        NULL::DECIMAL(18, 9) AS energy_kwh, NULL::DECIMAL(18, 9) AS usage_hours, NULL::VARCHAR AS method,
        NULL::SMALLINT AS quality_tier, NULL::DECIMAL(9, 6) AS coverage, NULL::VARCHAR AS workload_id,
        NULL::BOOLEAN AS idle, NULL::MAP(VARCHAR, VARCHAR) AS labels, NULL::VARCHAR AS raw_sha256
    LIMIT 0"""


def assemble(
    scratch: Scratch,
    answers: Sequence[Answer],
    window: Window,
    meters: Sequence[Meter],
    *,
    keep_labels: Sequence[str] = (),
    interval_s: int | None = None,
    max_gap_s: int = 300,
    gap_policy: GapPolicy = "none",
    mirrored_dies: bool | None = None,
    cut: bool = False,
) -> tuple[str, dict[str, int], Mapping[str, Sequence[str]]]:
    """Make the rows of one day.

    Args:
        scratch: Where tables are made; all but the result are dropped.
        answers: Everything that was collected for the day.
        window: The day, as far as it was asked for.
        meters: The best first.
        keep_labels: More labels the rows carry.
        interval_s: The scrape interval, where the site names it.
        max_gap_s: For gauges.
        gap_policy: For gauges.
        mirrored_dies: See `disagreeing.find`.
        cut: See `beginning.is_cut`.

    Returns:
        The name of the table of rows; counts of what was left out or corrected; and the first few things of some.

    Raises:
        MalformedError: an answer is not what the format promises.
    """
    first, last = window.start * 1000 + HOUR_MS, window.end * 1000
    with scratch.single_threaded(answers):
        load(scratch, answers)
        notes: Counter[str] = Counter(name_devices(scratch, meters))
        told = [beginning.told(scratch, window)] if cut else []
        observe(scratch)
        told.append(textfiles.drop_repeated(scratch, meters))
        sharing.find_uses(scratch, keep_labels)
        counters.find_suspicious(scratch)
        counters.add_up(scratch, counters.first_samples(scratch))
        counters.find_often(scratch, first, last)
        sharing.measure_time(scratch, interval_s)
        found = disagreeing.find(scratch, meters, mirrored_dies=mirrored_dies)
        sampled = {answer.meter for answer in answers if answer.role == "raw"}
        gauge_meters = [meter for meter in meters if not meter.counter and meter.name in sampled]
        integrated, zeros = gauges.integrate(scratch, gauge_meters, window, max_gap_s=max_gap_s, gap_policy=gap_policy)
        notes.update(integrated)
        told += [
            (found.notes, found.examples),
            doubles.find(scratch),
            turns.count_once(scratch, window.start * 1000),
        ]
        standstill.find_standstills(scratch, window.start * 1000)
        _hours(scratch, window)
        table = scratch.make("energy", _rows(scratch))
        notes.update(_counts(scratch, window))
        told += [
            identity.told(scratch),
            standstill.told(scratch, first, last),
            gauges.told(scratch, zeros, table),
            frozen.told(scratch, last),
            plausible.told(scratch),
            scales.told(scratch, meters),
            wraps.told(scratch, first, last),
            down.told(scratch, window),
            counters.told_often(scratch, "device_id || ' on ' || node_id || ': ' || meter"),
        ]
        scratch.clear("energy")
    examples = {name: some for _, shown in told for name, some in shown.items()}
    for counted, _ in told:
        notes.update(counted)
    return table, {name: number for name, number in notes.items() if number}, examples


def _hours(scratch: Scratch, window: Window) -> None:
    """Make `hours`: one row per device and hour, of the best meter that knows the device.

    A counter that was seen is known for the rest of the day: its empty hours are rows without energy. A gauge is
    used for a device only where no counter delivers, or before its first sample, because a counter delivers the
    energy of a gap when it returns. In hours in which a counter stood still its gauge speaks (`standstill`). Parts of a
    device add up; while one of them is unknown, so is the device.
    """
    first, last = window.start * 1000 + HOUR_MS, window.end * 1000
    scratch.make(
        "grid",
        f"""
        SELECT key_no, unnest(range(begins, {last + 1}, {HOUR_MS})) AS t
        FROM (
            SELECT key_no, greatest(min(t), {first}) AS begins FROM (
                SELECT key_no, {first} AS t FROM {scratch["earlier"]}
                UNION ALL SELECT key_no, t FROM {scratch["bound"]}
                UNION ALL SELECT key_no, t FROM {scratch["lowest"]}
                UNION ALL SELECT key_no, t FROM {scratch["powered"]}
            ) GROUP BY key_no
        )""",
    )
    scratch.make(
        "hours",
        f"""
        WITH objects AS (
            SELECT meter, coalesce(
                min(sha256) FILTER (role = 'boundary'), min(sha256) FILTER (role = 'lookback')) AS boundary
            FROM {scratch["series"]} GROUP BY meter
        ),
        origins AS (SELECT key_no, min(sha256) AS origin FROM {scratch["powered"]} GROUP BY key_no),
        parts AS (
            SELECT
                key_no, t, k.* EXCLUDE (key_no, wrap_n, limit_n, unit_num, unit_den),
                CASE WHEN s.ppm > 0 AND d.key_no IS NULL THEN s.ppm END AS counted_ppm,
                CASE WHEN x.key_no IS NULL THEN
                    CASE WHEN k.counter THEN CASE WHEN counted_ppm > 0 THEN a.n END ELSE p.n END END AS n,
                CASE WHEN x.key_no IS NULL THEN
                    coalesce(CASE WHEN k.counter THEN counted_ppm ELSE p.ppm END, 0) ELSE 0 END AS ppm,
                coalesce(CASE WHEN k.counter THEN counted_ppm::HUGEINT * 1000 ELSE p.usage_n END, 0) AS usage_n,
                coalesce(p.bridged, false) AS bridged,
                CASE WHEN k.counter THEN b.boundary ELSE coalesce(p.sha256, o.origin) END AS sha256
            FROM {scratch["grid"]} JOIN {scratch["keys"]} AS k USING (key_no)
            ANTI JOIN {scratch["mirrored"]} USING (key_no)
            LEFT JOIN {scratch["amounts"]} AS a USING (key_no, t)
            LEFT JOIN {scratch["seen"]} AS s USING (key_no, t)
            LEFT JOIN (
                FROM {scratch["powered"]} ANTI JOIN (SELECT gauge_no AS key_no, t FROM {scratch["repeating"]})
                    USING (key_no, t)
            ) AS p USING (key_no, t)
            LEFT JOIN {scratch["contested"]} AS x USING (key_no)
            LEFT JOIN {scratch["stopped"]} AS d USING (key_no, t)
            LEFT JOIN origins AS o USING (key_no)
            LEFT JOIN objects AS b USING (meter)
        ),
        measured AS (
            SELECT
                first_no AS key_no, t, meter, rank, counter, device_kind, stands_in, node_id, whole AS device_id,
                max(device_model) AS device_model, max(device_uuid) AS device_uuid,
                CASE WHEN count(n) = count(*) THEN sum(n)::HUGEINT END AS n,
                min(ppm) AS ppm, min(usage_n) AS usage_n, bool_or(bridged) AS bridged, min(sha256) AS sha256
            FROM parts GROUP BY ALL
        ),
        ranked AS (
            SELECT key_no, rank, stands_in, node_id, host, device_id, device_kind, min(t) AS begins,
                bool_or(n IS NOT NULL) AS live
            FROM measured JOIN {stand_ins.spellings(scratch)} USING (node_id) GROUP BY ALL
        ),
        rivals AS (
            SELECT worse, better, worse.rank > better.rank AS outranked
            FROM ranked AS worse JOIN ranked AS better USING (node_id, device_id)
            UNION ALL
            SELECT worse, better, better.stands_in = '' OR worse.rank > better.rank
            FROM ranked AS worse JOIN ranked AS better USING (host, device_kind)
            WHERE worse.stands_in <> '' AND worse.stands_in <> better.stands_in AND worse.device_id <> better.device_id
            UNION ALL
            SELECT worse, better, better.stands_in = '' OR worse.rank > better.rank
            FROM ranked AS worse JOIN {stand_ins.scraped_at_one(scratch)} USING (node_id)
            JOIN ranked AS better ON better.node_id = other AND better.device_kind = worse.device_kind
            WHERE worse.stands_in <> '' AND worse.stands_in <> better.stands_in
        ),
        beaten AS (
            SELECT worse.key_no AS key_no, min(CASE WHEN worse.live THEN better.begins ELSE 0 END) AS until
            FROM rivals
            WHERE (better.live AND NOT worse.live) OR (better.live = worse.live AND outranked)
            GROUP BY worse.key_no
        ),
        chosen AS (
            SELECT m.* FROM measured AS m LEFT JOIN beaten USING (key_no)
            WHERE t BETWEEN {first} AND {last} AND (beaten.key_no IS NULL OR t < until)
        )
        {standstill.replaced(scratch, "chosen", "measured")}""",
    )


def _rows(scratch: Scratch) -> str:
    """The contract's columns; an estimate of a split or of a gap, and a gauge in a counter's place, lower the tier."""
    return f"""
        SELECT
            make_timestamp((t - {HOUR_MS}) * 1000)::DATE AS day,
            make_timestamp((t - {HOUR_MS}) * 1000) AS hour,
            node_id, device_id, device_kind, device_model, device_uuid,
            CASE WHEN idle THEN 'idle' WHEN users = 1 OR user_id = '' THEN 'all' ELSE user_id END AS share_id,
            {_decimal("n")} AS energy_kwh,
            {_decimal("usage_n")} AS usage_hours,
            CASE WHEN counter THEN 'measured_counter' ELSE 'measured_power' END AS method,
            CASE WHEN users > 1 OR bridged OR instead THEN 3 ELSE 2 END::SMALLINT AS quality_tier,
            (ppm::DECIMAL(9, 0) * 0.000001::DECIMAL(7, 6))::DECIMAL(9, 6) AS coverage,
            workload_id, idle, labels, sha256 AS raw_sha256
        FROM ({identity.where(scratch, sharing.divide(scratch))})
        ORDER BY node_id, device_id, hour, share_id"""


def _decimal(nano: str) -> str:
    return f"({nano}::DECIMAL(18, 0) * 0.000000001::DECIMAL(10, 9))::DECIMAL(18, 9)"


def _counts(scratch: Scratch, window: Window) -> dict[str, int]:
    """What was dropped or corrected within the day."""
    inside = f"t > {window.start * 1000} AND t <= {window.end * 1000}"
    states = scratch.rows(f"""
        SELECT state, count(DISTINCT (key_no, t)) FROM {scratch["observed"]}
        WHERE role = 'raw' AND state <> 'ok' AND {inside} GROUP BY state""")
    empty = scratch.rows(f"""
        SELECT coalesce(sum(samples), 0) FROM {scratch["counted"]} SEMI JOIN (
            FROM {scratch["lowest"]} ANTI JOIN {scratch["suspicious"]} USING (key_no, t) WHERE n IS NULL
        ) USING (key_no, t) WHERE {inside}""")
    changes = scratch.rows(f"""
        SELECT coalesce(sum(restarts) FILTER (o.key_no IS NULL), 0), coalesce(sum(wraps), 0), coalesce(sum(blips), 0),
            coalesce(sum(jumps) FILTER (o.key_no IS NULL), 0)
        FROM {scratch["amounts"]} LEFT JOIN {scratch["often"]} AS o USING (key_no) WHERE {inside}""")
    hours = scratch.rows(f"""
        SELECT count(*) FILTER (n IS NULL), count(*) FILTER (n IS NOT NULL AND was_empty)
        FROM (SELECT n, lag(n IS NULL, 1, false) OVER (PARTITION BY key_no ORDER BY t) AS was_empty
            FROM {scratch["hours"]})""")
    names = ("counter_restarts", "counter_wraps", "low_readings_dropped", "implausible_decreases_dropped")
    return {
        **{f"{state}_readings_dropped": int(number) for state, number in states},
        "unusable_readings_dropped": int(empty[0][0]),
        **{name: int(number) for name, number in zip(names, changes[0], strict=True)},
        "device_hours_without_energy": hours[0][0],
        "device_hours_with_energy_of_a_gap": hours[0][1],
    }

"""Power readings to energy by hour: the trapezoid between readings, cut exactly at hours and at run windows.

What belongs here: the integral, for any source that knows watts at instants (meter files, gauges in a metrics
store). What does not: where readings come from, and what the rows mean upstairs.

All of it is integer arithmetic in microwatts and microseconds, so the order of rows, the number of threads and
the range of days a day is part of cannot change a digit. Each interval between two readings has one cumulative
energy function; every cut takes differences of it, so the pieces of an interval add up to the interval.
"""

# ruff: noqa: S608 - table names are made here, column names and values are quoted

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

import ibis

GapPolicy = Literal["none", "hold", "mean"]

SENTINEL_W = 1e9
"""Readings above a gigawatt are no power: drivers print 2^63 and its neighbours for "no value"."""

LEAST_W, MOST_W = 1, 5000
"""No machine draws less for long, nor a GPU of one: kilowatts taken for watts do; processors at rest may. And no GPU or
CPU draws more (the largest are stated with 1,400 W): milliwatts taken for watts do."""

OFTEN_ZERO = "devices_often_without_power"
"""The note that tells of `Zeros`."""

OFTEN = 10
"""One reading in so many that is zero or negative is more than a meter that starts, or a board that is reset."""

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_DOUBLED_PER_NANO_KWH = 7_200_000_000
"""Twice 3.6e6 joules in microwatts times microseconds, over 1e9: the integral below is kept doubled."""

_DROPS = {
    "empty_readings_dropped": "power_w IS NULL",
    "nan_readings_dropped": "isnan(power_w)",
    "negative_readings_dropped": "power_w < 0",
    "zero_readings_dropped": "power_w = 0",
    "sentinel_readings_dropped": f"power_w > {SENTINEL_W} AND NOT isnan(power_w)",
}
_serial = count(1)


@dataclass(frozen=True)
class Disagreement:
    """A device that says different things at one instant, on one UTC day.

    Attributes:
        node_id: The node.
        device_id: The device.
        instants: How many instants of the day it has readings at.
        differing: At how many of them these differ.
        across: At how many of those each of the differing readings has an origin of its own.
        first: The first of them, UTC without a zone.
        low_w: The lowest reading there.
        high_w: The highest reading there.
        origin: One of the origins there.
        other_origin: Another one; the same where there is one only.
    """

    node_id: str
    device_id: str
    instants: int
    differing: int
    across: int
    first: datetime
    low_w: float
    high_w: float
    origin: str | None
    other_origin: str | None


@dataclass(frozen=True)
class Lone:
    """A device with readings and no energy.

    Attributes:
        node_id: The node.
        device_id: The device.
        readings: How many.
        first: The first, UTC without a zone.
        last: The last.
        nearest_s: The shortest distance of two of them in seconds; None where there is one.
    """

    node_id: str
    device_id: str
    readings: int
    first: datetime
    last: datetime
    nearest_s: float | None


@dataclass(frozen=True)
class Zeros:
    """A device that often tells 0 W or less, which says nothing of what it drew.

    Attributes:
        node_id: The node.
        device_id: The device.
        instants: At how many instants it tells a number.
        zeros: At how many of these it is zero or negative.
    """

    node_id: str
    device_id: str
    instants: int
    zeros: int


@dataclass(frozen=True)
class HourlyEnergy:
    """What `hourly_energy` found.

    Attributes:
        rows: One row per node, device, hour and run: `node_id`, `device_id`, `hour` timestamp(6) UTC, `run`
            (NULL for none; joined with `+` where several claim the same time), `runs` (how many claim it),
            `energy_kwh` decimal(18, 9), `usage_hours` decimal(18, 9) observed for this row, `coverage`
            decimal(9, 6) observed of the device's hour whatever the run, `bridged` (a gap was filled),
            `origin` of the earliest reading that counts.
        notes: What was dropped or not bridged; only counts above zero.
        disagreements: Devices and days with several different readings at one instant, of which the highest is kept.
        lone: Devices with readings of which no two are near enough to make energy.
        zeros: Devices that are zero or negative at one instant in `OFTEN` or more.
    """

    rows: ibis.Table
    notes: Mapping[str, int]
    disagreements: tuple[Disagreement, ...] = ()
    lone: tuple[Lone, ...] = ()
    zeros: tuple[Zeros, ...] = ()


def hourly_energy(
    readings: ibis.Table,
    *,
    max_gap_s: int = 300,
    gap_policy: GapPolicy = "none",
    max_bridge_s: int = 3600,
    windows: ibis.Table | None = None,
    within: tuple[datetime, datetime] | None = None,
) -> HourlyEnergy:
    """Integrate power over time, device by device, and cut the energy into hours and runs.

    Readings that are empty, NaN, negative, zero (a meter or board that answers never draws 0 W) or above a
    gigawatt are dropped and counted; of several readings of a device at one instant the highest is kept, as
    copies of one reading are equal; where they are not, `disagreements` says so. Between two readings power is taken
    as linear. Where they are further apart than `max_gap_s` nothing is known: no energy, and `coverage` says so.
    Readings of times before 1970 count nowhere.

    Args:
        readings: On a DuckDB backend, with `node_id`, `device_id`, `time` (timestamp, UTC), `power_w` (any
            number), and if there are any `run` (text) and `origin` (text, for example the file's hash).
        max_gap_s: The longest distance of two readings that is integrated, at most a day.
        gap_policy: For longer gaps up to `max_bridge_s`: `none`, `hold` the last power, or the `mean` of both
            ends. Bridged time makes energy but is not observed: it does not raise `coverage`.
        max_bridge_s: The longest gap that is bridged, at most a day.
        windows: `node_id`, `run`, `start`, `end` (timestamps, UTC, half-open): a node's energy inside belongs to
            the run, the rest to none; the `run` of the readings is then ignored. Without windows an interval
            belongs to the run of its first reading.
        within: Half-open; only hours that start in here make rows, and only readings in here are counted in the
            notes. Readings up to the longest gap outside should be given, so that its edges are integrated.

    Returns:
        Rows and counts. `gaps_not_bridged` counts gaps of less than a day, by when they begin.
    """
    con = readings.get_backend()
    span = _Span.of(within)
    reach_us = (max_gap_s if gap_policy == "none" else max(max_gap_s, max_bridge_s)) * 1_000_000
    names = _Names()
    try:
        con.create_view(names.given, _completed(readings))
        notes = _count(con, f"SELECT {_counts(_DROPS, span.holds('epoch_us(time)'))} FROM {names.given}")
        dropped = any(notes[name] for name in ("zero_readings_dropped", "negative_readings_dropped"))
        zeros = con.raw_sql(_zeros(names, span)).fetchall() if dropped else []
        con.raw_sql(_device_table(names))
        for column in ("run", "origin"):
            con.raw_sql(_number_table(names, column))
        con.raw_sql(_sequence_table(names))
        con.raw_sql(_instant_table(names))
        notes |= _count(con, _sequence_counts(names, span, max_gap_s * 1_000_000, reach_us))
        lone = [Lone(*row) for row in con.raw_sql(_lone(names, span, reach_us)).fetchall()]
        differing = con.raw_sql(_disagreements(names, span)).fetchall() if notes["duplicate_readings_dropped"] else []
        segments = None
        if windows is not None:
            segments = names.segments
            con.create_view(names.windows, windows.select("node_id", "run", "start", "end"))
            con.raw_sql(_segment_table(names, span))
        con.raw_sql(_result_table(names, segments, span, max_gap_s * 1_000_000, reach_us, gap_policy))
    finally:
        for table in names.passing:
            con.raw_sql(f"DROP TABLE IF EXISTS {table}")
        for view in (names.windows, names.given):
            con.raw_sql(f"DROP VIEW IF EXISTS {view}")
    return HourlyEnergy(
        con.table(names.result),
        {name: number for name, number in notes.items() if number},
        tuple(Disagreement(*row) for row in differing),
        tuple(lone),
        tuple(Zeros(*row) for row in zeros),
    )


class _Names:
    """Names of this call's tables; a backend may hold the results of many calls."""

    def __init__(self) -> None:
        number = next(_serial)
        self.given = f"power_given_{number}"
        self.devices = f"power_devices_{number}"
        self.numbers = {column: f"power_{column}_numbers_{number}" for column in ("run", "origin")}
        self.sequence = f"power_sequence_{number}"
        self.instants = f"power_instants_{number}"
        self.windows = f"power_windows_{number}"
        self.segments = f"power_segments_{number}"
        self.result = f"power_hours_{number}"

    @property
    def passing(self) -> tuple[str, ...]:
        """Tables that are needed no longer once the result is there."""
        return (self.segments, self.instants, self.sequence, *self.numbers.values(), self.devices)


@dataclass(frozen=True)
class _Span:
    """A half-open stretch of time in epoch microseconds; all years of Python where there is none."""

    start_us: int
    end_us: int

    @classmethod
    def of(cls, within: tuple[datetime, datetime] | None) -> _Span:
        ever = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
        return cls(*(round(edge.timestamp()) * 1_000_000 for edge in within or ever))

    def holds(self, time_us: str) -> str:
        return f"({time_us} >= {self.start_us} AND {time_us} < {self.end_us})"


def _completed(readings: ibis.Table) -> ibis.Table:
    optional = {
        name: readings[name].cast("string") if name in readings.columns else ibis.null("string")
        for name in ("run", "origin")
    }
    return readings.select(
        "node_id",
        "device_id",
        time=readings.time.cast("timestamp(6)"),
        power_w=readings.power_w.cast("float64"),
        **optional,
    )


def _counts(rules: Mapping[str, str], condition: str) -> str:
    return ", ".join(f"count(*) FILTER ({condition} AND {rule}) AS {name}" for name, rule in rules.items())


def _count(con: Any, sql: str) -> dict[str, int]:
    cursor = con.raw_sql(sql)
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchone(), strict=True))


def _device_table(names: _Names) -> str:
    """Devices by number: sorting and grouping millions of rows by text is several times slower."""
    return f"""
        CREATE TEMP TABLE {names.devices} AS
        SELECT
            node_id, device_id,
            row_number() OVER (ORDER BY node_id, device_id)::INTEGER AS device_no,
            dense_rank() OVER (ORDER BY node_id)::INTEGER AS node_no
        FROM (SELECT DISTINCT node_id, device_id FROM {names.given})"""


def _number_table(names: _Names, column: str) -> str:
    """The values of `run` or `origin` by number, in their own order."""
    return f"""
        CREATE TEMP TABLE {names.numbers[column]} AS
        SELECT {column}, row_number() OVER (ORDER BY {column})::INTEGER AS {column}_no
        FROM (SELECT DISTINCT {column} FROM {names.given} WHERE {column} IS NOT NULL)"""


def _sequence_table(names: _Names) -> str:
    """Good readings with the following one of the same device.

    Of times before 1970 the engine's `//` would round up, and put them into the hour after theirs.
    Of readings at one instant the highest comes first, so that is what the instant before links to; the last of
    them carries the link to the next instant, with values from `_instant_table` (one sort instead of two).
    """
    good = f"power_w > 0 AND power_w <= {SENTINEL_W}"
    return f"""
        CREATE TEMP TABLE {names.sequence} AS
        WITH good AS (
            SELECT
                device_no, node_no, epoch_us(time) AS t,
                round(power_w * 1000000)::BIGINT AS p, run_no, origin_no
            FROM {names.given} JOIN {names.devices} USING (node_id, device_id)
                LEFT JOIN {names.numbers["run"]} USING (run) LEFT JOIN {names.numbers["origin"]} USING (origin)
            WHERE {good} AND time >= TIMESTAMP '1970-01-01'
        )
        SELECT *, lead(t) OVER w AS t_next, lead(p) OVER w AS p_next
        FROM good WINDOW w AS (PARTITION BY device_no ORDER BY t, p DESC)"""


def _instant_table(names: _Names) -> str:
    """What holds at instants with several readings; nearly always a small table."""
    return f"""
        CREATE TEMP TABLE {names.instants} AS
        SELECT device_no, t, max(p) AS p, min(run_no) AS run_no, min(origin_no) AS origin_no
        FROM {names.sequence}
        SEMI JOIN (SELECT device_no, t FROM {names.sequence} WHERE t_next = t) AS several USING (device_no, t)
        GROUP BY device_no, t"""


def _sequence_counts(names: _Names, span: _Span, gap_us: int, reach_us: int) -> str:
    long = f"t_next - t > {gap_us}"
    rules = {
        "duplicate_readings_dropped": "t_next = t",
        "gaps_bridged": f"{long} AND t_next - t <= {reach_us}",
        # After a whole day it is another log, which hours without a reading tell of.
        "gaps_not_bridged": f"t_next - t > {reach_us} AND t_next - t < {_DAY_US}",
    }
    return f"SELECT {_counts(rules, span.holds('t'))} FROM {names.sequence}"


def _zeros(names: _Names, span: _Span) -> str:
    """Devices that are zero or negative at one reading in `OFTEN` or more."""
    return f"""
        SELECT node_id, device_id, count(*) AS instants, count(*) FILTER (most <= 0) AS zeros
        FROM (
            SELECT node_id, device_id, time, max(power_w) AS most FROM {names.given}
            WHERE {span.holds("epoch_us(time)")} AND power_w IS NOT NULL AND NOT isnan(power_w)
                AND node_id IS NOT NULL AND device_id IS NOT NULL
            GROUP BY node_id, device_id, time
        )
        GROUP BY node_id, device_id HAVING zeros * {OFTEN} >= instants ORDER BY node_id, device_id"""


def _lone(names: _Names, span: _Span, reach_us: int) -> str:
    """Devices with readings in the span, and none of their readings near enough to the next."""
    return f"""
        WITH found AS (
            SELECT
                device_no, count(*) FILTER ({span.holds("t")}) AS readings,
                min(t) FILTER ({span.holds("t")}) AS first, max(t) FILTER ({span.holds("t")}) AS last,
                min(t_next - t) FILTER (t_next > t) AS nearest
            FROM {names.sequence} GROUP BY device_no
        )
        SELECT node_id, device_id, readings, make_timestamp(first), make_timestamp(last), nearest / 1e6
        FROM found JOIN {names.devices} USING (device_no)
        WHERE readings > 0 AND (nearest IS NULL OR nearest > {reach_us}) ORDER BY node_id, device_id"""


def _disagreements(names: _Names, span: _Span) -> str:
    """Devices and days with several different readings at one instant."""
    return f"""
        WITH instants AS (
            SELECT
                device_no, t, min(p) AS low, max(p) AS high, min(origin_no) AS one, max(origin_no) AS other,
                count(DISTINCT origin_no) >= count(DISTINCT p) AS across
            FROM {names.sequence} WHERE {span.holds("t")} GROUP BY device_no, t
        ),
        days AS (
            SELECT
                device_no, t // {_DAY_US} AS day_no, count(*) AS instants, count(*) FILTER (high > low) AS differing,
                count(*) FILTER (high > low AND across) AS across,
                arg_min({{'t': t, 'low': low, 'high': high, 'one': one, 'other': other}}, t) FILTER (high > low) AS of
            FROM instants GROUP BY ALL
        )
        SELECT
            node_id, device_id, instants, differing, across, make_timestamp(of.t), of.low / 1e6, of.high / 1e6,
            one.origin, other.origin
        FROM days JOIN {names.devices} USING (device_no)
            LEFT JOIN {names.numbers["origin"]} AS one ON one.origin_no = of.one
            LEFT JOIN {names.numbers["origin"]} AS other ON other.origin_no = of.other
        WHERE differing > 0 ORDER BY day_no, node_id, device_id"""


def _segment_table(names: _Names, span: _Span) -> str:
    """For each node and hour that has windows, the hour cut at every window's edge, and who claims each part."""
    return f"""
        CREATE TEMP TABLE {names.segments} AS
        WITH nodes AS (SELECT DISTINCT node_id, node_no FROM {names.devices}),
        clipped AS (
            SELECT
                node_no, run,
                greatest(epoch_us("start"::TIMESTAMP), {span.start_us}) AS s,
                least(epoch_us("end"::TIMESTAMP), {span.end_us}) AS e
            FROM {names.windows} JOIN nodes USING (node_id)
        ),
        hours AS (
            SELECT *, unnest(range(s // {_HOUR_US}, (e - 1) // {_HOUR_US} + 1)) AS hour_no FROM clipped WHERE s < e
        ),
        claims AS (
            SELECT
                node_no, hour_no, run, greatest(s, hour_no * {_HOUR_US}) AS s,
                least(e, (hour_no + 1) * {_HOUR_US}) AS e
            FROM hours
        ),
        cuts AS (
            SELECT DISTINCT
                node_no, hour_no, unnest([s, e, hour_no * {_HOUR_US}, (hour_no + 1) * {_HOUR_US}]) AS cut
            FROM claims
        ),
        parts AS (
            SELECT node_no, hour_no, cut AS s, lead(cut) OVER (PARTITION BY node_no, hour_no ORDER BY cut) AS e
            FROM cuts
        )
        SELECT
            p.node_no, p.hour_no, p.s, p.e,
            string_agg(DISTINCT c.run, '+' ORDER BY c.run) AS run, count(DISTINCT c.run)::SMALLINT AS runs
        FROM parts AS p LEFT JOIN claims AS c
            ON c.node_no = p.node_no AND c.hour_no = p.hour_no AND c.s <= p.s AND c.e >= p.e
        WHERE p.e IS NOT NULL
        GROUP BY p.node_no, p.hour_no, p.s, p.e"""


def _result_table(
    names: _Names, segments: str | None, span: _Span, gap_us: int, reach_us: int, policy: GapPolicy
) -> str:
    ends = {"none": ("p", "p_next"), "hold": ("p", "p"), "mean": ("(p + p_next) // 2", "(p + p_next) // 2")}
    p0, p1 = ends[policy]
    owned = (
        f"""
        SELECT h.* EXCLUDE (run_no), run, (run IS NOT NULL)::SMALLINT AS runs
        FROM hourly AS h LEFT JOIN {names.numbers["run"]} USING (run_no)"""
        if segments is None
        else f"""
        SELECT
            h.* EXCLUDE (run_no, a, b), greatest(h.a, coalesce(s.s, h.a)) AS a, least(h.b, coalesce(s.e, h.b)) AS b,
            s.run, coalesce(s.runs, 0)::SMALLINT AS runs
        FROM hourly AS h LEFT JOIN {segments} AS s
            ON s.node_no = h.node_no AND s.hour_no = h.hour_no AND s.s < h.b AND s.e > h.a"""
    )
    return f"""
        CREATE TEMP TABLE {names.result} AS
        WITH linked AS NOT MATERIALIZED (
            SELECT
                s.device_no, s.node_no, s.t, s.t_next, s.p_next, coalesce(i.p, s.p) AS p,
                coalesce(i.run_no, s.run_no) AS run_no, coalesce(i.origin_no, s.origin_no) AS origin_no
            FROM {names.sequence} AS s LEFT JOIN {names.instants} AS i ON i.device_no = s.device_no AND i.t = s.t
            WHERE s.t_next > s.t AND s.t_next - s.t <= {reach_us}
        ),
        intervals AS NOT MATERIALIZED (
            SELECT
                device_no, node_no, run_no, origin_no, t AS t0, t_next AS t1, t_next - t > {gap_us} AS bridged,
                CASE WHEN t_next - t > {gap_us} THEN {p0} ELSE p END AS p0,
                CASE WHEN t_next - t > {gap_us} THEN {p1} ELSE p_next END AS p1
            FROM linked
        ),
        hourly AS (
            SELECT *, t0 // {_HOUR_US} AS hour_no, t0 AS a, t1 AS b
            FROM intervals WHERE t0 // {_HOUR_US} = (t1 - 1) // {_HOUR_US}
            UNION ALL
            SELECT *, greatest(t0, hour_no * {_HOUR_US}) AS a, least(t1, (hour_no + 1) * {_HOUR_US}) AS b
            FROM (
                SELECT *, unnest(range(t0 // {_HOUR_US}, (t1 - 1) // {_HOUR_US} + 1)) AS hour_no
                FROM intervals WHERE t0 // {_HOUR_US} < (t1 - 1) // {_HOUR_US}
            )
        ),
        owned AS ({owned}),
        sums AS (
            SELECT
                device_no, hour_no, run, runs,
                sum(
                    CASE WHEN a = t0 AND b = t1 THEN (p0 + p1)::HUGEINT * (t1 - t0)
                    ELSE {_doubled_energy_until("b")} - {_doubled_energy_until("a")} END
                ) AS doubled,
                coalesce(sum(b - a) FILTER (NOT bridged), 0)::HUGEINT AS observed_us,
                bool_or(bridged) AS bridged,
                arg_min(origin_no, a) AS origin_no
            FROM owned WHERE {span.holds(f"hour_no * {_HOUR_US}")}
            GROUP BY device_no, hour_no, run, runs
        )
        SELECT
            node_id, device_id, make_timestamp(hour_no * {_HOUR_US}) AS hour, run, runs,
            {_rounded("doubled", _DOUBLED_PER_NANO_KWH, 9, "DECIMAL(18, 9)")} AS energy_kwh,
            {_rounded("observed_us * 1000000000", _HOUR_US, 9, "DECIMAL(18, 9)")} AS usage_hours,
            {_rounded("sum(observed_us) OVER device_hour * 1000000", _HOUR_US, 6, "DECIMAL(9, 6)")} AS coverage,
            bridged, origin
        FROM sums JOIN {names.devices} USING (device_no) LEFT JOIN {names.numbers["origin"]} USING (origin_no)
        WINDOW device_hour AS (PARTITION BY device_no, hour_no)
        ORDER BY node_id, device_id, hour_no, run"""


def _doubled_energy_until(edge: str) -> str:
    """Twice the energy from t0 to an edge under the line from p0 to p1, in microwatts times microseconds."""
    d = f"({edge} - t0)::HUGEINT"
    return f"(2 * p0 * {d} + (p1 - p0) * {d} * {d} // (t1 - t0))"


def _rounded(numerator: str, divisor: int, scale: int, to: str) -> str:
    """An integer fraction, rounded half up once, as a decimal; DuckDB's `/` would make it a double."""
    unit = f"0.{'0' * (scale - 1)}1::DECIMAL({scale + 1}, {scale})"
    return f"((({numerator} + {divisor // 2}) // {divisor})::DECIMAL(28, 0) * {unit})::{to}"

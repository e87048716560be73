"""The power integrator against sums one can do by hand, and against exact fractions."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.sources.power import Disagreement, Lone, hourly_energy

NOON = datetime(2024, 5, 1, 12)
Reading = tuple[float | datetime, float | None]


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
def con() -> Iterator[Any]:
    con = ibis.duckdb.connect(threads=2)
    yield con
    con.disconnect()


def table(con: Any, readings: Sequence[Reading], node: str = "n", run: str | None = None) -> ibis.Table:
    """Readings of one device at minutes after noon."""
    instants = [t if isinstance(t, datetime) else at(t) for t, _ in readings]
    columns = {"node_id": pa.array([node] * len(readings)), "device_id": pa.array(["d"] * len(readings))}
    columns |= {"run": pa.array([run] * len(readings), pa.string()), "time": pa.array(instants, pa.timestamp("us"))}
    columns |= {"power_w": pa.array([watts for _, watts in readings], pa.float64())}
    return con.create_table(ibis.util.gen_name("given"), pa.table(columns), temp=True)


def sighted(con: Any, *readings: tuple[float | datetime, float, str]) -> ibis.Table:
    """Readings of one device, each with its origin."""
    tables = [table(con, [(t, watts)]).mutate(origin=ibis.literal(origin)) for t, watts, origin in readings]
    return ibis.union(*tables)


def energies(rows: ibis.Table) -> list[tuple[int, str | None, Decimal]]:
    """Hour of day, run and kWh of each row."""
    return [(r["hour"].hour, r["run"], r["energy_kwh"]) for r in rows.to_pyarrow().to_pylist()]


def windows(con: Any, *runs: tuple[str, float, float]) -> ibis.Table:
    rows = [{"node_id": "n", "run": run, "start": at(start), "end": at(end)} for run, start, end in runs]
    return con.create_table(ibis.util.gen_name("windows"), ibis.memtable(rows), temp=True)


def test_an_interval_is_cut_at_the_hour_on_the_line_between_its_readings(con: Any) -> None:
    """1000 W at 11:58 to 2000 W at 12:02 pass 1500 W at noon: 1250 W and 1750 W on average, two minutes each."""
    result = hourly_energy(table(con, [(-2, 1000), (2, 2000)]))
    assert energies(result.rows) == [(11, None, Decimal("0.041666667")), (12, None, Decimal("0.058333333"))]
    hours = result.rows.to_pyarrow().to_pylist()
    assert [r["coverage"] for r in hours] == [Decimal("0.033333")] * 2
    assert [r["usage_hours"] for r in hours] == [Decimal("0.033333333")] * 2
    assert result.notes == {}


@pytest.mark.parametrize(
    ("policy", "bridge_s", "kwh", "coverage", "bridged", "notes"),
    [
        ("none", 3600, "0.1", "0.1", False, {"gaps_not_bridged": 1}),
        ("hold", 3600, "0.3", "0.1", True, {"gaps_bridged": 1}),
        ("mean", 3600, "0.433333333", "0.1", True, {"gaps_bridged": 1}),
        ("mean", 600, "0.1", "0.1", False, {"gaps_not_bridged": 1}),
    ],
)
def test_a_long_gap_is_bridged_only_as_asked_and_never_counts_as_observed(
    con: Any, policy: Any, bridge_s: int, kwh: str, coverage: str, bridged: bool, notes: dict[str, int]
) -> None:
    """3 minutes at 600 W, a gap of 20 minutes, 3 minutes at 1400 W."""
    readings = table(con, [(0, 600), (3, 600), (23, 1400), (26, 1400)])
    result = hourly_energy(readings, gap_policy=policy, max_bridge_s=bridge_s)
    (row,) = result.rows.to_pyarrow().to_pylist()
    assert row["energy_kwh"] == Decimal(kwh)
    assert (row["coverage"], row["bridged"], result.notes) == (Decimal(coverage), bridged, notes)


def test_bad_readings_are_dropped_and_counted_each_under_its_name(con: Any) -> None:
    bad = [
        (1, None), (1.1, float("nan")), (1.2, -9.0), (1.3, 0.0), (1.4, 9223372036854775794.0), (1.5, float("inf")),
        (2, 1000.0), (2, 999.0),
    ]  # fmt: skip
    result = hourly_energy(table(con, [(0, 1000), *bad, (3, 1000)]))
    assert energies(result.rows) == [(12, None, Decimal("0.05"))]
    assert result.notes == {
        "empty_readings_dropped": 1,
        "nan_readings_dropped": 1,
        "negative_readings_dropped": 1,
        "zero_readings_dropped": 1,
        "sentinel_readings_dropped": 2,
        "duplicate_readings_dropped": 1,
    }


@pytest.mark.parametrize(
    ("watts", "kwh"),
    [
        (999_999.999, "999.999999000"),
        (1_000_000, "1000.000000000"),
        (1_000_000.000001, "1000.000000001"),
        (50_000_000, "50000.000000000"),
        (1_000_000_000, "1000000.000000000"),
    ],
)
def test_a_meter_of_a_hall_is_read_to_the_last_microwatt(con: Any, watts: float, kwh: str) -> None:
    """One megawatt and more, up to the gigawatt above which a reading is no power."""
    result = hourly_energy(table(con, [(minute, watts) for minute in range(0, 65, 5)]))
    assert energies(result.rows) == [(12, None, Decimal(kwh))]
    assert result.notes == {}


def test_a_reading_is_a_sentinel_only_above_a_gigawatt(con: Any) -> None:
    result = hourly_energy(table(con, [(0, 1e9), (5, 1e9), (6, 1_000_000_001)]))
    assert result.notes == {"sentinel_readings_dropped": 1}


@pytest.mark.parametrize(("seconds", "kwh", "gaps"), [(300, "0.05", 0), (299, "0.049833333", 0), (300.000001, None, 1)])
def test_a_gap_of_exactly_the_longest_is_joined_and_one_microsecond_more_is_not(
    con: Any, seconds: float, kwh: str | None, gaps: int
) -> None:
    result = hourly_energy(table(con, [(0, 600), (seconds / 60, 600)]), max_gap_s=300)
    assert energies(result.rows) == ([(12, None, Decimal(kwh))] if kwh else [])
    assert result.notes == ({"gaps_not_bridged": 1} if gaps else {})


def test_a_gap_over_midnight_is_a_gap(con: Any) -> None:
    """From 23:30 to 1:00."""
    result = hourly_energy(table(con, [(685, 600), (690, 600), (780, 600), (785, 600)]), max_gap_s=300)
    assert result.notes == {"gaps_not_bridged": 1}


@pytest.mark.parametrize(("seconds", "bridged"), [(900, True), (900.000001, False)])
def test_a_gap_of_exactly_the_longest_bridge_is_bridged(con: Any, seconds: float, bridged: bool) -> None:
    readings = table(con, [(0, 600), (seconds / 60, 600)])
    result = hourly_energy(readings, max_gap_s=300, gap_policy="hold", max_bridge_s=900)
    assert energies(result.rows) == ([(12, None, Decimal("0.15"))] if bridged else [])
    assert result.notes == ({"gaps_bridged": 1} if bridged else {"gaps_not_bridged": 1})


def test_windows_cut_at_their_edges_and_what_lies_outside_belongs_to_nobody(con: Any) -> None:
    """A ramp of 60 W a minute from 0.6 kW: a run's share is the area below its stretch of the line."""
    ramp = table(con, [(m, 600 + 60 * m) for m in (0, 4, 8, 12)])
    result = hourly_energy(ramp, windows=windows(con, ("a", 1, 6), ("b", 5, 7)))
    assert energies(result.rows) == [
        (12, "a", Decimal("0.052000000")),
        (12, "a+b", Decimal("0.015500000")),
        (12, "b", Decimal("0.016500000")),
        (12, None, Decimal("0.108000000")),
    ]
    rows = result.rows.to_pyarrow().to_pylist()
    assert [r["runs"] for r in rows] == [1, 2, 1, 0]
    assert {r["coverage"] for r in rows} == {Decimal("0.2")}
    whole = hourly_energy(ramp).rows.energy_kwh.sum().to_pyarrow().as_py()
    assert sum(r["energy_kwh"] for r in rows) == whole


def test_a_run_that_only_touches_readings_has_none_of_them(con: Any) -> None:
    readings = table(con, [(1, 600), (3, 600)])
    touching = windows(con, ("before", 0, 1), ("after", 3, 4))
    assert energies(hourly_energy(readings, windows=touching).rows) == [(12, None, Decimal("0.02"))]


def test_an_interval_belongs_to_the_run_of_its_first_reading(con: Any) -> None:
    both = ibis.union(table(con, [(0, 600), (1, 600)], run="a"), table(con, [(2, 600), (3, 600)], run=None))
    rows = hourly_energy(both).rows
    assert energies(rows) == [(12, "a", Decimal("0.02")), (12, None, Decimal("0.01"))]
    assert [r["runs"] for r in rows.to_pyarrow().to_pylist()] == [1, 0]


def test_a_day_alone_is_equal_to_the_day_in_a_range(con: Any) -> None:
    chance = random.Random(7)  # noqa: S311
    readings = table(con, [(7 * n / 3 + chance.random(), 500 + 300 * chance.random()) for n in range(2000)])
    midnight = NOON.replace(hour=0)
    day = (midnight + timedelta(days=1), midnight + timedelta(days=2))
    near = readings.filter(
        readings.time >= day[0] - timedelta(minutes=5), readings.time < day[1] + timedelta(minutes=5)
    )
    alone = hourly_energy(near, within=day).rows.to_pyarrow()
    everything = hourly_energy(readings).rows
    ranged = everything.filter(everything.hour >= day[0], everything.hour < day[1])
    assert alone.num_rows == 24
    assert alone == ranged.order_by("hour").to_pyarrow()


def test_energy_equals_exact_fractions_whatever_the_order_of_rows(con: Any) -> None:
    """Two devices, uneven steps: every digit of every hour, from rows in two orders."""
    chance = random.Random(3)  # noqa: S311
    rows = {}
    for node in ("n1", "n2"):
        micros = 0
        for _ in range(1500):
            micros += chance.randrange(1, 12_000_000)
            rows[node, micros] = round(chance.uniform(50, 7000), 3)
    expected: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
    for node in ("n1", "n2"):
        line = [(t, Fraction(str(w))) for (n, t), w in sorted(rows.items()) if n == node]
        for (t0, p0), (t1, p1) in pairwise(line):
            for hour in range(t0 // 3_600_000_000, t1 // 3_600_000_000 + 1):
                a, b = max(t0, hour * 3_600_000_000), min(t1, (hour + 1) * 3_600_000_000)
                middle = p0 + (p1 - p0) * (Fraction(a + b, 2) - t0) / (t1 - t0)
                expected[node, 12 + hour] += middle * (b - a) / Fraction(10**6) / 3_600_000
    shuffled = list(rows.items())
    chance.shuffle(shuffled)
    seen = []
    for order in (shuffled, shuffled[::-1]):
        tables = [
            table(con, [(NOON + timedelta(microseconds=t), w) for (n, t), w in order if n == node], node)
            for node in ("n1", "n2")
        ]
        result = hourly_energy(ibis.union(*tables)).rows.to_pyarrow()
        seen.append(result)
        for row in result.to_pylist():
            assert row["energy_kwh"] == round(expected[row["node_id"], row["hour"].hour], 9)
    assert seen[0] == seen[1]


@pytest.mark.parametrize(("gap_s", "known"), [(299, True), (300, True), (301, False)])
def test_a_distance_of_exactly_the_longest_gap_is_no_gap(con: Any, gap_s: int, known: bool) -> None:
    """Meters that read every five minutes lie exactly on the default."""
    rows = hourly_energy(table(con, [(0, 600), (gap_s / 60, 600)]), max_gap_s=300).rows.to_pyarrow()
    assert rows.num_rows == int(known)


@pytest.mark.parametrize(
    ("policy", "seconds", "kwh", "bridged"),
    [
        ("hold", 300, "0.075", False),
        ("mean", 300, "0.075", False),
        ("hold", 301, "0.050166667", True),
        ("mean", 301, "0.075250000", True),
    ],
)
def test_a_distance_of_exactly_the_longest_gap_lies_on_the_line_and_is_not_bridged(
    con: Any, policy: Any, seconds: int, kwh: str, bridged: bool
) -> None:
    """600 W to 1200 W in five minutes: 900 W on average, as measured; only a longer gap is filled."""
    (row,) = (
        hourly_energy(table(con, [(0, 600), (seconds / 60, 1200)]), gap_policy=policy).rows.to_pyarrow().to_pylist()
    )
    assert (row["energy_kwh"], row["bridged"], row["coverage"] == 0) == (Decimal(kwh), bridged, bridged)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (at(-1), at(0), [11]),
        (at(0), at(1), [12]),
        (at(-1), at(0) + timedelta(microseconds=1), [11, 12]),
        (at(0) - timedelta(microseconds=1), at(1), [11, 12]),
        (at(59), at(119), [12, 13]),
        (at(60), at(120), [13]),
        (at(59), at(120), [12, 13]),
        (at(59), at(121), [12, 13, 14]),
    ],
)
def test_an_interval_that_ends_on_the_hour_is_of_the_hour_before(
    con: Any, start: datetime, end: datetime, hours: list[int]
) -> None:
    """Both of readings, and of windows within longer readings."""
    rows = hourly_energy(table(con, [(start, 6e8), (end, 6e8)]), max_gap_s=4000).rows
    assert [hour for hour, _, _ in energies(rows)] == hours
    run = ibis.memtable([{"node_id": "n", "run": "a", "start": start, "end": end}])
    window = con.create_table(ibis.util.gen_name("windows"), run, temp=True)
    readings = table(con, [(minute, 6e8) for minute in range(-5, 130, 5)])
    claimed = [(hour, kwh) for hour, name, kwh in energies(hourly_energy(readings, windows=window).rows) if name]
    assert claimed == [(hour, kwh) for hour, _, kwh in energies(rows)]


@pytest.mark.parametrize(
    ("micros", "watts", "kwh", "hours", "coverage"),
    [
        (1, 1800, "0.000000001", "0", "0"),
        (1, 1799.999999, "0", "0", "0"),
        (1, 5400, "0.000000002", "0", "0"),
        (1, 5399.999999, "0.000000001", "0", "0"),
        (9, 600, "0.000000002", "0.000000003", "0"),
        (8, 600, "0.000000001", "0.000000002", "0"),
        (1799, 600, "0.000000300", "0.000000500", "0"),
        (1800, 600, "0.000000300", "0.000000500", "0.000001"),
        (5399, 600, "0.000000900", "0.000001500", "0.000001"),
        (5400, 600, "0.000000900", "0.000001500", "0.000002"),
    ],
)
def test_the_last_digit_is_rounded_half_up(
    con: Any, micros: int, watts: float, kwh: str, hours: str, coverage: str
) -> None:
    """A watt for an hour is a million nano-kWh: 1800 W for a microsecond are half of one."""
    (row,) = hourly_energy(table(con, [(0, watts), (micros / 6e7, watts)])).rows.to_pyarrow().to_pylist()
    assert [row[name] for name in ("energy_kwh", "usage_hours", "coverage")] == list(
        map(Decimal, (kwh, hours, coverage))
    )


@pytest.mark.parametrize("year", [1970, 2300, 5200, 9999])
def test_without_a_span_every_year_counts(con: Any, year: int) -> None:
    first = datetime(year, 1, 1)
    result = hourly_energy(table(con, [(first, 600), (first, 500), (first + timedelta(minutes=1), 600)]))
    assert energies(result.rows) == [(0, None, Decimal("0.01"))]
    assert result.notes == {"duplicate_readings_dropped": 1}


def test_before_1970_nothing_was_read(con: Any) -> None:
    epoch = datetime(1970, 1, 1)
    readings = [(epoch + timedelta(minutes=minute), 600) for minute in (-700, -2, -1, 0, 1)]
    assert energies(hourly_energy(table(con, readings)).rows) == [(0, None, Decimal("0.01"))]


@pytest.mark.parametrize(
    ("sightings", "across"),
    [
        ([(5, "a"), (7, "b")], 1),
        ([(5, "a"), (7, "b"), (7, "b")], 1),
        ([(5, "a"), (7, "b"), (7, "a")], 1),
        ([(5, "a"), (7, "a")], 0),
        ([(5, "a"), (6, "b"), (7, "b")], 0),
        ([(5, "a"), (5, "b")], None),
    ],
)
def test_readings_that_differ_are_of_origins_that_differ_where_there_are_as_many(
    con: Any, sightings: list[tuple[float, str]], across: int | None
) -> None:
    found = hourly_energy(sighted(con, (-1, 5, "z"), *((0, watts, origin) for watts, origin in sightings)))
    assert [one.across for one in found.disagreements] == ([] if across is None else [across])


def test_a_disagreement_shows_its_first_instant_and_each_day_counts_for_itself(con: Any) -> None:
    tomorrow = at(24 * 60)
    readings = [(0, 5, "a"), (1, 9, "b"), (1, 5, "a"), (2, 8, "c"), (2, 1, "c")]
    found = hourly_energy(sighted(con, *readings, (tomorrow, 3, "c"), (tomorrow, 2, "b")))
    assert found.disagreements == (
        Disagreement("n", "d", 3, 2, 1, at(1), 5.0, 9.0, "a", "b"),
        Disagreement("n", "d", 1, 1, 1, tomorrow, 2.0, 3.0, "b", "c"),
    )


@pytest.mark.parametrize(
    ("minutes", "lone"),
    [
        ([0], Lone("n", "d", 1, at(0), at(0), None)),
        ([0, 5.1], Lone("n", "d", 2, at(0), at(5.1), 306.0)),
        ([0, 20, 26], Lone("n", "d", 3, at(0), at(26), 360.0)),
        ([0, 0, 20], Lone("n", "d", 3, at(0), at(20), 1200.0)),
        ([0, 5], None),
        ([0, 20, 25], None),
    ],
)
def test_a_device_of_which_no_two_readings_are_near_enough_is_named(
    con: Any, minutes: list[float], lone: Lone | None
) -> None:
    found = hourly_energy(table(con, [(minute, 600) for minute in minutes]))
    assert found.lone == ((lone,) if lone else ())
    assert (found.rows.count().to_pyarrow().as_py() > 0) == (lone is None)


def test_only_readings_of_the_span_are_counted_from_its_first_instant_to_before_its_end(con: Any) -> None:
    span = (at(0).replace(tzinfo=UTC), at(60).replace(tzinfo=UTC))
    doubled = [(minute, watts) for minute in (-1, 0, 59, 60) for watts in (600, 500)]
    found = hourly_energy(table(con, doubled), within=span, max_gap_s=60)
    assert found.notes == {"duplicate_readings_dropped": 2, "gaps_not_bridged": 1}
    assert [one.instants for one in found.disagreements] == [2]
    assert energies(found.rows) == [(12, None, Decimal("0.01"))]


@pytest.mark.parametrize(
    ("minutes", "notes"), [(720, {"gaps_not_bridged": 1}), (1439, {"gaps_not_bridged": 1}), (1440, {})]
)
def test_what_is_silent_for_a_whole_day_has_no_gap_but_ended(con: Any, minutes: int, notes: dict[str, int]) -> None:
    assert hourly_energy(table(con, [(0, 600), (minutes, 600)])).notes == notes


def test_a_row_has_the_origin_of_its_earliest_reading_and_of_equal_ones_the_first_by_name(con: Any) -> None:
    rows = hourly_energy(sighted(con, (0, 5, "c"), (0, 5, "b"), (1, 5, "a"), (2, 5, "a"))).rows
    assert rows.origin.to_pyarrow().to_pylist() == ["b"]

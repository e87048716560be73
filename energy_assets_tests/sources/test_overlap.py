"""Values of minutes to values of hours: golden cases of the mean by overlap, and how long a value holds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts import types as t
from energy_assets.sources.overlap import by_hour, covered, held, lasting, overlap_mean, overlap_s, spaced

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
MINUTE, HOUR = 60, 3600
MIDNIGHT = int(datetime(2024, 5, 9, tzinfo=UTC).timestamp())
Slot = tuple[int, int, str | None]
"""Begin and length in minutes, and the value."""


def slots(given: Sequence[Slot]) -> Any:
    columns = {
        "at_s": [MINUTE * begin for begin, _, _ in given],
        "seconds": [MINUTE * length for _, length, _ in given],
        "value": pa.array([value and Decimal(value) for _, _, value in given], pa.decimal128(9, 3)),
    }
    return ibis.memtable(pa.table(columns))


FIVE: list[Slot] = [(0, 5, "10"), (5, 5, "20"), (10, 5, "30"), (15, 5, "40")]


@pytest.mark.parametrize(
    ("given", "first", "last", "mean", "seconds"),
    [
        (FIVE, 4, 20, "28.75", 960),
        (FIVE, 0, 20, "25", 1200),
        (FIVE, 0, 60, "25", 1200),
        (FIVE, 5, 10, "20", 300),
        (FIVE, 7, 12, "24", 300),
        (FIVE, 20, 60, None, 0),
        ([(0, 30, "100"), (30, 30, "200")], 0, 60, "150", 3600),
        ([(-30, 60, "100"), (30, 60, "200")], 0, 60, "150", 3600),
        ([(-15, 60, "100"), (45, 60, "200")], 0, 60, "125", 3600),
        ([(0, 15, "1"), (15, 15, None), (30, 15, "4"), (45, 15, "4")], 0, 60, "3", 2700),
        ([(0, 1, "0.001"), (1, 1, "0.002")], 0, 60, "0.002", 120),
        ([(0, 2, "0.001"), (2, 1, "0.002")], 0, 60, "0.001", 180),
    ],
)
def test_the_mean_is_weighted_by_how_long_each_value_holds_within_the_time(
    given: list[Slot], first: int, last: int, mean: str | None, seconds: int
) -> None:
    table = slots(given)
    lengths = overlap_s(table.at_s, table.seconds, first * MINUTE, last * MINUTE)
    found = table.aggregate(
        mean=overlap_mean(table.value, lengths, t.FACTOR), s=lengths.sum(where=table.value.notnull())
    )
    assert CON.to_pyarrow(found).to_pylist() == [{"mean": mean and Decimal(mean), "s": seconds}]


@pytest.mark.parametrize("seed", range(8))
def test_hours_of_any_slots_are_those_of_fractions(seed: int) -> None:
    """An independent second arithmetic: exact fractions, second by second of each slot's ends."""
    chance = random.Random(seed)  # noqa: S311
    begin, given = 0, list[Slot]()
    while begin < 300:
        length = chance.choice([5, 10, 15, 30, 60])
        given.append((begin, length, chance.choice([None, f"{chance.randrange(3_000_000) / 1000:.3f}"])))
        begin += length + chance.choice([0, 0, 0, 7])
    wanted: dict[int, list[tuple[int, Fraction]]] = {}
    for begin, length, value in given:
        for minute in range(begin, begin + length):
            if value is not None:
                wanted.setdefault(minute // 60, []).append((1, Fraction(value)))
    parts = by_hour(slots(given))
    found = parts.group_by("hour").aggregate(
        mean=overlap_mean(parts.value, parts.overlap_s, t.FACTOR), s=parts.overlap_s.sum(where=parts.value.notnull())
    )
    rows = {r["hour"].hour: (r["mean"], r["s"]) for r in CON.to_pyarrow(found).to_pylist() if r["s"]}
    assert rows == {
        hour: (_rounded(sum(value for _, value in minutes) / len(minutes)), 60 * len(minutes))
        for hour, minutes in wanted.items()
    }


def _rounded(exact: Fraction) -> Decimal:
    return (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal("0.001"), ROUND_HALF_UP)


def held_for(minutes: Sequence[int], stated: int | None = None, answers: Sequence[str] | None = None) -> list[Any]:
    """`step_s` and `seconds` in minutes, of points at these minutes after midnight."""
    columns = {
        "zone": ["DE"] * len(minutes),
        "answer": list(answers or ["one"] * len(minutes)),
        "at_s": [MIDNIGHT + MINUTE * minute for minute in minutes],
        "stated_s": pa.array([stated and MINUTE * stated] * len(minutes), pa.int64()),
    }
    points = ibis.memtable(pa.table(columns))
    found = held(spaced(points, ["zone", "answer"]), ["zone"]) if answers else lasting(points, ["zone"])
    rows = CON.to_pyarrow(found.order_by("at_s")).to_pylist()
    assert [(row["at_s"] - MIDNIGHT) // MINUTE for row in rows] == sorted(set(minutes))
    return [(row["step_s"] // MINUTE, row["seconds"] // MINUTE) for row in rows]


DAY = 24 * 60
HOURLY, QUARTERS = list(range(0, DAY, 60)), list(range(0, DAY, 15))


@pytest.mark.parametrize(
    ("minutes", "stated", "steps"),
    [
        (HOURLY, None, {(60, 60)}),
        ([30 + minute for minute in HOURLY], None, {(60, 60)}),
        (HOURLY, 5, {(60, 60)}),
        (QUARTERS, 60, {(15, 15)}),
        ([minute for minute in QUARTERS if minute != 315], None, {(15, 15)}),
        ([minute for minute in HOURLY if minute != 300], None, {(60, 60)}),
        ([*range(0, 12 * 60, 5), *range(12 * 60, DAY, 35)], None, {(5, 5)}),
        ([7], None, {(60, 60)}),
        ([7], 5, {(5, 5)}),
        ([0, 180], None, {(60, 60)}),
        ([*QUARTERS, *(DAY + minute for minute in HOURLY)], None, {(15, 15), (60, 60)}),
        ([*QUARTERS, DAY, DAY + 360, DAY + 720, DAY + 1080], None, {(15, 15)}),
        ([*HOURLY, 305], None, {(60, 60), (60, 5), (60, 55)}),
    ],
    ids=["hourly", "half hour", "coarsened", "finer than stated", "a gap", "an hour missing", "many gaps", "one point",
         "one point of five minutes", "far apart", "changes at midnight", "remains of a day", "one between"],
)  # fmt: skip
def test_a_value_holds_for_the_usual_spacing_of_its_day_and_no_gap(
    minutes: list[int], stated: int | None, steps: set[tuple[int, int]]
) -> None:
    assert set(held_for(minutes, stated)) == steps


def test_each_answer_has_its_own_spacing_and_a_value_holds_until_the_next_of_any() -> None:
    """Hours that were answered first, and the last of them again in quarters."""
    minutes = [0, 60, 120, 180, 195, 210, 225]
    assert held_for(minutes, None, ["old"] * 4 + ["new"] * 3) == [(60, 60)] * 3 + [(60, 15)] + [(15, 15)] * 3


def test_a_value_over_midnight_touches_both_days() -> None:
    rows = CON.to_pyarrow(by_hour(slots([(23 * 60 + 30, 60, "7")])).order_by("hour")).to_pylist()
    start = datetime(1970, 1, 1)
    assert [(row["hour"] - start, row["overlap_s"]) for row in rows] == [
        (timedelta(hours=23), 1800),
        (timedelta(hours=24), 1800),
    ]


@pytest.mark.parametrize(("seconds", "share"), [(3600, "1"), (1800, "0.5"), (1200, "0.333333"), (2400, "0.666667")])
def test_the_covered_share_of_an_hour(seconds: int, share: str) -> None:
    table = ibis.memtable({"s": [seconds]})
    assert CON.to_pyarrow(covered(table.s)).to_pylist() == [Decimal(share)]

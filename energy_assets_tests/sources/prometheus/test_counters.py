"""Counters on small tables: values exactly on each limit and one beyond it; times in ms, values in thousandths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.counters import add_up, find_suspicious, first_samples, limit_by_pace
from energy_assets_tests.sources.prometheus.tables import table

HOUR = 3_600_000
Sample = tuple[int, int]
"""Time, value."""
Seen = tuple[Any, ...]
"""Role, time, value (None where it is bad), and more: state, key."""
Key = tuple[str, int | None, int | None]
"""Host, maximum, limit."""


@pytest.fixture
def scratch(step: StepContext) -> Scratch:
    return Scratch(step.con)


def look(
    scratch: Scratch,
    observed: Sequence[Seen],
    *,
    keys: Sequence[Key] = (("a", None, 10),),
    counted: Sequence[Seen] = (),
) -> None:
    """Find what is suspicious in observed samples; `counted` has rows of key, hour, and samples."""
    key = {"key_no": "INTEGER", "node_id": "VARCHAR", "wrap_n": "HUGEINT", "limit_n": "HUGEINT"}
    table(scratch, "keys", key, [(number, *one) for number, one in enumerate(keys)])
    seen = {"key_no": "INTEGER", "role": "VARCHAR", "t": "BIGINT", "n": "HUGEINT", "state": "VARCHAR"}
    rows = []
    for role, t, n, *more in observed:
        state = more[0] if more else "nan" if n is None else "ok"
        number = more[1] if len(more) > 1 else 0
        rows.append((number, role, t, n, state))
    table(scratch, "observed", seen, rows)
    table(scratch, "counted", {"key_no": "INTEGER", "t": "BIGINT", "samples": "BIGINT"}, counted)
    find_suspicious(scratch)


def rows(scratch: Scratch, name: str, columns: str) -> list[tuple[Any, ...]]:
    return sorted(scratch.rows(f"SELECT {columns} FROM {scratch[name]}"), key=str)


def test_of_several_series_the_highest_value_ends_an_hour_and_the_lowest_may_show_a_decrease(scratch: Scratch) -> None:
    boundary = [("boundary", HOUR, 5), ("boundary", HOUR, 7), ("boundary", 2 * HOUR, None)]
    lowest = [("minimum", HOUR, 3), ("minimum", HOUR, 2), ("minimum", HOUR, None, "negative"), ("minimum", 9, None)]
    look(scratch, [*boundary, *lowest])
    assert rows(scratch, "bound", "t, n") == [(HOUR, 7)]
    assert rows(scratch, "lowest", "t, n, negative") == [(HOUR, 2, True), (9, None, False)]


@pytest.mark.parametrize(
    ("observed", "earlier"),
    [
        pytest.param(
            [("lookback", HOUR, 5), ("lookback", HOUR, 8), ("lookback", HOUR, None)], [(8,)], id="the highest"
        ),
        pytest.param([("lookback", HOUR, None)], [], id="a bad one"),
        pytest.param([("minimum", HOUR, 5)], [], id="of the day itself"),
        pytest.param([("lookback", HOUR, 5), ("boundary", HOUR, 6)], [], id="known at that time"),
        pytest.param([("lookback", HOUR, 5), ("boundary", HOUR + 1, 6)], [(5,)], id="known later"),
        pytest.param([("lookback", HOUR, 5), ("boundary", HOUR, 6, "ok", 1)], [(5,)], id="another counter is known"),
    ],
)
def test_the_day_before_speaks_for_counters_that_had_no_value_in_its_last_hours(
    scratch: Scratch, observed: list[Seen], earlier: list[tuple[int]]
) -> None:
    look(scratch, observed)
    assert rows(scratch, "earlier", "n") == earlier


@pytest.mark.parametrize(
    ("observed", "hours"),
    [
        pytest.param([("boundary", HOUR, 5), ("minimum", 2 * HOUR, 4)], [2], id="below the last value"),
        pytest.param([("boundary", HOUR, 5), ("minimum", 2 * HOUR, 5)], [], id="the last value"),
        pytest.param([("boundary", HOUR, 5), ("minimum", HOUR, 4)], [], id="below the value of its own end"),
        pytest.param([("boundary", HOUR, 5), ("minimum", 3 * HOUR, 4)], [3], id="after a gap"),
        pytest.param([("boundary", HOUR, 5), ("boundary", 2 * HOUR, 9), ("minimum", 3 * HOUR, 7)], [3], id="latest"),
        pytest.param([("boundary", HOUR, 9), ("boundary", 2 * HOUR, 5), ("minimum", 3 * HOUR, 7)], [], id="not first"),
        pytest.param([("lookback", 0, 5), ("minimum", HOUR, 4)], [1], id="below the day before"),
        pytest.param([("minimum", HOUR, None, "negative"), ("minimum", 2 * HOUR, 4)], [1], id="negative"),
        pytest.param([("marked", HOUR, 1), ("marked", HOUR, 1), ("minimum", HOUR, 4)], [1], id="marked"),
        pytest.param([("marked", HOUR, 1)], [1], id="marked without a lowest value"),
        pytest.param([("marked", HOUR, 1), ("minimum", HOUR, None)], [], id="marked, no sample is good"),
        pytest.param([("minimum", HOUR, 4), ("boundary", HOUR, 5)], [], id="plain"),
        pytest.param([("boundary", HOUR, 5, "ok", 1), ("minimum", 2 * HOUR, 4)], [], id="below another counter"),
    ],
)  # fmt: skip
def test_an_hour_is_suspicious_in_which_a_counter_may_have_gone_down(
    scratch: Scratch, observed: list[Seen], hours: list[int]
) -> None:
    look(scratch, observed)
    assert rows(scratch, "suspicious", "t") == [(hour * HOUR,) for hour in hours]


@pytest.mark.parametrize(
    ("more", "samples", "starts"),
    [
        pytest.param([], 2, [(2 * HOUR, 7)], id="two samples"),
        pytest.param([], 1, [], id="one sample"),
        pytest.param(
            [("minimum", 2 * HOUR, None), ("minimum", 4 * HOUR, 9)], 2, [(2 * HOUR, 7)], id="the first good hour"
        ),
        pytest.param([("lookback", 0, 1)], 2, [], id="seen the day before"),
        pytest.param([("marked", 3 * HOUR, 1)], 2, [], id="suspicious"),
        pytest.param([("boundary", 2 * HOUR, 1)], 2, [], id="seen in the hour before"),
        pytest.param([("boundary", 3 * HOUR, 8)], 2, [(2 * HOUR, 7)], id="seen at the end of the hour"),
        pytest.param([("boundary", 2 * HOUR, 1, "ok", 1)], 2, [(2 * HOUR, 7)], id="another counter was seen before"),
    ],
)
def test_a_counter_that_was_never_seen_starts_at_the_first_of_two_samples(
    scratch: Scratch, more: list[Seen], samples: int, starts: list[Sample]
) -> None:
    look(scratch, [("minimum", 3 * HOUR, 7), *more], counted=[(0, hour * HOUR, samples) for hour in (2, 3, 4)])
    assert scratch.rows(f"SELECT t, n FROM ({first_samples(scratch)})") == starts


NOWHERE = "SELECT NULL::INTEGER AS key_no, NULL::BIGINT AS t, NULL::HUGEINT AS n LIMIT 0"
BIG = 10**22 + 123


def amounts(scratch: Scratch, starts: str = NOWHERE) -> dict[tuple[int, int], int | None]:
    """Whole units by counter and hour."""
    add_up(scratch, starts)
    found = rows(scratch, "amounts", f"key_no, t / {HOUR}, n, n IS NOT NULL AND typeof(n) <> 'HUGEINT'")
    assert not any(other for *_, other in found)
    return {(key, hour): n for key, hour, n, _ in found}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1000, 3_000_000], [None, 1, 2999]),
        ([0, 499, 500, 1499, 1500, 1500], [None, 0, 1, 0, 1, 0]),
        ([0, 600, 1200, 1800], [None, 1, 0, 1]),
        ([0, 777_666], [None, 778]),
        ([BIG, BIG + 7_000], [None, 7]),
    ],
)
def test_the_running_total_is_rounded_and_not_the_steps(
    scratch: Scratch, values: list[int], expected: list[int | None]
) -> None:
    look(scratch, [("boundary", hour * HOUR, n) for hour, n in enumerate(values, 1)])
    assert list(amounts(scratch).values()) == expected


def test_a_start_and_the_day_before_are_where_counting_begins(scratch: Scratch) -> None:
    look(scratch, [("lookback", 0, 2000), ("boundary", 2 * HOUR, 5000), ("boundary", 2 * HOUR, 9000, "ok", 1)])
    start = f"SELECT 1::INTEGER AS key_no, {HOUR}::BIGINT AS t, 8000::HUGEINT AS n"
    assert amounts(scratch, start) == {(0, 0): None, (0, 2): 3, (1, 1): None, (1, 2): 1}


def raw(samples: Sequence[Sample], key: int = 0, at: int = HOUR) -> list[Seen]:
    """All samples of an hour that was looked at."""
    lowest: Seen = ("minimum", at, min(n for _, n in samples), "ok", key)
    return [("marked", at, 1, "ok", key), lowest, *(("raw", t, n, "ok", key) for t, n in samples)]


def judged(
    scratch: Scratch, samples: Sequence[Sample], limit: int | None = 10, wrap: int | None = None
) -> tuple[list[int], list[str | None]]:
    """Times of the blips, and what the steps between all other samples are."""
    look(scratch, raw(samples), keys=[("a", wrap, limit)])
    add_up(scratch, NOWHERE)
    blips = scratch.rows(f"SELECT t FROM {scratch['judged']} WHERE blip ORDER BY t")
    steps = scratch.rows(f"SELECT what FROM {scratch['steps']} ORDER BY t")
    return [t for (t,) in blips], [what for (what,) in steps[1:]]


@pytest.mark.parametrize(
    ("samples", "blips"),
    [
        pytest.param([(1, 100), (50, 0), (59, 100)], [50], id="back faster than anything counts"),
        pytest.param([(1, 100), (50, 0), (60, 100)], [], id="as fast as it can count"),
        pytest.param([(1, 100), (50, 50), (56, 100)], [], id="what is left of it counts"),
        pytest.param([(1, 100), (50, 50), (54, 100)], [50], id="what is left of it is not enough"),
        pytest.param([(1, 100), (50, 0), (51, 98)], [], id="not back"),
        pytest.param([(1, 100), (50, 0), (51, 0), (52, 100)], [50, 51], id="zeros in a row"),
        pytest.param([(1, 50), (2, 100), (50, 60), (51, 100)], [50], id="below the last value"),
        pytest.param([(1, 100), (50, 0), (51, 100), (99, 200)], [50], id="the next value counts, not the last"),
        pytest.param([(1, 100), (50, 100), (51, 300)], [], id="no decrease"),
        pytest.param([(1, 10_000), (50, 9_900)], [50], id="99 % of the highest"),
        pytest.param([(1, 10_000), (50, 9_899)], [], id="less than 99 %"),
        pytest.param([(1, 10_000), (50, 5), (60, 9_950)], [60], id="an old value after a restart"),
        pytest.param([(1, 10_000), (50, 5), (60, 9_950), (70, 9_960)], [60, 70], id="old values after a restart"),
        pytest.param([(1, 10_000), (50, 5), (1_050, 9_950)], [], id="as much again after a restart"),
    ],
)
def test_a_low_reading_is_told_from_a_restart(scratch: Scratch, samples: list[Sample], blips: list[int]) -> None:
    assert judged(scratch, samples)[0] == blips


@pytest.mark.parametrize("second", [0, 9_950])
@pytest.mark.parametrize(("limit", "wrap"), [(None, None), (10**9, 20_000)])
def test_a_counter_without_a_limit_and_one_that_wraps_have_no_low_readings(
    scratch: Scratch, limit: int | None, wrap: int | None, second: int
) -> None:
    blips, steps = judged(scratch, [(1, 10_000), (50, second), (51, 10_000)], limit, wrap)
    assert (blips, len(steps), steps[1]) == ([], 2, "gain")


@pytest.mark.parametrize(
    ("samples", "steps"),
    [
        pytest.param([(1, 1000), (11, 100)], ["restart"], id="as much as it can count from zero"),
        pytest.param([(1, 1000), (11, 101)], ["jump"], id="more than that"),
        pytest.param([(1, 1000), (11, 1000), (12, 1001)], ["gain", "gain"], id="no decrease"),
        pytest.param([(1, 1000), (11, 3), (11, 5)], ["restart"], id="two samples at one time"),
    ],
)
def test_a_decrease_is_a_restart_where_the_new_value_can_have_been_counted(
    scratch: Scratch, samples: list[Sample], steps: list[str]
) -> None:
    assert judged(scratch, samples)[1] == steps


def test_a_value_at_the_end_of_an_hour_may_be_an_hour_old(scratch: Scratch) -> None:
    bad: Seen = ("raw", HOUR + 15, None)
    look(scratch, [("boundary", HOUR, 9), *raw([(HOUR + 10, 5), (HOUR + 30, 6)], at=2 * HOUR), bad])
    add_up(scratch, NOWHERE)
    assert rows(scratch, "steps", "t, n, within_ms") == [
        (HOUR, 9, None),
        (HOUR + 10, 5, HOUR + 10),
        (HOUR + 30, 6, 20),
    ]


def counts(scratch: Scratch) -> dict[tuple[int, int], tuple[int, ...]]:
    """Units, restarts, wraps, blips, jumps by counter and hour."""
    add_up(scratch, first_samples(scratch))
    found = rows(scratch, "amounts", f"key_no, t / {HOUR}, n, restarts, wraps, blips, jumps")
    return {(key, hour): tuple(rest) for key, hour, *rest in found}


def test_steps_count_for_the_hour_of_their_later_end(scratch: Scratch) -> None:
    """Gains, a restart at 2,000 (4,500 in that hour), a low reading, and a jump down to 9,000 that counts nothing."""
    first = [(HOUR - 3, 10_000), (HOUR - 2, 13_000), (HOUR, 14_000)]
    second = [(HOUR + 1, 15_000), (HOUR + 900, 2_000), (HOUR + 901, 0), (HOUR + 902, 2_500), (HOUR + 904, 3_500)]
    third = [(2 * HOUR + 1, 90_000_000), (2 * HOUR + 2, 9_000)]
    plain: list[Seen] = [("boundary", HOUR, 7_000_000, "ok", 1), ("boundary", 2 * HOUR, 9_000_000, "ok", 1)]
    samples = [*raw(first), *raw(second, at=2 * HOUR), *raw(third, at=3 * HOUR)]
    look(scratch, [*samples, *plain], keys=[("a", None, 100)] * 2)
    assert counts(scratch) == {
        (0, 1): (4, 0, 0, 0, 0),
        (0, 2): (5, 1, 0, 1, 0),
        (0, 3): (89_996, 0, 0, 0, 1),
        (1, 1): (None, 0, 0, 0, 0),
        (1, 2): (2000, 0, 0, 0, 0),
    }


@pytest.mark.parametrize(
    ("values", "hourly"),
    [
        ((300, 700, 1100, 50), (None, 1, 0, 0)),
        ((0, 400, 800, 1200, 100), (None, 0, 1, 0, 0)),
        ((1000, 400, 900), (None, 0, 1)),
    ],
)
def test_the_total_over_restarts_is_rounded_and_not_the_steps(
    scratch: Scratch, values: tuple[int, ...], hourly: tuple[int | None, ...]
) -> None:
    samples = [one for hour, n in enumerate(values, 1) for one in raw([(hour * HOUR, n)], at=hour * HOUR)]
    look(scratch, samples)
    assert tuple(n for n, *_ in counts(scratch).values()) == hourly


def wraps(
    scratch: Scratch, keys: Sequence[Key], series: Mapping[int, Sequence[Sample]], *more: Seen
) -> dict[int, list[str]]:
    """What the steps that go down are, by counter."""
    look(scratch, [*(one for key, samples in series.items() for one in raw(samples, key)), *more], keys=keys)
    add_up(scratch, NOWHERE)
    steps = scratch.rows(f"SELECT key_no, what FROM {scratch['steps']} WHERE n < was ORDER BY key_no, t")
    return {number: [what for key, what in steps if key == number] for number in series}


@pytest.mark.parametrize(
    ("limit", "samples", "what"),
    [
        pytest.param(1000, [(1, 0), (2, 1), (4, 11), (9, 11), (12, 90), (14, 90 - 76 - 0)], "wrap", id="far below"),
        pytest.param(1000, [(0, 69), (1, 70), (3, 80), (5, 4)], "wrap", id="twice the highest power"),
        pytest.param(1000, [(0, 69), (1, 70), (3, 80), (5, 5)], "restart", id="more than twice"),
        pytest.param(10, [(0, 69), (1, 70), (3, 80), (5, 0)], "wrap", id="as much as the limit"),
        pytest.param(10, [(0, 69), (1, 70), (3, 80), (5, 1)], "restart", id="more than the limit"),
        pytest.param(10, [(0, 90), (1, 90), (3, 10)], "wrap", id="no power known: as much as the limit"),
        pytest.param(10, [(0, 90), (1, 90), (3, 11)], "restart", id="no power known: more than the limit"),
        pytest.param(10, [(0, 90), (1, 100), (3, 5)], "wrap", id="the maximum itself"),
        pytest.param(10, [(0, 90), (1, 101), (3, 5)], "restart", id="above the maximum"),
    ],
)
def test_a_decrease_of_a_wrapping_counter_is_a_wrap_where_that_can_be(
    scratch: Scratch, limit: int, samples: list[Sample], what: str
) -> None:
    """The maximum is 100; the highest power of 80 - 70 in 2 ms is 5, and at most 6 with what is rounded off."""
    assert wraps(scratch, [("a", 100, limit)], {0: samples}) == {0: [what]}


WRAPPING: Key = ("a", 100, 10)
ENDLESS: Key = ("a", None, 10)
WRAP = [(0, 80), (10, 95), (20, 5)]
"""Wraps between 10 and 20: 10 more."""


@pytest.mark.parametrize(
    ("node", "other", "what"),
    [
        pytest.param("a", [(15, 101), (25, 5)], "restart", id="begins in it"),
        pytest.param("a", [(5, 101), (11, 5)], "restart", id="ends in it"),
        pytest.param("a", [(12, 101), (14, 5)], "restart", id="within it"),
        pytest.param("a", [(2, 101), (30, 5)], "restart", id="around it"),
        pytest.param("a", [(5, 101), (10, 5)], "wrap", id="just before"),
        pytest.param("a", [(20, 101), (25, 5)], "wrap", id="just after"),
        pytest.param("b", [(12, 101), (14, 5)], "wrap", id="another host"),
        pytest.param("a", [(12, 99), (14, 5)], "wrap", id="the other one wraps too"),
    ],
)
def test_a_host_restarts_with_all_its_zones(scratch: Scratch, node: str, other: list[Sample], what: str) -> None:
    assert wraps(scratch, [WRAPPING, (node, 100, 10)], {0: WRAP, 1: other})[0] == [what]


DOWN = [(8, 1000), (15, 5)]
UP = [(8, 1000), (15, 1005)]
TWICE = [(8, 1000), (12, 500), (13, 5), (18, 3)]


@pytest.mark.parametrize(
    ("node", "others", "what"),
    [
        pytest.param("a", [DOWN], "restart", id="the only one"),
        pytest.param("a", [DOWN, DOWN], "restart", id="both"),
        pytest.param("a", [DOWN, UP], "wrap", id="one of two"),
        pytest.param("a", [TWICE], "restart", id="the only one, twice"),
        pytest.param("a", [TWICE, UP], "wrap", id="one of two, twice"),
        pytest.param("a", [[(1, 1000), (9, 5)]], "wrap", id="before"),
        pytest.param("a", [UP], "wrap", id="none"),
        pytest.param("b", [DOWN], "wrap", id="of another host"),
    ],
)
def test_a_host_restarts_where_all_counters_that_never_wrap_do(
    scratch: Scratch, node: str, others: list[list[Sample]], what: str
) -> None:
    """Two plain hours before tell how many counters the host has; its zones are none of them."""
    keys = [WRAPPING, *[(node, None, 1000) for _ in others]]
    ends: list[Seen] = [("boundary", -hour * HOUR, 1, "ok", key) for key in range(len(keys)) for hour in (8, 9)]
    assert wraps(scratch, keys, {0: WRAP, **dict(enumerate(others, 1))}, *ends)[0] == [what]


def test_only_the_decrease_of_the_restart_is_one(scratch: Scratch) -> None:
    """The first counter wraps at 20 and restarts at 30, the second, of another host, wraps at 30."""
    both = {0: [(0, 80), (10, 95), (20, 5), (21, 101), (30, 5)], 1: [(0, 80), (20, 95), (30, 5)]}
    assert wraps(scratch, [WRAPPING, ("b", 100, 10)], both) == {0: ["wrap", "restart"], 1: ["wrap"]}


def test_a_wrap_adds_the_maximum_and_the_first_sample_is_none(scratch: Scratch) -> None:
    samples = raw([(HOUR - 9, 80_000), (HOUR - 5, 95_000), (HOUR, 5_000)])
    look(scratch, samples, keys=[("a", 100_000, 10_000)])
    assert counts(scratch) == {(0, 1): (25, 0, 1, 0, 0)}


@pytest.mark.parametrize(
    ("ends", "limit"),
    [
        pytest.param({1: 0, 2: 60_000_000}, 1_001, id="an hour"),
        pytest.param({1: 0, 2: 60_000_000, 3: 60_059_999}, 1_001, id="the best hour"),
        pytest.param({1: 0, 2: 60_000, 3: 120_000}, 2, id="slow"),
        pytest.param({1: 0, 3: 60_000_000}, None, id="no two hours side by side"),
        pytest.param({1: 5, 2: 5}, None, id="nothing counted"),
        pytest.param({1: 9, 2: 60_000_009, 3: 500_000_000}, 1_001, id="an hour in which it may have fallen"),
        pytest.param({1: 9, 2: 60_000_009, 3: 5, 4: 500_000_000}, 1_001, id="the hour after it"),
    ],
)
def test_a_counter_without_a_known_limit_counts_in_a_minute_no_more_than_in_its_best_hour(
    scratch: Scratch, ends: dict[int, int], limit: int | None
) -> None:
    look(
        scratch,
        [("marked", 3 * HOUR, 1), *(("boundary", hour * HOUR, n) for hour, n in ends.items())],
        keys=[("a", None, None), ("b", None, 7)],
    )
    limit_by_pace(scratch)
    assert rows(scratch, "keys", "limit_n") == sorted([(limit,), (7,)], key=str)

"""Parts of a difference: numbers made by hand, and exact sums whatever the amounts are."""

from __future__ import annotations

import random
from decimal import Decimal, localcontext

import pytest

from energy_assets.kpis.reconciling.steps import EXACT, PLACES, exactly, parts

D = Decimal
UNKNOWN = None


def near(amount: Decimal | None, text: str) -> bool:
    return amount is not None and abs(amount - D(text)) < D("1e-9")


def test_each_factor_alone_makes_the_whole_difference() -> None:
    # 100 kWh x 1.2 x 400 g is 48,000 g; twice one factor is 48,000 g more.
    theirs = [D(100), D(120), D(48000)]
    assert parts([D(200), D(240), D(96000)], theirs).steps == (48000, 0, 0)
    assert parts([D(100), D(240), D(96000)], theirs).steps == (0, 48000, 0)
    assert parts([D(100), D(120), D(96000)], theirs).steps == (0, 0, 48000)


def test_the_worked_example_of_the_page() -> None:
    # Ours 110 kWh x 1.25 x 380 g = 52,250 g; theirs 100 kWh x 1.2 x 400 g = 48,000 g.
    found = parts([D(110), D("137.5"), D(52250)], [D(100), D(120), D(48000)])
    assert all(map(near, found.steps, ("4774.559311356", "2044.976039757", "-2569.535351114")))
    assert found.unexplained == 0
    assert sum(step for step in found.steps if step is not None) == 4250


def test_the_parts_of_the_other_way_round_are_the_same_with_another_sign() -> None:
    ours, theirs = [D(110), D("137.5"), D(52250)], [D(100), D(120), D(48000)]
    there, back = parts(ours, theirs), parts(theirs, ours)
    pairs = zip(there.steps, back.steps, strict=True)
    assert all(one is not None and other is not None and abs(one + other) <= 2 * PLACES for one, other in pairs)


def test_equal_sums_may_hide_steps_that_cancel() -> None:
    # 100 x 1.2 = 120 = 80 x 1.5: no difference, and the energy is not the same.
    found = parts([D(100), D(120)], [D(80), D(120)])
    assert near(found.steps[0], "26.777226158")
    assert found.steps[1] == -(found.steps[0] or 0)


@pytest.mark.parametrize(
    ("ours", "theirs", "steps", "unexplained"),
    [
        ([110, 132], [UNKNOWN, 120], (None, None), 12),  # no PUE of theirs: energy and PUE together
        ([UNKNOWN, 132, 52800], [100, 120, 48000], (None, None, 0), 4800),
        ([100, UNKNOWN, 52800], [100, 120, 48000], (0, None, None), 4800),
        ([UNKNOWN, UNKNOWN, 52800], [100, 120, 48000], (None, None, None), 4800),
    ],
)
def test_what_is_unknown_is_no_part_and_what_it_makes_is_unexplained(
    ours: list[int | None], theirs: list[int | None], steps: tuple[int | None, ...], unexplained: int
) -> None:
    mine, other = ([None if one is None else D(one) for one in side] for side in (ours, theirs))
    found = parts(mine, other)
    assert (found.steps, found.unexplained) == (steps, unexplained)


@pytest.mark.parametrize(
    ("ours", "theirs", "steps"),
    [
        ([10, 12, 4800], [0, 0, 0], (4800, 0, 0)),  # theirs used nothing: all is energy
        ([10, 12, 4800], [10, 12, 0], (0, 0, 4800)),  # theirs is free of carbon: all is intensity
        ([0, 0, 0], [10, 12, 4800], (-4800, 0, 0)),
        ([0, 0, 0], [0, 0, 0], (None, None, None)),
        ([7], [0], (7,)),
        ([0], [0], (0,)),
    ],
)
def test_a_side_that_is_zero_has_the_step_that_made_it_so(
    ours: list[int], theirs: list[int], steps: tuple[int | None, ...]
) -> None:
    found = parts([D(one) for one in ours], [D(one) for one in theirs])
    assert (found.steps, found.unexplained) == (steps, 0)


def test_an_amount_below_zero_or_no_amount_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="below zero: -1"):
        parts([D(-1)], [D(1)])
    with pytest.raises(ValueError, match="needs both"):
        parts([D(1), None], [D(1), D(2)])


def test_parts_add_up_exactly_whatever_the_amounts_are() -> None:
    dice = random.Random(7)  # noqa: S311

    def amount() -> Decimal | None:
        kind = dice.random()
        if kind < 0.1:
            return None
        if kind < 0.2:
            return D(0)
        return exactly(D(dice.randrange(1, 10**12)) * D(10) ** dice.randrange(-15, 6))

    for _ in range(3000):
        levels = dice.randrange(1, 4)
        ours, theirs = [amount() for _ in range(levels)], [amount() for _ in range(levels)]
        mine, other = ours[-1] or D(0), theirs[-1] or D(0)
        found = parts([*ours[:-1], mine], [*theirs[:-1], other])
        with localcontext(EXACT):
            known = [step for step in found.steps if step is not None]
            assert sum(known, found.unexplained) == mine - other
            assert all(exactly(step) == step for step in (*known, found.unexplained)), "in the decimals of the column"

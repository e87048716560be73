"""Which steps make a difference: exact parts of ours less theirs.

What belongs here: arithmetic on amounts of two sides. What does not: where amounts come from (`hours`, `invoices`).

Grams are energy x PUE x intensity. The parts are those of the additive logarithmic mean Divisia index (LMDI-I: B.W.
Ang, LMDI decomposition approach: a guide for implementation, Energy Policy 86, 2015, p. 233-238): the difference times
the share that a factor has in the logarithm of the ratio. They depend on no order of the factors and leave no rest.
A side that is zero takes the limit as it goes to zero (B.W. Ang and N. Liu, Handling zero values in the logarithmic
mean Divisia index decomposition approach, Energy Policy 35, 2007, p. 238-246): the first step at which one side alone
is zero makes the whole difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

PLACES = Decimal("1e-15")
"""Decimals of the column type `FIGURE`."""
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""Wide enough for sums of the lake's decimals; logarithms are rounded correctly, so every machine finds the same."""
Amount = Decimal | None


@dataclass(frozen=True)
class Parts:
    """The parts of a difference.

    Attributes:
        steps: One for each level that was given; None where a level is unknown, so that the step cannot be told.
        unexplained: What steps together make that cannot be told apart. With it, the parts add up exactly.
    """

    steps: tuple[Amount, ...]
    unexplained: Decimal


def parts(ours: Sequence[Amount], theirs: Sequence[Amount]) -> Parts:
    """Split the difference of the last level into the steps from level to level.

    Args:
        ours: Levels, each made of the one before by one more factor: kWh of IT, kWh of the facility, grams. None is
            unknown; the last one is known.
        theirs: The same of the other side.

    Raises:
        ValueError: a level is below zero, or the last one is unknown.
    """
    for level in (*ours, *theirs):
        if level is not None and level < 0:
            raise ValueError(f"an amount to be compared is below zero: {level}")
    mine, other = ours[-1], theirs[-1]
    if mine is None or other is None:
        raise ValueError("a difference needs both amounts")
    steps: list[Amount] = [None] * len(ours)
    ends, unexplained, before = _ends(ours, theirs), Decimal(0), -1
    with localcontext(EXACT):
        left = difference = mine - other
        shares = _shares([_pair(ours, theirs, end) for end in ends], difference)
        for end, share in zip(ends, shares, strict=True):
            part = left if end == ends[-1] else share.quantize(PLACES)
            left -= part
            if end == before + 1:
                steps[end] = part
            else:
                unexplained += part
            before = end
    return Parts(tuple(steps), unexplained)


def _ends(ours: Sequence[Amount], theirs: Sequence[Amount]) -> list[int]:
    """Levels that both sides know; two zeros have no ratio and say nothing, but of the last one."""
    last = len(ours) - 1
    return [
        number
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=True))
        if mine is not None and other is not None and (mine or other or number == last)
    ]


def _pair(ours: Sequence[Amount], theirs: Sequence[Amount], end: int) -> tuple[Decimal, Decimal]:
    return ours[end] or Decimal(0), theirs[end] or Decimal(0)


def _shares(levels: Sequence[tuple[Decimal, Decimal]], difference: Decimal) -> list[Decimal]:
    """What each step from one known level to the next makes of the difference."""
    alone = next((number for number, (mine, other) in enumerate(levels) if not mine or not other), None)
    if alone is not None:
        return [difference if number == alone else Decimal(0) for number in range(len(levels))]
    logarithms = [(mine / other).ln() for mine, other in levels]
    mean = difference / logarithms[-1] if difference else levels[-1][0]
    return [mean * (now - before) for now, before in zip(logarithms, [Decimal(0), *logarithms], strict=False)]


def exactly(amount: Decimal) -> Decimal:
    """An amount in the decimals of its column.

    Args:
        amount: Of no more decimals than the column keeps.
    """
    return amount.quantize(PLACES, context=EXACT)

"""How an exact value becomes a printed one: units, decimals, and sums that foot.

What belongs here: pure decimal arithmetic on values and displays. What does not: which figures there are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

#: Wide enough for sums and quotients of decimal(38, 15) without an intermediate rounding that could be seen.
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Scale:
    """How values of one kind are printed.

    Attributes:
        unit: The printed unit.
        power: Powers of ten between the stored and the printed unit (kWh printed as MWh: 3).
        decimals: Decimals printed.
    """

    unit: str
    power: int
    decimals: int

    def rounded(self, value: Decimal) -> Decimal:
        """`value` in the printed unit, rounded half to even."""
        return EXACT.scaleb(value, -self.power).quantize(self.step, context=EXACT)

    def exact(self, value: Decimal) -> Decimal:
        """`value` in the printed unit, unrounded."""
        return EXACT.scaleb(value, -self.power)

    @property
    def step(self) -> Decimal:
        """The smallest printed difference."""
        return Decimal(1).scaleb(-self.decimals)

    @property
    def rule(self) -> str:
        """The rounding rule in words."""
        return (
            f"half to even, {self.decimals} decimals, in {self.unit}"
            if self.decimals
            else (f"half to even, whole {self.unit}")
        )


#: How the rule of a figure begins that was rounded away from its own value, so that its table adds up.
MOVED = "largest remainder"
MONEY = ((9, "billion"), (6, "million"))
#: Amounts are printed in whole units of the currency from here on.
WHOLE_AMOUNTS = Decimal(10_000)
ENERGY = ((-3, "Wh"), (0, "kWh"), (3, "MWh"), (6, "GWh"))
MASS = ((0, "g CO₂e"), (3, "kg CO₂e"), (6, "t CO₂e"), (9, "kt CO₂e"))
#: A step up is taken only from here on, so that a small month reads 2,871.4 kWh and not 2.87 MWh.
STEP_UP = Decimal(10_000)


def scale_for(kind: str, largest: Decimal) -> Scale:
    """The scale of all values of a kind, chosen from the largest of them.

    Args:
        kind: `energy` (stored in kWh), `mass` (g), `share` (a fraction, printed in per cent), `count`, `ratio`,
            `money` (the unit is then what stands before the currency).
        largest: The largest value of the kind in the report.
    """
    if kind in {"energy", "mass"}:
        ladder = ENERGY if kind == "energy" else MASS
        fits = ((p, u) for p, u in ladder if abs(largest) < STEP_UP.scaleb(p))
        power, unit = next(fits, ladder[-1])
        return Scale(unit, power, decimals_for(EXACT.scaleb(largest, -power)))
    if kind == "money":
        return _money(abs(largest))
    if kind == "share":
        return Scale("%", -2, 1)
    if kind == "count":
        return Scale("million", 6, 1) if abs(largest) >= STEP_UP * 1000 else Scale("", 0, 0)
    return Scale("", 0, decimals_for(largest))


def _money(largest: Decimal) -> Scale:
    """Cents below ten thousand, whole units below a million, then millions and billions with four digits."""
    if largest < WHOLE_AMOUNTS:
        return Scale("", 0, 2)
    power, unit = next(((p, u) for p, u in MONEY if largest >= Decimal(1).scaleb(p)), (0, ""))
    return Scale(unit, power, decimals_for(EXACT.scaleb(largest, -power)) if power else 0)


def decimals_for(value: Decimal) -> int:
    """Decimals that leave about four significant digits; never more than four."""
    size = abs(value)
    for least, decimals in ((Decimal(100), 1), (Decimal(10), 2), (Decimal(1), 3)):
        if size >= least:
            return decimals
    return 4


def grouped(value: Decimal) -> str:
    """A rounded value as text: thousands separated by commas, a real minus sign."""
    return f"{value:,f}".replace("-", MINUS)


def ungrouped(text: str) -> Decimal:
    """The inverse of `grouped`; a sign of gain is read too.

    Args:
        text: A printed number, without its unit.
    """
    return Decimal(text.replace(",", "").replace(MINUS, "-"))


def foot(exact: Sequence[Decimal], total: Decimal, step: Decimal, keep: Collection[int] = ()) -> list[Decimal] | None:
    """Round `exact` so that the rounded parts add up to the rounded `total` (largest remainder).

    Args:
        exact: The parts, unrounded, in the printed unit.
        total: The total, already rounded to `step`.
        step: The smallest printed difference.
        keep: Positions whose own rounding must stay as it is.

    Returns:
        The rounded parts, or None when they cannot add up: a part would move by a whole step or more.
    """
    rounded = [part.quantize(step, context=EXACT) for part in exact]
    missing = int(((total - sum(rounded)) / step).to_integral_value())
    free = [n for n in range(len(exact)) if n not in keep]
    if missing == 0:
        return rounded
    sign = 1 if missing > 0 else -1
    by_remainder = sorted(free, key=lambda n: (-(exact[n] - rounded[n]) * sign, n))
    if abs(missing) > len(by_remainder):
        return None
    for n in by_remainder[: abs(missing)]:
        rounded[n] += sign * step
        if abs(rounded[n] - exact[n]) >= step:
            return None
    return rounded

"""Fleets of a few device-hours, and a Monte Carlo simulation of what their errors make of a sum and a ratio.

What belongs here: the model of errors, written a second time and without any formula of propagation. What does not:
the product's intervals, which the tests compare with it.

The model: what one owner is wrong about it is wrong about everywhere. Owners are the source of a meter, the tables
behind all estimates, and the grid zone of an intensity; they know nothing of each other. A relative error is normal,
its 95 % interval as stated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energy_assets.contracts.vocabulary import ESTIMATED
from energy_assets_tests.kpis.test_indicators import used

DRAWS = 400_000
NORMAL = 1.959963984540054
"""Standard deviations of a normal error that its 95 % interval reaches to."""
SAMPLING = 4
"""Standard errors that a simulation may be off: one comparison in 16,000 fails by chance, and the seed is fixed."""
Row = dict[str, Any]
Draws = NDArray[np.float64]


def reading(
    day: date, n: int, source: str, zone: str, kwh: float, meter: float | None, factor: float | None, **more: Any
) -> Row:
    """One device-hour with the interval of its meter and of its grid factor, in per cent; None: not known."""
    pct = {"uncertainty_pct": meter, "factor_uncertainty_pct": factor}
    both = None if meter is None or factor is None else float(np.hypot(meter, factor))
    told = {
        name: None if of is None else Decimal(f"{of:.3f}")
        for name, of in (*pct.items(), ("grams_uncertainty_pct", both))
    }
    return used(day, n, source, zone, "lab", None, "training", f"{kwh:.6f}", pue=Decimal(1), **told, **more)


def simulated(rows: Sequence[Row], of: Callable[[Draws, Draws], Draws], seed: int = 20_240_509) -> float:
    """The half-width of the 95 % interval of something, in per cent of its mean.

    Args:
        rows: From `reading`, all intervals known.
        of: What it is of: from the sums of all energy and of all location-based grams, draw by draw.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    errors: dict[tuple[str, str], Draws] = {}
    kwh, grams = np.zeros(DRAWS), np.zeros(DRAWS)
    for row in rows:
        meter = "tables" if row.get("method") in ESTIMATED else row["source"]
        wrong = [
            errors.setdefault(owner, rng.standard_normal(DRAWS)) for owner in (("meter", meter), ("zone", row["zone"]))
        ]
        pct = (row["uncertainty_pct"], row["factor_uncertainty_pct"])
        energy, factor = (1 + float(p) / 100 / NORMAL * z for p, z in zip(pct, wrong, strict=True))
        kwh += float(row["energy_kwh"]) * energy
        grams += float(row["location_g"]) * energy * factor
    return half_width(of(kwh, grams))


def half_width(draws: Draws) -> float:
    """Half-width of the 95 % interval of normal draws, in per cent of their mean."""
    return float(NORMAL * draws.std(ddof=1) / abs(draws.mean()) * 100)


def allowed(simulated_pct: float, widest_pct: float) -> float:
    """How far a first-order interval may be from a simulated one, in percentage points.

    The standard error of a standard deviation of n normal draws is 1 / √(2 (n − 1)) of it. What the first order leaves
    out of a product or a quotient of relative errors σ is below 4 σ² of it: a quotient's variance is
    σx² + σy² + 3 σx² σy² + 8 σy⁴ + …, so its root grows by less than 4 σ². The product rounds to 0.001.

    Args:
        simulated_pct: What was simulated.
        widest_pct: The widest interval that goes in.
    """
    sigma = widest_pct / 100 / NORMAL
    return simulated_pct * (SAMPLING / np.sqrt(2 * (DRAWS - 1)) + 4 * sigma * sigma) + 0.0005

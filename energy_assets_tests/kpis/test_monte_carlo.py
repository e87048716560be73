"""Intervals that the product tells against simulated ones: each rule of adding errors, and whole fleets.

What belongs here: Monte Carlo, which the product itself never uses, and the property that a wider input never narrows a
result. What does not: golden numbers (`test_ratios_and_intervals`). Every fleet has days of its own, so that one run of
the product answers for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from energy_assets_tests.kpis.simulation import Draws, Row, allowed, reading, simulated
from energy_assets_tests.kpis.test_indicators import kpis

ENERGY, GRAMS, INTENSITY = "energy_kwh", "scope2_location_g", "carbon_intensity_location"
OF: dict[str, Callable[[Draws, Draws], Draws]] = {
    ENERGY: lambda kwh, grams: kwh,
    GRAMS: lambda kwh, grams: grams,
    INTENSITY: lambda kwh, grams: grams / kwh,
}
BILL = {"method": "estimated_capacity", "quality_tier": 4}
MONTHS = [date(year, month, 1) for year in range(2020, 2032) for month in range(1, 13)]
"""Each fleet has one of them."""
Reading = tuple[str, str, float, float | None, float | None, dict[str, Any]]
"""Source, zone, kWh, per cent of the meter and of the factor, and more."""
Fleet = list[list[Reading]]
"""What is read on each of some days in turn."""


def told(*parts: Any, **more: Any) -> Reading:
    source, zone, kwh, meter, factor = parts
    return source, zone, kwh, meter, factor, more


def random_fleet(seed: int, days: int = 1) -> Fleet:
    """Three meters and two bills in two zones; who reads what, and how well, differs by day."""
    rng = np.random.default_rng(seed)
    pct = {source: float(rng.uniform(0.5, 6)) for source in ("a", "b", "c", "x", "y")}
    factor = {zone: float(rng.uniform(1, 6)) for zone in ("IE", "US")}
    grams = {zone: Decimal(int(rng.integers(50, 900))) for zone in factor}

    def one() -> Reading:
        source, zone = str(rng.choice([*pct])), str(rng.choice([*factor]))
        bill = BILL if source in "xy" else {}
        return told(source, zone, float(rng.uniform(1, 50)), pct[source], factor[zone], direct=grams[zone], **bill)

    return [[one() for _ in range(int(rng.integers(2, 6)))] for _ in range(days)]


def rows_of_fleet(fleet: Fleet, month: date) -> list[Row]:
    return [
        reading(month + timedelta(days=day), n, *parts, **more)
        for day, readings in enumerate(fleet)
        for n, (*parts, more) in enumerate(readings)
    ]


def intervals(fleets: Sequence[Fleet], *, monthly: bool = False) -> list[dict[str, Any]]:
    """What the product tells of each fleet's first day, or of its month: per cent by KPI."""
    rows = {month: rows_of_fleet(fleet, month) for fleet, month in zip(fleets, MONTHS, strict=False)}
    daily, months = kpis([row for some in rows.values() for row in some], [], [])
    name, found = ("month", months) if monthly else ("day", daily)
    totals = {(r[name], r["kpi"]): r["uncertainty_pct"] for r in found if r["grain"] == "total"}
    return [{kpi: totals[month, kpi] for kpi in OF} for month in rows]


def widest(rows: Sequence[Row]) -> float:
    return max(float(row[name]) for row in rows for name in ("uncertainty_pct", "factor_uncertainty_pct"))


RULES: dict[str, Fleet] = {
    "a product in squares": [[told("a", "IE", 10, 3, 4)]],
    "independent meters in squares": [[told("a", "IE", 10, 3, 4), told("b", "IE", 10, 3, 4)]],
    "readings of one meter linearly": [[told("a", "IE", 10, 3, 4), told("a", "IE", 30, 5, 4)]],
    "zones in squares": [[told("a", "IE", 10, 3, 4), told("a", "US", 10, 3, 4)]],
    "hours of one zone linearly": [[told("a", "IE", 10, 0, 4), told("b", "IE", 20, 0, 4)]],
    "independent of everything": [[told("a", "IE", 10, 3, 4), told("b", "US", 10, 3, 4)]],
    "estimates of two bills linearly": [[told("x", "IE", 10, 6, 1, **BILL), told("y", "US", 20, 6, 1, **BILL)]],
    "estimates and a meter in squares": [[told("x", "IE", 10, 6, 1, **BILL), told("a", "IE", 20, 6, 1)]],
    "what cancels in a ratio": [
        [told("a", "IE", 10, 3, 0, direct=Decimal(300)), told("b", "US", 10, 3, 0, direct=Decimal(100))]
    ],
    **{f"fleet {seed}": random_fleet(seed) for seed in range(8)},
}


@pytest.fixture(scope="module")
def rules() -> dict[str, dict[str, Any]]:
    return dict(zip(RULES, intervals(list(RULES.values())), strict=True))


@pytest.mark.parametrize("name", RULES)
def test_a_day_has_the_interval_that_is_simulated(name: str, rules: dict[str, dict[str, Any]]) -> None:
    rows = rows_of_fleet(RULES[name], MONTHS[0])
    for kpi, of in OF.items():
        expected = simulated(rows, of)
        assert float(rules[name][kpi]) == pytest.approx(expected, abs=allowed(expected, widest(rows))), kpi


def test_the_simulation_can_tell_the_rules_apart() -> None:
    """Two bills' estimates as if they knew nothing of each other are out of the tolerance by far."""
    ((one, other),) = RULES["estimates of two bills linearly"]
    together = rows_of_fleet([[one, other]], MONTHS[0])
    apart = rows_of_fleet([[told(*one[:5]), told(*other[:5])]], MONTHS[0])
    shared, independent = (simulated(rows, OF[ENERGY]) for rows in (together, apart))
    assert shared - independent > 20 * allowed(shared, 6)


SAME = [told("a", "IE", 10, 3, 4), told("b", "US", 20, 5, 2)]
MONTHLY: dict[str, Fleet] = {
    "days alike": [SAME] * 4,
    "another meter every day": [[told("a", "IE", 10, 3, 4)], [told("b", "IE", 10, 3, 4)]],
    "another meter and another grid": [
        [told("a", "IE", 10, 3, 0, direct=Decimal(300))], [told("b", "US", 10, 3, 0, direct=Decimal(100))],
    ],
    **{f"fleet {seed}": random_fleet(100 + seed, days=5) for seed in range(12)},
}  # fmt: skip


@pytest.fixture(scope="module")
def of_months() -> dict[str, dict[str, Any]]:
    return dict(zip(MONTHLY, intervals(list(MONTHLY.values()), monthly=True), strict=True))


@pytest.mark.parametrize("name", MONTHLY)
def test_a_month_is_never_told_too_narrow_an_interval(name: str, of_months: dict[str, dict[str, Any]]) -> None:
    """A month adds its days linearly: exactly right where the days are alike, and else wider than what is simulated."""
    rows = rows_of_fleet(MONTHLY[name], MONTHS[0])
    for kpi, of in OF.items():
        expected, found = simulated(rows, of), float(of_months[name][kpi])
        slack = allowed(expected, widest(rows))
        assert found >= expected - slack, kpi
        if name == "days alike":
            assert found == pytest.approx(expected, abs=slack), kpi
        if kpi == ENERGY:
            linear = sum(float(r["energy_kwh"] * r["uncertainty_pct"]) for r in rows) / sum(
                float(r["energy_kwh"]) for r in rows
            )
            assert found <= linear + 0.001


WIDENED = 24


def widened(fleet: Fleet, seed: int, factor: float | None) -> tuple[Fleet, str]:
    """The fleet with the interval of one reading's meter or grid factor times `factor`, or not known."""
    rng = np.random.default_rng(seed)
    day = int(rng.integers(len(fleet)))
    n = int(rng.integers(len(fleet[day])))
    which = int(rng.integers(3, 5))
    parts = list(fleet[day][n])
    parts[which] = None if factor is None else parts[which] * factor
    changed = [[*each] for each in fleet]
    changed[day][n] = (*parts[:5], parts[5])  # type: ignore[assignment]
    return changed, "meter" if which == 3 else "factor"


def owner_widened(fleet: Fleet, factor: float) -> Fleet:
    """The fleet with all that the first reading's source says, and all of its zone, less sure."""
    source, zone = fleet[0][0][:2]
    return [
        [
            told(s, z, kwh, meter * (factor if s == source else 1), pct * (factor if z == zone else 1), **more)
            for s, z, kwh, meter, pct, more in day
            if meter is not None and pct is not None
        ]
        for day in fleet
    ]


@pytest.mark.parametrize("monthly", [False, True], ids=["day", "month"])
def test_a_wider_input_never_narrows_a_result_and_an_unknown_one_gives_none(monthly: bool) -> None:
    """Of sums any reading; of ratios, in which errors cancel, all that one owner is wrong about."""
    days = 3 if monthly else 1
    fleets = [random_fleet(1000 + seed, days) for seed in range(WIDENED)]
    wider = [widened(fleet, seed, 1 + seed / 8) for seed, fleet in enumerate(fleets)]
    unknown = [widened(fleet, seed, None) for seed, fleet in enumerate(fleets)]
    owners = [owner_widened(fleet, 1 + seed / 8) for seed, fleet in enumerate(fleets)]
    every = [*fleets, *(fleet for fleet, _ in wider), *(fleet for fleet, _ in unknown), *owners]
    found = intervals(every, monthly=monthly)
    before, after, without, of_owners = (found[n * WIDENED : (n + 1) * WIDENED] for n in range(4))
    for n, (_, which) in enumerate(unknown):
        for kpi in (ENERGY, GRAMS):
            assert after[n][kpi] >= before[n][kpi], (n, kpi)
        assert (without[n][ENERGY] is None) == (which == "meter")
        assert without[n][GRAMS] is without[n][INTENSITY] is None
        assert all(of_owners[n][kpi] >= before[n][kpi] for kpi in OF), n
    assert any(after[n][GRAMS] > before[n][GRAMS] for n in range(WIDENED))

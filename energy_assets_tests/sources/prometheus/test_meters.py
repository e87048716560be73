"""Units of meters: each is worth what its name says, so that no factor ten hides in a table."""

from __future__ import annotations

from fractions import Fraction

import pytest

from energy_assets.sources.prometheus.meters import COUNTER_UNITS, GAUGE_UNITS


@pytest.mark.parametrize(
    ("unit", "joules"),
    [("uJ", Fraction(1, 10**6)), ("mJ", Fraction(1, 10**3)), ("J", Fraction(1)), ("Wh", Fraction(3600)),
     ("kWh", Fraction(3_600_000))],
)  # fmt: skip
def test_a_unit_of_energy_in_kwh(unit: str, joules: Fraction) -> None:
    assert COUNTER_UNITS[unit] == joules / 3_600_000


@pytest.mark.parametrize(("unit", "watts"), [("uW", 0.000001), ("mW", 0.001), ("W", 1.0), ("kW", 1000.0)])
def test_a_unit_of_power_in_watts(unit: str, watts: float) -> None:
    assert GAUGE_UNITS[unit] == watts


def test_every_unit_is_listed_above() -> None:
    assert (len(COUNTER_UNITS), len(GAUGE_UNITS)) == (5, 4)

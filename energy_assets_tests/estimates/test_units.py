"""Units of usage as bills print them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from energy_assets.estimates.units import Unit, unit_of

GIB = Fraction(1024**3, 10**9)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("Hrs", Unit(Fraction(1), "count", "hour")),
        ("1 Hour", Unit(Fraction(1), "count", "hour")),
        ("100 Hours", Unit(Fraction(100), "count", "hour")),
        ("seconds", Unit(Fraction(1, 3600), "count", "hour")),
        ("GB", Unit(Fraction(1), "data", "")),
        ("GB-Mo", Unit(Fraction(1), "data", "month")),
        ("GB-Months", Unit(Fraction(1), "data", "month")),
        ("100 GB/Month", Unit(Fraction(100), "data", "month")),
        ("1 TB/Month", Unit(Fraction(1000), "data", "month")),
        ("gibibyte month", Unit(GIB, "data", "month", binary=True)),
        ("GiB Hours", Unit(GIB, "data", "hour", binary=True)),
        ("byte-seconds", Unit(Fraction(1, 3600 * 10**9), "data", "hour", binary=True)),
        ("Lambda-GB-Second", Unit(Fraction(1, 3600), "data", "hour")),
        ("vCPU-Hours", Unit(Fraction(1), "count", "hour", "vcpu")),
        ("1/Month", Unit(Fraction(1), "count", "month")),
        ("10K", Unit(Fraction(10_000), "count", "")),
        ("10,000 Requests", Unit(Fraction(10_000), "count", "", "request")),
        ("1K tokens", Unit(Fraction(1000), "count", "", "tokens")),
    ],
)
def test_a_unit_is_read(text: str, unit: Unit) -> None:
    assert unit_of(text) == unit


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_text_is_no_unit(text: str | None) -> None:
    assert unit_of(text) is None


def test_a_bandwidth_is_no_amount_that_is_held() -> None:
    found = unit_of("GiB/Second-Months")
    assert found is not None
    assert found.noun == "month"

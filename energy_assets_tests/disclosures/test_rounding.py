"""Exact values to printed ones."""

from decimal import Decimal

import pytest

from energy_assets.disclosures.figures import display_of
from energy_assets.disclosures.rounding import Scale, foot, scale_for


@pytest.mark.parametrize(
    ("kind", "value", "printed"),
    [
        ("energy", "2871.4321", "2,871.4 kWh"),
        ("energy", "43210.987", "43.21 MWh"),
        ("energy", "0.0021", "2.100 Wh"),
        ("energy", "99999999", "100.00 GWh"),
        ("mass", "9999.5", "9,999.5 g CO₂e"),
        ("mass", "812345.6", "812.3 kg CO₂e"),
        ("mass", "52000000000", "52.00 kt CO₂e"),
        ("mass", "52000000", "52.00 t CO₂e"),
        ("mass", "81234567890", "81.23 kt CO₂e"),
        ("mass", "20000000000000", "20,000.0 kt CO₂e"),
        ("energy", "20000000000", "20,000.0 GWh"),
        ("share", "0.16665", "16.7 %"),
        ("share", "0.1665", "16.6 %"),
        ("money", "9999.99", "9,999.99"),
        ("money", "10000", "10,000"),
        ("money", "36614.63", "36,615"),
        ("money", "999999", "999,999"),
        ("money", "1000000", "1.000 million"),
        ("money", "7420537.50", "7.421 million"),
        ("money", "123456789.01", "123.5 million"),
        ("money", "1234567890", "1.235 billion"),
        ("count", "13440", "13,440"),
        ("count", "13440000", "13.4 million"),
        ("count", "9999999", "9,999,999"),
        ("count", "10000000", "10.0 million"),
        ("ratio", "100", "100.0"),
        ("ratio", "99.99", "99.99"),
        ("ratio", "10", "10.00"),
        ("ratio", "9.999", "9.999"),
        ("ratio", "1", "1.000"),
        ("ratio", "0.9999", "0.9999"),
        ("ratio", "35.4140", "35.41"),
        ("ratio", "0.81222", "0.8122"),
    ],
)
def test_values_print_in_a_unit_of_their_size(kind: str, value: str, printed: str) -> None:
    exact = Decimal(value)
    display = display_of(exact, scale_for(kind, exact))
    assert f"{display.text} {display.unit}".strip() == printed


@pytest.mark.parametrize(
    ("value", "printed"),
    [("0", "0.0"), ("0.01", "<0.1"), ("-0.01", ">−0.1"), ("-3.25", "−3.2"), (None, "not measured")],
)
def test_zero_nearly_zero_negative_and_unknown_are_told_apart(value: str | None, printed: str) -> None:
    exact = None if value is None else Decimal(value)
    assert display_of(exact, Scale("kWh", 0, 1)).text == printed


@pytest.mark.parametrize(
    ("share", "printed"),
    [("1", "100.0 %"), ("0.9996", ">99.9 %"), ("0.999", "99.9 %"), ("0.0004", "<0.1 %"), ("0", "0.0 %")],
)
def test_a_coverage_that_is_not_the_whole_does_not_read_like_it(share: str, printed: str) -> None:
    assert display_of(Decimal(1), Scale("kWh", 0, 1), coverage=Decimal(share)).coverage == printed


def test_an_interval_of_a_quantity_that_cannot_be_negative_starts_at_zero() -> None:
    display = display_of(Decimal(10), Scale("kWh", 0, 1), uncertainty_pct=Decimal(150))
    assert (display.interval, display.uncertainty) == ("0.0 – 25.0", "±150.0 %")


@pytest.mark.parametrize(
    ("parts", "total", "keep", "expected"),
    [
        (["33.4", "33.3", "33.3"], "100", [], ["34", "33", "33"]),
        (["1.5", "1.5"], "3", [], ["1", "2"]),
        (["2.6", "2.6"], "5", [0], ["3", "2"]),
        (["1", "2"], "3", [], ["1", "2"]),
        (["0.4", "0.4"], "5", [], None),
        (["0.2", "0.2"], "1", [0, 1], None),
        (["-1.5", "-1.5"], "-3", [], ["-1", "-2"]),
        (["-0.4", "0.4"], "0", [], ["0", "0"]),
        (["0.4"], "-1", [], None),
        (["1"], "2", [], None),
        (["1.01"], "2", [], ["2"]),
    ],
)
def test_rounded_parts_add_up_or_it_is_said(
    parts: list[str], total: str, keep: list[int], expected: list[str] | None
) -> None:
    found = foot([Decimal(p) for p in parts], Decimal(total), Decimal(1), keep)
    assert found == (None if expected is None else [Decimal(p) for p in expected])


@pytest.mark.parametrize(
    ("parts", "total", "step", "expected"),
    [
        (["0.0334", "0.0333", "0.0333"], "0.1", "0.001", ["0.034", "0.033", "0.033"]),
    ],
)
def test_parts_move_by_the_smallest_printed_difference(
    parts: list[str], total: str, step: str, expected: list[str]
) -> None:
    assert foot([Decimal(p) for p in parts], Decimal(total), Decimal(step)) == [Decimal(p) for p in expected]

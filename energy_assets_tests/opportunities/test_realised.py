"""What was saved, by hand: per day, per kWh, per token; never what was proposed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.opportunities.realised import realised

APRIL, MAY, JUNE, JULY = (date(2024, month, 1) for month in (4, 5, 6, 7))


def row(month: date, kwh: str | None, units: int, grams: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "month": month, "units": Decimal(units), "unit": "days", "days": units, "cost": None, "currency": None,
        "measured_kwh": None if kwh is None else Decimal(kwh), "measured_g": None if grams is None else Decimal(grams),
        **more,
    }  # fmt: skip


def test_it_is_normalised_by_the_units_after() -> None:
    """30 kWh of 30 days before; 12 kWh of 40 days after: 40 expected, 28 saved. The month it was done in is neither."""
    rows = [row(APRIL, "300", 30), row(MAY, "30", 30, "3"), row(JUNE, "900", 30), row(JULY, "12", 40, "6")]
    found = realised(rows, date(2024, 6, 15))
    assert (found.kwh, found.location_g, found.cost) == (28, -2, None)
    assert (found.before, found.after) == (MAY, (JULY,))
    assert found.how == "per day: 2024-05 (30 days with data) against 2024-07 (40 days with data)"


@pytest.mark.parametrize(("on", "before", "after"), [
    (date(2024, 6, 1), MAY, (JUNE, JULY)), (date(2024, 5, 31), APRIL, (JUNE, JULY)), (date(2024, 6, 2), MAY, (JULY,)),
])  # fmt: skip
def test_only_whole_months_are_compared(on: date, before: date, after: tuple[date, ...]) -> None:
    found = realised([row(month, "1", 1) for month in (APRIL, MAY, JUNE, JULY)], on)
    assert (found.before, found.after) == (before, after)


@pytest.mark.parametrize(("on", "said"), [
    (date(2024, 7, 2), "not known: no whole month after 2024-07-02 measured it"),
    (date(2024, 4, 1), "not known: no whole month before 2024-04-01 measured it"),
])  # fmt: skip
def test_what_nobody_measured_is_not_known(on: date, said: str) -> None:
    found = realised([row(APRIL, "5", 30), row(MAY, "5", 30), row(JULY, "5", 0)], on)
    assert (found.kwh, found.location_g, found.cost, found.how) == (None, None, None, said)


def test_an_amount_that_is_unknown_in_one_month_is_not_known() -> None:
    found = realised([row(MAY, None, 30, "9"), row(JULY, "1", 30, "3")], JUNE)
    assert (found.kwh, found.location_g) == (None, 6)


def test_costs_of_two_currencies_are_not_compared() -> None:
    rows = [row(MAY, "2", 1, cost=Decimal(5), currency="EUR"), row(JULY, "1", 1, cost=Decimal(1), currency="USD")]
    assert realised(rows, JUNE).cost is None
    rows[1]["currency"] = "EUR"
    found = realised(rows, JUNE)
    assert (found.cost, found.currency, found.kwh) == (4, "EUR", 1)

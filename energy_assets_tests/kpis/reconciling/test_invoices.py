"""Our days beside invoices: the same days on both sides, and numbers that anybody can make by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.contracts.vocabulary import Step
from energy_assets.kpis.reconciling.invoices import compared, of_place, spread
from energy_assets.kpis.reconciling.row import Comparison, row
from energy_assets.periods import DayRange, Month
from energy_assets.sources.invoice_files.together import invoices, last_invoiced, touches

D = Decimal
APRIL, MAY = date(2024, 4, 1), date(2024, 5, 1)
PERIOD = DayRange(date(2024, 4, 17), date(2024, 5, 16))


def line(kwh: str, first: date = PERIOD.first, last: date = PERIOD.last, **more: Any) -> dict[str, Any]:
    given = {
        "invoice_id": "1", "corrects": None, "meter": "M1", "provider": "onprem", "account_id": None, "region": "r1",
        "first_day": first, "last_day": last, "boundary": "facility", "energy_kwh": D(kwh), "pue": None,
        "gco2e": None, "gco2e_basis": None, "file": "a.csv", "line": 2, "raw_sha256": "a" * 64, "source": "bills",
    }  # fmt: skip
    return given | more


def days(span: Iterable[date], it: str = "10", pue: str = "1.2", g: str | None = "400", **more: Any) -> list[Any]:
    """Our days: kWh of IT, with the building, and grams per kWh."""
    facility = D(it) * D(pue)
    grams = None if g is None else facility * D(g)
    given = {"provider": "onprem", "account_id": None, "region": "r1", "energy_kwh": D(it), "facility_kwh": facility,
             "location_g": grams, "lifecycle_g": None, "gap_hours": D(0)}  # fmt: skip
    return [{**given, "day": day, **more} for day in span]


def of(month: date, lines: list[dict[str, Any]], ours: list[Any]) -> dict[str, Comparison]:
    mine = [one for one in lines if touches(one, Month.of(month).days)]
    found = list(compared(month, invoices(mine), ours, last_invoiced(lines)))
    for subject, one in found:
        row(subject, one)  # refuses parts that do not add up
    return {one.quantity: one for _, one in found}


def parts(one: Comparison) -> Mapping[str, Decimal | None]:
    return {step.value: part for step, part in one.parts.items() if part}


def test_an_invoice_is_spread_by_our_own_days() -> None:
    (invoice,) = invoices([line("600")])
    ours = [*days(DayRange(PERIOD.first, date(2024, 4, 30)), "10"), *days(DayRange(MAY, PERIOD.last), "20")]
    found = spread(invoice, of_place(ours, ("onprem", None, "r1")))
    april = sum(kwh for day, (kwh, _) in found.items() if day < MAY)
    # Ours 14 x 12 and 16 x 24 kWh: 168 and 384 of 552.
    assert abs(april - D(600) * 168 / 552) < D("1e-11")
    assert sum(kwh for kwh, _ in found.values()) == 600


def test_days_of_which_we_have_nothing_get_an_equal_share() -> None:
    (invoice,) = invoices([line("600", gco2e=D("1"), gco2e_basis="direct")])
    found = spread(invoice, of_place(days(DayRange(PERIOD.first, date(2024, 4, 30))), ("onprem", None, "r1")))
    assert all(kwh == 20 for kwh, _ in found.values()), "all of ours are alike"
    assert sum(grams or D(0) for _, grams in found.values()) == 1


def test_a_month_is_compared_over_the_days_that_both_have() -> None:
    ours = days(DayRange(date(2024, 4, 1), date(2024, 5, 31)))
    april, may = (of(month, [line("400", pue=D("1.5"))], ours)["facility_kwh"] for month in (APRIL, MAY))
    # Ours 12 kWh a day (IT 10), theirs 400 / 30 with a PUE of 1.5: IT 8.889.
    assert (april.ours, april.compared_hours, april.ours_only_hours) == (360, 14 * 24, 16 * 24)
    assert april.theirs_compared is not None
    assert abs(april.theirs_compared - D(400) * 14 / 30) < D("1e-11")
    assert april.parts[Step.COVERAGE] == 192, "sixteen days before the first invoice"
    assert may.parts[Step.LAG] == 180, "fifteen days after the last one"
    assert (april.theirs or 0) + (may.theirs or 0) == 400, "nothing of the invoice is lost between the months"
    energy, pue = april.parts[Step.ENERGY], april.parts[Step.PUE]
    assert energy is not None and pue is not None  # noqa: PT018
    # L(12, 13.333) = 12.655 of a day; ln(10 / 8.889) = 0.11778, ln(1.2 / 1.5) = -0.22314.
    assert abs(energy - 14 * D("1.49053")) < D("0.001")
    assert abs(pue - 14 * D("-2.82386")) < D("0.001")


def test_grams_differ_by_energy_pue_and_intensity() -> None:
    ours = days(PERIOD)
    # Theirs: 300 kWh of IT with 1.2 at 500 g: the intensity alone differs.
    found = of(MAY, [line("360", pue=D("1.2"), gco2e=D(180_000), gco2e_basis="direct")], ours)
    assert parts(found["facility_kwh"]) == {}
    assert parts(found["location_g"]) == {"by_intensity": -16 * 12 * 100}


def test_without_a_pue_of_theirs_energy_and_pue_cannot_be_told_apart() -> None:
    (one,) = of(MAY, [line("390")], days(PERIOD)).values()
    assert parts(one) == {"unexplained": -16}
    assert one.parts[Step.ENERGY] is None
    assert one.parts[Step.PUE] is None
    assert "the invoice states no PUE" in one.missing


def test_devices_that_were_not_observed_make_the_energy_unexplained() -> None:
    (one,) = of(MAY, [line("390", pue=D("1.2"))], days(PERIOD, gap_hours=D("0.5"))).values()
    assert one.parts[Step.ENERGY] is None
    assert one.parts[Step.PUE] == 0
    assert (one.gap_hours, one.parts[Step.UNEXPLAINED]) == (8, -16)
    assert "8 device-hours of ours were not observed" in one.missing


def test_a_meter_of_machines_alone_is_held_against_machines_alone() -> None:
    (one,) = of(MAY, [line("300", boundary="it")], days(PERIOD)).values()
    assert (one.quantity, one.ours, one.theirs, parts(one)) == ("energy_kwh", 160, 160, {})


def test_an_unknown_pue_or_factor_of_ours_is_no_zero() -> None:
    ours = days(PERIOD, facility_kwh=None, location_g=None)
    found = of(MAY, [line("360", gco2e=D(1), gco2e_basis="direct")], ours)
    for one in found.values():
        assert (one.ours, one.parts) == (None, {})
    # Our grams are unknown, and our energy is not.
    known = of(MAY, [line("360", pue=D("1.2"), gco2e=D(1), gco2e_basis="direct")], days(PERIOD, g=None))
    assert (known["facility_kwh"].ours, known["location_g"].ours) == (192, None)


def test_two_meters_of_a_place_are_added_up_over_the_days_that_both_have() -> None:
    lines = [line("180"), line("180", meter="M2", first=date(2024, 4, 20), last=date(2024, 5, 19))]
    (one,) = of(MAY, lines, days(DayRange(date(2024, 4, 17), date(2024, 5, 31)))).values()
    # Twelve kWh a day of ours, six and six of theirs: equal until the 16th; then one meter has three days more.
    assert (one.compared_hours, one.theirs_compared) == (16 * 24, 192)
    assert parts(one) == {"by_lag": 15 * 12 - 3 * 6}
    assert "not invoiced by every meter: 2024-05-17 to 2024-05-31" in one.missing


MARCH = (date(2024, 3, 1), date(2024, 3, 31))
WHOLE_MAY = DayRange(MAY, date(2024, 5, 31))


def test_a_meter_whose_bill_has_not_come_makes_the_month_lag_and_is_named() -> None:
    lines = [
        line("186", *_ends(WHOLE_MAY)),
        line("186", *MARCH, meter="M2"),
        line("9", *MARCH, meter="M3", region="r2"),
    ]
    (one,) = of(MAY, lines, days(WHOLE_MAY)).values()
    # Ours 31 x 12 kWh; theirs 31 x 6 of one of two meters: no day is like the other.
    assert (one.compared_hours, one.theirs_compared, parts(one)) == (0, 0, {"by_lag": 186})
    assert "no invoice of meter M2 yet: its last one ended 2024-03-31" in one.missing
    assert not any("M3" in said for said in one.missing), "it is of another place"


@pytest.mark.parametrize(("last", "hours"), [(date(2023, 4, 1), 0), (date(2023, 3, 31), 31 * 24)])
def test_a_meter_without_an_invoice_for_thirteen_months_is_over(last: date, hours: int) -> None:
    lines = [line("372", *_ends(WHOLE_MAY)), line("1", date(2023, 3, 1), last, meter="M2")]
    (one,) = of(MAY, lines, days(WHOLE_MAY)).values()
    assert one.compared_hours == hours


def test_a_meter_whose_only_invoice_was_credited_in_full_lacks_none() -> None:
    wrong = line("186", *MARCH, meter="M2", invoice_id="2")
    credit = {**wrong, "invoice_id": "3", "corrects": "2", "energy_kwh": D(-186)}
    (one,) = of(MAY, [line("372", *_ends(WHOLE_MAY)), wrong, credit], days(WHOLE_MAY)).values()
    assert (one.compared_hours, parts(one)) == (31 * 24, {})


def test_days_that_only_the_invoice_has_are_counted_where_ours_has_none() -> None:
    (one,) = of(MAY, [line("372", *_ends(WHOLE_MAY))], []).values()
    assert (one.ours, one.ours_only_hours, one.theirs_only_hours) == (None, 0, 31 * 24)


def _ends(span: DayRange) -> tuple[date, date]:
    return span.first, span.last


def test_a_hole_of_ours_is_coverage_and_an_end_is_lag() -> None:
    with_hole = [day for day in PERIOD if day != date(2024, 5, 3)]
    (one,) = of(MAY, [line("360")], days(with_hole)).values()
    assert parts(one) == {"by_coverage": -12}
    (one,) = of(MAY, [line("360")], days(DayRange(PERIOD.first, date(2024, 5, 14)))).values()
    assert parts(one) == {"by_lag": -24}
    assert "nothing of ours: 2024-05-15 to 2024-05-31" in one.missing


def test_an_account_is_held_against_its_own_energy_and_a_place_against_all() -> None:
    ours = [*days(PERIOD, account_id="a"), *days(PERIOD, it="5", account_id="b")]
    (one,) = of(MAY, [line("1", account_id="b")], ours).values()
    assert one.ours == 16 * 6
    (one,) = of(MAY, [line("1")], ours).values()
    assert one.ours == 16 * 18
    (elsewhere,) = of(MAY, [line("1", region="r2")], ours).values()
    assert elsewhere.ours is None


@pytest.mark.parametrize(("theirs", "ratio"), [("360", D(1)), ("0", None)])
def test_a_ratio_needs_something_to_be_divided_by(theirs: str, ratio: Decimal | None) -> None:
    ((subject, one),) = compared(MAY, invoices([line(theirs)]), days(PERIOD), {})
    assert (row(subject, one)["ratio"], row(subject, one)["compared_ratio"]) == (ratio, ratio)

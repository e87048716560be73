"""Invoices from files: what a file may say, what is refused with which words, and what is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.invoice_files.columns import Columns
from energy_assets.sources.invoice_files.parse import read_rows
from energy_assets.sources.invoice_files.together import gaps, invoices

CON = ibis.duckdb.connect(threads=1)
PLACED = {"provider": "onprem", "region": "r1", "boundary": "facility"}
HEADER = "invoice_id,meter,first_day,last_day,energy_kwh"
LINE = "7,M1,2024-04-17,2024-05-16,30000"
Row = Mapping[str, Any]


def read(folder: Path, text: str, **stated: Any) -> list[dict[str, Any]]:
    columns = Columns(**{"constants": PLACED, **stated})
    path = folder / "a.csv"
    path.write_text(text)
    return read_rows(CON, path, "a.csv", folder, columns)


def test_a_line_is_read_with_its_last_day_included(tmp_path: Path) -> None:
    (row,) = read(tmp_path, f"{HEADER},pue,gco2e,gco2e_basis,cost,currency\n{LINE},1.25,9.5,direct,4200.10,EUR\n")
    assert row == {
        "invoice_id": "7", "corrects": None, "meter": "M1", "provider": "onprem", "account_id": None, "region": "r1",
        "first_day": date(2024, 4, 17), "last_day": date(2024, 5, 16), "boundary": "facility",
        "energy_kwh": Decimal(30000), "pue": Decimal("1.25"), "gco2e": Decimal("9.5"), "gco2e_basis": "direct",
        "cost": Decimal("4200.10"), "currency": "EUR", "file": "a.csv", "line": 2,
    }  # fmt: skip


def test_a_period_may_end_before_a_day_and_a_header_say_the_unit(tmp_path: Path) -> None:
    text = (
        "invoice_id,meter,first_day,day_after,energy_mwh,kgco2e,gco2e_basis\n7,M1,17.04.2024,17.05.2024,30,9.5,direct"
    )
    (row,) = read(tmp_path, text)
    assert (row["last_day"], row["energy_kwh"], row["gco2e"]) == (date(2024, 5, 16), 30000, 9500)
    text = "Rechnung,meter,first_day,Bis,Energie\n7,M1,2024-04-17,2024-05-16,30000000\n"
    names = {"invoice_id": "Rechnung", "last_day": "Bis", "energy": "Energie"}
    (row,) = read(tmp_path, text, columns=names, energy_unit="Wh")
    assert (row["last_day"], row["energy_kwh"]) == (date(2024, 5, 16), 30000)


REFUSED = {
    "an end that may be included or not": (
        "invoice_id,meter,first_day,period_to,energy_kwh\n", "'period_to' does not say whether that day is part",
    ),
    "two ends": (
        "invoice_id,meter,first_day,last_day,day_after,energy_kwh\n", "two columns say where periods end",
    ),
    "no end": ("invoice_id,meter,first_day,energy_kwh\n", "no column says where periods end"),
    "no unit": ("invoice_id,meter,first_day,last_day,energy\n", "nothing says the unit of 'energy'"),
    "two units": (
        "invoice_id,meter,first_day,last_day,energy_kwh,energy_mwh\n", "'energy_kwh' and 'energy_mwh' may both be",
    ),
    "no meter": ("invoice_id,first_day,last_day,energy_kwh\n", "has no column of `meter`"),
    "no number": (f"{HEADER}\n{LINE.replace('30000', 'many')}\n", "line 2: 'many' is no number"),
    "no energy": (f"{HEADER}\n{LINE.replace('30000', '')}\n", "line 2: states no energy"),
    "an end before the beginning": (
        f"{HEADER}\n{LINE.replace('2024-05-16', '2024-04-16')}\n", "is no period of 1 to 400 days",
    ),
    "no day": (f"{HEADER}\n{LINE.replace('2024-05-16', '5/6/24')}\n", "'5/6/24' is no day"),
    "below zero and no credit note": (
        f"{HEADER}\n{LINE.replace('30000', '-1')}\n", "nothing says which invoice it is of",
    ),
    "a PUE below one": (f"{HEADER},pue\n{LINE},0.9\n", "0.9 is no PUE"),
    "emissions of nothing said": (f"{HEADER},gco2e\n{LINE},5\n", "market-based: they are for a source of kind"),
    "a basis there is not": (f"{HEADER},gco2e,gco2e_basis\n{LINE},5,market\n", "'market' is no `gco2e_basis`"),
    "money of no currency": (f"{HEADER},cost\n{LINE},5\n", "'' is no currency of its cost"),
    "own machines by another name": (
        f"{HEADER},provider\n{LINE},on-premises\n", "machines of one's own are written `onprem`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_clear_is_refused_in_words(case: str, tmp_path: Path) -> None:
    text, words = REFUSED[case]
    with pytest.raises(MalformedError, match=r"a\.csv") as caught:
        read(tmp_path, text)
    assert words in caught.value.message
    assert caught.value.remedy


def test_a_unit_in_the_header_and_another_in_the_site_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="speaks of kWh, `energy_unit` of this source says MWh"):
        read(tmp_path, f"{HEADER}\n{LINE}\n", energy_unit="MWh")


def line(number: str, first: str, last: str, kwh: str, **more: Any) -> Row:
    return {
        "invoice_id": number, "corrects": None, "meter": "M1", "provider": "onprem", "account_id": None,
        "region": "r1", "first_day": date.fromisoformat(first), "last_day": date.fromisoformat(last),
        "boundary": "facility", "energy_kwh": Decimal(kwh), "pue": None, "gco2e": None, "gco2e_basis": None,
        "file": "a.csv", "line": int(number), **more,
    }  # fmt: skip


APRIL = line("1", "2024-04-17", "2024-05-16", "100")


def test_a_credit_note_takes_off_what_it_is_of() -> None:
    (one,) = invoices([APRIL, line("2", "2024-04-17", "2024-05-16", "-40", corrects="1")])
    assert (one.energy_kwh, len(one.lines)) == (60, 2)


def test_an_invoice_credited_in_full_makes_room_for_the_one_in_its_place() -> None:
    credit = line("2", "2024-04-17", "2024-05-16", "-100", corrects="1")
    (one,) = invoices([APRIL, credit, line("3", "2024-04-17", "2024-05-16", "95")])
    assert (one.energy_kwh, one.lines[0]["invoice_id"]) == (95, "3")
    assert invoices([APRIL, credit]) == []


def test_a_correction_that_states_no_grams_leaves_them_open() -> None:
    stated = {**APRIL, "gco2e": Decimal(5), "gco2e_basis": "direct"}
    credit = line("2", "2024-04-17", "2024-05-16", "-40", corrects="1")
    assert invoices([stated, credit])[0].grams is None
    (one,) = invoices([stated, {**credit, "gco2e": Decimal(-2), "gco2e_basis": "direct"}])
    assert (one.grams, one.basis) == (3, "direct")


CREDIT = line("2", "2024-04-17", "2024-05-16", "-40", corrects="1")
CONTRADICTIONS: dict[str, tuple[list[Row], str]] = {
    "a number twice": ([APRIL, {**APRIL, "line": 9}], "a.csv line 9: invoice 1 of meter M1 stands in a.csv line 1"),
    "a number twice in another spelling": (
        [{**APRIL, "invoice_id": "A-1"}, {**APRIL, "invoice_id": "a-1", "meter": "m1", "line": 9}],
        "a.csv line 9: invoice a-1 of meter m1 stands in a.csv line 1",
    ),
    "a day in two periods of a meter and a place in other spellings": (
        [APRIL, line("2", "2024-05-16", "2024-06-15", "1", meter="m1", region="R1")], "their periods overlap",
    ),
    "a credit note with another PUE": (
        [APRIL, line("2", "2024-04-17", "2024-05-16", "-1", corrects="1", pue=Decimal("1.3"))], "its PUE is 1.3",
    ),
    "a day in two periods": (
        [APRIL, line("2", "2024-05-16", "2024-06-15", "1")], "their periods overlap",
    ),
    "a credit note of nothing": ([line("2", "2024-05-17", "2024-05-18", "-1", corrects="9")], "which no file has"),
    "a credit note twice": (
        [APRIL, CREDIT, {**CREDIT, "invoice_id": "2", "file": "b.csv"}],
        "b.csv line 2: invoice 2 of meter M1 stands in a.csv line 2 as well",
    ),
    "a credit note with the number of its invoice": (
        [APRIL, {**CREDIT, "invoice_id": "1"}], "a.csv line 2: invoice 1 of meter M1 stands in a.csv line 1 as well",
    ),
    "a credit note with the number of another invoice": (
        [CREDIT, APRIL, line("2", "2024-05-17", "2024-06-16", "1", file="b.csv")],
        "b.csv line 2: invoice 2 of meter M1 stands in a.csv line 2 as well",
    ),
    "a correction of a correction": (
        [APRIL, CREDIT, line("3", "2024-04-17", "2024-05-16", "-1", corrects="2")],
        "a.csv line 3: corrects invoice 2 of meter M1, which is a correction itself (a.csv line 2, of invoice 1)",
    ),
    "a credit note of other days": (
        [APRIL, line("2", "2024-04-18", "2024-05-16", "-1", corrects="1")], "their `first_day` differ",
    ),
    "a credit note of more": (
        [APRIL, line("2", "2024-04-17", "2024-05-16", "-101", corrects="1")], "more is credited than invoice 1",
    ),
    "meters of another kind in one place": (
        [APRIL, line("2", "2024-04-17", "2024-05-16", "1", meter="M2", boundary="it")], "they cannot be added up",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_lines_that_contradict_are_refused_with_both_named(case: str) -> None:
    lines, words = CONTRADICTIONS[case]
    with pytest.raises(MalformedError, match=r"[ab]\.csv line") as caught:
        invoices(lines)
    assert words in caught.value.message
    assert caught.value.remedy


def test_the_same_number_of_another_meter_is_another_invoice_and_the_next_day_no_overlap() -> None:
    following = line("2", "2024-05-17", "2024-06-16", "1")
    assert len(invoices([APRIL, {**APRIL, "meter": "M2"}, following])) == 3
    assert list(gaps(invoices([APRIL, following]))) == []


def test_days_between_two_invoices_are_a_gap() -> None:
    standing = invoices([APRIL, line("2", "2024-05-20", "2024-06-16", "1")])
    assert list(gaps(standing)) == [("M1", DayRange(date(2024, 5, 17), date(2024, 5, 19)))]

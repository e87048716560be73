"""Two editions of one bill: the same charges at other amounts count twice, and are told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.focus.source import FocusFiles
from energy_assets.sources.notes import WORDS
from energy_assets_tests.sources.focus.bills import write
from energy_assets_tests.sources.focus.test_overlap import OCTOBER, Lines, each, rounded
from energy_assets_tests.sources.focus.test_seconds import by_turns, dearer_days, flat, machines, told

NOTE = "deliveries_with_other_amounts"


def at(lines: Lines, factor: str) -> Lines:
    """The charges at other amounts."""
    return each(lines, BilledCost=lambda cost: str(Decimal(cost) * Decimal(factor)))


def corrected(lines: Lines) -> Lines:
    return [{**line, "ChargeClass": "Correction"} for line in lines]


NOTHING = each(flat(1, range(8), "0"), ResourceId=lambda name: f"free-{name}")
OTHERS = each(flat(1, range(23), "7"), ResourceId=lambda name: f"other-{name}")
PAIRS = {
    "a discount at the end of the month": (machines(), at(machines(), "0.93"), True),
    "rounded to whole units": (dearer_days(range(3, 9)), each(dearer_days(range(3, 9)), BilledCost=rounded(0)), True),
    "three rounded on one day": (machines([5])[::24], each(machines([5])[::24], BilledCost=rounded(1)), True),
    "two": (machines([5], 2)[::24], each(machines([5], 2)[::24], BilledCost=rounded(1)), False),
    "three within 3 %": (machines([5])[::24], at(machines([5])[::24], "0.97"), True),
    "three that are farther": (machines([5])[::24], at(machines([5])[::24], "0.969"), False),
    "half of the charges": (by_turns()[:20], [*at(by_turns()[:10], "0.9"), *OTHERS], True),
    "fewer": (by_turns()[:20], [*at(by_turns()[:9], "0.9"), *OTHERS], False),
    "three hours": (by_turns()[:3], at(by_turns()[:3], "0.9"), True),
    "two hours": (by_turns()[:2], at(by_turns()[:2], "0.9"), False),
    "corrections": (machines(), corrected(at(machines(), "-0.07")), False),
    "corrections of both": (corrected(machines()), corrected(at(machines(), "0.93")), False),
    "beside as many lines of nothing": ([*by_turns()[:3], *NOTHING], [*at(by_turns()[:3], "0.9"), *NOTHING], True),
    "a tax on it": (machines(), [{**line, "ChargeCategory": "Tax"} for line in at(machines(), "0.19")], False),
    "another service": (machines(), [{**line, "ServiceName": "Storage"} for line in at(machines(), "0.2")], False),
    "other machines": (machines(), each(at(machines(), "0.93"), ResourceId=lambda name: f"other-{name}"), False),
    "other hours": (flat(3, range(12)), at(flat(3, range(12, 24)), "0.93"), False),
}


@pytest.mark.parametrize("what", PAIRS)
@pytest.mark.parametrize("turned", [False, True])
def test_charges_of_one_thing_and_time_at_other_amounts_are_told(
    step: StepContext, tmp_path: Path, what: str, turned: bool
) -> None:
    one, other, is_told = PAIRS[what]
    for name, lines in zip("ba" if turned else "ab", (one, other), strict=True):
        write(tmp_path / "bills" / f"{name}.csv", lines)
    said = told(step, NOTE)
    assert len(said) == is_told
    assert all("bills/a.csv" in text and "bills/b.csv" in text for text in said)


def test_a_packed_bill_beside_others_is_told_by_doctor_and_run(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "a.csv", by_turns())
    (tmp_path / "bills" / "b.zip").write_bytes(b"PK")
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    note = "files_that_may_be_bills_dropped"
    (finding,) = [finding for finding in source.check(step) if not finding.ok]
    assert (finding.notes, "bills/b.zip" in finding.what) == ((note,), True)
    parsed, _ = parse(source, collect(source, OCTOBER, step).editions, step)
    assert parsed
    assert list(parsed.examples[note]) == ["bills/b.zip"]
    assert WORDS[note].hole


def test_doctor_says_so_with_both_sums_and_what_to_do(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "a.csv", by_turns()[:4])
    write(tmp_path / "bills" / "b.csv", at(by_turns()[:4], "0.5"))
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    (finding,) = [finding for finding in source.check(step) if not finding.ok]
    assert "4 of 4 charges of aws account 111111111111" in finding.what
    assert "at other amounts, 12 and 6 in all" in finding.what
    assert "leave the final edition below `path`" in finding.remedy
    assert WORDS[NOTE].hole
    keeping = FocusFiles(name="bills", kind="focus_files", path="bills", same_lines="keep")
    assert all(finding.ok for finding in keeping.check(step))

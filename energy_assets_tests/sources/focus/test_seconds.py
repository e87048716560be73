"""A bill that was shifted, cut or renamed is seen beside itself; parts of one that only cost the same add up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import PermanentError
from energy_assets.sources.focus.source import FocusFiles
from energy_assets.sources.notes import WORDS
from energy_assets_tests.sources.focus.bills import on, write
from energy_assets_tests.sources.focus.test_overlap import OCTOBER, Lines, days_of, each, hourly, rounded, total

NOTE = "deliveries_with_totals_of_others"


def later(lines: Lines, minutes: int) -> Lines:
    """The lines as a clock shows them that is ahead of UTC."""

    def moved(text: str) -> str:
        return str(datetime.fromisoformat(text) + timedelta(minutes=minutes))

    return each(lines, ChargePeriodStart=moved, ChargePeriodEnd=moved)


def cut(lines: Lines, first: str = "0.05") -> Lines:
    """Each line cut in two of the same resource and hour."""
    return [
        {**line, "BilledCost": str(cost), "SkuId": sku}
        for line in lines
        for cost, sku in ((Decimal(line["BilledCost"]) - Decimal(first), "run"), (Decimal(first), "licence"))
    ]


def machines(days: Sequence[int] = (5, 6), count: int = 3) -> Lines:
    """Some machines by the hour, each dearer than the one before."""
    return [line for n in range(count) for line in hourly(days, cost=f"{n + 1}.123456", ResourceId=f"i-{n}")]


def by_turns(count: int = 3) -> Lines:
    """One machine after the other, so that none of them has charges in two hours that follow each other."""
    return [on(5, hour, ResourceId=f"i-{hour % count}", BilledCost=f"{1.5 + hour}") for hour in range(23)]


def dearer_days(days: Sequence[int] = range(3, 20)) -> Lines:
    """One machine by the day, each day dearer than the one before."""
    return [line for day in days for line in days_of(hourly([day], cost=f"{day}.5"))]


DAYS = range(3, 20)
AGAIN = {
    "an hour later": (by_turns(), later(by_turns(), 60)),
    "an hour later, over midnight": (machines(), later(machines(), 60)),
    "an hour later, in cents": (machines(DAYS), each(later(machines(DAYS), 60), BilledCost=rounded(2))),
    "half an hour more than five later": (machines(DAYS), later(machines(DAYS), 330)),
    "eight hours earlier": (machines(DAYS), later(machines(DAYS), -480)),
    "fourteen hours later": (machines(DAYS), later(machines(DAYS), 840)),
    "days that begin an hour earlier": (dearer_days(), later(dearer_days(), -60)),
    "summer time that ends": (
        machines(DAYS), [*later(machines(range(3, 14)), 120), *later(machines(range(14, 20)), 60)]),
    "lines cut in two": (machines(), cut(machines())),
    "lines cut in two, in cents": (machines(), each(cut(machines(), "0.0567"), BilledCost=rounded(2))),
    "days cut in two": (dearer_days(), cut(dearer_days())),
}  # fmt: skip


@pytest.mark.parametrize("what", AGAIN)
@pytest.mark.parametrize("turned", [False, True])
def test_a_bill_that_is_shifted_or_cut_is_refused_beside_itself(
    step: StepContext, tmp_path: Path, what: str, turned: bool
) -> None:
    one, other = reversed(AGAIN[what]) if turned else AGAIN[what]
    write(tmp_path / "bills" / "a.csv", one)
    write(tmp_path / "bills" / "b.csv", other)
    with pytest.raises(PermanentError, match=r"bills/a\.csv and bills/b\.csv hold the same charges"):
        total(step)


def test_the_remedies_name_what_may_go_and_what_to_do_where_nothing_tells(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "x.csv", by_turns())
    other = write(tmp_path / "bills" / "y.csv", later(by_turns(), 60))
    with pytest.raises(PermanentError) as error:
        total(step)
    assert str(error.value) == (
        "bills/x.csv and bills/y.csv hold the same charges: 23 of 23 lines, all shifted by one time, of aws account "
        "111111111111 in the billing period 2026-10-01 are in both: adding them up would count them twice. Leave what "
        "has its times in UTC below `path` and move the rest out. If they are two bills that only cost the same, "
        "`same_lines: keep` in the source's block counts both."
    )
    write(other, cut(by_turns()))
    with pytest.raises(PermanentError) as error:
        total(step)
    assert str(error.value) == (
        "bills/x.csv and bills/y.csv hold the same charges: the totals of 3 of 3 resources and days of aws account "
        "111111111111 in the billing period 2026-10-01 are in both: adding them up would count them twice. All of "
        "bills/x.csv is in the other, whose amounts are more precise: move it out of `path`."
    )


@pytest.mark.parametrize("made", [lambda lines: later(lines, 60), cut])
def test_parts_beside_the_whole_are_seen_together(
    step: StepContext, tmp_path: Path, made: Callable[..., Lines]
) -> None:
    write(tmp_path / "bills" / "whole.csv", machines())
    for number in range(3):
        write(tmp_path / "bills" / f"part-{number}.csv", made(machines()[number::3]))
    with pytest.raises(PermanentError, match=r"part-2\.csv and bills/whole\.csv hold the same charges"):
        total(step)


def flat(count: int, hours: Sequence[int] = range(24), cost: str = "", **changed: str) -> Lines:
    """Some machines on one day, each at a price of its own, or all at one."""
    return [
        on(5, hour, ResourceId=f"i-{n}", BilledCost=cost or f"{2 + n}.5", **changed)
        for n in range(count)
        for hour in hours
    ]


def dearer(lines: Lines) -> Lines:
    return each(lines, BilledCost=lambda cost: str(Decimal(cost) + 1))


def cents(*costs: str) -> Lines:
    """One line of each cost, each of a machine of its own."""
    return [on(5, 3, ResourceId=f"i-{n}", BilledCost=cost) for n, cost in enumerate(costs)]


DEARER = [line for day in DAYS for line in hourly([day], cost=f"{day}.5")]
LIMITS = {
    "three totals": (flat(3), cut(flat(3)), True),
    "two totals": (flat(2), cut(flat(2)), False),
    "three machines at one price": (flat(3, cost="2.5"), cut(flat(3, cost="2.5")), False),
    "three of six machines": (flat(6), [*cut(flat(3)), *cut(dearer(flat(6)[72:]))], True),
    "three of seven machines": (flat(7), [*cut(flat(3)), *cut(dearer(flat(7)[72:]))], False),
    "half of the hours": (flat(3, range(12)), cut(flat(3, range(6, 18))), True),
    "an hour less": (flat(3, range(12)), cut(flat(3, range(7, 19))), False),
    "three totals of a hundred cents": (cents("1", "1.1", "1.2"), cut(cents("1", "1.1", "1.2")), True),
    "one of them a cent less": (cents("0.99", "1.1", "1.2"), cut(cents("0.99", "1.1", "1.2")), False),
    "a lag of fourteen hours": (DEARER, later(DEARER, 14 * 60), True),
    "a lag of a minute more": (DEARER, later(DEARER, 14 * 60 + 1), False),
    "a lag with half of the hours": (by_turns()[:12], later(by_turns()[:12], 6 * 60), True),
    "a lag with an hour less": (by_turns()[:12], later(by_turns()[:12], 7 * 60), False),
    "a lag of three amounts": (by_turns()[:3], later(by_turns()[:3], 60), True),
    "a lag of two amounts": (by_turns()[:2], later(by_turns()[:2], 60), False),
    "a lag of lines of ten cents": (
        tens := each(by_turns()[:3], BilledCost=lambda cost: f"{Decimal(cost) / 100 + Decimal('0.085'):.2f}"),
        later(tens, 60), True),
    "a lag of lines of nine": (
        nines := each(tens, BilledCost=lambda cost: f"{Decimal(cost) - Decimal('0.01'):.2f}"), later(nines, 60), False),
    "a lag of half of the lines": (
        by_turns()[:12], [*later(by_turns()[:6], 60), *later(dearer(by_turns()[6:12]), 75)], True),
    "a lag of a line less": (
        by_turns()[:12], [*later(by_turns()[:5], 60), *later(dearer(by_turns()[5:12]), 75)], False),
}  # fmt: skip


@pytest.mark.parametrize("what", LIMITS)
def test_enough_of_what_tells_must_agree(step: StepContext, tmp_path: Path, what: str) -> None:
    one, other, refused = LIMITS[what]
    write(tmp_path / "bills" / "a.csv", one)
    write(tmp_path / "bills" / "b.csv", other)
    if refused:
        with pytest.raises(PermanentError, match="hold the same charges"):
            total(step)
    else:
        assert total(step) == sum(Decimal(line["BilledCost"]) for line in (*one, *other))


def renamed(lines: Lines) -> Lines:
    return each(lines, ResourceId=lambda name: f"vm-name-{name}")


def told(step: StepContext, note: str = NOTE) -> list[str]:
    """What is said of deliveries that stand beside each other, of equal totals for one; nothing is refused."""
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    parsed, failures = parse(source, collect(source, OCTOBER, step).editions, step)
    assert parsed
    assert not failures
    return list(parsed.examples.get(note, ()))


def telling(*totals: str) -> Lines:
    """A line a day, of a machine without a name."""
    return days_of([on(day, ResourceId="", BilledCost=cost) for day, cost in enumerate(totals, start=3)])


TOTALS = {
    "other names": (by_turns(), renamed(by_turns()), True),
    "other names, and cut": (by_turns(), renamed(cut(by_turns())), True),
    "other names, by the day": (dearer_days(range(3, 6)), renamed(dearer_days(range(3, 6))), True),
    "two days by the day": (dearer_days(range(3, 5)), renamed(dearer_days(range(3, 5))), False),
    "three hours": (by_turns()[:3], renamed(by_turns()[:3]), True),
    "two hours": (by_turns()[:2], renamed(by_turns()[:2]), False),
    "two days of six digits, cut": (telling("123.456", "123.457"), cut(telling("123.456", "123.457")), True),
    "two days alike": (telling("123.456", "123.456"), cut(telling("123.456", "123.456")), False),
    "two days, one of five digits": (telling("123.456", "123.45"), cut(telling("123.456", "123.45")), False),
    "two days of round prices": (telling("123000", "456000"), cut(telling("123000", "456000")), False),
    "two days of six digits, with as many lines": (
        telling("123.456", "123.457"), renamed(telling("123.456", "123.457")), False),
    "one day of eight digits, cut": (telling("123456.78"), cut(telling("123456.78")), True),
    "one day of seven": (telling("123456.7"), cut(telling("123456.7")), False),
    "half of the days": (
        dearer_days(range(3, 9)), renamed([*dearer_days(range(3, 6)), *dearer(dearer_days(range(6, 9)))]), True),
    "fewer days": (
        dearer_days(range(3, 10)), renamed([*dearer_days(range(3, 6)), *dearer(dearer_days(range(6, 10)))]), False),
    "machines at flat prices": (flat(6), renamed(flat(6)), False),
    "other machines that cost more": (by_turns(), renamed(dearer(by_turns())), False),
    "another currency": (by_turns(), renamed(each(by_turns(), BillingCurrency=lambda _: "EUR")), False),
    "credits of the same amounts": (
        by_turns(), each(by_turns(), ChargeCategory=lambda _: "Credit", BilledCost=lambda cost: f"-{cost}"), False),
}  # fmt: skip


@pytest.mark.parametrize("what", TOTALS)
@pytest.mark.parametrize("turned", [False, True])
def test_equal_totals_of_days_are_told_where_lines_differ(
    step: StepContext, tmp_path: Path, what: str, turned: bool
) -> None:
    one, other, is_told = TOTALS[what]
    for name, lines in zip("ba" if turned else "ab", (one, other), strict=True):
        write(tmp_path / "bills" / f"{name}.csv", lines)
    said = told(step)
    assert len(said) == is_told
    assert all("bills/a.csv" in text and "bills/b.csv" in text for text in said)


WHOLE = telling("123.456", "123.457")
HALVES = telling("60.123", "60.124"), telling("63.333", "63.333")
FEW: dict[str, tuple[list[Lines], bool]] = {
    "one is cut": ([WHOLE, cut(WHOLE)], True),
    "one is cut, beside another one": ([WHOLE, cut(WHOLE), cut(telling("7.111", "8.222"), "0.07")], True),
    "one is cut, and another one has as many lines": ([WHOLE, cut(WHOLE), telling("7.111", "8.222")], True),
    "one has as many lines": ([WHOLE, renamed(WHOLE), cut(telling("7.111", "8.222"))], False),
    "both together are cut": ([WHOLE, cut(HALVES[0]), cut(HALVES[1], "0.07")], True),
    "both together have as many lines": ([cut(WHOLE), *HALVES], False),
}


@pytest.mark.parametrize("what", FEW)
def test_few_totals_tell_only_between_different_numbers_of_lines(step: StepContext, tmp_path: Path, what: str) -> None:
    bills, is_told = FEW[what]
    for name, lines in zip("abc", bills, strict=False):
        write(tmp_path / "bills" / f"{name}.csv", lines)
    assert bool(told(step)) == is_told


def test_what_is_told_names_files_account_days_and_amounts_each_time(
    step: StepContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("energy_assets.sources.files.SETTLED_S", 0)
    days = range(3, 9)
    write(tmp_path / "bills" / "x.csv", dearer_days(days))
    write(tmp_path / "bills" / "y.csv", renamed(dearer_days(days)))
    text = (
        "bills/x.csv: the totals of 6 of 6 days of aws account 111111111111 in the billing period 2026-10-01 are those "
        "of bills/y.csv too, whose lines are others: 2026-10-03 86.76 USD, 2026-10-04 110.76 USD, 2026-10-05 134.76 "
        "USD and 3 more"
    )
    assert [told(step), told(step)] == [[text], [text]]
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    (finding,) = [finding for finding in source.check(step) if not finding.ok]
    assert text in finding.what
    assert "leave one of them below `path`" in finding.remedy
    assert "`same_lines: keep`" in finding.remedy
    assert WORDS[NOTE].hole
    keeping = FocusFiles(name="bills", kind="focus_files", path="bills", same_lines="keep")
    assert all(finding.ok for finding in keeping.check(step))


JOBS = [
    on(5, 2 * n % 22 + hour, ResourceId=f"job-{n}", BilledCost=("3.06", "12.24", "0.5", "7.2")[n % 4])
    for n in range(40)
    for hour in range(2)
]
PARTS = {
    "by hour": [flat(6, range(12)), flat(6, range(12, 24))],
    "by even and odd hours": [flat(6, range(0, 24, 2)), flat(6, range(1, 24, 2))],
    "by service": [flat(6, ServiceName="EC2"), dearer(flat(6, ServiceName="RDS"))],
    "by twin machines at flat prices": [flat(6), renamed(flat(6))],
    "jobs of two hours in turns": [JOBS[::2], JOBS[1::2]],
    "of marketplace and usage": [by_turns(), each(dearer(by_turns()), ResourceId=lambda _: "")],
    "of corrections": [by_turns(), [{**line, "ChargeClass": "Correction"} for line in by_turns()]],
    "of cents": [cents(*("0.01", "0.02", "0.03") * 8), renamed(cents(*("0.01", "0.02", "0.03") * 8))],
}


@pytest.mark.parametrize("what", PARTS)
def test_parts_of_one_bill_add_up_and_nothing_is_told(step: StepContext, tmp_path: Path, what: str) -> None:
    parts = PARTS[what]
    columns = sorted({column for lines in parts for line in lines for column in line})
    for number, lines in enumerate(parts):
        write(tmp_path / "bills" / f"part-{number}.csv", lines, columns)
    assert told(step) == []
    assert total(step) == sum(Decimal(line["BilledCost"]) for lines in parts for line in lines)

"""A month of a bill beside its hours or days is one bill; charges of months beside others are not by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import Finding, StepContext
from energy_assets.sources.errors import PermanentError
from energy_assets.sources.focus.source import FocusFiles
from energy_assets.sources.notes import WORDS
from energy_assets_tests.sources.focus.bills import line, on, write
from energy_assets_tests.sources.focus.test_overlap import OCTOBER, Lines, days_of, each, hourly, rounded, total

MONTH = {"ChargePeriodStart": "2026-10-01 00:00:00", "ChargePeriodEnd": "2026-11-01 00:00:00"}
TAX = line(ChargeCategory="Tax", ResourceId="", BilledCost="3.21", **MONTH)
NOTE = "long_charges_in_several_deliveries"


def summed(lines: Lines, **span: str) -> Lines:
    """The lines summed to one of each resource and category, as exports of monthly grain have them."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for one in lines:
        key = tuple(one[column] for column in ("ResourceId", "ServiceName", "SubAccountId", "ChargeCategory"))
        before = Decimal(found[key]["BilledCost"]) if key in found else Decimal(0)
        found[key] = {**one, **MONTH, **span, "BilledCost": str(before + Decimal(one["BilledCost"]))}
    return list(found.values())


def machines(count: int = 4, days: Sequence[int] = (5, 6), cost: str = "0.123456") -> Lines:
    """Some machines by the hour, each dearer than the one before."""
    return [
        one
        for number in range(count)
        for one in hourly(days, ResourceId=f"i-{number}", cost=str(Decimal(cost) + number))
    ]


def weeks(lines: Lines) -> Lines:
    """Days of one machine summed to weeks from the first on."""
    made: Lines = []
    for first in range(1, 29, 7):
        own = [one for one in lines if first <= int(one["ChargePeriodStart"][8:10]) < first + 7]
        span = (f"2026-10-{day:02d} 00:00:00" for day in (first, first + 7))
        made += summed(own, **dict(zip(("ChargePeriodStart", "ChargePeriodEnd"), span, strict=True)))
    return made


ALL_DAYS = days_of(hourly(range(1, 29)))
AGAIN = {
    "a month beside hours": (machines(), summed(machines())),
    "a month beside days": (days_of(hourly(range(3, 20))), summed(hourly(range(3, 20)))),
    "a month in cents": (machines(), each(summed(machines()), BilledCost=rounded(2))),
    "a month cut off after cents": (machines(), each(summed(machines()), BilledCost=lambda t: t[:-4])),
    "tax in both": ([*machines(), TAX], [*summed(machines()), TAX]),
    "tax in the month only": (machines(), [*summed(machines()), TAX]),
    "tax in the hours only": ([*machines(), TAX], summed(machines())),
    "an account and resources in capitals": (
        machines(), each(summed(machines()), ResourceId=str.upper, BillingAccountId=lambda _: "1111-1111-1111")),
    "a month of services, without tax": (
        [*machines(), TAX], summed(each(machines(), ResourceId=lambda _: "", SkuId=lambda _: ""))),
    "a month of other names, at one total": (
        machines(), summed(each(machines(), ResourceId=lambda _: "", ServiceName=lambda _: "EC2"))),
    "a month without an account": (machines(), each(summed(machines()), BillingAccountId=lambda _: "")),
    "weeks beside days": (ALL_DAYS, weeks(ALL_DAYS)),
    "a month beside weeks": (weeks(ALL_DAYS), summed(ALL_DAYS)),
    "days to date in both": (machines(), [*summed(machines()), *summed(hourly(ResourceId="i-9"))]),
}  # fmt: skip


@pytest.mark.parametrize("what", AGAIN)
@pytest.mark.parametrize("turned", [False, True])
def test_a_month_beside_its_shorter_charges_is_refused(
    step: StepContext, tmp_path: Path, what: str, turned: bool
) -> None:
    one, other = reversed(AGAIN[what]) if turned else AGAIN[what]
    write(tmp_path / "bills" / "a.csv", one)
    write(tmp_path / "bills" / "b" / "b.csv.gz", other)
    with pytest.raises(PermanentError, match=r"bills/a\.csv and bills/b/b\.csv\.gz hold the same charges"):
        total(step)


@pytest.mark.parametrize("tax", [[], [TAX]])
def test_the_remedy_for_a_month_beside_its_hours_gives_the_one_right_figure(
    step: StepContext, tmp_path: Path, tax: Lines
) -> None:
    """One machine, 24 hours at 1.00 to 1.23 USD: 26.76 USD; the tax 3.21."""
    lines = hourly([5], cost="1")
    write(tmp_path / "bills" / "hourly.csv", [*lines, *tax])
    month = write(tmp_path / "bills" / "monthly.csv", [*summed(lines), *tax])
    with pytest.raises(PermanentError) as error:
        total(step)
    assert error.value.message == (
        "bills/hourly.csv and bills/monthly.csv hold the same charges: the totals of "
        f"{'1 of 2' if tax else '1 of 1'} resources, in charges of different length, of aws account 111111111111 in "
        "the billing period 2026-10-01 are in both: adding them up would count them twice"
    )
    assert error.value.remedy == "All of bills/monthly.csv is in the other: move it out of `path`."
    month.unlink()
    assert total(step) == Decimal("26.76") + (Decimal("3.21") if tax else 0)


def test_a_month_beside_one_file_a_day_is_refused_on_all_of_these_days_and_the_month_is_to_go(
    step: StepContext, tmp_path: Path
) -> None:
    """None of the files of days shares a day with the month, which lies on the first."""
    for day in (5, 6, 7):
        write(tmp_path / "bills" / f"{day}.csv", hourly([day]))
    write(tmp_path / "bills" / "month.csv", summed(hourly([5, 6, 7])))
    write(tmp_path / "bills" / "other.csv", [on(9, BillingAccountId="9")])
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    failed = collect(source, OCTOBER, step).failures
    assert sorted(failed) == [date(2026, 10, day) for day in (1, 5, 6, 7)]
    assert {str(error) for error in failed.values()} == {
        "bills/5.csv, bills/6.csv, bills/7.csv and bills/month.csv hold the same charges: the totals of 1 of 1 "
        "resources, in charges of different length, of aws account 111111111111 in the billing period 2026-10-01 are "
        "in others of them: adding them up would count them twice. All of bills/month.csv is in the others: move it "
        "out of `path`."
    }


@pytest.mark.parametrize(("same", "refused"), [(2, True), (1, False)])
def test_half_of_the_resources_are_the_same_bill(step: StepContext, tmp_path: Path, same: int, refused: bool) -> None:
    month = summed(machines())
    for number, one in enumerate(month):
        if number >= same:
            one["BilledCost"] = str(Decimal(one["BilledCost"]) * Decimal("1.1"))
    write(tmp_path / "bills" / "a.csv", machines())
    write(tmp_path / "bills" / "b.csv", month)
    if refused:
        with pytest.raises(PermanentError, match=r"the totals of 2 of 4 resources"):
            total(step)
    else:
        assert total(step) == sum(Decimal(one["BilledCost"]) for one in (*machines(), *month))


@pytest.mark.parametrize(("cost", "refused"), [("47.99", True), ("47.98", False), ("48.01", True), ("48.02", False)])
def test_totals_agree_as_far_as_the_printed_decimals_can_tell(
    step: StepContext, tmp_path: Path, cost: str, refused: bool
) -> None:
    """48 hours of 1.0001 are 48.0048, each off by less than 0.0001; the month is off by less than 0.01: 0.0148."""
    hours = each(hourly(), BilledCost=lambda _: "1.0001")
    write(tmp_path / "bills" / "a.csv", hours)
    write(tmp_path / "bills" / "b.csv", each(summed(hours), BilledCost=lambda _: cost))
    if refused:
        with pytest.raises(PermanentError, match="hold the same charges"):
            total(step)
    else:
        assert total(step) == Decimal("48.0048") + Decimal(cost)


@pytest.mark.parametrize(("length", "refused"), [(3, True), (2, False)])
def test_charges_three_times_as_long_are_another_grain(
    step: StepContext, tmp_path: Path, length: int, refused: bool
) -> None:
    days = [{**on(day), "ChargePeriodEnd": f"2026-10-{day + 1:02d} 00:00:00"} for day in range(5, 5 + length)]
    end = {"ChargePeriodEnd": f"2026-10-{5 + length:02d} 00:00:00", "BilledCost": str(Decimal("1.5") * length)}
    write(tmp_path / "bills" / "a.csv", days)
    write(tmp_path / "bills" / "b.csv", [{**on(5), **end}])
    if refused:
        with pytest.raises(PermanentError, match="hold the same charges"):
            total(step)
    else:
        assert total(step) == 6


def test_two_bills_of_one_total_are_refused_with_the_key_that_counts_both(step: StepContext, tmp_path: Path) -> None:
    """A machine at 26.76 USD by the hour, and another service that costs as much a month."""
    write(tmp_path / "bills" / "a.csv", hourly([5], cost="1"))
    write(tmp_path / "bills" / "b.csv", [line(BilledCost="26.76", ResourceId="db", ServiceName="RDS", **MONTH)])
    with pytest.raises(PermanentError) as error:
        total(step)
    assert "the charges, which are of different length and the same total, of aws account 111111111111" in str(
        error.value
    )
    assert error.value.remedy.endswith(
        "If they are two bills that only cost the same, `same_lines: keep` in the source's block counts both."
    )
    assert total(step, same_lines="keep") == Decimal("26.76") * 2


APART = {
    "a month of another machine": (hourly(), summed(hourly(ResourceId="i-2", cost="0.2"))),
    "a month of another account": (hourly(), summed(hourly(BillingAccountId="9"))),
    "a month of another billing period": (hourly(), summed(hourly(BillingPeriodStart="2026-11-01"))),
    "a fee of the same machine": (hourly(), summed(hourly(ChargeCategory="Purchase", cost="0.2"))),
    "taxes of a month in parts of a bill": (
        [*hourly([5]), TAX], [*hourly([6], cost="2"), {**TAX, "ServiceName": "S3", "BilledCost": "4"}]),
}  # fmt: skip


@pytest.mark.parametrize("what", APART)
def test_a_month_of_something_else_adds_up_without_a_word(step: StepContext, tmp_path: Path, what: str) -> None:
    one, other = APART[what]
    write(tmp_path / "bills" / "a.csv", one)
    write(tmp_path / "bills" / "b.csv", other)
    parsed, findings = read_twice(step)
    assert parsed == (sum(Decimal(each_["BilledCost"]) for each_ in (*one, *other)), 0, [])
    assert all(finding.ok for finding in findings)


def read_twice(step: StepContext) -> tuple[tuple[Decimal, int, list[str]], list[Finding]]:
    """What a run counts and tells, the second time it looks, and what doctor finds."""
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    for _ in range(2):
        parsed, failures = parse(source, collect(source, OCTOBER, step).editions, step)
    assert parsed
    assert not failures
    cost = parsed.rows.billed_cost.sum().to_pyarrow().as_py()
    return (cost, parsed.notes.get(NOTE, 0), list(parsed.examples.get(NOTE, []))), list(source.check(step))


@pytest.fixture
def _remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files as young as a test's are remembered, and what was compared with them."""
    monkeypatch.setattr("energy_assets.sources.files.SETTLED_S", 0)


@pytest.mark.usefixtures("_remembering")
@pytest.mark.parametrize(("shared", "told"), [(2, True), (1, False)])
def test_a_finished_month_beside_its_days_to_date_is_told_each_time(
    step: StepContext, tmp_path: Path, shared: int, told: bool
) -> None:
    """Nothing says whether the days are part of the month: from half of its resources on, both files are named."""
    to_date = days_of(hourly(range(1, 11), ResourceId="i-0", cost="1"))
    if shared == 2:
        to_date += days_of(hourly(range(1, 11), ResourceId="i-1", cost="2"))
    month = summed([one for n in range(4) for one in hourly(range(1, 31), ResourceId=f"i-{n}", cost=str(n + 1))])
    write(tmp_path / "bills" / "days.csv", to_date)
    write(tmp_path / "bills" / "month.csv", month)
    (cost, count, examples), findings = read_twice(step)
    assert cost == sum(Decimal(one["BilledCost"]) for one in (*to_date, *month)), "both count"
    text = (
        "bills/month.csv: 2 of 4 resources of aws account 111111111111 in the billing period 2026-10-01 have other "
        "charges of the same time in bills/days.csv, with other totals"
    )
    assert (count > 0, examples) == ((True, [text]) if told else (False, []))
    assert WORDS[NOTE].hole
    assert [(found.what, found.remedy) for found in findings if not found.ok] == (
        [(f"{WORDS[NOTE].of(1)}: {text}", WORDS[NOTE].remedy)] if told else []
    )


def test_days_to_date_are_named_by_a_run_of_days_that_only_they_speak_of(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "days.csv", days_of(hourly(range(5, 8), cost="1")))
    write(tmp_path / "bills" / "month.csv", summed(hourly(range(1, 31), cost="1")))
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    parsed, _ = parse(source, collect(source, [date(2026, 10, 6)], step).editions, step)
    assert parsed
    assert parsed.notes[NOTE] == 1


@pytest.mark.usefixtures("_remembering")
@pytest.mark.parametrize(("machines_", "told"), [(4, True), (2, True), (1, False), (0, False)])
def test_an_earlier_edition_of_a_month_is_told_each_time(
    step: StepContext, tmp_path: Path, machines_: int, told: bool
) -> None:
    """Charges of a month in both, the earlier with lower amounts: nothing says whether they are the same charges."""
    early = summed(
        [one for n in range(machines_) for one in hourly(range(1, 11), ResourceId=f"i-{n}", cost=str(n + 1))]
    )
    early += summed([one for n in range(7, 9) for one in hourly(range(1, 31), ResourceId=f"i-{n}", cost=str(n + 1))])
    month = summed([one for n in range(4) for one in hourly(range(1, 31), ResourceId=f"i-{n}", cost=str(n + 1))])
    write(tmp_path / "bills" / "a.csv", early)
    write(tmp_path / "bills" / "b.csv", month)
    (cost, count, examples), findings = read_twice(step)
    assert cost == sum(Decimal(one["BilledCost"]) for one in (*early, *month)), "both count"
    speaks, of, other = ("b", 4, "a") if machines_ == 4 else ("a", machines_ + 2, "b")
    text = (
        f"bills/{speaks}.csv: {machines_} of {of} resources of aws account 111111111111 in the billing period "
        f"2026-10-01 have other charges of the same time in bills/{other}.csv, with other totals"
    )
    assert (count > 0, examples) == ((True, [text]) if told else (False, []))
    told_once = [found.what for found in findings if not found.ok]
    assert len(told_once) == told
    assert all(what.endswith(text) for what in told_once)

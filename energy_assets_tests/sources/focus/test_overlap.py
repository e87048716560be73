"""One bill in two deliveries is refused however they differ; what only looks alike adds up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import PermanentError
from energy_assets.sources.focus.source import FocusFiles
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.focus.bills import on, write

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 10, 31))
Lines = list[dict[str, str]]


def total(step: StepContext, **keys: Any) -> Decimal:
    source = FocusFiles(name="bills", kind="focus_files", path="bills", **keys)
    return sum(rows_of(source, OCTOBER, step)[0]["billed_cost"].to_pylist(), Decimal(0))


def month(first: int = 1, last: int = 10, **changed: str) -> Lines:
    """One charge of 1.50 USD a day, told apart by their resources."""
    return [on(day, ResourceId=f"i-{day}", **changed) for day in range(first, last + 1)]


def hourly(
    days: Sequence[int] = (5, 6), hours: Sequence[int] = range(24), cost: str = "0.123456", **changed: str
) -> Lines:
    """One machine, a line an hour, each hour a little dearer."""
    each = Decimal(cost)
    return [
        on(day, hour, BilledCost=str(each + hour * Decimal("0.01")), EffectiveCost="", ListCost="", **changed)
        for day in days
        for hour in hours
    ]


def each(lines: Lines, **change: Callable[[str], str]) -> Lines:
    return [{**line, **{column: how(line[column]) for column, how in change.items()}} for line in lines]


def rounded(places: int) -> Callable[[str], str]:
    return lambda text: str(round(Decimal(text), places))


def days_of(lines: Lines) -> Lines:
    """The lines summed to one a day, as exports of daily grain have them."""
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        day = line["ChargePeriodStart"][:10]
        whole = {"ChargePeriodStart": f"{day} 00:00:00", "ChargePeriodEnd": f"{day} 23:59:59"}
        before = Decimal(found[day]["BilledCost"]) if day in found else Decimal(0)
        found[day] = {**line, **whole, "BilledCost": str(before + Decimal(line["BilledCost"]))}
    return list(found.values())


CUR = {
    "bill/BillingPeriodStartDate": "BillingPeriodStart",
    "bill/PayerAccountId": "BillingAccountId",
    "lineItem/UsageAccountId": "SubAccountId",
    "lineItem/LineItemType": "ChargeCategory",
    "lineItem/UsageStartDate": "ChargePeriodStart",
    "lineItem/UsageEndDate": "ChargePeriodEnd",
    "lineItem/CurrencyCode": "BillingCurrency",
    "lineItem/UnblendedCost": "BilledCost",
    "lineItem/ResourceId": "ResourceId",
}


def as_cur(lines: Lines) -> Lines:
    return [{theirs: line[ours] for theirs, ours in CUR.items()} for line in lines]


def unlike(lines: Lines) -> Lines:
    """The same bill as another version of FOCUS and another portal spell it."""
    return each(
        lines,
        RegionId=lambda _: "EU (Frankfurt)",
        ServiceName=lambda _: "EC2",
        SkuId=lambda _: "",
        ResourceId=lambda name: f"arn:aws:ec2:eu-central-1:222222222222:instance/{name.upper()}",
        SubAccountId=lambda _: "2222-2222-2222",
        BillingAccountId=lambda _: "1111-1111-1111",
        BilledCost=rounded(4),
    )


YEN = hourly(cost="120.4", BillingCurrency="JPY")
GUID = "0A1B2C3D-0000-4000-8000-00000000000F"
AGAIN = {
    "fewer decimals": (hourly(), each(hourly(), BilledCost=rounded(4))),
    "cents": (hourly(), each(hourly(), BilledCost=rounded(2))),
    "cut off after cents": (hourly(cost="0.126"), each(hourly(cost="0.126"), BilledCost=lambda text: text[:4])),
    "another version": (hourly(), unlike(hourly())),
    "cost and usage report": (hourly(), as_cur(hourly())),
    "days instead of hours": (hourly(), days_of(hourly())),
    "days instead of hours, in cents": (hourly(), each(days_of(hourly()), BilledCost=rounded(2))),
    "no resources": (hourly(), each(hourly(cost="0.123456"), ResourceId=lambda _: "")),
    "no resources, and days": (hourly(), each(days_of(hourly()), ResourceId=lambda _: "", ServiceName=lambda _: "")),
    "a GUID in capitals": (
        month(ProviderName="Microsoft", BillingAccountId=GUID, SubAccountId=GUID.lower()),
        month(ProviderName="Microsoft Azure", BillingAccountId=GUID.lower(), SubAccountId=GUID),
    ),
    "a path for an account": (
        month(ProviderName="Microsoft", BillingAccountId="77"),
        month(ProviderName="Microsoft", BillingAccountId="/providers/Microsoft.Billing/billingAccounts/77"),
    ),
    "a resource in capitals": (month(), each(month(), ResourceId=str.upper)),
    "no billing account": (month(), month(BillingAccountId="")),
    "another currency": (
        hourly(), each(hourly(BillingCurrency="EUR"), BilledCost=lambda cost: str(Decimal(cost) * Decimal("0.9"))),
    ),
    "whole yen": (YEN, each(YEN, BilledCost=rounded(0))),
    "only lines of no cost": (month(BilledCost="0"), month(BilledCost="0", RegionId="EU Frankfurt")),
    "a lengthened month": (month(1, 10), month(1, 12)),
}  # fmt: skip


@pytest.mark.parametrize("what", AGAIN)
@pytest.mark.parametrize("turned", [False, True])
def test_one_bill_in_two_exports_is_refused(step: StepContext, tmp_path: Path, what: str, turned: bool) -> None:
    one, other = reversed(AGAIN[what]) if turned else AGAIN[what]
    write(tmp_path / "bills" / "a.csv", one)
    write(tmp_path / "bills" / "b" / "b.csv.gz", other)
    with pytest.raises(PermanentError, match=r"bills/a\.csv and bills/b/b\.csv\.gz hold the same charges"):
        total(step)


def test_csv_and_parquet_of_one_bill_are_one_bill(step: StepContext, tmp_path: Path) -> None:
    lines = hourly()
    write(tmp_path / "bills" / "a.csv", lines)
    columns: dict[str, Any] = {name: [line[name] for line in lines] for name in lines[0]}
    columns["BilledCost"] = pa.array([float(cost) * 3 / 3 + 1e-17 for cost in columns["BilledCost"]])
    pq.write_table(pa.table(columns), tmp_path / "bills" / "b.parquet")
    with pytest.raises(PermanentError, match="48 of 48 lines"):
        total(step)


def test_one_month_cut_differently_into_files_is_one_month(step: StepContext, tmp_path: Path) -> None:
    lines = [line for n in range(6) for line in hourly(ResourceId=f"i-{n}", cost=f"0.{n + 1}")]
    for number in range(2):
        write(tmp_path / "bills" / f"two-{number}.csv", lines[number::2])
    for number in range(3):
        write(tmp_path / "bills" / f"three-{number}.csv", unlike(lines)[number::3])
    with pytest.raises(PermanentError, match=r"three-0\.csv, .* and 2 more hold the same charges: 144 of 144"):
        total(step)


def test_part_files_beside_the_whole_month_and_the_remedy_that_mends_it(step: StepContext, tmp_path: Path) -> None:
    lines = month(1, 9)
    whole = write(tmp_path / "bills" / "whole.csv", each(lines, BilledCost=rounded(2)))
    for number in range(3):
        write(tmp_path / "bills" / f"part-{number}.csv", lines[number::3])
    with pytest.raises(PermanentError) as error:
        total(step)
    assert error.value.message == (
        "bills/part-0.csv, bills/part-1.csv, bills/part-2.csv and bills/whole.csv hold the same charges: 9 of 9 lines "
        "of aws account 111111111111 in the billing period 2026-10-01 are in others of them: adding them up would "
        "count them twice"
    )
    assert error.value.remedy == "All of bills/whole.csv is in the others: move it out of `path`."
    whole.rename(tmp_path / "whole.csv")
    assert total(step) == Decimal("1.5") * 9


def test_two_exports_of_one_period_and_the_remedy_that_mends_it(step: StepContext, tmp_path: Path) -> None:
    monday = write(tmp_path / "bills" / "monday.csv", month(1, 10))
    write(tmp_path / "bills" / "tuesday.csv.gz", month(1, 12))
    with pytest.raises(PermanentError) as error:
        total(step)
    assert str(error.value) == (
        "bills/monday.csv and bills/tuesday.csv.gz hold the same charges: 10 of 10 lines of aws account 111111111111 "
        "in the billing period 2026-10-01 are in both: adding them up would count them twice. All of "
        "bills/monday.csv is in the other: move it out of `path`."
    )
    assert total(step, same_lines="keep") == Decimal("1.5") * 22
    monday.unlink()
    assert total(step) == Decimal("1.5") * 12


def test_of_two_exports_that_are_both_not_whole_none_is_to_be_moved_alone(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "a.csv", month(1, 10))
    write(tmp_path / "bills" / "b.csv", month(5, 14))
    with pytest.raises(PermanentError) as error:
        total(step)
    assert "where none of them is whole, export the period again" in error.value.remedy


PRECISE = hourly(cost="1.23456")
COARSER = {
    "cents": (each(PRECISE, BilledCost=rounded(2)), PRECISE, ", whose amounts are more precise"),
    "a decimal less": (each(PRECISE, BilledCost=rounded(4)), PRECISE, ", whose amounts are more precise"),
    "cents, and zeros": (
        [*each(PRECISE, BilledCost=rounded(2)), *month(BilledCost="0")], PRECISE, ", whose amounts are more precise"),
    "cents by the hour": (
        each(PRECISE, BilledCost=rounded(2)), days_of(PRECISE), ", whose amounts are more precise"),
    "fewer lines": (days_of(PRECISE), PRECISE, ""),
    "fewer columns": (
        [{column: text for column, text in one.items() if column != "Tags"} for one in PRECISE],
        each(PRECISE, RegionId=lambda _: "EU"), ""),
}  # fmt: skip


@pytest.mark.parametrize("what", COARSER)
@pytest.mark.parametrize("names", ["xy", "yx"])
def test_the_coarser_of_two_exports_is_to_go_whatever_they_are_called(
    step: StepContext, tmp_path: Path, what: str, names: str
) -> None:
    coarser, finer, why = COARSER[what]
    goes = write(tmp_path / "bills" / f"{names[0]}.csv", coarser)
    write(tmp_path / "bills" / f"{names[1]}.csv", finer)
    with pytest.raises(PermanentError) as error:
        total(step)
    assert error.value.remedy == f"All of bills/{goes.name} is in the other{why}: move it out of `path`."
    goes.unlink()
    assert total(step) == sum(Decimal(one["BilledCost"]) for one in PRECISE)


@pytest.mark.parametrize("name", ["a", "z"])
def test_rounded_part_files_go_and_the_precise_whole_one_stays(step: StepContext, tmp_path: Path, name: str) -> None:
    write(tmp_path / "bills" / f"{name}.csv", PRECISE)
    parts = each(PRECISE, BilledCost=rounded(2))
    for number in range(3):
        write(tmp_path / "bills" / f"part-{number}.csv", parts[number::3])
    with pytest.raises(PermanentError) as error:
        total(step)
    assert error.value.remedy == (
        "All of bills/part-0.csv, bills/part-1.csv and bills/part-2.csv is in the other, whose amounts are more "
        "precise: move them out of `path`."
    )


@pytest.mark.parametrize("names", ["xy", "yx"])
@pytest.mark.parametrize("lacking", [1, 5])
def test_of_an_export_in_cents_and_a_precise_one_that_lacks_charges_none_is_to_go(
    step: StepContext, tmp_path: Path, names: str, lacking: int
) -> None:
    write(tmp_path / "bills" / f"{names[0]}.csv", each(PRECISE, BilledCost=rounded(2)))
    write(tmp_path / "bills" / f"{names[1]}.csv", PRECISE[lacking:])
    with pytest.raises(PermanentError) as error:
        total(step)
    assert error.value.remedy.startswith("None of them can go without loss")


@pytest.mark.parametrize("lacking", [0, 1])
def test_a_file_with_one_charge_more_than_the_other_is_never_to_go(
    step: StepContext, tmp_path: Path, lacking: int
) -> None:
    """19 of 20 lines in the other are not all of them."""
    write(tmp_path / "bills" / "a.csv", month(1, 20))
    write(tmp_path / "bills" / "b.csv", [*month(1 + lacking, 20), *month(21, 23)])
    with pytest.raises(PermanentError) as error:
        total(step)
    assert ("All of bills/a.csv" in error.value.remedy) == (lacking == 0)
    assert ("export the period again" in error.value.remedy) == (lacking == 1)


@pytest.mark.parametrize(("same", "refused"), [(5, True), (4, False)])
def test_half_of_the_lines_of_the_smaller_file_are_a_second_export(
    step: StepContext, tmp_path: Path, same: int, refused: bool
) -> None:
    write(tmp_path / "bills" / "a.csv", month(1, 10))
    other = [on(day, ResourceId=f"i-{day}" if day <= same else f"other-{day}") for day in range(1, 11)]
    write(tmp_path / "bills" / "b.csv", [*other, *each(month(1, 10), ResourceId=lambda name: f"more-{name}")])
    if refused:
        with pytest.raises(PermanentError, match=r"5 of 10 lines"):
            total(step)
    else:
        assert total(step) == 45


@pytest.fixture
def _remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files as young as a test's are remembered, and what was compared with them."""
    monkeypatch.setattr("energy_assets.sources.files.SETTLED_S", 0)


SHARED_COSTS = [on(day, ResourceId=f"shared-{day}") for day in range(1, 4)]


@pytest.mark.usefixtures("_remembering")
@pytest.mark.parametrize(("own", "told"), [(10, True), (57, True), (58, False)])
def test_a_smaller_part_of_equal_lines_adds_up_and_is_told_each_time(
    step: StepContext, tmp_path: Path, own: int, told: bool
) -> None:
    """Two teams' exports that both hold the shared costs: 3 of 60 lines are 5 %."""
    for team in ("a", "b"):
        mine = [on(1 + n % 3, ResourceId=f"{team}-{n}") for n in range(own)]
        write(tmp_path / "bills" / f"{team}.csv", [*SHARED_COSTS, *mine])
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    for _ in range(2):
        parsed, failures = parse(source, collect(source, OCTOBER, step).editions, step)
        assert parsed
        assert not failures
        assert parsed.rows.billed_cost.sum().to_pyarrow().as_py() == Decimal("1.5") * 2 * (own + 3)
        assert parsed.notes.get("deliveries_partly_in_others", 0) == (2 if told else 0)
        assert parsed.examples.get("deliveries_partly_in_others", [""])[0] == (
            f"bills/a.csv: 3 of {own + 3} lines of aws account 111111111111 in the billing period 2026-10-01 are in "
            "bills/b.csv" if told else ""
        )  # fmt: skip
        said = [finding.what for finding in source.check(step) if not finding.ok]
        assert len(said) == (1 if told else 0), "once for both"
        assert all(text.count("are in bills/") == 2 for text in said)


@pytest.mark.usefixtures("_remembering")
def test_what_was_told_of_two_is_told_alike_after_a_third_came(step: StepContext, tmp_path: Path) -> None:
    """The new one is compared with its neighbours, and these not with theirs again: what was told of them stays."""

    def team(name: str, days: Sequence[int], shared: Sequence[int]) -> None:
        own = [on(day, ResourceId=f"{name}-{day}-{n}") for day in days for n in range(8)]
        write(tmp_path / "bills" / f"{name}.csv", [*own, *(on(day, ResourceId=f"shared-{day}") for day in shared)])

    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    for name, days, shared in (("a", (1, 3), (3,)), ("b", (3, 5), (3, 5)), ("c", (5, 7), (5, 7))):
        team(name, days, shared)

    def told() -> list[str]:
        parsed, _ = parse(source, collect(source, OCTOBER, step).editions, step)
        assert parsed
        return list(parsed.examples["deliveries_partly_in_others"])

    before = told()
    assert [text.split(":")[0] for text in before] == ["bills/a.csv", "bills/b.csv", "bills/c.csv"]
    assert before[1].endswith("are in bills/a.csv, bills/c.csv")
    team("d", (7, 9), (9,))
    after = told()
    assert after[:2] == before[:2], "c speaks of a day more that it shares with d"
    assert [text.split(": ")[1][:12] for text in (before[2], after[2])] == ["1 of 9 lines", "1 of 18 line"]


@pytest.mark.parametrize(("same", "refused"), [(3, True), (2, False)])
def test_half_of_the_resources_and_days_are_a_second_export_too(
    step: StepContext, tmp_path: Path, same: int, refused: bool
) -> None:
    write(tmp_path / "bills" / "a.csv", hourly([1, 2, 3, 4, 5, 6]))
    days = days_of(hourly([1, 2, 3, 4, 5, 6]))
    for number, line in enumerate(days):
        if number >= same:
            line["BilledCost"] = str(Decimal(line["BilledCost"]) * Decimal("1.1"))
    write(tmp_path / "bills" / "b.csv", days)
    if refused:
        with pytest.raises(PermanentError, match=r"the totals of 3 of 6 resources and days"):
            total(step)
    else:
        assert total(step) > 0


def test_one_account_of_many_is_found_among_others(step: StepContext, tmp_path: Path) -> None:
    rest = [month(BillingAccountId="9", SubAccountId=str(n)) for n in range(20)]
    write(tmp_path / "bills" / "payer.csv", [*month(1, 3), *(line for lines in rest[:10] for line in lines)])
    write(tmp_path / "bills" / "portal.csv", [*month(1, 3), *(line for lines in rest[10:] for line in lines)])
    with pytest.raises(PermanentError, match=r"3 of 3 lines of aws account 111111111111"):
        total(step)


APART = {
    "other accounts, one flat fee": (month(), month(BillingAccountId="9")),
    "other sub accounts, one flat fee": (month(), month(SubAccountId="3")),
    "other providers": (month(), month(ProviderName="Oracle")),
    "other charges of the same machines": (month(), month(BilledCost="2")),
    "other machines at one price": (hourly(ResourceId="i-1"), hourly(ResourceId="i-2")),
    "other services without resources": (hourly(ResourceId=""), hourly(ResourceId="", ServiceName="S3")),
    "other regions without resources": (hourly(ResourceId=""), hourly(ResourceId="", RegionId="us-east-1")),
    "morning and afternoon at one price": (
        each(hourly(hours=range(12)), BilledCost=lambda _: "2"),
        each(hourly(hours=range(12, 24)), BilledCost=lambda _: "2")),
    "even and odd hours at one price": (
        each(hourly(hours=range(0, 24, 2)), BilledCost=lambda _: "2"),
        each(hourly(hours=range(1, 24, 2)), BilledCost=lambda _: "2")),
    "corrections of the same lines": (month(), month(ChargeClass="Correction")),
    "credits for the same lines": (month(), month(ChargeCategory="Credit")),
    "the next month's bill of the same days": (month(), month(BillingPeriodStart="2026-11-01")),
    "other hours": (hourly(hours=range(12)), hourly(hours=range(12, 24))),
    "zeros beside other charges": (
        [*month(), *month(BilledCost="0", SkuId="x")], [*month(11, 20), *month(BilledCost="0", SkuId="x")]),
}  # fmt: skip


@pytest.mark.parametrize("what", APART)
def test_what_only_looks_alike_adds_up(step: StepContext, tmp_path: Path, what: str) -> None:
    one, other = APART[what]
    columns = sorted({column for line in (*one, *other) for column in line})
    write(tmp_path / "bills" / "a.csv", one, columns)
    write(tmp_path / "bills" / "b.csv", other, columns)
    assert total(step) == sum(Decimal(line["BilledCost"]) for line in (*one, *other))


@pytest.mark.usefixtures("_remembering")
def test_what_was_found_apart_is_compared_again_beside_a_new_file(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "bills" / "a.csv", month(1, 5))
    write(tmp_path / "bills" / "b.csv", month(5, 9, SubAccountId="3"))
    assert total(step) == 15
    assert total(step) == 15
    write(tmp_path / "bills" / "c.csv", [*month(4, 5, SubAccountId="4"), *month(9, 9, SubAccountId="3")])
    with pytest.raises(PermanentError, match=r"b\.csv and bills/c\.csv hold the same charges: 1 of 2 lines"):
        total(step)

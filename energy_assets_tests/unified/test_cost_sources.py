"""One bill through two sources counts once, and what is withheld is shown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from energy_assets.contracts.accounts import account_key, account_key_sql, account_keys
from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.bills import counted_twice, look_alike
from energy_assets.contracts.raw import Charges
from energy_assets.contracts.tables import Cost
from energy_assets.periods import DayRange
from energy_assets.unified.cost import LINE, bills_held, cost, cross_check, deciding_days, outdated, owners
from energy_assets_tests.rows import rows_of, table

CON = ibis.duckdb.connect(threads=1)
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
Line = dict[str, Any]


def line(day: date = date(2026, 10, 5), **changed: Any) -> Line:
    return {"day": day, "billing_period": OCTOBER, "billing_account_id": "111111111111", **changed}


def charges(**sources: list[Line]) -> ir.Table:
    return ibis.union(*(table(Charges, rows).mutate(source=ibis.literal(name)) for name, rows in sources.items()))


def decided(**sources: list[Line]) -> ir.Table:
    return owners(bills_held(charges(**sources), list(sources)))


def made_of(**sources: list[Line]) -> ir.Table:
    return cost(charges(**sources), [], decided(**sources))


def checked(**sources: list[Line]) -> list[Line]:
    return rows_of(CON, cross_check(charges(**sources), decided(**sources)))


def counted(**sources: list[Line]) -> list[tuple[str, date]]:
    """Source and day of every line that counts."""
    made = conform(made_of(**sources), Cost)
    audit(made, Cost)
    return sorted((row["source"], row["day"]) for row in rows_of(CON, made))


def names(**sources: list[Line]) -> list[str]:
    return [source for source, _ in counted(**sources)]


def test_one_bill_in_two_sources_counts_once_and_the_first_of_the_site_file_wins() -> None:
    assert names(zulu=[line(), line()], alpha=[line(), line()]) == ["zulu", "zulu"]


@pytest.mark.parametrize(
    "other",
    [
        {"provider": "gcp"},
        {"billing_account_id": "111111111112"},
        {"billing_period": NOVEMBER},
    ],
)
def test_another_provider_account_or_period_is_another_bill(other: Line) -> None:
    assert names(one=[line()], two=[line(**other)]) == ["one", "two"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"billing_account_id": "01AB-C"}, {"billing_account_id": " 01ab-c\t"}),
        ({"billing_account_id": "012345678901"}, {"billing_account_id": "12345678901"}),
        ({"billing_account_id": "012345678901"}, {"billing_account_id": "0123-4567-8901"}),
        ({"billing_account_id": "123456789012"}, {"billing_account_id": "1.23457E+11"}),
        (
            {"provider": "azure", "billing_account_id": "0A1B2C3D-0000-4000-8000-00000000000F"},
            {"provider": "azure", "billing_account_id": "0a1b2c3d-0000-4000-8000-00000000000f"},
        ),
        (
            {"provider": "算力云", "billing_account_id": "Кредит-1"},
            {"provider": "算力云", "billing_account_id": "кредит-1"},
        ),
        ({"billing_account_id": None}, {"billing_account_id": None}),
        ({"billing_account_id": None}, {"billing_account_id": " "}),
    ],
)
def test_an_account_is_the_same_however_it_is_written(ours: Line, theirs: Line) -> None:
    assert names(one=[line(**ours)], two=[line(**theirs)]) == ["one"]
    assert names(one=[line(**theirs)], two=[line(**ours)]) == ["one"]


@pytest.mark.parametrize(
    ("provider", "account", "key"),
    [
        ("aws", "012345678901", "012345678901"),
        ("aws", "12345678901", "012345678901"),
        ("aws", "0123-4567-8901", "012345678901"),
        ("aws", "123-4567-8901", "012345678901"),
        ("aws", "'012345678901", "012345678901"),
        ("aws", "12345678901.0", "012345678901"),
        ("aws", "42", "000000000042"),
        ("aws", "1234567890123", "1234567890123"),
        ("aws", "1.23457E+11", ""),
        ("azure", "1,23457E+11", ""),
        ("azure", "12345e7", "12345e7"),
        ("azure", "/providers/Microsoft.Billing/billingAccounts/1234:Abc_2019-05-31", "1234:abc_2019-05-31"),
        ("azure", "/providers/Microsoft.Billing/billingAccounts/1/billingProfiles/AB-2/", "ab-2"),
        ("azure", "0042-0001-0002", "0042-0001-0002"),
        ("gcp", "billingAccounts/01AB-22", "01ab-22"),
        ("acme", "eu/1", "eu/1"),
        ("acme", "a b", "a b"),
        ("acme", "\t A\v", "a"),
        ("aws", " ", ""),
        ("aws", None, ""),
    ],
)
def test_an_account_has_one_key_in_python_in_columns_and_in_sql(provider: str, account: str | None, key: str) -> None:
    assert account_key(provider, account) == key
    rows = ibis.memtable([(provider, account)], schema={"provider": "string", "billing_account_id": "string"})
    assert CON.to_pyarrow(account_keys(rows)).to_pylist() == [key]
    sql = f"SELECT {account_key_sql('p', 'a')} FROM (SELECT ? AS p, ?::VARCHAR AS a)"
    assert CON.con.execute(sql, [provider, account]).fetchone() == (key,)


def alike(*rows: Line) -> list[tuple[Any, ...]]:
    """What looks like one bill under two names: the two, and how many lines."""
    table_ = conform(
        table(Cost, [{"billing_period": OCTOBER, "billed_cost": Decimal("10.004"), **r} for r in rows]), Cost
    )
    return [(r["one"], r["other"], r["rows"], r["billed_cost"]) for r in rows_of(CON, look_alike(table_, {}))]


ONE: Line = {"source": "one", "provider": "aws", "billing_account_id": "1", "raw_sha256": "a" * 64}
TWO: Line = {**ONE, "source": "two", "raw_sha256": "b" * 64}


def test_two_sources_with_one_bill_under_two_names_look_alike_to_the_cent() -> None:
    other = {**TWO, "provider": "amazone"}
    assert alike(ONE, ONE, {**other, "billed_cost": Decimal(10)}, other) == [
        ("one: aws account 000000000001", "two: amazone account 1", 2, 20)
    ]
    assert len(alike(ONE, {**TWO, "billing_account_id": "2"})) == 1


def test_hours_beside_days_of_one_bill_look_alike_by_their_total() -> None:
    hours = [{**ONE, "billed_cost": Decimal("0.004")}] * 24
    days = {**TWO, "billing_account_id": "2", "billed_cost": Decimal("0.096")}
    assert alike(*hours, days) == [
        ("one: aws account 000000000001", "two: aws account 000000000002", 1, Decimal("0.10"))
    ]
    assert alike(*hours, {**days, "billed_cost": Decimal("0.106")}) == []
    assert alike(*hours, {**days, "billing_account_id": "1"}) == []


def test_a_bill_in_two_part_files_of_another_source_is_compared_as_a_whole() -> None:
    parts = [{**TWO, "billing_account_id": "2", "raw_sha256": sha * 64} for sha in "bc"]
    assert alike(ONE, ONE, *parts) == [("one: aws account 000000000001", "two: aws account 000000000002", 2, 20)]


def test_two_files_of_one_source_with_one_bill_under_two_names_look_alike() -> None:
    assert alike(ONE, {**ONE, "raw_sha256": "b" * 64, "billing_account_id": "2"}) == [
        ("one file aaaaaaaaaaaa: aws account 000000000001", "one file bbbbbbbbbbbb: aws account 000000000002", 1, 10)
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"billed_cost": Decimal("10.01")},
        {"billing_currency": "USD"},
        {"day": date(2026, 10, 6)},
        {"billing_account_id": "1"},
    ],
)
def test_bills_that_differ_in_amount_currency_or_day_or_have_one_name_do_not_look_alike(changed: Line) -> None:
    assert alike(ONE, {**TWO, "billing_account_id": "2", **changed}) == []
    assert alike(ONE, {**ONE, "raw_sha256": "b" * 64, "billing_account_id": "2", **changed}) == []


def test_two_accounts_of_one_file_and_days_without_an_amount_do_not_look_alike() -> None:
    assert alike(ONE, {**ONE, "billing_account_id": "2"}) == []
    free = {"billed_cost": Decimal(0)}
    assert alike(ONE | free, TWO | free | {"billing_account_id": "2"}) == []
    assert len(alike(ONE, TWO, {**TWO, "billing_account_id": "2"})) == 1, "another account of the second source"


def test_only_aws_account_numbers_get_their_zeros_back() -> None:
    ours, theirs = {"billing_account_id": "042"}, {"billing_account_id": "42"}
    assert names(one=[line(provider="acme", **ours)], two=[line(provider="acme", **theirs)]) == ["one", "two"]


def test_each_bill_has_its_own_winner_and_three_sources_count_once() -> None:
    later = line(date(2026, 11, 2), billing_period=NOVEMBER)
    found = counted(one=[line()], two=[line(), later], three=[line(), later])
    assert found == [("one", date(2026, 10, 5)), ("two", date(2026, 11, 2))]


def test_a_partial_first_source_wins_the_whole_period_on_every_day() -> None:
    """What it lacks is not filled up: two deliveries of one bill need not have the same lines on the same days."""
    rest = [line(date(2026, 10, day)) for day in (5, 6, 7)]
    assert counted(one=[line()], two=rest) == [("one", date(2026, 10, 5))]


def test_a_day_alone_decides_as_a_range_does() -> None:
    day = date(2026, 10, 7)
    whole = charges(one=[line()], two=[line(), line(day)])
    owned = owners(bills_held(whole, ["one", "two"]))
    assert rows_of(CON, cost(whole.filter(whole.day == day), [], owned)) == []
    assert len(rows_of(CON, cost(whole, [], owned))) == 1


@pytest.mark.parametrize(
    ("day", "wins"),
    [
        (date(2026, 9, 27), False),
        (date(2026, 9, 28), True),
        (date(2026, 10, 31), True),
        (date(2026, 11, 1), False),
    ],
)
def test_lines_from_three_days_before_a_period_to_its_last_day_decide(day: date, wins: bool) -> None:
    """A correction alone does not win a bill that another source has; it is withheld with the rest."""
    found = counted(one=[line(day)], two=[line()])
    assert found == ([("one", day)] if wins else [("two", date(2026, 10, 5))])


def test_corrections_that_only_two_later_sources_have_count_once() -> None:
    day = date(2026, 7, 5)
    assert counted(one=[], two=[line(day)], three=[line(day)]) == [("two", day)]
    assert counted(one=[line()], two=[line(day)], three=[line(day)]) == [("one", date(2026, 10, 5))]


def test_the_days_that_decide_depend_on_the_periods_alone() -> None:
    october = DayRange(date(2026, 9, 28), date(2026, 10, 31))
    assert deciding_days([OCTOBER]) == [october]
    assert deciding_days([OCTOBER, NOVEMBER, OCTOBER]) == [DayRange(date(2026, 9, 28), date(2026, 12, 1))]
    assert deciding_days([date(2026, 2, 1), OCTOBER]) == [DayRange(date(2026, 1, 29), date(2026, 3, 3)), october]
    assert deciding_days([date(2026, 2, 1), OCTOBER, NOVEMBER]) == [
        DayRange(date(2026, 1, 29), date(2026, 3, 3)),
        DayRange(date(2026, 9, 28), date(2026, 12, 1)),
    ]
    assert deciding_days([OCTOBER, date(2026, 11, 4)]) == [DayRange(date(2026, 9, 28), date(2026, 12, 4))], "adjacent"
    assert deciding_days([OCTOBER, date(2026, 11, 5)]) == [october, DayRange(date(2026, 11, 2), date(2026, 12, 5))]
    assert deciding_days([date(2026, 10, 15)]) == [DayRange(date(2026, 10, 12), date(2026, 11, 14))]
    assert deciding_days([]) == []


def test_the_cross_check_shows_both_sides_by_day_and_the_days_the_winner_lacks() -> None:
    five, six, seven = (date(2026, 10, day) for day in (5, 6, 7))
    spelled = {"billing_account_id": "AB-1"}
    sources = dict(
        one=[line(**spelled), line(**spelled), line(six, **spelled)],
        two=[
            line(billing_account_id=" ab-1", billed_cost=Decimal("2.5")),
            line(seven, **spelled),
            line(seven, billing_currency="USD", **spelled),
            line(provider="gcp"),
        ],
    )
    found = checked(**sources)
    assert {(r["provider"], r["billing_account_id"], r["billing_period"]) for r in found} == {("aws", "ab-1", OCTOBER)}
    assert {(r["source"], r["withheld_source"]) for r in found} == {("one", "two")}
    assert sorted(
        (r["day"], r["billing_currency"], r["rows"], r["billed_cost"], r["withheld_rows"], r["withheld_billed_cost"])
        for r in found
    ) == [
        (five, "EUR", 2, Decimal(2), 1, Decimal("2.5")),
        (six, "EUR", 1, Decimal(1), 0, Decimal(0)),
        (seven, "EUR", 0, Decimal(0), 1, Decimal(1)),
        (seven, "USD", 0, Decimal(0), 1, Decimal(1)),
    ]


@pytest.mark.parametrize("first", ["monthly", "hourly"])
def test_a_month_in_one_source_and_its_days_in_another_count_once_whichever_is_first(first: str) -> None:
    """The month lies on the first day, of which the other has nothing: 31 USD either way."""
    month = [line(OCTOBER, billed_cost=Decimal(31))]
    days = [line(date(2026, 10, day), billed_cost=Decimal(1)) for day in range(2, 32)]
    days.append(line(date(2026, 10, 31), billed_cost=Decimal(1)))
    sources = {"monthly": month, "hourly": days}
    ordered = {name: sources[name] for name in sorted(sources, key=lambda name: name != first)}
    rows = rows_of(CON, conform(made_of(**ordered), Cost))
    assert {row["source"] for row in rows} == {first}
    assert sum(row["billed_cost"] for row in rows) == 31
    found = checked(**ordered)
    assert (sum(row["billed_cost"] for row in found), sum(row["withheld_billed_cost"] for row in found)) == (31, 31)


def test_the_cross_check_names_every_withheld_source_and_none_where_nothing_is() -> None:
    found = checked(one=[line()], two=[line()], three=[line(), line()])
    assert sorted((r["billing_account_id"], r["withheld_source"], r["rows"], r["withheld_rows"]) for r in found) == [
        ("111111111111", "three", 1, 2),
        ("111111111111", "two", 1, 1),
    ]
    assert checked(one=[line()]) == []


UNNAMED: Line = {"billing_account_id": None}


@pytest.mark.parametrize("blank", [None, "", " \t"])
def test_lines_without_an_account_are_never_added_to_another_sources_lines(blank: str | None) -> None:
    """They may be the same charges: the first source has the provider's period, whatever accounts are named."""
    unnamed = {"billing_account_id": blank}
    assert names(one=[line()], two=[line(**unnamed)]) == ["one"]
    assert names(one=[line(**unnamed)], two=[line()]) == ["one"]
    assert names(one=[line(**unnamed)], two=[line(), line(billing_account_id="2")]) == ["one"]
    other_day = date(2026, 10, 20)
    assert counted(one=[line(**unnamed)], two=[line(other_day)]) == [("one", date(2026, 10, 5))]


@pytest.mark.parametrize("other", [{"provider": "gcp"}, {"billing_period": NOVEMBER, "day": date(2026, 11, 5)}])
def test_lines_without_an_account_leave_other_providers_and_periods_alone(other: Line) -> None:
    assert names(one=[line(**UNNAMED)], two=[line(**other)]) == ["one", "two"]
    assert names(one=[line()], two=[line(**(UNNAMED | other))]) == ["one", "two"]


def test_within_one_source_lines_with_and_without_an_account_all_count() -> None:
    own = [line(), line(**UNNAMED), line(billing_account_id="2")]
    assert names(one=own) == ["one"] * 3
    assert names(one=own, two=own) == ["one"] * 3
    assert names(one=own, two=[line(billing_account_id="3")]) == ["one"] * 3
    assert names(two=[line(billing_account_id="3")], one=own) == ["one", "one", "two"], "the unnamed one may be of 3"


def test_the_third_source_has_its_own_account_where_the_first_names_all() -> None:
    assert names(one=[line()], two=[line(**UNNAMED)], three=[line(billing_account_id="3")]) == ["one", "three"]


@pytest.mark.parametrize(("last", "wins"), [(date(2026, 10, 31), True), (date(2026, 11, 1), False)])
def test_an_unnamed_correction_outside_the_period_decides_its_own_day_alone(last: date, wins: bool) -> None:
    both = [line(billing_account_id="2"), line(last, billing_account_id="2")]
    found = counted(one=[line(), line(last, **UNNAMED)], two=both)
    five = date(2026, 10, 5)
    assert found == sorted([("one", five), ("one", last)] + ([] if wins else [("two", five)]))


def test_the_cross_check_compares_all_of_the_provider_where_one_side_names_no_account() -> None:
    both = [line(), line(billing_account_id="2", billed_cost=Decimal(4))]
    keys = ("billing_account_id", "source", "withheld_source", "rows", "billed_cost")
    lost = ("withheld_rows", "withheld_billed_cost")
    for found, expected in (
        (checked(one=[line(**UNNAMED)], two=both), (None, "one", "two", 1, 1, 2, 5)),
        (checked(one=both, two=[line(**UNNAMED)]), (None, "one", "two", 2, 5, 1, 1)),
        (checked(one=[*both, line(**UNNAMED)], two=both), (None, "one", "two", 3, 6, 2, 5)),
    ):
        assert [tuple(row[key] for key in (*keys, *lost)) for row in found] == [expected]


@pytest.mark.parametrize(
    ("rows", "breaches"),
    [
        ([{"source": "one"}, {"source": "two", "billing_account_id": "2"}], 0),
        ([{"source": "one"}, {"source": "two"}], 1),
        ([{"source": "one", **UNNAMED}, {"source": "one"}], 0),
        ([{"source": "one", **UNNAMED}, {"source": "two"}], 1),
        ([{"source": "one", **UNNAMED}, {"source": "two", "provider": "gcp"}], 0),
        ([{"source": "one", **UNNAMED}, {"source": "two", "billing_period": NOVEMBER}], 0),
        ([{"source": "one", **UNNAMED}, {"source": "two", "day": date(2026, 10, 6)}], 0),
    ],
)
def test_a_day_that_adds_up_two_sources_of_one_bill_breaks_the_proof(rows: list[Line], breaches: int) -> None:
    staged = table(Cost, [line(**row) for row in rows])
    assert len(rows_of(CON, counted_twice(staged, {}))) == breaches


def test_what_was_published_is_outdated_where_another_source_has_the_bill_now() -> None:
    five, six, seven = (date(2026, 10, day) for day in (5, 6, 7))
    before = [line(five), line(six), line(six, provider="gcp")]
    published = made_of(one=[], two=before).select(*LINE)

    def days(**sources: list[Line]) -> list[date]:
        found = rows_of(CON, outdated(decided(**sources), published))
        assert {row["provider"] for row in found} <= {"aws"}
        return sorted(row["day"] for row in found)

    assert days(one=[], two=before) == []
    assert days(one=[line(seven)], two=before) == [five, six, seven]
    assert days(one=[line(six)], two=before) == [five, six], "a day once, though one line is over there and one lacking"
    assert days(one=[line(six, billing_account_id="2")], two=before) == [], "a new bill changes no other"
    assert days(one=[line(seven, **UNNAMED)], two=before) == [five, six, seven]
    assert days(one=[line(seven, billing_period=NOVEMBER)], two=before) == []


def test_a_rule_may_match_the_zone_a_place_gives() -> None:
    from energy_assets.site import Rule

    rule = Rule.model_validate({"match": {"zone": "DE"}, "project": "german"})
    made = cost(charges(one=[line()]), [rule], place=lambda rows: rows.mutate(zone=ibis.literal("DE")))
    (row,) = rows_of(CON, made)
    assert (row["zone"], row["project"]) == ("DE", "german")

"""Calendar arithmetic: ranges of days and months."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from energy_assets.periods import GRAINS, DayRange, Grain, Month, Period, contiguous


def days(first: int, last: int) -> DayRange:
    return DayRange(date(2024, 5, first), date(2024, 5, last))


def test_a_range_holds_both_its_ends_and_is_half_open_as_instants() -> None:
    range_ = days(30, 31)
    assert list(range_) == [date(2024, 5, 30), date(2024, 5, 31)]
    assert (range_.start, range_.end) == (datetime(2024, 5, 30, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC))
    assert date(2024, 6, 1) not in range_
    assert (str(range_), str(days(1, 1))) == ("2024-05-30 to 2024-05-31", "2024-05-01")


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ends \(2024-05-01\) before it begins \(2024-05-02\)"):
        days(2, 1)


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (31, [5])])
def test_chunks_make_up_the_range_in_order(size: int, lengths: list[int]) -> None:
    chunks = list(days(1, 5).chunks(size))
    assert [len(chunk) for chunk in chunks] == lengths
    assert [day for chunk in chunks for day in chunk] == list(days(1, 5))


@pytest.mark.parametrize(
    ("text", "length", "last"),
    [("2024-02", 29, "2024-02-29"), ("2023-02-01", 28, "2023-02-28"), ("2024-12", 31, "2024-12-31")],
)
def test_a_month_knows_its_days(text: str, length: int, last: str) -> None:
    month = Month.parse(text)
    assert len(month.days) == length
    assert month.days.last == date.fromisoformat(last)
    assert str(month) == text[:7]
    assert Month.of(month.days.last) == month


@pytest.mark.parametrize("text", ["2024", "2024-13", "May 2024", "", "2024-5-"])
def test_what_is_no_month_is_answered_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as 2024-05"):
        Month.parse(text)


def test_days_are_gathered_into_the_fewest_ranges() -> None:
    scattered = [date(2024, 5, n) for n in (3, 1, 2, 2, 5, 31)] + [date(2024, 6, 1)]
    assert contiguous(scattered) == [days(1, 3), days(5, 5), DayRange(date(2024, 5, 31), date(2024, 6, 1))]
    assert contiguous([]) == []


@pytest.mark.parametrize(
    ("text", "grain", "first", "last", "words", "previous"),
    [
        ("2026-09", "month", "2026-09-01", "2026-09-30", "September 2026", "2026-08"),
        ("2024-02", "month", "2024-02-01", "2024-02-29", "February 2024", "2024-01"),
        ("2026-01", "month", "2026-01-01", "2026-01-31", "January 2026", "2025-12"),
        ("2026-Q3", "quarter", "2026-07-01", "2026-09-30", "third quarter of 2026", "2026-Q2"),
        ("2026-Q1", "quarter", "2026-01-01", "2026-03-31", "first quarter of 2026", "2025-Q4"),
        ("2026-Q4", "quarter", "2026-10-01", "2026-12-31", "fourth quarter of 2026", "2026-Q3"),
        ("2024", "year", "2024-01-01", "2024-12-31", "2024", "2023"),
    ],
)
def test_a_period_is_read_printed_and_knows_its_days(
    text: str, grain: Grain, first: str, last: str, words: str, previous: str
) -> None:
    period = Period.parse(text)
    assert (str(period), period.grain, period.words) == (text, grain, words)
    assert (str(period.first), str(period.last)) == (first, last)
    assert str(period.previous) == previous
    assert [day for month in period.months for day in month.days] == list(period.days)
    assert Period.containing(period.last, grain) == Period.containing(period.first, grain) == period


@pytest.mark.parametrize(
    "text",
    ["", "26", "2026-Q5", "2026-Q0", "2026-q3", "2026-13", "2026-00", "2026-9", "Q3", "0000", "2026-09-01", "٢٠٢٦"],
)
def test_what_is_no_period_is_answered_with_all_that_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"a month as 2026-09, a quarter as 2026-Q3 \(Q1 to Q4\), a year as 2026$"):
        Period.parse(text)


def test_a_period_begins_where_the_calendar_says() -> None:
    with pytest.raises(ValueError, match="no quarter begins with the month 2026-02"):
        Period(Month(2026, 2), "quarter")
    with pytest.raises(ValueError, match="no year begins with the month 2026-07"):
        Period(Month(2026, 7), "year")
    with pytest.raises(ValueError, match="allowed are month, quarter, year"):
        Period(Month(2026, 7), "week")  # type: ignore[arg-type]


@pytest.mark.parametrize("grain", GRAINS)
def test_a_leap_day_lies_in_one_period_of_each_grain(grain: Grain) -> None:
    assert date(2024, 2, 29) in Period.containing(date(2024, 2, 29), grain).days

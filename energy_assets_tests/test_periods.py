"""Calendar arithmetic: ranges of days and months."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from energy_assets.periods import DayRange, Month, contiguous


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

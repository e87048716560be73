"""Calendar periods in UTC: ranges of days and months, as half-open intervals.

What belongs here: the arithmetic of partitions. What does not: anything that reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class DayRange:
    """All days from `first` to `last`, both included; as instants the interval is half-open."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"the range ends ({self.last}) before it begins ({self.first})")

    def __iter__(self) -> Iterator[date]:
        return (self.first + ONE_DAY * n for n in range(len(self)))

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def start(self) -> datetime:
        """The first instant, UTC."""
        return datetime.combine(self.first, datetime.min.time(), UTC)

    @property
    def end(self) -> datetime:
        """The first instant after the range, UTC."""
        return datetime.combine(self.last + ONE_DAY, datetime.min.time(), UTC)

    def chunks(self, days: int) -> Iterator[DayRange]:
        """Consecutive ranges of at most `days` days that make up this one."""
        for offset in range(0, len(self), days):
            first = self.first + ONE_DAY * offset
            yield DayRange(first, min(first + ONE_DAY * (days - 1), self.last))


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month, written 2024-05."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `2024-05` (or the first day of the month, `2024-05-01`).

        Raises:
            ValueError: the text is no month.
        """
        try:
            parsed = date.fromisoformat(text if len(text) == 10 else f"{text}-01")
        except ValueError:
            raise ValueError(f"'{text}' is no month; write it as 2024-05") from None
        return cls(parsed.year, parsed.month)

    @classmethod
    def of(cls, day: date) -> Month:
        """The month a day lies in."""
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def first(self) -> date:
        """The first day of the month."""
        return date(self.year, self.month, 1)

    @property
    def days(self) -> DayRange:
        """All days of the month."""
        following = date(self.year + self.month // 12, self.month % 12 + 1, 1)
        return DayRange(self.first, following - ONE_DAY)


def contiguous(days: Sequence[date]) -> list[DayRange]:
    """The fewest ranges that hold exactly `days`."""
    ranges: list[DayRange] = []
    for day in sorted(set(days)):
        if ranges and day == ranges[-1].last + ONE_DAY:
            ranges[-1] = DayRange(ranges[-1].first, day)
        else:
            ranges.append(DayRange(day, day))
    return ranges

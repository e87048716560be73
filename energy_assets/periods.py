"""Calendar periods in UTC: ranges of days, months, and the periods of reports.

What belongs here: the arithmetic of partitions, and how periods are written. What does not: anything that reads a
clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args

ONE_DAY = timedelta(days=1)
MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
Grain = Literal["month", "quarter", "year"]
GRAINS: tuple[Grain, ...] = get_args(Grain)
MONTHS_OF: dict[Grain, int] = {"month": 1, "quarter": 3, "year": 12}
"""How many months a period of each grain has."""
_ORDINALS = ("first", "second", "third", "fourth")
_PERIOD = re.compile(r"(?P<year>\d{4})(?:-(?:Q(?P<quarter>[1-4])|(?P<month>0[1-9]|1[0-2])))?", re.ASCII)


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


@dataclass(frozen=True, order=True)
class Period:
    """What a report is about: a month (`2026-09`), a quarter (`2026-Q3`) or a year (`2026`) of the calendar.

    Attributes:
        first_month: Its first month.
        grain: month, quarter or year.
    """

    first_month: Month
    grain: Grain

    def __post_init__(self) -> None:
        if self.grain not in GRAINS:
            raise ValueError(f"'{self.grain}' is no grain of a period; allowed are {', '.join(GRAINS)}")
        if (self.first_month.month - 1) % MONTHS_OF[self.grain]:
            raise ValueError(f"no {self.grain} begins with the month {self.first_month}")

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read `2026-09`, `2026-Q3` or `2026`.

        Raises:
            ValueError: the text is no period; the message names what is allowed.
        """
        found = _PERIOD.fullmatch(text)
        if not found or found["year"] == "0000":
            raise ValueError(
                f"'{text}' is no period; write a month as 2026-09, a quarter as 2026-Q3 (Q1 to Q4), a year as 2026"
            )
        year = int(found["year"])
        if found["month"]:
            return cls(Month(year, int(found["month"])), "month")
        if found["quarter"]:
            return cls(Month(year, 3 * int(found["quarter"]) - 2), "quarter")
        return cls(Month(year, 1), "year")

    @classmethod
    def containing(cls, day: date, grain: Grain = "month") -> Period:
        """The period of a grain that a day lies in.

        Args:
            day: Any day of the period, UTC.
            grain: How long the period is.
        """
        size = MONTHS_OF[grain]
        return cls(Month(day.year, (day.month - 1) // size * size + 1), grain)

    def __str__(self) -> str:
        first = self.first_month
        if self.grain == "quarter":
            return f"{first.year:04d}-Q{(first.month + 2) // 3}"
        return str(first) if self.grain == "month" else f"{first.year:04d}"

    @property
    def words(self) -> str:
        """`September 2026`, `third quarter of 2026` or `2026`."""
        first = self.first_month
        if self.grain == "quarter":
            return f"{_ORDINALS[first.month // 3]} quarter of {first.year}"
        return f"{MONTH_NAMES[first.month - 1]} {first.year}" if self.grain == "month" else str(first.year)

    @property
    def months(self) -> tuple[Month, ...]:
        """Its months, in order."""
        first = self.first_month
        return tuple(Month(first.year, first.month + n) for n in range(MONTHS_OF[self.grain]))

    @property
    def first(self) -> date:
        """Its first day."""
        return self.first_month.first

    @property
    def last(self) -> date:
        """Its last day."""
        return self.months[-1].days.last

    @property
    def days(self) -> DayRange:
        """All its days."""
        return DayRange(self.first, self.last)

    @property
    def previous(self) -> Period:
        """The period of the same grain before it."""
        return Period.containing(self.first - ONE_DAY, self.grain)


def contiguous(days: Sequence[date]) -> list[DayRange]:
    """The fewest ranges that hold exactly `days`."""
    ranges: list[DayRange] = []
    for day in sorted(set(days)):
        if ranges and day == ranges[-1].last + ONE_DAY:
            ranges[-1] = DayRange(ranges[-1].first, day)
        else:
            ranges.append(DayRange(day, day))
    return ranges

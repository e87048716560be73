"""Which days a file takes with it that cannot be read."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.unreadable import days_concerned, named_period

MAY = DayRange(date(2024, 5, 1), date(2024, 5, 31))
NINTH, TENTH, ELEVENTH = (date(2024, 5, n) for n in (9, 10, 11))


@pytest.mark.parametrize(
    ("name", "period"),
    [
        ("meters/2024-05-09.csv", (date(2024, 5, 9), date(2024, 5, 9))),
        ("meters_20240509.parquet", (date(2024, 5, 9), date(2024, 5, 9))),
        ("s3://b/DE_2024_hourly.csv.gz", (date(2024, 1, 1), date(2024, 12, 31))),
        ("FR_2021-2024.csv.gz", (date(2021, 1, 1), date(2024, 12, 31))),
        ("bill-2024-02.csv", (date(2024, 2, 1), date(2024, 2, 29))),
        ("20240501-20240531", (date(2024, 5, 1), date(2024, 5, 31))),
        ("2024/meters.csv", None),
        ("part-00001.csv", None),
        ("id-9202405097.csv", None),
    ],
)
def test_the_period_in_a_name(name: str, period: tuple[date, date] | None) -> None:
    assert named_period(name) == (DayRange(*period) if period else None)


def test_days_of_the_last_readable_version_and_later_ones_while_it_grew() -> None:
    days = {NINTH, TENTH}
    assert days_concerned("a.csv", MAY, (days, date(2024, 5, 12)), {}) == days
    growing = days_concerned("a.csv", MAY, (days, ELEVENTH), {})
    assert growing == {day for day in MAY if day >= NINTH}


def test_a_name_is_believed_only_where_every_readable_name_keeps_to_its_period() -> None:
    readable = {"m/2024-05-08.csv": {date(2024, 5, 8), NINTH}, "m/other.csv": {TENTH}}
    around = {NINTH + timedelta(days=n) for n in (-1, 0, 1)}
    assert days_concerned("m/2024-05-09.csv", MAY, None, readable) == around
    assert days_concerned("m/other2.csv", MAY, None, readable) == set(MAY)
    assert days_concerned("m/2024-05-09.csv", MAY, None, {}) == set(MAY)
    assert days_concerned("m/2024-05-09.csv", MAY, None, {**readable, "m/2024-05-01.csv": {ELEVENTH}}) == set(MAY)

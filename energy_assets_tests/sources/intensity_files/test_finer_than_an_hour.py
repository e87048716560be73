"""Series finer than an hour, and hours that begin at the half hour: the UTC hour by overlap, and what is covered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect
from energy_assets.sources.base import StepContext
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.intensity_files.test_source import DAY, ONE, of

KEYS = {
    "time": "at", "zone": "IN-WE", "direct": "co2", "lifecycle": "lca", "unit": "gCO2e/kWh", "estimated": "kind",
}  # fmt: skip
START = datetime(DAY.year, DAY.month, DAY.day)
THOUSANDTH = Decimal("0.001")
Value = Callable[[datetime], int | None]


def written(
    path: Path, value: Value, minutes: int, first: datetime = START, hours: float = 24, kind: str = "measured"
) -> None:
    """A file with a line every so many minutes; None for no line."""
    instants = (first + timedelta(minutes=minutes * n) for n in range(int(hours * 60 / minutes)))
    lines = [f"{at:%Y-%m-%d %H:%M},{value(at)},{value(at)},{kind}" for at in instants if value(at) is not None]
    path.write_text("\n".join(["at,co2,lca,kind", *lines]) + "\n")


def told(step: StepContext, path: str = "*.csv", days: DayRange = ONE) -> tuple[dict[datetime, Any], dict[str, int]]:
    """Value, covered share and spacing of each hour that has one of its own; and the notes."""
    rows, notes = rows_of(of(path, **KEYS), days, step)
    return {
        row["hour"]: (row["direct_gco2e_per_kwh"], row["hour_covered"], row["answered_minutes"])
        for row in rows.to_pylist()
        if row["resolution"] == "hour"
    }, notes


@pytest.mark.parametrize("minutes", [5, 10, 15, 20, 30, 60])
def test_an_hour_is_the_mean_of_its_values_however_fine_they_are(
    step: StepContext, tmp_path: Path, minutes: int
) -> None:
    written(tmp_path / "a.csv", lambda at: 100 + at.minute, minutes)
    hours, _ = told(step)
    assert len(hours) == 24
    assert set(hours.values()) == {(100 + (60 - Decimal(minutes)) / 2, Decimal(1), minutes)}


def test_hours_that_begin_at_the_half_hour_are_shared_between_two_utc_hours(step: StepContext, tmp_path: Path) -> None:
    """A local hour from 00:30 to 01:30 UTC counts half for 00:00 and half for 01:00."""
    written(tmp_path / "a.csv", lambda at: 100 * (at.hour + 1), 60, START - timedelta(minutes=330), 48)
    hours, notes = told(step)
    assert [hours[START + timedelta(hours=n)][0] for n in range(1, 24)] == [100 * n + 50 for n in range(1, 24)]
    assert hours[START][0] == (2400 + 100) / 2
    assert {found[1:] for found in hours.values()} == {(Decimal(1), 60)}
    assert notes == {}


@pytest.mark.parametrize(
    ("kept", "found", "notes"),
    [
        (range(12), (Decimal("127.5"), Decimal(1), 5), {}),
        (range(11), (Decimal(125), Decimal("0.916667"), 5), {"hours_covered_in_part": 1}),
        (range(6), (Decimal("112.5"), Decimal("0.5"), 5), {"hours_covered_in_part": 1}),
        (range(6, 12), (Decimal("142.5"), Decimal("0.5"), 5), {"hours_covered_in_part": 1}),
        (range(5), None, {"hours_covered_too_little": 1}),
        (range(0), None, {}),
    ],
)
def test_an_hour_that_is_covered_in_part_says_so_and_one_of_less_than_half_has_no_value(
    step: StepContext, tmp_path: Path, kept: range, found: Any, notes: dict[str, int]
) -> None:
    hole = START + timedelta(hours=7)
    written(
        tmp_path / "a.csv",
        lambda at: None if at.replace(minute=0) == hole and at.minute // 5 not in kept else 100 + at.minute,
        5,
    )
    hours, told_of = told(step)
    assert hours.get(hole) == (found)
    assert {name: n for name, n in told_of.items() if name.startswith("hours_covered")} == notes
    assert len(hours) == 23 + (found is not None)


def resolutions(step: StepContext, hour: datetime) -> dict[str, Any]:
    rows, _ = rows_of(of("*.csv", **KEYS), ONE, step)
    return {row["resolution"]: row for row in rows.to_pylist() if row["hour"] == hour}


def test_the_next_rung_is_the_mean_of_the_utc_hour_of_the_zones_month(step: StepContext, tmp_path: Path) -> None:
    """In a zone of half hours the month's mean is of the same UTC hour, each the mean of two local hours."""

    def value(at: datetime) -> int | None:
        return None if at.date() == DAY and at.hour in (6, 7) else 10 * at.day + at.hour

    first = datetime(2024, 4, 30, 18, 30)
    written(tmp_path / "a.csv", value, 60, first, 24 * 33)
    found = resolutions(step, START + timedelta(hours=7))
    days = [n for n in range(1, 32) if n != DAY.day]
    assert set(found) == {"month", "year"}
    assert found["month"]["direct_gco2e_per_kwh"] == (Decimal(sum(10 * n + 6.5 for n in days)) / 30).quantize(
        THOUSANDTH
    )
    assert (found["month"]["hour_covered"], found["month"]["answered_minutes"]) == (None, None)
    half = resolutions(step, START + timedelta(hours=6))
    assert half["hour"]["direct_gco2e_per_kwh"] == 95, "05:30 to 06:30 covers the first half"
    assert half["hour"]["hour_covered"] == Decimal("0.5")


def test_the_month_is_that_of_utc_and_no_day_of_another_month_goes_into_it(step: StepContext, tmp_path: Path) -> None:
    written(tmp_path / "a.csv", lambda at: None if at.date() == DAY else 100 * at.month + at.day, 60,
            datetime(2024, 4, 25), 24 * 45)  # fmt: skip
    found = resolutions(step, START)
    days = [n for n in range(1, 32) if n != DAY.day]
    assert found["month"]["direct_gco2e_per_kwh"] == (500 + Decimal(sum(days)) / 30).quantize(THOUSANDTH)


def test_files_that_end_at_local_midnight_share_the_hour_between_them(step: StepContext, tmp_path: Path) -> None:
    """Local days of India end at 18:30 UTC: half of 18:00 is of one file, half of the other."""
    for n, name in enumerate(("a", "b", "c")):
        written(tmp_path / f"{name}.csv", lambda at, n=n: 100 * (n + 1), 60, START - timedelta(minutes=330 - 1440 * n))
    hours, notes = told(step)
    assert len(hours) == 24
    assert hours[START + timedelta(hours=17)] == (100, 1, 60)
    assert hours[START + timedelta(hours=18)] == (150, 1, 60)
    assert hours[START + timedelta(hours=19)] == (200, 1, 60)
    assert notes == {}
    needed = collect(of("*.csv", **KEYS), ONE, step).editions[DAY].objects
    assert [landed.request["path"] for landed in needed] == ["a.csv", "b.csv"]


def test_a_file_that_knows_the_hour_whole_goes_before_one_that_knows_a_part(step: StepContext, tmp_path: Path) -> None:
    written(tmp_path / "a.csv", lambda at: 100, 60)
    written(tmp_path / "b.csv", lambda at: 200 if at.hour != 7 or at.minute < 45 else None, 15)
    hours, notes = told(step)
    assert hours[START + timedelta(hours=6)] == (200, 1, 15)
    assert hours[START + timedelta(hours=7)] == (100, 1, 60)
    assert notes["superseded_hours_dropped"] == 24


def test_a_series_that_becomes_finer_is_read_as_what_it_is_on_each_day(step: StepContext, tmp_path: Path) -> None:
    day_before, lines = START - timedelta(days=1), ["at,co2,lca,kind"]
    lines += [f"{day_before + timedelta(hours=n)},100,100,measured" for n in range(24)]
    lines += [f"{START + timedelta(minutes=15 * n)},{n % 4 + 1},{n % 4 + 1},measured" for n in range(96)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    days = DayRange(date(2024, 5, 8), DAY)
    hours, notes = told(step, days=days)
    assert {found for hour, found in hours.items() if hour < START} == {(100, 1, 60)}
    assert {found for hour, found in hours.items() if hour >= START} == {(Decimal("2.5"), 1, 15)}
    assert notes == {"repeated_points_averaged": 72}


def test_doctor_counts_an_hour_that_is_covered_too_little_as_one_without_a_value(
    step: StepContext, tmp_path: Path
) -> None:
    def but_for(minutes: Iterable[int]) -> None:
        left_out = set(minutes)
        written(tmp_path / "a.csv", lambda at: None if at.hour == 7 and at.minute in left_out else 100, 5)

    but_for(range(30, 60))
    (good,) = of("a.csv", **KEYS).check(step)
    assert good.ok
    assert "2024-05-09 to 2024-05-09, 24 hours, a value every 5 minutes; times" in good.what
    but_for(range(25, 60))
    _, gap = of("a.csv", **KEYS).check(step)
    assert "1 of 24 hours of IN-WE have no intensity of their own" in gap.what

"""The same log under two names: it counts once and is told, however the copy came about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets_tests.sources.power_files.reading import rows_read
from energy_assets_tests.sources.power_files.test_power_files import DAY, MIDNIGHT, source, write

ONE = DayRange(DAY, DAY)
BY_FILE: dict[str, Any] = {"node": {"from_path": "([^/]+)[.]csv"}}
NOTE = "copies_under_other_names_dropped"


def log(watts: Callable[[int], float], minutes: int = 60, header: str = "time,power_w", start: int = 0) -> str:
    """A reading a minute, watts by the minute."""
    return f"{header}\n" + "".join(
        f"{MIDNIGHT + timedelta(minutes=m):%Y-%m-%dT%H:%M:%SZ},{watts(m)}\n" for m in range(start, minutes + 1)
    )


def moving(minute: int) -> float:
    """Sixty values of which no two are equal, 600 W on average over an hour of straight lines."""
    return 570 + minute


def found(step: StepContext, days: DayRange = ONE, **keys: Any) -> tuple[dict[str, Decimal], dict[str, int]]:
    table, notes = rows_read(source(**BY_FILE, **keys), days, step)
    kwh: dict[str, Decimal] = {}
    for row in table.to_pylist():
        kwh[row["node_id"]] = kwh.get(row["node_id"], Decimal(0)) + (row["energy_kwh"] or 0)
    return kwh, notes


def test_the_same_bytes_under_two_names_count_once_under_the_shorter(step: StepContext) -> None:
    """Constant readings as well: bytes are bytes."""
    for name in ("box1-copy.csv", "box1.csv"):
        write(step.site_folder, f"meters/{name}", log(lambda m: 600))
    assert found(step) == ({"box1": Decimal("0.6")}, {NOTE: 1})


def test_an_older_copy_of_a_log_that_grew_is_its_beginning(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", log(lambda m: 600, minutes=30))
    write(step.site_folder, "meters/box1.csv", log(lambda m: 600))
    assert found(step) == ({"box1": Decimal("0.6")}, {NOTE: 1})


@pytest.mark.parametrize(("minutes", "kept"), [(7, 2), (8, 1)])
def test_a_beginning_of_less_than_ten_lines_proves_nothing(step: StepContext, minutes: int, kept: int) -> None:
    """A header and eight lines may be of two machines that were started together; with nine they are a copy."""
    write(step.site_folder, "meters/a.csv", log(lambda m: 600, minutes=minutes))
    write(step.site_folder, "meters/box1.csv", log(lambda m: 600))
    kwh, notes = found(step)
    assert (len(kwh), notes.get(NOTE, 0)) == (kept, 2 - kept)


def test_equal_readings_in_files_of_other_bytes_are_copies(step: StepContext) -> None:
    """Packed, with another header, and only the second half of the hour."""
    write(step.site_folder, "meters/b.csv.gz", log(moving, start=30))
    write(step.site_folder, "meters/box1.csv", log(moving))
    assert found(step) == ({"box1": Decimal("0.6")}, {NOTE: 1})


@pytest.mark.parametrize(("values", "copied"), [(9, False), (10, True)])
def test_readings_that_hardly_move_are_no_copies(step: StepContext, values: int, copied: bool) -> None:
    """Two racks that go to and fro between a few rounded numbers, and a log with ten different values."""
    write(step.site_folder, "meters/a.csv.gz", log(lambda m: 600 + m % values))
    write(step.site_folder, "meters/b.csv", log(lambda m: 600 + m % values))
    kwh, notes = found(step)
    assert (len(kwh), notes.get(NOTE, 0)) == ((1, 1) if copied else (2, 0))


@pytest.mark.parametrize(("strays", "copied"), [(1, True), (2, False)])
def test_one_reading_in_a_hundred_may_be_cut(step: StepContext, strays: int, copied: bool) -> None:
    """Of 100 readings one differs at the end of the copy, or two."""
    write(step.site_folder, "meters/a.csv.gz", log(lambda m: moving(m) if m < 100 - strays else 5, minutes=99))
    write(step.site_folder, "meters/b.csv", log(moving, minutes=99))
    kwh, notes = found(step)
    assert (len(kwh), notes.get(NOTE, 0)) == ((1, 1) if copied else (2, 0))


def test_the_same_name_is_kept_on_every_day(step: StepContext) -> None:
    """On the first day both are equal, and on the second the copy ends: the longer log counts on both."""
    write(step.site_folder, "meters/a.csv.gz", log(moving, minutes=1500))
    write(step.site_folder, "meters/box1.csv", log(moving, minutes=2000))
    both = DayRange(DAY, DAY + timedelta(days=1))
    for days in (ONE, DayRange(both.last, both.last), both):
        assert list(found(step, days)[0]) == ["box1"]

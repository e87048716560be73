"""Hours in which a device was known and not read: rows without energy, on a day alone as in a range."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.power_files.presence import BETWEEN, ENDED, LONGEST, filled
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.power_files.test_power_files import DAY, HEADER, MIDNIGHT, source, steps, write

HOUR = timedelta(hours=1)


def hours(step: StepContext, first: int = 0, last: int = 0, **keys: Any) -> tuple[dict[datetime, Any], dict[str, int]]:
    """Energy and coverage by hour, of days after the first one."""
    days = DayRange(DAY + timedelta(days=first), DAY + timedelta(days=last))
    table, notes = rows_of(source(**keys), days, step)
    rows = table.to_pylist()
    assert len({row["hour"] for row in rows}) == len(rows)
    return {row["hour"].replace(tzinfo=UTC): row for row in rows}, notes


def unread(found: dict[datetime, Any]) -> list[int]:
    """The hours without energy, counted from the first midnight."""
    return [(hour - MIDNIGHT) // HOUR for hour, row in sorted(found.items()) if row["energy_kwh"] is None]


def logs(step: StepContext, *stretches: tuple[int, int], name: str = "a") -> None:
    """A log of 600 W a minute over stretches of minutes since the first midnight."""
    text = "".join(steps(MIDNIGHT + timedelta(minutes=first), last - first) for first, last in stretches)
    write(step.site_folder, f"meters/{name}.csv", HEADER + text)


def test_a_hole_of_twelve_hours_has_rows_without_energy_and_coverage(step: StepContext) -> None:
    """Read from 0:00 to 6:30 and from 18:30 to midnight: 12 kW-hours times 0.6, eleven whole hours unknown."""
    logs(step, (0, 390), (1110, 1440))
    found, notes = hours(step)
    assert sorted((hour - MIDNIGHT) // HOUR for hour in found) == list(range(24))
    assert unread(found) == list(range(7, 18))
    assert sum(row["energy_kwh"] or 0 for row in found.values()) == Decimal("7.2")
    assert sum(row["coverage"] for row in found.values()) == 12
    assert (found[MIDNIGHT + 6 * HOUR]["coverage"], found[MIDNIGHT + 18 * HOUR]["coverage"]) == (Decimal("0.5"),) * 2
    assert notes == {BETWEEN: 1, "gaps_not_bridged": 1}
    row = found[MIDNIGHT + 7 * HOUR]
    assert (row["usage_hours"], row["coverage"], row["share_id"], row["idle"]) == (0, 0, "all", False)
    assert (row["device_kind"], row["method"], row["quality_tier"]) == ("node", "metered_node", 2)
    assert row["raw_sha256"] == found[MIDNIGHT]["raw_sha256"]


def test_a_log_that_ends_within_a_day_leaves_the_rest_of_it_unknown_and_one_that_begins_does_not(
    step: StepContext,
) -> None:
    """As a gauge of Prometheus: known from its first reading until the end of the day of its last one."""
    logs(step, (180, 300))
    assert unread(hours(step)[0]) == list(range(5, 24))
    assert hours(step)[1] == {ENDED: 1}
    assert min(hours(step)[0]) == MIDNIGHT + 3 * HOUR
    assert hours(step, 1, 1)[0] == {}


def test_whole_days_between_readings_are_unknown_alone_and_in_a_range(step: StepContext) -> None:
    """From the first evening to the third morning nothing is read, and the day between has no reading at all."""
    logs(step, (0, 1200), (2 * 1440 + 480, 3 * 1440))
    assert unread(hours(step, 0, 0)[0]) == [20, 21, 22, 23]
    middle, notes = hours(step, 1, 1)
    assert (unread(middle), notes) == (list(range(24, 48)), {BETWEEN: 1})
    assert unread(hours(step, 2, 2)[0]) == list(range(48, 56))
    alone = {hour: row for day in range(3) for hour, row in hours(step, day, day)[0].items()}
    assert hours(step, 0, 2)[0] == alone


def test_a_device_of_a_log_that_goes_on_is_unknown_while_others_are_read(step: StepContext) -> None:
    text = steps(MIDNIGHT, 1440, node="n2") + steps(MIDNIGHT, 60) + steps(MIDNIGHT + timedelta(hours=3), 1260)
    write(step.site_folder, "meters/a.csv", HEADER + text)
    table, notes = rows_of(source(), DayRange(DAY, DAY), step)
    rows = [row for row in table.to_pylist() if row["energy_kwh"] is None]
    assert [(row["node_id"], row["hour"].hour) for row in rows] == [("n1", 1), ("n1", 2)]
    assert notes == {BETWEEN: 1, "gaps_not_bridged": 1}


def test_two_files_of_a_day_know_what_is_between_them(step: StepContext) -> None:
    logs(step, (0, 60))
    logs(step, (1380, 1440), name="b")
    assert unread(hours(step)[0]) == list(range(1, 23))


def test_an_hour_of_windows_without_readings_is_nobodys_idle_hour(step: StepContext) -> None:
    """Whether the machine was used is known, and what it drew is not: no claim that it stood idle."""
    logs(step, (0, 60), (120, 1440))
    write(step.site_folder, "runs.csv", "run,start,end\nr1,2024-05-09T03:00:00Z,2024-05-09T04:00:00Z\n")
    table, _ = rows_of(source(windows={"path": "runs.csv"}), DayRange(DAY, DAY), step)
    (row,) = [row for row in table.to_pylist() if row["energy_kwh"] is None]
    assert (row["hour"].hour, row["share_id"], row["idle"], row["workload_id"]) == (1, "all", False, None)


def test_a_bridged_gap_is_no_hour_without_energy(step: StepContext) -> None:
    logs(step, (0, 30), (150, 1440))
    assert unread(hours(step)[0]) == [1]
    assert unread(hours(step, gap_policy="hold", max_bridge_s=7200)[0]) == []


def test_hours_that_are_not_over_are_not_unknown(step: StepContext) -> None:
    """The day is asked for at noon: a log that ends at ten leaves ten and eleven."""
    midnight = step.now.replace(hour=0)
    write(step.site_folder, "meters/a.csv", HEADER + steps(midnight, 600))
    table, notes = rows_of(source(), DayRange(step.now.date(), step.now.date()), step)
    rows = [row["hour"].hour for row in table.to_pylist() if row["energy_kwh"] is None]
    assert (step.now.hour, rows, notes) == (12, [10, 11], {ENDED: 1})


@pytest.mark.parametrize(
    ("numbers", "between"), [((0, 1), 0), ((0, 3), 2), ((0, LONGEST), LONGEST - 1), ((0, LONGEST + 1), 0)]
)
def test_a_month_of_silence_is_filled_and_more_is_not(numbers: Sequence[int], between: int) -> None:
    days = {date(2024, 5, 9) + timedelta(days=number) for number in numbers}
    assert len(filled(days) - days) == between


@pytest.mark.parametrize(("day", "rows"), [(LONGEST, 24), (LONGEST + 1, 0)])
def test_a_device_that_was_away_for_longer_than_a_month_is_not_known_between(
    step: StepContext, day: int, rows: int
) -> None:
    logs(step, (0, 60), (day * 1440, day * 1440 + 60))
    assert len(hours(step, 5, 5)[0]) == rows


@pytest.mark.parametrize(("node", "hours_after"), [(["node", "run"], 0), ("node", 23)])
def test_a_machine_named_after_its_run_ends_with_it(step: StepContext, node: Any, hours_after: int) -> None:
    text = HEADER.replace("node", "node,run") + steps(MIDNIGHT, 60).replace(",n1,", ",n1,r1,")
    write(step.site_folder, "meters/a.csv", text)
    assert len(unread(hours(step, node=node, run="run")[0])) == hours_after


@pytest.mark.parametrize(
    ("last_min", "first_min", "told"), [(1440 - 59, 59, 1), (1440 - 50, 2, 1), (1440 - 2, 50, 1), (1440 - 2, 2, 0)]
)
def test_a_gap_over_midnight_between_files_of_a_day_is_told_on_the_day_it_begins(
    step: StepContext, last_min: int, first_min: int, told: int
) -> None:
    """Both hours beside midnight have readings, so that none is unread; each day has a file of its own."""
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, last_min))
    second = MIDNIGHT + timedelta(days=1, minutes=first_min)
    write(step.site_folder, "meters/b.csv", HEADER + steps(second, 1440 - first_min))
    assert hours(step)[1].get("gaps_not_bridged", 0) == told
    assert hours(step, 0, 1)[1].get("gaps_not_bridged", 0) == told
    assert "gaps_not_bridged" not in hours(step, 1, 1)[1]

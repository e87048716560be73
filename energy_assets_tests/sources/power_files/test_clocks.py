"""Clocks of files: local time, its repeated and missing hours, offsets that win, and spreadsheets' dates."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet
import pytest
from pydantic import ValidationError

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.local_time import changes
from energy_assets_tests.sources.power_files.reading import rows_read
from energy_assets_tests.sources.power_files.test_power_files import HEADER, source, write

BERLIN = ZoneInfo("Europe/Berlin")
AUTUMN = DayRange(date(2025, 10, 25), date(2025, 10, 26))
SPRING = DayRange(date(2025, 3, 29), date(2025, 3, 30))
ONE_O_CLOCK = datetime(2025, 10, 26, 0, tzinfo=UTC)
"""02:00 in Berlin for the first time; one hour later it is 02:00 again."""


def local(start: datetime, minutes: int, step: int = 5, node: str = "n1", zone: ZoneInfo = BERLIN) -> list[str]:
    """Lines of a log in local time without an offset; 600 W and one more in each hour of UTC."""
    instants = [start + timedelta(minutes=m) for m in range(0, minutes + 1, step)]
    return [
        f"{t.astimezone(zone):%Y-%m-%d %H:%M:%S},{node},{600 + (t - start) // timedelta(hours=1)}" for t in instants
    ]


def energies(step: StepContext, days: DayRange = AUTUMN, **keys: Any) -> tuple[dict[str, Decimal], dict[str, int]]:
    """The energy of each hour, and the notes."""
    table, notes = rows_read(source(**keys), days, step)
    return {f"{row['hour']:%d %H}": row["energy_kwh"] for row in table.to_pylist()}, notes


def log(step: StepContext, lines: list[str], name: str = "a.csv") -> None:
    write(step.site_folder, f"meters/{name}", HEADER + "".join(f"{line}\n" for line in lines))


START = ONE_O_CLOCK - timedelta(hours=2)
WHOLE = {"25 22": Decimal("0.600041667"), "25 23": Decimal("0.601041667"), "26 00": Decimal("0.602041667"),
         "26 01": Decimal("0.603041667"), "26 02": Decimal("0.604041667")}  # fmt: skip
"""Five hours of the log above, which rises by a watt in the last five minutes of each."""


@pytest.mark.parametrize("order", ["as written", "newest first", "by device"])
def test_the_repeated_hour_is_told_by_the_order_of_the_file(step: StepContext, order: str) -> None:
    lines = local(START, 301)
    if order == "newest first":
        lines.reverse()
    if order == "by device":
        lines = [*lines, *local(START, 301, node="n2")]
    log(step, [*lines, f"2025-10-26 04:05:00,n1,605{'.0' * 0}"] if order == "as written" else lines)
    found, notes = energies(step, timezone="Europe/Berlin")
    assert notes == {}
    assert list(found) == list(WHOLE)[: len(found)] or set(WHOLE) <= set(found)
    assert [found[hour] for hour in list(WHOLE)[:4]] == list(WHOLE.values())[:4]


def test_without_the_zone_an_hour_would_be_lost_and_that_is_told(step: StepContext) -> None:
    constant = [line.rsplit(",", 1)[0] + ",600" for line in local(START, 300)]
    log(step, constant)
    found, notes = energies(step)
    assert notes == {"duplicate_readings_dropped": 12, "clocks_set_back": 1}
    assert sum(found.values()) == Decimal("2.4"), "of 3.0, and at other hours"
    (finding,) = source().check(step)
    assert not finding.ok
    assert "timezone: Europe/Berlin" in finding.remedy


def test_a_log_that_begins_in_the_second_pass_is_told_by_what_it_is_joined_to(step: StepContext) -> None:
    log(step, local(ONE_O_CLOCK + timedelta(minutes=70), 110))
    found, notes = energies(step, timezone="Europe/Berlin")
    assert (list(found), notes) == (["26 01", "26 02"], {})


def test_a_log_that_ends_in_the_first_pass_is_told_by_what_it_is_joined_to(step: StepContext) -> None:
    log(step, local(START, 170))
    found, notes = energies(step, timezone="Europe/Berlin")
    assert (list(found), notes) == (["25 22", "25 23", "26 00"], {})


@pytest.mark.parametrize("minutes", [20, None])
def test_a_repeated_hour_that_the_file_does_not_tell_is_counted_and_shown(
    step: StepContext, minutes: int | None
) -> None:
    """Twenty minutes joined to nothing; or a clock that shows each time once, which is no clock of Berlin."""
    if minutes:
        log(step, local(ONE_O_CLOCK + timedelta(minutes=10), minutes))
        number = 5
    else:
        log(step, local(START, 300, zone=ZoneInfo("Etc/GMT-1")))
        number = 12
    found, notes = energies(step, timezone="Europe/Berlin")
    assert notes["local_times_open"] == number
    assert "26 00" in found, "taken as the first pass"
    (finding,) = source(timezone="Europe/Berlin").check(step)
    assert not finding.ok
    assert f"{number} times lie in the hour that clocks show twice" in finding.what


def test_times_that_clocks_leave_out_in_spring_are_left_out_and_told(step: StepContext) -> None:
    start = datetime(2025, 3, 30, 0, 0, tzinfo=UTC)
    log(step, local(start, 180, zone=ZoneInfo("Etc/GMT-1")))  # a clock that stays at UTC+1
    found, notes = energies(step, SPRING, timezone="Europe/Berlin")
    assert notes["local_times_never_shown"] == 12
    assert "29 23" not in found
    assert set(found) == {"30 00", "30 01"}


def test_spring_loses_nothing_where_the_clock_follows_the_zone(step: StepContext) -> None:
    log(step, local(datetime(2025, 3, 29, 23, tzinfo=UTC), 180))
    found, notes = energies(step, SPRING, timezone="Europe/Berlin")
    assert (list(found), notes) == (["29 23", "30 00", "30 01"], {})


def test_an_offset_in_the_file_goes_before_the_zone_of_the_site(step: StepContext) -> None:
    instants = [START + timedelta(minutes=m) for m in range(0, 301, 5)]
    write(step.site_folder, "meters/a.csv", HEADER + "".join(
        f"{t.astimezone(BERLIN).isoformat()},n1,{600 + (t - START) // timedelta(hours=1)}\n" for t in instants
    ))  # fmt: skip
    with_zone, notes = energies(step, timezone="America/New_York")
    assert (with_zone, notes) == energies(step)
    assert [with_zone[hour] for hour in list(WHOLE)[:4]] == list(WHOLE.values())[:4]


@pytest.mark.parametrize("stamp", ["2025-10-26 02:30:00Z", "2025-10-26 04:30:00 +02:00", "2025-10-25 21:30:00-05",
                                   "2025-10-26 02:30:00 UTC", "2025-10-25T21:30:00.000-0500"])  # fmt: skip
def test_every_spelling_of_an_offset_is_one(step: StepContext, stamp: str) -> None:
    later = stamp.replace(":30", ":34", 1)
    if "-0500" in stamp:
        stamp, later = (text.replace("-0500", "-05:00") for text in (stamp, later))
    write(step.site_folder, "meters/a.csv", f"{HEADER}{stamp},n1,600\n{later},n1,600\n")
    found, _ = energies(step, timezone="Asia/Tokyo")
    assert found == {"26 02": Decimal("0.04")}


def test_timestamps_of_parquet_without_a_zone_are_local_too(step: StepContext) -> None:
    (step.site_folder / "meters").mkdir()
    naive = [datetime(2025, 7, 1, 12, minute) for minute in (0, 5)]
    columns = pa.table({"time": pa.array(naive, pa.timestamp("us")), "node": ["n1"] * 2, "power_w": [600, 600]})
    pa.parquet.write_table(columns, step.site_folder / "meters/a.parquet")
    day = DayRange(date(2025, 7, 1), date(2025, 7, 1))
    assert energies(step, day, timezone="Europe/Berlin")[0] == {"01 10": Decimal("0.05")}
    assert energies(step, day)[0] == {"01 12": Decimal("0.05")}


def test_a_day_alone_equals_itself_in_a_range_over_the_repeated_hour(step: StepContext) -> None:
    log(step, local(START - timedelta(hours=20), 60 * 40))
    ranged = energies(step, timezone="Europe/Berlin")[0]
    alone = [energies(step, DayRange(day, day), timezone="Europe/Berlin")[0] for day in AUTUMN]
    assert {**alone[0], **alone[1]} == ranged


def test_an_unknown_zone_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match="did you mean Europe/Berlin"):
        source(timezone="Europe/Berln")
    with pytest.raises(ValidationError, match="did you mean Europe/Berlin"):
        source(timezone="Berlin")


def test_changes_of_a_zone_are_found_to_the_second() -> None:
    (of_2025,) = [
        one for one in changes("Europe/Berlin")
        if one.repeats and datetime.fromtimestamp(one.start_us / 1e6, UTC).year == 2025
    ]  # fmt: skip
    assert datetime.fromtimestamp(of_2025.start_us / 1e6, UTC) == datetime(2025, 10, 26, 2, tzinfo=UTC)
    assert datetime.fromtimestamp(of_2025.end_us / 1e6, UTC) == datetime(2025, 10, 26, 3, tzinfo=UTC)
    assert (of_2025.before_us, of_2025.after_us) == (7_200_000_000, 3_600_000_000)
    assert changes("UTC") == ()
    assert len({one.end_us - one.start_us for one in changes("Australia/Lord_Howe")}) == 1, "half an hour"


@pytest.mark.parametrize(
    ("lines", "keys", "hours"),
    [
        (["09.05.2024 13:00,n1,600", "09.05.2024 13:05:00,n1,600"], {}, {"09 13"}),
        (["5/20/2024 1:00 PM,n1,600", "5/20/2024 1:05 PM,n1,600"], {}, {"20 13"}),
        (["20/5/2024 13:00,n1,600", "20/5/2024 13:05,n1,600"], {}, {"20 13"}),
        (["5/9/2024 13:00,n1,600", "5/9/2024 13:05,n1,600"], {"date_order": "month first"}, {"09 13"}),
        (["9/5/2024 13:00,n1,600", "9/5/2024 13:05,n1,600"], {"date_order": "day first"}, {"09 13"}),
        (["20.05.2024 13:00,n1,600", "20.05.2024 13:05,n1,600"], {"timezone": "Europe/Berlin"}, {"20 11"}),
    ],
)
def test_dates_of_spreadsheets_are_read_where_there_is_no_doubt(
    step: StepContext, lines: list[str], keys: dict[str, str], hours: set[str]
) -> None:
    log(step, lines)
    found, _ = energies(step, DayRange(date(2024, 5, 1), date(2024, 5, 31)), **keys)
    assert found == dict.fromkeys(hours, Decimal("0.05"))


def test_dates_in_doubt_are_refused_with_the_key_that_settles_them(step: StepContext) -> None:
    log(step, ["5/9/2024 13:00,n1,600", "5/9/2024 13:05,n1,600"])
    with pytest.raises(MalformedError, match="date_order: month first"):
        energies(step, DayRange(date(2024, 5, 9), date(2024, 5, 9)))


def test_windows_at_a_time_that_clocks_show_twice_are_refused(step: StepContext) -> None:
    log(step, local(START, 300))
    write(step.site_folder, "runs.csv", "run,start,end\na,2025-10-26 01:00:00,2025-10-26 02:30:00\n")
    with pytest.raises(MalformedError, match=r"runs\.csv: .* twice or never"):
        energies(step, windows="runs.csv", timezone="Europe/Berlin")
    write(step.site_folder, "runs.csv", "run,start,end\na,2025-10-26 01:00:00,2025-10-26T02:30:00+01:00\n")
    table, _ = rows_read(source(windows="runs.csv", timezone="Europe/Berlin"), AUTUMN, step)
    hours = [row["usage_hours"] for row in table.to_pylist() if row["workload_id"] == "a"]
    assert sum(hours) == Decimal("2.5"), "01:00 is 23:00 UTC, and the second 02:30 is 01:30 UTC"


@pytest.mark.parametrize("zone", ["BST", "CEST", "IST", "Europe/Berlin"])
@pytest.mark.parametrize("timezone", [{}, {"timezone": "Europe/London"}])
def test_names_of_zones_behind_times_are_refused(step: StepContext, zone: str, timezone: dict[str, str]) -> None:
    """The engine would read BST as the time of Bangladesh."""
    log(step, [f"2025-10-25 0{hour}:00:00 {zone},n1,600" for hour in range(3)])
    with pytest.raises(MalformedError, match="name of a zone, such as '2025-10-25 00:00:00") as error:
        energies(step, **timezone)
    assert "Write offsets instead" in error.value.remedy


@pytest.mark.parametrize("zone", ["", "Z", " UTC", " gmt", "+00:00", " +0000"])
def test_offsets_and_utc_are_read(step: StepContext, zone: str) -> None:
    log(step, [f"2025-10-25 0{hour}:{minute}:00{zone},n1,600" for hour in (3, 4) for minute in ("00", "30", "59")])
    assert energies(step, max_gap_s=1800)[0]["25 03"] == Decimal("0.6")


@pytest.mark.parametrize("zone", [None, "UTC", "Africa/Lagos"])
def test_a_local_clock_that_goes_back_at_other_seconds_is_told_too(step: StepContext, zone: str | None) -> None:
    """The second pass of the hour is read seconds after the first: no instant comes twice, and the mean would count."""
    lines = [line.replace(":00,", ":07,") if number >= 36 else line for number, line in enumerate(local(START, 300))]
    log(step, lines)
    _, notes = energies(step, **({"timezone": zone} if zone else {}))
    assert notes == {"clocks_set_back": 1}
    (finding,) = source(**({"timezone": zone} if zone else {})).check(step)
    assert not finding.ok


@pytest.mark.parametrize(("back_s", "told"), [(1799, False), (1800, True), (3600, True), (3601, False)])
def test_a_clock_is_set_back_by_half_an_hour_to_an_hour(step: StepContext, back_s: int, told: bool) -> None:
    first = [START + timedelta(minutes=m) for m in range(180)]
    second = [first[-1] + timedelta(minutes=m, seconds=-back_s) for m in range(120)]
    lines = [f"{at:%Y-%m-%d %H:%M:%S},n1,600" for at in (*first, *second)]
    log(step, lines)
    notes = energies(step)[1]
    assert ("clocks_set_back" in notes) == told


def test_the_name_of_a_zone_is_refused_wherever_it_stands(step: StepContext) -> None:
    """DuckDB reads BST as Bangladesh, and looking at the first lines does not show it."""
    instants = [START + timedelta(minutes=m) for m in range(300)]
    lines = [f"{at:%Y-%m-%d %H:%M:%S}{' BST' if number == 280 else 'Z'},n1,600" for number, at in enumerate(instants)]
    log(step, lines)
    with pytest.raises(MalformedError, match="1 time that cannot be read, for example '2025-10-26 02:40:00 BST'"):
        energies(step)
    log(step, [line.replace("Z,", " UTC,").replace(" BST", " GMT") for line in lines])
    assert sum(energies(step)[0].values()) == Decimal("2.99")


def names_doubted(step: StepContext, column: str, zone: str | None, note: str) -> bool:
    """Whether run and doctor tell of the name of a column of times; of times with their offset they never do."""
    log(step, local(START, 300, zone=ZoneInfo("UTC")))
    path = step.site_folder / "meters/a.csv"
    path.write_text(path.read_text().replace("time,", f"{column},", 1))
    keys = {"time": column, **({"timezone": zone} if zone else {})}
    (finding,) = source(**keys).check(step)
    told = energies(step, **keys)[1].get(note, 0)
    assert (note in finding.notes) == bool(told)
    path.write_text(path.read_text().replace(",n1", "Z,n1"))
    assert note not in energies(step, **keys)[1]
    return bool(told)


@pytest.mark.parametrize(
    ("column", "zone", "told"),
    [
        ("timestamp_utc", "Europe/Berlin", True),
        ("Date/time UTC", "Africa/Lagos", True),
        ("time (GMT)", "Europe/Berlin", True),
        ("timestamp_utc", "UTC", False),
        ("timestamp_utc", None, False),
        ("outcome", "Europe/Berlin", False),
    ],
)
def test_a_column_that_says_utc_and_another_zone_are_told(
    step: StepContext, column: str, zone: str | None, told: bool
) -> None:
    assert names_doubted(step, column, zone, "clocks_named_utc") == told


@pytest.mark.parametrize(
    ("column", "zone", "told"),
    [
        ("Zeit (MEZ)", None, True),
        ("time CEST", None, True),
        ("time_est", None, True),
        ("local_time", None, True),
        ("Time (UTC+1)", None, True),
        ("Europe/Berlin", None, True),
        ("Zeit (MEZ)", "Europe/Berlin", False),
        ("Zeit (MEZ)", "UTC", False),
        ("Time (UTC+0)", None, False),
        ("estimated", None, False),
        ("location time", None, False),
    ],
)
def test_a_column_that_names_a_local_clock_and_is_taken_as_utc_is_told(
    step: StepContext, column: str, zone: str | None, told: bool
) -> None:
    assert names_doubted(step, column, zone, "clocks_named_local") == told


@pytest.mark.parametrize(
    "form", ["%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M+00:00", "%Y%m%dT%H%M%SZ", "%Y%m%dT%H%MZ", "%Y%m%d %H%M+0000"]
)
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_without_seconds_or_marks_are_read(step: StepContext, form: str, zone: str | None) -> None:
    """An offset goes before the zone of the source."""
    log(step, [f"{START + timedelta(minutes=m):{form}},n1,600" for m in range(0, 301, 5)])
    found, notes = energies(step, **({"timezone": zone} if zone else {}))
    assert (list(found), notes) == (list(WHOLE), {})
    assert set(found.values()) == {Decimal("0.6")}
    (finding,) = source(**({"timezone": zone} if zone else {})).check(step)
    assert "times state their offset, the first reading is 2025-10-25 22:00:00 UTC" in finding.what


def test_basic_times_by_the_clock_of_a_zone_are_read(step: StepContext) -> None:
    log(step, [f"{START + timedelta(hours=2, minutes=m):%Y%m%dT%H%M%S},n1,600" for m in range(0, 121, 5)])
    assert list(energies(step, timezone="Africa/Lagos")[0]) == ["25 23", "26 00"]


def test_a_line_with_too_many_fields_is_named(step: StepContext) -> None:
    log(step, ["2025-10-25T22:00:00,000Z,n1,600"])
    with pytest.raises(MalformedError, match="line 2 has 4 fields, and the header names 3") as caught:
        energies(step)
    assert "in quotes" in caught.value.remedy

"""`intensity_files` on files made by hand: winners, gaps, and every way a file can be wrong."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pytest

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import IntensityRows
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError, PermanentError
from energy_assets.sources.intensity_files import parse as reading
from energy_assets.sources.intensity_files.columns import Mapping
from energy_assets.sources.intensity_files.parse import read_points
from energy_assets.sources.intensity_files.source import IntensityFiles
from energy_assets_tests.conftest import rows_of

V1 = (
    "Datetime (UTC),Country,Zone Name,Zone Id,Carbon Intensity gCO₂eq/kWh (direct),"
    "Carbon Intensity gCO₂eq/kWh (LCA),Low Carbon Percentage,Renewable Percentage,Data Source,"
    "Data Estimated,Data Estimation Method"
)
V2 = (
    "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),"
    "Carbon intensity gCO₂eq/kWh (Life cycle),Carbon-free energy percentage (CFE%),"
    "Renewable energy percentage (RE%),Data source,Data estimated,Data estimation method"
)
DAY = date(2024, 5, 9)
ONE = DayRange(DAY, DAY)
Point = tuple[str, str]


def constant(hour: datetime) -> Point:
    return "100.5", "200.25"


def export(
    path: Path,
    *,
    first: date = DAY,
    days: int = 1,
    zone: str = "DE",
    header: str = V2,
    point: Callable[[datetime], Point | None] = constant,
    step: timedelta = timedelta(hours=1),
    flag: str = "False",
) -> Path:
    """Write an export; `point` gives (direct, life cycle) of an hour, or None for no line."""
    start = datetime.combine(first, datetime.min.time())
    lines = [header]
    for n in range(int(timedelta(days=days) / step)):
        hour = start + n * step
        values = point(hour)
        if values:
            lines.append(f"{hour},Germany,Germany,{zone},{values[0]},{values[1]},50.5,40,x,{flag},")
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def of(path: str, **keys: Any) -> IntensityFiles:
    return IntensityFiles(name="grid", kind="intensity_files", path=path, **keys)


def failure(source: IntensityFiles, step: StepContext, days: DayRange = ONE) -> str:
    """The message of the malformed file; its bytes must have been landed."""
    collected = collect(source, days, step)
    assert all(edition.objects for edition in collected.editions.values())
    parsed, failures = parse(source, collected.editions, step)
    assert parsed is None
    assert all(isinstance(error, MalformedError) for error in failures.values())
    return str(failures[days.first])


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_both_headers_give_the_same_hours(step: StepContext, tmp_path: Path, header: str, name: str) -> None:
    export(tmp_path / name, header=header)
    collected = collect(of("x.csv*"), ONE, step)
    parsed, _ = parse(of("x.csv*"), collected.editions, step)
    assert parsed
    audit(conform(parsed.rows, IntensityRows), IntensityRows)
    rows = parsed.rows.order_by("hour").to_pyarrow().to_pylist()

    assert len(rows) == 24
    [landed] = collected.editions[DAY].objects
    assert landed.request == {"path": name}
    assert rows[0] == {
        "day": DAY,
        "hour": datetime(2024, 5, 9),
        "zone": "DE",
        "lifecycle_gco2e_per_kwh": Decimal("200.250"),
        "direct_gco2e_per_kwh": Decimal("100.500"),
        "carbon_free_share": Decimal("0.505"),
        "is_estimated": False,
        "hour_covered": Decimal(1),
        "answered_minutes": 60,
        "resolution": "hour",
        "factor_id": "electricity_maps/csv/DE/x",
        "raw_sha256": landed.sha256,
    }


def test_the_last_file_wins_but_never_with_a_gap(step: StepContext, tmp_path: Path) -> None:
    export(tmp_path / "2024-06.csv", point=lambda hour: ("11", "12"))
    export(tmp_path / "2024-07.csv", point=lambda hour: ("", "nan") if hour.hour == 3 else ("13", "14"))
    rows, notes = rows_of(of("*.csv"), ONE, step)
    direct = {row["hour"].hour: row["direct_gco2e_per_kwh"] for row in rows.to_pylist()}

    assert direct == {hour: Decimal(11 if hour == 3 else 13) for hour in range(24)}
    assert notes == {"superseded_hours_dropped": 23}


def test_a_missing_hour_gets_stand_ins_and_is_not_interpolated(step: StepContext, tmp_path: Path) -> None:
    def point(hour: datetime) -> Point | None:
        if (hour.date(), hour.hour) == (DAY, 7):
            return None
        return ("10", "20") if hour.month == 5 and hour.hour == 7 else ("30", "31")

    export(tmp_path / "may.csv", first=date(2024, 5, 1), days=31, point=point)
    export(tmp_path / "june.csv", first=date(2024, 6, 1), days=1)
    rows, _ = rows_of(of("*.csv"), ONE, step)
    at_seven = {row["resolution"]: row for row in rows.to_pylist() if row["hour"].hour == 7}

    assert rows.num_rows == 25
    assert set(at_seven) == {"month", "year"}
    assert at_seven["month"]["direct_gco2e_per_kwh"] == 10
    year = (Decimal(30 * 10 + (31 * 24 - 31) * 30) + 24 * Decimal("100.5")) / (31 * 24 - 1 + 24)
    assert at_seven["year"]["direct_gco2e_per_kwh"] == year.quantize(Decimal("0.001"))
    assert all(row["is_estimated"] for row in at_seven.values())


def test_a_clock_hour_the_month_never_has_gets_the_year_only(step: StepContext, tmp_path: Path) -> None:
    export(tmp_path / "x.csv", point=lambda hour: None if hour.hour == 7 else ("30", "31"))
    rows, _ = rows_of(of("x.csv"), ONE, step)

    assert [r["resolution"] for r in rows.to_pylist() if r["hour"].hour == 7] == ["year"]


def test_a_day_no_file_speaks_of_has_the_zones_year_or_nothing(step: StepContext, tmp_path: Path) -> None:
    export(tmp_path / "x.csv")
    later = DayRange(date(2024, 12, 31), date(2025, 1, 1))
    rows, _ = rows_of(of("x.csv"), later, step)

    assert set(zip(rows["day"].to_pylist(), rows["resolution"].to_pylist(), strict=True)) == {
        (date(2024, 12, 31), "year")
    }


def test_one_unknown_basis_is_null_and_stood_in_for(step: StepContext, tmp_path: Path) -> None:
    export(tmp_path / "x.csv", days=2, point=lambda hour: ("" if hour.day == 9 else "7", "8"))
    rows, _ = rows_of(of("x.csv"), ONE, step)
    noon = {r["resolution"]: r for r in rows.to_pylist() if r["hour"].hour == 12}

    assert noon["hour"]["direct_gco2e_per_kwh"] is None
    assert noon["hour"]["lifecycle_gco2e_per_kwh"] == 8
    assert noon["month"]["direct_gco2e_per_kwh"] == noon["year"]["direct_gco2e_per_kwh"] == 7


def test_senseless_values_are_dropped_and_counted(step: StepContext, tmp_path: Path) -> None:
    bad = {1: ("-5", "1"), 2: ("n/a", "1"), 3: ("1", "99999")}
    path = export(tmp_path / "x.csv", point=lambda hour: bad.get(hour.hour, ("11", "12")), flag="")
    path.write_text(path.read_text() + "yesterday,,,DE,1,2,3,4,x,False,\n2024-05-09 00:00:00,,,,1,2,3,4,x,False,\n")
    rows, notes = rows_of(of("x.csv"), ONE, step)
    hours = {r["hour"].hour: r for r in rows.to_pylist() if r["resolution"] == "hour"}

    assert notes == {
        "impossible_values_dropped": 3,
        "lines_without_time_or_zone_dropped": 2,
        "unflagged_hours_taken_as_estimated": 24,
    }
    assert hours[1]["direct_gco2e_per_kwh"] is None
    assert hours[3]["lifecycle_gco2e_per_kwh"] is None
    assert all(row["is_estimated"] for row in hours.values())


def test_the_highest_possible_intensity_is_kept_and_the_next_one_is_not(step: StepContext, tmp_path: Path) -> None:
    edges = {1: ("900", "3000"), 2: ("900", "3000.001")}
    export(tmp_path / "x.csv", point=lambda hour: edges.get(hour.hour, ("900", "902")))
    rows, notes = rows_of(of("x.csv"), ONE, step)
    hours = {r["hour"].hour: r["lifecycle_gco2e_per_kwh"] for r in rows.to_pylist() if r["resolution"] == "hour"}
    assert (hours[1], hours[2]) == (3000, None)
    assert notes == {"impossible_values_dropped": 1}


def test_quarter_hours_are_averaged(step: StepContext, tmp_path: Path) -> None:
    export(
        tmp_path / "x.csv",
        point=lambda hour: (str(hour.minute), "11"),
        step=timedelta(minutes=15),
    )
    rows, notes = rows_of(of("x.csv"), ONE, step)

    assert set(rows["direct_gco2e_per_kwh"].to_pylist()) == {Decimal("22.5")}
    assert notes == {"repeated_points_averaged": 72}


def test_zones_filter_and_the_zone_of_files_without_one(step: StepContext, tmp_path: Path) -> None:
    export(tmp_path / "de.csv")
    export(tmp_path / "fr.csv", zone="FR")
    path = export(tmp_path / "se.txt")
    cells = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("\n".join(",".join(row[:3] + row[4:]) for row in cells))
    filtered, _ = rows_of(of("*.csv", zones=["FR"]), ONE, step)
    placed, _ = rows_of(of("se.txt", zone="SE"), ONE, step)

    assert set(filtered["zone"].to_pylist()) == {"FR"}
    assert set(placed["zone"].to_pylist()) == {"SE"}
    assert "zone" in failure(of("se.txt"), step)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: gzip.compress(b)[:-20], "bad.csv: the gzip file is truncated"),
        (
            lambda b: b.replace(b"(direct)", b"(smelled)"),
            "the column 'Carbon intensity gCO₂eq/kWh (direct)' is missing",
        ),
        (lambda b: b.replace(b"Zone id", b"Where"), "name it as `zone` of this source"),
        (lambda b: b.replace(b"DE,", b"DE,9,9,9,9,"), "bad.csv: cannot be read as CSV"),
        (lambda b: b.replace(b"Germany", b"\xd6sterreich"), "bad.csv: is not in UTF-8: line 2 holds the byte 0xD6"),
        (lambda b: b"", "bad.csv: is empty"),
        (
            lambda b: b.replace(b"09 01:", b"10 00:")[: b.index(b"09 02:") - 8],
            "its points are 24 hours apart",
        ),
    ],
    ids=["truncated", "column", "zone", "ragged", "encoding", "empty", "daily"],
)
def test_a_bad_file_is_landed_named_and_explained(
    step: StepContext, tmp_path: Path, change: Callable[[bytes], bytes], says: str
) -> None:
    path = export(tmp_path / "bad.csv")
    path.write_bytes(change(path.read_bytes()))

    assert says in failure(of("bad.csv"), step)
    findings = list(of("bad.csv").check(step))
    assert [finding.ok for finding in findings] == [False]


def test_no_file_at_all_names_the_pattern(step: StepContext) -> None:
    with pytest.raises(PermanentError, match=r"grid/\*\.csv: no file matches"):
        list(of("grid/*.csv").plan(ONE, step))
    [finding] = of("grid/*.csv").check(step)
    assert not finding.ok


def test_doctor_tells_what_the_files_hold(step: StepContext, tmp_path: Path) -> None:
    export(tmp_path / "x.csv", days=2, point=lambda hour: ("", "") if hour.hour == 0 else ("11", "12"))
    finding, gap = of("x.csv").check(step)
    assert (gap.ok, gap.what[:18]) == (True, "1 of 47 hours of D")
    assert finding.ok
    assert finding.what == "x.csv: DE, 2024-05-09 to 2024-05-10, 48 hours, 2 without intensity"


def test_a_file_is_read_once_by_a_process_whatever_connections_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("time,zone,g\n2024-05-09T00:00:00Z,QQ,100.125\n2024-05-09T01:00:00Z,QQ,200\n")
    mapping = Mapping(time="time", zone="zone", direct="g", unit="gCO2e/kWh")
    found = []
    for _ in range(2):
        con = ibis.duckdb.connect()
        found.append(read_points(con, path, "a" * 64, "x.csv", tmp_path, mapping).table.to_pyarrow())
        con.disconnect()
        monkeypatch.setattr(reading, "open_file", lambda *given, **more: pytest.fail("read again"))
    assert found[0].equals(found[1])
    assert found[0]["direct"].to_pylist() == [Decimal("100.125"), Decimal("200")]

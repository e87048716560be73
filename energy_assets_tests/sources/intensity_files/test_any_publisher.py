"""Intensities of any publisher, by naming columns and unit; and exports that a spreadsheet saved again."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from pydantic import ValidationError

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.intensity_files.columns import unit_of
from energy_assets.sources.intensity_files.parse import other_zone
from energy_assets.sources.intensity_files.source import IntensityFiles
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.intensity_files.test_source import DAY, ONE, export, of

MINE = {"time": "at", "zone_column": "area", "direct": "co2", "lifecycle": "lca", "unit": "gCO2e/kWh"}


def own(
    folder: Path, name: str = "own.csv", header: str = "at,area,co2,lca", cells: str = "{t},DE,300.5,350.25"
) -> Path:
    """A file of one day with a line an hour."""
    start = datetime(DAY.year, DAY.month, DAY.day)
    lines = [cells.format(t=start + timedelta(hours=hour), n=hour) for hour in range(24)]
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def values(step: StepContext, path: str = "own.csv", **keys: Any) -> set[tuple[Any, Any]]:
    rows, _ = rows_of(of(path, **keys), ONE, step)
    return {(row["direct_gco2e_per_kwh"], row["lifecycle_gco2e_per_kwh"]) for row in rows.to_pylist()}


def test_columns_of_any_publisher_are_read_by_name(step: StepContext, tmp_path: Path) -> None:
    own(tmp_path)
    rows, notes = rows_of(of("own.csv", **MINE), ONE, step)
    first = rows.sort_by("hour").to_pylist()[0]
    assert rows.num_rows == 24
    assert (first["zone"], first["hour"]) == ("DE", datetime(2024, 5, 9))
    assert (first["direct_gco2e_per_kwh"], first["lifecycle_gco2e_per_kwh"]) == (Decimal("300.5"), Decimal("350.25"))
    assert (first["factor_id"], first["is_estimated"]) == ("grid/csv/DE/own", True)
    assert notes == {"unflagged_hours_taken_as_estimated": 24}
    named = rows_of(of("own.csv", **MINE, publisher="SMARD"), ONE, step)[0].to_pylist()
    assert named[0]["factor_id"] == "SMARD/csv/DE/own"


@pytest.mark.parametrize(
    ("unit", "cell", "grams"),
    [
        ("gCO2e/kWh", "300.5", "300.5"),
        ("kgCO2e/kWh", "0.3005", "300.5"),
        ("kg/MWh", "300.5", "300.5"),
        ("t/MWh", "0.3005", "300.5"),
        ("lb/MWh", "1000", "453.592"),
        ("lb/MWh", "881.85", "400.000"),
    ],
)
def test_units_are_converted_exactly(step: StepContext, tmp_path: Path, unit: str, cell: str, grams: str) -> None:
    own(tmp_path, cells="{t},DE," + f"{cell},{cell}")
    assert values(step, **{**MINE, "unit": unit}) == {(Decimal(grams), Decimal(grams))}


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("CO2 intensity (gCO2eq/kWh)", "gCO2e/kWh"),
        ("Carbon intensity gCO₂eq/kWh (direct)", "gCO2e/kWh"),
        ("intensity [kg CO2e / kWh]", "kgCO2e/kWh"),
        ("kg/MWh", "kg/MWh"),
        ("CO2 lbs/MWh", "lb/MWh"),
        ("t CO2/MWh", "t/MWh"),
        ("g per kWh", "gCO2e/kWh"),
        ("CO2 (mg/kWh)", "mg/kWh"),
        ("Mg CO2/MWh", "t/MWh"),
        ("metric tons/MWh", "t/MWh"),
        ("kgco2_per_kwh", "kgCO2e/kWh"),
        ("kgCO2kWh", None),
        ("mg/MWh", None),
        ("MG/KWH", None),
        ("tons/MWh", None),
        ("co2", None),
        ("rate", None),
    ],
)
def test_a_header_may_say_the_unit(header: str, unit: str | None) -> None:
    assert unit_of(header) == unit


def test_a_unit_that_may_be_two_is_refused_until_site_yaml_says_which(step: StepContext, tmp_path: Path) -> None:
    own(tmp_path, header="at,area,co2 tons/MWh", cells="{t},DE,0.5")
    keys = {"time": "at", "zone_column": "area", "direct": "co2 tons/MWh"}
    for unit in ({}, {"unit": "gCO2e/kWh"}):
        with pytest.raises(MalformedError, match=r"tons may be of 1,000 kg or of 2,000 lb.* unit: t/MWh"):
            values(step, **keys, **unit)
    assert values(step, **keys, unit="t/MWh") == {(Decimal(500), None)}
    own(tmp_path, "milli.csv", header="at,area,CO2 (mg/kWh)", cells="{t},DE,363000")
    keys["direct"] = "CO2 (mg/kWh)"
    assert values(step, "milli.csv", **keys) == {(Decimal(363), None)}
    with pytest.raises(MalformedError, match=r"speak of mg/kWh, `unit` of this source says gCO2e/kWh"):
        values(step, "milli.csv", **keys, unit="gCO2e/kWh")


def test_the_unit_is_never_guessed(step: StepContext, tmp_path: Path) -> None:
    own(tmp_path)
    unsaid = {key: value for key, value in MINE.items() if key != "unit"}
    with pytest.raises(MalformedError, match=r"nothing says the unit of 'co2' and 'lca'.* unit: gCO2e/kWh"):
        values(step, **unsaid)
    own(tmp_path, header="at,area,co2 kg/MWh,lca kg/MWh")
    spoken = {**unsaid, "direct": "co2 kg/MWh", "lifecycle": "lca kg/MWh"}
    assert values(step, **spoken) == {(Decimal("300.5"), Decimal("350.25"))}
    with pytest.raises(MalformedError, match=r"speak of kg/MWh, `unit` of this source says lb/MWh"):
        values(step, **spoken, unit="lb/MWh")


def test_one_basis_is_enough_and_the_other_stays_unknown(step: StepContext, tmp_path: Path) -> None:
    own(tmp_path)
    direct = {key: value for key, value in MINE.items() if key != "lifecycle"}
    lifecycle = {key: value for key, value in MINE.items() if key != "direct"}
    assert values(step, **direct) == {(Decimal("300.5"), None)}
    assert values(step, **lifecycle) == {(None, Decimal("350.25"))}
    (finding,) = of("own.csv", **direct).check(step)
    assert "direct alone" in finding.what
    (finding,) = of("own.csv", **lifecycle).check(step)
    assert "life-cycle alone" in finding.what


def test_every_missing_column_is_named_at_once(step: StepContext, tmp_path: Path) -> None:
    own(tmp_path, header="when,where,co2,lca")
    message = r"has no columns 'at' .`time`. and 'area' .`zone`.; it has 'when', 'where'"
    with pytest.raises(MalformedError, match=message):
        values(step, **MINE)
    export(tmp_path / "x.csv", header="a,b,c,d,e,f,g,h,i,j,k")
    with pytest.raises(MalformedError) as caught:
        values(step, "x.csv")
    for column in ("Datetime (UTC)", "Zone id", "(direct)", "(Life cycle)", "Data estimated"):
        assert column in caught.value.message
    assert "time, zone_column, direct and lifecycle" in caught.value.remedy


def test_a_constant_zone_a_flag_and_another_clock(step: StepContext, tmp_path: Path) -> None:
    own(tmp_path, header="at,co2,guess", cells="{t},{n},false")
    keys = {"time": "at", "zone": "fr", "direct": "co2", "estimated": "guess", "unit": "gCO2e/kWh"}
    rows, notes = rows_of(of("own.csv", **keys, timezone="Europe/Paris"), ONE, step)
    found = {row["hour"].hour: row for row in rows.to_pylist() if row["resolution"] == "hour"}
    assert (notes, found[0]["zone"], found[0]["is_estimated"]) == ({}, "FR", False)
    assert found[0]["direct_gco2e_per_kwh"] == 2, "02:00 in Paris is midnight in UTC"
    (finding,) = of("own.csv", **keys, timezone="Europe/Paris").check(step)
    assert "times without an offset are taken as Europe/Paris, the first hour is 2024-05-08 22:00 UTC" in finding.what


def test_how_times_are_taken_is_said_where_nothing_is_stated_and_not_of_a_header_that_says_utc(
    step: StepContext, tmp_path: Path
) -> None:
    own(tmp_path)
    (finding,) = of("own.csv", **MINE).check(step)
    assert "times without an offset are taken as UTC (`timezone` names another zone), the first hour" in finding.what
    assert "the first hour is 2024-05-09 00:00 UTC" in finding.what
    export(tmp_path / "DE.csv")
    (finding,) = of("DE.csv").check(step)
    assert "times" not in finding.what


def test_local_hours_over_the_end_of_summer_time_are_told_apart_by_their_order(
    step: StepContext, tmp_path: Path
) -> None:
    lines = ["26.10.2025 00:00", "26.10.2025 01:00", "26.10.2025 02:00", "26.10.2025 02:00", "26.10.2025 03:00"]
    text = "at;co2\n" + "".join(f"{line};{n}\n" for n, line in enumerate(lines))
    (tmp_path / "own.csv").write_text(text)
    source = of("own.csv", time="at", zone="DE", direct="co2", unit="gCO2e/kWh", timezone="Europe/Berlin")
    rows, notes = rows_of(source, DayRange(date(2025, 10, 25), date(2025, 10, 26)), step)
    found = {row["hour"]: int(row["direct_gco2e_per_kwh"]) for row in rows.to_pylist() if row["resolution"] == "hour"}
    assert sorted(found.items()) == [(datetime(2025, 10, 25, 22) + timedelta(hours=n), n) for n in range(5)]
    assert notes == {"unflagged_hours_taken_as_estimated": 5}


def test_parquet_with_instants_is_read(step: StepContext, tmp_path: Path) -> None:
    hours = [datetime(2024, 5, 9, hour) for hour in range(24)]
    for name, kind in (("naive", pa.timestamp("us")), ("aware", pa.timestamp("ms", "UTC"))):
        table = pa.table({"at": pa.array(hours, kind), "area": ["DE"] * 24, "co2": [300.5] * 24, "lca": [350.25] * 24})
        pa.parquet.write_table(table, tmp_path / f"{name}.parquet")
        assert values(step, f"{name}.parquet", **MINE) == {(Decimal("300.5"), Decimal("350.25"))}


def test_a_measured_hour_goes_before_an_estimated_one_whatever_the_file_is_called(
    step: StepContext, tmp_path: Path
) -> None:
    export(tmp_path / "a_revised.csv", point=lambda hour: ("400", "450"))
    export(tmp_path / "z_preliminary.csv", point=lambda hour: ("300", "350"), flag="true")
    rows, notes = rows_of(of("*.csv"), ONE, step)
    assert {(row["direct_gco2e_per_kwh"], row["is_estimated"]) for row in rows.to_pylist()} == {(Decimal(400), False)}
    assert notes == {"superseded_hours_dropped": 24}
    export(tmp_path / "z_preliminary.csv", point=lambda hour: ("300", "350"))
    rows, _ = rows_of(of("*.csv"), ONE, step)
    assert set(rows["direct_gco2e_per_kwh"].to_pylist()) == {Decimal(300)}, "of equals the last name"


def test_a_measured_line_goes_before_an_estimated_one_of_the_same_instant(step: StepContext, tmp_path: Path) -> None:
    path = export(tmp_path / "x.csv", point=lambda hour: ("400", "450"))
    other = export(tmp_path / "y.txt", point=lambda hour: ("300", "350"), flag="true")
    path.write_text(path.read_text() + "\n".join(other.read_text().splitlines()[1:]) + "\n")
    rows, notes = rows_of(of("x.csv"), ONE, step)
    assert {(row["direct_gco2e_per_kwh"], row["is_estimated"]) for row in rows.to_pylist()} == {(Decimal(400), False)}
    assert notes == {"estimates_outdone_dropped": 24}


@pytest.mark.parametrize(
    ("name", "zones", "other"),
    [
        ("grid/DE_2025.csv", ["DE"], None),
        ("grid/DE_2025.csv", ["FR"], "DE"),
        ("AU-NSW_2025_hourly.csv", ["AU-VIC"], "AU-NSW"),
        ("DE-LU_2024_hourly.csv.gz", ["DE"], None),
        ("US-NW-PACW_2021-2024.csv.gz", ["US-NW-PACW"], None),
        ("zz_DE_2025_preliminary.csv", ["FR", "DE"], None),
        ("export_2025.csv", ["DE"], None),
        ("2025-10.csv", ["DE"], None),
    ],
)
def test_a_file_named_after_another_zone_is_told(name: str, zones: list[str], other: str | None) -> None:
    assert other_zone(name, zones) == other


def test_a_file_named_after_another_zone_is_said_by_run_and_doctor(step: StepContext, tmp_path: Path) -> None:
    export(tmp_path / "FR_2024.csv")
    _, notes = rows_of(of("*.csv"), ONE, step)
    assert notes == {"files_named_after_another_zone": 1}
    *_, finding = of("*.csv").check(step)
    assert not finding.ok
    assert "FR_2024.csv: is named after FR and has rows of DE" in finding.what


def test_times_that_cannot_be_read_are_no_silence(step: StepContext, tmp_path: Path) -> None:
    path = export(tmp_path / "x.csv")
    path.write_text(path.read_text().replace("2024-05-09 ", "9th of May "))
    message = r"'Datetime .UTC.' has 24 times of 24 that cannot be read, for example '9th"
    with pytest.raises(MalformedError, match=message):
        values(step, "x.csv")
    path.write_text(path.read_text().replace("9th of May ", "5/9/2024 "))
    with pytest.raises(MalformedError, match="date_order: month first"):
        values(step, "x.csv")
    assert values(step, "x.csv", date_order="month first") == {(Decimal("100.5"), Decimal("200.25"))}


def test_an_export_of_a_spreadsheet_with_doubtful_numbers_is_refused(step: StepContext, tmp_path: Path) -> None:
    path = export(tmp_path / "x.csv", point=lambda hour: ("1.100", "1.200"))
    path.write_text(path.read_text().replace(",", ";").replace(";50.5;", ";55;"))
    with pytest.raises(MalformedError, match='decimal: ","'):
        values(step, "x.csv")
    assert values(step, "x.csv", decimal=".") == {(Decimal("1.1"), Decimal("1.2"))}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"time": "at", "zone": "DE"}, "name at least one"),
        ({"direct": "co2"}, "name `zone_column`"),
        ({"unit": "kg/MWh"}, "name them"),
        ({"direct": "co2", "zone": "DE", "unit": "g/J"}, "Input should be"),
        ({"direct": "co2", "zone": "DE", "timezone": "CEST"}, "no time zone"),
    ],
)
def test_a_block_that_names_too_little_is_refused(keys: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        of("x.csv", **keys)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("{t},DE,0.3005,0.35025", True),
        ("{t},NO,0.1,25.5", False),
        ("{t},DE,0.{n},", True),
        ("{t},DE,{n},", False),
        ("{t},DE,0.0003,0.0004", True),
        ("{t},DE,0.0003,", True),
        ("{t},DE,0.0000003,", True),
        ("{t},NO,0.0003,25.5", False),
        ("{t},NO,0,25.5", False),
        ("{t},NO,0,", False),
    ],
)
def test_files_whose_highest_value_is_less_than_any_grids_are_told(
    step: StepContext, tmp_path: Path, cells: str, told: bool
) -> None:
    own(tmp_path, cells=cells)
    source = of("own.csv", **MINE)
    _, notes = rows_of(source, ONE, step)
    assert notes.get("factors_like_kilograms", 0) == told
    said = [finding for finding in source.check(step) if "factors_like_kilograms" in finding.notes]
    assert [finding.ok for finding in said] == [False] * told
    if told:
        assert said[0].what.startswith("own.csv: DE at most 0.")


def _told(source: IntensityFiles, step: StepContext) -> tuple[dict[str, int], dict[str, list[str]]]:
    """The notes of a day, but for what does not say whether it was measured, and their examples."""
    parsed, failures = parse(source, collect(source, ONE, step).editions, step)
    assert parsed is not None
    assert not failures
    notes = {name: n for name, n in parsed.notes.items() if name != "unflagged_hours_taken_as_estimated"}
    return notes, {name: list(said) for name, said in parsed.examples.items()}


def test_several_values_of_one_instant_are_told_with_the_column_that_tells_them_apart(
    step: StepContext, tmp_path: Path
) -> None:
    keys = {"time": "at", "zone": "DE", "direct": "co2", "unit": "gCO2e/kWh"}
    two = "{t},{n},DE,400\n{t},1{n},FR,50"
    own(tmp_path, header="at,line,country,co2", cells=two)
    notes, examples = _told(of("own.csv", **keys), step)
    assert notes["disagreeing_intensities_averaged"] == 24
    assert examples["disagreeing_intensities_averaged"] == ["own.csv (told apart by 'country')"]
    good, bad = of("own.csv", **keys).check(step)
    assert ", 24 hours, direct alone; times" in good.what, "an hour counts once"
    assert "DE has several different values at 24 instants, told apart by 'country'" in bad.what
    own(tmp_path, header="at,line,country,co2", cells=two.replace("FR,50", "FR,400"))
    assert "disagreeing_intensities_averaged" not in _told(of("own.csv", **keys), step)[0], "copies agree"
    split = {**{key: value for key, value in keys.items() if key != "zone"}, "zone_column": "country"}
    own(tmp_path, header="at,line,country,co2", cells=two)
    assert "disagreeing_intensities_averaged" not in _told(of("own.csv", **split), step)[0]


def test_what_was_measured_and_quarter_hours_do_not_disagree(step: StepContext, tmp_path: Path) -> None:
    keys = {"time": "at", "zone": "DE", "direct": "co2", "unit": "gCO2e/kWh", "estimated": "kind"}
    own(tmp_path, header="at,kind,co2", cells="{t},measured,400\n{t},estimated,300\n{t},estimated,200")
    assert _told(of("own.csv", **keys), step)[0] == {"estimates_outdone_dropped": 48}
    lines = [f"2024-05-09T{n // 4:02}:{n % 4 * 15:02},measured,{n}" for n in range(96)]
    (tmp_path / "own.csv").write_text("\n".join(["at,kind,co2", *lines]))
    assert _told(of("own.csv", **keys), step)[0] == {"repeated_points_averaged": 72}
    assert [finding.ok for finding in of("own.csv", **keys).check(step)] == [True]


def test_hours_of_the_day_that_no_file_has_are_told(step: StepContext, tmp_path: Path) -> None:
    def written(name: str, hours: range) -> None:
        lines = [f"2024-05-{day:02}T{hour:02}:00,400" for day in range(1, 11) for hour in hours]
        (tmp_path / name).write_text("\n".join(["at,co2", *lines]))

    source = of("*.csv", time="at", zone="DE", direct="co2", unit="gCO2e/kWh")
    written("am.csv", range(12))
    _, gap = source.check(step)
    assert not gap.ok
    assert "120 of 240 hours of DE have no intensity of their own" in gap.what
    assert "(12 hours of the day on all of them)" in gap.what
    written("pm.csv", range(12, 24))
    assert [finding.ok for finding in source.check(step)] == [True, True]


@pytest.mark.parametrize(
    ("column", "zone", "note"),
    [
        ("Datetime (UTC)", "Europe/Berlin", "clocks_named_utc"),
        ("Datetime (UTC)", "UTC", None),
        ("Datetime (UTC)", None, None),
        ("Zeit (MEZ)", None, "clocks_named_local"),
        ("Zeit (MEZ)", "Europe/Berlin", None),
        ("Zeit (MEZ)", "UTC", None),
    ],
)
def test_a_column_of_times_whose_name_contradicts_how_they_are_taken_is_told(
    step: StepContext, tmp_path: Path, column: str, zone: str | None, note: str | None
) -> None:
    keys = {**MINE, "time": column, **({"timezone": zone} if zone else {})}
    own(tmp_path, header=f"{column},area,co2,lca")
    notes, examples = _told(of("own.csv", **keys), step)
    assert {name: n for name, n in notes.items() if name.startswith("clocks")} == ({note: 1} if note else {})
    assert examples == ({note: [f"own.csv: column '{column}'"]} if note else {})
    told = [finding for finding in of("own.csv", **keys).check(step) if not finding.ok]
    assert [finding.notes for finding in told] == ([(note,)] if note else [])
    assert all(f"(column '{column}')" in finding.what and "`timezone: " in finding.remedy for finding in told)
    own(tmp_path, header=f"{column},area,co2,lca", cells="{t}Z,DE,300.5,350.25")
    assert _told(of("own.csv", **keys), step)[0] == {}, "times that state their offset"


def test_an_export_of_electricity_maps_is_in_utc_whatever_site_yaml_says(step: StepContext, tmp_path: Path) -> None:
    export(tmp_path / "x.csv", point=lambda hour: (f"{hour.hour}", "100"))
    rows, notes = rows_of(of("x.csv", timezone="Europe/Berlin"), ONE, step)
    assert {row["hour"].hour: row["direct_gco2e_per_kwh"] for row in rows.to_pylist()} == {n: n for n in range(24)}
    assert notes == {}
    (finding,) = of("x.csv", timezone="Europe/Berlin").check(step)
    assert finding.what.endswith(
        "times are UTC, as the header says, and `timezone` is left aside, the first hour is 2024-05-09 00:00 UTC"
    )


def test_a_life_cycle_intensity_of_0_is_no_value_and_neither_is_a_direct_one_beside_it(
    step: StepContext, tmp_path: Path
) -> None:
    gaps = {1: ("0", "0"), 2: ("0.0", "25"), 3: ("7", "0"), 4: ("0", "")}
    export(tmp_path / "x.csv", point=lambda hour: gaps.get(hour.hour, ("20", "50")))
    rows, notes = rows_of(of("x.csv"), ONE, step)
    hours = {r["hour"].hour: r for r in rows.to_pylist() if r["resolution"] == "hour"}
    found = {
        n: (hours[n]["direct_gco2e_per_kwh"], hours[n]["lifecycle_gco2e_per_kwh"]) for n in (2, 3, 4) if n in hours
    }
    assert found == {2: (0, 25), 3: (7, None), 4: (0, None)}, "nothing burns in some hours of some grids"
    assert 1 not in hours
    assert notes == {"impossible_values_dropped": 2}


@pytest.mark.parametrize(
    ("cell", "usual", "told"), [("0", "51", 6), ("0.000", "400", 6), ("0", "50", 0), ("", "400", 0), ("1", "400", 0)]
)
def test_a_direct_intensity_of_0_alone_is_told_where_other_hours_are_of_a_fire(
    step: StepContext, tmp_path: Path, cell: str, usual: str, told: int
) -> None:
    keys = {"time": "Datetime (UTC)", "zone": "DE", "direct": "co2", "unit": "gCO2e/kWh"}
    lines = [f"2024-05-09 {hour:02}:00,{cell if hour < 6 else usual}" for hour in range(24)]
    (tmp_path / "own.csv").write_text("\n".join(["Datetime (UTC),co2", *lines, f"2024-05-10 00:00,{cell}"]) + "\n")
    notes, examples = _told(of("own.csv", **keys), step)
    assert notes.get("zeros_among_higher_intensities", 0) == told
    assert examples == ({"zeros_among_higher_intensities": ["own.csv: DE"]} if told else {})
    said = [f for f in of("own.csv", **keys).check(step) if "zeros_among_higher_intensities" in f.notes]
    assert [finding.ok for finding in said] == [False] * bool(told)
    assert all("DE: 7 hours have a direct intensity of 0" in finding.what for finding in said), "of all days"


@pytest.mark.parametrize(
    ("header", "unit", "per"),
    [
        ("direct_g_per_MJ", "gCO2e/kWh", "MJ"),
        ("direct [kg/Wh]", "gCO2e/kWh", "Wh"),
        ("g CO2e/GJ", None, "GJ"),
        ("CO2/MJ", "kg/MWh", "MJ"),
        ("g/MWh", "gCO2e/kWh", "MWh"),
        ("grams per capita", "gCO2e/kWh", "capita"),
        ("CO2 per kWh", "gCO2e/kWh", None),
        ("CO2/kWh", "kgCO2e/kWh", None),
        ("CO2 per MWh", "t/MWh", None),
        ("AT/DE co2", "gCO2e/kWh", None),
        ("co2 percent of 1990", "gCO2e/kWh", None),
        ("g direct/indirect", "gCO2e/kWh", None),
        ("upper_value", "gCO2e/kWh", None),
    ],
)
def test_a_header_that_is_per_something_else_is_refused_whatever_unit_is_named(
    step: StepContext, tmp_path: Path, header: str, unit: str | None, per: str | None
) -> None:
    own(tmp_path, header=f"at,area,{header}", cells="{t},DE,0.5")
    keys = {"time": "at", "zone_column": "area", "direct": header, **({"unit": unit} if unit else {})}
    if per is None:
        assert len(values(step, **keys)) == 1
        return
    with pytest.raises(MalformedError, match=f"own.csv: '.*' is per {per} by its name, and not per .Wh"):
        values(step, **keys)


@pytest.mark.parametrize("form", ["2024-05-{day:02} {hour:02}:00", "2024-05-{day:02}T{hour:02}:00:00Z",
                                  "{day:02}.05.2024 {hour:02}:00"])  # fmt: skip
def test_hours_that_are_named_by_their_end_are_refused(step: StepContext, tmp_path: Path, form: str) -> None:
    def written(hours: range) -> None:
        lines = [f"{form.format(day=day, hour=hour)},DE,{hour},400" for day in (8, 9, 10) for hour in hours]
        (tmp_path / "own.csv").write_text("\n".join(["at,area,co2,lca", *lines]) + "\n")

    keys = {**MINE, "date_order": "day first"}
    written(range(24))
    assert len(values(step, **keys)) == 24
    written(range(1, 25))
    with pytest.raises(MalformedError, match=r"column 'at' has times such as '.* ?.?24:00.*', so it names hours by"):
        values(step, **keys)

"""`intensity_files` on real Electricity Maps exports: Germany (v1 header), France and PacifiCorp West (v2)."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import IntensityRows
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.grid_factors.published import published_intensities
from energy_assets.sources.intensity_files.source import IntensityFiles
from energy_assets_tests.conftest import rows_of

pytestmark = pytest.mark.realdata

V1 = "grid/em_hourly_v1_sustaincluster/DE-LU_2024_hourly.csv.gz"
FR = "grid/em_hourly_v2_carbonx/FR_2021-2024.csv.gz"
PACW = "grid/em_hourly_v2_carbonx/US-NW-PACW_2021-2024.csv.gz"
DIRECT = 4
LIFECYCLE = 5
CARBON_FREE = 6


def of(path: str) -> IntensityFiles:
    return IntensityFiles(name="grid", kind="intensity_files", path=path)


def by_csv_reader(path: Path) -> dict[datetime, list[str]]:
    """The lines of an export by hour, read without the code under test."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return {datetime.fromisoformat(line[0]): line for line in list(csv.reader(file))[1:]}


def mean(values: list[Decimal], digits: str) -> Decimal:
    return (sum(values, Decimal(0)) / len(values)).quantize(Decimal(digits), ROUND_HALF_UP)


@pytest.fixture
def at(step: StepContext, real_data: Path) -> StepContext:
    """The step, with the real data as its site folder."""
    return replace(step, site_folder=real_data)


@pytest.mark.parametrize(("path", "zone", "hours"), [(V1, "DE", 8784), (FR, "FR", 8784)])
def test_every_hour_of_2024_is_the_line_of_the_file(
    at: StepContext, real_data: Path, path: str, zone: str, hours: int
) -> None:
    rows, notes = rows_of(of(path), DayRange(date(2024, 1, 1), date(2024, 12, 31)), at)
    lines = by_csv_reader(real_data / path)

    assert rows.num_rows == hours
    assert set(rows["resolution"].to_pylist()) == {"hour"}
    assert set(rows["zone"].to_pylist()) == {zone}
    assert notes == {}
    for row in rows.to_pylist():
        line = lines[row["hour"]]
        assert row["direct_gco2e_per_kwh"] == Decimal(line[DIRECT])
        assert row["lifecycle_gco2e_per_kwh"] == Decimal(line[LIFECYCLE])
        assert row["carbon_free_share"] == Decimal(line[CARBON_FREE]) / 100
        assert row["is_estimated"] == (line[9].lower() == "true")


def test_the_467_missing_hours_of_pacificorp_west_get_the_means_of_their_month_and_year(
    at: StepContext, real_data: Path
) -> None:
    rows, _ = rows_of(of(PACW), DayRange(date(2021, 1, 1), date(2024, 12, 31)), at)
    lines = by_csv_reader(real_data / PACW)
    missing = {hour for hour, line in lines.items() if not line[LIFECYCLE]}
    months: dict[tuple[int, int, int], list[Decimal]] = defaultdict(list)
    years: dict[int, list[Decimal]] = defaultdict(list)
    for hour, line in lines.items():
        if hour not in missing:
            months[hour.year, hour.month, hour.hour].append(Decimal(line[DIRECT]))
            years[hour.year].append(Decimal(line[DIRECT]))
    found: dict[str, dict[datetime, Decimal]] = {"hour": {}, "month": {}, "year": {}}
    for row in rows.to_pylist():
        found[row["resolution"]][row["hour"]] = row["direct_gco2e_per_kwh"]
        assert row["is_estimated"] or row["resolution"] == "hour"

    assert len(missing) == 467
    assert set(found["hour"]) == set(lines) - missing
    assert found["month"] == {
        hour: mean(months[hour.year, hour.month, hour.hour], "0.001")
        for hour in missing
        if (hour.year, hour.month, hour.hour) in months
    }
    assert found["year"] == {hour: mean(years[hour.year], "0.001") for hour in missing}


def test_a_day_alone_has_the_rows_it_has_in_a_range(at: StepContext) -> None:
    source, day = of("grid/em_hourly_v2_carbonx/[FU]*.csv.gz"), date(2021, 2, 1)
    alone, again, within = (
        rows_of(source, days, at)[0].sort_by([(name, "ascending") for name in ("zone", "hour", "resolution")])
        for days in (DayRange(day, day), DayRange(day, day), DayRange(date(2021, 1, 30), date(2021, 2, 4)))
    )
    of_day = within.filter(pc.equal(within["day"], pa.scalar(day)))

    assert "month" in set(alone["resolution"].to_pylist())
    assert alone.equals(again)
    assert alone.equals(of_day)


def test_the_rows_keep_the_contract(at: StepContext) -> None:
    days = DayRange(date(2021, 1, 31), date(2021, 2, 2))
    source = of("grid/em_hourly_v2_carbonx/US-*.csv.gz")
    parsed, _ = parse(source, collect(source, days, at).editions, at)

    assert parsed
    audit(conform(parsed.rows, IntensityRows), IntensityRows)


HOURLY = "grid/em_hourly_v1_sustaincluster/{}_2024_hourly.csv.gz"
BY_ZONE = {
    "DE": HOURLY.format("DE-LU"),
    **{
        zone: HOURLY.format(zone)
        for zone in ("AU-NSW", "GB", "JP-TK", "SG", "US-CAL-CISO", "US-MIDA-PJM", "US-TEX-ERCO")
    },
}


@pytest.mark.parametrize("zone", BY_ZONE)
def test_the_table_that_comes_along_states_the_mean_direct_intensity_of_a_year(real_data: Path, zone: str) -> None:
    """Its publisher does not name the boundary; the life-cycle means are 10 to 50 % higher."""
    lines = by_csv_reader(real_data / BY_ZONE[zone]).values()
    (stated,) = [
        row.direct_gco2e_per_kwh
        for row in published_intensities("google_cloud")
        if (row.zone, row.year) == (zone, 2024)
    ]
    assert abs(stated / mean([Decimal(line[DIRECT]) for line in lines if line[DIRECT]], "0.001") - 1) < Decimal("0.01")

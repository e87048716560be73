"""Files of instruments: cells read or the file refused, units stated, serials in one spelling, months of their year."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from pydantic import ValidationError

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, complete, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.instrument_files.serials import serials
from energy_assets.sources.instrument_files.source import InstrumentFiles
from energy_assets.tables import raw_table

MAY = DayRange(date(2024, 5, 1), date(2024, 5, 31))
HEADER = "instrument,registry,serial_from,serial_to,quantity_mwh,vintage,zone,technology,gco2e_per_kwh,retired_on"
LINE = "certificate,HKNR,DE-1,DE-75,75,2024,DE,wind,0,2025-02-01"


def of(path: str = "*.csv", **keys: Any) -> InstrumentFiles:
    return InstrumentFiles.model_validate({"name": "certs", "kind": "instrument_files", "path": path, **keys})


def rows_of(
    step: StepContext, source: InstrumentFiles, days: DayRange = MAY
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows as the raw asset has them; the first failure is raised."""
    months = sorted({day.replace(day=1) for day in days})
    collected = collect(source, months, step)
    parsed, failures = parse(source, collected.editions, step)
    for error in [*collected.failures.values(), *failures.values()]:
        raise error
    assert parsed is not None
    rows = complete(parsed.rows, raw_table(source))
    return rows.order_by("month", "raw_sha256", "line").to_pyarrow().to_pylist(), dict(parsed.notes)


def written(folder: Path, *lines: str, header: str = HEADER, name: str = "go.csv") -> None:
    (folder / name).write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def test_a_line_becomes_a_row_of_each_month_of_its_year(step: StepContext, tmp_path: Path) -> None:
    written(tmp_path, LINE)
    rows, notes = rows_of(step, of(), DayRange(date(2024, 5, 1), date(2024, 6, 30)))
    assert [row["month"] for row in rows] == [date(2024, 5, 1), date(2024, 6, 1)]
    assert {name: rows[0][name] for name in rows[0] if name not in ("month", "raw_sha256")} == {
        "instrument": "certificate", "registry": "HKNR", "serial_from": "DE-1", "serial_to": "DE-75",
        "serial_series": "hknr|de", "serial_first": Decimal(1), "serial_last": Decimal(75),
        "quantity_kwh": Decimal(75000), "generation_start": datetime(2024, 1, 1),
        "generation_end": datetime(2025, 1, 1), "vintage": 2024, "for_year": 2024, "technology": "wind",
        "market": "DE", "supplier": None, "gco2e_per_kwh": Decimal(0), "carbon_free": True,
        "retired_on": date(2025, 2, 1), "beneficiary": None, "ghg_scope": None, "file": "go.csv", "line": 2,
    }  # fmt: skip
    assert notes == {}


@pytest.mark.parametrize(
    ("column", "cell", "keys", "kwh"),
    [
        ("quantity_kwh", "75", {}, 75),
        ("quantity_mwh", "75", {}, 75_000),
        ("quantity_gwh", "0.5", {}, 500_000),
        ("Volume (MWh)", "75", {"columns": {"quantity": "Volume (MWh)"}}, 75_000),
        ("quantity", "75", {"quantity_unit": "kWh"}, 75),
        ("quantity", "75", {"quantity_unit": "MWh"}, 75_000),
        ("quantity", '"1.234,5"', {"quantity_unit": "MWh", "decimal": ","}, 1_234_500),
    ],
)
def test_the_unit_is_the_one_that_is_stated(
    step: StepContext, tmp_path: Path, column: str, cell: str, keys: dict[str, Any], kwh: int
) -> None:
    written(tmp_path, f"contract,{cell},2024,DE,0", header=f"instrument,{column},vintage,zone,gco2e_per_kwh")
    assert [row["quantity_kwh"] for row in rows_of(step, of(**keys))[0]] == [Decimal(kwh)]


def test_a_column_of_units_says_it_line_by_line(step: StepContext, tmp_path: Path) -> None:
    written(
        tmp_path,
        "contract,75,MWh,2024,DE,0.52",
        "contract,75,kWh,2024,DE,0.52",
        header="instrument,quantity,unit,vintage,zone,factor",
    )
    rows, _ = rows_of(step, of(factor_unit="t/MWh"))
    assert [(row["quantity_kwh"], row["gco2e_per_kwh"]) for row in rows] == [(75000, 520), (75, 520)]


@pytest.mark.parametrize(
    ("line", "header", "keys", "said"),
    [
        (LINE, HEADER.replace("_mwh", ""), {}, "nothing says the unit of 'quantity'"),
        (LINE, HEADER, {"quantity_unit": "kWh"}, "'quantity_mwh' speaks of MWh, `quantity_unit` of this source says"),
        (LINE, HEADER.replace("gco2e_per_kwh", "factor"), {}, "nothing says the unit of 'factor'"),
        (LINE, HEADER.replace("zone", "area"), {}, "has no column of `zone`"),
        (LINE.replace("certificate", "voucher"), HEADER, {}, "line 2: 'voucher' is no instrument"),
        (LINE.replace(",75,2024", ",,2024"), HEADER, {}, "line 2: states no quantity"),
        (LINE.replace(",75,2024", ',"75,5",2024'), HEADER, {}, "line 2: '75,5' is no number"),
        (LINE.replace(",75,2024", ",-75,2024"), HEADER, {}, "line 2: its quantity is negative"),
        (LINE.replace("2024,DE", ",DE"), HEADER, {}, "line 2: states neither its vintage nor when it was generated"),
        (LINE.replace("DE-75", "FR-75"), HEADER, {}, "line 2: serials 'DE-1' and 'FR-75' are of two series"),
        (LINE.replace("DE-1,DE-75", "DE-75,DE-1"), HEADER, {}, "line 2: serial 'DE-1' comes before 'DE-75'"),
        (LINE.replace("DE-1,DE-75", "7.6E+29,7.6E+29"), HEADER, {}, "line 2: serial '7.6E+29' was rounded"),
        (LINE.replace("wind,0", "wind,5000"), HEADER, {}, "line 2: 5000.000 gCO2e per kWh is no emission factor"),
        (LINE.replace("2025-02-01", "3/4/2025"), HEADER, {}, "line 2: '3/4/2025' is no time"),
        (LINE, HEADER, {"certificate_kwh": 1}, "line 2: its certificates are of 1000 kWh each"),
        (LINE, HEADER, {"columns": {"vintage": "Jahrgang"}}, "has no column 'Jahrgang' (`columns: vintage`)"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    step: StepContext, tmp_path: Path, line: str, header: str, keys: dict[str, Any], said: str
) -> None:
    written(tmp_path, line, header=header)
    with pytest.raises(MalformedError) as refused:
        rows_of(step, of(**keys))
    assert f"go.csv: {said}" in refused.value.message
    assert refused.value.remedy


def test_a_generation_is_the_period_that_is_stated(step: StepContext, tmp_path: Path) -> None:
    header = "instrument,quantity_kwh,generation_start,generation_end,zone,gco2e_per_kwh"
    periods = {
        "2024-05-01,2024-05-31": (datetime(2024, 5, 1), datetime(2024, 6, 1)),
        "01.05.2024,31.05.2024": (datetime(2024, 5, 1), datetime(2024, 6, 1)),
        "2024-05-01T10:15:00Z,2024-05-01T10:30:00Z": (datetime(2024, 5, 1, 10, 15), datetime(2024, 5, 1, 10, 30)),
        "2024-05-01T10:00+02:00,2024-05-01T11:00+02:00": (datetime(2024, 5, 1, 8), datetime(2024, 5, 1, 9)),
        "2024-01-01T00:00+01:00,2024-01-01T01:00+01:00": (datetime(2023, 12, 31, 23), datetime(2024, 1, 1)),
    }
    written(tmp_path, *(f"contract,1,{period},DE,0" for period in periods), header=header)
    rows, _ = rows_of(step, of())
    assert [(row["generation_start"], row["generation_end"]) for row in rows] == list(periods.values())
    assert {row["vintage"] for row in rows} == {2024}, "the year by its own clock"


def test_rates_of_the_years_before_stand_in_for_three_years(step: StepContext, tmp_path: Path) -> None:
    header = "instrument,vintage,zone,gco2e_per_kwh"
    written(tmp_path, *(f"residual_mix,{year},DE,{year - 1600}" for year in range(2019, 2026)), header=header)
    assert [row["vintage"] for row in rows_of(step, of())[0]] == [2021, 2022, 2023, 2024]


def test_months_without_a_certificate_of_their_year_are_told(step: StepContext, tmp_path: Path) -> None:
    written(tmp_path, LINE.replace("2024", "2023"), "residual_mix,,,,,2024,DE,,520,")
    rows, notes = rows_of(step, of())
    assert [row["instrument"] for row in rows] == ["residual_mix"]
    assert notes == {"months_with_certificates_of_other_years_alone": 1}


@pytest.mark.parametrize(("unit", "told"), [("kwh", 1), ("mwh", 0), ("gwh", 1)])
def test_certificates_of_a_kilowatt_hour_look_like_a_wrong_unit(
    step: StepContext, tmp_path: Path, unit: str, told: int
) -> None:
    written(tmp_path, LINE, header=HEADER.replace("_mwh", f"_{unit}"))
    assert rows_of(step, of())[1] == ({"certificates_not_of_a_megawatt_hour": 1} if told else {})
    if unit == "kwh":
        assert rows_of(step, of(certificate_kwh=1))[1] == {}, "the remedy settles it"


def test_the_same_bytes_under_two_names_count_once(step: StepContext, tmp_path: Path) -> None:
    written(tmp_path, LINE)
    written(tmp_path, LINE, name="copy.csv")
    rows, notes = rows_of(step, of())
    assert (len(rows), notes) == (1, {"duplicate_files_dropped": 1})


def test_parquet_and_json_hold_the_same(step: StepContext, tmp_path: Path) -> None:
    line = {"instrument": "contract", "quantity_mwh": 75, "vintage": 2024, "zone": "DE", "gco2e_per_kwh": 12.5}
    pa.parquet.write_table(pa.Table.from_pylist([line]), tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(json.dumps({"instruments": [line]}))
    for name in ("a.parquet", "a.json"):
        (row,), _ = rows_of(step, of(name))
        assert (row["quantity_kwh"], row["gco2e_per_kwh"], row["vintage"]) == (75000, Decimal("12.5"), 2024)


def test_a_factor_is_stated_or_of_a_technology_and_never_assumed(step: StepContext, tmp_path: Path) -> None:
    written(tmp_path, LINE.replace("wind,0", "wind,"), LINE.replace("wind,0", "Biomass,"))
    assert [row["gco2e_per_kwh"] for row in rows_of(step, of())[0]] == [None, None]
    stated = of(gco2e_by_technology={"biomass": 18})
    assert [row["gco2e_per_kwh"] for row in rows_of(step, stated)[0]] == [None, Decimal(18)]
    assert [row["carbon_free"] for row in rows_of(step, stated)[0]] == [True, None]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("HKNR", "DE-0001"), ("hknr ", "DE 1"), True),
        (("M-RETS", "MRETS_12_7"), ("MRETS", "mrets-12-007"), True),
        (("HKNR", "1"), ("EEX", "1"), False),
        (("HKNR", "DE-1"), ("HKNR", "FR-1"), False),
        (("HKNR", "643002406801000000000000000001"), ("UBA", "643002406801000000000000000001"), True),
        (("HKNR", "A7B"), ("HKNR", "a7b"), True),
    ],
)
def test_serials_are_the_same_in_any_spelling(one: tuple[str, str], other: tuple[str, str], same: bool) -> None:
    found = [serials(registry, serial, serial) for registry, serial in (one, other)]
    assert (found[0] == found[1]) is same


def test_zones_of_one_market_share_certificates_and_not_rates(step: StepContext, tmp_path: Path) -> None:
    written(tmp_path, LINE, "residual_mix,,,,,2024,FR,,60,", LINE.replace(",DE,wind", ",PL,wind").replace("DE-", "PL-"))
    rows, _ = rows_of(step, of(markets=[["fr", "DE"], ["DK", "SE"]]))
    assert [row["market"] for row in rows] == ["DE + FR", "FR", "PL"]
    with pytest.raises(ValidationError, match="DE stands in two markets"):
        of(markets=[["FR", "DE"], ["DE", "SE"]])


def test_a_block_names_known_columns_alone() -> None:
    with pytest.raises(ValidationError):
        of(columns={"quantities": "x"})


def test_the_doctor_says_what_a_file_holds(step: StepContext, tmp_path: Path) -> None:
    written(tmp_path, LINE, LINE.replace("wind,0", "wind,").replace("DE-1,DE-75", "DE-76,DE-150"))
    said = [(finding.ok, finding.what) for finding in of().check(step)]
    assert said == [
        (True, "go.csv: Energy attribute certificates of DE 2024: 2 lines, 150.000 MWh"),
        (False, "go.csv: 1 line states no emission factor, first line 3: nothing is covered by it"),
    ]

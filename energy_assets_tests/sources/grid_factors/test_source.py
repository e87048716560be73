"""`grid_factors`: a publisher's value of a year or a month, by the hour, labelled as what it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import IntensityRows
from energy_assets.doctor import examine
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.raw.collecting import collect, parse
from energy_assets.running import run_days
from energy_assets.site import load_site
from energy_assets.sources.base import StepContext
from energy_assets.sources.grid_factors import published as published_tables
from energy_assets.sources.grid_factors.published import every_edition, published_intensities, superseded_intensities
from energy_assets.sources.grid_factors.source import CARRIED_YEARS, GridFactors
from energy_assets.sources.notes import WORDS
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.small_site import SITE, write_site

UBA = {"zone": "de", "year": 2024, "direct_gco2e_per_kwh": 363, "lifecycle_gco2e_per_kwh": 427.5,
       "source": "UBA, CC 13/2025", "url": "https://www.umweltbundesamt.de/"}  # fmt: skip
DAY = DayRange(date(2024, 5, 9), date(2024, 5, 9))


def of(*factors: dict[str, Any]) -> GridFactors:
    return GridFactors.model_validate({"name": "factors", "kind": "grid_factors", "factors": list(factors)})


def test_a_year_stands_for_each_of_its_hours_with_its_publisher(step: StepContext) -> None:
    source = of(UBA)
    collected = collect(source, DAY, step)
    parsed, _ = parse(source, collected.editions, step)
    assert parsed
    audit(conform(parsed.rows, IntensityRows), IntensityRows)
    rows = parsed.rows.order_by("hour").to_pyarrow().to_pylist()
    (landed,) = collected.editions[DAY.first].objects

    assert [row["hour"].hour for row in rows] == list(range(24))
    assert rows[0]["factor_id"] == "UBA,_CC_13_2025/DE/2024"
    assert rows[0]["raw_sha256"] == landed.sha256
    assert {(r["direct_gco2e_per_kwh"], r["lifecycle_gco2e_per_kwh"], r["resolution"]) for r in rows} == {
        (Decimal("363.000"), Decimal("427.500"), "year")
    }
    assert b"https://www.umweltbundesamt.de/" in step.read(landed), "the evidence names it"


def test_a_month_goes_beside_its_year_and_a_later_year_takes_the_latest(step: StepContext) -> None:
    source = of(UBA, {**UBA, "month": 5, "direct_gco2e_per_kwh": 300}, {**UBA, "year": 2022, "direct_gco2e_per_kwh": 1})
    may, notes = rows_of(source, DAY, step)
    found = {(row["resolution"], row["direct_gco2e_per_kwh"]) for row in may.to_pylist()}
    assert (found, notes) == ({("month", Decimal(300)), ("year", Decimal(363))}, {})
    later = DayRange(date(2026, 6, 30), date(2026, 7, 1))
    rows, notes = rows_of(source, later, step)
    assert rows.num_rows == 48
    assert set(rows["factor_id"].to_pylist()) == {"UBA,_CC_13_2025/DE/2024"}
    assert notes == {"factors_of_earlier_years": 2}


@pytest.mark.parametrize(("year", "rows"), [(2023, 0), (2024, 24), (2024 + CARRIED_YEARS, 24), (2028, 0)])
def test_a_factor_stands_for_no_earlier_year_and_not_for_ever(step: StepContext, year: int, rows: int) -> None:
    day = date(year, 1, 1)
    collected = collect(of(UBA), DayRange(day, day), step)
    parsed, _ = parse(of(UBA), collected.editions, step)
    assert parsed
    assert parsed.rows.count().to_pyarrow().as_py() == rows


def test_a_factor_that_is_added_changes_no_day_of_another_year(step: StepContext) -> None:
    before = collect(of(UBA), DAY, step).editions
    after = collect(of(UBA, {**UBA, "year": 2025}), DAY, step).editions
    assert before == after


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([{**UBA, "direct_gco2e_per_kwh": None, "lifecycle_gco2e_per_kwh": None}], "states no value"),
        ([UBA, UBA], "zone DE has two values of 2024"),
        ([{**UBA, "direct_gco2e_per_kwh": 3001}], "less than or equal to 3000"),
        ([{**UBA, "direct_gco2e_per_kwh": -1}], "greater than or equal to 0"),
        ([{key: value for key, value in UBA.items() if key != "source"}], "source"),
        ([], r"states nothing: .*publishers: \[google_cloud, uk_government, au_government\]"),
    ],
)
def test_what_states_nothing_or_two_things_is_refused(factors: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        of(*factors)


def published(*factors: dict[str, Any]) -> GridFactors:
    block = {"name": "factors", "kind": "grid_factors", "publishers": ["google_cloud"], "factors": list(factors)}
    return GridFactors.model_validate(block)


@pytest.mark.parametrize(
    ("own", "year", "direct"),
    [
        ((), 2023, None),
        ((), 2024, "275.820"),
        ((), 2025, "275.810"),
        ((), 2026, "275.810"),
        (({**UBA, "year": 2025},), 2025, "363.000"),
        (({**UBA, "year": 2025},), 2024, "275.820"),
    ],
)
def test_a_publishers_table_stands_where_the_site_states_nothing(
    step: StepContext, own: tuple[dict[str, Any], ...], year: int, direct: str | None
) -> None:
    days = DayRange(date(year, 5, 9), date(year, 5, 9))
    collected = collect(published(*own), days, replace(step, zones=("DE", "IS")))
    parsed, _ = parse(published(*own), collected.editions, step)
    assert parsed
    rows = parsed.rows.to_pyarrow().to_pylist()
    assert {row["zone"] for row in rows} == ({"DE"} if direct else set()), "only the zones of the site"
    assert {row["direct_gco2e_per_kwh"] for row in rows} == ({Decimal(direct)} if direct else set())
    assert all(row["lifecycle_gco2e_per_kwh"] is None for row in rows if not own or year == 2024)
    if direct and not own:
        (landed,) = collected.editions[days.first].objects
        assert b"region-carbon-info/blob/main/data/yearly/" in step.read(landed), "the evidence names it"


@pytest.mark.parametrize(("publisher", "least"), [("google_cloud", 70), ("uk_government", 4), ("au_government", 6)])
def test_every_published_value_is_possible_and_of_one_zone_and_year(publisher: Any, least: int) -> None:
    rows = published_intensities(publisher)
    assert least <= len(rows) == len({(row.zone, row.year, row.begins) for row in rows})
    for row in every_edition(publisher):
        assert 0 < row.direct_gco2e_per_kwh < 900, row
        assert 2022 <= row.year <= 2026, row
        assert row.licence in ("Apache-2.0", "OGL-UK-3.0", "CC-BY-4.0"), row
        assert all((row.published, row.edition, row.source, row.url.startswith("https://"))), row
        assert row.zone not in ("WORLD", "GLOBAL", "XX"), row


def of_publishers(*publishers: str) -> GridFactors:
    return GridFactors.model_validate({"name": "factors", "kind": "grid_factors", "publishers": list(publishers)})


@pytest.mark.parametrize(
    ("day", "direct", "carried"),
    [
        (date(2024, 6, 30), None, False),
        (date(2024, 7, 1), "660.000", False),
        (date(2025, 6, 30), "660.000", False),
        (date(2025, 7, 1), "660.000", True),
        (date(2028, 6, 30), "660.000", True),
        (date(2028, 7, 1), None, False),
    ],
)
def test_a_fiscal_year_stands_from_its_own_first_month(
    step: StepContext, day: date, direct: str | None, carried: bool
) -> None:
    rows, notes = rows_of(of_publishers("au_government"), DayRange(day, day), replace(step, zones=("AU-NSW",)))
    assert {row["direct_gco2e_per_kwh"] for row in rows.to_pylist()} == ({Decimal(direct)} if direct else set())
    assert ("factors_of_earlier_years" in notes) == carried
    if direct:
        assert rows["factor_id"][0].as_py().endswith("/AU-NSW/2024-2025")


def test_of_two_publishers_the_one_named_first_goes_before() -> None:
    for first, other, direct in (("google_cloud", "uk_government", "109.39"), ("uk_government", "google_cloud", "177")):
        found = [factor for factor in of_publishers(first, other).every(("GB",)) if factor.year == 2025]
        assert [factor.direct_gco2e_per_kwh for factor in found] == [Decimal(direct)]


def test_the_edition_published_last_applies_and_the_older_one_stays_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    (now,) = (row for row in published_intensities("uk_government") if row.year == 2025)
    revised = replace(now, edition="2025 revised", published="2026-06", direct_gco2e_per_kwh=Decimal(170))
    known = every_edition("uk_government")
    before = of_publishers("uk_government").code_version
    for rows in ((*known, revised), (revised, *known)):
        monkeypatch.setattr(published_tables, "every_edition", lambda publisher, rows=rows: rows)
        assert [row for row in published_intensities("uk_government") if row.year == 2025] == [revised]
        assert superseded_intensities("uk_government") == (now,)
        assert of_publishers("uk_government").code_version != before, "days collected before are collected again"


def test_a_month_has_no_other_beginning() -> None:
    with pytest.raises(ValidationError, match="leave `begins` out"):
        of({**UBA, "month": 5, "begins": 7})


def test_doctor_says_what_is_stated_and_what_is_not(step: StepContext) -> None:
    (whole,) = of(UBA).check(step)
    assert whole.ok
    assert whole.what == "DE: 2024 (UBA, CC 13/2025)"
    (direct,) = of({**UBA, "lifecycle_gco2e_per_kwh": None}).check(step)
    assert "upstream emissions are not known" in direct.what
    (old,) = of({**UBA, "year": 2022}).check(step)
    assert (old.ok, "too old for 2026" in old.what) == (False, True)
    (exchanged,) = of({**UBA, "direct_gco2e_per_kwh": 428}).check(step)
    assert not exchanged.ok
    assert [seen.zone for seen in of(UBA).observe(step)] == ["DE"]


def test_a_site_without_an_account_has_grams_of_the_fourth_tier(tmp_path: Path) -> None:
    block = """
  - name: factors
    kind: grid_factors
    factors:
      - {zone: DE, year: 2024, direct_gco2e_per_kwh: 363, lifecycle_gco2e_per_kwh: 427, source: "UBA, CC 13/2025"}
"""
    grid = '  - {name: grid, kind: intensity_files, path: "grid/*.csv"}\n'
    path = write_site(tmp_path, DayRange(date(2024, 5, 30), date(2024, 5, 30)), SITE.replace(grid, block[1:]))
    site = load_site(path)
    assert run_days(site, DayRange(date(2024, 5, 30), date(2024, 5, 30)), lambda step: None).success
    rows = ask(site, "select factor_id, factor_tier, factor_resolution, sum(location_g), sum(upstream_g), "
               "sum(facility_kwh) from emissions group by all")[1]  # fmt: skip
    ((factor, tier, resolution, location, upstream, kwh),) = rows
    assert (factor, tier, resolution) == ("UBA,_CC_13_2025/DE/2024", 4, "year")
    assert (location, upstream) == (kwh * 363, kwh * 64)
    said = {chapter.name: chapter.findings for chapter in examine(site)}
    assert all(finding.ok for finding in said["factors"])


@pytest.mark.parametrize(
    ("direct", "lifecycle", "told"),
    [
        ("0.363", None, True),
        ("0.363", "0.427", True),
        (None, "0.427", True),
        ("363", "0.427", True),
        ("0.363", "427", True),
        ("0.363", "24", False),
        ("0", "24", False),
        ("0", "0", True),
        (None, "0", True),
        ("0", None, False),
        ("3", None, False),
        ("363", "427", False),
    ],
)
def test_factors_that_look_like_kilograms_are_told_by_run_and_doctor(
    step: StepContext, direct: str | None, lifecycle: str | None, told: bool
) -> None:
    values = {"direct_gco2e_per_kwh": direct, "lifecycle_gco2e_per_kwh": lifecycle}
    source = of({**UBA, **values}, {**UBA, "zone": "FR"})
    _, notes = rows_of(source, DayRange(date(2024, 5, 9), date(2024, 5, 10)), step)
    assert notes == ({"factors_like_kilograms": 2} if told else {})
    assert WORDS["factors_like_kilograms"].hole
    bad = [finding for finding in source.check(replace(step, now=datetime(2025, 1, 1, tzinfo=UTC))) if not finding.ok]
    kilograms = [finding for finding in bad if "factors_like_kilograms" in finding.notes]
    assert len(kilograms) == told
    if told:
        assert kilograms[0].what.startswith("DE 2024: ")

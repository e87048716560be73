"""A factor that becomes another one restates the days it is of, and says so: which factor, from what, by how much."""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import ibis
import pytest
from click.testing import CliRunner

from energy_assets.cli import main
from energy_assets.factor_changes import outdated_days, record, restated_by_factors
from energy_assets.factor_listing import applied
from energy_assets.factors.changes import factor_changes
from energy_assets.lake import Lake
from energy_assets.periods import DayRange, Period
from energy_assets.query import ask
from energy_assets.running import run_days, run_report
from energy_assets.site import Site, load_site
from energy_assets.tables import EMISSIONS, FACTORS_APPLIED
from energy_assets_tests.factor_site import YEARS, factor_site, revised

NEW_YEAR = DayRange(date(2025, 1, 1), date(2025, 1, 2))


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("years")
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("DAGSTER_HOME", raising=False)
        assert run_days(factor_site(folder), YEARS, lambda step: None).success
    return folder


@pytest.fixture
def site(run_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site of its own whose days were run."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    shutil.copytree(run_once, tmp_path, dirs_exist_ok=True)
    return load_site(tmp_path / "site.yaml")


def pue_of_hours(site: Site) -> list[tuple[str, float, float]]:
    rows = ask(
        site,
        "select strftime(hour, '%Y-%m-%d %H'), pue::double, location_g::double from emissions "
        "where hour in (timestamp '2024-12-31 23:00', timestamp '2025-01-01 00:00') order by hour",
    )
    return rows[1]  # type: ignore[return-value]


def test_the_hours_before_and_after_midnight_of_new_year_meet_the_pue_of_their_own_years(site: Site) -> None:
    """1 kWh each, at 20 g/kWh: x 1.10 is 22 g in 2024, x 1.09 is 21.8 g in 2025."""
    assert pue_of_hours(site) == [
        ("2024-12-31 23", 1.1, pytest.approx(22.0)),
        ("2025-01-01 00", 1.09, pytest.approx(21.8)),
    ]


def test_a_day_records_which_factor_it_met_of_which_edition(site: Site) -> None:
    columns = "day::text, value, edition, state, said_by"
    found = ask(site, f"select {columns} from factors_applied where factor = 'PUE' order by day")[1]
    assert [row[:4] for row in found] == [
        ("2024-12-30", "1.1", "2024", "applies"),
        ("2024-12-31", "1.1", "2024", "applies"),
        ("2025-01-01", "1.09", "2025", "applies"),
        ("2025-01-02", "1.09", "2025", "applies"),
    ]
    assert all(row[4].startswith("pue.csv: AWS") for row in found)


def test_a_newer_edition_restates_its_own_days_and_no_other_and_says_so(site: Site) -> None:
    before, old = record(site), Lake(site.disk())
    untouched = {table.name: old.fingerprints(table.name) for table in (FACTORS_APPLIED, EMISSIONS)}
    with revised("1.2"):
        assert outdated_days(site, applied(site)) == list(NEW_YEAR)
        outcome = run_days(site, YEARS, lambda step: None)
        assert outdated_days(site, applied(site)) == []
    assert outcome.success
    for name, fingerprints in untouched.items():
        now = Lake(site.disk()).fingerprints(name)
        assert [day for day in YEARS if now[day] != fingerprints[day]] == list(NEW_YEAR), name

    changes, figures = restated_by_factors(site, before)
    (pue,) = changes
    assert (pue.factor, pue.of, pue.days) == ("PUE", "aws eu-north-1", (NEW_YEAR,))
    assert pue.reason == "factor edition: PUE of aws eu-north-1 1.09 → 1.2 kWh/kWh (pue.csv: AWS, revised (2025))"
    sums = {one.column: (one.old, one.new) for one in figures}
    assert sums["location_g"] == (48 * 20 * Decimal("1.09"), 48 * 20 * Decimal("1.2"))
    assert sums["facility_kwh"] == (48 * Decimal("1.09"), 48 * Decimal("1.2"))
    said = [one.says for one in outcome.restated]
    assert said[0] == pue.reason
    assert "location-based of scope3.1 1.046 → 1.152 kg (+10.09 %)" in said[1]
    assert not any(one.hole for one in outcome.restated)


def test_a_report_made_again_names_the_factor_as_the_reason(site: Site) -> None:
    january = Period.parse("2025-01")
    assert run_report(site, january, lambda step: None).success
    with revised("1.2"):
        assert run_days(site, NEW_YEAR, lambda step: None).success
        outcome = run_report(site, january, lambda step: None)
    assert outcome.success
    (said,) = [one.says for one in outcome.restated if "restates the edition" in one.says]
    assert "Factor edition (PUE of aws eu-north-1 1.09 → 1.2 kWh/kWh (pue.csv: AWS, revised (2025)))" in said


def test_a_run_with_the_same_factors_restates_nothing(site: Site) -> None:
    before = record(site)
    assert run_days(site, YEARS, lambda step: None).restated == []
    assert restated_by_factors(site, before) == ([], [])


def test_a_line_of_site_yaml_goes_before_our_table_and_restates_what_it_is_of(site: Site) -> None:
    own = "places: [{provider: aws, region: eu-north-1, pue: 1.3, valid_from: 2025-01-02}]"
    changed = factor_site(site.folder, own)
    assert outdated_days(changed, applied(changed)) == [date(2025, 1, 2)]
    outcome = run_days(changed, YEARS, lambda step: None)
    # The block of the source names the region alone, so `places` states the PUE.
    assert outcome.restated[0].says == (
        "factor edition: PUE of aws eu-north-1 1.09 → 1.3 kWh/kWh (site.yaml places[0])"
    )
    assert [day for day, pue in ask(changed, "select distinct day, pue::double from emissions")[1] if pue == 1.3] == [
        date(2025, 1, 2)
    ]


def test_the_listing_shows_what_applies_what_is_carried_and_what_was_superseded(site: Site) -> None:
    with revised("1.2"):
        listed = [one for one in applied(site) if one.factor == "PUE"]
        told = CliRunner().invoke(main, ["factors", "--site", str(site.file)])
    assert [(one.value, one.since, one.until, one.edition, one.state) for one in listed] == [
        ("1.1", "2024-01-01", "2024-12-31", "2024 (published 2025-07)", "applies"),
        ("1.2", "2025-01-01", "2025-12-31", "2025 (published 2027-01)", "applies"),
        ("1.09", "2025-01-01", "2025-12-31", "2025 (published 2026-07)", "superseded"),
    ]
    assert told.exit_code == 0
    assert "2 days made with other factors than those that apply now" in told.stderr
    assert "--from 2025-01-01 --to 2025-01-02" in told.stderr


def record_of(*rows: tuple[str, str, str | None, str]) -> ibis.Table:
    """Rows of PUE: day, what it is of, value, who says so."""
    schema = {"day": "date", "factor": "string", "of": "string", "value": "string", "unit": "string",
              "edition": "string", "state": "string", "said_by": "string"}  # fmt: skip
    lines = [
        {"day": date.fromisoformat(day), "factor": "PUE", "of": of, "value": value, "unit": "kWh/kWh",
         "edition": None, "state": "applies", "said_by": by} for day, of, value, by in rows
    ]  # fmt: skip
    return ibis.memtable(lines, schema=ibis.schema(schema))


def test_changes_are_of_days_that_both_records_have() -> None:
    old = record_of(("2025-01-01", "a", "1.1", "x"), ("2025-01-02", "a", "1.1", "x"), ("2025-01-05", "a", "1.1", "x"))
    new = record_of(("2025-01-01", "a", "1.2", "x"), ("2025-01-02", "a", "1.2", "x"), ("2025-01-09", "a", "1.3", "x"))
    (change,) = factor_changes(old, new)
    assert [str(span) for span in change.days] == [str(DayRange(date(2025, 1, 1), date(2025, 1, 2)))]
    assert change.changes_value
    assert factor_changes(old, old) == []


def test_what_becomes_known_or_unknown_or_only_another_edition_is_told_as_that() -> None:
    unknown, known = record_of(("2025-01-01", "a", None, "x")), record_of(("2025-01-01", "a", "1.2", "y"))
    assert factor_changes(unknown, known)[0].reason == "factor edition: PUE of a unknown → 1.2 kWh/kWh (y)"
    other = record_of(("2025-01-01", "a", "1.2", "z"))
    (same,) = factor_changes(known, other)
    assert (same.changes_value, same.reason) == (False, "factor edition: PUE of a 1.2 kWh/kWh stays (z)")


def test_what_comes_or_goes_with_the_data_is_no_change_of_a_factor() -> None:
    one, other = record_of(("2025-01-01", "a", "1.2", "y")), record_of(("2025-01-01", "b", "1.3", "y"))
    assert factor_changes(one, other) == []
    assert factor_changes(one, record_of(("2025-01-01", "a", "1.2", "y"), ("2025-01-01", "b", "1.3", "y"))) == []


def test_a_line_for_one_account_of_a_region_is_a_change_of_that_region() -> None:
    one = record_of(("2025-01-01", "a", "1.2", "y"))
    both = record_of(("2025-01-01", "a", "1.2", "y"), ("2025-01-01", "a", "1.3", "site.yaml places[0]"))
    assert [change.reason for change in factor_changes(one, both)] == [
        "factor edition: PUE of a none → 1.3 kWh/kWh (site.yaml places[0])"
    ]
    assert [change.reason for change in factor_changes(both, one)] == ["factor edition: PUE of a 1.3 → none kWh/kWh"]


def test_another_unit_is_another_value() -> None:
    old, new = record_of(("2025-01-01", "a", "1500", "y")), record_of(("2025-01-01", "a", "1500", "y"))
    (change,) = factor_changes(
        old.mutate(unit=ibis.literal("kg over 4 years")), new.mutate(unit=ibis.literal("kg over 6 years"))
    )
    assert change.changes_value
    assert change.said == "PUE of a 1500 kg over 4 years → 1500 kg over 6 years (y)"

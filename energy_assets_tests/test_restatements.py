"""Editions, restatements and `--as-of`, from the outside: a site that reports, gets other data, and reports again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from energy_assets.cli import main
from energy_assets.disclosures import gathering
from energy_assets.disclosures.editions import Cause, Fact, ReportEdition, keys, read_editions
from energy_assets.disclosures.places import report_folder
from energy_assets.disclosures.restating import comparable, in_words, restatements
from energy_assets.periods import DayRange, Period
from energy_assets.restatement_table import restatement_rows
from energy_assets.running import run_days, run_report
from energy_assets.site import Site, load_site
from energy_assets_tests.small_site import DAYS, SITE, SmallRun, write_site

MAY = Period.parse("2024-05")
PROFILE = "ml_sustainability"
CHANGED = date(2024, 5, 31)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def report(site: Site) -> None:
    assert run_report(site, MAY, lambda step: None).success


def files_of(folder: Path) -> dict[str, str]:
    """Every file but the one that says which run made it."""
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "build.json"}
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def editions(site: Site) -> list[ReportEdition]:
    return read_editions(site.disk().store(), PROFILE, str(MAY))


def moment() -> str:
    """Now, as `--as-of` takes it; what comes after it comes a little later."""
    said = datetime.now(UTC).isoformat(timespec="microseconds")
    time.sleep(0.01)
    return said


def rows(site: Site, *more: str) -> list[dict[str, str]]:
    made = call("restatements", "--site", site.file, *more)
    assert made.exit_code == 0, made.output
    return list(csv.DictReader(io.StringIO(made.stdout)))


class Story:
    """A site that reported, got other readings of a day, and reported again."""

    def __init__(self, site: Site, nothing: str) -> None:
        self.site, self.nothing = site, nothing
        self.first = files_of(report_folder(self.site, PROFILE, MAY))
        self.then = moment()
        meters = site.folder / f"meters/{CHANGED}.csv"
        meters.write_text(meters.read_text().replace(",600", ",660"))
        assert run_days(self.site, DayRange(CHANGED, CHANGED), lambda step: None).success
        self.between = moment()
        report(self.site)
        self.second = files_of(report_folder(self.site, PROFILE, MAY))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, str]:
    """A site with a report, and a moment before that was made."""
    site = SmallRun.of(tmp_path_factory.mktemp("first")).site
    nothing = moment()
    report(site)
    return site, nothing


@pytest.fixture(scope="module")
def story(first: tuple[Site, str], tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(copy_of(first[0], tmp_path_factory.mktemp("story")), first[1])


@pytest.fixture
def reported(first: tuple[Site, str], tmp_path: Path) -> Site:
    """A copy of a site with a report, whose files a test may change."""
    return copy_of(first[0], tmp_path)


def copy_of(site: Site, folder: Path) -> Site:
    shutil.copytree(site.folder, folder / "site")
    return load_site(folder / "site/site.yaml")


def test_each_report_that_differs_is_an_edition_and_one_that_does_not_is_none(story: Story) -> None:
    before = editions(story.site)
    assert [len(one.facts) > 100 for one in before] == [True, True]
    assert [dict(one.files) for one in before] == [story.first, story.second]
    report(story.site)
    assert files_of(report_folder(story.site, PROFILE, MAY)) == story.second, "the edition before changes no byte"
    assert editions(story.site) == before


def test_a_restated_figure_has_its_old_value_its_new_one_and_why(story: Story) -> None:
    """n1 drew 600 W and now 660 W all day but for the last quarter: 23.875 h x 60 W = 1.4325 kWh more, PUE 1.25."""
    (energy,) = [row for row in rows(story.site) if (row["metric"], row["dimension"]) == ("energy_kwh", "total")]
    assert (energy["old_value"], energy["new_value"], energy["difference"]) == ("40.32", "41.7525", "1.4325")
    assert energy["unit"] == "kWh"
    assert energy["reasons"] == "late_data"
    assert energy["why"] == f"Late data (meters: 1 day ({CHANGED}) changed)"
    (facility,) = [row for row in rows(story.site) if (row["metric"], row["dimension"]) == ("facility_kwh", "total")]
    assert Decimal(facility["difference"]) == Decimal("1.4325") * Decimal("1.25")
    untouched = {"billed_cost", "coverage"}
    assert not untouched & {row["metric"] for row in rows(story.site)}
    assert rows(story.site, "--period", "2024-06") == []
    assert rows(story.site, "--as-of", story.then) == []


def test_the_ledger_is_a_table_that_can_be_asked(story: Story) -> None:
    query = "select old_value, new_value from restatements where metric = 'energy_kwh' and dimension = 'total'"
    assert call("sql", "--site", story.site.file, query).stdout == "old_value,new_value\n40.32,41.7525\n"
    assert "restatements" in call("sql", "--site", story.site.file, "show tables").stdout.split()


def test_the_report_prints_what_it_restates(story: Story) -> None:
    folder = report_folder(story.site, PROFILE, MAY)
    figures = {one["id"]: one for one in json.loads((folder / "figures.json").read_text())["figures"]}
    (section,) = [one for one in json.loads((folder / "document.json").read_text())["sections"]
                  if one["id"] == "restatements"]  # fmt: skip
    (table,) = [block for block in section["blocks"] if block["type"] == "table"]
    (row,) = [row for row in table["rows"] if row[0] == ["Electricity, facility"]]
    old, new, difference = (figures[row[n][0]["figure"]] for n in (2, 3, 4))
    assert (old["value"], new["value"], difference["value"]) == ("50.4", "52.190625", "1.790625")
    assert (old["operation"], difference["parents"]) == ("setting", [new["id"], old["id"]])
    assert row[5] == [f"Late data (meters: 1 day ({CHANGED}) changed)"]
    traced = call("trace", folder, difference["id"])
    assert traced.exit_code == 0, traced.output


def test_as_of_then_is_the_report_of_then_byte_for_byte(story: Story) -> None:
    made = call("report", "--site", story.site.file, "--period", MAY, "--as-of", story.then)
    assert made.exit_code == 0, made.output
    assert "Equal, byte for byte, to the edition made at " in made.stdout
    (folder,) = (Path(story.site.disk().root) / "as-of").glob(f"*/{PROFILE}/{MAY}")
    assert files_of(folder) == story.first
    assert files_of(report_folder(story.site, PROFILE, MAY)) == story.second, "the report of now stays"
    assert call("trace", folder, "F-001").exit_code == 0, "its figures are followed in the tables of then"
    assert len(editions(story.site)) == 2, "and nothing was published"


def test_as_of_a_moment_between_two_reports_has_the_data_of_then(story: Story) -> None:
    made = call("report", "--site", story.site.file, "--period", MAY, "--as-of", story.between)
    assert "Not equal to the edition made at" in made.stdout
    assert f"meters: 1 day ({CHANGED}) changed, after that edition" in " ".join(made.stdout.split())
    made = call("report", "--site", story.site.file, "--period", MAY, "--as-of", story.nothing)
    assert "No edition of this report had been made by then" in made.stdout
    made = call("report", "--site", story.site.file, "--period", MAY, "--as-of", "2024-06-01")
    assert made.exit_code == 1
    assert "nothing of 2024-05 was known before 2024-06-02 00:00:00 UTC" in made.stderr


def test_a_query_as_of_then_reads_the_tables_of_then(story: Story) -> None:
    query = "select sum(energy_kwh) as kwh from energy"
    asked = [
        call("sql", "--site", story.site.file, "--as-of", when, query).stdout for when in (story.then, story.between)
    ]
    assert asked == ["kwh\n60.27\n", "kwh\n61.7025\n"]
    none = call("sql", "--site", story.site.file, "--as-of", "2024-06-01", query)
    assert "There is no table energy" in none.stderr


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "2999-01-01", "2024-05"])
def test_what_is_no_moment_is_refused_with_how_to_write_one(text: str) -> None:
    made = call("sql", "--as-of", text, "select 1")
    assert made.exit_code == 2
    assert "--as-of" in made.stderr
    assert text in made.stderr


def test_a_damaged_record_is_said_and_can_be_set_aside(story: Story, tmp_path: Path) -> None:
    site = copy_of(story.site, tmp_path)
    key = keys(site.disk().store())[0]
    (Path(site.disk().root) / key).write_text("{}")
    refused = call("restatements", "--site", site.file)
    assert refused.exit_code == 1
    assert f"the record {key} of an edition of a report is not what was written" in refused.stderr
    found = call("repair", "--site", site.file, "--set-aside")
    assert f"record {key} of an edition of a report (what it said is lost)" in found.stdout
    assert rows(site) == []


def test_a_revised_grid_reaches_grams_and_no_energy(reported: Site) -> None:
    grid = reported.folder / "grid/DE.csv"
    head, *lines = grid.read_text().splitlines()
    changed = [line.replace(",230,", ",330,") if line.startswith("2024-05-30 00") else line for line in lines]
    assert changed != lines
    grid.write_text("\n".join([head, *changed]) + "\n")
    assert run_days(reported, DAYS, lambda step: None).success
    report(reported)
    found = {row["metric"]: row for row in rows(reported) if row["dimension"] == "total"}
    assert "energy_kwh" not in found
    # 0.84 kWh in the hour x PUE 1.25 x 100 g
    assert Decimal(found["scope2_location_g"]["difference"]) == Decimal("105")
    assert found["scope2_location_g"]["reasons"] == "revised_grid"


def test_a_change_of_the_site_file_is_a_reason_that_names_the_key(reported: Site) -> None:
    reported.file.write_text(SITE.replace("pue: 1.25", "pue: 1.5"))
    site = load_site(reported.file)
    assert run_days(site, DAYS, lambda step: None).success
    report(site)
    found = {row["metric"]: row for row in rows(site) if row["dimension"] == "total"}
    assert (found["facility_kwh"]["old_value"], found["facility_kwh"]["new_value"]) == ("50.4", "60.48")
    assert found["facility_kwh"]["why"] == (
        "Factor edition (PUE of onprem r1 1.25 → 1.5 kWh/kWh (place of the source meters)), Site file (sources: meters)"
    )


def test_a_period_that_was_still_growing_restates_nothing(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path))
    assert run_days(site, DayRange(DAYS.first, DAYS.first), lambda step: None).success
    report(site)
    assert run_days(site, DAYS, lambda step: None).success
    report(site)
    assert [one.days for one in editions(site)] == [("2024-05-30",), ("2024-05-30", "2024-05-31")]
    assert rows(site) == []


def test_another_release_is_a_reason_and_the_site_file_of_then_is_kept(
    reported: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = moment()
    reported.file.write_text(SITE.replace("Small AI", "Renamed AI"))
    renamed = load_site(reported.file)
    made = call("report", "--site", renamed.file, "--period", MAY, "--as-of", then)
    assert "Equal, byte for byte" in made.stdout, "the name is that of then"
    monkeypatch.setattr(gathering, "__version__", "99.0.0")
    made = call("report", "--site", renamed.file, "--period", MAY, "--as-of", then)
    assert "Not equal" in made.stdout
    assert "this is 99.0.0" in " ".join(made.stdout.split())


def test_editions_of_the_same_days_are_compared_and_others_only_with_a_whole_one() -> None:
    one: Any = replace(_EDITION, days=("2024-05-30",), complete=False)
    more = replace(_EDITION, days=("2024-05-30", "2024-05-31"), complete=False)
    assert comparable(one, one)
    assert not comparable(one, more)
    assert comparable(replace(more, complete=True), one)


def edition(value: str | None, *days: str, complete: bool = False, cause: str = "") -> ReportEdition:
    span = ("2024-05-01", "2024-05-31")
    facts = tuple(Fact("F-001", name, name, span, cut, "row", value, "kWh", ("emissions.energy_kwh",))
                  for name, cut in (("m", {}), ("m", {"project": "a"}), ("m", {"project": "b"})))  # fmt: skip
    causes = (Cause("late_data", cause, "energy"),) if cause else ()
    at = f"2024-06-{len(cause) + 1:02d}T00:00:00+00:00"
    return replace(_EDITION, days=days, complete=complete, facts=facts, causes=causes, made_at=at)


def test_an_edition_that_lacks_a_day_between_two_whole_ones_hides_no_restatement() -> None:
    whole, again = edition("1", "d1", "d2", complete=True), edition("2", "d1", "d2", complete=True, cause="bb")
    between = edition("1", "d1", cause="a")
    total, *_ = restatements([whole, between, again])
    assert (total.old.value, total.new and total.new.value) == ("1", "2")
    assert [one.says for one in total.causes] == ["a", "bb"], "of both steps"


def test_a_sentence_counts_what_it_does_not_name() -> None:
    found = list(restatements([edition("1", "d1"), edition("2", "d1", cause="a")]))
    assert len(found) == 3
    assert "m 1, now 2 kWh and 2 more figures. Why: Late data (a)" in in_words(found)


@pytest.mark.parametrize("value", ["1e24", "12345678901234567890.123456789012", "-0.000000000001"])
def test_large_and_small_values_are_kept_exactly(value: str) -> None:
    found = list(restatements([edition("0", "d1"), edition(value, "d1", cause="a")]))
    row = restatement_rows(found).to_pylist()[0]
    assert (row["new_value"], row["difference"]) == (Decimal(value), Decimal(value))


_EDITION = ReportEdition("p", "2024-05", "", {}, (), False, {}, None, ())  # type: ignore[arg-type]

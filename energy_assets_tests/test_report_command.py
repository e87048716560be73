"""What `report` and `trace` say of a report that is not whole, not sound, or no longer what was written."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from energy_assets import report_holes
from energy_assets.cli import main
from energy_assets.disclosures.places import report_folder
from energy_assets.periods import DayRange, Period
from energy_assets.report_holes import report_remarks
from energy_assets.running import Outcome, run_report
from energy_assets.site import Site, load_site
from energy_assets_tests.small_site import DAYS, SmallRun

MAY = Period.parse("2024-05")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = SmallRun.of(tmp_path_factory.mktemp("small"))
    assert run_report(made.site, MAY, lambda step: None).success
    return made.site


@pytest.fixture
def site(reported: Site, tmp_path: Path) -> Site:
    """A copy of a site with a report, which a test may damage."""
    shutil.copytree(reported.folder, tmp_path / "site")
    return load_site(tmp_path / "site/site.yaml")


def folder_of(site: Site) -> Path:
    return report_folder(site, "ml_sustainability", MAY)


def raw_object(site: Site) -> Path:
    """Readings of the last day of May."""
    edition = site.disk().landing().edition("meters", date(2024, 5, 31))
    assert edition
    sha256 = edition.objects[0].sha256
    return Path(site.disk().root) / f"landing/objects/{sha256[:2]}/{sha256}.zst"


def flip(path: Path) -> None:
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(bytes(stored))


def test_a_report_whose_figures_rest_on_damaged_bytes_is_said_to_and_fails(site: Site) -> None:
    flip(raw_object(site))
    made = call("report", "--site", site.file, "--period", MAY)
    assert made.exit_code == 1, made.output
    assert (
        "✗ disclosure/ml_sustainability: every_figure_recomputes: 2024-05: made of damaged bytes: F-001" in made.stderr
    )
    assert f"repair --site {site.file}" in made.stderr
    assert "Next:" not in made.stdout
    traced = call("trace", folder_of(site), "F-001")
    assert traced.exit_code == 1
    assert "F-001 is made of bytes that are damaged" in traced.stderr
    assert "DAMAGED" in traced.stdout


def test_a_sound_figure_ends_with_zero(site: Site) -> None:
    traced = call("trace", folder_of(site), "F-001")
    assert traced.exit_code == 0
    assert traced.stderr == ""
    whole = json.loads(call("trace", folder_of(site), "F-001", "--json").stdout)
    assert whole["changed_files"] == {}


def test_the_raw_objects_of_a_figure_are_a_table(site: Site) -> None:
    """Each once, with the file that holds it; its name is what `--bytes` takes."""
    traced = call("trace", folder_of(site), "F-001", "--csv", "objects")
    assert (traced.exit_code, traced.stderr) == (0, "")
    rows = list(csv.DictReader(traced.stdout.splitlines()))
    assert [row["sha256"] for row in rows].count(raw_object(site).stem) == 1
    assert {row["source"] for row in rows} == {"meters"}
    assert {row["stored_bytes"] for row in rows} == {"ok"}
    assert all((Path(site.disk().root) / row["lies_at"]).exists() for row in rows)
    short = call("trace", folder_of(site), "F-001").stdout
    assert f"objects     {len(rows)} raw objects" in short
    assert "F-001 --csv objects" in short
    flip(raw_object(site))
    damaged = call("trace", folder_of(site), "F-001", "--csv", "objects")
    assert damaged.exit_code == 1
    assert "made of bytes that are damaged" in damaged.stderr
    said = {row["sha256"]: row["stored_bytes"] for row in csv.DictReader(damaged.stdout.splitlines())}
    assert [name for name, words in said.items() if words != "ok"] == [raw_object(site).stem]


def test_two_outputs_at_once_are_refused(site: Site) -> None:
    both = call("trace", folder_of(site), "F-001", "--json", "--csv", "objects")
    assert both.exit_code == 2
    assert both.stderr.strip() == "--json and --csv ask for different output; give one of them."


def test_a_printed_number_that_is_not_that_of_the_exact_value_is_found(site: Site) -> None:
    path = folder_of(site) / "figures.json"
    path.write_text(path.read_text("utf-8").replace('"50.4000"', '"50.5000"').replace('"50.40"', '"50.50"'), "utf-8")
    traced = call("trace", folder_of(site), "F-001")
    assert traced.exit_code == 1
    assert "DIFFERS: the exact value prints as 50.4" in " ".join(traced.stdout.split())
    assert f"{path}: its bytes are not those that were written" in traced.stderr
    assert "F-001 does not follow from what is stored" in traced.stderr


@pytest.mark.parametrize("lose", [flip, Path.unlink])
@pytest.mark.parametrize("name", ["report.pdf", "report.xhtml", "facts.csv", "trace.xhtml", "build.json"])
def test_a_file_of_a_report_that_is_another_one_is_found_by_trace_and_repair(
    site: Site, name: str, lose: Callable[[Path], None]
) -> None:
    lose(folder_of(site) / name)
    traced = call("trace", "--site", site.file, folder_of(site), "F-001")
    assert traced.exit_code == (2 if (name, lose) == ("build.json", Path.unlink) else 1), traced.output
    assert name in traced.stderr
    found = call("repair", "--site", site.file)
    assert found.exit_code == 1
    assert f"report ml_sustainability of 2024-05: {folder_of(site) / name}: " in found.stdout
    assert f"report --site {site.file} --period 2024-05" in found.stdout.split("Make the reports again:")[1]
    assert call("report", "--site", site.file, "--period", MAY).exit_code == 0
    assert call("repair", "--site", site.file).exit_code == 0


def test_a_build_that_names_another_site_or_version_is_not_believed(site: Site) -> None:
    path = folder_of(site) / "build.json"
    path.write_text(path.read_text("utf-8").replace('"emissions": 0', '"emissions": 1'), "utf-8")
    traced = call("trace", "--site", site.file, folder_of(site), "F-001")
    assert traced.exit_code == 1
    assert "build.json: its bytes are not those that were written" in traced.stderr


def test_a_report_made_before_its_files_were_recorded_can_still_be_traced(site: Site) -> None:
    path = folder_of(site) / "build.json"
    build = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({key: value for key, value in build.items() if key not in {"files", "sha256"}}), "utf-8")
    assert call("trace", folder_of(site), "F-001").exit_code == 0
    assert call("repair", "--site", site.file).exit_code == 0


def test_damaged_rows_end_a_trace_with_one(site: Site) -> None:
    for path in (Path(site.disk().root) / "lake/emissions").rglob("*.parquet"):
        flip(path)
    traced = call("trace", folder_of(site), "F-001")
    assert traced.exit_code == 1
    assert "cannot be traced, for what it was made of is damaged" in traced.stderr


def said(site: Site, monkeypatch: pytest.MonkeyPatch, last: str, *, whole: bool = True) -> list[tuple[str, bool, str]]:
    """What is said of the days of a report when a day is the last complete one."""
    monkeypatch.setattr(report_holes, "last_complete_day", lambda: date.fromisoformat(last))
    found = report_remarks(site, Period.parse("2024-06"), [], Outcome(), whole=whole)
    return [(one.says, one.hole, one.remedy) for one in found]


def test_days_that_could_be_run_are_holes_of_a_report(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ((says, hole, remedy),) = said(site, monkeypatch, "2024-06-03")
    assert (says, hole) == ("1 of its 30 days have data", True)
    assert remedy.endswith(f"run --site {site.file} --from 2024-06-02 --to 2024-06-03")


def test_days_that_are_not_over_are_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ((says, hole, _),) = said(site, monkeypatch, "2024-06-01")
    assert (says, hole) == ("1 of its 30 days have data: the last complete day is 2024-06-01", False)


def test_a_run_of_some_days_with_its_report_tells_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ((says, hole, _),) = said(site, monkeypatch, "2024-06-30", whole=False)
    assert (says, hole) == (f"1 of its 30 days have data: {DayRange(DAYS.last, DAYS.last)}", False)


def test_what_checks_of_a_report_warn_of_counts_as_a_hole(site: Site) -> None:
    about = "disclosure/ml_sustainability"
    warnings = [f"{about}: figures_are_plausible: 2024-05: outside the limits: DE",
                f"{about}: period_is_complete: 2024-05: 2 of 31 days have data"]  # fmt: skip
    outcome = Outcome(warnings=warnings)
    _, found = report_remarks(site, MAY, [], outcome, whole=False)
    assert (found.about, found.says, found.hole) == (
        about, "figures_are_plausible: 2024-05: outside the limits: DE", True,
    )  # fmt: skip
    assert "unit" in found.remedy


def test_report_of_a_month_of_which_days_are_missing_ends_with_three(site: Site) -> None:
    made = call("report", "--site", site.file, "--period", "2024-06")
    assert made.exit_code == 3, made.output
    assert "! report of 2024-06: 1 of its 30 days have data (2024-06-02 to 2024-06-30)" in made.stdout

"""The command line: what a person reads, and the exit code a script reads."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from energy_assets import cli, screen
from energy_assets.cli import main
from energy_assets.disclosures.asset import no_indicators
from energy_assets.periods import Period
from energy_assets.site import SITE_VARIABLE, load_site
from energy_assets_tests.small_site import DAYS, GRID_ONLY, SmallRun, write_site


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", SITE_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return list(csv.reader(io.StringIO(result.stdout)))


def test_sql_in_a_pipe_is_csv_with_every_digit(small_run: SmallRun) -> None:
    query = (
        "select day, billed_cost, null as nothing, 0::decimal(18, 9) as zero, project from cost order by all limit 2"
    )
    result = call("sql", "--site", small_run.path, query)
    assert rows(result) == [
        ["day", "billed_cost", "nothing", "zero", "project"],
        ["2024-05-30", "1.000000000000000001", "", "0", "<script>lab</script>"],
        ["2024-05-30", "2.5", "", "0", "unknown"],
    ]
    assert "\r" not in result.stdout


def test_sql_finds_the_site_in_the_environment(small_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SITE_VARIABLE, str(small_run.path))
    (_, (kwh,)) = rows(call("sql", "select sum(energy_kwh) from energy where day = '2024-05-30'"))
    assert Decimal(kwh) == Decimal("20.16")


@pytest.mark.parametrize("query", ["select nothing from energy", "select * from nowhere", "selec"])
def test_a_wrong_query_is_answered_with_the_tables_there_are(small_run: SmallRun, query: str) -> None:
    result = call("sql", "--site", small_run.path, query)
    assert result.exit_code == 2
    assert (
        "Tables: energy, cost, grid_intensity, factors_applied, emissions, emissions_market, kpis_daily, kpis_monthly, "
        "opportunities, raw_meters" in result.stderr
    )
    assert result.stdout == ""


def test_a_query_before_the_first_run_says_to_run_days_first(tmp_path: Path) -> None:
    result = call("sql", "--site", write_site(tmp_path), "select * from energy")
    assert result.exit_code == 2
    assert "none yet; run some days first" in result.stderr


def test_run_ends_with_the_next_command(tmp_path: Path) -> None:
    path = write_site(tmp_path, text=GRID_ONLY)
    result = call("run", "--site", path, "--from", DAYS.first)
    assert result.exit_code == 0, result.output
    assert f"Materializing 1 day ({DAYS.first})." in result.stdout
    assert f"energy-assets report --site {path} --period 2024-05" in result.stdout


def test_a_run_with_holes_says_them_and_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    path.write_text(path.read_text().replace("zone: DE", "zone: GERMANY"))
    meters = tmp_path / "meters/2024-05-31.csv"
    meters.write_text(meters.read_text() + "2024-05-31T05:00:00Z,,,100\n" * 2 + "2024-05-31T05:07:00Z,n1,,-5\n")
    result = call("run", "--site", path, "--from", DAYS.first, "--to", DAYS.last, "--report")
    assert result.exit_code == 3, result.output
    lines = result.stdout.splitlines()
    assert "! raw/meters: 2 readings name no node or device and were left out (2024-05-31)" in lines
    assert "· raw/meters: 1 negative reading was left out" in lines
    said = "! emissions/hourly: 144 rows (60.3 kWh) have no grid factor: zone GERMANY; intensity is known for DE"
    assert said in lines
    assert "zones_have_intensities" not in result.stdout, "told once"
    assert "! Scope 2 emissions, location-based: not in this report" in lines
    reports = [line.strip() for line in lines if "/var/reports/" in line]
    assert [Path(one).parent.name for one in reports if one.endswith("report.xhtml")] == ["2024-05", "2024-06"]
    assert reports[-1].endswith("2024-06/report.xhtml"), "the one to open is the last"
    assert all(Path(one).exists() for one in reports)
    assert lines[-1].startswith("Done, with holes: ")


def test_run_of_a_source_without_files_fails_and_says_how_to_go_on(tmp_path: Path) -> None:
    path = write_site(tmp_path, text=GRID_ONLY)
    (tmp_path / "grid/DE.csv").unlink()
    result = call("run", "--site", path, "--from", DAYS.first, "--to", DAYS.last)
    assert result.exit_code == 1
    assert "✗ raw/grid" in result.stderr
    assert "grid/*.csv: no file matches" in result.stderr
    assert "Correct `path` in site.yaml or put the files there." in result.stderr
    assert "What is good is published. When mended, go on with:" in result.stderr
    assert f"energy-assets run --site {path} --from 2024-05-30 --to 2024-06-01" in result.stderr


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2024-06-01", "2024-05-30", "--from and --to: the range ends (2024-05-30) before it begins"),
        ("2024-05-01", "2024-06-01", "the site starts on 2024-05-30"),
        ("2024-05-30", str(datetime.now(UTC).date()), "only complete days (UTC) can be run; the last one is"),
        ("yesterday", "2024-06-01", "write the day 'yesterday' as YYYY-MM-DD, for example"),
    ],
)
def test_days_that_cannot_be_run_are_refused(tmp_path: Path, first: str, last: str, said: str) -> None:
    result = call("run", "--site", write_site(tmp_path), "--from", first, "--to", last)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "var/lake").exists()


def test_a_wrong_site_file_is_answered_without_a_traceback(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    path.write_text(path.read_text().replace("zone: DE", "zon: DE"))
    for arguments in (
        ["run", "--from", "2024-05-30"],
        ["doctor"],
        ["sql", "select 1"],
        ["report", "--period", "2024-05"],
    ):
        result = call(arguments[0], "--site", path, *arguments[1:])
        assert result.exit_code == 2
        assert "sources[0].place.zon: unknown key; did you mean 'zone'?" in result.stderr
    assert call("sql", "--site", tmp_path / "absent.yaml", "select 1").exit_code == 2


def test_doctor_tells_source_by_source_and_fails_when_one_is_ill(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    well = call("doctor", "--site", path)
    assert well.exit_code == 0, well.output
    for source in ("meters", "grid", "bills"):
        assert source in well.stdout
    assert "✗" not in well.stdout
    assert not (tmp_path / "var/landing").exists(), "the doctor lands nothing"

    (tmp_path / "grid/DE.csv").write_text("no,export\n1,2\n")
    for bill in (tmp_path / "bills").iterdir():
        bill.unlink()
    ill = call("doctor", "--site", path)
    assert ill.exit_code == 1
    assert ill.stdout.count("✗") == 2
    assert "✓ meters/2024-05-30.csv" in ill.stdout
    assert "→ Correct `path` in site.yaml or put the files there." in ill.stdout


def test_init_writes_a_site_that_loads_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    first = call("init", path)
    assert first.exit_code == 0
    assert f"energy-assets doctor --site {path}" in first.stdout
    assert load_site(path).organisation.name == "Example AI"
    path.write_text("mine")
    again = call("init", path)
    assert (again.exit_code, path.read_text()) == (2, "mine")
    assert "exists already" in again.stderr


@pytest.mark.parametrize("period", ["May", "2024-13", "2024-Q5", "24"])
def test_what_is_no_period_is_answered_with_how_to_write_one(small_run: SmallRun, period: str) -> None:
    result = call("report", "--site", small_run.path, "--period", period)
    assert result.exit_code == 2
    assert "write a month as 2026-09, a quarter as 2026-Q3 (Q1 to Q4), a year as 2026" in " ".join(
        result.stderr.split()
    )


@pytest.mark.parametrize(
    ("period", "said"),
    [
        ("2024-04", "the first month it can report on is 2024-05"),
        ("2024-Q1", "the first quarter it can report on is 2024-Q2"),
        ("2023", "the first year it can report on is 2024"),
        ("9999", "has not begun yet; the last year there can be data of is"),
    ],
)
def test_a_period_without_partitions_is_refused(small_run: SmallRun, period: str, said: str) -> None:
    result = call("report", "--site", small_run.path, "--period", period)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("period", "days"),
    [("2024-07", "--from 2024-07-01 --to 2024-07-31"), ("2024-Q3", "--from 2024-07-01 --to 2024-09-30")],
)
def test_a_period_without_indicators_names_days_that_can_be_run(small_run: SmallRun, period: str, days: str) -> None:
    result = call("report", "--site", small_run.path, "--period", period)
    assert result.exit_code == 1
    assert f"{period} has no indicators" in result.stderr
    assert f"energy-assets run --site {small_run.path} {days}\n" in result.stderr


def test_the_remedy_is_clipped_to_the_days_that_can_be_run(small_run: SmallRun) -> None:
    def said(period: str, last: date) -> str:
        return no_indicators(small_run.site, Period.parse(period), last)

    assert said("2024", date(2026, 1, 1)).endswith("--from 2024-05-30 --to 2024-12-31")
    assert said("2024-05", date(2026, 1, 1)).endswith("--from 2024-05-30 --to 2024-05-31")
    assert said("2024", date(2024, 6, 7)).endswith("--from 2024-05-30 --to 2024-06-07")
    assert "none of its days can be run" in said("2024-07", date(2024, 6, 30))


@pytest.mark.parametrize("period", ["2024-06", "2024-Q2", "2024"])
def test_a_report_of_any_grain_is_made_through_dagster_and_can_be_traced(
    small_run: SmallRun, tmp_path: Path, period: str
) -> None:
    shutil.copytree(small_run.path.parent, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "site.yaml"
    made = call("report", "--site", path, "--period", period)
    # Days that were never run are a hole.
    assert made.exit_code == 3, made.output
    folder = tmp_path / "var/reports/ml_sustainability" / period
    assert {"report.pdf", "report.xhtml", "facts.csv", "trace.xhtml"} <= {path.name for path in folder.iterdir()}
    days = {"2024-06": "between '2024-06-01' and '2024-06-01'"}.get(period, "is not null")
    query = f"select sum(energy_kwh) from energy where day {days}"
    (_, (kwh,)) = rows(call("sql", "--site", path, query))
    listed = json.loads((folder / "figures.json").read_text())["figures"]
    whole = next(f for f in listed if f["metric"] == "energy_kwh" and not f["dimensions"])
    assert Decimal(whole["value"]) == Decimal(kwh)
    traced = call("trace", "--site", path, folder, whole["id"])
    assert traced.exit_code == 0
    assert "equal" in traced.stdout
    assert "differs" not in traced.stdout


@pytest.mark.parametrize("query", ["", " ", "copy energy to 'x.csv'", "select 1; select 2"])
def test_what_is_no_single_select_is_a_sentence(small_run: SmallRun, query: str) -> None:
    result = call("sql", "--site", small_run.path, query)
    assert result.exit_code == 2
    assert "Write one SELECT" in result.stderr
    assert not Path("x.csv").exists()


def test_wide_rows_are_printed_one_column_to_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "out", screen._Screen(highlight=False, emoji=False, width=80))
    columns = [f"column_{n}" for n in range(30)]
    cli._print_rows(columns, [[Decimal("1.50"), ":x: [b]", *range(28)]])
    cli._print_rows(["a"], [[1]])
    said = capsys.readouterr().out
    assert "row 1\n  column_0   1.5\n  column_1   :x: [b]\n" in said
    assert "┃ a ┃" in said


def test_the_help_of_every_command_loads_no_engine() -> None:
    names = "[name for name in sys.modules if name.split('.')[0] in ('dagster', 'duckdb', 'ibis', 'pyarrow')]"
    code = f"import sys, energy_assets.cli, energy_assets.ui; print({names})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Every command that the product prints, and every one of README and docs, does what it says when it is pasted."""

from __future__ import annotations

import ast
import html
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from energy_assets.periods import DayRange
from energy_assets_tests.opportunities.gpu_site import write_gpu_site
from energy_assets_tests.small_site import DAYS, SITE, write_site
from energy_assets_tests.test_own_machine import smi, write_bill

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("energy-assets")
PRINTED = re.compile(rf"(?:\S*/)?(?:{PROGRAM.name}|python\S* -m energy_assets)['\"]? [a-z]+.*")
WHOLE, DONE_WITH_HOLES = 0, 3
START_S, STOP_S = 150, 60
"""How long the UI may take on a busy machine."""
WEEK = DayRange(date(2026, 11, 1), date(2026, 11, 7))
"""The days that README names."""

NOT_RUN = {
    "make demo": "the whole demo, which `demo` runs below for a day",
    "make test": "these tests",
    "make mutate": "half an hour",
    ".venv/bin/python -m energy_assets_tests.mutation": "the same of one module",
    "nvidia-smi": "needs a GPU; what it writes is made here",
    "dg ": "in a project of its own; test_components.py runs these",
    ".venv/bin/python -m energy_assets_tests.browser.screenshots": "takes pictures of a running UI",
    "python -m energy_assets.sandbox": "a server; sandbox/test_company.py starts its parts",
    "aws cloudwatch ": "needs an account at the cloud; sources/utilization_files reads what it answers",
    "az monitor ": "the same",
}
"""Commands of README and docs that are not executed here, and why."""
RUN_BY_THEIR_OWN = {
    "docs/method/worked-example.md": "estimates/test_worked_example.py",
    "docs/method/grid.md": "factors/test_method_grid.py",
}
"""Pages whose commands, and what these print, are run on the page's own site by a test of their own."""
SERVERS = {"ui": "a server; browser/test_starting.py starts and ends it"}


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line as a person pastes it into the shell of a folder."""
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=_environment(), capture_output=True, text=True, check=False, timeout=600
    )


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "ENERGY_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}


def printed(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The commands in what a program printed, without what a `#` says of them."""
    lines = (done.stdout + done.stderr).splitlines()
    found = [match.group() for line in lines if (match := PRINTED.search(line)) and "Usage:" not in line]
    return [line.partition("   #")[0].strip() for line in found]


def works(line: str, folder: Path, codes: tuple[int, ...] = (WHOLE,)) -> subprocess.CompletedProcess[str]:
    """Run a line; it ends with one of the codes."""
    done = run(line, folder)
    assert done.returncode in codes, f"{line}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name a shell would take apart."""
    found = tmp_path / "it's $HOME here"
    found.mkdir()
    return found


def test_the_road_of_the_help_can_be_walked(folder: Path) -> None:
    steps = printed(run(f"{PROGRAM} --help", folder))
    assert [step.split()[1] for step in steps] == ["init", "doctor", "run", "report"]
    works(steps[0], folder)
    write_site(folder, DayRange(*_last_week()), SITE.replace("2024-05-30", str(_last_week()[0])))
    works(steps[1], folder)
    works(steps[2], folder, (WHOLE, DONE_WITH_HOLES))
    works(steps[3], folder, (WHOLE, DONE_WITH_HOLES))


def _last_week() -> tuple[date, date]:
    today = datetime.now(UTC).date().toordinal()
    return date.fromordinal(today - 7), date.fromordinal(today - 1)


def test_each_command_leads_to_the_next_up_to_the_trace(folder: Path) -> None:
    """From no site at all: the error says how to make one, and every command names the one after it."""
    (wanted,) = printed(run(f"{PROGRAM} doctor", folder))
    (doctor,) = printed(works(wanted, folder))
    write_site(folder)
    works(doctor, folder)
    early = run(f"{PROGRAM} report --period 2024-05", folder)
    assert early.returncode == 1
    (first,) = printed(early)
    assert first.endswith("--from 2024-05-30 --to 2024-05-31"), "days that can be run"
    report, collecting = printed(works(first, folder))
    assert collecting.split()[1] == "ui"
    (trace,) = printed(works(report, folder))
    works(trace, folder)
    nowhere = run(f"{PROGRAM} trace nowhere F-001", folder)
    assert nowhere.returncode == 2
    assert printed(nowhere)[0].split()[1] == "report"


def test_the_command_of_a_failed_run_goes_on_when_it_is_mended(folder: Path) -> None:
    write_site(folder)
    grid = (folder / "grid/DE.csv").rename(folder / "DE.csv")
    failed = run(
        f"{PROGRAM} run --site '{folder}/site.yaml' --from {DAYS.first} --to {DAYS.last}".replace("it's", "it'\\''s"),
        folder,
    )
    assert failed.returncode == 1
    (again,) = printed(failed)
    grid.rename(folder / "grid/DE.csv")
    works(again, folder)


def test_the_demo_ends_with_commands_that_run(folder: Path) -> None:
    done = works(f"{PROGRAM} demo --days 1", folder)
    look = printed(done)
    assert [line.split()[1] for line in look] == ["trace", "sql", "ui"]
    for line in look:
        if line.split()[1] not in SERVERS:
            works(line, folder)
    works(f"{PROGRAM} doctor --site var/demo/site.yaml", folder)
    day = date.fromordinal(datetime.now(UTC).date().toordinal() - 1)
    again = works(f"{PROGRAM} run --site var/demo/site.yaml --from {day}", folder)
    assert "!" not in again.stdout, "the demo has no holes"
    (report,) = printed(again)
    works(report, folder)


def test_what_a_new_folder_prints_leads_to_rows(folder: Path) -> None:
    """`init --from-csv` says how to run what it recognised; `sql` says what to run where no day was."""
    (folder / "smi.csv").write_text(smi())
    own = works(f"{PROGRAM} init --from-csv smi.csv --zone DE --node box --timezone UTC", folder)
    (running,) = printed(own)
    assert running.endswith(" --report")
    query = f"{PROGRAM} sql 'select sum(energy_kwh) from energy'"
    early = run(query, folder)
    assert early.returncode == 2
    (one_day,) = printed(early)
    works(one_day, folder, (WHOLE, DONE_WITH_HOLES))
    works(running, folder)
    assert "28.8" in works(query, folder).stdout


def test_every_line_that_mends_a_store_does(folder: Path) -> None:
    """From a part of a month to all of it, through damage of a report, of its bytes and of Dagster's history."""
    path = write_site(folder)
    run_and_report = [f"{PROGRAM} run --site site.yaml --from 2024-05-30", f"{PROGRAM} report --period 2024-05"]
    works(run_and_report[0], folder)
    half = works(run_and_report[1], folder, (DONE_WITH_HOLES,))
    others, trace = printed(half)
    assert others.endswith("--from 2024-05-31 --to 2024-05-31"), "the days that the report lacks"
    works(others, folder)
    works(run_and_report[1], folder)
    every, of_objects, of_bytes = printed(works(trace, folder))
    assert (every.split()[-1], of_objects.split()[-1], of_bytes.split()[-2]) == ("--full", "objects", "--bytes")
    works(every, folder)
    assert of_bytes.split()[-1] in works(of_objects, folder).stdout
    assert "train-1" in works(of_bytes, folder).stdout, "the readings as they came"
    report = folder / "var/reports/ml_sustainability/2024-05"
    for line in _in_report(report):
        works(line, report)

    (report / "facts.csv").write_text("changed")
    *_, again = printed(_fails(trace, folder))
    assert step(again) == "report"
    works(again, folder)
    works(trace, folder)

    flip(next((folder / "var/landing/objects").rglob(f"{of_bytes.split()[-1]}.zst")))
    assert step(*printed(_fails(run_and_report[1], folder))) == "repair", "do not publish this report"
    *_, find = printed(_fails(trace, folder))
    assert step(find) == "repair"
    (report / "facts.csv").write_text("changed")
    aside, *days, remade = printed(_fails(find, folder))
    assert [step(line) for line in (aside, *days, remade)] == ["repair", "run", "report"]
    assert printed(_fails(aside, folder)) == [*days, remade], "it says what was found, and what is left to do"
    for line in (*days, remade, find, trace):
        works(line, folder)

    (folder / "var/dagster/history/runs.db").write_bytes(b"no database" * 1000)
    (aside,) = printed(_fails(run_and_report[1], folder))
    assert printed(_fails(find, folder)) == [aside]
    assert printed(_fails(aside, folder)) == []
    for line in (find, run_and_report[1]):
        works(line, folder)
    assert path.exists()


def test_what_is_printed_of_a_restated_report_can_be_run(folder: Path) -> None:
    write_site(folder)
    run_line = f"{PROGRAM} run --from {DAYS.first} --to 2024-05-31"
    works(f"{run_line} --report", folder, (WHOLE, DONE_WITH_HOLES))
    meters = folder / "meters/2024-05-31.csv"
    meters.write_text(meters.read_text().replace(",600", ",660"))
    said = works(run_line, folder, (WHOLE, DONE_WITH_HOLES)).stdout
    assert "is of other rows than the lake has now: of emissions, kpis_daily" in said
    (again,) = {line for line in printed(run(run_line, folder)) if step(line) == "report"}
    assert "restates the edition of" in works(again, folder, (WHOLE, DONE_WITH_HOLES)).stdout
    report = folder / "var/reports/ml_sustainability/2024-05"
    lines = {step(shlex.join(shlex.split(line)[1:])): line for line in _in_report(report)}
    assert "Equal, byte for byte" in works(lines["report"], report).stdout
    assert ",facility_kwh," in works(lines["restatements"], report).stdout


def _fails(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return works(line, folder, (1,))


def step(line: str) -> str:
    """The name of a printed command."""
    words = shlex.split(line)
    return words[2] if words[1] == "-m" else words[1]


def flip(path: Path) -> None:
    """One bit in the middle of a file."""
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(bytes(stored))


def _in_report(folder: Path) -> Iterator[str]:
    """The commands of a report's "how to check", which name no folder of the program."""
    text = (folder / "report.xhtml").read_text(encoding="utf-8")
    found = [html.unescape(one) for one in re.findall(rf"<code[^>]*>({PROGRAM.name} [^<]+)</code>", text)]
    assert {step(line) for line in found} >= {"sql", "trace"}
    yield from (f"PATH={shlex.quote(str(PROGRAM.parent))}:$PATH {line}" for line in dict.fromkeys(found))


def test_a_list_of_opportunities_names_the_command_that_takes_one_on(folder: Path) -> None:
    day = DayRange(date(2024, 5, 9), date(2024, 5, 9))
    write_gpu_site(folder, [(day, 80)])
    works(f"{PROGRAM} run --site site.yaml --from {day.first}", folder, (WHOLE, DONE_WITH_HOLES))
    (accept,) = printed(works(f"{PROGRAM} opportunities --site site.yaml", folder))
    works(accept, folder)
    assert 'state: "accepted"' in (folder / "opportunities.yaml").read_text()
    assert run(accept, folder).returncode == 2, "it is accepted already"


def test_the_lines_for_the_site_file_are_taken_by_it(folder: Path) -> None:
    """Pasted under the key that is named, with what a person knows in place of the dots."""
    nameless = SITE.replace("region: r1, zone: DE, pue: 1.25", "region: 'r: 1'")
    path = write_site(folder, text=nameless)
    line = f"{PROGRAM} run --from 2024-05-30"
    said = works(line, folder, (DONE_WITH_HOLES,)).stdout
    (key, proposed), *_ = re.findall(r"under `(\w+):`[^\n]*\n\s+(- \{.*\}[^\n]*)", said)
    assert yaml.safe_load(proposed)[0].items() >= {"provider": "onprem", "region": "r: 1"}.items()
    path.write_text(f"{nameless}{key}:\n  {proposed.replace('zone: …', 'zone: DE').replace('pue: …', 'pue: 1.25')}\n")
    assert f"under `{key}:`" not in works(line, folder).stdout


def test_days_made_with_other_factors_are_named_with_a_command_that_makes_them_again(folder: Path) -> None:
    path = write_site(folder)
    works(f"{PROGRAM} run --from 2024-05-30 --to 2024-05-31", folder, (WHOLE, DONE_WITH_HOLES))
    assert printed(works(f"{PROGRAM} factors", folder)) == []
    path.write_text(path.read_text().replace("pue: 1.25", "pue: 1.3"))
    (again,) = printed(works(f"{PROGRAM} factors", folder))
    assert again.endswith("--from 2024-05-30 --to 2024-05-31")
    said = works(again, folder, (WHOLE, DONE_WITH_HOLES)).stdout
    assert "PUE of onprem r1 1.25 → 1.3 kWh/kWh" in said
    assert printed(works(f"{PROGRAM} factors", folder)) == []


def test_the_ui_names_a_port_on_which_it_starts(folder: Path) -> None:
    write_site(folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (line,) = printed(run(f"{PROGRAM} ui --site site.yaml --port {taken.getsockname()[1]}", folder))
    with (folder / "said").open("wb") as said:
        ui = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=folder, stdout=said, stderr=said, env=_environment())
        try:
            until = time.monotonic() + START_S
            while "Ctrl-C ends it" not in (told := (folder / "said").read_text()) and time.monotonic() < until:
                assert ui.poll() is None, told
                time.sleep(0.3)
            assert f"Dagster UI: http://127.0.0.1:{line.split()[-1]}\n" in told
        finally:
            ui.send_signal(signal.SIGINT)
        assert ui.wait(STOP_S) == 0


EXECUTED = {
    "cli": {
        "init": "test_the_road_of_the_help_can_be_walked",
        "doctor": "test_the_road_of_the_help_can_be_walked",
        "run": "test_every_line_that_mends_a_store_does",
        "report": "test_every_line_that_mends_a_store_does",
        "trace": "test_each_command_leads_to_the_next_up_to_the_trace",
        "repair": "test_every_line_that_mends_a_store_does",
        "demo": "test_the_demo_ends_with_commands_that_run",
        "sql": "test_the_demo_ends_with_commands_that_run",
        "opportunities": "test_a_list_of_opportunities_names_the_command_that_takes_one_on",
        "ui": "test_the_ui_names_a_port_on_which_it_starts",
    },
    "site": {"init": "test_each_command_leads_to_the_next_up_to_the_trace"},
    "factor_changes": {"run": "test_days_made_with_other_factors_are_named_with_a_command_that_makes_them_again"},
    "query": {"run": "test_what_a_new_folder_prints_leads_to_rows"},
    "report_holes": {"run": "test_every_line_that_mends_a_store_does"},
    "report_telling": {"repair": "test_every_line_that_mends_a_store_does"},
    "telling": {"ui": "test_the_ui_names_a_port_on_which_it_starts"},
    "disclosures.asset": {"run": "test_each_command_leads_to_the_next_up_to_the_trace"},
    "disclosures.following": {
        "trace": "test_every_line_that_mends_a_store_does",
        "report": "test_every_line_that_mends_a_store_does",
        "repair": "test_every_line_that_mends_a_store_does",
    },
    "disclosures.sections.restated": {
        "restatements": "test_what_is_printed_of_a_restated_report_can_be_run",
        "report": "test_what_is_printed_of_a_restated_report_can_be_run",
    },
    "outdated_reports": {"report": "test_what_is_printed_of_a_restated_report_can_be_run"},
    "disclosures.sections.checking": {
        "sql": "test_every_line_that_mends_a_store_does",
        "trace": "test_every_line_that_mends_a_store_does",
    },
    "operations.history": {"repair": "test_every_line_that_mends_a_store_does"},
    "ui": {
        "ui": "test_the_ui_names_a_port_on_which_it_starts",
        "demo": "test_the_demo_ends_with_commands_that_run",
    },
}
"""By module: the commands it prints, and the test here that takes one from its output and pastes it."""


def test_no_module_prints_a_command_that_is_not_executed_here() -> None:
    found: dict[str, set[str]] = {}
    for path in (ROOT / "energy_assets").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("command", "portable")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                module = ".".join(path.relative_to(ROOT / "energy_assets").with_suffix("").parts)
                found.setdefault(module, set()).add(str(node.args[0].value))
    assert found == {module: set(told) for module, told in EXECUTED.items()}
    for test in {test for told in EXECUTED.values() for test in told.values()}:
        assert callable(globals().get(test)), test


def documented(path: Path) -> list[str]:
    """Commands in the fenced blocks of a page that name no language, without what a `#` says of them."""
    text = path.read_text(encoding="utf-8").replace("\\\n", "")
    blocks = re.findall(r"^ *```(.*?)\n(.*?)^ *```", text, re.S | re.M)
    blocks = [text for language, text in blocks if language in ("", "sh", "bash", "shell", "console")]
    lines = [" ".join(re.split(r"\s+#", line)[0].split()) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def write_own_machine(folder: Path) -> None:
    """What a person has who begins with a log and a bill: no site file."""
    (folder / "site.yaml").unlink(missing_ok=True)
    (folder / "smi.csv").write_text(smi())
    write_bill(folder / "bill.csv")


def pages() -> list[Path]:
    every = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in every if page.relative_to(ROOT).as_posix() not in RUN_BY_THEIR_OWN]


@pytest.mark.skipif(datetime.now(UTC).date() <= WEEK.last, reason="the days that README names are to come")
def test_every_command_of_readme_and_docs_runs(tmp_path: Path) -> None:
    """In a folder as a checkout is: `.venv/bin`, and from `doctor` on a site that has something of these days."""
    scripts = tmp_path / ".venv/bin"
    scripts.mkdir(parents=True)
    (scripts / PROGRAM.name).symlink_to(PROGRAM)
    lines = [(page, line) for page in pages() for line in documented(page)]
    told = [one for one in lines if not any(one[1].startswith(known) for known in NOT_RUN)]
    assert any(" trace " in line for _, line in told), "README's commands are among them"
    own = None
    for page, line in dict.fromkeys(told):
        assert line.startswith(f".venv/bin/{PROGRAM.name} "), f"{line}: run it here, or say in NOT_RUN why not"
        if " --from-csv" in line:
            write_own_machine(tmp_path)
            own = page
        elif " doctor" in line and page != own:
            write_site(tmp_path, WEEK, SITE.replace("2024-05-30", str(WEEK.first)))
        if line.split()[1] not in SERVERS:
            works(line, tmp_path, (WHOLE, DONE_WITH_HOLES))


def test_the_pages_run_by_their_own_tests_are_there_and_so_are_the_tests() -> None:
    for page, test in RUN_BY_THEIR_OWN.items():
        assert (ROOT / page).is_file()
        assert Path(page).name in (ROOT / "energy_assets_tests" / test).read_text(encoding="utf-8")


def test_the_reasons_speak_of_commands_that_are_there() -> None:
    lines = [line for page in pages() for line in documented(page)]
    for known in NOT_RUN:
        assert any(line.startswith(known) for line in lines), known

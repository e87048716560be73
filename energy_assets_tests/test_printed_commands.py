"""Every command that the product prints, and every one of README and docs, does what it says when it is pasted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from energy_assets.periods import DayRange
from energy_assets_tests.small_site import DAYS, SITE, write_site
from energy_assets_tests.test_own_machine import smi, write_bill

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("energy-assets")
PRINTED = re.compile(rf"(?:\S*/)?(?:{PROGRAM.name}|python\S* -m energy_assets)['\"]? [a-z]+.*")
WHOLE, DONE_WITH_HOLES = 0, 3
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
}
"""Commands of README and docs that are not executed here, and why."""
SERVERS = {"ui": "a server; browser/test_starting.py starts and ends it"}


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line as a person pastes it into the shell of a folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "ENERGY_"))}
    environment |= {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600
    )


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
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


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


def test_the_reasons_speak_of_commands_that_are_there() -> None:
    lines = [line for page in pages() for line in documented(page)]
    for known in NOT_RUN:
        assert any(line.startswith(known) for line in lines), known

"""Printed commands: the program that works in this folder, real paths, and quotes where a shell needs them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from energy_assets.commands import command, portable, program, written


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a program of its own in `.venv/bin`, called from there."""
    script = tmp_path / ".venv/bin/energy-assets"
    script.parent.mkdir(parents=True)
    script.write_text('#!/bin/sh\nfor one in "$@"; do printf \'%s\\n\' "$one"; done\n')
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


def heard(line: str) -> list[str]:
    """What the program is told when a person pastes a line."""
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    return done.stdout.splitlines()


def test_the_program_is_named_as_it_works_in_this_folder(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert program() == ".venv/bin/energy-assets"
    monkeypatch.setenv("PATH", f"{checkout}/.venv/bin:/usr/bin:/bin")
    assert program() == "energy-assets", "the shell finds this one"
    (checkout / "elsewhere").mkdir()
    monkeypatch.chdir(checkout / "elsewhere")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert program() == f"{checkout}/.venv/bin/energy-assets"
    monkeypatch.chdir(checkout / ".venv/bin")
    assert program() == "./energy-assets"


def test_another_program_of_the_name_on_the_path_is_not_ours(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = checkout / "other/energy-assets"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{other.parent}:/usr/bin:/bin")
    assert program() == ".venv/bin/energy-assets"


def test_other_processes_name_the_program_beside_their_interpreter(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/lib/dagster/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(checkout / ".venv/bin/python"))
    assert program() == ".venv/bin/energy-assets"
    monkeypatch.setattr(sys, "executable", str(checkout / "bare/python"))
    assert program() == "bare/python -m energy_assets"


def test_a_command_reaches_the_program_word_by_word(checkout: Path) -> None:
    site = checkout / "my site; rm -rf x.yaml"
    line = command("sql", "select '$HOME' as \"a b\"", site=site)
    assert heard(line) == ["sql", "--site", "my site; rm -rf x.yaml", "select '$HOME' as \"a b\""]
    line = command("run", site=Path("site.yaml"), options={"from": date(2024, 5, 30), "to": date(2024, 6, 1)})
    assert line == ".venv/bin/energy-assets run --site site.yaml --from 2024-05-30 --to 2024-06-01"
    assert written("trace", "-x", "F-001") == "trace -- -x F-001", "no option"


def test_paths_outside_the_folder_are_whole(checkout: Path) -> None:
    assert command("doctor", site=checkout.parent / "s.yaml").endswith(f"--site {checkout.parent}/s.yaml")


def test_a_folder_with_a_space_is_quoted(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "a b").mkdir()
    (checkout / ".venv").rename(checkout / "a b/.venv")
    monkeypatch.setattr(sys, "argv", [str(checkout / "a b/.venv/bin/energy-assets")])
    assert program() == "'a b/.venv/bin/energy-assets'"
    assert heard(command("doctor")) == ["doctor"]


def test_a_document_says_the_same_wherever_it_is_made(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout / "var/reports/p/2024-05"
    line = portable("trace", ".", "F-001", site=checkout / "site.yaml", folder=folder)
    assert line == "energy-assets trace --site ../../../../site.yaml . F-001"
    monkeypatch.chdir("/")
    assert portable("trace", ".", "F-001", site=checkout / "site.yaml", folder=folder) == line
    assert shlex.split(portable("sql", "select 1")) == ["energy-assets", "sql", "select 1"]


def test_the_module_runs_where_the_script_is_not_at_hand() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "energy_assets", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.stdout.startswith("energy-assets, version ")

"""docs/method/worked-example.md: what its commands print is what stands on the page."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

import energy_assets
from energy_assets.cli import main

PAGE = Path(energy_assets.__file__).parents[1] / "docs/method/worked-example.md"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_page_prints_what_its_commands_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    (site,), (bill, grid, *printed) = blocks("yaml"), blocks("csv")
    for name, text in {"site.yaml": site, "bills/may.csv": bill, "grid/de.csv": grid}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    commands = [
        line for block in blocks("sh") for line in re.split(r"^energy-assets ", block, flags=re.MULTILINE) if line
    ]
    run, *asked = commands
    done = CliRunner().invoke(main, run.split())
    assert done.exit_code == 3, done.output
    assert "usage_is_estimated: once" in done.output
    for command, expected in zip(asked, printed, strict=True):
        words = ["sql", command.split('"')[1]] if command.startswith("sql") else command.split()
        answered = CliRunner().invoke(main, words)
        assert answered.exit_code == 0, answered.output
        assert answered.stdout.splitlines() == expected.replace("YEAR", str(date.today().year)).splitlines()

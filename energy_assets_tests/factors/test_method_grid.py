"""docs/method/grid.md: the day by hand is what the commands on the page print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import energy_assets
from energy_assets.cli import main

PAGE = Path(energy_assets.__file__).parents[1] / "docs/method/grid.md"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_day_by_hand_is_what_the_commands_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    (site,), (given, printed), (commands,) = blocks("yaml"), blocks("csv"), blocks("sh")
    (tmp_path / "site.yaml").write_text(site)
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid/october.csv").write_text(given)
    first, asked = commands.split("\n", 1)
    done = CliRunner().invoke(main, first.split()[1:])
    assert done.exit_code == 0, done.output
    assert "3 hours have grid intensities for half of them or more and not for all" in done.output
    query = asked.split('"')[1]
    answered = CliRunner().invoke(main, ["sql", query])
    assert answered.exit_code == 0, answered.output
    assert answered.stdout.splitlines() == printed.splitlines()

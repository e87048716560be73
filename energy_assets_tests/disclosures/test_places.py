"""The editable parts of a report are found, and shipped."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from energy_assets.disclosures.places import SHARE, reports_folder

ROOT = Path(__file__).resolve().parents[2]


def test_a_checkout_uses_its_own_folder() -> None:
    assert reports_folder() == ROOT / "reports"


def test_an_organisation_can_bring_its_own_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "report.xhtml.j2").touch()
    monkeypatch.setenv("ENERGY_ASSETS_REPORTS", str(tmp_path))
    assert reports_folder() == tmp_path


def test_every_file_of_the_folder_is_part_of_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["data-files"]
    shipped = {
        path.relative_to(ROOT)
        for target, patterns in settings.items()
        for pattern in patterns
        for path in ROOT.glob(pattern)
        if target == str(SHARE / path.relative_to(ROOT / "reports").parent).removesuffix("/.")
    }
    there = {path.relative_to(ROOT) for path in (ROOT / "reports").rglob("*") if path.is_file()}
    assert there - shipped == set()

"""The sources as Dagster components: known to `dg`, scaffolded by it, and loaded from their defs.yaml."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from energy_assets.components import COMPONENTS
from energy_assets.sources.registry import KINDS

DG = Path(sys.executable).with_name("dg")
CHECKOUT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not DG.exists(), reason="dagster-dg-cli is not installed")

PROJECT = """
[project]
name = "scratch"
version = "0"
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "scratch"
"""
DEFINITIONS = """
from pathlib import Path
import dagster as dg

@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
METERS = """
type: energy_assets.components.PowerFilesComponent
attributes:
  name: meters
  path: "m/*.csv"
  node: node
  place: {region: r1, zone: DE, pue: 1.2}
  site: {organisation: {name: Scratch}, start: 2024-05-01}
"""
GRID = """
type: energy_assets.components.IntensityFilesComponent
attributes:
  name: grid
  path: "g/*.csv"
  site: {organisation: {name: Scratch}, start: 2024-05-01}
"""


def dg(folder: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [DG, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "src", "DAGSTER_DISABLE_TELEMETRY": "1", "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty `dg` project."""
    (tmp_path / "src" / "scratch" / "defs").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "src" / "scratch" / "__init__.py").touch()
    (tmp_path / "src" / "scratch" / "defs" / "__init__.py").touch()
    (tmp_path / "src" / "scratch" / "definitions.py").write_text(DEFINITIONS)
    return tmp_path


def test_dg_knows_a_component_for_every_kind_of_source(project: Path) -> None:
    assert len(COMPONENTS) == len(KINDS)
    listed = json.loads(dg(project, "list", "components", "--json"))["items"]
    ours = {entry["key"] for entry in listed if entry["key"].startswith("energy_assets.")}
    assert ours == {f"energy_assets.components.{name}" for name in COMPONENTS}


def test_a_scaffold_names_what_must_be_filled_in(project: Path) -> None:
    dg(project, "scaffold", "defs", "energy_assets.components.PowerFilesComponent", "hall")
    made = (project / "src" / "scratch" / "defs" / "hall" / "defs.yaml").read_text()
    assert made.startswith("type: energy_assets.components.PowerFilesComponent")
    assert "name: hall" in made
    assert "node: <column of the machine's name" in made


def test_components_of_one_site_load_as_its_raw_assets(project: Path) -> None:
    for name, text in (("meters", METERS), ("grid", GRID)):
        (project / "src" / "scratch" / "defs" / name).mkdir()
        (project / "src" / "scratch" / "defs" / name / "defs.yaml").write_text(text)
    dg(project, "check", "yaml")
    dg(project, "check", "defs")
    listed = json.loads(dg(project, "list", "defs", "--json"))
    assert sorted(asset["asset_key"] for asset in listed["assets"]) == ["raw/grid", "raw/meters"]


def test_a_wrong_key_is_named_before_anything_loads(project: Path) -> None:
    (project / "src" / "scratch" / "defs" / "meters").mkdir()
    (project / "src" / "scratch" / "defs" / "meters" / "defs.yaml").write_text(METERS.replace("  node:", "  nod:"))
    with pytest.raises(AssertionError, match="nod"):
        dg(project, "check", "yaml")


def test_this_repository_passes_dg_check_defs(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        "organisation: {name: Checked}\nstart: 2024-05-01\n"
        "sources: [{name: grid, kind: intensity_files, path: g.csv}]\n"
    )
    dg(CHECKOUT, "check", "defs", ENERGY_ASSETS_SITE=str(tmp_path / "site.yaml"))

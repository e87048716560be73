"""Nothing is ever a world average: no row of any table is one, and what no table knows stays unknown."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path

import pytest

import energy_assets
from energy_assets.factors.footprints import embodied_device, water_of_grid, water_stress
from energy_assets.factors.hardware import accelerator_of_device, cpu_power
from energy_assets.factors.places import Member, resolve

ROOT = Path(energy_assets.__file__).parent
TABLES = sorted([*ROOT.glob("factors/data/*.csv"), *ROOT.glob("sources/**/*.csv")])
WORLD = re.compile(r"\b(world|global|worldwide|earth|international)[ -]*(average|mean|mix|total|factor)", re.IGNORECASE)
PLACES = ("zone", "region", "provider", "of", "place")
EVERYWHERE = {"world", "global", "worldwide", "earth", "all", "row", "rest of world", "*"}


def test_there_are_tables_to_look_at() -> None:
    assert {"pue.csv", "water.csv", "grid_water.csv", "yearly_intensities.csv", "hosted_models.csv"} <= {
        path.name for path in TABLES
    }


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_no_row_is_of_the_world(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            assert not any(WORLD.search(cell) for cell in row.values()), row
            assert not {row[name].strip().lower() for name in PLACES if name in row} & EVERYWHERE, row


def test_the_words_that_are_looked_for_are_found() -> None:
    assert WORLD.search("IEA, world average 2019")
    assert WORLD.search("Global mean of grids")
    assert not WORLD.search("Measuring the environmental impact of delivering AI at Google scale")


@pytest.mark.parametrize("member", [("aws", "mars-1"), ("aws", None), ("nobody", "eu-north-1"), ("gcp", "eu-north-1")])
def test_a_place_that_no_table_knows_has_no_factor_in_any_year(member: tuple[str, str | None]) -> None:
    (found,) = resolve([Member("s", member[0], None, member[1])], {}, [])
    assert (found.zone, found.pue, found.wue) == (None, None, None)
    assert (found.said_by[0], found.said_by[1], found.said_by[3]) == ("", "", "")


def test_a_region_whose_zone_is_not_settled_has_none_beside_its_pue() -> None:
    (found,) = resolve([Member("s", "gcp", None, "us-west2")], {}, [], [date(2024, 5, 9)])
    assert (found.zone, found.pue is None) == (None, False)


def test_hardware_and_grids_that_no_table_knows_are_unknown() -> None:
    assert water_of_grid("WORLD") is None
    assert water_stress("aws", "mars-1") is None
    assert accelerator_of_device("Acme X1") is None
    assert embodied_device("") is None
    assert cpu_power("nobody") is None

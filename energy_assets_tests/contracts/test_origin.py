"""A table with exactly one row for each row of another: what is lost, added or doubled is found, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import pytest

from energy_assets.contracts.audit import Audited, Origin, audit_partitions
from energy_assets.contracts.fingerprint import keys_in
from energy_assets.contracts.tables import Emissions, Energy
from energy_assets.lake import Lake
from energy_assets.materialize import Reader, check_specs
from energy_assets.storage import Storage
from energy_assets.tables import ACTIVITY, EMISSIONS, ENERGY, GRID_INTENSITY, Table
from energy_assets_tests.rows import DAY, at, table

NEXT = DAY + timedelta(days=1)
KEY = "unique(hour, source, provider, region, node_id, device_id, share_id)"
FOREIGN, LOST = "no such row in energy", "row of energy lost"
Row = dict[str, Any]


def hours(*wanted: int, day: date = DAY, **row: Any) -> list[Row]:
    return [{"day": day, "hour": at(hour, day), **row} for hour in wanted]


def origin_of(rows: Sequence[Row]) -> Origin:
    energy = table(Energy, rows)
    return Origin("energy", energy, audit_partitions(energy, ENERGY).fingerprints)


def made(rows: Sequence[Row], origin: Origin) -> Audited:
    return audit_partitions(table(Emissions, rows), EMISSIONS, origin=origin)


THREE = hours(0, 7, 23)


def test_rows_with_the_keys_of_their_origin_are_good_whatever_else_they_hold() -> None:
    mixed = [*THREE, *hours(7, node_id="n2", region=None), *hours(1, day=NEXT)]
    found = made([{**row, "pue": 2, "project": "p"} for row in reversed(mixed)], origin_of(mixed))
    assert (found.rejected, found.rows) == ({}, {DAY: 4, NEXT: 1})


@pytest.mark.parametrize(
    ("rows", "violations", "example"),
    [
        pytest.param(THREE[:2], {LOST: 1}, {"hour": at(23)}, id="lost"),
        pytest.param([*THREE, *hours(1)], {FOREIGN: 1}, {"hour": at(1)}, id="added"),
        pytest.param([*THREE, THREE[0]], {KEY: 1}, {"hour": at(0)}, id="doubled"),
        pytest.param([*THREE, THREE[0], THREE[0]], {KEY: 2}, {"hour": at(0)}, id="three times"),
        pytest.param([THREE[0], THREE[0], THREE[1]], {LOST: 1, KEY: 1}, {"hour": at(23)}, id="one for another"),
        pytest.param(hours(0, 7, 22), {LOST: 1, FOREIGN: 1}, {"hour": at(22)}, id="moved to another hour"),
        pytest.param(
            [*THREE[:2], *hours(23, node_id="n2")], {LOST: 1, FOREIGN: 1}, {"node_id": "n2"}, id="moved to another node"
        ),
        pytest.param(
            [*THREE[:2], *hours(23, region=None)], {LOST: 1, FOREIGN: 1}, {"region": None}, id="a region became NULL"
        ),
    ],
)
def test_what_is_lost_added_or_doubled_is_counted_and_its_day_withheld(
    rows: list[Row], violations: dict[str, int], example: Row
) -> None:
    other = hours(5, 6, day=NEXT)
    found = made([*rows, *other], origin_of([*THREE, *other]))
    assert {day: error.violations for day, error in found.rejected.items()} == {DAY: violations}
    assert example.items() <= found.rejected[DAY].examples[0].items()


def test_a_day_that_is_lost_as_a_whole_is_withheld() -> None:
    other = hours(5, day=NEXT)
    found = made(other, origin_of([*THREE, *other]))
    assert {day: error.violations for day, error in found.rejected.items()} == {DAY: {LOST: 3}}
    nothing = made([], origin_of(THREE))
    assert (nothing.rows, list(nothing.rejected)) == ({}, [DAY])


def test_a_day_that_the_origin_does_not_have_is_withheld() -> None:
    found = made([*THREE, *hours(5, day=NEXT)], origin_of(THREE))
    assert {day: error.violations for day, error in found.rejected.items()} == {NEXT: {FOREIGN: 1}}


def test_nothing_is_compared_where_fingerprints_say_that_keys_are_equal() -> None:
    origin = origin_of(THREE)
    unreadable = ibis.table(ibis.schema({"day": "date"}), name="not_there")
    assert made(THREE, Origin("energy", unreadable, origin.fingerprints)).rejected == {}


def test_rows_are_compared_one_by_one_where_the_origin_has_a_fingerprint_of_another_algorithm() -> None:
    origin = origin_of(THREE)
    older = Origin("energy", origin.rows, {DAY: "d1-dc62953bbe8620930000000170ea076d"})
    assert keys_in(older.fingerprints[DAY]) is None
    assert made(THREE, older).rejected == {}
    assert list(made(THREE[1:], older).rejected) == [DAY]


def test_the_check_of_the_contract_says_that_no_row_is_lost() -> None:
    said = [check_specs(table)[0].description or "" for table in (EMISSIONS, ENERGY)]
    assert ["Each row of `energy` has exactly one here: none is lost." in text for text in said] == [True, False]


def test_a_transform_that_does_not_read_the_origin_is_told_so(tmp_path: Path) -> None:
    read = Reader(Lake(Storage(str(tmp_path))), ibis.duckdb.connect())
    with pytest.raises(ValueError, match="must be made of it, and it was not read"):
        read.origin(ENERGY, [DAY])


def test_a_table_cannot_have_the_rows_of_one_with_another_key() -> None:
    with pytest.raises(ValueError, match="emissions cannot have the rows of activity: their keys differ"):
        Table("emissions", Emissions, ("emissions", "hourly"), rows_of=ACTIVITY)
    with pytest.raises(ValueError, match="their keys differ"):
        Table("energy", Energy, ("unified", "energy"), grain="month", rows_of=ENERGY)
    assert Table("other", Energy, ("unified", "other"), rows_of=ENERGY).rows_of is ENERGY
    assert EMISSIONS.rows_of is ENERGY
    assert GRID_INTENSITY.rows_of is None

"""Emissions: exact products of an hour's energy with its own factors; what is unknown stays unknown."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any, Literal

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.tables import Emissions, Energy, GridIntensity
from energy_assets.emissions.location import emissions
from energy_assets.sources.base import Place
from energy_assets_tests.rows import DAY, at, rows_of, table

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
HERE = Place(region="r1", zone="DE", pue=Decimal("1.333"))
Row = dict[str, Any]


def made(
    energy: list[Row], grid: list[Row], place: Place = HERE, basis: Literal["direct", "lifecycle"] = "direct"
) -> list[Row]:
    rows = conform(emissions(table(Energy, energy), table(GridIntensity, grid), {"meters": place}, basis), Emissions)
    kept = CON.create_table("emissions", rows, overwrite=True, temp=True)
    audit(kept, Emissions)
    return sorted(rows_of(CON, kept), key=lambda r: r["device_id"])


def one(energy: Row, grid: Row, **more: Any) -> Row:
    (row,) = made([energy], [grid], **more)
    return row


CELLS = st.tuples(
    st.decimals(0, "99999999.999999999", places=9), st.decimals(0, 3000, places=3), st.decimals(0, 3000, places=3)
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(CELLS, min_size=20, max_size=20), st.decimals(1, 5, places=3))
def test_products_are_exact_to_the_last_digit(cells: list[tuple[Decimal, Decimal, Decimal]], pue: Decimal) -> None:
    """Against Python's decimals, for any value a contract allows."""
    energy = [{"energy_kwh": c[0], "device_id": f"d{n:02d}", "zone": f"Z{n}"} for n, c in enumerate(cells)]
    grid = [
        {"zone": f"Z{n}", "direct_gco2e_per_kwh": c[1], "lifecycle_gco2e_per_kwh": c[2]} for n, c in enumerate(cells)
    ]
    with localcontext() as exact:
        exact.prec = 60
        for row, (kwh, direct, lifecycle) in zip(made(energy, grid, Place(region="r", pue=pue)), cells, strict=True):
            facility = kwh * pue
            assert row["facility_kwh"] == facility
            assert row["location_g"] == facility * direct
            assert row["upstream_g"] == facility * (lifecycle - direct)
            assert row["lifecycle_g"] == facility * lifecycle == row["location_g"] + row["upstream_g"]


def test_each_hour_meets_its_own_intensity_of_its_own_zone() -> None:
    energy = [{"hour": at(h), "zone": z, "device_id": f"{z}{h}"} for z in ("DE", "FR") for h in (0, 1)]
    grid = [
        {"hour": at(h), "zone": z, "direct_gco2e_per_kwh": Decimal(g), "lifecycle_gco2e_per_kwh": Decimal(500)}
        for z, h, g in (("DE", 0, 100), ("DE", 1, 200), ("FR", 0, 10), ("FR", 1, 20))
    ]
    place = Place(region="r", pue=Decimal(1))
    assert [row["location_g"] for row in made(energy, grid, place)] == [100, 200, 10, 20]


@pytest.mark.parametrize(
    ("energy", "grid", "place", "unknown"),
    [
        ({}, {"zone": "FR"}, HERE, {"location_g", "upstream_g", "lifecycle_g", "factor_id", "factor_basis"}),
        ({}, {"hour": at(1)}, HERE, {"location_g", "upstream_g", "lifecycle_g"}),
        ({"zone": None}, {}, HERE, {"location_g", "upstream_g", "lifecycle_g"}),
        ({}, {}, Place(region="r1"), {"pue", "facility_kwh", "location_g", "upstream_g", "lifecycle_g"}),
        ({"energy_kwh": None}, {}, HERE, {"energy_kwh", "facility_kwh", "location_g", "upstream_g", "lifecycle_g"}),
        ({}, {"direct_gco2e_per_kwh": None}, HERE, {"location_g", "upstream_g", "factor_basis"}),
        ({}, {"lifecycle_gco2e_per_kwh": None}, HERE, {"upstream_g", "lifecycle_g"}),
    ],
)
def test_what_is_unknown_is_null_and_never_zero(energy: Row, grid: Row, place: Place, unknown: set[str]) -> None:
    row = one(energy, grid, place=place)
    amounts = {"energy_kwh", "pue", "facility_kwh", "location_g", "upstream_g", "lifecycle_g"}
    assert {name for name in unknown if row[name] is not None} == set()
    assert {name for name in amounts - unknown if row[name] is None} == set()


def test_columns_of_later_work_are_null() -> None:
    row = one({}, {})
    assert {row[name] for name in ("market_g", "embodied_g", "water_onsite_l", "water_offsite_l")} == {None}


@pytest.mark.parametrize(("basis", "grams"), [("direct", 300), ("lifecycle", 400)])
def test_the_site_chooses_the_basis_of_scope_2_and_the_row_says_which(basis: Any, grams: int) -> None:
    row = one({}, {}, basis=basis, place=Place(region="r", pue=Decimal(1)))
    assert (row["location_g"], row["factor_basis"], row["lifecycle_g"]) == (grams, basis, 400)
    assert row["upstream_g"] == (100 if basis == "direct" else None)
    assert (row["factor_id"], row["factor_tier"], row["factor_resolution"]) == ("f", 1, "hour")


@pytest.mark.parametrize(
    ("place", "scope"),
    [
        (Place(region="r"), "scope2"),
        (Place(region="r", provider="aws"), "scope3.1"),
        (Place(region="r", provider="aws", ghg_scope="scope3.8"), "scope3.8"),
        (Place(region="r", ghg_scope="scope3.1"), "scope3.1"),
    ],
)
def test_each_kwh_has_one_scope(place: Place, scope: str) -> None:
    assert one({}, {}, place=place)["ghg_scope"] == scope


def test_rows_are_neither_lost_nor_doubled_by_the_join() -> None:
    energy = [{"device_id": f"d{n}", "hour": at(n % 3)} for n in range(9)]
    grid = [{"hour": at(hour), "zone": zone} for hour in range(2) for zone in ("DE", "FR")]
    rows = made(energy, grid)
    assert len(rows) == 9
    assert sum(row["location_g"] is None for row in rows) == 3
    assert {row["day"] for row in rows} == {DAY}

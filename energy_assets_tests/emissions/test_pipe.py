"""Emissions: exact products of an hour's energy with its own factors; what is unknown stays unknown."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy_assets.contracts.audit import audit, conform, schema_of
from energy_assets.contracts.tables import Emissions, Energy, GridIntensity
from energy_assets.emissions.appliers import HOURLY
from energy_assets.emissions.assets import factor_uncertainty
from energy_assets.emissions.market import market
from energy_assets.emissions.pipe import Basis, Factors, run_pipe
from energy_assets.factors.places import as_table, members_of, resolve
from energy_assets.sources.base import Place
from energy_assets_tests.kpis.simulation import DRAWS, NORMAL, allowed, half_width
from energy_assets_tests.rows import DAY, at, rows_of, table

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
HERE = Place(region="r1", zone="DE", pue=Decimal("1.333"))
Row = dict[str, Any]


def made(energy: list[Row], grid: list[Row], place: Place = HERE, basis: Basis = "direct") -> list[Row]:
    stands = {"provider": place.provider, "account_id": place.account_id, "region": place.region}
    placed = table(Energy, [{**stands, **row} for row in energy])
    places = ibis.memtable(as_table(resolve(members_of(placed), {"meters": place}, [])))
    factors = Factors(places, table(GridIntensity, grid), factor_uncertainty(), basis)
    rows = conform(run_pipe(placed, factors, HOURLY), Emissions)
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
    assert {row[name] for name in ("embodied_g", "water_onsite_l", "water_offsite_l")} == {None}


@pytest.mark.parametrize(
    ("energy", "grid", "factor", "grams"),
    [
        ({"uncertainty_pct": Decimal(5)}, {}, Decimal(10), Decimal("11.180")),
        ({"uncertainty_pct": Decimal(0)}, {}, Decimal(10), Decimal(10)),
        ({"uncertainty_pct": None}, {}, Decimal(10), None),
        ({"uncertainty_pct": Decimal(5)}, {"factor_tier": 2}, None, None),
        ({"uncertainty_pct": Decimal(5)}, {"factor_tier": 1, "resolution": "month"}, None, None),
        ({"uncertainty_pct": Decimal(7)}, {}, Decimal(10), Decimal("12.207")),
        ({"uncertainty_pct": Decimal("1.006")}, {}, Decimal(10), Decimal("10.050")),
        ({"uncertainty_pct": Decimal("999.949")}, {}, Decimal(10), Decimal("999.999")),
        ({"uncertainty_pct": Decimal("999.950")}, {}, Decimal(10), None),
        ({"uncertainty_pct": Decimal("999.999")}, {}, Decimal(10), None),
    ],
)
def test_grams_have_the_interval_of_energy_and_factor_together_or_none(
    energy: Row, grid: Row, factor: Decimal | None, grams: Decimal | None
) -> None:
    """A measured hour's intensity is known to 10 %; sqrt(5^2 + 10^2) = 11.180. What nobody states is not printed."""
    row = one(energy, grid)
    assert (row["factor_uncertainty_pct"], row["grams_uncertainty_pct"]) == (factor, grams)


def test_market_based_electricity_is_summed_by_month_zone_and_scope() -> None:
    rows = made([{"device_id": "a"}, {"device_id": "b", "zone": None}, {"device_id": "c"}], [{}])
    content = pa.Table.from_pylist(rows, schema=schema_of(Emissions).to_pyarrow())
    kept = CON.create_table("all_emissions", content, overwrite=True, temp=True)
    found = sorted(rows_of(CON, market(kept)), key=lambda row: row["zone"] or "")
    assert [(r["month"], r["zone"], r["ghg_scope"], r["market_g"]) for r in found] == [
        (DAY.replace(day=1), None, "scope2", None), (DAY.replace(day=1), "DE", "scope2", None),
    ]  # fmt: skip
    (de,) = [row for row in rows if row["device_id"] == "a"]
    assert (found[1]["facility_kwh"], found[1]["location_g"]) == (2 * de["facility_kwh"], 2 * de["location_g"])


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


@pytest.mark.parametrize("energy", [0, 1, 5, 20])
@pytest.mark.parametrize("state", [None, 3])
def test_grams_have_the_interval_that_is_simulated(energy: int, state: int | None) -> None:
    """Energy and intensity, independent and normal; the tolerance is that of `simulation.allowed`."""
    row = one({"uncertainty_pct": Decimal(energy)}, {} if state is None else {"resolution": "month", "factor_tier": 4})
    if row["factor_uncertainty_pct"] is None:
        assert row["grams_uncertainty_pct"] is None
        return
    rng, pcts = np.random.default_rng(20_240_509), (energy, float(row["factor_uncertainty_pct"]))
    kwh, intensity = (1 + pct / 100 / NORMAL * rng.standard_normal(DRAWS) for pct in pcts)
    simulated = half_width(kwh * intensity)
    assert float(row["grams_uncertainty_pct"]) == pytest.approx(simulated, abs=allowed(simulated, max(pcts)))


def test_a_wider_energy_never_narrows_its_grams() -> None:
    """Each row alone; past 1,000 % there is no statement any more."""
    rows = made([{"uncertainty_pct": Decimal(pct), "device_id": f"{pct:03d}"} for pct in (0, 1, 2, 7, 300, 999)], [{}])
    found = [row["grams_uncertainty_pct"] for row in rows]
    assert found == sorted(found)
    assert found[0] == rows[0]["factor_uncertainty_pct"]
    (unknown,) = made([{"uncertainty_pct": None}], [{}])
    assert unknown["grams_uncertainty_pct"] is None

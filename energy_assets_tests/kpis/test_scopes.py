"""Scopes of the GHG Protocol are apart, add up to all rows, and each figure's evidence query gives its number again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ibis
import pytest

from energy_assets.contracts.tables import Activity, Cost, Emissions
from energy_assets.kpis.indicators import INDICATORS
from energy_assets.kpis.ingredients import Filter
from energy_assets_tests.kpis.test_indicators import ONE, SERVED, SPENT, USED, kpis, used
from energy_assets_tests.rows import table

D = Decimal
PARTS = (
    "scope2_location_g", "scope33_upstream_g", "scope33_losses_g", "scope32_embodied_g", "scope31_g",
    "scope38_location_g", "scope38_upstream_g", "scope38_losses_g", "scope38_embodied_g",
)  # fmt: skip


def totals(rows: list[dict[str, Any]], grain: str = "total") -> dict[str, Any]:
    return {r["kpi"]: r["numerator"] for r in rows if r["grain"] == grain and r["day"] == ONE}


def test_rows_of_scope_3_never_enter_a_scope_2_figure() -> None:
    cloud = [used(ONE, 0, "cloud", "US", "chat", None, "training", "7", ghg_scope="scope3.1", embodied_g=D(5))]
    daily, _ = kpis(cloud, [], [])
    assert {name: value for name, value in totals(daily).items() if name in PARTS} == {
        "scope31_g": D(7) * D("1.2") * 400 + 5
    }
    # None of our own, and not "not measured": the energy by scope says which there are.
    scopes = {r["ghg_scope"]: r["value"] for r in daily if r["kpi"] == "energy_kwh" and r["grain"] == "ghg_scope"}
    assert scopes == {"scope3.1": D(7)}


def test_unknown_grams_of_a_scope_are_no_row_though_its_energy_is_there() -> None:
    daily, _ = kpis([used(ONE, 0, "dublin", None, "lab", None, "training", "5", direct=None, lifecycle=None)], [], [])
    assert not set(PARTS) & set(totals(daily))
    assert totals(daily, "ghg_scope")["energy_kwh"] == 5


def test_with_the_life_cycle_basis_bought_services_hold_no_upstream_twice() -> None:
    row = used(ONE, 0, "cloud", "US", "chat", None, "training", "10", ghg_scope="scope3.1")
    daily, _ = kpis([row | {"location_g": row["lifecycle_g"], "upstream_g": None}], [], [])
    assert totals(daily)["scope31_g"] == D(10) * D("1.2") * 400


def test_the_scopes_add_up_exactly_to_all_rows() -> None:
    daily, _ = kpis(USED, [], [])
    found = totals(daily)
    grams = ("location_g", "upstream_g", "losses_g", "embodied_g")
    rows = sum((r[g] for r in USED for g in grams if r["day"] == ONE and r.get(g) is not None), D(0))
    assert sum((found[name] for name in PARTS), D(0)) == rows
    assert all(found[name] for name in PARTS)
    assert found["scope33_g"] == found["scope33_upstream_g"] + found["scope33_losses_g"]


def test_grid_losses_move_no_figure_of_scope_2() -> None:
    without = totals(kpis([row | {"losses_g": None} for row in USED], [], [])[0])
    found = totals(kpis(USED, [], [])[0])
    moved = {name for name in found if found[name] != without.get(name)}
    assert moved == {
        "scope33_losses_g", "scope33_g", "scope31_g", "scope31_losses_g", "scope38_losses_g", "losses_coverage",
    }  # fmt: skip


@pytest.mark.parametrize("name", INDICATORS)
def test_the_evidence_query_gives_the_numerator_and_denominator_again(name: str) -> None:
    """As SQL in the lake, for the total of a day; what is not one query says so."""
    indicator = INDICATORS[name]
    daily, _ = kpis(USED, SERVED, SPENT)
    wanted = {"EUR"} if indicator.unit == "{currency}" else {r["unit"] for r in daily if r["kpi"] == name}
    grain = indicator.grains[0]
    (row, *_) = [r for r in daily if (r["kpi"], r["day"], r["grain"]) == (name, ONE, grain) and r["unit"] in wanted]
    con = ibis.duckdb.connect()
    for each, model, rows in (("emissions", Emissions, USED), ("activity", Activity, SERVED), ("cost", Cost, SPENT)):
        con.create_table(each, table(model, rows).to_pyarrow())
    for role, ingredient in zip(("numerator", "denominator"), indicator.ingredients(), strict=False):
        factor = indicator.evidence_factor(ingredient)
        assert (factor is None) == (bool(indicator.match) or ingredient.with_idle)
        if factor is None:
            continue
        base = ingredient.rows.where(Filter("day", "=", ONE.isoformat()))
        base = base if grain == "total" else base.where(Filter(grain, "=", row[grain]))
        base = base.where(Filter("billing_currency", "=", "EUR")) if base.table == "cost" else base
        (found,) = con.raw_sql(base.sql()).fetchone()
        assert (D(found or 0) * D(factor)).quantize(D("1e-15")) == row[role], base.sql()

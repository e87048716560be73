"""Grams of what the grid lost on the way: the formula by hand, from files to the report, and days made before it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pytest

from energy_assets.contracts.audit import conform
from energy_assets.contracts.tables import Emissions, Energy, GridIntensity
from energy_assets.emissions.appliers import HOURLY
from energy_assets.emissions.assets import factor_uncertainty
from energy_assets.emissions.losses import losses_of
from energy_assets.emissions.pipe import Basis, Factors, run_pipe
from energy_assets.factor_listing import applied
from energy_assets.factors.losses import GridLoss
from energy_assets.factors.places import as_table, members_of, resolve
from energy_assets.lake import Lake
from energy_assets.periods import DayRange, Period
from energy_assets.query import ask
from energy_assets.running import run_days, run_report
from energy_assets.site import load_site
from energy_assets.sources.base import Place
from energy_assets.tables import EMISSIONS
from energy_assets.telling import remarks_of
from energy_assets_tests.kpis.test_indicators import kpis
from energy_assets_tests.rows import at, rows_of, table
from energy_assets_tests.small_site import write_csv

D = Decimal
CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
Row = dict[str, Any]


def made(energy: Row, grid: Row, losses: list[GridLoss] | None, basis: Basis = "direct") -> Row:
    place = Place(region="r1", zone="DE", pue=D("1.25"))
    placed = table(Energy, [{"provider": "onprem", "region": "r1", **energy}])
    places = ibis.memtable(as_table(resolve(members_of(placed), {"meters": place}, [])))
    found = None if losses is None else losses_of(["DE"], [2023, 2024], losses)
    factors = Factors(places, table(GridIntensity, [grid]), factor_uncertainty(), basis, losses=found)
    (row,) = rows_of(CON, CON.create_table("e", conform(run_pipe(placed, factors, HOURLY), Emissions), overwrite=True))
    return row


def lost(share: str, of: str = "sent_out", zone: str = "DE", year: int = 2024) -> GridLoss:
    return GridLoss(zone, D(share), of, year, "made up for this test")


@pytest.mark.parametrize(
    ("share", "of", "lifecycle", "grams"),
    [
        # 10 kWh × PUE 1.25 × 5/95 (0.052632) × 400 g/kWh = 21.053 g/kWh × 12.5 kWh
        ("0.05", "sent_out", "400", "263.1625"),
        # 5/100 of what arrived: 20 g/kWh × 12.5 kWh
        ("0.05", "delivered", "400", "250"),
        ("0", "sent_out", "400", "0"),
        ("0.05", "delivered", "0", "0"),
        # 0.01 × 0.05 g/kWh is 0.0005, which rounds away from zero
        ("0.01", "delivered", "0.05", "0.0125"),
        ("0.01", "delivered", "0.049", "0"),
    ],
)
def test_grams_of_losses_by_hand(share: str, of: str, lifecycle: str, grams: str) -> None:
    row = made({"energy_kwh": D(10)}, {"lifecycle_gco2e_per_kwh": D(lifecycle)}, [lost(share, of)])
    assert row["losses_g"] == D(grams)


@pytest.mark.parametrize(
    ("energy", "grid", "losses"),
    [
        ({}, {}, None),
        ({}, {}, []),
        ({}, {}, [lost("0.05", zone="FR")]),
        ({}, {"lifecycle_gco2e_per_kwh": None}, [lost("0.05")]),
        ({"energy_kwh": None}, {}, [lost("0.05")]),
        ({"zone": None}, {}, [lost("0.05")]),
        ({}, {"hour": at(1)}, [lost("0.05")]),
    ],
)
def test_what_is_not_known_is_no_zero(energy: Row, grid: Row, losses: list[GridLoss] | None) -> None:
    assert made(energy, grid, losses)["losses_g"] is None


@pytest.mark.parametrize("basis", ["direct", "lifecycle"])
def test_losses_change_no_other_column(basis: Basis) -> None:
    without, with_losses = (made({}, {}, losses, basis) for losses in (None, [lost("0.05", "delivered")]))
    assert with_losses["losses_g"] == D("1.25") * 20
    assert with_losses | {"losses_g": None} == without


def test_the_year_of_the_hour_decides() -> None:
    losses = [lost("0.05", "delivered", year=2023), lost("0.1", "delivered", year=2024)]
    day = date(2023, 12, 31)
    row = made({"day": day, "hour": at(23, day)}, {"day": day, "hour": at(23, day)}, losses)
    assert (row["losses_g"], made({}, {}, losses)["losses_g"]) == (D(25), D(50))


DAY = date(2024, 5, 9)
SITE = """
organisation: {name: Example AI, currency: EUR}
start: 2024-05-01
storage: {root: ./var}
engine: {kind: duckdb, memory_limit: 1GB, threads: 1}
sources:
  - {name: meters, kind: power_files, path: "meters/a.csv", node: node, max_gap_s: 3600,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: texas, kind: power_files, path: "meters/b.csv", node: node, max_gap_s: 3600,
     place: {provider: onprem, region: r2, zone: US-TEX-ERCO, pue: 1.25}}
  - name: grid
    kind: grid_factors
    factors:
      - {zone: DE, year: 2024, direct_gco2e_per_kwh: 300, lifecycle_gco2e_per_kwh: 400, source: made up for this test}
      - {zone: US-TEX-ERCO, year: 2024, direct_gco2e_per_kwh: 300, lifecycle_gco2e_per_kwh: 400, source: made up}
"""
OWN = "factors: {losses: losses.csv}\n"
SCOPE_2 = (
    "select day, hour, source, location_g, upstream_g, lifecycle_g, grams_uncertainty_pct from emissions order by all"
)


def written(folder: Path, site: str = SITE) -> None:
    times = [datetime(DAY.year, DAY.month, DAY.day) + timedelta(hours=hour) for hour in range(25)]
    for name, node in (("a", "n1"), ("b", "n2")):
        write_csv(folder / f"meters/{name}.csv", ["time", "node", "power_w"], ((t, node, 1000) for t in times))
    (folder / "losses.csv").write_text("zone,loss_share,of,year,source\nDE,0.04,delivered,2023,our grid operator\n")
    (folder / "site.yaml").write_text(site)


def test_losses_from_files_to_the_report(tmp_path: Path) -> None:
    """Two nodes of 24 kWh each: the table knows Texas (0.050854 of what is sent out), the site's own file Germany."""
    written(tmp_path)
    site, days = load_site(tmp_path / "site.yaml"), DayRange(DAY, DAY)
    outcome = run_days(site, days, lambda step: None)
    assert outcome.success, outcome.failures
    texas = D("0.053579") * 400
    by_zone = "select zone, sum(losses_g) from emissions group by zone order by zone"
    assert ask(site, by_zone)[1] == [("DE", None), ("US-TEX-ERCO", 30 * texas.quantize(D("0.001")))]
    before = ask(site, SCOPE_2)[1]
    said = "\n".join(one.says for one in remarks_of(site, days, outcome))
    assert "grid losses are not known of 24.0 kWh (onprem r1): no table has those of its grid zone" in said
    listed = {one.of: one for one in applied(site) if one.factor == "grid losses"}
    assert (listed["DE"].value, listed["US-TEX-ERCO"].value) == ("unknown", "0.053579")
    assert listed["US-TEX-ERCO"].edition == "2019"
    assert "US EPA" in listed["US-TEX-ERCO"].said_by
    figures = _figures(tmp_path, site)
    assert D(figures["scope33_losses_g"]["value"]) == 30 * texas.quantize(D("0.001"))
    assert D(figures["losses_coverage"]["value"]) == D("0.5")

    (tmp_path / "site.yaml").write_text(SITE + OWN)
    site = load_site(tmp_path / "site.yaml")
    again = run_days(site, days, lambda step: None)
    assert again.success, again.failures
    assert ask(site, by_zone)[1][0] == ("DE", D(30 * 16))
    assert ask(site, SCOPE_2)[1] == before
    listed = {one.of: one for one in applied(site) if one.factor == "grid losses"}
    assert (listed["DE"].value, listed["DE"].said_by) == ("0.040000", "losses.csv: our grid operator")
    assert "grid losses are" not in "\n".join(one.says for one in remarks_of(site, days, again))


def _figures(folder: Path, site: Any) -> dict[str, Any]:
    report = run_report(site, Period.parse("2024-05"), lambda step: None)
    assert report.success, report.failures
    found = json.loads(next((folder / "var").rglob("figures.json")).read_text(encoding="utf-8"))["figures"]
    return {one["metric"]: one for one in found if not one["dimensions"] or one["metric"] == "losses_coverage"}


class Before(Emissions):
    """The contract as it was before grid losses."""

    @classmethod
    def to_schema(cls) -> Any:
        """All other columns."""
        return Emissions.to_schema().remove_columns(["losses_g"])


def test_days_made_before_the_column_are_read_as_unknown(tmp_path: Path) -> None:
    """Such a day is in the lake without the column: it is unknown there, and every other figure is what it was."""
    written(tmp_path)
    site = load_site(tmp_path / "site.yaml")
    assert run_days(site, DayRange(DAY, DAY), lambda step: None).success
    figures = _figures(tmp_path, site)
    before, lake = ask(site, SCOPE_2)[1], Lake(site.disk())
    con = ibis.duckdb.connect()
    rows = con.create_table("rows", lake.read(con, EMISSIONS).drop("losses_g").to_pyarrow())
    lake.replace(con, replace(EMISSIONS, model=Before, proofs=()), [DAY], rows, "before")
    assert ask(site, "select count(losses_g), count(*) from emissions")[1] == [(0, 48)]
    assert ask(site, SCOPE_2)[1] == before
    daily, _ = kpis(rows_of(con, lake.read(con, EMISSIONS)), [], [])
    found = {row["kpi"]: row["value"] for row in daily if row["grain"] == "total"}
    assert "scope33_losses_g" not in found
    assert found["losses_coverage"] == 0
    for name in ("scope2_location_g", "scope33_upstream_g", "facility_kwh"):
        assert found[name] == D(figures[name]["value"]), name

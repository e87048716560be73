"""A factor that becomes another one makes its days stale, and the automation asks for exactly what is made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from energy_assets.definitions import build_defs
from energy_assets.factors.version import APPLIED, ENERGY, PREFIX, factors_version
from energy_assets.running import instance, run_days
from energy_assets.site import Site
from energy_assets_tests.factor_site import YEARS, factor_site, revised
from energy_assets_tests.operations import test_following as following

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr(following, "NOON", datetime(2025, 1, 3, 12, tzinfo=UTC))
    return factor_site(tmp_path)


def test_a_revised_row_makes_exactly_the_days_it_is_of_stale(site: Site) -> None:
    assert run_days(site, YEARS, lambda step: None).success
    with instance(site) as opened:
        sensor = following.Sensor(site, opened)
        with revised("1.2"):
            sensor.reload(build_defs(site))
            asked = sensor.follow()
    recorded = [day for asset, day in asked if asset == "factors/applied"]
    assert recorded == [day.isoformat() for day in YEARS], "the record of every day is made anew"
    assert [day for asset, day in asked if asset == "emissions/hourly"] == ["2025-01-01", "2025-01-02"]
    assert {asset for asset, _ in asked if asset.startswith(("raw", "unified"))} == set()
    assert ("kpi/monthly", "2025-01-01") in asked
    assert ("kpi/monthly", "2024-12-01") not in asked


def test_the_version_of_factors_follows_tables_lines_and_files_and_nothing_else(site: Site) -> None:
    plain = factors_version(site, APPLIED)
    assert plain.startswith(PREFIX)
    assert plain == factors_version(site, APPLIED) != factors_version(site, ENERGY)
    with revised("1.2"):
        assert factors_version(site, APPLIED) != plain
    placed = factor_site(site.folder, "places: [{provider: aws, region: eu-north-1, pue: 1.3}]")
    assert factors_version(placed, ENERGY) != factors_version(site, ENERGY)
    own = factor_site(site.folder, "factors: {hardware: hardware.csv}")
    absent = factors_version(own, APPLIED)
    (site.folder / "hardware.csv").write_text("host\n")
    assert len({plain, absent, factors_version(own, APPLIED)}) == 3
    assert factors_version(own, ENERGY, own_files=False) == factors_version(site, ENERGY, own_files=False)


def test_a_factor_of_site_yaml_that_becomes_another_one_is_another_code_version_of_its_source(site: Site) -> None:
    (grid,) = (source for source in site.sources if source.kind == "grid_factors")
    (meters,) = (source for source in site.sources if source.kind == "power_files")
    other = grid.model_copy(update={"factors": [grid.factors[0].model_copy(update={"year": 2023})]})
    assert (grid.restates, meters.restates) == (True, False)
    assert grid.code_version != other.code_version
    assert meters.code_version == meters.parser_version

"""A region may be known from rows alone: its zone is asked for in the same run, and missed where nobody knows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import ibis
import pytest

from energy_assets.landing import Landed
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import run_days
from energy_assets.sandbox.electricity_maps import ElectricityMapsServer
from energy_assets.site import load_site
from energy_assets.sources import registry
from energy_assets.sources.base import Parsed, StepContext
from energy_assets_tests.daily_readings import DailyReadings

DAY = date(2026, 10, 2)
SITE = """
organisation: {{name: Rows know}}
start: {day}
sources:
  - {{name: grid, kind: electricity_maps, token: "env:EM_TOKEN", url: "{url}"}}
  - {{name: meters, kind: agents, folder: in, token: "env:EM_TOKEN", place: {{provider: aws, region: us-east-1}}}}
"""
HEAD = (
    "Datetime (UTC),Zone id,Carbon intensity gCO₂eq/kWh (direct),"
    "Carbon intensity gCO₂eq/kWh (Life cycle),Carbon-free energy percentage (CFE%),Data estimated"
)


class Agents(DailyReadings):
    """Agents that say themselves in which region they run."""

    kind: Literal["agents"]  # type: ignore[assignment]

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """The same rows, in France."""
        parsed = super().parse(objects, days, step)
        return Parsed(parsed.rows.mutate(provider=ibis.literal("aws"), region=ibis.literal("eu-west-3")))


def test_one_run_asks_for_the_zone_of_a_region_that_only_rows_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("EM_TOKEN", "sandbox")
    monkeypatch.setitem(registry.KINDS, "agents", f"{__name__}:Agents")
    (tmp_path / "in").mkdir()
    (tmp_path / f"in/{DAY}.txt").write_text("1.5")
    with ElectricityMapsServer(now=lambda: datetime(2026, 11, 20, 12, tzinfo=UTC)) as server:
        (tmp_path / "site.yaml").write_text(SITE.format(url=server.url, day=DAY))
        site = load_site(tmp_path / "site.yaml")
        outcome = run_days(site, DayRange(DAY, DAY), lambda step: None)
        assert outcome.success, outcome.failures
        assert {asked.params["zone"] for asked in server.requests} == {"FR", "US-MIDA-PJM"}
    zones = "select zone, count(*), count(factor_tier) from grid_intensity group by 1 order by 1"
    assert ask(site, zones)[1] == [("FR", 24, 24), ("US-MIDA-PJM", 24, 24)]
    assert ask(site, "select zone, location_g > 0 from emissions")[1] == [("FR", True)]
    assert outcome.warnings == []

    (tmp_path / "grid.csv").write_text(f"{HEAD}\n{DAY} 00:00:00,US-MIDA-PJM,100,200,50,False\n")
    grid = "{name: grid, kind: intensity_files, path: grid.csv}\n  - {name: meters"
    text = SITE.format(url=server.url, day=DAY)
    (tmp_path / "site.yaml").write_text(text[: text.index("{name: grid")] + grid + text.split("{name: meters")[1])
    outcome = run_days(load_site(tmp_path / "site.yaml"), DayRange(DAY, DAY), lambda step: None)
    assert outcome.success, outcome.failures
    (warning,) = outcome.warnings
    said = "factors/grid_intensity: zones_have_intensities: once, for example day 2026-10-02, zone FR"
    assert warning.startswith(said)

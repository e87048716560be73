"""Estimates of the grid that are replaced, over HTTP and a whole site: exactly the days they are of become others."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.lake import Lake
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import run_days
from energy_assets.sandbox.electricity_maps import ElectricityMapsServer
from energy_assets.site import Site, load_site
from energy_assets.telling import remarks_of

SITE = """
organisation: {{name: Revised}}
start: {first}
sources:
  - {{name: grid, kind: electricity_maps, token: "env:EM_TOKEN", url: "{url}"}}
  - {{name: meters, kind: power_files, path: "meters.csv", node: node, max_gap_s: 900,
     place: {{provider: onprem, region: r1, zone: DE, pue: 1.0}}}}
attribution: {{rules: [{{match: {{node_id: n1}}, project: lab}}]}}
"""
DAILY = ("raw_grid", "raw_meters", "grid_intensity", "energy", "emissions", "kpis_daily")


@pytest.fixture
def days() -> DayRange:
    """The last two days that are over; of the later one the publisher estimates the afternoon."""
    today = datetime.now(UTC).date()
    return DayRange(today - timedelta(days=2), today - timedelta(days=1))


def site_of(folder: Path, url: str, days: DayRange) -> Site:
    """One machine that takes 600 W all the time."""
    start = datetime.combine(days.first, time())
    lines = [f"{start + timedelta(minutes=15 * n):%Y-%m-%dT%H:%M:%SZ},n1,600" for n in range(4 * 48 + 1)]
    (folder / "meters.csv").write_text("\n".join(["time,node,power_w", *lines]) + "\n")
    (folder / "site.yaml").write_text(SITE.format(first=days.first, url=url))
    return load_site(folder / "site.yaml")


def prints(site: Site) -> dict[str, dict[date, str]]:
    lake = Lake(site.disk())
    return {name: lake.fingerprints(name) for name in DAILY}


def test_an_estimate_that_gives_way_to_a_measured_value_makes_its_day_anew_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: DayRange
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("EM_TOKEN", "sandbox")
    noon = datetime.combine(days.last + timedelta(days=1), time(12), UTC)
    clock = [noon]

    def intensity(zone: str, hour: datetime, basis: str) -> float:
        """The service first thinks that the afternoon is dirtier than it was."""
        guessed = 100 if clock[0] - hour < timedelta(days=1) else 0
        return 300 + guessed + (50 if basis == "lifecycle" else 0)

    with ElectricityMapsServer(now=lambda: clock[0], intensity=intensity) as server:
        site = site_of(tmp_path, server.url, days)
        first = run_days(site, days, lambda step: None)
        assert first.success, first.failures
        assert not [one for one in remarks_of(site, days, first) if one.note == "intensities_revised"]
        query = (
            "select g.day, g.factor_tier, count(*), sum(location_g) from grid_intensity g "
            "join emissions using (hour, zone) "
            "group by all order by all"
        )
        grams = Decimal("0.6") * 300
        assert ask(site, query)[1] == [
            (days.first, 1, 24, 24 * grams),
            (days.last, 1, 13, 13 * grams),
            (days.last, 2, 11, 11 * Decimal("0.6") * 400),
        ]
        before = prints(site)

        clock[0] = noon + timedelta(days=1)
        second = run_days(site, days, lambda step: None)
        assert second.success, second.failures
        assert ask(site, query)[1] == [(day, 1, 24, 24 * grams) for day in days]

        after = prints(site)
        changed = {name: {day for day in days if after[name][day] != before[name][day]} for name in DAILY}
        mine = {"raw_grid", "grid_intensity", "emissions", "kpis_daily"}
        assert changed == {name: {days.last} if name in mine else set() for name in DAILY}

        (told,) = [one for one in remarks_of(site, days, second) if one.note == "intensities_revised"]
        assert not told.hole
        assert told.says.startswith("11 hours of grid zones are not what they were when collected before")
        assert told.examples == (
            f"DE on {days.last}: 11 hours, 11 of them measured now, 400 g/kWh direct, 450 g/kWh life-cycle became "
            "300 g/kWh direct, 350 g/kWh life-cycle",
        )

        third = run_days(site, DayRange(days.last, days.last), lambda step: None)
        assert not [one for one in remarks_of(site, days, third) if one.note == "intensities_revised"], "told once"

    landing = site.disk().landing()
    numbers = {day: landing.edition("grid", day).number for day in days}  # type: ignore[union-attr]
    assert numbers == {days.first: 1, days.last: 2}
    kept = [meta["path"] for batch in site.disk().store().list(f"landing/editions/grid/{days.last}/") for meta in batch]
    values = []
    for path in sorted(kept):
        edition = json.loads(bytes(site.disk().store().get(path).bytes()))
        (direct,) = [o for o in edition["objects"] if o["request"]["params"]["emissionFactorType"] == "direct"]
        answer = json.loads(landing.read(direct["sha256"]))
        values.append((answer["data"][-1]["carbonIntensity"], answer["data"][-1]["isEstimated"]))
    assert values == [(400, True), (300, False)], "both editions are there"

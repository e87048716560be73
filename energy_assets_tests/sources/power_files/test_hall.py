"""The meter of a hall, 50 MW, from the file to the grams: no figure overflows on its way."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import run_days
from energy_assets.site import load_site
from energy_assets_tests.small_site import SITE, write_csv, write_site

DAY = date(2024, 5, 30)


def test_fifty_megawatts_reach_emissions_and_kpis(tmp_path: Path) -> None:
    path = write_site(tmp_path, DayRange(DAY, DAY), SITE.replace("run: run, ", ""))
    start = datetime(DAY.year, DAY.month, DAY.day)
    readings = [(f"{start + timedelta(minutes=15 * n):%Y-%m-%dT%H:%M:%SZ}", "hall", 50_000_000) for n in range(97)]
    write_csv(tmp_path / f"meters/{DAY}.csv", ["time", "node", "power_w"], readings)
    site = load_site(path)
    outcome = run_days(site, DayRange(DAY, DAY), lambda step: None)
    assert outcome.success, outcome.failures
    kwh, facility, grams = ask(site, "select sum(energy_kwh), sum(facility_kwh), sum(location_g) from emissions")[1][0]
    assert (kwh, facility) == (1_200_000, 1_500_000)
    assert grams == sum(50_000 * Decimal("1.25") * (200 + 30 + 5 * hour) for hour in range(24))
    ((value,),) = ask(site, "select value from kpis_daily where kpi = 'energy_kwh' and grain = 'total'")[1] or [(None,)]
    assert value in (None, 1_200_000)

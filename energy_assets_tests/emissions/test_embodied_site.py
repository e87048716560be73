"""From site.yaml and files to embodied emissions and water in the lake, the report and the listing of factors."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from energy_assets.factor_changes import outdated_days
from energy_assets.factor_listing import applied
from energy_assets.periods import DayRange, Period
from energy_assets.query import ask
from energy_assets.running import run_days, run_report
from energy_assets.site import load_site
from energy_assets.telling import remarks_of
from energy_assets_tests.small_site import write_csv

DAY = date(2024, 5, 9)
SITE = """
organisation: {name: Example AI, currency: EUR}
start: 2024-05-01
storage: {root: ./var}
engine: {kind: duckdb, memory_limit: 1GB, threads: 1}
sources:
  - {name: meters, kind: power_files, path: "meters/*.csv", node: node, device: gpu, device_kind: gpu,
     device_model: NVIDIA H100 80GB HBM3, max_gap_s: 3600,
     place: {provider: onprem, region: r1, zone: AT, pue: 1.25, wue: 1.8}}
  - name: grid
    kind: grid_factors
    factors: [{zone: AT, year: 2024, direct_gco2e_per_kwh: 100, source: made up for this test}]
  - {name: bills, kind: focus_files, path: "bills/*.csv"}
factors: {hardware: hardware.csv}
"""
HARDWARE = """host,device_model,count,kg_co2e,lifetime_years,in_service_from,in_service_to,source
n1,,1,876,5,2024-01-01,,maker
n9,,1,876,5,2024-01-01,,maker
"""
H100_G = 164_000 / 35_040
HOST_G = 876_000 / 43_800


def test_hardware_and_water_from_files_to_the_report(tmp_path: Path) -> None:
    """A GPU of 400 W, an m5.xlarge on a bill, the host of the GPU in the inventory and another that no meter sees."""
    start = datetime(DAY.year, DAY.month, DAY.day)
    times = [start + timedelta(hours=hour) for hour in range(25)]
    write_csv(tmp_path / "meters/a.csv", ["time", "node", "gpu", "power_w"], ((t, "n1", "0", 400) for t in times))
    header = "BilledCost,BillingCurrency,BillingPeriodStart,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,"
    header += "ConsumedQuantity,ConsumedUnit,ProviderName,RegionId,ResourceId,ServiceName,SkuMeter,SubAccountId"
    charge = ["1", "EUR", "2024-05-01T00:00:00Z", "Usage", "2024-05-09T00:00:00Z", "2024-05-10T00:00:00Z", "24", "Hrs",
              "AWS", "us-east-1", "i-0123456789abcdef0", "Amazon Elastic Compute Cloud", "BoxUsage:m5.xlarge",
              "111122223333"]  # fmt: skip
    write_csv(tmp_path / "bills/may.csv", header.split(","), [charge])
    (tmp_path / "hardware.csv").write_text(HARDWARE)
    (tmp_path / "site.yaml").write_text(SITE)
    site, days = load_site(tmp_path / "site.yaml"), DayRange(DAY, DAY)
    outcome = run_days(site, days, lambda step: None)
    assert outcome.success, outcome.failures

    sums = "ghg_scope, sum(embodied_g)::double, sum(water_onsite_l)::double, sum(water_offsite_l)::double"
    found = {row[0]: row[1:] for row in ask(site, f"select {sums} from emissions group by 1")[1]}
    it_kwh = 24 * 0.4
    assert found["scope2"] == pytest.approx((24 * (H100_G + HOST_G), it_kwh * 1.8, it_kwh * 1.25 * 5.722182))
    cloud_g = 24 * 4 * 1_610_790 / 35_040 / 96
    cloud_kwh = ask(site, "select sum(energy_kwh)::double from emissions where ghg_scope = 'scope3.1'")[1][0][0]
    assert found["scope3.1"] == (pytest.approx(cloud_g), pytest.approx(cloud_kwh * 0.12), None)
    rows = ask(site, "select (select count(*) from energy), (select count(*) from emissions)")[1][0]
    assert rows[0] == rows[1] > 24

    said = "\n".join(one.says for one in remarks_of(site, days, outcome))
    assert "water of the electricity is not known of " in said
    assert "(aws us-east-1): no table has that of its grid zone" in said
    assert "water on site" not in said
    assert "accelerator-hours" not in said
    assert "n9" in said
    assert "in_service_to" in said

    report = run_report(site, Period.parse("2024-05"), lambda step: None)
    assert report.success, report.failures
    page = next((tmp_path / "var").rglob("report.xhtml")).read_text(encoding="utf-8")
    assert "Scope 3.2" in page
    figures = json.loads(next((tmp_path / "var").rglob("figures.json")).read_text(encoding="utf-8"))["figures"]
    values = {f["metric"]: f["value"] for f in figures if not f["dimensions"]}
    assert float(values["scope32_embodied_g"]) == pytest.approx(24 * (H100_G + HOST_G))
    assert float(values["scope31_embodied_g"]) == pytest.approx(cloud_g)
    assert float(values["water_onsite_l"]) == pytest.approx(it_kwh * 1.8 + cloud_kwh * 0.12)
    assert "No table and no inventory has a footprint" not in page

    listed = {(one.factor, one.of): one.value for one in applied(site)}
    assert listed["making of hardware", "NVIDIA H100 80GB HBM3"] == "164"
    assert listed["making of hardware", "n1"] == "876"
    assert listed["WUE", "onprem r1"] == "1.8"
    assert listed["water of the grid, consumed", "AT"] == "5.722182"
    assert listed["water of the grid, consumed", "US-MIDA-PJM"] == "unknown"
    assert listed["water stress", "aws us-east-1"] == "medium to high"

    columns = "factor, of, value, edition, state, said_by"
    recorded = {row[:2]: row[2:] for row in ask(site, f"select {columns} from factors_applied")[1]}
    assert recorded["PUE", "aws us-east-1"][:3] == ("1.15", "2024", "applies")
    assert recorded["WUE", "aws us-east-1"][:3] == ("0.12", "2024", "applies")
    assert recorded["PUE", "onprem r1"] == ("1.25", None, "applies", "place of the source meters")
    assert recorded["making of hardware", "NVIDIA H100 80GB HBM3"][:2] == ("164", "2025")
    assert recorded["making of hardware", "n1"][:1] == ("1 x 876",)
    assert recorded["water of the grid, consumed", "US-MIDA-PJM"][0] is None
    (watts,) = [said for (factor, _), said in recorded.items() if factor == "watts of a vCPU, none to full load"]
    assert watts[0] is not None
    assert " to " in watts[0]
    listed_pue = {(one.of, one.value) for one in applied(site) if one.factor == "PUE"}
    assert {(of, said[0]) for (factor, of), said in recorded.items() if factor == "PUE"} == listed_pue
    assert outdated_days(site, applied(site)) == [], "what is listed and what is on record are written alike"

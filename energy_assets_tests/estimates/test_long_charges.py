"""A charge of a month, in runs of single days in any order: every day has its share, and none has it twice."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import run_days
from energy_assets.site import load_site
from energy_assets_tests.small_site import write_csv

SITE = """
organisation: {name: Small AI}
start: 2024-05-01
storage: {root: ./var}
sources:
  - {name: bills, kind: focus_files, path: "bills/*.csv"}
"""
CHARGE = {
    "BilledCost": "23", "BillingAccountId": "1", "BillingCurrency": "USD", "BillingPeriodEnd": "2024-06-01T00:00:00Z",
    "BillingPeriodStart": "2024-05-01T00:00:00Z", "ChargeCategory": "Usage", "ChargePeriodEnd": "2024-06-01T00:00:00Z",
    "ChargePeriodStart": "2024-05-01T00:00:00Z", "ConsumedQuantity": "1000000", "ConsumedUnit": "GB-Months",
    "ProviderName": "AWS", "RegionId": "eu-central-1", "ResourceId": "corpus",
    "ServiceName": "Amazon Simple Storage Service", "SkuMeter": "EUC1-TimedStorage-ByteHrs",
}  # fmt: skip
DAY_KWH = 93.6
"""A million gigabytes for 24 hours at 0.65 Wh per TB-hour, in six copies."""


@pytest.mark.parametrize("order", [(1, 3), (3, 1)])
def test_each_day_has_its_share_whatever_runs_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "site.yaml").write_text(SITE)
    write_csv(tmp_path / "bills/may.csv", list(CHARGE), [CHARGE.values()])
    site = load_site(tmp_path / "site.yaml")
    for day in order:
        assert run_days(site, DayRange(date(2024, 5, day), date(2024, 5, day)), lambda step: None).success
    for table in ("usage_estimates", "energy"):
        _, found = ask(site, f"select day, sum(energy_kwh) from {table} group by 1 order by 1")
        assert [day.day for day, _ in found] == [1, 3], table
        assert [float(kwh) for _, kwh in found] == pytest.approx([DAY_KWH, DAY_KWH], rel=1e-9), table

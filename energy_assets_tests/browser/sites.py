"""The site behind the browser tests: the sandbox company, two days, run and reported through Dagster.

What belongs here: making it, with a tag that tries to be markup and a bill that breaks its contract. What does not:
servers and browsers.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg

from energy_assets.definitions import build_defs
from energy_assets.disclosures.places import report_folder
from energy_assets.landing import Edition
from energy_assets.periods import DayRange, Period
from energy_assets.raw.collecting import parse
from energy_assets.running import QUIET, instance, run_days, run_report
from energy_assets.sandbox.company import Company, last_complete_days
from energy_assets.sandbox.site import write_site
from energy_assets.site import Site, load_site
from energy_assets.sources.base import Source, StepContext

HOSTILE = '<img src=x onerror="window.hostile=1"><script>window.hostile=1</script>'
HOSTILE_ACCOUNT = "300000000003"
HOSTILE_LINES = 3


@dataclass(frozen=True)
class FinishedSite:
    """A site that was run.

    Attributes:
        path: The site file.
        site: What it says.
        days: The days that were run.
        report: Folder of the report of the last day's month.
    """

    path: Path
    site: Site
    days: DayRange
    report: Path


def finished_site(folder: Path, now: datetime) -> FinishedSite:
    """Run the company's last two days and report; then a fault in a parser lets a bill break its contract.

    The day's good version stays published, and the fault is gone when the UI materializes the day again.
    """
    days = last_complete_days(2, now)
    with Company(days, folder=folder, clock=lambda: now) as company:
        path = write_site(company, folder)
        text = path.read_text()
        assert "project: platform," in text
        path.write_text(text.replace("project: platform,", f"project: {json.dumps(HOSTILE)},"))
        _write_bill(folder / "bills/hostile.csv.gz", days.last)
        site, period = load_site(path), Period.containing(days.last)
        outcome = run_days(site, days, lambda step: None)
        assert outcome.success, outcome.failures
        reported = run_report(site, period, lambda step: None)
        assert reported.success, reported.failures
    with patch("energy_assets.raw.assets.parse", _faulty_parse):
        assert not _materialized(site, "bills", days.last)
    return FinishedSite(path, site, days, report_folder(site, "ml_sustainability", period))


def _faulty_parse(source: Source, editions: Mapping[date, Edition], step: StepContext, before: Any = None) -> Any:
    """The real parser with a fault: it writes a currency that is none in the lines with the hostile tag."""
    parsed, failures = parse(source, editions, step, before)
    assert parsed is not None
    rows = parsed.rows
    currency = (rows.account_id == HOSTILE_ACCOUNT).ifelse("bribe", rows.billing_currency)
    return replace(parsed, rows=rows.mutate(billing_currency=currency)), failures


def _materialized(site: Site, source: str, day: date) -> bool:
    job = build_defs(site).resolve_job_def("daily")
    with instance(site) as dagster:
        return job.execute_in_process(
            instance=dagster,
            partition_key=day.isoformat(),
            asset_selection=[dg.AssetKey(["raw", source])],
            raise_on_error=False,
            run_config=QUIET,
        ).success


def _write_bill(path: Path, day: date) -> None:
    charge = {
        "BilledCost": "12.5",
        "BillingAccountId": HOSTILE_ACCOUNT,
        "BillingCurrency": "USD",
        "BillingPeriodStart": f"{day:%Y-%m}-01 00:00:00",
        "ChargeCategory": "Usage",
        "ChargePeriodStart": f"{day} 03:00:00",
        "ChargePeriodEnd": f"{day} 04:00:00",
        "EffectiveCost": "12.5",
        "ListCost": "12.5",
        "ProviderName": "Sandbox Cloud",
        "Tags": json.dumps({"owner": HOSTILE}),
    }
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, [*charge, "ServiceName"])
    writer.writeheader()
    writer.writerows({**charge, "ServiceName": f"{HOSTILE} {number}"} for number in range(HOSTILE_LINES))
    path.write_bytes(gzip.compress(out.getvalue().encode(), mtime=0))

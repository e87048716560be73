"""The site behind the browser tests: the sandbox company, two days, run and reported through Dagster.

What belongs here: making it, with a tag that tries to be markup and a bill that breaks its contract. What does not:
servers and browsers.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import dagster as dg

from energy_assets.definitions import build_defs
from energy_assets.disclosures.asset import report_folder
from energy_assets.periods import DayRange, Month
from energy_assets.running import QUIET, instance, run_days, run_report
from energy_assets.sandbox.company import Company, last_complete_days
from energy_assets.site import Site, load_site

HOSTILE = '<img src=x onerror="window.hostile=1"><script>window.hostile=1</script>'
BROKEN_LINES = 3
_RULE = """
    - {match: {owner: "*"}, project: "{label:owner}", workload_type: development}
"""


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
    """Run the company's last two days and report, then let a bill of the last day break its contract.

    The broken bill is taken away again, so that the day can be mended from the UI.
    """
    days = last_complete_days(2, now)
    with Company(days, folder=folder, clock=lambda: now) as company:
        path = company.write_site(folder)
        path.write_text(path.read_text().replace("    # Tags of the bills.\n", f"    # Tags of the bills.{_RULE}"))
        _write_bill(folder / "bills/hostile.csv.gz", days.last, category="Usage", lines=1)
        site, month = load_site(path), Month.of(days.last)
        outcome = run_days(site, days, lambda step: None)
        assert outcome.success, outcome.failures
        reported = run_report(site, month, lambda step: None)
        assert reported.success, reported.failures
    broken = folder / "bills/broken.csv.gz"
    _write_bill(broken, days.last, category="Bribe", lines=BROKEN_LINES)
    assert not _materialized(site, "bills", days.last)
    broken.unlink()
    return FinishedSite(path, site, days, report_folder(site, "ml_sustainability", month))


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


def _write_bill(path: Path, day: date, category: str, lines: int) -> None:
    charge = {
        "BilledCost": "12.5",
        "BillingAccountId": "300000000003",
        "BillingCurrency": "USD",
        "BillingPeriodStart": f"{day:%Y-%m}-01 00:00:00",
        "ChargeCategory": category,
        "ChargePeriodStart": f"{day} 03:00:00",
        "ChargePeriodEnd": f"{day} 04:00:00",
        "EffectiveCost": "12.5",
        "ListCost": "12.5",
        "ProviderName": "Sandbox Cloud",
        "Tags": '{"owner": "%s"}' % HOSTILE.replace('"', '\\"'),
    }
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, [*charge, "ServiceName"])
    writer.writeheader()
    writer.writerows({**charge, "ServiceName": f"{HOSTILE} {number}"} for number in range(lines))
    path.write_bytes(gzip.compress(out.getvalue().encode(), mtime=0))

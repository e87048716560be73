"""A million lines of a bill to `cost`: landing, raw table, unified table. The bill is synthetic."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from energy_assets.periods import DayRange
from energy_assets.sandbox.bill import write_focus_bill
from energy_assets.site import load_site
from energy_assets.sources.asset import raw_asset
from energy_assets.unified.assets import unified_assets
from energy_assets_tests.bench.assets import call
from energy_assets_tests.bench.measuring import Work

DAYS = DayRange(date(2025, 3, 1), date(2025, 3, 31))
_SITE = f"""\
organisation: {{name: Synthetic bill, currency: USD}}
start: {DAYS.first}
storage: {{root: ./store}}
engine: {{kind: duckdb, memory_limit: 700MB, threads: 2}}
sources:
  - {{name: bills, kind: focus_files, path: bill.csv.gz}}
attribution: {{rules: [{{match: {{project: "*"}}, project: "{{label:project}}"}}]}}
"""


def write(folder: str, rows: int) -> Work:
    """Write the bill (CSV, gzip) and the site file."""
    Path(folder, "site.yaml").write_text(_SITE, encoding="utf-8")
    return Work(rows=write_focus_bill(Path(folder) / "bill.csv.gz", DAYS, rows=rows))


def to_cost(folder: str) -> Work:
    """The assets `raw/bills` and `unified/cost`, called as a run calls them."""
    site, work = load_site(Path(folder) / "site.yaml"), Work()
    (source,) = site.sources
    with work.part("raw"):
        call(raw_asset(source, site), site, list(DAYS))
    (cost,) = unified_assets(site)
    with work.part("cost"):
        work.rows = call(cost, site, list(DAYS))
    return work

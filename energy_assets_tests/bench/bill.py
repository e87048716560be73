"""A million lines of a bill to `cost`: landing, raw table, unified table. The bill is synthetic."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from energy_assets.periods import DayRange
from energy_assets.raw.assets import raw_asset
from energy_assets.sandbox.bill import write_focus_bill
from energy_assets.site import load_site
from energy_assets.unified.assets import unified_assets
from energy_assets_tests.bench.assets import call
from energy_assets_tests.bench.measuring import Work

DAYS = DayRange(date(2025, 3, 1), date(2025, 3, 31))
_SITE = """\
organisation: {{name: Synthetic bill, currency: USD}}
start: {first}
storage: {{root: ./store_{ending}}}
engine: {{kind: duckdb, memory_limit: 600MB, threads: 2}}
sources:
  - {{name: bills, kind: focus_files, path: bill.{ending}}}
attribution: {{rules: [{{match: {{project: "*"}}, project: "{{label:project}}"}}]}}
"""


def write(folder: str, rows: int, ending: str) -> Work:
    """Write the bill and its site file."""
    Path(folder, f"{ending}.yaml").write_text(_SITE.format(first=DAYS.first, ending=ending), encoding="utf-8")
    return Work(rows=write_focus_bill(Path(folder) / f"bill.{ending}", DAYS, rows=rows))


def to_cost(folder: str, ending: str) -> Work:
    """The assets `raw/bills` and `unified/cost`, called as a run calls them."""
    site, work = load_site(Path(folder) / f"{ending}.yaml"), Work()
    (source,) = site.sources
    with work.part("raw"):
        call(raw_asset(source, site), site, list(DAYS))
    (cost,) = unified_assets(site)
    with work.part("cost"):
        work.rows = call(cost, site, list(DAYS))
    return work

"""A small company as files: two metered nodes, a folder of grid exports, a bill. What runs end to end in seconds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from energy_assets.lake import Lake
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import Outcome, Step, run_days
from energy_assets.site import Site, load_site

DAYS = DayRange(date(2024, 5, 30), date(2024, 6, 1))
WATTS = {"n1": 600, "n2": 240}
"""Constant power, so that anybody can tell the energy of an hour."""

SITE = """
organisation: {name: Small AI, currency: EUR, base_year: 2023}
start: 2024-05-30
storage: {root: ./var}
engine: {kind: duckdb, memory_limit: 1GB, threads: 1}
sources:
  - {name: meters, kind: power_files, path: "meters/*.csv", node: node, run: run, max_gap_s: 900,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: grid, kind: intensity_files, path: "grid/*.csv"}
  - {name: bills, kind: focus_files, path: "bills/*.csv"}
attribution:
  rules:
    - match: {node_id: n1, workload_id: "train-*"}
      project: "<script>lab</script>"
      model_id: tiny
      workload_type: training
    - {match: {team: "*"}, project: "{label:team}"}
"""

GRID_ONLY = """
organisation: {name: Small AI}
start: 2024-05-30
storage: {root: ./var}
sources:
  - {name: grid, kind: intensity_files, path: "grid/*.csv"}
"""
"""The same folder as a site of one source, for what any run shows."""

GRID_HEADER = [
    "Datetime (UTC)", "Country", "Zone name", "Zone id", "Carbon intensity gCO₂eq/kWh (direct)",
    "Carbon intensity gCO₂eq/kWh (Life cycle)", "Carbon-free energy percentage (CFE%)",
    "Renewable energy percentage (RE%)", "Data source", "Data estimated", "Data estimation method",
]  # fmt: skip


@dataclass(frozen=True)
class SmallRun:
    """A finished run of the small company.

    Attributes:
        path: The site file.
        site: The site.
        outcome: What the run said at its end.
        steps: What it said meanwhile.
    """

    path: Path
    site: Site
    outcome: Outcome
    steps: list[Step]

    @classmethod
    def of(cls, folder: Path, days: DayRange = DAYS) -> SmallRun:
        """Write the company below `folder` and run `days`."""
        path, steps = write_site(folder), list[Step]()
        site = load_site(path)
        return cls(path, site, run_days(site, days, steps.append), steps)


def write_site(folder: Path, days: DayRange = DAYS, text: str = SITE) -> Path:
    """Write the site and its files below `folder`; the path of the site file."""
    folder.mkdir(parents=True, exist_ok=True)
    for day in days:
        write_csv(folder / f"meters/{day}.csv", ["time", "node", "run", "power_w"], _readings(day))
        write_csv(folder / f"bills/{day}.csv", list(_charges(day)[0]), (line.values() for line in _charges(day)))
    write_csv(folder / "grid/DE.csv", GRID_HEADER, (line for day in days for line in _intensities(day)))
    path = folder / "site.yaml"
    path.write_text(text)
    return path


def direct_g(hour: datetime) -> Decimal:
    """The direct intensity of an hour in grams per kWh; the life-cycle one is 50 more."""
    return Decimal(200 + hour.day + 5 * hour.hour)


def write_csv(path: Path, header: list[str], lines: Iterable[Iterable[Any]]) -> None:
    """A CSV file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([header, *lines])
    path.write_text(out.getvalue())


def contents(site: Site) -> dict[str, Any]:
    """Every table of the lake: fingerprints by partition, and all rows in order."""
    lake = Lake(site.disk())
    return {name: (lake.fingerprints(name), sorted(ask(site, f"from {name}")[1], key=repr)) for name in lake.tables()}


def _readings(day: date) -> Iterable[tuple[Any, ...]]:
    start = datetime(day.year, day.month, day.day)
    for step in range(24 * 4 + 1):
        at = start + timedelta(minutes=15 * step)
        if at.date() == day:
            for node, watts in WATTS.items():
                yield f"{at:%Y-%m-%dT%H:%M:%SZ}", node, "train-1" if at.hour < 12 else "", watts


def _intensities(day: date) -> Iterable[tuple[Any, ...]]:
    for number in range(24):
        hour = datetime(day.year, day.month, day.day, number)
        if (day.day, number) != (31, 7):
            yield hour, "Germany", "Germany", "DE", direct_g(hour), direct_g(hour) + 50, 50, 40, "x", "False", ""


def _charges(day: date) -> list[Mapping[str, str]]:
    line = {
        "BilledCost": "1.000000000000000001",
        "BillingAccountId": "1",
        "BillingCurrency": "EUR",
        "BillingPeriodStart": f"{day:%Y-%m}-01 00:00:00",
        "ChargeCategory": "Usage",
        "ChargePeriodStart": f"{day} 03:00:00",
        "ChargePeriodEnd": f"{day} 04:00:00",
        "EffectiveCost": "1",
        "ListCost": "2",
        "ProviderName": "AWS",
        "ServiceName": f"Compute {day}",
        "Tags": '{"team": "<script>lab</script>"}',
    }
    return [line, line | {"BilledCost": "2.5", "Tags": "{}", "ServiceName": f"Storage {day}"}]

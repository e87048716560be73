"""A site with one host whose two accelerators idle half of the day, as files: what opportunities are found in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from energy_assets.periods import DayRange
from energy_assets.running import run_days
from energy_assets.site import Site, load_site
from energy_assets_tests.small_site import GRID_HEADER, write_csv

SITE = """
organisation: {name: Small AI, currency: EUR}
start: 2024-05-01
storage: {root: ./var}
engine: {kind: duckdb, memory_limit: 1GB, threads: 1}
sources:
  - {name: meters, kind: power_files, path: "meters/*.csv", node: node, device: gpu, device_kind: gpu, run: run,
     max_gap_s: 3600, device_model: NVIDIA H100 80GB HBM3, place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: grid, kind: intensity_files, path: "grid/*.csv"}
attribution: {rules: [{match: {workload_id: "train-*"}, project: lab, model_id: tiny, workload_type: training}]}
"""
BUSY_W, IDLE_W = 600, 80


def write_gpu_site(folder: Path, days: Iterable[tuple[DayRange, int]]) -> Site:
    """Write the site and its files; the first GPU trains from noon, in the dirty hours.

    Args:
        folder: Made where it does not exist.
        days: Ranges, with the power that the second GPU takes while nobody uses it, in watts.
    """
    grid: list[Any] = []
    for span, spare_w in days:
        for day in span:
            start = datetime(day.year, day.month, day.day)
            times = [start + timedelta(hours=n) for n in range(24)]
            lines = [
                (f"{at:%Y-%m-%dT%H:%M:%SZ}", "n1", gpu, run, watts)
                for at in times
                for gpu, run, watts in (
                    ("g0", "train-1" if at.hour >= 12 else "", BUSY_W if at.hour >= 12 else IDLE_W),
                    ("g1", "", spare_w),
                )
            ]
            write_csv(folder / f"meters/{day}.csv", ["time", "node", "gpu", "run", "power_w"], lines)
            grid += [
                (at, "Germany", "Germany", "DE", 100 + 10 * at.hour, 150 + 10 * at.hour, 50, 40, "x", "False", "")
                for at in times
            ]
    write_csv(folder / "grid/DE.csv", GRID_HEADER, grid)
    (folder / "site.yaml").write_text(SITE)
    return load_site(folder / "site.yaml")


def run(site: Site, days: DayRange) -> None:
    """Run days; fails with what failed."""
    outcome = run_days(site, days, lambda step: None)
    assert outcome.success, outcome.failures

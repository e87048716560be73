"""One day of the sandbox company: all assets through Dagster, and the same assets called one after the other."""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path

from energy_assets.periods import DayRange, Month
from energy_assets.sandbox.company import Company, last_complete_days
from energy_assets.sandbox.site import write_site
from energy_assets_tests.bench.measuring import Measured, Work, measure


def compare(folder: Path, rounds: int) -> dict[str, list[Measured]]:
    """The last complete day into empty stores: through Dagster and called directly; and importing Dagster."""
    days = last_complete_days(1, datetime.now(UTC))
    measured: dict[str, list[Measured]] = {"import_dagster": [], "through_dagster": [], "directly": []}
    with Company(days=days, folder=folder) as company:
        for number in range(rounds):
            measured["import_dagster"].append(measure("day:import_dagster"))
            for step in ("through_dagster", "directly"):
                site = write_site(company, folder / f"{step}_{number}")
                measured[step].append(measure(f"day:{step}", site=str(site), day=days.first.isoformat()))
    return measured


def import_dagster() -> Work:
    """Importing Dagster alone: the assets are declared with it, so calling them directly pays for it as well."""
    import_module("dagster")
    return Work()


def through_dagster(site: str, day: str) -> Work:
    """What `energy-assets run` does for one day; importing Dagster is a part of it."""
    work = Work()
    with work.part("imports"):
        from energy_assets.running import run_days
        from energy_assets.site import load_site
    with work.part("run"):
        at = date.fromisoformat(day)
        outcome = run_days(load_site(Path(site)), DayRange(at, at), lambda _: None)
    if not outcome.success:
        raise RuntimeError(f"the run failed: {outcome.failures}")
    work.rows = sum(outcome.rows.values())
    return work


def directly(site: str, day: str) -> Work:
    """Every asset's function in order of the road, without a run."""
    work = Work()
    with work.part("imports"):
        from energy_assets.emissions.assets import emission_assets
        from energy_assets.factors.assets import factor_assets
        from energy_assets.kpis.assets import kpi_assets
        from energy_assets.raw.assets import raw_asset
        from energy_assets.site import load_site
        from energy_assets.unified.assets import unified_assets
        from energy_assets_tests.bench.assets import call
    at, loaded = date.fromisoformat(day), load_site(Path(site))
    with work.part("run"):
        kpis_daily, kpis_monthly = kpi_assets(loaded)
        hourly, market = emission_assets(loaded)
        road = [
            *(raw_asset(source, loaded) for source in loaded.sources),
            *unified_assets(loaded),
            *factor_assets(loaded),
            hourly,
            kpis_daily,
        ]
        work.rows = sum(call(asset, loaded, [at]) for asset in road)
        work.rows += sum(call(asset, loaded, [Month.of(at).first]) for asset in (market, kpis_monthly))
    return work

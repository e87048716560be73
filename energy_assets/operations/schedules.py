"""Jobs a person starts or a command runs, and the one schedule: has the last complete day come?

What belongs here: which assets make up a run of days or months. What does not: when assets run by themselves, which
`automation.py` says. The schedule is STOPPED until somebody turns it on in the UI.
"""

from typing import Any

import dagster as dg

from energy_assets.disclosures.asset import disclosure_keys
from energy_assets.operations.checks import arrival_keys
from energy_assets.partitions import tables_of
from energy_assets.periods import DayRange
from energy_assets.periods import Grain as PeriodGrain
from energy_assets.site import Site
from energy_assets.tables import Grain

JOB_TAG = "energy_assets/job"
"""Run tag of all runs of a job, in which everything is made after what it is made of (see `automation.py`)."""
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def range_tags(days: DayRange) -> dict[str, str]:
    """Run tags that make one run of a range of days."""
    return {RANGE_START: days.first.isoformat(), RANGE_END: days.last.isoformat()}


def daily_selection(site: Site) -> dg.AssetSelection:
    """Everything partitioned by day, from raw to daily indicators."""
    return _of_grain(site, "day") - _arrivals(site)


def _of_grain(site: Site, grain: Grain) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(dg.AssetKey(table.asset) for table in tables_of(site, grain)))


def _arrivals(site: Site) -> dg.AssetSelection:
    """The arrival checks: they ask about yesterday, so a run of other days leaves them out."""
    return dg.AssetSelection.checks(*arrival_keys(site))


def monthly_selection(site: Site) -> dg.AssetSelection:
    """Everything partitioned by month: indicators, market-based emissions and disclosures."""
    return monthly_tables(site) | dg.AssetSelection.assets(*disclosure_keys("month"))


def monthly_tables(site: Site) -> dg.AssetSelection:
    """Every table partitioned by month, those of sources included."""
    return _of_grain(site, "month") - _arrivals(site)


def jobs(site: Site) -> list[Any]:
    """The jobs behind the commands, so that the UI can start them too; Dagster has no public name for their type."""
    return [
        _job("daily", daily_selection(site), "Everything of one or more days."),
        dg.define_asset_job("arrivals", _arrivals(site), description="Has every source's last complete day come?"),
        _job("monthly_indicators", monthly_tables(site), "Tables of one or more months."),
        _job("monthly", monthly_selection(site), "Indicators and reports of a month."),
        *_longer_jobs(),
    ]


def _longer_jobs() -> list[Any]:
    """`quarterly` and `yearly`: the reports of longer periods, from the indicators of their months."""
    grains: tuple[PeriodGrain, ...] = ("quarter", "year")
    return [
        _job(
            f"{grain}ly",
            dg.AssetSelection.assets(*disclosure_keys(grain)),
            f"Reports of a {grain}, from the indicators of its months.",
        )
        for grain in grains
        if disclosure_keys(grain)
    ]


def _job(name: str, selection: dg.AssetSelection, about: str) -> Any:
    return dg.define_asset_job(name, selection, description=about, tags={JOB_TAG: name})


def schedules() -> list[dg.ScheduleDefinition]:
    """The schedules of every site."""
    return [
        dg.ScheduleDefinition(
            name="arrivals_schedule",
            cron_schedule="0 6 * * *",
            job_name="arrivals",
            execution_timezone="UTC",
            description="Asks at 06:00 UTC whether the last complete day of every source has come.",
        )
    ]

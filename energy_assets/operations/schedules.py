"""Schedules: yesterday every night and whether it came, the trailing window of revised data, the month's report.

All are STOPPED until somebody turns them on in the UI: a fresh installation calls nobody by itself.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from energy_assets.disclosures.asset import disclosure_keys
from energy_assets.operations.checks import arrival_keys
from energy_assets.partitions import tables_of
from energy_assets.periods import DayRange, Month
from energy_assets.periods import Grain as PeriodGrain
from energy_assets.site import Site
from energy_assets.sources.base import Source
from energy_assets.tables import Grain, raw_table

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
    return _of_grain(site, "month") | dg.AssetSelection.assets(*disclosure_keys("month"))


def jobs(site: Site) -> list[UnresolvedAssetJobDefinition]:
    """The jobs behind the commands, so that the UI can start them too."""
    return [
        dg.define_asset_job("daily", daily_selection(site), description="Everything of one or more days."),
        dg.define_asset_job("arrivals", _arrivals(site), description="Has every source's last complete day come?"),
        dg.define_asset_job(
            "monthly_indicators", _of_grain(site, "month"), description="Tables of one or more months."
        ),
        dg.define_asset_job("monthly", monthly_selection(site), description="Indicators and reports of a month."),
        *_longer_jobs(),
    ]


def _longer_jobs() -> list[UnresolvedAssetJobDefinition]:
    """`quarterly` and `yearly`: the reports of longer periods, from the indicators of their months."""
    grains: tuple[PeriodGrain, ...] = ("quarter", "year")
    return [
        dg.define_asset_job(
            f"{grain}ly",
            dg.AssetSelection.assets(*disclosure_keys(grain)),
            description=f"Reports of a {grain}, from the indicators of its months.",
        )
        for grain in grains
        if disclosure_keys(grain)
    ]


def schedules(site: Site) -> list[dg.ScheduleDefinition]:
    """The site's schedules."""
    made = [_nightly(), _arrived(), _monthly(site)]
    revised = [source for source in site.sources if _trailing(source)]
    if revised:
        made.append(_revisions(site, revised))
    return made


def _nightly() -> dg.ScheduleDefinition:
    @dg.schedule(
        name="daily_schedule",
        cron_schedule="30 2 * * *",
        job_name="daily",
        execution_timezone="UTC",
        description="Everything of the last complete day, 02:30 UTC.",
    )
    def daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        last = _yesterday(context.scheduled_execution_time)
        return dg.RunRequest(run_key=f"daily-{last}", partition_key=last.isoformat())

    return daily_schedule


def _arrived() -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="arrivals_schedule",
        cron_schedule="0 6 * * *",
        job_name="arrivals",
        execution_timezone="UTC",
        description="Asks at 06:00 UTC whether the last complete day of every source has come.",
    )


def _monthly(site: Site) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="monthly_schedule",
        cron_schedule="30 4 * * *",
        job_name="monthly",
        execution_timezone="UTC",
        description="Indicators and report of the running month, and of the month before until its tenth day.",
    )
    def monthly_schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        today = context.scheduled_execution_time.date()
        months = {Month.of(today - timedelta(days=1)), Month.of(today - timedelta(days=10))}
        for month in sorted(months):
            if month.first >= site.start.replace(day=1):
                yield dg.RunRequest(run_key=f"{month}-{today}", partition_key=month.first.isoformat())

    return monthly_schedule


def _revisions(site: Site, sources: list[Source]) -> dg.ScheduleDefinition:
    raw = dg.AssetSelection.assets(*(dg.AssetKey(raw_table(source).asset) for source in sources))
    selection = raw.downstream() & dg.AssetSelection.groups("raw", "factors", "emissions", "kpi")
    window = max(_trailing(source) for source in sources)

    @dg.schedule(
        name="revisions_schedule",
        cron_schedule="30 3 * * *",
        target=selection - dg.AssetSelection.assets(dg.AssetKey(["kpi", "monthly"])) - _arrivals(site),
        execution_timezone="UTC",
        description=f"The last {window} days of publishers that replace estimates, and what depends on them.",
    )
    def revisions_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        last = _yesterday(context.scheduled_execution_time)
        # Days before the site's start have no partition; a run that names one fails as a whole.
        first = min(max(last - timedelta(days=window - 1), site.start), last)
        return dg.RunRequest(run_key=f"revisions-{last}", tags=range_tags(DayRange(first, last)))

    return revisions_schedule


def _trailing(source: Source) -> int:
    """How many days back a source's publisher revises what it said; 0 for never."""
    return int(getattr(source, "repull_days", 0))


def _yesterday(now: datetime) -> date:
    return now.astimezone(UTC).date() - timedelta(days=1)

"""Automation: when Dagster materializes an asset without being asked.

What belongs here: one function per condition, each with the incident it prevents, and the sensor that evaluates them.
What does not: jobs a person starts (`schedules.py`), and what an asset does (its own module).

The road runs by itself from the nightly collection upwards: raw assets by the clock, everything above them when what
it is made of has another data version. A night in which nothing changed ends at the raw assets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import dagster as dg

from energy_assets.factors.version import PREFIX
from energy_assets.operations.schedules import JOB_TAG
from energy_assets.site import Site
from energy_assets.tables import raw_table

When = dg.AutomationCondition
Condition: TypeAlias = "dg.AutomationCondition[Any]"

COLLECT_AT = "30 2 * * *"
"""02:30 UTC: the last day is complete, and most publishers have closed their hours."""
REPORT_AT = "30 4 * * *"
REPORT_LAST_MONTH_AT, LAST_MONTH_ENDS_AT = "30 4 1-10 * *", "0 0 11 * *"
FINISH_AT = "*/10 * * * *"
"""When what a job left undone is finished: a command's months come seconds after its days, in their own run."""
CATCH_UP_DAYS = 7
SENSOR = "automation"


def collect_nightly(trailing_days: int) -> Condition:
    """Collect the last complete day, and again the days in which the publisher still changes what it said.

    Prevents that bills and grid data stay at their first estimate: providers rewrite a month until it is closed. The
    days of the window are the source's own, because a long one for all would ask every meter for a month each night.
    Days of the last week that were never tried are collected too: a machine that slept over the weekend would lose
    Friday for ever, as only the latest window is looked at.

    Args:
        trailing_days: How many days back, the last complete one included; 0 and 1 mean that day alone.
    """
    night = When.cron_tick_passed(COLLECT_AT, "UTC")
    window = When.in_latest_time_window(timedelta(days=max(trailing_days, 1)))
    week = When.in_latest_time_window(timedelta(days=CATCH_UP_DAYS))
    slept = week & When.missing() & ~When.execution_failed()
    due = _pending(night & (window | slept)) | _retry(night)
    return (due & ~When.in_progress()).with_label("collect_nightly")


def follow_days() -> Condition:
    """Materialize a day again when what it is made of changed, however old the day is.

    Prevents that a late correction stops halfway: `eager()` looks at the latest partition alone, so a bill corrected
    for the third of the month would never reach the report. Waits while an upstream day is missing or being made,
    for a day made of half its sources would be published as whole, and made again minutes later.
    """
    due = _behind() | _retry(upstream_changed())
    ready = ~When.any_deps_match(When.missing()) & ~When.any_deps_in_progress() & ~When.in_progress()
    return (due & ready).with_label("follow_days")


def follow_days_of_month() -> Condition:
    """Materialize a month again when one of its days changed, once all runs of its days have ended.

    Prevents a run of the month for every single day of a backfill. Missing days do not hold it back, as they do in
    `follow_days`: a running month always lacks days, and one lost day would keep the month from being shown at all;
    what is missing is counted as coverage. A month made of days and of what is made of them, up to two steps on, waits
    for these: it would be made of the old ones, and again minutes later.
    """
    due = _behind() | _retry(upstream_changed())
    coming = upstream_changed() | When.any_deps_in_progress() | When.will_be_requested()
    ready = (
        ~When.any_deps_in_progress()
        & ~When.in_progress()
        & ~When.any_deps_match(coming)
        & ~When.any_deps_match(When.any_deps_match(coming))
    )
    return (due & ready).with_label("follow_days_of_month")


def follow_factors(otherwise: Condition) -> Condition:
    """Materialize days again that were made with other factors, beside what another condition asks for.

    Prevents that a revised factor reaches new days alone: an asset whose code version is what its factors say
    (`factors.version`) is asked for all days it has, and what is made of it for those whose content became another.

    Args:
        otherwise: The condition of the asset's rhythm.
    """
    restated = When.code_version_changed() & ~When.missing()
    ready = ~When.any_deps_in_progress() & ~When.in_progress()
    return (otherwise | (_pending(restated) & ready)).with_label("follow_factors")


def report_months() -> Condition:
    """Make the report of the running month once a night if it changed, and of the month before until its tenth day.

    Prevents two things: a report per corrected day (they hold a PDF and an iXBRL each), and silent restatement: after
    the tenth day a month is what people have quoted, and a person decides whether to make it anew.
    """
    running = When.in_latest_time_window() & When.cron_tick_passed(REPORT_AT, "UTC").since(_requested())
    open_still = When.cron_tick_passed(REPORT_LAST_MONTH_AT, "UTC").since(
        _requested() | When.cron_tick_passed(LAST_MONTH_ENDS_AT, "UTC")
    )
    # Months that begin within 62 days of the running month's end: it and the one before, never three.
    recent = When.in_latest_time_window(timedelta(days=62)) & open_still
    changed = _behind()
    ready = ~When.any_deps_in_progress() & ~When.in_progress()
    return ((((running | recent) & changed) | _retry(upstream_changed())) & ready).with_label("report_months")


def upstream_changed() -> Condition:
    """An upstream partition has another data version than before.

    Prevents the nightly flood: `newly_updated()` fires for every re-pull, so ten trailing days of unchanged grid data
    would run everything above them each night.
    """
    return When.any_deps_match(_changed()).with_label("upstream_changed")


def _behind() -> Condition:
    """An upstream partition changed, and this one was neither requested nor made by a job since.

    Prevents that a command's run, which makes everything in order, is followed by another one of all its days.
    Dagster's `executed_with_root_target()` is for this, but knows the last partition of a run alone. A job that was
    ended halfway is finished within ten minutes, for what it did not make stays behind; and what changed in any
    other run counts although a job made this asset in the same tick, for nobody knows which was first.
    """
    of_job = When.all_new_updates_have_run_tags(tag_keys={JOB_TAG})
    otherwise = When.any_deps_match(_changed() & ~of_job)
    # Without the second half both memories below would be one: Dagster tells them apart by the names of their parts.
    by_job = When.any_deps_match(_changed() & of_job) & ~otherwise
    made = When.newly_updated() & of_job
    left = by_job.since((_requested() & ~by_job) | made | When.initial_evaluation())
    return (_pending(otherwise) | (left & When.cron_tick_passed(FINISH_AT, "UTC"))).with_label("behind")


def _changed() -> Condition:
    """What changed in a run that makes this asset as well is done already."""
    return When.data_version_changed() & ~When.executed_with_root_target()


def _retry(cause: Condition) -> Condition:
    """Failed for the first time since there was a cause to run, and failed still.

    Prevents runs without end: a bare `execution_failed()` stays true while nobody mends the source, and cost one
    platform 368,000 runs. The failure is remembered until there is another cause, so a second one is nothing new.
    """
    over = cause | When.newly_updated() | When.initial_evaluation()
    first = When.execution_failed().since(over).newly_true()
    return (_pending(first) & When.execution_failed()).with_label("retry")


def _pending(trigger: Condition) -> Condition:
    """Something happened that no run was requested for yet.

    Prevents the lost update: Dagster's `since_last_handled()` lets the request win where a change and a request meet
    in one tick, and the change is forgotten. Here the change wins, at the price of one run that finds nothing new.
    """
    return trigger.since((_requested() & ~trigger) | When.initial_evaluation())


def _requested() -> Condition:
    return When.newly_requested()


def with_automation(assets: Sequence[dg.AssetsDefinition], site: Site) -> list[dg.AssetsDefinition]:
    """The assets, each with the condition of its floor and rhythm.

    Args:
        assets: Any assets of the site.
        site: Says how many trailing days each source collects again.
    """
    trailing = {dg.AssetKey(raw_table(source).asset): source.trailing_days for source in site.sources}
    restating = {dg.AssetKey(raw_table(source).asset) for source in site.sources if source.restates}

    def automated(spec: dg.AssetSpec) -> dg.AssetSpec:
        condition = _condition(spec, trailing)
        with_factors = spec.key in restating or (spec.code_version or "").startswith(PREFIX)
        follows = follow_factors(condition) if condition is not None and with_factors else condition
        return spec.replace_attributes(automation_condition=follows)

    return [asset.map_asset_specs(automated) for asset in assets]


def _condition(spec: dg.AssetSpec, trailing: Mapping[dg.AssetKey, int]) -> Condition | None:
    """The condition of an asset; none for reports on quarters and years, which a person asks for."""
    if spec.key in trailing:
        return collect_nightly(trailing[spec.key])
    monthly = isinstance(spec.partitions_def, dg.MonthlyPartitionsDefinition)
    if spec.group_name == "disclosure":
        return report_months() if monthly else None
    return follow_days_of_month() if monthly else follow_days()


def automation_sensor(site: Site) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates the conditions, running from the start; stopped for a synthetic company.

    Dagster's own default is STOPPED, which leaves an installation that never collects and says nothing. Running is
    safe: nothing is requested at its first evaluation, so a fresh installation first acts at the next 02:30 UTC. The
    demo is one machine's toy whose servers live as long as its window, so there somebody switches it on.
    """
    status = dg.DefaultSensorStatus.STOPPED if site.organisation.synthetic else dg.DefaultSensorStatus.RUNNING
    return dg.AutomationConditionSensorDefinition(
        SENSOR,
        target=dg.AssetSelection.all(),
        default_status=status,
        description="Collects every night at 02:30 UTC and lets what changed run up the road; see docs/automation.md.",
    )

"""Running a site from outside the UI: the same assets, through Dagster, with progress and an honest result.

What belongs here: which assets run for which partitions, and what a person is told meanwhile. What does not:
the command line (`cli.py`) and the assets themselves.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
from filelock import FileLock, Timeout

from energy_assets.contracts.vocabulary import Feed
from energy_assets.dagster_internals import DagsterExecutionInterruptedError, opened
from energy_assets.definitions import build_defs
from energy_assets.disclosures.asset import RESTATED
from energy_assets.disclosures.shelf import sweep
from energy_assets.disk import trouble_of
from energy_assets.factor_changes import factor_remarks, record
from energy_assets.market_changes import market_months, restated
from energy_assets.materialize import ALSO_MADE, FAILED_PARTITIONS, NOTES, PARTITION_ROWS
from energy_assets.operations import history
from energy_assets.operations.checks import arrival, arrival_keys
from energy_assets.operations.event_log import fold
from energy_assets.operations.schedules import (
    RANGE_END,
    RANGE_START,
    daily_selection,
    monthly_selection,
    monthly_tables,
    range_tags,
)
from energy_assets.partitions import daily, monthly, tables_of
from energy_assets.periods import ONE_DAY, DayRange, Month, Period, contiguous
from energy_assets.remarks import Noted, Remark
from energy_assets.secrets import masked
from energy_assets.site import Site
from energy_assets.staging import sweep_dead
from energy_assets.tables import EMISSIONS_MARKET, INSTRUMENTS, KPIS_MONTHLY, RECONCILIATION, raw_table

INSTANCE = """\
telemetry: {{enabled: false}}
nux: {{enabled: false}}  # no newsletter dialog
run_retries: {{enabled: true, max_retries: 0, retry_on_asset_or_op_failure: false}}
event_log_storage:
  module: energy_assets.operations.event_log
  class: EventLog
  config: {{base_dir: {runs}}}
"""
HOST_TAG = "energy_assets/host"
"""Run tag of a command's runs: the machine whose process executes them."""
USER_CODE = "USER_CODE_ERROR"
"""How Dagster says that a step failed within its asset."""
LIVE = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
OURS = INSTANCE.partition("{runs}")[0].format()
"""How a file begins that was written here."""
# Dagster's console log would tear the progress bar; the event log keeps every line.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Step:
    """One thing that happened in a run.

    Attributes:
        asset: The asset, as people write it: `unified/energy`.
        kind: start, done, failed or note.
        text: The message of a note or a failure.
    """

    asset: str
    kind: str
    text: str = ""


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        success: Whether every asset was materialized for every partition.
        rows: Rows published by asset.
        failures: Message by asset, for those that failed.
        warnings: What checks that withhold nothing have found, one line each.
        refuted: What checks of severity ERROR have found, by asset; of a failed asset its message says it, too.
        noted: By asset: what its source told while parsing, by the stretch of days that shares its objects.
        empty: By asset: the partitions it published without a row.
        failed: The partitions of a failed asset that were not published; empty where it failed as a whole.
        withheld: The days an asset was not made for, because something it is made of failed there.
        also: The partitions of an asset that were made again although nobody asked for them, because what is new
            changes them too.
        restated: What became of figures that were published before.
        done: Assets that were materialized.
        run_ids: The Dagster runs.
        interrupted: Whether somebody pressed Ctrl-C.
        surprised: Whether a step failed in Dagster's own code, and not in an asset.
    """

    success: bool = True
    rows: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    refuted: dict[str, list[str]] = field(default_factory=dict)
    noted: dict[str, dict[DayRange, Noted]] = field(default_factory=dict)
    empty: dict[str, set[date]] = field(default_factory=dict)
    failed: dict[str, frozenset[date]] = field(default_factory=dict)
    withheld: dict[str, frozenset[date]] = field(default_factory=dict)
    also: dict[str, set[date]] = field(default_factory=dict)
    restated: list[Remark] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)
    interrupted: bool = False
    surprised: bool = False


Listener = Callable[[Step], None]


def dagster_home(site: Site) -> Path:
    """Where Dagster keeps its runs: `DAGSTER_HOME`, else a folder beside the site's storage."""
    if home := os.environ.get("DAGSTER_HOME"):
        return Path(home)
    root = site.disk().root
    return Path(root) / "dagster" if "://" not in root else site.folder / "var" / "dagster"


@contextmanager
def instance(site: Site) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of a site; made on first use, without telemetry.

    Raises:
        DamagedError: a database of its history cannot be read, now or while it is used.
    """
    home = dagster_home(site)
    home.mkdir(parents=True, exist_ok=True)
    with history.explained(home, site.file), _opened(home) as dagster:
        _sweep_leftovers(site)
        end_dead_runs(dagster)
        yield dagster


def _opened(home: Path) -> dg.DagsterInstance:
    """The instance of a folder, with our settings where it has none of its own."""
    settings = home / "dagster.yaml"
    with FileLock(home / history.OPENING):
        # Dagster makes its tables on first use, and two runs that start at once would both make them.
        wanted = INSTANCE.format(runs=json.dumps(str(home.resolve() / "history" / "runs")))
        found = settings.read_text(encoding="utf-8") if settings.exists() else ""
        moved = found.startswith(OURS) and len(found.splitlines()) == len(wanted.splitlines())
        if found != wanted and (not found or moved):
            # Dagster wants a whole path, which is another one once the folder was moved. What somebody added stays.
            settings.write_text(wanted, encoding="utf-8")
        fold(home / "history" / "runs")
        return opened(str(home))


def _sweep_leftovers(site: Site) -> None:
    """Remove what runs have left that were killed."""
    disk = site.disk()
    sweep_dead(Path(disk.root) / "scratch" if disk.is_local else Path(tempfile.gettempdir()) / "energy-assets-scratch")
    if disk.is_local:
        sweep(Path(disk.root) / "reports")


def daily_assets(site: Site) -> list[str]:
    """Every asset a run of days materializes, in order of the road."""
    return _names(build_defs(site), daily_selection(site))


def run_assets(site: Site) -> list[str]:
    """Every asset that `run_days` materializes, in order of the road."""
    return [*daily_assets(site), *("/".join(table.asset) for table in tables_of(site, "month"))]


def run_days(site: Site, days: DayRange, listen: Listener) -> Outcome:
    """Materialize every daily asset for `days` in one run, then what is made of the months they touch.

    Where an asset could not publish some of the days, what depends on it is run again for the days that are good, so
    that one bad day keeps no other from the report.

    Args:
        site: The site.
        days: What to run.
        listen: Told of every step.

    Raises:
        KeyboardInterrupt: somebody pressed Ctrl-C; what was published is whole.
    """
    outcome, factors = Outcome(), record(site)
    with instance(site) as dagster:
        _execute(site, dagster, "daily", range_tags(days), listen, outcome)
        _go_on_with_good_days(site, dagster, days, listen, outcome)
        also = _follow_what_was_made_again(site, dagster, listen, outcome)
        if "kpi/daily" in outcome.done:
            wanted = sorted({Month.of(day).first for day in {*days, *also}})
            keys = {RANGE_START: wanted[0].isoformat(), RANGE_END: wanted[-1].isoformat()}
            make = partial(_execute_months, site, dagster, "monthly_indicators", keys, listen, outcome)
            _with_their_years(site, dagster, wanted, listen, outcome, make)
        if daily(site).get_last_partition_key() == days.last.isoformat():
            # The checks of the job `arrivals`, without a run of their own: they only warn, and the UI shows them.
            for check in arrival_keys(site):
                dagster.report_runless_asset_event(arrival(dagster, site, check.asset_key))
    outcome.restated += factor_remarks(site, factors)
    return outcome


def _with_their_years(
    site: Site,
    dagster: dg.DagsterInstance,
    wanted: Collection[date],
    listen: Listener,
    outcome: Outcome,
    make: Callable[[], None],
) -> None:
    """Make what is made of months, and again the published ones that share a year's instruments with them.

    What arrived for the year is collected for all its months first, so that they are matched with the same instruments.
    """
    years = {first.year for first in wanted}
    before = market_months(site, years)
    sources = [dg.AssetKey(raw_table(one).asset) for one in site.feeding(Feed.INSTRUMENTS)]
    for others in _month_spans(sorted(set(before) - set(wanted))) if sources else ():
        _execute(site, dagster, "monthly_indicators", others, listen, outcome, sources)
    make()
    made = outcome.also.get("/".join(EMISSIONS_MARKET.asset), set()) - set(wanted)
    for others in _month_spans(sorted(made)):
        _execute(site, dagster, "monthly_indicators", others, listen, outcome, [dg.AssetKey(KPIS_MONTHLY.asset)])
    outcome.restated += restated(before, market_months(site, years), wanted)


def _execute_months(
    site: Site, dagster: dg.DagsterInstance, job: str, tags: dict[str, str], listen: Listener, outcome: Outcome
) -> None:
    """Run a job of months; where instruments or invoices could not be collected, what needs no new ones is made anyway.

    Market-based figures, or the reconciliation, are withheld then, and keep their last good version.
    """
    _execute(site, dagster, job, tags, listen, outcome)
    broken, held = set[str](), set[str]()
    for feed, tables in ((Feed.INSTRUMENTS, (INSTRUMENTS, EMISSIONS_MARKET)), (Feed.INVOICES, (RECONCILIATION,))):
        mine = {"/".join(raw_table(one).asset) for one in site.feeding(feed)} & set(outcome.failures)
        broken |= mine
        held |= {*mine, *("/".join(table.asset) for table in tables)} if mine else set()
    if broken:
        selection = monthly_selection(site) if job == "monthly" else monthly_tables(site)
        able = [name for name in _names(build_defs(site), selection) if name not in held]
        _execute(site, dagster, job, tags, listen, outcome, [dg.AssetKey(name.split("/")) for name in able])


def _month_spans(firsts: Sequence[date]) -> list[dict[str, str]]:
    """Run tags of the ranges of consecutive months.

    Args:
        firsts: Their first days, in order.
    """
    spans: list[list[date]] = []
    for first in firsts:
        if spans and Month.of(spans[-1][-1]).days.last + ONE_DAY == first:
            spans[-1].append(first)
        else:
            spans.append([first])
    return [{RANGE_START: span[0].isoformat(), RANGE_END: span[-1].isoformat()} for span in spans]


def _go_on_with_good_days(
    site: Site, dagster: dg.DagsterInstance, days: DayRange, listen: Listener, outcome: Outcome
) -> None:
    """Run what was skipped below assets that failed for some days only, each for the days on which it lacks nothing.

    An asset is held up by the failures of what it is made of, and by no others. The least held up come first: what
    an asset is made of never lacks more days than the asset itself.
    """
    definitions = build_defs(site)
    every, tried = _names(definitions, daily_selection(site)), set[str]()
    while True:
        held = _withheld(definitions, every, days, outcome)
        outcome.withheld = {name: bad for name, bad in held.items() if bad}
        lacking: dict[frozenset[date], list[str]] = {}
        for name, bad in held.items():
            if name not in {*outcome.done, *tried} and len(bad) < len(days):
                lacking.setdefault(bad, []).append(name)
        if not lacking:
            return
        bad = min(lacking, key=len)
        tried.update(lacking[bad])
        able = [dg.AssetKey(name.split("/")) for name in lacking[bad]]
        for stretch in contiguous([day for day in days if day not in bad]):
            _execute(site, dagster, "daily", range_tags(stretch), listen, outcome, able)


def _follow_what_was_made_again(
    site: Site, dagster: dg.DagsterInstance, listen: Listener, outcome: Outcome
) -> set[date]:
    """Run what depends on days an asset made beyond those of the run; returns these days."""
    definitions = build_defs(site)
    every = set(_names(definitions, daily_selection(site)))
    for name, days in list(outcome.also.items()):
        below = [dg.AssetKey(one.split("/")) for one in sorted(_below(definitions, name) & every)]
        for stretch in contiguous(sorted(days)) if below else ():
            _execute(site, dagster, "daily", range_tags(stretch), listen, outcome, below)
    return {day for days in outcome.also.values() for day in days}


def _withheld(
    definitions: dg.Definitions, every: Sequence[str], days: DayRange, outcome: Outcome
) -> dict[str, frozenset[date]]:
    """The days each asset cannot be made for, because something it is made of failed there.

    Of those below a failure: none where it failed for days alone that were made again beyond those of the run.
    """
    below = {failed: _below(definitions, failed) for failed in outcome.failures}
    wanted = frozenset(days)
    lacks = {failed: (outcome.failed.get(failed) or wanted) & wanted for failed in below}
    held = [name for name in every if name not in outcome.failures and any(name in below[f] for f in below)]
    return {name: frozenset[date]().union(*(lacks[f] for f in below if name in below[f])) for name in held}


def _below(definitions: dg.Definitions, name: str) -> set[str]:
    """The assets that depend on one."""
    above = dg.AssetSelection.assets(dg.AssetKey(name.split("/")))
    return set(_names(definitions, above.downstream())) - {name}


def run_report(site: Site, period: Period, listen: Listener) -> Outcome:
    """Materialize the indicators of a period's months and its disclosures.

    Args:
        site: The site.
        period: A month, which is one run; or a quarter or year, whose months' indicators are a run of their own
            because their partitions are others.
        listen: Told of each step.
    """
    outcome = Outcome()
    first = {RANGE_START: period.first.isoformat(), RANGE_END: period.first.isoformat()}
    with instance(site) as dagster:
        if period.grain == "month":
            make = partial(_execute_months, site, dagster, "monthly", first, listen, outcome)
            _with_their_years(site, dagster, [period.first], listen, outcome, make)
            return outcome
        known = monthly(site).get_partition_keys()
        wanted = [month.first for month in period.months if month.first.isoformat() in known]
        keys = {RANGE_START: wanted[0].isoformat(), RANGE_END: wanted[-1].isoformat()}
        make = partial(_execute_months, site, dagster, "monthly_indicators", keys, listen, outcome)
        _with_their_years(site, dagster, wanted, listen, outcome, make)
        if "kpi/monthly" in outcome.done:
            _execute(site, dagster, f"{period.grain}ly", first, listen, outcome)
    return outcome


def _execute(
    site: Site,
    dagster: dg.DagsterInstance,
    job: str,
    tags: dict[str, str],
    listen: Listener,
    outcome: Outcome,
    assets: Sequence[dg.AssetKey] | None = None,
) -> None:
    definition = build_defs(site).resolve_job_def(job)
    run_id = str(uuid4())
    outcome.run_ids.append(run_id)

    def follow(entry: dg.EventLogEntry) -> None:
        for step in _steps(entry, outcome):
            listen(step)

    dagster.add_event_listener(run_id, follow)
    try:
        with held(dagster, run_id):
            result = definition.execute_in_process(
                instance=dagster,
                run_id=run_id,
                tags={**tags, HOST_TAG: socket.gethostname()},
                raise_on_error=False,
                run_config=QUIET,
                asset_selection=assets,
            )
    except (DagsterExecutionInterruptedError, KeyboardInterrupt) as error:
        _cancel(dagster, run_id)
        raise KeyboardInterrupt from error
    if outcome.interrupted:
        # Dagster takes Ctrl-C within a step for a failure of the step.
        _cancel(dagster, run_id)
        raise KeyboardInterrupt
    if outcome.surprised:
        history.refuse_damaged(Path(dagster.root_directory), site.file)
    outcome.success = outcome.success and result.success


def _cancel(dagster: dg.DagsterInstance, run_id: str) -> None:
    """Have an interrupted run shown as what it is."""
    run = dagster.get_run_by_id(run_id)
    if run and run.status != dg.DagsterRunStatus.CANCELED:
        dagster.report_run_canceled(run, "Somebody pressed Ctrl-C. What was published is whole and stays.")


@contextmanager
def held(dagster: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold a run while this process executes it: the system lets go of the lock however the process ends.

    Args:
        dagster: Keeps the run.
        run_id: Of the run.
    """
    path = _lock_of(dagster, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path):
            yield
    finally:
        path.unlink(missing_ok=True)


def end_dead_runs(dagster: dg.DagsterInstance) -> None:
    """Mark runs of commands as failed whose process was killed on this machine: else they stay started for ever.

    Args:
        dagster: Keeps the runs.
    """
    mine = dg.RunsFilter(statuses=LIVE, tags={HOST_TAG: socket.gethostname()})
    for run in dagster.get_runs(mine):
        path = _lock_of(dagster, run.run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(path, timeout=0):
                dagster.report_run_failed(run, "The process of this run was killed. What was published is whole.")
        except Timeout:
            continue
        path.unlink(missing_ok=True)


def _lock_of(dagster: dg.DagsterInstance, run_id: str) -> Path:
    return Path(dagster.root_directory) / "held" / run_id


def _steps(entry: dg.EventLogEntry, outcome: Outcome) -> Iterator[Step]:
    event = entry.dagster_event
    if event is None:
        if entry.step_key and int(entry.level) <= logging.INFO and entry.user_message:
            yield Step(_name(entry.step_key), "note", masked(entry.user_message))
        return
    asset = _name(event.step_key) if event.step_key else ""
    kinds = {"STEP_START": "start", "STEP_SUCCESS": "done", "STEP_UP_FOR_RETRY": "note"}
    if event.event_type_value == "ASSET_MATERIALIZATION":
        _add_made(outcome, asset, event.step_materialization_data.materialization)
    elif event.event_type_value == "ASSET_CHECK_EVALUATION":
        _add_checked(outcome, event)
    elif event.event_type_value == "STEP_FAILURE" and _interrupted(event):
        outcome.interrupted = True
    elif event.event_type_value == "STEP_FAILURE":
        outcome.failures[asset] = _reason(event)
        outcome.failed[asset] = _failed_partitions(event)
        data = event.step_failure_data.user_failure_data
        if data is None and event.step_failure_data.error_source.value != USER_CODE:
            outcome.surprised = True
        _add_also_made(outcome, asset, data.metadata if data else {})
        yield Step(asset, "failed", outcome.failures[asset])
    elif event.event_type_value in kinds:
        if event.event_type_value == "STEP_SUCCESS":
            outcome.done = [*(name for name in outcome.done if name != asset), asset]
        yield Step(asset, kinds[event.event_type_value], "trying again" if "RETRY" in event.event_type_value else "")


def _add_made(outcome: Outcome, asset: str, made: dg.AssetMaterialization) -> None:
    """Take in one published partition: its rows, and what its source told of it."""
    rows = made.metadata.get(PARTITION_ROWS)
    if rows is not None:
        outcome.rows[asset] = outcome.rows.get(asset, 0) + int(str(rows.value))
        if made.partition and not int(str(rows.value)):
            outcome.empty.setdefault(asset, set()).add(date.fromisoformat(made.partition))
    if said := made.metadata.get(RESTATED):
        outcome.restated.append(Remark(asset, str(said.value), hole=False))
    if told := made.metadata.get(NOTES):
        noted = _noted(told.value)
        outcome.noted.setdefault(asset, {})[noted.days] = noted
    _add_also_made(outcome, asset, made.metadata)


def _noted(told: Any) -> Noted:
    """What `materialize.NOTES` holds."""
    first, last = (date.fromisoformat(day) for day in told["days"])
    return Noted(DayRange(first, last), told["counts"], told["examples"])


def _add_checked(outcome: Outcome, event: dg.DagsterEvent) -> None:
    """Take in what a check has found."""
    found = event.asset_check_evaluation_data
    if found.passed:
        return
    asset, said = found.asset_key.to_user_string(), f"{found.check_name}: {found.description}"
    if found.severity == dg.AssetCheckSeverity.ERROR:
        outcome.refuted.setdefault(asset, []).append(said)
    else:
        outcome.warnings.append(f"{asset}: {said}")


def _add_also_made(outcome: Outcome, asset: str, metadata: Mapping[str, Any]) -> None:
    if named := metadata.get(ALSO_MADE):
        outcome.also.setdefault(asset, set()).update(date.fromisoformat(str(day)) for day in named.value)


def _failed_partitions(event: dg.DagsterEvent) -> frozenset[date]:
    """Which partitions a failed step could not publish; none where it failed as a whole."""
    data = event.step_failure_data.user_failure_data
    named = data.metadata.get(FAILED_PARTITIONS) if data else None
    return frozenset(date.fromisoformat(str(day)) for day in named.value) if named else frozenset()  # type: ignore[union-attr]


def _interrupted(event: dg.DagsterEvent) -> bool:
    """Whether Ctrl-C ended the step: Dagster's own exception, or the engine's where it was computing."""
    error = event.step_failure_data.error
    while error:
        if "Interrupt" in (error.cls_name or ""):
            return True
        error = error.cause
    return False


_DAMAGED = re.compile(r"[\w.]+\.Damaged\w*Error: ")
"""Ours says what is damaged and what to do; the engine's, which led to it, what its parser met."""


def _reason(event: dg.DagsterEvent) -> str:
    return masked(_said(event))


def _said(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    errors = [data.error] if data.error else []
    while errors and errors[-1].cause:
        errors.append(errors[-1].cause)
    if said := trouble_of(error.message for error in reversed(errors)):
        return said
    if damaged := next((error for error in errors if _DAMAGED.match(error.message)), None):
        return _DAMAGED.sub("", damaged.message).strip()
    return errors[-1].message.strip() if errors else "failed without a message"


def _name(step_key: str) -> str:
    return step_key.replace("__", "/")


def _names(definitions: dg.Definitions, selection: dg.AssetSelection) -> list[str]:
    graph = definitions.resolve_asset_graph()
    selected = selection.resolve(graph)
    return [key.to_user_string() for key in graph.toposorted_asset_keys if key in selected]

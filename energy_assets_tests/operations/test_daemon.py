"""Dagster's daemon itself, with the site's automation switched on: what it asks for after what happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from energy_assets.definitions import build_defs
from energy_assets.periods import DayRange
from energy_assets.running import QUIET, instance, run_days
from energy_assets.site import SITE_VARIABLE, Site, load_site
from energy_assets_tests.small_site import DAYS, write_site

MONTHLY = {"emissions/market", "kpi/monthly", "kpi/opportunities", "kpi/reconciliation"}
MIDDLE = date(2024, 5, 31)
PATIENCE_S = 120
QUIET_TICKS = 2
"""Evaluations in a row without a request, after which nothing more is coming."""
HURRIED = """
import dagster as dg
from energy_assets.definitions import build_defs
from energy_assets.site import site_from_environment


@dg.definitions
def defs():
    made = build_defs(site_from_environment())
    (sensor,) = made.sensors
    each_second = dg.AutomationConditionSensorDefinition(
        sensor.name, target=dg.AssetSelection.all(), default_status=sensor.default_status, minimum_interval_seconds=1
    )
    return dg.Definitions(
        assets=made.assets, asset_checks=made.asset_checks, jobs=made.jobs, resources=made.resources,
        executor=made.executor, sensors=[each_second],
    )
"""
"""The site's definitions, evaluated each second instead of every thirty: also in the middle of a command's run."""
Asked = list[tuple[list[str], str]]


class Daemon:
    """`dagster-daemon run` on a site's instance, watched through that instance."""

    def __init__(self, site: Site, opened: dg.DagsterInstance) -> None:
        self.instance, self._site, self._running = opened, site, None
        self._log = site.folder / "daemon.log"

    def __enter__(self) -> Daemon:
        module = self._site.folder / "hurried.py"
        module.write_text(HURRIED)
        environment = {
            **os.environ,
            "DAGSTER_HOME": self.instance.root_directory,
            "PYTHONWARNINGS": "ignore",
            SITE_VARIABLE: str(self._site.folder / "site.yaml"),
        }
        command = [sys.executable, "-m", "dagster._daemon", "run", "-f", str(module)]
        with self._log.open("wb") as log:
            self._running = subprocess.Popen(
                command, env=environment, cwd=self._site.folder, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._running.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self._running.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait()

    def follow(self) -> Asked:
        """Wait until it asks for nothing any more; all that its runs have made so far, oldest first."""
        since = time.time()
        self._wait(lambda: self._quiet(since))
        runs = self.instance.get_runs(dg.RunsFilter(tags={"dagster/sensor_name": "automation"}))
        assert all(run.is_success for run in runs)
        return [
            (
                sorted(key.to_user_string() for key in run.asset_selection or ()),
                run.tags.get("dagster/partition") or run.tags["dagster/asset_partition_range_start"],
            )
            for run in reversed(runs)
        ]

    def _quiet(self, since: float) -> bool:
        (state,) = [s for s in self.instance.all_instigator_state() if s.instigator_name == "automation"] or [None]
        if state is None or self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
            return False
        last = self.instance.get_run_records(limit=1)[0]
        since = max(since, last.end_time or since)
        ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=QUIET_TICKS)
        return len(ticks) == QUIET_TICKS and all(
            tick.timestamp > since and tick.status.value == "SKIPPED" for tick in ticks
        )

    def _wait(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not done():
            assert self._running.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()[-4000:]
            time.sleep(0.5)


UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, Daemon]]:
    """A site of which one day was run, and a daemon that has looked at it."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    site = load_site(write_site(tmp_path))
    assert run_days(site, DayRange(DAYS.first, DAYS.first), lambda step: None).success
    with instance(site) as opened, Daemon(site, opened) as started:
        yield site, started


def land_bills(site: Site, opened: dg.DagsterInstance) -> None:
    """Collect the bills of the middle day anew, and nothing above them."""
    result = (
        build_defs(site)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            asset_selection=[dg.AssetKey(["raw", "bills"])],
            partition_key=str(MIDDLE),
            instance=opened,
            run_config=QUIET,
        )
    )
    assert result.success


def test_the_daemon_asks_for_what_changed_and_for_nothing_else(daemon: tuple[Site, Daemon]) -> None:
    site, started = daemon
    assert started.follow() == [], "it asks for nothing at first"

    command = [Path(sys.executable).with_name("energy-assets"), "run", "--site", site.folder / "site.yaml"]
    subprocess.run([*command, "--from", str(MIDDLE), "--to", str(DAYS.last)], check=True, capture_output=True)
    before = started.follow()
    # The months of a command are a run of their own: looked at right before it, a month is asked for as well.
    assert {name for names, _ in before for name in names} <= MONTHLY, "no day is made again"

    bill = site.folder / f"bills/{MIDDLE}.csv"
    bill.write_text(bill.read_text().replace("2.5", "3.5"))
    land_bills(site, started.instance)
    changed = [
        (["unified/cost"], str(MIDDLE)),
        # A price alone: the estimates are made again and come out the same, so that no energy is asked for.
        (["estimates/usage", "kpi/daily"], str(MIDDLE)),
        (["kpi/monthly"], "2024-05-01"),
        (["kpi/opportunities"], "2024-05-01"),
    ]
    assert started.follow() == [*before, *changed]

    land_bills(site, started.instance)
    assert started.follow() == [*before, *changed], "the same content again"

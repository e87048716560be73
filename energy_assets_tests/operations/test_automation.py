"""Automation over simulated evenings: what is asked for, how often, and what is left alone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from energy_assets.definitions import build_defs
from energy_assets.operations.automation import (
    SENSOR,
    Condition,
    collect_nightly,
    follow_days,
    follow_days_of_month,
    report_months,
)
from energy_assets.site import load_site

DAYS = dg.DailyPartitionsDefinition("2024-05-01")
MONTHS = dg.MonthlyPartitionsDefinition("2024-05-01", end_offset=1)
SINGLE_RUN = dg.BackfillPolicy.single_run()
DAYS_OF_MONTH = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
METERS, BILLS, ENERGY, MONTHLY, REPORT = "meters", "bills", "energy", "monthly", "report"
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")
Requests = dict[str, set[str]]


class Evenings:
    """A road of five stand-in assets whose conditions are evaluated at given instants.

    Attributes:
        content: What a raw asset finds for a day; its data version.
        broken: Assets that fail.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.content: dict[tuple[str, str], str] = {}
        self.broken: set[str] = set()
        self._instance = instance
        self._cursor = None
        self._now = datetime(2024, 6, 1, tzinfo=UTC)
        self._assets = {
            METERS: self._asset(METERS, [], DAYS, collect_nightly(0)),
            BILLS: self._asset(BILLS, [], DAYS, collect_nightly(3)),
            ENERGY: self._asset(ENERGY, [METERS, BILLS], DAYS, follow_days()),
            MONTHLY: self._asset(
                MONTHLY, [dg.AssetDep(ENERGY, partition_mapping=DAYS_OF_MONTH)], MONTHS, follow_days_of_month()
            ),
            REPORT: self._asset(REPORT, [MONTHLY], MONTHS, report_months()),
        }

    def _asset(
        self,
        name: str,
        deps: list[Any],
        partitions: dg.PartitionsDefinition,
        when: Condition,
    ) -> dg.AssetsDefinition:
        @dg.asset(
            name=name, deps=deps, partitions_def=partitions, backfill_policy=SINGLE_RUN, automation_condition=when
        )
        def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            if name in self.broken:
                raise dg.Failure("the source is down", allow_retries=False)
            version = "".join(f"{key}={value};" for key, value in sorted(self.content.items()))
            raw = self.content.get((name, context.partition_key), "same")
            return dg.MaterializeResult(data_version=dg.DataVersion(raw if name in (METERS, BILLS) else version))

        return made

    def at(self, instant: str) -> Requests:
        """What is requested at an instant; nothing of it runs."""
        self._now = datetime.fromisoformat(instant).replace(tzinfo=UTC)
        return self._tick()

    def _tick(self) -> Requests:
        result = dg.evaluate_automation_conditions(
            list(self._assets.values()), self._instance, evaluation_time=self._now, cursor=self._cursor
        )
        self._cursor = result.cursor
        found = {name: result.get_requested_partitions(dg.AssetKey(name)) for name in self._assets}
        return {name: {str(key) for key in keys} for name, keys in found.items() if keys}

    def run(self, name: str | tuple[str, ...], partition: str) -> None:
        """Materialize one partition, as somebody does by hand or the daemon for a request."""
        job = dg.Definitions(self._assets.values()).resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            asset_selection=[dg.AssetKey(key) for key in ([name] if isinstance(name, str) else name)],
            partition_key=partition,
            instance=self._instance,
            raise_on_error=False,
        )

    def remember(self, name: str, *partitions: str) -> None:
        """Partitions that were materialized before anybody looked."""
        for partition in partitions:
            tags = {"dagster/data_version": "" if name not in (METERS, BILLS) else "same"}
            self._instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=partition, tags=tags))

    def play(self, instant: str, ticks: int = 12) -> list[tuple[str, str]]:
        """Every request from an instant on, each run as the daemon would, until nothing is asked for."""
        asked, requests = [], self.at(instant)
        for _ in range(ticks):
            for name, partitions in requests.items():
                for partition in sorted(partitions):
                    asked.append((name, partition))
                    self.run(name, partition)
            self._now += timedelta(seconds=30)
            requests = self._tick()
        assert not requests, f"still asking: {requests}"
        return asked


@pytest.fixture
def evenings() -> Iterator[Evenings]:
    """Evenings after a June that was run up to the eighth, seen for the first time on the ninth."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Evenings(instance)
        for name in (METERS, BILLS, ENERGY):
            made.remember(name, *(f"2024-05-{day:02}" for day in range(1, 32)))
            made.remember(name, *(f"2024-06-{day:02}" for day in range(1, 9)))
        for name in (MONTHLY, REPORT):
            made.remember(name, "2024-05-01", "2024-06-01")
        assert made.at("2024-06-09T20:00") == {}, "a fresh installation asks for nothing at first"
        yield made


def test_a_new_day_runs_up_the_road_once(evenings: Evenings) -> None:
    evenings.content[(METERS, "2024-06-09")] = "first"
    assert sorted(evenings.play("2024-06-10T02:31")) == [
        (BILLS, "2024-06-07"), (BILLS, "2024-06-08"), (BILLS, "2024-06-09"), (ENERGY, "2024-06-09"),
        (METERS, "2024-06-09"), (MONTHLY, "2024-06-01"),
    ]  # fmt: skip
    assert evenings.play("2024-06-10T04:31") == [(REPORT, "2024-06-01")]
    assert evenings.play("2024-06-10T12:00") == []


def test_collecting_the_same_again_runs_nothing_above(evenings: Evenings) -> None:
    evenings.run(METERS, "2024-06-03")
    evenings.run(BILLS, "2024-06-02")
    assert evenings.play("2024-06-09T21:00") == []


def test_a_late_correction_reaches_its_own_dependents_alone(evenings: Evenings) -> None:
    evenings.content[(BILLS, "2024-06-03")] = "corrected"
    evenings.run(BILLS, "2024-06-03")
    assert evenings.play("2024-06-09T21:00") == [(ENERGY, "2024-06-03"), (MONTHLY, "2024-06-01")]


@pytest.mark.parametrize(("at", "reported"), [("2024-06-10T04:31", True), ("2024-06-11T04:31", False)])
def test_a_month_that_is_over_is_reported_anew_until_the_tenth_day(evenings: Evenings, at: str, reported: bool) -> None:
    evenings.content[(BILLS, "2024-05-20")] = "corrected"
    evenings.run(BILLS, "2024-05-20")
    if not reported:
        evenings.play("2024-06-10T04:31")
        evenings.content[(BILLS, "2024-05-20")] = "corrected again"
        evenings.run(BILLS, "2024-05-20")
    asked = evenings.play(at)
    assert (ENERGY, "2024-05-20") in asked
    assert (MONTHLY, "2024-05-01") in asked
    assert ((REPORT, "2024-05-01") in asked) is reported
    assert all(asked.count(key) == 1 for key in asked)


def test_a_failing_day_is_tried_twice_in_all(evenings: Evenings) -> None:
    evenings.broken = {ENERGY}
    evenings.content[(BILLS, "2024-06-03")] = "corrected"
    evenings.run(BILLS, "2024-06-03")
    assert evenings.play("2024-06-09T21:00") == [(ENERGY, "2024-06-03")] * 2
    evenings.content[(BILLS, "2024-06-03")] = "corrected again"
    evenings.run(BILLS, "2024-06-03")
    assert evenings.play("2024-06-09T22:00") == [(ENERGY, "2024-06-03")] * 2, "a new cause, two tries more"


def test_a_day_waits_for_all_of_its_sources_and_a_failing_source_is_tried_twice(evenings: Evenings) -> None:
    evenings.broken = {METERS}
    asked = evenings.play("2024-06-10T02:31")
    assert [key for key in asked if key[0] == METERS] == [(METERS, "2024-06-09")] * 2
    assert (ENERGY, "2024-06-09") not in asked
    evenings.broken = set()
    evenings.run(METERS, "2024-06-09")
    assert (ENERGY, "2024-06-09") in evenings.play("2024-06-10T03:30")


def test_days_nobody_tried_are_caught_up_within_a_week(evenings: Evenings) -> None:
    asked = evenings.at("2024-06-13T02:31")
    assert asked == {
        METERS: {f"2024-06-{day:02}" for day in (9, 10, 11, 12)},
        BILLS: {f"2024-06-{day:02}" for day in (9, 10, 11, 12)},
    }


def test_a_change_while_a_run_was_requested_is_not_lost(evenings: Evenings) -> None:
    evenings.content[(BILLS, "2024-06-03")] = "corrected"
    evenings.run(BILLS, "2024-06-03")
    assert evenings.at("2024-06-09T21:00") == {ENERGY: {"2024-06-03"}}
    evenings.run(ENERGY, "2024-06-03")
    evenings.content[(METERS, "2024-06-03")] = "corrected too"
    evenings.run(METERS, "2024-06-03")
    assert evenings.at("2024-06-09T21:01")[ENERGY] == {"2024-06-03"}


def test_what_one_run_made_together_is_not_made_again(evenings: Evenings) -> None:
    evenings.content[(METERS, "2024-06-03")] = "corrected"
    evenings.run((METERS, ENERGY), "2024-06-03")
    assert evenings.play("2024-06-09T21:00") == [(MONTHLY, "2024-06-01")]


REAL = """
organisation: {name: Everything, synthetic: SYNTHETIC}
start: 2024-05-20
sources:
  - {name: meters, kind: power_files, path: "m/*.csv", repull_days: 1, node: node,
     place: {region: r1, zone: DE, pue: 1.2}}
  - {name: grid, kind: electricity_maps, token: "env:EA_TOKEN", repull_days: 10}
"""


def real(folder: Path, synthetic: bool = False) -> dg.Definitions:
    (folder / "site.yaml").write_text(REAL.replace("SYNTHETIC", str(synthetic).lower()))
    return build_defs(load_site(folder / "site.yaml"))


def test_each_source_of_a_site_collects_its_own_window(tmp_path: Path) -> None:
    defs = real(tmp_path)
    meters, grid, energy = (
        dg.AssetKey(["raw", "meters"]),
        dg.AssetKey(["raw", "grid"]),
        dg.AssetKey(["unified", "energy"]),
    )
    days = [str(date(2024, 5, 20) + timedelta(days=number)) for number in range(42)]
    with dg.DagsterInstance.ephemeral() as instance:
        for key in (meters, grid):
            for day in days:
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(key, partition=day, tags={"dagster/data_version": "same"})
                )
        first = dg.evaluate_automation_conditions(defs, instance, evaluation_time=datetime(2024, 6, 30, 20, tzinfo=UTC))
        assert first.total_requested == 0
        night = dg.evaluate_automation_conditions(
            defs, instance, evaluation_time=datetime(2024, 7, 1, 2, 31, tzinfo=UTC), cursor=first.cursor
        )
        assert night.get_requested_partitions(meters) == {"2024-06-30"}
        assert night.get_requested_partitions(grid) == {f"2024-06-{day}" for day in range(21, 31)}
        assert night.total_requested == 11
        instance.report_runless_asset_event(
            dg.AssetMaterialization(meters, partition="2024-06-02", tags={"dagster/data_version": "corrected"})
        )
        late = dg.evaluate_automation_conditions(
            defs, instance, evaluation_time=datetime(2024, 7, 1, 2, 32, tzinfo=UTC), cursor=night.cursor
        )
        assert (late.get_requested_partitions(energy), late.total_requested) == ({"2024-06-02"}, 1)


@pytest.mark.parametrize(
    ("synthetic", "status"), [(False, dg.DefaultSensorStatus.RUNNING), (True, dg.DefaultSensorStatus.STOPPED)]
)
def test_automation_runs_unless_the_company_is_synthetic(
    tmp_path: Path, synthetic: bool, status: dg.DefaultSensorStatus
) -> None:
    (sensor,) = [sensor for sensor in real(tmp_path, synthetic).sensors or [] if sensor.name == SENSOR]
    assert sensor.default_status == status

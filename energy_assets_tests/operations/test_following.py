"""Automation on a whole site: commands and the sensor together make each partition once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from energy_assets.definitions import build_defs
from energy_assets.periods import DayRange
from energy_assets.running import QUIET, instance, run_days
from energy_assets.site import Site, load_site
from energy_assets_tests.small_site import DAYS, write_site

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")
NOON = datetime(2024, 6, 2, 12, tzinfo=UTC)
MIDDLE = date(2024, 5, 31)
Requests = list[tuple[str, str]]


class Sensor:
    """The site's automation, looked at again and again from the noon after its last day on."""

    def __init__(self, site: Site, opened: dg.DagsterInstance) -> None:
        self._instance = opened
        self.reload(build_defs(site))
        self._now, self._cursor = NOON, None
        assert self._tick() == [], "nothing is asked for at first"

    def reload(self, defs: dg.Definitions) -> None:
        """Go on with other definitions, as after an update of the package or of site.yaml."""
        self._defs, self._graph = defs, defs.resolve_asset_graph()
        self._job = defs.resolve_implicit_global_asset_job_def()

    def _tick(self) -> Requests:
        self._now += timedelta(seconds=30)
        result = dg.evaluate_automation_conditions(
            self._defs, self._instance, evaluation_time=self._now, cursor=self._cursor
        )
        self._cursor = result.cursor
        keys = self._graph.toposorted_asset_keys
        return [(key.to_user_string(), str(p)) for key in keys for p in sorted(result.get_requested_partitions(key))]

    def follow(self) -> Requests:
        """Every request until nothing is asked for, each run as Dagster's daemon would."""
        asked, requests = Requests(), self._tick()
        while requests:
            assert len(asked) < 20, f"no end: {asked}"
            for asset, partition in requests:
                self.run(asset, partition)
            asked += requests
            requests = self._tick()
        return asked

    def wait(self, minutes: int) -> None:
        """Let time pass in which nobody looks."""
        self._now += timedelta(minutes=minutes)

    def run(self, asset: str, partition: str) -> None:
        """Materialize one partition of one asset."""
        result = self._job.execute_in_process(
            asset_selection=[dg.AssetKey(asset.split("/"))],
            partition_key=partition,
            instance=self._instance,
            run_config=QUIET,
        )
        assert result.success


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return load_site(write_site(tmp_path))


@pytest.fixture
def sensor(site: Site) -> Iterator[Sensor]:
    """First looked at after a day was run: in a history without any event Dagster cannot tell one run from another."""
    assert run_days(site, DayRange(DAYS.first, DAYS.first), lambda step: None).success
    with instance(site) as opened:
        yield Sensor(site, opened)


def test_what_a_command_made_is_not_made_again_and_a_changed_day_runs_up_the_road(site: Site, sensor: Sensor) -> None:
    assert run_days(site, DayRange(MIDDLE, DAYS.last), lambda step: None).success
    assert sensor.follow() == [], "a command makes everything, and nothing is left to ask for"

    meters = site.folder / f"meters/{MIDDLE}.csv"
    meters.write_text(meters.read_text().replace("n2,,240", "n2,,250"))
    sensor.run("raw/meters", str(MIDDLE))
    assert sensor.follow() == [
        ("unified/energy", str(MIDDLE)),
        ("factors/applied", str(MIDDLE)),
        ("kpi/reconciliation", "2024-05-01"),
        ("emissions/hourly", str(MIDDLE)),
        ("emissions/market", "2024-05-01"),
        ("kpi/daily", str(MIDDLE)),
        ("kpi/monthly", "2024-05-01"),
        ("kpi/opportunities", "2024-05-01"),
    ]

    sensor.run("raw/meters", str(MIDDLE))
    assert sensor.follow() == [], "the same content again"


def test_a_command_that_ended_halfway_is_finished(site: Site, sensor: Sensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The months of a command are a run of their own, which comes after that of the days, or not at all."""

    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("energy_assets.running._go_on_with_good_days", ended)
    with pytest.raises(KeyboardInterrupt):
        run_days(site, DayRange(DAYS.last, DAYS.last), lambda step: None)
    assert sensor.follow() == [], "the command may still come to its months"
    sensor.wait(minutes=10)
    assert sensor.follow() == [
        ("kpi/reconciliation", "2024-06-01"), ("emissions/market", "2024-06-01"), ("kpi/monthly", "2024-06-01"),
        ("kpi/opportunities", "2024-06-01"),
    ]  # fmt: skip

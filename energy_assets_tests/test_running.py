"""Running a site: the same content however often and in whatever pieces, and an honest end whatever fails."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import zstandard

from energy_assets.lake import Lake
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.raw.assets import RETRIES
from energy_assets.running import (
    HOST_TAG,
    Outcome,
    Step,
    dagster_home,
    held,
    instance,
    run_days,
)
from energy_assets.sandbox.electricity_maps import ElectricityMapsServer
from energy_assets.site import Site, load_site
from energy_assets.sources import registry
from energy_assets_tests.daily_readings import KIND
from energy_assets_tests.s3_server import s3_bucket
from energy_assets_tests.small_site import DAYS, WATTS, SmallRun, contents, direct_g, write_site

SECRET = "hunter2-9f86d081884c7d65"
THIRD = DayRange(DAYS.last, DAYS.last)
MONTHLY = {"kpis_monthly", "emissions_market", "opportunities"}


@pytest.fixture(autouse=True)
def _own_dagster_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def run(site: Site, days: DayRange) -> tuple[Outcome, list[Step]]:
    steps: list[Step] = []
    return run_days(site, days, steps.append), steps


def test_a_run_tells_what_it_does_and_what_came_of_it(small_run: SmallRun) -> None:
    outcome, steps = small_run.outcome, small_run.steps
    assert outcome.success
    assert outcome.failures == {}
    assert set(outcome.done[-3:]) == {"kpi/monthly", "kpi/reconciliation", "kpi/opportunities"}
    assert {step.asset for step in steps if step.kind == "start"} == set(outcome.done)
    assert outcome.rows["unified/energy"] == outcome.rows["emissions/hourly"] == 2 * 24 * len(DAYS)
    assert any(step.kind == "note" and "meters/2024-05-31.csv (2 of 3)" in step.text for step in steps)


def test_the_numbers_are_those_anybody_can_work_out(small_run: SmallRun) -> None:
    """Constant watts, a linear intensity: every hour's product by hand, in decimals."""
    found = ask(
        small_run.site, "select day, hour, node_id, energy_kwh, location_g, upstream_g from emissions order by all"
    )[1]
    last_quarter = [r for r in found if r[1].hour == 23 and r[0] == DAYS.last]
    for _, hour, node, kwh, location_g, upstream_g in [r for r in found if r not in last_quarter]:
        assert kwh == Decimal(WATTS[node]) / 1000
        if (hour.day, hour.hour) != (31, 7):
            assert location_g == kwh * Decimal("1.25") * direct_g(hour)
        assert upstream_g == kwh * Decimal("1.25") * 50
    assert [kwh for *_, kwh, _, _ in last_quarter] == [Decimal(w) * 3 / 4000 for w in WATTS.values()]


def test_what_a_source_left_out_is_told_by_the_days_that_share_its_files(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    meters = tmp_path / "meters/2024-05-31.csv"
    meters.write_text(meters.read_text() + "2024-05-31T05:00:00Z,,,100\n" * 2 + "2024-05-31T05:07:00Z,n1,,-5\n")
    outcome, _ = run(load_site(path), DAYS)
    assert outcome.success
    counts = {str(days): noted.counts for days, noted in outcome.noted["raw/meters"].items()}
    assert counts == {"2024-05-31": {"readings_without_node_dropped": 2, "negative_readings_dropped": 1}}
    with instance(load_site(path)) as dagster:
        key = dg.AssetKey(["raw", "meters"])
        found = {
            entry.partition_key: entry.asset_materialization.metadata  # type: ignore[union-attr]
            for entry in dagster.fetch_materializations(key, limit=10).records
        }
    assert found["2024-05-31"]["negative_readings_dropped"].value == 1, "a number that the UI draws"
    assert "negative_readings_dropped" not in found["2024-05-30"]


def test_days_without_a_row_are_told(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    lines = (tmp_path / "grid/DE.csv").read_text().splitlines(keepends=True)
    (tmp_path / "meters/2024-06-01.csv").unlink()
    assert len(lines) == 72
    outcome, _ = run(load_site(path), DAYS)
    assert outcome.success
    assert outcome.empty["raw/meters"] == {DAYS.last}
    assert "raw/grid" not in outcome.empty


def test_a_missing_hour_of_the_grid_gets_the_months_mean_of_that_hour(small_run: SmallRun) -> None:
    query = "select direct_gco2e_per_kwh, factor_tier, resolution from grid_intensity where hour = '2024-05-31 07:00'"
    assert ask(small_run.site, query)[1] == [(Decimal(200 + 30 + 35), 3, "month")]


def test_a_day_run_again_or_alone_has_the_same_rows_as_within_a_longer_range(
    small_run: SmallRun, tmp_path: Path
) -> None:
    before = contents(small_run.site)
    lake = Lake(small_run.site.disk())
    versions = {name: lake.version(name) for name in lake.tables()}
    again, _ = run(small_run.site, DAYS)
    assert again.success
    assert contents(small_run.site) == before
    assert {name: lake.version(name) for name in lake.tables()} == versions

    alone = SmallRun.of(tmp_path, THIRD)
    assert alone.outcome.success
    for name, (fingerprints, rows) in contents(alone.site).items():
        period = DAYS.last.replace(day=1) if name in MONTHLY else DAYS.last
        assert fingerprints == {period: before[name][0][period]}, name
        assert rows == [row for row in before[name][1] if period in row], name


def test_a_changed_file_changes_only_what_depends_on_it(small_run: SmallRun, tmp_path: Path) -> None:
    shutil.copytree(small_run.path.parent, tmp_path, dirs_exist_ok=True)
    site = load_site(tmp_path / "site.yaml")
    before = contents(site)
    meters = tmp_path / f"meters/{DAYS.first}.csv"
    meters.write_text(meters.read_text().replace("n2,,240", "n2,,250"))
    assert run(site, DAYS)[0].success
    after = contents(site)
    changed = {name: {d for d in after[name][0] if after[name][0][d] != before[name][0][d]} for name in before}
    untouched = {"raw_bills", "raw_grid", "cost", "grid_intensity", "factors_applied", "opportunities"}
    assert {name for name, days in changed.items() if not days} == untouched
    assert {name: days for name, days in changed.items() if days and name not in MONTHLY} == {
        name: {DAYS.first} for name in ("raw_meters", "energy", "emissions", "kpis_daily")
    }
    assert site.disk().landing().edition("meters", DAYS.first).number == 2  # type: ignore[union-attr]


def test_a_failing_source_leaves_the_good_ones_published(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    path.write_text(path.read_text().replace("grid/*.csv", "elsewhere/*.csv"))
    site = load_site(path)
    outcome, steps = run(site, DAYS)
    assert not outcome.success
    assert list(outcome.failures) == ["raw/grid"]
    assert "elsewhere/*.csv: no file matches" in outcome.failures["raw/grid"]
    assert {"raw/meters", "raw/bills", "unified/energy", "unified/cost"} <= set(outcome.done)
    assert [step.asset for step in steps if step.kind == "failed"] == ["raw/grid"]
    assert ask(site, "select count(*) from energy")[1] == [(144,)]


DAILY_SITE = """
organisation: {name: Daily}
start: 2024-05-30
sources:
  - {name: meters, kind: daily_readings, folder: in, token: "env:EA_SECRET", place: {region: r1, zone: DE, pue: 1.25}}
"""


@pytest.fixture
def daily(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site whose days fail alone; every day is 1.5 kWh."""
    monkeypatch.setitem(registry.KINDS, *next(iter(KIND.items())))
    monkeypatch.setenv("EA_SECRET", SECRET)
    monkeypatch.setattr("energy_assets.raw.assets.RETRY_WAIT_S", 0)
    (tmp_path / "in").mkdir()
    for day in DAYS:
        (tmp_path / f"in/{day}.txt").write_text("1.5")
    (tmp_path / "site.yaml").write_text(DAILY_SITE)
    return tmp_path


def energy_by_day(site: Site) -> dict[date, Decimal]:
    return dict(ask(site, "select day, sum(energy_kwh) from raw_meters group by day")[1])


def test_a_malformed_day_fails_alone_and_heals_alone(daily: Path) -> None:
    site = load_site(daily / "site.yaml")
    bad = DAYS.first + timedelta(days=1)
    (daily / f"in/{bad}.txt").write_text("many")
    outcome, _ = run(site, DAYS)
    assert not outcome.success
    message = outcome.failures["raw/meters"]
    assert message == f"raw/meters: 1 of 3 days failed, 2 are published.\n{bad}: {bad}.txt: no number. Mend the file."
    assert set(energy_by_day(site)) == set(DAYS) - {bad}
    with instance(site) as dagster:
        assert dagster.get_materialized_partitions(dg.AssetKey(["raw", "meters"])) == {
            str(d) for d in set(DAYS) - {bad}
        }
    assert site.disk().landing().edition("meters", bad), "the bytes stay, as evidence"

    (daily / f"in/{bad}.txt").write_text("2.5")
    assert run(site, DayRange(bad, bad))[0].success
    assert energy_by_day(site)[bad] == Decimal("2.5")
    assert set(energy_by_day(site)) == set(DAYS)


def test_what_time_may_heal_is_tried_once_more_and_then_given_up(daily: Path) -> None:
    site = load_site(daily / "site.yaml")
    (daily / f"in/{DAYS.last}.txt").unlink()
    outcome, steps = run(site, DAYS)
    assert "not there yet. Wait." in outcome.failures["raw/meters"]
    assert sum(step.kind == "note" and "trying again what failed" in step.text for step in steps) == RETRIES == 1
    assert set(energy_by_day(site)) == set(DAYS) - {DAYS.last}


def test_a_broken_contract_is_told_shown_and_not_published(daily: Path) -> None:
    site = load_site(daily / "site.yaml")
    assert run(site, DAYS)[0].success
    (daily / f"in/{DAYS.first}.txt").write_text("-7")
    outcome, _ = run(site, DAYS)
    message = outcome.failures["raw/meters"]
    assert "energy_kwh.greater_than_or_equal_to: 1 row" in message
    assert "last good version stays readable" in message
    assert energy_by_day(site)[DAYS.first] == Decimal("1.5")
    with instance(site) as dagster:
        key = dg.AssetCheckKey(dg.AssetKey(["raw", "meters"]), "contract")
        (last,) = dagster.event_log_storage.get_asset_check_execution_history(key, 1)
        evaluation = last.event.dagster_event.asset_check_evaluation_data
        assert not evaluation.passed
        assert "-7" in evaluation.metadata["examples"].value


def test_an_absent_secret_is_named(daily: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EA_SECRET")
    outcome, _ = run(load_site(daily / "site.yaml"), DAYS)
    assert "EA_SECRET is not set; export it before the run" in outcome.failures["raw/meters"]


def everything_written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder; what is compressed also as it was before."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        body = path.read_bytes()
        yield str(path), body
        if path.suffix == ".zst":
            yield str(path), zstandard.ZstdDecompressor().decompressobj().decompress(body)
        if path.suffix == ".db":
            with sqlite3.connect(path) as con:
                for (name,) in con.execute("select name from sqlite_master where type = 'table'").fetchall():
                    for row in con.execute(f'select * from "{name}"'):
                        for cell in row:
                            yield f"{path}:{name}", _plain(cell)


def _plain(cell: Any) -> bytes:
    if not isinstance(cell, bytes):
        return str(cell).encode()
    try:
        return zlib.decompress(cell)
    except zlib.error:
        return cell


def test_secrets_are_in_nothing_that_a_run_leaves_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of a source and a key of the storage; a whole run on a bucket, and one that fails."""
    monkeypatch.setenv("EA_TOKEN", SECRET)
    monkeypatch.setenv("EA_KEY", SECRET)
    with s3_bucket() as bucket, ElectricityMapsServer(token=SECRET) as server:
        options = {**bucket.options, "aws_secret_access_key": "env:EA_KEY"}
        path = tmp_path / "site.yaml"
        path.write_text(
            "organisation: {name: Secretive}\nstart: 2024-05-30\n"
            f"storage:\n  root: {bucket.root}\n  options: {options}\n"
            "sources:\n"
            f"- {{name: grid, kind: electricity_maps, token: 'env:EA_TOKEN', url: '{server.url}', zones: [DE]}}\n"
        )
        site = load_site(path)
        done, steps = run(site, THIRD)
        assert done.success, done.failures
        assert ask(site, "select count(*) from raw_grid")[1] == [(24,)]
        server.faults.status = [401] * 20
        failed, more = run(site, THIRD)
        assert not failed.success
        landed = [meta["path"] for batch in site.disk().store().list() for meta in batch]
        objects = [(name, bytes(site.disk().store().get(name).bytes())) for name in landed]
    told = [(step.asset, step.text.encode()) for step in steps + more]
    left = [*everything_written(tmp_path), *objects, *told, ("message", str(failed.failures).encode())]
    assert len(left) > 100
    assert [name for name, body in left if SECRET.encode() in body and name != str(path)] == []


COMMAND = str(Path(sys.executable).with_name("energy-assets"))


def start(path: Path, days: DayRange) -> subprocess.Popen[str]:
    arguments = ["run", "--site", str(path), "--from", str(days.first), "--to", str(days.last)]
    return subprocess.Popen(
        [COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        start_new_session=True,
    )


def wait_for(there: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a run has made something."""
    until = time.monotonic() + 120
    while not there.exists() and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def statuses(site: Site) -> set[dg.DagsterRunStatus]:
    with instance(site) as dagster:
        return {run.status for run in dagster.get_runs()}


def test_ctrl_c_in_the_middle_says_how_to_go_on_and_going_on_works(tmp_path: Path, small_run: SmallRun) -> None:
    path = write_site(tmp_path)
    process = start(path, DAYS)
    wait_for(tmp_path / "var/lake/raw_grid/_delta_log", process)
    os.killpg(process.pid, signal.SIGINT)  # a terminal strikes every process of the command
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "Interrupted. What was published is whole and stays." in err
    assert f"energy-assets run --site {path} --from 2024-05-30 --to 2024-06-01" in err
    assert "Traceback" not in out + err
    assert statuses(load_site(path)) == {dg.DagsterRunStatus.CANCELED}

    outcome, _ = run(load_site(path), DAYS)
    assert outcome.success
    assert contents(load_site(path)) == contents(small_run.site)


def test_a_killed_run_is_marked_as_failed_when_the_next_one_starts(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    process = start(path, DAYS)
    wait_for(tmp_path / "var/lake/raw_meters/_delta_log", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    site = load_site(path)
    with dg.DagsterInstance.from_config(str(dagster_home(site))) as dagster:
        (dead,) = dagster.get_runs()
        assert dead.status == dg.DagsterRunStatus.STARTED
        stranger = dagster.create_run_for_job(dg.job(name="x")(lambda: None), tags={HOST_TAG: "elsewhere"})
        with held(dagster, dead.run_id), instance(site) as other:
            assert other.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.STARTED, "its process lives"  # type: ignore[union-attr]
    with instance(site) as dagster:
        assert dagster.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
        left = dagster.get_run_by_id(stranger.run_id)
        assert left is not None
        assert left.status == dg.DagsterRunStatus.NOT_STARTED, "another machine's"
    assert list((dagster_home(site) / "held").iterdir()) == []


def test_two_runs_of_overlapping_ranges_at_once_both_succeed(tmp_path: Path, small_run: SmallRun) -> None:
    path = write_site(tmp_path)
    middle = DAYS.first + timedelta(days=1)
    processes = [start(path, DayRange(DAYS.first, middle)), start(path, DayRange(middle, DAYS.last))]
    for process in processes:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, out + err
    site = load_site(path)
    both, whole = contents(site), contents(small_run.site)
    assert both == whole


def test_dagster_keeps_its_runs_beside_the_storage(small_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dagster_home(small_run.site) == small_run.path.parent / "var/dagster"
    monkeypatch.setenv("DAGSTER_HOME", "/elsewhere")
    assert dagster_home(small_run.site) == Path("/elsewhere")

"""The event log with open connections: the same files, the same history."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from energy_assets.operations.event_log import OPEN_SHARDS, EventLog
from energy_assets.running import instance
from energy_assets.site import load_site

SITE = """
organisation: {name: Log}
start: 2024-05-20
storage: {root: ./store}
sources: [{name: grid, kind: intensity_files, path: none.csv}]
"""


@dg.op
def speak(context: dg.OpExecutionContext) -> None:
    context.log.info("spoken")


@dg.job
def speech() -> None:
    speak()


def spoken(home: dg.DagsterInstance, run_id: str) -> bool:
    return any(record.user_message == "spoken" for record in home.all_logs(run_id))


def test_history_opens_with_dagsters_own_class_and_files_stay_few(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    site = load_site(tmp_path / "site.yaml")
    with instance(site) as home:
        assert isinstance(home.event_log_storage, EventLog)
        runs = [speech.execute_in_process(instance=home).run_id for _ in range(OPEN_SHARDS + 2)]
        assert all(spoken(home, run_id) for run_id in runs)
        assert len(home.event_log_storage._engines) == OPEN_SHARDS
    settings = tmp_path / "store" / "dagster" / "dagster.yaml"
    settings.write_text("telemetry: {enabled: false}\n")
    with instance(site) as home:
        assert not isinstance(home.event_log_storage, EventLog)
        assert all(spoken(home, run_id) for run_id in runs)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """A shell's background job ignores Ctrl-C from birth."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_waits_for_the_end_of_a_transaction(tmp_path: Path) -> None:
    """One cut off in the middle would lock the log for the very process that wants to say it was interrupted."""
    (tmp_path / "site.yaml").write_text(SITE)
    done = []
    with instance(load_site(tmp_path / "site.yaml")) as home:
        run_id = speech.execute_in_process(instance=home).run_id
        in_transaction = home.event_log_storage._connect(run_id)  # type: ignore[attr-defined]

        def struck() -> None:
            with in_transaction as connection:
                os.kill(os.getpid(), signal.SIGINT)
                connection.execute(sa.text("delete from event_logs"))
                done.append("to its end")

        with pytest.raises(KeyboardInterrupt):
            struck()
        assert done
        assert not spoken(home, run_id), "it was committed"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_moved_store_takes_its_history_along(tmp_path: Path) -> None:
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "site.yaml").write_text(SITE)
    with instance(load_site(tmp_path / "before" / "site.yaml")) as home:
        run_id = speech.execute_in_process(instance=home).run_id
    (tmp_path / "before" / "store").rename(tmp_path / "after" / "store")
    with instance(load_site(tmp_path / "after" / "site.yaml")) as home:
        assert spoken(home, run_id)
    assert not (tmp_path / "before" / "store").exists()


def test_history_of_dagsters_own_class_opens_here(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(home_of(tmp_path))) as plain:
        run_id = speech.execute_in_process(instance=plain).run_id
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "store" / "dagster" / "dagster.yaml").unlink()
    with instance(load_site(tmp_path / "site.yaml")) as home:
        assert isinstance(home.event_log_storage, EventLog)
        assert spoken(home, run_id)


def home_of(folder: Path) -> Path:
    home = folder / "store" / "dagster"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return home

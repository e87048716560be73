"""A server's Dagster history in Postgres, as docs/automation.md sets it up: the same runs, and none of our SQLite."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from energy_assets.definitions import build_defs
from energy_assets.operations.event_log import EventLog
from energy_assets.periods import DayRange
from energy_assets.running import dagster_home, instance, run_days
from energy_assets.site import load_site
from energy_assets_tests.small_site import DAYS, write_site

DEBIAN = Path("/usr/lib/postgresql")
PROGRAMS = ("initdb", "pg_ctl", "createdb")
SETTINGS = """\
storage:
  postgres:
    postgres_url: {env: DAGSTER_POSTGRES_URL}
run_retries: {enabled: true, max_retries: 0, retry_on_asset_or_op_failure: false}
telemetry: {enabled: false}
"""
pytestmark = [
    pytest.mark.real_server,
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"),
]


def server_folder() -> Path:
    """Where Postgres' programs lie; Debian keeps them out of the path."""
    if importlib.util.find_spec("dagster_postgres") is None:
        pytest.skip("dagster-postgres is not installed (docs/automation.md names the version)")
    on_path = [Path(where).parent for where in [shutil.which("initdb")] if where]
    folders = [*on_path, *sorted(DEBIAN.glob("*/bin"))]
    found = [folder for folder in folders if all((folder / name).exists() for name in PROGRAMS)]
    if not found:
        pytest.skip("Postgres is not installed (Debian: apt-get install postgresql)")
    if os.getuid() == 0 and not shutil.which("runuser"):
        pytest.skip("Postgres refuses to run as root, and there is no runuser")
    return found[-1]


@pytest.fixture
def url() -> Iterator[str]:
    """A Postgres of its own on loopback, gone afterwards."""
    programs = server_folder()
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if as_user:
            shutil.chown(folder, "postgres")
        data, options = f"{folder}/data", f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"

        def call(program: str, *arguments: str) -> None:
            command = [*as_user, str(programs / program), *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

        call("initdb", "-D", data, "-U", "dagster", "-A", "trust", "--no-sync")
        call("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            call("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "dagster", "dagster")
            yield f"postgresql+psycopg2://dagster@127.0.0.1:{port}/dagster"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "stop")


def test_runs_and_automation_work_on_an_instance_in_postgres(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(SETTINGS)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    site = load_site(write_site(tmp_path / "site"))
    assert dagster_home(site) == home

    assert run_days(site, DayRange(DAYS.first, DAYS.first), lambda step: None).success
    with instance(site) as opened:
        assert type(opened.event_log_storage).__name__ == "PostgresEventLogStorage"
        assert not isinstance(opened.event_log_storage, EventLog)
        noon = datetime(2024, 6, 2, 12, tzinfo=UTC)
        before = dg.evaluate_automation_conditions(build_defs(site), opened, evaluation_time=noon)
        assert run_days(site, DayRange(DAYS.last, DAYS.last), lambda step: None).success
        assert opened.get_materialized_partitions(dg.AssetKey(["kpi", "daily"])) == {str(DAYS.first), str(DAYS.last)}
        later = dg.evaluate_automation_conditions(
            build_defs(site), opened, evaluation_time=noon.replace(minute=1), cursor=before.cursor
        )
        assert later.total_requested == 0
    assert (home / "dagster.yaml").read_text() == SETTINGS
    assert not list(tmp_path.rglob("*.db")), "nothing is kept in SQLite"

"""What killed runs leave, and faults of the machine: swept at the next start, and said in sentences."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from energy_assets.disclosures.shelf import replacing, sweep
from energy_assets.running import dagster_home, instance
from energy_assets.site import load_site
from energy_assets.staging import owned_name, sweep_dead
from energy_assets_tests.small_site import write_site

DAY_S = 86_400


def dead_pid() -> int:
    """The id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_folders_of_dead_processes_and_old_things_are_swept_and_others_stay(tmp_path: Path) -> None:
    host = socket.gethostname()
    mine, dead = tmp_path / owned_name(), tmp_path / f"{host}.{dead_pid()}.abc-x"
    elsewhere, plain, old = tmp_path / "other.1.abc", tmp_path / "duckdb_temp.tmp", tmp_path / "old.tmp"
    for folder in (mine, dead, elsewhere):
        folder.mkdir()
        (folder / "file").write_text("x")
    for file in (plain, old):
        file.write_text("x")
    os.utime(old, (time.time() - DAY_S - 60,) * 2)
    os.utime(plain, (time.time() - DAY_S + 60,) * 2)
    sweep_dead(tmp_path)
    assert {path for path in tmp_path.iterdir()} == {mine, elsewhere, plain}
    sweep_dead(tmp_path / "absent")


def test_half_made_reports_are_swept_unless_somebody_makes_them(tmp_path: Path) -> None:
    profile = tmp_path / "reports" / "profile"
    left, busy = profile / ".2024-05-new-abc", profile / ".2024-06-new-abc"
    for folder in (left, busy, profile / "2024-05"):
        folder.mkdir(parents=True)
    with FileLock(profile / ".2024-06.lock"):
        sweep(tmp_path / "reports")
        assert (left.exists(), busy.exists(), (profile / "2024-05").exists()) == (False, True, True)
    with replacing(profile / "2024-07") as fresh:
        (fresh / "a").write_text("a")
        sweep(tmp_path / "reports")
        assert fresh.exists()
    assert (profile / "2024-07" / "a").read_text() == "a"


def test_the_next_start_sweeps(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path))
    scratch = Path(site.disk().root) / "scratch" / f"{socket.gethostname()}.{dead_pid()}.abc-x"
    report = Path(site.disk().root) / "reports" / "p" / ".2024-05-new-abc"
    for folder in (scratch, report):
        folder.mkdir(parents=True)
    with instance(site):
        assert not scratch.exists()
        assert not report.exists()


def killed_while_writing(path: Path) -> None:
    """Leave a database as a killed process does: what it wrote is in the log beside it."""
    text = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1])\n"
        "c.execute('PRAGMA journal_mode = WAL')\n"
        "c.execute('CREATE TABLE t AS SELECT 1 AS a')\n"
        "c.commit()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", text, str(path)], check=False).returncode == -signal.SIGKILL


def test_logs_that_killed_runs_left_beside_their_databases_are_folded_into_them(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path))
    runs = dagster_home(site) / "history" / "runs"
    runs.mkdir(parents=True)
    dead, busy, broken = (runs / f"{name}.db" for name in ("dead", "busy", "broken"))
    killed_while_writing(dead)
    killed_while_writing(busy)
    broken.with_suffix(".db-wal").write_text("no log")
    broken.write_text("no database")
    with closing(sqlite3.connect(busy)) as connection:
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
        with instance(site):
            left = {path.name for path in runs.glob("*.db-wal")}
            assert (left & {"dead.db-wal", "busy.db-wal"}, broken.read_text()) == ({"busy.db-wal"}, "no database")
            with closing(sqlite3.connect(dead)) as again:
                assert again.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_a_full_disk_ends_a_run_in_a_sentence(tmp_path: Path) -> None:
    path = write_site(tmp_path)

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

    command = [sys.executable, "-m", "energy_assets.cli", "run", "--site", str(path), "--from", "2024-05-30"]
    command[1:3] = ["-c", "from energy_assets.cli import main; main()"]
    ran = subprocess.run(command, capture_output=True, text=True, preexec_fn=full, check=False)
    assert ran.returncode == 1
    assert "Free some space there, then run the same command again" in ran.stderr
    assert "Traceback" not in ran.stderr

"""Dagster's history, damaged: said in a sentence, found by `repair`, moved away and made anew; no data goes with it."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from energy_assets.cli import main
from energy_assets.integrity import DamagedError
from energy_assets.operations import history
from energy_assets.periods import DayRange, Period
from energy_assets.running import dagster_home, instance, run_report
from energy_assets.site import Site, load_site
from energy_assets_tests.operations.test_event_log import SITE, speech, spoken
from energy_assets_tests.small_site import DAYS, SmallRun

KINDS = (history.RUNS, history.INDEX, history.SCHEDULES)
NOISE = random.Random(1).randbytes(1 << 20)  # noqa: S311


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with the history of one run."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "site.yaml").write_text(SITE)
    found = load_site(tmp_path / "site.yaml")
    speak(found)
    return found


def speak(site: Site) -> str:
    """A run that is kept in the history; its id."""
    with instance(site) as home:
        run_id = speech.execute_in_process(instance=home).run_id
        assert spoken(home, run_id)
    return run_id


def repair(site: Site, *options: str) -> Result:
    return CliRunner().invoke(main, ["repair", "--site", str(site.file), *options])


def garbage(path: Path) -> None:
    path.write_bytes(NOISE[: path.stat().st_size])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def flipped(path: Path) -> None:
    """One bit of the kind of a page: there is no other kind."""
    stored = bytearray(path.read_bytes())
    stored[2 * 4096] ^= 1
    path.write_bytes(bytes(stored))


def renamed_column(path: Path) -> None:
    """A column's name, which no index holds: the file is whole, and Dagster asks for another column."""
    stored = path.read_bytes()
    assert b"migration_completed" in stored
    path.write_bytes(stored.replace(b"migration_completed", b"migration_colpleted"))


def garbled(path: Path, table: str, column: str, text: bytes) -> None:
    """The text of a column, in a file that is whole."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT)", [text])


@pytest.mark.parametrize("harm", [garbage, cut, flipped, renamed_column])
@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_history_is_found_and_moved_and_the_next_run_works(
    site: Site, name: str, harm: Callable[[Path], None]
) -> None:
    database = dagster_home(site) / name
    harm(database)
    harmed = database.read_bytes()

    found = repair(site)
    assert found.exit_code == 1
    assert f"✗ Dagster's history {database}: " in found.stdout
    assert "No figure is made of it" in found.stdout
    assert "--set-aside" in found.stdout
    assert "energy-assets run" not in found.stdout, "no day is made of it"

    assert repair(site, "--set-aside").exit_code == 1
    (moved,) = (dagster_home(site) / "damaged").glob(f"*/{name}")
    assert moved.read_bytes() == harmed, "nothing is deleted"
    assert repair(site).exit_code == 0
    speak(site)
    assert repair(site).exit_code == 0


@pytest.mark.parametrize("text", [b'z"__class__": "X"}', b'{"__clasp__": "PipelineRun"}', b"\xe3\x28"])
@pytest.mark.parametrize(
    ("name", "table", "column"),
    [(history.RUNS, "runs", "run_body"), (history.INDEX, "event_logs", "event")],
)
def test_what_dagster_could_not_read_is_found_in_a_file_that_is_whole(
    site: Site, name: str, table: str, column: str, text: bytes
) -> None:
    garbled(dagster_home(site) / name, table, column, text)
    assert f"a value of {table}.{column} is not what was written" in repair(site, "--set-aside").stdout
    assert repair(site).exit_code == 0


def test_a_step_that_meets_an_event_it_cannot_read_says_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster reads what its inputs were made of; the step ended with the words of a parser, and no remedy."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    run = SmallRun.of(tmp_path, DayRange(DAYS.first, DAYS.first))
    database = dagster_home(run.site) / history.INDEX
    garbled(database, "asset_keys", "last_materialization", b"{")
    with pytest.raises(DamagedError, match=re.escape(f"{database} is damaged (a value of asset_keys.last_mat")):
        run_report(run.site, Period.parse("2024-05"), lambda step: None)


@pytest.mark.parametrize("harm", [garbage, cut])
@pytest.mark.parametrize("name", KINDS)
def test_a_command_that_needs_it_ends_with_file_and_remedy(site: Site, name: str, harm: Callable[[Path], None]) -> None:
    """`run` ended with a traceback of SQLAlchemy, and `repair` said that all was well."""
    database = dagster_home(site) / name
    harm(database)
    done = CliRunner().invoke(main, ["run", "--site", str(site.file), "--from", "2024-05-20"])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit), "no traceback"
    assert f"Dagster's history {database} is damaged (" in done.stderr
    assert re.search(r"run the same command again:\n  \S*energy-assets repair --site \S+ --set-aside\n$", done.stderr)


def test_damage_that_shows_while_a_run_goes_on_is_said_as_well(site: Site) -> None:
    def struck() -> None:
        with instance(site) as home:
            home.dispose()
            garbage(dagster_home(site) / history.INDEX)
            speech.execute_in_process(instance=home)

    with pytest.raises(DamagedError, match=r"index\.db is damaged \("):
        struck()


def test_other_errors_stay_what_they_are(site: Site) -> None:
    with pytest.raises(ZeroDivisionError), instance(site):
        raise ZeroDivisionError


def test_what_one_run_said_goes_alone(site: Site) -> None:
    run_id = speak(site)
    garbage(dagster_home(site) / f"history/runs/{run_id}.db")
    found = repair(site, "--set-aside")
    assert f"Lost with it: what run {run_id} said" in found.stdout
    assert repair(site).exit_code == 0
    with instance(site) as home:
        assert {run.run_id for run in home.get_runs()} > {run_id}, "the list of runs has it still"


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
@pytest.mark.parametrize("name", [history.RUNS, history.INDEX])
def test_garbage_beside_a_database_harms_nothing(site: Site, name: str, ending: str) -> None:
    """SQLite has checksums there: what a killed process left is taken as far as it is whole."""
    database = dagster_home(site) / name
    database.with_name(database.name + ending).write_bytes(NOISE[:32_768])
    speak(site)
    assert repair(site).exit_code == 0


def test_what_lies_beside_a_damaged_database_moves_with_it(site: Site) -> None:
    """Left behind, it would be taken for what belongs to the new one."""
    database = dagster_home(site) / history.RUNS
    with closing(sqlite3.connect(database)) as writer, closing(sqlite3.connect(database)) as reader:
        writer.execute("PRAGMA user_version = 7")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        assert database.with_name("runs.db-wal").exists()
        garbage(database)
        history.set_aside(dagster_home(site), database)
    (moved,) = (dagster_home(site) / "damaged").glob(f"*/{history.RUNS}-wal")
    assert moved.stat().st_size
    assert not list(database.parent.glob("runs.db*"))
    speak(site)


def test_a_history_of_another_version_of_dagster_may_have_other_columns(site: Site) -> None:
    database = dagster_home(site) / history.RUNS
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'older'")
        connection.execute("ALTER TABLE bulk_actions DROP COLUMN body")
    assert repair(site).exit_code == 0


def test_a_history_that_was_never_made_is_not_damaged(tmp_path: Path) -> None:
    assert list(history.faults(tmp_path)) == []

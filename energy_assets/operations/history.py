"""Dagster's history of a site: whether its SQLite databases can be read, and moving those away that cannot.

What belongs here: which files it is, what damage of them is, and what is lost with one. What does not: what is written
there (`event_log`), and which day is run again. The history is what Dagster shows of earlier runs. No figure is made of
it: where a database is gone Dagster makes a new one, and runs go on.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TypeAlias

import dagster as dg
from filelock import FileLock

from energy_assets.commands import command
from energy_assets.disk import trouble
from energy_assets.integrity import DamagedError

_Tables: TypeAlias = dict[str, list[str]]

RUNS, INDEX, SCHEDULES = "history/runs.db", "history/runs/index.db", "schedules/schedules.db"
"""Where Dagster keeps them below its folder; beside the index there is one database for each run."""
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database; of no other one."""
OPENING = ".opening"
"""Locked while the history is opened, or moved away."""
_OBJECTS = {"run_body", "event", "last_materialization", "evaluation_event", "instigator_body", "tick_body", "body"}
"""Columns of objects of Dagster in JSON."""
_PACKED = {"snapshot_body"}
"""Columns of bytes that are no text."""
_LOST = {
    RUNS: "the list of runs so far",
    INDEX: "which days Dagster shows as made, and what checks found; it collects the last days again, and shows others "
    "once they are run again",
    SCHEDULES: "which schedules and sensors somebody switched on or off, and when they ran",
}


def faults(home: Path) -> Iterator[tuple[Path, str]]:
    """The damaged databases below Dagster's folder, and what is wrong with each; reads all of them.

    Args:
        home: Dagster's folder.
    """
    for name in (RUNS, INDEX, SCHEDULES):
        if said := fault(home / name, known=name):
            yield home / name, said
    for database in sorted((home / INDEX).parent.glob("*.db")):
        if database != home / INDEX and (said := fault(database)):
            yield database, said


def fault(database: Path, known: str = "") -> str:
    """What is wrong with a database; empty where it can be read, or is not there.

    Args:
        database: The file.
        known: The name of one that has the same tables in every history.

    Raises:
        sqlite3.OperationalError: it cannot be looked at, as without the right to read it.
    """
    if not database.exists():
        return ""
    # A log beside it needs a place to write; where there is none, the file is all there is.
    mode = "mode=rw" if os.access(database.parent, os.W_OK) else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?{mode}", uri=True)) as connection:
            connection.text_factory = bytes  # what is damaged may be no text any more
            ((found,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
            if found != b"ok":
                return str(found, errors="replace").splitlines()[-1]
            tables = _tables(connection)
            return _lacking(connection, tables, known) or _unreadable(connection, tables)
    except sqlite3.OperationalError:
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return str(error)


def _lacking(connection: sqlite3.Connection, tables: _Tables, known: str) -> str:
    """A column that a new history has and this one lacks, though both say they are of one version of Dagster."""
    if not known or "alembic_version" not in tables:
        return ""
    version, new = _new()[known]
    if _version(connection) != version:
        return ""
    lacking = (f"{table}.{column}" for table in new for column in new[table] if column not in tables.get(table, ()))
    return f"the column {first} is gone" if (first := next(lacking, "")) else ""


def _unreadable(connection: sqlite3.Connection, tables: _Tables) -> str:
    """What Dagster could not read of a database whose pages are whole: texts that are none, objects without a class."""
    for table, columns in tables.items():
        for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - its own tables
            for column, value in zip(columns, row, strict=True):
                if isinstance(value, bytes) and column not in _PACKED and not _read(value, column in _OBJECTS):
                    return f"a value of {table}.{column} is not what was written"
    return ""


def _read(value: bytes, is_object: bool) -> bool:
    try:
        text = value.decode()
        return not is_object or not isinstance(dg.deserialize_value(text), dict)
    except Exception:
        # Whatever Dagster raises over it here, it would raise in a run.
        return False


def _tables(connection: sqlite3.Connection) -> _Tables:
    """The columns of each table of a database, in their order."""
    rows = connection.execute(
        "SELECT tables.name, columns.name FROM sqlite_master tables, pragma_table_info(tables.name) columns "
        "WHERE tables.type = 'table' ORDER BY tables.name, columns.cid"
    )
    found: _Tables = {}
    for table, column in rows:
        found.setdefault(table.decode(), []).append(column.decode())
    return found


def _version(connection: sqlite3.Connection) -> str:
    """The version of Dagster's tables; empty where none is stated."""
    rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return bytes(rows[0][0]).decode(errors="replace") if rows else ""


@cache
def _new() -> dict[str, tuple[str, _Tables]]:
    """The version and the tables of each database, as this version of Dagster makes them."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder):
        for name in (RUNS, INDEX, SCHEDULES):
            with closing(sqlite3.connect(Path(folder) / name)) as connection:
                connection.text_factory = bytes
                found[name] = (_version(connection), _tables(connection))
    return found


def lost_with(home: Path, database: Path) -> str:
    """What a person loses with a database of the history.

    Args:
        home: Dagster's folder.
        database: Of `faults`.
    """
    known = _LOST.get(str(database.relative_to(home)))
    return known or f"what run {database.stem} said"


def set_aside(home: Path, database: Path) -> None:
    """Move a database, with what SQLite keeps beside it, to `damaged` in Dagster's folder; a new one is made.

    Args:
        home: Dagster's folder.
        database: Of `faults`.
    """
    to = home / "damaged" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}" / database.relative_to(home).parent
    to.mkdir(parents=True, exist_ok=True)
    with FileLock(home / OPENING):
        for path in (database, *(database.with_name(database.name + end) for end in BESIDE)):
            if path.exists():
                shutil.move(path, to / path.name)


@contextmanager
def explained(home: Path, site_file: Path) -> Iterator[None]:
    """Whatever goes wrong with the history within the block is said in a sentence, where the history is damaged.

    Args:
        home: Dagster's folder.
        site_file: Of the site, for the remedy.

    Raises:
        DamagedError: names the database, and the command that moves it away.
    """
    try:
        yield
    except Exception as error:
        if trouble(error) is None:
            with suppress(sqlite3.OperationalError):
                refuse_damaged(home, site_file, error)
        raise


def refuse_damaged(home: Path, site_file: Path, error: Exception | None = None) -> None:
    """Stop where the history is damaged.

    Args:
        home: Dagster's folder.
        site_file: Of the site, for the remedy.
        error: What it led to.

    Raises:
        DamagedError: names the database, and the command that moves it away.
    """
    for database, said in faults(home):
        again = command("repair", site=site_file, options={"set-aside": True})
        raise DamagedError(
            f"Dagster's history {database} is damaged ({said})",
            f"No figure is made of it. Move it out of the way, then run the same command again:\n  {again}",
        ) from error

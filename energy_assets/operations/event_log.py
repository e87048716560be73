"""Dagster's event log in SQLite, with connections that stay open.

Dagster's own class makes a database engine anew for every event, which for a run of one day takes longer than
half of its transforms. The files and everything in them are Dagster's: without this class (in `dagster.yaml`, under
`event_log_storage`) the same history opens as before. Secrets are masked in every event before it is written.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from energy_assets.dagster_internals import ConfigurableClassData, SqliteEventLogStorage
from energy_assets.secrets import masked

OPEN_SHARDS = 4
"""Each run has a file of its own; a server that shows many runs must not keep all of them open."""
BUSY_TIMEOUT_S = 60


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is over.

    It would end a transaction between any two steps, and one that nobody ends locks the database for its own process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    struck: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: struck.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
    if struck:
        signal.raise_signal(signal.SIGINT)


class EventLog(SqliteEventLogStorage):
    """See the module; one connection at a time is used, under the lock of Dagster's class."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, sa.Engine] = {}
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> EventLog:
        """Called by Dagster with what `dagster.yaml` says.

        Args:
            inst_data: The class as `dagster.yaml` names it; None where made by hand.
            config_value: Its configuration: keyword arguments of the class.
        """
        return cls(inst_data=inst_data, **config_value)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event without the secrets that this process has revealed, wherever a server repeated them.

        Args:
            event: As Dagster made it.
        """
        stated = dg.serialize_value(event)
        if masked(stated) != stated:
            event = dg.deserialize_value(json.dumps(_clean(json.loads(stated))), dg.EventLogEntry)
        super().store_event(event)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with uninterrupted(), self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> sa.Engine:
        """The engine of a shard; the one that was not needed for longest is closed."""
        engine = self._engines.pop(shard, None)
        if engine is None:
            url = self.conn_string_for_shard(shard)
            engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
            sa.event.listen(engine, "connect", _without_waiting_for_the_disk)
        self._engines[shard] = engine
        while len(self._engines) > OPEN_SHARDS:
            self._engines.pop(next(iter(self._engines))).dispose()
        return engine

    def dispose(self) -> None:
        """Close every file."""
        while self._engines:
            self._engines.popitem()[1].dispose()
        super().dispose()


def fold(folder: Path) -> None:
    """Fold the write-ahead logs that killed processes left beside their databases into them.

    Each is some seven times as large as what it holds, and nobody opens the database of an old run again. SQLite does
    it when the last connection closes; where another process has the database open, nothing happens.

    Args:
        folder: Of the event log's databases.
    """
    for log in folder.glob("*.db-wal"):
        with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(log.with_suffix(".db"))) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _clean(stated: Any) -> Any:
    """A serialized event with its values masked; names of fields and classes are Dagster's own words."""
    if isinstance(stated, str):
        return masked(stated)
    if isinstance(stated, list):
        return [_clean(value) for value in stated]
    if isinstance(stated, dict):
        return {name: value if name in ("__class__", "__enum__") else _clean(value) for name, value in stated.items()}
    return stated


def _without_waiting_for_the_disk(connection: Any, _: Any) -> None:
    # With a write-ahead log this loses the last events at a power failure, and never harms the file. What was
    # published is in the lake and the landing zone in any case.
    connection.execute("PRAGMA synchronous = NORMAL")

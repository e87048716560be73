"""The lake: Delta tables by day. Reads any version; writes by stage, audit, publish.

What belongs here: files, commits and versions. What does not: what a table means. Serves every asset that
holds a table. A day is replaced as a whole or not at all; a day whose content did not change is not written
again, so that running a day twice leaves the same version.

Files are named by the fingerprint of their day's content: `day=2024-05-09/<fingerprint>-<n>.parquet`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from energy_assets.contracts.audit import Audited, ContractError, audit, conform, partition_of, schema_of
from energy_assets.contracts.statistics import proven
from energy_assets.staging import stage, stage_day_by_day
from energy_assets.storage import Storage

COMMIT_ATTEMPTS = 50
STALE_STAGING_S = 86_400


@dataclass(frozen=True)
class Commit:
    """What a replacement did.

    Attributes:
        version: Version of the table afterwards; None when the table does not exist yet.
        rows: Rows per partition that was given.
        fingerprints: Content fingerprint per partition that has rows.
        changed: Partitions whose content differs from what was there.
    """

    version: int | None
    rows: Mapping[date, int]
    fingerprints: Mapping[date, str]
    changed: tuple[date, ...]


class Lake:
    """Tables below `<root>/lake`, each described by its contract (a pandera model)."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def path(self, table: str) -> str:
        """Path or URL of a table."""
        return self._storage.path("lake", table)

    def version(self, table: str) -> int | None:
        """The newest version of a table, None when it does not exist."""
        delta = self._delta(table)
        return delta.version() if delta else None

    def tables(self) -> list[str]:
        """Names of all tables that exist."""
        listed = obstore.list_with_delimiter(self._storage.store(), "lake")
        names = (Path(prefix).name for prefix in listed["common_prefixes"])
        return sorted(name for name in names if self._delta(name))

    def fingerprints(self, table: str, version: int | None = None) -> dict[date, str]:
        """Content fingerprint of every partition of a table."""
        delta = self._delta(table, version)
        return _fingerprints(delta) if delta else {}

    def row_count(self, table: str) -> int:
        """Rows of a whole table, as its log tells them; 0 when it does not exist."""
        delta = self._delta(table)
        counts = pa.table(delta.get_add_actions(flatten=True))["num_records"] if delta else []
        return sum(int(count.as_py()) for count in counts)

    def read(
        self,
        con: Any,
        table: str,
        model: Any,
        days: Collection[date] | None = None,
        version: int | None = None,
    ) -> ir.Table:
        """The table, restricted to the partitions `days` if given, in the contract's columns.

        Args:
            con: An Ibis DuckDB connection.
            table: Name of the table.
            model: Its contract.
            days: Partitions to read; None reads all.
            version: An older version to read instead of the newest.

        Returns:
            An Ibis table; an empty one when the table or the days do not exist.
        """
        delta = self._delta(table, version)
        schema = schema_of(model)
        files = _files(delta) if delta else {}
        wanted = [name for day, names in sorted(files.items()) if days is None or day in days for name in names]
        if delta is None or not wanted:
            nothing = con.sql("SELECT 1 AS one WHERE false")
            return nothing.select(**{column: ibis.null(dtype) for column, dtype in schema.items()})
        partition = partition_of(model)
        if self._storage.is_local:
            paths = [f"{self.path(table)}/{name}" for name in wanted]
            read = con.read_parquet(paths, union_by_name=True)
        else:
            kept = sorted(day.isoformat() for day in files if days is None or day in days)
            name = f"{table}_{uuid4().hex[:12]}"
            con.con.register(name, delta.to_pyarrow_dataset(partitions=[(partition, "in", kept)]))
            read = con.table(name)
        # Days written before a column was added to the contract have NULL in it.
        there = read.columns
        return read.select(**{c: read[c].cast(d) if c in there else ibis.null(d) for c, d in schema.items()})

    def replace(
        self,
        con: Any,
        table: str,
        model: Any,
        days: Collection[date],
        rows: ir.Table,
        run_id: str,
        *,
        day_by_day: bool = False,
    ) -> Commit:
        """Replace the partitions `days` of a table by `rows`: stage, audit, publish as one commit.

        Args:
            con: An Ibis DuckDB connection.
            table: Name of the table.
            model: Its contract.
            days: The partitions.
            rows: All rows of these partitions.
            run_id: Kept in the commit.
            day_by_day: See `staging.stage_day_by_day`; the same result at another cost.

        Raises:
            ContractError: a rule is broken or a row lies outside `days`; the table stays as it was.
        """
        partition = partition_of(model)
        with self._staging(table) as folder:
            if day_by_day:
                stage_day_by_day(con, conform(rows, model), partition, sorted(days), folder)
            else:
                stage(con, conform(rows, model), partition, folder)
            staged = sorted(Path(folder).glob(f"{partition}=*/*.parquet"))
            audited = self._audit(con, model, staged, partition)
            if strays := sorted(set(audited.rows) - set(days)):
                raise ContractError(table, {f"{partition}.outside the run: {strays[0]}": len(strays)}, [])
            return self._publish(table, model, partition, sorted(days), staged, audited, run_id)

    def _audit(self, con: Any, model: Any, staged: list[Path], partition: str) -> Audited:
        if not staged:
            return Audited()
        paths = [str(path) for path in staged]
        read = con.read_parquet(paths)
        schema = schema_of(model)
        rows = read.select(**{column: read[column].cast(dtype) for column, dtype in schema.items()})
        return audit(rows, model, proven(con, paths, model))

    def _publish(
        self,
        table: str,
        model: Any,
        partition: str,
        days: list[date],
        staged: list[Path],
        audited: Audited,
        run_id: str,
    ) -> Commit:
        adds: dict[date, list[AddAction]] = {}
        for _ in range(COMMIT_ATTEMPTS):
            # Every attempt starts from the newest version: another run may have published the same days.
            delta = self._delta(table)
            before = _fingerprints(delta) if delta else {}
            changed = [day for day in days if before.get(day) != audited.fingerprints.get(day)]
            if not changed:
                version = delta.version() if delta else None
                return Commit(version, audited.rows, audited.fingerprints, ())
            for day in changed:
                if day not in adds:
                    adds[day] = list(self._place(table, partition, day, staged, audited))
            try:
                version = self._commit(table, model, partition, delta, changed, adds, run_id)
            except (CommitFailedError, DeltaError) as error:
                if not _is_conflict(error):
                    raise
                time.sleep(0.02)
                continue
            return Commit(version, audited.rows, audited.fingerprints, tuple(changed))
        raise RuntimeError(f"{table}: {COMMIT_ATTEMPTS} other commits came first; run the same days again")

    def _commit(
        self,
        table: str,
        model: Any,
        partition: str,
        delta: DeltaTable | None,
        changed: list[date],
        adds: Mapping[date, list[AddAction]],
        run_id: str,
    ) -> int:
        # Delta lets two writers that both add a *new* partition through, which would double its rows. Without
        # automatic retries a commit succeeds only on the very version it was prepared on.
        properties = CommitProperties(custom_metadata={"dagster_run_id": run_id}, max_commit_retries=0)
        actions = [action for day in changed for action in adds[day]]
        schema = Schema.from_arrow(schema_of(model).to_pyarrow())
        if delta is None:
            create_table_with_add_actions(
                self.path(table),
                schema,
                actions,
                mode="error",
                partition_by=[partition],
                storage_options=self._storage.object_options,
                commit_properties=properties,
            )
            return 0
        delta.create_write_transaction(
            list(actions),
            "overwrite",
            schema,
            partition_by=[partition],
            partition_filters=[(partition, "in", [day.isoformat() for day in changed])],
            commit_properties=properties,
        )
        return delta.version() + 1

    def _place(
        self, table: str, partition: str, day: date, staged: list[Path], audited: Audited
    ) -> Iterator[AddAction]:
        """Move the staged files of one day to where the commit will point to."""
        mine = [path for path in staged if path.parent.name == f"{partition}={day}"]
        if not mine and day in audited.rows:
            raise RuntimeError(f"{table}: {audited.rows[day]} rows of {day} were staged in a folder of another name")
        for number, path in enumerate(mine):
            name = f"{partition}={day}/{audited.fingerprints[day]}-{uuid4().hex[:12]}-{number}.parquet"
            size, records = path.stat().st_size, pq.read_metadata(path).num_rows
            if self._storage.is_local:
                target = Path(self.path(table)) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
            else:
                obstore.put(self._storage.store(), f"lake/{table}/{name}", path)
            yield AddAction(
                name,
                size,
                {partition: day.isoformat()},
                int(time.time() * 1000),
                True,
                json.dumps({"numRecords": records}),
            )

    @contextmanager
    def _staging(self, table: str) -> Iterator[str]:
        """A fresh folder on the same disk as the table; folders of runs that died are removed first."""
        if self._storage.is_local:
            parent = Path(self.path(table)) / "_staging"
            _sweep(parent)
        else:
            parent = Path(tempfile.gettempdir())
        folder = parent / f"{socket.gethostname()}.{os.getpid()}.{uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _delta(self, table: str, version: int | None = None) -> DeltaTable | None:
        try:
            return DeltaTable(self.path(table), version=version, storage_options=self._storage.object_options)
        except TableNotFoundError:
            return None


def _files(delta: DeltaTable) -> dict[date, list[str]]:
    """File names of every partition."""
    table = pa.table(delta.get_add_actions(flatten=True))
    key = next(name for name in table.column_names if name.startswith("partition."))
    found: dict[date, list[str]] = defaultdict(list)
    for path, day in zip(table["path"].to_pylist(), table[key].to_pylist(), strict=True):
        found[day].append(path)
    return {day: sorted(paths) for day, paths in found.items()}


def _fingerprints(delta: DeltaTable) -> dict[date, str]:
    """Content fingerprint of every partition, as its file names tell it."""
    return {day: Path(names[0]).name.partition("-")[0] for day, names in _files(delta).items()}


def _is_conflict(error: Exception) -> bool:
    """Whether another writer came first (as opposed to a full disk or a refused key)."""
    text = str(error).lower()
    return isinstance(error, CommitFailedError) or "already exists" in text


def _sweep(parent: Path) -> None:
    """Remove staging folders whose process is gone, or that are older than a day."""
    for folder in parent.glob("*.*.*") if parent.exists() else ():
        host, pid, _ = folder.name.rsplit(".", 2)
        dead = host == socket.gethostname() and not Path(f"/proc/{pid}").exists() and Path("/proc").exists()
        try:
            if dead or time.time() - folder.stat().st_mtime > STALE_STAGING_S:
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            continue  # another run swept it

"""The lake: Delta tables by day or month. Reads any version; writes by stage, audit, prove, publish.

What belongs here: files, commits and versions. What does not: what a table means. Serves every asset that
holds a table. A partition is replaced as a whole or not at all, whatever is wrong with its neighbours; one whose
content did not change is not written again, so that running a day twice leaves the same version.

Files are named by the fingerprint of their partition's content, which begins with the algorithm that made it, and by
the hash of their own bytes (`commits`). Files of older stores, named without an algorithm, are read as before; their
partitions count as changed the next time they are replaced, once.

Stored bytes are not believed. Local files are hashed before they are read, once for each process; of those in a bucket,
which keeps checksums of its own, a replacement looks at the sizes. What is damaged or gone raises `DamagedError`, and
counts as changed when its partition is replaced, so that running its days again mends it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions
from obstore.exceptions import BaseError

from energy_assets.commits import (
    STATE,
    DataFile,
    by_partition,
    fault,
    file_name,
    files_of,
    mark,
    newest_version,
    state,
)
from energy_assets.contracts.audit import (
    NOTHING,
    Audited,
    ContractError,
    Origin,
    StoredTable,
    audit_partitions,
    conform,
    schema_of,
)
from energy_assets.contracts.proof import Breaches, StagedProof
from energy_assets.contracts.statistics import known
from energy_assets.integrity import GONE, DamagedError, Recorded, faults, remember, sha256_of
from energy_assets.orphans import AGE, sweep
from energy_assets.staging import owned_name, stage, stage_day_by_day, sweep_dead
from energy_assets.storage import Storage

COMMIT_ATTEMPTS = 50
KEEP_LOGS = PostCommitHookProperties(cleanup_expired_logs=False)
"""Old versions stay readable: reports pin them, and Delta's default would forget them after 30 days."""
CHUNK = 8 << 20
"""Bytes read at once from a bucket."""
DAMAGED = "damaged"
"""In place of a fingerprint: equal to none."""
STORE_TROUBLE = ("Error performing", "error sending request", "timed out")
"""Words of the object store's client in an error; most of its errors are an `OSError`."""
NEVER = -1
"""In place of a version: the table did not exist yet."""
SHOWN = 5
"""Days named in a message; the others are counted."""
PLACED_FOR_S = AGE.total_seconds() / 2
"""How long placed files may wait for their commit: well before another run takes them for orphans."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Commit:
    """What a replacement did.

    Attributes:
        version: Version of the table afterwards; None when the table does not exist yet.
        rows: Rows per partition that has some and was not rejected.
        fingerprints: Content fingerprint of each of these partitions.
        changed: Partitions whose content differs from what was there.
        rejected: Partitions that were not published and stay as they were, with what is wrong with each: rules of
            the contract and names of blocking proofs, how many rows break them, up to 20 of these rows.
        breaches: What each proof found, blocking or not, by its name; empty where it holds.
    """

    version: int | None
    rows: Mapping[date, int]
    fingerprints: Mapping[date, str]
    changed: tuple[date, ...]
    rejected: Mapping[date, ContractError] = field(default_factory=dict)
    breaches: Mapping[str, Breaches] = field(default_factory=dict)


class Lake:
    """Tables below `<root>/lake`, each described by its contract (a pandera model)."""

    def __init__(self, storage: Storage, versions: Mapping[str, int] | None = None) -> None:
        """A lake as it is, or as it was.

        Args:
            storage: Holds it.
            versions: Of every table there was, to read the lake as it was then; None reads the newest of each.
        """
        self._storage, self._versions = storage, versions

    def at(self, versions: Mapping[str, int]) -> Lake:
        """The same lake as it was at some versions, for reading alone.

        Args:
            versions: Of every table there was, by name; of the others there is none.
        """
        return Lake(self._storage, versions)

    @property
    def is_local(self) -> bool:
        """Whether it lies in a folder of this machine."""
        return self._storage.is_local

    def path(self, table: str) -> str:
        """Path or URL of a table."""
        return self._storage.path("lake", table)

    def version(self, table: str) -> int | None:
        """The newest version of a table, None when it does not exist."""
        delta = self._delta(table)
        return delta.version() if delta else None

    def versions(self, names: Iterable[str], before: datetime | None = None) -> dict[str, int]:
        """Versions of tables, now or as they were.

        Args:
            names: Of tables; those that did not exist have no version.
            before: The first moment that no longer counts, by the clock of the machine that made the commits; None for
                the newest versions.

        Raises:
            DamagedError: the log of one cannot be read.
        """
        found = {name: self.version(name) if before is None else self._version_before(name, before) for name in names}
        return {name: version for name, version in found.items() if version is not None}

    def _version_before(self, table: str, before: datetime) -> int | None:
        delta, until = self._delta(table), before.timestamp() * 1000
        if delta is None:
            return None
        with _log_errors(table, None):
            commits = delta.history()
        return max((int(one["version"]) for one in commits if int(one["timestamp"]) < until), default=None)

    def tables(self) -> list[str]:
        """Names of all tables that exist."""
        listed = obstore.list_with_delimiter(self._storage.store(), "lake")
        names = (Path(prefix).name for prefix in listed["common_prefixes"])
        return sorted(name for name in names if self._delta(name))

    def fingerprints(self, table: str, version: int | None = None) -> dict[date, str]:
        """Content fingerprint of every partition of a table.

        Args:
            table: The table's name.
            version: Of the Delta table; None for the newest.
        """
        return _fingerprints(self.files(table, version))

    def files(self, table: str, version: int | None = None) -> list[DataFile]:
        """The data files of a table, as the commits up to a version recorded them.

        Args:
            table: The table's name.
            version: Of the Delta table; None for the newest.

        Raises:
            DamagedError: the log does not add up to what was written.
        """
        return self._opened(table, version)[1]

    def damage(self, table: str, files: Collection[DataFile], *, whole: bool = False) -> dict[str, str]:
        """What is wrong with files that are not as their commit recorded them, by name.

        Args:
            table: The table's name.
            files: Of this table.
            whole: Read files in a bucket too, in place of asking for their size.
        """
        if self._storage.is_local:
            recorded = {self._file(table, file).path: file.name for file in files}
            found = faults(self._file(table, file) for file in files)
            return {recorded[path]: said for path, said in found.items()}
        return {file.name: said for file in files if (said := self._remote_fault(table, file, whole))}

    def unlike_their_fingerprint(self, con: Any, table: StoredTable, files: Collection[DataFile]) -> dict[str, str]:
        """What is wrong with files that hold other rows than their names say, of those whose bytes have no checksum.

        Args:
            con: An Ibis DuckDB connection.
            table: Its name, contract and partition column.
            files: Of this table; those of older stores are read, the others passed over.
        """
        found = {}
        old = by_partition(file for file in files if file.sha256 is None)
        for part, mine in old.items():
            try:
                rows = conform(self.read(con, table, [part]), table.model, table.name)
                again = audit_partitions(rows, table).fingerprints.get(part, "")
            except Exception as error:  # whatever an engine says of bytes that are no Parquet any more
                again = f"unreadable: {error}"
            if _algorithm(again) == _algorithm(mine[0].fingerprint) and again != mine[0].fingerprint:
                found.update({file.name: "its rows are not those that were written" for file in mine})
            elif again.startswith("unreadable"):
                found.update({file.name: "it cannot be read" for file in mine})
        return found

    def placed_partitions(self, table: str) -> list[date]:
        """Every partition that a table has files of, whatever its log says.

        Args:
            table: The table's name.
        """
        listed = obstore.list_with_delimiter(self._storage.store(), f"lake/{table}")["common_prefixes"]
        named = (Path(prefix).name.partition("=") for prefix in listed)
        return sorted(date.fromisoformat(value) for key, _, value in named if key in ("day", "month"))

    def set_aside(self, table: str, name: str = "") -> None:
        """Move a data file, or a whole table whose log is damaged, to `damaged/` below the root.

        Args:
            table: The table's name.
            name: Of a file of the table; empty for all of it.
        """
        store, prefix = self._storage.store(), f"lake/{table}"
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        keys = [f"{prefix}/{name}"] if name else [m["path"] for batch in obstore.list(store, prefix) for m in batch]
        for key in keys:
            try:
                obstore.rename(store, key, f"damaged/{stamp}/{key}")
            except FileNotFoundError:
                continue  # it is gone already

    def row_count(self, table: str) -> int:
        """Rows of a whole table, as its log tells them; 0 when it does not exist."""
        delta = self._delta(table)
        counts = pa.table(delta.get_add_actions(flatten=True))["num_records"] if delta else []
        return sum(int(count.as_py()) for count in counts)

    def read(
        self,
        con: Any,
        table: StoredTable,
        partitions: Collection[date] | None = None,
        version: int | None = None,
    ) -> ir.Table:
        """The table, restricted to `partitions` if given, in the contract's columns.

        Args:
            con: An Ibis DuckDB connection.
            table: Its name, contract and partition column.
            partitions: Partitions to read, each by its date (a month by its first day); None reads all.
            version: An older version to read instead of the newest.

        Returns:
            An Ibis table; an empty one when the table or the partitions do not exist.

        Raises:
            DamagedError: a file of these partitions, or the log, is not what was written.
        """
        delta, every = self._opened(table.name, version)
        schema = schema_of(table.model)
        files = by_partition(every)
        kept = sorted(part for part in files if partitions is None or part in partitions)
        if delta is None or not kept:
            nothing = con.sql("SELECT 1 AS one WHERE false")
            return nothing.select(**{column: ibis.null(dtype) for column, dtype in schema.items()})
        if self._storage.is_local:
            mine = [file for part in kept for file in files[part]]
            self._refuse_damaged(table.name, mine, version)
            paths = [self._file(table.name, file).path for file in mine]
            read = con.read_parquet(paths, union_by_name=True)
        else:
            name = f"{table.name}_{uuid4().hex[:12]}"
            wanted = [(table.partition, "in", [part.isoformat() for part in kept])]
            con.con.register(name, delta.to_pyarrow_dataset(partitions=wanted))
            read = con.table(name)
        # Partitions written before a column was added to the contract have NULL in it.
        there = read.columns
        return read.select(**{c: read[c].cast(d) if c in there else ibis.null(d) for c, d in schema.items()})

    def read_together(
        self, con: Any, tables: Mapping[str, StoredTable], partitions: Collection[date] | None = None
    ) -> ir.Table:
        """Tables of one contract as one table, whose `source` says which of them a row is of.

        Files of a local lake are one scan, because planning a branch for each of hundreds of tables takes longer than
        reading them.

        Args:
            con: An Ibis DuckDB connection.
            tables: By what `source` calls them; at least one, all of the same contract and partition column.
            partitions: Partitions to read, each by its date; None reads all.

        Returns:
            The contract's columns and `source`; no rows when none of the tables has any.

        Raises:
            DamagedError: as `read`.
        """
        if len(tables) == 1 or not self._storage.is_local:
            every = [
                self.read(con, table, partitions).mutate(source=ibis.literal(name)) for name, table in tables.items()
            ]
            return _union_all(con, every)
        table = next(iter(tables.values()))
        schema = schema_of(table.model)
        paths, names = list[str](), list[str]()
        for name, one in tables.items():
            mine = [file for file in self.files(one.name) if partitions is None or file.partition in partitions]
            self._refuse_damaged(one.name, mine, None)
            paths += [self._file(one.name, file).path for file in mine]
            names += [name] * len(mine)
        if not paths:
            nothing = con.sql("SELECT 1 AS one WHERE false")
            return nothing.select(**{c: ibis.null(d) for c, d in schema.items()}, source=ibis.null("string"))
        owner = pa.table({"filename": paths, "source": names})
        files = con.create_table(f"files_{uuid4().hex[:12]}", owner, temp=True)
        read = con.read_parquet(paths, union_by_name=True, filename=True)
        there = read.columns
        columns = {c: read[c].cast(d) if c in there else ibis.null(d) for c, d in schema.items()}
        # An outer join: a file the engine calls otherwise must fail the contract, not lose its rows.
        return read.left_join(files, "filename").select(**columns, source=files.source)

    def replace(
        self,
        con: Any,
        table: StoredTable,
        partitions: Collection[date],
        rows: ir.Table,
        run_id: str,
        *,
        proofs: Sequence[StagedProof] = (),
        origin: Origin | None = None,
        day_by_day: bool = False,
    ) -> Commit:
        """Replace partitions of a table by `rows`: stage, audit, prove, publish those that are good as one commit.

        Args:
            con: An Ibis DuckDB connection.
            table: Its name, contract and partition column.
            partitions: Partitions to replace, each by its date (a month by its first day). One without rows becomes
                empty.
            rows: All rows of these partitions.
            run_id: Kept in the commit.
            proofs: What must hold beyond the contract; tried on the staged rows, after the audit.
            origin: What each row is made of, where that is one row each.
            day_by_day: See `staging.stage_day_by_day`; the same result at another cost.

        Returns:
            What was published, and which partitions were rejected. Where all are, the version stays.

        Raises:
            ContractError: columns or types are not the contract's, or a row or a breach lies outside `partitions`;
                the table stays as it was.
        """
        if self._versions is not None:
            raise RuntimeError(f"{table.name}: a lake of earlier versions can be read and not written")
        wanted, conforming = sorted(partitions), conform(rows, table.model, table.name)
        with self._staging(table.name) as folder:
            if day_by_day:
                stage_day_by_day(con, conforming, table.partition, wanted, folder)
            else:
                stage(con, conforming, table.partition, folder)
            staged = sorted(Path(folder).glob(f"{table.partition}=*/*.parquet"))
            audited = self._audit(con, table, staged, origin)
            _refuse_strays(table, "rows", audited.rows, wanted)
            breaches = _prove(con, table, staged, proofs, wanted)
            rejected = _rejected(table.name, audited, breaches, proofs)
            good = Audited(
                {part: count for part, count in audited.rows.items() if part not in rejected},
                {part: text for part, text in audited.fingerprints.items() if part not in rejected},
            )
            kept = [part for part in wanted if part not in rejected]
            commit = self._publish(table, kept, staged, good, run_id)
            return dataclasses.replace(commit, rejected=rejected, breaches=breaches)

    def _audit(self, con: Any, table: StoredTable, staged: list[Path], origin: Origin | None = None) -> Audited:
        if not staged and (origin is None or not origin.fingerprints):
            return Audited()
        certain = known(con, [str(path) for path in staged], table.model) if staged else NOTHING
        return audit_partitions(_rows(con, table.model, staged), table, certain, origin)

    def _publish(
        self, table: StoredTable, partitions: list[date], staged: list[Path], audited: Audited, run_id: str
    ) -> Commit:
        adds: dict[date, list[AddAction]] = {}
        began = time.time()
        for _ in range(COMMIT_ATTEMPTS):
            # Every attempt starts from the newest version: another run may have published the same partitions.
            delta, files = self._opened(table.name)
            before = self._sound_fingerprints(table.name, files, partitions)
            changed = [part for part in partitions if before.get(part) != audited.fingerprints.get(part)]
            if not changed:
                version = delta.version() if delta else None
                return Commit(version, audited.rows, audited.fingerprints, ())
            for part in changed:
                if part not in adds:
                    adds[part] = list(self._place(table, part, staged, audited))
            if time.time() - began > PLACED_FOR_S:
                raise RuntimeError(f"{table.name}: files have waited too long for their commit; run it again")
            try:
                version = self._commit(table, delta, files, changed, adds, run_id)
            except (CommitFailedError, DeltaError) as error:
                if not _is_conflict(error):
                    raise
                time.sleep(0.02)
                continue
            self._mark(table.name, version)
            self._sweep_orphans(table.name)
            return Commit(version, audited.rows, audited.fingerprints, tuple(changed))
        raise RuntimeError(f"{table.name}: {COMMIT_ATTEMPTS} other commits came first; run the same partitions again")

    def _commit(
        self,
        table: StoredTable,
        delta: DeltaTable | None,
        files: Collection[DataFile],
        changed: list[date],
        adds: Mapping[date, list[AddAction]],
        run_id: str,
    ) -> int:
        # Delta lets two writers that both add a *new* partition through, which would double its rows. Without
        # automatic retries a commit succeeds only on the very version it was prepared on.
        actions = [action for day in changed for action in adds[day]]
        after = [file for file in files if file.partition not in changed]
        after += [DataFile(action.path, day, action.size) for day in changed for action in adds[day]]
        properties = CommitProperties({"dagster_run_id": run_id, STATE: state(after)}, max_commit_retries=0)
        schema = Schema.from_arrow(schema_of(table.model).to_pyarrow())
        if delta is None:
            create_table_with_add_actions(
                self.path(table.name),
                schema,
                actions,
                mode="error",
                partition_by=[table.partition],
                storage_options=self._storage.object_options,
                commit_properties=properties,
                post_commithook_properties=KEEP_LOGS,
            )
            return 0
        delta.create_write_transaction(
            list(actions),
            "overwrite",
            schema,
            partition_by=[table.partition],
            partition_filters=[(table.partition, "in", [day.isoformat() for day in changed])],
            commit_properties=properties,
            post_commithook_properties=KEEP_LOGS,
        )
        return delta.version() + 1

    def _place(self, table: StoredTable, part: date, staged: list[Path], audited: Audited) -> Iterator[AddAction]:
        """Move the staged files of one partition to where the commit will point to."""
        folder = f"{table.partition}={part}"
        mine = [path for path in staged if path.parent.name == folder]
        if not mine and part in audited.rows:
            raise RuntimeError(
                f"{table.name}: {audited.rows[part]} rows of {part} were staged in a folder of another name"
            )
        for number, path in enumerate(mine):
            sha256 = sha256_of(path)
            name = file_name(folder, audited.fingerprints[part], sha256, number)
            size, records = path.stat().st_size, pq.read_metadata(path).num_rows
            if self._storage.is_local:
                target = Path(self.path(table.name)) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                os.utime(path)  # its age counts from now: staging may have taken long
                path.rename(target)
                remember(Recorded(str(target), size, sha256))
            else:
                obstore.put(self._storage.store(), f"lake/{table.name}/{name}", path)
            yield AddAction(
                name,
                size,
                {table.partition: part.isoformat()},
                int(time.time() * 1000),
                True,
                json.dumps({"numRecords": records}),
            )

    def _sweep_orphans(self, table: str) -> None:
        """Remove what failed commits have left, once a day. The run has published: trouble here is not its failure."""
        path, options = self.path(table), self._storage.object_options
        try:
            removed = sweep(
                self._storage.store(),
                f"lake/{table}",
                lambda version: DeltaTable(path, version=version, storage_options=options),
                datetime.now(UTC),
            )
        except (BaseError, DeltaError, OSError) as error:
            _log.warning("%s: files of failed commits could not be looked for or removed: %s", table, error)
            return
        if removed:
            _log.warning("%s: removed %s files of failed commits: %s …", table, len(removed), removed[0])

    @contextmanager
    def _staging(self, table: str) -> Iterator[str]:
        """A fresh folder on the same disk as the table; folders of runs that died are removed first."""
        if self._storage.is_local:
            parent = Path(self.path(table)) / "_staging"
            sweep_dead(parent)
        else:
            parent = Path(tempfile.gettempdir())
        folder = parent / owned_name()
        folder.mkdir(parents=True)
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _mark(self, table: str, version: int) -> None:
        """Remember the newest version; the run has published, and trouble here is not its failure."""
        try:
            mark(self._storage.store(), f"lake/{table}", version)
        except (BaseError, OSError) as error:
            _log.warning("%s: its newest version could not be marked: %s", table, error)

    def _opened(self, table: str, version: int | None = None) -> tuple[DeltaTable | None, list[DataFile]]:
        """A table and its files; none where it does not exist.

        Raises:
            DamagedError: the log does not add up to what was written.
        """
        store, prefix = self._storage.store(), f"lake/{table}"
        version = self._wanted(table, version)
        # Asked first: a commit that another run makes meanwhile may be newer than what is opened here.
        known = newest_version(store, prefix) if version is None else None
        delta = self._delta(table, version)
        if delta is None:
            if known is not None:
                raise _damaged_log(table, "it is gone")
            return None, []
        with _log_errors(table, version):
            files = files_of(delta)
        if said := fault(store, prefix, delta, files, known):
            raise _damaged_log(table, said)
        return delta, files

    def _file(self, table: str, file: DataFile) -> Recorded:
        return Recorded(f"{self.path(table)}/{file.name}", file.size, file.sha256)

    def _remote_fault(self, table: str, file: DataFile, whole: bool) -> str:
        store, key = self._storage.store(), f"lake/{table}/{file.name}"
        try:
            size = obstore.head(store, key)["size"]
            if size != file.size:
                return f"it has {size:,} bytes instead of {file.size:,}"
            if whole and file.sha256:
                digest = hashlib.sha256()
                for chunk in obstore.get(store, key).stream(min_chunk_size=CHUNK):
                    digest.update(bytes(chunk))
                return "" if digest.hexdigest() == file.sha256 else "its bytes are not those that were written"
        except FileNotFoundError:
            return GONE
        return ""

    def _sound_fingerprints(self, table: str, files: Collection[DataFile], wanted: Collection[date]) -> dict[date, str]:
        """Fingerprint of every partition; of those wanted whose files are damaged it is no fingerprint at all."""
        mine = [file for file in files if file.partition in wanted]
        damaged = self.damage(table, mine)
        spoiled = {file.partition for file in mine if file.name in damaged}
        for name, said in damaged.items():
            _log.warning("%s: %s: %s; it is written again", table, name, said)
        return {part: DAMAGED if part in spoiled else text for part, text in _fingerprints(files).items()}

    def _refuse_damaged(self, table: str, files: Collection[DataFile], version: int | None) -> None:
        damaged = self.damage(table, files)
        if damaged:
            days = sorted({file.partition for file in files if file.name in damaged})
            spans = ", ".join(map(str, days[:SHOWN])) + (f" and {len(days) - SHOWN} more" if len(days) > SHOWN else "")
            name, said = next(iter(damaged.items()))
            where = table if version is None else f"version {version} of {table}"
            raise DamagedError(
                f"{where}: the stored rows of {spans} are damaged ({self.path(table)}/{name}: {said})",
                "Run these days again; the command `repair` finds everything that is damaged and says what to run.",
            )

    def _wanted(self, table: str, version: int | None) -> int | None:
        """The version to read: one that is named, that of then where this is a lake of then, or the newest (None)."""
        if version is not None or self._versions is None:
            return version
        return self._versions.get(table, NEVER)

    def _delta(self, table: str, version: int | None = None) -> DeltaTable | None:
        version = self._wanted(table, version)
        if version == NEVER:
            return None
        try:
            with _log_errors(table, version):
                return DeltaTable(self.path(table), version=version, storage_options=self._storage.object_options)
        except TableNotFoundError:
            return None


def _union_all(con: Any, tables: Sequence[ir.Table]) -> ir.Table:
    """The rows of all tables, as one view: Ibis takes long over a union of hundreds each time it is used."""
    if len(tables) == 1:
        return tables[0]
    view = f"together_{uuid4().hex[:12]}"
    con.raw_sql(f"CREATE TEMP VIEW {view} AS {' UNION ALL BY NAME '.join(f'({con.compile(t)})' for t in tables)}")
    united: ir.Table = con.table(view)
    return united


def _fingerprints(files: Collection[DataFile]) -> dict[date, str]:
    """Content fingerprint of every partition, as its file names tell it."""
    return {part: mine[0].fingerprint for part, mine in by_partition(files).items()}


def _algorithm(fingerprint: str) -> str:
    return fingerprint.partition("-")[0]


@contextmanager
def _log_errors(table: str, version: int | None) -> Iterator[None]:
    """Whatever Delta cannot make of a log is damage; a store that does not answer stays an error of its own."""
    try:
        yield
    except TableNotFoundError:
        raise
    except DeltaError as error:
        said = " ".join(str(error).split())[:160]
        if any(words in said for words in STORE_TROUBLE):
            raise
        if version is None:
            raise _damaged_log(table, said) from error
        raise DamagedError(
            f"version {version} of table {table} cannot be read ({said})",
            "Make what needs it again: a report pins the versions of its tables.",
        ) from error


def _damaged_log(table: str, said: str) -> DamagedError:
    return DamagedError(
        f"the log of table {table} is damaged ({said})",
        "The command `repair` says which days it held and what to run to make them again.",
    )


def _rows(con: Any, model: Any, staged: list[Path]) -> ir.Table:
    """Staged files as rows of a contract."""
    schema = schema_of(model)
    if not staged:
        empty = con.sql("SELECT 1 AS one WHERE false")
        return empty.select(**{column: ibis.null(dtype) for column, dtype in schema.items()})
    read = con.read_parquet([str(path) for path in staged])
    return read.select(**{column: read[column].cast(dtype) for column, dtype in schema.items()})


def _prove(
    con: Any, table: StoredTable, staged: list[Path], proofs: Sequence[StagedProof], wanted: Collection[date]
) -> dict[str, Breaches]:
    """What each proof finds in the staged rows; also where there are none, for then what is missing is the breach."""
    found = {}
    rows = _rows(con, table.model, staged) if proofs else None
    for proof in proofs:
        breaches = proof.breaches(con, rows, table.partition)
        _refuse_strays(table, f"breaches of {proof.proof.name}", breaches.rows, wanted)
        found[proof.proof.name] = breaches
    return found


def _rejected(
    name: str, audited: Audited, breaches: Mapping[str, Breaches], proofs: Sequence[StagedProof]
) -> dict[date, ContractError]:
    """The partitions that break the contract or a blocking proof."""
    rejected = dict(audited.rejected)
    for blocking in (staged.proof.name for staged in proofs if staged.proof.blocking):
        for part, count in breaches[blocking].rows.items():
            before = rejected.get(part)
            violations = {**(before.violations if before else {}), blocking: count}
            examples = before.examples if before else breaches[blocking].examples[part]
            rejected[part] = ContractError(name, violations, examples)
    return dict(sorted(rejected.items()))


def _refuse_strays(table: StoredTable, what: str, counts: Mapping[date, int], wanted: Collection[date]) -> None:
    strays = {part: count for part, count in counts.items() if part not in wanted}
    if strays:
        first = min(map(str, strays))
        raise ContractError(
            table.name, {f"{table.partition}: {what} outside the run, as of {first}": sum(strays.values())}, []
        )


def _is_conflict(error: Exception) -> bool:
    """Whether another writer came first (as opposed to a full disk or a refused key)."""
    text = str(error).lower()
    return isinstance(error, CommitFailedError) or "already exists" in text

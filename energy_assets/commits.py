"""What a commit records of a table's files, so that damage shows: their checksums, and what the table then holds.

What belongs here: names of data files, the state of a table, and the marker of its newest version. What does not:
making commits (`lake`), and mending what is damaged.

A file is named by the fingerprint of its partition's content and by the hash of its own bytes:
`day=2024-05-09/<algorithm>-<fingerprint>-<random><sha256>-<n>.parquet`. Files of older stores have the random alone.
The metadata of each commit hold `files_sha256`, one hash over all files that the table consists of after it: a log
whose entries were changed or lost does not add up to it. The file `_newest` beside the log holds the newest version,
so that a log whose end is gone is seen. Delta passes over names that begin with `_`.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import obstore
import pyarrow as pa
from deltalake import DeltaTable
from obstore.store import ObjectStore

STATE = "files_sha256"
"""Key of a commit's metadata."""
NEWEST = "_newest"
RANDOM = 12
"""Characters before the checksum that keep two files of the same bytes apart."""
SHA256 = 64


class DataFile(NamedTuple):
    """A file of a table as its commit recorded it.

    Attributes:
        name: Relative to the table.
        partition: First day of the partition.
        size: In bytes.
    """

    name: str
    partition: date
    size: int

    @property
    def fingerprint(self) -> str:
        """Of the partition's content: all before the random and the number."""
        return Path(self.name).name.rsplit("-", 2)[0]

    @property
    def sha256(self) -> str | None:
        """Of the file's bytes; None in older stores, which did not record it."""
        unique = Path(self.name).name.rsplit("-", 2)[-2]
        return unique[RANDOM:] if len(unique) == RANDOM + SHA256 else None


def file_name(folder: str, fingerprint: str, sha256: str, number: int) -> str:
    """The name of a new file, unlike any other.

    Args:
        folder: Of its partition.
        fingerprint: Of the partition's content.
        sha256: Of the file's bytes.
        number: Among the files of the partition.
    """
    return f"{folder}/{fingerprint}-{uuid4().hex[:RANDOM]}{sha256}-{number}.parquet"


def files_of(delta: DeltaTable) -> list[DataFile]:
    """The files a version of a table consists of, by name."""
    table = pa.table(delta.get_add_actions(flatten=True))
    key = next(name for name in table.column_names if name.startswith("partition."))
    columns = (table[name].to_pylist() for name in ("path", key, "size_bytes"))
    return sorted(DataFile(*row) for row in zip(*columns, strict=True))


def by_partition(files: Iterable[DataFile]) -> dict[date, list[DataFile]]:
    """Files by the partition they are of."""
    found: dict[date, list[DataFile]] = defaultdict(list)
    for file in files:
        found[file.partition].append(file)
    return dict(found)


def state(files: Iterable[DataFile]) -> str:
    """One hash over names, partitions and sizes of all files of a table."""
    lines = "".join(f"{file.name} {file.partition} {file.size}\n" for file in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def fault(store: ObjectStore, prefix: str, delta: DeltaTable, files: Iterable[DataFile], known: int | None) -> str:
    """What is wrong with the log of a table; empty where nothing is, or nothing was recorded.

    Args:
        store: The store the table lies in.
        prefix: Where it lies in the store.
        delta: The table at the version in question.
        files: What it consists of at this version.
        known: The marked version, as it was before the table was opened at its newest one; None for no comparison.
    """
    version = delta.version()
    if known is not None and known > version:
        return f"it ends with version {version}, and version {known} was written"
    name = f"{prefix}/_delta_log/{version:020d}.json"
    try:
        recorded = _recorded(bytes(obstore.get(store, name).bytes()))
    except FileNotFoundError:
        return ""  # somebody cleaned the log up to a checkpoint
    if recorded is None:
        return f"{name} is not what was written"
    return "" if recorded in ("", state(files)) else f"its entries do not add up to what version {version} had"


def newest_version(store: ObjectStore, prefix: str) -> int | None:
    """The newest version that was marked, None where none was.

    Args:
        store: The store the table lies in.
        prefix: Where it lies in the store.
    """
    try:
        return int(bytes(obstore.get(store, f"{prefix}/{NEWEST}").bytes()))
    except (FileNotFoundError, ValueError):
        return None


def mark(store: ObjectStore, prefix: str, version: int) -> None:
    """Remember the version that was just written; it may lag behind where several runs write at once.

    Args:
        store: The store the table lies in.
        prefix: Where it lies in the store.
        version: Of the commit.
    """
    obstore.put(store, f"{prefix}/{NEWEST}", str(version).encode())


def _recorded(commit: bytes) -> str | None:
    """The state a commit recorded; empty where it recorded none, None where it is damaged."""
    try:
        entries: list[dict[str, Any]] = [json.loads(line) for line in commit.splitlines()]
        (info,) = (entry["commitInfo"] for entry in entries if "commitInfo" in entry)
        return str(info.get(STATE, ""))
    except (ValueError, AttributeError):
        return None

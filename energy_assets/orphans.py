"""Orphans: data files that were placed for a commit which then failed, so that no version of the table names them.

What belongs here: when to look for them and what may be removed. What does not: commits and staging (`lake`).

Looking costs a listing of the table and reading its newest commits, so it is done when a run has published and the
last look is older than a day. A file is placed before its commit is written, so that only the commits written since
the previous look can name a file that has come of age since: a look reads a day of commits, not the whole log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import unquote

import obstore
import pyarrow as pa
from deltalake import DeltaTable
from obstore.store import ObjectStore

AGE = timedelta(days=1)
"""A younger file may be about to be committed."""
CLOCKS = timedelta(hours=1)
"""How far the clocks of a writer and of a store may stand apart."""
MARKER = "_swept"
"""Beside the log: files placed before the time it holds have been looked at. Delta passes over such names."""

_COMMIT = re.compile(r"_delta_log/(\d{20})\.json$")
_CHECKPOINT = re.compile(r"_delta_log/(\d{20})\.checkpoint\.")


class _File(NamedTuple):
    """A file of a table, its name relative to the table."""

    name: str
    modified: datetime


def sweep(store: ObjectStore, prefix: str, at_version: Callable[[int | None], DeltaTable], now: datetime) -> list[str]:
    """Remove the orphans of a table that are older than a day, unless that was done within the last day.

    Args:
        store: The store the table lies in.
        prefix: Where it lies in the store.
        at_version: Opens the table at a version, None for the newest.
        now: The time, with its zone.

    Returns:
        Names of the files removed, relative to the table.
    """
    since, until = _looked_at(store, prefix), now - AGE
    if since and since > until - AGE:
        return []
    files = [
        _File(meta["path"].removeprefix(f"{prefix}/"), meta["last_modified"])
        for batch in obstore.list(store, prefix)
        for meta in batch
    ]
    of_age = {
        file.name
        for file in files
        if not file.name.startswith("_")
        and file.name.endswith(".parquet")
        and file.modified < until
        and (since is None or file.modified >= since - CLOCKS)
    }
    orphans = sorted(of_age - _named(store, prefix, files, at_version, since)) if of_age else []
    for name in orphans:
        try:
            obstore.delete(store, f"{prefix}/{name}")
        except FileNotFoundError:
            continue  # another run swept it
    obstore.put(store, f"{prefix}/{MARKER}", until.isoformat().encode())
    return orphans


def _looked_at(store: ObjectStore, prefix: str) -> datetime | None:
    """Files placed before this time have been looked at; None if there was no look yet."""
    try:
        return datetime.fromisoformat(bytes(obstore.get(store, f"{prefix}/{MARKER}").bytes()).decode()).astimezone(UTC)
    except (FileNotFoundError, ValueError):
        return None


def _named(
    store: ObjectStore,
    prefix: str,
    files: Collection[_File],
    at_version: Callable[[int | None], DeltaTable],
    since: datetime | None,
) -> set[str]:
    """Files that a readable version names, of those that may have come of age since the last look."""
    named = set(_active(at_version(None)))
    commits = {int(found[1]): file for file in files if (found := _COMMIT.search(file.name))}
    if commits and min(commits) > 0:
        # Somebody has cut the log: the oldest version that can be read is that of the oldest checkpoint.
        checkpoints = [int(found[1]) for file in files if (found := _CHECKPOINT.search(file.name))]
        named |= set(_active(at_version(min(checkpoints))))
    for commit in commits.values():
        if since is None or commit.modified >= since - 2 * CLOCKS:
            named |= set(_added(bytes(obstore.get(store, f"{prefix}/{commit.name}").bytes())))
    return named


def _active(delta: DeltaTable) -> Iterable[str]:
    """Files of one version."""
    return [str(path) for path in pa.table(delta.get_add_actions(flatten=True))["path"].to_pylist()]


def _added(commit: bytes) -> Iterable[str]:
    """Files that a commit adds."""
    for line in commit.splitlines():
        if added := json.loads(line).get("add"):
            yield unquote(added["path"])

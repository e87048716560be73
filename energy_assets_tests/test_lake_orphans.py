"""Files of failed commits are swept a day later; what a readable version names, or a commit may yet name, stays."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import obstore
import pytest
from deltalake import DeltaTable

from energy_assets.contracts.raw import EnergyReadings
from energy_assets.lake import Commit, Lake
from energy_assets.orphans import AGE, MARKER, sweep
from energy_assets.storage import Storage
from energy_assets_tests.lake_workers import STORED, TABLE, connect
from energy_assets_tests.rows import table
from energy_assets_tests.s3_server import s3_bucket

DAY = date(2024, 5, 9)
PREFIX = f"lake/{TABLE}"
DAY_S = AGE.total_seconds()


@pytest.fixture(scope="module")
def bucket() -> Iterator[Storage]:
    with s3_bucket() as storage:
        yield storage


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def lake(root: Path) -> Lake:
    return Lake(Storage(str(root)))


def put(lake: Lake, kwh: int) -> Commit:
    rows = table(EnergyReadings, [{"day": DAY, "energy_kwh": Decimal(kwh)}])
    return lake.replace(connect(), STORED, [DAY], rows, "run")


def crash(lake: Lake, kwh: int) -> None:
    """Die between placing the files and committing them."""

    def dies(*_: Any) -> int:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Lake, "_commit", dies)
        with pytest.raises(SystemExit):
            put(lake, kwh)


def data_files(root: Path) -> set[str]:
    return {path.name for path in (root / PREFIX).glob("day=*/*.parquet")}


def age(root: Path, seconds: float) -> None:
    """Let all that lies in the table be older."""
    for path in (root / PREFIX).rglob("*"):
        if path.is_file() and path.name != MARKER:
            os.utime(path, (time.time() - seconds,) * 2)


def kwh(lake: Lake, version: int | None = None) -> Any:
    return lake.read(connect(), STORED, version=version).energy_kwh.sum().to_pyarrow().as_py()


def test_what_a_crash_left_is_swept_by_the_next_commit_and_old_versions_stay(lake: Lake, root: Path) -> None:
    put(lake, 1)
    put(lake, 2)
    named = data_files(root)
    (root / PREFIX / MARKER).unlink()
    crash(lake, 3)
    assert len(data_files(root) - named) == 1
    age(root, DAY_S + 60)
    assert put(lake, 4).version == 2
    assert named < data_files(root)
    assert len(data_files(root)) == 3
    assert [kwh(lake, version) for version in range(3)] == [1, 2, 4]


def test_a_young_file_stays_for_it_may_be_about_to_be_committed(lake: Lake, root: Path) -> None:
    put(lake, 1)
    (root / PREFIX / MARKER).unlink()
    crash(lake, 3)
    before = data_files(root)
    age(root, DAY_S - 60)
    put(lake, 4)
    assert before < data_files(root)


def test_a_file_is_as_old_as_its_placing_however_long_it_was_staged(lake: Lake, root: Path) -> None:
    def slowly(*arguments: Any, **more: Any) -> Any:
        for path in (root / PREFIX / "_staging").rglob("*.parquet"):
            os.utime(path, (time.time() - 2 * DAY_S,) * 2)
        return place(*arguments, **more)

    place = Lake._place
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Lake, "_place", slowly)
        put(lake, 1)
    (file,) = (root / PREFIX).glob("day=*/*.parquet")
    assert time.time() - file.stat().st_mtime < 600


def test_files_that_waited_too_long_for_their_commit_are_not_committed(lake: Lake) -> None:
    put(lake, 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("energy_assets.lake.PLACED_FOR_S", -1)
        with pytest.raises(RuntimeError, match="waited too long"):
            put(lake, 2)
    assert (kwh(lake), lake.version(TABLE)) == (1, 0)


def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    real = obstore.list

    def counted(store: Any, prefix: str, **more: Any) -> Any:
        seen.append(prefix)
        return real(store, prefix, **more)

    monkeypatch.setattr("energy_assets.orphans.obstore.list", counted)
    return seen


def test_a_table_is_listed_once_a_day(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = listings(monkeypatch)
    for number in range(4):
        put(lake, number)
    assert seen == [PREFIX]


def test_only_commits_since_the_last_look_are_read(lake: Lake, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lake, 1)
    put(lake, 2)
    age(root, 9 * DAY_S)
    long_ago = datetime.now(UTC) - timedelta(days=5)
    (root / PREFIX / MARKER).write_text(long_ago.isoformat())
    crash(lake, 3)
    for path in (root / PREFIX).glob("day=*/*.parquet"):
        if time.time() - path.stat().st_mtime < DAY_S:
            os.utime(path, (time.time() - 2 * DAY_S,) * 2)
    read: list[str] = []
    real = obstore.get
    monkeypatch.setattr("energy_assets.orphans.obstore.get", lambda store, path: read.append(path) or real(store, path))
    put(lake, 4)
    opened = f"{PREFIX}/_delta_log/{1:020d}.json"
    assert read.pop(read.index(opened)) == opened  # the commit before: does the table add up to it?
    assert [path for path in read if path.endswith(".json")] == [f"{PREFIX}/_delta_log/{2:020d}.json"]
    assert [kwh(lake, version) for version in range(3)] == [1, 2, 4]
    assert len(data_files(root)) == 3


def test_orphans_are_swept_on_a_bucket_too(bucket: Storage, tmp_path: Path) -> None:
    storage = Storage(f"{bucket.root}/{tmp_path.name}", bucket.options)
    lake, store = Lake(storage), storage.store()
    put(lake, 1)
    put(lake, 2)
    crash(lake, 3)
    obstore.delete(store, f"{PREFIX}/{MARKER}")

    def at_version(version: int | None) -> DeltaTable:
        return DeltaTable(lake.path(TABLE), version=version, storage_options=storage.object_options)

    now = datetime.now(UTC)
    assert sweep(store, PREFIX, at_version, now + AGE - timedelta(minutes=5)) == []
    obstore.delete(store, f"{PREFIX}/{MARKER}")
    (removed,) = sweep(store, PREFIX, at_version, now + AGE + timedelta(minutes=5))
    assert removed.startswith(f"day={DAY}/d2-")
    assert [kwh(lake, version) for version in range(2)] == [1, 2]


def test_a_sweep_that_fails_does_not_fail_the_run(lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def refuses(*_: Any) -> list[str]:
        raise PermissionError("no")

    monkeypatch.setattr("energy_assets.lake.sweep", refuses)
    assert put(lake, 1).version == 0
    assert "could not be looked for or removed: no" in caplog.text

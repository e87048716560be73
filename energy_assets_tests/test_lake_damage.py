"""Damaged and deleted files of the lake: never read, named, and mended by replacing their days again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import obstore
import pytest

from energy_assets import integrity
from energy_assets.integrity import DamagedError
from energy_assets.lake import Lake
from energy_assets.storage import Storage
from energy_assets_tests.lake_workers import STORED, TABLE, connect, readings
from energy_assets_tests.s3_server import s3_bucket

ONE, TWO = date(2024, 5, 9), date(2024, 5, 10)


def put(lake: Lake, days: list[date], node: str = "n") -> Any:
    con = connect()
    return lake.replace(con, STORED, days, readings(con, days, 50, node), node)


def rows(lake: Lake, days: list[date] | None = None, version: int | None = None) -> int:
    return int(lake.read(connect(), STORED, days, version).count().execute())


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Lake, Path]:
    lake = Lake(Storage(str(tmp_path / "var")))
    put(lake, [ONE, TWO])
    return lake, tmp_path / "var" / "lake" / TABLE


def flip(path: Path) -> None:
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(bytes(stored))


def flip_and_set_the_clock_back(path: Path) -> None:
    stat = path.stat()
    flip(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - 1))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [flip, flip_and_set_the_clock_back, cut, gone])
def test_a_damaged_day_is_named_and_mended_by_running_it_again(
    folder: tuple[Lake, Path], damage: Callable[[Path], None]
) -> None:
    lake, root = folder
    (file,) = root.glob(f"day={ONE}/*.parquet")
    damage(file)

    with pytest.raises(DamagedError, match=rf"{TABLE}: the stored rows of {ONE} are damaged.*Run these days again"):
        rows(lake)
    with pytest.raises(DamagedError):
        lake.read_together(connect(), {"a": STORED, "b": STORED})
    assert rows(lake, [TWO]) == 50

    assert put(lake, [TWO]).changed == ()
    again = put(lake, [ONE])
    assert (again.changed, again.rejected) == ((ONE,), {})
    assert rows(lake) == 100
    assert put(lake, [ONE, TWO]).changed == ()


def test_a_damaged_day_that_has_no_rows_any_more_becomes_empty(folder: tuple[Lake, Path]) -> None:
    lake, root = folder
    gone(next(root.glob(f"day={ONE}/*.parquet")))
    con = connect()
    lake.replace(con, STORED, [ONE], readings(con, [ONE], 0, "n"), "r")
    assert rows(lake) == 50


def test_damage_of_an_old_version_says_the_version(folder: tuple[Lake, Path]) -> None:
    lake, root = folder
    flip(next(root.glob(f"day={ONE}/*.parquet")))
    put(lake, [ONE])
    with pytest.raises(DamagedError, match="version 0 of"):
        rows(lake, version=0)
    assert rows(lake) == 100


def commit(root: Path, version: int) -> Path:
    return root / "_delta_log" / f"{version:020d}.json"


def other_day(root: Path) -> None:
    path = commit(root, 0)
    path.write_text(path.read_text().replace(f'"day":"{TWO}"', '"day":"2024-05-11"'))


def an_entry_lost(root: Path) -> None:
    path = commit(root, 0)
    path.write_text("".join(line for line in path.read_text().splitlines(True) if f"day={TWO}" not in line))


def an_entry_unknown(root: Path) -> None:
    path = commit(root, 0)
    lines = path.read_text().splitlines(True)
    path.write_text("".join(line.replace('{"add":', '{"aed":') if f"day={TWO}" in line else line for line in lines))


def last_commit_gone(root: Path) -> None:
    commit(root, 1).unlink()


def last_commit_empty(root: Path) -> None:
    commit(root, 1).write_text("")


def a_brace_lost(root: Path) -> None:
    path = commit(root, 1)
    path.write_text(path.read_text().replace("{", "[", 1))


def first_commit_gone(root: Path) -> None:
    commit(root, 0).unlink()


def a_type_unknown(root: Path) -> None:
    path = commit(root, 0)
    path.write_text(path.read_text().replace("decimal(", "decmmal("))


def a_day_unreadable(root: Path) -> None:
    path = commit(root, 0)
    path.write_text(path.read_text().replace(f'"day":"{TWO}"', '"day":"2024-05-1)"'))


def a_column_of_no_schema(root: Path) -> None:
    path = commit(root, 0)
    path.write_text(path.read_text().replace(f'"day":"{TWO}"', f'"dey":"{TWO}"'))


def log_gone(root: Path) -> None:
    for path in (root / "_delta_log").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        other_day,
        an_entry_lost,
        an_entry_unknown,
        last_commit_gone,
        last_commit_empty,
        a_brace_lost,
        first_commit_gone,
        a_type_unknown,
        a_day_unreadable,
        a_column_of_no_schema,
        log_gone,
    ],
)
def test_a_log_that_does_not_add_up_is_never_read(folder: tuple[Lake, Path], damage: Callable[[Path], None]) -> None:
    lake, root = folder
    put(lake, [ONE], "other")
    damage(root)
    for work in (lambda: rows(lake), lambda: put(lake, [ONE]), lambda: lake.fingerprints(TABLE)):
        with pytest.raises(DamagedError, match=rf"the log of table {TABLE} is damaged"):
            work()
    lake.set_aside(TABLE)
    assert lake.version(TABLE) is None
    put(lake, [ONE, TWO])
    assert rows(lake) == 100


def test_a_version_that_is_gone_is_named(folder: tuple[Lake, Path]) -> None:
    with pytest.raises(DamagedError, match=rf"version 7 of table {TABLE} cannot be read"):
        rows(folder[0], version=7)


def test_a_store_that_does_not_answer_is_no_damage() -> None:
    with s3_bucket() as storage:
        put(Lake(storage), [ONE])
    with pytest.raises(OSError, match="Error performing"):
        Lake(storage).version(TABLE)


def test_tables_of_older_stores_are_read_and_gain_checksums(folder: tuple[Lake, Path]) -> None:
    """Without a state in the commits, a marker, and checksums in the names."""
    lake, root = folder
    path, renamed = commit(root, 0), {}
    for file in root.glob("day=*/*.parquet"):
        first, unique, number = file.name.rsplit("-", 2)
        renamed[file.name] = f"{first}-{unique[:12]}-{number}"
        file.rename(file.with_name(renamed[file.name]))
    lines = []
    for line in path.read_text().splitlines():
        for new, old in renamed.items():
            line = line.replace(new, old)
        entry = json.loads(line)
        entry.get("commitInfo", {}).pop("files_sha256", None)
        lines.append(json.dumps(entry))
    path.write_text("\n".join(lines))
    (root / "_newest").unlink()

    assert rows(lake) == 100
    assert [file.sha256 for file in lake.files(TABLE)] == [None, None]
    assert put(lake, [ONE, TWO]).changed == ()
    put(lake, [ONE], "other")
    assert [file.sha256 is None for file in lake.files(TABLE)] == [False, True]
    assert rows(lake) == 100


def test_in_a_bucket_what_is_gone_or_cut_is_written_again_and_the_rest_is_found_by_reading_it_whole() -> None:
    with s3_bucket() as storage:
        lake, store = Lake(storage), storage.store()
        put(lake, [ONE, TWO])
        one, two = lake.files(TABLE)
        obstore.delete(store, f"lake/{TABLE}/{one.name}")
        stored = bytearray(bytes(obstore.get(store, f"lake/{TABLE}/{two.name}").bytes()))
        stored[len(stored) // 2] ^= 1
        obstore.put(store, f"lake/{TABLE}/{two.name}", bytes(stored))

        assert lake.damage(TABLE, [one, two]) == {one.name: "it is gone"}
        assert set(lake.damage(TABLE, [one, two], whole=True)) == {one.name, two.name}
        assert put(lake, [ONE, TWO]).changed == (ONE,)
        lake.set_aside(TABLE, two.name)
        assert put(lake, [ONE, TWO]).changed == (TWO,)
        assert rows(lake) == 100


def test_a_file_is_hashed_once_by_a_process(folder: tuple[Lake, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    lake, _ = folder
    hashed: list[str] = []
    real = integrity.sha256_of
    monkeypatch.setattr("energy_assets.integrity._known", set())
    monkeypatch.setattr("energy_assets.integrity.sha256_of", lambda path: hashed.append(str(path)) or real(path))
    rows(lake)
    rows(lake)
    assert len(hashed) == 2

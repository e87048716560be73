"""A report is replaced whole, or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

from energy_assets.disclosures import shelf


class Killed(BaseException):
    """The process ended here."""


def write(folder: Path, text: str) -> None:
    with shelf.replacing(folder) as fresh:
        for name in ("report.xhtml", "figures.json"):
            (fresh / name).write_text(text)


def content(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An old report of two files, one of which the new one no longer has."""
    found = tmp_path / "reports" / "2026-09"
    write(found, "old")
    (found / "gone.txt").write_text("old")
    return found


def test_a_new_report_replaces_the_old_one_with_all_its_files(folder: Path) -> None:
    write(folder, "new")
    assert content(folder) == {"new"}
    assert not (folder / "gone.txt").exists()
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["2026-09"]


@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_between_the_steps_leaves_the_whole_old_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    done: list[Any] = []

    def rename(source: Path, target: Path) -> None:
        if len(done) == renames:
            raise Killed
        done.append(source)
        os.replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(shelf.os, "rename", rename)
        with pytest.raises(Killed):
            write(folder, "new")
    assert folder.exists() is (renames == 0)
    shelf.heal(folder)
    assert content(folder) == {"old"}
    write(folder, "newer")
    assert content(folder) == {"newer"}


def test_a_kill_before_the_old_report_is_deleted_leaves_the_whole_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rmtree(path: Path, **_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(shelf.shutil, "rmtree", rmtree)
        with pytest.raises(Killed):
            write(folder, "new")
    shelf.heal(folder)
    assert content(folder) == {"new"}
    write(folder, "newer")
    assert content(folder) == {"newer"}
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["2026-09"]


def test_what_fails_while_it_is_made_leaves_the_old_report_and_no_rest(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), shelf.replacing(folder) as fresh:
        (fresh / "report.xhtml").write_text(str(1 / 0))
    assert content(folder) == {"old"}
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["2026-09"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o027, 0o750), (0o077, 0o700)])
def test_who_may_read_a_report_is_for_the_umask_to_say(tmp_path: Path, umask: int, mode: int) -> None:
    """Also below a folder that its owner alone may read, as folders for temporary files are."""
    (tmp_path / "closed").mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        write(tmp_path / "closed/2026-09", "new")
    finally:
        os.umask(before)
    assert (tmp_path / "closed/2026-09").stat().st_mode & 0o777 == mode


def names(store: MemoryStore, prefix: str) -> list[str]:
    return sorted(item["path"] for batch in obstore.list(store, prefix) for item in batch)


def pointed(store: MemoryStore) -> dict[str, str]:
    """What a reader of the bucket finds: the files the pointer names."""
    pointer = json.loads(bytes(obstore.get(store, "r/2026-09/current.json").bytes()))
    return {
        name: bytes(obstore.get(store, f"{pointer['folder']}/{name}").bytes()).decode() for name in pointer["files"]
    }


def test_a_bucket_is_pointed_to_a_report_only_when_all_of_it_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    shelf.upload(store, "r/2026-09", folder)
    assert set(pointed(store)) == {"report.xhtml", "figures.json", "gone.txt"}
    write(folder, "new")
    put, left = obstore.put, [1]

    def failing(*args: Any, **more: Any) -> Any:
        if not left:
            raise Killed
        left.pop()
        return put(*args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(shelf.obstore, "put", failing)
        with pytest.raises(Killed):
            shelf.upload(store, "r/2026-09", folder)
    assert set(pointed(store).values()) == {"old"}
    shelf.upload(store, "r/2026-09", folder)
    assert pointed(store) == {"report.xhtml": "new", "figures.json": "new"}


def test_what_is_wrong_with_a_report_in_a_bucket_is_found(folder: Path) -> None:
    store = MemoryStore()
    address = shelf.upload(store, "r/2026-09", folder)
    assert list(shelf.uploaded_faults(store, "r")) == [("r/2026-09", {})]
    obstore.put(store, f"r/2026-09/{address}/report.xhtml", b"old?")
    obstore.delete(store, f"r/2026-09/{address}/gone.txt")
    ((_, found),) = shelf.uploaded_faults(store, "r")
    assert found == {"report.xhtml": shelf.CHANGED, "gone.txt": "it is gone"}
    obstore.put(store, "r/2026-09/current.json", b"{")
    assert list(shelf.uploaded_faults(store, "r")) == [("r/2026-09", {"current.json": shelf.CHANGED})]


def test_the_same_report_of_another_run_has_the_same_address(folder: Path) -> None:
    store = MemoryStore()
    (folder / "build.json").write_text("run 1")
    first = shelf.upload(store, "r/2026-09", folder)
    (folder / "build.json").write_text("run 2")
    assert shelf.upload(store, "r/2026-09", folder) == first
    (folder / "report.xhtml").write_text("changed")
    assert shelf.upload(store, "r/2026-09", folder) != first
    assert len(names(store, "r/2026-09")) == 2 * 4 + 1

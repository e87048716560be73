"""Where finished reports are kept: a report appears whole, or the one before it stays.

What belongs here: putting the files of a report in their place, on a disk and in a bucket. What does not: making
them. A reader, and a run that was killed at any step, leaves or finds one whole report, never a mix of two.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import obstore
from filelock import FileLock, Timeout

from energy_assets.integrity import GONE

#: What may differ between two equal reports (see `asset`); not part of a report's address.
BUILD = "build.json"
#: The pointer to the current report of a period in a bucket.
POINTER = "current.json"
CHANGED = "its bytes are not those that were written"
"""What is said of a file that is there and is another one."""


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `folder` when the block ends without an error.

    One process at a time replaces a report; another one waits. What a killed one left is mended first.

    Args:
        folder: Where the report will lie, for example `reports/ml_sustainability/2026-09`.

    Yields:
        An empty folder beside it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_beside(folder, "lock")):
        _heal(folder)
        for left in folder.parent.glob(f".{folder.name}-new-*"):
            shutil.rmtree(left)
        # Not mkdtemp, which makes a folder for its owner alone: who may read a report is for the umask to say.
        fresh = folder.parent / f".{folder.name}-new-{token_hex(8)}"
        fresh.mkdir()
        try:
            yield fresh
            _swap(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def heal(folder: Path) -> None:
    """Bring back the old report where a run was killed between setting it aside and putting the new one in."""
    if not folder.exists() and _beside(folder, "old").exists():
        with FileLock(_beside(folder, "lock")):
            _heal(folder)


def sweep(reports: Path) -> None:
    """Remove the half-made reports of runs that were killed; one that is being made is held by its lock.

    Args:
        reports: Folder of all profiles; need not exist.
    """
    for left in reports.glob("*/.*-new-*"):
        name = left.name[1:].rpartition("-new-")[0]
        try:
            with FileLock(_beside(left.parent / name, "lock"), timeout=0):
                shutil.rmtree(left, ignore_errors=True)
        except (Timeout, OSError):
            continue


def upload(store: Any, prefix: str, folder: Path) -> str:
    """Copy a report into a bucket, below a name made of its content, and point to it last.

    Args:
        store: An obstore store.
        prefix: Name of the period in the bucket, for example `reports/ml_sustainability/2026-09`.
        folder: The report.

    Returns:
        The name below `prefix` that the report got. `<prefix>/current.json` names it too. Earlier reports stay
        where they are, so that a reader in the middle of one is not disturbed and a restatement can be compared.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()}
    content = "".join(f"{name} {sha256}\n" for name, sha256 in files.items() if name != BUILD)
    address = hashlib.sha256(content.encode()).hexdigest()
    for name, path in paths.items():
        obstore.put(store, f"{prefix}/{address}/{name}", path)
    pointer = {"schema": "energy-assets/current-report/1", "folder": f"{prefix}/{address}", "files": files}
    obstore.put(store, f"{prefix}/{POINTER}", (json.dumps(pointer, indent=1, sort_keys=True) + "\n").encode())
    return address


def uploaded_faults(store: Any, prefix: str = "reports") -> Iterator[tuple[str, dict[str, str]]]:
    """What is wrong with the current reports of a bucket, each with its prefix; reads them whole.

    Args:
        store: An obstore store.
        prefix: Below which all reports lie.
    """
    for listed in obstore.list(store, prefix).collect():
        if not listed["path"].endswith(f"/{POINTER}"):
            continue
        period, found = listed["path"].removesuffix(f"/{POINTER}"), {}
        try:
            pointer = json.loads(bytes(obstore.get(store, listed["path"]).bytes()))
            places = {name: (f"{pointer['folder']}/{name}", sha256) for name, sha256 in pointer["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            yield period, {POINTER: CHANGED}
            continue
        for name, (path, sha256) in places.items():
            try:
                if hashlib.sha256(obstore.get(store, path).bytes()).hexdigest() != sha256:
                    found[name] = CHANGED
            except FileNotFoundError:
                found[name] = GONE
        yield period, found


def _swap(fresh: Path, folder: Path) -> None:
    aside = _beside(folder, "old")
    if folder.exists():
        os.rename(folder, aside)
    os.rename(fresh, folder)
    shutil.rmtree(aside, ignore_errors=True)


def _heal(folder: Path) -> None:
    """Called by the holder of the lock."""
    aside = _beside(folder, "old")
    if not aside.exists():
        return
    if folder.exists():
        shutil.rmtree(aside)
    else:
        os.rename(aside, folder)


def _beside(folder: Path, what: str) -> Path:
    return folder.parent / f".{folder.name}.{what}"

"""Damage: stored bytes that are not what was written, said once for landing zone and lake.

What belongs here: the error, and whether local files are still those that a commit recorded. What does not: what is
stored where, and how it is mended (`landing`, `lake`, `repairing`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

GONE = "it is gone"
WORKERS = 4
"""Files hashed at once; hashing leaves Python to the others."""

_known: set[tuple[str, int, int, int]] = set()
"""Path, size, inode and time of change of files that were found whole by this process: each is hashed once."""


class DamagedError(Exception):
    """Stored bytes are not what was written; nothing is computed from them.

    Attributes:
        message: What is damaged.
        remedy: What the reader can do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}. {remedy}")
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class Recorded:
    """A local file as a commit recorded it.

    Attributes:
        path: Where it lies.
        size: In bytes.
        sha256: Of all its bytes; None in stores that were written before it was recorded.
    """

    path: str
    size: int
    sha256: str | None


def sha256_of(path: Path | str) -> str:
    """The sha256 of a file's bytes, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remember(file: Recorded) -> None:
    """Take a file that was just written and hashed for whole.

    Args:
        file: As it lies there now.
    """
    _known.add(_identity(file.path))


def faults(files: Iterable[Recorded]) -> dict[str, str]:
    """What is wrong with files that are not as they were recorded, by path; empty where all are.

    Args:
        files: Any number of them; those that this process has not hashed yet are read whole.
    """
    found: dict[str, str] = {}
    unread: list[Recorded] = []
    for file in files:
        said, known = _looked_at(file)
        if said:
            found[file.path] = said
        elif not known:
            unread.append(file)
    with ThreadPoolExecutor(WORKERS) if len(unread) > 1 else nullcontext() as pool:
        read = pool.map(_read, unread) if pool else map(_read, unread)
        found.update({file.path: said for file, said in zip(unread, read, strict=True) if said})
    return found


def _looked_at(file: Recorded) -> tuple[str, bool]:
    """What is wrong with a file without reading it, and whether it need not be read."""
    try:
        identity = _identity(file.path)
    except OSError as error:
        return _unreadable(error), True
    if identity[1] != file.size:
        return f"it has {identity[1]:,} bytes instead of {file.size:,}", True
    return "", file.sha256 is None or identity in _known


def _read(file: Recorded) -> str:
    """What is wrong with the bytes of a file."""
    try:
        identity = _identity(file.path)
        if sha256_of(file.path) != file.sha256:
            return "its bytes are not those that were written"
    except OSError as error:
        return _unreadable(error)
    _known.add(identity)
    return ""


def _unreadable(error: OSError) -> str:
    return GONE if isinstance(error, FileNotFoundError) else f"it cannot be read: {error.strerror}"


def _identity(path: str) -> tuple[str, int, int, int]:
    stat = os.stat(path)
    return path, stat.st_size, stat.st_ino, stat.st_mtime_ns

"""Which files of readings a person means: one, several, a folder, or a pattern in quotes.

What belongs here: the pattern the site file gets, and whether files without a column of the machine are of several
machines. What does not: what is in a file (`own_machine`).
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from energy_assets.sources.opening import SUFFIXES
from energy_assets.sources.power_files.parse import seen_devices
from energy_assets.sources.power_files.readings import Readings

OF_FILE = "([^/]+?)(?:[.](?:csv|parquet|log|txt|gz))*$"
"""The name of a file without what says its format."""
OF_FOLDER = "([^/]+)/[^/]+$"
_UNIQUE = re.compile(r"GPU-|MIG-|[0-9a-f]{8}-[0-9a-f]{4}", re.IGNORECASE)
"""How names of boards begin that no two boards have."""


class NoFiles(Exception):
    """Nothing, or more than one pattern can say; the message says how to name files."""


@dataclass(frozen=True)
class Logs:
    """Files of readings.

    Attributes:
        pattern: What the site file reads: an absolute path, in which only meant wildcards are some.
        files: Those there are now, in order.
        said: How the person named them.
    """

    pattern: str
    files: tuple[Path, ...]
    said: str


def logs_of(named: Sequence[str]) -> Logs:
    """The files behind names.

    Args:
        named: Files, folders or patterns, as typed.

    Raises:
        NoFiles: a name matches nothing; or no pattern matches all of several names and nothing else.
    """
    said = ", ".join(named)
    if len(named) == 1:
        pattern = _pattern(named[0])
        found = _matched(pattern)
        if not found:
            raise NoFiles(f"{named[0]}: there is no such file")
        return Logs(pattern, found, said)
    found = tuple(sorted({file for name in named for file in logs_of([name]).files}))
    folder = Path(os.path.commonpath([file.parent for file in found]))
    below = [file.relative_to(folder).as_posix() for file in found]
    begin, end = _same_start(below), _same_start([name[::-1] for name in below])[::-1]
    root = glob.escape(folder.as_posix())
    within = "*" if all("/" not in name for name in below) else "**/*"
    tries = [f"*{suffix}" for suffix in SUFFIXES] + [f"{glob.escape(begin)}*{glob.escape(end)}"]
    for tried in tries:
        pattern = f"{root}/{tried}" if within == "*" else f"{root}/**/{tried.rpartition('/')[2]}"
        if _matched(pattern) == found:
            return Logs(pattern, found, said)
    raise NoFiles(
        f"no one pattern matches these {len(found)} files and no others.\nPut them into a folder of their own and name "
        "it, or name a pattern in quotes: --from-csv 'logs/*.csv'"
    )


def _pattern(name: str) -> str:
    """The pattern that a name stands for."""
    path = Path(name)
    whole = Path(os.path.abspath(name))
    if path.is_file():
        return glob.escape(whole.as_posix())
    if not path.is_dir():
        return whole.as_posix()
    files = [file for file in sorted(whole.rglob("*")) if file.is_file()]
    read = [file for file in files if file.name.lower().endswith(SUFFIXES)] or files
    within = "*" if all(file.parent == whole for file in read) else "**/*"
    ends = {next((end for end in SUFFIXES if file.name.endswith(end)), "") for file in read}
    return f"{glob.escape(whole.as_posix())}/{within}{ends.pop() if len(ends) == 1 else ''}"


def _matched(pattern: str) -> tuple[Path, ...]:
    return tuple(sorted(path for name in glob.glob(pattern, recursive=True) if (path := Path(name)).is_file()))


def node_of_files(con: Any, readings: Sequence[Readings]) -> str | None:
    """Where the names of machines come from, if several files without a column for it are of several machines.

    They are where a board of one name is read in two of them at the same time, unless the name is one that no two
    boards have. Logs that follow one another are of one machine.

    Args:
        con: An Ibis connection to DuckDB.
        readings: The files, all read with one name of the machine.

    Returns:
        A regular expression for `node: {from_path: …}`, or None.

    Raises:
        MalformedError: a time is missing or cannot be right.
        NoFiles: they are of several machines, and nothing in their paths tells these apart.
    """
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    for one in readings:
        for device, first, last in seen_devices(con, one):
            if not _UNIQUE.match(device.device_id):
                spans.setdefault(device.device_id, []).append((first, last))
    if not any(_overlap(sorted(own)) for own in spans.values()):
        return None
    names = [one.file.name for one in readings]
    for pattern in (OF_FILE, OF_FOLDER):
        told = [found[1] for name in names if (found := re.search(pattern, name))]
        if len(set(told)) == len(names):
            return pattern
    raise NoFiles(
        f"{names[0]} and {names[1]} have boards of the same names at the same time, so they are of several machines, "
        "and their names do not tell which.\nName each file after its machine: logs/box1.csv, logs/box2.csv"
    )


def _overlap(spans: Sequence[tuple[datetime, datetime]]) -> bool:
    return any(last > first for (_, last), (first, _) in pairwise(spans))


def _same_start(names: Sequence[str]) -> str:
    """The letters with which all names begin."""
    alike = zip(*names, strict=False)
    return "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, alike))

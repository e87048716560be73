"""The files of a report as they were written: recorded by the build, compared by whoever reads or repairs.

What belongs here: `build.json`, which says what may differ between two equal reports, and what every other file was.
What does not: where reports are kept (`shelf`), and what is in them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from energy_assets.disclosures.figures import canonical
from energy_assets.disclosures.shelf import BUILD, CHANGED
from energy_assets.integrity import GONE, sha256_of

FILES, SEAL = "files", "sha256"
"""Keys of `build.json`: the sha256 of every other file by name, and that of all other keys."""


class BuildError(ValueError):
    """`build.json` is not what was written; the message says how."""


def write_build(folder: Path, build: Mapping[str, Any]) -> None:
    """Write `build.json` beside a finished report.

    Args:
        folder: Of the report; every file it will have is there.
        build: The run, the versions of the tables it read, its site file.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    content = {**build, FILES: {name: sha256_of(folder / name) for name in names if name != BUILD}}
    text = json.dumps({**content, SEAL: _seal(content)}, indent=1, sort_keys=True)
    (folder / BUILD).write_text(text + "\n", encoding="utf-8")


def read_build(folder: Path) -> dict[str, Any]:
    """What `write_build` wrote; of older versions, which recorded no files, what there is.

    Args:
        folder: Of the report.

    Raises:
        FileNotFoundError: there is none.
        BuildError: it is not what was written.
    """
    try:
        build = json.loads((folder / BUILD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise BuildError(CHANGED) from error
    if not isinstance(build, dict):
        raise BuildError(CHANGED)
    seal = build.pop(SEAL, None)
    if seal != _seal(build) if FILES in build else seal is not None:
        raise BuildError(CHANGED)
    return build


def changed(folder: Path, build: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the files of a report, by name; empty where all are what was written.

    Args:
        folder: Of the report.
        build: What `read_build` gave.
    """
    found = {}
    for name, sha256 in sorted(build.get(FILES, {}).items()):
        try:
            if sha256_of(folder / name) != sha256:
                found[name] = CHANGED
        except FileNotFoundError:
            found[name] = GONE
        except OSError as error:
            found[name] = f"it cannot be read: {error.strerror}"
    return found


def _seal(build: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(build).encode()).hexdigest()

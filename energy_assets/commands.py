"""Commands that a person is told to run: whole, quoted for a shell, and with the program that works in this folder.

What belongs here: how a command is written, wherever it is printed: next steps, remedies, reports. What does not:
which command helps, and the command line itself (`cli.py`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from datetime import date
from pathlib import Path

PROGRAM = "energy-assets"
SITE_VARIABLE = "ENERGY_ASSETS_SITE"
"""Names the site file where no `--site` does."""
Argument = str | Path | date | int
"""`True` for an option is the option alone."""


def command(*arguments: Argument, site: Path | None = None, options: dict[str, Argument] | None = None) -> str:
    """A command of this program as a person can paste it into the shell of this folder.

    Args:
        arguments: The name of the command and what stands at its end, in this order.
        site: The site file; the command gets `--site` right after its name.
        options: By name without dashes, in order: `{"from": day}` is `--from 2024-05-09`.
    """
    return f"{program()} {written(*arguments, site=short(site) if site else None, options=options)}"


def portable(
    *arguments: Argument,
    site: Path | None = None,
    folder: Path | None = None,
    options: dict[str, Argument] | None = None,
) -> str:
    """A command as a document says it, which is read elsewhere and has the same bytes wherever it is made.

    Args:
        arguments: As of `command`.
        site: The site file.
        folder: Where the reader stands, for example the report's folder: paths start there. None: as they are.
        options: As of `command`.
    """
    return f"{PROGRAM} {written(*arguments, site=_from(folder, site) if site and folder else site, options=options)}"


def written(*arguments: Argument, site: Path | str | None = None, options: dict[str, Argument] | None = None) -> str:
    """The part of a command behind the program's name, each part quoted where a shell needs it.

    Args:
        arguments: As of `command`.
        site: As it is to be written.
        options: As of `command`.
    """
    name, *rest = map(str, arguments)
    parts = [name, *(["--site", str(site)] if site else [])]
    for option, value in (options or {}).items():
        parts += [f"--{option}", *([] if value is True else [str(value)])]
    # What begins with a dash would be taken for an option.
    return shlex.join([*parts, *(["--"] if any(one.startswith("-") for one in rest) else []), *rest])


def program() -> str:
    """The program as it can be called from the current folder, quoted.

    The bare name where the shell finds this very program by it; else its path, relative below the current folder.
    """
    beside = Path(sys.executable).with_name(PROGRAM)
    called = Path(sys.argv[0]) if sys.argv else Path()
    path = called if called.name == PROGRAM and called.exists() else beside
    if not path.exists():
        return shlex.join([str(short(Path(sys.executable))), "-m", "energy_assets"])
    found = shutil.which(PROGRAM)
    if found and _same(Path(found), path):
        return PROGRAM
    text = str(short(path))
    return shlex.quote(text if os.sep in text else os.path.join(os.curdir, text))


def short(path: Path) -> Path:
    """The path from the current folder when it lies below, else the whole path.

    Args:
        path: Absolute or relative to the current folder.
    """
    # No link is followed: `.venv/bin/energy-assets` stays what a person typed.
    whole, here = Path(os.path.abspath(path)), Path.cwd()
    return whole.relative_to(here) if whole.is_relative_to(here) else whole


def _from(folder: Path, path: Path) -> Path:
    return Path(os.path.relpath(path.resolve(), folder.resolve()))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False

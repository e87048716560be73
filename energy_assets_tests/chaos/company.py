"""The site of the campaign: the small company, with its grid behind a wire; and what a store of it holds.

What belongs here: making the site, running it in a process of its own, and reading what came out. What does not:
faults.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import re
import resource
import sys
from collections.abc import Sequence
from datetime import date
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from energy_assets.integrity import DamagedError
from energy_assets.lake import Lake
from energy_assets.partitions import tables_of
from energy_assets.periods import DayRange
from energy_assets.site import Site, load_site
from energy_assets_tests.small_site import SITE, write_site

DAYS = DayRange(date(2024, 5, 30), date(2024, 6, 1))
PERIOD = "2024-05"
TOKEN = "EA_CHAOS_TOKEN"
MOMENTS = re.compile(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
"""When something was fetched: the page of traces shows receipts."""
GRID = '- {{name: grid, kind: electricity_maps, token: "env:{token}", url: "{url}"}}'


def make(folder: Path, url: str) -> Path:
    """Write the site below a folder; its grid is asked for at `url`."""
    text = SITE.replace("start: 2024-05-30", f"start: {DAYS.first}")
    grid = next(line for line in text.splitlines() if "name: grid" in line)
    path = write_site(folder, DAYS, text.replace(grid.strip(), GRID.format(token=TOKEN, url=url)))
    for file in (folder / "grid").glob("*"):
        file.unlink()
    return path


def context() -> ForkServerContext:
    """Processes that begin at once: a server has imported everything and used nothing."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(
        ["energy_assets_tests.chaos.company", "energy_assets.running", "energy_assets.repairing", "energy_assets.cli"]
    )
    return made


def start(made: ForkServerContext, words: Sequence[str], log: Path, file_bytes: int = 0) -> ForkServerProcess:
    """Start a command of `energy-assets`.

    Args:
        made: See `context`.
        words: Of the command line.
        log: Gets all that it prints.
        file_bytes: No file may grow beyond this, as on a full disk; 0 for no limit.
    """
    process = made.Process(target=_command, args=(list(words), str(log), file_bytes))
    process.start()
    return process


def _command(words: list[str], log: str, file_bytes: int) -> None:
    with Path(log).open("a", encoding="utf-8") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.environ[TOKEN] = "sandbox"
    os.environ["COLUMNS"] = "200"
    from energy_assets.cli import main
    from energy_assets.raw import assets

    assets.RETRY_WAIT_S = 0
    if file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))
    sys.argv = ["energy-assets", *words]
    main()


def visible(site: Site) -> dict[str, dict[date, str]]:
    """What a reader of the daily tables sees: the fingerprint of every partition whose bytes are whole."""
    lake, found = Lake(site.disk()), dict[str, dict[date, str]]()
    for table in tables_of(site, "day"):
        with contextlib.suppress(DamagedError):
            files = lake.files(table.name)
            broken = lake.damage(table.name, files)
            found[table.name] = {file.partition: file.fingerprint for file in files if file.name not in broken}
    return found


def everything(path: Path) -> dict[str, object]:
    """All tables by their fingerprints, and the bytes of all reports but what tells when they were made."""
    site = load_site(path)
    lake = Lake(site.disk())
    tables: dict[str, object] = {name: lake.fingerprints(name) for name in lake.tables()}
    for name in lake.tables():
        if broken := lake.damage(name, lake.files(name), whole=True):
            tables[f"damaged in {name}"] = broken
    reports = Path(site.disk().root) / "reports"
    for file in sorted(reports.rglob("*")):
        below = file.relative_to(reports)
        if file.is_file() and file.name != "build.json" and not any(part.startswith(".") for part in below.parts):
            tables[f"report {below}"] = hashlib.sha256(MOMENTS.sub(b"", file.read_bytes())).hexdigest()
    return tables

"""The campaign: seeded faults in rounds, what a reader sees after each, and the end compared with a quiet store.

What belongs here: which fault strikes when, and what must hold. What does not: the line (`wire`), the site (`company`).

A round strikes some stored bytes, plans failures of the line, and starts one or two runs, of which some have no room
on the disk and some are killed. After each round, every daily partition that can be read must be the one a quiet store
has. Dagster's history is struck as well, and moved away where it is damaged. At the end `repair --set-aside` and one
run must bring back every table and every byte of the report.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from energy_assets.sandbox.electricity_maps import ElectricityMapsServer
from energy_assets.site import load_site
from energy_assets_tests.chaos.company import DAYS, PERIOD, TOKEN, context, everything, make, start, visible
from energy_assets_tests.chaos.wire import FAULTS, FaultyLine

ENDED_BY_ITSELF = (0, 1, 2, 3, 130)
"""Exit codes of a command that knew what happened."""
PATIENCE_S = 180
HISTORY = "dagster"
DAMAGED_PLACES = ("landing/objects", "landing/receipts", "landing/editions", "landing/seen", "lake", HISTORY)
DAMAGED_KINDS = (".zst", ".json", ".parquet")
DATABASES = re.compile(r"(runs|index|schedules)\.db(-wal|-shm)?")
"""Of Dagster; each run has one more, which nobody but a person reads."""


@dataclass
class Result:
    """What a campaign found.

    Attributes:
        faults: How many of each kind struck.
        wrong: What should not have happened; empty where all is well.
        seconds: How long it took.
    """

    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0


class Campaign:
    """One campaign below a folder.

    Args:
        folder: Empty.
        seed: Of every decision; runs themselves are not repeatable to the microsecond, what strikes is.
        say: Told of each round.
    """

    def __init__(self, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self._folder, self._say, self._processes = folder, say, context()
        self._chance, self._result, self._clean = random.Random(seed), Result(), dict[str, dict[date, str]]()  # noqa: S311
        self._took, self._heard = 5.0, False

    def run(self, faults: int, report: bool = True) -> Result:
        """Strike until there were `faults`, then compare with a quiet store.

        Args:
            faults: How many.
            report: Make and compare the report as well.
        """
        began = time.monotonic()
        os.environ[TOKEN] = "sandbox"
        with ElectricityMapsServer() as grid, FaultyLine(grid.url) as line:
            quiet = make(self._folder / "quiet", line.url)
            took = time.monotonic()
            self._whole(quiet, report)
            self._took = (time.monotonic() - took) / 2
            self._clean = visible(load_site(quiet))
            struck = make(self._folder / "struck", line.url)
            while self._result.faults.total() < faults:
                self._round(struck, line)
            line.planned.clear()
            self._finish(struck, report)
            expected, found = everything(quiet), everything(struck)
            for name in sorted(expected.keys() | found.keys()):
                if expected.get(name) != found.get(name):
                    self._result.wrong.append(f"at the end, {name} is not what a quiet store has")
        self._result.seconds = time.monotonic() - began
        return self._result

    def _round(self, path: Path, line: FaultyLine) -> None:
        struck = [*self._damage(path), *self._plan(line)]
        log = self._folder / f"round-{self._result.faults.total():04d}.log"
        runs = [self._start(path, log, struck) for _ in range(self._chance.choice((1, 1, 2)))]
        if len(runs) > 1:
            struck.append("concurrent")
        if self._chance.random() < 0.4:
            time.sleep(self._chance.uniform(0, self._took))
            if runs[0].is_alive() and runs[0].pid:
                os.kill(runs[0].pid, signal.SIGKILL)
                struck.append("killed")
        for process in runs:
            process.join(PATIENCE_S)
            if process.exitcode is None:
                self._result.wrong.append(f"{log.name}: a run did not end within {PATIENCE_S} s")
                process.kill()
            elif process.exitcode not in (*ENDED_BY_ITSELF, -signal.SIGKILL):
                self._result.wrong.append(f"{log.name}: a run ended with {process.exitcode}")
        said = log.read_text(encoding="utf-8", errors="replace")
        if "Traceback (most recent call last)" in said:
            self._result.wrong.append(f"{log.name}: a traceback where a sentence belongs")
        if self._heard:
            self._repair(path)
            self._heard = False
        self._result.faults.update(re.sub(r":.*", "", one) for one in struck)
        self._look(path, log.name)
        self._say(f"{self._result.faults.total():5d}  {', '.join(struck) or 'quiet'}")

    def _start(self, path: Path, log: Path, struck: list[str]) -> object:
        first, last = (
            sorted(self._chance.sample(list(DAYS), 2)) if self._chance.random() < 0.6 else (DAYS.first, DAYS.last)
        )
        room = 0
        if self._chance.random() < 0.25:
            room = int(2 ** self._chance.uniform(10, 19))
            struck.append("disk full")
        words = ["run", "--site", str(path), "--from", str(first), "--to", str(last)]
        return start(self._processes, words, log, room)

    def _damage(self, path: Path) -> Iterator[str]:
        for _ in range(self._chance.choice((0, 1, 1, 2))):
            place = self._chance.choice(DAMAGED_PLACES)
            root = path.parent / "var"
            files = sorted(f for f in (root / place).rglob("*") if _is_struck(f))
            if not files:
                continue
            file = self._chance.choice(files)
            stored = file.read_bytes()
            way = self._chance.choice(("flipped", "cut", "deleted"))
            if way == "flipped" and stored:
                at = self._chance.randrange(len(stored))
                file.write_bytes(stored[:at] + bytes([stored[at] ^ 1 << self._chance.randrange(8)]) + stored[at + 1 :])
            elif way == "cut":
                file.write_bytes(stored[: self._chance.randrange(len(stored) + 1)])
            elif "_delta_log" in file.parts or "editions" in file.parts or "receipts" in file.parts:
                continue  # what says that there is something else was there is gone with it
            else:
                file.unlink()
            yield f"{way}: {file.relative_to(root)}"
            # No run goes on with a damaged history: half of the time one is to say so, and then `repair` is heard.
            if "_delta_log" in file.parts or (place == HISTORY and self._chance.random() < 0.5):
                self._repair(path)
            self._heard = place == HISTORY or self._heard

    def _plan(self, line: FaultyLine) -> Iterator[str]:
        line.planned[:] = self._chance.choices(FAULTS, k=self._chance.choice((0, 1, 2, 4)))
        yield from (f"line {fault}" for fault in line.planned)

    def _look(self, path: Path, when: str) -> None:
        for table, parts in visible(load_site(path)).items():
            for part, fingerprint in parts.items():
                if self._clean.get(table, {}).get(part) != fingerprint:
                    self._result.wrong.append(f"{when}: {part} of {table} can be read and is wrong")

    def _repair(self, path: Path) -> None:
        self._command(path, "repair", "--set-aside", codes=(0, 1))

    def _finish(self, path: Path, report: bool) -> None:
        self._repair(path)
        self._whole(path, report)
        self._command(path, "repair", codes=(0,))

    def _whole(self, path: Path, report: bool) -> None:
        self._command(path, "run", "--from", str(DAYS.first), "--to", str(DAYS.last), codes=(0, 3))
        if report:
            self._command(path, "report", "--period", PERIOD, codes=(0, 3))

    def _command(self, path: Path, name: str, *words: str, codes: tuple[int, ...]) -> None:
        log = self._folder / f"{path.parent.name}-{name}-{self._result.faults.total():04d}.log"
        process = start(self._processes, [name, "--site", str(path), *words], log)
        process.join(PATIENCE_S)
        if process.exitcode not in codes:
            self._result.wrong.append(f"{log.name}: {name} ended with {process.exitcode}")
            process.kill()


def _is_struck(file: Path) -> bool:
    kind = file.suffix in DAMAGED_KINDS or bool(DATABASES.fullmatch(file.name))
    return kind and file.is_file() and "damaged" not in file.parts

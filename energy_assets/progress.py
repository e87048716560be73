"""Progress of a run: a bar on a terminal, a line every few seconds in a log file or a pipe.

What belongs here: showing steps as they come. What does not: the run, and what is said at its end (`telling.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from energy_assets.running import Listener, Step
from energy_assets.screen import out

LINE_EVERY_S = 5
"""Without a terminal: the least time between two lines."""
SILENT_S = 30
"""After this long without news the last line is said again, with the time."""
TEXT = 60


@contextmanager
def progress(steps: int) -> Iterator[Listener]:
    """Show a run; yields what is to be told of each step.

    Args:
        steps: How many assets there are.
    """
    with _bar(steps) if out.is_terminal else _lines(steps) as listen:
        yield listen


@contextmanager
def _bar(steps: int) -> Iterator[Listener]:
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out,
    )
    task, finished = bar.add_task("starting", total=steps), set[str]()

    def listen(step: Step) -> None:
        if step.kind == "start":
            bar.update(task, description=step.asset)
        elif step.kind == "note":
            bar.update(task, description=f"{step.asset} [dim]{escape(_short(step))}[/]")
        elif step.kind == "done":
            finished.add(step.asset)  # some run once more, for days that came out of another asset
            bar.update(task, completed=len(finished))

    with bar:
        yield listen


class Lines:
    """What a log file is told: asset, what it is at, how many assets are done, and the time since the start.

    Args:
        steps: How many assets there are.
    """

    def __init__(self, steps: int) -> None:
        self._steps, self._finished = steps, set[str]()
        self._began = self._said = time.monotonic()
        self._last = "starting"
        self._lock = threading.Lock()

    def listen(self, step: Step) -> None:
        """Take in a step, and say it if the last line is some seconds old."""
        with self._lock:
            if step.kind == "done":
                self._finished.add(step.asset)
            if step.kind in ("start", "note"):
                self._last = f"{step.asset} {_short(step)}".rstrip()
            if step.kind != "done" and time.monotonic() - self._said >= LINE_EVERY_S:
                self._say()

    def remind(self) -> None:
        """Say where the run is if nothing was said for long."""
        with self._lock:
            if time.monotonic() - self._said >= SILENT_S:
                self._say()

    def end(self) -> None:
        """The last line: how much was done, and how long it took."""
        out.print(f"  {len(self._finished)} of {self._steps} assets, {self._time()}", soft_wrap=True)

    def _say(self) -> None:
        self._said = time.monotonic()
        done = f"{len(self._finished)} of {self._steps} assets done"
        out.print(f"  {escape(self._last)} · {done} · {self._time()}", soft_wrap=True)
        out.file.flush()

    def _time(self) -> str:
        minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


@contextmanager
def _lines(steps: int) -> Iterator[Listener]:
    lines, over = Lines(steps), threading.Event()

    def remind() -> None:
        while not over.wait(1):
            lines.remind()

    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    try:
        yield lines.listen
    finally:
        over.set()
        reminder.join()
    lines.end()


def _short(step: Step) -> str:
    """What a step is at, without the name of its source, which the asset has already."""
    text = step.text.removeprefix(f"{step.asset.rsplit('/', 1)[-1]}: ")
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"

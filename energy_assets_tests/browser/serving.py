"""The Dagster UI as a process: started as a user starts it, asked over its GraphQL, ended as Ctrl-C ends it.

What belongs here: the process and its answers. What does not: pages and expectations of their content.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from energy_assets_tests.prometheus_server import free_port

T = TypeVar("T")
START_S, STOP_S, RUN_S = 150, 60, 150
"""How long each may take on a busy machine."""


@dataclass
class Serving:
    """A running UI.

    Attributes:
        process: `python -m energy_assets.ui`.
        url: Where it listens.
        site: The site file.
        output: File with what it printed.
    """

    process: subprocess.Popen[bytes]
    url: str
    site: Path
    output: Path

    def wait_until_ready(self) -> None:
        """Wait until it says so."""
        until(lambda: "Ctrl-C ends it" in self.printed() or self.process.poll() is not None, START_S, self.printed)
        assert self.process.poll() is None, self.printed()

    def printed(self) -> str:
        """What a user has read so far."""
        return self.output.read_text()

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_S)

    def ask(self, query: str, **variables: Any) -> Mapping[str, Any]:
        """The answer of the UI's GraphQL."""
        answer = httpx.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
        assert "errors" not in answer, answer["errors"]
        found: Mapping[str, Any] = answer["data"]
        return found

    def leftovers(self) -> list[str]:
        """Command lines of all processes that work on this site, the UI's own included."""
        return [command for _, command in _processes(self.site)]


@contextmanager
def serving(site: Path) -> Iterator[Serving]:
    """Start the UI of a site; stop it, and fail if anything of it is left."""
    port, output = free_port(), site.parent / "ui.out"
    command = [sys.executable, "-m", "energy_assets.ui", "--site", str(site), "--port", str(port)]
    with output.open("wb") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=printed, start_new_session=True)
    running = Serving(process, f"http://127.0.0.1:{port}", site, output)
    try:
        yield running
        code = running.stop() if process.poll() is None else process.returncode
        left = running.leftovers()
        assert not left, f"processes are left after Ctrl-C: {left}"
        assert code == 0, running.printed()
        assert "nothing is left running" in running.printed()
    finally:
        _end(running)


def _end(running: Serving) -> None:
    """Whatever happened in a test, no process stays behind."""
    if running.process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            running.stop()
    for pid, _ in _processes(running.site):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if running.process.poll() is None:
        running.process.kill()
    running.process.wait()


def until(done: Callable[[], T], seconds: float, why: Callable[[], object] = lambda: "") -> T:
    """Wait for something that is true; returns it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := done():
            return found
        time.sleep(0.2)
    raise AssertionError(f"did not come true within {seconds} s. {why()}")


def _processes(site: Path) -> list[tuple[int, str]]:
    """Other processes whose environment or command line names the site file."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                mine = str(site).encode()
                if mine in command or mine in (folder / "environ").read_bytes():
                    found.append((int(folder.name), command.replace(b"\0", b" ").decode(errors="replace").strip()))
    return [(pid, command) for pid, command in found if command]

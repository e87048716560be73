"""Measuring one piece of work in a process of its own: seconds, CPU seconds and peak memory.

What belongs here: starting the process and reading its clocks. What does not: the work.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any


@dataclass
class Work:
    """What a piece of work tells of itself.

    Attributes:
        rows: Rows it made.
        parts: Seconds and CPU seconds of the parts it timed.
        facts: Sums that two ways of doing the same must agree on.
    """

    rows: int = 0
    parts: dict[str, tuple[float, float]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Any:
        """Add the time of a block to a part."""
        began, cpu = time.perf_counter(), time.process_time()
        yield
        seconds, cpu_s = self.parts.get(name, (0.0, 0.0))
        self.parts[name] = seconds + time.perf_counter() - began, cpu_s + time.process_time() - cpu


@dataclass(frozen=True)
class Measured:
    """A piece of work and what it took; imports are not counted, peak memory is the whole process's."""

    rows: int
    seconds: float
    cpu_s: float
    peak_mb: int
    parts: Mapping[str, tuple[float, float]]
    facts: Mapping[str, str]


def measure(step: str, **arguments: Any) -> Measured:
    """Do the work `module:function` of this package in a fresh process.

    Raises:
        RuntimeError: the process failed; with what it wrote.
    """
    command = [sys.executable, "-m", __name__, step, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{step} ended with {done.returncode}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def best(runs: list[Measured]) -> Measured:
    """The run disturbed least: the shortest."""
    return min(runs, key=lambda run: run.seconds)


def _work(step: str, arguments: Mapping[str, Any]) -> Measured:
    module, _, name = step.partition(":")
    function = getattr(import_module(f"energy_assets_tests.bench.{module}"), name)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    work: Work = function(**arguments)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(work.rows, seconds, cpu_s, after.ru_maxrss // 1024, work.parts, work.facts)


if __name__ == "__main__":
    print(json.dumps(asdict(_work(sys.argv[1], json.loads(sys.argv[2])))))

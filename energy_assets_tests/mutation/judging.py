"""Judging mutants: a copy of the checkout in which one module is changed at a time, and its tests are run.

What belongs here: one worker's folder and one mutant's fate. What does not: which mutants there are.

Each mutant is judged in a forked process that has the large libraries imported already and nothing of ours, so that a
mutant costs its tests and not the start of Python.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COPIED = ("energy_assets", "energy_assets_tests", "reports", "setup.cfg", "pyproject.toml")
WARM = ("ibis", "duckdb", "pandera.ibis", "pyarrow.compute", "dagster", "pydantic", "pytest", "deltalake", "httpx")


@dataclass(frozen=True)
class Mutant:
    """One change of one module.

    Attributes:
        module: Below `energy_assets`.
        operator: Name of the operator.
        occurrence: Which of the places it can change.
        line: Number of the line.
        before: The line as it is.
        after: The line changed.
        code: The whole module, changed.
    """

    module: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str
    code: str


class Bench:
    """A copy of the checkout to change modules in."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        for name in COPIED:
            whole = checkout / name
            copy = shutil.copytree if whole.is_dir() else shutil.copy2
            copy(whole, folder / name)
        self.folder = folder
        compileall.compile_dir(folder, quiet=2)  # its own pyc files carry the times of the copied files
        for name in WARM:
            importlib.import_module(name)

    def survives(self, module: str, code: str, tests: Sequence[str], limit_s: float) -> bool:
        """Whether every test passes with a module's text replaced; a run that does not end counts as a failure.

        Args:
            module: Below `energy_assets`.
            code: Its new text.
            tests: Files or folders below `energy_assets_tests`.
            limit_s: How long the tests may take.
        """
        path = self.folder / "energy_assets" / module
        original = path.read_text(encoding="utf-8")
        path.write_text(code, encoding="utf-8")
        try:
            return self._passes(tests, limit_s)
        finally:
            path.write_text(original, encoding="utf-8")

    def _passes(self, tests: Sequence[str], limit_s: float) -> bool:
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            os._exit(_run(self.folder, [f"energy_assets_tests/{test}" for test in tests]))
        ends = time.monotonic() + limit_s
        while time.monotonic() < ends:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(0.02)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return False


def _run(folder: Path, tests: Sequence[str]) -> int:
    """In the forked process: forget what was imported of ours, and run the tests of the copy."""
    try:
        os.chdir(folder)
        sys.dont_write_bytecode = True
        for name in [name for name in sys.modules if name.split(".")[0].startswith("energy_assets")]:
            del sys.modules[name]
        sys.path.insert(0, str(folder))
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        import pytest

        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))
    except BaseException:
        return 99

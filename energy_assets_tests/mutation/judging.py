"""Judging mutants: a copy of the checkout in which one module is changed at a time, and its tests are run.

What belongs here: one worker's folder and one mutant's fate. What does not: which mutants there are.

Each mutant is judged in a forked process that has the large libraries imported already and nothing of ours, so that a
mutant costs its tests and not the start of Python. Tests that noticed other mutants of the module go first, for the
first failure ends the judging; and Hypothesis looks for no smaller example of it.
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
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COPIED = ("energy_assets", "energy_assets_tests", "docs", "reports", "setup.cfg", "pyproject.toml")
WARM = (
    "ibis",
    "duckdb",
    "pandera.ibis",
    "pyarrow.compute",
    "dagster",
    "pydantic",
    "pytest",
    "deltalake",
    "httpx",
    "hypothesis",
)


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
        self._noticed: dict[str, Counter[str]] = defaultdict(Counter)
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
            return self._passes(tests, limit_s, self._noticed[module])
        finally:
            path.write_text(original, encoding="utf-8")

    def _passes(self, tests: Sequence[str], limit_s: float, noticed: Counter[str]) -> bool:
        failed = self.folder / "failed"
        failed.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            given = [f"energy_assets_tests/{test}" for test in tests]
            os._exit(_run(self.folder, given, _Order(noticed, failed)))
        ends = time.monotonic() + limit_s
        while time.monotonic() < ends:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
                if failed.exists():
                    noticed[failed.read_text(encoding="utf-8")] += 1
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(0.02)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return False


class _Order:
    """A plugin of pytest: tests that noticed most go first, and the one that fails is written down."""

    def __init__(self, noticed: Counter[str], failed: Path) -> None:
        self._noticed, self._failed = noticed, failed

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items.sort(key=lambda item: -self._noticed[item.nodeid])

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self._failed.write_text(report.nodeid, encoding="utf-8")


def _run(folder: Path, tests: Sequence[str], order: _Order) -> int:
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
        from hypothesis import Phase, settings

        settings.register_profile("judging", phases=[Phase.explicit, Phase.generate], database=None)
        settings.load_profile("judging")
        given = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
        return int(pytest.main(given, plugins=[order]))
    except BaseException:
        return 99

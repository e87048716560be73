"""What `make audit` says: known advisories, none, or that nothing could be asked."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "audit.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", TOOL)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {
    "name": "b",
    "version": "2",
    "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}, {"id": "CVE-2", "fix_versions": []}],
}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (3)"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([GOOD], 0, ["1 of 1 locked packages audited, 0 advisories."]),
        ([GOOD, UNKNOWN], 0, ["1 of 2 locked packages audited, 0 advisories.", "NOT AUDITED: c"]),
        (
            [GOOD, BAD],
            1,
            ["b 2: CVE-1, mended in 3", "b 2: CVE-2, mended in none", "2 of 2 locked packages audited, 2 advisories."],
        ),
        ([UNKNOWN], 0, ["NOT AUDITED: the advisory data could not be had here (Dependency not found on PyPI and could "
                        "not be audited)."]),
    ],
)  # fmt: skip
def test_an_answer_is_told_from_none(tool: ModuleType, packages: list[Any], code: int, said: list[str]) -> None:
    assert tool.verdict(json.dumps({"dependencies": packages}), "") == (code, said)


@pytest.mark.parametrize("answer", ["", "<html>", "[]", "{}"])
def test_no_answer_says_why(tool: ModuleType, answer: str) -> None:
    assert tool.verdict(answer, "a\nno network\n") == (
        0,
        ["NOT AUDITED: the advisory data could not be had here (no network)."],
    )

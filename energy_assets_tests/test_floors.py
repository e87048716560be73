"""The floors of docs/architecture.md: no module imports upwards, and no two modules import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import energy_assets

ROOT = Path(energy_assets.__file__).parent
FLOORS = (
    (
        "periods",
        "secrets",
        "integrity",
        "commands",
        "exit_codes",
        "disk",
        "yaml_limits",
        "counting",
        "clock",
        "grams",
        "dagster_internals",
        "__init__",
    ),
    ("landing",),
    ("storage",),
    ("contracts",),
    ("staging", "orphans", "commits"),
    ("lake",),
    ("sources",),
    ("tables",),
    ("own_units",),
    ("own_kpis",),
    ("site",),
    ("engine", "partitions"),
    ("materialize",),
    ("factors",),
    ("raw",),
    ("estimates",),
    ("unified",),
    ("emissions",),
    ("kpis",),
    ("opportunities",),
    ("disclosures",),
    ("operations",),
    ("resources",),
    ("definitions",),
    (
        "components",
        "running",
        "query",
        "opportunity_listing",
        "doctor",
        "factor_listing",
        "factor_changes",
        "reconciliation_listing",
        "host_names",
        "proposed_lines",
        "own_files",
        "own_machine",
        "grid_coverage",
        "repairing",
        "bill_holes",
        "holes",
        "footprint_holes",
        "market_changes",
        "report_holes",
        "report_telling",
        "restatement_table",
        "outdated_reports",
        "remarks",
        "screen",
        "progress",
        "telling",
        "trial",
    ),
    ("sandbox", "report_server"),
    ("arguments",),
    ("ui", "ui_guard", "cli"),
    ("__main__",),
)
"""From the ground up. A folder is one floor; modules of one floor may use each other, without a circle."""

FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def modules() -> dict[str, Path]:
    """Every module by its dotted name below the package."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The package's own modules that a file imports anywhere, inside functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        for name in names:
            below = name.removeprefix("energy_assets.")
            if name.startswith("energy_assets.") and below in known:
                yield below


def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: set(imported(path, known)) - {name} for name, path in known.items()}


def floor(module: str) -> int:
    return FLOOR[module.split(".")[0]]


def test_every_module_stands_on_a_floor() -> None:
    assert {name.split(".")[0] for name in modules()} <= set(FLOOR)


def test_no_import_runs_upwards() -> None:
    upwards = [
        f"{name} -> {other}" for name, others in graph().items() for other in others if floor(other) > floor(name)
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    edges, done, path = graph(), set[str](), list[str]()

    def visit(name: str) -> None:
        if name in path:
            pytest.fail(f"a circle: {' -> '.join([*path[path.index(name) :], name])}")
        if name in done:
            return
        path.append(name)
        for other in sorted(edges[name]):
            # A package's own __init__ imports nothing of it, so parts may name the package.
            if not name.startswith(f"{other}."):
                visit(other)
        path.pop()
        done.add(name)

    for name in sorted(edges):
        visit(name)


def test_only_one_file_uses_what_dagster_keeps_private() -> None:
    private = [
        name
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster._")
    ]
    assert set(private) <= {"dagster_internals"}


def test_the_sandbox_serves_only_those_who_show_it() -> None:
    users = {name for name, others in graph().items() if any(o.split(".")[0] == "sandbox" for o in others)}
    assert {name for name in users if not name.startswith("sandbox")} <= {"cli", "ui"}

"""Docstrings: a public function of two or more parameters says what each of them is.

A method that overrides one of this package which is documented needs no second description; click shows a
command's docstring to users, who know its parameters as options.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import energy_assets

ROOT = Path(energy_assets.__file__).parent
Function = ast.FunctionDef | ast.AsyncFunctionDef


def parameters(function: Function, *, method: bool) -> list[str]:
    """Names of parameters without `self` and `cls`."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    names = [one.arg for one in named]
    return names[1:] if method and names[:1] in (["self"], ["cls"]) else names


def undescribed(function: Function, *, method: bool = False) -> list[str]:
    """Parameters that the docstring's Args do not name."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", ast.get_docstring(function) or "", re.DOTALL | re.MULTILINE)
    described = re.findall(r"^ {4}\**(\w+):", section[1], re.MULTILINE) if section else []
    names = parameters(function, method=method)
    return [name for name in names if name not in described] if len(names) > 1 else []


def trees(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(folder).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def methods(owner: ast.ClassDef) -> list[Function]:
    return [one for one in owner.body if isinstance(one, Function)]


def is_command(function: Function) -> bool:
    return any(
        isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr in ("command", "group")
        for one in function.decorator_list
    )


def inherits_description(owner: ast.ClassDef, name: str, classes: dict[str, ast.ClassDef]) -> bool:
    """Whether a class above has the method and describes its parameters."""
    above = [classes[base.id] for base in owner.bases if isinstance(base, ast.Name) and base.id in classes]
    own = [one for base in above for one in methods(base) if one.name == name]
    return any(not undescribed(one, method=True) for one in own) or any(
        inherits_description(base, name, classes) for base in above
    )


def missing(modules: list[tuple[str, ast.Module]]) -> list[str]:
    """Every public function that does not describe its parameters, with their names."""
    classes = {node.name: node for _, tree in modules for node in tree.body if isinstance(node, ast.ClassDef)}
    found = []
    for module, tree in modules:
        functions = [(one, None) for one in tree.body if isinstance(one, Function) and not is_command(one)]
        owned = [(one, node) for node in tree.body if isinstance(node, ast.ClassDef) for one in methods(node)]
        for function, owner in [*functions, *owned]:
            names = undescribed(function, method=owner is not None)
            hidden = function.name.startswith("_") or (owner is not None and owner.name.startswith("_"))
            if names and not hidden and not (owner and inherits_description(owner, function.name, classes)):
                place = f"{module}:{function.lineno} {owner.name + '.' if owner else ''}{function.name}"
                found.append(f"{place}: {', '.join(names)}")
    return found


def test_public_functions_describe_their_parameters() -> None:
    found = missing(list(trees(ROOT)))
    assert not found, "describe under Args, with shapes and units:\n" + "\n".join(found)


def test_a_parameter_without_description_is_found_and_an_inherited_one_is_not_asked_for() -> None:
    source = '''
class Base:
    def plan(self, days, step):
        """Plan.

        Args:
            days: Days.
            step: Step.
        """
    def parse(self, days, step):
        """Parse.

        Args:
            days: Days.
        """
class Source(Base):
    def plan(self, days, step):
        """Plan otherwise."""
def one(a):
    """One parameter speaks for itself."""
def two(a, *, b):
    """No Args."""
@main.command()
def run(a, b):
    """Help."""
'''
    assert missing([("m.py", ast.parse(source))]) == ["m.py:21 two: a, b", "m.py:10 Base.parse: step"]

"""`python -m energy_assets_tests.mutation`: change the arithmetic one place at a time and count what tests notice.

Without arguments a sample of every module in `modules.py`, drawn by a seed, so that the same mutants are judged until
a module changes; `--all` judges every mutant. Exits 1 where fewer than `LIMIT` of them were noticed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
from collections.abc import Iterator, Sequence

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from rich.table import Table

from energy_assets_tests.mutation.equivalent import EQUIVALENT
from energy_assets_tests.mutation.judging import Mutant
from energy_assets_tests.mutation.modules import MODULES
from energy_assets_tests.mutation.operators import operators
from energy_assets_tests.mutation.pool import CHECKOUT, judge, out

LIMIT = 0.9
SAMPLE = 25
_OPTIONAL = re.compile(r"[-+*/%&^@<>|]+ None\b")
"""Of a type, or of the same type changed."""


def main() -> None:
    """Parse the command line, judge mutants, print the score and the survivors."""
    parser = argparse.ArgumentParser(prog="python -m energy_assets_tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="modules below energy_assets; default: all of them")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="how many mutants of each module")
    parser.add_argument("--all", action="store_true", help="every mutant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    names = given.modules or list(MODULES)
    if unknown := [name for name in names if name not in MODULES]:
        sys.exit(f"{', '.join(unknown)}: not in energy_assets_tests/mutation/modules.py")
    work = {name: mutants(name) for name in names}
    drawn = [
        mutant
        for name, every in work.items()
        for mutant in (every if given.all else _sample(every, given.sample, f"{given.seed} {name}"))
    ]
    out.print(f"{len(drawn)} of {sum(map(len, work.values()))} mutants in {len(names)} modules")
    survivors = judge(drawn, given.workers)
    _print(drawn, survivors, {name: len(every) for name, every in work.items()})
    sys.exit(len(drawn) - len(survivors) < LIMIT * len(drawn))


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module that is another program than the module, and not known to do the same.

    Args:
        module: Below `energy_assets`.
    """
    source = (CHECKOUT / "energy_assets" / module).read_text(encoding="utf-8")
    found, same = [], EQUIVALENT.get(module, {})
    for name, operator in operators().items():
        places = [place for node in ast_nodes(get_ast(source)) for place in operator.mutation_positions(node)]
        for occurrence in range(len(places)):
            code = mutate_code(source, operator, occurrence)
            if code is not None and code != source:
                mutant = _mutant(module, name, occurrence, source, code)
                found += [mutant] if _calculates(mutant.before, mutant.after) else []
    if gone := set(same) - {mutant.after for mutant in found}:
        sys.exit(f"energy_assets_tests/mutation/equivalent.py: {module} has no mutant any more with {gone.pop()}")
    return [mutant for mutant in found if mutant.after not in same]


def _calculates(before: str, after: str) -> bool:
    """Whether a changed line calculates: no declaration of classes, types, parameters, no demand of equal lengths."""
    if before.startswith("@dataclass") or after in (
        before.replace("*,", "/,"),
        before.replace("strict=True", "strict=False"),
    ):
        return False
    return _OPTIONAL.sub("?", before) != _OPTIONAL.sub("?", after)


def _mutant(module: str, operator: str, occurrence: int, source: str, code: str) -> Mutant:
    pairs = enumerate(zip(source.splitlines(), code.splitlines(), strict=True), 1)
    line, (before, after) = next((number, pair) for number, pair in pairs if pair[0] != pair[1])
    return Mutant(module, operator, occurrence, line, before.strip(), after.strip(), code)


def _sample(every: Sequence[Mutant], size: int, seed: str) -> list[Mutant]:
    return random.Random(seed).sample(every, min(size, len(every)))  # noqa: S311 - a draw, no secret


def _print(drawn: Sequence[Mutant], survivors: Sequence[Mutant], all_of: dict[str, int]) -> None:
    table = Table("module", "mutants", "judged", "noticed", "score", box=None)
    for name, judged, alive in (*_counts(drawn, survivors), ("all", len(drawn), len(survivors))):
        number = all_of.get(name, sum(all_of.values()))
        score = f"{100 * (judged - alive) / judged:.0f} %" if judged else ""
        table.add_row(name, str(number), str(judged), str(judged - alive), score)
    out.print(table)


def _counts(drawn: Sequence[Mutant], survivors: Sequence[Mutant]) -> Iterator[tuple[str, int, int]]:
    for name in dict.fromkeys(mutant.module for mutant in drawn):
        yield name, sum(one.module == name for one in drawn), sum(one.module == name for one in survivors)


if __name__ == "__main__":
    main()

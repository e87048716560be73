"""Many mutants at once: processes that each have a copy of the checkout.

What belongs here: sharing out the work, and saying how far it is. What does not: one mutant's fate (`judging`). It is a
module of its own, because new processes import what they are to run by its name.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from energy_assets_tests.mutation.judging import Bench, Mutant
from energy_assets_tests.mutation.modules import MODULES

CHECKOUT = Path(__file__).resolve().parents[2]
out = Console(highlight=False, emoji=False)


def judge(drawn: Sequence[Mutant], workers: int) -> list[Mutant]:
    """The mutants that no test notices.

    Args:
        drawn: All that are judged.
        workers: How many processes judge them.
    """
    context = multiprocessing.get_context("spawn")
    survivors, began = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder, context.Pool(workers, _begin, (folder,)) as pool:
        some = {MODULES[mutant.module]: mutant.module for mutant in drawn}
        limits = {MODULES[module]: limit for module, limit in pool.imap_unordered(_measure, some.values())}
        jobs = [(mutant, limits[MODULES[mutant.module]]) for mutant in drawn]
        for number, (mutant, survived) in enumerate(pool.imap_unordered(_one, jobs), 1):
            if survived:
                survivors.append(mutant)
                out.print(f"\nenergy_assets/{mutant.module}:{mutant.line} {mutant.operator}", markup=False)
                out.print(f"  - {mutant.before}\n  + {mutant.after}", markup=False, soft_wrap=True)
            if survived or number % 25 == 0 or number == len(drawn):
                out.print(f"{number} of {len(drawn)}, {len(survivors)} survived, {time.monotonic() - began:.0f} s")
    return survivors


_bench: Bench


def _begin(folder: str) -> None:
    global _bench
    _bench = Bench(CHECKOUT, Path(tempfile.mkdtemp(dir=folder)))


def _measure(module: str) -> tuple[str, float]:
    """How long the tests of an unchanged module may take: three times as long as they do, and ten seconds."""
    began = time.monotonic()
    code = (CHECKOUT / "energy_assets" / module).read_text(encoding="utf-8")
    if not _bench.survives(module, code, MODULES[module], 900):
        raise SystemExit(f"{module}: its tests fail without any change: {' '.join(MODULES[module])}")
    return module, 3 * (time.monotonic() - began) + 10


def _one(job: tuple[Mutant, float]) -> tuple[Mutant, bool]:
    mutant, limit_s = job
    return mutant, _bench.survives(mutant.module, mutant.code, MODULES[mutant.module], limit_s)

"""What must hold of a reconciliation: its parts make its difference, and like held against like stays within a band.

What belongs here: statements about the staged rows of `reconciliation`. What does not: how parts are found
(`energy_assets.kpis.reconciling`), with which these share no code.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof
from energy_assets.contracts.vocabulary import LIKE, Step

TOLERANCE = "reconciliation_tolerance"
"""Name of the small table of one row that says how far like may be from like: `tolerance_pct`."""
_NAMED = ("month", "against", "provider", "region", "service", "meter", "quantity")
_APART = tuple(step.value for step in Step if step not in LIKE)
"""Parts that say that like is not held against like."""


def parts_do_not_add_up(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Rows whose parts are not exactly their difference, or whose difference is not ours less theirs.

    Args:
        staged: Rows of `reconciliation`.
        upstream: Not asked.
    """
    parts = _sum(staged, Step.values())
    # A row without a difference has no parts at all.
    known = staged["difference"].notnull()
    wrong = (known & (parts != staged["difference"])) | ~(staged.ours - staged.theirs).identical_to(
        staged["difference"]
    )
    empty = ibis.and_(*(staged[name].isnull() for name in Step.values()))
    return staged.filter(wrong | (~known & ~empty)).select(*_NAMED, "difference", *Step.values())


def out_of_band(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Rows in which like differs from like by more than the site allows; exactly on the limit passes.

    What one side lacks, has not yet or does not count is taken out before: only the same hours and things are judged.

    Args:
        staged: Rows of `reconciliation`.
        upstream: The table `TOLERANCE`.
    """
    limits = upstream[TOLERANCE]
    rows = staged.filter(staged["difference"].notnull(), staged.theirs_compared.notnull()).cross_join(limits)
    off = rows["difference"] - _sum(rows, _APART)
    beyond = off.abs() * 100 > rows.theirs_compared * rows.tolerance_pct
    pct = (100 * off.cast("float64") / rows.theirs_compared.cast("float64").nullif(0)).round(2)
    return rows.filter(beyond).select(*_NAMED, off=off, unit=rows.unit, off_pct=pct, why=rows.why)


def _sum(rows: ir.Table, names: tuple[str, ...] | list[str]) -> ir.DecimalValue:
    zero = ibis.literal(0).cast(rows["difference"].type())
    total: ir.DecimalValue = sum((rows[name].fill_null(zero) for name in names), zero)
    return total


STEPS_ADD_UP = Proof(
    "steps_add_up",
    "The parts of each difference (coverage, lag, boundary, energy, PUE, intensity, unexplained) add up to it exactly.",
    parts_do_not_add_up,
)
RECONCILES = Proof(
    "reconciles",
    "Where both sides speak of the same hours and things, ours is within `reconciliation: {tolerance_pct: …}` of "
    "theirs; exactly on the limit passes. Below a node's meter nothing is judged: what devices do not report is the "
    "rest of the node.",
    out_of_band,
    blocking=False,
    remedy="`why` names the largest part: look there first. The command `reconcile` prints every part",
)

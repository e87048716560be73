"""Joins in which unknown equals unknown.

What belongs here: predicates of joins that every floor may need. What does not: what is joined.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis.expr.types as ir


def same(left: ir.Table, right: ir.Table, keys: Sequence[str]) -> list[ir.BooleanValue]:
    """Join predicates under which unknown equals unknown; a plain equality would lose rows without a region.

    Args:
        left: One side.
        right: The other side.
        keys: Columns of both.
    """
    return [left[key].identical_to(right[key]) for key in keys]

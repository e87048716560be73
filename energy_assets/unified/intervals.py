"""Intervals: how uncertain a reading is, by how it was made.

What belongs here: which interval a row takes. What does not: intervals of differences (`containment`) and the table
of intervals (`energy_assets.factors.tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t


def with_uncertainty(rows: ir.Table, uncertainty: Mapping[tuple[str, str], Decimal]) -> ir.Table:
    """Rows with `uncertainty_pct`: the source's own where it has one, else of the method and kind, else of the method.

    Args:
        rows: With method and device_kind; may have `uncertainty_pct`.
        uncertainty: 95 % interval in per cent by (method, device kind); a kind of '' stands for any.
    """
    lines = sorted(uncertainty.items(), key=lambda line: not line[0][1])
    cases = [
        ((rows.method == method) & (rows.device_kind == kind) if kind else rows.method == method, _percent(value))
        for (method, kind), value in lines
    ]
    general = ibis.cases(*cases) if cases else ibis.null(t.PERCENT)
    own = rows.uncertainty_pct if "uncertainty_pct" in rows.columns else ibis.null(t.PERCENT)
    return rows.mutate(uncertainty_pct=ibis.coalesce(own, general))


def _percent(value: Decimal) -> Any:
    return ibis.literal(value).cast(t.PERCENT)

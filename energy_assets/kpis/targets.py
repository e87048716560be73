"""Progress to the targets of the site file, as rows beside those of the indicators that they are on.

What belongs here: (base − now) / (base − target) of ratios and shares, day by day, with both halves stored. What does
not: targets on totals, which are of a year and have no progress on a day; a report judges those.

Both halves are multiplied with the indicator's denominator D: numerator = base × D − N, denominator =
(base − target) × D. So days add up to months as everywhere, sum first, divide last: the quotient of the sums is the
progress of ΣN / ΣD, and not the mean of the days' progress.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.kpis.facts import PER_CENT_DIGITS
from energy_assets.kpis.own import WIDEST, times
from energy_assets.site import Target


def progress_name(target: Target) -> str:
    """Name of the KPI that a target's progress is.

    Args:
        target: Of the site file.
    """
    return f"target_progress_{target.target_year}_of_{target.kpi}"


def target_progress(days: ir.Table, targets: Sequence[Target]) -> ir.Table | None:
    """Rows of the contract `KpisDaily`; None where no target can have any.

    Args:
        days: Rows of `KpisDaily`, of all indicators.
        targets: Of the site file; of those with base and target alike, and of those in another unit than their
            indicator, there are no rows.
    """
    stated = [target for target in targets if target.base_value != target.target_value]
    rows = [_rows(days, target) for target in stated]
    return ibis.union(*rows) if len(rows) > 1 else rows[0] if rows else None


def _rows(days: ir.Table, target: Target) -> ir.Table:
    mine = days.filter(
        days.kpi == target.kpi, days.grain == "total", days.unit == target.unit, days.denominator.notnull()
    )
    base, way = times(mine.denominator, target.base_value), target.base_value - target.target_value
    numerator, denominator = (base - mine.numerator).cast(t.FIGURE), times(mine.denominator, way)
    now = mine.numerator.cast("float64").abs() * mine.uncertainty_pct.cast("float64")
    per_cent: Any = now / numerator.cast("float64").abs().nullif(0.0)
    ratio = (numerator.cast("float64") / denominator.cast("float64").nullif(0.0)).cast("decimal(38, 12)")
    made = {
        "kpi": ibis.literal(progress_name(target)),
        "unit": ibis.literal("share"),
        "value": ratio.cast(t.FIGURE),
        "numerator": numerator,
        "denominator": denominator,
        "uncertainty_pct": ibis.ifelse(
            per_cent < WIDEST, per_cent.round(PER_CENT_DIGITS).cast(t.PERCENT), ibis.null(t.PERCENT)
        ),
    }
    return mine.select(**{name: made.get(name, mine[name]) for name in days.columns})

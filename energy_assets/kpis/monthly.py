"""KPIs of months: numerators and denominators of the days summed, divided last."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.tables import KPI_DIMENSIONS

KEY = ["month", "kpi", "unit", "grain", *KPI_DIMENSIONS]


def monthly(days: ir.Table) -> ir.Table:
    """Rows of the contract `KpisMonthly` from rows of `KpisDaily`.

    A month's interval is the mean of its days' intervals weighted by the numerator, because one meter's error
    stays the same from day to day. Its coverage is the mean over the days that have data; `days` counts them.
    """
    # Not truncate("M"): DuckDB makes a timestamp of it while Ibis believes it to be a date.
    rows = days.mutate(month=ibis.date(days.day.year(), days.day.month(), 1))
    known = rows.uncertainty_pct.notnull() | (rows.numerator == 0)
    half_width = (rows.numerator.cast("decimal(29, 6)") * rows.uncertainty_pct).cast("decimal(38, 9)")
    sums = rows.group_by(KEY).aggregate(
        numerator=rows.numerator.sum().cast(t.FIGURE),
        denominator=rows.denominator.sum().cast(t.FIGURE),
        observed=rows.coverage.sum().cast("float64"),
        half_width=half_width.sum().cast("float64"),
        certain=known.all(),
        days=rows.day.nunique(),
    )
    ratio = (sums.numerator.cast("float64") / sums.denominator.cast("float64").nullif(0.0)).cast("decimal(38, 12)")
    interval = sums.half_width / sums.numerator.cast("float64").nullif(0.0)
    return sums.mutate(
        coverage=(sums.observed / sums.days.cast("float64")).round(6).cast(t.SHARE),
        value=ibis.ifelse(sums.denominator.isnull(), sums.numerator, ratio.cast(t.FIGURE)),
        uncertainty_pct=ibis.ifelse(sums.certain, interval, ibis.null("float64")).round(3).cast(t.PERCENT),
    ).drop("observed", "half_width", "certain")

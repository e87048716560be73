"""KPIs of months, and of longer periods: exact numerators and denominators added, divided last.

What belongs here: the one rule by which KPIs of short periods make those of a longer one. What does not: what is in
a KPI.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.tables import KPI_KEYS
from energy_assets.kpis.facts import carrier, errors_of, has_interval
from energy_assets.kpis.indicators import INDICATORS
from energy_assets.kpis.own_terms import denominator_errs
from energy_assets.own_kpis import OwnKpi

PROGRESS = r"^target_progress_\d+_of_"
"""How names of progress begin (`targets.progress_name`); an indicator's name follows."""
KEY = ("kpi", "unit", "grain", *KPI_KEYS)


def monthly(days: ir.Table, kpis: Sequence[OwnKpi] = ()) -> ir.Table:
    """Rows of the contract `KpisMonthly` from rows of `KpisDaily`.

    Args:
        days: Days of one or of several months; each month is summed apart.
        kpis: Indicators of the site's own.

    Returns:
        One row per month and key. The interval is the mean of the days' intervals weighted by the side that carries
        the error (the numerator, or what an exact numerator is divided by), without its sign, because one meter's
        error stays the same from day to day; a day where that side is zero has no say in it, a day of unknown
        interval makes it unknown. Where both sides carry errors it is as much wider as days of another ratio may add
        (`_mixing`); of indicators of one's own, and of progress, it is not known then. Coverage is the mean over the
        days that have data; `days` counts them.
    """
    # Not truncate("M"): DuckDB makes a timestamp of it while Ibis believes it to be a date.
    return _added(
        days.mutate(month=ibis.date(days.day.year(), days.day.month(), 1), days=ibis.literal(1, "int64")),
        ("month",),
        kpis,
    )


def over_months(months: ir.Table, kpis: Sequence[OwnKpi] = ()) -> ir.Table:
    """KPIs of a quarter, a year or any other period from those of its months.

    Args:
        months: Rows of the contract `KpisMonthly`, of the months of one period.
        kpis: Indicators of the site's own.

    Returns:
        The columns of `KpisMonthly` but `month`, one row per key, by the rules of `monthly`: coverage weighted by the
        days that have data. One month alone is returned as it is.
    """
    return _added(months, (), kpis)


def _added(rows: ir.Table, when: tuple[str, ...], kpis: Sequence[OwnKpi]) -> ir.Table:
    divided = [i.name for i in INDICATORS.values() if has_interval(i) and carrier(i) != i.numerator]
    rows = rows.mutate(carrier=ibis.ifelse(rows.kpi.isin(divided), rows.denominator, rows.numerator))
    rows = rows.mutate(mixing=_mixing(rows, when))
    known = (rows.uncertainty_pct.notnull() | (rows.carrier == 0)) & rows.mixing.notnull() & ~_untold(rows, kpis)
    half_width = (rows.carrier.abs().cast("decimal(29, 6)") * rows.uncertainty_pct).cast("decimal(38, 9)")
    sums = rows.group_by([*when, *KEY]).aggregate(
        numerator=rows.numerator.sum().cast(t.FIGURE),
        denominator=rows.denominator.sum().cast(t.FIGURE),
        observed=(rows.coverage.cast("decimal(18, 6)") * rows.days).cast("decimal(38, 6)").sum().cast("float64"),
        carrier=rows.carrier.sum().cast("float64"),
        half_width=half_width.sum().cast("float64") + rows.mixing.sum().cast("float64"),
        certain=known.all(),
        days=rows.days.sum(),
        alone=rows.count() == 1,
        its_interval=rows.uncertainty_pct.max(),
    )
    ratio = (sums.numerator.cast("float64") / sums.denominator.cast("float64").nullif(0.0)).cast("decimal(38, 12)")
    interval: Any = (sums.half_width / sums.carrier.abs().nullif(0.0)).round(3).cast(t.PERCENT)
    return sums.mutate(
        coverage=(sums.observed / sums.days.cast("float64")).round(6).cast(t.SHARE),
        value=ibis.ifelse(sums.denominator.isnull(), sums.numerator, ratio.cast(t.FIGURE)),
        uncertainty_pct=ibis.ifelse(
            sums.alone, sums.its_interval, ibis.ifelse(sums.certain, interval, ibis.null(t.PERCENT))
        ),
    ).drop("observed", "carrier", "half_width", "certain", "alone", "its_interval")


def _untold(rows: ir.Table, kpis: Sequence[OwnKpi]) -> Any:
    """Of which indicators the intervals of short periods do not say that of the longer one.

    What is divided by errs, and how much, no row of it says; see `_mixing` for those of which one does.
    """
    own = [one.name for one in kpis if denominator_errs(one)]
    erring = [i.name for i in INDICATORS.values() if i.denominator and errors_of(i.denominator)]
    of = rows.kpi.re_replace(PROGRESS, "")
    return of.isin([*own, ""]) | ((of != rows.kpi) & of.isin([*erring, ""]))


def _mixing(rows: ir.Table, when: tuple[str, ...]) -> Any:
    """What a short period adds to the half-width of a ratio of two uncertain sides, beside its own interval.

    The error of a sum of numerators over a sum of denominators is, to the first order, that of the short periods
    weighted by their numerators, and (share of the numerator − share of the denominator) x error of the denominator.
    The second part cancels within a period whose ratio is that of all, and whose meters are those of all; which meters
    a period has is not known here, so it is taken whole: the interval is never too narrow. The denominator is
    facility energy, and so is its interval that of `facility_kwh` of the same member and period.
    """
    both = [
        i.name for i in INDICATORS.values()
        if i.denominator and errors_of(i.denominator) and carrier(i) == i.numerator
    ]  # fmt: skip
    key = [*when, *KEY[2:]]
    short = "day" if "day" in rows.columns else "month"
    of_energy = ibis.ifelse(rows.kpi == "facility_kwh", rows.uncertainty_pct, ibis.null(t.PERCENT))
    energy: Any = of_energy.max().over(ibis.window(group_by=[rows[name] for name in (*key, short)]))
    every = ibis.window(group_by=[rows[name] for name in (*when, *KEY)])
    above, below = (
        rows[side].cast("float64") / rows[side].sum().over(every).cast("float64").nullif(0.0)
        for side in ("numerator", "denominator")
    )
    whole: Any = rows.numerator.sum().over(every).cast("float64").abs()
    moved = ((above - below).abs() * whole).cast("decimal(29, 6)")
    width = ibis.ifelse(moved == 0, 0, moved * energy.cast("decimal(9, 3)"))
    return ibis.ifelse(rows.kpi.isin(both), width, 0).cast("decimal(38, 9)")

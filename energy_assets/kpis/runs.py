"""Energy per training run: a month's energy to solution, divided by the runs that it is of.

What belongs here: the KPI whose denominator counts runs, which days cannot be added to. What does not: what each run
used (`energy_to_solution` of `indicators`).
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import RUN, KpisMonthly

ENERGY_TO_SOLUTION = "energy_to_solution"
ENERGY_PER_TRAINING_RUN = "energy_per_training_run"
UNIT = "kWh per training run and month"


def per_training_run(months: ir.Table) -> ir.Table:
    """Rows of the contract `KpisMonthly`: one per month in which a training run is named.

    A run of two months counts in both, with what it used in each; so the unit says "and month", and the sum of
    numerators over the sum of denominators stays the mean of a longer period.

    Args:
        months: Rows of `KpisMonthly`, with `energy_to_solution` by run.
    """
    runs = months.filter(months.kpi == ENERGY_TO_SOLUTION, months.grain == RUN, months.numerator.notnull())
    sums = runs.group_by("month").aggregate(
        numerator=runs.numerator.sum().cast(t.FIGURE),
        denominator=runs[RUN].nunique().cast(t.FIGURE),
        days=runs.days.max(),
    )
    ratio = (sums.numerator.cast("float64") / sums.denominator.cast("float64")).cast("decimal(38, 12)").cast(t.FIGURE)
    made = sums.mutate(
        kpi=ibis.literal(ENERGY_PER_TRAINING_RUN), grain=ibis.literal("total"), unit=ibis.literal(UNIT), value=ratio
    )
    return made.select(
        **{
            name: (made[name] if name in made.columns else ibis.null(of)).cast(of)
            for name, of in schema_of(KpisMonthly).items()
        }
    )

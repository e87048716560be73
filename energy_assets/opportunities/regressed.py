"""Rule: models whose energy per generated token rose.

What belongs here: two months of the indicator `wh_per_1m_tokens`, compared. What does not: the indicator itself
(`kpis.indicators`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.vocabulary import WorkloadType
from energy_assets.opportunities.parts import DIGITS, matching, month_of, scope_of, stated

KPI = "wh_per_1m_tokens"
IDENTITY = ("model_id",)
WHAT = "Look for what changed in serving this model: batch sizes, engine, precision, machines, load."
WH_IN_KWH = 1000


def basis(regression_pct: Decimal, months: int) -> str:
    """What is assumed.

    Args:
        regression_pct: Rise from which on a model is told, per cent.
        months: How far back the month to compare with may lie.
    """
    return (
        f"Facility energy per million generated tokens (with the share of idle) rose by more than {regression_pct} % "
        f"against the last month before, at most {months} back, that knows both sides. Saved is what the tokens of the "
        "month would not have taken at the value before; grams at the mean intensity of the model's own energy. Cost "
        "is not known."
    )


def compared(kpis: ir.Table, months: int) -> ir.Table:
    """Each model and month with its energy per token and that of the last month before that has one.

    Args:
        kpis: Rows of the contract `KpisMonthly`, of the months and of those before them.
        months: How far back the month to compare with may lie.

    Returns:
        month, model_id, days, measure (Wh per million tokens), tokens (millions), wh, pct, coverage; `month_before`,
        `measure_before` and `pct_before`, NULL where no such month is known.
    """
    known = kpis.filter(
        kpis.kpi == KPI, kpis.grain == "model_id", kpis.model_id != "unknown", kpis.value.notnull(), kpis.coverage > 0
    )
    now = known.select(
        "month", "model_id", "days", "coverage", measure="value", tokens="denominator", wh="numerator",
        pct="uncertainty_pct",
    )  # fmt: skip
    before = known.select(
        of_model="model_id", month_before="month", measure_before="value", pct_before="uncertainty_pct"
    )
    apart = (now.month.year() - before.month_before.year()) * 12 + now.month.month() - before.month_before.month()
    both = now.left_join(before, [now.model_id == before.of_model, apart > 0, apart <= months]).drop("of_model")
    order = ibis.window(group_by=["month", "model_id"], order_by=ibis.desc("month_before"))
    ranked = both.mutate(place=ibis.row_number().over(order))
    return ranked.filter(ranked.place == 0).drop("place")


def regressed_models(both: ir.Table, emissions: ir.Table, regression_pct: Decimal) -> ir.Table:
    """Each model with two months to compare, and the energy that the rise took.

    Args:
        both: From `compared`, of the months asked for.
        emissions: Rows of the contract `Emissions` of these months.
        regression_pct: A rise by more than so many per cent is told; exactly so much is not.
    """
    rows = both.filter(both.month_before.notnull())
    limit = ibis.literal(100 + regression_pct).cast("decimal(7, 3)")
    now, before = rows.measure.cast("decimal(28, 12)"), rows.measure_before.cast("decimal(28, 12)")
    judged = rows.mutate(rose=now.cast("decimal(28, 12)") * 100 > before * limit, is_above=now > before)
    means = _means(emissions)
    joined = judged.left_join(means, ["month", "model_id"])
    found = joined.select(*judged.columns, "mean_pue", "mean_g", "ghg_scope")
    excess = (found.measure - found.measure_before).cast("float64") * found.tokens.cast("float64") / WH_IN_KWH
    saved = ibis.ifelse(found.is_above, excess, 0.0)
    all_kwh = found.wh.cast("float64") / WH_IN_KWH
    return found.mutate(
        workload_type=ibis.literal(WorkloadType.INFERENCE.value),
        found=found.rose,
        of_kwh=_kwh(all_kwh / found.mean_pue),
        energy_kwh=_kwh(saved / found.mean_pue),
        facility_kwh=_kwh(saved),
        location_g=(saved * found.mean_g).round(DIGITS).cast(t.GRAMS),
        uncertainty_pct=_difference(found),
        row_count=ibis.literal(2, "int64"),
        measured_kwh=_kwh(all_kwh),
        measured_g=(all_kwh * found.mean_g).round(DIGITS).cast(t.GRAMS),
        units=found.tokens.cast(t.FIGURE),
        unit=ibis.literal("1,000,000 tokens"),
        measure_unit=ibis.literal("Wh per 1,000,000 tokens"),
        query=_query(found),
    )


def _kwh(value: Any) -> Any:
    return value.round(DIGITS).cast(t.FACILITY_KWH)


def _means(emissions: ir.Table) -> ir.Table:
    """PUE and grams per kWh of the energy of each model's inference, as they were on average."""
    rows = emissions.mutate(month=month_of(emissions.day))
    mine = rows.filter(rows.model_id.notnull(), rows.workload_type == WorkloadType.INFERENCE.value)
    known = mine.filter(mine.facility_kwh.notnull())
    found = known.group_by("month", "model_id").aggregate(
        it=known.energy_kwh.sum().cast("float64"),
        facility=known.facility_kwh.sum().cast("float64"),
        grams=known.location_g.sum().cast("float64"),
        of_grams=known.facility_kwh.sum(where=known.location_g.notnull()).cast("float64"),
        ghg_scope=scope_of(known),
    )
    return found.select(
        "month", "model_id", "ghg_scope",
        mean_pue=found.facility / found.it.nullif(0.0),
        # Of energy whose intensity is not known nobody may take that of the rest.
        mean_g=ibis.ifelse(found.of_grams == found.facility, found.grams / found.of_grams.nullif(0.0), None),
    )  # fmt: skip


def _difference(rows: ir.Table) -> Any:
    """Interval of a difference: absolute half-widths in squares (JCGM 100:2008, 5.1.6)."""
    now, before = rows.measure.cast("float64"), rows.measure_before.cast("float64")
    one, other = now * rows.pct.cast("float64"), before * rows.pct_before.cast("float64")
    return stated((one * one + other * other).sqrt() / (now - before).abs().nullif(0.0))


def _query(rows: ir.Table) -> Any:
    of_kpi = ibis.literal(f"select * from kpis_monthly where kpi = '{KPI}' and grain = 'model_id'")  # noqa: S608
    months = rows.month.cast("string") + "', '" + rows.month_before.cast("string")
    return of_kpi + matching(rows, IDENTITY) + " and month in ('" + months + "')"

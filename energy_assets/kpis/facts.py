"""Facts: energy, cost and activity summed once to the dimensions that indicators are cut by.

Everything an indicator needs is in these sums, so the large tables are scanned once a day and the indicators
themselves run on a few hundred rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.tables import KPI_DIMENSIONS

KWH = "decimal(38, 12)"
GRAM = "decimal(38, 15)"
HOURS = "decimal(38, 9)"
MEASURES: dict[str, str] = {
    "energy_kwh": KWH,
    "facility_kwh": KWH,
    "idle_kwh": KWH,
    "served_kwh": KWH,
    "served_g": GRAM,
    "attributed_kwh": KWH,
    "location_g": GRAM,
    "upstream_g": GRAM,
    "lifecycle_g": GRAM,
    "with_direct_kwh": KWH,
    "with_lifecycle_kwh": KWH,
    **{f"tier{n}_kwh": KWH for n in (1, 2, 3, 4)},
    **{f"factor_tier{n}_kwh": KWH for n in (1, 2, 3, 4)},
    "interval_kwh": KWH,
    "without_interval_kwh": KWH,
    "observed_hours": HOURS,
    "device_hours": HOURS,
    "requests": "decimal(38, 0)",
    "prompt_tokens": "decimal(38, 0)",
    "generated_tokens": "decimal(38, 0)",
    "served_hours": HOURS,
    "deployment_hours": HOURS,
    "billed_cost": "decimal(38, 18)",
}
"""Every summed measure and its exact type. `served_*` is inference with its share of idle energy."""


def facts(
    emissions: ir.Table,
    activity: ir.Table,
    cost: ir.Table,
    keep: Callable[[ir.Table], ir.Table] = lambda rows: rows,
) -> ir.Table:
    """All measures by day, currency and the dimensions of indicators; a measure a row does not speak of is NULL.

    Args:
        emissions: Rows of the contract `Emissions`.
        activity: Rows of the contract `Activity`.
        cost: Rows of the contract `Cost`.
        keep: Computes a table once and for all; without it the engine may scan the emissions twice.
    """
    return ibis.union(_energy(keep(_condensed(emissions))), _activity(activity), _cost(cost))


def _energy(rows: ir.Table) -> ir.Table:
    kwh, idle = rows.energy_kwh, rows.workload_type == "idle"
    served = (rows.workload_type == "inference") & rows.facility_kwh.notnull()
    share = (rows.uncertainty_pct * ibis.literal("0.01").cast("decimal(5, 2)")).cast("decimal(12, 5)")
    sums = rows.group_by(["day", *KPI_DIMENSIONS]).aggregate(
        energy_kwh=_sum(kwh, KWH),
        facility_kwh=_sum(rows.facility_kwh, KWH),
        idle_kwh=_sum(kwh, KWH, idle),
        idle_facility_kwh=_sum(rows.facility_kwh, KWH, idle),
        idle_g=_sum(rows.location_g, GRAM, idle),
        inference_kwh=_sum(rows.facility_kwh, KWH, served),
        inference_g=_sum(rows.location_g, GRAM, served),
        attributed_kwh=_sum(kwh, KWH, rows.project != "unknown"),
        location_g=_sum(rows.location_g, GRAM),
        upstream_g=_sum(rows.upstream_g, GRAM),
        lifecycle_g=_sum(rows.lifecycle_g, GRAM),
        with_direct_kwh=_sum(rows.facility_kwh, KWH, rows.location_g.notnull()),
        with_lifecycle_kwh=_sum(rows.facility_kwh, KWH, rows.lifecycle_g.notnull()),
        **{f"tier{n}_kwh": _sum(kwh, KWH, rows.quality_tier == n) for n in (1, 2, 3, 4)},
        **{f"factor_tier{n}_kwh": _sum(rows.facility_kwh, KWH, rows.factor_tier == n) for n in (1, 2, 3, 4)},
        interval_kwh=_sum((kwh.cast("decimal(38, 9)") * share).cast("decimal(38, 14)"), KWH),
        without_interval_kwh=_sum(kwh, KWH, rows.uncertainty_pct.isnull()),
        observed_hours=_sum(rows.coverage, HOURS),
        device_hours=rows.device_hours.sum().cast(HOURS),
    )
    # Idle energy belongs to nobody, but somebody keeps the machines ready: an indicator per request carries the
    # idle energy of its own source in proportion to the source's busy energy.
    per_source = ibis.window(group_by=[sums.day, sums.source])
    idle_there = sums.idle_facility_kwh.sum().over(per_source).cast("float64").fill_null(0.0)
    idle_g_there = sums.idle_g.sum().over(per_source).cast("float64").fill_null(0.0)
    busy_there = (sums.facility_kwh.sum().over(per_source).cast("float64") - idle_there).nullif(0.0)
    inference = sums.inference_kwh.cast("float64")
    readied = sums.mutate(
        served_kwh=sums.inference_kwh + (inference * idle_there / busy_there).round(12).cast(KWH),
        served_g=sums.inference_g + (inference * idle_g_there / busy_there).round(12).cast(GRAM),
    )
    return _complete(readied, {"currency": None})


def _condensed(emissions: ir.Table) -> ir.Table:
    """Rows that no indicator tells apart, as one with their sums and the number of their `device_hours`.

    The many conditional sums of `_energy` then run on a few hundred rows. A sum is NULL exactly where all its rows
    are, because known and unknown values are kept apart.
    """
    sums = {"facility_kwh": KWH, "location_g": GRAM, "lifecycle_g": GRAM}
    known = {f"{name}_known": emissions[name].notnull() for name in sums}
    rows = emissions.mutate(**known)
    alike = ["day", *KPI_DIMENSIONS, "quality_tier", "factor_tier", "uncertainty_pct", *known]
    return rows.group_by(alike).aggregate(
        energy_kwh=_sum(rows.energy_kwh, HOURS),
        upstream_g=_sum(rows.upstream_g, GRAM),
        coverage=_sum(rows.coverage, HOURS),
        device_hours=rows.count(),
        **{name: _sum(rows[name], dtype) for name, dtype in sums.items()},
    )


def _activity(rows: ir.Table) -> ir.Table:
    keyed = rows.mutate(zone=ibis.null("string"))
    sums = keyed.group_by(["day", *KPI_DIMENSIONS]).aggregate(
        requests=_sum(keyed.requests, "decimal(38, 0)"),
        prompt_tokens=_sum(keyed.prompt_tokens, "decimal(38, 0)"),
        generated_tokens=_sum(keyed.generated_tokens, "decimal(38, 0)"),
        served_hours=_sum(keyed.coverage, HOURS),
        deployment_hours=keyed.count().cast(HOURS),
    )
    return _complete(sums, {"currency": None})


def _cost(rows: ir.Table) -> ir.Table:
    sums = rows.group_by(["day", *KPI_DIMENSIONS, "billing_currency"]).aggregate(
        billed_cost=_sum(rows.billed_cost, "decimal(38, 18)")
    )
    return _complete(sums.rename(currency="billing_currency"), {})


def _sum(column: Any, dtype: str, where: Any = None) -> Any:
    return column.sum(where=where).cast(dtype)


def _complete(sums: ir.Table, extra: Mapping[str, None]) -> ir.Table:
    """The table with every dimension and measure, NULL where it has none, in one order."""
    absent = {name: ibis.null(dtype) for name, dtype in MEASURES.items() if name not in sums.columns}
    absent |= {name: ibis.null("string") for name in extra}
    wide = sums.mutate(**absent)
    return wide.select("day", *KPI_DIMENSIONS, "currency", **{n: wide[n].cast(d) for n, d in MEASURES.items()})

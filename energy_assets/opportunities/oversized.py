"""Rule: machines that were never busy all month.

What belongs here: machines of bills whose measured utilization stayed below a limit, and the idle part of their
estimate that a smaller one would not draw. What does not: the watts at no load (`estimates.no_load`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.contracts.vocabulary import ESTIMATED, DeviceKind
from energy_assets.opportunities.parts import DIGITS, days_in, month_of, only, scope_of, selected, share, sums

IDENTITY = ("provider", "account_id", "region", "node_id")
COMPONENT = ("provider", "device_kind", "device_id", "device_model")
NO_LOAD = pa.schema([*((name, pa.string()) for name in COMPONENT), ("no_load_kwh", pa.float64())])
LOADED = (DeviceKind.CPU.value, DeviceKind.GPU.value)
WHAT = "Take a smaller machine, or put more work on this one."


def basis(below: Decimal, observed: Decimal) -> str:
    """What is assumed.

    Args:
        below: Share of full load that was not reached.
        observed: Share of the hours that must have been measured.
    """
    return (
        f"In no hour of the month processors or accelerators reached {below} of full load, with at least {observed} of "
        f"the billed hours measured. A machine that needs this load at {below} does the same work; it spares the idle "
        "power of what is not needed, in proportion: (1 - highest load / limit) x energy at no load. The interval is "
        "of the watts alone. Cost: the bill of the machine, in proportion to its size."
    )


def no_load_table(kinds: Iterable[Mapping[str, Any]]) -> ir.Table:
    """Energy per amount at no load of kinds of components.

    Args:
        kinds: Columns of `COMPONENT` and `no_load_kwh`.
    """
    return ibis.memtable(pa.Table.from_pylist(list(kinds), schema=NO_LOAD))


def oversized_machines(
    estimates: ir.Table, emissions: ir.Table, costs: ir.Table, no_load: ir.Table, below: Decimal, observed: Decimal
) -> ir.Table:
    """Each machine whose processors and accelerators were measured, with what a smaller one would not draw.

    Args:
        estimates: Rows of the contract `UsageEstimates`.
        emissions: Rows of the contract `Emissions` of the same days.
        costs: From `machine_costs`.
        no_load: From `no_load_table`.
        below: A machine that reached this share of full load in any hour is not oversized.
        observed: Share of its hours that must have been measured.
    """
    mine = estimates.filter(estimates.is_machine, estimates.device_kind.isin(LOADED), estimates.energy_kwh.notnull())
    judged = _judged(mine.mutate(month=month_of(mine.day)), no_load, observed)
    machines = judged.group_by("month", *IDENTITY).aggregate(
        peak=judged.peak.max(),
        estimated=judged.kwh.sum(),
        idle=judged.no_load.sum(),
        row_count=judged.row_count.sum().cast("int64"),
        days=judged.days.max(),
        whole=judged.whole.all(),
        known=judged.no_load.notnull().all(),
    )
    limit = float(below)
    ruled = machines.filter(machines.whole).mutate(
        found=machines.peak < ibis.literal(below).cast(t.SHARE),
        spare=ibis.greatest(1.0 - machines.peak.cast("float64") / limit, 0.0),
    )
    parts = _drawn(emissions)
    both = ruled.left_join(parts, same(ruled, parts, ("month", *IDENTITY)))
    drawn = both.select(*ruled.columns, *(name for name in parts.columns if name not in ruled.columns))
    billed = drawn.left_join(costs, same(drawn, costs, ("month", "provider", "region", "node_id")))
    rows = billed.select(*drawn.columns, "machine_cost", "currency")
    part = ibis.ifelse(rows.known, rows.spare * rows.idle / rows.estimated.nullif(0.0), None)
    saved = {
        name: (rows[f"all_{name}"].cast("float64") * part).round(DIGITS).cast(dtype)
        for name, dtype in (("energy_kwh", t.FACILITY_KWH), ("facility_kwh", t.FACILITY_KWH), ("location_g", t.GRAMS))
    }
    return rows.mutate(
        **saved,
        of_kwh=rows.all_energy_kwh,
        cost=(rows.machine_cost.cast("float64") * rows.spare).round(DIGITS).cast(t.MONEY),
        coverage=share(rows.known_kwh, rows.all_energy_kwh),
        measure=rows.peak.cast(t.FIGURE),
        measure_unit=ibis.literal("highest hourly share of full load"),
        units=rows.days.cast(t.FIGURE),
        unit=ibis.literal("days"),
        query=selected(rows, "usage_estimates", IDENTITY, "is_machine", "device_kind in ('cpu', 'gpu')",
                       "energy_kwh is not null"),
    )  # fmt: skip


def _judged(rows: ir.Table, no_load: ir.Table, observed: Decimal) -> ir.Table:
    """Each component with its highest measured load; `whole` where enough of its hours were measured."""
    joined = rows.left_join(no_load, same(rows, no_load, COMPONENT)).select(*rows.columns, "no_load_kwh")
    idle = joined.amount.cast("float64") * joined.no_load_kwh * joined.replication.cast("float64")
    named = joined.mutate(idle=idle.round(DIGITS).cast("decimal(38, 9)"))
    found = named.group_by("month", *IDENTITY, "device_kind", "device_id").aggregate(
        peak=named.utilization.max(where=named.method == "estimated_utilization"),
        kwh=named.energy_kwh.sum().cast("float64"),
        no_load=ibis.ifelse(named.idle.notnull().all(), named.idle.sum().cast("float64"), None),
        row_count=named.count(),
        days=days_in(named),
        seen=named.hour.nunique(where=named.method == "estimated_utilization"),
        hours=named.hour.nunique(),
    )
    enough = found.seen.cast("float64") >= found.hours.cast("float64") * float(observed)
    return found.mutate(whole=enough & found.peak.notnull())


def _drawn(emissions: ir.Table) -> ir.Table:
    """Energy and grams of the processors and accelerators of each machine as estimated, beside what telemetry tells."""
    rows = emissions.filter(emissions.device_kind.isin(LOADED), emissions.method.isin(ESTIMATED))
    rows = rows.mutate(month=month_of(rows.day))
    every = sums(rows)
    return rows.group_by("month", *IDENTITY).aggregate(
        **{f"all_{name}": every[name] for name in ("energy_kwh", "facility_kwh", "location_g")},
        uncertainty_pct=every["uncertainty_pct"],
        grams_uncertainty_pct=every["grams_uncertainty_pct"],
        known_kwh=rows.energy_kwh.sum(where=rows.location_g.notnull()).fill_null(0),
        source=only(rows.source),
        zone=only(rows.zone),
        ghg_scope=scope_of(rows),
    )

"""Rule: accelerators that somebody held drew no more than an idle one.

What belongs here: hours of a held accelerator at idle load, by the power its meter tells. What does not: accelerators
that nobody held (`idle`), and the watts of accelerators (`estimates.constants`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.contracts.vocabulary import MEASURED, DeviceKind, WorkloadType
from energy_assets.opportunities.parts import days_in, month_of, only, scope_of, selected, share, sums

IDENTITY = ("provider", "account_id", "region", "project", "model_id", "workload_type", "device_model")
DEVICE_HOUR = ("hour", "provider", "region", "node_id", "device_id")
WATTS = pa.schema([("device_model", pa.string()), ("limit_w", pa.decimal128(18, 3))])
WHAT = "Release these accelerators between the work, or share them: they were held and did next to nothing."


def basis(idle_load_at_most: object) -> str:
    """What is assumed.

    Args:
        idle_load_at_most: Share of the way from idle to full power.
    """
    return (
        f"Hours in which an accelerator that somebody held drew at most idle power + {idle_load_at_most} x (full - "
        "idle power) of its model. All energy of these hours counts as not needed. Cost is not known."
    )


def limits_of(watts: Mapping[str, object]) -> ir.Table:
    """Power up to which accelerators are at idle load, by the model they name.

    Args:
        watts: Decimals.
    """
    return ibis.memtable(pa.Table.from_pylist([{"device_model": m, "limit_w": w} for m, w in watts.items()], WATTS))


def reserved_at_idle_load(emissions: ir.Table, energy: ir.Table, limits: ir.Table) -> ir.Table:
    """Each project's, model's and work's accelerators of a kind, with the energy of their hours at idle load.

    Args:
        emissions: Rows of the contract `Emissions`.
        energy: Rows of the contract `Energy` of the same days.
        limits: From `limits_of`; accelerators whose model is not in it are not judged.
    """
    mine = energy.filter(energy.device_kind == DeviceKind.GPU.value, energy.method.isin(MEASURED), energy.coverage > 0)
    hours = mine.group_by([*DEVICE_HOUR, "device_model"]).aggregate(
        kwh=mine.energy_kwh.sum(), seen=mine.coverage.max(), known=mine.energy_kwh.notnull().all()
    )
    judged = hours.filter(hours.known).inner_join(limits, "device_model")
    judged = judged.select(
        *DEVICE_HOUR, "device_model", low=judged.kwh * 1000 <= judged.limit_w.cast("decimal(18, 6)") * judged.seen
    )
    held = emissions.filter(
        emissions.device_kind == DeviceKind.GPU.value,
        emissions.workload_id.notnull(),
        emissions.workload_type != WorkloadType.IDLE.value,
    )
    both = held.inner_join(judged, same(held, judged, DEVICE_HOUR))
    rows = both.select(*(held[name] for name in held.columns), judged.device_model, judged.low)
    rows = rows.mutate(month=month_of(rows.day))
    found = rows.group_by("month", *IDENTITY).aggregate(
        **sums(rows, rows.low),
        source=only(rows.source),
        zone=only(rows.zone),
        ghg_scope=scope_of(rows),
        of_kwh=rows.energy_kwh.sum().cast(t.FACILITY_KWH),
        days=days_in(rows),
        units=rows.count().cast(t.FIGURE),
        known_kwh=rows.energy_kwh.sum(where=rows.location_g.notnull()).fill_null(0),
    )
    limited = found.inner_join(limits, "device_model")
    return limited.mutate(
        coverage=share(limited.known_kwh, limited.of_kwh),
        unit=ibis.literal("device-hours held"),
        query=_query(limited),
    )


def _query(rows: ir.Table) -> Any:
    # A row with an unknown part is in no list of SQL, so unknown becomes a value.
    columns = ", ".join("coalesce(region, '')" if name == "region" else name for name in DEVICE_HOUR)
    of_hours = selected(
        rows, "energy", ("device_model",), "device_kind = 'gpu'", "coverage > 0", what=f"({columns})"
    ) + (f" group by {columns} having count(*) = count(energy_kwh) and sum(energy_kwh) * 1000 <= ")
    held = selected(
        rows, "emissions", [name for name in IDENTITY if name != "device_model"], "device_kind = 'gpu'",
        "workload_id is not null",
    )  # fmt: skip
    return held + f" and ({columns}) in (" + of_hours + rows.limit_w.cast("string") + " * max(coverage))"

"""Estimates and telemetry as rows of one kind, so that they can be held against each other.

What belongs here: columns that one of them has and the other lacks. What does not: which of them counts (`blending`).
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.raw import EnergyReadings
from energy_assets.contracts.rescaling import rescaled
from energy_assets.contracts.vocabulary import DeviceKind

OWNER = ("project", "model_id", "workload_type")
BESIDE = ("is_machine", *(f"billed_{name}" for name in OWNER))
"""Columns beyond those of `EnergyReadings`: whether the row is of a machine that may have telemetry, and whom the bill
names as owner."""
HARDWARE = ("device_hours", "embodied_g")
"""Columns of `Energy` that bills alone tell: hours of accelerators, and the share of the manufacture."""


def of_telemetry(readings: ir.Table) -> ir.Table:
    """Readings with the columns of `BESIDE` and an interval that the source does not state.

    Args:
        readings: Rows of the contract `EnergyReadings` with `source`.
    """
    pct = {} if "uncertainty_pct" in readings.columns else {"uncertainty_pct": ibis.null(t.PERCENT)}
    wide = readings.mutate(
        is_machine=ibis.literal(True),
        device_hours=ibis.null(t.FIGURE),
        embodied_g=ibis.null(t.GRAMS),
        **{f"billed_{name}": ibis.null(t.TEXT) for name in OWNER},
        **pct,
    )
    return wide.select(*_COLUMNS)


def of_estimates(estimates: ir.Table) -> ir.Table:
    """Estimates in the same columns.

    Args:
        estimates: Rows of the contract `UsageEstimates`.
    """
    gpus = estimates.device_kind == DeviceKind.GPU.value
    rows = estimates.mutate(
        energy_kwh=rescaled(estimates.energy_kwh, t.MEASURED),
        device_hours=ibis.ifelse(gpus, estimates.amount, None).cast(t.FIGURE),
        device_uuid=ibis.null(t.TEXT),
        idle=ibis.literal(False),
        labels=ibis.null(t.LABELS),
        **{f"billed_{name}": estimates[name] for name in OWNER},
    )
    return rows.select(*_COLUMNS)


_COLUMNS = (*schema_of(EnergyReadings), "source", "uncertainty_pct", *BESIDE, *HARDWARE)


def owned_by_bills(rows: ir.Table) -> ir.Table:
    """Rows in which what a bill lets one estimate belongs to whom the bill names, as its cost does.

    Args:
        rows: With project, model_id and workload_type from the rules, and the columns of `BESIDE`.
    """
    billed = rows.billed_project.notnull()
    return rows.mutate(**{name: ibis.ifelse(billed, rows[f"billed_{name}"], rows[name]) for name in OWNER})

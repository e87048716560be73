"""Rows for tests: a contract's columns from the few values a test cares about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts import raw, tables
from energy_assets.contracts.audit import schema_of

DAY = date(2024, 5, 9)
SHA = "ab" * 32
READING = {
    "day": DAY, "node_id": "n1", "device_id": "n1", "device_kind": "node", "share_id": "all",
    "energy_kwh": Decimal(1), "usage_hours": Decimal(1), "method": "metered_node", "quality_tier": 2,
    "coverage": Decimal(1), "idle": False, "labels": {}, "raw_sha256": SHA,
}  # fmt: skip
ENERGY = {
    "day": DAY, "source": "meters", "provider": "onprem", "region": "r1", "zone": "DE", "project": "unknown",
    "workload_type": "unknown", "node_id": "n1", "device_id": "n1", "device_kind": "node", "share_id": "all",
    "energy_kwh": Decimal(1), "usage_hours": Decimal(1), "method": "metered_node", "quality_tier": 2,
    "coverage": Decimal(1), "uncertainty_pct": Decimal(1), "raw_sha256": SHA,
}  # fmt: skip
INTENSITY = {
    "day": DAY, "zone": "DE", "lifecycle_gco2e_per_kwh": Decimal(400), "direct_gco2e_per_kwh": Decimal(300),
    "is_estimated": False, "resolution": "hour", "factor_id": "f", "raw_sha256": SHA,
}  # fmt: skip
GRID = INTENSITY | {"factor_tier": 1, "source": "grid"}
EMISSION = {key: value for key, value in ENERGY.items() if key != "usage_hours"} | {"ghg_scope": "scope2"}
COUNTS = {
    "day": DAY, "deployment": "d1", "model_id": "m1", "requests": 10, "failed_requests": 0, "prompt_tokens": 100,
    "generated_tokens": 200, "coverage": Decimal(1), "labels": {}, "raw_sha256": SHA,
}  # fmt: skip
ACTIVITY = {key: value for key, value in COUNTS.items() if key != "labels"} | {
    "source": "serving", "project": "unknown", "workload_type": "inference",
}  # fmt: skip
CHARGE = {
    "day": DAY, "provider": "aws", "charge_category": "Usage", "billed_cost": Decimal(1), "billing_currency": "EUR",
    "billing_period": date(2024, 5, 1), "labels": {}, "raw_sha256": SHA,
}  # fmt: skip
COST = {key: value for key, value in CHARGE.items() if key != "labels"} | {
    "source": "bills", "project": "unknown", "workload_type": "unknown",
}  # fmt: skip
ESTIMATE = {
    "day": DAY, "source": "bills", "provider": "aws", "account_id": "1", "region": "eu-central-1", "project": "unknown",
    "workload_type": "unknown", "node_id": "i-1", "is_machine": True, "device_id": "gpu H100", "device_kind": "gpu",
    "device_model": "H100", "share_id": "unknown//unknown/", "amount": Decimal(8), "amount_unit": "gpu_h",
    "utilization": Decimal("0.5"), "replication": Decimal(1), "energy_kwh": Decimal("3.04"), "usage_hours": Decimal(1),
    "method": "estimated_capacity", "quality_tier": 4, "coverage": Decimal(0), "uncertainty_pct": Decimal(84),
    "raw_sha256": SHA,
}  # fmt: skip
DEFAULTS: dict[Any, Mapping[str, Any]] = {
    raw.EnergyReadings: READING,
    raw.IntensityRows: INTENSITY,
    raw.InferenceCounts: COUNTS,
    raw.Charges: CHARGE,
    raw.UsageEstimates: ESTIMATE,
    tables.Energy: ENERGY,
    tables.GridIntensity: GRID,
    tables.Emissions: EMISSION,
    tables.Activity: ACTIVITY,
    tables.Cost: COST,
}


def at(hour: int = 0, day: date = DAY) -> datetime:
    """The start of an hour, as the lake keeps it: UTC without a zone."""
    return datetime(day.year, day.month, day.day, hour)


def table(model: Any, rows: Iterable[Mapping[str, Any]]) -> ir.Table:
    """Rows of a contract; what a row does not say is the default above, else NULL. `hour` starts its day."""
    schema = schema_of(model).to_pyarrow()
    filled = []
    for row in rows:
        full = {**dict.fromkeys(schema.names), **DEFAULTS[model], **row}
        for name in ("hour", "charge_period_start", "charge_period_end"):
            if name in full and full[name] is None:
                full[name] = at(0, full["day"])
        filled.append({name: full[name] for name in schema.names})
    return ibis.memtable(pa.Table.from_pylist(filled, schema=schema))


def rows_of(con: Any, expression: ir.Table) -> list[dict[str, Any]]:
    """The rows of an expression, as plain Python values."""
    found: list[dict[str, Any]] = con.to_pyarrow(expression).to_pylist()
    return found


def instant(text: str) -> datetime:
    """An ISO instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

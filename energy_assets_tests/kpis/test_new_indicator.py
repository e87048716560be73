"""A new KPI is one description: proven by adding one, from lake rows to the KPI table and the evidence query."""

from __future__ import annotations

from decimal import Decimal

import pytest

from energy_assets.disclosures.methods import QUANTITIES
from energy_assets.kpis.indicators import INDICATORS, Indicator
from energy_assets.kpis.ingredients import Filter, total
from energy_assets_tests.kpis.test_indicators import ONE, kpis, served, used

PER_FAILURE = Indicator(
    "training_kwh_per_failed_request", "Training energy per failed request", "ratio", "kWh per request", "M-NEW",
    "IT energy of training by GPUs / failed requests",
    total("emissions", "energy_kwh", Filter("workload_type", "=", "training"), Filter("device_kind", "=", "gpu")),
    total("activity", "failed_requests"), ("total", "project"),
)  # fmt: skip


def test_one_description_makes_a_kpi(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table's column and a condition that no other KPI asks for need no other edit."""
    monkeypatch.setitem(INDICATORS, PER_FAILURE.name, PER_FAILURE)
    energy = [
        used(ONE, 0, "dublin", "IE", "lab", None, "training", "8", device_kind="gpu"),
        used(ONE, 1, "dublin", "IE", "lab", None, "training", "2", device_kind="cpu"),
        used(ONE, 2, "dublin", "IE", "lab", None, "inference", "1", device_kind="gpu"),
    ]
    daily, monthly = kpis(energy, [served(ONE, 0, "m", 10, 10, project="lab", failed_requests=16)], [])

    for rows in (daily, monthly):
        made = {(r["grain"], r["project"]): r for r in rows if r["kpi"] == PER_FAILURE.name}
        assert {key: row["value"] for key, row in made.items()} == {
            ("total", None): Decimal("0.5"),
            ("project", "lab"): Decimal("0.5"),
        }
        assert made["total", None]["unit"] == "kWh per request"
        assert made["total", None]["uncertainty_pct"] == Decimal(1)
    assert QUANTITIES[PER_FAILURE.name].label == "Training energy per failed request"
    assert PER_FAILURE.numerator.rows.sql() == (
        "select sum(energy_kwh) from emissions where workload_type = 'training' and device_kind = 'gpu'"
    )

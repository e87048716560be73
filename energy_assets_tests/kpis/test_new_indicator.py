"""A new KPI is one function: proven by adding one and reading it at every grain it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts.tables import KPI_DIMENSIONS
from energy_assets.kpis.daily import by_member, indicators
from energy_assets.kpis.facts import MEASURES
from energy_assets.kpis.indicators import INDICATORS, Parts, indicator


@pytest.fixture
def tokens_per_kwh() -> Iterator[None]:
    @indicator("tokens per kWh", grains=("total", "model_id"))
    def tokens_per_kwh(m: ibis.Table) -> Parts:
        """Generated tokens per kilowatt-hour of inference, its share of idle energy included."""
        return m.generated_tokens, m.served_kwh

    yield
    del INDICATORS["tokens_per_kwh"]


def test_one_function_makes_a_kpi(tokens_per_kwh: None) -> None:
    measures = {name: None for name in MEASURES}
    rows = [
        {"model_id": "m", **measures, "served_kwh": Decimal(4)},
        {"model_id": "m", **measures, "generated_tokens": Decimal(1000)},
    ]
    dimensions = dict.fromkeys(KPI_DIMENSIONS)
    schema = ibis.schema({"day": "date", **dict.fromkeys([*KPI_DIMENSIONS, "currency"], "string"), **MEASURES})
    facts = pa.Table.from_pylist(
        [{"day": date(2026, 11, 18), **dimensions, "currency": None, **row} for row in rows], schema.to_pyarrow()
    )

    long = indicators(by_member(ibis.memtable(facts)))
    made = long.filter(long.kpi == "tokens_per_kwh").to_pyarrow().to_pylist()

    assert {(row["grain"], row["model_id"], row["value"]) for row in made} == {
        ("total", None, Decimal(250)),
        ("model_id", "m", Decimal(250)),
    }
    assert INDICATORS["tokens_per_kwh"].description.startswith("Generated tokens per kilowatt-hour")

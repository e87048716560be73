"""Proofs of a reconciliation: parts that add up, and the band whose limit passes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.proof import Proof
from energy_assets.contracts.reconciliation import RECONCILES, STEPS_ADD_UP, TOLERANCE
from energy_assets.contracts.tables import Reconciliation

MONTH = date(2024, 5, 1)
ROW = {
    "month": MONTH, "against": "invoice", "source": "bills", "provider": "onprem", "region": "r1",
    "service": "electricity", "meter": "M1", "quantity": "facility_kwh", "unit": "kWh", "ours": 110, "theirs": 100,
    "difference": 10, "by_energy": 10, "by_lag": 0, "theirs_compared": 100, "compared_hours": 24,
    "ours_only_hours": 0, "theirs_only_hours": 0, "gap_hours": 0, "why": "energy", "raw_sha256": "a" * 64,
}  # fmt: skip


def breaches(proof: Proof, tolerance: str = "10", **changes: Any) -> int:
    con = ibis.duckdb.connect(threads=1)
    schema = schema_of(Reconciliation).to_pyarrow()
    row = {name: ROW.get(name) for name in schema.names} | changes
    exact = {name: Decimal(str(value)) if pa.types.is_decimal(schema.field(name).type) and value is not None else value
             for name, value in row.items()}  # fmt: skip
    rows = con.create_table("rows", pa.Table.from_pylist([exact], schema=schema))
    limit = pa.table({"tolerance_pct": pa.array([Decimal(tolerance)], pa.decimal128(6, 3))})
    return proof.bind({TOLERANCE: con.create_table("limits", limit)}).breaches(con, rows, "month").count


@pytest.mark.parametrize(
    ("tolerance", "theirs", "off", "found"),
    [
        ("10", "100", "10", 0),
        ("10", "100", "-10", 0),
        ("10", "100", "10.000000000000001", 1),
        ("10", "100", "-10.000000000000001", 1),
        ("9.999", "100", "10", 1),
        ("0", "100", "0", 0),
        ("10", "0", "0", 0),
        ("10", "0", "1", 1),
    ],
)
def test_the_limit_passes_and_what_is_beyond_it_does_not(tolerance: str, theirs: str, off: str, found: int) -> None:
    ours = Decimal(theirs) + Decimal(off)
    changes = {"ours": ours, "theirs": theirs, "difference": off, "by_energy": off, "theirs_compared": theirs}
    assert breaches(RECONCILES, tolerance, **changes) == found
    assert breaches(STEPS_ADD_UP, tolerance, **changes) == 0


def test_what_one_side_lacks_or_does_not_count_is_not_judged() -> None:
    for part in ("by_coverage", "by_lag", "by_boundary"):
        assert breaches(RECONCILES, "1", by_energy=None, **{part: 10}) == 0
    for part in ("by_energy", "by_pue", "by_intensity", "unexplained"):
        assert breaches(RECONCILES, "1", **{"by_energy": None, part: 10}) == 1


def test_only_what_is_compared_is_the_measure() -> None:
    lag = {"ours": 210, "difference": 110, "by_lag": 100}
    assert breaches(RECONCILES, "10", **lag) == 0
    assert breaches(RECONCILES, "10", **lag, theirs_compared=99) == 1
    assert breaches(RECONCILES, "10", ours=None, difference=None, by_energy=None, by_lag=None) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"by_energy": Decimal("10.000000000000001")},
        {"by_energy": None},
        {"difference": 9, "by_energy": 9},
        {"ours": None, "difference": None},
        {"difference": None, "by_energy": None, "by_lag": None},
    ],
)
def test_parts_that_are_not_the_difference_are_found(changes: dict[str, Any]) -> None:
    assert breaches(STEPS_ADD_UP) == 0
    assert breaches(STEPS_ADD_UP, **changes) == 1

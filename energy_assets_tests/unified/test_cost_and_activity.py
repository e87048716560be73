"""Unified cost and activity: rows of every source, amounts and counts as they came."""

from __future__ import annotations

from decimal import Decimal

import ibis

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import Charges, InferenceCounts
from energy_assets.contracts.tables import Activity, Cost
from energy_assets.site import Rule
from energy_assets.unified.activity import activity
from energy_assets.unified.cost import cost
from energy_assets_tests.rows import rows_of, table

CON = ibis.duckdb.connect(threads=1)
RULES = [Rule.model_validate({"match": {"team": "a*"}, "project": "{label:team}", "workload_type": "training"})]


def test_charges_keep_every_digit_and_equal_lines_stay_two() -> None:
    amount = Decimal("0.000000123456789012")
    lines = [{"billed_cost": amount, "labels": {"team": "alpha"}}] * 2 + [{"billed_cost": -amount}]
    more = [{"billed_cost": Decimal("12345678901234567.89"), "billing_currency": "USD", "provider": "gcp"}]
    sources = {"bills": table(Charges, lines), "payer": table(Charges, more)}
    charges = ibis.union(*(rows.mutate(source=ibis.literal(name)) for name, rows in sources.items()))
    made = conform(cost(charges, RULES), Cost)
    audit(made, Cost)
    found = sorted(
        (r["source"], r["provider"], r["project"], r["workload_type"], r["billed_cost"], r["billing_currency"])
        for r in rows_of(CON, made)
    )
    assert found == [
        ("bills", "aws", "alpha", "training", amount, "EUR"),
        ("bills", "aws", "alpha", "training", amount, "EUR"),
        ("bills", "aws", "unknown", "unknown", -amount, "EUR"),
        ("payer", "gcp", "unknown", "unknown", Decimal("12345678901234567.89"), "USD"),
    ]


def test_a_server_nobody_claims_is_still_inference_and_unknown_counts_stay_unknown() -> None:
    rows = [{"requests": None}, {"deployment": "d2", "labels": {"team": "alpha"}, "requests": 2**53 + 1}]
    made = conform(activity({"serving": table(InferenceCounts, rows)}, RULES), Activity)
    audit(made, Activity)
    found = sorted(
        (r["deployment"], r["project"], r["model_id"], r["workload_type"], r["requests"]) for r in rows_of(CON, made)
    )
    assert found == [("d1", "unknown", "m1", "inference", None), ("d2", "alpha", "m1", "training", 2**53 + 1)]
    assert {r["flop"] for r in rows_of(CON, made)} == {None}

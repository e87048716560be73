"""Unified cost and activity: rows of every source, amounts and counts as they came."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ibis
import pytest

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import Charges, InferenceCounts
from energy_assets.contracts.serving import served_twice
from energy_assets.contracts.tables import Activity, Cost
from energy_assets.site import Rule
from energy_assets.unified.activity import activity
from energy_assets.unified.cost import cost
from energy_assets_tests.rows import at, rows_of, table

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


def served(rank: str, *hours: int | None, **more: Any) -> tuple[str, list[dict[str, Any]]]:
    """A source and the requests of a deployment, hour by hour; None where it saw nothing."""
    lines = [
        {"hour": at(number), "requests": n, "prompt_tokens": n, "generated_tokens": n, "failed_requests": n and 0,
         "coverage": Decimal(n is not None), "labels": {"namespace": "llm", "job": rank}, **more}
        for number, n in enumerate(hours)
    ]  # fmt: skip
    return rank, lines


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        pytest.param(served("a", 5, 7, 0), served("b", 5, 7, 0), 12, id="the same in every hour"),
        pytest.param(served("a", 5, 7, None), served("b", 5, 7, 9), 21, id="one of them missed an hour"),
        pytest.param(served("a", 5, 7, 9), served("b", 5, 7, 8), 41, id="one hour differs"),
        pytest.param(served("a", 5, 0, 0), served("b", 5, 0, 0), 10, id="equal in one hour alone"),
        pytest.param(served("a", 5, 7), served("b", 5, 7, deployment="d2"), 24, id="two deployments"),
        pytest.param(served("a", 5, 7), served("b", 5, 7, model_id="m2"), 24, id="two models"),
        pytest.param(served("a", 5, 7), served("b", 5, 7, labels={"namespace": "x"}), 24, id="two namespaces"),
        pytest.param(served("a", 5, 7), served("b", 5, 7, prompt_tokens=3), 24, id="other tokens"),
    ],
)
def test_a_server_that_two_sources_tell_of_counts_once(one: Any, other: Any, total: int) -> None:
    counts = {name: table(InferenceCounts, lines) for name, lines in (one, other)}
    made = rows_of(CON, conform(activity(counts, []), Activity))
    assert sum(row["requests"] or 0 for row in made) == total
    told = rows_of(CON, served_twice(conform(activity(counts, []), Activity), {}))
    alike = other[1][0].get("deployment", "d1") == "d1" and other[1][0].get("model_id", "m1") == "m1"
    assert bool(told) == (total in (41, 10, 24) and alike), "what is not known to be one is told"

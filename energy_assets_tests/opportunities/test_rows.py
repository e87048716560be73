"""What every row gets: an id that no month changes, and the rules that may speak of the same kWh."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import ibis

from energy_assets.contracts.vocabulary import OpportunityRule as Rule
from energy_assets.opportunities.rows import Found, opportunities, opportunity_id
from energy_assets_tests.kpis.tables import typed
from energy_assets_tests.rows import rows_of

MAY, JUNE = date(2024, 5, 1), date(2024, 6, 1)
NAMES = ("provider", "account_id", "region", "node_id", "project", "workload_type")
COLUMNS: dict[str, Any] = {
    "month": "date", **dict.fromkeys(NAMES, "string"), "energy_kwh": "decimal(38, 12)", "of_kwh": "decimal(38, 12)",
    "unit": "string", "query": "string",
}  # fmt: skip


def found(rule: Rule, identity: tuple[str, ...], *rows: dict[str, Any]) -> Found:
    given = {"month": MAY, "energy_kwh": 1, "of_kwh": 2, "unit": "days", "query": "select 1"}
    table = typed(COLUMNS, [given | row for row in rows])
    return Found(rule, identity, table.mutate(days=1, row_count=1), "do it", "as is")


def test_an_id_is_of_rule_and_subject_and_unknown_is_a_value_of_its_own() -> None:
    con = ibis.duckdb.connect()
    rows = typed({"a": "string", "b": "string"}, [{"a": "x", "b": None}, {"a": "x", "b": ""}, {"a": None, "b": "x"}])
    ids = [row["id"] for row in rows_of(con, rows.select(id=opportunity_id(rows, "r", ("a", "b"))))]
    assert ids[0] == hashlib.sha256(b"r\x1fx\x1f\x1e").hexdigest()[:12]
    assert len(set(ids)) == 3
    (other,) = rows_of(con, rows.limit(1).select(id=opportunity_id(rows, "s", ("a", "b"))))
    assert other["id"] not in ids


def test_rules_that_may_speak_of_the_same_kwh_are_named() -> None:
    """The idle GPUs of i-1 may be in the oversized i-1; the training is elsewhere, and in the regions' training."""
    host = ("provider", "region", "node_id")
    aws = {"provider": "aws", "region": "r", "node_id": "i-1"}
    work = {"provider": "aws", "project": "p", "workload_type": "batch"}
    every = [
        found(Rule.IDLE_ACCELERATORS, host, aws | {"workload_type": "idle"}),
        found(Rule.OVERSIZED_MACHINES, host, aws, aws | {"node_id": "i-2"}, aws | {"provider": "gcp"}),
        found(Rule.MOVABLE_HOURS, ("project", "region"), work | {"region": "s"}),
        found(Rule.CLEANER_REGIONS, ("project",), work, work | {"project": "q", "month": JUNE}),
    ]
    told = rows_of(ibis.duckdb.connect(), opportunities(every))
    rows = {(row["rule"], row["subject"], row["month"]): row["overlaps"] for row in told}
    assert rows == {
        ("idle_accelerators", "aws · r · host i-1", MAY): "oversized_machines",
        ("oversized_machines", "aws · r · host i-1", MAY): "idle_accelerators, cleaner_regions",
        ("oversized_machines", "aws · r · host i-2", MAY): "cleaner_regions",
        ("oversized_machines", "gcp · r · host i-1", MAY): None,
        ("movable_hours", "s · project p", MAY): "cleaner_regions",
        ("cleaner_regions", "project p", MAY): "movable_hours, oversized_machines",
        ("cleaner_regions", "project q", JUNE): None,
    }


def test_grams_of_several_scopes_are_no_figure_and_their_electricity_is() -> None:
    rows = [
        {"node_id": "a", "ghg_scope": "scope2", "location_g": 5},
        {"node_id": "b", "ghg_scope": None, "location_g": 7},
    ]
    columns = {**COLUMNS, "ghg_scope": "string", "location_g": "decimal(38, 15)"}
    given = {"month": MAY, "energy_kwh": 1, "of_kwh": 2, "unit": "days", "query": "select 1"}
    table = typed(columns, [given | row for row in rows]).mutate(days=1, row_count=1)
    one = Found(Rule.IDLE_ACCELERATORS, ("node_id",), table, "do it", "as is")
    told = {row["node_id"]: row for row in rows_of(ibis.duckdb.connect(), opportunities([one]))}
    assert (told["a"]["location_g"], told["a"]["measured_g"]) == (5, 5)
    assert (told["b"]["location_g"], told["b"]["measured_g"], told["b"]["energy_kwh"]) == (None, None, 1)

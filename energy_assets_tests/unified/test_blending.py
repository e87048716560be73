"""Telemetry of a machine replaces its estimate, hour by hour and part by part; nothing is counted twice or lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from energy_assets.contracts.conservation import energy_not_conserved
from energy_assets.contracts.nodes import node_names
from energy_assets.contracts.raw import EnergyReadings, UsageEstimates
from energy_assets.contracts.tables import Energy
from energy_assets.site import NodeRule
from energy_assets.unified.energy import energy
from energy_assets.unified.estimated import of_estimates, of_telemetry
from energy_assets_tests.rows import rows_of, table

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
Row = dict[str, Any]
PLACE = {"provider": "aws", "region": "eu-central-1"}
SOURCES = ("telemetry", "bills")


def estimate(kind: str, kwh: str, amount: int = 8, **more: Any) -> Row:
    unit = {"gpu": "gpu_h", "cpu": "vcpu_h", "dram": "GB_h", "storage": "GB_h", "instance": "instance_h"}[kind]
    return {"device_kind": kind, "device_id": kind, "device_model": None, "energy_kwh": Decimal(kwh) if kwh else None,
            "amount": Decimal(amount), "amount_unit": unit, "project": "lab", **more}  # fmt: skip


def seen(kind: str, kwh: str | None, number: int = 0, coverage: str = "1", node: str = "i-1", **more: Any) -> Row:
    name = node if kind == "node" else f"{kind}{number}"
    return {"node_id": node, "device_id": name, "device_kind": kind, "energy_kwh": Decimal(kwh) if kwh else None,
            "coverage": Decimal(coverage), "method": "measured_counter", **PLACE, **more}  # fmt: skip


BILL = [estimate("gpu", "3.04"), estimate("cpu", "0.2", 192), estimate("dram", "0.8", 2048)]


def stored(name: str, model: Any, rows: list[Row]) -> Any:
    """Rows as the lake has them: every column may be NULL."""
    return CON.create_table(name, table(model, rows), temp=True, overwrite=True)


def unified(telemetry: list[Row], estimates: list[Row], nodes: tuple[NodeRule, ...] = ()) -> list[Row]:
    """Rows of `energy`; every table any test makes is proven to conserve energy."""
    made, upstream = staged(telemetry, estimates, nodes)
    assert rows_of(CON, energy_not_conserved(made, upstream)) == []
    return sorted(rows_of(CON, made), key=lambda row: (row["device_kind"], row["source"], row["device_id"]))


def staged(
    telemetry: list[Row], estimates: list[Row], nodes: tuple[NodeRule, ...] = ()
) -> tuple[ir.Table, dict[str, ir.Table]]:
    """The table `energy`, and what proofs compare it with."""
    raw, usage = stored("raw", EnergyReadings, telemetry), stored("usage", UsageEstimates, estimates)
    parts = of_telemetry(raw.mutate(source=ibis.literal("telemetry"))).union(of_estimates(usage))
    ranks = ibis.cases(*[(parts.source == name, rank) for rank, name in enumerate(SOURCES)], else_=9)
    readings = parts.mutate(zone=ibis.literal("DE"), source_rank=ranks.cast("int32"))
    names = CON.create_table(
        "names", node_names(readings.filter(readings.is_machine), nodes), temp=True, overwrite=True
    )
    made = CON.create_table("made", energy(readings, [], {}, names, estimated=True), temp=True, overwrite=True)
    places = ibis.memtable(
        [("raw_telemetry", None, None)], schema={"table": "string", "provider": "string", "region": "string"}
    )
    upstream = {"raw_telemetry": raw, "usage_estimates": usage, "places": places, "node_names": names}
    return made, upstream


def by_kind(rows: list[Row], source: str = "bills") -> dict[str, Decimal]:
    return {row["device_kind"]: row["energy_kwh"] for row in rows if row["source"] == source}


def test_without_telemetry_the_estimate_stays() -> None:
    assert by_kind(unified([], BILL)) == {"gpu": Decimal("3.04"), "cpu": Decimal("0.2"), "dram": Decimal("0.8")}


def test_devices_replace_the_part_of_their_kind() -> None:
    rows = unified([seen("gpu", "0.5", n) for n in range(8)], BILL)
    assert by_kind(rows) == {"cpu": Decimal("0.2"), "dram": Decimal("0.8")}
    assert sum(row["energy_kwh"] for row in rows) == Decimal("5")


@pytest.mark.parametrize(
    ("gpus", "coverage", "left"),
    [(2, "1", "2.28"), (8, "0.25", "2.28"), (1, "0.5", "2.85"), (9, "1", None), (16, "0.5", None)],
)
def test_what_was_not_observed_stays_estimated(gpus: int, coverage: str, left: str | None) -> None:
    found = by_kind(unified([seen("gpu", "0.1", n, coverage) for n in range(gpus)], BILL))
    assert found.get("gpu") == (left and Decimal(left))


def test_manufacture_and_hours_of_what_was_observed_leave_the_estimate() -> None:
    billed = estimate("gpu", "4", embodied_g=Decimal(40))
    (whole,) = unified([], [billed])
    assert (whole["device_hours"], whole["embodied_g"]) == (8, 40)
    rows = unified([seen("gpu", "0.5", number) for number in range(2)], [billed])
    hardware = {row["method"]: (row["device_hours"], row["embodied_g"]) for row in rows}
    assert hardware == {"measured_counter": (None, None), "estimated_capacity": (6, 30)}


def test_a_machine_that_ran_for_half_the_hour_and_was_observed_as_long_is_whole() -> None:
    bill = [
        estimate("gpu", "1.52", 4, usage_hours=Decimal("0.5")),
        estimate("cpu", "0.1", 96, usage_hours=Decimal("0.5")),
    ]
    rows = unified([*(seen("gpu", "0.2", n, "0.5") for n in range(8)), seen("cpu", "0.05", 0, "0.5")], bill)
    assert by_kind(rows) == {}


def test_a_meter_of_the_machine_replaces_all_of_it_by_what_it_observed() -> None:
    assert by_kind(unified([seen("node", "6", coverage="1")], BILL)) == {}
    quarter = by_kind(unified([seen("node", "6", coverage="0.75")], BILL))
    assert quarter == {"gpu": Decimal("0.76"), "cpu": Decimal("0.05"), "dram": Decimal("0.2")}


def test_readings_without_a_value_replace_nothing() -> None:
    assert by_kind(unified([seen("gpu", None, n, "0") for n in range(8)], BILL))["gpu"] == Decimal("3.04")


def test_other_machines_regions_and_hours_replace_nothing() -> None:
    other = [seen("gpu", "0.5", 0, node="i-2"), {**seen("gpu", "0.5", 1), "region": "eu-west-1"}]
    assert by_kind(unified(other, BILL))["gpu"] == Decimal("3.04")


def test_a_name_given_in_the_site_file_is_the_same_machine() -> None:
    telemetry = [seen("gpu", "0.5", n, node="ip-10-0-0-7") for n in range(8)]
    found = unified(telemetry, BILL, (NodeRule(name="i-1", also=("ip-10-0-0-7",)),))
    assert "gpu" not in by_kind(found)
    assert {row["node_id"] for row in found} == {"i-1"}


def test_an_unknown_machine_with_telemetry_is_its_telemetry() -> None:
    found = unified([seen("gpu", "0.5")], [estimate("instance", "", 1)])
    assert [(row["source"], row["energy_kwh"]) for row in found] == [("telemetry", Decimal("0.5"))]


def test_what_is_no_machine_stays_whatever_it_is_called() -> None:
    storage = [
        estimate("storage", "0.1", 1, node_id=name, is_machine=False) for name in ("a.example.com", "a.example.org")
    ]
    found = unified([seen("node", "6")], storage)
    assert [row["node_id"] for row in found if row["source"] == "bills"] == ["a.example.com", "a.example.org"]


def test_an_estimate_belongs_to_whom_the_bill_names() -> None:
    assert {row["project"] for row in unified([], BILL)} == {"lab"}


def test_the_proof_finds_an_estimate_beside_its_telemetry() -> None:
    raw = stored("raw", EnergyReadings, [seen("gpu", "0.5", n) for n in range(8)])
    usage = stored("usage", UsageEstimates, BILL)
    made = table(
        Energy,
        [{**PLACE, "node_id": "i-1", "device_id": "gpu", "device_kind": "gpu", "energy_kwh": Decimal("3.041"),
          "method": "estimated_capacity"}],
    )  # fmt: skip
    names = node_names(of_estimates(usage), ())
    places = ibis.memtable(
        [("raw_telemetry", None, None)], schema={"table": "string", "provider": "string", "region": "string"}
    )
    upstream = {"raw_telemetry": raw, "usage_estimates": usage, "places": places, "node_names": names}
    assert rows_of(CON, energy_not_conserved(made, upstream)) != []

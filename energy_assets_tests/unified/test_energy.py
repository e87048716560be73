"""Unified energy: each kWh once, whatever meters overlap, and none lost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import EnergyReadings
from energy_assets.contracts.tables import Energy
from energy_assets.site import Rule
from energy_assets.sources.base import Place
from energy_assets.unified.energy import energy, joined, overdrawn, unbalanced
from energy_assets_tests.rows import DAY, at, rows_of, table

HERE = Place(region="r1", zone="DE")
THERE = Place(region="r2", provider="aws")
UNCERTAINTY = {
    ("metered_node", "node"): Decimal(1),
    ("measured_counter", "gpu"): Decimal(5),
    ("measured_power", ""): Decimal(7),
}
CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
Row = dict[str, Any]


def node(kwh: Any, **more: Any) -> Row:
    return {"energy_kwh": kwh if kwh is None else Decimal(str(kwh)), **more}


def device(kind: str, kwh: Any, name: str = "0", **more: Any) -> Row:
    return node(kwh, device_kind=kind, device_id=f"{kind}{name}", method="measured_counter", **more)


def unified(places: dict[str, Place] | None = None, rules: list[Rule] | None = None, **sources: list[Row]) -> list[Row]:
    """Rows of `energy`, in a stable order."""
    readings = {name: table(EnergyReadings, rows) for name, rows in sources.items()}
    places = {name: (places or {}).get(name, HERE) for name in sources}
    made = rows_of(CON, energy(readings, places, rules or [], UNCERTAINTY))
    return sorted(made, key=lambda r: (r["source"], r["hour"], r["device_id"], r["share_id"]))


def amounts(rows: list[Row]) -> list[tuple[str, str, Decimal | None]]:
    return [(r["source"], r["device_kind"], r["energy_kwh"]) for r in rows]


def test_a_row_carries_place_owner_and_uncertainty() -> None:
    (row,) = unified(
        {"meters": Place(region="r9", zone="FR", account_id="a1")},
        [Rule.model_validate({"match": {"team": "x"}, "project": "p", "model_id": "m", "workload_type": "batch"})],
        meters=[node("1.5", labels={"team": "x"})],
    )
    expected = {
        "source": "meters", "provider": "onprem", "account_id": "a1", "region": "r9", "zone": "FR", "project": "p",
        "model_id": "m", "workload_type": "batch", "energy_kwh": Decimal("1.5"), "uncertainty_pct": Decimal(1),
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_uncertainty_is_of_the_method_and_device_then_of_the_method_else_unknown() -> None:
    rows = unified(
        meters=[
            node(1),
            device("gpu", 1, node_id="n2"),
            device("cpu", 1, node_id="n2"),
            node(1, node_id="n3", method="measured_power"),
        ]
    )
    assert {(r["method"], r["device_kind"]): r["uncertainty_pct"] for r in rows} == {
        ("metered_node", "node"): 1,
        ("measured_counter", "gpu"): 5,
        ("measured_counter", "cpu"): None,
        ("measured_power", "node"): 7,
    }


def test_a_metered_node_becomes_the_rest_of_its_devices() -> None:
    rows = unified(meters=[node(10), device("gpu", 6), device("cpu", 2), device("dram", "0.5")])
    assert amounts(rows) == [
        ("meters", "cpu", 2), ("meters", "dram", Decimal("0.5")), ("meters", "gpu", 6),
        ("meters", "rest_of_node", Decimal("1.5")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([node(5), device("gpu", 6)], [("gpu", 6), ("rest_of_node", 0)]),
        ([node(6), device("gpu", 6)], [("gpu", 6), ("rest_of_node", 0)]),
        ([node(0), device("gpu", 6)], [("gpu", 6), ("rest_of_node", 0)]),
        ([node(None), device("gpu", 6)], [("gpu", 6), ("rest_of_node", None)]),
        ([node(5), device("gpu", None)], [("gpu", None), ("node", 5)]),
        ([device("gpu", 6), device("cpu", 1)], [("cpu", 1), ("gpu", 6)]),
        ([node(5), device("gpu", 1, node_id="n2")], [("gpu", 1), ("node", 5)]),
        ([node(5), device("gpu", 1, hour=at(1))], [("node", 5), ("gpu", 1)]),
        ([node(5), device("storage", 1)], [("node", 5), ("storage", 1)]),
    ],
)
def test_what_is_left_of_a_node_is_never_below_zero_and_never_made_up(
    rows: list[Row], expected: list[tuple[str, Any]]
) -> None:
    assert [(kind, kwh) for _, kind, kwh in amounts(unified(meters=rows))] == expected


def test_a_node_metered_by_one_source_holds_the_devices_of_another_in_the_same_place() -> None:
    assert amounts(unified(counters=[device("gpu", 6)], meters=[node(10)])) == [
        ("counters", "gpu", 6),
        ("meters", "rest_of_node", 4),
    ]
    apart = unified({"meters": THERE}, counters=[device("gpu", 6)], meters=[node(10)])
    assert [kind for _, kind, _ in amounts(apart)] == ["gpu", "node"]


def test_users_of_a_node_share_its_rest_in_proportion_and_exactly() -> None:
    """100 W with 40 W idle and activity 60/40 gives 36 and 24 W active and 40 W idle; 50 W of it in a GPU."""
    shares = [
        node("0.036", share_id="a"), node("0.024", share_id="b"), node("0.040", share_id="idle", idle=True),
        device("gpu", "0.050"),
    ]  # fmt: skip
    rows = unified(meters=shares)
    assert {r["share_id"]: r["energy_kwh"] for r in rows} == {
        "a": Decimal("0.018"), "b": Decimal("0.012"), "idle": Decimal("0.020"), "all": Decimal("0.050"),
    }  # fmt: skip
    assert {r["share_id"]: r["workload_type"] for r in rows}["idle"] == "idle"
    thirds = unified(meters=[node(1, share_id=name) for name in "abc"] + [device("gpu", 2)])
    assert sum(r["energy_kwh"] for r in thirds) == 3


def test_a_device_two_sources_tell_of_counts_once_by_tier_then_by_order() -> None:
    first, second = [device("gpu", 1, quality_tier=2)], [device("gpu", 2, quality_tier=2)]
    assert amounts(unified(a=first, b=second)) == [("a", "gpu", 1)]
    better = [device("gpu", 2, quality_tier=1)]
    assert amounts(unified(a=first, b=better)) == [("b", "gpu", 2)]
    other_hour = [device("gpu", 2, hour=at(1))]
    assert amounts(unified(a=first, b=other_hour)) == [("a", "gpu", 1), ("b", "gpu", 2)]
    assert amounts(unified({"b": THERE}, a=first, b=second)) == [("a", "gpu", 1), ("b", "gpu", 2)]


def test_of_two_sources_one_that_observed_the_hour_is_taken() -> None:
    """An hour the better source missed is not unknown when the other one has it."""
    assert amounts(unified(a=[device("gpu", None)], b=[device("gpu", 2, quality_tier=3)])) == [("b", "gpu", 2)]
    assert amounts(unified(a=[device("gpu", None)], b=[device("gpu", None)])) == [("a", "gpu", None)]


def test_all_users_of_a_shared_device_come_from_the_same_source() -> None:
    a = [device("gpu", "0.5", share_id=user, quality_tier=tier) for user, tier in (("x", 2), ("idle", 3))]
    assert amounts(unified(a=a, b=[device("gpu", 2, quality_tier=2)])) == [("a", "gpu", Decimal("0.5"))] * 2


def test_nodes_whose_devices_report_more_than_their_meter_are_named() -> None:
    rows = joined(
        {
            "m": table(
                EnergyReadings, [node(5), device("gpu", 6), node(5, node_id="n2"), device("gpu", 4, node_id="n2")]
            )
        },
        {"m": HERE},
    )
    assert [(r["node_id"], r["hour"], r["node_kwh"], r["inside_kwh"]) for r in rows_of(CON, overdrawn(rows))] == [
        ("n1", datetime(2024, 5, 9), 5, 6)
    ]


def test_the_table_keeps_its_contract_and_the_energy() -> None:
    readings = {
        "a": table(EnergyReadings, [node(1, share_id=name) for name in "abc"] + [device("gpu", "0.1")]),
        "b": table(EnergyReadings, [device("gpu", 9), node(None, node_id="n2"), device("storage", 2, node_id="n3")]),
    }
    places = {"a": HERE, "b": HERE}
    made = CON.create_table("unified", conform(energy(readings, places, [], UNCERTAINTY), Energy), temp=True)
    assert audit(made, Energy).rows == {DAY: 6}
    assert rows_of(CON, unbalanced(joined(readings, places), made)) == []


def test_a_published_table_that_lost_energy_is_found_out() -> None:
    rows = joined({"m": table(EnergyReadings, [node(10), device("gpu", 6)])}, {"m": HERE})
    lossy = table(Energy, [{"device_id": "gpu0", "energy_kwh": Decimal(6)}])
    (found,) = rows_of(CON, unbalanced(rows, lossy))
    assert (found["node_id"], found["gap_kwh"]) == ("n1", 4)


KWH = st.one_of(st.none(), st.decimals(0, 50, places=9))
METERS = [("node", "node"), ("gpu", "gpu0"), ("gpu", "gpu1"), ("cpu", "cpu0"), ("dram", "dram0"), ("storage", "disk")]
NODES = [f"n{number}" for number in range(8)]
READINGS = st.dictionaries(
    st.tuples(st.sampled_from(NODES), st.sampled_from(METERS), st.sampled_from(["all", "a", "b", "idle"])),
    KWH,
    min_size=40,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(READINGS)
def test_no_energy_is_lost_or_made(readings: dict[tuple[str, tuple[str, str], str], Decimal | None]) -> None:
    """For every node: its rows add up exactly to its meter, or to its devices where they report more."""
    rows = [
        {
            "node_id": name,
            "device_kind": kind,
            "device_id": id_,
            "share_id": share,
            "energy_kwh": kwh,
            "idle": share == "idle",
        }
        for (name, (kind, id_), share), kwh in readings.items()
    ]
    made = unified(meters=rows)
    assert len(made) == len(rows)
    assert all(r["energy_kwh"] is None or r["energy_kwh"] >= 0 for r in made)
    for name in NODES:
        whole = max(total(rows, name, "node"), total(rows, name, "gpu", "cpu", "dram")) + total(rows, name, "storage")
        assert total(made, name, "node", "rest_of_node", "gpu", "cpu", "dram", "storage") == whole


def total(rows: list[Row], name: str, *kinds: str) -> Decimal:
    mine = (r["energy_kwh"] for r in rows if r["node_id"] == name and r["device_kind"] in kinds)
    return sum((kwh for kwh in mine if kwh is not None), Decimal(0))

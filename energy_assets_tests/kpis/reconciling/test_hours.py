"""Devices beside meters and telemetry beside estimates, hour by hour, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import ibis
import pytest

from energy_assets.contracts.nodes import node_names, rename_nodes
from energy_assets.contracts.raw import EnergyReadings, UsageEstimates
from energy_assets.contracts.vocabulary import Against
from energy_assets.kpis.reconciling.hours import beside_estimates, beside_meters, comparisons
from energy_assets.kpis.reconciling.row import Comparison, Subject, row
from energy_assets.unified.energy import energy
from energy_assets.unified.estimated import of_estimates, of_telemetry
from energy_assets_tests.rows import table

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
Row = dict[str, Any]
PLACE = {"provider": "aws", "region": "eu-central-1"}


def at(hour: int) -> Row:
    stamp = datetime(2024, 5, 1 + hour // 24, hour % 24)
    return {"hour": stamp, "day": stamp.date()}


def seen(
    kind: str, kwh: str | None, hour: int = 0, number: int = 0, coverage: str = "1", node: str = "i-1", **more: Any
) -> Row:
    name = node if kind == "node" else f"{kind}{number}"
    return {"node_id": node, "device_id": name, "device_kind": kind, "energy_kwh": Decimal(kwh) if kwh else None,
            "coverage": Decimal(coverage), "method": "measured_counter", **PLACE, **at(hour), **more}  # fmt: skip


def estimate(kind: str, kwh: str | None, hour: int = 0, amount: int = 2, **more: Any) -> Row:
    unit = {"gpu": "gpu_h", "cpu": "vcpu_h", "dram": "GB_h"}[kind]
    return {"device_kind": kind, "device_id": kind, "device_model": None, "energy_kwh": Decimal(kwh) if kwh else None,
            "amount": Decimal(amount), "amount_unit": unit, "project": "lab", "source": "bills", **PLACE, **at(hour),
            **more}  # fmt: skip


def found(
    against: Against, telemetry: Sequence[Row], estimates: Sequence[Row] = ()
) -> list[tuple[Subject, Comparison]]:
    """Comparisons of readings by source (`source`, default 'a'), which are named and blended as the product does it."""
    sources = sorted({one.get("source", "a") for one in telemetry})
    parts = []
    for name in sources:
        mine = [{k: v for k, v in one.items() if k != "source"} for one in telemetry if one.get("source", "a") == name]
        stored = CON.create_table(f"raw_{name}", table(EnergyReadings, mine), temp=True, overwrite=True)
        parts.append(of_telemetry(stored.mutate(source=ibis.literal(name))))
    usage = CON.create_table("usage", table(UsageEstimates, list(estimates)), temp=True, overwrite=True)
    parts.append(of_estimates(usage))
    rows = ibis.union(*parts, distinct=False)
    ranks = ibis.cases(*[(rows.source == name, rank) for rank, name in enumerate([*sources, "bills"])], else_=9)
    readings = rows.mutate(zone=ibis.literal("DE"), source_rank=ranks.cast("int32"))
    machines = readings.filter(readings.is_machine)
    names = CON.create_table("names", node_names(machines, ()), temp=True, overwrite=True)
    made = CON.create_table("made", energy(readings, [], {}, names, estimated=True), temp=True, overwrite=True)
    beside = beside_meters if against is Against.NODE_METER else beside_estimates
    every = list(comparisons(beside(rename_nodes(machines, names), made), against))
    for subject, one in every:
        row(subject, one)  # refuses parts that do not add up
    return every


def parts(one: Comparison) -> dict[str, Decimal]:
    return {step.value: part for step, part in one.parts.items() if part}


METERS: dict[str, tuple[list[Row], tuple[str, str], dict[str, str]]] = {
    "what devices do not report is the rest of the node": (
        [seen("node", "0.5"), seen("gpu", "0.3"), seen("cpu", "0.1")], ("0.4", "0.5"), {"by_boundary": "-0.1"},
    ),
    "what they report beyond their meter is energy": (
        [seen("node", "0.5"), seen("gpu", "0.6")], ("0.6", "0.5"), {"by_energy": "0.1"},
    ),
    "one hour above and one below do not cancel": (
        [seen("node", "0.5"), seen("gpu", "0.6"), seen("node", "0.5", 1), seen("gpu", "0.3", 1)], ("0.9", "1.0"),
        {"by_energy": "0.1", "by_boundary": "-0.2"},
    ),
    "an hour observed in part is coverage": (
        [seen("node", "0.5"), seen("gpu", "0.1", coverage="0.5")], ("0.1", "0.5"), {"by_coverage": "-0.4"},
    ),
    "and so is one of the meter": (
        [seen("node", "0.2", coverage="0.5"), seen("gpu", "0.3")], ("0.3", "0.2"), {"by_coverage": "0.1"},
    ),
    "an hour without the meter between two with it is coverage": (
        [seen("node", "0.5"), seen("gpu", "0.5"), seen("gpu", "0.3", 1), seen("node", "0.5", 2), seen("gpu", "0.5", 2)],
        ("1.3", "1.0"), {"by_coverage": "0.3"},
    ),
    "and behind its end it is lag": (
        [seen("node", "0.5"), seen("gpu", "0.5"), seen("gpu", "0.3", 1)], ("0.8", "0.5"), {"by_lag": "0.3"},
    ),
    "the end of ours is lag as well": (
        [seen("node", "0.5"), seen("gpu", "0.5"), seen("node", "0.4", 1)], ("0.5", "0.9"), {"by_lag": "-0.4"},
    ),
    "a device that was not observed at all is no zero": (
        [seen("node", "0.5"), seen("gpu", "0.5"), seen("node", "0.4", 1), seen("gpu", None, 1, coverage="0")],
        ("0.5", "0.9"), {"by_lag": "-0.4"},
    ),
    "supplies of one node add up": (
        [seen("node", "0.3", device_id="psu1"), seen("node", "0.2", device_id="psu2"), seen("gpu", "0.4")],
        ("0.4", "0.5"), {"by_boundary": "-0.1"},
    ),
}  # fmt: skip


def on(node: str, rows: Sequence[Row]) -> list[Row]:
    """Rows of another machine, so that many cases are made at once."""
    named = {"i-1": node}
    return [{**one, "node_id": node, "device_id": named.get(one["device_id"], one["device_id"])} for one in rows]


@pytest.fixture(scope="module")
def metered() -> dict[str, Comparison]:
    cases = dict(enumerate(METERS))
    every = found(Against.NODE_METER, [one for n, name in cases.items() for one in on(f"n{n}", METERS[name][0])])
    return {cases[int(subject.service.removeprefix("n"))]: one for subject, one in every}


@pytest.mark.parametrize("case", METERS)
def test_devices_beside_their_meter(case: str, metered: dict[str, Comparison]) -> None:
    (_, (ours, theirs), expected), one = METERS[case], metered[case]
    assert (one.ours, one.theirs) == (Decimal(ours), Decimal(theirs))
    assert parts(one) == {name: Decimal(part) for name, part in expected.items()}


def test_two_meters_of_one_node_are_two_comparisons_and_the_devices_stand_in_both() -> None:
    rows = [seen("gpu", "0.4"), seen("node", "0.5", source="pdu"), seen("node", "0.45", source="ipmi", node="i-1.dc")]
    every = found(Against.NODE_METER, rows)
    assert [(s.source, s.service, s.meter, one.ours, one.theirs) for s, one in every] == [
        ("ipmi", "i-1", "i-1.dc", Decimal("0.4"), Decimal("0.45")),
        ("pdu", "i-1", "i-1", Decimal("0.4"), Decimal("0.5")),
    ]  # fmt: skip


def test_a_meter_without_devices_and_devices_without_a_meter_are_no_comparison() -> None:
    assert found(Against.NODE_METER, [seen("node", "0.5", node="store"), seen("gpu", "0.4")]) == []


def test_hours_are_counted() -> None:
    rows = [seen("node", "0.5"), seen("gpu", "0.2", coverage="0.25"), seen("node", "0.5", 1), seen("gpu", "0.5", 2)]
    ((_, one),) = found(Against.NODE_METER, rows)
    assert (one.compared_hours, one.ours_only_hours, one.theirs_only_hours) == (1, 1, 1)
    assert one.gap_hours == Decimal("0.75")
    assert one.missing == (
        "1 hour of ours without the meter", "1 hour of the meter without telemetry",
        "0.75 device-hours of ours were not observed",
    )  # fmt: skip


BILL = [estimate("gpu", "0.8"), estimate("cpu", "0.2", amount=32)]
ESTIMATES: dict[str, tuple[list[Row], list[Row], tuple[str, str], dict[str, str]]] = {
    "all devices: the rest is what one has alone": (
        [seen("gpu", "0.3"), seen("gpu", "0.3", number=1)], BILL, ("0.6", "1.0"),
        {"by_boundary": "-0.2", "by_energy": "-0.2"},
    ),
    "one of two devices is observed in part": (
        [seen("gpu", "0.3")], BILL, ("0.3", "1.0"), {"by_boundary": "-0.2", "by_coverage": "-0.5"},
    ),
    "a meter of the machine is held against all of it": (
        [seen("node", "1.3")], BILL, ("1.3", "1.0"), {"by_energy": "0.3"},
    ),
    "a meter beside devices is held against all of it": (
        [seen("node", "1.3"), seen("gpu", "0.5")], BILL, ("1.3", "1.0"), {"by_energy": "0.3"},
    ),
    "a kind that the bill has not is what one has alone": (
        [seen("gpu", "0.4"), seen("gpu", "0.4", number=1), seen("cpu", "0.2"), seen("dram", "0.1")], BILL,
        ("1.1", "1.0"), {"by_boundary": "0.1"},
    ),
    "half an hour of a machine that ran for half of it is all": (
        [seen("cpu", "0.1", coverage="0.5")], [estimate("cpu", "0.2", usage_hours=Decimal("0.5"))], ("0.1", "0.2"),
        {"by_energy": "-0.1"},
    ),
    "a type in no table is unexplained and no zero": (
        [seen("cpu", "0.1"), seen("gpu", "0.4"), seen("gpu", "0.4", number=1)],
        [estimate("gpu", None), estimate("cpu", "0.2")], ("0.9", "0.2"), {"by_energy": "-0.1", "unexplained": "0.8"},
    ),
    "an hour of the bill alone is what nobody observed": (
        [seen("cpu", "0.1", 1), seen("cpu", "0.1", 0)],
        [estimate("cpu", "0.1", 0), estimate("cpu", "0.1", 1), estimate("cpu", "0.1", 2)], ("0.2", "0.3"),
        {"by_lag": "-0.1"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def billed() -> dict[str, tuple[Subject, Comparison]]:
    cases = dict(enumerate(ESTIMATES))
    told = [one for n, name in cases.items() for one in on(f"n{n}", ESTIMATES[name][0])]
    guessed = [one for n, name in cases.items() for one in on(f"n{n}", ESTIMATES[name][1])]
    every = found(Against.BILL_ESTIMATE, told, guessed)
    return {cases[int(subject.service.removeprefix("n"))]: (subject, one) for subject, one in every}


@pytest.mark.parametrize("case", ESTIMATES)
def test_telemetry_beside_estimates(case: str, billed: dict[str, tuple[Subject, Comparison]]) -> None:
    (_, _, (ours, theirs), expected), (subject, one) = ESTIMATES[case], billed[case]
    assert (subject.source, one.ours, one.theirs) == ("bills", Decimal(ours), Decimal(theirs))
    assert parts(one) == {name: Decimal(part) for name, part in expected.items()}


def test_a_machine_on_the_bill_without_telemetry_is_no_comparison() -> None:
    assert found(Against.BILL_ESTIMATE, [seen("gpu", "0.4", node="other")], BILL) == []

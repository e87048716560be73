"""Measured utilization in estimates: whose it is, what part of an hour it covers, and the energy, by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts import types as t
from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.raw import UtilizationReadings
from energy_assets.contracts.unmatched_loads import LOADS, unmatched_loads
from energy_assets.estimates.utilization import loaded, readings_of, with_measured
from energy_assets.estimates.watts import in_squares, load_taken, open_load_pct, spread_pct
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import Outcome, run_days
from energy_assets.site import NodeRule, Site, load_site

DAY = date(2026, 11, 18)
HOUR = datetime(2026, 11, 18, 9)
INSTANCE = "i-0aaaaaaaaaaaaaaa1"
ARN = f"arn:aws:ec2:eu-west-1:1:instance/{INSTANCE}"
VM = "/subscriptions/a/resourcegroups/rg/providers/microsoft.compute/virtualmachines/vm1"


@pytest.mark.parametrize(
    ("measured", "covered", "default", "taken"),
    [("0.8", "1", "0.5", "0.8"), ("0.8", "0", "0.5", "0.5"), ("0.8", "0.25", "0.5", "0.575"), ("0", "1", "0.5", "0")],
)
def test_the_load_taken_of_an_hour(measured: str, covered: str, default: str, taken: str) -> None:
    assert load_taken(Fraction(measured), Fraction(covered), Fraction(default)) == Fraction(taken)


def test_the_interval_narrows_with_what_was_measured() -> None:
    idle, full, default = Fraction(60), Fraction(700), Fraction(1, 2)
    found = [
        open_load_pct(idle, full, load_taken(default, covered, default), covered, default)
        for covered in (Fraction(n, 4) for n in range(5))
    ]
    assert found[0] == spread_pct(idle, full, default)
    assert found == pytest.approx([84.210526, 63.157895, 42.105263, 21.052632, 0.0])


def reading(**keys: Any) -> dict[str, Any]:
    given = {
        "day": DAY, "hour": HOUR, "provider": "aws", "account_id": None, "region": None, "resource_id": INSTANCE,
        "component": "cpu", "utilization": Decimal("0.3"), "coverage": Decimal(1), "raw_sha256": "0" * 64,
    }  # fmt: skip
    return {**given, **keys}


def readings(*rows: Mapping[str, Any]) -> ibis.Table:
    schema = schema_of(UtilizationReadings)
    return ibis.memtable(pa.Table.from_pylist([dict(row) for row in rows], schema=ibis.schema(schema).to_pyarrow()))


THIRD = "i-0cccccccccccccccc"
HALF = {"utilization": Decimal("0.9"), "coverage": Decimal("0.5")}
RULES = (
    NodeRule(name=INSTANCE, also=("ip-10-0-0-7", "10.0.0.7")),
    NodeRule(name="{id}", match="gpu-(?P<id>i-.+)"),
    NodeRule(name="worker", also=("i-0bbbbbbbbbbbbbbb2",)),
)


@pytest.mark.parametrize(
    ("machine", "read", "measured"),
    [
        (INSTANCE, [[{"resource_id": "IP-10-0-0-7.eu-west-1.compute.internal:9100"}]], 0.3),
        (INSTANCE, [[{"resource_id": "10.0.0.7:9100"}]], 0.3),
        (INSTANCE, [[{"resource_id": "10.0.0.8:9100"}]], None),
        (INSTANCE, [[{"resource_id": f"gpu-{INSTANCE}"}]], 0.3),
        ("i-0bbbbbbbbbbbbbbb2", [[{"resource_id": "worker.dc1"}]], 0.3),  # the line renames the bill's machine
        # one source under two names that a line makes one, of which one saw more of the hour
        (
            INSTANCE,
            [
                [
                    {"resource_id": "10.0.0.7"},
                    {"resource_id": "ip-10-0-0-7", "utilization": Decimal("0.9"), "coverage": Decimal("0.5")},
                ]
            ],
            0.3,
        ),
        # two sources under two names
        (INSTANCE, [[{}], [{"resource_id": ARN, **HALF}]], 0.3),
        # one source under two names that nobody makes one
        (
            THIRD,
            [[{"resource_id": THIRD}, {"resource_id": ARN.replace(INSTANCE, THIRD), "utilization": Decimal(1)}]],
            None,
        ),
    ],
)
def test_names_of_the_site_file_and_of_several_sources(
    machine: str, read: list[list[Mapping[str, Any]]], measured: float | None
) -> None:
    bill = lines(line(node_id=machine, resource=f"arn:aws:ec2:eu-west-1:1:instance/{machine}"))
    told = readings_of([readings(*(reading(**one) for one in some)) for some in read], RULES)
    (row,) = with_measured(bill, told, RULES).to_pyarrow().to_pylist()
    assert row["measured"] == measured


ROWS = {
    "hour": t.HOUR, "provider": t.TEXT, "account_id": t.TEXT, "region": t.TEXT, "node_id": t.TEXT, "resource": t.TEXT,
    "device_kind": t.TEXT, "quantity": t.MONEY, **dict.fromkeys(
        ("instance_hours", "idle_kwh", "slope_kwh", "utilization", "default_pct", "known_pct"), ibis.dtype("float64")
    ),
}  # fmt: skip


def line(**keys: Any) -> dict[str, Any]:
    """One vCPU of an EC2 machine for an hour, with 1 W idle and 3 W at full load."""
    given = {
        "hour": HOUR, "provider": "aws", "account_id": "1", "region": "eu-west-1", "node_id": INSTANCE, "resource": ARN,
        "device_kind": "cpu", "quantity": Decimal(1), "instance_hours": 1.0, "idle_kwh": 0.001, "slope_kwh": 0.002,
        "utilization": 0.5, "default_pct": 53.85, "known_pct": 20.0,
    }  # fmt: skip
    return {**given, **keys}


def lines(*rows: Mapping[str, Any]) -> ibis.Table:
    return ibis.memtable(pa.Table.from_pylist([dict(row) for row in rows], schema=ibis.schema(ROWS).to_pyarrow()))


AZURE = {"provider": "azure", "node_id": "vm1", "resource": VM, "region": "westeurope"}
OTHER = VM.replace("/a/", "/b/")


@pytest.mark.parametrize(
    ("bill", "read", "measured"),
    [
        ({}, [{}], 0.3),
        ({}, [{"resource_id": ARN}], 0.3),
        ({}, [{"resource_id": "i-0cccccccccccccccc"}], None),
        ({}, [{"component": "gpu"}], None),
        ({"device_kind": "dram"}, [{}], None),
        ({}, [{"hour": datetime(2026, 11, 18, 10)}], None),
        ({}, [{"region": "eu-west-1"}], 0.3),
        ({}, [{"region": "us-east-1"}], None),
        ({}, [{"provider": "azure"}], None),
        (AZURE, [{"provider": "azure", "resource_id": VM.replace("rg/prov", "RG/prov").replace("vm1", "VM1")}], 0.3),
        (AZURE, [{"provider": "azure", "resource_id": "VM1"}], 0.3),  # a plain name, from a file with `columns`
        (AZURE, [{"provider": "azure", "resource_id": OTHER}], None),  # another subscription's machine of this name
        (
            AZURE,
            [
                {"provider": "azure", "resource_id": OTHER, "utilization": Decimal("0.9")},
                {"provider": "azure", "resource_id": VM},
            ],
            0.3,
        ),
        ({**AZURE, "region": None}, [{"provider": "azure", "resource_id": VM, "region": "West Europe"}], 0.3),
        (AZURE, [{"provider": "azure", "resource_id": VM, "region": "West Europe"}], 0.3),
        (  # a name of two resources is of none
            {"provider": "gcp", "node_id": "w1", "resource": None},
            [
                {"provider": "gcp", "resource_id": "W1"},
                {"provider": "gcp", "resource_id": "w1", "utilization": Decimal(1)},
            ],
            None,
        ),
        (  # two sources of one machine: the one that saw more of the hour
            {},
            [{"coverage": Decimal("0.5"), "utilization": Decimal("0.9")}, {}],
            0.3,
        ),
    ],
)  # fmt: skip
def test_whose_load_a_reading_is(
    bill: Mapping[str, Any], read: list[Mapping[str, Any]], measured: float | None
) -> None:
    found = with_measured(lines(line(**bill)), readings_of([readings(*(reading(**one) for one in read))]))
    (row,) = found.to_pyarrow().to_pylist()
    assert row["measured"] == measured
    assert row["node_id"] == bill.get("node_id", INSTANCE)


@pytest.mark.parametrize(
    ("rows", "covered"),
    [
        ([{"measured_coverage": 1.0}], [1.0]),
        ([{"measured_coverage": 0.25}], [0.25]),
        ([{"measured_coverage": 0.25, "quantity": Decimal("0.25")}], [1.0]),  # it ran for that quarter alone
        ([{"measured_coverage": 0.5, "quantity": Decimal("0.25")}], [1.0]),
        ([{"measured_coverage": 0.5, "quantity": Decimal("0.5")}] * 2, [0.5, 0.5]),  # two lines of one machine
        ([{"measured_coverage": 0.5, "instance_hours": 0.0}], [0.5]),  # the bill does not count machines
        ([{"measured": None, "measured_coverage": None}], [0.0]),
        ([{"measured_coverage": 1.0, "slope_kwh": 0.0}], [0.0]),  # what draws the same whatever is done
    ],
)
def test_the_part_of_an_hour_that_was_measured_and_the_same_arithmetic_as_on_paper(
    rows: list[dict[str, Any]], covered: list[float]
) -> None:
    given = [{**line(), "measured": 0.8, **row} for row in rows]
    kinds = {**ROWS, "measured": ibis.dtype("float64"), "measured_coverage": ibis.dtype("float64")}
    table = ibis.memtable(pa.Table.from_pylist(given, schema=ibis.schema(kinds).to_pyarrow()))
    found = loaded(table).to_pyarrow().to_pylist()
    assert [row["covered"] for row in found] == covered
    for row in found:
        part = Fraction(row["covered"])
        if not part:
            assert (row["taken"], row["pct"]) == (row["utilization"], row["default_pct"])
            continue
        taken = load_taken(Fraction("0.8"), part, Fraction("0.5"))
        open_pct = open_load_pct(Fraction(1), Fraction(3), taken, part, Fraction("0.5"))
        assert row["taken"] == pytest.approx(float(taken))
        assert row["pct"] == pytest.approx(in_squares(open_pct, 20.0))


SITE = f"""
organisation: {{name: Renters}}
start: {DAY}
sources:
  - {{name: bills, kind: focus_files, path: bill.csv}}
  - {{name: load, kind: utilization_files, path: "load/*.json"}}
places:
  - {{provider: aws, region: eu-west-1, zone: IE, pue: 1.1}}
"""
CHARGE = {
    "BilledCost": "98.32", "BillingAccountId": "1", "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-11-01 00:00:00",
    "BillingPeriodEnd": "2026-12-01 00:00:00", "ChargeCategory": "Usage", "ChargePeriodStart": f"{DAY} 09:00:00",
    "ChargePeriodEnd": f"{DAY} 10:00:00", "EffectiveCost": "98.32", "ListCost": "98.32", "ProviderName": "AWS",
    "ServiceName": "Amazon Elastic Compute Cloud", "RegionId": "eu-west-1", "ResourceId": ARN,
    "ChargeDescription": "$98.32 per On Demand Linux p5.48xlarge Instance Hour", "SkuMeter": "BoxUsage:p5.48xlarge",
    "ConsumedQuantity": "1", "ConsumedUnit": "Hours", "PricingQuantity": "1", "PricingUnit": "Hours", "Tags": "{}",
}  # fmt: skip


def write(folder: Path, results: list[dict[str, Any]], charges: list[dict[str, str]]) -> Site:
    (folder / "load").mkdir()
    (folder / "load/cw.json").write_text(json.dumps({"MetricDataResults": results}))
    with (folder / "bill.csv").open("w", newline="") as file:
        out = csv.DictWriter(file, list(CHARGE))
        out.writeheader()
        out.writerows(charges)
    (folder / "site.yaml").write_text(SITE)
    return load_site(folder / "site.yaml")


def series(metric: str, stamps: list[str], values: list[float], period: int) -> dict[str, Any]:
    label = f"{metric} {INSTANCE} Average {period}"
    return {"Id": "m", "Label": label, "Timestamps": stamps, "Values": values, "StatusCode": "Complete"}


def run(site: Site) -> Outcome:
    outcome = run_days(site, DayRange(DAY, DAY), lambda step: None)
    assert outcome.success, outcome.failures
    return outcome


def test_an_hour_of_eight_gpus_by_hand_from_a_bill_and_an_export(tmp_path: Path) -> None:
    at = [f"{DAY}T09:00:00+00:00"]
    told = [series("nvidia_smi_utilization_gpu", at, [80], 3600), series("CPUUtilization", at, [30], 3600)]
    site = write(tmp_path, told, [CHARGE])
    run(site)
    _, rows = ask(
        site,
        "select device_kind, round(energy_kwh, 12), utilization, method, quality_tier, uncertainty_pct "
        "from usage_estimates order by device_kind",
    )
    assert rows == [
        # 192 x (0.4556 + 0.3 x (1.9573 − 0.4556)) = 173.97312 W; the interval is that of the watts
        ("cpu", Decimal("0.17397312"), Decimal("0.3"), "estimated_utilization", 3, Decimal(22)),
        # (2048 − 192 x 1.0714) x 0.392 W: nobody measured, and the same whatever is done
        ("dram", Decimal("0.7221781504"), Decimal(0), "estimated_capacity", 4, Decimal(50)),
        # 8 x (60 + 0.8 x (700 − 60)) = 4576 W; nobody states the interval of an H100's watts
        ("gpu", Decimal("4.576"), Decimal("0.8"), "estimated_utilization", 3, None),
    ]
    _, energy = ask(site, "select device_kind, energy_kwh, quality_tier from energy order by device_kind")
    assert energy == [
        ("cpu", Decimal("0.17397312"), 3), ("dram", Decimal("0.722178150"), 4), ("gpu", Decimal("4.576"), 3),
    ]  # fmt: skip


def test_half_an_hour_that_was_read_leaves_the_default_in_the_other_half(tmp_path: Path) -> None:
    at = [f"{DAY}T09:{minute:02}:00+00:00" for minute in range(0, 30, 5)]
    site = write(tmp_path, [series("CPUUtilization", at, [30] * 6, 300)], [CHARGE])
    run(site)
    _, rows = ask(site, "select energy_kwh, utilization, quality_tier, uncertainty_pct from usage_estimates "
                  "where device_kind = 'cpu'")  # fmt: skip
    # Half at 0.3, half at 0.5: 192 x (0.4556 + 0.4 x 1.5017) = 202.80576 W. Open: 0.5 x 1.5017 x 0.5 of 1.05628 W is
    # 35.5422 %, with the 22 % of the watts 41.8003 %.
    assert rows == [(Decimal("0.20280576"), Decimal("0.4"), 3, Decimal("41.800"))]


def test_without_a_reading_the_default_stays_and_readings_of_no_billed_machine_are_told(tmp_path: Path) -> None:
    told = {**series("CPUUtilization", [f"{DAY}T09:00:00+00:00"], [30], 3600)}
    told["Label"] = "CPUUtilization i-0ccccccccccccccc3 Average 3600"
    site = write(tmp_path, [told], [CHARGE])
    outcome = run(site)
    _, rows = ask(site, "select utilization, method, quality_tier from usage_estimates where device_kind <> 'dram'")
    assert set(rows) == {(Decimal("0.5"), "estimated_capacity", 4)}
    assert [line for line in outcome.warnings if "loads_find_machines" in line]


def usage(**keys: Any) -> dict[str, Any]:
    given = {"day": DAY, "provider": "aws", "node_id": INSTANCE, "is_machine": True, "device_kind": "cpu"}
    return {**given, "method": "estimated_capacity", **keys}


@pytest.mark.parametrize(
    ("bill", "read", "told"),
    [
        ([usage()], [reading(resource_id="i-0cccccccccccccccc")], [(INSTANCE, "i-0cccccccccccccccc")]),
        ([usage(), usage(node_id="i-0d", method="estimated_utilization")], [reading()], []),
        ([usage(is_machine=False)], [reading()], []),  # no machine was billed
        ([usage(device_kind="storage")], [reading()], []),
        ([usage()], [reading(provider="azure")], []),
        ([usage()], [reading(day=date(2026, 11, 19))], []),
        ([usage()], None, []),
    ],
)
def test_readings_of_no_machine_of_the_bill_are_told(
    bill: list[dict[str, Any]], read: list[dict[str, Any]] | None, told: list[tuple[str, str]]
) -> None:
    upstream = {} if read is None else {LOADS: readings(*read)}
    found = unmatched_loads(ibis.memtable(pa.Table.from_pylist(bill)), upstream).to_pyarrow().to_pylist()
    assert [(row["billed"], row["read"]) for row in found] == told

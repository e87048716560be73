"""Energy of bill lines: by the hour, linear in use, the same however days, accounts and lines are cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import UsageEstimates
from energy_assets.contracts.tables import Cost
from energy_assets.estimates.constants import Constants
from energy_assets.estimates.lines import components_table, costs_of_kinds, kinds_of, used
from energy_assets.estimates.usage import usage_estimates
from energy_assets.site import SpendProxy
from energy_assets_tests.estimates.plain import MACHINES, kwh_by_hour
from energy_assets_tests.rows import DAY, at, rows_of, table

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
EC2 = "Amazon Elastic Compute Cloud"
Row = dict[str, Any]


def line(
    meter: str, quantity: Any, unit: str = "Hrs", hours: float = 1, start: datetime | None = None, **more: Any
) -> Row:
    begin = start or at(0)
    return {
        "day": begin.date(), "hour": begin.replace(minute=0), "charge_period_start": begin,
        "charge_period_end": begin + timedelta(hours=hours), "service_name": EC2, "sku_meter": meter,
        "account_id": "1", "region": "eu-central-1", "resource_id": "i-0123456789abcdef0",
        "consumed_quantity": Decimal(str(quantity)), "consumed_unit": unit, **more,
    }  # fmt: skip


def estimated(
    lines: Iterable[Mapping[str, Any]], days: Sequence[date] = (DAY,), constants: Constants | None = None
) -> list[Row]:
    """Rows of the contract `UsageEstimates`, as the asset makes them."""
    told = used(table(Cost, lines))
    kinds = kinds_of(CON.create_table("lines", told, temp=True, overwrite=True), constants or Constants())
    made = usage_estimates(told, ibis.memtable(components_table(kinds.items())), list(days))
    kept = CON.create_table("made", made, temp=True, overwrite=True)
    return sorted(rows_of(CON, kept), key=lambda row: (row["hour"], row["node_id"], row["device_id"], row["share_id"]))


def total(rows: Iterable[Row], kind: str | None = None) -> Decimal:
    return sum((r["energy_kwh"] or Decimal(0) for r in rows if kind in (None, r["device_kind"])), Decimal(0))


def test_p5_by_hand() -> None:
    gpu, cpu, memory = (next(r for r in estimated([line("BoxUsage:p5.48xlarge", 1)]) if r["device_kind"] == kind)
                        for kind in ("gpu", "cpu", "dram"))  # fmt: skip
    assert gpu["energy_kwh"] == Decimal("3.04")  # 8 x (60 + 0.5 x 640) W
    assert (gpu["amount"], gpu["amount_unit"], gpu["usage_hours"]) == (8, "gpu_h", 1)
    assert gpu["uncertainty_pct"] == Decimal("84.211")  # 320 of 380 W; nobody states an interval of the watts
    assert cpu["energy_kwh"] == Decimal("0.2316384")  # 192 x (0.4556 + 0.5 x (1.9573 − 0.4556)) W
    assert memory["amount_unit"] == "GB_h"
    assert {row["method"] for row in (gpu, cpu, memory)} == {"estimated_capacity"}


@pytest.mark.parametrize("region", ["us-east-1", "eu-north-1"])
def test_m5_xlarge_uses_the_same_in_every_region(region: str) -> None:
    day = [line("BoxUsage:m5.xlarge", 1, start=at(hour), region=region) for hour in range(24)]
    assert total(estimated(day), "cpu") == Decimal("0.20352")  # 24 h x 4 x (0.74 + 0.5 x 2.76) W


def test_an_instance_day_is_the_same_alone_within_two_days_and_asked_twice() -> None:
    lines = [line("BoxUsage:g5.xlarge", 1, start=at(0) + timedelta(hours=n)) for n in range(48)]
    days = [DAY, DAY + timedelta(days=1)]
    alone = estimated(lines[:24])
    assert alone == estimated(lines[:24])
    assert alone == [row for row in estimated(lines, days) if row["day"] == DAY]
    assert total(alone, "gpu") == Decimal("2.052")


def test_a_day_of_one_line_is_spread_over_its_hours_and_nothing_is_lost() -> None:
    rows = [r for r in estimated([line("BoxUsage:g5.xlarge", 24, hours=24)]) if r["device_kind"] == "gpu"]
    assert [r["hour"] for r in rows] == [at(hour) for hour in range(24)]
    assert {r["energy_kwh"] for r in rows} == {Decimal("0.0855")}
    assert {r["usage_hours"] for r in rows} == {1}


def test_a_month_of_one_line_is_spread_over_its_days() -> None:
    storage = {"service_name": "Amazon Simple Storage Service", "resource_id": "corpus"}
    month = line("TimedStorage-ByteHrs", 1, "GB-Mo", hours=31 * 24, start=datetime(2024, 5, 1), **storage)
    every = [date(2024, 5, 1) + timedelta(days=n) for n in range(31)]
    rows = estimated([month], every)
    assert len(rows) == 744
    assert float(total(rows)) == pytest.approx(0.65 * 744 * 6 / 10**6, rel=1e-9)
    assert estimated([month], [DAY]) == [row for row in rows if row["day"] == DAY]


def test_what_is_no_use_has_no_energy() -> None:
    none = [
        line("BoxUsage:p5.48xlarge", 1, charge_category=category)
        for category in ("Tax", "Purchase", "Credit", "Adjustment")
    ]
    unused = line("BoxUsage:p5.48xlarge", 1, commitment_discount_status="Unused")
    reserved = [
        line("$1 per p5.48xlarge Instance Hour", 1, resource_id="arn:aws:ec2:eu-west-1:1:capacity-reservation/cr-0be4"),
        line("$1 per p5.48xlarge Instance Hour", 1, resource_id="arn:aws:ec2:eu-west-1:1:<capacity-reservation>/cr-0b"),
        line(
            "D2s v3", 1, "Hours", provider="azure", service_name="Virtual Machines",
            resource_id="/subscriptions/s/providers/Microsoft.Compute/capacityReservationGroups/g/capacityReservations/c",
        ),
    ]  # fmt: skip
    assert estimated([*none, unused, *reserved]) == []


def test_reserved_and_spot_use_the_same() -> None:
    kinds = [
        line("BoxUsage:p5.48xlarge", 1),
        line("SpotUsage:p5.48xlarge", 1),
        line("BoxUsage:p5.48xlarge", 1, commitment_discount_status="Used", billed_cost=Decimal(0)),
    ]
    assert len({total(estimated([one])) for one in kinds}) == 1


def test_parts_of_an_hour_under_two_prices_are_one_machine() -> None:
    rows = estimated([line("BoxUsage:g5.xlarge", "0.25"), line("SpotUsage:g5.xlarge", "0.75")])
    assert [r["amount"] for r in rows if r["device_kind"] == "gpu"] == [1]


def test_a_machine_in_no_table_is_unknown_and_not_zero() -> None:
    (row,) = estimated([line("BoxUsage:zz9.48xlarge", 1)])
    assert (row["energy_kwh"], row["uncertainty_pct"]) == (None, None)
    assert (row["device_kind"], row["device_model"]) == ("instance", "zz9.48xlarge")
    assert (row["amount"], row["amount_unit"]) == (1, "instance_h")


def test_an_accelerator_without_published_power_is_unknown() -> None:
    (row,) = estimated([line("BoxUsage:trn1.32xlarge", 1)])
    assert (row["energy_kwh"], row["device_model"]) == (None, "Trainium")


@pytest.mark.parametrize(
    ("lines", "grams"),
    [
        ([line("BoxUsage:p5.48xlarge", 2)], {"gpu": 2 * 8 * 164_000 / 35_040, "cpu": None, "dram": None}),
        ([line("BoxUsage:m5.xlarge", 1)], {"cpu": 4 * 1_610_790 / 35_040 / 96, "dram": 0}),
        ([line("BoxUsage:m5.xlarge", "0.25")], {"cpu": 1_610_790 / 35_040 / 96, "dram": 0}),
        ([line("BoxUsage:p6-b200.48xlarge", 1)], {"gpu": 8 * 284_250 / 35_040}),
        ([line("BoxUsage:m5.xlarge", 1), line("BoxUsage:c9g.large", 1)], {"cpu": None}),
        ([line("BoxUsage:zz9.48xlarge", 1)], {"instance": None}),
        ([line("BoxUsage:trn1.32xlarge", 1)], {"instance": None}),
        ([line("BoxUsage:m5.xlarge", -1)], {"cpu": None}),
    ],
)
def test_manufacture_goes_with_hours_of_accelerators_and_the_share_of_vcpus(
    lines: list[Row], grams: dict[str, float | None]
) -> None:
    """HGX H100: 164 kg per GPU; m5: a server of 1,610.79 kg and 96 vCPUs, its memory within. 4 years of 8,760 h."""
    rows = {row["device_kind"]: row["embodied_g"] for row in estimated(lines)}
    for kind, wanted in grams.items():
        assert rows[kind] == (None if wanted is None else pytest.approx(Decimal(wanted), rel=Decimal("1e-9"))), kind


def test_use_below_zero_is_unknown() -> None:
    rows = estimated([line("BoxUsage:g5.xlarge", -1)])
    assert {row["energy_kwh"] for row in rows} == {None}
    assert total(estimated([line("BoxUsage:g5.xlarge", 1), line("BoxUsage:g5.xlarge", "-0.5")]), "gpu") == Decimal(
        "0.04275"
    )


@pytest.mark.parametrize(
    ("provider", "resource", "node", "machine"),
    [
        ("aws", "i-0123456789abcdef0", "i-0123456789abcdef0", True),
        ("aws", "arn:aws:ec2:eu-central-1:1:instance/i-0123456789abcdef0", "i-0123456789abcdef0", True),
        ("aws", "vol-0123456789abcdef0", "vol-0123456789abcdef0", False),
        ("aws", None, f"1/{EC2}", False),
        ("gcp", "//compute.googleapis.com/projects/p/instances/GPU-1", "gpu-1", True),
        ("azure", "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/ND-0", "nd-0", True),
        (
            "azure",
            "/subscriptions/0/providers/Microsoft.Compute/virtualMachineScaleSets/aks-gpu-vmss/virtualMachines/3",
            "aks-gpu-vmss_3",
            True,
        ),
    ],
)
def test_a_machine_is_called_as_its_telemetry_calls_it(
    provider: str, resource: str | None, node: str, machine: bool
) -> None:
    meters = {"aws": "BoxUsage:g5.xlarge", "gcp": "N2 Instance Core running in Netherlands", "azure": "ND96asr A100 v4"}
    services = {"aws": EC2, "gcp": "Compute Engine", "azure": "Virtual Machines"}
    row = estimated([
        line(meters[provider], 1, "Hours", provider=provider, service_name=services[provider], resource_id=resource)
    ])[0]  # fmt: skip
    assert (row["node_id"], row["is_machine"]) == (node, machine)


def test_two_machines_of_one_name_keep_their_whole_paths() -> None:
    paths = [f"//compute.googleapis.com/projects/{project}/instances/gpu-1" for project in "ab"]
    rows = estimated([
        line("N2 Instance Core running in Netherlands", 1, "hour", provider="gcp", service_name="Compute Engine",
             resource_id=path) for path in paths
    ])  # fmt: skip
    assert [row["node_id"] for row in rows] == paths


METERS = {**dict.fromkeys(MACHINES, "Hrs"), "EBS:VolumeUsage.gp3": "GB-Mo", "USW2-TimedStorage-ByteHrs": "GB-Mo",
          "CAN1-APN1-AWS-Out-Bytes": "GB"}  # fmt: skip
LINES = st.lists(
    st.builds(
        lambda meter, quantity, start, hours, account: line(
            meter, quantity, METERS[meter], hours, at(0) + timedelta(minutes=15 * start), account_id=account,
            service_name="Amazon Simple Storage Service" if meter.startswith("USW2") else EC2, resource_id=None,
        ),
        st.sampled_from(sorted(METERS)),
        st.decimals(0, 1000, places=6),
        st.integers(0, 95),
        st.sampled_from([0.25, 1, 6, 24, 49]),
        st.sampled_from("ab"),
    ),
    min_size=8,
    max_size=30,
)  # fmt: skip
DAYS = [DAY + timedelta(days=n) for n in range(4)]
EASY = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
"""Few, because each plans several queries; each has many lines."""


@EASY
@given(LINES)
def test_a_second_implementation_says_the_same(lines: list[Row]) -> None:
    rows = [row for row in estimated(lines, DAYS) if row["device_kind"] not in ("cpu", "dram")]
    found: dict[tuple[str, datetime], float] = {}
    for row in rows:
        key = (row["device_id"], row["hour"])
        found[key] = found.get(key, 0) + float(row["energy_kwh"])
    expected = {key: float(kwh) for key, kwh in kwh_by_hour(lines).items()}
    assert found.keys() == expected.keys()
    for key, kwh in expected.items():
        # Shares of an hour are rounded to 12 digits, a machine with 8 H100 draws 3.04 kWh in one, and lines add up.
        assert found[key] == pytest.approx(kwh, rel=1e-9, abs=1e-10), key


@EASY
@given(LINES, st.integers(1, 3))
def test_days_accounts_and_lines_may_be_cut_anyhow(lines: list[Row], cut: int) -> None:
    whole = estimated(lines, DAYS)
    apart = [*estimated(lines, DAYS[:cut]), *estimated(lines, DAYS[cut:])]
    assert apart == whole
    by_account = [row for name in "ab" for row in estimated([x for x in lines if x["account_id"] == name] or [], DAYS)]
    assert sorted(map(repr, by_account)) == sorted(map(repr, whole))


@EASY
@given(LINES, st.integers(2, 9))
def test_energy_is_linear_in_use(lines: list[Row], times: int) -> None:
    many = [{**one, "consumed_quantity": one["consumed_quantity"] * times} for one in lines]
    assert float(total(estimated(many, DAYS))) == pytest.approx(
        float(total(estimated(lines, DAYS)) * times), rel=1e-9, abs=1e-11
    )


def test_rows_keep_their_contract() -> None:
    lines = [line("BoxUsage:g5.xlarge", 1), line("BoxUsage:zz9.48xlarge", 1), line("EBS:VolumeUsage.gp3", 1, "GB-Mo")]
    told = used(table(Cost, lines))
    kinds = kinds_of(CON.create_table("lines", told, temp=True, overwrite=True), Constants())
    made = usage_estimates(told, ibis.memtable(components_table(kinds.items())), [DAY])
    kept = CON.create_table("made", conform(made, UsageEstimates), temp=True, overwrite=True)
    audit(kept, UsageEstimates)


def test_every_kind_is_listed_with_its_cost() -> None:
    lines = [
        line("BoxUsage:g5.xlarge", 1, billed_cost=Decimal(3)),
        line("BoxUsage:zz9.48xlarge", 1, billed_cost=Decimal(1)),
        line("USW2-Requests-Tier1", 5, "Requests", service_name="Amazon Simple Storage Service"),
        line(
            "BoxUsage:g5.xlarge",
            1,
            billed_cost=Decimal(2),
            consumed_quantity=None,
            consumed_unit="Hrs",
            pricing_unit="Hrs",
        ),
    ]
    told = used(table(Cost, lines))
    kinds = kinds_of(CON.create_table("lines", told, temp=True, overwrite=True), Constants())
    found = rows_of(CON, costs_of_kinds(told, ibis.memtable(components_table(kinds.items()))))
    assert {(row["reason"], row["billed_cost"], row["lines"]) for row in found} == {
        (None, Decimal(3), 1),
        ("unknown type", Decimal(1), 1),
        ("no method", Decimal(1), 1),
        ("no quantity", Decimal(2), 1),
    }


PROXY = SpendProxy(
    provider="aws",
    service="Amazon S*",
    currency="EUR",
    kwh_per_unit=Decimal("0.25"),
    uncertainty_pct=Decimal(300),
    source="ours",
)
REQUESTS = {"service_name": "Amazon Simple Queue Service", "resource_id": None}


def test_energy_per_money_is_for_services_without_a_method_where_a_site_asks_for_it() -> None:
    asked = Constants(spend=[PROXY])
    lines = [
        line("Requests-Tier1", 5000, "Requests", billed_cost=Decimal(8), **REQUESTS),
        line("BoxUsage:g5.xlarge", 1, billed_cost=Decimal(100)),
    ]
    spent = [row for row in estimated(lines, constants=asked) if row["method"] == "spend_proxy"]
    assert [
        (r["energy_kwh"], r["amount"], r["amount_unit"], r["quality_tier"], r["uncertainty_pct"]) for r in spent
    ] == [(Decimal(2), Decimal(8), "currency", 4, Decimal(300))]
    assert (spent[0]["device_kind"], spent[0]["device_model"]) == ("service", "Amazon Simple Queue Service")
    assert [row for row in estimated(lines) if row["device_kind"] == "service"] == []


def test_money_in_another_currency_is_no_energy_and_stays_listed() -> None:
    other = line("Requests-Tier1", 5000, "Requests", billed_cost=Decimal(8), billing_currency="USD", **REQUESTS)
    told = used(table(Cost, [other]))
    kinds = kinds_of(CON.create_table("lines", told, temp=True, overwrite=True), Constants(spend=[PROXY]))
    components = ibis.memtable(components_table(kinds.items()))
    assert rows_of(CON, usage_estimates(told, components, [DAY])) == []
    assert [row["reason"] for row in rows_of(CON, costs_of_kinds(told, components))] == ["no method"]

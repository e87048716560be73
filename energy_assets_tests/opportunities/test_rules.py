"""Each rule on a few rows, with numbers made by hand; every row's own query returns the rows it stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from energy_assets.contracts import tables as contracts
from energy_assets.contracts.audit import conform
from energy_assets.contracts.raw import UsageEstimates
from energy_assets.contracts.vocabulary import OpportunityRule
from energy_assets.opportunities import commitments, hours, idle, oversized, regions, regressed, reserved
from energy_assets.opportunities.machine_costs import machine_costs
from energy_assets.opportunities.rows import Found, opportunities
from energy_assets_tests.rows import DAY, at, rows_of, table

MONTH = date(2024, 5, 1)
GPU: dict[str, Any] = {
    "provider": "aws", "account_id": "1", "region": "eu-central-1", "node_id": "i-1", "device_id": "GPU-1",
    "device_kind": "gpu", "method": "measured_counter", "pue": Decimal("1.5"), "factor_basis": "direct",
    "factor_resolution": "hour", "grams_uncertainty_pct": Decimal(5), "uncertainty_pct": Decimal(2),
}  # fmt: skip


def emission(kwh: str | None, g_per_kwh: int | None = 200, **more: Any) -> dict[str, Any]:
    """A row of emissions: `kwh` of IT energy at a PUE of 1.5 unless told otherwise."""
    row = GPU | more
    energy = None if kwh is None else Decimal(kwh)
    facility = None if energy is None or row["pue"] is None else energy * row["pue"]
    grams = None if facility is None or g_per_kwh is None else facility * g_per_kwh
    return row | {"energy_kwh": energy, "facility_kwh": facility, "location_g": grams}


def keep(con: Any) -> Any:
    def kept(rows: ir.Table) -> ir.Table:
        return con.create_table(ibis.util.gen_name("kept"), rows, temp=True)

    return kept


@pytest.fixture
def con() -> Any:
    found = ibis.duckdb.connect(threads=1)
    found.raw_sql("SET TimeZone = 'UTC'")
    return found


def made(con: Any, found: Found, lake: Mapping[str, tuple[Any, Sequence[Mapping[str, Any]]]]) -> list[dict[str, Any]]:
    """Rows of the contract; asserts that the query of each returns as many rows as it says."""
    every = opportunities([found])
    conform(every, contracts.Opportunities, "opportunities")
    rows = sorted(rows_of(con, every), key=lambda row: str(row["subject"]))
    for name, (model, given) in lake.items():
        con.create_view(name, table(model, given), overwrite=True)
    for row in rows:
        assert len(con.con.execute(row["query"]).fetchall()) == row["row_count"], row["query"]
    return rows


def no_costs() -> ir.Table:
    return machine_costs(table(contracts.Cost, []))


def test_idle_accelerators_by_hand(con: Any) -> None:
    """Two hosts: i-1 idles 0.2 + 0.3 kWh of 2.5 on two days; i-2 is used all the time, and that is measured too."""
    given = [
        emission("0.2", workload_type="idle", share_id="idle"),
        emission("0.3", 400, workload_type="idle", share_id="idle", day=DAY + timedelta(1), uncertainty_pct=Decimal(4)),
        emission("2", workload_id="pod-1", hour=at(1)),
        emission("5", device_kind="cpu", device_id="cpu", workload_type="idle"),
        emission("1", node_id="i-2", workload_id="pod-1"),
        emission("9", node_id="o'hara", provider="onprem"),
    ]
    bill = [{"provider": "aws", "account_id": "1", "region": "eu-central-1",
             "resource_id": "arn:aws:ec2:eu-central-1:1:instance/i-0123456789abcdef0", "billed_cost": Decimal(75),
             "effective_cost": Decimal(60)}]  # fmt: skip
    for row in given[:4]:
        row["node_id"] = "i-0123456789abcdef0"
    found = idle.idle_accelerators(table(contracts.Emissions, given), machine_costs(table(contracts.Cost, bill)))
    one = Found(OpportunityRule.IDLE_ACCELERATORS, idle.IDENTITY, found, idle.WHAT, idle.BASIS)
    first, second = made(con, one, {"emissions": (contracts.Emissions, given)})
    assert (first["node_id"], first["found"], first["row_count"], first["days"]) == ("i-0123456789abcdef0", True, 2, 2)
    assert (first["energy_kwh"], first["facility_kwh"], first["of_kwh"]) == (
        Decimal("0.5"),
        Decimal("0.75"),
        Decimal("2.5"),
    )
    assert first["location_g"] == Decimal("0.3") * 200 + Decimal("0.45") * 400
    assert first["cost"] == 4, "60 x 0.5 of 7.5 kWh"
    assert first["uncertainty_pct"] == Decimal("3.2"), "(0.2 x 2 + 0.3 x 4) / 0.5"
    assert (first["units"], first["unit"], first["ghg_scope"], first["currency"]) == (2, "days", "scope2", "EUR")
    assert (second["node_id"], second["found"], second["energy_kwh"], second["row_count"]) == ("i-2", False, 0, 0)
    assert second["cost"] is None, "no bill: unknown, and not zero"


def test_idle_energy_that_is_not_known_is_unknown(con: Any) -> None:
    given = [emission(None, workload_type="idle", share_id="idle"), emission("1", workload_id="p", hour=at(1))]
    found = idle.idle_accelerators(table(contracts.Emissions, given), no_costs())
    one = Found(OpportunityRule.IDLE_ACCELERATORS, idle.IDENTITY, found, "", "")
    (row,) = made(con, one, {"emissions": (contracts.Emissions, given)})
    assert (row["energy_kwh"], row["location_g"], row["found"]) == (None, None, False)


def commitment(status: str, effective: str | None, **more: Any) -> dict[str, Any]:
    return {
        "charge_category": "Usage", "commitment_discount_id": "ri-'1", "commitment_discount_status": status,
        "instance_type": "p5.48xlarge", "billed_cost": Decimal(0), "account_id": "1", "region": "r",
        "effective_cost": None if effective is None else Decimal(effective), **more,
    }  # fmt: skip


def test_unused_commitments_by_hand(con: Any) -> None:
    given = [
        commitment("Unused", "40.25"), commitment("Unused", "9.75", day=DAY + timedelta(1)),
        commitment("Used", "100"),
        commitment("Used", "100", commitment_discount_id="ri-2"),
        commitment("Unused", "1000", commitment_discount_id="ri-cpu", instance_type="m5.large"),
        commitment("Unused", "1000", commitment_discount_id="sp", instance_type=None),
    ]  # fmt: skip
    cost = table(contracts.Cost, given)
    kinds = [
        dict(zip(commitments.NAMED, ("aws", name, None, None), strict=True))
        for name in ("p5.48xlarge", "m5.large", None)
    ]
    found = commitments.unused_commitments(cost, commitments.kinds_with_accelerators(kinds))
    one = Found(OpportunityRule.UNUSED_COMMITMENTS, commitments.IDENTITY, found, "", "")
    first, second = made(con, one, {"cost": (contracts.Cost, given)})
    assert (first["resource_id"], first["cost"], first["currency"], first["row_count"]) == ("ri-'1", 50, "EUR", 2)
    assert (first["energy_kwh"], first["location_g"], first["found"]) == (None, None, True)
    assert (second["resource_id"], second["cost"], second["found"]) == ("ri-2", 0, False)


def held(kwh: str, hour: int, **more: Any) -> dict[str, Any]:
    who = {"workload_id": "pod-1", "project": "lab", "workload_type": "training"}
    return emission(kwh, hour=at(hour), **who | more)


@pytest.mark.parametrize("region", ["r'1", None])
@pytest.mark.parametrize(("kwh", "rows"), [("0.050000000", 1), ("0.050000001", 0)])
def test_a_reserved_accelerator_exactly_on_the_limit_is_at_idle_load(
    con: Any, kwh: str, rows: int, region: str | None
) -> None:
    """100 W up to which it does nothing; half of the hour was observed."""
    given = [
        held(kwh, 0, region=region),
        held("0.4", 1, region=region),
        held("0.01", 2, region=region, workload_type="idle", workload_id=None),
    ]
    meters = [
        {
            key: value
            for key, value in row.items()
            if key
            in (
                "provider",
                "account_id",
                "region",
                "node_id",
                "device_id",
                "device_kind",
                "method",
                "hour",
                "energy_kwh",
            )
        }
        | {"coverage": Decimal("0.5"), "device_model": "NVIDIA H100"}
        for row in given
    ]
    limits = reserved.limits_of({"NVIDIA H100": Decimal(100)})
    found = reserved.reserved_at_idle_load(table(contracts.Emissions, given), table(contracts.Energy, meters), limits)
    one = Found(OpportunityRule.RESERVED_AT_IDLE_LOAD, reserved.IDENTITY, found, "", "")
    (row,) = made(con, one, {"emissions": (contracts.Emissions, given), "energy": (contracts.Energy, meters)})
    assert (row["row_count"], row["energy_kwh"], row["found"]) == (rows, rows * Decimal(kwh), bool(rows))
    assert (row["units"], row["project"], row["device_model"]) == (2, "lab", "NVIDIA H100")


def grid(zone: str, intensities: Sequence[int], day: date = DAY, **more: Any) -> list[dict[str, Any]]:
    return [
        {"zone": zone, "day": day, "hour": at(n, day), "direct_gco2e_per_kwh": Decimal(g),
         "lifecycle_gco2e_per_kwh": Decimal(g + 50), "resolution": "hour", **more}
        for n, g in enumerate(intensities)
    ]  # fmt: skip


def test_movable_hours_by_hand(con: Any) -> None:
    """Two and one kWh (3 and 1.5 with PUE) at 300 and 200 g; the cleanest hours have 10 and 20 g."""
    day = [20, 10, *([100] * 20), 300, 200]
    grids = [*grid("DE", day), *grid("DE", day[:23], DAY + timedelta(1))]
    work = {"workload_type": "batch", "project": "p", "zone": "DE"}
    given = [
        emission("2", 300, hour=at(22), **work), emission("1", 200, hour=at(23), **work),
        emission("1", 200, hour=at(2, DAY + timedelta(1)), day=DAY + timedelta(1), **work),
        emission("7", 300, hour=at(22), **work | {"workload_type": "inference"}),
    ]  # fmt: skip
    found = hours.movable_hours(
        table(contracts.Emissions, given), table(contracts.GridIntensity, grids), "direct", keep(con)
    )
    one = Found(OpportunityRule.MOVABLE_HOURS, hours.IDENTITY, found, hours.WHAT, hours.BASIS)
    lake = {"emissions": (contracts.Emissions, given), "grid_intensity": (contracts.GridIntensity, grids)}
    (row,) = made(con, one, lake)
    ran, best = 3 * 300 + Decimal("1.5") * 200, 3 * 10 + Decimal("1.5") * 20
    assert (row["location_g"], row["energy_kwh"], row["facility_kwh"]) == (ran - best, 0, 0)
    assert (row["row_count"], row["days"], row["units"], row["unit"]) == (2, 1, 3, "kWh")
    assert row["coverage"] == Decimal("0.75"), "the day with 23 hours is not judged"
    assert row["grams_uncertainty_pct"] == round(
        Decimal(5 * (float(ran) ** 2 + float(best) ** 2) ** 0.5 / float(ran - best)), 3
    )


def test_cleaner_regions_by_hand(con: Any) -> None:
    """One kWh of training at 1.5 and 200 g, and one at 1.5 and 40 g; eu-north-1 has 1.1 and 10 g on average."""
    grids = [*grid("DE", [200, 40]), *grid("SE", [5, 15])]
    work = {"workload_type": "training", "project": "p", "zone": "DE"}
    given = [
        emission("1", 200, hour=at(0), **work), emission("1", 40, hour=at(1), **work),
        emission("4", 10, region="eu-north-1", **work | {"zone": "SE", "pue": Decimal("1.1")}),
        emission("9", 1, provider="onprem", region="x", **work),
        emission("9", 200, hour=at(2), **work | {"workload_type": "inference"}),
    ]  # fmt: skip
    found = regions.cleaner_regions(
        table(contracts.Emissions, given), table(contracts.GridIntensity, grids), "direct", keep(con)
    )
    one = Found(OpportunityRule.CLEANER_REGIONS, regions.IDENTITY, found, regions.WHAT, regions.BASIS)
    (row,) = made(con, one, {"emissions": (contracts.Emissions, given)})
    assert row["location_g"] == 300 + 60 - 2 * Decimal("1.1") * 10
    assert row["facility_kwh"] == 3 - Decimal("2.2")
    assert (row["target_region"], row["row_count"], row["units"], row["energy_kwh"]) == ("eu-north-1", 2, 6, 0)


def kpi(month: date, value: str, tokens: str, **more: Any) -> dict[str, Any]:
    return {
        "month": month, "kpi": "wh_per_1m_tokens", "grain": "model_id", "model_id": "tiny", "unit": "Wh",
        "value": Decimal(value), "numerator": Decimal(value) * Decimal(tokens), "denominator": Decimal(tokens),
        "coverage": Decimal(1), "uncertainty_pct": Decimal(3), "days": 30, **more,
    }  # fmt: skip


def kpis(rows: Sequence[Mapping[str, Any]]) -> ir.Table:
    from energy_assets_tests.kpis.tables import typed

    return typed(dict(contracts_schema(contracts.KpisMonthly)), rows)


def contracts_schema(model: Any) -> Any:
    from energy_assets.contracts.audit import schema_of

    return schema_of(model).items()


APRIL, MARCH = date(2024, 4, 1), date(2024, 3, 1)


@pytest.mark.parametrize(("now", "is_found"), [("110", False), ("110.000000000001", True), ("90", False)])
def test_a_rise_of_exactly_the_limit_is_no_regression(con: Any, now: str, is_found: bool) -> None:
    given = [kpi(MARCH, "50", "10"), kpi(APRIL, "100", "10"), kpi(MONTH, now, "20")]
    both = regressed.compared(kpis(given), 3).filter(lambda rows: rows.month == MONTH)
    emissions = table(contracts.Emissions, [emission("2", model_id="tiny", workload_type="inference")])
    found = regressed.regressed_models(both, emissions, Decimal(10))
    one = Found(OpportunityRule.REGRESSED_MODELS, regressed.IDENTITY, found, "", "")
    con.create_view("kpis_monthly", kpis(given))
    (row,) = made(con, one, {})
    assert (row["found"], row["month_before"], row["measure_before"]) == (is_found, APRIL, 100)
    saved = max(Decimal(now) - 100, Decimal(0)) * 20 / 1000
    assert row["facility_kwh"] == pytest.approx(saved, abs=Decimal("1e-9"))
    assert row["energy_kwh"] == pytest.approx(saved / Decimal("1.5"), abs=Decimal("1e-9"))
    assert row["location_g"] == pytest.approx(saved * 200, abs=Decimal("1e-8"))
    assert (row["measured_kwh"], row["units"]) == (pytest.approx(Decimal(now) * 20 / 1000, abs=Decimal("1e-9")), 20)


def test_a_model_without_a_month_before_is_not_judged(con: Any) -> None:
    given = [kpi(date(2024, 1, 1), "50", "10"), kpi(MONTH, "100", "10"), kpi(APRIL, "9", "1", coverage=Decimal(0))]
    both = regressed.compared(kpis(given), 3).filter(lambda rows: rows.month == MONTH)
    assert [row["month_before"] for row in rows_of(con, both)] == [None]


@pytest.mark.parametrize(("peak", "is_found"), [("0.3", False), ("0.299999", True), ("0.15", True)])
def test_oversized_machines_by_hand(con: Any, peak: str, is_found: bool) -> None:
    """Ten hours of 4 vCPUs that draw 1 W each at no load: half the machine would do at a peak of 0.15."""
    part = {
        "device_kind": "cpu", "device_id": "cpu x", "device_model": "x", "amount": Decimal(4), "amount_unit": "vcpu_h",
        "method": "estimated_utilization", "energy_kwh": Decimal("0.008"),
    }  # fmt: skip
    given = [part | {"hour": at(n), "utilization": Decimal(peak) if n == 3 else Decimal("0.05")} for n in range(10)]
    drawn = [
        emission("0.008", 100, node_id="i-1", device_kind="cpu", device_id="cpu x", method="estimated_utilization",
                 hour=at(n), uncertainty_pct=Decimal(20)) for n in range(10)
    ]  # fmt: skip
    no_load = oversized.no_load_table([
        {"provider": "aws", "device_kind": "cpu", "device_id": "cpu x", "device_model": "x", "no_load_kwh": 0.001}
    ])  # fmt: skip
    found = oversized.oversized_machines(
        table(UsageEstimates, given), table(contracts.Emissions, drawn), no_costs(), no_load, Decimal("0.3"),
        Decimal("0.9"),
    )  # fmt: skip
    one = Found(OpportunityRule.OVERSIZED_MACHINES, oversized.IDENTITY, found, "", "")
    (row,) = made(con, one, {"usage_estimates": (UsageEstimates, given)})
    spare = 1 - Decimal(peak) / Decimal("0.3")
    assert row["found"] is is_found
    assert row["energy_kwh"] == pytest.approx(spare * Decimal("0.04"), abs=Decimal("1e-9"))
    assert row["location_g"] == pytest.approx(spare * Decimal("0.04") * 150, abs=Decimal("1e-7"))
    assert (row["measure"], row["uncertainty_pct"], row["row_count"]) == (Decimal(peak), 20, 10)


def test_a_machine_that_was_hardly_measured_is_not_judged(con: Any) -> None:
    part = {"device_kind": "cpu", "device_id": "cpu", "device_model": None, "energy_kwh": Decimal(1)}
    measured = {"method": "estimated_utilization", "utilization": Decimal("0.1")}
    given = [part | {"hour": at(n)} | (measured if n < 8 else {}) for n in range(10)]
    found = oversized.oversized_machines(
        table(UsageEstimates, given), table(contracts.Emissions, []), no_costs(), oversized.no_load_table([]),
        Decimal("0.3"), Decimal("0.9"),
    )  # fmt: skip
    assert rows_of(con, found) == []

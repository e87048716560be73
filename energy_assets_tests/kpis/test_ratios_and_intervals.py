"""Ratios of what has both sides, and 95 % intervals, with golden numbers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import KpisMonthly
from energy_assets.kpis.periods import over_months
from energy_assets_tests.kpis.test_indicators import JUNE, ONE, TWO, charge, kpis, served, used
from energy_assets_tests.rows import rows_of

D = Decimal


def one(rows: list[dict[str, Any]], kpi: str, grain: str = "total", day: Any = ONE) -> dict[str, Any]:
    (found,) = [r for r in rows if (r["kpi"], r["grain"], r.get("day", day)) == (kpi, grain, day)]
    return found


CHAT = used(ONE, 0, "dublin", "IE", "chat", "llama", "inference", "10")
ANSWERED = served(ONE, 0, "llama", 1000, 1000)
BILLED = charge(ONE, "chat", "6")


@pytest.mark.parametrize(
    ("kpi", "energy", "activity", "cost", "coverage"),
    [
        # Servers of a model without energy, energy of a model without servers, and of one in another project.
        ("wh_per_1k_inferences", [], [served(ONE, 1, "api", 3000, 9, deployment="d2")], [], "0.25"),
        ("wh_per_1k_inferences", [], [served(ONE, 1, "llama", 1000, 9, project="lab")], [], "0.5"),
        ("wh_per_1k_inferences", [used(ONE, 1, "cork", "IE", "chat", "qwen", "inference", "30")], [], [], "0.25"),
        ("wh_per_1m_tokens", [], [served(ONE, 1, "api", 1, 3000, deployment="d2")], [], "0.25"),
        ("gco2e_per_1k_inferences", [used(ONE, 1, "cork", "IE", "lab", "llama", "inference", "10")], [], [], "0.5"),
        ("cost_per_kwh", [], [], [charge(ONE, "cloud", "18")], "0.25"),
        ("cost_per_kwh", [], [], [charge(ONE, "unknown", "6"), charge(ONE, "chat", "9", "USD")], "0.5"),
        ("cost_per_kwh", [], [], [charge(ONE, "cloud", "-6")], "0.5"),
        # Cost is what is looked for: energy that nobody bills has no say.
        ("cost_per_kwh", [used(ONE, 1, "cork", "IE", "lab", None, "training", "10")], [], [], "1"),
        # The same project elsewhere: metered in a cloud that nobody bills, and billed in one that is not metered.
        ("cost_per_kwh", [used(ONE, 1, "x", "IE", "chat", None, "training", "500", provider="aws")], [], [], "1"),
        ("cost_per_kwh", [], [], [charge(ONE, "chat", "18", provider="aws")], "0.25"),
    ],
)
def test_what_has_no_other_side_changes_nothing_but_the_coverage(
    kpi: str, energy: list[Any], activity: list[Any], cost: list[Any], coverage: str
) -> None:
    alone = one(kpis([CHAT], [ANSWERED], [BILLED])[0], kpi)
    beside = one(kpis([CHAT, *energy], [ANSWERED, *activity], [BILLED, *cost])[0], kpi)
    exact = ("value", "numerator", "denominator", "unit")
    assert {name: beside[name] for name in exact} == {name: alone[name] for name in exact}
    assert (alone["coverage"], beside["coverage"]) == (D(1), D(coverage))


@pytest.mark.parametrize(
    ("metered", "billed", "found", "coverage"),
    [
        # Energy of 12 kWh in account 1 and 120 in account 2; 6 EUR and 30 EUR.
        (("1", "2"), ("1", "2"), (36, 132), "1"),
        (("1", "2"), ("1", "3"), (6, 12), "0.166667"),
        (("1", "2"), (" 1", "3"), (6, 12), "0.166667"),
        # AWS's zeros that a spreadsheet cut, on either side.
        (("000000000001", "2"), ("1", "0000-0000-0002"), (36, 132), "1"),
        # Energy without account may be of any; beside it, an account that nobody bills stays out.
        ((None, "2"), ("1", "3"), (36, 12), "1"),
        # A bill without account may be for all the energy of the provider's project.
        (("1", "2"), ("1", None), (36, 132), "1"),
        ((None, None), (None, None), (36, 132), "1"),
        (("1", "2"), ("3", "4"), None, None),
    ],
)  # fmt: skip
def test_cost_meets_the_energy_of_its_account(metered: Any, billed: Any, found: Any, coverage: Any) -> None:
    energy = [
        used(ONE, n, "cloud", "IE", "chat", None, "training", kwh, provider="aws", account_id=account)
        for n, (account, kwh) in enumerate(zip(metered, ("10", "100"), strict=True))
    ]
    energy.append(used(ONE, 9, "hall", "IE", "chat", None, "training", "500"))
    bills = [
        charge(ONE, "chat", amount, provider="AWS", account_id=account)
        for account, amount in zip(billed, ("6", "30"), strict=True)
    ]
    daily, _ = kpis(energy, [], bills)
    for grain in ("total", "project"):
        rows = [r for r in daily if (r["kpi"], r["grain"]) == ("cost_per_kwh", grain)]
        assert [(r["numerator"], r["denominator"], r["coverage"]) for r in rows] == (
            [(*found, D(coverage))] if found else []
        )


def test_a_model_whose_projects_differ_is_matched_by_its_name() -> None:
    daily, _ = kpis([CHAT], [served(ONE, 0, "llama", 1000, 1000, project="unknown")], [])
    assert one(daily, "wh_per_1k_inferences")["value"] == D(12_000)


def test_sides_that_meet_on_no_day_meet_in_no_month() -> None:
    _, months = kpis([CHAT], [served(TWO, 0, "llama", 1000, 1000)], [charge(TWO, "chat", "6")])
    assert not {"wh_per_1k_inferences", "cost_per_kwh"} & {r["kpi"] for r in months}


def emitting(n: int, source: str, zone: str, kwh: str, meter: int, factor: int | None, **more: Any) -> dict[str, Any]:
    known = None if factor is None else D(str(round((meter**2 + factor**2) ** 0.5, 3)))
    return used(
        ONE, n, source, zone, "lab", None, "training", kwh, pue=D(1), uncertainty_pct=D(meter),
        factor_uncertainty_pct=None if factor is None else D(factor), grams_uncertainty_pct=known, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "energy", "grams", "intensity"),
    [
        # One reading: 3 and 4 % in squares; what is divided by its own energy keeps the factor's alone.
        ([emitting(0, "a", "IE", "10", 3, 4)], "3", "5", "4"),
        # Two sources under one grid: meters in squares (3 % / √2), the factor in full.
        ([emitting(0, "a", "IE", "10", 3, 4), emitting(0, "b", "IE", "10", 3, 4)], "2.121", "4.528", "4"),
        # One source in two zones: its meter in full, the factors in squares.
        ([emitting(0, "a", "IE", "10", 3, 4), emitting(1, "a", "US", "10", 3, 4)], "3", "4.123", "2.828"),
        # Two of everything.
        ([emitting(0, "a", "IE", "10", 3, 4), emitting(0, "b", "US", "10", 3, 4)], "2.121", "3.536", "2.828"),
        # Unequal intensities of two zones: 3 % of each source's (300 − 200) and (100 − 200) g stay in the ratio.
        (
            [emitting(0, "a", "IE", "10", 3, 0), emitting(0, "b", "US", "10", 3, 0, direct=D(100))],
            "2.121", "2.372", "1.061",
        ),
        # An unknown factor leaves the energy's interval and takes that of the grams.
        ([emitting(0, "a", "IE", "10", 3, 4), emitting(1, "a", "IE", "10", 3, None)], "3", None, None),
    ],
)  # fmt: skip
def test_intervals_of_energy_grams_and_intensity(
    rows: list[Any], energy: str, grams: str | None, intensity: str | None
) -> None:
    daily, _ = kpis(rows, [], [])
    found = [one(daily, kpi)["uncertainty_pct"] for kpi in ("energy_kwh", "scope2_location_g")]
    found.append(one(daily, "carbon_intensity_location")["uncertainty_pct"])
    assert found == [None if wanted is None else D(wanted) for wanted in (energy, grams, intensity)]


def test_what_has_no_known_interval_prints_none() -> None:
    """Upstream is a difference of two intensities; hardware and shares have none; counts are counted."""
    rows = [
        emitting(0, "a", "IE", "10", 3, 4),
        emitting(0, "c", "IE", "10", 3, 4, ghg_scope="scope3.1", embodied_g=D(1)),
        emitting(0, "l", "IE", "10", 3, 4, ghg_scope="scope3.8"),
    ]
    daily, _ = kpis(rows, [ANSWERED], [BILLED])
    for kpi in ("scope33_upstream_g", "scope38_upstream_g", "scope31_g", "coverage", "requests", "billed_cost"):
        assert one(daily, kpi)["uncertainty_pct"] is None
    assert one(daily, "scope38_location_g")["uncertainty_pct"] == D(5)
    bought, _ = kpis([emitting(0, "c", "IE", "10", 3, 4, ghg_scope="scope3.1")], [], [])
    assert one(bought, "scope31_g")["uncertainty_pct"] == D(5)
    lost, _ = kpis([emitting(0, "c", "IE", "10", 3, 4, ghg_scope="scope3.1", losses_g=D(1))], [], [])
    assert one(lost, "scope31_g")["uncertainty_pct"] is None


def test_a_ratio_of_an_exact_amount_has_the_interval_of_the_energy() -> None:
    daily, _ = kpis([CHAT | {"uncertainty_pct": D(7)}], [ANSWERED], [charge(ONE, "chat", "-6")])
    for kpi in ("wh_per_1k_inferences", "wh_per_1m_tokens", "cost_per_kwh"):
        assert one(daily, kpi)["uncertainty_pct"] == D(7)


@pytest.mark.parametrize(
    ("days", "interval"),
    [
        # (12 × 1 % + 1,200 × 5 %) / 1,212: the energy carries the error, whatever it cost.
        ((("10", 1, "100"), ("1000", 5, "1")), "4.960"),
        ((("10", 1, "10"), ("10", 5, "-9")), "3"),
        ((("10", 1, "10"), ("10", 5, "0")), "3"),
    ],
)
def test_the_month_of_an_exact_amount_per_kwh_weighs_days_by_their_energy(days: Any, interval: str) -> None:
    rows = [
        used(day, 0, "dublin", "IE", "chat", "llama", "inference", kwh, uncertainty_pct=D(pct))
        for day, (kwh, pct, _) in zip((ONE, TWO), days, strict=True)
    ]
    bills = [charge(day, "chat", amount) for day, (_, _, amount) in zip((ONE, TWO), days, strict=True)]
    _, months = kpis(rows, [], bills)
    assert one(months, "cost_per_kwh")["uncertainty_pct"] == D(interval)


def test_errors_that_cancel_leave_an_interval_of_zero_and_not_the_root_of_less() -> None:
    """One meter over many grids: in grams per kWh its error cancels but for rounding, on some days below zero."""
    days = [date(2024, 5, n) for n in range(1, 25)]
    rows = [
        used(
            day, 0, "hall", f"Z{n}", "lab", None, "training", f"{(n * 7 + day.day) % 10}.{n * 7919 + day.day * 104729}",
            device_id=f"d{n}", direct=D(50 + (n * 37 + day.day * 101) % 850), uncertainty_pct=D(5),
            factor_uncertainty_pct=D(0), grams_uncertainty_pct=D(5),
        )
        for day in days for n in range(5 + day.day)
    ]  # fmt: skip
    daily, _ = kpis(rows, [], [])
    assert {one(daily, "carbon_intensity_location", day=day)["uncertainty_pct"] for day in days} == {D(0)}
    assert {one(daily, "scope2_location_g", day=day)["uncertainty_pct"] for day in days} == {D(5)}


def test_a_day_of_zero_and_no_interval_does_not_blank_the_month() -> None:
    rows = [CHAT, used(TWO, 0, "dublin", "IE", "chat", "llama", "inference", "0", uncertainty_pct=None)]
    daily, months = kpis(rows, [], [])
    assert one(daily, "energy_kwh", day=TWO)["uncertainty_pct"] is None
    assert one(months, "energy_kwh")["uncertainty_pct"] == D(1)


def test_a_longer_period_adds_months_and_divides_last() -> None:
    rows = [
        CHAT,
        used(TWO, 0, "dublin", "IE", "idle", None, "idle", "10", uncertainty_pct=D(4), coverage=D("0.5")),
        used(JUNE, 0, "dublin", "IE", "lab", None, "training", "60", uncertainty_pct=D(2), coverage=D("0.25")),
    ]
    con = ibis.duckdb.connect()
    _, months = kpis(rows, [], [])
    year = {r["kpi"]: r for r in rows_of(con, over_months(ibis.memtable(pa_table(months)))) if r["grain"] == "total"}
    share = year["idle_share"]
    assert (share["numerator"], share["denominator"], share["value"]) == (10, 80, D("0.125"))
    energy = year["energy_kwh"]
    # (10 × 1 % + 10 × 4 % + 60 × 2 %) / 80; days of coverage 1, 0.5 and 0.25
    assert (energy["value"], energy["uncertainty_pct"], energy["days"]) == (80, D("2.125"), 3)
    assert energy["coverage"] == D("0.583333")


def pa_table(months: list[dict[str, Any]]) -> Any:
    return pa.Table.from_pylist(months, schema=schema_of(KpisMonthly).to_pyarrow())

"""Members, intervals and rows of a few indicators, from sums that are written down here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ibis.expr.types as ir
import pytest

from energy_assets.kpis.daily import by_member, costs, indicators
from energy_assets.kpis.indicators import Indicator
from energy_assets.kpis.ingredients import Filter, total
from energy_assets_tests.kpis.tables import MONDAY, TUESDAY, Row, facts_of, indicator, members_of
from energy_assets_tests.rows import rows_of

D = Decimal
Only = Callable[..., None]
KWH, FACILITY = total("emissions", "energy_kwh"), total("emissions", "facility_kwh")
GRAMS, REQUESTS, COST = total("emissions", "location_g"), total("activity", "requests"), total("cost", "billed_cost")
IDLE = total("emissions", "energy_kwh", Filter("workload_type", "=", "idle"))
REPORTED = total("emissions", "energy_kwh", Filter("workload_id", "or idle"))
E, F, G = "emissions_energy_kwh", "emissions_facility_kwh", "emissions_location_g"
OBSERVED, HOURS = (
    "emissions_coverage_methodin_measured_counter_measured_power_metered_node_energy_kwhis_not_null",
    "emissions_rows_methodin_measured_counter_measured_power_metered_node_",
)


def test_members_are_summed_by_day_and_grain(con: Any, only: Only) -> None:
    only(indicator("kwh", KWH))
    place: Row = {"source": "a", "error_source": "x", "zone": "IE", "project": "p", "model_id": "m",
                  "workload_type": "training", "ghg_scope": "scope2"}  # fmt: skip
    facts = facts_of(
        [
            {**place, E: 10, f"{E}__meter": 30},
            {**place, "zone": None, "project": "q", "model_id": None, E: 5, f"{E}__meter": 5, f"{E}__open": 5},
            {**place, "source": "b", "workload_type": "inference", "ghg_scope": "scope3.1"},
            {**place, "day": TUESDAY, E: 1, f"{E}__meter": 2},
        ]
    )
    found = {
        (row["day"], row["grain"], row["member"]): (
            row[E],
            row[f"{E}__meter"],
            row[f"{E}__open"],
            row["kwh__half_width"],
        )
        for row in rows_of(con, by_member(facts))
    }
    whole, first, second, nothing = (15, 35, 5, 35), (10, 30, None, 30), (5, 5, 5, 5), (None, None, None, 0)
    assert found == {
        (MONDAY, "total", "all"): whole,
        (MONDAY, "source", "a"): whole,
        (MONDAY, "source", "b"): nothing,
        (MONDAY, "zone", "IE"): first,
        (MONDAY, "zone", "unknown"): second,
        (MONDAY, "project", "p"): first,
        (MONDAY, "project", "q"): second,
        (MONDAY, "model_id", "m"): first,
        (MONDAY, "model_id", "unknown"): second,
        (MONDAY, "workload_type", "training"): whole,
        (MONDAY, "workload_type", "inference"): nothing,
        (MONDAY, "ghg_scope", "scope2"): whole,
        (MONDAY, "ghg_scope", "scope3.1"): nothing,
        **{
            (TUESDAY, grain, member): (1, 2, None, 2)
            for grain, member in (("total", "all"), ("source", "a"), ("zone", "IE"), ("project", "p"),
                                  ("model_id", "m"), ("workload_type", "training"), ("ghg_scope", "scope2"))
        },
    }  # fmt: skip


def widths(con: Any, facts: Iterable[Row], grain: str = "total") -> dict[str, float | None]:
    """Half-widths of the indicator `one`, by member."""
    rows = rows_of(con, by_member(facts_of(facts)))
    return {row["member"]: row["one__half_width"] for row in rows if row["grain"] == grain}


def test_errors_of_an_owner_add_up_and_owners_add_in_squares(con: Any, only: Only) -> None:
    """Meters: a 1 + 2, b 1 + 3; factors: IE 4 + 1 + 3, US 44: 9 + 16 + 64 + 1936 = 45²; IE alone: 1 + 16 + 64 = 9²."""
    only(indicator("one", GRAMS))
    errors = [("a", "IE", 1, 4), ("a", "US", 2, 44), ("b", "IE", 1, 1), ("b", "IE", 3, 3), ("c", "FR", None, None)]
    facts = [
        {"source": f"s{n}", "error_source": owner, "zone": zone, f"{G}__meter": meter, f"{G}__factor": factor}
        for n, (owner, zone, meter, factor) in enumerate(errors)
    ]
    assert widths(con, facts) == {"all": pytest.approx(45)}
    by_zone = widths(con, facts, "zone")
    assert by_zone["IE"] == pytest.approx(9)
    assert by_zone["FR"] == 0


def divided(rows: Iterable[tuple[str, Any, Any, Any, Any]], **more: Any) -> list[Row]:
    """Facts of facility energy and grams with the errors of their meters; owner and zone are one."""
    return [
        {"source": owner, "error_source": owner, "zone": owner, F: kwh, G: grams, f"{F}__meter": of_kwh,
         f"{G}__meter": of_grams, **more}
        for owner, kwh, grams, of_kwh, of_grams in rows
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "width"),
    [
        # 200 g/kWh: 9,000 − 200 × 30 = 3,000, and 4,000 − 200 × 40 = −4,000.
        pytest.param([("a", 10, 3000, 30, 9000), ("b", 10, 1000, 40, 4000)], 5000, id="two meters"),
        pytest.param([("a", 10, 3000, 30, 9000)], 0, id="all of it cancels"),
        pytest.param(
            [("a", 10, 3000, 30, 9000), ("b", 10, 1000, 40, 4000), ("c", None, None, None, None)],
            5000,
            id="and nothing",
        ),
        pytest.param([("a", 1, 300, 3, 950)], 50, id="of one kWh"),
        pytest.param([("a", 0, 0, 0, 0)], None, id="of no kWh"),
    ],
)
def test_of_a_ratio_what_both_sides_share_cancels(con: Any, only: Only, rows: list[Any], width: float | None) -> None:
    only(indicator("one", GRAMS, FACILITY))
    found = widths(con, divided(rows))
    assert found == {"all": None if width is None else pytest.approx(width, abs=1e-9)}


def test_a_ratio_is_that_of_its_member(con: Any, only: Only) -> None:
    """Within each zone the meter cancels: 9,000 − 300 × 30 and 4,000 − 100 × 40."""
    only(indicator("one", GRAMS, FACILITY))
    facts = divided([("a", 10, 3000, 30, 9000), ("b", 10, 1000, 40, 4000)])
    assert widths(con, facts, "zone") == {"a": 0, "b": 0}


def test_an_error_of_the_denominator_alone_counts_against_it(con: Any, only: Only) -> None:
    """10 kWh of 2,000 g: 30 − 4,000 / 200 = 10, and of the factor 4,800 / 200 = 24: 26 in squares."""
    only(indicator("one", FACILITY, GRAMS))
    facts = divided([("a", 10, 2000, 30, 4000)], **{f"{G}__factor": 4800})
    assert widths(con, facts) == {"all": pytest.approx(26)}


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(indicator("one", COST, FACILITY), id="divided by what has an error"),
        pytest.param(indicator("one", FACILITY, REQUESTS), id="divided by what has none"),
    ],
)
def test_of_a_ratio_with_one_exact_side_the_error_is_the_others(con: Any, only: Only, one: Indicator) -> None:
    only(one)
    rows: list[Row] = [
        {"source": "a", "error_source": "a", F: 5, f"{F}__meter": 3},
        {"source": "b", "error_source": "b", F: 5, f"{F}__meter": 4},
    ]
    assert widths(con, rows) == {"all": pytest.approx(5)}


def made(con: Any, only: Only, one: Indicator, *rows: Row) -> list[Row]:
    """Rows of one indicator of members that are given."""
    only(one)
    return rows_of(con, indicators(members_of([one], rows), "EUR"))


ENERGY = indicator("one", KWH, kind="energy", unit="kWh", basis="energy")


@pytest.mark.parametrize(
    ("kwh", "open_", "width", "interval"),
    [
        (100, None, 123.4496, D("1.234")),
        (100, 0, 50.0, D("0.5")),
        (100, D("0.5"), 50.0, None),
        (100, 1, 50.0, None),
        (100, -1, 50.0, None),
        (1, None, 0.05, D("0.05")),
        (-10, None, 5.0, D("0.5")),
        (0, None, 0.0, None),
        (100, None, None, None),
    ],
)
def test_the_interval_of_a_sum(con: Any, only: Only, kwh: Any, open_: Any, width: Any, interval: Any) -> None:
    """Its half-width, in kWh × per cent, by the kWh; unknown where part of the sum is open, or nothing is there."""
    (row,) = made(con, only, ENERGY, {E: kwh, f"{E}__open": open_, "one__half_width": width})
    assert (row["value"], row["numerator"], row["denominator"]) == (kwh, kwh, None)
    assert row["uncertainty_pct"] == interval


@pytest.mark.parametrize(
    ("observed", "hours", "coverage"),
    [
        (1, 3, D("0.333333")),
        (D("12.345649"), 100, D("0.123456")),
        (D("0.25"), 1, D("0.25")),
        (None, 4, None),
        (0, 0, None),
    ],
)
def test_what_is_not_observed_of_energy_is_nothing_and_of_servers_unknown(
    con: Any, only: Only, observed: Any, hours: Any, coverage: Any
) -> None:
    (energy,) = made(con, only, ENERGY, {E: 100, OBSERVED: observed, HOURS: hours})
    assert energy["coverage"] == (coverage or 0)
    served = indicator("one", REQUESTS, basis="activity")
    given = {"activity_requests": 5, "activity_coverage": observed, "activity_rows": hours}
    (row,) = made(con, only, served, given)
    assert (row["value"], row["coverage"], row["uncertainty_pct"]) == (5, coverage, None)


def test_a_sum_that_is_unknown_makes_no_row(con: Any, only: Only) -> None:
    assert made(con, only, ENERGY, {OBSERVED: 0, HOURS: 2}) == []


def test_a_row_says_whose_it_is(con: Any, only: Only) -> None:
    (row,) = made(con, only, indicator("one", KWH), {E: 2, "day": TUESDAY, "one__half_width": 0.0})
    assert row == {
        "day": TUESDAY, "grain": "total", "kpi": "one", "unit": "u", "value": 2, "numerator": 2, "denominator": None,
        "coverage": None, "uncertainty_pct": 0, "source": None, "zone": None, "project": None, "model_id": None,
        "workload_type": None, "ghg_scope": None, "workload_id": None,
    }  # fmt: skip


def test_a_member_stands_in_the_column_of_its_grain_and_only_asked_grains_have_rows(con: Any, only: Only) -> None:
    one = indicator("one", KWH, grains=("total", "project", "zone"))
    given = [
        ("total", "all", 1),
        ("project", "p", 2),
        ("zone", "IE", 3),
        ("source", "a", 4),
        ("ghg_scope", "scope2", 5),
    ]
    found = made(con, only, one, *({"grain": grain, "member": member, E: n} for grain, member, n in given))
    told = {(row["grain"], row["project"], row["zone"], row["source"], row["ghg_scope"]): row["value"] for row in found}
    assert told == {
        ("total", None, None, None, None): 1,
        ("project", "p", None, None, None): 2,
        ("zone", None, "IE", None, None): 3,
    }


MATCHED = indicator(
    "one", replace(KWH, factor="1000"), replace(REQUESTS, factor="0.001"), basis="matched", match="model_id"
)
R = "activity_requests"


@pytest.mark.parametrize(
    ("kwh", "requests", "both", "numerators"),
    [
        ((1, 3), (1, 1), D("0.333333"), D("0.333333")),
        ((1, 2), (1, 4), D("0.25"), D("0.5")),
        ((D("12.345649"), 100), (5, 5), D("0.123456"), D("0.123456")),
        ((1, 1), (0, 7), D(0), D(1)),
    ],
)
def test_the_coverage_of_what_is_matched_is_the_smaller_share_of_the_sides_asked_for(
    con: Any, only: Only, kwh: Any, requests: Any, both: Decimal, numerators: Decimal
) -> None:
    given: Row = {f"one__{E}": 2, f"one__{R}": 500, E: 77, R: 77, "one__half_width": 10.0}
    sides = {E: kwh, R: requests}
    shares = {f"one__{side}__matched": some for side, (some, _) in sides.items()}
    shares |= {f"one__{side}__all": whole for side, (_, whole) in sides.items()}
    (row,) = made(con, only, MATCHED, given | shares)
    # 2 kWh are 2,000 Wh, 500 requests half a thousand; 10 kWh × per cent of 2 kWh are 5 %.
    assert (row["numerator"], row["denominator"], row["value"]) == (2000, D("0.5"), 4000)
    assert (row["coverage"], row["uncertainty_pct"]) == (both, 5)
    alone = replace(MATCHED, basis="matched numerator")
    asked = {name: amount for name, amount in shares.items() if E in name}
    (row,) = made(con, only, alone, given | asked)
    assert row["coverage"] == numerators


SHARE = indicator("one", IDLE, KWH, kind="share", unit="share", basis="energy")
EI = "emissions_energy_kwh_workload_type_idle"


@pytest.mark.parametrize(
    ("idle", "kwh", "told"),
    [
        (1, 4, (1, 4, D("0.25"))),
        (None, 4, (0, 4, 0)),
        (0, 0, (0, 0, None)),
        (1, 1, (1, 1, 1)),
        (1, 3, (1, 3, D("0.333333333333"))),
        (None, None, None),
        (1, None, None),
    ],
)
def test_a_share_of_which_nothing_is_there_is_zero(con: Any, only: Only, idle: Any, kwh: Any, told: Any) -> None:
    found = made(
        con,
        only,
        SHARE,
        {EI: idle, E: kwh, "emissions_coverage_methodin_measured_counter_measured_power_metered_node_": 1, HOURS: 2},
    )
    assert [(row["numerator"], row["denominator"], row["value"]) for row in found] == ([told] if told else [])
    assert {(row["coverage"], row["uncertainty_pct"]) for row in found} <= {(D("0.5"), None)}


def test_a_ratio_without_numerator_or_denominator_makes_no_row(con: Any, only: Only) -> None:
    one = indicator("one", GRAMS, FACILITY)
    assert made(con, only, one, {F: 4}, {G: 4}) == []
    (row,) = made(con, only, one, {F: 4, G: 6, "one__half_width": 30.0})
    assert (row["value"], row["uncertainty_pct"]) == (D("1.5"), 5)


@pytest.mark.parametrize("side", [F, G])
@pytest.mark.parametrize("part", ["numerator", "denominator"])
def test_an_interval_is_unknown_where_that_of_any_side_is(con: Any, only: Only, side: str, part: str) -> None:
    one = indicator("one", GRAMS, FACILITY) if part == "numerator" else indicator("one", FACILITY, GRAMS)
    (row,) = made(con, only, one, {F: 4, G: 6, "one__half_width": 30.0, f"{side}__open": 1})
    assert row["uncertainty_pct"] is None


def test_an_exact_amount_per_kwh_has_the_interval_of_the_energy(con: Any, only: Only) -> None:
    """20 kWh × per cent of 4 kWh."""
    one = indicator("one", COST, FACILITY, unit="{currency} per kWh")
    (row,) = made(con, only, one, {"cost_billed_cost": -6, F: 4, "one__half_width": 20.0})
    assert (row["value"], row["unit"], row["uncertainty_pct"]) == (D("-1.5"), "EUR per kWh", 5)


@pytest.mark.parametrize(
    ("idle", "reported", "kwh", "told"),
    [
        (1, 4, 8, (1, 4, D("0.25"), D("0.5"))),
        (None, 4, 8, (0, 4, 0, D("0.5"))),
        (None, None, 8, (0, 0, None, 0)),
        (None, None, None, None),
    ],
)
def test_energy_of_which_nothing_is_reported_is_there(
    con: Any, only: Only, idle: Any, reported: Any, kwh: Any, told: Any
) -> None:
    one = indicator("one", IDLE, REPORTED, kind="share", basis="reported")
    found = made(con, only, one, {EI: idle, "emissions_energy_kwh_workload_idor_idle": reported, E: kwh})
    rows = [(row["numerator"], row["denominator"], row["value"], row["coverage"]) for row in found]
    assert rows == ([told] if told else [])


@pytest.mark.parametrize(
    ("factor", "value"),
    [("1", 1_234_567), ("2", 2_469_134), ("1000", 1_234_567_000), ("0.1", D("123456.7")), ("0.001", D("1234.567")),
     ("0.000001", D("1.234567"))],
)  # fmt: skip
def test_a_sum_is_told_times_its_factor(con: Any, only: Only, factor: str, value: Any) -> None:
    one = indicator("one", replace(REQUESTS, factor=factor))
    (row,) = made(con, only, one, {R: 1_234_567})
    assert (row["value"], row["unit"]) == (value, "u")


def test_money_is_summed_by_currency_and_no_indicator_among_the_others(con: Any, only: Only) -> None:
    money, both = indicator("billed", COST, kind="money", unit="{currency}"), indicator("kwh", KWH)
    only(money, both)
    place: Row = {"zone": "IE", "project": "p", "currency": "EUR"}
    facts = facts_of(
        [
            {**place, "cost_billed_cost": 5},
            {**place, "project": "q", "zone": None, "cost_billed_cost": D("7.000000000000001")},
            {**place, "currency": "USD", "cost_billed_cost": 3},
            {**place, "currency": None, E: 9},
            {**place, "day": TUESDAY, "cost_billed_cost": 1},
        ]
    )
    found = money_of(rows_of(con, costs(facts)), ("total", "project", "zone"))
    assert found == {
        (MONDAY, "EUR", "total", None, None): D("12.000000000000001"),
        (MONDAY, "USD", "total", None, None): 3,
        (MONDAY, "EUR", "project", "p", None): 5,
        (MONDAY, "EUR", "project", "q", None): D("7.000000000000001"),
        (MONDAY, "USD", "project", "p", None): 3,
        (MONDAY, "EUR", "zone", None, "IE"): 5,
        (MONDAY, "EUR", "zone", None, "unknown"): D("7.000000000000001"),
        (MONDAY, "USD", "zone", None, "IE"): 3,
        (TUESDAY, "EUR", "total", None, None): 1,
        (TUESDAY, "EUR", "project", "p", None): 1,
        (TUESDAY, "EUR", "zone", None, "IE"): 1,
    }
    members: ir.Table = members_of([money, both], [{E: 9, "cost_billed_cost": 5}])
    assert [row["kpi"] for row in rows_of(con, indicators(members, "EUR"))] == ["kwh"]


def money_of(rows: Iterable[Row], grains: tuple[str, ...]) -> dict[Any, Any]:
    assert all(row["kpi"] == "billed" and row["value"] == row["numerator"] for row in rows)
    wanted = [row for row in rows if row["grain"] in grains]
    return {(row["day"], row["unit"], row["grain"], row["project"], row["zone"]): row["value"] for row in wanted}

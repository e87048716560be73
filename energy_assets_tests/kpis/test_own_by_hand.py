"""Indicators of one's own on a few rows, with golden numbers by hand, and their evidence for every member."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts.audit import audit, conform, schema_of
from energy_assets.contracts.tables import Activity, Cost, Emissions, KpisDaily, KpisMonthly
from energy_assets.kpis.ingredients import Filter
from energy_assets.kpis.own import own_kpis
from energy_assets.kpis.own_evidence import OwnSums
from energy_assets.kpis.periods import monthly, over_months
from energy_assets.own_kpis import OwnKpi
from energy_assets_tests.kpis.test_evidence import HARD
from energy_assets_tests.kpis.test_indicators import JUNE, ONE, TWO, charge, served, used
from energy_assets_tests.rows import rows_of, table

D = Decimal
Row = dict[str, Any]


def kpi(numerator: str, unit: str, denominator: str | None = None, **more: Any) -> OwnKpi:
    given = {"name": "own_x", "label": "X"} | more
    return OwnKpi.model_validate(given | {"numerator": numerator, "denominator": denominator, "unit": unit})


def lake(con: Any, energy: Iterable[Row], activity: Iterable[Row], cost: Iterable[Row]) -> list[Any]:
    named = (("emissions", Emissions, energy), ("activity", Activity, activity), ("cost", Cost, cost))
    return [con.create_table(name, table(model, rows).to_pyarrow(), overwrite=True) for name, model, rows in named]


def made(
    kpis: list[OwnKpi], energy: Iterable[Row], activity: Iterable[Row] = (), cost: Iterable[Row] = (), con: Any = None
) -> tuple[list[Row], list[Row]]:
    """Rows of days and of months, kept to their contracts."""
    con = con or ibis.duckdb.connect(threads=2)
    con.raw_sql("SET TimeZone = 'UTC'")

    def keep(rows: Any) -> Any:
        return con.create_table(ibis.util.gen_name("kept"), rows, temp=True)

    daily = keep(conform(own_kpis(*lake(con, energy, activity, cost), kpis, "EUR", keep), KpisDaily))
    audit(daily, KpisDaily)
    months = keep(conform(monthly(daily, kpis), KpisMonthly))
    audit(months, KpisMonthly, "month")
    return rows_of(con, daily), rows_of(con, months)


def parts(rows: Iterable[Mapping[str, Any]], day: date = ONE, grain: str = "total") -> list[tuple[Any, ...]]:
    mine = [r for r in rows if r.get("day", day) == day and r["grain"] == grain]
    return [(r["numerator"], r["denominator"], r["value"]) for r in mine]


CHAT = used(ONE, 0, "dublin", "IE", "chat", "llama", "inference", "10")
TRAIN = used(ONE, 1, "dublin", "IE", "lab", None, "training", "5")
UNKNOWN_KWH = used(ONE, 2, "cork", "IE", "dark", None, "batch", None)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        # PUE 1.2, 300 g direct, 400 g life-cycle.
        (kpi("facility_kwh", "kWh"), (18, None, 18)),
        (kpi("0.5 * facility_kwh - 0.25 * energy_kwh", "weighted kWh"), (D("5.25"), None, D("5.25"))),
        (kpi("facility_kwh[workload_type == 'training']", "share", "facility_kwh"), (6, 18, D("0.333333333333"))),
        (kpi("1000 * facility_kwh", "Wh per 1,000 requests", "0.001 * requests"), (18_000, D("0.5"), 36_000)),
        (
            kpi("0.001 * location_g[ghg_scope == 'scope2']", "kgCO2e (location-based) per request", "requests"),
            (D("5.4"), 500, D("0.0108")),
        ),
        (kpi("billed_cost", "EUR per MWh", "0.001 * facility_kwh"), (D("1.8"), D("0.018"), 100)),
        (kpi("billed_cost[billing_currency == 'USD']", "USD"), (7, None, 7)),
        (kpi("billed_cost", "share", "list_cost"), (D("1.8"), 3, D("0.6"))),
        (kpi("prompt_tokens + generated_tokens", "tokens per request", "requests"), (4000, 500, 8)),
        # A term without any row adds nothing; a part of a share that nobody has is zero.
        (kpi("facility_kwh[project == 'lab'] + facility_kwh[project == 'gone']", "kWh"), (6, None, 6)),
        (kpi("facility_kwh[project == 'gone']", "share", "facility_kwh"), (0, 18, 0)),
        # 'unknown' is what is not named.
        (kpi("facility_kwh[model_id == 'unknown']", "kWh"), (6, None, 6)),
        (kpi("facility_kwh[model_id in ('unknown', 'llama')]", "kWh"), (18, None, 18)),
    ],
)
def test_golden_numbers(one: OwnKpi, expected: tuple[Any, ...]) -> None:
    bill = [charge(ONE, "chat", "1.8", list_cost=D(3)), charge(ONE, "chat", "7", "USD", list_cost=D(9))]
    days, months = made([one], [CHAT, TRAIN], [served(ONE, 0, "llama", 500, 1000)], bill)
    assert parts(days) == [expected]
    assert parts(months) == [expected]


def test_grams_of_a_part_are_not_divided_by_the_energy_of_all() -> None:
    """6 kWh of the facility have 1,800 g; of the other 12 nobody knows any."""
    dark = {**CHAT, "location_g": None}
    one = kpi("location_g[ghg_scope == 'scope2']", "gCO2e (location-based) per kWh", "facility_kwh")
    days, _ = made([one], [dark, TRAIN])
    assert parts(days) == [(1800, 6, 300)]
    (total,) = [row for row in days if row["grain"] == "total"]
    assert total["coverage"] < 1


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(kpi("facility_kwh[project == 'gone']", "kWh"), id="no row"),
        pytest.param(kpi("facility_kwh[project == 'dark']", "kWh"), id="none known"),
        pytest.param(kpi("facility_kwh[project == 'lab'] + facility_kwh[project == 'dark']", "kWh"), id="part unknown"),
        pytest.param(kpi("facility_kwh[project == 'dark']", "share", "facility_kwh"), id="unknown part of a share"),
        pytest.param(kpi("facility_kwh", "kWh per request", "requests"), id="no denominator"),
        pytest.param(kpi("billed_cost", "EUR"), id="another currency alone"),
    ],
)
def test_unknown_is_no_row_and_never_zero(one: OwnKpi) -> None:
    assert made([one], [CHAT, TRAIN, UNKNOWN_KWH], [], [charge(ONE, "chat", "7", "USD")]) == ([], [])


def test_nothing_is_divided_by_zero() -> None:
    days, months = made([kpi("facility_kwh", "kWh per request", "requests")], [CHAT], [served(ONE, 0, "llama", 0, 0)])
    assert parts(days) == parts(months) == [(12, 0, None)]


def test_a_month_is_the_sum_of_its_days_divided_last() -> None:
    """12 kWh / 100 and 1.2 kWh / 1,100 requests: 13.2 / 1,200, and not the mean of both."""
    energy = [CHAT, used(TWO, 0, "dublin", "IE", "chat", "llama", "inference", "1")]
    _, months = made(
        [kpi("facility_kwh", "kWh per request", "requests", by=["model_id"])],
        energy,
        [served(ONE, 0, "llama", 100, 1), served(TWO, 0, "llama", 1100, 1)],
    )
    assert parts(months) == parts(months, grain="model_id") == [(D("13.2"), 1200, D("0.011"))]
    assert {r["days"] for r in months} == {2}


def test_a_day_with_one_side_alone_is_in_neither_side_of_the_month() -> None:
    energy = [CHAT, used(TWO, 0, "dublin", "IE", "chat", "llama", "inference", "1")]
    one = kpi("facility_kwh", "kWh per request", "requests")
    days, months = made([one], energy, [served(ONE, 0, "llama", 100, 1)])
    assert [r["day"] for r in days] == [ONE]
    assert parts(months) == [(12, 100, D("0.12"))]


def test_it_is_cut_by_its_dimensions_alone() -> None:
    one, other = kpi("facility_kwh", "kWh", by=["project"]), kpi("energy_kwh", "kWh", name="own_y", by=["zone"])
    days, _ = made([one, other], [CHAT, TRAIN])
    assert {(r["kpi"], r["grain"], r["project"] or r["zone"], r["value"]) for r in days} == {
        ("own_x", "total", None, 18), ("own_x", "project", "chat", 12), ("own_x", "project", "lab", 6),
        ("own_y", "total", None, 15), ("own_y", "zone", "IE", 15),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "coverage"),
    [
        # dublin observed half of one of its two hours; cork, of unknown energy, none.
        (kpi("facility_kwh", "kWh"), "0.5"),
        (kpi("facility_kwh[source == 'dublin']", "kWh"), "0.75"),
        (kpi("facility_kwh", "kWh per request", "requests"), "0.25"),
        # One of two lines of the bill is in euros.
        (kpi("billed_cost", "EUR"), "0.5"),
        (kpi("billed_cost[billing_currency == 'USD']", "USD"), "1"),
    ],
)
def test_the_coverage_is_the_smallest_of_what_it_adds(one: OwnKpi, coverage: str) -> None:
    half = TRAIN | {"coverage": D("0.5")}
    bill = [charge(ONE, "chat", "1.8"), charge(ONE, "chat", "7", "USD")]
    days, _ = made([one], [CHAT, half, UNKNOWN_KWH], [served(ONE, 0, "llama", 1, 1, coverage=D("0.25"))], bill)
    assert [r["coverage"] for r in days] == [D(coverage)]


@pytest.mark.parametrize(
    ("one", "interval"),
    [
        # One source: 10 kWh of 1 % and 5 of 4 % are 0.3 of 15: 2 %.
        (kpi("energy_kwh[source == 'dublin']", "kWh"), "2"),
        # Two sources in squares: 0.3 and 0.4 (20 of 2 %) are 0.5 of 35.
        (kpi("energy_kwh", "kWh"), "1.429"),
        # The denominator errs as the numerator would: ± per cent of the value.
        (kpi("requests", "requests per kWh", "energy_kwh"), "1.429"),
        # What both sides share cancels: 12 grams per kWh times 10 kWh err by the factor alone.
        (
            kpi("location_g", "gCO2e (location-based) per kWh", "energy_kwh",
                where={"project": "chat", "ghg_scope": "scope2"}),
            "10",
        ),
        (kpi("location_g", "gCO2e (location-based)", where={"project": "chat", "ghg_scope": "scope2"}), "10.05"),
        # A difference: half-widths in squares over what is left. 15 ± 0.3 less 20 ± 0.4.
        (kpi("energy_kwh[source == 'dublin'] - energy_kwh[source == 'cork']", "kWh"), "10"),
        # Of nothing that is upstream or embodied an interval is known; counts have none; of shares none is told.
        (kpi("upstream_g", "gCO2e (upstream)", where={"ghg_scope": "scope2"}), None),
        (kpi("requests", "requests"), None),
        (kpi("energy_kwh[source == 'dublin']", "share", "energy_kwh"), None),
    ],
)  # fmt: skip
def test_intervals_by_hand(one: OwnKpi, interval: str | None) -> None:
    energy = [
        CHAT,
        TRAIN | {"uncertainty_pct": D(4)},
        used(ONE, 3, "cork", "IE", "lab", None, "batch", "20", uncertainty_pct=D(2)),
    ]
    days, _ = made([one], energy, [served(ONE, 0, "llama", 500, 1000)])
    assert [r["uncertainty_pct"] for r in days] == [None if interval is None else D(interval)]


def test_without_an_interval_of_a_part_there_is_none() -> None:
    days, _ = made([kpi("energy_kwh", "kWh")], [CHAT, TRAIN | {"uncertainty_pct": None}])
    assert [r["uncertainty_pct"] for r in days] == [None]


@pytest.mark.parametrize(
    ("one", "interval"),
    [
        # 12 kWh of 1 % and 6 of 4 %: 0.36 of 18; requests err nothing.
        (kpi("facility_kwh", "kWh"), "2"),
        (kpi("facility_kwh", "kWh per request", "requests"), "2"),
        # What is divided by errs: how much of it days have in common, no row says.
        (kpi("requests", "requests per kWh", "facility_kwh"), None),
    ],
)
def test_the_interval_of_a_month_is_told_where_its_days_say_it(one: OwnKpi, interval: str | None) -> None:
    later = used(TWO, 0, "dublin", "IE", "chat", "llama", "inference", "5", uncertainty_pct=D(4))
    activity = [served(ONE, 0, "llama", 100, 1), served(TWO, 0, "llama", 50, 1)]
    days, months = made([one], [CHAT, later], activity)
    assert sorted(r["uncertainty_pct"] for r in days) == [1, 4]
    assert [r["uncertainty_pct"] for r in months] == [None if interval is None else D(interval)]
    alone, whole = made([one], [CHAT], activity[:1])
    assert [r["uncertainty_pct"] for r in alone] == [r["uncertainty_pct"] for r in whole] == [1]


MANY = [
    kpi("facility_kwh[workload_type == 'training']", "kWh", name="own_a", by=["project", "source"]),
    kpi("1000 * facility_kwh", "Wh per 1,000 requests", "0.001 * requests", name="own_b", by=["model_id", "project"]),
    kpi('facility_kwh[project == "o\'neill"]', "share", "facility_kwh", name="own_c", by=["zone", "ghg_scope"]),
    kpi("0.3333 * billed_cost", "weighted EUR", name="own_d", by=["project"]),
    kpi("0.00008 * location_g", "EUR (location-based)", name="own_e", by=["zone"], where={"ghg_scope": "scope2"}),
    kpi("billed_cost", "EUR per weighted kWh", "facility_kwh - 0.123456789 * energy_kwh", name="own_f", by=["project"]),
    kpi("facility_kwh[model_id in ('unknown', \"it's\")]", "kWh", name="own_g", by=["model_id"]),
]


@pytest.fixture(scope="module")
def hard() -> tuple[Any, list[Row], list[Row]]:
    """A lake of many a strange row, and the rows of days and months."""
    con = ibis.duckdb.connect(threads=2)
    return con, *made(MANY, *HARD, con=con)


@pytest.mark.parametrize("one", MANY, ids=[one.name for one in MANY])
def test_one_query_makes_each_number_again(hard: tuple[Any, list[Row], list[Row]], one: OwnKpi) -> None:
    con, days, months = hard
    mine = [[r for r in rows if r["kpi"] == one.name] for rows in (days, months)]
    assert {r["grain"] for r in mine[0]} == {"total", *one.by}
    assert {r["month"] for r in mine[1]} == {ONE.replace(day=1), JUNE}

    def again(row: Row, first: date, last: date) -> tuple[Any, ...]:
        grain, raw = row["grain"], row.get(row["grain"])
        member = None if grain == "total" else Filter(grain, "=", raw)
        member = Filter(grain, "unknown") if raw == "unknown" else member
        sums = OwnSums.of(one, (first.isoformat(), last.isoformat()), "EUR", member)
        assert OwnSums.from_json(sums.to_json()) == sums
        assert "\n" not in sums.sql()
        found: tuple[Any, ...] = con.raw_sql(sums.sql()).fetchone()
        return found

    for row in mine[0]:
        assert again(row, row["day"], row["day"]) == (row["numerator"], row["denominator"], row["coverage"]), row
    for row in mine[1]:
        last = (row["month"] + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        assert again(row, row["month"], last) == (row["numerator"], row["denominator"], row["coverage"]), row
    rows = ibis.memtable(pa.Table.from_pylist(mine[1], schema=schema_of(KpisMonthly).to_pyarrow()))
    for row in rows_of(ibis.duckdb.connect(), over_months(rows)):
        whole = again(row, date(2024, 4, 1), date(2024, 6, 30))
        assert whole == (row["numerator"], row["denominator"], row["coverage"]), row


def test_a_report_whose_description_was_tampered_with_is_not_asked_of_the_lake() -> None:
    content = OwnSums.of(MANY[0], ("2024-05-01", "2024-05-31"), "EUR").to_json()
    content["own"]["numerator"] = "facility_kwh) from emissions; drop table cost; --"
    with pytest.raises(ValueError, match="cannot be read"):
        OwnSums.from_json(content)


def test_the_same_rows_in_another_order_give_the_same_digits() -> None:
    energy, activity, cost = HARD
    turned, straight = made(MANY, energy[::-1], activity[::-1], cost[::-1]), made(MANY, *HARD)
    for one, other in zip(turned, straight, strict=True):
        assert sorted(one, key=repr) == sorted(other, key=repr)

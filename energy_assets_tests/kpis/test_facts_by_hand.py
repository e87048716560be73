"""Facts of a few rows: what is summed, whose errors, shares of idle, and what has both sides of a ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from energy_assets.contracts.tables import KPI_KEYS, Activity, Cost, Emissions
from energy_assets.kpis.facts import carrier, errors_of, facts, has_interval, measures, name_of, part, type_of
from energy_assets.kpis.indicators import BOUGHT_GRAMS
from energy_assets.kpis.ingredients import Filter, Ingredient, Selection, total
from energy_assets_tests.kpis.tables import Row, indicator
from energy_assets_tests.rows import rows_of, table

D = Decimal
Only = Callable[..., None]
INFERENCE, SCOPE2 = Filter("workload_type", "=", "inference"), Filter("ghg_scope", "=", "scope2")
KWH, FACILITY = total("emissions", "energy_kwh"), total("emissions", "facility_kwh")
GRAMS, BOUGHT = total("emissions", "location_g"), total("emissions", BOUGHT_GRAMS)
REQUESTS, COST = total("activity", "requests"), total("cost", "billed_cost")
F, G = "emissions_facility_kwh", "emissions_location_g"
EXACT = ("facility_kwh", "energy_kwh", "location_g", "lifecycle_g", "losses_g", "embodied_g", "uncertainty_pct",
         "factor_uncertainty_pct", "grams_uncertainty_pct", "coverage", "billed_cost")  # fmt: skip
OF_TELEMETRY = "methodin_measured_counter_measured_power_metered_node_"
"""In names of sums: of rows that telemetry tells."""


FIRST = date(2024, 1, 1)


def exact(rows: Iterable[Row], day: date = FIRST) -> list[Row]:
    """Rows of a day, or `later` days behind it, with numbers as the lake keeps them."""
    return [
        {name: D(str(value)) if name in EXACT and value is not None else value for name, value in row.items()}
        | {"day": day + timedelta(row.get("later", 0))}
        for row in rows
    ]


def summed(
    con: Any, emissions: Iterable[Row] = (), activity: Iterable[Row] = (), cost: Iterable[Row] = ()
) -> list[Row]:
    """Facts of an organisation that counts in EUR; each step is computed once."""

    def keep(rows: ir.Table) -> ir.Table:
        kept: ir.Table = con.create_table(ibis.util.gen_name("kept"), rows, temp=True)
        return kept

    read = table(Emissions, emissions), table(Activity, activity), table(Cost, cost)
    return rows_of(con, facts(*read, "EUR", keep))


def apart(con: Any, cases: Iterable[Mapping[str, list[Row]]]) -> list[list[Row]]:
    """Facts of many cases at once: each has two days of its own, which say nothing of each other."""
    given: dict[str, list[Row]] = {"emissions": [], "activity": [], "cost": []}
    days = []
    for number, case in enumerate(cases):
        days.append(FIRST + timedelta(2 * number))
        for name, rows in case.items():
            given[name] += exact(rows, days[-1])
    found = summed(con, **given)
    return [[row for row in found if row["day"] in (day, day + timedelta(1))] for day in days]


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (KWH, "emissions_energy_kwh"),
        (total("emissions", None), "emissions_rows"),
        (Selection("activity", "coverage"), "activity_coverage"),
        (total("emissions", "energy_kwh", factor="1000"), "emissions_energy_kwh"),
        (total("emissions", "energy_kwh", with_idle=True), "emissions_energy_kwh_with_idle"),
        (Selection("emissions", "energy_kwh", (INFERENCE, SCOPE2)),
         "emissions_energy_kwh_workload_type_inference_ghg_scope_scope2"),
        (total("emissions", "energy_kwh", Filter("project", "!=", "x")), "emissions_energy_kwh_project_not_x"),
        (Selection("emissions", "energy_kwh", (Filter("zone", "is null"),)), "emissions_energy_kwh_zoneis_null"),
        (BOUGHT, "emissions_lifecycle_g_or_location_g_losses_g_embodied_g"),
    ],
)  # fmt: skip
def test_the_column_of_a_sum(one: Ingredient | Selection, name: str) -> None:
    assert name_of(one) == name


@pytest.mark.parametrize(
    ("table_", "column", "scale"),
    [("emissions", "energy_kwh", 9), ("emissions", "facility_kwh", 12), ("emissions", "location_g", 15),
     ("emissions", None, 0), ("activity", "requests", 0), ("activity", "coverage", 6), ("cost", "billed_cost", 18),
     ("emissions", "energy_kwh + location_g", 15)],
)  # fmt: skip
def test_a_sum_is_as_exact_as_its_columns(table_: str, column: str | None, scale: int) -> None:
    assert type_of(Selection(table_, column)) == f"decimal(38, {scale})"


@pytest.mark.parametrize(
    ("one", "errors"),
    [
        (KWH, ("meter",)),
        (FACILITY, ("meter",)),
        (GRAMS, ("meter", "factor")),
        (total("emissions", "lifecycle_g"), ("meter", "factor")),
        (BOUGHT, ("meter", "factor")),
        (total("emissions", "upstream_g"), ()),
        (total("emissions", "losses_g"), ()),
        (total("emissions", None), ()),
        (COST, ()),
    ],
)
def test_the_errors_that_are_known_of_a_sum(one: Ingredient, errors: tuple[str, ...]) -> None:
    assert errors_of(one) == errors


@pytest.mark.parametrize(
    ("top", "below", "kind", "told", "side"),
    [
        (KWH, None, "energy", True, KWH),
        (COST, None, "money", False, COST),
        (KWH, None, "share", False, KWH),
        (KWH, FACILITY, "share", False, KWH),
        (COST, FACILITY, "ratio", True, FACILITY),
        (KWH, REQUESTS, "ratio", True, KWH),
        (GRAMS, FACILITY, "ratio", True, GRAMS),
        (COST, REQUESTS, "ratio", False, REQUESTS),
    ],
)
def test_the_side_that_carries_the_error(top: Any, below: Any, kind: str, told: bool, side: Ingredient) -> None:
    one = indicator("one", top, below, kind=kind)
    assert (has_interval(one), carrier(one)) == (told, side)


def test_a_matched_sum_has_a_column_of_its_own() -> None:
    assert part(indicator("one", KWH), KWH) == "emissions_energy_kwh"
    assert part(indicator("one", KWH, match="account"), KWH) == "one__emissions_energy_kwh"


def test_every_measure_and_its_type(only: Only) -> None:
    only(
        indicator("plain", KWH, basis="energy"),
        indicator("cost", COST, FACILITY, basis="matched numerator", match="account"),
        indicator("share", GRAMS, KWH, kind="share"),
        indicator("hardware", total("emissions", "embodied_g"), basis="none"),
    )
    kwh, grams, facility, money = (f"decimal(38, {scale})" for scale in (9, 15, 12, 18))
    assert measures() == {
        "emissions_energy_kwh": kwh,
        "emissions_energy_kwh__meter": "decimal(38, 12)",
        "emissions_energy_kwh__open": kwh,
        f"emissions_coverage_{OF_TELEMETRY}energy_kwhis_not_null": "decimal(38, 6)",
        f"emissions_rows_{OF_TELEMETRY}": "decimal(38, 0)",
        "cost_billed_cost": money,
        "cost__cost_billed_cost": money,
        "cost__cost_billed_cost__matched": money,
        "cost__cost_billed_cost__all": money,
        "emissions_facility_kwh": facility,
        "emissions_facility_kwh__meter": "decimal(38, 15)",
        "emissions_facility_kwh__open": facility,
        "cost__emissions_facility_kwh": facility,
        "cost__emissions_facility_kwh__meter": "decimal(38, 15)",
        "cost__emissions_facility_kwh__open": facility,
        "emissions_location_g": grams,
        "emissions_embodied_g": grams,
    }


def by_source(rows: Iterable[Row], *measures_: str) -> dict[str, Any]:
    """The measures by source, added over its runs; unknown where all are."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["source"], []).append(row)
    return {source: tuple(_added([row[name] for row in mine]) for name in measures_) for source, mine in found.items()}


def _added(values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None


METER: Row = {"uncertainty_pct": 3, "factor_uncertainty_pct": 4, "grams_uncertainty_pct": 5}


SUMS: dict[str, tuple[list[Row], Any, Any]] = {
    # Sum, error of the meter, of the factor, and what is open; 10 kWh of 3 % and 3,000 g of 3 and 4 %
    "known": ([{}], (3000, 9000, 12_000, None), (10, 30, None)),
    "two": ([{}, {"location_g": 1000, "facility_kwh": 2}], (4000, 12_000, 16_000, None), (12, 36, None)),
    "of two intervals": (
        [{}, {"location_g": 1000, "facility_kwh": 2, "uncertainty_pct": 5}],
        (4000, 14_000, 16_000, None),
        (12, 40, None),
    ),
    "an unknown meter": (
        [{"uncertainty_pct": None, "grams_uncertainty_pct": None}],
        (3000, None, 12_000, 3000),
        (10, None, 10),
    ),
    "the meter alone": ([{"uncertainty_pct": None}], (3000, None, 12_000, 3000), (10, None, 10)),
    "the factor alone": ([{"factor_uncertainty_pct": None}], (3000, 9000, None, 3000), (10, 30, None)),
    "the grams alone": ([{"grams_uncertainty_pct": None}], (3000, 9000, 12_000, 3000), (10, 30, None)),
    "of part": ([{}, {"grams_uncertainty_pct": None, "location_g": 7}], (3007, 9021, 12_028, 7), (20, 60, None)),
    "no grams": ([{"location_g": None}], (None, None, None, None), (10, 30, None)),
    "another scope": ([{"ghg_scope": "scope3.1"}], (None, None, None, None), (10, 30, None)),
    "another scope, unknown": (
        [{"ghg_scope": "scope3.1", "uncertainty_pct": None}],
        (None, None, None, None),
        (10, None, 10),
    ),
    "to the last digit": (
        [{"facility_kwh": "0.000000000001", "uncertainty_pct": "0.001"}],
        (3000, 3, 12_000, None),
        (D("1E-12"), D("1E-15"), None),
    ),
}


def test_sums_and_their_errors(con: Any, only: Only) -> None:
    only(indicator("kwh", FACILITY), indicator("g", total("emissions", "location_g", SCOPE2)))
    plain: Row = {"facility_kwh": 10, "location_g": 3000, **METER}
    found = apart(con, [{"emissions": [plain | row for row in rows]} for rows, *_ in SUMS.values()])
    name = "emissions_location_g_ghg_scope_scope2"
    told = {
        case: (
            tuple(row[f"{name}{of}"] for of in ("", "__meter", "__factor", "__open")),
            tuple(row[f"{F}{of}"] for of in ("", "__meter", "__open")),
        )
        for case, (row,) in zip(SUMS, found, strict=True)
    }
    assert told == {case: (grams, kwh) for case, (_, grams, kwh) in SUMS.items()}


HARDWARE: dict[str, tuple[list[Any], Any]] = {
    "the whole": ([(400, 300, None, None)], (400, 1200, 1600, None)),
    "without upstream": ([(None, 300, None, None)], (300, 900, 1200, None)),
    "hardware, of no interval": ([(400, 300, None, 5)], (405, 1200, 1600, 405)),
    "no hardware": ([(400, 300, None, 0)], (400, 1200, 1600, None)),
    "one gram": ([(400, 300, None, 1)], (401, 1200, 1600, 401)),
    "hardware alone": ([(None, None, None, 5)], (5, None, None, 5)),
    "losses, of no interval": ([(400, 300, 20, None)], (420, 1200, 1600, 420)),
    "no losses": ([(400, 300, 0, None)], (400, 1200, 1600, None)),
    "losses and hardware": ([(400, 300, 20, 5)], (425, 1200, 1600, 425)),
    "nothing": ([(None, None, None, None)], (None, None, None, None)),
    "in turn": (
        [(400, 300, None, None), (None, 200, None, None), (None, None, None, 7), (None, None, 9, None)],
        (616, 1800, 2400, 16),
    ),
}


def test_grams_of_bought_services_are_each_the_first_that_is_known(con: Any, only: Only) -> None:
    only(indicator("kwh", FACILITY), indicator("g", BOUGHT))
    names = ("lifecycle_g", "location_g", "losses_g", "embodied_g")
    found = apart(
        con,
        [
            {"emissions": [METER | {"facility_kwh": 1} | dict(zip(names, row, strict=True)) for row in rows]}
            for rows, _ in HARDWARE.values()
        ],
    )
    columns = [f"{name_of(BOUGHT)}{of}" for of in ("", "__meter", "__factor", "__open")]
    told = {case: tuple(row[name] for name in columns) for case, (row,) in zip(HARDWARE, found, strict=True)}
    assert told == {case: wanted for case, (_, wanted) in HARDWARE.items()}


def test_conditions_that_ask_whether_a_value_is_known(con: Any, only: Only) -> None:
    wanted = {
        "reported": total("emissions", "energy_kwh", Filter("workload_id", "or idle")),
        "without": total("emissions", "energy_kwh", Filter("location_g", "is null")),
        "with": total("emissions", "facility_kwh", Filter("location_g", "is not null")),
        "any": total("emissions", "energy_kwh", Filter("lifecycle_g or location_g", "is not null")),
        "hours": total("emissions", None),
        "observed": total("emissions", "coverage"),
        "tier": total("emissions", "energy_kwh", Filter("quality_tier", "=", "1")),
    }
    only(indicator("kwh", FACILITY), *(indicator(name, one) for name, one in wanted.items()))
    job, idle, nobody = (
        {"workload_id": "j", "workload_type": "training", "energy_kwh": 1, "facility_kwh": 10, "coverage": "0.5"},
        {"workload_type": "idle", "energy_kwh": 2, "facility_kwh": 20, "location_g": 5, "quality_tier": 1},
        {"workload_type": "training", "energy_kwh": 4, "facility_kwh": 40, "lifecycle_g": 6, "coverage": "0.25"},
    )
    rows = [{"source": "job", **job}, {"source": "idle", **idle}, {"source": "nobody", **nobody}]
    rows += [{"source": "all", **one, "workload_type": "idle"} for one in (job, idle)]
    rows += [{"source": "both", **one, "location_g": grams} for one in (job, nobody) for grams in (None, 7)]
    assert by_source(summed(con, exact(rows)), *map(name_of, wanted.values())) == {
        "job": (1, 1, None, None, 1, D("0.5"), None),
        "idle": (2, None, 20, 2, 1, 1, 2),
        "nobody": (None, 4, None, 4, 1, D("0.25"), None),
        "all": (3, 1, 20, 2, 2, D("1.5"), 2),
        # 1 and 4 kWh, each with grams and without; those of 4 have the life cycle.
        "both": (2, 5, 50, 9, 4, D("1.5"), None),
    }


def test_facts_have_every_column_of_every_table_in_one_order(con: Any, only: Only) -> None:
    only(indicator("kwh", FACILITY), indicator("requests", REQUESTS, basis="activity"), indicator("billed", COST))
    alike: Row = {"project": "p", "model_id": "m", "workload_type": "inference"}
    served: Row = {**alike, "requests": 100, "coverage": "0.5"}
    (found,) = apart(
        con,
        [
            {
                "emissions": [
                    {**alike, "facility_kwh": 2, "zone": "IE"},
                    {**alike, "facility_kwh": 3, "zone": "IE", "later": 1},
                ],
                "activity": [served, served | {"requests": None, "coverage": 1}, served | {"later": 1}],
                "cost": [
                    {**alike, "billed_cost": 6},
                    {**alike, "billed_cost": 1},
                    {**alike, "billed_cost": 9, "billing_currency": "USD"},
                ],
            }
        ],
    )
    columns = ["day", *KPI_KEYS, "currency", "error_source", *measures()]
    assert [list(row) for row in found] == [columns] * 6
    nothing: Row = dict.fromkeys(columns) | {"day": FIRST, **alike}
    meters: Row = nothing | {
        "source": "meters",
        "error_source": "meters/container",
        "zone": "IE",
        "ghg_scope": "scope2",
    }
    serving: Row = nothing | {"source": "serving", "error_source": "serving"}
    bills: Row = nothing | {"source": "bills", "error_source": "bills"}
    expected = [
        meters | {F: 2, f"{F}__meter": 2},
        meters | {F: 3, f"{F}__meter": 3, "day": FIRST + timedelta(1)},
        serving | {"activity_requests": 100, "activity_rows": 2, "activity_coverage": D("1.5")},
        serving
        | {"activity_requests": 100, "activity_rows": 1, "activity_coverage": D("0.5"), "day": FIRST + timedelta(1)},
        bills | {"cost_billed_cost": 7, "currency": "EUR"},
        bills | {"cost_billed_cost": 9, "currency": "USD"},
    ]

    def order(row: Row) -> str:
        return f"{row['source']} {row['day']} {row['currency']}"

    assert sorted(found, key=order) == sorted(expected, key=order)


def test_types_of_facts_are_those_of_measures(con: Any, only: Only) -> None:
    only(indicator("kwh", FACILITY), indicator("cost", COST, FACILITY, match="account", basis="matched numerator"),
         indicator("wh", FACILITY, REQUESTS, match="model_id", basis="matched"))  # fmt: skip
    rows = facts(table(Emissions, []), table(Activity, []), table(Cost, []), "EUR")
    assert {name: rows.schema()[name] for name in measures()} == {
        name: ibis.dtype(dtype) for name, dtype in measures().items()
    }


def test_a_rest_is_counted_once_and_borrows_the_errors_of_its_devices(con: Any, only: Only) -> None:
    """5 kWh ±10 % beside a device of 5 kWh ±8 %: of the meter 30 kWh × per cent, and 40 of the device against it."""
    only(indicator("kwh", FACILITY), indicator("hours", total("emissions", None)))
    alike: Row = {"energy_kwh": 5, "facility_kwh": 6}
    rest: Row = {**alike, "source": "ipmi", "device_kind": "rest_of_node", "uncertainty_pct": 10}
    gpu: Row = {**alike, "source": "dcgm", "device_kind": "gpu", "uncertainty_pct": 8, "project": "chat"}
    found = {
        (row["source"], row["project"], row["error_source"]): (
            row[F], row[f"{F}__meter"], row[f"{F}__open"], row["emissions_rows"]
        )
        for row in summed(con, exact([rest, gpu]))
    }  # fmt: skip
    # Per kWh of the rest 6 % and -8 %, of 6 kWh.
    assert found == {
        ("ipmi", "unknown", "ipmi/container"): (6, 36, None, 1),
        ("ipmi", "unknown", "dcgm"): (None, -48, None, None),
        ("dcgm", "chat", "dcgm"): (6, 48, None, 1),
    }


SERVED = total("emissions", "facility_kwh", INFERENCE, with_idle=True)
SERVED_G = total("emissions", "location_g", INFERENCE, with_idle=True)


SHARED: dict[str, tuple[list[tuple[str, Any, Any]], Row, Row]] = {
    # 100 kWh, of which 20 idle: 30 and 10 of the busy 80 carry 7.5 and 2.5; 8,000 g are 3,000 and 1,000.
    "shared by busy energy": (
        [("chat", 30, 9000), ("lab", 10, 100), ("training", 40, 50), ("idle", 20, 8000)],
        {"chat": D("37.5"), "lab": D("12.5"), "training": None, "idle": None},
        {"chat": 12_000, "lab": 1100, "training": None, "idle": None},
    ),
    "no idle": ([("chat", 5, 1500), ("lab", 3, 900)], {"chat": 5, "lab": 3}, {"chat": 1500, "lab": 900}),
    "one kWh": ([("chat", 1, 10), ("idle", 3, 4)], {"chat": 4, "idle": None}, {"chat": 14, "idle": None}),
    "not busy": ([("chat", 0, 0), ("idle", 5, 6)], {"chat": 0, "idle": None}, {"chat": 0, "idle": None}),
    "idle of no grams": ([("chat", 2, 4), ("idle", 1, None)], {"chat": 3, "idle": None}, {"chat": 4, "idle": None}),
    "no grams": ([("chat", 2, None), ("idle", 1, 9)], {"chat": 3, "idle": None}, {"chat": None, "idle": None}),
    "idle alone": ([("idle", 1, 9)], {"idle": None}, {"idle": None}),
    # 12.345678901346 / 100 of the one kWh: 0.12345678901346
    "to twelve digits": (
        [("chat", 1, 0), ("training", 99, 0), ("idle", "12.345678901346", 0)],
        {"chat": D("1.123456789013"), "training": None, "idle": None},
        {"chat": 0, "training": None, "idle": None},
    ),
}


def test_idle_is_shared_by_what_is_busy_of_its_source_and_day(con: Any, only: Only) -> None:
    """Of another source beside each, and of the next day, 7 of 7 kWh are busy and 7 idle."""
    only(indicator("kwh", SERVED), indicator("g", SERVED_G))
    beside: list[Row] = [
        {"source": "other", "project": who, "workload_type": who, "facility_kwh": 7, "location_g": 7}
        for who in ("inference", "idle")
    ]
    beside += [row | {"source": "meters", "later": 1} for row in beside]
    given: list[list[Row]] = [
        [
            {"project": who, "facility_kwh": used, "location_g": emitted,
             "workload_type": who if who in ("training", "idle") else "inference"}
            for who, used, emitted in rows
        ]
        for rows, *_ in SHARED.values()
    ]  # fmt: skip
    found = apart(con, [{"emissions": [*rows, *beside]} for rows in given])
    for case, (kwh, grams), rows, first in zip(
        SHARED, [wanted for _, *wanted in SHARED.values()], found, range(0, 2 * len(SHARED), 2), strict=True
    ):
        mine = [row for row in rows if row["source"] == "meters" and row["day"] == FIRST + timedelta(first)]
        assert {row["project"]: row[name_of(SERVED)] for row in mine} == kwh, case
        assert {row["project"]: row[name_of(SERVED_G)] for row in mine} == grams, case
        others = [row[name_of(SERVED)] for row in rows if row not in mine]
        assert sorted(others, key=str) == [14, 14, None, None], case


# kWh of inference, their interval, idle kWh, and the error told: 30 kWh ±3 % and 10 idle ones are 40 of 3 %.
GROWN: list[tuple[Any, Any, Any, Any]] = [
    (30, 3, 10, 120),
    (1, 3, 3, 12),
    (30, 3, None, 90),
    ("0.0000000016", 1, None, D("2E-9")),
    (0, 3, 5, None),
    (30, None, 10, None),
]


def test_errors_grow_with_the_share_of_idle(con: Any, only: Only) -> None:
    """They are told to nine digits."""
    only(indicator("kwh", SERVED))
    busy: Row = {"workload_type": "inference"}
    idle: Row = {"workload_type": "idle", "uncertainty_pct": 3}
    given = [
        [busy | {"facility_kwh": kwh, "uncertainty_pct": pct}, *([idle | {"facility_kwh": unused}] if unused else [])]
        for kwh, pct, unused, _ in GROWN
    ]
    found = apart(con, [{"emissions": rows} for rows in given])
    inference = [row for rows in found for row in rows if row["workload_type"] == "inference"]
    assert [row[f"{name_of(SERVED)}__meter"] for row in inference] == [meter for *_, meter in GROWN]
    assert [row[f"{name_of(SERVED)}__open"] for row in inference] == [None] * 5 + [30]


def test_a_share_of_idle_that_is_added_to_nothing_has_no_known_interval(con: Any, only: Only) -> None:
    """Of 10 busy kWh all are inference, so the grams of idle are all added: to 50 g, to 0 g, and none to 0 g."""
    only(indicator("kwh", SERVED), indicator("g", SERVED_G))
    found = apart(
        con,
        [
            {
                "emissions": [
                    {**METER, "workload_type": "inference", "facility_kwh": 10, "location_g": busy},
                    {**METER, "workload_type": "idle", "facility_kwh": 5, "location_g": idle},
                ]
            }
            for busy, idle in ((50, 100), (0, 100), (0, 0))
        ],
    )
    name = name_of(SERVED_G)
    told = [
        tuple(row[f"{name}{of}"] for of in ("", "__meter", "__factor", "__open"))
        for rows in found
        for row in rows
        if row["workload_type"] == "inference"
    ]
    assert told == [(150, 450, 600, None), (100, None, None, 100), (0, None, None, None)]


def energy(account: str | None, kwh: Any = 10, **more: Any) -> Row:
    return {"provider": "aws", "account_id": account, "project": "p", "facility_kwh": kwh, "uncertainty_pct": 3, **more}


def bill(account: str | None, amount: Any = 6, **more: Any) -> Row:
    return {"provider": "aws", "account_id": account, "project": "p", "billed_cost": amount, **more}


UNPAIRED = (None, None, None, None, 6)


ACCOUNTS: dict[str, tuple[list[Row], list[Row], Any]] = {
    # kWh and their error, cost, its matched and its whole amount
    "one account": ([energy("1")], [bill("1")], (10, 30, 6, 6, 6)),
    "two": ([energy("1"), energy("2", 1)], [bill("1"), bill("2", 5)], (11, 33, 11, 11, 11)),
    "another account": ([energy("1")], [bill("2")], UNPAIRED),
    "one of two": ([energy("1"), energy("2", 1)], [bill("1"), bill("3", 5)], (10, 30, 6, 6, 11)),
    "energy of any account": ([energy(None)], [bill("2")], (10, 30, 6, 6, 6)),
    "a bill of any account": ([energy("1")], [bill(None)], (10, 30, 6, 6, 6)),
    "of no account": ([energy(None)], [bill(None)], (10, 30, 6, 6, 6)),
    "energy of an account that is not billed": ([energy("1"), energy(None, 1)], [bill("3")], (1, 3, 6, 6, 6)),
    "a bill of an account without energy": ([energy("1")], [bill("3"), bill(None, 5)], (10, 30, 5, 5, 11)),
    "spelled otherwise": ([energy("1")], [bill("1", provider=" AWS ")], (10, 30, 6, 6, 6)),
    "an account spelled otherwise": ([energy("000000000001")], [bill("1")], (10, 30, 6, 6, 6)),
    "another provider": ([energy("1")], [bill("1", provider="gcp")], UNPAIRED),
    "another provider of no account": ([energy(None)], [bill(None, provider="gcp")], UNPAIRED),
    "another project": ([energy("1")], [bill("1", project="q")], UNPAIRED),
    "another project of no account": ([energy(None)], [bill(None, project="q")], UNPAIRED),
    "another day": ([energy("1")], [bill("1", later=1)], UNPAIRED),
    "another day of no account": ([energy(None)], [bill(None, later=1)], UNPAIRED),
    "nobody knows whose": ([energy("1", project="unknown")], [bill("1", project="unknown")], UNPAIRED),
    "idle": ([energy("1", project="idle")], [bill("1", project="idle")], UNPAIRED),
    "unknown energy": ([energy("1", None)], [bill("1")], UNPAIRED),
    "energy known in part": ([energy("1"), energy("1", None)], [bill("1")], (10, 30, 6, 6, 6)),
    "another currency": ([energy("1")], [bill("1", billing_currency="USD")], (None,) * 5),
    "and another currency": ([energy("1")], [bill("1"), bill("1", 9, billing_currency="USD")], (10, 30, 6, 6, 6)),
    "a credit": ([energy("1")], [bill("1", -6), bill("2", 4)], (10, 30, -6, 6, 10)),
    "a credit of another account": ([energy("1")], [bill("1", 4), bill("2", -6)], (10, 30, 4, 4, 10)),
    "the project of another account": (
        [energy("1"), energy("2", 1, project="q")],
        [bill("1"), bill("1", 5, project="q")],
        (10, 30, 6, 6, 11),
    ),
    "no bill": ([energy("1")], [], (None,) * 5),
    "no energy": ([], [bill("1")], UNPAIRED),
}


def test_cost_is_paired_with_energy_of_its_project_and_account(con: Any, only: Only) -> None:
    only(indicator("cost", COST, FACILITY, match="account", basis="matched numerator"))
    found = apart(con, [{"emissions": metered, "cost": billed} for metered, billed, _ in ACCOUNTS.values()])
    names = (F, f"{F}__meter", "cost_billed_cost", "cost_billed_cost__matched", "cost_billed_cost__all")
    told = {
        case: tuple(add(rows, f"cost__{name}") for name in names) for case, rows in zip(ACCOUNTS, found, strict=True)
    }
    assert told == {case: wanted for case, (*_, wanted) in ACCOUNTS.items()}
    whole = {case: (add(rows, F), add(rows, "cost_billed_cost")) for case, rows in zip(ACCOUNTS, found, strict=True)}
    assert whole == {
        case: (add(metered, "facility_kwh"), add(billed, "billed_cost"))
        for case, (metered, billed, _) in ACCOUNTS.items()
    }


def add(rows: Iterable[Row], name: str) -> Any:
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known) if known else None


def test_paired_energy_of_unknown_interval_is_open(con: Any, only: Only) -> None:
    only(indicator("cost", COST, FACILITY, match="account", basis="matched numerator"))
    unknown: Row = {"uncertainty_pct": None}
    (found,) = apart(
        con,
        [{"emissions": [energy("1", 4, **unknown), energy("2", 5, **unknown), energy("1", 1)], "cost": [bill("1")]}],
    )
    assert add(found, f"cost__{F}__open") == 4
    assert add(found, f"{F}__open") == 9


def running(kwh: Any = 10, project: str = "p", model: str | None = "m", **more: Any) -> Row:
    return {"project": project, "model_id": model, "facility_kwh": kwh, "uncertainty_pct": 3, **more}


def serving(requests: Any = 100, project: str = "p", model: str | None = "m", **more: Any) -> Row:
    return {"project": project, "model_id": model, "requests": requests, **more}


ALONE = (None, None, None, 10, None, None, 100)
BOTH = (10, 30, 10, 10, 100, 100, 100)


MODELS: dict[str, tuple[list[Row], list[Row], Any]] = {
    # kWh, their error, their matched and whole amount; requests, matched and whole
    "both": ([running()], [serving()], BOTH),
    "another model": ([running()], [serving(model="n")], ALONE),
    "by its name": ([running()], [serving(project="q")], BOTH),
    "by its name in no project": ([running()], [serving(project="unknown")], BOTH),
    "in no project": ([running(project="unknown")], [serving(project="unknown")], BOTH),
    "a project's only one": ([running(model=None)], [serving(model=None)], BOTH),
    "of no name in another project": ([running(model=None)], [serving(model=None, project="q")], ALONE),
    "of no name and project": ([running(10, "unknown", None)], [serving(100, "unknown", None)], ALONE),
    "idle": ([running(10, "idle", None)], [serving(100, "idle", None)], ALONE),
    "another day": ([running()], [serving(later=1)], ALONE),
    "unknown requests": ([running()], [serving(None)], (None, None, None, 10, None, None, None)),
    "unknown energy": ([running(None)], [serving()], (None, None, None, None, None, None, 100)),
    "no servers": ([running()], [], (None, None, None, 10, None, None, None)),
    "shared in one project": ([running(), running(7, "q")], [serving()], (10, 30, 10, 17, 100, 100, 100)),
    "shared in none": ([running(), running(7, "q")], [serving(project="r")], (17, 51, 17, 17, 100, 100, 100)),
    "served in another too": ([running()], [serving(), serving(5, "q")], (10, 30, 10, 10, 100, 100, 105)),
    "one model of two": (
        [running(), running(7, "q", "n")],
        [serving(), serving(5, "q", "o")],
        (10, 30, 10, 17, 100, 100, 105),
    ),
    "one in its project and one by its name": (
        [running(), running(7, "q", "n")],
        [serving(5, "r", "n"), serving()],
        (17, 51, 17, 17, 105, 105, 105),
    ),
}


def test_energy_and_requests_of_a_model_meet(con: Any, only: Only) -> None:
    only(indicator("wh", replace(FACILITY, factor="1000"), REQUESTS, match="model_id", basis="matched"))
    found = apart(con, [{"emissions": used, "activity": served} for used, served, _ in MODELS.values()])
    r = "activity_requests"
    names = (F, f"{F}__meter", f"{F}__matched", f"{F}__all", r, f"{r}__matched", f"{r}__all")
    told = {case: tuple(add(rows, f"wh__{name}") for name in names) for case, rows in zip(MODELS, found, strict=True)}
    assert told == {case: wanted for case, (*_, wanted) in MODELS.items()}


def test_what_is_not_known_of_a_model_that_meets_is_open(con: Any, only: Only) -> None:
    only(indicator("wh", FACILITY, REQUESTS, match="model_id", basis="matched"))
    unknown: Row = {"uncertainty_pct": None}
    (found,) = apart(
        con, [{"emissions": [running(4, **unknown), running(5, model="n", **unknown)], "activity": [serving()]}]
    )
    assert (add(found, f"wh__{F}__open"), add(found, f"{F}__open")) == (4, 9)

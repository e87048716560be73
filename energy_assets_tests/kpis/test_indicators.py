"""Indicators of a small company, computed again in plain Python decimals, for every indicator, grain and member."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import pytest

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.tables import Activity, Cost, Emissions, KpisDaily, KpisMonthly
from energy_assets.kpis.daily import by_member, costs, indicators
from energy_assets.kpis.facts import facts
from energy_assets.kpis.indicators import INDICATORS, SCORED
from energy_assets.kpis.periods import monthly
from energy_assets_tests.rows import at, rows_of, table

Row = dict[str, Any]
Key = tuple[str, str, str, str]
"""KPI, unit, grain, member."""
ONE, TWO, JUNE = date(2024, 5, 9), date(2024, 5, 10), date(2024, 6, 1)
GRAINS = ("total", "source", "zone", "project", "model_id", "workload_type", "ghg_scope", "workload_id")
DIMENSIONS = GRAINS[1:]
D = Decimal


def used(
    day: date, n: int, source: str, zone: str | None, project: str, model: str | None, kind: str, kwh: Any, **more: Any
) -> Row:
    """One device-hour with PUE 1.2, 300 g direct and 400 g life-cycle per kWh unless `more` says otherwise."""
    row = {
        "day": day, "hour": at(n, day), "device_id": f"{source}-{n}", "source": source, "zone": zone,
        "project": project, "model_id": model, "workload_type": kind, "energy_kwh": kwh if kwh is None else D(kwh),
        "workload_id": None if kind in ("idle", "unknown") else f"job-{n}",
        "pue": D("1.2"), "factor_tier": 1, "uncertainty_pct": D(1), "ghg_scope": "scope2",
        "factor_uncertainty_pct": D(10), "grams_uncertainty_pct": D(10),
    } | {"direct": D(300), "lifecycle": D(400)} | more  # fmt: skip
    direct, lifecycle = row.pop("direct"), row.pop("lifecycle")
    facility = None if row["energy_kwh"] is None or row["pue"] is None else row["energy_kwh"] * row["pue"]
    row["facility_kwh"] = facility
    row["location_g"] = None if facility is None or direct is None else facility * direct
    row["lifecycle_g"] = None if facility is None or lifecycle is None else facility * lifecycle
    unknown = row["location_g"] is None or row["lifecycle_g"] is None
    row["upstream_g"] = None if unknown else row["lifecycle_g"] - row["location_g"]
    row["factor_tier"] = None if row["location_g"] is None and row["lifecycle_g"] is None else row["factor_tier"]
    return row


def served(day: date, n: int, model: str | None, requests: int | None, tokens: int | None, **more: Any) -> Row:
    return {
        "day": day, "hour": at(n, day), "model_id": model, "requests": requests, "prompt_tokens": tokens,
        "generated_tokens": None if tokens is None else tokens * 3, "project": "chat", **more,
    }  # fmt: skip


def charge(day: date, project: str, amount: str, currency: str = "EUR", **more: Any) -> Row:
    return {
        "day": day, "provider": "onprem", "project": project, "billed_cost": D(amount), "billing_currency": currency,
        **more,
    }  # fmt: skip


USED = [
    used(
        ONE,
        0,
        "dublin",
        "IE",
        "chat",
        "llama",
        "inference",
        "10.5",
        quality_tier=1,
        embodied_g=D("3.75"),
        losses_g=D("252.125"),
        water_onsite_l=D("18.9"),
    ),
    used(ONE, 1, "dublin", "IE", "chat", "mistral", "inference", "4.25", coverage=D("0.5"), uncertainty_pct=D(5)),
    used(ONE, 2, "dublin", "IE", "idle", None, "idle", "2", direct=D("123.456"), factor_tier=2),
    used(ONE, 3, "dublin", "IE", "lab", None, "training", "8", factor_tier=3, uncertainty_pct=D(3)),
    used(
        ONE,
        0,
        "oregon",
        "US",
        "chat",
        "llama",
        "inference",
        "7",
        provider="aws",
        quality_tier=3,
        pue=D("1.5"),
        ghg_scope="scope3.1",
        embodied_g=D("12.5"),
        losses_g=D("200.5"),
        water_offsite_l=D("0.5"),
    ),
    used(
        ONE,
        1,
        "oregon",
        "US",
        "unknown",
        None,
        "unknown",
        "1.125",
        quality_tier=4,
        uncertainty_pct=D(30),
        ghg_scope="scope3.1",
    ),
    used(ONE, 2, "oregon", "US", "idle", None, "idle", "0.5", ghg_scope="scope3.1"),
    used(
        ONE,
        0,
        "rented",
        "US",
        "lab",
        None,
        "training",
        "2.5",
        ghg_scope="scope3.8",
        embodied_g=D("0.25"),
        losses_g=D("60"),
        device_kind="gpu",
        device_hours=D("0.5"),
        water_onsite_l=D(0),
        water_offsite_l=D(3),
    ),
    used(TWO, 0, "dublin", "IE", "chat", "llama", "inference", "3", direct=None),
    used(TWO, 1, "dublin", "IE", "chat", "llama", "inference", None, coverage=D(0)),
    used(TWO, 2, "dublin", None, "lab", None, "training", "5", direct=None, lifecycle=None),
    used(TWO, 3, "dublin", "IE", "idle", None, "idle", "1", uncertainty_pct=None),
    used(TWO, 0, "tokyo", "JP", "lab", None, "training", "6", pue=None, device_kind="gpu", device_hours=D(1)),
    used(TWO, 0, "virginia", "US", "chat", "llama", "training", "3", ghg_scope="scope3.1", direct=None),
    used(TWO, 1, "virginia", "US", "chat", "llama", "training", "4", ghg_scope="scope3.1", lifecycle=None),
    used(
        TWO,
        2,
        "virginia",
        None,
        "lab",
        None,
        "training",
        "5",
        ghg_scope="scope3.1",
        direct=None,
        lifecycle=None,
        embodied_g=D("1.5"),
    ),
    used(JUNE, 0, "dublin", "IE", "lab", None, "training", "9"),
]
SERVED = [
    served(ONE, 0, "llama", 1000, 50_000),
    served(ONE, 1, "llama", 500, 20_000, coverage=D("0.25")),
    served(ONE, 0, "mistral", 40, 3_000, deployment="d2"),
    served(ONE, 0, "api-only", 7, 900, deployment="d3", source="vendor", project="unknown"),
    served(TWO, 0, "llama", 100, None),
    served(TWO, 0, "mistral", 0, 0, deployment="d2"),
]
SPENT = [
    charge(ONE, "chat", "0.000000000000000001"),
    charge(ONE, "chat", "12.34"),
    charge(ONE, "lab", "7", model_id="m"),
    charge(ONE, "marketing", "100"),
    charge(ONE, "chat", "5", "USD"),
    charge(ONE, "chat", "0.21", model_id="llama"),
    charge(ONE, "chat", "9", "USD", model_id="llama"),
    charge(TWO, "lab", "-3"),
]


@pytest.fixture(scope="module")
def made() -> tuple[list[Row], list[Row]]:
    """Daily and monthly rows, kept to their contracts."""
    return kpis(USED, SERVED, SPENT)


def kpis(used_: list[Row], served_: list[Row], spent: list[Row]) -> tuple[list[Row], list[Row]]:
    con = ibis.duckdb.connect(threads=2)
    con.raw_sql("SET TimeZone = 'UTC'")

    def keep(rows: Any) -> Any:
        return con.create_table(ibis.util.gen_name("kept"), rows, temp=True)

    summed = keep(facts(table(Emissions, used_), table(Activity, served_), table(Cost, spent), "EUR", keep))
    every = keep(indicators(keep(by_member(summed)), "EUR"))
    daily = keep(conform(every.union(costs(summed).select(every.columns)), KpisDaily))
    audit(daily, KpisDaily)
    months = keep(conform(monthly(daily), KpisMonthly))
    audit(months, KpisMonthly, "month")
    return rows_of(con, daily), rows_of(con, months)


def member(row: Row, grain: str) -> str:
    return "all" if grain == "total" else row.get(grain) or "unknown"


def by_key(rows: Iterable[Row], period: str) -> dict[tuple[date, Key], Row]:
    return {(r[period], (r["kpi"], r["unit"], r["grain"], member(r, r["grain"]))): r for r in rows}


def add(rows: Iterable[Row], name: str, where: Callable[[Row], bool] = lambda r: True) -> Decimal | None:
    """A sum in which unknown values do not count, and which is unknown when all are."""
    found = [D(r[name]) for r in rows if where(r) and r.get(name) is not None]
    return sum(found, D(0)) if found else None


def share_of_idle(day: date, source: str, name: str) -> Decimal:
    """How much idle energy (or grams) each busy facility kWh of a source carries on a day."""
    there = [scored(r) for r in USED if r["day"] == day and r["source"] == source]
    idle = [r for r in there if r["workload_type"] == "idle"]
    busy = (add(there, "facility_kwh") or D(0)) - (add(idle, "facility_kwh") or D(0))
    return (add(idle, name) or D(0)) / busy if busy else D(0)


def scored(row: Row) -> Row:
    """A row with what the software carbon intensity counts of it; of one in use only where both parts are known."""
    parts = [row["location_g"], row.get("embodied_g")]
    known = [part for part in parts if part is not None]
    whole = len(known) == 2 or (row["workload_type"] == "idle" and known)
    return row | {"scored_g": sum(known, D(0)) if whole else None}


def serving(rows: list[Row], day: date, name: str) -> Decimal | None:
    """Facility energy or grams of inference with its share of idle."""
    inference = [r for r in rows if r["workload_type"] == "inference" and r["facility_kwh"] is not None]
    own = add(inference, name)
    extra = sum((r["facility_kwh"] * share_of_idle(day, r["source"], name) for r in inference), D(0))
    return None if own is None else own + extra


def divide(numerator: Any, denominator: Any) -> tuple[Any, Any] | None:
    """Both halves of a ratio, or nothing where one is unknown."""
    return None if numerator is None or denominator is None else (D(numerator), D(denominator))


def scaled(value: Decimal | None, factor: str) -> Decimal | None:
    return None if value is None else value * D(factor)


def expected_of(day: date, grain: str, name: str) -> dict[tuple[str, str], tuple[Any, Any]]:
    """(KPI, unit) to (numerator, denominator) of one member, from the definitions."""

    def mine(rows: list[Row], **defaults: str) -> list[Row]:
        return [r for r in rows if r["day"] == day and member(defaults | r, grain) == name]

    u, a, c = mine(USED), mine(SERVED, source="serving", workload_type="inference"), mine(SPENT, source="bills")
    it, facility = add(u, "energy_kwh"), add(u, "facility_kwh")
    sums = {
        ("energy_kwh", "kWh"): it,
        ("facility_kwh", "kWh"): facility,
    }
    sums |= by_scope(u, grain)
    if grain in ("total", "source", "project", "model_id"):
        sums |= {("requests", "requests"): add(a, "requests")}
        sums |= {(k, "tokens"): add(a, k) for k in ("prompt_tokens", "generated_tokens")}
    ratios: dict[tuple[str, str], Any] = {
        ("idle_share", "share"): divide(
            add(u, "energy_kwh", lambda r: r["workload_type"] == "idle") or 0,
            it and (add(u, "energy_kwh", lambda r: r["workload_type"] == "idle" or r["workload_id"]) or 0),
        ),
        ("coverage", "share"): divide(sum((r.get("coverage", D(1)) for r in u), D(0)), len(u)) if u else None,
        ("factor_coverage", "share"): divide(
            add(u, "facility_kwh", lambda r: r["location_g"] is not None) or 0, facility
        ),
    }
    ratios |= hardware(u, grain)
    if grain in ("total", "source", "zone", "ghg_scope"):
        sums |= {(k, "l"): add(u, k) for k in ("water_onsite_l", "water_offsite_l")}
        ratios |= shares(u, it, facility)
        ratios |= effectiveness(u)
    if grain in ("total", "source", "zone", "project"):
        for k, basis in (("location", "location-based"), ("lifecycle", "life-cycle")):
            known = add(u, "facility_kwh", lambda r, k=k: r[f"{k}_g"] is not None)
            ratios[f"carbon_intensity_{k}", f"gCO2e ({basis}) per kWh"] = divide(add(u, f"{k}_g"), known)
    if grain in ("total", "model_id"):
        e, a_requests = in_both(u, a, day, "facility_kwh", "requests")
        e_tokens, a_tokens = in_both(u, a, day, "facility_kwh", "generated_tokens")
        e_grams, a_grams = in_both(u, a, day, "location_g", "requests")
        kwh, grams = serving(e, day, "facility_kwh"), serving(e_grams, day, "location_g")
        thousands = scaled(add(a_requests, "requests"), "0.001")
        of_grams = scaled(add(a_grams, "requests"), "0.001")
        millions = scaled(add(a_tokens, "generated_tokens"), "0.000001")
        ratios["wh_per_1k_inferences", "Wh per 1,000 requests"] = divide(scaled(kwh, "1000"), thousands)
        ratios["wh_per_1m_tokens", "Wh per 1,000,000 tokens"] = divide(
            scaled(serving(e_tokens, day, "facility_kwh"), "1000"), millions
        )
        ratios["gco2e_per_1k_inferences", "gCO2e (location-based) per 1,000 requests"] = divide(grams, of_grams)
        ratios |= scores_and_prices(u, a, c, day)
    if grain not in ("zone", "ghg_scope"):
        for currency in ("EUR", "USD"):
            sums["billed_cost", currency] = add(c, "billed_cost", lambda r, x=currency: r["billing_currency"] == x)
    if grain in ("total", "project"):
        euros = [r for r in c if r["billing_currency"] == "EUR"]
        billed = {account_of(r) for r in SPENT if r["day"] == day and r["billing_currency"] == "EUR"}
        metered = {account_of(r) for r in USED if r["day"] == day and r["facility_kwh"] is not None}
        both = {pair for pair in billed & metered if pair[-1] not in ("unknown", "idle")}
        ratios["cost_per_kwh", "EUR per kWh"] = divide(
            add(euros, "billed_cost", lambda r: account_of(r) in both),
            add(u, "facility_kwh", lambda r: account_of(r) in both),
        )
    found: dict[tuple[str, str], tuple[Any, Any]] = {k: (v, None) for k, v in sums.items() if v is not None}
    return found | {k: v for k, v in ratios.items() if v is not None}


def scores_and_prices(u: list[Row], a: list[Row], c: list[Row], day: date) -> dict[tuple[str, str], Any]:
    """Software carbon intensity and cost of one model, or of all."""
    ratios: dict[tuple[str, str], Any] = {}
    for kpi, count, factor, per in (
        ("sci_per_1k_inferences", "requests", "0.001", "1,000 requests"),
        ("sci_per_1m_tokens", "generated_tokens", "0.000001", "1,000,000 tokens"),
    ):
        e, delivered = in_both([scored(r) for r in u], a, day, "scored_g", count)
        known = [r for r in e if r["scored_g"] is not None]
        ratios[kpi, f"gCO2e (location-based + embodied) per {per}"] = divide(
            serving(known, day, "scored_g"), scaled(add(delivered, count), factor)
        )
    charged, delivered = of_both_bill_and_tokens(c, a, day)
    ratios["cost_per_1m_tokens", "EUR per 1,000,000 tokens"] = divide(
        add(charged, "billed_cost"), scaled(add(delivered, "generated_tokens"), "0.000001")
    )
    return ratios


def effectiveness(u: list[Row]) -> dict[tuple[str, str], Any]:
    """PUE, WUE and CUE of one member."""
    ratios: dict[tuple[str, str], Any] = {}
    for kpi, unit, above, known in (
        ("pue", "kWh per kWh", "facility_kwh", "facility_kwh"),
        ("wue", "l per kWh", "water_onsite_l", "water_onsite_l"),
        ("cue", "gCO2e (location-based) per kWh of IT", "location_g", "location_g"),
    ):
        of_it = add(u, "energy_kwh", lambda r, k=known: r.get(k) is not None)
        ratios[kpi, unit] = divide(add(u, above), of_it)
    return ratios


def of_both_bill_and_tokens(c: list[Row], a: list[Row], day: date) -> tuple[list[Row], list[Row]]:
    """Charges in euros and servers of models that have both on the day, in one project."""
    euros = [r for r in SPENT if r["day"] == day and r["billing_currency"] == "EUR"]
    told = [r for r in SERVED if r["day"] == day and r["generated_tokens"] is not None]
    both = {(r.get("model_id"), r["project"]) for r in euros} & {(r["model_id"], r["project"]) for r in told}
    charged = [r for r in c if r["billing_currency"] == "EUR" and (r.get("model_id"), r["project"]) in both]
    return charged, [r for r in a if (r["model_id"], r["project"]) in both]


def solved(day: date, run: str) -> dict[tuple[str, str], tuple[Any, Any]]:
    """Energy of all rows of a training run."""
    mine = [r for r in USED if r["day"] == day and r["workload_id"] == run]
    kwh = add(mine, "facility_kwh", lambda r: r["workload_type"] in ("training", "fine_tuning"))
    return {} if kwh is None else {("energy_to_solution", "kWh"): (kwh, None)}


def account_of(row: Row) -> tuple[str, str | None, str]:
    return row.get("provider", "onprem"), row.get("account_id"), row["project"]


def by_scope(u: list[Row], grain: str) -> dict[tuple[str, str], Any]:
    """Grams of one member, scopes apart."""

    def scoped(scope: str, *columns: str) -> Decimal | None:
        sums_ = [add(u, column, lambda r: r["ghg_scope"] == scope) for column in columns]
        known = [value for value in sums_ if value is not None]
        return sum(known, D(0)) if known else None

    if grain == "ghg_scope":
        return {("lifecycle_g", "gCO2e"): add(u, "lifecycle_g")}
    return {
        ("scope2_location_g", "gCO2e"): scoped("scope2", "location_g"),
        ("scope33_upstream_g", "gCO2e"): scoped("scope2", "upstream_g"),
        ("scope33_losses_g", "gCO2e"): scoped("scope2", "losses_g"),
        ("scope33_g", "gCO2e"): scoped("scope2", "upstream_g", "losses_g"),
        ("scope32_embodied_g", "gCO2e"): scoped("scope2", "embodied_g"),
        ("scope31_g", "gCO2e"): bought_g(u),
        ("scope38_location_g", "gCO2e"): scoped("scope3.8", "location_g"),
        ("scope38_upstream_g", "gCO2e"): scoped("scope3.8", "upstream_g"),
        ("scope38_losses_g", "gCO2e"): scoped("scope3.8", "losses_g"),
        ("scope38_embodied_g", "gCO2e"): scoped("scope3.8", "embodied_g"),
        ("scope31_losses_g", "gCO2e"): scoped("scope3.1", "losses_g"),
        ("scope31_embodied_g", "gCO2e"): scoped("scope3.1", "embodied_g"),
    }


def bought_g(u: list[Row]) -> Decimal | None:
    """Whatever is known of bought services, part by part; the whole of the life cycle where its parts are not."""
    found = []
    for row in (r for r in u if r["ghg_scope"] == "scope3.1"):
        parts = [row["location_g"], row["upstream_g"]]
        parts = parts if row["location_g"] is not None else [row["lifecycle_g"]]
        found += [part for part in (*parts, row.get("losses_g"), row.get("embodied_g")) if part is not None]
    return sum(found, D(0)) if found else None


def in_both(u: list[Row], a: list[Row], day: date, energy: str, count: str) -> tuple[list[Row], list[Row]]:
    """Inference and servers of models that have both on the day, in one project where they share one."""
    every = [scored(r) for r in USED if r["day"] == day and r["workload_type"] == "inference"]
    inference = [r for r in every if r[energy] is not None]
    counted = [r for r in SERVED if r["day"] == day and r[count] is not None]
    pairs = {(r["model_id"], r["project"]) for r in inference} & {(r["model_id"], r["project"]) for r in counted}
    alone = {r["model_id"] for r in inference} & {r["model_id"] for r in counted} - {model for model, _ in pairs}

    def both(r: Row) -> bool:
        return (r["model_id"], r["project"]) in pairs or r["model_id"] in alone

    return [r for r in u if both(r)], [r for r in a if both(r)]


def shares(u: list[Row], it: Any, facility: Any) -> dict[tuple[str, str], Any]:
    """Attributed and tier shares of one member."""
    in_use = [r for r in u if r["workload_type"] != "idle"]
    attributed = add(in_use, "energy_kwh", lambda r: r["project"] != "unknown")
    ratios = {("attributed_share", "share"): divide(attributed or 0, add(in_use, "energy_kwh"))}
    for n in (1, 2, 3, 4):
        tier = add(u, "energy_kwh", lambda r, n=n: r.get("quality_tier", 2) == n)
        factor = add(u, "facility_kwh", lambda r, n=n: r["factor_tier"] == n)
        ratios[f"tier{n}_share", "share"] = divide(tier or 0, it)
        ratios[f"factor_tier{n}_share", "share"] = divide(factor or 0, facility)
    ratios["measured_share", "share"] = divide(it, it)
    for k, known_by, column, whole in (
        ("embodied_coverage", "embodied_g", "energy_kwh", it),
        ("losses_coverage", "losses_g", "facility_kwh", facility),
        ("water_onsite_coverage", "water_onsite_l", "energy_kwh", it),
        ("water_offsite_coverage", "water_offsite_l", "facility_kwh", facility),
    ):
        known = add(u, column, lambda r, c=known_by: r.get(c) is not None)
        ratios[k, "share"] = divide(known or 0, whole)
    return ratios


def hardware(u: list[Row], grain: str) -> dict[tuple[str, str], Any]:
    """Embodied per hour of accelerators of known footprint."""
    if grain == "ghg_scope":
        return {}
    of_gpus = add(u, "embodied_g", lambda r: r.get("device_kind") == "gpu")
    hours = add(u, "device_hours", lambda r: r.get("device_kind") == "gpu" and r.get("embodied_g") is not None)
    return {("embodied_per_gpu_hour", "gCO2e (embodied) per accelerator-hour"): divide(of_gpus, hours)}


def every_member() -> set[tuple[date, str, str]]:
    defaults = [
        (USED, {}),
        (SERVED, {"source": "serving", "workload_type": "inference"}),
        (SPENT, {"source": "bills", "workload_type": "unknown"}),
    ]
    every = {(r["day"], grain, member(d | r, grain)) for rows, d in defaults for r in rows for grain in GRAINS[:-1]}
    training = [r for r in USED if r["workload_type"] in ("training", "fine_tuning") and r["workload_id"]]
    return every | {(r["day"], "workload_id", r["workload_id"]) for r in training}


def expected_daily() -> dict[tuple[date, Key], tuple[Any, Any]]:
    return {
        (day, (kpi, unit, grain, name)): parts
        for day, grain, name in every_member()
        for (kpi, unit), parts in (
            solved(day, name) if grain == "workload_id" else expected_of(day, grain, name)
        ).items()
    }


def ratio(numerator: Decimal, denominator: Decimal | None) -> Decimal | None:
    if denominator is None:
        return numerator
    return numerator / denominator if denominator else None


def close(found: Any, expected: Any) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(D(found) - D(expected)) <= max(abs(D(expected)) * D("1e-9"), D("2e-12"))


def differences(found: dict[tuple[date, Key], Row], expected: dict[tuple[date, Key], tuple[Any, Any]]) -> list[str]:
    told = [f"{key}: missing" for key in expected.keys() - found.keys()]
    told += [f"{key}: not expected, {found[key]['value']}" for key in found.keys() - expected.keys()]
    for key in expected.keys() & found.keys():
        numerator, denominator = expected[key]
        row, wanted = found[key], (numerator, denominator, ratio(numerator, denominator))
        if not all(close(row[n], w) for n, w in zip(("numerator", "denominator", "value"), wanted, strict=True)):
            told.append(f"{key}: {row['numerator']} / {row['denominator']} = {row['value']}, expected {wanted}")
    return sorted(told)


def test_every_indicator_grain_and_member_of_a_day_is_as_defined(made: tuple[list[Row], list[Row]]) -> None:
    found, expected = by_key(made[0], "day"), expected_daily()
    assert differences(found, expected) == []
    assert {key[1][0] for key in expected} == set(INDICATORS)


def test_a_month_is_the_sum_of_its_days_divided_last(made: tuple[list[Row], list[Row]]) -> None:
    sums: dict[tuple[date, Key], list[tuple[Any, Any]]] = defaultdict(list)
    for (day, key), parts in expected_daily().items():
        sums[day.replace(day=1), key].append(parts)
    expected = {
        key: (sum(p[0] for p in parts), None if parts[0][1] is None else sum(p[1] for p in parts))
        for key, parts in sums.items()
    }
    found = by_key(made[1], "month")
    assert differences(found, expected) == []
    assert {key: row["days"] for key, row in found.items()} == {key: len(parts) for key, parts in sums.items()}


def test_only_the_column_of_the_grain_is_filled(made: tuple[list[Row], list[Row]]) -> None:
    for row in made[0] + made[1]:
        assert {name for name in DIMENSIONS if row[name] is not None} == {row["grain"]} - {"total"}


@pytest.mark.parametrize(
    ("day", "grain", "name", "coverage", "interval"),
    [
        # dublin: 10.5, 4.25, 2 and 8 kWh of 1, 5, 1 and 3 %; oregon: 7, 1.125 and 0.5 kWh of 1, 30 and 1 %
        (ONE, "source", "dublin", "0.875", "2.333"),
        (ONE, "source", "oregon", "1", "4.783"),
        # and rented: 2.5 kWh of 1 %
        (ONE, "total", "all", "0.9375", "1.979"),
        (ONE, "model_id", "mistral", "0.5", "5"),
        (TWO, "source", "dublin", "0.75", None),
        (TWO, "source", "tokyo", "1", "1"),
    ],
)
def test_coverage_and_interval_of_energy(
    made: tuple[list[Row], list[Row]], day: date, grain: str, name: str, coverage: str, interval: str | None
) -> None:
    """One source's errors add linearly, sources add in squares; with a reading of unknown error it is unknown."""
    row = by_key(made[0], "day")[day, ("energy_kwh", "kWh", grain, name)]
    assert (row["coverage"], row["uncertainty_pct"]) == (D(coverage), None if interval is None else D(interval))


@pytest.mark.parametrize(
    ("name", "scope", "columns"),
    [
        ("facility_kwh", None, ["facility_kwh"]),
        ("scope2_location_g", "scope2", ["location_g"]),
        ("scope33_upstream_g", "scope2", ["upstream_g"]),
        ("scope33_losses_g", "scope2", ["losses_g"]),
        ("scope33_g", "scope2", ["upstream_g"]),
        ("scope32_embodied_g", "scope2", ["embodied_g"]),
        ("scope31_g", "scope3.1", ["location_g", "lifecycle_g"]),
        ("scope38_location_g", "scope3.8", ["location_g"]),
        ("carbon_intensity_lifecycle", None, ["lifecycle_g"]),
    ],
)
def test_an_hour_without_a_factor_is_not_covered(
    made: tuple[list[Row], list[Row]], name: str, scope: str | None, columns: list[str]
) -> None:
    rows = [r for r in made[0] if (r["kpi"], r["grain"]) == (name, "total")]
    assert rows
    for row in rows:
        there = [r for r in USED if r["day"] == row["day"] and scope in (None, r["ghg_scope"])]
        known = [r.get("coverage", D(1)) for r in there if any(r.get(column) is not None for column in columns)]
        assert row["coverage"] == round(sum(known, D(0)) / len(there), 6), row["day"]


def test_bought_services_of_a_zone_with_the_life_cycle_alone_are_measured(made: tuple[list[Row], list[Row]]) -> None:
    """3 kWh x 1.2 x 400 g whole, 4 kWh x 1.2 x 300 g without upstream, 1.5 g of hardware without electricity."""
    (row,) = [r for r in made[0] if (r["kpi"], r["grain"], r["day"]) == ("scope31_g", "total", TWO)]
    assert (row["value"], row["coverage"]) == (D("2881.5"), D("0.666667"))


def test_coverage_of_requests_is_of_the_servers_and_their_interval_unknown(made: tuple[list[Row], list[Row]]) -> None:
    row = by_key(made[0], "day")[ONE, ("requests", "requests", "model_id", "llama")]
    assert (row["coverage"], row["uncertainty_pct"]) == (D("0.625"), None)


def test_coverage_and_interval_of_a_month(made: tuple[list[Row], list[Row]]) -> None:
    found = by_key(made[1], "month")
    may = date(2024, 5, 1)
    two_days = found[may, ("energy_kwh", "kWh", "source", "dublin")]
    assert (two_days["coverage"], two_days["uncertainty_pct"], two_days["days"]) == (D("0.8125"), None, 2)
    one_day = found[may, ("energy_kwh", "kWh", "source", "oregon")]
    assert (one_day["coverage"], one_day["uncertainty_pct"], one_day["days"]) == (D(1), D("4.783"), 1)
    assert (date(2024, 6, 1), ("energy_kwh", "kWh", "total", "all")) in found


def test_every_unit_in_grams_names_its_basis() -> None:
    for indicator in INDICATORS.values():
        if indicator.unit.startswith("gCO2e "):
            assert any(f"({basis})" in indicator.unit for basis in ("location-based", "life-cycle", "embodied", SCORED))


def test_two_computations_give_the_same_digits(made: tuple[list[Row], list[Row]]) -> None:
    again = kpis(USED[::-1], SERVED[::-1], SPENT[::-1])
    assert by_key(again[0], "day") == by_key(made[0], "day")
    assert by_key(again[1], "month") == by_key(made[1], "month")


def test_a_company_without_anything_has_no_indicators() -> None:
    assert kpis([], [], []) == ([], [])

"""Progress to targets, and training runs, as rows of KPIs: by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import pytest

from energy_assets.contracts.audit import audit, conform, schema_of
from energy_assets.contracts.tables import KpisDaily, KpisMonthly
from energy_assets.kpis.periods import monthly, over_months
from energy_assets.kpis.runs import per_training_run
from energy_assets.kpis.targets import target_progress
from energy_assets.site import Target
from energy_assets_tests.kpis.tables import typed
from energy_assets_tests.rows import rows_of

D = Decimal
UNIT = "Wh per 1,000 requests"
AIM = Target(kpi="own_a", unit=UNIT, base_year=2023, base_value=D(50), target_year=2030, target_value=D(30))
LESS = AIM.model_copy(update={"target_year": 2026, "target_value": D(45)})


def row(day: date, numerator: str, denominator: str | None, **more: Any) -> dict[str, Any]:
    return {
        "day": day, "kpi": "own_a", "unit": UNIT, "grain": "total", "numerator": D(numerator), "coverage": D("0.5"),
        "denominator": None if denominator is None else D(denominator), "uncertainty_pct": D(10), **more,
    }  # fmt: skip


def days_of(*rows: dict[str, Any]) -> Any:
    made = typed(dict(schema_of(KpisDaily).items()), rows)
    return ibis.duckdb.connect().create_table("days", made.to_pyarrow())


ONE, TWO = date(2024, 5, 1), date(2024, 5, 2)


def test_the_halves_are_stored_and_a_month_is_their_sum() -> None:
    """40 and 49 Wh of 50 to 30: 50 % and 5 % of the way; the month's 48.1 Wh is 9.5 %, and not the mean of both."""
    days = days_of(row(ONE, "40", "1"), row(TWO, "441", "9"))
    found = target_progress(days, [AIM])
    assert found is not None
    con = days.get_backend()
    kept = con.create_table("progress", conform(found, KpisDaily))
    audit(kept, KpisDaily)
    by_day = {r["day"]: r for r in rows_of(con, kept)}
    assert {r["kpi"] for r in by_day.values()} == {"target_progress_2030_of_own_a"}
    assert [(r["numerator"], r["denominator"], r["value"], r["unit"]) for _, r in sorted(by_day.items())] == [
        (10, 20, D("0.5"), "share"), (9, 180, D("0.05"), "share"),
    ]  # fmt: skip
    # ± 10 % of 40 Wh are 4 of the 10 saved; of 441, 44.1 of the 9.
    assert [r["uncertainty_pct"] for _, r in sorted(by_day.items())] == [D(40), D(490)]
    months = con.create_table("months", conform(monthly(kept), KpisMonthly))
    (month,) = rows_of(con, months)
    assert (month["numerator"], month["denominator"], month["value"]) == (19, 200, D("0.095"))
    assert month["value"] == (50 - D(481) / 10) / (50 - 30)
    (whole,) = rows_of(con, over_months(months))
    assert whole["value"] == D("0.095")


@pytest.mark.parametrize(
    ("one", "aim"),
    [
        pytest.param(row(ONE, "40", "1"), AIM.model_copy(update={"unit": "Wh"}), id="another unit"),
        pytest.param(row(ONE, "40", None), AIM, id="a total, which is of a year"),
        pytest.param(row(ONE, "40", "1", kpi="own_b"), AIM, id="another indicator"),
        pytest.param(row(ONE, "40", "1", grain="project", project="a"), AIM, id="a part"),
    ],
)
def test_there_is_none_of(one: dict[str, Any], aim: Target) -> None:
    found = target_progress(days_of(one), [aim])
    assert found is not None
    assert found.count().to_pyarrow().as_py() == 0


def test_a_target_that_is_its_base_has_no_progress_and_two_targets_have_two() -> None:
    days = days_of(row(ONE, "40", "1"))
    assert target_progress(days, [AIM.model_copy(update={"target_value": D(50)})]) is None
    found = target_progress(days, [AIM, LESS])
    assert found is not None
    values = {r["kpi"]: r["value"] for r in rows_of(days.get_backend(), found)}
    assert values == {"target_progress_2030_of_own_a": D("0.5"), "target_progress_2026_of_own_a": 2}


def test_nothing_done_on_a_day_divides_by_no_zero() -> None:
    days = days_of(row(ONE, "0", "0"))
    found = target_progress(days, [AIM])
    assert found is not None
    assert [r["value"] for r in rows_of(days.get_backend(), found)] == [None]


def test_energy_per_training_run_counts_each_run_once_a_month() -> None:
    """Run a on two days, b on one: 9 kWh of two runs."""
    of = {"kpi": "energy_to_solution", "unit": "kWh", "grain": "workload_id"}
    days = days_of(
        row(ONE, "2", None, **of, workload_id="a"),
        row(TWO, "3", None, **of, workload_id="a"),
        row(TWO, "4", None, **of, workload_id="b"),
        row(date(2024, 6, 1), "8", None, **of, workload_id="b"),
        row(TWO, "99", "1"),
    )
    con = days.get_backend()
    months = con.create_table("months", conform(monthly(days), KpisMonthly))
    found = con.create_table("runs", per_training_run(months))
    audit(found, KpisMonthly, "month")
    rows = {r["month"]: (r["numerator"], r["denominator"], r["value"], r["days"]) for r in rows_of(con, found)}
    assert rows == {ONE: (9, 2, D("4.5"), 2), date(2024, 6, 1): (8, 1, 8, 1)}
    (whole,) = rows_of(con, over_months(found))
    assert (whole["value"], whole["unit"]) == (D("5.666666666667"), "kWh per training run and month")

"""The idle share: of what sources tell who used it; unknown, never zero, where none of them can."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from energy_assets_tests.kpis.test_indicators import ONE, TWO, kpis, used

D = Decimal


def row(n: int, source: str, kind: str, kwh: str, told: bool = True, **more: Any) -> dict[str, Any]:
    project = {"idle": "idle", "unknown": "unknown"}.get(kind, "lab")
    who = {"workload_id": "job-1" if told and kind != "idle" else None}
    return used(more.pop("day", ONE), n, source, "IE", project, None, kind, kwh, **who, **more)


def found(rows: list[dict[str, Any]], grain: str = "total") -> dict[Any, tuple[Any, ...]]:
    daily, _ = kpis(rows, [], [])
    mine = [r for r in daily if (r["kpi"], r["grain"]) == ("idle_share", grain)]
    columns = ("numerator", "denominator", "value", "coverage")
    return {r["day"] if grain == "total" else r[grain]: tuple(r[c] for c in columns) for r in mine}


CAN = [row(0, "gpus", "training", "6"), row(1, "gpus", "idle", "2")]
CANNOT = [row(0, "meters", "unknown", "24", told=False), row(1, "meters", "training", "8", told=False)]


def test_where_every_source_can_tell() -> None:
    assert found(CAN)[ONE] == (D(2), D(8), D("0.25"), D(1))


def test_a_busy_day_of_a_source_that_can_tell_is_zero() -> None:
    assert found(CAN[:1])[ONE] == (D(0), D(6), D(0), D(1))


def test_where_no_source_can_tell_it_is_unknown_and_not_zero() -> None:
    """A project that a rule gives a whole node says whose it is, not whether it was used."""
    unknown = (D(0), D(0), None, D(0))
    assert found(CANNOT) == {ONE: unknown}
    _, months = kpis(CANNOT, [], [])
    (month,) = [r for r in months if (r["kpi"], r["grain"]) == ("idle_share", "total")]
    assert (month["value"], month["coverage"]) == (None, D(0))


def test_of_a_mixed_site_it_is_the_share_of_what_is_told_and_its_coverage() -> None:
    assert found([*CAN, *CANNOT])[ONE] == (D(2), D(8), D("0.25"), D("0.2"))
    assert found([*CAN, *CANNOT], "source") == {
        "gpus": (D(2), D(8), D("0.25"), D(1)), "meters": (D(0), D(0), None, D(0)),
    }  # fmt: skip


def test_energy_that_is_not_known_changes_nothing() -> None:
    unseen = row(2, "meters", "unknown", "1", told=False) | {"energy_kwh": None, "facility_kwh": None}
    assert found([*CAN, unseen])[ONE] == found(CAN)[ONE]
    assert found([row(0, "gpus", "training", "1") | {"energy_kwh": None}]) == {}


def test_a_day_that_is_not_told_changes_the_coverage_of_the_month_alone() -> None:
    untold = row(0, "meters", "unknown", "100", told=False, day=TWO)
    _, months = kpis([*CAN, untold], [], [])
    (month,) = [r for r in months if (r["kpi"], r["grain"]) == ("idle_share", "total")]
    assert (month["value"], month["coverage"], month["days"]) == (D("0.25"), D("0.5"), 2)

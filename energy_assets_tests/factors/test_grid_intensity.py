"""The ladder of grid intensity: the best rung that is known for each zone and hour, and NULL below the last."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import ibis
import pytest

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import IntensityRows
from energy_assets.contracts.tables import GridIntensity
from energy_assets.factors.assets import needed
from energy_assets.factors.grid_intensity import grid_intensity
from energy_assets.factors.tables import uncertainty_pct
from energy_assets_tests.rows import DAY, at, rows_of, table

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
HOUR = {"resolution": "hour"}
GUESS = {"resolution": "hour", "is_estimated": True}
MONTH = {"resolution": "month", "is_estimated": True}
YEAR = {"resolution": "year", "is_estimated": True}
STATED: dict[str, Any] = {"resolution": "month", "is_estimated": True}
"""A month as a publisher states it: one number for all its hours."""
NONE = {"lifecycle_gco2e_per_kwh": None, "direct_gco2e_per_kwh": None}


def valued(kind: dict[str, Any], grams: int | None, **more: Any) -> dict[str, Any]:
    value = None if grams is None else Decimal(grams)
    return {**kind, "lifecycle_gco2e_per_kwh": value, "direct_gco2e_per_kwh": value, **more}


def best(
    zone: str = "DE", basis: Literal["direct", "lifecycle"] = "direct", **sources: list[dict[str, Any]]
) -> dict[str, Any]:
    """The row of the first hour of the day."""
    rows = {name: table(IntensityRows, given) for name, given in sources.items()}
    made = grid_intensity(rows, needed([DAY], [zone]), ["stated"], basis)
    (found,) = rows_of(CON, made.filter(made.hour == at(0), made.zone == zone))
    return found


@pytest.mark.parametrize(
    ("rows", "grams", "tier", "resolution", "estimated"),
    [
        ([valued(HOUR, 1), valued(MONTH, 3), valued(YEAR, 4)], 1, 1, "hour", False),
        ([valued(GUESS, 2), valued(MONTH, 3), valued(YEAR, 4)], 2, 2, "hour", True),
        ([valued(HOUR, None), valued(MONTH, 3), valued(YEAR, 4)], 3, 3, "month", True),
        ([valued(YEAR, 4)], 4, 4, "year", True),
        ([valued(HOUR, 0), valued(MONTH, 3)], 0, 1, "hour", False),
        ([valued(HOUR, None), valued(MONTH, None)], None, None, None, None),
        ([valued(HOUR, 1, zone="FR")], None, None, None, None),
        ([valued(HOUR, 1, hour=at(1))], None, None, None, None),
        ([], None, None, None, None),
    ],
)
def test_each_hour_gets_the_best_rung(rows: Any, grams: Any, tier: Any, resolution: Any, estimated: Any) -> None:
    found = best(grid=rows)
    assert (
        found["lifecycle_gco2e_per_kwh"], found["factor_tier"], found["resolution"], found["is_estimated"],
    ) == (grams, tier, resolution, estimated)  # fmt: skip
    assert found["source"] == (None if tier is None else "grid")


def test_of_two_sources_the_better_rung_wins_and_the_first_of_equals() -> None:
    assert best(a=[valued(HOUR, 1)], b=[valued(HOUR, 2)])["source"] == "a"
    assert best(a=[valued(GUESS, 1)], b=[valued(HOUR, 2)])["source"] == "b"
    assert best(a=[valued(MONTH, 1)], b=[valued(GUESS, 2)])["source"] == "b"
    assert best(a=[valued(HOUR, None)], b=[valued(YEAR, 2)])["source"] == "b"


def test_within_a_rung_an_hour_that_is_covered_whole_goes_before_one_that_is_covered_in_part() -> None:
    part, whole = ({"hour_covered": Decimal(share), "answered_minutes": 15} for share in ("0.75", "1"))
    found = best(a=[valued(HOUR, 1, **part)], b=[valued(HOUR, 2, **whole)])
    assert (found["source"], found["hour_covered"], found["answered_minutes"]) == ("b", 1, 15)
    assert best(a=[valued(HOUR, 1, **part)], b=[valued(GUESS, 2, **whole)])["source"] == "a", "the rung goes first"
    assert best(a=[valued(HOUR, 1, hour_covered=None)], b=[valued(HOUR, 2, **whole)])["source"] == "a"
    assert best(a=[valued(HOUR, None)])["hour_covered"] is None


def test_a_publisher_of_one_basis_leaves_the_other_unknown() -> None:
    found = best(grid=[valued(HOUR, 7, direct_gco2e_per_kwh=None)])
    assert (found["lifecycle_gco2e_per_kwh"], found["direct_gco2e_per_kwh"]) == (7, None)


@pytest.mark.parametrize(("basis", "other"), [("direct", "lifecycle"), ("lifecycle", "direct")])
def test_the_better_rung_goes_first_among_rows_of_the_basis_that_counts(basis: Any, other: str) -> None:
    """A year with both intensities displaces no hour, and lends it none."""
    counts, lacks = {f"{other}_gco2e_per_kwh": None}, {f"{basis}_gco2e_per_kwh": None}
    found = best(basis=basis, a=[valued(HOUR, 7, **counts)], b=[valued(YEAR, 4)])
    assert (found["source"], found[f"{basis}_gco2e_per_kwh"], found[f"{other}_gco2e_per_kwh"]) == ("a", 7, None)
    assert best(basis=basis, b=[valued(YEAR, 4)], a=[valued(GUESS, 7, **counts)])["source"] == "a"
    assert best(basis=basis, a=[valued(HOUR, 7, **counts), valued(MONTH, 3)])["factor_tier"] == 1
    assert best(basis=basis, stated=[valued(YEAR, 4), valued(STATED, 5, **counts)])["resolution"] == "month"
    assert best(basis=basis, a=[valued(HOUR, 7, **counts)], b=[valued(HOUR, 6)])["source"] == "b", "within a rung"
    assert best(basis=basis, a=[valued(HOUR, 7, **lacks)], b=[valued(YEAR, 4)])["source"] == "b"
    assert best(basis=basis, a=[valued(HOUR, 7, **lacks)], b=[valued(YEAR, 4, **counts)])["source"] == "b"
    assert best(basis=basis, a=[valued(GUESS, 2, **lacks)], b=[valued(HOUR, 7, **lacks)])["source"] == "b"


RUNGS: dict[str, dict[str, Any]] = {"measured": HOUR, "estimated": GUESS, "clock": MONTH, "month": STATED, "year": YEAR}


@pytest.mark.parametrize("better", range(4))
@pytest.mark.parametrize("worse", range(1, 5))
@pytest.mark.parametrize("first", ["better", "worse"])
def test_each_rung_goes_before_every_lower_one_wherever_the_sources_stand(better: int, worse: int, first: str) -> None:
    if better >= worse:
        return
    names = list(RUNGS)
    given = {names[n]: [valued(RUNGS[names[n]], 10 * (5 - n))] for n in (better, worse)}
    order = (names[better], names[worse]) if first == "better" else (names[worse], names[better])
    rows = {name: table(IntensityRows, given[name]) for name in order}
    made = grid_intensity(rows, needed([DAY], ["DE"]), stated=["month"])
    (found,) = rows_of(CON, made.filter(made.hour == at(0)))
    assert found["source"] == names[better]
    assert found["direct_gco2e_per_kwh"] == 10 * (5 - better), "the values fall, so the highest of both is no rule"
    assert found["factor_tier"] == [1, 2, 3, 4, 4][better]


def test_a_stated_month_of_one_source_does_not_lower_means_by_the_hour_of_another() -> None:
    rows = {"factors": table(IntensityRows, [valued(STATED, 9)]), "grid": table(IntensityRows, [valued(MONTH, 3)])}
    made = grid_intensity(rows, needed([DAY], ["DE"]), stated=["factors"])
    (found,) = rows_of(CON, made.filter(made.hour == at(0)))
    assert (found["source"], found["factor_tier"], found["resolution"]) == ("grid", 3, "month")


def test_every_hour_of_every_zone_has_exactly_one_row() -> None:
    rows = [valued(HOUR, 5, hour=at(hour), zone="DE") for hour in range(0, 24, 2)]
    made = conform(grid_intensity({"grid": table(IntensityRows, rows)}, needed([DAY], ["DE", "FR"])), GridIntensity)
    kept = CON.create_table("grid", made, temp=True)
    assert audit(kept, GridIntensity).rows == {DAY: 48}
    tiers = rows_of(CON, kept.group_by("zone", "factor_tier").aggregate(n=kept.count()))
    assert {(r["zone"], r["factor_tier"]): r["n"] for r in tiers} == {("DE", 1): 12, ("DE", None): 12, ("FR", None): 24}


def test_a_site_without_zones_needs_nothing() -> None:
    assert CON.to_pyarrow(needed([DAY], [])).num_rows == 0


def test_every_constant_is_a_positive_number_with_a_source() -> None:
    table_ = uncertainty_pct()
    assert table_["metered_node", "node"] == 1
    assert all(value > 0 for value in table_.values())

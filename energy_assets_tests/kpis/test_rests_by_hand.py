"""Rests of nodes row by row: whose error each carries, with widths that make whole roots.

The node of most tests, in kWh × per cent: its devices make 20 and 15 in squares (25), its meter 60, so its rest of
5 kWh has 65, which is 13 %. Of the meter it carries 60 / 5 = 12 %.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.contracts.tables import Emissions
from energy_assets.kpis.rests import apart, completed
from energy_assets_tests.kpis.tables import typed
from energy_assets_tests.rows import at, rows_of, table

D = Decimal
Row = dict[str, Any]
Error = tuple[str, str | None, Decimal | None, bool]
"""Device, whose error, its half-width in per cent of the row, borrowed."""


def reading(source: str, kind: str, device: str, kwh: str | None, pct: str | None, **more: Any) -> Row:
    return {
        "source": source, "device_kind": kind, "device_id": device, "energy_kwh": kwh if kwh is None else D(kwh),
        "uncertainty_pct": pct if pct is None else D(pct), "hour": at(0), **more,
    }  # fmt: skip


def rest(kwh: str = "5", pct: str | None = "13", **more: Any) -> Row:
    return reading("ipmi", "rest_of_node", "n1", kwh, pct, **more)


def gpu(kwh: str | None, pct: str | None, device: str = "g0", **more: Any) -> Row:
    return reading("dcgm", "gpu", device, kwh, pct, **more)


# g0 is 3 kWh of two users: 12 together. With 16 of g1 that is 20 in squares and 28 in a sum.
DEVICES = [
    gpu("2", "4", share_id="a"),
    gpu("1", "4", share_id="b"),
    gpu("2", "8", "g1"),
    reading("rapl", "cpu", "c0", "3", "5"),
]
BORROWED: list[Error] = [("n1", "dcgm", D("-5.6"), True), ("n1", "rapl", D(-3), True)]
TOLD: list[Error] = [*BORROWED, ("n1", None, D(12), False)]
UNTOLD: list[Error] = [("n1", None, None, False)]


def errors(con: Any, rows: Iterable[Row], **which: Any) -> list[Error]:
    """Of the rows of rests, or of those that have the values of `which`."""
    wanted = which or {"device_kind": "rest_of_node"}
    found = rows_of(con, apart(table(Emissions, rows)))
    mine = [row for row in found if all(row[name] == value for name, value in wanted.items())]
    told = [(row["device_id"], row["error_source"], row["meter_pct"], row["borrowed"]) for row in mine]
    return sorted(told, key=lambda error: (error[1] or "~", error[0]))


def test_a_rest_carries_its_meter_and_borrows_against_it(con: Any) -> None:
    assert errors(con, [rest(), *DEVICES]) == TOLD


def test_rows_that_are_no_rests_keep_their_own_error(con: Any) -> None:
    assert errors(con, [rest(), *DEVICES], device_kind="gpu") == [
        ("g0", None, None, False),
        ("g0", None, None, False),
        ("g1", None, None, False),
    ]
    assert errors(con, [rest(), *DEVICES], device_kind="cpu") == [("c0", None, None, False)]


def test_every_column_of_a_row_stays(con: Any) -> None:
    given = table(Emissions, [rest(share_id="x", project="chat"), *DEVICES])
    found = rows_of(con, apart(given))
    added = {"error_source", "meter_pct", "borrowed"}
    assert set(found[0]) == set(given.columns) | added
    (row,) = rows_of(con, given.filter(given.share_id == "x"))
    mine = [{k: v for k, v in one.items() if k not in added} for one in found if one["share_id"] == "x"]
    assert mine == [row] * 3
    assert len(found) == 1 + len(DEVICES) + 2


def test_a_rest_of_two_users_is_one_rest(con: Any) -> None:
    shares = [rest("2", share_id="a"), rest("3", share_id="b")]
    assert errors(con, [*shares, *DEVICES]) == [one for one in TOLD for _ in shares]


@pytest.mark.parametrize(
    "elsewhere",
    [{"node_id": "n2"}, {"hour": at(1)}, {"region": "r2"}, {"provider": "aws"}],
    ids=lambda key: next(iter(key)),
)
def test_a_machine_is_a_node_of_a_region_of_a_provider_in_an_hour(con: Any, elsewhere: Row) -> None:
    """Another has a rest of 2 kWh ±25 %: a device of 40 and a meter of 30; alone it would be a rest without devices."""
    other = [rest("2", "25", share_id="other", **elsewhere), gpu("4", "10", **elsewhere)]
    rows = [rest(), *DEVICES, *other]
    assert errors(con, rows, device_kind="rest_of_node", share_id="all") == TOLD
    assert errors(con, rows, share_id="other") == [("n1", "dcgm", D(-20), True), ("n1", None, D(15), False)]


def test_a_machine_of_no_region_is_one_too(con: Any) -> None:
    nowhere: Row = {"region": None}
    assert errors(con, [row | nowhere for row in (rest(), *DEVICES)]) == TOLD


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(reading("ipmi", "node", "n1", "9", "50"), id="a node"),
        pytest.param(reading("cloud", "instance", "i", "9", "50"), id="an instance"),
        pytest.param(gpu(None, "50"), id="a device of unknown energy"),
        pytest.param(gpu("9", "50", node_id="n2"), id="a device of a node without a rest"),
    ],
)
def test_what_does_not_stand_against_a_rest(con: Any, beside: Row) -> None:
    assert errors(con, [rest(), *DEVICES, beside]) == TOLD


def test_a_device_and_another_of_its_name_or_kind_are_two(con: Any) -> None:
    """Of one source 12 of a GPU and 16 of a CPU that are both called 0, and 15 of another GPU: 25, in a sum 43."""
    devices = [reading("one", "gpu", "0", "3", "4"), reading("one", "cpu", "0", "2", "8"),
               reading("one", "gpu", "1", "3", "5")]  # fmt: skip
    assert errors(con, [rest(), *devices]) == [("n1", "one", D("-8.6"), True), ("n1", None, D(12), False)]


@pytest.mark.parametrize(
    ("rests", "told"),
    [
        pytest.param([rest("0", "13")], UNTOLD, id="nothing left"),
        pytest.param([rest("5", None)], UNTOLD, id="of no interval"),
        pytest.param([rest("5", "999.999")], UNTOLD, id="of the widest interval"),
        pytest.param([rest("2", "13", share_id="a"), rest("3", "14", share_id="b")], UNTOLD * 2, id="two intervals"),
    ],
)
def test_a_rest_whose_parts_cannot_be_told_borrows_nothing(con: Any, rests: list[Row], told: list[Error]) -> None:
    assert errors(con, [*rests, *DEVICES]) == told


def test_a_rest_of_the_widest_interval_but_one_borrows(con: Any) -> None:
    """Without a device of any error its meter's is all of it."""
    rows = [rest("1", "999.998"), gpu("2", "0")]
    assert errors(con, rows) == [("n1", "dcgm", D(0), True), ("n1", None, D("999.998"), False)]


def test_a_small_rest_borrows_as_a_large_one(con: Any) -> None:
    """Half a kWh ±130 %: 65 again, and each share ten times as large."""
    assert errors(con, [rest("0.5", "130"), *DEVICES]) == [
        ("n1", "dcgm", D(-56), True),
        ("n1", "rapl", D(-30), True),
        ("n1", None, D(120), False),
    ]


def test_devices_wider_than_their_rest_leave_nothing_to_the_meter(con: Any) -> None:
    """25 of the devices against 5 × 4 % of the rest."""
    assert errors(con, [rest("5", "4"), *DEVICES]) == [*BORROWED, ("n1", None, D(0), False)]


def test_steps_may_be_kept(con: Any) -> None:
    kept = []

    def keep(rows: Any) -> Any:
        kept.append(rows)
        return rows

    found = rows_of(con, apart(table(Emissions, [rest(), *DEVICES]), keep))
    assert len(kept) == 3
    assert len(found) == 7


def test_errors_are_completed_by_what_the_row_says_of_itself(con: Any) -> None:
    columns = {
        "source": "string", "error_source": "string", "meter_pct": "decimal(18, 6)",
        "uncertainty_pct": "decimal(6, 3)", "container": "boolean",
    }  # fmt: skip
    values: list[tuple[Any, ...]] = [
        ("a", None, None, 7, True),
        ("a", None, None, 8, False),
        ("a", "b", -2, 9, True),
        ("a", None, 3, None, True),
        ("a", None, None, None, False),
    ]
    given = typed(columns, [dict(zip(columns, row, strict=True)) for row in values])
    found = rows_of(con, completed(given, given.container))
    assert [(row["error_source"], row["meter_pct"]) for row in found] == [
        ("a/container", 7),
        ("a", 8),
        ("b", -2),
        ("a/container", 3),
        ("a", None),
    ]

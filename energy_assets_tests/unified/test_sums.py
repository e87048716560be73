"""Totals beside their parts: a sum among supplies, a rack's meter among the meters of its servers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from energy_assets.contracts.sums import METERS_ARE_NO_TOTALS, totals
from energy_assets.sources.base import Place
from energy_assets_tests.rows import at, rows_of
from energy_assets_tests.unified.test_energy import CON, Row, device, node, upstream_of


def machines(*kwh: str, hours: int = 6, **more: Any) -> list[Row]:
    """Meters of machines n1, n2 …, which use half as much again in every other hour."""
    return [
        node(str(Decimal(one) * (2 + hour % 2)), node_id=f"n{number}", device_id=f"n{number}", hour=at(hour), **more)
        for number, one in enumerate(kwh, 1)
        for hour in range(hours)
    ]


def supplies(*kwh: str, hours: int = 6, kind: str = "node") -> list[Row]:
    """Supplies of one machine."""
    return [
        {**device(kind, one, hour=at(hour)), "device_id": f"s{number}"}
        for number, one in enumerate(kwh, 1)
        for hour in range(hours)
    ]


def found(sources: dict[str, list[Row]], *more: Any) -> list[tuple[str, int]]:
    return [(row["meter"], row["parts"]) for row in rows_of(CON, totals(None, upstream_of(sources, *more)))]


@pytest.mark.parametrize(
    ("kwh", "hours", "told"),
    [
        (("1", "0.5", "0.5"), 6, True),
        (("1.03", "0.5", "0.5"), 6, True),
        (("1.04", "0.5", "0.5"), 6, False),
        (("0.97", "0.5", "0.5"), 6, False),
        (("1", "0.5", "0.5"), 5, False),
        (("1", "1"), 6, False),
        (("0", "0", "0"), 6, False),
        (("1", "0.4", "0.3", "0.3"), 6, True),
    ],
)
def test_a_machine_that_uses_what_all_others_of_its_place_do_is_told(
    kwh: tuple[str, ...], hours: int, told: bool
) -> None:
    assert found({"a": machines(*kwh, hours=hours)}) == ([("n1", len(kwh) - 1)] if told else [])


def test_a_rack_and_its_servers_may_come_from_two_sources_of_one_place() -> None:
    rack, servers = machines("1"), [{**row, "node_id": f"s-{row['node_id']}"} for row in machines("0.4", "0.6")]
    servers = [{**row, "device_id": row["node_id"]} for row in servers]
    assert found({"rack": rack, "servers": servers}) == [("n1", 2)]
    elsewhere = {"rack": Place(region="r1", zone="DE"), "servers": Place(region="r2", zone="DE")}
    assert found({"rack": rack, "servers": servers}, elsewhere) == []


@pytest.mark.parametrize(
    ("kwh", "kind", "told"),
    [
        (("0.3", "0.2", "0.5"), "node", "s3 on n1"),
        (("0.3", "0.2", "0.5"), "gpu", "s3 on n1"),
        (("0.3", "0.2", "0.506"), "node", ""),
        (("0.3", "0.3"), "node", ""),
        (("0.3", "0.2", "0.1"), "node", "s1 on n1"),
        (("0.3", "0.3", "0.3"), "gpu", ""),
        (("0", "0", "0"), "gpu", ""),
    ],
)
def test_a_total_among_the_devices_of_a_machine_is_told(kwh: tuple[str, ...], kind: str, told: str) -> None:
    assert found({"a": supplies(*kwh, kind=kind)}) == ([(told, 2)] if told else [])


@pytest.mark.parametrize(("others", "told"), [(0, True), (1, True), (2, False)])
def test_nine_hours_in_ten_must_be_sums_and_it_is_told_without_withholding_a_day(others: int, told: bool) -> None:
    rows = machines("1", "0.5", "0.5", hours=10)
    changed = [{**row, "energy_kwh": Decimal(9)} if number < others else row for number, row in enumerate(rows)]
    assert bool(found({"a": changed})) is told
    assert not METERS_ARE_NO_TOTALS.blocking

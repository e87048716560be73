"""Two sources of one device agree, two devices never use the very same, and a thing is in one place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from energy_assets.contracts.sources_agree import contradicting, in_two_places, repeated
from energy_assets.site import NodeRule
from energy_assets.sources.base import Place
from energy_assets_tests.rows import at, rows_of
from energy_assets_tests.unified.test_energy import CON, HERE, Row, device, node, upstream_of

ELSEWHERE = Place(region="r2", zone="FR")
UUID = "GPU-11111111-aaaa-bbbb-cccc-000000000001"
OTHER = {"raw_sha256": "b" * 64}
"""Bytes of another object than those of the rows beside them."""


def day(kwh: list[str], **more: Any) -> list[Row]:
    """A device's hours, from 0:00 on."""
    return [device("gpu", one, hour=at(hour), **more) for hour, one in enumerate(kwh)]


def varied(factor: str = "1", hours: int = 6, **more: Any) -> list[Row]:
    return day([str(Decimal(f"0.{hour + 1}") * Decimal(factor)) for hour in range(hours)], **more)


def found(rule: Any, sources: dict[str, list[Row]], *upstream: Any) -> list[Row]:
    return rows_of(CON, rule(None, upstream_of(sources, *upstream)))


@pytest.mark.parametrize(
    ("factor", "hours", "told"),
    [("1.26", 6, True), ("1.25", 6, False), ("0.79", 6, True), ("0.8", 6, False), ("0", 6, True), ("2", 5, False)],
)
def test_sources_that_tell_much_different_energies_of_one_device_are_named(factor: str, hours: int, told: bool) -> None:
    wrong = found(contradicting, {"a": varied(hours=hours), "b": varied(factor, hours)})
    assert [(one["thing"], one["least_source"], one["most_source"]) for one in wrong] == (
        [("n1/gpu0", *("ab" if Decimal(factor) > 1 else "ba"))] if told else []
    )


def test_hours_that_one_alone_knows_and_estimates_are_no_contradiction() -> None:
    half = varied("2")[:3] + [{**one, "energy_kwh": None} for one in varied()[3:]]
    assert found(contradicting, {"a": varied(), "b": half}) == []
    guessed = [{**one, "method": "estimated_utilization"} for one in varied("3")]
    assert found(contradicting, {"a": varied(), "b": guessed}) == []
    assert found(contradicting, {"a": varied(), "b": varied("3", node_id="n2")}) == [], "two devices"
    assert found(contradicting, {"a": [*varied(), *varied("3")]}) == [], "users of one device add up"


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (varied(node_id="old", **OTHER), True),
        (varied(node_id="old", **OTHER)[:5] + day(["0.1"] * 6, node_id="old", **OTHER)[5:], False),
        (varied("1.00000001", node_id="old", **OTHER), False),
        (varied(), False),
        (varied(hours=5, node_id="old", **OTHER), False),
        (varied(hours=9, node_id="old", **OTHER) + day(["7"] * 10, node_id="old", **OTHER)[9:], True),
        (varied(hours=8, node_id="old", **OTHER) + day(["7"] * 10, node_id="old", **OTHER)[8:], False),
    ],
)
def test_one_log_under_two_names_in_two_sources_is_told(second: list[Row], told: bool) -> None:
    first = varied(hours=len(second))
    wrong = found(repeated, {"a": first, "b": second})
    assert [one["devices"] for one in wrong] == (["n1/gpu0 of a in r1, old/gpu0 of b in r1"] if told else [])
    within = found(repeated, {"a": [*first, *second]})
    assert len(within) == told, "under two names in one source as well"


def test_many_devices_of_one_amount_are_no_copies() -> None:
    """Twenty may be one log under twenty names; more are machines that idle alike."""
    for number, pairs in ((20, 190), (21, 0)):
        rows = [row for n in range(number) for row in varied(node_id=f"n{n:02}", raw_sha256=f"{n:064}")]
        assert len(found(repeated, {"a": rows})) == pairs


def test_one_log_in_two_places_is_told() -> None:
    sources = {"a": varied(), "b": varied()}
    (wrong,) = found(repeated, sources, {"a": HERE, "b": ELSEWHERE})
    assert wrong["devices"] == "n1/gpu0 of a in r1, n1/gpu0 of b in r2"


@pytest.mark.parametrize(("sha256", "told"), [("a" * 64, True), ("b" * 64, False)])
def test_machines_that_idle_alike_are_one_only_where_the_bytes_are(sha256: str, told: bool) -> None:
    first = day(["0.5"] * 6, raw_sha256="a" * 64)
    second = day(["0.5"] * 6, node_id="old", raw_sha256=sha256)
    assert bool(found(repeated, {"a": first, "b": second})) is told


@pytest.mark.parametrize(("place", "told"), [(ELSEWHERE, True), (HERE, False)])
def test_a_gpu_in_two_regions_is_told(place: Place, told: bool) -> None:
    one = [{**device("gpu", "1", hour=at(3)), "device_id": UUID}]
    other = [{**device("gpu", "1", hour=at(3), node_id="n2"), "device_id": UUID}]
    wrong = found(in_two_places, {"a": one, "b": other}, {"a": HERE, "b": place})
    assert [(row["name"], row["places"]) for row in wrong] == ([(UUID.upper(), "r1, r2")] if told else [])


def test_a_host_with_its_meter_in_one_region_and_its_devices_in_another_is_told() -> None:
    sources = {"a": [node("2", hour=at(3))], "b": [device("gpu", "1", hour=at(3))]}
    places = {"a": HERE, "b": ELSEWHERE}
    assert [(row["name"], row["places"]) for row in found(in_two_places, sources, places)] == [("n1", "r1, r2")]
    assert found(in_two_places, sources) == [], "one place"
    both = {**sources, "b": [*sources["b"], node("2", hour=at(3))]}
    assert found(in_two_places, both, places) == [], "each has a meter"
    excused = (NodeRule(name="n1", region="r2", metered=False),)
    assert found(in_two_places, sources, places, excused) == [], "somebody said that it has none"

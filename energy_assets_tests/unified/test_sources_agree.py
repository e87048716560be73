"""Two sources of one device agree and divide no hour, two devices never use the very same, a thing is in one place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from energy_assets.contracts.nodes import node_names
from energy_assets.contracts.sources_agree import contradicting, divided, in_two_places, repeated
from energy_assets.site import NodeRule
from energy_assets.sources.base import Place
from energy_assets.unified.energy import energy
from energy_assets_tests.rows import DAY, at, rows_of
from energy_assets_tests.unified.test_energy import CON, HERE, Row, device, node, together, upstream_of

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


def parts(*observed: tuple[str, str] | None, kind: str = "gpu", **more: Any) -> list[Row]:
    """A device's hours from 9:00 on: energy and coverage of each, None for an hour that is not told of."""
    rows = []
    for hour, part in enumerate(observed, 9):
        if part:
            about = {"hour": at(hour), "coverage": Decimal(part[1]), **more}
            rows.append(node(part[0], **about) if kind == "node" else device(kind, part[0], **about))
    return rows


def halves(sources: dict[str, list[Row]], *upstream: Any) -> list[Row]:
    """What is said of the rows that are made of these readings."""
    readings = together(sources, *upstream)
    made = CON.create_table("staged", energy(readings, [], {}, node_names(readings, ())), temp=True, overwrite=True)
    return rows_of(CON, divided(made, upstream_of(sources, *upstream)))


WHOLE, HALF = ("1", "1"), ("0.5", "0.5")


@pytest.mark.parametrize("kind", ["gpu", "node"])
def test_an_hour_that_two_sources_divide_is_told(kind: str) -> None:
    first = parts(WHOLE, ("0.5", "0.5"), kind=kind)
    second = parts(None, ("0.4", "0.5"), WHOLE, kind=kind)
    (wrong,) = halves({"old": first, "new": second})
    assert wrong == {
        "day": DAY, "node_id": "n1", "device_id": "gpu0" if kind == "gpu" else "n1",
        "device_kind": kind, "hours_utc": "10:00", "counted": "old", "left_out": "new",
        "left_out_kwh": Decimal("0.4"),
    }  # fmt: skip
    (turned,) = halves({"new": second, "old": first})
    assert (turned["counted"], turned["left_out"], turned["left_out_kwh"]) == ("new", "old", Decimal("0.5"))


def test_what_is_left_of_a_divided_meter_beside_its_devices_is_told() -> None:
    inside = [device("gpu", "0.1", hour=at(10))]
    sources = {"old": parts(None, ("0.5", "0.5"), kind="node") + inside, "new": parts(None, HALF, kind="node")}
    assert [(one["device_kind"], one["left_out"]) for one in halves(sources)] == [("node", "new")]


def test_a_divided_hour_of_a_gpu_under_two_names_in_two_places_is_told() -> None:
    uuid = {"device_id": UUID}
    sources = {
        "old": [{**row, **uuid} for row in parts(HALF)],
        "new": [{**row, **uuid} for row in parts(HALF, node_id="n2")],
    }
    assert [one["device_id"] for one in halves(sources, {"old": HERE, "new": ELSEWHERE})] == [UUID]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (("0.5", "0.89"), ("0.1", "0.1"), True),
        (("0.5", "0.9"), ("0.1", "0.1"), False),
        (("0.5", "0.5"), ("0.5", "0.55"), True),
        (("0.5", "0.5"), ("0.5", "0.56"), False),
        (("0", "0.5"), ("0.5", "0.5"), True),
        (("0.5", "0.5"), ("0", "0.5"), False),
    ],
)
def test_parts_that_may_be_the_same_and_those_that_are_next_to_nothing_are_not_told(
    first: tuple[str, str], second: tuple[str, str], told: bool
) -> None:
    assert bool(halves({"a": parts(first), "b": parts(second)})) is told


def test_sources_that_observe_a_device_side_by_side_do_not_divide_its_last_hour() -> None:
    assert halves({"a": parts(WHOLE, HALF), "b": parts(WHOLE, HALF)}) == []
    assert halves({"a": parts(WHOLE, HALF), "b": parts(None, HALF)}), "each for itself"


def test_estimates_and_what_was_not_observed_and_users_of_one_source_divide_nothing() -> None:
    half = parts(HALF)
    assert halves({"a": half, "b": [{**row, "method": "estimated_utilization"} for row in half]}) == []
    assert halves({"a": half, "b": [{**row, "energy_kwh": None} for row in half]}) == []
    assert halves({"a": [{**row, "share_id": user} for row in half for user in "xy"]}) == []
    assert halves({"a": half, "b": parts(HALF, node_id="n2")}) == [], "two devices"


def test_many_divided_hours_of_a_device_are_one_line() -> None:
    (wrong,) = halves({"a": parts(*[HALF] * 7), "b": parts(*[HALF] * 7)})
    assert (wrong["hours_utc"], wrong["left_out_kwh"]) == (
        "09:00, 10:00, 11:00, 12:00, 13:00 and 2 more",
        Decimal("3.5"),
    )

"""A host of which two sources or two exporters tell under other names is told, and hosts that idle alike are not."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from random import Random

import pytest

from energy_assets.contracts.told_twice import told_twice
from energy_assets.site import NodeRule
from energy_assets_tests.rows import at, rows_of
from energy_assets_tests.unified.test_energy import CON, Row, node, upstream_of

Power = Callable[[int], float]
"""Watts in a minute of the day."""
IP, NAME = "10.0.0.5", "gpu-1"
Sources = dict[str, list[Row]]


def load(seed: int, mean: float = 200, spread: float = 0.4) -> Power:
    """Minutes of their own around a mean, by at most this share."""
    random = Random(seed)  # noqa: S311 - a load, no secret
    watts = [mean * (1 + spread * (2 * random.random() - 1)) for _ in range(1600)]
    return lambda minute: watts[minute + 60]


def even(watts: float) -> Power:
    return lambda minute: watts


def scaled(factor: float) -> Power:
    one = load(1)
    return lambda minute: factor * one(minute)


def shared(seed: int) -> Power:
    """A machine behind a load balancer: the day's course of all, by as much as it differs, and noise of its own."""
    own, noise = 1 + 0.05 * Random(seed).gauss(0, 1), load(seed, 1, 0.02)  # noqa: S311 - a load, no secret
    return lambda minute: 200 * own * (1 + 0.5 * math.sin(minute / 229)) * noise(minute)


def meter(
    power: Power, name: str, late: float = 0, kind: str = "cpu", device_id: str = "package-0", hours: int = 24
) -> list[Row]:
    """Hours of a counter that is read `late` minutes after their ends."""

    def until(end: float) -> float:
        whole = math.floor(end)
        return sum(power(m) for m in range(-60, whole)) + (end - whole) * power(whole)

    rows = []
    for hour in range(hours):
        kwh = (until(hour * 60 + 60 + late) - until(hour * 60 + late)) / 60_000
        about = {"hour": at(hour), "method": "measured_counter", "node_id": name, "device_kind": kind}
        rows.append(node(round(Decimal(kwh), 9), **about, device_id=name if kind == "node" else device_id))
    return rows


def found(sources: Sources, *rules: NodeRule) -> list[str]:
    return [row["hosts"] for row in rows_of(CON, told_twice(None, upstream_of(sources, None, rules)))]


BOTH = ["10.0.0.5 of a, gpu-1 of b"]
NOTHING: list[str] = []


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        pytest.param({"a": meter(load(1), IP), "b": meter(load(1), NAME, 0.6)}, BOTH, id="one counter"),
        pytest.param(
            {"a": meter(load(1), IP, kind="node"), "b": meter(load(1), NAME, 0.6, kind="node")}, BOTH, id="a meter"
        ),
        pytest.param(
            {"a": meter(load(1, 200, 0.01), IP), "b": meter(load(1, 200, 0.01), NAME, 0.6)}, BOTH, id="that idles"
        ),
        pytest.param(
            {"a": meter(load(1), "n7"), "b": meter(load(1), NAME, 0.6)}, ["n7 of a, gpu-1 of b"], id="under two names"
        ),
        pytest.param({"a": meter(load(1), IP, hours=24), "b": meter(load(1), NAME, 0.6, hours=22)}, BOTH, id="cut"),
        pytest.param({"a": meter(load(1), IP, hours=5), "b": meter(load(1), NAME, 0.6, hours=5)}, NOTHING, id="short"),
        pytest.param({"a": meter(load(1), IP), "b": meter(load(2), NAME)}, NOTHING, id="two loads"),
        pytest.param({"a": meter(load(1), IP), "b": meter(scaled(1.0015), NAME)}, NOTHING, id="a load that is shared"),
        pytest.param({"a": meter(load(1), IP), "b": meter(load(1), IP, 0.6)}, NOTHING, id="one name"),
        pytest.param({"a": meter(even(40), IP), "b": meter(even(40), NAME, 0.6)}, BOTH, id="even"),
        pytest.param({"a": meter(even(40), "n7"), "b": meter(even(40), NAME)}, NOTHING, id="even, two names"),
        pytest.param({"a": meter(even(40), IP), "b": meter(even(40.1), NAME)}, NOTHING, id="even, nearly"),
        pytest.param(
            {
                "a": [*meter(load(1), IP), *meter(load(3, 30), IP, kind="dram", device_id="dram-0")],
                "b": [*meter(load(1), NAME), *meter(load(4, 30), NAME, kind="dram", device_id="dram-0")],
            },
            NOTHING,
            id="one kind of two",
        ),
        pytest.param(
            {"a": [*meter(load(1), IP), *meter(load(1), NAME, 0.6, device_id="package")]},
            ["10.0.0.5 of a, gpu-1 of a"],
            id="two exporters in one source",
        ),
        pytest.param(
            {"a": meter(load(1), NAME), "b": meter(load(1), NAME, 0.6, device_id="package")},
            ["gpu-1 of a, gpu-1 of b"],
            id="two exporters, one name",
        ),
        pytest.param(
            {"a": meter(load(1), NAME), "b": meter(load(2), NAME, device_id="package-1")}, NOTHING, id="two packages"
        ),
        pytest.param({"a": [*meter(load(1), IP), *meter(load(1), NAME, 0.6)]}, NOTHING, id="the source knows"),
    ],
)
def test_one_host_under_two_names_is_told(sources: Sources, told: list[str]) -> None:
    assert found(sources) == told


def test_names_that_are_joined_count_once_unless_the_devices_have_other_names() -> None:
    rule = NodeRule(name=NAME, also=(IP,))
    alike = {"a": meter(load(1), IP), "b": meter(load(1), NAME, 0.6)}
    assert found(alike, rule) == []
    other = {"a": meter(load(1), IP), "b": meter(load(1), NAME, 0.6, device_id="package")}
    assert found(other, rule) == BOTH


@pytest.mark.parametrize(
    ("power", "number"),
    [
        (lambda n: load(n, 40 + n % 7, 0.01), 40),
        (lambda n: even(40), 40),
        (lambda n: even(40 + n / 100), 40),
        (shared, 40),
    ],
)
def test_machines_that_are_many_and_alike_are_none_of_another_sources(
    power: Callable[[int], Power], number: int
) -> None:
    first = [row for n in range(number // 2) for row in meter(power(n), f"10.0.0.{n}")]
    second = [row for n in range(number // 2, number) for row in meter(power(n), f"n{n}")]
    assert found({"a": first, "b": second}) == []


def test_many_hosts_that_two_sources_name_in_two_ways_are_told() -> None:
    first = [row for n in range(10) for row in meter(shared(n), f"10.0.0.{n}")]
    second = [row for n in range(10) for row in meter(shared(n), f"n{n}", 0.6)]
    assert found({"a": first, "b": second}) == [f"10.0.0.{n} of a, n{n} of b" for n in range(10)]


@pytest.mark.parametrize(("power", "told"), [(load, ["10.0.0.3 of a, n3 of b"]), (shared, NOTHING)])
def test_one_host_of_many_is_told_if_its_load_is_not_that_of_all(
    power: Callable[[int], Power], told: list[str]
) -> None:
    first = [row for n in range(8) for row in meter(power(n), f"10.0.0.{n}")]
    second = [row for n in (3, *range(8, 15)) for row in meter(power(n), f"n{n}", 0.6)]
    assert found({"a": first, "b": second}) == told

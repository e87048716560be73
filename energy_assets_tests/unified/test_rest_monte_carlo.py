"""The interval of what is left of a node, against a simulation of the meters; a wider meter never narrows it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from energy_assets_tests.kpis.simulation import DRAWS, SAMPLING
from energy_assets_tests.unified.test_containment_by_hand import of, resolved

Node = tuple[tuple[float, float | None], list[tuple[float, float | None]]]
"""A node's meter and its devices: kWh and 95 % interval in per cent."""
CASES: dict[str, Node] = {
    "10 ±1 % − 6 ±5 % = 4 ±7.9 %": ((10, 1), [(6, 5)]),
    "no error": ((10, 0), [(6, 0)]),
    "two devices": ((10, 1), [(3, 5), (3, 5)]),
    "a small rest": ((10, 2), [(5, 3), (4.5, 10)]),
    "eight": ((20, 0.5), [(1.5, 5)] * 8),
}


def _text(pct: float | None) -> str | None:
    return None if pct is None else f"{pct:.3f}"


def rests(cases: Mapping[str, Node]) -> dict[str, float | None]:
    """What the product tells of each node's rest, in per cent."""
    readings = {
        name: (
            [
                of("node", f"{node[0]:.9f}", _text(node[1]), method="metered_node"),
                *(of("gpu", f"{kwh:.9f}", _text(pct), device_id=f"gpu{n}") for n, (kwh, pct) in enumerate(devices)),
            ],
            "device_id", [],
        )
        for name, (node, devices) in cases.items()
    }  # fmt: skip
    found = resolved(readings)
    told = {name: {kind: pct for kind, _, _, pct in rows} for name, rows in found.items()}
    return {name: None if (pct := one["rest_of_node"]) is None else float(pct) for name, one in told.items()}


def test_a_rest_has_the_interval_that_is_simulated() -> None:
    told, rng = rests(CASES), np.random.default_rng(20_240_509)
    for name, (node, devices) in CASES.items():
        # A difference is linear in its errors: no order is left out, and the only slack is that of the draws.
        reach = [kwh * (pct or 0) / 100 * rng.standard_normal(DRAWS) for kwh, pct in (node, *devices)]
        draws = reach[0] - sum(reach[1:])
        rest = node[0] - sum(kwh for kwh, _ in devices)
        simulated = float(draws.std(ddof=1) / rest * 100)
        assert told[name] == pytest.approx(simulated, rel=SAMPLING / np.sqrt(2 * (DRAWS - 1)), abs=0.0005), name


def test_a_wider_meter_never_narrows_a_rest_and_an_unknown_one_leaves_none() -> None:
    rng = np.random.default_rng(7)
    changed: dict[str, Node] = {}
    for name, (node, devices) in CASES.items():
        n = int(rng.integers(len(devices)))
        (kwh, pct), factor = devices[n], float(rng.uniform(1, 3))
        for what, of_node, of_device in (
            ("node", (node[1] or 0) * factor, pct), ("device", node[1], (pct or 0) * factor),
            ("node unknown", None, pct), ("device unknown", node[1], None),
        ):  # fmt: skip
            others = [*devices[:n], (kwh, of_device), *devices[n + 1 :]]
            changed[f"{name}, {what}"] = ((node[0], of_node), others)
    before, after = rests(CASES), rests(changed)
    for name, found in after.items():
        case, what = name.rsplit(", ", 1)
        assert (found is None) == what.endswith("unknown"), name
        assert found is None or found >= (before[case] or 0), name

"""The interval of a metered node is its meter's; of a part of it, that of the part."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from energy_assets_tests.kpis.test_indicators import ONE, kpis, used

D = Decimal
# A node of 10 kWh ±1 %, in it a GPU of 6 kWh ±5 %: the rest is 4 ±7.906 %.
REST: dict[str, Any] = {"device_kind": "rest_of_node", "device_id": "n1"}
GPU: dict[str, Any] = {"device_kind": "gpu", "device_id": "GPU-0"}


def node(*, meters: str = "ipmi", devices: str = "dcgm", rest_pct: str | None = "7.906", hours: int = 1) -> list[Any]:
    alike: dict[str, Any] = {"node_id": "n1", "factor_uncertainty_pct": D(0)}
    return [
        row
        for hour in range(hours)
        for row in (
            used(ONE, hour, meters, "IE", "unknown", None, "unknown", "4", **alike, **REST,
                 uncertainty_pct=None if rest_pct is None else D(rest_pct)),
            used(ONE, hour, devices, "IE", "chat", None, "training", "6", **alike, **GPU, uncertainty_pct=D(5)),
        )
    ]  # fmt: skip


def intervals(rows: list[Any], kpi: str = "energy_kwh", grain: str = "total") -> dict[Any, Any]:
    found = [r for r in kpis(rows, [], [])[0] if (r["kpi"], r["grain"]) == (kpi, grain)]
    return {r.get(grain): r["uncertainty_pct"] for r in found}


@pytest.mark.parametrize(("meters", "devices"), [("ipmi", "dcgm"), ("one", "one")])
@pytest.mark.parametrize("kpi", ["energy_kwh", "facility_kwh", "scope2_location_g"])
@pytest.mark.parametrize("hours", [1, 3])
def test_a_node_has_the_interval_of_its_meter(kpi: str, meters: str, devices: str, hours: int) -> None:
    (found,) = intervals(node(meters=meters, devices=devices, hours=hours), kpi).values()
    assert found == pytest.approx(D(1), abs=D("0.001"))


def test_a_part_of_a_node_has_its_own_interval() -> None:
    assert intervals(node(), grain="project") == {"unknown": D("7.906"), "chat": D(5)}
    assert intervals(node(), grain="source") == {"ipmi": D("7.906"), "dcgm": D(5)}


def test_a_device_beside_the_node_keeps_its_own_error() -> None:
    # 10 ±1 % and, in another machine, 6 ±5 % of the same source: 0.3 of 16 kWh against 0.1.
    beside = used(ONE, 0, "dcgm", "IE", "chat", None, "training", "6", node_id="n2", **GPU, uncertainty_pct=D(5))
    (found,) = intervals([*node(), beside]).values()
    assert found == pytest.approx(D("1.976"), abs=D("0.001"))


def test_a_rest_of_unknown_interval_leaves_the_node_without_one() -> None:
    assert list(intervals(node(rest_pct=None)).values()) == [None]


def test_a_rest_whose_interval_is_too_wide_to_tell_cancels_nothing() -> None:
    (found,) = intervals(node(rest_pct="999.999")).values()
    assert found > D(400)


def test_amounts_are_not_counted_for_the_errors_that_stand_beside_them() -> None:
    daily, _ = kpis(node(), [], [])
    found = {r["kpi"]: (r["numerator"], r["coverage"]) for r in daily if r["grain"] == "total"}
    assert found["energy_kwh"] == (D(10), D(1))
    assert found["coverage"][0] == 2
    assert {r["source"]: r["value"] for r in daily if (r["kpi"], r["grain"]) == ("energy_kwh", "source")} == {
        "ipmi": D(4),
        "dcgm": D(6),
    }


def test_a_rest_alone_keeps_its_interval_though_one_source_reads_meter_and_devices() -> None:
    assert intervals(node(meters="one", devices="one"), grain="project") == {"unknown": D("7.906"), "chat": D(5)}

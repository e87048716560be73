"""One machine that telemetry and the bill name in two ways counts twice, and is told; other machines are not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from energy_assets.contracts.billed_apart import BILLED_MACHINES_ARE_NAMED, billed_apart
from energy_assets.materialize import said_of
from energy_assets.site import NodeRule
from energy_assets_tests.rows import at, rows_of
from energy_assets_tests.unified.test_blending import CON, Row, estimate, seen, staged

ID, OTHER_ID = "i-0123456789abcdef0", "i-0fedcba9876543210"
H100 = "NVIDIA H100 80GB HBM3"


def observed(node: str, model: str | None = H100, kind: str = "gpu", **more: Any) -> list[Row]:
    return [seen(kind, "0.5", n, node=node, device_model=model, **more) for n in range(2)]


def billed(node: str, model: str | None = "H100", **more: Any) -> list[Row]:
    kind = "gpu" if model else "cpu"
    return [estimate(kind, "3.04", node_id=node, device_model=model, **more)]


def told(telemetry: list[Row], bill: list[Row], nodes: tuple[NodeRule, ...] = ()) -> list[Row]:
    return rows_of(CON, billed_apart(*staged(telemetry, bill, nodes)))


@pytest.mark.parametrize(
    ("telemetry", "bill", "names"),
    [
        (observed("gpu-1"), billed(ID), ("gpu-1", ID)),
        ([*observed("gpu-1"), *observed("gpu-2")], billed(ID), ("gpu-1, gpu-2", ID)),
        # Of two, one goes by its id: the other pair is left.
        ([*observed(ID), *observed("gpu-2")], [*billed(ID), *billed(OTHER_ID)], ("gpu-2", OTHER_ID)),
        (observed("gpu-1", "NVIDIA A100-SXM4-80GB"), billed(ID, "A100-80"), ("gpu-1", ID)),
        (observed("gpu-1", "NVIDIA A100 80GB PCIe"), billed(ID, "A100-80 PCIe"), ("gpu-1", ID)),
        (observed("gpu-1", None), billed(ID), ("gpu-1", ID)),
        # Kepler names a node by its address, and tells of no GPU.
        (observed("ip-10-0-0-7.ec2.internal", None, "cpu"), billed(ID, None), ("ip-10-0-0-7", ID)),
        # A bill without ids of resources, and one of SageMaker, whose instances have other ids.
        (observed("gpu-1"), billed("1/Amazon Elastic Compute Cloud", is_machine=False),
         ("gpu-1", "1/Amazon Elastic Compute Cloud")),
        (observed(ID), billed("arn:aws:sagemaker:eu-central-1:1:cluster/c", is_machine=False),
         (ID, "arn:aws:sagemaker:eu-central-1:1:cluster/c")),
        (observed("gpu-1", region="EU-Central-1"), billed(ID), ("gpu-1", ID)),
    ],
)  # fmt: skip
def test_machines_that_go_by_two_names_are_told(telemetry: list[Row], bill: list[Row], names: tuple[str, str]) -> None:
    (found,) = told(telemetry, bill)
    assert (found["observed"], found["billed"]) == names


@pytest.mark.parametrize(
    ("telemetry", "bill"),
    [
        (observed(ID), billed(ID)),
        (observed(ID), [*billed(ID), *billed(OTHER_ID)]),  # one machine has no exporter
        (observed(ID), billed(OTHER_ID)),  # the bill is late: two ids are two machines
        (observed("gpu-1", "NVIDIA L40S"), billed(ID, "L4")),
        (observed("gpu-1", "NVIDIA A10G"), billed(ID, "H100")),
        (observed("gpu-1"), billed(ID, None)),  # a machine without accelerators
        (observed("gpu-1", region="eu-west-1"), billed(ID)),
        (observed("gpu-1", provider="onprem"), billed(ID)),
        (observed("gpu-1", account_id="2"), billed(ID)),
        (observed("gpu-1", hour=at(5)), billed(ID, hour=at(4))),
        ([], billed(ID)),
        (observed("gpu-1"), []),
        (observed("gpu-1", energy_kwh=None, coverage=Decimal(0)), billed(ID)),
    ],
)
def test_other_machines_are_not(telemetry: list[Row], bill: list[Row]) -> None:
    assert told(telemetry, bill) == []


def test_the_line_that_is_told_makes_them_one() -> None:
    (found,) = told(observed('gpu"1'), billed(ID))
    assert found["nodes"] == f'- {{name: "gpu\\"1", also: ["{ID}"]}}'
    assert (found["accelerator"], found["estimated_kwh"]) == ("H100", Decimal("3.04"))
    assert told(observed("gpu-1"), billed(ID), (NodeRule(name="gpu-1", also=(ID,)),)) == []


def test_which_of_several_is_which_is_not_guessed() -> None:
    (found,) = told([*observed("gpu-1"), *observed("gpu-2")], [*billed(ID), *billed(OTHER_ID)])
    assert found["nodes"] == '- {name: "gpu-1", also: […]}'


def test_a_bill_without_names_has_no_line_to_add() -> None:
    (found,) = told(observed("gpu-1"), billed("1/Amazon EC2", is_machine=False))
    assert found["nodes"] is None


def test_a_site_that_estimates_nothing_has_nothing_to_tell() -> None:
    made, upstream = staged(observed("gpu-1"), billed(ID))
    del upstream["usage_estimates"]
    assert rows_of(CON, billed_apart(made, upstream)) == []


def test_the_line_is_whole_in_the_sentence_that_tells_it() -> None:
    (found,) = told(observed("gpu-node-of-the-cluster-in-frankfurt-0001"), billed(ID))
    assert f'nodes - {{name: "gpu-node-of-the-cluster-in-frankfurt-0001", also: ["{ID}"]}},' in said_of(
        BILLED_MACHINES_ARE_NAMED, 1, found
    )

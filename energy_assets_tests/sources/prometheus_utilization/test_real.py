"""A real Prometheus and the stand-in, holding the same machines, give the same rows and notes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from energy_assets.periods import DayRange
from energy_assets.sandbox.series import Series
from energy_assets.sources.base import StepContext
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.prometheus_server import prometheus, require_prometheus
from energy_assets_tests.sandbox.samples import for_real
from energy_assets_tests.sources.prometheus_utilization.machines import (
    DAY,
    TWO,
    A,
    B,
    gauge,
    joined,
    minutes,
    processors,
    served,
    source,
)

pytestmark = pytest.mark.real_server


def field() -> list[Series]:
    """Machines of several clouds: a restart, a gap, GPUs whole and divided, and names from Kubernetes and Linux."""
    full = tuple({**dict.fromkeys(modes, 0.0), "user": 1.0} for modes in TWO)
    address, node = "10.0.0.7", "ip-10-0-0-7"
    busy = [(m, 37.5 + m % 7) for m in minutes(-8, 128, 0.5)]
    return [
        *processors(minutes(-9.9, 130, 0.25), TWO, instance=f"{address}:9100", job="node"),
        gauge("kube_node_info", [(m, 1) for m in minutes(-60, 180)], node=node, internal_ip=address,
              provider_id=f"aws:///eu-west-1a/{A}"),
        *joined(processors([*minutes(0, 20), *minutes(33, 50)], TWO, instance_id=B),
                processors(minutes(52, 60), full, booted=51.2, instance_id=B)),
        gauge("DCGM_FI_DEV_GPU_UTIL", busy, UUID="GPU-1", Hostname=node, pod="a", instance="10.9.9.9:9400"),
        gauge("DCGM_FI_DEV_GPU_UTIL", [(m, value / 2) for m, value in busy], UUID="GPU-2", Hostname=node),
        gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", [(m, 1 / (1 + m)) for m in minutes(1, 58)], UUID="GPU-3", Hostname="w1",
              GPU_I_ID="1", GPU_I_PROFILE="3g.40gb", modelName="NVIDIA H100 80GB HBM3"),
        *processors(minutes(0, 60), (TWO[0],), instance="10.0.0.8:9100"),
        gauge("node_uname_info", [(m, 1) for m in minutes(0, 60)], instance="10.0.0.8:9100", nodename="w2"),
    ]  # fmt: skip


def test_both_give_the_same_rows_and_notes(step: StepContext, tmp_path: Path) -> None:
    require_prometheus()
    these, day = field(), DayRange(DAY, DAY)
    found = []
    with prometheus(for_real(these), tmp_path / "real", block_duration="720h") as real, served(these) as stand_in:
        for url in (real, stand_in):
            rows, notes = rows_of(source(url, provider="gcp"), day, step)
            found.append((rows.drop_columns(["raw_sha256"]), notes))
    (rows, notes), (others, other_notes) = found
    assert rows.equals(others)
    assert notes == other_notes == {}
    machines = {(row["provider"], row["resource_id"], row["component"]) for row in rows.to_pylist()}
    assert machines == {
        ("aws", A, "cpu"), ("aws", A, "gpu"), ("aws", B, "cpu"), ("gcp", "w1", "gpu"), ("gcp", "w2", "cpu"),
    }  # fmt: skip
    hour = rows.filter(pa.compute.equal(rows["resource_id"], A)).to_pylist()
    assert {float(row["utilization"]) for row in hour if row["component"] == "cpu"} == {0.25}


def test_a_server_that_finds_a_day_too_large_gives_the_same_rows_in_pieces(step: StepContext, tmp_path: Path) -> None:
    require_prometheus()
    these, day = field(), DayRange(DAY, DAY)
    with served(these) as url:
        whole, _ = rows_of(source(url, provider="gcp"), day, step)
    few = ["--query.max-samples=600"]
    with prometheus(for_real(these), tmp_path / "small", flags=few, block_duration="720h") as url:
        pieces, notes = rows_of(source(url, provider="gcp"), day, step)
    edition = step.landing.edition("load", DAY)
    assert edition is not None
    assert len([one for one in edition.objects if one.request["role"] == "time"]) > 1
    assert whole.drop_columns(["raw_sha256"]).equals(pieces.drop_columns(["raw_sha256"]))
    assert notes == {}

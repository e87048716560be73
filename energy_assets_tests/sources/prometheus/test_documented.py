"""What docs/sources/prometheus.md says: its site blocks are read, and every metric that is asked for stands in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets.sources.prometheus.exporters import BUILT_IN, profiles
from energy_assets.sources.prometheus.inference import PrometheusInference
from energy_assets.sources.prometheus.meters import CustomMetric, built_in
from energy_assets.sources.prometheus.serving import BUILT_IN as COUNTED
from energy_assets.sources.prometheus.serving import written

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sources" / "prometheus.md"
KINDS = {"prometheus_energy": PrometheusEnergy, "prometheus_inference": PrometheusInference}


def blocks() -> list[Any]:
    return [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)]


def test_the_blocks_of_the_page_are_read() -> None:
    found = [block for block in blocks() if isinstance(block, dict)]
    sources = [source for block in found for source in block.get("sources", ())]
    assert {source["kind"] for source in sources} == KINDS.keys()
    for source in sources:
        KINDS[source["kind"]].model_validate(source)
    meters = [CustomMetric.model_validate(one).meter() for block in found for one in block.get("metrics", ())]
    assert [(meter.matchers, meter.adds) for meter in meters] == [(('zone="package"',), ("path",)), ((), ("mode",))]


@pytest.mark.parametrize("metric", sorted({one.metric for one in (*built_in(None), *BUILT_IN)}))
def test_every_built_in_meter_is_on_the_page(metric: str) -> None:
    assert f"`{metric}" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(profiles(None)))
def test_every_profile_is_on_the_page(name: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"| `{name}`" in text
    shown = [one.metric for one in profiles(None)[name] if f"`{one.metric}" in text]
    assert shown


@pytest.mark.parametrize("metric", sorted({one.metric for one in COUNTED if not one.metric.startswith("ray_")}))
def test_every_counter_of_requests_and_tokens_is_on_the_page(metric: str) -> None:
    """By the name that its server gives it; another spelling is told of all of them."""
    assert f"`{written(metric)}`" in PAGE.read_text(encoding="utf-8")

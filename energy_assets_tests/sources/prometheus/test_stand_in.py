"""The sandbox's stand-in and a real Prometheus, holding the same day of the company, give the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from energy_assets.periods import DayRange
from energy_assets.sandbox.exporters import LocationStore
from energy_assets.sandbox.plant import RAPL_WRAP_UJ, Plant
from energy_assets.sandbox.prometheus import PrometheusServer
from energy_assets.sandbox.schedule import LOCATIONS
from energy_assets.sandbox.series import NAME, Matcher, MemoryStore, Series
from energy_assets.sources.base import Source, StepContext
from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets.sources.prometheus.inference import PrometheusInference
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.prometheus_server import prometheus, require_prometheus
from energy_assets_tests.sandbox.samples import for_real, without_markers

pytestmark = pytest.mark.real_server

WEDNESDAY = datetime(2026, 10, 7, tzinfo=UTC)
"""A node in Dublin reboots while it trains."""
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = DayRange(WEDNESDAY.date(), WEDNESDAY.date())


class Pair(NamedTuple):
    """The same series twice."""

    real: str
    stand_in: str


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The whole company, from two hours before the day to an hour after it."""
    require_prometheus()
    since, until = (WEDNESDAY + timedelta(hours=hours) for hours in (-2, 25))
    these: list[Series] = []
    for location in LOCATIONS:
        store = LocationStore(Plant(location, 7), lambda: NOW)
        everything = [Matcher(NAME, "=~", ".+")]
        these += store.select(everything, round(since.timestamp() * 1000), round(until.timestamp() * 1000))
    these = without_markers(these)
    folder = tmp_path_factory.mktemp("wednesday")
    with (
        prometheus(for_real(these), folder, block_duration="720h") as real,
        PrometheusServer(MemoryStore(these), clock=lambda: NOW) as ours,
    ):
        yield Pair(real, ours.url)


def energy(url: str) -> Source:
    block: dict[str, Any] = {
        "name": "dc",
        "kind": "prometheus_energy",
        "url": url,
        "rapl_wrap_joules": f"{RAPL_WRAP_UJ / 1e6:f}",
        "place": {"region": "r", "zone": "IE"},
    }
    return PrometheusEnergy.model_validate(block)


def inference(url: str) -> Source:
    block = {"name": "serving", "kind": "prometheus_inference", "url": url, "deployment_label": "job"}
    return PrometheusInference.model_validate(block)


def told(source: Source, step: StepContext) -> tuple[pa.Table, dict[str, int], list[tuple[str, str]]]:
    """Rows without the hashes of the answers, whose order differs; the notes; what was asked."""
    table, notes = rows_of(source, DAY, step)
    edition = step.landing.edition(source.name, DAY.first)
    assert edition
    asked = [(landed.request["role"], landed.request.get("query", "")) for landed in edition.objects]
    return table.drop_columns(["raw_sha256"]), notes, asked


@pytest.mark.parametrize(("make", "least"), [(energy, 700), (inference, 96)])
def test_both_give_the_same_rows_notes_and_questions(
    pair: Pair, step: StepContext, tmp_path_factory: pytest.TempPathFactory, make: Any, least: int
) -> None:
    from energy_assets_tests.conftest import step as another

    real, notes, asked = told(make(pair.real), step)
    ours, our_notes, we_asked = told(make(pair.stand_in), another.__wrapped__(tmp_path_factory.mktemp("step")))
    assert real.num_rows >= least
    assert ours.to_pylist() == real.to_pylist()
    assert (our_notes, we_asked) == (notes, asked)

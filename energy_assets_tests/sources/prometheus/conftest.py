"""One small data centre of known energy, in a real Prometheus that all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from energy_assets_tests.prometheus_server import prometheus, require_prometheus
from energy_assets_tests.sources.prometheus.data_centre import everything


@pytest.fixture(scope="session")
def data_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url of a Prometheus that holds `everything`."""
    require_prometheus()
    with prometheus(everything(), tmp_path_factory.mktemp("prometheus"), block_duration="72h") as url:
        yield url

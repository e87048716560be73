"""The inputs beside the checkout that several tests read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from energy_assets_tests.conftest import REAL_DATA
from energy_assets_tests.prometheus_server import prometheus, require_prometheus


@pytest.fixture(autouse=True)
def _own_dagster_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url of a Prometheus that holds the series of all field cases, told apart by the label `case`."""
    data = REAL_DATA / "field"
    if not data.exists():
        pytest.skip("field data not found beside the checkout; it is not part of this repository")
    require_prometheus()
    folder = tmp_path_factory.mktemp("field")
    text = folder / "series.om"
    subprocess.run([sys.executable, str(data / "make_openmetrics.py"), str(text)], check=True)
    with prometheus(text, folder / "server") as url:
        yield url

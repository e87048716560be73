"""What the browser tests share: a small real site, its Dagster UI as a user starts it, and headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from energy_assets_tests.browser.chromium import headless, missing_browser
from energy_assets_tests.browser.serving import RUN_S, Serving, serving, until
from energy_assets_tests.browser.sites import FinishedSite, finished_site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need a browser."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedSite:
    """Two days of the sandbox company, its report, and a bill that broke its contract on the second day."""
    return finished_site(tmp_path_factory.mktemp("company"), datetime.now(UTC))


@pytest.fixture(scope="session")
def ui(finished: FinishedSite) -> Iterator[Serving]:
    """The Dagster UI of that site; when it ends no process of it may be left."""
    with serving(finished.path) as running:
        running.wait_until_ready()
        # The server answers before its code is loaded, and a page opened then stays empty.
        until(lambda: running.ask("{assetNodes {id}}")["assetNodes"], RUN_S, lambda: "the code was not loaded")
        yield running


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One Chromium for all tests, or the reason why there is none."""
    if reason := missing_browser():
        pytest.skip(reason)
    # Wide enough for Dagster to draw the names of all assets: in a smaller window it zooms out until they are gone.
    with headless(tmp_path_factory.mktemp("profile"), 3000, 1800) as browser:
        yield browser

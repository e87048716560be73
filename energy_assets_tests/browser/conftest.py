"""What the browser tests share: a small real site, its Dagster UI as a user starts it, and headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from energy_assets_tests.browser.serving import Serving, serving
from energy_assets_tests.browser.sites import FinishedSite, finished_site

GROUP = "dagster_ui"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has them all, so that one site and one server are enough."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group(GROUP))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedSite:
    """Two days of the sandbox company, its report, and a bill that broke its contract on the second day."""
    return finished_site(tmp_path_factory.mktemp("company"), datetime.now(UTC))


@pytest.fixture(scope="session")
def ui(finished: FinishedSite) -> Iterator[Serving]:
    """The Dagster UI of that site; when it ends no process of it may be left."""
    with serving(finished.path) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="session")
def open_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Any]]:
    """Starts Chromium with a profile of its own, or skips."""
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)")
    opened: list[Any] = []

    def start() -> Any:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1600,1100",
            f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        opened.append(webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)))
        opened[-1].get("about:blank")
        opened[-1].get_log("performance")
        return opened[-1]

    try:
        yield start
    finally:
        for browser in opened:
            browser.quit()


@pytest.fixture(scope="session")
def chromium(open_browser: Callable[[], Any]) -> Any:
    """One Chromium for all tests."""
    return open_browser()

"""The page in a real browser: opened by double click, without errors, with its charts and fonts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--window-size=1280,1000",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


def test_the_page_opens_without_console_errors_and_draws_everything(
    browser: Any, rendered: Path, charts: list[str]
) -> None:
    browser.get((rendered / "report.xhtml").as_uri())
    assert browser.get_log("browser") == []
    widths = browser.execute_script("return [...document.images].map(i => i.complete ? i.naturalWidth : 0)")
    assert len(widths) == len(charts) > 0
    assert all(width > 200 for width in widths)
    loaded = "return document.fonts.ready.then(() => document.fonts.check('600 16px Inter'))"
    assert browser.execute_script(loaded) is True
    assert browser.execute_script("return document.querySelector('parsererror') === null") is True


@pytest.mark.parametrize("width", [1280, 420])
def test_nothing_overflows_sideways(browser: Any, rendered: Path, width: int) -> None:
    browser.set_window_size(width, 1000)
    browser.get((rendered / "report.xhtml").as_uri())
    inner, content = browser.execute_script(
        "return [document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert content <= inner

"""The page in a real browser: opened by double click, without errors, with its charts and fonts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.render import render
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.company import Company

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


#: Elements that stick out of the page or of their own box; what scrolls inside its own frame does not.
SPILLING = """
const wide = document.documentElement.clientWidth, found = [];
for (const e of document.querySelectorAll('body *')) {
  const frame = e.closest('.scroll, .draw, .toc ul');
  if (frame && frame !== e) continue;
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  const inside = style.display === 'inline' || style.overflowX !== 'visible' || e.scrollWidth <= e.clientWidth + 1;
  if (box.width && (box.right > wide + 0.5 || box.left < -0.5 || !inside))
    found.push(`${e.tagName} ${e.className} ${e.textContent.slice(0, 30)}`);
}
return found"""


def spilling(browser: Any, page: Path, width: int) -> list[str]:
    """What spills at a width; narrower than a desktop window can be, so the device is made up."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(page.as_uri())
        assert browser.execute_script("return window.innerWidth") == width
        found: list[str] = browser.execute_script(SPILLING)
        return found
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a company with a bill of nine digits, and figures without value."""
    inputs = company.inputs(Company(load="3000", pue=False), trace_page=True)
    for table in ("kpis_daily", "kpis_monthly"):
        inputs.con.raw_sql(
            f"update {table} set numerator = 742053750.5, value = 742053750.5 "
            "where kpi = 'billed_cost' and grain = 'total'"
        )
    folder = tmp_path_factory.mktemp("large")
    render(build(inputs), folder)
    return folder


@pytest.mark.parametrize("width", [1360, 900, 601, 390, 375])
def test_nothing_spills_sideways(browser: Any, rendered: Path, large: Path, width: int) -> None:
    for folder in (rendered, large):
        assert spilling(browser, folder / "report.xhtml", width) == []


def test_a_bill_of_nine_digits_fits_its_card(browser: Any, large: Path) -> None:
    assert spilling(browser, large / "report.xhtml", 375) == []
    cards = [card.text.split("\n") for card in browser.find_elements("css selector", ".card")]
    (cost,) = [card for card in cards if card[0] == "Billed cost"]
    assert cost[1:3] == ["742.1", "million EUR"]


@pytest.mark.parametrize("width", [1360, 375])
def test_a_link_to_a_figure_shows_its_row_beneath_the_banner(browser: Any, rendered: Path, width: int) -> None:
    """On a phone the figures scroll in a box of their own, so that the page does not go on for ever."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get((rendered / "report.xhtml").as_uri())
        browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
        banner, box = browser.execute_script(
            "return ['.banner', '.figures'].map(name => document.querySelector(name).getBoundingClientRect().height)"
        )
        assert (box <= 900 * 0.7) == (width == 375)
        for link in (0, -1):
            top, bottom = browser.execute_script(
                "const links = [...document.querySelectorAll('.main a[href^=\"#F-\"]')], one = links.at(arguments[0]);"
                "one.click(); const row = document.querySelector(one.getAttribute('href')).getBoundingClientRect();"
                "return [row.top, row.bottom]",
                link,
            )
            assert banner <= top < bottom <= 900
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_number_on_a_phone_is_never_cut_by_its_card(browser: Any, rendered: Path) -> None:
    """The spilling of the page's own making is found: the test sees what it is to see."""
    size = {"width": 375, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((rendered / "report.xhtml").as_uri())
    browser.execute_script(
        "const v = document.querySelector('.card .value'); v.style.whiteSpace = 'nowrap';"
        "v.textContent = '7,420,537,500,000.50 EUR'"
    )
    found = browser.execute_script(SPILLING)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert any("value" in one for one in found)

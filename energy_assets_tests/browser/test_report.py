"""The report of a real run in a real browser, opened from disk as a double click opens it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from energy_assets_tests.browser.pages import click, complaints, requested, text_of
from energy_assets_tests.browser.sites import HOSTILE, FinishedSite

INERT = """return window.hostile === undefined && document.scripts.length === 0
  && !document.querySelector('img[src=x], [onerror], [onload], [onclick]')"""


@pytest.fixture
def report(chromium: Any, finished: FinishedSite) -> Any:
    """The browser at the report; a page left before, whose server may be gone, complains no more."""
    chromium.get("about:blank")
    complaints(chromium)
    requested(chromium)
    chromium.get((finished.report / "report.xhtml").as_uri())
    return chromium


def test_it_opens_without_errors_or_a_request_to_anybody(report: Any) -> None:
    assert complaints(report) == []
    assert [url for url in requested(report) if not url.startswith("file://")] == []
    assert report.execute_script("return document.querySelector('parsererror') === null")
    drawn = report.execute_script("return [...document.images].map(i => i.complete ? i.naturalWidth : 0)")
    assert len(drawn) >= 5
    assert min(drawn) > 200


def test_every_headline_figure_is_printed_and_the_company_is_labelled_synthetic(
    report: Any, finished: FinishedSite
) -> None:
    page = text_of(report)
    assert "synthetic" in page.lower()
    figures = {one["id"]: one for one in json.loads((finished.report / "figures.json").read_text())["figures"]}
    headline = json.loads((finished.report / "document.json").read_text())["headline"]
    assert len(headline) >= 5
    for name in headline:
        assert figures[name]["display"]["text"] in page, name


def test_its_link_leads_to_the_trace_page_and_back(report: Any) -> None:
    click(report, report.find_element("css selector", "a[href^='trace.xhtml']"))
    assert report.current_url.endswith("trace.xhtml")
    assert complaints(report) == []
    page = text_of(report)
    assert "F-001" in page
    assert "Raw object" in page
    click(report, report.find_element("css selector", "a[href^='report.xhtml']"))
    assert report.current_url.endswith("report.xhtml")
    assert complaints(report) == []


@pytest.mark.parametrize("name", ["report.xhtml", "trace.xhtml"])
def test_a_tag_that_is_markup_stays_text(report: Any, finished: FinishedSite, name: str) -> None:
    report.get((finished.report / name).as_uri())
    assert report.execute_script(INERT)
    if name == "report.xhtml":
        assert HOSTILE[:24] in str(report.execute_script("return document.documentElement.textContent"))

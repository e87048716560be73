"""One report of the made-up company, built and rendered once for all tests that only look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.render import render
from energy_assets_tests.disclosures import company


@pytest.fixture(scope="session")
def inputs() -> ReportInputs:
    """Seven days of November 2026."""
    return company.inputs(trace_page=True)


@pytest.fixture(scope="session")
def document(inputs: ReportInputs) -> Document:
    """The report's document."""
    return build(inputs)


@pytest.fixture(scope="session")
def rendered(document: Document, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the rendered report."""
    folder = tmp_path_factory.mktemp("report")
    render(document, folder)
    return folder


@pytest.fixture(scope="session")
def charts(document: Document) -> list[str]:
    """The titles of the report's charts, in order."""
    blocks = [block for section in document.sections for block in section.blocks if block["type"] == "charts"]
    return [chart["title"] for block in blocks for chart in block["items"]]

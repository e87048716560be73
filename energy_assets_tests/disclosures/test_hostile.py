"""Texts of tags that try to be markup, code or formulas, in every face."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from energy_assets.disclosures.building import build
from energy_assets.disclosures.inputs import Organisation
from energy_assets.disclosures.render import render
from energy_assets.disclosures.trace import rows_reader, trace
from energy_assets.disclosures.trace_looks import to_tree, write_page
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.company import Company

PROJECTS = ("<script>alert(1)</script>", "=cmd()|'/c calc'!A0", "q\"u'o\n]]>&te")
MODELS = (
    '#eval("1") $x^2$ *b* _i_ @ref \\u{41}',
    "-2+3 {{ 7*7 }} ${series} [bold]x[/]",
    "東京 🚀 \u202eevil\x07",
    "a" * 90,
)
XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("hostile")
    organisation = Organisation('<b>Evil & "Co"</b> #pagebreak()', "EUR", synthetic=True)
    inputs = company.inputs(Company(projects=PROJECTS, models=MODELS), organisation=organisation)
    document = build(inputs)
    render(document, folder)
    found = next(
        f for f in document.book if f.dimensions.get("project") == PROJECTS[0] and f.metric == "scope2_location_g"
    )
    node = trace(found, document.book, rows_reader(inputs.tables), lambda sha256: [])
    write_page([node], document, folder)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(to_tree(node))
    return folder, console.export_text()


@pytest.mark.parametrize("name", ["report.xhtml", "trace.xhtml"])
def test_pages_stay_well_formed_and_markup_stays_text(report: tuple[Path, str], name: str) -> None:
    root = ElementTree.fromstring((report[0] / name).read_text("utf-8"))  # noqa: S314
    assert list(root.iter(f"{XHTML}script")) == []
    assert list(root.iter(f"{XHTML}b")) == []
    text = "".join(root.itertext())
    assert "<script>alert(1)</script>" in text
    assert '<b>Evil & "Co"</b> #pagebreak()' in text


def test_templates_are_not_evaluated(report: tuple[Path, str]) -> None:
    text = (report[0] / "report.xhtml").read_text("utf-8")
    assert "{{ 7*7 }} ${series}" in text
    assert "U+202Eevil" in text


def test_the_pdf_is_built_and_prints_markup_as_text(report: tuple[Path, str]) -> None:
    assert (report[0] / "report.pdf").stat().st_size > 100_000


def test_cells_are_no_formulas_while_json_keeps_the_text(report: tuple[Path, str]) -> None:
    rows = list(csv.DictReader(io.StringIO((report[0] / "facts.csv").read_text("utf-8"), newline="")))
    texts = [cell for row in rows for name, cell in row.items() if name not in {"value", "low", "high"}]
    assert [cell for cell in texts if cell[:1] in tuple("=+-@\t\r\n")] == []
    assert "'" + PROJECTS[1] in {row["member"] for row in rows}
    figures = json.loads((report[0] / "figures.json").read_text("utf-8"))["figures"]
    assert set(PROJECTS) <= {figure["dimensions"].get("project") for figure in figures}
    assert MODELS[2] in {figure["dimensions"].get("model_id") for figure in figures}


def test_the_terminal_shows_markup_as_text(report: tuple[Path, str]) -> None:
    assert "<script>alert(1)</script>" in report[1]

"""The faces of a report: the same figures in each, the same bytes each time, valid as what they claim to be."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pikepdf
import pytest

from energy_assets.disclosures import pdf as pdf_face
from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Chart, Document
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.render import render

XHTML = "{http://www.w3.org/1999/xhtml}"


def page(folder: Path) -> ElementTree.Element:
    return ElementTree.fromstring((folder / "report.xhtml").read_text("utf-8"))  # noqa: S314


def metadata(path: Path) -> str:
    with pikepdf.open(path) as opened:
        return bytes(opened.Root.Metadata.read_bytes()).decode()


def test_the_same_inputs_give_the_same_bytes(inputs: ReportInputs, rendered: Path, tmp_path: Path) -> None:
    again = render(build(inputs), tmp_path / "elsewhere")
    assert len(again) == 8
    assert [path.name for path in again if path.read_bytes() != (rendered / path.name).read_bytes()] == []


def test_the_pdf_declares_archival_and_accessible_and_is_tagged(rendered: Path) -> None:
    text = metadata(rendered / "report.pdf")
    assert "<pdfaid:part>3</pdfaid:part>" in text
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in text
    assert "<pdfuaid:part>1</pdfuaid:part>" in text
    with pikepdf.open(rendered / "report.pdf") as opened:
        assert bool(opened.Root.MarkInfo.Marked)
        assert str(opened.Root.Lang) == "en"


def test_the_pdf_is_dated_with_the_last_day_of_data(rendered: Path) -> None:
    with pikepdf.open(rendered / "report.pdf") as opened:
        assert str(opened.docinfo["/CreationDate"]).startswith("D:20261122")


def test_headline_figures_lead_to_their_trace(document: Document, rendered: Path) -> None:
    links = {element.get("href") for element in page(rendered).iter(f"{XHTML}a")}
    assert {f"trace.xhtml#{name}" for name in document.headline} <= links


def test_the_pdf_carries_the_other_faces(rendered: Path) -> None:
    with pikepdf.open(rendered / "report.pdf") as opened:
        attached = {name: bytes(spec.get_file().read_bytes()) for name, spec in opened.attachments.items()}
        relations = {str(spec.AFRelationship) for spec in opened.Root.AF}
    assert sorted(attached) == ["facts.csv", "figures.json", "report.xhtml"]
    assert all(content == (rendered / name).read_bytes() for name, content in attached.items())
    assert relations == {"/Data", "/Alternative"}


def test_the_pdf_holds_no_raster_and_only_the_bundled_fonts(rendered: Path) -> None:
    with pikepdf.open(rendered / "report.pdf") as opened:
        kinds = [o for o in opened.objects if isinstance(o, pikepdf.Stream) and o.get("/Subtype") == "/Image"]
        fonts = {str(o.BaseFont) for o in opened.objects if isinstance(o, pikepdf.Dictionary) and "/BaseFont" in o}
    assert kinds == []
    assert all("+Inter-" in font or "DejaVuSansMono" in font for font in fonts), fonts


def test_a_chart_without_alternative_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no alternative text"):
        Chart(spec="energy_by_day", title="Energy", caption=[], alt=" ", rows=[])


def test_typst_refuses_an_image_without_alternative_text(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    content = pdf_face._content

    def without_alt(*args: object) -> str:
        return re.sub(r'"alt": "[^"]*"', '"alt": null', content(*args))  # type: ignore[arg-type]

    monkeypatch.setattr(pdf_face, "_content", without_alt)
    drawn = dict.fromkeys(_chart_keys(document), "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")
    with pytest.raises(pdf_face.PdfError, match="alt text"):
        pdf_face.pdf(document, drawn, {})


def test_the_last_page_is_worth_turning_to(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paragraphs are put before the evidence until its last rows would stand alone on a page."""
    ends: list[float] = []
    measured = pdf_face.ends_at_pt

    def noted(compiler: Any) -> float:
        ends.append(measured(compiler))
        return ends[-1]

    monkeypatch.setattr(pdf_face, "ends_at_pt", noted)
    drawn = dict.fromkeys(_chart_keys(document), "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")
    *others, last = document.sections
    filler = {"type": "paragraph", "lead": False, "runs": ["A line."]}

    def pushed(lines: int) -> list[float]:
        ends.clear()
        section = replace(last, blocks=[*[filler] * lines, *last.blocks])
        pdf_face.pdf(replace(document, sections=[*others, section]), drawn, {})
        return list(ends)

    monkeypatch.setattr(pdf_face, "THIN_PT", 200)
    assert any(len(pushed(lines)) == 1 for lines in range(5, 60, 3)), "some length leaves enough of them"
    assert any(pushed(lines)[0] < pdf_face.THIN_PT for lines in range(5, 60, 3)), "some length leaves a few rows"
    assert len(ends) > 1
    assert all(end < pdf_face.THIN_PT for end in ends[:-1])
    assert ends[-1] >= pdf_face.THIN_PT


def _chart_keys(document: Document) -> list[str]:
    blocks = (block for section in document.sections for block in section.blocks if block["type"] == "charts")
    return [pdf_face.chart_key(chart) for block in blocks for chart in block["items"]]


def test_all_faces_hold_the_same_figures(document: Document, rendered: Path) -> None:
    facts = {row["id"]: row for row in csv.DictReader(io.StringIO((rendered / "facts.csv").read_text("utf-8")))}
    figures = {f["id"]: f for f in json.loads((rendered / "figures.json").read_text("utf-8"))["figures"]}
    model = json.loads((rendered / "document.json").read_text("utf-8"))["figures"]
    ids = {figure.id for figure in document.book}
    assert set(facts) == set(figures) == set(model) == ids
    for id_, figure in figures.items():
        assert facts[id_]["value"] == (figure["value"] or "")
        assert facts[id_]["printed"].removeprefix("'") == figure["display"]["text"]
        assert model[id_]["value"] == figure["value"]
    printed = {
        element.get("title", "").split(":")[0]: "".join(element.itertext())
        for element in page(rendered).iter(f"{XHTML}span")
        if element.get("class") == "n"
    }
    assert set(printed) == ids
    assert all(figures[id_]["display"]["text"] in text for id_, text in printed.items())


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")
def test_the_pdf_prints_every_figure_beside_its_id(document: Document, rendered: Path) -> None:
    command = ["pdftotext", "-layout", rendered / "report.pdf", "-"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = printed.replace("\u00a0", " ").splitlines()
    for figure in document.book:
        assert any(figure.id in line and figure.display.text in line for line in lines), (figure.id, figure.label)


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")
def test_no_page_but_the_last_ends_in_a_large_gap(rendered: Path) -> None:
    """Charts do not break, so what can stands behind them: lists, and tables that are no small ones."""
    page_pt, footer_pt, gap_pt = 841.9, 54, 100
    command = ["pdftotext", "-bbox", rendered / "report.pdf", "-"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    _cover, *pages, _last = re.findall(r"<page .*?</page>", told, re.DOTALL)
    ends = [[float(y) for y in re.findall(r'yMax="([\d.]+)"', words)] for words in pages]
    gaps = [page_pt - footer_pt - max(y for y in found if y <= page_pt - footer_pt) for found in ends]
    assert len(gaps) > 8
    assert [round(gap) for gap in gaps if gap > gap_pt] == []


def test_every_reference_leads_somewhere(rendered: Path) -> None:
    root = page(rendered)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    links = {
        element.get("href", "")[1:] for element in root.iter(f"{XHTML}a") if element.get("href", "").startswith("#")
    }
    assert links <= set(ids)


def test_the_page_is_self_contained_and_images_are_described(rendered: Path, charts: list[str]) -> None:
    root = page(rendered)
    images = list(root.iter(f"{XHTML}img"))
    assert "Emissions by day" in charts
    assert len(images) == len(charts)
    assert all((image.get("src") or "").startswith("data:image/svg+xml;base64,") for image in images)
    assert all(len(image.get("alt") or "") > 40 for image in images)
    assert list(root.iter(f"{XHTML}script")) == []
    css = "".join(style.text or "" for style in root.iter(f"{XHTML}style"))
    assert "http" not in css


def test_synthetic_data_is_labelled_on_every_page_of_both_faces(document: Document, rendered: Path) -> None:
    words = "Synthetic data"
    assert words in document.banner
    assert (rendered / "report.xhtml").read_text("utf-8").count(words) >= 3
    assert json.loads((rendered / "figures.json").read_text("utf-8"))["synthetic"] is True
    typst = Path(pdf_face.reports_folder() / "templates" / "report.typ").read_text("utf-8")
    assert "banner" in typst.split("#set page(")[1].split("footer:")[0]


@pytest.mark.parametrize("name", ["report.xhtml.j2", "trace.xhtml.j2", "report.typ"])
def test_no_template_prints_a_number(name: str) -> None:
    text = (pdf_face.reports_folder() / "templates" / name).read_text("utf-8")
    if name.endswith(".typ"):
        code = re.sub(r"(?m)^\s*//.*$", "", text)
        prose = [s for s in re.findall(r'"((?:[^"\\]|\\.)*)"', code) if not s.startswith(("#", "\\u"))]
        prose = [s for s in prose if s not in {"1.", "1 / 1", "a4"}]
    else:
        body = re.sub(r"(?s)<style.*?</style>|<\?xml.*?\?>|\{[{%].*?[%}]\}|<[^>]*>|&#\d+;", " ", text)
        prose = [body]
    assert [s for s in prose if re.search(r"\d", s)] == []


def test_nothing_of_this_machine_is_in_a_report(rendered: Path) -> None:
    for path in rendered.iterdir():
        content = path.read_bytes()
        assert b"/tmp/" not in content, path.name
        assert str(Path.home()).encode() + b"/" not in content, path.name

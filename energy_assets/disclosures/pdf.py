"""The PDF face: PDF/A-3a and PDF/UA-1 by Typst, with the machine-readable faces attached.

What belongs here: handing the document and the attachments to the Typst template. What does not: looks.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from energy_assets.disclosures.document import Document
from energy_assets.disclosures.places import reports_folder
from energy_assets.disclosures.text import breakable, printable
from energy_assets.disclosures.xhtml import chart_key

if TYPE_CHECKING:
    from typst import Compiler

ATTACHED = {
    "facts.csv": ("text/csv", "data", "All figures of the report, one in a row"),
    "figures.json": ("application/json", "data", "All figures of the report with their evidence"),
    "report.xhtml": ("application/xhtml+xml", "alternative", "The same report as a web page with inline XBRL"),
}
#: Values that are copied or looked up, not set as running text.
WHOLE = frozenset({"code", "figure", "figures", "name", "mime", "href", "id", "type"})
#: Above and below a row of evidence, pt: the first that leaves no thin last page, else the first.
PADDINGS = ("3.1", "2.6", "3.6", "2.9", "3.4")
#: A last page that ends above this is thin, pt from its top: a tenth of what it holds, below its margin.
THIN_PT = 133


class PdfError(RuntimeError):
    """Typst refused the document."""


def pdf(document: Document, drawn: Mapping[str, str], files: Mapping[str, str]) -> bytes:
    """The PDF.

    Args:
        document: The report.
        drawn: SVG by chart key.
        files: Text of the attachments by file name; see `ATTACHED`.

    Raises:
        PdfError: the template, or something it was given, breaks a rule of PDF/A or PDF/UA.
    """
    import typst

    folder = reports_folder()
    end = datetime.fromisoformat(document.period["dated"]).replace(tzinfo=UTC)
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        (room / "document.json").write_text(_content(document, drawn, files), encoding="utf-8")
        (room / "report.typ").write_bytes((folder / "templates" / "report.typ").read_bytes())
        for file, text in files.items():
            (room / file).write_bytes(text.encode())
        try:
            settings = [_compiler(room, folder, padding) for padding in PADDINGS]
            # Only settings that are looked at are set.
            best = next((one for one in settings if ends_at_pt(one) >= THIN_PT), settings[0])
            made: Any = best.compile(pdf_standards=["a-3a", "ua-1"], timestamp=int(end.timestamp()))
            return bytes(made)
        except typst.TypstError as error:
            raise PdfError(f"Typst refused the report: {error.message} {' '.join(error.hints)}".strip()) from error


def _compiler(room: Path, folder: Path, padding: str) -> Compiler:
    import typst

    return typst.Compiler(
        room / "report.typ",
        root=room,
        font_paths=[folder / "fonts"],
        ignore_system_fonts=True,
        sys_inputs={"padding": padding},
    )


def ends_at_pt(compiler: Compiler) -> float:
    """Where the last page ends, in points from its top.

    Args:
        compiler: Of the report.
    """
    return float(compiler.query("<end>", field="value", one=True))


def _content(document: Document, drawn: Mapping[str, str], files: Mapping[str, str]) -> str:
    """The document as the template reads it: with charts and attachments, every text printable in Inter."""
    content = document.to_json()
    content["attachments"] = [
        {"name": name, "mime": ATTACHED[name][0], "relationship": ATTACHED[name][1], "description": ATTACHED[name][2]}
        for name in files
    ]
    content = _printable(content)
    for section in content["sections"]:
        for block in section["blocks"]:
            for chart in block["items"] if block["type"] == "charts" else ():
                chart["svg"] = printable(drawn[chart_key(chart)])
    return json.dumps(content, ensure_ascii=False)


def _printable(node: Any, key: str = "") -> Any:
    """Every string value in characters of the font, long words breakable; code, which is copied, stays whole."""
    if isinstance(node, str):
        return printable(node) if key in WHOLE else breakable(printable(node))
    if isinstance(node, dict):
        return {name: _printable(value, name) for name, value in node.items()}
    return [_printable(item, key) for item in node] if isinstance(node, list) else node

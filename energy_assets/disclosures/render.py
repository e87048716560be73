"""Giving a document its faces and writing them into one folder. The only place here that writes files."""

from __future__ import annotations

from pathlib import Path

from energy_assets.disclosures.charts import draw
from energy_assets.disclosures.document import Document
from energy_assets.disclosures.exports import facts_csv, figures_json
from energy_assets.disclosures.pdf import pdf
from energy_assets.disclosures.places import reports_folder
from energy_assets.disclosures.xhtml import chart_key, xhtml


def render(document: Document, folder: Path) -> list[Path]:
    """Write every face of `document` into `folder`; the same document gives the same bytes in each.

    Args:
        document: From `building.build`.
        folder: Made if it is not there; files of an earlier report are replaced.

    Returns:
        The files written: document.json, facts.csv, figures.json, report.xhtml, report.pdf and the taxonomy.

    Raises:
        PdfError: the PDF would break PDF/A or PDF/UA.
    """
    drawn = {
        chart_key(chart): draw(chart)
        for section in document.sections
        for block in section.blocks
        if block["type"] == "charts"
        for chart in block["items"]
    }
    texts = {"facts.csv": facts_csv(document), "figures.json": figures_json(document)}
    texts["report.xhtml"] = xhtml(document, drawn)
    contents = {"document.json": document.text().encode()}
    contents |= {name: text.encode() for name, text in texts.items()}
    contents["report.pdf"] = pdf(document, drawn, texts)
    taxonomy = document.profile.taxonomy
    for name in taxonomy.files if taxonomy else ():
        contents[name] = (reports_folder() / "taxonomy" / name).read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        paths.append(path)
    return paths

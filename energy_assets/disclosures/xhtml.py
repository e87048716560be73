"""The XHTML 1.1 face with inline XBRL: one self-contained file that is the web page and the filing.

What belongs here: filling the Jinja2 template. What does not: content (the document) or looks (the template).
Autoescape is on; charts are images because inline XBRL's schema knows no SVG elements.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from energy_assets.disclosures import xbrl
from energy_assets.disclosures.charts import font_face, with_fonts
from energy_assets.disclosures.document import Document
from energy_assets.disclosures.places import reports_folder

WEIGHTS = {"400": "Regular", "500": "Medium", "600": "SemiBold", "700": "Bold"}
#: Characters of a card's number from which on it is set smaller.
LONG = 9
FILES = ("report.pdf", "facts.csv", "figures.json", "document.json")


def xhtml(document: Document, drawn: Mapping[str, str]) -> str:
    """The page.

    Args:
        document: The report.
        drawn: SVG by chart key (see `charts.draw` and `chart_key`).
    """
    folder = reports_folder()
    facts = xbrl.facts(document)
    trace = document.meta["trace_page"]
    text: str = (
        _environment()
        .get_template("report.xhtml.j2")
        .render(
            doc=document.to_json(),
            facts=facts,
            units=xbrl.units(document, facts),
            entity=xbrl.entity(document.organisation),
            context=xbrl.CONTEXT,
            taxonomy=document.profile.taxonomy,
            images={key: data_uri(svg) for key, svg in drawn.items()},
            fonts=page_fonts(),
            css=Markup((folder / "templates" / "report.css").read_text(encoding="utf-8")),  # noqa: S704
            size=LONG,
            traced=document.headline if trace else [],
            files=[*([trace] if trace else []), *FILES],
            percent=lambda height: f"{Decimal(height) * 100:.2f}",
        )
    )
    return text


def chart_key(chart: Mapping[str, Any]) -> str:
    """The name of a chart among those of its document."""
    return f"{chart['spec']}/{chart['title']}"


def data_uri(svg: str) -> str:
    """An SVG as the source of an image, with its fonts."""
    return "data:image/svg+xml;base64," + base64.b64encode(with_fonts(svg).encode()).decode()


@cache
def page_fonts() -> Markup:
    """CSS rules that carry the page's fonts."""
    web = reports_folder() / "fonts" / "web"
    faces = [font_face(weight, (web / f"Inter-{name}.woff2").read_bytes()) for weight, name in WEIGHTS.items()]
    return Markup("".join(faces))  # noqa: S704


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(reports_folder() / "templates"), autoescape=True, undefined=StrictUndefined
    )

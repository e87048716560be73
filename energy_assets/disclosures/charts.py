"""Charts: a Vega-Lite spec of reports/charts filled with a chart's rows, drawn as SVG without a browser.

What belongs here: filling and drawing. What does not: colours, marks and layout (the specs), values (figures).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from energy_assets.disclosures.places import reports_folder

FONT_FACES = (("400", "Inter-Regular-chart.woff2"), ("600", "Inter-SemiBold-chart.woff2"))


def draw(chart: Mapping[str, Any]) -> str:
    """The SVG of a chart block of the document; the same rows give the same bytes.

    Args:
        chart: `spec` (file name without `.json`), `rows`, and `names` that fill the spec's placeholders `${…}`.
    """
    converter = _converter(reports_folder() / "fonts")
    spec = _filled(json.loads(_read("charts", f"{chart['spec']}.json")), chart["names"])
    config = json.loads(_read("charts", "config.json"))
    spec["data"] = {"values": [dict(row) for row in chart["rows"]]}
    svg: str = converter.vegalite_to_svg(spec, config=config, allowed_base_urls=[])
    return _renumbered(svg)


def _renumbered(svg: str) -> str:
    """Ids in the order in which they appear: the converter counts them up from one drawing to the next."""
    order = {id_: f"clip-{n}" for n, id_ in enumerate(dict.fromkeys(re.findall(r"\bclip\d+\b", svg)))}
    return re.sub(r"\bclip\d+\b", lambda found: order[found.group()], svg)


def with_fonts(svg: str) -> str:
    """The SVG with its own subset of Inter, for use as an image: an image may not load fonts of its page."""
    start = svg.index(">") + 1
    return f"{svg[:start]}<defs><style>{_font_css()}</style></defs>{svg[start:]}"


@cache
def _converter(fonts: Path) -> Any:
    import vl_convert

    vl_convert.register_font_directory(str(fonts))
    return vl_convert


@cache
def _font_css() -> str:
    return "".join(font_face(weight, _bytes("fonts", "web", name)) for weight, name in FONT_FACES)


def font_face(weight: str, woff2: bytes) -> str:
    """A CSS rule that carries the font itself.

    Args:
        weight: CSS font weight, for example `400`.
        woff2: The font file.
    """
    data = base64.b64encode(woff2).decode()
    return (
        f"@font-face{{font-family:Inter;font-weight:{weight};font-style:normal;"
        f"src:url(data:font/woff2;base64,{data}) format('woff2')}}"
    )


def _filled(node: Any, names: Mapping[str, Any]) -> Any:
    """The spec with each string `${name}` replaced by the value of that name."""
    if isinstance(node, dict):
        return {key: _filled(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, names) for value in node]
    if isinstance(node, str) and node.startswith("${") and node.endswith("}"):
        return names[node[2:-1]]
    return node


def _read(*parts: str) -> str:
    return reports_folder().joinpath(*parts).read_text(encoding="utf-8")


def _bytes(*parts: str) -> bytes:
    return reports_folder().joinpath(*parts).read_bytes()

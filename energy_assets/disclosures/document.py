"""The document model: sections of blocks that hold figure ids, rendered the same in every face.

What belongs here: the blocks and their JSON. What does not: a number (figures hold them) or a look (templates).
A run is text, or a figure's part; text is always data, no face reads markup in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from energy_assets.disclosures.figures import Figure, FigureBook
from energy_assets.disclosures.profile import Profile

#: A run: plain text, or one of the dicts made by the functions below.
Run = str | dict[str, Any]
Runs = Sequence[Run]
Block = dict[str, Any]


def number(figure: Figure, *, unit: bool = True, ref: bool = True, part: str = "text") -> Run:
    """A figure in running text; `part` is text, uncertainty, interval or coverage.

    Args:
        figure: What is printed.
        unit: Print its unit too.
        ref: Print its id, a link to the list of figures.
        part: Which part of it is printed.
    """
    return {"figure": figure.id, "unit": unit, "ref": ref, "part": part}


def strong(text: str) -> Run:
    """Text that stands out."""
    return {"strong": text}


def code(text: str) -> Run:
    """A command, file name or identifier."""
    return {"code": text}


def link(text: str, href: str) -> Run:
    """A link; relative ones lead to files beside the report and are plain text in the PDF.

    Args:
        text: What is read.
        href: Where it leads.
    """
    return {"link": text, "href": href}


def paragraph(*runs: Run, lead: bool = False) -> Block:
    """A paragraph.

    Args:
        runs: Pieces of text and figures, in order.
        lead: Set larger, as an opening.
    """
    return {"type": "paragraph", "lead": lead, "runs": list(runs)}


def heading(text: str) -> Block:
    """A heading below the section's own."""
    return {"type": "heading", "text": text}


def bullets(items: Iterable[Runs], *, numbered: bool = False) -> Block:
    """A list.

    Args:
        items: Runs of each item.
        numbered: Number the items.
    """
    return {"type": "list", "numbered": numbered, "items": [list(item) for item in items]}


def callout(kind: str, title: str, *runs: Run) -> Block:
    """A note that must not be missed; `kind` is note, warning or synthetic.

    Args:
        kind: Decides how it looks.
        title: Its heading.
        runs: Pieces of text and figures, in order.
    """
    return {"type": "callout", "kind": kind, "title": title, "runs": list(runs)}


@dataclass(frozen=True)
class Card:
    """A headline figure: label, figure and a line below it."""

    label: str
    figure: Figure
    sub: Runs = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"label": self.label, "figure": self.figure.id, "sub": list(self.sub)}


def cards(items: Iterable[Card]) -> Block:
    """Headline figures side by side."""
    return {"type": "cards", "items": [card.to_json() for card in items]}


@dataclass(frozen=True)
class Column:
    """A table column: `align` left or right; `width` is a weight, 0 as narrow as the content."""

    label: str
    align: str = "left"
    width: float = 0


def table(
    id_: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Runs]],
    *,
    total: bool = False,
    note: Runs = (),
    dense: bool = False,
    compact: bool = False,
) -> Block:
    """A table; with `total` the last row is one.

    `dense` tables are small and anchor the figures they print; `compact` ones are only small.

    Args:
        id_: Unique in the report.
        caption: What it shows.
        columns: Headings, in order.
        rows: Of each row its cells, in the order of the columns.
        total: The last row is a total.
        note: Printed below.
        dense: Small, with anchors.
        compact: Small, without anchors.
    """
    return {
        "type": "table",
        "id": id_,
        "caption": caption,
        "columns": [{"label": c.label, "align": c.align, "width": c.width} for c in columns],
        "rows": [[list(cell) for cell in row] for row in rows],
        "total": total,
        "note": list(note),
        "dense": dense,
        "compact": compact,
    }


@dataclass(frozen=True)
class Chart:
    """A chart: a Vega-Lite spec of reports/charts, its data rows (value and figure id), alternative text."""

    spec: str
    title: str
    caption: Runs
    alt: str
    rows: Sequence[Mapping[str, Any]]
    names: Mapping[str, Any] = field(default_factory=dict)
    half: bool = False

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise ValueError(f"the chart '{self.title}' has no alternative text; say what it shows")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "spec": self.spec,
            "title": self.title,
            "caption": list(self.caption),
            "alt": self.alt,
            "rows": [dict(row) for row in self.rows],
            "names": dict(self.names),
            "half": self.half,
        }


def charts(*items: Chart) -> Block:
    """Charts in one row."""
    return {"type": "charts", "items": [item.to_json() for item in items]}


def evidence(figures: Iterable[Figure]) -> Block:
    """The table of figures, each with its anchor."""
    return {"type": "evidence", "figures": [figure.id for figure in figures]}


@dataclass(frozen=True)
class Section:
    """A section: an id for links, a title, blocks."""

    id: str
    title: str
    blocks: Sequence[Block]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"id": self.id, "title": self.title, "blocks": list(self.blocks)}


@dataclass(frozen=True)
class Document:
    """A report before it has a face.

    Attributes:
        profile: What it consists of.
        title: Title on the cover.
        subtitle: The line below it.
        period: How the period is written (2026-09), its first and last day, ISO, its words, and the last day with
            data.
        organisation: Name, currency, consolidation, lei, synthetic.
        cover: Lines on the cover, runs.
        banner: What every page must say, or empty.
        sections: The content.
        book: The figures.
        headline: Ids of the headline figures, for a summary on a terminal.
        meta: Code version, factor basis, lock hash, pins: what the report was made with.
        art: Heights for the cover's ornament, 0 to 1, from figures of a chart; empty for none.
    """

    profile: Profile
    title: str
    subtitle: str
    period: Mapping[str, str]
    organisation: Mapping[str, Any]
    cover: Sequence[Runs]
    banner: str
    sections: Sequence[Section]
    book: FigureBook
    headline: Sequence[str]
    meta: Mapping[str, Any]
    art: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """The whole document as plain JSON."""
        return {
            "schema": "energy-assets/document/1",
            "profile": self.profile.name,
            "language": "en",
            "title": self.title,
            "subtitle": self.subtitle,
            "period": dict(self.period),
            "organisation": dict(self.organisation),
            "cover": [list(line) for line in self.cover],
            "banner": self.banner,
            "sections": [section.to_json() for section in self.sections],
            "headline": list(self.headline),
            "art": list(self.art),
            "meta": dict(self.meta),
            "figures": {figure.id: figure.to_json() for figure in self.book},
        }

    @property
    def figures_sha256(self) -> str:
        """One hash over the fingerprints of all figures: equal exactly when every figure is."""
        return hashlib.sha256("\n".join(figure.fingerprint for figure in self.book).encode()).hexdigest()

    def text(self) -> str:
        """`document.json`."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def runs_of(block: Block) -> Iterator[Run]:
    """Every run of a block, whatever its type."""
    yield from block.get("runs", ())
    yield from block.get("note", ())
    for item in block.get("items", ()):
        yield from item if isinstance(item, list) else (*item.get("sub", ()), *item.get("caption", ()))
    for row in block.get("rows", ()):
        for cell in row:
            yield from cell

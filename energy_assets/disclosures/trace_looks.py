"""The looks of a trace: ten lines, a tree for a terminal, JSON, its raw objects as CSV, a page beside the report.

What belongs here: printing what was walked. What does not: the walk (`trace.py`), and where things lie.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.text import Text
from rich.tree import Tree

from energy_assets.disclosures.document import Document
from energy_assets.disclosures.figures import Figure, FigureBook, as_printed
from energy_assets.disclosures.places import reports_folder
from energy_assets.disclosures.rounding import Scale, grouped
from energy_assets.disclosures.text import spreadsheet_safe, visible
from energy_assets.disclosures.trace import DAMAGED, DIFFERS, EQUAL, Node, exact_words, shown_words
from energy_assets.disclosures.xhtml import page_fonts

#: Names told in one line; the number of the others is said.
NAMED = 4
OBJECT = "Raw object "
OBJECT_COLUMNS = ("sha256", "source", "used_by", "lies_at", "bytes", "media_type", "receipts", "fetched_at",
                  "stored_bytes")  # fmt: skip


def summary(node: Node, figure: Figure, book: FigureBook) -> list[tuple[str, str]]:
    """A trace in ten lines: label and text of each.

    Args:
        node: Root of the trace of `figure`, walked with everything listed.
        figure: What was traced.
        book: The figures of its report.
    """
    below = list(node.walk())
    again = [step.verdict for step in below if step.verdict]
    rows = {
        step.title: dict(step.facts)["rows"] for step in below if step.kind == "rows" and "rows" in dict(step.facts)
    }
    objects = {step.title: step for step in below if step.kind == "object"}
    factors = dict.fromkeys(step.title.removeprefix("Factor ") for step in below if step.kind == "factor")
    sources = dict.fromkeys(dict(step.facts)["source"] for step in objects.values())
    lines = [
        (
            "figure",
            f"{figure.id} {figure.label}, {' to '.join(dict.fromkeys(figure.period))}{_with_data(figure.period, book)}",
        ),
        ("printed", _printed(figure, book)),
        ("exact", exact_words(figure)),
        ("method", dict(node.facts)["method"]),
        ("rows", "; ".join(f"{count} ({title[0].lower()}{title[1:]})" for title, count in rows.items()) or "none"),
        ("sources", _named(list(sources))),
        ("factors", _named(list(factors))),
        ("objects", f"{len(objects):,} raw objects" if objects else "none"),
        ("recomputed", _verdict(again, below)),
    ]
    return [(label, visible(text)) for label, text in lines]


def _with_data(period: tuple[str, str], book: FigureBook) -> str:
    """Which days of a report's period have data, where not all have; empty of other periods."""
    some, every = (
        next((one for one in book if one.metric == name), None) for name in ("days_with_data", "days_in_period")
    )
    if some is None or every is None or some.period != period or some.number == every.number:
        return ""
    when = some.label.removeprefix("Days with data")
    return f"; {some.display.text} of {every.display.text} days have data{when}"


def _printed(figure: Figure, book: FigureBook) -> str:
    display = figure.display
    text = f"{display.text}{display.mark} {display.unit}".strip()
    if display != (again := as_printed(figure)):
        return f"{shown_words(display)} DIFFERS: the exact value prints as {shown_words(again)}"
    if not display.moved or figure.number is None:
        return text
    alone = grouped(Scale(display.unit, display.power, display.decimals).rounded(figure.number))
    total = next((other for other in book if display.rule.endswith(other.id)), None)
    whole = f"{total.id} {total.display.text}" if total else "their total"
    return f"{text} (alone it rounds to {alone}; the last digit is moved so that the rows add up to {whole})"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}" if names else "none"


def _verdict(again: Sequence[str], below: Sequence[Node]) -> str:
    damaged = [step.title for step in below if step.verdict == DAMAGED and step.kind in {"object", "note"}]
    if damaged:
        return f"DAMAGED, so nothing above it is equal: {'; '.join(dict.fromkeys(damaged))}"
    if not again:
        return "nothing to compute: the number is stated"
    if DIFFERS not in again:
        return f"{EQUAL} (each of {len(again)} sums and quotients on the way was made again)"
    wrong = [step.title for step in below if step.verdict == DIFFERS]
    return f"DIFFERS: {'; '.join(dict.fromkeys(wrong))}"


def to_json(node: Node) -> dict[str, Any]:
    """The trace as plain JSON, every step with its facts, verdict and the steps below it."""
    return {
        "kind": node.kind,
        "title": node.title,
        "facts": [list(fact) for fact in node.facts],
        "verdict": node.verdict,
        "children": [to_json(child) for child in node.children],
    }


def objects_csv(node: Node) -> str:
    """The raw objects below a trace, one in a row, in the order of the steps.

    `used_by` names the rows and factors that an object gave, `lies_at` its file below the storage root, `fetched_at`
    its first receipt; `stored_bytes` is `ok`, or says what is wrong with them.

    Args:
        node: Root of a trace, walked with everything listed.
    """
    users: dict[str, list[str]] = {}
    found: dict[str, Node] = {}
    for above, step in _objects(node):
        found.setdefault(step.title, step)
        users.setdefault(step.title, []).append(above.title)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(OBJECT_COLUMNS)
    for title, step in found.items():
        writer.writerow(map(spreadsheet_safe, _object_cells(step, list(dict.fromkeys(users[title])))))
    return out.getvalue()


def _objects(node: Node) -> Iterator[tuple[Node, Node]]:
    """Each raw object with the step above it."""
    for child in node.children:
        if child.kind == "object":
            yield node, child
        yield from _objects(child)


def _object_cells(step: Node, users: Sequence[str]) -> tuple[str, ...]:
    """In the order of `OBJECT_COLUMNS`."""
    facts = dict(step.facts)
    receipts = [dict(child.facts) for child in step.children if child.kind == "receipt"]
    first = min(receipts, key=lambda receipt: receipt.get("fetched_at", ""), default={})
    return (
        step.title.removeprefix(OBJECT), facts["source"], "; ".join(users), facts["lies at"], first.get("bytes", ""),
        first.get("media_type", ""), str(len(receipts)), first.get("fetched_at", ""), facts.get("stored bytes", "ok"),
    )  # fmt: skip


def to_tree(node: Node) -> Tree:
    """The trace for a terminal; texts of tags are shown as they are, never read as markup."""
    tree = Tree(_line(node))
    _grow(tree, node)
    return tree


def write_page(nodes: Sequence[Node], document: Document, folder: Path) -> Path:
    """Write `trace.xhtml` beside the report: the trees of `nodes`.

    Args:
        nodes: Root of each tree.
        document: Of the report.
        folder: Of the report.
    """
    environment = Environment(
        loader=FileSystemLoader(reports_folder() / "templates"), autoescape=True, undefined=StrictUndefined
    )
    text = environment.get_template("trace.xhtml.j2").render(
        nodes=nodes,
        title=document.title,
        period=document.period["words"],
        days=_with_data((document.period["from"], document.period["to"]), document.book),
        organisation=document.organisation["shown"],
        banner=document.banner,
        fonts=page_fonts(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trace.xhtml"
    path.write_text(text, encoding="utf-8")
    return path


def _grow(tree: Tree, node: Node) -> None:
    for child in node.children:
        _grow(tree.add(_line(child)), child)


def _line(node: Node) -> Text:
    style = {"figure": "bold", "object": "cyan", "receipt": "dim", "row": "dim"}.get(node.kind, "")
    line = Text(visible(node.title), style=style)
    if node.verdict:
        said = node.verdict if node.verdict == DAMAGED else f"recomputed: {node.verdict}"
        line.append(f"  {said}", style="bold green" if node.verdict == EQUAL else "bold red")
    short = node.kind in {"object", "receipt", "row", "factor", "group"}
    for n, (label, value) in enumerate(node.facts):
        line.append((" · " if n else "\n  ") if short else "\n  ")
        line.append(f"{label} ", style="dim")
        line.append(visible(value))
    return line

"""The machine-readable faces: facts.csv for spreadsheets, figures.json for programs."""

from __future__ import annotations

import csv
import io
import json

from energy_assets.disclosures.document import Document
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.text import spreadsheet_safe

COLUMNS = (
    "id",
    "metric",
    "label",
    "from",
    "to",
    "dimension",
    "member",
    "value",
    "unit",
    "printed",
    "printed_unit",
    "rounding",
    "low",
    "high",
    "uncertainty_pct",
    "coverage",
    "method",
    "operation",
    "parents",
    "tiers",
    "factor_ids",
    "maps_to",
    "reason",
    "query",
    "fingerprint",
)
#: Columns that hold numbers we made; a leading minus is theirs. Everything else may come from a tag.
NUMBERS = frozenset({"value", "low", "high", "uncertainty_pct", "coverage"})


def facts_csv(document: Document) -> str:
    """All figures, one in a row (RFC 4180); no cell is read as a formula by a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for figure in document.book:
        cells = _cells(figure)
        writer.writerow(cells[name] if name in NUMBERS else spreadsheet_safe(cells[name]) for name in COLUMNS)
    return out.getvalue()


def figures_json(document: Document) -> str:
    """All figures with their evidence, and what the report was made with; texts of tags are kept raw."""
    content = {
        "schema": "energy-assets/figures/1",
        "profile": document.profile.name,
        "period": {name: document.period[name] for name in ("key", "from", "to")},
        "organisation": dict(document.organisation),
        "synthetic": bool(document.organisation["synthetic"]),
        "headline": list(document.headline),
        "made_with": dict(document.meta),
        "figures": [figure.to_json() | {"fingerprint": figure.fingerprint} for figure in document.book],
    }
    return json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def _cells(figure: Figure) -> dict[str, str]:
    low, high = figure.interval or ("", "")
    base = next((item.base or item.selection for item in figure.inputs), None)
    query = figure.evidence.sql() if figure.evidence else base.sql() if base else ""
    return {
        "id": figure.id,
        "metric": figure.metric,
        "label": figure.label,
        "from": figure.period[0],
        "to": figure.period[1],
        "dimension": " ".join(figure.dimensions),
        "member": " ".join(figure.dimensions.values()),
        "value": figure.value or "",
        "unit": figure.unit,
        "printed": figure.display.text,
        "printed_unit": figure.display.unit,
        "rounding": figure.display.rule,
        "low": low,
        "high": high,
        "uncertainty_pct": figure.uncertainty_pct or "",
        "coverage": figure.coverage or "",
        "method": figure.method,
        "operation": figure.operation,
        "parents": " ".join(figure.parents),
        "tiers": " ".join(f"{tier}:{share}" for tier, share in figure.tiers.items()),
        "factor_ids": " ".join(figure.factor_ids),
        "maps_to": "; ".join(figure.maps_to),
        "reason": figure.reason or "",
        "query": query,
        "fingerprint": figure.fingerprint,
    }

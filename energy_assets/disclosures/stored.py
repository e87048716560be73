"""Reading back a report that lies in a folder: its figures as they were printed, and what build made it.

What belongs here: the inverse of `figures.Figure.to_json`. What does not: judging a report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from energy_assets.disclosures.figures import Display, Figure, FigureBook, Input
from energy_assets.disclosures.shelf import BUILD, heal
from energy_assets.disclosures.written import BuildError, changed, read_build
from energy_assets.kpis.evidence import MatchedRatio
from energy_assets.kpis.ingredients import Filter, Selection
from energy_assets.kpis.own_evidence import OwnSums
from energy_assets.periods import Period


class StoredReportError(Exception):
    """The folder holds no report that can be read; the message says what is missing.

    Attributes:
        damaged: Whether there is a report, whose files are not what was written.
    """

    def __init__(self, message: str, *, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged


@dataclass(frozen=True)
class StoredReport:
    """A report on disk.

    Attributes:
        folder: Where it lies.
        period: What it is about.
        book: Its figures.
        versions: Version of each lake table it was made from.
        site: The site file it was made of, as the build says it from the report's folder; None of older reports.
        changed: What is wrong with its files, by name; empty where all are what was written.
    """

    folder: Path
    period: Period
    book: FigureBook
    versions: Mapping[str, int | None]
    site: Path | None = None
    changed: Mapping[str, str] = field(default_factory=dict)


def read_report(path: Path) -> StoredReport:
    """Read the report in a folder, or the one a file of it (report.pdf, say) belongs to.

    Raises:
        StoredReportError: there is none.
    """
    folder = path.parent if path.is_file() else path
    heal(folder)
    try:
        figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))["figures"]
        document = json.loads((folder / "document.json").read_text(encoding="utf-8"))
        build = read_build(folder)
        book = FigureBook([figure_of(content) for content in figures])
        period = Period.parse(document["period"].get("key", document["period"]["from"][:7]))
    except FileNotFoundError as error:
        raise StoredReportError(
            f"{folder} holds no report: {Path(error.filename).name} is not there. Reports lie under "
            "<storage root>/reports/<profile>/<period>."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoredReportError(_damaged(folder, error), damaged=True) from error
    site = folder / build["site"] if build.get("site") else None
    return StoredReport(folder, period, book, build["delta_versions"], site, changed(folder, build))


def _damaged(folder: Path, error: Exception) -> str:
    said = f"{BUILD}: {error}" if isinstance(error, BuildError) else repr(error)
    return f"{folder}: the report's files are damaged ({said}); make it again."


def figure_of(content: Mapping[str, Any]) -> Figure:
    """A figure from its JSON."""
    shown = content["display"]
    return Figure(
        id=content["id"],
        metric=content["metric"],
        label=content["label"],
        period=(content["period"]["from"], content["period"]["to"]),
        value=content["value"],
        unit=content["unit"],
        display=Display(
            text=shown["text"],
            unit=shown["unit"],
            rule=shown["rounding"],
            decimals=shown["decimals"],
            power=shown["power"],
            uncertainty=shown["uncertainty"],
            interval=shown["interval"],
            coverage=shown["coverage"],
        ),
        method=content["method"],
        operation=content["operation"],
        dimensions=content["dimensions"],
        inputs=tuple(_input(item) for item in content["inputs"]),
        parents=tuple(content["parents"]),
        factor_ids=tuple(content["factor_ids"]),
        tiers=content["tiers"],
        uncertainty_pct=content["uncertainty_pct"],
        interval=tuple(content["interval"]) if content["interval"] else None,
        coverage=content["coverage"],
        pins=content["pins"],
        reason=content["reason"],
        maps_to=tuple(content["maps_to"]),
        evidence=_evidence(content["evidence"]) if "evidence" in content else None,
    )


def _evidence(content: Mapping[str, Any]) -> MatchedRatio | OwnSums:
    return OwnSums.from_json(content) if "own" in content else MatchedRatio.from_json(content)


def _input(content: Mapping[str, Any]) -> Input:
    base = _selection(content["base"]) if content.get("base") else None
    return Input(content["role"], content["value"], _selection(content["selection"]), base, content.get("factor", "1"))


def _selection(content: Mapping[str, Any]) -> Selection:
    filters = tuple(
        Filter(f["column"], f["op"], tuple(f["value"]) if isinstance(f["value"], list) else f["value"])
        for f in content["filters"]
    )
    aggregate = "sum" if content["aggregate"] == "count" else content["aggregate"]
    return Selection(content["table"], content["column"], filters, aggregate)

"""Tracing a figure of a stored report, read from the site's own lake and landing zone.

What belongs here: opening what `trace` walks over, at the versions the report was made from. What does not: the
walk and its looks (`trace.py`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.disclosures.document import Document
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.inputs import TABLES
from energy_assets.disclosures.stored import StoredReport, StoredReportError, read_report
from energy_assets.disclosures.trace import Node, rows_reader, trace
from energy_assets.disclosures.trace_looks import write_page
from energy_assets.integrity import DamagedError
from energy_assets.lake import Lake
from energy_assets.landing import Landing
from energy_assets.site import Site
from energy_assets.tables import OPPORTUNITIES, SHARED

EVERYTHING = sys.maxsize


class TraceError(Exception):
    """The figure cannot be traced; the message says why.

    Attributes:
        damaged: Whether what is stored is to blame, and not what was asked for.
    """

    def __init__(self, message: str, *, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged


@dataclass(frozen=True)
class Followed:
    """A figure of a stored report, traced.

    Attributes:
        figure: What was traced.
        node: Root of its trace.
        report: The report it is of.
    """

    figure: Figure
    node: Node
    report: StoredReport


def opened(report: Path) -> StoredReport:
    """A report on disk.

    Args:
        report: Its folder or a file in it.

    Raises:
        TraceError: there is none.
    """
    try:
        return read_report(report)
    except StoredReportError as error:
        raise TraceError(str(error), damaged=error.damaged) from error


def figure_id(text: str) -> str:
    """An id as reports spell it: `f-3` and `3` are F-003; what is none stays as it is.

    Args:
        text: As a person types it.
    """
    found = re.fullmatch(r"\s*(?:[Ff]-?)?0*(\d+)\s*", text)
    return f"F-{int(found.group(1)):03d}" if found else text.upper()


def follow(site: Site, report: Path, wanted: str, *, full: bool = False) -> Followed:
    """Trace one figure.

    Args:
        site: Whose lake and landing zone to read.
        report: The report's folder or a file in it.
        wanted: The figure's id, for example F-003 or f-3.
        full: List every group, factor, object and receipt, and examples of rows.

    Raises:
        TraceError: no such report or figure, or the rows it was made of are damaged.
    """
    stored = opened(report)
    try:
        figure = stored.book[figure_id(wanted)]
    except KeyError as error:
        raise TraceError(f"{report}: {error.args[0]}") from error
    con, disk = ibis.duckdb.connect(), site.disk()
    con.raw_sql("SET TimeZone = 'UTC'")
    # A figure may be compared with the period before, so its months can be asked for too.
    lake, days = Lake(disk), [*stored.period.previous.days, *stored.period.days]
    months = [month.first for period in (stored.period.previous, stored.period) for month in period.months]
    try:
        tables = {
            table.name: lake.read(
                con,
                table,
                # What was done is compared with months before, whichever they are.
                None if table is OPPORTUNITIES else months if table.grain == "month" else days,
                stored.versions.get(table.name),
            )
            for table in SHARED
            if table.name in TABLES
        }
    except DamagedError as error:
        said = f"{figure.id} cannot be traced, for what it was made of is damaged: {error}"
        raise TraceError(said, damaged=True) from error
    landing = disk.landing()
    node = trace(
        figure,
        stored.book,
        rows_reader(tables),
        landing.receipts,
        examples=3 if full else 0,
        listed=EVERYTHING,
        fault=cache(landing.fault),
    )
    return Followed(figure, node, stored)


def write_trace_page(
    document: Document,
    tables: Mapping[str, ir.Table],
    landing: Landing,
    folder: Path,
    before: datetime | None = None,
) -> list[Node]:
    """Write `trace.xhtml` beside a report: its headline figures followed down to raw objects.

    Args:
        document: Of the report.
        tables: By name, the tables that figures are queried from.
        landing: Holds the raw objects.
        folder: Of the report.
        before: The first moment whose receipts are no longer shown; None shows all.

    Returns:
        The roots of the traces on the page.
    """
    read, fault = rows_reader(tables), cache(landing.fault)

    def receipts(sha256: str) -> list[dict[str, Any]]:
        found = landing.receipts(sha256)
        return [one for one in found if before is None or datetime.fromisoformat(str(one["fetched_at"])) < before]

    nodes = [trace(document.book[name], document.book, read, receipts, fault=fault) for name in document.headline]
    write_page(nodes, document, folder)
    return nodes

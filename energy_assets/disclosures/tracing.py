"""Tracing a figure of a stored report, read from the site's own lake and landing zone.

What belongs here: opening what `trace` walks over, at the versions the report was made from. What does not: the
walk and its looks (`trace.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import ibis
import ibis.expr.types as ir
from rich.tree import Tree

from energy_assets.disclosures.document import Document
from energy_assets.disclosures.inputs import TABLES
from energy_assets.disclosures.stored import StoredReportError, read_report
from energy_assets.disclosures.trace import rows_reader, to_tree, trace, write_page
from energy_assets.integrity import DamagedError
from energy_assets.lake import Lake
from energy_assets.landing import Landing
from energy_assets.site import Site
from energy_assets.tables import KPIS_MONTHLY, SHARED


class TraceError(Exception):
    """The figure cannot be traced; the message says why."""


def trace_stored(site: Site, report: Path, figure_id: str) -> Tree:
    """The tree of one figure, for a terminal.

    Args:
        site: Whose lake and landing zone to read.
        report: The report's folder or a file in it.
        figure_id: For example F-003.

    Raises:
        TraceError: no such report or figure, or the rows it was made of are damaged.
    """
    try:
        stored = read_report(report)
        figure = stored.book[figure_id.upper()]
    except StoredReportError as error:
        raise TraceError(str(error)) from error
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
                months if table is KPIS_MONTHLY else days,
                stored.versions.get(table.name),
            )
            for table in SHARED
            if table.name in TABLES
        }
    except DamagedError as error:
        raise TraceError(f"{figure.id} cannot be traced, for what it was made of is damaged: {error}") from error
    landing = disk.landing()
    return to_tree(trace(figure, stored.book, rows_reader(tables), landing.receipts, fault=cache(landing.fault)))


def write_trace_page(document: Document, tables: Mapping[str, ir.Table], landing: Landing, folder: Path) -> Path:
    """Write `trace.xhtml` beside a report: its headline figures followed down to raw objects.

    Args:
        document: Of the report.
        tables: By name, the tables that figures are queried from.
        landing: Holds the raw objects.
        folder: Of the report.
    """
    read, fault = rows_reader(tables), cache(landing.fault)
    nodes = [
        trace(document.book[name], document.book, read, landing.receipts, fault=fault) for name in document.headline
    ]
    return write_page(nodes, document, folder)

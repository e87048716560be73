"""SQL on the lake: every table under its own name, in one DuckDB in memory."""

from __future__ import annotations

from typing import Any

import duckdb
import ibis

from energy_assets.lake import Lake
from energy_assets.site import Site
from energy_assets.tables import SHARED, raw_table


class QueryError(Exception):
    """The query cannot be answered; the message says which tables there are."""


def ask(site: Site, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a query on the lake's tables.

    Args:
        site: Whose lake is asked.
        query: One statement of SQL in the dialect of DuckDB.

    Raises:
        QueryError: the query is wrong, or there is no table yet.
    """
    con, lake = ibis.duckdb.connect(), Lake(site.disk())
    con.raw_sql("SET TimeZone = 'UTC'")
    there = set(lake.tables())
    tables = [table for table in (*SHARED, *map(raw_table, site.sources)) if table.name in there]
    for table in tables:
        con.create_view(table.name, lake.read(con, table))
    try:
        answer = con.raw_sql(query)
        return [column[0] for column in answer.description or []], answer.fetchall()
    except duckdb.Error as error:
        names = ", ".join(table.name for table in tables) or "none yet; run some days first"
        raise QueryError(f"{error}\nTables: {names}") from error

"""SQL on the lake: every table under its own name, in one DuckDB in memory, for reading and nothing else.

What belongs here: which statement may run, and where. What does not: how tables are read (`lake`) and printed (`cli`).

A query is one SELECT (or SHOW TABLES, DESCRIBE, SUMMARIZE), as DuckDB's own parser tells it. It may open the data files
of the lake's tables and no other file, folder or address, may call no table function that runs or writes something,
and cannot change these settings. Tables in a bucket are opened by Arrow before that, so that DuckDB opens nothing.
"""

from __future__ import annotations

import difflib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis

from energy_assets.clock import last_complete_day
from energy_assets.commands import command
from energy_assets.integrity import DamagedError
from energy_assets.lake import Lake
from energy_assets.restatement_table import NAME as RESTATEMENTS
from energy_assets.restatement_table import all_restatements, restatement_rows
from energy_assets.site import Site
from energy_assets.tables import SHARED, raw_table

HOW = "Write one SELECT, for example: select sum(energy_kwh) from energy"
TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns", "duckdb_functions", "duckdb_tables", "duckdb_types", "duckdb_views", "generate_series",
        "pragma_table_info", "pragma_version", "range", "repeat", "repeat_row", "unnest",
    }
)  # fmt: skip
"""What may stand behind FROM with arguments. Others read files, run other SQL, or write logs."""


_ABSENT = re.compile(r"Table with name (\S+) does not exist")

LISTINGS = ('"tables"', "__show_tables_expanded")
"""What SHOW TABLES and SHOW ALL TABLES are to DuckDB's parser."""


class QueryError(Exception):
    """The query cannot be answered; the message says which tables there are."""


def ask(site: Site, query: str, before: datetime | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a query on the lake's tables.

    Args:
        site: Whose lake is asked.
        query: One SELECT in the dialect of DuckDB; SHOW TABLES, DESCRIBE and SUMMARIZE as well.
        before: The first moment that no longer counts, for an answer as it would have been then; None for now.

    Raises:
        QueryError: the query is wrong or no SELECT, or there is no table yet, or what it needs is damaged.
    """
    lake = Lake(site.disk())
    names = list[str]()
    try:
        there = set(lake.tables())
        if before is not None:
            versions = lake.versions(sorted(there), before)
            lake, there = lake.at(versions), set(versions)
        names = [table.name for table in (*SHARED, *map(raw_table, site.sources)) if table.name in there]
        if _require_select(query):
            return ["name"], [(name,) for name in sorted([*names, RESTATEMENTS])]
        with tempfile.TemporaryDirectory() as spill:
            return _answer(site, lake, query, names, spill, before)
    except DamagedError as error:
        raise QueryError(str(error)) from error
    except (QueryError, duckdb.Error) as error:
        raise QueryError(f"{_said(error, names)}\n{_tables(site, names, before)}") from error


def _said(error: Exception, names: Sequence[str]) -> str:
    """An error in the engine's words; but of a table that is not there, only ours are near ones."""
    absent = _ABSENT.search(str(error))
    if not absent:
        return str(error)
    near = difflib.get_close_matches(absent[1], names, 1)
    return f"There is no table {absent[1]}." + (f" Did you mean {near[0]}?" if near else "")


def _tables(site: Site, names: Sequence[str], before: datetime | None) -> str:
    if names:
        return f"Tables: {', '.join([*names, RESTATEMENTS])}"
    if before is not None:
        return f"Tables: nothing had been published before {before:%Y-%m-%d %H:%M:%S} UTC; ask for a later day."
    day = max(site.start, last_complete_day())
    return f"Tables: none yet; run some days first:\n  {command('run', site=site.file, options={'from': day})}"


def _answer(
    site: Site, lake: Lake, query: str, names: list[str], spill: str, before: datetime | None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    con = ibis.duckdb.connect()
    con.raw_sql(f"SET TimeZone = 'UTC'; SET memory_limit = '{site.engine.memory_limit}'")
    for table in (*SHARED, *map(raw_table, site.sources)):
        if table.name in names:
            con.create_view(table.name, lake.read(con, table))
    if RESTATEMENTS in query.lower():
        # Made of the editions of reports, which take longer to read than most tables to open.
        found = all_restatements(site.disk().store(), before=before)
        con.create_table(RESTATEMENTS, restatement_rows(found), temp=True)
    files = [f"{lake.path(name)}/{file.name}" for name in names for file in lake.files(name)] if lake.is_local else []
    _confine(con.con, files, spill)
    answer = con.con.execute(query)
    return [column[0] for column in answer.description or []], answer.fetchall()


def _confine(con: duckdb.DuckDBPyConnection, files: list[str], spill: str) -> None:
    """Let a connection read these files, spill into this folder, and nothing else for ever."""
    con.execute("SET allowed_paths = $files", {"files": files})
    con.execute("SET temp_directory = $spill", {"spill": str(Path(spill) / "spill")})
    con.execute("SET python_enable_replacements = false")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def _require_select(query: str) -> bool:
    """Refuse everything but one statement that reads; tells whether it asks for the names of the tables.

    Raises:
        QueryError: says what it is instead.
    """
    con = duckdb.connect()
    try:
        statements = con.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(f"{error}\n{HOW}") from error
    if not statements:
        raise QueryError(f"There is no statement. {HOW}")
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        raise QueryError(f"Only one SELECT can be run, which changes nothing; this is {' and '.join(kinds)}. {HOW}")
    (found,) = con.execute("SELECT json_serialize_sql($query)", {"query": query}).fetchone() or ("{}",)
    try:
        tree = json.loads(found)
    except RecursionError:
        raise QueryError(f"The query is nested too deeply. {HOW}") from None
    if tree["error"]:
        raise QueryError(f"This is no SELECT that can be looked through ({tree['error_message']}). {HOW}")
    nodes = list(_nodes(tree))
    called = {str(node["function"]["function_name"]).lower() for node in nodes if node.get("type") == "TABLE_FUNCTION"}
    if refused := sorted(called - TABLE_FUNCTIONS):
        raise QueryError(f"{refused[0]}() cannot be used here: a query reads the tables of the lake and nothing else.")
    return any(node.get("type") == "SHOW_REF" and node.get("table_name") in LISTINGS for node in nodes)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parsed query, however deep."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)

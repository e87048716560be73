"""Small tables in DuckDB for tests of one step of the arithmetic, without answers and without a server.

What belongs here: rows of Python as a table of a scratch. What does not: what the tables mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from energy_assets.sources.prometheus.answers import Scratch, quoted


def table(scratch: Scratch, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
    """Make a table of a scratch.

    Args:
        scratch: Where.
        name: Short name.
        columns: Types by name.
        rows: Values in the order of the columns.
    """
    given = [f"({', '.join(map(_literal, row))})" for row in rows]
    values = ", ".join(given or [f"({', '.join('NULL' for _ in columns)})"])
    typed = ", ".join(f"{column}::{kind} AS {column}" for column, kind in columns.items())
    limit = "" if given else " LIMIT 0"
    scratch.make(name, f"SELECT {typed} FROM (VALUES {values}) AS v({', '.join(columns)}){limit}")


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"MAP {{{', '.join(f'{_literal(key)}: {_literal(one)}' for key, one in value.items())}}}"
    if value is None:
        return "NULL"
    return quoted(value) if isinstance(value, str) else str(value)

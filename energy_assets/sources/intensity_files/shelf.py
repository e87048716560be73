"""What this process has read of files, kept for its later connections.

What belongs here: putting a table of one connection where another one finds it. What does not: reading files. A long
run takes a new connection for each month, and the file of a year is asked for in all of them. Nothing outlives the
process.
"""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from energy_assets.sources.opening import text_sql


def put(con: Any, name: str) -> None:
    """Keep a table.

    Args:
        con: The Ibis backend (DuckDB) that has it.
        name: Of the table; says which bytes were read and how.
    """
    con.raw_sql(f"COPY {name} TO {text_sql(_folder() / name)} (FORMAT parquet)")


def taken_up(con: Any, name: str) -> bool:
    """Whether the table was kept, and now is a temporary table of this connection, too.

    Args:
        con: An Ibis backend (DuckDB).
        name: Of the table.
    """
    path = _folder() / name
    if path.exists():
        con.raw_sql(f"CREATE TEMP TABLE {name} AS FROM read_parquet({text_sql(path)})")
    return path.exists()


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="energy-assets-points-")
    atexit.register(folder.cleanup)
    return Path(folder.name)

"""Staging: rows as Parquet files by day, `<partition>=<day>/*.parquet`, before they are audited and published.

What belongs here: how rows become files, and the folders a run needs only while it lives. What does not: whether they
may be published (`contracts.audit`), and publishing them (`lake`).
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import ibis.expr.types as ir

STALE_S = 86_400
"""Age from which anything in a folder of such folders is left over, whoever made it."""
ROW_GROUP = 122_880
"""DuckDB's own: what one thread writes at a time. A day with fewer rows is written by one thread, because a second
one would only wait for it, and take CPU time for that."""
LEVEL = -1
"""Of zstd. Numbers, which are most of what is written, hardly get smaller above it: hourly emissions are written and
read a fifth faster than with DuckDB's own 3, and take 1.5 % more room."""


def stage(con: Any, rows: ir.Table, partition: str, folder: str) -> None:
    """Write rows in one scan, whatever days they are of.

    Args:
        con: An Ibis connection to DuckDB.
        rows: Of any partitions.
        partition: The partition column, "day" or "month".
        folder: Where the files go; one folder per partition is made in it.
    """
    con.to_parquet(
        rows,
        folder,
        partition_by=partition,
        write_partition_columns=1,
        compression="zstd",
        compression_level=LEVEL,
        overwrite_or_ignore=1,
    )


def stage_day_by_day(con: Any, rows: ir.Table, partition: str, days: Sequence[date], folder: str) -> None:
    """Write the rows of one day after the other; what lies outside `days` comes last, for the audit to see it.

    Sorting rows into days costs as much as writing them. It is saved where the engine finds the rows of a day
    without looking at the others: where they come from files by day, or from a file sorted by time.

    Args:
        con: An Ibis DuckDB connection.
        rows: Made of tables and files of this connection.
        partition: The date column.
        days: The days expected.
        folder: Empty.
    """
    view = f"staged_{uuid4().hex[:12]}"
    con.create_view(view, rows)
    with _threads(con) as threads:
        largest = 0
        for day in days:
            con.raw_sql(f"SET threads = {1 if largest < ROW_GROUP else threads}")
            file = Path(folder) / f"{partition}={day}" / "data_0.parquet"
            file.parent.mkdir()
            quoted = str(file).replace("'", "''")
            copied = con.raw_sql(
                f"COPY (FROM {view} WHERE {partition} = DATE '{day}') TO '{quoted}' "
                f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {LEVEL})"
            )
            (count,) = copied.fetchone()
            largest = max(largest, count)
            if not count:
                file.unlink()
    expected = ", ".join(f"DATE '{day}'" for day in days) or "NULL::DATE"
    strays = f"FROM {view} WHERE ({partition} IN ({expected})) IS NOT TRUE"
    if con.raw_sql(f"SELECT 1 {strays} LIMIT 1").fetchone():
        stage(con, con.sql(f"SELECT * {strays}"), partition, folder)
    con.drop_view(view)


@contextmanager
def _threads(con: Any) -> Iterator[int]:
    """How many threads the engine has; restored afterwards."""
    (threads,) = con.raw_sql("SELECT current_setting('threads')").fetchone()
    try:
        yield threads
    finally:
        con.raw_sql(f"SET threads = {threads}")


def owned_name() -> str:
    """A name for a folder of this process, unlike any other, by which `sweep_dead` knows whether its owner lives."""
    return f"{socket.gethostname()}.{os.getpid()}.{uuid4().hex[:12]}"


def sweep_dead(parent: Path) -> None:
    """Remove what runs have left that were killed: folders whose process is gone, and what is older than a day.

    Args:
        parent: Of folders named by `owned_name`, and files of the engine; need not exist.
    """
    for left in parent.iterdir() if parent.exists() else ():
        try:
            if owner_is_dead(left.name) or time.time() - left.stat().st_mtime > STALE_S:
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
        except OSError:
            continue  # another run swept it, or it belongs to somebody else


def owner_is_dead(name: str) -> bool:
    """Whether the process that made a name is gone; false where that cannot be told: of another machine, or no name.

    Args:
        name: Begins as `owned_name` gives it.
    """
    parts = name.rsplit(".", 2)
    if len(parts) < 3 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return False
    return Path("/proc/self").exists() and not Path(f"/proc/{parts[1]}").exists()

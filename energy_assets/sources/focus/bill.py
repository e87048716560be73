"""One bill file as it lies: is it whole, what format is it, which columns does it have, how is it scanned.

What belongs here: bytes and their container (CSV, gzip, Parquet). What does not: what a column means.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import duckdb

from energy_assets.sources.errors import MalformedError

CHUNK = 1 << 14
INFLATED = 1 << 18
"""Small enough that the memory of one piece is used again for the next: pieces of megabytes take twice the CPU time."""
NULLS = ("", "NULL", "null")
"""How bills spell "nothing" in text: Azure and the FOCUS samples write NULL."""

_AGAIN = "Copy or download it again, or take it out of the source's path in site.yaml."


@dataclass(frozen=True)
class Bill:
    """A bill file.

    Attributes:
        path: Where it is read.
        name: How receipts and errors call it; never a local path of this machine.
        container: The format, told from the bytes and not from the name.
        columns: DuckDB's type of every column, by name; CSV is text throughout.
    """

    path: Path
    name: str
    container: Literal["csv", "csv.gz", "parquet"]
    columns: dict[str, str]

    @property
    def scan(self) -> str:
        """The file as a SQL relation."""
        path = literal(str(self.path))
        if self.container == "parquet":
            return f"read_parquet({path})"
        names = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in self.columns)
        nulls = ", ".join(literal(text) for text in NULLS)
        compression = "gzip" if self.container == "csv.gz" else "none"
        return (
            f"read_csv({path}, header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', "
            f"nullstr = [{nulls}], columns = {{{names}}}, compression = '{compression}')"
        )


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def open_bill(con: Any, path: Path, name: str) -> Bill:
    """Look at a file.

    Args:
        con: A DuckDB connection.
        path: The local file.
        name: How errors call it.

    Raises:
        MalformedError: empty, or neither CSV nor Parquet, or without a header.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise MalformedError(f"{name}: the file is empty", _AGAIN)
    if magic == b"PAR1":
        with malformed(name, path):
            described = con.execute("DESCRIBE SELECT * FROM read_parquet($path)", {"path": str(path)}).fetchall()
        return Bill(path, name, "parquet", {row[0]: row[1] for row in described})
    packed = magic[:2] == b"\x1f\x8b"
    header = _header(path, name, packed)
    return Bill(path, name, "csv.gz" if packed else "csv", dict.fromkeys(header, "VARCHAR"))


def require_whole(bill: Bill) -> None:
    """Read a compressed file to its end and compare its check sums: DuckDB takes half a file for a whole one.

    Raises:
        MalformedError: truncated or damaged.
    """
    if bill.container == "csv.gz":
        for _ in _inflated(bill):
            pass


@contextmanager
def unpacked(bill: Bill, folder: Path) -> Iterator[Bill]:
    """A bill that is quick to read: a compressed one is unpacked once, and proven whole on the way.

    Args:
        bill: Any bill.
        folder: For the unpacked file, which is removed afterwards.

    Raises:
        MalformedError: truncated or damaged.
    """
    if bill.container != "csv.gz":
        yield bill
        return
    plain = folder / f"{bill.path.name}.{uuid4().hex[:8]}.csv"
    try:
        with plain.open("wb") as file:
            file.writelines(_inflated(bill))
        yield replace(bill, path=plain, container="csv")
    finally:
        plain.unlink(missing_ok=True)


def _inflated(bill: Bill) -> Iterator[bytes]:
    """The bytes of a gzip file of one or more members, a piece at a time."""
    state = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        with bill.path.open("rb") as file:
            while chunk := file.read(CHUNK):
                while chunk:
                    if state.eof:
                        state = zlib.decompressobj(zlib.MAX_WBITS | 16)
                    yield state.decompress(chunk, INFLATED)
                    chunk = state.unconsumed_tail or state.unused_data
    except zlib.error as error:
        raise MalformedError(f"{bill.name}: the gzip file is damaged ({error})", _AGAIN) from error
    if not state.eof:
        raise MalformedError(f"{bill.name}: the gzip file is truncated, its end is missing", _AGAIN)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, as the landing zone names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def malformed(name: str, path: Path) -> Iterator[None]:
    """Turn what DuckDB says of unreadable bytes into a `MalformedError` that names the file.

    Running out of memory or disk, and wrong SQL, are no property of the bytes and pass through.

    Args:
        name: What messages call the file.
        path: Its local copy, which messages must not show.
    """
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException):
        raise
    except duckdb.Error as error:
        said = " ".join(str(error).replace(str(path), name).split())
        if "No space left" in said:
            raise
        raise MalformedError(f"{name}: cannot be read ({said[:300]})", _AGAIN) from error


def _header(path: Path, name: str, packed: bool) -> list[str]:
    """The column names in the first record of a CSV file."""
    try:
        with gzip.open(path) if packed else path.open("rb") as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
            header = next(csv.reader(text), [])
    except EOFError as error:
        raise MalformedError(f"{name}: the gzip file is truncated, its end is missing", _AGAIN) from error
    except (OSError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise MalformedError(f"{name}: this is neither CSV nor Parquet ({error})", _AGAIN) from error
    doubled = {column for column in header if header.count(column) > 1}
    if doubled or not all(header):
        what = f"names {', '.join(sorted(doubled))} twice" if doubled else "has a column without a name"
        raise MalformedError(f"{name}: the header {what}", _AGAIN)
    return header

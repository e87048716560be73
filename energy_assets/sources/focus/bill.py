"""One bill file as it lies: is it whole, what format is it, which columns does it have, how is it scanned.

What belongs here: bytes and their container (CSV, gzip, Parquet). What does not: what a column means.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import duckdb

from energy_assets.sources.csv_text import AGAIN, Shape, as_utf8, head_of, refusal, require_text, sniff, whole_text
from energy_assets.sources.errors import MalformedError

CHUNK = 1 << 14
INFLATED = 1 << 18
"""Small enough that the memory of one piece is used again for the next: pieces of megabytes take twice the CPU time."""
NULLS = ("", "NULL", "null")
"""How bills spell "nothing" in text: Azure and the FOCUS samples write NULL."""


@dataclass(frozen=True)
class Bill:
    """A bill file.

    Attributes:
        path: Where it is read.
        name: How receipts and errors call it; never a local path of this machine.
        container: The format, told from the bytes and not from the name.
        columns: DuckDB's type of every column, by name; CSV is text throughout.
        shape: What the first bytes of a text file show.
    """

    path: Path
    name: str
    container: Literal["csv", "csv.gz", "parquet"]
    columns: dict[str, str]
    shape: Shape = field(default_factory=Shape)

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
            f"read_csv({path}, header = true, auto_detect = false, delim = {literal(self.shape.separator)}, "
            f"quote = '\"', escape = '\"', "
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
    if magic == b"PAR1":
        with malformed(name, path):
            described = con.execute("DESCRIBE SELECT * FROM read_parquet($path)", {"path": str(path)}).fetchall()
        return Bill(path, name, "parquet", {row[0]: row[1] for row in described})
    head, packed = head_of(path, name)
    shape = sniff(head)
    if error := refusal(shape, (), name):
        raise error
    if not all(shape.header):
        raise MalformedError(f"{name}: the header has a column without a name", AGAIN)
    return Bill(path, name, "csv.gz" if packed else "csv", dict.fromkeys(shape.header, "VARCHAR"), shape)


@contextmanager
def unpacked(bill: Bill, folder: Path | None = None) -> Iterator[Bill]:
    """A bill that DuckDB can read as it lies: unpacked, in UTF-8, and proven whole on the way.

    Args:
        bill: Any bill.
        folder: For a copy of a text file that is packed or in another encoding; it is removed afterwards. None: for a
            temporary one.

    Raises:
        MalformedError: truncated or damaged, or no text in UTF-8.
    """
    if bill.container == "parquet":
        yield bill
        return
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        plain = Path(scratch) / "bill.csv"
        if not bill.shape.plain:
            _convert(bill, plain)
        elif bill.container == "csv":
            require_text(bill.path, bill.name)
            yield bill
            return
        else:
            with plain.open("wb") as file:
                file.writelines(whole_text(_inflated(bill), bill.name))
        yield replace(bill, path=plain, container="csv")


def require_whole(bill: Bill) -> None:
    """Read a text file to its end: DuckDB takes half a gzip file for a whole one, and dies of other encodings.

    Raises:
        MalformedError: truncated or damaged, or no text in UTF-8.
    """
    if bill.container == "csv.gz":
        for _ in whole_text(_inflated(bill), bill.name):
            pass
    elif bill.container == "csv":
        require_text(bill.path, bill.name)


def _convert(bill: Bill, plain: Path) -> None:
    source = bill.path
    if bill.container == "csv.gz":
        source = plain.with_name("unpacked")
        with source.open("wb") as file:
            file.writelines(_inflated(bill))
    try:
        as_utf8(source, plain, bill.shape)
    except UnicodeDecodeError as error:
        what = f"is not in {error.encoding} throughout, as its first bytes say"
        raise MalformedError(f"{bill.name}: {what} ({error.reason})", AGAIN) from error
    require_text(plain, bill.name)


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
        raise MalformedError(f"{bill.name}: the gzip file is damaged ({error})", AGAIN) from error
    if not state.eof:
        raise MalformedError(f"{bill.name}: the gzip file is truncated, its end is missing", AGAIN)


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
        raise MalformedError(f"{name}: cannot be read ({said[:300]})", AGAIN) from error

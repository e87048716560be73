"""Text files of columns as they lie: what their first bytes show, and why one cannot be read, in words for people.

What belongs here: what every reader of CSV meets alike, whatever the columns mean: byte order marks, encoding,
separator, decimal comma, order of dates, a header without end, and files that are no text at all. All is pure but
`head_of`, `require_text` and `as_utf8`, which read and write files. What does not: what a
column means, and what a source does with a file it refuses.

What can be read without doubt is read (marks, UTF-16 with a mark, another separator, proven decimal commas). Where
two readings are possible a file is refused: no number is guessed.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from energy_assets.sources.errors import MalformedError

HEADER_LIMIT = 1 << 20
"""Bytes within which a header must end: a bill of thousands of tag columns has some 100 kB."""
HEAD = 1 << 16
"""Bytes that are looked at where the header ends within them."""
SAMPLE_ROWS = 200
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MARK = "\ufeff"

AGAIN = "Copy or download it again, or take it out of the source's path in site.yaml."
SAVE_AS = "Save it as CSV in UTF-8, separated by commas, with points in numbers; or better, export it again."

GZIP = b"\x1f\x8b"
FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "Parquet", "Give it the ending .parquet and point a source that reads Parquet at it, or convert it."),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "Unpack it, or save the sheet as CSV in UTF-8."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save the sheet as CSV in UTF-8."),
    (GZIP, "packed with gzip twice", "Unpack it once."),
    (b"BZh", "packed with bzip2", "Unpack it, or pack it with gzip."),
    (b"\xfd7zXZ", "packed with xz", "Unpack it, or pack it with gzip."),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "Unpack it, or pack it with gzip."),
    (b"%PDF", "a PDF", "Export the data as CSV."),
    (b"version https://git-lfs", "a pointer of Git LFS", "Fetch the file itself with `git lfs pull`."),
)
"""First bytes of what is no text of columns, what it is, and what to do; the formats' own specifications."""


@dataclass(frozen=True)
class Shape:
    """What the first bytes of a text file show.

    Attributes:
        header: The column names, without marks and the blanks around them.
        rows: The first whole records after it, at most `SAMPLE_ROWS`.
        separator: Between columns.
        encoding: `utf-8`, or `utf-16` where a mark says so.
        marked_inside: Whether a byte order mark stands where none belongs: a second one, or before a later line.
        trouble: Why it cannot be read, as the end of a sentence that begins with its name; empty where it can be.
        remedy: What to do about `trouble`.
    """

    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    separator: str = ","
    encoding: Literal["utf-8", "utf-16"] = "utf-8"
    marked_inside: bool = False
    trouble: str = ""
    remedy: str = ""

    @property
    def plain(self) -> bool:
        """Whether any reader of UTF-8 can read it as it lies, told the separator; else see `as_utf8`."""
        return self.encoding == "utf-8" and not self.marked_inside


def sniff(head: bytes) -> Shape:
    """What a file is, from its first bytes (unpacked, where it is packed with gzip).

    Args:
        head: See `head_of`; the last line may be cut.
    """
    if not head:
        return Shape(trouble="is empty", remedy=AGAIN)
    for magic, what, remedy in FOREIGN:
        if head.startswith(magic):
            return Shape(trouble=f"is {what}, not CSV", remedy=remedy)
    utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not utf16 and b"\x00" in head:
        if max(head[:64:2].count(0), head[1:64:2].count(0)) > len(head[:64]) // 3:
            return Shape(trouble="is UTF-16 without a byte order mark", remedy=SAVE_AS)
        line = head[: head.index(0)].count(b"\n") + 1
        return Shape(trouble=f"holds a NUL byte in line {line}", remedy=AGAIN)
    encoding: Literal["utf-8", "utf-16"] = "utf-16" if utf16 else "utf-8"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError as error:
        return Shape(trouble=_not_utf8(error, 0), remedy=SAVE_AS)
    bare = text.lstrip(MARK)
    inside = len(text) - len(bare) > 1 or f"\n{MARK}" in bare
    return _columns(bare.replace(f"\n{MARK}", "\n"), encoding, inside, len(head))


def _not_utf8(error: UnicodeDecodeError, lines_before: int) -> str:
    body, at = error.object, error.start
    if error.encoding != "utf-8":
        return f"is not in the encoding its byte order mark states ({error.encoding}: {error.reason})"
    line = lines_before + body[:at].count(b"\n") + 1
    around = body[max(0, at - 12) : at + 12].decode("cp1252", "replace").splitlines()
    near = next((part for part in around if not part.isascii()), "")
    return (
        f"is not in UTF-8: line {line} holds the byte 0x{body[at]:02X} (read as Windows-1252, what spreadsheets save, "
        f"'{near.strip()}')"
    )


def _columns(text: str, encoding: Literal["utf-8", "utf-16"], inside: bool, looked_at: int) -> Shape:
    start = text.lstrip()[:200].lower()
    if start.startswith(("<!doctype", "<html", "<?xml")):
        return Shape(trouble="is a web page or XML, not CSV", remedy=AGAIN)
    if start.startswith(('{"', "{\n", "[{", "{ ")):
        return Shape(trouble="is JSON, not CSV", remedy="Export the data as CSV or Parquet.")
    first = text.split("\n", 1)[0]
    if "\r" in first.rstrip("\r"):
        return Shape(trouble="ends its lines with CR alone", remedy="Save it as CSV in UTF-8.")
    outside = re.sub(r'"[^"]*"', "", first)
    separator = max(SEPARATORS, key=outside.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    records = []
    try:
        for record in reader:
            if record:
                records.append(tuple(record))
            if len(records) > SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # what is whole before it is enough
    endless = looked_at >= HEADER_LIMIT and len(records) == 1 and not (text.endswith("\n") and text.count('"') % 2 == 0)
    if not records or endless:
        size = f"the first {HEADER_LIMIT // 1024:,} kB" if looked_at >= HEADER_LIMIT else "it"
        return Shape(trouble=f"has a header without end: no line ends within {size}", remedy=AGAIN)
    ended = len(records) > SAMPLE_ROWS or looked_at < HEAD
    rows = records[1:] if ended else records[1:-1]
    header = tuple(column.strip().strip(MARK) for column in records[0])
    return Shape(header, tuple(rows[:SAMPLE_ROWS]), separator, encoding, inside)


def refusal(shape: Shape, wanted: Iterable[str], name: str) -> MalformedError | None:
    """Why a file cannot be read as CSV with these columns; None where it can be.

    Args:
        shape: See `sniff`.
        wanted: Columns that must be there, as the header must spell them.
        name: What messages call the file.
    """
    if shape.trouble:
        return MalformedError(f"{name}: {shape.trouble}", shape.remedy)
    doubled = sorted({column for column in shape.header if shape.header.count(column) > 1 and column})
    if doubled:
        return MalformedError(f"{name}: the header names {', '.join(doubled[:5])} twice", AGAIN)
    missing = [column for column in wanted if column not in shape.header]
    if not missing:
        return None
    shown = ", ".join(shape.header[:8])
    if all(re.fullmatch(r"[-+0-9.,:TZ /]*", column) for column in shape.header):
        return MalformedError(f"{name}: has no header; its first line holds {shown}", "Put the header back.")
    lower = {column.lower(): column for column in shape.header}
    near = [f"'{lower[column.lower()]}'" for column in missing if column.lower() in lower]
    hint = f"; it spells {', '.join(near)}" if near else f"; it is separated by {SEPARATORS[shape.separator]} and has "
    return MalformedError(
        f"{name}: has no column '{missing[0]}'{hint}{'' if near else shown}"[:400],
        "Correct the header, or name the columns that are there in site.yaml.",
    )


def head_of(path: Path, name: str) -> tuple[bytes, bool]:
    """The first bytes of a file, unpacked, to the end of its header at least; and whether it is packed with gzip.

    No more than `HEADER_LIMIT` is ever read or unpacked.

    Args:
        path: A local file.
        name: What messages call it.

    Raises:
        MalformedError: a gzip file that is cut or damaged within these bytes.
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        if not packed:
            return _until_a_line_ends(raw), False
        try:
            with gzip.open(raw) as unpacked:
                return _until_a_line_ends(unpacked), True
        except EOFError as error:
            raise MalformedError(f"{name}: the gzip file is truncated, its end is missing", AGAIN) from error
        except (OSError, zlib.error) as error:
            raise MalformedError(f"{name}: the gzip file is damaged ({error})", AGAIN) from error


def _until_a_line_ends(file: io.BufferedReader | gzip.GzipFile) -> bytes:
    head = file.read(HEAD)
    if b"\n" in head or len(head) < HEAD:
        return head
    return head + file.read(HEADER_LIMIT - HEAD)


def whole_text(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Bytes as they come, proven to be UTF-8 without NUL bytes to the last one.

    DuckDB must not see other bytes: one that is no UTF-8 in the last column of a line ends not the query but the whole
    database (an internal error in 1.5.5).

    Args:
        pieces: Of the unpacked file, in order.
        name: What messages call it.

    Raises:
        MalformedError: names the line and shows what stands there.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 0
    held = b""
    for piece in pieces:
        try:
            decoder.decode(piece)
        except UnicodeDecodeError as error:
            raise MalformedError(f"{name}: {_not_utf8(error, lines)}", SAVE_AS) from error
        if b"\x00" in piece:
            line = lines + piece[: piece.index(0)].count(b"\n") + 1
            raise MalformedError(f"{name}: holds a NUL byte in line {line}", AGAIN)
        lines += piece.count(b"\n")
        held = piece
        yield piece
    if decoder.getstate()[0]:
        raise MalformedError(f"{name}: ends within a character ('{held[-3:]!r}')", AGAIN)


def require_text(path: Path, name: str) -> None:
    """`whole_text` of a plain file.

    Args:
        path: A local file that is not packed.
        name: What messages call it.

    Raises:
        MalformedError: see `whole_text`.
    """
    with path.open("rb") as file:
        for _ in whole_text(iter(lambda: file.read(HEAD), b""), name):
            pass


def as_utf8(source: Path, to: Path, shape: Shape) -> None:
    """Write a file that is not `Shape.plain` as one that is: UTF-8, without byte order marks before its lines.

    Args:
        source: Unpacked.
        to: Written anew.
        shape: What `sniff` said of it.

    Raises:
        UnicodeDecodeError: it is not in its encoding throughout.
    """
    decoder = codecs.getincrementaldecoder(shape.encoding)()
    starts_line = True
    with source.open("rb") as read, to.open("w", encoding="utf-8", newline="") as write:
        while piece := read.read(HEADER_LIMIT):
            text = decoder.decode(piece)
            text = re.sub(f"\n{MARK}+", "\n", text.lstrip(MARK) if starts_line else text)
            write.write(text)
            starts_line = text.endswith("\n") if text else starts_line
        decoder.decode(b"", final=True)


_NUMBER = re.compile(r"[+-]?(?P<whole>[0-9][0-9.,]*|(?=[.,]))(?P<part>[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?")


def decimal_mark(values: Iterable[str], separator: str = ",") -> Literal[".", ",", "both", "doubtful"]:
    """Which mark divides whole numbers from their parts in a column, or in all columns of one file.

    A mark is proven by a number that cannot be thousands: `0,123`, `12,5`. Without such a number `1,234` may be either,
    and so may `1.234` in a file that is separated by semicolons or tabs, as spreadsheets with decimal commas write.

    Args:
        values: Cells of columns of numbers; what is no number is passed over.
        separator: Of the file's columns.

    Returns:
        `both` where some cells have points and some commas (thousands, or two hands): not to be read; `doubtful` where
        nothing proves the mark: not to be read either.
    """
    numbers = [value.strip() for value in values]
    numbers = [number for number in numbers if _NUMBER.fullmatch(number) and ("," in number or "." in number)]
    marks = {mark for mark in ",." for number in numbers if mark in number}
    if len(marks) == 2:
        return "both"
    mark: Literal[".", ","] = "," if "," in marks else "."
    if not numbers or (mark == "." and separator == ","):
        return mark
    thousands = re.compile(rf"[+-]?[1-9][0-9]{{0,2}}(?:[{mark}][0-9]{{3}})+")
    if any(number.count(mark) > 1 for number in numbers) or all(map(thousands.fullmatch, numbers)):
        return "doubtful"
    return mark


_DATE = re.compile(r"\s*([0-9]{1,2})([./-])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})(?![0-9])")


def date_order(values: Iterable[str]) -> Literal["year first", "day first", "month first", "doubtful"]:
    """In which order the dates of a column are written.

    Args:
        values: Its cells.

    Returns:
        `doubtful` where every date could be read both ways (05/10/2026), or some one way and some the other.
    """
    found = [match for value in values if (match := _DATE.match(value))]
    if not found:
        return "year first"
    if all(match[2] == "." for match in found):
        return "day first"
    day_first = any(int(match[1]) > 12 for match in found)
    month_first = any(int(match[3]) > 12 for match in found)
    if day_first == month_first:
        return "doubtful"
    return "day first" if day_first else "month first"


def said_of_number(example: str) -> str:
    """What may be wrong with a cell that is no number, as a clause to follow it; empty where nothing is known.

    Args:
        example: The cell.
    """
    text = example.strip()
    if MARK in text:
        return "a byte order mark stands before it"
    if "," in text and "." in text and _NUMBER.fullmatch(text):
        return "it has points and commas: one of them stands for thousands"
    if "," in text and _NUMBER.fullmatch(text):
        return "it has a comma, which may be a decimal comma or stand for thousands"
    if "." in text and _NUMBER.fullmatch(text):
        return "it has a point, which may be a decimal point or stand for thousands"
    if re.fullmatch(r"[-+0-9.,\s\u00a0\u202f']+", text):
        return "it has blanks or quotes between its digits"
    return ""


def said_of_time(example: str) -> str:
    """What may be wrong with a cell that is no time, as a clause to follow it; empty where nothing is known.

    Args:
        example: The cell.
    """
    if MARK in example:
        return "a byte order mark stands before it"
    order = date_order([example])
    if order == "doubtful":
        return "day and month cannot be told apart: a spreadsheet wrote it"
    if order != "year first":
        return f"it is written {order}, as spreadsheets do"
    if re.fullmatch(r"\s*[34][0-9]{4}([.,][0-9]+)?\s*", example):
        return "it is the day number of a spreadsheet"
    return ""

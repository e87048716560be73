"""Opening a file of readings or factors: CSV (plain or gzip) or Parquet, its columns, its times and numbers as SQL.

What belongs here: how DuckDB reads a file, and how its cells are written. What does not: what columns mean (each
source's own parser), and what can be told from the first bytes of a text file (`csv_text`).
"""

# ruff: noqa: S608 - column names and values are quoted

from __future__ import annotations

import gzip
import re
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal

import duckdb

from energy_assets.counting import counted
from energy_assets.sources import csv_text, local_time
from energy_assets.sources.errors import MalformedError

TimeUnit = Literal["s", "ms", "us", "ns"]
DateOrder = Literal["day first", "month first"]

SUFFIXES = (".csv", ".csv.gz", ".parquet")
FIRST_US = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
END_US = int(datetime(2101, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
REMEDY = "Correct the file and put it back, or take it out of `path` in site.yaml."

_WHOLE_TO_US = {"s": "* 1000000", "ms": "* 1000", "us": "", "ns": "// 1000"}
_BROKEN_TO_US = {"s": "1e6", "ms": "1e3", "us": "1", "ns": "1e-3"}
"""Epoch times with a fraction go through doubles, which hold them to 0.2 microseconds until 2100; DuckDB needs
30 seconds to make decimal(38, 9) of a million texts."""

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_OFFSET = r"(\d:\d\d(:\d\d([.,]\d+)?)?|[T ]\d{4}(\d\d([.,]\d+)?)?)\s*(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)\s*$"
STATES_OFFSET = re.compile(_OFFSET, re.IGNORECASE)
"""The end of a time that states its own offset from UTC."""

_APART = re.compile(r":\d\d(\.\d+)?\s+[+-]\d\d")
"""A time whose offset stands apart from it, which DuckDB takes for the name of a zone."""

_NO_SECONDS = re.compile(r"[T ]\d\d:\d\d\s*(Z|[+-]\d\d(:?\d\d)?)\s*$", re.IGNORECASE)
"""A time with an offset and without seconds."""

_NO_MARKS = re.compile(r"^\s*\d{8}[T ]\d\d:?\d\d")
"""ISO 8601's basic format: `20261125T093000Z`."""

_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_DATES = {"day first": "%d{0}%m{0}%Y", "month first": "%m{0}%d{0}%Y"}
_A_TIME = re.compile(r"\s*\d{4}[-/.]\d\d?[-/.]\d\d?[ T]\d")
_CHUNK = 1 << 20
_ZONE_NAME = re.compile(r"\d\s+(?!(?:am|pm|a\.m|p\.m|z|utc|gmt)\.?\s*$)[a-z][a-z_/]+\s*$", re.IGNORECASE)
"""A time that ends with the name or abbreviation of a zone; DuckDB would read BST as the time of Bangladesh."""
_FIELDS = re.compile(
    r"CSV Error on Line: (?P<line>\d+).*Expected Number of Columns: (?P<expected>\d+) Found: (?P<found>\d+)", re.DOTALL
)
_DISTINCT = 20_000
_serial = count(1)


@dataclass(frozen=True)
class Clock:
    """How times are written, as site.yaml says it.

    Attributes:
        unit: Of times that are numbers; None for text and timestamps.
        timezone: Of times that state no offset; None for UTC.
        order: Of dates that do not begin with the year; None where the file tells it.
    """

    unit: TimeUnit | None = None
    timezone: str | None = None
    order: DateOrder | None = None


@dataclass(frozen=True)
class Table:
    """The columns of a file.

    Attributes:
        name: What messages call the file.
        columns: Their names as DuckDB has them.
    """

    name: str
    columns: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Their names without blanks around them."""
        return [column.strip() for column in self.columns]

    def column(self, wanted: str, key: str) -> str:
        """The name a column has in the file; blanks around it do not matter.

        Args:
            wanted: As site.yaml names it.
            key: The key of site.yaml, for messages.

        Raises:
            MalformedError: there is none.
        """
        if wanted in self.columns:
            return wanted
        for column in self.columns:
            if column.strip() == wanted.strip():
                return column
        if any(map(_A_TIME.match, self.columns)):
            raise MalformedError(
                f"{self.name}: has no header; its first line holds {', '.join(self.columns[:8])}",
                "Put the header back (nvidia-smi leaves it out with `noheader`).",
            )
        there = ", ".join(f"'{other}'" for other in self.columns)
        raise MalformedError(
            f"{self.name}: has no column '{wanted}'; it has {there}",
            f"Correct `{key}` of this source in site.yaml, or the header of the file.",
        )


@dataclass(frozen=True)
class Opened:
    """A readable file: how DuckDB reads it, and the type of each column.

    Attributes:
        con: The Ibis connection to DuckDB that reads it.
        name: What messages call it.
        path: The local file.
        relation: SQL that reads it.
        types: By column.
        shape: What its first bytes show; None for Parquet.
        padded: Lines that are too short are read, with NULL in the columns they lack.
        lines: SQL that reads each line after the header as one text, `line`; empty where they are not padded.
    """

    con: Any
    name: str
    path: Path
    relation: str
    types: Mapping[str, str]
    shape: csv_text.Shape | None = None
    padded: bool = False
    lines: str = ""
    _orders: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def table(self) -> Table:
        """Its columns."""
        return Table(self.name, tuple(self.types))

    def times(self, column: str, clock: Clock, *, lenient: bool = False) -> tuple[str, str]:
        """SQL for a time in epoch microseconds: by the clock of the time zone, and in UTC; one of both is NULL.

        Args:
            column: The file's column of times.
            clock: How they are written.
            lenient: NULL where a time is missing, unreadable or outside 2000 to 2100, which else raise.
        """
        local, fixed = self._times(column, clock, lenient=lenient)
        if local is None:
            return "NULL::BIGINT", _plausible(fixed, lenient)
        text = self.types[column] == "VARCHAR"
        stated = f"regexp_matches({quoted(column)}, {text_sql(_OFFSET)}, 'i')" if text else "FALSE"
        return (
            f"CASE WHEN NOT coalesce({stated}, FALSE) THEN {_plausible(local, lenient)} END",
            f"CASE WHEN {stated} THEN {_plausible(fixed, lenient)} END",
        )

    def bare(self, column: str, clock: Clock) -> str:
        """SQL for whether a line has a time that states no offset, and so is of a clock that something else names.

        Args:
            column: The file's column of times.
            clock: How they are written.
        """
        kind, name = self.types[column], quoted(column)
        if kind.startswith(("TIMESTAMP", "DATE")):
            return "FALSE" if kind == "TIMESTAMP WITH TIME ZONE" else f"{name} IS NOT NULL"
        if kind != "VARCHAR" or clock.unit is not None:
            return "FALSE"
        return f"trim({name}) <> '' AND NOT regexp_matches({name}, {text_sql(_OFFSET)}, 'i')"

    def instant(self, column: str, clock: Clock, *, lenient: bool = False) -> str:
        """SQL for a time in UTC as epoch microseconds; strict SQL raises at what cannot be read, lenient gives NULL.

        Of times by the clock of a time zone lenient SQL gives the clock time, and strict SQL raises where the clock
        shows it twice or never.

        Args:
            column: The file's column of times.
            clock: How they are written.
            lenient: NULL instead of an error, and any year.
        """
        local, fixed = self._times(column, clock, lenient=lenient)
        if lenient:
            return fixed if local is None else f"coalesce({fixed}, {local})"
        if local is None:
            return _plausible(fixed)
        clock_us, stated_us = self.times(column, clock)
        cases = []
        changes = local_time.changes(clock.timezone or "UTC")
        for one in changes:
            cases.append(
                f"WHEN c < {one.start_us} THEN c - {one.before_us} WHEN c < {one.end_us} THEN error('no time')"
            )
        rest = changes[-1].after_us if changes else local_time.steady(clock.timezone or "UTC")
        placed = f"list_transform([{clock_us}], lambda c: CASE {' '.join(cases)} ELSE c - {rest} END)[1]"
        return f"coalesce({stated_us}, {placed if cases else f'{clock_us} - {rest}'})"

    def _times(self, column: str, clock: Clock, *, lenient: bool) -> tuple[str | None, str]:
        """SQL for the clock time (None where times are never local), and for the time in UTC."""
        kind, name = self.types[column], quoted(column)
        cast = "TRY_CAST" if lenient else "CAST"
        if kind == "TIMESTAMP WITH TIME ZONE":
            return None, f"epoch_us({name})"
        if kind.startswith(("TIMESTAMP", "DATE")):
            us = f"epoch_us({name}::TIMESTAMP)"
            return (us, "NULL::BIGINT") if clock.timezone else (None, us)
        if clock.unit is not None:
            return None, self._epoch(name, kind, clock.unit, cast)
        if kind != "VARCHAR":
            raise MalformedError(
                f"{self.name}: column '{column}' holds numbers, which could be of any unit",
                "Set `time_unit` in site.yaml: s, ms, us or ns since 1970.",
            )
        if named := next(filter(_ZONE_NAME.search, self.sample(column)), ""):
            raise MalformedError(
                f"{self.name}: column '{column}' has times with the name of a zone, such as '{named.strip()}': such "
                "names mean several zones",
                "Write offsets instead ('+01:00' or 'Z'), or leave the name away and set `timezone` in site.yaml.",
            )
        order = self._order(column, clock)
        apart = any(map(_APART.search, self.sample(column)))
        text = f"regexp_replace({name}, '\\s+([+-][0-9:]+\\s*)$', '\\1')" if apart else name
        text = _with_seconds(text, self.sample(column))
        aware = f"epoch_us({cast}({_without_zone_name(text, lenient=lenient)} AS TIMESTAMPTZ))"
        if order == "year first":
            naive = f"epoch_us({cast}({text} AS TIMESTAMP))"
            return (naive, aware) if clock.timezone else (None, aware)
        formats = ", ".join(text_sql(_DATES[order].format(mark) + rest) for mark in "./-" for rest in _CLOCKS)
        plain = f"replace(replace(trim({name}), ', ', ' '), 'T', ' ')"
        written = f"epoch_us({'try_' if lenient else ''}strptime({plain}, [{formats}]))"
        return (written, "NULL::BIGINT") if clock.timezone else (None, written)

    @staticmethod
    def _epoch(name: str, kind: str, unit: TimeUnit, cast: str) -> str:
        whole = f"{cast}({cast}({name} AS HUGEINT) {_WHOLE_TO_US[unit]} AS BIGINT)"
        broken = f"{cast}(round({cast}({name} AS DOUBLE) * {_BROKEN_TO_US[unit]}) AS BIGINT)"
        if kind == "VARCHAR":
            return f"CASE WHEN contains({name}, '.') THEN {broken} ELSE {whole} END"
        return whole if kind in _INTEGERS else broken

    def _order(self, column: str, clock: Clock) -> str:
        """In which order the dates of a column are written.

        Raises:
            MalformedError: it cannot be told.
        """
        if column not in self._orders:
            order: str = csv_text.date_order(self.sample(column))
            if order != "year first":
                begun = f"regexp_extract({quoted(column)}, '^\\s*[0-9]+[./-][0-9]+[./-][0-9]+')"
                order = clock.order or csv_text.date_order(self._distinct(begun))
            self._orders[column] = order
        if self._orders[column] == "doubtful":
            example = next(iter(self.sample(column)), "")
            raise MalformedError(
                f"{self.name}: column '{column}' has dates such as '{example.strip()}', of which day and month cannot "
                "be told apart",
                "Say it in site.yaml: `date_order: day first` or `date_order: month first`.",
            )
        return self._orders[column]

    def decimal(self, *columns: str) -> str:
        """The decimal mark of columns of text, which one hand wrote: a point or a comma.

        Args:
            columns: The file's columns of numbers.

        Raises:
            MalformedError: it cannot be told.
        """
        if self.shape is None:
            return "."
        sample, separator = [cell for column in columns for cell in self.sample(column)], self.shape.separator
        if not any("," in cell for cell in sample) and separator in ",|":
            return "."
        # All cells that have a mark: the first that does may be a thousand, far below whole numbers.
        numbers = [f"regexp_extract({quoted(column)}, '[-+0-9.,]*[.,][-+0-9.,]*')" for column in columns]
        cells = [cell for number in numbers for cell in self._distinct(number)]
        mark = csv_text.decimal_mark(cells, separator)
        if mark in ".,":
            return mark
        example = next(iter(cells), "")
        what = "points and commas" if mark == "both" else f"'{example.strip()}', whose mark may stand for thousands"
        named = " and ".join(f"'{column}'" for column in columns)
        raise MalformedError(
            f"{self.name}: column{'s' * (len(columns) > 1)} {named} ha{'ve' if len(columns) > 1 else 's'} numbers with "
            f"{what}",
            'Say which mark is the decimal one in site.yaml (decimal: "," or decimal: "."), or export the file again.',
        )

    def sample(self, column: str) -> list[str]:
        """The first cells of a column of text that hold something, but not its header once more."""
        if self.shape is not None:
            number = list(self.types).index(column)
            cells = [row[number] for row in self.shape.rows if number < len(row)]
        else:
            found = self.con.raw_sql(f"SELECT {quoted(column)} FROM {self.relation} LIMIT {csv_text.SAMPLE_ROWS}")
            cells = [str(row[0] or "") for row in found.fetchall()]
        return [cell for cell in cells if cell.strip() and cell.strip() != column.strip()]

    def _distinct(self, sql: str) -> list[str]:
        found = self.con.raw_sql(f"SELECT DISTINCT {sql} AS cell FROM {self.relation} LIMIT {_DISTINCT}").fetchall()
        return [row[0] for row in found if row[0]]


def _with_seconds(text: str, sample: Sequence[str]) -> str:
    """SQL for a time of ISO 8601 as the engine reads it, where a column has some without seconds or without marks.

    The engine reads `2026-11-25T00:00` and refuses `2026-11-25T00:00Z`.
    """
    if any(map(_NO_MARKS.search, sample)):
        whole = "'^\\s*(\\d{4})(\\d\\d)(\\d\\d)[T ](\\d\\d):?(\\d\\d)', '\\1-\\2-\\3T\\4:\\5'"
        text = f"regexp_replace(regexp_replace({text}, {whole}), '(T\\d\\d:\\d\\d)(\\d\\d)', '\\1:\\2')"
    if any(map(_NO_SECONDS.search, sample)) or any(map(_NO_MARKS.search, sample)):
        text = f"regexp_replace({text}, '([T ]\\d\\d:\\d\\d)(\\s*(Z|[+-][0-9:]+)\\s*)$', '\\1:00\\2', 'i')"
    return text


def _without_zone_name(text: str, *, lenient: bool) -> str:
    """SQL for a time that may state an offset; NULL, or an error, where it ends with the name of a zone."""
    named = f"regexp_matches({text}, '[a-y]\\s*$', 'i') AND NOT regexp_matches({text}, '(UTC|GMT)\\s*$', 'i')"
    refused = "NULL" if lenient else "error('no time')"
    return f"CASE WHEN suffix({text}, 'Z') THEN {text} WHEN {named} THEN {refused} ELSE {text} END"


def _plausible(time: str, lenient: bool = False) -> str:
    other = "NULL" if lenient else "error('no time')"
    return f"CASE WHEN {time} BETWEEN {FIRST_US} AND {END_US - 1} THEN {time} ELSE {other} END"


def open_file(
    con: Any, path: Path, name: str, folder: Path, *, padded: bool = False, any_suffix: bool = False
) -> Opened:
    """Check that a file is whole, and find its columns.

    Args:
        con: An Ibis connection to DuckDB.
        path: The local file.
        name: What messages call it.
        folder: A temporary folder, for text that must be written anew.
        padded: Read lines that are too short.
        any_suffix: Take whatever does not end in .parquet for CSV.

    Raises:
        MalformedError: an unknown format, a truncated file, what is no table.
    """
    con.raw_sql("SET TimeZone = 'UTC'")  # only then does DuckDB read a time without an offset as UTC
    if (any_suffix and not name.lower().endswith(".parquet")) or suffix_of(name) != ".parquet":
        return _open_csv(con, path, name, folder, padded)
    relation = f"read_parquet({text_sql(path)})"
    try:
        described = con.raw_sql(f"DESCRIBE FROM {relation}").fetchall()
    except duckdb.Error as error:
        raise unreadable(path, name, error) from error
    return Opened(con, name, path, relation, {row[0]: row[1] for row in described})


def _open_csv(con: Any, path: Path, name: str, folder: Path, padded: bool) -> Opened:
    """How a CSV file is read, all columns as text.

    The header alone decides on columns and separator: DuckDB's own guess takes 80 ms a file and, where one row is
    too short, sees a different separator instead of a broken file.
    """
    head, packed = csv_text.head_of(path, name)
    shape = csv_text.sniff(head)
    if refused := csv_text.refusal(shape, (), name):
        raise refused
    # DuckDB gives up its whole database at some bytes that are no UTF-8, so the text is proven before it reads.
    if packed:
        _read_to_the_end(path, name, prove=shape.plain)
    elif shape.plain:
        csv_text.require_text(path, name)
    if not shape.plain:
        path, packed = _written_plain(path, packed, shape, name, folder), False
    columns = [column or f"column{number}" for number, column in enumerate(shape.header)]
    types = ", ".join(f"{text_sql(column)}: 'VARCHAR'" for column in columns)
    how = f"auto_detect = false, header = true, compression = '{'gzip' if packed else 'none'}'"
    relation = (
        f"read_csv({text_sql(path)}, {how}, columns = {{{types}}}, delim = {text_sql(shape.separator)}, quote = '\"', "
        f"escape = '\"', null_padding = {str(padded).lower()})"
    )
    one = "columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = ''"
    lines = f"SELECT line FROM read_csv({text_sql(path)}, {how}, {one})" if padded else ""
    types_of = dict.fromkeys(columns, "VARCHAR")
    return Opened(con, name, path, relation, types_of, shape, padded, lines)


def _read_to_the_end(path: Path, name: str, *, prove: bool) -> None:
    """Read a gzip file to its end: DuckDB takes the part before a cut for the whole file."""
    try:
        with gzip.open(path, "rb") as file:
            pieces = iter(lambda: file.read(_CHUNK), b"")
            for _ in csv_text.whole_text(pieces, name) if prove else pieces:
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise MalformedError(f"{name}: the gzip file is truncated or damaged ({error})", REMEDY) from error


def _written_plain(path: Path, packed: bool, shape: csv_text.Shape, name: str, folder: Path) -> Path:
    """The text written anew as UTF-8 without marks."""
    number = next(_serial)
    if packed:
        unpacked = folder / f"unpacked-{number}"
        with gzip.open(path, "rb") as file, unpacked.open("wb") as out:
            shutil.copyfileobj(file, out, _CHUNK)
        path = unpacked
    plain = folder / f"plain-{number}.csv"
    try:
        csv_text.as_utf8(path, plain, shape)
    except UnicodeDecodeError as error:
        raise MalformedError(f"{name}: is not {shape.encoding} throughout ({error.reason})", REMEDY) from error
    return plain


def plain_path(path: Path, name: str, folder: Path) -> Path:
    """The file under a path without wildcards: DuckDB would take `a[1].csv` for a pattern.

    Args:
        path: The local file.
        name: Its path or url as listed.
        folder: A temporary folder for a link.
    """
    if not set("*?[") & set(str(path)):
        return path
    link = folder / f"file-{next(_serial)}{suffix_of(name)}"
    link.symlink_to(path)
    return link


def suffix_of(name: str) -> str:
    """The suffix that tells the format.

    Raises:
        MalformedError: none of those that can be read.
    """
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return suffix
    if name.lower().endswith((".log", ".txt", ".log.gz", ".txt.gz")):
        raise MalformedError(
            f"{name}: its ending does not say that it is CSV",
            "If it is, as nvidia-smi writes with --format=csv, let the command write into a file that ends in .csv "
            "(… >> smi.csv), rename this one, and change `path` in site.yaml.",
        )
    raise MalformedError(
        f"{name}: a format that cannot be read", f"Files must end in {', '.join(SUFFIXES)}; narrow `path` to them."
    )


def unreadable(path: Path, name: str, error: Exception) -> MalformedError:
    """What DuckDB says of a file, on one line and without the local path.

    Args:
        path: The local file.
        name: What the message calls it.
        error: As DuckDB raised it.
    """
    fields = _FIELDS.search(str(error))
    if fields:
        found, expected = int(fields["found"]), int(fields["expected"])
        what = f"{name}: line {fields['line']} has {counted(found, 'field')}, and the header names {expected}"
        if found < expected:
            return MalformedError(what, "Complete the line, or take the file out of `path` in site.yaml.")
        return MalformedError(
            what,
            "Put fields that hold the separator in quotes (times and numbers with a comma, for example), or write the "
            "file with another separator.",
        )
    said = " ".join(str(error).replace(str(path), name).split())[:300]
    return MalformedError(f"{name}: cannot be read ({said})", REMEDY)


def is_number(text: str) -> bool:
    """Whether a text is one number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def header_unit(column: str) -> str | None:
    """The unit of power that the name of a column speaks of, as it is spelled: `Power (kW)`, `power_kw`; or None."""
    found = re.search(r"[\[(]\s*([mkM]?W|[mkMK]?w|KW|[Ww]atts?)\s*[\])]", column)
    found = found or re.search(r"[_ .](mW|kW|MW|KW|kw|mw|[Ww]atts?|W|w)$", column)
    return found[1] if found else None


def quoted(column: str) -> str:
    """A column's name in SQL."""
    doubled = column.replace('"', '""')
    return f'"{doubled}"'


def text_sql(value: object) -> str:
    """A text in SQL."""
    doubled = str(value).replace("'", "''")
    return f"'{doubled}'"

"""Cells of a bill as SQL: one raw column of any physical type to one exact, typed value.

What belongs here: text, numbers, times and tags, whatever container they come in. What does not: which column
feeds which (that is `columns`). Everything here builds DuckDB expressions; nothing reads data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from energy_assets.sources.csv_text import SEPARATORS, decimal_mark
from energy_assets.sources.focus.bill import NULLS, Bill, literal, quoted

MONEY = "DECIMAL(38, 18)"
_FINER = "DECIMAL(38, 28)"
_NUMBERS = re.compile(r"(TINY|SMALL|BIG|HUGE|U[A-Z]*)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL\(.*\)|VARCHAR")
_TIMES = re.compile(r"TIMESTAMP.*|DATE|VARCHAR")
_TAGS = re.compile(r"MAP\(.*\)|STRUCT\(.*\)(\[\])?|VARCHAR(\[\])?|JSON")
NO_TAGS = "MAP {}::MAP(VARCHAR, VARCHAR)"


@dataclass(frozen=True)
class Cell:
    """One value of a row.

    Attributes:
        label: The column's name in the file's own terms, for errors.
        value: SQL of the typed value, NULL where it cannot be read.
        raw: SQL of what the file holds; a raw cell without a value is an error.
        required: Whether a row without a value is an error.
        kept: Whether the value always holds every digit of the raw number.
    """

    label: str
    value: str
    raw: str = "NULL"
    required: bool = False
    kept: bool = True

    def unreadable(self, value: str, raw: str) -> str:
        """SQL that is true where the cell is wrong, given the names of its computed value and raw columns.

        Args:
            value: Column with what the cell was read as.
            raw: Column with the cell as printed.
        """
        return f"{value} IS NULL" if self.required else f"({value} IS NULL AND {raw} IS NOT NULL)"

    def rounded(self, value: str, raw: str) -> str:
        """SQL that is true where the file prints more decimals than are kept.

        Only a number with more than 18 places behind its point, or a negative exponent, is worth the look; a
        CASE, because DuckDB evaluates both sides of an AND.

        Args:
            value: Column with what the cell was read as.
            raw: Column with the cell as printed.
        """
        if self.kept:
            return "false"
        long = f"(length({raw}) - instr({raw}, '.') > 18 OR contains({raw}, 'e-') OR contains({raw}, 'E-'))"
        pointed = f"replace({raw}, ',', '.')"
        return f"CASE WHEN {long} THEN TRY_CAST({pointed} AS {_FINER}) <> {value} ELSE false END"


_THOUSANDS = r"\s*[+-]?[1-9][0-9]{0,2}([.,][0-9]{3})+\s*"
"""A number whose mark may be that of thousands."""


class RetypedError(Exception):
    """A column holds another type than its name promises; the message says which was found and expected."""


class Cells:
    """Builds the cells of one bill; columns the bill does not have become typed NULLs."""

    def __init__(self, bill: Bill) -> None:
        self._bill = bill
        self._comma = False
        self._unproven = False

    def settle_decimals(self, columns: Iterable[str | None]) -> None:
        """Find out whether the numbers of a text have decimal commas; only where it is not separated by commas.

        Args:
            columns: The bill's columns of numbers, None for those it has not.

        Raises:
            RetypedError: points and commas mixed, or nothing that proves which is the decimal mark.
        """
        shape = self._bill.shape
        if self._bill.container == "parquet" or shape.separator == ",":
            return
        wanted = set(columns)
        places = [at for at, column in enumerate(shape.header) if column in wanted]
        values = [row[at] for row in shape.rows for at in places if at < len(row)]
        mark = decimal_mark(values, shape.separator)
        if mark in ("both", "doubtful"):
            example = max((value for value in values if "," in value or "." in value), key=lambda v: "." in v)
            what = "points and commas in" if mark == "both" else "nothing to tell a decimal mark from thousands by in"
            raise RetypedError(f"separated by {SEPARATORS[shape.separator]}, with {what} numbers such as '{example}'")
        self._comma = mark == ","
        # Whole numbers alone prove no mark: what comes after the first lines may be thousands.
        self._unproven = not any("," in value or "." in value for value in values)

    def has(self, column: str | None) -> bool:
        """Whether the bill has such a column."""
        return column in self._bill.columns

    def text(self, column: str | None) -> str:
        """SQL of a text, NULL where the file says nothing."""
        if column is None or not self.has(column):
            return "NULL::VARCHAR"
        if self._bill.container != "parquet":
            return quoted(column)
        words = ", ".join(literal(word) for word in NULLS)
        plain = quoted(column) if self._bill.columns[column] == "VARCHAR" else f"{quoted(column)}::VARCHAR"
        return f"CASE WHEN {plain} IN ({words}) THEN NULL ELSE {plain} END"

    def number(self, label: str, column: str | None, *, required: bool = False) -> Cell:
        """An exact decimal. Text keeps its exponent (1.2E-7), a double its shortest decimal form.

        Args:
            label: What messages call the cell.
            column: The bill's column, None where it has none.
            required: Whether an empty cell is wrong.

        Raises:
            RetypedError: the column is no number.
        """
        if column is None or not self.has(column):
            return Cell(label, f"NULL::{MONEY}", required=required)
        kind = self._expect(column, _NUMBERS, "a number")
        scale = re.fullmatch(r"DECIMAL\(\d+,\s*(\d+)\)", kind)
        if (scale and int(scale[1]) <= 18) or "INT" in kind:
            return Cell(label, f"TRY_CAST({quoted(column)} AS {MONEY})", quoted(column), required)
        text = self.text(column)
        if self._comma:  # a point beside decimal commas may be one, or stand for thousands
            pointed = f"CASE WHEN NOT contains({text}, '.') THEN replace({text}, ',', '.') END"
            return Cell(label, _decimal(pointed), text, required, kept=False)
        if self._unproven:
            text_of_one = f"CASE WHEN NOT regexp_full_match({text}, {literal(_THOUSANDS)}) THEN {text} END"
            return Cell(label, _decimal(text_of_one), text, required, kept=False)
        return Cell(label, _decimal(text), text, required, kept=False)

    def time(self, label: str, column: str | None, *, required: bool = False) -> Cell:
        """An instant in UTC; text without an offset is UTC, as FOCUS demands.

        Args:
            label: What messages call the cell.
            column: The bill's column, None where it has none.
            required: Whether an empty cell is wrong.

        Raises:
            RetypedError: the column is no time.
        """
        if column is None or not self.has(column):
            return Cell(label, "NULL::TIMESTAMP", required=required)
        kind = self._expect(column, _TIMES, "a time")
        raw = quoted(column)
        if kind == "TIMESTAMP WITH TIME ZONE":
            return Cell(label, f"make_timestamp(epoch_us({raw}))", raw, required)
        if kind != "VARCHAR":
            return Cell(label, f"CAST({raw} AS TIMESTAMP)", raw, required)
        text = self.text(column)
        return Cell(label, _instant(text), text, required)

    def tags(self, column: str | None) -> tuple[str, str]:
        """Labels as a map, and SQL that is true where tags are there and cannot be read.

        Raises:
            RetypedError: the column is neither a map nor JSON.
        """
        if column is None or not self.has(column):
            return NO_TAGS, "false"
        kind = self._expect(column, _TAGS, "tags (a map, or JSON text)")
        if kind == "VARCHAR":
            return json_tags(self.text(column))
        if kind == "VARCHAR[]":
            found = "NULL::MAP(VARCHAR, VARCHAR)"
        elif kind.startswith("MAP"):
            found = f"TRY_CAST({quoted(column)} AS MAP(VARCHAR, VARCHAR))"
        elif kind.endswith("[]"):
            found = _json_map(f"to_json({quoted(column)})")
        else:
            found = _json_map(f"to_json({quoted(column)})" if kind.startswith("STRUCT") else self.text(column))
        return f"coalesce({found}, {NO_TAGS})", f"({quoted(column)} IS NOT NULL AND {found} IS NULL)"

    def json_text(self, column: str | None) -> str | None:
        """SQL of tags that are JSON text, to be read later with `json_tags`; None where they are something else."""
        return self.text(column) if column and self._bill.columns.get(column) == "VARCHAR" else None

    def entry(self, column: str | None, key: str) -> str:
        """SQL of one entry of a map (or of JSON text), NULL where it is not there.

        Args:
            column: The bill's column of a map, None where it has none.
            key: The key of the entry.
        """
        if column is None or not self.has(column):
            return "NULL::VARCHAR"
        if self._bill.columns[column].startswith("MAP"):
            return f"{quoted(column)}[{literal(key)}]::VARCHAR"
        nested = self._bill.columns[column].startswith("STRUCT")
        as_json = f"to_json({quoted(column)})" if nested else self.text(column)
        return f"TRY(json_extract_string({as_json}, {literal('$.' + key)}))"

    def tags_in_columns(self, columns: dict[str, str]) -> str:
        """Labels as a map, from one column per tag key."""
        if not columns:
            return NO_TAGS
        entries = ", ".join(
            f"{{'key': {literal(key)}, 'value': {self.text(column)}}}" for key, column in columns.items()
        )
        return f"map_from_entries(list_filter([{entries}], lambda tag: tag.value IS NOT NULL))"

    def _expect(self, column: str, pattern: re.Pattern[str], what: str) -> str:
        kind = self._bill.columns[column]
        if not pattern.fullmatch(kind):
            raise RetypedError(f"column {column} holds {kind} where {what} belongs")
        return kind


def json_tags(text: str) -> tuple[str, str]:
    """Labels as a map from JSON text, and SQL that is true where the text cannot be read."""
    found = _json_map(text)
    return f"coalesce({found}, {NO_TAGS})", f"({text} IS NOT NULL AND {found} IS NULL)"


def _json_map(text: str) -> str:
    """Tags as providers write them.

    An object; a list of entries with a key and a value (FOCUS_Spec 788, Google's labels, AWS's API in capitals); the
    inside of an object without its braces, as older exports of Azure have it.
    """
    lists = ", ".join(
        f"TRY(map_from_entries(list_transform(from_json({text}, "
        f'\'[{{"{key}":"VARCHAR","{value}":"VARCHAR"}}]\'), '
        f"lambda tag: {{'key': tag.{key}, 'value': tag.{value}}})))"
        for key, value in (("key", "value"), ("Key", "Value"))
    )
    braced = f"TRY(from_json(concat('{{', {text}, '}}'), '\"MAP(VARCHAR,VARCHAR)\"'))"
    first = f"left(ltrim({text}::VARCHAR), 1)"
    return (
        f"CASE {first} WHEN '[' THEN coalesce({lists}) WHEN '\"' THEN {braced} "
        f"ELSE TRY(from_json({text}, '\"MAP(VARCHAR,VARCHAR)\"')) END"
    )


def _decimal(text: str) -> str:
    """A printed number as an exact decimal, rounded half away from zero behind the 18th place.

    DuckDB's own cast to DECIMAL(38, 18) takes 3 to 7 microseconds a number, and rounds wrongly where a long
    number has an exponent. So up to 12 places the 64-bit decimal is taken, up to 18 the digits are read as one
    integer, and an exponent is written out before the cast.
    """
    exponent = f"(contains({text}, 'e') OR contains({text}, 'E'))"
    short = (
        f"CASE WHEN length({text}) - instr({text}, '.') <= 12 AND NOT {exponent} "
        f"THEN CAST(TRY_CAST({text} AS DECIMAL(18, 12)) AS {MONEY}) END"
    )
    digits = f"concat(split_part({text}, '.', 1), rpad(split_part({text}, '.', 2), 18, '0'))"
    long = (
        f"CASE WHEN regexp_full_match({text}, '-?[0-9]{{1,19}}([.][0-9]{{1,18}})?') "
        f"THEN CAST(CAST({digits} AS HUGEINT) AS DECIMAL(38, 0)) * 0.000000000000000001::DECIMAL(18, 18) END"
    )
    plain = f"CASE WHEN {exponent} THEN {_written_out(text)} ELSE {text} END"
    return f"coalesce({short}, {long}, TRY_CAST({plain} AS {MONEY}))"


def _written_out(text: str) -> str:
    """A number such as -1.81E-8 without its exponent, NULL where it is none: the point moves, digits stay."""
    shape = "'^([+-]?)([0-9]*)[.]?([0-9]*)[eE]([+-]?[0-9]{1,3})$'"
    parts = f"regexp_extract(trim({text}), {shape}, ['sign', 'whole', 'part', 'exponent'])"
    move = "CAST(n.exponent AS INTEGER)"
    left = f"lpad(n.whole, CAST(greatest(length(n.whole), 1 - {move}) AS INTEGER), '0')"
    right = f"rpad(n.part, CAST(greatest(length(n.part), {move}) AS INTEGER), '0')"
    smaller = f"n.sign || {left}[:length({left}) + {move}] || '.' || {left}[length({left}) + {move} + 1:] || n.part"
    larger = f"n.sign || n.whole || {right}[:{move}] || '.' || {right}[{move} + 1:]"
    moved = (
        f"CASE WHEN n.exponent = '' OR length(n.whole || n.part) = 0 THEN NULL "
        f"WHEN {move} < 0 THEN {smaller} WHEN {move} = 0 THEN n.sign || n.whole || '.' || n.part ELSE {larger} END"
    )
    return f"list_transform([{parts}], lambda n: {moved})[1]"


def _instant(text: str) -> str:
    """A text as a UTC timestamp.

    DuckDB's cast to TIMESTAMP ignores an offset, and its cast to TIMESTAMPTZ reads a bare time in the
    session's zone; so the two usual spellings take the first, and everything else gets an explicit offset.
    """
    seconds = f"regexp_replace({text}, '^(\\d{{4}}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d)([Z+ -]|$)', '\\1:00\\2')"
    zoned = f"regexp_replace({seconds}, ' ?UTC$', 'Z')"
    stamped = f"CASE WHEN regexp_matches({zoned}, '(Z|[+-]\\d\\d(:?\\d\\d)?)$') THEN {zoned} ELSE {zoned} || 'Z' END"
    return (
        f"CASE WHEN length({text}) = 10 OR ({text}[17] = ':' AND (length({text}) = 19 OR ends_with({text}, 'Z'))) "
        f"THEN TRY_CAST({text} AS TIMESTAMP) "
        f"ELSE make_timestamp(epoch_us(TRY_CAST({stamped} AS TIMESTAMPTZ))) END"
    )

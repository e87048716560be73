"""What the first bytes of a text file show, and what is refused rather than guessed."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest

from energy_assets.sources.csv_text import (
    HEAD,
    HEADER_LIMIT,
    SAMPLE_ROWS,
    as_utf8,
    date_order,
    decimal_mark,
    head_of,
    refusal,
    said_of_number,
    said_of_time,
    sniff,
)
from energy_assets.sources.errors import MalformedError

PLAIN = "time,kwh\n2026-10-05,1.5\n2026-10-06,2.5\n"


def test_a_plain_file_is_plain() -> None:
    shape = sniff(PLAIN.encode())
    assert shape.header == ("time", "kwh")
    assert shape.rows == (("2026-10-05", "1.5"), ("2026-10-06", "2.5"))
    assert (shape.separator, shape.encoding, shape.plain, shape.trouble) == (",", "utf-8", True, "")
    assert refusal(shape, ["time", "kwh"], "f.csv") is None


@pytest.mark.parametrize(("separator", "name"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_the_separator_is_the_one_the_header_has_most_of_outside_quotes(separator: str, name: str) -> None:
    shape = sniff(f'time{separator}"a,,;;|| b"{separator}kwh\n1{separator}2{separator}3\n'.encode())
    assert shape.separator == separator
    assert shape.header == ("time", "a,,;;|| b", "kwh")
    assert f"separated by {name}" in refusal(shape, ["watts"], "f.csv").message  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (codecs.BOM_UTF8 + PLAIN.encode(), True),
        (codecs.BOM_UTF8 * 2 + PLAIN.encode(), False),
        (PLAIN.encode().replace(b"\n", b"\n" + codecs.BOM_UTF8, 1), False),
        (PLAIN.encode("utf-16"), False),
        (codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), False),
    ],
)
def test_marks_and_utf_16_are_read_as_if_they_were_not_there(body: bytes, plain: bool, tmp_path: Path) -> None:
    shape = sniff(body)
    assert shape.plain is plain
    assert shape.header == ("time", "kwh")
    assert shape.rows[0] == ("2026-10-05", "1.5")
    (tmp_path / "given").write_bytes(body)
    as_utf8(tmp_path / "given", tmp_path / "clean", shape)
    assert (tmp_path / "clean").read_bytes() == PLAIN.encode()


def test_a_mark_at_the_edge_of_a_piece_is_dropped_and_one_within_a_line_stays(tmp_path: Path) -> None:
    line = "x" * (HEADER_LIMIT - 1) + "\n"
    text = f"{line}\ufeffsecond\ufeff\n"
    (tmp_path / "given").write_text(text, encoding="utf-8", newline="")
    as_utf8(tmp_path / "given", tmp_path / "clean", sniff(b"a\n"))
    assert (tmp_path / "clean").read_text(encoding="utf-8") == f"{line}second\ufeff\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is empty"),
        (b"PAR1xxxx", "Parquet"),
        (b"PK\x03\x04rest", "zip archive or an Excel workbook"),
        (gzip.compress(b"a,b\n", mtime=0), "gzip twice"),
        (b"\xd0\xcf\x11\xe0\xa1", "old Excel"),
        (b"BZh91AY", "bzip2"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b'{"error": "no"}', "JSON"),
        (PLAIN.encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (PLAIN.encode("utf-16-be"), "UTF-16 without a byte order mark"),
        (b"time,kwh\n2026-10-05,1.5\n2026\x00-10-06,1.5\n", "holds a NUL byte in line 3"),
        ("time,Gebäude\n".encode("cp1252"), "line 1 holds the byte 0xE4 (read as Windows-1252"),
        (b"time,kwh\r2026,1\r", "CR alone"),
        (b"a" * HEADER_LIMIT, "header without end"),
        (b'"' + b"a\n" * (HEADER_LIMIT // 2), "header without end"),
    ],
)
def test_what_is_no_csv_is_named(body: bytes, said: str) -> None:
    shape = sniff(body)
    assert said in shape.trouble
    error = refusal(shape, ["time"], "f.csv")
    assert error is not None
    assert error.message.startswith("f.csv: ")
    assert error.remedy


def test_the_cell_that_is_not_utf_8_is_shown() -> None:
    assert "'a,Gebäude'" in sniff("time,x\na,Gebäude\n".encode("cp1252")).trouble


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("time,kwh,kwh", "names kwh twice"),
        ("Time,kwh", "it spells 'Time'"),
        ("2026-10-05,1.5", "has no header"),
        ("when,kwh", "has no column 'time'; it is separated by commas and has when, kwh"),
    ],
)
def test_a_header_without_the_columns_is_refused_with_the_cause(header: str, said: str) -> None:
    assert said in refusal(sniff(f"{header}\n1,2\n".encode()), ["time"], "f.csv").message  # type: ignore[union-attr]


def test_only_whole_records_are_shown() -> None:
    shape = sniff((b"a,b\n" + b"1,2\n" * HEAD)[:HEAD])
    assert len(shape.rows) == SAMPLE_ROWS
    cut = (b"a,b\n" + (b"1," + b"x" * 1000 + b"\n") * 100)[:HEAD]
    assert {len(row[1]) for row in sniff(cut).rows} == {1000}


@pytest.mark.parametrize("packed", [False, True])
def test_no_more_is_read_than_a_header_may_have(packed: bool, tmp_path: Path) -> None:
    body = b"a" * (4 * HEADER_LIMIT)
    (tmp_path / "f").write_bytes(gzip.compress(body) if packed else body)
    assert head_of(tmp_path / "f", "f") == (b"a" * HEADER_LIMIT, packed)


def test_a_header_that_ends_just_within_the_limit_is_read(tmp_path: Path) -> None:
    for size, trouble in ((HEADER_LIMIT, ""), (HEADER_LIMIT + 1, "has a header without end")):
        column = b"a" * 1000 + b","
        body = (column * (size // len(column) + 1))[: size - 1].rstrip(b",").ljust(size - 1, b"a") + b"\n1,2\n"
        (tmp_path / "f").write_bytes(body)
        assert sniff(head_of(tmp_path / "f", "f")[0]).trouble.startswith(trouble)
        assert bool(sniff(head_of(tmp_path / "f", "f")[0]).trouble) is bool(trouble)
    (tmp_path / "f").write_bytes(b",".join(b"column%d" % n for n in range(20_000)) + b"\n" + b"1,2\n")
    assert len(sniff(head_of(tmp_path / "f", "f")[0]).header) == 20_000


def test_a_gzip_file_that_is_cut_says_so(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(gzip.compress(PLAIN.encode())[:-10])
    with pytest.raises(MalformedError, match="truncated"):
        head_of(tmp_path / "f", "f.gz")


@pytest.mark.parametrize(
    ("values", "separator", "mark"),
    [
        (["1.5", "2"], ",", "."),
        (["1.234"], ",", "."),
        (["1", "2"], ";", "."),
        (["1234,56"], ";", ","),
        (["0,123"], ";", ","),
        (["-0,5E-3", "1,234"], ";", ","),
        (["1,234"], ";", "doubtful"),
        (["1,234", "999,999"], ",", "doubtful"),
        (["1,234,567", "0,5"], ";", "doubtful"),
        (["1.234"], ";", "doubtful"),
        (["1.234", "0.5"], ";", "."),
        (["1.2345"], ";", "."),
        (["1.234,56"], ";", "both"),
        (["1,5", "1.5"], ";", "both"),
        (["1,5", "Berlin 1.5", ""], ";", ","),
    ],
)
def test_a_decimal_mark_is_proven_or_doubtful(values: list[str], separator: str, mark: str) -> None:
    assert decimal_mark(values, separator) == mark


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["2026-10-05"], "year first"),
        (["13/10/2026 01:00"], "day first"),
        (["12/10/2026"], "doubtful"),
        (["12/13/2026", "01/02/26"], "month first"),
        (["12/13/2026", "13/12/2026"], "doubtful"),
        (["05.10.2026"], "day first"),
    ],
)
def test_the_order_of_dates_is_proven_or_doubtful(values: list[str], order: str) -> None:
    assert date_order(values) == order


def test_a_cell_that_is_no_number_or_time_is_explained() -> None:
    assert "decimal comma" in said_of_number("1,5")
    assert "thousands" in said_of_number("1.234,56")
    assert "mark" in said_of_number("\ufeff3.25")
    assert "blanks" in said_of_number("1 234")
    assert said_of_number("apples") == ""
    assert "day and month" in said_of_time("05/10/2026 1:00")
    assert "day first" in said_of_time("25/10/2026 1:00")
    assert "day number" in said_of_time("45950,5")
    assert said_of_time("soon") == ""

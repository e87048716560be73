"""Cells, columns and layouts of bills."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import random
from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.focus.cells import MONEY, _decimal, _instant
from energy_assets.sources.focus.columns import FOCUS_NUMBERS
from energy_assets.sources.focus.parse import SCHEMA
from energy_assets.sources.focus.source import FocusFiles
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.focus.bills import HOSTILE, LINE, line, write

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 10, 31))


def source(path: str, **keys: Any) -> FocusFiles:
    return FocusFiles(name="bills", kind="focus_files", path=path, **keys)


def read(
    step: StepContext, path: str = "b.csv", days: DayRange = OCTOBER, **keys: Any
) -> tuple[list[dict], dict[str, int]]:
    table, notes = rows_of(source(path, **keys), days, step)
    assert table.schema.names == list(SCHEMA)
    notes.pop("days_without_charges", None)
    return sorted(table.to_pylist(), key=lambda row: row["charge_period_start"]), notes


def test_printed_numbers_are_exact_to_the_last_of_18_decimals_exponents_included() -> None:
    chance = random.Random(7)  # noqa: S311
    texts = ["1.2E-7", "1.81E-8", "5.69001013875", "-0.000000000000000001", "0.0000000000000000005", "1E2", "-.5", "7."]
    for _ in range(20_000):
        digits, places = chance.randint(1, 22), chance.randint(0, 22)
        number = str(chance.randint(0, 10**digits - 1)).zfill(places + 1)
        text = f"{number[: len(number) - places]}.{number[len(number) - places :]}" if places else number
        exponent = f"{chance.choice('eE')}-{chance.randint(0, 14)}" if chance.random() < 0.3 else ""
        texts.append(f"{chance.choice(['', '-'])}{text}{exponent}")
    with localcontext() as context, duckdb.connect() as con:
        context.prec = 90
        texts = [text for text in texts if abs(Decimal(text)) < 10**19]
        printed = pa.table({"t": texts})
        assert printed.num_rows > 10_000
        for text, value in con.execute(f"SELECT t, {_decimal('t')} FROM printed").fetchall():
            assert value == Decimal(text).quantize(Decimal("1e-18"), ROUND_HALF_UP), text


@pytest.mark.parametrize(
    "text", ["", "-", "12 apples", "1.2.3", "1,5", "NaN", "inf", "1e", "e5", ".e5", "1e5000", "1e30"]
)
def test_text_that_is_no_number_or_too_large_is_not_made_one(text: str) -> None:
    with duckdb.connect() as con:
        query = f"SELECT {_decimal('t')}::{MONEY} FROM (SELECT $text AS t)"
        found = con.execute(query, {"text": text}).fetchone()
    assert found == (None,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-05 03:00:00", "2026-10-05T03:00:00"),
        ("2026-10-05T03:00:00Z", "2026-10-05T03:00:00"),
        ("2026-10-05T03:00Z", "2026-10-05T03:00:00"),
        ("2026-10-05T03:00:00.000Z", "2026-10-05T03:00:00"),
        ("2026-10-05T03:00:00+02:00", "2026-10-05T01:00:00"),
        ("2026-10-05 03:00:00-0530", "2026-10-05T08:30:00"),
        ("2026-10-05T03:00+02", "2026-10-05T01:00:00"),
        ("2026-10-05 03:00:00 UTC", "2026-10-05T03:00:00"),
        ("2026-10-05T03:00", "2026-10-05T03:00:00"),
        ("2026-10-05", "2026-10-05T00:00:00"),
        ("10/05/2026", None),
        ("1759633200", None),
    ],
)
def test_times_are_utc_whatever_their_spelling_and_the_sessions_zone(text: str, expected: str | None) -> None:
    with duckdb.connect() as con:
        con.execute("SET TimeZone='America/New_York'")
        query = f"SELECT {_instant('t')} FROM (SELECT $text AS t)"
        (found,) = con.execute(query, {"text": text}).fetchone() or ()
    assert found == (datetime.fromisoformat(expected) if expected else None)


def test_a_focus_line_becomes_one_charge(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "b.csv", [line(Id="7", x_Strange="y")])
    (row,), notes = read(step)
    assert row.pop("raw_sha256")
    assert dict(row.pop("labels")) == {"project": "llm"}
    assert notes == {}
    assert row == {
        "day": date(2026, 10, 5),
        "hour": datetime(2026, 10, 5, 3),
        "charge_period_start": datetime(2026, 10, 5, 3),
        "charge_period_end": datetime(2026, 10, 5, 4),
        "billing_period": date(2026, 10, 1),
        "provider": "aws",
        "publisher": None,
        "billing_account_id": "111111111111",
        "account_id": "222222222222",
        "invoice_id": None,
        "region": "eu-central-1",
        "resource_id": "i-1",
        "resource_type": None,
        "instance_type": None,
        "service_name": "Amazon Elastic Compute Cloud",
        "service_category": "Compute",
        "sku_id": "SKU1",
        "sku_meter": None,
        "sku_price_id": None,
        "charge_category": "Usage",
        "charge_class": None,
        "charge_description": None,
        "commitment_discount_id": None,
        "commitment_discount_status": None,
        "consumed_quantity": Decimal(1),
        "consumed_unit": "Hours",
        "pricing_quantity": None,
        "pricing_unit": None,
        "list_unit_price": None,
        "billed_cost": Decimal("1.5"),
        "effective_cost": Decimal("1.25"),
        "list_cost": Decimal(2),
        "billing_currency": "USD",
    }


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("Microsoft", "azure"),
        ("Microsoft Corporation", "azure"),
        ("AZURE", "azure"),
        ("Google Cloud", "gcp"),
        ("Google LLC", "gcp"),
        ("Google, Inc.", "gcp"),
        ("Oracle", "oracle"),
        ("Oracle America, Inc.", "oracle"),
        ("Amazon Web Services, Inc.", "aws"),
        ("Amazon Web Services EMEA SARL", "aws"),
        ("Amazon Internet Services Private Limited", "aws"),
        ("Awsome Hosting", "awsome-hosting"),
        ("Googleplex", "googleplex"),
        ("Tail & Sons GmbH", "tail-sons-gmbh"),
        ("Société Nuage", "société-nuage"),
        ("算力云", "算力云"),
        ("算力云 Cloud", "算力云-cloud"),
        ("ОБЛАКО  Плюс", "облако-плюс"),
        (" *** ", "***"),
    ],
)
def test_the_provider_is_named_as_everywhere_else(step: StepContext, tmp_path: Path, name: str, provider: str) -> None:
    write(tmp_path / "b.csv", [line(ProviderName=name)])
    assert [row["provider"] for row in read(step)[0]] == [provider]


def test_nothing_is_spelled_in_three_ways_and_absent_columns_are_null(step: StepContext, tmp_path: Path) -> None:
    optional = ["ConsumedQuantity", "ResourceId", "SubAccountId", "Tags", "EffectiveCost"]
    nulls = [dict.fromkeys(optional, null) for null in ("NULL", "", "null")]
    write(tmp_path / "a.csv", [line(**{**null, "SkuId": str(n)}) for n, null in enumerate(nulls)])
    write(tmp_path / "b.csv", [line(SkuId="9")], [column for column in LINE if column not in optional])
    rows, notes = read(step, "*.csv")
    assert len(rows) == 4
    assert notes == {}
    for row in rows:
        assert row["consumed_quantity"] is row["resource_id"] is row["effective_cost"] is None
        assert row["account_id"] == "111111111111"
        assert row["labels"] == []


def test_hostile_tags_arrive_letter_by_letter(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "b.csv.gz", [line(Tags=json.dumps(HOSTILE)), line(Tags="{broken", SkuId="2")])
    rows, notes = read(step, "b.csv.gz")
    labels = {row["sku_id"]: dict(row["labels"]) for row in rows}
    assert labels == {"SKU1": HOSTILE, "2": {}}
    assert notes == {"unreadable_tags_dropped": 1}


@pytest.mark.parametrize(
    ("tags", "labels"),
    [
        ('[{"key": "team", "value": "ml"}, {"key": "n", "value": 5}]', {"team": "ml", "n": "5"}),
        ('[{"value": "ml", "key": "team", "inherited": true}]', {"team": "ml"}),
        ('[{"Key": "team", "Value": "ml"}]', {"team": "ml"}),
        ('"team": "ml","env": "x"', {"team": "ml", "env": "x"}),
        ("[]", {}),
        ("{}", {}),
        ('{"team": ["a"]}', {"team": '["a"]'}),
    ],
)
def test_tags_are_read_in_every_shape_providers_write(
    step: StepContext, tmp_path: Path, tags: str, labels: dict[str, str]
) -> None:
    write(tmp_path / "b.csv", [line(Tags=tags)])
    (row,), notes = read(step)
    assert (dict(row["labels"]), notes) == (labels, {})


@pytest.mark.parametrize(
    "tags", ["team:ml", '[{"team": "ml"}]', '["team"]', '[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]', "7"]
)
def test_tags_that_cannot_be_read_are_counted_with_an_example(step: StepContext, tmp_path: Path, tags: str) -> None:
    write(tmp_path / "b.csv", [line(Tags=tags), line(SkuId="2")])
    collected = collect(source("b.csv"), OCTOBER, step)
    parsed, _ = parse(source("b.csv"), collected.editions, step)
    assert parsed is not None
    assert parsed.notes["unreadable_tags_dropped"] == 1
    assert parsed.examples["unreadable_tags_dropped"] == [f"b.csv: {tags}"]


def test_repeated_records_of_labels_are_read_whatever_order_their_fields_have(
    step: StepContext, tmp_path: Path
) -> None:
    _parquet(tmp_path / "a.parquet", Tags=pa.array([[{"value": "ml", "key": "team", "namespace": "x"}]]))
    _parquet(tmp_path / "b.parquet", Tags=pa.array([["team:ml"]]))
    assert dict(read(step, "a.parquet")[0][0]["labels"]) == {"team": "ml"}
    (row,), notes = read(step, "b.parquet")
    assert (row["labels"], notes) == ([], {"unreadable_tags_dropped": 1})


def _saved(lines: Sequence[dict[str, str]], separator: str = ",") -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator)
    writer.writerows([list(lines[0]), *(list(one.values()) for one in lines)])
    return text.getvalue()


GERMAN = line(BilledCost="1234,56", EffectiveCost="0,5", ListCost="1,234", Tags="")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_decimal_commas_are_read_where_some_number_proves_them(
    step: StepContext, tmp_path: Path, separator: str
) -> None:
    (tmp_path / "b.csv").write_text(_saved([GERMAN], separator), encoding="utf-8")
    (row,), _ = read(step)
    assert (row["billed_cost"], row["effective_cost"], row["list_cost"], row["consumed_quantity"]) == (
        Decimal("1234.56"), Decimal("0.5"), Decimal("1.234"), Decimal(1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"BilledCost": "1.234,56"}, "points and commas in numbers such as '1.234,56'"),
        ({"ListCost": "1.234"}, "points and commas in numbers such as"),
        (
            {"BilledCost": "1,234", "EffectiveCost": "1", "ListCost": "9"},
            "nothing to tell a decimal mark",
        ),
        (
            {"BilledCost": "1.234", "EffectiveCost": "1", "ListCost": "9"},
            "nothing to tell a decimal mark",
        ),
    ],
)
def test_a_doubtful_number_is_no_number(step: StepContext, tmp_path: Path, changed: dict[str, str], said: str) -> None:
    (tmp_path / "b.csv").write_text(_saved([{**GERMAN, **changed}], ";"), encoding="utf-8")
    with pytest.raises(MalformedError, match="separated by semicolons") as error:
        read(step)
    assert said in str(error.value)
    assert "Save it as CSV in UTF-8" in error.value.remedy


@pytest.mark.parametrize(
    ("cell", "said"), [("1.234,56", "it has points and commas"), ("1.234", "it has a point, which may")]
)
def test_a_point_after_hundreds_of_decimal_commas_is_refused_too(
    step: StepContext, tmp_path: Path, cell: str, said: str
) -> None:
    lines = [{**GERMAN, "SkuId": str(n)} for n in range(500)] + [{**GERMAN, "BilledCost": cell}]
    (tmp_path / "b.csv").write_text(_saved(lines, ";"), encoding="utf-8")
    with pytest.raises(MalformedError) as error:
        read(step)
    assert f"one holds '{cell}' ({said}" in str(error.value)


@pytest.mark.parametrize(
    ("cell", "refused"), [("1.250", True), ("1,250", True), ("-12.345.678", True), ("12.5", False)]
)
def test_thousands_after_hundreds_of_whole_numbers_are_refused(
    step: StepContext, tmp_path: Path, cell: str, refused: bool
) -> None:
    whole = {column: text.partition(",")[0] if column in FOCUS_NUMBERS else text for column, text in GERMAN.items()}
    lines = [{**whole, "SkuId": str(n)} for n in range(500)] + [{**whole, "BilledCost": cell}]
    (tmp_path / "b.csv").write_text(_saved(lines, ";"), encoding="utf-8")
    if not refused:
        assert read(step)
        return
    with pytest.raises(MalformedError) as error:
        read(step)
    assert f"one holds '{cell}'" in str(error.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"BilledCost": "1,5"}, "decimal comma"),
        ({"BilledCost": "1,234.56"}, "points and commas"),
        ({"BilledCost": "1 234.56"}, "blanks or quotes"),
        ({"ChargePeriodStart": "10/05/2026 3:00"}, "day and month cannot be told apart"),
        ({"ChargePeriodStart": "25/10/2026 3:00"}, "day first"),
        ({"ChargePeriodStart": "05.10.2026 3:00"}, "day first"),
        ({"ChargePeriodStart": "05-10-26"}, "starts on 0005-10-26"),
        ({"BillingPeriodStart": "01-10-26"}, "starts on 0001-10-26"),
        ({"ChargePeriodStart": "46300,125"}, "day number of a spreadsheet"),
        ({"BilledCost": "BilledCost"}, "a second header"),
    ],
)
def test_what_a_spreadsheet_made_of_a_bill_is_named(
    step: StepContext, tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    write(tmp_path / "b.csv", [line(), line(**changed)])
    with pytest.raises(MalformedError) as error:
        read(step)
    assert said in str(error.value)
    assert "Save it as CSV in UTF-8" in error.value.remedy


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "encode",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: codecs.BOM_UTF8 * 2 + text.encode(),
        lambda text: codecs.BOM_UTF8 + text.encode().replace(b"\r\n", b"\r\n" + codecs.BOM_UTF8, 1),
        lambda text: text.encode("utf-16"),
    ],
)
@pytest.mark.parametrize("days", [OCTOBER, DayRange(date(2026, 10, 5), date(2026, 10, 5))])
def test_byte_order_marks_wherever_they_stand_change_nothing(
    step: StepContext, tmp_path: Path, encode: Any, packed: bool, days: DayRange
) -> None:
    for name, billed in (("a", "3.25"), ("other", "1")):  # two files: one is only looked at before it is rewritten
        body = encode(_saved([line(BilledCost=billed, ResourceId="Rechnerträger-" + name)]))
        (tmp_path / f"{name}.csv").write_bytes(gzip.compress(body) if packed else body)
    rows, _ = read(step, "*.csv", days)
    assert {(r["resource_id"], r["billed_cost"]) for r in rows} == {
        ("Rechnerträger-a", Decimal("3.25")), ("Rechnerträger-other", Decimal(1)),
    }  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_one_letter_of_another_encoding_refuses_its_file_and_no_other(
    step: StepContext, tmp_path: Path, packed: bool
) -> None:
    """DuckDB dies of it: an internal error in the last column of a line."""
    body = _saved([line(SkuId=str(n)) for n in range(500)] + [line(Tags="Gebäude")]).encode("cp1252")
    (tmp_path / "b.csv").write_bytes(gzip.compress(body) if packed else body)
    with pytest.raises(MalformedError, match=r"line 502 holds the byte 0xE4 .*Gebäude") as error:
        read(step)
    assert "UTF-8" in error.value.remedy
    write(tmp_path / "good.csv", [line()])
    assert len(read(step, "good.csv")[0]) == 1


def _parquet(path: Path, **columns: pa.Array) -> None:
    arrays = {name: pa.array([value]) for name, value in LINE.items()}
    pq.write_table(pa.table({**arrays, **columns}), path)


def test_parquet_keeps_decimals_maps_and_zones_and_reads_doubles_as_they_print(
    step: StepContext, tmp_path: Path
) -> None:
    _parquet(
        tmp_path / "b.parquet",
        BilledCost=pa.array([Decimal("0.123456789012345678")], pa.decimal128(38, 18)),
        EffectiveCost=pa.array([1.81e-08], pa.float64()),
        ListCost=pa.array([3], pa.int64()),
        ConsumedQuantity=pa.array([0.1 + 0.2], pa.float64()),
        ChargePeriodStart=pa.array([datetime(2026, 10, 5, 3)], pa.timestamp("us", "Europe/Berlin")),
        ChargePeriodEnd=pa.array([datetime(2026, 10, 5, 4)], pa.timestamp("ms")),
        BillingPeriodStart=pa.array([date(2026, 10, 1)]),
        Tags=pa.array([list(HOSTILE.items())], pa.map_(pa.string(), pa.string())),
    )
    (row,), notes = read(step, "b.parquet")
    assert row["billed_cost"] == Decimal("0.123456789012345678")
    assert row["effective_cost"] == Decimal("1.81e-8")
    assert row["list_cost"] == 3
    assert row["consumed_quantity"] == Decimal("0.30000000000000004")
    assert row["charge_period_start"] == datetime(2026, 10, 5, 3)
    assert row["billing_period"] == date(2026, 10, 1)
    assert dict(row["labels"]) == HOSTILE
    assert notes == {}


def test_digits_beyond_the_18th_are_rounded_and_told(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "b.csv", [line(BilledCost="0.1234567890123456785"), line(BilledCost="1.5e-20", SkuId="2")])
    rows, notes = read(step)
    assert {row["billed_cost"] for row in rows} == {Decimal("0.123456789012345679"), Decimal(0)}
    assert notes == {"amounts_rounded_to_18_decimals": 2}
    cells = line(BilledCost="0,1234567890123456785", EffectiveCost="", ListCost="", ConsumedQuantity="")
    (tmp_path / "c.csv").write_text("\n".join([";".join(cells), ";".join(cells.values())]))
    rows, notes = read(step, "c.csv")
    assert [row["billed_cost"] for row in rows] == [Decimal("0.123456789012345679")]
    assert notes == {"amounts_rounded_to_18_decimals": 1}


def test_a_charge_longer_than_a_day_stays_one_row_on_its_first_day(step: StepContext, tmp_path: Path) -> None:
    tax = line(ChargePeriodStart="2026-10-01 00:00:00", ChargePeriodEnd="2026-11-01 00:00:00", ChargeCategory="tax")
    write(tmp_path / "b.csv", [tax])
    (row,), _ = read(step)
    assert (row["day"], row["charge_category"], row["billed_cost"]) == (date(2026, 10, 1), "Tax", Decimal("1.5"))


MALFORMED = [
    ("a line", {"BilledCost": "12 apples"}, None, "no readable BilledCost; one holds '12 apples'"),
    ("a line", {"BilledCost": "NULL"}, None, "no readable BilledCost; one holds nothing"),
    ("a line", {"EffectiveCost": "n/a"}, None, "no readable EffectiveCost"),
    ("a line", {"ChargePeriodStart": "10/05/2026"}, None, "no readable ChargePeriodStart; one holds '10/05/2026'"),
    ("a line", {"ChargePeriodEnd": ""}, None, "no readable ChargePeriodEnd"),
    ("a line", {"ProviderName": ""}, None, "no readable ProviderName"),
    ("a line", {"ChargeCategory": "Gift"}, None, "no readable ChargeCategory; one holds 'Gift'"),
    ("a line", {"BillingCurrency": "$"}, None, "no readable BillingCurrency; one holds '$'"),
    ("a column", {}, ["BilledCost"], "has no column BilledCost"),
    ("columns", {}, ["ProviderName", "BillingPeriodStart"], "has no column BillingPeriodStart, ProviderName or Serv"),
]


@pytest.mark.parametrize(("what", "changed", "without", "said"), MALFORMED)
def test_a_bill_that_cannot_be_read_in_full_is_refused(
    step: StepContext, tmp_path: Path, what: str, changed: dict[str, str], without: Sequence[str] | None, said: str
) -> None:
    columns = [column for column in LINE if column not in (without or ())]
    write(tmp_path / "b.csv", [line(), line(**changed)], columns)
    with pytest.raises(MalformedError, match=r"b\.csv: ") as error:
        read(step)
    assert said in str(error.value)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("BilledCost", pa.array([True]), "column BilledCost holds BOOLEAN where a number belongs"),
        ("ChargePeriodStart", pa.array([1759633200]), "column ChargePeriodStart holds BIGINT where a time belongs"),
        ("Tags", pa.array([3.5]), "column Tags holds DOUBLE where tags"),
        ("BilledCost", pa.array(["12 apples"]), "no readable BilledCost; one holds '12 apples'"),
    ],
)
def test_a_retyped_parquet_column_is_refused(
    step: StepContext, tmp_path: Path, column: str, values: pa.Array, said: str
) -> None:
    _parquet(tmp_path / "b.parquet", **{column: values})
    with pytest.raises(MalformedError, match=r"b\.parquet: ") as error:
        read(step, "b.parquet")
    assert said in str(error.value)


def test_a_parquet_without_a_mandatory_column_is_refused(step: StepContext, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({name: [value] for name, value in LINE.items() if name != "BilledCost"}), tmp_path / "b.parquet"
    )
    with pytest.raises(MalformedError, match="this FOCUS bill has no column BilledCost"):
        read(step, "b.parquet")


@pytest.mark.parametrize("cut", [4, 8, 200, 2_000])
def test_a_truncated_gzip_is_refused_even_where_the_cut_is_between_lines(
    step: StepContext, tmp_path: Path, cut: int
) -> None:
    whole = write(tmp_path / "b.csv.gz", [line(SkuId=str(n * 7919 % 10007)) for n in range(2_000)]).read_bytes()
    (tmp_path / "b.csv.gz").write_bytes(whole[:-cut])
    with pytest.raises(MalformedError, match=r"b\.csv\.gz: the gzip file is truncated"):
        read(step, "b.csv.gz")


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("b.csv", b"", "is empty"),
        ("b.csv", b"\x00\x01\x02", "NUL byte in line 1"),
        ("b.csv", b"PK\x03\x04", "a zip archive or an Excel workbook"),
        ("b.csv", b"a" * (3 << 20), "has a header without end"),
        ("b.csv.gz", gzip.compress(gzip.compress(b"a,b\n", mtime=0), mtime=0), "packed with gzip twice"),
        (
            "b.csv",
            b"BilledCost,ChargeType,BillingCurrency,BillingPeriodStart,ChargePeriodEnd,ChargePeriodStart\n"
            b"1,2,3,4,5,6\n",
            "preview FOCUS 0.5",
        ),
        ("b.parquet", b"PAR1 and no more", "cannot be read"),
        ("b.csv", b"a,b,c\n1,2,3\n", "no FOCUS bill and no AWS Cost and Usage Report; its columns begin a, b, c"),
        ("b.csv", b"BilledCost,BilledCost\n1,2\n", "the header names BilledCost twice"),
    ],
)
def test_foreign_bytes_are_refused(step: StepContext, tmp_path: Path, name: str, body: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(MalformedError) as error:
        read(step, name)
    assert f"{name}: " in str(error.value)
    assert said in str(error.value)


DETAILS = {
    "ChargeClass": "correction",
    "ChargeDescription": "p5.48xlarge Linux",
    "CommitmentDiscountId": "arn:aws:savingsplans::1:savingsplan/a",
    "CommitmentDiscountStatus": "Used",
    "InvoiceIssuerName": "Amazon Web Services EMEA SARL",
    "ListUnitPrice": "98.32",
    "PricingQuantity": "1.50",
    "PricingUnit": "Hrs",
    "ProviderName": "AWS",
    "PublisherName": "AWS",
    "ResourceType": "instance",
    "SkuPriceId": "SKU1.JRTCKXETXF.6YS6EN2CT7",
    "x_InstanceType": "p5.48xlarge",
    "x_UsageType": "EUC1-BoxUsage:p5.48xlarge",
}
IN_1_2 = {
    "InvoiceId": "INV-1",
    "SkuMeter": "EUC1-BoxUsage:p5.48xlarge",
    "SkuPriceDetails": '{"InstanceType": "p5.48xlarge", "CoreCount": 192}',
}
IN_1_3 = {
    "AllocatedMethodDetails": "",
    "AllocatedMethodId": "",
    "AllocatedResourceId": "",
    "AllocatedResourceName": "",
    "AllocatedTags": "",
    "HostProviderName": "AWS",
    "ServiceProviderName": "AWS",
}
VERSIONS = {
    "1.0": line(**DETAILS),
    "1.2": line(**DETAILS, **IN_1_2),
    "1.3": line(**DETAILS, **IN_1_2, **IN_1_3),
    "1.4": {k: v for k, v in line(**DETAILS, **IN_1_2, **IN_1_3).items() if k not in ("ProviderName", "PublisherName")},
}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_of_focus_gives_the_same_charge(step: StepContext, tmp_path: Path, version: str) -> None:
    write(tmp_path / "b.csv", [VERSIONS[version]])
    (row,), notes = read(step)
    assert notes == {}
    assert row.pop("invoice_id") == (None if version == "1.0" else "INV-1")
    wanted = {
        "provider": "aws",
        "publisher": "AWS",
        "billing_account_id": "111111111111",
        "resource_type": "instance",
        "instance_type": "p5.48xlarge",
        "sku_meter": "EUC1-BoxUsage:p5.48xlarge",
        "sku_price_id": "SKU1.JRTCKXETXF.6YS6EN2CT7",
        "charge_class": "Correction",
        "charge_description": "p5.48xlarge Linux",
        "commitment_discount_id": "arn:aws:savingsplans::1:savingsplan/a",
        "commitment_discount_status": "Used",
        "pricing_quantity": Decimal("1.5"),
        "pricing_unit": "Hrs",
        "list_unit_price": Decimal("98.32"),
        "billed_cost": Decimal("1.5"),
    }
    assert {column: row[column] for column in wanted} == wanted


@pytest.mark.parametrize("version", VERSIONS)
def test_a_marketplace_line_belongs_to_the_cloud_that_bills_it_in_every_version(
    step: StepContext, tmp_path: Path, version: str
) -> None:
    bought = {"PublisherName": "Anthropic, PBC", "ServiceProviderName": "Anthropic, PBC", "HostProviderName": "Other"}
    sold = VERSIONS[version]
    write(tmp_path / "b.csv", [{**sold, **{column: name for column, name in bought.items() if column in sold}}])
    (row,), _ = read(step)
    assert (row["provider"], row["publisher"]) == ("aws", "Anthropic, PBC")


@pytest.mark.parametrize(
    ("issuer", "service", "host", "provider"),
    [
        ("Snowflake Inc.", "Snowflake", "AWS", "snowflake"),
        ("Breezy Bytes", "Microsoft", "Microsoft", "azure"),
        ("Google Cloud EMEA Limited", "MongoDB", "MongoDB", "gcp"),
        ("Googleplex Catering", "MongoDB", "MongoDB", "mongodb"),
        ("", "", "Oracle", "oracle"),
        ("", "Amazon Web Services EMEA SARL", "", "aws"),
        ("AWS India", "Databricks", "", "aws"),
    ],
)
def test_without_a_provider_name_the_service_provider_counts_unless_a_cloud_invoices(
    step: StepContext, tmp_path: Path, issuer: str, service: str, host: str, provider: str
) -> None:
    named = {"InvoiceIssuerName": issuer, "ServiceProviderName": service, "HostProviderName": host}
    write(tmp_path / "b.csv", [{**VERSIONS["1.4"], **named}])
    assert [row["provider"] for row in read(step)[0]] == [provider]


def test_a_line_without_any_provider_is_refused_by_the_name_its_version_has(step: StepContext, tmp_path: Path) -> None:
    nobody = dict.fromkeys(("InvoiceIssuerName", "ServiceProviderName", "HostProviderName"), "")
    write(tmp_path / "b.csv", [{**VERSIONS["1.4"], **nobody}])
    with pytest.raises(MalformedError, match="no readable ServiceProviderName"):
        read(step)


def share(cost: str, quantity: str, pod: str) -> dict[str, str]:
    allocated = {"AllocatedMethodId": "m1", "AllocatedResourceId": pod, "AllocatedTags": f'{{"project": "{pod}"}}'}
    return {
        **VERSIONS["1.4"],
        **allocated,
        "BilledCost": cost,
        "EffectiveCost": cost,
        "ConsumedQuantity": quantity,
    }


def test_shares_of_a_split_charge_count_once_with_the_tags_of_what_they_are_split_to(
    step: StepContext, tmp_path: Path
) -> None:
    shares = [share("1.0", "0.75", "a"), share("0.5", "0.25", "b")]
    origin = {**VERSIONS["1.4"], "EffectiveCost": "1.5"}
    write(tmp_path / "shares.csv", shares)
    write(tmp_path / "both.csv", [*shares, origin, {**origin, "ResourceId": "i-2"}, {**origin, "SkuPriceId": "other"}])
    rows, notes = read(step, "shares.csv")
    assert notes == {}
    assert sum(row["billed_cost"] for row in rows) == Decimal("1.5")
    assert {dict(row["labels"])["project"] for row in rows} == {"a", "b"}
    rows, notes = read(step, "both.csv")
    assert notes == {"origin_charges_dropped": 1}
    assert sum(row["billed_cost"] for row in rows) == Decimal("4.5")


@pytest.mark.parametrize("changed", [{"BilledCost": "1.51"}, {"ConsumedQuantity": "1.01"}, {"EffectiveCost": "1.49"}])
def test_a_charge_beside_shares_of_another_one_stays(
    step: StepContext, tmp_path: Path, changed: dict[str, str]
) -> None:
    shares = [share("1.0", "0.75", "a"), share("0.5", "0.25", "b")]
    write(tmp_path / "b.csv", [*shares, {**VERSIONS["1.4"], "EffectiveCost": "1.5", **changed}])
    rows, notes = read(step)
    assert len(rows) == 3
    assert notes == {}


@pytest.mark.parametrize(
    ("start", "period"),
    [
        ("2026-10-01T00:00:00Z", date(2026, 10, 1)),
        ("2026-10-01T00:00:00+02:00", date(2026, 10, 1)),
        ("2026-10-01T00:00:00-07:00", date(2026, 10, 1)),
        ("2026-10-15", date(2026, 10, 15)),
    ],
)
def test_a_billing_period_starts_on_its_own_midnights_day(
    step: StepContext, tmp_path: Path, start: str, period: date
) -> None:
    write(tmp_path / "b.csv", [line(BillingPeriodStart=start)])
    assert [row["billing_period"] for row in read(step)[0]] == [period]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"SkuPriceDetails": '{"InstanceType": "NC24rs_v3"}', "x_InstanceType": "other"}, "NC24rs_v3"),
        ({"x_SkuDetails": '{"ServiceType": "Standard_ND96isr_H100_v5"}'}, "Standard_ND96isr_H100_v5"),
        ({"x_UsageType": "BoxUsage:p5.48xlarge"}, "p5.48xlarge"),
        ({"x_UsageType": "USE1-SpotUsage:g6e.12xlarge"}, "g6e.12xlarge"),
        ({"x_UsageType": "USE1-Host:ml.g5.xlarge"}, "ml.g5.xlarge"),
        ({"x_UsageType": "USE1-EBSOptimized:p3.2xlarge"}, None),
        ({"x_UsageType": "EBS:VolumeUsage.gp3"}, None),
        ({"SkuPriceDetails": "", "x_SkuDetails": "{broken"}, None),
    ],
)
def test_the_machine_type_is_found_where_providers_write_it(
    step: StepContext, tmp_path: Path, columns: dict[str, str], found: str | None
) -> None:
    write(tmp_path / "b.csv", [line(**columns)])
    assert [row["instance_type"] for row in read(step)[0]] == [found]


def test_a_machine_type_is_read_from_maps_and_structs_too(step: StepContext, tmp_path: Path) -> None:
    text = pa.map_(pa.string(), pa.string())
    _parquet(tmp_path / "a.parquet", SkuPriceDetails=pa.array([[("InstanceType", "a1.metal")]], text))
    _parquet(tmp_path / "b.parquet", SkuPriceDetails=pa.array([{"InstanceType": "b1.metal"}]))
    assert {row["instance_type"] for row in read(step, "*.parquet", same_lines="keep")[0]} == {"a1.metal", "b1.metal"}


def test_a_gzip_of_several_members_is_read_to_its_end(step: StepContext, tmp_path: Path) -> None:
    first = write(tmp_path / "1.csv.gz", [line()]).read_bytes()
    second = write(tmp_path / "2.csv.gz", [line(SkuId="2")]).read_bytes()
    body = gzip.compress(gzip.decompress(second).split(b"\r\n", 1)[1], mtime=0)
    (tmp_path / "b.csv.gz").write_bytes(first + body)
    assert [row["sku_id"] for row in read(step, "b.csv.gz")[0]] == ["SKU1", "2"]
    assert not list(step.folder.rglob("*.csv"))


CUR = {
    "bill/BillingPeriodStartDate": "2026-10-01T00:00:00Z",
    "bill/PayerAccountId": "111111111111",
    "lineItem/UsageAccountId": "222222222222",
    "lineItem/LineItemType": "Usage",
    "lineItem/UsageStartDate": "2026-10-05T03:00:00Z",
    "lineItem/UsageEndDate": "2026-10-05T04:00:00Z",
    "lineItem/ProductCode": "AmazonEC2",
    "lineItem/UsageAmount": "1.0",
    "lineItem/CurrencyCode": "USD",
    "lineItem/UnblendedCost": "1.81E-8",
    "product/regionCode": "eu-central-1",
    "product/ProductName": "Amazon Elastic Compute Cloud",
    "pricing/unit": "Hrs",
    "reservation/ReservationARN": "",
    "reservation/EffectiveCost": "",
    "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod": "",
    "reservation/UnusedRecurringFee": "",
    "savingsPlan/SavingsPlanEffectiveCost": "",
    "savingsPlan/TotalCommitmentToDate": "",
    "savingsPlan/UsedCommitment": "",
    "resourceTags/user:team": "nlp",
    "resourceTags/aws:createdBy": "root",
}
CUR_RULES = [
    ("Usage", {}, "Usage", "1.81e-8"),
    ("Tax", {}, "Tax", "1.81e-8"),
    ("Credit", {}, "Credit", "1.81e-8"),
    ("Refund", {}, "Credit", "1.81e-8"),
    ("SavingsPlanCoveredUsage", {"savingsPlan/SavingsPlanEffectiveCost": "0.5"}, "Usage", "0.5"),
    ("SavingsPlanNegation", {}, "Adjustment", "0"),
    ("SavingsPlanUpfrontFee", {}, "Purchase", "0"),
    (
        "SavingsPlanRecurringFee",
        {"savingsPlan/TotalCommitmentToDate": "10", "savingsPlan/UsedCommitment": "9.5"},
        "Purchase",
        "0.5",
    ),
    ("DiscountedUsage", {"reservation/EffectiveCost": "0.25"}, "Usage", "0.25"),
    ("DiscountedUsage", {}, "Usage", None),
    (
        "RIFee",
        {"reservation/UnusedAmortizedUpfrontFeeForBillingPeriod": "1", "reservation/UnusedRecurringFee": "0.5"},
        "Purchase",
        "1.5",
    ),
    ("Fee", {"reservation/ReservationARN": "arn:aws:ec2:1"}, "Purchase", "0"),
    ("Fee", {}, "Purchase", "1.81e-8"),
    ("EdpDiscount", {}, "Adjustment", "1.81e-8"),
]


@pytest.mark.parametrize(("kind", "cells", "category", "effective"), CUR_RULES)
def test_cost_and_usage_report_lines_follow_the_rules_of_their_type(
    step: StepContext, tmp_path: Path, kind: str, cells: dict[str, str], category: str, effective: str | None
) -> None:
    write(tmp_path / "b.csv", [{**CUR, "lineItem/LineItemType": kind, **cells}])
    (row,), _ = read(step)
    assert row["billed_cost"] == Decimal("1.81e-8")
    assert row["charge_category"] == category
    assert row["effective_cost"] == (None if effective is None else Decimal(effective))
    assert row["consumed_quantity"] == (Decimal(1) if category == "Usage" else None)
    assert dict(row["labels"]) == {"team": "nlp", "aws:createdBy": "root"}
    assert (row["service_name"], row["service_category"]) == ("Amazon Elastic Compute Cloud", "Compute")


def test_cur_2_names_and_maps_mean_the_same(step: StepContext, tmp_path: Path) -> None:
    names = {
        "bill/BillingPeriodStartDate": "bill_billing_period_start_date",
        "bill/PayerAccountId": "bill_payer_account_id",
        "lineItem/UsageAccountId": "line_item_usage_account_id",
        "lineItem/LineItemType": "line_item_line_item_type",
        "lineItem/UsageStartDate": "line_item_usage_start_date",
        "lineItem/UsageEndDate": "line_item_usage_end_date",
        "lineItem/ProductCode": "line_item_product_code",
        "lineItem/UsageAmount": "line_item_usage_amount",
        "lineItem/CurrencyCode": "line_item_currency_code",
        "lineItem/UnblendedCost": "line_item_unblended_cost",
        "product/regionCode": "product_region_code",
        "pricing/unit": "pricing_unit",
    }
    text = pa.map_(pa.string(), pa.string())
    columns = {new: pa.array([CUR[old]]) for old, new in names.items()}
    columns["line_item_unblended_cost"] = pa.array([1.81e-8])
    columns["resource_tags"] = pa.array([[("user_team", "nlp"), ("aws:createdBy", "root")]], text)
    columns["product"] = pa.array([[("product_name", "Amazon Elastic Compute Cloud")]], text)
    pq.write_table(pa.table(columns), tmp_path / "b.parquet")
    write(tmp_path / "old" / "b.csv", [CUR])
    (new,), _ = read(step, "b.parquet")
    (old,), _ = read(step, "old/b.csv")
    assert new.pop("raw_sha256") != old.pop("raw_sha256")
    assert dict(new.pop("labels")) == dict(old.pop("labels"))
    assert new == old


CUR_DETAILS = {
    "bill/InvoiceId": "INV-1",
    "lineItem/LegalEntity": "Amazon Web Services EMEA SARL",
    "lineItem/LineItemDescription": "p5.48xlarge Linux",
    "lineItem/ResourceId": "i-1",
    "lineItem/UsageType": "EUC1-BoxUsage:p5.48xlarge",
    "pricing/RateCode": "SKU1.JRTCKXETXF.6YS6EN2CT7",
    "pricing/publicOnDemandRate": "98.3200000000",
    "product/instanceType": "p5.48xlarge",
    "product/sku": "SKU1",
    "savingsPlan/SavingsPlanARN": "arn:aws:savingsplans::1:savingsplan/a",
}


@pytest.mark.parametrize("spelled", ["legacy", "2.0"])
def test_a_cost_and_usage_report_fills_what_estimates_need(step: StepContext, tmp_path: Path, spelled: str) -> None:
    import re

    cells = {**CUR, **CUR_DETAILS, "lineItem/LineItemType": "SavingsPlanCoveredUsage"}
    if spelled == "2.0":
        snake = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).replace("/", "_").lower(): column for column in cells}
        cells = {new: cells[old] for new, old in snake.items() if ":" not in new}
    write(tmp_path / "b.csv", [cells])
    (row,), _ = read(step)
    wanted = {
        "publisher": "Amazon Web Services EMEA SARL",
        "billing_account_id": "111111111111",
        "account_id": "222222222222",
        "invoice_id": "INV-1",
        "resource_type": "instance",
        "instance_type": "p5.48xlarge",
        "sku_id": "SKU1",
        "sku_meter": "EUC1-BoxUsage:p5.48xlarge",
        "sku_price_id": "SKU1.JRTCKXETXF.6YS6EN2CT7",
        "charge_class": None,
        "charge_description": "p5.48xlarge Linux",
        "commitment_discount_id": "arn:aws:savingsplans::1:savingsplan/a",
        "commitment_discount_status": "Used",
        "pricing_quantity": Decimal(1),
        "pricing_unit": "Hrs",
        "list_unit_price": Decimal("98.32"),
    }
    assert {column: row[column] for column in wanted} == wanted


def test_lines_that_split_the_line_of_their_instance_are_left_out_and_told(step: StepContext, tmp_path: Path) -> None:
    pod = {"lineItem/ResourceId": "arn:aws:eks:eu-central-1:2:pod/c/n/p", "splitLineItem/ParentResourceId": "i-1"}
    node = {"lineItem/ResourceId": "i-1", "splitLineItem/ParentResourceId": ""}
    write(tmp_path / "b.csv", [{**CUR, **node}, {**CUR, **pod}, {**CUR, **pod}])
    rows, notes = read(step)
    assert [row["resource_id"] for row in rows] == ["i-1"]
    assert notes == {"split_line_items_dropped": 2}


def test_a_wanted_layout_is_not_guessed(step: StepContext, tmp_path: Path) -> None:
    write(tmp_path / "b.csv", [line()])
    with pytest.raises(MalformedError, match="this is no AWS Cost and Usage Report"):
        read(step, layout="aws_cur")

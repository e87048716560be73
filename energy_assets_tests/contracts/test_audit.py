"""The audit: every kind of rule counts what breaks it, and the fingerprint depends on the rows alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pytest
from pandera.ibis import DataFrameModel, Field

from energy_assets.contracts import raw, tables
from energy_assets.contracts import types as t
from energy_assets.contracts.audit import EXAMPLES, RULES, ContractError, audit, conform, schema_of
from energy_assets_tests.rows import READING, table

DAYS = [date(2024, 5, 9), date(2024, 5, 10)]


class Everything(DataFrameModel):
    """One column per kind of rule."""

    day: t.DAY = Field()
    name: t.TEXT = Field()
    above: t.COUNT = Field(nullable=True, gt=0)
    at_least: t.COUNT = Field(nullable=True, ge=0)
    below: t.COUNT = Field(nullable=True, lt=100)
    at_most: t.MEASURED = Field(nullable=True, le=100)
    kind: t.TEXT = Field(nullable=True, isin=["a", "b"])
    code: t.TEXT = Field(nullable=True, str_matches="^[0-9a-f]{4}$")

    class Config:
        """Grain."""

        unique: ClassVar = ["day", "name"]
        name = "everything"


GOOD = {
    "day": DAYS[0], "name": "n", "above": 1, "at_least": 0, "below": 99, "at_most": Decimal(100),
    "kind": "a", "code": "00ff",
}  # fmt: skip


def everything(*rows: dict[str, Any]) -> ir.Table:
    schema = schema_of(Everything).to_pyarrow()
    named = [{**GOOD, "name": f"n{number}", **row} for number, row in enumerate(rows)]
    return ibis.memtable(pa.Table.from_pylist(named, schema=schema))


def breach(rows: ir.Table, model: Any = Everything) -> ContractError:
    with pytest.raises(ContractError) as caught:
        audit(conform(rows, model), model)
    return caught.value


@pytest.mark.parametrize(
    ("column", "bad", "rule"),
    [
        ("above", 0, "above.greater_than"),
        ("at_least", -1, "at_least.greater_than_or_equal_to"),
        ("below", 100, "below.less_than"),
        ("at_most", Decimal("100.000000001"), "at_most.less_than_or_equal_to"),
        ("kind", "c", "kind.isin"),
        ("code", "00FF", "code.str_matches"),
        ("code", "00ff0", "code.str_matches"),
        ("name", None, "name.not_null"),
        ("day", None, "day.not_null"),
    ],
)
def test_every_kind_of_rule_counts_its_offenders_and_shows_them(column: str, bad: Any, rule: str) -> None:
    error = breach(everything({}, {column: bad}, {column: bad, "day": DAYS[1]} if column != "day" else {column: bad}))
    assert error.violations == {rule: 2}
    assert [row[column] for row in error.examples] == [bad, bad]
    assert f"{rule}: 2 rows" in str(error)
    assert "was not published" in str(error)


def test_the_table_of_rules_above_is_complete() -> None:
    used = {check.name for column in Everything.to_schema().columns.values() for check in column.checks}
    assert used == set(RULES)


@pytest.mark.parametrize("model", [*vars(raw).values(), *vars(tables).values()])
def test_every_contract_uses_rules_the_audit_knows(model: Any) -> None:
    if not (isinstance(model, type) and issubclass(model, DataFrameModel) and model is not DataFrameModel):
        return
    used = {check.name for column in model.to_schema().columns.values() for check in column.checks}
    assert used <= set(RULES)


def test_unknown_is_allowed_where_the_contract_says_so() -> None:
    optional = dict.fromkeys(("above", "at_least", "below", "at_most", "kind", "code"))
    assert audit(everything({}, optional), Everything).rows == {DAYS[0]: 2}


def test_at_most_twenty_examples_are_shown_of_any_number() -> None:
    error = breach(everything(*[{"above": 0}] * 50))
    assert error.violations == {"above.greater_than": 50}
    assert len(error.examples) == EXAMPLES == 20


def test_several_broken_rules_are_counted_apart() -> None:
    error = breach(everything({"above": 0, "kind": "c"}, {"kind": "d"}, {}))
    assert error.violations == {"above.greater_than": 1, "kind.isin": 2}
    assert len(error.examples) == 2


def test_rows_that_share_a_key_are_counted_beyond_the_first() -> None:
    error = breach(everything(*[{"name": "twin"}] * 3, {}))
    assert error.violations == {"unique(day, name)": 2}
    assert [row["name"] for row in error.examples] == ["twin"] * 3


def test_a_key_with_an_unknown_part_is_a_key_too() -> None:
    rows = [{"project": None, "value": Decimal(1)}] * 2
    schema = schema_of(tables.KpisDaily).to_pyarrow()
    full = [
        {**dict.fromkeys(schema.names), "day": DAYS[0], "kpi": "k", "grain": "total", "unit": "u", **r} for r in rows
    ]
    error = breach(ibis.memtable(pa.Table.from_pylist(full, schema=schema)), tables.KpisDaily)
    assert list(error.violations.values()) == [1]
    assert len(error.examples) == 2


def changed(change: Callable[[ir.Table], ir.Table]) -> dict[str, int]:
    return breach(change(everything({}))).violations


def test_a_missing_an_extra_and_a_retyped_column_are_named() -> None:
    assert changed(lambda rows: rows.drop("kind")) == {"kind.missing": 1}
    assert changed(lambda rows: rows.mutate(surprise=1)) == {"surprise.not_in_contract": 1}
    (retyped,) = changed(lambda rows: rows.mutate(at_most=rows.at_most.cast("float64")))
    assert retyped == "at_most.type is float64, contract says decimal(18, 9)"
    (text,) = changed(lambda rows: rows.mutate(above=rows.above.cast("string")))
    assert text.startswith("above.type is string, contract says int64")
    (fraction,) = changed(lambda rows: rows.mutate(above=ibis.literal("0.5").cast("decimal(9, 3)")))
    assert fraction.startswith("above.type is decimal(9, 3), contract says int64")


def test_columns_come_out_in_the_contracts_order_and_types() -> None:
    mixed = everything({}).mutate(at_most=ibis.literal(7).cast("int16"), above=ibis.literal(3).cast("decimal(38, 0)"))
    conformed = conform(mixed.select(*reversed(mixed.columns)), Everything)
    assert conformed.schema() == schema_of(Everything)


def shuffled(seed: int) -> pa.Table:
    rows = [{**READING, "device_id": f"d{n}", "energy_kwh": Decimal(n) / 8, "day": DAYS[n % 2]} for n in range(200)]
    random.Random(seed).shuffle(rows)  # noqa: S311
    made: pa.Table = table(raw.EnergyReadings, rows).to_pyarrow()
    return made


def test_the_fingerprint_depends_on_the_rows_not_on_their_order_or_files(tmp_path: Path) -> None:
    whole = audit(ibis.memtable(shuffled(1)), raw.EnergyReadings)
    con = ibis.duckdb.connect(threads=2)
    con.raw_sql("SET TimeZone = 'UTC'")
    for number in range(7):
        part = ibis.memtable(shuffled(2).slice(number * 30, 30))
        con.to_parquet(part, tmp_path / f"{number}.parquet")
    files = audit(con.read_parquet(str(tmp_path / "*.parquet")), raw.EnergyReadings)
    assert set(whole.fingerprints) == set(DAYS)
    assert files == whole


@pytest.mark.parametrize(
    "change",
    [
        {"energy_kwh": Decimal("1.000000001")},
        {"energy_kwh": None},
        {"labels": {"a": "b"}},
        {"device_model": ""},
        {"hour": datetime(2024, 5, 9, 1)},
    ],
)
def test_the_fingerprint_changes_with_any_cell(change: dict[str, Any]) -> None:
    prints = {audit(table(raw.EnergyReadings, [row]), raw.EnergyReadings).fingerprints[DAYS[0]] for row in ({}, change)}
    assert len(prints) == 2


def test_a_row_more_or_twice_is_another_fingerprint() -> None:
    """Rows that cancel out in an exclusive or must still count."""
    charges = [table(raw.Charges, [{}] * number) for number in (1, 2, 3)]
    prints = [audit(rows, raw.Charges).fingerprints[DAYS[0]] for rows in charges]
    assert len(set(prints)) == 3


def test_an_empty_table_keeps_its_contract() -> None:
    assert audit(table(raw.EnergyReadings, []), raw.EnergyReadings).rows == {}

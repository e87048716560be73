"""The audit of a table against its contract: a few aggregate queries, pass or fail.

A pandera model is the one description of a table. Here it becomes one Ibis aggregate over all rows (rows, distinct
keys and content fingerprint per partition, and whether a row breaks a rule) and one over the distinct values of
the columns with a list or a pattern. Only of a breach are the violations of every rule counted. Validating through
pandera itself would pull one boolean per row out of the engine as soon as a single row fails.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

RULES: dict[str, Callable[[ir.Value, Mapping[str, Any]], ir.BooleanValue]] = {
    "greater_than": lambda column, s: column > s["min_value"],
    "greater_than_or_equal_to": lambda column, s: column >= s["min_value"],
    "less_than": lambda column, s: column < s["max_value"],
    "less_than_or_equal_to": lambda column, s: column <= s["max_value"],
    "isin": lambda column, s: column.isin(list(s["allowed_values"])),
    "str_matches": lambda column, s: column.re_search(_pattern_text(s["pattern"])),
}
"""How each pandera check a contract may use reads as an Ibis expression that is true for a good value."""

BY_VALUE = frozenset({"isin", "str_matches"})
"""Checks that are dear to try and have few distinct values to be tried on."""

EXAMPLES = 20


class ContractError(Exception):
    """A table breaks its contract; nothing of it was published.

    Attributes:
        table: Name of the table.
        violations: Offending rows per rule.
        examples: Up to 20 offending rows.
    """

    def __init__(self, table: str, violations: Mapping[str, int], examples: list[dict[str, Any]]) -> None:
        rules = ", ".join(f"{rule}: {count:,} rows" for rule, count in violations.items())
        super().__init__(f"{table} breaks its contract and was not published ({rules})")
        self.table = table
        self.violations = dict(violations)
        self.examples = examples


@dataclass(frozen=True)
class Audited:
    """A table that keeps its contract: rows and fingerprint of each partition.

    The fingerprint depends on the set of rows alone, not on their order or the files they lie in.
    """

    rows: Mapping[date, int] = field(default_factory=dict)
    fingerprints: Mapping[date, str] = field(default_factory=dict)


def schema_of(model: Any) -> ibis.Schema:
    """The Ibis schema of a contract, all columns nullable as engines return them."""
    return ibis.schema({name: _dtype(column) for name, column in model.to_schema().columns.items()})


def partition_of(model: Any) -> str:
    """The date column a table is partitioned by: `day`, or `month` for monthly tables."""
    return "month" if "month" in model.to_schema().columns else "day"


def conform(table: ir.Table, model: Any) -> ir.Table:
    """The table with exactly the contract's columns, in its order and types.

    Raises:
        ContractError: a column is missing, not in the contract, or of another kind of type.
    """
    wanted, found = schema_of(model), table.schema()
    name = model.to_schema().name
    faults = {f"{column}.missing": 1 for column in wanted if column not in found}
    faults |= {f"{column}.not_in_contract": 1 for column in found if column not in wanted}
    faults |= {
        f"{column}.type is {found[column]}, contract says {wanted[column]}": 1
        for column in wanted
        if column in found and not _castable(found[column], wanted[column])
    }
    if faults:
        raise ContractError(name, faults, [])
    return table.select(**{column: table[column].cast(dtype) for column, dtype in wanted.items()})


def audit(table: ir.Table, model: Any, proven: Collection[str] = ()) -> Audited:
    """Count the violations of every rule of `model` and fingerprint each partition of `table`.

    Args:
        table: Rows that are cheap to scan more than once, as staged files are.
        model: Their contract.
        proven: Names of rules that are known to be kept (see `statistics.proven`) and need not be tried.

    Raises:
        ContractError: a rule is broken.
    """
    partition, rules = partition_of(model), {name: rule for name, rule in _rules(model).items() if name not in proven}
    key = list(model.to_schema().unique or [])
    by_row, by_value = _split(rules)
    parts = _contents(table, partition, key, by_row.values()).to_pyarrow().to_pylist()
    broken = _offenders(_times(table, by_value), by_value)
    if any(part["offended"] for part in parts):
        broken = _offenders(table.mutate(times=1), by_row) | broken
    # Two different keys may share a 64-bit hash: a suspicion is settled by grouping on the key itself.
    if any(part["rows"] != part["keys"] for part in parts if key) and (doubles := _doubles(table, key)):
        broken[f"unique({', '.join(key)})"] = doubles
    if broken:
        raise ContractError(model.to_schema().name, broken, _examples(table, rules, key, broken))
    return Audited(
        {part[partition]: part["rows"] for part in parts},
        {part[partition]: f"{part['content_xor']:016x}{part['content_sum']:016x}" for part in parts},
    )


def _contents(table: ir.Table, partition: str, key: list[str], rules: Iterable[_Rule]) -> ir.Table:
    """Rows, content and distinct keys of each partition, and whether any row breaks a rule, in one scan.

    Of an hourly key the hours of one thing are bits of one number, so a day has 24 times fewer groups to hold
    than rows. An hour that is no start of an hour may share its bit, which is a suspicion like any other.
    """
    hourly = "hour" in key
    things = [name for name in key if name != "hour"]
    rows = table.select(
        partition,
        content=_row_hash(table, list(table.columns)),
        thing=_row_hash(table, things) if things else ibis.literal(0),
        offends=ibis.or_(*(rule.offends(table[rule.column]) for rule in rules)),
        slot=ibis.literal(1).cast("int64") << (table.hour.hour().cast("int64") if hourly else 0),
    )
    things_of_a_day = rows.group_by([partition, "thing"]).aggregate(
        rows=rows.count(),
        content_xor=rows.content.bit_xor(),
        content_sum=(rows.content % 4_294_967_296).cast("int64").sum().cast("int64"),
        slots=rows.slot.bit_or(),
        offended=rows.offends.any(),
    )
    return things_of_a_day.group_by(partition).aggregate(
        rows=things_of_a_day.rows.sum(),
        content_xor=things_of_a_day.content_xor.bit_xor(),
        content_sum=things_of_a_day.content_sum.sum(),
        keys=_bit_count(things_of_a_day.slots).sum(),
        offended=things_of_a_day.offended.any(),
    )


@dataclass(frozen=True)
class _Rule:
    """One rule of a column: `offends` is true for a bad value, and never for NULL unless NULL is what is bad."""

    column: str
    offends: Callable[[ir.Value], ir.BooleanValue]
    by_value: bool = False


def _rules(model: Any) -> dict[str, _Rule]:
    rules: dict[str, _Rule] = {}
    for name, column in model.to_schema().columns.items():
        if not column.nullable:
            rules[f"{name}.not_null"] = _Rule(name, lambda value: value.isnull())
        for check in column.checks:
            offends = functools.partial(_offends, check.name, check.statistics)
            rules[f"{name}.{check.name}"] = _Rule(name, offends, check.name in BY_VALUE)
    return rules


def _offends(check: str, statistics: Mapping[str, Any], value: ir.Value) -> ir.BooleanValue:
    return ~RULES[check](value, statistics)


def _split(rules: Mapping[str, _Rule]) -> tuple[dict[str, _Rule], dict[str, _Rule]]:
    """Rules to try on each row, and those to try once per value."""
    by_row = {name: rule for name, rule in rules.items() if not rule.by_value}
    return by_row, {name: rule for name, rule in rules.items() if rule.by_value}


def _times(table: ir.Table, rules: Mapping[str, _Rule]) -> ir.Table:
    """The values of the rules' columns that occur together, and how many `times` they do."""
    columns = list(dict.fromkeys(rule.column for rule in rules.values()))
    return table.group_by(columns).aggregate(times=table.count()) if columns else table.mutate(times=1)


def _offenders(table: ir.Table, rules: Mapping[str, _Rule]) -> dict[str, int]:
    """How many rows break each rule that is broken, of a table whose rows stand for `times` rows each."""
    if not rules:
        return {}
    bad = {name: table.times.sum(where=rule.offends(table[rule.column])) for name, rule in rules.items()}
    (counts,) = table.aggregate(**bad).to_pyarrow().to_pylist()
    return {name: int(count) for name, count in counts.items() if count}


def _doubles(table: ir.Table, key: list[str]) -> int:
    repeated = table.group_by(key).aggregate(n=table.count()).filter(lambda t: t.n > 1)
    return int(repeated.aggregate(doubles=(repeated.n - 1).sum()).to_pyarrow()["doubles"][0].as_py() or 0)


def _examples(
    table: ir.Table, rules: Mapping[str, _Rule], key: list[str], broken: Mapping[str, int]
) -> list[dict[str, Any]]:
    bad = [rules[name].offends(table[rules[name].column]) for name in broken if name in rules]
    if bad:
        found = table.filter(functools.reduce(lambda a, b: a | b, bad))
    else:
        repeated = table.group_by(key).aggregate(n=table.count()).filter(lambda t: t.n > 1).drop("n")
        found = table.semi_join(repeated, [table[c].identical_to(repeated[c]) for c in key])
    rows: list[dict[str, Any]] = found.limit(EXAMPLES).to_pyarrow().to_pylist()
    return rows


def _row_hash(table: ir.Table, columns: list[str]) -> ir.IntegerValue:
    values = [table[column] for column in columns]
    return _hash_function(tuple(value.type() for value in values))(*values)


@functools.cache
def _hash_function(dtypes: tuple[dt.DataType, ...]) -> Callable[..., ir.IntegerValue]:
    """DuckDB's variadic `hash` for columns of these types, which Ibis wants spelled out."""

    def row_hash(*_: Any) -> Any:
        """Filled in by the engine."""

    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    row_hash.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(f"column_{n}", positional) for n in range(len(dtypes))]
    )
    made: Callable[..., ir.IntegerValue] = ibis.udf.scalar.builtin(row_hash, name="hash", signature=(dtypes, dt.uint64))
    return made


def _dtype(column: Any) -> dt.DataType:
    dtype: dt.DataType = column.dtype.type
    return dtype


def _castable(found: dt.DataType, wanted: dt.DataType) -> bool:
    """Same family of type, so that a cast changes the representation and never the meaning."""
    if found.is_integer() or found.is_decimal():
        # A decimal with digits after the point would be rounded to an integer without a word.
        return wanted.is_decimal() or (wanted.is_integer() and not getattr(found, "scale", None))
    if found.is_null():
        return True
    return type(found) is type(wanted)


def _pattern_text(pattern: Any) -> str:
    return pattern.pattern if isinstance(pattern, re.Pattern) else str(pattern)


def _bit_count(value: ir.IntegerValue) -> ir.IntegerValue:
    """How many bits are set."""

    def count(_: Any) -> Any:
        """Filled in by the engine."""

    counted: ir.IntegerValue = ibis.udf.scalar.builtin(count, name="bit_count", signature=((dt.int64,), dt.int64))(
        value
    )
    return counted

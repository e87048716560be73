"""The audit of a table against its contract: one aggregate query, pass or fail.

A pandera model is the one description of a table. Here it becomes an Ibis aggregate that counts, per partition,
the rows, the violations of every rule and a fingerprint of the content. Validating through pandera itself would
pull one boolean per row out of the engine as soon as a single row fails.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
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


def audit(table: ir.Table, model: Any) -> Audited:
    """Count the violations of every rule of `model` and fingerprint each partition of `table`.

    Raises:
        ContractError: a rule is broken.
    """
    partition, rules = partition_of(model), _rules(table, model)
    identity = _row_hash(table, list(table.columns))
    key = list(model.to_schema().unique or [])
    counts = table.group_by(partition).aggregate(
        rows=table.count(),
        content_xor=identity.bit_xor(),
        content_sum=(identity % 4_294_967_296).cast("int64").sum(),
        **({"keys": _row_hash(table, key).nunique()} if key else {}),
        **{f"rule {name}": (~good).sum() for name, good in rules.items()},
    )
    parts = counts.to_pyarrow().to_pylist()
    broken = {name: sum(part[f"rule {name}"] or 0 for part in parts) for name in rules}
    broken = {name: count for name, count in broken.items() if count}
    # Two different keys may share a 64-bit hash: a suspicion is settled by grouping on the key itself.
    if any(part["rows"] != part["keys"] for part in parts if key) and (doubles := _doubles(table, key)):
        broken[f"unique({', '.join(key)})"] = doubles
    if broken:
        raise ContractError(model.to_schema().name, broken, _examples(table, rules, key, broken))
    return Audited(
        {part[partition]: part["rows"] for part in parts},
        {part[partition]: f"{part['content_xor']:016x}{part['content_sum']:016x}" for part in parts},
    )


def _rules(table: ir.Table, model: Any) -> dict[str, ir.BooleanValue]:
    rules: dict[str, ir.BooleanValue] = {}
    for name, column in model.to_schema().columns.items():
        value = table[name]
        if not column.nullable:
            rules[f"{name}.not_null"] = value.notnull()
        for check in column.checks:
            rules[f"{name}.{check.name}"] = RULES[check.name](value, check.statistics) | value.isnull()
    return rules


def _doubles(table: ir.Table, key: list[str]) -> int:
    repeated = table.group_by(key).aggregate(n=table.count()).filter(lambda t: t.n > 1)
    return int(repeated.aggregate(doubles=(repeated.n - 1).sum()).to_pyarrow()["doubles"][0].as_py() or 0)


def _examples(
    table: ir.Table, rules: Mapping[str, ir.BooleanValue], key: list[str], broken: Mapping[str, int]
) -> list[dict[str, Any]]:
    bad = [~rules[name] for name in broken if name in rules]
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
    if found.is_decimal() or found.is_integer():
        return wanted.is_decimal() or wanted.is_integer()
    if found.is_null():
        return True
    return type(found) is type(wanted)


def _pattern_text(pattern: Any) -> str:
    return pattern.pattern if isinstance(pattern, re.Pattern) else str(pattern)

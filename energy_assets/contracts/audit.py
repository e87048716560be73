"""The audit of a table against its contract: a few aggregate queries, pass or fail.

A pandera model is the one description of a table. Here it becomes one Ibis aggregate over all rows (rows, distinct
keys and content fingerprint per partition, and whether a row breaks a rule) and one over the distinct values of
the columns with a list or a pattern. Only of a breach are the violations of every rule counted, partition by
partition, so that a bad partition is told from its good neighbours. Validating through pandera itself would pull one
boolean per row out of the engine as soon as a single row fails.

Rows that are made one by one of the rows of another table must have the same keys. That takes no counting of distinct
ones: the sum of all keys' hashes is equal, which the fingerprints of both tables hold.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from energy_assets.contracts.fingerprint import contents, fingerprint, keys_in
from energy_assets.counting import counted

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
"""Checks that cost much per row: they are made on the distinct values, of which there are few."""

EXAMPLES = 20


class StoredTable(Protocol):
    """What the lake needs to know of a table.

    Attributes:
        name: As people query it.
        model: Its contract, a pandera model.
        partition: The date column it is partitioned by.
    """

    @property
    def name(self) -> str:
        """As people query it."""

    @property
    def model(self) -> Any:
        """Its contract."""

    @property
    def partition(self) -> str:
        """The date column it is partitioned by."""


class ContractError(Exception):
    """A table breaks its contract; nothing of it was published.

    Attributes:
        table: Name of the table.
        violations: Offending rows per rule.
        examples: Up to 20 offending rows.
    """

    def __init__(self, table: str, violations: Mapping[str, int], examples: list[dict[str, Any]]) -> None:
        rules = ", ".join(f"{rule}: {counted(count, 'row')}" for rule, count in violations.items())
        super().__init__(f"{table} breaks its contract and was not published ({rules})")
        self.table = table
        self.violations = dict(violations)
        self.examples = examples

    @classmethod
    def together(cls, table: str, errors: Iterable[ContractError]) -> ContractError:
        """One error that counts what several partitions of a table break, with the first examples.

        Args:
            table: Name of the table.
            errors: One per partition.
        """
        counts: Counter[str] = Counter()
        examples: list[dict[str, Any]] = []
        for error in errors:
            counts.update(error.violations)
            # Examples of one shape only: rows of a proof have other columns than those of the table.
            alike = [row for row in error.examples if not examples or row.keys() == examples[0].keys()]
            examples += alike[: EXAMPLES - len(examples)]
        return cls(table, counts, examples)


@dataclass(frozen=True)
class Audited:
    """What an audit found, partition by partition.

    A fingerprint depends on the set of rows alone, not on their order or the files they lie in.

    Attributes:
        rows: Rows of each partition, also of those that break the contract.
        fingerprints: Content fingerprint of each partition, see `contracts.fingerprint`.
        rejected: What is wrong with each partition that breaks the contract.
    """

    rows: Mapping[date, int] = field(default_factory=dict)
    fingerprints: Mapping[date, str] = field(default_factory=dict)
    rejected: Mapping[date, ContractError] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What is certain of rows before any of them is looked at (see `statistics.known`).

    Attributes:
        kept: Names of rules that all of them keep.
        single: Columns in which all rows hold the same value: that value as text, None for NULL.
    """

    kept: frozenset[str] = frozenset()
    single: Mapping[str, str | None] = field(default_factory=dict)


NOTHING = Known()


@dataclass(frozen=True)
class Origin:
    """Rows of another table, of each of which exactly one audited row must be made, under the same key.

    Attributes:
        table: Name of that table; its contract has the same key.
        rows: Those of its rows that lie in the partitions to be replaced, with the columns of the key.
        fingerprints: Of its partitions among these, those that have rows.
    """

    table: str
    rows: ir.Table
    fingerprints: Mapping[date, str]


def schema_of(model: Any) -> ibis.Schema:
    """The Ibis schema of a contract, all columns nullable as engines return them.

    Args:
        model: A pandera model.
    """
    return ibis.schema({name: _dtype(column) for name, column in model.to_schema().columns.items()})


def conform(table: ir.Table, model: Any, name: str | None = None) -> ir.Table:
    """The table with exactly the contract's columns, in its order and types.

    Args:
        table: Rows.
        model: Their contract.
        name: Of the table, for the error; None takes the contract's.

    Raises:
        ContractError: a column is missing, not in the contract, or of another kind of type.
    """
    wanted, found = schema_of(model), table.schema()
    faults = {f"{column}.missing": 1 for column in wanted if column not in found}
    faults |= {f"{column}.not_in_contract": 1 for column in found if column not in wanted}
    faults |= {
        f"{column}.type is {found[column]}, contract says {wanted[column]}": 1
        for column in wanted
        if column in found and not _castable(found[column], wanted[column])
    }
    if faults:
        raise ContractError(name or model.to_schema().name, faults, [])
    return table.select(**{column: table[column].cast(dtype) for column, dtype in wanted.items()})


def audit(table: ir.Table, model: Any, partition: str = "day") -> Audited:
    """Count the violations of every rule of `model` and fingerprint each partition; all of it must be good.

    Args:
        table: Rows that are cheap to scan more than once.
        model: Their contract.
        partition: The date column the table is partitioned by.

    Raises:
        ContractError: a rule is broken.
    """
    audited = audit_partitions(table, _Named(model.to_schema().name, model, partition))
    if audited.rejected:
        raise ContractError.together(model.to_schema().name, audited.rejected.values())
    return audited


def audit_partitions(
    rows: ir.Table, table: StoredTable, known: Known = NOTHING, origin: Origin | None = None
) -> Audited:
    """Count the violations of every rule of a table's contract, and fingerprint each of its partitions.

    Args:
        rows: In the contract's columns; cheap to scan more than once, as staged files are.
        table: What they are rows of.
        known: What is certain of the rows, and need not be looked at.
        origin: What each of them is made of, where that is one row each.

    Raises:
        ContractError: rows that lie in no partition, as their date is NULL.
    """
    partition, rules = table.partition, {n: rule for n, rule in _rules(table.model).items() if n not in known.kept}
    key = list(table.model.to_schema().unique or [])
    by_row, by_value = _split(rules)
    offends = ibis.or_(*(rule.offends(rows[rule.column]) for rule in by_row.values())) if by_row else None
    found = contents(rows, partition, key, single=known.single, offends=offends, count_keys=origin is None)
    parts = found.to_pyarrow().to_pylist()
    fingerprints = {part[partition]: fingerprint(part) for part in parts}
    suspected = _broken(rows, by_value) | (by_row if any(part.get("offended") for part in parts) else {})
    violations = _violations(rows, partition, {name: rule for name, rule in rules.items() if name in suspected})
    # Two different keys may share a 64-bit hash: a suspicion is settled by grouping on the key itself.
    doubtful = [part[partition] for part in parts if part.get("keys", part["rows"]) != part["rows"]]
    unmatched: dict[str, ir.Table] = {}
    if origin is not None:
        doubtful = _unlike(fingerprints, origin.fingerprints)
        unmatched = _unmatched(rows, origin, partition, key, doubtful)
    for rule, single in unmatched.items():
        for day, count in _counts(single, partition).items():
            violations[day][rule] = count
    for day, doubles in _doubles(rows, partition, key, doubtful).items():
        violations[day][f"unique({', '.join(key)})"] = doubles
    rejected = {
        day: ContractError(table.name, broken, _examples(rows, partition, day, rules, key, broken, unmatched))
        for day, broken in violations.items()
    }
    if None in rejected:
        raise rejected[None]
    return Audited(
        {part[partition]: part["rows"] for part in parts},
        fingerprints,
        {day: error for day, error in rejected.items() if day is not None},
    )


def _unlike(made: Mapping[date, str], origin: Mapping[date, str]) -> list[date]:
    """The partitions of which the keys of all rows are not certainly those of their origin."""
    keys = {day: keys_in(text) for day, text in origin.items()}
    return [day for day in {**made, **origin} if keys.get(day) is None or keys_in(made.get(day, "")) != keys[day]]


def _unmatched(
    rows: ir.Table, origin: Origin, partition: str, key: list[str], days: Collection[date | None]
) -> dict[str, ir.Table]:
    """The keys of rows that are made of none, and of rows of which none was made, in the partitions `days`."""
    if not days:
        return {}
    named = _within(partition, key)
    some = [day for day in days if day is not None]
    made, there = (every.filter(every[partition].isin(some)).select(*named) for every in (rows, origin.rows))
    return {
        f"no such row in {origin.table}": made.anti_join(there, [made[c].identical_to(there[c]) for c in named]),
        f"row of {origin.table} lost": there.anti_join(made, [there[c].identical_to(made[c]) for c in named]),
    }


@dataclass(frozen=True)
class _Named:
    """A contract's rows that are not stored in the lake."""

    name: str
    model: Any
    partition: str


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


def _broken(rows: ir.Table, rules: Mapping[str, _Rule]) -> dict[str, _Rule]:
    """Which of the rules some row breaks; each tried once on every value of its column."""
    if not rules:
        return {}
    tried = []
    for column in dict.fromkeys(rule.column for rule in rules.values()):
        values = rows.select(column).distinct()
        tried += [
            values.aggregate(rule=ibis.literal(name), offended=rule.offends(values[column]).any())
            for name, rule in rules.items()
            if rule.column == column
        ]
    found = ibis.union(*tried).to_pyarrow().to_pylist()
    return {each["rule"]: rules[each["rule"]] for each in found if each["offended"]}


def _violations(rows: ir.Table, partition: str, rules: Mapping[str, _Rule]) -> defaultdict[date | None, dict[str, int]]:
    """How many rows of each partition break each rule, of those that are broken."""
    found: defaultdict[date | None, dict[str, int]] = defaultdict(dict)
    if not rules:
        return found
    counts = {name: rule.offends(rows[rule.column]).sum() for name, rule in rules.items()}
    for part in rows.group_by(partition).aggregate(**counts).to_pyarrow().to_pylist():
        if broken := {name: int(part[name]) for name in rules if part[name]}:
            found[part[partition]] = broken
    return found


def _repeated(rows: ir.Table, key: list[str]) -> ir.Table:
    return rows.group_by(key).aggregate(n=rows.count()).filter(lambda t: t.n > 1)


def _doubles(rows: ir.Table, partition: str, key: list[str], days: Collection[date | None]) -> dict[date | None, int]:
    """Rows beyond the first of their key, in those of the partitions `days` that have some."""
    known = [day for day in days if day is not None]
    if not known:
        return {}
    repeated = _repeated(rows.filter(rows[partition].isin(known)), _within(partition, key))
    found = repeated.group_by(partition).aggregate(doubles=(repeated.n - 1).sum()).to_pyarrow().to_pylist()
    return {part[partition]: int(part["doubles"]) for part in found}


def _counts(rows: ir.Table, partition: str) -> dict[date | None, int]:
    found = rows.group_by(partition).aggregate(n=rows.count()).to_pyarrow().to_pylist()
    return {part[partition]: int(part["n"]) for part in found}


def _within(partition: str, key: list[str]) -> list[str]:
    """A key that holds within a partition."""
    return list(dict.fromkeys([partition, *key]))


def _examples(
    rows: ir.Table,
    partition: str,
    day: date | None,
    rules: Mapping[str, _Rule],
    key: list[str],
    broken: Mapping[str, int],
    unmatched: Mapping[str, ir.Table],
) -> list[dict[str, Any]]:
    def of_day(table: ir.Table) -> ir.Table:
        return table.filter(table[partition].isnull() if day is None else table[partition] == day)

    mine = of_day(rows)
    bad = [rules[name].offends(mine[rules[name].column]) for name in broken if name in rules]
    single = [unmatched[name] for name in broken if name in unmatched]
    if bad:
        found = mine.filter(functools.reduce(lambda a, b: a | b, bad))
    elif single:
        found = of_day(single[0])
    else:
        repeated = _repeated(mine, _within(partition, key)).drop("n")
        found = mine.semi_join(repeated, [mine[c].identical_to(repeated[c]) for c in _within(partition, key)])
    examples: list[dict[str, Any]] = found.limit(EXAMPLES).to_pyarrow().to_pylist()
    return examples


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

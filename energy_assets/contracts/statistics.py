"""What the statistics inside Parquet files tell of their rows, so that an audit need not look at these.

A Parquet file keeps smallest value, largest value and number of NULLs of every column and row group. Where they
leave no room for an offence, the rule is kept, and where they leave room for one value, all rows hold it; where they
are missing or do not suffice, nothing is said. What belongs here: reading the statistics. What does not: judging rows
(that is `audit`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from energy_assets.contracts.audit import RULES, Known

SMALLEST = frozenset({"greater_than", "greater_than_or_equal_to"})
LARGEST = frozenset({"less_than", "less_than_or_equal_to"})
SEVERAL = "\0several"
"""Stands for more than one value, or values not known; no value of a contract begins with a zero byte."""


class _Chunk(NamedTuple):
    """One column of one row group; what the file does not tell is None."""

    values: int
    nulls: int | None
    smallest: str | None
    largest: str | None
    exact: bool | None
    """Whether smallest and largest are values of the column, not texts cut short."""


def known(con: Any, paths: Sequence[str], model: Any) -> Known:
    """What is certain of all rows of the files.

    Args:
        con: An Ibis DuckDB connection.
        paths: Parquet files that hold the columns of the contract.
        model: The contract; its bounds stand on numbers.
    """
    footers = con.con.execute(
        "SELECT path_in_schema, num_values, stats_null_count, stats_min_value, stats_max_value, "
        "min_is_exact AND max_is_exact FROM parquet_metadata(?)",
        [list(paths)],
    ).fetchall()
    chunks: dict[str, list[_Chunk]] = defaultdict(list)
    for column, *statistics in footers:
        chunks[column].append(_Chunk(*statistics))
    kept, single = set(), {}
    for name, column in model.to_schema().columns.items():
        if name not in chunks:
            continue
        if not column.nullable and all(chunk.nulls == 0 for chunk in chunks[name]):
            kept.add(f"{name}.not_null")
        for check in column.checks:
            if all(_keeps(chunk, check) for chunk in chunks[name]):
                kept.add(f"{name}.{check.name}")
        values = {_only_value(chunk) for chunk in chunks[name]}
        if len(values) == 1 and SEVERAL not in values:
            (single[name],) = values
    return Known(frozenset(kept), single)


def _only_value(chunk: _Chunk) -> str | None:
    """The one value all rows of a chunk hold, None where it is NULL, or `SEVERAL`."""
    if chunk.nulls == chunk.values:
        return None
    alike = chunk.nulls == 0 and chunk.exact and chunk.smallest is not None and chunk.smallest == chunk.largest
    return chunk.smallest if alike else SEVERAL


def _keeps(chunk: _Chunk, check: Any) -> bool:
    if chunk.nulls == chunk.values:
        return True
    if check.name == "isin":
        return chunk.smallest == chunk.largest and chunk.smallest in {
            str(value) for value in check.statistics["allowed_values"]
        }
    if check.name not in SMALLEST | LARGEST:
        return False
    value = chunk.smallest if check.name in SMALLEST else chunk.largest
    return value is not None and bool(RULES[check.name](Decimal(value), check.statistics))

"""What the statistics inside Parquet files prove of a contract: rules that need no look at the rows any more.

A Parquet file keeps smallest value, largest value and number of NULLs of every column and row group. Where they
leave no room for an offence, the rule is kept; where they are missing or do not suffice, nothing is said. What
belongs here: reading the statistics. What does not: judging rows (that is `audit`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from energy_assets.contracts.audit import RULES

SMALLEST = frozenset({"greater_than", "greater_than_or_equal_to"})
LARGEST = frozenset({"less_than", "less_than_or_equal_to"})


class _Chunk(NamedTuple):
    """One column of one row group; what the file does not tell is None."""

    values: int
    nulls: int | None
    smallest: str | None
    largest: str | None


def proven(con: Any, paths: Sequence[str], model: Any) -> frozenset[str]:
    """Names of the rules of `model` that all rows of the files keep.

    Args:
        con: An Ibis DuckDB connection.
        paths: Parquet files that hold the columns of the contract.
        model: The contract; its bounds stand on numbers.
    """
    footers = con.con.execute(
        "SELECT path_in_schema, num_values, stats_null_count, stats_min_value, stats_max_value "
        "FROM parquet_metadata(?)",
        [list(paths)],
    ).fetchall()
    chunks: dict[str, list[_Chunk]] = defaultdict(list)
    for column, *statistics in footers:
        chunks[column].append(_Chunk(*statistics))
    kept = set()
    for name, column in model.to_schema().columns.items():
        if name not in chunks:
            continue
        if not column.nullable and all(chunk.nulls == 0 for chunk in chunks[name]):
            kept.add(f"{name}.not_null")
        for check in column.checks:
            if all(_keeps(chunk, check) for chunk in chunks[name]):
                kept.add(f"{name}.{check.name}")
    return frozenset(kept)


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

"""What the rows of a partition are, in a short text: their content and their keys, whatever their order and files.

What belongs here: which hashes, how they are combined, how they are written. What does not: judging rows (`audit`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

ALGORITHM = "d2"
"""Names how fingerprints are made: of each partition, in 16 hexadecimal digits each, the exclusive or of DuckDB's
`hash` of every row, the sum of its lower 32 bits, and the sum modulo 2^64 of the hashes of the rows' keys, 0 where they
have none. A fingerprint begins with it, so that one made in another way is never taken for equal content."""


def contents(
    rows: ir.Table,
    partition: str,
    key: Sequence[str],
    *,
    single: Mapping[str, str | None],
    offends: ir.BooleanValue | None = None,
    count_keys: bool = True,
) -> ir.Table:
    """Rows, content and keys of each partition, in one scan.

    Of an hourly key the hours of one thing are bits of one number, so a day has 24 times fewer groups to hold
    than rows. An hour that is no start of an hour may share its bit: then fewer keys are counted than there are.

    Args:
        rows: Cheap to scan.
        partition: The date column they are partitioned by.
        key: Columns of which no two rows hold the same values; may be empty.
        single: Columns in which all rows hold the same value: that value as text, None for NULL.
        offends: What no row may be; a column `offended` tells whether one is.
        count_keys: Count distinct keys as well, which costs a sixth more.

    Returns:
        The partition column, rows, content_xor, content_sum, key_sum; keys and offended where asked for.
    """
    hourly, nothing = "hour" in key, ibis.literal(0, "uint64")
    things = [_unread(rows[name], single) for name in key if name != "hour"]
    thing = row_hash(things) if things else nothing
    columns: dict[str, ir.Value] = {
        "content": row_hash([_unread(rows[name], single) for name in rows.columns]),
        "thing": thing,
        "key": row_hash([thing, rows.hour]) if hourly else thing,
        "slot": ibis.literal(1).cast("int64") << (rows.hour.hour().cast("int64") if hourly else 0),
    }
    if offends is not None:
        columns["offends"] = offends
    hashed = rows.select(partition, **columns)
    measures = {
        "rows": hashed.count(),
        "content_xor": hashed.content.bit_xor(),
        # Of 32 bits, so that the engine adds them in 64.
        "content_sum": (hashed.content & 0xFFFFFFFF).cast("uint32").sum(),
        "key_sum": hashed.key.sum().cast("decimal(38, 0)"),
        **({"offended": hashed.offends.any()} if offends is not None else {}),
    }
    if not (key and count_keys):
        return hashed.group_by(partition).aggregate(**measures)
    found = hashed.group_by([partition, "thing"]).aggregate(**measures, slots=hashed.slot.bit_or())
    return found.group_by(partition).aggregate(
        rows=found.rows.sum(),
        content_xor=found.content_xor.bit_xor(),
        content_sum=found.content_sum.sum(),
        key_sum=found.key_sum.sum(),
        keys=_bit_count(found.slots).sum(),
        **({"offended": found.offended.any()} if offends is not None else {}),
    )


def fingerprint(part: Mapping[str, Any]) -> str:
    """The fingerprint of a partition.

    Args:
        part: Its line of `contents`.
    """
    content = f"{part['content_xor']:016x}{part['content_sum']:016x}"
    return f"{ALGORITHM}-{content}{int(part['key_sum']) % 2**64:016x}"


def keys_in(text: str) -> str | None:
    """The part of a fingerprint that is equal exactly where the keys of all rows are; None in one of another algorithm.

    Args:
        text: A fingerprint.
    """
    algorithm, _, digits = text.partition("-")
    return digits[-16:] if algorithm == ALGORITHM else None


def _unread(value: ir.Value, single: Mapping[str, str | None]) -> ir.Value:
    """The value, or where all rows hold the same, that one in its place: a column less to read.

    A text stays: the engine hashes a column of few texts text by text, and a constant row by row.
    """
    name, dtype = value.get_name(), value.type()
    if name not in single or not (single[name] is None or dtype.is_numeric()):
        return value
    same: ir.Value = ibis.literal(single[name]).cast(dtype)
    return same


def row_hash(values: Sequence[ir.Value]) -> ir.IntegerValue:
    """One hash of several cells of a row, of 64 bits.

    Args:
        values: At least one; NULL is a value like others.
    """
    return _hash_function(tuple(value.type() for value in values))(*values)


@functools.cache
def _hash_function(dtypes: tuple[dt.DataType, ...]) -> Callable[..., ir.IntegerValue]:
    """DuckDB's variadic `hash` for columns of these types, which Ibis wants spelled out."""

    def variadic(*_: Any) -> Any:
        """Filled in by the engine."""

    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    variadic.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(f"column_{n}", positional) for n in range(len(dtypes))]
    )
    made: Callable[..., ir.IntegerValue] = ibis.udf.scalar.builtin(variadic, name="hash", signature=(dtypes, dt.uint64))
    return made


def _bit_count(value: ir.IntegerValue) -> ir.IntegerValue:
    """How many bits are set."""

    def count(_: Any) -> Any:
        """Filled in by the engine."""

    counted: ir.IntegerValue = ibis.udf.scalar.builtin(count, name="bit_count", signature=((dt.int64,), dt.int64))(
        value
    )
    return counted

"""Decimals with fewer digits behind the point, without a division of 128 bits for every row.

What belongs here: that one cast. What does not: which digits a column has (`types`).
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

NARROW = 18
"""Digits of a decimal that the engine holds in 64 bits, in which it divides a hundred times as fast."""


def rescaled(value: ir.DecimalValue, dtype: str | Any) -> ir.DecimalValue:
    """A wide decimal as another type: the value, and its rounding, of a plain cast.

    What fits into 64 bits at its own scale is divided there; the rest as ever.

    Args:
        value: Of more than 18 digits; its type in Ibis has its true scale.
        dtype: The type wanted, with fewer digits behind the point.
    """
    near = value.try_cast(f"decimal({NARROW}, {value.type().scale})")
    made: ir.DecimalValue = ibis.coalesce(near.cast(dtype), value.cast(dtype))
    return made

"""Logs of `nvidia-smi --query-gpu=… --format=csv`: which of their columns hold what.

What belongs here: NVIDIA's names and the command line that writes them. What does not: reading the cells, which is
as for any CSV. Names and units are those of `nvidia-smi --help-query-gpu`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

COMMAND = (
    "nvidia-smi --query-gpu=timestamp,index,uuid,name,power.draw,utilization.gpu --format=csv --loop=10 >> smi.csv"
)
"""What a person runs to get such a log: a reading every ten seconds."""

TIME = "timestamp"
DEVICES = ("uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id", "index", "name", "gpu_name")
"""Columns that may tell GPUs apart, the most certain first; an index may change when a machine starts anew."""

MODELS = ("name", "gpu_name")
_POWER = re.compile(r"power\.draw(\.(?P<how>average|instant))?( \[W\])?")
_PREFERENCE = (None, "average", "instant")
"""`power.draw` is the mean over a second on most boards; the two others say which they are."""


def power_column(header: Sequence[str]) -> str | None:
    """The column of power in watts; None where there is none.

    Args:
        header: Column names without blanks around them.
    """
    found = {match["how"]: column for column in header if (match := _POWER.fullmatch(column))}
    return next((found[how] for how in _PREFERENCE if how in found), None)


def is_log(header: Sequence[str]) -> bool:
    """Whether a header is that of such a log.

    Args:
        header: Column names without blanks around them.
    """
    return TIME in header and power_column(header) is not None


def first_of(wanted: Sequence[str], header: Sequence[str]) -> str | None:
    """The first of some columns that a header has.

    Args:
        wanted: The most wanted first.
        header: Column names without blanks around them.
    """
    return next((column for column in wanted if column in header), None)

"""Logs of `nvidia-smi --query-gpu=… --format=csv`: which of their columns hold what.

What belongs here: NVIDIA's names and the command line that writes them. What does not: reading the cells, which is
as for any CSV. Names and units are those of `nvidia-smi --help-query-gpu`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

COMMAND = "nvidia-smi --query-gpu=timestamp,index,uuid,name,power.draw --format=csv --loop=10 >> smi.csv"
"""What a person runs to get such a log: a reading every ten seconds."""

TIME = "timestamp"
DEVICES = ("uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id", "index", "name", "gpu_name")
"""Columns that may tell GPUs apart, the most certain first; an index may change when a machine starts anew."""

MODELS = ("name", "gpu_name")
_POWER = re.compile(r"power\.draw(\.(?P<how>average|instant))?( \[W\])?")
_MONITOR = re.compile(r"#\s*(Date\s+Time\s+|Time\s+)?gpu\b", re.IGNORECASE)
"""The first line of `dmon` and `pmon`: `# gpu   pwr gtemp …`, with the day and the time before it where asked for."""

_A_TIME = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(\.\d+)?")
_A_BOARD = re.compile(
    r"(GPU|MIG)-[0-9a-f-]+|\d{1,3}|[0-9a-f]+:[0-9a-f]{2}:[0-9a-f]{2}\.\d|\d+(\.\d+)?( W)?|NVIDIA .*", re.I
)
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


def unread_output(header: Sequence[str]) -> str:
    """What a header shows a file to be that nvidia-smi writes and that is not read, as the end of a sentence.

    Args:
        header: Column names without blanks around them.

    Returns:
        Empty where it is nothing known.
    """
    first = header[0] if header else ""
    if _MONITOR.match(first):
        return "is what `nvidia-smi dmon` or `pmon` prints, whose lines do not state their day, or not in one column"
    if any(map(_A_TIME.fullmatch, header)) and any(map(_A_BOARD.fullmatch, header)):
        return f"has no header (nvidia-smi leaves it out with `noheader`); its first line holds {', '.join(header[:8])}"
    return ""


def first_of(wanted: Sequence[str], header: Sequence[str]) -> str | None:
    """The first of some columns that a header has.

    Args:
        wanted: The most wanted first.
        header: Column names without blanks around them.
    """
    return next((column for column in wanted if column in header), None)

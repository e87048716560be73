"""Cells of power to watts: units that headers and cells speak of, decimal marks, and what stands for no reading.

What belongs here: the one place for units of power. What does not: which column it is (`columns`).
"""

from __future__ import annotations

import re
from typing import Literal

from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import Opened, header_unit, quoted, text_sql

PowerUnit = Literal["mW", "W", "kW", "MW"]

_WATTS = {"mW": "0.001", "W": "1", "kW": "1000", "MW": "1000000"}
_SPELLED = {"w": "W", "watt": "W", "watts": "W", "kw": "kW"}
_SUFFIXES = {**{unit: unit for unit in _WATTS}, "w": "W", "KW": "kW", "Watt": "W", "Watts": "W", "watts": "W"}
"""How cells spell the unit after the number; `mw` could be either of two and is none."""

_OTHER_UNIT = re.compile(
    r"[\[(]\s*(%|[kmMG]?Wh|k?wh|k?VA|m?J|[kMG]J|Joules?|BTU(?:/h)?|m?A|m?V|°?[CF]|[kMG]?Hz|RPM)\s*[\])]\s*$"
    r"|(?:^|_|\s)(%|[kmMG]?Wh|[km]?wh|k?VA|k?va|watt_?hours?|joules?|BTU(?:/h)?|amps?|volts?|[kMG]?Hz|percent|pct|rpm)\s*$"
)
_OTHER_WORD = re.compile(
    r"^(?!.*(?:power|watt|draw|pwr)).*?(util|temperature|temp(?=_|\b)|clock|energy|memory|voltage|current)",
    re.IGNORECASE,
)
"""Names of columns that end with a unit of something else than power, or say a word for it and none for power."""

_LIMIT = re.compile(r"(?:^|[_. ])(limit|tdp|cap|rated)(?=$|[_. \[(])", re.IGNORECASE)
"""What a device may draw, and does not say what it draws."""

_EMPTY = ("", "N/A", "[N/A]", "[NOT SUPPORTED]", "[UNKNOWN ERROR]", "[GPU IS LOST]", "[INSUFFICIENT PERMISSIONS]",
          "[GPU REQUIRES RESET]", "ERR!", "NULL", "-")  # fmt: skip
"""What stands in logs where there is no reading, in capitals."""


def speaks_of(column: str) -> str | None:
    """What the name of a column speaks of that is no power: a unit, or a word; None where it may be power.

    Args:
        column: Its name.
    """
    other = (
        _OTHER_UNIT.search(column)
        or _LIMIT.search(column)
        or (None if header_unit(column) else _OTHER_WORD.search(column))
    )
    return next((word for word in other.groups() if word), None) if other else None


def require_unit(path: str, column: str, stated: PowerUnit | None) -> None:
    """The name of a column of power must not speak of another unit than watts, unless site.yaml states one.

    Args:
        path: The file's path or url.
        column: The column.
        stated: `power_unit` of site.yaml.

    Raises:
        MalformedError: it does.
    """
    if stated is not None:
        return
    unit = header_unit(column)
    if spoken := speaks_of(column):
        raise MalformedError(
            f"{path}: column '{column}' speaks of {spoken}, which is no power",
            "Name the column of the power in watts: power_w of this source in site.yaml. If its numbers are watts, "
            "say so beside it: power_unit: W.",
        )
    if unit is None or _SPELLED.get(unit.lower(), unit) == "W":
        return
    known = _SPELLED.get(unit.lower(), unit)
    meant = f"{known} (or mW, W, kW, MW)" if known in _WATTS else "mW or MW, for the name could mean both"
    raise MalformedError(
        f"{path}: column '{column}' speaks of {unit}, and watts are read",
        f"Say the unit of its numbers in site.yaml: power_unit: {meant}.",
    )


def watts_sql(
    file: Opened, column: str, unit: PowerUnit | None, decimal: Literal[".", ","] | None, *, lenient: bool = False
) -> str:
    """SQL for a column's power in watts.

    Args:
        file: As it was opened.
        column: The column.
        unit: Of numbers without a unit; None for watts.
        decimal: The decimal mark; None for what the file proves.
        lenient: NULL at what is neither a number nor empty, instead of an error.
    """
    name = quoted(column)
    factor = _WATTS[unit or "W"]
    if file.types[column] != "VARCHAR":
        return f"CAST({name} AS DOUBLE) * {factor}"
    text = f"replace({name}, ',', '.')" if (decimal or file.decimal(column)) == "," else name
    return f"""
        coalesce(TRY_CAST({text} AS DOUBLE) * {factor}, CASE
            WHEN {name} IS NULL OR {is_empty(name)} THEN NULL
            WHEN {_with_unit(text)} IS NOT NULL THEN {_with_unit(text)}
            ELSE {"NULL" if lenient else "error('no number')"}
        END)"""


def is_empty(column: str) -> str:
    """SQL for whether a cell says that there is no reading.

    Args:
        column: Its column, quoted.
    """
    listed = ", ".join(text_sql(word) for word in _EMPTY)
    return f"upper(trim({column})) IN ({listed})"


def _with_unit(text: str) -> str:
    """SQL for `380.67 W` and its like in watts; NULL where a text is none."""
    number = f"TRY_CAST(regexp_extract({text}, '^\\s*([-+0-9.eE]+)\\s*[a-zA-Z]+\\s*$', 1) AS DOUBLE)"
    unit = f"regexp_extract({text}, '([a-zA-Z]+)\\s*$', 1)"
    factors = " ".join(f"WHEN '{spelled}' THEN {_WATTS[of]}" for spelled, of in _SUFFIXES.items())
    return f"({number} * CASE {unit} {factors} END)"

"""Serials of certificates: which series a serial belongs to, and its number there, whoever wrote it down.

What belongs here: one spelling of registry and serial. What does not: whether two ranges overlap (`emissions`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORLDWIDE = 20
"""Digits from which on a serial names its issuing body itself, as the 30 digits of an EECS certificate do: the same
number in files that spell the registry differently is the same certificate."""
DIGITS = 38
"""Digits of a number that the lake keeps; longer ones have their beginning in the series."""
_SPREADSHEET = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Serials:
    """A range of serials.

    Attributes:
        series: Registry and the part that all serials of the range share, in one spelling.
        first: Number of the first.
        last: Number of the last, included.
    """

    series: str
    first: int
    last: int


def serials(registry: str, first: str, last: str) -> Serials:
    """A range of serials in one spelling.

    Args:
        registry: As a file spells it.
        first: The first serial.
        last: The last one; the first again for a single certificate.

    Raises:
        ValueError: they are of two series or end before they begin, or a spreadsheet has rounded them.
    """
    for text in (first, last):
        if _SPREADSHEET.fullmatch(text.strip()):
            raise ValueError(f"serial '{text.strip()}' was rounded by a spreadsheet")
    (series, low), (other, high) = _parts(first), _parts(last)
    if series != other:
        raise ValueError(f"serials '{first.strip()}' and '{last.strip()}' are of two series")
    if high < low:
        raise ValueError(f"serial '{last.strip()}' comes before '{first.strip()}'")
    worldwide = not series and len(re.sub(r"\D", "", first)) >= WORLDWIDE
    return Serials("" if worldwide else f"{registry_key(registry)}|{series}", low, high)


def registry_key(registry: str) -> str:
    """A registry in one spelling: letters and digits in small letters.

    Args:
        registry: As `M-RETS`, `M RETS` or `mrets`.
    """
    return re.sub(r"[\W_]+", "", registry.casefold())


def _parts(serial: str) -> tuple[str, int]:
    """What stands before the last number of a serial, in one spelling, and that number."""
    plain = re.sub(r"[\s_./\\-]+", "-", re.sub(r"(?<=\d)\s+(?=\d)", "", serial.strip()).casefold()).strip("-")
    found = re.fullmatch(rf"(.*?)(\d{{1,{DIGITS}}})", plain)
    return (found[1].strip("-"), int(found[2])) if found else (plain, 0)

"""Units of usage as bills print them: how much of what, over which time.

What belongs here: reading a unit's text. What does not: what the usage is (`rules`), and its energy (`watts`).
Bills write `Hrs`, `GB-Mo`, `10,000 Requests`, `Lambda-GB-Second`, `gibibyte month`, `100 GB/Month`, `byte-seconds`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

Thing = Literal["data", "count"]
Time = Literal["hour", "month", ""]

GIB_IN_GB = Fraction(1024**3, 1000**3)
"""SI brochure (BIPM, 2019) and IEC 80000-13: a gibibyte is 1,073,741,824 bytes, a gigabyte a milliard."""

_DATA = {
    "b": Fraction(1, 10**9), "byte": Fraction(1, 10**9), "kb": Fraction(1, 10**6), "mb": Fraction(1, 1000),
    "gb": Fraction(1), "tb": Fraction(1000), "pb": Fraction(10**6),
    "kib": GIB_IN_GB / 1024**2, "kibibyte": GIB_IN_GB / 1024**2, "mib": GIB_IN_GB / 1024, "mebibyte": GIB_IN_GB / 1024,
    "gib": GIB_IN_GB, "gibibyte": GIB_IN_GB, "tib": GIB_IN_GB * 1024, "tebibyte": GIB_IN_GB * 1024,
    "gigabyte": Fraction(1), "terabyte": Fraction(1000), "megabyte": Fraction(1, 1000),
}  # fmt: skip
"""Gigabytes in one of each."""
_BINARY = frozenset({"b", "byte", "kib", "kibibyte", "mib", "mebibyte", "gib", "gibibyte", "tib", "tebibyte"})
"""Those that say how many bytes they are: clouds print GB both for them and for a thousand millions."""

_TIMES: dict[str, tuple[Fraction, Time]] = {
    **dict.fromkeys(("s", "sec", "second"), (Fraction(1, 3600), "hour")),
    **dict.fromkeys(("min", "minute"), (Fraction(1, 60), "hour")),
    **dict.fromkeys(("h", "hr", "hour"), (Fraction(1), "hour")),
    **dict.fromkeys(("d", "day"), (Fraction(24), "hour")),
    **dict.fromkeys(("mo", "month"), (Fraction(1), "month")),
}
"""How long one of each is."""

_FILLERS = frozenset({"per", "lambda", "edge", "fargate", "provisioned", "unit", "of"})
"""Words of a unit that say nothing of its size."""
_BLOCK = re.compile(r"^\s*(\d[\d,. ]*)\s*([kKmM](?![a-zA-Z]))?")
_SIZES = {"": 1, "k": 1000, "m": 1_000_000}


@dataclass(frozen=True)
class Unit:
    """What one of a printed unit is.

    Attributes:
        size: How many of the base: gigabytes for data, else pieces; times the hours, or for `month` the months.
        thing: Whether data is counted, or pieces (machines, vCPUs, requests).
        time: Whether the amount is held for a time, and what that is counted in.
        noun: What is counted, in small letters and the singular; empty for data and for bare times.
        binary: Whether data is counted in bytes or powers of 1024 of them, and not in what is printed as GB.
    """

    size: Fraction
    thing: Thing
    time: Time
    noun: str = ""
    binary: bool = False


@cache
def unit_of(text: str | None) -> Unit | None:
    """What a unit's text means.

    Args:
        text: As a bill prints it.

    Returns:
        None where there is no text, or no word in it.
    """
    if not text or not text.strip():
        return None
    found = _BLOCK.match(text)
    size = Fraction(1)
    rest = text
    if found and found[1].strip(" ,."):
        digits = found[1].replace(",", "").replace(" ", "").rstrip(".")
        size = Fraction(digits) * _SIZES[(found[2] or "").lower()]
        rest = text[found.end() :]
    words = [_singular(word) for word in re.split(r"[\s\-_/*]+", rest.strip().lower()) if word]
    thing: Thing = "count"
    time: Time = ""
    nouns: list[str] = []
    binary = False
    for word in words:
        if word in _DATA and thing == "count":
            size, thing, binary = size * _DATA[word], "data", word in _BINARY
        elif word in _TIMES and not time:
            length, time = _TIMES[word]
            size = size * length
        elif word not in _FILLERS:
            nouns.append(word)
    if not words and size == 1:
        return None
    return Unit(size, thing, time, " ".join(nouns), binary)


def _singular(word: str) -> str:
    """A unit's word without the s of a plural: `hours`, `hrs`, `bytes`; also `bytehrs` as AWS writes it."""
    plain = word.strip(".,()")
    for known in (*_DATA, *_TIMES, "request", "instance", "vcpu", "core", "gpu", "ocpu"):
        if plain == f"{known}s":
            return known
    return plain

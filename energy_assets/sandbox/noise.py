"""Chance without memory: numbers that depend on a seed, a name and an index, and on nothing else.

What belongs here: hashing. Only integer arithmetic and single float operations are used, so that every machine
gets the same digits. What does not: what the numbers mean.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Minutes = NDArray[np.int64]
Floats = NDArray[np.float64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def digest(*parts: object, size: int = 8) -> bytes:
    """A fixed hash of a name made of `parts`.

    Args:
        size: In bytes.
        *parts: What makes up the name.
    """
    return blake2b("|".join(map(str, parts)).encode(), digest_size=size).digest()


def key(*parts: object) -> np.uint64:
    """The key of a stream of numbers."""
    return np.uint64(int.from_bytes(digest(*parts), "little"))


def uniform(stream: np.uint64, index: Minutes) -> Floats:
    """A number in [0, 1) for each index (SplitMix64; Steele, Lea, Flood 2014).

    Args:
        stream: Which sequence.
        index: Minutes since 1970, any shape.
    """
    x = index.astype(np.uint64) * _STEP + stream
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53


def smooth(stream: np.uint64, index: Minutes, every: int) -> Floats:
    """As `uniform`, drawn once per `every` indices and joined by straight lines.

    Args:
        stream: Which sequence.
        index: Minutes since 1970, any shape.
        every: Minutes between draws.
    """
    knot, within = np.divmod(index, every)
    low, high = uniform(stream, knot), uniform(stream, knot + 1)
    return low + (high - low) * (within / every)


def pick(low: int, high: int, *parts: object) -> int:
    """An integer in [low, high) that belongs to a name.

    Args:
        low: Included.
        high: Excluded.
        *parts: What makes up the name.
    """
    return low + int.from_bytes(digest(*parts), "little") % (high - low)

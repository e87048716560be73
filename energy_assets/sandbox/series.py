"""Series of samples: what a Prometheus stores, and how a selector picks from it.

What belongs here: labels, matchers, samples in memory, and the interface a query engine reads through. What
does not: how the numbers of the synthetic company come about (`exporters.py`), or what a query does with
them (`promql_eval.py`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Labels = tuple[tuple[str, str], ...]
"""Label pairs sorted by name, empty values left out: the identity of a series."""
Times = NDArray[np.int64]
"""Milliseconds since 1970, ascending, no duplicates."""
Values = NDArray[np.float64]

NAME = "__name__"
STALE = np.float64(struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0])
"""The NaN with which Prometheus marks that a series has ended."""
_STALE_BITS = np.uint64(0x7FF0000000000002)

# Python's regular expressions know more than RE2, which Prometheus uses; these parts RE2 refuses.
_NOT_RE2 = re.compile(r"\(\?(?:[=!]|<[=!]|P=|#|\()|\\[1-9]|[*+?}]\+")


class PatternError(ValueError):
    """A regular expression that Prometheus would refuse."""


@dataclass(frozen=True)
class Samples:
    """Samples of one series.

    Attributes:
        times: Milliseconds, ascending.
        values: As many values; a stale marker is a NaN of its own bits.
    """

    times: Times
    values: Values

    @property
    def stale(self) -> NDArray[np.bool_]:
        """Which samples are stale markers."""
        marked: NDArray[np.bool_] = self.values.view(np.uint64) == _STALE_BITS
        return marked

    def between(self, start_ms: int, end_ms: int) -> Samples:
        """The samples of a closed interval.

        Args:
            start_ms: Unix ms, included.
            end_ms: Unix ms, included.
        """
        low = int(np.searchsorted(self.times, start_ms, "left"))
        high = int(np.searchsorted(self.times, end_ms, "right"))
        return Samples(self.times[low:high], self.values[low:high])


@dataclass(frozen=True)
class Series:
    """One series and the samples that were asked for."""

    labels: Labels
    samples: Samples


@dataclass(frozen=True)
class Matcher:
    """One condition of a selector, such as `job=~"dcgm.*"`.

    Raises:
        PatternError: on construction of a matcher whose pattern is no RE2.
    """

    name: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str

    def __post_init__(self) -> None:
        if self.op in ("=~", "!~"):
            _ = self._pattern

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        if refused := _NOT_RE2.search(self.value):
            raise PatternError(f"error parsing regexp: invalid or unsupported Perl syntax: `{refused.group()}`")
        try:
            return re.compile(self.value)
        except re.error as error:
            raise PatternError(f"error parsing regexp: {error}") from error

    def matches(self, text: str) -> bool:
        """Whether a label value fits; an absent label has the value ''."""
        if self.op in ("=", "!="):
            return (text == self.value) == (self.op == "=")
        return (self._pattern.fullmatch(text) is not None) == (self.op == "=~")


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Labels in canonical order; empty values are no labels."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def fits(labels: Labels, matchers: Iterable[Matcher]) -> bool:
    """Whether a series meets every condition.

    Args:
        labels: Of the series.
        matchers: All must fit.
    """
    values = dict(labels)
    return all(matcher.matches(values.get(matcher.name, "")) for matcher in matchers)


class SeriesStore(Protocol):
    """Anything a query engine can read series from."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Series]:
        """Series that fit and have samples in the closed interval, sorted by labels.

        Args:
            matchers: All must fit.
            start_ms: Unix ms, included.
            end_ms: Unix ms, included.
        """

    def names(self, start_ms: int, end_ms: int) -> list[str]:
        """Names of metrics with samples in the closed interval, sorted.

        Args:
            start_ms: Unix ms, included.
            end_ms: Unix ms, included.
        """


class MemoryStore:
    """Series held in memory, for tests."""

    def __init__(self, series: Iterable[Series]) -> None:
        self._series = sorted(series, key=lambda one: one.labels)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Series]:
        """Series that fit and have samples in the closed interval, sorted by labels.

        Args:
            matchers: All must fit.
            start_ms: Unix ms, included.
            end_ms: Unix ms, included.
        """
        found = []
        for one in self._series:
            if fits(one.labels, matchers):
                samples = one.samples.between(start_ms, end_ms)
                if len(samples.times):
                    found.append(Series(one.labels, samples))
        return found

    def names(self, start_ms: int, end_ms: int) -> list[str]:
        """Names of metrics with samples in the closed interval, sorted.

        Args:
            start_ms: Unix ms, included.
            end_ms: Unix ms, included.
        """
        seen = (one for one in self._series if len(one.samples.between(start_ms, end_ms).times))
        return sorted({dict(one.labels).get(NAME, "") for one in seen} - {""})

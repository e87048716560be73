"""PromQL, evaluated: syntax tree and series to a grid of values, all steps at once.

What belongs here: the semantics of Prometheus 2.42, step by step the same as its engine (closed windows,
five minutes of look-back, staleness, which results lose their name, the order of additions). What does not:
reading queries (`promql.py`) and answering over HTTP (`prometheus.py`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy_assets.sandbox.promql import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matching,
    Negation,
    Number,
    RangeSelector,
    Selector,
)
from energy_assets.sandbox.series import NAME, Labels, Samples, Series, SeriesStore, Times, Values

LOOKBACK_MS = 300_000
"""How long a sample stands for its series when no newer one came (Prometheus' default, 5 minutes)."""

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]


class ExecutionError(Exception):
    """A query that is well formed and cannot be evaluated; the message is Prometheus'."""


@dataclass(frozen=True)
class Frame:
    """An instant vector at every step.

    Attributes:
        labels: One entry per series.
        values: Series by step; meaningless where not present.
        present: Where the series has a value.
        sample_times: The samples' own times, for `timestamp()` of a bare selector.
    """

    labels: list[Labels]
    values: Values
    present: Mask
    sample_times: Times | None = None


@dataclass(frozen=True)
class Scalar:
    """One number at every step."""

    values: Values


def evaluate(tree: Expression, store: SeriesStore, steps: Times) -> Frame | Scalar:
    """Evaluate `tree` at each of `steps` (milliseconds, evenly spaced).

    Args:
        tree: A parsed expression.
        store: Where series are.
        steps: Unix ms, one dimension.

    Raises:
        ExecutionError: two results would have the same labels, or a match is ambiguous.
    """
    with np.errstate(all="ignore"):
        return _Evaluator(store, steps).value(tree)


def raw_samples(tree: RangeSelector, store: SeriesStore, at_ms: int) -> list[Series]:
    """What an instant query for a range vector answers: the samples themselves, stale markers left out.

    Args:
        tree: A parsed range selector.
        store: Where series are.
        at_ms: Unix ms, the end of the range.
    """
    end = at_ms - tree.selector.offset_ms
    found = (_live(one) for one in store.select(tree.selector.matchers, end - tree.range_ms, end))
    return [one for one in found if len(one.samples.times)]


def _live(series: Series) -> Series:
    stale = series.samples.stale
    if not stale.any():
        return series
    keep = ~stale
    return Series(series.labels, Samples(series.samples.times[keep], series.samples.values[keep]))


def _nameless(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME)


@dataclass(frozen=True)
class _Windows:
    """Samples of all series laid end to end, and for each series and step the slice of its window."""

    values: Values
    low: Indices
    high: Indices


class _Evaluator:
    """Walks the tree; every node is evaluated for all steps together."""

    def __init__(self, store: SeriesStore, steps: Times) -> None:
        self.store = store
        self.steps = steps

    def value(self, tree: Expression) -> Frame | Scalar:
        match tree:
            case Number(value):
                return Scalar(np.full(len(self.steps), value))
            case Binary():
                return self.binary(tree)
            case Negation(argument):
                inner = self.value(argument)
                if isinstance(inner, Scalar):
                    return Scalar(-inner.values)
                labels = [_nameless(one) for one in inner.labels]
                return _distinct(Frame(labels, -inner.values, inner.present))
            case _:
                return self.vector(tree)

    def vector(self, tree: Expression) -> Frame:
        match tree:
            case Selector():
                return self.instant(tree)
            case Call(function="timestamp", argument=argument):
                return self.timestamp(argument)
            case Call(function=function, argument=RangeSelector() as selector):
                return self.over_time(function, selector)
            case Aggregation(argument=argument):
                return self.aggregate(tree, self.vector(argument))
            case _:
                result = self.value(tree)
                if isinstance(result, Scalar):
                    raise ExecutionError("expected an instant vector, got a scalar")
                return result

    # -- storage

    def instant(self, tree: Selector) -> Frame:
        at = self.steps - tree.offset_ms
        found = self.store.select(tree.matchers, int(at[0]) - LOOKBACK_MS, int(at[-1]))
        shape = (len(found), len(at))
        values, present = np.zeros(shape), np.zeros(shape, bool)
        times = np.zeros(shape, np.int64)
        for row, one in enumerate(found):
            last = np.searchsorted(one.samples.times, at, "right") - 1
            times[row] = one.samples.times[last]
            values[row] = one.samples.values[last]
            present[row] = (last >= 0) & (times[row] >= at - LOOKBACK_MS) & ~one.samples.stale[last]
        return Frame([one.labels for one in found], values, present, times)

    def timestamp(self, argument: Expression) -> Frame:
        inner = self.vector(argument)
        times = inner.sample_times if inner.sample_times is not None else self.steps
        values = np.broadcast_to(times / 1000.0, inner.values.shape)
        return _merged(Frame([_nameless(one) for one in inner.labels], values, inner.present))

    def over_time(self, function: str, tree: RangeSelector) -> Frame:
        end = self.steps - tree.selector.offset_ms
        start = end - tree.range_ms
        found = [_live(one) for one in self.store.select(tree.selector.matchers, int(start[0]), int(end[-1]))]
        if not found:
            return Frame([], np.zeros((0, len(end))), np.zeros((0, len(end)), bool))
        base = np.cumsum([0, *(len(one.samples.times) for one in found)])
        windows = _Windows(
            np.concatenate([one.samples.values for one in found]),
            np.stack([np.searchsorted(s.samples.times, start, "left") + b for s, b in zip(found, base, strict=False)]),
            np.stack([np.searchsorted(s.samples.times, end, "right") + b for s, b in zip(found, base, strict=False)]),
        )
        present = windows.high > windows.low
        values = OVER_TIME[function](windows) if present.any() else np.zeros(present.shape)
        keeps_name = function == "last_over_time"
        labels = [one.labels if keeps_name else _nameless(one.labels) for one in found]
        return _distinct(Frame(labels, values, present))

    # -- aggregation

    def aggregate(self, tree: Aggregation, frame: Frame) -> Frame:
        groups: dict[Labels, list[int]] = {}
        for row, labels in enumerate(frame.labels):
            if tree.without:
                key = tuple(pair for pair in labels if pair[0] not in tree.labels and pair[0] != NAME)
            else:
                key = tuple(pair for pair in labels if pair[0] in tree.labels)
            groups.setdefault(key, []).append(row)
        shape = (len(groups), len(self.steps))
        values, present = np.zeros(shape), np.zeros(shape, bool)
        for number, rows in enumerate(groups.values()):
            present[number] = frame.present[rows].any(axis=0)
            values[number] = _AGGREGATE[tree.op](frame.values[rows], frame.present[rows])
        return Frame(list(groups), values, present)

    # -- operators

    def binary(self, tree: Binary) -> Frame | Scalar:
        left, right = self.value(tree.left), self.value(tree.right)
        if isinstance(left, Scalar) and isinstance(right, Scalar):
            return Scalar(_OPERATORS[tree.op](left.values, right.values).astype(np.float64))
        if isinstance(left, Frame) and isinstance(right, Frame):
            if tree.op in SET_OPERATORS:
                return _set_operation(tree, left, right)
            return _vector_operation(tree, left, right)
        return _scalar_operation(tree, left, right)


# -- functions over windows


def _last(w: _Windows) -> Values:
    return _at(w.values, w.high - 1)


def _at(values: Values, indices: Indices) -> Values:
    return values[np.clip(indices, 0, len(values) - 1)]


def _count(w: _Windows) -> Values:
    return (w.high - w.low).astype(np.float64)


def _transitions(happens: Callable[[Values, Values], Mask]) -> Callable[[_Windows], Values]:
    """Count how often two samples in a row, both inside the window, fulfil a condition."""

    def count(w: _Windows) -> Values:
        flags = np.concatenate([[0], happens(w.values[:-1], w.values[1:])])
        total = np.cumsum(flags).astype(np.float64)
        return _at(total, w.high - 1) - _at(total, w.low)

    return count


def _extreme(better: np.ufunc) -> Callable[[_Windows], Values]:
    """Smallest or largest, where a NaN counts only if there is nothing else."""

    def reduce(w: _Windows) -> Values:
        bounds = np.stack([w.low.ravel(), w.high.ravel()], axis=1).ravel()
        found: Values = better.reduceat(np.append(w.values, np.nan), bounds)[::2]
        return found.reshape(w.low.shape)

    return reduce


def _in_turn(w: _Windows) -> list[tuple[Values, Mask]]:
    """The first sample of every window, then the second, and so on, each with who has one."""
    longest = int((w.high - w.low).max())
    return [(_at(w.values, w.low + k), w.low + k < w.high) for k in range(longest)]


def _compensated(add: Values, total: Values, lost: Values) -> tuple[Values, Values]:
    """One step of Neumaier's summation, as Prometheus does it."""
    result = total + add
    return result, lost + np.where(np.abs(total) >= np.abs(add), (total - result) + add, (add - result) + total)


def _sum(w: _Windows) -> Values:
    total, lost = np.zeros(w.low.shape), np.zeros(w.low.shape)
    for value, has in _in_turn(w):
        new_total, new_lost = _compensated(value, total, lost)
        total, lost = np.where(has, new_total, total), np.where(has, new_lost, lost)
    return np.where(np.isinf(total), total, total + lost)


def _mean(w: _Windows) -> Values:
    mean, lost = np.zeros(w.low.shape), np.zeros(w.low.shape)
    for number, (value, has) in enumerate(_in_turn(w), start=1):
        infinite = np.isinf(mean) & ((value == mean) | np.isfinite(value))
        new_mean, new_lost = _compensated(value / number - mean / number, mean, lost)
        use = has & ~infinite
        mean, lost = np.where(use, new_mean, mean), np.where(use, new_lost, lost)
    return np.where(np.isinf(mean), mean, mean + lost)


def _changed(before: Values, after: Values) -> Mask:
    changed: Mask = (after != before) & ~(np.isnan(before) & np.isnan(after))
    return changed


OVER_TIME: dict[str, Callable[[_Windows], Values]] = {
    "avg_over_time": _mean,
    "changes": _transitions(_changed),
    "count_over_time": _count,
    "last_over_time": _last,
    "max_over_time": _extreme(np.fmax),
    "min_over_time": _extreme(np.fmin),
    "present_over_time": lambda w: np.ones(w.low.shape),
    "resets": _transitions(lambda before, after: after < before),
    "sum_over_time": _sum,
}


# -- aggregations: rows of one group, and where each has a value


def _fold(step: Callable[[Values, Values, NDArray[np.int64]], Values]) -> Callable[[Values, Mask], Values]:
    """Take the rows in turn, as the engine does: float addition depends on the order."""

    def fold(values: Values, present: Mask) -> Values:
        result, seen = np.zeros(values.shape[1]), np.zeros(values.shape[1], np.int64)
        for value, has in zip(values, present, strict=True):
            seen = seen + has
            following = np.where(seen == 1, value, step(result, value, np.maximum(seen, 1)))
            result = np.where(has, following, result)
        return result

    return fold


def _mean_step(mean: Values, value: Values, seen: NDArray[np.int64]) -> Values:
    infinite = np.isinf(mean) & ((value == mean) | np.isfinite(value))
    return np.where(infinite, mean, mean + (value / seen - mean / seen))


_AGGREGATE: dict[str, Callable[[Values, Mask], Values]] = {
    "avg": _fold(_mean_step),
    "count": lambda values, present: present.sum(axis=0).astype(np.float64),
    "group": lambda values, present: np.ones(values.shape[1]),
    "max": _fold(lambda result, value, _: np.where((result < value) | np.isnan(result), value, result)),
    "min": _fold(lambda result, value, _: np.where((result > value) | np.isnan(result), value, result)),
    "sum": _fold(lambda result, value, _: result + value),
}


# -- operators

_OPERATORS: dict[str, Callable[[Values, Values], NDArray[np.float64] | Mask]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": np.fmod,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _combine(tree: Binary, left: Values, right: Values, kept: Values) -> tuple[Values, Mask]:
    """Values of an operation and where it yields one; a comparison keeps `kept` where it holds."""
    result = _OPERATORS[tree.op](left, right)
    if tree.op not in COMPARISONS or tree.returns_bool:
        return result.astype(np.float64), np.ones(result.shape, bool)
    return np.broadcast_to(kept, result.shape), result.astype(bool)


def _loses_name(tree: Binary) -> bool:
    return tree.op not in COMPARISONS or tree.returns_bool


def _scalar_operation(tree: Binary, left: Frame | Scalar, right: Frame | Scalar) -> Frame:
    frame = left if isinstance(left, Frame) else right
    if not isinstance(frame, Frame):
        raise ExecutionError("expected an instant vector, got two scalars")
    values, yields = _combine(tree, left.values, right.values, frame.values)
    labels = [_nameless(one) for one in frame.labels] if _loses_name(tree) else frame.labels
    return _merged(Frame(labels, values, frame.present & yields))


def _signatures(labels: Sequence[Labels], matching: Matching) -> list[Labels]:
    if matching.on:
        return [tuple(pair for pair in one if pair[0] in matching.labels) for one in labels]
    return [tuple(pair for pair in one if pair[0] not in matching.labels and pair[0] != NAME) for one in labels]


def _presence(frame: Frame, signatures: Sequence[Labels]) -> dict[Labels, Mask]:
    """Where at least one series of each signature has a value."""
    found: dict[Labels, Mask] = {}
    for row, signature in enumerate(signatures):
        found[signature] = found.get(signature, np.zeros(frame.present.shape[1], bool)) | frame.present[row]
    return found


def _set_operation(tree: Binary, left: Frame, right: Frame) -> Frame:
    left_keys, right_keys = _signatures(left.labels, tree.matching), _signatures(right.labels, tree.matching)
    nowhere = np.zeros(left.present.shape[1], bool)
    if tree.op == "or":
        there = _presence(left, left_keys)
        masks = [right.present[row] & ~there.get(key, nowhere) for row, key in enumerate(right_keys)]
        present = np.concatenate([left.present, np.array(masks, bool).reshape(right.present.shape)])
        return _merged(Frame(left.labels + right.labels, np.concatenate([left.values, right.values]), present))
    there = _presence(right, right_keys)
    keep = [there.get(key, nowhere) for key in left_keys]
    mask = np.array(keep, bool).reshape(left.present.shape)
    return Frame(left.labels, left.values, left.present & (mask if tree.op == "and" else ~mask))


def _vector_operation(tree: Binary, left: Frame, right: Frame) -> Frame:
    swapped = tree.matching.group == "right"
    many, one = (right, left) if swapped else (left, right)
    many_keys, one_keys = _signatures(many.labels, tree.matching), _signatures(one.labels, tree.matching)
    _once(one, one_keys, "left" if swapped else "right")
    partners: dict[Labels, list[int]] = {}
    for row, key in enumerate(one_keys):
        partners.setdefault(key, []).append(row)
    pairs = [(m, o) for m, key in enumerate(many_keys) for o in partners.get(key, [])]
    rows_many, rows_one = [m for m, _ in pairs], [o for _, o in pairs]
    first, second = many.values[rows_many], one.values[rows_one]
    if swapped:
        first, second = second, first
    values, yields = _combine(tree, first, second, first)
    both = many.present[rows_many] & one.present[rows_one]
    if not tree.matching.group:
        keys = [many_keys[m] for m in rows_many]
        _once(Frame(keys, values, both), keys, "")
    labels = [_result_labels(tree, many.labels[m], one.labels[o]) for m, o in pairs]
    return _merged(Frame(labels, values, both & yields))


def _once(frame: Frame, signatures: Sequence[Labels], side: str) -> None:
    """Refuse a signature that two series have at one step."""
    seen: dict[Labels, list[int]] = {}
    for row, signature in enumerate(signatures):
        for other in seen.setdefault(signature, []):
            if not (frame.present[row] & frame.present[other]).any():
                continue
            if side:
                raise ExecutionError(
                    f"found duplicate series for the match group {_shown(signature)} on the {side} hand-side of the "
                    f"operation: [{_shown(frame.labels[row])}, {_shown(frame.labels[other])}];"
                    "many-to-many matching not allowed: matching labels must be unique on one side"
                )
            raise ExecutionError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        seen[signature].append(row)


def _shown(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"


def _result_labels(tree: Binary, many: Labels, one: Labels) -> Labels:
    matching = tree.matching
    result = dict(_nameless(many) if _loses_name(tree) else many)
    if not matching.group:
        if matching.on:
            return tuple(pair for pair in result.items() if pair[0] in matching.labels)
        return tuple(pair for pair in result.items() if pair[0] not in matching.labels)
    other = dict(one)
    for name in matching.include:
        result.pop(name, None)
        if name in other:
            result[name] = other[name]
    return tuple(sorted(result.items()))


# -- results that fall together

_SAME = "vector cannot contain metrics with the same labelset"


def _distinct(frame: Frame) -> Frame:
    """Refuse two series of the same labels, even if they never meet."""
    rows = np.flatnonzero(frame.present.any(axis=1))
    labels = [frame.labels[row] for row in rows]
    if len(set(labels)) < len(labels):
        raise ExecutionError(_SAME)
    return Frame(labels, frame.values[rows], frame.present[rows])


def _merged(frame: Frame) -> Frame:
    """Join series of the same labels; refuse them where they meet."""
    if len(set(frame.labels)) == len(frame.labels):
        return frame
    rows: dict[Labels, int] = {}
    values, present = np.zeros_like(frame.values), np.zeros_like(frame.present)
    for row, labels in enumerate(frame.labels):
        target = rows.setdefault(labels, len(rows))
        if (present[target] & frame.present[row]).any():
            raise ExecutionError(_SAME)
        values[target] = np.where(frame.present[row], frame.values[row], values[target])
        present[target] |= frame.present[row]
    return Frame(list(rows), values[: len(rows)], present[: len(rows)])

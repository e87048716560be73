"""PromQL of the stand-in without a server: what it reads, what it refuses, what the values are."""

from __future__ import annotations

import numpy as np
import pytest

from energy_assets.sandbox.promql import (
    Aggregation,
    Binary,
    Call,
    Number,
    QueryError,
    RangeSelector,
    Selector,
    UnsupportedError,
    duration_ms,
    parse,
)
from energy_assets.sandbox.promql_eval import ExecutionError, Frame, evaluate, raw_samples
from energy_assets.sandbox.series import STALE, Matcher, MemoryStore
from energy_assets_tests.sandbox.samples import series

MINUTE = 60_000


def values(query: str, store: MemoryStore, *at_ms: int) -> dict[str, list[float | None]]:
    """Label values of each series, joined: its value at each instant, None where it has none."""
    found = evaluate(parse(query), store, np.array(at_ms, np.int64))
    assert isinstance(found, Frame)
    return {
        ",".join(value for _, value in labels): [
            float(v) if p else None for v, p in zip(found.values[row], found.present[row], strict=True)
        ]
        for row, labels in enumerate(found.labels)
        if found.present[row].any()
    }


def test_operators_bind_as_in_prometheus() -> None:
    tree = parse("a or b unless c == -1 + 2 * 3")
    assert isinstance(tree, Binary)
    assert tree.op == "or"
    unless = tree.right
    assert isinstance(unless, Binary)
    comparison = unless.right
    assert isinstance(comparison, Binary)
    assert (unless.op, comparison.op) == ("unless", "==")
    assert comparison.right == Binary("+", Number(-1), Binary("*", Number(2), Number(3)))


def test_a_template_of_the_sources_is_read_whole() -> None:
    tree = parse('max by (Hostname, UUID) (last_over_time(m{job=~"d.*", gpu!="7"}[3599999ms]) < 1e15)')
    window = RangeSelector(
        Selector((Matcher("__name__", "=", "m"), Matcher("job", "=~", "d.*"), Matcher("gpu", "!=", "7"))), 3_599_999
    )
    limited = Binary("<", Call("last_over_time", window), Number(1e15))
    assert tree == Aggregation("max", limited, ("Hostname", "UUID"), False)


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("5m", 300_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("3599999ms", 3_599_999)]
)
def test_durations_are_sums_of_their_units(text: str, milliseconds: int) -> None:
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize("query", ["rate(a[5m])", "a @ 1", "max_over_time(a[1h:1m])", "a ^ 2", "time()"])
def test_promql_beyond_the_subset_is_refused_by_name_and_not_guessed(query: str) -> None:
    with pytest.raises(UnsupportedError, match="the sandbox does not evaluate"):
        parse(query)


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "(?P=a)", "a++", "("])
def test_patterns_that_re2_does_not_know_are_refused(pattern: str) -> None:
    with pytest.raises(QueryError, match="error parsing regexp"):
        parse(f"a{{b=~`{pattern}`}}")


def test_a_window_includes_both_its_ends() -> None:
    store = MemoryStore([series("a", [0, MINUTE, 2 * MINUTE], [1, 2, 3], x="s")])
    assert values("count_over_time(a[1m])", store, MINUTE, 2 * MINUTE) == {"s": [2, 2]}
    assert values("count_over_time(a[59999ms])", store, MINUTE, 2 * MINUTE) == {"s": [1, 1]}


def test_a_sample_stands_for_five_minutes_and_not_longer() -> None:
    store = MemoryStore([series("a", [0], [1])])
    assert values("a", store, 299_999, 300_000, 300_001) == {"a": [1, 1, None]}


def test_a_stale_marker_ends_a_series_and_is_no_sample() -> None:
    store = MemoryStore([series("a", [0, MINUTE, 2 * MINUTE, 9 * MINUTE], [1, 2, STALE, 4])])
    assert values("a", store, MINUTE, 2 * MINUTE, 3 * MINUTE, 9 * MINUTE) == {"a": [2, None, None, 4]}
    assert values("count_over_time(a[10m])", store, 9 * MINUTE) == {"": [3]}
    tree = parse("a[10m]")
    assert isinstance(tree, RangeSelector)
    assert raw_samples(tree, store, 9 * MINUTE)[0].samples.values.tolist() == [1, 2, 4]


def test_resets_are_counted_between_samples_of_the_window_only() -> None:
    store = MemoryStore([series("a", np.arange(6) * MINUTE, [5, 7, 1, 3, 3, 2])])
    assert values("resets(a[3m])", store, MINUTE, 2 * MINUTE, 4 * MINUTE, 5 * MINUTE) == {"": [0, 1, 1, 1]}
    assert values("resets(a[5m])", store, 5 * MINUTE) == {"": [2]}


def test_nan_counts_as_extreme_only_where_there_is_nothing_else() -> None:
    store = MemoryStore([series("a", [0, MINUTE], [np.nan, 3]), series("a", [0], [np.nan], x="n")])
    found = values("max_over_time(a[1m])", store, MINUTE)
    assert found[""] == [3]
    assert np.isnan(found["n"][0] or 0)


def test_functions_lose_the_name_and_last_over_time_keeps_it() -> None:
    store = MemoryStore([series("a", [0], [1], x="s")])
    assert list(values("last_over_time(a[1m])", store, 0)) == ["a,s"]
    assert list(values("sum_over_time(a[1m])", store, 0)) == ["s"]
    assert list(values("a > 0", store, 0)) == ["a,s"]
    assert list(values("a * 2", store, 0)) == ["s"]


def test_two_results_of_the_same_labels_are_an_error() -> None:
    store = MemoryStore([series("a", [0], [1], x="s"), series("b", [0], [1], x="s")])
    with pytest.raises(ExecutionError, match="same labelset"):
        values('count_over_time({__name__=~"a|b"}[1m])', store, 0)

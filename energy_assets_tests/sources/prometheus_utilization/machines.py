"""Series of machines whose load is known by hand, for a real Prometheus and the stand-in. No expectations here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from energy_assets.sandbox.prometheus import PrometheusServer
from energy_assets.sandbox.series import MemoryStore, Series
from energy_assets.sources.prometheus_utilization.source import PrometheusUtilization
from energy_assets_tests.sandbox.samples import series

DAY = date(2026, 11, 18)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
A, B = "i-0aaaaaaaaaaaaaaa1", "i-0bbbbbbbbbbbbbbb2"
NINE = int(datetime(2026, 11, 18, 9, tzinfo=UTC).timestamp())

Rates = Sequence[Mapping[str, float]]
"""Of each processor: seconds per second in each mode."""

TWO: Rates = (
    {"user": 0.3, "idle": 0.5, "iowait": 0.2},
    {"user": 0.1, "system": 0.1, "steal": 0.2, "idle": 0.6},
)
"""Two processors, busy for 0.3 and 0.2 of the time."""


def at(minute: float) -> int:
    """Unix milliseconds of a minute after nine."""
    return round((NINE + minute * 60) * 1000)


def minutes(first: float, last: float, every: float = 1) -> list[float]:
    """From the first to the last, both included."""
    return [first + n * every for n in range(int((last - first) / every) + 1)]


def processors(
    when: Iterable[float], rates: Rates, *, booted: float = -100_000, metric: str = "node_cpu_seconds_total",
    cpu: str = "cpu", **labels: str,
) -> list[Series]:  # fmt: skip
    """Counters of seconds by processor and mode, scraped at some minutes after nine.

    Args:
        when: Minutes after nine.
        rates: Of each processor.
        booted: When they began at zero, in minutes after nine.
        metric: Its name.
        cpu: The label that names a processor.
        **labels: Of the machine.
    """
    points = list(when)
    return [
        series(
            metric, [at(point) for point in points], [share * (point - booted) * 60 for point in points],
            **{cpu: str(number), "mode": mode, **labels},
        )
        for number, modes in enumerate(rates) for mode, share in modes.items()
    ]  # fmt: skip


def gauge(metric: str, points: Iterable[tuple[float, float]], **labels: str) -> Series:
    """Values at minutes after nine."""
    pairs = list(points)
    return series(metric, [at(minute) for minute, _ in pairs], [value for _, value in pairs], **labels)


def joined(*parts: list[Series]) -> list[Series]:
    """Series of the same labels one after the other."""
    found: dict[Any, list[Series]] = {}
    for one in (one for part in parts for one in part):
        found.setdefault(one.labels, []).append(one)
    return [
        series(
            dict(labels)["__name__"], [t for one in some for t in one.samples.times],
            [v for one in some for v in one.samples.values],
            **{name: value for name, value in labels if name != "__name__"},
        )
        for labels, some in found.items()
    ]  # fmt: skip


@contextmanager
def served(these: Iterable[Series], now: datetime = NOW) -> Iterator[str]:
    """The url of a stand-in that holds them."""
    with PrometheusServer(MemoryStore(these), clock=lambda: now) as server:
        yield server.url


def source(url: str, **keys: Any) -> PrometheusUtilization:
    """A source of site.yaml."""
    block = {"name": "load", "kind": "prometheus_utilization", "url": url, **keys}
    return PrometheusUtilization.model_validate(block)

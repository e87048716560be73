"""PromQL: which question brings which fact, with as few samples travelling as the method allows.

What belongs here: expressions and their evaluation times. What does not: sending them.

Counters travel as one value per device and hour. `last_over_time` of the hour gives the value at the boundary,
`min_over_time` and `resets` find the hours whose samples must be seen one by one. `increase()` is never used:
it extrapolates to the window's edges. Every window is a millisecond short of an hour, because a window includes
both its ends in Prometheus 2: so the windows of consecutive hours share no sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from energy_assets.landing import Landed
from energy_assets.periods import DayRange
from energy_assets.sources.prometheus.client import ALL_NAMES, NamesQuery, Query
from energy_assets.sources.prometheus.meters import HOST_LABELS, USER_LABELS, VENDOR, Metric

HOUR = 3600
HALF_HOUR = HOUR // 2
DAY = 24 * HOUR
WINDOW = "3599999ms"
HOURLY_ROLES = frozenset({"boundary", "gauge_hours"})
TAIL_S = 600
"""After the last suspicious hour this much is looked at too: does the counter return from a blip?"""


@dataclass(frozen=True)
class Window:
    """One day as Prometheus sees it, in unix seconds.

    Attributes:
        day: The day.
        start: Its first instant.
        end: Its last whole hour's end: the day's end, or earlier while the day lasts.
    """

    day: date
    start: int
    end: int

    @classmethod
    def of(cls, day: date, now: datetime | None = None) -> Window:
        """The window of `day` as far as it has passed.

        Args:
            day: The day, UTC.
            now: The current instant, UTC; None for the whole day.
        """
        span = DayRange(day, day)
        end = span.end if now is None else min(span.end, max(span.start, now))
        start = round(span.start.timestamp())
        return cls(day, start, start + int((end - span.start) / timedelta(hours=1)) * HOUR)

    @classmethod
    def asked(cls, day: date, objects: Sequence[Landed]) -> Window:
        """The window that a day's landed requests were made for.

        Args:
            day: The day, UTC.
            objects: What was landed for it.
        """
        whole = cls.of(day)
        ends = (int(landed.request["end"]) for landed in objects if landed.request["role"] in HOURLY_ROLES)
        return replace(whole, end=max(ends, default=whole.end))


@dataclass(frozen=True)
class MeterQueries:
    """Makes the queries of one metric.

    Attributes:
        meter: The metric asked for, with its labels and matchers.
        selector: Matchers of the site.
        keep_labels: More labels that rows should carry.
    """

    meter: Metric
    selector: str = ""
    keep_labels: tuple[str, ...] = ()

    def select(self, metric: str | None = None, *matchers: str) -> str:
        """The metric with its matchers.

        Args:
            metric: Another metric than its own, without its own matchers.
            *matchers: More PromQL matchers; empty ones are left out.
        """
        own = self.meter.matchers if metric is None else ()
        inside = ", ".join(part for part in (*own, self.selector, *matchers) if part)
        return f"{metric or self.meter.metric}{{{inside}}}" if inside else metric or self.meter.metric

    def _by_device(self, how: str, promql: str) -> str:
        return f"{how} by ({', '.join(self.meter.device_by)}) ({promql})" if self.meter.device_by else promql

    def _by_user(self, promql: str) -> str:
        users = (*(USER_LABELS if self.meter.shared else ()), "job", *self.keep_labels)
        labels = dict.fromkeys((*self.meter.device_by, *users))
        return f"max by ({', '.join(labels)}) ({promql})" if self.meter.device_by else promql

    def reporting(self) -> str:
        """Which devices report at an instant."""
        return self._by_device("max", self.select())

    def _hourly(self, role: str, promql: str, window: Window) -> Query:
        """An evaluation at the end of every hour, and one hour more before the day."""
        return Query(role, self.meter.name, promql, window.start - HOUR, window.end, HOUR)

    def boundaries(self, window: Window) -> list[Query]:
        """The values at the boundaries, and what was known before the day."""
        every, valid = self.select(), f"< {self.meter.sentinel}"
        last = f"last_over_time({every}[1d])"
        last = f"({last} > 0)" if self.meter.device_by else last
        lookback = self._by_device("max", f"{last} {valid}")
        return [
            self._hourly("boundary", self._by_device("max", f"last_over_time({every}[{WINDOW}]) {valid}"), window),
            Query("lookback", self.meter.name, lookback, window.start, window.start),
        ]

    def hours(self, window: Window) -> list[Query]:
        """What is asked first of a day."""
        if not self.meter.counter:
            return [self.gauge_hours(window)]
        return [*self.boundaries(window), *self.details(window), self.copies(window)]

    def details(self, window: Window) -> list[Query]:
        """What tells plain hours from suspicious ones, and who used the devices."""
        every = self.select()
        sums = f"sum_over_time({every}[{WINDOW}]) * 0 != 0"
        marked = f"resets({every}[{WINDOW}]) > 0 or max_over_time({every}[{WINDOW}]) >= {self.meter.sentinel} or {sums}"
        return [
            self._hourly("minimum", self._by_device("min", f"min_over_time({every}[{WINDOW}])"), window),
            self.usage(window),
            self._hourly("marked", self._by_device("max", marked), window),
        ]

    def usage(self, window: Window) -> Query:
        """How many samples each user of each device has in each hour."""
        return self._hourly("usage", self._by_user(f"count_over_time({self.select()}[{WINDOW}])"), window)

    def activity(self, window: Window, matcher: str = "") -> Query:
        """How busy each user kept the device.

        Args:
            window: The day.
            matcher: A PromQL matcher of devices; empty for all.
        """
        every = self.select(self.meter.activity, matcher)
        return self._hourly("activity", self._by_user(f"sum_over_time({every}[{WINDOW}]) < 1e6"), window)

    def _apart(self, promql: str) -> str:
        """Series of a device that must agree: labels of users, and those that repeat, are taken out."""
        folds = (*(USER_LABELS if self.meter.shared else ()), *self.meter.repeats)
        return f"max without ({', '.join(folds)}) ({promql})"

    def copies(self, window: Window) -> Query:
        """Which devices have several series at one instant that are told apart by other labels than users'."""
        present = self._by_device("count", self._apart(self.select()))
        return Query("copies", self.meter.name, f"{present} > 1", window.start, window.end, HALF_HOUR)

    def copied(self, window: Window, matcher: str) -> list[Query]:
        """These series one by one, and when each was read.

        Args:
            window: The day.
            matcher: A PromQL matcher of devices.
        """
        if not self.meter.counter:
            return [self.samples("raw", window.end, matcher, window.end - window.start)]
        every = self.select(None, matcher)
        asked = {"copy": f"{every} < {self.meter.sentinel}", "copied": f"timestamp({every})"}
        return [
            Query(role, self.meter.name, self._apart(promql), window.start, window.end, HALF_HOUR)
            for role, promql in asked.items()
        ]

    def gauge_hours(self, window: Window) -> Query:
        """Which devices have readings of power in hours without a counter, or with one that stands still."""
        promql = self._by_device("max", f"count_over_time({self.select()}[{WINDOW}])")
        if self.meter.counterpart:
            better = f"changes({self.select(self.meter.counterpart)}[{WINDOW}]) > 0"
            promql = f"{promql} unless {self._by_device('max', better)}"
        return self._hourly("gauge_hours", promql, window)

    def means(self, window: Window) -> Query:
        """The mean of every hour of a gauge whose device is known by its counter: do both tell one energy?"""
        mean = self._by_device("max", f"avg_over_time({self.select()}[{WINDOW}])")
        return Query("mean", self.meter.name, mean, window.start, window.end, HOUR)

    def before(self, window: Window, matcher: str) -> Query:
        """The hours of the day before, for the few devices whose last value was before the last hour.

        Args:
            window: The day.
            matcher: A PromQL matcher of devices.
        """
        last = f"last_over_time({self.select(None, matcher)}[{WINDOW}]) < {self.meter.sentinel}"
        start, end = window.start - DAY + HOUR, window.start - 2 * HOUR
        return Query("before", self.meter.name, self._by_device("max", last), start, end, HOUR)

    def samples(self, role: str, end: int, matcher: str, length_s: int = HOUR) -> Query:
        """The samples themselves: `length_s` seconds up to and with `end`.

        Args:
            role: What the answer is for.
            end: In unix seconds; a sample at this instant is one of them.
            matcher: A PromQL matcher of devices.
            length_s: In seconds.
        """
        return Query(role, self.meter.name, f"{self.select(None, matcher)}[{length_s * 1000 - 1}ms]", end, end)


def all_names(selector: str, window: Window) -> NamesQuery:
    """Which metrics there are at all on the day.

    Args:
        selector: Matchers of the site.
        window: The day.
    """
    return NamesQuery((f"{{{selector}}}",) if selector else (), window.start, window.end, ALL_NAMES)


def vendors(selector: str, window: Window) -> Query:
    """Hosts with CPUs of AMD (and of Hygon, which are alike), as node_exporter shows them.

    Args:
        selector: Matchers of the site.
        window: The day.
    """
    shown = ('node_hwmon_chip_names{chip_name="k10temp"', 'node_cpu_info{vendor=~"AuthenticAMD|HygonGenuine"')
    more = f", {selector}" if selector else ""
    parts = [f"max by ({', '.join(HOST_LABELS)}) (last_over_time({one}{more}}}[{WINDOW}]))" for one in shown]
    return Query(VENDOR, VENDOR, " or ".join(parts), window.start, window.end, HOUR)


def names(meter_queries: Sequence[MeterQueries], window: Window, patterns: Sequence[str] = ()) -> NamesQuery:
    """Which of the metrics may have samples that matter to the day? The index tells, no sample is read.

    Args:
        meter_queries: Those of each metric.
        window: The day.
        patterns: Regular expressions of more metrics.
    """
    return NamesQuery((any_name(meter_queries, patterns),), window.start - DAY, window.end)


def any_name(meter_queries: Sequence[MeterQueries], patterns: Sequence[str] = ()) -> str:
    """Selects every series of the metrics: one selector, because the question travels in a url.

    Args:
        meter_queries: Those of each metric; at least one.
        patterns: Regular expressions of more metrics.
    """
    known = dict.fromkeys(one.meter.metric for one in meter_queries)
    selector = meter_queries[0].selector
    return f'{{__name__=~"{"|".join((*known, *patterns))}"{", " if selector else ""}{selector}}}'

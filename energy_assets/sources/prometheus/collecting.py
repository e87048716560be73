"""Collecting one day: asks the plain questions, looks at the answers, and asks for samples where they are needed.

What belongs here: the order of questions, and which hours of which devices must be looked at closely. What does
not: the text of questions (`queries`) and the rows (`readings`, `serving`). Which questions a day gets depends on
the answers of that day alone. All meters are asked together: a day takes two or three looks at answers.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import NamedTuple

from energy_assets.landing import Fetched, Landed
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus import pace
from energy_assets.sources.prometheus.answers import Answer, Scratch, load
from energy_assets.sources.prometheus.client import ALL_NAMES, EARLIER, Api, NamesQuery, Query
from energy_assets.sources.prometheus.matchers import one_of
from energy_assets.sources.prometheus.queries import DAY, HOUR, TAIL_S, MeterQueries, Window, all_names, names

Asked = Generator[Fetched, None, list[Answer]]
QueriesByMeter = Mapping[str, MeterQueries]
"""By the name of the meter: who asks for its samples."""

DEVICES_PER_QUERY = 50
"""So that the samples of one hour of all devices in a query stay a few megabytes."""

SAMPLES_PER_QUERY = 250_000
"""Where many hours travel: about 6 MB of JSON."""

FEW_HOURS = 2
"""A device with more suspicious hours than this (a counter that wraps every hour) shows all of them at once."""


class Session:
    """Asks queries for one day, hands on the raw answers, and keeps them at hand for the next question."""

    def __init__(self, api: Api, day: date, step: StepContext) -> None:
        self._api = api
        self._day = day
        self.step = step

    def names(
        self, meter_queries: Sequence[MeterQueries], window: Window, patterns: Sequence[str] = ()
    ) -> Generator[Fetched, None, frozenset[str]]:
        """Yields the list of metrics to be landed; returns the names of the metrics that are there.

        Args:
            meter_queries: Those of each metric.
            window: The day.
            patterns: Regular expressions of more metrics whose names are wanted.
        """
        return (yield from self.named(names(meter_queries, window, patterns)))

    def all_names(self, selector: str, window: Window) -> Iterator[Fetched]:
        """Yields the list of all metrics to be landed, for a day on which none is known.

        Args:
            selector: Matchers of the site.
            window: The day.
        """
        yield from self.named(all_names(selector, window))

    def named(self, query: NamesQuery) -> Generator[Fetched, None, frozenset[str]]:
        """Yields the answer to be landed; returns the names.

        Args:
            query: Which metrics are wanted, and of what time.
        """
        known, response = self._api.names(query)
        yield Fetched(response.content, query.request, (self._day,), response.status_code, "application/json")
        return known

    def ask(self, queries: Iterable[Query]) -> Asked:
        """Yields every answer to be landed; returns them all, as local files."""
        answers = []
        for query in queries:
            for asked, response in self._api.run(query):
                body = response.content
                sha256 = hashlib.sha256(body).hexdigest()
                path = self.step.folder / f"{sha256}.json"
                path.write_bytes(body)
                answers.append(Answer(sha256, asked.role, asked.meter, path))
                yield Fetched(body, asked.request, (self._day,), response.status_code, "application/json")
        return answers

    @contextmanager
    def loaded(self, answers: Sequence[Answer]) -> Iterator[Scratch]:
        """The answers as tables, for as long as the block lasts."""
        scratch = Scratch(self.step.con)
        with scratch.single_threaded(answers):
            try:
                load(scratch, answers, self.step.log)
                yield scratch
            finally:
                scratch.clear()


def landed_answers(objects: Sequence[Landed], step: StepContext) -> list[Answer]:
    """The landed answers of a day as local files.

    Args:
        objects: What was landed for the day.
        step: Whose folder the files go to.
    """
    return [
        Answer(landed.sha256, landed.request["role"], landed.request["meter"], step.spool(landed, ".json"))
        for landed in objects
        if landed.request["role"] not in ("names", ALL_NAMES, EARLIER)
    ]


def landed_names(objects: Sequence[Landed], step: StepContext) -> list[str]:
    """All metrics of a day on which none was known.

    Args:
        objects: What was landed for the day.
        step: Whose landing zone is read.
    """
    return [
        name
        for landed in objects
        if landed.request["role"] == ALL_NAMES
        for name in json.loads(step.read(landed))["data"]
    ]


class _Spot(NamedTuple):
    """A device in an hour, and how to ask for it."""

    meter: str
    label: str
    value: str
    t: int
    samples: int


def _spots(scratch: Scratch, keys: str) -> list[_Spot]:
    """The devices in a query of (key_no, t), in a fixed order, each with its number of samples in the hour."""
    rows = scratch.rows(f"""
        SELECT DISTINCT meter, match_label, match_value, t, coalesce(c.samples, 1)
        FROM ({keys}) JOIN {scratch["keys"]} USING (key_no)
        JOIN {scratch["named"]} USING (meter, node_id, device_id)
        LEFT JOIN {scratch["counted"]} AS c USING (key_no, t) ORDER BY ALL""")
    return [_Spot(*row) for row in rows]


def suspicious_samples(scratch: Scratch, queries_by_meter: QueriesByMeter) -> list[Query]:
    """All samples of suspicious hours, and a little of what follows them.

    Args:
        scratch: Holds the tables of a day's answers.
        queries_by_meter: By the name of the meter: its queries.
    """
    by_device: dict[tuple[str, str, str], list[_Spot]] = defaultdict(list)
    for spot in _spots(scratch, f"SELECT key_no, t FROM {scratch['suspicious']}"):
        by_device[queries_by_meter[spot.meter].meter.name, spot.label, spot.value].append(spot)
    hours: dict[tuple[str, int, str], list[str]] = defaultdict(list)
    long: dict[tuple[str, str], list[list[_Spot]]] = defaultdict(list)
    for (name, label, value), spots in sorted(by_device.items()):
        ends = {spot.t // 1000 for spot in spots}
        if len(ends) > FEW_HOURS:
            long[name, label].append(spots)
        for end in ends if len(ends) <= FEW_HOURS else ():
            hours[name, end, label].append(value)
    by_name = _by_name(queries_by_meter)
    queries = [
        by_name[name].samples("raw", end + TAIL_S, one_of(label, part), HOUR + TAIL_S)
        for (name, end, label), values in sorted(hours.items())
        for part in _parts(values, DEVICES_PER_QUERY)
    ]
    for (name, label), devices in sorted(long.items()):
        ends = {spot.t // 1000 for spots in devices for spot in spots}
        first, last = min(ends) - HOUR, max(ends)
        weights = [(spots[0].value, max(s.samples for s in spots) * (last - first) // HOUR) for spots in devices]
        queries += [
            by_name[name].samples("raw", last + TAIL_S, one_of(label, part), last - first + TAIL_S)
            for part in _by_weight(weights)
        ]
    return queries


def _by_name(queries_by_meter: QueriesByMeter) -> dict[str, MeterQueries]:
    return {one.meter.name: one for one in queries_by_meter.values()}


def _parts(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _by_weight(weights: Iterable[tuple[str, int]]) -> list[list[str]]:
    """Values in their order, in parts of about `SAMPLES_PER_QUERY` samples."""
    parts: list[list[str]] = []
    room = 0
    for value, samples in weights:
        if room <= 0:
            parts.append([])
            room = SAMPLES_PER_QUERY
        if value not in parts[-1]:
            parts[-1].append(value)
        room -= samples
    return parts


def last_known(scratch: Scratch, queries_by_meter: QueriesByMeter, window: Window) -> list[Query]:
    """Devices that restarted in a gap over midnight: in which hour of the day before were they last seen?

    Args:
        scratch: Holds the tables of a day's answers.
        queries_by_meter: By the name of the meter: its queries.
        window: The day.
    """
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    earlier = f"SELECT key_no, 0 AS t FROM {scratch['earlier']} SEMI JOIN {scratch['suspicious']} USING (key_no)"
    for spot in _spots(scratch, earlier):
        groups[queries_by_meter[spot.meter].meter.name, spot.label].add(spot.value)
    by_name = _by_name(queries_by_meter)
    return [
        by_name[name].before(window, one_of(label, part))
        for (name, label), values in sorted(groups.items())
        for part in _parts(sorted(values), 200)
    ]


def last_hours(scratch: Scratch, queries_by_meter: QueriesByMeter) -> list[Query]:
    """The samples of the last hour in which each of those devices was seen.

    Args:
        scratch: Holds the tables of a day's answers.
        queries_by_meter: By the name of the meter: its queries.
    """
    rows = scratch.rows(f"""
        SELECT meter, max(t), match_label, match_value
        FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no) WHERE role = 'before'
        GROUP BY meter, match_label, match_value ORDER BY ALL""")
    groups: dict[tuple[str, int, str], set[str]] = defaultdict(set)
    for meter, t, label, value in rows:
        groups[queries_by_meter[meter].meter.name, t // 1000, label].add(value)
    by_name = _by_name(queries_by_meter)
    return [
        by_name[name].samples("raw", end, one_of(label, part))
        for (name, end, label), values in sorted(groups.items())
        for part in _parts(sorted(values), DEVICES_PER_QUERY)
    ]


def copies(scratch: Scratch, queries_by_meter: QueriesByMeter, window: Window) -> list[Query]:
    """The series of devices that have several at one instant, each for itself.

    Args:
        scratch: Holds the tables of a day's answers.
        queries_by_meter: By the name of the meter: its queries.
        window: The day.
    """
    rows = scratch.rows(f"""
        WITH several AS (
            SELECT meter, node_id, device_id FROM {scratch["named"]} JOIN {scratch["keys"]}
                USING (meter, node_id, device_id)
            WHERE role = 'boundary' GROUP BY ALL HAVING count(DISTINCT metric::VARCHAR) > 1
            UNION SELECT meter, node_id, device_id FROM {scratch["named"]} WHERE role = 'copies'
        )
        SELECT DISTINCT meter, match_label, match_value
        FROM {scratch["named"]} JOIN several USING (meter, node_id, device_id) ORDER BY ALL""")
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for meter, label, value in rows:
        groups[meter, label].append(value)
    return [
        query
        for (meter, label), values in groups.items()
        for part in _parts(values, DEVICES_PER_QUERY)
        for query in queries_by_meter[meter].copied(window, one_of(label, part))
    ]


def intervals(scratch: Scratch, queries_by_meter: QueriesByMeter) -> list[Query]:
    """One device's hour of every job and number of samples whose interval no suspicious hours will show.

    Args:
        scratch: Holds the tables of a day's answers.
        queries_by_meter: By the name of the meter: its queries.
    """
    pace.find_steady(scratch)
    return [
        queries_by_meter[meter].samples(
            "interval", t // 1000, ", ".join((one_of(label, [value]), one_of("job", [job])))
        )
        for job, t, meter, label, value in scratch.rows(pace.unknown(scratch))
    ]


def activity(scratch: Scratch, queries_by_meter: QueriesByMeter, window: Window) -> list[Query]:
    """How busy users were, of devices that several share in an hour.

    Args:
        scratch: Holds the tables of a day's answers.
        queries_by_meter: By the name of the meter: its queries.
        window: The day.
    """
    shared: dict[tuple[str, str], set[str]] = defaultdict(set)
    keys = f"SELECT key_no, 0 AS t FROM {scratch['uses']} AS u GROUP BY key_no, u.t HAVING count(*) > 1"
    for spot in _spots(scratch, keys):
        shared[spot.meter, spot.label].add(spot.value)
    queries = []
    for (meter, label), values in sorted(shared.items()):
        if queries_by_meter[meter].meter.activity:
            matchers = [one_of(label, part) for part in _parts(sorted(values), 200)]
            queries += [queries_by_meter[meter].activity(window, m) for m in (matchers if len(matchers) < 3 else [""])]
    return queries


def gauge_readings(scratch: Scratch, queries_by_meter: QueriesByMeter, window: Window, max_gap_s: int) -> list[Query]:
    """All samples of the day and of as much around it as a gap may be long; and who used the devices.

    Args:
        scratch: Holds the tables of a day's answers.
        queries_by_meter: By the name of the meter: its queries.
        window: The day.
        max_gap_s: Readings further apart than this are a gap, in seconds.
    """
    rows = scratch.rows(f"""
        SELECT meter, match_label, match_value, sum(d)::BIGINT
        FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no) WHERE role = 'gauge_hours'
        GROUP BY meter, match_label, match_value ORDER BY ALL""")
    groups: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for meter, label, value, samples in rows:
        groups[meter, label].append((value, samples))
    end, length_s = window.start + DAY + max_gap_s, DAY + 2 * max_gap_s
    queries = []
    for (meter, label), weights in sorted(groups.items()):
        one = queries_by_meter[meter]
        queries += [one.samples("raw", end, one_of(label, part), length_s) for part in _by_weight(weights)]
    return queries + [
        queries_by_meter[meter].usage(window)
        for meter in sorted({meter for meter, _ in groups})
        if queries_by_meter[meter].meter.shared
    ]

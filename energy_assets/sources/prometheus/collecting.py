"""Collecting one day: asks the plain questions, looks at the answers, and asks for samples where they are needed.

What belongs here: the order of questions. What does not: their text (`queries`) and the rows (`readings`,
`inference`). Which questions a day gets depends on the answers of that day alone.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from energy_assets.landing import Fetched, Landed
from energy_assets.sources.base import Desk
from energy_assets.sources.prometheus import counters, sharing
from energy_assets.sources.prometheus.answers import Answer, Scratch, load
from energy_assets.sources.prometheus.client import Api, Query
from energy_assets.sources.prometheus.devices import name_devices, observe
from energy_assets.sources.prometheus.meters import Meter
from energy_assets.sources.prometheus.queries import DAY, HOUR, TAIL_S, Asker, Window, one_of

Naming = Callable[[Scratch, Sequence[Meter]], object]
Asked = Generator[Fetched, None, list[Answer]]

DEVICES_PER_QUERY = 50
"""So that the samples of one hour of all devices in a query stay a few megabytes."""

SAMPLES_PER_QUERY = 250_000
"""Of gauges, whose samples travel all: about 6 MB of JSON."""

HOUR_MS = HOUR * 1000


class Session:
    """Asks queries for one day, hands on the raw answers, and keeps them at hand for the next question."""

    def __init__(self, api: Api, day: date, desk: Desk) -> None:
        self._api = api
        self._day = day
        self.desk = desk

    def ask(self, queries: Iterable[Query]) -> Asked:
        """Yields every answer to be landed; returns them all, as local files."""
        answers = []
        for query in queries:
            for asked, response in self._api.run(query):
                body = response.content
                sha256 = hashlib.sha256(body).hexdigest()
                path = self.desk.folder / f"{sha256}.json"
                path.write_bytes(body)
                answers.append(Answer(sha256, asked.role, asked.meter, path))
                yield Fetched(body, asked.request, (self._day,), response.status_code, "application/json")
        return answers

    @contextmanager
    def loaded(self, answers: Sequence[Answer]) -> Iterator[Scratch]:
        """The answers as tables, for as long as the block lasts."""
        scratch = Scratch(self.desk.con)
        try:
            load(scratch, answers, self.desk.log)
            yield scratch
        finally:
            scratch.clear()

    def none_of(self, answers: Sequence[Answer]) -> bool:
        """No answer holds any series."""
        with self.loaded(answers) as scratch:
            return not scratch.rows(f"SELECT 1 FROM {scratch['series']} LIMIT 1")


def collect_counter(
    session: Session, asker: Asker, window: Window, *, find_pace: bool, naming: Naming = name_devices
) -> Iterator[Fetched]:
    """Everything one counter has to tell of one day.

    Args:
        session: Where to ask.
        asker: Makes the questions.
        window: The day.
        find_pace: Look at samples to see the scrape interval.
        naming: Makes the tables `named` and `keys`.
    """
    answers = yield from session.ask(asker.known(window))
    if session.none_of(answers):
        return
    answers += yield from session.ask(asker.details(window))
    with session.loaded(answers) as scratch:
        naming(scratch, [asker.meter])
        observe(scratch)
        sharing.find_uses(scratch, asker.keep_labels)
        counters.find_suspicious(scratch)
        before = _before(scratch, asker, window)
        queries = [*before, *_samples(scratch, asker), *_context(scratch, asker, window, find_pace=find_pace)]
    answers = yield from session.ask(queries)
    earlier = [answer for answer in answers if answer.role == "before"]
    if earlier:
        with session.loaded(earlier) as scratch:
            naming(scratch, [asker.meter])
            queries = _last_hours(scratch, asker)
        yield from session.ask(queries)


def collect_gauge(session: Session, asker: Asker, window: Window, *, max_gap_s: int) -> Iterator[Fetched]:
    """Everything one gauge has to tell of one day; its samples travel, but only where no counter exists."""
    answers = yield from session.ask([asker.gauge_hours(window)])
    if session.none_of(answers):
        return
    with session.loaded(answers) as scratch:
        name_devices(scratch, [asker.meter])
        queries = _readings(scratch, asker, window, max_gap_s)
    yield from session.ask(queries)
    if not asker.meter.shared:
        return
    answers = yield from session.ask([asker.usage(window)])
    with session.loaded(answers) as scratch:
        name_devices(scratch, [asker.meter])
        sharing.find_uses(scratch, asker.keep_labels)
        queries = _context(scratch, asker, window, find_pace=False)
    yield from session.ask(queries)


def landed_answers(objects: Sequence[Landed], desk: Desk) -> list[Answer]:
    """The landed answers of a day as local files."""
    return [
        Answer(landed.sha256, landed.request["role"], landed.request["meter"], desk.spool(landed, ".json"))
        for landed in objects
    ]


def _matched(scratch: Scratch, keys: str) -> list[tuple[int, str, str]]:
    """(t, label, value) of the devices in a query of (key_no, t), in a fixed order."""
    rows: list[tuple[int, str, str]] = scratch.rows(f"""
        SELECT DISTINCT t, match_label, match_value
        FROM ({keys}) JOIN {scratch["keys"]} USING (key_no)
        JOIN {scratch["named"]} USING (meter, node_id, device_id) ORDER BY ALL""")
    return rows


def _shards(rows: Iterable[tuple[int, str, str]], size: int = DEVICES_PER_QUERY) -> Iterator[tuple[int, str]]:
    """(t, matcher) for at most `size` devices each."""
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for t, label, value in rows:
        groups[t, label].append(value)
    for (t, label), values in sorted(groups.items()):
        for start in range(0, len(values), size):
            yield t, one_of(label, values[start : start + size])


def _samples(scratch: Scratch, asker: Asker) -> list[Query]:
    """All samples of suspicious hours, and a little of what follows the last one."""
    hours = f"SELECT key_no, t FROM {scratch['suspicious']}"
    tails = f"{hours} EXCEPT SELECT key_no, t - {HOUR_MS} FROM {scratch['suspicious']}"
    return [
        *(asker.samples("raw", t // 1000, matcher) for t, matcher in _shards(_matched(scratch, hours))),
        *(
            asker.samples("raw", t // 1000 + TAIL_S, matcher, f"{TAIL_S // 60}m")
            for t, matcher in _shards(_matched(scratch, tails))
        ),
    ]


def _before(scratch: Scratch, asker: Asker, window: Window) -> list[Query]:
    """Devices that restarted in a gap over midnight: in which hour of the day before were they last seen?"""
    rows = _matched(
        scratch,
        f"SELECT key_no, 0 AS t FROM {scratch['earlier']} SEMI JOIN {scratch['suspicious']} USING (key_no)",
    )
    return [asker.before(window, matcher) for _, matcher in _shards(rows, 200)]


def _last_hours(scratch: Scratch, asker: Asker) -> list[Query]:
    """The samples of the last hour in which each of those devices was seen."""
    rows = scratch.rows(f"""
        SELECT max(t), match_label, match_value FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no)
        GROUP BY match_label, match_value ORDER BY ALL""")
    return [asker.samples("raw", t // 1000, matcher) for t, matcher in _shards(rows)]


def _context(scratch: Scratch, asker: Asker, window: Window, *, find_pace: bool) -> list[Query]:
    """The scrape interval of every job, from one device's hour; how busy users were, of shared devices only."""
    queries = []
    if find_pace:
        fullest = scratch.rows(f"""
            SELECT job, t, match_label, match_value
            FROM {scratch["counted"]} JOIN {scratch["keys"]} USING (key_no)
            JOIN {scratch["named"]} USING (meter, node_id, device_id)
            QUALIFY row_number() OVER (PARTITION BY job ORDER BY largest DESC, t, match_label, match_value) = 1
            ORDER BY job""")
        queries = [
            asker.samples("interval", t // 1000, ", ".join((one_of(label, [value]), one_of("job", [job]))))
            for job, t, label, value in fullest
        ]
    if asker.meter.activity:
        rows = _matched(
            scratch,
            f"SELECT key_no, 0 AS t FROM {scratch['uses']} GROUP BY key_no, {scratch['uses']}.t HAVING count(*) > 1",
        )
        matchers = [matcher for _, matcher in _shards(rows, 200)]
        queries += [asker.activity(window, matcher) for matcher in (matchers if len(matchers) < 3 else [""])]
    return queries


def _readings(scratch: Scratch, asker: Asker, window: Window, max_gap_s: int) -> list[Query]:
    """All samples of the day and of as much around it as a gap may be long."""
    rows = scratch.rows(f"""
        SELECT match_label, match_value, sum(d)::BIGINT
        FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no)
        GROUP BY match_label, match_value ORDER BY ALL""")
    parts: dict[tuple[str, int], list[str]] = defaultdict(list)
    travelled: dict[str, int] = defaultdict(int)
    for label, value, samples in rows:
        parts[label, travelled[label] // SAMPLES_PER_QUERY].append(value)
        travelled[label] += samples
    duration = f"{DAY + 2 * max_gap_s}s"
    return [
        asker.samples("raw", window.start + DAY + max_gap_s, one_of(label, values), duration)
        for (label, _), values in sorted(parts.items())
    ]

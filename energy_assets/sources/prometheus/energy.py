"""prometheus_energy: hourly energy of GPUs, CPUs, memory and nodes that a Prometheus scrapes.

What belongs here: the source's keys, and collecting and parsing put together. What does not: the questions
(`collecting`, `queries`), the arithmetic (`counters`, `gauges`, `sharing`) and the wire (`client`). Serves the asset
`raw/<name>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from energy_assets.contracts.vocabulary import Feed
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Finding, Parsed, PlacedSource, SeenNode, StepContext, Unit
from energy_assets.sources.power import GapPolicy
from energy_assets.sources.prometheus.answers import Answer, Scratch
from energy_assets.sources.prometheus.client import TRAILING_DAYS, Api, Server
from energy_assets.sources.prometheus.collecting import (
    QueriesByMeter,
    Session,
    activity,
    gauge_readings,
    landed_answers,
    last_hours,
    last_known,
    pace,
    suspicious_samples,
)
from energy_assets.sources.prometheus.counters import find_suspicious
from energy_assets.sources.prometheus.devices import name_devices, observe
from energy_assets.sources.prometheus.doctor import examine, hosts
from energy_assets.sources.prometheus.meters import CustomMetric, LabelName, Meter, built_in
from energy_assets.sources.prometheus.queries import MeterQueries, Window
from energy_assets.sources.prometheus.readings import EMPTY, assemble
from energy_assets.sources.prometheus.sharing import find_uses


class PrometheusEnergy(Server, PlacedSource):
    """Energy counters and power gauges in one Prometheus."""

    feeds: ClassVar[Feed] = Feed.ENERGY
    title: ClassVar[str] = "Energy measured by exporters, collected from Prometheus"
    engine_kind: ClassVar[str] = "prometheus"

    kind: Literal["prometheus_energy"]
    scrape_interval_s: int | None = Field(
        None, ge=1, le=3600, description="seconds between scrapes; default: as seen in the samples"
    )
    gap_policy: GapPolicy = Field(
        "none", description="power in gaps between readings of gauges: none, hold the last, or the mean of both ends"
    )
    max_gap_s: int = Field(300, ge=1, le=3600, description="readings of a gauge further apart than this are a gap")
    rapl_wrap_joules: Decimal | None = Field(
        None, gt=0, description="maximum of the RAPL zones (max_energy_range_uj / 1e6), added when a counter wraps"
    )
    metrics: tuple[CustomMetric, ...] = Field((), description="more metrics of energy or power, with their labels")
    keep_labels: tuple[LabelName, ...] = Field((), description="more labels of the samples that attribution needs")

    @property
    def meters(self) -> tuple[Meter, ...]:
        """Every meter asked for, the best first: counters before gauges, built-in before added ones."""
        known = (*built_in(self.rapl_wrap_joules), *(custom.meter() for custom in self.metrics))
        return tuple(sorted(known, key=lambda meter: not meter.counter))

    @property
    def trailing_days(self) -> int:
        """See `client.TRAILING_DAYS`."""
        return TRAILING_DAYS

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per day: all of its queries succeed together or not at all."""
        return [Unit((day,), f"{self.name} {day}", partial(self._fetch, day, step)) for day in days]

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """Rows of the days; every day has its own objects."""
        scratch = Scratch(step.con)
        answers = landed_answers(objects, step)
        if not answers:
            return Parsed(step.con.table(scratch.make("energy", EMPTY)))
        table, notes, examples = assemble(
            scratch,
            answers,
            Window.asked(days.first, objects),
            self.meters,
            keep_labels=self.keep_labels,
            interval_s=self.scrape_interval_s,
            max_gap_s=self.max_gap_s,
            gap_policy=self.gap_policy,
        )
        return Parsed(step.con.table(table), notes, examples)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Reachable, allowed, which known metrics exist, and how fresh they are."""
        with Api(self, step.log, attempts=1) as api:
            yield from examine(api, [MeterQueries(meter, self.selector) for meter in self.meters], step.now)

    def observe(self, step: StepContext) -> Iterable[SeenNode]:
        """The hosts that report now."""
        with Api(self, step.log, attempts=1) as api:
            return list(hosts(api, [MeterQueries(meter, self.selector) for meter in self.meters], step.now))

    def _fetch(self, day: date, step: StepContext) -> Iterator[Fetched]:
        window = Window.of(day, step.now)
        with Api(self, step.log) as api:
            session = Session(api, day, step)
            everyone = [MeterQueries(meter, self.selector, self.keep_labels) for meter in self.meters]
            present = yield from session.present(everyone, window)
            answers = yield from session.ask([query for one in present for query in one.hours(window)])
            if answers:
                yield from self._look_closer(session, {one.meter.name: one for one in present}, window, answers)

    def _look_closer(
        self, session: Session, queries_by_meter: QueriesByMeter, window: Window, answers: Sequence[Answer]
    ) -> Iterator[Fetched]:
        meters = [meter for meter in self.meters if meter.name in queries_by_meter]
        with session.loaded(answers) as scratch:
            name_devices(scratch, meters)
            observe(scratch)
            find_uses(scratch, self.keep_labels)
            find_suspicious(scratch)
            queries = [
                *last_known(scratch, queries_by_meter, window),
                *suspicious_samples(scratch, queries_by_meter),
                *gauge_readings(scratch, queries_by_meter, window, self.max_gap_s),
                *activity(scratch, queries_by_meter, window),
            ]
            if self.scrape_interval_s is None:
                queries += pace(scratch, queries_by_meter)
        answers = yield from session.ask(queries)
        answers = [answer for answer in answers if answer.role in ("before", "usage")]
        if not answers:
            return
        with session.loaded(answers) as scratch:
            name_devices(scratch, meters)
            find_uses(scratch, self.keep_labels)
            queries = [*last_hours(scratch, queries_by_meter), *activity(scratch, queries_by_meter, window)]
        yield from session.ask(queries)

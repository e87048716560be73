"""prometheus_energy: hourly energy of GPUs, CPUs, memory and nodes that a Prometheus scrapes.

What belongs here: the source's keys, and collecting and parsing put together. What does not: the questions
(`collecting`, `queries`), the arithmetic (`counters`, `gauges`, `sharing`) and the wire (`client`). Serves the asset
`raw/<name>`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from energy_assets.contracts.vocabulary import Feed
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Finding, Parsed, PlacedSource, SeenNode, StepContext, Unit
from energy_assets.sources.errors import PermanentError
from energy_assets.sources.power import GapPolicy
from energy_assets.sources.prometheus import beginning, down, lookalikes, textfiles, unread
from energy_assets.sources.prometheus.answers import Answer, Scratch
from energy_assets.sources.prometheus.client import TRAILING_DAYS, Api, NamesQuery, Server
from energy_assets.sources.prometheus.collecting import (
    QueriesByMeter,
    Session,
    activity,
    copies,
    gauge_readings,
    intervals,
    landed_answers,
    landed_names,
    last_hours,
    last_known,
    suspicious_samples,
)
from energy_assets.sources.prometheus.counters import find_suspicious
from energy_assets.sources.prometheus.devices import name_devices, observe
from energy_assets.sources.prometheus.doctor import disagreeing_now, examine, hosts, names_there
from energy_assets.sources.prometheus.exporters import ProfileName, asked
from energy_assets.sources.prometheus.lookalikes import NO_METRIC
from energy_assets.sources.prometheus.matchers import LabelName, MetricName
from energy_assets.sources.prometheus.meters import DIES, CustomMetric, Meter, die_meter
from energy_assets.sources.prometheus.queries import MeterQueries, Window, vendors
from energy_assets.sources.prometheus.readings import EMPTY, assemble
from energy_assets.sources.prometheus.sharing import find_uses


class PrometheusEnergy(Server, PlacedSource):
    """Energy counters and power gauges in one Prometheus."""

    feeds: ClassVar[Feed] = Feed.ENERGY
    title: ClassVar[str] = "Energy measured by exporters, collected from Prometheus"
    engine_kind: ClassVar[str] = "prometheus"
    parser_version: ClassVar[str] = "4"

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
    mirrored_dies: bool | None = Field(
        None, description="true where all dies of a package show one counter (AMD); default: by the host's vendor"
    )
    profiles: tuple[ProfileName, ...] = Field((), description="more exporters whose metrics are read, by their names")
    metrics: tuple[CustomMetric, ...] = Field((), description="more metrics of energy or power, with their labels")
    scales: dict[MetricName, Annotated[Decimal, Field(gt=0, max_digits=9)]] = Field(
        default_factory=dict, description="what the samples of a metric are multiplied by, where no unit fits"
    )
    ignore: tuple[MetricName, ...] = Field((), description="metrics that look like energy or power and shall not count")
    keep_labels: tuple[LabelName, ...] = Field((), description="more labels of the samples that attribution needs")

    @field_validator("metrics")
    @classmethod
    def _named_once(cls, metrics: tuple[CustomMetric, ...]) -> tuple[CustomMetric, ...]:
        named = Counter(one.meter().name for one in metrics)
        if twice := [name for name, number in named.items() if number > 1]:
            raise ValueError(f"{twice[0]} has two lines; give each line a match of its own, or keep one")
        return metrics

    @model_validator(mode="after")
    def _scaled_are_read(self) -> PrometheusEnergy:
        known = {meter.metric for meter in self._meters(self.scales)}
        if lost := [name for name in self.scales if name not in known]:
            raise ValueError(f"scales names {lost[0]}, which is no metric that this source reads; name it as there")
        return self

    @property
    def meters(self) -> tuple[Meter, ...]:
        """Every meter asked for, the best first; dies of packages are known when the server names them."""
        return self._meters()

    def _meters(self, names: Iterable[str] = ()) -> tuple[Meter, ...]:
        return asked(self.rapl_wrap_joules, self.profiles, self.metrics, names, self.scales)

    def _present(self, names: frozenset[str]) -> list[MeterQueries]:
        found = [meter for meter in self._meters(names) if meter.metric in names]
        return [MeterQueries(meter, self.selector, self.keep_labels) for meter in found]

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
            alike = lookalikes.energy(landed_names(objects, step), self.meters, self.ignore)
            empty = step.con.table(scratch.make("energy", EMPTY))
            return Parsed(empty, {NO_METRIC: 1}, {NO_METRIC: lookalikes.names_of(alike)})
        meters = self._meters(answer.meter for answer in answers)
        table, notes, examples = assemble(
            scratch,
            answers,
            Window.asked(days.first, objects),
            meters,
            keep_labels=self.keep_labels,
            interval_s=self.scrape_interval_s,
            max_gap_s=self.max_gap_s,
            gap_policy=self.gap_policy,
            mirrored_dies=self.mirrored_dies,
            cut=beginning.is_cut(objects, step),
        )
        return Parsed(step.con.table(table), notes, examples)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Reachable, allowed, which known metrics exist, and how fresh they are."""
        with Api(self, step.log, attempts=1) as api:
            queries = [MeterQueries(meter, self.selector) for meter in self.meters]
            then = partial(self._look_around, api, step)
            yield from examine(api, queries, step.now, patterns=[DIES], found=self._present, then=then)

    def _look_around(self, api: Api, step: StepContext, present: Sequence[MeterQueries]) -> Iterator[Finding]:
        yield from disagreeing_now(api, present, step)
        yield from unread.energy(api, self.selector, self.meters, self.profiles, self.ignore, step.now)

    def foresee(self, days: Collection[date], step: StepContext) -> Iterable[Finding]:
        """Days of which the server knows nothing any more, or only the end."""
        with Api(self, step.log, attempts=1) as api:
            yield from beginning.foreseen(api, days)

    def observe(self, step: StepContext) -> Iterable[SeenNode]:
        """The hosts that report now."""
        with Api(self, step.log, attempts=1) as api:
            queries = [MeterQueries(meter, self.selector) for meter in self.meters]
            there = names_there(api, queries, [DIES])
            return list(hosts(api, self._present(there), step.now))

    def _fetch(self, day: date, step: StepContext) -> Iterator[Fetched]:
        window = Window.of(day, step.now)
        with Api(self, step.log) as api:
            session = Session(api, day, step)
            everyone = [MeterQueries(meter, self.selector) for meter in self.meters]
            names = yield from session.names(everyone, window, [DIES, textfiles.METRIC, textfiles.PUSHED])
            present = self._present(names)
            counters = {one.meter.metric for one in present if one.meter.counter}
            queries = [query for one in present for query in one.hours(window)]
            queries += [one.means(window) for one in present if one.meter.counterpart in counters]
            if any(die_meter(name, None) or name == "node_rapl_joules_total" for name in names):
                queries.append(vendors(self.selector, window))
            if {textfiles.METRIC, textfiles.PUSHED} & names:
                queries += textfiles.question(present, self.selector, window)
            if not queries:
                yield from session.all_names(self.selector, window)
            else:
                queries += down.question(self.selector, window)
            answers = yield from session.ask(queries)
            if answers:
                yield from self._look_closer(session, {one.meter.name: one for one in present}, window, answers)

    @staticmethod
    def _asked_before(session: Session, query: NamesQuery) -> Iterator[Fetched]:
        """What the server knew before; a server that tells no names of a whole month fails no day."""
        try:
            yield from session.named(query)
        except PermanentError as error:
            session.step.log.warning("%s; whether the server knew anything before is not known", error.message)

    def _look_closer(
        self, session: Session, queries_by_meter: QueriesByMeter, window: Window, answers: Sequence[Answer]
    ) -> Iterator[Fetched]:
        meters = [meter for meter in self._meters(queries_by_meter) if meter.name in queries_by_meter]
        with session.loaded(answers) as scratch:
            earlier = beginning.question(scratch, window)
            name_devices(scratch, meters)
            observe(scratch)
            find_uses(scratch, self.keep_labels)
            find_suspicious(scratch)
            queries = [
                *last_known(scratch, queries_by_meter, window),
                *suspicious_samples(scratch, queries_by_meter),
                *gauge_readings(scratch, queries_by_meter, window, self.max_gap_s),
                *activity(scratch, queries_by_meter, window),
                *copies(scratch, queries_by_meter, window),
                *textfiles.last_writes(scratch, list(queries_by_meter.values()), window),
                *down.served(scratch, [MeterQueries(one, self.selector) for one in self.meters], [DIES], window),
            ]
            if self.scrape_interval_s is None:
                queries += intervals(scratch, queries_by_meter)
        if earlier:
            yield from self._asked_before(session, earlier)
        answers = yield from session.ask(queries)
        answers = [answer for answer in answers if answer.role in ("before", "usage")]
        if not answers:
            return
        with session.loaded(answers) as scratch:
            name_devices(scratch, meters)
            find_uses(scratch, self.keep_labels)
            queries = [*last_hours(scratch, queries_by_meter), *activity(scratch, queries_by_meter, window)]
        yield from session.ask(queries)

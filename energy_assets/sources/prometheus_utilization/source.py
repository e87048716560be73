"""The source `prometheus_utilization`: how busy billed machines were, where a Prometheus knows it.

What belongs here: the source's keys, and collecting and parsing put together. What does not: the questions (`queries`),
the arithmetic (`segments`, `hours`), names of machines (`machines`) and the wire (`sources.prometheus.client`). Serves
the asset `raw/<name>`; what an estimate makes of it is in `estimates.utilization`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from energy_assets.contracts.vocabulary import Feed
from energy_assets.counting import counted
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Finding, Parsed, Source, StepContext, Unit, provider_name
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.client import TRAILING_DAYS, Api, Query, Server
from energy_assets.sources.prometheus.collecting import Session, landed_answers
from energy_assets.sources.prometheus.doctor import examine
from energy_assets.sources.prometheus.lookalikes import NO_METRIC
from energy_assets.sources.prometheus.matchers import LabelName
from energy_assets.sources.prometheus.queries import HOUR, MeterQueries, Window
from energy_assets.sources.prometheus_utilization import hours, queries
from energy_assets.sources.prometheus_utilization.meters import BUILT_IN, MACHINE_LABELS, CustomLoad, LoadMeter

EXPORTERS = "node_exporter, windows_exporter, dcgm-exporter, one of your cloud's monitoring"


class PrometheusUtilization(Server, Source):
    """Utilization of processors and GPUs in one Prometheus."""

    feeds: ClassVar[Feed] = Feed.UTILIZATION
    title: ClassVar[str] = "Utilization of billed machines, collected from Prometheus"
    engine_kind: ClassVar[str] = "prometheus"
    parser_version: ClassVar[str] = "1"
    speaks_of_every_day: ClassVar[bool] = False

    kind: Literal["prometheus_utilization"]
    provider: Annotated[str, AfterValidator(provider_name)] | None = Field(
        None, description="aws, gcp, azure …: of machines whose names do not say it"
    )
    account_id: str | None = Field(None, description="of the machines, where their names do not say it")
    region: str | None = Field(None, description="of all machines; leave it out where they are in several")
    machine_label: LabelName | None = Field(
        None, description="label that names a machine as its bill does; default: instance_id, node, instance …"
    )
    max_gap_s: int = Field(300, ge=60, le=3600, description="readings further apart than this are a gap")
    metrics: tuple[CustomLoad, ...] = Field((), description="more gauges of utilization, with their units")

    @property
    def meters(self) -> tuple[LoadMeter, ...]:
        """Every meter asked for, the best first; a line of site.yaml goes before the built-in one of its metric."""
        own = tuple(one.meter() for one in self.metrics)
        named = {meter.metric for meter in own}
        return (*own, *(meter for meter in BUILT_IN if meter.metric not in named))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that may name a machine, the best first."""
        return tuple(dict.fromkeys((*filter(None, [self.machine_label]), *MACHINE_LABELS)))

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
            return Parsed(step.con.table(scratch.make("rows", hours.EMPTY)), {NO_METRIC: 1})
        start = Window.of(days.first).start
        table, notes, examples = hours.assemble(
            scratch,
            answers,
            (start, queries.end_asked(start, objects, self.max_gap_s)),
            self.meters,
            self.labels,
            max_gap_s=self.max_gap_s,
            said={"provider": self.provider, "account_id": self.account_id, "region": self.region},
        )
        return Parsed(step.con.table(table), notes, examples, stored=True)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Reachable, allowed, which metrics exist and how fresh they are, and which machines they are of."""
        with Api(self, step.log, attempts=1) as api:
            every = [MeterQueries(meter, self.selector) for meter in self.meters]
            look = partial(self._machines, api, step)
            yield from examine(api, every, step.now, then=look, exporters=EXPORTERS)

    def _machines(self, api: Api, step: StepContext, present: Sequence[MeterQueries]) -> Iterator[Finding]:
        """Machines of the last whole hour, as a run names them."""
        end = int(step.now.timestamp()) // HOUR * HOUR
        window = Window(step.now.date(), end - HOUR, end)
        session = Session(api, step.now.date(), step)
        there = {one.meter.metric for one in present} | {queries.KUBERNETES, queries.UNAME}
        asking = session.ask(self._questions(there, window))
        while True:
            try:
                next(asking)
            except StopIteration as done:
                answers = done.value
                break
        if not answers:
            return
        scratch = Scratch(step.con)
        table, notes, examples = hours.assemble(
            scratch,
            answers,
            (window.start, window.end),
            self.meters,
            self.labels,
            max_gap_s=self.max_gap_s,
            said={"provider": self.provider, "account_id": self.account_id, "region": self.region},
        )
        rows = scratch.rows(f"""
            SELECT component, count(*), min(resource_id), avg(utilization)::DOUBLE, avg(coverage)::DOUBLE
            FROM {table} GROUP BY component ORDER BY component""")  # noqa: S608 - the table is our own
        for component, number, example, load, coverage in rows:
            yield Finding(
                True,
                f"{component} of {counted(number, 'machine')} (such as {example}), {load * 100:.1f} % busy in"
                f" {coverage * 100:.0f} % of the last hour",
            )
        if unnamed := notes.get("loads_without_provider"):
            names = ", ".join(examples["loads_without_provider"])
            yield Finding(
                False,
                f"{counted(unnamed, 'machine')} of which nothing says whose they are: {names}",
                "Write `provider` (such as aws) into this source in site.yaml, or let Prometheus keep a label"
                " instance_id (EC2 service discovery) or scrape kube-state-metrics.",
                ("loads_without_provider",),
            )
        scratch.clear()

    def _questions(self, there: Iterable[str], window: Window) -> list[Query]:
        names = frozenset(there)
        present = [meter for meter in self.meters if meter.metric in names]
        asked = [
            query
            for meter in present
            for query in queries.loads(meter, self.selector, self.labels, window, self.max_gap_s)
        ]
        return asked + queries.names_of_hosts(names, self.selector, window) if asked else []

    def _fetch(self, day: date, step: StepContext) -> Iterator[Fetched]:
        window = Window.of(day, step.now)
        with Api(self, step.log) as api:
            session = Session(api, day, step)
            there = yield from session.named(queries.known(self.meters, self.selector, window))
            if window.end > window.start:
                yield from session.ask(self._questions(there, window))

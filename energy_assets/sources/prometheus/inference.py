"""prometheus_inference: requests and tokens per hour of inference servers that a Prometheus scrapes.

What belongs here: the source's keys, and collecting and parsing put together. What does not: the questions
(`collecting`, `queries`), what counters mean (`serving`) and the wire (`client`). Serves the asset `raw/<name>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from energy_assets.contracts.vocabulary import Feed
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Finding, Parsed, Source, StepContext, Strict, Unit
from energy_assets.sources.prometheus import lookalikes, unread
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.client import TRAILING_DAYS, Api, Server
from energy_assets.sources.prometheus.collecting import (
    Session,
    intervals,
    landed_answers,
    landed_names,
    last_hours,
    last_known,
    suspicious_samples,
)
from energy_assets.sources.prometheus.copies import ToldApart
from energy_assets.sources.prometheus.counters import find_suspicious
from energy_assets.sources.prometheus.devices import observe
from energy_assets.sources.prometheus.doctor import examine
from energy_assets.sources.prometheus.lookalikes import NO_METRIC
from energy_assets.sources.prometheus.matchers import LabelName, MetricName
from energy_assets.sources.prometheus.queries import MeterQueries, Window
from energy_assets.sources.prometheus.serving import (
    BUILT_IN,
    EMPTY,
    CountedMetric,
    CountedMetrics,
    assemble,
    name_series,
    relays,
    written,
)
from energy_assets.sources.prometheus.sharing import find_uses


class CustomCounter(Strict):
    """A counter of an inference server that is not built in."""

    metric: MetricName
    counts: Literal["requests", "failed_requests", "prompt_tokens", "generated_tokens"]


class PrometheusInference(Server, Source):
    """Counters of vLLM, Text Generation Inference and others in one Prometheus."""

    feeds: ClassVar[Feed] = Feed.ACTIVITY
    title: ClassVar[str] = "Requests and tokens of inference servers, collected from Prometheus"
    engine_kind: ClassVar[str] = "prometheus"
    parser_version: ClassVar[str] = "4"

    kind: Literal["prometheus_inference"]
    scrape_interval_s: int | None = Field(
        None, ge=1, le=3600, description="seconds between scrapes; default: as seen in the samples"
    )
    deployment_label: LabelName | None = Field(
        None, description="label that names the deployment; default: pod, else instance"
    )
    models: dict[str, str] = Field(
        default_factory=dict, description="model by deployment, instance or job, for servers that do not name it (TGI)"
    )
    prefill: tuple[str, ...] | None = Field(
        None,
        description="deployments that only prefill for others, whose requests others count (* stands for any text);"
        " default: told by their names and counts",
    )
    metrics: tuple[CustomCounter, ...] = Field((), description="more counters, and what they count")
    ignore: tuple[MetricName, ...] = Field(
        (), description="metrics that look like requests or tokens and shall not count"
    )
    keep_labels: tuple[LabelName, ...] = Field((), description="more labels of the samples that attribution needs")

    @property
    def counted(self) -> tuple[CountedMetric, ...]:
        """Every counter asked for."""
        own = {custom.metric: CountedMetric(custom.metric, custom.counts) for custom in self.metrics}
        return (*(one for one in BUILT_IN if one.metric not in own), *own.values())

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
            alike = lookalikes.counts(landed_names(objects, step), self._read, self.ignore)
            empty = step.con.table(scratch.make("activity", EMPTY))
            return Parsed(empty, {NO_METRIC: 1}, {NO_METRIC: lookalikes.names_of(alike)})
        table, notes, examples = assemble(
            scratch,
            answers,
            Window.asked(days.first, objects),
            self.counted,
            deployment_labels=self._deployment_labels,
            models=self.models,
            keep_labels=self.keep_labels,
            interval_s=self.scrape_interval_s,
            prefill=self.prefill,
        )
        return Parsed(step.con.table(table), notes, examples)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Reachable, allowed, which known metrics exist, and how fresh they are."""
        with Api(self, step.log, attempts=1) as api:
            queries = [MeterQueries(one, self.selector) for one in self.counted]
            yield from examine(api, queries, step.now, then=partial(self._look_around, api, step))

    def _look_around(self, api: Api, step: StepContext, _: Sequence[MeterQueries]) -> Iterator[Finding]:
        return unread.counts(api, self.selector, self._read, self.ignore, step.now)

    @property
    def _read(self) -> dict[str, str]:
        return {one.metric: one.counts for one in self.counted}

    def _by_written_name(self, present: Sequence[MeterQueries]) -> dict[str, MeterQueries]:
        """Queries by the metric's name as its server writes it; of two spellings one query asks for both."""
        spelled: dict[str, list[MeterQueries]] = {}
        for one in present:
            spelled.setdefault(written(one.meter.name), []).append(one)
        return {
            name: MeterQueries(CountedMetrics(tuple(one.meter.metric for one in some)), self.selector)
            if len(some) > 1
            else some[0]
            for name, some in spelled.items()
        }

    @property
    def _told_apart(self) -> ToldApart:
        return ToldApart(self._deployment_labels[0], self.models)

    @property
    def _deployment_labels(self) -> tuple[str, ...]:
        first_choice = (self.deployment_label,) if self.deployment_label else ()
        return (*first_choice, "pod", "instance", "job")

    def _fetch(self, day: date, step: StepContext) -> Iterator[Fetched]:
        window = Window.of(day, step.now)
        with Api(self, step.log) as api:
            session = Session(api, day, step)
            everyone = [MeterQueries(one, self.selector) for one in self.counted]
            known = yield from session.names(everyone, window)
            present = [one for one in everyone if one.meter.metric in known]
            if not present:
                yield from session.all_names(self.selector, window)
                return
            together = MeterQueries(CountedMetrics(tuple(one.meter.metric for one in present)), self.selector)
            queries = [*together.boundaries(window), *(q for one in present for q in one.details(window))]
            answers = yield from session.ask(queries)
            each = self._by_written_name(present)
            queries_by_meter = dict.fromkeys(each, together)
            with session.loaded(answers) as scratch:
                name_series(scratch, [one.meter for one in present], self._told_apart)
                observe(scratch)
                find_uses(scratch, ())
                find_suspicious(scratch)
                queries = [
                    *last_known(scratch, queries_by_meter, window),
                    *suspicious_samples(scratch, queries_by_meter),
                    *relays(scratch, each, self._deployment_labels),
                ]
                if self.scrape_interval_s is None:
                    queries += intervals(scratch, each)
            answers = yield from session.ask(queries)
            answers = [answer for answer in answers if answer.role == "before"]
            if answers:
                with session.loaded(answers) as scratch:
                    name_series(scratch, [one.meter for one in present], self._told_apart)
                    queries = last_hours(scratch, queries_by_meter)
                yield from session.ask(queries)

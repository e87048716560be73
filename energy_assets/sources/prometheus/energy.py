"""prometheus_energy: hourly energy of GPUs, CPUs, memory and nodes that a Prometheus scrapes.

What belongs here: the source's keys, and collecting and parsing put together. What does not: the order of
questions (`collecting`), the arithmetic (`counters`, `gauges`, `sharing`) and the wire (`client`). Serves the
asset `raw/<name>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Desk, Feed, Finding, Parsed, PlacedSource, Unit
from energy_assets.sources.power import GapPolicy
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.client import Api, Server
from energy_assets.sources.prometheus.collecting import Session, collect_counter, collect_gauge, landed_answers
from energy_assets.sources.prometheus.doctor import examine
from energy_assets.sources.prometheus.meters import CustomMetric, LabelName, Meter, built_in
from energy_assets.sources.prometheus.queries import Asker, Window
from energy_assets.sources.prometheus.readings import EMPTY, assemble


class PrometheusEnergy(Server, PlacedSource):
    """Energy counters and power gauges in one Prometheus."""

    feeds: ClassVar[Feed] = "energy"
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

    def plan(self, days: DayRange, desk: Desk) -> Iterable[Unit]:
        """One unit per day: all of its queries succeed together or not at all."""
        return [Unit((day,), f"{self.name} {day}", partial(self._fetch, day, desk)) for day in days]

    def parse(self, objects: Sequence[Landed], days: DayRange, desk: Desk) -> Parsed:
        """Rows of the days; every day has its own objects."""
        scratch = Scratch(desk.con)
        if not objects:
            return Parsed(desk.con.table(scratch.make("energy", EMPTY)))
        table, notes = assemble(
            scratch,
            landed_answers(objects, desk),
            Window.asked(days.first, objects),
            self.meters,
            keep_labels=self.keep_labels,
            interval_s=self.scrape_interval_s,
            max_gap_s=self.max_gap_s,
            gap_policy=self.gap_policy,
        )
        return Parsed(desk.con.table(table), notes)

    def check(self, desk: Desk) -> Iterable[Finding]:
        """Reachable, allowed, which known metrics exist, and how fresh they are."""
        with Api(self, desk.log, attempts=1) as api:
            yield from examine(api, [Asker(meter, self.selector) for meter in self.meters], desk.now)

    def _fetch(self, day: date, desk: Desk) -> Iterator[Fetched]:
        window = Window.of(day, desk.now)
        find_pace = self.scrape_interval_s is None
        with Api(self, desk.log) as api:
            session = Session(api, day, desk)
            for meter in self.meters:
                asker = Asker(meter, self.selector, self.keep_labels)
                if meter.counter:
                    yield from collect_counter(session, asker, window, find_pace=find_pace)
                else:
                    yield from collect_gauge(session, asker, window, max_gap_s=self.max_gap_s)

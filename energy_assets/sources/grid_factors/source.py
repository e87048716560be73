"""The source `grid_factors`: values of a year or a month that a publisher states for a grid zone.

They stand in site.yaml, or in a table of a publisher whose licence lets it come with this package.

What belongs here: the block, and its rows by the hour. What does not: which rung of the ladder counts
(`energy_assets.factors`). For whoever has no account for hourly intensities: the last rung, and labelled so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import ibis
import pyarrow as pa
from pydantic import Field, field_serializer, field_validator, model_validator

from energy_assets.contracts.vocabulary import Feed
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange, Month
from energy_assets.sources.base import Finding, GridZone, Parsed, SeenZone, Source, StepContext, Strict, Unit
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.grid_factors.published import Publisher, published_intensities
from energy_assets.sources.intensity import MAX_GCO2E_PER_KWH, ROWS, looks_like_kilograms, marginal_word, values_said
from energy_assets.sources.notes import words

CARRIED_YEARS = 3
"""Publishers state a year's factor one or two years later, so the latest one stands for the years after it, told each
time; for more than three years it is not believed."""
YEAR = 12
"""Months."""

_LACKS = {
    "direct_gco2e_per_kwh": "no direct value, so Scope 2 needs `factors: {scope2_basis: lifecycle}`",
    "lifecycle_gco2e_per_kwh": "no life-cycle value, so upstream emissions are not known",
}

_EARLIER, _KILOGRAMS = "factors_of_earlier_years", "factors_like_kilograms"

Grams = Annotated[Decimal, Field(ge=0, le=MAX_GCO2E_PER_KWH, max_digits=7, decimal_places=3)]


class Factor(Strict):
    """What a publisher states of one zone for one year, or one month of it."""

    zone: GridZone = Field(description="grid zone, as the places of the site name it, for example DE")
    year: int = Field(ge=1990, le=2100, description="the year the value is of")
    month: int | None = Field(None, ge=1, le=12, description="the month, where the value is of one")
    begins: int | None = Field(
        None, ge=2, le=12, description="the month the year begins with where that is not January: 7 for July to June"
    )
    direct_gco2e_per_kwh: Grams | None = Field(None, description="combustion alone, for Scope 2")
    lifecycle_gco2e_per_kwh: Grams | None = Field(None, description="over the life cycle, upstream included")
    source: str = Field(min_length=1, description="who states it and where, for example 'UBA, CC 13/2025, table 1'")
    url: str | None = Field(None, pattern="^https?://", description="where it can be read")

    @field_validator("source")
    @classmethod
    def _one_line(cls, source: str) -> str:
        if word := marginal_word(source):
            raise ValueError(
                f"speaks of marginal rates ('{word}'), which are for scheduling: no inventory may be made of them; "
                "state the average intensity of the grid"
            )
        return " ".join(source.split())

    @field_serializer("direct_gco2e_per_kwh", "lifecycle_gco2e_per_kwh", when_used="json")
    def _plain(self, grams: Decimal | None) -> str | None:
        return None if grams is None else f"{grams:f}"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.direct_gco2e_per_kwh is None and self.lifecycle_gco2e_per_kwh is None:
            raise ValueError("states no value: give direct_gco2e_per_kwh, lifecycle_gco2e_per_kwh, or both")
        if self.month and self.begins:
            raise ValueError("is of a month, which has no other beginning: leave `begins` out")
        return self

    def months_after(self, month: Month) -> int:
        """How many months a month lies after the first one of the year that the value is of; below 0 before it.

        Args:
            month: Any month.
        """
        return (month.year - self.year) * YEAR + month.month - (self.begins or 1)

    @property
    def exchanged(self) -> bool:
        """Whether the direct value is more than the life-cycle one, which should contain it."""
        direct, lifecycle = self.direct_gco2e_per_kwh, self.lifecycle_gco2e_per_kwh
        return direct is not None and lifecycle is not None and direct > lifecycle

    @property
    def suspect(self) -> bool:
        """Whether its values are probably kilograms."""
        return looks_like_kilograms(self.direct_gco2e_per_kwh, self.lifecycle_gco2e_per_kwh)

    @property
    def values(self) -> str:
        """Its values, for a sentence."""
        return values_said(self.direct_gco2e_per_kwh, self.lifecycle_gco2e_per_kwh)

    @property
    def said(self) -> str:
        """Its zone, period and values."""
        return f"{self.zone} {self.period}: {self.values}"

    @property
    def period(self) -> str:
        """The year, or the two it touches, or the month."""
        if self.begins:
            return f"{self.year}-{self.year + 1}"
        return f"{self.year}" if self.month is None else f"{self.year}-{self.month:02}"

    @property
    def factor_id(self) -> str:
        """Publisher, zone and period."""
        return f"{re.sub(r'[^A-Za-z0-9.,()-]+', '_', self.source)}/{self.zone}/{self.period}"


class GridFactors(Source):
    """Yearly or monthly grid factors from site.yaml, or from a publisher's table."""

    feeds: ClassVar[Feed] = Feed.GRID_INTENSITY
    parser_version: ClassVar[str] = "1"
    title: ClassVar[str] = "Grid factors of a year or month"
    engine_kind: ClassVar[str] = "yaml"
    speaks_of_every_day: ClassVar[bool] = False
    restates: ClassVar[bool] = True

    kind: Literal["grid_factors"]
    factors: list[Factor] = Field(
        default_factory=list,
        description="rows of zone, year, direct_gco2e_per_kwh, lifecycle_gco2e_per_kwh, source, url",
    )
    publishers: list[Publisher] = Field(
        default_factory=list,
        description="publishers whose yearly tables come with energy_assets; `factors` of the same zone and period go "
        "before theirs",
    )

    @field_validator("factors")
    @classmethod
    def _one_voice(cls, factors: list[Factor]) -> list[Factor]:
        seen: set[tuple[str, str]] = set()
        for factor in factors:
            if (factor.zone, factor.period) in seen:
                raise ValueError(f"zone {factor.zone} has two values of {factor.period}; keep one of them")
            seen.add((factor.zone, factor.period))
        return factors

    @model_validator(mode="after")
    def _states_something(self) -> Self:
        if not self.factors and not self.publishers:
            raise ValueError(
                "states nothing: write rows under `factors`, or name a publisher whose table comes with "
                f"energy_assets: publishers: [{', '.join(get_args(Publisher))}]"
            )
        return self

    @property
    def code_version(self) -> str:
        """The parser's version and all that is stated: days collected before follow a factor that became another."""
        stated = [factor.model_dump(mode="json", exclude_none=True) for factor in self.every()]
        text = json.dumps(stated, sort_keys=True, ensure_ascii=False)
        return f"{self.parser_version}+{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per month of `days`: what is stated for it, so that a factor that is added changes no other day."""
        for month in sorted({Month.of(day) for day in days}):
            stated = self._stated(month, step)
            if stated:
                wanted = tuple(day for day in days if Month.of(day) == month)
                yield Unit(wanted, f"{month}", partial(self._fetch, month, stated, wanted))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """The same value for every hour; values that stand in for a later year are counted."""
        factors: list[tuple[Factor, str, Month]] = []
        for landed in objects:
            month = Month.parse(str(landed.request["month"]))
            try:
                rows = json.loads(step.read(landed))
                factors += [(Factor.model_validate(row), landed.sha256, month) for row in rows]
            except ValueError as error:
                raise MalformedError(f"{self.name}: {landed.request}: is no list of factors", "Run again.") from error
        rows = [
            self._row(factor, sha256, hour)
            for factor, sha256, month in factors
            for hour in _hours(days)
            if Month.of(hour.date()) == month
        ]
        told = {
            _EARLIER: [
                (f"{f.zone}: {f.period} stands for {month.year}", f.zone, month)
                for f, _, month in factors
                if f.month is None and f.months_after(month) >= YEAR
            ],
            _KILOGRAMS: [(f.said, f.zone, month) for f, _, month in factors if f.suspect],
        }
        notes = {
            name: len({(zone, day) for _, zone, month in some for day in days if Month.of(day) == month})
            for name, some in told.items()
            if some
        }
        examples = {name: sorted({said for said, *_ in told[name]}) for name in notes}
        return Parsed(ibis.memtable(pa.Table.from_pylist(rows, schema=ROWS.to_pyarrow())), notes, examples)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Each zone: which periods, which bases, and whether the latest still stands for today."""
        every = self.every(step.zones)
        for zone in dict.fromkeys(factor.zone for factor in every):
            mine = [factor for factor in every if factor.zone == zone]
            periods = ", ".join(sorted(factor.period for factor in mine))
            lacks = [said for name, said in _LACKS.items() if all(getattr(factor, name) is None for factor in mine)]
            newest = max(factor.year for factor in mine)
            what = f"{zone}: {periods} ({'; '.join(dict.fromkeys(factor.source for factor in mine))})"
            if newest + CARRIED_YEARS < step.now.year:
                remedy = f"Add a later one to `factors`; one stands for {CARRIED_YEARS} years after its own."
                yield Finding(False, f"{what}, too old for {step.now.year}", remedy)
            elif suspect := [factor.said for factor in mine if factor.suspect]:
                what = f"{'; '.join(suspect)}: less than that of any grid, as if kilograms were taken for grams"
                yield Finding(False, what, words(_KILOGRAMS).remedy, (_KILOGRAMS,))
            elif any(factor.exchanged for factor in mine):
                remedy = "Exchange them, if they were; else leave out the one that is of another boundary."
                yield Finding(False, f"{what}: the direct value is more than the life-cycle one", remedy)
            else:
                yield Finding(True, "; ".join([what, *lacks]))

    def observe(self, step: StepContext) -> Iterable[SeenZone]:
        """The zones, from the first period to the last year they stand for."""
        every = self.every()
        for zone in sorted({factor.zone for factor in every}):
            mine = [factor for factor in every if factor.zone == zone]
            first = min(date(factor.year, factor.month or factor.begins or 1, 1) for factor in mine)
            last = date(max(factor.year for factor in mine) + CARRIED_YEARS, 12, 31)
            yield SeenZone(zone, first, last)

    def every(self, zones: Sequence[str] | None = None) -> list[Factor]:
        """What site.yaml states, and what the publishers state beyond it.

        Args:
            zones: Those that a publisher's table is read for; None for all it has.
        """
        found = {(factor.zone, factor.period): factor for factor in self.factors}
        published = [
            Factor(
                zone=row.zone,
                year=row.year,
                begins=row.begins,
                direct_gco2e_per_kwh=row.direct_gco2e_per_kwh,
                lifecycle_gco2e_per_kwh=row.lifecycle_gco2e_per_kwh,
                source=f"{row.source}: {row.of}",
                url=row.url,
            )
            for publisher in dict.fromkeys(self.publishers)
            for row in published_intensities(publisher)
            if zones is None or row.zone in zones
        ]
        for factor in published:
            found.setdefault((factor.zone, factor.period), factor)
        return list(found.values())

    def _stated(self, month: Month, step: StepContext) -> list[Factor]:
        """What holds in a month: of each zone its own value, and the one of its year or the latest before it."""
        found, every = [], self.every(step.zones)
        for zone in dict.fromkeys(factor.zone for factor in every):
            mine = [factor for factor in every if factor.zone == zone]
            found += [factor for factor in mine if (factor.year, factor.month) == (month.year, month.month)]
            years = [f for f in mine if f.month is None and 0 <= f.months_after(month) < (CARRIED_YEARS + 1) * YEAR]
            found += [min(years, key=lambda factor: factor.months_after(month))] if years else []
        return found

    def _fetch(self, month: Month, stated: Sequence[Factor], days: tuple[date, ...]) -> Iterator[Fetched]:
        rows = [factor.model_dump(mode="json", exclude_none=True) for factor in stated]
        body = (json.dumps(rows, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
        yield Fetched(body, {"path": "site.yaml", "source": self.name, "month": str(month)}, days)

    @staticmethod
    def _row(factor: Factor, sha256: str, hour: datetime) -> dict[str, Any]:
        return {
            "day": hour.date(),
            "hour": hour,
            "zone": factor.zone,
            "lifecycle_gco2e_per_kwh": factor.lifecycle_gco2e_per_kwh,
            "direct_gco2e_per_kwh": factor.direct_gco2e_per_kwh,
            "carbon_free_share": None,
            "is_estimated": True,
            "resolution": "year" if factor.month is None else "month",
            "factor_id": factor.factor_id,
            "raw_sha256": sha256,
        }


def _hours(days: DayRange) -> Iterator[datetime]:
    """Every hour of some days, UTC without a zone."""
    return (datetime.combine(day, time(hour)) for day in days for hour in range(24))

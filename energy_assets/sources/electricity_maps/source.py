"""The source `electricity_maps`: which requests a day needs, and its rows.

What belongs here: the site.yaml block, the windows, the re-pull. What does not: the wire (`client`), the JSON
(`parse`), and the stand-ins (`energy_assets.sources.intensity`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, ClassVar, Literal, NoReturn, Self

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from pydantic import Field, model_validator

from energy_assets.contracts.vocabulary import Feed
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import ONE_DAY, DayRange, Month
from energy_assets.secrets import SecretError, SecretRef, reveal
from energy_assets.sources.base import Finding, GridZone, Parsed, Source, StepContext, Unit
from energy_assets.sources.electricity_maps.client import BASES, WINDOW_DAYS, Answer, Api
from energy_assets.sources.electricity_maps.hours import (
    coverage_notes,
    known_hours,
    published_rows,
    short_days,
    touched_hours,
)
from energy_assets.sources.electricity_maps.parse import (
    answered_zone,
    is_history,
    is_yearly,
    notes_of,
    points,
    without_gaps,
    year_rows,
)
from energy_assets.sources.errors import DeniedError, MalformedError, PermanentError, SourceError, TransientError
from energy_assets.sources.intensity import month_means, rows_with_stand_ins

_NOT_SERVED = re.compile(r"\bHTTP 40[34]\b")
EPOCH = date(1970, 1, 1)
CURRENT = "v4"
"""Version 3 is legacy and still answers."""
_VERSION = re.compile(r"/(v\d+)/?$")


class ElectricityMaps(Source):
    """Hourly carbon intensity, life-cycle and direct, from the Electricity Maps API, also made of finer values."""

    feeds: ClassVar[Feed] = Feed.GRID_INTENSITY
    parser_version: ClassVar[str] = "3"
    title: ClassVar[str] = "Electricity Maps API"
    engine_kind: ClassVar[str] = "http"

    kind: Literal["electricity_maps"]
    token: SecretRef = Field(description="reference to the auth-token")
    api: Literal["v4", "v3"] | None = Field(None, description="version; default the one `url` ends with, else v4")
    url: str = Field("https://api.electricitymaps.com", pattern="^https?://", description="base url")
    granularity: Literal["hourly", "15_minutes", "5_minutes"] = Field(
        "hourly", description="how fine the values are asked for; hours are made of them"
    )
    zones: list[GridZone] | None = Field(None, min_length=1, description="grid zones; default the zones of all places")
    access: Literal["past_range", "history"] = Field(
        "past_range", description="history for free tokens, which see the last 24 hours only"
    )
    repull_days: int = Field(14, ge=0, le=60, description="days whose estimates may still be replaced")

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        written = _VERSION.search(self.url)
        if self.api and written and written[1] != self.api:
            raise ValueError(f"`url` ends with {written[1]} and `api` says {self.api}: leave one of them out")
        return self

    @property
    def base_url(self) -> str:
        """The url with its version: the one that is written, else that of `api`, else the current one."""
        return self.url.rstrip("/") if _VERSION.search(self.url) else f"{self.url.rstrip('/')}/{self.api or CURRENT}"

    @property
    def trailing_days(self) -> int:
        """`repull_days`; none with `access: history`, whose past cannot be asked for a second time."""
        return 0 if self.access == "history" else self.repull_days

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per zone and window; days that are not over fail, because nobody knows their hours yet."""
        zones = self._zones(step)
        api = self._api()
        today = step.now.date()
        if self.access == "history":
            yield from self._plan_history(api, zones, days, step)
            return
        over = [day for day in days if day < today]
        for zone in zones:
            for window, wanted in self._windows(over, today):
                label = f"{zone} {window}"
                yield Unit(wanted, label, partial(self._served, api, zone, window, wanted, step))
        if len(over) < len(days):
            yield _failing(tuple(day for day in days if day >= today), "days not over", _not_over(today))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """Rows of `days`; points without a usable intensity are counted in the notes."""
        answers = [(landed.request, points(step.read(landed), landed.request, landed.sha256)) for landed in objects]
        hourly = without_gaps(point for request, found in answers if not is_yearly(request) for point in found)
        yearly = without_gaps(point for request, found in answers if is_yearly(request) for point in found)
        touched = touched_hours(step.con, hourly)
        hours, zones = known_hours(touched), {point.zone for point in hourly}
        notes, examples = coverage_notes(touched, days)
        notes = {**notes_of(hourly, days), **notes}
        if not yearly and not short_days(hours, zones, days):
            return Parsed(_temporary(published_rows(hours, days), step), notes, examples)
        known, years = (_temporary(table, step) for table in (hours, year_rows(yearly)))
        whole_months = known.filter(not any(is_history(request) for request, _ in answers))
        rows = _temporary(rows_with_stand_ins(known, month_means(whole_months), years, days), step)
        return Parsed(rows, notes, examples)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Each zone: known, allowed, and does it have hours of yesterday?"""
        try:
            zones, api = self._zones(step), self._api()
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)
            return
        yesterday = step.now.date() - ONE_DAY
        for zone in zones:
            try:
                if self.access == "history":
                    answer = api.last_day(zone, BASES[0], self.granularity)
                else:
                    answer = api.hours(zone, BASES[0], DayRange(yesterday, yesterday), self.granularity)
                _require_zone(answer)
                found = touched_hours(step.con, points(answer.body, answer.request))
                known = known_hours(found).to_pylist()
            except SourceError as error:
                yield Finding(False, error.message, error.remedy)
                continue
            estimated = sum(row["is_estimated"] for row in known)
            period = "the last 24 hours" if self.access == "history" else f"{yesterday}"
            what = f"{self.base_url}: {zone}, {len(known)} of 24 hours of {period}, {estimated} estimated"
            if self.granularity != "hourly" and known:
                answered = max(row["answered_minutes"] for row in known)
                what += f", a value every {answered} minutes ({self.granularity} asked)"
            yield Finding(bool(known), what, "" if known else "Missing hours get stand-ins; ask again tomorrow.")

    def _zones(self, step: StepContext) -> tuple[str, ...]:
        zones = tuple(dict.fromkeys(self.zones or step.zones))
        if not zones:
            raise PermanentError(
                f"source '{self.name}': no grid zone to ask for",
                "Name `zones` of this source in site.yaml, or the `zone` of a place.",
            )
        return zones

    def _api(self) -> Api:
        try:
            return Api(self.base_url, reveal(self.token), self.name)
        except SecretError as error:
            raise DeniedError(f"source '{self.name}': {error}", "It is named by `token` in site.yaml.") from error

    def _windows(self, days: Sequence[date], today: date) -> list[tuple[DayRange, tuple[date, ...]]]:
        """The requests of `days`: a day each where the values are finer than an hour."""
        if self.granularity == "hourly":
            return _grouped(days, today, self.repull_days)
        return [(DayRange(day, day), (day,)) for day in days]

    def _served(
        self, api: Api, zone: str, window: DayRange, days: tuple[date, ...], step: StepContext
    ) -> Iterator[Fetched]:
        """As `_fetch`; nothing of a zone that only bills tell of and that this source, or its plan, does not serve."""
        try:
            yield from self._fetch(api, zone, window, days, step)
        except PermanentError as error:
            if zone not in step.billed_zones or not _NOT_SERVED.search(error.message):
                raise
            step.log.info(f"{self.name}: zone {zone}, of billed use, is not served: {error.message}")

    def _fetch(
        self, api: Api, zone: str, window: DayRange, days: tuple[date, ...], step: StepContext
    ) -> Iterator[Fetched]:
        """The window, both bases; for days with missing hours also the hours of their month, and their year."""
        today, hourly = step.now.date(), self.granularity == "hourly"
        answers = [api.hours(zone, basis, window, self.granularity) for basis in BASES]
        yield from _landable(answers, days)
        lacking = _short(answers, days, step)
        for month in sorted({Month.of(day) for day in lacking}):
            of_month = tuple(day for day in lacking if Month.of(day) == month)
            past = [day for day in month.days if day < today]
            for other, _ in _grouped(past, today, self.repull_days):
                if other != window or not hourly:
                    yield from _landable((api.hours(zone, basis, other) for basis in BASES), of_month)
            yield from _landable((api.year(zone, basis, month.year) for basis in BASES), of_month)

    def _plan_history(self, api: Api, zones: Sequence[str], days: DayRange, step: StepContext) -> Iterator[Unit]:
        """The last 24 hours, beside what earlier collections of the same days have landed."""
        oldest = (step.now - timedelta(hours=23)).date()
        seen = tuple(day for day in days if oldest <= day <= step.now.date())
        landed_days = tuple(day for day in days if day < oldest and step.landing.edition(self.name, day))
        for zone in zones:
            if seen or landed_days:
                yield Unit(
                    seen + landed_days,
                    f"{zone} last 24 hours",
                    partial(self._fetch_history, api, zone, seen, landed_days, step),
                )
        lost = tuple(day for day in days if day not in seen + landed_days)
        if lost:
            error = PermanentError(
                f"source '{self.name}': with `access: history` only the last 24 hours can be asked for, not {lost[0]}",
                "Use a token with `access: past_range`, or add CSV exports as a source of kind intensity_files.",
            )
            yield _failing(lost, "days out of reach", error)

    def _fetch_history(
        self, api: Api, zone: str, seen: tuple[date, ...], landed_days: tuple[date, ...], step: StepContext
    ) -> Iterator[Fetched]:
        answers = [api.last_day(zone, basis, self.granularity) for basis in BASES] if seen else []
        for day in (*landed_days, *seen):
            edition = step.landing.edition(self.name, day)
            for landed in edition.objects if edition else ():
                body = step.read(landed)
                if landed.request["params"]["zone"] == zone and body not in [a.body for a in answers]:
                    yield Fetched(body, landed.request, (day,), 200, "application/json")
        yield from _landable(answers, seen)


def window_of(day: date, today: date, repull_days: int) -> DayRange:
    """The one request a day belongs to, whatever range it is collected in.

    Windows of ten days lie on a fixed grid; a window whose estimates may still change is asked day by day, so
    that a re-pull of a day does not restate its neighbours.

    Args:
        day: The day, UTC.
        today: The current day, UTC.
        repull_days: For how many days estimates may still change.
    """
    first = EPOCH + ONE_DAY * ((day - EPOCH).days // WINDOW_DAYS * WINDOW_DAYS)
    window = DayRange(first, first + ONE_DAY * (WINDOW_DAYS - 1))
    return window if window.last < today - ONE_DAY * repull_days else DayRange(day, day)


def _grouped(days: Iterable[date], today: date, repull_days: int) -> list[tuple[DayRange, tuple[date, ...]]]:
    """The windows of `days`, oldest first, and the days each is wanted for."""
    groups: dict[DayRange, list[date]] = {}
    for day in days:
        groups.setdefault(window_of(day, today, repull_days), []).append(day)
    return [(window, tuple(wanted)) for window, wanted in groups.items()]


def _short(answers: Sequence[Answer], days: tuple[date, ...], step: StepContext) -> list[date]:
    """Days with missing hours; none where an answer cannot be read: parsing will say so."""
    try:
        found = without_gaps(p for n, one in enumerate(answers) for p in points(one.body, one.request, str(n)))
    except MalformedError:
        return []
    return short_days(known_hours(touched_hours(step.con, found)), {point.zone for point in found}, days)


def _landable(answers: Iterable[Answer | None], days: tuple[date, ...]) -> Iterator[Fetched]:
    """The answers there are; one about another zone is landed as evidence, then refused."""
    for answer in answers:
        if answer:
            yield answer.fetched(days)
            _require_zone(answer)


def _require_zone(answer: Answer) -> None:
    """Refuse an answer about another zone, such as the one the caller's address lies in."""
    asked, answered = answer.request["params"]["zone"], answered_zone(answer.body)
    if answered is not None and answered != asked:
        raise PermanentError(
            f"{answer.request['url']}: asked for zone {asked}, answered for {answered}; the answer is not used",
            "Correct the zone's name in site.yaml; the service lists the names under /zones.",
        )


def _failing(days: tuple[date, ...], label: str, error: SourceError) -> Unit:
    def fail() -> NoReturn:
        raise error

    return Unit(days, label, fail)


def _not_over(today: date) -> TransientError:
    return TransientError(f"{today} is not over yet (UTC), its hours are not all known", "Run it again tomorrow.")


def _temporary(rows: ir.Table | pa.Table, step: StepContext) -> ir.Table:
    """The rows as a temporary table on the step's connection: computed once, however often they are read."""
    con: Any = step.con
    temporary: ir.Table = con.create_table(ibis.util.gen_name("intensity"), obj=rows, temp=True)
    return temporary

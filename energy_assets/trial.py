"""A trial of a source: a day of it collected, parsed and audited as a run does it, of which nothing is kept.

What belongs here: choosing the days, the landing zone and lake that are thrown away, and what the trial found. What
does not: what a source finds about itself (`check`), and comparing sources (`doctor.py`). A trial never decides: what
it finds, `run` would find after hours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
from obstore.store import LocalStore

from energy_assets.contracts.audit import ContractError
from energy_assets.contracts.vocabulary import Feed
from energy_assets.factors.places import billed_zones, machine_zones, site_zones
from energy_assets.holes import SHOWN, nearest, owners
from energy_assets.lake import Lake
from energy_assets.landing import Fetched, Landing
from energy_assets.periods import ONE_DAY, DayRange, contiguous
from energy_assets.raw.collecting import ParsedDays, collect, complete, parse
from energy_assets.remarks import Noted, of_notes
from energy_assets.secrets import SecretError
from energy_assets.site import Site
from energy_assets.sources.base import Finding, Incomplete, Source, StepContext
from energy_assets.sources.errors import SourceError
from energy_assets.storage import Storage
from energy_assets.tables import ACTIVITY, COST, ENERGY, USAGE_ESTIMATES, Table, raw_table

TRIAL_S = 15
"""How long a trial of one source may take."""
BACK = 3
"""Days back from the last complete one that a source which is asked over the network is tried for."""
EXAMPLES = 3
ERRORS = 3
"""How many different failures of a source are told."""


_TOLD_OF_HOSTS = (
    "gpus_have_one_host",
    "host_names_are_unambiguous",
    "meters_cover_devices",
    "things_have_one_place",
)
"""Proofs that the chapter of hosts tells, of all machines that are seen."""


class _OutOfTimeError(Exception):
    """The trial has taken long enough."""


class TrialLanding(Landing):
    """A landing zone of its own over one that is only read: known files are not looked into again.

    Args:
        store: Takes everything that is written.
        below: Of the site.
    """

    def __init__(self, store: LocalStore, below: Landing) -> None:
        super().__init__(store)
        self._below = below

    def seen(self, source: str) -> dict[str, Any]:
        """What both remember of a source."""
        return {**self._below.seen(source), **super().seen(source)}

    def holds(self, sha256: str) -> bool:
        """Whether one of both has these bytes."""
        return super().holds(sha256) or self._below.holds(sha256)

    def read(self, sha256: str) -> bytes:
        """The raw bytes of one object, from where they are."""
        return super().read(sha256) if super().holds(sha256) else self._below.read(sha256)

    def spool(self, sha256: str, folder: Path, suffix: str = "") -> Path:
        """The raw bytes of one object as a file, from where they are."""
        here = super().holds(sha256)
        return super().spool(sha256, folder, suffix) if here else self._below.spool(sha256, folder, suffix)


@dataclass
class Trials:
    """The trials of a site's sources, one after the other; those of energy first.

    Attributes:
        site: The site.
        step: What the doctor works with; its folder is thrown away.
        days: Days on which some source of energy had rows: what the others are tried for.
        served: Days on which some source of requests had rows.
        billed: Days on which some bill had charges.
        zones: By source of intensities: the zones it had values of.
    """

    site: Site
    step: StepContext
    days: set[date] = field(default_factory=set)
    served: set[date] = field(default_factory=set)
    billed: set[date] = field(default_factory=set)
    zones: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        root = self.step.folder / "trial"
        root.mkdir()
        self._lake = Lake(Storage(str(root)))
        self._step = replace(self.step, landing=TrialLanding(LocalStore(root), self.step.landing))
        self._last = self.step.now.date() - ONE_DAY

    def of(self, source: Source) -> Iterator[Finding]:
        """What a trial of one source found.

        Args:
            source: Of the site.
        """
        try:
            with self._in_time():
                yield from self._try(source)
        except (SourceError, SecretError) as error:
            message, remedy = (error.message, error.remedy) if isinstance(error, SourceError) else (str(error), "")
            yield Finding(False, message, remedy)
        except (_OutOfTimeError, duckdb.InterruptException):
            yield Finding(True, f"a trial day takes more than {TRIAL_S} s and was left off; run reads it whole")

    def unserved(self) -> Iterator[Finding]:
        """Zones in which machines stand and of which no source has an intensity on the days that were tried."""
        if not (self.site.feeding(Feed.GRID_INTENSITY) and self.zones):
            return
        served = sorted({zone for zones in self.zones.values() for zone in zones})
        for zone in self._wanted():
            if zone in served:
                continue
            shown = list(dict.fromkeys([*nearest(zone, served), *served]))[:SHOWN]
            known = f"intensity is known for {', '.join(shown)}" if shown else "no zone has one on the days tried"
            yield Finding(
                False,
                f"zone {zone} has no intensity in any source; {known}",
                "Name a zone that a source has in the place of these machines, or add a source that has this one; "
                "until then their energy has no emissions.",
            )

    def together(self) -> Iterator[Finding]:
        """What a run would find in energy and in requests of all sources together, on the days they were tried."""
        for what, tried in (
            ("estimating from bills", self._estimated),
            ("comparing sources", lambda: self._together(sorted(self.days), sorted(self.served))),
        ):
            try:
                with self._in_time():
                    yield from tried()
            except (_OutOfTimeError, duckdb.InterruptException):
                yield Finding(True, f"{what} takes more than {TRIAL_S} s and was left off; run does it")

    def _together(self, days: Sequence[date], served: Sequence[date]) -> Iterator[Finding]:
        # Dagster comes with these, and takes as long to import as a small trial does.
        from energy_assets.unified.assets import activity_of, energy_of

        if days:
            published = yield from self._made(ENERGY, energy_of, days)
            if published and self.site.attribution.rules:
                for remark in owners(self.step.con, self._lake.read(self.step.con, ENERGY, days)):
                    if remark.hole:
                        yield Finding(False, f"{remark.about}: {remark.says}", remark.remedy)
        if served and len(self.site.feeding(Feed.ACTIVITY)) > 1:
            yield from self._made(ACTIVITY, activity_of, served)

    def _estimated(self) -> Iterator[Finding]:
        """What a run would make of the bills' lines of use, and which of them no table knows."""
        from energy_assets.estimates.assets import estimates_of
        from energy_assets.unified.assets import cost_of

        days = sorted(self.billed)
        if not (days and self.site.has(Feed.ESTIMATES)):
            return
        # What is wrong with the bills themselves is said of them.
        if not (yield from self._made(replace(COST, proofs=()), cost_of, days)):
            return
        if (yield from self._made(USAGE_ESTIMATES, estimates_of, days)):
            rows = self._lake.read(self.step.con, USAGE_ESTIMATES, days)
            (found,) = self.step.con.to_pyarrow(rows.aggregate(kwh=rows.energy_kwh.sum(), n=rows.count())).to_pylist()
            spans = ", ".join(map(str, contiguous(days)))
            yield Finding(True, f"bills of {spans}: {found['kwh'] or 0:,.1f} kWh estimated, in {found['n']:,} rows")

    def _made(
        self, table: Table, make: Callable[[Site, Any, Sequence[date]], Any], days: Sequence[date]
    ) -> Generator[Finding, None, bool]:
        """Make a table of all sources; what its contract and its proofs say, and whether a run would publish any of it.

        Args:
            table: What is made.
            make: Makes its rows, as a run does.
            days: On which there are some.
        """
        from energy_assets.materialize import Reader, said_of

        read = Reader(self._lake, self.step.con)
        rows = make(self.site, read, days)
        proofs = [proof.bind(read.used) for proof in table.proofs if proof.name not in _TOLD_OF_HOSTS]
        try:
            commit = self._lake.replace(self.step.con, table, days, rows, "trial", proofs=proofs)
        except ContractError as error:
            yield Finding(False, str(error), "Mend the source that has these rows; run would publish none of them.")
            return False
        for rejected in {str(error): error for error in commit.rejected.values()}.values():
            yield Finding(False, str(rejected), "Mend the source that has these rows; run would not publish their day.")
        for one in proofs:
            found = commit.breaches.get(one.proof.name)
            if found is not None and found.count and not one.proof.blocking:
                example = next(row for some in found.examples.values() for row in some)
                said = said_of(replace(one.proof, remedy=""), found.count, example)
                yield Finding(False, f"{one.proof.name}: {said}", one.proof.remedy)
        return True

    def _wanted(self) -> list[str]:
        rows = machine_zones(self.site, lambda table: self._lake.read(self.step.con, table, self.days))
        return sorted({*site_zones(self.site), *rows})

    def _billed(self) -> frozenset[str]:
        """Zones that only bills tell of."""
        rows = billed_zones(self.site, lambda table: self._lake.read(self.step.con, table, self.billed))
        return frozenset(rows) - set(self._wanted())

    def _try(self, source: Source) -> Iterator[Finding]:
        errors: dict[str, SourceError] = {}
        held = self._held(source, errors)
        yield from self._told(errors)
        if held is not None and not held:
            yield Finding(
                False,
                f"holds no day from {self.site.start} (the site's start) to {self._last} (the last complete day)",
                "Move `start` in site.yaml back, or put files of these days there.",
            )
            return
        if held is None and self.site.start <= self._last:
            days_to_run = set(DayRange(self.site.start, self._last)) - self.step.landing.days(source.name)
            yield from source.foresee(days_to_run, self._step)
        for days in self._candidates(source, held):
            found, rows = self._day(source, days, skip=set(errors))
            if rows or any(not one.ok for one in found) or held is not None:
                yield from found
                return
        span = f"{self._last - timedelta(days=BACK - 1)} to {self._last}"
        yield Finding(False, f"has no row of {span}", "Look whether it has data of these days; run would publish none.")

    def _candidates(self, source: Source, held: Collection[date] | None) -> Iterator[DayRange]:
        """The days to try, best first: those of energy, so that zones can be compared; else the last there are."""
        if held is None:
            for back in range(BACK):
                yield DayRange(self._last - timedelta(days=back), self._last - timedelta(days=back))
            return
        tried = {day if source.grain == "day" else day.replace(day=1) for day in self.days or self.billed}
        beside = source.feeds in (Feed.GRID_INTENSITY, Feed.INSTRUMENTS, Feed.INVOICES)
        common = sorted(tried & set(held)) if beside else []
        last = contiguous(common or sorted(held))[-1]
        yield DayRange(max(last.first, last.last - ONE_DAY), last.last)

    def _held(self, source: Source, errors: dict[str, SourceError]) -> set[date] | None:
        """The days a source of files has something of; None where finding out would ask for all of them.

        Args:
            source: The source.
            errors: Takes what cannot be used, by message.
        """
        if not hasattr(source, "path") or self.site.start > self._last:
            return None
        first = self.site.start if source.grain == "day" else self.site.start.replace(day=1)
        span, held = DayRange(first, self._last), set[date]()
        for unit in source.plan(span, self._step):
            self._check_time()
            try:
                for brought in unit.fetch():
                    if isinstance(brought, Incomplete):
                        errors.setdefault(brought.error.message, brought.error)
                    elif isinstance(brought, Fetched):
                        held.update(day for day in brought.days if day in span)
            except SourceError as error:
                errors.setdefault(error.message, error)
        return held

    def _day(self, source: Source, days: DayRange, skip: set[str]) -> tuple[list[Finding], int]:
        """Collect, parse and audit; what there is to say, and how many rows there are."""
        step, table = self._step, raw_table(source)
        if source.feeds == Feed.GRID_INTENSITY:
            billed = self._billed()
            step = replace(step, zones=(*self._wanted(), *sorted(billed)), billed_zones=billed)
        wanted = list(days) if source.grain == "day" else sorted({day.replace(day=1) for day in days})
        collected = collect(source, wanted, step, lambda *_: self._check_time())
        parsed, malformed = parse(source, collected.editions, step)
        failures = {**collected.failures, **malformed}
        errors = {error.message: error for error in failures.values() if error.message not in skip}
        found = list(self._told(errors))
        if parsed is None:
            return found, 0
        good = [day for day in collected.editions if day not in malformed]
        try:
            commit = self._lake.replace(
                step.con, table, good, complete(parsed.rows, table), "trial", day_by_day=parsed.stored
            )
        except ContractError as error:
            return [*found, Finding(False, str(error), "See the guide of this kind of source.")], 0
        for rejected in {str(error): error for error in commit.rejected.values()}.values():
            found.append(Finding(False, str(rejected), "Mend these rows; run would not publish their day."))
        count = sum(commit.rows.values())
        if count:
            self._remember(source, [day for day in good if commit.rows.get(day)])
            rows = f"{count:,} {'row' if count == 1 else 'rows'}"
            spans = ", ".join(map(str, contiguous([day for day in good if commit.rows.get(day)])))
            found.insert(0, Finding(True, f"trial of {spans}: {rows}, as run would publish them"))
        elif not errors:
            # An invoice comes weeks after its days.
            later = source.feeds == Feed.INVOICES
            remedy = "" if later else "Look whether it has data of these days."
            found.append(Finding(later, f"has no row of {days}", remedy))
        return [*found, *self._noted(source, parsed)], count

    def _remember(self, source: Source, days: Collection[date]) -> None:
        if source.feeds == Feed.ENERGY:
            self.days.update(days)
        if source.feeds == Feed.ACTIVITY:
            self.served.update(days)
        if source.feeds == Feed.COST:
            self.billed.update(days)
        if source.feeds == Feed.GRID_INTENSITY:
            rows = self._lake.read(self.step.con, raw_table(source), days)
            valued = rows.filter(rows.lifecycle_gco2e_per_kwh.notnull() | rows.direct_gco2e_per_kwh.notnull())
            zones = self.step.con.to_pyarrow(valued.select("zone").distinct()).column("zone").to_pylist()
            self.zones[source.name] = set(zones)

    @staticmethod
    def _noted(source: Source, parsed: ParsedDays) -> Iterator[Finding]:
        """What parsing told, in the words of a run."""
        noted = [Noted(told.days, told.notes, told.examples) for told in parsed.told]
        for remark in of_notes(source.name, noted):
            shown = f": {'; '.join(remark.examples[:EXAMPLES])}" if remark.hole and remark.examples else ""
            yield Finding(not remark.hole, remark.says + shown, remark.remedy, (remark.note,))

    @staticmethod
    def _told(errors: Mapping[str, SourceError]) -> Iterator[Finding]:
        for error in list(errors.values())[:ERRORS]:
            yield Finding(False, error.message, error.remedy)
        if len(errors) > ERRORS:
            yield Finding(False, f"and {len(errors) - ERRORS} more like these")

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """End what the engine computes when the time is over."""
        self._until = time.monotonic() + TRIAL_S
        over = threading.Timer(TRIAL_S, self.step.con.con.interrupt)
        over.start()
        try:
            yield
        finally:
            over.cancel()

    def _check_time(self) -> None:
        if time.monotonic() > self._until:
            raise _OutOfTimeError

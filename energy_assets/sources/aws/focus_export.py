"""The `aws_focus_export` source: FOCUS bills (or CUR 2.0) as AWS Data Exports deliver them to S3.

What belongs here: the keys of site.yaml, and which billing periods a day needs. A day takes its rows from the
period it lies in and from every later delivered period, because corrections of past charges are billed later.
A period counts as a whole, as its manifest lists it, or not at all. What was looked into once is known
(`energy_assets.sources.memory`): of a delivery that did not change nothing is downloaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from energy_assets.contracts.vocabulary import Feed
from energy_assets.counting import counted
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange, Month
from energy_assets.sources.aws.client import ExportBucket, Manifest
from energy_assets.sources.aws.session import RESOURCE
from energy_assets.sources.base import Finding, Incomplete, Parsed, SeenBill, Source, StepContext, Unit
from energy_assets.sources.errors import MalformedError, PermanentError, SourceError, TransientError
from energy_assets.sources.files import SourceFile
from energy_assets.sources.focus.known import FIELDS, bills_seen, look, shares_of
from energy_assets.sources.focus.parse import Share, Wanted, charges
from energy_assets.sources.focus.source import SETTLED_AFTER_DAYS
from energy_assets.sources.memory import Known, Memory

REMEDY = "AWS delivers the first files within a day of the period's start; run the same days again then."

AHEAD = "charges_after_their_billing_period_dropped"
"""Charges that start after the month they are billed in: no FOCUS rule makes them, and a day that reads only its
own and later periods would miss them. They are counted with the manifest, on the last day of their period."""


@dataclass(frozen=True)
class _Listing:
    """The bucket as it was listed once, for all periods of a plan."""

    bucket: ExportBucket
    files: Mapping[str, SourceFile]
    memory: Memory


class AwsFocusExport(Source):
    """FOCUS exports of AWS Data Exports, read from their bucket by manifest."""

    feeds: ClassVar[Feed] = Feed.COST
    title: ClassVar[str] = "AWS FOCUS export"
    engine_kind: ClassVar[str] = "s3"
    parser_version: ClassVar[str] = "4"
    resources: ClassVar[frozenset[str]] = frozenset({RESOURCE})

    kind: Literal["aws_focus_export"]
    bucket: str = Field(description="the bucket the export is delivered to")
    prefix: str = Field("", description="the S3 path prefix of the export")
    export: str = Field(description="the name of the export")
    region: str | None = Field(None, description="of the bucket")
    role_arn: str | None = Field(None, description="a role to assume, for example in the payer account")
    external_id: str | None = Field(None, description="the external id the role demands")
    profile: str | None = Field(None, description="a profile of the AWS configuration files")
    layout: Wanted = Field("auto", description="focus, aws_cur (CUR 2.0), or auto: see the header")
    endpoint_url: str | None = Field(None, description="of S3 and STS, for tests")
    repull_days: int = Field(SETTLED_AFTER_DAYS, ge=0, le=400, description="days whose bills may still be rewritten")

    @property
    def trailing_days(self) -> int:
        """`repull_days`."""
        return self.repull_days

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per delivered period that may speak of the days, one per period that is missing."""
        bucket = self._bucket(step)
        manifests = bucket.manifests()
        memory = Memory(self, {"layout": self.layout, "fields": FIELDS}, step)
        listing = _Listing(bucket, bucket.data_files(), memory)
        if listing.files:  # none where the role may not list them, which says nothing of what is there
            root = f"s3://{self.bucket}/{self._root}"
            there = [*listing.files.values(), *(manifest.file for manifest in manifests.values())]
            memory.forget_gone(there, [f"{root}/data/*", f"{root}/metadata/*"])
            memory.save()
        months = {Month.of(day) for day in days}
        older = not manifests and bucket.holds_older_report()
        for month in sorted(months | set(manifests)):
            needed = tuple(day for day in days if Month.of(day) <= month)
            if month in manifests and needed:
                fetch = partial(self._fetch, listing, manifests[month], days, step)
                yield Unit(needed, f"{self.export} {month}", fetch)
            elif month in months:
                mine = tuple(day for day in days if Month.of(day) == month)
                yield Unit(mine, f"{self.export} {month}", self._undelivered(month, older))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """See `parse.charges`; manifests are evidence and hold no charges."""
        bills = [(o, str(o.request["key"])) for o in objects if not o.request.get("manifest")]
        parsed = charges(bills, days, step, self.layout, within_period=True)
        manifests = [o.request for o in objects if o.request.get("manifest")]
        ahead = sum(r.get(AHEAD, 0) for r in manifests if Month.parse(r["billing_period"]).days.last in days)
        return replace(parsed, notes={**parsed.notes, AHEAD: ahead}) if ahead else parsed

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Assume the role, find the manifests, and read the newest one's list."""
        where = f"s3://{self.bucket}/{self._root}"
        try:
            bucket = self._bucket(step)
            manifests = bucket.manifests()
            if not manifests and bucket.holds_older_report():
                raise self._older_report()
            if not manifests:
                yield Finding(False, f"{where}: no period is delivered yet", f"Check prefix and export. {REMEDY}")
                return
            newest = manifests[max(manifests)]
            keys = bucket.data_keys(newest, newest.file.fetch(step.folder).read_bytes())
            yield Finding(
                True,
                f"{where}: {len(manifests)} billing periods, newest {newest.period} of "
                f"{newest.file.last_modified:%Y-%m-%d %H:%M} UTC with {counted(len(keys), 'file')}",
            )
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)

    def observe(self, step: StepContext) -> Iterable[SeenBill]:
        """The bills in files that were looked into before."""
        return bills_seen(self, step.landing)

    @property
    def _root(self) -> str:
        return "/".join(part for part in (self.prefix.strip("/"), self.export) if part)

    def _bucket(self, step: StepContext) -> ExportBucket:
        named = ("region", "role_arn", "external_id", "profile", "endpoint_url")
        options = {name: value for name in named if (value := getattr(self, name))}
        return ExportBucket(self.bucket, self._root, options, step.resources.get(RESOURCE))

    def _older_report(self) -> PermanentError:
        where = f"s3://{self.bucket}/{self._root}"
        return PermanentError(
            f"{where} is no data export but a Cost and Usage Report of AWS's older kind, in folders of periods",
            f"Read it with a source of the kind focus_files and `path: {where}` in place of this one.",
        )

    def _undelivered(self, month: Month, older: bool) -> Callable[[], Iterable[Fetched]]:
        def fetch() -> Iterable[Fetched]:
            if older:
                raise self._older_report()
            raise TransientError(
                f"s3://{self.bucket}/{self._root}: the billing period {month} is not delivered: it has no manifest",
                REMEDY,
            )

        return fetch

    def _fetch(
        self, listing: _Listing, manifest: Manifest, days: DayRange, step: StepContext
    ) -> Iterator[Fetched | Incomplete]:
        """Make sure that a period is whole, then hand over the files that speak of a day up to its end."""
        bucket, memory = listing.bucket, listing.memory
        listed = memory.know(manifest.file, _text).facts.encode("utf-8", "surrogateescape")
        keys = bucket.data_keys(manifest, listed)
        found: dict[str, tuple[SourceFile, Known]] = {}
        unreadable: dict[str, MalformedError] = {}
        for key in keys:
            file = bucket.delivered(key, manifest, listing.files)
            try:
                found[key] = file, memory.know(file, look(step.con.con, key, self.layout))
            except MalformedError as error:
                unreadable[key] = error
        if memory.unsaved or unreadable:
            bucket.require_unchanged(manifest)
            memory.save()
        shares = {key: shares_of(known.facts) for key, (_, known) in found.items()}
        if unreadable:
            yield from self._without(unreadable, manifest, listing, list(shares.values()), days, step)
            return
        last = manifest.period.days.last
        own = {day for day in days if Month.of(day) == manifest.period}
        request = {"bucket": self.bucket, "billing_period": str(manifest.period)}
        ahead = sum(share.charges for of_file in shares.values() for share in of_file if share.day > last)
        for key, (file, known) in found.items():
            spoken = tuple(sorted({share.day for share in shares[key] if share.day <= last}))
            if any(day in days for day in spoken):
                own |= {day for day in spoken if day in days}
                yield Fetched(memory.body(file, known), {**request, "key": key}, spoken)
            file.discard(step.folder)
        if own:
            asked = {**request, "key": manifest.key, "manifest": True, **({AHEAD: ahead} if ahead else {})}
            yield Fetched(listed, asked, tuple(sorted(own)), None, "application/json")

    def _without(
        self,
        unreadable: Mapping[str, MalformedError],
        manifest: Manifest,
        listing: _Listing,
        readable: Sequence[Sequence[Share]],
        days: DayRange,
        step: StepContext,
    ) -> Iterator[Fetched | Incomplete]:
        """A period with a file that cannot be read: its own days fail, and those it is known to correct.

        Days of earlier periods of which nothing is known are as if the period were not delivered yet. The bytes
        are landed for no day, as evidence.
        """
        known = {share.day for shares in readable for share in shares}
        for key, error in unreadable.items():
            step.log.warning("%s: the billing period %s cannot be read: %s", self.name, manifest.period, error)
            before = listing.memory.last(f"s3://{self.bucket}/{key}")
            known |= {share.day for share in shares_of(before[0])} if before else set()
            if file := listing.files.get(key):
                request = {"bucket": self.bucket, "billing_period": str(manifest.period), "key": key}
                yield Fetched(file.fetch(step.folder), request, ())
        concerned: frozenset[date] = frozenset(
            day
            for day in days
            if Month.of(day) == manifest.period or (day in known and Month.of(day) < manifest.period)
        )
        yield Incomplete(concerned, next(iter(unreadable.values())))


def _text(path: Any, sha256: str) -> str:
    """A manifest, which is small enough to be remembered as a whole."""
    return str(path.read_bytes().decode("utf-8", "surrogateescape"))

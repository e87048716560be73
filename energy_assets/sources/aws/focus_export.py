"""The `aws_focus_export` source: FOCUS bills (or CUR 2.0) as AWS Data Exports deliver them to S3.

What belongs here: the keys of site.yaml, and which billing periods a day needs. A day takes its rows from the
period it lies in and from every later delivered period, because corrections of past charges are billed later.
A period counts as a whole, as its manifest lists it, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange, Month
from energy_assets.sources.aws.client import ExportBucket, Manifest
from energy_assets.sources.base import Feed, Finding, Parsed, Source, StepContext, Unit
from energy_assets.sources.errors import SourceError, TransientError
from energy_assets.sources.focus.parse import Wanted, charges, contents

REMEDY = "AWS delivers the first files within a day of the period's start; run the same days again then."

AHEAD = "charges_after_their_billing_period_dropped"
"""Charges that start after the month they are billed in: no FOCUS rule makes them, and a day that reads only its
own and later periods would miss them. They are counted with the manifest, on the last day of their period."""


class AwsFocusExport(Source):
    """FOCUS exports of AWS Data Exports, read from their bucket by manifest."""

    feeds: ClassVar[Feed] = "cost"
    title: ClassVar[str] = "AWS FOCUS export"
    engine_kind: ClassVar[str] = "s3"

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

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per delivered period that may speak of the days, one per period that is missing."""
        bucket = self._bucket()
        manifests = bucket.manifests()
        months = {Month.of(day) for day in days}
        for month in sorted(months | set(manifests)):
            needed = tuple(day for day in days if Month.of(day) <= month)
            if month in manifests and needed:
                yield Unit(needed, f"{self.export} {month}", partial(self._fetch, bucket, manifests[month], days, step))
            elif month in months:
                mine = tuple(day for day in days if Month.of(day) == month)
                yield Unit(mine, f"{self.export} {month}", self._undelivered(month))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """See `parse.charges`; manifests are evidence and hold no charges."""
        bills = [(o, str(o.request["key"])) for o in objects if not o.request.get("manifest")]
        parsed = charges(bills, days, step, self.layout, within_period=True)
        manifests = [o.request for o in objects if o.request.get("manifest")]
        ahead = sum(r.get(AHEAD, 0) for r in manifests if Month.parse(r["billing_period"]).days.last in days)
        return Parsed(parsed.rows, {**parsed.notes, AHEAD: ahead} if ahead else parsed.notes, parsed.stored)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Assume the role, find the manifests, and read the newest one's list."""
        where = f"s3://{self.bucket}/{self._root}"
        try:
            bucket = self._bucket()
            manifests = bucket.manifests()
            if not manifests:
                yield Finding(False, f"{where}: no period is delivered yet", f"Check prefix and export. {REMEDY}")
                return
            newest = manifests[max(manifests)]
            keys = bucket.data_keys(newest, bucket.read(newest))
            yield Finding(
                True,
                f"{where}: {len(manifests)} billing periods, newest {newest.period} of "
                f"{newest.written:%Y-%m-%d %H:%M} UTC with {len(keys)} files",
            )
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)

    @property
    def _root(self) -> str:
        return "/".join(part for part in (self.prefix.strip("/"), self.export) if part)

    def _bucket(self) -> ExportBucket:
        named = ("region", "role_arn", "external_id", "profile", "endpoint_url")
        options = {name: value for name in named if (value := getattr(self, name))}
        return ExportBucket(self.bucket, self._root, options)

    def _undelivered(self, month: Month) -> Callable[[], Iterable[Fetched]]:
        def fetch() -> Iterable[Fetched]:
            raise TransientError(
                f"s3://{self.bucket}/{self._root}: the billing period {month} is not delivered: it has no manifest",
                REMEDY,
            )

        return fetch

    def _fetch(self, bucket: ExportBucket, manifest: Manifest, days: DayRange, step: StepContext) -> Iterator[Fetched]:
        """Download a period as a whole, then hand over the files that speak of a day up to its end."""
        listed = bucket.read(manifest)
        keys = bucket.data_keys(manifest, listed)
        files = [(key, bucket.download(key, manifest, step.folder)) for key in keys]
        bucket.require_unchanged(manifest)
        last = manifest.period.days.last
        own = {day for day in days if Month.of(day) == manifest.period}
        request = {"bucket": self.bucket, "billing_period": str(manifest.period)}
        ahead = 0
        for key, path in files:
            shares = contents(step.con.con, path, key, self.layout)
            ahead += sum(share.charges for share in shares if share.day > last)
            told = tuple(sorted({share.day for share in shares if share.day <= last}))
            if any(day in days for day in told):
                own |= {day for day in told if day in days}
                yield Fetched(path, {**request, "key": key}, told)
            path.unlink()
        if own:
            asked = {**request, "key": manifest.key, "manifest": True, **({AHEAD: ahead} if ahead else {})}
            yield Fetched(listed, asked, tuple(sorted(own)), None, "application/json")

"""The `focus_files` source: FOCUS bills that someone puts into a folder or a bucket.

What belongs here: the keys of site.yaml, and bringing listing, deliveries, comparison and parsing together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Feed, Finding, Parsed, Source, StepContext, Unit
from energy_assets.sources.errors import PermanentError, SourceError
from energy_assets.sources.files import SourceFile, list_files
from energy_assets.sources.focus.bill import open_bill
from energy_assets.sources.focus.columns import layout_of
from energy_assets.sources.focus.deliveries import (
    DATA_SUFFIXES,
    Candidate,
    Chosen,
    Delivery,
    choose,
)
from energy_assets.sources.focus.overlap import Opened, refuse_same_lines
from energy_assets.sources.focus.parse import Wanted, charges, contents

MOST_OF_A_MONTH = 28
"""Days from which on most files will be needed, and not only looked into."""
MEDIA_TYPES = {".parquet": "application/vnd.apache.parquet", ".gz": "application/gzip", ".csv": "text/csv"}


class FocusFiles(Source):
    """FOCUS 1.0 to 1.2 bills (CSV, CSV.gz, Parquet) of any provider, and AWS Cost and Usage Reports."""

    feeds: ClassVar[Feed] = "cost"
    title: ClassVar[str] = "FOCUS bills"
    engine_kind: ClassVar[str] = "csv"

    kind: Literal["focus_files"]
    path: str = Field(description="a file, a folder or a glob; local, or s3://, gs://, az://, abfss://")
    layout: Wanted = Field("auto", description="focus, aws_cur (Cost and Usage Report), or auto: see the header")
    exports: Literal["newest_complete", "all"] = Field(
        "newest_complete",
        description="of several deliveries of one export and period, the newest whole one, or every file",
    )
    same_lines: Literal["refuse", "keep"] = Field(
        "refuse", description="two files that hold mostly the same lines of one bill: refuse, or count both"
    )
    region: str | None = Field(None, description="of the bucket")
    endpoint_url: str | None = Field(None, description="of the store, for S3-compatible stores and tests")

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit: which file speaks of which day shows only when all have been opened."""
        yield Unit(tuple(days), self.path, lambda: self._fetch(days, step))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """See `parse.charges`; manifests are evidence and hold no charges."""
        bills = [(o, str(o.request["path"])) for o in objects if not o.request.get("manifest")]
        parsed = charges(bills, days, step, self.layout)
        passed_over = {text for o in objects for text in o.request.get("incomplete", [])}
        notes = {"incomplete_deliveries_dropped": len(passed_over)} if passed_over else {}
        return Parsed(parsed.rows, {**parsed.notes, **notes}, parsed.stored)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """List the files, choose among deliveries, and read the newest file's header."""
        try:
            chosen = self._chosen(step)
            files = [file for delivery in chosen for file in delivery.files]
            newest = max(files, key=lambda file: file.last_modified)
            count = f"{len(files)} file{'s' * (len(files) > 1)}"
            yield Finding(True, f"{self.path}: {count}, newest {newest.name} ({newest.last_modified:%Y-%m-%d})")
            for text in sorted({text for delivery in chosen for text in delivery.incomplete}):
                yield Finding(True, f"an incomplete delivery is passed over: {text}")
            bill = open_bill(step.con.con, newest.fetch(step.folder), newest.name)
            yield Finding(True, f"{newest.name}: {layout_of(bill, self.layout)} layout, {len(bill.columns)} columns")
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)

    def _fetch(self, days: DayRange, step: StepContext) -> Iterator[Fetched]:
        chosen = self._chosen(step)
        opened: list[tuple[Chosen, SourceFile, Opened]] = []
        alone = sum(len(delivery.files) for delivery in chosen) == 1
        rewrite_in = step.folder if alone or len(days) >= MOST_OF_A_MONTH else None
        for number, delivery in enumerate(chosen):
            for file in delivery.files:
                local = file.fetch(step.folder)
                shares = tuple(contents(step.con.con, local, file.name, self.layout, rewrite_in))
                opened.append((delivery, file, Opened(file.name, local, number, shares)))
            for text in delivery.incomplete:
                step.log.warning("%s: an incomplete delivery is passed over: %s", self.name, text)
        if self.same_lines == "refuse":
            refuse_same_lines(step.con.con, [bill for _, _, bill in opened], self.layout, step.folder)
        for delivery in chosen:
            covered: set[object] = set()
            for owner, file, bill in opened:
                told = {share.day for share in bill.shares}
                if owner is delivery and any(day in days for day in told):
                    covered |= told
                    yield Fetched(bill.path, self._request(delivery, file), tuple(sorted(told)), None, _media(file))
            if delivery.manifest and covered:
                request = {**self._request(delivery, delivery.manifest), "manifest": True}
                body = delivery.manifest.fetch(step.folder)
                yield Fetched(body, request, tuple(day for day in days if day in covered), None, "application/json")

    @staticmethod
    def _request(delivery: Chosen, file: SourceFile) -> dict[str, object]:
        request: dict[str, object] = {"path": file.name}
        if delivery.run:
            request["delivery"] = delivery.run
        if delivery.incomplete:
            request["incomplete"] = list(delivery.incomplete)
        return request

    def _chosen(self, step: StepContext) -> list[Chosen]:
        """The deliveries that count.

        Raises:
            SourceError: nothing matches, or see `deliveries.choose`.
        """
        files = [file for file in self._list(self._pattern(step), step) if file.name.lower().endswith(DATA_SUFFIXES)]
        if not files:
            raise PermanentError(
                f"{self.path}: none of the files is a bill ({', '.join(DATA_SUFFIXES)})", "Correct `path` in site.yaml."
            )
        if self.exports == "all":
            return [Chosen((file,)) for file in files]

        def manifest_of(delivery: Delivery) -> tuple[SourceFile, bytes] | None:
            try:
                found = self._list(delivery.manifest, step)
            except PermanentError:
                return None
            newest = max(found, key=lambda file: file.last_modified)
            return newest, newest.fetch(step.folder).read_bytes()

        return choose((Candidate(f, self._where(f, step), f.last_modified) for f in files), manifest_of)

    def _list(self, pattern: str, step: StepContext) -> list[SourceFile]:
        options = {"region": self.region, "endpoint": self.endpoint_url}
        return list_files(pattern, step.site_folder, {k: v for k, v in options.items() if v})

    def _pattern(self, step: StepContext) -> str:
        """A folder stands for everything below it."""
        if any(mark in self.path for mark in "*?[") or self.path.lower().endswith(DATA_SUFFIXES):
            return self.path
        if "://" not in self.path and (step.site_folder / self.path).is_file():
            return self.path
        return f"{self.path.rstrip('/')}/**/*"

    @staticmethod
    def _where(file: SourceFile, step: StepContext) -> str:
        """Where a file really lies: the name of a local file may leave out the folders that show its layout."""
        return file.name if "://" in file.name else Path(file.fetch(step.folder)).resolve().as_posix()


def _media(file: SourceFile) -> str:
    return next((kind for end, kind in MEDIA_TYPES.items() if file.name.lower().endswith(end)), "text/csv")

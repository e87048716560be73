"""The `focus_files` source: FOCUS bills that someone puts into a folder or a bucket.

What belongs here: the keys of site.yaml, and bringing listing, deliveries, comparison and parsing together. A file
that was looked into once is known (`energy_assets.sources.memory`) and not opened again. What cannot be read fails
the days it concerns (`energy_assets.sources.unreadable`) and no others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal

import ibis
from pydantic import Field

from energy_assets.contracts.accounts import account_key, account_keys
from energy_assets.contracts.vocabulary import Feed
from energy_assets.counting import counted
from energy_assets.landing import Fetched, Held, Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Finding, Incomplete, Parsed, SeenBill, Source, StepContext, Unit
from energy_assets.sources.errors import DeniedError, MalformedError, PermanentError, SourceError
from energy_assets.sources.files import SourceFile, list_files
from energy_assets.sources.focus.bill import open_bill, sha256_of
from energy_assets.sources.focus.columns import layout_of
from energy_assets.sources.focus.deliveries import (
    DATA_SUFFIXES,
    MANIFEST,
    NOT_A_BILL,
    Chosen,
    Manifest,
    choose,
    period_of,
    read_manifest,
)
from energy_assets.sources.focus.known import FIELDS, bills_seen, look, shares_of
from energy_assets.sources.focus.overlap import Compared, loosely, neighbours, repeats
from energy_assets.sources.focus.parse import EXAMPLES, Share, Wanted, charges, rewrite, typed_file
from energy_assets.sources.memory import Known, Memory
from energy_assets.sources.notes import words
from energy_assets.sources.unreadable import days_concerned

SETTLED_AFTER_DAYS = 45
"""A month, in which its bill is rewritten each day, and two weeks after it, in which it is closed."""

MOST_OF_A_MONTH = 28
"""Days from which on most files will be needed, and not only looked into."""
OTHER_SUFFIXES = (".zip", ".xlsx", ".xls", ".bz2", ".xz", ".zst", ".tsv")
UNPACK = "Unpack it, or save it as CSV in UTF-8, and leave the result below `path`."
TOLD = {
    "incomplete": "incomplete_deliveries_dropped",
    "unlisted": "files_outside_manifest_dropped",
    "unread": "files_that_may_be_bills_dropped",
    "alike": "deliveries_partly_in_others",
    "unsure": "long_charges_in_several_deliveries",
    "totals": "deliveries_with_totals_of_others",
    "priced": "deliveries_with_other_amounts",
}
"""What the requests of landed files say of them and of what was passed over beside them, and the note it becomes."""
SAID = {"alike": "compared", "unsure": "weighed", "totals": "added up", "priced": "priced"}
"""Of these `TOLD`, what remembers that files were held against one another."""
BUCKET_SLASHES = 3
"""Of the shortest url that has a folder: s3://bucket/folder."""
MEDIA_TYPES = {".parquet": "application/vnd.apache.parquet", ".gz": "application/gzip", ".csv": "text/csv"}


@dataclass(frozen=True)
class _Bill:
    """A file that was looked into, now or before."""

    owner: Chosen
    delivery: int
    file: SourceFile
    known: Known
    shares: tuple[Share, ...]

    @property
    def days(self) -> set[date]:
        return {share.day for share in self.shares}


class FocusFiles(Source):
    """FOCUS 1.0 to 1.2 bills (CSV, CSV.gz, Parquet) of any provider, and AWS Cost and Usage Reports."""

    feeds: ClassVar[Feed] = Feed.COST
    title: ClassVar[str] = "FOCUS bills"
    engine_kind: ClassVar[str] = "csv"
    parser_version: ClassVar[str] = "5"

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
    billing_account: str | None = Field(
        None, min_length=1, description="the billing account of lines that name none, so that no other source's add up"
    )
    region: str | None = Field(None, description="of the bucket")
    endpoint_url: str | None = Field(None, description="of the store, for S3-compatible stores and tests")
    repull_days: int = Field(SETTLED_AFTER_DAYS, ge=0, le=400, description="days whose bills may still be rewritten")

    @property
    def trailing_days(self) -> int:
        """`repull_days`."""
        return self.repull_days

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit: which file speaks of which day shows only when all are known."""
        yield Unit(tuple(days), self.path, lambda: self._fetch(days, step))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """See `parse.charges`; manifests are evidence and hold no charges."""
        bills = [(o, str(o.request["path"])) for o in objects if not o.request.get("manifest")]
        parsed = charges(bills, days, step, self.layout)
        told = {name: sorted({t for o in objects for t in o.request.get(key, [])}) for key, name in TOLD.items()}
        notes = {name: len(texts) for name, texts in told.items() if texts}
        examples: dict[str, Sequence[str]] = {name: texts[:EXAMPLES] for name, texts in told.items() if texts}
        rows = parsed.rows
        if self.billing_account:
            unnamed = account_keys(rows) == ""
            named = ibis.ifelse(unnamed, ibis.literal(self.billing_account), rows.billing_account_id.strip())
            rows = rows.mutate(billing_account_id=named)
        notes |= parsed.notes
        return replace(parsed, rows=rows, notes=notes, examples={**parsed.examples, **examples})

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Choose among deliveries, look into every file, compare them, and read the newest in full, as a run does."""
        try:
            memory = Memory(self, self._basis, step)
            chosen, refused = self._chosen(memory, step)
            yield from (Finding(False, error.message, error.remedy) for error in refused.values())
            files = [file for delivery in chosen for file in delivery.files]
            if not files:
                return
            newest = max(files, key=lambda file: file.last_modified)
            count = f"{len(files)} file{'s' * (len(files) > 1)}"
            yield Finding(True, f"{self.path}: {count}, newest {newest.name} ({newest.last_modified:%Y-%m-%d})")
            for text in sorted({text for delivery in chosen for text in delivery.incomplete}):
                yield Finding(True, f"an incomplete delivery is passed over: {text}")
            for text in sorted({text for delivery in chosen for text in delivery.unlisted}):
                yield Finding(True, f"a file that the manifest beside it does not list is passed over: {text}")
            if unread := sorted({text for delivery in chosen for text in delivery.unread}):
                yield _said_of_deliveries(TOLD["unread"], {0: unread})
            today = step.now.date()
            bills, unreadable = self._look(chosen, DayRange(today, today), memory, step)
            yield from (Finding(False, error.message, error.remedy) for _, _, error in unreadable)
            if self.same_lines == "refuse":
                doubles, told = self._compare(bills, memory, step)
                yield from (Finding(False, double.error.message, double.error.remedy) for double in doubles)
                yield from (_said_of_deliveries(TOLD[key], said) for key, said in told.items() if said)
            if newest not in [file for _, file, _ in unreadable]:
                yield self._read_in_full(newest, step)
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)

    def _read_in_full(self, file: SourceFile, step: StepContext) -> Finding:
        """What the header of a file shows, after every amount in it was read.

        Raises:
            MalformedError: see `parse.rewrite`.
        """
        path = file.fetch(step.folder)
        typed = typed_file(step.folder, sha256_of(path), self.layout)
        if not typed.exists():
            rewrite(step.con.con, path, file.name, self.layout, typed)
        bill = open_bill(step.con.con, path, file.name)
        return Finding(
            True, f"{file.name}: {layout_of(bill, self.layout)} layout, {counted(len(bill.columns), 'column')}"
        )

    def observe(self, step: StepContext) -> Iterable[SeenBill]:
        """The bills in files that were looked into before."""
        for bill in bills_seen(self, step.landing):
            unnamed = not account_key(bill.provider, bill.billing_account_id)
            yield replace(bill, billing_account_id=self.billing_account) if unnamed else bill

    @property
    def _basis(self) -> dict[str, Any]:
        """What the facts of a file depend on beside its bytes."""
        return {"layout": self.layout, "fields": FIELDS}

    def _fetch(self, days: DayRange, step: StepContext) -> Iterator[Fetched | Incomplete]:
        memory = Memory(self, self._basis, step)
        chosen, refused = self._chosen(memory, step)
        for group, error in refused.items():
            yield Incomplete(_days_of_group(group, days), error)
        bills, unreadable = self._look(chosen, days, memory, step)
        memory.save()
        yield from self._without(unreadable, bills, days, memory, step)
        told: Mapping[str, Mapping[int, Sequence[str]]] = {}
        if self.same_lines == "refuse":
            doubles, told = self._compare(bills, memory, step)
            yield from doubles
            memory.save()
        for delivery in chosen:
            covered: set[date] = set()
            for bill in bills:
                if bill.owner is delivery and any(day in days for day in bill.days):
                    covered |= bill.days
                    said = {key: texts[bill.delivery] for key, texts in told.items() if bill.delivery in texts}
                    yield self._landable(bill, said, memory)
            if delivery.manifest and covered:
                request = {**self._request(delivery, delivery.manifest), "manifest": True}
                body = _text_of(memory, delivery.manifest)
                yield Fetched(body, request, tuple(day for day in days if day in covered), None, "application/json")

    def _look(
        self, chosen: Sequence[Chosen], days: DayRange, memory: Memory, step: StepContext
    ) -> tuple[list[_Bill], list[tuple[Chosen, SourceFile, SourceError]]]:
        """Every file that can be read, and every other with the reason."""
        bills: list[_Bill] = []
        unreadable: list[tuple[Chosen, SourceFile, SourceError]] = []
        alone = sum(len(delivery.files) for delivery in chosen) == 1
        rewrite_in = step.folder if alone or len(days) >= MOST_OF_A_MONTH else None
        for number, delivery in enumerate(chosen):
            for file in delivery.files:
                try:
                    known = memory.know(file, look(step.con.con, file.name, self.layout, rewrite_in))
                except DeniedError:
                    raise
                except SourceError as error:
                    unreadable.append((delivery, file, error))
                else:
                    bills.append(_Bill(delivery, number, file, known, shares_of(known.facts)))
            for text in delivery.incomplete:
                step.log.warning("%s: an incomplete delivery is passed over: %s", self.name, text)
        return bills, unreadable

    def _without(
        self,
        unreadable: Sequence[tuple[Chosen, SourceFile, SourceError]],
        bills: Sequence[_Bill],
        days: DayRange,
        memory: Memory,
        step: StepContext,
    ) -> Iterator[Fetched | Incomplete]:
        """The days that files concern that cannot be read; their bytes are landed for no day, as evidence.

        A delivery counts as a whole or not at all, so its other files take their days with them. A file that
        stands for itself concerns the billing periods its last readable version spoke of.
        """
        readable = {bill.file.name: bill.days for bill in bills}
        for owner, file, error in unreadable:
            if isinstance(error, MalformedError):
                yield Fetched(file.fetch(step.folder), self._request(owner, file), (), None, _media(file))
            last = memory.last(file.name)
            if owner.manifest:
                concerned = _days_of_group(file.where, days)
            else:
                spoken = (_whole_periods(shares_of(last[0]), days), last[1]) if last else None
                concerned = days_concerned(file.name, days, spoken, readable)
            beside = {day for bill in bills if bill.owner is owner for day in bill.days}
            yield Incomplete(concerned | beside, error)

    def _compare(
        self, bills: Sequence[_Bill], memory: Memory, step: StepContext
    ) -> tuple[list[Incomplete], dict[str, dict[int, list[str]]]]:
        """Compare deliveries that speak of one bill and day; what was once found apart is not compared again.

        Returns:
            Days of which several hold the same charges; and by the keys of `SAID` and delivery, what is
            said of lines that are, or may be, in others as well and count in both.
        """
        doubles = []
        once = list({bill.known.sha256: bill for bill in reversed(bills)}.values())[::-1]
        of_delivery: dict[int, list[_Bill]] = defaultdict(list)
        for bill in once:
            of_delivery[bill.delivery].append(bill)
        beside = neighbours(once)
        hashes = {number: sorted(bill.known.sha256 for bill in own) for number, own in of_delivery.items()}

        def agreement(key: str, one: int) -> tuple[str, tuple[str, ...]]:
            others = sorted(sha256 for other in beside[one] for sha256 in hashes[other])
            return f"{SAID[key]} {hashes[one][0][:16]}", (*hashes[one], *others)

        known = {key: {one: memory.agreed(*agreement(key, one)) for one in beside} for key in SAID}
        new = {one for one in beside if any(said[one] is None for said in known.values())}
        wanted = sorted(new.union(*(beside[one] for one in new)))
        compared = {number: made for number in wanted if (made := self._compared(of_delivery[number], memory, step))}
        loose = loosely(share for bill in once for share in bill.shares)
        repeated, *found = repeats(step.con.con, compared, loose) if len(compared) > 1 else ([], {}, {}, {}, {})
        for repeat in repeated:
            new -= repeat.deliveries
            concerned = {number: of_delivery[number] for number in repeat.deliveries}
            doubles.append(Incomplete(_days_of_repeat(concerned, spans=repeat.spans), repeat.error))
        told = {}
        for key, said in zip(SAID, found, strict=True):
            for one in new & compared.keys():
                memory.agree(*agreement(key, one), said.get(one, ()))
            # What was not compared with all of its neighbours now is told as it was when it was.
            every = {**known[key], **{one: said.get(one) for one in new}}
            told[key] = {one: texts for one, texts in every.items() if texts}
        return doubles, told

    def _compared(self, bills: Sequence[_Bill], memory: Memory, step: StepContext) -> Compared | None:
        """A delivery with its files rewritten; None where one cannot be: parsing refuses it on all of its days."""
        typed = []
        for bill in bills:
            target = typed_file(step.folder, bill.known.sha256, self.layout)
            try:
                if not target.exists():
                    rewrite(step.con.con, _local(bill, memory, step), bill.file.name, self.layout, target)
            except MalformedError:
                return None
            typed.append(target)
        return Compared(tuple(bill.file.name for bill in bills), tuple(typed))

    def _landable(self, bill: _Bill, said: Mapping[str, Sequence[str]], memory: Memory) -> Fetched | Incomplete:
        try:
            body = memory.body(bill.file, bill.known)
        except DeniedError:
            raise
        except SourceError as error:
            return Incomplete(frozenset(bill.days), error)
        request = self._request(bill.owner, bill.file)
        request |= {key: list(texts) for key, texts in said.items()}
        return Fetched(body, request, tuple(sorted(bill.days)), None, _media(bill.file))

    @staticmethod
    def _request(delivery: Chosen, file: SourceFile) -> dict[str, object]:
        request: dict[str, object] = {"path": file.name}
        if delivery.run:
            request["delivery"] = delivery.run
        for key in ("incomplete", "unlisted", "unread"):
            if texts := getattr(delivery, key):
                request[key] = list(texts)
        return request

    def _chosen(self, memory: Memory, step: StepContext) -> tuple[list[Chosen], dict[str, SourceError]]:
        """The deliveries that count, and by group of deliveries why none of it does.

        Raises:
            SourceError: nothing matches, or the folder cannot be listed.
        """
        listed, files = self._bills(step)
        unread = tuple(self._others(listed))
        if self.exports == "all":
            memory.forget_gone(listed, self._scope(step))
            return [Chosen((file,), unread=unread) for file in files], {}
        manifests: list[Manifest] = []
        unreadable: dict[str, SourceError] = {}
        for file in self._manifests(listed, files, step):
            try:
                manifest = read_manifest(file, _text_of(memory, file))
            except MalformedError as error:
                unreadable[file.where] = error
            else:
                manifests += [manifest] if manifest else []
        chosen, refused = choose(files, manifests, lambda file: self._providers(file, memory, step))
        refused |= unreadable
        if not refused:
            memory.forget_gone(listed, self._scope(step))
        return [replace(delivery, unread=unread) for delivery in chosen], refused

    def _providers(self, file: SourceFile, memory: Memory, step: StepContext) -> set[str] | None:
        """Whose charges a file holds; None for one that cannot be read."""
        try:
            known = memory.know(file, look(step.con.con, file.name, self.layout))
        except DeniedError:
            raise
        except SourceError:
            return None
        return {share.provider for share in shares_of(known.facts)}

    def _manifests(
        self, listed: Sequence[SourceFile], files: Sequence[SourceFile], step: StepContext
    ) -> list[SourceFile]:
        """Every manifest: among what is listed, and beside and above the data files where `path` leaves it out."""
        found = {file.where: file for file in listed if file.where.lower().endswith(MANIFEST)}
        folders = {file.where.rpartition("/")[0] for file in files}
        folders |= {folder.rpartition("/")[0] for folder in folders}
        folders |= {folder.replace("/data/BILLING_PERIOD=", "/metadata/BILLING_PERIOD=") for folder in folders}
        for folder in sorted(folder for folder in folders if not self._lists(folder, step)):
            try:
                beside = self._list(f"{folder}/*[mM]{MANIFEST[1:]}", step)
            except DeniedError:
                raise
            except PermanentError:
                continue
            found |= {file.where: file for file in beside if file.where.lower().endswith(MANIFEST)}
        return [found[where] for where in sorted(found)]

    def _lists(self, folder: str, step: StepContext) -> bool:
        """Whether the listing shows every file of a folder; of a whole bucket nothing more is asked."""
        if "://" in folder and folder.count("/") < BUCKET_SLASHES:
            return True
        root, _, everything = self._pattern(step).rpartition("/**/")
        where = root if "://" in root else (step.site_folder / root).resolve().as_posix()
        return everything == "*" and f"{folder}/".startswith(f"{where}/")

    def _bills(self, step: StepContext) -> tuple[list[SourceFile], list[SourceFile]]:
        """Every file there is, and those among them that hold charges."""
        listed = self._list(self._pattern(step), step)
        files = [f for f in listed if f.name.lower().endswith(DATA_SUFFIXES) and NOT_A_BILL not in f.where]
        if not files:
            others = self._others(listed)
            raise PermanentError(
                f"{self.path}: none of the files is a bill ({', '.join(DATA_SUFFIXES)})"
                + (f"; there is {', '.join(others[:EXAMPLES])}" if others else ""),
                UNPACK if others else "Correct `path` in site.yaml.",
            )
        return listed, files

    @staticmethod
    def _others(listed: Sequence[SourceFile]) -> list[str]:
        """Files that may be bills in a form that is not read."""
        return [file.name for file in listed if file.name.lower().endswith(OTHER_SUFFIXES)]

    def _scope(self, step: StepContext) -> list[str]:
        """What is known to be whole after listing: the whole bucket, for manifests that still count were asked for."""
        pattern = self._pattern(step)
        return [f"{'/'.join(pattern.split('/')[:3])}/*" if "://" in pattern else pattern]

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


def _text_of(memory: Memory, manifest: SourceFile) -> bytes:
    """The bytes of a manifest, which is small enough to be remembered as a whole."""
    facts = memory.know(manifest, lambda path, sha256: path.read_bytes().decode("utf-8", "surrogateescape")).facts
    return str(facts).encode("utf-8", "surrogateescape")


def _local(bill: _Bill, memory: Memory, step: StepContext) -> Path:
    body = memory.body(bill.file, bill.known)
    return step.landing.spool(body.sha256, step.folder) if isinstance(body, Held) else body


def _days_of_repeat(deliveries: Mapping[int, Sequence[_Bill]], *, spans: bool) -> frozenset[date]:
    """The days on which charges start that several deliveries hold; with `spans`, also of those that last over them."""
    shares = {number: [share for bill in bills for share in bill.shares] for number, bills in deliveries.items()}
    covered = {
        number: {day for share in own for day in (share.covered if spans else (share.day,))}
        for number, own in shares.items()
    }
    return frozenset(
        share.day
        for number, own in shares.items()
        for share in own
        if any(
            not others.isdisjoint(share.covered if spans else (share.day,))
            for other, others in covered.items()
            if other != number
        )
    )


def _days_of_group(where: str, days: DayRange) -> frozenset[date]:
    """The days of the period that the folder of an export states."""
    period = period_of(where)
    return frozenset(day for day in days if period is None or day in period)


def _whole_periods(shares: Sequence[Share], days: DayRange) -> set[date]:
    """Of `days` those that a bill speaks of or that lie in one of its billing periods, which it may fill up."""
    months = {(share.billing_period.year, share.billing_period.month) for share in shares}
    spoken = {share.day for share in shares}
    return spoken | {day for day in days if (day.year, day.month) in months}


def _said_of_deliveries(note: str, told: Mapping[int, Sequence[str]]) -> Finding:
    """What deliveries hold beside one another, once for all of them.

    Args:
        note: Which of `TOLD`.
        told: By delivery; not empty.
    """
    every = list(dict.fromkeys(text for texts in told.values() for text in texts))
    more = f" and {len(every) - EXAMPLES} more" if len(every) > EXAMPLES else ""
    what = f"{words(note).of(len(every))}: {'; '.join(every[:EXAMPLES])}{more}"
    return Finding(False, what, words(note).remedy, (note,))


def _media(file: SourceFile) -> str:
    return next((kind for end, kind in MEDIA_TYPES.items() if file.name.lower().endswith(end)), "text/csv")

"""`invoice_files`: electricity invoices from files, each in every month that its period touches.

What belongs here: which files, landing them, and what is worth saying of them. What does not: columns (`columns`),
cells (`parse`), what lines say together (`together`), and comparing (`energy_assets.kpis.reconciling`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import ibis
import pyarrow as pa
from pydantic import AfterValidator, Field

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.raw import Invoices
from energy_assets.contracts.vocabulary import Feed
from energy_assets.counting import counted
from energy_assets.landing import Fetched, Held, Landed
from energy_assets.periods import DayRange, Month
from energy_assets.sources.base import Finding, Parsed, Source, StepContext, Unit, provider_name
from energy_assets.sources.errors import SourceError
from energy_assets.sources.files import SourceFile, list_files
from energy_assets.sources.invoice_files.columns import Columns, EnergyUnit, GramUnit, Name
from energy_assets.sources.invoice_files.parse import read_rows
from energy_assets.sources.invoice_files.together import Invoice, gaps, invoices, touches
from energy_assets.sources.memory import sha256_of

_COPIES = "duplicate_files_dropped"
_GAPS = "days_without_invoice"
_SHOWN = 5


class InvoiceFiles(Source):
    """Electricity invoices in CSV or Parquet files."""

    feeds: ClassVar[Feed] = Feed.INVOICES
    parser_version: ClassVar[str] = "1"
    title: ClassVar[str] = "Files of electricity invoices"
    engine_kind: ClassVar[str] = "csv"
    grain: ClassVar[Literal["day", "month"]] = "month"
    speaks_of_every_day: ClassVar[bool] = False

    kind: Literal["invoice_files"]
    path: str = Field(description="glob: a path relative to site.yaml, or s3://, gs://, az://, abfss://")
    columns: dict[Name, str] = Field(default_factory=dict, description="the files' names for ours, where they differ")
    meter: str | None = Field(None, min_length=1, description="the meter of files that have no column for it")
    provider: Annotated[str, AfterValidator(provider_name)] | None = Field(
        None, description="whose place it is, of files that have no column for it: onprem, or a provider"
    )
    account_id: str | None = Field(None, min_length=1, description="account or tenant, where invoices are of one alone")
    region: str | None = Field(None, min_length=1, description="region or site of files that have no column for it")
    boundary: Literal["it", "facility"] | None = Field(
        None, description="what meters count: it (machines alone) or facility (with cooling and losses)"
    )
    gco2e_basis: Literal["direct", "lifecycle"] | None = Field(
        None, description="what stated emissions are of, where files have no column for it"
    )
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="of costs, where files have no column for it")
    energy_unit: EnergyUnit | None = Field(None, description="of energies, where their column does not say it")
    gco2e_unit: GramUnit | None = Field(None, description="of emissions, where their column does not say it")
    endpoint_url: str | None = Field(None, description="another S3 endpoint, for example a test server")
    repull_days: int = Field(90, ge=0, le=1500, description="days back in whose months invoices may still arrive")

    @property
    def trailing_days(self) -> int:
        """`repull_days`: an invoice comes weeks after its period, and its credit note later."""
        return self.repull_days

    @property
    def _columns(self) -> Columns:
        names = ("meter", "provider", "account_id", "region", "boundary", "gco2e_basis", "currency")
        constants = {name: str(value) for name in names if (value := getattr(self, name))}
        columns = {str(ours): theirs for ours, theirs in self.columns.items()}
        return Columns(columns, constants, self.energy_unit, self.gco2e_unit)

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per file, of every month: a period may be of any of them."""
        months = tuple(sorted({Month.of(day).first for day in days}))
        for file in self._files(step):
            yield Unit(months, file.name, partial(self._fetch, file, months, step))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """Each line in every month that its period touches; contradictions between any of them are refused."""
        lines, names, copies = list[dict[str, Any]](), dict[str, str](), list[str]()
        for landed in objects:
            name = str(landed.request["path"])
            if landed.sha256 in names:
                copies.append(f"{name} holds the bytes of {names[landed.sha256]}, which counts")
                continue
            names[landed.sha256] = name
            path = step.spool(landed, Path(name).suffix)
            found = read_rows(step.con, path, name, step.folder, self._columns)
            lines += [{**line, "raw_sha256": landed.sha256} for line in found]
        standing = invoices(lines)
        months = [Month.of(first) for first in sorted({Month.of(day).first for day in days})]
        rows = [{"month": month.first, **line} for month in months for line in lines if touches(line, month.days)]
        notes, examples = _notes(standing, months)
        if copies:
            notes[_COPIES], examples[_COPIES] = len(copies), copies
        table = pa.Table.from_pylist(rows, schema=schema_of(Invoices).to_pyarrow())
        return Parsed(ibis.memtable(table), notes, examples)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Each file: readable, which meters and days; then what they say together."""
        lines = list[dict[str, Any]]()
        try:
            for file in self._files(step):
                found = read_rows(step.con, file.fetch(step.folder), file.name, step.folder, self._columns)
                lines += found
                if found:
                    yield Finding(True, f"{file.name}: {counted(len(found), 'line')}")
                else:
                    yield Finding(False, f"{file.name}: has no line below its header", "Fill it, or take it out.")
            standing = invoices(lines)
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)
            return
        yield from _look(standing)

    def _files(self, step: StepContext) -> list[SourceFile]:
        options = {"endpoint": self.endpoint_url} if self.endpoint_url else None
        return list_files(self.path, step.site_folder, options)

    @staticmethod
    def _fetch(file: SourceFile, months: tuple[date, ...], step: StepContext) -> Iterator[Fetched]:
        """The bytes of a file, landed whether they can be read or not, so that parsing says what is wrong."""
        path = file.still(step.folder)
        sha256 = sha256_of(path)
        body = Held(sha256, path.stat().st_size) if step.landing.holds(sha256) else path
        kinds = {".gz": "application/gzip", ".csv": "text/csv"}
        media_type = kinds.get(Path(file.name.lower()).suffix, "application/octet-stream")
        yield Fetched(body, {"path": file.name}, months, media_type=media_type)


def _notes(standing: Sequence[Invoice], months: Sequence[Month]) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """Days of the months between two invoices of a meter that none is of."""
    days, said = 0, list[str]()
    for meter, gap in gaps(standing):
        mine = sum(1 for day in gap if Month.of(day) in months)
        if mine:
            days += mine
            said.append(f"meter {meter}: {gap}")
    return ({_GAPS: days}, {_GAPS: said[:_SHOWN]}) if days else ({}, {})


def _look(standing: Sequence[Invoice]) -> Iterator[Finding]:
    """What each meter has, and between which of its invoices there are days that none is of."""
    by_meter: dict[tuple[str, str], list[Invoice]] = defaultdict(list)
    for one in standing:
        by_meter[one.place[2], one.meter].append(one)
    for (region, meter), some in by_meter.items():
        kwh = sum((one.energy_kwh for one in some), Decimal(0))
        span = DayRange(some[0].days.first, some[-1].days.last)
        what = f"meter {meter} in {region}: {counted(len(some), 'invoice')}, {span}, {kwh.normalize():f} kWh"
        yield Finding(True, what)
    for meter, gap in gaps(standing):
        yield Finding(False, f"meter {meter}: no invoice is of {gap}", "Add it, or correct the periods beside it.")

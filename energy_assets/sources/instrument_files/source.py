"""The source `instrument_files`: what a site bought or was delivered, month by month, from files.

What belongs here: the site.yaml block, and which rows a month needs. What does not: columns and cells (`columns`,
`parse`), whether an instrument counts, and what it covers (`energy_assets.emissions`).
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
from pydantic import Field

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.raw import Instruments
from energy_assets.contracts.vocabulary import Feed, InstrumentKind, OneOf
from energy_assets.counting import counted
from energy_assets.landing import Fetched, Held, Landed
from energy_assets.periods import DayRange, Month
from energy_assets.sources.base import Finding, GridZone, Parsed, Source, StepContext, Unit
from energy_assets.sources.errors import MalformedError, SourceError
from energy_assets.sources.files import SourceFile, list_files
from energy_assets.sources.instrument_files.columns import Columns, Name, QuantityUnit
from energy_assets.sources.instrument_files.parse import RATES, Stated, of_month, read_rows, years
from energy_assets.sources.intensity import MAX_GCO2E_PER_KWH
from energy_assets.sources.intensity_files.columns import IntensityUnit
from energy_assets.sources.memory import sha256_of

CARRIED_YEARS = 3
"""Residual mixes and suppliers' rates of a year are published in the next one, or later: the latest one stands in for
so many years after its own, and each use of it says its year."""
CARBON_FREE = ("wind", "solar", "hydro", "nuclear", "geothermal", "marine")
"""Technologies whose electricity is carbon-free unless a file says otherwise."""
_OTHER_YEARS = "months_with_certificates_of_other_years_alone"
_NOT_MEGAWATT_HOURS = "certificates_not_of_a_megawatt_hour"
_COPIES = "duplicate_files_dropped"

Grams = Annotated[Decimal, Field(ge=0, le=MAX_GCO2E_PER_KWH, max_digits=7, decimal_places=3)]


class InstrumentFiles(Source):
    """Certificates, contracts, supplier rates and residual mixes in CSV, Parquet or JSON files."""

    feeds: ClassVar[Feed] = Feed.INSTRUMENTS
    parser_version: ClassVar[str] = "1"
    title: ClassVar[str] = "Files of contractual instruments"
    engine_kind: ClassVar[str] = "csv"
    grain: ClassVar[Literal["day", "month"]] = "month"
    speaks_of_every_day: ClassVar[bool] = False

    kind: Literal["instrument_files"]
    path: str = Field(description="glob: a path relative to site.yaml, or s3://, gs://, az://, abfss://")
    columns: dict[Name, str] = Field(default_factory=dict, description="the files' names for ours, where they differ")
    instrument: Annotated[str, OneOf(InstrumentKind)] | None = Field(
        None, description="what all rows are, of files that have no column for it"
    )
    registry: str | None = Field(None, min_length=1, description="the registry of files that have no column for it")
    zone: GridZone | None = Field(None, description="the grid zone or market of files that have no column for it")
    quantity_unit: QuantityUnit | None = Field(None, description="of quantities, where their column does not say it")
    factor_unit: IntensityUnit | None = Field(None, description="of emission factors, where their column does not")
    certificate_kwh: Decimal | None = Field(
        None,
        gt=0,
        description="size of one certificate, where it is not the usual 1 MWh; lines are held against it",
    )
    decimal: Literal[".", ","] = Field(".", description="the decimal mark of CSV files")
    gco2e_by_technology: dict[str, Grams] = Field(
        default_factory=dict, description="emission factor of technologies, where files state none: {wind: 0}"
    )
    carbon_free_technologies: tuple[str, ...] = Field(
        CARBON_FREE, description="technologies whose electricity is carbon-free, where files do not say"
    )
    beneficiaries: list[str] = Field(
        default_factory=list, description="names of the organisation in registries, beside that of site.yaml"
    )
    endpoint_url: str | None = Field(None, description="another S3 endpoint, for example a test server")
    repull_days: int = Field(550, ge=0, le=1500, description="days whose certificates may still arrive or be retired")

    @property
    def trailing_days(self) -> int:
        """`repull_days`: by default a year and a half, after which a guarantee of origin of the EU expires."""
        return self.repull_days

    @property
    def _stated(self) -> Stated:
        constants = {"instrument": self.instrument, "registry": self.registry, "zone": self.zone}
        columns = Columns(
            {str(ours): theirs for ours, theirs in self.columns.items()},
            {name: value for name, value in constants.items() if value},
            self.quantity_unit,
            self.factor_unit,
            self.decimal,
        )
        factors = {name.casefold(): grams for name, grams in self.gco2e_by_technology.items()}
        return Stated(columns, factors, frozenset(map(str.casefold, self.carbon_free_technologies)))

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per file, of every month: what a file holds may be claimed for any of them."""
        months = tuple(sorted({Month.of(day).first for day in days}))
        for file in self._files(step):
            yield Unit(months, file.name, partial(self._fetch, file, months, step))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """The rows of each month's year; of rates those of the years before as well."""
        by_file: dict[str, list[dict[str, Any]]] = {}
        names: dict[str, str] = {}
        copies = []
        for landed in objects:
            name = str(landed.request["path"])
            if landed.sha256 in names:
                copies.append(f"{name} holds the bytes of {names[landed.sha256]}, which counts")
                continue
            names[landed.sha256] = name
            path = step.spool(landed, Path(name).suffix)
            rows = read_rows(step.con, path, name, step.folder, self._stated)
            _require_size(rows, name, self.certificate_kwh)
            by_file[landed.sha256] = [{**row, "raw_sha256": landed.sha256} for row in rows]
        months = sorted({Month.of(day).first for day in days})
        every = [row for rows in by_file.values() for row in rows]
        mine = [{**row, "month": month} for month in months for row in every if of_month(row, month, CARRIED_YEARS)]
        notes, examples = _notes(every, mine, months, names, self.certificate_kwh)
        if copies:
            notes[_COPIES], examples[_COPIES] = len(copies), copies
        schema = schema_of(Instruments).to_pyarrow()
        return Parsed(ibis.memtable(pa.Table.from_pylist(mine, schema=schema)), notes, examples)

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Each file: readable, which instruments of which years and zones."""
        try:
            files = self._files(step)
        except SourceError as error:
            yield Finding(False, error.message, error.remedy)
            return
        for file in files:
            try:
                rows = read_rows(step.con, file.fetch(step.folder), file.name, step.folder, self._stated)
                _require_size(rows, file.name, self.certificate_kwh)
            except SourceError as error:
                yield Finding(False, error.message, error.remedy)
                continue
            yield from _look(file.name, rows)

    def _files(self, step: StepContext) -> list[SourceFile]:
        options = {"endpoint": self.endpoint_url} if self.endpoint_url else None
        return list_files(self.path, step.site_folder, options)

    @staticmethod
    def _fetch(file: SourceFile, months: tuple[date, ...], step: StepContext) -> Iterator[Fetched]:
        """The bytes of a file, landed whether they can be read or not, so that parsing says what is wrong."""
        path = file.still(step.folder)
        sha256 = sha256_of(path)
        body = Held(sha256, path.stat().st_size) if step.landing.holds(sha256) else path
        media_type = "application/json" if file.name.lower().endswith(".json") else "text/csv"
        yield Fetched(body, {"path": file.name}, months, media_type=media_type)


def _notes(
    every: Sequence[dict[str, Any]],
    mine: Sequence[dict[str, Any]],
    months: Sequence[date],
    names: dict[str, str],
    certificate_kwh: Decimal | None,
) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """Months for whose year there is nothing while there is something for others, and quantities that look wrong."""
    notes: dict[str, int] = {}
    examples: dict[str, Sequence[str]] = {}
    known = years(every)
    if bare := [month for month in months if known and month.year not in known]:
        notes[_OTHER_YEARS] = len(bare)
        examples[_OTHER_YEARS] = [f"{year}: {_mwh(kwh)}" for year, kwh in known.items()]
    if certificate_kwh is None and (odd := [row for row in mine if _not_of_a_megawatt_hour(row)]):
        lines = dict.fromkeys((row["raw_sha256"], row["line"], _each(row)) for row in odd)
        notes[_NOT_MEGAWATT_HOURS] = len({row["month"] for row in odd})
        examples[_NOT_MEGAWATT_HOURS] = [f"{names[sha]} line {line}: {each:f} kWh each" for sha, line, each in lines]
    return notes, examples


def _require_size(rows: Sequence[dict[str, Any]], name: str, certificate_kwh: Decimal | None) -> None:
    """That certificates are of the size that site.yaml states."""
    for row in rows:
        if certificate_kwh is not None and row["serial_series"] is not None and _each(row) != certificate_kwh:
            raise MalformedError(
                f"{name}: line {row['line']}: its certificates are of {_each(row):f} kWh each, `certificate_kwh` of "
                f"this source says {certificate_kwh:f}",
                "Correct the unit of the quantities, the serials, or `certificate_kwh` in site.yaml.",
            )


def _each(row: dict[str, Any]) -> Decimal:
    return Decimal(row["quantity_kwh"] / (row["serial_last"] - row["serial_first"] + 1)).normalize()


def _not_of_a_megawatt_hour(row: dict[str, Any]) -> bool:
    """Whether certificates of more than an hour are of 1 kWh or 1 GWh each, as if their unit were another one."""
    if row["serial_series"] is None or not row["quantity_kwh"]:
        return False
    longer = (row["generation_end"] - row["generation_start"]).total_seconds() > 3600
    return longer and _each(row) in (Decimal(1), Decimal(1_000_000))


def _mwh(kwh: Decimal) -> str:
    return f"{kwh / 1000:,.3f} MWh"


def _look(name: str, rows: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """What one readable file holds."""
    if not rows:
        yield Finding(False, f"{name}: has no line below its header", "Fill it, or take it out of `path`.")
        return
    batches: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        batches[row["instrument"], row["market"], row["for_year"]].append(row)
    said = []
    for (kind, market, year), some in sorted(batches.items()):
        label = next(word.label for word in InstrumentKind if word.value == kind)
        total = sum((row["quantity_kwh"] or Decimal() for row in some), Decimal())
        amount = f", {_mwh(total)}" if kind not in RATES else f", {some[0]['gco2e_per_kwh']} gCO2e/kWh"
        said.append(f"{label} of {market} {year}: {counted(len(some), 'line')}{amount}")
    yield Finding(True, f"{name}: {'; '.join(said)}")
    if bare := [row["line"] for row in rows if row["gco2e_per_kwh"] is None]:
        who = "1 line states" if len(bare) == 1 else f"{len(bare):,} lines state"
        yield Finding(
            False,
            f"{name}: {who} no emission factor, first line {bare[0]}: nothing is covered by it",
            "Add a column gco2e_per_kwh, or state it by technology: gco2e_by_technology: {wind: 0}.",
        )

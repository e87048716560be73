"""The source `instrument_files`: what a site bought or was delivered, month by month, from files.

What belongs here: the site.yaml block, and which rows a month needs. What does not: columns and cells (`columns`,
`parse`), whether an instrument counts, and what it covers (`energy_assets.emissions`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import ibis
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

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
from energy_assets.sources.instrument_files.parse import RATES, Stated, read_rows, years
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
_SHOWN = 5

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
    markets: list[Annotated[list[GridZone], Field(min_length=2)]] = Field(
        default_factory=list, description="zones that are one market: certificates and contracts of one hold in all"
    )
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
        markets = {zone: " + ".join(sorted(zones)) for zones in self.markets for zone in zones}
        return Stated(columns, factors, frozenset(map(str.casefold, self.carbon_free_technologies)), markets)

    @field_validator("markets")
    @classmethod
    def _one_market_each(cls, markets: list[list[str]]) -> list[list[str]]:
        every = [zone for zones in markets for zone in zones]
        if twice := sorted({zone for zone in every if every.count(zone) > 1}):
            raise ValueError(f"{', '.join(twice)} stands in two markets; leave it in one")
        return markets

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit per file, of every month: what a file holds may be claimed for any of them."""
        months = tuple(sorted({Month.of(day).first for day in days}))
        for file in self._files(step):
            yield Unit(months, file.name, partial(self._fetch, file, months, step))

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """The rows of each month's year; of rates those of the years before as well."""
        files: dict[str, FileRows] = {}
        copies = []
        for landed in objects:
            name = str(landed.request["path"])
            if landed.sha256 in files:
                copies.append(f"{name} holds the bytes of {files[landed.sha256].name}, which counts")
                continue
            files[landed.sha256] = self._read(landed, name, step)
        months = sorted({Month.of(day).first for day in days})
        notes, examples = _notes(files.values(), months, doubt=self.certificate_kwh is None)
        if copies:
            notes[_COPIES], examples[_COPIES] = len(copies), copies
        schema = schema_of(Instruments).to_pyarrow()
        parts = [one.of_month(month) for month in months for one in files.values()]
        rows = pa.concat_tables([part.select(schema.names).cast(schema) for part in parts] or [schema.empty_table()])
        return Parsed(ibis.memtable(rows), notes, examples)

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

    def _read(self, landed: Landed, name: str, step: StepContext) -> FileRows:
        """The rows of a landed file; months of a run ask for the same ones."""
        stated, key = self._stated, (landed.sha256, name, repr((self._stated, self.certificate_kwh)))
        if key not in _read_last:
            while len(_read_last) >= _KEPT_FILES:
                del _read_last[next(iter(_read_last))]
            rows = read_rows(step.con, step.spool(landed, Path(name).suffix), name, step.folder, stated)
            _require_size(rows, name, self.certificate_kwh)
            _read_last[key] = FileRows.of(name, landed.sha256, rows)
        return _read_last[key]

    def _files(self, step: StepContext) -> list[SourceFile]:
        options = {"endpoint": self.endpoint_url} if self.endpoint_url else None
        return list_files(self.path, step.site_folder, options)

    @staticmethod
    def _fetch(file: SourceFile, months: tuple[date, ...], step: StepContext) -> Iterator[Fetched]:
        """The bytes of a file, landed whether they can be read or not, so that parsing says what is wrong."""
        path = file.still(step.folder)
        sha256 = sha256_of(path)
        body = Held(sha256, path.stat().st_size) if step.landing.holds(sha256) else path
        kinds = {".json": "application/json", ".gz": "application/gzip", ".csv": "text/csv"}
        media_type = kinds.get(Path(file.name.lower()).suffix, "application/octet-stream")
        yield Fetched(body, {"path": file.name}, months, media_type=media_type)


@dataclass(frozen=True)
class FileRows:
    """The rows of a file, and what is worth knowing of them.

    Attributes:
        name: Of the file.
        rows: In the columns of the contract, without `month`.
        years: Kilowatt-hours of certificates and contracts by the year they are claimed for.
        odd: Lines of certificates of 1 kWh or 1 GWh each, by that year: the first few.
    """

    name: str
    rows: pa.Table
    years: Mapping[int, Decimal]
    odd: Mapping[int, Sequence[str]]

    @classmethod
    def of(cls, name: str, sha256: str, rows: Sequence[dict[str, Any]]) -> FileRows:
        """From parsed lines.

        Args:
            name: Of the file.
            sha256: Of its bytes.
            rows: As `read_rows` returns them.
        """
        schema = schema_of(Instruments).to_pyarrow()
        schema = schema.remove(schema.get_field_index("month"))
        odd: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            if len(odd[row["for_year"]]) < _SHOWN and _not_of_a_megawatt_hour(row):
                odd[row["for_year"]].append(f"{name} line {row['line']}: {_each(row):f} kWh each")
        table = pa.Table.from_pylist([{**row, "raw_sha256": sha256} for row in rows], schema=schema)
        return cls(name, table, years(rows), {year: lines for year, lines in odd.items() if lines})

    def of_month(self, month: date) -> pa.Table:
        """The rows that a month needs: those of its year, and rates that may stand in for it.

        Args:
            month: Its first day.
        """
        age = pc.subtract(month.year, self.rows["for_year"])
        carried = pc.and_(pc.is_in(self.rows["instrument"], pa.array(RATES)), pc.less_equal(age, CARRIED_YEARS))
        mine = self.rows.filter(pc.and_(pc.greater_equal(age, 0), pc.or_(pc.equal(age, 0), carried)))
        return mine.append_column("month", pa.array([month] * mine.num_rows, pa.date32()))


_KEPT_FILES = 4
_read_last: dict[tuple[str, str, str], FileRows] = {}
"""The files this process read last; what is in one is decided by its bytes, its name and the block of site.yaml."""


def _notes(
    files: Iterable[FileRows], months: Sequence[date], *, doubt: bool
) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """Months for whose year there is nothing while there is something for others, and quantities that look wrong."""
    notes: dict[str, int] = {}
    examples: dict[str, Sequence[str]] = {}
    known: dict[int, Decimal] = defaultdict(Decimal)
    odd: dict[int, list[str]] = defaultdict(list)
    for one in files:
        for year, kwh in one.years.items():
            known[year] += kwh
        for year, lines in one.odd.items():
            odd[year] += lines
    if bare := [month for month in months if known and month.year not in known]:
        notes[_OTHER_YEARS] = len(bare)
        examples[_OTHER_YEARS] = [f"{year}: {_mwh(kwh)}" for year, kwh in sorted(known.items())]
    if doubt and (wrong := [month for month in months if month.year in odd]):
        notes[_NOT_MEGAWATT_HOURS] = len(wrong)
        lines = [line for year in sorted({month.year for month in wrong}) for line in odd[year]]
        examples[_NOT_MEGAWATT_HOURS] = lines[:_SHOWN]
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

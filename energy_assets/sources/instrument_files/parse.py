"""Lines of a file of instruments as rows: every cell read, or the file refused with line, cell and remedy.

What belongs here: opening CSV, Parquet and JSON, and what a cell means. What does not: which years a month needs
(`source`), and whether an instrument counts (`energy_assets.emissions`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb

from energy_assets.contracts.vocabulary import GhgScope, InstrumentKind
from energy_assets.sources import csv_text
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.instrument_files.columns import Columns, unit_in
from energy_assets.sources.instrument_files.serials import serials
from energy_assets.sources.intensity import MAX_GCO2E_PER_KWH
from energy_assets.sources.opening import REMEDY, open_file, plain_path, unreadable

FACTOR_DIGITS, KWH_DIGITS = Decimal("0.001"), Decimal("1e-12")
RATES = (InstrumentKind.SUPPLIER_RATE.value, InstrumentKind.RESIDUAL_MIX.value)
_YES, _NO = ("true", "yes", "y", "1"), ("false", "no", "n", "0")
_POINTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T](\d\d:\d\d(?::\d\d)?))?")
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(\.\d{3})+(,\d+)?")
"""A number in which points stand between thousands, as it is written where the comma is the decimal mark."""
_LONGEST = timedelta(days=366)


@dataclass(frozen=True)
class Stated:
    """What site.yaml says of all rows of a source.

    Attributes:
        columns: Which columns hold what.
        technologies: Emission factor by technology in small letters, in gCO2e per kWh.
        carbon_free: Technologies in small letters whose electricity is carbon-free.
        markets: By zone: all zones of the market it is a part of, as the column `market` joins them.
    """

    columns: Columns
    technologies: Mapping[str, Decimal]
    carbon_free: frozenset[str]
    markets: Mapping[str, str] = field(default_factory=dict)


def read_rows(con: Any, path: Path, name: str, folder: Path, stated: Stated) -> list[dict[str, Any]]:
    """The rows of a file in the columns of the raw contract, without `month` and `raw_sha256`.

    Args:
        con: An Ibis connection to DuckDB.
        path: The local file.
        name: What messages call it.
        folder: A temporary folder.
        stated: By site.yaml.

    Raises:
        MalformedError: names the line, the cell and what to do.
    """
    header, lines = _json(path, name) if name.lower().endswith(".json") else _table(con, path, name, folder)
    found = stated.columns.of(header, name)
    kwh, grams = stated.columns.kwh(found, name), stated.columns.grams(found, name)
    rows = []
    for number, line in lines:
        cells = {ours: str(line.get(theirs) if line.get(theirs) is not None else "") for ours, theirs in found.items()}
        if not any(cell.strip() for cell in cells.values()):
            continue
        try:
            rows.append({**_Line(cells, stated, kwh, grams).row(), "file": name, "line": number})
        except ValueError as error:
            raise MalformedError(f"{name}: line {number}: {error}", REMEDY) from error
    return rows


def _table(con: Any, path: Path, name: str, folder: Path) -> tuple[list[str], Iterator[tuple[int, dict[str, Any]]]]:
    opened = open_file(con, plain_path(path, name, folder), name, folder)
    try:
        found = con.raw_sql(f"SELECT * FROM {opened.relation}").fetchall()  # noqa: S608 - made by `open_file`
    except duckdb.Error as error:
        raise unreadable(path, name, error) from error
    header = list(opened.types)
    return header, ((number, dict(zip(header, row, strict=True))) for number, row in enumerate(found, 2))


def _json(path: Path, name: str) -> tuple[list[str], Iterator[tuple[int, dict[str, Any]]]]:
    """A list of objects, alone or as the one list of an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except ValueError as error:
        raise MalformedError(f"{name}: is no JSON ({error})", REMEDY) from error
    lists = [one for one in content.values() if isinstance(one, list)] if isinstance(content, dict) else [content]
    if len(lists) != 1 or not isinstance(lists[0], list) or not all(isinstance(one, dict) for one in lists[0]):
        raise MalformedError(f"{name}: is no list of objects", "Write one object for each instrument into one list.")
    header = list(dict.fromkeys(key for one in lists[0] for key in one))
    return header, iter(enumerate(lists[0], 2))


@dataclass(frozen=True)
class _Line:
    cells: Mapping[str, str]
    stated: Stated
    kwh: Decimal | None
    grams: Decimal

    def text(self, name: str) -> str | None:
        """A cell, or what holds of all rows; None where both are empty."""
        text = self.cells.get(name, "").strip() or self.stated.columns.constants.get(name, "").strip()
        return " ".join(text.split()) or None

    def row(self) -> dict[str, Any]:
        """The row of the line."""
        kind = (self.text("instrument") or "").lower().replace(" ", "_").replace("-", "_")
        if kind not in InstrumentKind.values():
            raise ValueError(f"'{kind}' is no instrument: write one of {', '.join(InstrumentKind.values())}")
        market = self.text("zone")
        if market is None:
            raise ValueError("names no zone, and so no market within which it may be used")
        quantity = self._quantity()
        if quantity is None and kind not in RATES:
            raise ValueError(f"states no quantity, and a {kind} is of some electricity")
        vintage, start, end = self._generation()
        technology = self.text("technology")
        return {
            "instrument": kind,
            "registry": self.text("registry"),
            **self._serials(),
            "quantity_kwh": quantity,
            "generation_start": start,
            "generation_end": end,
            "vintage": vintage,
            "for_year": self._year("for_year") or vintage,
            "technology": technology,
            "market": market.upper() if kind in RATES else self.stated.markets.get(market.upper(), market.upper()),
            "supplier": self.text("supplier"),
            "gco2e_per_kwh": self._factor(technology),
            "carbon_free": self._carbon_free(technology),
            "retired_on": None if (retired := self.text("retired_on")) is None else instant(retired)[0].date(),
            "beneficiary": self.text("beneficiary"),
            "ghg_scope": self._scope(),
        }

    def _serials(self) -> dict[str, Any]:
        one = self.text("serial")
        first, last = self.text("serial_from") or one, self.text("serial_to") or self.text("serial_from") or one
        if (first is None) != (last is None):
            raise ValueError("states where its serials end and not where they begin")
        registry = self.text("registry")
        found = None if first is None or last is None or registry is None else serials(registry, first, last)
        return {
            "serial_from": first,
            "serial_to": last,
            "serial_series": found and found.series,
            "serial_first": found and Decimal(found.first),
            "serial_last": found and Decimal(found.last),
        }

    def _quantity(self) -> Decimal | None:
        quantity, factor = self._number("quantity"), self.kwh
        if quantity is None:
            return None
        if factor is None:
            unit = self.text("unit")
            factor = None if unit is None else unit_in(unit)
            if factor is None:
                raise ValueError(f"'{unit or ''}' is no unit of its quantity: write Wh, kWh, MWh or GWh")
        if quantity < 0:
            raise ValueError(f"its quantity is negative ({quantity})")
        return (quantity * factor).quantize(KWH_DIGITS)

    def _factor(self, technology: str | None) -> Decimal | None:
        factor = self._number("factor")
        if factor is None:
            return None if technology is None else self.stated.technologies.get(technology.casefold())
        grams = (factor * self.grams).quantize(FACTOR_DIGITS)
        if not 0 <= grams <= MAX_GCO2E_PER_KWH:
            raise ValueError(f"{grams} gCO2e per kWh is no emission factor of electricity")
        return grams

    def _carbon_free(self, technology: str | None) -> bool | None:
        said = (self.text("carbon_free") or "").lower()
        if said and said not in (*_YES, *_NO):
            raise ValueError(f"'{said}' says neither true nor false (`carbon_free`)")
        if said:
            return said in _YES
        return True if technology and technology.casefold() in self.stated.carbon_free else None

    def _scope(self) -> str | None:
        said = (self.text("ghg_scope") or "").lower().replace(" ", "")
        if said and said not in (GhgScope.SCOPE2.value, GhgScope.SCOPE38.value):
            raise ValueError(f"'{said}' is no scope that instruments cover: write scope2 or scope3.8")
        return said or None

    def _generation(self) -> tuple[int, datetime, datetime]:
        """The year of the generation, and its period in UTC; the whole year where only that is stated."""
        begins, ends, vintage = self.text("generation_start"), self.text("generation_end"), self._year("vintage")
        if begins is None or ends is None:
            year = vintage or (instant(begins)[1] if begins else None)
            if year is None:
                raise ValueError("states neither its vintage nor when it was generated")
            return year, datetime(year, 1, 1), datetime(year + 1, 1, 1)
        (start, year), (end, _) = instant(begins), instant(ends)
        if len(ends) <= len("01.01.2024"):  # a day alone is the last one
            end += timedelta(days=1)
        if not timedelta(0) < end - start <= _LONGEST:
            raise ValueError(f"its generation, {begins} to {ends}, is no period of up to a year")
        if vintage not in (None, year):
            raise ValueError(f"its vintage is {vintage}, and its generation begins {begins}")
        return year, start, end

    def _year(self, name: str) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        found = re.fullmatch(r"((?:19|20)\d\d)(?:\.0+|[-/.]\d\d?(?:[-/.]\d\d?)?)?", text)
        if found is None:
            raise ValueError(f"'{text}' is no year (`{name}`)")
        return int(found[1])

    def _number(self, name: str) -> Decimal | None:
        text = self.text(name)
        if text is None:
            return None
        plain = text
        if self.stated.columns.decimal == "," and ("." not in text or _THOUSANDS.fullmatch(text)):
            plain = text.replace(".", "").replace(",", ".")
        elif self.stated.columns.decimal == ",":
            plain = ""
        try:
            number = Decimal(plain)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            why = csv_text.said_of_number(text)
            raise ValueError(f"'{text}' is no number (`{name}`){f': {why}' if why else ''}")
        return number


def instant(text: str) -> tuple[datetime, int]:
    """A time in UTC without a zone, and the year as it is written.

    Args:
        text: ISO 8601, or day.month.year; without an offset it is UTC.

    Raises:
        ValueError: it is neither.
    """
    pointed = _POINTED.fullmatch(text)
    iso = f"{pointed[3]}-{pointed[2]:0>2}-{pointed[1]:0>2}T{pointed[4] or '00:00'}" if pointed else text
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        raise ValueError(f"'{text}' is no time: write 2024-05-01 or 2024-05-01T00:15:00Z") from None
    return (at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at), at.year


def years(rows: Sequence[Mapping[str, Any]]) -> dict[int, Decimal]:
    """Kilowatt-hours of certificates and contracts by the year they are claimed for.

    Args:
        rows: Of any files.
    """
    found: dict[int, Decimal] = {}
    for row in rows:
        if row["instrument"] not in RATES:
            found[row["for_year"]] = found.get(row["for_year"], Decimal()) + row["quantity_kwh"]
    return dict(sorted(found.items()))

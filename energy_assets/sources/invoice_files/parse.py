"""Lines of a file of invoices as rows: every cell read, or the file refused with line, cell and remedy.

What belongs here: what a cell means. What does not: what lines say together (`together`), and which months need them
(`source`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb

from energy_assets.sources import csv_text
from energy_assets.sources.base import provider_name
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.invoice_files.columns import Columns, Header
from energy_assets.sources.opening import REMEDY, open_file, plain_path, unreadable

BOUNDARIES = ("it", "facility")
BASES = ("direct", "lifecycle")
LONGEST_DAYS = 400
"""A year and what a yearly reading may be late; longer periods are taken for an error."""
_KWH, _GRAMS, _PUE = Decimal("1e-12"), Decimal("1e-15"), Decimal("0.001")
_POINTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


def read_rows(con: Any, path: Path, name: str, folder: Path, columns: Columns) -> list[dict[str, Any]]:
    """The rows of a file in the columns of the raw contract, without `month` and `raw_sha256`.

    Args:
        con: An Ibis connection to DuckDB.
        path: The local file.
        name: What messages call it.
        folder: A temporary folder.
        columns: By site.yaml.

    Raises:
        MalformedError: names the line, the cell and what to do.
    """
    opened = open_file(con, plain_path(path, name, folder), name, folder)
    header = columns.of(opened.types, name)
    try:
        lines = con.raw_sql(f"SELECT * FROM {opened.relation}").fetchall()  # noqa: S608 - made by `open_file`
    except duckdb.Error as error:
        raise unreadable(path, name, error) from error
    rows = []
    for number, line in enumerate(lines, 2):
        cells = dict(zip(opened.types, line, strict=True))
        said = {
            ours: str(cells[theirs] if cells[theirs] is not None else "") for ours, theirs in header.columns.items()
        }
        if not any(cell.strip() for cell in said.values()):
            continue
        try:
            rows.append({**_Line(said, header, columns).row(), "file": name, "line": number})
        except ValueError as error:
            raise MalformedError(f"{name}: line {number}: {error}", REMEDY) from error
    return rows


@dataclass(frozen=True)
class _Line:
    cells: Mapping[str, str]
    header: Header
    columns: Columns

    def text(self, name: str) -> str | None:
        """A cell, or what holds of all rows; None where both are empty."""
        text = self.cells.get(name, "").strip() or self.columns.constants.get(name, "").strip()
        return " ".join(text.split()) or None

    def needed(self, name: str) -> str:
        """A cell that must not be empty."""
        text = self.text(name)
        if text is None:
            raise ValueError(f"`{name}` is empty")
        return text

    def row(self) -> dict[str, Any]:
        """The row of the line."""
        first, last = self._period()
        energy = self.number("energy")
        if energy is None:
            raise ValueError("states no energy")
        corrects = self.text("corrects")
        if energy < 0 and corrects is None:
            raise ValueError(
                f"its energy is below zero ({energy}), as on a credit note, and nothing says which invoice it is of: "
                "fill `corrects` with the number of that invoice"
            )
        pue = self.number("pue")
        if pue is not None and pue < 1:
            raise ValueError(f"{pue} is no PUE: a facility takes no less than its machines")
        return {
            "invoice_id": self.needed("invoice_id"),
            "corrects": corrects,
            "meter": self.needed("meter"),
            "provider": provider_name(self.needed("provider")),
            "account_id": self.text("account_id"),
            "region": self.needed("region"),
            "first_day": first,
            "last_day": last,
            "boundary": self._one_of("boundary", BOUNDARIES, self.needed("boundary")),
            "energy_kwh": _exactly(energy * self.header.kwh, _KWH),
            "pue": None if pue is None else _exactly(pue, _PUE),
            **self._grams(corrects),
            **self._cost(),
        }

    def _period(self) -> tuple[date, date]:
        first = _day(self.needed("first_day"))
        if "last_day" in self.header.columns:
            last = _day(self.needed("last_day"))
        else:
            last = _day(self.needed("day_after")) - timedelta(days=1)
        if not 1 <= (last - first).days + 1 <= LONGEST_DAYS:
            raise ValueError(f"{first} to {last} (included) is no period of 1 to {LONGEST_DAYS} days")
        return first, last

    def _grams(self, corrects: str | None) -> dict[str, Any]:
        amount, basis = self.number("gco2e"), self.text("gco2e_basis")
        if amount is None:
            return {"gco2e": None, "gco2e_basis": None}
        if basis is None:
            raise ValueError(
                "states emissions and not what they are of: fill `gco2e_basis` with direct or lifecycle. Emissions of "
                "a supplier's mix are market-based: they are for a source of kind instrument_files, as a supplier_rate"
            )
        if amount < 0 and corrects is None:
            raise ValueError(f"its emissions are below zero ({amount})")
        grams = _exactly(amount * self.header.grams, _GRAMS)
        return {"gco2e": grams, "gco2e_basis": self._one_of("gco2e_basis", BASES, basis)}

    def _cost(self) -> dict[str, Any]:
        cost, currency = self.number("cost"), self.text("currency")
        if cost is not None and (currency is None or not re.fullmatch("[A-Z]{3}", currency)):
            raise ValueError(f"'{currency or ''}' is no currency of its cost: three capital letters, for example EUR")
        return {"cost": cost, "currency": None if cost is None else currency}

    @staticmethod
    def _one_of(name: str, words: tuple[str, ...], text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"'{text}' is no `{name}`: write {' or '.join(words)}")
        return text.lower()

    def number(self, name: str) -> Decimal | None:
        """A cell as a number; None where it is empty."""
        text = self.text(name)
        if text is None:
            return None
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            why = csv_text.said_of_number(text)
            raise ValueError(f"'{text}' is no number (`{name}`){f': {why}' if why else ''}")
        return number


def _exactly(number: Decimal, places: Decimal) -> Decimal:
    try:
        return number.quantize(places)
    except InvalidOperation:
        raise ValueError(f"{number:g} is more than any invoice states; look at the unit") from None


def _day(text: str) -> date:
    """A day: ISO 8601, or day.month.year."""
    pointed = _POINTED.fullmatch(text)
    iso = f"{pointed[3]}-{pointed[2]:0>2}-{pointed[1]:0>2}" if pointed else text
    midnight = re.fullmatch(r"(\d{4}-\d\d-\d\d)[ T]00:00(:00)?", iso)
    try:
        return date.fromisoformat(midnight[1] if midnight else iso)
    except ValueError:
        raise ValueError(f"'{text}' is no day: write 2024-05-16") from None

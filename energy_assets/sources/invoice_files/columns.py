"""Which columns of a file of invoices hold what, and in which unit: by their own names, or as site.yaml says.

What belongs here: headers, constants and units. What does not: reading cells (`parse`). A unit and the end of a period
are never guessed: they stand in the header, or in site.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from energy_assets.sources.errors import MalformedError
from energy_assets.sources.headers import matched, shown
from energy_assets.sources.instrument_files.columns import KWH

Name = Literal[
    "invoice_id", "corrects", "meter", "provider", "account_id", "region", "first_day", "last_day", "day_after",
    "energy", "boundary", "pue", "gco2e", "gco2e_basis", "cost", "currency",
]  # fmt: skip
"""Our names of columns: the keys of `columns` in site.yaml."""
NAMES: tuple[str, ...] = Name.__args__  # type: ignore[attr-defined]
EnergyUnit = Literal["Wh", "kWh", "MWh", "GWh"]
GramUnit = Literal["gCO2e", "kgCO2e", "tCO2e"]
GRAMS: dict[str, Decimal] = {"gCO2e": Decimal(1), "kgCO2e": Decimal(1000), "tCO2e": Decimal(1_000_000)}
"""Grams by unit."""
_ENERGY = {f"energy_{unit.lower()}": unit for unit in KWH}
_GRAMS = {unit.lower(): unit for unit in GRAMS}
_OPEN_ENDS = ("period_to", "period_end", "to", "end", "until", "bis")
"""Names that do not say whether the day is part of the period."""
_NEEDED = ("invoice_id", "meter", "first_day", "energy", "boundary", "provider", "region")
_CONSTANT = ("meter", "provider", "region", "boundary")


@dataclass(frozen=True)
class Header:
    """What a file's header says.

    Attributes:
        columns: The file's own names for ours.
        kwh: What its energies are multiplied with to be kWh.
        grams: What its emissions are multiplied with to be grams.
    """

    columns: Mapping[str, str]
    kwh: Decimal
    grams: Decimal


@dataclass(frozen=True)
class Columns:
    """Which columns hold what, as site.yaml says it.

    Attributes:
        columns: The file's name for each of ours.
        constants: What holds of all rows of files that have no column for it.
        energy_unit: Of `energy`, where the header does not say it.
        gco2e_unit: Of `gco2e`, where the header does not say it.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    energy_unit: EnergyUnit | None = None
    gco2e_unit: GramUnit | None = None

    def of(self, header: Iterable[str], name: str) -> Header:
        """What a header says of a file.

        Args:
            header: Of the file.
            name: What messages call the file.

        Raises:
            MalformedError: a column is missing, two hold the same thing, or a unit is not said.
        """
        columns = list(header)
        found = matched(columns, name, self.columns, {ours: (ours, *_with_units(ours)) for ours in NAMES})
        lower = {column.strip().casefold(): column.strip() for column in columns}
        self._require(found, lower, name, shown(columns))
        kwh = _unit(found["energy"], _ENERGY, self.energy_unit, KWH, name, ("energy_unit", "kWh"))
        grams = (
            _unit(found["gco2e"], _GRAMS, self.gco2e_unit, GRAMS, name, ("gco2e_unit", "kgCO2e"))
            if "gco2e" in found
            else Decimal(1)
        )
        return Header(found, kwh, grams)

    def _require(self, found: Mapping[str, str], lower: Mapping[str, str], name: str, there: str) -> None:
        for ours in _NEEDED:
            if ours not in found and ours not in self.constants:
                stated = f"; or, where all lines are of one: {ours}: …" if ours in _CONSTANT else ""
                raise MalformedError(
                    f"{name}: has no column of `{ours}`; it has {there}",
                    f"Name it in this source of site.yaml: columns: {{{ours}: …}}{stated}.",
                )
        ends = [one for one in ("last_day", "day_after") if one in found]
        if len(ends) != 1:
            unsaid = next((lower[one] for one in _OPEN_ENDS if one in lower), None)
            why = f"no column says where periods end; it has {there}"
            if ends:
                why = "two columns say where periods end"
            elif unsaid:
                why = f"'{unsaid}' does not say whether that day is part of the period"
            raise MalformedError(
                f"{name}: {why}",
                f"Name the right one in this source of site.yaml: columns: {{last_day: {unsaid or '…'}}} if that day "
                f"is included, columns: {{day_after: {unsaid or '…'}}} if the period ends before it.",
            )


def _with_units(ours: str) -> tuple[str, ...]:
    return tuple(_ENERGY) if ours == "energy" else tuple(_GRAMS) if ours == "gco2e" else ()


def _unit(
    column: str,
    names: Mapping[str, str],
    stated: str | None,
    factors: Mapping[str, Decimal],
    name: str,
    key: tuple[str, str],
) -> Decimal:
    """The factor of a column's unit: its name or site.yaml says it, and both may not differ."""
    said = names.get(column.strip().casefold())

    if said is None and stated is None:
        raise MalformedError(
            f"{name}: nothing says the unit of '{column}'",
            f"Add to this source in site.yaml: {key[0]}: {key[1]} (or {', '.join(u for u in factors if u != key[1])}).",
        )
    if said and stated and said != stated:
        raise MalformedError(
            f"{name}: '{column}' speaks of {said}, `{key[0]}` of this source says {stated}",
            f"Correct `{key[0]}` in site.yaml, or the header of the file.",
        )
    return factors[said or str(stated)]

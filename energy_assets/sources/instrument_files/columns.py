"""Which columns of a file of instruments hold what, and in which unit: by their own names, or as site.yaml says.

What belongs here: headers, constants and units. What does not: reading cells (`parse`). A unit is never guessed: it
stands in the header, in a column of its own, or in site.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, get_args

from energy_assets.sources.errors import MalformedError
from energy_assets.sources.headers import matched, shown
from energy_assets.sources.intensity_files.columns import GRAMS_PER_KWH, IntensityUnit, unit_of

QuantityUnit = Literal["Wh", "kWh", "MWh", "GWh"]
KWH: dict[str, Decimal] = {"Wh": Decimal("0.001"), "kWh": Decimal(1), "MWh": Decimal(1000), "GWh": Decimal(1_000_000)}
"""Kilowatt-hours by unit."""
Name = Literal[
    "instrument", "registry", "serial", "serial_from", "serial_to", "quantity", "unit", "generation_start",
    "generation_end", "vintage", "for_year", "technology", "zone", "supplier", "factor", "carbon_free", "retired_on",
    "beneficiary", "ghg_scope",
]  # fmt: skip
"""Our names of columns: the keys of `columns` in site.yaml."""
_QUANTITY = re.compile(r"(?<![A-Za-z])([kmgKMG]?)[wW][hH](?![A-Za-z])")
_OWN: dict[str, tuple[str, ...]] = {
    "quantity": ("quantity", "quantity_wh", "quantity_kwh", "quantity_mwh", "quantity_gwh"),
    "factor": ("gco2e_per_kwh", "kgco2e_per_kwh", "factor"),
    "zone": ("zone", "market"),
    "serial": ("serial", "serial_number"),
}
"""How a file may name a column of ours beside our own name for it."""


@dataclass(frozen=True)
class Columns:
    """Which columns hold what, as site.yaml says it.

    Attributes:
        columns: The file's name for each of ours.
        constants: What holds of all rows of files that have no column for it.
        quantity_unit: Of `quantity`, where neither its header nor a column says it.
        factor_unit: Of `factor`, where its header does not say it.
        decimal: The decimal mark.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    quantity_unit: QuantityUnit | None = None
    factor_unit: IntensityUnit | None = None
    decimal: Literal[".", ","] = "."

    def of(self, header: Iterable[str], name: str) -> dict[str, str]:
        """The file's own names for ours.

        Args:
            header: Of the file.
            name: What messages call the file.

        Raises:
            MalformedError: a column is missing, or the header names two for the same thing.
        """
        columns = list(header)
        known = {ours: _OWN.get(ours, (ours,)) for ours in get_args(Name)}
        found = matched(columns, name, self.columns, known)
        for ours, remedy in (
            ("instrument", "instrument: certificate (or contract, supplier_rate, residual_mix)"),
            ("zone", "zone: DE"),
        ):
            if ours not in found and ours not in self.constants:
                raise MalformedError(
                    f"{name}: has no column of `{ours}`; it has {shown(columns)}",
                    f"Name it in this source of site.yaml: columns: {{{ours}: …}}; or, where all rows are of one: "
                    f"{remedy}.",
                )
        return found

    def kwh(self, found: Mapping[str, str], name: str) -> Decimal | None:
        """What a quantity is multiplied with to be kWh; None where a column of units says it row by row.

        Args:
            found: The file's own names for ours.
            name: What messages call the file.

        Raises:
            MalformedError: nobody says the unit, or two say different ones.
        """
        if "quantity" not in found or "unit" in found:
            return None
        column = found["quantity"]
        said = {_spelled(match[1]) for match in _QUANTITY.finditer(re.sub(r"[\s_]+", " ", column))}
        if self.quantity_unit is None and len(said) == 1:
            return KWH[said.pop()]
        if self.quantity_unit is None:
            raise MalformedError(
                f"{name}: nothing says the unit of '{column}'",
                f"Add to this source in site.yaml: quantity_unit: MWh (or {', '.join(u for u in KWH if u != 'MWh')}).",
            )
        if said and said != {self.quantity_unit}:
            raise MalformedError(
                f"{name}: '{column}' speaks of {' and '.join(sorted(said))}, `quantity_unit` of this source says "
                f"{self.quantity_unit}",
                "Correct `quantity_unit` in site.yaml, or the header of the file.",
            )
        return KWH[self.quantity_unit]

    def grams(self, found: Mapping[str, str], name: str) -> Decimal:
        """What a factor is multiplied with to be grams per kWh.

        Args:
            found: The file's own names for ours.
            name: What messages call the file.

        Raises:
            MalformedError: nobody says the unit, or two say different ones.
        """
        if "factor" not in found:
            return Decimal(1)
        column = found["factor"]
        said = unit_of(column)
        if said is None and self.factor_unit is None:
            raise MalformedError(
                f"{name}: nothing says the unit of '{column}'",
                f"Add to this source in site.yaml: factor_unit: gCO2e/kWh (or {', '.join(list(GRAMS_PER_KWH)[1:])}).",
            )
        if said and self.factor_unit and GRAMS_PER_KWH[said] != GRAMS_PER_KWH[self.factor_unit]:
            raise MalformedError(
                f"{name}: '{column}' speaks of {said}, `factor_unit` of this source says {self.factor_unit}",
                "Correct `factor_unit` in site.yaml, or the header of the file.",
            )
        return Decimal(GRAMS_PER_KWH[said or str(self.factor_unit)])


def unit_in(text: str) -> Decimal | None:
    """Kilowatt-hours of a unit as a cell spells it; None where it is none.

    Args:
        text: As `MWh`.
    """
    found = _QUANTITY.fullmatch(text.strip())
    return KWH[_spelled(found[1])] if found else None


def _spelled(prefix: str) -> str:
    return {"": "Wh", "k": "kWh", "m": "MWh", "g": "GWh"}[prefix.lower()]

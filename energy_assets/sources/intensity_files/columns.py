"""Which columns of a file of grid intensities hold what: Electricity Maps' exports, or as site.yaml names them.

What belongs here: headers and units. What does not: reading cells (`parse`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from energy_assets.sources.errors import MalformedError
from energy_assets.sources.intensity import marginal_word
from energy_assets.sources.opening import Clock, Table

IntensityUnit = Literal["gCO2e/kWh", "kgCO2e/kWh", "kg/MWh", "t/MWh", "lb/MWh", "mg/kWh"]

GRAMS_PER_KWH = {
    "gCO2e/kWh": "1",
    "kgCO2e/kWh": "1000",
    "kg/MWh": "1",
    "t/MWh": "1000",
    "lb/MWh": "0.45359237",
    "mg/kWh": "0.001",
}
"""By unit; the pound is that of the International Yard and Pound Agreement of 1959."""

_UNITS = (
    ("kgCO2e/kWh", r"kg[^/]{0,8}(/|per)kwh"),
    ("gCO2e/kWh", r"(?<![km])g[^/]{0,8}(/|per)kwh|(?<![km])gco2\w*kwh"),
    ("kg/MWh", r"kg[^/]{0,8}(/|per)mwh"),
    ("lb/MWh", r"lbs?[^/]{0,8}(/|per)mwh"),
    ("t/MWh", r"((?<![a-z])(t(?!on)|tonnes?)|metrictons?)[^/]{0,8}(/|per)mwh"),
)
"""Unit, and how headers spell it, in lower case without blanks; kilograms before grams."""

_BY_CASE = (("mg/kWh", r"mg[^/]{0,8}(/|per)kwh"), ("t/MWh", r"Mg[^/]{0,8}(/|per)mwh"))
"""Units that a capital M tells apart: milligrams, and megagrams, which are tonnes."""

_DOUBTS = (
    (r"mg[^/]{0,8}(/|per)[km]wh", "mg may be milligrams or megagrams", {"mg/kWh", "t/MWh"}),
    (r"(?<![a-z])tons?(?!ne)[^/]{0,8}(/|per)mwh", "tons may be of 1,000 kg or of 2,000 lb", {"t/MWh"}),
)
"""How headers spell what may be two units, in lower case without blanks; why; which `unit` may settle it."""

_MASS = r"(?<![a-z])(?:[km]?g|t|lbs?|(?:kilo|mega)?gram(?:me)?s?|ton(?:ne)?s?|pounds?)(?:[\s_]*co[2₂]\w*)?[\s_]*"
_ENERGY = r"(?:[kmgtp]?(?:wh|j)|(?:mm)?btu|therms?|toe)"
_PER = re.compile(rf"(?:(?:^|[^a-z])per[\s_]+|{_MASS}/\s*|/\s*(?={_ENERGY}(?![a-z])))(?P<what>[a-z]+)", re.IGNORECASE)
"""What the name of a column says its numbers are per: `g per MJ`, `kg_per_GJ`, `g/km`, `CO2/Wh`."""

_EXPORT = {
    "time": (r"datetime \(utc\)", "Datetime (UTC)"),
    "zone": (r"zone id", "Zone id"),
    "direct": (r"carbon intensity gco2eq/kwh \(direct\)", "Carbon intensity gCO₂eq/kWh (direct)"),
    "lifecycle": (r"carbon intensity gco2eq/kwh \((lca|life cycle)\)", "Carbon intensity gCO₂eq/kWh (Life cycle)"),
    "estimated": (r"data estimated", "Data estimated"),
    "carbon_free": (r"(low carbon percentage|carbon-free energy percentage).*", ""),
}
"""Our name, the header in lower case, and its spelling; exports until 2024 say LCA and Low Carbon, later ones Life
cycle, CFE."""


_AVERAGE = re.compile(r"(?<![a-z])(aoer|aer|average|avg|mean)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Mapping:
    """Which columns hold what, as site.yaml says it; all None for exports of Electricity Maps.

    Attributes:
        time: Column of the hour.
        zone: Column of the grid zone.
        direct: Column of the combustion intensity.
        lifecycle: Column of the life-cycle intensity.
        carbon_free: Column of the carbon-free percentage.
        estimated: Column that says true where the publisher estimated.
        unit: Of both intensities; None where the header says it.
        clock: How times are written.
        decimal: The decimal mark, where a file does not prove it.
        constant_zone: The zone of files that have no column for it.
        publisher: Who says so.
    """

    time: str | None = None
    zone: str | None = None
    direct: str | None = None
    lifecycle: str | None = None
    carbon_free: str | None = None
    estimated: str | None = None
    unit: IntensityUnit | None = None
    clock: Clock = field(default_factory=Clock)
    decimal: Literal[".", ","] | None = None
    constant_zone: str | None = None
    publisher: str = "electricity_maps"

    @property
    def named(self) -> bool:
        """Whether site.yaml names columns."""
        return any((self.time, self.zone, self.direct, self.lifecycle, self.carbon_free, self.estimated))

    def of(self, table: Table) -> dict[str, str]:
        """The file's own names for ours.

        Args:
            table: Its header.

        Raises:
            MalformedError: names every column that is missing; or a name says that the intensities are marginal.
        """
        found = self._named(table) if self.named else self._export(table)
        _require_average({found[ours] for ours in ("direct", "lifecycle") if ours in found}, table.name)
        return found

    def _named(self, table: Table) -> dict[str, str]:
        wanted = {
            "time": self.time or "time",
            "zone": self.zone,
            "direct": self.direct,
            "lifecycle": self.lifecycle,
            "carbon_free": self.carbon_free,
            "estimated": self.estimated,
        }
        spelled = {column.strip(): column for column in table.columns}
        found = {
            ours: spelled[theirs.strip()] for ours, theirs in wanted.items() if theirs and theirs.strip() in spelled
        }
        missing = [f"'{theirs}' (`{ours}`)" for ours, theirs in wanted.items() if theirs and ours not in found]
        if missing:
            raise MalformedError(
                f"{table.name}: has no {_listed('column', missing)}; it has {_shown(table.names)}",
                "Correct these keys of the source in site.yaml, or the header of the file.",
            )
        return found

    def _export(self, table: Table) -> dict[str, str]:
        plain = {" ".join(column.lower().replace("₂", "2").split()): column for column in table.columns}
        found = {
            ours: theirs
            for ours, (pattern, _) in _EXPORT.items()
            for spelled, theirs in plain.items()
            if re.fullmatch(pattern, spelled)
        }
        missing = [
            f"'{spelling}'"
            for ours, (_, spelling) in _EXPORT.items()
            if spelling and ours not in found and not (ours == "zone" and self.constant_zone)
        ]
        if missing:
            one_zone = "zone" not in found and self.constant_zone is None
            hint = " If the file is about one zone, name it as `zone` of this source." if one_zone else ""
            raise MalformedError(
                f"{table.name}: {_listed('the column', missing)} {'is' if len(missing) == 1 else 'are'} missing from "
                f"this export of Electricity Maps; it has {_shown(table.names)}",
                f"Export it again as hourly CSV from the Electricity Maps portal.{hint} If it is another publisher's, "
                "name its columns in this source: time, zone_column, direct and lifecycle (one is enough), unit.",
            )
        return found

    def factor(self, found: dict[str, str], name: str) -> str:
        """What a number of the file is multiplied with to be grams per kWh.

        Args:
            found: The file's own names for ours.
            name: What messages call the file.

        Raises:
            MalformedError: nobody says the unit, or the header says another one than site.yaml.
        """
        if not self.named:
            return "1"
        columns = [found[ours] for ours in ("direct", "lifecycle") if ours in found]
        for column in columns:
            self._require_one_meaning(column, name)
            self._require_hours_of_energy(column, name)
        spoken = {column: unit_of(column) for column in columns}
        said = {unit for unit in spoken.values() if unit}
        if self.unit is None and len(said) == 1 and all(spoken.values()):
            return GRAMS_PER_KWH[said.pop()]
        listed = " and ".join(f"'{column}'" for column in columns)
        if self.unit is None:
            raise MalformedError(
                f"{name}: nothing says the unit of {listed}",
                f"Add to this source in site.yaml: unit: gCO2e/kWh (or {', '.join(list(GRAMS_PER_KWH)[1:])}).",
            )
        if any(GRAMS_PER_KWH[unit] != GRAMS_PER_KWH[self.unit] for unit in said):
            raise MalformedError(
                f"{name}: {listed} speak of {' and '.join(sorted(said))}, `unit` of this source says {self.unit}",
                "Correct `unit` in site.yaml, or the header of the file.",
            )
        return GRAMS_PER_KWH[self.unit]

    def _require_one_meaning(self, column: str, name: str) -> None:
        if unit_of(column):
            return
        for pattern, why, settled_by in _DOUBTS:
            if re.search(pattern, _plain(column).lower()) and self.unit not in settled_by:
                units = " or ".join(f"unit: {unit}" for unit in sorted(settled_by))
                raise MalformedError(
                    f"{name}: the unit of '{column}' may be read in two ways: {why}",
                    f"Add to this source in site.yaml: {units}, if that is what is meant; else write grams per kWh.",
                )

    def _require_hours_of_energy(self, column: str, name: str) -> None:
        """That a column whose unit is not known by its name is at least per kWh, or per MWh where `unit` says so."""
        found = None if unit_of(column) else _PER.search(column)
        if found is None:
            return
        wanted = self.unit.rpartition("/")[2] if self.unit else "kWh"
        allowed = (wanted.lower(),) if self.unit else ("kwh", "mwh")
        if not found["what"].lower().startswith(allowed):
            raise MalformedError(
                f"{name}: '{column}' is per {found['what']} by its name, and not per {wanted}",
                "Write grams per kWh into the file (1 kWh is 3.6 MJ) under a header that says so, or correct the one "
                "there is, if it is wrong.",
            )


def require_average(text: str, name: str, what: str) -> None:
    """Refuse intensities that say of themselves that they are marginal rates.

    Args:
        text: What may say so.
        name: What messages call the file.
        what: Where it stands, for the sentence.

    Raises:
        MalformedError: it does.
    """
    if word := marginal_word(text):
        raise MalformedError(
            f"{name}: {what} speaks of marginal rates ('{word}'), which say what one kWh more would cause and are for "
            "scheduling: no inventory may be made of them",
            "Give average intensities (of WattTime: signal_type co2_aoer), or take the file out of `path`. If they are "
            "averages, give the column or the file a name that says so.",
        )


def _require_average(columns: Iterable[str], name: str) -> None:
    """Columns say it, or the file's name does where they do not say the contrary."""
    for column in sorted(columns):
        require_average(column, name, f"the column '{column}'")
    if not any(_AVERAGE.search(column) for column in columns):
        require_average(name.rsplit("/", 1)[-1], name, "its name")


def unit_of(column: str) -> str | None:
    """The unit that the name of a column speaks of; None where it speaks of none.

    Args:
        column: As `CO2 (kg/MWh)`.
    """
    plain = _plain(column)
    by_case = (unit for unit, pattern in _BY_CASE if re.search(f"(?<![A-Za-z]){pattern}", plain))
    return next(by_case, next((unit for unit, pattern in _UNITS if re.search(pattern, plain.lower())), None))


def _plain(column: str) -> str:
    """The name without blanks and underscores, `kWh` and `per` in lower case."""
    bare = re.sub(r"[\s_]+", "", column.replace("₂", "2"))
    return re.sub("[KkMm]wh|per", lambda found: found[0].lower(), bare, flags=re.IGNORECASE)


def _listed(what: str, names: Iterable[str]) -> str:
    names = list(names)
    return f"{what}{'s' * (len(names) > 1)} {' and '.join(names) if len(names) < 3 else ', '.join(names)}"


def _shown(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)[:300]

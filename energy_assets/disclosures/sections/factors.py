"""Which grid factors were applied, in words: those of each hour, and the averages that stood for what was not known.

What belongs here: what is said of factors wherever emissions are spoken of. What does not: how a factor is chosen
(`energy_assets.factors`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from energy_assets.disclosures import reading
from energy_assets.disclosures.document import Run, number
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.missing import listed
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.text import visible
from energy_assets.factors.countries import zone_name
from energy_assets.kpis.indicators import RUNG_NAMES
from energy_assets.periods import MONTH_NAMES

#: Name of what this module finds among what sections share.
FACTORS = "factors"
#: Rungs of the ladder that are values of the hour itself; the others are averages.
OF_THE_HOUR = (1, 2)
SAME_HOUR_OF_DAY = 3
#: Averages that a sentence names one by one.
NAMED = 3
#: How the id of a factor of a year or month ends.
STATED = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2]))?")


@dataclass(frozen=True)
class Applied:
    """A grid factor that was applied.

    Attributes:
        id: Publisher, zone and edition.
        zone: Its grid zone.
        tier: Rung of the ladder.
        resolution: hour, month or year.
    """

    id: str
    zone: str | None
    tier: int
    resolution: str

    @property
    def is_average(self) -> bool:
        """Whether it is one value for many hours."""
        return self.tier not in OF_THE_HOUR

    @property
    def year(self) -> int | None:
        """The year that its publisher states it for; None of values of the hours and months themselves."""
        stated = self._stated
        return int(stated[1]) if stated else None

    @property
    def of(self) -> str:
        """What it is the average of: `the year 2024`, `May 2024`, `the same hour of day in the month`."""
        if self.tier == SAME_HOUR_OF_DAY:
            return "the same hour of day in the month"
        if not self._stated:
            return f"the {self.resolution}"
        year, month = self._stated[1], self._stated[2]
        return f"{MONTH_NAMES[int(month) - 1]} {year}" if month else f"the year {year}"

    @property
    def _stated(self) -> re.Match[str] | None:
        if not self.is_average or self.tier == SAME_HOUR_OF_DAY:
            return None
        found = STATED.fullmatch(self.id.rsplit("/", 1)[-1])
        return found if found and bool(found[2]) is (self.resolution == "month") else None


def applied(context: Context) -> Sequence[Applied]:
    """The grid factors behind the emissions of the report."""
    if FACTORS not in context.shared:
        context.shared[FACTORS] = [
            Applied(row["factor_id"], row["zone"], int(row["factor_tier"]), row["factor_resolution"])
            for row in reading.factors(context.factory.condensed)
        ]
    found: list[Applied] = context.shared[FACTORS]
    return found


def with_intensity(context: Context) -> list[Run]:
    """The beginning of a sentence on emissions: what the energy was multiplied with."""
    averages = [one for one in applied(context) if one.is_average]
    if not averages:
        return [" With the grid intensity of each hour and place, "]
    of, other = _averaged(averages), _of_other_year(context, averages)
    if all(one.is_average for one in applied(context)):
        return [f" With the grid intensity of each place averaged over {of}, not that of each hour{other}, "]
    hourly, average = _shares(context)
    return [
        " With the grid intensity of each hour and place for ", number(hourly), " of it and, for ",
        number(average), f" where that is not known, one averaged over {of}{other}, ",
    ]  # fmt: skip


def of_each_hour(context: Context) -> str:
    """The same as part of a chart's caption."""
    averages = [one for one in applied(context) if one.is_average]
    if not averages:
        return "each hour with the intensity of its own grid zone"
    of, other = _averaged(averages), _of_other_year(context, averages)
    if all(one.is_average for one in applied(context)):
        return f"each hour with the intensity of its own grid zone averaged over {of}{other}"
    return (
        f"each hour with the intensity of its own grid zone or, where that is not known, its average over {of}{other}"
    )


def has_flat_lines(context: Context) -> bool:
    """Whether one value stands for all hours of a month or a year somewhere."""
    return any(one.is_average and one.tier != SAME_HOUR_OF_DAY for one in applied(context))


def factor_words(context: Context) -> list[str]:
    """The factors as a reader knows them: publisher, zone, what they are values of; figures.json has their ids.

    Args:
        context: Knows the factors and the year reported.
    """
    alike: dict[tuple[str, str, str, str], set[bool]] = {}
    for one in applied(context):
        zone = zone_name(visible(one.zone)) if one.zone else "no zone known"
        kind = f"average of {one.of}" if one.is_average else "hourly values"
        what = (_publisher(one.id), zone, kind, _of_other_year(context, [one]))
        alike.setdefault(what, set()).add(one.tier == OF_THE_HOUR[-1])
    estimated = {True: ", estimated by the publisher", False: ""}
    return [
        f"{name}: {zone}, {kind}{other}"
        + (", in part estimated by the publisher" if len(some) > 1 else estimated[some.pop()])
        for (name, zone, kind, other), some in alike.items()
    ]


def _publisher(factor_id: str) -> str:
    """The publisher's name as a factor's id has it: `electricity_maps` is Electricity Maps."""
    words = visible(factor_id.split("/")[0].replace("_", " "))
    return words.title() if words.islower() else words


def _averaged(averages: Sequence[Applied]) -> str:
    """`the year 2024 for Germany (DE)`; many of them in fewer words."""
    places: dict[str, list[str]] = {}
    for one in averages:
        zone = zone_name(visible(one.zone)) if one.zone else "no zone known"
        zones = places.setdefault(one.of, [])
        zones += [zone] if zone not in zones else []
    if len(places) > NAMED:
        return "a month or a year"
    return listed([of + (f" for {listed(zones)}" if len(zones) <= NAMED else "") for of, zones in places.items()])


def _of_other_year(context: Context, averages: Sequence[Applied]) -> str:
    year = context.period.first.year
    return " and not of the year reported" if any(one.year not in (None, year) for one in averages) else ""


def _shares(context: Context) -> tuple[Figure, Figure]:
    """Shares of the facility energy that were multiplied with values of the hour, and with averages."""
    factory = context.factory
    rungs = {int(n): factory.kpi(f"factor_tier{n}_share") for n in RUNG_NAMES}
    hourly = factory.derived(
        "hourly_factor_share", "Facility energy multiplied with the intensity of its hour",
        [rungs[n] for n in OF_THE_HOUR], "sum", method="M-ADDED", dimensions={},
    )  # fmt: skip
    average = factory.derived(
        "average_factor_share", "Facility energy multiplied with an average intensity",
        [figure for n, figure in rungs.items() if n not in OF_THE_HOUR], "sum", method="M-ADDED", dimensions={},
    )  # fmt: skip
    return hourly, average

"""Yearly grid intensities of publishers whose licence lets them come with this package.

What belongs here: reading `yearly_intensities.csv`, every row with zone, year, unit, source and licence. What does not:
how long a value stands, and what goes before it (`source`).

Google Cloud publishes a grid intensity of each of its regions and years under Apache-2.0, and calls it operational. For
2024 these are the direct intensities of Electricity Maps, averaged over the hours of the year, within 1 % (seen for
Germany, Great Britain, Singapore, Tokyo, New South Wales, PJM, ERCOT and CAISO, which is the value of Los Angeles);
earlier years are of another boundary and left out. So are regions whose value may be of a whole country beside its
bidding zones (Italy, Sweden), and those whose zone is not known.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Literal

Publisher = Literal["google_cloud", "uk_government", "au_government"]
"""Whose yearly tables there are."""


@dataclass(frozen=True)
class PublishedIntensity:
    """A grid intensity of a year.

    Attributes:
        zone: Grid zone as Electricity Maps names it.
        year: The year it is of.
        begins: The month its year begins with; None for January.
        direct_gco2e_per_kwh: Combustion alone.
        lifecycle_gco2e_per_kwh: Over the life cycle; None where the publisher states none.
        edition: What the publisher calls the edition.
        published: When it was published, as YYYY-MM or YYYY.
        source: Who states it, in which publication.
        of: What the publisher calls the place.
        url: Where it can be read.
        licence: Under which it may be passed on (SPDX).
    """

    zone: str
    year: int
    begins: int | None
    direct_gco2e_per_kwh: Decimal
    lifecycle_gco2e_per_kwh: Decimal | None
    edition: str
    published: str
    source: str
    of: str
    url: str
    licence: str


def published_intensities(publisher: Publisher) -> tuple[PublishedIntensity, ...]:
    """The yearly table of a publisher, in gCO2e per kWh: of each zone and year the edition published last.

    Args:
        publisher: Whose.
    """
    newest: dict[tuple[str, int, int | None], PublishedIntensity] = {}
    for row in every_edition(publisher):
        key = (row.zone, row.year, row.begins)
        if key not in newest or _age(row) > _age(newest[key]):
            newest[key] = row
    return tuple(newest.values())


def superseded_intensities(publisher: Publisher) -> tuple[PublishedIntensity, ...]:
    """Editions of a publisher that a later one of the same zone and year has replaced.

    Args:
        publisher: Whose.
    """
    applied = set(published_intensities(publisher))
    return tuple(row for row in every_edition(publisher) if row not in applied)


def _age(row: PublishedIntensity) -> tuple[str, str]:
    return row.published, row.edition


@cache
def every_edition(publisher: Publisher) -> tuple[PublishedIntensity, ...]:
    """Every row of a publisher, whichever edition it is of.

    Args:
        publisher: Whose.
    """
    text = files("energy_assets.sources.grid_factors").joinpath("yearly_intensities.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedIntensity(
            row["zone"],
            int(row["year"]),
            int(row["begins"]) if row["begins"] else None,
            Decimal(row["direct_gco2e_per_kwh"]),
            Decimal(row["lifecycle_gco2e_per_kwh"]) if row["lifecycle_gco2e_per_kwh"] else None,
            row["edition"],
            row["published"],
            row["source"],
            row["of"],
            row["url"],
            row["licence"],
        )
        for row in csv.DictReader(text.splitlines())
        if row["publisher"] == publisher
    )

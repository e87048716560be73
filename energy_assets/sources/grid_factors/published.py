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

Publisher = Literal["google_cloud"]
"""Whose yearly tables there are."""


@dataclass(frozen=True)
class PublishedIntensity:
    """A grid intensity of a year.

    Attributes:
        zone: Grid zone as Electricity Maps names it.
        year: The year it is of.
        direct_gco2e_per_kwh: Combustion alone.
        source: Who states it, in which publication.
        of: What the publisher calls the place.
        url: Where it can be read.
    """

    zone: str
    year: int
    direct_gco2e_per_kwh: Decimal
    source: str
    of: str
    url: str


@cache
def published_intensities(publisher: Publisher) -> tuple[PublishedIntensity, ...]:
    """The yearly table of a publisher, in gCO2e per kWh.

    Args:
        publisher: Whose.
    """
    text = files("energy_assets.sources.grid_factors").joinpath("yearly_intensities.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedIntensity(
            row["zone"], int(row["year"]), Decimal(row["direct_gco2e_per_kwh"]), row["source"], row["of"], row["url"]
        )
        for row in csv.DictReader(text.splitlines())
        if row["publisher"] == publisher
    )

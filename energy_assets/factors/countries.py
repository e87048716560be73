"""Names of grid zones: one begins with the code of a country, and is shown to readers with the country's name.

What belongs here: names. What does not: which zone a place has (`places.py`).
"""

from __future__ import annotations

import difflib
from functools import cache

from energy_assets.factors.tables import rows_of_data

_BESIDE = "XX"
"""Northern Cyprus, a zone of Electricity Maps."""
_ALSO = {"UK": "GB", "EL": "GR"}
"""Codes that others use for a country."""


@cache
def countries() -> dict[str, str]:
    """Name of each country by its ISO 3166-1 alpha-2 code; `factors/data/countries.csv` says where they come from."""
    return {row["code"]: row["name"] for row in rows_of_data("countries.csv")}


def zone_name(zone: str) -> str:
    """`Ireland (IE)`, `United States (US-MIDA-PJM)`; a zone of another spelling stays as it is.

    Args:
        zone: As sources and site files name it.
    """
    country = countries().get(zone.split("-", 1)[0])
    return f"{country} ({zone})" if country else zone


def in_a_country(zone: str) -> bool:
    """Whether a zone begins with the code of a country, as all zones of Electricity Maps do.

    Args:
        zone: In capitals.
    """
    return zone.split("-", 1)[0] in {*countries(), _BESIDE}


def meant(zone: str) -> list[str]:
    """Zones of countries that somebody may mean who writes a country's name or another code of it.

    Args:
        zone: As written: `Germany`, `DEU`, `UK`.
    """
    word = zone.strip().upper()
    by_name = {name.upper(): code for code, name in countries().items()}
    if word in _ALSO:
        return [_ALSO[word]]
    if alike := difflib.get_close_matches(word, by_name, 3, 0.75):
        return [by_name[name] for name in alike]
    return difflib.get_close_matches(word, countries(), 3, 0.8)

"""Names of grid zones for readers: a zone whose code begins with that of a country is shown with the country's name.

What belongs here: names. What does not: which zone a place has (`places.py`).
"""

from __future__ import annotations

from functools import cache

from energy_assets.factors.tables import rows_of_data


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

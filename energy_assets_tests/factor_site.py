"""A site over a turn of the year whose machines stand in a cloud's region, and rows of our tables to exchange."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from energy_assets import factor_listing
from energy_assets.factors import places, tables, version
from energy_assets.factors.editions import Edition
from energy_assets.factors.version import table_bytes
from energy_assets.periods import DayRange
from energy_assets.site import Site, load_site
from energy_assets_tests.small_site import write_csv

YEARS = DayRange(date(2024, 12, 30), date(2025, 1, 2))
"""Two days of 2024 and two of 2025."""
STOCKHOLM = ("aws", "eu-north-1")
SITE = """
organisation: {name: Example AI, currency: EUR}
start: 2024-12-30
storage: {root: ./var}
engine: {kind: duckdb, memory_limit: 1GB, threads: 1}
sources:
  - {name: meters, kind: power_files, path: "meters/*.csv", node: node, max_gap_s: 3600,
     place: {provider: aws, region: eu-north-1}}
  - name: grid
    kind: grid_factors
    factors: [{zone: SE-SE3, year: 2024, direct_gco2e_per_kwh: 20, lifecycle_gco2e_per_kwh: 30, source: made up}]
PLACES
"""


def factor_site(folder: Path, places_of_site: str = "") -> Site:
    """A machine of 1 kW around the clock, in eu-north-1 of AWS.

    Args:
        folder: Where its files go.
        places_of_site: The block `places` of site.yaml.
    """
    start = datetime(2024, 12, 30)
    times = [start + timedelta(hours=hour) for hour in range(24 * len(YEARS) + 1)]
    write_csv(folder / "meters/a.csv", ["time", "node", "power_w"], ((f"{at}Z", "n1", 1000) for at in times))
    (folder / "site.yaml").write_text(SITE.replace("PLACES", places_of_site))
    return load_site(folder / "site.yaml")


@contextmanager
def revised(value: str, published: str = "2027-01") -> Iterator[None]:
    """Our table with a newer edition of the PUE of 2025 of eu-north-1, as a release of this package would bring it.

    Args:
        value: The PUE.
        published: When.
    """
    known = tables.published_pue()
    (of_2025,) = (one for one in known[STOCKHOLM] if one.edition == "2025")
    newer: Edition = replace(of_2025, value=value, published=published, source="AWS, revised")
    more = {**known, STOCKHOLM: (*known[STOCKHOLM], newer)}

    def bytes_of(name: str) -> bytes:
        return table_bytes(name) + (f"{value} {published}".encode() if name == "pue.csv" else b"")

    with (
        patch.object(places, "published_pue", lambda: more),
        patch.object(factor_listing, "published_pue", lambda: more),
        patch.object(version, "table_bytes", bytes_of),
    ):
        places._of_tables.cache_clear()
        yield
    places._of_tables.cache_clear()

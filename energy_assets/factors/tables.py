"""Constants from our own tables under `factors/data`: every row with unit, year and source."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files

from energy_assets.factors.editions import BEGINNING, END, Edition


@cache
def uncertainty_pct() -> dict[tuple[str, str], Decimal]:
    """95 % interval of one reading in per cent, by (method, device kind); '' stands for any kind."""
    return {
        (row["method"], row["device_kind"]): Decimal(row["uncertainty_pct"]) for row in rows_of_data("uncertainty.csv")
    }


RegionKey = tuple[str, str]
"""Provider and region, spelled as `region_key` does."""


@cache
def cloud_zones() -> dict[RegionKey, tuple[Edition, ...]]:
    """The grid zone of each public region of AWS, Google Cloud and Azure, by validity; of some it is not known.

    Zones are named as Electricity Maps names them. A region whose zone was split or renamed has a row for each stretch
    of days; every region has at least one row, with an empty zone where its place does not settle the grid.
    """
    return _by_region("cloud_regions.csv", "zone")


@cache
def published_pue() -> dict[RegionKey, tuple[Edition, ...]]:
    """Power usage effectiveness of the regions of clouds as their providers publish it, year by year."""
    return _by_region("pue.csv", "pue")


@cache
def published_wue() -> dict[RegionKey, tuple[Edition, ...]]:
    """Water usage effectiveness of the regions of clouds, litres per kWh of the machines, year by year."""
    return _by_region("water.csv", "wue_l_per_kwh")


def _by_region(name: str, column: str) -> dict[RegionKey, tuple[Edition, ...]]:
    found: dict[RegionKey, list[Edition]] = {}
    for row in rows_of_data(name):
        found.setdefault((row["provider"], row["region"]), []).append(edition_of(row, row[column]))
    return {key: tuple(editions) for key, editions in found.items()}


def edition_of(row: Mapping[str, str], value: str) -> Edition:
    """An edition from a row of a table with `valid_from`, `valid_to` and `source`.

    Args:
        row: Of the table; empty bounds are open ones. `edition`, `published` and `of` where the table has them.
        value: What is stated.
    """
    return Edition(
        value,
        date.fromisoformat(row["valid_from"]) if row["valid_from"] else BEGINNING,
        date.fromisoformat(row["valid_to"]) if row["valid_to"] else END,
        row.get("edition", ""),
        row.get("published", ""),
        row["source"],
        row.get("of", "region"),
    )


@cache
def factor_uncertainty_pct() -> dict[tuple[int, str], Decimal]:
    """95 % interval of a grid intensity in per cent, by (factor tier, resolution); none where nobody states one."""
    return {
        (int(row["factor_tier"]), row["resolution"]): Decimal(row["uncertainty_pct"])
        for row in rows_of_data("factor_uncertainty.csv")
    }


def rows_of_data(name: str) -> list[dict[str, str]]:
    """The rows of a table of constants, as text.

    Args:
        name: A file of `factors/data`.
    """
    text = files("energy_assets.factors").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))

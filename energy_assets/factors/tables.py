"""Constants from our own tables under `factors/data`: every row with unit, year and source."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files


@cache
def uncertainty_pct() -> dict[tuple[str, str], Decimal]:
    """95 % interval of one reading in per cent, by (method, device kind); '' stands for any kind."""
    return {
        (row["method"], row["device_kind"]): Decimal(row["uncertainty_pct"]) for row in rows_of_data("uncertainty.csv")
    }


@dataclass(frozen=True)
class CloudRegion:
    """A region of a public cloud: its grid zone and PUE, each with who says so; None where nobody does.

    Attributes:
        zone: Grid zone as Electricity Maps names it.
        zone_source: Where the provider says the region stands, and whose grid serves that place.
        pue: Power usage effectiveness as the provider publishes it.
        pue_year: Year the PUE is of.
        pue_source: Publication, and whether the value is of the region or of its whole geography.
    """

    zone: str | None
    zone_source: str
    pue: Decimal | None
    pue_year: int | None
    pue_source: str

    def stated_in(self, name: str) -> str:
        """Who states its `zone` or its `pue`."""
        if name == "zone":
            return f"cloud_regions.csv: {self.zone_source}"
        return f"cloud_regions.csv: {self.pue_source} ({self.pue_year})"


@cache
def cloud_regions() -> dict[tuple[str, str], CloudRegion]:
    """The public regions of AWS, Google Cloud and Azure by (provider, region), spelled as `region_key` does."""
    return {
        (row["provider"], row["region"]): CloudRegion(
            row["zone"] or None,
            row["zone_source"],
            Decimal(row["pue"]) if row["pue"] else None,
            int(row["pue_year"]) if row["pue_year"] else None,
            row["pue_source"],
        )
        for row in rows_of_data("cloud_regions.csv")
    }


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

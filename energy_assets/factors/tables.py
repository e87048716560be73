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
    return {(row["method"], row["device_kind"]): Decimal(row["uncertainty_pct"]) for row in _rows("uncertainty.csv")}


@dataclass(frozen=True)
class CloudRegion:
    """A region of a public cloud: its grid zone and PUE, each with who says so; None where nobody does."""

    zone: str | None
    zone_source: str
    pue: Decimal | None
    pue_source: str


@cache
def cloud_regions() -> dict[tuple[str, str], CloudRegion]:
    """The public regions of AWS, Google Cloud and Azure by (provider, region)."""
    return {
        (row["provider"], row["region"]): CloudRegion(
            row["zone"] or None,
            row["zone_source"],
            Decimal(row["pue"]) if row["pue"] else None,
            row["pue_source"],
        )
        for row in _rows("cloud_regions.csv")
    }


@cache
def factor_uncertainty_pct() -> dict[tuple[int, str], Decimal]:
    """95 % interval of a grid intensity in per cent, by (factor tier, resolution); none where nobody states one."""
    return {
        (int(row["factor_tier"]), row["resolution"]): Decimal(row["uncertainty_pct"])
        for row in _rows("factor_uncertainty.csv")
    }


def _rows(name: str) -> list[dict[str, str]]:
    text = files("energy_assets.factors").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))

"""Constants from our own tables under `factors/data`: every row with unit, year and source."""

from __future__ import annotations

import csv
from decimal import Decimal
from functools import cache
from importlib.resources import files


@cache
def uncertainty_pct() -> dict[tuple[str, str], Decimal]:
    """95 % interval of one reading in per cent, by (method, device kind); '' stands for any kind."""
    return {(row["method"], row["device_kind"]): Decimal(row["uncertainty_pct"]) for row in _rows("uncertainty.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    text = files("energy_assets.factors").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))

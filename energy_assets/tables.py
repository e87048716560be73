"""The lake's tables by name: contract and asset of each. What a new table adds a line to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from energy_assets.contracts import raw, tables
from energy_assets.sources.base import Feed, Source


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    Attributes:
        name: As people query it.
        model: Its contract.
        asset: Path of the asset that fills it.
        grain: What a partition is, and the name of its column.
    """

    name: str
    model: Any
    asset: tuple[str, str]
    grain: Literal["day", "month"] = "day"

    @property
    def partition(self) -> str:
        """The date column the table is partitioned by."""
        return self.grain


ENERGY = Table("energy", tables.Energy, ("unified", "energy"))
COST = Table("cost", tables.Cost, ("unified", "cost"))
ACTIVITY = Table("activity", tables.Activity, ("unified", "activity"))
GRID_INTENSITY = Table("grid_intensity", tables.GridIntensity, ("factors", "grid_intensity"))
EMISSIONS = Table("emissions", tables.Emissions, ("emissions", "hourly"))
KPIS_DAILY = Table("kpis_daily", tables.KpisDaily, ("kpi", "daily"))
KPIS_MONTHLY = Table("kpis_monthly", tables.KpisMonthly, ("kpi", "monthly"), "month")
SHARED = (ENERGY, COST, ACTIVITY, GRID_INTENSITY, EMISSIONS, KPIS_DAILY, KPIS_MONTHLY)

_RAW: dict[Feed, Any] = {
    "energy": raw.EnergyReadings,
    "cost": raw.Charges,
    "activity": raw.InferenceCounts,
    "grid_intensity": raw.IntensityRows,
}


def raw_table(source: Source) -> Table:
    """The table of rows parsed from one source."""
    return Table(f"raw_{source.name.replace('-', '_')}", _RAW[source.feeds], ("raw", source.name))

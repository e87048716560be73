"""Measures: the columns of the lake that indicators of one's own may add up, and what each of them is.

What belongs here: which columns there are, in which unit, what of them contains what, and by which columns their rows
may be chosen. What does not: how they are written (`expressions.py`), and the rules of an indicator (`own_kpis.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from energy_assets.contracts import vocabulary
from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import KPI_DIMENSIONS, Activity, Cost, Emissions

Basis = Literal["location-based", "upstream", "grid losses", "life-cycle", "embodied"]
TABLES = {"emissions": schema_of(Emissions), "activity": schema_of(Activity), "cost": schema_of(Cost)}
"""The tables that measures are of, with the types of their columns."""
CURRENCY_COLUMN = "billing_currency"
MONEY = "money"
"""Unit of a measure of money: which currency it is in, the bill says."""


@dataclass(frozen=True)
class Measure:
    """One column that may be added up.

    Attributes:
        name: Of the column.
        table: Lake table.
        unit: Of the sum; `money` where the rows say the currency.
        family: Measures of one family speak of the same thing, wholly or in part, so that adding them counts it twice.
        basis: Which emissions it holds; None for what is no mass of greenhouse gases.
    """

    name: str
    table: str
    unit: str
    family: str
    basis: Basis | None = None

    @property
    def words(self) -> dict[str, str]:
        """The units that it may be told in, and what a sum is multiplied with; none of money, where it is a code."""
        return SCALES.get(self.unit, {}) | SCALES.get(ALSO.get(self.name, ""), {})

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions of indicators that its rows know."""
        unmapped = {"zone"} if self.table == "cost" else set()
        return tuple(name for name in KPI_DIMENSIONS if name in TABLES[self.table].names and name not in unmapped)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of text, and the tiers, that its rows may be chosen by."""
        schema = TABLES[self.table]
        chosen = (name for name in schema.names if schema[name].is_string() or name.endswith("_tier"))
        return tuple(name for name in chosen if name not in NO_CHOICE)


NO_CHOICE = ("raw_sha256", "share_id", "charge_description")
"""Columns of text that say nothing of what a row is about."""
MEASURES: dict[str, Measure] = {
    one.name: one
    for one in (
        Measure("energy_kwh", "emissions", "kWh", "electricity"),
        Measure("facility_kwh", "emissions", "kWh", "electricity"),
        Measure("location_g", "emissions", "gCO2e", "combustion", "location-based"),
        Measure("upstream_g", "emissions", "gCO2e", "upstream", "upstream"),
        Measure("losses_g", "emissions", "gCO2e", "losses", "grid losses"),
        Measure("lifecycle_g", "emissions", "gCO2e", "life cycle", "life-cycle"),
        Measure("embodied_g", "emissions", "gCO2e", "hardware", "embodied"),
        Measure("water_onsite_l", "emissions", "l", "water on site"),
        Measure("water_offsite_l", "emissions", "l", "water off site"),
        Measure("device_hours", "emissions", "accelerator-hours", "hours"),
        Measure("requests", "activity", "requests", "requests"),
        Measure("failed_requests", "activity", "requests", "failed requests"),
        Measure("prompt_tokens", "activity", "tokens", "prompt tokens"),
        Measure("generated_tokens", "activity", "tokens", "generated tokens"),
        Measure("samples", "activity", "samples", "samples"),
        Measure("training_steps", "activity", "steps", "steps"),
        Measure("flop", "activity", "FLOP", "flop"),
        Measure("billed_cost", "cost", MONEY, "cost"),
        Measure("effective_cost", "cost", MONEY, "cost"),
        Measure("list_cost", "cost", MONEY, "cost"),
    )
}
CONTAINED = {"life cycle": ("combustion", "upstream")}
"""Families that hold others as parts."""
WORDS: dict[str, tuple[str, ...]] = {
    "workload_type": tuple(vocabulary.WorkloadType.values()),
    "ghg_scope": tuple(vocabulary.GhgScope.values()),
    "device_kind": tuple(vocabulary.DeviceKind.values()),
    "method": tuple(vocabulary.Method.values()),
    "quality_tier": ("1", "2", "3", "4"),
    "factor_tier": ("1", "2", "3", "4"),
}
"""The words that a column of a closed vocabulary may have."""
SCALES: dict[str, dict[str, str]] = {
    "kWh": {
        "kWh": "1", "Wh": "1000", "MWh": "0.001", "GWh": "0.000001", "TWh": "0.000000001",
        "J": "3600000", "kJ": "3600", "MJ": "3.6", "GJ": "0.0036",
    },
    "gCO2e": {"gCO2e": "1", "mgCO2e": "1000", "kgCO2e": "0.001", "tCO2e": "0.000001"},
    "l": {"l": "1", "ml": "1000", "hl": "0.01", "m3": "0.001"},
    "accelerator-hours": {
        "accelerator-hours": "1", "accelerator-hour": "1", "GPU-hours": "1", "GPU-hour": "1",
    },
    "requests": {"requests": "1", "request": "1"},
    "failures": {"failures": "1", "failure": "1"},
    "tokens": {"tokens": "1", "token": "1"},
    "samples": {"samples": "1", "sample": "1"},
    "steps": {"steps": "1", "step": "1"},
    "FLOP": {"FLOP": "1", "MFLOP": "0.000001", "GFLOP": "0.000000001"},
}  # fmt: skip
"""Words of one quantity: what a sum in the measure's unit is multiplied with to be in it. There are no others, for of
a word that nobody knows nobody can tell which number it asks for."""
ALSO = {"failed_requests": "failures"}
"""Measures that are called by the words of a second quantity too."""


def same_thing(one: Measure, other: Measure) -> bool:
    """Whether one measure is the other, or a part of it.

    Args:
        one: Any measure.
        other: Any measure.
    """
    parts = CONTAINED.get(one.family, ()), CONTAINED.get(other.family, ())
    return one.family == other.family or other.family in parts[0] or one.family in parts[1]

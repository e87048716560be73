"""The lake's tables: one description each, from which everything that treats tables alike is derived.

What belongs here: what a table is (contract, asset, grain, who feeds it, who wins, what must hold, how old it may
get). What does not: how its rows are made (the floors above). A new table is one `Table` here, one transform, and
one line in `definitions.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from energy_assets.contracts import raw, tables
from energy_assets.contracts.billed_apart import BILLED_MACHINES_ARE_NAMED
from energy_assets.contracts.billed_hours import MACHINES_RUN_ONCE
from energy_assets.contracts.bills import (
    BILLS_ARE_WHOLE,
    BILLS_COUNT_ONCE,
    BILLS_CROSS_CHECK,
    BILLS_LOOK_ALIKE,
    BILLS_NAME_ACCOUNTS,
)
from energy_assets.contracts.conservation import energy_not_conserved
from energy_assets.contracts.hardware import HARDWARE_IS_SEEN
from energy_assets.contracts.instruments import (
    INSTRUMENTS_COVER_WHAT_THEY_ARE,
    INSTRUMENTS_MEET_CRITERIA,
    MARKET_IS_WHOLE,
    SERIALS_ONCE,
)
from energy_assets.contracts.meters import (
    GPUS_HAVE_ONE_HOST,
    HOST_NAMES_ARE_UNAMBIGUOUS,
    METERS_COVER_DEVICES,
    METERS_HOLD_DEVICES,
)
from energy_assets.contracts.proof import Proof
from energy_assets.contracts.reconciliation import RECONCILES, STEPS_ADD_UP
from energy_assets.contracts.serving import SERVERS_COUNT_ONCE
from energy_assets.contracts.serving_alike import SERVERS_DIFFER
from energy_assets.contracts.sources_agree import (
    HOURS_HAVE_ONE_SOURCE,
    READINGS_COUNT_ONCE,
    SOURCES_AGREE,
    THINGS_HAVE_ONE_PLACE,
)
from energy_assets.contracts.sums import METERS_ARE_NO_TOTALS
from energy_assets.contracts.told_twice import HOSTS_COUNT_ONCE
from energy_assets.contracts.unestimated import USAGE_IS_ESTIMATED
from energy_assets.contracts.unmatched_loads import LOADS_FIND_MACHINES
from energy_assets.contracts.upstream import UPSTREAM_IS_NOT_NEGATIVE
from energy_assets.contracts.vocabulary import Feed
from energy_assets.contracts.zones import ZONES_HAVE_INTENSITIES
from energy_assets.sources.base import Source

Grain = Literal["day", "month"]


@dataclass(frozen=True)
class Freshness:
    """How long ago a table may have been materialized before the UI says so."""

    warn: timedelta
    fail: timedelta


FRESHNESS: dict[Grain, Freshness] = {
    "day": Freshness(warn=timedelta(hours=30), fail=timedelta(hours=48)),
    "month": Freshness(warn=timedelta(days=34), fail=timedelta(days=62)),
}
"""By grain, for tables that say nothing else: a day and a night, then two days; a month and some days, then two months.
Dagster shows whole days and months: 34 and 40 days were both a month."""


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    Attributes:
        name: As people query it.
        model: Its contract.
        asset: Path of the asset that fills it.
        grain: What one partition holds, and the name of the date column it is partitioned by.
        feed: The kind of sources without which a site has no such table; None where every site has it.
        needs: Further kinds of sources without which a site has no such table.
        identity: Columns that say which rows of different contributors speak of the same thing. Where two do, one
            wins as the table's transform says, and the other is kept apart; empty where contributors never overlap.
        proofs: What must hold of its rows beyond the contract, proven on staged rows before they are published.
        rows_of: The table of each row of which it has exactly one, under the same key: none is lost, none is added.
        freshness: How old it may get; by its grain unless given.
    """

    name: str
    model: Any
    asset: tuple[str, str]
    grain: Grain = "day"
    feed: Feed | None = None
    needs: tuple[Feed, ...] = ()
    identity: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()
    rows_of: Table | None = None
    freshness: Freshness | None = None

    def __post_init__(self) -> None:
        """Refuse rows of a table with another key or other partitions."""
        if self.rows_of and (self.rows_of.grain, _key(self.rows_of)) != (self.grain, _key(self)):
            raise ValueError(f"{self.name} cannot have the rows of {self.rows_of.name}: their keys differ")

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """Every kind of sources without which a site has no such table."""
        return (*(() if self.feed is None else (self.feed,)), *self.needs)

    @property
    def partition(self) -> str:
        """The date column of the partitions: `day`, or `month` holding the month's first day."""
        return self.grain

    @property
    def ages(self) -> Freshness:
        """How old the table may get."""
        return self.freshness or FRESHNESS[self.grain]


def _key(table: Table) -> dict[str, Any]:
    """The columns of a table's key, with their types."""
    schema = table.model.to_schema()
    return {name: schema.columns[name].dtype for name in schema.unique or []}


CONSERVATION = Proof(
    "conservation",
    "For every node and hour, workloads + idle + overhead = the node, as the raw tables tell it: nothing is lost, "
    "counted twice or moved to another node. Proven before the commit: a day that breaks it is not published.",
    energy_not_conserved,
)
ENERGY = Table(
    "energy",
    tables.Energy,
    ("unified", "energy"),
    feed=Feed.ENERGY,
    identity=("provider", "region", "node_id", "device_id", "hour"),
    proofs=(
        CONSERVATION,
        METERS_HOLD_DEVICES,
        METERS_COVER_DEVICES,
        GPUS_HAVE_ONE_HOST,
        HOST_NAMES_ARE_UNAMBIGUOUS,
        SOURCES_AGREE,
        READINGS_COUNT_ONCE,
        HOURS_HAVE_ONE_SOURCE,
        THINGS_HAVE_ONE_PLACE,
        METERS_ARE_NO_TOTALS,
        HOSTS_COUNT_ONCE,
        BILLED_MACHINES_ARE_NAMED,
    ),
)
COST = Table(
    "cost",
    tables.Cost,
    ("unified", "cost"),
    feed=Feed.COST,
    identity=("provider", "billing_account_id", "billing_period"),
    proofs=(BILLS_COUNT_ONCE, BILLS_CROSS_CHECK, BILLS_NAME_ACCOUNTS, BILLS_ARE_WHOLE, BILLS_LOOK_ALIKE),
)
USAGE_ESTIMATES = Table(
    "usage_estimates",
    raw.UsageEstimates,
    ("estimates", "usage"),
    feed=Feed.ESTIMATES,
    proofs=(USAGE_IS_ESTIMATED, LOADS_FIND_MACHINES, MACHINES_RUN_ONCE),
)
ACTIVITY = Table(
    "activity",
    tables.Activity,
    ("unified", "activity"),
    feed=Feed.ACTIVITY,
    proofs=(SERVERS_COUNT_ONCE, SERVERS_DIFFER),
)
GRID_INTENSITY = Table(
    "grid_intensity",
    tables.GridIntensity,
    ("factors", "grid_intensity"),
    feed=Feed.GRID_INTENSITY,
    identity=("zone", "hour"),
    proofs=(ZONES_HAVE_INTENSITIES,),
)
FACTORS_APPLIED = Table("factors_applied", tables.FactorsApplied, ("factors", "applied"), feed=Feed.ENERGY)
EMISSIONS = Table(
    "emissions",
    tables.Emissions,
    ("emissions", "hourly"),
    feed=Feed.ENERGY,
    proofs=(UPSTREAM_IS_NOT_NEGATIVE, HARDWARE_IS_SEEN),
    rows_of=ENERGY,
)
EMISSIONS_MARKET = Table(
    "emissions_market",
    tables.EmissionsMarket,
    ("emissions", "market"),
    grain="month",
    feed=Feed.ENERGY,
    proofs=(MARKET_IS_WHOLE,),
)
INSTRUMENTS = Table(
    "instruments",
    tables.AppliedInstruments,
    ("emissions", "instruments"),
    grain="month",
    feed=Feed.INSTRUMENTS,
    needs=(Feed.ENERGY,),
    proofs=(SERIALS_ONCE, INSTRUMENTS_MEET_CRITERIA, INSTRUMENTS_COVER_WHAT_THEY_ARE),
)
KPIS_DAILY = Table("kpis_daily", tables.KpisDaily, ("kpi", "daily"))
KPIS_MONTHLY = Table("kpis_monthly", tables.KpisMonthly, ("kpi", "monthly"), grain="month")
RECONCILIATION = Table(
    "reconciliation",
    tables.Reconciliation,
    ("kpi", "reconciliation"),
    grain="month",
    feed=Feed.ENERGY,
    proofs=(STEPS_ADD_UP, RECONCILES),
)
OPPORTUNITIES = Table("opportunities", tables.Opportunities, ("kpi", "opportunities"), grain="month")
SHARED = (
    ENERGY,
    COST,
    USAGE_ESTIMATES,
    ACTIVITY,
    GRID_INTENSITY,
    FACTORS_APPLIED,
    EMISSIONS,
    INSTRUMENTS,
    EMISSIONS_MARKET,
    KPIS_DAILY,
    KPIS_MONTHLY,
    RECONCILIATION,
    OPPORTUNITIES,
)
"""Every table that is no source's own, from the bottom of the road to its top."""

RAW: dict[Feed, Any] = {
    Feed.ENERGY: raw.EnergyReadings,
    Feed.COST: raw.Charges,
    Feed.ACTIVITY: raw.InferenceCounts,
    Feed.GRID_INTENSITY: raw.IntensityRows,
    Feed.INSTRUMENTS: raw.Instruments,
    Feed.INVOICES: raw.Invoices,
    Feed.UTILIZATION: raw.UtilizationReadings,
}
"""Contract of the rows that sources of a feed deliver."""


def raw_table(source: Source) -> Table:
    """The table of rows parsed from one source."""
    feed = Feed(source.feeds)
    return Table(f"raw_{source.name.replace('-', '_')}", RAW[feed], ("raw", source.name), source.grain, feed)

"""Partitions of the assets: days and months in UTC, backfilled in one run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from energy_assets.site import Site
from energy_assets.tables import SHARED, Grain, Table, raw_table

# Single-run backfills and owners are what this package stands on; the pinned version has them, marked beta.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

SINGLE_RUN = dg.BackfillPolicy.single_run()
OWNERS = ["team:energy-data"]
CHUNK = 31
"""Partitions published in one commit: a month of days keeps memory bounded over long ranges."""


def daily(site: Site) -> dg.DailyPartitionsDefinition:
    """Every complete day since the site's start."""
    return dg.DailyPartitionsDefinition(start_date=site.start.isoformat(), timezone="UTC")


def monthly(site: Site) -> dg.MonthlyPartitionsDefinition:
    """Every month since the site's start, the current one included."""
    return dg.MonthlyPartitionsDefinition(
        start_date=site.start.replace(day=1).isoformat(), timezone="UTC", end_offset=1
    )


def partitions_of(site: Site, table: Table) -> dg.TimeWindowPartitionsDefinition:
    """The partitions of a table, as its grain says.

    Args:
        site: Says when the first partition starts.
        table: Says the grain.
    """
    return daily(site) if table.grain == "day" else monthly(site)


def tables_of(site: Site, grain: Grain | None = None) -> list[Table]:
    """Every table that a site has, sources' own first, or those of one grain.

    Args:
        site: Whose sources have tables of their own.
        grain: "day" or "month"; None for both.
    """
    shared = [table for table in SHARED if all(map(site.has, table.feeds))]
    every = [*map(raw_table, site.sources), *shared]
    return [table for table in every if grain in (None, table.grain)]


def dependency(table: Table, upstream: Table) -> dg.AssetDep:
    """How the asset of `table` depends on the asset of `upstream`, partition by partition.

    A month depends on its days, of which some do not exist yet while it runs, and some never will where the site
    started in mid-month; Dagster refuses a backfill over them unless told that this is meant.

    Args:
        table: The table that reads.
        upstream: The table that is read.
    """
    if table.grain == upstream.grain:
        return dg.AssetDep(dg.AssetKey(upstream.asset))
    mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
    return dg.AssetDep(dg.AssetKey(upstream.asset), partition_mapping=mapping)


def partition_dates(context: dg.AssetExecutionContext) -> list[date]:
    """The partitions of a run, in order: days, or first days of months."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)


def chunks(partitions: Sequence[date], size: int = CHUNK) -> Iterator[list[date]]:
    """Stretches of at most `size` partitions.

    Args:
        partitions: In order.
        size: How many are made and published at a time.
    """
    for start in range(0, len(partitions), size):
        yield list(partitions[start : start + size])

"""Partitions of the assets: days and months in UTC, backfilled in one run."""

from __future__ import annotations

import warnings
from datetime import date

import dagster as dg

from energy_assets.periods import DayRange
from energy_assets.site import Site

# Single-run backfills and owners are what this package stands on; the pinned version has them, marked beta.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

SINGLE_RUN = dg.BackfillPolicy.single_run()
OWNERS = ["team:energy-data"]


def daily(site: Site) -> dg.DailyPartitionsDefinition:
    """Every complete day since the site's start."""
    return dg.DailyPartitionsDefinition(start_date=site.start.isoformat(), timezone="UTC")


def monthly(site: Site) -> dg.MonthlyPartitionsDefinition:
    """Every month since the site's start, the current one included."""
    return dg.MonthlyPartitionsDefinition(
        start_date=site.start.replace(day=1).isoformat(), timezone="UTC", end_offset=1
    )


def day_range(context: dg.AssetExecutionContext) -> DayRange:
    """The days of a run."""
    keys = sorted(context.partition_keys)
    return DayRange(date.fromisoformat(keys[0]), date.fromisoformat(keys[-1]))

"""Arrival checks: did yesterday's partition come?

Dagster's freshness is per asset, so a backfill of an old day turns it green; these checks ask for the day itself.
"""

import dagster as dg

from energy_assets.partitions import daily
from energy_assets.site import Site
from energy_assets.sources.base import Source
from energy_assets.tables import raw_table

ARRIVED = "arrived"


def arrival_checks(site: Site) -> list[dg.AssetChecksDefinition]:
    """One check per source: the last complete day has been collected, and how many days are missing."""
    return [_arrived(source, site) for source in site.sources]


def _arrived(source: Source, site: Site) -> dg.AssetChecksDefinition:
    key = dg.AssetKey(raw_table(source).asset)

    @dg.asset_check(
        asset=key,
        name=ARRIVED,
        description="The partition of the last complete day is there, whatever older days were backfilled since.",
    )
    def arrived(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        expected = list(daily(site).get_partition_keys())
        there = context.instance.get_materialized_partitions(key)
        missing = [day for day in expected if day not in there]
        last = expected[-1] if expected else None
        return dg.AssetCheckResult(
            passed=last is None or last in there,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{last} has not arrived" if last in missing else f"{last} is there",
            metadata={
                "last_complete_day": str(last),
                "missing_days": len(missing),
                "first_missing": (missing or [""])[0],
            },
        )

    return arrived

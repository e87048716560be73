"""Arrival checks: did yesterday's partition come?

Dagster's freshness is per asset, so a backfill of an old day turns it green; these checks ask for the day itself.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from energy_assets.partitions import daily, monthly
from energy_assets.site import Site
from energy_assets.tables import raw_table

ARRIVED = "arrived"


def arrival_keys(site: Site) -> list[dg.AssetCheckKey]:
    """The arrival check of every source."""
    return [dg.AssetCheckKey(dg.AssetKey(raw_table(source).asset), ARRIVED) for source in site.sources]


def arrival_checks(site: Site) -> list[dg.AssetChecksDefinition]:
    """One check per source: the last complete day has been collected, and how many days are missing.

    All in one step, which costs as much as one of them.
    """
    about = "The partition of the last complete day is there, whatever older days were backfilled since."
    specs = [dg.AssetCheckSpec(ARRIVED, asset=key.asset_key, description=about) for key in arrival_keys(site)]

    @dg.multi_asset_check(name="arrived", specs=specs, can_subset=True)
    def arrived(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for key in sorted(context.selected_asset_check_keys):
            found = arrival(context.instance, site, key.asset_key)
            yield dg.AssetCheckResult(
                passed=found.passed,
                asset_key=found.asset_key,
                check_name=found.check_name,
                severity=found.severity,
                description=found.description,
                metadata=found.metadata,
            )

    return [arrived] if specs else []


def arrival(instance: dg.DagsterInstance, site: Site, key: dg.AssetKey) -> dg.AssetCheckEvaluation:
    """Whether the last complete day of a raw asset is there, or the month that holds it where it is made by months.

    Args:
        instance: Knows which partitions are there.
        site: Says which days are expected.
        key: The raw asset.
    """
    by_month = key in {dg.AssetKey(raw_table(source).asset) for source in site.sources if source.grain == "month"}
    there = instance.get_materialized_partitions(key)
    expected = list(daily(site).get_partition_keys())
    if by_month:
        begun = {date.fromisoformat(day).replace(day=1).isoformat() for day in expected}
        expected = [month for month in monthly(site).get_partition_keys() if month in begun]
    missing = [day for day in expected if day not in there]
    last = expected[-1] if expected else None
    late = last in missing
    return dg.AssetCheckEvaluation(
        passed=not late,
        asset_key=key,
        check_name=ARRIVED,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{last} has not arrived" if late else f"{last or 'no day is complete yet: nothing'} is there",
        metadata={
            "last_complete_day": dg.MetadataValue.text(last or "none"),
            "missing_days": dg.MetadataValue.int(len(missing)),
            "first_missing_day": dg.MetadataValue.text((missing or ["none"])[0]),
        },
    )

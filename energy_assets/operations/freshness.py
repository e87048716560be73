"""Freshness: how old an asset may get before the UI says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48), warn_window=timedelta(hours=30))
MONTHLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=40), warn_window=timedelta(days=34))


def with_freshness(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The assets with the policy of their rhythm: daily partitions age in hours, monthly ones in days.

    Reports on quarters and years are made when they are asked for; they do not age.
    """
    return [asset.map_asset_specs(_with_policy) for asset in assets]


def _with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
    if isinstance(spec.partitions_def, dg.DailyPartitionsDefinition):
        return spec.replace_attributes(freshness_policy=DAILY)
    if isinstance(spec.partitions_def, dg.MonthlyPartitionsDefinition):
        return spec.replace_attributes(freshness_policy=MONTHLY)
    return spec

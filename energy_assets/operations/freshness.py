"""Freshness: how old an asset may get before the UI says so, as its table says."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from energy_assets.disclosures.asset import disclosure_keys
from energy_assets.partitions import tables_of
from energy_assets.site import Site
from energy_assets.tables import FRESHNESS, Freshness


def with_freshness(assets: Sequence[dg.AssetsDefinition], site: Site) -> list[dg.AssetsDefinition]:
    """The assets with the policy of their table; a disclosure is no table and ages like the months it reports.

    Reports on quarters and years are made when they are asked for; they do not age.

    Args:
        assets: Any assets of the site.
        site: Says which tables there are.
    """
    ages = {dg.AssetKey(table.asset): table.ages for table in tables_of(site)}

    on_request = {*disclosure_keys("quarter"), *disclosure_keys("year")}

    def aged(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.key in on_request:
            return spec
        return spec.replace_attributes(freshness_policy=policy(ages.get(spec.key, FRESHNESS["month"])))

    return [asset.map_asset_specs(aged) for asset in assets]


def policy(ages: Freshness) -> dg.FreshnessPolicy:
    """A table's freshness as Dagster evaluates it."""
    return dg.FreshnessPolicy.time_window(fail_window=ages.fail, warn_window=ages.warn)

"""The composition root: one site file to one set of Dagster definitions. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from energy_assets.disclosures.asset import disclosure_assets
from energy_assets.emissions.applied_assets import applied_assets
from energy_assets.emissions.assets import emission_assets
from energy_assets.estimates.assets import estimate_assets
from energy_assets.factors.assets import factor_assets
from energy_assets.kpis.assets import kpi_assets
from energy_assets.kpis.reconciling.assets import reconciliation_assets
from energy_assets.operations.automation import automation_sensor, with_automation
from energy_assets.operations.checks import arrival_checks
from energy_assets.operations.freshness import with_freshness
from energy_assets.operations.labels import with_labels
from energy_assets.operations.schedules import jobs, schedules
from energy_assets.opportunities.assets import opportunity_assets
from energy_assets.raw.assets import raw_asset
from energy_assets.resources import site_resources
from energy_assets.site import Site, site_from_environment
from energy_assets.unified.assets import unified_assets


def raw_assets(site: Site) -> list[dg.AssetsDefinition]:
    """The raw asset of every source."""
    return [raw_asset(source, site) for source in site.sources]


FLOORS: tuple[Callable[[Site], list[dg.AssetsDefinition]], ...] = (
    raw_assets,
    estimate_assets,
    unified_assets,
    factor_assets,
    applied_assets,
    emission_assets,
    kpi_assets,
    reconciliation_assets,
    opportunity_assets,
    disclosure_assets,
)
"""What makes a site's assets, from the bottom of the road to its top."""


def build_defs(
    site: Site,
    *,
    executor: dg.ExecutorDefinition | None = None,
    resources: Mapping[str, Any] | None = None,
) -> dg.Definitions:
    """Everything Dagster knows of a site.

    Args:
        site: The site.
        executor: Runs the steps of a run; in-process unless given, which for small steps is ten times faster than a
            process each. A server deployment may pass `dg.multiprocess_executor` or one of Kubernetes.
        resources: By name, used instead of the site's own; among them those that sources ask for.

    Raises:
        SiteError: a source asks for a resource that is not there.
    """
    assets = [asset for make in FLOORS for asset in make(site)]
    return dg.Definitions(
        assets=with_automation(with_labels(with_freshness(assets, site), site), site),
        asset_checks=arrival_checks(site),
        jobs=jobs(site),
        schedules=schedules(),
        sensors=[automation_sensor(site)],
        resources=site_resources(site, resources),
        executor=executor or dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev` and `dg` load: the site that `ENERGY_ASSETS_SITE` names."""
    return build_defs(site_from_environment())

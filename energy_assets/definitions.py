"""The composition root: one site file to one set of Dagster definitions. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from energy_assets.disclosures.asset import disclosure_assets
from energy_assets.emissions.assets import emission_assets
from energy_assets.engine import duckdb_resource
from energy_assets.factors.assets import factor_assets
from energy_assets.kpis.assets import kpi_assets
from energy_assets.materialize import Warehouse
from energy_assets.operations.checks import arrival_checks
from energy_assets.operations.freshness import with_freshness
from energy_assets.operations.labels import with_labels
from energy_assets.operations.schedules import jobs, schedules
from energy_assets.raw.assets import raw_asset
from energy_assets.site import Site, site_from_environment
from energy_assets.unified.assets import unified_assets


def build_defs(site: Site, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Everything Dagster knows of a site.

    Args:
        site: The site.
        resource_overrides: Resources to use instead of the site's own, by name; for tests.
    """
    disk = site.disk()
    assets = [
        *(raw_asset(source, site) for source in site.sources),
        *unified_assets(site),
        *factor_assets(site),
        *emission_assets(site),
        *kpi_assets(site),
        *disclosure_assets(site),
    ]
    warehouse = Warehouse(root=disk.root, options=site.storage.options)
    return dg.Definitions(
        assets=with_labels(with_freshness(assets), site),
        asset_checks=arrival_checks(site),
        jobs=jobs(site),
        schedules=schedules(site),
        resources={
            "warehouse": warehouse,
            "duckdb": duckdb_resource(site.engine, str(warehouse.spill_folder)),
            **(resource_overrides or {}),
        },
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` loads: the site that `ENERGY_ASSETS_SITE` names."""
    return build_defs(site_from_environment())

"""The Dagster resources of a site: its warehouse and engine, and what its sources ask for.

What belongs here: which resource has which name, and that none is lacking. What does not: what a resource does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from energy_assets.engine import duckdb_resource
from energy_assets.materialize import Warehouse
from energy_assets.site import Site, SiteError

MADE_BY_SOURCES = frozenset({"boto3"})
"""What a source makes for itself from its own block where nobody passes one; it finds None and knows."""
NONE = dg.ResourceDefinition.none_resource()


def site_resources(site: Site, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every resource of a site by name.

    Args:
        site: The site.
        given: Resources to use instead of the site's own, or beside them.

    Raises:
        SiteError: a source asks for a resource that is not there; names both and the remedy.
    """
    warehouse = Warehouse(root=site.disk().root, options=site.storage.options)
    resources = {
        "warehouse": warehouse,
        "duckdb": duckdb_resource(site.engine, str(warehouse.spill_folder)),
        **(given or {}),
    }
    for source in site.sources:
        for name in sorted(source.resources - resources.keys()):
            if name in MADE_BY_SOURCES:
                resources[name] = NONE
                continue
            raise SiteError(
                f"source {source.name} ({source.kind}) needs the Dagster resource {name!r}, which is not there. "
                f"Pass it where the definitions are made: build_defs(site, resources={{{name!r}: …}})"
            )
    return resources

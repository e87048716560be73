"""Assets as plain functions: what they do in a run, without a run.

What belongs here: calling an asset's own function with a context made by hand, and timing its audits.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import dagster as dg

from energy_assets.contracts.audit import Audited
from energy_assets.engine import duckdb_resource
from energy_assets.lake import Lake
from energy_assets.materialize import PARTITION_ROWS, Warehouse
from energy_assets.site import Site
from energy_assets_tests.bench.measuring import Work


def call(asset: dg.AssetsDefinition, site: Site, keys: Sequence[date]) -> int:
    """Do what an asset does for consecutive partitions, and nothing of what a run does around it.

    Returns:
        The rows it published.
    """
    disk = site.disk()
    warehouse = Warehouse(root=disk.root, options=dict(disk.options))
    no_run: Any = None
    warehouse.setup_for_execution(no_run)
    duckdb = duckdb_resource(site.engine, str(warehouse.spill_folder))
    published: list[dg.AssetMaterialization] = []
    resources = {"warehouse": warehouse, "duckdb": duckdb}
    no_events = SimpleNamespace(maybe_fetch_and_get_input_asset_version_info=lambda _: None)
    context = SimpleNamespace(
        partition_keys=[key.isoformat() for key in keys],
        run_id="bench",
        resources=SimpleNamespace(**resources),
        log=logging.getLogger("bench"),
        log_event=published.append,
        get_step_execution_context=lambda: no_events,
    )
    function: Any = asset.op.compute_fn
    wanted = inspect.signature(function.decorated_fn).parameters
    for _ in function.decorated_fn(context, **{name: resources[name] for name in resources if name in wanted}):
        pass
    return sum(int(str(event.metadata[PARTITION_ROWS].value)) for event in published)


@contextmanager
def audits_timed(work: Work) -> Iterator[None]:
    """Add the time of every audit to the part `audit` of `work`."""
    untimed = Lake._audit

    def timed(lake: Lake, *arguments: Any) -> Audited:
        with work.part("audit"):
            return untimed(lake, *arguments)

    with patch.object(Lake, "_audit", timed):
        yield

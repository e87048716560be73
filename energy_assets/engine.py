"""The engine: one DuckDB in memory per step, seen through Ibis.

What belongs here: settings that make results the same everywhere (UTC) and keep a step within its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ibis
from dagster_duckdb import DuckDBResource

from energy_assets.site import Engine


def duckdb_resource(engine: Engine, spill_folder: str) -> DuckDBResource:
    """The Dagster resource for a site's engine.

    Args:
        engine: The site's `engine` block: threads, memory.
        spill_folder: Local folder for what does not fit into memory.
    """
    config: dict[str, Any] = {
        "memory_limit": engine.memory_limit,
        "temp_directory": spill_folder,
        "preserve_insertion_order": False,
    }
    if engine.threads:
        config["threads"] = engine.threads
    return DuckDBResource(database=":memory:", connection_config=config)


@contextmanager
def connection(resource: DuckDBResource) -> Iterator[Any]:
    """An Ibis backend on a fresh in-memory database; closed afterwards, also when the step fails."""
    with resource.get_connection() as raw:
        try:
            # No connection settings: DuckDB accepts them only once its extensions are loaded.
            raw.execute("SET TimeZone = 'UTC'")
            # Each day of a chunk binds all of its files again.
            raw.execute("SET parquet_metadata_cache = true")
            yield ibis.duckdb.from_connection(raw)
        finally:
            raw.close()

"""Processes that write to a lake at the same time as others: what the tests of concurrency and crashes start."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from datetime import date
from multiprocessing.context import ForkServerContext
from typing import Any

import ibis

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.raw import EnergyReadings
from energy_assets.lake import Commit, Lake
from energy_assets.storage import Storage
from energy_assets.tables import Table
from energy_assets_tests.rows import READING, SHA

TABLE = "raw_meters"
STORED = Table(TABLE, EnergyReadings, ("raw", "meters"))
SCHEMA = schema_of(EnergyReadings)  # the first contract costs a second; what the server has made, its children have


def context() -> ForkServerContext:
    """Processes that start at once, because a server has imported everything before."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["energy_assets_tests.lake_workers", "ibis.backends.duckdb", "pyarrow.dataset"])
    return made


def connect() -> Any:
    """A connection as a step has it."""
    con = ibis.duckdb.connect(threads=1)
    con.raw_sql("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    return con


def readings(con: Any, days: Sequence[date], count: int, node: str) -> Any:
    """`count` rows for each day; `node` tells who wrote them. Device names do not compress."""
    listed = ", ".join(f"DATE '{day}'" for day in days)
    return con.sql(
        f"""SELECT day, day::TIMESTAMP AS hour, NULL::VARCHAR AS provider, NULL::VARCHAR AS account_id,
            NULL::VARCHAR AS region, '{node}' AS node_id,
            (n / 100)::INT || '-' || CASE WHEN n % 100 = 0 THEN 'x' ELSE md5(n || '{node}') END AS device_id,
            '{READING["device_kind"]}' AS device_kind, NULL::VARCHAR AS device_model,
            NULL::VARCHAR AS device_uuid, n::VARCHAR AS share_id,
            1::DECIMAL(18, 9) AS energy_kwh, 1::DECIMAL(18, 9) AS usage_hours, 'metered_node' AS method,
            2::SMALLINT AS quality_tier, 1::DECIMAL(9, 6) AS coverage, NULL::VARCHAR AS workload_id,
            false AS idle, MAP([]::VARCHAR[], []::VARCHAR[]) AS labels, '{SHA}' AS raw_sha256
        FROM unnest([{listed}]) AS t(day), range({count}) AS r(n)"""
    )


def write(root: str, days: Sequence[date], count: int, node: str, options: Mapping[str, str] | None = None) -> Commit:
    """Replace `days` by rows of `node`."""
    con, lake = connect(), Lake(Storage(root, options or {}))
    return lake.replace(con, STORED, days, readings(con, days, count, node), node)


def write_at_once(root: str, days: Sequence[date], count: int, node: str, start: Any, errors: Any) -> None:
    """Wait for the others, then replace; what goes wrong is put into `errors`."""
    try:
        start.wait(60)
        write(root, days, count, node)
    except Exception as error:
        errors.put(f"{node}: {type(error).__name__}: {error}")


def write_until(root: str, days: Sequence[date], count: int, stop: Any, errors: Any, commits: Any) -> None:
    """Replace the same days again and again, each time with other content."""
    number = 0
    try:
        while not stop.is_set():
            number += 1
            write(root, days, count, f"writer-{number}")
            commits.value = number
    except Exception as error:
        errors.put(f"writer: {type(error).__name__}: {error}")


def write_slowly(root: str, days: Sequence[date], count: int, node: str, started: Any) -> None:
    """Say when the work begins, so that somebody can end it in the middle."""
    con, lake = connect(), Lake(Storage(root))
    rows = readings(con, days, count, node)
    started.put(time.monotonic())
    lake.replace(con, STORED, days, rows, node)
    started.put("done")

"""A year of a large fleet, from `energy` to `emissions` and indicators: ours, and the same written by hand.

What belongs here: the synthetic fleet, our assets on it, and one DuckDB statement that makes the same emissions
from the same files with the same settings. All data is synthetic.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from dagster_duckdb import DuckDBResource
from deltalake import DeltaTable

from energy_assets.emissions.assets import emission_assets
from energy_assets.engine import connection, duckdb_resource
from energy_assets.factors.tables import factor_uncertainty_pct
from energy_assets.kpis.assets import kpi_assets
from energy_assets.lake import Lake
from energy_assets.partitions import CHUNK
from energy_assets.periods import ONE_DAY, DayRange, Month
from energy_assets.site import Site, load_site
from energy_assets.staging import LEVEL
from energy_assets.tables import EMISSIONS, ENERGY, GRID_INTENSITY
from energy_assets_tests.bench.assets import audits_timed, call
from energy_assets_tests.bench.measuring import Work

FIRST = date(2025, 1, 1)
THREADS, MEMORY = 2, "2GB"
GPUS_PER_NODE = 8
PLACES = {"alpha": ("DE", "1.250"), "beta": ("FR", "1.120"), "gamma": ("SG", "1.400")}
"""Source: grid zone and PUE; nodes belong to them in turn."""

_SOURCE = "  - {{name: {name}, kind: power_files, path: none.csv, time: t, node: n, power_w: w, place: {{{place}}}}}"
_SUMS = (
    "count(*), sum(energy_kwh), sum(facility_kwh), sum(location_g), sum(upstream_g), sum(lifecycle_g), "
    "sum(factor_uncertainty_pct), sum(grams_uncertainty_pct)"
)

_ENERGY = """
WITH days AS (SELECT unnest(range(DATE '{first}', DATE '{end}', INTERVAL 1 DAY))::DATE AS day),
hours AS (SELECT day, day + h * INTERVAL 1 HOUR AS hour FROM days, range(24) t(h)),
fleet AS (
    SELECT n, n // {per_node} AS node, ['alpha', 'beta', 'gamma'][(n // {per_node}) % 3 + 1] AS source,
        ['DE', 'FR', 'SG'][(n // {per_node}) % 3 + 1] AS zone, (n // {per_node}) % 5 AS team
    FROM range({gpus}) t(n)
)
SELECT day, hour, source, 'onprem' AS provider, NULL::VARCHAR AS account_id, 'region-' || source AS region, zone,
    'project-' || team AS project, CASE WHEN team < 4 THEN 'model-' || team END AS model_id,
    ['training', 'inference', 'fine_tuning', 'batch', 'idle'][team + 1] AS workload_type,
    'run-' || (n // 32) || '-' || day(day) AS workload_id,
    'node-' || lpad(node::VARCHAR, 5, '0') AS node_id, 'GPU-' || md5(n::VARCHAR) AS device_id, 'gpu' AS device_kind,
    'SYNTHETIC-80GB' AS device_model, 'all' AS share_id,
    NULL::DECIMAL(38, 15) AS device_hours, NULL::DECIMAL(38, 15) AS embodied_g,
    (0.1 + (hash(n, hour) % 600000000) / 1000000000)::DECIMAL(18, 9) AS energy_kwh, 1::DECIMAL(18, 9) AS usage_hours,
    'measured_counter' AS method, 2::SMALLINT AS quality_tier,
    (CASE WHEN hash(hour, n) % 100 = 0 THEN 0.983333 ELSE 1 END)::DECIMAL(9, 6) AS coverage,
    5::DECIMAL(6, 3) AS uncertainty_pct, sha256(source || day) AS raw_sha256
FROM hours, fleet"""

_INTENSITY = """
SELECT hour::DATE AS day, hour, zone, (300 + (hash(hour, zone) % 400000) / 1000)::DECIMAL(9, 3)
        AS lifecycle_gco2e_per_kwh,
    (200 + (hash(zone, hour) % 90000) / 1000)::DECIMAL(9, 3) AS direct_gco2e_per_kwh,
    NULL::DECIMAL(9, 6) AS carbon_free_share, false AS is_estimated, 'hour' AS resolution, 1::SMALLINT AS factor_tier,
    1::DECIMAL(9, 6) AS hour_covered, 60::SMALLINT AS answered_minutes, 'grid' AS source,
    'synthetic:' || zone AS factor_id, sha256(zone) AS raw_sha256
FROM unnest(range(TIMESTAMP '{first}', TIMESTAMP '{end}', INTERVAL 1 HOUR)) t(hour),
    unnest(['DE', 'FR', 'SG']) z(zone)"""

_BY_HAND = """
COPY (
    SELECT e.day, e.hour, source, provider, account_id, region, e.zone, project, model_id, workload_type, workload_id,
        node_id, device_id, device_kind, share_id, method, quality_tier, coverage, uncertainty_pct, energy_kwh, pue,
        facility_kwh, facility_kwh * direct AS location_g, facility_kwh * upstream AS upstream_g,
        facility_kwh * lifecycle AS lifecycle_g, {nothing} AS losses_g, {nothing} AS embodied_g,
        {nothing} AS water_onsite_l,
        {nothing} AS water_offsite_l, 'scope2' AS ghg_scope, factor_id,
        CASE WHEN direct IS NOT NULL THEN 'direct' END AS factor_basis, factor_tier, resolution AS factor_resolution,
        factor_pct AS factor_uncertainty_pct,
        CASE WHEN sqrt(uncertainty_pct::DOUBLE ** 2 + factor_pct::DOUBLE ** 2) < 1000
            THEN round(sqrt(uncertainty_pct::DOUBLE ** 2 + factor_pct::DOUBLE ** 2), 3)::{percent}
        END AS grams_uncertainty_pct, raw_sha256
    FROM (
        SELECT * REPLACE ({energy} AS energy_kwh), {pue} AS pue, {wide} * {pue} AS facility_kwh
        FROM read_parquet({energy_files}, hive_partitioning = true)
    ) e LEFT JOIN (
        SELECT hour, zone, {direct} AS direct, {lifecycle} AS lifecycle, {upstream} AS upstream, factor_id, factor_tier,
            resolution, CASE WHEN factor_tier = 1 AND resolution = 'hour' THEN {stated} END::{percent} AS factor_pct
        FROM read_parquet({intensity_files}, hive_partitioning = true)
    ) g ON e.hour = g.hour AND e.zone = g.zone
) TO '{target}' (FORMAT parquet, PARTITION_BY (day), COMPRESSION zstd, COMPRESSION_LEVEL {level})"""


def fleet(folder: str, gpus: int, days: int) -> Work:
    """Write the site file and the tables `energy` and `grid_intensity` of a synthetic fleet."""
    lake = Lake(_site(Path(folder)).disk())
    for chunk in _span(days).chunks(CHUNK):
        bounds: dict[str, Any] = {"first": chunk.first, "end": chunk.last + ONE_DAY}
        with connection(_duckdb(Path(folder))) as con:
            grid = con.sql(_INTENSITY.format(**bounds))
            lake.replace(con, GRID_INTENSITY, list(chunk), grid, "bench")
            rows = con.sql(_ENERGY.format(gpus=gpus, per_node=GPUS_PER_NODE, **bounds))
            lake.replace(con, ENERGY, list(chunk), rows, "bench")
    return Work(rows=gpus * 24 * days)


def ours(folder: str, days: int) -> Work:
    """The assets `emissions/hourly`, `kpi/daily` and `kpi/monthly`, called as a run calls them."""
    site, span, work = _site(Path(folder)), _span(days), Work()
    with audits_timed(work), work.part("emissions"):
        work.rows = call(emission_assets(site)[0], site, list(span))
    daily, monthly = kpi_assets(site)
    with work.part("indicators"):
        call(daily, site, list(span))
        call(monthly, site, sorted({Month.of(day).first for day in span}))
    return work


def by_hand(folder: str, days: int, exact: bool) -> Work:
    """One DuckDB statement with the same settings; with decimals or with doubles."""
    lake, kind = Lake(_site(Path(folder)).disk()), "DECIMAL(38, 9)" if exact else "DOUBLE"
    cases = " ".join(f"WHEN '{name}' THEN {pue}" for name, (_, pue) in PLACES.items())
    with connection(_duckdb(Path(folder))) as con:
        con.con.execute(
            _BY_HAND.format(
                energy="energy_kwh" if exact else "energy_kwh::DOUBLE",
                wide=f"energy_kwh::{kind}",
                pue=f"(CASE source {cases} END)::{'DECIMAL(5, 3)' if exact else 'DOUBLE'}",
                stated=factor_uncertainty_pct()[1, "hour"],
                percent="DECIMAL(6, 3)" if exact else "DOUBLE",
                nothing=f"NULL::{'DECIMAL(38, 15)' if exact else 'DOUBLE'}",
                direct=_factor("direct_gco2e_per_kwh", exact),
                lifecycle=_factor("lifecycle_gco2e_per_kwh", exact),
                upstream=_factor("lifecycle_gco2e_per_kwh - direct_gco2e_per_kwh", exact),
                energy_files=DeltaTable(lake.path(ENERGY.name)).file_uris(),
                intensity_files=DeltaTable(lake.path(GRID_INTENSITY.name)).file_uris(),
                target=_target(folder, exact),
                level=LEVEL,
            )
        )
    return Work()


def sums(folder: str, exact: bool | None) -> Work:
    """What the emissions add up to: ours (`exact` is None) or those written by hand."""
    with connection(_duckdb(Path(folder))) as con:
        files: Any = f"{_target(folder, exact)}/*/*.parquet"
        if exact is None:
            files = DeltaTable(Lake(_site(Path(folder)).disk()).path(EMISSIONS.name)).file_uris()
        told = con.con.execute(f"SELECT {_SUMS} FROM read_parquet({files!r})").fetchone()
    return Work(rows=told[0], facts={"sums": " ".join(map(str, told))})


def _factor(expression: str, exact: bool) -> str:
    return f"({expression})::{'DECIMAL(9, 3)' if exact else 'DOUBLE'}"


def _target(folder: str, exact: bool) -> Path:
    return Path(folder) / f"by_hand_{'decimals' if exact else 'doubles'}"


def _span(days: int) -> DayRange:
    return DayRange(FIRST, FIRST + ONE_DAY * (days - 1))


def _site(folder: Path) -> Site:
    path = folder / "site.yaml"
    if not path.exists():
        sources = [
            _SOURCE.format(name=name, place=f"region: region-{name}, zone: {zone}, pue: {pue}")
            for name, (zone, pue) in PLACES.items()
        ]
        sources.append("  - {name: grid, kind: intensity_files, path: none.csv}")
        head = f"organisation: {{name: Synthetic fleet, currency: USD}}\nstart: {FIRST}\nstorage: {{root: ./store}}\n"
        engine = f"engine: {{kind: duckdb, memory_limit: {MEMORY}, threads: {THREADS}}}\n"
        path.write_text(head + engine + "sources:\n" + "\n".join(sources) + "\n", encoding="utf-8")
    return load_site(path)


def _duckdb(folder: Path) -> DuckDBResource:
    return duckdb_resource(_site(folder).engine, str(folder / "spill"))

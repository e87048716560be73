"""Points of utilization of one file, and hours of several: time-weighted means with the share of the hour they cover.

What belongs here: periods, values that cannot be, times that come twice, hours. What does not: the forms of exports
(`answers`, `console`), and which machine of a bill is meant (`estimates.utilization`).
"""

# ruff: noqa: S608 - table names are made here, column names and values are quoted

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts import types as t
from energy_assets.counting import counted
from energy_assets.periods import DayRange
from energy_assets.sources import csv_text, local_time
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import open_file, quoted, text_sql
from energy_assets.sources.utilization_files.answers import AGAIN, series_of_json
from energy_assets.sources.utilization_files.console import series_of_console
from energy_assets.sources.utilization_files.series import Reading, Series

HOUR_US = 3_600_000_000
HOUR_S = 3600
FULL, ROUNDED = 1.0, 1.01
"""Full load, and what the rounding of a counter may make of it: it is taken as full."""
MOST_ABOVE = 10
"""One value in so many may be above full load; where more are, the file is not what it is taken for."""
ENOUGH_POINTS = 3
"""Points of a series whose distances show its period."""

_RAW = pa.schema(
    [
        ("seq", pa.int64()),
        ("node_id", pa.string()),
        ("device_id", pa.string()),
        ("local_us", pa.int64()),
        ("t", pa.int64()),
        ("clock", pa.string()),
        ("component", pa.string()),
        ("device", pa.string()),
        ("value", pa.float64()),
        ("provider", pa.string()),
        ("account_id", pa.string()),
        ("region", pa.string()),
        ("period_s", pa.int64()),
        ("stated", pa.bool_()),
    ]
)
"""Lines of a file, as `local_time.placed` takes them."""
_KEYS = "resource_id, component, device, at_us, seconds, provider, account_id, region"
_serial = count(1)


@dataclass(frozen=True)
class Points:
    """The points of one file.

    Attributes:
        table: `resource_id`, `component`, `device`, `at_us`, `seconds`, `value` (a share), `provider`, `account_id`,
            `region`, `stated`, `clock`, and `wrong`: NULL, `empty`, `above` or `below`, for which `value` is NULL.
        name: Of the file.
        sha256: Of its bytes.
        repeated: Points that are there twice, alike, and count once.
    """

    table: ir.Table
    name: str
    sha256: str
    repeated: int


def read_points(con: Any, path: Path, sha256: str, name: str, folder: Path, reading: Reading) -> Points:
    """The points of one file, read once by a connection and kept in a temporary table of it.

    Args:
        con: An Ibis backend (DuckDB).
        path: The file: JSON or CSV, plain or gzip.
        sha256: Of its bytes.
        name: What messages call it.
        folder: A temporary folder.
        reading: What site.yaml says of it.

    Raises:
        MalformedError: a foreign or cut file, no averages, another unit, periods that cannot be told or are longer
            than an hour, values above full load, or two values of one instant.
    """
    basis = hashlib.sha256(repr(reading).encode()).hexdigest()[:8]
    kept = f"utilization_points_{sha256[:24]}_{basis}"
    if kept not in con.list_tables():
        raw = f"utilization_lines_{next(_serial)}"
        try:
            _lines(con, raw, path, name, folder, reading)
            if reading.clock.timezone:
                local_time.placed(con, raw, reading.clock.timezone, HOUR_US)
            _with_periods(con, raw, name, reading.period_s)
            _require_possible(con, raw, name)
            _once(con, raw, kept, name)
        except duckdb.Error as error:
            said = " ".join(str(error).replace(str(path), name).split())[:200]
            raise MalformedError(f"{name}: cannot be read ({said})", AGAIN) from error
        finally:
            con.raw_sql(f"DROP TABLE IF EXISTS {raw}")
    (repeated,) = con.raw_sql(f"SELECT coalesce(sum(times - 1), 0) FROM {kept}").fetchone()
    return Points(con.table(kept).drop("times"), name, sha256, int(repeated))


def _lines(con: Any, table: str, path: Path, name: str, folder: Path, reading: Reading) -> None:
    head, _ = csv_text.head_of(path, name)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        _keep(con, table, ((one, False) for one in series_of_json(_text(path, name), name, reading)), reading)
    elif reading.columns is None:
        shape = csv_text.sniff(head)
        if shape.trouble:
            raise MalformedError(f"{name}: {shape.trouble}", shape.remedy)
        _keep(con, table, series_of_console(_text(path, name), name, reading), reading)
    else:
        _own_columns(con, table, path, name, folder, reading)


def _text(path: Path, name: str) -> str:
    try:
        body = path.read_bytes()
        return (gzip.decompress(body) if body.startswith(csv_text.GZIP) else body).decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise MalformedError(f"{name}: the gzip file is truncated or damaged ({error})", AGAIN) from error
    except UnicodeDecodeError as error:
        raise MalformedError(f"{name}: is not in UTF-8 ({error.reason})", csv_text.SAVE_AS) from error


def _keep(con: Any, table: str, series: Iterable[tuple[Series, bool]], reading: Reading) -> None:
    """Series as lines of a table; values of exports are per cent."""
    parts = [pa.Table.from_pylist([], schema=_RAW)]
    local = reading.clock.timezone is not None
    seq = 0
    for one, bare in series:
        size = len(one.times)
        numbers = range(seq, seq + size)
        seq += size
        times = pa.array(one.times, pa.int64())
        nothing = pa.nulls(size, pa.int64())

        def same(value: Any, kind: pa.DataType, size: int = size) -> pa.Array:
            return pa.array([value] * size, kind)

        columns = [
            pa.array(numbers, pa.int64()), same(one.resource_id, pa.string()),
            same(f"{one.component} {one.device}", pa.string()), times if bare and local else nothing,
            nothing if bare and local else times, pa.nulls(size, pa.string()), same(one.component, pa.string()),
            same(one.device, pa.string()),
            pa.array([None if v is None else float(v) / 100 for v in one.values], pa.float64()),
            same(one.provider, pa.string()), same(one.account_id, pa.string()), same(one.region, pa.string()),
            same(one.period_s, pa.int64()), same(one.stated, pa.bool_()),
        ]  # fmt: skip
        parts.append(pa.Table.from_arrays(columns, schema=_RAW))
    con.create_table(table, obj=pa.concat_tables(parts), temp=True)


def _own_columns(con: Any, table: str, path: Path, name: str, folder: Path, reading: Reading) -> None:
    """Lines of a CSV or Parquet file whose columns site.yaml names."""
    columns = reading.columns
    if columns is None:
        raise ValueError("no columns are named")
    opened = open_file(con, path, name, folder, any_suffix=True)
    time, resource, value = (
        opened.table.column(getattr(columns, key), f"columns.{key}") for key in ("time", "resource", "utilization")
    )
    device = opened.table.column(columns.device, "columns.device") if columns.device else None
    local, fixed = opened.times(time, reading.clock)
    comma = False
    if opened.types[value] == "VARCHAR":
        comma = (reading.decimal or opened.decimal(value)) == ","
    cell = f"trim(CAST({quoted(value)} AS VARCHAR))"
    number = f"nullif(replace({cell}, ',', '.'), '')" if comma else f"nullif({cell}, '')"
    share = f"CAST({number} AS DOUBLE)" + (" / 100" if reading.unit == "percent" else "")
    of_device = f"coalesce(trim(CAST({quoted(device)} AS VARCHAR)), '')" if device else "''"
    texts = {
        "component": reading.component,
        "provider": reading.provider,
        "account_id": reading.account_id,
        "region": reading.region,
    }
    said = {key: "NULL::VARCHAR" if text is None else text_sql(text) for key, text in texts.items()}
    with local_time.in_order(con):
        con.raw_sql(f"""
            CREATE TEMP TABLE {table} AS SELECT
                row_number() OVER () AS seq, trim(CAST({quoted(resource)} AS VARCHAR)) AS node_id,
                {of_device} AS device_id, {local} AS local_us, {fixed} AS t, NULL::VARCHAR AS clock,
                {said["component"]} AS component, {of_device} AS device, {share} AS value,
                {said["provider"]} AS provider,
                {said["account_id"]} AS account_id, {said["region"]} AS region, NULL::BIGINT AS period_s, TRUE AS stated
            FROM {opened.relation}""")


def _with_periods(con: Any, table: str, name: str, stated_s: int | None) -> None:
    """Give every series its period: what the export states, else what the distances of its points show."""
    found = con.raw_sql(f"""
        WITH gaps AS (
            SELECT node_id, component, device, period_s,
                (t - lag(t) OVER (PARTITION BY node_id, component, device ORDER BY t)) // 1000000 AS gap
            FROM (SELECT DISTINCT node_id, component, device, period_s, t FROM {table} WHERE t IS NOT NULL)
        )
        SELECT node_id, component, device, max(period_s), count(*), min(gap) FILTER (gap > 0),
            list_reduce(list(gap) FILTER (gap > 0), lambda a, b: gcd(a, b))
        FROM gaps GROUP BY ALL ORDER BY ALL""").fetchall()
    shown = [step for *_, points, _, step in found if step and points >= ENOUGH_POINTS and step <= HOUR_S]
    least = min(shown, default=None)
    rows = [
        (node, component, device, _period(name, node, said or stated_s, points, nearest, step, least))
        for node, component, device, said, points, nearest, step in found
    ]
    periods = f"{table}_periods"
    names = ("node_id", "component", "device", "period")
    kinds = (pa.string(), pa.string(), pa.string(), pa.int64())
    arrays = [pa.array([row[n] for row in rows], kind) for n, kind in enumerate(kinds)]
    con.create_table(periods, obj=pa.table(arrays, names=names), temp=True)
    con.raw_sql(f"""
        UPDATE {table} SET period_s = p.period FROM {periods} p
        WHERE p.node_id = {table}.node_id AND p.component = {table}.component AND p.device = {table}.device""")
    con.raw_sql(f"DROP TABLE {periods}")


def _period(
    name: str, node: str, stated: int | None, points: int, nearest: int | None, step: int | None, least: int | None
) -> int:
    """Seconds that each point of a series stands for.

    Args:
        name: What messages call the file.
        node: The machine.
        stated: By the export or site.yaml.
        points: How many there are.
        nearest: The least distance between two of them.
        step: The greatest common divisor of all distances.
        least: The shortest step of other series of the file.
    """
    shown = step if step and points >= ENOUGH_POINTS and step <= HOUR_S else None
    period = shown if stated and nearest and stated > nearest and shown else stated or shown or least
    if period is None and nearest and nearest > HOUR_S:
        raise MalformedError(
            f"{name}: the values of {node} are {nearest // HOUR_S} hours apart, and nothing says what each stands for",
            "Export it again by the hour or finer; or, where its machines seldom run, write `period_s` (such as 300) "
            "into this source in site.yaml.",
        )
    if period is None:
        raise MalformedError(
            f"{name}: its {counted(points, 'value')} of {node} do not show how long each stands for",
            "Write `period_s` (such as 300) into this source in site.yaml.",
        )
    if period > HOUR_S:
        raise MalformedError(
            f"{name}: each value stands for {period // HOUR_S} hours, and an estimate is made by the hour",
            "Export it again with a period of an hour or less (--period 3600, --interval PT1H).",
        )
    return math.gcd(period, nearest) if nearest and nearest < period else period


def _require_possible(con: Any, table: str, name: str) -> None:
    values, above, most = con.raw_sql(
        f"SELECT count(value), count(*) FILTER (value > {ROUNDED} AND isfinite(value)), max(value) FROM {table}"
    ).fetchone()
    if above * MOST_ABOVE > values:
        raise MalformedError(
            f"{name}: {above:,} of {values:,} values are above full load, up to {most * 100:g} per cent",
            "Look whether it is the sum over several machines, processors or GPUs, or whether `unit` is right; a value "
            "of a machine is an average of 0 to 100 per cent.",
        )


def _once(con: Any, table: str, kept: str, name: str) -> None:
    """The points that count: one of each series and instant."""
    possible = f"CASE WHEN wrong IS NULL THEN round(least(value, {FULL}), 9)::DECIMAL(18, 9) END"
    con.raw_sql(f"""
        CREATE TEMP TABLE {kept} AS
        WITH judged AS (
            SELECT *, CASE WHEN value IS NULL OR isnan(value) THEN 'empty' WHEN value > {ROUNDED} THEN 'above'
                WHEN value < 0 THEN 'below' END AS wrong
            FROM {table} WHERE t IS NOT NULL AND nullif(node_id, '') IS NOT NULL
                AND clock IS DISTINCT FROM '{local_time.NEVER}'
        )
        SELECT node_id AS resource_id, component, device, t AS at_us, any_value(period_s) AS seconds,
            min({possible}) AS value, max(CASE WHEN clock IS NULL THEN {possible} END) AS most,
            any_value(provider) AS provider, any_value(account_id) AS account_id, any_value(region) AS region,
            bool_and(stated) AS stated, max(clock) AS clock,
            CASE WHEN count(*) = count(wrong) THEN max(wrong) END AS wrong,
            count(*) AS times
        FROM judged GROUP BY node_id, component, device, t ORDER BY node_id, component, device, t""")
    different, node, at = con.raw_sql(f"""
        SELECT count(*), min(resource_id), min(make_timestamp(at_us)) FROM {kept} WHERE most > value AND clock IS NULL
        """).fetchone()
    if different:
        con.raw_sql(f"DROP TABLE {kept}")
        raise MalformedError(
            f"{name}: has two values of {node} at {counted(different, 'instant')}, one at {at:%Y-%m-%d %H:%M} UTC",
            "They are of two devices (name their column as `columns.device`), of two metrics or of two statistics: "
            "export the average of one metric.",
        )
    con.raw_sql(f"ALTER TABLE {kept} DROP COLUMN most")


HOURS = ibis.schema(
    {
        "day": t.DAY,
        "hour": t.HOUR,
        "provider": t.TEXT,
        "account_id": t.TEXT,
        "region": t.TEXT,
        "resource_id": t.TEXT,
        "component": t.TEXT,
        "utilization": t.SHARE,
        "coverage": t.SHARE,
        "raw_sha256": t.TEXT,
    }
)
"""The columns of the contract `UtilizationReadings`."""


def hours_of(con: Any, files: Sequence[Points], days: DayRange) -> tuple[ir.Table, dict[str, int]]:
    """Hours of the points of all files: their time-weighted means, and the share of the hour they cover.

    A point that runs over the end of an hour counts in both, by its seconds. Of two files with the same instant of one
    series the lexicographically last counts; of series of different periods in an hour the one that covers more of it,
    then the finer. Several devices of a machine are averaged by the time that each was observed.

    Args:
        con: An Ibis backend (DuckDB).
        files: Not empty.
        days: Hours of other days are left out.

    Returns:
        `HOURS`, and how many points other files repeat (`repeated`) or tell otherwise (`disagreeing`).
    """
    parts = [
        file.table.filter(file.table.wrong.isnull()).mutate(
            name=ibis.literal(file.name), raw_sha256=ibis.literal(file.sha256)
        )
        for file in files
    ]
    points = con.create_table(
        ibis.util.gen_name("utilization"), obj=ibis.union(*parts) if len(parts) > 1 else parts[0], temp=True
    )
    source = points.get_name()
    first, last = f"DATE '{days.first}'", f"DATE '{days.last}'"
    chosen, hours = ibis.util.gen_name("utilization"), ibis.util.gen_name("utilization")
    con.raw_sql(f"""
        CREATE TEMP TABLE {chosen} AS
        SELECT {_KEYS}, arg_max(value, name) AS value, arg_max(raw_sha256, name) AS raw_sha256, count(*) - 1 AS others,
            max(value) > min(value) AS differ
        FROM {source} GROUP BY ALL""")
    con.raw_sql(f"""
        CREATE TEMP TABLE {hours} AS
        WITH split AS (
            SELECT *, (at_us // {HOUR_US} + unnest([0, 1])) * {HOUR_US} AS hour_us FROM {chosen}
        ),
        parted AS (
            SELECT *, (least(at_us + seconds * 1000000, hour_us + {HOUR_US}) - greatest(at_us, hour_us)) // 1000000 AS s
            FROM split
        ),
        by_period AS (
            SELECT provider, account_id, region, resource_id, component, device, hour_us, seconds,
                sum(value * s) AS weighted, sum(s) AS s, min(raw_sha256) AS raw_sha256
            FROM parted WHERE s > 0 GROUP BY ALL
        ),
        best AS (
            SELECT * FROM by_period QUALIFY row_number() OVER (
                PARTITION BY provider, account_id, region, resource_id, component, device, hour_us
                ORDER BY s DESC, seconds) = 1
        )
        SELECT make_timestamp(hour_us) AS hour, make_timestamp(hour_us)::DATE AS day, provider, account_id, region,
            resource_id, component, round((sum(weighted) / sum(s))::DOUBLE, 6) AS utilization,
            round(sum(least(s, {HOUR_S})) / ({HOUR_S} * count(*)), 6) AS coverage, min(raw_sha256) AS raw_sha256
        FROM best WHERE make_timestamp(hour_us)::DATE BETWEEN {first} AND {last} GROUP BY ALL""")
    (repeated, disagreeing) = con.raw_sql(f"""
        SELECT coalesce(sum(others), 0), count(*) FILTER (differ) FROM {chosen}
        WHERE make_timestamp(at_us)::DATE BETWEEN {first} AND {last}""").fetchone()
    rows = con.table(hours).select(*HOURS.names).cast(dict(HOURS.items()))
    return rows, {"repeated": int(repeated), "disagreeing": int(disagreeing)}

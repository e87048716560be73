"""Files of grid intensity to hours, pure: one file in, one table out.

What belongs here: cells, missing values, units. What does not: which columns hold what (`columns`), where files lie,
values of hours (`hours`), and stand-ins.
"""

# ruff: noqa: S608 - table names are made here, column names and values are quoted

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.counting import counted
from energy_assets.sources import clock_names, csv_text, local_time
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.intensity import MAX_GCO2E_PER_KWH
from energy_assets.sources.intensity_files import shelf
from energy_assets.sources.intensity_files.columns import Mapping, require_average
from energy_assets.sources.intensity_files.hours import hours_in
from energy_assets.sources.opening import Opened, open_file, quoted, text_sql
from energy_assets.sources.overlap import lasting

_HOUR_US = 3_600_000_000
SHOWN = 3
"""Columns that a sentence names."""
_UNREADABLE = 10
"""One line in so many may be unreadable (footers, notes); where more are, the file is not what it is taken for."""

_REMEDY = "Export it again, or take it out of `path` in site.yaml."
_NAMED_ZONE = re.compile(r"(?:^|[/_])([A-Z]{2}(?:-[A-Z0-9]{2,5}){0,2})(?=[_.])")
_SIGNALS = ("signal", "signal_type", "signal type")
_serial = count(1)


@dataclass(frozen=True)
class Points:
    """The points of one file.

    Attributes:
        table: `hour`, `zone`, `lifecycle`, `direct`, `carbon_free_share`, `is_estimated`, and what is wrong with the
            line: `bad_line` (no readable time or zone), `bad_value` (text that is no number, or no possible value; it
            is NULL), `zero` (a direct value of 0 without a life-cycle one), `tiny` (the direct value, where it is
            above 0 and rounds to it), `unflagged` (a value that does not say
            whether it was estimated: taken as estimated), `outdone` (an estimate, and the file has a measured value of
            the same instant), `disagrees` (another line has another value of the same zone and instant, and neither
            goes before the other), `apart` (the columns, of those not read, that tell such lines apart; empty where
            none does), `clock` (see `local_time`), `timed` (the column of times), `doubt` (the note where its name
            contradicts how they are taken; else empty), `at` (microseconds since 1970), `step_s` and `seconds` (how far
            apart the values of its zone are, and how long this one holds, see `overlap`).
        hours: What the file knows of each hour, as `hours.hours_in` tells it.
        name: Of the file.
        sha256: Of its bytes.
        publisher: Who says so, for the name of the factor.
    """

    table: ir.Table
    hours: ir.Table
    name: str
    sha256: str
    publisher: str = "electricity_maps"


def read_points(con: Any, path: Path, sha256: str, name: str, folder: Path, mapping: Mapping) -> Points:
    """The points of one file, read once by a process and kept in a temporary table of the connection.

    A long run takes a new connection for each month of it, and the file of a year is asked for in all of them.

    Args:
        con: An Ibis backend (DuckDB).
        path: The file: CSV, plain or gzip, or Parquet.
        sha256: Of its bytes.
        name: How errors call it.
        folder: A temporary folder.
        mapping: Which columns hold what.

    Raises:
        MalformedError: a truncated or foreign file, missing columns, unreadable times, points more than an hour apart,
            marginal rates.
    """
    basis = hashlib.sha256(repr(mapping).encode()).hexdigest()[:8]
    kept = f"intensity_points_{sha256[:24]}_{basis}"
    hours = f"{kept}_hours"
    if hours not in con.list_tables() and not (shelf.taken_up(con, kept) and shelf.taken_up(con, hours)):
        table = f"intensity_lines_{next(_serial)}"
        try:
            opened = open_file(con, path, name, folder, any_suffix=True)
            found = mapping.of(opened.table)
            _require_average_signal(con, opened)
            with local_time.in_order(con):
                con.raw_sql(f"CREATE TEMP TABLE {table} AS {_selected(opened, found, mapping)}")
            if mapping.clock.timezone:
                local_time.placed(con, table, mapping.clock.timezone, _HOUR_US)
            _require_times(con, table, opened, found["time"])
            _require_beginnings(con, table, opened, found["time"])
            narrowest = _narrowest_gap_hours(con, table)
            if narrowest > 1:
                raise MalformedError(
                    f"{name}: its points are {narrowest} hours apart, not one",
                    "Export it again by the hour; a value of a year or a month goes into a source of grid_factors.",
                )
            typed = _typed(con.table(table))
            apart = _apart(con, typed, [c for c in opened.types if c not in found.values()])
            doubt = clock_names.doubt(opened, found["time"], mapping.clock) or ""
            more = {"apart": apart, "timed": found["time"].strip(), "doubt": doubt}
            points = _lasting(typed.drop("others")).mutate(**{name: ibis.literal(text) for name, text in more.items()})
            points = points.order_by("zone", "at")
            con.create_table(kept, obj=points, temp=True, overwrite=True)
            con.create_table(hours, obj=hours_in(con.table(kept)).order_by("zone", "hour"), temp=True)
            shelf.put(con, hours)
            shelf.put(con, kept)
        except duckdb.Error as error:
            said = " ".join(str(error).replace(str(path), name).split())[:200]
            raise MalformedError(f"{name}: cannot be read as CSV ({said})", _REMEDY) from error
        finally:
            con.raw_sql(f"DROP TABLE IF EXISTS {table}")
    return Points(con.table(kept), con.table(hours), name, sha256, mapping.publisher)


def _selected(file: Opened, found: dict[str, str], mapping: Mapping) -> str:
    """SQL for the lines of a file in their order, with numbers in grams per kWh and times in microseconds."""
    local, fixed = file.times(found["time"], mapping.clock, lenient=True)
    numbers: dict[str, str] = {ours: found[ours] for ours in ("direct", "lifecycle", "carbon_free") if ours in found}
    texts = [column for column in numbers.values() if file.types[column] == "VARCHAR"]
    comma = (mapping.decimal or (file.decimal(*texts) if texts else ".")) == ","
    factor = mapping.factor(found, file.name)

    def written(ours: str) -> str:
        cell = f"trim(CAST({quoted(numbers[ours])} AS VARCHAR))"
        return f"replace({cell}, ',', '.')" if comma else cell

    def number(ours: str, times: str) -> str:
        if ours not in numbers:
            return "NULL::DECIMAL(38, 14)"
        return f"TRY_CAST({written(ours)} AS DECIMAL(18, 6))::DECIMAL(26, 6) * {times}::DECIMAL(12, 8)"

    def filled(ours: str) -> str:
        if ours not in numbers:
            return "FALSE"
        cell = f"trim(CAST({quoted(numbers[ours])} AS VARCHAR))"
        return f"lower(coalesce({cell}, '')) NOT IN ('', 'nan', 'null', 'n/e', '-')"

    fine = f"TRY_CAST({written('direct')} AS DOUBLE) * {factor}" if "direct" in found else "NULL::DOUBLE"
    if "zone" in found:
        zone = f"nullif(upper(trim(CAST({quoted(found['zone'])} AS VARCHAR))), '')"
    else:
        zone = text_sql(mapping.constant_zone)
    others = ", ".join(f"CAST({quoted(c)} AS VARCHAR)" for c in file.types if c not in found.values())
    flag = f"lower(trim(CAST({quoted(found['estimated'])} AS VARCHAR)))" if "estimated" in found else "''"
    return f"""
        SELECT
            row_number() OVER () AS seq, {zone} AS node_id, '' AS device_id, {local} AS local_us, {fixed} AS t,
            NULL::VARCHAR AS clock,
            {number("lifecycle", factor)} AS lifecycle, {filled("lifecycle")} AS lifecycle_filled,
            {number("direct", factor)} AS direct, {filled("direct")} AS direct_filled,
            {fine} AS fine_direct,
            {number("carbon_free", "0.01")} AS carbon_free, {filled("carbon_free")} AS carbon_free_filled,
            coalesce({flag}, '') AS flag, CAST({quoted(found["time"])} AS VARCHAR) AS written,
            [{others}]::VARCHAR[] AS others
        FROM {file.relation}"""


def _typed(raw: ir.Table) -> ir.Table:
    """Columns of the lake of the lines of a file."""
    raw = raw.mutate(at=(raw.clock == local_time.NEVER).fill_null(False).ifelse(ibis.null("int64"), raw.t))
    nothing = (raw.lifecycle == 0).fill_null(False)
    lifecycle, bad_lifecycle = _possible(raw.lifecycle, raw.lifecycle_filled, MAX_GCO2E_PER_KWH, nothing)
    unburnt = nothing & (raw.direct == 0)
    direct, bad_direct = _possible(raw.direct, raw.direct_filled, MAX_GCO2E_PER_KWH, unburnt)
    tiny = (direct.cast(t.FACTOR) == 0).fill_null(False) & (raw.fine_direct > 0).fill_null(False)
    share, bad_share = _possible(raw.carbon_free, raw.carbon_free_filled, 1)
    estimated = ~raw.flag.isin(["false", "0", "no", "measured"])
    instant = ibis.window(group_by=[raw.node_id, raw.at])
    known = lifecycle.notnull() | direct.notnull()
    outdone = estimated & (known & ~estimated).any().over(instant).fill_null(False)
    equals = ibis.window(group_by=[raw.node_id, raw.at, estimated])
    two = [(v.max().over(equals) != v.min().over(equals)).fill_null(False) for v in (lifecycle, direct)]
    hour = (raw.at // _HOUR_US * 3600).cast("int64").as_timestamp("s").cast(t.HOUR)
    return raw.select(
        hour=hour,
        zone=raw.node_id,
        lifecycle=lifecycle.cast(t.FACTOR),
        direct=direct.cast(t.FACTOR),
        carbon_free_share=share.cast(t.SHARE),
        is_estimated=estimated,
        bad_line=raw.at.isnull() | raw.node_id.isnull(),
        bad_value=bad_lifecycle | bad_direct | bad_share,
        zero=(direct == 0).fill_null(False) & lifecycle.isnull() & ~tiny,
        tiny=tiny.ifelse(raw.fine_direct, ibis.null("float64")),
        unflagged=~raw.flag.isin(["true", "false", "0", "1", "yes", "no", "measured", "estimated"]),
        outdone=outdone,
        disagrees=(two[0] | two[1]) & known & ~outdone & raw.at.notnull() & raw.clock.isnull(),
        clock=raw.clock,
        at=raw.at,
        others=raw.others,
    )


def _lasting(lines: ir.Table) -> ir.Table:
    """The lines with `step_s` and `seconds`; NULL where a line has no readable time or zone."""
    timed = lines.mutate(at_s=lines["at"] // 1_000_000)
    known = timed.filter(~timed.bad_line).mutate(stated_s=ibis.null("int64"))
    lasts = lasting(known, ["zone"])
    return timed.left_join(lasts, ["zone", "at_s"]).drop("zone_right", "at_s_right")


def _apart(con: Any, table: ir.Table, columns: Sequence[str]) -> str:
    """The columns that tell lines of one zone and instant apart wherever these disagree, and whose values come again.

    Args:
        con: An Ibis backend (DuckDB).
        table: As `_typed` gives it.
        columns: What `others` holds, by name.
    """
    some = table.filter(table.disagrees)
    if not columns:
        return ""
    names = [f"c{n}" for n in range(len(columns))]
    some = some.select("zone", "at", **{name: some.others[n] for n, name in enumerate(names)})
    each = some.group_by("zone", "at").aggregate(**{name: some[name].nunique() for name in names})
    within = each.aggregate(**{name: each[name].min() for name in names})
    whole = some.aggregate(lines=some.count(), **{name: some[name].nunique() for name in names})
    (least,), (every,) = (con.to_pyarrow(asked).to_pylist() for asked in (within, whole))
    telling = [c for c, name in zip(columns, names, strict=True) if (least[name] or 0) > 1]
    again = [c for c, name in zip(columns, names, strict=True) if c in telling and 2 * every[name] <= every["lines"]]
    return ", ".join(f"'{column}'" for column in (again or telling)[:SHOWN])


def _possible(
    value: ir.DecimalValue, filled: ir.BooleanValue, most: int, gap: ir.BooleanValue | None = None
) -> tuple[ir.DecimalValue, ir.BooleanValue]:
    """The value, NULL where it is not from 0 to `most` or stands for a `gap`; and whether that is the file's fault."""
    good = value.between(0, most).fill_null(False)
    good = good if gap is None else good & ~gap
    return good.ifelse(value, ibis.null(value.type())), filled & ~good


def other_zone(name: str, zones: Sequence[str]) -> str | None:
    """A grid zone that a file's name speaks of and no row does; a part of a zone of the rows is the same one.

    Args:
        name: The path or url, as in `DE_2025.csv`.
        zones: Those of its rows.
    """
    found = _NAMED_ZONE.search(name.rsplit("/", 1)[-1])
    if not found or not zones:
        return None
    named = found[1]
    alike = any(zone == named or zone.startswith(f"{named}-") or named.startswith(f"{zone}-") for zone in zones)
    return None if alike else named


def _require_times(con: Any, table: str, file: Opened, column: str) -> None:
    total, bad, example = con.raw_sql(
        f"SELECT count(*), count(*) FILTER (t IS NULL), min(written) FILTER (t IS NULL) FROM {table}"
    ).fetchone()
    if bad and bad * _UNREADABLE > total:
        said = csv_text.said_of_time(example or "")
        raise MalformedError(
            f"{file.name}: column '{column}' has {counted(bad, 'time')} of {total:,} that cannot be read, for example "
            f"'{example}'" + (f": {said}" if said else ""),
            "Write times as 2025-10-20 13:00 in UTC, or name their `timezone` or `date_order` in this source.",
        )


def _require_average_signal(con: Any, file: Opened) -> None:
    """That no column of signals, as WattTime writes one, says that the values are marginal."""
    for column in (c for c in file.types if c.strip().lower() in _SIGNALS):
        cells = f"SELECT DISTINCT CAST({quoted(column)} AS VARCHAR) FROM {file.relation} LIMIT 100"
        for (cell,) in sorted(con.raw_sql(cells).fetchall(), key=str):
            require_average(cell or "", file.name, f"the column '{column.strip()}'")


def _require_beginnings(con: Any, table: str, file: Opened, column: str) -> None:
    """That hours are named by their beginning: 24:00 is the end of one, and so are all others of its file."""
    (example,) = con.raw_sql(
        f"SELECT min(written) FROM {table} WHERE regexp_matches(written, '[T\\s]24:?00')"
    ).fetchone()
    if example:
        raise MalformedError(
            f"{file.name}: column '{column}' has times such as '{example.strip()}', so it names hours by their end "
            "(01:00 to 24:00), and each value would meet the hour after its own",
            "Write the beginning of each hour (00:00 to 23:00), which is one hour earlier.",
        )


def _narrowest_gap_hours(con: Any, table: str) -> int:
    """The fewest hours between two points; daily, monthly and yearly exports look like hourly ones but for this."""
    (gap,) = con.raw_sql(f"""
        SELECT min(h - before) FROM (
            SELECT h, lag(h) OVER (PARTITION BY node_id ORDER BY h) AS before
            FROM (SELECT DISTINCT node_id, t // {_HOUR_US} AS h FROM {table} WHERE t IS NOT NULL)
        )""").fetchone()
    return int(gap or 1)

"""Electricity Maps CSV exports to hours, pure: one file in, one table out, both header generations.

What belongs here: columns, missing values, units. What does not: where files lie, and stand-ins.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.periods import DayRange
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.intensity import HOURS, MAX_GCO2E_PER_KWH, exact_mean

CHUNK = 1 << 20
COLUMNS = {
    "datetime": r"datetime \(utc\)",
    "zone": r"zone id",
    "direct": r"carbon intensity gco2eq/kwh \(direct\)",
    "lifecycle": r"carbon intensity gco2eq/kwh \((lca|life cycle)\)",
    "estimated": r"data estimated",
    "carbon_free": r"(low carbon percentage|carbon-free energy percentage).*",
}
"""Our name, and the header in lower case; exports until 2024 say LCA and Low Carbon, later ones Life cycle, CFE."""

_SPELLING = {
    "datetime": "Datetime (UTC)",
    "zone": "Zone id",
    "direct": "Carbon intensity gCO₂eq/kWh (direct)",
    "lifecycle": "Carbon intensity gCO₂eq/kWh (Life cycle)",
    "estimated": "Data estimated",
}
_REMEDY = "Export it again as hourly CSV from the Electricity Maps portal, or take it out of `path` in site.yaml."


def read_points(con: Any, path: Path, sha256: str, name: str, zone: str | None = None) -> ir.Table:
    """The points of one export, read once per connection and kept there as a temporary table.

    Args:
        con: An Ibis backend (DuckDB).
        path: The file, plain or gzip.
        sha256: Of its bytes.
        name: How errors call it.
        zone: The zone of files that have no `Zone id`.

    Returns:
        `hour`, `zone`, `lifecycle`, `direct`, `carbon_free_share`, `is_estimated`, and what is wrong with the
        line: `bad_line` (no readable time or zone), `bad_value` (text that is no number, or no possible
        value; it is NULL), `unflagged` (a value that does not say whether it was estimated: taken as
        estimated).

    Raises:
        MalformedError: a truncated or foreign file, a missing column, a coarser export than hourly.
    """
    table = f"intensity_points_{sha256[:24]}_{zone or ''}"
    if table not in con.list_tables():
        packed, header = _open(path, name)
        found = _find_columns(header, name, zone)
        how = {
            "header": True,
            "auto_detect": False,
            "columns": dict.fromkeys(header, "VARCHAR"),
            "delim": ",",
            "quote": '"',
            "compression": "gzip" if packed else "none",
        }
        try:
            raw = con.read_csv(str(path), **how)
            con.create_table(table, obj=_points(raw, found, zone), temp=True)
        except duckdb.Error as error:
            con.drop_table(table, force=True)
            said = " ".join(str(error).split())[:200]
            raise MalformedError(f"{name}: cannot be read as CSV ({said})", _REMEDY) from error
        narrowest = _narrowest_gap_hours(con.table(table))
        if narrowest > 1:
            con.drop_table(table)
            raise MalformedError(f"{name}: its points are {narrowest} hours apart, not one", _REMEDY)
    points: ir.Table = con.table(table)
    return points


def hours_of(
    files: Sequence[tuple[ir.Table, str, str]], days: DayRange, zones: Sequence[str] | None = None
) -> ir.Table:
    """One row per zone and hour that has an intensity, in the calendar years of `days`.

    Points within an hour are averaged. Of two files that know the same hour the one that knows both
    intensities wins, then the lexicographically last name: exports carry their date in the name.

    Args:
        files: Points, name and sha256 of each file; not empty.
        days: Decide the years.
        zones: Only these; None for all.

    Returns:
        `HOURS`, and for the notes `superseded` and `repeated` (how many other files and further points spoke
        of the hour) and `unflagged`.
    """
    parts = []
    for points, name, sha256 in files:
        known = points.filter(~points.bad_line, points.lifecycle.notnull() | points.direct.notnull())
        known = known.filter(known.hour.year().between(days.first.year, days.last.year))
        known = known.filter(known.zone.isin(list(zones))) if zones else known
        per_hour = known.group_by("hour", "zone").aggregate(
            lifecycle_gco2e_per_kwh=exact_mean(known.lifecycle, t.FACTOR),
            direct_gco2e_per_kwh=exact_mean(known.direct, t.FACTOR),
            carbon_free_share=exact_mean(known.carbon_free_share, t.SHARE),
            is_estimated=known.is_estimated.any(),
            repeated=known.count() - 1,
            unflagged=known.unflagged.any(),
        )
        parts.append(per_hour.mutate(name=ibis.literal(name), raw_sha256=ibis.literal(sha256)))
    rows = ibis.union(*parts) if len(parts) > 1 else parts[0]
    whole = rows.lifecycle_gco2e_per_kwh.notnull() & rows.direct_gco2e_per_kwh.notnull()
    hour = ibis.window(group_by=["zone", "hour"])
    first = ibis.window(group_by=["zone", "hour"], order_by=[whole.desc(), rows.name.desc()])
    ranked = rows.mutate(rank=ibis.row_number().over(first), superseded=rows.count().over(hour) - 1)
    best = ranked.filter(ranked["rank"] == 0)
    best = best.mutate(factor_id=_factor_id(best.zone, best.name))
    return best.select(*HOURS.names, "superseded", "repeated", "unflagged").cast(dict(HOURS.items()))


def _open(path: Path, name: str) -> tuple[bool, list[str]]:
    """Whether the file is compressed, and the names in its first line.

    Reads compressed files to their end: a CSV reader may take half a file for a whole one.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as content:
            first = content.readline(1 << 16)
            while packed and content.read(CHUNK):
                pass
        line = first.decode("utf-8-sig")
    except EOFError as error:
        raise MalformedError(f"{name}: the gzip file is truncated", "Copy or download it again.") from error
    except (OSError, zlib.error, UnicodeDecodeError) as error:
        raise MalformedError(f"{name}: cannot be read ({error})", "Copy or download it again.") from error
    return packed, [part.strip().strip('"') for part in line.rstrip("\r\n").split(",")]


def _find_columns(header: list[str], name: str, zone: str | None) -> dict[str, str]:
    """The file's own names for ours."""
    plain = {" ".join(column.lower().replace("₂", "2").split()): column for column in header}
    found = {
        ours: theirs
        for ours, pattern in COLUMNS.items()
        for spelled, theirs in plain.items()
        if re.fullmatch(pattern, spelled)
    }
    for ours, spelling in _SPELLING.items():
        if ours not in found and not (ours == "zone" and zone):
            hint = " If the file is about one zone, name it as `zone` of this source." if ours == "zone" else ""
            raise MalformedError(
                f"{name}: the column '{spelling}' is missing; found {', '.join(header)}"[:500], _REMEDY + hint
            )
    return found


def _points(raw: ir.Table, found: dict[str, str], zone: str | None) -> ir.Table:
    """Typed columns of the text in a file."""
    texts = {ours: raw[theirs].strip() for ours, theirs in found.items()}
    hour = _utc_hour(texts["datetime"])
    lifecycle, bad_lifecycle = _number(texts["lifecycle"], MAX_GCO2E_PER_KWH)
    direct, bad_direct = _number(texts["direct"], MAX_GCO2E_PER_KWH)
    percent, bad_percent = _number(texts.get("carbon_free", ibis.literal("")), 100)
    hundredth = ibis.literal(Decimal("0.01"), "decimal(38, 6)")
    where = texts["zone"].upper().nullif("") if "zone" in texts else ibis.literal(zone)
    flag = texts["estimated"].lower().fill_null("")
    return raw.select(
        hour=hour.cast(t.HOUR),
        zone=where,
        lifecycle=lifecycle.cast(t.FACTOR),
        direct=direct.cast(t.FACTOR),
        carbon_free_share=(percent.cast("decimal(38, 6)") * hundredth).cast(t.SHARE),
        is_estimated=flag != "false",
        bad_line=hour.isnull() | where.isnull(),
        bad_value=bad_lifecycle | bad_direct | bad_percent,
        unflagged=~flag.isin(["true", "false"]),
    )


def _utc_hour(text: ir.StringColumn) -> ir.TimestampColumn:
    """The UTC hour of a time stamp; NULL where it is none, or states another offset."""
    stamp = r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(:\d\d(\.\d+)?)?) ?(Z|UTC|\+00:?00)?$"
    plain = text.re_replace(stamp, r"\1 \2")
    return text.re_search(stamp).ifelse(plain, ibis.null("string")).try_cast("timestamp").truncate("h")


def _number(text: ir.StringValue, most: int) -> tuple[ir.DecimalValue, ir.BooleanValue]:
    """The number in a text, NULL where there is none from 0 to `most`; and whether that is the text's fault."""
    filled = ~text.fill_null("").lower().isin(["", "nan", "null"])
    value = text.try_cast("decimal(18, 6)")
    good = value.between(0, most).fill_null(False)
    return good.ifelse(value, ibis.null("decimal(18, 6)")), filled & ~good


def _factor_id(zone: ir.StringColumn, name: ir.StringColumn) -> ir.StringColumn:
    stem = name.re_replace(r"^.*/", "").re_replace(r"\.csv(\.gz)?$", "")
    return ibis.literal("electricity_maps/csv/") + zone + "/" + stem


def _narrowest_gap_hours(points: ir.Table) -> int:
    """The fewest hours between two points; daily, monthly and yearly exports look like hourly ones but for this."""
    hours = points.filter(~points.bad_line).select("zone", "hour").distinct()
    before = hours.hour.lag().over(group_by="zone", order_by="hour")
    gap = hours.select(seconds=hours.hour.epoch_seconds() - before.epoch_seconds()).seconds.min()
    return (gap.to_pyarrow().as_py() or 3600) // 3600

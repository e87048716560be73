"""What must not cost more where there is more of it: members in regions, and bills that were read before.

What belongs here: the same rows of a day, once of one member in one region and once of thousands in sixty; and a
folder of monthly bills to which one is added. All data is synthetic.
"""

from __future__ import annotations

from datetime import date
from itertools import cycle, islice
from pathlib import Path
from unittest.mock import patch

from energy_assets.emissions.assets import emission_assets
from energy_assets.engine import connection, duckdb_resource
from energy_assets.factors.tables import cloud_zones
from energy_assets.lake import Lake
from energy_assets.periods import Month
from energy_assets.raw.assets import raw_asset
from energy_assets.sandbox.bill import write_focus_bill
from energy_assets.site import load_site
from energy_assets.sources import files
from energy_assets.sources.files import SourceFile
from energy_assets.tables import EMISSIONS, ENERGY, GRID_INTENSITY
from energy_assets_tests.bench.assets import call
from energy_assets_tests.bench.measuring import Work

DAY = date(2026, 3, 1)
FIRST_BILL = Month(2023, 1)
HEAD = """\
organisation: {{name: Synthetic, currency: USD}}
start: {start}
storage: {{root: ./store}}
engine: {{kind: duckdb, memory_limit: 2GB, threads: 2}}
sources:
"""
_MEMBER = "  - {{name: {name}, kind: power_files, path: none.csv, time: t, node: n, power_w: w, place: {{{place}}}}}\n"
_GRID = "  - {name: grid, kind: intensity_files, path: none.csv}\n"

_ENERGY = """
SELECT day, day + (i % 24) * INTERVAL 1 HOUR AS hour, m.source, m.provider, m.account AS account_id, m.region,
    NULL::VARCHAR AS zone, 'project-' || n % 5 AS project, NULL::VARCHAR AS model_id, 'training' AS workload_type,
    NULL::VARCHAR AS workload_id, 'node-' || lpad((n // 8)::VARCHAR, 5, '0') AS node_id,
    'GPU-' || md5(n::VARCHAR) AS device_id, 'gpu' AS device_kind, 'SYNTHETIC-80GB' AS device_model, 'all' AS share_id,
    NULL::DECIMAL(38, 15) AS device_hours, NULL::DECIMAL(38, 15) AS embodied_g,
    (0.1 + (hash(i) % 600000000) / 1000000000)::DECIMAL(18, 9) AS energy_kwh, 1::DECIMAL(18, 9) AS usage_hours,
    'measured_counter' AS method, 2::SMALLINT AS quality_tier, 1::DECIMAL(9, 6) AS coverage,
    5::DECIMAL(6, 3) AS uncertainty_pct, sha256(day::VARCHAR) AS raw_sha256
FROM (SELECT i, i // 24 AS n, DATE '{day}' AS day FROM range({rows}) t(i)) r
JOIN members m ON r.n % (SELECT count(*) FROM members) = m.number"""

_INTENSITY = """
SELECT hour::DATE AS day, hour, zone, (300 + (hash(hour) % 400000) / 1000)::DECIMAL(9, 3) AS lifecycle_gco2e_per_kwh,
    (200 + (hash(hour) % 90000) / 1000)::DECIMAL(9, 3) AS direct_gco2e_per_kwh,
    NULL::DECIMAL(9, 6) AS carbon_free_share, false AS is_estimated, 'hour' AS resolution, 1::SMALLINT AS factor_tier,
    1::DECIMAL(9, 6) AS hour_covered, 60::SMALLINT AS answered_minutes, 'grid' AS source,
    'synthetic:' || zone AS factor_id, sha256(zone) AS raw_sha256
FROM range(TIMESTAMP '{day}', TIMESTAMP '{day}' + INTERVAL 1 DAY, INTERVAL 1 HOUR) t(hour), unnest($1) z(zone)"""
"""In all zones the same, so that the sums do not depend on where the rows are."""


def members(folder: str, kind: str, count: int, regions: int, rows: int) -> Work:
    """Write the site and the tables `energy` and `grid_intensity` of a day.

    Args:
        folder: Empty, or not there.
        kind: "accounts" of one source, or "sources", each with a place of its own.
        count: How many members.
        regions: In how many cloud regions, in turn.
        rows: Rows of energy.
    """
    Path(folder).mkdir(parents=True)
    known = [(region, told[-1].value) for region, told in cloud_zones().items() if told[-1].value][:regions]
    named = [
        (number, f"s{number}" if kind == "sources" else "cloud", provider, f"a{number}", region)
        for number, ((provider, region), _) in enumerate(islice(cycle(known), count))
    ]
    lines = [
        _MEMBER.format(name=source, place=f"provider: {provider}, account_id: {account}, region: {region}, pue: 1.16")
        for _, source, provider, account, region in named
    ]
    if kind == "accounts":
        lines = [_MEMBER.format(name="cloud", place="provider: aws, region: us-east-1, pue: 1.16")]
    Path(folder, "site.yaml").write_text(HEAD.format(start=DAY) + "".join(lines) + _GRID, encoding="utf-8")
    site = load_site(Path(folder, "site.yaml"))
    lake, zones = Lake(site.disk()), sorted({zone for _, zone in known})
    with connection(duckdb_resource(site.engine, str(Path(folder, "spill")))) as con:
        con.con.execute("CREATE TEMP TABLE members(number INT, source TEXT, provider TEXT, account TEXT, region TEXT)")
        con.con.executemany("INSERT INTO members VALUES (?, ?, ?, ?, ?)", named)
        con.con.execute("CREATE TEMP TABLE grid AS " + _INTENSITY.format(day=DAY), [zones])
        lake.replace(con, GRID_INTENSITY, [DAY], con.table("grid"), "bench")
        lake.replace(con, ENERGY, [DAY], con.sql(_ENERGY.format(day=DAY, rows=rows)), "bench")
    return Work(rows=rows, facts={"zones": str(len(zones))})


def emissions(folder: str) -> Work:
    """The asset `emissions/hourly` of the day, called as a run calls it."""
    site, work = load_site(Path(folder, "site.yaml")), Work()
    with work.part("emissions"):
        work.rows = call(emission_assets(site)[0], site, [DAY])
    with connection(duckdb_resource(site.engine, str(Path(folder, "spill")))) as con:
        stored = Lake(site.disk()).read(con, EMISSIONS, [DAY])
        found = stored.aggregate(rows=stored.count(), kwh=stored.energy_kwh.sum(), placed=stored.zone.count())
        work.facts["sums"] = str(found.to_pyarrow().to_pylist())
    return work


def bills(folder: str, months: int, lines: int) -> Work:
    """Write a folder of monthly bills and collect the last of them: every one has to be opened once."""
    Path(folder, "bills").mkdir(parents=True)
    source = "  - {name: bills, kind: focus_files, path: bills/*.parquet}\n"
    Path(folder, "site.yaml").write_text(HEAD.format(start=FIRST_BILL.first) + source, encoding="utf-8")
    return _collected(folder, [_write_bill(folder, number, lines) for number in range(months)][-1])


def one_more_bill(folder: str, months: int, lines: int) -> Work:
    """Add the bill of the month after, and collect it: what a night costs."""
    return _collected(folder, _write_bill(folder, months, lines))


def _write_bill(folder: str, number: int, lines: int) -> Month:
    ahead = FIRST_BILL.month - 1 + number
    month = Month(FIRST_BILL.year + ahead // 12, ahead % 12 + 1)
    write_focus_bill(Path(folder, "bills", f"{month}.parquet"), month.days, rows=lines)
    return month


def _collected(folder: str, month: Month) -> Work:
    """The raw asset of a month, and how many files it opened."""
    site, work, opened = load_site(Path(folder, "site.yaml")), Work(), set()
    fetch = SourceFile.fetch

    def counted(file: SourceFile, target: Path) -> Path:
        opened.add(file.name)
        return fetch(file, target)

    # The files were written a moment ago, and a file that may still be written to is not remembered.
    with patch.object(SourceFile, "fetch", counted), patch.object(files, "SETTLED_S", 0.0), work.part("collect"):
        work.rows = call(raw_asset(site.sources[0], site), site, list(month.days))
    work.facts["opened"] = str(len(opened))
    return work

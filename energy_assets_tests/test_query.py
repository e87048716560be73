"""SQL on the lake: the tables by their names, in UTC, and nothing of the lake can be changed."""

from __future__ import annotations

import contextlib
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from energy_assets.lake import Lake
from energy_assets.query import QueryError, ask
from energy_assets.site import StorageBlock, load_site
from energy_assets.tables import raw_table
from energy_assets_tests.lake_workers import connect, readings
from energy_assets_tests.s3_server import s3_bucket
from energy_assets_tests.small_site import SmallRun, write_site


def test_every_table_that_exists_is_there_by_its_name(small_run: SmallRun) -> None:
    names = [
        "energy",
        "cost",
        "grid_intensity",
        "factors_applied",
        "emissions",
        "kpis_daily",
        "kpis_monthly",
        "raw_meters",
        "raw_grid",
        "raw_bills",
    ]
    for name in names:
        assert ask(small_run.site, f"select count(*) from {name}")[1][0][0] > 0


def test_hours_are_utc_whatever_the_machine_thinks(small_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    query = "select min(hour), min(hour)::timestamptz::varchar from energy"
    assert ask(small_run.site, query)[1] == [(datetime(2024, 5, 30), "2024-05-30 00:00:00+00")]


SELECTS = [
    "select count(*) from energy",
    "from energy limit 1;",
    "with a as (select 1 as n) select n from a -- and a comment",
    "values (1)",
    "table energy",
    "describe energy",
    "summarize energy",
    "show energy",
    "select * from range(3)",
    "select unnest([1, 2])",
    "select * from (pivot (select day, energy_kwh from energy) on day in ('2024-05-30') using sum(energy_kwh))",
]


@pytest.mark.parametrize("query", SELECTS)
def test_what_reads_is_answered(small_run: SmallRun, query: str) -> None:
    assert ask(small_run.site, query)[1]


@pytest.mark.parametrize("query", ["show tables", "SHOW ALL TABLES;", "show  tables -- of mine"])
def test_show_tables_lists_the_lakes_tables_and_nothing_of_the_engine(small_run: SmallRun, query: str) -> None:
    columns, rows = ask(small_run.site, query)
    assert columns == ["name"]
    assert [name for (name,) in rows] == [
        "cost", "emissions", "emissions_market", "energy", "factors_applied", "grid_intensity", "kpis_daily",
        "kpis_monthly", "opportunities", "raw_bills", "raw_grid", "raw_meters", "restatements",
    ]  # fmt: skip


WRITES = [
    "delete from energy",
    "drop view energy",
    "create table mine as from energy",
    "create or replace view energy as select 1",
    "insert into energy select * from energy",
    "update energy set energy_kwh = 0",
    "copy energy to '{folder}/out.csv'",
    "copy (select 1) to '{file}'",
    "copy energy from '{folder}/site.yaml'",
    "attach '{folder}/other.db'",
    "attach ':memory:' as mine",
    "export database '{folder}/out'",
    "import database '{folder}'",
    "install httpfs",
    "load httpfs",
    "set threads = 1",
    "reset threads",
    "set lock_configuration = false",
    "pragma enable_profiling = 'json'",
    "pragma add_parquet_key('k', '0123456789112345')",
    "pragma database_list",
    "call pragma_version()",
    "use memory",
    "prepare p as select 1",
    "execute p",
    "begin",
    "vacuum",
    "checkpoint",
    "explain analyze copy (select 1) to '{folder}/out.csv'",
    "explain select 1",
    "select 1; select 2",
    "select 1; drop view energy",
    "/* select */ drop view energy",
    "select 1 /* ; */ ; copy (select 1) to '{folder}/out.csv'",
    "with gone as (delete from energy returning *) select * from gone",
    "create secret (type s3)",
    "grant all",
    "comment on view energy is 'x'",
]
READS_ELSEWHERE = [
    "from read_text('{folder}/site.yaml')",
    "from read_text('/etc/passwd')",
    "select content from read_blob('/proc/self/environ')",
    "from read_csv('/etc/passwd')",
    "from '/etc/passwd'",
    "from '{folder}/site.yaml'",
    "from '{folder}/meters/2024-05-30.csv'",
    "from read_parquet('{file}/../../../x.parquet')",
    "from read_json('{log}')",
    "from '{log}'",
    "from parquet_metadata('{file}')",
    "from sniff_csv('/etc/passwd')",
    "from glob('/*')",
    "from glob('{folder}/*')",
    "from 'http://127.0.0.1:9/x.csv'",
    "from 's3://bucket/x.parquet'",
    "from query('select 1')",
    "from query_table(['energy'])",
    "from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "from enable_logging('QueryLog', storage = 'file', storage_path = '{file}')",
    "from enable_logging(storage_path = '{folder}/log')",
    "from duckdb_secrets()",
    "from duckdb_logs()",
    "select (select content from read_text('/etc/passwd'))",
    "select * from energy where source in (select content from read_text('/etc/passwd'))",
    "with x as materialized (from read_text('/etc/passwd')) from x",
    "select 1 union all select content from read_text('/etc/passwd')",
    "select 1 order by (select count(*) from glob('/*'))",
    "select 1 limit (select count(*) from glob('/*'))",
    "from energy, lateral (select * from read_text(energy.source))",
    "select getenv('HOME')",
    "from duckdb_local_frame",
    "describe (from read_text('/etc/passwd'))",
    "summarize (from read_text('/etc/passwd'))",
]


@pytest.mark.parametrize("query", [*WRITES, *READS_ELSEWHERE])
def test_what_writes_or_looks_elsewhere_is_refused(small_run: SmallRun, query: str) -> None:
    site = small_run.site
    lake = Lake(site.disk())
    duckdb_local_frame = pa.table({"a": [1]})  # DuckDB would find it by its name
    assert duckdb_local_frame.num_rows
    file = f"{lake.path('energy')}/{lake.files('energy')[0].name}"
    log = f"{lake.path('energy')}/_delta_log/{0:020d}.json"
    before = stored(site.folder)
    with pytest.raises(QueryError):
        ask(site, query.format(folder=site.folder, file=file, log=log))
    assert stored(site.folder) == before


def stored(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with size and time."""
    found = ((path, path.stat()) for path in folder.rglob("*") if path.is_file())
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in found}


@pytest.mark.parametrize("query", ["", "  ", ";", "-- nothing"])
def test_no_statement_is_a_sentence(small_run: SmallRun, query: str) -> None:
    with pytest.raises(QueryError, match=r"There is no statement\. Write one SELECT"):
        ask(small_run.site, query)


def test_a_nested_query_is_answered_or_refused_and_never_a_traceback(small_run: SmallRun) -> None:
    for depth in (10, 400, 100_000):
        with contextlib.suppress(QueryError):
            assert ask(small_run.site, f"select {'(' * depth}1{')' * depth}")[1] == [(1,)]


def test_a_name_that_is_wrong_lists_the_tables(small_run: SmallRun) -> None:
    with pytest.raises(QueryError, match=r"(?s)nergy.*Tables: energy, cost"):
        ask(small_run.site, "from enrgy")


def test_in_a_bucket_a_query_reads_the_tables_and_nothing_else(small_run: SmallRun, tmp_path: Path) -> None:
    with s3_bucket() as storage:
        lake = Lake(storage)
        con = connect()
        days = [date(2024, 5, 30)]
        lake.replace(con, raw_table(small_run.site.sources[0]), days, readings(con, days, 5, "n"), "n")
        options = {name: "env:S3_SECRET" if "secret" in name else value for name, value in storage.options.items()}
        secret = next(value for name, value in storage.options.items() if "secret" in name)
        block = StorageBlock.model_construct(root=storage.root, options=options)
        site = small_run.site.model_copy(update={"storage": block})
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("S3_SECRET", secret)
            assert ask(site, "select count(*), sum(energy_kwh) from raw_meters")[1] == [(5, 5)]
            assert ask(site, "show tables")[1] == [("raw_meters",), ("restatements",)]
            for query in ("from read_text('/etc/passwd')", "copy raw_meters to '/tmp/x.csv'", "from '/etc/passwd'"):
                with pytest.raises(QueryError):
                    ask(site, query)


def test_a_table_that_is_not_there_is_compared_with_ours_alone(small_run: SmallRun) -> None:
    with pytest.raises(QueryError, match=r"^There is no table energi. Did you mean energy[?]\nTables: energy, cost"):
        ask(small_run.site, "select * from energi")
    with pytest.raises(QueryError, match=r"^There is no table pg_constrain[.]\nTables: "):
        ask(small_run.site, "select * from pg_constrain")


def test_where_there_is_no_table_yet_the_command_that_makes_them_is_said(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path))
    with pytest.raises(QueryError) as error:
        ask(site, "select * from cost_of_all")
    first, second, third = str(error.value).splitlines()
    assert (first, second) == ("There is no table cost_of_all.", "Tables: none yet; run some days first:")
    assert f"run --site {site.file} --from " in third

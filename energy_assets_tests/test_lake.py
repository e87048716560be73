"""The lake: days replaced as a whole or not at all, whoever else writes and whenever a writer dies."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import obstore
import pytest
from deltalake import DeltaTable

from energy_assets.contracts.audit import ContractError, StoredTable, schema_of
from energy_assets.contracts.raw import EnergyReadings
from energy_assets.contracts.tables import KpisMonthly
from energy_assets.lake import Commit, Lake
from energy_assets.storage import Storage
from energy_assets.tables import KPIS_MONTHLY
from energy_assets_tests.gcs_server import gcs_bucket
from energy_assets_tests.lake_workers import (
    STORED,
    TABLE,
    connect,
    context,
    readings,
    write,
    write_at_once,
    write_slowly,
    write_until,
)
from energy_assets_tests.rows import at, table
from energy_assets_tests.s3_server import s3_bucket

FIRST = date(2024, 5, 9)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]
KILLED_ROWS = 5_000


@pytest.fixture(scope="module")
def bucket() -> Iterator[Storage]:
    with s3_bucket() as storage:
        yield storage


@pytest.fixture(scope="module")
def gcs() -> Iterator[Storage]:
    with gcs_bucket() as storage:
        yield storage


@pytest.fixture(params=["folder", "bucket", "gcs"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return Storage(str(tmp_path / "var"))
    whole: Storage = request.getfixturevalue(request.param)
    return Storage(f"{whole.root}/{tmp_path.name}", whole.options)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(Storage(str(tmp_path / "var")))


def put(lake: Lake, days: Sequence[date], rows: Sequence[dict[str, Any]], run_id: str = "run") -> Commit:
    return lake.replace(connect(), STORED, days, table(EnergyReadings, rows), run_id)


def row(day: date, kwh: Any = 1, **more: Any) -> dict[str, Any]:
    return {"day": day, "energy_kwh": Decimal(kwh), **more}


def kwh(lake: Lake, days: Sequence[date] | None = None, version: int | None = None) -> dict[date, Decimal]:
    con = connect()
    rows = lake.read(con, STORED, days, version)
    sums = rows.group_by("day").aggregate(kwh=rows.energy_kwh.sum())
    return {r["day"]: r["kwh"] for r in con.to_pyarrow(sums).to_pylist()}


def who(lake: Lake, days: Sequence[date] = DAYS) -> dict[date, tuple[int, set[str]]]:
    """Rows of each day, and whose they are."""
    con = connect()
    rows = lake.read(con, STORED, days)
    told = rows.group_by("day").aggregate(rows=rows.count(), nodes=rows.node_id.collect(distinct=True))
    return {r["day"]: (r["rows"], set(r["nodes"])) for r in con.to_pyarrow(told).to_pylist()}


def test_days_are_replaced_and_read_in_the_contracts_types(storage: Storage) -> None:
    lake = Lake(storage)
    labels = {"team": "a", "x": "<script>"}
    made = put(lake, DAYS[:2], [row(DAYS[0], "0.000000001", labels=labels), row(DAYS[1], 2)])
    assert (made.version, made.rows, made.changed) == (0, {DAYS[0]: 1, DAYS[1]: 1}, tuple(DAYS[:2]))
    con = connect()
    read = lake.read(con, STORED, [DAYS[0]])
    assert read.schema() == schema_of(EnergyReadings)
    (first,) = con.to_pyarrow(read).to_pylist()
    assert (first["energy_kwh"], dict(first["labels"])) == (Decimal("0.000000001"), labels)

    second = put(lake, [DAYS[1]], [row(DAYS[1], 5)])
    assert (second.version, second.changed) == (1, (DAYS[1],))
    assert kwh(lake) == {DAYS[0]: Decimal("0.000000001"), DAYS[1]: 5}
    assert kwh(lake, version=0) == {DAYS[0]: Decimal("0.000000001"), DAYS[1]: 2}
    assert lake.fingerprints(TABLE) == {**made.fingerprints, **second.fingerprints}
    assert (lake.version(TABLE), lake.tables()) == (1, [TABLE])


def test_equal_content_makes_no_new_version(storage: Storage) -> None:
    lake = Lake(storage)
    rows = [row(day, device_id=f"d{n}") for day in DAYS for n in range(3)]
    first = put(lake, DAYS, rows)
    again = put(lake, DAYS, rows[::-1])
    alone = put(lake, DAYS[1:2], [r for r in rows if r["day"] == DAYS[1]])
    assert (again.version, again.changed, alone.changed) == (first.version, (), ())
    assert again.fingerprints == first.fingerprints


def test_of_several_days_only_those_that_changed_are_written(lake: Lake) -> None:
    put(lake, DAYS, [row(day) for day in DAYS])
    before = {day: files for day, files in _files(lake).items()}
    commit = put(lake, DAYS, [row(day, 7 if day == DAYS[2] else 1) for day in DAYS])
    after = _files(lake)
    assert commit.changed == (DAYS[2],)
    assert [day for day in DAYS if before[str(day)] != after[str(day)]] == [DAYS[2]]


def test_a_day_without_rows_becomes_empty(storage: Storage) -> None:
    lake = Lake(storage)
    put(lake, DAYS[:2], [row(day) for day in DAYS[:2]])
    emptied = put(lake, DAYS[:2], [row(DAYS[1])])
    assert emptied.changed == (DAYS[0],)
    assert kwh(lake) == {DAYS[1]: 1}
    assert put(lake, [DAYS[1]], []).rows == {}
    assert kwh(lake) == {}
    assert put(lake, [DAYS[1]], []).changed == ()


def test_nothing_for_a_table_that_does_not_exist_makes_no_table(lake: Lake) -> None:
    assert put(lake, DAYS, []) == Commit(None, {}, {}, ())
    assert (lake.version(TABLE), lake.tables(), lake.fingerprints(TABLE)) == (None, [], {})
    assert kwh(lake) == {}


def test_rows_outside_the_days_are_refused(lake: Lake) -> None:
    put(lake, DAYS[:1], [row(DAYS[0])])
    with pytest.raises(ContractError, match=f"outside the run, as of {DAYS[1]}: 1 row"):
        put(lake, DAYS[:1], [row(DAYS[0], 9), row(DAYS[1])])
    assert kwh(lake) == {DAYS[0]: 1}


def test_a_commit_names_its_run(storage: Storage) -> None:
    lake = Lake(storage)
    put(lake, DAYS[:1], [row(DAYS[0])], "run-a")
    put(lake, DAYS[:1], [row(DAYS[0], 2)], "run-b")
    log = f"lake/{TABLE}/_delta_log/{{:020d}}.json"
    commits = [bytes(obstore.get(storage.store(), log.format(n)).bytes()) for n in (0, 1)]
    told = [json.loads(line) for commit in commits for line in commit.splitlines()]
    assert [line["commitInfo"]["dagster_run_id"] for line in told if "commitInfo" in line] == ["run-a", "run-b"]


def test_a_breach_commits_nothing_and_leaves_nothing_behind(lake: Lake, tmp_path: Path) -> None:
    put(lake, DAYS[:1], [row(DAYS[0])])
    bad = [row(DAYS[0], -1, device_id=f"d{n}") for n in range(25)]
    commit = put(lake, DAYS[:1], [*bad, row(DAYS[0], 3)])
    error = commit.rejected[DAYS[0]]
    assert error.violations == {"energy_kwh.greater_than_or_equal_to": 25}
    assert len(error.examples) == 20
    assert {example["energy_kwh"] for example in error.examples} == {-1}
    assert (commit.version, commit.rows, commit.fingerprints, commit.changed) == (0, {}, {}, ())
    assert (kwh(lake), lake.version(TABLE)) == ({DAYS[0]: 1}, 0)
    assert list((tmp_path / "var/lake" / TABLE / "_staging").iterdir()) == []


def test_monthly_tables_are_partitioned_by_month(lake: Lake) -> None:
    con = connect()
    month = date(2024, 5, 1)
    kpi = {"month": month, "kpi": "k", "grain": "total", "unit": "u", "days": 3, "value": Decimal("1.5")}
    names = schema_of(KpisMonthly).names
    rows = con.create_table("kpi", schema=schema_of(KpisMonthly))
    con.insert("kpi", [tuple(kpi.get(name) for name in names)])
    commit = lake.replace(con, KPIS_MONTHLY, [month], rows, "run")
    assert commit.changed == (month,)
    (read,) = con.to_pyarrow(lake.read(con, KPIS_MONTHLY, [month])).to_pylist()
    assert (read["value"], read["days"]) == (Decimal("1.5"), 3)


def test_a_large_day_lies_in_several_files_and_has_one_fingerprint(tmp_path: Path) -> None:
    """Threads stage a day in as many files as they like; content alone decides whether it changed."""
    con, lake = connect(), Lake(Storage(str(tmp_path)))
    first = lake.replace(con, STORED, DAYS[:1], readings(con, DAYS[:1], 200_000, "n"), "a")
    con.raw_sql("SET threads = 4")
    again = lake.replace(con, STORED, DAYS[:1], readings(con, DAYS[:1], 200_000, "n"), "b")
    assert (first.rows, again.changed) == ({DAYS[0]: 200_000}, ())


def day_by_day(lake: Lake, days: Sequence[date], rows: Sequence[dict[str, Any]]) -> Commit:
    con = connect()
    stored = con.create_table("stored", table(EnergyReadings, rows))
    return lake.replace(con, STORED, days, stored, "run", day_by_day=True)


def test_day_by_day_is_the_same_as_at_once(tmp_path: Path) -> None:
    lake = Lake(Storage(str(tmp_path / "somebody's")))
    rows = [row(day, n + 1, node_id=f"n{n}") for n, day in enumerate([DAYS[0], DAYS[0], DAYS[2]])]
    one_by_one = day_by_day(lake, DAYS[:3], rows)
    assert one_by_one.changed == (DAYS[0], DAYS[2])
    assert kwh(lake) == {DAYS[0]: 3, DAYS[2]: 3}
    at_once = put(lake, DAYS[:3], rows)
    assert (at_once.fingerprints, at_once.rows, at_once.changed) == (one_by_one.fingerprints, one_by_one.rows, ())


def test_day_by_day_refuses_rows_of_other_days_and_of_none(lake: Lake) -> None:
    with pytest.raises(ContractError, match="outside the run"):
        day_by_day(lake, DAYS[:1], [row(DAYS[0]), row(DAYS[1])])
    with pytest.raises(ContractError, match="not_null"):
        day_by_day(lake, DAYS[:1], [row(DAYS[0]), row(DAYS[0], node_id="n2") | {"day": None, "hour": at()}])
    assert lake.version(TABLE) is None


def test_day_by_day_gives_the_engine_its_threads_back(lake: Lake) -> None:
    con = connect()
    con.raw_sql("SET threads = 3")
    lake.replace(con, STORED, DAYS, readings(con, DAYS, 10, "n"), "run", day_by_day=True)
    assert con.raw_sql("SELECT current_setting('threads')").fetchone() == (3,)


def test_two_writers_of_overlapping_days_double_no_rows(tmp_path: Path) -> None:
    """Days nobody has written yet are where Delta itself would let both writers through."""
    processes, errors = context(), context().Queue()
    spans = {"a": DAYS[:3], "b": DAYS[1:], "c": DAYS}
    for attempt in range(3):
        root = str(tmp_path / f"{attempt}")
        if attempt:  # the first time they race to make the table itself
            write(root, [FIRST - timedelta(days=9)], 1, "before")
        start = processes.Barrier(len(spans))
        writers = [
            processes.Process(target=write_at_once, args=(root, days, 50, node, start, errors))
            for node, days in spans.items()
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        assert errors.empty(), errors.get()
        found = who(Lake(Storage(root)))
        assert {day: count for day, (count, _) in found.items()} == dict.fromkeys(DAYS, 50)
        assert all(len(nodes) == 1 and day in spans[next(iter(nodes))] for day, (_, nodes) in found.items())


@pytest.mark.parametrize("store", ["bucket", "gcs"])
def test_two_writers_of_a_bucket_double_no_rows(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bucket: Storage = request.getfixturevalue(store)
    root = f"{bucket.root}/{tmp_path.name}"
    spans = [DAYS[:3], DAYS[1:]]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(write, root, days, 5, f"w{n}", bucket.options) for n, days in enumerate(spans * 2)]
        assert all(job.result().rows for job in jobs)
    found = who(Lake(Storage(root, bucket.options)))
    assert {day: count for day, (count, _) in found.items()} == dict.fromkeys(DAYS, 5)


def test_readers_see_whole_days_while_a_writer_works(tmp_path: Path) -> None:
    root, count, processes = str(tmp_path / "var"), 300, context()
    write(root, DAYS, count, "writer-0")
    stop, errors, commits = processes.Event(), processes.Queue(), processes.Value("i", 0)
    writer = processes.Process(target=write_until, args=(root, DAYS, count, stop, errors, commits))
    writer.start()
    reads, seen, until = 0, set(), time.monotonic() + 5
    lake = Lake(Storage(root))
    while time.monotonic() < until or (commits.value < 3 and time.monotonic() < until + 30):
        found = who(lake)
        reads += 1
        assert {day: rows for day, (rows, _) in found.items()} == dict.fromkeys(DAYS, count)
        (one,) = set().union(*(nodes for _, nodes in found.values()))
        seen.add(one)
    stop.set()
    writer.join(60)
    assert errors.empty(), errors.get()
    assert (reads > 3, len(seen) > 1) == (True, True), f"{reads} reads of {len(seen)} versions"


@pytest.fixture(scope="module")
def one_write_s(tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long an undisturbed write takes."""
    root = str(tmp_path_factory.mktemp("measure"))
    write(root, DAYS, 10, "warm")
    began = time.monotonic()
    write(root, DAYS, KILLED_ROWS, "measure")
    return time.monotonic() - began


@pytest.mark.parametrize("moment", [0.05, 0.35, 0.6, 0.8, 1.0])
def test_a_writer_killed_in_the_middle_leaves_the_last_good_version(
    tmp_path: Path, one_write_s: float, moment: float
) -> None:
    """`moment` is the share of the time an undisturbed write takes."""
    root, processes = str(tmp_path / "var"), context()
    write(root, DAYS, 10, "good")
    started = processes.Queue()
    writer = processes.Process(target=write_slowly, args=(root, DAYS, KILLED_ROWS, "killed", started))
    writer.start()
    started.get(timeout=60)
    time.sleep(one_write_s * moment)
    writer.kill()
    writer.join(60)

    lake = Lake(Storage(root))
    whole = [dict.fromkeys(DAYS, (10, {"good"})), dict.fromkeys(DAYS, (KILLED_ROWS, {"killed"}))]
    assert who(lake) in whole
    healed = write(root, DAYS, 20, "next")
    assert healed.changed == tuple(DAYS)
    assert who(lake) == dict.fromkeys(DAYS, (20, {"next"}))
    assert list((tmp_path / "var/lake" / TABLE / "_staging").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_at_any_moment_leaves_the_last_good_version(small_disk: Path) -> None:
    """Free pages from none up to what a write needs: staging, moving and the commit itself each run out once."""
    lake = Lake(Storage(str(small_disk)))
    put(lake, DAYS, [row(day) for day in DAYS])
    failures, filler = [], small_disk / "filler"
    for pages in range(30):
        with filler.open("wb") as file:
            file.write(b"x" * max(0, _free(small_disk) - pages * 4096))
        try:
            put(lake, DAYS, [row(day, 2) for day in DAYS])
        except Exception as error:
            failures.append(str(error))
            assert kwh(lake) == dict.fromkeys(DAYS, 1)
        else:
            break
        finally:
            filler.unlink()
    assert kwh(lake) == dict.fromkeys(DAYS, 2), "once there is room, the same run goes through"
    assert len(failures) > 2
    assert all("space" in text for text in failures), failures
    assert list((small_disk / "lake" / TABLE / "_staging").iterdir()) == []


def test_an_empty_root_has_no_tables(storage: Storage) -> None:
    assert Lake(storage).tables() == []


def test_files_lie_under_the_root_of_a_bucket(bucket: Storage, tmp_path: Path) -> None:
    storage = Storage(f"{bucket.root}/{tmp_path.name}", bucket.options)
    put(Lake(storage), DAYS[:1], [row(DAYS[0])])
    paths = [meta["path"] for batch in obstore.list(storage.store(), "lake") for meta in batch]
    assert any(path.startswith(f"lake/{TABLE}/_delta_log/") for path in paths)
    assert sum(path.endswith(".parquet") for path in paths) == 1


def _files(lake: Lake) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in DeltaTable(lake.path(TABLE)).file_uris():
        found.setdefault(name.split("day=")[1][:10], []).append(name)
    return found


def _free(disk: Path) -> int:
    told = os.statvfs(disk)
    return told.f_bavail * told.f_frsize


def test_tables_of_one_contract_are_read_together_each_row_with_its_table(storage: Storage) -> None:
    lake, con = Lake(storage), connect()
    two = replace(STORED, name="second")
    together: dict[str, StoredTable] = {"one": STORED, "o'ther": two, "none yet": replace(STORED, name="third")}
    assert lake.read_together(con, together).count().execute() == 0
    for one, days in ((STORED, DAYS[:2]), (two, DAYS[1:3])):
        lake.replace(con, one, days, table(EnergyReadings, [{"day": day} for day in days]), "run")
    rows = lake.read_together(con, together)
    assert [name for name in rows.columns if name != "source"] == list(schema_of(EnergyReadings))
    found = sorted((row["source"], row["day"]) for row in rows.select("source", "day").to_pyarrow().to_pylist())
    assert found == [("o'ther", DAYS[1]), ("o'ther", DAYS[2]), ("one", DAYS[0]), ("one", DAYS[1])]
    some = lake.read_together(con, together, [DAYS[2]])
    assert some.source.to_pyarrow().to_pylist() == ["o'ther"]
    assert lake.read_together(con, {"one": STORED}, DAYS[1:]).source.to_pyarrow().to_pylist() == ["one"]

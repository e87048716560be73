"""The source power_files, through landing and back: which files a day gets, rows, errors, and the doctor."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet
import pytest
from moto.server import ThreadedMotoServer
from pydantic import ValidationError

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.raw import PLACE_COLUMNS, EnergyReadings
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError, PermanentError
from energy_assets.sources.power_files.source import PowerFiles
from energy_assets_tests.sources.power_files.reading import rows_read

DAY = date(2024, 5, 9)
MIDNIGHT = datetime(2024, 5, 9, tzinfo=UTC)
NEXT = DayRange(DAY, DAY + timedelta(days=1))
PLACED_ELSEWHERE = ibis.schema(
    {name: dtype for name, dtype in schema_of(EnergyReadings).items() if name not in PLACE_COLUMNS}
)
"""The columns of a source whose block says where its machines stand."""


def source(**keys: Any) -> PowerFiles:
    block = {"name": "meters", "kind": "power_files", "path": "meters/*", "node": "node", "place": {"region": "r1"}}
    return PowerFiles.model_validate(block | keys)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if name.endswith(".gz") else text.encode())


def steps(start: datetime, minutes: int, watts: float = 600, node: str = "n1") -> str:
    """CSV lines, one reading a minute, both ends included."""
    instants = (start + timedelta(minutes=m) for m in range(minutes + 1))
    return "".join(f"{t:%Y-%m-%dT%H:%M:%SZ},{node},{watts}\n" for t in instants)


HEADER = "time,node,power_w\n"


def test_rows_fill_the_contract_and_say_how_the_energy_is_known(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, 60))
    table, notes = rows_read(source(confirmed=True, device_model="DGX H100"), DayRange(DAY, DAY), step)
    (row,) = table.to_pylist()
    object_ = collect(source(), DayRange(DAY, DAY), step).editions[DAY].objects[0]

    assert notes == {}
    assert step.con.create_table("check_schema", table).schema() == PLACED_ELSEWHERE
    assert object_.request == {"path": "meters/a.csv", "role": "readings"}
    assert row == {
        "day": DAY,
        "hour": MIDNIGHT.replace(tzinfo=None),
        "node_id": "n1",
        "device_id": "n1",
        "device_kind": "node",
        "device_model": "DGX H100",
        "device_uuid": None,
        "share_id": "all",
        "energy_kwh": Decimal("0.6"),
        "usage_hours": Decimal(1),
        "method": "metered_node",
        "quality_tier": 1,
        "coverage": Decimal(1),
        "workload_id": None,
        "idle": False,
        "labels": [("node", "n1")],
        "raw_sha256": object_.sha256,
    }


@pytest.mark.parametrize(
    ("keys", "method", "tier"),
    [
        ({}, "metered_node", 2),
        ({"device_kind": "gpu"}, "measured_power", 2),
        ({"gap_policy": "hold", "max_gap_s": 30}, "metered_node", 3),
    ],
)
def test_method_and_tier_follow_from_what_is_metered(step: StepContext, keys: Any, method: str, tier: int) -> None:
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, 1))
    (row,) = rows_read(source(**keys), DayRange(DAY, DAY), step)[0].to_pylist()
    assert (row["method"], row["quality_tier"], row["energy_kwh"]) == (method, tier, Decimal("0.01"))


def test_confirmed_is_refused_for_anything_but_node_meters() -> None:
    with pytest.raises(ValidationError, match="set device_kind: node"):
        source(confirmed=True, device_kind="gpu")


EPOCH = int(MIDNIGHT.timestamp())
TIMES: dict[str, tuple[list[Any], dict[str, str]]] = {
    "iso with Z": (["2024-05-09T00:00:00Z", "2024-05-09T00:01:00Z"], {}),
    "iso with an offset": (["2024-05-09T02:00:00+02:00", "2024-05-08T18:31:00-05:30"], {}),
    "iso without": (["2024-05-09 00:00:00", "2024-05-09 00:01:00"], {}),
    "seconds": ([f"{EPOCH}.25", f"{EPOCH + 60}.250000"], {"time_unit": "s"}),
    "milliseconds": ([EPOCH * 1000, (EPOCH + 60) * 1000], {"time_unit": "ms"}),
    "microseconds": ([EPOCH * 10**6, (EPOCH + 60) * 10**6], {"time_unit": "us"}),
    "nanoseconds": ([EPOCH * 10**9, (EPOCH + 60) * 10**9], {"time_unit": "ns"}),
    "double seconds": ([EPOCH + 0.337, EPOCH + 60.337], {"time_unit": "s"}),
    "naive timestamps": ([MIDNIGHT.replace(tzinfo=None), datetime(2024, 5, 9, 0, 1)], {}),
    "aware timestamps": ([MIDNIGHT, datetime(2024, 5, 9, 0, 1, tzinfo=UTC)], {}),
}


@pytest.mark.parametrize(("mark", "newline"), [(",", "\n"), (";", "\r\n"), ("\t", "\n")])
def test_other_delimiters_line_ends_and_a_byte_order_mark_are_read(step: StepContext, mark: str, newline: str) -> None:
    text = ("\ufeff" + HEADER + steps(MIDNIGHT, 60)).replace(",", mark).replace("\n", newline)
    write(step.site_folder, "meters/a.csv", text)
    assert rows_read(source(), DayRange(DAY, DAY), step)[0]["energy_kwh"].to_pylist() == [Decimal("0.6")]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("spelling", TIMES)
def test_every_spelling_of_time_in_every_format_gives_the_same_energy(
    step: StepContext, spelling: str, suffix: str
) -> None:
    times, keys = TIMES[spelling]
    if suffix == "parquet":
        (step.site_folder / "meters").mkdir()
        columns = pa.table({"time": times, "node": ["n1"] * 2, "power_w": [600, 600]})
        pa.parquet.write_table(columns, step.site_folder / "meters/a.parquet")
    else:
        write(step.site_folder, f"meters/a.{suffix}", HEADER + "".join(f"{t},n1,600\n" for t in times))
    (row,) = rows_read(source(**keys), DayRange(DAY, DAY), step)[0].to_pylist()
    assert (row["hour"], row["energy_kwh"]) == (MIDNIGHT.replace(tzinfo=None), Decimal("0.01"))


def test_a_day_gets_the_files_near_it_and_alone_equals_itself_in_a_range(step: StepContext) -> None:
    """Files of six hours, cut at midnight: the interval across needs the last reading of the day before."""
    start = MIDNIGHT - timedelta(minutes=1) - timedelta(hours=6)
    for number in range(10):
        begin = start + timedelta(hours=6 * number)
        write(step.site_folder, f"meters/{number}.csv.gz", HEADER + steps(begin, 358, 500 + number))
    ranged = rows_read(source(), DayRange(DAY - timedelta(days=1), DAY + timedelta(days=1)), step)[0]
    collected = collect(source(), NEXT, step)
    alone = collect(source(), DayRange(DAY, DAY), step)

    assert alone.editions[DAY] == collected.editions[DAY]
    names = [object_.request["path"] for object_ in alone.editions[DAY].objects]
    assert names == [f"meters/{n}.csv.gz" for n in range(6)]
    con = duckdb.connect()
    con.register("ranged", ranged)
    of_day = con.sql(f"FROM ranged WHERE day = '{DAY}' ORDER BY hour").to_arrow_table()
    rows = rows_read(source(), DayRange(DAY, DAY), step)[0]
    assert rows.to_pylist() == of_day.to_pylist()
    assert len(rows) == 24
    assert {row["coverage"] for row in rows.to_pylist()} == {Decimal(1)}
    assert len(set(rows["raw_sha256"].to_pylist())) == 4


def test_runs_share_an_hour_with_idle_and_their_sum_is_the_nodes_energy(step: StepContext) -> None:
    """600 W for an hour on two nodes; a runs on n1 only, b on both, as the readings name them."""
    lines = "".join(
        line.replace("\n", f",{'b' if int(line[14:16]) >= 30 or node == 'n2' else 'a'}\n")
        for node in ("n1", "n2")
        for line in steps(MIDNIGHT, 60, node=node).splitlines(keepends=True)
    )
    write(step.site_folder, "meters/a.csv", "time,node,power_w,run\n" + lines)
    write(
        step.site_folder,
        "runs.csv",
        "run,start,end\na,2024-05-09T00:05:00Z,2024-05-09T00:20:00Z\nb,2024-05-09T00:30:00Z,2024-05-09T00:45:30Z\n"
        "b,2024-05-09T00:50:00Z,\nc,2024-05-09T00:00:00Z,2024-05-09T01:00:00Z\n",
    )
    table, notes = rows_read(source(run="run", windows="runs.csv"), DayRange(DAY, DAY), step)
    found = {(r["node_id"], r["share_id"]): (r["energy_kwh"], r["workload_id"], r["idle"]) for r in table.to_pylist()}
    assert found == {
        ("n1", "a"): (Decimal("0.15"), "a", False),
        ("n1", "b"): (Decimal("0.155"), "b", False),
        ("n1", "idle"): (Decimal("0.295"), None, True),
        ("n2", "b"): (Decimal("0.155"), "b", False),
        ("n2", "idle"): (Decimal("0.445"), None, True),
    }
    assert notes == {"windows_without_end_dropped": 1}
    assert dict(table.to_pylist()[0]["labels"]) == {"node": "n1", "run": "a"}


@pytest.mark.parametrize(
    ("header", "keys", "nodes"),
    [("run,start,end", {}, {"n1", "n2"}), ("run,start,end,host", {"node": "host"}, {"n2"})],
)
def test_windows_of_readings_without_runs_are_for_every_node_or_the_one_they_name(
    step: StepContext, header: str, keys: dict[str, str], nodes: set[str]
) -> None:
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, 60) + steps(MIDNIGHT, 60, node="n2"))
    write(step.site_folder, "runs.csv", f"{header}\na,{EPOCH},{EPOCH + 600}{',n2' if keys else ''}\n")
    windows = {"path": "runs.csv", "time_unit": "s", **keys}
    rows = rows_read(source(windows=windows), DayRange(DAY, DAY), step)[0].to_pylist()
    assert {row["node_id"] for row in rows if row["share_id"] == "a"} == nodes
    assert {row["energy_kwh"] for row in rows if row["share_id"] == "a"} == {Decimal("0.1")}


def test_columns_joined_keep_equal_names_of_different_machines_apart(step: StepContext) -> None:
    lines = "".join(f"{hall},{line}" for hall in "AB" for line in steps(MIDNIGHT, 60).splitlines(keepends=True))
    write(step.site_folder, "meters/a.csv", "hall," + HEADER + lines)
    rows = rows_read(source(node=["hall", "node"]), DayRange(DAY, DAY), step)[0].to_pylist()
    assert [(row["node_id"], row["energy_kwh"]) for row in rows] == [("A/n1", Decimal("0.6")), ("B/n1", Decimal("0.6"))]


def test_two_copies_of_a_file_count_once(step: StepContext) -> None:
    for name in ("a", "b"):
        write(step.site_folder, f"meters/{name}.csv", HEADER + steps(MIDNIGHT, 60) + "2024-05-09T00:30:30Z,,600\n")
    table, notes = rows_read(source(), DayRange(DAY, DAY), step)
    assert table["energy_kwh"].to_pylist() == [Decimal("0.6")]
    assert notes == {"duplicate_readings_dropped": 61, "readings_without_node_dropped": 2}


GOOD = steps(MIDNIGHT, 60)
CUT = gzip.compress((HEADER + steps(MIDNIGHT, 1400)).encode())[:-400]
ERRORS: dict[str, tuple[str, bytes, dict[str, str], str]] = {
    "missing column": ("a.csv", b"time,host,power_w\n", {}, "a.csv: has no column 'node'; it has 'time', 'host'"),
    "unreadable time": (
        "a.csv",
        f"{HEADER}{GOOD}soon,n1,600\n".encode(),
        {},
        "'time' has 1 time .* 'soon'.* ISO 8601",
    ),
    "missing time": ("a.csv", f"{HEADER}{GOOD},n1,600\n".encode(), {}, "'time' has 1 time that cannot be read"),
    "epoch without unit": ("a.csv", f"{HEADER}{EPOCH},n1,600\n".encode(), {}, "set `time_unit`"),
    "ms read as s": (
        "a.csv",
        f"{HEADER}{EPOCH}000,n1,600\n".encode(),
        {"time_unit": "s"},
        f"after 2100, for example {EPOCH}000; `time_unit` is 's' and is probably wrong",
    ),
    "s read as ms": (
        "a.csv",
        f"{HEADER}{EPOCH},n1,600\n".encode(),
        {"time_unit": "ms"},
        "before 2000 .* `time_unit` is 'ms' and is probably wrong",
    ),
    "ns read as s": ("a.csv", f"{HEADER}{EPOCH}000000000,n1,600\n".encode(), {"time_unit": "s"}, "probably wrong"),
    "text in power": (
        "a.csv",
        f"{HEADER}{GOOD}2024-05-09T00:00:01Z,n1,lots\n".encode(),
        {},
        "a.csv: column 'power_w' has 1 value that is no number, for example 'lots'",
    ),
    "other encoding far below": (
        "a.csv",
        (HEADER + steps(MIDNIGHT, 1400) * 40).encode() + b"2024-05-09T00:00:01Z,n1,6\xb0\n",
        {},
        "a.csv: .*line 56,?0",
    ),
    "the same, packed": (
        "a.csv.gz",
        gzip.compress((HEADER + steps(MIDNIGHT, 1400) * 40).encode() + b"2024-05-09T00:00:01Z,n1,6\xb0\n", mtime=0),
        {},
        "a.csv.gz: .*line 56,?0",
    ),
    "truncated gzip": ("a.csv.gz", CUT, {}, "a.csv.gz: the gzip file is truncated"),
    "empty file": ("a.csv", b"", {}, "a.csv: is empty"),
    "short row": ("a.csv", f"{HEADER}{GOOD}2024-05-09T00:00:01Z\n".encode(), {}, "a.csv: line 63 has 1 field, and"),
    "no parquet": ("a.parquet", b"PAR1 is not enough", {}, "meters/a.parquet: cannot be read"),
    "unknown format": ("a.xlsx", b"PK", {}, "a.xlsx: a format that cannot be read"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bytes_that_cannot_be_read_are_landed_and_the_error_names_file_column_and_remedy(
    step: StepContext, case: str
) -> None:
    name, body, keys, message = ERRORS[case]
    (step.site_folder / "meters").mkdir()
    (step.site_folder / "meters" / name).write_bytes(body)
    with pytest.raises(MalformedError, match=message) as caught:
        rows_read(source(**keys), DayRange(DAY, DAY), step)
    assert caught.value.remedy
    assert str(step.folder) not in str(caught.value)
    assert collect(source(**keys), DayRange(DAY, DAY), step).editions[DAY].objects[0].bytes == len(body)


def test_a_glob_that_matches_nothing_is_an_error(step: StepContext) -> None:
    with pytest.raises(PermanentError, match=r"meters/\*: no file matches"):
        rows_read(source(), DayRange(DAY, DAY), step)


@pytest.mark.parametrize(
    ("line", "message"),
    [("a,then,2024-05-09", "'start' .* 'then'"), (",2024-05-09,2024-05-10", "runs.csv: a window has no run")],
)
def test_a_bad_window_is_an_error_that_names_the_file(step: StepContext, line: str, message: str) -> None:
    write(step.site_folder, "meters/a.csv", HEADER + GOOD)
    write(step.site_folder, "runs.csv", f"run,start,end\n{line}\n")
    with pytest.raises(MalformedError, match=message):
        rows_read(source(windows="runs.csv"), DayRange(DAY, DAY), step)


def test_a_day_without_readings_has_no_rows(step: StepContext) -> None:
    write(step.site_folder, "meters/a[1].csv", HEADER + GOOD)
    empty = DayRange(DAY + timedelta(days=3), DAY + timedelta(days=3))
    assert collect(source(), empty, step).editions[empty.first].objects == ()
    assert rows_read(source(), empty, step) == (step.con.table(_empty(step)).to_pyarrow(), {})
    assert len(rows_read(source(), DayRange(DAY, DAY), step)[0]) == 1


def _empty(step: StepContext) -> str:
    step.con.create_table("empty_rows", schema=PLACED_ELSEWHERE, temp=True)
    return "empty_rows"


def test_files_in_a_bucket_give_the_same_rows(step: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    write(step.site_folder, "meters/a.csv.gz", HEADER + GOOD)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        client.create_bucket(Bucket="power")
        client.upload_file(str(step.site_folder / "meters/a.csv.gz"), "power", "meters/a.csv.gz")
        remote = rows_read(source(path="s3://power/meters/*", endpoint_url=url), DayRange(DAY, DAY), step)
    finally:
        server.stop()
    assert remote == rows_read(source(), DayRange(DAY, DAY), step)


def test_the_doctor_tells_each_file_and_whether_windows_match(step: StepContext) -> None:
    good = "2024-05-09T00:00:00Z,n1,600,a\n2024-05-09T00:05:00Z,n1,600,a\n"
    write(step.site_folder, "meters/a.csv", "time,node,power_w,run\n" + good)
    write(step.site_folder, "meters/b.csv", "time,node,power_w,run\n2024-05-09T00:00:00Z,n1,600 apples,a\n")
    write(step.site_folder, "runs.csv", "run,start,end\nA,2024-05-09T00:05:00Z,2024-05-09T00:20:00Z\n")
    found = list(source(run="run", windows="runs.csv").check(step))
    assert [(f.ok, f.what.split(",")[0]) for f in found] == [
        (True, "meters/a.csv: 2 readings of 1 node (n1)"),
        (False, "meters/b.csv: column 'power_w' has 1 value that is no number"),
        (False, "runs.csv: 1 windows"),
    ]
    assert "same columns" in found[2].remedy
    (nothing,) = source(path="elsewhere/*").check(step)
    assert (nothing.ok, "no file matches" in nothing.what) == (False, True)


@pytest.mark.parametrize("last", ["1.250", "1,250", "1.250.000"])
def test_thousands_far_below_whole_numbers_are_refused(step: StepContext, last: str) -> None:
    lines = [f"2026-10-05 {n // 60:02d}:{n % 60:02d}:00;n1;900" for n in range(600)]
    write(
        step.site_folder, "meters/a.csv", "\n".join(["time;node;power_w", *lines, f"2026-10-05 10:00:00;n1;{last}", ""])
    )
    with pytest.raises(MalformedError, match="power_w") as error:
        rows_read(source(), DayRange(date(2026, 10, 5), date(2026, 10, 5)), step)
    assert f"'{last}'" in str(error.value)

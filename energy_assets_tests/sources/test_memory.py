"""What is known of a file is not read again, and never changes what comes out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import LocalStore

from energy_assets.landing import Landing
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources import files
from energy_assets.sources.aws.focus_export import AwsFocusExport
from energy_assets.sources.base import Source, StepContext
from energy_assets.sources.errors import MalformedError, PermanentError, TransientError
from energy_assets.sources.files import SourceFile, list_files
from energy_assets.sources.focus.source import FocusFiles
from energy_assets.sources.intensity_files.source import IntensityFiles
from energy_assets.sources.memory import Memory
from energy_assets.sources.power_files.source import PowerFiles
from energy_assets_tests.sources.focus.bills import csv_bytes, line, on

MONTHS = [date(2023 + n // 12, n % 12 + 1, 1) for n in range(36)]
NEW = date(2026, 1, 1)
Put = Callable[[str, bytes], None]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files fetched, in order; files of this test count as settled at once."""
    names: list[str] = []
    fetch = SourceFile.fetch

    def counted(self: SourceFile, folder: Path) -> Path:
        names.append(self.name.rsplit("/", 1)[-1])
        return fetch(self, folder)

    monkeypatch.setattr(SourceFile, "fetch", counted)
    monkeypatch.setattr(files, "SETTLED_S", 0.0)
    return names


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, Put]:
    """A bucket of its own, and how things are put there."""
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    bucket = f"b{abs(hash(tmp_path))}"
    client.create_bucket(Bucket=bucket)
    return bucket, lambda key, body: client.put_object(Bucket=bucket, Key=key, Body=body)


def fresh(step: StepContext) -> StepContext:
    """The next run: another temporary folder, the same landing zone."""
    folder = step.folder / f"run-{len(list(step.folder.iterdir()))}"
    folder.mkdir()
    return replace(step, folder=folder)


def bill(month: date) -> bytes:
    start = f"{month} 00:00:00"
    days = (month + timedelta(days=n) for n in range(3))
    charges = (
        line(BillingPeriodStart=start, ChargePeriodStart=f"{d} 00:00:00", ChargePeriodEnd=f"{d} 01:00:00") for d in days
    )
    return csv_bytes(list(charges))


def grid(month: date) -> bytes:
    head = (
        "Datetime (UTC),Zone id,Carbon intensity gCO₂eq/kWh (direct),"
        "Carbon intensity gCO₂eq/kWh (Life cycle),Carbon-free energy percentage (CFE%),Data estimated"
    )
    start = datetime(month.year, month.month, 1)
    hours = (start + timedelta(hours=n) for n in range(48))
    return "\n".join([head, *(f"{hour},DE,100,200,50,False" for hour in hours), ""]).encode()


def readings(month: date) -> bytes:
    start = datetime(month.year, month.month, 1, 6, tzinfo=UTC)
    lines = (f"{start + timedelta(minutes=n):%Y-%m-%dT%H:%M:%SZ},n1,600\n" for n in range(61))
    return ("time,node,power_w\n" + "".join(lines)).encode()


def focus(path: str, **keys: Any) -> Source:
    return FocusFiles(name="s", kind="focus_files", path=path, **keys)


def intensity(path: str, **keys: Any) -> Source:
    return IntensityFiles(name="s", kind="intensity_files", path=path, **keys)


def power(path: str, **keys: Any) -> Source:
    return PowerFiles.model_validate(
        {"name": "s", "kind": "power_files", "path": path, "node": "node", "place": {"region": "r"}, **keys}
    )


KINDS = [(focus, bill), (intensity, grid), (power, readings)]
IDS = ["focus", "intensity", "power"]


def night(source: Source, days: DayRange, step: StepContext) -> tuple[dict[date, str], list[dict[str, Any]]]:
    """A run: the data version of every day, and all rows."""
    collected = collect(source, days, step)
    assert not collected.failures, collected.failures
    parsed, failures = parse(source, collected.editions, step)
    assert not failures
    rows = parsed.rows.to_pyarrow().to_pylist() if parsed else []
    return {day: edition.data_version for day, edition in collected.editions.items()}, sorted(rows, key=repr)


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=IDS)
@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_of_36_files_and_a_new_one_exactly_the_new_one_is_opened(
    step: StepContext, opened: list[str], s3: tuple[str, Put], endpoint: str, kind: Any, body: Any, where: str
) -> None:
    bucket, upload = s3
    (step.site_folder / "in").mkdir()

    def put(month: date) -> None:
        if where == "folder":
            (step.site_folder / "in" / f"{month:%Y-%m}.csv").write_bytes(body(month))
        else:
            upload(f"in/{month:%Y-%m}.csv", body(month))

    source = kind("in/*.csv") if where == "folder" else kind(f"s3://{bucket}/in/*.csv", endpoint_url=endpoint)
    for month in MONTHS:
        put(month)
    december = DayRange(MONTHS[-1], MONTHS[-1] + timedelta(days=2))
    night(source, december, fresh(step))
    assert len(set(opened)) == 36

    opened.clear()
    put(NEW)
    days = DayRange(MONTHS[-1], NEW + timedelta(days=1))
    remembered = night(source, days, fresh(step))
    assert set(opened) == {"2026-01.csv"}

    opened.clear()
    assert night(source, days, fresh(step)) == remembered
    assert opened == []

    (step.site_folder / "other").mkdir()
    without = replace(step, landing=Landing(LocalStore(step.site_folder / "other")))
    assert night(source, days, fresh(without)) == remembered


def test_of_an_aws_export_only_the_new_period_is_downloaded(
    step: StepContext, opened: list[str], s3: tuple[str, Put], endpoint: str
) -> None:
    bucket, upload = s3
    keys = {"bucket": bucket, "export": "focus", "endpoint_url": endpoint}
    source = AwsFocusExport(name="s", kind="aws_focus_export", **keys)

    def deliver(month: date) -> None:
        folder = f"BILLING_PERIOD={month:%Y-%m}"
        upload(f"focus/data/{folder}/{month:%Y-%m}.csv", bill(month))
        listed = {"dataFiles": [f"{month:%Y-%m}.csv"]}
        upload(f"focus/metadata/{folder}/{month:%Y-%m}-Manifest.json", json.dumps(listed).encode())

    for month in MONTHS:
        deliver(month)
    first = DayRange(MONTHS[0], MONTHS[0] + timedelta(days=2))
    night(source, first, fresh(step))
    assert len(set(opened)) == 72

    opened.clear()
    deliver(NEW)
    versions = night(source, first, fresh(step))
    assert set(opened) == {"2026-01.csv", "2026-01-Manifest.json"}
    opened.clear()
    assert night(source, first, fresh(step)) == versions
    assert opened == []


def test_two_chunks_of_one_run_open_each_file_once(step: StepContext, opened: list[str]) -> None:
    (step.site_folder / "in").mkdir()
    for month in MONTHS[:3]:
        (step.site_folder / "in" / f"{month:%Y-%m}.csv").write_bytes(bill(month))
    looked = []
    know = Memory.know

    def counted(self: Memory, file: SourceFile, look: Any) -> Any:
        return know(self, file, lambda path, sha256: looked.append(file.name) or look(path, sha256))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "know", counted)
        for chunk in DayRange(date(2023, 1, 1), date(2023, 3, 31)).chunks(31):
            night(focus("in"), chunk, fresh(step))
    assert sorted(looked) == ["in/2023-01.csv", "in/2023-02.csv", "in/2023-03.csv"]


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=IDS)
@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_what_a_whole_listing_no_longer_shows_is_forgotten(
    step: StepContext, opened: list[str], s3: tuple[str, Put], endpoint: str, kind: Any, body: Any, where: str
) -> None:
    bucket, upload = s3
    (step.site_folder / "in").mkdir()
    for month in MONTHS[:3]:
        (step.site_folder / "in" / f"{month:%Y-%m}.csv").write_bytes(body(month))
        upload(f"in/{month:%Y-%m}.csv", body(month))
    source = kind("in/*.csv") if where == "folder" else kind(f"s3://{bucket}/in/*.csv", endpoint_url=endpoint)
    days = DayRange(MONTHS[1], MONTHS[1] + timedelta(days=1))
    before = night(source, days, fresh(step))
    names = [name for name in step.landing.seen("s") if name.endswith(".csv")]
    assert [name.rsplit("/", 1)[-1] for name in sorted(names)] == ["2023-01.csv", "2023-02.csv", "2023-03.csv"]

    (step.site_folder / "in" / "2023-01.csv").unlink()
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.delete_object(Bucket=bucket, Key="in/2023-01.csv")
    opened.clear()
    assert night(source, days, fresh(step)) == before
    assert opened == []
    assert sorted(name for name in step.landing.seen("s") if name.endswith(".csv")) == sorted(names)[1:]


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=IDS)
def test_nothing_is_forgotten_by_a_listing_that_failed_or_left_something_out(
    step: StepContext, opened: list[str], monkeypatch: pytest.MonkeyPatch, kind: Any, body: Any
) -> None:
    (step.site_folder / "in").mkdir()
    for month in MONTHS[:3]:
        (step.site_folder / "in" / f"{month:%Y-%m}.csv").write_bytes(body(month))
    days, source = DayRange(MONTHS[1], MONTHS[1] + timedelta(days=1)), kind("in/*.csv")
    night(source, days, fresh(step))
    seen = step.landing.seen("s")

    # As where a folder may not be read: no error, and fewer files.
    monkeypatch.setattr(files.glob, "glob", lambda pattern, **_: ["in/2023-02.csv"])
    night(source, days, fresh(step))
    assert step.landing.seen("s") == seen
    monkeypatch.setattr(files.glob, "glob", lambda pattern, **_: [])
    with suppress(PermanentError):
        assert collect(source, days, fresh(step)).failures
    assert step.landing.seen("s") == seen


def test_what_an_aws_export_no_longer_holds_is_forgotten_unless_it_cannot_be_listed(
    step: StepContext, opened: list[str], s3: tuple[str, Put], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, upload = s3
    source = AwsFocusExport(
        name="s", kind="aws_focus_export", bucket=bucket, export="focus", endpoint_url=endpoint, repull_days=0
    )
    for month in MONTHS[:2]:
        folder = f"BILLING_PERIOD={month:%Y-%m}"
        upload(f"focus/data/{folder}/{month:%Y-%m}.csv", bill(month))
        listed = json.dumps({"dataFiles": [f"{month:%Y-%m}.csv"]}).encode()
        upload(f"focus/metadata/{folder}/{month:%Y-%m}-Manifest.json", listed)
    days = DayRange(MONTHS[0], MONTHS[0] + timedelta(days=2))
    night(source, days, fresh(step))
    seen = step.landing.seen("s")
    assert len(seen) == 4

    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    for key in ("data/BILLING_PERIOD=2023-02/2023-02.csv", "metadata/BILLING_PERIOD=2023-02/2023-02-Manifest.json"):
        client.delete_object(Bucket=bucket, Key=f"focus/{key}")
    with monkeypatch.context() as patch:
        patch.setattr("energy_assets.sources.aws.client.ExportBucket.data_files", lambda self: {})
        night(source, days, fresh(step))
        assert step.landing.seen("s") == seen
    night(source, days, fresh(step))
    assert {name: entry for name, entry in seen.items() if "2023-01" in name} == step.landing.seen("s")
    assert len(step.landing.seen("s")) == 2


def test_what_was_agreed_on_a_file_is_forgotten_with_it(step: StepContext, opened: list[str]) -> None:
    for name in ("a", "b", "c"):
        charges = [on(day, ResourceId=f"{name}-{day}") for day in range(1, 11)]
        (step.site_folder / f"{name}.csv").write_bytes(csv_bytes(charges))
    days = DayRange(date(2026, 10, 1), date(2026, 10, 12))
    night(focus("*.csv"), days, fresh(step))
    assert len([name for name in step.landing.seen("s") if name.startswith("compared ")]) == 3
    before = set(step.landing.seen("s"))
    (step.site_folder / "c.csv").unlink()
    night(focus("*.csv"), days, fresh(step))
    left = {name for name in step.landing.seen("s") if name.startswith("compared ")}
    assert len(left) == 2, "each of the two that are left, beside the other alone"
    assert not left & before


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=IDS)
def test_a_file_rewritten_with_the_same_size_and_time_is_read_again(
    step: StepContext, opened: list[str], kind: Any, body: Any
) -> None:
    (step.site_folder / "in").mkdir()
    path = step.site_folder / "in" / "a.csv"
    path.write_bytes(body(NEW))
    stat, days = path.stat(), DayRange(NEW, NEW + timedelta(days=1))
    before = night(kind("in/*"), days, fresh(step))
    path.write_bytes(body(NEW).replace(b"1.5", b"2.5").replace(b"DE,100", b"DE,101").replace(b"n1,600", b"n1,601"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    after = night(kind("in/*"), days, fresh(step))
    assert after != before
    assert {row["raw_sha256"] for row in after[1]}.isdisjoint(row["raw_sha256"] for row in before[1])


def test_a_file_changed_a_moment_ago_is_not_remembered(step: StepContext) -> None:
    (step.site_folder / "a.csv").write_bytes(bill(NEW))
    (file,) = list_files("a.csv", step.site_folder)
    assert not file.settled()
    night(focus("a.csv"), DayRange(NEW, NEW), fresh(step))
    assert step.landing.seen("s") == {}


def test_other_settings_are_looked_into_again(step: StepContext, opened: list[str]) -> None:
    (step.site_folder / "a.csv").write_bytes(bill(NEW))
    night(focus("a.csv"), DayRange(NEW, NEW), fresh(step))
    opened.clear()
    night(focus("a.csv", layout="focus"), DayRange(NEW, NEW), fresh(step))
    assert set(opened) == {"a.csv"}


def test_bytes_that_differ_from_those_looked_into_are_never_landed(step: StepContext, opened: list[str]) -> None:
    (step.site_folder / "a.csv").write_bytes(bill(NEW))
    source = focus("a.csv")
    collect(source, DayRange(date(2020, 1, 1), date(2020, 1, 1)), fresh(step))
    entry = step.landing.seen("s")["a.csv"]
    step.landing.remember("s", {"a.csv": {**entry, "sha256": "00" * 32}})
    failed = collect(source, DayRange(NEW, NEW), fresh(step))
    assert isinstance(failed.failures[NEW], TransientError)
    assert "holds other bytes" in str(failed.failures[NEW])
    night(source, DayRange(NEW, NEW), fresh(step))


def test_what_is_remembered_survives_nonsense_in_its_place(step: StepContext) -> None:
    (step.site_folder / "store" / "landing" / "seen").mkdir(parents=True)
    (step.site_folder / "store" / "landing" / "seen" / "s.json.zst").write_bytes(b"no zstd")
    assert step.landing.seen("s") == {}
    step.landing.remember("s", {"a": 1})
    step.landing.remember("s", {"b": 2})
    assert step.landing.seen("s") == {"a": 1, "b": 2}


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=IDS)
def test_one_unreadable_file_fails_the_days_it_spoke_of_and_no_others(
    step: StepContext, opened: list[str], kind: Any, body: Any
) -> None:
    """January was written long ago, so that what it spoke of is all it holds."""
    (step.site_folder / "in").mkdir()
    for month in (date(2023, 1, 1), date(2023, 3, 1)):
        (step.site_folder / "in" / f"part-{month.month}.csv").write_bytes(body(month))
    days = DayRange(date(2023, 1, 1), date(2023, 3, 3))
    source = kind("in/*", zones=["DE"]) if kind is intensity else kind("in/*")
    night(source, days, fresh(step))
    (step.site_folder / "in" / "part-1.csv").write_bytes(b"\xff\x00nonsense\n")
    run = fresh(step)
    collected = collect(source, days, run)
    _, malformed = parse(source, collected.editions, run)
    failed = {**collected.failures, **malformed}
    assert all(isinstance(error, MalformedError) for error in failed.values())
    assert date(2023, 1, 1) in failed
    if kind is intensity:  # days without hours of their own take the mean of the year, January's hours included
        assert {date(2023, 3, 1), date(2023, 3, 2)}.isdisjoint(failed)
    else:
        assert all(day.month == 1 for day in failed)
    assert len(failed) < len(days)


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=IDS)
def test_a_new_unreadable_file_fails_the_month_in_its_name_where_names_keep_their_word(
    step: StepContext, kind: Any, body: Any
) -> None:
    (step.site_folder / "in").mkdir()
    for month in (date(2023, 1, 1), date(2023, 3, 1)):
        (step.site_folder / "in" / f"{month:%Y-%m}.csv").write_bytes(body(month))
    (step.site_folder / "in" / "2023-02.csv").write_bytes(b"\xff\x00nonsense\n")
    days, source = DayRange(date(2023, 1, 1), date(2023, 3, 3)), kind("in/*")
    run = fresh(step)
    collected = collect(source, days, run)
    failed = {**collected.failures, **parse(source, collected.editions, run)[1]}
    assert {day for day in failed} == {date(2023, 1, 31) + timedelta(days=n) for n in range(30)}


def test_two_files_with_the_same_lines_fail_the_days_both_speak_of(step: StepContext) -> None:
    (step.site_folder / "a.csv").write_bytes(csv_bytes([on(day, ResourceId=f"i-{day}") for day in range(1, 11)]))
    (step.site_folder / "b.csv").write_bytes(csv_bytes([on(day, ResourceId=f"i-{day}") for day in range(1, 13)]))
    collected = collect(focus("*.csv"), DayRange(date(2026, 10, 1), date(2026, 10, 12)), step)
    assert set(collected.failures) == {date(2026, 10, n) for n in range(1, 11)}
    assert all(isinstance(error, PermanentError) for error in collected.failures.values())


def test_files_once_found_apart_are_not_compared_again(step: StepContext, opened: list[str]) -> None:
    for name in ("a", "b"):
        charges = [on(day, ResourceId=f"{name}-{day}") for day in range(1, 11)]
        (step.site_folder / f"{name}.csv").write_bytes(csv_bytes(charges))
    days = DayRange(date(2026, 10, 1), date(2026, 10, 12))
    night(focus("*.csv"), days, fresh(step))
    opened.clear()
    again = night(focus("*.csv"), days, fresh(step))
    assert opened == []
    assert len(again[1]) == 20

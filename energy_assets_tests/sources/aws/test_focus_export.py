"""AWS Data Exports against a real S3 and STS protocol (moto's server)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import boto3
import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect
from energy_assets.sources.aws.focus_export import AwsFocusExport
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import DeniedError, MalformedError, PermanentError, SourceError, TransientError
from energy_assets.sources.focus.source import FocusFiles
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.focus.bills import csv_bytes, line, on

ThreadedMotoServer = pytest.importorskip("moto.server", reason="moto[server] is not installed").ThreadedMotoServer

ROOT = "billing/focus"
OCTOBER = DayRange(date(2026, 10, 1), date(2026, 10, 31))
GUID = "6a1f0c1e-0000-4000-8000-00000000000b"
ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="bills")
    yield client
    for item in client.list_objects_v2(Bucket="bills").get("Contents", []):
        client.delete_object(Bucket="bills", Key=item["Key"])
    client.delete_bucket(Bucket="bills")


def source(endpoint: str, **keys: Any) -> AwsFocusExport:
    settings = {"bucket": "bills", "prefix": "billing", "export": "focus", "endpoint_url": endpoint, **keys}
    return AwsFocusExport(name="payer", kind="aws_focus_export", **settings)


def deliver(
    s3: Any, period: str, files: Sequence[list[dict[str, str]]], *, manifest: Any = None, execution: str = ""
) -> None:
    """Deliver a period as AWS does: data files first, then the manifest (False: not yet)."""
    folder = f"BILLING_PERIOD={period}/{execution}"
    keys = [f"{ROOT}/data/{folder}focus-{number:05d}.csv" for number in range(len(files))]
    for key, lines in zip(keys, files, strict=True):
        s3.put_object(Bucket="bills", Key=key, Body=csv_bytes(lines))
    body = {"dataFiles": [f"s3://bills/{key}" for key in keys]} if manifest is None else manifest
    if body is not False:
        key = f"{ROOT}/metadata/{folder}focus-Manifest.json"
        s3.put_object(Bucket="bills", Key=key, Body=json.dumps(body).encode())


def total(source: AwsFocusExport, step: StepContext, days: DayRange = OCTOBER) -> tuple[Decimal, dict[str, int]]:
    table, notes = rows_of(source, days, step)
    notes.pop("days_without_charges", None)
    return sum(table["billed_cost"].to_pylist(), Decimal(0)), notes


def test_a_day_holds_the_files_of_its_period_and_the_manifest(s3: Any, endpoint: str, step: StepContext) -> None:
    deliver(s3, "2026-10", [[on(1), on(2)], [on(2, 5)]])
    editions = collect(source(endpoint), DayRange(date(2026, 10, 1), date(2026, 10, 3)), step).editions
    listed = {day.day: [o.request["key"].rsplit("/", 1)[1] for o in e.objects] for day, e in editions.items()}
    assert listed == {
        1: ["focus-00000.csv", "focus-Manifest.json"],
        2: ["focus-00000.csv", "focus-00001.csv", "focus-Manifest.json"],
        3: ["focus-Manifest.json"],
    }
    assert dict(editions[date(2026, 10, 1)].objects[0].request) == {
        "bucket": "bills",
        "billing_period": "2026-10",
        "key": f"{ROOT}/data/BILLING_PERIOD=2026-10/focus-00000.csv",
    }
    assert total(source(endpoint), step) == (Decimal("4.5"), {})


@pytest.mark.parametrize(
    "listing",
    [
        lambda key: {"files": [key]},
        lambda key: {"reportKeys": [key]},
        lambda key: {"dataFiles": [{"s3Path": f"s3://bills/{key}"}]},
        lambda key: {"data_files": [key.rsplit("/", 1)[1]]},
    ],
)
def test_a_manifest_may_spell_its_list_in_several_ways(s3: Any, endpoint: str, step: StepContext, listing: Any) -> None:
    listed = listing(f"{ROOT}/data/BILLING_PERIOD=2026-10/focus-00000.csv")
    deliver(s3, "2026-10", [[on(1)], [on(2)]], manifest=listed)
    assert total(source(endpoint), step) == (Decimal("1.5"), {})


def test_files_a_manifest_does_not_list_do_not_count_and_an_unknown_manifest_is_refused(
    s3: Any, endpoint: str, step: StepContext
) -> None:
    deliver(s3, "2026-10", [[on(1)]], manifest={"parts": []})
    with pytest.raises(PermanentError, match="the manifest has no list of files under dataFiles"):
        total(source(endpoint), step)


def test_a_period_without_a_manifest_fails_its_days_only_and_keeps_the_landed_edition(
    s3: Any, endpoint: str, step: StepContext
) -> None:
    september = [line(ChargePeriodStart="2026-09-30 01:00:00", BillingPeriodStart="2026-09-01 00:00:00")]
    deliver(s3, "2026-09", [september])
    deliver(s3, "2026-10", [[on(1)]], manifest=False)
    days = DayRange(date(2026, 9, 30), date(2026, 10, 1))
    collected = collect(source(endpoint), days, step)
    assert list(collected.editions) == [date(2026, 9, 30)]
    error = collected.failures[date(2026, 10, 1)]
    assert isinstance(error, TransientError)
    assert "the billing period 2026-10 is not delivered: it has no manifest" in error.message
    deliver(s3, "2026-10", [[on(1)]])
    good = collect(source(endpoint), days, step).editions[date(2026, 10, 1)]
    s3.delete_object(Bucket="bills", Key=f"{ROOT}/metadata/BILLING_PERIOD=2026-10/focus-Manifest.json")
    assert date(2026, 10, 1) in collect(source(endpoint), days, step).failures
    assert step.landing.edition("payer", date(2026, 10, 1)) == good


def test_a_redelivered_period_replaces_the_old_one_as_a_whole(s3: Any, endpoint: str, step: StepContext) -> None:
    deliver(s3, "2026-10", [[on(1), on(2)], [on(3)]])
    assert total(source(endpoint), step)[0] == Decimal("4.5")
    deliver(s3, "2026-10", [[on(1, BilledCost="7"), on(2, BilledCost="1")]])
    assert total(source(endpoint), step)[0] == 8


def test_of_executions_that_are_kept_the_newest_counts(s3: Any, endpoint: str, step: StepContext) -> None:
    deliver(s3, "2026-10", [[on(1, BilledCost="1")]], execution="20261002T0500Z-a/")
    time.sleep(1.1)
    deliver(s3, "2026-10", [[on(1, BilledCost="2")]], execution="20261003T0500Z-b/")
    deliver(s3, "2026-10", [[on(1, BilledCost="4")]], execution="20261004T0500Z-c/", manifest=False)
    assert total(source(endpoint), step) == (Decimal(2), {})


def test_a_delivery_that_is_under_way_is_not_mixed_with_the_old_one(s3: Any, endpoint: str, step: StepContext) -> None:
    deliver(s3, "2026-10", [[on(1)], [on(2)]])
    s3.delete_object(Bucket="bills", Key=f"{ROOT}/data/BILLING_PERIOD=2026-10/focus-00001.csv")
    with pytest.raises(TransientError, match=r"focus-00001\.csv: the manifest of 2026-10 lists it and it is not there"):
        total(source(endpoint), step)
    time.sleep(1.1)
    deliver(s3, "2026-10", [[on(1, BilledCost="9")], [on(2)]], manifest=False)
    with pytest.raises(TransientError, match=r"focus-00000\.csv is younger than the manifest of 2026-10"):
        total(source(endpoint), step)


def test_late_corrections_count_on_their_charge_day_from_the_later_period(
    s3: Any, endpoint: str, step: StepContext
) -> None:
    november = {"BillingPeriodStart": "2026-11-01 00:00:00"}
    correction = on(5, BilledCost="-0.5", **november)
    own = line(**november, ChargePeriodStart="2026-11-01 00:00:00")
    deliver(s3, "2026-10", [[on(5)], [on(6)]])
    deliver(s3, "2026-11", [[own], [correction]])
    day = DayRange(date(2026, 10, 5), date(2026, 10, 5))
    alone = collect(source(endpoint), day, step).editions[day.first]
    together = collect(source(endpoint), DayRange(date(2026, 10, 1), date(2026, 11, 2)), step).editions
    assert alone == together[day.first]
    assert [o.request["billing_period"] for o in alone.objects] == ["2026-10", "2026-10", "2026-11", "2026-11"]
    assert len(together[date(2026, 10, 6)].objects) == 2
    assert total(source(endpoint), step, day) == (Decimal(1), {})
    assert total(source(endpoint), step, DayRange(date(2026, 10, 1), date(2026, 11, 2)))[0] == Decimal(4)


def test_a_charge_after_the_end_of_its_billing_period_is_dropped_and_told(
    s3: Any, endpoint: str, step: StepContext
) -> None:
    ahead = line(ChargePeriodStart="2026-11-03 00:00:00")
    deliver(s3, "2026-10", [[on(1), ahead]])
    deliver(s3, "2026-11", [[line(ChargePeriodStart="2026-11-04 00:00:00", BillingPeriodStart="2026-11-01 00:00:00")]])
    whole = DayRange(date(2026, 10, 1), date(2026, 11, 5))
    assert total(source(endpoint), step, whole) == (Decimal(3), {"charges_after_their_billing_period_dropped": 1})


def test_a_role_is_assumed_with_its_external_id(s3: Any, endpoint: str, step: StepContext) -> None:
    deliver(s3, "2026-10", [[on(1)]])
    assert total(source(endpoint, role_arn=ROLE, external_id="x-1"), step) == (Decimal("1.5"), {})
    objects = collect(source(endpoint, role_arn=ROLE), OCTOBER, step).editions[date(2026, 10, 1)].objects
    assert "role" not in json.dumps([dict(o.request) for o in objects])


def test_focus_files_reads_the_same_export_from_the_bucket(s3: Any, endpoint: str, step: StepContext) -> None:
    deliver(s3, "2026-10", [[on(1)], [on(2)]], manifest=False)
    keys = {"path": f"s3://bills/{ROOT}/data", "endpoint_url": endpoint, "region": "us-east-1"}
    bills = FocusFiles(name="bills", kind="focus_files", **keys)
    with pytest.raises(TransientError, match=r"s3://bills/.*BILLING_PERIOD=2026-10 has no manifest\.json"):
        rows_of(bills, OCTOBER, step)
    deliver(s3, "2026-10", [[on(1)], [on(2)]])
    assert rows_of(bills, OCTOBER, step)[0].num_rows == 2


def test_doctor_names_the_newest_period_or_the_remedy(s3: Any, endpoint: str, step: StepContext) -> None:
    (nothing,) = source(endpoint).check(step)
    assert (nothing.ok, nothing.what) == (False, "s3://bills/billing/focus: no period is delivered yet")
    deliver(s3, "2026-09", [[on(1)]])
    deliver(s3, "2026-10", [[on(1)], [on(2)]])
    (found,) = source(endpoint).check(step)
    assert found.ok
    assert "2 billing periods, newest 2026-10" in found.what
    assert "with 2 files" in found.what
    (refused,) = source(endpoint, bucket="nobodys").check(step)
    assert not refused.ok
    assert "s3://nobodys/" in refused.what


def test_without_credentials_the_remedy_is_named(
    endpoint: str, step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(SourceError, match="there are no AWS credentials"):
        collect(source(endpoint), OCTOBER, step)


def test_a_supplied_session_is_used_and_a_refused_role_stops_the_source(
    s3: Any, endpoint: str, step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(s3, "2026-10", [[on(1)]])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    assert AwsFocusExport.resources == {"boto3"}
    assert total(source(endpoint), replace(step, resources={"boto3": session})) == (Decimal("1.5"), {})
    assert total(source(endpoint, role_arn=ROLE), replace(step, resources={"boto3": session}))[0] == Decimal("1.5")
    with pytest.raises(DeniedError, match="there are no AWS credentials"):
        collect(source(endpoint), OCTOBER, step)


def test_an_unreadable_period_fails_its_own_days_and_those_it_is_known_to_correct(
    s3: Any, endpoint: str, step: StepContext
) -> None:
    november = {"BillingPeriodStart": "2026-11-01 00:00:00"}
    own = line(**november, ChargePeriodStart="2026-11-01 00:00:00")
    deliver(s3, "2026-10", [[on(5)], [on(6)]])
    deliver(s3, "2026-11", [[own, on(5, BilledCost="-0.5", **november)]])
    days = DayRange(date(2026, 10, 5), date(2026, 11, 2))
    assert not collect(source(endpoint), days, step).failures
    s3.put_object(Bucket="bills", Key=f"{ROOT}/data/BILLING_PERIOD=2026-11/focus-00000.csv", Body=b"\x1f\x8bcut")
    deliver_manifest_again(s3)
    collected = collect(source(endpoint), days, step)
    assert set(collected.failures) == {date(2026, 10, 5), date(2026, 11, 1), date(2026, 11, 2)}
    assert all(isinstance(error, MalformedError) for error in collected.failures.values())


def deliver_manifest_again(s3: Any) -> None:
    """The manifest of November once more, younger than its files."""
    key = f"{ROOT}/metadata/BILLING_PERIOD=2026-11/focus-Manifest.json"
    body = s3.get_object(Bucket="bills", Key=key)["Body"].read()
    s3.put_object(Bucket="bills", Key=key, Body=body + b" ")


def test_manifests_for_loaders_are_not_those_of_the_export(s3: Any, endpoint: str, step: StepContext) -> None:
    deliver(s3, "2026-10", [[on(1)], [on(2)]])
    key = f"{ROOT}/metadata/BILLING_PERIOD=2026-10/focus-RedshiftManifest.json"
    s3.put_object(Bucket="bills", Key=key, Body=b'{"entries": []}')
    assert total(source(endpoint), step) == (Decimal(3), {})


def test_an_older_report_is_named_and_the_remedy_reads_it(s3: Any, endpoint: str, step: StepContext) -> None:
    folder = f"{ROOT}/20261001-20261101"
    for assembly, lines in (("6a1f0c1e-0000-4000-8000-00000000000a", [on(1)]), (GUID, [on(1), on(2)])):
        s3.put_object(Bucket="bills", Key=f"{folder}/{assembly}/focus-1.csv", Body=csv_bytes(lines))
        manifest = json.dumps({"assemblyId": assembly, "reportKeys": [f"{folder}/{assembly}/focus-1.csv"]}).encode()
        for where in (f"{folder}/{assembly}", folder):
            s3.put_object(Bucket="bills", Key=f"{where}/focus-Manifest.json", Body=manifest)
    with pytest.raises(PermanentError, match="a Cost and Usage Report of AWS's older kind") as error:
        total(source(endpoint), step)
    (finding,) = source(endpoint).check(step)
    assert (finding.ok, finding.remedy) == (False, error.value.remedy)
    assert "kind focus_files and `path: s3://bills/billing/focus`" in error.value.remedy
    files = FocusFiles(name="bills", kind="focus_files", path="s3://bills/billing/focus", endpoint_url=endpoint)
    table, _ = rows_of(files, OCTOBER, step)
    assert table["billed_cost"].to_pylist() == [Decimal("1.5")] * 2


def test_of_kept_executions_in_a_bucket_the_last_written_counts(s3: Any, endpoint: str, step: StepContext) -> None:
    deliver(s3, "2026-10", [[on(1), on(2)], [on(3)]], execution="zeta-run/")
    time.sleep(1.1)  # S3 keeps whole seconds
    deliver(s3, "2026-10", [[on(1), on(2)]], execution="alpha-run/")
    files = FocusFiles(name="bills", kind="focus_files", path="s3://bills/billing", endpoint_url=endpoint)
    assert sum(rows_of(files, OCTOBER, step)[0]["billed_cost"].to_pylist()) == 3
    assert total(source(endpoint), step)[0] == 3

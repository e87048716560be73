"""Deliveries are told by their manifests: which files belong to one, whether it is whole, and which is the newest."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import PermanentError, SourceError, TransientError
from energy_assets.sources.focus.deliveries import period_of
from energy_assets.sources.focus.source import FocusFiles
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.focus.bills import on, write

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 10, 31))
A, B = "6a1f0c1e-0000-4000-8000-00000000000a", "6a1f0c1e-0000-4000-8000-00000000000b"
PERIOD = "gpu/20261001-20261101"


def total(step: StepContext, **keys: Any) -> tuple[Decimal, dict[str, int]]:
    source = FocusFiles(name="bills", kind="focus_files", **{"path": "bills", **keys})
    table, notes = rows_of(source, OCTOBER, step)
    notes.pop("days_without_charges", None)
    return sum(table["billed_cost"].to_pylist(), Decimal(0)), notes


def lines(count: int, start: int = 0, **changed: str) -> list[dict[str, str]]:
    return [on(n % 28 + 1, ResourceId=f"i-{n}", BilledCost="1", **changed) for n in range(start, start + count)]


def manifest(path: Path, **document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def assembly(root: Path, name: str, parts: Sequence[list[dict[str, str]]], *, current: bool, own: bool = True) -> Path:
    """One assembly of AWS's older report, with its own manifest and, where it is current, that of the period."""
    folder = root / PERIOD / name
    keys = [f"cur/{PERIOD}/{name}/gpu-{number:05d}.csv" for number in range(1, len(parts) + 1)]
    for key, part in zip(keys, parts, strict=True):
        write(folder / key.rpartition("/")[2], part)
    document = {"assemblyId": name, "reportKeys": keys, "billingPeriod": {"start": "20261001T000000.000Z"}}
    for path in [folder] * own + [root / PERIOD] * current:
        manifest(path / "gpu-Manifest.json", **document)
    return folder


def azure(root: Path, run: str, parts: Sequence[list[dict[str, str]]], **more: Any) -> Path:
    """One run of an Azure export, as its manifest describes it."""
    blobs = []
    for number, part in enumerate(parts):
        file = write(root / f"part_{number}_0001.csv", part)
        blobs.append(
            {"blobName": f"exports/20261001-20261031/focus/{run}/{A}/{file.name}", "byteCount": file.stat().st_size}
        )
    document = {
        "blobCount": len(blobs),
        "exportConfig": {"exportName": "focus", "resourceId": "/subscriptions/1/exports/focus"},
        "runInfo": {"submittedTime": f"2026-10-{run}T05:01:00Z", "startDate": "2026-10-01T00:00:00"},
        "blobs": blobs,
    }
    manifest(root / "manifest.json", **{**document, **more})
    return root


@pytest.mark.parametrize("path", ["bills", "bills/**/*.csv", f"bills/{PERIOD}/*/*.csv"])
def test_the_manifest_of_the_period_names_the_assembly_that_counts(
    step: StepContext, tmp_path: Path, path: str
) -> None:
    assembly(tmp_path / "bills", A, [lines(6), lines(5, 6)], current=False)
    assembly(tmp_path / "bills", B, [lines(4), lines(4, 4), lines(5, 8)], current=True)
    assert total(step, path=path) == (Decimal(13), {})


def test_the_older_assembly_may_be_the_current_one(step: StepContext, tmp_path: Path) -> None:
    assembly(tmp_path / "bills", B, [lines(20)], current=False)
    assembly(tmp_path / "bills", A, [lines(7)], current=True, own=False)
    assert total(step) == (Decimal(7), {})


def test_an_assembly_that_is_not_whole_is_passed_over_for_the_one_before(step: StepContext, tmp_path: Path) -> None:
    assembly(tmp_path / "bills", A, [lines(11)], current=False)
    new = assembly(tmp_path / "bills", B, [lines(4), lines(4, 4)], current=True, own=False)
    (new / "gpu-00002.csv").unlink()
    assert total(step) == (Decimal(11), {"incomplete_deliveries_dropped": 1})


def test_the_files_of_another_assembly_never_stand_in_for_those_that_lack(step: StepContext, tmp_path: Path) -> None:
    old = assembly(tmp_path / "bills", A, [lines(6), lines(5, 6)], current=False, own=False)
    new = assembly(tmp_path / "bills", B, [lines(4), lines(4, 4)], current=True, own=False)
    (new / "gpu-00002.csv").unlink()
    assert (old / "gpu-00002.csv").exists()
    with pytest.raises(TransientError, match=r"lacks gpu-00002\.csv"):
        total(step)


def test_two_assemblies_without_the_manifest_of_the_period_are_refused(step: StepContext, tmp_path: Path) -> None:
    old = assembly(tmp_path / "bills", A, [lines(6)], current=False)
    assembly(tmp_path / "bills", B, [lines(8)], current=False)
    with pytest.raises(PermanentError, match="two whole exports of one period") as error:
        total(step)
    assert error.value.remedy == "Move the older one out of `path`."
    os.rename(old, tmp_path / "older")
    assert total(step) == (Decimal(8), {})


@pytest.mark.parametrize("name", [A, B])
def test_all_files_of_two_assemblies_are_refused_and_never_added_up(
    step: StepContext, tmp_path: Path, name: str
) -> None:
    """`exports: all` takes no delivery for another, so what they hold is compared."""
    assembly(tmp_path / "bills", A, [lines(11)[::2], lines(11)[1::2]], current=name == A)
    assembly(tmp_path / "bills", B, [lines(13)[::3], lines(13)[1::3], lines(13)[2::3]], current=name == B)
    with pytest.raises(PermanentError, match="hold the same charges"):
        total(step, exports="all")


def test_an_overwritten_report_in_parquet_folders_is_found_from_its_manifest(step: StepContext, tmp_path: Path) -> None:
    for year in (2025, 2026):
        key = f"cur/gpu/gpu/year={year}/month=10/gpu-00001.csv.gz"
        write(tmp_path / "bills" / key, lines(year - 2000, BillingPeriodStart=f"{year}-10-01"))
        manifest(tmp_path / f"bills/cur/gpu/{year}1001-{year}1101/gpu-Manifest.json", assemblyId=A, reportKeys=[key])
    write(tmp_path / "bills/cur/gpu/gpu/cost_and_usage_data_status/cost_and_usage_data_status.parquet", lines(1))
    assert total(step) == (Decimal(51), {})
    (tmp_path / "bills/cur/gpu/gpu/year=2026/month=10/gpu-00001.csv.gz").unlink()
    with pytest.raises(TransientError, match=r"lacks gpu-00001\.csv\.gz"):
        total(step)


def test_manifests_of_loaders_and_web_pages_are_no_deliveries(step: StepContext, tmp_path: Path) -> None:
    assembly(tmp_path / "bills", A, [lines(6)], current=True)
    manifest(tmp_path / f"bills/{PERIOD}/{A}/gpu-RedshiftManifest.json", entries=[{"url": "s3://x", "mandatory": True}])
    manifest(tmp_path / "bills/manifest.json", name="a web page", icons=[])
    assert total(step) == (Decimal(6), {})


def test_runs_of_azure_are_told_by_their_manifest_wherever_they_were_copied(step: StepContext, tmp_path: Path) -> None:
    """Folders say another cloud and another order: neither counts."""
    azure(tmp_path / "bills/aws/zz-monday", "10", [lines(6), lines(4, 6)])
    azure(tmp_path / "bills/gcp/aa-tuesday", "11", [lines(6), lines(5, 6)])
    assert total(step) == (Decimal(11), {})


def test_an_export_of_another_period_or_name_is_another_one(step: StepContext, tmp_path: Path) -> None:
    azure(tmp_path / "bills/a", "10", [lines(3)])
    other = {"exportName": "more", "resourceId": "/subscriptions/2/exports/focus"}
    azure(tmp_path / "bills/b", "11", [lines(4, SubAccountId="4")], exportConfig=other)
    ran = {"startDate": "2026-11-01T00:00:00", "submittedTime": "2026-11-02T05:01:00Z"}
    azure(tmp_path / "bills/c", "12", [lines(5, SubAccountId="5")], runInfo=ran)
    assert total(step) == (Decimal(12), {})


def test_daily_runs_beside_a_month_to_date_file_of_another_export_are_refused(
    step: StepContext, tmp_path: Path
) -> None:
    azure(tmp_path / f"bills/focus/20261001-20261031/202610100501/{A}", "10", [lines(9)])
    azure(tmp_path / f"bills/focus/20261001-20261031/202610110501/{B}", "11", [lines(10)])
    write(tmp_path / "bills/month-to-date.csv", lines(11))
    with pytest.raises(PermanentError, match="hold the same charges: 10 of 10 lines"):
        total(step)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"blobCount": 3}, "lists 2 of 3 files"),
        ({"blobs": [{"blobName": "part_0_0001.csv", "byteCount": 5}]}, "of 5 bytes of part_0_0001.csv"),
        ({"blobs": [{"blobName": "x/part_7_0001.csv"}]}, "lacks part_7_0001.csv"),
    ],
)
def test_a_delivery_is_whole_if_it_holds_what_its_manifest_says(
    step: StepContext, tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    azure(tmp_path / "bills/new", "11", [lines(6), lines(4, 6)], **more)
    with pytest.raises(TransientError) as error:
        total(step)
    assert said in error.value.message
    assert "exports: all" not in str(error.value)
    azure(tmp_path / "bills/old", "10", [lines(8)])
    if "blobs" not in more:  # otherwise its parts belong to no manifest any more
        assert total(step) == (Decimal(8), {"incomplete_deliveries_dropped": 1})


SHAPES = {
    "of AWS Data Exports": ("data/BILLING_PERIOD=2026-10", "AWS"),
    "of AWS's older reports": (f"gpu/20261001-20261101/{A}", "Amazon Web Services"),
    "of Azure": (f"focus/20261001-20261031/202610100501/{A}", "Microsoft"),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("exports", ["newest_complete", "all"])
def test_files_of_others_in_folders_such_as_exports_write_count_without_a_manifest(
    step: StepContext, tmp_path: Path, shape: str, exports: str
) -> None:
    """Google and whoever writes bills of one's own write no manifest, so none can be copied."""
    folder, _ = SHAPES[shape]
    write(tmp_path / "bills" / folder / "google.csv", lines(6, ProviderName="Google Cloud"))
    write(tmp_path / "bills" / folder / "own.csv", lines(5, ProviderName="Our own racks"))
    assert total(step, exports=exports) == (Decimal(11), {})
    source = FocusFiles(name="bills", kind="focus_files", path="bills", exports=exports)
    assert all(finding.ok for finding in source.check(step))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("also", ["", "Google Cloud"])
def test_files_of_a_vendor_in_its_folders_need_their_manifest_or_the_word_that_they_are_ones_own(
    step: StepContext, tmp_path: Path, shape: str, also: str
) -> None:
    """One line of the vendor is enough, in whichever file of the folder."""
    folder, provider = SHAPES[shape]
    written = [*lines(1, ProviderName=provider), *(lines(2, 3, ProviderName=also) if also else [])]
    write(tmp_path / "bills" / folder / "a.csv", lines(4, 10, ProviderName=also or provider))
    write(tmp_path / "bills" / folder / "b.csv", written)
    with pytest.raises(TransientError, match=r"has no manifest\.json") as error:
        total(step)
    assert error.value.remedy.endswith(
        "If no export of AWS or Azure wrote them, `exports: all` in the source's block counts each file as is."
    )
    assert total(step, exports="all") == (Decimal(4 + len(written)), {})


@pytest.mark.parametrize(("google", "said"), [(True, "bill-2.csv: "), (False, "has no manifest.json")])
def test_a_file_that_cannot_be_read_is_named_beside_files_of_others_and_waited_for_alone(
    step: StepContext, tmp_path: Path, google: bool, said: str
) -> None:
    folder = tmp_path / "bills" / "data" / "BILLING_PERIOD=2026-10"
    if google:
        write(folder / "bill-1.csv", lines(2, ProviderName="Google Cloud"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bill-2.csv").write_text("x,y\n1,2\n")
    with pytest.raises(SourceError) as error:
        total(step)
    assert said in error.value.message


def test_a_run_of_an_export_without_its_manifest_is_passed_over_whatever_it_holds(
    step: StepContext, tmp_path: Path
) -> None:
    """Where another run has one, an export writes there."""
    azure(tmp_path / f"bills/focus/20261001-20261031/202610100501/{A}", "10", [lines(9)])
    later = tmp_path / f"bills/focus/20261001-20261031/202610110501/{B}"
    write(later / "part_0_0001.csv", lines(3, 20, ProviderName="Google Cloud"))
    assert total(step) == (Decimal(9), {"incomplete_deliveries_dropped": 1})


def test_a_file_that_an_earlier_longer_delivery_left_behind_does_not_count(step: StepContext, tmp_path: Path) -> None:
    folder = azure(tmp_path / "bills/run", "11", [lines(6)])
    write(folder / "part_1_0001.csv", lines(4, 6))
    write(folder / "hardware.csv", lines(3, 20, SubAccountId="8"))
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    assert total(step) == (Decimal(9), {"files_outside_manifest_dropped": 1})
    assert any("bills/run/part_1_0001.csv" in finding.what for finding in source.check(step))


def test_a_manifest_that_is_cut_fails_the_days_of_its_period(step: StepContext, tmp_path: Path) -> None:
    folder = assembly(tmp_path / "bills", A, [lines(6)], current=False)
    (folder / "gpu-Manifest.json").write_text('{"assemblyId": "6a1f')
    with pytest.raises(SourceError, match="the manifest is no JSON"):
        total(step)
    source = FocusFiles(name="bills", kind="focus_files", path="bills")
    failed = collect(source, DayRange(date(2026, 9, 29), date(2026, 11, 2)), step).failures
    assert (min(failed), max(failed)) == (OCTOBER.first, OCTOBER.last)


def test_packed_in_another_way_is_named(step: StepContext, tmp_path: Path) -> None:
    (tmp_path / "bills").mkdir()
    (tmp_path / "bills" / "gpu-1.csv.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(PermanentError, match=r"there is bills/gpu-1\.csv\.zip") as error:
        total(step)
    assert error.value.remedy.startswith("Unpack it")
    write(tmp_path / "bills" / "a.csv", lines(1))
    findings = list(FocusFiles(name="bills", kind="focus_files", path="bills").check(step))
    assert any("gpu-1.csv.zip" in finding.what for finding in findings)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("x/20261001-20261101/y.csv", date(2026, 10, 1), date(2026, 10, 31)),
        ("x/20261001-20261031/focus/y.csv", date(2026, 10, 1), date(2026, 10, 31)),
        ("x/20261001-20261001/y.csv", date(2026, 10, 1), date(2026, 10, 1)),
        ("data/BILLING_PERIOD=2026-02/y.csv", date(2026, 2, 1), date(2026, 2, 28)),
    ],
)
def test_a_folder_states_the_days_of_its_period(name: str, first: date, last: date) -> None:
    assert period_of(name) == DayRange(first, last)
    assert period_of("x/20261301-20261401/y.csv") is None

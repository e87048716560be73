"""The doctor compares what sources see: hosts under two names, places nobody knows, bills that come twice."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import ibis
import yaml

from energy_assets.doctor import examine, same_bills, together
from energy_assets.site import load_site
from energy_assets.sources.base import Finding, SeenBill
from energy_assets.sources.focus.source import FocusFiles
from energy_assets_tests.small_site import SITE, write_csv, write_site
from energy_assets_tests.test_counted_once import DAY, TWO_NAMES, run, two_names


def chapters(path: Path) -> dict[str, list[Finding]]:
    return {chapter.name: chapter.findings for chapter in examine(load_site(path))}


def with_lines(path: Path, finding: Finding) -> Path:
    """The site file with the first line that a finding advises."""
    head, first = finding.remedy.splitlines()[:2]
    key = head.split("`")[1].rstrip(":")
    path.write_text(f"{path.read_text()}{key}:\n  {first}\n")
    return path


def test_one_host_under_two_names_is_said_with_the_line_that_mends_it(tmp_path: Path) -> None:
    path = two_names(tmp_path)
    (finding,) = chapters(path)["hosts"]
    assert not finding.ok
    assert "onprem r1" in finding.what
    assert "devices without their node's meter: gpu-a; node meters without devices: 10.0.0.7" in finding.what
    assert yaml.safe_load(finding.remedy.splitlines()[1]) == [{"name": "gpu-a", "also": ["10.0.0.7"], "region": "r1"}]
    (mended,) = chapters(with_lines(path, finding))["hosts"]
    assert mended == Finding(True, "1 host")
    assert run(path, DAY)[1].warnings == [], "the run agrees"


def test_meters_of_hosts_without_devices_are_no_fault_and_a_name_alike_finds_its_meter(tmp_path: Path) -> None:
    path = two_names(tmp_path)
    write_csv(tmp_path / "ipmi/a.csv", ["time", "node", "power_w"], [("2024-05-30T00:00:00Z", "bmc-gpu-a.m", 1)])
    write_csv(tmp_path / "ipmi/b.csv", ["time", "node", "power_w"], [("2024-05-30T00:00:00Z", "store", 1)])
    (finding,) = chapters(path)["hosts"]
    assert '- {name: "gpu-a", also: ["bmc-gpu-a"], region: "r1"}' in finding.remedy
    (mended,) = chapters(with_lines(path, finding))["hosts"]
    assert mended.ok
    assert "node meters without devices, which count as whole nodes: store" in mended.what


def test_names_that_differ_in_their_domain_alone_are_said(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    names = ("a.dc1.example", "a.dc2.example")
    write_csv(
        tmp_path / "meters/z.csv",
        ["time", "node", "run", "power_w"],
        [("2024-06-01T00:00:00Z", name, "", 1) for name in names],
    )
    (finding,) = chapters(path)["hosts"]
    assert "a.dc1.example, a.dc2.example" in finding.what
    (mended,) = chapters(with_lines(path, finding))["hosts"]
    assert mended == Finding(True, "3 hosts, told apart by their names")


def test_a_place_says_who_says_so_and_what_nobody_says(tmp_path: Path) -> None:
    text = TWO_NAMES.replace("provider: onprem, region: r1, zone: DE, pue: 1.25", "provider: aws, region: us-east-1", 1)
    path = two_names(tmp_path)
    path.write_text(text.replace("provider: onprem, region: r1, zone: DE, pue: 1.25", "provider: gcp, region: mars1"))
    known, unknown = chapters(path)["places"]
    assert known.ok
    assert known.what.startswith("aws us-east-1: zone US-MIDA-PJM (cloud_regions.csv: AWS, regions")
    assert "PUE 1.15 (" in known.what
    assert "Bought services (Scope 3.1) (a bought service), WUE 0.06 (water.csv: AWS" in known.what
    assert not unknown.ok
    assert "gcp mars1: zone not known, PUE not known" in unknown.what
    assert '- {provider: gcp, region: "mars1", zone: …, pue: …}' in unknown.remedy


def test_a_line_under_places_that_a_block_goes_before_is_said(tmp_path: Path) -> None:
    line = "places:\n  - {{provider: onprem, region: R1, zone: FR, pue: 1.2, valid_{}: 2024-06-01}}\n"
    path = two_names(tmp_path, line.format("from"))
    *stated, useless = chapters(path)["places"]
    assert all(place.ok for place in stated)
    assert not useless.ok
    assert useless.what == (
        "site.yaml places[0] has no effect: the `place` block of dcgm and of ipmi states `zone` and `pue` of the same "
        "place, and goes first"
    )
    path.write_text(path.read_text().replace(", zone: DE, pue: 1.25", ""))
    assert not any("no effect" in finding.what for finding in chapters(path)["places"])


def test_a_line_that_a_block_goes_before_in_part_says_which_part(tmp_path: Path) -> None:
    """`pue` of the line counts, for no block states it; `zone` does not, and a line of another account is not met."""
    line = "{provider: onprem, region: r1, zone: FR, pue: 1.2}"
    other = '{provider: onprem, region: r1, account_id: "9", zone: FR}'
    path = two_names(tmp_path, f"places:\n  - {line}\n  - {other}\n")
    here = "region: r1, zone: DE, pue: 1.25"
    path.write_text(path.read_text().replace(here, 'account_id: "7", region: r1, zone: DE'))
    found = chapters(path)["places"]
    assert [finding.what for finding in found if not finding.ok] == [
        "`zone` of site.yaml places[0] has no effect: the `place` block of dcgm and of ipmi states `zone` of the same "
        "place, and goes first"
    ]
    assert any("zone DE (place of the source" in f.what and "PUE 1.2 (site.yaml places[0])" in f.what for f in found)


def test_one_place_in_two_spellings_is_shown_once_for_each_source_that_states_it(tmp_path: Path) -> None:
    path = two_names(tmp_path)
    path.write_text(path.read_text().replace("region: r1", "region: R1", 1))
    assert len(chapters(path)["places"]) == 2


def test_a_bill_that_names_no_account_beside_one_that_does_is_to_be_mended() -> None:
    sources = [FocusFiles(name=name, kind="focus_files", path="x") for name in ("payer", "bills")]
    may = date(2024, 5, 1)

    def found(payer: str | None, bills: str | None) -> list[Finding]:
        seen = {"payer": [SeenBill("aws", payer, may)], "bills": [SeenBill("aws", bills, may)]}
        return list(same_bills(ibis.duckdb.connect(), sources, seen))

    (finding,) = found(None, "1")
    assert not finding.ok
    assert finding.what == (
        "aws, 2024-05: payer counts, the bill of bills is kept as a cross-check (the first in the site file counts), "
        "for one of them names no account"
    )
    assert "billing_account: …" in finding.remedy
    (finding,) = found("1", "1")
    assert (finding.ok, finding.remedy) == (True, "")
    (finding,) = found("1", "2")
    assert "no bill is known to come twice" in finding.what


def test_a_bill_known_to_come_twice_names_the_source_that_counts(tmp_path: Path) -> None:
    second = '  - {name: payer, kind: focus_files, path: "bills/*.csv"}\n'
    path = write_site(tmp_path, text=SITE.replace("attribution:", second + "attribution:"))
    (before,) = chapters(path)["bills"]
    assert "bills, payer: no bill is known to come twice" in before.what
    time.sleep(2.1)  # a file changed less than two seconds ago is not remembered yet
    run(path)
    (after,) = chapters(path)["bills"]
    assert after.ok
    said = "aws account 000000000001, 2024-05 to 2024-06: bills counts, the bill of payer is kept as a cross-check"
    assert after.what.startswith(said)


def test_what_is_wrong_with_many_files_in_the_same_words_is_said_once() -> None:
    said = [
        Finding(False, "a/1.csv: no column 'time'", "Name it for a/1.csv."),
        Finding(True, "a/2.csv: 3 readings"),
        Finding(False, "a/3.csv: no column 'time'", "Name it for a/3.csv."),
        Finding(False, "a/4.csv: no column 'node'", "Name it for a/4.csv."),
        Finding(False, "a/5.csv: no column 'time'", "Another remedy."),
        Finding(True, "a/6.csv: 3 readings"),
        Finding(False, "a/7.csv: no column 'time'", "Name it for a/7.csv."),
        Finding(False, "nothing is here"),
    ]
    first = replace(said[0], what="a/1.csv and 2 more: no column 'time'")
    assert together(said) == [first, said[1], said[3], said[4], said[5], said[7]]

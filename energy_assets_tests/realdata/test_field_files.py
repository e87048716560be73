"""Files as public bug reports tell of them, each in its own small site, end to end: the right value, or the cause.

The inputs lie beside the checkout (`data/field/files`); their README says what is right.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.doctor import examine
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import Outcome, run_days
from energy_assets.site import Site, load_site
from energy_assets.sources.base import Finding

pytestmark = pytest.mark.realdata

MONDAY = DayRange(date(2025, 10, 20), date(2025, 10, 20))
WEEKEND = DayRange(date(2025, 10, 25), date(2025, 10, 26))


@pytest.fixture
def case(tmp_path: Path, real_data: Path) -> Callable[..., Path]:
    """The folder of a case, copied, with changes to its site file."""
    if not (real_data / "field" / "files").exists():
        pytest.skip("the small inputs after public bug reports are not here; they are not part of this repository")

    def copied(name: str, *changes: tuple[str, str]) -> Path:
        folder = tmp_path / name
        shutil.copytree(real_data / "field" / "files" / name, folder, copy_function=shutil.copyfile)
        change(folder, *changes)
        return folder

    return copied


def change(folder: Path, *changes: tuple[str, str]) -> None:
    path = folder / "site.yaml"
    text = path.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)


def site_of(folder: Path) -> Site:
    return load_site(folder / "site.yaml")


def run(folder: Path, days: DayRange = MONDAY) -> Outcome:
    return run_days(site_of(folder), days, lambda step: None)


def findings(folder: Path) -> dict[str, list[Finding]]:
    return {chapter.name: list(chapter.findings) for chapter in examine(site_of(folder))}


def kwh(folder: Path) -> Decimal:
    (((found,),),) = [ask(site_of(folder), "select sum(energy_kwh) from energy")[1]]
    return Decimal(found)


def test_f1_two_power_supplies_are_refused_until_they_are_told_apart(case: Callable[..., Path]) -> None:
    folder = case("f1")
    (finding,) = findings(folder)["psu"]
    outcome = run(folder)

    assert not finding.ok
    assert "meters/redfish.csv: at 360 instants" in finding.what
    assert "'PowerSupply' tells them apart (PSU1, PSU2)" in finding.what
    assert "\n  device: PowerSupply" in finding.remedy
    assert not outcome.success
    assert finding.what in "".join(outcome.failures.values())

    change(folder, ("node: Host", "node: Host, device: PowerSupply"))
    assert run(folder).success
    assert kwh(folder).quantize(Decimal("0.01")) == Decimal("17.95")
    assert ask(site_of(folder), "select distinct method, device_kind from energy")[1] == [("metered_node", "node")]


def test_f2b_a_local_log_over_the_end_of_summer_time(case: Callable[..., Path]) -> None:
    folder = case("f2b")
    (finding,) = findings(folder)["smib"]
    assert not finding.ok
    assert "times are taken as UTC" in finding.what
    assert "go back by an hour" in finding.what
    assert "timezone: Europe/Berlin" in finding.remedy

    change(folder, ("device_kind: gpu", "device_kind: gpu, timezone: Europe/Berlin"))
    finding, *tried = findings(folder)["smib"]
    assert all(one.ok for one in (finding, *tried))
    assert "times are taken as Europe/Berlin, the first reading is 2025-10-25 22:00:00 UTC" in finding.what
    assert run(folder, WEEKEND).success
    assert kwh(folder).quantize(Decimal("0.001")) == Decimal("3.653")
    first = ask(site_of(folder), "select min(hour), count(distinct hour) from energy where energy_kwh > 0")[1]
    assert [str(cell) for cell in first[0]] == ["2025-10-25 22:00:00", "6"]


def test_f2b_as_the_log_of_nvidia_smi_it_is(case: Callable[..., Path]) -> None:
    block = 'time: timestamp, node: " uuid", power_w: " power.draw [W]", device_kind: gpu'
    folder = case("f2b", (block, "format: nvidia_smi, timezone: Europe/Berlin, node: {constant: box-1}"))
    assert run(folder, WEEKEND).success
    assert kwh(folder).quantize(Decimal("0.001")) == Decimal("3.653")
    rows = ask(site_of(folder), "select distinct node_id, device_id, device_kind, method from energy order by all")[1]
    assert rows == [("box-1", f"GPU-{n}a1b2c3", "gpu", "measured_power") for n in (0, 1)]


def test_f3_totals_of_codecarbon_are_told_what_to_do_with(case: Callable[..., Path]) -> None:
    folder = case("f3")
    (finding,) = findings(folder)["cc"]
    outcome = run(folder)

    assert not finding.ok
    assert "cc/emissions.csv: is CodeCarbon's emissions.csv" in finding.what
    assert "format: nvidia_smi" in finding.remedy
    assert not outcome.success
    assert finding.what in "".join(outcome.failures.values())


def grams(folder: Path) -> Decimal | None:
    (((found,),),) = [ask(site_of(folder), "select sum(location_g) from emissions")[1]]
    return None if found is None else Decimal(found)


@pytest.mark.parametrize("name", ["g1", "g2"])
def test_g1_g2_an_export_that_a_spreadsheet_saved_again_is_read(case: Callable[..., Path], name: str) -> None:
    """24 kWh; the direct intensity goes up by 10 g an hour from 300.5 g and begins anew each midnight."""
    folder = case(name)
    assert all(finding.ok for finding in findings(folder)["grid"])
    assert run(folder).success
    rows = ask(site_of(folder), "select hour, direct_gco2e_per_kwh, is_estimated from grid_intensity order by hour")[1]
    assert [row[1] for row in rows] == independent(folder)
    assert not any(row[2] for row in rows)
    assert grams(folder) == sum(independent(folder))


def independent(folder: Path) -> list[Decimal]:
    """The 24 direct intensities of 20 October, by Python's own CSV reader."""
    path = folder / "grid" / "DE_2025.csv"
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter=";" if folder.name == "g1" else ","))
    begins = "20.10.2025 " if folder.name == "g1" else "10/20/2025 "
    return [Decimal(line[4].replace(",", ".")) for line in lines if line[0].startswith(begins)]


def test_g5_measured_goes_before_estimated_and_that_before_the_name_of_the_file(case: Callable[..., Path]) -> None:
    folder = case("g5")
    assert run(folder).success
    assert grams(folder) == Decimal(9600)
    assert ask(site_of(folder), "select distinct factor_id, factor_tier from grid_intensity")[1] == [
        ("electricity_maps/csv/DE/DE_2025_hourly_v2_revised", 1)
    ]


def test_g4_a_place_in_a_zone_that_no_source_has_is_told_with_the_nearest(case: Callable[..., Path]) -> None:
    folder = case("g4")
    (finding,) = findings(folder)["intensities"]
    assert not finding.ok
    assert "zone AUS-NSW: no source of grid intensity has it" in finding.what
    assert "grid has AU-NSW" in finding.what
    assert finding.remedy.startswith("Did you mean AU-NSW? ")
    run(folder)
    assert grams(folder) is None

    change(folder, ("zone: AUS-NSW", "zone: AU-NSW"))
    assert "intensities" not in findings(folder)
    assert run(folder).success
    assert grams(folder) == 24 * Decimal(650)

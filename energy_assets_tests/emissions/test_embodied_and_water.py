"""Embodied emissions and water of rows, by hand: whose hours count, what is shared, and what stays unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import pytest

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.hardware import HARDWARE_IS_SEEN, UNSEEN_HARDWARE
from energy_assets.contracts.tables import Emissions, Energy, GridIntensity
from energy_assets.emissions.appliers import HOURLY
from energy_assets.emissions.assets import factor_uncertainty, water_of_zones
from energy_assets.emissions.embodied import hardware_of
from energy_assets.emissions.inventory import grams_of, unseen_of
from energy_assets.emissions.pipe import Factors, run_pipe
from energy_assets.estimates.embodied import device_g_per_hour, server_g_per_vcpu_hour
from energy_assets.estimates.own_tables import OwnHardware, own_hardware
from energy_assets.factors.hardware import accelerator_of_device, accelerators
from energy_assets.factors.places import as_table, members_of, resolve
from energy_assets.factors.tables import rows_of_data
from energy_assets.periods import ONE_DAY
from energy_assets.site import SitePlace, load_site
from energy_assets.sources.errors import MalformedError
from energy_assets_tests.rows import DAY, at, rows_of, table

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
D = Decimal
Row = dict[str, Any]
H100_G = 164_000 / 35_040
GPU = {
    "device_kind": "gpu",
    "device_model": "NVIDIA H100 80GB HBM3",
    "device_id": "gpu-0",
    "method": "measured_counter",
}
CLOUD = {"provider": "aws", "region": "us-east-1", "zone": "US-MIDA-PJM"}
BILLED = {**GPU, **CLOUD, "method": "estimated_capacity", "device_model": "H100", "share_id": "p/m/w/"}
OWN_PLACE = SitePlace(provider="onprem", region="r1", pue=D("1.25"), wue=D("1.8"))


def keep(rows: ir.Table) -> ir.Table:
    made: ir.Table = CON.create_table(f"kept_{uuid4().hex[:8]}", rows, temp=True)
    return made


def emitted(energy: Iterable[Mapping[str, Any]], *places: SitePlace) -> list[Row]:
    """Rows of the contract `Emissions`, as the asset makes them."""
    rows = keep(conform(table(Energy, energy), Energy))
    where = ibis.memtable(as_table(resolve(members_of(rows), {}, list(places) or [OWN_PLACE])))
    factors = Factors(
        where, table(GridIntensity, [{}]), factor_uncertainty(), "direct", hardware_of(rows, keep), water_of_zones()
    )
    made = keep(conform(run_pipe(rows, factors, HOURLY), Emissions))
    audit(made, Emissions)
    return sorted(rows_of(CON, made), key=lambda row: (row["device_id"], row["share_id"]))


@pytest.mark.parametrize(
    ("energy", "hours", "grams"),
    [
        ({}, 1, H100_G),
        ({"coverage": D("0.25"), "usage_hours": D("0.25")}, 1, H100_G),
        ({"energy_kwh": None, "coverage": D(0), "usage_hours": None}, 1, H100_G),
        ({"usage_hours": D("0.25"), **CLOUD}, 0.25, H100_G / 4),
        ({"usage_hours": None, **CLOUD}, None, None),
        ({"device_model": "NVIDIA H100 PCIe"}, 1, None),
        ({"device_model": "Unheard Of 9000"}, 1, None),
        ({"device_model": None}, 1, None),
        ({"device_kind": "node"}, None, None),
    ],
)
def test_hours_and_grams_of_a_metered_device(energy: Row, hours: float | None, grams: float | None) -> None:
    """Own machines: the whole hour, observed or not; bought ones: the hours observed."""
    (row,) = emitted([{**GPU, **energy}])
    for name, wanted in (("device_hours", hours), ("embodied_g", grams)):
        assert row[name] == (None if wanted is None else pytest.approx(D(wanted), rel=D("1e-12"))), name


@pytest.mark.parametrize(("provider", "whole"), [("onprem", H100_G), ("aws", H100_G / 2)])
def test_users_of_one_device_share_its_hour_by_their_time(provider: str, whole: float) -> None:
    device = {**GPU, "provider": provider, "region": None, "zone": None}
    users = [{**device, "share_id": name, "usage_hours": D(time)} for name, time in
             (("a", "0.1"), ("b", "0.3"), ("idle", "0.1"))]  # fmt: skip
    alone = {**device, "device_id": "gpu-1", "usage_hours": D("0.5")}
    rows = emitted([*users, alone])
    assert [float(row["embodied_g"]) for row in rows] == pytest.approx([whole / 5, whole * 3 / 5, whole / 5, whole])
    assert [row["share_id"] for row in rows] == ["a", "b", "idle", "all"]


def test_users_whose_time_is_unknown_share_alike_and_more_than_an_hour_is_one() -> None:
    nobody = [{**GPU, "share_id": name, "usage_hours": None} for name in ("a", "b")]
    assert [float(row["embodied_g"]) for row in emitted(nobody)] == pytest.approx([H100_G / 2] * 2)
    sliced = [{**GPU, **CLOUD, "share_id": name, "usage_hours": D(1)} for name in ("a", "b")]
    assert [float(row["device_hours"]) for row in emitted(sliced)] == [0.5, 0.5]


def test_what_a_bill_tells_passes_through() -> None:
    (row,) = emitted([{**BILLED, "device_hours": D(8), "embodied_g": D("37.44"), "usage_hours": D(1)}])
    assert (row["device_hours"], row["embodied_g"]) == (D(8), D("37.44"))
    (row,) = emitted([{**BILLED, "device_hours": D(8), "embodied_g": None}])
    assert row["embodied_g"] is None


@pytest.mark.parametrize(
    ("energy", "places", "on_site", "off_site"),
    [
        ({"energy_kwh": D(10), "zone": "AT"}, (), D(18), D("12.5") * D("5.722182")),
        ({"energy_kwh": D(10), "zone": "XX"}, (), D(18), None),
        ({"energy_kwh": D(10), "zone": None}, (), D(18), None),
        ({"energy_kwh": None, "zone": "AT"}, (), None, None),
        ({"energy_kwh": D(10), "zone": "AT", "region": "other"}, (), None, None),
        ({"energy_kwh": D(10), **CLOUD}, (), D("1.2"), None),
        ({"energy_kwh": D(10), **CLOUD}, (SitePlace(provider="aws", region="us-east-1", wue=D(0)),), D(0), None),
    ],
)
def test_water_of_a_row(energy: Row, places: tuple[SitePlace, ...], on_site: D | None, off_site: D | None) -> None:
    """10 kWh x 1.8 l at a place of one's own, x 0.12 l in Virginia; 12.5 kWh of the facility x that of the zone."""
    (row,) = emitted([energy], *places)
    assert (row["water_onsite_l"], row["water_offsite_l"]) == (on_site, off_site)


def test_no_row_is_lost_or_added() -> None:
    energy = [{**GPU, "device_id": f"gpu-{n}", "share_id": share, "usage_hours": D("0.5"), "region": region}
              for n in range(4) for share in ("a", "idle") for region in ("r1", None)]  # fmt: skip
    assert len(emitted([*energy, {**GPU, "device_id": "alone"}, BILLED])) == len(energy) + 2


@pytest.mark.parametrize(
    ("model", "accelerator"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"), ("NVIDIA H100 NVL", "H100 NVL"), ("NVIDIA H100 PCIe", None),
        ("NVIDIA A100-SXM4-80GB", "A100-80"), ("NVIDIA A100-SXM4-40GB", "A100-40"),
        ("NVIDIA A100 80GB PCIe", "A100-80 PCIe"), ("NVIDIA A10G", "A10G"), ("NVIDIA A10", "A10"),
        ("Tesla V100-SXM2-16GB", "V100"), ("Tesla T4", "T4"), ("NVIDIA L4", "L4"), ("NVIDIA L40S", "L40S"),
        ("NVIDIA B200", "B200"), ("NVIDIA GB200", "GB200"), ("NVIDIA GH200 480GB", "GH200"), ("h100", "H100"),
        ("AMD Instinct MI300X", "MI300X"), ("NVIDIA GeForce RTX 4090", None), ("", None),
    ],
)  # fmt: skip
def test_models_of_devices_are_accelerators_of_the_table(model: str, accelerator: str | None) -> None:
    assert accelerator_of_device(model) == accelerator


def test_every_pattern_leads_to_an_accelerator_or_says_that_it_is_none() -> None:
    for row in rows_of_data("device_models.csv"):
        assert row["accelerator"] in accelerators() or (not row["accelerator"] and row["note"]), row


@pytest.mark.parametrize(
    ("found", "grams"),
    [
        (device_g_per_hour("H100"), 164_000 / 35_040),
        (device_g_per_hour("B200"), 284_250 / 35_040),
        (device_g_per_hour("Trainium"), None),
        (server_g_per_vcpu_hour("aws", "m5.xlarge"), 1_610_790 / 35_040 / 96),
        (server_g_per_vcpu_hour("azure", "Standard_D2s_v3"), None),
    ],
)
def test_grams_per_hour_of_the_tables(found: Any, grams: float | None) -> None:
    assert found == (None if grams is None else pytest.approx(grams, rel=1e-12))


LINE = OwnHardware("n1", "h100", D(2), D(438), D(5), date(2024, 5, 1), date(2025, 5, 1), "maker")
"""10 g per hour and piece: 438 kg over 43,800 h."""


def owned(energy: Iterable[Mapping[str, Any]], *lines: OwnHardware) -> dict[str, float | None]:
    """Grams by device and hour of day."""
    rows = keep(conform(table(Energy, energy), Energy))
    where = ibis.memtable(as_table(resolve(members_of(rows), {}, [OWN_PLACE])))
    hardware = hardware_of(rows, keep, grams_of(lines, rows, keep))
    factors = Factors(where, table(GridIntensity, [{}]), factor_uncertainty(), "direct", hardware)
    made = rows_of(CON, conform(run_pipe(rows, factors, HOURLY), Emissions))
    return {f"{row['device_id']} {row['hour'].hour}": row["embodied_g"] and float(row["embodied_g"]) for row in made}


TWO = [{**GPU, "device_id": name, "hour": at(hour)} for name in ("a", "b") for hour in range(24)]
CHASSIS = replace(LINE, device_model=None, count=D(1), kg=D(876))


@pytest.mark.parametrize(
    ("energy", "lines", "grams"),
    [
        (TWO, [LINE], {"a 0": 10, "b 23": 10}),
        (TWO[:24], [LINE], {"a 0": 20}),  # one of two is seen: both are there
        (TWO[:12], [LINE], {"a 0": 40}),  # half a day of one: the whole day of both
        (TWO, [LINE, CHASSIS], {"a 0": 20}),
        (TWO, [CHASSIS], {"a 0": H100_G + 10}),  # the built-in table has the device, the inventory its host
        (TWO, [replace(LINE, host="N*")], {"a 0": 10}),
        (TWO, [LINE, replace(LINE, host="n*")], {"a 0": 10}),  # who names the host goes first
        (TWO, [LINE, LINE], {"a 0": 20}),
        (TWO, [replace(LINE, device_model="nvidia h100 80gb*")], {"a 0": 10}),
        (TWO, [replace(LINE, device_model="B200")], {"a 0": H100_G}),
        (TWO, [replace(LINE, host="other")], {"a 0": H100_G}),
        (TWO, [replace(LINE, first=DAY + ONE_DAY)], {"a 0": H100_G}),
        (TWO, [replace(LINE, after=DAY)], {"a 0": H100_G}),
        ([{**row, **CLOUD} for row in TWO], [LINE], {"a 0": H100_G}),  # no hardware of one's own in a cloud
        ([{**GPU, "device_model": None, "hour": at(0)}], [CHASSIS], {"gpu-0 0": 480}),
    ],
)
def test_own_hardware_by_its_inventory(energy: list[Row], lines: list[OwnHardware], grams: dict[str, float]) -> None:
    found = owned(energy, *lines)
    assert len(found) == len(energy)
    assert {name: found[name] for name in grams} == pytest.approx(grams)


def test_a_day_of_own_hardware_is_its_share_whatever_is_seen_of_it() -> None:
    for rows in (TWO, TWO[:24], TWO[5:31], TWO[:1]):
        assert sum(filter(None, owned(rows, LINE).values())) == pytest.approx(2 * 10 * 24)


def test_a_line_that_speaks_of_no_row_of_a_day_is_told() -> None:
    rows = keep(conform(table(Energy, TWO), Energy))
    lines = [LINE, CHASSIS, replace(LINE, host="n2"), replace(LINE, device_model="B200"), replace(LINE, host="x*"),
             replace(LINE, host="gone", after=DAY)]  # fmt: skip
    found = rows_of(CON, HARDWARE_IS_SEEN.breaches(rows, {UNSEEN_HARDWARE: unseen_of(lines, rows, [DAY])}))
    assert [(row["host"], row["device_model"], row["kg_co2e_of_the_day"]) for row in found] == [
        ("n1", "B200", pytest.approx(0.48)), ("n2", "h100", pytest.approx(0.48)),
    ]  # fmt: skip
    assert rows_of(CON, HARDWARE_IS_SEEN.breaches(rows, {})) == []


SITE = """
organisation: {name: T}
start: 2024-05-01
sources: [{name: meters, kind: power_files, path: x.csv, node: node, place: {region: r1}}]
factors: {hardware: hardware.csv}
"""
HEAD = "host,device_model,count,kg_co2e,lifetime_years,in_service_from,in_service_to,source\n"


def inventory(folder: Path, text: str) -> list[OwnHardware]:
    (folder / "site.yaml").write_text(SITE)
    (folder / "hardware.csv").write_text(text)
    return own_hardware(load_site(folder / "site.yaml"))


def test_the_inventory_ends_with_the_years_or_with_the_use(tmp_path: Path) -> None:
    text = "gpu-*,H100,8,164,4,2024-01-01,,maker\nn2,,1,1200,5,2024-01-01,2025-01-01,maker\n"
    one, two = inventory(tmp_path, HEAD + text)
    assert one == OwnHardware("gpu-*", "H100", D(8), D(164), D(4), date(2024, 1, 1), date(2027, 12, 31), "maker")
    assert (two.device_model, two.after) == (None, date(2025, 1, 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "n1,H100,0,164,4,2024-01-01,,maker\n", "hardware.csv, line 2: count is '0'; it must be more than 0"),
        (HEAD + "n1,H100,8,,4,2024-01-01,,maker\n", "line 2: kg_co2e is ''"),
        (HEAD + "n1,H100,8,164,4,,,maker\n", "line 2: in_service_from is empty"),
        (HEAD + "n1,H100,8,164,4,1.2.2024,,maker\n", "line 2: in_service_from is '1.2.2024', which is no day"),
        (HEAD + "n1,H100,8,164,4,2024-01-01,2023-01-01,maker\n", "is not after in_service_from 2024-01-01"),
        (HEAD + "n1,H100,8,164,4,2024-01-01,,\n", "line 2: source is empty"),
        ("host,count\nn1,2\n", "hardware.csv: has no column device_model, kg_co2e, lifetime_years"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MalformedError) as caught:
        inventory(tmp_path, text)
    assert said in str(caught.value)

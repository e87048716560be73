"""Embodied emissions and water: each row has its source, places are those of cloud_regions.csv, unknown is None."""

from __future__ import annotations

from decimal import Decimal

import pytest

from energy_assets.factors.footprints import (
    embodied_device,
    embodied_server,
    water_of_grid,
    water_stress,
)
from energy_assets.factors.hardware import accelerators, instances
from energy_assets.factors.tables import cloud_zones, rows_of_data

KEYS = {
    "embodied.csv": ("kind", "provider", "thing"),
    "grid_water.csv": ("zone",),
    "grid_losses.csv": ("zone", "year"),
    "water_stress.csv": ("provider", "region"),
}
STRESS = {"low", "low to medium", "medium to high", "high", "extremely high"}


@pytest.mark.parametrize("table", KEYS)
def test_rows_are_complete_plain_and_named_once(table: str) -> None:
    rows = rows_of_data(table)
    assert rows
    for row in rows:
        assert None not in row, row
        assert None not in row.values(), row
        assert all(value == value.strip() for value in row.values()), row
        assert row["source"], row
        assert 2015 <= int(row["year"]) <= 2026, row
    keys = [tuple(row[name] for name in KEYS[table]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_what_was_made_is_a_device_a_part_or_a_server_that_the_other_tables_know() -> None:
    families = {(provider, name.split(".")[0]) for provider, name in instances() if provider == "aws"}
    families |= {(provider, name.rsplit("-", 1)[0]) for provider, name in instances() if provider == "gcp"}
    for row in rows_of_data("embodied.csv"):
        assert Decimal(row["kg"]) > 0, row
        assert 1 <= Decimal(row["lifetime_years"]) <= 10, row
        assert (row["kind"] == "server") == bool(row["server_vcpus"]), row
        if row["kind"] == "device":
            assert row["thing"] in accelerators()
        elif row["kind"] == "server":
            thing = (row["provider"], row["thing"])
            assert thing in families or thing in instances(), row
        else:
            assert row["kind"] == "component", row


def test_a_machine_is_no_larger_than_its_server() -> None:
    servers = {key: embodied_server(*key) for key in instances()}
    known = {key: server for key, server in servers.items() if server is not None}
    assert len(known) > 400
    larger = [
        key for key, server in known.items() if server.server_vcpus and instances()[key].vcpus > server.server_vcpus
    ]
    assert larger == []


@pytest.mark.parametrize(("name", "kg"), [("H100", "164"), ("B200", "284.25")])
def test_accelerators_as_their_maker_states_them(name: str, kg: str) -> None:
    device = embodied_device(name)
    assert device is not None
    assert device.kg == Decimal(kg)
    assert embodied_device("Trainium") is None


def test_servers_by_family_or_by_size() -> None:
    found = {text: embodied_server("aws", text) for text in ("m5.xlarge", "db.m5.large", "c5.large", "c5.24xlarge")}
    shapes = {text: server and (server.kg, server.server_vcpus) for text, server in found.items()}
    assert shapes == {
        "m5.xlarge": (Decimal("1610.79"), 96),
        "db.m5.large": (Decimal("1610.79"), 96),
        "c5.large": (Decimal("1344.29"), 72),
        "c5.24xlarge": (Decimal("1344.29"), 96),
    }
    google = embodied_server("gcp", "n2-standard-8")
    assert google is not None
    assert (google.kg, google.server_vcpus) == (Decimal("1888.46"), 128)
    assert embodied_server("azure", "Standard_D2s_v3") is None
    assert embodied_server("aws", "z99.large") is None


def test_a_server_of_its_parts() -> None:
    """Cloud Carbon Footprint gives an a1 server of 32 GiB 1022.21 kg."""
    parts = {row["thing"]: Decimal(row["kg"]) for row in rows_of_data("embodied.csv") if row["kind"] == "component"}
    assert parts["server"] + 16 * parts["memory_gib"] == Decimal("1022.21")


def test_water_that_nobody_publishes_is_unknown() -> None:
    assert water_of_grid("XX") is None
    assert water_stress("gcp", "asia-southeast1") is None


def test_water_of_grids_is_of_known_zones_and_plausible() -> None:
    zones = {one.value for every in cloud_zones().values() for one in every}
    for row in rows_of_data("grid_water.csv"):
        assert row["zone"] in zones, row
        assert 0 < Decimal(row["consumed_l_per_kwh"]) < 30, row
    germany = water_of_grid("DE")
    assert germany is not None
    assert (germany.l_per_kwh, germany.withdrawn_l_per_kwh) == (Decimal("1.946974"), None)


def test_water_of_places_is_of_known_regions() -> None:
    for table in ("water.csv", "water_stress.csv"):
        assert {(row["provider"], row["region"]) for row in rows_of_data(table)} <= set(cloud_zones())
    assert {row["stress"] for row in rows_of_data("water_stress.csv")} == STRESS
    assert all(0 < Decimal(row["wue_l_per_kwh"]) < 5 for row in rows_of_data("water.csv"))
    assert water_stress("aws", "us-west-1") == "extremely high"

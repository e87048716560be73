"""What hardware cost to make, and the water that power and cooling take: tables that estimates rest on.

What belongs here: typed reading of these tables. What does not: the arithmetic of shares and lifetimes. What nobody
publishes is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from energy_assets.contracts.regions import region_key
from energy_assets.factors.hardware import instance_key
from energy_assets.factors.tables import rows_of_data


@dataclass(frozen=True)
class Embodied:
    """Emissions of making a device, a server or a part of one.

    Attributes:
        kg: CO2e of its making, once; of servers without accelerators.
        server_vcpus: vCPUs that the server offers, over which it is shared; None for what is no server.
        lifetime_years: Years of use over which it is spread.
        uncertainty_pct: 95 % interval, plus or minus per cent; None where nobody states one.
        year: Year of the publication.
        source: Who publishes it.
        note: What was assumed.
    """

    kg: Decimal
    server_vcpus: Decimal | None
    lifetime_years: Decimal
    uncertainty_pct: Decimal | None
    year: int
    source: str
    note: str


@dataclass(frozen=True)
class Water:
    """Litres of water that the power plants of a grid take per kWh.

    Attributes:
        l_per_kwh: Consumed per kWh of electricity.
        withdrawn_l_per_kwh: Withdrawn; None where nobody publishes it.
        year: Year of the value or its publication.
        source: Who publishes it, and of which area.
    """

    l_per_kwh: Decimal
    withdrawn_l_per_kwh: Decimal | None
    year: int
    source: str


def embodied_device(accelerator: str) -> Embodied | None:
    """Embodied emissions of one accelerator; None where its maker publishes none.

    Args:
        accelerator: As `accelerators.csv` names it.
    """
    return _embodied().get(("device", "", accelerator))


def embodied_server(provider: str, text: str) -> Embodied | None:
    """Embodied emissions of the server that a machine type runs on; None where nobody publishes them.

    Args:
        provider: aws, gcp, azure.
        text: Machine type as a bill prints it.
    """
    cloud, key = provider.strip().lower(), instance_key(provider, text)
    family = key.split(".", 1)[0] if cloud == "aws" else key.rsplit("-", 1)[0]
    return _embodied().get(("server", cloud, key)) or _embodied().get(("server", cloud, family))


def water_of_grid(zone: str) -> Water | None:
    """Water that the power plants of a grid zone take; None where the table has no such zone.

    Args:
        zone: Grid zone as Electricity Maps names it.
    """
    return waters_of_grids().get(zone)


def water_stress(provider: str, region: str) -> str | None:
    """Baseline water stress at the place of a cloud region, in the words of Aqueduct; None where unknown.

    Args:
        provider: aws, gcp, azure.
        region: As a bill writes it.
    """
    return _stress().get(region_key(provider, region))


@cache
def _embodied() -> dict[tuple[str, str, str], Embodied]:
    return {
        (row["kind"], row["provider"], row["thing"]): Embodied(
            Decimal(row["kg"]),
            Decimal(row["server_vcpus"]) if row["server_vcpus"] else None,
            Decimal(row["lifetime_years"]),
            Decimal(row["uncertainty_pct"]) if row["uncertainty_pct"] else None,
            int(row["year"]),
            row["source"],
            row["note"],
        )
        for row in rows_of_data("embodied.csv")
    }


@cache
def waters_of_grids() -> dict[str, Water]:
    """What the power plants of each grid zone of the table take."""
    return {
        row["zone"]: Water(
            Decimal(row["consumed_l_per_kwh"]),
            Decimal(row["withdrawn_l_per_kwh"]) if row["withdrawn_l_per_kwh"] else None,
            int(row["year"]),
            row["source"],
        )
        for row in rows_of_data("grid_water.csv")
    }


@cache
def _stress() -> dict[tuple[str, str], str]:
    return {(row["provider"], row["region"]): row["stress"] for row in rows_of_data("water_stress.csv")}

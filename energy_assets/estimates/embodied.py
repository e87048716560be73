"""Grams per hour of the manufacture of hardware: of an accelerator, of a vCPU's share of its server.

What belongs here: footprints of our tables over their years of use. What does not: the tables (`factors.footprints`),
the site's own hardware, and hours of use.
"""

from __future__ import annotations

from fractions import Fraction

from energy_assets.estimates.watts import embodied_g
from energy_assets.factors.footprints import embodied_device, embodied_server

HOURS_OF_YEAR = 8760


def g_per_hour(kg: Fraction, lifetime_years: Fraction, share: Fraction = Fraction(1)) -> Fraction:
    """Grams of the manufacture of something that one hour of its years of use has.

    Args:
        kg: CO2e of its making.
        lifetime_years: Over which it is spread, of 8,760 hours each.
        share: Of it that is used.
    """
    return embodied_g(kg, Fraction(1), lifetime_years * HOURS_OF_YEAR, share)


def device_g_per_hour(accelerator: str) -> Fraction | None:
    """The same of one accelerator; None where no table has its footprint.

    Args:
        accelerator: As `accelerators.csv` names it.
    """
    found = embodied_device(accelerator)
    return None if found is None else g_per_hour(Fraction(found.kg), Fraction(found.lifetime_years))


def server_g_per_vcpu_hour(provider: str, text: str) -> Fraction | None:
    """The same of one vCPU's share of the server that a machine type runs on; None where no table has it.

    Args:
        provider: aws, gcp, azure.
        text: Machine type as a bill prints it.
    """
    found = embodied_server(provider, text)
    if found is None or not found.server_vcpus:
        return None
    return g_per_hour(Fraction(found.kg), Fraction(found.lifetime_years), 1 / Fraction(found.server_vcpus))

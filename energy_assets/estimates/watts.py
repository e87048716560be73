"""The arithmetic of an estimate: each rule of the method as one function, in exact fractions.

What belongs here: energy from usage and constants, before PUE. What does not: which constants (`components`), and the
same on many rows (`usage`).
"""

from __future__ import annotations

from fractions import Fraction
from math import sqrt


def linear_kwh(hours: Fraction, idle_w: Fraction, max_w: Fraction, utilization: Fraction) -> Fraction:
    """Energy of a device between idle and full load, in kWh.

    Cloud Carbon Footprint, methodology (2024): average watts = minimum + utilization x (maximum − minimum); after
    Barroso and Hölzle, The Case for Energy-Proportional Computing (2007).

    Args:
        hours: Of the device: of one vCPU, of one accelerator, or of a part of one.
        idle_w: Power at no load, watts.
        max_w: Power at full load, watts.
        utilization: 0 to 1.
    """
    return hours * (idle_w + utilization * (max_w - idle_w)) / 1000


def memory_beyond(memory_gib: Fraction, vcpus: Fraction, memory_gib_per_vcpu: Fraction) -> Fraction:
    """Memory that the watts of a machine's processor do not cover already, in GiB.

    Watts per vCPU are of whole servers with their memory (SPECpower_ssj2008), so only what a machine has beyond that is
    added. Cloud Carbon Footprint, methodology, Memory (2024): memory is added where an instance has more of it per
    processor than the servers of the SPECpower database; here per vCPU, which needs no guess of chips per instance.

    Args:
        memory_gib: Of the machine.
        vcpus: Of the machine.
        memory_gib_per_vcpu: Of the servers whose watts are taken.
    """
    return max(Fraction(0), memory_gib - vcpus * memory_gib_per_vcpu)


def w_without_memory(watts: Fraction, memory_gib: Fraction, memory_w_per_gib: Fraction) -> Fraction:
    """Watts of a vCPU whose memory is billed on a line of its own: those of its server less those of its memory.

    With this, vCPUs and memory on two lines draw what `memory_beyond` gives them on one, wherever there is more memory
    than the servers have. Cloud Carbon Footprint adds both lines whole and says that this may overestimate slightly.

    Args:
        watts: Of one vCPU with the memory its server has for it.
        memory_gib: That memory.
        memory_w_per_gib: What memory draws.
    """
    return max(Fraction(0), watts - memory_gib * memory_w_per_gib)


def held_kwh(gb_hours: Fraction, wh_per_tb_hour: Fraction, replication: Fraction = Fraction(1)) -> Fraction:
    """Energy of stored data, in kWh; the copies that are kept are a factor of their own.

    Cloud Carbon Footprint, methodology (2024): terabyte-hours x coefficient x replication factor.

    Args:
        gb_hours: Gigabytes times hours; a gigabyte-month is a gigabyte for the 672 to 744 hours of that month.
        wh_per_tb_hour: Of the medium, watt-hours per terabyte-hour.
        replication: Copies that are kept.
    """
    return gb_hours / 1000 * wh_per_tb_hour / 1000 * replication


def embodied_g(
    total_kg: Fraction, hours: Fraction, lifetime_hours: Fraction, share: Fraction = Fraction(1)
) -> Fraction:
    """Share of a device's manufacture that an amount of use has, in grams; never turned into energy.

    Software Carbon Intensity specification (ISO/IEC 21031:2024): M = total x time share x resource share.

    Args:
        total_kg: Of the device, kg CO2e.
        hours: Of use.
        lifetime_hours: Over which the device is written off.
        share: Of the device that is reserved.
    """
    return total_kg * 1000 * hours / lifetime_hours * share


def spread_pct(idle_w: Fraction, max_w: Fraction, utilization: Fraction) -> float:
    """Half-width of the 95 % interval that an unknown utilization leaves, in per cent of the estimate.

    Nothing is known of the load but that it lies between none and full, so the interval reaches to the farther of
    both. JCGM 100:2008, 4.3.7, knows bounds alone; here they are taken whole and not as a standard deviation.

    Args:
        idle_w: Power at no load.
        max_w: Power at full load.
        utilization: What the estimate takes, 0 to 1.
    """
    used = idle_w + utilization * (max_w - idle_w)
    if not used:
        return 0.0
    return float((max_w - idle_w) * max(utilization, 1 - utilization) / used * 100)


def load_taken(measured: Fraction, covered: Fraction, default: Fraction) -> Fraction:
    """Utilization of an hour of which part was measured: the rest keeps the default.

    Linear, as power is in it: the energy is that of the measured part plus that of the rest. Cloud Carbon Footprint,
    methodology (2024), takes the provider's metric where there is one, and else 50 per cent.

    Args:
        measured: Mean of the part that was measured, 0 to 1.
        covered: That part of the time the machine ran, 0 to 1.
        default: Where nobody measured, 0 to 1.
    """
    return covered * measured + (1 - covered) * default


def open_load_pct(idle_w: Fraction, max_w: Fraction, taken: Fraction, covered: Fraction, default: Fraction) -> float:
    """Half-width of the 95 % interval that the unmeasured part of a load leaves, in per cent of the estimate.

    As `spread_pct`, of the part that was not measured; without any measured it is `spread_pct`, and 0 where all was.

    Args:
        idle_w: Power at no load.
        max_w: Power at full load.
        taken: From `load_taken`.
        covered: Part of the time that was measured, 0 to 1.
        default: The utilization taken for the rest, 0 to 1.
    """
    used = idle_w + taken * (max_w - idle_w)
    if not used:
        return 0.0
    return float((1 - covered) * (max_w - idle_w) * max(default, 1 - default) / used * 100)


def in_squares(*pcts: float) -> float:
    """Relative half-widths of independent factors of a product together: the root of their squares.

    JCGM 100:2008, 5.1.6.

    Args:
        pcts: In per cent.
    """
    return sqrt(sum(pct * pct for pct in pcts))

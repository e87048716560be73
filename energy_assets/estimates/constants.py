"""Constants of estimates as exact fractions: from a site's own files first, then from our tables.

What belongs here: one constant by its name, or None where nobody states it. What does not: the tables' rows with their
sources (`factors.hardware`), and what is made of a constant (`watts`, `components`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction

from energy_assets.factors import hardware
from energy_assets.factors.hardware import Accelerator, Instance
from energy_assets.site import SpendProxy

IDLE_SHARE = "accelerator_idle_share"
_DISK = re.compile(r"(?:^|[^a-z0-9])([pes][0-9]{1,2})(?:[^a-z0-9]|$)")


@dataclass(frozen=True)
class Power:
    """Watts of one device, or of one vCPU, at no load and at full load.

    Attributes:
        idle_w: At no load.
        max_w: At full load.
        pct: 95 % interval of both, per cent; None where nobody states one.
        memory_gib: Memory whose power is in the watts; none in those of accelerators.
    """

    idle_w: Fraction
    max_w: Fraction
    pct: float | None
    memory_gib: Fraction = Fraction(0)


@dataclass(frozen=True)
class Coefficient:
    """A constant with its 95 % interval in per cent; None where nobody states one."""

    value: Fraction
    pct: float | None


@dataclass(frozen=True)
class Constants:
    """What estimates multiply with.

    Attributes:
        own_machines: Machine types a site states itself, by (provider, type); they go before the table's.
        own_accelerators: Accelerators a site states itself, by name.
        spend: Proxies from spend, in the order of the site file.
    """

    own_machines: Mapping[tuple[str, str], Instance] = field(default_factory=dict)
    own_accelerators: Mapping[str, Accelerator] = field(default_factory=dict)
    spend: Sequence[SpendProxy] = ()

    def spend_of(self, provider: str, service: str) -> SpendProxy | None:
        """The first proxy from spend that speaks of a service; None where the site asks for none.

        Args:
            provider: As `cost` has it.
            service: ServiceName.
        """
        fits = (one for one in self.spend if one.provider == provider and fnmatchcase(service, one.service))
        return next(fits, None)

    def machine(self, provider: str, text: str) -> Instance | None:
        """A machine type as a bill prints it; None where no table has it.

        Args:
            provider: As `cost` has it.
            text: The type, in any of the spellings of bills.
        """
        own = self.own_machines.get((provider, hardware.instance_key(provider, text)))
        return own or hardware.instance(provider, text)

    def accelerator_power(self, name: str) -> Power | None:
        """Watts of an accelerator; None where its maker states no power at full load.

        Where full load is stated and no load is not, the share of the others' (`accelerator_idle_share`) is taken.

        Args:
            name: As the tables have it.
        """
        found = self.own_accelerators.get(name) or hardware.accelerators().get(name)
        if found is None or found.max_w is None:
            return None
        full = Fraction(found.max_w)
        idle = full * self.coefficient(IDLE_SHARE).value if found.idle_w is None else Fraction(found.idle_w)
        return Power(idle, full, _pct(found.uncertainty_pct))

    @staticmethod
    def vcpu_power(provider: str, architecture: str | None) -> Power | None:
        """Watts of one vCPU and of the memory its server has for it; None where nobody states them for the provider.

        Args:
            provider: As `cost` has it.
            architecture: Of the processor; None for the provider's average.
        """
        found = hardware.cpu_power(provider, architecture) or hardware.cpu_power(provider)
        if found is None:
            return None
        idle, full = Fraction(found.idle_w_per_vcpu), Fraction(found.max_w_per_vcpu)
        return Power(idle, full, _pct(found.uncertainty_pct), Fraction(found.memory_gib_per_vcpu))

    @staticmethod
    def coefficient(name: str) -> Coefficient:
        """A coefficient of `energy_coefficients.csv`.

        Args:
            name: Its name.

        Raises:
            KeyError: no such row.
        """
        found = hardware.coefficient(name)
        if found is None:
            raise KeyError(name)
        return Coefficient(Fraction(found.value), _pct(found.uncertainty_pct))


def managed_disk(text: str) -> tuple[str, Fraction] | None:
    """Medium and gigabytes of a managed disk of Azure that a meter names, such as `P10 LRS Disk`; None for no such.

    Args:
        text: The meter.
    """
    sizes = hardware.managed_disks()
    return next((sizes[name] for name in _DISK.findall(text.lower()) if name in sizes), None)


def _pct(value: object) -> float | None:
    return None if value is None else float(str(value))

"""What clouds rent out and what it draws: machine types, accelerators, power of CPUs, energy coefficients.

What belongs here: typed reading of the tables under `factors/data` that estimates from bills rest on, and the one rule
that turns the spellings of bills into the keys of these tables. What does not: estimates themselves. Each row keeps
its year, its source and, where somebody states one, its 95 % interval; what nobody publishes is None, never zero.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache

from energy_assets.factors.tables import rows_of_data


@dataclass(frozen=True)
class Instance:
    """A machine type of a cloud.

    Attributes:
        vcpus: As the vendor publishes them; of shared cores the fraction.
        memory_gib: Memory of the machine.
        cpu_architecture: Its row of `cpu_power.csv`; None where the vendor names no processor or several.
        accelerator: Its row of `accelerators.csv`; None where the machine has none.
        accelerators: How many of these; a decimal, for some types have part of one.
        year: Year of the publication.
        source: Who publishes it.
        note: What is particular; empty where nothing is.
    """

    vcpus: Decimal
    memory_gib: Decimal
    cpu_architecture: str | None
    accelerator: str | None
    accelerators: Decimal
    year: int
    source: str
    note: str


@dataclass(frozen=True)
class Accelerator:
    """Power of one GPU, TPU chip or other accelerator, as clouds count them.

    Attributes:
        vendor: Who makes it.
        idle_w: Power when idle; None where nobody publishes it.
        max_w: Power at full use; None where nobody publishes it.
        uncertainty_pct: 95 % interval, plus or minus per cent; None where nobody states one.
        year: Year of the publication.
        source: Who publishes it.
        note: What was assumed.
    """

    vendor: str
    idle_w: Decimal | None
    max_w: Decimal | None
    uncertainty_pct: Decimal | None
    year: int
    source: str
    note: str


@dataclass(frozen=True)
class CpuPower:
    """Power of a server per vCPU.

    Attributes:
        idle_w_per_vcpu: When idle.
        max_w_per_vcpu: At full use.
        memory_gib_per_vcpu: Memory of the servers whose watts these are: what it draws is in the watts.
        uncertainty_pct: 95 % interval, plus or minus per cent; None where nobody states one.
        year: Year of the publication.
        source: Who publishes it.
        note: What was assumed, and what the interval is.
    """

    idle_w_per_vcpu: Decimal
    max_w_per_vcpu: Decimal
    memory_gib_per_vcpu: Decimal
    uncertainty_pct: Decimal | None
    year: int
    source: str
    note: str


@dataclass(frozen=True)
class Coefficient:
    """A number that an estimate multiplies with, or a default it takes.

    Attributes:
        value: The number.
        unit: Its unit.
        uncertainty_pct: 95 % interval, plus or minus per cent; None where nobody states one.
        year: Year of the publication.
        source: Who publishes it.
        note: What it covers.
    """

    value: Decimal
    unit: str
    uncertainty_pct: Decimal | None
    year: int
    source: str
    note: str


@cache
def instances() -> dict[tuple[str, str], Instance]:
    """The machine types of AWS, Google Cloud and Azure by (provider, type), spelled as `instance_key` does."""
    return {
        (row["provider"], row["instance_type"]): Instance(
            Decimal(row["vcpus"]),
            Decimal(row["memory_gib"]),
            row["cpu_architecture"] or None,
            row["accelerator"] or None,
            Decimal(row["accelerators"] or 0),
            int(row["year"]),
            row["source"],
            row["note"],
        )
        for row in rows_of_data("instances.csv")
    }


@cache
def accelerators() -> dict[str, Accelerator]:
    """The accelerators by name."""
    return {
        row["accelerator"]: Accelerator(
            row["vendor"],
            _number(row["idle_w"]),
            _number(row["max_w"]),
            _number(row["uncertainty_pct"]),
            int(row["year"]),
            row["source"],
            row["note"],
        )
        for row in rows_of_data("accelerators.csv")
    }


def instance(provider: str, text: str) -> Instance | None:
    """The machine type that a bill names; None where the table does not know it.

    Custom types of Google Cloud are not in the table: their vCPUs and memory stand in the name.

    Args:
        provider: aws, gcp, azure.
        text: As the bill prints it.
    """
    cloud, key = provider.strip().lower(), instance_key(provider, text)
    return instances().get((cloud, key)) or (_custom(key) if cloud == "gcp" else None)


def instance_key(provider: str, text: str) -> str:
    """A machine type in the spelling of `instances.csv`, however a bill prints it.

    AWS puts services and usage around the machine (`ml.p4d.24xlarge`, `BoxUsage:m5.xlarge`, `m5.xlarge.search`);
    Google Cloud prints its path; Azure writes `Standard_D2s_v3`, `D2s v3` and, for two types of one price,
    `D2 v3/D2s v3`, of which the first stands for both. Text without a machine comes back in lower case.

    Args:
        provider: aws, gcp, azure.
        text: As the bill prints it.
    """
    cloud, plain = provider.strip().lower(), text.strip().lower()
    if cloud == "aws":
        within = _AWS_MACHINE.search(plain)
        return within.group(1) if within else plain
    if cloud == "gcp":
        return plain.rsplit("/", 1)[-1]
    if cloud == "azure":
        first = plain.split("/", 1)[0].split(" - ", 1)[0].strip()
        return _AZURE_OFFER.sub("", "_".join(first.split())).removeprefix("standard_")
    return plain


def accelerator_of(text: str) -> str | None:
    """The accelerator whose hours a line of a bill counts; None where its text names none.

    Args:
        text: Description of a SKU, as the bill prints it.
    """
    billed = _billed(text)
    return billed[0] if billed else None


def accelerators_per_unit(text: str) -> Decimal | None:
    """How many accelerators one unit of such a line stands for: 4 chips for a device of TPU v2; None where none.

    Args:
        text: Description of a SKU, as the bill prints it.
    """
    billed = _billed(text)
    return billed[1] if billed else None


def accelerator_of_device(model: str) -> str | None:
    """The accelerator that a device is, by the model its driver reports; None where no pattern knows it.

    Args:
        model: As telemetry tells it, such as `NVIDIA H100 80GB HBM3`; a name of `accelerators.csv` stands for itself.
    """
    plain = model.strip().lower()
    own = next((name for name in accelerators() if name.lower() == plain), None)
    return own or next((name for pattern, name in _device_patterns() if pattern.search(plain)), None) or None


def cpu_power(provider: str, architecture: str | None = None) -> CpuPower | None:
    """Power per vCPU of an architecture with a provider; None where the table has no such row.

    Args:
        provider: aws, gcp, azure.
        architecture: As `instances.csv` names it; None for the average of the provider.
    """
    return _cpu_powers().get((provider.strip().lower(), architecture or ""))


def coefficient(name: str) -> Coefficient | None:
    """A coefficient by its name; None where the table has no such row.

    Args:
        name: A name of `energy_coefficients.csv`.
    """
    return coefficients().get(name)


@cache
def managed_disks() -> dict[str, tuple[str, Fraction]]:
    """Medium and gigabytes of the managed disks that are billed by the piece, by their name in small letters."""
    return {row["disk"]: (row["medium"], Fraction(row["gb"])) for row in rows_of_data("managed_disks.csv")}


_AWS_MACHINE = re.compile(
    r"(?<![a-z0-9-])([a-z][a-z0-9]*(?:-[a-z0-9]+)*"  # family: m5, c7i-flex, p6e-gb200
    r"\.(?:metal(?:-\d+xl)?|nano|micro|small|medium|large|\d*xlarge|xlplus))"
    r"(?:\.(?:search|elasticsearch))?(?![a-z0-9.])"
)
_AZURE_OFFER = re.compile(r"(?:_(?:spot|low_priority|expired|promo))+$")
_GOOGLE_CUSTOM = re.compile(r"(?:(e2|n2d?|n4[ad]?)-)?custom-(\d+)-(\d+)(?:-ext)?")


def _custom(key: str) -> Instance | None:
    """A custom machine type of Google Cloud: `n2-custom-8-16384` has 8 vCPUs and 16384 MiB; N1 names no family."""
    named = _GOOGLE_CUSTOM.fullmatch(key)
    if not named:
        return None
    family = named.group(1) or "n1"
    like = instances()[("gcp", f"{family}-standard-2")]
    return Instance(
        Decimal(named.group(2)),
        Decimal(named.group(3)) / 1024,
        like.cpu_architecture,
        None,
        Decimal(0),
        2026,
        "Google Cloud, custom machine types of Compute Engine",
        "vCPUs and memory from the name",
    )


def _billed(text: str) -> tuple[str, Decimal] | None:
    """Accelerator and how many of them, by the first pattern that a text meets; a pattern without one means none."""
    plain = text.lower()
    for pattern, name, count in _billed_patterns():
        if pattern.search(plain):
            return (name, count) if name else None
    return None


@cache
def _billed_patterns() -> tuple[tuple[re.Pattern[str], str, Decimal], ...]:
    return tuple(
        (re.compile(row["pattern"]), row["accelerator"], Decimal(row["accelerators"] or 0))
        for row in rows_of_data("accelerator_names.csv")
    )


@cache
def _device_patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(row["pattern"]), row["accelerator"]) for row in rows_of_data("device_models.csv"))


@cache
def _cpu_powers() -> dict[tuple[str, str], CpuPower]:
    return {
        (row["provider"], row["cpu_architecture"]): CpuPower(
            Decimal(row["idle_w_per_vcpu"]),
            Decimal(row["max_w_per_vcpu"]),
            Decimal(row["memory_gib_per_vcpu"]),
            _number(row["uncertainty_pct"]),
            int(row["year"]),
            row["source"],
            row["note"],
        )
        for row in rows_of_data("cpu_power.csv")
    }


@cache
def coefficients() -> dict[str, Coefficient]:
    """The coefficients by name."""
    return {
        row["name"]: Coefficient(
            Decimal(row["value"]),
            row["unit"],
            _number(row["uncertainty_pct"]),
            int(row["year"]),
            row["source"],
            row["note"],
        )
        for row in rows_of_data("energy_coefficients.csv")
    }


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None

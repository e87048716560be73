"""From a kind of bill line to what draws power behind it: components, with constants from our own tables.

What belongs here: the one decision a kind of line gets, estimated or why not. What does not: quantities of single
lines (`usage`), the tables (`factors.hardware`), and the rules' patterns (`rules`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from energy_assets.contracts.vocabulary import DeviceKind
from energy_assets.estimates.constants import Constants, Power, managed_disk
from energy_assets.estimates.embodied import device_g_per_hour, server_g_per_vcpu_hour
from energy_assets.estimates.rules import ANY_UNIT, Rule, rule_of
from energy_assets.estimates.units import GIB_IN_GB, Unit, unit_of
from energy_assets.estimates.watts import held_kwh, in_squares, linear_kwh, memory_beyond, spread_pct, w_without_memory
from energy_assets.factors import hardware

Reason = Literal["rides", "unused", "tokens", "no method", "unknown type", "no power", "no quantity"]
"""Why a kind of line has no energy.

`rides`: it is a fee on what another line counts. `unused`: capacity nobody used. `tokens`: of a hosted model.
`no method`: nobody publishes what such usage draws. `unknown type`: the machine is in no table of ours. `no power`: the
machine is, and its maker does not say what it draws. `no quantity`: the line does not say how much was used.
"""
_MACHINE_TEXT = re.compile(
    r"\b((?:ml|db|cache|kafka|mq)\.)?([a-z][a-z0-9-]*\.(?:nano|micro|small|medium|large|[0-9]*xlarge|metal[a-z0-9-]*))\b"
)
_AZURE_TEXT = re.compile(
    r"^(?:.* series - )?(?:standard_)?([a-z]{1,6}[0-9]+[a-z0-9 /_-]*?)(?: (?:spot|low priority))?(?: - .*)?$"
)
_SIZED = re.compile(r"(?<![\d.])(\d+) ?v(?:cpu|core)s?\b")
_WITH_MEMORY = re.compile(r"\+ ?(\d+(?:[.]\d+)?) ?gi?b ram\b")
BETWEEN = " | "
"""Stands between the meter and the description in a kind of line, where it needs both."""
CPU_ALONE = "cpu without memory"
"""Name of processors whose memory is billed on a line of its own."""
MB_PER_VCPU = "lambda_memory_per_vcpu"
GPU, CPU, DRAM = DeviceKind.GPU.value, DeviceKind.CPU.value, DeviceKind.DRAM.value
STORAGE, NETWORK, SERVICE = DeviceKind.STORAGE.value, DeviceKind.NETWORK.value, DeviceKind.SERVICE.value


@dataclass(frozen=True)
class Line:
    """A kind of bill line: what all lines that are estimated alike have in common.

    Attributes:
        provider: As `cost` has it.
        service: ServiceName.
        meter: Meter or description.
        instance_type: As the bill has it.
        unit: Of the quantity, as printed.
    """

    provider: str
    service: str
    meter: str
    instance_type: str | None
    unit: str | None


@dataclass(frozen=True)
class Component:
    """One thing that draws power behind a line.

    Attributes:
        device_kind: As `energy` calls it.
        device_id: Names it among the components of a resource.
        device_model: What it is: the accelerator, the processor's architecture, the medium.
        amount: How much of it one printed unit is, before the hours of a month.
        amount_unit: gpu_h, vcpu_h, GB_h, GB or currency.
        monthly: Whether a printed unit is held for a month: its hours are then those of its month.
        idle_kwh: Per amount, at no load.
        slope_kwh: Per amount, from no load to full load.
        utilization: Share of full load that is taken where nobody measured it.
        replication: Copies that are kept, or machines that run, of what the line counts once.
        default_pct: 95 % interval with the utilization unknown, per cent; None where nobody states one.
        known_pct: The same with the utilization known.
        machine: Whether it is a part of a machine that may have telemetry of its own.
        embodied_g: Share of its manufacture per amount; None where no table has it.
        currency: Of a proxy from spend: what is counted is the cost in this currency, and not the quantity.
    """

    device_kind: str
    device_id: str
    device_model: str | None
    amount: Fraction
    amount_unit: str
    monthly: bool
    idle_kwh: Fraction
    slope_kwh: Fraction
    utilization: Fraction
    replication: Fraction
    default_pct: float | None
    known_pct: float | None
    machine: bool = False
    embodied_g: Fraction | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Decision:
    """What becomes of a kind of line.

    Attributes:
        components: What draws power; empty with a reason.
        reason: Why there is none.
        what: The machine type, accelerator or meter the reason speaks of.
        instance_hours: Hours of a machine in one printed unit; 0 where the line is no machine.
    """

    components: tuple[Component, ...] = ()
    reason: Reason | None = None
    what: str = ""
    instance_hours: Fraction = Fraction(0)


def decide(line: Line, constants: Constants) -> Decision:
    """What draws power behind a kind of line, or why nothing is known to.

    Args:
        line: The kind.
        constants: The site's own, and ours.
    """
    unit = unit_of(line.unit)
    rule = rule_of(line.provider, line.service, line.meter, unit)
    if rule is None and _unit_is_wanting(line, unit):
        return Decision(reason="no quantity", what=line.meter)
    if rule is None or rule.what == "none":
        return _by_spend(line, constants) or Decision(reason="no method", what=line.meter)
    if rule.what in ("rides", "unused", "tokens"):
        return Decision(reason=rule.what, what=line.meter)  # type: ignore[arg-type]
    if unit is None:
        return Decision(reason="no quantity", what=line.meter)
    return _MAKERS[rule.what](line, rule, unit, constants)


def _by_spend(line: Line, constants: Constants) -> Decision | None:
    """Energy per money, where the site asks for it and nothing better is known."""
    found = constants.spend_of(line.provider, line.service)
    if found is None:
        return None
    pct = None if found.uncertainty_pct is None else float(found.uncertainty_pct)
    kwh = Fraction(found.kwh_per_unit)
    part = _steady(SERVICE, "spend", line.service, Amount(Fraction(1), "currency"), kwh, pct, Fraction(1))
    return Decision((replace(part, currency=found.currency),))


def _unit_is_wanting(line: Line, unit: Unit | None) -> bool:
    """Whether a line would be estimated if its unit said of what: it has none, or is a machine's and says no time."""
    rule = rule_of(line.provider, line.service, line.meter, ANY_UNIT)
    if rule is None or unit is None:
        return rule is not None
    return rule.what == "machine" and rule.meter is not None and unit.thing == "count" and not unit.time


def _machine(line: Line, rule: Rule, unit: Unit, constants: Constants) -> Decision:
    """All parts of a machine, for the hours it ran."""
    name = _named_machine(line)
    found = constants.machine(line.provider, name) if name else None
    hours = unit.size * rule.replication
    if found is None:
        return Decision(reason="unknown type", what=name or line.instance_type or line.meter, instance_hours=hours)
    parts: list[Component] = []
    if found.accelerator and found.accelerators:
        part = _accelerator(constants, found.accelerator, unit.size * Fraction(found.accelerators), rule.replication)
        if part is None:
            return Decision(reason="no power", what=found.accelerator, instance_hours=hours)
        parts.append(part)
    power, vcpus = constants.vcpu_power(line.provider, found.cpu_architecture), Fraction(found.vcpus)
    server = server_g_per_vcpu_hour(line.provider, name or "")
    if power:
        cpu = _cpu(constants, found.cpu_architecture, unit.size * vcpus, power, rule.replication)
        parts.append(replace(cpu, embodied_g=server))
        server = None if server is None else Fraction(0)  # its memory is in that of its processors
    memory = _memory_beside(constants, Fraction(found.memory_gib), vcpus, power, unit.size, rule.replication)
    parts += [replace(part, embodied_g=server if power else None) for part in memory]
    return Decision(tuple(parts), instance_hours=hours)


def _named_machine(line: Line) -> str | None:
    """The machine type of a line: its own column, else the meter or the description."""
    if line.instance_type:
        return line.instance_type
    if line.provider == "azure":
        matches = (_AZURE_TEXT.match(text) for text in line.meter.lower().split(BETWEEN))
        return next((found[1] for found in matches if found), None)
    named = _MACHINE_TEXT.search(line.meter.lower())
    return f"{named[1] or ''}{named[2]}" if named else None


def _accelerators(line: Line, rule: Rule, unit: Unit, constants: Constants) -> Decision:
    """Accelerators billed by themselves, as Google does."""
    name = hardware.accelerator_of(line.meter)
    if name is None:
        return Decision(reason="unknown type", what=line.meter)
    hours = unit.size * Fraction(hardware.accelerators_per_unit(line.meter) or 1)
    part = _accelerator(constants, name, hours, rule.replication)
    return Decision((part,)) if part else Decision(reason="no power", what=name)


def _vcpus(line: Line, rule: Rule, unit: Unit, constants: Constants) -> Decision:
    """Processors billed by themselves: their memory has a line of its own, but for vCores, which come with theirs.

    A size that is sold whole names both (`4 vCPU + 15GB RAM`): one unit is then so many processors and so much memory.
    """
    text = line.meter.lower()
    power = constants.vcpu_power(line.provider, None)
    if power is None:
        return Decision(reason="no method", what=line.meter)
    sized, with_memory = _SIZED.search(text), _WITH_MEMORY.search(text)
    vcpus = unit.size * (Fraction(sized[1]) if sized else 1)
    bare = power if "vcore" in text else without_memory(constants, power)
    parts = [_cpu(constants, None, vcpus * rule.replication, bare, Fraction(1))]
    if with_memory:
        parts.append(_memory(constants, unit.size * Fraction(with_memory[1]), rule.replication))
    return Decision(tuple(parts))


def without_memory(constants: Constants, power: Power) -> Power:
    """Watts of a vCPU alone; the interval stays as many watts wide as it was, at half load.

    Args:
        constants: The site's own, and ours.
        power: Of a vCPU with its memory.
    """
    per_gib = constants.coefficient("memory").value * 1000
    idle, full = (w_without_memory(watts, power.memory_gib, per_gib) for watts in (power.idle_w, power.max_w))
    pct = power.pct and power.pct * float((power.idle_w + power.max_w) / (idle + full))
    return Power(idle, full, pct)


def _memories(line: Line, rule: Rule, unit: Unit, constants: Constants) -> Decision:
    """Memory billed by itself. A gigabyte of memory is 1024^3 bytes, whichever name its unit has."""
    size = unit.size / GIB_IN_GB if unit.binary else unit.size
    return Decision((_memory(constants, size, rule.replication, monthly=unit.time == "month"),))


def _functions(line: Line, rule: Rule, unit: Unit, constants: Constants) -> Decision:
    """Serverless functions: memory as billed, and the vCPU share that comes with so much memory."""
    gb_per_vcpu = constants.coefficient(MB_PER_VCPU).value / 1024
    power = constants.vcpu_power(line.provider, None)
    vcpus = 1 / gb_per_vcpu
    cpu = [_cpu(constants, None, unit.size * vcpus, power, rule.replication, machine=False)] if power else []
    memory = _memory_beside(constants, Fraction(1), vcpus, power, unit.size, rule.replication, machine=False)
    return Decision((*cpu, *memory))


def _storage(line: Line, rule: Rule, unit: Unit, constants: Constants) -> Decision:
    return Decision((_stored(constants, rule.medium, unit.size, unit.time == "month", rule.replication),))


def _disk(line: Line, rule: Rule, unit: Unit, constants: Constants) -> Decision:
    """Azure's managed disks are billed by the piece: the size is in the name."""
    found = managed_disk(line.meter)
    if found is None:
        return Decision(reason="unknown type", what=line.meter)
    medium, gb = found
    return Decision((_stored(constants, medium, unit.size * gb, True, rule.replication),))


def _network(line: Line, rule: Rule, unit: Unit, constants: Constants) -> Decision:
    value = constants.coefficient("network")
    amount = Amount(unit.size, "GB")
    return Decision((_steady(NETWORK, "network", None, amount, value.value, value.pct, rule.replication),))


_MAKERS = {
    "machine": _machine,
    "accelerator": _accelerators,
    "vcpu": _vcpus,
    "memory": _memories,
    "function": _functions,
    "storage": _storage,
    "disk": _disk,
    "network": _network,
}


def _accelerator(constants: Constants, name: str, hours: Fraction, replication: Fraction) -> Component | None:
    power = constants.accelerator_power(name)
    if power is None:
        return None
    amount, load = Amount(hours, "gpu_h", machine=True), constants.coefficient("gpu_utilization").value
    part = _loaded(GPU, f"gpu {name}", name, amount, power, load, replication)
    return replace(part, embodied_g=device_g_per_hour(name))


def _cpu(
    constants: Constants,
    architecture: str | None,
    hours: Fraction,
    power: Power,
    replication: Fraction,
    *,
    machine: bool = True,
) -> Component:
    name = f"cpu {architecture}" if architecture else "cpu" if power.memory_gib else CPU_ALONE
    amount, load = Amount(hours, "vcpu_h", machine=machine), constants.coefficient("cpu_utilization").value
    return _loaded(CPU, name, architecture, amount, power, load, replication)


def _memory_beside(
    constants: Constants,
    gib: Fraction,
    vcpus: Fraction,
    power: Power | None,
    hours: Fraction,
    replication: Fraction,
    *,
    machine: bool = True,
) -> list[Component]:
    """Memory beside vCPUs, as far as their watts do not cover it; no component where they cover all."""
    covered = power.memory_gib if power else Fraction(0)
    beyond = memory_beyond(gib, vcpus, covered)
    if not beyond:
        return []
    name = f"memory beyond {float(covered):g} GiB per vCPU" if covered else "memory"
    return [_memory(constants, hours * beyond, replication, name, machine=machine)]


def _memory(
    constants: Constants,
    gb_hours: Fraction,
    replication: Fraction,
    name: str = "memory",
    *,
    monthly: bool = False,
    machine: bool = True,
) -> Component:
    value = constants.coefficient("memory")
    amount = Amount(gb_hours, "GB_h", monthly, machine)
    return _steady(DRAM, name, None, amount, value.value, value.pct, replication)


def _stored(constants: Constants, medium: str, gb_hours: Fraction, monthly: bool, replication: Fraction) -> Component:
    value = constants.coefficient(f"storage_{medium}")
    amount = Amount(gb_hours, "GB_h", monthly)
    return _steady(STORAGE, medium, medium, amount, held_kwh(Fraction(1), value.value), value.pct, replication)


@dataclass(frozen=True)
class Amount:
    """How much one printed unit is: see `Component`."""

    size: Fraction
    unit: str
    monthly: bool = False
    machine: bool = False


def _loaded(
    kind: str, name: str, model: str | None, amount: Amount, power: Power, load: Fraction, replication: Fraction
) -> Component:
    """A component between idle and full load; where nobody states an interval of its watts, the load's stands alone."""
    spread = spread_pct(power.idle_w, power.max_w, load)
    idle, full = (linear_kwh(Fraction(1), power.idle_w, power.max_w, Fraction(share)) for share in (0, 1))
    return Component(
        kind, name, model, amount.size, amount.unit, amount.monthly, idle, full - idle, load, replication,
        in_squares(spread, power.pct or 0.0), power.pct, amount.machine,
    )  # fmt: skip


def _steady(
    kind: str, name: str, model: str | None, amount: Amount, kwh: Fraction, pct: float | None, replication: Fraction
) -> Component:
    """A component that draws the same whatever is done with it."""
    return Component(
        kind, name, model, amount.size, amount.unit, amount.monthly, kwh, Fraction(0), Fraction(0), replication, pct,
        pct, amount.machine,
    )  # fmt: skip

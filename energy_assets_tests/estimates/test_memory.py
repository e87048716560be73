"""Memory counts once: watts per vCPU are of whole servers, and only memory beyond theirs is added."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from energy_assets.estimates.components import Component, Line, decide
from energy_assets.estimates.constants import Constants
from energy_assets.estimates.watts import memory_beyond, w_without_memory
from energy_assets.factors.hardware import Instance


def parts(line: Line, constants: Constants | None = None) -> dict[str, Component]:
    """The components of a line by their names."""
    return {component.device_id: component for component in decide(line, constants or Constants()).components}


def machine(instance_type: str, provider: str = "aws") -> Line:
    """An hour of a machine."""
    if provider == "azure":
        return Line("azure", "Virtual Machines", instance_type, f"Standard_{instance_type}", "1 Hour")
    return Line("aws", "Amazon Elastic Compute Cloud", f"BoxUsage:{instance_type}", instance_type, "Hrs")


@pytest.mark.parametrize(
    ("gib", "vcpus", "covered", "beyond"),
    [
        ("16", "4", "1.4308", "10.2768"),  # m5.xlarge: 16 − 4 x 1.4308
        ("768", "96", "1.4308", "630.6432"),  # r5.24xlarge: 768 − 96 x 1.4308
        ("4", "2", "2.8048", "0"),  # c7a.large: 4 − 2 x 2.8048 is below none
        ("4", "2", "2", "0"),
        ("4", "0", "2", "4"),
    ],
)
def test_memory_beyond_that_of_the_servers(gib: str, vcpus: str, covered: str, beyond: str) -> None:
    assert memory_beyond(Fraction(gib), Fraction(vcpus), Fraction(covered)) == Fraction(beyond)


@pytest.mark.parametrize(
    ("line", "name", "gb"),
    [
        (machine("m5.xlarge"), "memory beyond 1.4308 GiB per vCPU", "10.2768"),
        (machine("c5.large"), "memory beyond 1.4308 GiB per vCPU", "1.1384"),  # 4 − 2 x 1.4308
        (machine("r5.24xlarge"), "memory beyond 1.4308 GiB per vCPU", "630.6432"),
        (machine("p5.48xlarge"), "memory beyond 1.0714 GiB per vCPU", "1842.2912"),  # 2048 − 192 x 1.0714
        (machine("r7a.large"), "memory beyond 2.8048 GiB per vCPU", "10.3904"),  # 16 − 2 x 2.8048: whole cores
        (machine("D2s_v3", "azure"), "memory beyond 1.4694 GiB per vCPU", "5.0612"),  # 8 − 2 x 1.4694
    ],
)
def test_a_machine_adds_the_memory_that_its_processor_does_not_cover(line: Line, name: str, gb: str) -> None:
    memory = parts(line)[name]
    assert (memory.device_kind, memory.amount_unit, memory.amount) == ("dram", "GB_h", Fraction(gb))


def test_an_hour_of_m5_xlarge_by_hand() -> None:
    # 4 x (0.74 + 0.5 x (3.5 − 0.74)) = 8.48 W, and 10.2768 x 0.392 = 4.0285056 W.
    kwh = [
        part.amount * (part.idle_kwh + part.utilization * part.slope_kwh)
        for part in parts(machine("m5.xlarge")).values()
    ]
    assert kwh == [Fraction("0.00848"), Fraction("0.0040285056")]


def test_a_machine_with_less_memory_than_the_servers_has_no_memory_of_its_own() -> None:
    assert set(parts(machine("c7a.large"))) == {"cpu EPYC 4th Gen, one thread per core"}


def test_a_machine_that_a_site_states_has_the_average_of_its_provider() -> None:
    own = Instance(Decimal(8), Decimal(64), None, None, Decimal(0), 2026, "", "")
    found = parts(machine("own.8xlarge"), Constants({("aws", "own.8xlarge"): own}))
    assert found["memory beyond 1.4308 GiB per vCPU"].amount == Fraction("52.5536")  # 64 − 8 x 1.4308


def test_memory_counts_whole_where_nobody_states_watts_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Constants, "vcpu_power", staticmethod(lambda provider, architecture: None))
    assert {name: part.amount for name, part in parts(machine("m5.xlarge")).items()} == {"memory": 16}


def test_vcpus_and_memory_on_two_lines_draw_what_they_draw_on_one() -> None:
    cpu = parts(Line("aws", "AWS Fargate", "USE1-Fargate-vCPU-Hours:perCPU", None, "hours"))["cpu without memory"]
    memory = parts(Line("aws", "AWS Fargate", "USE1-Fargate-GB-Hours", None, "GB-Hours"))["memory"]
    # 0.74 − 1.4308 x 0.392 = 0.1791264 W idle, 3.5 − 0.5608736 = 2.9391264 W at full load.
    assert (cpu.idle_kwh * 1000, (cpu.idle_kwh + cpu.slope_kwh) * 1000) == (
        Fraction("0.1791264"),
        Fraction("2.9391264"),
    )
    apart = [4 * (cpu.idle_kwh + cpu.slope_kwh / 2), 16 * memory.idle_kwh]
    assert sum(apart) == Fraction("0.00848") + Fraction("0.0040285056")  # as m5.xlarge


def test_the_interval_of_a_vcpu_without_memory_is_as_many_watts_wide() -> None:
    whole = Constants().vcpu_power("aws", None)
    cpu = parts(Line("aws", "AWS Fargate", "USE1-Fargate-vCPU-Hours:perCPU", None, "hours"))["cpu without memory"]
    assert whole is not None
    assert cpu.known_pct == pytest.approx(106 * 2.12 / 1.5591264)


def test_ram_that_google_bills_by_itself_counts_whole_and_its_cores_without() -> None:
    core = parts(Line("gcp", "Compute Engine", "N2 Instance Core running in Iowa", None, "hour"))
    ram = parts(Line("gcp", "Compute Engine", "N2 Instance Ram running in Iowa", None, "gibibyte hour"))
    # 0.68 − 1.7 x 0.392 = 0.0136 W.
    assert core["cpu without memory"].idle_kwh * 1000 == Fraction("0.0136")
    # Of machines memory is GiB, too: both lines together draw what one line does.
    assert ram["memory"].amount == 1


def test_vcores_of_databases_come_with_their_memory() -> None:
    assert set(parts(Line("azure", "SQL Database", "vCore", None, "1 Hour"))) <= {"cpu"}
    assert parts(Line("azure", "SQL Database", "vCore Hours", None, "1 Hour"))["cpu"].idle_kwh == Fraction("0.00074")


def test_a_function_has_little_memory_beyond_its_share_of_a_vcpu() -> None:
    found = parts(Line("aws", "AWS Lambda", "USE1-Lambda-GB-Second", None, "Lambda-GB-Second"))
    vcpus = Fraction(1024, 1769)
    assert found["cpu"].amount == vcpus / 3600
    memory = found["memory beyond 1.4308 GiB per vCPU"]
    assert memory.amount == (1 - vcpus * Fraction("1.4308")) / 3600
    assert not memory.machine


def test_watts_without_memory_are_never_below_none() -> None:
    assert w_without_memory(Fraction("0.69"), Fraction("2.1"), Fraction("0.392")) == 0

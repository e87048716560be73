"""Hardware of the clouds: the spellings of bills lead to rows that vendors published, and nothing is invented."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from importlib.resources import files
from statistics import median
from typing import Any

import duckdb
import pytest

from energy_assets.factors.hardware import (
    accelerator_of,
    accelerators,
    accelerators_per_unit,
    coefficient,
    cpu_power,
    instance,
    instance_key,
    instances,
)
from energy_assets.factors.tables import rows_of_data

KEYS = {
    "instances.csv": ("provider", "instance_type"),
    "accelerators.csv": ("accelerator",),
    "accelerator_names.csv": ("pattern",),
    "cpu_power.csv": ("provider", "cpu_architecture"),
    "energy_coefficients.csv": ("name",),
}
WHOLE_CORE = ", one thread per core"


@pytest.fixture(scope="module")
def described() -> dict[str, dict[str, Any]]:
    """EC2's own answer to DescribeInstanceTypes, as moto keeps it."""
    packed = files("moto.ec2").joinpath("resources", "instance_types.json.gz").read_bytes()
    told: dict[str, dict[str, Any]] = json.loads(gzip.decompress(packed))
    return told


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
        assert not row.get("uncertainty_pct") or Decimal(row["uncertainty_pct"]) > 0, row
    keys = [tuple(row[name] for name in KEYS[table]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_a_machine_has_cpus_memory_and_accelerators_that_are_in_the_table() -> None:
    for (provider, name), machine in instances().items():
        assert provider in {"aws", "gcp", "azure"}
        assert name == name.lower()
        assert 0 < machine.vcpus <= 2000
        assert 0 < machine.memory_gib <= 33000
        assert (machine.accelerator is None) == (machine.accelerators == 0), name
        assert machine.accelerators <= 16
        assert machine.accelerator is None or machine.accelerator in accelerators(), name


def test_every_architecture_of_a_machine_has_its_power_and_every_provider_an_average() -> None:
    named = {(provider, machine.cpu_architecture) for (provider, _), machine in instances().items()}
    for provider, architecture in named | {("aws", None), ("gcp", None), ("azure", None)}:
        power = cpu_power(provider, architecture)
        assert power is not None, (provider, architecture)
        assert 0 < power.idle_w_per_vcpu < power.max_w_per_vcpu < 20
        assert Decimal("0.5") < power.memory_gib_per_vcpu < 5
    listed = {(row["provider"], row["cpu_architecture"] or None) for row in rows_of_data("cpu_power.csv")}
    assert listed <= named


def test_a_vcpu_that_is_a_whole_core_draws_what_two_threads_draw() -> None:
    pairs = [
        (cpu_power(row["provider"], row["cpu_architecture"]), cpu_power(row["provider"], base))
        for row in rows_of_data("cpu_power.csv")
        if (base := row["cpu_architecture"].removesuffix(WHOLE_CORE)) != row["cpu_architecture"]
    ]
    both = [(core, thread) for core, thread in pairs if core and thread]
    assert len(both) >= 5
    for core, thread in both:
        assert float(core.idle_w_per_vcpu) == pytest.approx(2 * float(thread.idle_w_per_vcpu), abs=2e-4)
        assert float(core.max_w_per_vcpu) == pytest.approx(2 * float(thread.max_w_per_vcpu), abs=2e-4)
        assert core.memory_gib_per_vcpu == 2 * thread.memory_gib_per_vcpu


@pytest.mark.parametrize(
    ("provider", "architecture", "gib"),
    [
        ("aws", "Broadwell", "1.8481"), ("aws", "EPYC 2nd Gen", "1.0139"), ("aws", "Graviton4", "1.0139"),
        ("azure", "EPYC 3rd Gen", "1.0714"), ("gcp", "Ice Lake", "1.7"), ("gcp", "EPYC 5th Gen", "0.7205"),
        ("aws", "EPYC 4th Gen, one thread per core", "2.8048"), ("aws", None, "1.4308"), ("gcp", None, "1.7"),
        ("azure", None, "1.4694"),
    ],
)  # fmt: skip
def test_memory_of_the_servers_whose_watts_are_taken(provider: str, architecture: str | None, gib: str) -> None:
    power = cpu_power(provider, architecture)
    assert power is not None
    assert power.memory_gib_per_vcpu == Decimal(gib)


def test_accelerators_draw_more_in_use_than_idle_and_unknown_power_is_no_zero() -> None:
    for name, device in accelerators().items():
        known = [watts for watts in (device.idle_w, device.max_w) if watts is not None]
        assert all(0 < watts <= 1500 for watts in known), name
        assert known == sorted(known), name
        assert device.max_w is not None or device.idle_w is None, name
    assert accelerators()["Trainium2"].max_w is None
    assert accelerators()["TPU v5e"].max_w is None


@pytest.mark.parametrize(
    ("name", "idle", "most"),
    [
        ("T4", 8, 71), ("L4", 8, 72), ("A10G", 18, 153), ("V100", 35, 306), ("L40S", 40, 350), ("A100-40", 46, 407),
        ("A100-80", 46, 407), ("H100", 60, 700), ("H200", 60, 700), ("B200", 100, 1000), ("TPU v4", 90, 192),
        ("TPU v3", 123, 262), ("K80", "17.5", 153),
    ],
)  # fmt: skip
def test_powers_that_peers_publish(name: str, idle: int | str, most: int) -> None:
    assert (accelerators()[name].idle_w, accelerators()[name].max_w) == (Decimal(idle), Decimal(most))


@pytest.mark.parametrize(
    ("provider", "text", "vcpus", "memory", "accelerator", "count"),
    [
        ("aws", "m5.xlarge", "4", "16", None, "0"),
        ("aws", "p4d.24xlarge", "96", "1152", "A100-40", "8"),
        ("aws", "p4de.24xlarge", "96", "1152", "A100-80", "8"),
        ("aws", "p5.48xlarge", "192", "2048", "H100", "8"),
        ("aws", "p3.16xlarge", "64", "488", "V100", "8"),
        ("aws", "p6e-gb200.36xlarge", "144", "960", "GB200", "4"),
        ("aws", "g5.xlarge", "4", "16", "A10G", "1"),
        ("aws", "g6f.large", "2", "8", "L4", "0.125"),
        ("aws", "gr6f.4xlarge", "16", "128", "L4", "0.5"),
        ("aws", "trn1.32xlarge", "128", "512", "Trainium", "16"),
        ("aws", "dl1.24xlarge", "96", "768", "Gaudi", "8"),
        ("gcp", "a2-highgpu-8g", "96", "680", "A100-40", "8"),
        ("gcp", "a2-ultragpu-1g", "12", "170", "A100-80", "1"),
        ("gcp", "a3-highgpu-8g", "208", "1872", "H100", "8"),
        ("gcp", "g2-standard-32", "32", "128", "L4", "1"),
        ("gcp", "g2-standard-24", "24", "96", "L4", "2"),
        ("gcp", "g4-standard-6", "6", "22", "RTX PRO 6000", "0.125"),
        ("gcp", "ct5lp-hightpu-4t", "112", "192", "TPU v5e", "4"),
        ("gcp", "e2-micro", "0.25", "1", None, "0"),
        ("azure", "nd96asr_a100_v4", "96", "900", "A100-40", "8"),
        ("azure", "nd96amsr_a100_v4", "96", "1900", "A100-80", "8"),
        ("azure", "nv6ads_a10_v5", "6", "55", "A10", "0.166666666667"),
        ("azure", "nv18ads_a10_v5", "18", "220", "A10", "0.5"),
        ("azure", "nv4as_v4", "4", "14", "MI25", "0.125"),
        ("azure", "nd128isr_ndr_gb200_v6", "128", "900", "GB200", "4"),
        ("azure", "d2s_v3", "2", "8", None, "0"),
    ],
)
def test_machines_as_their_vendors_publish_them(
    provider: str, text: str, vcpus: str, memory: str, accelerator: str | None, count: str
) -> None:
    machine = instances()[(provider, text)]
    assert (machine.vcpus, machine.memory_gib) == (Decimal(vcpus), Decimal(memory))
    assert (machine.accelerator, machine.accelerators) == (accelerator, Decimal(count))


def test_machines_of_aws_are_what_ec2_says_of_them(described: dict[str, dict[str, Any]]) -> None:
    assert sorted(name for name in described if ("aws", name) not in instances()) == []
    for name, told in described.items():
        machine = instances()[("aws", name)]
        assert machine.vcpus == told["VCpuInfo"]["DefaultVCpus"], name
        assert machine.memory_gib * 1024 == told["MemoryInfo"]["SizeInMiB"], name
        assert machine.accelerators == _accelerators_told(told), name


def test_architectures_of_aws_fit_what_ec2_says_of_threads_and_makers(described: dict[str, dict[str, Any]]) -> None:
    for name, told in described.items():
        architecture = instances()[("aws", name)].cpu_architecture
        if architecture is None:
            continue
        arm = "arm64" in told["ProcessorInfo"]["SupportedArchitectures"]
        assert architecture.startswith("Graviton") == arm, name
        assert architecture.endswith(WHOLE_CORE) == (told["VCpuInfo"]["DefaultThreadsPerCore"] == 1 and not arm), name
        assert architecture.startswith("EPYC") == ("AMD" in told["ProcessorInfo"].get("Manufacturer", "")), name


def _accelerators_told(told: dict[str, Any]) -> Decimal:
    """Accelerators of a type as EC2 counts them: parts of a GPU by their share of it."""
    if "GpuInfo" in told:
        parts = told["GpuInfo"]["Gpus"]
        return sum((Decimal(str(p["GpuPartitionSize"])) * p["LogicalGpuCount"] for p in parts), Decimal(0))
    for info, devices in (
        ("NeuronInfo", "NeuronDevices"),
        ("InferenceAcceleratorInfo", "Accelerators"),
        ("FpgaInfo", "Fpgas"),
        ("MediaAcceleratorInfo", "Accelerators"),
    ):
        if info in told:
            return Decimal(sum(device["Count"] for device in told[info][devices]))
    return Decimal(0)


@pytest.mark.parametrize(
    ("provider", "text", "key"),
    [
        ("aws", "m5.xlarge", "m5.xlarge"),
        ("AWS", " M5.XLarge ", "m5.xlarge"),
        ("aws", "ml.p4d.24xlarge", "p4d.24xlarge"),
        ("aws", "USW2-ml.m5.xlarge-Training", "m5.xlarge"),
        ("aws", "db.m5.xlarge", "m5.xlarge"),
        ("aws", "cache.r6g.large", "r6g.large"),
        ("aws", "m5.xlarge.search", "m5.xlarge"),
        ("aws", "r5.large.elasticsearch", "r5.large"),
        ("aws", "EUC1-BoxUsage:c7i-flex.large", "c7i-flex.large"),
        ("aws", "SpotUsage:p6e-gb200.36xlarge", "p6e-gb200.36xlarge"),
        ("aws", "m7i.metal-24xl", "m7i.metal-24xl"),
        ("aws", "db.r5.4xlarge.tpc2.mem4x", "db.r5.4xlarge.tpc2.mem4x"),  # four times the memory: another machine
        ("aws", "BoxUsage", "boxusage"),
        ("gcp", "n1-standard-4", "n1-standard-4"),
        ("gcp", "projects/p/zones/us-central1-a/machineTypes/a2-highgpu-8g", "a2-highgpu-8g"),
        ("azure", "Standard_ND96amsr_A100_v4", "nd96amsr_a100_v4"),
        ("azure", "ND96amsr A100 v4", "nd96amsr_a100_v4"),
        ("azure", "D11 v2/DS11 v2", "d11_v2"),
        ("azure", "D2 v3/D2s v3 - US South C", "d2_v3"),
        ("azure", "STANDARD_NC6S_V3", "nc6s_v3"),
        ("azure", "NC6s v3 Low Priority", "nc6s_v3"),
        ("azure", "D2 v2 Promo/DS2 v2 Promo", "d2_v2"),
        ("azure", "E8-4s v4 Spot", "e8-4s_v4"),
        ("azure", "Basic_A1", "basic_a1"),
        ("elsewhere", "Big One", "big one"),
    ],
)
def test_spellings_of_bills_lead_to_one_key(provider: str, text: str, key: str) -> None:
    assert instance_key(provider, text) == key


def test_every_key_of_the_table_is_its_own_spelling() -> None:
    assert [key for key in instances() if instance_key(*key) != key[1]] == []


@pytest.mark.parametrize(
    ("text", "vcpus", "memory", "architecture"),
    [
        ("n2-custom-8-16384", 8, "16", None),
        ("n4-custom-4-10240", 4, "10", "Emerald Rapids"),
        ("custom-6-5632", 6, "5.5", None),
        ("e2-custom-2-1024-ext", 2, "1", None),
        ("n4a-custom-2-4096", 2, "4", None),
    ],
)
def test_custom_machines_of_google_are_read_from_their_name(
    text: str, vcpus: int, memory: str, architecture: str | None
) -> None:
    machine = instance("gcp", text)
    assert machine is not None
    assert (machine.vcpus, machine.memory_gib) == (vcpus, Decimal(memory))
    assert (machine.cpu_architecture, machine.accelerator) == (architecture, None)


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        ("aws", "z99.large"),
        ("aws", "n2-custom-8-16384"),
        ("gcp", "m5.xlarge"),
        ("gcp", "g2-custom-8-32768"),  # how many GPUs is not in the name
        ("azure", "Standard_ND96isr_Z900_v9"),
        ("onprem", "m5.xlarge"),
    ],
)
def test_an_unknown_machine_is_unknown(provider: str, text: str) -> None:
    assert instance(provider, text) is None


SKUS = [
    ("Nvidia H100 80GB GPU running in Iowa", "H100", 1),
    ("Nvidia H100 80GB Mega GPU attached to Spot Preemptible VMs running in Iowa", "H100", 1),
    ("Nvidia H200 141GB GPU running in Iowa", "H200", 1),
    ("A4 Nvidia B200 (1 gpu slice) running in Iowa", "B200", 1),
    ("Nvidia Tesla A100 GPU running in Americas", "A100-40", 1),
    ("Nvidia Tesla A100 80GB GPU running in Belgium", "A100-80", 1),
    ("Commitment v1: Nvidia Tesla A100 80GB in Iowa for 1 Year", "A100-80", 1),
    ("Nvidia Tesla T4 GPU running in Americas", "T4", 1),
    ("Nvidia L4 GPU attached to Spot Preemptible VMs running in Hong Kong", "L4", 1),
    ("Nvidia L4 GPU attached to DWS Defined Duration VMs running in Iowa", "L4", 1),
    ("RTX 6000 96GB running in Iowa", "RTX PRO 6000", 1),
    ("Nvidia Tesla V100 GPU running in EMEA", "V100", 1),
    ("Nvidia Tesla P100 GPU running", "P100", 1),
    ("Nvidia Tesla P4 GPU running", "P4", 1),
    ("Nvidia Tesla K80 GPU running in Americas", "K80", 1),
    ("Tpu-v2 accelerator", "TPU v2", 4),
    ("Preemptible Tpu-v3 Pod", "TPU v3", 4),
    ("TpuV5e", "TPU v5e", 1),
    ("TpuV5p", "TPU v5p", 1),
    ("TpuV6e", "TPU v6e", 1),
    ("Licensing Fee for Nvidia Tesla T4 Virtual Workstation", None, None),
    ("A2 Instance Core running in Americas", None, None),
    ("N1 Predefined Instance Core running in Americas", None, None),
    ("SSD backed PD Capacity", None, None),
    ("G2 Instance Ram running in Las Vegas", None, None),
]


@pytest.mark.parametrize(("text", "name", "count"), SKUS)
def test_texts_of_bills_name_their_accelerator(text: str, name: str | None, count: int | None) -> None:
    assert accelerator_of(text) == name
    assert accelerators_per_unit(text) == count


@pytest.mark.parametrize(("text", "name", "count"), SKUS)
def test_patterns_of_names_mean_the_same_in_sql(text: str, name: str | None, count: int | None) -> None:
    met = [row for row in rows_of_data("accelerator_names.csv") if _matches_in_sql(text.lower(), row["pattern"])]
    assert ((met[0]["accelerator"] or None) if met else None) == name


def test_every_name_on_bills_is_an_accelerator_of_the_table() -> None:
    assert {row["accelerator"] for row in rows_of_data("accelerator_names.csv")} - {""} <= set(accelerators())


def _matches_in_sql(text: str, pattern: str) -> bool:
    found = duckdb.execute("SELECT regexp_matches(?, ?)", [text, pattern]).fetchone()
    return bool(found and found[0])


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [
        ("memory", "0.000392", "kWh/GBh"),
        ("storage_ssd", "1.2", "Wh/TBh"),
        ("storage_hdd", "0.65", "Wh/TBh"),
        ("network", "0.001", "kWh/GB"),
        ("cpu_utilization", "0.5", "share"),
        ("gpu_utilization", "0.5", "share"),
        ("lambda_memory_per_vcpu", "1769", "MB/vCPU"),
    ],
)
def test_coefficients(name: str, value: str, unit: str) -> None:
    found = coefficient(name)
    assert found is not None
    assert (found.value, found.unit) == (Decimal(value), unit)


def test_averages_of_providers_are_the_published_ones() -> None:
    found = {provider: cpu_power(provider) for provider in ("aws", "gcp", "azure")}
    assert {name: (power.idle_w_per_vcpu, power.max_w_per_vcpu) for name, power in found.items() if power} == {
        "aws": (Decimal("0.74"), Decimal("3.5")),
        "gcp": (Decimal("0.68"), Decimal("4.11")),
        "azure": (Decimal("0.74"), Decimal("3.54")),
    }


def test_what_the_tables_do_not_know_is_none() -> None:
    assert coefficient("levitation") is None
    assert cpu_power("aws", "Abacus") is None
    assert cpu_power("onprem") is None


def test_the_idle_share_is_the_median_of_those_that_are_published() -> None:
    shares = [float(one.idle_w / one.max_w) for one in accelerators().values() if one.idle_w and one.max_w]
    assert float(coefficient("accelerator_idle_share").value) == pytest.approx(median(shares), abs=0.0005)  # type: ignore[union-attr]

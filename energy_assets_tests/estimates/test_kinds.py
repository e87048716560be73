"""What becomes of kinds of bill lines: the table of usage rules, on lines as bills print them."""

from __future__ import annotations

import pytest

from energy_assets.estimates.components import Decision, Line, decide
from energy_assets.estimates.constants import Constants
from energy_assets.estimates.rules import usage_rules

EC2, S3, RDS = "Amazon Elastic Compute Cloud", "Amazon Simple Storage Service", "Amazon Relational Database Service"


def beyond(gib: str) -> str:
    """The name of memory beside vCPUs that come with so much of it."""
    return f"memory beyond {gib} GiB per vCPU"


ESTIMATED = [
    ("aws", EC2, "EUC1-BoxUsage:p5.48xlarge", "Hrs", ["gpu H100", "cpu EPYC 3rd Gen", beyond("1.0714")]),
    ("aws", EC2, "EUC1-SpotUsage:p5.48xlarge", "Hrs", ["gpu H100", "cpu EPYC 3rd Gen", beyond("1.0714")]),
    ("aws", EC2, "$0.0464 per On Demand Linux t2.medium Instance Hour", "Hours", ["cpu", beyond("1.4308")]),
    ("aws", "AmazonEC2", "Linux/UNIX (Amazon VPC), p3.2xlarge reserved instance applied", "Hrs", None),
    ("aws", "Amazon SageMaker", "USE1-Host:ml.g5.xlarge", "Hrs", ["gpu A10G", "cpu EPYC 2nd Gen", beyond("1.0139")]),
    ("aws", "AmazonSageMaker", "USE1-Train:ml.p4d.24xlarge", "Hrs", None),
    ("aws", EC2, "EBS:VolumeUsage.gp3", "GB-Mo", ["ssd"]),
    ("aws", EC2, "EUW1-EBS:VolumeUsage.st1", "GB-Mo", ["hdd"]),
    ("aws", EC2, "EBS:SnapshotUsage", "GB-Mo", ["hdd"]),
    ("aws", S3, "USW2-TimedStorage-ByteHrs", "GB-Mo", ["hdd"]),
    ("aws", S3, "$0.023 per GB - first 50 TB / month of storage used", "GB-Months", ["hdd"]),
    ("aws", S3, "CAN1-APN1-AWS-Out-Bytes", "GB", ["network"]),
    ("aws", RDS, "USD 0.023 per db.t3.micro Single-AZ instance hour (or partial hour)", "Hours", None),
    ("aws", RDS, "$0.10 per GB-month of consumed storage (Aurora PostgreSQL)", "GB-Months", ["ssd"]),
    ("aws", "AWS Lambda", "EU-Lambda-GB-Second", "Lambda-GB-Second", ["cpu", beyond("1.4308")]),
    ("aws", "AWS Lambda", "AWS Lambda - Total Compute - US West (Oregon)-Tier-1", "Seconds", ["cpu", beyond("1.4308")]),
    (
        "aws",
        "Amazon Elastic Container Service",
        "AWS Fargate - vCPU  - US West 2 (Oregon)",
        "Hours",
        ["cpu without memory"],
    ),
    ("aws", "Amazon Elastic Container Service", "AWS Fargate - Memory  - US West 2 (Oregon)", "Hours", ["memory"]),
    ("gcp", "Compute Engine", "N2 Instance Core running in Netherlands", "hour", ["cpu without memory"]),
    ("gcp", "Compute Engine", "N2 Instance Ram running in Netherlands", "gibibyte hour", ["memory"]),
    ("gcp", "Compute Engine", "Nvidia H100 80GB GPU running in Netherlands", "hour", ["gpu H100"]),
    ("gcp", "Vertex AI", "Vertex AI: Training/Pipelines on Nvidia Tesla T4 GPU in Europe", "hour", ["gpu T4"]),
    ("gcp", "Compute Engine", "SSD backed PD Capacity in Netherlands", "gibibyte month", ["ssd"]),
    ("gcp", "Compute Engine", "Storage PD Capacity", "gibibyte month", ["hdd"]),
    ("gcp", "Cloud Storage", "Standard Storage Netherlands", "GB-Hours", ["hdd"]),
    ("azure", "Virtual Machines", "ND96asr A100 v4 | Virtual Machines NDASv4_A100 Series", "Hours", None),
    ("azure", "Azure Machine Learning", "Virtual Machines Dv2/DSv2 Series - D11 v2/DS11 v2 - US East 2", "Hours", None),
    ("azure", "Storage", "P10 LRS Disk", "1/Month", ["ssd"]),
    ("azure", "Storage Accounts", "Tiered Block Blob - Hot LRS - Data Stored - US West", "GB/Month", ["hdd"]),
    ("oracle", "COMPUTE", "Standard - E3 - Memory", "GB Hours", ["memory"]),
    ("oracle", "COMPUTE", "Oracle Cloud Infrastructure - Compute - GPU - H100", "GPU Per Hour", ["gpu H100"]),
    # FOCUS of AWS prints the usage type, and units of its own.
    ("aws", "AWS Lambda", "USE1-Lambda-GB-Second", "Seconds", ["cpu", beyond("1.4308")]),
    ("aws", "Amazon Elastic Container Service", "USE1-Fargate-GB-Hours", "Hours", ["memory"]),
    ("gcp", "Compute Engine", "Network Internet Egress from Netherlands in Europe", "gibibyte", ["network"]),
    ("azure", "Storage", "Premium SSD v2 LRS Provisioned Capacity", "1 GiB/Hour", ["ssd"]),
    ("azure", "Virtual Machines", "E8-4ds v5 Spot | Virtual Machines Edsv5 Series", "1 Hour", None),
    ("azure", "Virtual Machines", "Virtual Machines Edsv5 Series - E8-4ds v5 - EU West", "1 Hour", None),
    ("azure", "Virtual Machines", "Standard_NV36ads_A10_v5", "1 Hour", None),
    # Serverless runs on no machine that has a line of its own.
    ("aws", "Amazon Elastic MapReduce", "USE1-EMR-SERVERLESS-vCPUHours", "vCPU-Hours", ["cpu without memory"]),
    ("aws", "Amazon Elastic MapReduce", "USE1-EMR-SERVERLESS-MemoryGBHours", "GB-Hours", ["memory"]),
    ("azure", "SQL Database", "vCore | SQL Database Single General Purpose - Compute Gen5 - vCore", "1 Hour", ["cpu"]),
    ("gcp", "Cloud SQL", "Cloud SQL for MySQL: Zonal - 4 vCPU + 15GB RAM in Iowa", "hour",
     ["cpu without memory", "memory"]),
]  # fmt: skip
NONE = [
    ("aws", EC2, "UnusedBox:p5.48xlarge", "Hrs", "unused"),
    ("aws", EC2, "USE1-Reservation:p5.48xlarge", "Hrs", "unused"),
    ("aws", EC2, "$0.00 for 175 Mbps per t3a.small instance-hour (or partial hour)", "Hours", "rides"),
    ("aws", EC2, "EBSOptimized:m5.large", "Hrs", "rides"),
    ("aws", EC2, "HostUsage:p4d", "Hrs", "rides"),
    ("aws", EC2, "$0.005 per provisioned IOPS-month of gp3 - US West (Oregon)", "IOPS-Months", "rides"),
    ("aws", "Amazon Elastic MapReduce", "BoxUsage:m5.xlarge", "Hrs", "rides"),
    ("aws", "Red Hat OpenShift Service on AWS", "AWS Marketplace hourly software usage|us-east-1|m5.2xlarge", "Hours",
     "rides"),
    ("aws", RDS, "USD 0.10 per hour per vCPU running RDS Extended Support for MySQL 5.7 in Year 1", "vCPU-Hours",
     "rides"),
    ("aws", S3, "CAN1-APS4-AWS-In-Bytes", "GB", "rides"),
    ("aws", S3, "USW2-EarlyDelete-ByteHrs", "GB-Mo", "rides"),
    ("aws", S3, "USW2-Requests-Tier1", "Requests", "no method"),
    ("aws", EC2, "$0.045 per NAT Gateway Hour", "Hours", "no method"),
    ("aws", EC2, "EUC1-BoxUsage:zz9.48xlarge", "Hrs", "unknown type"),
    ("aws", EC2, "USE1-BoxUsage:trn1.32xlarge", "Hrs", "no power"),
    ("aws", "Amazon Bedrock", "EUW2-Mistral7B-input-tokens", "1K tokens", "tokens"),
    ("gcp", "Compute Engine", "Commitment v1: N2 Cpu in Netherlands for 1 Year", "hour", "rides"),
    ("gcp", "Compute Engine", "Licensing Fee for Nvidia RTX Virtual Workstation on VM with T4 GPU", "hour", "rides"),
    ("gcp", "Vertex AI", "Vertex AI: Custom Training management fee on N1 Predefined Instance Core", "hour", "rides"),
    ("azure", "Virtual Machines Licenses", "4 vCPU VM License", "Hours", "rides"),
    ("azure", "Azure Machine Learning", "IP Addresses - Standard IPv4 Static Public IP", "Hours", "rides"),
    ("azure", "Azure OpenAI Service", "gpt-4o Input Tokens", "1K", "tokens"),
    ("oracle", "STORAGE", "Object requests", "Requests", "no method"),
    ("alibaba", "ECS", "ecs.g7", "Hours", "no method"),
    # Capacity that is reserved is no machine: the hours in which one ran are on lines of their own.
    ("aws", EC2, "$0.096 per Unused Reservation Linux m5.large Instance Hour", "Hours", "unused"),
    ("aws", EC2, "$0.00 per Reservation Linux m5.large Instance Hour", "Hours", "unused"),
    ("aws", EC2, "$0.00 per Dedicated Reservation Linux m5.large Instance Hour", "Hours", "unused"),
    ("aws", EC2, "USE1-UnusedDed:m5.large", "Hrs", "unused"),
    # Fees on top of machines.
    ("aws", "Amazon ElastiCache", "USE1-ExtendedSupport:Yr1-Yr2:NodeUsage:cache.r6g.large", "Hrs", "rides"),
    ("gcp", "Compute Engine", "Sole Tenancy Premium for N1 Predefined Instance Core running in Iowa", "hour", "rides"),
    ("gcp", "Compute Engine", "N2D AMD Confidential Computing Instance Core", "hour", "rides"),
    ("gcp", "Compute Engine", "Network Data Transfer In from EMEA to Netherlands", "gibibyte", "rides"),
    ("gcp", "Kubernetes Engine", "Autopilot NVIDIA L4 Pod GPU Premium", "hour", "rides"),
    ("azure", "Azure Databricks", "Premium Jobs Compute DBU", "1 Hour", "rides"),
    ("azure", "Azure Databricks", "Premium Serverless SQL DBU", "1 Hour", "no method"),
    ("azure", "Azure Kubernetes Service", "Standard Uptime SLA", "1 Hour", "rides"),
    ("azure", "Virtual Machines", "Microsoft Defender for Servers - Standard Node", "1 Hour", "rides"),
    ("azure", "Storage", "P10 LRS Disk Mount", "1/Month", "rides"),
    ("oracle", "COMPUTE", "Windows OS", "OCPU Per Hour", "rides"),
    # No row of a table would mend it: nobody states what a vCPU of Oracle draws.
    ("oracle", "COMPUTE", "Standard - E4 - OCPU", "OCPU Hours", "no method"),
    # A bill without its unit, or in units of another kind, is a bill without a quantity.
    ("aws", EC2, "USE1-BoxUsage:p5.48xlarge", None, "no quantity"),
    ("aws", EC2, "USE1-BoxUsage:p5.48xlarge", "NormalizedUsage", "no quantity"),
    ("gcp", "Compute Engine", "N2 Instance Ram running in Netherlands", None, "no quantity"),
    ("aws", S3, "USW2-Requests-Tier1", None, "no method"),
]  # fmt: skip


def decided(provider: str, service: str, meter: str, unit: str | None, instance_type: str | None = None) -> Decision:
    return decide(Line(provider, service, meter, instance_type, unit), Constants())


@pytest.mark.parametrize(("provider", "service", "meter", "unit", "parts"), ESTIMATED)
def test_a_kind_is_estimated(provider: str, service: str, meter: str, unit: str, parts: list[str] | None) -> None:
    found = decided(provider, service, meter, unit)
    assert found.reason is None
    assert found.components
    if parts is not None:
        assert [part.device_id for part in found.components] == parts


@pytest.mark.parametrize(("provider", "service", "meter", "unit", "reason"), NONE)
def test_a_kind_has_no_energy_for_a_reason(
    provider: str, service: str, meter: str, unit: str | None, reason: str
) -> None:
    found = decided(provider, service, meter, unit)
    assert (found.components, found.reason) == ((), reason)


@pytest.mark.parametrize(
    ("provider", "meter", "instance_type", "gpus", "name"),
    [
        ("aws", "BoxUsage:p4d.24xlarge", None, 8, "A100-40"),
        ("aws", "BoxUsage:p5.48xlarge", None, 8, "H100"),
        ("aws", "BoxUsage:g5.xlarge", None, 1, "A10G"),
        ("aws", "BoxUsage:g6f.large", None, 0.125, "L4"),
        ("azure", "ND96amsr A100 v4", None, 8, "A100-80"),
        ("azure", "anything", "Standard_NV6ads_A10_v5", 1 / 6, "A10"),
    ],
)
def test_a_machine_has_its_accelerators(
    provider: str, meter: str, instance_type: str | None, gpus: float, name: str
) -> None:
    service = EC2 if provider == "aws" else "Virtual Machines"
    part = decided(provider, service, meter, "Hours", instance_type).components[0]
    assert (part.device_model, float(part.amount)) == (name, pytest.approx(gpus, abs=1e-3))


def test_spot_reserved_and_on_demand_are_the_same_machine() -> None:
    kinds = ["BoxUsage:p5.48xlarge", "SpotUsage:p5.48xlarge", "DedicatedUsage:p5.48xlarge"]
    assert len({decided("aws", EC2, kind, "Hrs").components for kind in kinds}) == 1


def test_a_standby_of_a_database_is_a_second_machine() -> None:
    one, two, three = (
        decided("aws", RDS, f"EUC1-{kind}:db.m5.xlarge", "Hrs").components[0].replication
        for kind in ("InstanceUsage", "Multi-AZUsage", "Multi-AZClusterUsage")
    )
    assert (one, two, three) == (1, 2, 3)


@pytest.mark.parametrize(
    ("provider", "service", "meter", "unit", "amounts"),
    [
        # A size that is sold whole names its processors and its memory.
        ("gcp", "Cloud SQL", "Cloud SQL for MySQL: Zonal - 4 vCPU + 15GB RAM in Iowa", "hour", [4, 15]),
        ("gcp", "Cloud SQL", "Cloud SQL for MySQL: Regional - 4 vCPU + 15GB RAM in Iowa", "hour", [8, 30]),
        ("azure", "SQL Managed Instance", "8 vCore", "1 Hour", [8]),
        # A standby is a second machine, in Google's words too; a place is no standby (jo-ha-nnesburg).
        ("gcp", "Cloud SQL", "Cloud SQL for MySQL: Regional - vCPU in Iowa", "hour", [2]),
        ("gcp", "Cloud SQL", "Cloud SQL for MySQL: Regional - RAM in Iowa", "gibibyte hour", [2]),
        ("gcp", "Cloud SQL", "Cloud SQL for MySQL: Zonal - Standard storage in Johannesburg", "gigabyte month", [1]),
        ("gcp", "Cloud SQL", "Cloud SQL for MySQL: Regional - Standard storage in Iowa", "gigabyte month", [2]),
        # A gigabyte of memory has 1024^3 bytes, whatever the unit is called.
        ("gcp", "Compute Engine", "A3 High Instance Ram running in Iowa", "gibibyte hour", [1]),
        ("gcp", "Compute Engine", "A3 High Instance Ram running in Iowa", "byte-seconds", [1 / 1024**3 / 3600]),
        ("aws", "AWS Fargate", "USE1-Fargate-GB-Hours", "GB-Hours", [1]),
    ],
)
def test_a_unit_is_so_much(provider: str, service: str, meter: str, unit: str, amounts: list[float]) -> None:
    parts = decided(provider, service, meter, unit).components
    assert [float(part.amount * part.replication) for part in parts] == pytest.approx(amounts, rel=1e-12)


def test_every_rule_names_what_it_rests_on() -> None:
    for rule in usage_rules():
        assert rule.source or rule.replication == 1, rule

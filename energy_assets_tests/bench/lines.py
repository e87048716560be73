"""A month of 1 M lines of an AWS bill in 104 columns, from the file to emissions and indicators; synthetic throughout.

What belongs here: the bill and our assets on it. What does not: the bill of (d), which stops at `cost`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from energy_assets.emissions.assets import emission_assets
from energy_assets.engine import connection, duckdb_resource
from energy_assets.estimates.assets import estimate_assets
from energy_assets.factors.tables import cloud_regions
from energy_assets.kpis.assets import kpi_assets
from energy_assets.lake import Lake
from energy_assets.periods import ONE_DAY, DayRange, Month
from energy_assets.raw.assets import raw_asset
from energy_assets.site import Site, load_site
from energy_assets.tables import GRID_INTENSITY
from energy_assets.unified.assets import unified_assets
from energy_assets_tests.bench.assets import call
from energy_assets_tests.bench.measuring import Work

DAYS = DayRange(date(2025, 3, 1), date(2025, 3, 31))
COLUMNS = 104
STEPS = ("raw", "cost", "estimates", "energy", "emissions", "kpi_daily", "kpi_monthly")
"""In the order of the road; each in a process of its own, which shows what memory it needs."""
MEMORY = "600MB"

_SITE = f"""\
organisation: {{name: Synthetic lines, currency: USD}}
start: {DAYS.first}
storage: {{root: ./store}}
engine: {{kind: duckdb, memory_limit: {MEMORY}, threads: 2}}
sources:
  - {{name: bills, kind: focus_files, path: bill.parquet}}
  - {{name: grid, kind: intensity_files, path: none.csv}}
attribution: {{rules: [{{match: {{application: "*"}}, project: "{{label:application}}"}}]}}
"""

REGIONS = ("us-east-1", "eu-central-1", "eu-west-1", "ap-south-1", "us-west-2", "ap-northeast-1")
MARKS = ("", "EUC1-", "EU-", "APS3-", "USW2-", "APN1-")
MACHINES = (
    "m5.large",
    "m5.xlarge",
    "m5.2xlarge",
    "m6i.xlarge",
    "m6i.4xlarge",
    "m7g.large",
    "c5.xlarge",
    "c6i.2xlarge",
    "c7g.xlarge",
    "r5.large",
    "r6i.2xlarge",
    "t3.micro",
    "t3.medium",
    "t3.large",
    "g4dn.xlarge",
    "g5.2xlarge",
    "p4d.24xlarge",
    "i3.xlarge",
)

_LINES: tuple[tuple[int, str, str, str, str, str, str, float], ...] = (
    *((4, "Amazon Elastic Compute Cloud", "Compute", f"BoxUsage:{m}", "Hours", "instance", "i-", 1.0)
      for m in MACHINES),
    (50, "Amazon Elastic Compute Cloud", "Storage", "EBS:VolumeUsage.gp3", "GB-Months", "volume", "vol-", 0.13),
    (10, "Amazon Elastic Compute Cloud", "Storage", "EBS:VolumeUsage.gp2", "GB-Months", "volume", "vol-", 0.14),
    (6, "Amazon Elastic Compute Cloud", "Storage", "EBS:SnapshotUsage", "GB-Months", "snapshot", "snap-", 0.4),
    (6, "Amazon Elastic Compute Cloud", "Compute", "EBSOptimized:m5.large", "Hours", "instance", "i-", 1.0),
    (30, "Amazon Elastic Compute Cloud", "Networking", "DataTransfer-Regional-Bytes", "GB", "instance", "i-", 0.2),
    (14, "Amazon Elastic Compute Cloud", "Networking", "DataTransfer-Out-Bytes", "GB", "instance", "i-", 0.3),
    (14, "Amazon Elastic Compute Cloud", "Networking", "DataTransfer-In-Bytes", "GB", "instance", "i-", 0.3),
    (14, "Elastic Load Balancing", "Networking", "LoadBalancerUsage", "Hours", "loadbalancer", "arn:aws:elb:", 1.0),
    (14, "Amazon CloudWatch", "Management and Governance", "CW:MetricMonitorUsage", "Metrics", "", "", 3.0),
    (6, "Amazon CloudWatch", "Management and Governance", "TimedStorage-ByteHrs", "GB-Months", "log-group",
     "arn:aws:logs:", 0.2),
    (12, "Amazon Virtual Private Cloud", "Networking", "PublicIPv4:InUseAddress", "Hours", "address", "eipalloc-", 1.0),
    (12, "Amazon Simple Storage Service", "Storage", "TimedStorage-ByteHrs", "GB-Months", "bucket", "bucket-", 5.0),
    (14, "Amazon Simple Storage Service", "Storage", "Requests-Tier1", "Requests", "bucket", "bucket-", 900.0),
    (8, "AWS Lambda", "Compute", "Lambda-GB-Second", "Lambda-GB-Second", "function", "arn:aws:lambda:", 700.0),
    (6, "AWS Lambda", "Compute", "Request", "Requests", "function", "arn:aws:lambda:", 3000.0),
    (6, "Amazon Relational Database Service", "Databases", "InstanceUsage:db.r5.large", "Hours", "db", "arn:aws:rds:",
     1.0),
    (5, "Amazon Relational Database Service", "Databases", "RDS:GP3-Storage", "GB-Months", "db", "arn:aws:rds:", 0.2),
    (5, "Amazon Simple Queue Service", "Integration", "Requests-RBP", "Requests", "queue", "queue-", 5000.0),
    (4, "AWS Key Management Service", "Security", "KMS-Requests", "Requests", "key", "key-", 40.0),
    (3, "Amazon Elastic Container Service", "Compute", "Fargate-vCPU-Hours:perCPU", "Hours", "task", "task-", 2.0),
    (3, "Amazon Elastic Container Service", "Compute", "Fargate-GB-Hours", "Hours", "task", "task-", 4.0),
    (1, "Amazon Bedrock", "AI and Machine Learning", "input-tokens", "1K tokens", "model", "profile-", 200.0),
)  # fmt: skip
"""How many of 368 things, service, category, meter, unit, kind of resource, how its id begins, quantity an hour. In the
proportions of a bill of a mid-sized company: machines, volumes and traffic are three quarters of its lines."""

_THINGS = """
CREATE TEMP TABLE things AS
SELECT row_number() OVER (ORDER BY copy, n, within) - 1 AS thing, service, category, unit, kind, prefix, quantity,
    owner,
    regions[1 + r % len(regions)] AS region, marks[1 + r % len(regions)] || meter AS meter,
    (200000000000 + r % 20)::VARCHAR AS account
FROM (
    SELECT *, CASE WHEN kind = 'instance' THEN copy * {machines} + (n * 4 + within) % {machines}
            ELSE 1000000 + copy * 10000 + n * 100 + within END AS owner, owner % 97 AS r
    FROM catalogue, range({copies}) c(copy), range(weight) w(within)
), (SELECT $regions AS regions, $marks AS marks)"""
"""In turn of all kinds, so that any number of the first are in their proportions."""

_CHARGES = """
SELECT thing, start, start + INTERVAL 1 HOUR AS stop, 'Usage' AS charge, service, category, meter, unit, kind, region,
    account, (quantity * (500 + hash(thing, start) % 1000) / 1000)::DECIMAL(18, 9) AS used,
    prefix || substr(md5((owner + if(kind = 'instance', day(start) // 7 * 100000, 0))::VARCHAR), 1, 17) AS resource,
    (0.0001 + hash(start, thing) % 100000 / 1000000)::DECIMAL(24, 12) AS cost
FROM range(TIMESTAMP '{first}', TIMESTAMP '{end}', INTERVAL 1 HOUR) h(start), things WHERE thing < {things}
UNION ALL SELECT thing, TIMESTAMP '{first}', TIMESTAMP '{first}' + INTERVAL 31 DAY, 'Tax', service, category, NULL,
    NULL, NULL, NULL, account, NULL, NULL, 12.34 FROM things WHERE thing < 20
UNION ALL SELECT thing, day, day + INTERVAL 1 DAY, 'Credit', service, category, NULL, NULL, NULL, region, account,
    NULL, NULL, -0.5
FROM range(TIMESTAMP '{first}', TIMESTAMP '{end}', INTERVAL 1 DAY) d(day), things WHERE thing < 10"""

_FOCUS = """
SELECT NULL::VARCHAR AS AvailabilityZone, cost AS BilledCost, '100000000001' AS BillingAccountId,
    'Synthetic Payer' AS BillingAccountName, 'BillingAccount' AS BillingAccountType, 'USD' AS BillingCurrency,
    TIMESTAMP '{end}' AS BillingPeriodEnd, TIMESTAMP '{first}' AS BillingPeriodStart,
    NULL::VARCHAR AS CapacityReservationId,
    NULL::VARCHAR AS CapacityReservationStatus, charge AS ChargeCategory, NULL::VARCHAR AS ChargeClass,
    '$' || (thing % 97)::VARCHAR || ' per ' || unit || ' of ' || meter AS ChargeDescription,
    'Usage-Based' AS ChargeFrequency, stop AS ChargePeriodEnd, start AS ChargePeriodStart,
    NULL::VARCHAR AS CommitmentDiscountCategory, NULL::VARCHAR AS CommitmentDiscountId,
    NULL::VARCHAR AS CommitmentDiscountName, NULL::DECIMAL(24, 12) AS CommitmentDiscountQuantity,
    NULL::VARCHAR AS CommitmentDiscountStatus, NULL::VARCHAR AS CommitmentDiscountType,
    NULL::VARCHAR AS CommitmentDiscountUnit, used AS ConsumedQuantity, unit AS ConsumedUnit, cost AS ContractedCost,
    0.1::DECIMAL(18, 9) AS ContractedUnitPrice, cost AS EffectiveCost, 'INV-1' AS InvoiceId,
    'Amazon Web Services EMEA SARL' AS InvoiceIssuerName, cost AS ListCost, 0.1::DECIMAL(18, 9) AS ListUnitPrice,
    'Standard' AS PricingCategory, 'USD' AS PricingCurrency, 0.1::DECIMAL(18, 9) AS PricingCurrencyContractedUnitPrice,
    cost AS PricingCurrencyEffectiveCost, 0.1::DECIMAL(18, 9) AS PricingCurrencyListUnitPrice,
    used AS PricingQuantity, unit AS PricingUnit, 'AWS' AS ProviderName, 'Amazon Web Services' AS PublisherName,
    region AS RegionId, 'Region ' || region AS RegionName, resource AS ResourceId, NULL::VARCHAR AS ResourceName,
    kind AS ResourceType, category AS ServiceCategory, service AS ServiceName, 'Other' AS ServiceSubcategory,
    upper(substr(md5(meter), 1, 16)) AS SkuId, meter AS SkuMeter, NULL::VARCHAR AS SkuPriceDetails,
    upper(substr(md5(meter), 1, 16)) || '.JRTCKXETXF.6YS6EN2CT7' AS SkuPriceId, account AS SubAccountId,
    'Synthetic ' || account AS SubAccountName, 'Account' AS SubAccountType,
    if(charge = 'Usage' AND thing % 5 > 0, MAP {{'application': 'app-' || (thing % 40)::VARCHAR,
        'environment': if(thing % 3 = 0, 'dev', 'prod'), 'business_unit': 'unit-' || (thing % 7)::VARCHAR,
        'owner': 'team-' || (thing % 12)::VARCHAR}}, NULL) AS Tags,
    {more}
FROM charges ORDER BY {order} LIMIT {rows}"""


def write(folder: str, rows: int, ordered: bool = True) -> Work:
    """Write the bill, the site file and the intensities of its zones.

    Args:
        folder: Empty.
        rows: Lines, about.
        ordered: By time; otherwise by nothing, as an export writes what many machines have worked on.
    """
    where = Path(folder)
    Path(where, "site.yaml").write_text(_SITE, encoding="utf-8")
    bounds: dict[str, Any] = {"first": DAYS.first, "end": DAYS.last + ONE_DAY}
    weights = sum(line[0] for line in _LINES)
    things = rows // (24 * len(DAYS)) + 1
    copies = things // weights + 1
    kinds = ", ".join(str((number, *line)) for number, line in enumerate(_LINES))
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(
            "CREATE TEMP TABLE catalogue AS SELECT * FROM (VALUES "
            f"{kinds}) t(n, weight, service, category, meter, unit, kind, prefix, quantity)"
        )
        con.execute(
            _THINGS.format(copies=copies, machines=4 * len(MACHINES)), {"regions": list(REGIONS), "marks": list(MARKS)}
        )
        charges = _CHARGES.format(things=things, **bounds)
        order = "start, thing, charge" if ordered else "hash(thing, start, charge)"
        columns = con.sql(
            f"WITH charges AS ({charges}) {_FOCUS.format(more='1 AS more', order=order, rows=rows, **bounds)}"
        ).columns
        more = ", ".join(_more(number) for number in range(COLUMNS - len(columns) + 1))
        query = f"WITH charges AS ({charges}) {_FOCUS.format(more=more, order=order, rows=rows, **bounds)}"
        target = str(where / "bill.parquet")
        con.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")
    _grid(load_site(where / "site.yaml"), where)
    return Work(rows=rows)


def _more(number: int) -> str:
    """A provider's own column, of which a bill has dozens: text of few values, a number, or nothing."""
    value = (f"'value ' || (thing % {3 + number})::VARCHAR", f"(thing % {5 + number})::DOUBLE", "NULL::VARCHAR")[
        number % 3
    ]
    return f"{value} AS x_Column{number}"


_INTENSITY = """
SELECT hour::DATE AS day, hour, zone, (300 + (hash(hour, zone) % 400000) / 1000)::DECIMAL(9, 3)
        AS lifecycle_gco2e_per_kwh,
    (200 + (hash(zone, hour) % 90000) / 1000)::DECIMAL(9, 3) AS direct_gco2e_per_kwh,
    NULL::DECIMAL(9, 6) AS carbon_free_share, false AS is_estimated, 'hour' AS resolution, 1::SMALLINT AS factor_tier,
    1::DECIMAL(9, 6) AS hour_covered, 60::SMALLINT AS answered_minutes, 'grid' AS source,
    'synthetic:' || zone AS factor_id, sha256(zone) AS raw_sha256
FROM range(TIMESTAMP '{first}', TIMESTAMP '{end}', INTERVAL 1 HOUR) h(hour), unnest($1) z(zone)"""


def _grid(site: Site, where: Path) -> None:
    known = cloud_regions()
    zones = sorted({str(known["aws", region].zone) for region in REGIONS})
    with connection(duckdb_resource(site.engine, str(where / "spill"))) as con:
        bounds = {"first": DAYS.first, "end": DAYS.last + ONE_DAY}
        con.con.execute("CREATE TEMP TABLE grid AS " + _INTENSITY.format(**bounds), [zones])
        Lake(site.disk()).replace(con, GRID_INTENSITY, list(DAYS), con.table("grid"), "bench")


def step(folder: str, name: str) -> Work:
    """One asset of the road over the month, called as a run calls it.

    Args:
        folder: Where `write` put the bill; the steps before have to be done.
        name: Of `STEPS`.
    """
    site, work = load_site(Path(folder, "site.yaml")), Work()
    asset = {
        "raw": lambda: raw_asset(site.sources[0], site),
        "cost": lambda: _asset(unified_assets(site), "cost"),
        "estimates": lambda: _asset(estimate_assets(site), "usage"),
        "energy": lambda: _asset(unified_assets(site), "energy"),
        "emissions": lambda: _asset(emission_assets(site), "hourly"),
        "kpi_daily": lambda: _asset(kpi_assets(site), "daily"),
        "kpi_monthly": lambda: _asset(kpi_assets(site), "monthly"),
    }[name]()
    keys = [Month.of(DAYS.first).first] if name == "kpi_monthly" else list(DAYS)
    work.rows = call(asset, site, keys)
    return work


def _asset(assets: Iterable[dg.AssetsDefinition], name: str) -> dg.AssetsDefinition:
    return next(asset for asset in assets if asset.key.path[-1] == name)


def fingerprints(folder: str) -> Work:
    """Of every partition of every table, as one text a table: two versions of the code must agree on them."""
    site = load_site(Path(folder, "site.yaml"))
    lake, facts = Lake(site.disk()), {}
    for table in lake.tables():
        known = sorted(lake.fingerprints(table).items())
        facts[table] = hashlib.sha256(str(known).encode()).hexdigest()[:16]
    return Work(facts=facts)

"""The sandbox company's cloud bill: a FOCUS 1.2 file of a small, synthetic, multi-cloud AI company.

What belongs here: the lines of the bill and writing them. What does not: reading them, and serving them as a
cloud would. Every account is named "Synthetic …". A machine runs for at most the hour. A line depends on the seed and
on its own hour alone, so the bill of a week holds exactly the lines that the bill of the month around it has for that
week.
"""

from __future__ import annotations

import shutil
from gzip import GzipFile
from pathlib import Path

import duckdb

from energy_assets.periods import DayRange

_LINES = """
(0,'AWS','Amazon Web Services EMEA SARL','100000000001','Synthetic Payer AWS','200000000001','Synthetic Training',
 'eu-central-1','EU (Frankfurt)','Amazon Elastic Compute Cloud','Compute','i-05e17c00000000a1','instance',
 'SYNP548X','EUC1-BoxUsage:p5.48xlarge','Hours','1',98.32,0.62,24,'{"project": "llm-pretrain", "team": "research"}'),
(1,'AWS','Amazon Web Services EMEA SARL','100000000001','Synthetic Payer AWS','200000000001','Synthetic Training',
 'eu-central-1','EU (Frankfurt)','Amazon Elastic Compute Cloud','Compute','i-05e17c00000000a2','instance',
 'SYNP548X','EUC1-BoxUsage:p5.48xlarge','Hours','1',98.32,0.62,18,'{"project": "llm-finetune", "team": "research"}'),
(2,'AWS','Amazon Web Services EMEA SARL','100000000001','Synthetic Payer AWS','200000000002','Synthetic Serving',
 'eu-central-1','EU (Frankfurt)','Amazon Elastic Compute Cloud','Compute','i-05e17c00000000b1','instance',
 'SYNG612X','EUC1-BoxUsage:g6.12xlarge','Hours','1',8.601,1,24,'{"project": "assistants", "team": "platform"}'),
(3,'AWS','Amazon Web Services EMEA SARL','100000000001','Synthetic Payer AWS','200000000002','Synthetic Serving',
 'eu-central-1','EU (Frankfurt)','Amazon Bedrock','AI and Machine Learning',
 'arn:aws:bedrock:eu-central-1:200000000002:inference-profile/synthetic','inference profile',
 'SYNBRTOK','EUC1-Synthetic-input-tokens','1K tokens','5120.25',0.00018125,1,24,
 '{"project": "assistants", "team": "product"}'),
(4,'AWS','Amazon Web Services EMEA SARL','100000000001','Synthetic Payer AWS','200000000001','Synthetic Training',
 'eu-central-1','EU (Frankfurt)','Amazon Simple Storage Service','Storage','synthetic-corpus','bucket',
 'SYNS3STD','EUC1-TimedStorage-ByteHrs','GB-Hours','20480.5',0.0000335616,1,24,
 '{"project": "llm-pretrain", "team": "data"}'),
(5,'Google Cloud','Google Cloud','01SYNT-HETIC0-000001','Synthetic Billing GCP','synthetic-research',
 'Synthetic Research','europe-west4','Netherlands (europe-west4)','Compute Engine','Compute',
 '//compute.googleapis.com/projects/synthetic-research/instances/a3-0','instance',
 'SYN-A3-H100','A3 High Nvidia H100 80GB GPU running in Netherlands','Hours','8',11.0612345,0.7,24,
 '{"project": "eval", "team": "research"}'),
(6,'Google Cloud','Google Cloud','01SYNT-HETIC0-000001','Synthetic Billing GCP','synthetic-research',
 'Synthetic Research','europe-west4','Netherlands (europe-west4)','Cloud Storage','Storage',NULL,NULL,
 'SYN-GCS-STD','Standard Storage Netherlands','GB-Hours','10240',0.0000273973,1,24,NULL),
(7,'Microsoft','Microsoft','/providers/Microsoft.Billing/billingAccounts/synthetic','Synthetic Billing Azure',
 '/subscriptions/00000000-0000-0000-0000-000000000001','Synthetic Applications','francecentral','France Central',
 'Virtual Machines','Compute','/subscriptions/00000000-0000-0000-0000-000000000001/virtualmachines/nd-0',
 'Virtual machine','SYN-ND96','ND96asr A100 v4','Hours','1',98.32,0.8,12,
 '{"project": "assistants", "team": "platform"}'),
(8,'Microsoft','Microsoft','/providers/Microsoft.Billing/billingAccounts/synthetic','Synthetic Billing Azure',
 '/subscriptions/00000000-0000-0000-0000-000000000001','Synthetic Applications','francecentral','France Central',
 'Azure OpenAI Service','AI and Machine Learning',
 '/subscriptions/00000000-0000-0000-0000-000000000001/accounts/synthetic-openai','Cognitive service',
 'SYN-AOAI-TOK','Synthetic Input Tokens','1K tokens','2048.125',0.0002515625,1,24,
 '{"project": "search", "team": "product"}')
"""
"""Line number, provider, issuer, billing account and name, sub-account and name, region and name, service,
category, resource and type, SKU, meter, unit, quantity per hour, list price per unit, share of it that is paid, hours
used per day, tags."""

_BILL = """
WITH catalogue(n, provider, issuer, account, account_name, sub_account, sub_account_name, region, region_name,
    service, category, resource, resource_type, sku, meter, unit, quantity, price, paid, hours, tags
) AS (VALUES {lines}),
hours AS (
    SELECT h AS start, (epoch(h) // 3600)::BIGINT AS t FROM range($first, $end, INTERVAL 1 HOUR) hours(h)
),
copies AS (SELECT r FROM range({copies}) copies(r)),
usage AS (
    SELECT c.*, start, start + INTERVAL 1 HOUR AS stop, r,
        (quantity::DECIMAL(12, 3)
            * (0.75 + ((t * 7919 + n * 104729 + r * 1299709 + $seed * 15485863)
                % if(unit = 'Hours', 250, 500)) / 1000)::DECIMAL(4, 3)
        ) AS used
    FROM hours, catalogue c, copies WHERE (t + n) % 24 < c.hours
),
charges AS (
    SELECT *, 'Usage' AS charge, 'Usage-Based' AS frequency,
        CAST(used::DECIMAL(38, 6) * price::DECIMAL(16, 10) AS DECIMAL(24, 12)) AS list_cost,
        CAST(used::DECIMAL(38, 6) * price::DECIMAL(16, 10) * paid::DECIMAL(3, 2) AS DECIMAL(24, 12)) AS cost FROM usage
    UNION ALL
    SELECT * REPLACE (date_trunc('month', start) + INTERVAL 1 MONTH AS stop, NULL AS resource, NULL AS sku,
            NULL AS meter, NULL AS resource_type, NULL AS tags, NULL AS used),
        'Tax', 'Recurring', 0, 1904.250000000001 FROM usage
        WHERE provider = 'AWS' AND n = 0 AND r = 0 AND day(start) = 1 AND hour(start) = 0
    UNION ALL
    SELECT * REPLACE (start + INTERVAL 1 DAY AS stop, NULL AS resource, NULL AS resource_type, NULL AS used),
        'Credit', 'One-Time', 0, -12.34 FROM usage WHERE n = 5 AND r = 0 AND hour(start) = 0
)
SELECT NULL AS AvailabilityZone, cost AS BilledCost, account AS BillingAccountId,
    account_name AS BillingAccountName, 'USD' AS BillingCurrency,
    date_trunc('month', start) + INTERVAL 1 MONTH AS BillingPeriodEnd,
    date_trunc('month', start) AS BillingPeriodStart, charge AS ChargeCategory, NULL AS ChargeClass,
    'Synthetic ' || service AS ChargeDescription, frequency AS ChargeFrequency, stop AS ChargePeriodEnd,
    start AS ChargePeriodStart, used AS ConsumedQuantity, if(used IS NULL, NULL, unit) AS ConsumedUnit,
    cost AS ContractedCost, cost AS EffectiveCost, issuer AS InvoiceIssuerName, list_cost AS ListCost,
    'Standard' AS PricingCategory, used AS PricingQuantity, unit AS PricingUnit, provider AS ProviderName,
    issuer AS PublisherName, region AS RegionId, region_name AS RegionName,
    if(r = 0, resource, resource || '-' || r) AS ResourceId, resource AS ResourceName,
    resource_type AS ResourceType, category AS ServiceCategory, service AS ServiceName, sku AS SkuId,
    meter AS SkuMeter, sub_account AS SubAccountId, sub_account_name AS SubAccountName, tags AS Tags
FROM charges ORDER BY start, n, charge, r
"""

_FORMATS = {".csv": "FORMAT csv, HEADER", ".csv.gz": "FORMAT csv, HEADER", ".parquet": "FORMAT parquet"}


def write_focus_bill(
    path: Path, days: DayRange, *, seed: int = 7, rows: int | None = None, provider: str | None = None
) -> int:
    """Write the synthetic company's bill of `days` to `path`; the same arguments write the same lines.

    Args:
        path: Ends in .csv, .csv.gz or .parquet.
        days: Charges that start on these days, UTC.
        seed: Varies the quantities.
        rows: Exactly so many lines, by multiplying the company's machines; without it one of each.
        provider: Only the lines of this ProviderName, as one provider would deliver them.

    Returns:
        The number of lines written.

    Raises:
        ValueError: the file name has another ending.
    """
    ending = next((e for e in _FORMATS if path.name.endswith(e)), None)
    if ending is None:
        raise ValueError(f"{path.name}: a bill is written as one of {', '.join(_FORMATS)}")
    with duckdb.connect() as con:
        con.execute("SET TimeZone='UTC'")
        values = {"first": days.start.replace(tzinfo=None), "end": days.end.replace(tzinfo=None), "seed": seed}
        lines_per_copy = 199 * len(days)
        copies = 1 if rows is None else rows // lines_per_copy + 1
        bill = _BILL.format(lines=_LINES, copies=copies)
        only = "" if provider is None else "WHERE ProviderName = $provider"
        limit = "" if rows is None else f"LIMIT {int(rows)}"
        if provider is not None:
            values["provider"] = provider
        packed = ending.endswith(".gz")
        plain = path.with_suffix("") if packed else path
        target = str(plain).replace("'", "''")
        written = con.execute(
            f"COPY (SELECT * FROM ({bill}) {only} {limit}) TO '{target}' ({_FORMATS[ending]})",  # noqa: S608
            values,
        ).fetchone()
    if packed:
        with plain.open("rb") as lines, path.open("wb") as out, GzipFile("", "wb", 1, out, mtime=0) as packing:
            shutil.copyfileobj(lines, packing, 1 << 20)
        plain.unlink()
    return int(written[0]) if written else 0

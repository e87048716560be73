"""Small hand-made bills for the tests of the billing sources."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

HOSTILE = {"script": "<script>alert(1)</script>", "formula": "=cmd()", "quote": 'say "it\'s"', "line": "a\nb"}
LINE = {
    "BilledCost": "1.5",
    "BillingAccountId": "111111111111",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01 00:00:00",
    "ChargeCategory": "Usage",
    "ChargePeriodStart": "2026-10-05 03:00:00",
    "ChargePeriodEnd": "2026-10-05 04:00:00",
    "ConsumedQuantity": "1",
    "ConsumedUnit": "Hours",
    "EffectiveCost": "1.25",
    "ListCost": "2",
    "ProviderName": "AWS",
    "RegionId": "eu-central-1",
    "ResourceId": "i-1",
    "ServiceCategory": "Compute",
    "ServiceName": "Amazon Elastic Compute Cloud",
    "SkuId": "SKU1",
    "SubAccountId": "222222222222",
    "Tags": json.dumps({"project": "llm"}),
}


def line(**changed: str) -> dict[str, str]:
    """One charge of 1.50 USD on 2026-10-05, with other values where given."""
    return {**LINE, **changed}


def on(day: int, hour: int = 0, **changed: str) -> dict[str, str]:
    """One charge in an hour of a day of October 2026."""
    end = f"2026-10-{day:02d} {hour:02d}:59:59"
    return line(ChargePeriodStart=f"2026-10-{day:02d} {hour:02d}:00:00", ChargePeriodEnd=end, **changed)


def csv_bytes(lines: Sequence[Mapping[str, str]], columns: Sequence[str] | None = None) -> bytes:
    """The lines as CSV."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns or list(lines[0]), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().encode()


def write(path: Path, lines: Sequence[Mapping[str, str]], columns: Sequence[str] | None = None) -> Path:
    """The lines as a CSV file, compressed where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = csv_bytes(lines, columns)
    path.write_bytes(gzip.compress(body, mtime=0) if path.suffix == ".gz" else body)
    return path

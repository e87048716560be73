"""Real bills to energy: every line of use is estimated or has a reason, and none is silently zero."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pytest

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import Cost
from energy_assets.estimates.constants import Constants
from energy_assets.estimates.lines import components_table, costs_of_kinds, kinds_of, used
from energy_assets.estimates.usage import usage_estimates
from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.focus.source import FocusFiles
from energy_assets_tests.conftest import rows_of

pytestmark = pytest.mark.realdata

FOCUS = "billing/focus_1_0_sample_ccby4/focus_public_part_before_0916.csv.gz"
CUR = "billing/cur_legacy_anon_mit/cur_public_part_to_1107.csv.gz"
SEPTEMBER = DayRange(date(2024, 9, 1), date(2024, 9, 30))
NOVEMBER = DayRange(date(2023, 11, 1), date(2023, 11, 30))


class Estimated:
    """What becomes of a bill: its kinds with their cost and reason, and the rows of its energy."""

    def __init__(self, path: Path, days: DayRange, step: StepContext) -> None:
        found, _ = rows_of(FocusFiles(name="bills", kind="focus_files", path=str(path)), days, step)
        charges = step.con.create_table("charges", found, temp=True, overwrite=True)
        beside = {"source": "bills", "project": "unknown", "workload_type": "unknown"}
        wide = charges.mutate(**{name: ibis.literal(text) for name, text in beside.items()})
        missing = {name: ibis.null(kind) for name, kind in schema_of(Cost).items() if name not in wide.columns}
        cost = wide.mutate(**missing).select(*schema_of(Cost))
        lines = step.con.create_table("used_lines", used(cost), temp=True, overwrite=True)
        components = components_table(kinds_of(lines, Constants()).items())
        table = step.con.create_table("components", components, temp=True, overwrite=True)
        self.kinds: list[dict[str, Any]] = step.con.to_pyarrow(costs_of_kinds(lines, table)).to_pylist()
        made = usage_estimates(lines, table, list(days))
        self.rows: list[dict[str, Any]] = step.con.to_pyarrow(made).to_pylist()

    @property
    def reasons(self) -> Counter[str]:
        """How many lines have each reason; '' for those that are estimated."""
        counts: Counter[str] = Counter()
        for kind in self.kinds:
            counts[kind["reason"] or ""] += kind["lines"]
        return counts

    def kwh(self, device_id: str) -> float:
        return float(sum((row["energy_kwh"] or 0 for row in self.rows if row["device_id"] == device_id), Decimal(0)))


def printed(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def test_every_line_of_the_focus_sample_is_estimated_or_has_a_reason(real_data: Path, step: StepContext) -> None:
    path = real_data / FOCUS
    found = Estimated(path, SEPTEMBER, step)
    usage = [line for line in printed(path) if line["ChargeCategory"] == "Usage"]
    assert sum(found.reasons.values()) == len(usage) == 443
    assert set(found.reasons) <= {"", "rides", "no method"}
    assert found.reasons[""] > 200
    positive = [row for row in found.rows if row["amount"] and row["amount"] > Decimal("1e-6")]
    assert all(row["energy_kwh"] for row in positive)


def test_machines_of_the_focus_sample_by_hand(real_data: Path, step: StepContext) -> None:
    path = real_data / FOCUS
    hours = sum(
        Decimal(line["ConsumedQuantity"])
        for line in printed(path)
        if "g5.4xlarge Instance Hour" in line["ChargeDescription"]
    )
    assert hours == Decimal("1.683889")
    assert Estimated(path, SEPTEMBER, step).kwh("gpu A10G") == pytest.approx(float(hours) * 0.0855, rel=1e-9)


def test_every_line_of_the_legacy_report_is_estimated_or_has_a_reason(real_data: Path, step: StepContext) -> None:
    path = real_data / CUR
    found = Estimated(path, NOVEMBER, step)
    lines = printed(path)
    usage = [line for line in lines if line["lineItem/LineItemType"] == "Usage"]
    assert sum(found.reasons.values()) == len(usage) < len(lines)
    assert set(found.reasons) <= {"", "rides", "no method"}
    stored = sum(
        Decimal(line["lineItem/UsageAmount"])
        for line in usage
        if line["lineItem/ProductCode"] == "AmazonS3" and "TimedStorage" in line["lineItem/UsageType"]
    )
    logs = sum(
        Decimal(line["lineItem/UsageAmount"])
        for line in usage
        if line["lineItem/ProductCode"] == "AmazonCloudWatch" and "TimedStorage" in line["lineItem/UsageType"]
    )
    by_hand = (float(stored) * 6 + float(logs)) * 720 * 0.65 / 1e6
    assert found.kwh("hdd") == pytest.approx(by_hand, rel=1e-9)

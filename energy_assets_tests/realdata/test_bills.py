"""Real bills: what a source keeps is what an independent reader adds up, to the last printed digit."""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.focus.source import FocusFiles
from energy_assets_tests.conftest import rows_of

pytestmark = pytest.mark.realdata

FOCUS = "billing/focus_1_0_sample_ccby4/focus_public_part_before_0916.csv.gz"
CUR = "billing/cur_legacy_anon_mit/cur_public_part_to_1107.csv.gz"


def printed(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def rows(path: Path, days: DayRange, step: StepContext) -> tuple[pa.Table, dict[str, int]]:
    return rows_of(FocusFiles(name="bills", kind="focus_files", path=str(path)), days, step)


def sums(keys: list[object], costs: list[str] | list[Decimal]) -> dict[object, Decimal]:
    found: dict[object, Decimal] = defaultdict(Decimal)
    for key, cost in zip(keys, costs, strict=True):
        found[key] += Decimal(cost)
    return dict(found)


def test_the_focus_sample_keeps_every_digit_in_total_by_service_and_by_day(real_data: Path, step: StepContext) -> None:
    lines = printed(real_data / FOCUS)
    table, notes = rows(real_data / FOCUS, DayRange(date(2024, 9, 1), date(2024, 9, 30)), step)
    assert table.num_rows == len(lines) == 445
    assert notes == {"days_without_charges": 15}
    costs = table["billed_cost"].to_pylist()
    assert sum(costs) == sum(Decimal(line["BilledCost"]) for line in lines) == Decimal("5.69001013875")
    printed_costs = [line["BilledCost"] for line in lines]
    services = sums([line["ServiceName"] for line in lines], printed_costs)
    assert sums(table["service_name"].to_pylist(), costs) == services
    days = sums([date.fromisoformat(line["ChargePeriodStart"][:10]) for line in lines], printed_costs)
    assert sums(table["day"].to_pylist(), costs) == days
    for column, theirs in (("effective_cost", "EffectiveCost"), ("list_cost", "ListCost")):
        assert sum(table[column].to_pylist()) == sum(Decimal(line[theirs]) for line in lines)
    quantities = Counter(Decimal(line["ConsumedQuantity"]) for line in lines if line["ConsumedQuantity"] != "NULL")
    assert Counter(q for q in table["consumed_quantity"].to_pylist() if q is not None) == quantities


def test_the_focus_samples_oddities_are_handled(real_data: Path, step: StepContext) -> None:
    table, _ = rows(real_data / FOCUS, DayRange(date(2024, 9, 1), date(2024, 9, 30)), step)
    assert "Id" not in table.schema.names
    assert Counter(table["provider"].to_pylist()) == {"aws": 403, "azure": 39, "oracle": 3}
    assert table["resource_id"].null_count == sum(
        line["ResourceId"] in ("NULL", "") for line in printed(real_data / FOCUS)
    )
    assert not any("NULL" in (row or "") for row in table["resource_id"].to_pylist())
    untagged = sum(line["Tags"] in ("NULL", "") for line in printed(real_data / FOCUS))
    assert table["labels"].to_pylist().count([]) == untagged


def test_the_cost_and_usage_report_keeps_its_exponents(real_data: Path, step: StepContext) -> None:
    lines = printed(real_data / CUR)
    table, notes = rows(real_data / CUR, DayRange(date(2023, 11, 1), date(2023, 11, 30)), step)
    assert table.num_rows == len(lines) == 724
    costs = table["billed_cost"].to_pylist()
    assert Counter(costs) == Counter(Decimal(line["lineItem/UnblendedCost"]) for line in lines)
    assert sum(costs) == Decimal("0.60557924410")
    assert sum(table["list_cost"].drop_null().to_pylist()) == sum(
        Decimal(line["pricing/publicOnDemandCost"]) for line in lines if line["pricing/publicOnDemandCost"]
    )
    services = sums([line["product/ProductName"] for line in lines], [line["lineItem/UnblendedCost"] for line in lines])
    assert sums(table["service_name"].to_pylist(), costs) == services
    taxes = [row for row in table.to_pylist() if row["charge_category"] == "Tax"]
    assert len(taxes) == 12
    assert {row["day"] for row in taxes} == {
        date.fromisoformat(line["lineItem/UsageStartDate"][:10])
        for line in lines
        if line["lineItem/LineItemType"] == "Tax"
    }
    assert set(notes) <= {"days_without_charges"}


@pytest.mark.parametrize("name", ["EA_ActualCost_Small.csv", "EA_AmortizedCost_Small.csv"])
def test_azures_own_cost_layout_is_refused_with_the_way_to_a_focus_export(
    real_data: Path, step: StepContext, name: str
) -> None:
    with pytest.raises(MalformedError) as error:
        rows(
            real_data / "billing" / "azure_finops_toolkit_mit" / name,
            DayRange(date(2023, 9, 1), date(2023, 9, 30)),
            step,
        )
    assert f"{name}: this is no FOCUS bill" in str(error.value)
    assert "in Cost Management create an export" in str(error.value)

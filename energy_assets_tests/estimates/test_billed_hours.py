"""A machine that is billed for more than an hour in an hour is told, with the meters of its lines."""

from __future__ import annotations

from typing import Any

import ibis
import pytest

from energy_assets.contracts.billed_hours import BILLED_HOURS, run_twice
from energy_assets.contracts.tables import Cost
from energy_assets.estimates.constants import Constants
from energy_assets.estimates.lines import components_table, kinds_of, used
from energy_assets.estimates.usage import billed_hours
from energy_assets_tests.estimates.test_usage import CON, Row, line
from energy_assets_tests.rows import DAY, at, rows_of, table

ON_DEMAND, SPOT = "BoxUsage:m5.xlarge", "SpotUsage:m5.xlarge"


def told(lines: list[Row]) -> list[Row]:
    charged = used(table(Cost, lines))
    kinds = kinds_of(CON.create_table("lines", charged, temp=True, overwrite=True), Constants())
    hours = billed_hours(charged, ibis.memtable(components_table(kinds.items())), [DAY])
    return rows_of(CON, run_twice(charged, {BILLED_HOURS: CON.create_table("h", hours, temp=True, overwrite=True)}))


@pytest.mark.parametrize(
    "lines",
    [
        [line(ON_DEMAND, 1), line(SPOT, 1)],
        [line(ON_DEMAND, 24, hours=24), line(SPOT, 1)],
        [line(ON_DEMAND, "1.02")],
        [line(ON_DEMAND, 3600, "Seconds"), line(SPOT, 3600, "Seconds")],
        [line("BoxUsage:zz9.48xlarge", 1), line(SPOT, 1)],  # one of them is in no table
    ],
)
def test_more_than_an_hour_in_an_hour_is_told(lines: list[Row]) -> None:
    (found,) = told(lines)
    assert found["machine"] == "i-0123456789abcdef0"
    assert found["meters"] == ", ".join(sorted({one["sku_meter"] for one in lines}))
    assert (found["in_hours"], found["most_hours"] > 1.01) == (1, True)


@pytest.mark.parametrize(
    "lines",
    [
        [line(ON_DEMAND, "0.25"), line(SPOT, "0.75")],
        [line(ON_DEMAND, 10, hours=24), line(SPOT, 14, hours=24)],
        [line(ON_DEMAND, "1.005")],
        [line(ON_DEMAND, 1), line(SPOT, 1), line(SPOT, -1)],  # taken back
        [line(ON_DEMAND, 1), line(SPOT, 1, region="eu-west-1")],
        [line(ON_DEMAND, 1), line(SPOT, 1, start=at(1))],
        [line(ON_DEMAND, 1), line("EBSOptimized:m5.xlarge", 1), line("EBS:VolumeUsage.gp3", 9, "GB-Mo")],
        [line(ON_DEMAND, 7, resource_id=None)],  # of many machines, for all we know
        [line(ON_DEMAND, 0)],
    ],
)
def test_what_fits_in_an_hour_is_not(lines: list[Row]) -> None:
    assert told(lines) == []


def test_a_day_of_two_lines_is_told_once() -> None:
    day: list[Any] = [line(meter, 1, start=at(hour)) for hour in range(24) for meter in (ON_DEMAND, SPOT)]
    (found,) = told(day)
    assert (found["in_hours"], found["most_hours"]) == (24, 2)

"""What became of intensities that were collected before: each revised hour is counted, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import ibis
import pytest

from energy_assets.contracts.raw import IntensityRows
from energy_assets.sources.revisions import revisions
from energy_assets_tests.rows import DAY, at, table

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
GUESS = {"is_estimated": True}
DIRECT, LIFECYCLE = "direct_gco2e_per_kwh", "lifecycle_gco2e_per_kwh"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, None),
        (GUESS, {}, "1 hour, 1 of them measured now, 300 g/kWh direct, 400 g/kWh life-cycle became 300 g/kWh direct,"
         " 400 g/kWh life-cycle"),
        (GUESS | {DIRECT: Decimal(310)}, {}, "1 hour, 1 of them measured now, 310 g/kWh direct, 400 g/kWh life-cycle"
         " became 300 g/kWh direct, 400 g/kWh life-cycle"),
        (GUESS, GUESS | {DIRECT: Decimal("300.001")}, "1 hour, 300 g/kWh direct, 400 g/kWh life-cycle became"
         " 300.001 g/kWh direct, 400 g/kWh life-cycle"),
        ({LIFECYCLE: None}, {}, "1 hour, 300 g/kWh direct became 300 g/kWh direct, 400 g/kWh life-cycle"),
        ({LIFECYCLE: None}, {LIFECYCLE: None}, None),
        ({"resolution": "month"}, {}, None),
        ({"resolution": "month", DIRECT: Decimal(1)}, {"resolution": "month"}, None),
        ({"factor_id": "v3"}, {"factor_id": "v4"}, None),
        ({"hour_covered": Decimal(1)}, {"hour_covered": None}, None),
        ({"zone": "FR", DIRECT: Decimal(1)}, {}, None),
        ({"hour": at(1), DIRECT: Decimal(1)}, {}, None),
    ],
    ids=["same", "measured", "measured and other", "another estimate", "one more basis", "still one basis",
         "now an hour", "stand-in moved", "version", "coverage", "another zone", "another hour"],
)  # fmt: skip
def test_an_hour_is_revised_where_its_value_or_what_it_is_changed(
    before: dict[str, Any], after: dict[str, Any], said: str | None
) -> None:
    notes, examples = revisions(CON, table(IntensityRows, [before]), table(IntensityRows, [after]))
    assert notes == ({"intensities_revised": 1} if said else {})
    assert examples == ({"intensities_revised": [f"DE on {DAY}: {said}"]} if said else {})


def test_each_zone_and_day_is_told_with_the_means_of_its_revised_hours() -> None:
    def rows(more: int) -> Any:
        days = (DAY, DAY + timedelta(days=1))
        return table(
            IntensityRows,
            [
                {"day": day, "hour": at(hour, day), "zone": zone, DIRECT: Decimal(100 + hour + (more if hour else 0))}
                for day in days
                for zone in ("DE", "FR")
                for hour in range(3)
            ],
        )

    notes, examples = revisions(CON, rows(0), rows(10))
    assert notes == {"intensities_revised": 8}
    assert [said.split(",")[0] for said in examples["intensities_revised"]] == [
        f"{zone} on {DAY + timedelta(days=n)}: 2 hours" for zone in ("DE", "FR") for n in range(2)
    ]
    assert "101.5 g/kWh direct, 400 g/kWh life-cycle became 111.5 g/kWh direct" in examples["intensities_revised"][0]

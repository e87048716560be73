"""The parser of `electricity_maps` on recorded answers of the service."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from energy_assets.sources.electricity_maps.hours import known_hours, touched_hours
from energy_assets.sources.electricity_maps.parse import Point, points
from energy_assets.sources.errors import MalformedError

pytestmark = pytest.mark.realdata

REQUEST = {
    "method": "GET",
    "url": "https://api.electricitymaps.com/v3/carbon-intensity/history",
    "params": {"zone": "DE", "emissionFactorType": "lifecycle"},
}


CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")


def hour_rows(found: list[Point]) -> pa.Table:
    return known_hours(touched_hours(CON, found))


def test_a_recorded_history_gives_its_24_hours(real_data: Path) -> None:
    body = (real_data / "grid/em_api_json/carbon_intensity_history.json").read_bytes()
    rows = hour_rows(points(body, REQUEST)).sort_by("hour").to_pylist()
    printed = {entry["datetime"][:13]: entry for entry in json.loads(body)["history"]}

    assert len(rows) == len(printed) == 24
    for row in rows:
        entry = printed[f"{row['hour']:%Y-%m-%dT%H}"]
        assert row["lifecycle_gco2e_per_kwh"] == Decimal(entry["carbonIntensity"])
        assert row["is_estimated"] == entry["isEstimated"]
        assert row["direct_gco2e_per_kwh"] is None
    assert rows[0]["hour"] == datetime(2024, 3, 5, 20)
    assert rows[0]["factor_id"] == "electricity_maps/v3/DE/lifecycle"


@pytest.mark.parametrize("name", ["no-data-response", "unknown-response", "power_breakdown_history"])
def test_recorded_answers_without_intensities_are_malformed(real_data: Path, name: str) -> None:
    body = (real_data / f"grid/em_api_json/{name}.json").read_bytes()

    with pytest.raises(MalformedError, match="not the fields"):
        points(body, REQUEST)

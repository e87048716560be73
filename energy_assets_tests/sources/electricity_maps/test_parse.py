"""The parser alone: exact numbers, and shapes the service never promised."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.electricity_maps.hours import known_hours, touched_hours
from energy_assets.sources.electricity_maps.parse import Point, notes_of, points, without_gaps
from energy_assets.sources.errors import MalformedError

REQUEST: dict[str, Any] = {
    "method": "GET",
    "url": "https://api.electricitymaps.com/v3/carbon-intensity/past-range",
    "params": {
        "zone": "DE",
        "emissionFactorType": "direct",
        "start": "2024-05-09T00:00:00Z",
        "end": "2024-05-10T00:00:00Z",
    },
}


CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")


def hour_rows(found: list[Point]) -> pa.Table:
    return known_hours(touched_hours(CON, found))


def body(*entries: dict[str, Any], zone: str = "DE") -> bytes:
    return json.dumps({"zone": zone, "data": entries}).encode()


def entry(**changes: Any) -> dict[str, Any]:
    fields = {"zone": "DE", "carbonIntensity": 1, "datetime": "2024-05-09T00:00:00.000Z", "isEstimated": False}
    return {**fields, "emissionFactorType": "direct", **changes}


@pytest.mark.parametrize(
    ("printed", "value"),
    [("599", "599"), ("0.1", "0.1"), ("132.4565", "132.457"), ("1.5e2", "150"), ("0", "0")],
)
def test_numbers_are_taken_as_printed(printed: str, value: str) -> None:
    text = body(entry()).replace(b'"carbonIntensity": 1', f'"carbonIntensity": {printed}'.encode())

    assert points(text, REQUEST)[0].gco2e_per_kwh == Decimal(value)


def test_hours_outside_the_window_asked_for_are_not_used() -> None:
    found = points(body(entry(), entry(datetime="2024-05-10T00:00:00Z")), REQUEST)

    assert [point.time for point in found] == [datetime(2024, 5, 9)]


def test_the_later_update_of_an_hour_wins() -> None:
    old = entry(carbonIntensity=1, updatedAt="2024-05-09T01:00:00.000Z", isEstimated=True)
    new = entry(carbonIntensity=2, updatedAt="2024-05-10T01:00:00.000Z")
    [row] = hour_rows(points(body(new, old), REQUEST)).to_pylist()

    assert (row["direct_gco2e_per_kwh"], row["is_estimated"]) == (Decimal("2.000"), False)
    assert row["lifecycle_gco2e_per_kwh"] is None
    assert row["factor_id"] == "electricity_maps/v3/DE/direct"


def test_points_that_cannot_be_used_are_dropped_and_counted() -> None:
    found = points(
        body(
            entry(carbonIntensity=None),
            entry(carbonIntensity=-1),
            entry(carbonIntensity=3001),
        ),
        REQUEST,
    )
    day = found[0].time.date()

    assert hour_rows(found).num_rows == 0
    assert notes_of(found, DayRange(day, day)) == {
        "points_without_intensity_dropped": 1,
        "impossible_values_dropped": 2,
    }


def both(direct: Any, lifecycle: Any) -> list[Point]:
    """Points of an hour, None for no point, after an hour with usual values."""
    asked = {**REQUEST, "params": {**REQUEST["params"], "emissionFactorType": "lifecycle"}}
    later, usual = {"datetime": "2024-05-09T01:00:00Z"}, [entry(carbonIntensity=400)]
    first = [] if direct is None else [entry(carbonIntensity=direct, **later)]
    second = [] if lifecycle is None else [entry(carbonIntensity=lifecycle, **later)]
    other = [{**one, "emissionFactorType": "lifecycle"} for one in (*usual, *second)]
    return without_gaps([*points(body(*usual, *first), REQUEST), *points(body(*other), asked)])


@pytest.mark.parametrize(
    ("direct", "lifecycle", "kept", "notes"),
    [
        (0, 0, None, {"impossible_values_dropped": 2}),
        (0.0, 25, (0, 25), {}),
        (7, 0, (7, None), {"impossible_values_dropped": 1}),
        (0, None, (0, None), {"zeros_among_higher_intensities": 1}),
        (7, None, (7, None), {}),
    ],
)
def test_zeros_that_stand_for_what_is_not_known(direct: Any, lifecycle: Any, kept: Any, notes: Any) -> None:
    found = both(direct, lifecycle)
    rows = {row["hour"].hour: row for row in hour_rows(found).to_pylist()}
    values = rows.get(1) and (rows[1]["direct_gco2e_per_kwh"], rows[1]["lifecycle_gco2e_per_kwh"])
    day = found[0].time.date()
    assert (values, notes_of(found, DayRange(day, day))) == (kept, notes)


def test_a_direct_0_is_usual_where_hardly_anything_burns() -> None:
    found = points(body(entry(carbonIntensity=50), entry(carbonIntensity=0, datetime="2024-05-09T01:00:00Z")), REQUEST)
    assert notes_of(found, DayRange(found[0].time.date(), found[0].time.date())) == {}


@pytest.mark.parametrize("limit", [0, 3000])
def test_the_limits_of_what_is_possible_are_possible(limit: int) -> None:
    (row,) = hour_rows(points(body(entry(carbonIntensity=limit)), REQUEST)).to_pylist()
    assert row["direct_gco2e_per_kwh"] == limit


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>", "no whole JSON"),
        (b"[]", "not the fields"),
        (b'{"zone": "DE"}', "not the fields"),
        (body({"zone": "DE"}), "not the fields"),
        (body(entry(carbonIntensity="12")), "carbonIntensity is '12'"),
        (body(entry(isEstimated="no")), "isEstimated is 'no'"),
        (body(entry(datetime="soon")), "not the fields"),
        (body(entry(emissionFactorType="lifecycle")), "asked for 'direct'"),
        (body(entry(), zone="FR"), "speaks of zone DE, FR"),
        (body(entry(zone="FR")), "speaks of zone DE, FR"),
    ],
)
def test_another_shape_is_malformed_and_named(content: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match="answer abc to https://api") as caught:
        points(content, REQUEST, "abc")
    assert says in str(caught.value)

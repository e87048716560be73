"""`electricity_maps` in finer steps than an hour, and in both versions of the API, against the stand-in over HTTP."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import IntensityRows
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sandbox.electricity_maps import ElectricityMapsServer
from energy_assets.sources.base import StepContext
from energy_assets.sources.electricity_maps.hours import known_hours, touched_hours
from energy_assets.sources.electricity_maps.parse import points
from energy_assets.sources.electricity_maps.source import ElectricityMaps
from energy_assets.sources.errors import MalformedError
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.electricity_maps.test_parse import CON, REQUEST, body, entry
from energy_assets_tests.sources.electricity_maps.test_source import DAY, HOUR, NOW, ONE, SETTLED, at, of, server, value

__all__ = ["server"]
MINUTES = {"hourly": 60, "15_minutes": 15, "5_minutes": 5}


def hours(rows: Any) -> dict[datetime, dict[str, Any]]:
    return {row["hour"]: row for row in rows.to_pylist() if row["resolution"] == "hour"}


@pytest.mark.parametrize("version", ["v3", "v4"])
@pytest.mark.parametrize("granularity", MINUTES)
def test_hours_are_the_same_however_fine_they_are_asked_for(
    server: ElectricityMapsServer, step: StepContext, version: str, granularity: str
) -> None:
    source = of(server, zones=["DE"], url=server.version(version), granularity=granularity)
    collected = collect(source, ONE, step)
    parsed, _ = parse(source, collected.editions, step)
    assert parsed
    audit(conform(parsed.rows, IntensityRows), IntensityRows)
    found = hours(parsed.rows.to_pyarrow())

    assert len(found) == 24
    for hour, row in found.items():
        instant = at(DAY, hour.hour)
        assert row["lifecycle_gco2e_per_kwh"] == value("DE", instant, "lifecycle")
        assert row["direct_gco2e_per_kwh"] == value("DE", instant, "direct")
        assert (row["hour_covered"], row["answered_minutes"]) == (1, MINUTES[granularity])
        assert row["factor_id"] == f"electricity_maps/{version}/DE/lifecycle+direct"
    assert parsed.notes == {}
    assert {asked.path for asked in server.requests} == {f"/{version}/carbon-intensity/past-range"}
    assert {asked.params["temporalGranularity"] for asked in server.requests} == {granularity}
    assert {asked.params["disableCallerLookup"] for asked in server.requests} == {"true"}


def test_finer_values_are_asked_day_by_day(server: ElectricityMapsServer, step: StepContext) -> None:
    source = of(server, zones=["DE"], granularity="15_minutes")
    rows, _ = rows_of(source, SETTLED, step)
    starts = Counter(asked.params["start"][:10] for asked in server.requests)
    assert starts == {f"{day}": 2 for day in SETTLED}
    assert rows.num_rows == 240


@pytest.mark.parametrize("echoes", [False, True])
@pytest.mark.parametrize(
    ("asked", "finest", "answered"),
    [
        ("5_minutes", "5_minutes", 5),
        ("5_minutes", "15_minutes", 15),
        ("5_minutes", "hourly", 60),
        ("15_minutes", "hourly", 60),
        ("15_minutes", "5_minutes", 15),
        ("hourly", "hourly", 60),
    ],
)
def test_what_was_answered_is_stored_whatever_was_asked_and_said(
    server: ElectricityMapsServer, step: StepContext, asked: str, finest: str, answered: int, echoes: bool
) -> None:
    """A plan without finer values answers coarser ones without a word; some answers name what was asked for."""
    server.faults.finest, server.faults.echoes = finest, echoes
    source = of(server, zones=["DE"], granularity=asked)
    parsed, _ = parse(source, collect(source, ONE, step).editions, step)
    assert parsed
    found = hours(parsed.rows.to_pyarrow())
    assert {row["answered_minutes"] for row in found.values()} == {answered}
    assert {row["hour_covered"] for row in found.values()} == {1}
    assert {row["direct_gco2e_per_kwh"] for row in found.values()} == {
        value("DE", at(DAY, hour), "direct") for hour in range(24)
    }
    coarser = answered > MINUTES[asked]
    assert parsed.notes == ({"intensities_coarser_than_asked": 24} if coarser else {})
    told = {"intensities_coarser_than_asked": [f"DE: every {answered} minutes"]} if coarser else {}
    assert {name: list(said) for name, said in parsed.examples.items()} == told


@pytest.mark.parametrize(
    ("lost", "covered", "above", "minutes", "notes"),
    [
        ([], "1", "0", 15, {}),
        ([45], "0.75", "-2.5", 15, {"hours_covered_in_part": 1}),
        ([15], "0.75", "0.833", 15, {"hours_covered_in_part": 1}),
        ([30, 45], "0.5", "-5", 15, {"hours_covered_in_part": 1}),
        ([15, 30, 45], "1", "0", 60, {"intensities_coarser_than_asked": 1}),
    ],
)
@pytest.mark.parametrize("how", ["missing", "unknown"])
def test_an_hour_that_is_covered_in_part_says_so_and_too_little_of_it_gives_way_to_the_hour(
    server: ElectricityMapsServer, step: StepContext, lost: list[int], covered: str, above: str, minutes: int,
    notes: dict[str, int], how: str,
) -> None:  # fmt: skip
    """Quarter hours are 7.5 and 2.5 g below the mean of their hour, then as much above it."""
    seven = at(DAY, 7)
    setattr(server.faults, how, {("DE", seven + timedelta(minutes=minute)) for minute in lost})
    rows, told = rows_of(of(server, zones=["DE"], granularity="15_minutes"), ONE, step)
    row = hours(rows)[seven.replace(tzinfo=None)]
    assert row["hour_covered"] == Decimal(covered)
    assert row["direct_gco2e_per_kwh"] == value("DE", seven, "direct") + Decimal(above)
    assert row["answered_minutes"] == minutes
    assert {name: n for name, n in told.items() if name != "points_without_intensity_dropped"} == notes
    assert len(hours(rows)) == 24


def test_an_hour_without_finer_values_takes_the_month_and_the_year(
    server: ElectricityMapsServer, step: StepContext
) -> None:
    server.faults.missing = {("DE", at(DAY, 7))}
    rows, notes = rows_of(of(server, zones=["DE"], granularity="5_minutes"), ONE, step)
    assert {row["resolution"] for row in rows.to_pylist() if row["hour"].hour == 7} == {"month", "year"}
    assert notes == {}
    asked = Counter(asked.params["temporalGranularity"] for asked in server.requests)
    assert asked == {"5_minutes": 2, "hourly": 8, "yearly": 2}, "the month is asked by the hour, in windows of ten days"


def test_the_last_24_hours_are_asked_finer_too_and_fill_up(
    server: ElectricityMapsServer, step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = (NOW - timedelta(days=1)).date()
    source = of(server, zones=["DE"], access="history", granularity="5_minutes")

    def covered_at(now: datetime) -> list[Decimal]:
        monkeypatch.setattr(server, "_now", lambda: now)
        rows, _ = rows_of(source, DayRange(day, day), replace(step, now=now))
        return [row["hour_covered"] for row in rows.sort_by("hour").to_pylist()]

    first = at(day, 15) + timedelta(minutes=32)
    assert covered_at(first) == [Decimal(1)] * 15 + [Decimal("0.583333")]
    assert covered_at(first + 17 * HOUR) == [Decimal(1)] * 24
    assert {asked.params["temporalGranularity"] for asked in server.requests} == {"5_minutes"}


def test_finer_values_go_before_hours_that_were_collected_before_them() -> None:
    """Of `access: history`, after `granularity` was changed: the older answer has hours, the newer one its steps."""
    hourly = body(*(entry(datetime=f"2024-05-09T{n:02}:00:00Z", carbonIntensity=100 + n) for n in range(3)))
    fine = body(*(entry(datetime=f"2024-05-09T02:{n:02}:00Z", carbonIntensity=n + 1) for n in range(0, 60, 15)))
    asked = {**REQUEST, "params": {**REQUEST["params"], "temporalGranularity": "15_minutes"}}
    found = [*points(fine, asked, "b"), *points(hourly, REQUEST, "a")]
    rows = known_hours(touched_hours(CON, found)).to_pylist()
    assert [(row["direct_gco2e_per_kwh"], row["answered_minutes"], row["raw_sha256"]) for row in rows] == [
        (100, 60, "a"),
        (101, 60, "a"),
        (Decimal("23.5"), 15, "b"),
    ]


def test_hours_that_begin_at_the_half_hour_become_utc_hours() -> None:
    found = points(
        body(*(entry(datetime=f"2024-05-09T{n:02}:30:00Z", carbonIntensity=10 * n) for n in range(3))), REQUEST
    )
    rows = known_hours(touched_hours(CON, found)).to_pylist()
    assert [(row["hour"].hour, row["direct_gco2e_per_kwh"], row["hour_covered"]) for row in rows] == [
        (0, 0, Decimal("0.5")),
        (1, 5, 1),
        (2, 15, 1),
        (3, 20, Decimal("0.5")),
    ]


@pytest.mark.parametrize(("stated", "minutes"), [("5_minutes", 5), ("15_minutes", 15), ("hourly", 60), (None, 60)])
def test_one_value_alone_is_of_as_many_minutes_as_its_answer_says(stated: str | None, minutes: int) -> None:
    content = body(entry()).replace(b'{"zone"', b'{"temporalGranularity": "%s", "zone"' % (stated or "").encode(), 1)
    (row,) = touched_hours(CON, points(content, REQUEST)).to_pylist()
    assert row["answered_minutes"] == minutes
    assert row["hour_covered"] == (1 if minutes == 60 else None)


LONG = {**REQUEST, "params": {**REQUEST["params"], "end": "2024-05-19T00:00:00Z"}}
YEARLY = {**LONG, "params": {**LONG["params"], "temporalGranularity": "yearly"}}


@pytest.mark.parametrize(
    ("stated", "days", "request_", "said"),
    [
        ("daily", [9], REQUEST, "temporalGranularity is 'daily', not 5_minutes or 15_minutes or hourly"),
        ("monthly", [9], REQUEST, "temporalGranularity is 'monthly'"),
        ("hourly", [9, 10], LONG, "the values are days apart, not hours"),
        (None, [9, 10, 12], LONG, "the values are days apart, not hours"),
        ("monthly", [9], YEARLY, "temporalGranularity is 'monthly', not yearly"),
        ("hourly", [9], REQUEST, None),
        ("yearly", [9], YEARLY, None),
        (None, [9, 10], YEARLY, None),
        (None, [9, 10], REQUEST, None),
    ],
)
def test_what_is_coarser_than_an_hour_is_no_hour(
    stated: str | None, days: list[int], request_: dict[str, Any], said: str | None
) -> None:
    """A mean of a day would stand for its first hour."""
    content = {"zone": "DE", "data": [entry(datetime=f"2024-05-{day:02}T00:00:00Z") for day in days]}
    written = json.dumps(content | ({"temporalGranularity": stated} if stated else {})).encode()
    if said is None:
        assert points(written, request_)
    else:
        with pytest.raises(MalformedError, match=said):
            points(written, request_)


def test_another_unit_than_grams_per_kwh_is_malformed() -> None:
    content = body(entry()).replace(b'{"zone"', b'{"unit": "gCO2eq/kWh", "zone"', 1)
    assert len(points(content, REQUEST)) == 1
    with pytest.raises(MalformedError, match="unit is 'MW'"):
        points(content.replace(b"gCO2eq/kWh", b"MW"), REQUEST)


@pytest.mark.parametrize(
    ("keys", "base"),
    [
        ({}, "https://api.electricitymaps.com/v4"),
        ({"api": "v4"}, "https://api.electricitymaps.com/v4"),
        ({"api": "v3"}, "https://api.electricitymaps.com/v3"),
        ({"url": "https://api.electricitymaps.com/v3"}, "https://api.electricitymaps.com/v3"),
        ({"url": "https://api.electricitymaps.com/v3/", "api": "v3"}, "https://api.electricitymaps.com/v3"),
        ({"url": "http://127.0.0.1:9/em", "api": "v3"}, "http://127.0.0.1:9/em/v3"),
        ({"url": "http://127.0.0.1:9/"}, "http://127.0.0.1:9/v4"),
    ],
)
def test_the_version_is_the_current_one_unless_site_yaml_says_another(keys: dict[str, str], base: str) -> None:
    block = {"name": "grid", "kind": "electricity_maps", "token": "env:EM_TOKEN", **keys}
    assert ElectricityMaps.model_validate(block).base_url == base


def test_two_versions_are_refused() -> None:
    block = {"name": "grid", "kind": "electricity_maps", "token": "env:EM_TOKEN", "api": "v4"}
    with pytest.raises(ValidationError, match="`url` ends with v3 and `api` says v4: leave one of them out"):
        ElectricityMaps.model_validate({**block, "url": "https://api.electricitymaps.com/v3"})


def test_doctor_says_how_fine_the_answer_is(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.finest = "hourly"
    (found,) = of(server, zones=["DE"], granularity="5_minutes").check(step)
    assert found.ok
    assert "24 of 24 hours of 2026-11-19, 11 estimated, a value every 60 minutes (5_minutes asked)" in found.what
    (plain,) = of(server, zones=["DE"]).check(step)
    assert plain.what.endswith("11 estimated")

"""The stand-in of Electricity Maps refuses what the service refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from energy_assets.sandbox.electricity_maps import ElectricityMapsServer, synthetic_intensity

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[ElectricityMapsServer]:
    with ElectricityMapsServer(now=lambda: NOW) as running:
        yield running


def get(server: ElectricityMapsServer, path: str, good: bool = True, **params: str) -> tuple[int, Any]:
    headers = {"auth-token": "sandbox" if good else "stolen"}
    response = httpx.get(f"{server.url}/{path}", params=params, headers=headers)
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"zone": "DE", "start": "2026-10-01T00:00Z", "end": "2026-10-11T00:00Z"}, 200),
        ({"zone": "DE", "start": "2026-10-01T00:00Z", "end": "2026-10-11T01:00Z"}, 400),
        ({"zone": "DE", "start": "2026-10-02T00:00Z", "end": "2026-10-01T00:00Z"}, 400),
        ({"zone": "DE", "start": "2026-10-02T00:00Z"}, 400),
        ({"zone": "DE", "emissionFactorType": "smell"}, 400),
        ({"zone": "ATLANTIS"}, 404),
        ({"disableCallerLookup": "true"}, 404),
    ],
)
def test_past_range_keeps_the_rules_of_the_service(
    server: ElectricityMapsServer, params: dict[str, str], status: int
) -> None:
    assert get(server, "carbon-intensity/past-range", **params)[0] == status


def test_a_wrong_token_is_401_and_zones_need_none(server: ElectricityMapsServer) -> None:
    assert get(server, "carbon-intensity/latest", good=False, zone="DE") == (401, {"error": "Invalid auth-token"})
    assert get(server, "zones", good=False)[0] == 200


def test_without_a_zone_the_caller_is_located(server: ElectricityMapsServer) -> None:
    assert get(server, "carbon-intensity/latest")[1]["zone"] == "US-TEX-ERCO"


def test_history_has_the_last_24_hours_and_young_ones_are_estimated(server: ElectricityMapsServer) -> None:
    _, answer = get(server, "carbon-intensity/history", zone="DE")
    hours = answer["history"]

    assert [len(hours), hours[0]["datetime"], hours[-1]["datetime"]] == [
        24,
        "2026-11-19T13:00:00.000Z",
        "2026-11-20T12:00:00.000Z",
    ]
    assert hours[-1]["isEstimated"]


def test_nothing_of_the_future_is_answered(server: ElectricityMapsServer) -> None:
    _, answer = get(
        server, "carbon-intensity/past-range", zone="DE", start="2026-11-20T00:00Z", end="2026-11-21T00:00Z"
    )

    assert len(answer["data"]) == 13


def test_a_seed_gives_the_same_curve_with_a_dip_at_noon() -> None:
    day = datetime(2026, 6, 10, tzinfo=UTC)
    curve = [synthetic_intensity("DE", day + timedelta(hours=hour), "lifecycle") for hour in range(24)]
    other = [synthetic_intensity("DE", day + timedelta(hours=hour), "lifecycle", seed=1) for hour in range(24)]

    assert curve == [synthetic_intensity("DE", day + timedelta(hours=hour), "lifecycle") for hour in range(24)]
    assert curve != other
    assert sum(curve[11:14]) < sum(curve[18:21])
    assert all(
        synthetic_intensity("FR", day + timedelta(hours=hour), "direct")
        < synthetic_intensity("FR", day + timedelta(hours=hour), "lifecycle")
        for hour in range(24)
    )


ONE_DAY = {"zone": "DE", "start": "2026-10-01T00:00Z", "end": "2026-10-02T00:00Z"}


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_both_versions_answer_at_the_same_paths(server: ElectricityMapsServer, version: str) -> None:
    response = httpx.get(
        f"{server.version(version)}/carbon-intensity/past-range", params=ONE_DAY, headers={"auth-token": "sandbox"}
    )
    answer = response.json()
    assert answer.pop("unit", None) == ("gCO2eq/kWh" if version == "v4" else None)
    assert set(answer) == {"zone", "temporalGranularity", "data"}
    assert len(answer["data"]) == 24
    assert answer["data"][0]["createdAt"] == "2026-09-28T00:00:00.000Z"
    assert server.url == server.version("v4")


def test_another_version_is_not_there(server: ElectricityMapsServer) -> None:
    assert httpx.get(f"{server.version('v5')}/zones").status_code == 404


@pytest.mark.parametrize(
    ("asked", "finest", "echoes", "said", "values"),
    [
        ("5_minutes", "5_minutes", False, "5_minutes", 288),
        ("15_minutes", "5_minutes", False, "15_minutes", 96),
        ("5_minutes", "15_minutes", False, "15_minutes", 96),
        ("5_minutes", "hourly", False, "hourly", 24),
        ("5_minutes", "hourly", True, "5_minutes", 24),
        ("hourly", "hourly", False, "hourly", 24),
    ],
)
@pytest.mark.parametrize("endpoint", ["past-range", "history"])
def test_a_plan_without_finer_values_is_answered_in_coarser_ones_without_a_word(
    asked: str, finest: str, echoes: bool, said: str, values: int, endpoint: str
) -> None:
    with ElectricityMapsServer(now=lambda: NOW) as server:
        server.faults.finest, server.faults.echoes = finest, echoes
        status, answer = get(server, f"carbon-intensity/{endpoint}", temporalGranularity=asked, **ONE_DAY)
        points = answer["data" if endpoint == "past-range" else "history"]
        assert (status, answer["temporalGranularity"], len(points)) == (200, said, values)
        mean = sum(point["carbonIntensity"] for point in points[: values // 24]) / (values // 24)
        _, hourly = get(server, f"carbon-intensity/{endpoint}", **ONE_DAY)
        if endpoint == "past-range":
            assert round(mean, 3) == hourly["data"][0]["carbonIntensity"]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"temporalGranularity": "5_minutes", "end": "2026-10-03T00:00Z"}, 200),
        ({"temporalGranularity": "5_minutes", "end": "2026-10-03T00:05Z"}, 400),
        ({"temporalGranularity": "10_minutes"}, 400),
        ({"disableEstimations": "true"}, 200),
        ({"disableEstimations": "perhaps"}, 400),
    ],
)
def test_what_is_asked_finer_keeps_the_rules_too(
    server: ElectricityMapsServer, params: dict[str, str], status: int
) -> None:
    assert get(server, "carbon-intensity/past-range", **{**ONE_DAY, **params})[0] == status


def test_estimates_are_left_out_where_nobody_wants_them(server: ElectricityMapsServer) -> None:
    span = {"zone": "DE", "start": "2026-11-19T00:00Z", "end": "2026-11-20T00:00Z"}
    _, every = get(server, "carbon-intensity/past-range", **span)
    _, measured = get(server, "carbon-intensity/past-range", disableEstimations="true", **span)
    assert [point for point in every["data"] if not point["isEstimated"]] == measured["data"]
    assert 0 < len(measured["data"]) < 24

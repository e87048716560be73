"""`electricity_maps` against the stand-in, over HTTP: windows, gaps, zones, failures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import IntensityRows
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import Collected, collect, parse
from energy_assets.sandbox.electricity_maps import ElectricityMapsServer, synthetic_intensity
from energy_assets.sources.base import StepContext
from energy_assets.sources.electricity_maps import client
from energy_assets.sources.electricity_maps.source import ElectricityMaps, window_of
from energy_assets.sources.errors import DeniedError, MalformedError, PermanentError, SourceError, TransientError
from energy_assets_tests.conftest import rows_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOW.date()
SETTLED = DayRange(date(2026, 9, 24), date(2026, 10, 3))
"""One whole window of the grid of ten days, long over."""

DAY = date(2026, 10, 2)
ONE = DayRange(DAY, DAY)
HOUR = timedelta(hours=1)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ElectricityMapsServer]:
    """The stand-in at the step's instant; its client does not wait between attempts."""
    monkeypatch.setattr(client, "BACKOFF_S", 0.0)
    monkeypatch.setenv("EM_TOKEN", "sandbox")
    with ElectricityMapsServer(now=lambda: NOW) as running:
        yield running


def of(server: ElectricityMapsServer, **keys: Any) -> ElectricityMaps:
    block = {"name": "grid", "kind": "electricity_maps", "token": "env:EM_TOKEN", "url": server.url, **keys}
    return ElectricityMaps.model_validate(block)


def at(day: date, hour: int) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC) + hour * HOUR


def value(zone: str, hour: datetime, basis: str) -> Decimal:
    return Decimal(synthetic_intensity(zone, hour, basis))


def ordered(rows: pa.Table) -> pa.Table:
    return rows.sort_by([("zone", "ascending"), ("hour", "ascending"), ("resolution", "ascending")])


def error_of(source: ElectricityMaps, step: StepContext, days: DayRange = ONE) -> SourceError:
    return collect(source, days, step).failures[days.first]


def test_a_settled_window_is_asked_once_for_each_zone_and_basis(
    server: ElectricityMapsServer, step: StepContext
) -> None:
    collected = collect(of(server), SETTLED, step)
    parsed, _ = parse(of(server), collected.editions, step)
    assert parsed
    audit(conform(parsed.rows, IntensityRows), IntensityRows)
    rows = ordered(parsed.rows.to_pyarrow()).to_pylist()

    assert [(a.params["zone"], a.params["emissionFactorType"]) for a in server.requests] == [
        ("DE", "lifecycle"),
        ("DE", "direct"),
        ("FR", "lifecycle"),
        ("FR", "direct"),
    ]
    assert all(asked.params["disableCallerLookup"] == "true" for asked in server.requests)
    assert len(rows) == 10 * 24 * 2
    lifecycle = collected.editions[DAY].objects[0]
    first = at(SETTLED.first, 0)
    assert rows[0] == {
        "day": SETTLED.first,
        "hour": first.replace(tzinfo=None),
        "zone": "DE",
        "lifecycle_gco2e_per_kwh": value("DE", first, "lifecycle"),
        "direct_gco2e_per_kwh": value("DE", first, "direct"),
        "carbon_free_share": None,
        "is_estimated": False,
        "hour_covered": Decimal(1),
        "answered_minutes": 60,
        "resolution": "hour",
        "factor_id": "electricity_maps/v4/DE/lifecycle+direct",
        "raw_sha256": lifecycle.sha256,
    }
    assert "sandbox" not in json.dumps(dict(lifecycle.request))


@pytest.mark.parametrize(
    ("day", "window"),
    [
        (date(2026, 10, 2), SETTLED),
        (date(2026, 9, 24), SETTLED),
        (date(2026, 10, 3), SETTLED),
        (date(2026, 10, 4), DayRange(date(2026, 10, 4), date(2026, 10, 13))),
        (date(2026, 10, 25), DayRange(date(2026, 10, 24), date(2026, 11, 2))),
        (date(2026, 11, 3), DayRange(date(2026, 11, 3), date(2026, 11, 3))),
        (date(2026, 11, 19), DayRange(date(2026, 11, 19), date(2026, 11, 19))),
    ],
)
def test_the_request_of_a_day_lies_on_a_fixed_grid(day: date, window: DayRange) -> None:
    assert window_of(day, TODAY, 14) == window


@pytest.mark.parametrize(("repull_days", "alone"), [(17, False), (18, True)])
def test_a_window_whose_last_day_is_the_first_of_the_re_pull_is_asked_day_by_day(repull_days: int, alone: bool) -> None:
    """The window ends on 2026-11-02, 18 days before today."""
    day = date(2026, 10, 25)
    whole = DayRange(date(2026, 10, 24), date(2026, 11, 2))
    assert window_of(day, TODAY, repull_days) == (DayRange(day, day) if alone else whole)


def test_a_day_alone_has_the_rows_it_has_in_a_range(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.missing = {("DE", at(DAY, 7))}
    alone = ordered(rows_of(of(server), ONE, step)[0])
    again = ordered(rows_of(of(server), ONE, step)[0])
    within = ordered(rows_of(of(server), DayRange(date(2026, 10, 1), date(2026, 10, 4)), step)[0])

    assert alone.num_rows == 24 * 2 + 1
    assert alone.equals(again)
    assert alone.equals(within.filter(pc.equal(within["day"], pa.scalar(DAY))))


@pytest.mark.parametrize("how", ["missing", "unknown"])
def test_a_missing_hour_gets_the_means_of_its_month_and_year(
    server: ElectricityMapsServer, step: StepContext, how: str
) -> None:
    setattr(server.faults, how, {("DE", at(DAY, 7))})
    rows, notes = rows_of(of(server, zones=["DE"]), ONE, step)
    seven = {r["resolution"]: r for r in rows.to_pylist() if r["hour"] == at(DAY, 7).replace(tzinfo=None)}
    others = [value("DE", at(date(2026, 10, n), 7), "direct") for n in range(1, 32) if n != DAY.day]
    [year] = [a for a in server.requests if a.params["temporalGranularity"] == "yearly"][1:]

    assert rows.num_rows == 23 + 2
    assert set(seven) == {"month", "year"}
    assert seven["month"]["direct_gco2e_per_kwh"] == (sum(others) / 30).quantize(Decimal("0.001"), ROUND_HALF_UP)
    assert seven["year"]["direct_gco2e_per_kwh"] > 0
    assert all(row["is_estimated"] for row in seven.values())
    assert (year.params["start"], year.params["end"]) == ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
    assert notes == ({"points_without_intensity_dropped": 2} if how == "unknown" else {})


def test_a_plan_without_yearly_means_still_gives_the_month(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.missing = {("DE", at(DAY, 7))}
    server.faults.forbidden = {"yearly"}
    rows, _ = rows_of(of(server, zones=["DE"]), ONE, step)

    assert [r["resolution"] for r in rows.to_pylist() if r["hour"].hour == 7] == ["month"]


def test_a_clock_hour_missing_all_month_gets_the_year_only(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.missing = {("DE", at(date(2026, 10, n), 7)) for n in range(1, 32)}
    rows, _ = rows_of(of(server, zones=["DE"]), ONE, step)

    assert [r["resolution"] for r in rows.to_pylist() if r["hour"].hour == 7] == ["year"]


def test_a_zone_that_is_silent_all_month_gets_its_year(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.missing = {("FR", at(date(2026, 9, 20), hour)) for hour in range(24 * 60)}
    rows, _ = rows_of(of(server), ONE, step)
    told = {(row["zone"], row["resolution"]) for row in rows.to_pylist()}

    assert told == {("DE", "hour"), ("FR", "year")}
    assert rows.num_rows == 48


def test_estimates_are_flagged_and_the_trailing_window_is_pulled_day_by_day(
    server: ElectricityMapsServer, step: StepContext
) -> None:
    source = of(server, zones=["DE"])
    rows, _ = rows_of(source, DayRange(date(2026, 11, 18), date(2026, 11, 19)), step)
    estimated = {row["hour"] for row in rows.to_pylist() if row["is_estimated"]}

    assert min(estimated) == datetime(2026, 11, 19, 13)
    assert [asked.params["start"][:10] for asked in server.requests] == ["2026-11-18"] * 2 + ["2026-11-19"] * 2
    assert source.trailing_days == 14
    assert of(server, access="history").trailing_days == 0


def test_days_that_are_not_over_are_not_asked(server: ElectricityMapsServer, step: StepContext) -> None:
    collected = collect(of(server, zones=["DE"]), DayRange(date(2026, 11, 19), date(2026, 11, 21)), step)

    assert set(collected.editions) == {date(2026, 11, 19)}
    assert all(isinstance(error, TransientError) for error in collected.failures.values())
    assert {asked.params["start"][:10] for asked in server.requests} == {"2026-11-19"}


def test_a_failing_window_takes_its_own_days_down_only(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.status = [503] * client.ATTEMPTS
    collected = collect(of(server, zones=["DE"]), DayRange(date(2026, 10, 2), date(2026, 10, 5)), step)

    assert set(collected.failures) == {date(2026, 10, 2), date(2026, 10, 3)}
    assert set(collected.editions) == {date(2026, 10, 4), date(2026, 10, 5)}
    assert isinstance(collected.failures[date(2026, 10, 2)], TransientError)


def test_a_throttled_request_waits_as_long_as_told(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.status, server.faults.retry_after_s = [429], 1
    before = datetime.now(UTC)
    rows, _ = rows_of(of(server, zones=["DE"]), ONE, step)

    assert rows.num_rows == 24
    assert datetime.now(UTC) - before >= timedelta(seconds=1)


def test_a_lasting_429_is_transient(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.status = [429] * client.ATTEMPTS

    assert isinstance(error_of(of(server), step), TransientError)


def test_a_wrong_token_names_the_key(
    server: ElectricityMapsServer, step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EM_TOKEN", "stolen")
    error = error_of(of(server), step)

    assert isinstance(error, DeniedError)
    assert "HTTP 401" in str(error)
    assert "`token` of source 'grid' in site.yaml" in str(error)
    assert "stolen" not in str(error)


def test_a_token_that_is_nowhere_names_the_reference(
    server: ElectricityMapsServer, step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EM_TOKEN")
    with pytest.raises(DeniedError, match="env:EM_TOKEN"):
        collect(of(server), ONE, step)


def test_an_unknown_zone_is_named_with_the_place_to_look(server: ElectricityMapsServer, step: StepContext) -> None:
    error = error_of(of(server, zones=["GERMANY"]), step)

    assert isinstance(error, PermanentError)
    assert "does not know zone GERMANY" in str(error)
    assert f"{server.url}/zones lists the names" in str(error)


def test_an_answer_for_another_zone_is_never_used(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.other_zone = {"DE": "US-NW-PACW"}
    error = error_of(of(server), step)

    assert isinstance(error, PermanentError)
    assert "asked for zone DE, answered for US-NW-PACW" in str(error)


def test_a_cut_answer_stays_landed_and_is_malformed(server: ElectricityMapsServer, step: StepContext) -> None:
    server.faults.truncate = 1
    collected = collect(of(server, zones=["DE"]), ONE, step)
    _, failures = parse(of(server, zones=["DE"]), collected.editions, step)
    [error] = failures.values()
    landed = collected.editions[DAY].objects[0]

    assert isinstance(error, MalformedError)
    assert landed.sha256[:12] in str(error)
    assert len(step.read(landed)) == landed.bytes


def test_a_server_that_is_down_is_transient(step: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BACKOFF_S", 0.0)
    monkeypatch.setenv("EM_TOKEN", "sandbox")
    block = {"name": "grid", "kind": "electricity_maps", "token": "env:EM_TOKEN", "url": "http://127.0.0.1:9/v3"}

    assert isinstance(error_of(ElectricityMaps.model_validate(block), step), TransientError)


def test_no_zone_at_all_says_where_to_name_one(server: ElectricityMapsServer, step: StepContext) -> None:
    with pytest.raises(PermanentError, match="no grid zone"):
        collect(of(server), ONE, replace(step, zones=()))


def test_history_adds_up_over_runs_and_makes_no_means(
    server: ElectricityMapsServer, step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, day = of(server, zones=["DE"], access="history"), DayRange(date(2026, 11, 19), date(2026, 11, 19))

    def hours_at(now: datetime) -> tuple[Collected, list[dict[str, Any]]]:
        monkeypatch.setattr(server, "_now", lambda: now)
        then = replace(step, now=now)
        rows, _ = rows_of(source, day, then)
        return collect(source, day, then), rows.to_pylist()

    _, early = hours_at(datetime(2026, 11, 19, 15, 30, tzinfo=UTC))
    _, late = hours_at(datetime(2026, 11, 20, 8, 30, tzinfo=UTC))
    after, kept = hours_at(datetime(2026, 11, 25, 8, 30, tzinfo=UTC))

    assert [len(early), len(late), len(kept)] == [16, 24, 24]
    assert {row["resolution"] for row in kept} == {"hour"}
    assert not after.failures
    lost = error_of(source, replace(step, now=datetime(2026, 11, 25, tzinfo=UTC)))
    assert "only the last 24 hours" in str(lost)


def test_doctor_tells_zone_by_zone(server: ElectricityMapsServer, step: StepContext) -> None:
    good, bad = of(server, zones=["DE", "NOWHERE"]).check(step)

    assert good.ok
    assert "DE, 24 of 24 hours of 2026-11-19, 11 estimated" in good.what
    assert not bad.ok
    assert "NOWHERE" in bad.remedy

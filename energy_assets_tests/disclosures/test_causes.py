"""Why two editions differ: which changes are found, and which figures each can have reached."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from energy_assets.contracts.vocabulary import Feed
from energy_assets.disclosures.causes import Kind, causes, relevant
from energy_assets.disclosures.editions import Cause, Fact, MadeWith
from energy_assets.integrity import DamagedError
from energy_assets.periods import Period

MAY = Period.parse("2024-05")
SAME = MadeWith("1", "lock", {"places": "a"}, {"pue.csv": "a"}, "profile", {})
METERS = {"raw_meters": ("meters", Feed.ENERGY)}
GRID = {"raw_grid": ("grid", Feed.GRID_INTENSITY)}
DAY, NEXT, LATER = date(2024, 5, 31), date(2024, 6, 1), date(2025, 1, 1)


def found(
    tables: Mapping[str, tuple[str, Feed]], old: dict[date, str], new: dict[date, str], made: MadeWith = SAME
) -> list[Cause]:
    (name,) = tables
    kept = {0: old, 1: new}
    return causes(
        tables,
        MAY,
        ({name: 0}, SAME),
        ({name: 1}, made),
        lambda _, version: kept[version] if version is not None else {},
    )


def fact(*reads: str) -> Fact:
    return Fact("F-001", "m", "", ("2024-05-01", "2024-05-31"), {}, "row", "1", "", reads)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({DAY: "a"}, {DAY: "b"}, "meters: 1 day (2024-05-31) changed"),
        ({}, {DAY: "b"}, "meters: 1 day (2024-05-31) arrived"),
        ({DAY: "a"}, {}, "meters: 1 day (2024-05-31) no longer there"),
    ],
)
def test_days_that_changed_came_or_went_are_late_data(old: Any, new: Any, said: str) -> None:
    assert found(METERS, old, new) == [Cause(Kind.LATE_DATA, said, Feed.ENERGY)]


def test_only_days_of_the_period_reach_it_but_for_what_a_year_shares() -> None:
    (other,) = found(METERS, {NEXT: "a"}, {NEXT: "b"})
    assert other.when == "year"
    assert not relevant(other, fact("emissions.energy_kwh"))
    assert relevant(other, fact("emissions_market.market_g"))
    (around,) = found(METERS, {LATER: "a"}, {LATER: "b"})
    assert around.when == "around"
    assert not relevant(around, fact("emissions_market.market_g")), "another year"
    assert relevant(around, fact("reconciliation.theirs")), "an invoice lies across months"
    assert relevant(other, fact("opportunities.energy_kwh")), "months are compared with months before"
    assert found(METERS, {date(2026, 1, 1): "a"}, {}) == []


def test_a_grid_that_changed_is_revised_and_one_that_came_is_late() -> None:
    assert [one.kind for one in found(GRID, {DAY: "a"}, {DAY: "b"})] == [Kind.REVISED_GRID]
    assert [one.kind for one in found(GRID, {}, {DAY: "b"})] == [Kind.LATE_DATA]


@pytest.mark.parametrize(
    ("feed", "reads", "reaches"),
    [
        (Feed.GRID_INTENSITY, "emissions.location_g", True),
        (Feed.GRID_INTENSITY, "emissions.energy_kwh", False),
        (Feed.GRID_INTENSITY, "emissions.", False),
        (Feed.GRID_INTENSITY, "cost.billed_cost", False),
        (Feed.COST, "cost.billed_cost", True),
        (Feed.COST, "emissions.energy_kwh", True),
        (Feed.ENERGY, "cost.billed_cost", False),
        (Feed.ACTIVITY, "activity.requests", True),
        (Feed.ACTIVITY, "emissions.energy_kwh", False),
        (Feed.INSTRUMENTS, "emissions_market.market_g", True),
        (Feed.INSTRUMENTS, "emissions.location_g", False),
    ],
)
def test_a_change_reaches_what_its_feed_is_in(feed: Feed, reads: str, reaches: bool) -> None:
    assert relevant(Cause(Kind.LATE_DATA, "", feed), fact(reads)) is reaches


def test_a_ratio_is_reached_through_either_side() -> None:
    assert relevant(Cause(Kind.LATE_DATA, "", Feed.ACTIVITY), fact("emissions.facility_kwh", "activity.requests"))


def test_release_factors_and_site_file_are_told_apart() -> None:
    made = MadeWith("2", "lock", {"places": "b", "nodes": "c"}, {"pue.csv": "b"}, "profile", {})
    assert [(one.kind, one.says) for one in found(METERS, {}, {}, made)] == [
        (Kind.RELEASE, "1 then, 2 now"),
        (Kind.FACTOR_EDITION, "pue.csv"),
        (Kind.SITE_FILE, "nodes"),
        (Kind.SITE_FILE, "places"),
    ]
    assert not relevant(Cause(Kind.FACTOR_EDITION, ""), fact("cost.billed_cost"))
    assert relevant(Cause(Kind.RELEASE, ""), fact("cost.billed_cost"))


def test_versions_that_are_lost_are_said_to_be() -> None:
    def lost(_: str, version: int | None) -> dict[date, str]:
        raise DamagedError(f"version {version}", "")

    (one,) = causes(METERS, MAY, ({"raw_meters": 0}, SAME), ({"raw_meters": 1}, SAME), lost)
    assert (one.kind, one.feed) == (Kind.LOST, Feed.ENERGY)


def test_a_source_that_the_site_file_no_longer_has_is_told_by_its_key() -> None:
    made = MadeWith("1", "lock", {"places": "a"}, {"pue.csv": "a"}, "profile", {})
    before = MadeWith("1", "lock", {"places": "a", "sources: meters": "x"}, {"pue.csv": "a"}, "profile", {})
    assert causes({}, MAY, ({"raw_meters": 0}, before), ({}, made), lambda *_: {}) == [
        Cause(Kind.SITE_FILE, "sources: meters")
    ]


@pytest.mark.parametrize(
    ("key", "reads", "metric", "reaches"),
    [
        ("reconciliation", "emissions.energy_kwh", "m", False),
        ("reconciliation", "reconciliation.theirs", "m", True),
        ("opportunities", "opportunities.energy_kwh", "m", True),
        ("kpis", "emissions.energy_kwh", "m", False),
        ("kpis", "emissions.energy_kwh", "own_m", True),
        ("sources: meters", "emissions.energy_kwh", "m", True),
        ("sources: meters", "cost.billed_cost", "m", False),
        ("places", "cost.billed_cost", "m", True),
    ],
)
def test_a_key_of_the_site_file_reaches_what_is_made_of_it(key: str, reads: str, metric: str, reaches: bool) -> None:
    made = MadeWith("1", "lock", {"places": "a", key: "b"}, {"pue.csv": "a"}, "profile", {})
    (cause,) = found(METERS, {}, {}, made)
    asked = Fact("F-001", metric, "", ("2024-05-01", "2024-05-31"), {}, "row", "1", "", (reads,))
    assert relevant(cause, asked) is reaches


def test_other_dependencies_and_another_profile_are_reasons() -> None:
    made = MadeWith("1", "other", {"places": "a"}, {"pue.csv": "a"}, "other", {})
    assert [one.kind for one in found(METERS, {}, {}, made)] == [Kind.RELEASE, Kind.PROFILE]

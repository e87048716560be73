"""Schedules: which runs they ask for, on which day."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from energy_assets.definitions import build_defs
from energy_assets.operations.schedules import RANGE_END, RANGE_START
from energy_assets.site import load_site

SITE = """
organisation: {name: Everything}
start: 2024-05-20
sources:
  - {name: meters, kind: power_files, path: "m/*.csv", node: node, place: {region: r1, zone: DE, pue: 1.2}}
  - {name: grid, kind: electricity_maps, token: "env:EA_TOKEN", repull_days: 10}
"""


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    path = tmp_path_factory.mktemp("schedules") / "site.yaml"
    path.write_text(SITE)
    return build_defs(load_site(path))


def asked(defs: dg.Definitions, name: str, at: str) -> list[dg.RunRequest]:
    when = datetime.fromisoformat(at).replace(tzinfo=UTC)
    schedule = defs.resolve_schedule_def(name)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=when, repository_def=defs.get_repository_def()
        )
        return list(schedule.evaluate_tick(context).run_requests or [])


@pytest.mark.parametrize(("at", "day"), [("2024-06-01T02:30", "2024-05-31"), ("2025-01-01T02:30", "2024-12-31")])
def test_every_night_asks_for_yesterday(defs: dg.Definitions, at: str, day: str) -> None:
    (request,) = asked(defs, "daily_schedule", at)
    assert (request.partition_key, request.run_key) == (day, f"daily-{day}")


@pytest.mark.parametrize(
    ("at", "months"),
    [
        ("2024-06-20T04:30", ["2024-06-01"]),
        ("2024-07-01T04:30", ["2024-06-01"]),
        ("2024-07-05T04:30", ["2024-06-01", "2024-07-01"]),
        ("2024-07-11T04:30", ["2024-07-01"]),
        ("2024-05-22T04:30", ["2024-05-01"]),
        ("2024-05-01T04:30", []),
    ],
)
def test_a_month_is_reported_while_it_runs_and_until_its_corrections_are_in(
    defs: dg.Definitions, at: str, months: list[str]
) -> None:
    assert [request.partition_key for request in asked(defs, "monthly_schedule", at)] == months


@pytest.mark.parametrize(
    ("at", "first", "last"),
    [
        ("2024-07-01T03:30", "2024-06-21", "2024-06-30"),
        ("2024-05-24T03:30", "2024-05-20", "2024-05-23"),
        ("2024-05-21T03:30", "2024-05-20", "2024-05-20"),
    ],
)
def test_revised_days_are_asked_for_again_but_none_before_the_site_starts(
    defs: dg.Definitions, at: str, first: str, last: str
) -> None:
    (request,) = asked(defs, "revisions_schedule", at)
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (first, last)


def test_revisions_take_what_depends_on_them_and_nothing_else(defs: dg.Definitions) -> None:
    job = defs.resolve_schedule_def("revisions_schedule").job_name
    keys = {key.to_user_string() for key in defs.resolve_job_def(job).asset_layer.executable_asset_keys}
    assert keys == {"raw/grid", "factors/grid_intensity", "emissions/hourly", "kpi/daily"}


def test_a_site_whose_publishers_never_revise_has_no_such_schedule(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("\n".join(SITE.splitlines()[:-1]))
    names = {schedule.name for schedule in build_defs(load_site(tmp_path / "site.yaml")).schedules or []}
    assert names == {"daily_schedule", "monthly_schedule", "arrivals_schedule"}

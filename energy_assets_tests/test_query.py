"""SQL on the lake: the tables by their names, in UTC, and nothing of the lake can be changed."""

from __future__ import annotations

from datetime import datetime

import pytest

from energy_assets.query import QueryError, ask
from energy_assets_tests.small_site import SmallRun


def test_every_table_that_exists_is_there_by_its_name(small_run: SmallRun) -> None:
    names = [
        "energy",
        "cost",
        "grid_intensity",
        "emissions",
        "kpis_daily",
        "kpis_monthly",
        "raw_meters",
        "raw_grid",
        "raw_bills",
    ]
    for name in names:
        assert ask(small_run.site, f"select count(*) from {name}")[1][0][0] > 0


def test_hours_are_utc_whatever_the_machine_thinks(small_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    query = "select min(hour), min(hour)::timestamptz::varchar from energy"
    assert ask(small_run.site, query)[1] == [(datetime(2024, 5, 30), "2024-05-30 00:00:00+00")]


def test_what_a_query_does_to_a_table_stays_in_its_own_memory(small_run: SmallRun) -> None:
    with pytest.raises(QueryError):
        ask(small_run.site, "delete from energy")
    ask(small_run.site, "drop view energy")
    assert ask(small_run.site, "select count(*) from energy")[1] == [(144,)]

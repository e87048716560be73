"""Backfills of everything, as the UI launches them: months that run, and a first month that starts within."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from energy_assets.commands import SITE_VARIABLE
from energy_assets.running import instance
from energy_assets.site import load_site
from energy_assets_tests.small_site import SITE, write_site

LAUNCH = """
mutation ($asked: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $asked) {
    __typename
    ... on LaunchBackfillSuccess {backfillId}
    ... on PythonError {message}
  }
}"""
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
STARTS = {
    "in the running month or the one before": YESTERDAY - timedelta(days=2),
    "in the midst of a month that is over": (YESTERDAY.replace(day=1) - timedelta(days=40)).replace(day=17),
}


@pytest.fixture(params=list(STARTS))
def ui(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The server's side of the UI for a small site that starts in mid-month, and the site's first day."""
    start = STARTS[request.param]
    path = write_site(tmp_path, text=SITE.replace("2024-05-30", str(start)))
    monkeypatch.setenv(SITE_VARIABLE, str(path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    target = ModuleTarget("energy_assets.definitions", None, os.getcwd(), "site")
    with instance(load_site(path)) as dagster, WorkspaceProcessContext(dagster, target) as process:
        yield process.create_request_context(), start


def launched(context: Any, asked: Mapping[str, Any], assets: set[str] | None = None) -> Mapping[str, Any]:
    keys = [
        key for key in context.asset_graph.materializable_asset_keys if not assets or key.to_user_string() in assets
    ]
    selection = [{"path": list(key.path)} for key in keys]
    assert len(selection) == (len(assets) if assets else 17)
    variables = {"asked": {**asked, "assetSelection": selection, "fromFailure": False}}
    answer = execute_dagster_graphql(context, LAUNCH, variables=variables)
    assert answer.errors is None
    found: Mapping[str, Any] = answer.data["launchPartitionBackfill"]
    return found


def test_everything_of_all_partitions_can_be_launched(ui: tuple[Any, date]) -> None:
    context, start = ui
    days = [str(YESTERDAY), str(start)]
    months = {"kpi/daily", "kpi/monthly"}
    assert launched(context, {"allPartitions": True})["__typename"] == "LaunchBackfillSuccess"
    for day in days:
        assert launched(context, {"partitionNames": [day]})["__typename"] == "LaunchBackfillSuccess", day
        assert launched(context, {"partitionNames": [day]}, months)["__typename"] == "LaunchBackfillSuccess", day

"""*Materialize all* of every partition, pressed in the UI while a month runs, ends green."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets_tests.browser.pages import complaints, press, requested, shows
from energy_assets_tests.browser.serving import RUN_S, Serving, serving, until
from energy_assets_tests.small_site import SITE, write_site

DIALOG = "//*[@role='dialog']"
BACKFILLS = "{partitionBackfillsOrError(limit: 1) {... on PartitionBackfills {results {id status}}}}"
OVER = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")


def _days() -> DayRange:
    """The last complete days of one month: on the first of a month, those of the month before."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    return DayRange(max(last - timedelta(days=2), last.replace(day=1)), last)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Serving]:
    """The UI of the small company, which has files of every day since its start."""
    days = _days()
    path = write_site(tmp_path, days, SITE.replace("2024-05-30", str(days.first)))
    with serving(path) as running:
        running.wait_until_ready()
        until(lambda: running.ask("{assetNodes {id}}")["assetNodes"], RUN_S, lambda: "the code was not loaded")
        yield running


def test_everything_is_materialized_from_the_graph(chromium: Any, small: Serving) -> None:
    complaints(chromium)
    requested(chromium)
    chromium.get(f"{small.url}/asset-groups")
    shows(chromium, "Global asset lineage", "disclosure")
    press(chromium, "Materialize all")
    press(chromium, "All", DIALOG)
    press(chromium, "Launch", DIALOG)
    backfill = until(lambda: _over(small), 3 * RUN_S, lambda: small.ask(BACKFILLS))
    assert backfill["status"] == "COMPLETED_SUCCESS", small.printed()
    assert complaints(chromium) == []
    states = small.ask("{runsOrError(limit: 50) {... on Runs {results {status}}}}")["runsOrError"]["results"]
    assert {run["status"] for run in states} == {"SUCCESS"}


def _over(ui: Serving) -> dict[str, Any] | None:
    results = ui.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]
    return results[0] if results and results[0]["status"] in OVER else None

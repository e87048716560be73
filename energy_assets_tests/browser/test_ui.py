"""The Dagster UI on a finished site: the graph, an asset, its checks, and a day materialized by hand."""

from __future__ import annotations

import time
from typing import Any

import pytest

from energy_assets_tests.browser.pages import complaints, press, requested, shows, text_of
from energy_assets_tests.browser.serving import RUN_S, Serving, until
from energy_assets_tests.browser.sites import HOSTILE_LINES, FinishedSite

GROUPS = ("raw", "unified", "factors", "emissions", "kpi", "disclosure")
DIALOG = "//*[@role='dialog']"


@pytest.fixture(autouse=True)
def quiet(chromium: Any) -> Any:
    """Every page of these tests stays without console errors, and asks this machine only."""
    complaints(chromium)
    requested(chromium)
    yield
    assert complaints(chromium) == []
    assert [url for url in requested(chromium) if not url.startswith("http://127.0.0.1:")] == []


def test_the_graph_leads_from_raw_sources_to_the_disclosure(chromium: Any, ui: Serving) -> None:
    chromium.get(ui.url)
    shows(chromium, "Global asset lineage", *GROUPS)
    raws = ("dublin", "frankfurt", "frankfurt-serving", "virginia", "virginia-serving", "grid", "bills")
    # A few groups at a time: with all of them open Dagster zooms out until it leaves the names away.
    for groups, assets in (
        (GROUPS[:1], raws),
        (GROUPS[1:4], ("energy", "cost", "activity", "grid_intensity", "applied", "hourly", "market")),
        (GROUPS[4:], ("daily", "monthly", "ml_sustainability")),
    ):
        expanded = ",".join(f"global@global:{group}" for group in groups)
        chromium.get(f"{ui.url}/asset-groups?expanded={expanded}")
        shows(chromium, *assets)


def test_nobody_is_asked_for_an_address(chromium: Any, ui: Serving) -> None:
    chromium.get(f"{ui.url}/asset-groups")
    shows(chromium, "Global asset lineage", "disclosure")
    assert "newsletter" not in text_of(chromium)


def test_an_asset_says_what_it_holds(chromium: Any, ui: Serving) -> None:
    chromium.get(f"{ui.url}/assets/unified/energy")
    page = shows(chromium, "Every kWh once", "Row count", "quality_tier", "energy_kwh")
    assert "Synthetic data of Sandbox AI" in page
    assert "one of gpu, cpu" in page
    for text in ("energy-data", "DuckDB", "Delta Lake", "ibis", "unified", "daily", "lake/energy"):
        assert text in page, text
    count = ui.ask(
        '{assetNodeOrError(assetKey: {path: ["unified", "energy"]}) {... on AssetNode {'
        "assetMaterializations(limit: 1) {metadataEntries {label ... on IntMetadataEntry {intValue}}}}}}"
    )
    entries = count["assetNodeOrError"]["assetMaterializations"][0]["metadataEntries"]
    rows = {entry["label"]: entry.get("intValue") for entry in entries}
    assert rows["dagster/row_count"] > rows["dagster/partition_row_count"] > 100
    assert f"{rows['dagster/row_count']:,}" in page


def test_a_materialization_shows_what_it_made(chromium: Any, ui: Serving, finished: FinishedSite) -> None:
    chromium.get(f"{ui.url}/assets/unified/energy?view=partitions&partition={finished.days.last}")
    page = shows(chromium, "Materialized", "delta_version", "summary", "measured_counter", "virginia")
    assert "Failed (0)" in page
    press(chromium, "[Show Markdown]")
    preview = shows(chromium, "row 3", "device_model", "uncertainty_pct")
    assert "| ---" not in preview
    press(chromium, "Close", DIALOG)


def test_checks_show_contract_and_conservation(chromium: Any, ui: Serving) -> None:
    chromium.get(f"{ui.url}/assets/unified/energy?view=checks&checkDetail=conservation")
    page = shows(chromium, "nothing is lost, counted twice or moved", "breaches", "Passed")
    assert "contract" in page
    assert "meters_hold_devices" in page


def test_the_disclosure_says_what_was_checked_and_links_its_report(
    chromium: Any, ui: Serving, finished: FinishedSite
) -> None:
    chromium.get(f"{ui.url}/assets/disclosure/ml_sustainability?view=checks")
    shows(chromium, "every_figure_recomputes", "figures_are_plausible", "period_is_complete", "energy_has_factors")
    month = finished.report.name
    chromium.get(f"{ui.url}/assets/disclosure/ml_sustainability?view=partitions&partition={month}-01")
    shows(chromium, "Materialized", "report_pdf", "trace")
    links = [one.get_attribute("href") or "" for one in chromium.find_elements("css selector", "a[href]")]
    (link,) = {link for link in links if link.endswith("/report.xhtml")}
    assert link == f"{ui.url}/reports/ml_sustainability/{month}/report.xhtml"
    chromium.get(link)
    shows(chromium, "Executive summary", "Figures and evidence")
    served = next(line for line in ui.printed().splitlines() if line.startswith("Reports: ")).removeprefix("Reports: ")
    assert chromium.current_url == f"{served}/ml_sustainability/{month}/report.xhtml"
    chromium.get(link.replace("report.xhtml", "trace.xhtml"))
    shows(chromium, "From figures to bytes", "F-001")


def test_lineage_reaches_from_raw_to_the_disclosure(chromium: Any, ui: Serving) -> None:
    lineage = f"{ui.url}/assets/unified/energy?view=lineage&lineageDepth=5&lineageScope="
    chromium.get(f"{lineage}upstream")
    shows(chromium, "dublin", "frankfurt", "virginia")
    chromium.get(f"{lineage}downstream")
    shows(chromium, "hourly", "daily", "monthly", "ml_sustainability")


def test_a_broken_contract_shows_counts_and_examples_and_markup_in_them_stays_text(
    chromium: Any, ui: Serving, finished: FinishedSite
) -> None:
    chromium.get(f"{ui.url}/assets/raw/bills?view=checks&checkDetail=contract")
    broken = f"raw_bills breaks its contract and was not published (billing_currency.str_matches: {HOSTILE_LINES} rows)"
    shows(chromium, broken, "Failed", "violations", "rules", "examples")
    press(chromium, "[Show Markdown]")
    shows(chromium, "bribe", "onerror=")
    assert chromium.execute_script("return window.hostile === undefined && !document.querySelector('img[src=x]')")
    press(chromium, "Close", DIALOG)
    chromium.get(f"{ui.url}/assets/raw/bills?view=partitions&partition={finished.days.last}")
    shows(chromium, "Failed (1)")


def test_a_day_materialized_from_the_ui_ends_green_and_mends_what_was_broken(
    chromium: Any, ui: Serving, finished: FinishedSite
) -> None:
    before = time.time()
    chromium.get(f"{ui.url}/assets/raw/bills")
    press(chromium, "Materialize")
    press(chromium, "Latest", DIALOG)
    press(chromium, "Launch 1 run", DIALOG)
    run = until(lambda: _finished_run(ui, before), RUN_S, lambda: f"runs: {_runs(ui)}")
    assert run["status"] == "SUCCESS"
    chromium.get(f"{ui.url}/runs/{run['runId']}")
    shows(chromium, "Success", f"partition: {finished.days.last}", "raw / bills", "RUN_SUCCESS")
    chromium.get(f"{ui.url}/assets/raw/bills?view=checks&checkDetail=contract")
    shows(chromium, "Passed")
    chromium.get(f"{ui.url}/assets/raw/bills?view=checks&checkDetail=arrived")
    shows(chromium, "Passed", f"{finished.days.last} is there")


def _runs(ui: Serving) -> list[dict[str, Any]]:
    query = "{runsOrError(limit: 3) {... on Runs {results {runId status creationTime}}}}"
    found: list[dict[str, Any]] = ui.ask(query)["runsOrError"]["results"]
    return found


def _finished_run(ui: Serving, since: float) -> dict[str, Any] | None:
    ended = [one for one in _runs(ui) if one["creationTime"] > since and one["status"] in ("SUCCESS", "FAILURE")]
    return ended[0] if ended else None

"""A site with indicators of its own, from the outside: run, asked by SQL, reported, and each figure traced."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.disclosures.asset import report_folder
from energy_assets.disclosures.building import build
from energy_assets.disclosures.trace import EQUAL
from energy_assets.disclosures.tracing import follow
from energy_assets.periods import Period
from energy_assets.query import ask
from energy_assets.running import run_days, run_report
from energy_assets.site import Site, load_site
from energy_assets_tests.disclosures.company import inputs
from energy_assets_tests.own_kpis_site import OWN_SITE
from energy_assets_tests.small_site import DAYS, direct_g, write_site

D = Decimal
MAY = Period.parse("2024-05")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The small company with indicators of its own, after a run and a report on May."""
    path = write_site(tmp_path_factory.mktemp("own"), DAYS, OWN_SITE)
    loaded = load_site(path)
    assert run_days(loaded, DAYS, lambda step: None).success
    assert run_report(loaded, MAY, lambda step: None).success
    return loaded


def rows(site: Site, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in ask(site, sql)[1]]


def test_golden_numbers_of_days_and_months(site: Site) -> None:
    """Node n1 trains 12 h a day with 0.6 kW, PUE 1.25: 9 of 25.2 kWh a day."""
    asked = "select numerator, denominator, value from kpis_{} where kpi = 'own_training_share' and {} = '{}'"
    assert rows(site, asked.format("daily", "day", "2024-05-30")) == [(9, D("25.2"), D("0.357142857143"))]
    assert rows(site, asked.format("monthly", "month", "2024-05-01")) == [(18, D("50.4"), D("0.357142857143"))]


def test_a_price_of_carbon_in_total_and_by_project(site: Site) -> None:
    hours = [datetime(2024, 5, 30, n) for n in range(24)]
    grams = sum(D("1.05") * direct_g(hour) for hour in hours)
    asked = "select {} from kpis_daily where kpi = 'own_carbon_price' and day = '2024-05-30' and grain = '{}'"
    assert rows(site, asked.format("value, unit", "total")) == [(grams * D("0.00008"), "EUR (location-based)")]
    parts = rows(site, asked.format("project, value", "project"))
    assert {name for name, _ in parts} == {"<script>lab</script>", "idle", "unknown"}
    assert sum(value for _, value in parts) == grams * D("0.00008")


def test_progress_and_training_runs(site: Site) -> None:
    asked = "select numerator, denominator, value from kpis_monthly where month = '2024-05-01' and kpi = '{}'"
    progress = rows(site, asked.format("target_progress_2030_of_own_training_share"))
    assert progress == [(D("7.2"), D("12.6"), D("0.571428571429"))]
    assert rows(site, asked.format("energy_per_training_run")) == [(18, 1, 18)]
    runs = "select workload_id, value from kpis_daily where kpi = 'energy_to_solution' order by day"
    assert rows(site, runs) == [("train-1", 9)] * 3


def test_the_report_prints_and_traces_every_one(site: Site) -> None:
    folder = report_folder(site, "ml_sustainability", MAY)
    figures = json.loads((folder / "figures.json").read_text())["figures"]
    mine = [one for one in figures if one["metric"].startswith("own_")]
    assert {(one["metric"], *one["dimensions"].values()) for one in mine} == {
        ("own_training_share",),
        *(("own_carbon_price", *name) for name in ((), ("<script>lab</script>",), ("idle",), ("unknown",))),
        *(("own_cost_per_mwh", *name) for name in ((), ("<script>lab</script>",), ("unknown",))),
    }
    page = (folder / "report.xhtml").read_text()
    assert "Own indicators" in page
    assert "<script>lab" not in page
    for one in mine:
        assert one["evidence"]["own"]["name"] == one["metric"]
        node = follow(site, folder, one["id"]).node
        kinds = [step.kind for step in node.walk() if step.verdict]
        assert {step.verdict for step in node.walk() if step.verdict} == {EQUAL}
        assert kinds.count("rows") == 1, "the query of the evidence"
        assert kinds.count("kpi") == (1 if one["metric"] == "own_carbon_price" else 2)
        assert [step for step in node.walk() if step.kind == "receipt"], "down to raw objects"
    (aim,) = [one for one in figures if one["metric"] == "target_progress_of_own_training_share"]
    assert aim["display"]["text"] == "57.1"


def test_a_figure_that_its_query_does_not_give_is_not_called_equal(site: Site) -> None:
    folder = report_folder(site, "ml_sustainability", MAY)
    path = folder / "figures.json"
    kept = path.read_text()
    content = json.loads(kept)
    (one,) = [f for f in content["figures"] if f["metric"] == "own_training_share"]
    one["evidence"]["own"]["numerator"] = "facility_kwh[workload_type == 'idle']"
    try:
        path.write_text(json.dumps(content))
        verdicts = [step.verdict for step in follow(site, folder, one["id"]).node.walk() if step.kind == "rows"]
    finally:
        path.write_text(kept)
    assert "differs" in verdicts


def test_another_report_without_indicators_of_its_own_has_no_such_section() -> None:

    assert "own" not in {section.id for section in build(inputs()).sections}

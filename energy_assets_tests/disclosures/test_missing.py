"""Four words for what has no value, chosen by what the rows say: none, not measured, no factor, does not apply."""

from __future__ import annotations

from typing import Any

import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.test_report import text_of


def made(*statements: str, kpis: str = "") -> tuple[Document, ReportInputs]:
    """The report after changes of the rows, without the KPI rows that a condition names."""
    inputs = company.inputs()
    for statement in statements:
        inputs.con.raw_sql(statement)
    for table in ("kpis_daily", *([] if "day =" in kpis else ["kpis_monthly"])) if kpis else ():
        inputs.con.raw_sql(f"delete from {table} where {kpis}")
    return build(inputs), inputs


def found(document: Document, metric: str, day: str = "", **dimensions: str) -> Figure:
    period = (day, day) if day else (document.period["from"], document.period["to"])
    return next(f for f in document.book if (f.metric, dict(f.dimensions), f.period) == (metric, dimensions, period))


def said(figure: Figure) -> tuple[Any, str]:
    return figure.value, figure.display.text


TRAINING = "workload_type = 'training' and day = '2026-11-18'"
DAY = "2026-11-18"


def test_a_workload_of_a_day_on_which_it_did_not_run_is_none_and_its_reason_speaks_of_the_day() -> None:
    document, _ = made(f"delete from emissions where {TRAINING}", kpis=TRAINING)
    figure = found(document, "energy_kwh", DAY, workload_type="training")
    assert said(figure) == (None, "none")
    assert "this day" in (figure.reason or "")
    assert "month" not in (figure.reason or "")


NOBODY_TELLS = (
    "delete from emissions where workload_type = 'idle'",
    "update emissions set workload_id = null",
    "update kpis_monthly set numerator = 0, denominator = 0, value = null, coverage = 0 where kpi = 'idle_share'",
)


def test_idle_devices_are_not_measured_where_nobody_tells_who_used_any() -> None:
    document, _ = made(*NOBODY_TELLS, kpis="workload_type = 'idle'")
    figure = found(document, "energy_kwh", workload_type="idle")
    assert said(figure) == (None, "not measured")
    assert figure.reason == "no source tells who used its devices, or that nobody did"
    assert " in use" not in text_of(document).replace("all rows in use", "")
    document, _ = made(NOBODY_TELLS[0], kpis="workload_type = 'idle'")
    assert said(found(document, "energy_kwh", workload_type="idle")) == (None, "none")


def test_a_workload_whose_devices_gave_no_reading_is_not_measured() -> None:
    document, _ = made(f"update emissions set energy_kwh = null where {TRAINING}", kpis=TRAINING)
    figure = found(document, "energy_kwh", DAY, workload_type="training")
    assert said(figure) == (None, "not measured")
    assert "none of their hours in this day was observed" in (figure.reason or "")


def test_a_day_of_which_nothing_was_observed_has_no_none() -> None:
    """Another workload may have run: nobody looked."""
    statement = (
        "update emissions set energy_kwh = null, facility_kwh = null, location_g = null where day = '2026-11-18'"
    )
    document, _ = _unobserved(statement)
    assert said(found(document, "energy_kwh", DAY, workload_type="training")) == (None, "not measured")


def _unobserved(statement: str) -> tuple[Document, ReportInputs]:
    inputs = company.inputs()
    inputs.con.raw_sql(f"delete from emissions where {TRAINING}")
    inputs.con.raw_sql(statement)
    inputs.con.raw_sql("delete from kpis_daily where day = '2026-11-18' and kpi = 'energy_kwh'")
    return build(inputs), inputs


def test_a_zone_without_an_intensity_has_no_factor_and_is_named() -> None:
    document, _ = made(
        "update emissions set location_g = null, upstream_g = null, lifecycle_g = null where zone = 'FR'",
        kpis="zone = 'FR' and kpi in ('scope2_location_g', 'carbon_intensity_location', 'scope33_upstream_g')",
    )
    for metric in ("scope2_location_g", "carbon_intensity_location"):
        figure = found(document, metric, zone="FR")
        assert said(figure) == (None, "no factor")
        assert figure.reason == "no intensity of the grid zone FR is known"
    # Energy is known there all the same.
    assert found(document, "facility_kwh", zone="FR").number


def test_without_a_life_cycle_intensity_the_upstream_alone_has_no_factor() -> None:
    document, _ = made(
        "update emissions set upstream_g = null, lifecycle_g = null where zone = 'FR'",
        kpis="zone = 'FR' and kpi = 'scope33_upstream_g'",
    )
    figure = found(document, "scope33_upstream_g", zone="FR")
    assert said(figure) == (None, "no factor")
    assert figure.reason == "its grid factors state no life-cycle intensity"
    assert found(document, "scope2_location_g", zone="FR").number


def test_without_a_pue_the_facility_has_no_factor() -> None:
    document, _ = made(
        "update emissions set pue = null, facility_kwh = null, location_g = null, upstream_g = null where zone = 'FR'",
        kpis="zone = 'FR' and kpi in ('scope2_location_g', 'facility_kwh')",
    )
    assert found(document, "scope2_location_g", zone="FR").reason == "no PUE of its place is known"


def test_per_token_of_a_model_that_writes_none_does_not_apply() -> None:
    document, _ = made(
        "update kpis_monthly set denominator = 0, value = null "
        "where kpi = 'wh_per_1m_tokens' and model_id = 'embed-multilingual'"
    )
    figure = found(document, "wh_per_1m_tokens", model_id="embed-multilingual")
    assert said(figure) == (None, "does not apply")
    assert figure.reason == "no token was generated"


def test_the_hardware_s_footprint_has_no_factor(document: Document) -> None:
    figure = found(document, "scope32_embodied_g")
    assert said(figure) == (None, "no factor")


def test_a_scope_nobody_is_of_is_none(document: Document) -> None:
    figure = found(document, "scope38_location_g")
    assert said(figure) == (None, "none")
    assert figure.reason == (
        "no leased machines: what there is, is own machines (Scope 2) and bought services (Scope 3.1)"
    )


def test_bills_in_another_currency_alone_are_named() -> None:
    document, _ = made("update kpis_monthly set unit = 'USD' where kpi = 'billed_cost'")
    figure = found(document, "billed_cost")
    assert said(figure) == (None, "not measured")
    assert figure.reason == "the bills of this month are in USD alone"


@pytest.mark.parametrize("word", ["none", "not measured", "no factor", "does not apply", "not stated"])
def test_each_word_is_explained_where_figures_are_listed(document: Document, word: str) -> None:
    (section,) = [s for s in document.sections if s.id == "figures"]
    (legend,) = [b for b in section.blocks if b["type"] == "table" and b["id"] == "words"]
    assert [row[1] for row in legend["rows"] if row[0] == [word]] != []

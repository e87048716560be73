"""Emissions of different scopes of the GHG Protocol are never mixed: in no figure, tag, table, chart or sentence."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from energy_assets.disclosures import xbrl
from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document, runs_of
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.company import Company

CLOUD_ALONE = Company(bought=("frankfurt", "paris", "virginia"))
OWN_ALONE = Company(bought=())
SCOPES = ("scope2_location_g", "scope33_upstream_g", "scope31_g", "scope38_location_g", "scope38_upstream_g")


def figure(document: Document, metric: str, **dimensions: str) -> Figure:
    whole = (document.period["from"], document.period["to"])
    return next(
        f for f in document.book if f.metric == metric and dict(f.dimensions) == dimensions and f.period == whole
    )


def words(document: Document) -> str:
    def plain(run: object) -> str:
        if not isinstance(run, dict):
            return str(run)
        if "figure" not in run:
            return ""
        shown = document.book[run["figure"]].display
        return f"{shown.text} {shown.unit}" if run["part"] == "text" else str(getattr(shown, run["part"]))

    blocks = (block for section in document.sections for block in section.blocks)
    return " ".join("".join(plain(run) for run in runs_of(block)) for block in blocks)


def tags(document: Document) -> dict[str, Decimal]:
    return {fact["name"]: document.book[id_].number or Decimal(0) for id_, fact in xbrl.facts(document).items()}


def test_scopes_stand_apart_and_add_up_to_what_they_were_together(document: Document, inputs: ReportInputs) -> None:
    (together,) = inputs.con.raw_sql("select sum(location_g) + sum(upstream_g) from emissions").fetchone()
    parts = [figure(document, name).number for name in SCOPES]
    assert all(part for part in parts[:3])
    assert parts[3:] == [None, None]
    assert sum(part for part in parts if part) == together
    assert figure(document, "reconciled_scopes_g").number == figure(document, "reconciled_rows_g").number == together
    assert "Does it all add up?" in words(document)


def test_a_row_in_no_scope_is_found() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql("update kpis_monthly set numerator = numerator - 1 where kpi = 'scope31_g'")
    titles = [
        block["title"] for section in build(inputs).sections for block in section.blocks if block["type"] == "callout"
    ]
    assert "The scopes do not hold all rows" in titles


def test_only_rows_of_scope_2_are_tagged_as_scope_2(document: Document, inputs: ReportInputs) -> None:
    query = "select ghg_scope, sum(location_g), sum(upstream_g) from emissions group by 1"
    rows = {scope: (location, upstream) for scope, location, upstream in inputs.con.raw_sql(query).fetchall()}
    found = tags(document)
    assert found["ea:Scope2EmissionsLocationBased"] == rows["scope2"][0]
    assert found["ea:Scope33EmissionsUpstreamOfElectricity"] == rows["scope2"][1]
    assert found["ea:Scope31EmissionsBoughtServices"] == sum(rows["scope3.1"])


def test_a_company_with_cloud_alone_has_no_scope_2_and_says_why() -> None:
    document = build(company.inputs(CLOUD_ALONE))
    for name in ("scope2_location_g", "scope33_upstream_g"):
        found = figure(document, name)
        assert (found.value, found.display.text) == (None, "none")
        assert found.reason == "no own machines: what there is, is bought services (Scope 3.1)"
    assert not [name for name in tags(document) if "Scope2" in name or "Scope33" in name]
    text = words(document)
    assert "Scope 2 is none: no own machines" in text
    assert "in bought services (Scope 3, category 1)" in text
    assert "for own machines (Scope 2, location-based)" not in text
    assert "Scope 3.1 emissions, bought services were highest on" in text
    cards = next(b for b in document.sections[0].blocks if b["type"] == "cards")["items"]
    shown = {card["label"]: document.book[card["figure"]].display.text for card in cards}
    assert shown["Scope 2, location-based"] == "none"
    assert shown["Scope 3.1, bought services"] not in {"none", "not measured"}


def test_own_machines_without_a_factor_have_no_factor_which_is_not_none() -> None:
    inputs = company.inputs(OWN_ALONE)
    for table in ("kpis_monthly", "kpis_daily"):
        inputs.con.raw_sql(f"delete from {table} where kpi like 'scope%'")
    document = build(inputs)
    assert figure(document, "scope2_location_g").display.text == "no factor"
    assert figure(document, "scope31_g").display.text == "none"
    assert figure(document, "scope31_g").reason == "no bought services: what there is, is own machines (Scope 2)"


def test_leased_machines_are_category_8_with_their_upstream_apart() -> None:
    document = build(company.inputs(Company(bought=(), leased=("virginia",))))
    assert {"ea:Scope38EmissionsLeasedLocationBased", "ea:Scope38EmissionsLeasedUpstream"} <= set(tags(document))
    assert figure(document, "scope31_g").display.text == "none"
    assert "for leased machines (Scope 3, category 8)" in words(document)


def test_a_member_shows_only_the_scopes_it_has(document: Document) -> None:
    assert figure(document, "scope31_g", project="research").display.text == "none"
    assert figure(document, "scope2_location_g", zone="US-MIDA-PJM").display.text == "none"
    assert figure(document, "scope2_location_g", zone="DE").number
    notes = {b["id"]: b["note"] for s in document.sections for b in s.blocks if b["type"] == "table"}
    for table in ("by-workload", "by-model-id", "by-project", "by-zone"):
        note, *_ = notes[table]
        assert note.startswith("The rows add up to the total as printed")


def test_a_figure_of_one_scope_names_the_factors_of_its_own_rows(document: Document) -> None:
    assert set(figure(document, "scope31_g").factor_ids) == {"electricity_maps/US-MIDA-PJM/2026-11"}
    assert "electricity_maps/US-MIDA-PJM/2026-11" not in figure(document, "scope2_location_g").factor_ids


def test_no_chart_label_adds_scopes(document: Document) -> None:
    charts = {c["title"]: c for s in document.sections for b in s.blocks if b["type"] == "charts" for c in b["items"]}
    chart = charts["Emissions by day"]
    assert chart["names"]["series"] == [
        "Scope 2, location-based", "Scope 3.3, upstream", "Scope 3.1, bought services",
    ]  # fmt: skip
    assert {row["layer"] for row in chart["rows"]} == {"part"}
    alone = build(company.inputs(CLOUD_ALONE))
    charts = {c["title"]: c for s in alone.sections for b in s.blocks if b["type"] == "charts" for c in b["items"]}
    assert charts["Emissions by day"]["names"]["series"] == ["Scope 3.1, bought services"]


def test_no_sentence_calls_all_emissions_scope_2(document: Document) -> None:
    (lead,) = re.findall(r"that caused .*?\.(?= |$)", words(document))[:1]
    assert figure(document, "scope2_location_g").display.text in lead
    assert figure(document, "reconciled_rows_g").display.text not in lead


@pytest.mark.parametrize("interval", [None, Decimal("7.5")])
def test_emissions_have_the_interval_of_their_own_row_or_none(interval: Decimal | None) -> None:
    inputs = company.inputs()
    value = "null" if interval is None else str(interval)
    inputs.con.raw_sql(f"update kpis_monthly set uncertainty_pct = {value} where kpi like 'scope%' and grain = 'total'")
    document = build(inputs)
    found = figure(document, "scope2_location_g")
    assert found.uncertainty_pct == (None if interval is None else "7.5")
    assert found.display.uncertainty == ("" if interval is None else "±7.5 %")
    card = next(b for b in document.sections[0].blocks if b["type"] == "cards")["items"][1]
    assert (card["sub"] == ["interval not known"]) is (interval is None)
    assert "with that of the grid factor" in words(document)


def test_a_share_that_is_not_the_whole_does_not_read_like_it() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql(
        "update kpis_monthly set numerator = 0.9999, denominator = 1 where kpi = 'attributed_share' and grain = 'total'"
    )
    document = build(inputs)
    assert figure(document, "attributed_share").display.text == ">99.9"
    text = words(document)
    assert "Of the IT energy in use, >99.9 % is attributed to a project; " in text
    assert "was used by idle devices" in text
    assert "100.0 % is attributed" not in text


def test_the_matched_share_of_a_ratio_is_printed() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql("update kpis_monthly set coverage = 0.623 where kpi = 'cost_per_kwh' and grain = 'total'")
    assert "Billed cost per facility kWh 62.3 %" in words(build(inputs))


LOSSY = Company(lossy=("DE",))
"""Frankfurt's own machines know what their grid loses; those of Paris and the bought ones of Virginia do not."""


def test_grid_losses_stand_apart_in_scope_3_3_and_move_nothing_of_scope_2(document: Document) -> None:
    lossy = build(company.inputs(LOSSY))
    assert figure(document, "scope33_losses_g").display.text == "no factor"
    for name in ("scope2_location_g", "scope33_upstream_g", "scope31_g"):
        assert figure(lossy, name) == figure(document, name), name
    losses, upstream = (figure(lossy, name).number or 0 for name in ("scope33_losses_g", "scope33_upstream_g"))
    assert losses > 0
    assert figure(lossy, "scope33_g").number == losses + upstream
    known = figure(lossy, "losses_coverage", ghg_scope="scope2")
    assert 0 < (known.number or 0) < 1
    assert f"The losses are known of {known.display.text} {known.display.unit} of their facility energy" in words(lossy)
    assert tags(lossy)["ea:Scope33EmissionsGridLosses"] == losses
    together = figure(lossy, "reconciled_rows_g").number
    assert figure(lossy, "reconciled_scopes_g").number == together
    assert (together or 0) - (figure(document, "reconciled_rows_g").number or 0) == losses


def test_of_bought_services_grid_losses_are_within_scope_3_1(document: Document) -> None:
    lossy = build(company.inputs(Company(lossy=("US-MIDA-PJM",))))
    before, after = (figure(each, "scope31_g").number or 0 for each in (document, lossy))
    assert after > before
    assert figure(lossy, "scope33_losses_g").number is None
    assert "Scope 3 category 3 together" not in words(lossy)
    assert "with the losses of the grids where they are known" in words(lossy)
    assert figure(lossy, "reconciled_scopes_g").number == figure(lossy, "reconciled_rows_g").number

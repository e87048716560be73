"""The rules of indicators of one's own: one unit, one scope, one currency, nothing twice, and a unit that is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from energy_assets.contracts.measures import MEASURES
from energy_assets.kpis.indicators import INDICATORS
from energy_assets.kpis.market import MARKET_INDICATORS
from energy_assets.own_kpis import PREFIX, OwnKpi
from energy_assets.site import SiteError, load_site

SITE = """
organisation: {name: A, currency: EUR}
start: 2024-05-01
sources:
  - {name: meters, kind: power_files, path: "*.csv", node: node, place: {provider: onprem, region: r1, zone: DE}}
kpis:
"""
DOCUMENTATION = Path(__file__).parents[1] / "docs" / "method" / "kpis.md"
OWN = {"ghg_scope": "scope2"}
BOUGHT = {"ghg_scope": "scope3.1"}


def kpi(numerator: str, unit: str, denominator: str | None = None, **more: Any) -> OwnKpi:
    given = {"name": "own_x", "label": "X"} | more
    return OwnKpi.model_validate(given | {"numerator": numerator, "denominator": denominator, "unit": unit})


@pytest.mark.parametrize(
    ("numerator", "unit", "denominator", "more"),
    [
        ("facility_kwh", "kWh", None, {}),
        ("1000 * facility_kwh", "Wh per 1,000 requests", "0.001 * requests", {"by": ["model_id", "project"]}),
        ("0.001 * energy_kwh[workload_type == 'training']", "MWh", None, {"by": ["source", "zone"]}),
        ("facility_kwh - energy_kwh", "kWh", None, {}),
        ("facility_kwh[project == 'a'] + facility_kwh[project == 'b']", "kWh", None, {}),
        ("facility_kwh[project == 'a']", "share", "facility_kwh", {}),
        ("0.000001 * location_g", "tCO2e (location-based)", None, {"where": OWN}),
        ("0.001 * location_g", "kgCO2e (location-based) per kWh", "facility_kwh", {"where": OWN}),
        ("0.00008 * location_g", "EUR (location-based)", None, {"where": OWN}),
        ("location_g + upstream_g + embodied_g", "gCO2e (Scope 3.1)", None, {"where": BOUGHT}),
        ("location_g + embodied_g", "gCO2e (location-based, embodied)", None, {"where": BOUGHT}),
        ("upstream_g + losses_g", "gCO2e (upstream, grid losses)", None, {"where": OWN}),
        ("embodied_g", "gCO2e (embodied) per accelerator-hour", "device_hours", {"where": OWN}),
        ("prompt_tokens + generated_tokens", "tokens per request", "requests", {}),
        ("0.001 * water_onsite_l", "m3", None, {}),
        ("billed_cost", "EUR per MWh", "0.001 * facility_kwh", {}),
        ("list_cost - effective_cost", "EUR", None, {"where": {"service_category": ["Compute", "AI"]}}),
        ("billed_cost[billing_currency == 'USD']", "USD", None, {}),
        ("failed_requests", "failures per 100 requests", "0.01 * requests", {}),
        ("failed_requests", "requests per request", "requests", {}),
        # One number in many spellings, each of them judged.
        ("1000 * facility_kwh", "Wh per 1M tokens", "0.000001 * generated_tokens", {}),
        ("1000 * facility_kwh", "Wh per M tokens", "0.000001 * generated_tokens", {}),
        ("1000 * facility_kwh", "Wh per million tokens", "0.000001 * generated_tokens", {}),
        ("1000 * facility_kwh", "Wh per 10 million tokens", "0.0000001 * generated_tokens", {}),
        ("1000 * facility_kwh", "Wh per 1k requests", "0.001 * requests", {}),
        ("1000 * facility_kwh", "Wh per thousand requests", "0.001 * requests", {}),
        ("1000 * facility_kwh", "Wh per 1000 requests", "0.001 * requests", {}),
        ("0.001 * location_g", "kg CO2e (location-based)", None, {"where": OWN}),
        ("0.000001 * location_g", "tCO₂e (location-based)", None, {"where": OWN}),
        ("0.000001 * location_g", "t CO₂e (location-based)", None, {"where": OWN}),
        ("0.001 * water_onsite_l", "m³ per GPU-hour", "device_hours", {}),
        ("0.01 * water_onsite_l", "hl", None, {}),
        ("0.000000001 * flop", "GFLOP", None, {}),
        ("0.001 * billed_cost", "1,000 EUR", None, {}),
        ("0.3 * billed_cost", "weighted EUR", None, {}),
        ("1000 * facility_kwh[project == 'a']", "share", "1000 * facility_kwh", {}),
        # Of several bases the category says enough, where it is theirs.
        ("upstream_g + losses_g", "gCO2e (Scope 3.3)", None, {"where": OWN}),
        ("location_g + embodied_g", "gCO2e (location-based + embodied)", None, {"where": BOUGHT}),
        ("location_g", "gCO2e (Scope 3.1, location-based)", None, {"where": BOUGHT}),
    ],
)
def test_what_is_an_indicator(numerator: str, unit: str, denominator: str | None, more: dict[str, Any]) -> None:
    assert kpi(numerator, unit, denominator, **more).against("EUR") is None


@pytest.mark.parametrize(
    ("numerator", "unit", "denominator", "more", "said"),
    [
        # Units of the two sides, and of one.
        ("facility_kwh + requests", "kWh", None, {}, "facility_kwh is in kWh and requests in requests; they cannot"),
        ("requests + generated_tokens", "tokens", None, {}, "cannot be added"),
        ("facility_kwh", "share", "requests", {}, "a share has a numerator and a denominator of the same unit"),
        ("facility_kwh", "share", None, {}, "a share has a numerator and a denominator"),
        ("facility_kwh", "kWh", "requests", {}, "must say what it is per, as in 'kWh per request'"),
        ("facility_kwh", "kWh per request", None, {}, "has a 'per', but there is no denominator"),
        # A factor of a thousand, and an emission factor by the back door.
        ("facility_kwh", "Wh per request", "requests", {}, "multiply it by 1000"),
        ("1000 * facility_kwh", "Wh per 1,000 requests", "requests", {}, "multiply it by 0.001"),
        ("1000 * facility_kwh", "kWh", None, {}, "multiply it by 1"),
        ("location_g", "kgCO2e (location-based)", None, {"where": OWN}, "multiply it by 0.001"),
        ("400 * facility_kwh", "gCO2e", None, {}, "no number makes gCO2e of it"),
        ("1000 * facility_kwh", "Wh per 1M tokens", "generated_tokens", {}, "multiply it by 0.000001, or say another"),
        ("1000 * facility_kwh", "Wh per million tokens", "generated_tokens", {}, "multiply it by 0.000001"),
        ("1000 * facility_kwh", "Wh per billion tokens", "generated_tokens", {}, "multiply it by 0.000000001"),
        ("1000 * facility_kwh", "Wh per 1k requests", "requests", {}, "multiply it by 0.001"),
        ("1000 * facility_kwh", "Wh per k requests", "requests", {}, "multiply it by 0.001"),
        ("1000 * facility_kwh", "Wh per thousand requests", "requests", {}, "multiply it by 0.001"),
        ("1000 * facility_kwh", "Wh per 2k requests", "0.001 * requests", {}, "multiply it by 0.0005"),
        ("1000 * facility_kwh", "Wh per 1.000 requests", "requests", {}, "'1.000' in the denominator is no whole"),
        ("1000 * facility_kwh", "Wh per 1.000 requests", "0.001 * requests", {}, "such as 1000 or 1,000"),
        ("1000 * facility_kwh", "Wh per 1,00 requests", "0.01 * requests", {}, "'1,00' in the denominator is no whole"),
        ("1000 * facility_kwh", "Wh per 1 000 requests", "requests", {}, "'000 requests' is no known unit of requests"),
        ("1000 * facility_kwh", "Wh per 0 requests", "requests", {}, "'0' in the denominator is no whole number"),
        ("1000 * facility_kwh", "Wh per 1,000", "0.001 * requests", {}, "'1,000' names no unit in the denominator"),
        ("facility_kwh", "Wh (facility)", None, {}, "parentheses hold the basis of emissions"),
        # A word that nobody knows.
        ("facility_kwh", "Megajoule", None, {}, "'Megajoule' is no known unit of facility_kwh in the numerator"),
        ("facility_kwh", "Megajoule", None, {}, "MJ (3.6)"),
        ("facility_kwh", "megawatt-hours", None, {}, "MWh (0.001)"),
        ("1000 * facility_kwh", "KWH", None, {}, "'KWH' is no known unit"),
        ("facility_kwh", "kWh of thousands", None, {}, "'kWh of thousands' is no known unit"),
        ("facility_kwh", "kWh per TOK", "generated_tokens", {}, "write one of these, and multiply generated_tokens by"),
        ("facility_kwh", "kWh per EUR", "generated_tokens", {}, "'EUR' is no known unit of generated_tokens"),
        ("facility_kwh", "kWh per failure", "requests", {}, "no number makes failure of it"),
        ("location_g", "kg CO2e (location-based)", None, {"where": OWN}, "multiply it by 0.001"),
        ("location_g", "tCO₂e (location-based)", None, {"where": OWN}, "multiply it by 0.000001"),
        ("location_g", "kg (location-based)", None, {"where": OWN}, "'kg' is no known unit of location_g"),
        ("location_g", "t (location-based)", None, {"where": OWN}, "tCO2e (0.000001)"),
        ("location_g", "tonnes CO2e (location-based)", None, {"where": OWN}, "'tonnes CO2e' is no known unit"),
        ("water_onsite_l", "hl", None, {}, "multiply it by 0.01"),
        ("water_onsite_l", "hectolitres", None, {}, "hl (0.01)"),
        ("flop", "PFLOP", None, {}, "GFLOP (0.000000001)"),
        ("billed_cost", "kEUR", None, {}, "the code of its currency, as EUR (1)"),
        ("1000 * billed_cost", "EUR", None, {}, "multiply it by 1, or"),
        ("billed_cost", "1,000 EUR", None, {}, "multiply it by 0.001"),
        ("device_hours", "GPU-days", None, {}, "'GPU-days' is no known unit of device_hours"),
        ("1000 * requests", "requests", None, {}, "multiply it by 1, or"),
        ("requests", "answers", None, {}, "requests (1), request (1)"),
        ("0.3 * facility_kwh", "weighted Megajoule", None, {}, "'Megajoule' is no known unit"),
        ("0.3 * facility_kwh", "weighted Wh", None, {}, "in its own unit, kWh, without a number before it"),
        ("0.3 * facility_kwh", "1,000 weighted kWh", None, {}, "without a number before it"),
        ("1000 * facility_kwh[project == 'a']", "share", "facility_kwh", {}, "multiplies both sides with the same"),
        ("facility_kwh", "share", "0.001 * facility_kwh", {}, "leave the numbers out"),
        # Scopes and bases.
        ("location_g", "gCO2e (not location-based)", None, {"where": OWN}, "write '(location-based)'"),
        ("location_g", "gCO2e (location-based, upstream)", None, {"where": OWN}, "in these words and no others"),
        ("location_g", "gCO2e location-based", None, {"where": OWN}, "write '(location-based)'"),
        ("location_g", "gCO2e (Scope 3.1)", None, {"where": BOUGHT}, "write '(location-based)'"),
        ("upstream_g + losses_g", "gCO2e (Scope 3.1)", None, {"where": OWN}, "write '(grid losses, upstream)'"),
        ("facility_kwh", "kWh (location-based)", None, {}, "is of none; leave them out"),
        ("location_g", "gCO2e (location-based)", None, {}, "location_g is of all scopes of the GHG Protocol"),
        ("location_g", "gCO2e (location-based)", None, {"where": {"ghg_scope": ["scope2", "scope3.8"]}}, "never added"),
        ("location_g", "gCO2e (location-based)", None, {"by": ["ghg_scope"]}, "choose one: where: {ghg_scope: scope2}"),
        (
            "location_g[ghg_scope == 'scope2'] + location_g[ghg_scope == 'scope3.8']", "gCO2e (location-based)", None,
            {}, "location_g is Scope 2 and location_g is Scope 3.8; scopes are never mixed",
        ),
        ("location_g + upstream_g", "gCO2e (location-based, upstream)", None, {"where": OWN}, "Scope 2 and upstream_g"),
        ("location_g", "share", "embodied_g", {"where": OWN}, "location_g is Scope 2 and embodied_g is Scope 3.2"),
        ("location_g", "gCO2e", None, {"where": OWN}, "which emissions it is of; write '(location-based)'"),
        ("embodied_g", "gCO2e (location-based)", None, {"where": OWN}, "write '(embodied)'"),
        # Twice.
        (
            "facility_kwh + facility_kwh[workload_type == 'training']", "kWh", None, {},
            "hold rows of the same thing, which would count twice",
        ),
        ("facility_kwh + energy_kwh", "kWh", None, {}, "would count twice"),
        ("lifecycle_g + location_g", "gCO2e (life-cycle, location-based)", None, {"where": BOUGHT}, "count twice"),
        ("billed_cost + effective_cost", "EUR", None, {}, "would count twice"),
        # Money.
        (
            "billed_cost[billing_currency == 'USD'] + billed_cost[billing_currency == 'EUR']", "EUR", None, {},
            "in several currencies, which are never added",
        ),
        ("billed_cost", "EUR", None, {"where": {"billing_currency": ["EUR", "USD"]}}, "several currencies"),
        # Dimensions and conditions.
        ("facility_kwh", "kWh per request", "requests", {"by": ["zone"]}, "rows of requests know no zone"),
        ("billed_cost", "EUR", None, {"by": ["zone"]}, "rows of billed_cost know no zone"),
        ("facility_kwh", "kWh per request", "requests", {"by": ["source"]}, "different sources"),
        ("facility_kwh", "kWh", None, {"by": ["project", "project"]}, "names a dimension twice"),
        ("facility_kwh", "kWh", None, {"where": {"deployment": "a"}}, "'deployment' is no column"),
        ("facility_kwh", "kWh", None, {"where": {"project": []}}, "project has no value"),
        ("facility_kwh[project == 'a']", "kWh", None, {"where": {"project": "b"}}, "no row of facility_kwh can meet"),
        # Names.
        ("facility_kwh", "kWh", None, {"name": "facility_kwh"}, "begin it with 'own_'"),
        ("facility_kwh", "kWh", None, {"name": "Training share"}, "for example own_training_share"),
        ("facility_kwh", "kWh", None, {"name": "own_x'; drop table cost"}, "begin it with 'own_'"),
    ],
)  # fmt: skip
def test_what_is_none_and_what_is_said(
    numerator: str, unit: str, denominator: str | None, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        kpi(numerator, unit, denominator, **more)
    assert said in str(refused.value)


def test_money_must_be_said_in_the_unit() -> None:
    assert "its money is in USD, which its unit 'EUR' does not say" in str(
        kpi("billed_cost[billing_currency == 'USD']", "EUR").against("EUR")
    )
    assert kpi("billed_cost", "EUR").against("EUR") is None
    assert "its money is in USD" in str(kpi("billed_cost", "EUR").against("USD"))
    priced = kpi("0.00008 * location_g[ghg_scope == 'scope2']", "EUR (location-based) per USD", "billed_cost")
    assert priced.against("USD") is None
    assert "its money is in EUR" in str(priced.against("EUR"))


@pytest.mark.parametrize("word", sorted({word for measure in MEASURES.values() for word in measure.words}))
def test_each_known_word_is_in_the_documentation(word: str) -> None:
    assert f"`{word}`" in DOCUMENTATION.read_text()


def test_each_measure_is_known_in_its_own_unit() -> None:
    assert {one.name for one in MEASURES.values() if one.words.get(one.unit) != "1"} == {
        "billed_cost", "effective_cost", "list_cost"
    }  # fmt: skip


def test_no_kpi_of_ours_can_have_such_a_name() -> None:
    assert [name for name in (*INDICATORS, *MARKET_INDICATORS) if name.startswith(PREFIX)] == []


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("  - {name: own_a, label: A, unit: kWh, numerator: facilty_kwh}", "site.yaml:7: kpis[0].numerator: "
         "'facilty_kwh' is no measure; did you mean 'facility_kwh'? there are energy_kwh, facility_kwh, location_g"),
        ("  - {name: own_a, label: A, unit: kWh, numerator: facility_kwh, formula: x}",
         "site.yaml:7: kpis[0].formula: unknown key"),
        ("  - {name: own_a, label: A, unit: kWh}", "site.yaml:7: kpis[0].numerator: is missing: an expression over"),
        ("  - {name: own_a, label: A, unit: kWh, numerator: facility_kwh, by: [pod]}", "site.yaml:7: kpis[0].by[0]:"),
        ("  - {name: facility_kwh, label: A, unit: kWh, numerator: facility_kwh}",
         "site.yaml:7: kpis[0].name: begin it with 'own_', so that no KPI of ours"),
        ("  - {name: own_a, label: A, unit: kWh, numerator: facility_kwh}\n"
         "  - {name: own_a, label: B, unit: kWh, numerator: energy_kwh}", "two are called 'own_a'"),
        ("  - {name: own_a, label: A, unit: GBP, numerator: billed_cost}", "kpis[0]: own_a: its money is in EUR"),
        ("  - {name: own_a, label: A, unit: kWh, numerator: facility_kwh}\n"
         "targets: [{kpi: own_b, unit: kWh, base_year: 2023, base_value: 1, target_year: 2030, target_value: 0}]",
         "targets[0].kpi: 'own_b' is not in kpis; did you mean 'own_a'?"),
        ("  - {name: own_a, label: A, unit: kWh, numerator: facility_kwh}\n"
         "targets:\n"
         "  - {kpi: pue, unit: kWh per kWh, base_year: 2023, base_value: 1.5, target_year: 2030, target_value: 1.2}\n"
         "  - {kpi: pue, unit: kWh per kWh, base_year: 2024, base_value: 1.4, target_year: 2030, target_value: 1.1}",
         "targets: two are on pue for 2030"),
    ],
)  # fmt: skip
def test_the_site_file_names_the_line_and_the_key(tmp_path: Path, block: str, said: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE + block)
    with pytest.raises(SiteError) as refused:
        load_site(path)
    assert said in str(refused.value)

"""What the descriptions of indicators say of themselves: scope, sides, coverage, and what evidence multiplies."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from energy_assets.kpis.indicators import INDICATORS, Indicator, coverage_rows, has_coverage_rows
from energy_assets.kpis.ingredients import Filter, Selection, total
from energy_assets_tests.kpis.tables import indicator

OWN = Filter("ghg_scope", "=", "scope2")
BOUGHT = Filter("ghg_scope", "=", "scope3.1")
KWH, REQUESTS = total("emissions", "facility_kwh"), total("activity", "requests")
OF_TELEMETRY = Filter("method", "in", ("measured_counter", "measured_power", "metered_node"))
OBSERVED, HOURS = (Selection("emissions", column, (OF_TELEMETRY,)) for column in ("coverage", None))


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("scope2_location_g", "scope2"),
        ("scope31_g", "scope3.1"),
        ("scope38_upstream_g", "scope3.8"),
        ("facility_kwh", None),
        ("wh_per_1k_inferences", None),
    ],
)
def test_the_scope_that_rows_are_restricted_to(name: str, scope: str | None) -> None:
    assert INDICATORS[name].scope == scope


def test_the_sides_of_an_indicator() -> None:
    assert indicator("sum", KWH).ingredients() == (KWH,)
    assert indicator("ratio", KWH, REQUESTS).ingredients() == (KWH, REQUESTS)


@pytest.mark.parametrize(
    ("basis", "sides"),
    [("matched", (KWH, REQUESTS)), ("matched numerator", (KWH,)), ("energy", ()), ("none", ())],
)
def test_the_sides_whose_matched_share_is_the_coverage(basis: str, sides: tuple[object, ...]) -> None:
    assert indicator("ratio", KWH, REQUESTS, basis=basis).matched_sides() == sides


def test_evidence_of_what_is_no_single_query_has_no_factor() -> None:
    thousands = replace(KWH, factor="1000")
    assert indicator("plain", thousands).evidence_factor(thousands) == "1000"
    assert indicator("matched", thousands, match="account").evidence_factor(thousands) is None
    with_idle = replace(thousands, with_idle=True)
    assert indicator("idle", with_idle).evidence_factor(with_idle) is None
    assert indicator("both", with_idle, match="model_id").evidence_factor(with_idle) is None


@pytest.mark.parametrize(
    ("basis", "there"),
    [("energy", True), ("activity", True), ("reported", True), ("matched", False), ("none", False)],
)
def test_which_coverage_is_a_quotient_of_two_sums(basis: str, there: bool) -> None:
    assert has_coverage_rows(indicator("one", KWH, basis=basis)) is there


@pytest.mark.parametrize(
    ("one", "observed", "hours"),
    [
        pytest.param(
            INDICATORS["facility_kwh"], OBSERVED.where(Filter("facility_kwh", "is not null")), HOURS, id="kWh"
        ),
        pytest.param(
            INDICATORS["scope2_location_g"],
            OBSERVED.where(OWN, Filter("location_g", "is not null")),
            HOURS.where(OWN),
            id="of a scope",
        ),
        pytest.param(
            INDICATORS["scope31_g"],
            OBSERVED.where(BOUGHT, Filter("lifecycle_g or location_g", "is not null")),
            HOURS.where(BOUGHT),
            id="with hardware",
        ),
        pytest.param(
            indicator("one", total("emissions", "energy_kwh", Filter("workload_type", "=", "idle")), basis="energy"),
            OBSERVED.where(Filter("energy_kwh", "is not null")),
            HOURS,
            id="other conditions do not count",
        ),
        pytest.param(INDICATORS["factor_coverage"], OBSERVED, HOURS, id="a share"),
        pytest.param(
            indicator("one", total("emissions", None), basis="energy"), OBSERVED, HOURS, id="a number of rows"
        ),
        pytest.param(
            INDICATORS["carbon_intensity_location"],
            OBSERVED.where(Filter("location_g", "is not null")),
            HOURS,
            id="a ratio",
        ),
        pytest.param(INDICATORS["requests"], Selection("activity", "coverage"), Selection("activity"), id="of servers"),
        pytest.param(
            indicator("one", REQUESTS, basis="activity", kind="share"),
            Selection("activity", "coverage"),
            Selection("activity"),
            id="a share of servers",
        ),
        pytest.param(
            INDICATORS["idle_share"],
            Selection("emissions", "energy_kwh", (Filter("workload_id", "or idle"),)),
            Selection("emissions", "energy_kwh"),
            id="reported",
        ),
        pytest.param(
            indicator("one", KWH, basis="reported"),
            OBSERVED.where(Filter("facility_kwh", "is not null")),
            HOURS,
            id="reported without a denominator",
        ),
    ],
)
def test_the_rows_that_a_coverage_speaks_of(one: Indicator, observed: Selection, hours: Selection) -> None:
    assert coverage_rows(one) == (observed, hours)


@pytest.mark.parametrize("name", ["wh_per_1k_inferences", "wh_per_1m_tokens", "gco2e_per_1k_inferences"])
def test_what_is_served_carries_its_share_of_idle(name: str) -> None:
    assert INDICATORS[name].numerator.with_idle
    assert [one for one in INDICATORS.values() if one.numerator.with_idle and one.grains != ("total", "model_id")] == []


def test_a_formula_names_what_its_denominator_is_counted_in() -> None:
    divided = [one for one in INDICATORS.values() if one.denominator and one.denominator.factor != "1"]
    assert {one.name for one in divided} == {
        "wh_per_1k_inferences", "wh_per_1m_tokens", "gco2e_per_1k_inferences", "sci_per_1k_inferences",
        "sci_per_1m_tokens", "cost_per_1m_tokens",
    }  # fmt: skip
    for one in divided:
        assert f"× {int(1 / Decimal(one.denominator.factor)):,};" in one.formula  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("tier1_share", "IT energy of tier 1 · metered and confirmed"),
        ("tier4_share", "IT energy of tier 4 · proxy"),
        ("factor_tier2_share", "Facility energy by grid factor: the hour, estimated by the publisher"),
    ],
)
def test_a_label_within_a_label_begins_small(name: str, label: str) -> None:
    assert INDICATORS[name].label == label

"""Golden cases of the method that are KPIs: published numbers, through the same tables and expressions as others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from energy_assets.own_kpis import OwnKpi
from energy_assets_tests.kpis.test_indicators import ONE, charge, kpis, served, used
from energy_assets_tests.kpis.test_own_by_hand import kpi, made

D = Decimal


def inference(kwh: str, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"pue": D(1), "direct": None, "lifecycle": None} | more
    row = used(ONE, 0, "hall", "FR", "chat", "bloom", "inference", kwh, **given)
    return row | {name: value for name, value in more.items() if name in row}


TOKENS = 50_000_000_000
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any], str]] = [
    (
        "BLOOM's API: 914 kWh / 230,768 requests, Wh per 1,000",
        "wh_per_1k_inferences", inference("914"), served(ONE, 0, "bloom", 230_768, None), "3960.687790334882",
    ),
    (
        "BLOOM's training: 433,195 kWh x 57 g",
        "scope2_location_g", inference("433195", direct=D(57)), served(ONE, 0, "bloom", 1, 1), "24692115",
    ),
    (
        "SCI-AI: 6,500 kg / 50e9 tokens, g per million",
        "sci_per_1m_tokens",
        inference("20000", direct=D(300), embodied_g=D(500_000)),
        served(ONE, 0, "bloom", 1, None) | {"generated_tokens": TOKENS},
        "130",
    ),
    (
        "facility 1.25 MWh of 1 MWh of IT",
        "pue", inference("1000", pue=D("1.25")), served(ONE, 0, "bloom", 1, 1), "1.25",
    ),
    (
        "300 g x PUE 1.25 per kWh of IT",
        "cue", inference("1000", pue=D("1.25"), direct=D(300)), served(ONE, 0, "bloom", 1, 1), "375",
    ),
    (
        "us-east-1: 0.12 l per kWh",
        "wue", inference("1000", water_onsite_l=D(120)), served(ONE, 0, "bloom", 1, 1), "0.12",
    ),
    (
        "21 EUR / 84 million tokens",
        "cost_per_1m_tokens", inference("1"), served(ONE, 0, "bloom", 1, 28_000_000), "0.25",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "of", "energy", "activity", "expected"), CASES, ids=[case[0] for case in CASES])
def test_golden_case(name: str, of: str, energy: dict[str, Any], activity: dict[str, Any], expected: str) -> None:
    bill = [charge(ONE, "chat", "21", model_id="bloom"), charge(ONE, "chat", "99", "USD", model_id="bloom")]
    daily, monthly = kpis([energy], [activity], bill)
    for rows in (daily, monthly):
        (row,) = [r for r in rows if (r["kpi"], r["grain"]) == (of, "total")]
        assert float(row["value"]) == pytest.approx(float(expected), rel=1e-9)


def test_412_joules_over_1328_tokens() -> None:
    """In mega: 412.4 MJ are 114.555555556 kWh to the nine decimals of the lake."""
    one = kpi("3600000 * energy_kwh", "J per token", "generated_tokens")
    answered = served(ONE, 0, "bloom", 1, None) | {"generated_tokens": 1_328_000_000}
    rows, _ = made([one], [inference("114.555555556")], [answered])
    assert float(rows[0]["value"]) == pytest.approx(0.31054216867, rel=1e-9)


@pytest.mark.parametrize(
    ("numerator", "denominator", "said"),
    [
        ("location_g", "0.001 * generated_tokens", "multiply it by 0.000001"),
        ("0.001 * location_g", "0.000001 * generated_tokens", "multiply it by 1"),
        ("1000 * location_g", "0.000001 * generated_tokens", "multiply it by 1"),
    ],
)
def test_a_factor_of_a_thousand_in_a_unit_is_caught(numerator: str, denominator: str, said: str) -> None:
    """The specification's own example prints 0.13 for these 130 g per million tokens."""
    right = {"name": "own_sci", "label": "SCI", "unit": "gCO2e (location-based) per 1,000,000 tokens"}
    scope = "[ghg_scope == 'scope2']"
    with pytest.raises(ValidationError, match=said):
        OwnKpi.model_validate(right | {"numerator": numerator + scope, "denominator": denominator})
    true = {"numerator": f"location_g{scope}", "denominator": "0.000001 * generated_tokens"}
    assert OwnKpi.model_validate(right | true)

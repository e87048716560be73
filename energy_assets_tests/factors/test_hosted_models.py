"""Hosted models: published values with their boundary, and a loader that refuses what cannot be right."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest

from energy_assets.factors.hosted_models import BOUNDARIES, hosted_model, hosted_models
from energy_assets.factors.tables import rows_of_data

GOOD = rows_of_data("hosted_models.csv")[0]


def test_every_row_is_read_and_named_once_within_its_boundary() -> None:
    rows = hosted_models()
    assert len({(one.model, one.metric, one.boundary, one.year) for one in rows}) == len(rows) > 10
    assert {one.boundary for one in rows} <= set(BOUNDARIES)
    assert all(one.published.startswith(("202",)) and one.url.startswith("https://") for one in rows)


def test_values_as_their_publishers_state_them() -> None:
    found = {(one.model, one.metric, one.boundary): (one.value, one.unit) for one in hosted_models()}
    assert found["Gemini Apps", "median text prompt", "serving"] == (Decimal("0.24"), "Wh")
    assert found["GPT-4o", "typical text query", "serving"] == (Decimal("0.3"), "Wh")
    assert found["Mistral Large 2", "answer of 400 tokens", "lifecycle"] == (Decimal("1.14"), "gCO2e")
    value, unit = found["BLOOM 176B", "request", "machine"]
    assert (round(Decimal(914_000) / 230_768, 4), unit) == (value, "Wh")


def test_the_whole_of_serving_is_never_less_than_its_accelerators() -> None:
    by: dict[tuple[str, str, int], dict[str, Decimal]] = defaultdict(dict)
    for one in hosted_models():
        by[one.model, one.metric, one.year][one.boundary] = one.value
    both = [found for found in by.values() if {"accelerator", "serving"} <= set(found)]
    assert both
    assert all(found["accelerator"] < found["serving"] for found in both)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"value": "0"}, "line 7: wants a value above 0"),
        ({"value": ""}, "wants a value above 0"),
        ({"value": "a little"}, "is no number"),
        ({"unit": "kWh"}, "in one of Wh, J/token, gCO2e"),
        ({"boundary": "all"}, "boundary 'all' is none of accelerator, machine"),
        ({"low": "0.1"}, "given both or not at all"),
        ({"low": "0.25", "high": "0.3"}, "hold the value"),
        ({"low": "0.1", "high": "0.23"}, "hold the value"),
        ({"source": ""}, "lacks source"),
        ({"licence": ""}, "lacks licence"),
        ({"year": "soon"}, "is no number"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_with_its_line(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        hosted_model({**GOOD, **wrong}, 7)


def test_an_interval_may_touch_its_value() -> None:
    assert hosted_model({**GOOD, "low": "0.24", "high": "0.24"}, 7).low == Decimal("0.24")

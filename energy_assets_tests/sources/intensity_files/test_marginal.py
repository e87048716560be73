"""Marginal rates are no inventory: whatever says that it is one is refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from energy_assets.sources.base import StepContext
from energy_assets.sources.grid_factors.source import Factor
from energy_assets.sources.intensity import marginal_word
from energy_assets_tests.sources.intensity_files.test_any_publisher import own, values
from energy_assets_tests.sources.intensity_files.test_source import failure, of


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("MOER", "MOER"),
        ("co2_moer", "moer"),
        ("moer lb/MWh", "moer"),
        ("CMOER", "CMOER"),
        ("lrmer_co2e", "lrmer"),
        ("srmer_co2e_c", "srmer"),
        ("LME (lbs/MWh)", "LME"),
        ("marginal intensity gCO2/kWh", "marginal"),
        ("marginal_g_per_kwh", "marginal"),
        ("CAISO_NORTH_co2_moer_2024.csv", "moer"),
        ("co2_aoer", None),
        ("carbon intensity (average)", None),
        ("helmer", None),
        ("homer", None),
        ("salmer", None),
    ],
)
def test_names_of_marginal_rates_are_known(name: str, word: str | None) -> None:
    assert marginal_word(name) == word


def keys(column: str, **more: Any) -> dict[str, Any]:
    return {"time": "at", "zone": "US-CAL-CISO", "direct": column, "unit": "lb/MWh", **more}


@pytest.mark.parametrize("column", ["co2_moer", "marginal", "lrmer_co2e"])
def test_a_marginal_column_is_refused_beside_others_too(step: StepContext, tmp_path: Path, column: str) -> None:
    own(tmp_path, header=f"at,{column},co2_aoer", cells="{t},900,500")
    said = failure(of("own.csv", **keys(column)), step)
    assert f"own.csv: the column '{column}' speaks of marginal rates" in said
    assert "no inventory may be made of them" in said
    assert "signal_type co2_aoer" in said
    assert len(values(step, **keys("co2_aoer"))) == 1, "the average one beside it is read"


def test_a_marginal_file_is_refused_by_its_name_unless_the_column_is_an_average(
    step: StepContext, tmp_path: Path
) -> None:
    name = "CAISO_NORTH_co2_moer_2024-05.csv"
    own(tmp_path, name, header="at,value,average", cells="{t},900,500")
    assert "its name speaks of marginal rates ('moer')" in failure(of(name, **keys("value")), step)
    assert len(values(step, name, **keys("average"))) == 1


@pytest.mark.parametrize(("signal", "refused"), [("co2_moer", True), ("co2_aoer", False), ("", False)])
def test_a_column_of_signals_says_what_the_values_are(
    step: StepContext, tmp_path: Path, signal: str, refused: bool
) -> None:
    own(tmp_path, header="at,value,signal_type", cells="{t},900," + signal)
    if refused:
        assert "the column 'signal_type' speaks of marginal rates" in failure(of("own.csv", **keys("value")), step)
    else:
        assert len(values(step, **keys("value"))) == 1


def test_a_stated_factor_is_no_marginal_one() -> None:
    stated = {"zone": "US-CAL-CISO", "year": 2024, "direct_gco2e_per_kwh": 400}
    assert Factor.model_validate({**stated, "source": "EPA eGRID 2023"}).source == "EPA eGRID 2023"
    with pytest.raises(ValidationError, match="speaks of marginal rates"):
        Factor.model_validate({**stated, "source": "NREL Cambium, LRMER, mid case"})

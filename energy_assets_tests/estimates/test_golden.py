"""Golden cases of the method: published examples and such as anybody can compute by hand, in one table."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction as F

import pytest

from energy_assets.estimates.watts import embodied_g, held_kwh, in_squares, linear_kwh, spread_pct

CASES: list[tuple[str, Callable[[], F], float]] = [
    (
        "1 vCPUh at 1 %, 0.71/3.46 W, PUE 1.135, replication 2",
        lambda: linear_kwh(F(1), F("0.71"), F("3.46"), F("0.01")) * F("1.135") * 2,
        0.0016741249999999998,
    ),
    ("memory 90 GBh, PUE 1.11, replication 2", lambda: F(90) * F("0.000392") * F("1.11") * 2, 0.0783216),
    ("SSD 1 TBh, PUE 1.135", lambda: held_kwh(F(1000), F("1.2")) * F("1.135"), 0.001362),
    (
        "embodied 1.7957 t, 24 h of 35,040, 1/96 share",
        lambda: embodied_g(F("1795.7"), F(24), F(35040), F(1, 96)),
        12.811786529680366,
    ),
    (
        "S3 1 GB-month in a 744 h month, HDD, replication 6, PUE 1.135",
        lambda: held_kwh(F(1) * 744, F("0.65"), F(6)) * F("1.135"),
        0.003293316,
    ),
    ("g5.xlarge 1 h, half utilization", lambda: linear_kwh(F(1), F(18), F(153), F("0.5")), 0.0855),
    ("SCI embodied 1,000 kg, 4 years, 1 h", lambda: embodied_g(F(1000), F(1), F(4 * 365 * 24)), 28.538812785388128),
    ("Llama 2 7B: 184,320 GPU-h x 400 W", lambda: linear_kwh(F(184_320), F(400), F(400), F(1)), 73_728.0),
    ("HGX H100: an eighth of 1,312 kg", lambda: embodied_g(F(1312), F(1), F(1), F(1, 8)), 164_000.0),
]


@pytest.mark.parametrize(("name", "computed", "expected"), CASES, ids=[name for name, _, _ in CASES])
def test_golden_case(name: str, computed: Callable[[], F], expected: float) -> None:
    assert float(computed()) == pytest.approx(expected, rel=1e-9)


def test_an_unknown_load_reaches_to_the_farther_of_none_and_full() -> None:
    assert spread_pct(F(60), F(700), F("0.5")) == pytest.approx(320 / 380 * 100)
    assert spread_pct(F(60), F(700), F("0.9")) == pytest.approx(640 * 0.9 / 636 * 100)
    assert spread_pct(F(5), F(5), F("0.5")) == 0
    assert spread_pct(F(0), F(5), F(0)) == 0


def test_factors_of_a_product_add_in_squares() -> None:
    assert in_squares(3, 4) == 5

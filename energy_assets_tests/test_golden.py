"""Golden cases of the method: published numbers and such as anybody can compute by hand, in one table.

Each case calls what the product calls, from the watts of a device to the footing of a report. The tolerance is 1e-9,
and half of the last digit where the published number is rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction as F
from functools import cache
from typing import Any

import ibis
import pytest

from energy_assets.disclosures.figure_factory import FigureFactory
from energy_assets.disclosures.rounding import Scale
from energy_assets.estimates.watts import embodied_g, held_kwh, in_squares, linear_kwh, spread_pct
from energy_assets.factors.hardware import coefficient
from energy_assets.sources.base import Place
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets_tests.disclosures import company
from energy_assets_tests.emissions.test_pipe import one
from energy_assets_tests.estimates.test_usage import estimated, line, total
from energy_assets_tests.kpis.test_indicators import kpis, served, used
from energy_assets_tests.rows import DAY, at
from energy_assets_tests.sources.prometheus.test_counters import HOUR, counts, look, raw
from energy_assets_tests.unified.test_rest_monte_carlo import rests

EXACT = 1e-9
Row = dict[str, Any]


def emitted(kwh: Any, g_per_kwh: Any, pue: str = "1") -> Row:
    """A row of emissions of some IT energy at an intensity, as the pipe makes it."""
    place = Place(region="r1", zone="DE", pue=Decimal(pue))
    return one({"energy_kwh": Decimal(str(kwh))}, {"direct_gco2e_per_kwh": Decimal(str(g_per_kwh))}, place=place)


def tonnes(kwh: Any, g_per_kwh: Any, pue: str = "1") -> Decimal:
    grams: Decimal = emitted(kwh, g_per_kwh, pue)["location_g"]
    return grams / 1_000_000


def trained(gpu_hours: int, watts: int) -> Decimal:
    """IT energy (kWh) of accelerators at full load."""
    kwh = linear_kwh(F(gpu_hours), F(watts), F(watts), F(1))
    return Decimal(kwh.numerator) / Decimal(kwh.denominator)


DAYS = {name: DAY + timedelta(days=n) for n, name in enumerate(("llama 2", "llama 3.1", "bloom", "joules"))}


def spent(name: str, kwh: str, kind: str = "training", n: int = 0, tonnes_: str | None = None) -> Row:
    grams = {} if tonnes_ is None else {"location_g": Decimal(tonnes_) * 1_000_000}
    row = used(DAYS[name], n, "cluster", "US", "lab", "m", kind, kwh, pue=Decimal(1))
    return row | grams


@cache
def indicators() -> dict[tuple[date, str], Decimal]:
    """Values of indicators of a few published runs, each on a day of its own."""
    energy = [
        spent("llama 2", "73728", tonnes_="31.22"),
        *(spent("llama 3.1", "1", n=n, tonnes_=t) for n, t in enumerate(("420", "2040", "8930"))),
        spent("bloom", "914", "inference"),
        # 412.4 J and 1,328 tokens, nine million times: a number of kWh without a remainder.
        spent("joules", "1031", "inference"),
    ]
    answered = [
        served(DAYS["bloom"], 0, "m", 230_768, 1, project="lab"),
        served(DAYS["joules"], 0, "m", 1, 3_984_000_000, project="lab"),
    ]
    daily, _ = kpis(energy, answered, [])
    return {(row["day"], row["kpi"]): row["value"] for row in daily if row["grain"] == "total"}


def foots(total_: str, *parts: str) -> bool:
    """Whether a report finds that some parts add up to a total."""
    factory = FigureFactory(company.inputs())
    scale = Scale("t CO₂e", 0, 2)
    figures = [
        factory.stated(f"p{n}", f"p{n}", Decimal(text), "tCO2e", scale) for n, text in enumerate((total_, *parts))
    ]
    return factory.foot(figures[0], figures[1:])


def rapl_wrap() -> int:
    """Joules that a counter with a maximum of 100 J counted from 90 to 10."""
    con = ibis.duckdb.connect(threads=1)
    con.raw_sql("SET TimeZone='UTC'")
    scratch = Scratch(con)
    samples = [("boundary", HOUR, 90_000), *raw([(HOUR + 60_000, 10_000)], at=2 * HOUR)]
    look(scratch, samples, keys=[("a", 100_000, 10**9)])
    (counted,) = (found for (_, hour), found in counts(scratch).items() if hour == 2)
    joules, restarts, wraps, *_ = counted
    assert (restarts, wraps) == (0, 1)
    return joules


def a_day(region: str = "eu-central-1", days: int = 1) -> Decimal:
    """What an m5.xlarge used on its first day, asked together with the days after it."""
    lines = [line("BoxUsage:m5.xlarge", 1, start=at(0) + timedelta(hours=n), region=region) for n in range(24 * days)]
    made = estimated(lines, [DAY + timedelta(days=n) for n in range(days)])
    return total([row for row in made if row["day"] == DAY])


def kwh_per_gbh() -> F:
    found = coefficient("memory")
    assert found is not None
    return F(found.value)


@dataclass(frozen=True)
class Case:
    """One golden number.

    Attributes:
        name: What is computed.
        computed: By the product.
        expected: As published, or by hand.
        rel: Relative tolerance.
        source: Who publishes it; empty where anybody can compute it.
    """

    name: str
    computed: Callable[[], Any]
    expected: float
    rel: float = EXACT
    source: str = ""


CCF = "Cloud Carbon Footprint, tests of its methodology"
SCI = "ISO/IEC 21031:2024, Software Carbon Intensity"
LLAMA = "Touvron et al. 2023, LLaMA, table 15: 400 W, PUE 1.1, 0.385 kg/kWh"
PATTERSON = "Patterson et al. 2021, Carbon Emissions and Large Neural Network Training, table 4"
BLOOM = "Luccioni, Viguier, Ligozat 2022, Estimating the Carbon Footprint of BLOOM"

CASES = (
    Case(
        "1 vCPUh at 1 %, 0.71/3.46 W, PUE 1.135, replication 2",
        lambda: linear_kwh(F(1), F("0.71"), F("3.46"), F("0.01")) * F("1.135") * 2,
        0.0016741249999999998, source=CCF,
    ),
    Case("memory 90 GBh, PUE 1.11, replication 2",
         lambda: F(90) * kwh_per_gbh() * F("1.11") * 2, 0.0783216, source=CCF),
    Case("SSD 1 TBh, PUE 1.135", lambda: held_kwh(F(1000), F("1.2")) * F("1.135"), 0.001362, source=CCF),
    Case(
        "embodied 1.7957 t, 24 h of 35,040, 1/96 share",
        lambda: embodied_g(F("1795.7"), F(24), F(35040), F(1, 96)), 12.811786529680366, source=CCF,
    ),
    Case(
        "S3 1 GB-month in a 744 h month, HDD, replication 6, PUE 1.135",
        lambda: held_kwh(F(1) * 744, F("0.65"), F(6)) * F("1.135"), 0.003293316,
    ),
    Case("m5.xlarge for a day in two regions: how many times the kWh",
         lambda: a_day("us-east-1") / a_day("eu-north-1"), 1),
    Case("an instance-day alone and as part of two days", lambda: a_day(days=2) / a_day(), 1),
    Case("an instance-day asked twice", lambda: a_day() / a_day(), 1),
    Case("g5.xlarge 1 h, half utilization: its accelerator",
         lambda: total(estimated([line("BoxUsage:g5.xlarge", 1)]), "gpu"), 0.0855),
    Case("SCI embodied 1,000 kg, 4 years, 1 h", lambda: embodied_g(F(1000), F(1), F(4 * 365 * 24)), 28.54, 1e-4, SCI),
    Case("HGX H100: an eighth of 1,312 kg", lambda: embodied_g(F(1312), F(1), F(1), F(1, 8)), 164_000),
    Case("Llama 2 7B: 184,320 GPU-h x 400 W (kWh)", lambda: trained(184_320, 400), 73_728, source="Llama 2 model card"),
    Case("Llama 2 7B: 31.22 t of 73.728 MWh (g/kWh)",
         lambda: indicators()[DAYS["llama 2"], "carbon_intensity_location"], 423.45, 1.2e-5, "Llama 2 model card"),
    Case("Llama 3.1: 420 + 2,040 + 8,930 t",
         lambda: indicators()[DAYS["llama 3.1"], "scope2_location_g"] / 1_000_000, 11_390,
         source="Llama 3.1 model card"),
    Case("BLOOM: 433,195 kWh x 57 g (t)", lambda: tonnes(433_195, 57), 24.692, 2.1e-5, BLOOM),
    Case("BLOOM's API: 914 kWh of 230,768 requests (Wh each)",
         lambda: indicators()[DAYS["bloom"], "wh_per_1k_inferences"] / 1000, 3.9607, 1.3e-5, BLOOM),
    Case("Strubell base: 1.58 x 1415.78 W x 12 h (kWh)",
         lambda: emitted(float(linear_kwh(F(12), F("1415.78"), F("1415.78"), F(1))), 1, "1.58")["facility_kwh"],
         26.84, 1.9e-4, "Strubell, Ganesh, McCallum 2019, Energy and Policy Considerations for Deep Learning in NLP"),
    Case("RAPL wrap 90 to 10, maximum 100 (J)", rapl_wrap, 20),
    Case("412.4 J over 1,328 tokens (J each)",
         lambda: indicators()[DAYS["joules"], "wh_per_1m_tokens"] * 3600 / 1_000_000, 0.31054216867),
    Case("Llama 2 card: rows 31.22 + 62.44 + 291.42 against its total 539.0 t: does not foot",
         lambda: foots("539.0", "31.22", "62.44", "291.42"), 0, source="Llama 2 model card"),
    Case("the same rows and the total with its fourth one, 153.90 t: foots",
         lambda: foots("538.98", "31.22", "62.44", "153.90", "291.42"), 1),
    Case("10 ±1 % − 6 ±5 % (± % of 4)", lambda: rests({"n": ((10, 1), [(6, 5)])})["n"], 7.906, 1e-6,
         "JCGM 100:2008, 5.1.2"),
    Case("OPT-175B: 809,472 GPU-h x 400 W x PUE 1.1 (MWh)",
         lambda: emitted(trained(809_472, 400), 385, "1.1")["facility_kwh"] / 1000, 356, 1.4e-3, LLAMA),
    Case("OPT-175B: the same at 385 g/kWh (t)", lambda: tonnes(trained(809_472, 400), 385, "1.1"), 137, 3.6e-3, LLAMA),
    Case("LLaMA-65B: 1,022,362 GPU-h (t)", lambda: tonnes(trained(1_022_362, 400), 385, "1.1"), 173, 2.9e-3, LLAMA),
    Case("GPT-3: 1,287 MWh x 429 g/kWh (t)", lambda: tonnes(1_287_000, 429), 552.1, 1e-4, PATTERSON),
    Case("T5: 85.7 MWh x 545 g/kWh (t)", lambda: tonnes(85_700, 545), 46.7, 1.1e-3, PATTERSON),
    Case("Meena: 232 MWh, given to the whole MWh, x 415 g/kWh (t)",
         lambda: tonnes(232_000, 415), 96.4, 2.7e-3, PATTERSON),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_golden_case(case: Case) -> None:
    assert float(case.computed()) == pytest.approx(case.expected, rel=case.rel)


def test_an_unknown_load_reaches_to_the_farther_of_none_and_full() -> None:
    assert spread_pct(F(60), F(700), F("0.5")) == pytest.approx(320 / 380 * 100)
    assert spread_pct(F(60), F(700), F("0.9")) == pytest.approx(640 * 0.9 / 636 * 100)
    assert spread_pct(F(5), F(5), F("0.5")) == 0
    assert spread_pct(F(0), F(5), F(0)) == 0


def test_factors_of_a_product_add_in_squares() -> None:
    assert in_squares(3, 4) == 5

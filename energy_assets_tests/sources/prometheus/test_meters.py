"""Meters: units are worth what their names say, limits hold for each kind, and a line of site.yaml means one thing."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from energy_assets.sources.prometheus.meters import (
    COUNTER_UNITS,
    GAUGE_UNITS,
    CustomMetric,
    Meter,
    built_in,
    die_meter,
)


@pytest.mark.parametrize(
    ("unit", "joules"),
    [("uJ", Fraction(1, 10**6)), ("mJ", Fraction(1, 10**3)), ("J", Fraction(1)), ("Wh", Fraction(3600)),
     ("kWh", Fraction(3_600_000))],
)  # fmt: skip
def test_a_unit_of_energy_in_kwh(unit: str, joules: Fraction) -> None:
    assert COUNTER_UNITS[unit] == joules / 3_600_000


@pytest.mark.parametrize(("unit", "watts"), [("uW", 0.000001), ("mW", 0.001), ("W", 1.0), ("kW", 1000.0)])
def test_a_unit_of_power_in_watts(unit: str, watts: float) -> None:
    assert GAUGE_UNITS[unit] == watts


def test_every_unit_is_listed_above() -> None:
    assert (len(COUNTER_UNITS), len(GAUGE_UNITS)) == (5, 4)


def meter(unit: str = "J", kind: str = "gpu", counter: bool = True) -> Meter:
    return Meter("m", "m", counter, unit, kind, ("host",))


@pytest.mark.parametrize(
    ("unit", "nano"),
    [("uJ", Fraction(1, 3600)), ("mJ", Fraction(10, 36)), ("J", Fraction(10_000, 36)), ("Wh", Fraction(10**6)),
     ("kWh", Fraction(10**9))],
)  # fmt: skip
def test_a_counter_counts_in_nano_kwh_and_a_gauge_does_not_count(unit: str, nano: Fraction) -> None:
    assert (meter(unit).per_unit, meter("W", counter=False).per_unit) == (nano, None)


@pytest.mark.parametrize(
    ("unit", "sentinel"),
    [("uJ", "1e18"), *((unit, "1e15") for unit in ("mJ", "J", "Wh", "kWh", "uW", "mW", "W", "kW"))],
)
def test_a_thousand_million_million_stands_for_no_value_but_in_microjoules(unit: str, sentinel: str) -> None:
    assert meter(unit).sentinel == sentinel


@pytest.mark.parametrize(
    ("kind", "watts"),
    [("gpu", 20_000), ("cpu", 20_000), ("dram", 20_000), ("node", 200_000), ("instance", 200_000),
     ("facility", 100_000_000), ("cooling", 100_000_000)],
)  # fmt: skip
def test_no_device_draws_more_than_the_limit_of_its_kind(kind: str, watts: int) -> None:
    assert meter(kind=kind).limit_w == watts


LINE = {"metric": "psu_power", "type": "counter", "unit": "J", "device_kind": "node"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"repeats": ["psu"]}, "the label psu is in adds and in repeats; its"),
        ({"repeats": ["psu"], "device_labels": ["psu"]}, "the label psu is in adds and in repeats; its"),
        ({"node_labels": ["psu"]}, "the label psu is in adds and in node_labels, device_labels or model_label; its"),
        ({"device_labels": ["psu"]}, "the label psu is in adds and in node_labels, device_labels or model_label; its"),
        ({"model_label": "psu"}, "the label psu is in adds and in node_labels, device_labels or model_label; its"),
        ({"unit": "W"}, "a counter has one of the units uJ, mJ, J, Wh, kWh, not W"),
        ({"type": "gauge"}, "a gauge has one of the units uW, mW, W, kW, not J"),
    ],
)
def test_a_line_that_contradicts_itself_names_the_key(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        CustomMetric(**{**LINE, "adds": ["psu"], **more})
    assert said in str(refused.value)


@pytest.mark.parametrize("unit", [*COUNTER_UNITS, *GAUGE_UNITS])
def test_a_line_with_a_unit_that_fits_is_a_meter(unit: str) -> None:
    kind = "counter" if unit in COUNTER_UNITS else "gauge"
    named = {"node_labels": ["host"], "device_labels": ["slot"], "model_label": "model", "match": {"a": "b"}}
    line = CustomMetric(**{**LINE, "type": kind, "unit": unit, "adds": ["psu"], "repeats": ["copy"], **named})
    assert line.meter() == Meter(
        'psu_power{a="b"}', "psu_power", unit in COUNTER_UNITS, unit, "node", ("host",), ("slot",), ("model",),
        adds=("psu",), repeats=("copy",), matchers=('a="b"',),
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "shared"), [("gpu", True), ("node", False)])
def test_a_plain_line_is_named_after_its_metric_and_users_share_gpus_alone(kind: str, shared: bool) -> None:
    plain = CustomMetric(**{**LINE, "device_kind": kind}).meter()
    assert (plain.name, plain.model_labels, plain.matchers, plain.shared) == ("psu_power", (), (), shared)


def test_built_in_meters_count_or_gauge_and_users_share_gpus_alone() -> None:
    of_gpus = [(one.name, one.counter, one.shared) for one in built_in(None) if one.device_kind == "gpu"]
    assert of_gpus == [
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", True, True),
        ("DCGM_FI_DEV_POWER_USAGE", False, True),
        ("DCGM_FI_DEV_POWER_USAGE_INSTANT", False, True),
    ]
    others = [one for one in built_in(None) if one.device_kind != "gpu"]
    assert [one.counter for one in others] == [one.device_kind != "node" for one in others]
    assert not any(one.shared for one in others)


@pytest.mark.parametrize(
    ("name", "kind", "device"),
    [
        ("node_rapl_package_0_die_1_joules_total", "cpu", "package-0-die-1"),
        ("node_rapl_dram_12_die_0_joules_total", "dram", "dram-12-die-0"),
    ],
)
def test_a_die_is_a_meter_that_wraps(name: str, kind: str, device: str) -> None:
    found = die_meter(name, Decimal(7))
    assert found
    assert (found.device_kind, found.device_prefix, found.counter, found.wrap_joules) == (
        kind,
        device,
        True,
        Decimal(7),
    )


@pytest.mark.parametrize("name", ["node_rapl_package_joules_total", "node_rapl_core_0_die_1_joules_total", ""])
def test_what_is_no_die_is_no_meter(name: str) -> None:
    assert die_meter(name, None) is None

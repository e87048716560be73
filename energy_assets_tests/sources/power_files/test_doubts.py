"""Several devices under one name that are read in turn, units that are none of power, and meters that tell nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.notes import words
from energy_assets_tests.sources.power_files.reading import rows_read
from energy_assets_tests.sources.power_files.test_power_files import DAY, HEADER, MIDNIGHT, source, steps, write

ONE = DayRange(DAY, DAY)
Watts = Callable[[int], float]


def found(step: StepContext, **keys: Any) -> tuple[Decimal, dict[str, int]]:
    table, notes = rows_read(source(**keys), ONE, step)
    return sum(table["energy_kwh"].to_pylist(), Decimal(0)), notes


def in_turn(*devices: Watts, apart_ms: int = 5, every_s: float = 10, rounds: int = 60, node: str = "n1") -> str:
    """A log that reads devices one after the other, and names the machine alone."""
    lines = [HEADER]
    for number in range(rounds):
        for place, watts in enumerate(devices):
            at = MIDNIGHT + timedelta(seconds=number * every_s, milliseconds=place * apart_ms)
            lines.append(f"{at:%Y-%m-%dT%H:%M:%S.%f}Z,{node},{watts(number)}\n")
    return "".join(lines)


def test_devices_read_in_turn_under_one_name_are_refused(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", in_turn(lambda n: 300 + n % 7, lambda n: 450 - n % 5, lambda n: 90))
    with pytest.raises(MalformedError, match=r"meters/a\.csv: the readings of n1 come in bursts of 3 within 10 ms"):
        found(step)
    (finding,) = source().check(step)
    assert not finding.ok
    assert "name it as `device`" in finding.remedy
    assert "leave one reading of each burst" in finding.remedy


def test_boards_of_one_model_in_a_query_of_names_are_refused_with_the_command(step: StepContext) -> None:
    lines = ["timestamp, name, power.draw [W]\n"]
    for number in range(60):
        for board in range(2):
            at = MIDNIGHT + timedelta(seconds=10 * number, milliseconds=board)
            lines.append(
                f"{at:%Y/%m/%d %H:%M:%S}.{board:03}, NVIDIA H100, {(300 + number % 7, 80 + number % 3)[board]}.00 W\n"
            )
    write(step.site_folder, "meters/a.csv", "".join(lines))
    keys = {"format": "nvidia_smi", "timezone": "UTC", "node": {"constant": "n1"}}
    with pytest.raises(MalformedError, match="of 2 devices under one name") as refused:
        found(step, **keys)
    assert "nvidia-smi --query-gpu=timestamp,index,uuid" in refused.value.remedy


@pytest.mark.parametrize(
    ("log", "doubted"),
    [
        (in_turn(lambda n: 300 + n % 7, lambda n: 303 + n % 5), True),
        (in_turn(lambda n: 300 + n % 7, lambda n: 300 + n % 7), False),  # one device, read twice
        (in_turn(lambda n: 300 + n % 7, lambda n: 303 + n % 5, rounds=9), False),
        (in_turn(lambda n: 300 + n % 7, lambda n: 303 + n % 5, rounds=10), True),
        (in_turn(*[lambda n: 300 + n % 7] * 6, apart_ms=2000, every_s=3600, rounds=20), False),  # hourly for 12 s
        (in_turn(lambda n: 300 + n % 7), False),
    ],
    ids=["alike", "twice", "nine", "ten", "hourly", "one"],
)
def test_a_rhythm_of_bursts_is_doubted_where_readings_differ_a_little(
    step: StepContext, log: str, doubted: bool
) -> None:
    write(step.site_folder, "meters/a.csv", log)
    _, notes = found(step)
    assert notes.pop("readings_in_bursts", 0) == doubted
    assert set(notes) <= {"gaps_not_bridged"}


def test_a_logger_whose_pauses_vary_has_no_bursts(step: StepContext) -> None:
    """A reading a second under load and one a minute at rest: groups of many sizes."""
    lines, at = [HEADER], MIDNIGHT
    for number in range(40):
        for burst in range(number % 7 + 1):
            lines.append(f"{at:%Y-%m-%dT%H:%M:%S.%f}Z,n1,{300 + 50 * (burst % 3)}\n")
            at += timedelta(seconds=0.5)
        at += timedelta(seconds=60)
    write(step.site_folder, "meters/a.csv", "".join(lines))
    assert found(step)[1] == {}


@pytest.mark.parametrize(
    ("watts", "keys", "note"),
    [
        (0.9, {}, "powers_like_kilowatts"),
        (1, {}, None),
        (0.9, {"power_unit": "W"}, None),
        (0.9, {"device_kind": "gpu"}, "powers_like_kilowatts"),
        (0.9, {"device_kind": "cpu"}, None),
        (5001, {"device_kind": "gpu"}, "powers_like_milliwatts"),
        (5000, {"device_kind": "gpu"}, None),
        (5001, {"device_kind": "cpu"}, "powers_like_milliwatts"),
        (5001, {}, None),
        (5001, {"device_kind": "gpu", "power_unit": "W"}, None),
    ],
)
def test_power_of_another_unit_is_doubted_unless_site_yaml_states_it(
    step: StepContext, watts: float, keys: dict[str, str], note: str | None
) -> None:
    write(step.site_folder, "meters/a.csv", HEADER.replace("power_w", "draw") + steps(MIDNIGHT, 60, watts))
    assert found(step, power_w="draw", **keys)[1] == ({note: 1} if note else {})
    (finding,) = source(power_w="draw", **keys).check(step)
    assert finding.ok == (note is None)
    if note:
        assert words(note).hole
        assert "power_unit: " in finding.remedy


@pytest.mark.parametrize(
    ("readings", "falls", "told"), [(101, 0, True), (100, 0, False), (301, 3, True), (301, 4, False)]
)
def test_power_that_only_rises_is_a_counter(step: StepContext, readings: int, falls: int, told: bool) -> None:
    values = [100.0 + number - 90 * (number < falls) * (number % 2) for number in range(readings)]
    if falls:
        values = [100.0 + number for number in range(readings)]
        for number in range(falls):
            values[50 * (number + 1)] -= 1.5
    lines = (
        f"{MIDNIGHT + timedelta(seconds=30 * number):%Y-%m-%dT%H:%M:%SZ},n1,{value}\n"
        for number, value in enumerate(values)
    )
    write(step.site_folder, "meters/a.csv", HEADER + "".join(lines))
    assert found(step)[1] == ({"powers_like_counters": 1} if told else {})
    (finding,) = source().check(step)
    assert finding.ok != told


@pytest.mark.parametrize(
    "column",
    ["total_wh", "Energy [kWh]", "kWh", "energy", "power [%]", "gpu_util", "utilization.gpu", "temp", "gpu_temp_c",
     "clocks.sm", "current [A]", "voltage", "power_va", "power_limit_w", "gpu.tdp", "power.limit [W]",
     "heat (J)", "load_percent"],
)  # fmt: skip
def test_columns_that_speak_of_no_power_are_refused_unless_their_unit_is_stated(step: StepContext, column: str) -> None:
    write(step.site_folder, "meters/a.csv", HEADER.replace("power_w", column) + steps(MIDNIGHT, 60))
    with pytest.raises(MalformedError, match=r"meters/a\.csv: column '.*' speaks of .*, which is no power"):
        found(step, power_w=column)
    (finding,) = source(power_w=column).check(step)
    assert "power_unit: W" in finding.remedy
    assert found(step, power_w=column, power_unit="W") == (Decimal("0.6"), {})


@pytest.mark.parametrize(
    "column", ["power", "Power (W)", "power_A", "Feed C", "consumption", "draw", "template", "attempts", "Power C [W]"]
)
def test_names_of_power_that_only_look_like_units_are_read(step: StepContext, column: str) -> None:
    write(step.site_folder, "meters/a.csv", HEADER.replace("power_w", column) + steps(MIDNIGHT, 60))
    assert found(step, power_w=column) == (Decimal("0.6"), {})


@pytest.mark.parametrize(
    ("zeros", "value", "told"), [(7, "0", True), (6, "0", False), (7, "-1", True), (61, "0", True)]
)
def test_a_meter_that_often_tells_nothing_is_told(step: StepContext, zeros: int, value: str, told: bool) -> None:
    """One reading in ten: 7 of 61 are more, 6 are fewer."""
    lines = steps(MIDNIGHT, 60).splitlines(keepends=True)
    for number in range(zeros):
        at = number * 2 + 1 if zeros < 61 else number
        lines[at] = lines[at].replace(",600", f",{value}")
    write(step.site_folder, "meters/a.csv", HEADER + "".join(lines))
    _, notes = found(step)
    assert ("devices_often_without_power" in notes) == told
    (finding,) = source().check(step)
    assert finding.ok != told
    if told:
        assert f"n1: {zeros} of 61 readings" in finding.what


def test_zeros_beside_power_at_the_same_instants_are_none(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, 60) + steps(MIDNIGHT, 60, 0))
    assert found(step) == (Decimal("0.6"), {"zero_readings_dropped": 61})

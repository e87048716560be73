"""Logs of nvidia-smi as it writes them: units, blanks, words for no reading, headers again, cut lines."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.power_files.nvidia_smi import COMMAND, is_log, power_column
from energy_assets_tests.sources.power_files.reading import rows_read
from energy_assets_tests.sources.power_files.test_power_files import source, write

DAY = date(2025, 7, 1)
ONE = DayRange(DAY, DAY)
HEADER = "timestamp, index, uuid, name, power.draw [W], utilization.gpu [%]\n"
KEYS = {"format": "nvidia_smi", "timezone": "Europe/Berlin", "node": {"constant": "box-1"}}


def lines(minutes: int = 60, unit: str = " W", first: int = 0) -> str:
    """Two boards, a reading a minute from 14:00 in Berlin (12:00 UTC) on."""
    return "".join(
        f"2025/07/01 {14 + m // 60}:{m % 60:02}:00.123, {n}, GPU-{n}a1b2c3d-0000, NVIDIA H100, {watts}{unit}, 97 %\n"
        for m in range(first, minutes + 1)
        for n, watts in enumerate(("312.50", "287.50"))
    )


def rows(step: StepContext, text: str, **keys: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    write(step.site_folder, "meters/smi.csv", text)
    table, notes = rows_read(source(**{**KEYS, **keys}), ONE, step)
    return table.to_pylist(), notes


def kwh(found: list[dict[str, Any]]) -> Decimal:
    return sum((row["energy_kwh"] for row in found), Decimal(0))


def test_a_log_needs_no_names_of_columns(step: StepContext) -> None:
    found, notes = rows(step, HEADER + lines())
    assert notes == {}
    assert kwh(found) == Decimal("0.6")
    assert {row["hour"].hour for row in found} == {12, 13}, "the log begins 123 ms after the hour"
    first = found[0]
    assert (first["node_id"], first["device_id"]) == ("box-1", "GPU-0a1b2c3d-0000")
    assert (first["device_kind"], first["device_model"]) == ("gpu", "NVIDIA H100")
    assert (first["method"], first["quality_tier"]) == ("measured_power", 2)


@pytest.mark.parametrize(
    ("header", "device"),
    [
        ("timestamp, index, uuid, name, power.draw [W], utilization.gpu [%]", "GPU-0a1b2c3d-0000"),
        ("timestamp, index, pci.bus_id, name, power.draw.instant [W], utilization.gpu [%]", "GPU-0a1b2c3d-0000"),
        ("timestamp, index, serial, name, power.draw.average [W], utilization.gpu [%]", "0"),
        ("timestamp, index, gpu_uuid, name, power.draw, utilization.gpu", "GPU-0a1b2c3d-0000"),
    ],
)
def test_the_most_certain_name_of_a_board_is_taken(step: StepContext, header: str, device: str) -> None:
    found, _ = rows(step, header + "\n" + lines())
    assert (found[0]["device_id"], kwh(found)) == (device, Decimal("0.6"))


def test_the_plain_power_goes_before_average_and_instant() -> None:
    header = ["timestamp", "power.draw.instant [W]", "power.draw.average [W]", "power.draw [W]"]
    assert power_column(header) == "power.draw [W]"
    assert power_column(header[:3]) == "power.draw.average [W]"
    assert power_column(["timestamp", "power.limit [W]"]) is None
    assert not is_log(["time", "power.draw [W]"])


def test_numbers_alone_headers_again_and_cut_lines_are_read(step: StepContext) -> None:
    """A log that was killed while it wrote, and appended to with another choice of units."""
    text = HEADER + lines(30) + "2025/07/01 14:30:59.1\n" + HEADER + lines(60, unit="", first=31)
    found, notes = rows(step, text)
    assert (kwh(found), notes) == (Decimal("0.6"), {"cut_lines_dropped": 1})


@pytest.mark.parametrize("word", ["[N/A]", "N/A", "[Not Supported]", "[Unknown Error]", "[GPU requires reset]", ""])
def test_words_for_no_reading_are_none_and_counted(step: StepContext, word: str) -> None:
    text = lines().replace("312.50 W", word, 1) if word else lines().replace("312.50 W", '""', 1)
    found, notes = rows(step, HEADER + lines(0).replace("312.50 W", "312.50 W") + text.split("\n", 2)[2])
    assert kwh(found) == Decimal("0.6")
    text = HEADER + lines(10) + lines(11, first=11).replace("312.50 W", word or "[N/A]") + lines(60, first=12)
    found, notes = rows(step, text)
    assert (kwh(found), notes) == (Decimal("0.6"), {"empty_readings_dropped": 1})


def test_what_powershell_writes_is_read(step: StepContext) -> None:
    (step.site_folder / "meters").mkdir()
    (step.site_folder / "meters/smi.csv").write_bytes((HEADER + lines()).replace("\n", "\r\n").encode("utf-16"))
    table, notes = rows_read(source(**KEYS), ONE, step)
    assert (kwh(table.to_pylist()), notes) == (Decimal("0.6"), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines(), r"has no header \(nvidia-smi leaves it out with `noheader`\); its first line holds 2025/07/01 14:00"),
        (
            "# gpu    pwr  gtemp\n# Idx      W      C\n    0    312     40\n",
            "is what `nvidia-smi dmon` or `pmon` prints",
        ),
        ("#Date       Time        gpu    pwr\n 20250701   14:00:00      0    312\n", "is what `nvidia-smi dmon`"),
        ("timestamp, index, power.limit [W]\n", "is no log of nvidia-smi .* it has 'timestamp', 'index'"),
        ("timestamp, power.draw [W]\n", "is no log of nvidia-smi"),
        (
            HEADER + lines(1) + "2025/07/01 15:00:00, 0, GPU-0a1b2c3d, x, many W, 0 %\n",
            "no number, for example ' many W'",
        ),
    ],
)
def test_what_is_no_such_log_is_refused_with_the_command_that_writes_one(
    step: StepContext, text: str, message: str
) -> None:
    with pytest.raises(MalformedError, match=message) as caught:
        rows(step, text)
    assert COMMAND in str(caught.value) or "no number" in message


def test_the_clock_must_be_named_for_nvidia_smi_writes_local_time() -> None:
    with pytest.raises(ValidationError, match="timezone: Europe/Berlin"):
        source(**{**KEYS, "timezone": None})


def test_a_log_read_by_names_of_columns_gives_the_same(step: StepContext) -> None:
    by_names = {"format": None, "time": "timestamp", "device": "uuid", "power_w": "power.draw [W]"}
    one, _ = rows(step, HEADER + lines())
    other, _ = rows(step, HEADER + lines(), **by_names)
    assert [{**row, "device_model": None} for row in one] == other
    spelled = {**by_names, "time": "timestamp", "device": " uuid", "power_w": " power.draw [W]"}
    assert rows(step, HEADER + lines(), **spelled)[0] == other


@pytest.mark.parametrize("name", ["smi.log", "smi.txt", "smi.log.gz"])
def test_an_ending_that_says_nothing_is_refused_with_what_to_write(step: StepContext, name: str) -> None:
    write(step.site_folder, f"meters/{name}", HEADER + lines())
    (finding,) = source(**KEYS).check(step)
    assert finding.what == f"meters/{name}: its ending does not say that it is CSV"
    assert ">> smi.csv" in finding.remedy

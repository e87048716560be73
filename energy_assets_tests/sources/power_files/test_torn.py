"""Logs that were killed within a line and written on to: torn lines are left out and told, the rest is read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.power_files.nvidia_smi import COMMAND
from energy_assets_tests.sources.power_files.test_nvidia_smi import HEADER, KEYS, kwh, lines, rows
from energy_assets_tests.sources.power_files.test_power_files import source, write

GLUED = {
    "the next header": "2025/07/01 14:30:59.123, 0, GPU-0a1b2c3d-0000, NVIDIA H1" + HEADER,
    "the next header, of as many fields": "2025/07/01 14:3" + HEADER,
    "the next reading": "2025/07/01 14:30:59.123, 0, GPU-0a" + lines(31, first=31).split("\n", 1)[0] + "\n",
    "the next reading, of as many fields": "2025/07/01 14:3" + lines(31, first=31).split("\n", 1)[0] + "\n",
    "nothing": "2025/07/01 14:30:59.123, 0, GPU-0a1b2c3d-0000, NVIDIA H100, 31\n",
}
"""What stands in the line in which a log was killed, by what was written on to it."""


@pytest.mark.parametrize("what", GLUED)
def test_a_torn_line_is_left_out_with_its_number_and_the_rest_is_read(step: StepContext, what: str) -> None:
    """A board's reading of a minute is lost where it was glued on; the line from 30 to 32 minutes is as straight."""
    rest = lines(60, first=31)
    rest = rest.split("\n", 1)[1] if "reading" in what else rest
    found, notes = rows(step, HEADER + lines(30) + GLUED[what] + rest)
    assert (kwh(found), notes) == (Decimal("0.6"), {"cut_lines_dropped": 1})
    finding, *_ = source(**KEYS).check(step)
    assert finding.notes == ("cut_lines_dropped",), "so that doctor does not tell it of its trial again"
    assert "left out: meters/smi.csv: line 64" in finding.what, "a header and 31 minutes of two boards"


def test_no_half_power_is_read_where_a_log_is_being_written(step: StepContext) -> None:
    """The last line has all fields and no end: of 312.50 W only 31 are there."""
    header = "timestamp, index, power.draw [W]\n"
    text = header + "".join(f"2025/07/01 14:{minute:02}:00.123, 0, 600.00\n" for minute in range(60))
    found, notes = rows(step, text + "2025/07/01 15:00:00.123, 0, 31")
    assert kwh(found) == Decimal("0.59")
    assert notes == {"cut_lines_dropped": 1}
    assert kwh(rows(step, text + "2025/07/01 15:00:00.123, 0, 600.00\n")[0]) == Decimal("0.6")


@pytest.mark.parametrize(("torn", "refused"), [(10, False), (11, True)])
def test_a_log_of_which_more_is_torn_is_refused_in_our_own_words(step: StepContext, torn: int, refused: bool) -> None:
    """Ten torn lines of a short log are ten kills; eleven, and more than one in a hundred, are another command's."""
    text = HEADER + lines(60) + "".join(f"2025/07/01 15:{n:02}:59.123, 0, GPU-0a1b2c3d-0000\n" for n in range(torn))
    if refused:
        with pytest.raises(MalformedError, match=r"11 lines of 133 have not the 6 fields .* first line 124") as caught:
            rows(step, text)
        assert COMMAND in str(caught.value)
        assert "strict" not in str(caught.value)
    else:
        assert rows(step, text)[1] == {"cut_lines_dropped": 10}


@pytest.mark.parametrize(("torn", "refused"), [(12, False), (13, True)])
def test_a_long_log_may_be_killed_once_in_a_hundred_lines(step: StepContext, torn: int, refused: bool) -> None:
    """1,202 lines of readings: with 12 torn ones 1,214 lines, with 13 1,215, of which 12.15 may be torn."""
    text = HEADER + lines(600) + "2025/07/01 15:00:59.123, 0\n" * torn
    write(step.site_folder, "meters/smi.csv", text)
    finding, *_ = source(**KEYS).check(step)
    assert ("have not the 6 fields" in finding.what) == refused

"""Boards of one machine that site.yaml does not tell apart, read some milliseconds after each other."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets_tests.sources.power_files.test_overlaps import LOG, found, log
from energy_assets_tests.sources.power_files.test_power_files import MIDNIGHT, source, write

BY_FILE: dict[str, Any] = {"device": {"from_path": "([^/]+)[.]csv"}}
NAMED = {"node": {"constant": "box"}, "device_kind": "gpu"}


def readings(values: list[str], column: str = "gpu") -> str:
    """CSV of 600 W a minute with a further column."""
    return f"time,{column},power_w\n" + "".join(
        f"{MIDNIGHT + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ},{value},600\n"
        for minute, value in enumerate(values)
    )


@pytest.mark.parametrize("device", [{"from_path": "([^/]+)[.]csv"}, {"constant": "gpu"}])
def test_boards_of_a_file_are_never_one_device_named_after_it(step: StepContext, device: dict[str, str]) -> None:
    """GPU 0 and GPU 1, 300 and 500 W, would make one of 400 W."""
    write(step.site_folder, "meters/box1.csv", log((300, 500)))
    with pytest.raises(
        MalformedError, match=r"box1\.csv: .* several boards, which the column 'index' .* \(0, 1\)"
    ) as no:
        found(step, **LOG, device=device)
    assert "  device: index\n" in str(no.value)
    assert "  node: {from_path: '([^/]+)[.]csv'}" in str(no.value)
    (finding, *_) = source(**LOG, device=device).check(step)
    assert (finding.ok, "device: index" in finding.remedy) == (False, True)
    assert found(step, **LOG, device="index")[0].quantize(Decimal("0.00001")) == Decimal("0.8")


def test_the_remedy_for_two_files_of_several_boards_leads_to_the_whole_energy(step: StepContext) -> None:
    """Equal instants: first the machines are told apart, and then nothing is left to tell."""
    for name, watts in (("box1", (300, 500)), ("box2", (310, 510))):
        write(step.site_folder, f"meters/{name}.csv", log(watts))
    with pytest.raises(MalformedError, match="61 of its 61 instants") as caught:
        found(step, **LOG)
    assert "  node: {from_path: '([^/]+)[.]csv'}" in str(caught.value)
    assert "device:" not in str(caught.value)
    by_node = {**LOG, "node": {"from_path": "([^/]+)[.]csv"}}
    assert found(step, **by_node)[0].quantize(Decimal("0.00001")) == Decimal("1.62")


def test_a_machine_without_device_whose_file_names_boards_is_refused(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", readings(["a", "b"] * 30))
    with pytest.raises(MalformedError, match="which the column 'gpu' tells apart"):
        found(step, **NAMED)


def test_a_named_device_that_is_still_several_gets_the_further_column(step: StepContext) -> None:
    lines = log((300, 500)).replace("index", "name, index").replace(".000000, ", ".000000, H100, ")
    write(step.site_folder, "meters/a.csv", lines.replace(".002000, ", ".002000, H100, "))
    with pytest.raises(MalformedError, match=r"device: \[name, index\]"):
        found(step, **LOG, device="name")


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        (["0"] * 30 + ["1"] * 31, False),  # once: another board
        (["0"] * 100 + ["1"] * 50 + ["0"] * 50, False),  # twice in 200 readings
        (["0"] * 100 + ["1"] * 50 + ["0"] * 49, True),
        ([str(number) for number in range(61)], False),  # lines are counted, no board comes again
        (["0"] * 61, False),
    ],
)
def test_a_board_may_change_its_index_once_or_once_in_a_hundred_readings(
    step: StepContext, values: list[str], refused: bool
) -> None:
    write(step.site_folder, "meters/a.csv", readings(values, "index"))
    if refused:
        with pytest.raises(MalformedError, match="several boards"):
            found(step, **NAMED)
    else:
        assert found(step, **NAMED)[0] == Decimal(len(values) - 1) / 100

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


def two_ways(columns: tuple[str, str], names: tuple[str, str], start_min: int = 0) -> tuple[str, str]:
    """Logs of one board at other seconds, by two columns that name it."""
    logs = []
    for number, (column, name) in enumerate(zip(columns, names, strict=True)):
        lines = [f"timestamp, {column}, power.draw [W]\n"]
        for minute in range(31):
            at = MIDNIGHT + timedelta(minutes=minute + number * start_min, seconds=20 * number)
            lines.append(f"{at:%Y/%m/%d %H:%M:%S}, {name}, {300 + minute % 3}.00 W\n")
        logs.append("".join(lines))
    return logs[0], logs[1]


UUID = "GPU-11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize("column", ["pci.bus_id", "index", "name"])
def test_one_board_by_two_columns_in_two_logs_is_refused(step: StepContext, column: str) -> None:
    """It would count once as its UUID and once as its index."""
    for name, text in zip("ab", two_ways(("uuid", column), (UUID, "0")), strict=True):
        write(step.site_folder, f"meters/{name}.csv", text)
    with pytest.raises(MalformedError, match=rf"a\.csv by 'uuid' and .*b\.csv by '{column}'|b\.csv.*a\.csv") as caught:
        found(step, **LOG)
    assert "take one of them out of `path`" in caught.value.remedy
    assert "nvidia-smi --query-gpu" in caught.value.remedy
    (*_, finding) = source(**LOG).check(step)
    assert not finding.ok


def test_a_column_that_both_logs_have_is_the_remedy(step: StepContext) -> None:
    first, second = two_ways(("uuid", "index"), (UUID, "0"))
    first = first.replace("uuid,", "uuid, index,").replace(f"{UUID},", f"{UUID}, 0,")
    for name, text in (("a", first), ("b", second)):
        write(step.site_folder, f"meters/{name}.csv", text)
    with pytest.raises(MalformedError, match="a board would count once under each name") as caught:
        found(step, **LOG)
    assert caught.value.remedy.endswith("\n  device: index")
    energy, notes = found(step, **LOG, device="index")
    assert (energy.quantize(Decimal("0.001")), notes["devices_told_by_several_files"]) == (Decimal("0.152"), 1)


@pytest.mark.parametrize(("start_min", "refused"), [(15, True), (25, False), (31, False)])
def test_a_log_with_another_column_may_follow_an_older_one(step: StepContext, start_min: int, refused: bool) -> None:
    for name, text in zip("ab", two_ways(("index", "uuid"), ("0", UUID), start_min), strict=True):
        write(step.site_folder, f"meters/{name}.csv", text)
    if refused:
        with pytest.raises(MalformedError, match="by different columns"):
            found(step, **LOG)
    else:
        found(step, **LOG)

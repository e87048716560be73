"""Several files that tell of one device at the same time: they agree and count once, or are refused with the line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.power_files.overlaps import telling_path
from energy_assets_tests.sources.power_files.reading import rows_read
from energy_assets_tests.sources.power_files.test_power_files import DAY, HEADER, MIDNIGHT, source, write

ONE = DayRange(DAY, DAY)
LOG = {"format": "nvidia_smi", "timezone": "UTC", "node": {"constant": "box"}}
BY_NODE = "  node: {from_path: '([^/]+)[.]csv'}   # the part"
BY_DEVICE = "  device: {from_path: '([^/]+)[.]csv'}   # the part"


def every(watts: Callable[[int], float], seconds: int = 60, late: int = 0, node: str = "n1", last: int = 3600) -> str:
    """CSV of readings in the first hour of the day, `late` seconds after the full ones; watts by the second."""
    return HEADER + "".join(
        f"{MIDNIGHT + timedelta(seconds=at + late):%Y-%m-%dT%H:%M:%SZ},{node},{watts(at)}\n"
        for at in range(0, last + 1, seconds)
    )


def log(watts: tuple[float, ...], late: int = 0, name: str = "", apart_ms: int = 2) -> str:
    """A log of nvidia-smi of an hour, with a board for each number, a line each some milliseconds after the other."""
    header = "timestamp, index, power.draw [W]\n" if not name else "timestamp, uuid, power.draw [W]\n"
    return header + "".join(
        f"{MIDNIGHT + timedelta(seconds=at + late, milliseconds=apart_ms * n):%Y/%m/%d %H:%M:%S.%f}, {name}{n}, {w} W\n"
        for at in range(0, 3601, 60)
        for n, w in enumerate(watts)
    )


def found(step: StepContext, **keys: Any) -> tuple[Decimal, dict[str, int]]:
    table, notes = rows_read(source(**keys), ONE, step)
    return sum((kwh for kwh in table["energy_kwh"].to_pylist() if kwh is not None), Decimal(0)), notes


def test_two_machines_under_one_name_are_refused_with_both_means_and_the_line(step: StepContext) -> None:
    """Interleaved, 300 W and 500 W would make one machine of 400 W, half of the energy."""
    write(step.site_folder, "meters/box1.csv", log((300, 310)))
    write(step.site_folder, "meters/box2.csv", log((500, 510), late=4))
    with pytest.raises(MalformedError, match="0 on box from 2024-05-09 00:00 to 2024-05-09 01:05 UTC") as caught:
        found(step, **LOG)
    for said in ("300.0 W by meters/box1.csv", "500.0 W by meters/box2.csv", BY_NODE, "take one of them out"):
        assert said in str(caught.value)
    *alone, together = source(**LOG).check(step)
    assert [finding.ok for finding in (*alone, together)] == [True, True, False]
    assert BY_NODE in together.remedy
    by_node = {**LOG, "node": {"from_path": "([^/]+)[.]csv"}}
    # 0.300 + 0.310 + 0.500 + 0.510 kW over an hour; rounded once a row, and two rows a board
    assert found(step, **by_node)[0].quantize(Decimal("0.00001")) == Decimal("1.62")


def test_two_logs_of_one_machine_count_once_and_are_told(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", every(lambda at: 600))
    write(step.site_folder, "meters/b.csv", every(lambda at: 600, late=20, last=3540))
    assert found(step) == (Decimal("0.6"), {"devices_told_by_several_files": 1})


@pytest.mark.parametrize(("watts", "refused"), [(606, False), (607, True), (593, True)])
def test_means_that_differ_by_more_than_one_per_cent_are_of_two_things(
    step: StepContext, watts: float, refused: bool
) -> None:
    """6.06 W of 606 W are allowed, and 6 are there; of 607 W 6.07, and 7 are there."""
    write(step.site_folder, "meters/a.csv", every(lambda at: 600))
    write(step.site_folder, "meters/b.csv", every(lambda at: watts, late=20))
    if refused:
        with pytest.raises(MalformedError, match="do not agree"):
            found(step)
    else:
        assert found(step)[1] == {"devices_told_by_several_files": 1}


def test_chance_in_when_a_load_is_read_is_no_disagreement(step: StepContext) -> None:
    """Means of 610 and 590 W, three per cent apart, by slots that differ by -100 to 140 W."""
    write(step.site_folder, "meters/a.csv", every(lambda at: 500 + 20 * (at // 300), last=3599))
    swung = [-90, 110, -90, 100, -80, 110, -70, 110, -80, 110, -90, 110]
    write(
        step.site_folder, "meters/b.csv", every(lambda at: 500 + 20 * (at // 300) + swung[at // 300], late=5, last=3599)
    )
    assert found(step)[1] == {"devices_told_by_several_files": 1}


def test_machines_that_work_in_turn_have_one_mean_and_are_two(step: StepContext) -> None:
    """Over two hours both draw 500 W on average, one 200 and then 800, the other one the reverse."""
    write(step.site_folder, "meters/a.csv", every(lambda at: 200 if at < 3600 else 800, last=7199))
    write(step.site_folder, "meters/b.csv", every(lambda at: 800 if at < 3600 else 200, late=20, last=7199))
    with pytest.raises(MalformedError, match=r"500\.0 W by .* 500\.0 W by"):
        found(step)


@pytest.mark.parametrize(("last", "refused"), [(480, False), (540, True)])
def test_a_handful_of_readings_of_a_log_that_is_rotated_is_not_compared(
    step: StepContext, last: int, refused: bool
) -> None:
    """Nine lines of the old log beside the new one, or ten."""
    write(step.site_folder, "meters/a.csv", every(lambda at: 600))
    write(step.site_folder, "meters/b.csv", every(lambda at: 300, late=20, last=last))
    if refused:
        with pytest.raises(MalformedError, match="do not agree"):
            found(step)
    else:
        assert found(step)[1] == {}


def test_a_uuid_is_one_board_whatever_file_tells_of_it(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", log((300,), name="GPU-0a1b2c3d-000"))
    write(step.site_folder, "meters/b.csv", log((500,), late=20, name="GPU-0a1b2c3d-000"))
    assert found(step, **LOG)[1] == {}


def test_a_file_of_several_machines_is_never_named_after_its_path(step: StepContext) -> None:
    """Two runs' logs of node_0 and node_1: the path as `node` would make one machine of both."""
    for name, watts in (("r1", 300), ("r2", 500)):
        late = watts // 50
        lines = [every(lambda at: watts, node=f"node_{n}", late=late) for n in (0, 1)]  # noqa: B023 - called at once
        text = lines[0] + lines[1].split("\n", 1)[1]
        write(
            step.site_folder, f"meters/{name}.csv", text.replace(",node_", ",gpu0,node_").replace(",node", ",b,node", 1)
        )
    with pytest.raises(MalformedError, match=r"node: \[that column, node\]") as caught:
        found(step, device="b", device_kind="gpu")
    assert "from_path" not in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "pattern"),
    [
        ("logs/box1.csv", "logs/box2.csv", "([^/]+)[.]csv"),
        ("logs/box1.csv.gz", "logs/box2.csv.gz", "([^/]+)[.]csv"),
        ("a/smi.csv", "b/smi.csv", "([^/]+)/[^/]+$"),
        ("a/x/smi.parquet", "b/x/smi.parquet", "(.+)[.]parquet"),
    ],
)
def test_the_part_of_the_path_that_tells_files_apart(first: str, second: str, pattern: str) -> None:
    assert telling_path(first, second) == pattern

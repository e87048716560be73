"""Several readings of one device at one instant: copies count once, different things are refused with their column."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.power_files.kinds import Device, kind_of
from energy_assets_tests.sources.power_files.reading import rows_read
from energy_assets_tests.sources.power_files.test_power_files import DAY, HEADER, MIDNIGHT, source, steps, write

ONE = DayRange(DAY, DAY)


def supplies(minutes: int = 60, watts: tuple[float, float] = (310, 290), header: str = "feed") -> str:
    """A machine with two supplies, a reading of each a minute."""
    lines = [f"time,node,{header},power_w,volts\n"]
    for minute in range(minutes + 1):
        at = MIDNIGHT + timedelta(minutes=minute)
        for number, value in enumerate(watts):
            lines.append(
                f"{at:%Y-%m-%dT%H:%M:%SZ},n1,PSU{number},{value},{230 + (minute * 7 + number * 3) % 5}.{number}\n"
            )
    return "".join(lines)


def energy(step: StepContext, **keys: Any) -> tuple[Decimal, dict[str, int]]:
    table, notes = rows_read(source(**keys), ONE, step)
    return sum(table["energy_kwh"].to_pylist(), Decimal(0)), notes


def test_two_supplies_under_one_name_are_refused_with_the_column_and_the_line(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", supplies())
    with pytest.raises(
        MalformedError, match=r"meters/a\.csv: at 61 instants .* 'feed' tells them apart \(PSU0, PSU1\)"
    ):
        energy(step)
    (finding,) = source().check(step)
    assert (finding.ok, "\n  device: feed " in finding.remedy) == (False, True)
    assert "leave one of them" in finding.remedy, "adding up is not the only way"
    assert energy(step, device="feed") == (Decimal("0.6"), {})


def test_one_instant_with_two_names_is_enough(step: StepContext) -> None:
    readings = ("00:00Z,n1,A,300", "00:00Z,n1,B,310", "05:00Z,n1,A,300")
    text = HEADER.replace("power_w", "feed,power_w") + "".join(f"2024-05-09T00:{one}\n" for one in readings)
    write(step.site_folder, "meters/a.csv", text)
    with pytest.raises(MalformedError, match="'feed' tells them apart"):
        energy(step)


def test_a_named_device_that_is_still_several_is_refused_with_both_columns(step: StepContext) -> None:
    lines = supplies().replace("PSU", "GPU-abcd1234,PSU").replace("feed", "uuid,feed")
    write(step.site_folder, "meters/a.csv", lines)
    with pytest.raises(MalformedError, match=r"device: \[uuid, feed\]"):
        energy(step, device="uuid")


def test_copies_count_once_and_a_column_that_tells_equal_ones_apart_is_told(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, 60) * 2)  # and no clock that was set back
    assert energy(step) == (Decimal("0.6"), {"duplicate_readings_dropped": 61})
    write(step.site_folder, "meters/a.csv", supplies(watts=(300, 300)))
    found, notes = energy(step)
    assert found == Decimal("0.3")
    assert notes == {"duplicate_readings_dropped": 61, "equal_readings_told_apart": 61}
    (finding,) = source().check(step)
    assert not finding.ok
    assert "column 'feed' (PSU0, PSU1)" in finding.what


def test_a_measured_column_is_no_name(step: StepContext) -> None:
    """Volts differ between lines of one instant, and never come in the same pairs again."""
    text = supplies().replace(",PSU0", "").replace(",PSU1", "").replace("feed,", "")
    write(step.site_folder, "meters/a.csv", text)
    with pytest.raises(MalformedError, match="no column tells them apart") as caught:
        energy(step)
    assert "timezone: Europe/Berlin" in str(caught.value)


def test_two_files_that_disagree_are_two_devices_or_two_logs_and_never_the_higher_of_both(step: StepContext) -> None:
    for name, watts in (("gpu0", 310), ("gpu1", 290)):
        write(step.site_folder, f"meters/{name}.csv", HEADER + steps(MIDNIGHT, 60, watts))
    with pytest.raises(MalformedError, match=r"meters/gpu0\.csv and meters/gpu1\.csv: .* 61 of its 61 instants"):
        energy(step)
    *alone, together = source().check(step)
    assert [finding.ok for finding in alone] == [True, True]
    assert not together.ok
    assert "device: {from_path: '([^/]+)[.]csv'}" in together.remedy
    assert "take one of them out" in together.remedy
    assert energy(step, device={"from_path": "([^/]+)[.]csv"}, device_kind="gpu") == (Decimal("0.6"), {})


@pytest.mark.parametrize(("minutes", "differing", "refused"), [(200, 2, False), (199, 2, False), (198, 2, True)])
def test_a_stray_line_in_a_hundred_instants_is_counted_and_more_are_refused(
    step: StepContext, minutes: int, differing: int, refused: bool
) -> None:
    """As in real logs: 200 instants with two that differ are strays, 199 are not."""
    stray = "".join(f"2024-05-09T00:0{n}:00Z,n1,590\n" for n in range(differing))
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, minutes) + stray)
    if refused:
        with pytest.raises(MalformedError, match="2 of its 199 instants"):
            energy(step)
        return
    found, notes = energy(step)
    assert found == Decimal(minutes) / 100, "the highest is kept"
    assert notes == {"duplicate_readings_dropped": 2, "disagreeing_readings_dropped": 2}


def test_readings_that_are_none_are_no_disagreement(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", supplies(watts=(600, 0)))
    assert energy(step) == (Decimal("0.6"), {"zero_readings_dropped": 61})


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ("GPU-0a1b2c3d-1111-2222-3333-444455556666", "gpu"),
        ("MIG-0a1b2c3d-1111-2222-3333-444455556666", "gpu"),
        ("NVIDIA H100 80GB HBM3", "gpu"),
        ("00000000:1B:00.0", "gpu"),
        ("PSU1", "node"),
        ("Power Supply 2", "node"),
        ("L3", "node"),
        ("0", None),
        ("L4", None),
        ("GPU-rack", None),
        ("psu-room-meter", None),
    ],
)
def test_a_device_is_what_its_name_leaves_no_doubt_of(device: str, kind: str | None) -> None:
    one = Device("n1", device, None, None)
    if kind is None:
        with pytest.raises(MalformedError, match="device_kind: gpu"):
            kind_of(one, None, named=True, gpus=False)
    else:
        assert kind_of(one, None, named=True, gpus=False) == kind
    assert kind_of(one, "cpu", named=True, gpus=False) == "cpu"


def test_boards_do_not_pass_for_whole_nodes_because_a_column_was_called_node(step: StepContext) -> None:
    name = "NVIDIA H100 80GB HBM3"
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, 60, node=name))
    (row,) = rows_read(source(confirmed=True), ONE, step)[0].to_pylist()
    assert (row["device_kind"], row["method"], row["quality_tier"]) == ("gpu", "measured_power", 2)
    (finding,) = source().check(step)
    assert f"1 device of kind gpu ({name})" in finding.what
    assert [seen.device_kind for seen in source().observe(step)] == ["gpu"]


def test_names_and_kinds_come_from_constants_columns_and_paths(step: StepContext) -> None:
    for kind, watts in (("gpu", 400), ("cpu", 100)):
        text = "time,power_w,what\n" + steps(MIDNIGHT, 60, watts).replace(",n1,", ",").replace(
            "\n", f",{kind.upper()}\n"
        )
        write(step.site_folder, f"meters/box-7_{kind}.csv", text)
    by_path = source(
        node={"from_path": "(box-[0-9]+)_"},
        device={"from_path": "_(?P<device>[a-z]+)[.]csv"},
        device_kind={"from_path": "_([a-z]+)[.]csv"},
    )
    by_column = source(node={"constant": "box-7"}, device="what", device_kind={"column": "what"})
    for one in (by_path, by_column):
        rows = rows_read(one, ONE, step)[0].to_pylist()
        assert [(r["node_id"], r["device_kind"], r["energy_kwh"]) for r in rows] == [
            ("box-7", "cpu", Decimal("0.1")),
            ("box-7", "gpu", Decimal("0.4")),
        ]
    with pytest.raises(MalformedError, match=r"its name has nothing for `node`: \(rack\[0-9\]\) does not match"):
        rows_read(source(node={"from_path": "(rack[0-9])"}), ONE, step)
    with pytest.raises(MalformedError, match="'box' is no kind of device"):
        rows_read(source(node={"constant": "n"}, device="what", device_kind={"from_path": "(box)"}), ONE, step)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"node": {"from_path": "box"}}, "needs a group"),
        ({"node": {"from_path": "(box"}}, "no regular expression"),
        ({"node": {}}, "is a column, a list of columns"),
        ({"node": {"constant": "a", "from_path": "(b)"}}, "is a column, a list of columns"),
        ({"device_kind": "gpus"}, "is one of gpu, cpu"),
        ({"device_kind": {"from_path": "gpu"}}, "needs a group"),
    ],
)
def test_a_name_in_site_yaml_that_says_nothing_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        source(**keys)


@pytest.mark.parametrize(
    ("cell", "keys", "kwh"),
    [
        ("600 W", {}, "0.6"),
        ("0.6kW", {}, "0.6"),
        ("600000 mW", {}, "0.6"),
        ("0.0006 MW", {}, "0.6"),
        ("0.6", {"power_unit": "kW"}, "0.6"),
        ("600000", {"power_unit": "mW"}, "0.6"),
        ("0.0006", {"power_unit": "MW"}, "0.6"),
        ("600", {"power_unit": "W"}, "0.6"),
        ("600 W", {"power_unit": "kW"}, "0.6"),
        ("6e2", {}, "0.6"),
    ],
)
def test_units_are_read_from_the_cell_before_the_site_file(
    step: StepContext, cell: str, keys: dict[str, str], kwh: str
) -> None:
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, 60).replace(",600\n", f",{cell}\n"))
    assert energy(step, **keys) == (Decimal(kwh), {})


@pytest.mark.parametrize(
    ("column", "unit"), [("Power (kW)", "kW"), ("power [MW]", "MW"), ("draw [mW]", "mW"), ("power_kw", "kW")]
)
def test_a_column_that_speaks_of_another_unit_is_not_read_as_watts(step: StepContext, column: str, unit: str) -> None:
    write(step.site_folder, "meters/a.csv", HEADER.replace("power_w", column) + steps(MIDNIGHT, 60))
    with pytest.raises(MalformedError, match=f"power_unit: {unit}"):
        energy(step, power_w=column)
    factor = {"kW": 1000, "MW": 1_000_000, "mW": Decimal("0.001")}[unit]
    assert energy(step, power_w=column, power_unit=unit)[0] == Decimal("0.6") * factor


@pytest.mark.parametrize("column", ["power [W]", "power_w", "Watts", "power.draw (W)", "load_watts"])
def test_a_column_that_speaks_of_watts_is_read(step: StepContext, column: str) -> None:
    write(step.site_folder, "meters/a.csv", HEADER.replace("power_w", column) + steps(MIDNIGHT, 60))
    assert energy(step, power_w=column) == (Decimal("0.6"), {})


def test_decimal_commas_are_read_where_they_are_proven(step: StepContext) -> None:
    lines = steps(MIDNIGHT, 60, watts=600.5).replace(",", ";").replace("600.5", "600,5")
    write(step.site_folder, "meters/a.csv", HEADER.replace(",", ";") + lines)
    assert energy(step) == (Decimal("0.6005"), {})
    doubtful = HEADER.replace(",", ";") + steps(MIDNIGHT, 60).replace(",", ";").replace(";600\n", ";1.510\n")
    write(step.site_folder, "meters/a.csv", doubtful)
    with pytest.raises(MalformedError, match='decimal: ","'):
        energy(step)
    assert energy(step, decimal=".")[0] == Decimal("0.00151")


def test_what_windows_writes_into_a_file_is_read(step: StepContext) -> None:
    """PowerShell's `>` writes UTF-16 with a mark."""
    (step.site_folder / "meters").mkdir()
    (step.site_folder / "meters/a.csv").write_bytes((HEADER + steps(MIDNIGHT, 60)).encode("utf-16"))
    assert energy(step) == (Decimal("0.6"), {})


def test_headers_once_more_and_blanks_around_cells_do_no_harm(step: StepContext) -> None:
    text = HEADER.replace(",", ", ") + steps(MIDNIGHT, 30).replace(",", ", ") + HEADER.replace(",", ", ")
    text += steps(MIDNIGHT + timedelta(minutes=31), 29).replace(",", " , ")
    write(step.site_folder, "meters/a.csv", text)
    assert energy(step) == (Decimal("0.6"), {})


def test_readings_too_far_apart_for_any_energy_are_told_with_first_and_last(step: StepContext) -> None:
    lines = "".join(f"2024-05-09T0{hour}:00:00Z,n1,600\n" for hour in range(3))
    write(step.site_folder, "meters/a.csv", HEADER + lines + steps(MIDNIGHT, 60, node="n2"))
    table, notes = rows_read(source(), ONE, step)
    assert notes == {"gaps_not_bridged": 2, "devices_without_energy": 1}
    assert set(table["node_id"].to_pylist()) == {"n2"}
    (finding,) = source().check(step)
    assert not finding.ok
    assert (
        "n1: 3 readings, 2024-05-09 00:00:00 to 2024-05-09 02:00:00 UTC, no two within 300 s; the nearest are 3600 s"
        in finding.what
    )
    assert "max_gap_s" in finding.remedy
    assert energy(step, max_gap_s=3600) == (Decimal("1.8"), {})
    assert rows_read(source(max_gap_s=3599), ONE, step)[1]["devices_without_energy"] == 1


def test_a_last_reading_at_midnight_is_no_device_without_energy(step: StepContext) -> None:
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT - timedelta(hours=1), 60))
    assert rows_read(source(), ONE, step)[1] == {}

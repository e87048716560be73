"""What `energy-assets doctor` says of files of readings, on the road that a run takes.

What belongs here: sentences. What does not: the rules (`tables`, `telling`, `kinds`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from energy_assets.counting import counted
from energy_assets.periods import DayRange
from energy_assets.sources.base import Finding
from energy_assets.sources.clock_names import DOUBTS
from energy_assets.sources.errors import SourceError
from energy_assets.sources.notes import words
from energy_assets.sources.opening import STATES_OFFSET, Opened
from energy_assets.sources.power_files.parse import nodes_of_runs, seen_devices
from energy_assets.sources.power_files.readings import Readings
from energy_assets.sources.power_files.tables import Found, Given, Rules, Tables, find_energy

_SHOWN = 4


def said_of_file(con: Any, readings: Readings, rules: Rules) -> Finding:
    """What one readable file holds, and what a run would say of it.

    Args:
        con: An Ibis connection to DuckDB.
        readings: The file.
        rules: Of site.yaml.

    Raises:
        MalformedError: a run would refuse it.
    """
    name = readings.file.name
    found = find_energy(con, [Given("", readings)], [], _without_windows(rules), None)
    number, first, last, watts = found.summary
    if not number or first is None or last is None:
        return Finding(False, f"{name}: no readings", "Narrow `path` to files that have some.")
    what = (
        f"{name}: {counted(number, 'reading')} of {_devices(con, found)}, "
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}, "
        f"median {_watts(watts or 0)} W; {_clock(readings)}, the first reading is {first:%Y-%m-%d %H:%M:%S} UTC"
    )
    if readings.torn.number:
        what += f"; left out: {readings.torn.said(name)}, cut while being written"
    cut = ("cut_lines_dropped",) if readings.torn.number else ()
    holes = {note: number for note, number in found.notes.items() if note in _TOLD}
    if not holes:
        return Finding(True, what, notes=cut)
    said = [words(note).of(number) for note, number in holes.items()]
    shown = [example for note in holes for example in found.examples.get(note, ())]
    remedies = [words(note).remedy for note in holes if words(note).remedy]
    return Finding(False, "; ".join([what, *said, *shown[:_SHOWN]]), " ".join(remedies), (*holes, *cut))


_TOLD = (
    *DOUBTS,
    "clocks_set_back",
    "devices_often_without_power",
    "devices_without_energy",
    "equal_readings_told_apart",
    "local_times_never_shown",
    "local_times_open",
    "powers_like_counters",
    "powers_like_kilowatts",
    "powers_like_milliwatts",
    "readings_in_bursts",
)
"""Notes that a person should settle before a run."""


def said_together(con: Any, files: Sequence[Readings], rules: Rules) -> Iterator[Finding]:
    """What files say against each other on the last day that has readings, as a run of that day would find it.

    Args:
        con: An Ibis connection to DuckDB.
        files: Those that can be read alone.
        rules: Of site.yaml.
    """
    last = {}
    for one in files:
        if seen := seen_devices(con, one):
            last[one.file.name] = max(ended for *_, ended in seen)
    if not last:
        return
    day = max(last.values()).date()
    near = [one for one in files if one.file.name in last and last[one.file.name].date() >= day - timedelta(days=1)]
    given = [Given(str(number), one) for number, one in enumerate(near)]
    try:
        found = find_energy(con, given, [], _without_windows(rules), DayRange(day, day))
    except SourceError as error:
        yield Finding(False, error.message, error.remedy)
        return
    if found.energy.disagreements:
        note = "disagreeing_readings_dropped"
        yield Finding(True, words(note).of(found.notes[note]), notes=(note,))


def said_of_windows(
    con: Any,
    names: Sequence[str],
    opened: Callable[[], Sequence[Opened]],
    readings: Sequence[Readings],
    rules: Rules,
) -> Iterator[Finding]:
    """Whether the runs of windows are those that readings name.

    Args:
        con: An Ibis connection to DuckDB.
        names: Of the files of windows.
        opened: Opens them.
        readings: The files of readings.
        rules: Of site.yaml, with windows.
    """
    tables = Tables(con)
    try:
        if rules.windows is None:
            return
        tables.add_windows(opened(), rules.windows, None)
        seen = [nodes_of_runs(one) for one in readings] if rules.runs_named else None
        number, matched = tables.match_windows(seen)
    except SourceError as error:
        yield Finding(False, error.message, error.remedy)
        return
    finally:
        tables.drop()
    yield Finding(
        matched > 0,
        f"{', '.join(names)}: {number} windows"
        + (f", {matched} of runs that the readings name" if rules.runs_named else ""),
        "" if matched else "Give `run` and `windows.run` the same columns, so that the names are equal.",
    )


def _without_windows(rules: Rules) -> Rules:
    return Rules(**{**vars(rules), "windows": None})


def _devices(con: Any, found: Found) -> str:
    """Which devices on which machines, by name: `2 gpu (GPU-1a, GPU-2b) on 1 node (box-1)`."""
    rows = con.to_pyarrow(found.kinds.order_by("node_id", "device_id")).to_pylist()
    nodes = list(dict.fromkeys(row["node_id"] for row in rows))
    machines = f"{_number(len(nodes), 'node')} ({_listed(nodes)})"
    by_kind: dict[str, list[str]] = {}
    for row in rows:
        if (row["node_id"], "node") != (row["device_id"], row["device_kind"]):
            by_kind.setdefault(row["device_kind"], []).append(row["device_id"])
    if not by_kind:
        return machines
    devices = ", ".join(
        f"{_number(len(names), 'device')} of kind {kind} ({_listed(names)})" for kind, names in by_kind.items()
    )
    own = all(row["node_id"] == row["device_id"] for row in rows)
    return devices if own else f"{devices} on {machines}"


def _watts(watts: float) -> str:
    return f"{watts:.0f}" if watts >= 10 else f"{watts:.2g}"


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _clock(readings: Readings) -> str:
    """How the times of a file are taken."""
    clock, column = readings.wanted.clock, readings.columns.time
    kind = readings.file.types[column]
    if clock.unit is not None and not kind.startswith(("TIMESTAMP", "DATE")):
        return f"times are {clock.unit} since 1970"
    sample = readings.file.sample(column)[:1] if kind == "VARCHAR" else []
    if kind == "TIMESTAMP WITH TIME ZONE" or any(map(STATES_OFFSET.search, sample)):
        return "times state their offset"
    if clock.timezone:
        return f"times are taken as {clock.timezone}"
    return "times are taken as UTC (`timezone` names another zone)"

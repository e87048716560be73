"""From opened files to energy: the temporary tables of one parse, and what is left out, replaced or refused.

What belongs here: the one road that a run and the doctor take alike. What does not: opening files (`opening`), choosing
them (`source`), and the integral (`energy_assets.sources.power`).
"""

# ruff: noqa: S608 - table names are made here

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import ibis

from energy_assets.counting import counted
from energy_assets.periods import DayRange
from energy_assets.sources import clock_names, local_time
from energy_assets.sources.opening import Opened
from energy_assets.sources.power import OFTEN_ZERO, GapPolicy, HourlyEnergy, Lone, Zeros, hourly_energy
from energy_assets.sources.power_files.boards import require_boards_named, require_one_naming
from energy_assets.sources.power_files.columns import WindowColumns
from energy_assets.sources.power_files.copies import copied_files, drop_copied_readings
from energy_assets.sources.power_files.doubts import looked_at, no_watts, require_one_device
from energy_assets.sources.power_files.kinds import create_kinds
from energy_assets.sources.power_files.names import Name
from energy_assets.sources.power_files.overlaps import device_said, require_one_thing, shared_time
from energy_assets.sources.power_files.parse import add_readings, create_readings, create_windows, nodes_of_runs
from energy_assets.sources.power_files.presence import (
    add_presence,
    create_known_hours,
    create_presence,
    with_unread_hours,
)
from energy_assets.sources.power_files.readings import Readings
from energy_assets.sources.power_files.telling import (
    crowded,
    refuse,
    require_agreement,
    set_back,
    telling_column,
)

ALWAYS = (datetime(1990, 1, 1, tzinfo=UTC), datetime(2110, 1, 1, tzinfo=UTC))
_SHOWN = 5
_serial = count(1)


@dataclass(frozen=True)
class Rules:
    """How readings become energy, as site.yaml says it.

    Attributes:
        max_gap_s: See `hourly_energy`, as the next two.
        gap_policy: What is done with longer gaps.
        max_bridge_s: The longest gap that is bridged.
        windows: Columns of the files of windows; None where there are none.
        runs_named: Whether readings name runs.
        stated: What all devices are; None where names tell it.
        kinds_told: Whether files tell what devices are.
        device: Where devices are named.
        gpus: Whether files are of a format that knows GPUs alone.
        by_run: Whether the names of machines hold those of runs, so that they end with them.
    """

    max_gap_s: int
    gap_policy: GapPolicy
    max_bridge_s: int
    windows: WindowColumns | None
    runs_named: bool
    stated: str | None
    kinds_told: bool
    device: Name | None
    gpus: bool
    by_run: bool = False

    @property
    def reach(self) -> timedelta:
        """How far outside a day a reading can matter for it."""
        longest = self.max_gap_s if self.gap_policy == "none" else max(self.max_gap_s, self.max_bridge_s)
        return timedelta(seconds=longest)

    @property
    def named(self) -> bool:
        """Whether devices have names of their own."""
        return self.device is not None

    @property
    def looked(self) -> timedelta:
        """How far outside a day readings are looked at: a gap over midnight is seen where both its hours have some."""
        return max(self.reach, timedelta(hours=1))


@dataclass(frozen=True)
class Given:
    """A file of readings, and what its rows name as their origin."""

    origin: str
    readings: Readings


@dataclass(frozen=True)
class Found:
    """What readings make.

    Attributes:
        energy: By hour, device and run.
        kinds: What each device is: `node_id`, `device_id`, `device_kind`, `model`.
        notes: What was left out or replaced.
        examples: The first few of them.
        summary: Of the readings themselves: how many, first and last instant, median watts.
    """

    energy: HourlyEnergy
    kinds: ibis.Table
    notes: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]
    summary: tuple[int, datetime | None, datetime | None, float | None]


def find_energy(
    con: Any,
    given: Sequence[Given],
    windows: Sequence[Opened],
    rules: Rules,
    days: DayRange | None,
    now: datetime = ALWAYS[1],
) -> Found:
    """The energy of files of readings.

    Args:
        con: An Ibis connection to DuckDB.
        given: Files of readings.
        windows: Files of run windows.
        rules: Of site.yaml.
        days: Only these; None for whatever the files hold.
        now: Hours that are not over have no row without energy.

    Raises:
        MalformedError: a cell cannot be read, a device is of no certain kind, or readings are of different things.
    """
    tables = Tables(con)
    try:
        create_readings(con, tables.readings)
        create_presence(con, tables.presence)
        given, copied = _without_copied_files(given)
        span = (days.start - rules.looked, days.end + rules.looked) if days else ALWAYS
        for one in given:
            add_readings(con, tables.readings, one.readings, one.origin, span)
            add_presence(con, tables.presence, one.readings, one.origin)
        notes, examples = tables.drop_nameless(days), dict[str, Sequence[str]]()
        tables.drop_misplaced(days, given, notes, examples)
        tables.drop_copies(days, given, copied, notes, examples)
        if torn := [one.readings for one in given if one.readings.torn.number]:
            notes["cut_lines_dropped"] = sum(one.torn.number for one in torn)
            examples["cut_lines_dropped"] = [one.torn.said(one.file.name) for one in torn[:_SHOWN]]
        create_known_hours(con, tables.known, tables.presence, days, now, stays=not rules.by_run)
        create_kinds(con, tables.kinds, tables.told_of, rules.stated, named=rules.named, gpus=rules.gpus)
        by_node = None
        if rules.windows:
            notes |= tables.add_windows(windows, rules.windows, days)
            seen = [nodes_of_runs(one.readings) for one in given] if rules.runs_named else None
            by_node = tables.windows_by_node(by_node=rules.windows.node is not None, seen=seen)
        energy = hourly_energy(
            con.table(tables.readings),
            max_gap_s=rules.max_gap_s,
            gap_policy=rules.gap_policy,
            max_bridge_s=rules.max_bridge_s,
            windows=by_node,
            within=(days.start, days.end) if days else None,
        )
        tables.require_boards_named(days, given)
        _require_one_voice(con, tables.readings, given, energy, rules, notes, examples)
        tables.require_files_agree(days, given, rules, notes, examples)
        tables.doubt(days, given, notes, examples)
        _tell_zeros(energy.zeros, notes, examples)
        energy = tables.with_unread_hours(energy, notes, examples)
        _tell_lone(energy.lone, rules, notes, examples)
        summary = tables.summary()
    finally:
        tables.drop()
    return Found(energy, con.table(tables.kinds), notes | dict(energy.notes), examples, summary)


def _without_copied_files(given: Sequence[Given]) -> tuple[list[Given], list[str]]:
    """The files without copies of others, where their paths give names; and what to say of these."""
    by_path = [one.readings for one in given if one.readings.columns.by_path]
    copies = copied_files(by_path) if len(by_path) > 1 else {}
    kept = [one for one in given if one.readings.file.name not in copies]
    return kept, [f"{copy} holds the bytes of {other}, which counts" for copy, other in sorted(copies.items())]


def _require_one_voice(
    con: Any,
    readings: str,
    given: Sequence[Given],
    energy: HourlyEnergy,
    rules: Rules,
    notes: dict[str, int],
    examples: dict[str, Sequence[str]],
) -> None:
    """Copies count once, what disagrees is refused or a stray line, and clocks that go back are told."""
    device = list(rules.device.columns) if rules.device else []
    for log in (one.readings for one in given):
        if named := clock_names.doubt(log.file, log.columns.time, log.wanted.clock):
            notes[named] = notes.get(named, 0) + 1
            examples[named] = [*examples.get(named, ()), f"{log.file.name}: column '{log.columns.time}'"][:_SHOWN]
    back = crowded(con, readings)
    several = bool(energy.notes.get("duplicate_readings_dropped"))
    for one in given:
        told = telling_column(con, one.readings) if several else None
        if told and energy.disagreements:
            raise refuse(told, one.readings, device, rules.stated is not None or rules.kinds_told)
        if told:
            notes["equal_readings_told_apart"] = notes.get("equal_readings_told_apart", 0) + told.instants
            shown = f"{one.readings.file.name}: column '{told.column}' ({', '.join(told.values[:4])})"
            examples["equal_readings_told_apart"] = [*examples.get("equal_readings_told_apart", ()), shown][:_SHOWN]
        elif one.origin in back and (devices := set_back(con, one.readings)):
            notes["clocks_set_back"] = notes.get("clocks_set_back", 0) + devices
            examples["clocks_set_back"] = [*examples.get("clocks_set_back", ()), one.readings.file.name][:_SHOWN]
    if not several:
        return
    strays, where = require_agreement(energy.disagreements, {one.origin: one.readings for one in given})
    if strays:
        notes["disagreeing_readings_dropped"] = strays
        examples["disagreeing_readings_dropped"] = where[:_SHOWN]


def _tell_zeros(zeros: Sequence[Zeros], notes: dict[str, int], examples: dict[str, Sequence[str]]) -> None:
    if zeros:
        notes[OFTEN_ZERO] = len(zeros)
        examples[OFTEN_ZERO] = [
            f"{device_said(one.node_id, one.device_id)}: {one.zeros:,} of {counted(one.instants, 'reading')}"
            for one in zeros[:_SHOWN]
        ]


def _tell_lone(lone: Sequence[Lone], rules: Rules, notes: dict[str, int], examples: dict[str, Sequence[str]]) -> None:
    if lone:
        notes["devices_without_energy"] = len(lone)
        examples["devices_without_energy"] = [said_of_lone(one, rules) for one in lone[:_SHOWN]]


def said_of_lone(one: Lone, rules: Rules) -> str:
    """Why a device with readings has no energy.

    Args:
        one: The device.
        rules: Of site.yaml.
    """
    name = one.node_id if one.node_id == one.device_id else f"{one.device_id} on {one.node_id}"
    period = f"{one.first:%Y-%m-%d %H:%M:%S} to {one.last:%Y-%m-%d %H:%M:%S} UTC"
    if one.nearest_s is None:
        return f"{name}: a single reading, at {one.first:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{name}: {counted(one.readings, 'reading')}, {period}, no two within "
        f"{rules.reach.total_seconds():.0f} s; the nearest are {one.nearest_s:g} s apart"
    )


class Tables:
    """The temporary tables of one parse or check; that of the kinds stays, for rows are made with it."""

    def __init__(self, con: Any) -> None:
        number = next(_serial)
        self._con = con
        self.readings = f"power_readings_{number}"
        self.presence = f"power_presence_{number}"
        self.known = f"power_known_{number}"
        self.kinds = f"power_kinds_{number}"
        self.told_of = (
            f"(SELECT node_id, device_id, kind, model FROM {self.readings} UNION ALL "
            f"SELECT node_id, device_id, kind, model FROM {self.known})"
        )
        self._rows = f"power_rows_{number}"
        self._windows = f"power_runs_{number}"
        self._by_node = f"power_runs_by_node_{number}"

    def summary(self) -> tuple[int, datetime | None, datetime | None, float | None]:
        """How many readings, the first and the last instant, median watts."""
        sql = f"SELECT count(*), min(time), max(time), median(power_w) FROM {self.readings}"
        found: tuple[int, datetime | None, datetime | None, float | None] = self._con.raw_sql(sql).fetchone()
        return found

    def drop_nameless(self, days: DayRange | None) -> dict[str, int]:
        """Readings without a node or device belong to nobody."""
        nameless = "node_id IS NULL OR device_id IS NULL"
        number = self._value(f"SELECT count(*) FROM {self.readings} WHERE ({nameless}) AND {_within('time', days)}")
        self._con.raw_sql(f"DELETE FROM {self.readings} WHERE {nameless}")
        return {"readings_without_node_dropped": number} if number else {}

    def drop_misplaced(
        self,
        days: DayRange | None,
        given: Sequence[Given],
        notes: dict[str, int],
        examples: dict[str, Sequence[str]],
    ) -> None:
        """Times that clocks never showed are dropped; those whose pass of a repeated hour is open are told.

        Args:
            days: Only these are counted; None for all.
            given: The files, for their names.
            notes: Gets the counts.
            examples: Gets where they are.
        """
        names = {one.origin: one.readings.file.name for one in given}
        for clock, note in ((local_time.NEVER, "local_times_never_shown"), (local_time.UNRESOLVED, "local_times_open")):
            rows = self._con.raw_sql(
                f"SELECT count(*), min(origin), min(time) FROM {self.readings} WHERE clock = '{clock}' "
                f"AND {_within('time', days)} GROUP BY origin ORDER BY 2"
            ).fetchall()
            if rows:
                notes[note] = sum(row[0] for row in rows)
                examples[note] = [f"{names[row[1]]}: {row[0]}, first taken as {row[2]} UTC" for row in rows[:_SHOWN]]
        self._con.raw_sql(f"DELETE FROM {self.readings} WHERE clock = '{local_time.NEVER}'")

    def drop_copies(
        self,
        days: DayRange | None,
        given: Sequence[Given],
        copied: Sequence[str],
        notes: dict[str, int],
        examples: dict[str, Sequence[str]],
    ) -> None:
        """Devices that are copies of others in another file are taken out, and told.

        Args:
            days: Only these are told; None for all.
            given: The files.
            copied: What to say of files that were left out already.
            notes: Gets the count.
            examples: Gets which they are.
        """
        said = list(copied)
        if len(given) > 1:
            files = {one.origin: one.readings for one in given}
            said += drop_copied_readings(self._con, self.readings, self.presence, files, days)
        if said:
            notes["copies_under_other_names_dropped"] = len(said)
            examples["copies_under_other_names_dropped"] = said[:_SHOWN]

    def require_files_agree(
        self,
        days: DayRange | None,
        given: Sequence[Given],
        rules: Rules,
        notes: dict[str, int],
        examples: dict[str, Sequence[str]],
    ) -> None:
        """Files that tell of one device at the same time agree, or are refused; those that do are told.

        Args:
            days: Only these are looked at; None for all.
            given: The files.
            rules: Of site.yaml.
            notes: Gets the count.
            examples: Gets which they are.

        Raises:
            MalformedError: they are of different things.
        """
        if len(given) < 2:
            return
        found = shared_time(self._con, self.readings, rules.max_gap_s, _within("time", days))
        if said := require_one_thing(found, {one.origin: one.readings for one in given}):
            notes["devices_told_by_several_files"] = len(said)
            examples["devices_told_by_several_files"] = said[:_SHOWN]

    def require_boards_named(self, days: DayRange | None, given: Sequence[Given]) -> None:
        """Each name is of one board, and each board has one name.

        Args:
            days: Only these are looked at for names of one board; None for all.
            given: The files.

        Raises:
            MalformedError: a column says that it is not so.
        """
        for one in given:
            require_boards_named(self._con, one.readings)
        files = {one.origin: one.readings for one in given}
        require_one_naming(self._con, self.readings, files, _within("time", days))

    def doubt(
        self,
        days: DayRange | None,
        given: Sequence[Given],
        notes: dict[str, int],
        examples: dict[str, Sequence[str]],
    ) -> None:
        """Readings that can hardly be watts, or of one device, are told.

        Args:
            days: Only these are looked at; None for all.
            given: The files.
            notes: Gets the counts.
            examples: Gets which they are.

        Raises:
            MalformedError: they are of several devices under one name.
        """
        files = {one.origin: one.readings for one in given}
        found = looked_at(self._con, self.readings, self.kinds, _within("time", days))
        said = no_watts(found, files)
        if bursts := require_one_device(found, files):
            said["readings_in_bursts"] = bursts
        for note, lines in said.items():
            notes[note] = len(lines)
            examples[note] = lines[:_SHOWN]

    def with_unread_hours(
        self, energy: HourlyEnergy, notes: dict[str, int], examples: dict[str, Sequence[str]]
    ) -> HourlyEnergy:
        """The energy with a row for each hour in which a device is known and was not read.

        Args:
            energy: Of the readings.
            notes: Gets the count.
            examples: Gets which hours of which devices.
        """
        before = energy.rows.get_name()
        numbers, said = with_unread_hours(self._con, self._rows, before, self.known)
        self._con.raw_sql(f"DROP TABLE {before}")
        notes |= numbers
        examples |= {note: lines[:_SHOWN] for note, lines in said.items()}
        return replace(energy, rows=self._con.table(self._rows))

    def add_windows(self, files: Sequence[Opened], columns: WindowColumns, days: DayRange | None) -> dict[str, int]:
        """Windows that have an end after their start; the others are dropped, and counted if they start in `days`.

        Args:
            files: Files of windows.
            columns: Which of their columns hold what.
            days: Only these are counted; None for all.
        """
        self._con.raw_sql(
            f'CREATE TEMP TABLE {self._windows} (node_id VARCHAR, run VARCHAR, "start" TIMESTAMP, "end" TIMESTAMP)'
        )
        for file in files:
            create_windows(self._con, f"{self._windows}_new", file, columns)
            self._con.raw_sql(f"INSERT INTO {self._windows} FROM {self._windows}_new")
            self._con.raw_sql(f"DROP TABLE {self._windows}_new")
        broken = '("end" IS NULL OR "end" <= "start")'
        where = _within('"start"', days)
        number = self._value(f"SELECT count(*) FROM {self._windows} WHERE {broken} AND {where}")
        self._con.raw_sql(f"DELETE FROM {self._windows} WHERE {broken}")
        return {"windows_without_end_dropped": number} if number else {}

    def windows_by_node(self, *, by_node: bool, seen: Sequence[str] | None) -> ibis.Table:
        """Each window on the nodes it is for: those it names, or those whose readings name its run, or all.

        Args:
            by_node: Whether windows name nodes.
            seen: SQL for the runs that readings name on each node; None where they name none.
        """
        if by_node:
            return self._con.table(self._windows)
        if seen:
            nodes = f"SELECT DISTINCT * FROM ({' UNION ALL '.join(seen)})"
            how = "JOIN nodes USING (run)"
        else:
            nodes, how = f"SELECT DISTINCT node_id FROM {self.readings}", "CROSS JOIN nodes"
        self._con.raw_sql(f"""
            CREATE TEMP TABLE {self._by_node} AS WITH nodes AS ({nodes})
            SELECT nodes.node_id, w.run, w."start", w."end" FROM {self._windows} AS w {how}
            WHERE nodes.node_id IS NOT NULL""")
        return self._con.table(self._by_node)

    def match_windows(self, seen: Sequence[str] | None) -> tuple[int, int]:
        """How many windows there are, and of how many the readings know the run."""
        number = self._value(f"SELECT count(*) FROM {self._windows}")
        if not seen:
            return number, number
        known = f"SELECT run FROM ({' UNION ALL '.join(seen)})"
        return number, self._value(f"SELECT count(*) FROM {self._windows} WHERE run IN ({known})")

    def drop(self) -> None:
        """Give the memory back."""
        for table in (self.readings, self.presence, self.known, self._windows, self._by_node):
            self._con.raw_sql(f"DROP TABLE IF EXISTS {table}")

    def _value(self, sql: str) -> int:
        return int(self._con.raw_sql(sql).fetchone()[0])


def _within(column: str, days: DayRange | None) -> str:
    if days is None:
        return "TRUE"
    start, end = (f"TIMESTAMP '{at:%Y-%m-%d %H:%M:%S}'" for at in (days.start, days.end))
    return f"{column} >= {start} AND {column} < {end}"

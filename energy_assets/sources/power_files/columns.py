"""Which columns of a file hold what: as site.yaml says it, and by the names that one file has for them.

What belongs here: finding columns, and refusing files that have none of them. What does not: what stands in their
cells (`readings`, `watts`), and NVIDIA's names (`nvidia_smi`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import Clock, Table
from energy_assets.sources.power_files import nvidia_smi
from energy_assets.sources.power_files.names import Kind, Name
from energy_assets.sources.power_files.watts import PowerUnit

Format = Literal["nvidia_smi"]


@dataclass(frozen=True)
class ReadingColumns:
    """Which columns hold what, as site.yaml says it; `of` says it for one file.

    Attributes:
        time: Column of the instant; None where the format knows it.
        clock: How its times are written.
        node: The machine.
        device: The device on it; None for the machine itself, or where the format knows it.
        run: Who used it; None for nobody known.
        power_w: Column of the power; None where the format knows it.
        power_unit: Of numbers without a unit; None for watts.
        decimal: The decimal mark, where a file does not prove it.
        kind: What is metered; None where names tell it.
        format: Of files that are known by name.
        joined_s: Readings no further apart belong together, for repeated hours.
    """

    time: str | None
    clock: Clock
    node: Name
    device: Name | None
    run: Name | None
    power_w: str | None
    power_unit: PowerUnit | None = None
    decimal: Literal[".", ","] | None = None
    kind: Kind | None = None
    format: Format | None = None
    joined_s: int = 300

    def of(self, table: Table, path: str) -> FileColumns:
        """Which columns of one file hold what.

        Args:
            table: Its header.
            path: Its path or url.

        Raises:
            MalformedError: a column is not there, or the file is of another kind.
        """
        _refuse_totals(table, path)
        if said := nvidia_smi.unread_output(table.names):
            raise MalformedError(
                f"{path}: {said}", f"Write it with `{nvidia_smi.COMMAND}`, or take it out of `path` in site.yaml."
            )
        if self.format == "nvidia_smi":
            return self._of_log(table, path)
        return FileColumns(
            time=table.column(self.time or "time", "time"),
            power=table.column(self.power_w or "power_w", "power_w"),
            node=_found(self.node, table, "node"),
            device=_found(self.device, table, "device") if self.device else None,
            run=_found(self.run, table, "run") if self.run else None,
            kind=_found_kind(self.kind, table) if self.kind else None,
            model=None,
        )

    def _of_log(self, table: Table, path: str) -> FileColumns:
        header = table.names
        device = nvidia_smi.first_of(nvidia_smi.DEVICES, header)
        if not nvidia_smi.is_log(header) or not (device or self.device):
            raise MalformedError(
                f"{path}: is no log of nvidia-smi with timestamp, power.draw and uuid or index in its header; it has "
                + ", ".join(f"'{name}'" for name in header[:12]),
                f"Write it with `{nvidia_smi.COMMAND}`, or take it out of `path` in site.yaml.",
            )
        return FileColumns(
            time=table.column(self.time or nvidia_smi.TIME, "time"),
            power=table.column(self.power_w or nvidia_smi.power_column(header) or "", "power_w"),
            node=_found(self.node, table, "node"),
            device=_found(self.device or Name(columns=(device or "",)), table, "device"),
            run=_found(self.run, table, "run") if self.run else None,
            kind=_found_kind(self.kind, table) if self.kind else None,
            model=nvidia_smi.first_of(nvidia_smi.MODELS, header),
        )


@dataclass(frozen=True)
class FileColumns:
    """The columns of one file, by the names it has for them."""

    time: str
    power: str
    node: Name
    device: Name | None
    run: Name | None
    kind: Kind | None
    model: str | None

    @property
    def by_path(self) -> bool:
        """Whether the path of the file names what its readings are of."""
        return any(name is not None and name.from_path is not None for name in (self.node, self.device))

    @property
    def naming(self) -> set[str]:
        """Columns that say when a reading is and of what."""
        named = [name.columns for name in (self.node, self.device) if name]
        return {self.time, self.power, *(column for columns in named for column in columns)}


@dataclass(frozen=True)
class WindowColumns:
    """Which columns of a file of windows hold what."""

    start: str
    end: str
    clock: Clock
    run: Name
    node: Name | None

    def of(self, table: Table) -> WindowColumns:
        """The same by the names that one file has for them.

        Args:
            table: Its header.

        Raises:
            MalformedError: a column is not there.
        """
        return replace(
            self,
            start=table.column(self.start, "start"),
            end=table.column(self.end, "end"),
            run=_found(self.run, table, "run"),
            node=_found(self.node, table, "node") if self.node else None,
        )


def _refuse_totals(table: Table, path: str) -> None:
    if {"emissions_rate", "energy_consumed", "duration"} <= set(table.names):
        raise MalformedError(
            f"{path}: is CodeCarbon's emissions.csv: its rows are totals of runs so far, not power at an instant, and "
            "make no energy by the hour",
            f"Take it out of `path` and log the power itself while runs go on, for GPUs with `{nvidia_smi.COMMAND}` "
            "and `format: nvidia_smi`.",
        )


def _found(name: Name, table: Table, key: str) -> Name:
    if not name.columns:
        return name
    return Name(columns=tuple(table.column(column, key) for column in name.columns))


def _found_kind(kind: Kind, table: Table) -> Kind:
    return Kind(column=table.column(kind.column, "device_kind")) if kind.column is not None else kind

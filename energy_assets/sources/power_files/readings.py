"""A readable file of readings: its columns, and SQL for its rows.

What belongs here: what each row of one file says. What does not: when local times were (`parse`), how a file is opened
(`opening`), and which columns hold what (`columns`).
"""

# ruff: noqa: S608 - column names and values are quoted

from __future__ import annotations

from dataclasses import dataclass

from energy_assets.sources.opening import Opened, quoted, text_sql
from energy_assets.sources.power_files.columns import FileColumns, ReadingColumns
from energy_assets.sources.power_files.names import joined
from energy_assets.sources.power_files.torn import NONE_TORN, Torn, without_torn_lines
from energy_assets.sources.power_files.watts import require_unit, watts_sql


@dataclass(frozen=True)
class Readings:
    """A readable file of readings.

    Attributes:
        file: As it was opened.
        columns: Which of its columns hold what.
        wanted: The same as site.yaml says it.
        torn: Lines that `file` leaves out.
    """

    file: Opened
    columns: FileColumns
    wanted: ReadingColumns
    torn: Torn = NONE_TORN

    @classmethod
    def of(cls, file: Opened, wanted: ReadingColumns) -> Readings:
        """Find the columns in a file.

        Args:
            file: As it was opened.
            wanted: As site.yaml says it.

        Raises:
            MalformedError: a column is not there, or its numbers are of no certain unit, or most of its
                lines are torn.
        """
        columns = wanted.of(file.table, file.name)
        whole, torn = without_torn_lines(file, columns.time, columns.power, wanted.clock)
        require_unit(file.name, columns.power, wanted.power_unit)
        return cls(whole, columns, wanted, torn)

    @property
    def zone(self) -> str | None:
        """The time zone of times that state no offset; None for UTC."""
        return self.wanted.clock.timezone

    def selected(self) -> str:
        """SQL for the readings: `node_id`, `device_id`, `run`, `kind`, `model`, `local_us`, `t`, `power` in watts.

        Raises:
            MalformedError: the name of the file does not say what it should.
        """
        columns, path = self.columns, self.file.name
        node = columns.node.sql("node", path)
        local, fixed = self.file.times(columns.time, self.wanted.clock)
        again = f"strlen({quoted(columns.time)}) < {len(columns.time) + 9} AND trim({quoted(columns.time)}) = "
        again += text_sql(columns.time)
        header = f"coalesce({again}, FALSE)" if self.file.types[columns.time] == "VARCHAR" else "FALSE"
        return f"""
            SELECT
                {node} AS node_id, {columns.device.sql("device", path) if columns.device else node} AS device_id,
                {columns.run.sql("run", path) if columns.run else "NULL"} AS run,
                {columns.kind.sql(path) if columns.kind else "NULL"} AS kind,
                {joined((columns.model,)) if columns.model else "NULL"} AS model,
                {local} AS local_us, {fixed} AS t, {self.power()} AS power
            FROM {self.file.relation} WHERE NOT {header}"""

    def power(self, *, lenient: bool = False) -> str:
        """SQL for the power in watts.

        Args:
            lenient: NULL at what is neither a number nor empty, instead of an error.
        """
        wanted = self.wanted
        return watts_sql(self.file, self.columns.power, wanted.power_unit, wanted.decimal, lenient=lenient)

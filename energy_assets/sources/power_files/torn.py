"""Lines of logs that were cut: a logger was killed within a line, and what came next was written on to it.

What belongs here: telling such lines, and reading a file without them. What does not: what a whole line says (`parse`).
A line is torn if it has not as many fields as the header, if its time is longer than others and cannot be read (the
beginning of a line before a whole one), or if it is the last one, has no end, and may lack digits of its power.
"""

# ruff: noqa: S608 - column names and values are quoted

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from energy_assets.counting import counted
from energy_assets.sources import local_time
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import Clock, Opened, quoted, text_sql
from energy_assets.sources.power_files import nvidia_smi

FEW = 10
OFTEN = 100
"""More than `FEW` torn lines, and one in so many, are no killed logger: it wrote other columns than the header says."""

SHOWN = 5


@dataclass(frozen=True)
class Torn:
    """Lines of a file that are left out.

    Attributes:
        number: How many.
        first: The numbers of the first ones; the header of the file is line 1.
    """

    number: int = 0
    first: Sequence[int] = ()

    def said(self, name: str) -> str:
        """Where they are.

        Args:
            name: Of the file.
        """
        more = " and more" if self.number > len(self.first) else ""
        lines = "line" if self.number == 1 else "lines"
        return f"{name}: {lines} {', '.join(map(str, self.first))}{more}"


NONE_TORN = Torn()


def without_torn_lines(file: Opened, time: str, power: str, clock: Clock) -> tuple[Opened, Torn]:
    """A log without its torn lines; itself where it has none.

    Args:
        file: A log whose lines may be too short.
        time: Its column of times.
        power: Its column of power.
        clock: How times are written.

    Raises:
        MalformedError: there are too many for a log that was killed now and then.
    """
    if not file.lines or file.shape is None:
        return file, NONE_TORN
    columns, mark = list(file.types), text_sql(file.shape.separator)
    named = ", ".join(f"nullif(cells[{n}], '') AS {quoted(name)}" for n, name in enumerate(columns, 1))
    split = f"SELECT line, string_split(line, {mark}) AS cells FROM ({file.lines}) WHERE line IS NOT NULL"
    length = f"strlen(trim(cells[{columns.index(time) + 1}]))"
    unended = _last_line(file) if columns[-1] == power else None
    usual = file.con.raw_sql(f"SELECT count(*), coalesce(median({length}), 0)::INTEGER FROM ({split})").fetchone()
    torn = f"(len(cells) <> {len(columns)} AND NOT contains(line, '\"'))"
    torn += f" OR ({length} > {usual[1]} AND {file.instant(time, clock, lenient=True)} IS NULL"
    torn += f" AND trim({quoted(time)}) <> {text_sql(time.strip())})"
    torn += f" OR line = {text_sql(unended)}" if unended else ""
    cells = f"SELECT *, {named} FROM ({split})"
    with local_time.in_order(file.con):
        found = file.con.raw_sql(f"""
            WITH numbered AS (SELECT row_number() OVER () + 1 AS number, line FROM ({file.lines})),
            torn AS (SELECT DISTINCT line FROM ({cells}) WHERE coalesce({torn}, FALSE))
            SELECT number FROM numbered SEMI JOIN torn USING (line) ORDER BY number""").fetchall()
    numbers = [row[0] for row in found]
    if not numbers:
        return file, NONE_TORN
    if len(numbers) > FEW and len(numbers) * OFTEN > usual[0]:
        raise MalformedError(
            f"{file.name}: {counted(len(numbers), 'line')} of {usual[0]} have not the {len(columns)} fields that "
            f"its header names, first line {numbers[0]}",
            "If the log was gone on with by another command, put what that one wrote into a file of its own; else "
            f"write it anew with `{nvidia_smi.COMMAND}`.",
        )
    relation = f"(SELECT {', '.join(map(quoted, columns))} FROM ({cells}) WHERE NOT coalesce({torn}, FALSE))"
    return replace(file, relation=relation), Torn(len(numbers), tuple(numbers[:SHOWN]))


def _last_line(file: Opened) -> str | None:
    """The last line of a plain file that has no end; None where it has one."""
    with file.path.open("rb") as opened:
        if opened.read(2) == b"\x1f\x8b":
            return None
        opened.seek(max(0, file.path.stat().st_size - 4096))
        tail = opened.read()
    if not tail or tail.endswith((b"\n", b"\r")):
        return None
    return tail.rsplit(b"\n", 1)[-1].decode("utf-8", "replace")

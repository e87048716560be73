"""What a person is told of a run or a source: one sentence each, whether it is a hole, where, and what to do.

What belongs here: the shape of a remark, and remarks made of what sources counted while parsing. What does not: the
sentences themselves (`sources/notes.py`), what tables lack (`holes.py`), and printing (`telling.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from energy_assets.periods import DayRange, contiguous
from energy_assets.sources.notes import words


@dataclass(frozen=True)
class Remark:
    """One thing worth saying.

    Attributes:
        about: The asset or subject: `raw/meters`, `emissions/hourly`.
        says: A sentence without a full stop.
        hole: Something that should have been counted is missing, or a figure may be wrong.
        remedy: What to do, in the imperative.
        examples: The first few things it is about.
        more: How many there are beyond the examples.
        days: When.
        note: The name of the note it is made of; empty where it is made of none.
    """

    about: str
    says: str
    hole: bool = True
    remedy: str = ""
    examples: tuple[str, ...] = ()
    more: int = 0
    days: tuple[DayRange, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Noted:
    """What parsing told of a stretch of days, as a run's events or a trial have it.

    Attributes:
        days: The stretch.
        counts: By name of the note.
        examples: The first few things each is about.
    """

    days: DayRange
    counts: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]


def of_notes(about: str, noted: Iterable[Noted]) -> list[Remark]:
    """Remarks of one source, each note once: its count over all stretches, its days, its first examples.

    Args:
        about: Whose notes they are.
        noted: In any order.
    """
    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    days: dict[str, list[date]] = {}
    for one in sorted(noted, key=lambda some: some.days.first):
        for name, count in one.counts.items():
            counts[name] = counts.get(name, 0) + count
            days.setdefault(name, []).extend(one.days)
            shown = examples.setdefault(name, [])
            shown += [text for text in one.examples.get(name, ()) if text not in shown]
    return [
        Remark(
            about,
            words(name).of(counts[name]),
            words(name).hole,
            words(name).remedy,
            tuple(examples[name]),
            max(counts[name] - len(examples[name]), 0) if words(name).each else 0,
            tuple(contiguous(days[name])),
            name,
        )
        for name in sorted(counts)
    ]

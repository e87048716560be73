"""Editions: what publishers state of one thing for stretches of days, and which of it stands for a day.

What belongs here: the one rule that picks an edition for a day, and what it leaves aside. What does not: the tables
(`tables.py`, `footprints.py`), and which thing a row of ours is about.

Of what is stated for a day the edition that was published last applies; the others are superseded, and stay listed.
Where nothing is stated for a day, the last that was stated for days before it is carried on, and before the first one
the first: told as carried, never silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

BEGINNING, END = date.min, date.max


@dataclass(frozen=True)
class Edition:
    """What a publisher states of one thing for some days.

    Attributes:
        value: As the table prints it.
        valid_from: First day; `BEGINNING` where it has always been so.
        valid_to: The day after the last; `END` where it still holds.
        edition: What its publisher calls the period: a year, or a fiscal year such as `FY2025`.
        published: When it was published or first read, as YYYY-MM or YYYY; empty where nobody knows.
        source: Who states it, in which publication.
        of: What the value is of: the `region` itself, its `geography`, or the publisher's whole `fleet`.
    """

    value: str
    valid_from: date
    valid_to: date
    edition: str
    published: str
    source: str
    of: str = "region"

    def holds(self, first: date, after: date) -> bool:
        """Whether it is stated for every day of a stretch.

        Args:
            first: First day.
            after: The day after the last.
        """
        return self.valid_from <= first and after <= self.valid_to


@dataclass(frozen=True)
class Standing:
    """Which edition stands for a stretch of days.

    Attributes:
        edition: The edition.
        since: First day.
        until: The day after the last.
        carried: Nothing is stated for these days: it is an edition of others.
    """

    edition: Edition
    since: date
    until: date
    carried: bool

    def said(self, table: str) -> str:
        """Who says so, in a few words.

        Args:
            table: The file that the edition stands in.
        """
        one = self.edition
        how = f"{one.edition}, carried: nothing is published for these days" if self.carried else one.edition
        return f"{table}: {one.source}" + (f" ({how})" if how else "")


def standing(editions: Sequence[Edition], *, carry: bool = True) -> tuple[Standing, ...]:
    """Which edition stands when: stretches in order of time, without overlap, as long as possible.

    Args:
        editions: All that is stated of one thing.
        carry: Whether an edition stands for days that nothing is stated for; else these days are left out.
    """
    bounds = {BEGINNING, END} | {day for one in editions for day in (one.valid_from, one.valid_to)}
    found: list[Standing] = []
    for first, after in pairwise(sorted(bounds)):
        entry = _standing(editions, first, after, carry)
        if entry is None:
            continue
        if found and replace(found[-1], since=first, until=after) == entry and found[-1].until == first:
            found[-1] = replace(found[-1], until=after)
        else:
            found.append(entry)
    return tuple(found)


def superseded(editions: Sequence[Edition]) -> tuple[Edition, ...]:
    """Editions that stand for none of their own days any more, the oldest first.

    Args:
        editions: All that is stated of one thing.
    """
    used = {one.edition for one in standing(editions) if not one.carried}
    return tuple(sorted((one for one in editions if one not in used), key=_age))


def _standing(editions: Sequence[Edition], first: date, after: date, carry: bool) -> Standing | None:
    if stated := [one for one in editions if one.holds(first, after)]:
        return Standing(max(stated, key=_age), first, after, carried=False)
    if not carry or not editions:
        return None
    if before := [one for one in editions if one.valid_to <= first]:
        last = max(one.valid_to for one in before)
        return Standing(max((one for one in before if one.valid_to == last), key=_age), first, after, carried=True)
    nearest = min(one.valid_from for one in editions)
    return Standing(max((one for one in editions if one.valid_from == nearest), key=_age), first, after, carried=True)


def _age(one: Edition) -> tuple[str, str, date, str]:
    return one.published, one.edition, one.valid_from, one.value

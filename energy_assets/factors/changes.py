"""What changed between two records of applied factors: which factor, from what to what, on which days.

What belongs here: comparing two versions of the rows of `factors_applied`. What does not: reading them, and what it did
to figures (`factor_changes`). Pure: the same two records give the same changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis.expr.types as ir

from energy_assets.periods import DayRange, contiguous

_THING = ("day", "factor", "of")
_SAID = ("day", "factor", "of", "value", "unit", "edition", "state", "said_by")


@dataclass(frozen=True)
class Said:
    """A factor as a record has it: one of the places that share a name may say another value than the others.

    Attributes:
        value: As stated; None where nobody states it.
        unit: Of the value; None of words.
        edition: Year or fiscal year it is of; None of the site file.
        state: Stated for the day, or carried.
        said_by: Who says so; None where nobody does.
    """

    value: str | None
    unit: str | None
    edition: str | None
    state: str
    said_by: str | None


@dataclass(frozen=True)
class FactorChange:
    """One factor of one thing that is another one than before, on days that had both.

    Attributes:
        factor: PUE, WUE, grid zone and so on.
        of: What it is of.
        old: What was applied and is no longer; empty where a value came to others of the thing, as for one account.
        new: What is applied now and was not; empty where one is gone, and others stay.
        days: Stretches of days on which it is so.
    """

    factor: str
    of: str
    old: tuple[Said, ...]
    new: tuple[Said, ...]
    days: tuple[DayRange, ...]

    @property
    def changes_value(self) -> bool:
        """Whether the value or its unit is another one, and not only who states it, or the edition."""
        return {(one.value, one.unit) for one in self.old} != {(one.value, one.unit) for one in self.new}

    @property
    def said(self) -> str:
        """What changed and who says so: `PUE of aws eu-north-1 1.1 → 1.09 kWh/kWh (pue.csv: AWS … (2025))`."""
        old, new = (" and ".join(_values(every)) or "none" for every in (self.old, self.new))
        unit = next((one.unit for one in (*self.new, *self.old) if one.unit), None)
        by = "; ".join(dict.fromkeys(one.said_by for one in self.new if one.said_by))
        measure = f" {unit}" if unit else ""
        before = next((one.unit for one in self.old if one.unit), unit)
        if before != unit:
            old = f"{old} {before}"
        what = f"{old} → {new}{measure}" if self.changes_value else f"{new}{measure} stays"
        return f"{self.factor} of {self.of} {what}" + (f" ({by})" if by else "")

    @property
    def reason(self) -> str:
        """The same as the reason of a restatement: `factor edition: PUE of …`."""
        return f"factor edition: {self.said}"


def _values(every: Sequence[Said]) -> list[str]:
    return list(dict.fromkeys(one.value or "unknown" for one in every))


def factor_changes(before: ir.Table, after: ir.Table) -> list[FactorChange]:
    """Every factor that differs between two records, on the days on which both know the thing that it is of.

    A region, a grid or a device that came or went with the data is no change of a factor.

    Args:
        before: Rows of `factors_applied`, as the days were made at first.
        after: The same as they were made again; on the same connection.
    """
    rows = [*_only_in(before, after, "old"), *_only_in(after, before, "new")]
    by_day: dict[tuple[str, str, date], dict[str, set[Said]]] = defaultdict(lambda: {"old": set(), "new": set()})
    for row in rows:
        said = Said(*(row[name] for name in ("value", "unit", "edition", "state", "said_by")))
        by_day[row["factor"], row["of"], row["day"]][row["side"]].add(said)
    alike: dict[tuple[Any, ...], list[date]] = defaultdict(list)
    for (factor, of, day), sides in sorted(by_day.items(), key=lambda item: item[0]):
        alike[factor, of, _ordered(sides["old"]), _ordered(sides["new"])].append(day)
    return [
        FactorChange(factor, of, old, new, tuple(contiguous(days))) for (factor, of, old, new), days in alike.items()
    ]


def _only_in(one: ir.Table, other: ir.Table, side: str) -> Iterator[Mapping[str, Any]]:
    """Rows of one record that the other has not, of things it knows; what is alike stays in the engine."""
    mine, theirs = one.select(*_SAID), other.select(*_SAID)
    shared = mine.semi_join(theirs.select(*_THING).distinct(), _THING)
    named = theirs.rename({f"other_{name}": name for name in _SAID})
    same = [shared[name].identical_to(named[f"other_{name}"]) for name in _SAID]
    for row in shared.anti_join(named, same).to_pyarrow().to_pylist():
        yield {**row, "side": side}


def _ordered(every: set[Said]) -> tuple[Said, ...]:
    return tuple(sorted(every, key=repr))

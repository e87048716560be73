"""Restatements: figures of an edition of a report that a later one states otherwise.

What belongs here: which editions can be compared, which figures differ, and why. What does not: keeping editions
(`editions`), finding what changed (`causes`), and showing it.

Two editions are compared where they speak of the same days, or the earlier one spoke of all days of its period. An
edition of a period that was still growing says so on its cover; that its sums grow is no restatement. Each edition is
compared with the last one before it that it can be compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from energy_assets.counting import counted
from energy_assets.disclosures.causes import Kind, relevant
from energy_assets.disclosures.editions import Cause, Fact, ReportEdition, of_period
from energy_assets.disclosures.figures import plain
from energy_assets.disclosures.rounding import EXACT
from energy_assets.periods import Period

SHOWN = 3
"""Figures named in a sentence; the others are counted."""
MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Restatement:
    """A figure that two editions of a report state differently.

    Attributes:
        old: The figure as the earlier edition has it.
        new: As the later one has it; None where it no longer states it.
        published: The earlier edition.
        restated: The later one.
        causes: What changed in between that can have reached the figure; empty where nothing is known.
    """

    old: Fact
    new: Fact | None
    published: ReportEdition
    restated: ReportEdition
    causes: tuple[Cause, ...]

    @property
    def value(self) -> Decimal | None:
        """What it is now; None where it is not known, or not stated."""
        return self.new.number if self.new else None

    @property
    def difference(self) -> Decimal | None:
        """New less old, in the unit of both; None where one is not known."""
        return None if self.old.number is None or self.value is None else EXACT.subtract(self.value, self.old.number)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Why, in the order of the vocabulary."""
        return tuple(kind for kind in Kind if any(cause.kind == kind for cause in self.causes))

    @property
    def why(self) -> str:
        """Why, for a reader: `Late data (bills: 2 days (2026-09-03 to 2026-09-04) changed)`."""
        said = {kind.label: "; ".join(one.says for one in self.causes if one.kind == kind) for kind in self.kinds}
        return ", ".join(f"{label} ({text})" for label, text in said.items()) or "Not known"


def comparable(old: ReportEdition, new: ReportEdition) -> bool:
    """Whether what differs between two editions is a restatement, and not a period that was still growing.

    Args:
        old: The earlier one.
        new: The later one.
    """
    return old.complete or old.days == new.days


def restatements(editions: Sequence[ReportEdition]) -> Iterator[Restatement]:
    """Each figure of the whole period that an edition states otherwise than the one before.

    Args:
        editions: Of one report, oldest first.
    """
    for number, new in enumerate(editions):
        at = next((n for n in range(number - 1, -1, -1) if comparable(editions[n], new)), None)
        if at is None:
            continue
        old = editions[at]
        between = dict.fromkeys(cause for edition in editions[at + 1 : number + 1] for cause in edition.causes)
        period = Period.parse(old.period)
        now = of_period(new.facts, period)
        for key, fact in of_period(old.facts, period).items():
            found = now.get(key)
            if found is None or found.value != fact.value:
                reached = tuple(cause for cause in between if relevant(cause, fact))
                yield Restatement(fact, found, old, new, reached)


def in_words(found: Sequence[Restatement]) -> str:
    """One sentence about the restatements of one edition: the first figures of the whole, how many there are, why.

    Args:
        found: Of the same two editions; at least one.
    """
    totals = [one for one in found if not one.old.dimensions] or list(found)
    told = "; ".join(f"{one.old.label} {rounded(one.old.number)}, now {rounded(one.value)} {one.old.unit}"
                     for one in totals[:SHOWN])  # fmt: skip
    others = len(found) - len(totals[:SHOWN])
    more = f" and {counted(others, 'more figure')}" if others else ""
    why = list(dict.fromkeys(one.why for one in [*totals, *found]))
    return f"restates the edition of {found[0].published.at:%Y-%m-%d %H:%M} UTC: {told}{more}. Why: {'; '.join(why)}"


def rounded(value: Decimal | None) -> str:
    """A value with six decimals at most, for a sentence; words where it is not known.

    Args:
        value: In any unit.
    """
    return "not known" if value is None else plain(value.quantize(MICRO, context=EXACT))

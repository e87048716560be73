"""One comparison as a row: totals of both sides, the parts of their difference, and what is missing, in words.

What belongs here: putting a row of the contract `Reconciliation` together. What does not: finding its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

from energy_assets.contracts.vocabulary import LIKE, Against, Step
from energy_assets.kpis.reconciling.steps import EXACT, Amount, exactly

_NOTHING = Decimal(0)


@dataclass(frozen=True)
class Subject:
    """What is compared with what.

    Attributes:
        month: Its first day.
        against: What ours is held against.
        source: Of theirs.
        provider: Of the place.
        account_id: Where theirs is of one.
        region: Of the place.
        service: Node, machine or electricity.
        meter: What tells theirs.
        raw_sha256: Raw object of theirs.
    """

    month: date
    against: Against
    source: str
    provider: str
    account_id: str | None
    region: str | None
    service: str
    meter: str
    raw_sha256: str


@dataclass(frozen=True)
class Comparison:
    """Amounts of both sides, and the parts of their difference.

    Attributes:
        quantity: Column name of what is compared.
        ours: Of the month; None where we have nothing.
        theirs: Likewise.
        parts: By step; with both amounts known they add up to their difference.
        theirs_compared: Of the hours that both have.
        compared_hours: Hours that both have.
        ours_only_hours: That only we have.
        theirs_only_hours: That only the other side has.
        gap_hours: Device-hours of ours that were not observed within the hours compared.
        missing: What is missing, in words.
    """

    quantity: str
    ours: Amount
    theirs: Amount
    parts: Mapping[Step, Amount] = field(default_factory=dict)
    theirs_compared: Amount = None
    compared_hours: int = 0
    ours_only_hours: int = 0
    theirs_only_hours: int = 0
    gap_hours: Decimal = _NOTHING
    missing: tuple[str, ...] = ()


def row(subject: Subject, one: Comparison) -> dict[str, Any]:
    """A row of the contract `Reconciliation`.

    Args:
        subject: What is compared.
        one: The amounts.

    Raises:
        ValueError: the parts are not the difference.
    """
    ours, theirs = one.ours, one.theirs
    with localcontext(EXACT):
        difference = None if ours is None or theirs is None else ours - theirs
        parts = one.parts if difference is not None else {}
        total = sum((part for part in parts.values() if part is not None), _NOTHING)
    if difference is not None and total != difference:
        raise ValueError(f"{subject}: the parts of {one.quantity} are {total}, the difference is {difference}")
    return {
        "month": subject.month,
        "against": subject.against.value,
        "source": subject.source,
        "provider": subject.provider,
        "account_id": subject.account_id,
        "region": subject.region,
        "service": subject.service,
        "meter": subject.meter,
        "quantity": one.quantity,
        "unit": "kWh" if one.quantity.endswith("_kwh") else "g",
        "ours": _figure(ours),
        "theirs": _figure(theirs),
        "difference": _figure(difference),
        "ratio": ratio(ours, theirs),
        **{step.value: _figure(parts.get(step)) for step in Step},
        "theirs_compared": _figure(one.theirs_compared),
        "compared_ratio": None if difference is None else ratio(_like(one, parts), one.theirs_compared),
        "compared_hours": one.compared_hours,
        "ours_only_hours": one.ours_only_hours,
        "theirs_only_hours": one.theirs_only_hours,
        "gap_hours": _figure(one.gap_hours),
        "why": why(parts, [*_absent(one), *one.missing]),
        "raw_sha256": subject.raw_sha256,
    }


def ratio(ours: Amount, theirs: Amount) -> Amount:
    """Ours by theirs; None where one is unknown or theirs is zero.

    Args:
        ours: An amount.
        theirs: Another one of the same unit.
    """
    if ours is None or not theirs:
        return None
    return exactly(EXACT.divide(ours, theirs))


def largest(parts: Mapping[Step, Amount]) -> Step | None:
    """The step that makes most of a difference; None where there is none.

    Args:
        parts: By step.
    """
    known = [(abs(part), step) for step, part in parts.items() if part]
    return max(known, key=lambda one: one[0])[1] if known else None


def why(parts: Mapping[Step, Amount], missing: Iterable[str]) -> str:
    """The largest part of like by like, which parts are none of it, and what is missing, as a person reads it.

    Args:
        parts: By step.
        missing: What is missing.
    """
    most = largest({step: part for step, part in parts.items() if step in LIKE})
    apart = [step.label for step in Step if step not in LIKE and parts.get(step)]
    said = [f"of what both have: mostly {most.label}"] if most else ["equal in what both have"] if parts else []
    said += [f"apart from it: {', '.join(apart)}"] if apart else []
    return "; ".join([*said, *missing])


def _like(one: Comparison, parts: Mapping[Step, Amount]) -> Amount:
    """Ours of the hours and things that both sides have."""
    if one.theirs_compared is None:
        return None
    mine = [part for step, part in parts.items() if part is not None and step in LIKE]
    with localcontext(EXACT):
        return one.theirs_compared + sum(mine, _NOTHING)


def _absent(one: Comparison) -> list[str]:
    sides = [name for name, amount in (("ours", one.ours), ("theirs", one.theirs)) if amount is None]
    return [f"nothing to compare: {' and '.join(sides)} {'are' if len(sides) > 1 else 'is'} unknown"] if sides else []


def _figure(amount: Amount) -> Amount:
    return None if amount is None else exactly(amount)

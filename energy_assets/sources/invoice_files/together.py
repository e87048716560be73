"""What lines of invoices say together: each counts once, credit notes take off, periods do not overlap.

What belongs here: from lines to invoices as they stand, and what contradicts. What does not: reading lines (`parse`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from energy_assets.contracts.regions import region_key
from energy_assets.periods import DayRange
from energy_assets.sources.errors import MalformedError

Place = tuple[str, str | None, str]
"""Provider, account and region."""


@dataclass(frozen=True)
class Invoice:
    """An invoice of one meter, with its corrections taken in.

    Attributes:
        meter: The meter, contract or delivery point.
        place: Where it is.
        days: Its period.
        boundary: it or facility.
        energy_kwh: Of the period.
        pue: As stated.
        grams: Of the period.
        basis: What its grams are of.
        lines: The lines it is made of, the invoice's own first.
    """

    meter: str
    place: Place
    days: DayRange
    boundary: str
    energy_kwh: Decimal
    pue: Decimal | None
    grams: Decimal | None
    basis: str | None
    lines: tuple[Mapping[str, Any], ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Place and meter in one spelling."""
        return _meter_key(self.place, self.meter)


def place_key(place: Place) -> tuple[str, ...]:
    """A place in one spelling, for comparing.

    Args:
        place: As an invoice names it.
    """
    provider, account, region = place
    return (*region_key(provider, region), account or "")


def _meter_key(place: Place, meter: str) -> tuple[str, ...]:
    return (*place_key(place), meter.casefold())


def invoices(lines: Iterable[Mapping[str, Any]]) -> list[Invoice]:
    """Invoices as they stand, by meter and period; what was credited in full is none.

    Args:
        lines: Of any files and sources, in the columns of the raw contract.

    Raises:
        MalformedError: names both lines that contradict, or the one that lacks its other half.
    """
    every: dict[tuple[str, str], Mapping[str, Any]] = {}
    corrections: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        key = _number(line, "invoice_id")
        if key in every:
            what = f"invoice {line['invoice_id']} of meter {line['meter']} stands in {_at(every[key])} as well"
            raise MalformedError(
                f"{_at(line)}: {what}",
                "Take one of the two lines out; a correction has its own number, and `corrects` names its invoice.",
            )
        every[key] = line
        if line["corrects"] is not None:
            corrections[_number(line, "corrects")].append(line)
    found = [_standing(one, corrections.pop(key, [])) for key, one in every.items() if one["corrects"] is None]
    for key, (one, *_) in corrections.items():
        raise _of_no_invoice(one, every.get(key))
    standing = sorted((one for one in found if one), key=lambda one: (one.key, one.days))
    _require_no_overlap(standing)
    _require_one_boundary(standing)
    return standing


def last_invoiced(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], tuple[str, date]]:
    """Each meter with the last day of its last invoice, by `Invoice.key`; what was credited in full is none.

    Nothing is refused: files of other months may have been collected in other versions, and the later line counts.

    Args:
        lines: Of any files and sources, in the columns of the raw contract; a line may stand several times.
    """
    latest = {(_meter_of(line), line["invoice_id"].casefold()): line for line in lines}
    credited: dict[tuple[tuple[str, ...], str], list[Decimal]] = defaultdict(list)
    for (meter, _), line in latest.items():
        if line["corrects"] is not None:
            credited[meter, line["corrects"].casefold()].append(line["energy_kwh"])
    found: dict[tuple[str, ...], tuple[str, date]] = {}
    for key, line in latest.items():
        if line["corrects"] is not None or (key in credited and not sum(credited[key], line["energy_kwh"])):
            continue
        if key[0] not in found or found[key[0]][1] < line["last_day"]:
            found[key[0]] = (line["meter"], line["last_day"])
    return found


def _meter_of(line: Mapping[str, Any]) -> tuple[str, ...]:
    return _meter_key((line["provider"], line["account_id"], line["region"]), line["meter"])


def gaps(standing: Sequence[Invoice]) -> Iterator[tuple[str, DayRange]]:
    """Days between the periods of a meter that no invoice is of.

    Args:
        standing: From `invoices`.
    """
    for one, other in _neighbours(standing):
        if (other.days.first - one.days.last).days > 1:
            yield one.meter, DayRange(one.days.last + timedelta(days=1), other.days.first - timedelta(days=1))


def _neighbours(standing: Sequence[Invoice]) -> Iterator[tuple[Invoice, Invoice]]:
    by_meter: dict[tuple[Any, ...], list[Invoice]] = defaultdict(list)
    for one in standing:
        by_meter[one.key].append(one)
    for several in by_meter.values():
        yield from pairwise(sorted(several, key=lambda one: one.days))


def _standing(own: Mapping[str, Any], corrections: Sequence[Mapping[str, Any]]) -> Invoice | None:
    """An invoice with its corrections; None where they take it off in full."""
    for other in corrections:
        for name in ("first_day", "last_day", "boundary", "provider", "account_id", "region"):
            if other[name] != own[name]:
                raise MalformedError(
                    f"{_at(other)}: corrects invoice {own['invoice_id']} ({_at(own)}), and their `{name}` differ: "
                    f"{other[name]} and {own[name]}",
                    "A correction is of the whole period of its invoice; correct one of the two lines.",
                )
        if other["pue"] not in (None, own["pue"]):
            raise MalformedError(
                f"{_at(other)}: its PUE is {other['pue']}, that of invoice {own['invoice_id']} ({_at(own)}) "
                f"{own['pue'] or 'not stated'}",
                "Correct one of the two lines, or leave the PUE of the correction empty.",
            )
    lines = (own, *corrections)
    energy = sum((line["energy_kwh"] for line in lines), Decimal(0))
    grams = [line["gco2e"] for line in lines]
    # A correction that states no grams leaves those of the invoice open, unless it changes no energy.
    known = all(one is not None or not line["energy_kwh"] for one, line in zip(grams, lines, strict=True))
    total = sum((one for one in grams if one is not None), Decimal(0)) if known and own["gco2e"] is not None else None
    if energy < 0 or (total is not None and total < 0):
        raise MalformedError(
            f"{_at(corrections[-1])}: more is credited than invoice {own['invoice_id']} ({_at(own)}) states",
            "Correct one of the two lines.",
        )
    if corrections and not energy:
        return None
    bases = {line["gco2e_basis"] for line in lines if line["gco2e"] is not None}
    if len(bases) > 1:
        raise MalformedError(
            f"{_at(corrections[-1])}: its grams are of another basis than those of invoice {own['invoice_id']}",
            "Correct `gco2e_basis` of one of the two lines.",
        )
    return Invoice(
        own["meter"],
        (own["provider"], own["account_id"], own["region"]),
        DayRange(own["first_day"], own["last_day"]),
        own["boundary"],
        energy,
        own["pue"],
        total,
        own["gco2e_basis"] if total is not None else None,
        lines,
    )


def _require_no_overlap(standing: Sequence[Invoice]) -> None:
    for one, other in _neighbours(standing):
        if other.days.first <= one.days.last:
            raise MalformedError(
                f"{_at(other.lines[0])}: invoice {other.lines[0]['invoice_id']} of meter {other.meter} is of "
                f"{other.days}, and invoice {one.lines[0]['invoice_id']} ({_at(one.lines[0])}) of {one.days}: their "
                "periods overlap",
                "Correct a period (is its last day included? if not: columns: {day_after: …}), take one of them out, "
                "or add the credit note that takes one back.",
            )


def _require_one_boundary(standing: Sequence[Invoice]) -> None:
    first: dict[tuple[str, ...], Invoice] = {}
    for one in standing:
        before = first.setdefault(place_key(one.place), one)
        if before.boundary != one.boundary:
            raise MalformedError(
                f"{_at(one.lines[0])}: meter {one.meter} counts {one.boundary}, and meter {before.meter} "
                f"({_at(before.lines[0])}) of the same place {before.boundary}: they cannot be added up",
                "Give both the same `boundary`, or name the part of the place that each is of as its `region`.",
            )


def touches(line: Mapping[str, Any], days: DayRange) -> bool:
    """Whether the period of a line has a day in common with `days`.

    Args:
        line: In the columns of the raw contract.
        days: Any days.
    """
    first: date = line["first_day"]
    last: date = line["last_day"]
    return first <= days.last and last >= days.first


def _number(line: Mapping[str, Any], name: str) -> tuple[str, str]:
    """A number of an invoice and the meter it is of, in one spelling."""
    return line[name].casefold(), line["meter"].casefold()


def _of_no_invoice(line: Mapping[str, Any], other: Mapping[str, Any] | None) -> MalformedError:
    """A correction of a number that no invoice has, but perhaps `other`, a correction."""
    what = f"{_at(line)}: corrects invoice {line['corrects']} of meter {line['meter']}"
    if other is None:
        return MalformedError(f"{what}, which no file has", "Add that invoice, or correct `corrects`.")
    return MalformedError(
        f"{what}, which is a correction itself ({_at(other)}, of invoice {other['corrects']})",
        "Name the original invoice in `corrects`: every correction is of an invoice, and they are added up.",
    )


def _at(line: Mapping[str, Any]) -> str:
    return f"{line['file']} line {line['line']}"

"""Our days beside electricity invoices, whose periods are no calendar months.

What belongs here: spreading invoices over their days, and comparing a month over the days that both sides have. What
does not: what invoices say together (`sources.invoice_files.together`), and the arithmetic of steps (`steps`).

The rule: an invoice says nothing of single days. Days of which we have no energy get an equal share of it; the rest is
spread in proportion to our own energy, so that what an invoice differs from us by is spread over its days alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.regions import region_key
from energy_assets.contracts.vocabulary import MEASURED, Against, Step
from energy_assets.emissions.exactly import shared
from energy_assets.kpis.reconciling.row import Comparison, Subject
from energy_assets.kpis.reconciling.steps import EXACT, Amount, parts
from energy_assets.periods import DayRange, Month, contiguous
from energy_assets.sources.invoice_files.together import Invoice, Place, place_key

ELECTRICITY = "electricity"
_QUANTITY = {"it": "energy_kwh", "facility": "facility_kwh", "direct": "location_g", "lifecycle": "lifecycle_g"}
"""Our column that is compared: of what a meter counts, and of what emissions are of."""
_LEVELS = ("energy_kwh", "facility_kwh")
_STEPS = (Step.ENERGY, Step.PUE, Step.INTENSITY)
_ZERO = Decimal(0)
OVER_AFTER = 13
"""Months: a meter without an invoice for longer is over. A yearly bill, and a month for it to come."""
LastInvoiced = Mapping[tuple[str, ...], tuple[str, date]]
"""Meter and last day of its last invoice, by `Invoice.key`."""


@dataclass(frozen=True)
class OurDay:
    """What we have of a place on a day; an amount is None where a part of it is unknown.

    Attributes:
        amounts: By column of `Emissions`.
        gap_hours: Device-hours that were not observed.
    """

    amounts: Mapping[str, Amount]
    gap_hours: Decimal


@dataclass
class TheirDay:
    """What invoices have of a place on a day.

    Attributes:
        amounts: By column, as `OurDay.amounts`: IT energy only where a PUE is stated or the meter counts IT.
        meters: That have it, in one spelling.
    """

    amounts: dict[str, Amount] = field(default_factory=dict)
    meters: set[tuple[str, ...]] = field(default_factory=set)


def our_days(emissions: ir.Table) -> ir.Table:
    """Our sums by place and day; NULL where a part of the sum is unknown although its energy is known.

    Args:
        emissions: Rows of the contract `Emissions`.
    """
    rows = emissions
    direct = ibis.ifelse(rows.factor_basis == "direct", rows.location_g, None)
    keys = ["day", "provider", "account_id", "region"]
    seen = rows.filter(rows.method.isin(MEASURED))
    devices = seen.group_by([*keys, "hour", "node_id", "device_id"]).aggregate(seen=seen.coverage.max())
    gaps = devices.group_by(keys).aggregate(gap_hours=(1 - devices.seen).sum())
    sums = rows.group_by(keys).aggregate(
        energy_kwh=rows.energy_kwh.sum(),
        facility_kwh=rows.facility_kwh.sum(),
        location_g=direct.sum(),
        lifecycle_g=rows.lifecycle_g.sum(),
        facility_unknown=(rows.energy_kwh.notnull() & rows.facility_kwh.isnull()).any(),
        location_unknown=(rows.energy_kwh.notnull() & direct.isnull()).any(),
        lifecycle_unknown=(rows.energy_kwh.notnull() & rows.lifecycle_g.isnull()).any(),
    )
    both = sums.left_join(gaps, [sums[key].identical_to(gaps[key]) for key in keys])
    return both.select(
        *(sums[key] for key in keys),
        "energy_kwh",
        facility_kwh=ibis.ifelse(sums.facility_unknown, None, sums.facility_kwh),
        location_g=ibis.ifelse(sums.location_unknown, None, sums.location_g),
        lifecycle_g=ibis.ifelse(sums.lifecycle_unknown, None, sums.lifecycle_g),
        gap_hours=gaps.gap_hours.fill_null(0),
    )


def of_place(days: Iterable[Mapping[str, Any]], place: Place) -> dict[date, OurDay]:
    """Our days of a place, of all its accounts unless the place names one.

    Args:
        days: Rows of `our_days`.
        place: As invoices name it.
    """
    provider, account, region = place
    wanted = region_key(provider, region)
    found: dict[date, list[Mapping[str, Any]]] = defaultdict(list)
    for one in days:
        here = one["region"] is not None and region_key(one["provider"], one["region"]) == wanted
        if here and account in (None, one["account_id"]):
            found[one["day"]].append(one)
    with localcontext(EXACT):
        return {day: _together(some) for day, some in sorted(found.items())}


def _together(rows: Sequence[Mapping[str, Any]]) -> OurDay:
    amounts: dict[str, Amount] = {}
    for name in _QUANTITY.values():
        # An account whose devices were not observed at all adds nothing that is known.
        mine = [one[name] for one in rows if one["energy_kwh"] is not None]
        amounts[name] = sum(mine, _ZERO) if mine and None not in mine else None
    return OurDay(amounts, sum((one["gap_hours"] for one in rows), _ZERO))


def spread(invoice: Invoice, ours: Mapping[date, OurDay]) -> dict[date, tuple[Decimal, Amount]]:
    """Energy and grams of an invoice by day; both add up to it exactly.

    Args:
        invoice: Of a period.
        ours: Our days of its place.
    """
    days, quantity = list(invoice.days), _QUANTITY[invoice.boundary]
    mine = {day: amount for day in days if day in ours and (amount := ours[day].amounts[quantity]) is not None}
    total, share = Fraction(sum(mine.values(), _ZERO)), Fraction(len(mine), len(days))
    each = Fraction(1, len(days))
    weights = [Fraction(mine[day]) / total * share if day in mine and total else each for day in days]
    kwh = _shared(invoice.energy_kwh, weights)
    grams = None if invoice.grams is None else _shared(invoice.grams, weights)
    return {day: (kwh[number], None if grams is None else grams[number]) for number, day in enumerate(days)}


def _shared(total: Decimal, weights: Sequence[Fraction]) -> list[Decimal]:
    """`shared`, with what lies below the decimals of the lake's kWh on the last day."""
    found = shared(total, weights)  # type: ignore[arg-type]
    found[-1] += total - sum(found, _ZERO)
    return found


def lookback(first: date) -> list[date]:
    """First days of the months whose invoices tell which meters a month has, the month itself last.

    Args:
        first: First day of the month.
    """
    number = first.year * 12 + first.month - 1
    return [date(one // 12, one % 12 + 1, 1) for one in range(number - OVER_AFTER, number + 1)]


def compared(
    first: date, standing: Sequence[Invoice], days: Iterable[Mapping[str, Any]], known: LastInvoiced
) -> Iterator[tuple[Subject, Comparison]]:
    """A month of every place with invoices: its energy, and its grams where an invoice states some.

    Args:
        first: First day of the month.
        standing: Invoices that touch the month, whole.
        days: Rows of `our_days`, of the month and of the periods of these invoices.
        known: Meters that had an invoice until the end of the month. One that has none in the month, and is not over,
            lacks it: no day of the place is compared.
    """
    by_place: dict[tuple[str, ...], list[Invoice]] = defaultdict(list)
    for one in standing:
        by_place[place_key(one.place)].append(one)
    every = list(days)
    due = {key: one for key, one in known.items() if one[1] >= lookback(first)[0]}
    for where, mine in by_place.items():
        place, has = mine[0].place, {one.key for one in mine}
        late = {key: one for key, one in due.items() if key[:-1] == where and key not in has}
        ours = of_place(every, place)
        lines = [line for one in mine for line in one.lines]
        subject = Subject(
            first,
            Against.INVOICE,
            " + ".join(sorted({line["source"] for line in lines})),
            place[0],
            place[1],
            place[2],
            ELECTRICITY,
            " + ".join(sorted({one.meter for one in mine})),
            min(lines, key=lambda line: (line["first_day"], line["file"], line["line"]))["raw_sha256"],
        )
        yield subject, _energy(first, mine, late, ours)
        bases = {one.basis for one in mine if one.basis}
        for basis in sorted(bases):
            yield subject, _grams(first, mine, late, ours, basis)


def _energy(first: date, mine: Sequence[Invoice], late: LastInvoiced, ours: Mapping[date, OurDay]) -> Comparison:
    quantity = _QUANTITY[mine[0].boundary]
    levels = _LEVELS[: _LEVELS.index(quantity) + 1]
    said = [] if quantity == "energy_kwh" or all(one.pue for one in mine) else ["the invoice states no PUE"]
    return _compare(first, mine, late, ours, levels, said)


def _grams(
    first: date, mine: Sequence[Invoice], late: LastInvoiced, ours: Mapping[date, OurDay], basis: str
) -> Comparison:
    said = [] if all(one.pue for one in mine) else ["the invoice states no PUE"]
    if any(one.basis != basis for one in mine):
        said.append(f"not every invoice states {basis} emissions")
    return _compare(first, mine, late, ours, (*_LEVELS, _QUANTITY[basis]), said)


def _compare(
    first: date,
    mine: Sequence[Invoice],
    late: LastInvoiced,
    ours: Mapping[date, OurDay],
    levels: Sequence[str],
    said: Sequence[str],
) -> Comparison:
    with localcontext(EXACT):
        return _exact_compare(first, mine, late, ours, levels, said)


def _their_days(mine: Sequence[Invoice], ours: Mapping[date, OurDay]) -> dict[date, TheirDay]:
    """Sums of the meters of a place by day; an amount that one of them does not state is unknown."""
    found: dict[date, TheirDay] = defaultdict(TheirDay)
    for one in mine:
        for day, (kwh, grams) in spread(one, ours).items():
            stated: dict[str, Amount | Fraction] = dict.fromkeys(_QUANTITY.values())
            stated[_QUANTITY[one.boundary]] = kwh
            if one.pue is not None:
                other = Fraction(kwh) / Fraction(one.pue) if one.boundary == "facility" else kwh * one.pue
                stated["energy_kwh" if one.boundary == "facility" else "facility_kwh"] = other
            if one.basis is not None:
                stated[_QUANTITY[one.basis]] = grams
            _add(found[day], stated)
            found[day].meters.add(one.key)
    return found


def _add(day: TheirDay, stated: Mapping[str, Any]) -> None:
    for name, amount in stated.items():
        before = day.amounts.get(name, _ZERO)
        known = before is not None and amount is not None
        day.amounts[name] = Fraction(before) + Fraction(amount) if known else None  # type: ignore[assignment,arg-type]


def _exact_compare(
    first: date,
    mine: Sequence[Invoice],
    late: LastInvoiced,
    ours: Mapping[date, OurDay],
    levels: Sequence[str],
    said: Sequence[str],
) -> Comparison:
    month, quantity = Month.of(first).days, levels[-1]
    theirs, meters = _their_days(mine, ours), {*late, *(one.key for one in mine)}
    we = {day for day, one in ours.items() if one.amounts[quantity] is not None}
    they = {day for day, one in theirs.items() if one.amounts[quantity] is not None}
    whole = {day for day in they if theirs[day].meters == meters}
    both = sorted(day for day in month if day in we and day in whole)
    lone = [day for day in month if (day in we) != (day in whole) or (day in they and day not in whole)]
    only_ours, only_theirs = ([d for d in lone if d in we], [d for d in lone if d in they and d not in we])
    absent = [*_absences(month, we, whole, meters), *_overdue(late)]
    our_total = _exact([ours[day].amounts[quantity] for day in month if day in we])
    their_total = _exact([theirs[day].amounts[quantity] for day in month if day in they])
    if our_total is None or their_total is None:
        return Comparison(
            quantity,
            our_total,
            their_total,
            ours_only_hours=24 * len(only_ours),
            theirs_only_hours=24 * len(only_theirs),
            missing=(*said, *absent),
        )
    found = _parts(both, ours, theirs, levels)
    for step in (Step.COVERAGE, Step.LAG):
        found[step] = _ZERO
    for day in lone:
        end = max(whole, default=date.min) if day not in whole else max(we)
        off = _of(ours, day, quantity, day in we) - _of(theirs, day, quantity, day in they)
        found[Step.LAG if day > end else Step.COVERAGE] += off  # type: ignore[operator]
    gap = sum((ours[day].gap_hours for day in both), _ZERO)
    if gap:
        _hide(found, Step.ENERGY)
        said = [*said, f"{gap.normalize():f} device-hours of ours were not observed"]
    like = _exact([theirs[day].amounts[quantity] for day in both])
    return Comparison(
        quantity,
        our_total,
        their_total,
        found,
        like or _ZERO,
        24 * len(both),
        24 * len(only_ours),
        24 * len(only_theirs),
        gap,
        (*said, *absent),
    )


def _parts(
    both: Sequence[date], ours: Mapping[date, OurDay], theirs: Mapping[date, TheirDay], levels: Sequence[str]
) -> dict[Step, Amount]:
    """The steps of the days that both have."""
    found: dict[Step, Amount] = dict.fromkeys(Step)
    found[Step.UNEXPLAINED] = _ZERO
    if not both:
        return found
    mine = [_exact([ours[day].amounts[name] for day in both]) for name in levels]
    other = [_exact([theirs[day].amounts[name] for day in both]) for name in levels]
    split = parts(mine, other)
    found.update(zip(_STEPS, split.steps, strict=False))
    found[Step.UNEXPLAINED] = split.unexplained
    return found


def _hide(found: dict[Step, Amount], step: Step) -> None:
    """Move a step that cannot be told from another into what is unexplained."""
    part = found[step]
    if part is not None:
        found[step], found[Step.UNEXPLAINED] = None, (found[Step.UNEXPLAINED] or _ZERO) + part


def _exact(amounts: Collection[Any]) -> Amount:
    """A sum in the decimals of the table; None of nothing, or where one is unknown."""
    if not amounts or any(one is None for one in amounts):
        return None
    total = sum((Fraction(one) for one in amounts), Fraction())
    return Decimal(f"{round(total * 10**15)}e-15")


def _of(days: Mapping[date, Any], day: date, quantity: str, known: bool) -> Decimal:
    return (_exact([days[day].amounts[quantity]]) or _ZERO) if known else _ZERO


def _absences(
    month: DayRange, we: Collection[date], whole: Collection[date], meters: Collection[tuple[str, ...]]
) -> Iterator[str]:
    unpaid = [day for day in month if day not in whole]
    unseen = [day for day in month if day not in we]
    if unpaid:
        some = "not invoiced" if len(meters) == 1 else "not invoiced by every meter"
        yield f"{some}: {_spans(unpaid)}"
    if unseen:
        yield f"nothing of ours: {_spans(unseen)}"


def _overdue(late: LastInvoiced) -> Iterator[str]:
    for meter, last in sorted(late.values()):
        yield f"no invoice of meter {meter} yet: its last one ended {last}"


def _spans(days: Sequence[date]) -> str:
    return ", ".join(map(str, contiguous(days)))

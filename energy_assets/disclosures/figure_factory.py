"""Making figures: from KPI rows, from queries, from other figures and from settings.

What belongs here: the one place where a value becomes a numbered figure with its evidence and its printed form.
What does not: which figures a report wants, and what it says about them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

import ibis.expr.types as ir

from energy_assets.disclosures import reading
from energy_assets.disclosures.figures import (
    Figure,
    FigureBook,
    Filter,
    Input,
    Selection,
    bounds,
    canonical,
    display_of,
    plain,
)
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.methods import QUANTITIES, Quantity, printed_unit
from energy_assets.disclosures.rounding import EXACT, Scale, foot, scale_for
from energy_assets.disclosures.text import visible

#: Quotients keep this many decimals; divided and rounded once, here.
QUOTIENT = Decimal("1e-12")
DAILY_GRAINS = ("total", "workload_type")
KpiKey = tuple[str, str, str, str]
#: The figures whose size decides the unit that all quantities of a kind are printed in.
SCALE_FROM = {
    "energy": ("facility_kwh", "energy_kwh"),
    "mass": ("scope2_location_g", "scope31_g", "scope38_location_g"),
}
NO_ROW = "no row of this indicator for the month: nothing was measured that it could be made of"


@dataclass(frozen=True)
class Cut:
    """Which KPI row a figure is read from: a member of a dimension (or the total), and when."""

    grain: str
    raw: str
    period: tuple[str, str]
    table: str = "kpis_monthly"
    when: str = "month"

    @property
    def is_total(self) -> bool:
        """Of everything."""
        return self.grain == "total"

    def filters(self) -> list[Filter]:
        """Conditions on the KPI row, but for its name and unit."""
        return [Filter(self.when, "=", self.period[0]), Filter("grain", "=", self.grain)] + (
            [] if self.is_total else [Filter(self.grain, "=", self.raw)]
        )

    def base_filters(self) -> list[Filter]:
        """Conditions on the lake rows below the KPI row."""
        filters = [Filter("day", "between", self.period)]
        if not self.is_total:
            unknown = self.raw == reading.UNKNOWN
            filters.append(Filter(self.grain, "unknown") if unknown else Filter(self.grain, "=", self.raw))
        return filters


@dataclass(frozen=True)
class Member:
    """One value of a dimension: its raw text, and the same made visible."""

    grain: str
    raw: str

    @property
    def shown(self) -> str:
        """The text as it may be printed."""
        return visible(self.raw)


class FigureFactory:
    """Makes the figures of one report and numbers them in its book."""

    def __init__(self, inputs: ReportInputs, maps_to: Mapping[str, Sequence[str]]) -> None:
        self.inputs = inputs
        self.maps_to = maps_to
        self.book = FigureBook()
        month = inputs.month.days
        self.period = (month.first.isoformat(), month.last.isoformat())
        currency = inputs.organisation.currency
        months = reading.rows(inputs.tables["kpis_monthly"])
        self.other_currencies = sorted(
            {r["unit"] for r in months if r["kpi"] == "billed_cost" and r["unit"] != currency}
        )
        self.monthly = _index(months, lambda row: "", currency)
        daily = inputs.tables["kpis_daily"]
        days = reading.rows(daily.filter(daily.grain.isin(DAILY_GRAINS)))
        self.daily = _index(days, lambda row: row["day"].isoformat(), currency)
        before = [] if inputs.previous is None else reading.rows(inputs.previous)
        self.previous = _index(before, lambda row: "", currency)
        self._footed: set[str] = set()
        self._basis: dict[str | None, Mapping[str, reading.Basis]] = {}

    @property
    def emissions(self) -> ir.Table:
        """The month's emissions."""
        return self.inputs.tables["emissions"]

    @cached_property
    def days_with_data(self) -> tuple[date, ...]:
        """Days of the month that have at least one KPI row, in order."""
        return tuple(sorted({date.fromisoformat(day) for day, _, _, _ in self.daily}))

    @cached_property
    def gaps(self) -> Mapping[str, Any]:
        """Counts and energy of the month's rows that could not be measured, placed or multiplied."""
        return reading.gaps(self.emissions)

    def members(self, grain: str, kpi: str) -> list[Member]:
        """The values of a dimension that have a row of `kpi`, largest first; `unknown` last."""
        found = [
            (row["numerator"] or Decimal(0), member)
            for (_, name, grain_, member), row in self.monthly.items()
            if name == kpi and grain_ == grain
        ]
        ordered = sorted(found, key=lambda pair: (pair[1] == reading.UNKNOWN, -pair[0], pair[1]))
        return [Member(grain, member) for _, member in ordered]

    def kpi(self, name: str, member: Member | None = None, *, day: date | None = None) -> Figure:
        """A KPI of the month (or of a day), in total or for one member of a dimension."""
        grain, raw = (member.grain, member.raw) if member else ("total", "")
        iso = day.isoformat() if day else ""
        row = (self.daily if day else self.monthly).get((iso, name, grain, raw))
        cut = Cut(grain, raw, (iso, iso), "kpis_daily", "day") if day else Cut(grain, raw, self.period)
        basis = self._basis_of(cut)
        codes = self.maps_to.get(name, ()) if cut.is_total and not day else ()
        return self._from_row(name, row, cut, basis, "", tuple(codes))

    def previous_kpi(self, name: str) -> Figure:
        """The same KPI of the month before."""
        row = self.previous.get(("", name, "total", ""))
        return self._from_row(name, row, Cut("total", "", self._previous_period), None, ", previous month", ())

    def _from_row(
        self,
        name: str,
        row: Mapping[str, Any] | None,
        cut: Cut,
        basis: reading.Basis | None,
        suffix: str,
        maps_to: tuple[str, ...],
    ) -> Figure:
        quantity = QUANTITIES[name]
        unit: str = row["unit"] if row else ""
        value = _value(row)
        uncertainty: Decimal | None = row["uncertainty_pct"] if row else None
        coverage: Decimal | None = row["coverage"] if row else None
        inputs = _inputs(name, quantity, row, cut, unit)
        basis = basis if quantity.kind in {"energy", "mass"} else None
        return self.book.add(
            Figure(
                id="",
                metric=name,
                label=_label(quantity, cut) + suffix,
                period=cut.period,
                dimensions={} if cut.is_total else {cut.grain: cut.raw},
                value=None if value is None else plain(value),
                unit=unit,
                display=display_of(value, self.scale(name, unit), uncertainty_pct=uncertainty, coverage=coverage),
                method=quantity.method,
                operation="row" if row is None or row["denominator"] is None else "ratio",
                inputs=inputs,
                factor_ids=basis.factor_ids if basis and quantity.kind == "mass" else (),
                tiers={tier: plain(_short(share)) for tier, share in basis.tiers.items()} if basis else {},
                uncertainty_pct=None if uncertainty is None else plain(uncertainty),
                interval=None if value is None or uncertainty is None else _interval(value, uncertainty),
                coverage=None if coverage is None else plain(coverage),
                pins=self.pins(inputs, cut.period),
                reason=None if value is not None else NO_ROW,
                maps_to=maps_to,
            )
        )

    def scale(self, name: str, unit: str) -> Scale:
        """How values of a KPI are printed; the same everywhere in the report."""
        quantity = QUANTITIES[name]
        if quantity.kind == "money":
            return Scale(unit, 0, 2)
        sizes = [self._size(source) for source in SCALE_FROM.get(quantity.kind, (name,))]
        scale = scale_for(quantity.kind, max(sizes))
        if quantity.kind == "ratio":
            return replace(scale, unit=printed_unit(unit))
        if quantity.kind == "count":
            return replace(scale, unit=f"{scale.unit} {unit}".strip())
        return scale

    def _size(self, name: str) -> Decimal:
        return _value(self.monthly.get(("", name, "total", ""))) or Decimal(0)

    def query(
        self,
        metric: str,
        label: str,
        value: Decimal | None,
        selection: Selection,
        scale: Scale,
        unit: str,
        *,
        method: str = "M-SUM",
        operation: str = "sum",
        factor: str = "1",
        dimensions: Mapping[str, str] | None = None,
        reason: str | None = None,
        factor_ids: tuple[str, ...] = (),
    ) -> Figure:
        """A number that one query of the lake gives."""
        inputs = (Input("value", None if value is None else plain(value), selection, selection, factor),)
        return self.book.add(
            Figure(
                id="",
                metric=metric,
                label=label,
                period=self.period,
                dimensions=dimensions or {},
                value=None if value is None else plain(value),
                unit=unit,
                display=display_of(value, scale),
                method=method,
                operation=operation,
                inputs=inputs,
                factor_ids=factor_ids,
                pins=self.pins(inputs, self.period),
                reason=reason if value is None else None,
            )
        )

    def stated(
        self, metric: str, label: str, value: Decimal, unit: str, scale: Scale, method: str = "M-SITE"
    ) -> Figure:
        """A number somebody stated: a target, a limit, the calendar."""
        return self.book.add(
            Figure(
                id="",
                metric=metric,
                label=label,
                period=self.period,
                value=plain(value),
                unit=unit,
                display=display_of(value, scale),
                method=method,
                operation="setting",
            )
        )

    def derived(
        self,
        metric: str,
        label: str,
        parents: Sequence[Figure],
        operation: str,
        *,
        scale: Scale | None = None,
        unit: str | None = None,
        method: str = "M-DIFFERENCE",
        refused: str | None = None,
        dimensions: Mapping[str, str] | None = None,
    ) -> Figure:
        """A number computed from other figures; it has no value where one of them has none, or when refused."""
        missing = next((parent for parent in parents if parent.number is None), None)
        reason = refused or (f"{missing.label}: {missing.reason}" if missing else None)
        numbers = [parent.number for parent in parents if parent.number is not None]
        value = None if reason else compute(operation, numbers)
        if value is None and not reason:
            reason = "the divisor is zero"
        first = parents[0]
        printed = scale or Scale(first.display.unit, first.display.power, first.display.decimals)
        signed = operation in {"difference", "percent_change"} and metric.startswith("change")
        display = display_of(value, printed, signed=signed, missing="n/a")
        return self.book.add(
            Figure(
                id="",
                metric=metric,
                label=label,
                period=first.period,
                dimensions=dimensions if dimensions is not None else first.dimensions,
                value=None if value is None else plain(value),
                unit=unit if unit is not None else first.unit,
                display=display,
                method=method,
                operation=operation,
                parents=tuple(parent.id for parent in parents),
                pins={table: pin for parent in parents for table, pin in parent.pins.items()},
                reason=reason,
            )
        )

    def share(self, part: Figure, whole: Figure, label: str) -> Figure:
        """`part` as a share of `whole`."""
        return self.derived(
            f"share_of_{whole.metric}", label, (part, whole), "share",
            scale=scale_for("share", Decimal(1)), unit="share", method="M-SHARE", dimensions=part.dimensions,
        )  # fmt: skip

    def foot(self, total: Figure, parts: Sequence[Figure]) -> bool:
        """Print `parts` so that they add up to `total` as printed; False where they do not."""
        known = [part for part in parts if part.number is not None]
        whole = total.number
        if whole is None or len(known) < len(parts) or sum(p.number or 0 for p in known) != whole:
            return False
        scale = Scale(total.display.unit, total.display.power, total.display.decimals)
        keep = [n for n, part in enumerate(parts) if part.id in self._footed]
        exact = [scale.exact(part.number or Decimal(0)) for part in parts]
        rounded = foot(exact, self._printed(total, scale), scale.step, keep)
        if rounded is None:
            return False
        for part, value in zip(parts, rounded, strict=True):
            if value != scale.rounded(part.number or Decimal(0)):
                self.book.redisplay(part.id, value, scale, f"largest remainder, so that the parts add up to {total.id}")
            self._footed.add(part.id)
        self._footed.add(total.id)
        return True

    def _printed(self, figure: Figure, scale: Scale) -> Decimal:
        text = self.book[figure.id].display.text.replace(",", "")
        return scale.rounded(figure.number or Decimal(0)) if text.startswith("<") else Decimal(text)

    def pins(self, inputs: Sequence[Input], period: tuple[str, str]) -> dict[str, str]:
        """Per table a hash over the fingerprints of the days of `period`."""
        tables = sorted({s.table for i in inputs for s in (i.selection, i.base) if s})
        hashed = {}
        for table in tables:
            days = self.inputs.pins.get(table, {})
            first = period[0][:7] if table == "kpis_monthly" else period[0]
            mine = {day: pin for day, pin in sorted(days.items()) if first <= day <= period[1]}
            if mine:
                hashed[table] = hashlib.sha256(canonical(mine).encode()).hexdigest()
        return hashed

    def pins_of_tables(self) -> dict[str, str]:
        """The hash over all days of each table that was read."""
        return {
            table: hashlib.sha256(canonical(dict(days)).encode()).hexdigest()
            for table, days in sorted(self.inputs.pins.items())
            if days
        }

    @cached_property
    def _previous_period(self) -> tuple[str, str]:
        first = date.fromisoformat(self.period[0])
        last = date.fromordinal(first.toordinal() - 1)
        return last.replace(day=1).isoformat(), last.isoformat()

    def _basis_of(self, cut: Cut) -> reading.Basis | None:
        """Factors and tiers behind a cut; not worked out for one member of a dimension on one day."""
        daily = cut.when == "day"
        if daily and not cut.is_total:
            return None
        column = "day" if daily else None if cut.is_total else cut.grain
        if column not in self._basis:
            self._basis[column] = reading.basis_by(self.emissions, column)
        return self._basis[column].get(cut.period[0] if daily else cut.raw)


def _label(quantity: Quantity, cut: Cut) -> str:
    """What it is, of which part, on which day."""
    parts = [quantity.label]
    if not cut.is_total:
        parts.append("not attributed" if cut.raw == reading.UNKNOWN else visible(cut.raw))
    if cut.when == "day":
        parts.append(cut.period[0])
    return " · ".join(parts)


def _inputs(name: str, quantity: Quantity, row: Mapping[str, Any] | None, cut: Cut, unit: str) -> tuple[Input, ...]:
    """Numerator and denominator: the KPI row that holds them, and the lake rows that they add up."""
    when, *others = cut.filters()
    filters = [when, Filter("kpi", "=", name), *([Filter("unit", "=", unit)] if unit else []), *others]
    found = []
    for role, ingredient in (("numerator", quantity.numerator), ("denominator", quantity.denominator)):
        exact = row[role] if row else None
        if role == "denominator" and exact is None:
            continue
        base = ingredient.rows.where(*cut.base_filters()) if ingredient else None
        if base and base.table == "cost" and unit:
            base = base.where(Filter("billing_currency", "=", unit.split(" ")[0]))
        factor = (quantity.evidence_factor(ingredient) or "") if ingredient else ""
        selection = Selection(cut.table, role, tuple(filters))
        found.append(Input(role, None if exact is None else plain(exact), selection, base, factor))
    return tuple(found)


def compute(operation: str, numbers: Sequence[Decimal]) -> Decimal | None:
    """The operation of a derived figure, exactly; None where it divides by zero.

    `difference` a − b …, `sum`, `share` and `ratio` a / b, `percent_change` (a − b) / b, `progress`
    (base − now) / (base − target) of the figures base, now, target.
    """
    if operation == "sum":
        return sum(numbers, Decimal(0))
    if operation == "difference":
        return numbers[0] - sum(numbers[1:], Decimal(0))
    if operation == "progress":
        base, now, target = numbers
        above, below = base - now, base - target
    else:
        above = numbers[0] - numbers[1] if operation == "percent_change" else numbers[0]
        below = numbers[1]
    return EXACT.divide(above, below).quantize(QUOTIENT, context=EXACT) if below else None


def _index(
    rows: Sequence[Mapping[str, Any]], when: Callable[[Mapping[str, Any]], str], currency: str
) -> dict[KpiKey, Mapping[str, Any]]:
    """Rows by (day, KPI, grain, member); of costs only those in the reporting currency."""
    return {
        (when(row), row["kpi"], row["grain"], "" if row["grain"] == "total" else row[row["grain"]]): row
        for row in rows
        if row["kpi"] != "billed_cost" or row["unit"] == currency
    }


def _value(row: Mapping[str, Any] | None) -> Decimal | None:
    if row is None or row["numerator"] is None:
        return None
    above: Decimal = row["numerator"]
    if row["denominator"] is None:
        return above if row["value"] is not None else None
    below: Decimal = row["denominator"]
    return EXACT.divide(above, below).quantize(QUOTIENT, context=EXACT) if below else None


def _interval(value: Decimal, uncertainty: Decimal) -> tuple[str, str]:
    low, high = bounds(value, uncertainty)
    return plain(low), plain(high)


def _short(share: Decimal) -> Decimal:
    return share.quantize(Decimal("1e-6"), context=EXACT)

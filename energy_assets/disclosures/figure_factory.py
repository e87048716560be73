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
from ibis.util import gen_name

from energy_assets.contracts.vocabulary import GhgScope, WorkloadType
from energy_assets.disclosures import bills, reading
from energy_assets.disclosures.figures import (
    Figure,
    FigureBook,
    Input,
    bounds,
    canonical,
    display_of,
    plain,
)
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.methods import QUANTITIES, WORKLOADS, Quantity, printed_unit
from energy_assets.disclosures.missing import NOT_MEASURED, NOT_STATED, Found, Looked, Missing, missing
from energy_assets.disclosures.rounding import EXACT, MOVED, Scale, foot, scale_for, ungrouped
from energy_assets.disclosures.text import visible
from energy_assets.factors.countries import zone_name
from energy_assets.kpis.evidence import MatchedRatio
from energy_assets.kpis.ingredients import UNKNOWN, Filter, Selection
from energy_assets.kpis.periods import over_months
from energy_assets.periods import DayRange, Month

#: Quotients keep this many decimals; divided and rounded once, here.
QUOTIENT = Decimal("1e-12")
#: What figures of a step are cut by.
STEP_GRAINS = ("total", "workload_type")
#: Tables whose partitions are months.
OF_MONTHS = ("kpis_monthly", "emissions_market", "instruments", "reconciliation", "opportunities")
KpiKey = tuple[str, str, str, str]
#: Dimensions as a label names them, where the column's name is not a word; labels of their members, and of none.
DIMENSIONS = {"model_id": "model", "workload_type": "workload", "ghg_scope": "scope", "zone": "grid zone"}
LABELS: Mapping[str, Mapping[str, str]] = {
    "workload_type": WORKLOADS,
    "ghg_scope": {scope.value: scope.label for scope in GhgScope},
}
NO_NAME = {"model_id": "no model named", "project": "not attributed", "zone": "no zone known",
           "workload_type": "not attributed"}  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """Which KPI rows a figure is read from: a member of a dimension (or the total), and when.

    Attributes:
        grain: The dimension, or `total`.
        raw: The member, as tags give it.
        period: First and last day, ISO.
        step: Whether it is one step of the report's period: a day of a month, a month of a longer period.
    """

    grain: str
    raw: str
    period: tuple[str, str]
    step: bool = False

    @property
    def is_total(self) -> bool:
        """Whether it is cut by no dimension."""
        return self.grain == "total"

    @property
    def table(self) -> str:
        """The KPI table that holds its rows."""
        return "kpis_daily" if self.period[0] == self.period[1] else "kpis_monthly"

    def filters(self) -> list[Filter]:
        """Conditions on the KPI rows, but for their name and unit."""
        when = Filter("day", "=", self.period[0])
        if self.table == "kpis_monthly":
            first, last = (f"{day[:7]}-01" for day in self.period)
            when = Filter("month", "=", first) if first == last else Filter("month", "between", (first, last))
        member = [] if self.is_total else [Filter(self.grain, "=", self.raw)]
        return [when, Filter("grain", "=", self.grain), *member]

    def base_filters(self) -> list[Filter]:
        """Conditions on the lake rows below the KPI row."""
        member = [] if self.member is None else [self.member]
        return [Filter("day", "between", self.period), *member]

    @property
    def member(self) -> Filter | None:
        """The condition on lake rows that the member is; None for the total."""
        if self.is_total:
            return None
        return Filter(self.grain, "unknown") if self.raw == UNKNOWN else Filter(self.grain, "=", self.raw)


@dataclass(frozen=True)
class Member:
    """One value of a dimension: its raw text, and the same made visible."""

    grain: str
    raw: str

    @property
    def shown(self) -> str:
        """The text as it may be printed."""
        return member_name(self.grain, self.raw)


class FigureFactory:
    """Makes the figures of one report and numbers them in its book.

    Attributes:
        inputs: What the report is made from.
        profile: What it consists of.
        book: The figures made so far.
        period: First and last day of the report, ISO.
        rows: KPI rows of the period by ("", KPI, grain, member); numerators and denominators are added over its
            months.
        previous: The same of the period before; empty where the lake holds none.
        other_currencies: Currencies of the bills that are not the organisation's.
    """

    def __init__(self, inputs: ReportInputs) -> None:
        self.inputs = inputs
        self.profile = inputs.profile
        self.book = FigureBook()
        days = inputs.period.days
        self.period = (days.first.isoformat(), days.last.isoformat())
        currency = inputs.organisation.currency
        rows = reading.rows(over_months(inputs.tables["kpis_monthly"], inputs.kpis))
        self.other_currencies = sorted({r["unit"] for r in rows if r["kpi"] == "billed_cost" and r["unit"] != currency})
        self.rows = _index(rows, lambda row: "", currency)
        before = [] if inputs.previous is None else reading.rows(over_months(inputs.previous, inputs.kpis))
        self.previous = _index(before, lambda row: "", currency)
        self._footed: set[str] = set()
        self._found: dict[tuple[str | None, bool], Mapping[tuple[str, str], Mapping[str, Found]]] = {}
        self._billed: dict[tuple[str | None, bool], Mapping[tuple[str, str], tuple[str, ...]]] = {}
        self._basis: dict[tuple[tuple[str, ...], str | None], Mapping[tuple[str, ...], reading.Basis]] = {}

    @cached_property
    def _step_rows(self) -> Mapping[KpiKey, Mapping[str, Any]]:
        """KPI rows of the steps, by the step's first day."""
        column = "day" if self.by_day else "month"
        table = self.inputs.tables["kpis_daily" if self.by_day else "kpis_monthly"]
        rows = reading.rows(table.filter(table.grain.isin(STEP_GRAINS)))
        return _index(rows, lambda row: row[column].isoformat(), self.inputs.organisation.currency)

    @property
    def by_day(self) -> bool:
        """Whether the period is looked at day by day; longer ones than a month are, month by month."""
        return self.inputs.period.grain == "month"

    @cached_property
    def steps(self) -> tuple[DayRange, ...]:
        """The days, or for longer periods the months, that have at least one KPI row; in order."""
        firsts = sorted({date.fromisoformat(first) for first, _, _, _ in self._step_rows})
        return tuple(DayRange(first, first) if self.by_day else Month.of(first).days for first in firsts)

    @cached_property
    def days_with_data(self) -> tuple[date, ...]:
        """Days of the period that have at least one KPI row, in order."""
        if self.by_day:
            return tuple(step.first for step in self.steps)
        return tuple(reading.days_with_data(self.inputs.tables["kpis_daily"]))

    @property
    def emissions(self) -> ir.Table:
        """The period's emissions, row by row."""
        return self.inputs.tables["emissions"]

    @cached_property
    def condensed(self) -> ir.Table:
        """The period's emissions as sums that sections tell apart, computed once."""
        rows = reading.condensed(self.emissions, by_month=not self.by_day)
        kept: ir.Table = self.inputs.con.create_table(gen_name("condensed"), rows, temp=True)
        return kept

    @cached_property
    def gaps(self) -> Mapping[str, Any]:
        """Counts and energy of the period's rows that could not be measured, placed or multiplied."""
        return reading.gaps(self.condensed)

    @cached_property
    def unmeasured(self) -> tuple[bills.Unmeasured, ...]:
        """Accounts that are billed in the period and of whose machines no source tells any energy."""
        return bills.unmeasured(self.inputs.tables["cost"], self.condensed)

    def members(self, grain: str, kpi: str) -> list[Member]:
        """The values of a dimension that have a row of `kpi`, largest first; `unknown` last.

        Args:
            grain: The dimension, for example `project`.
            kpi: Name of the indicator.
        """
        found = [
            (row["numerator"] or Decimal(0), member)
            for (_, name, grain_, member), row in self.rows.items()
            if name == kpi and grain_ == grain
        ]
        ordered = sorted(found, key=lambda pair: (pair[1] == UNKNOWN, -pair[0], pair[1]))
        return [Member(grain, member) for _, member in ordered]

    def kpi(self, name: str, member: Member | None = None, *, step: DayRange | None = None) -> Figure:
        """A KPI of the period, or of one of its steps.

        Args:
            name: The KPI.
            member: The member of a dimension it is cut by; None for the total.
            step: One of `steps`; None for the whole period.

        Returns:
            The figure; without a value, and with the reason, where there is no such row.
        """
        grain, raw = (member.grain, member.raw) if member else ("total", "")
        if step:
            row = self._step_rows.get((step.first.isoformat(), name, grain, raw))
            cut = Cut(grain, raw, (step.first.isoformat(), step.last.isoformat()), step=True)
        else:
            row, cut = self.rows.get(("", name, grain, raw)), Cut(grain, raw, self.period)
        codes = self.profile.maps_to.get(name, ()) if cut.is_total and not step else ()
        return self._from_row(name, row, cut, self._basis_of(cut, _scope_of(QUANTITIES[name])), "", tuple(codes))

    def previous_kpi(self, name: str) -> Figure:
        """The same KPI of the period before."""
        before = self.inputs.period.previous
        row = self.previous.get(("", name, "total", ""))
        cut = Cut("total", "", (before.first.isoformat(), before.last.isoformat()))
        return self._from_row(name, row, cut, None, f", previous {before.grain}", ())

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
        value = value_of(row)
        # A figure without a value has nothing that an interval or a coverage could be of.
        known = row if row and value is not None else {"uncertainty_pct": None, "coverage": None}
        uncertainty: Decimal | None = known["uncertainty_pct"]
        coverage: Decimal | None = known["coverage"]
        inputs = _inputs(name, quantity, row, cut, unit)
        basis = basis if quantity.kind in {"energy", "mass"} else None
        lacks = self._missing(quantity, row, cut) if value is None else None
        return self.book.add(
            Figure(
                id="",
                metric=name,
                label=label_of(quantity.label, cut) + suffix,
                period=cut.period,
                dimensions={} if cut.is_total else {cut.grain: cut.raw},
                value=None if value is None else plain(value),
                unit=unit,
                display=display_of(
                    value,
                    self.scale(name, unit),
                    uncertainty_pct=uncertainty,
                    coverage=coverage,
                    missing=lacks.word if lacks else NOT_MEASURED,
                ),
                method=quantity.method,
                operation="row" if row is None or row["denominator"] is None else "ratio",
                inputs=inputs,
                factor_ids=basis.factor_ids if basis and quantity.kind == "mass" else (),
                tiers={tier: plain(_short(share)) for tier, share in basis.tiers.items()} if basis else {},
                uncertainty_pct=None if uncertainty is None else plain(uncertainty),
                interval=None if value is None or uncertainty is None else interval_of(value, uncertainty),
                coverage=None if coverage is None else plain(coverage),
                pins=self.pins(inputs, cut.period),
                reason=lacks.reason if lacks else None,
                maps_to=maps_to,
                evidence=_evidence(name, cut, unit, quantity) if value is not None else None,
            )
        )

    def _missing(self, quantity: Quantity, row: Mapping[str, Any] | None, cut: Cut) -> Missing:
        """Why a quantity has no value in a cut, by what the rows of the cut say."""
        grain = self.inputs.period.grain
        if cut.period[0] < self.period[0]:
            return Missing(NOT_MEASURED, f"the {grain} before has no such row")
        when, step = ("day" if self.by_day else "month", cut.period[0]) if cut.step else (grain, "")
        here = self._rows_of(None if cut.is_total else cut.grain, cut.step).get(("" if cut.is_total else cut.raw, step))
        there = self._rows_of(None, cut.step).get(("", step))
        billed = self._billed_of(cut, step) if quantity.scope == GhgScope.SCOPE31 else ()
        unasked = (cut.grain, cut.raw) == ("workload_type", WorkloadType.IDLE) and not self._tells_use(step)
        return missing(quantity, row, Looked(here or {}, there or {}, when, self.other_currencies, billed, unasked))

    def _tells_use(self, step: str) -> bool:
        """Whether a source tells who used its devices, or that nobody did, so that there is an idle share."""
        rows = self._step_rows if step else self.rows
        return value_of(rows.get((step, "idle_share", "total", ""))) is not None

    def _billed_of(self, cut: Cut, step: str) -> tuple[str, ...]:
        """Providers of bills of the cut whose energy no source tells; a bill that names no member may be of any."""
        grain = None if cut.is_total else cut.grain
        if (grain, cut.step) not in self._billed:
            cost = bills.charges(self.inputs.tables["cost"], self.unmeasured)
            by = bills.providers_by(cost, grain, by_day=self.by_day, by_step=cut.step)
            self._billed[grain, cut.step] = by
        found = self._billed[grain, cut.step]
        names = ["" if cut.is_total else cut.raw, *([UNKNOWN] if cut.grain in bills.MAY_BE_ANY else [])]
        return tuple(sorted({visible(provider) for name in names for provider in found.get((name, step), ())}))

    def _rows_of(self, grain: str | None, by_step: bool) -> Mapping[tuple[str, str], Mapping[str, Found]]:
        if (grain, by_step) not in self._found:
            self._found[grain, by_step] = reading.found_by(self.condensed, grain, by_step=by_step)
        return self._found[grain, by_step]

    def scale(self, name: str, unit: str) -> Scale:
        """How values of a KPI are printed; the same everywhere in the report.

        Args:
            name: Name of the KPI.
            unit: Its stored unit; the currency of money.
        """
        quantity = QUANTITIES[name]
        if quantity.kind == "money":
            scale = scale_for("money", self._size(name))
            return replace(scale, unit=f"{scale.unit} {unit}".strip())
        sizes = [self._size(source) for source in self.profile.scales.get(quantity.kind, (name,))]
        scale = scale_for(quantity.kind, max(sizes))
        if quantity.kind == "ratio":
            return replace(scale, unit=printed_unit(unit))
        if quantity.kind == "count":
            return replace(scale, unit=f"{scale.unit} {unit}".strip())
        return scale

    def _size(self, name: str) -> Decimal:
        return value_of(self.rows.get(("", name, "total", ""))) or Decimal(0)

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
        uncertainty_pct: Decimal | None = None,
        word: str = NOT_MEASURED,
    ) -> Figure:
        """A number that one query of the lake gives.

        Args:
            metric: What is measured.
            label: The same for a reader.
            value: In `unit`; None where unknown.
            selection: The rows and column that are read.
            scale: Printed unit, power of ten and decimals.
            unit: Unit of `value`.
            method: Id of the method.
            operation: How the value follows from the rows.
            factor: What the sum of the rows is multiplied with, a decimal string.
            dimensions: The cut; None for the whole.
            reason: Why there is no value, where there is none.
            factor_ids: Grid factors with their editions.
            uncertainty_pct: 95 % interval, ± per cent, where one is known.
            word: What is printed where there is no value.
        """
        pct = None if value is None else uncertainty_pct
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
                display=display_of(value, scale, uncertainty_pct=pct, missing=word),
                method=method,
                operation=operation,
                inputs=inputs,
                factor_ids=factor_ids,
                uncertainty_pct=None if pct is None else plain(pct),
                interval=None if value is None or pct is None else interval_of(value, pct),
                pins=self.pins(inputs, self.period),
                reason=reason if value is None else None,
            )
        )

    def stated(
        self, metric: str, label: str, value: Decimal, unit: str, scale: Scale, method: str = "M-SITE"
    ) -> Figure:
        """A number somebody stated: a target, a limit, the calendar.

        Args:
            metric: What is stated.
            label: The same for a reader.
            value: In `unit`.
            unit: Unit of `value`.
            scale: Printed unit, power of ten and decimals.
            method: Id of the method.
        """
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
        """A number computed from other figures; it has no value where one of them has none, or when refused.

        Args:
            metric: What is computed.
            label: The same for a reader.
            parents: In the order of the operation.
            operation: See `compute`.
            scale: Printed unit, power of ten and decimals; that of the first parent where None.
            unit: Stored unit; that of the first parent where None.
            method: Id of the method.
            refused: Why there is to be no value although it could be computed.
            dimensions: The cut; that of the first parent where None.
        """
        unknown = next((parent for parent in parents if parent.number is None), None)
        reason = refused or (f"{unknown.label}: {unknown.reason}" if unknown else None)
        word = unknown.display.text if unknown and not refused else NOT_STATED
        numbers = [parent.number for parent in parents if parent.number is not None]
        value = None if reason else compute(operation, numbers)
        if value is None and not reason:
            reason = "the divisor is zero"
        first = parents[0]
        printed = scale or Scale(first.display.unit, first.display.power, first.display.decimals)
        signed = operation in {"difference", "percent_change"} and metric.startswith("change")
        display = display_of(value, printed, signed=signed, missing=word)
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
        """`part` as a share of `whole`.

        Args:
            part: In the unit of `whole`.
            whole: What it is part of.
            label: For a reader.
        """
        return self.derived(
            f"share_of_{whole.metric}", label, (part, whole), "share",
            scale=scale_for("share", Decimal(1)), unit="share", method="M-SHARE", dimensions=part.dimensions,
        )  # fmt: skip

    def foot(self, total: Figure, parts: Sequence[Figure]) -> bool:
        """Print `parts` so that they add up to `total` as printed; False where they do not.

        Parts that do not exist (printed as none) add nothing, nor do those that are not known, where the total holds
        nothing of them either.

        Args:
            total: Is printed as it is.
            parts: Figures in the unit of `total`.
        """
        whole, parts = total.number, [part for part in parts if part.number is not None]
        if whole is None:
            return not parts
        if sum(part.number or 0 for part in parts) != whole:
            return False
        scale = Scale(total.display.unit, total.display.power, total.display.decimals)
        keep = [n for n, part in enumerate(parts) if part.id in self._footed]
        exact = [scale.exact(part.number or Decimal(0)) for part in parts]
        rounded = foot(exact, self._printed(total, scale), scale.step, keep)
        if rounded is None:
            return False
        for part, value in zip(parts, rounded, strict=True):
            if value != scale.rounded(part.number or Decimal(0)):
                self.book.redisplay(part.id, value, scale, f"{MOVED}, so that the parts add up to {total.id}")
            self._footed.add(part.id)
        self._footed.add(total.id)
        return True

    def _printed(self, figure: Figure, scale: Scale) -> Decimal:
        text = self.book[figure.id].display.text
        return scale.rounded(figure.number or Decimal(0)) if text[0] in "<>" else ungrouped(text)

    def pins(self, inputs: Sequence[Input], period: tuple[str, str]) -> dict[str, str]:
        """Per table a hash over the fingerprints of the days of `period`.

        Args:
            inputs: Name the tables.
            period: First and last day, ISO, both included.
        """
        tables = sorted({s.table for i in inputs for s in (i.selection, i.base) if s})
        hashed = {}
        for table in tables:
            days = self.inputs.pins.get(table, {})
            first = period[0][:7] if table in OF_MONTHS else period[0]
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

    def _basis_of(self, cut: Cut, scope: str | None) -> reading.Basis | None:
        """Factors and tiers behind a cut, of one scope or of all."""
        at = {**({"step": cut.period[0]} if cut.step else {}), **({} if cut.is_total else {cut.grain: cut.raw})}
        columns = tuple(at)
        if (columns, scope) not in self._basis:
            rows = self.condensed if scope is None else self.condensed.filter(self.condensed.ghg_scope == scope)
            self._basis[columns, scope] = reading.basis_by(rows, columns)
        return self._basis[columns, scope].get(tuple(at.values()))


def _scope_of(quantity: Quantity) -> str | None:
    """The GHG scope that a quantity is restricted to."""
    rows = quantity.numerator.rows if quantity.numerator else None
    return next((str(f.value) for f in rows.filters if f.column == "ghg_scope"), None) if rows else None


def label_of(label: str, cut: Cut) -> str:
    """What it is, of which part, in which step.

    Args:
        label: Of the quantity.
        cut: Of the figure.
    """
    parts = [label]
    if not cut.is_total:
        parts.append(f"by {DIMENSIONS.get(cut.grain, cut.grain)}: {member_name(cut.grain, cut.raw)}")
    if cut.step:
        parts.append(cut.period[0] if cut.table == "kpis_daily" else cut.period[0][:7])
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


def _evidence(name: str, cut: Cut, unit: str, quantity: Quantity) -> MatchedRatio | None:
    """The query behind a ratio whose sides are matched; other figures have theirs in their inputs."""
    if not quantity.match:
        return None
    sides = (quantity.numerator, quantity.denominator)
    money = any(side and side.rows.table == "cost" for side in sides)
    return MatchedRatio(name, cut.period, cut.member, unit.split(" ")[0] if money else None)


def compute(operation: str, numbers: Sequence[Decimal]) -> Decimal | None:
    """The operation of a derived figure, exactly; None where it divides by zero.

    `difference` a − b …, `sum`, `share` and `ratio` a / b, `percent_change` (a − b) / b,
    `share_below` (a − b) / a, `portion` a × b / c, `progress`
    (base − now) / (base − target) of the figures base, now, target; `linear_path` base + (target − base) × passed /
    whole of the figures base, target, years passed, years in all.

    Args:
        operation: One of these.
        numbers: Values of the parents, in the order of the operation, in their units.
    """
    if operation == "sum":
        return sum(numbers, Decimal(0))
    if operation == "difference":
        return numbers[0] - sum(numbers[1:], Decimal(0))
    if operation == "linear_path":
        base, goal, passed, whole = numbers
        return (base + EXACT.divide((goal - base) * passed, whole)).quantize(QUOTIENT, context=EXACT) if whole else None
    if operation == "portion":
        whole, part, every = numbers
        return EXACT.divide(whole * part, every).quantize(QUOTIENT, context=EXACT) if every else None
    if operation == "progress":
        base, now, target = numbers
        above, below = base - now, base - target
    else:
        above = numbers[0] if operation in {"share", "ratio"} else numbers[0] - numbers[1]
        below = numbers[0] if operation == "share_below" else numbers[1]
    return EXACT.divide(above, below).quantize(QUOTIENT, context=EXACT) if below else None


def member_name(grain: str, raw: str) -> str:
    """A member of a dimension as a reader knows it: labels of codes, zones with their country.

    Args:
        grain: The dimension.
        raw: The member, as tags and contracts spell it.
    """
    if raw == UNKNOWN:
        return NO_NAME.get(grain, "not known")
    if grain == "zone":
        return zone_name(visible(raw))
    return LABELS.get(grain, {}).get(raw, visible(raw))


def _index(
    rows: Sequence[Mapping[str, Any]], when: Callable[[Mapping[str, Any]], str], currency: str
) -> dict[KpiKey, Mapping[str, Any]]:
    """Rows by (first day of the step, KPI, grain, member); of costs only those in the reporting currency."""
    return {
        (when(row), row["kpi"], row["grain"], "" if row["grain"] == "total" else row[row["grain"]]): row
        for row in rows
        if row["kpi"] != "billed_cost" or row["unit"] == currency
    }


def value_of(row: Mapping[str, Any] | None) -> Decimal | None:
    """The value of a KPI row, divided here and rounded once; None where it has none.

    Args:
        row: Its numerator and denominator; None: there is no row.
    """
    if row is None or row["numerator"] is None:
        return None
    above: Decimal = row["numerator"]
    if row["denominator"] is None:
        return above
    below: Decimal = row["denominator"]
    return EXACT.divide(above, below).quantize(QUOTIENT, context=EXACT) if below else None


def interval_of(value: Decimal, uncertainty: Decimal) -> tuple[str, str]:
    """Low and high value of a 95 % interval, exactly.

    Args:
        value: In its unit.
        uncertainty: ± per cent.
    """
    low, high = bounds(value, uncertainty)
    return plain(low), plain(high)


def _short(share: Decimal) -> Decimal:
    return share.quantize(Decimal("1e-6"), context=EXACT)

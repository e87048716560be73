"""What could be saved, what was decided about it, and what was saved since.

What belongs here: the largest opportunities of the period, and those that were done. What does not: how they are found
(`energy_assets.opportunities`). Nothing is added up: one kWh may stand in several of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from energy_assets.contracts.vocabulary import OpportunityRule, OpportunityState
from energy_assets.disclosures import reading
from energy_assets.disclosures.document import (
    Block,
    Column,
    Runs,
    Section,
    code,
    heading,
    number,
    paragraph,
    strong,
    table,
)
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.missing import NOT_STATED, listed
from energy_assets.disclosures.rounding import Scale, scale_for
from energy_assets.disclosures.sections.common import Context, months_of
from energy_assets.disclosures.text import visible
from energy_assets.kpis.ingredients import Filter, Selection
from energy_assets.opportunities.realised import sides
from energy_assets.opportunities.regressed import KPI
from energy_assets.opportunities.states import Decision
from energy_assets.periods import MONTH_NAMES

LARGEST = 5
"""How many are printed by energy, by emissions and by cost."""
AMOUNTS = {"facility_kwh": ("energy", "kWh"), "location_g": ("mass", "gCO2e"), "cost": ("money", "")}
"""Columns by which the largest are chosen, with the kind of their scale and their unit."""
LABELS = {rule.value: rule.label for rule in OpportunityRule}
NOT_KNOWN = "nobody states it for this opportunity"
NOT_MEASURED_AFTER = "no whole month before and after the day on which it was done measured it"


@dataclass(frozen=True)
class _One:
    """An opportunity of the period.

    Attributes:
        id: Its id.
        rows: Its rows of the period's months, in order.
        decision: The last decision; None while it is proposed.
    """

    id: str
    rows: Sequence[Mapping[str, Any]]
    decision: Decision | None

    @property
    def named(self) -> str:
        """Rule and subject."""
        last = self.rows[-1]
        return f"{LABELS[last['rule']]}: {visible(last['subject'])}"

    def total(self, column: str) -> Decimal | None:
        """The sum of the months; unknown where one is, and of costs in several currencies."""
        values = [row[column] for row in self.rows]
        mixed = column == "cost" and len({row["currency"] for row in self.rows}) > 1
        return None if mixed or None in values else sum(values, Decimal(0))


def opportunities(context: Context) -> Section:
    """The largest opportunities of the period by energy, emissions and cost, their states, and what was realised.

    Args:
        context: Its decisions are those of the site folder.
    """
    every = _rows(context)
    found = [one for one in _found(context, every) if _state(one) is not OpportunityState.DISMISSED]
    title = "Opportunities"
    realised = [*_not_compared(context, every), *_realised(context, every)]
    if not found:
        noun = context.period.grain
        said = paragraph(f"No rule found anything to save in the data of this {noun}, or there are no data to look at.")
        return Section("opportunities", title, [said, *realised])
    shown = _largest(found)
    scales = {name: _scale(name, shown) for name in AMOUNTS}
    rows: list[list[Runs]] = [
        [[one.named, " (", code(one.id), ")"], *(_amount(context, one, name, scales[name]) for name in AMOUNTS),
         [_state_words(one)]]
        for one in shown
    ]  # fmt: skip
    columns = [
        Column("Opportunity", width=3.6), Column("Electricity, facility", "right", 1.2),
        Column("Location-based", "right", 1.2), Column("Cost", "right", 1), Column("State", width=1.1),
    ]  # fmt: skip
    note: Runs = [
        "What would not have been used, emitted or paid in the period: estimates, with the 95 % interval where it is "
        "known; what was assumed in the column ",
        code("basis"), " and their rows in ", code("query"), " of the table ", code("opportunities"),
        ". The largest by electricity, by emissions and by cost are printed.",
    ]  # fmt: skip
    intro = paragraph(
        "Each of these stands alone: one kWh may be in several of them, so they do not add up, and no total of them is "
        "printed. None of it is claimed as saved.",
        *([f" {_overlapping(shown)}"] if any(row["overlaps"] for one in shown for row in one.rows) else []),
    )
    return Section(
        "opportunities",
        title,
        [intro, table("opportunities-largest", "The largest opportunities", columns, rows, note=note), *realised],
    )


def _rows(context: Context) -> list[dict[str, Any]]:
    given = context.factory.inputs.tables.get("opportunities")
    return [] if given is None else reading.rows(given.order_by("month", "opportunity_id"))


def _found(context: Context, every: Sequence[Mapping[str, Any]]) -> list[_One]:
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for row in every:
        if row["found"] and context.period.first <= row["month"] <= context.period.last:
            by_id.setdefault(row["opportunity_id"], []).append(row)
    return [_One(id_, rows, context.factory.inputs.decisions.get(id_)) for id_, rows in sorted(by_id.items())]


def _not_compared(context: Context, every: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Models whose energy per token has no month before that it could be compared with."""
    judged = {row["model_id"] for row in every if row["rule"] == OpportunityRule.REGRESSED_MODELS.value}
    members = context.factory.members("model_id", KPI)
    names = sorted(one.shown for one in members if one.raw not in (*judged, reading.UNKNOWN))
    if not names:
        return []
    said = ("Energy per token is not compared for ", strong(listed(names)))
    return [paragraph(*said, ": no month before that may be compared has both sides.")]


def _largest(found: Sequence[_One]) -> list[_One]:
    """The first few by each amount, without repetition."""
    chosen: dict[str, _One] = {}
    for name in AMOUNTS:
        known = [one for one in found if (one.total(name) or 0) > 0]
        for one in sorted(known, key=lambda one: (-(one.total(name) or 0), one.id))[:LARGEST]:
            chosen[one.id] = one
    return list(chosen.values())


def _state(one: _One) -> OpportunityState:
    return one.decision.state if one.decision else OpportunityState.PROPOSED


def _state_words(one: _One) -> str:
    return f"{_state(one).label}, {one.decision.on}" if one.decision else _state(one).label


def _overlapping(shown: Sequence[_One]) -> str:
    rules = {rule for one in shown for row in one.rows for rule in (row["overlaps"] or "").split(", ") if rule}
    own = {one.rows[-1]["rule"] for one in shown if any(row["overlaps"] for row in one.rows)}
    named = [LABELS[rule] for rule in OpportunityRule.values() if rule in rules | own]
    return f"Here these may speak of the same electricity: {', '.join(named)}."


def _scale(name: str, shown: Sequence[_One]) -> Scale:
    kind, _ = AMOUNTS[name]
    return scale_for(kind, max((abs(one.total(name) or Decimal(0)) for one in shown), default=Decimal(0)))


def _amount(context: Context, one: _One, name: str, scale: Scale) -> Runs:
    unit = AMOUNTS[name][1] or (one.rows[-1]["currency"] or "")
    if name == "cost":
        scale = Scale(f"{scale.unit} {unit}".strip(), scale.power, scale.decimals)
    alone = one.rows[0] if len(one.rows) == 1 else {}
    pct = alone.get({"facility_kwh": "uncertainty_pct", "location_g": "grams_uncertainty_pct"}.get(name, ""))
    which = (Filter("opportunity_id", "=", one.id), Filter("found", "=", "true"))
    figure = context.factory.query(
        f"opportunity_{name}",
        f"{one.named}, {name.rsplit('_', 1)[0].replace('_', ' ')}",
        one.total(name),
        Selection("opportunities", name, (months_of(context.period), *which)),
        scale,
        unit,
        dimensions={"opportunity_id": one.id},
        reason=NOT_KNOWN,
        uncertainty_pct=pct,
        word=NOT_STATED,
    )
    known = figure.uncertainty_pct is not None
    return [number(figure), *([" ", number(figure, part="uncertainty", ref=False)] if known else [])]


def _realised(context: Context, every: Sequence[Mapping[str, Any]]) -> list[Block]:
    """What was done by the period's end, and what it saved since, as measured; nothing where nothing was done."""
    rows: list[list[Runs]] = []
    for id_, decision in sorted(context.factory.inputs.decisions.items()):
        mine = [row for row in every if row["opportunity_id"] == id_]
        if mine and decision.state is OpportunityState.DONE and decision.on <= context.period.last:
            rows.append(_saved(context, _One(id_, mine, decision), decision))
    if not rows:
        return []
    columns = [
        Column("Done", width=3), Column("Compared", width=2), Column("Electricity, facility", "right", 1.2),
        Column("Location-based", "right", 1.2),
    ]  # fmt: skip
    note: Runs = [
        "The measure of the last whole month before, times the units after over the units before, less the measure "
        "after. Measured, not proposed; below zero where more was used."
    ]
    return [heading("What was done"), table("opportunities-realised", "Realised since", columns, rows, note=note)]


def _saved(context: Context, one: _One, decision: Decision) -> list[Runs]:
    before, after = sides(one.rows, decision.on)
    done = f"{one.named} ({one.id}), {decision.on}"
    if before is None or not after:
        unknown = [_unknown(context, one, name) for name in ("measured_kwh", "measured_g")]
        return [[done], [NOT_MEASURED_AFTER], *([number(figure)] for figure in unknown)]
    months = [_month(row["month"]) for row in after]
    compared = f"{months[0] if len(months) == 1 else f'{months[0]} to {months[-1]}'} against {_month(before['month'])}"
    compared += f", per {before['unit'].removesuffix('s') if before['unit'] == 'days' else before['unit']}"
    saved = [_difference(context, one, before, after, name) for name in ("measured_kwh", "measured_g")]
    return [[done], [compared], *([number(figure)] for figure in saved)]


def _month(first: Any) -> str:
    return f"{MONTH_NAMES[first.month - 1]} {first.year}"


def _kind(name: str) -> tuple[str, str]:
    return ("energy", "kWh") if name == "measured_kwh" else ("mass", "gCO2e")


def _unknown(context: Context, one: _One, name: str) -> Figure:
    kind, unit = _kind(name)
    return context.factory.query(
        f"realised_{name}", f"{one.named}, realised", None,
        Selection("opportunities", name, (months_of(context.period), Filter("opportunity_id", "=", one.id))),
        scale_for(kind, Decimal(0)), unit, dimensions={"opportunity_id": one.id}, reason=NOT_MEASURED_AFTER,
        word=NOT_STATED,
    )  # fmt: skip


def _difference(
    context: Context, one: _One, before: Mapping[str, Any], after: Sequence[Mapping[str, Any]], name: str
) -> Figure:
    """Expected after, by the units, less what was measured after: four sums of rows, a portion and a difference."""
    factory, cut = context.factory, {"opportunity_id": one.id}
    kind, unit = _kind(name)
    months = [row["month"].isoformat() for row in after]
    once = Filter("month", "=", before["month"].isoformat())
    since = Filter("month", "=", months[0]) if len(months) == 1 else Filter("month", "between", (months[0], months[-1]))
    which = Filter("opportunity_id", "=", one.id)

    def side(column: str, when: Filter, rows: Sequence[Mapping[str, Any]], words: str) -> Figure:
        values = [row[column] for row in rows]
        value = None if None in values else sum(values, Decimal(0))
        of_units = column == "units"
        scale = Scale(before["unit"], 0, 0) if of_units else scale_for(kind, value or Decimal(0))
        return factory.query(
            f"opportunity_{column}_{'before' if when is once else 'after'}", f"{one.named}, {words}", value,
            Selection("opportunities", column, (when, which)), scale, before["unit"] if of_units else unit,
            dimensions=cut, reason=NOT_KNOWN,
        )  # fmt: skip

    measured, units = (side(c, once, [before], f"{w} before") for c, w in ((name, "measured"), ("units", "units")))
    now, units_now = (side(c, since, after, f"{w} after") for c, w in ((name, "measured"), ("units", "units")))
    expected = factory.derived(
        f"opportunity_{name}_expected", f"{one.named}, expected after", (measured, units_now, units), "portion",
        method="M-EXPECTED", dimensions=cut,
    )  # fmt: skip
    scale = scale_for(kind, max(abs(expected.number or Decimal(0)), abs(now.number or Decimal(0))))
    return factory.derived(
        f"realised_{name}", f"{one.named}, realised", (expected, now), "difference", scale=scale, method="M-REALISED",
        dimensions=cut,
    )  # fmt: skip

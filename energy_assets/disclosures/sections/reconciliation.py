"""Ours beside what meters, invoices and bills say: totals, like by like, and the parts that make the differences.

What belongs here: what is said of the table `reconciliation` in a report. What does not: how it is computed
(`energy_assets.kpis.reconciling`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from energy_assets.contracts.vocabulary import LIKE, Against, Step
from energy_assets.disclosures import reading
from energy_assets.disclosures.document import Block, Column, Runs, Section, number, paragraph, table
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.rounding import scale_for
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.text import visible
from energy_assets.kpis.ingredients import Filter, Selection

TABLE = "reconciliation"
TITLE = "Reconciliation"
QUANTITIES = {
    "energy_kwh": "IT energy",
    "facility_kwh": "electricity of the facility",
    "location_g": "emissions, location-based",
    "lifecycle_g": "emissions, life cycle",
}
Key = tuple[str, str, str]
"""Against, source and quantity: sums over two meters of one node would count it twice."""


def reconciliation(context: Context) -> Section:
    """What others say of the same months, and why ours differs."""
    found = _rows(context)
    if not found:
        words = (
            f"Nothing of this {context.period.grain} can be compared: no node has both a meter and devices that "
            "report, no source has electricity invoices of these days, and no machine on a bill has telemetry of its "
            "own."
        )
        return Section(TABLE, TITLE, [paragraph(words)])
    made = {key: _Compared.of(context, key, rows) for key, rows in found.items()}
    blocks: list[Block] = [
        paragraph(
            "Ours beside what others say of the same things. The parts of a difference add up to it exactly: hours "
            "that only one side has, what one side does not have yet, what only one side counts, and then energy, PUE "
            "and carbon intensity. What cannot be told apart is called that."
        ),
        _totals(context, made),
        _parts(context, made),
    ]
    return Section(TABLE, TITLE, blocks)


@dataclass(frozen=True)
class _Compared:
    """Figures of one comparison: sums of the months' rows."""

    ours: Figure
    theirs: Figure
    compared: Figure
    difference: Figure
    parts: Mapping[Step, Figure]

    @classmethod
    def of(cls, context: Context, key: Key, rows: Sequence[Mapping[str, Any]]) -> _Compared:
        """Of the rows of a comparison; parts that are none of its quantity are left out."""
        there = [step for step in Step if any(row[step.value] is not None for row in rows)]
        return cls(
            _sum(context, key, rows, "ours", "Ours"),
            _sum(context, key, rows, "theirs", "Theirs"),
            _sum(context, key, rows, "theirs_compared", "Theirs, of what both have"),
            _sum(context, key, rows, "difference", "Ours less theirs"),
            {step: _sum(context, key, rows, step.value, _said(step)) for step in there},
        )


def _rows(context: Context) -> Mapping[Key, Sequence[Mapping[str, Any]]]:
    """Comparisons of which both sides are known, by what they are against."""
    rows = context.factory.inputs.tables.get(TABLE)
    by: dict[Key, list[Mapping[str, Any]]] = defaultdict(list)
    if rows is not None:
        known = rows.filter(rows["difference"].notnull())
        for row in reading.rows(known.order_by("against", "source", "quantity", "month", "service", "meter")):
            by[row["against"], row["source"], row["quantity"]].append(row)
    return by


def _totals(context: Context, made: Mapping[Key, _Compared]) -> Block:
    rows: list[list[Runs]] = []
    for key, one in made.items():
        like = [figure for step, figure in one.parts.items() if step in LIKE]
        label = f"Ours, of what both have · {_named(key)}"
        alike = context.factory.derived("reconciliation_like", label, (one.compared, *like), "sum", method="M-SUM")
        label = f"Ours by theirs, of what both have · {_named(key)}"
        ratio = context.factory.derived(
            "reconciliation_ratio", label, (alike, one.compared), "share",
            scale=scale_for("share", Decimal(1)), unit="share", method="M-SHARE",
        )  # fmt: skip
        rows.append([[_named(key)], [number(one.ours)], [number(one.theirs)], [number(ratio)]])
    columns = [
        Column("Against", width=3), Column("Ours", "right", 1.3), Column("Theirs", "right", 1.3),
        Column("Like by like", "right", 1),
    ]  # fmt: skip
    note: Runs = ["Like by like: ours as a share of theirs, of the hours and things that both sides have."]
    return table("reconciliation-totals", "Ours beside theirs", columns, rows, note=note)


def _parts(context: Context, made: Mapping[Key, _Compared]) -> Block:
    rows: list[list[Runs]] = []
    for key, one in made.items():
        context.factory.foot(one.difference, list(one.parts.values()))
        rows += [[[_named(key)], [_said(step)], [number(part)]] for step, part in one.parts.items() if part.number]
        rows.append([[_named(key)], [{"strong": "Ours less theirs"}], [number(one.difference)]])
    columns = [Column("Against", width=2), Column("Part of the difference", width=3), Column("Amount", "right", 1.3)]
    return table("reconciliation-parts", "What makes the differences", columns, rows)


def _said(step: Step) -> str:
    return step.label[0].upper() + step.label[1:]


def _named(key: Key) -> str:
    against, source, quantity = key
    label = next(word.label for word in Against if word.value == against)
    return f"{label} ({visible(source)}): {QUANTITIES[quantity]}"


def _sum(context: Context, key: Key, rows: Sequence[Mapping[str, Any]], column: str, label: str) -> Figure:
    against, source, quantity = key
    months = [month.first.isoformat() for month in context.period.months]
    when = (
        Filter("month", "=", months[0]) if len(months) == 1 else Filter("month", "between", (months[0], months[-1]))
    )  # fmt: skip
    selection = Selection(
        TABLE,
        column,
        (
            when,
            Filter("against", "=", against),
            Filter("source", "=", source),
            Filter("quantity", "=", quantity),
            Filter("difference", "is not null"),
        ),
    )
    value = sum((row[column] for row in rows if row[column] is not None), Decimal())
    energy = quantity.endswith("_kwh")
    unit = "kWh" if energy else "gCO2e"
    scale = context.factory.scale("facility_kwh" if energy else "scope2_location_g", unit)
    dimensions = {"against": against, "source": source, "quantity": quantity}
    return context.factory.query(
        f"reconciliation_{column}", f"{label} · {_named(key)}", value, selection, scale, unit, dimensions=dimensions
    )

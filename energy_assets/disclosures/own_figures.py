"""Figures of indicators of an organisation's own: from their KPI rows, with a query that makes them again.

What belongs here: how such a row becomes a numbered figure. What does not: figures of the indicators that everybody has
(`figure_factory.py`), and what a report says about them (`sections/own.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from energy_assets.disclosures.figure_factory import Cut, FigureFactory, Member, interval_of, label_of, value_of
from energy_assets.disclosures.figures import Figure, Input, display_of, plain
from energy_assets.disclosures.missing import NOT_MEASURED, NOT_STATED
from energy_assets.disclosures.rounding import Scale, scale_for
from energy_assets.disclosures.text import visible
from energy_assets.kpis.ingredients import Filter, Selection
from energy_assets.kpis.own_evidence import OwnSums
from energy_assets.kpis.own_terms import sums
from energy_assets.own_kpis import OwnKpi
from energy_assets.own_units import SHARE


def own_figure(factory: FigureFactory, one: OwnKpi, member: Member | None = None) -> Figure:
    """An indicator of one's own, of the period.

    Args:
        factory: Holds the rows, and numbers figures.
        one: Of the site file.
        member: The member of a dimension it is cut by; None for the total.

    Returns:
        The figure; without a value, and with the reason, where there is no such row.
    """
    grain, raw = (member.grain, member.raw) if member else ("total", "")
    row, cut = factory.rows.get(("", one.name, grain, raw)), Cut(grain, raw, factory.period)
    currency = factory.inputs.organisation.currency
    value = value_of(row)
    known: Mapping[str, Any] = row if row and value is not None else {"uncertainty_pct": None, "coverage": None}
    uncertainty: Decimal | None = known["uncertainty_pct"]
    coverage: Decimal | None = known["coverage"]
    inputs = (*_stored(one, row, cut), *_rows(one, cut, currency))
    return factory.book.add(
        Figure(
            id="",
            metric=one.name,
            label=label_of(visible(one.label), cut),
            period=cut.period,
            dimensions={} if cut.is_total else {cut.grain: cut.raw},
            value=None if value is None else plain(value),
            unit=one.unit,
            display=display_of(
                value,
                own_scale(factory, one),
                uncertainty_pct=uncertainty,
                coverage=coverage,
                missing=NOT_MEASURED if row is None else NOT_STATED,
            ),
            method=method_of(one),
            operation="row" if row is None or row["denominator"] is None else "ratio",
            inputs=inputs,
            uncertainty_pct=None if uncertainty is None else plain(uncertainty),
            interval=None if value is None or uncertainty is None else interval_of(value, uncertainty),
            coverage=None if coverage is None else plain(coverage),
            pins=factory.pins(inputs, cut.period),
            reason=None if value is not None else _reason(one, row),
            evidence=OwnSums.of(one, cut.period, currency, cut.member) if value is not None else None,
        )
    )


def own_scale(factory: FigureFactory, one: OwnKpi) -> Scale:
    """How its values are printed; the same everywhere in the report.

    Args:
        factory: Holds the rows.
        one: Of the site file.
    """
    if one.unit == SHARE:
        return scale_for("share", Decimal(1))
    size = value_of(factory.rows.get(("", one.name, "total", ""))) or Decimal(0)
    return Scale(visible(one.unit), 0, scale_for("ratio", size).decimals)


def method_of(one: OwnKpi) -> str:
    """Id of its method.

    Args:
        one: Of the site file.
    """
    return f"M-{one.name.upper().replace('_', '-')}"


def _stored(one: OwnKpi, row: Mapping[str, Any] | None, cut: Cut) -> list[Input]:
    """Numerator and denominator: the KPI rows that hold them."""
    when, *others = cut.filters()
    filters = (when, Filter("kpi", "=", one.name), *others)
    roles = ["numerator", *(["denominator"] if one.denominator else [])]
    exact: Mapping[str, Decimal | None] = row or dict.fromkeys(roles)
    return [
        Input(role, None if (side := exact[role]) is None else plain(side), Selection(cut.table, role, filters))
        for role in roles
    ]


def _rows(one: OwnKpi, cut: Cut, currency: str) -> list[Input]:
    """The lake rows of each of its sums, down to raw objects; what is made of them, the evidence says."""
    selections = [each.selection.where(*cut.base_filters()) for each in sums([one], currency)]
    return [Input("rows", None, rows, rows, "") for rows in selections]


def _reason(one: OwnKpi, row: Mapping[str, Any] | None) -> str:
    if row is not None:
        return "the denominator is zero"
    both = ", or of what it is divided by" if one.denominator else ""
    return f"no row of the period is known of what it adds up{both}"

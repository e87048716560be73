"""Emissions by scope of the GHG Protocol: each apart, over time and in a table; and whether they hold all rows.

What belongs here: what is said of scopes. What does not: which there are and how they are called (the profile).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from energy_assets.contracts.vocabulary import GhgScope
from energy_assets.disclosures import reading
from energy_assets.disclosures.document import (
    Block,
    Chart,
    Column,
    Runs,
    callout,
    heading,
    number,
    paragraph,
    table,
)
from energy_assets.disclosures.figure_factory import Member
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.missing import NONE
from energy_assets.disclosures.sections.bills import without_energy
from energy_assets.disclosures.sections.breakdown import breakdown
from energy_assets.disclosures.sections.charting import (
    Footing,
    labelled,
    plot,
    step_names,
    step_table,
    steps_alt,
    totals,
)
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.sections.factors import of_each_hour
from energy_assets.disclosures.sections.intervals import why_none
from energy_assets.kpis.ingredients import Filter, Selection

#: The figure of bought services.
BOUGHT = "scope31_g"
#: Columns of `emissions` that the figures of all scopes are made from.
GRAMS = {
    "location_g": "location-based", "upstream_g": "upstream", "losses_g": "grid losses", "embodied_g": "embodied",
}  # fmt: skip
#: Rows whose life-cycle emissions are known as a whole alone. Only Scope 3.1 wants the whole.
LIFECYCLE_ALONE = (Filter("ghg_scope", "=", GhgScope.SCOPE31.value), Filter("location_g", "is null"))


def emissions_chart(context: Context) -> Chart:
    """Emissions over time, a bar for each scope beside the others; nothing adds them, neither a bar nor a label."""
    found, noun = breakdown(context), context.step_noun
    names = step_names(list(found.energy_by_step))
    rows: list[dict[str, Any]] = [
        {"layer": "part", "time": names[step], "series": scope.label, "order": order} | plot(figure, context)
        for order, scope in enumerate(found.emissions)
        for step, figure in found.emissions_by_step[scope.figure].items()
        if figure.number is not None
    ]
    first, *others = found.emissions
    figures = found.emissions_by_step[first.figure]
    unit = context.figure(first.figure).display.unit
    labels = "each scope is a bar of its own, the numbers stand in the table of chart data"
    if not others:
        rows += totals(context, figures, names)
        labels = labelled(context, names, "totals")
    alt = steps_alt(context, f"Bars of emissions by {noun}: {first.label}", figures)
    if others:
        alt += f" Beside them, each in its own colour: {'; '.join(scope.label for scope in others)}."
    series = {scope.label: found.emissions_by_step[scope.figure] for scope in found.emissions}
    footing = Footing(
        "Each column adds up to the figure of the period as printed",
        all(found.foots[scope.figure] for scope in found.emissions),
    )
    step_table(context, "data-emissions", f"Emissions by {noun}, {unit}", series, footing)
    return Chart(
        spec="emissions_by_time",
        title=f"Emissions by {noun}",
        caption=[f"In {unit}, {of_each_hour(context)}; {labels}."],
        alt=alt,
        rows=rows,
        names={
            "times": list(names.values()),
            "unit": unit,
            "series": [scope.label for scope in found.emissions],
            "colours": [scope.colour for scope in found.emissions],
        },
    )


def by_scope(context: Context) -> list[Block]:
    """Each scope with its interval, those that do not exist with the reason; and whether they hold all rows."""
    figures = [context.figure(scope.figure) for scope in context.emissions]
    rows: list[list[Runs]] = [
        [[figure.label], [number(figure)], _interval(figure), _why(context, figure)] for figure in figures
    ]
    if not rows:
        return []
    columns = [
        Column("Scope or category", width=2.3),
        Column("Emissions", "right", 1.7),
        Column("95 % interval", "right", 1.2),
        Column("Remark", width=2.4),
    ]
    note: Runs = [
        "Scopes are not added: no total or tag of emissions holds two of them. An intensity, per kWh or per request, "
        "may be of several, and its label says so."
    ]
    return [
        heading("By scope of the GHG Protocol"),
        table("by-scope", "Emissions by scope", columns, rows, note=note),
        *_category_3(context),
        *_reconciled(context, figures),
    ]


def _category_3(context: Context) -> list[Block]:
    """Category 3 of own machines as one figure, and of how much of its energy the losses are known."""
    losses = context.figure("scope33_losses_g")
    if losses.number is None or not context.direct:
        return []
    own = Member("ghg_scope", GhgScope.SCOPE2.value)
    return [
        paragraph(
            "Scope 3 category 3 together, upstream and grid losses of own machines: ",
            number(context.figure("scope33_g")), ". The losses are known of ",
            number(context.factory.kpi("losses_coverage", own)),
            " of their facility energy; of the rest they are unknown, and not zero.",
        )
    ]  # fmt: skip


def _interval(figure: Figure) -> Runs:
    return [number(figure, part="interval", ref=False)] if figure.display.interval else ["–"]


def _why(context: Context, figure: Figure) -> Runs:
    if figure.number is None:
        return [figure.reason or ""]
    remarks: list[Runs] = [] if figure.uncertainty_pct else [why_none(context, figure)]
    if figure.coverage is not None and Decimal(figure.coverage) != 1:
        remarks.append(["of ", number(figure, part="coverage", ref=False), " of the device-hours"])
    if figure.metric == BOUGHT and context.factory.gaps["losses_g_rows"]:
        remarks.append(["with the losses of the grids where they are known"])
    if figure.metric == BOUGHT and context.factory.gaps["embodied_g_rows"]:
        remarks.append(["how far its hardware is known: see what could not be measured"])
    if figure.metric == BOUGHT and without_energy(context):
        remarks.append(["without the billed services whose energy no source tells: see what could not be measured"])
    return [run for position, remark in enumerate(remarks) for run in ([*(["; "] if position else []), *remark])]


def _reconciled(context: Context, figures: Sequence[Figure]) -> list[Block]:
    """The scopes together against all rows of emissions: a check that none was left out, not a total of scopes."""
    factory = context.factory
    known = [figure for figure in figures if figure.number is not None]
    when = (Filter("day", "between", factory.period),)
    sums = [
        factory.query(
            f"rows_{column}",
            f"Check: {words} emissions of all rows",
            value,
            Selection("emissions", column, when),
            factory.scale(known[0].metric, "gCO2e"),
            "gCO2e",
        )
        for column, words in GRAMS.items()
        if known and (value := _summed(context, column)) is not None
    ]
    whole_alone = Selection("emissions", "lifecycle_g", (*when, *LIFECYCLE_ALONE))
    if known and (value := _found(context, whole_alone)) is not None:
        label = "Check: life-cycle emissions of bought services of which no location-based part is known"
        scale = factory.scale(known[0].metric, "gCO2e")
        sums.append(factory.query("rows_lifecycle_alone_g", label, value, whole_alone, scale, "gCO2e"))
    if not sums:
        return []
    parts = factory.derived(
        "reconciled_scopes_g", "Check: the scopes together", known, "sum", method="M-RECONCILE", dimensions={}
    )
    whole = factory.derived(
        "reconciled_rows_g", "Check: all rows of emissions", sums, "sum", method="M-RECONCILE", dimensions={}
    )
    if parts.number != whole.number:
        words: Runs = [
            "The scopes together hold ", number(parts), ", all rows of emissions ", number(whole),
            ". Some rows are in no scope or in two of them.",
        ]  # fmt: skip
        return [callout("warning", "The scopes do not hold all rows", *words)]
    return [
        paragraph(
            "Does it all add up? The scopes together hold ",
            number(parts),
            ", and so do all rows of emissions: ",
            number(whole),
            ". This is a check of completeness; it belongs to no scope and is not to be reported.",
        )
    ]


def _found(context: Context, rows: Selection) -> Any:
    return rows.value(reading.restricted(context.factory.emissions, rows)).sum().to_pyarrow().as_py()


def _summed(context: Context, column: str) -> Any:
    rows = context.factory.condensed
    return rows[column].sum().to_pyarrow().as_py() if column in rows.columns else None


def exists(figure: Figure) -> bool:
    """Whether there is something of this scope, known or not."""
    return figure.display.text != NONE

"""Indicators that the site file defines: their values, and how each is computed.

What belongs here: what a report says of them. What does not: their figures (`own_figures`) and rules (`own_kpis`).
"""

from __future__ import annotations

from energy_assets.disclosures.document import Block, Column, Run, Runs, Section, bullets, number, paragraph, table
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.own_figures import own_figure
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.text import visible
from energy_assets.own_kpis import OwnKpi

LARGEST = 10
"""Members of a dimension that are printed, the largest first."""


def own(context: Context) -> Section:
    """Every indicator of `kpis` in the site file, in total and by its dimensions."""
    kpis = context.factory.inputs.kpis
    rows: list[list[Runs]] = []
    left: list[str] = []
    for one in kpis:
        rows.append(_row(visible(one.label), own_figure(context.factory, one)))
        for grain in one.by:
            members = context.factory.members(grain, one.name)
            rows += [_row(f"– {member.shown}", own_figure(context.factory, one, member))
                     for member in members[:LARGEST]]  # fmt: skip
            left += [f"{visible(one.label)} by {grain}"] if len(members) > LARGEST else []
    noun = context.period.grain
    columns = [
        Column("Indicator", width=2.4),
        Column("Unit", width=1.8),
        Column(f"This {noun}", "right", 1.3),
        Column("95 % interval", "right", 1),
        Column("Observed", "right", 0.9),
    ]
    blocks: list[Block] = [
        paragraph(
            "The site file defines these indicators over the same rows as all others. They are sums, divided last; "
            "none adds two scopes of the GHG Protocol or two currencies."
        ),
        table("own-table", f"Own indicators of the {noun}", columns, rows, note=_shortened(left)),
        bullets([_words(one) for one in kpis]),
    ]
    return Section("own", "Own indicators", blocks)


def _row(name: str, figure: Figure) -> list[Runs]:
    interval: Runs = ["–"] if figure.uncertainty_pct is None else [number(figure, part="uncertainty", ref=False)]
    observed: Runs = ["–"] if figure.coverage is None else [number(figure, part="coverage", ref=False)]
    return [[name], [figure.display.unit or "–"], [number(figure, unit=False)], interval, observed]


def _shortened(left: list[str]) -> list[Run]:
    if not left:
        return []
    return [f"The largest are printed of {', '.join(left)}; the table kpis_monthly has the others."]


def _words(one: OwnKpi) -> Runs:
    return [{"strong": f"{visible(one.label)}. "}, f"{visible(one.formula)}."]

"""Methodology: boundary, rules, the choice of factors, and the methods by id that the figures name."""

from __future__ import annotations

from energy_assets.disclosures.document import Block, Column, Runs, Section, bullets, code, paragraph, table
from energy_assets.disclosures.figures import MARK
from energy_assets.disclosures.methods import QUANTITIES, REPORT_METHODS
from energy_assets.disclosures.own_figures import method_of
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.sections.factors import factor_words
from energy_assets.disclosures.text import visible

#: Factors that are named one by one.
LISTED = 30
CONSOLIDATION = {
    "operational_control": "operational control",
    "financial_control": "financial control",
    "equity_share": "equity share",
}


def methodology(context: Context) -> Section:
    """Boundary, rules, the choice of factors, and the factors applied."""
    organisation = context.factory.inputs.organisation
    approach = CONSOLIDATION.get(organisation.consolidation, visible(organisation.consolidation))
    basis = (
        "Location-based emissions are computed with direct (combustion) intensities, as the GHG Protocol asks for "
        "Scope 2; the rest of the life cycle is upstream and printed apart."
        if context.direct
        else "The site file chose life-cycle intensities for location-based emissions; upstream emissions are "
        "contained in them and are not added."
    )
    rules: list[Runs] = [
        [{"strong": "Boundary. "}, f"Consolidation by {approach}. Each kilowatt-hour has one owner and is counted "
         "once, however many exporters or bills report it."],
        [{"strong": "Energy. "}, "Counters: last minus first value of each hour, resets found. Power readings: "
         "time-weighted mean; long gaps are not bridged, coverage tells what was observed."],
        [{"strong": "Facility. "}, "IT energy multiplied with the power usage effectiveness (PUE) of its place."],
        [{"strong": "Grid. "}, "Each hour of energy is multiplied with the intensity of the same UTC hour and the same "
         "grid zone, where it is known; else with the next best, which is recorded: the hour as estimated by the "
         "publisher, the same hour of day in the month, one value for the whole month or year, which may be an earlier "
         "one. Never a world average. What was applied is listed below."],
        [{"strong": "Basis. "}, basis],
        [{"strong": "Scopes. "}, "Own machines: electricity is Scope 2, its upstream Scope 3 category 3, hardware "
         "Scope 3 category 2. Bought services: location-based, upstream and embodied together are Scope 3 category 1. "
         "Leased machines: Scope 3 category 8, the upstream apart. The place of a row decides its one scope."],
        [{"strong": "Intervals. "}, "95 %. The interval of emissions, and of ratios made of them, joins that of the "
         "energy with that of the grid factor, in squares; a factor used by many rows errs the same way in all of "
         "them. Where a factor or a meter has none, no interval is printed: never that of the energy alone. "
         "A whole node carries the interval of its meter. PUE is taken as exact."],
        [{"strong": "Idle. "}, "Idle energy is a row of its own; only the indicators per request and per token "
         "allocate it."],
        [{"strong": "Unknown is not zero. "}, "What could not be measured or multiplied stays out of the sums, lowers "
         "the coverage and is listed."],
        [{"strong": "Rounding. "}, "Sums are exact decimals; division and rounding come last, once, in the figure, "
         f"half to even. In tables with a total the last digit of some rows, marked {MARK}, is moved by one so that "
         "the rows add up to the total as printed (largest remainder); the exact value is in facts.csv, and trace "
         "prints both. "
         "Where a word stands instead of a number, its meaning and its reason are in the table of figures, where each "
         "figure also names its method."],
    ]  # fmt: skip
    return Section("methodology", "Methodology", [bullets(rules), *_factors(context)])


def _factors(context: Context) -> list[Block]:
    names = factor_words(context)
    if not names:
        return [paragraph("No grid factor was applied.")]
    blocks: list[Block] = [
        paragraph("Grid factors applied, by publisher and zone; figures.json has the identifier of each:"),
        bullets([[name] for name in names[:LISTED]]),
    ]
    if len(names) > LISTED:
        blocks.append(paragraph("Further factors are listed in figures.json with the figures that use them."))
    return blocks


def methods_table(context: Context) -> Block:
    """The formula behind each method id that a figure names."""
    used = {figure.method for figure in context.factory.book}
    formulas: dict[str, str] = {}
    for quantity in QUANTITIES.values():
        formulas.setdefault(quantity.method, quantity.formula)
    formulas |= REPORT_METHODS | {method_of(one): visible(one.formula) for one in context.factory.inputs.kpis}
    rows: list[list[Runs]] = [[[code(name)], [formulas[name]]] for name in formulas if name in used]
    return table(
        "methods", "Methods by id", [Column("Method", width=1.2), Column("Formula", width=5)], rows, compact=True
    )

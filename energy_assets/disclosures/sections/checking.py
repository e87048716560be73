"""Figures and evidence, chart data, and how to check the report."""

from __future__ import annotations

from energy_assets.disclosures.document import (
    Block,
    Column,
    Runs,
    Section,
    bullets,
    code,
    evidence,
    heading,
    link,
    paragraph,
    table,
)
from energy_assets.disclosures.missing import LEGEND
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.sections.methodology import methods_table


def figures_section(context: Context) -> Section:
    """Every figure with its evidence; figures that only charts show stand in tables of chart data."""
    dense = context.chart_data
    anchored = {
        run["figure"]
        for block in dense
        for row in block["rows"]
        for cell in row
        for run in cell
        if isinstance(run, dict) and "figure" in run
    }
    rest = [figure for figure in context.factory.book if figure.id not in anchored]
    intro = paragraph(
        "Each figure has one identifier, the same in this document, in facts.csv and in figures.json. There each "
        "figure also carries its exact value, its rows as a query, its factors and the fingerprints of its inputs."
    )
    blocks: list[Block] = [intro, _words(), evidence(rest), methods_table(context)]
    if dense:
        blocks += [heading("Chart data"), *dense]
    return Section("figures", "Figures and evidence", blocks)


def _words() -> Block:
    """What each word says that stands where a number is missing."""
    rows: list[list[Runs]] = [[[word], [meaning]] for word, meaning in LEGEND.items()]
    columns = [Column("Instead of a number", width=1.2), Column("Meaning", width=5)]
    return table("words", "Words that stand where a number is missing", columns, rows, compact=True)


def checking(context: Context) -> Section:
    """How a reader can check the report without trusting its makers."""
    inputs = context.factory.inputs
    first = context.figure(context.profile.headline[0])
    query = next((item.base.sql() for item in first.inputs if item.base), "")
    steps: list[Runs] = [
        ["Open ", code("facts.csv"), " or ", code("figures.json"), " (beside this report, and attached to the PDF) and "
         "compare any figure by its identifier."],
        ["Ask the lake again. The query of ", code(first.id), " is: ", code(f'energy-assets sql "{query}"')],
        ["Follow a figure to the bytes it came from: ", code(f"energy-assets trace REPORT {first.id}"),
         " prints its rows, its factors, and the raw objects with their receipts."],
        ["Validate the tagged facts of ", code("report.xhtml"), " with any inline XBRL processor; the taxonomy lies "
         "beside it. Its calculation must add up."],
        ["Make the report again from the same data with the same version: every file must have the same bytes."],
    ]  # fmt: skip
    if inputs.trace_page:
        steps.insert(
            2, ["The headline figures are already traced on the page ", link("trace.xhtml", "trace.xhtml"), "."]
        )
    made: list[list[Runs]] = [
        [["Code version"], [code(inputs.code_version)]],
        [["Basis of location-based factors"], [inputs.factor_basis]],
        [["Lock file, sha256"], [code(inputs.lock_sha256) if inputs.lock_sha256 else "not given"]],
    ]
    pins = context.factory.pins_of_tables()
    made += [[[f"Content of {name}"], [code(pin)]] for name, pin in pins.items()]
    columns = [Column("Made with", width=1.2), Column("Value", width=3.4)]
    return Section(
        "checking",
        "How to check this report",
        [bullets(steps, numbered=True), table("made-with", "Made with", columns, made, compact=True)],
    )

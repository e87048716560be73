"""Figures and evidence, chart data, and how to check the report."""

from __future__ import annotations

from pathlib import Path

from energy_assets.commands import portable
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

#: What a shell reads inside double quotes.
SPECIAL = {'"', "$", "`", "\\", "!"}


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
        "figure also carries its exact value, its rows as a query, its factors and the fingerprints of its inputs. The "
        "numbers of this list have gaps: figures that only charts show stand in the tables of chart data at its end."
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


def _asked(query: str, site: Path | None) -> str:
    """The query as a command; alone where the site file does not lie above the report."""
    if site is None:
        return query
    if set(query) & SPECIAL:
        return portable("sql", query, site=site)
    return f'{portable("sql", site=site)} "{query}"'


def checking(context: Context) -> Section:
    """How a reader can check the report without trusting its makers."""
    inputs = context.factory.inputs
    first = context.figure(context.profile.headline[0])
    query = next((item.base.sql() for item in first.inputs if item.base), "")
    command = code(_asked(query, inputs.site_file))
    asked: Runs = ["Ask the lake again with the query of ", code(first.id), ": ", command]
    steps: list[Runs] = [
        ["Open ", code("facts.csv"), " or ", code("figures.json"), " (beside this report, and attached to the PDF) and "
         "compare any figure by its identifier."],
        asked,
        ["Follow a figure to the bytes it came from: ", code(portable("trace", ".", first.id)), " says in ten lines "
         "what was printed, what it is made of and whether it comes out the same again. With ", code("--full"),
         " it prints every step, with ", code("--json"), " the same for a program, with ", code("--csv objects"),
         " a table of the raw objects it came from, and with ", code("--bytes"),
         " and the name of a raw object the bytes themselves."],
        ["Validate the tagged facts of ", code("report.xhtml"), " with any inline XBRL processor; the taxonomy lies "
         "beside it. Its calculation must add up."],
        ["Make the report again from the same data with the same version: every file but build.json must have the same "
         "bytes."],
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
    where = paragraph(
        "The commands are typed in the folder of this report, on a machine where energy-assets is installed and the "
        "company's data can be read."
    )
    return Section(
        "checking",
        "How to check this report",
        [where, bullets(steps, numbered=True), table("made-with", "Made with", columns, made, compact=True)],
    )

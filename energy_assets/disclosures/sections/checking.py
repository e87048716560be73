"""Figures and evidence, chart data, and how to check the report."""

from __future__ import annotations

from energy_assets.disclosures.document import (
    Block,
    Column,
    Run,
    Runs,
    Section,
    bullets,
    code,
    evidence,
    heading,
    link,
    number,
    paragraph,
    table,
)
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.methods import WORKLOADS
from energy_assets.disclosures.sections.common import Context, day_words
from energy_assets.disclosures.sections.energy import Breakdown
from energy_assets.disclosures.sections.methodology import methods_table
from energy_assets.disclosures.sections.quality import coverage_by_day
from energy_assets.disclosures.text import visible


def figures_section(context: Context, found: Breakdown) -> Section:
    """Every figure with its evidence; figures that only charts show stand in tables of chart data."""
    dense = _chart_tables(context, found)
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
    return Section(
        "figures",
        "Figures and evidence",
        [intro, evidence(rest), methods_table(context), heading("Chart data"), *dense],
    )


def _chart_tables(context: Context, found: Breakdown) -> list[Block]:
    """The numbers behind the charts; each cell names its figure."""
    blocks: list[Block] = []
    h = context.headline
    kinds = [kind for kind in WORKLOADS if kind in found.workloads]
    if found.energy_by_day:
        rows: list[list[Runs]] = [
            [
                [day_words(day)],
                *([_cell(found.parts_by_day[day][kind])] for kind in kinds),
                [_cell(found.energy_by_day[day])],
            ]
            for day in found.energy_by_day
        ]
        columns = [
            Column("Day", width=1.3),
            *(Column(WORKLOADS[kind], "right", 1) for kind in kinds),
            Column("All IT energy", "right", 1.0),
        ]
        blocks.append(table("data-energy", f"IT energy by day, {h.it.display.unit}", columns, rows, dense=True))
        by_day = (found.location_by_day, found.upstream_by_day, found.lifecycle_by_day)
        rows = [[[day_words(day)], *([_cell(figures[day])] for figures in by_day)] for day in found.energy_by_day]
        columns = [
            Column("Day", width=1.3),
            Column("Scope 2, location-based", "right", 1.0),
            Column("Scope 3.3, upstream", "right", 1.0),
            Column("Life-cycle", "right", 1.0),
        ]
        blocks.append(
            table("data-emissions", f"Emissions by day, {h.location.display.unit}", columns, rows, dense=True)
        )
    observed = coverage_by_day(context)
    if observed:
        rows = [[[day_words(day)], [_cell(figure)]] for day, figure in observed.items()]
        columns = [Column("Day", width=1.3), Column("Device-hours observed", "right", 1.0)]
        blocks.append(table("data-coverage", "Device-hours observed by day, %", columns, rows, dense=True))
    if found.hours:
        zones = list(found.hours)
        rows = [[[f"{hour:02d}:00"], *([_cell(found.hours[zone].get(hour))] for zone in zones)] for hour in range(24)]
        columns = [Column("Hour, UTC", width=1), *(Column(visible(zone), "right", 1) for zone in zones)]
        caption = f"Mean grid intensity by hour of day, {next(iter(found.hours[zones[0]].values())).display.unit}"
        blocks.append(table("data-intensity", caption, columns, rows, dense=True))
    return blocks


def _cell(figure: Figure | None) -> Run:
    return "–" if figure is None else number(figure, unit=False)


def checking(context: Context) -> Section:
    """How a reader can check the report without trusting its makers."""
    inputs = context.factory.inputs
    first = context.headline.location
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

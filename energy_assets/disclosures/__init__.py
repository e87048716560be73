"""Disclosures: figures, the document model, and its XHTML, PDF, CSV and JSON faces.

What belongs here: turning lake tables into figures and figures into documents. What does not: computing KPIs,
reading the lake, Dagster (a thin asset calls this package).

The steps, and the public names of each:

    profile.read_profile(name) -> Profile                    what a disclosure consists of, from reports/frameworks
    inputs.ReportInputs(con, tables, period, organisation, profile, targets, pins, previous, …)
        -> building.build(inputs) -> document.Document
        -> render.render(document, folder) -> list[Path]     document.json report.xhtml report.pdf facts.csv …
    shelf.replacing(folder), shelf.upload(store, prefix, folder)     a report appears whole, or the old one stays
    trace.trace(figure, book, read_rows, receipts) -> trace.Node
        -> trace_looks.summary, to_tree, to_json (terminal) and write_page(nodes, document, folder) (trace.xhtml)
    trace.rows_reader(tables) -> the read_rows of ibis tables

The same inputs give the same bytes in every file: no clock, no run id, no absolute path enters a document.
"""

"""From a figure to raw bytes, computed again on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.stored import figure_of
from energy_assets.disclosures.trace import DIFFERS, EQUAL, Node, rows_reader, trace
from energy_assets.disclosures.trace_looks import write_page
from energy_assets_tests.disclosures import company

RECEIPT = {
    "source": "frankfurt",
    "request": {"url": "http://prometheus.example", "query": "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"},
    "status": 200,
    "fetched_at": "2026-11-23T12:00:00+00:00",
    "bytes": 1234,
}


def receipts(sha256: str) -> list[dict[str, Any]]:
    return [RECEIPT | {"sha256": sha256}]


def walk(document: Document, inputs: ReportInputs, found: Figure) -> list[Node]:
    return list(trace(found, document.book, rows_reader(inputs.tables), receipts).walk())


def pick(document: Document, metric: str, **dimensions: str) -> Figure:
    return next(f for f in document.book if f.metric == metric and dict(f.dimensions) == dimensions)


def test_a_trace_reaches_rows_factors_objects_and_receipts(document: Document, inputs: ReportInputs) -> None:
    nodes = walk(document, inputs, pick(document, "scope2_location_g"))
    kinds = {node.kind for node in nodes}
    assert kinds >= {"figure", "kpi", "rows", "group", "row", "factor", "object", "receipt"}
    assert {node.verdict for node in nodes} == {"", EQUAL}
    receipt = next(node for node in nodes if node.kind == "receipt")
    assert ("request query", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION") in receipt.facts
    factors = [node for node in nodes if node.kind == "factor"]
    assert {node.title for node in factors} == {f"Factor electricity_maps/{z}/2026-11" for z in ("DE", "FR")}
    assert all(child.kind == "object" for node in factors for child in node.children)


CASES: dict[str, Callable[[Document], Figure]] = {
    "sum": lambda d: pick(d, "energy_kwh"),
    "cut": lambda d: pick(d, "energy_kwh", project="unknown"),
    "ratio": lambda d: pick(d, "idle_share"),
    "share": lambda d: next(f for f in d.book if f.operation == "share"),
    "mean": lambda d: next(f for f in d.book if f.operation == "mean"),
    "largest": lambda d: pick(d, "largest_power", device_kind="gpu"),
    "count": lambda d: pick(d, "unobserved_rows"),
    "distinct": lambda d: pick(d, "days_with_data"),
    "difference": lambda d: pick(d, "overhead_kwh"),
    "progress": lambda d: pick(d, "target_progress_of_wh_per_1k_inferences"),
    "matched by model": lambda d: pick(d, "wh_per_1k_inferences"),
    "matched by model, cut": lambda d: pick(d, "wh_per_1k_inferences", model_id="mixtral-8x7b"),
    "matched by account": lambda d: pick(d, "cost_per_kwh"),
    "day": lambda d: next(f for f in d.book if f.metric == "scope2_location_g" and f.period[0] == f.period[1]),
    "cost": lambda d: pick(d, "billed_cost"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_figure_is_computed_again_and_equal(document: Document, inputs: ReportInputs, case: str) -> None:
    nodes = walk(document, inputs, CASES[case](document))
    assert nodes[0].verdict == EQUAL
    assert DIFFERS not in {node.verdict for node in nodes}


def test_a_changed_row_is_found() -> None:
    inputs = company.inputs()
    document = build(inputs)
    change = "update emissions set location_g = location_g + 1 where rowid = (select min(rowid) from emissions)"
    inputs.con.raw_sql(change)
    nodes = walk(document, inputs, pick(document, "scope2_location_g"))
    assert [node.title for node in nodes if node.verdict == DIFFERS] == ["Rows of emissions, location_g"]
    assert DIFFERS not in {node.verdict for node in walk(document, inputs, pick(document, "energy_kwh"))}


def test_every_figure_is_made_again_and_equal(document: Document, inputs: ReportInputs) -> None:
    """Each with its evidence: a ratio whose sides are matched with both sides and the share that is matched."""
    read = rows_reader(inputs.tables)
    trees = {f.id: list(trace(f, document.book, read, receipts, examples=0).walk()) for f in document.book}
    assert not [f.label for f in document.book if DIFFERS in {node.verdict for node in trees[f.id]}]
    matched = {f.metric: f for f in document.book if f.evidence}
    assert set(matched) >= {"wh_per_1k_inferences", "wh_per_1m_tokens", "gco2e_per_1k_inferences", "cost_per_kwh"}
    for found in matched.values():
        (evidence,) = [node for node in trees[found.id] if node.title.startswith("Matched rows")]
        told = dict(evidence.facts)
        assert (evidence.verdict, told["coverage recomputed"]) == (EQUAL, found.coverage)


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        ("update cost set billed_cost = billed_cost + 1 where project = 'assistants'", {"cost_per_kwh"}),
        # Bills of a project that nobody meters change nothing but the share that is matched.
        (
            "insert into cost by name select day, hour, source, provider, 'other' as project, workload_type, "
            "billed_cost, billing_currency, raw_sha256 from cost",
            {"cost_per_kwh"},
        ),
        ("update activity set requests = requests + 1", {"wh_per_1k_inferences", "gco2e_per_1k_inferences"}),
        # What idle devices take, busy ones carry: energy here, grams there.
        (
            "update emissions set facility_kwh = facility_kwh * 2 where workload_type = 'idle'",
            {"wh_per_1k_inferences", "wh_per_1m_tokens"},
        ),
        ("update emissions set location_g = 0 where workload_type = 'idle'", {"gco2e_per_1k_inferences"}),
    ],
)
def test_a_changed_row_is_found_behind_matched_ratios(change: str, differ: set[str]) -> None:
    inputs = company.inputs()
    document = build(inputs)
    inputs.con.raw_sql(change)
    matched = [f for f in document.book if f.evidence and not f.dimensions and f.period[0] != f.period[1]]
    found = {f.metric for f in matched for n in walk(document, inputs, f)
             if n.title.startswith("Matched rows") and n.verdict == DIFFERS}  # fmt: skip
    assert found == differ


def test_a_stored_report_keeps_the_evidence(document: Document) -> None:
    for found in (pick(document, "cost_per_kwh"), pick(document, "energy_kwh")):
        assert figure_of(json.loads(found.canonical())) == found


def test_a_missing_receipt_is_said(document: Document, inputs: ReportInputs) -> None:
    found = pick(document, "billed_cost")
    nodes = list(trace(found, document.book, rows_reader(inputs.tables), lambda sha256: []).walk())
    assert "no receipt of this object was found" in {node.title for node in nodes}


def test_an_unknown_figure_names_the_last_one(document: Document) -> None:
    with pytest.raises(KeyError, match="F-"):
        document.book["F-99999"]


def test_the_page_of_headline_figures_is_the_same_each_time(
    document: Document, inputs: ReportInputs, tmp_path: Path
) -> None:
    def nodes() -> list[Node]:
        return [
            trace(document.book[id_], document.book, rows_reader(inputs.tables), receipts)
            for id_ in document.headline[:2]
        ]

    first = write_page(nodes(), document, tmp_path / "a").read_bytes()
    assert write_page(nodes(), document, tmp_path / "b").read_bytes() == first
    assert b"Synthetic data" in first

"""From a figure to raw bytes, computed again on the way."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document
from energy_assets.disclosures.figures import MARK, Figure
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.rounding import Scale
from energy_assets.disclosures.stored import figure_of
from energy_assets.disclosures.trace import DAMAGED, DIFFERS, EQUAL, Node, rows_reader, trace
from energy_assets.disclosures.trace_looks import objects_csv, summary, write_page
from energy_assets.disclosures.tracing import figure_id
from energy_assets.integrity import DamagedError
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


def test_raw_objects_are_listed_once_with_all_that_uses_them(document: Document, inputs: ReportInputs) -> None:
    tree = trace(
        pick(document, "scope2_location_g"), document.book, rows_reader(inputs.tables),
        lambda sha256: [*receipts(sha256), *receipts(sha256)], examples=0, listed=10_000,
    )  # fmt: skip
    rows = list(csv.DictReader(objects_csv(tree).splitlines()))
    nodes = {node.title.removeprefix("Raw object ") for node in tree.walk() if node.kind == "object"}
    assert len(rows) == len(nodes) > 12, "more than a page lists"
    assert {row["sha256"] for row in rows} == nodes
    assert {row["used_by"] for row in rows} == {
        "Rows of emissions, location_g", "Factor electricity_maps/DE/2026-11", "Factor electricity_maps/FR/2026-11",
    }  # fmt: skip
    assert {(row["receipts"], row["fetched_at"], row["bytes"]) for row in rows} == {
        ("2", RECEIPT["fetched_at"], "1234")
    }


def test_an_object_that_several_steps_use_names_each() -> None:
    shared = Node("object", "Raw object ab", (("source", "=1+1"), ("lies at", "landing/objects/ab/ab.zst")))
    used = [
        Node("rows", "Rows of cost, billed_cost", (), "", (shared, shared)),
        Node("factor", "Factor x", (), "", (shared,)),
    ]
    (row,) = csv.DictReader(objects_csv(Node("figure", "F-001", (), "", tuple(used))).splitlines())
    assert (row["used_by"], row["source"]) == ("Rows of cost, billed_cost; Factor x", "'=1+1")


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


def ten_lines(document: Document, inputs: ReportInputs, found: Figure) -> dict[str, str]:
    node = trace(found, document.book, rows_reader(inputs.tables), receipts, examples=0, listed=10_000)
    return dict(summary(node, found, document.book))


def test_ten_lines_say_what_was_printed_what_it_is_made_of_and_that_it_is_equal(
    document: Document, inputs: ReportInputs
) -> None:
    found = pick(document, "scope2_location_g")
    lines = ten_lines(document, inputs, found)
    assert len(lines) <= 10
    assert lines["printed"] == f"{found.display.text} kg CO₂e"
    assert lines["exact"] == f"{found.value} gCO2e"
    assert lines["recomputed"].startswith("equal (")
    assert lines["factors"] == "electricity_maps/DE/2026-11, electricity_maps/FR/2026-11"
    rows = inputs.con.raw_sql("select count(*) from emissions where ghg_scope = 'scope2'").fetchone()[0]
    assert lines["rows"].startswith(f"{rows:,} ")


def test_a_moved_digit_is_explained_with_what_the_value_rounds_to_alone(
    document: Document, inputs: ReportInputs
) -> None:
    found = next(f for f in document.book if f.display.moved)
    lines = ten_lines(document, inputs, found)
    total = document.book[found.display.rule.rsplit(" ", 1)[1]]
    alone = Scale(found.display.unit, found.display.power, found.display.decimals).rounded(found.number or Decimal(0))
    assert lines["printed"].startswith(f"{found.display.text}{MARK} {found.display.unit}")
    assert f"alone it rounds to {alone:,f}" in lines["printed"]
    assert f"add up to {total.id} {total.display.text}" in lines["printed"]


def test_a_difference_is_said_in_the_ten_lines() -> None:
    inputs = company.inputs()
    document = build(inputs)
    inputs.con.raw_sql("update emissions set energy_kwh = energy_kwh * 2 where node_id = 'serve-01'")
    lines = ten_lines(document, inputs, pick(document, "energy_kwh"))
    assert lines["recomputed"] == "DIFFERS: Rows of emissions, energy_kwh"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("f-3", "F-003"), ("3", "F-003"), ("F-003", "F-003"), ("F3", "F-003"), ("f-1234", "F-1234"), ("f-x", "F-X")],
)
def test_an_id_may_be_typed_short(typed: str, meant: str) -> None:
    assert figure_id(typed) == meant


def test_groups_stand_in_the_order_of_days_and_times_are_dates(document: Document, inputs: ReportInputs) -> None:
    asked = RECEIPT | {"request": {"start": "1763337600", "end": 1763424000, "query": "up"}}
    found = pick(document, "energy_kwh")
    nodes = list(trace(found, document.book, rows_reader(inputs.tables), lambda sha: [asked], listed=1000).walk())
    days = [node.title.rsplit(", ", 1)[1] for node in nodes if node.kind == "group"]
    assert len(days) > 7
    assert days == sorted(days)
    facts = dict(next(node for node in nodes if node.kind == "receipt").facts)
    assert facts["request start"] == "1763337600 (2025-11-17 00:00:00 UTC)"
    assert facts["request query"] == "up"
    stored = next(node for node in nodes if node.kind == "object")
    assert dict(stored.facts)["lies at"].startswith("landing/objects/")


def test_the_page_has_an_anchor_for_each_headline_figure(
    document: Document, inputs: ReportInputs, tmp_path: Path
) -> None:
    nodes = [trace(document.book[document.headline[0]], document.book, rows_reader(inputs.tables), receipts)]
    assert f'id="{document.headline[0]}"' in write_page(nodes, document, tmp_path).read_text()


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


def test_nothing_above_damaged_bytes_is_called_equal(document: Document, inputs: ReportInputs) -> None:
    found = pick(document, "scope2_location_g")
    read = rows_reader(inputs.tables)
    sound = list(trace(found, document.book, read, receipts).walk())
    broken = next(node.title.split()[-1] for node in sound if node.kind == "object")
    tree = trace(
        found, document.book, read, receipts, fault=lambda sha256: "it cannot be unpacked" if sha256 == broken else ""
    )
    assert tree.verdict == DAMAGED

    def check(node: Node) -> bool:
        own = node.kind == "object" and node.title.endswith(broken)
        below = any([check(child) for child in node.children])
        assert (node.verdict == DAMAGED) == (own or below), node.title
        if own:
            assert ("stored bytes", "it cannot be unpacked") in node.facts
        return own or below

    assert check(tree)


def test_a_damaged_receipt_is_said_and_spoils_the_verdict(document: Document, inputs: ReportInputs) -> None:
    def damaged(sha256: str) -> list[dict[str, Any]]:
        raise DamagedError(f"the receipt of {sha256} is damaged", "Run again.")

    tree = trace(pick(document, "energy_kwh"), document.book, rows_reader(inputs.tables), damaged)
    assert tree.verdict == DAMAGED
    assert any(node.title.endswith("is damaged") for node in tree.walk())


@pytest.mark.parametrize(("more", "verdict"), [("0.000000000000000004", EQUAL), ("0.00000000000001", DIFFERS)])
def test_bills_with_more_decimals_than_kpis_keep_are_equal_and_other_amounts_are_not(more: str, verdict: str) -> None:
    inputs = company.inputs()
    document = build(inputs)
    inputs.con.raw_sql(
        f"update cost set billed_cost = billed_cost + {more} where rowid = (select min(rowid) from cost)"
    )
    nodes = walk(document, inputs, pick(document, "billed_cost"))
    assert next(node for node in nodes if node.kind == "rows").verdict == verdict

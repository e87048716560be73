"""Months that are not like others: a negative sum, bills alone, requests alone; from real bytes too."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document, runs_of
from energy_assets.disclosures.places import report_folder
from energy_assets.disclosures.render import render
from energy_assets.periods import DayRange, Period
from energy_assets.query import ask
from energy_assets.running import run_days, run_report
from energy_assets.site import load_site
from energy_assets_tests import small_site
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.company import Company
from energy_assets_tests.small_site import write_csv

PACW = Path(__file__).parents[3] / "shared/data/grid/em_hourly_v2_carbonx/US-NW-PACW_2021-2024.csv.gz"
ENERGY_KPIS = "kpi not in ('requests', 'prompt_tokens', 'generated_tokens', 'billed_cost')"
BILLS_ALONE = """
organisation: {name: Small AI, currency: EUR}
start: 2024-05-30
storage: {root: ./var}
sources:
  - {name: bills, kind: focus_files, path: "bills/*.csv"}
"""
METERED_IN_PACW = """
organisation: {name: Small AI}
start: 2022-05-01
storage: {root: ./var}
engine: {kind: duckdb, memory_limit: 1GB, threads: 1}
sources:
  - {name: meters, kind: power_files, path: "meters/*.csv", node: node, max_gap_s: 7200,
     place: {provider: onprem, region: r1, zone: US-NW-PACW, pue: 1.25}}
  - {name: grid, kind: intensity_files, path: "grid/*.csv"}
"""


def text_of(document: Document) -> str:
    runs = (run for section in document.sections for block in section.blocks for run in runs_of(block))
    shown = {f.id: f"{f.display.text} {f.display.unit}".strip() for f in document.book}
    return " ".join(
        "".join(run if isinstance(run, str) else shown.get(run.get("figure", ""), "") for run in runs).split()
    )


def made(
    folder: Path, site: str, days: DayRange, edit: Callable[[Path], None] = lambda folder: None
) -> tuple[Any, Any]:
    """A small site run and reported; its run and its report."""
    path = small_site.write_site(folder, days, site)
    edit(folder)
    loaded = load_site(path)
    outcome = run_days(loaded, days, lambda step: None)
    assert outcome.success, outcome.failures
    period = Period.containing(days.first)
    reported = run_report(loaded, period, lambda step: None)
    assert reported.success, reported.failures
    return outcome, report_folder(loaded, "ml_sustainability", period)


def figures(report: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = json.loads((report / "figures.json").read_text("utf-8"))["figures"]
    return {(f["metric"], "/".join(f["dimensions"].values())): f for f in reversed(found)}


def printed(report: Path) -> str:
    root = ElementTree.fromstring((report / "report.xhtml").read_text("utf-8"))  # noqa: S314
    return " ".join("".join(root.itertext()).split())


def swap(folder: Path, more: int = 30) -> None:
    """Every hour's direct intensity above its life-cycle one."""
    path = folder / "grid/DE.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    for line in lines[1:]:
        line[4] = str(int(line[5]) + more)
    path.write_text("".join(",".join(line) + "\n" for line in lines))


def test_a_negative_upstream_is_kept_counted_and_said(tmp_path: Path) -> None:
    days = DayRange(date(2024, 5, 30), date(2024, 5, 30))
    outcome, report = made(tmp_path, small_site.SITE, days, swap)
    found = figures(report)
    # 0.84 kW at PUE 1.25 over 23.75 hours (the last reading is at 23:45), 30 g/kWh below: 24.9375 kWh x -30 g.
    upstream = found["scope33_upstream_g", ""]
    assert (Decimal(upstream["value"]), upstream["display"]["text"]) == (Decimal("-748.125"), "−748.1")
    assert Decimal(found["upstream_below_zero_hours", "DE"]["value"]) == 24
    assert Decimal(found["upstream_below_zero_g", "DE"]["value"]) == Decimal("-748.125")
    assert "Negative upstream emissions" in printed(report)
    (warning,) = [w for w in outcome.warnings if "upstream_is_not_negative" in w]
    assert "DE (24 hours)" in warning
    assert "kept as published" in warning


def test_a_negative_figure_is_tagged_with_its_sign(tmp_path: Path) -> None:
    days = DayRange(date(2024, 5, 30), date(2024, 5, 30))
    _, report = made(tmp_path, small_site.SITE, days, swap)
    root = ElementTree.fromstring((report / "report.xhtml").read_text("utf-8"))  # noqa: S314
    (tag,) = [
        e for e in root.iter("{http://www.xbrl.org/2013/inlineXBRL}nonFraction")
        if e.get("name") == "ea:Scope33EmissionsUpstreamOfElectricity"
    ][:1]  # fmt: skip
    assert (tag.get("sign"), tag.text) == ("-", "748.1")


def test_parts_of_a_negative_total_add_up_as_printed() -> None:
    inputs = company.inputs()
    for table in ("kpis_daily", "kpis_monthly"):
        inputs.con.raw_sql(
            f"update {table} set numerator = -numerator, value = -value where kpi = 'scope33_upstream_g'"
        )
    document = build(inputs)
    mine = [f for f in document.book if f.metric == "scope33_upstream_g" and f.number is not None]
    whole = next(f for f in mine if not f.dimensions and f.period[0] != f.period[1])
    as_printed = {f.id: Decimal(f.display.text.replace(",", "").replace("−", "-")) for f in mine}
    assert as_printed[whole.id] < 0
    for dimension in ("zone", "project", "workload_type"):
        parts = [as_printed[f.id] for f in mine if set(f.dimensions) == {dimension}]
        assert sum(parts) == as_printed[whole.id]


def test_a_change_from_a_negative_value_has_no_per_cent() -> None:
    inputs = company.inputs(previous=Company(first="2026-10-05", load="0.8"))
    inputs.con.raw_sql("update kpis_previous set numerator = -numerator where kpi = 'scope33_upstream_g'")
    document = build(inputs)
    change = next(f for f in document.book if f.metric == "change_pct_of_scope33_upstream_g")
    assert change.value is None
    assert "not above zero" in (change.reason or "")


def test_bills_alone_make_a_report_that_says_so(tmp_path: Path) -> None:
    _, report = made(tmp_path, BILLS_ALONE, small_site.DAYS)
    found, page = figures(report), printed(report)
    assert Decimal(found["billed_cost", ""]["value"]) == 7
    assert found["energy_kwh", ""]["display"]["text"] == "not measured"
    assert found["energy_kwh", ""]["reason"] == "no source tells energy in this month"
    assert "No energy of the AI workloads of Small AI could be measured" in page
    assert "No source tells of any device-hour" in page
    assert "Every known device-hour was observed" not in page


def test_requests_alone_make_a_report_that_says_so(tmp_path: Path) -> None:
    inputs = company.inputs()
    inputs.con.raw_sql("delete from emissions")
    inputs.con.raw_sql("delete from cost")
    for table in ("kpis_daily", "kpis_monthly"):
        inputs.con.raw_sql(f"delete from {table} where {ENERGY_KPIS} or kpi = 'billed_cost'")
    document = build(inputs)
    assert len(render(document, tmp_path)) == 8
    requests = next(f for f in document.book if f.metric == "requests")
    assert requests.number
    assert f"What is known: {requests.display.text} {requests.display.unit} were answered." in text_of(document)
    assert {f.display.text for f in document.book if f.metric == "billed_cost"} == {"not measured"}


@pytest.mark.skipif(not PACW.exists(), reason="the real exports of Electricity Maps are not beside the project")
def test_a_real_month_whose_publisher_says_more_is_burnt_than_its_life_cycle_holds(tmp_path: Path) -> None:
    first, last = date(2022, 5, 1), date(2022, 5, 31)

    def real(folder: Path) -> None:
        lines = [line for line in gzip.decompress(PACW.read_bytes()).decode().splitlines()]
        month = [line for line in lines[1:] if line.startswith("2022-05")]
        (folder / "grid/DE.csv").unlink()
        (folder / "grid/US-NW-PACW.csv").write_text("\n".join([lines[0], *month]) + "\n")
        for path in (folder / "meters").iterdir():
            path.unlink()
        hours = [datetime(2022, 5, d, h) for d in range(1, 32) for h in range(24)]
        readings = [(f"{at:%Y-%m-%dT%H:%M:%SZ}", "n1", 800) for at in [*hours, datetime(2022, 6, 1)]]
        write_csv(folder / "meters/may.csv", ["time", "node", "power_w"], readings)

    outcome, report = made(tmp_path, METERED_IN_PACW, DayRange(first, last), real)
    text = gzip.decompress(PACW.read_bytes()).decode()
    rows = [r for r in csv.DictReader(io.StringIO(text)) if r["Datetime (UTC)"].startswith("2022-05")]
    columns = [next(c for c in rows[0] if kind in c) for kind in ("Life cycle", "direct")]
    pairs = [tuple(Decimal(r[c]) for c in columns) for r in rows if all(r[c] not in {"", "nan"} for c in columns)]
    # 0.8 kW at PUE 1.25 is 1 kWh in each hour, so the grams are the sum of the differences.
    expected = sum(lifecycle - direct for lifecycle, direct in pairs)
    site, below = load_site(tmp_path / "site.yaml"), sum(direct > lifecycle for lifecycle, direct in pairs)
    asked = "select sum(upstream_g), count_if(upstream_g < 0) from emissions where factor_tier <= 2"
    _, [(grams, hours)] = ask(site, asked)
    assert expected < 0
    assert (Decimal(grams), hours) == (expected, below)
    # Hours the publisher lacks are filled from a lower rung of the ladder, and may be negative too.
    found = figures(report)
    _, [(whole, negative)] = ask(site, "select sum(upstream_g), count_if(upstream_g < 0) from emissions")
    assert Decimal(found["scope33_upstream_g", ""]["value"]) == Decimal(whole)
    assert Decimal(found["upstream_below_zero_hours", "US-NW-PACW"]["value"]) == negative >= below
    assert any("US-NW-PACW" in warning for warning in outcome.warnings)

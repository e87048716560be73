"""Reports of quarters and years: exact sums of their months, shown month by month."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document, runs_of
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.inputs import ReportInputs, Target
from energy_assets.disclosures.render import render
from energy_assets.disclosures.trace import DIFFERS, rows_reader, trace
from energy_assets.periods import Period
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.company import Company

#: 25 September to 3 November: a quarter that begins before its data and ends with three days of November.
THREE_MONTHS = Company(first="2026-09-25", days=40)


@pytest.fixture(scope="module")
def quarter_inputs() -> ReportInputs:
    """The fourth quarter; the days of September are not in its tables."""
    return restricted(company.inputs(THREE_MONTHS, period=Period.parse("2026-Q4")))


@pytest.fixture(scope="module")
def quarter(quarter_inputs: ReportInputs) -> Document:
    """Its report."""
    return build(quarter_inputs)


def restricted(inputs: ReportInputs) -> ReportInputs:
    """The tables of the days of the period alone, as the lake gives them."""
    first, last = inputs.period.first, inputs.period.last
    for name in inputs.tables:
        column = "month" if name == "kpis_monthly" else "day"
        inputs.con.raw_sql(f"delete from {name} where {column} not between '{first}' and '{last}'")
    return inputs


def figure(document: Document, metric: str, **dimensions: str) -> Figure:
    return next(f for f in document.book if f.metric == metric and dict(f.dimensions) == dimensions)


def words(document: Document) -> str:
    runs = (run for section in document.sections for block in section.blocks for run in runs_of(block))
    return " ".join(run for run in runs if isinstance(run, str))


def test_sums_of_a_quarter_are_the_exact_sums_of_its_rows(quarter: Document, quarter_inputs: ReportInputs) -> None:
    for metric, table in (("energy_kwh", "emissions"), ("facility_kwh", "emissions"), ("requests", "activity")):
        (expected,) = quarter_inputs.con.raw_sql(f"select sum({metric}) from {table}").fetchone()
        assert figure(quarter, metric).number == expected


def test_a_ratio_of_a_quarter_is_divided_last(quarter: Document, quarter_inputs: ReportInputs) -> None:
    query = "select sum(numerator), sum(denominator) from kpis_monthly where kpi = 'idle_share' and grain = 'total'"
    above, below = quarter_inputs.con.raw_sql(query).fetchone()
    found = figure(quarter, "idle_share")
    assert found.number == (Decimal(above) / Decimal(below)).quantize(Decimal("1e-12"))
    months = quarter_inputs.con.raw_sql(
        "select value from kpis_monthly where kpi = 'idle_share' and grain = 'total'"
    ).fetchall()
    assert found.number != (sum(value for (value,) in months) / len(months)).quantize(Decimal("1e-12"))


def test_a_quarter_is_shown_month_by_month(quarter: Document) -> None:
    by_month = [
        f for f in quarter.book if f.metric == "energy_kwh" and f.period != figure(quarter, "energy_kwh").period
    ]
    assert {f.period for f in by_month} == {("2026-10-01", "2026-10-31"), ("2026-11-01", "2026-11-30")}
    blocks = [block for section in quarter.sections for block in section.blocks if block["type"] == "charts"]
    titles = {chart["title"] for block in blocks for chart in block["items"]}
    assert {"IT energy by month and workload", "Emissions by month"} <= titles
    assert "In each month at least " in words(quarter)
    assert figure(quarter, "days_with_data").value == str(31 + 3)
    assert figure(quarter, "days_in_period").value == "92"
    (total,) = [f.number for f in quarter.book if f.metric == "energy_kwh" and f.period[1] == "2026-12-31"
                and not f.dimensions]  # fmt: skip
    assert sum(f.number or 0 for f in by_month if not f.dimensions) == total


def test_a_quarter_says_what_it_is(quarter: Document) -> None:
    text = words(quarter)
    assert "From 1 October to 3 November 2026 the AI workloads" in text
    assert "nothing is extrapolated to the quarter" in text
    assert "were highest in October with" in text
    assert quarter.period == {
        "key": "2026-Q4", "from": "2026-10-01", "to": "2026-12-31", "words": "Fourth quarter of 2026",
        "dated": "2026-11-03",
    }  # fmt: skip
    assert not re.search(r"\bmonth is not complete|[Tt]his month\b", quarter.text())


def test_figures_of_a_quarter_are_computed_again_and_equal(quarter: Document, quarter_inputs: ReportInputs) -> None:
    read = rows_reader(quarter_inputs.tables)
    for name in quarter.headline:
        nodes = list(trace(quarter.book[name], quarter.book, read, lambda sha256: []).walk())
        assert nodes[0].verdict
        assert DIFFERS not in {node.verdict for node in nodes}


def test_a_quarter_has_every_face(quarter: Document, tmp_path: Path) -> None:
    assert len(render(quarter, tmp_path / "a")) == 8
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    inputs = restricted(company.inputs(THREE_MONTHS, period=Period.parse("2026-Q4")))
    for path in render(build(inputs), tmp_path / "b"):
        assert path.read_bytes() == before[path.name], path.name


def test_a_quarter_of_one_month_with_data_equals_the_month() -> None:
    month, quarter = (build(company.inputs(period=Period.parse(text))) for text in ("2026-11", "2026-Q4"))
    for metric in ("energy_kwh", "facility_kwh", "idle_share", "wh_per_1k_inferences", "coverage"):
        one, other = figure(month, metric), figure(quarter, metric)
        assert (one.value, one.coverage, one.uncertainty_pct) == (other.value, other.coverage, other.uncertainty_pct)


@pytest.mark.parametrize(("days", "judged"), [(365, True), (364, False)])
def test_a_yearly_target_is_judged_by_a_whole_year_alone(days: int, judged: bool) -> None:
    target = Target("facility_kwh", "kWh", 2024, Decimal(90_000), 2030, Decimal(45_000))
    inputs = company.inputs(period=Period.parse("2026"), targets=[target])
    every_day = f"generate_series(date '2026-01-01', date '2026-01-01' + {days - 1}, interval 1 day) t(d)"
    inputs.con.raw_sql(
        f"insert into kpis_daily select k.* replace (d::date as day) from kpis_daily k, {every_day} "
        "where k.day = '2026-11-16' and kpi = 'energy_kwh' and grain = 'total'"
    )
    document = build(inputs)
    assert figure(document, "days_with_data").value == str(days)
    assert (figure(document, "target_progress_of_facility_kwh").number is not None) is judged

"""Sentences, labels and charts say what the rows say: bills, factors, shares, intervals, footing, days."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import ibis
import pyarrow as pa
import pytest

from energy_assets.disclosures import bills
from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.places import reports_folder
from energy_assets.disclosures.profile import read_profile
from energy_assets.disclosures.sections.energy import COLOURS
from energy_assets.disclosures.trace import rows_reader, trace
from energy_assets.disclosures.trace_looks import summary, write_page
from energy_assets.tables import SHARED
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.company import Company
from energy_assets_tests.disclosures.test_report import figure, text_of

OWN_ALONE = Company(bought=())
OTHER_CLOUD = "update cost set provider = 'gcp', account_id = 'g-1' where project = 'unknown'"
STATED = (
    "update emissions set factor_tier = 4, factor_resolution = 'year', "
    "factor_id = 'Some_Office,_Table_(A)/' || zone || '/2024'"
)


def made(*statements: str, of: Company | None = None) -> tuple[Document, ReportInputs]:
    inputs = company.inputs(of)
    for statement in statements:
        inputs.con.raw_sql(statement)
    return build(inputs), inputs


def captions(document: Document) -> dict[str, str]:
    charts = [c for s in document.sections for b in s.blocks if b["type"] == "charts" for c in b["items"]]
    return {chart["title"]: "".join(chart["caption"]) for chart in charts}


def note_of(document: Document, table: str) -> str:
    (found,) = [b for s in document.sections for b in s.blocks if b["type"] == "table" and b["id"] == table]
    return "".join(run if isinstance(run, str) else document.book[run["figure"]].display.text for run in found["note"])


def test_a_bill_of_machines_that_nobody_measures_is_not_measured_and_never_none() -> None:
    document, inputs = made(OTHER_CLOUD, of=OWN_ALONE)
    bought = figure(document, "scope31_g")
    assert (bought.value, bought.display.text) == (None, "not measured")
    assert bought.reason == "there are bills of gcp for it, and no source tells its energy"
    billed = inputs.con.raw_sql("select sum(billed_cost) from cost where provider = 'gcp'").fetchone()[0]
    found = figure(document, "billed_without_energy", provider="gcp")
    assert found.number == billed
    read = rows_reader(inputs.tables)
    assert trace(found, document.book, read, lambda sha256: []).verdict in ("", "equal")
    share = figure(document, "share_of_billed_cost", provider="gcp")
    said = (
        f"{found.display.text} EUR of {figure(document, 'billed_cost').display.text} EUR billed "
        f"({share.display.text} %) is of accounts of gcp whose energy no source tells"
    )
    words = " ".join(text_of(document).split()).replace("( ", "(").replace(" )", ")")
    assert words.count(said) == 2, "in the summary, and among what could not be measured"


def test_a_bill_of_machines_that_are_measured_leaves_bought_services_none() -> None:
    document, _ = made(of=OWN_ALONE)
    assert figure(document, "scope31_g").display.text == "none"
    assert "whose energy no source tells" not in text_of(document)


def test_a_member_is_none_only_where_no_bill_can_be_of_it() -> None:
    document, _ = made(OTHER_CLOUD)
    assert figure(document, "scope31_g", project="research").display.text == "none"
    assert figure(document, "scope31_g", workload_type="training").display.text == "none"
    for cut in ({"model_id": "research-7b"}, {"zone": "DE"}):
        assert figure(document, "scope31_g", **cut).display.text == "not measured", "the bill names neither"
    assert "of what is not measured or has no factor, the totals hold nothing" in note_of(document, "by-zone")
    assert "The rows add up to the total as printed" in note_of(document, "by-zone")
    remark = text_of(document)
    assert "without the billed services whose energy no source tells" in remark


def test_bills_in_another_currency_alone_are_said_without_a_sum() -> None:
    document, _ = made(OTHER_CLOUD, "update cost set billing_currency = 'USD'", of=OWN_ALONE)
    assert figure(document, "scope31_g").display.text == "not measured"
    assert "There are bills of accounts of gcp whose energy no source tells" in text_of(document)


@pytest.mark.parametrize(
    ("billed", "measured", "found"),
    [
        ([("aws", "1234-5678-9012")], [("aws", "123456789012")], []),
        ([("aws", "1"), ("aws", "2")], [("aws", "000000000001")], [("aws", ("2",))]),
        ([("aws", "1")], [("aws", None)], []),
        ([("aws", None), ("aws", "2")], [("aws", "000000000001")], [("aws", ("2",))]),
        ([("aws", "1"), ("gcp", None)], [("onprem", None)], [("aws", ()), ("gcp", ())]),
    ],
)
def test_accounts_are_compared_as_bills_are(
    billed: list[tuple[str, str | None]],
    measured: list[tuple[str, str | None]],
    found: list[tuple[str, tuple[str, ...]]],
) -> None:
    con = ibis.duckdb.connect()
    text = pa.string()

    def table(name: str, rows: list[tuple[str, str | None]]) -> ibis.Table:
        columns = {"provider": pa.array([r[0] for r in rows], text), "account_id": pa.array([r[1] for r in rows], text)}
        return con.create_table(name, pa.table(columns))

    energy = table("energy", measured).mutate(energy_kwh_known=True)
    accounts = bills.unmeasured(table("cost", billed), energy)
    assert [(one.provider, one.accounts) for one in accounts] == found


def test_an_average_of_a_year_is_said_and_that_it_is_of_another() -> None:
    document, _ = made(STATED)
    words = text_of(document)
    assert "With the grid intensity of each hour and place" not in words
    assert "averaged over the year 2024" in words
    assert "not that of each hour and not of the year reported, that caused" in words
    assert "averaged over the year 2024" in captions(document)["Emissions by day"]
    assert "is a flat line" in captions(document)["Grid intensity by hour of day"]
    assert "Some Office, Table (A): Germany (DE), average of the year 2024 and not of the year reported" in words
    assert "Some_Office" not in words
    assert "Some_Office,_Table_(A)/DE/2024" in figure(document, "scope2_location_g").factor_ids


def test_an_average_of_the_year_reported_is_not_called_another() -> None:
    document, _ = made(STATED.replace("2024", "2026"))
    assert "averaged over the year 2026" in text_of(document)
    assert "not of the year reported" not in text_of(document)


def test_hours_and_averages_together_are_said_with_their_shares(document: Document) -> None:
    words = text_of(document)
    hourly, average = figure(document, "hourly_factor_share"), figure(document, "average_factor_share")
    assert f"of each hour and place for {hourly.display.text} % of it and" in words
    assert f"for {average.display.text} % where that is not known, one averaged over the same hour of day in" in words
    assert "or, where that is not known, its average over" in captions(document)["Emissions by day"]


def test_hours_alone_are_said_plainly() -> None:
    document, _ = made("update emissions set factor_tier = 1, factor_resolution = 'hour'")
    assert "With the grid intensity of each hour and place, that caused" in text_of(document)
    assert captions(document)["Emissions by day"].startswith("In kg CO₂e, each hour with the intensity of its own grid")
    assert "flat line" not in captions(document)["Grid intensity by hour of day"]


def test_the_two_shares_of_idle_say_what_they_are_of(document: Document) -> None:
    assert figure(document, "idle_share").label == "Idle share of IT energy of known use"
    said = note_of(document, "by-workload")
    assert f"Idle is here a share of all IT energy; the indicator {figure(document, 'idle_share').display.text}" in said


def test_rows_in_use_are_counted_among_rows_in_use(document: Document, inputs: ReportInputs) -> None:
    query = "select count(*) from emissions where workload_type <> 'idle'"
    in_use = figure(document, "in_use_rows")
    assert in_use.number == inputs.con.raw_sql(query).fetchone()[0]
    assert f"{in_use.display.text} rows in use belong to no known project" in text_of(document)
    attributed = figure(document, "attributed_share").display.text
    assert f"Of the IT energy in use, {attributed} % is attributed to a project" in text_of(document)


def test_the_table_of_market_based_emissions_is_not_called_empty(document: Document) -> None:
    assert "it is not filled yet" not in text_of(document)
    assert "No contractual instruments" in text_of(document)


def test_scopes_are_bars_of_their_own_and_colours_differ_in_lightness() -> None:
    spec = json.loads((reports_folder() / "charts" / "emissions_by_time.json").read_text())
    bars = spec["layer"][0]["encoding"]
    assert bars["xOffset"]["field"] == "series"
    assert bars["y"]["stack"] is None
    emissions = read_profile("ml_sustainability").emissions
    for colours in ([scope.colour for scope in emissions], list(COLOURS.values())):
        light = sorted(_lightness(colour) for colour in colours)
        assert min(b - a for a, b in pairwise(light)) > 5


def _lightness(colour: str) -> float:
    """L* of CIELAB, 0 black to 100 white."""
    linear = [((int(colour[n : n + 2], 16) / 255 + 0.055) / 1.055) ** 2.4 for n in (1, 3, 5)]
    luminance = sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
    return float(116 * luminance ** (1 / 3) - 16)


def test_emissions_without_an_interval_say_why() -> None:
    lacking = "update kpis_monthly set uncertainty_pct = null where kpi like 'scope%' and grain = 'total'"
    known = "update emissions set factor_uncertainty_pct = 10"
    document, _ = made(lacking, known, "update emissions set factor_uncertainty_pct = null where factor_tier = 2")
    words = text_of(document)
    share = figure(document, "share_of_facility_kwh", ghg_scope="scope2")
    assert f"the grid factor of {share.display.text} % of its energy has none (the hour, estimated by the" in words
    assert "interval not known: nobody states one of the difference of two intensities" in words
    document, _ = made(lacking, known, "update emissions set uncertainty_pct = null where source = 'paris'")
    assert "that of the readings of paris is not known" in text_of(document)


def test_the_rows_of_the_chart_of_energy_add_up_as_printed(document: Document) -> None:
    days = [f for f in document.book if f.metric == "energy_kwh" and f.period[0] == f.period[1]]
    totals = {f.period[0]: _printed(f) for f in days if not f.dimensions}
    assert len(totals) == 7
    for day, total in totals.items():
        parts = [f for f in days if f.period[0] == day and f.dimensions and f.number is not None]
        assert sum(_printed(f) for f in parts) == total
    assert note_of(document, "data-energy").startswith("Each row adds up to all IT energy as printed")
    assert note_of(document, "data-emissions").startswith("Each column adds up to the figure of the period as printed")


def _printed(found: Figure) -> Decimal:
    return Decimal(found.display.text.replace(",", "").replace("<0.1", "0"))


def test_a_moved_digit_is_marked_in_tables_and_never_in_prose(rendered: Path) -> None:
    page = (rendered / "report.xhtml").read_text()
    assert '<span class="mark">' in page
    for prose in re.findall(r"<(?:p|li)[ >].*?</(?:p|li)>", page, re.DOTALL):
        assert 'class="mark"' not in prose


def test_overhead_is_explained_where_it_first_stands(document: Document) -> None:
    assert "Overhead is" not in captions(document)["IT energy by day and workload"]
    found, _ = made("update emissions set workload_type = 'overhead', device_kind = 'cpu' where workload_type = 'idle'")
    said = captions(found)["IT energy by day and workload"]
    assert "Overhead is IT energy that the site's rules give to the machines themselves (CPUs)" in said
    assert "cooling and power supply are not in it" in said


def test_the_table_of_boundaries_does_not_forbid_what_it_does(document: Document) -> None:
    assert "must not be compared" not in note_of(document, "boundary")
    assert "Compare a figure with those of the same boundary alone" in note_of(document, "boundary")


def test_hours_that_were_not_observed_are_said_to_be_in_no_total(document: Document) -> None:
    said = "of the known device-hours were observed. The report extrapolates nothing to the others"
    assert said in text_of(document)
    whole, _ = made("update kpis_monthly set numerator = denominator, value = 1 where kpi = 'coverage'")
    assert said not in text_of(whole)


def test_a_building_without_overhead_has_no_rest() -> None:
    document, _ = made(
        "update kpis_monthly set numerator = k.numerator, value = k.value from kpis_monthly k "
        "where k.kpi = 'energy_kwh' and kpis_monthly.kpi = 'facility_kwh' and kpis_monthly.grain = 'total' "
        "and k.grain = 'total'"
    )
    assert "the rest to cool and power it" not in text_of(document)
    assert "all of it in the equipment itself" in text_of(document)


def test_a_trace_says_which_days_of_the_period_have_data(
    document: Document, inputs: ReportInputs, tmp_path: Path
) -> None:
    found = figure(document, "energy_kwh")
    root = trace(found, document.book, rows_reader(inputs.tables), lambda sha256: [])
    said = dict(summary(root, found, document.book))["figure"]
    assert said.endswith("2026-11-01 to 2026-11-30; 7 of 30 days have data (2026-11-16 to 2026-11-22)")
    page = write_page([root], document, tmp_path).read_text()
    assert "November 2026; 7 of 30 days have data (2026-11-16 to 2026-11-22)" in page


def test_each_figure_of_energy_of_a_day_and_workload_has_its_tiers(document: Document) -> None:
    days = [f for f in document.book if f.metric == "energy_kwh" and f.period[0] == f.period[1] and f.number]
    assert {tuple(f.dimensions) for f in days} == {(), ("workload_type",)}
    assert all(sum(Decimal(share) for share in f.tiers.values()).quantize(Decimal("0.001")) == 1 for f in days)


def test_no_word_of_the_workshop_stands_where_a_person_reads(document: Document) -> None:
    """The code calls kinds of grid factors rungs of a ladder; a reader is told what they are."""
    root = Path(__file__).parents[2]
    pages = [root / "README.md", root / "CHANGELOG.md", *sorted((root / "docs").rglob("*.md"))]
    columns = {table.name: table.model.to_schema().columns.values() for table in SHARED}
    read = {name: " ".join(str(column.description) for column in found) for name, found in columns.items()}
    read |= {"report": document.text()} | {page.name: page.read_text() for page in pages}
    assert not [name for name, text in read.items() if re.search(r"\b(rungs?|ladder)\b", text, re.IGNORECASE)]
    assert "with a grid factor of that kind" in document.text()
    assert figure(document, "no_factor_share").label == "Facility energy without a grid factor"


def test_each_number_has_its_unit_and_sentences_say_it_once(document: Document, rendered: Path) -> None:
    below_zero, _ = made("update emissions set upstream_g = -1 where zone = 'DE'")
    assert figure(below_zero, "upstream_below_zero_hours", zone="DE").display.unit == "hours"
    for one in (document, below_zero):
        assert not [found.label for found in one.book if found.number is not None and not found.display.unit]
    few, many = (figure(document, name).display for name in ("unattributed_rows", "in_use_rows"))
    assert (few.unit, many.unit) == ("rows", "rows")
    page = re.sub("<[^>]*>", "", re.sub('<a class="ref".*?</a>', "", (rendered / "report.xhtml").read_text()))
    assert f"{few.text} of {many.text} rows in use belong to no known project" in page

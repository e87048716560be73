"""What a report says, and what it refuses to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import ibis
import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document, runs_of
from energy_assets.disclosures.figures import MARK, Display, Figure
from energy_assets.disclosures.inputs import Organisation, ReportInputs, Target
from energy_assets.disclosures.rounding import Scale
from energy_assets.disclosures.sections.progress import verdict
from energy_assets.disclosures.trace import Read, rows_reader
from energy_assets.factors.countries import zone_name
from energy_assets.kpis.periods import monthly
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.company import Company

#: What may hold digits without being a measured number: names, units, times, dates, identifiers.
NAMES = re.compile(
    r"CO₂e?|(Base|Target|Path in) \d{4}|"
    r"Scope [23](\.[1238])?(,? category [1238])?|category [1238]|1,000 requests|per 1,000|"
    r"× 1,000(,000)?|[Tt]ier [1-4]|95 %|"
    r"\d\d:00|\d{1,2} (Oct|Nov)|"
    r"\d{1,2} (to \d{1,2} )?(January|February|March|April|May|June|July|August|September|October|November|"
    r"December)( \d{4})?|(January|November|October) \d{4}|\d{4} to \d{4}|GRI|ESRS E1|U\+[0-9A-F]{4}"
)


def text_of(document: Document) -> str:
    """All prose of a document, figures as their printed form."""
    runs = (run for section in document.sections for block in section.blocks for run in runs_of(block))
    return " ".join(" ".join(_plain(run, document) for run in runs).split())


def _plain(run: Any, document: Document) -> str:
    if isinstance(run, str):
        return run
    if "figure" in run:
        display = document.book[run["figure"]].display
        return f"{display.text} {display.unit if run['unit'] else ''}"
    return str(run.get("strong") or run.get("code") or run.get("link"))


def strings(document: Document) -> Iterator[str]:
    for section in document.sections:
        yield section.title
        for block in section.blocks:
            yield from (block.get(key, "") for key in ("caption", "title", "text") if isinstance(block.get(key), str))
            yield from (run for run in runs_of(block) if isinstance(run, str))
            yield from (column["label"] for column in block.get("columns", ()))
            for item in block.get("items", ()):
                yield item.get("label", "") if isinstance(item, dict) else ""
    yield from (run for line in document.cover for run in line if isinstance(run, str))


def figure(document: Document, metric: str, **dimensions: str) -> Figure:
    return next(f for f in document.book if f.metric == metric and dict(f.dimensions) == dimensions)


def test_no_number_is_written_that_is_no_figure(document: Document) -> None:
    models = {"llama-3.1-70b", "mixtral-8x7b", "research-7b", "Lock file, sha256"}
    offenders = [t for t in strings(document) if re.search(r"\d", NAMES.sub("", t)) and t not in models]
    assert offenders == []


def test_every_figure_that_is_mentioned_exists(document: Document) -> None:
    ids = {figure.id for figure in document.book}
    used = set(re.findall(r'"figure": "(F-\d+)"', document.text()))
    assert used
    assert used <= ids


@pytest.mark.parametrize(
    ("metric", "query"),
    [
        ("facility_kwh", "select sum(facility_kwh) from emissions"),
        ("energy_kwh", "select sum(energy_kwh) from emissions"),
        ("scope2_location_g", "select sum(location_g) from emissions where ghg_scope = 'scope2'"),
        ("scope33_upstream_g", "select sum(upstream_g) from emissions where ghg_scope = 'scope2'"),
        ("scope31_g", "select sum(location_g + upstream_g) from emissions where ghg_scope = 'scope3.1'"),
        ("requests", "select sum(requests) from activity"),
        ("billed_cost", "select sum(billed_cost) from cost"),
    ],
)
def test_headline_figures_are_the_exact_sums(document: Document, inputs: ReportInputs, metric: str, query: str) -> None:
    expected = inputs.con.raw_sql(query).fetchone()[0]
    assert figure(document, metric).number == Decimal(expected)


def test_the_query_of_a_figure_gives_its_value(document: Document, inputs: ReportInputs) -> None:
    checked = 0
    for found in document.book:
        if found.operation not in {"row", "sum", "count"} or found.value is None:
            continue
        for item in found.inputs:
            if item.base and item.factor:
                answer = inputs.con.raw_sql(item.base.sql()).fetchone()[0]
                assert Decimal(answer or 0) * Decimal(item.factor) == Decimal(item.value or ""), found.label
                checked += 1
    assert checked > 60


def test_ratios_are_divided_last_from_stored_parts(document: Document) -> None:
    found = figure(document, "wh_per_1k_inferences")
    above, below = (Decimal(item.value or "") for item in found.inputs)
    assert found.number == (above / below).quantize(Decimal("1e-12"))


def test_an_incomplete_month_is_said_plainly_and_not_extrapolated(document: Document) -> None:
    section = document.sections[0].to_json()["blocks"]
    note = next(block for block in section if block["type"] == "callout")
    assert note["title"] == "The month is not complete"
    assert [run["figure"] for run in note["runs"] if isinstance(run, dict)] == [
        figure(document, "days_with_data").id,
        figure(document, "days_in_period").id,
    ]
    assert "nothing is extrapolated" in text_of(document)
    assert figure(document, "days_with_data").value == "7"
    assert figure(document, "days_in_period").value == "30"


def test_tables_add_up_as_printed(document: Document) -> None:
    total = Decimal(figure(document, "energy_kwh").display.text.replace(",", ""))
    for dimension in ("workload_type", "project", "model_id"):
        parts = [f for f in document.book if f.metric == "energy_kwh" and set(f.dimensions) == {dimension}]
        month = [f for f in parts if f.period == (document.period["from"], document.period["to"])]
        assert sum(Decimal(f.display.text.replace(",", "")) for f in month) == total


def test_unknown_is_printed_as_words_never_as_zero() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql("delete from kpis_monthly where kpi = 'wh_per_1m_tokens'")
    found = figure(build(inputs), "wh_per_1m_tokens")
    assert (found.value, found.display.text) == (None, "not measured")
    assert "no model has both energy" in (found.reason or "")


def test_an_idle_share_that_no_source_tells_is_not_measured() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql(
        "update kpis_monthly set numerator = 0, denominator = 0, value = null, coverage = 0 where kpi = 'idle_share'"
    )
    document = build(inputs)
    found = figure(document, "idle_share")
    assert (found.value, found.display.text, found.display.coverage) == (None, "not measured", "")
    assert found.reason == "no source tells who used its devices, or that nobody did"
    assert "Idle share of IT energy of known use – not measured" in text_of(document)


def test_an_idle_share_that_some_sources_tell_is_printed_with_its_coverage() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql("update kpis_monthly set coverage = 0.2 where kpi = 'idle_share' and grain = 'total'")
    found = figure(build(inputs), "idle_share")
    assert found.value is not None
    assert found.display.coverage == "20.0 %"


def test_bought_services_known_as_a_whole_alone_are_in_the_check_of_completeness() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql("update emissions set location_g = null, upstream_g = null where ghg_scope = 'scope3.1'")
    document = build(inputs)
    alone, bought = figure(document, "rows_lifecycle_alone_g"), figure(document, "scope31_g")
    assert alone.number
    assert alone.number == bought.number
    assert figure(document, "reconciled_scopes_g").number == figure(document, "reconciled_rows_g").number
    assert "Some rows are in no scope" not in text_of(document)


@pytest.mark.parametrize(("coverage", "said"), [("0.5", ["50.0 %"]), ("1", [])])
def test_a_scope_that_is_covered_in_part_says_so_where_it_stands(coverage: str, said: list[str]) -> None:
    inputs = company.inputs()
    inputs.con.raw_sql(f"update kpis_monthly set coverage = {coverage} where kpi = 'scope2_location_g'")
    document = build(inputs)
    scope2 = figure(document, "scope2_location_g")
    runs = [run for section in document.sections for block in section.blocks for run in runs_of(block)]
    beside = list(pairwise(runs))
    remarks = [a for a, b in beside if isinstance(a, dict) and b == " of the device-hours" and a["figure"] == scope2.id]
    assert [scope2.display.coverage for run in remarks if run["part"] == "coverage"] == said


def test_a_site_without_pue_gets_no_overhead_and_is_listed() -> None:
    document = build(company.inputs(Company(pue=False)))
    assert figure(document, "overhead_kwh").value is None
    assert "rows with energy have no PUE" in text_of(document)
    assert "to cool and power it" not in text_of(document)


def test_a_month_without_rows_makes_a_report_that_says_so() -> None:
    inputs = company.inputs()
    for table in ("kpis_daily", "kpis_monthly", "emissions", "cost", "activity", "grid_intensity"):
        inputs.con.raw_sql(f"delete from {table}")
    document = build(inputs)
    assert "could be measured in November 2026" in text_of(document)
    assert figure(document, "days_with_data").value == "0"


def test_months_of_unequal_days_compare_ratios_and_refuse_totals() -> None:
    before = Company(first="2026-10-05", days=5, load="1.1")
    document = build(company.inputs(previous=before))
    total, ratio = (
        figure(document, "change_pct_of_facility_kwh"),
        figure(document, "change_pct_of_wh_per_1k_inferences"),
    )
    assert total.display.text == "not stated"
    assert "unequal numbers of days" in (total.reason or "")
    now, then = (document.book[parent].number or Decimal(0) for parent in ratio.parents)
    assert ratio.number == ((now - then) / then).quantize(Decimal("1e-12"))
    assert ratio.display.text.startswith("−")


def test_months_of_equal_days_compare_totals() -> None:
    document = build(company.inputs(previous=Company(first="2026-10-05", load="0.8")))
    change = figure(document, "change_pct_of_facility_kwh")
    assert change.display.text.startswith("+")
    assert "Totals are not compared" not in document.text()


def test_whole_months_of_different_length_compare_totals() -> None:
    document = build(company.inputs(Company("2026-10-01", 31), previous=Company("2026-09-01", 30)))
    assert figure(document, "change_of_facility_kwh").value is not None


def test_target_progress_is_refused_for_yearly_totals_and_computed_for_ratios(document: Document) -> None:
    refused = figure(document, "target_progress_of_scope2_location_g")
    assert refused.value is None
    assert "yearly total" in (refused.reason or "")
    progress = figure(document, "target_progress_of_wh_per_1k_inferences")
    now = figure(document, "wh_per_1k_inferences").number or Decimal(0)
    assert progress.number == ((45 - now) / 20).quantize(Decimal("1e-12"))


def _judged(now: str, base: str = "100", goal: str = "50", path: str = "90") -> str:
    def of(value: str) -> Figure:
        return Figure("", "m", "m", ("", ""), value, "Wh", Display(value), "M", "setting")

    return verdict(of(base), of(now), of(path), of(goal))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("50", "reached"),
        ("49", "reached"),
        ("50.1", "on track"),
        ("90", "on track"),
        ("90.1", "behind"),
        ("101", "behind"),
    ],
)
def test_a_target_is_reached_on_track_or_behind(now: str, said: str) -> None:
    assert _judged(now) == said


@pytest.mark.parametrize(("now", "said"), [("80", "reached"), ("60", "on track"), ("59.9", "behind")])
def test_a_target_that_is_to_rise_is_judged_the_other_way(now: str, said: str) -> None:
    assert _judged(now, base="50", goal="80", path="60") == said


def test_the_path_of_a_target_is_a_straight_line_in_the_period_s_year(document: Document) -> None:
    """45 Wh in 2025 to 25 Wh in 2030: a year later it is at 41."""
    path = figure(document, "target_path_of_wh_per_1k_inferences")
    assert path.number == Decimal(41)
    (table,) = [b for s in document.sections for b in s.blocks if b.get("id") == "targets-table"]
    assert [c["label"] for c in table["columns"]][1:5] == ["Base 2025", "Now", "Path in 2026", "Target 2030"]
    assert {str(row[-1][0]) for row in table["rows"]} <= {"reached", "on track", "behind", "not judged"}
    assert "Judged by 7 of 30 days" in " ".join(text_of(document).split())


def _bullets(document: Document) -> dict[str, dict[str, Any]]:
    """Rows of the chart of targets, by the name of the target and by layer; none where there is no such chart."""
    blocks = [b for s in document.sections if s.id == "targets" for b in s.blocks if b["type"] == "charts"]
    rows = [row for block in blocks for chart in block["items"] for row in chart["rows"]]
    names = {row["line"]: row["text"] for row in rows if row["layer"] == "name"}
    return {name: {row["layer"]: row for row in rows if row["line"] == line} for line, name in names.items()}


def test_each_target_has_a_bullet_bar_that_is_as_long_as_its_figures_say(document: Document) -> None:
    judged, refused = _bullets(document).values()
    now = figure(document, "wh_per_1k_inferences")
    longest = float(now.number or 0)
    assert longest > 45
    lengths = {layer: row["value"] for layer, row in judged.items() if layer in {"base", "now", "path", "target"}}
    assert lengths == {
        "base": pytest.approx(45 / longest), "now": 1, "path": pytest.approx(41 / longest),
        "target": pytest.approx(25 / longest),
    }  # fmt: skip
    assert (judged["now"]["figure"], judged["now"]["text"]) == (now.id, now.display.text)
    assert judged["verdict"]["text"] == f"{now.display.text} Wh, behind"
    assert "now" not in refused, "a month is not drawn beside a year"
    assert refused["verdict"]["text"] == "not judged"


@pytest.mark.parametrize(("base", "goal", "drawn"), [("0", "50", True), ("45", "90", True), ("-1", "25", False)])
def test_a_bullet_bar_needs_no_base_above_zero_but_none_below(base: str, goal: str, drawn: bool) -> None:
    target = Target("wh_per_1k_inferences", "Wh per 1,000 requests", 2025, Decimal(base), 2030, Decimal(goal))
    found = _bullets(build(company.inputs(targets=(target,))))
    assert bool(found) is drawn
    for bar in found.values():
        assert max(row["value"] for layer, row in bar.items() if layer in {"base", "now", "path", "target"}) == 1


def test_every_name_in_the_list_of_figures_is_its_own(document: Document) -> None:
    """A project, a model and a workload may all be called idle, or unknown."""
    company_of_one_name = company.inputs(Company(projects=("idle", "other", "unknown"), models=("idle", "a", "b", "c")))
    for found in (document, build(company_of_one_name)):
        names = [(f.label, f.period) for f in found.book]
        assert [name for name in set(names) if names.count(name) > 1] == []


def test_a_moved_digit_is_marked_where_it_stands(document: Document) -> None:
    moved = [f for f in document.book if f.display.moved]
    assert moved
    assert all(f.to_json()["display"]["mark"] == MARK and MARK not in f.display.text for f in moved)
    scale = {f.id: Scale(f.display.unit, f.display.power, f.display.decimals) for f in moved}
    assert all(Decimal(f.display.text.replace(",", "")) != scale[f.id].rounded(f.number or Decimal(0)) for f in moved)
    assert f"marked {MARK}" in text_of(document)


def test_zones_are_shown_with_their_country(document: Document) -> None:
    assert "Germany (DE)" in text_of(document)
    assert zone_name("US-MIDA-PJM") == "United States (US-MIDA-PJM)"
    assert zone_name("GERMANY") == "GERMANY"


def test_a_running_month_is_said_as_its_days_and_dated_with_the_last_one(document: Document) -> None:
    assert "From 16 to 22 November 2026 the AI workloads" in text_of(document)
    assert document.period["dated"] == "2026-11-22"
    assert "Reporting period November 2026, not complete" in str(document.cover)


def test_a_whole_month_is_said_as_one() -> None:
    document = build(company.inputs(Company("2026-10-01", 31)))
    assert "In October 2026 the AI workloads" in text_of(document)
    assert "Reporting period 1 to 31 October 2026" in str(document.cover)
    assert document.period["dated"] == "2026-10-31"


def test_a_month_with_a_day_without_interval_states_none() -> None:
    """One day of which nothing is known of the error leaves the month's unknown, not that of the other days."""
    inputs = company.inputs()
    kpis = inputs.con.table("kpis_daily")
    days = kpis.filter(kpis.kpi == "facility_kwh", kpis.grain == "total")
    whole = monthly(days).to_pyarrow().to_pylist()
    lacking = days.mutate(
        uncertainty_pct=ibis.ifelse(
            days.day == ibis.date(2026, 11, 18), ibis.null("decimal(6, 3)"), days.uncertainty_pct
        )
    )
    assert [row["uncertainty_pct"] is None for row in whole] == [False]
    assert [row["uncertainty_pct"] for row in monthly(lacking).to_pyarrow().to_pylist()] == [None]


def test_the_boundary_says_what_was_metered(document: Document) -> None:
    words = text_of(document)
    assert "IT equipment: GPUs alone" in words
    assert "No meter here is of a whole machine" in words
    inputs = company.inputs()
    inputs.con.raw_sql("update emissions set device_kind = 'node', method = 'metered_node' where node_id = 'serve-01'")
    words = text_of(build(inputs))
    assert "IT equipment: GPUs and whole nodes" in words
    assert "No meter here is of a whole machine" not in words


def test_a_target_on_no_indicator_names_the_indicators() -> None:
    target = Target("wh_per_joke", "Wh", 2025, Decimal(1), 2030, Decimal(0))
    with pytest.raises(ValueError, match="wh_per_1k_inferences"):
        build(company.inputs(targets=(target,)))


def test_an_implausible_figure_is_flagged() -> None:
    document = build(company.inputs(Company(load="3")))
    assert "OUTSIDE" in text_of(document)
    assert "Implausible figure" in document.text()


def test_a_tie_is_not_called_the_largest() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql(
        "update kpis_monthly set numerator = 5, value = 5 where kpi='energy_kwh' and grain='workload_type'"
    )
    assert "took the largest part" not in text_of(build(inputs))


def test_a_day_that_prints_as_another_one_is_not_called_the_highest() -> None:
    """4.6304 and 4.6298 are both printed as 4.63: a reader sees no difference."""
    inputs = company.inputs()
    inputs.con.raw_sql(
        "update kpis_daily set numerator = 4630 + day(day) * 0.01, value = 4630 + day(day) * 0.01 "
        "where kpi = 'scope2_location_g' and grain = 'total'"
    )
    words = text_of(build(inputs))
    assert "Scope 2 emissions" in words
    assert "were highest on" not in words
    assert "Highest on" not in words


def test_findings_follow_the_data(document: Document, inputs: ReportInputs) -> None:
    query = "select day from emissions where ghg_scope = 'scope2' group by day order by sum(location_g) desc limit 1"
    day = inputs.con.raw_sql(query).fetchone()[0]
    printed = next(f for f in document.book if f.metric == "scope2_location_g" and f.period[0] == str(day)).display.text
    assert f"highest on {day.day} November with {printed} kg" in text_of(document)


def test_life_cycle_basis_is_printed_and_upstream_is_not_added() -> None:
    document = build(company.inputs(factor_basis="lifecycle"))
    words = text_of(document)
    assert "taken over the life cycle" in words
    assert "chose life-cycle intensities" in words
    assert "supply of its fuel" not in words
    said = words.partition("Not stated")[0].partition("Figures and evidence")[0]
    assert "Scope 3.3, upstream" not in said
    assert "Scope 3.3 emissions, upstream" not in said
    assert "Scope 3.3 emissions, grid losses" in said, "losses are Scope 3.3 with either basis"


def test_costs_in_other_currencies_are_named_not_added() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql(
        "insert into kpis_monthly select * replace ('USD' as unit) from kpis_monthly where kpi='billed_cost'"
    )
    document = build(inputs)
    assert "Costs in USD" in text_of(document)
    assert figure(document, "billed_cost").unit == "EUR"


def test_more_members_than_a_table_shows_become_one_row() -> None:
    inputs = company.inputs()
    inputs.con.raw_sql(
        "insert into kpis_monthly select k.* replace ('p' || n as project, k.numerator / 100 as numerator) "
        "from kpis_monthly k, range(30) t(n) where grain = 'project' and kpi = 'energy_kwh' and project = 'search'"
    )
    document = build(inputs)
    rest = figure(document, "energy_kwh_of_others", project="all others")
    parts = [document.book[parent].number or Decimal(0) for parent in rest.parents]
    assert rest.number == parts[0] - sum(parts[1:])
    assert len(parts) == 11


def test_the_pins_of_a_figure_change_with_the_content_of_its_days_alone(document: Document) -> None:
    other = company.inputs()
    pins = {t: dict(days) for t, days in other.pins.items()}
    pins["emissions"]["2026-11-17"] = "f" * 64
    changed = build(company.inputs(pins=pins))
    by_day = [
        f.period[0]
        for old, f in zip(document.book, changed.book, strict=True)
        if f.metric == "scope2_location_g" and f.period[0] == f.period[1] and old.fingerprint != f.fingerprint
    ]
    assert by_day == ["2026-11-17"]


def test_equal_inputs_make_equal_documents(document: Document) -> None:
    assert build(company.inputs(trace_page=True)).text() == document.text()


def test_a_real_organisation_gets_no_synthetic_banner() -> None:
    organisation = Organisation("Example AI", "EUR", lei="529900T8BM49AURSDO55")
    document = build(company.inputs(organisation=organisation))
    assert document.banner == ""
    assert "529900T8BM49AURSDO55" in str(document.cover)


def test_rows_can_be_selected_again_from_a_figure(document: Document, inputs: ReportInputs) -> None:
    read = rows_reader(inputs.tables)
    found = figure(document, "scope2_location_g", project="search")
    base = found.inputs[0].base
    assert base is not None
    assert {row["project"] for row in read(Read(base))} == {"search"}


def test_the_summary_says_what_is_not_covered_until_it_is() -> None:
    inputs = company.inputs(Company())

    def said() -> list[str]:
        summary = build(inputs).sections[0]
        return [run for block in summary.blocks for run in runs_of(block) if str(run).startswith("Not covered")]

    assert said() == [
        "Not covered: Scope 2 market-based, grid losses, hardware (embodied), water on site, water of electricity."
    ]
    inputs.con.raw_sql("update emissions set water_onsite_l = 1")
    assert said() == ["Not covered: Scope 2 market-based, grid losses, hardware (embodied), water of electricity."]


@pytest.mark.parametrize(("share", "drawn"), [("0.95", False), ("0.94", True), ("null", True)])
def test_device_hours_are_drawn_where_an_outage_can_be_seen(share: str, drawn: bool) -> None:
    made_of = company.inputs()
    day = "kpi = 'coverage' and grain = 'total' and day = '2026-11-17'"
    made_of.con.raw_sql(f"update kpis_daily set value = {share}, numerator = {share}, denominator = 1 where {day}")
    document = build(made_of)
    blocks = [block for section in document.sections for block in section.blocks if block["type"] == "charts"]
    titles = {chart["title"] for block in blocks for chart in block["items"]}
    assert ("Device-hours observed by day" in titles) is drawn
    assert ("On each day at least 95.0 % of them were observed" in text_of(document)) is not drawn

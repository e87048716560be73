"""What it cost: by project, and of idle devices where there is a bill for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from energy_assets.disclosures.document import Document
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.sections.breakdown import SHOWN
from energy_assets.disclosures.trace import EQUAL, rows_reader, trace
from energy_assets_tests.disclosures.test_report import figure, text_of
from energy_assets_tests.disclosures.test_words import made, note_of

CUT = {"provider": "aws"}
COST = "select sum(billed_cost) from cost"
SHARE = (
    "select sum(facility_kwh) filter (where workload_type = 'idle') / sum(facility_kwh)::double "
    "from emissions where provider = 'aws'"
)
#: Two accounts of one provider, of which one has no meter.
ACCOUNTS = (
    "update emissions set account_id = '0000-1' where provider = 'aws'",
    "update cost set account_id = case when project = 'unknown' then '0000-2' else '0000-1' end",
)


def asked(inputs: ReportInputs, query: str) -> Any:
    return inputs.con.raw_sql(query).fetchone()[0]


def said(document: Document) -> str:
    return " ".join(text_of(document).split())


def table(document: Document) -> list[list[str]]:
    """The cells of the table of costs as they are printed; empty where there is no such table."""
    blocks = [b for s in document.sections for b in s.blocks if b.get("id") == "cost-by-project"]
    rows = [row for block in blocks for row in block["rows"]]
    return [[_cell(cell[0] if cell else "", document) for cell in row] for row in rows]


def _cell(run: Any, document: Document) -> str:
    if isinstance(run, str):
        return run
    display = document.book[run["figure"]].display
    return str(display.coverage if run["part"] == "coverage" else display.text)


def test_idle_devices_have_their_share_of_the_bill_of_their_accounts(document: Document, inputs: ReportInputs) -> None:
    found = figure(document, "idle_cost", **CUT)
    share, cost = asked(inputs, SHARE), asked(inputs, COST)
    assert 0 < share < 0.5
    assert float(found.number or 0) == pytest.approx(float(cost) * share, rel=1e-9)
    assert (
        "By their share of the electricity of the accounts that aws bills and that are measured, idle devices account "
        f"for {found.display.text} EUR of the {figure(document, 'billed_cost').display.text} EUR billed for these. "
        "Other idle energy is on no bill and has no price here."
    ) in said(document)
    tree = trace(found, document.book, rows_reader(inputs.tables), lambda sha256: [])
    assert {node.verdict for node in tree.walk()} <= {"", EQUAL}
    assert tree.verdict == EQUAL


def test_only_accounts_that_are_billed_and_measured_give_a_price() -> None:
    document, inputs = made(*ACCOUNTS)
    assert figure(document, "billed_cost_measured", **CUT).number == asked(inputs, f"{COST} where project <> 'unknown'")
    nobody, _ = made("update cost set provider = 'gcp'")
    assert "idle devices account for" not in said(nobody)
    assert not [f for f in nobody.book if f.metric == "idle_cost"], "the cost per kWh of others is no price"


def test_charges_of_days_without_energy_are_not_divided() -> None:
    early = (
        "insert into cost by name select date '2026-11-02' as day, hour - interval 14 day as hour, "
        "* exclude (day, hour) from cost where day = '2026-11-16'"
    )
    document, inputs = made(early)
    assert figure(document, "billed_cost_measured", **CUT).number == asked(inputs, f"{COST} where day >= '2026-11-16'")


@pytest.mark.parametrize(
    "change", ["update emissions set workload_type = 'inference' where workload_type = 'idle'",
               "update cost set billed_cost = -billed_cost", "update emissions set facility_kwh = null"],
)  # fmt: skip
def test_where_nothing_is_idle_billed_or_measured_nothing_is_said(change: str) -> None:
    document, _ = made(change)
    assert "idle devices account for" not in said(document)


def test_idle_costs_of_several_providers_are_added() -> None:
    document, _ = made(
        "update emissions set provider = 'gcp' where zone = 'DE'",
        "insert into cost by name select * exclude (provider), 'gcp' as provider from cost",
    )
    parts = [figure(document, "idle_cost", provider=name).number or Decimal(0) for name in ("aws", "gcp")]
    assert figure(document, "idle_cost").number == sum(parts)
    assert "the accounts that aws and gcp bill and that are measured" in said(document)


def test_each_project_has_its_billed_cost_with_what_it_rests_on(document: Document) -> None:
    projects = {row[0]: row[1:] for row in table(document)}
    assert list(projects)[-2:] == ["Not attributed", "Total"], "largest first, then what nobody is known to owe"
    whole, rate = figure(document, "billed_cost"), figure(document, "cost_per_kwh")
    assert projects["Total"] == [whole.display.text, "", rate.display.text, rate.display.coverage]
    assert projects["Not attributed"][2:] == ["–", "–"]
    assistants = figure(document, "cost_per_kwh", project="assistants")
    assert projects["assistants"][2:] == [assistants.display.text, assistants.display.coverage]
    parts = [figure(document, "billed_cost", project=name).number or 0 for name in ("assistants", "unknown")]
    assert sum(parts) == whole.number
    assert note_of(document, "cost-by-project").startswith("The rows add up to the total as printed")


def test_many_projects_end_in_all_others() -> None:
    many = (
        "insert into kpis_monthly by name select k.* exclude (project, numerator), 'p' || n as project, 1 as numerator "
        f"from kpis_monthly k, (select unnest(range({SHOWN + 5})) as n) "
        "where kpi = 'billed_cost' and grain = 'project' and project = 'unknown'",
        "update kpis_monthly set numerator = (select sum(numerator) from kpis_monthly where kpi = 'billed_cost' "
        "and grain = 'project') where kpi = 'billed_cost' and grain = 'total'",
    )
    document, inputs = made(*many)
    names = [row[0] for row in table(document)]
    assert (len(names), names[-2:]) == (SHOWN + 2, ["All others", "Total"])
    others = figure(document, "billed_cost_of_others", project="all others")
    assert others.number == 6 + asked(inputs, f"{COST} where project = 'unknown'"), "six of 1 EUR, and nobody's"


def test_bills_alone_have_their_costs_by_project_and_no_bill_has_none() -> None:
    alone, _ = made("delete from emissions", "delete from kpis_daily where kpi <> 'billed_cost'",
                    "delete from kpis_monthly where kpi <> 'billed_cost'")  # fmt: skip
    assert [row[0] for row in table(alone)][-1] == "Total"
    unbilled, _ = made("delete from cost", "delete from kpis_daily where kpi like '%cost%'",
                       "delete from kpis_monthly where kpi like '%cost%'")  # fmt: skip
    assert table(unbilled) == []

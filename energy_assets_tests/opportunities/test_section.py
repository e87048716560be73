"""The section of a report on the test company: what it says where nothing was found, and of what was not compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from energy_assets.contracts import tables as contracts
from energy_assets.contracts.audit import schema_of
from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import runs_of
from energy_assets_tests.disclosures import company
from energy_assets_tests.kpis.tables import typed


def said(inputs: Any, *rows: dict[str, Any]) -> str:
    """The text of the section, where the lake holds these rows."""
    given = typed(dict(schema_of(contracts.Opportunities).items()), rows)
    inputs.con.create_table("opportunities", given, overwrite=True)
    tables = {**inputs.tables, "opportunities": inputs.con.table("opportunities")}
    (section,) = [one for one in build(replace(inputs, tables=tables)).sections if one.id == "opportunities"]
    runs = [run for block in section.blocks for run in runs_of(block)]
    return " ".join(run if isinstance(run, str) else str(run.get("strong", "")) for run in runs)


def test_models_without_a_month_before_are_named_and_those_that_were_judged_are_not() -> None:
    inputs = company.inputs()
    query = "select distinct model_id from kpis_monthly where kpi = 'wh_per_1m_tokens' and grain = 'model_id'"
    names = sorted(name for (name,) in inputs.con.raw_sql(query).fetchall() if name != "unknown")
    first = date.fromisoformat(inputs.period.first.isoformat())
    alone = said(inputs)
    assert "No rule found anything to save in the data of this month" in alone
    assert all(name in alone.split("is not compared for")[1] for name in names)
    judged = {"month": first, "rule": "regressed_models", "opportunity_id": "a" * 12, "found": False,
              "model_id": names[0]}  # fmt: skip
    told = said(inputs, judged)
    assert names[0] not in told
    assert all(name in told for name in names[1:])

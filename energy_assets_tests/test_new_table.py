"""A new table needs one description, one transform and one line: proven by adding a monthly one and running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import dagster as dg
import ibis
import ibis.expr.types as ir
import pytest
from pandera.ibis import DataFrameModel, Field

from energy_assets import definitions, partitions, query
from energy_assets.contracts import types as t
from energy_assets.contracts.proof import Proof
from energy_assets.contracts.vocabulary import Feed
from energy_assets.materialize import Reader, table_asset
from energy_assets.periods import Month
from energy_assets.query import ask
from energy_assets.running import instance, run_days
from energy_assets.site import Site, load_site
from energy_assets.tables import ENERGY, SHARED, Table
from energy_assets_tests.small_site import DAYS, write_site


class NodesByMonth(DataFrameModel):
    """Energy of each node in a month."""

    month: t.DAY = Field(description="first day of the month, the partition")
    node_id: t.TEXT = Field(description="host")
    energy_kwh: t.FACILITY_KWH = Field(ge=0, description="IT energy before PUE")

    class Config:
        """Grain of the table."""

        unique: ClassVar = ["month", "node_id"]
        name = "nodes_monthly"


def too_much(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Months with more energy than their hours."""
    total = upstream["energy"].aggregate(kwh=upstream["energy"].energy_kwh.sum())
    months = staged.group_by("month").aggregate(kwh=staged.energy_kwh.sum())
    both = months.cross_join(total)
    return both.filter(both.kwh > both.kwh_right)


NODES_MONTHLY = Table(
    "nodes_monthly",
    NodesByMonth,
    ("unified", "nodes_monthly"),
    grain="month",
    feed=Feed.ENERGY,
    identity=("month", "node_id"),
    proofs=(Proof("no_more_than_its_hours", "Months hold no more energy than their hours.", too_much),),
)


def nodes_by_month(energy: ir.Table) -> ir.Table:
    month = ibis.date(energy.day.year(), energy.day.month(), 1)
    return energy.group_by(month=month, node_id=energy.node_id).aggregate(
        energy_kwh=energy.energy_kwh.sum().cast(t.FACILITY_KWH)
    )


def node_assets(site: Site) -> list[dg.AssetsDefinition]:
    def make(read: Reader, months: Sequence[date]) -> ir.Table:
        return nodes_by_month(read(ENERGY, [day for first in months for day in Month.of(first).days]))

    return [table_asset(site, NODES_MONTHLY, [ENERGY], "Energy by node.", make, lambda rows: rows)]


def test_a_description_a_transform_and_a_line_make_a_monthly_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for module in (partitions, query):
        monkeypatch.setattr(module, "SHARED", (*SHARED, NODES_MONTHLY))
    monkeypatch.setattr(definitions, "FLOORS", (*definitions.FLOORS, node_assets))

    site = load_site(write_site(tmp_path))
    outcome = run_days(site, DAYS, lambda step: None)

    assert outcome.success, outcome.failures
    key = dg.AssetKey(["unified", "nodes_monthly"])
    assert ask(site, "from nodes_monthly order by all")[1] == [
        (date(2024, 5, 1), "n1", Decimal("28.8")),
        (date(2024, 5, 1), "n2", Decimal("11.52")),
        (date(2024, 6, 1), "n1", Decimal("14.25")),
        (date(2024, 6, 1), "n2", Decimal("5.7")),
    ]
    with instance(site) as opened:
        assert opened.get_materialized_partitions(key) == {"2024-05-01", "2024-06-01"}
        check = dg.AssetCheckKey(key, "no_more_than_its_hours")
        (last,) = opened.event_log_storage.get_asset_check_execution_history(check, 1)
        assert last.status.value == "SUCCEEDED"
    graph = definitions.build_defs(site).resolve_asset_graph()
    assert graph.get(key).freshness_policy == graph.get(dg.AssetKey(["kpi", "monthly"])).freshness_policy

"""A month that changes has those months made again that were compared with it, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from energy_assets.contracts import tables as contracts
from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.vocabulary import OpportunityRule
from energy_assets.estimates.constants import Constants
from energy_assets.opportunities.assets import _request_followers, idle_watts
from energy_assets.site import load_site
from energy_assets.tables import KPIS_MONTHLY, OPPORTUNITIES, Table
from energy_assets_tests.kpis.tables import typed
from energy_assets_tests.opportunities.gpu_site import SITE
from energy_assets_tests.opportunities.test_rules import kpi, kpis

MAY, JUNE, JULY, OCTOBER = (date(2024, month, 1) for month in (5, 6, 7, 10))


class Stub:
    """A reader of two tables in memory, of which months are asked."""

    def __init__(self, indicators: Sequence[Any], stored: Sequence[Any], made: Sequence[date]) -> None:
        self.con, self.made, self.requested = ibis.duckdb.connect(), made, set[date]()
        self.kpis = kpis(indicators)
        given = [{"rule": OpportunityRule.REGRESSED_MODELS.value, "model_id": "tiny", **row} for row in stored]
        self.stored = typed(dict(schema_of(contracts.Opportunities).items()), given)
        self.lake = self

    def fingerprints(self, table: str) -> dict[date, str]:
        assert table == OPPORTUNITIES.name
        return dict.fromkeys(self.made, "d2-…")

    def read(self, con: Any, table: Table, partitions: Sequence[date]) -> ir.Table:
        assert table is OPPORTUNITIES
        return self.stored.filter(self.stored.month.isin(list(partitions)))

    def __call__(self, table: Table, partitions: Sequence[date]) -> ir.Table:
        assert table is KPIS_MONTHLY
        return self.kpis.filter(self.kpis.month.isin(list(partitions)))

    def keep(self, rows: ir.Table) -> ir.Table:
        made: ir.Table = self.con.create_table(ibis.util.gen_name("kept"), rows, temp=True)
        return made

    def request(self, partitions: Sequence[date]) -> None:
        self.requested.update(partitions)


@pytest.mark.parametrize(
    ("before", "wanted"), [("100", set()), ("90", {JUNE}), (None, {JUNE})]
)  # fmt: skip
def test_a_month_is_made_again_where_what_it_was_compared_with_changed(
    tmp_path: Path, before: str | None, wanted: set[date]
) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    site = load_site(tmp_path / "site.yaml")
    stored = [] if before is None else [
        {"month": JUNE, "month_before": MAY, "measure": Decimal(110), "measure_before": Decimal(before)}
    ]  # fmt: skip
    july = {"month": JULY, "month_before": JUNE, "measure": Decimal(120), "measure_before": Decimal(110)}
    indicators = [kpi(MAY, "100", "1"), kpi(JUNE, "110", "1"), kpi(JULY, "120", "1"), kpi(OCTOBER, "5", "1")]
    read: Any = Stub(indicators, [*stored, july], [MAY, JUNE, JULY, OCTOBER])
    _request_followers(site, read, [MAY])
    assert read.requested == wanted, "July follows June, and October lies too far"


def test_the_watts_of_idle_load_are_those_of_the_table() -> None:
    """H100: 60 W idle, 700 W at full power; 5 % of the way is 92 W. A model nobody knows has none."""
    found = idle_watts(["NVIDIA H100 80GB HBM3", "Mystery 9000"], Constants({}, {}, []), Decimal("0.05"))
    assert found == {"NVIDIA H100 80GB HBM3": Decimal("92.000")}

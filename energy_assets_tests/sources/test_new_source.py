"""A new source needs its own class and one line of registration: proven by adding one and running it to a KPI."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import ClassVar

import pytest

from energy_assets.contracts.vocabulary import Feed
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import run_days
from energy_assets.site import load_site
from energy_assets.sources import registry
from energy_assets.sources.base import Finding, Parsed, PlacedSource, StepContext, Unit

DAY = date(2026, 11, 18)


class KitchenMeter(PlacedSource):
    """One meter that says how many watt-hours each hour of a day took: 24 numbers in a line."""

    feeds: ClassVar[Feed] = Feed.ENERGY
    title: ClassVar[str] = "Kitchen meter"
    wh: str

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        for day in days:
            yield Unit((day,), str(day), lambda day=day: [Fetched(self.wh.encode(), {"day": str(day)}, (day,))])

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        text = step.read(objects[0]).decode()
        rows = step.con.sql(
            f"""
            SELECT DATE '{days.first}' AS day, TIMESTAMP '{days.first}' + to_hours((n - 1)::int) AS hour,
              'kitchen' AS node_id, 'kitchen' AS device_id, 'node' AS device_kind, NULL::varchar AS device_model,
              'all' AS share_id, (part::decimal(18, 6) * 0.001)::decimal(18, 9) AS energy_kwh,
              1::decimal(18, 9) AS usage_hours, 'metered_node' AS method, 1::smallint AS quality_tier,
              1::decimal(9, 6) AS coverage, NULL::varchar AS workload_id, false AS idle,
              MAP([]::varchar[], []::varchar[]) AS labels, '{objects[0].sha256}' AS raw_sha256
            FROM (SELECT unnest(string_split('{text}', ' ')) AS part,
                generate_subscripts(string_split('{text}', ' '), 1) AS n)
            """
        )
        return Parsed(rows)

    def check(self, step: StepContext) -> Iterable[Finding]:
        yield Finding(True, f"{len(self.wh.split())} hours")


def test_a_class_and_one_line_of_registration_carry_a_new_source_to_a_kpi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.KINDS, "kitchen_meter", f"{__name__}:KitchenMeter")
    hours = " ".join(str(100 + n) for n in range(24))
    (tmp_path / "site.yaml").write_text(
        f"""
organisation: {{name: Kitchen}}
start: {DAY}
sources:
  - {{name: stove, kind: kitchen_meter, wh: "{hours}", place: {{region: home, zone: DE, pue: 1.5}}}}
""",
        encoding="utf-8",
    )
    site = load_site(tmp_path / "site.yaml")

    outcome = run_days(site, DayRange(DAY, DAY), lambda step: None)

    assert outcome.success, outcome.failures
    _, rows = ask(site, "select value from kpis_monthly where kpi = 'facility_kwh' and grain = 'total'")
    assert [float(row[0]) for row in rows] == [pytest.approx(sum(range(100, 124)) / 1000 * 1.5)]

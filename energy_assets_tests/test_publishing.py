"""Publishing tells the truth: one materialization and one data version per partition; no neighbour is taken along."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import ibis.expr.types as ir
import pytest

from energy_assets.definitions import build_defs
from energy_assets.disclosures import asset as disclosure_asset
from energy_assets.disclosures import places
from energy_assets.emissions import assets as emission_assets
from energy_assets.operations.schedules import RANGE_END, RANGE_START
from energy_assets.periods import DayRange, Period
from energy_assets.query import QueryError, ask
from energy_assets.running import instance, run_days, run_report
from energy_assets.site import Site, load_site
from energy_assets.sources import registry
from energy_assets.tables import SHARED, raw_table
from energy_assets.unified import assets as unified_assets
from energy_assets_tests.daily_readings import KIND
from energy_assets_tests.small_site import DAYS, SmallRun
from energy_assets_tests.sources.focus.bills import line, write

MONTH = DayRange(date(2024, 5, 1), date(2024, 5, 31))
SITE = """
organisation: {name: Daily}
start: 2024-05-01
sources:
  - {name: meters, kind: daily_readings, folder: in, token: "env:EA_SECRET", place: {region: r1, zone: DE, pue: 1.25}}
"""


@pytest.fixture(autouse=True)
def _own_dagster_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.fixture
def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with a file for each of 31 days; every day is 1.5 kWh."""
    monkeypatch.setitem(registry.KINDS, *next(iter(KIND.items())))
    monkeypatch.setenv("EA_SECRET", "not shown")
    monkeypatch.setattr("energy_assets.raw.assets.RETRY_WAIT_S", 0)
    (tmp_path / "in").mkdir()
    for day in MONTH:
        (tmp_path / f"in/{day}.txt").write_text("1.5")
    (tmp_path / "site.yaml").write_text(SITE)
    return tmp_path


def materializations(site: Site, assets: list[str]) -> dict[tuple[str, str], list[str]]:
    """The data versions of every partition's materializations, newest first."""
    found: dict[tuple[str, str], list[str]] = {}
    with instance(site) as opened:
        for name in assets:
            key = dg.AssetKey(name.split("/"))
            for record in opened.fetch_materializations(key, limit=1000).records:
                event = record.event_log_entry.asset_materialization
                assert event is not None
                found.setdefault((name, str(event.partition)), []).append(event.tags["dagster/data_version"])
    return found


def table_names(site: Site) -> list[str]:
    tables = [raw_table(source) for source in site.sources] + [t for t in SHARED if not t.feed or site.feeding(t.feed)]
    return ["/".join(table.asset) for table in tables]


def test_a_day_alone_and_in_a_range_has_the_same_data_version(small_run: SmallRun, tmp_path: Path) -> None:
    ranged = materializations(small_run.site, table_names(small_run.site))
    alone = SmallRun.of(tmp_path, DayRange(DAYS.last, DAYS.last))
    single = materializations(alone.site, table_names(alone.site))
    assert len(single) == len(table_names(alone.site))
    for (name, partition), versions in single.items():
        assert versions == ranged[name, partition][-1:], name


def test_every_partition_has_a_version_of_its_own_and_an_equal_one_when_nothing_changed(small_run: SmallRun) -> None:
    found = materializations(small_run.site, ["unified/energy"])
    assert len({versions[-1] for versions in found.values()}) == len(DAYS)
    assert all(len(set(versions)) == 1 for versions in found.values())


def reports(site: Site, first: str, last: str) -> dg.ExecuteInProcessResult:
    """The reports of a range of months in one run, as a backfill from the UI makes them."""
    job = build_defs(site).resolve_job_def("monthly")
    with instance(site) as opened:
        tags = {RANGE_START: first, RANGE_END: last}
        return job.execute_in_process(instance=opened, tags=tags, raise_on_error=False)


def test_a_months_report_alone_and_in_a_range_has_the_same_data_version(small_run: SmallRun, tmp_path: Path) -> None:
    shutil.copytree(small_run.path.parent, tmp_path, dirs_exist_ok=True)
    site, name = load_site(tmp_path / "site.yaml"), "disclosure/ml_sustainability"
    assert reports(site, "2024-05-01", "2024-06-01").success
    ranged = materializations(site, [name])
    assert {partition: len(versions) for (_, partition), versions in ranged.items()} == {
        "2024-05-01": 1, "2024-06-01": 1,
    }  # fmt: skip
    assert len({version for (version,) in ranged.values()}) == 2
    for month in ("2024-05", "2024-06"):
        assert run_report(site, Period.parse(month), lambda step: None).success
    for key, versions in materializations(site, [name]).items():
        assert versions == ranged[key] * 2, key


def test_a_month_without_indicators_keeps_no_other_from_its_report(small_run: SmallRun, tmp_path: Path) -> None:
    shutil.copytree(small_run.path.parent, tmp_path, dirs_exist_ok=True)
    site, key = load_site(tmp_path / "site.yaml"), dg.AssetKey(["disclosure", "ml_sustainability"])
    result = reports(site, "2024-05-01", "2024-07-01")
    (failed,) = [event for event in result.get_failed_step_keys()]
    assert failed == "disclosure__ml_sustainability"
    data = result.get_step_failure_events()[0].step_failure_data.user_failure_data
    assert data is not None
    assert str(data.description).startswith("1 of 3 months have no report:\n2024-07 has no indicators")
    with instance(site) as opened:
        assert opened.get_materialized_partitions(key) == {"2024-05-01", "2024-06-01"}


def test_a_month_of_which_no_day_is_over_is_nothing_yet_and_no_failure(
    small_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the first of a month its partition is there already; *Materialize all* must not end red on that day."""
    shutil.copytree(small_run.path.parent, tmp_path, dirs_exist_ok=True)
    site, key = load_site(tmp_path / "site.yaml"), dg.AssetKey(["disclosure", "ml_sustainability"])
    monkeypatch.setattr(disclosure_asset, "last_complete_day", lambda: date(2024, 6, 30))
    result = reports(site, "2024-06-01", "2024-07-01")
    assert result.success
    with instance(site) as opened:
        assert opened.get_materialized_partitions(key) == {"2024-06-01", "2024-07-01"}
        (record,) = opened.fetch_materializations(
            dg.AssetRecordsFilter(key, asset_partitions=["2024-07-01"]), limit=9
        ).records
    assert record.asset_materialization is not None
    said = record.asset_materialization.metadata["nothing yet"].value
    assert said.startswith("2024-07 has no indicators, and none of its days can be run")
    assert not places.report_folder(site, "ml_sustainability", Period.parse("2024-07")).exists()
    alone = reports(site, "2024-07-01", "2024-07-01")
    found = [check for check in alone.get_asset_check_evaluations() if check.asset_key == key]
    assert {check.description for check in found} == {disclosure_asset.NO_REPORT}, "nothing passed, nothing was made"


@pytest.mark.parametrize(("fault", "said"), [("lost", "row of energy lost: 1 row"), ("twice", "unique(")])
def test_emissions_that_lose_or_double_a_row_of_energy_publish_nothing(
    month: Path, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    right = emission_assets.run_pipe

    def wrong(*args: Any) -> ir.Table:
        rows = right(*args)
        return rows.filter(rows.hour.hour() > 0) if fault == "lost" else rows.union(rows)

    monkeypatch.setattr(emission_assets, "run_pipe", wrong)
    site = load_site(month / "site.yaml")
    outcome = run_days(site, DayRange(MONTH.first, MONTH.first), lambda step: None)
    assert list(outcome.failures) == ["emissions/hourly"]
    assert said in outcome.failures["emissions/hourly"]
    assert ask(site, "select sum(energy_kwh) from energy")[1] == [(Decimal("1.5"),)]
    with pytest.raises(QueryError):
        ask(site, "select * from emissions")


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transform that counts every kWh of energy twice."""
    right = unified_assets.energy

    def wrong(*args: Any, **kwargs: Any) -> ir.Table:
        rows = right(*args, **kwargs)
        return rows.mutate(energy_kwh=(rows.energy_kwh * 2).cast("decimal(18, 9)"))

    monkeypatch.setattr(unified_assets, "energy", wrong)


@pytest.mark.usefixtures("doubled")
def test_energy_doubled_by_the_transform_publishes_nothing(month: Path) -> None:
    site = load_site(month / "site.yaml")
    outcome = run_days(site, DayRange(MONTH.first, MONTH.first), lambda step: None)
    assert not outcome.success
    assert "conservation" in outcome.failures["unified/energy"]
    with pytest.raises(QueryError):
        ask(site, "select * from energy")
    with instance(site) as opened:
        assert opened.get_materialized_partitions(dg.AssetKey(["unified", "energy"])) == set()
        check = dg.AssetCheckKey(dg.AssetKey(["unified", "energy"]), "conservation")
        (last,) = opened.event_log_storage.get_asset_check_execution_history(check, 1)
        assert last.status.value == "FAILED"


@pytest.mark.parametrize(
    ("text", "what"), [("many", "no number"), ("-7", "energy_kwh.greater_than_or_equal_to: 1 row")]
)
def test_one_bad_day_in_31_keeps_no_other_from_the_kpis(month: Path, text: str, what: str) -> None:
    bad = MONTH.first + timedelta(days=11)
    (month / f"in/{bad}.txt").write_text(text)
    site = load_site(month / "site.yaml")
    outcome = run_days(site, MONTH, lambda step: None)
    assert not outcome.success
    assert what in outcome.failures["raw/meters"]
    assert f"raw/meters: 1 of 31 days failed, 30 are published.\n{bad}: " in outcome.failures["raw/meters"]
    good = {str(day) for day in MONTH if day != bad}
    with instance(site) as opened:
        for name in ("raw/meters", "unified/energy", "emissions/hourly", "kpi/daily"):
            assert opened.get_materialized_partitions(dg.AssetKey(name.split("/"))) == good, name
    days = ask(site, "select count(distinct day), sum(energy_kwh) from energy")[1]
    assert days == [(30, Decimal("45.000000000"))]
    assert ask(site, "select days from kpis_monthly where kpi = 'energy_kwh' and grain = 'total'")[1] == [(30,)]

    assert outcome.withheld["kpi/daily"] == {bad}

    (month / f"in/{bad}.txt").write_text("2.5")
    assert run_days(site, DayRange(bad, bad), lambda step: None).success
    assert ask(site, "select count(distinct day), sum(energy_kwh) from energy")[1] == [(31, Decimal("47.500000000"))]


def test_two_sources_with_different_bad_days_do_not_take_each_others_good_days(month: Path) -> None:
    days = DayRange(date(2024, 5, 1), date(2024, 5, 4))
    source = "  - {name: bills, kind: focus_files, path: bills/*.csv, same_lines: keep}\n"
    # With estimates, energy is made of the bill, too, and lacks the bad days of both.
    (month / "site.yaml").write_text(SITE + source + "estimates: {usage: false}\n")
    for day in days:
        charge = line(
            BillingPeriodStart="2024-05-01 00:00:00",
            ChargePeriodStart=f"{day} 00:00:00",
            ChargePeriodEnd=f"{day} 01:00:00",
            BilledCost="a lot" if day.day == 3 else "1.5",
        )
        write(month / f"bills/{day}.csv", [charge])
    (month / "in/2024-05-02.txt").write_text("many")
    site = load_site(month / "site.yaml")
    outcome = run_days(site, days, lambda step: None)
    assert set(outcome.failures) == {"raw/meters", "raw/bills"}

    def made(table: str) -> list[int]:
        return [day.day for (day,) in ask(site, f"select distinct day from {table} order by day")[1]]

    assert (made("energy"), made("emissions"), made("cost")) == ([1, 3, 4], [1, 3, 4], [1, 2, 4])
    assert made("kpis_daily") == [1, 4]
    lacking = {name: sorted(day.day for day in bad) for name, bad in outcome.withheld.items()}
    assert lacking["unified/energy"] == lacking["emissions/hourly"] == [2]
    assert (lacking["unified/cost"], lacking["kpi/daily"]) == ([3], [2, 3])

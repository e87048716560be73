"""The asset graph of a site with every feed, and what the UI shows of each asset."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import pytest

from energy_assets.definitions import build_defs
from energy_assets.materialize import Warehouse, plotted
from energy_assets.operations.freshness import policy
from energy_assets.operations.schedules import range_tags
from energy_assets.partitions import OWNERS
from energy_assets.running import instance
from energy_assets.site import Site, SiteError, load_site
from energy_assets.sources.intensity_files.source import IntensityFiles
from energy_assets.tables import FRESHNESS, Grain
from energy_assets_tests.small_site import DAYS, SmallRun, write_site

EVERY_FEED = """
organisation: {name: Everything}
start: START
sources:
  - {name: meters, kind: power_files, path: "m/*.csv", node: node, place: {region: r1, zone: DE, pue: 1.2}}
  - {name: dublin, kind: prometheus_energy, url: "http://127.0.0.1:1", place: {region: r2, zone: IE, pue: 1.2}}
  - {name: serving, kind: prometheus_inference, url: "http://127.0.0.1:1"}
  - {name: grid, kind: electricity_maps, token: "env:EA_TOKEN"}
  - {name: grid-history, kind: intensity_files, path: "g/*.csv"}
  - {name: bills, kind: focus_files, path: "b/*.csv"}
"""
GRAPH = {
    "raw/meters": ("raw", []),
    "raw/dublin": ("raw", []),
    "raw/serving": ("raw", []),
    "raw/grid": ("raw", []),
    "raw/grid-history": ("raw", []),
    "raw/bills": ("raw", []),
    "estimates/usage": ("estimates", ["unified/cost"]),
    "unified/energy": ("unified", ["estimates/usage", "raw/dublin", "raw/meters"]),
    "unified/cost": ("unified", ["raw/bills"]),
    "unified/activity": ("unified", ["raw/serving"]),
    "factors/grid_intensity": ("factors", ["raw/grid", "raw/grid-history"]),
    "factors/applied": ("factors", ["unified/energy"]),
    "emissions/hourly": ("emissions", ["factors/applied", "factors/grid_intensity", "unified/energy"]),
    "emissions/market": ("emissions", ["emissions/hourly"]),
    "kpi/daily": ("kpi", ["emissions/hourly", "unified/activity", "unified/cost"]),
    "kpi/monthly": ("kpi", ["kpi/daily"]),
    "kpi/opportunities": (
        "kpi",
        [
            "emissions/hourly",
            "estimates/usage",
            "factors/grid_intensity",
            "kpi/monthly",
            "unified/cost",
            "unified/energy",
        ],
    ),
    "kpi/reconciliation": ("kpi", ["estimates/usage", "raw/dublin", "raw/meters", "unified/energy"]),
    **{
        f"disclosure/ml_sustainability{grain}": (
            "disclosure",
            [
                "emissions/hourly",
                "factors/grid_intensity",
                "kpi/daily",
                "kpi/monthly",
                "kpi/opportunities",
                "kpi/reconciliation",
                "unified/activity",
                "unified/cost",
            ],
        )
        for grain in ("", "_quarterly", "_yearly")
    },
}


def site_of(folder: Path, text: str = EVERY_FEED, start: str = "2024-05-01") -> Site:
    (folder / "site.yaml").write_text(text.replace("START", start))
    return load_site(folder / "site.yaml")


@pytest.fixture
def defs(tmp_path: Path) -> dg.Definitions:
    return build_defs(site_of(tmp_path))


def nodes(defs: dg.Definitions) -> dict[str, Any]:
    graph = defs.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


def test_the_graph_is_the_road_from_bytes_to_disclosure(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)
    found = {
        name: (node.group_name, sorted(key.to_user_string() for key in node.parent_keys))
        for name, node in nodes(defs).items()
    }
    assert found == GRAPH


def test_certificates_join_the_road_by_month(tmp_path: Path) -> None:
    source = "sources:\n  - {name: certificates, kind: instrument_files, path: 'instruments/*.csv'}"
    found = nodes(build_defs(site_of(tmp_path, EVERY_FEED.replace("sources:", source))))
    parents = {name: sorted(key.to_user_string() for key in node.parent_keys) for name, node in found.items()}
    assert {name: one for name, one in parents.items() if one != GRAPH.get(name, ("", []))[1]} == {
        "emissions/instruments": ["emissions/hourly", "raw/certificates"],
        "emissions/market": ["emissions/hourly", "emissions/instruments", "raw/certificates"],
        "kpi/monthly": ["emissions/market", "kpi/daily"],
        **{
            f"disclosure/ml_sustainability{grain}": sorted(
                [*GRAPH["disclosure/ml_sustainability"][1], "emissions/instruments", "emissions/market"]
            )
            for grain in ("", "_quarterly", "_yearly")
        },
    }


def test_invoices_are_held_against_emissions_by_month(tmp_path: Path) -> None:
    source = "sources:\n  - {name: invoices, kind: invoice_files, path: 'invoices/*.csv'}"
    found = nodes(build_defs(site_of(tmp_path, EVERY_FEED.replace("sources:", source))))
    parents = {name: sorted(key.to_user_string() for key in node.parent_keys) for name, node in found.items()}
    assert {name: one for name, one in parents.items() if one != GRAPH.get(name, ("", []))[1]} == {
        "kpi/reconciliation": sorted([*GRAPH["kpi/reconciliation"][1], "emissions/hourly", "raw/invoices"]),
    }


def test_a_site_without_a_feed_has_none_of_its_assets(tmp_path: Path) -> None:
    lines = EVERY_FEED.splitlines()
    only_energy = "\n".join(lines[:5])
    site = site_of(tmp_path, only_energy)
    defs = build_defs(site)
    dg.Definitions.validate_loadable(defs)
    assert set(nodes(defs)) == {
        "raw/meters", "unified/energy", "factors/applied", "emissions/hourly", "emissions/market",
        "kpi/daily", "kpi/monthly", "kpi/reconciliation", "kpi/opportunities", "disclosure/ml_sustainability",
        "disclosure/ml_sustainability_quarterly", "disclosure/ml_sustainability_yearly",
    }  # fmt: skip


def test_every_asset_is_described_owned_and_typed(defs: dg.Definitions) -> None:
    for name, node in nodes(defs).items():
        assert node.description, name
        assert node.owners == set(OWNERS) or list(node.owners) == OWNERS, name
        assert node.kinds, name
        monthly = name in {
            "disclosure/ml_sustainability", "emissions/market",
            "kpi/monthly", "kpi/reconciliation", "kpi/opportunities",
        }  # fmt: skip
        wanted = dg.MonthlyPartitionsDefinition if monthly else dg.DailyPartitionsDefinition
        if name.endswith(("_quarterly", "_yearly")):
            wanted = dg.TimeWindowPartitionsDefinition
        assert isinstance(node.partitions_def, wanted), name
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), name


def test_tags_are_plain_text_which_the_ui_can_be_sent(defs: dg.Definitions) -> None:
    """A member of an enumeration among them keeps the whole code location from loading."""
    for name, node in nodes(defs).items():
        assert {type(value) for value in node.tags.values()} <= {str}, name


def test_every_table_shows_its_columns_and_checks_its_contract(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for name, node in nodes(defs).items():
        if name.startswith("disclosure/"):
            continue
        columns = {column.name: column for column in node.metadata["dagster/column_schema"].columns}
        assert all(column.description for column in columns.values()), name
        assert columns.keys() & {"day", "month"}, name
        assert dg.AssetCheckKey(node.key, "contract") in graph.asset_check_keys, name
        assert node.metadata["dagster/uri"].endswith(f"/lake/{node.metadata['dagster/table_name']}"), name
    energy = nodes(defs)["unified/energy"].metadata["dagster/column_schema"].columns
    (kwh,) = [column for column in energy if column.name == "energy_kwh"]
    assert (kwh.type, kwh.constraints.nullable) == ("decimal(18, 9)", True)


def test_every_asset_ages_in_the_rhythm_of_its_partitions(defs: dg.Definitions) -> None:
    for name, node in nodes(defs).items():
        ages: dict[Any, Grain] = {dg.DailyPartitionsDefinition: "day", dg.MonthlyPartitionsDefinition: "month"}
        grain = ages.get(type(node.partitions_def))
        assert node.freshness_policy == (policy(FRESHNESS[grain]) if grain else None), name


def test_what_warns_is_younger_than_what_fails_in_the_words_of_the_ui() -> None:
    """Dagster's UI says 22 to 35 hours as a day, 26 to 45 days as a month."""
    day, month = FRESHNESS["day"], FRESHNESS["month"]
    assert day.warn <= timedelta(hours=35) < day.fail
    assert month.warn <= timedelta(days=45) < month.fail


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("with_factor_pct", 100 * (1 - 1e-16), 100),
        ("with_factor_pct", Decimal("99.9999999"), 99.99),
        ("with_factor_pct", 33.333333333333336, 33.33),
        ("coverage_pct", 1e-9, 0.01),
        ("coverage_pct", 0, 0),
        ("facility_kwh", Decimal("99.9999999"), 99.9999999),
    ],
)
def test_a_percentage_is_plotted_to_two_decimals_and_never_rounded_up_to_whole(
    name: str, value: Any, shown: float
) -> None:
    assert plotted(name, value) == shown


def test_the_arrivals_wait_for_somebody_to_switch_them_on(defs: dg.Definitions) -> None:
    assert [(s.name, s.default_status) for s in defs.schedules or []] == [
        ("arrivals_schedule", dg.DefaultScheduleStatus.STOPPED)
    ]


def test_the_executor_is_in_process_unless_another_is_given(tmp_path: Path, defs: dg.Definitions) -> None:
    assert defs.executor == dg.in_process_executor
    given = build_defs(site_of(tmp_path), executor=dg.multiprocess_executor)
    assert given.executor == dg.multiprocess_executor


def other_processes() -> dg.JobDefinition:
    """The same assets under Dagster's multiprocess executor; each process makes them anew."""
    site = load_site(Path(os.environ["ENERGY_ASSETS_SITE"]))
    return build_defs(site, executor=dg.multiprocess_executor).resolve_job_def("daily")


def test_a_server_may_run_every_step_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = load_site(write_site(tmp_path))
    monkeypatch.setenv("ENERGY_ASSETS_SITE", str(tmp_path / "site.yaml"))
    wanted = [dg.AssetKey(["raw", "grid"]), dg.AssetKey(["factors", "grid_intensity"])]
    with (
        instance(site) as opened,
        dg.execute_job(
            dg.reconstructable(other_processes),
            instance=opened,
            asset_selection=wanted,
            tags=range_tags(DAYS),
        ) as result,
    ):
        assert result.success
        assert all(len(opened.get_materialized_partitions(key)) == len(DAYS) for key in wanted)
        started = [
            event.dagster_event
            for event in opened.all_logs(result.run_id)
            if event.dagster_event and event.dagster_event.event_type_value == "STEP_START"
        ]
    processes = {event.pid for event in started}
    assert len(processes) == len(started) >= len(wanted)
    assert os.getpid() not in processes


class Wishful(IntensityFiles):
    """A source that asks for a resource."""

    resources: ClassVar[frozenset[str]] = frozenset({"bigquery"})


def test_a_resource_a_source_asks_for_is_demanded_when_the_definitions_are_made(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    wishful = Wishful(name="history", kind="intensity_files", path="g/*.csv")
    asking = site.model_copy(update={"sources": [*site.sources, wishful]})
    with pytest.raises(SiteError, match=r"source history \(intensity_files\) needs the Dagster resource 'bigquery'"):
        build_defs(asking)
    client = dg.ResourceDefinition.hardcoded_resource("client")
    assert (build_defs(asking, resources={"bigquery": client}).resources or {})["bigquery"] is client


def test_given_resources_replace_the_sites_own(tmp_path: Path) -> None:
    other = Warehouse(root="memory://elsewhere")
    assert (build_defs(site_of(tmp_path), resources={"warehouse": other}).resources or {})["warehouse"] is other


def evaluations(defs: dg.Definitions, instance: dg.DagsterInstance) -> dict[str, dg.AssetCheckEvaluation]:
    """The arrival check of every source, run now."""
    result = defs.resolve_job_def("arrivals").execute_in_process(instance=instance)
    return {e.asset_key.to_user_string(): e for e in result.get_asset_check_evaluations() if e.check_name == "arrived"}


def test_a_backfill_of_an_old_day_does_not_make_yesterday_arrive(tmp_path: Path) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    start = yesterday - timedelta(days=3)
    defs = build_defs(site_of(tmp_path, start=str(start)))
    key = dg.AssetKey(["raw", "meters"])
    with dg.DagsterInstance.ephemeral() as instance:
        nothing = evaluations(defs, instance)
        assert set(nothing) == {name for name in GRAPH if name.startswith("raw/")}
        assert not any(e.passed for e in nothing.values())

        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=str(start)))
        late = evaluations(defs, instance)["raw/meters"]
        assert not late.passed
        assert late.description == f"{yesterday} has not arrived"
        assert late.metadata["missing_days"].value == 3
        assert late.severity == dg.AssetCheckSeverity.WARN

        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=str(yesterday)))
        there = evaluations(defs, instance)
        assert there["raw/meters"].passed
        assert there["raw/meters"].metadata["missing_days"].value == 2
        assert not there["raw/dublin"].passed


def test_a_site_that_starts_today_expects_nothing_yet(tmp_path: Path) -> None:
    defs = build_defs(site_of(tmp_path, start=str(datetime.now(UTC).date())))
    with dg.DagsterInstance.ephemeral() as instance:
        assert all(e.passed for e in evaluations(defs, instance).values())


def test_a_materialization_carries_what_the_ui_shows(small_run: SmallRun) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("DAGSTER_HOME", raising=False)
        with instance(small_run.site) as opened:
            event = opened.get_latest_materialization_event(dg.AssetKey(["unified", "energy"]))
            checks = {
                name: opened.event_log_storage.get_asset_check_execution_history(
                    dg.AssetCheckKey(dg.AssetKey(["unified", "energy"]), name), 1
                )[0].status.value
                for name in ("contract", "conservation", "meters_hold_devices")
            }
    metadata = event.asset_materialization.metadata  # type: ignore[union-attr]
    assert metadata["dagster/row_count"].value == 144
    assert "| day |" in metadata["preview"].value
    assert "node" in metadata["summary"].value
    assert "&lt;script>lab" in metadata["preview"].value
    assert "<script>" not in metadata["preview"].value
    assert set(checks.values()) == {"SUCCEEDED"}

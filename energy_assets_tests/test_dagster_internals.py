"""Dagster's private names: what is used of them does what the package relies on.

A failure here after an upgrade of Dagster means that `energy_assets/dagster_internals.py` must be read again.
"""

import ast
import inspect
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster._utils.interrupts import raise_interrupts_as

import energy_assets
from energy_assets.dagster_internals import (
    DagsterExecutionInterruptedError,
    SqliteEventLogStorage,
    version_tags,
    without_automatic_events,
)

PACKAGE = Path(energy_assets.__file__).parent
DAYS = dg.DailyPartitionsDefinition("2024-05-01")
MONTHS = dg.MonthlyPartitionsDefinition("2024-05-01", end_offset=1)
RANGE = {
    "dagster/asset_partition_range_start": "2024-05-09",
    "dagster/asset_partition_range_end": "2024-05-11",
}
RAW, SHARED, MONTH = dg.AssetKey(["raw", "meters"]), dg.AssetKey(["unified", "energy"]), dg.AssetKey("month")
SINGLE_RUN = dg.BackfillPolicy.single_run()
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


def imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    from_imports = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return from_imports | imports


def test_private_modules_are_imported_in_one_file_alone() -> None:
    private = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if any(name.startswith("dagster._") for name in imported(file))
    }
    assert private == {"dagster_internals.py"}


def own_events(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    versions: Mapping[str, str],
    inputs: Mapping[dg.AssetKey, str],
    skipped: Sequence[str] = (),
) -> Iterator[dg.MaterializeResult[None]]:
    for partition in context.partition_keys:
        if partition not in skipped:
            context.log_event(
                dg.AssetMaterialization(
                    key,
                    partition=partition,
                    metadata={"rows": int(partition[-2:])},
                    tags=version_tags(context, versions[partition], "1", inputs),
                )
            )
    yield without_automatic_events(
        dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="contract")])
    )


def road(versions: Mapping[str, str], skipped: Sequence[str] = ()) -> dg.Definitions:
    """A raw asset that tells its own versions, a daily and a monthly asset made of it."""

    @dg.asset(
        key=RAW,
        partitions_def=DAYS,
        backfill_policy=SINGLE_RUN,
        code_version="1",
        check_specs=[dg.AssetCheckSpec("contract", asset=RAW)],
    )
    def raw(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        yield from own_events(context, RAW, versions, {}, skipped)

    @dg.asset(
        key=SHARED,
        deps=[RAW],
        partitions_def=DAYS,
        backfill_policy=SINGLE_RUN,
        code_version="1",
        check_specs=[dg.AssetCheckSpec("contract", asset=SHARED)],
    )
    def shared(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        made = {day: f"of {version}" for day, version in versions.items()}
        yield from own_events(context, SHARED, made, {RAW: "days"}, skipped)

    mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

    @dg.asset(
        key=MONTH,
        deps=[dg.AssetDep(SHARED, partition_mapping=mapping)],
        partitions_def=MONTHS,
        backfill_policy=SINGLE_RUN,
        code_version="1",
        check_specs=[dg.AssetCheckSpec("contract", asset=MONTH)],
    )
    def month(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        yield from own_events(context, MONTH, {"2024-05-01": "month"}, {SHARED: "days"})

    return dg.Definitions(
        assets=[raw, shared, month],
        jobs=[
            dg.define_asset_job("daily", dg.AssetSelection.assets(RAW, SHARED)),
            dg.define_asset_job("raw", dg.AssetSelection.assets(RAW)),
            dg.define_asset_job("monthly", dg.AssetSelection.assets(MONTH)),
        ],
        executor=dg.in_process_executor,
    )


VERSIONS = {"2024-05-09": "a", "2024-05-10": "b", "2024-05-11": "c"}


@pytest.fixture
def history(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as opened:
        yield opened


def run(
    history: dg.DagsterInstance, definitions: dg.Definitions, job: str = "daily", partition: str | None = None
) -> dg.ExecuteInProcessResult:
    tags = None if partition else RANGE
    return definitions.resolve_job_def(job).execute_in_process(
        instance=history, partition_key=partition, tags=tags, raise_on_error=False
    )


def recorded(history: dg.DagsterInstance, key: dg.AssetKey) -> list[tuple[str, str, int]]:
    """Partition, data version and rows of each materialization, the oldest first."""
    found = history.fetch_materializations(key, limit=100, ascending=True).records
    return [
        (
            str(record.asset_materialization.partition),
            str((record.asset_materialization.tags or {})["dagster/data_version"]),
            int(record.asset_materialization.metadata["rows"].value),  # type: ignore[arg-type]
        )
        for record in found
        if record.asset_materialization
    ]


def statuses(history: dg.DagsterInstance, definitions: dg.Definitions, key: dg.AssetKey) -> dict[str, StaleStatus]:
    graph = definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(history, graph, LoadingContextForTest(history))
    return {day: resolver.get_status(key, day) for day in VERSIONS}


def test_a_range_in_one_run_gives_each_partition_its_own_version(history: dg.DagsterInstance) -> None:
    result = run(history, road(VERSIONS))
    assert result.success
    assert recorded(history, RAW) == [("2024-05-09", "a", 9), ("2024-05-10", "b", 10), ("2024-05-11", "c", 11)]
    assert [version for _, version, _ in recorded(history, SHARED)] == ["of a", "of b", "of c"]
    assert history.get_materialized_partitions(SHARED) == set(VERSIONS)
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True, True]


def test_a_partition_that_was_not_logged_is_not_materialized_and_the_road_goes_on(
    history: dg.DagsterInstance,
) -> None:
    result = run(history, road(VERSIONS, skipped=["2024-05-10"]))
    assert result.success
    assert history.get_materialized_partitions(RAW) == {"2024-05-09", "2024-05-11"}
    assert history.get_materialized_partitions(SHARED) == {"2024-05-09", "2024-05-11"}
    assert len(result.asset_materializations_for_node("unified__energy")) == 2


def test_only_what_hangs_on_a_new_version_becomes_stale(history: dg.DagsterInstance) -> None:
    definitions = road(VERSIONS)
    run(history, definitions)
    assert set(statuses(history, definitions, SHARED).values()) == {StaleStatus.FRESH}
    run(history, definitions, job="raw")
    assert set(statuses(history, definitions, SHARED).values()) == {StaleStatus.FRESH}, "the same versions again"
    corrected = road({**VERSIONS, "2024-05-10": "b2"})
    run(history, corrected, job="raw")
    assert statuses(history, corrected, SHARED) == {
        "2024-05-09": StaleStatus.FRESH,
        "2024-05-10": StaleStatus.STALE,
        "2024-05-11": StaleStatus.FRESH,
    }
    run(history, corrected)
    assert set(statuses(history, corrected, SHARED).values()) == {StaleStatus.FRESH}


def test_a_month_is_stale_when_one_of_its_days_changed(history: dg.DagsterInstance) -> None:
    def status(definitions: dg.Definitions) -> StaleStatus:
        resolver = CachingStaleStatusResolver(
            history, definitions.resolve_asset_graph(), LoadingContextForTest(history)
        )
        return resolver.get_status(MONTH, "2024-05-01")

    definitions = road(VERSIONS)
    run(history, definitions)
    assert run(history, definitions, job="monthly", partition="2024-05-01").success
    assert status(definitions) == StaleStatus.FRESH
    run(history, definitions)
    assert status(definitions) == StaleStatus.FRESH
    corrected = road({**VERSIONS, "2024-05-10": "b2"})
    run(history, corrected)
    assert status(corrected) == StaleStatus.STALE


def test_tags_are_those_dagster_writes(history: dg.DagsterInstance) -> None:
    """Against an asset whose events Dagster logs by itself, for one partition, where it is right."""

    @dg.asset(key=RAW, partitions_def=DAYS, code_version="1")
    def raw() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(data_version=dg.DataVersion("a"))

    @dg.asset(key=SHARED, deps=[RAW], partitions_def=DAYS, code_version="7")
    def automatic() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(data_version=dg.DataVersion("of a"))

    ours: list[dict[str, str]] = []

    @dg.asset(key=MONTH, deps=[RAW], partitions_def=DAYS, code_version="7")
    def own(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        ours.append(version_tags(context, "of a", "7", {RAW: "a"}))
        return dg.MaterializeResult()

    result = dg.materialize([raw, automatic, own], instance=history, partition_key="2024-05-09")
    (materialization,) = result.asset_materializations_for_node("unified__energy")
    theirs = {name: value for name, value in (materialization.tags or {}).items() if name.startswith("dagster/")}
    # Dagster hashes the versions of the upstream partitions, even of a single one; only the pointer decides staleness.
    assert len(theirs.pop("dagster/input_data_version/raw/meters")) == 64
    assert [tags.pop("dagster/input_data_version/raw/meters") for tags in ours] == ["a"]
    assert ours == [theirs]
    assert int(theirs["dagster/input_event_pointer/raw/meters"]) > 0


def test_ctrl_c_is_the_error_dagster_raises_and_no_failure_of_a_step() -> None:
    assert issubclass(DagsterExecutionInterruptedError, BaseException)
    assert not issubclass(DagsterExecutionInterruptedError, dg.Failure)
    with pytest.raises(DagsterExecutionInterruptedError), raise_interrupts_as(DagsterExecutionInterruptedError):
        os.kill(os.getpid(), signal.SIGINT)


def test_the_event_log_overrides_what_dagster_calls() -> None:
    for name in ("_connect", "_initdb", "conn_string_for_shard", "from_config_value", "dispose"):
        assert callable(getattr(SqliteEventLogStorage, name)), name
    assert "_db_lock" in inspect.getsource(SqliteEventLogStorage.__init__)
    assert "_initialized_dbs" in inspect.getsource(SqliteEventLogStorage.__init__)

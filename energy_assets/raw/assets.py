"""The raw asset of a source, made from its block in site.yaml.

It collects the days, lands the bytes, parses them and publishes the good days; then it fails if a day failed.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from energy_assets.engine import connection
from energy_assets.lake import Commit
from energy_assets.materialize import CHUNK, Warehouse, contract_check, publish, result, table_metadata
from energy_assets.partitions import OWNERS, SINGLE_RUN, daily, day_range
from energy_assets.periods import DayRange, contiguous
from energy_assets.raw.collecting import collect, parse
from energy_assets.site import Site
from energy_assets.sources.base import Source, StepContext
from energy_assets.sources.errors import SourceError, TransientError
from energy_assets.tables import raw_table

RETRIES, RETRY_WAIT_S = 1, 10


@dataclass
class _Outcome:
    commits: list[Commit] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    failures: dict[date, SourceError] = field(default_factory=dict)
    objects: dict[date, str] = field(default_factory=dict)


def raw_asset(source: Source, site: Site) -> dg.AssetsDefinition:
    """The asset `raw/<source name>`: landing objects of each day, and the rows parsed from them."""
    table = raw_table(source)

    @dg.asset(
        key=dg.AssetKey(table.asset),
        partitions_def=daily(site),
        backfill_policy=SINGLE_RUN,
        group_name="raw",
        kinds={source.engine_kind, "deltalake"},
        owners=OWNERS,
        code_version=source.parser_version,
        check_specs=[contract_check(table)],
        tags={"feed": source.feeds, "kind": source.kind},
        metadata=table_metadata(table, site.disk().path("lake", table.name)),
        description=f"{source.title} `{source.name}`: raw bytes as they came, and the {source.feeds} rows in them.",
    )
    def raw(
        context: dg.AssetExecutionContext, warehouse: Warehouse, duckdb: DuckDBResource
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        days, outcome = day_range(context), _Outcome()
        for chunk in days.chunks(CHUNK):
            with _desk(site, warehouse, duckdb, context) as step:
                yield from _chunk(context, source, chunk, step, warehouse, outcome)
        for day, version in outcome.objects.items():
            context.add_asset_metadata({"landing_objects_sha256": version}, partition_key=day.isoformat())
        if outcome.failures:
            _record_good_days(context, table.asset, outcome)
            failure = _failure(source, days, outcome.failures)
            if failure.allow_retries and context.retry_number < RETRIES:
                raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_WAIT_S) from failure
            raise failure
        with connection(duckdb) as con:
            lake = warehouse.lake
            rows = lake.read(con, table, [days.last])
            more = {name: dg.MetadataValue.int(count) for name, count in sorted(outcome.notes.items())}
            shown = rows.drop("labels") if "labels" in rows.columns else rows
            done = result(table, lake, outcome.commits, shown, more)
        version = "".join(outcome.objects[day] for day in sorted(outcome.objects))
        yield done._replace(data_version=dg.DataVersion(_short(version)))

    return raw


def _chunk(
    context: dg.AssetExecutionContext,
    source: Source,
    days: DayRange,
    step: StepContext,
    warehouse: Warehouse,
    outcome: _Outcome,
) -> Iterator[dg.AssetCheckResult]:
    def progress(label: str, number: int, total: int) -> None:
        context.log.info(f"{source.name}: {label} ({number + 1} of {total})")

    try:
        collected = collect(source, days, step, progress)
    except SourceError as error:
        outcome.failures.update(dict.fromkeys(days, error))
        return
    parsed, malformed = parse(source, collected.editions, step)
    outcome.failures.update({**collected.failures, **malformed})
    if parsed is None:
        return
    outcome.notes.update(parsed.notes)
    good = [day for day in collected.editions if day not in malformed]
    table, rows = raw_table(source), parsed.rows
    for event in publish(context, warehouse.lake, step.con, table, good, rows, day_by_day=parsed.stored):
        if isinstance(event, dg.AssetCheckResult):
            yield event
        else:
            outcome.commits.append(event)
    outcome.objects.update({day: collected.editions[day].data_version for day in good})


@contextmanager
def _desk(
    site: Site, warehouse: Warehouse, duckdb: DuckDBResource, context: dg.AssetExecutionContext
) -> Iterator[StepContext]:
    scratch = warehouse.spill_folder
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder, connection(duckdb) as con:
        yield StepContext(
            con=con,
            landing=warehouse.landing,
            folder=Path(folder),
            site_folder=site.folder,
            zones=site.zones,
            now=datetime.now(UTC),
            log=context.log,
        )


def _record_good_days(context: dg.AssetExecutionContext, asset: tuple[str, ...], outcome: _Outcome) -> None:
    """Good days stay, and the UI shows them although the step fails."""
    for day, version in outcome.objects.items():
        context.log_event(
            dg.AssetMaterialization(
                dg.AssetKey(asset),
                partition=day.isoformat(),
                description="collected in a run in which other days failed",
                tags={"dagster/data_version": _short(version)},
            )
        )


def _failure(source: Source, days: DayRange, failures: Mapping[date, SourceError]) -> dg.Failure:
    causes: dict[str, list[date]] = {}
    for day, error in sorted(failures.items()):
        causes.setdefault(str(error), []).append(day)
    lines = [f"{', '.join(map(str, contiguous(hit)))}: {cause}" for cause, hit in causes.items()]
    good = len(days) - len(failures)
    text = f"raw/{source.name}: {len(failures)} of {len(days)} days failed, {good} are published.\n" + "\n".join(lines)
    retry = all(isinstance(error, TransientError) for error in failures.values())
    metadata: dict[str, Any] = {"failed_days": [day.isoformat() for day in sorted(failures)], "causes": lines}
    return dg.Failure(text, metadata=metadata, allow_retries=retry)


def _short(version: str) -> str:
    return version if len(version) == 64 else hashlib.sha256(version.encode()).hexdigest()

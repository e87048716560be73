"""The raw asset of a source, made from its block in site.yaml.

It collects partitions, lands the bytes, parses them and publishes the good ones, whatever happens to others; then
the step fails if one failed. What belongs here: the order of these. What does not: each of them.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import Feed
from energy_assets.engine import connection
from energy_assets.factors.places import billed_zones, machine_zones, site_zones
from energy_assets.integrity import DamagedError
from energy_assets.materialize import (
    NOTES,
    Published,
    Reader,
    Warehouse,
    check_specs,
    conclude,
    publish,
    table_metadata,
)
from energy_assets.partitions import OWNERS, SINGLE_RUN, chunks, partition_dates, partitions_of
from energy_assets.raw.collecting import Told, collect, complete, parse
from energy_assets.site import Site
from energy_assets.sources.base import Source, StepContext
from energy_assets.sources.errors import DeniedError, SourceError, TransientError, UnreachableError
from energy_assets.staging import owned_name
from energy_assets.tables import raw_table

RETRIES, RETRY_WAIT_S, UNREACHABLE_WAIT_S = 1, 10, 2
"""How often what time may heal is tried again within the step, beyond the retries of single requests; and how soon."""


PRIORITY = {Feed.GRID_INTENSITY: -1}
"""Intensities come last: they are asked for in the zones where machines were seen. No more than an order: a failure of
one holds up none of the others."""


def raw_asset(source: Source, site: Site) -> dg.AssetsDefinition:
    """The asset `raw/<source name>`: landing objects of each partition, and the rows parsed from them.

    Args:
        source: Its block in site.yaml.
        site: The site.
    """
    table = raw_table(source)

    @dg.asset(
        key=dg.AssetKey(table.asset),
        partitions_def=partitions_of(site, table),
        backfill_policy=SINGLE_RUN,
        group_name="raw",
        kinds={source.engine_kind, "deltalake"},
        owners=OWNERS,
        code_version=source.code_version,
        check_specs=check_specs(table),
        required_resource_keys={"warehouse", "duckdb", *source.resources},
        tags={"feed": Feed(source.feeds).value, "kind": source.kind},
        op_tags={"dagster/priority": str(PRIORITY.get(Feed(source.feeds), 0))},
        metadata=table_metadata(table, site.disk().path("lake", table.name)),
        description=f"{source.title} `{source.name}`: raw bytes as they came, and the {source.feeds} rows in them.",
    )
    def raw(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        partitions, published = partition_dates(context), Published()
        pending = partitions
        for attempt in range(1 + RETRIES):
            if attempt:
                _wait_to_try_again(context, source, attempt, [published.failures[day] for day in pending])
            _collect_all(context, source, site, pending, published)
            pending = [day for day in partitions if isinstance(published.failures.get(day), TransientError)]
            if not pending:
                break
        yield from conclude(table, partitions, published)

    return raw


def _wait_to_try_again(
    context: dg.AssetExecutionContext, source: Source, attempt: int, failures: Sequence[Exception]
) -> None:
    gone = all(isinstance(error, UnreachableError) for error in failures)
    seconds = min(RETRY_WAIT_S, UNREACHABLE_WAIT_S) if gone else RETRY_WAIT_S
    why = "refused" if gone else "trying again what failed"
    context.log.info(f"{source.name}: {why}, attempt {attempt + 1} of {RETRIES + 1} in {seconds} s")
    time.sleep(seconds)


def _collect_all(
    context: dg.AssetExecutionContext, source: Source, site: Site, partitions: Sequence[date], published: Published
) -> None:
    """Collect and publish, a month of days at a time; what refuses access or a connection would refuse it again."""
    left, parts = list(partitions), list(chunks(partitions))
    for number, chunk in enumerate(parts, 1):
        if len(parts) > 1:
            context.log.info(f"{source.name}: {chunk[0]} to {chunk[-1]} ({number} of {len(parts)})")
        with _step_context(site, source, context, chunk) as step:
            _collect_chunk(context, source, chunk, step, published)
        left = left[len(chunk) :]
        failures = [published.failures[day] for day in chunk if day in published.failures]
        over = [error for error in failures if isinstance(error, DeniedError | UnreachableError)]
        if over:
            published.failures.update(dict.fromkeys(left, over[0]))
            return


def _collect_chunk(
    context: dg.AssetExecutionContext, source: Source, chunk: Sequence[date], step: StepContext, published: Published
) -> None:
    def progress(label: str, number: int, total: int) -> None:
        context.log.info(f"{source.name}: {label} ({number + 1} of {total})")

    failures = published.failures
    try:
        collected = collect(source, chunk, step, progress)
    except SourceError as error:
        failures.update(dict.fromkeys(chunk, error))
        return
    lake, table = context.resources.warehouse.lake, raw_table(source)

    def before(days: Sequence[date]) -> ir.Table | None:
        try:
            return lake.read(step.con, table, days)
        except DamagedError:
            return None  # it is about to be replaced

    parsed, malformed = parse(source, collected.editions, step, before)
    failures.update({**collected.failures, **malformed})
    if parsed is None:
        return
    good = [day for day in collected.editions if day not in malformed]
    commit = publish(
        context,
        Reader(lake, step.con),
        table,
        good,
        complete(parsed.rows, table),
        code_version=source.code_version,
        about={
            day: {"landing_objects_sha256": collected.editions[day].data_version, **_told(parsed.told, day)}
            for day in good
        },
        day_by_day=parsed.stored,
    )
    published.add(good, commit)


def _told(told: Sequence[Told], day: date) -> dict[str, Any]:
    """What parsing told of the stretch of a day: numbers the UI draws over time, and all of it as `NOTES`."""
    for one in told:
        if day in one.days:
            counts = {name: dg.MetadataValue.int(count) for name, count in sorted(one.notes.items())}
            days = [one.days.first.isoformat(), one.days.last.isoformat()]
            examples = {name: list(found) for name, found in one.examples.items()}
            return {**counts, NOTES: {"days": days, "counts": dict(one.notes), "examples": examples}}
    return {}


@contextmanager
def _step_context(
    site: Site, source: Source, context: dg.AssetExecutionContext, days: Sequence[date]
) -> Iterator[StepContext]:
    warehouse: Warehouse = context.resources.warehouse
    scratch = warehouse.spill_folder
    asked = [(name, getattr(context.resources, name)) for name in sorted(source.resources)]
    scratch.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=scratch, prefix=f"{owned_name()}-") as folder,
        connection(context.resources.duckdb) as con,
    ):
        zones, billed = _zones(site, source, warehouse, con, days)
        yield StepContext(
            con=con,
            landing=warehouse.landing,
            folder=Path(folder),
            site_folder=site.folder,
            zones=zones,
            billed_zones=billed,
            now=datetime.now(UTC),
            log=context.log,
            resources={name: given for name, given in asked if given is not None},
        )


def _zones(
    site: Site, source: Source, warehouse: Warehouse, con: Any, days: Sequence[date]
) -> tuple[tuple[str, ...], frozenset[str]]:
    """The zones an intensity is asked for, and those of them that only bills tell of.

    They are those of the site file, and those of machines and of billed use on the days at hand.
    """
    stated = site_zones(site)
    if source.feeds != Feed.GRID_INTENSITY:
        return stated, frozenset()

    def read(table: Any) -> Any:
        return warehouse.lake.read(con, table, days)

    seen, billed = machine_zones(site, read), billed_zones(site, read)
    return tuple(dict.fromkeys((*stated, *seen, *billed))), frozenset(billed) - {*stated, *seen}

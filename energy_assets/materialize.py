"""From rows to a published table, as every asset does it: stage, audit, prove, commit, and tell Dagster the truth.

What belongs here: how partitions are published and recorded, each with its own data version, and what is said of
those that were not. What does not: how rows are made. A bad partition takes no neighbour with it.
"""

import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import ibis.expr.types as ir
from dagster_duckdb import DuckDBResource
from pydantic import Field, PrivateAttr

from energy_assets import __version__
from energy_assets.contracts.audit import EXAMPLES, ContractError, Origin, schema_of
from energy_assets.contracts.proof import Breaches, Proof
from energy_assets.counting import counted
from energy_assets.dagster_internals import version_tags, without_automatic_events
from energy_assets.engine import connection
from energy_assets.lake import Commit, Lake
from energy_assets.landing import Landing
from energy_assets.partitions import CHUNK, OWNERS, SINGLE_RUN, chunks, dependency, partition_dates, partitions_of
from energy_assets.periods import contiguous
from energy_assets.secrets import revealed
from energy_assets.site import Site
from energy_assets.storage import Storage
from energy_assets.tables import Table

CONTRACT = "contract"
PARTITION_ROWS = "dagster/partition_row_count"
"""Metadata: rows of one partition; Dagster's own `row_count` is of the whole table."""
FAILED_PARTITIONS = "failed_partitions"
"""Metadata of a failed step: what of it was not published."""
ALSO_MADE = "also_made_again"
"""Metadata: partitions beyond those of the run that the step made again, see `Reader.request`."""
NOTES = "notes"
"""Metadata of a partition of a raw table: what parsing told of it and the days it shares its objects with, as JSON:
`days` (first and last), `counts` and `examples` by the names of `energy_assets.sources.notes`."""
EMPTY = "empty"
"""Data version of a partition without rows."""
PREVIEW_ROWS = 3
PREVIEW_AMONG = 1000
"""Rows among which those of a preview are chosen."""
PREVIEW_CELL = 26
"""Characters of a preview's cell: three rows beside each other then fit the window that shows them."""
IN_A_TABLE = 48
"""Characters of a cell of a table."""
IN_A_SENTENCE = 160
"""Characters of a value in a sentence: a line to copy into site.yaml must be whole."""
SUMMARY_ROWS = 40

WORDINGS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda s: f"> {s['min_value']}",
    "greater_than_or_equal_to": lambda s: f"≥ {s['min_value']}",
    "less_than": lambda s: f"< {s['max_value']}",
    "less_than_or_equal_to": lambda s: f"≤ {s['max_value']}",
    "isin": lambda s: f"one of {', '.join(map(str, s['allowed_values']))}",
    "str_matches": lambda s: f"matches {getattr(s['pattern'], 'pattern', s['pattern'])}",
}
"""How each check of a contract reads in the UI."""


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Landing zone and lake as a Dagster resource.

    Its options are those of the site file: secrets stay references, because Dagster records and shows the values.
    """

    root: str
    options: dict[str, str] = Field(default_factory=dict)
    _storage: Storage = PrivateAttr()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Open the storage once per step."""
        self._storage = Storage(self.root, revealed(self.options))

    @property
    def lake(self) -> Lake:
        """The tables."""
        return Lake(self._storage)

    @property
    def landing(self) -> Landing:
        """The raw objects."""
        return self._storage.landing()

    @property
    def storage(self) -> Storage:
        """The root itself."""
        return self._storage

    @property
    def spill_folder(self) -> Path:
        """A local folder for files a step needs only while it runs."""
        local = "://" not in self.root
        return Path(self.root) / "scratch" if local else Path(tempfile.gettempdir()) / "energy-assets-scratch"


Numbers = Callable[[ir.Table], Mapping[str, Any]]
"""From rows of a table to aggregates by name, with their unit in it: numeric metadata, which Dagster plots."""


@dataclass(frozen=True)
class Reader:
    """What a transform reads with: the lake through one connection.

    Attributes:
        lake: The tables.
        con: An Ibis DuckDB connection.
        used: Every table that was read, by name: what proofs may compare the result with.
        versions: Which version of each was read; None of one that did not exist.
        further: See `request`.
    """

    lake: Lake
    con: Any
    used: dict[str, ir.Table] = field(default_factory=dict)
    versions: dict[str, int | None] = field(default_factory=dict)
    further: set[date] = field(default_factory=set)

    def __call__(self, table: Table, partitions: Sequence[date]) -> ir.Table:
        """The given partitions of a table."""
        version = self.lake.version(table.name)
        rows = self.lake.read(self.con, table, partitions, version)
        self.used[table.name], self.versions[table.name] = rows, version
        return rows

    def origin(self, table: Table, partitions: Collection[date]) -> Origin:
        """What was read of a table, as that of which each row is made.

        Args:
            table: A table that was read, in the partitions given.
            partitions: Those that are made.

        Raises:
            ValueError: the table was not read.
        """
        if table.name not in self.versions:
            raise ValueError(f"rows that are each of one row of {table.name} must be made of it, and it was not read")
        found = self.lake.fingerprints(table.name, self.versions[table.name])
        mine = {partition: text for partition, text in found.items() if partition in partitions}
        return Origin(table.name, self.used[table.name], mine)

    def note(self, name: str, rows: ir.Table) -> ir.Table:
        """Show a small table that is not of the lake (places, names of nodes) to the proofs as well.

        Args:
            name: What proofs call it.
            rows: Any columns.
        """
        self.used[name] = rows
        return rows

    def request(self, partitions: Iterable[date]) -> None:
        """Have more partitions of the table made again in the same step, of those that were made before.

        For a table in which what is new on one day decides about others. Asked for within `make`.

        Args:
            partitions: First days of partitions; what is made in the step anyway may be among them.
        """
        self.further.update(partitions)

    def view(self, rows: ir.Table) -> ir.Table:
        """Rows under a name of their own: what uses them many times is planned without their steps.

        Args:
            rows: Made of tables and files of this connection, not of Python's memory.
        """
        named: ir.Table = self.con.create_view(f"named_{uuid4().hex[:12]}", rows)
        return named

    def keep(self, rows: ir.Table) -> ir.Table:
        """Compute `rows` once, for a transform that uses them many times."""
        temporary: ir.Table = self.con.create_table(f"computed_{uuid4().hex[:12]}", rows, temp=True)
        return temporary


@dataclass
class Published:
    """What a step has done so far.

    Attributes:
        rows: Rows of each published partition.
        failures: Why a partition was not published.
        breaches: What each proof found, commit by commit.
        also: Partitions made beyond those of the run.
    """

    rows: dict[date, int] = field(default_factory=dict)
    failures: dict[date, Exception] = field(default_factory=dict)
    breaches: dict[str, list[Breaches]] = field(default_factory=dict)
    also: set[date] = field(default_factory=set)

    def add(self, partitions: Sequence[date], commit: Commit) -> None:
        """Take in what became of some partitions; an earlier failure of one that is published now is healed.

        Args:
            partitions: First days of the partitions that were to be published.
            commit: What the lake says of them.
        """
        for partition in partitions:
            if partition in commit.rejected:
                self.failures[partition] = commit.rejected[partition]
            else:
                self.failures.pop(partition, None)
                self.rows[partition] = commit.rows.get(partition, 0)
        for name, found in commit.breaches.items():
            self.breaches.setdefault(name, []).append(found)


def column_schema(model: Any) -> dg.TableSchema:
    """A contract as the Dagster UI shows it."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                str(column.dtype),
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, other=[_wording(check) for check in column.checks]
                ),
            )
            for name, column in model.to_schema().columns.items()
        ]
    )


def _wording(check: Any) -> str:
    """A rule as a person reads it."""
    words = WORDINGS.get(check.name)
    return words(check.statistics) if words else str(check.error or check.name)


def table_metadata(table: Table, uri: str) -> dict[str, Any]:
    """Definition metadata of a table asset.

    Args:
        table: The table.
        uri: Where it lies: a path or an object URL.
    """
    return {
        "dagster/column_schema": column_schema(table.model),
        "dagster/table_name": table.name,
        "dagster/uri": uri,
    }


def check_specs(table: Table) -> list[dg.AssetCheckSpec]:
    """The checks of a table asset: its contract, and its proofs."""
    proofs = [dg.AssetCheckSpec(p.name, asset=dg.AssetKey(table.asset), description=p.about) for p in table.proofs]
    return [_contract_check(table), *proofs]


def _contract_check(table: Table) -> dg.AssetCheckSpec:
    """The check that shows whether the rows kept their contract."""
    key = table.model.to_schema().unique
    grain = f" There is one row per {', '.join(key)}." if key else ""
    if table.rows_of:
        grain += f" Each row of `{table.rows_of.name}` has exactly one here: none is lost."
    return dg.AssetCheckSpec(
        CONTRACT,
        asset=dg.AssetKey(table.asset),
        description=f"Every row of `{table.name}` keeps the types and ranges of its {len(schema_of(table.model))} "
        f"columns, as the asset's overview lists them.{grain} Checked before the commit: a day that breaks them is "
        "not published, and the last good version stays readable.",
    )


def publish(
    context: dg.AssetExecutionContext,
    read: Reader,
    table: Table,
    partitions: Sequence[date],
    rows: ir.Table,
    *,
    code_version: str,
    upstream: Sequence[Table] = (),
    describe: Callable[[ir.Table], Mapping[str, Any]] = lambda rows: {},
    about: Mapping[date, Mapping[str, Any]] | None = None,
    numbers: Numbers | None = None,
    day_by_day: bool = False,
) -> Commit:
    """Replace partitions of a table by `rows` and record each that was published as one materialization.

    Each partition has its own data version, the fingerprint of its content: a day has the same one whether it was
    run alone or within a range, and a day whose content did not change tells nobody downstream to run again.

    Args:
        context: Of the step.
        read: What the rows were read with; the proofs see the tables it has read.
        table: What is written.
        partitions: What is replaced; rows of other partitions fail all of them.
        rows: In the columns of the contract.
        code_version: Of what made the rows.
        upstream: The tables the rows were made of; their data versions are recorded as inputs.
        describe: Metadata made of the published rows, shown in the UI.
        about: Further metadata of single partitions.
        numbers: Aggregates of each partition, for the plots of the UI.
        day_by_day: See `Lake.replace`.

    Returns:
        What was published, and what was rejected and why.
    """
    proofs = [proof.bind(read.used) for proof in table.proofs]
    try:
        commit = read.lake.replace(
            read.con,
            table,
            partitions,
            rows,
            context.run_id,
            proofs=proofs,
            origin=read.origin(table.rows_of, partitions) if table.rows_of else None,
            day_by_day=day_by_day,
        )
    except ContractError as error:
        # Not the fault of one partition: a column is missing, or a row belongs to no partition that was asked for.
        return Commit(None, {}, {}, (), rejected=dict.fromkeys(partitions, error))
    good = [partition for partition in partitions if partition not in commit.rejected]
    if good:
        more = _with_numbers(read, table, good, about or {}, numbers)
        _record(
            context, read.lake, table, good, commit, code_version, upstream, _shown(read, table, good, describe), more
        )
    return commit


def _with_numbers(
    read: Reader,
    table: Table,
    good: Sequence[date],
    about: Mapping[date, Mapping[str, Any]],
    numbers: Numbers | None,
) -> Mapping[date, Mapping[str, Any]]:
    """Metadata of single partitions, and with it the numbers of each: one grouped query over a few columns.

    What is not known of a partition is left out, so that a plot has a gap there and no zero.
    """
    if numbers is None:
        return about
    rows = read.lake.read(read.con, table, good)
    wanted = numbers(rows)
    found = rows.group_by(table.partition).aggregate(**wanted).to_pyarrow().to_pylist()
    known = {
        row[table.partition]: {name: plotted(name, row[name]) for name in wanted if row[name] is not None}
        for row in found
    }
    return {day: {**about.get(day, {}), **known.get(day, {})} for day in good}


def plotted(name: str, value: Any) -> float:
    """A number for a plot; a percentage to two decimals, and 0 or 100 only where it is that.

    Args:
        name: Ends in `_pct` where it is a percentage.
        value: Any number.
    """
    number = float(value)
    if not name.endswith("_pct"):
        return number
    exact = round(number, 10)  # what is beyond is the division's
    return min(max(round(exact, 2), 0.01), 99.99) if 0 < exact < 100 else exact


def _shown(
    read: Reader, table: Table, good: Sequence[date], describe: Callable[[ir.Table], Mapping[str, Any]]
) -> dict[str, Any]:
    """Metadata that all partitions of one commit share: what its last partition looks like.

    Summing all of them again for people to glance at would cost as much as a part of the transform.
    """
    published = read.lake.read(read.con, table, good[-1:])
    # Labels and tags are maps of any size, and a preview is read at a glance.
    plain = published.drop(*(name for name, dtype in published.schema().items() if dtype.is_map()))
    preview = vertical_markdown(fullest(plain.limit(PREVIEW_AMONG)).to_pyarrow().to_pylist())
    return {
        "dagster/row_count": read.lake.row_count(table.name),
        "preview": dg.MetadataValue.md(preview),
        **describe(published),
    }


def _record(
    context: dg.AssetExecutionContext,
    lake: Lake,
    table: Table,
    good: Sequence[date],
    commit: Commit,
    code_version: str,
    upstream: Sequence[Table],
    shared: Mapping[str, Any],
    about: Mapping[date, Mapping[str, Any]] | None,
) -> None:
    known = [(before, lake.fingerprints(before.name)) for before in upstream]
    own = set(partition_dates(context))
    for partition in good:
        inputs = {
            dg.AssetKey(before.asset): _input_version(table, before, versions, partition) for before, versions in known
        }
        made = dg.AssetMaterialization(
            dg.AssetKey(table.asset),
            partition=partition.isoformat(),
            metadata={
                **shared,
                PARTITION_ROWS: commit.rows.get(partition, 0),
                "delta_version": -1 if commit.version is None else commit.version,
                "content_changed": partition in commit.changed,
                **((about or {}).get(partition) or {}),
            },
            tags=version_tags(context, commit.fingerprints.get(partition, EMPTY), code_version, inputs),
        )
        if partition in own:
            context.log_event(made)
        else:
            # Reported outside of the run: what a run made last counts as handled further up if the run includes what
            # is above, whatever partitions it was asked for (Dagster's `executed_with_root_target`).
            context.instance.report_runless_asset_event(made)


def _input_version(table: Table, before: Table, versions: Mapping[date, str], partition: date) -> str:
    """Data version of what one partition was made of: the same partition upstream, or the days of the month."""
    if before.grain == table.grain:
        return versions.get(partition, EMPTY)
    days = {day: version for day, version in versions.items() if day.replace(day=1) == partition}
    return hashlib.sha256("".join(f"{day}{days[day]}" for day in sorted(days)).encode()).hexdigest()[:32]


def conclude(table: Table, partitions: Sequence[date], published: Published) -> Iterator[Any]:
    """The end of a step: its checks, then its result, or a failure where a partition was not published.

    Args:
        table: The table of the step.
        partitions: First days of all partitions of the step.
        published: What became of them.

    Raises:
        dagster.Failure: a partition was not published; the others are, and the UI shows them.
    """
    results = [_contract_result(table, published.failures), *_proof_results(table, published)]
    if published.failures:
        yield from results
        raise failure(table, sorted({*partitions, *published.also}), published.failures, published.also)
    result = dg.MaterializeResult[None](asset_key=dg.AssetKey(table.asset), check_results=results)
    yield without_automatic_events(result)


def failure(
    table: Table, partitions: Sequence[date], failures: Mapping[date, Exception], also: Collection[date] = ()
) -> dg.Failure:
    """What a person is told of partitions that were not published: which, why, and that the others are.

    Args:
        table: The table of the step.
        partitions: First days of all partitions of the step.
        failures: By partition: why it was not published.
        also: Which of the partitions the run was not asked for.
    """
    causes: dict[str, list[date]] = {}
    for partition, error in sorted(failures.items()):
        causes.setdefault(_cause(error), []).append(partition)
    lines = [f"{', '.join(map(str, contiguous(hit)))}: {cause}" for cause, hit in causes.items()]
    good = len(partitions) - len(failures)
    counted = f"{len(failures)} of {len(partitions)} {table.grain}s failed, {good} are published."
    text = f"{'/'.join(table.asset)}: {counted}\n" + "\n".join(lines)
    metadata: dict[str, Any] = {FAILED_PARTITIONS: [day.isoformat() for day in sorted(failures)], "causes": lines}
    if done := sorted(set(also) - set(failures)):
        metadata[ALSO_MADE] = [day.isoformat() for day in done]
    return dg.Failure(text, metadata=metadata, allow_retries=False)


def _cause(error: Exception) -> str:
    if not isinstance(error, ContractError):
        return str(error)
    return f"{error}. The last good version stays readable. Mend the source or the contract, then run it again"


def _contract_result(table: Table, failures: Mapping[date, Exception]) -> dg.AssetCheckResult:
    broken = [error for error in failures.values() if isinstance(error, ContractError)]
    key = dg.AssetKey(table.asset)
    if not broken:
        return dg.AssetCheckResult(passed=True, check_name=CONTRACT, asset_key=key)
    counts: dict[str, int] = {}
    for error in {id(error): error for error in broken}.values():
        for rule, count in error.violations.items():
            counts[rule] = counts.get(rule, 0) + count
    examples = broken[0].examples[:EXAMPLES]
    return dg.AssetCheckResult(
        passed=False,
        check_name=CONTRACT,
        asset_key=key,
        description=str(broken[0]),
        metadata={
            "violations": sum(counts.values()),
            "rules": "; ".join(f"{rule}: {counted(count, 'row')}" for rule, count in counts.items()),
            "examples": dg.MetadataValue.md(markdown(examples)) if examples else "none",
        },
    )


def _proof_results(table: Table, published: Published) -> Iterator[dg.AssetCheckResult]:
    for proof in table.proofs:
        found = published.breaches.get(proof.name, [])
        count = sum(breaches.count for breaches in found)
        rows = [row for breaches in found for examples in breaches.examples.values() for row in examples]
        examples = {"examples": dg.MetadataValue.md(markdown(rows[:EXAMPLES]))} if rows else {}
        yield dg.AssetCheckResult(
            passed=not count,
            check_name=proof.name,
            asset_key=dg.AssetKey(table.asset),
            severity=dg.AssetCheckSeverity.ERROR if proof.blocking else dg.AssetCheckSeverity.WARN,
            description=said_of(proof, count, rows[0]) if rows else None,
            metadata={"breaches": count, **examples},
        )


def said_of(proof: Proof, count: int, example: Mapping[str, Any]) -> str:
    """What is said of a proof that does not hold.

    Args:
        proof: The statement.
        count: How many rows break it.
        example: One of them.
    """
    remedy = f". {proof.remedy}" if proof.remedy else ""
    return f"{'once' if count == 1 else counted(count, 'time')}, for example {_one_line(example)}{remedy}"


def table_asset(
    site: Site,
    table: Table,
    upstream: Sequence[Table],
    about: str,
    make: Callable[[Reader, Sequence[date]], ir.Table],
    summary: Callable[[ir.Table], ir.Table],
    *,
    numbers: Numbers | None = None,
    day_by_day: bool = False,
    chunk: int = CHUNK,
    code_version: str = __version__,
) -> dg.AssetsDefinition:
    """An asset that reads tables, transforms them, and publishes the result partition by partition.

    Args:
        site: The site.
        table: What it fills; its grain gives the partitions, its proofs the checks.
        upstream: The tables it reads.
        about: The asset's description.
        make: Rows from a reader of upstream tables and the partition keys of a chunk, as dates.
        summary: A few rows that tell a person what the run made, shown in the UI.
        numbers: Aggregates of each partition, for the plots of the UI.
        day_by_day: Each row is made of one row of its own day, so that days can be written one after the other.
        chunk: Partitions made at a time; more than a month of days where the result is small, or written day by day,
            and planning is expensive.
        code_version: Of what makes the rows; of assets that are made with factors, what these say
            (`factors.version`).
    """
    key = dg.AssetKey(table.asset)

    def describe(published: ir.Table) -> dict[str, Any]:
        rows = summary(published).limit(SUMMARY_ROWS).to_pyarrow().to_pylist()
        return {"summary": dg.MetadataValue.md(f"The last {table.grain} of its commit:\n\n{markdown(rows)}")}

    @dg.asset(
        key=key,
        deps=[dependency(table, before) for before in upstream],
        partitions_def=partitions_of(site, table),
        backfill_policy=SINGLE_RUN,
        group_name=table.asset[0],
        kinds={"ibis", "duckdb", "deltalake"},
        owners=OWNERS,
        code_version=code_version,
        check_specs=check_specs(table),
        metadata=table_metadata(table, site.disk().path("lake", table.name)),
        description=about,
    )
    def materialize(
        context: dg.AssetExecutionContext, warehouse: Warehouse, duckdb: DuckDBResource
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        partitions, published = partition_dates(context), Published()

        def make_and_publish(some: Sequence[date]) -> None:
            with connection(duckdb) as con:
                read = Reader(warehouse.lake, con)
                rows = make(read, some)
                further = _further(context, site, table, read.further - {*partitions, *published.also})
                published.also.update(further)
                # First, because what is published of `some` tells which other partitions are outdated.
                for more in chunks(further, chunk):
                    make_and_publish(more)
                done = [day.isoformat() for day in further if day not in published.failures]
                also = {ALSO_MADE: done} if done else {}
                commit = publish(
                    context,
                    read,
                    table,
                    some,
                    rows,
                    code_version=code_version,
                    upstream=upstream,
                    describe=describe,
                    about=dict.fromkeys(some, also),
                    numbers=numbers,
                    day_by_day=day_by_day,
                )
                published.add(some, commit)

        parts = list(chunks(partitions, chunk))
        for number, some in enumerate(parts, 1):
            if len(parts) > 1:
                context.log.info(f"{table.asset[-1]}: {some[0]} to {some[-1]} ({number} of {len(parts)})")
            make_and_publish(some)
        yield from conclude(table, partitions, published)

    return materialize


def _further(context: dg.AssetExecutionContext, site: Site, table: Table, requested: Collection[date]) -> list[date]:
    """Of the partitions a transform requested those that were made before; the others are for a run of their own."""
    if not requested:
        return []
    made = context.instance.get_materialized_partitions(dg.AssetKey(table.asset))
    known = made & set(partitions_of(site, table).get_partition_keys())
    further = sorted(day for day in requested if day.isoformat() in known)
    if further:
        spans = ", ".join(map(str, contiguous(further)))
        context.log.info(f"{'/'.join(table.asset)}: made again as well, because what is new changes them too: {spans}")
    return further


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A small Markdown table; cell text cannot break out of its cell."""
    if not rows:
        return "*no rows*"
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def fullest(rows: ir.Table) -> ir.Table:
    """The rows with the fewest empty columns, `PREVIEW_ROWS` of them: they show what a table can hold.

    Args:
        rows: Not too many.
    """
    filled: Any = sum(rows[name].notnull().cast("int32") for name in rows.columns)
    return rows.order_by([filled.desc(), *rows.columns]).limit(PREVIEW_ROWS)


def vertical_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table with a line per column, which stays readable where a table has many columns.

    Columns that are empty in every row are left out; the column schema has them all.
    """
    names = [name for name in (rows[0] if rows else ()) if any(row[name] is not None for row in rows)]
    return markdown(
        [
            {"column": name, **{f"row {number}": _brief(row[name]) for number, row in enumerate(rows, 1)}}
            for name in names
        ]
    )


def _brief(value: Any) -> Any:
    """A long text cut in its middle: names of things differ at their ends."""
    half = PREVIEW_CELL // 2
    long = isinstance(value, str) and len(value) > PREVIEW_CELL
    return f"{value[:half]}…{value[-half + 1 :]}" if long else value


def _one_line(row: Mapping[str, Any]) -> str:
    """A row as a person reads it in a sentence."""
    return ", ".join(f"{name} {_cell(value, IN_A_SENTENCE)}" for name, value in row.items() if value is not None)


def _cell(value: Any, widest: int = IN_A_TABLE) -> str:
    if value is None:
        return ""
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    text = text.rstrip("0").rstrip(".") if isinstance(value, Decimal) and "." in text else text
    text = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
    return text if len(text) <= widest else f"{text[: widest - 3]}…"

"""From rows to a published table, as every table asset does it: audit, commit, and tell Dagster what happened.

What belongs here: the metadata and checks all tables share. What does not: how rows are made.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from energy_assets.contracts.audit import EXAMPLES, ContractError, schema_of
from energy_assets.engine import connection
from energy_assets.lake import Commit, Lake
from energy_assets.landing import Landing
from energy_assets.partitions import OWNERS, SINGLE_RUN
from energy_assets.secrets import revealed
from energy_assets.site import Site
from energy_assets.storage import Storage
from energy_assets.tables import Table

CONTRACT = "contract"
ROWS_PUBLISHED = "rows_published"
"""Metadata: rows of the partitions of a run; Dagster's own `row_count` is of the whole table."""
PREVIEW_ROWS = 3
SUMMARY_ROWS = 40
CHUNK = 31
"""Partitions published in one commit: a month of days keeps memory bounded over long ranges."""


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


@dataclass(frozen=True)
class Reader:
    """What a transform reads with: the lake through one connection."""

    lake: Lake
    con: Any

    def __call__(self, table: Table, partitions: Sequence[date]) -> ir.Table:
        """The given partitions of a table."""
        return self.lake.read(self.con, table, partitions)

    def keep(self, rows: ir.Table) -> ir.Table:
        """Compute `rows` once, for a transform that uses them many times."""
        kept: ir.Table = self.con.create_table(f"kept_{uuid4().hex[:12]}", rows, temp=True)
        return kept


@dataclass(frozen=True)
class Proof:
    """A statement about a published table that is proven after every run and shown as an asset check.

    Attributes:
        name: Of the check.
        about: What holds.
        breaches: The rows for which it does not, from a reader and the partitions of a chunk.
        severity: How bad a breach is.
    """

    name: str
    about: str
    breaches: Callable[[Reader, Sequence[date]], ir.Table]
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR

    def result(self, found: Sequence[Mapping[str, Any]], asset_key: dg.AssetKey) -> dg.AssetCheckResult:
        """The check's result for the breaches found."""
        examples = {"examples": dg.MetadataValue.md(markdown(found[:EXAMPLES]))} if found else {}
        return dg.AssetCheckResult(
            passed=not found,
            check_name=self.name,
            asset_key=asset_key,
            severity=self.severity,
            metadata={"breaches": len(found), **examples},
        )


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
    """Definition metadata of a table asset."""
    return {
        "dagster/column_schema": column_schema(table.model),
        "dagster/table_name": table.name,
        "dagster/uri": uri,
    }


def contract_check(table: Table) -> dg.AssetCheckSpec:
    """The check that shows whether the rows kept their contract."""
    key = table.model.to_schema().unique
    grain = f" There is one row per {', '.join(key)}." if key else ""
    return dg.AssetCheckSpec(
        CONTRACT,
        asset=dg.AssetKey(table.asset),
        description=f"Every row of `{table.name}` keeps the types and ranges of its {len(schema_of(table.model))} "
        f"columns, as the asset's overview lists them.{grain} Checked before the commit: a day that breaks them is "
        "not published, and the last good version stays readable.",
    )


def publish(
    context: dg.AssetExecutionContext,
    lake: Lake,
    con: Any,
    table: Table,
    days: Sequence[date],
    rows: ir.Table,
    *,
    day_by_day: bool = False,
) -> Iterator[dg.AssetCheckResult | Commit]:
    """Replace `days` of a table; yields the failed check and raises, or yields the commit.

    Raises:
        dagster.Failure: the rows break the contract; the partitions that do were not committed.
    """
    try:
        commit = lake.replace(con, table, days, rows, context.run_id, day_by_day=day_by_day)
        for day, count in commit.rows.items():
            context.add_asset_metadata({"dagster/partition_row_count": count}, partition_key=day.isoformat())
        yield commit
        if commit.rejected:
            raise ContractError.together(table.name, commit.rejected.values())
    except ContractError as error:
        rules = "; ".join(f"{rule}: {count:,} rows" for rule, count in error.violations.items())
        examples = dg.MetadataValue.md(markdown(error.examples)) if error.examples else "none"
        metadata: dict[str, Any] = {"violations": sum(error.violations.values()), "rules": rules, "examples": examples}
        yield dg.AssetCheckResult(
            passed=False,
            check_name=CONTRACT,
            asset_key=dg.AssetKey(table.asset),
            description=str(error),
            metadata=metadata,
        )
        raise dg.Failure(
            f"{error}. The last good version stays readable. Mend the source or the contract, then run the same "
            "days again.",
            metadata=metadata,
            allow_retries=False,
        ) from error


def table_asset(
    site: Site,
    table: Table,
    upstream: Sequence[Table],
    partitions: dg.TimeWindowPartitionsDefinition,
    about: str,
    make: Callable[[Reader, Sequence[date]], ir.Table],
    summary: Callable[[ir.Table], ir.Table],
    proofs: Sequence[Proof] = (),
    *,
    day_by_day: bool = False,
) -> dg.AssetsDefinition:
    """An asset that reads tables, transforms them, and publishes the result partition by partition.

    Args:
        site: The site.
        table: What it fills.
        upstream: The tables it reads.
        partitions: Days or months.
        about: The asset's description.
        make: Rows from a reader of upstream tables and the partition keys of a chunk, as dates.
        summary: A few rows that tell a person what the run made, shown in the UI.
        proofs: What must hold for the published table beyond its contract.
        day_by_day: Each row is made of one row of its own day, so that days can be written one after the other.
    """
    key = dg.AssetKey(table.asset)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(before.asset) for before in upstream],
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        group_name=table.asset[0],
        kinds={"ibis", "duckdb", "deltalake"},
        owners=OWNERS,
        code_version=__version__,
        check_specs=[contract_check(table)]
        + [dg.AssetCheckSpec(proof.name, asset=key, description=proof.about) for proof in proofs],
        metadata=table_metadata(table, site.disk().path("lake", table.name)),
        description=about,
    )
    def materialize(
        context: dg.AssetExecutionContext, warehouse: Warehouse, duckdb: DuckDBResource
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        keys = sorted(date.fromisoformat(key) for key in context.partition_keys)
        lake, commits = warehouse.lake, []
        breaches: dict[str, list[dict[str, Any]]] = {proof.name: [] for proof in proofs}
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            with connection(duckdb) as con:
                rows = make(Reader(lake, con), chunk)
                for step in publish(context, lake, con, table, chunk, rows, day_by_day=day_by_day):
                    if isinstance(step, Commit):
                        commits.append(step)
                    else:
                        yield step
                for proof in proofs:
                    breaches[proof.name] += proof.breaches(Reader(lake, con), chunk).to_pyarrow().to_pylist()
        with connection(duckdb) as con:
            published = Reader(lake, con)(table, keys)
            told = dg.MetadataValue.md(markdown(summary(published).limit(SUMMARY_ROWS).to_pyarrow().to_pylist()))
            done = result(table, lake, commits, published, {"summary": told})
        proven = [proof.result(breaches[proof.name], key) for proof in proofs]
        yield done._replace(check_results=[*(done.check_results or []), *proven])

    return materialize


def result(
    table: Table, lake: Lake, commits: Sequence[Commit], published: ir.Table, more: Mapping[str, Any] | None = None
) -> dg.MaterializeResult[None]:
    """What Dagster records of a finished table: rows, version, fingerprint, preview, the passed check.

    Args:
        table: The table.
        lake: Where it lies.
        commits: What the run published.
        published: Rows to show a few of.
        more: Further metadata.
    """
    fingerprints = {day: text for commit in commits for day, text in commit.fingerprints.items()}
    joined = "".join(f"{day}{fingerprints[day]}" for day in sorted(fingerprints))
    changed = sum(len(commit.changed) for commit in commits)
    return dg.MaterializeResult(
        asset_key=dg.AssetKey(table.asset),
        data_version=dg.DataVersion(hashlib.sha256(joined.encode()).hexdigest()[:32]),
        metadata={
            "dagster/row_count": lake.row_count(table.name),
            ROWS_PUBLISHED: sum(sum(commit.rows.values()) for commit in commits),
            "delta_version": next((c.version for c in reversed(commits) if c.version is not None), -1),
            "partitions_changed": changed,
            "preview": dg.MetadataValue.md(vertical_markdown(published.limit(PREVIEW_ROWS).to_pyarrow().to_pylist())),
            **(more or {}),
        },
        check_results=[dg.AssetCheckResult(passed=True, check_name=CONTRACT, asset_key=dg.AssetKey(table.asset))],
    )


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A small Markdown table; cell text cannot break out of its cell."""
    if not rows:
        return "*no rows*"
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def vertical_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table with a line per column, which stays readable where a table has many columns."""
    names = list(rows[0]) if rows else []
    return markdown(
        [{"column": name, **{f"row {number}": row[name] for number, row in enumerate(rows, 1)}} for name in names]
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    text = text.rstrip("0").rstrip(".") if isinstance(value, Decimal) and "." in text else text
    text = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
    return text if len(text) <= 48 else f"{text[:45]}…"

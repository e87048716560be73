"""The assets `disclosure/<profile>`: a month's report in all its faces, below `<root>/reports`.

What belongs here: reading what a report needs and putting its files where they are kept. A report is made in a
temporary folder and moved into place when it is whole.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
import obstore
from dagster_duckdb import DuckDBResource

from energy_assets import __version__
from energy_assets.disclosures.inputs import TABLES, Organisation, ReportInputs, Target
from energy_assets.engine import connection
from energy_assets.lake import Lake
from energy_assets.materialize import Reader, Warehouse
from energy_assets.partitions import OWNERS, SINGLE_RUN, monthly
from energy_assets.periods import Month
from energy_assets.site import Site
from energy_assets.tables import KPIS_MONTHLY, SHARED

PROFILES = ("ml_sustainability",)


def disclosure_assets(site: Site) -> list[dg.AssetsDefinition]:
    """One asset per profile."""
    return [_disclosure(site, profile) for profile in PROFILES]


def report_folder(site: Site, profile: str, month: Month) -> Path:
    """Where a report lies; for a bucket the local copy beside the site file."""
    disk = site.disk()
    root = Path(disk.root) if disk.is_local else site.folder / "var"
    return root / "reports" / profile / str(month)


def headline(folder: Path) -> list[tuple[str, str, str]]:
    """Id, label and printed value of a report's headline figures."""
    document = json.loads((folder / "document.json").read_text(encoding="utf-8"))
    figures = {figure["id"]: figure for figure in json.loads((folder / "figures.json").read_text("utf-8"))["figures"]}
    return [
        (name, figures[name]["label"], f"{figures[name]['display']['text']} {figures[name]['display']['unit']}".strip())
        for name in document["headline"]
    ]


def _disclosure(site: Site, profile: str) -> dg.AssetsDefinition:
    upstream = [table for table in SHARED if table.name != "energy"]

    @dg.asset(
        key=dg.AssetKey(["disclosure", profile]),
        deps=[dg.AssetKey(table.asset) for table in upstream if _made(site, table.name)],
        partitions_def=monthly(site),
        backfill_policy=SINGLE_RUN,
        group_name="disclosure",
        kinds={"pdf", "xhtml", "csv", "json"},
        owners=OWNERS,
        code_version=__version__,
        description="AI energy and carbon of a month: XHTML with inline XBRL, PDF/A, CSV and JSON, every number a "
        "figure with a road back to raw bytes.",
    )
    def disclosure(
        context: dg.AssetExecutionContext, warehouse: Warehouse, duckdb: DuckDBResource
    ) -> dg.MaterializeResult[None]:
        made: dict[str, Any] = {}
        for key in sorted(context.partition_keys):
            month = Month.parse(key)
            with connection(duckdb) as con:
                made = _make(site, profile, month, Reader(warehouse.lake, con), warehouse, context.run_id)
            context.add_asset_metadata(made, partition_key=key)
        return dg.MaterializeResult(
            asset_key=context.asset_key, data_version=dg.DataVersion(str(made["figures_sha256"])), metadata=made
        )

    return disclosure


def _make(site: Site, profile: str, month: Month, read: Reader, warehouse: Warehouse, run_id: str) -> dict[str, Any]:
    from energy_assets.disclosures.ml_sustainability import build
    from energy_assets.disclosures.render import render
    from energy_assets.disclosures.road import write_trace_page

    inputs = _inputs(site, month, read)
    if not inputs.pins[KPIS_MONTHLY.name]:
        raise dg.Failure(
            f"{month} has no indicators, so there is nothing to report. Run days of it first: "
            f"energy-assets run --from {month.first} --to {month.days.last}",
            allow_retries=False,
        )
    document = build(inputs)
    folder = report_folder(site, profile, month)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{month}-") as fresh:
        paths = render(document, Path(fresh))
        write_trace_page(document, inputs.tables, warehouse.landing, Path(fresh))
        _write_build(Path(fresh), warehouse.lake, run_id)
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(fresh, folder)
    if not warehouse.storage.is_local:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix()
                obstore.put(warehouse.storage.store(), f"reports/{profile}/{month}/{name}", path)
    lines = [f"- **{label}**: {value} ({name})" for name, label, value in headline(folder)]
    return {
        "headline": dg.MetadataValue.md("\n".join(lines)),
        "report": dg.MetadataValue.path(str(folder / "report.pdf")),
        "files": len(paths),
        "figures": len(document.book),
        "figures_sha256": document.figures_sha256,
    }


def _inputs(site: Site, month: Month, read: Reader) -> ReportInputs:
    by_name = {table.name: table for table in SHARED}
    days = list(month.days)
    parts = {name: [month.first] if name == KPIS_MONTHLY.name else days for name in TABLES}
    before = Month.of(month.first.replace(day=1) - (days[1] - days[0]))
    known = read.lake.fingerprints(KPIS_MONTHLY.name)
    organisation = site.organisation
    return ReportInputs(
        con=read.con,
        tables={name: read.keep(read(by_name[name], parts[name])) for name in TABLES},
        month=month,
        organisation=Organisation(**organisation.model_dump()),
        targets=[Target(**target.model_dump()) for target in site.targets],
        pins={name: _pins(read.lake, name, parts[name]) for name in TABLES},
        previous=read.keep(read(KPIS_MONTHLY, [before.first])) if before.first in known else None,
        code_version=__version__,
        factor_basis=site.factors.scope2_basis,
        lock_sha256=_lock_sha256(),
        trace_page=True,
    )


def _lock_sha256() -> str | None:
    """Hash of the lock file of a checkout; None for an installed package, which has none."""
    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None


def _pins(lake: Lake, table: str, partitions: list[Any]) -> dict[str, str]:
    known = lake.fingerprints(table)
    return {day.isoformat(): known[day] for day in partitions if day in known}


def _write_build(folder: Path, lake: Lake, run_id: str) -> None:
    """What may differ between two equal reports: the run, and the table versions it read."""
    versions = {table.name: lake.version(table.name) for table in SHARED}
    build = {"dagster_run_id": run_id, "delta_versions": versions, "code_version": __version__}
    (folder / "build.json").write_text(json.dumps(build, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _made(site: Site, table: str) -> bool:
    feeds = {"energy": "energy", "emissions": "energy", "cost": "cost", "activity": "activity"}
    feeds["grid_intensity"] = "grid_intensity"
    return table not in feeds or bool(site.feeding(feeds[table]))

"""The assets `disclosure/<profile>`: the report of a period in all its faces, below `<root>/reports`.

What belongs here: the assets, and putting a report's files and its edition where they are kept. What does not: reading
what a report is made from (`gathering`). A profile's months are the
partitions of `disclosure/<profile>`; its quarters and years those of `disclosure/<profile>_quarterly` and `_yearly`,
so that each grain has its own partitions, history and lineage in Dagster. All are made by the same build.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_duckdb import DuckDBResource
from obstore.store import ObjectStore

from energy_assets import __version__
from energy_assets.clock import last_complete_day
from energy_assets.commands import command
from energy_assets.dagster_internals import version_tags, without_automatic_events
from energy_assets.disclosures.checks import ABOUT, RECOMPUTES, Judged, judge
from energy_assets.disclosures.editions import write_edition
from energy_assets.disclosures.gathering import Gathered, build_record, edition_of, gather, report_tables, site_from
from energy_assets.disclosures.places import UI_REPORTS, report_folder
from energy_assets.disclosures.profile import Profile, profiles
from energy_assets.disclosures.restating import in_words, restatements
from energy_assets.disclosures.shelf import replacing, upload
from energy_assets.engine import connection
from energy_assets.lake import Lake
from energy_assets.materialize import EMPTY, FAILED_PARTITIONS, Warehouse
from energy_assets.opportunities.states import StateError
from energy_assets.partitions import OWNERS, SINGLE_RUN, monthly, partition_dates, tables_of
from energy_assets.periods import DayRange, Grain, Period
from energy_assets.site import Site
from energy_assets.tables import KPIS_MONTHLY

if TYPE_CHECKING:
    from energy_assets.disclosures.document import Document

REPORTS_URL = "ENERGY_ASSETS_REPORTS_URL"
"""Variable that names where reports are served; without it their links lead through the UI they are shown in."""
LINKS = {"report": "report.xhtml", "report_pdf": "report.pdf", "trace": "trace.xhtml"}
"""Metadata of a materialization: links that open the report while the UI runs."""
RESTATED = "restated"
"""Metadata of a materialization whose report states figures of the edition before otherwise: which, and why."""
NO_REPORT = "Nothing to check: no day of these periods is over, so no report was made."
SUFFIX: dict[Grain, str] = {"month": "", "quarter": "_quarterly", "year": "_yearly"}
"""What the asset of a grain is called, after the profile's name."""
CRON: dict[Grain, str] = {"month": "0 0 1 * *", "quarter": "0 0 1 1,4,7,10 *", "year": "0 0 1 1 *"}


def disclosure_assets(site: Site) -> list[dg.AssetsDefinition]:
    """One asset per profile and grain.

    Raises:
        ProfileError: a profile's file cannot be used.
    """
    return [_disclosure(site, profile, grain) for profile in profiles() for grain in profile.grains]


def disclosure_keys(grain: Grain) -> list[dg.AssetKey]:
    """The assets that report on periods of a grain, one per profile that has it."""
    return [disclosure_key(profile.name, grain) for profile in profiles() if grain in profile.grains]


def disclosure_key(profile: str, grain: Grain) -> dg.AssetKey:
    """The asset that holds a profile's reports on periods of a grain.

    Args:
        profile: Name of a profile.
        grain: Month, quarter or year.
    """
    return dg.AssetKey(["disclosure", profile + SUFFIX[grain]])


def period_partitions(site: Site, grain: Grain) -> dg.TimeWindowPartitionsDefinition:
    """Every period of a grain since the site's start, the running one included; keys are first days.

    Args:
        site: Says when its data start.
        grain: Month, quarter or year.
    """
    if grain == "month":
        return monthly(site)
    start = Period.containing(site.start, grain).first.isoformat()
    return dg.TimeWindowPartitionsDefinition(start=start, cron_schedule=CRON[grain], fmt="%Y-%m-%d", end_offset=1)


def headline(folder: Path) -> list[tuple[str, str, str]]:
    """Id, label and printed value of a report's headline figures."""
    document = json.loads((folder / "document.json").read_text(encoding="utf-8"))
    figures = {figure["id"]: figure for figure in json.loads((folder / "figures.json").read_text("utf-8"))["figures"]}
    return [
        (name, figures[name]["label"], f"{figures[name]['display']['text']} {figures[name]['display']['unit']}".strip())
        for name in document["headline"]
    ]


def _disclosure(site: Site, profile: Profile, grain: Grain) -> dg.AssetsDefinition:
    upstream = [table for table in tables_of(site) if table.name in report_tables(site)]
    # A period holds days before the site's start and days to come, which have no partition upstream.
    mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

    key = disclosure_key(profile.name, grain)

    @dg.asset(
        key=key,
        deps=[dg.AssetDep(dg.AssetKey(table.asset), partition_mapping=mapping) for table in upstream],
        partitions_def=period_partitions(site, grain),
        backfill_policy=SINGLE_RUN,
        group_name="disclosure",
        kinds={"pdf", "xhtml", "csv", "json"},
        owners=OWNERS,
        code_version=__version__,
        check_specs=[dg.AssetCheckSpec(name, asset=key, description=about) for name, about in ABOUT.items()],
        description=f"The report of a {grain}, *{profile.title}*: a web page that is also the filing (inline XBRL), "
        "the same as PDF/A, and all figures as CSV and JSON. Every number in it is a figure that can be followed to "
        "the raw bytes it came from. Materialize a period to make or renew its report; the links of its latest "
        "materialization open it.",
    )
    def disclosure(
        context: dg.AssetExecutionContext, warehouse: Warehouse, duckdb: DuckDBResource
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        failed: dict[date, dg.Failure] = {}
        judged: dict[Period, list[Judged]] = {}
        for first in partition_dates(context):
            period = Period.containing(first, grain)
            if not runnable_days(site, period, last_complete_day()):
                # Its partition is there from its first day on, and Dagster takes one that is not made for a failure.
                said = no_indicators(site, period, last_complete_day())
                context.log.info(said)
                _record(context, first, {"nothing yet": said}, EMPTY, {table.asset: {} for table in upstream})
                continue
            try:
                with connection(duckdb) as con:
                    store = warehouse.storage.store()
                    gathered = _gathered(site, profile, period, warehouse.lake, store, con)
                    metadata, judged[period] = _make(site, gathered, warehouse, context.run_id)
            except dg.Failure as failure:
                failed[first] = failure
                continue
            pins = {table.asset: gathered.inputs.pins[table.name] for table in upstream}
            _record(context, first, metadata, str(metadata["figures_sha256"]), pins)
        if failed:
            raise _failure(failed, len(context.partition_keys), grain)
        results = _checks(key, judged)
        yield without_automatic_events(dg.MaterializeResult(asset_key=context.asset_key, check_results=results))

    return disclosure


def _checks(key: dg.AssetKey, judged: Mapping[Period, Sequence[Judged]]) -> list[dg.AssetCheckResult]:
    """One result per check, over all periods of the step; what is said against one names its period."""
    results = []
    for name in ABOUT:
        against = {str(period): one.against for period, found in judged.items() for one in found if one.name == name}
        said = [f"{period}: {text}" for period, text in against.items() if text]
        results.append(
            dg.AssetCheckResult(
                passed=not said,
                check_name=name,
                asset_key=key,
                severity=dg.AssetCheckSeverity.ERROR if name == RECOMPUTES else dg.AssetCheckSeverity.WARN,
                description="\n".join(said) or (None if judged else NO_REPORT),
                metadata={"reports": len(against)},
            )
        )
    return results


def _record(
    context: dg.AssetExecutionContext,
    first: date,
    metadata: Mapping[str, Any],
    data_version: str,
    pins: Mapping[tuple[str, str], Mapping[str, str]],
) -> None:
    """One materialization of one period: its data version says its figures, whatever else the run has made.

    Args:
        context: Of the step.
        first: First day of the period.
        metadata: What `_make` says of it.
        data_version: Of the report.
        pins: By upstream asset: the fingerprints of the partitions the report was made of.
    """
    inputs = {
        dg.AssetKey(asset): hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]
        for asset, known in pins.items()
    }
    context.log_event(
        dg.AssetMaterialization(
            context.asset_key,
            partition=first.isoformat(),
            metadata=dict(metadata),
            tags=version_tags(context, data_version, __version__, inputs),
        )
    )


def _failure(failed: Mapping[date, dg.Failure], asked: int, grain: Grain) -> dg.Failure:
    """What a person is told of periods without a report; the reports of the others are made."""
    reasons = "\n".join(str(failure.description) for failure in failed.values())
    text = reasons if asked == 1 else f"{len(failed)} of {asked} {grain}s have no report:\n{reasons}"
    days = [first.isoformat() for first in failed]
    return dg.Failure(text, metadata={FAILED_PARTITIONS: days}, allow_retries=False)


def _gathered(site: Site, profile: Profile, period: Period, lake: Lake, store: ObjectStore, con: Any) -> Gathered:
    try:
        return gather(site, profile, period, lake, store, con)
    except StateError as error:
        # A file that a person wrote, and must mend: trying again would not.
        raise dg.Failure(str(error), allow_retries=False) from error


def _make(site: Site, gathered: Gathered, warehouse: Warehouse, run_id: str) -> tuple[dict[str, Any], list[Judged]]:
    """Make one report, put it in its place and record its edition; what Dagster records of it, and its checks."""
    from energy_assets.disclosures.building import build
    from energy_assets.disclosures.render import render
    from energy_assets.disclosures.tracing import write_trace_page
    from energy_assets.disclosures.written import FILES, read_build, write_build

    inputs = gathered.inputs
    profile, period = inputs.profile, inputs.period
    if not inputs.pins[KPIS_MONTHLY.name]:
        raise dg.Failure(no_indicators(site, period, last_complete_day()), allow_retries=False)
    document = build(inputs)
    folder = report_folder(site, profile.name, period)
    with replacing(folder) as fresh:
        render(document, fresh)
        traced = write_trace_page(document, inputs.tables, warehouse.landing, fresh)
        write_build(fresh, build_record(gathered, run_id, site_from(folder, site)))
    edition = edition_of(gathered, document.book, read_build(folder)[FILES])
    recorded = write_edition(warehouse.storage.store(), edition)
    every = restatements([*inputs.editions, recorded]) if recorded else ()
    restated = [one for one in every if one.restated is recorded]
    if not warehouse.storage.is_local:
        upload(warehouse.storage.store(), f"reports/{profile.name}/{period}", folder)
    lines = [f"- **{label}**: {value} ({name})" for name, label, value in headline(folder)]
    address = f"{os.environ.get(REPORTS_URL, UI_REPORTS).rstrip('/')}/{profile.name}/{period}"
    files = sorted(path.name for path in folder.iterdir())
    metadata = {
        "headline": dg.MetadataValue.md("\n".join(lines)),
        **{label: dg.MetadataValue.url(f"{address}/{name}") for label, name in LINKS.items()},
        "folder": dg.MetadataValue.path(str(folder)),
        "files": dg.MetadataValue.md("\n".join(f"- {name}" for name in files)),
        "figures": len(document.book),
        "figures_sha256": document.figures_sha256,
        "restated_figures": len(restated),
        **({RESTATED: in_words(restated)} if restated else {}),
        **_plotted(document),
    }
    return metadata, judge(document, traced)


def _plotted(document: "Document") -> dict[str, float]:
    """The headline figures as numbers, which Dagster plots over the periods; in their stored units."""
    figures = [document.book[name] for name in document.headline]
    return {figure.metric: float(figure.number) for figure in figures if figure.number is not None}


def runnable_days(site: Site, period: Period, last: date) -> DayRange | None:
    """The days of a period that can be run; None where there is none, as on the first day of a month.

    Args:
        site: Says when its data start.
        period: Any.
        last: The last day that can be run.
    """
    first, last = max(period.first, site.start), min(period.last, last)
    return DayRange(first, last) if first <= last else None


def no_indicators(site: Site, period: Period, last: date) -> str:
    """Why there is nothing to report on a period, and which days to run; only days that can be run are named.

    Args:
        site: Says when its data start.
        period: What was asked for.
        last: The last day that can be run.
    """
    runnable = runnable_days(site, period, last)
    if not runnable:
        return (
            f"{period} has no indicators, and none of its days can be run: the site starts on {site.start}, the last "
            f"complete day is {last}."
        )
    days = command("run", site=site.file, options={"from": runnable.first, "to": runnable.last})
    return f"{period} has no indicators, so there is nothing to report. Run days of it first:\n  {days}"

"""Gathering what a report is made from: one state of the lake, the site file, and the editions before.

What belongs here: reading. What does not: building the document (`building`), and keeping what was made (`asset`).
Everything of a report is read at the same versions of the tables, so that a run that publishes meanwhile changes
nothing of it, and the same report can be made again later.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from obstore.store import ObjectStore

from energy_assets import __version__
from energy_assets.contracts.vocabulary import Feed, OpportunityState
from energy_assets.disclosures.causes import causes, digests, factor_files, raw_tables
from energy_assets.disclosures.editions import Cause, MadeWith, ReportEdition, facts_of, read_editions
from energy_assets.disclosures.figures import FigureBook
from energy_assets.disclosures.inputs import MARKET_TABLES, TABLES, Organisation, ReportInputs, Target
from energy_assets.disclosures.places import report_folder, reports_folder
from energy_assets.disclosures.profile import Profile
from energy_assets.factors.changes import factor_changes
from energy_assets.integrity import sha256_of
from energy_assets.lake import Lake
from energy_assets.materialize import Reader
from energy_assets.opportunities.states import Decision, current, decisions
from energy_assets.own_kpis import OwnKpi
from energy_assets.periods import Period
from energy_assets.site import Site
from energy_assets.tables import FACTORS_APPLIED, KPIS_DAILY, KPIS_MONTHLY, OPPORTUNITIES, SHARED


@dataclass(frozen=True)
class Gathered:
    """What a report is made from, and what is recorded of it.

    Attributes:
        inputs: What enters the report.
        versions: Of every table of the lake, those of the sources among them.
        made_with: Everything else that decides what it says.
    """

    inputs: ReportInputs
    versions: Mapping[str, int]
    made_with: MadeWith


def gather(
    site: Site,
    profile: Profile,
    period: Period,
    lake: Lake,
    store: ObjectStore,
    con: Any,
    before: datetime | None = None,
) -> Gathered:
    """Read all that a report of a period is made from.

    Args:
        site: Whose report it is.
        profile: What it consists of.
        period: What it is about.
        lake: The tables.
        store: Keeps the editions.
        con: An Ibis DuckDB connection.
        before: The first moment that no longer counts, for a report as it would have been made then; None for now.

    Raises:
        DamagedError: a table, its log, or the record of an edition is not what was written.
        StateError: the file of decisions about opportunities cannot be used.
    """
    raw = raw_tables(site)
    versions = lake.versions([*(table.name for table in SHARED), *raw], before)
    editions = read_editions(store, profile.name, str(period), before)
    making = made_with(site, profile)
    if before is not None and editions:
        # What the site file said then stands in the last edition of then.
        making = editions[-1].made_with
    changes = list[Cause]()
    if editions:
        last = editions[-1]
        # Asked of the lake of now, whose versions are all kept.
        changes = causes(
            raw, period, (last.versions, last.made_with), (versions, making),
            lambda table, version: {} if version is None else lake.fingerprints(table, version),
            _factors(con, lake, period, last.versions, versions),
        )  # fmt: skip
    decided = [one for one in decisions(site.folder) if before is None or one.recorded < before]
    read = Reader(lake.at(versions), con)
    inputs = _inputs(site, profile, period, read, making.stated, editions, changes, current(decided))
    return Gathered(inputs, versions, making)


def _factors(
    con: Any, lake: Lake, period: Period, before: Mapping[str, int], now: Mapping[str, int]
) -> list[str] | None:
    """Factors of a period's days that are others than at the edition before; None where one of both has no record."""
    old, new = (versions.get(FACTORS_APPLIED.name) for versions in (before, now))
    if old is None or new is None:
        return None
    days = list(period.days)
    records = (lake.read(con, FACTORS_APPLIED, days, version) for version in (old, new))
    return [one.said for one in factor_changes(*records) if one.changes_value] if old != new else []


def edition_of(gathered: Gathered, book: FigureBook, files: Mapping[str, str]) -> ReportEdition:
    """The record of a report that was made.

    Args:
        gathered: What it was made from.
        book: Its figures.
        files: By name, the sha256 of each of its files, without those that may differ between two equal reports.
    """
    inputs = gathered.inputs
    days = tuple(sorted(inputs.pins[KPIS_DAILY.name]))
    return ReportEdition(
        profile=inputs.profile.name,
        period=str(inputs.period),
        made_at="",
        files=dict(files),
        days=days,
        complete=len(days) == len(inputs.period.days),
        versions=dict(gathered.versions),
        made_with=gathered.made_with,
        facts=facts_of(book),
        causes=tuple(inputs.changes),
    )


def _inputs(
    site: Site,
    profile: Profile,
    period: Period,
    read: Reader,
    stated: Mapping[str, Any],
    editions: Sequence[ReportEdition],
    changes: Sequence[Cause],
    decided: Mapping[str, Decision],
) -> ReportInputs:
    by_name = {table.name: table for table in SHARED}
    days, months = list(period.days), [month.first for month in period.months]
    parts = {name: months if by_name[name].grain == "month" else days for name in stated["tables"]}
    if any(one.state is OpportunityState.DONE for one in decided.values()):
        # What was done is measured against the months before, whichever they are.
        earlier = [first for first in read.lake.fingerprints(OPPORTUNITIES.name) if first <= period.last]
        parts[OPPORTUNITIES.name] = sorted({*earlier, *months})
    known = read.lake.fingerprints(KPIS_MONTHLY.name)
    before = [month.first for month in period.previous.months if month.first in known]
    return ReportInputs(
        con=read.con,
        tables={name: read(by_name[name], mine) for name, mine in parts.items()},
        period=period,
        organisation=Organisation(**stated["organisation"]),
        profile=profile,
        targets=[
            Target(**{**one, **{name: Decimal(one[name]) for name in ("base_value", "target_value")}})
            for one in stated["targets"]
        ],
        kpis=[OwnKpi(**one) for one in stated["kpis"]],
        pins={name: _pins(read.lake, name, mine) for name, mine in parts.items()},
        previous=read(KPIS_MONTHLY, before) if before else None,
        code_version=__version__,
        factor_basis=stated["factor_basis"],
        lock_sha256=_lock_sha256(),
        site_file=_above(report_folder(site, profile.name, period), site),
        trace_page=True,
        decisions=decided,
        editions=tuple(editions),
        changes=tuple(changes),
    )


def made_with(site: Site, profile: Profile) -> MadeWith:
    """What a report is made with now, besides the tables.

    Args:
        site: Whose report it is.
        profile: What it consists of.
    """
    return MadeWith(
        release=__version__,
        lock_sha256=_lock_sha256(),
        site=digests(site),
        factors=factor_files(site),
        profile_sha256=sha256_of(reports_folder() / "frameworks" / f"{profile.name}.yaml"),
        stated={
            "organisation": site.organisation.model_dump(mode="json"),
            "targets": [target.model_dump(mode="json") for target in site.targets],
            "kpis": [one.model_dump(mode="json") for one in site.kpis],
            "factor_basis": site.factors.scope2_basis,
            "tables": report_tables(site),
        },
    )


def report_tables(site: Site) -> list[str]:
    """The tables that reports of a site are made from.

    Args:
        site: With its sources.
    """
    bought = site.feeding(Feed.INSTRUMENTS) and site.feeding(Feed.ENERGY)
    return [name for name in TABLES if bought or name not in MARKET_TABLES]


def _lock_sha256() -> str | None:
    """Hash of the lock file of a checkout; None for an installed package, which has none."""
    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    return sha256_of(lock) if lock.exists() else None


def _pins(lake: Lake, table: str, partitions: Sequence[date]) -> dict[str, str]:
    known = lake.fingerprints(table)
    return {day.isoformat(): known[day] for day in partitions if day in known}


def site_from(folder: Path, site: Site) -> str:
    """The site file as a reader who stands in the report's folder finds it.

    Args:
        folder: Of the report.
        site: What it was made of.
    """
    return os.path.relpath(site.file, folder.resolve())


def _above(folder: Path, site: Site) -> Path | None:
    """`site_from` where the site file lies above the report; else the way there would tell of this machine."""
    below = folder.resolve().is_relative_to(site.file.resolve().parent)
    return Path(site_from(folder, site)) if below else None


def build_record(gathered: Gathered, run_id: str, site: str) -> dict[str, Any]:
    """What may differ between two equal reports: the run, the table versions it read, and where its site file lies.

    Args:
        gathered: What it was made from.
        run_id: Of Dagster; empty where no run made it.
        site: From `site_from`.
    """
    versions = {table.name: gathered.versions.get(table.name) for table in SHARED}
    return {"dagster_run_id": run_id, "delta_versions": versions, "code_version": __version__, "site": site}

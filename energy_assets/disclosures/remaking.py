"""A report as it would have been made at an earlier time, from the versions of the tables of then.

What belongs here: making it, beside the reports of now, and comparing it with the edition of that time. What does not:
what a report is made from (`gathering`). Nothing is published and no edition is recorded.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis

from energy_assets.disclosures.building import build
from energy_assets.disclosures.editions import MadeWith, ReportEdition
from energy_assets.disclosures.gathering import build_record, gather, made_with, site_from
from energy_assets.disclosures.places import reports_root
from energy_assets.disclosures.profile import Profile
from energy_assets.disclosures.render import render
from energy_assets.disclosures.tracing import write_trace_page
from energy_assets.disclosures.written import FILES, read_build, write_build
from energy_assets.lake import Lake
from energy_assets.periods import Period
from energy_assets.site import Site
from energy_assets.tables import KPIS_MONTHLY

FOLDER = "as-of"
"""Beside `reports`: below it a folder for each time, then as the reports of now."""


@dataclass(frozen=True)
class Remade:
    """A report as of an earlier time.

    Attributes:
        folder: Holds it.
        edition: The last edition of then; None where the report had not been made.
        differing: Names of files that are others than those of that edition; empty where there is none to compare.
        reasons: What this machine makes it with that is otherwise than then, where files differ.
    """

    folder: Path
    edition: ReportEdition | None
    differing: tuple[str, ...]
    reasons: tuple[str, ...]


class NothingThenError(Exception):
    """Nothing to report was known at that time; the message says so."""


def remake(site: Site, profile: Profile, period: Period, before: datetime) -> Remade:
    """Make the report of a period as of an earlier time.

    Args:
        site: Whose report it is; what its file stated then is taken from the last edition of then.
        profile: What it consists of.
        period: What it is about.
        before: The first moment that no longer counts.

    Raises:
        NothingThenError: the lake had no indicators of the period then.
        DamagedError: what was stored then is damaged.
    """
    disk = site.disk()
    con = ibis.duckdb.connect()
    con.raw_sql(f"SET TimeZone = 'UTC'; SET memory_limit = '{site.engine.memory_limit}'")
    gathered = gather(site, profile, period, Lake(disk), disk.store(), con, before)
    if not gathered.inputs.pins[KPIS_MONTHLY.name]:
        raise NothingThenError(f"nothing of {period} was known before {before:%Y-%m-%d %H:%M:%S} UTC")
    document = build(gathered.inputs)
    folder = reports_root(site).parent / FOLDER / f"{before:%Y%m%dT%H%M%SZ}" / profile.name / str(period)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        fresh = Path(made) / "report"
        render(document, fresh)
        write_trace_page(document, gathered.inputs.tables, disk.landing(), fresh, before)
        write_build(fresh, build_record(gathered, "", site_from(folder, site)))
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    editions = gathered.inputs.editions
    if not editions:
        return Remade(folder, None, (), ())
    files: Mapping[str, str] = read_build(folder)[FILES]
    names = sorted({*files, *editions[-1].files})
    differing = tuple(name for name in names if files.get(name) != editions[-1].files.get(name))
    since = [f"{cause.says}, after that edition" for cause in gathered.inputs.changes]
    reasons = [*since, *_otherwise(editions[-1].made_with, made_with(site, profile))] if differing else []
    return Remade(folder, editions[-1], differing, tuple(reasons))


def _otherwise(then: MadeWith, now: MadeWith) -> Iterator[str]:
    """What decides the bytes of a report besides the tables, and is another one on this machine."""
    if then.release != now.release:
        yield f"it was made by release {then.release}, this is {now.release}"
    if then.lock_sha256 != now.lock_sha256:
        yield "the versions of its dependencies were others (requirements.lock)"
    if then.profile_sha256 != now.profile_sha256:
        yield "its profile in reports/frameworks was another one"

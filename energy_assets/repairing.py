"""Repairing: everything stored looked at, what is damaged, and the days and reports to make again.

What belongs here: finding and setting aside, and which days are to be run. What does not: what damage is (`integrity`,
`landing`, `commits`), and mending, which is a run of these days: it fetches what is not there and writes what differs.
A report that is made again replaces the damaged one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import ibis
import obstore
from obstore.store import ObjectStore

from energy_assets.clock import last_complete_day
from energy_assets.disclosures.editions import edition_fault
from energy_assets.disclosures.editions import keys as report_edition_keys
from energy_assets.disclosures.places import reports_root
from energy_assets.disclosures.shelf import BUILD, uploaded_faults
from energy_assets.disclosures.written import BuildError, changed, read_build
from energy_assets.integrity import GONE, DamagedError
from energy_assets.lake import Lake
from energy_assets.landing import Edition, Landing
from energy_assets.operations import history
from energy_assets.partitions import tables_of
from energy_assets.periods import Month, Period
from energy_assets.running import dagster_home
from energy_assets.site import Site
from energy_assets.tables import Table, raw_table

NO_DAY = "no run is needed: no day's newest edition names it, only older reports may"


@dataclass(frozen=True)
class Damage:
    """Something stored that is not what was written.

    Attributes:
        what: The thing, with its source or table and where it lies.
        found: What is wrong with it.
        days: The days to run again; empty where no day needs it.
        report: The period whose report is to be made again; None of everything that is no report.
        set_aside: Moves it out of the way, where a run alone would not replace it; None where it would, or where
            it is gone.
    """

    what: str
    found: str
    days: frozenset[date] = frozenset()
    report: Period | None = None
    set_aside: Callable[[], None] | None = None


def damages(site: Site) -> Iterator[Damage]:
    """Everything damaged below the root of a site, and in Dagster's history of it; reads all of it.

    Args:
        site: Whose storage is looked at.
    """
    disk = site.disk()
    lake, landing = Lake(disk), disk.landing()
    editions = list(landing.latest([source.name for source in site.sources]))
    yield from _of_landing(landing, editions)
    for source in site.sources:
        yield from _of_editions(landing, lake, source.name, raw_table(source).name)
    described = {table.name: table for table in tables_of(site)}
    listed = obstore.list_with_delimiter(disk.store(), "lake")["common_prefixes"]
    for name in sorted(Path(prefix).name for prefix in listed):
        yield from _of_table(lake, name, described.get(name))
    yield from _of_reports(site)
    yield from _of_report_editions(disk.store())
    yield from _of_history(dagster_home(site))


def days_to_run(site: Site, found: list[Damage]) -> list[date]:
    """The days whose run mends damage, of those that can be run.

    Args:
        site: Says when its partitions begin.
        found: The damage.
    """
    last = last_complete_day()
    return sorted({day for damage in found for day in damage.days if site.start <= day <= last})


def reports_to_make(found: list[Damage]) -> list[Period]:
    """The periods whose reports are to be made again.

    Args:
        found: The damage.
    """
    return sorted({damage.report for damage in found if damage.report}, key=lambda period: (period.first, str(period)))


def _of_landing(landing: Landing, editions: list[Edition]) -> Iterator[Damage]:
    users: dict[str, list[Edition]] = defaultdict(list)
    for edition in editions:
        for landed in edition.objects:
            users[landed.sha256].append(edition)
    for sha256 in sorted({*landing.object_names(), *users}):
        if said := landing.fault(sha256):
            yield _object(landing, sha256, said, users[sha256])
    for key in landing.damaged_entries():
        yield _entry(landing, key, users)
    lost: dict[str, set[date]] = defaultdict(set)
    for edition, key in landing.lost_receipts(editions):
        lost[key].add(edition.day)
    for key, days in sorted(lost.items()):
        yield Damage(f"receipt {key}", GONE, frozenset(days))


def _of_editions(landing: Landing, lake: Lake, source: str, table: str) -> Iterator[Damage]:
    """Days of which rows are published and no edition says of which objects they were made."""
    try:
        published = lake.fingerprints(table)
    except DamagedError:
        return  # told with the table
    for day in sorted(set(published) - landing.days(source)):
        yield Damage(f"edition landing/editions/{source}/{day}/", GONE, frozenset({day}))


def _object(landing: Landing, sha256: str, said: str, users: list[Edition]) -> Damage:
    days = frozenset(edition.day for edition in users)
    names = " and ".join(sorted({edition.source for edition in users}))
    of = f" of {names}" if names else f" ({NO_DAY})"
    aside = None if said == GONE else partial(landing.set_aside, sha256)
    return Damage(f"raw object {sha256}{of}", said, days, set_aside=aside)


def _entry(landing: Landing, key: str, users: dict[str, list[Edition]]) -> Damage:
    """A receipt or an edition; their keys say whose they are."""
    parts = key.split("/")
    if parts[1] == "editions":
        days = frozenset({date.fromisoformat(parts[3])})
        what = f"edition {key}"
    else:
        days = frozenset(edition.day for edition in users[parts[3]] if parts[4].startswith(f"{edition.source}-"))
        what = f"receipt {key}" + ("" if days else f" ({NO_DAY})")
    return Damage(what, "it is not what was written", days, set_aside=partial(landing.set_aside, key))


def _of_table(lake: Lake, name: str, table: Table | None) -> Iterator[Damage]:
    try:
        files = lake.files(name)
    except DamagedError as error:
        found = f"{error.message}; the versions of it that reports pin are lost"
        days = frozenset(day for part in lake.placed_partitions(name) for day in _days(table, part))
        yield Damage(f"table {name}{_no_source(table)}", found, days, set_aside=partial(lake.set_aside, name))
        return
    damaged = lake.damage(name, files, whole=True)
    if table is not None:
        con = ibis.duckdb.connect()
        con.raw_sql("SET TimeZone = 'UTC'")
        damaged |= lake.unlike_their_fingerprint(con, table, [file for file in files if file.name not in damaged])
    for file in files:
        if said := damaged.get(file.name):
            what = f"{file.partition} of table {name}{_no_source(table)}: {lake.path(name)}/{file.name}"
            aside = None if said == GONE else partial(lake.set_aside, name, file.name)
            yield Damage(what, said, frozenset(_days(table, file.partition)), set_aside=aside)


def _of_reports(site: Site) -> Iterator[Damage]:
    """Files of reports that are not what was written; reports of older versions say nothing of their files."""
    for folder in sorted(path for path in reports_root(site).glob("[!.]*/[!.]*") if path.is_dir()):
        try:
            found = changed(folder, read_build(folder))
        except FileNotFoundError:
            found = {BUILD: GONE}
        except BuildError as error:
            found = {BUILD: str(error)}
        yield from _report(folder.parent.name, folder.name, str(folder), found)
    disk = site.disk()
    for prefix, found in uploaded_faults(disk.store()) if not disk.is_local else ():
        profile, period = prefix.split("/")[-2:]
        yield from _report(profile, period, prefix, found)


def _of_report_editions(store: ObjectStore) -> Iterator[Damage]:
    """Records of what reports said: no run makes one again, and what was restated since is then not known."""
    for key in report_edition_keys(store):
        if said := edition_fault(store, key):
            aside = partial(obstore.rename, store, key, f"damaged/{key}")
            yield Damage(f"record {key} of an edition of a report (what it said is lost)", said, set_aside=aside)


def _of_history(home: Path) -> Iterator[Damage]:
    """What Dagster remembers of earlier runs: no day is made of it, and none need be run again."""
    for database, said in history.faults(home):
        lost = f"{said}. Lost with it: {history.lost_with(home, database)}. No figure is made of it"
        yield Damage(f"Dagster's history {database}", lost, set_aside=partial(history.set_aside, home, database))


def _report(profile: str, period: str, at: str, found: Mapping[str, str]) -> Iterator[Damage]:
    for name, said in found.items():
        again = None
        with suppress(ValueError):  # a copy that somebody made has a name of its own
            again = Period.parse(period)
        yield Damage(f"report {profile} of {period}: {at}/{name}", said, report=again)


def _no_source(table: Table | None) -> str:
    return "" if table else " (nothing in the site file fills it any more: no run mends it)"


def _days(table: Table | None, partition: date) -> list[date]:
    """The days whose run makes a partition again; a month is made after any of its days, of which the last will do."""
    if table is None:
        return []
    if table.grain == "day":
        return [partition]
    return [min(Month.of(partition).days.last, last_complete_day())]

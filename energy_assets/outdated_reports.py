"""Reports that were made, and whose days have other figures since.

What belongs here: comparing the newest edition of each report with the lake. What does not: the figures themselves,
which the next edition states (`disclosures.restating`), and printing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, timedelta

from energy_assets.commands import command
from energy_assets.disclosures.editions import ReportEdition, read_editions, reports_with_editions
from energy_assets.integrity import DamagedError
from energy_assets.lake import Lake
from energy_assets.periods import Period
from energy_assets.remarks import Remark
from energy_assets.site import Site
from energy_assets.tables import SHARED

AROUND = timedelta(days=31)
"""How far from the days of a run the days of a report may lie: invoices and comparisons reach into other months."""


def outdated(site: Site, days: Collection[date]) -> Iterator[Remark]:
    """Reports around some days that state what the lake no longer has.

    That a period has grown since is none: its report says which days it is of, and months are compared where it was of
    all of them.

    Args:
        site: Whose reports they are.
        days: Of a run.
    """
    store, lake = site.disk().store(), Lake(site.disk())
    for profile, text in reports_with_editions(store):
        period = Period.parse(text)
        if not any(period.first - AROUND <= day <= period.last + AROUND for day in days):
            continue
        try:
            last = read_editions(store, profile, text)[-1]
            moved = sorted(_moved(lake, last, period))
        except DamagedError as error:
            yield Remark(f"disclosure/{profile}", f"{text}: {error.message}", remedy=error.remedy)
            continue
        if moved:
            yield Remark(
                f"disclosure/{profile}",
                f"the report of {text}, made at {last.at:%Y-%m-%d %H:%M} UTC, is of other rows than the lake has now: "
                f"of {', '.join(moved)}",
                hole=False,
                remedy=f"Make it again, which says what it restates:\n"
                f"{command('report', site=site.file, options={'period': text})}",
            )


def _moved(lake: Lake, last: ReportEdition, period: Period) -> Iterator[str]:
    """Names of the tables whose rows are no longer those that an edition was made of."""
    days = [date.fromisoformat(day) for day in last.days]
    months = [month.first for month in period.months] if last.complete else []
    for table in (one for one in SHARED if one.name in last.made_with.stated["tables"]):
        then = lake.fingerprints(table.name, last.versions[table.name]) if table.name in last.versions else {}
        now = lake.fingerprints(table.name)
        if any(now.get(part) != then.get(part) for part in (months if table.grain == "month" else days)):
            yield table.name

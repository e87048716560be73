"""Reports that were made, and whose days have other figures since.

What belongs here: comparing the newest edition of each report with the lake. What does not: the figures themselves,
which the next edition states (`disclosures.restating`), and printing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date

from energy_assets.commands import command
from energy_assets.disclosures.editions import read_editions, reports_with_editions
from energy_assets.integrity import DamagedError
from energy_assets.lake import Lake
from energy_assets.periods import Period
from energy_assets.remarks import Remark
from energy_assets.site import Site
from energy_assets.tables import KPIS_DAILY


def outdated(site: Site, days: Collection[date]) -> Iterator[Remark]:
    """Reports that speak of some of these days, and state what the lake no longer has.

    That a period has grown since is none: its report says which days it is of.

    Args:
        site: Whose reports they are.
        days: Of a run.
    """
    store, lake = site.disk().store(), Lake(site.disk())
    for profile, text in reports_with_editions(store):
        period = Period.parse(text)
        if not any(period.first <= day <= period.last for day in days):
            continue
        try:
            last = read_editions(store, profile, text)[-1]
            then = lake.fingerprints(KPIS_DAILY.name, last.versions.get(KPIS_DAILY.name))
        except DamagedError as error:
            yield Remark(f"disclosure/{profile}", f"{text}: {error.message}", remedy=error.remedy)
            continue
        now = lake.fingerprints(KPIS_DAILY.name)
        moved = [day for day in map(date.fromisoformat, last.days) if now.get(day) != then.get(day)]
        if moved:
            yield Remark(
                f"disclosure/{profile}",
                f"the report of {text}, made at {last.at:%Y-%m-%d %H:%M} UTC, has other figures of {len(moved)} of its "
                "days than the lake has now",
                hole=False,
                remedy=f"Make it again, which says what it restates:\n"
                f"{command('report', site=site.file, options={'period': text})}",
            )

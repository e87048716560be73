"""What a report lacks although it was made: days without data, figures without a value, limits that are crossed.

What belongs here: what a person must be told at the end of `report`. What does not: what tables lack (`holes.py`), the
checks themselves (`disclosures/checks.py`), and printing (`telling.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import ibis

from energy_assets.clock import last_complete_day
from energy_assets.commands import command
from energy_assets.disclosures.asset import runnable_days
from energy_assets.disclosures.checks import COMPLETE, FACTORS, PLAUSIBLE
from energy_assets.disclosures.missing import NOT_REPORTED
from energy_assets.disclosures.reading import days_with_data
from energy_assets.kpis.indicators import INDICATORS
from energy_assets.lake import Lake
from energy_assets.periods import Period, contiguous
from energy_assets.remarks import Remark
from energy_assets.running import Outcome
from energy_assets.site import Site
from energy_assets.tables import KPIS_DAILY, SHARED

MISSING = ("not measured", "no factor")
"""How a report begins to print what should have a value and has none; `none` and what does not apply are no holes."""
REMEDIES = {
    PLAUSIBLE: "See 'Plausibility' in the report, and look at the unit of what is named: a factor of a thousand falls "
    "outside.",
    FACTORS: "See 'What could not be measured' in the report; a run of these days names zones and the lines to add.",
}
"""What to do about each check that warns; of the days that have no data `_days` says more than its check."""


def report_remarks(
    site: Site, period: Period, folders: Sequence[Path], outcome: Outcome, *, whole: bool
) -> list[Remark]:
    """Everything worth saying of the reports of a period.

    Args:
        site: Whose they are.
        period: What was reported.
        folders: Of the reports.
        outcome: How their run ended.
        whole: Whether the period was asked for, and not some days of it.
    """
    lacking = [label for folder in folders for label in withheld(site, folder)]
    figures = [Remark(label, "not in this report") for label in dict.fromkeys(lacking)]
    return [*_days(site, period, whole), *_checked(outcome), *figures]


def withheld(site: Site, report: Path) -> list[str]:
    """Labels of headline figures without a value although the site has every source they are made of.

    Not what its sources could not tell at all: who used a device is in no reading of its power.

    Args:
        site: Its sources.
        report: Folder of a report.
    """
    headline = json.loads((report / "document.json").read_text(encoding="utf-8"))["headline"]
    figures = json.loads((report / "figures.json").read_text(encoding="utf-8"))["figures"]
    feeds = {table.name: table.feed for table in SHARED}
    labels = []
    for figure in figures:
        if figure["id"] not in headline or not figure["display"]["text"].startswith(MISSING):
            continue
        if figure["reason"] == NOT_REPORTED:
            continue
        indicator = INDICATORS.get(figure["metric"])
        needed = {feeds.get(one.rows.table) for one in indicator.ingredients()} if indicator else set()
        if all(site.feeding(feed) for feed in needed if feed):
            labels.append(str(figure["label"]))
    return labels


def _days(site: Site, period: Period, whole: bool) -> Iterator[Remark]:
    """The days of the period without data: holes, if they can be run and all of it was asked for."""
    con = ibis.duckdb.connect()
    con.raw_sql("SET TimeZone = 'UTC'")
    have = days_with_data(Lake(site.disk()).read(con, KPIS_DAILY, list(period.days)))
    every, last = len(period.days), last_complete_day()
    if len(have) == every:
        return
    about, says = f"report of {period}", f"{len(have)} of its {every} days have data"
    if not whole:
        yield Remark(about, f"{says}: {', '.join(map(str, contiguous(have)))}", hole=False)
        return
    missing = [day for day in runnable_days(site, period, last) or () if day not in have]
    if missing:
        spans = contiguous(missing)
        runs = [command("run", site=site.file, options={"from": span.first, "to": span.last}) for span in spans]
        remedy = "\n".join(["Run the others, as far as sources have data of them, and make the report again:", *runs])
        yield Remark(about, says, remedy=remedy, days=tuple(spans))
        return
    yield Remark(about, f"{says}: {_bounds(site, period)}", hole=False)


def _bounds(site: Site, period: Period) -> str:
    """Why the other days of a period cannot be run."""
    last = last_complete_day()
    said = [f"the site starts on {site.start}"] if site.start > period.first else []
    said += [f"the last complete day is {last}"] if last < period.last else []
    return ", ".join(said)


def _checked(outcome: Outcome) -> Iterator[Remark]:
    for warning in outcome.warnings:
        asset, check, text = warning.split(": ", 2)
        if check != COMPLETE:
            yield Remark(asset, f"{check}: {text}", remedy=REMEDIES.get(check, ""))

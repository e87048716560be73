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
from energy_assets.disclosures.missing import BILLED_ALONE, NO_FACTOR, NOT_MEASURED, NOT_REPORTED
from energy_assets.disclosures.reading import days_with_data
from energy_assets.kpis.indicators import INDICATORS, Indicator
from energy_assets.lake import Lake
from energy_assets.periods import Period, contiguous
from energy_assets.remarks import Remark
from energy_assets.running import Outcome
from energy_assets.site import Site
from energy_assets.tables import KPIS_DAILY, SHARED

MISSING = (NOT_MEASURED, NO_FACTOR)
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
    figures = dict.fromkeys(one for folder in folders for one in unknown_figures(site, folder))
    return [*_days(site, period, whole), *_checked(outcome), *outcome.restated, *figures]


def unknown_figures(site: Site, report: Path) -> list[Remark]:
    """The headline figures of a report without a value: holes, if the site has every source they are made of.

    No hole is what its sources could not tell at all: who used a device is in no reading of its power, the energy of a
    machine in no bill, and a publisher who states no life-cycle intensity leaves upstream emissions open (without any
    intensity, Scope 2 is the hole).

    Args:
        site: Its sources.
        report: Folder of a report.
    """
    headline = json.loads((report / "document.json").read_text(encoding="utf-8"))["headline"]
    figures = json.loads((report / "figures.json").read_text(encoding="utf-8"))["figures"]
    unknown = [one for one in figures if one["id"] in headline and one["display"]["text"].startswith(MISSING)]
    found = []
    for figure in unknown:
        indicator, text = INDICATORS.get(figure["metric"]), figure["display"]["text"]
        upstream = indicator is not None and indicator.numerator.rows.column == "upstream_g"
        beyond = str(figure["reason"]).endswith((NOT_REPORTED, BILLED_ALONE))
        if beyond or (upstream and text.startswith(NO_FACTOR)):
            found.append(Remark(figure["label"], f"{text}: {figure['reason']}", hole=False))
        elif _has_sources(site, indicator):
            found.append(Remark(figure["label"], "not in this report"))
    return found


def _has_sources(site: Site, indicator: Indicator | None) -> bool:
    """Whether a site has every source that an indicator is made of."""
    feeds = {table.name: table.feed for table in SHARED}
    needed = {feeds.get(one.rows.table) for one in indicator.ingredients()} if indicator else set()
    return all(site.has(feed) for feed in needed if feed)


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

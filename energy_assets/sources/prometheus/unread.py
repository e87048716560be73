"""Unread: which metrics a server has that look like what a source is for, and are not read.

What belongs here: asking, for the doctor. What does not: what a name looks like (`lookalikes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from energy_assets.sources.base import Finding
from energy_assets.sources.errors import SourceError
from energy_assets.sources.prometheus import lookalikes
from energy_assets.sources.prometheus.client import NAMES_PATH, Api
from energy_assets.sources.prometheus.lookalikes import Lookalike
from energy_assets.sources.prometheus.meters import Meter

RECENT_S = 3600
SHOWN = 8
SERIES = 200
"""Enough to see which labels tell devices apart."""


def energy(
    api: Api, selector: str, read: Sequence[Meter], named: Sequence[str], ignored: Sequence[str], now: datetime
) -> Iterator[Finding]:
    """Metrics that look like energy or power, with the lines that would read them.

    Args:
        api: The server.
        selector: Matchers of the site.
        read: The meters of the source.
        named: Profiles that the source names already.
        ignored: Metrics that the site says are nothing.
        now: The current instant, UTC.
    """
    found = lookalikes.energy(_names(api, selector, now), read, ignored)
    wanted = sorted({one.profile for one in found if one.profile})
    if wanted:
        listed = ", ".join(one.metric for one in found if one.profile)
        line = f"profiles: [{', '.join([*named, *wanted])}]"
        yield Finding(False, f"metrics of exporters that are not read: {listed}", f"Add to this source: {line}")
    others = [one for one in found if not one.profile]
    if others:
        declared = _metadata(api, others[:SHOWN])
        lines = [
            lookalikes.energy_line(
                one.metric, *declared.get(one.metric, ("", "")), _series(api, one.metric, selector, now)
            )
            for one in others[:SHOWN]
        ]
        yield _finding("energy or power", others, lines)


def counts(
    api: Api, selector: str, read: Mapping[str, str], ignored: Sequence[str], now: datetime
) -> Iterator[Finding]:
    """Metrics that look like requests or tokens of an inference server, with the lines that would read them.

    Args:
        api: The server.
        selector: Matchers of the site.
        read: What the source reads: the metric's name, and what it counts.
        ignored: Metrics that the site says are nothing.
        now: The current instant, UTC.
    """
    found = lookalikes.counts(_names(api, selector, now), read, ignored)
    if found:
        yield _finding("requests or tokens", found, [lookalikes.counts_line(one.metric) for one in found[:SHOWN]])


def _finding(what: str, found: Sequence[Lookalike], lines: Sequence[str]) -> Finding:
    names = ", ".join(one.metric for one in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    remedy = "If they measure something that no metric read here measures, add to this source under `metrics:`"
    return Finding(
        False,
        f"looks like {what}, and is not read: {names}{more}",
        "\n".join([remedy, *lines, "If not, name them under `ignore:` of this source."]),
    )


def names_query(selector: str, start: int, end: int) -> dict[str, Any]:
    """The parameters of the question which metrics are there.

    Args:
        selector: Matchers of the site; empty for all metrics.
        start: Unix seconds.
        end: Unix seconds.
    """
    span = {"start": str(start), "end": str(end)}
    return {"match[]": [f"{{{selector}}}"], **span} if selector else span


def _names(api: Api, selector: str, now: datetime) -> list[str]:
    end = round(now.timestamp())
    found = api.get(NAMES_PATH, names_query(selector, end - RECENT_S, end))
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _metadata(api: Api, wanted: Sequence[Lookalike]) -> dict[str, tuple[str, str]]:
    """Type and help text by metric, as far as the server knows them: not all of them keep it."""
    known = {}
    for one in wanted:
        try:
            entries = api.get("api/v1/metadata", {"metric": one.metric, "limit": "1"}).get(one.metric) or [{}]
        except (SourceError, AttributeError):
            return {}
        known[one.metric] = (str(entries[0].get("type", "")), str(entries[0].get("help", "")))
    return known


def _series(api: Api, metric: str, selector: str, now: datetime) -> list[Mapping[str, str]]:
    end = round(now.timestamp())
    select = f"{metric}{{{selector}}}" if selector else metric
    span = {"start": str(end - RECENT_S), "end": str(end), "limit": str(SERIES)}
    found = api.get("api/v1/series", {"match[]": [select], **span})
    return list(found[:SERIES]) if isinstance(found, list) else []

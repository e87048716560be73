"""Doctor: is this Prometheus reachable, does it know our metrics, and are they fresh?

What belongs here: the live check shared by both sources. What does not: anything that lands bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from energy_assets.sources.base import Finding, SeenNode
from energy_assets.sources.errors import SourceError
from energy_assets.sources.prometheus.client import NAMES_PATH, Api
from energy_assets.sources.prometheus.meters import Meter
from energy_assets.sources.prometheus.queries import MeterQueries

STALE_S = 900
"""Three lookbacks of Prometheus: a metric this old is no longer scraped."""


def examine(api: Api, meter_queries: Sequence[MeterQueries], now: datetime) -> Iterator[Finding]:
    """Findings about the server and every metric it could have for us.

    Args:
        api: The server.
        meter_queries: Those of each metric.
        now: The current instant, UTC.
    """
    try:
        version = api.get("api/v1/status/buildinfo").get("version", "of unknown version")
        yield Finding(True, f"Prometheus {version} answers")
        metrics = sorted({one.meter.metric for one in meter_queries})
        present = set(api.get(NAMES_PATH, {"match[]": metrics}))
    except SourceError as error:
        yield Finding(False, error.message, error.remedy)
        return
    if not present & set(metrics):
        yield Finding(
            False,
            f"none of the metrics {', '.join(metrics)} exists there",
            "Let Prometheus scrape an exporter (dcgm-exporter, node_exporter --collector.rapl, ipmi_exporter, vLLM,"
            " TGI), or name your own metrics in this source's metrics key.",
        )
    for one in meter_queries:
        if one.meter.metric in present:
            yield _fresh(api, one, round(now.timestamp()))


def hosts(api: Api, meter_queries: Sequence[MeterQueries], now: datetime) -> Iterator[SeenNode]:
    """Hosts and device kinds of which samples came in the last five minutes: one instant query per metric there.

    Args:
        api: The server.
        meter_queries: Those of each meter.
        now: The instant asked for.

    Raises:
        SourceError: the server does not answer, or not as Prometheus.
    """
    present = set(api.get(NAMES_PATH, {"match[]": sorted({one.meter.metric for one in meter_queries})}))
    seen = set()
    for one in meter_queries:
        meter = one.meter
        if not isinstance(meter, Meter) or meter.metric not in present:
            continue
        for series in api.ask(one.reporting(), round(now.timestamp()))["result"]:
            labels = series["metric"]
            host = _first(labels, meter.node_labels)
            if host and (not meter.device_labels or _first(labels, meter.device_labels)):
                seen.add((host, meter.device_kind))
    return (SeenNode(host, kind) for host, kind in sorted(seen))


def _first(labels: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((labels[name] for name in names if labels.get(name)), None)


def _fresh(api: Api, one: MeterQueries, now: int) -> Finding:
    every = one.select()
    try:
        count = api.ask(f"count({every})", now)["result"]
        newest = api.ask(f"max(timestamp({every}))", now)["result"]
    except SourceError as error:
        return Finding(False, error.message, error.remedy)
    if not newest:
        return Finding(
            False,
            f"{one.meter.name}: no sample in the last five minutes",
            "Check the scrape job (Status > Targets) and the selector of this source.",
        )
    age = now - float(newest[0]["value"][1])
    what = f"{one.meter.name}: {count[0]['value'][1]} series, last sample {age:.0f} s ago"
    return Finding(age < STALE_S, what, "" if age < STALE_S else "Check the scrape job (Status > Targets).")

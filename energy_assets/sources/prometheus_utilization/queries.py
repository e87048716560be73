"""PromQL of utilization: which questions bring the load of every machine, minute by minute.

What belongs here: expressions and their evaluation times. What does not: what answers mean (`segments`, `machines`).

Seconds of processors are added up by machine on the server, as they stand at a scrape, and that scrape's own time comes
with them: differences are of samples, and `increase()` and `rate()`, which extrapolate, are not used. Of gauges each
minute's mean comes. A question is evaluated every minute, because five minutes are what a gap may have at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from energy_assets.landing import Landed
from energy_assets.sources.prometheus.client import NamesQuery, Query
from energy_assets.sources.prometheus.queries import DAY, HOUR, WINDOW, Window
from energy_assets.sources.prometheus_utilization.meters import LoadMeter

STEP_S = 60
MINUTE = "59999ms"
"""A millisecond short of a minute: Prometheus 2 includes both ends of a window."""

NODES, HOSTS = "nodes", "hosts"
KUBERNETES, UNAME = "kube_node_info", "node_uname_info"
SLICES = ("GPU_I_ID", "GPU_I_PROFILE")
MODEL = "modelName"
_ROLES = frozenset({"time", "load"})


def known(meters: Iterable[LoadMeter], selector: str, window: Window) -> NamesQuery:
    """Which of the metrics are there? The index tells, no sample is read.

    Args:
        meters: Those that are read.
        selector: Matchers of the site.
        window: The day.
    """
    names = dict.fromkeys((*(meter.metric for meter in meters), KUBERNETES, UNAME))
    more = f", {selector}" if selector else ""
    return NamesQuery((f'{{__name__=~"{"|".join(names)}"{more}}}',), window.start - HOUR, window.end)


def loads(meter: LoadMeter, selector: str, labels: Sequence[str], window: Window, max_gap_s: int) -> list[Query]:
    """The load of every machine, from a gap before the day to a gap after it.

    Args:
        meter: The metric.
        selector: Matchers of the site.
        labels: Those that may name a machine.
        window: The day.
        max_gap_s: Readings further apart than this are a gap, in seconds.
    """
    reach = -(-max_gap_s // STEP_S) * STEP_S
    span = (window.start - reach, window.end + reach, STEP_S)
    if meter.unit is not None:
        named = (*labels, *meter.device_labels, *((*SLICES, MODEL) if meter.slices else ()))
        mean = f"avg_over_time({_select(meter, selector)}[{MINUTE}])"
        return [Query("load", meter.name, f"max by ({_list(named)}) ({mean})", *span)]
    by = _list(labels)
    idle = _select(meter, selector, 'mode="idle"')
    asked = {
        "busy": f"sum by ({by}) ({_select(meter, selector, meter.busy)})",
        "time": f"sum by ({by}) ({_select(meter, selector, meter.time)})",
        "processors": f"count by ({by}) ({idle})",
        "scraped": f"max by ({by}) (timestamp({idle}))",
    }
    return [Query(role, meter.name, promql, *span) for role, promql in asked.items()]


def names_of_hosts(there: Iterable[str], selector: str, window: Window) -> list[Query]:
    """What Kubernetes and Linux call the machines, hour by hour: a name may pass to another machine.

    Args:
        there: The metrics that are there.
        selector: Matchers of the site.
        window: The day.
    """
    span = (window.start + HOUR, window.end, HOUR)
    labels = {
        KUBERNETES: (NODES, "node, exported_node, internal_ip, provider_id"),
        UNAME: (HOSTS, "instance, nodename"),
    }
    inside = f"{{{selector}}}" if selector else ""
    return [
        Query(role, metric, f"max by ({by}) (last_over_time({metric}{inside}[{WINDOW}]))", *span)
        for metric, (role, by) in labels.items()
        if metric in there
    ]


def end_asked(start: int, objects: Sequence[Landed], max_gap_s: int) -> int:
    """The end of the last hour that a day's landed questions were made for, in unix seconds.

    Args:
        start: Of the day.
        objects: What was landed for it.
        max_gap_s: As it was asked with.
    """
    reach = -(-max_gap_s // STEP_S) * STEP_S
    ends = [int(landed.request["end"]) - reach for landed in objects if landed.request["role"] in _ROLES]
    return max(ends, default=start + DAY)


def _select(meter: LoadMeter, selector: str, *matchers: str) -> str:
    inside = ", ".join(part for part in (*meter.matchers, selector, *matchers) if part)
    return f"{meter.metric}{{{inside}}}" if inside else meter.metric


def _list(labels: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(labels))

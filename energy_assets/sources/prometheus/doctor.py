"""Doctor: is this Prometheus reachable, does it know our metrics, and are they fresh?

What belongs here: the live check shared by both sources. What does not: anything that lands bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from energy_assets.sources.base import Finding, SeenNode, StepContext
from energy_assets.sources.errors import SourceError
from energy_assets.sources.notes import words
from energy_assets.sources.prometheus import disagreeing
from energy_assets.sources.prometheus.answers import Answer
from energy_assets.sources.prometheus.client import NAMES_PATH, Api, Query
from energy_assets.sources.prometheus.collecting import Asked, Session, copies
from energy_assets.sources.prometheus.devices import name_devices
from energy_assets.sources.prometheus.lookalikes import NO_METRIC
from energy_assets.sources.prometheus.meters import Meter
from energy_assets.sources.prometheus.queries import MeterQueries, Window, any_name

LOOKED_BACK_S = 7200
STALE_S = 900
"""Three lookbacks of Prometheus: a metric this old is no longer scraped."""


def examine(
    api: Api,
    meter_queries: Sequence[MeterQueries],
    now: datetime,
    *,
    patterns: Sequence[str] = (),
    found: Callable[[frozenset[str]], Sequence[MeterQueries]] | None = None,
    then: Callable[[Sequence[MeterQueries]], Iterator[Finding]] | None = None,
    exporters: str = "dcgm-exporter, node_exporter --collector.rapl, ipmi_exporter, vLLM, TGI",
) -> Iterator[Finding]:
    """Findings about the server and every metric it could have for us.

    Args:
        api: The server.
        meter_queries: Those of each metric.
        now: The current instant, UTC.
        patterns: Regular expressions of more metrics whose names are wanted.
        found: Makes the queries of the metrics that are there; default: those of `meter_queries` that are.
        then: More to look at, if the server answers: gets the queries of the metrics that are there.
        exporters: Which of them have such metrics.
    """
    try:
        version = api.get("api/v1/status/buildinfo").get("version", "of unknown version")
        yield Finding(True, f"Prometheus {version} answers")
        names = names_there(api, meter_queries, patterns)
    except SourceError as error:
        yield Finding(False, error.message, error.remedy)
        return
    present = found(names) if found else [one for one in meter_queries if one.meter.metric in names]
    if not present:
        selector = meter_queries[0].selector
        metrics = sorted({one.meter.metric for one in meter_queries})
        where = f" with {selector}" if selector else ""
        yield Finding(
            False,
            f"none of the metrics {', '.join(metrics)} is there{where}",
            f"Let Prometheus scrape an exporter ({exporters}), or name your own metrics in this source's metrics key.",
            (NO_METRIC,),
        )
    seen = [(one, _fresh(api, one, round(now.timestamp()))) for one in present]
    heard = {one.meter.metric for one, (_, series) in seen if series}
    yield from (finding for one, (finding, series) in seen if series or one.meter.metric not in heard)
    try:
        yield from then(present) if then else ()
    except SourceError as error:
        yield Finding(False, error.message, error.remedy)


def names_there(api: Api, meter_queries: Sequence[MeterQueries], patterns: Sequence[str] = ()) -> frozenset[str]:
    """Names of the metrics that the server has ever seen.

    Args:
        api: The server.
        meter_queries: Those of each metric.
        patterns: Regular expressions of more metrics.

    Raises:
        SourceError: the server does not answer, or not as Prometheus.
    """
    return frozenset(api.get(NAMES_PATH, {"match[]": [any_name(meter_queries, patterns)]}))


def disagreeing_now(api: Api, present: Sequence[MeterQueries], step: StepContext) -> Iterator[Finding]:
    """Devices whose series disagree in the last two hours, found as a run finds them.

    Args:
        api: The server.
        present: The queries of each meter that is there.
        step: What the source may use.
    """
    meters = [one.meter for one in present if isinstance(one.meter, Meter)]
    if not meters:
        return
    end = round(step.now.timestamp())
    window = Window(step.now.date(), end - LOOKED_BACK_S, end)
    session = Session(api, step.now.date(), step)
    queries = [one.copies(window) for one in present]
    queries += [Query("boundary", one.meter.name, one.reporting(), end, end) for one in present]
    answers = _answers(session.ask(queries))
    with session.loaded(answers) as scratch:
        name_devices(scratch, meters)
        queries = copies(scratch, {one.meter.name: one for one in present}, window)
    if not queries:
        return
    answers += _answers(session.ask(queries))
    with session.loaded(answers) as scratch:
        name_devices(scratch, meters)
        found = disagreeing.contested(scratch, meters)
    if found:
        more = f" and {len(found) - disagreeing.EXAMPLES} more" if len(found) > disagreeing.EXAMPLES else ""
        told = words(disagreeing.NOTE)
        what = "; ".join(found[: disagreeing.EXAMPLES])
        yield Finding(False, f"{told.of(len(found))}: {what}{more}", told.remedy)


def _answers(asked: Asked) -> list[Answer]:
    """The answers of questions of which nothing is landed."""
    while True:
        try:
            next(asked)
        except StopIteration as done:
            found: list[Answer] = done.value
            return found


def hosts(api: Api, meter_queries: Sequence[MeterQueries], now: datetime) -> Iterator[SeenNode]:
    """Hosts and device kinds of which samples came in the last five minutes: one instant query per metric.

    A GPU that several hosts' names are written beside is named by none: which of them counts, a day's answers say.

    Args:
        api: The server.
        meter_queries: Those of each meter that is there.
        now: The instant asked for.

    Raises:
        SourceError: the server does not answer, or not as Prometheus.
    """
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    hosts_of: dict[str, set[str]] = defaultdict(set)
    for one in meter_queries:
        meter = one.meter
        if not isinstance(meter, Meter):
            continue
        for series in api.ask(one.reporting(), round(now.timestamp()))["result"]:
            labels = series["metric"]
            host = _first(labels, meter.node_labels)
            device = _first(labels, meter.device_labels)
            if host and (device or not meter.device_labels):
                named = {meter.device_prefix + device} if device and meter.device_kind == "gpu" else set()
                seen[host, meter.device_kind] |= named
                for gpu in named:
                    hosts_of[gpu].add(host)
    several = {gpu for gpu, hosts in hosts_of.items() if len(hosts) > 1}
    return (SeenNode(host, kind, gpus=tuple(sorted(gpus - several))) for (host, kind), gpus in sorted(seen.items()))


def _first(labels: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((labels[name] for name in names if labels.get(name)), None)


def _fresh(api: Api, one: MeterQueries, now: int) -> tuple[Finding, int]:
    """How fresh a metric is, and how many series it has now; several meters may read one metric."""
    every = one.select()
    try:
        count = api.ask(f"count({every})", now)["result"]
        newest = api.ask(f"max(timestamp({every}))", now)["result"]
    except SourceError as error:
        return Finding(False, error.message, error.remedy), 0
    if not newest:
        return Finding(
            False,
            f"{one.meter.name}: no sample in the last five minutes",
            "Check the scrape job (Status > Targets) and the selector of this source.",
        ), 0
    age = now - float(newest[0]["value"][1])
    series = int(count[0]["value"][1])
    what = f"{one.meter.name}: {series} series, last sample {age:.0f} s ago"
    return Finding(age < STALE_S, what, "" if age < STALE_S else "Check the scrape job (Status > Targets)."), series

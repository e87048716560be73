"""The synthetic company's calendar: its machines, who uses them when, when they fail, and its traffic.

What belongs here: facts of the company, each a pure function of seed and time. What does not: watts and
counters (`plant.py`), servers (`company.py`). Time is counted in whole minutes since 1970, UTC.

A week looks like every other: a pre-training run from Monday to Friday, a fine-tuning job into the weekend, a
batch job, a notebook, a pod nobody announced, a reboot on Wednesday, a scrape gap on Thursday, one restart of
every model server. The minutes at which these happen differ from week to week.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Literal

import numpy as np

from energy_assets.sandbox.noise import Floats, Minutes, digest, key, pick, smooth, uniform

ORGANISATION = "Sandbox AI (synthetic)"
DAY, WEEK = 1440, 10_080
_FIRST_MONDAY = 4 * DAY
BEGINNING = (date(2024, 1, 1) - date(1970, 1, 1)).days * DAY
"""Nothing of the company exists before this minute."""

Profile = Literal["training", "fine_tuning", "batch", "development"]


@dataclass(frozen=True)
class Accelerator:
    """A GPU model; idle and maximum power as commonly published for it."""

    model: str
    idle_w: float
    max_w: float


H100 = Accelerator("NVIDIA H100 80GB HBM3", 68.0, 700.0)
L40S = Accelerator("NVIDIA L40S", 38.0, 350.0)
A100 = Accelerator("NVIDIA A100-SXM4-80GB", 56.0, 400.0)


@dataclass(frozen=True)
class Node:
    """A host with GPUs, two CPU packages and their memory."""

    name: str
    accelerator: Accelerator
    gpus: int
    ipmi: bool = False
    reboots_weekly: bool = False
    scrape_gap_weekly: bool = False


@dataclass(frozen=True)
class Deployment:
    """A served model.

    Attributes:
        gpus: GPUs of the node it runs on; a GPU named by two deployments is time-sliced.
        engines: Data-parallel engines of a vLLM server, each with its own counters.
        peak_per_minute: Requests in the busiest hour of a weekday.
        capacity_per_minute: Requests at which its GPUs are busy all the time.
        peak_hour: Hour of day, UTC.
        restart: Minute of the week at which the server starts anew.
        rollout: A restart brings a new pod; otherwise the container restarts in the same pod.
    """

    name: str
    model_id: str
    server: Literal["vllm", "tgi"]
    node: str
    namespace: str
    gpus: tuple[int, ...]
    engines: int
    peak_per_minute: float
    capacity_per_minute: float
    prompt_tokens: int
    generated_tokens: int
    peak_hour: int
    restart: int
    rollout: bool


@dataclass(frozen=True)
class Location:
    """One place of the company, with a Prometheus of its own.

    Attributes:
        host_label: dcgm-exporter renamed `Hostname` to `hostname`; both are in use.
        honor_labels: Whether the pod of a GPU is in `pod`, or in `exported_pod` as Prometheus' default makes it.
        energy_counter: Whether dcgm-exporter is configured to export the GPUs' energy counter.
        rapl: Whether node_exporter sees the CPUs' energy; the machines of clouds hide it.
    """

    name: str
    provider: str
    account_id: str
    region: str
    zone: str
    pue: str
    nodes: tuple[Node, ...]
    deployments: tuple[Deployment, ...] = ()
    host_label: str = "Hostname"
    honor_labels: bool = True
    energy_counter: bool = True
    rapl: bool = False


def _at(weekday: int, hour: int, minute: int = 0) -> int:
    return weekday * DAY + hour * 60 + minute


DUBLIN = Location(
    name="dublin",
    provider="onprem",
    account_id="synthetic-dublin",
    region="dub1",
    zone="IE",
    pue="1.25",
    nodes=(
        Node("dub1-gpu-01", H100, 8, ipmi=True, scrape_gap_weekly=True),
        Node("dub1-gpu-02", H100, 8, reboots_weekly=True),
    ),
    rapl=True,
)
FRANKFURT = Location(
    name="frankfurt-serving",
    provider="aws",
    account_id="200000000002",
    region="eu-central-1",
    zone="DE",
    pue="1.24",
    nodes=(Node("fra-serve-01", L40S, 4),),
    deployments=(
        Deployment(
            "assistant-8b", "assistant-8b", "vllm", "fra-serve-01", "llm-serving", (0, 1), 2,
            44, 60, 620, 240, 13, _at(1, 9, 5), rollout=True,
        ),
        Deployment(
            "embed-small", "embed-small", "vllm", "fra-serve-01", "search", (2,), 1,
            140, 420, 310, 0, 12, _at(3, 11, 40), rollout=True,
        ),
        Deployment(
            "translate-3b", "translate-3b", "tgi", "fra-serve-01", "llm-serving", (2,), 1,
            11, 48, 190, 170, 10, _at(4, 8, 15), rollout=True,
        ),
    ),
    host_label="hostname",
    energy_counter=False,
)  # fmt: skip
VIRGINIA = Location(
    name="virginia-serving",
    provider="aws",
    account_id="200000000002",
    region="us-east-1",
    zone="US-MIDA-PJM",
    pue="1.15",
    nodes=(Node("vir-serve-01", A100, 4),),
    deployments=(
        Deployment(
            "assistant-70b", "assistant-70b", "vllm", "vir-serve-01", "llm-serving", (0, 1, 2, 3), 2,
            10, 15, 840, 330, 18, _at(1, 14, 5), rollout=False,
        ),
    ),
    honor_labels=False,
)  # fmt: skip
LOCATIONS = (DUBLIN, FRANKFURT, VIRGINIA)


@dataclass(frozen=True)
class Span:
    """A half-open interval of minutes."""

    start: int
    end: int

    def holds(self, minutes: Minutes) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Which minutes lie inside."""
        inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (minutes >= self.start) & (minutes < self.end)
        return inside

    def meets(self, other: Span) -> bool:
        """Whether the two have a minute in common."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Job:
    """A training or other job on GPUs of one node."""

    span: Span
    node: str
    gpus: tuple[int, ...]
    namespace: str
    pod: str
    container: str
    profile: Profile


@dataclass(frozen=True)
class Incarnation:
    """A model server between two starts: its counters begin at zero."""

    span: Span
    pod: str
    address: str


def weeks(span: Span) -> range:
    """Numbers of the weeks that a span touches, weeks beginning on Monday."""
    return range((span.start - _FIRST_MONDAY) // WEEK, (span.end - 1 - _FIRST_MONDAY) // WEEK + 1)


def _week_start(week: int) -> int:
    return _FIRST_MONDAY + week * WEEK


def jobs(seed: int, node: Node, span: Span) -> list[Job]:
    """Jobs that touch a span on a node of the training cluster.

    Args:
        seed: Of the whole company.
        node: The host.
        span: In minutes since 1970.
    """
    found = (job for week in weeks(span) for job in _jobs_of_week(seed, week))
    return [job for job in found if job.node == node.name and job.span.meets(span)]


def _jobs_of_week(seed: int, week: int) -> Iterator[Job]:
    first, second = DUBLIN.nodes
    everything = tuple(range(first.gpus))
    run = f"r{week % 1000}"

    def span(name: str, start: int, end: int) -> Span:
        late, longer = pick(0, 25, seed, week, name, "late"), pick(0, 50, seed, week, name, "longer")
        return Span(_week_start(week) + start + late, _week_start(week) + end + longer)

    pretrain = span("pretrain", _at(0, 8, 10), _at(4, 6))
    for number, node in enumerate((first, second)):
        pod = f"llm-pretrain-7b-{run}-worker-{number}"
        yield Job(pretrain, node.name, everything, "training", pod, "pytorch", "training")
    tune = span("finetune", _at(4, 13, 20), _at(5, 21, 40))
    yield Job(tune, second.name, everything, "training", f"ft-assistant-8b-{run}-0", "pytorch", "fine_tuning")
    batch = span("reindex", _at(5, 2, 5), _at(5, 9))
    yield Job(batch, first.name, everything[:4], "batch", f"reindex-search-{run}-0", "embed", "batch")
    notebook = span("notebook", _at(4, 9), _at(4, 17, 30))
    yield Job(notebook, first.name, (7,), "notebooks", "jupyter-eval-0", "notebook", "development")
    unannounced = span("scratch", _at(6, 10), _at(6, 14))
    yield Job(unannounced, first.name, (6,), "default", f"tmp-{_hex(5, seed, week)}", "main", "development")


def _hex(length: int, *parts: object) -> str:
    return digest(*parts).hex()[:length]


def outages(seed: int, node: Node, span: Span) -> list[Span]:
    """Times at which a node is off: maintenance on the first day of each quarter, a weekly reboot of one.

    Args:
        seed: Of the whole company.
        node: The host.
        span: In minutes since 1970.
    """
    found = [Span(start + 120, start + 132) for start in _quarters(span)]
    if node.reboots_weekly:
        for week in weeks(span):
            start = _week_start(week) + _at(2, 3, 17) + pick(0, 40, seed, week, node.name, "reboot")
            found.append(Span(start, start + 7))
    return sorted((one for one in found if one.meets(span)), key=lambda one: one.start)


def _quarters(span: Span) -> list[int]:
    first = np.datetime64(span.start // DAY, "D").astype("datetime64[M]").astype(int)
    last = np.datetime64((span.end - 1) // DAY, "D").astype("datetime64[M]").astype(int)
    months = (month for month in range(int(first), int(last) + 1) if month % 3 == 0)
    return [int(np.datetime64(month, "M").astype("datetime64[D]").astype(int)) * DAY for month in months]


def boots(seed: int, node: Node, day: int) -> list[int]:
    """Minutes of a day (number of days since 1970) at which a node comes up.

    Args:
        seed: Of the whole company.
        node: The host.
        day: Number of days since 1970.
    """
    span = Span(day * DAY - DAY, (day + 1) * DAY)
    return [one.end for one in outages(seed, node, span) if day * DAY <= one.end < (day + 1) * DAY]


def scrape_gaps(seed: int, node: Node, span: Span) -> list[Span]:
    """Times at which the GPUs of a node run unobserved: 12 minutes a week on one node.

    Args:
        seed: Of the whole company.
        node: The host.
        span: In minutes since 1970.
    """
    if not node.scrape_gap_weekly:
        return []
    starts = [
        _week_start(week) + _at(3, 15) + pick(0, 240, seed, week, node.name, "scrape gap") for week in weeks(span)
    ]
    return [one for one in (Span(start, start + 12) for start in starts) if one.meets(span)]


def incarnations(seed: int, deployment: Deployment, node: Node, span: Span) -> list[Incarnation]:
    """Lives of a model server that touch a span. A start takes four minutes.

    Args:
        seed: Of the whole company.
        deployment: The model server.
        node: Its host.
        span: In minutes since 1970.
    """
    wide = Span(span.start - WEEK, span.end + WEEK)
    down = {one.start: one.end for one in outages(seed, node, wide)}
    for week in weeks(wide):
        start = _week_start(week) + deployment.restart + pick(0, 60, seed, week, deployment.name, "restart")
        down.setdefault(start, start)
    stops = sorted(down)
    found = []
    for stop, following in pairwise(stops):
        life = Span(max(down[stop] + 4, BEGINNING), following)
        if life.start < life.end and life.meets(span):
            found.append(Incarnation(life, *_identity(seed, deployment, stop)))
    return found


def _identity(seed: int, deployment: Deployment, born: int) -> tuple[str, str]:
    """Name and address of a pod; a container that restarts in its pod keeps both."""
    if not deployment.rollout:
        return f"{deployment.name}-0", "10.40.2.17:8000"
    name = f"{deployment.name}-{_hex(9, seed, deployment.name, born)}-{_hex(5, born, seed, deployment.name)}"
    return name, f"10.20.{pick(0, 250, seed, name)}.{pick(2, 250, name, seed)}:8000"


# Share of the busiest hour, by hours since the busiest hour.
_DIURNAL = np.array(
    [1.0, 0.97, 0.93, 0.9, 0.86, 0.78, 0.66, 0.52, 0.4, 0.3, 0.23, 0.19]
    + [0.17, 0.16, 0.17, 0.2, 0.26, 0.35, 0.47, 0.6, 0.73, 0.85, 0.93, 0.98, 1.0]
)
_WEEKEND = 0.55


def demand(seed: int, deployment: Deployment, minutes: Minutes) -> Floats:
    """Requests per minute that users want, a smooth curve over day and week.

    Args:
        seed: Of the whole company.
        deployment: The model server.
        minutes: Minutes since 1970, one dimension.
    """
    hours = np.mod(minutes / 60.0 - deployment.peak_hour, 24.0)
    low = hours.astype(np.int64)
    daily = _DIURNAL[low] + (_DIURNAL[low + 1] - _DIURNAL[low]) * (hours - low)
    weekend = np.mod((minutes - _FIRST_MONDAY) // DAY, 7) >= 5
    mood = 0.85 + 0.3 * smooth(key(seed, deployment.name, "mood"), minutes, 180)
    wanted: Floats = deployment.peak_per_minute * daily * np.where(weekend, _WEEKEND, 1.0) * mood
    return wanted


def requests(seed: int, deployment: Deployment, engine: int, minutes: Minutes) -> Minutes:
    """Requests that one engine answers in each minute, were it up.

    Args:
        seed: Of the whole company.
        deployment: The model server.
        engine: The engine's number.
        minutes: Minutes since 1970, one dimension.
    """
    stream = key(seed, deployment.name, engine, "requests")
    wanted = demand(seed, deployment, minutes) / deployment.engines
    varied = wanted * (0.8 + 0.4 * uniform(stream, minutes * 2))
    return np.floor(varied + uniform(stream, minutes * 2 + 1)).astype(np.int64)

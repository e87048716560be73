"""The synthetic company's physics: power, energy, requests and tokens of every minute.

What belongs here: the true state, from the calendar in `schedule.py`, and running totals of it. What does not:
how exporters show it (`exporters.py`).

Power is constant within a minute and counted in whole milliwatts, so that counters are sums of integers: exact,
and the same whichever day is asked for first. Days are made when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from energy_assets.sandbox.noise import Floats, Minutes, digest, key, pick, smooth, uniform
from energy_assets.sandbox.schedule import (
    BEGINNING,
    DAY,
    DUBLIN,
    Deployment,
    Incarnation,
    Job,
    Location,
    Node,
    Profile,
    Span,
    boots,
    incarnations,
    jobs,
    outages,
    requests,
)

MINUTE_MS = 60_000
RAPL_WRAP_UJ = 262_143_328_850
"""max_energy_range_uj of the company's CPUs: their counters start again at 0 from here."""
CPUS = 2
_LOADING_MIN = 12

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class NodeDay:
    """True state of a node in every minute of a day.

    Attributes:
        gpu_mw: GPU by minute, milliwatts.
        activity: GPU by minute, share of time the engine was busy.
        cpu_mw: Package by minute.
        dram_mw: Memory of a package by minute.
        node_w: What the power supplies draw.
    """

    gpu_mw: Counts
    activity: Floats
    cpu_mw: Counts
    dram_mw: Counts
    node_w: Floats


@dataclass(frozen=True)
class Served:
    """What one engine of a deployment did in every minute of a day; zero while the server is down.

    Attributes:
        counts: Quantity to count per minute: stop, length, abort, prompt, generated.
    """

    counts: Mapping[str, Counts]

    @property
    def answered(self) -> Counts:
        """Requests that reached an end, whatever the reason."""
        return self.counts["stop"] + self.counts["length"] + self.counts["abort"]


def minutes_of(day: int) -> Minutes:
    """The minutes of a day, counted since 1970."""
    return np.arange(day * DAY, (day + 1) * DAY, dtype=np.int64)


def any_of(spans: Iterable[Span], minutes: Minutes) -> Mask:
    """Which minutes lie in at least one span.

    Args:
        spans: In minutes since 1970.
        minutes: Minutes since 1970, one dimension.
    """
    found = np.zeros(len(minutes), bool)
    for span in spans:
        found |= span.holds(minutes)
    return found


# -- power


def _training(stream: np.uint64, since: Minutes, minutes: Minutes) -> Floats:
    level = 0.9 + 0.04 * uniform(stream, minutes)
    return np.where(np.mod(since, 120) >= 117, 0.2, level)


def _fine_tuning(stream: np.uint64, since: Minutes, minutes: Minutes) -> Floats:
    level = 0.62 + 0.06 * uniform(stream, minutes)
    return np.where(np.mod(since, 45) >= 41, 0.3, level)


def _batch(stream: np.uint64, since: Minutes, minutes: Minutes) -> Floats:
    return 0.45 + 0.2 * smooth(stream, minutes, 20)


def _development(stream: np.uint64, since: Minutes, minutes: Minutes) -> Floats:
    return np.where(uniform(stream, minutes // 7) > 0.6, 0.35 + 0.1 * uniform(stream, minutes), 0.02)


_PROFILES: dict[Profile, Callable[[np.uint64, Minutes, Minutes], Floats]] = {
    "training": _training,
    "fine_tuning": _fine_tuning,
    "batch": _batch,
    "development": _development,
}


class Plant:
    """The company's machines at one location, day by day.

    Args:
        location: What stands there.
        seed: Everything random depends on it.
    """

    def __init__(self, location: Location, seed: int) -> None:
        self.location, self.seed = location, seed
        self.node_day = lru_cache(maxsize=512)(self._node_day)
        self.served = lru_cache(maxsize=512)(self._served)
        self._carry: dict[tuple[str, int], dict[str, Counts]] = {}

    def uuid(self, node: Node, gpu: int) -> str:
        """The name NVIDIA's driver gives a GPU.

        Args:
            node: The host.
            gpu: Its number on the host.
        """
        text = digest(self.seed, node.name, gpu, size=16).hex()
        return f"GPU-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def node_of(self, deployment: Deployment) -> Node:
        """The node a deployment runs on."""
        return next(node for node in self.location.nodes if node.name == deployment.node)

    def jobs(self, node: Node, span: Span) -> list[Job]:
        """Jobs on a node; only the training cluster has any.

        Args:
            node: The host.
            span: In minutes since 1970.
        """
        return jobs(self.seed, node, span) if self.location is DUBLIN else []

    def up(self, node: Node, minutes: Minutes) -> Mask:
        """Whether a node runs.

        Args:
            node: The host.
            minutes: Minutes since 1970, one dimension.
        """
        span = Span(int(minutes[0]), int(minutes[-1]) + 1)
        return ~any_of(outages(self.seed, node, span), minutes) & (minutes >= BEGINNING + 132)

    def _node_day(self, node: Node, day: int) -> NodeDay:
        minutes = minutes_of(day)
        level = np.zeros((node.gpus, DAY))
        for job in self.jobs(node, Span(day * DAY, (day + 1) * DAY)):
            loading = self._loading(job, minutes)
            for gpu in job.gpus:
                stream = key(self.seed, job.pod, node.name, gpu)
                busy = _PROFILES[job.profile](stream, minutes - job.span.start, minutes)
                level[gpu] += np.where(loading, 0.1, busy) * job.span.holds(minutes)
        for deployment in self.location.deployments:
            if deployment.node == node.name:
                level[list(deployment.gpus)] += self._serving_level(deployment, day)
        return self._node_state(node, np.minimum(level, 1.0), minutes)

    def _loading(self, job: Job, minutes: Minutes) -> Mask:
        """A job does not compute at its start, nor while one of its nodes is down and shortly after."""
        span = Span(int(minutes[0]) - DAY, int(minutes[-1]) + 1)
        together = job.profile == "training"
        nodes = [node for node in self.location.nodes if together or node.name == job.node]
        stalls = [Span(one.start, one.end + _LOADING_MIN) for n in nodes for one in outages(self.seed, n, span)]
        return any_of([*stalls, Span(job.span.start, job.span.start + _LOADING_MIN)], minutes)

    def _serving_level(self, deployment: Deployment, day: int) -> Floats:
        """Load of each of a deployment's GPUs; engines spread over them in order."""
        answered = np.stack([self.served(deployment, e, day).answered for e in range(deployment.engines)])
        load = answered * deployment.engines / deployment.capacity_per_minute
        per_engine = max(1, len(deployment.gpus) // deployment.engines)
        return np.minimum(np.repeat(load, per_engine, axis=0), 1.0)

    def _node_state(self, node: Node, level: Floats, minutes: Minutes) -> NodeDay:
        up = self.up(node, minutes)
        kind = node.accelerator
        numbers = range(node.gpus)
        trait = np.array([pick(970, 1010, self.seed, node.name, n, "trait") / 1000 for n in numbers])[:, None]
        wobble = np.stack([uniform(key(self.seed, node.name, n, "power"), minutes) for n in numbers])
        gpu_w = (kind.idle_w + 3 * wobble + (kind.max_w - kind.idle_w - 3) * level * (0.98 + 0.02 * wobble)) * trait
        gpu_mw = np.where(up, np.clip(np.rint(gpu_w * 1000), 0, kind.max_w * 1000), 0).astype(np.int64)
        activity = np.where(up, np.where(level > 0, np.minimum(level * 1.04, 0.99), 0.0), 0.0)
        halves = np.stack([half.mean(axis=0) for half in np.split(level, CPUS)])
        sway = np.stack([uniform(key(self.seed, node.name, n, "cpu"), minutes) for n in range(CPUS)])
        cpu_mw = np.where(up, np.rint((88 + 9 * sway + 130 * halves) * 1000), 0).astype(np.int64)
        dram_mw = np.where(up, np.rint((13 + 2 * sway + 24 * halves) * 1000), 0).astype(np.int64)
        parts = (gpu_mw.sum(axis=0) + cpu_mw.sum(axis=0) + dram_mw.sum(axis=0)) / 1000
        node_w = np.where(up, np.rint((parts + 55 * node.gpus) * 1.06), 0)
        return NodeDay(gpu_mw, activity, cpu_mw, dram_mw, node_w)

    # -- traffic

    def _served(self, deployment: Deployment, engine: int, day: int) -> Served:
        minutes = minutes_of(day)
        alive = any_of((one.span for one in self.lives(deployment, day)), minutes)
        answered = np.where(alive, requests(self.seed, deployment, engine, minutes), 0)
        stream = key(self.seed, deployment.name, engine, "outcome")
        length = np.minimum(np.floor(answered * 0.07 + uniform(stream, minutes)), answered).astype(np.int64)
        if deployment.generated_tokens == 0:
            length = np.zeros_like(length)
        abort = np.floor(answered * 0.006 + uniform(stream, minutes + DAY * 100_000)).astype(np.int64)
        abort = np.minimum(abort, answered - length)
        done = answered - abort
        prompt = answered * deployment.prompt_tokens * (0.85 + 0.3 * smooth(stream, minutes, 30))
        generated = done * deployment.generated_tokens * (0.8 + 0.4 * uniform(stream, -minutes))
        return Served(
            {
                "stop": done - length,
                "length": length,
                "abort": abort,
                "prompt": np.floor(prompt).astype(np.int64),
                "generated": np.floor(generated).astype(np.int64),
            }
        )

    def lives(self, deployment: Deployment, day: int) -> list[Incarnation]:
        """Lives of a model server that touch a day or the minute before it.

        Args:
            deployment: The model server.
            day: Number of days since 1970.
        """
        span = Span(day * DAY - 1, (day + 1) * DAY)
        return incarnations(self.seed, deployment, self.node_of(deployment), span)

    # -- counters

    def energy_before(self, node: Node, day: int) -> dict[str, Counts]:
        """Microjoules counted since the node's last boot at the start of every minute: gpu, cpu, dram.

        Args:
            node: The host.
            day: Number of days since 1970.
        """

        def increments(of: int) -> dict[str, Counts]:
            state = self.node_day(node, of)
            parts = {"gpu": state.gpu_mw, "cpu": state.cpu_mw, "dram": state.dram_mw}
            return {part: mw * MINUTE_MS for part, mw in parts.items()}

        return self._counted(node.name, day, increments, lambda of: boots(self.seed, node, of))

    def served_before(self, deployment: Deployment, engine: int, day: int) -> dict[str, Counts]:
        """What an engine counted since its server's last start, at the start of every minute.

        Args:
            deployment: The model server.
            engine: The engine's number.
            day: Number of days since 1970.
        """

        def increments(of: int) -> dict[str, Counts]:
            return {name: counts[None] for name, counts in self.served(deployment, engine, of).counts.items()}

        def starts(of: int) -> list[int]:
            births = (one.span.start for one in self.lives(deployment, of))
            return [birth for birth in births if of * DAY <= birth < (of + 1) * DAY]

        counted = self._counted(f"{deployment.name} {engine}", day, increments, starts)
        return {name: counts[0] for name, counts in counted.items()}

    def _counted(
        self,
        name: str,
        day: int,
        increments: Callable[[int], dict[str, Counts]],
        resets: Callable[[int], list[int]],
    ) -> dict[str, Counts]:
        """Running totals at the start of every minute, from the last reset on.

        The totals at the start of a day are remembered; what is missing is summed from the last reset.
        """
        first = day
        while (name, first) not in self._carry and first > BEGINNING // DAY and not resets(first - 1):
            first -= 1
        if (name, first) not in self._carry and first > BEGINNING // DAY:
            first -= 1
        carry = self._carry.get((name, first), {})
        for of in range(first, day + 1):
            totals = {part: _running(counts, carry.get(part)) for part, counts in increments(of).items()}
            for reset in resets(of):
                at = reset - of * DAY
                totals = {part: _restart(total, at) for part, total in totals.items()}
            carry = {part: total[:, -1] for part, total in totals.items()}
            if of < day:
                self._carry[(name, of + 1)] = carry
        return {part: total[:, :-1] for part, total in totals.items()}


def _running(counts: Counts, carry: Counts | None) -> Counts:
    total = np.zeros((counts.shape[0], counts.shape[1] + 1), np.int64)
    np.cumsum(counts, axis=1, out=total[:, 1:])
    return total if carry is None else total + carry[:, None]


def _restart(total: Counts, at: int) -> Counts:
    """Begin at zero from minute `at` on."""
    result = total.copy()
    result[:, at:] -= total[:, at : at + 1]
    return result

"""What the synthetic company's exporters show and its Prometheus keeps: labels, scrapes, gaps, stale markers.

What belongs here: the series of dcgm-exporter, node_exporter (RAPL), ipmi_exporter, vLLM and TGI, named and
labelled as those exporters do. What does not: the state they show (`plant.py`), HTTP and PromQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from energy_assets.sandbox.noise import Floats, digest, pick
from energy_assets.sandbox.plant import CPUS, MINUTE_MS, RAPL_WRAP_UJ, Mask, Plant, any_of
from energy_assets.sandbox.schedule import BEGINNING, DAY, Deployment, Incarnation, Node, Span, scrape_gaps
from energy_assets.sandbox.series import NAME, STALE, Labels, Matcher, Samples, Series, fits, labels_of

DAY_MS = DAY * MINUTE_MS
_DRIVER = "550.90.07"
_DCGM = {
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "energy",
    "DCGM_FI_DEV_POWER_USAGE": "power",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": "activity",
}
_RAPL = {"node_rapl_package_joules_total": ("cpu", ""), "node_rapl_dram_joules_total": ("dram", ":0")}
_IPMI = "ipmi_dcmi_power_consumption_watts"


class Shown(NamedTuple):
    """One series of one day, before it is scraped.

    Attributes:
        values: In every minute of the day, at the moment of the scrape.
        present: One flag more than values: the last minute of the day before comes first.
    """

    labels: Mapping[str, str]
    values: Floats
    present: Mask


@dataclass(frozen=True)
class Target:
    """One scraped endpoint and one of its metrics.

    Attributes:
        offset_ms: When in the minute it is scraped; Prometheus spreads targets over the interval.
        show: The series of a day, counted since 1970.
    """

    metric: str
    offset_ms: int
    show: Callable[[int], Iterable[Shown]]


def _around(day: int) -> NDArray[np.int64]:
    return np.arange(day * DAY - 1, (day + 1) * DAY, dtype=np.int64)


class Exporters:
    """All targets of one location."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.location = plant.location
        self.seed = plant.seed

    def targets(self) -> list[Target]:
        """Every metric of every endpoint."""
        found: list[Target] = []
        for node in self.location.nodes:
            found += self._node_targets(node)
        for deployment in self.location.deployments:
            found += self._deployment_targets(deployment)
        return found

    def _offset(self, endpoint: str) -> int:
        return pick(0, MINUTE_MS, self.seed, endpoint, "scrape")

    # -- hosts

    def _node_targets(self, node: Node) -> Iterator[Target]:
        dcgm = f"{node.name}:9400"
        metrics = [metric for metric, part in _DCGM.items() if part != "energy" or self.location.energy_counter]
        for metric in metrics:
            yield Target(metric, self._offset(dcgm), partial(self._dcgm, node, metric))
        yield Target("up", self._offset(dcgm), partial(self._up, node, "dcgm-exporter", dcgm))
        if self.location.rapl:
            exporter = f"{node.name}:9100"
            for metric in _RAPL:
                yield Target(metric, self._offset(exporter), partial(self._rapl, node, metric))
            yield Target("up", self._offset(exporter), partial(self._up, node, "node-exporter", exporter))
        if node.ipmi:
            yield Target(_IPMI, self._offset(f"{node.name}:9290"), partial(self._ipmi, node))

    def _gpus_seen(self, node: Node, day: int) -> Mask:
        minutes = _around(day)
        span = Span(int(minutes[0]), int(minutes[-1]) + 1)
        return self.plant.up(node, minutes) & ~any_of(scrape_gaps(self.seed, node, span), minutes)

    def _up(self, node: Node, job: str, instance: str, day: int) -> Iterator[Shown]:
        seen = self._gpus_seen(node, day) if job == "dcgm-exporter" else self.plant.up(node, _around(day))
        scraped = _around(day) >= BEGINNING
        yield Shown({"job": job, "instance": instance}, seen[1:].astype(np.float64), scraped)

    def _ipmi(self, node: Node, day: int) -> Iterator[Shown]:
        labels = {"job": "ipmi", "instance": f"{node.name}:9290"}
        yield Shown(labels, self.plant.node_day(node, day).node_w, self.plant.up(node, _around(day)))

    def _rapl(self, node: Node, metric: str, day: int) -> Iterator[Shown]:
        part, child = _RAPL[metric]
        state = self.plant.node_day(node, day)
        power_mw = state.cpu_mw if part == "cpu" else state.dram_mw
        counted_uj = self.plant.energy_before(node, day)[part] + power_mw * self._offset(f"{node.name}:9100")
        joules = (counted_uj % RAPL_WRAP_UJ) / 1e6
        present = self.plant.up(node, _around(day))
        for cpu in range(CPUS):
            labels = {
                "job": "node-exporter",
                "instance": f"{node.name}:9100",
                "index": str(cpu),
                "path": f"/sys/class/powercap/intel-rapl:{cpu}{child}",
            }
            yield Shown(labels, joules[cpu], present)

    def _dcgm(self, node: Node, metric: str, day: int) -> Iterator[Shown]:
        values = self._dcgm_values(node, _DCGM[metric], day)
        seen = self._gpus_seen(node, day)
        for gpu in range(node.gpus):
            labels = self._gpu_labels(node, gpu)
            nobody = seen.copy()
            for user, uses in self._users(node, gpu, day):
                nobody &= ~uses
                yield Shown(labels | user, values[gpu], seen & uses)
            yield Shown(labels, values[gpu], nobody)

    def _dcgm_values(self, node: Node, part: str, day: int) -> Floats:
        state = self.plant.node_day(node, day)
        if part == "power":
            return state.gpu_mw / 1000
        if part == "activity":
            return np.rint(state.activity * 1e6) / 1e6
        counted_uj = self.plant.energy_before(node, day)["gpu"] + state.gpu_mw * self._offset(f"{node.name}:9400")
        return (counted_uj // 1000).astype(np.float64)

    def _gpu_labels(self, node: Node, gpu: int) -> dict[str, str]:
        labels = {
            "gpu": str(gpu),
            "UUID": self.plant.uuid(node, gpu),
            "pci_bus_id": f"00000000:{0x1B + 0x11 * gpu:02X}:00.0",
            "device": f"nvidia{gpu}",
            "modelName": node.accelerator.model,
            self.location.host_label: node.name,
            "DCGM_FI_DRIVER_VERSION": _DRIVER,
            "job": "dcgm-exporter",
            "instance": f"{node.name}:9400",
        }
        if not self.location.honor_labels:
            suffix = digest(self.seed, node.name, "dcgm").hex()[:5]
            labels |= {
                "namespace": "gpu-operator",
                "pod": f"dcgm-exporter-{suffix}",
                "container": "nvidia-dcgm-exporter",
            }
        return labels

    def _users(self, node: Node, gpu: int, day: int) -> Iterator[tuple[dict[str, str], Mask]]:
        """Labels of every pod that holds a GPU at some time of the day, and when."""
        minutes = _around(day)
        for job in self.plant.jobs(node, Span(int(minutes[0]), int(minutes[-1]) + 1)):
            if gpu in job.gpus:
                yield self._user(job.namespace, job.pod, job.container), job.span.holds(minutes)
        for deployment in self.location.deployments:
            if deployment.node == node.name and gpu in deployment.gpus:
                for pod, lives in self._pods(deployment, day).items():
                    uses = any_of((life.span for life in lives), minutes)
                    yield self._user(deployment.namespace, pod, "server"), uses

    def _user(self, namespace: str, pod: str, container: str) -> dict[str, str]:
        prefix = "" if self.location.honor_labels else "exported_"
        return {f"{prefix}namespace": namespace, f"{prefix}pod": pod, f"{prefix}container": container}

    # -- model servers

    def _deployment_targets(self, deployment: Deployment) -> Iterator[Target]:
        offset = self._offset(deployment.name)
        for metric in _VLLM if deployment.server == "vllm" else _TGI:
            yield Target(metric, offset, partial(self._server, deployment, metric))
        yield Target("up", offset, partial(self._server_up, deployment))

    def _pods(self, deployment: Deployment, day: int) -> dict[str, list[Incarnation]]:
        found: dict[str, list[Incarnation]] = {}
        for life in self.plant.lives(deployment, day):
            found.setdefault(life.pod, []).append(life)
        return found

    def _pod_labels(self, deployment: Deployment, life: Incarnation) -> dict[str, str]:
        return {
            "job": deployment.name,
            "instance": life.address,
            "namespace": deployment.namespace,
            "pod": life.pod,
        }

    def _server_up(self, deployment: Deployment, day: int) -> Iterator[Shown]:
        for lives in self._pods(deployment, day).values():
            alive = any_of((life.span for life in lives), _around(day))
            yield Shown(self._pod_labels(deployment, lives[0]), alive[1:].astype(np.float64), alive)

    def _server(self, deployment: Deployment, metric: str, day: int) -> Iterator[Shown]:
        for lives in self._pods(deployment, day).values():
            present = any_of((life.span for life in lives), _around(day))
            labels = self._pod_labels(deployment, lives[0])
            for engine in range(deployment.engines):
                own = {"engine": str(engine), "model_name": deployment.model_id}
                own = own if deployment.server == "vllm" else {}
                for more, counted in self._counted(deployment, metric, engine, day):
                    yield Shown(labels | own | more, counted.astype(np.float64), present)

    def _counted(
        self, deployment: Deployment, metric: str, engine: int, day: int
    ) -> Iterator[tuple[dict[str, str], NDArray[np.int64]]]:
        """Totals at the moment of the scrape; the requests of a minute have ended when it is scraped."""
        before = self.plant.served_before(deployment, engine, day)
        during = self.plant.served(deployment, engine, day).counts
        totals = {name: before[name] + during[name] for name in before}
        for labels, parts in (_VLLM | _TGI)[metric]:
            yield labels, np.sum([totals[part] for part in parts], axis=0)


_VLLM: dict[str, list[tuple[dict[str, str], tuple[str, ...]]]] = {
    "vllm:prompt_tokens_total": [({}, ("prompt",))],
    "vllm:generation_tokens_total": [({}, ("generated",))],
    "vllm:request_success_total": [({"finished_reason": reason}, (reason,)) for reason in ("stop", "length", "abort")],
}
_TGI: dict[str, list[tuple[dict[str, str], tuple[str, ...]]]] = {
    "tgi_request_count": [({}, ("stop", "length", "abort"))],
    "tgi_request_success": [({}, ("stop", "length"))],
    "tgi_request_failure": [({"err": "overloaded"}, ("abort",))],
    "tgi_request_generated_tokens_sum": [({}, ("generated",))],
    "tgi_request_input_length_sum": [({}, ("prompt",))],
}
"""Series of each metric: labels of its own, and which counts it adds up."""


class LocationStore:
    """The series a location's Prometheus has scraped, made day by day when asked for.

    Args:
        plant: The machines.
        clock: Nothing after this instant has been scraped yet.
    """

    def __init__(self, plant: Plant, clock: Callable[[], datetime]) -> None:
        self._targets = Exporters(plant).targets()
        self._clock = clock
        self._day = lru_cache(maxsize=1024)(self._scraped)

    def names(self, start_ms: int, end_ms: int) -> list[str]:
        """All metric names, sorted; none of a time before anything was scraped.

        Args:
            start_ms: Not looked at: what was ever scraped goes on.
            end_ms: Unix ms, included.
        """
        return sorted({target.metric for target in self._targets}) if end_ms >= BEGINNING * MINUTE_MS else []

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Series]:
        """Series that fit and have samples in the closed interval, sorted by labels.

        Args:
            matchers: All must fit.
            start_ms: Unix ms, included.
            end_ms: Unix ms, included.
        """
        end_ms = min(end_ms, int(self._clock().timestamp() * 1000))
        start_ms = max(start_ms, BEGINNING * MINUTE_MS)
        by_name = [matcher for matcher in matchers if matcher.name == NAME]
        found: dict[Labels, list[Samples]] = {}
        for number, target in enumerate(self._targets):
            if all(matcher.matches(target.metric) for matcher in by_name):
                for day in range(start_ms // DAY_MS, end_ms // DAY_MS + 1):
                    for one in self._day(number, day):
                        if fits(one.labels, matchers):
                            found.setdefault(one.labels, []).append(one.samples)
        joined = (_joined(labels, parts, start_ms, end_ms) for labels, parts in sorted(found.items()))
        return [one for one in joined if len(one.samples.times)]

    def _scraped(self, number: int, day: int) -> list[Series]:
        target = self._targets[number]
        times = np.arange(DAY, dtype=np.int64) * MINUTE_MS + (day * DAY_MS + target.offset_ms)
        shown = (_scrape(one, target.metric, times) for one in target.show(day))
        return [one for one in shown if len(one.samples.times)]


def _scrape(shown: Shown, metric: str, times: NDArray[np.int64]) -> Series:
    """Samples while the series is there; a stale marker at the first scrape that misses it."""
    here, gone = shown.present[1:], shown.present[:-1] & ~shown.present[1:]
    values = np.where(here, shown.values, STALE)
    keep = here | gone
    return Series(labels_of({**shown.labels, NAME: metric}), Samples(times[keep], values[keep]))


def _joined(labels: Labels, parts: list[Samples], start_ms: int, end_ms: int) -> Series:
    if len(parts) == 1:
        return Series(labels, parts[0].between(start_ms, end_ms))
    times = np.concatenate([part.times for part in parts])
    values = np.concatenate([part.values for part in parts])
    return Series(labels, Samples(times, values).between(start_ms, end_ms))

"""Meters: which metric says how busy processors or GPUs are, in which form, and which labels name machine and device.

What belongs here: facts about exporters, and metrics that site.yaml adds. What does not: questions (`queries`) and
arithmetic (`segments`).

Busy is what the processor did for the machine: of Linux's modes user (which holds guest), nice (with guest_nice),
system, irq and softirq. Waiting for a disk (iowait) is idling, and steal is what the host did for others: the
hypervisor counts both as not used, so CloudWatch and Azure Monitor mean the same. All modes together are the time that
passed, processor by processor. Of Windows' modes privileged holds interrupt and dpc.

Sources: Linux `proc(5)`, /proc/stat; prometheus/node_exporter (collector/cpu_linux.go: guest time has a metric of its
own); prometheus-community/windows_exporter (cpu collector); NVIDIA DCGM (GPU_UTIL in per cent, GR_ENGINE_ACTIVE a
ratio); utkuozdemir/nvidia_gpu_exporter (ratio); YACE and prometheus/cloudwatch_exporter (per cent, as CloudWatch);
prometheus-community/stackdriver_exporter (a ratio, as Cloud Monitoring).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from energy_assets.sources.base import Strict
from energy_assets.sources.prometheus.matchers import LabelName, MatchValue, MetricName, matchers

Component = Literal["cpu", "gpu"]
Unit = Literal["percent", "share"]

MACHINE_LABELS = (
    "instance_id",
    "InstanceId",
    "dimension_InstanceId",
    "provider_id",
    "instance_name",
    "node",
    "nodename",
    "Hostname",
    "hostname",
    "kubernetes_node",
    "instance",
)
"""What may name a machine, the best first: what clouds call it, then what people call it, then its address."""


@dataclass(frozen=True)
class LoadMeter:
    """One metric that says how busy something is; a `sources.prometheus.meters.Metric`.

    Attributes:
        name: Unique; what receipts and notes call it.
        metric: The metric's name.
        component: Whose load it is.
        unit: `percent` (0 to 100) or `share` (0 to 1) of a gauge; None for seconds of processors by mode.
        device_labels: The first non-empty one names the device of a gauge; none: the machine itself.
        slices: Whether instances of a divided GPU (MIG) tell their own activity.
        time: Of seconds by mode: the modes that together are the time that passed, as a matcher; empty for all.
        busy: Of seconds by mode: a matcher of the modes in which the processor worked.
        matchers: PromQL matchers that belong to the metric.
    """

    name: str
    metric: str
    component: Component
    unit: Unit | None = None
    device_labels: tuple[str, ...] = ()
    slices: bool = False
    time: str = ""
    busy: str = ""
    matchers: tuple[str, ...] = ()
    counter: bool = False
    per_unit: Fraction | None = None
    sentinel: str = "1e15"
    device_by: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    shared: bool = False
    activity: str | None = None
    counterpart: str | None = None

    @property
    def per_full(self) -> float:
        """What full load is in the meter's unit."""
        return 100.0 if self.unit == "percent" else 1.0


class CustomLoad(Strict):
    """A gauge of utilization that is not built in."""

    metric: MetricName = Field(description="the metric's name")
    component: Component = Field(description="cpu or gpu: whose load it is")
    unit: Unit = Field(description="percent (0 to 100) or share (0 to 1); never guessed")
    device_labels: tuple[LabelName, ...] = Field((), description="labels that name the device, where there are several")
    match: dict[LabelName, MatchValue] = Field(
        default_factory=dict, description="the series meant: label and value, ~regular expression, or list of values"
    )

    @model_validator(mode="after")
    def _unit_fits_name(self) -> Self:
        said = {"_percent": "percent", "_ratio": "share"}
        for ending, unit in said.items():
            if self.metric.endswith(ending) and self.unit != unit:
                raise ValueError(f"{self.metric} is named as a {ending[1:]}, and `unit` says {self.unit}; write {unit}")
        return self

    def meter(self) -> LoadMeter:
        """The same as a meter."""
        selected = matchers(self.match)
        name = f"{self.metric}{{{', '.join(selected)}}}" if selected else self.metric
        return LoadMeter(name, self.metric, self.component, self.unit, self.device_labels, matchers=selected)


def _processors(metric: str, time: str, busy: str) -> LoadMeter:
    return LoadMeter(metric, metric, "cpu", time=time, busy=busy)


def _gauge(metric: str, component: Component, unit: Unit, *devices: str, slices: bool = False) -> LoadMeter:
    return LoadMeter(metric, metric, component, unit, devices, slices)


BUILT_IN = (
    _processors("node_cpu_seconds_total", "", 'mode!~"idle|iowait|steal"'),
    _processors("windows_cpu_time_total", 'mode=~"idle|privileged|user"', 'mode=~"privileged|user"'),
    _gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "gpu", "share", "UUID", "uuid", "gpu", slices=True),
    _gauge("DCGM_FI_DEV_GPU_UTIL", "gpu", "percent", "UUID", "uuid", "gpu"),
    _gauge("nvidia_smi_utilization_gpu_ratio", "gpu", "share", "uuid"),
    _gauge("aws_ec2_cpuutilization_average", "cpu", "percent"),
    _gauge("stackdriver_gce_instance_compute_googleapis_com_instance_cpu_utilization", "cpu", "share"),
)
"""The metrics asked for without being named in site.yaml, the best first."""
